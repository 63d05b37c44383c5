//! The workers over the durable store: quick to begin, many side by side, and nothing lost.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use dispatch_axum::store::SqliteStore;
use dispatch_axum::worker::{WorkerOptions, Workers};
use dispatch_core::Timestamp;
use dispatch_core::dispatch::StartedRun;
use dispatch_core::guardrail::Guardrails;
use dispatch_core::name::{Branch, CommitSha, DeliveryId, Repository, RepositoryId};
use dispatch_core::pipeline::{Pipeline, ReceiptOutcome, WebhookRequest};
use dispatch_core::policy::PolicyPath;
use dispatch_core::ports::PullRequestPort;
use dispatch_core::ports::github::{FileRead, FileVersion, RepositoryRef, RunListing};
use dispatch_core::ports::store::{
    Claim, Commit, Queue, Record, RecordKey, Stored, Take, Taken, ViewQuery, WaitingQuery,
};
use dispatch_core::ports::{BoundedPolicyMemory, GitHubError, GitHubPort, StoreError, StorePort};
use dispatch_core::projection::{Counter, ViewRow};
use dispatch_core::request::DispatchRequest;
use dispatch_core::retry::RetryPolicy;
use dispatch_core::testing::world::{OutgoingWebhook, RepositoryOptions, RunSpec};
use dispatch_core::testing::{World, WorldGitHub};
use dispatch_core::webhook::WebhookSecrets;

/// GitHub with the time that each call takes, a repository where a dispatch never ends, and reads that panic.
struct SlowGitHub {
    world: WorldGitHub,
    call: Duration,
    stuck: Option<Repository>,
    panics: AtomicU32,
}

impl SlowGitHub {
    async fn wait(&self) {
        tokio::time::sleep(self.call).await;
    }
}

impl PullRequestPort for SlowGitHub {}

#[async_trait]
impl GitHubPort for SlowGitHub {
    async fn runs_since(&self, repository: &RepositoryRef, since: Timestamp) -> Result<RunListing, GitHubError> {
        self.world.runs_since(repository, since).await
    }

    async fn read_file(
        &self,
        repository: &Repository,
        id: Option<RepositoryId>,
        path: PolicyPath,
        known: Option<&FileVersion>,
    ) -> Result<FileRead, GitHubError> {
        self.wait().await;
        if self.panics.load(Ordering::Relaxed) > 0 {
            self.panics.fetch_sub(1, Ordering::Relaxed);
            panic!("ordered by the test");
        }
        self.world.read_file(repository, id, path, known).await
    }

    async fn commit_on_branch(
        &self,
        repository: &RepositoryRef,
        branch: &Branch,
        sha: &CommitSha,
    ) -> Result<bool, GitHubError> {
        self.wait().await;
        self.world.commit_on_branch(repository, branch, sha).await
    }

    async fn dispatch(
        &self,
        repository: &RepositoryRef,
        request: &DispatchRequest,
        not_after: Timestamp,
    ) -> Result<Option<StartedRun>, GitHubError> {
        self.wait().await;
        if self.stuck.as_ref() == Some(&repository.name) {
            std::future::pending::<()>().await;
        }
        self.world.dispatch(repository, request, not_after).await
    }
}

struct Service {
    github: Arc<SlowGitHub>,
    pipeline: Pipeline,
    secrets: WebhookSecrets,
    _directory: tempfile::TempDir,
}

fn repository(name: &str) -> Repository {
    format!("octo-org/{name}").parse().unwrap()
}

