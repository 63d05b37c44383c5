//! One case: a GitHub, a service, one run that ends, and what came of it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::ops::DerefMut;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Bytes;
use axum::http::Request;
use dispatch_axum::store::SqliteStore;
use dispatch_axum::worker::{WorkerOptions, Workers};
use dispatch_axum::{Service, router};
use dispatch_core::Timestamp;
use dispatch_core::decide::{Plan, Verdict};
use dispatch_core::fact::{Fact, FactBody};
use dispatch_core::guardrail::Guardrails;
use dispatch_core::name::Repository;
use dispatch_core::pipeline::Pipeline;
use dispatch_core::ports::StorePort;
use dispatch_core::ports::policies::BoundedPolicyMemory;
use dispatch_core::ports::store::ViewQuery;
use dispatch_core::projection::{DELIVERIES, DeliveryRow, DeliveryRowState, EVERYTHING, JOURNEY, journey_partition};
use dispatch_core::retry::RetryPolicy;
use dispatch_core::testing::world::{Fault, RepositoryOptions, RunSpec, World};
use dispatch_core::webhook::WebhookSecrets;
use dispatch_github::emulator::{Emulator, EmulatorOptions};
use dispatch_github::{GitHub, GitHubOptions};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

/// Workflows that every repository has, all of which can be dispatched, with these inputs.
const WORKFLOWS: [&str; 4] = ["ci.yml", "cd.yml", "deploy.yml", "smoke.yml"];
const WORKFLOW: &str =
    "on:\n  push:\n  workflow_dispatch:\n    inputs:\n      git_sha: {}\n      environment: {}\njobs: {}\n";

/// Policy files of both sides, the operator's settings, and a run of `acme/api`.
pub(crate) struct Case {
    name: &'static str,
    files: Vec<(Repository, &'static str, String)>,
    run: RunSpec,
    settings: BTreeMap<String, String>,
    fault: Option<Fault>,
    input: Option<(&'static str, &'static str)>,
    asks_nothing: bool,
}

impl Case {
    pub(crate) fn new(name: &'static str) -> Self {
        let settings = BTreeMap::from([("OWNER_ALLOWLIST".to_owned(), "acme".to_owned())]);
        let run = RunSpec::default();
        Self { name, files: Vec::new(), run, settings, fault: None, input: None, asks_nothing: false }
    }

    /// The repository's policy file, at the root.
    pub(crate) fn file(self, repository: &str, text: &str) -> Self {
        self.file_at(repository, "dispatching.yml", text)
    }

    pub(crate) fn file_at(mut self, repository: &str, path: &'static str, text: &str) -> Self {
        self.files.push((repository.parse().unwrap(), path, text.to_owned()));
        self
    }

    /// The run that ends, in place of one of `ci.yml` on `main` that succeeded.
    pub(crate) fn run(mut self, run: RunSpec) -> Self {
        self.run = run;
        self
    }

    pub(crate) fn set(mut self, name: &str, value: &str) -> Self {
        self.settings.insert(name.to_owned(), value.to_owned());
        self
    }

    pub(crate) fn fault(mut self, fault: Fault) -> Self {
        self.fault = Some(fault);
        self
    }

    /// The run that was started got this input.
    pub(crate) fn input(mut self, name: &'static str, value: &'static str) -> Self {
        self.input = Some((name, value));
        self
    }

