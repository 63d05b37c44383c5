//! What waits, for how long, and what is given up.

use std::time::Duration;

use dispatch_core::testing::world::FaultKind;

use crate::house::{CONTENTS, DISPATCHES, House, TOKENS};

fn rate_limited(retry_after: u64) -> FaultKind {
    FaultKind::RateLimited { retry_after: Some(retry_after), reset_in: None, secondary: false }
}

#[test]
fn a_policy_file_behind_a_rate_limit_is_waited_for_and_never_taken_for_absent() {
    let house = House::settled();
    house.order("GET", CONTENTS, rate_limited(90));
    house.run();
    assert!(house.end_of_story().starts_with("plan put back until 2026-01-01T00:01:30Z"), "{}", house.story());
    house.advance(Duration::from_secs(89));
    house.work();
    assert_eq!(house.started(), Vec::<String>::new(), "not before the limit ends");
    house.advance(Duration::from_secs(1));
    house.work();
    assert_eq!(house.started(), ["octo-org/web cd.yml"]);
}

#[test]
fn a_failure_to_read_is_waited_out_for_as_long_as_the_event_is_wanted() {
    let house = House::settled();
    house.order_times("GET", CONTENTS, FaultKind::status(502), 20);
    house.run();
    for _ in 0..19 {
        house.advance(Duration::from_secs(300));
        house.work();
    }
    assert_eq!(house.started(), Vec::<String>::new());
    house.advance(Duration::from_secs(300));
    house.work();
    assert_eq!(house.started(), ["octo-org/web cd.yml"]);
}

#[test]
fn an_event_that_waited_too_long_is_not_wanted_any_more() {
    let house = House::settled();
    house.order("GET", CONTENTS, FaultKind::status(502));
    house.run();
    house.advance(Duration::from_secs(24 * 60 * 60 + 1));
    house.work();
    let end = house.end_of_story();
    assert!(end.starts_with("parked: ") && end.ends_with("what is older than 24 h starts nothing"), "{end}");
    assert_eq!(house.started(), Vec::<String>::new());
}

#[test]
fn a_read_that_github_refuses_parks_the_delivery_with_githubs_words() {
    let house = House::settled();
    house.order("GET", CONTENTS, FaultKind::status(403));
    house.run();
    let end = house.end_of_story();
    assert!(end.starts_with("parked: GitHub refused (403): Something went wrong"), "{end}");
    house.advance(Duration::from_secs(3_600));
    house.work();
    assert_eq!(house.end_of_story(), end, "nothing happens until somebody acts");
}

#[test]
fn a_dispatch_behind_a_rate_limit_waits_and_then_starts_once_however_often_it_waited() {
    let house = House::settled();
    house.order_times("POST", DISPATCHES, rate_limited(60), 5);
    house.run();
    for _ in 0..4 {
        house.advance(Duration::from_secs(60));
        house.work();
    }
    assert_eq!(house.started(), Vec::<String>::new());
    house.advance(Duration::from_secs(60));
    house.work();
    assert_eq!(house.started(), ["octo-org/web cd.yml"]);
    assert_eq!(house.end_of_story(), "triggered, run known: true");
}

#[test]
fn a_dispatch_that_was_certainly_not_sent_is_tried_as_often_as_the_operator_says() {
    let house = House::settled();
    // Every token is refused from the first dispatch on: nothing can have been sent.
    house.complete_run();
    house.deliver();
    house.claim(dispatch_core::ports::store::Queue::Plan).into_iter().for_each(|item| house.step(item).unwrap());
    house.order_times("POST", TOKENS, FaultKind::status(503), 3);
    for _ in 0..4 {
        house.work();
        house.advance(Duration::from_secs(1));
    }
    let story = house.story();
    assert_eq!(story.matches("dispatch put back").count(), 2, "{story}");
    assert!(house.end_of_story().starts_with("failed: GitHub is not available"), "{story}");
    assert_eq!(house.started(), Vec::<String>::new());
}

#[test]
fn what_github_refuses_is_kept_in_its_words() {
    let house = House::settled();
    let gone = "on: push\njobs: {}\n";
    house.write(&crate::house::web(), ".github/workflows/cd.yml", gone);
    house.run();
    assert_eq!(house.end_of_story(), "refused: Workflow does not have 'workflow_dispatch' trigger");
}

#[test]
fn a_failing_store_before_the_call_starts_nothing_and_the_work_comes_back() {
    let house = House::settled();
    house.complete_run();
    house.deliver();
    house.claim(dispatch_core::ports::store::Queue::Plan).into_iter().for_each(|item| house.step(item).unwrap());
    house.store.fail_after(0);
    for item in house.claim(dispatch_core::ports::store::Queue::Dispatch) {
        assert!(house.step(item).is_err());
    }
    assert_eq!(house.started(), Vec::<String>::new());
    house.advance(crate::house::LEASE);
    house.work();
    assert_eq!(house.started(), ["octo-org/web cd.yml"]);
}