impl Service {
    /// Each source starts `cd.yml` of its targets, which agree.
    fn new(edges: &[(&str, &[&str])], call: Duration, stuck: Option<&str>) -> Self {
        let mut world = World::new(Timestamp::now());
        let mut inbound: BTreeMap<&str, String> = BTreeMap::new();
        for (source, targets) in edges {
            world.add_repository(&repository(source), RepositoryOptions::default()).unwrap();
            let mut policy = "outbound:\n  - source: { workflow: ci.yml }\n    targets:\n".to_owned();
            for target in *targets {
                writeln!(policy, "      - {{ repository: {target}, workflow: cd.yml }}").unwrap();
                let rules = inbound.entry(target).or_insert_with(|| "inbound:\n".to_owned());
                writeln!(rules, "  - source: {{ repository: {source}, workflow: ci.yml }}").unwrap();
                writeln!(rules, "    targets: [{{ workflow: cd.yml }}]").unwrap();
            }
            world.write_file(&repository(source), "main", ".github/workflows/ci.yml", "on: push\njobs: {}\n").unwrap();
            world.write_file(&repository(source), "main", "dispatching.yml", &policy).unwrap();
        }
        for (target, rules) in inbound {
            let target = repository(target);
            world.add_repository(&target, RepositoryOptions::default()).unwrap();
            let workflow = "on: workflow_dispatch\njobs: {}\n";
            world.write_file(&target, "main", ".github/workflows/cd.yml", workflow).unwrap();
            world.write_file(&target, "main", "dispatching.yml", &rules).unwrap();
        }
        world.take_webhooks();
        let directory = tempfile::tempdir().unwrap();
        let github = Arc::new(SlowGitHub {
            world: WorldGitHub::new(Arc::new(Mutex::new(world))),
            call,
            stuck: stuck.map(repository),
            panics: AtomicU32::new(0),
        });
        let settings = [("OWNER_ALLOWLIST".to_owned(), "octo-org".to_owned())].into();
        let pipeline = Pipeline {
            github: Arc::clone(&github) as Arc<dyn GitHubPort>,
            store: Arc::new(SqliteStore::open(directory.path().join("dispatch.sqlite")).unwrap()),
            policies: Arc::new(BoundedPolicyMemory::new(100)),
            guardrails: Guardrails::from_settings(&settings).unwrap(),
            retry: RetryPolicy::default(),
            settle: Pipeline::DEFAULT_SETTLE,
            max_event_age: Pipeline::DEFAULT_MAX_EVENT_AGE,
        };
        Self { github, pipeline, secrets: "a secret".parse().unwrap(), _directory: directory }
    }

    /// A run of `ci.yml` succeeds there, and its webhook is accepted.
    async fn run(&self, source: &str) {
        let webhook = {
            let mut world = self.github.world.world();
            world.complete_run(&repository(source), RunSpec::new("ci.yml", "main")).unwrap();
            world.take_webhooks().pop().unwrap()
        };
        self.receive(&webhook).await;
    }

    async fn receive(&self, webhook: &OutgoingWebhook) {
        let signature = self.secrets.sign(&webhook.body);
        let request = WebhookRequest {
            signature: Some(signature.as_bytes()),
            event: Some(&webhook.event),
            delivery: Some(webhook.delivery.as_str()),
            body: &webhook.body,
        };
        let receipt = self.pipeline.ingress(&self.secrets, request, Timestamp::now()).await.unwrap();
        assert!(matches!(receipt.outcome, ReceiptOutcome::Accepted(_)));
    }

    async fn count(&self, counter: Counter) -> u64 {
        self.pipeline.store.counters(&[counter.to_string()]).await.unwrap()[0]
    }

