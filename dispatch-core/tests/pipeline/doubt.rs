//! A call whose outcome is not known is looked for among the target's runs.

use std::time::Duration;

use dispatch_core::ports::store::{Queue, Record};
use dispatch_core::testing::world::{FaultKind, RunSpec};

use crate::house::{DISPATCHES, House, OUTBOUND, api, web};

const RUNS: &str = "/repos/octo-org/web/actions/runs";
const HOUR: Duration = Duration::from_secs(60 * 60);

/// Lets time pass in small steps, and work go on.
fn wait(house: &House, time: Duration) {
    for _ in 0..time.as_secs() / 10 {
        house.advance(Duration::from_secs(10));
        house.work();
    }
}

/// How many calls that start something were made since the last look.
fn calls(house: &House) -> usize {
    house.requests().iter().filter(|line| line.starts_with("POST")).count()
}

/// Two runs of the source complete, and both calls end with this fault, one after the other.
fn two_calls(first: Option<FaultKind>, second: Option<FaultKind>) -> House {
    let house = House::settled();
    for fault in [first, second] {
        if let Some(fault) = fault {
            house.order("POST", DISPATCHES, fault);
        }
        house.run();
        house.advance(Duration::from_secs(1));
    }
    house
}

#[test]
fn a_run_that_is_there_is_the_call_s_run_and_carries_its_chain() {
    let house = House::settled();
    house.order("POST", DISPATCHES, FaultKind::CutAfter);
    house.run();
    assert!(house.end_of_story().starts_with("in doubt: "), "{}", house.story());
    wait(&house, Duration::from_secs(10));
    assert_eq!(house.end_of_story(), "triggered, run known: true");
    let run = house.world().take_dispatches().remove(0).run;
    let known = |record: &Record| matches!(record, Record::Run(id, known) if *id == run && known.chain.depth() == 1);
    assert!(house.store.inner.records().iter().any(known));
    assert_eq!(calls(&house), 1);
}

#[test]
fn a_run_that_is_in_no_listing_for_the_settle_time_did_not_happen_and_is_tried_once_more() {
    let house = House::settled();
    house.order("POST", DISPATCHES, FaultKind::CutBefore);
    house.run();
    wait(&house, house.pipeline.settle - Duration::from_secs(10));
    assert_eq!(calls(&house), 1, "not before the time has passed: {}", house.story());
    wait(&house, Duration::from_secs(30));
    assert_eq!(house.end_of_story(), "triggered, run known: true", "{}", house.story());
    assert_eq!(house.started(), ["octo-org/web cd.yml"]);
}

#[test]
fn a_second_doubt_is_not_tried_again_and_parked_as_unknown() {
    let house = House::settled();
    house.order_times("POST", DISPATCHES, FaultKind::CutBefore, 9);
    house.run();
    wait(&house, HOUR);
    assert!(house.end_of_story().starts_with("unknown: "), "{}", house.story());
    assert!(house.end_of_story().contains("in doubt twice"), "{}", house.story());
    assert_eq!(calls(&house), 2);
}

#[test]
fn a_run_that_github_lists_late_is_still_found_and_not_started_again() {
    let house = House::settled();
    house.world().listing_lag = house.pipeline.settle - Duration::from_secs(20);
    house.order("POST", DISPATCHES, FaultKind::CutAfter);
    house.run();
    wait(&house, HOUR);
    assert_eq!(house.end_of_story(), "triggered, run known: true", "{}", house.story());
    assert_eq!(house.started(), ["octo-org/web cd.yml"]);
}

#[test]
fn two_calls_in_doubt_and_two_runs_are_each_other_s_in_their_order() {
    let house = two_calls(Some(FaultKind::CutAfter), Some(FaultKind::CutAfter));
    let started: Vec<_> = house.world().take_dispatches().iter().map(|started| started.run).collect();
    wait(&house, Duration::from_secs(30));
    let mut recorded = Vec::new();
    for record in house.store.inner.records() {
        if let Record::Run(id, run) = record {
            recorded.push((run.dispatch.event.as_str().to_owned(), id));
        }
    }
    recorded.sort();
    assert_eq!(recorded.iter().map(|(_, id)| *id).collect::<Vec<_>>(), started, "{}", house.story());
    assert_eq!(calls(&house), 2);
}

#[test]
fn two_calls_in_doubt_and_one_run_cannot_be_told_apart() {
    let house = two_calls(Some(FaultKind::CutAfter), Some(FaultKind::CutBefore));
    assert_eq!(house.started().len(), 1);
    wait(&house, HOUR);
    assert_eq!(house.story().matches("unknown: ").count(), 2, "{}", house.story());
    assert_eq!(calls(&house), 2, "neither is repeated");
}

#[test]
fn a_run_that_another_dispatch_is_known_to_have_started_is_nobody_else_s() {
    let house = two_calls(None, Some(FaultKind::CutBefore));
    assert_eq!(house.started().len(), 1);
    wait(&house, HOUR);
    assert_eq!(house.started().len(), 1, "the second did not happen, and is made up for: {}", house.story());
}

#[test]
fn a_run_that_somebody_else_started_is_not_taken_for_ours() {
    let house = House::settled();
    house.order("POST", DISPATCHES, FaultKind::CutBefore);
    house.run();
    let event = "workflow_dispatch".to_owned();
    house.world().complete_run(&web(), RunSpec { event, ..RunSpec::new("cd.yml", "main") }).unwrap();
    wait(&house, HOUR);
    assert_eq!(house.started(), ["octo-org/web cd.yml"], "{}", house.story());
}

