//! What was given up is listed, and the operator takes it up again or puts it away.

use std::time::Duration;

use dispatch_core::fact::Subject;
use dispatch_core::pipeline::ParkedOutcome;
use dispatch_core::ports::store::{Commit, Record, StorePort, ViewQuery};
use dispatch_core::projection::{EVERYTHING, PARKED, ParkedRow};
use dispatch_core::testing::MemoryStore;
use dispatch_core::testing::world::FaultKind;
use futures_util::FutureExt;

use crate::house::{CONTENTS, DISPATCHES, House, OUTBOUND, api, web};

const DAY: Duration = Duration::from_secs(24 * 60 * 60 + 1);

/// What is listed as parked.
fn listed(store: &impl StorePort) -> Vec<ParkedRow> {
    let query = ViewQuery { view: PARKED, partition: EVERYTHING.to_owned(), before: None, limit: 100 };
    let rows = store.rows(query).now_or_never().unwrap().unwrap();
    rows.iter().map(|row| row.read().unwrap()).collect()
}

/// The one thing that is parked, and why in one word.
fn only(house: &House) -> (Subject, String) {
    let mut rows = listed(&*house.store);
    assert_eq!(rows.len(), 1, "{rows:?}\n{}", house.story());
    let row = rows.remove(0);
    (row.subject, row.kind)
}

fn retry(house: &House, subject: &Subject) -> ParkedOutcome {
    house.pipeline.retry_parked(subject, house.now()).now_or_never().unwrap().unwrap()
}

fn put_away(house: &House, subject: &Subject) -> ParkedOutcome {
    house.pipeline.drop_parked(subject, house.now()).now_or_never().unwrap().unwrap()
}

/// A delivery whose policy GitHub does not let us read.
fn unreadable() -> House {
    let house = House::settled();
    house.order("GET", CONTENTS, FaultKind::status(403));
    house.run();
    house
}

/// A dispatch that GitHub refused.
fn refused() -> House {
    let house = House::settled();
    house.order("POST", DISPATCHES, FaultKind::status(422));
    house.run();
    house
}

#[test]
fn a_delivery_that_was_given_up_is_decided_about_when_the_operator_says_so() {
    let house = unreadable();
    let (subject, kind) = only(&house);
    assert_eq!((subject.dispatch.is_some(), kind.as_str()), (false, "parked"));
    house.advance(Duration::from_secs(60));
    assert_eq!(retry(&house, &subject), ParkedOutcome::Done);
    assert_eq!(listed(&*house.store), []);
    house.work();
    assert_eq!(house.started(), ["octo-org/web cd.yml"], "{}", house.story());
}

#[test]
fn a_plan_that_is_too_large_for_the_store_is_given_up_and_can_be_taken_up_again_with_a_smaller_one() {
    let house = House::settled();
    let large = OUTBOUND.replace("'{{ source.sha }}'", &"x".repeat(1_000));
    house.write(&api(), "dispatching.yml", &large);
    house.complete_run();
    house.deliver();
    house.store.takes_at_most(1_500);
    house.work();
    let (subject, _) = only(&house);
    assert_eq!(house.end_of_story(), "parked: the step cannot be stored: a fact is too large");
    assert_eq!(house.started(), [""; 0]);

    house.write(&api(), "dispatching.yml", OUTBOUND);
    house.deliver();
    assert_eq!(retry(&house, &subject), ParkedOutcome::Done);
    house.work();
    assert_eq!(house.started(), ["octo-org/web cd.yml"], "{}", house.story());
}

#[test]
fn a_refused_dispatch_is_decided_again_and_called_again_when_the_operator_says_so() {
    let house = refused();
    let (subject, kind) = only(&house);
    assert_eq!((subject.dispatch.is_some(), kind.as_str()), (true, "refused"));
    house.requests();
    assert_eq!(retry(&house, &subject), ParkedOutcome::Done);
    assert_eq!(listed(&*house.store), []);
    house.work();
    let reads = house.requests().iter().filter(|line| line.contains("/contents/")).count();
    assert_eq!(reads, 2, "consent is asked for again");
    assert_eq!(house.started(), ["octo-org/web cd.yml"]);
}

#[test]
fn a_retried_dispatch_without_consent_is_cancelled() {
    let house = refused();
    house.write(&web(), "dispatching.yml", "inbound: []\n");
    house.deliver();
    assert_eq!(retry(&house, &only(&house).0), ParkedOutcome::Done);
    house.work();
    assert!(house.end_of_story().starts_with("cancelled: consent_withdrawn"), "{}", house.story());
    assert_eq!(listed(&*house.store), [], "that is an end, and nobody has to act");
    house.finish();
}

