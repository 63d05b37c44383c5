//! `/_emulator/...`: to look into the emulator and to let things happen in it, from outside.
//!
//! For programs on this machine only: a request whose `Host` or `Origin` is not loopback is refused, so that no page in a
//! browser can use it.
//!
//! ## `GET /_emulator/requests`
//! Every API request, oldest first. `status` is null where the connection was cut, `repositories` is null where the token
//! is for its whole installation, and both that and `permissions` are null without a token.
//! ```json
//! [{"at": "2026-01-01T00:00:00Z", "method": "GET", "path": "/repos/octo-org/api/contents/dispatching.yml",
//!   "caller": "installation", "permissions": {"contents": "read", "metadata": "read"},
//!   "repositories": ["octo-org/api"], "status": 200}]
//! ```
//!
//! ## `GET /_emulator/runs`
//! Every workflow run, oldest first: [`Run`](dispatch_core::testing::world::Run) as JSON.
//!
//! ## `POST /_emulator/faults`
//! Orders a [`Fault`] and answers 201. `path` is a pattern (`*`, `**`, `?`); `method` and `times` (1) may be absent. `kind`
//! is one of
//! ```json
//! {"status": {"status": 502, "body": "<html>", "headers": {"retry-after": "5"}}}
//! {"delay": {"milliseconds": 500}}
//! "cut_before"
//! "cut_after"
//! {"rate_limited": {"retry_after": 30, "reset_in": 90, "secondary": true}}
//! ```
//! so that a whole order is
//! ```json
//! {"method": "POST", "path": "/repos/*/*/actions/workflows/*/dispatches", "times": 2, "kind": "cut_after"}
//! ```
//!
//! ## `POST /_emulator/events`
//! Makes something happen, delivers its webhook, and answers when that was answered:
//! `{"delivery": "…", "status": 202, "run": 5000000017}`. `delivery` is null where no webhook is sent (the App is not
//! installed there, or no webhook URL is set), `status` is null where nobody answered, `run` where there is none.
//!
//! A run completes, in a fork, at a tag, another attempt, ... ([`RunOrder`] has all fields):
//! ```json
//! {"workflow_run": {"repository": "octo-org/api", "workflow": "ci.yml", "branch": "main", "conclusion": "success"}}
//! ```
//! Files are pushed; null removes one:
//! ```json
//! {"push": {"repository": "octo-org/api", "branch": "main", "files": {"dispatching.yml": "outbound: []\n"}}}
//! ```
//! A webhook is delivered again, with the same id:
//! ```json
//! {"redeliver": {"delivery": "0f0e9a2c-0000-1111-2222-333344445555"}}
//! ```
//! Any bytes are sent, with a right signature unless another one is given:
//! ```json
//! {"raw": {"event": "workflow_run", "body": "{}", "delivery": "1", "signature": "sha256=00"}}
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use dispatch_core::event::Conclusion;
use dispatch_core::name::{CommitSha, DeliveryId, Repository, RunId};
use dispatch_core::testing::world::{Fault, OutgoingWebhook, RunSpec, World, WorldError};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::Shared;
use super::deliveries::Parcel;

/// Something to let happen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventOrder {
    /// A run that nobody dispatched ends.
    WorkflowRun(RunOrder),
    /// Files are pushed.
    Push(PushOrder),
    /// A webhook is delivered again.
    Redeliver(RedeliverOrder),
    /// Any bytes are delivered.
    Raw(RawOrder),
}

