//! A mock of GitHub: `acme/app` has id 42 and is private, and the App's installation 7 is on it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dispatch_core::Timestamp;
use dispatch_core::name::{Repository, RepositoryId};
use dispatch_core::ports::github::{RepositoryFound, RepositoryRef};
use dispatch_core::request::{DispatchRequest, RepositoryDispatch, WorkflowDispatch};
use dispatch_github::{GitHub, GitHubOptions};
use serde_json::{Value, json};
use wiremock::matchers::{header, method, path};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

/// Made for these tests and used nowhere else.
pub(crate) const PRIVATE_KEY: &str = include_str!("../test-only-app-key.pem");

pub(crate) const ID: RepositoryId = RepositoryId(42);
pub(crate) const FOUND: RepositoryFound = RepositoryFound { id: ID, private: true };
pub(crate) const INSTALLATION: &str = "/repos/acme/app/installation";
pub(crate) const TOKENS: &str = "/app/installations/7/access_tokens";
pub(crate) const FILE: &str = "/repos/acme/app/contents/dispatching.yml";
pub(crate) const DISPATCHES: &str = "/repos/acme/app/actions/workflows/cd.yml/dispatches";

pub(crate) const EVENTS: &str = "/repos/acme/app/dispatches";
pub(crate) const WORKFLOWS: &str = "/repos/acme/app/actions/workflows";
pub(crate) const PULL: &str = "/repos/acme/app/pulls/7";
pub(crate) const COMMENTS: &str = "/repos/acme/app/issues/7/comments";
pub(crate) const COMMENT: &str = "/repos/acme/app/issues/comments/31";
pub(crate) const REACTIONS: &str = "/repos/acme/app/issues/comments/31/reactions";
pub(crate) const SHA: &str = "0123456789abcdef0123456789abcdef01234567";
pub(crate) const CHECKS: &str = "/repos/acme/app/check-runs";
pub(crate) const CHECK: &str = "/repos/acme/app/check-runs/91";
pub(crate) const CHECKS_OF: &str = "/repos/acme/app/commits/0123456789abcdef0123456789abcdef01234567/check-runs";
pub(crate) const ISSUES: &str = "/repos/acme/app/issues";
pub(crate) const RUNS: &str = "/repos/acme/app/actions/runs";

pub(crate) struct Fake {
    pub(crate) server: MockServer,
    minted: Arc<AtomicUsize>,
}

impl Fake {
    /// GitHub with the App installed on `acme/app`; nothing else answers yet.
    pub(crate) async fn start() -> Self {
        let fake = Self::bare().await;
        fake.install("acme/app", 42, 7).await;
        fake
    }

    /// GitHub without anything.
    pub(crate) async fn bare() -> Self {
        Self { server: MockServer::start().await, minted: Arc::default() }
    }

    /// Installs the App on a repository: its tokens are `ghs_secret_1`, `ghs_secret_2`, ... and last an hour.
    pub(crate) async fn install(&self, repository: &str, id: u64, installation: u64) {
        self.answer("GET", &format!("/repos/{repository}/installation"), ok(json!({ "id": installation }))).await;
        let minted = Arc::clone(&self.minted);
        let repository = json!([{ "id": id, "full_name": repository, "private": true }]);
        Mock::given(method("POST"))
            .and(path(format!("/app/installations/{installation}/access_tokens")))
            .respond_with(move |_: &Request| {
                let number = minted.fetch_add(1, Ordering::SeqCst) + 1;
                token(&format!("ghs_secret_{number}"), Duration::from_secs(3600), &repository)
            })
            .mount(&self.server)
            .await;
    }

    pub(crate) fn github(&self) -> GitHub {
        self.github_with(Duration::from_secs(10))
    }

    pub(crate) fn github_with(&self, timeout: Duration) -> GitHub {
        GitHub::new(GitHubOptions { api_url: self.server.uri(), timeout, ..options() }).unwrap()
    }

    /// Answers a request; what was mounted before goes first, until it was used up.
    pub(crate) async fn answer(&self, verb: &str, at: &str, answer: ResponseTemplate) {
        Mock::given(method(verb)).and(path(at)).respond_with(answer).mount(&self.server).await;
    }

