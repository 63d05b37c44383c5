//! Work is held by one at a time.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;

use super::asking::{claim, numbers, put, take, version};
use super::samples::{delivery, dispatch};
use super::{LEASE, NOW};
use crate::dispatch::DispatchState;
use crate::ports::store::{Claim, Queue, Record, StoreError, StorePort, Stored, Taken};
use crate::retry::later;

pub(super) async fn a_claim_leases_until_its_end(store: &impl StorePort) {
    let record = Record::Delivery(Box::new(delivery("acme/api", 1, NOW)));
    put(store, &record, None).await.expect("written");
    let claimed = claim(store, Queue::Plan, NOW, 10).await;
    assert_eq!(claimed, [Stored { record: record.clone(), version: 2 }], "a claim counts the version up");
    assert_eq!(version(store, &record.key()).await, Some(2));
    let end = later(NOW, LEASE);
    let just_before = later(NOW, LEASE - Duration::from_millis(1));
    assert_eq!(claim(store, Queue::Plan, just_before, 10).await, [], "leased to somebody else");
    let again = claim(store, Queue::Plan, end, 10).await;
    assert_eq!(again, [Stored { record: record.clone(), version: 3 }], "it comes back when its lease ends");
    let late = put(store, &record, Some(2)).await;
    assert_eq!(late, Err(StoreError::Conflict(record.key())), "who lost the lease cannot write any more");
}

pub(super) async fn what_comes_back_is_due_when_its_lease_ends(store: &impl StorePort) {
    put(store, &Record::Delivery(Box::new(delivery("acme/api", 1, NOW))), None).await.expect("written");
    assert_eq!(numbers(&claim(store, Queue::Plan, NOW, 10).await), [1]);
    for (n, due) in [(2, later(NOW, LEASE * 2)), (3, later(NOW, LEASE / 2))] {
        put(store, &Record::Delivery(Box::new(delivery("acme/api", n, due))), None).await.expect("written");
    }
    let order = numbers(&claim(store, Queue::Plan, later(NOW, LEASE * 2), 10).await);
    assert_eq!(order, [3, 1, 2], "work that nobody could do does not hold up what was due meanwhile");
}

pub(super) async fn a_commit_moves_claimed_work_on(store: &impl StorePort) {
    let mut waiting = delivery("acme/api", 1, NOW);
    put(store, &Record::Delivery(Box::new(waiting.clone())), None).await.expect("written");
    claim(store, Queue::Plan, NOW, 10).await;
    let soon = later(NOW, Duration::from_secs(5));
    waiting.due = Some(soon);
    put(store, &Record::Delivery(Box::new(waiting.clone())), Some(2)).await.expect("put back");
    assert_eq!(claim(store, Queue::Plan, NOW, 10).await, [], "not due yet");
    assert_eq!(claim(store, Queue::Plan, soon, 10).await.len(), 1, "due before the old lease would have ended");
    waiting.due = None;
    put(store, &Record::Delivery(Box::new(waiting)), Some(4)).await.expect("done");
    let much_later = later(NOW, LEASE * 1_000);
    assert_eq!(claim(store, Queue::Plan, much_later, 10).await, [], "what is done never comes back");
}

pub(super) async fn only_due_work_of_the_queue_is_claimed(store: &impl StorePort) {
    let at = |seconds| later(NOW, Duration::from_secs(seconds));
    for (n, due) in [(1, at(3)), (2, at(1)), (3, at(2)), (4, at(9))] {
        put(store, &Record::Delivery(Box::new(delivery("acme/api", n, due))), None).await.expect("written");
    }
    put(store, &Record::Dispatch(Box::new(dispatch("acme/web", 1, NOW))), None).await.expect("written");
    assert_eq!(numbers(&claim(store, Queue::Plan, at(5), 2).await), [2, 3], "the earliest first, as many as asked for");
    assert_eq!(numbers(&claim(store, Queue::Plan, at(5), 2).await), [1], "the rest that is due");
    assert_eq!(numbers(&claim(store, Queue::Dispatch, at(5), 9).await), [1], "each queue has its own work");
    assert_eq!(claim(store, Queue::Plan, at(5), 0).await, [], "nothing asked for, nothing claimed");
}

pub(super) async fn lanes_take_turns(store: &impl StorePort) {
    for n in 0..20 {
        put(store, &Record::Delivery(Box::new(delivery("Flood/api", n, NOW))), None).await.expect("written");
    }
    for (n, owner) in [(100, "calm/api"), (101, "Calm/web"), (102, "other/api")] {
        let due = later(NOW, Duration::from_secs(n));
        put(store, &Record::Delivery(Box::new(delivery(owner, n, due))), None).await.expect("written");
    }
    let claimed = numbers(&claim(store, Queue::Plan, later(NOW, Duration::from_secs(200)), 5).await);
    for n in [100, 101, 102] {
        assert!(claimed.contains(&n), "a flood holds up nobody else: {n} is not among {claimed:?}");
    }
    assert_eq!(claimed.len(), 5, "what the others leave, the flood gets");
}