#[test]
fn while_another_call_is_being_made_nothing_is_concluded_from_a_run() {
    let house = House::settled();
    house.order("POST", DISPATCHES, FaultKind::CutBefore);
    house.run();
    house.complete_run();
    house.deliver();
    house.claim(Queue::Plan).into_iter().for_each(|item| house.step(item).unwrap());
    house.store.fail_after(1); // The second call begins and happens; its answer is lost with its process.
    for item in house.claim(Queue::Dispatch) {
        assert!(house.step(item).is_err());
    }
    wait(&house, Duration::from_secs(60));
    assert!(!house.story().contains("triggered"), "whose run it is cannot be known yet: {}", house.story());
    wait(&house, HOUR);
    assert_eq!(house.story().matches("unknown: ").count(), 2, "{}", house.story());
    assert_eq!(house.started().len(), 1);
}

#[test]
fn where_github_names_no_run_it_is_found_and_a_loop_through_it_ends() {
    let house = House::settled();
    house.world().enterprise_server = true;
    let back = "inbound:\n  - source: { repository: web, workflow: cd.yml }\n    targets: [{ workflow: ci.yml }]\n";
    house.write(&api(), "dispatching.yml", &format!("{OUTBOUND}{back}"));
    let on = "on: workflow_dispatch\njobs: {}\n";
    house.write(&api(), ".github/workflows/ci.yml", on);
    let there = "outbound:\n  - source: { workflow: cd.yml }\n    targets: [{ repository: api, workflow: ci.yml }]\n";
    let inbound = crate::house::INBOUND;
    house.write(&web(), "dispatching.yml", &format!("{inbound}{there}"));
    house.run();
    assert_eq!(house.end_of_story(), "triggered, run known: false");
    for _ in 0..20 {
        house.world().progress_runs();
        house.deliver();
        wait(&house, Duration::from_secs(20));
    }
    assert!(house.story().contains("its run was found"), "{}", house.story());
    assert!(house.story().contains("denied loop_detected"), "{}", house.story());
    assert_eq!(house.started(), ["octo-org/web cd.yml"]);
}

#[test]
fn without_the_app_s_login_nothing_is_recognised_and_nothing_repeated() {
    let mut house = House::settled();
    house.pipeline.guardrails.app_login = None;
    house.order("POST", DISPATCHES, FaultKind::CutBefore);
    house.run();
    wait(&house, HOUR);
    assert!(house.end_of_story().contains("the App's login is not known here"), "{}", house.story());
    assert_eq!(calls(&house), 1);
}

#[test]
fn a_github_that_does_not_list_for_hours_is_waited_for() {
    let house = House::settled();
    house.order("POST", DISPATCHES, FaultKind::CutAfter);
    house.order_times("GET", RUNS, FaultKind::status(503), 20);
    house.run();
    wait(&house, HOUR * 2);
    assert_eq!(house.end_of_story(), "triggered, run known: true", "{}", house.story());
    assert_eq!(calls(&house), 1);
    house.started();
}

#[test]
fn a_listing_that_github_refuses_leaves_it_unknown() {
    let house = House::settled();
    house.order("POST", DISPATCHES, FaultKind::CutAfter);
    house.order("GET", RUNS, FaultKind::status(403));
    house.run();
    wait(&house, Duration::from_secs(20));
    assert!(house.end_of_story().contains("cannot be listed"), "{}", house.story());
    house.started();
}

#[test]
fn what_is_tried_once_more_is_decided_again_first() {
    let house = House::settled();
    house.order("POST", DISPATCHES, FaultKind::CutBefore);
    house.run();
    house.write(&web(), "dispatching.yml", "inbound: []\n");
    wait(&house, HOUR);
    assert!(house.end_of_story().starts_with("cancelled: consent_withdrawn: "), "{}", house.story());
    assert_eq!(calls(&house), 1);
}

#[test]
fn a_clock_that_was_half_an_hour_ahead_when_the_call_began_hides_no_run() {
    let house = House::settled();
    house.order("POST", DISPATCHES, FaultKind::CutAfter);
    house.complete_run();
    house.deliver();
    let ahead = HOUR / 2;
    for queue in [Queue::Plan, Queue::Dispatch] {
        for item in house.claim(queue) {
            house.step_at(item, house.now() + ahead).unwrap();
        }
    }
    wait(&house, HOUR);
    assert_eq!(house.end_of_story(), "triggered, run known: true", "{}", house.story());
    assert_eq!(house.started().len(), 1);
}

#[test]
fn a_source_that_starts_a_target_too_often_within_the_hour_is_stopped_at_the_call() {
    let mut house = House::settled();
    house.pipeline.guardrails.max_edge_rate.value = 3;
    for _ in 0..5 {
        house.complete_run();
    }
    house.deliver();
    house.work();
    assert_eq!(house.started().len(), 3, "also where all of them were planned at once");
    assert_eq!(house.story().matches("cancelled: edge_rate_exceeded: ").count(), 2, "{}", house.story());
    house.advance(HOUR);
    house.run();
    assert_eq!(house.started().len(), 1, "an hour later it may go on");
}

#[test]
fn a_target_with_too_many_open_calls_gets_no_more_until_some_are_settled() {
    let mut house = House::settled();
    house.pipeline.guardrails.max_edge_rate.value = 1_000;
    house.order_times("POST", DISPATCHES, FaultKind::CutBefore, 50);
    for _ in 0..51 {
        house.complete_run();
    }
    house.deliver();
    house.work();
    assert_eq!(calls(&house), 50, "the last one waits");
    assert!(house.story().contains("50 calls of this target have no settled outcome yet"));
    wait(&house, HOUR);
    assert_eq!(house.started().len(), 51, "{}", house.story());
}