    /// Nothing is asked of GitHub.
    pub(crate) fn asks_nothing(mut self) -> Self {
        self.asks_nothing = true;
        self
    }
}

/// Plays every case and compares what came of it.
pub(crate) async fn check<const N: usize>(cases: [(Case, &str); N]) {
    for (case, expected) in cases {
        play(case, expected).await;
    }
}

async fn play(case: Case, expected: &str) {
    let name = case.name;
    let stage = Stage::open(&case).await;
    assert_eq!(stage.run(case.run).await, expected, "{name}");

    let mut started = stage.started();
    let allowed: Vec<_> = expected.split(' ').filter(|word| word.contains('@')).collect();
    started.sort_by_key(|word| allowed.iter().position(|allowed| allowed == word));
    assert_eq!(started, allowed, "{name}: GitHub's own record");
    if let Some((input, value)) = case.input {
        assert_eq!(stage.inputs().get(input).map(String::as_str), Some(value), "{name}");
    }
    if case.asks_nothing {
        assert!(stage.github().requests().is_empty(), "{name}: {:#?}", stage.github().requests());
    }
    stage.close().await;
}

/// The whole of it, running: what happens after one run, in the same service.
pub(crate) struct Stage {
    name: &'static str,
    emulator: Emulator,
    store: Arc<dyn StorePort>,
    workers: Workers,
    serving: JoinHandle<std::io::Result<()>>,
    url: String,
    asked: AtomicUsize,
    _folder: TempDir,
}

impl Stage {
    pub(crate) async fn open(case: &Case) -> Self {
        let folder = TempDir::new().unwrap();
        let options = EmulatorOptions { pace: None, ..Default::default() };
        let emulator = Emulator::start(world(case), options).await.unwrap();
        let pipeline = pipeline(&emulator, &folder, &case.settings);
        let store = Arc::clone(&pipeline.store);
        let workers = Workers::start(pipeline.clone(), WorkerOptions::default());
        let secrets = emulator.webhook_secret().parse().unwrap();
        let routes = router(Service::new(pipeline, secrets).on_work(workers.waker()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/webhooks/github", listener.local_addr().unwrap());
        emulator.set_webhook_url(&url);
        let serving = axum::serve(listener, routes.into_make_service_with_connect_info::<SocketAddr>());
        let serving = tokio::spawn(async move { serving.await });
        let asked = AtomicUsize::new(0);
        Self { name: case.name, emulator, store, workers, serving, url, asked, _folder: folder }
    }

    /// GitHub itself.
    pub(crate) fn github(&self) -> impl DerefMut<Target = World> {
        self.emulator.world()
    }

    /// A run of `acme/api` ends; what came of it, in words.
    pub(crate) async fn run(&self, run: RunSpec) -> String {
        let before = self.deliveries().await;
        self.github().complete_run(&"acme/api".parse().unwrap(), run).unwrap();
        self.outcome(&before).await
    }

    /// The webhook of a run of `acme/api` that ends, which GitHub keeps to itself.
    pub(crate) fn kept_back(&self, run: RunSpec) -> Value {
        let mut github = self.github();
        github.complete_run(&"acme/api".parse().unwrap(), run).unwrap();
        serde_json::from_slice(&github.take_webhooks()[0].body).unwrap()
    }

    /// Sends a `workflow_run` webhook with a good signature; the answer's status.
    pub(crate) async fn post(&self, delivery: &str, body: &Value) -> u16 {
        let secrets: WebhookSecrets = self.emulator.webhook_secret().parse().unwrap();
        let body = body.to_string();
        let request = Request::post(&self.url)
            .header("Content-Type", "application/json")
            .header("X-GitHub-Event", "workflow_run")
            .header("X-GitHub-Delivery", delivery)
            .header("X-Hub-Signature-256", secrets.sign(body.as_bytes()))
            .body(Full::new(Bytes::from(body)))
            .unwrap();
        client().request(request).await.unwrap().status().as_u16()
    }

    /// Sends a webhook; what came of it, in words.
    pub(crate) async fn send(&self, delivery: &str, body: &Value) -> String {
        let before = self.deliveries().await;
        assert_eq!(self.post(delivery, body).await, 202, "{}", self.name);
        self.outcome(&before).await
    }

    /// Waits for the decision about a run that was not known before, and for the end of every dispatch.
    pub(crate) async fn outcome(&self, before: &BTreeSet<String>) -> String {
        let (plan, ends) = outcome(self.name, &*self.store, before).await;
        words(&plan, &ends)
    }

    /// Waits until a delivery has been decided about.
    pub(crate) async fn planned(&self, id: &str) {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let rows = deliveries(&*self.store).await;
            if rows.iter().any(|row| row.key.id.as_str() == id && row.state == DeliveryRowState::Planned) {
                return;
            }
            assert!(Instant::now() < deadline, "{}: {rows:#?}", self.name);
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// The runs that came in, all of them.
    pub(crate) async fn deliveries(&self) -> BTreeSet<String> {
        let rows = deliveries(&*self.store).await;
        rows.iter().map(|row| row.key.id.to_string()).collect()
    }

    /// The runs that GitHub started because it was asked to, in its order.
    pub(crate) fn started(&self) -> Vec<String> {
        let github = self.github();
        let runs = github.runs().filter(|run| run.event == "workflow_dispatch");
        runs.map(|run| format!("{}/{}@{}", short(&run.repository), run.workflow, run.head_branch)).collect()
    }

    /// The inputs of the first of them.
    pub(crate) fn inputs(&self) -> BTreeMap<String, String> {
        self.github().runs().find(|run| run.event == "workflow_dispatch").unwrap().inputs.clone()
    }

    /// What was asked of GitHub since the last time, credentials aside, as the emulator tells over HTTP.
    pub(crate) async fn asked(&self) -> Vec<String> {
        let url = format!("{}/_emulator/requests", self.emulator.api_url());
        let answer = client().get(url.parse().unwrap()).await.unwrap();
        let bytes = answer.into_body().collect().await.unwrap().to_bytes();
        let all: Vec<Value> = serde_json::from_slice(&bytes).unwrap();
        let told = self.asked.swap(all.len(), Ordering::Relaxed);
        let told = all.iter().skip(told).filter_map(|request| {
            let path = request["path"].as_str().unwrap().strip_prefix("/repos/acme/")?;
            let about_credentials = path.ends_with("/installation");
            let path = path.split_once("...").map_or(path, |(before, _)| before);
            let path =
                path.rsplit_once("compare/").map_or_else(|| path.to_owned(), |(repo, _)| format!("{repo}compare"));
            (!about_credentials)
                .then(|| format!("{} {path} {}", request["method"].as_str().unwrap(), request["status"]))
        });
        let mut told: Vec<_> = told.collect();
        told.sort();
        told
    }

    pub(crate) async fn close(self) {
        self.serving.abort();
        self.workers.shutdown(Duration::from_secs(5)).await;
        self.emulator.shutdown().await;
    }
}

fn client() -> Client<HttpConnector, Full<Bytes>> {
    Client::builder(TokioExecutor::new()).build_http()
}

/// What every repository has: workflows, and a branch beside the default one.
pub(crate) fn furnish(world: &mut World, repository: &Repository) {
    world.add_repository(repository, RepositoryOptions::default()).unwrap();
    for workflow in WORKFLOWS {
        world.write_file(repository, "main", &format!(".github/workflows/{workflow}"), WORKFLOW).unwrap();
    }
    world.write_file(repository, "release", "RELEASE", "1\n").unwrap();
}

fn world(case: &Case) -> World {
    let mut world = World::new(Timestamp::now());
    let mut repositories: Vec<Repository> = case.files.iter().map(|(repository, ..)| repository.clone()).collect();
    repositories.extend(["acme/api", "acme/infra"].map(|name| name.parse().unwrap()));
    repositories.sort();
    repositories.dedup();
    for repository in &repositories {
        furnish(&mut world, repository);
    }
    for (repository, path, text) in &case.files {
        world.write_file(repository, "main", path, text).unwrap();
    }
    world.faults.extend(case.fault.clone());
    world
}

fn pipeline(emulator: &Emulator, folder: &TempDir, settings: &BTreeMap<String, String>) -> Pipeline {
    let github = GitHub::new(GitHubOptions {
        api_url: emulator.api_url(),
        app_id: emulator.app_id(),
        private_key: emulator.private_key_pem().into(),
        ..GitHubOptions::default()
    });
    Pipeline {
        github: Arc::new(github.unwrap()),
        store: Arc::new(SqliteStore::open(folder.path().join("contract.sqlite")).unwrap()),
        policies: Arc::new(BoundedPolicyMemory::new(10)),
        guardrails: Guardrails::from_settings(settings).unwrap(),
        retry: RetryPolicy { max_retries: 2, base_delay: Duration::from_millis(10) },
        settle: Pipeline::DEFAULT_SETTLE,
        max_event_age: Duration::from_secs(3_600),
    }
}

/// Waits for the decision, and for the end of every dispatch, as the read models tell them.
async fn outcome(name: &str, store: &dyn StorePort, before: &BTreeSet<String>) -> (Plan, Vec<Fact>) {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let (mut plan, mut ends) = (None, Vec::new());
        for fact in journey(store, before).await {
            match fact.body {
                FactBody::DeliveryPlanned { plan: planned, .. } => plan = Some(planned),
                FactBody::DispatchTriggered { .. }
                | FactBody::DispatchRefused { .. }
                | FactBody::DispatchInDoubt { .. }
                | FactBody::DispatchCancelled { .. }
                | FactBody::DispatchFailed { .. } => ends.push(fact),
                _ => {}
            }
        }
        if let Some(plan) = plan
            && ends.len() == plan.allowed().count()
        {
            return (plan, ends);
        }
        assert!(Instant::now() < deadline, "{name}: no decision");
        sleep(Duration::from_millis(10)).await;
    }
}

async fn deliveries(store: &dyn StorePort) -> Vec<DeliveryRow> {
    let query = ViewQuery { view: DELIVERIES, partition: EVERYTHING.to_owned(), before: None, limit: 100 };
    let rows = store.rows(query).await.unwrap();
    let rows = rows.iter().map(|row| row.read::<DeliveryRow>().unwrap());
    rows.filter(|row| row.state != DeliveryRowState::Noted).collect()
}

async fn journey(store: &dyn StorePort, before: &BTreeSet<String>) -> Vec<Fact> {
    let rows = deliveries(store).await;
    let Some(delivery) = rows.iter().find(|row| !before.contains(&row.key.id.to_string())) else { return Vec::new() };
    let query = ViewQuery { view: JOURNEY, partition: journey_partition(&delivery.key), before: None, limit: 100 };
    let rows = store.rows(query).await.unwrap();
    rows.iter().map(|row| row.read().unwrap()).collect()
}

fn words(plan: &Plan, ends: &[Fact]) -> String {
    if let Some(skipped) = &plan.skipped {
        return format!("skipped:{}", skipped.reason);
    }
    let word = |decision: &dispatch_core::decide::Decision| match &decision.verdict {
        Verdict::Denied(denied) => denied.reason.to_string(),
        Verdict::Allowed(allowed) => {
            let end = ends.iter().find(|fact| fact.subject.dispatch.as_ref().unwrap().target == decision.target);
            let dispatch_core::request::DispatchRequest::Workflow(request) = &allowed.request else {
                panic!("no workflow")
            };
            match end.map(|fact| &fact.body) {
                Some(FactBody::DispatchTriggered { .. }) => {
                    format!("{}/{}@{}", short(&decision.target.repository), decision.target.start, request.git_ref())
                }
                Some(FactBody::DispatchCancelled { reason, .. }) => format!("cancelled:{reason}"),
                other => format!("{other:?}"),
            }
        }
    };
    plan.decisions.iter().map(word).collect::<Vec<_>>().join(" ")
}

/// The repository's name, with its owner where that is another one than `acme`.
fn short(repository: &Repository) -> &str {
    repository.as_str().strip_prefix("acme/").unwrap_or(repository.as_str())
}
