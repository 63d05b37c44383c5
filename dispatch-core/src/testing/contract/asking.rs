//! Questions to a store, short enough to read past.

use super::LEASE;
use crate::Timestamp;
use crate::fact::Fact;
use crate::ports::store::{
    Claim, Commit, Queue, Record, RecordKey, StoreError, StorePort, Stored, Take, Taken, ViewQuery, WaitingQuery, Write,
};
use crate::projection::{Counter, ViewRow};

pub(super) async fn put(store: &impl StorePort, record: &Record, expected: Option<u64>) -> Result<(), StoreError> {
    let write = Write { record: record.clone(), expected };
    store.commit(Commit { writes: vec![write], facts: Vec::new() }).await
}

pub(super) async fn version(store: &impl StorePort, key: &RecordKey) -> Option<u64> {
    let loaded = store.load(std::slice::from_ref(key)).await.expect("loads");
    loaded.into_iter().next().flatten().map(|stored| stored.version)
}

pub(super) async fn claim(store: &impl StorePort, queue: Queue, now: Timestamp, limit: usize) -> Vec<Stored> {
    store.claim(Claim { queue, now, lease: LEASE, limit, per_lane: 100 }).await.expect("claims")
}

pub(super) async fn take(store: &impl StorePort, key: &RecordKey, now: Timestamp) -> Taken {
    store.take(Take { key: key.clone(), now, lease: LEASE }).await.expect("takes")
}

pub(super) async fn count(store: &impl StorePort, counter: Counter) -> u64 {
    store.counters(&[counter.to_string()]).await.expect("counters").into_iter().sum()
}

pub(super) async fn rows(store: &impl StorePort, view: &'static str, partition: &str) -> Vec<ViewRow> {
    let query = ViewQuery { view, partition: partition.to_owned(), before: None, limit: 1_000 };
    store.rows(query).await.expect("rows")
}

/// The numbers that the records were made with, in the order in which they came.
pub(super) fn numbers(claimed: &[Stored]) -> Vec<u64> {
    let number = |stored: &Stored| match &stored.record {
        Record::Delivery(delivery) => delivery.key.body_sha256.parse().ok(),
        Record::Dispatch(dispatch) => dispatch.delivery.body_sha256.parse().ok(),
        _ => None,
    };
    claimed.iter().filter_map(number).collect()
}

pub(super) async fn add(store: &impl StorePort, facts: impl IntoIterator<Item = Fact>) {
    let facts = facts.into_iter().collect();
    store.commit(Commit { writes: Vec::new(), facts }).await.expect("facts are added");
}

/// Every record that waits in the queue, read in pages of that size.
pub(super) async fn waiting(store: &impl StorePort, queue: Queue, page: usize) -> Vec<Stored> {
    let (mut after, mut all) = (None, Vec::new());
    loop {
        let query = WaitingQuery { queue, after: after.take(), limit: page };
        let found = store.waiting(query).await.expect("waiting work");
        assert!(found.len() <= page, "a page has no more than was asked for");
        let Some(last) = found.last() else { return all };
        after = Some(last.record.key().to_string());
        all.extend(found);
    }
}
