//! The chores beside the work.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use dispatch_axum::maintenance::{Maintenance, MaintenanceOptions};
use dispatch_axum::store::SqliteStore;
use dispatch_core::Timestamp;
use dispatch_core::name::RepositoryId;
use dispatch_core::ports::StorePort;
use dispatch_core::ports::store::{Commit, HeadKey, Record, RecordKey, Write};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn ago(time: Duration) -> Timestamp {
    Timestamp::now().checked_sub(time).unwrap()
}

fn head(n: u64) -> HeadKey {
    let sha = "3484a3fb816e0859fd6e1cea078d76385ff50625".parse().unwrap();
    HeadKey { repository: RepositoryId(n), branch: "main".parse().unwrap(), sha }
}

async fn store_heads(store: &dyn StorePort, numbers: std::ops::Range<u64>, at: Timestamp) {
    for n in numbers {
        let write = Write { record: Record::Head(head(n), at), expected: None };
        store.commit(Commit { writes: vec![write], facts: vec![] }).await.unwrap();
    }
}

async fn kept(store: &dyn StorePort, numbers: std::ops::Range<u64>) -> usize {
    let keys: Vec<_> = numbers.map(|n| RecordKey::Head(head(n))).collect();
    store.load(&keys).await.unwrap().into_iter().flatten().count()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_older_than_its_retention_is_deleted_in_small_steps_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let store: Arc<dyn StorePort> = Arc::new(SqliteStore::open(folder.path().join("dispatch.sqlite")).unwrap());
    store_heads(&*store, 0..95, ago(91 * DAY)).await;
    store_heads(&*store, 95..100, ago(89 * DAY)).await;
    let pause = Duration::from_millis(20);
    let options = MaintenanceOptions { step: 10, pause, ..MaintenanceOptions::default() };
    let (began, maintenance) = (Instant::now(), Maintenance::start(Arc::clone(&store), options));
    while kept(&*store, 0..95).await > 0 {
        assert!(began.elapsed() < Duration::from_secs(10));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(began.elapsed() >= 9 * pause, "ten steps, and a pause between them");
    assert_eq!(kept(&*store, 95..100).await, 5);
    maintenance.shutdown(Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_between_two_steps() {
    let folder = tempfile::tempdir().unwrap();
    let store: Arc<dyn StorePort> = Arc::new(SqliteStore::open(folder.path().join("dispatch.sqlite")).unwrap());
    store_heads(&*store, 0..20, ago(91 * DAY)).await;
    let options = MaintenanceOptions { step: 1, pause: Duration::from_secs(600), ..MaintenanceOptions::default() };
    let maintenance = Maintenance::start(Arc::clone(&store), options);
    let began = Instant::now();
    while kept(&*store, 0..20).await == 20 {
        assert!(began.elapsed() < Duration::from_secs(10));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    maintenance.shutdown(Duration::from_secs(60)).await;
    assert!(began.elapsed() < Duration::from_secs(10), "it does not wait for the next step");
    assert_eq!(kept(&*store, 0..20).await, 19, "and begins no further one");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_looks_again_at_its_own_pace() {
    let folder = tempfile::tempdir().unwrap();
    let store: Arc<dyn StorePort> = Arc::new(SqliteStore::open(folder.path().join("dispatch.sqlite")).unwrap());
    let options = MaintenanceOptions { retire_every: Duration::from_millis(50), ..MaintenanceOptions::default() };
    let maintenance = Maintenance::start(Arc::clone(&store), options);
    for round in 0..3 {
        store_heads(&*store, round..round + 1, ago(91 * DAY)).await;
        let began = Instant::now();
        while kept(&*store, round..round + 1).await > 0 {
            assert!(began.elapsed() < Duration::from_secs(10), "round {round}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    maintenance.shutdown(Duration::from_secs(5)).await;
}
