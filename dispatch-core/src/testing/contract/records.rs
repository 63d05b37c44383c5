//! What is written comes back, all of a step or nothing of it.

use futures_util::future::join_all;

use super::asking::{add, count, put, rows, version};
use super::samples::{delivery, dispatch, event, ledger, place, received, recovery, report, repository, revocation};
use super::samples::{environment, proposal, pull_request, root_budget, run_record, sha};
use super::{LEASE, NOW};
use crate::decide::{Edge, EdgeKey, LaneKey};
use crate::delivery::DeliveryState;
use crate::dispatch::{DispatchState, Search, StartedRun};
use crate::environment::EnvironmentState;
use crate::name::{Branch, RepositoryId, RunId};
use crate::ports::store::{Commit, HeadKey, Record, RecordKey, StoreError, StorePort, Stored, Write};
use crate::projection::{Counter, DELIVERIES, EVERYTHING};
use crate::reason::Reason;
use crate::retry::later;

pub(super) async fn records_come_back_as_they_were_written(store: &impl StorePort) {
    let odd_branch = "release/$(id)'\"\\%_@>:ü🦀";
    let branch: Branch = odd_branch.parse().expect("a branch");
    let lane = LaneKey {
        source: place("acme/api", "ci.yml"),
        branch: Some(branch.clone()),
        target: place("acme/web", "cd.yml"),
    };
    let edge = EdgeKey { source: repository("acme/api"), target: repository("acme/web") };
    let head = HeadKey { repository: RepositoryId(7), branch, sha: sha() };
    let mut records = vec![
        Record::Delivery(Box::new(delivery("acme/api", 1, NOW))),
        Record::Edge(edge, Edge { source: RepositoryId(7), target: RepositoryId(u64::from(u32::MAX) + 8) }),
        Record::Lane(lane, 41),
        Record::Head(head, NOW),
        Record::Run(RunId(30_433_642_000), run_record()),
        Record::Target(place("acme/web", "cd.yml"), ledger()),
        Record::Root(event("acme/api", 1).identity(), root_budget()),
        Record::Revocation(Box::new(revocation())),
        Record::Report(Box::new(report())),
        Record::Proposal(Box::new(proposal(Some(NOW)))),
        Record::PullRequest(Box::new(pull_request(true))),
        Record::Environment(Box::new(environment(EnvironmentState::Destroying))),
        Record::Recovery(Box::new(recovery())),
        Record::Probe(NOW),
    ];
    records.extend(dispatches().chain(deliveries()));
    let writes = records.iter().map(|record| Write { record: record.clone(), expected: None }).collect();
    store.commit(Commit { writes, facts: Vec::new() }).await.expect("new records are written");

    let absent = RecordKey::Run(RunId(1));
    let mut keys: Vec<_> = records.iter().map(Record::key).collect();
    keys.insert(2, absent);
    let loaded = store.load(&keys).await.expect("loads");
    let mut expected: Vec<_> = records.into_iter().map(|record| Some(Stored { record, version: 1 })).collect();
    expected.insert(2, None);
    assert_eq!(loaded, expected, "records come back in the order of the keys, an absent one as none");
    assert_eq!(store.load(&[]).await, Ok(Vec::new()), "no keys, no records");
}

pub(super) async fn versions_count_up_and_are_compared(store: &impl StorePort) {
    let record = Record::Delivery(Box::new(delivery("acme/api", 1, NOW)));
    let key = record.key();
    put(store, &record, None).await.expect("a new record expects none");
    assert_eq!(put(store, &record, None).await, Err(StoreError::Conflict(key.clone())), "there is one already");
    assert_eq!(put(store, &record, Some(2)).await, Err(StoreError::Conflict(key.clone())), "a version too new");
    put(store, &record, Some(1)).await.expect("the right version");
    assert_eq!(put(store, &record, Some(1)).await, Err(StoreError::Conflict(key.clone())), "a version too old");
    assert_eq!(version(store, &key).await, Some(2));
    let absent = Record::Delivery(Box::new(delivery("acme/api", 2, NOW)));
    assert_eq!(put(store, &absent, Some(1)).await, Err(StoreError::Conflict(absent.key())), "there is none");
}

