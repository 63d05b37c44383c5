//! A router over a rehearsed service, and requests to it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Request, StatusCode, header};
use dispatch_axum::{Service, router};
use dispatch_core::Timestamp;
use dispatch_core::dispatch::StartedRun;
use dispatch_core::guardrail::Guardrails;
use dispatch_core::name::DeliveryId;
use dispatch_core::name::{Branch, CommitSha, Repository, RepositoryId};
use dispatch_core::pipeline::Pipeline;
use dispatch_core::policy::PolicyPath;
use dispatch_core::ports::PullRequestPort;
use dispatch_core::ports::github::{Budget, FileRead, FileVersion, RepositoryRef, RunListing};
use dispatch_core::ports::policies::BoundedPolicyMemory;
use dispatch_core::ports::store::{Claim, Commit, Queue, RecordKey, Stored, Take, Taken, ViewQuery, WaitingQuery};
use dispatch_core::ports::{GitHubError, GitHubPort, StoreError, StorePort};
use dispatch_core::projection::ViewRow;
use dispatch_core::request::DispatchRequest;
use dispatch_core::retry::RetryPolicy;
use dispatch_core::testing::{Rehearsal, World, WorldGitHub};
use dispatch_core::webhook::WebhookSecrets;
use http_body_util::BodyExt;
use tower::ServiceExt;

pub(crate) const TOKEN: &str = "an admin token for tests";
pub(crate) const ID: &str = "72d3162e-cc78-11e3-81ab-4c9367dc0958";

pub(crate) fn now() -> Timestamp {
    "2026-01-02T03:04:05Z".parse().unwrap()
}

/// The rehearsal's store, which can be out of order.
pub(crate) struct Store {
    rehearsal: Rehearsal,
    mood: AtomicU8,
}

impl Store {
    const UNAVAILABLE: u8 = 1;
    const PANICKING: u8 = 2;
    const READ_ONLY: u8 = 3;

