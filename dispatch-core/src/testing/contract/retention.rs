//! What was done with long ago goes, and nothing else.

use std::time::Duration;

use super::asking::{add, claim, count, put, rows, version};
use super::samples::{about_environment, environment, proposal, pull_request, root_budget, sha};
use super::samples::{delivery, dispatch, ledger, place, received, recovery, report, revocation, run_record};
use super::{LEASE, NOW};
use crate::Timestamp;
use crate::decide::{Edge, EdgeKey, LaneKey};
use crate::delivery::{Delivery, DeliveryState};
use crate::dispatch::{DispatchState, Search};
use crate::environment::EnvironmentState;
use crate::name::{RepositoryId, RunId};
use crate::ports::store::{HeadKey, Queue, Record, StoreError, StorePort};
use crate::projection::{Counter, DELIVERIES, ENVIRONMENTS, EVERYTHING, JOURNEY, PRESENT, journey_partition};
use crate::report::Report;
use crate::retry::later;
use crate::revocation::Revocation;

/// More than any step of these tests.
const ALL: usize = 1_000;

fn at(seconds: u64) -> Timestamp {
    later(NOW, Duration::from_secs(seconds))
}

/// A delivery that was done with then.
fn done(n: u64, seconds: u64) -> Record {
    Record::Delivery(Box::new(Delivery {
        state: DeliveryState::Noted,
        due: None,
        ..delivery("acme/api", n, at(seconds))
    }))
}

pub(super) async fn only_what_was_done_with_before_is_deleted(store: &impl StorePort) {
    let branch = "main".parse().expect("a branch");
    let mut triggered = dispatch("acme/web", 1, NOW);
    (triggered.state, triggered.due) = (DispatchState::Triggered { run: None }, None);
    let mut failed = dispatch("acme/web", 2, NOW);
    (failed.state, failed.due) = (DispatchState::Failed { error: "no answer".into() }, None);
    let mut failed_late = dispatch("acme/web", 3, NOW);
    (failed_late.state, failed_late.due, failed_late.parked_at) = (failed.state.clone(), None, Some(at(10)));
    let mut in_doubt = dispatch("acme/web", 4, NOW);
    in_doubt.state = DispatchState::InDoubt { search: Search::new(NOW), error: "reset".into() };
    let source = place("acme/api", "ci.yml");
    let goes = [
        done(1, 0),
        done(2, 9),
        Record::Dispatch(Box::new(triggered)),
        Record::Dispatch(Box::new(failed)),
        Record::Head(HeadKey { repository: RepositoryId(7), branch, sha: sha() }, NOW),
        Record::Run(RunId(1), run_record()),
        Record::Root(super::samples::event("acme/api", 1).identity(), root_budget()),
        Record::Revocation(Box::new(Revocation { due: None, ..revocation() })),
        Record::Proposal(Box::new(proposal(None))),
    ];
    let stays = [
        done(3, 10),
        Record::Delivery(Box::new(delivery("acme/api", 4, NOW))),
        Record::Dispatch(Box::new(failed_late)),
        Record::Dispatch(Box::new(in_doubt)),
        Record::Edge(
            EdgeKey { source: source.repository.clone(), target: source.repository.clone() },
            Edge { source: RepositoryId(1), target: RepositoryId(2) },
        ),
        Record::Lane(LaneKey { source: source.clone(), branch: None, target: source.clone() }, 1),
        Record::Target(source, ledger()),
        Record::Report(Box::new(Report { due: None, ..report() })),
        Record::Recovery(Box::new(recovery())),
        Record::Probe(NOW),
    ];
    for record in goes.iter().chain(&stays) {
        put(store, record, None).await.expect("written");
    }
    // Work that is old and held by somebody is work all the same.
    assert_eq!(claim(store, Queue::Plan, at(20), 1).await.len(), 1);
    assert_eq!(store.retire(at(10), ALL).await, Ok(goes.len()), "how many were deleted");
    for record in &goes {
        assert_eq!(version(store, &record.key()).await, None, "`{}` was done with before", record.key());
    }
    for record in &stays {
        assert!(version(store, &record.key()).await.is_some(), "`{}` stays", record.key());
    }
    assert_eq!(store.retire(at(10), ALL).await, Ok(0), "nothing is left");
    let waiting = claim(store, Queue::Plan, later(at(20), LEASE), 10).await.len();
    assert_eq!((waiting, claim(store, Queue::Dispatch, at(20), 10).await.len()), (1, 1), "what waits goes on");
}

