//! Promise 1 in time: consent counts when the call is made, and belongs to the repositories that gave it.

use std::time::Duration;

use dispatch_core::ports::store::Queue;
use dispatch_core::testing::world::{FaultKind, RepositoryOptions, RunSpec};

use crate::house::{DISPATCHES, House, INBOUND, OUTBOUND, api, web};

fn rate_limited() -> FaultKind {
    FaultKind::RateLimited { retry_after: Some(30), reset_in: None, secondary: true }
}

/// An allowed dispatch that GitHub's rate limit put back.
fn waiting() -> House {
    let house = House::settled();
    house.order("POST", DISPATCHES, rate_limited());
    house.run();
    assert!(house.end_of_story().starts_with("dispatch put back"), "{}", house.story());
    house
}

#[test]
fn the_target_withdraws_its_consent_while_the_work_waits() {
    let house = waiting();
    house.write(&web(), "dispatching.yml", "inbound: []\n");
    house.advance(Duration::from_secs(30));
    house.work();
    let end = house.end_of_story();
    assert!(end.starts_with("cancelled: consent_withdrawn: ") && end.ends_with("(inbound_not_authorized)"), "{end}");
    assert_eq!(house.started(), Vec::<String>::new());
}

#[test]
fn the_source_withdraws_its_rule_while_the_work_waits() {
    let house = waiting();
    house.write(&api(), "dispatching.yml", "outbound: []\n");
    house.advance(Duration::from_secs(30));
    house.work();
    assert!(house.end_of_story().starts_with("cancelled: consent_withdrawn: "), "{}", house.story());
    assert_eq!(house.started(), Vec::<String>::new());
}

#[test]
fn the_app_is_suspended_while_the_work_waits() {
    let house = waiting();
    house.world().set_suspended(&web().owner(), true).unwrap();
    house.advance(Duration::from_secs(30));
    house.work();
    assert!(house.end_of_story().starts_with("cancelled: consent_withdrawn: "), "{}", house.story());
    assert_eq!(house.started(), Vec::<String>::new());
}

#[test]
fn consent_that_stands_is_asked_for_again_and_sent_as_it_is_now() {
    let house = waiting();
    house.write(&api(), "dispatching.yml", &OUTBOUND.replace("{{ source.sha }}", "0123456"));
    house.advance(Duration::from_secs(30));
    house.work();
    let dispatch = house.world().take_dispatches().remove(0);
    assert_eq!(dispatch.inputs, [("sha".to_owned(), "0123456".to_owned())].into());
}

#[test]
fn a_decision_that_could_be_older_than_a_minute_when_the_call_is_sent_is_made_again() {
    for (seconds, reads) in [(30, 0), (31, 2)] {
        let house = House::settled();
        house.complete_run();
        house.deliver();
        house.claim(Queue::Plan).into_iter().for_each(|item| house.step(item).unwrap());
        house.requests();
        house.advance(Duration::from_secs(seconds));
        house.work();
        let read = house.requests().iter().filter(|line| line.contains("/contents/")).count();
        assert_eq!(read, reads, "after {seconds} s");
        assert_eq!(house.started().len(), 1);
    }
}

#[test]
fn a_dispatch_that_waited_beyond_the_age_of_its_event_is_cancelled() {
    let house = waiting();
    house.advance(Duration::from_secs(24 * 60 * 60 + 1));
    house.work();
    assert!(house.end_of_story().starts_with("cancelled: event_too_old: "), "{}", house.story());
}

#[test]
fn an_event_without_installation_starts_nothing() {
    let house = House::settled();
    house.complete_run();
    let mut webhook = house.world().take_webhooks().remove(0);
    let mut body: serde_json::Value = serde_json::from_slice(&webhook.body).unwrap();
    body.as_object_mut().unwrap().remove("installation");
    webhook.body = serde_json::to_vec(&body).unwrap();
    house.receive(&webhook).unwrap();
    house.work();
    assert!(house.end_of_story().ends_with("skipped app_not_installed"), "{}", house.story());
    assert_eq!(house.requests(), Vec::<String>::new(), "nothing is asked of GitHub either");
}