pub(super) async fn a_conflict_undoes_the_whole_step(store: &impl StorePort) {
    let (first, second) = (delivery("acme/api", 1, NOW), delivery("acme/api", 2, NOW));
    let [first_record, second_record] = [&first, &second].map(|d| Record::Delivery(Box::new(d.clone())));
    put(store, &second_record, None).await.expect("written");
    let writes = [&first_record, &second_record].map(|record| Write { record: record.clone(), expected: None });
    let commit = Commit { writes: writes.into(), facts: vec![received(&first)] };
    assert_eq!(store.commit(commit).await, Err(StoreError::Conflict(second_record.key())));
    assert_eq!(version(store, &first_record.key()).await, None, "the write before the conflict is undone");
    assert_eq!(count(store, Counter::Received).await, 0, "the fact is not counted");
    assert_eq!(rows(store, DELIVERIES, EVERYTHING).await.len(), 0, "the fact has no row");
    // The fact was not remembered as applied either.
    add(store, [received(&first)]).await;
    assert_eq!(count(store, Counter::Received).await, 1);
}

pub(super) async fn a_step_has_its_limits(store: &impl StorePort) {
    let write = |n| Write { record: Record::Run(RunId(n), run_record()), expected: None };
    let twice = Commit { writes: vec![write(1), write(1)], facts: Vec::new() };
    assert!(matches!(store.commit(twice).await, Err(StoreError::Illegal(_))), "a key twice in one step");
    let too_large = Commit { writes: (0..=100).map(write).collect(), facts: Vec::new() };
    assert!(matches!(store.commit(too_large).await, Err(StoreError::Illegal(_))), "101 writes in one step");
    assert_eq!(version(store, &RecordKey::Run(RunId(1))).await, None, "nothing of it was written");
    let full = Commit { writes: (0..99).map(write).collect(), facts: vec![received(&delivery("acme/api", 1, NOW))] };
    store.commit(full).await.expect("100 writes in one step");
}

pub(super) async fn of_those_who_write_a_new_key_at_once_one_succeeds(store: &impl StorePort) {
    let record = Record::Dispatch(Box::new(dispatch("acme/web", 1, NOW)));
    let results = join_all((0..20).map(|_| put(store, &record, None))).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "a key is claimed once");
    for refused in results.into_iter().filter_map(Result::err) {
        assert_eq!(refused, StoreError::Conflict(record.key()));
    }
    assert_eq!(version(store, &record.key()).await, Some(1));
}

/// A dispatch in each state.
fn dispatches() -> impl Iterator<Item = Record> {
    let (since, error) = (later(NOW, LEASE), "a \"reset\"\n\u{0}".to_owned());
    let first_at = later(since, LEASE);
    let search = Search { since, first_at: Some(first_at), empty_since: None, alone: Some((RunId(7), first_at)) };
    let run = StartedRun { id: RunId(u64::MAX >> 1), url: "https://github.com/acme/web/actions/runs/7".into() };
    let states = [
        DispatchState::Ready,
        DispatchState::Calling { since },
        DispatchState::Started { search },
        DispatchState::Triggered { run: Some(run) },
        DispatchState::Triggered { run: None },
        DispatchState::Refused { message: "no".into(), permission: Some("actions=write".into()) },
        DispatchState::InDoubt { search, error: error.clone() },
        DispatchState::Unknown { error: error.clone() },
        DispatchState::Cancelled { reason: Reason::EventTooOld, message: "too old".into() },
        DispatchState::Failed { error },
        DispatchState::Dropped,
    ];
    (1..).zip(states).map(|(n, state)| {
        let mut dispatch = dispatch("acme/web", n, NOW);
        (dispatch.doubts, dispatch.parked_at) = (1, state.is_parked().then_some(NOW));
        dispatch.state = state;
        Record::Dispatch(Box::new(dispatch))
    })
}

/// A delivery in each state but the first.
fn deliveries() -> impl Iterator<Item = Record> {
    let error = "no answer".to_owned();
    let states = [
        DeliveryState::Planned,
        DeliveryState::Noted,
        DeliveryState::Parked { reason: Some(Reason::EventTooOld), error: error.clone() },
        DeliveryState::Parked { reason: None, error },
        DeliveryState::Dropped,
    ];
    (2..).zip(states).map(|(n, state)| {
        let mut delivery = delivery("acme/api", n, NOW);
        (delivery.state, delivery.due, delivery.renewed_at) = (state, None, Some(later(NOW, LEASE)));
        Record::Delivery(Box::new(delivery))
    })
}