pub(super) async fn a_lane_has_no_more_work_at_once_than_it_may(store: &impl StorePort) {
    for n in 0..6 {
        put(store, &Record::Dispatch(Box::new(dispatch("acme/web", n, NOW))), None).await.expect("written");
    }
    put(store, &Record::Dispatch(Box::new(dispatch("acme/api", 9, NOW))), None).await.expect("written");
    let ask = Claim { queue: Queue::Dispatch, now: NOW, lease: LEASE, limit: 10, per_lane: 2 };
    let first = store.claim(ask).await.expect("claims");
    assert_eq!(first.len(), 3, "two of the one repository, one of the other");
    assert_eq!(store.claim(ask).await.expect("claims"), [], "both of its places are taken");
    let Some(Stored { record: Record::Dispatch(mut done), version }) =
        first.into_iter().find(|stored| stored.record.work().is_some_and(|work| work.lane == "acme/web"))
    else {
        panic!("a dispatch to the busy repository was claimed");
    };
    done.state = DispatchState::Calling { since: NOW };
    done.due = Some(later(NOW, LEASE / 2));
    put(store, &Record::Dispatch(done.clone()), Some(version)).await.expect("a call begins");
    assert_eq!(store.claim(ask).await.expect("claims"), [], "a call that began keeps its place");
    done.due = None;
    put(store, &Record::Dispatch(done), Some(version + 1)).await.expect("done");
    assert_eq!(store.claim(ask).await.expect("claims").len(), 1, "a place is free again");
    let ended = Claim { now: later(NOW, LEASE), ..ask };
    assert_eq!(store.claim(ended).await.expect("claims").len(), 3, "an ended lease takes no place");
}

pub(super) async fn claimers_at_the_same_time_never_get_the_same_work(store: &impl StorePort) {
    for n in 0..40 {
        let name = if n % 2 == 0 { "acme/web" } else { "acme/api" };
        put(store, &Record::Dispatch(Box::new(dispatch(name, n, NOW))), None).await.expect("written");
    }
    let claimed = join_all((0..12).map(|_| claim(store, Queue::Dispatch, NOW, 4))).await;
    let all: Vec<_> = claimed.iter().flat_map(|claimed| numbers(claimed)).collect();
    assert_eq!(all.len(), all.iter().collect::<BTreeSet<_>>().len(), "nothing is held twice: {all:?}");
    assert_eq!(all.iter().copied().collect::<BTreeSet<_>>(), (0..40).collect(), "and nothing is left");
    assert_eq!(claim(store, Queue::Dispatch, NOW, 99).await, []);
    let held = claimed.into_iter().flatten().next().expect("something was claimed");
    let ended = later(NOW, LEASE);
    let again = claim(store, Queue::Dispatch, ended, 99).await;
    assert_eq!(again.len(), 40, "all of it comes back");
    let late = put(store, &held.record, Some(held.version)).await;
    assert_eq!(late, Err(StoreError::Conflict(held.record.key())), "the one who held it before cannot write");
}

pub(super) async fn work_is_taken_by_its_key_when_it_is_due(store: &impl StorePort) {
    let (due, end) = (later(NOW, LEASE), later(NOW, LEASE * 2));
    let mut waiting = delivery("acme/api", 1, due);
    let record = Record::Delivery(Box::new(waiting.clone()));
    let key = record.key();
    assert_eq!(take(store, &key, NOW).await, Taken::Nothing, "it is not there");
    put(store, &record, None).await.expect("written");
    assert_eq!(take(store, &key, NOW).await, Taken::NotBefore(due));
    let taken = Taken::Work(Box::new(Stored { record: record.clone(), version: 2 }));
    assert_eq!(take(store, &key, due).await, taken, "due, and its version counted up");
    assert_eq!(take(store, &key, due).await, Taken::NotBefore(end), "leased to somebody else");
    assert_eq!(claim(store, Queue::Plan, due, 10).await, [], "from claims, too");
    let again = Taken::Work(Box::new(Stored { record: record.clone(), version: 3 }));
    assert_eq!(take(store, &key, end).await, again, "it comes back when its lease ends");
    let late = put(store, &record, Some(2)).await;
    assert_eq!(late, Err(StoreError::Conflict(key.clone())), "who lost the lease cannot write any more");
    waiting.due = None;
    put(store, &Record::Delivery(Box::new(waiting)), Some(3)).await.expect("done");
    assert_eq!(take(store, &key, later(end, LEASE)).await, Taken::Nothing, "it is done with");
    put(store, &Record::Dispatch(Box::new(dispatch("acme/web", 1, NOW))), None).await.expect("written");
    let claimed = claim(store, Queue::Dispatch, NOW, 10).await;
    let held = take(store, &claimed.first().expect("claimed").record.key(), NOW).await;
    assert_eq!(held, Taken::NotBefore(due), "what was claimed is not taken");
}

pub(super) async fn of_those_who_take_the_same_work_at_once_one_gets_it(store: &impl StorePort) {
    let record = Record::Delivery(Box::new(delivery("acme/api", 1, NOW)));
    put(store, &record, None).await.expect("written");
    let key = record.key();
    let taken = join_all((0..12).map(|_| take(store, &key, NOW))).await;
    let got = taken.iter().filter(|taken| matches!(taken, Taken::Work(_))).count();
    assert_eq!(got, 1, "{taken:?}");
    let others = taken.iter().filter(|taken| **taken == Taken::NotBefore(later(NOW, LEASE))).count();
    assert_eq!(others, 11, "{taken:?}");
}
