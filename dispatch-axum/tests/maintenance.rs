//! The chores beside the work.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use dispatch_axum::maintenance::{Maintenance, MaintenanceOptions};
use dispatch_axum::store::SqliteStore;
use dispatch_core::Timestamp;
use dispatch_core::guardrail::Guardrails;
use dispatch_core::name::RepositoryId;
use dispatch_core::pipeline::Pipeline;
use dispatch_core::ports::delivery_log::{AttemptPage, DeliveryAttempt};
use dispatch_core::ports::store::{Commit, HeadKey, Record, RecordKey, Write};
use dispatch_core::ports::{BoundedPolicyMemory, DeliveryLogPort, GitHubError, StorePort};
use dispatch_core::retry::RetryPolicy;
use dispatch_core::testing::{World, WorldGitHub};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn ago(time: Duration) -> Timestamp {
    Timestamp::now().checked_sub(time).unwrap()
}

fn head(n: u64) -> HeadKey {
    let sha = "3484a3fb816e0859fd6e1cea078d76385ff50625".parse().unwrap();
    HeadKey { repository: RepositoryId(n), branch: "main".parse().unwrap(), sha }
}

/// The service's pipeline and its store, in a file of their own.
struct House {
    pipeline: Pipeline,
    store: Arc<SqliteStore>,
    folder: tempfile::TempDir,
}

impl House {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self::at("dispatch.sqlite", folder)
    }

    fn at(file: &str, folder: tempfile::TempDir) -> Self {
        let store = Arc::new(SqliteStore::open(folder.path().join(file)).unwrap());
        let pipeline = Pipeline {
            github: Arc::new(WorldGitHub::new(Arc::new(Mutex::new(World::new(Timestamp::now()))))),
            store: Arc::clone(&store) as Arc<dyn StorePort>,
            policies: Arc::new(BoundedPolicyMemory::new(1)),
            guardrails: Guardrails::from_settings(&[("OWNER_ALLOWLIST".to_owned(), "*".to_owned())].into()).unwrap(),
            retry: RetryPolicy::default(),
            settle: Pipeline::DEFAULT_SETTLE,
            max_event_age: Pipeline::DEFAULT_MAX_EVENT_AGE,
        };
        Self { pipeline, store, folder }
    }

    fn maintained(&self, log: Option<&Arc<Log>>, options: MaintenanceOptions) -> Maintenance {
        let log = log.map(|log| Arc::clone(log) as Arc<dyn DeliveryLogPort>);
        Maintenance::start(self.pipeline.clone(), Arc::clone(&self.store), log, options)
    }
}

/// GitHub's log with one attempt in it, and what was asked for again.
struct Log {
    attempt: DeliveryAttempt,
    asked: Mutex<Vec<u64>>,
    reads: AtomicU32,
}

impl Log {
    fn with(succeeded: bool) -> Arc<Self> {
        let attempt = DeliveryAttempt {
            id: 77,
            delivery: "72d3162e-cc78-11e3-81ab-4c9367dc0958".parse().unwrap(),
            delivered_at: ago(Duration::from_secs(60)),
            succeeded,
            status: if succeeded { "OK" } else { "timed out" }.to_owned(),
            event: "workflow_run".to_owned(),
            action: Some("completed".to_owned()),
            repository: Some(RepositoryId(1)),
        };
        Arc::new(Self { attempt, asked: Mutex::default(), reads: AtomicU32::new(0) })
    }

    fn asked(&self) -> Vec<u64> {
        self.asked.lock().unwrap().clone()
    }

    fn reads(&self) -> u32 {
        self.reads.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl DeliveryLogPort for Log {
    async fn attempts(&self, _: Option<&str>) -> Result<AttemptPage, GitHubError> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        Ok(AttemptPage { attempts: vec![self.attempt.clone()], next: None })
    }

    async fn redeliver(&self, attempt: u64) -> Result<(), GitHubError> {
        self.asked.lock().unwrap().push(attempt);
        Ok(())
    }
}

async fn eventually(what: &str, is_so: impl AsyncFn() -> bool) {
    let began = Instant::now();
    while !is_so().await {
        assert!(began.elapsed() < Duration::from_secs(10), "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
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
    let house = House::new();
    store_heads(&*house.store, 0..95, ago(91 * DAY)).await;
    store_heads(&*house.store, 95..100, ago(89 * DAY)).await;
    let pause = Duration::from_millis(20);
    let options = MaintenanceOptions { step: 10, pause, ..MaintenanceOptions::default() };
    let (began, maintenance) = (Instant::now(), house.maintained(None, options));
    eventually("they are deleted", async || kept(&*house.store, 0..95).await == 0).await;
    assert!(began.elapsed() >= 9 * pause, "ten steps, and a pause between them");
    assert_eq!(kept(&*house.store, 95..100).await, 5);
    maintenance.shutdown(Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_between_two_steps() {
    let house = House::new();
    store_heads(&*house.store, 0..20, ago(91 * DAY)).await;
    let options = MaintenanceOptions { step: 1, pause: Duration::from_secs(600), ..MaintenanceOptions::default() };
    let (began, maintenance) = (Instant::now(), house.maintained(None, options));
    eventually("the first is deleted", async || kept(&*house.store, 0..20).await < 20).await;
    maintenance.shutdown(Duration::from_secs(60)).await;
    assert!(began.elapsed() < Duration::from_secs(15), "it does not wait for the next step");
    assert_eq!(kept(&*house.store, 0..20).await, 19, "and begins no further one");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_looks_for_old_work_again_at_its_own_pace() {
    let house = House::new();
    let options = MaintenanceOptions { retire_every: Duration::from_millis(50), ..MaintenanceOptions::default() };
    let maintenance = house.maintained(None, options);
    for round in 0..3 {
        store_heads(&*house.store, round..round + 1, ago(91 * DAY)).await;
        eventually("it is deleted", async || kept(&*house.store, round..round + 1).await == 0).await;
    }
    maintenance.shutdown(Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_never_arrived_is_asked_for_at_start_and_looked_for_again_soon() {
    let (house, log) = (House::new(), Log::with(false));
    let options = MaintenanceOptions { recover_soon: Duration::from_millis(50), ..MaintenanceOptions::default() };
    let maintenance = house.maintained(Some(&log), options);
    eventually("it looks several times", async || log.reads() >= 3).await;
    assert_eq!(log.asked(), [77], "the same is not asked for again within a minute");
    maintenance.shutdown(Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_database_is_compared_once_with_what_was_delivered_after_the_copy() {
    let (live, log) = (House::new(), Log::with(true));
    let options = MaintenanceOptions { recover_every: Duration::from_millis(50), ..MaintenanceOptions::default() };
    let maintenance = live.maintained(Some(&log), options);
    eventually("it looks several times", async || log.reads() >= 3).await;
    assert_eq!(log.asked(), [0; 0], "GitHub says that it was delivered");
    maintenance.shutdown(Duration::from_secs(5)).await;

    live.store.backup(live.folder.path().join("copy.sqlite")).await.unwrap();
    let restored = House::at("copy.sqlite", live.folder);
    assert!(restored.store.was_restored());
    let maintenance = restored.maintained(Some(&log), options);
    eventually("it is asked for", async || log.asked() == [77]).await;
    eventually("the copy is a database like others", async || !restored.store.was_restored()).await;
    maintenance.shutdown(Duration::from_secs(5)).await;
}
