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
use dispatch_core::chain::Place;
use dispatch_core::delivery::DeliveryKey;
use dispatch_core::dispatch::DispatchKey;
use dispatch_core::environment::{
    Environment, EnvironmentDescription, EnvironmentKey, EnvironmentOrigin, EnvironmentUse, Leaves, StepEnd,
};
use dispatch_core::fact::{EnvironmentChange, Fact, FactBody, Subject};
use dispatch_core::guardrail::Guardrails;
use dispatch_core::name::{PullRequestNumber, Repository, RepositoryId};
use dispatch_core::pipeline::Pipeline;
use dispatch_core::policy::{EnvironmentAction, Start};
use dispatch_core::ports::delivery_log::{AttemptPage, DeliveryAttempt};
use dispatch_core::ports::github::RepositoryRef;
use dispatch_core::ports::store::{Commit, HeadKey, Queue, Record, RecordKey, WaitingQuery, Write};
use dispatch_core::ports::{BoundedPolicyMemory, DeliveryLogPort, GitHubError, StorePort};
use dispatch_core::projection::EnvironmentRow;
use dispatch_core::retry::RetryPolicy;
use dispatch_core::testing::world::{PullRequestSpec, RepositoryOptions};
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
        Self::over(file, folder, Arc::new(Mutex::new(World::new(Timestamp::now()))))
    }

    /// With the world that its GitHub is.
    fn with_world() -> (Self, Arc<Mutex<World>>) {
        let world = Arc::new(Mutex::new(World::new(Timestamp::now())));
        (Self::over("dispatch.sqlite", tempfile::tempdir().unwrap(), Arc::clone(&world)), world)
    }

    fn over(file: &str, folder: tempfile::TempDir, world: Arc<Mutex<World>>) -> Self {
        let store = Arc::new(SqliteStore::open(folder.path().join(file)).unwrap());
        let pipeline = Pipeline {
            github: Arc::new(WorldGitHub::new(world)),
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

/// Environments of a pull request that was closed: one whose time is over, and one that has time.
async fn environments_of_a_closed_pull_request(house: &House, world: &Mutex<World>) -> Vec<String> {
    let source = {
        let mut world = world.lock().unwrap();
        let name: Repository = "acme/api".parse().unwrap();
        let id = world.add_repository(&name, RepositoryOptions::default()).unwrap();
        world.open_pull_request(&name, PullRequestSpec::new("topic")).unwrap();
        world.close_pull_request(&name, 1, false).unwrap();
        RepositoryRef { id, name }
    };
    let origin = EnvironmentOrigin { default_branch: "main".parse().unwrap(), private: false, installation: None };
    for (name, ttl) in [("expired", Some(Duration::from_secs(60 * 60))), ("forgotten", None)] {
        let key = EnvironmentKey { repository: "acme/infra".parse().unwrap(), name: name.parse().unwrap() };
        let description = EnvironmentDescription {
            base: "main".parse().unwrap(),
            deploy: "topic".to_owned(),
            url: None,
            links: [].into(),
            cleanup: None,
            ttl,
        };
        let (pull_request, at) = (PullRequestNumber(1), ago(DAY));
        let action = EnvironmentAction::Create;
        let wish = EnvironmentUse { key: key.clone(), action, pull_request, description, keep: false, at };
        let event = serde_json::from_value(name.into()).unwrap();
        let start = Start::Workflow("create.yml".parse().unwrap());
        let dispatch = DispatchKey { event, target: Place { repository: key.repository.clone(), start } };
        let whose = Leaves::ThePullRequest;
        let mut environment = Environment::wish(None, (&source, &origin), &wish, whose, &dispatch, at).unwrap();
        environment.begin(&wish, &dispatch, at);
        environment.end(&dispatch, StepEnd::Done, at);
        let delivery = DeliveryKey { id: name.parse().unwrap(), body_sha256: "0".repeat(64) };
        let row = Box::new(EnvironmentRow::new(&environment));
        let body = FactBody::EnvironmentChanged { change: EnvironmentChange::Ended(StepEnd::Done), environment: row };
        let fact = Fact {
            subject: Subject::environment(delivery, key),
            sequence: environment.facts,
            time: at,
            body,
            happened: None,
        };
        let write = Write { record: Record::Environment(Box::new(environment)), expected: None };
        house.store.commit(Commit { writes: vec![write], facts: vec![fact] }).await.unwrap();
    }
    vec!["expired".to_owned(), "forgotten".to_owned()]
}

/// The environments that a sweep found, and that wait to be decided about.
async fn swept(store: &dyn StorePort) -> Vec<String> {
    let waiting = store.waiting(WaitingQuery { queue: Queue::Plan, after: None, limit: 10 }).await.unwrap();
    let name = |record: Record| match record {
        Record::Delivery(delivery) => delivery.event.only().unwrap().name.to_string(),
        other => panic!("{other:?}"),
    };
    let mut swept: Vec<_> = waiting.into_iter().map(|stored| name(stored.record)).collect();
    swept.sort();
    swept
}

#[tokio::test(flavor = "multi_thread")]
async fn environments_are_swept_at_start_and_again_at_their_own_pace() {
    let (house, world) = House::with_world();
    let options = MaintenanceOptions { sweep_every: Some(Duration::from_millis(50)), ..MaintenanceOptions::default() };
    let maintenance = house.maintained(None, options);
    let names = environments_of_a_closed_pull_request(&house, &world).await;
    eventually("both are found, once", async || swept(&*house.store).await == names).await;
    maintenance.shutdown(Duration::from_secs(5)).await;
    assert_eq!(swept(&*house.store).await, names, "what waits to be decided about is not found again");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_go_than_may_at_once_whichever_sweep_finds_them() {
    let (house, world) = House::with_world();
    environments_of_a_closed_pull_request(&house, &world).await;
    let often = Duration::from_millis(20);
    let options =
        MaintenanceOptions { sweep_limit: 1, sweep_every: Some(often), expire_every: often, ..Default::default() };
    let maintenance = house.maintained(None, options);
    eventually("one is found", async || !swept(&*house.store).await.is_empty()).await;
    let reads = || world.lock().unwrap().requests().len();
    let before = reads();
    eventually("they go on looking", async || reads() > before + 5).await;
    maintenance.shutdown(Duration::from_secs(5)).await;
    assert_eq!(swept(&*house.store).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn whose_time_is_over_is_looked_for_although_nothing_else_is() {
    let (house, world) = House::with_world();
    environments_of_a_closed_pull_request(&house, &world).await;
    let expire_every = Duration::from_millis(20);
    let options = MaintenanceOptions { sweep_every: None, expire_every, ..MaintenanceOptions::default() };
    let maintenance = house.maintained(None, options);
    eventually("it is found", async || swept(&*house.store).await == ["expired"]).await;
    maintenance.shutdown(Duration::from_secs(5)).await;
    assert_eq!(swept(&*house.store).await, ["expired"]);
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