/// A run that ends. Only `repository` and `workflow` are required.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunOrder {
    /// Where.
    pub repository: Repository,
    /// The workflow's file name; its file must be there.
    pub workflow: String,
    /// The branch, `main` if absent; with `tag`, a tag.
    #[serde(default = "main")]
    pub branch: String,
    /// Whether `branch` is a tag's name.
    #[serde(default)]
    pub tag: bool,
    /// How it ended, `success` if absent; null: GitHub does not say.
    #[serde(default = "success")]
    pub conclusion: Option<Conclusion>,
    /// What started it, `push` if absent.
    #[serde(default = "push")]
    pub event: String,
    /// The fork that the commit is from; it is made where there is none.
    #[serde(default)]
    pub fork: Option<Repository>,
    /// Whether the repository of the commit was deleted.
    #[serde(default)]
    pub head_repository_deleted: bool,
    /// The commit, the head of the branch if absent.
    #[serde(default)]
    pub sha: Option<CommitSha>,
    /// The run that this is another attempt of.
    #[serde(default)]
    pub rerun_of: Option<RunId>,
    /// Who started it, `octocat` if absent.
    #[serde(default = "octocat")]
    pub actor: String,
    /// What the webhook says as the workflow's path, if not the path.
    #[serde(default)]
    pub path: Option<String>,
}

/// Files that are pushed in one commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PushOrder {
    /// Where.
    pub repository: Repository,
    /// The branch, `main` if absent. One that is not there is made from the default branch.
    #[serde(default = "main")]
    pub branch: String,
    /// The files and their texts; null removes a file.
    pub files: BTreeMap<String, Option<String>>,
}

/// A webhook that is delivered again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RedeliverOrder {
    /// Its id, as in `X-GitHub-Delivery`.
    pub delivery: DeliveryId,
}

/// Bytes that are delivered as they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawOrder {
    /// For `X-GitHub-Event`.
    pub event: String,
    /// For `X-GitHub-Delivery`.
    pub delivery: DeliveryId,
    /// The body.
    pub body: String,
    /// For `X-Hub-Signature-256`, the right one if absent.
    #[serde(default)]
    pub signature: Option<String>,
}

/// What became of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventAnswer {
    /// The id of the webhook.
    pub delivery: Option<DeliveryId>,
    /// The status that it was answered with.
    pub status: Option<u16>,
    /// The run that ended.
    pub run: Option<RunId>,
}

pub(super) fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/requests", get(requests))
        .route("/runs", get(runs))
        .route("/faults", post(faults))
        .route("/events", post(events))
        .layer(axum::middleware::from_fn(loopback_only))
}

async fn requests(State(shared): State<Arc<Shared>>) -> Response {
    Json(shared.world().requests()).into_response()
}

async fn runs(State(shared): State<Arc<Shared>>) -> Response {
    Json(shared.world().runs().collect::<Vec<_>>()).into_response()
}

async fn faults(State(shared): State<Arc<Shared>>, body: Bytes) -> Result<StatusCode, Refusal> {
    let fault: Fault = order(&body)?;
    shared.world().faults.push(fault);
    Ok(StatusCode::CREATED)
}

async fn events(State(shared): State<Arc<Shared>>, body: Bytes) -> Result<Json<EventAnswer>, Refusal> {
    let order: EventOrder = order(&body)?;
    let (run, first) = happen(&shared, order)?;
    let Some((delivery, answer)) = first else { return Ok(Json(EventAnswer { delivery: None, status: None, run })) };
    // The sender is dropped without a word where no webhook URL is set.
    Ok(Json(match answer.await {
        Ok(status) => EventAnswer { delivery: Some(delivery), status, run },
        Err(_) => EventAnswer { delivery: None, status: None, run },
    }))
}

type Awaited = (DeliveryId, oneshot::Receiver<Option<u16>>);