pub(super) async fn environments_stay_until_they_are_destroyed(store: &impl StorePort) {
    for state in [EnvironmentState::Failed, EnvironmentState::Destroying, EnvironmentState::Live] {
        let there = Record::Environment(Box::new(environment(state)));
        put(store, &there, version(store, &there.key()).await).await.expect("written");
        assert_eq!(store.retire(at(10), ALL).await, Ok(0), "{state}");
    }
    let holding = Record::PullRequest(Box::new(pull_request(true)));
    put(store, &holding, None).await.expect("written");
    assert_eq!(store.retire(at(10), ALL).await, Ok(0), "whoever holds one is remembered");
    put(store, &Record::PullRequest(Box::new(pull_request(false))), Some(1)).await.expect("written");
    let gone = Record::Environment(Box::new(environment(EnvironmentState::Destroyed)));
    put(store, &gone, Some(3)).await.expect("written");
    assert_eq!(store.retire(at(10), ALL).await, Ok(2), "it is gone, and nobody holds it");
}

pub(super) async fn rows_of_environments_stay_until_they_are_destroyed(store: &impl StorePort) {
    add(store, [about_environment(1, at(1), EnvironmentState::Live)]).await;
    let deleted = store.retire(at(100), ALL).await.expect("retires");
    assert_eq!(deleted, 2, "the fact and its row of the journey");
    for partition in [EVERYTHING, PRESENT] {
        assert_eq!(rows(store, ENVIRONMENTS, partition).await.len(), 1, "{partition}: it is there, however old");
    }
    add(store, [about_environment(2, at(101), EnvironmentState::Destroyed)]).await;
    assert_eq!(rows(store, ENVIRONMENTS, PRESENT).await.len(), 0);
    assert_eq!(rows(store, ENVIRONMENTS, EVERYTHING).await.len(), 1, "it is still told that it was there");
    store.retire(at(200), ALL).await.expect("retires");
    assert_eq!(rows(store, ENVIRONMENTS, EVERYTHING).await.len(), 0);
}

pub(super) async fn the_oldest_goes_first_and_in_steps(store: &impl StorePort) {
    // Written in another order than that of their age, and of their keys.
    for (n, age) in [(1, 5), (2, 1), (3, 4), (4, 2), (5, 3), (6, 6)] {
        put(store, &done(n, age), None).await.expect("written");
    }
    let mut left = Vec::new();
    for expected in [2, 2, 1, 0] {
        assert_eq!(store.retire(at(6), 2).await, Ok(expected));
        let mut there = Vec::new();
        for n in 1..=6 {
            there.extend(version(store, &done(n, 0).key()).await.map(|_| n));
        }
        left.push(there);
    }
    assert_eq!(left, [vec![1, 3, 5, 6], vec![1, 6], vec![6], vec![6]]);
    assert_eq!(store.retire(at(100), 0).await, Ok(0), "a limit of nothing deletes nothing");
}

pub(super) async fn facts_and_rows_go_by_their_time_and_counters_stay(store: &impl StorePort) {
    for n in 0..4 {
        add(store, [received(&delivery("acme/api", n, at(n)))]).await;
    }
    let mut steps = Vec::new();
    loop {
        match store.retire(at(2), 1).await.expect("retires") {
            0 => break,
            deleted => steps.push(deleted),
        }
    }
    assert!(steps.iter().all(|step| *step <= 3), "at most one record, one fact and one row a step: {steps:?}");
    assert_eq!(steps.iter().sum::<usize>(), 6, "two facts, and two rows of each");
    assert_eq!(rows(store, DELIVERIES, EVERYTHING).await.len(), 2);
    for n in 0..4 {
        let journey = rows(store, JOURNEY, &journey_partition(&delivery("acme/api", n, NOW).key)).await;
        assert_eq!(journey.len(), usize::from(n >= 2), "delivery {n}");
    }
    assert_eq!(count(store, Counter::Received).await, 4, "what was counted stays counted");
    add(store, (0..4).skip(2).map(|n| received(&delivery("acme/api", n, at(n))))).await;
    assert_eq!(count(store, Counter::Received).await, 4, "facts that stay are still known");
}

pub(super) async fn what_is_left_keeps_its_keys(store: &impl StorePort) {
    put(store, &done(1, 0), None).await.expect("written");
    put(store, &done(2, 20), None).await.expect("written");
    assert_eq!(store.retire(at(10), ALL).await, Ok(1));
    let taken = done(2, 20);
    assert_eq!(put(store, &taken, None).await, Err(StoreError::Conflict(taken.key())), "its key is still taken");
    assert_eq!(put(store, &done(1, 0), Some(1)).await, Err(StoreError::Conflict(done(1, 0).key())), "it is gone");
    put(store, &done(1, 0), None).await.expect("what was deleted is new again");
}