    /// Waits until so many were counted, at most a minute, and says how long it took.
    async fn until(&self, counter: Counter, expected: u64) -> Duration {
        let began = Instant::now();
        while self.count(counter).await < expected {
            assert!(began.elapsed() < Duration::from_secs(60), "{counter} is {}", self.count(counter).await);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        began.elapsed()
    }

    fn started(&self) -> usize {
        self.github.world.world().take_dispatches().len()
    }
}

/// A wake is what begins the work, not the clock.
const SELDOM: WorkerOptions = WorkerOptions {
    concurrency: 64,
    per_lane: 32,
    lease: Duration::from_secs(600),
    poll_interval: Duration::from_secs(600),
};

#[tokio::test(flavor = "multi_thread")]
async fn twenty_five_targets_are_started_within_three_seconds_though_every_call_takes_150_ms() {
    let names: Vec<_> = (0..25).map(|n| format!("target-{n}")).collect();
    let targets: Vec<_> = names.iter().map(String::as_str).collect();
    let mut took = Vec::new();
    // A disk may be busy with something else for seconds, once.
    while took.len() < 3 && took.iter().all(|took| *took >= Duration::from_secs(3)) {
        let service = Service::new(&[("api", &targets)], Duration::from_millis(150), None);
        let workers = Workers::start(service.pipeline.clone(), SELDOM);
        service.run("api").await;
        workers.wake(Queue::Plan);
        took.push(service.until(Counter::Triggered, 25).await);
        assert_eq!(service.started(), 25);
        assert_eq!(workers.shutdown(Duration::from_secs(60)).await, 0);
    }
    assert!(took.iter().any(|took| *took < Duration::from_secs(3)), "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_accepted_before_the_workers_started_is_done() {
    let service = Service::new(&[("api", &["web"])], Duration::ZERO, None);
    service.run("api").await;
    let workers = Workers::start(service.pipeline.clone(), SELDOM);
    service.until(Counter::Triggered, 1).await;
    assert_eq!(service.started(), 1);
    assert_eq!(workers.shutdown(Duration::from_secs(60)).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_never_answers_holds_up_nobody_else() {
    let service = Service::new(&[("api", &["stuck", "web"])], Duration::ZERO, Some("stuck"));
    let options = WorkerOptions { concurrency: 2, per_lane: 1, ..SELDOM };
    let workers = Workers::start(service.pipeline.clone(), options);
    for _ in 0..3 {
        service.run("api").await;
        workers.wake(Queue::Plan);
    }
    service.until(Counter::Triggered, 3).await;
    assert_eq!(service.started(), 3, "all of them in the repository that answers");
    assert_eq!(workers.shutdown(Duration::from_millis(100)).await, 1, "the other has one place, and no more");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_whose_step_panics_comes_back_when_its_lease_ends() {
    let service = Service::new(&[("api", &["web"])], Duration::ZERO, None);
    service.github.panics.store(1, Ordering::Relaxed);
    let lease = Duration::from_millis(300);
    let options = WorkerOptions { lease, poll_interval: Duration::from_millis(20), ..SELDOM };
    let workers = Workers::start(service.pipeline.clone(), options);
    service.run("api").await;
    workers.wake(Queue::Plan);
    service.until(Counter::Triggered, 1).await;
    assert_eq!(service.github.panics.load(Ordering::Relaxed), 0, "it did panic");
    assert_eq!(service.started(), 1);
    assert_eq!(workers.shutdown(Duration::from_secs(60)).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_where_the_app_was_suspended_is_cancelled_to_the_last_one() {
    let names: Vec<_> = (0..25).map(|n| format!("target-{n}")).collect();
    let targets: Vec<_> = names.iter().map(String::as_str).collect();
    let service = Service::new(&[("api", &targets)], Duration::ZERO, None);
    let claim =
        |queue| Claim { queue, now: Timestamp::now(), lease: Duration::from_secs(60), limit: 100, per_lane: 100 };
    for _ in 0..3 {
        service.run("api").await;
    }
    for item in service.pipeline.store.claim(claim(Queue::Plan)).await.unwrap() {
        let Record::Delivery(delivery) = item.record else { panic!("another record") };
        service.pipeline.plan(*delivery, item.version, Timestamp::now()).await.unwrap();
    }
    // Somebody else holds all of them, and has not begun to call.
    assert_eq!(service.pipeline.store.claim(claim(Queue::Dispatch)).await.unwrap().len(), 75);
    let webhook = {
        let mut world = service.github.world.world();
        world.set_suspended(&repository("api").owner(), true).unwrap();
        world.take_webhooks().pop().unwrap()
    };
    service.receive(&webhook).await;
    let workers = Workers::start(service.pipeline.clone(), SELDOM);
    service.until(Counter::Cancelled, 75).await;
    assert_eq!(service.started(), 0);
    assert_eq!(workers.shutdown(Duration::from_secs(60)).await, 0);
}

/// A store whose disk is full for so many steps.
struct FullForAWhile {
    store: Arc<dyn StorePort>,
    refuses: AtomicU32,
}

#[async_trait]
impl StorePort for FullForAWhile {
    async fn commit(&self, commit: Commit) -> Result<(), StoreError> {
        if self.refuses.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
            return Err(StoreError::Unavailable("the disk is full".to_owned()));
        }
        self.store.commit(commit).await
    }

    async fn load(&self, keys: &[RecordKey]) -> Result<Vec<Option<Stored>>, StoreError> {
        self.store.load(keys).await
    }

    async fn claim(&self, claim: Claim) -> Result<Vec<Stored>, StoreError> {
        self.store.claim(claim).await
    }

    async fn take(&self, take: Take) -> Result<Taken, StoreError> {
        self.store.take(take).await
    }

    async fn waiting(&self, query: WaitingQuery) -> Result<Vec<Stored>, StoreError> {
        self.store.waiting(query).await
    }

    async fn deliveries(&self, id: &DeliveryId) -> Result<Vec<Stored>, StoreError> {
        self.store.deliveries(id).await
    }

    async fn retire(&self, before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        self.store.retire(before, limit).await
    }

    async fn rows(&self, query: ViewQuery) -> Result<Vec<ViewRow>, StoreError> {
        self.store.rows(query).await
    }

    async fn counters(&self, names: &[String]) -> Result<Vec<u64>, StoreError> {
        self.store.counters(names).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_cannot_be_stored_is_tried_again_long_before_its_lease_ends() {
    let mut service = Service::new(&[("api", &["web"])], Duration::ZERO, None);
    service.run("api").await;
    let store = Arc::clone(&service.pipeline.store);
    service.pipeline.store = Arc::new(FullForAWhile { store, refuses: AtomicU32::new(3) });
    let workers = Workers::start(service.pipeline.clone(), SELDOM);
    let took = service.until(Counter::Triggered, 1).await;
    assert!(took < SELDOM.lease / 6, "{took:?}");
    assert_eq!(service.started(), 1);
    assert_eq!(workers.shutdown(Duration::from_secs(60)).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_ends_does_not_wait_for_a_store_that_takes_nothing() {
    let mut service = Service::new(&[("api", &["web"])], Duration::ZERO, None);
    service.run("api").await;
    let store = Arc::clone(&service.pipeline.store);
    let full = Arc::new(FullForAWhile { store, refuses: AtomicU32::new(u32::MAX) });
    service.pipeline.store = Arc::clone(&full) as Arc<dyn StorePort>;
    let workers = Workers::start(service.pipeline.clone(), SELDOM);
    while full.refuses.load(Ordering::SeqCst) > u32::MAX - 6 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let began = Instant::now();
    assert_eq!(workers.shutdown(Duration::from_secs(60)).await, 0);
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn shutdown_waits_for_what_is_running_and_begins_nothing_more() {
    let service = Service::new(&[("api", &["web"])], Duration::from_millis(200), None);
    let workers = Workers::start(service.pipeline.clone(), SELDOM);
    service.run("api").await;
    workers.wake(Queue::Plan);
    while service.github.world.world().requests().is_empty() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(workers.shutdown(Duration::from_secs(60)).await, 0);
    assert_eq!(service.count(Counter::Planned).await, 1, "the plan that was being made is stored");
    assert_eq!(service.started(), 0, "its dispatch waits for the next start");
    let workers = Workers::start(service.pipeline.clone(), SELDOM);
    service.until(Counter::Triggered, 1).await;
    assert_eq!(service.started(), 1);
    assert_eq!(workers.shutdown(Duration::from_secs(60)).await, 0);
}