#[test]
fn an_event_that_is_too_old_is_parked_without_a_plan_and_counts_as_new_when_the_operator_wants_it() {
    let house = House::settled();
    house.complete_run();
    house.deliver();
    house.advance(DAY);
    house.work();
    let (subject, kind) = only(&house);
    assert_eq!(kind, "event_too_old");
    assert!(house.end_of_story().starts_with("parked: the run ended at 2026-01-01T00:00:00Z"), "{}", house.story());
    assert_eq!(retry(&house, &subject), ParkedOutcome::Done);
    house.order("POST", DISPATCHES, FaultKind::status(502));
    house.work();
    // A re-decision knows too that it is wanted.
    for _ in 0..70 {
        house.advance(Duration::from_secs(10));
        house.work();
    }
    assert_eq!(house.started(), ["octo-org/web cd.yml"], "{}", house.story());
}

#[test]
fn a_dispatch_that_waited_until_it_was_too_old_is_wanted_again_with_its_delivery() {
    let house = House::settled();
    let limited = FaultKind::RateLimited { retry_after: Some(30), reset_in: None, secondary: true };
    house.order("POST", DISPATCHES, limited);
    house.run();
    house.advance(DAY);
    house.work();
    let (subject, kind) = only(&house);
    assert_eq!((subject.dispatch.is_some(), kind.as_str()), (true, "event_too_old"));
    assert_eq!(retry(&house, &subject), ParkedOutcome::Done);
    house.work();
    assert_eq!(house.started(), ["octo-org/web cd.yml"], "{}", house.story());
    let renewed = |record: Record| if let Record::Delivery(delivery) = record { delivery.renewed_at } else { None };
    assert_eq!(house.store.inner.records().into_iter().find_map(renewed), Some(house.now()));
}

#[test]
fn a_refused_dispatch_that_is_old_by_now_is_wanted_as_well() {
    let house = refused();
    house.advance(DAY);
    assert_eq!(retry(&house, &only(&house).0), ParkedOutcome::Done);
    house.work();
    assert_eq!(house.started(), ["octo-org/web cd.yml"], "{}", house.story());
}

#[test]
fn what_is_put_away_is_not_listed_and_never_done() {
    for house in [unreadable(), refused()] {
        let (subject, _) = only(&house);
        assert_eq!(put_away(&house, &subject), ParkedOutcome::Done);
        assert_eq!(listed(&*house.store), []);
        house.advance(Duration::from_secs(3_600));
        house.work();
        assert_eq!(retry(&house, &subject), ParkedOutcome::NotParked, "it is gone for good");
        assert_eq!(put_away(&house, &subject), ParkedOutcome::NotParked);
        house.finish();
    }
}

#[test]
fn only_what_is_parked_can_be_taken_up_or_put_away() {
    let house = House::settled();
    house.run();
    assert_eq!(house.started().len(), 1);
    let subjects: Vec<Subject> = house.store.inner.facts().into_iter().map(|fact| fact.subject).collect();
    let (facts, records) = (house.store.inner.facts(), house.store.inner.records());
    for subject in subjects {
        assert_eq!(retry(&house, &subject), ParkedOutcome::NotParked, "{subject}");
        assert_eq!(put_away(&house, &subject), ParkedOutcome::NotParked, "{subject}");
        let mut unknown = subject;
        unknown.delivery.id = "unknown".parse().unwrap();
        if unknown.dispatch.is_none() {
            assert_eq!(retry(&house, &unknown), ParkedOutcome::NotFound);
        }
    }
    assert_eq!((house.store.inner.facts(), house.store.inner.records()), (facts, records), "nothing was changed");
}

#[test]
fn somebody_else_s_change_is_not_overwritten() {
    let house = refused();
    let (subject, _) = only(&house);
    let stored = house.store.inner.records();
    let dispatch = stored.into_iter().find(|record| matches!(record, Record::Dispatch(_))).unwrap();
    house.store.beat(dispatch);
    assert_eq!(retry(&house, &subject), ParkedOutcome::Done, "it is looked at again, and is still parked");
    let Record::Dispatch(mut done) =
        house.store.inner.records().into_iter().find(|record| matches!(record, Record::Dispatch(_))).unwrap()
    else {
        panic!("no dispatch")
    };
    done.state = dispatch_core::dispatch::DispatchState::Dropped;
    let house = refused();
    house.store.beat(Record::Dispatch(done));
    assert_eq!(retry(&house, &only(&house).0), ParkedOutcome::NotParked);
}

#[test]
fn exactly_what_is_parked_now_is_listed_in_whatever_order_the_facts_come() {
    let mut facts = Vec::new();
    for act in [retry, put_away] {
        for house in [unreadable(), refused()] {
            act(&house, &only(&house).0);
            facts.push(house.store.inner.facts());
        }
    }
    let house = refused();
    let (parked, _) = only(&house);
    for facts in facts {
        let backwards = MemoryStore::new();
        for fact in facts.into_iter().rev() {
            backwards.commit(Commit { writes: Vec::new(), facts: vec![fact] }).now_or_never().unwrap().unwrap();
        }
        assert_eq!(listed(&backwards), []);
    }
    let backwards = MemoryStore::new();
    for fact in house.store.inner.facts().into_iter().rev() {
        backwards.commit(Commit { writes: Vec::new(), facts: vec![fact] }).now_or_never().unwrap().unwrap();
    }
    assert_eq!(listed(&backwards).remove(0).subject, parked);
}