#[test]
fn a_name_that_was_given_to_another_repository_takes_no_consent_along() {
    let house = House::settled();
    house.run();
    assert_eq!(house.started().len(), 1);
    recreate_web(&house);
    house.run();
    settle(&house);
    assert!(house.end_of_story().ends_with("denied repository_identity_changed"), "{}", house.story());
    assert_eq!(house.started(), Vec::<String>::new());
}

#[test]
fn a_name_that_changes_hands_between_two_waiting_dispatches_is_noticed_before_the_call() {
    let house = House::settled();
    // Two are planned before the edge was ever used; between them, another repository takes the target's name.
    house.complete_run();
    house.deliver();
    house.claim(Queue::Plan).into_iter().for_each(|item| house.step(item).unwrap());
    let first = house.claim(Queue::Dispatch).remove(0);
    recreate_web(&house);
    house.complete_run();
    house.deliver();
    house.claim(Queue::Plan).into_iter().for_each(|item| house.step(item).unwrap());
    settle(&house);
    let second = house.claim(Queue::Dispatch).remove(0);
    house.step(second).unwrap();
    assert_eq!(house.started().len(), 1, "the edge is now with the new repository");
    house.requests();
    house.step(first).unwrap();
    let read = house.requests().iter().filter(|line| line.contains("/contents/")).count();
    assert_eq!(read, 2, "what was decided about the old one is decided again, by the files of today");
    assert_eq!(house.started().len(), 1);
}

/// The tokens of the old repository are refused once, and then made anew.
fn settle(house: &House) {
    for _ in 0..3 {
        house.advance(Duration::from_secs(1));
        house.claim(Queue::Plan).into_iter().for_each(|item| house.step(item).unwrap());
    }
}

fn recreate_web(house: &House) {
    let mut world = house.world();
    world.delete_repository(&web()).unwrap();
    world.expire_tokens(); // They were for the repository that is gone.
    world.add_repository(&web(), RepositoryOptions::default()).unwrap();
    let on = "on:\n  workflow_dispatch:\n    inputs:\n      sha: {}\njobs: {}\n";
    world.write_file(&web(), "main", ".github/workflows/cd.yml", on).unwrap();
    world.write_file(&web(), "main", "dispatching.yml", INBOUND).unwrap();
}

#[test]
fn an_old_run_that_is_run_again_does_not_overtake_a_newer_one() {
    let house = House::settled();
    let old = house.run();
    house.run();
    assert_eq!(house.started().len(), 2);
    house.world().complete_run(&api(), RunSpec { rerun_of: Some(old), ..RunSpec::new("ci.yml", "main") }).unwrap();
    house.deliver();
    house.work();
    assert!(house.end_of_story().ends_with("denied source_run_superseded"), "{}", house.story());
    assert_eq!(house.started(), Vec::<String>::new());
}

#[test]
fn a_run_that_was_started_here_carries_its_chain_and_cannot_come_back() {
    let house = House::settled();
    let back = "\
outbound:
  - source:
      workflow: cd.yml
    targets:
      - repository: api
        workflow: ci.yml
";
    house.write(&web(), "dispatching.yml", &format!("{INBOUND}{back}"));
    house.write(
        &api(),
        "dispatching.yml",
        &format!(
            "{OUTBOUND}{}",
            "\
inbound:
  - source:
      repository: web
      workflow: cd.yml
    targets:
      - workflow: ci.yml
"
        ),
    );
    house.run();
    assert_eq!(house.started(), ["octo-org/web cd.yml"]);
    for _ in 0..3 {
        house.world().progress_runs();
        house.deliver();
        house.work();
    }
    assert!(house.story().contains("\nplanned: octo-org/api ci.yml denied loop_detected\n"), "{}", house.story());
    house.finish();
}
