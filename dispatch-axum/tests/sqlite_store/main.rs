//! The SQLite store keeps the contract of stores, and what it answered survives.
#![cfg(feature = "sqlite")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests"
)]

mod backup;
mod model;
mod upgrade;

use std::sync::atomic::{AtomicU32, Ordering};

use dispatch_axum::store::SqliteStore;
use dispatch_core::Timestamp;
use dispatch_core::chain::{Chain, Place};
use dispatch_core::delivery::DeliveryKey;
use dispatch_core::dispatch::DispatchKey;
use dispatch_core::name::{InstallationId, RunId};
use dispatch_core::ports::store::{
    Claim, Commit, Queue, Record, RecordKey, RunRecord, StoreError, StorePort, Stored, Write,
};
use dispatch_core::revocation::{AccessLost, Extent, Revocation};
use dispatch_core::testing::contract::store_contract;

pub(crate) fn record(run: u64) -> Record {
    let place: Place = serde_json::from_str(r#"{"repository": "acme/api", "start": {"workflow": "ci.yml"}}"#).unwrap();
    let root: dispatch_core::event::EventIdentity = serde_json::from_str(r#""workflow_run:1:2:3""#).unwrap();
    let dispatch = DispatchKey { event: root.clone(), target: place.clone() };
    Record::Run(RunId(run), RunRecord { chain: Chain::root(root, place), dispatch, at: Timestamp::UNIX_EPOCH })
}

pub(crate) async fn put(store: &SqliteStore, record: Record) -> Result<(), StoreError> {
    store.commit(Commit { writes: vec![Write { record, expected: None }], facts: Vec::new() }).await
}

#[tokio::test]
async fn it_keeps_the_contract_of_stores() {
    let directory = tempfile::tempdir().unwrap();
    let number = AtomicU32::new(0);
    store_contract(async || {
        let name = format!("{}.sqlite", number.fetch_add(1, Ordering::Relaxed));
        SqliteStore::open(directory.path().join(name)).unwrap()
    })
    .await;
}

#[tokio::test]
async fn what_was_stored_is_there_when_the_file_is_opened_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("dispatch.sqlite");
    let store = SqliteStore::open(&path).unwrap();
    put(&store, record(7)).await.unwrap();
    drop(store);
    let store = SqliteStore::open(&path).unwrap();
    let loaded = store.load(&[RecordKey::Run(RunId(7))]).await.unwrap();
    assert_eq!(loaded, [Some(Stored { record: record(7), version: 1 })]);
}

#[tokio::test]
async fn a_step_in_a_group_fails_alone() {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(directory.path().join("dispatch.sqlite")).unwrap();
    // All wait at once, so that they share transactions; every second one writes a record that is there already.
    let steps = (0..200).map(|n| put(&store, record(n / 2)));
    let results = futures_util::future::join_all(steps).await;
    let refused = results.iter().filter(|result| matches!(result, Err(StoreError::Conflict(_)))).count();
    assert_eq!((refused, results.iter().filter(|result| result.is_ok()).count()), (100, 100));
    let keys: Vec<_> = (0..100).map(|n| RecordKey::Run(RunId(n))).collect();
    assert!(store.load(&keys).await.unwrap().iter().all(Option::is_some));
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_of_the_process_can_read_the_files() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("dispatch.sqlite");
    std::fs::write(&path, "").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let store = SqliteStore::open(&path).unwrap();
    put(&store, record(7)).await.unwrap();
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", entry.path().display());
    }
}

#[tokio::test]
async fn what_cannot_be_opened_says_why() {
    let directory = tempfile::tempdir().unwrap();
    let garbage = directory.path().join("garbage.sqlite");
    std::fs::write(&garbage, "this is no database, and it is long enough to be looked at as one".repeat(20)).unwrap();
    let newer = directory.path().join("newer.sqlite");
    rusqlite::Connection::open(&newer).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let cases = [
        (directory.path().join("absent").join("dispatch.sqlite"), "No such file"),
        (garbage, "not a database"),
        (newer, "it has schema version 99, and this release knows versions up to 2"),
    ];
    for (path, expected) in cases {
        let error = SqliteStore::open(&path).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

/// Something to do, due at that time.
fn work(id: &str, due: Timestamp) -> Record {
    let lost =
        AccessLost { installation: InstallationId(1), account: "acme".parse().unwrap(), extent: Extent::Installation };
    let key = DeliveryKey { id: id.parse().unwrap(), body_sha256: String::new() };
    Record::Revocation(Box::new(Revocation { key, lost, received_at: due, due: Some(due), after: None }))
}

#[tokio::test]
async fn who_works_alone_goes_on_at_once_with_what_a_process_that_ended_was_at() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("dispatch.sqlite");
    let now: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
    let later = now + std::time::Duration::from_secs(1);
    let lease = std::time::Duration::from_secs(120);
    let claim = |now| Claim { queue: Queue::Plan, now, lease, limit: 10, per_lane: 10 };
    let keys = |claimed: Vec<Stored>| claimed.iter().map(|stored| stored.record.key()).collect::<Vec<_>>();
    let (begun, put_back) = (work("begun", now), work("put-back", now + lease / 2));

    let store = SqliteStore::open(&path).unwrap();
    put(&store, begun.clone()).await.unwrap();
    put(&store, put_back).await.unwrap();
    assert_eq!(keys(store.claim(claim(now)).await.unwrap()), [begun.key()]);
    drop(store);

    let store = SqliteStore::open(&path).unwrap();
    assert_eq!(keys(store.claim(claim(later)).await.unwrap()), [], "somebody may still be at it");
    drop(store);
    let store = SqliteStore::open_alone(&path, later).unwrap();
    assert_eq!(keys(store.claim(claim(later)).await.unwrap()), [begun.key()]);
}
