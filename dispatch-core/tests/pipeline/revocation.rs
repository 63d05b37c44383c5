//! The App lost access: what waits there is cancelled, and nothing is ever started by it.

use std::time::Duration;

use dispatch_core::pipeline::ReceiptOutcome;
use dispatch_core::ports::store::{Queue, Record};
use dispatch_core::testing::world::{FaultKind, RepositoryOptions, RunSpec};

use crate::house::{CONTENTS, DISPATCHES, House, OUTBOUND, api, web};

/// So many allowed dispatches that wait, planned a moment ago.
fn waiting(count: usize) -> House {
    let house = House::settled();
    for _ in 0..count {
        house.complete_run();
    }
    house.deliver();
    for _ in 0..=count / 100 {
        work_on(&house, Queue::Plan);
    }
    house.requests();
    house
}

fn work_on(house: &House, queue: Queue) {
    house.claim(queue).into_iter().for_each(|item| house.step(item).unwrap());
}

/// The reasons and sentences of the cancelled dispatches.
fn cancelled(house: &House) -> Vec<String> {
    let story = house.story();
    story.lines().filter_map(|line| line.strip_prefix("cancelled: ")).map(str::to_owned).collect()
}

#[test]
fn a_suspended_installation_cancels_what_waits_without_asking_github() {
    let house = waiting(2);
    house.world().set_suspended(&web().owner(), true).unwrap();
    let outcomes = house.deliver();
    assert!(matches!(outcomes[..], [ReceiptOutcome::Accepted(_)]), "{outcomes:?}");
    work_on(&house, Queue::Plan);
    let lost = cancelled(&house);
    assert_eq!(lost.len(), 2, "{}", house.story());
    assert!(lost[0].starts_with("consent_withdrawn: installation "), "{lost:?}");
    assert!(lost[0].ends_with(" of `octo-org` was deleted or suspended, with `octo-org/api`"), "{lost:?}");
    house.work();
    assert_eq!(house.requests(), Vec::<String>::new());
    house.finish();
}

#[test]
fn a_repository_that_is_taken_out_cancels_what_waits_on_either_side_and_nothing_else() {
    for (taken, count) in [(api(), 1), (web(), 1), ("octo-org/docs".parse().unwrap(), 0)] {
        let house = House::new();
        house.world().add_repository(&"octo-org/docs".parse().unwrap(), RepositoryOptions::default()).unwrap();
        house.deliver();
        house.complete_run();
        house.deliver();
        work_on(&house, Queue::Plan);
        house.world().uninstall(&taken).unwrap();
        house.deliver();
        work_on(&house, Queue::Plan);
        let lost = cancelled(&house);
        assert_eq!(lost.len(), count, "{taken}: {}", house.story());
        let sentence = format!("consent_withdrawn: `{taken}` was taken out of installation ");
        assert!(lost.iter().all(|lost| lost.starts_with(&sentence)), "{lost:?}");
        house.work();
        assert_eq!(house.started().len(), 1 - count, "{taken}");
    }
}

#[test]
fn many_are_cancelled_page_by_page_also_when_the_process_dies_in_between() {
    let house = waiting(120);
    house.world().set_suspended(&web().owner(), true).unwrap();
    house.deliver();
    let revocation = house.claim(Queue::Plan).remove(0);
    house.store.fail_after(20);
    house.step(revocation).unwrap_err();
    assert_eq!(cancelled(&house).len(), 20);
    for _ in 0..3 {
        house.advance(crate::house::LEASE);
        work_on(&house, Queue::Plan);
    }
    assert_eq!(cancelled(&house).len(), 120);
    let done = |record: &Record| matches!(record, Record::Revocation(revocation) if revocation.due.is_none());
    assert!(house.store.inner.records().iter().any(done));
    house.finish();
}

#[test]
fn whoever_has_claimed_a_dispatch_loses_it_to_the_revocation() {
    let house = waiting(1);
    let claimed = house.claim(Queue::Dispatch).remove(0);
    house.world().set_suspended(&web().owner(), true).unwrap();
    house.deliver();
    work_on(&house, Queue::Plan);
    house.step(claimed).unwrap_err();
    assert_eq!(cancelled(&house).len(), 1, "{}", house.story());
    assert_eq!(house.requests(), Vec::<String>::new(), "no call was made");
}

#[test]
fn a_call_that_began_is_left_to_its_own_end() {
    let house = House::settled();
    house.order("POST", DISPATCHES, FaultKind::CutAfter);
    house.run();
    let before = house.end_of_story();
    assert!(before.starts_with("in doubt"), "{before}");
    house.world().uninstall(&api()).unwrap();
    house.deliver();
    work_on(&house, Queue::Plan);
    assert_eq!(cancelled(&house), Vec::<String>::new());
    house.advance(Duration::from_secs(10));
    house.work();
    assert_eq!(house.end_of_story(), "triggered, run known: true");
    assert_eq!(house.started().len(), 1);
}

#[test]
fn a_delivery_that_waits_is_decided_later_and_starts_nothing_where_the_app_is_gone() {
    let house = House::settled();
    house.order("GET", CONTENTS, FaultKind::status(502));
    house.run();
    house.world().uninstall(&api()).unwrap();
    house.deliver();
    for _ in 0..100 {
        house.advance(Duration::from_secs(1));
        house.work();
    }
    // With a token that it still has, the App sees no file there any more.
    assert!(house.end_of_story().starts_with("planned: skipped source_policy_missing"), "{}", house.story());
    house.finish();
}

#[test]
fn a_revocation_is_done_once_and_others_of_its_kind_mean_nothing() {
    let house = waiting(1);
    house.world().set_suspended(&web().owner(), true).unwrap();
    let webhook = house.world().take_webhooks().remove(0);
    assert!(matches!(house.receive(&webhook).unwrap().outcome, ReceiptOutcome::Accepted(_)));
    work_on(&house, Queue::Plan);
    assert_eq!(cancelled(&house).len(), 1);
    house.world().set_suspended(&web().owner(), false).unwrap();
    let outcomes = house.deliver();
    assert!(
        matches!(&outcomes[..], [ReceiptOutcome::Ignored { event, .. }] if event == "installation"),
        "{outcomes:?}"
    );
    house.complete_run();
    house.deliver();
    // The webhook comes again, and cancels nothing again.
    assert!(matches!(house.receive(&webhook).unwrap().outcome, ReceiptOutcome::Known(_)));
    house.advance(Duration::from_secs(61));
    house.work();
    house.work();
    assert_eq!(house.started().len(), 1, "{}", house.story());
}

#[test]
fn the_attacker_sends_a_signed_body_under_the_name_of_a_revocation_and_nothing_is_cancelled() {
    let house = waiting(1);
    house.write(&api(), "dispatching.yml", OUTBOUND);
    house.world().complete_run(&api(), RunSpec::new("ci.yml", "main")).unwrap();
    let webhooks = house.world().take_webhooks();
    for mut webhook in webhooks {
        for name in ["installation", "installation_repositories"] {
            webhook.event = name.to_owned();
            let outcome = house.receive(&webhook).unwrap().outcome;
            assert!(matches!(outcome, ReceiptOutcome::Ignored { .. }), "{outcome:?}");
        }
    }
    house.work();
    assert_eq!(cancelled(&house), Vec::<String>::new());
    assert_eq!(house.started().len(), 1);
}