    /// Answers a request once.
    pub(crate) async fn answer_once(&self, verb: &str, at: &str, answer: ResponseTemplate) {
        Mock::given(method(verb))
            .and(path(at))
            .respond_with(answer)
            .up_to_n_times(1)
            .with_priority(1)
            .mount(&self.server)
            .await;
    }

    /// Answers a request that carries a token.
    pub(crate) async fn answer_token(&self, verb: &str, at: &str, token: &str, answer: ResponseTemplate) {
        Mock::given(method(verb))
            .and(path(at))
            .and(header("authorization", format!("Bearer {token}")))
            .respond_with(answer)
            .with_priority(2)
            .mount(&self.server)
            .await;
    }

    /// The App, as `dispatch[bot]`.
    pub(crate) async fn answer_app(&self) {
        self.answer("GET", "/app", ok(json!({ "slug": "dispatch", "owner": { "login": "acme" } }))).await;
    }

    /// What each minted token was asked for.
    pub(crate) async fn minted(&self) -> Vec<Value> {
        self.requests("POST", TOKENS).await.iter().map(|request| request.body_json().unwrap()).collect()
    }

    /// The requests to one path, in order.
    pub(crate) async fn requests(&self, verb: &str, at: &str) -> Vec<Request> {
        let all = self.server.received_requests().await.unwrap();
        all.into_iter().filter(|request| request.method.as_str() == verb && request.url.path() == at).collect()
    }

    /// All requests, as `METHOD path`.
    pub(crate) async fn log(&self) -> Vec<String> {
        let all = self.server.received_requests().await.unwrap();
        all.iter().map(|request| format!("{} {}", request.method, request.url.path())).collect()
    }
}

pub(crate) fn options() -> GitHubOptions {
    GitHubOptions { app_id: 1234, private_key: PRIVATE_KEY.into(), ..GitHubOptions::default() }
}

pub(crate) fn app() -> Repository {
    "acme/app".parse().unwrap()
}

pub(crate) fn app_ref() -> RepositoryRef {
    RepositoryRef { id: ID, name: app() }
}

pub(crate) fn cd() -> DispatchRequest {
    let inputs = [("environment".to_owned(), "production".to_owned())].into();
    DispatchRequest::Workflow(
        WorkflowDispatch::new("cd.yml".parse().unwrap(), "main".parse().unwrap(), inputs).unwrap(),
    )
}

/// An event with a payload that has a value of each kind.
pub(crate) fn closed() -> DispatchRequest {
    let payload = [("merged".to_owned(), json!(true)), ("pr_number".to_owned(), json!("7"))].into();
    DispatchRequest::Event(RepositoryDispatch::new("pr-closed".parse().unwrap(), payload).unwrap())
}

/// The only token that a feature may ask for: `acme/app`, by its id, and that permission.
pub(crate) fn only(permission: &str, access: &str) -> Value {
    json!({ "repository_ids": [42], "permissions": { permission: access } })
}

pub(crate) fn ok(body: Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(body)
}

pub(crate) fn status(status: u16, message: &str) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_json(json!({ "message": message }))
}

pub(crate) fn token(token: &str, lifetime: Duration, repositories: &Value) -> ResponseTemplate {
    let expires_at = Timestamp::now() + lifetime;
    ResponseTemplate::new(201)
        .set_body_json(json!({ "token": token, "expires_at": expires_at, "repositories": repositories }))
}

/// A file as the contents API gives it: base64 with a line break after each 60 characters.
pub(crate) fn file(text: &[u8]) -> Value {
    use base64::Engine;
    let base64 = base64::engine::general_purpose::STANDARD.encode(text);
    let lines: Vec<&str> = base64.as_bytes().chunks(60).map(|line| std::str::from_utf8(line).unwrap()).collect();
    json!({
        "type": "file", "encoding": "base64", "size": text.len(), "content": lines.join("\n") + "\n",
        "sha": "3d21ec53a331a6f037a91c368710b99387d012c1", "name": "dispatching.yml", "path": "dispatching.yml",
    })
}
