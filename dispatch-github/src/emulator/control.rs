//! `/_emulator/...`: to look into the emulator and to let things happen in it, from outside.
//!
//! For programs on this machine only: a request whose `Host` or `Origin` is not loopback is refused, so that no page in a
//! browser can use it.
//!
//! ## `GET /_emulator/requests`
//! Every API request, oldest first. `status` is null where the connection was cut, `repositories` is null where the token
//! is for its whole installation, and both that and `permissions` are null without a token. `query` and `body` are there
//! where the request had them, the body as a text, byte for byte.
//! ```json
//! [{"at": "2026-01-01T00:00:00Z", "method": "GET", "path": "/repos/octo-org/api/contents/dispatching.yml",
//!   "caller": "installation", "permissions": {"contents": "read", "metadata": "read"},
//!   "repositories": ["octo-org/api"], "status": 200}]
//! ```
//!
//! ## `GET /_emulator/runs`
//! Every workflow run, oldest first: [`Run`](dispatch_core::testing::world::Run) as JSON.
//!
//! ## `GET /_emulator/effects`
//! What clients of the API changed, oldest first, with what they sent: [`Effect`](dispatch_core::testing::world::Effect) as
//! JSON, such as
//! ```json
//! [{"repository_dispatch": {"repository": "octo-org/infra", "event_type": "deploy", "client_payload": {"pr": "7"}}}]
//! ```
//!
//! ## `GET /_emulator/check_runs`, `GET /_emulator/comments`
//! Every check run, and every comment with its reactions, oldest first, as the API shows them.
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
//! Makes something happen, delivers its webhooks, and answers when the last one was answered:
//! `{"delivery": "…", "status": 202, "run": 5000000017}`. `delivery` is null where no webhook is sent (the App is not
//! installed there, or no webhook URL is set), `status` is null where nobody answered, `run` where there is none. What was
//! made besides is told as `number` (of a pull request or an issue) or `comment` (its id). [`EventOrder`] has all orders.
//!
//! A run completes, in a fork, at a tag, another attempt, ... ([`RunOrder`] has all fields):
//! ```json
//! {"workflow_run": {"repository": "octo-org/api", "workflow": "ci.yml", "branch": "main", "conclusion": "success"}}
//! ```
//! Files are pushed; null removes one:
//! ```json
//! {"push": {"repository": "octo-org/api", "branch": "main", "files": {"dispatching.yml": "outbound: []\n"}}}
//! ```
//! People work on pull requests. Of the first one only `repository` is required, and in a `fork` the branch is another one:
//! ```json
//! {"open_pull_request": {"repository": "octo-org/api", "author": "octocat", "head_branch": "topic", "base": "main",
//!   "draft": false, "fork": "stranger/api", "title": "Change something", "body": null}}
//! {"push_to_pull_request": {"repository": "octo-org/api", "number": 1, "author": "octocat"}}
//! {"close_pull_request": {"repository": "octo-org/api", "number": 1, "merged": true}}
//! {"reopen_pull_request": {"repository": "octo-org/api", "number": 1}}
//! {"retarget_pull_request": {"repository": "octo-org/api", "number": 1, "base": "dev"}}
//! {"set_draft": {"repository": "octo-org/api", "number": 1, "draft": true}}
//! {"label_pull_request": {"repository": "octo-org/api", "number": 1, "label": "keep"}}
//! {"unlabel_pull_request": {"repository": "octo-org/api", "number": 1, "label": "keep"}}
//! ```
//! They comment, on issues too, and `app` makes it a comment through an App:
//! ```json
//! {"open_issue": {"repository": "octo-org/api", "author": "octocat", "title": "It is broken", "body": "Look."}}
//! {"comment": {"repository": "octo-org/api", "number": 1, "login": "octocat", "body": "/deploy", "app": null}}
//! {"edit_comment": {"repository": "octo-org/api", "comment": 5000000042, "body": "/destroy"}}
//! {"delete_comment": {"repository": "octo-org/api", "comment": 5000000042}}
//! ```
//! They get rights and join teams, which no webhook tells here:
//! ```json
//! {"set_permission": {"repository": "octo-org/api", "login": "octocat", "role": "maintain"}}
//! {"add_team_member": {"organisation": "octo-org", "team": "ops", "login": "octocat", "role": "member"}}
//! ```
//! Somebody presses "Re-run" at a check run, switches a workflow off, or a run that was dispatched ends now:
//! ```json
//! {"rerequest_check": {"repository": "octo-org/api", "check_run": 5000000050, "login": "octocat"}}
//! {"set_workflow_state": {"repository": "octo-org/api", "workflow": "ci.yml", "state": "disabled_manually"}}
//! {"finish_run": {"run": 5000000060, "conclusion": "failure"}}
//! ```
//! A webhook is delivered again, with the same id:
//! ```json
//! {"redeliver": {"delivery": "0f0e9a2c-0000-1111-2222-333344445555"}}
//! ```
//! Any bytes are sent, with a right signature unless another one is given:
//! ```json
//! {"raw": {"event": "workflow_run", "body": "{}", "delivery": "1", "signature": "sha256=00"}}
//! ```

mod happen;
mod order;

pub use order::{EventOrder, PullRequestOrder, PushOrder, RawOrder, RedeliverOrder, RunOrder};

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use dispatch_core::name::{DeliveryId, RunId};
use dispatch_core::testing::world::{CheckRun, Fault, WorldError};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::Shared;

/// What became of an order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventAnswer {
    /// The id of the webhook.
    pub delivery: Option<DeliveryId>,
    /// The status that it was answered with.
    pub status: Option<u16>,
    /// The run that ended.
    pub run: Option<RunId>,
    /// The number of the pull request, or of the issue, that was opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
    /// The id of the comment that was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<u64>,
}

pub(super) fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/requests", get(requests))
        .route("/runs", get(runs))
        .route("/effects", get(effects))
        .route("/check_runs", get(check_runs))
        .route("/comments", get(comments))
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

async fn effects(State(shared): State<Arc<Shared>>) -> Response {
    Json(shared.world().effects()).into_response()
}

async fn check_runs(State(shared): State<Arc<Shared>>) -> Response {
    let world = shared.world();
    let of = |check: &CheckRun| world.repositories().find(|state| state.id == check.repository);
    let shown = world.check_runs().filter_map(|check| Some(world.json_check_run(of(check)?, check)));
    Json(shown.collect::<Vec<_>>()).into_response()
}

async fn comments(State(shared): State<Arc<Shared>>) -> Response {
    let world = shared.world();
    let all = world.repositories().flat_map(|state| state.comments.values().map(move |comment| (state, comment)));
    let mut all: Vec<_> = all.collect();
    all.sort_by_key(|(_, comment)| comment.id);
    Json(all.iter().map(|(state, comment)| world.json_comment(state, comment)).collect::<Vec<_>>()).into_response()
}

async fn events(State(shared): State<Arc<Shared>>, body: Bytes) -> Result<Json<EventAnswer>, Refusal> {
    let order: EventOrder = order(&body)?;
    let (mut answer, last) = happen::happen(&shared, order)?;
    if let Some((delivery, answered)) = last {
        // The sender is dropped without a word where no webhook URL is set.
        if let Ok(status) = answered.await {
            (answer.delivery, answer.status) = (Some(delivery), status);
        }
    }
    Ok(Json(answer))
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