/// Lets it happen, and puts its webhook on the way, behind those of what happened before.
fn happen(shared: &Shared, order: EventOrder) -> Result<(Option<RunId>, Option<Awaited>), Refusal> {
    let mut world = shared.world();
    shared.send_webhooks(&mut world);
    let mut run = None;
    let mut signature = None;
    let mut webhooks = match order {
        EventOrder::WorkflowRun(order) => {
            run = Some(complete(&mut world, order)?);
            world.take_webhooks()
        }
        EventOrder::Push(PushOrder { repository, branch, files }) => {
            let files: Vec<_> =
                files.iter().map(|(path, text)| (path.as_str(), text.as_ref().map(String::as_bytes))).collect();
            world.push(&repository, &branch, &files)?;
            world.take_webhooks()
        }
        EventOrder::Redeliver(RedeliverOrder { delivery }) => {
            let record = world.deliveries().find(|record| record.webhook.delivery == delivery);
            let id = record.ok_or_else(|| WorldError(format!("there was no delivery `{delivery}`")))?.id;
            world.redeliver(id).map_err(|error| WorldError(error.message))?;
            world.take_webhooks()
        }
        EventOrder::Raw(raw) => {
            signature = raw.signature;
            vec![OutgoingWebhook {
                delivery: raw.delivery,
                event: raw.event,
                action: None,
                installation: None,
                repository: None,
                redelivery: false,
                body: raw.body.into_bytes(),
            }]
        }
    };
    let Some(webhook) = webhooks.pop() else { return Ok((run, None)) };
    let (answer, status) = oneshot::channel();
    let delivery = webhook.delivery.clone();
    // Nobody receives any more only while the emulator stops; then the status never comes.
    let _ = shared.parcels.send(Parcel { webhook, signature, answer: Some(answer) });
    Ok((run, Some((delivery, status))))
}

fn complete(world: &mut World, order: RunOrder) -> Result<RunId, WorldError> {
    let repository = order.repository;
    let spec = RunSpec {
        workflow: order.workflow,
        branch: order.branch,
        tag: order.tag,
        conclusion: order.conclusion,
        event: order.event,
        fork: order.fork,
        head_repository_deleted: order.head_repository_deleted,
        sha: order.sha,
        rerun_of: order.rerun_of,
        actor: order.actor,
        path: order.path,
    };
    world.complete_run(&repository, spec)
}

/// An order that cannot be carried out.
struct Refusal(StatusCode, String);

impl From<WorldError> for Refusal {
    fn from(error: WorldError) -> Self {
        Self(StatusCode::UNPROCESSABLE_ENTITY, error.to_string())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, Json(serde_json::json!({ "message": self.1 }))).into_response()
    }
}

fn order<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| Refusal(StatusCode::BAD_REQUEST, error.to_string()))
}

/// Lets only this machine's programs in: a page from elsewhere that a browser shows has another `Origin`, and after DNS
/// rebinding another `Host`.
async fn loopback_only(request: Request, next: Next) -> Response {
    if is_from_here(request.headers()) {
        return next.run(request).await;
    }
    Refusal(StatusCode::FORBIDDEN, "only for programs on this machine".to_owned()).into_response()
}

fn is_from_here(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let origin = text(header::ORIGIN).map(|origin| origin.strip_prefix("http://").unwrap_or_default());
    text(header::HOST).is_some_and(is_loopback) && origin.is_none_or(is_loopback)
}

fn is_loopback(host: &str) -> bool {
    let name = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|digit| digit.is_ascii_digit()));
    matches!(name.map_or(host, |(name, _)| name), "127.0.0.1" | "localhost" | "[::1]")
}

fn main() -> String {
    "main".to_owned()
}

#[allow(clippy::unnecessary_wraps, reason = "the default of an optional field")]
fn success() -> Option<Conclusion> {
    Some(Conclusion::Success)
}

fn push() -> String {
    "push".to_owned()
}

fn octocat() -> String {
    "octocat".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_names_pass() {
        let cases = [
            ("127.0.0.1", true),
            ("127.0.0.1:8080", true),
            ("localhost:1", true),
            ("[::1]:80", true),
            ("[::1]", true),
            ("127.0.0.1.example.com", false),
            ("example.com:80", false),
            ("localhost:80@example.com", false),
            ("", false),
        ];
        for (host, expected) in cases {
            assert_eq!(is_loopback(host), expected, "{host}");
        }
    }
}
