//! What is told stays true where things come late, twice or at the same time: what the simulation found.

use std::time::Duration;

use dispatch_core::testing::world::{FaultKind, PullRequestSpec};

use crate::house::{DISPATCHES, House, api, web};
use crate::notices::{LISTENER, checks, previews, settle};

/// Lets time pass in small steps, and work go on.
fn wait(house: &House, time: Duration) {
    for _ in 0..time.as_secs() / 10 {
        house.advance(Duration::from_secs(10));
        house.work();
        house.show();
    }
}

#[test]
fn a_run_that_ended_long_before_it_was_found_is_told_by_the_list_in_which_it_was_found() {
    let house = House::settled();
    house.order("POST", DISPATCHES, FaultKind::CutAfter);
    house.order_times("GET", "/repos/octo-org/web/actions/runs", FaultKind::status(503), 20);
    house.run();
    house.world().progress_runs();
    house.world().progress_runs();
    house.deliver();
    wait(&house, Duration::from_secs(2 * 60 * 60));
    assert!(house.story().contains("triggered, run known: true"), "{}", house.story());
    assert_eq!(checks(&house), ["dispatch / octo-org/web / cd.yml: completed success: succeeded"]);
    assert_eq!(house.started().len(), 1);
}

#[test]
fn the_same_event_once_more_does_not_take_back_what_is_told_of_what_it_started() {
    let house = House::settled();
    house.complete_run();
    let mut webhook = house.world().take_webhooks().remove(0);
    house.receive(&webhook).unwrap();
    house.work();
    for _ in 0..2 {
        house.world().progress_runs();
        settle(&house);
    }
    let told = ["dispatch / octo-org/web / cd.yml: completed success: succeeded"];
    assert_eq!(checks(&house), told);
    house.write(&web(), "dispatching.yml", "inbound: []\n");
    settle(&house);
    webhook.delivery = "replayed".parse().unwrap();
    house.receive(&webhook).unwrap();
    settle(&house);
    assert!(house.end_of_story().contains("denied inbound_not_authorized"), "{}", house.story());
    assert_eq!(checks(&house), told);
    assert_eq!(house.started().len(), 1);
}

#[test]
fn an_event_in_doubt_does_not_take_the_run_of_another_event_for_its_own() {
    let house = previews(LISTENER);
    house.order("POST", "/repos/*/*/dispatches", FaultKind::CutBefore);
    let number = house.world().open_pull_request(&api(), PullRequestSpec::new("topic")).unwrap();
    settle(&house);
    wait(&house, Duration::from_secs(10));
    house.order("POST", "/repos/*/*/dispatches", FaultKind::CutAfter);
    house.world().comment(&api(), number, "alice", "/deploy").unwrap();
    settle(&house);
    wait(&house, Duration::from_secs(60 * 60));
    let told = [
        "dispatch / octo-org/web / preview: completed neutral: nobody knows whether it was started",
        "dispatch / octo-org/web / deploy: in_progress -: started",
    ];
    assert_eq!(checks(&house), told, "{}", house.story());
    assert_eq!(house.story().matches("triggered, run known: true").count(), 1, "{}", house.story());
}

#[test]
fn an_event_in_doubt_does_not_take_a_run_for_its_own_that_does_not_show_which_event_it_is_of() {
    let house = previews(&format!("run-name: Environments\n{LISTENER}"));
    house.order("POST", "/repos/*/*/dispatches", FaultKind::CutBefore);
    let number = house.world().open_pull_request(&api(), PullRequestSpec::new("topic")).unwrap();
    settle(&house);
    wait(&house, Duration::from_secs(10));
    house.world().comment(&api(), number, "alice", "/deploy").unwrap();
    settle(&house);
    wait(&house, Duration::from_secs(60 * 60));
    let told = [
        "dispatch / octo-org/web / preview: completed neutral: nobody knows whether it was started",
        "dispatch / octo-org/web / deploy: completed neutral: accepted by GitHub; several runs could be meant",
    ];
    assert_eq!(checks(&house), told, "{}", house.story());
    assert!(!house.story().contains("run known: true"), "{}", house.story());
}