    fn check(&self) -> Result<(), StoreError> {
        match self.mood.load(Ordering::SeqCst) {
            Self::UNAVAILABLE => Err(StoreError::Unavailable("the disk is <full>".to_owned())),
            Self::PANICKING => panic!("a bug in the store"),
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl StorePort for Store {
    async fn commit(&self, commit: Commit) -> Result<(), StoreError> {
        self.check()?;
        if self.mood.load(Ordering::SeqCst) == Self::READ_ONLY {
            return Err(StoreError::Unavailable("the disk is <full>".to_owned()));
        }
        self.rehearsal.store().commit(commit).await
    }

    async fn load(&self, keys: &[RecordKey]) -> Result<Vec<Option<Stored>>, StoreError> {
        self.check()?;
        self.rehearsal.store().load(keys).await
    }

    async fn claim(&self, claim: Claim) -> Result<Vec<Stored>, StoreError> {
        self.check()?;
        self.rehearsal.store().claim(claim).await
    }

    async fn take(&self, take: Take) -> Result<Taken, StoreError> {
        self.check()?;
        self.rehearsal.store().take(take).await
    }

    async fn waiting(&self, query: WaitingQuery) -> Result<Vec<Stored>, StoreError> {
        self.check()?;
        self.rehearsal.store().waiting(query).await
    }

    async fn deliveries(&self, id: &DeliveryId) -> Result<Vec<Stored>, StoreError> {
        self.check()?;
        self.rehearsal.store().deliveries(id).await
    }

    async fn retire(&self, before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        self.check()?;
        self.rehearsal.store().retire(before, limit).await
    }

    async fn rows(&self, query: ViewQuery) -> Result<Vec<ViewRow>, StoreError> {
        self.check()?;
        self.rehearsal.store().rows(query).await
    }

    async fn counters(&self, names: &[String]) -> Result<Vec<u64>, StoreError> {
        self.check()?;
        self.rehearsal.store().counters(names).await
    }
}

/// GitHub with limits that a test orders.
pub(crate) struct Limited {
    github: WorldGitHub,
    budgets: Mutex<Vec<Budget>>,
}

impl PullRequestPort for Limited {}

#[async_trait]
impl GitHubPort for Limited {
    async fn read_file(
        &self,
        repository: &Repository,
        id: Option<RepositoryId>,
        path: PolicyPath,
        known: Option<&FileVersion>,
    ) -> Result<FileRead, GitHubError> {
        self.github.read_file(repository, id, path, known).await
    }

    async fn commit_on_branch(
        &self,
        repository: &RepositoryRef,
        branch: &Branch,
        sha: &CommitSha,
    ) -> Result<bool, GitHubError> {
        self.github.commit_on_branch(repository, branch, sha).await
    }

    async fn dispatch(
        &self,
        repository: &RepositoryRef,
        request: &DispatchRequest,
        not_after: Timestamp,
    ) -> Result<Option<StartedRun>, GitHubError> {
        self.github.dispatch(repository, request, not_after).await
    }

    async fn runs_since(&self, repository: &RepositoryRef, since: Timestamp) -> Result<RunListing, GitHubError> {
        self.github.runs_since(repository, since).await
    }

    fn budgets(&self) -> Vec<Budget> {
        self.budgets.lock().unwrap().clone()
    }
}

/// The surface over a rehearsal.
pub(crate) struct Site {
    github: Arc<Limited>,
    pub(crate) rehearsal: Rehearsal,
    pub(crate) router: Router,
    store: Arc<Store>,
    woken: Arc<Mutex<Vec<Queue>>>,
}

pub(crate) fn secrets() -> WebhookSecrets {
    "the webhook secret".parse().unwrap()
}

impl Site {
    pub(crate) fn new() -> Self {
        Self::with(World::new(now()), |service| service)
    }

    /// With these webhook secrets, as `GITHUB_WEBHOOK_SECRET` has them.
    pub(crate) fn with_secrets(secrets: &str) -> Self {
        Self::build(World::new(now()), secrets.parse().unwrap(), |service| service)
    }

    pub(crate) fn with(world: World, configure: impl FnOnce(Service) -> Service) -> Self {
        Self::build(world, secrets(), configure)
    }

    fn build(world: World, secrets: WebhookSecrets, configure: impl FnOnce(Service) -> Service) -> Self {
        let settings = [("OWNER_ALLOWLIST".to_owned(), "*".to_owned())].into();
        let guardrails = Guardrails::from_settings(&settings).unwrap();
        let rehearsal = Rehearsal::new(world, guardrails.clone()).unwrap();
        let store = Arc::new(Store { rehearsal: rehearsal.clone(), mood: AtomicU8::new(0) });
        let world = WorldGitHub::new(Arc::new(Mutex::new(World::new(now()))));
        let github = Arc::new(Limited { github: world, budgets: Mutex::default() });
        let pipeline = Pipeline {
            github: github.clone(),
            store: store.clone(),
            policies: Arc::new(BoundedPolicyMemory::new(10)),
            guardrails,
            retry: RetryPolicy::default(),
            settle: Pipeline::DEFAULT_SETTLE,
            max_event_age: Duration::from_secs(86_400),
        };
        let woken = Arc::new(Mutex::new(Vec::new()));
        let wake = Arc::clone(&woken);
        let service = Service::new(pipeline, secrets)
            .admin_token(TOKEN.into())
            .clock(now)
            .on_work(Arc::new(move |queue| wake.lock().unwrap().push(queue)));
        Self { github, rehearsal, router: router(configure(service)), store, woken }
    }

    /// What is left of GitHub's limits.
    pub(crate) fn limit(&self, budget: Budget) {
        self.github.budgets.lock().unwrap().push(budget);
    }

    pub(crate) fn break_store(&self) {
        self.store.mood.store(Store::UNAVAILABLE, Ordering::SeqCst);
    }

    /// From now on the store only answers.
    pub(crate) fn break_writes(&self) {
        self.store.mood.store(Store::READ_ONLY, Ordering::SeqCst);
    }

    pub(crate) fn panic_in_store(&self) {
        self.store.mood.store(Store::PANICKING, Ordering::SeqCst);
    }

    pub(crate) fn mend_store(&self) {
        self.store.mood.store(0, Ordering::SeqCst);
    }

    pub(crate) fn woken(&self) -> Vec<Queue> {
        self.woken.lock().unwrap().clone()
    }

    /// How many deliveries were kept.
    pub(crate) fn kept(&self) -> usize {
        self.rehearsal.store().facts().len()
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        send(&self.router, request).await
    }
}

pub(crate) async fn send(router: &Router, request: Request<Body>) -> Answer {
    let response = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answer { status: parts.status, headers: parts.headers, body: String::from_utf8(body.to_vec()).unwrap() }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: axum::http::HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Status and body in one line.
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.status.as_u16(), self.body)
    }
}

/// A signed webhook, as GitHub sends it.
pub(crate) fn webhook(event: &str, body: impl Into<Vec<u8>>) -> Request<Body> {
    let body = body.into();
    Request::post("/webhooks/github")
        .header("content-type", "application/json")
        .header("x-github-event", event)
        .header("x-github-delivery", ID)
        .header("x-hub-signature-256", secrets().sign(&body))
        .body(Body::from(body))
        .unwrap()
}

/// A `push` payload, as small as GitHub's documentation lets it be.
pub(crate) fn push(branch: &str) -> Vec<u8> {
    let body = serde_json::json!({
        "ref": format!("refs/heads/{branch}"),
        "before": "0000000000000000000000000000000000000000",
        "after": "3484a3fb816e0859fd6e1cea078d76385ff50625",
        "created": false, "deleted": false, "forced": false,
        "commits": [],
        "repository": { "id": 11, "name": "api", "full_name": "acme/api", "private": false, "default_branch": "main",
                        "owner": { "login": "acme" } },
        "installation": { "id": 5 },
        "sender": { "login": "octocat" },
    });
    serde_json::to_vec(&body).unwrap()
}

/// From a browser on this machine.
pub(crate) fn get(path: &str) -> Request<Body> {
    from_peer("127.0.0.1", Request::get(path).header("host", "127.0.0.1:3000").body(Body::empty()).unwrap())
}

pub(crate) fn from_peer(address: &str, mut request: Request<Body>) -> Request<Body> {
    request.extensions_mut().insert(ConnectInfo(SocketAddr::new(address.parse().unwrap(), 40_000)));
    request
}

pub(crate) fn with_header(mut request: Request<Body>, name: &'static str, value: &str) -> Request<Body> {
    request.headers_mut().insert(name, value.parse().unwrap());
    request
}

pub(crate) fn as_admin(request: Request<Body>) -> Request<Body> {
    with_header(request, header::AUTHORIZATION.as_str(), &format!("Bearer {TOKEN}"))
}

/// The login form, as a browser on this machine sends it.
pub(crate) fn login(token: &str) -> Request<Body> {
    let request = Request::post("/admin/login")
        .header("host", "127.0.0.1:3000")
        .header("origin", "http://127.0.0.1:3000")
        .header("sec-fetch-site", "same-origin")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from(format!("token={}", token.replace(' ', "+"))))
        .unwrap();
    from_peer("127.0.0.1", request)
}
