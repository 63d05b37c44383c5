//! GitHub's bytes: is the signature right, and what do they say.

mod access;
mod payload;
mod signature;

use serde::Deserialize;

use self::access::AccessPayload;
use self::payload::{PushPayload, Text, WorkflowRunPayload};
pub use self::signature::{SecretsError, SignatureError, WebhookSecrets};
use crate::event::Event;
use crate::quote::quote;
use crate::revocation::AccessLost;

/// What a webhook says.
#[derive(Debug, Clone, PartialEq)]
pub enum Webhook {
    /// Something that is kept.
    Event(Box<Event>),
    /// The App lost access somewhere. It never starts anything.
    AccessLost(Box<AccessLost>),
    /// An event or an action that means nothing here. GitHub adds new ones at any time: they are answered and ignored.
    Ignored {
        /// The action, where the body has one of at most 100 characters.
        action: Option<String>,
    },
}

/// A body cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    /// Not UTF-8.
    #[error("the body is not UTF-8")]
    NotUtf8,
    /// Not JSON, or not the shape that GitHub documents for this event.
    #[error("the body is not a {} payload: {problem}", quote(event))]
    Malformed {
        /// From `X-GitHub-Event`, its first 100 characters.
        event: String,
        /// What was expected, and where. At most 300 characters, one line.
        problem: String,
    },
}

/// Reads a body whose signature is right. `event` is the value of `X-GitHub-Event`; the signature does not cover it, so a
/// body that does not have the event's shape is refused.
///
/// Only what is used is required, because real payloads differ from their schema. Nothing is copied but what is kept.
///
/// # Errors
/// [`WebhookError`].
pub fn parse(event: &str, body: &[u8]) -> Result<Webhook, WebhookError> {
    let body = std::str::from_utf8(body).map_err(|_| WebhookError::NotUtf8)?;
    let webhook = match event {
        "workflow_run" => workflow_run(body),
        "push" => push(body),
        "installation" | "installation_repositories" => access(event, body),
        _ => any(body),
    };
    webhook.map_err(|problem| WebhookError::Malformed {
        event: event.chars().take(100).collect(),
        problem: problem.chars().filter(|c| !c.is_control()).take(300).collect(),
    })
}

fn workflow_run(body: &str) -> Result<Webhook, String> {
    match serde_json::from_str::<WorkflowRunPayload<'_>>(body) {
        Ok(payload) if payload.is_completed() => Ok(Webhook::Event(Box::new(payload.into_event()?))),
        Ok(_) => any(body),
        // Of the actions that mean nothing here, no shape is expected.
        Err(error) => match any(body)? {
            Webhook::Ignored { action: Some(action) } if action != WorkflowRunPayload::ACTION => any(body),
            _ => Err(error.to_string()),
        },
    }
}

fn push(body: &str) -> Result<Webhook, String> {
    let payload: PushPayload<'_> = serde_json::from_str(body).map_err(|error| error.to_string())?;
    Ok(Webhook::Event(Box::new(payload.into_event()?)))
}

fn access(event: &str, body: &str) -> Result<Webhook, String> {
    match serde_json::from_str::<AccessPayload<'_>>(body) {
        Ok(payload) => match AccessPayload::takes_away(event, payload.action()) {
            Some(lost) => Ok(Webhook::AccessLost(Box::new(lost(payload)?))),
            None => any(body),
        },
        Err(error) => match any(body)? {
            Webhook::Ignored { action: Some(action) } if AccessPayload::takes_away(event, &action).is_none() => {
                any(body)
            }
            _ => Err(error.to_string()),
        },
    }
}

/// A payload that means nothing here: it is JSON, and may have an action.
fn any(body: &str) -> Result<Webhook, String> {
    #[derive(Deserialize)]
    struct Payload<'a> {
        #[serde(borrow, default)]
        action: Option<Text<'a>>,
    }
    let payload: Payload<'_> = serde_json::from_str(body).map_err(|error| error.to_string())?;
    let action = payload.action.map(Text::into_string).filter(|action| action.chars().count() <= 100);
    Ok(Webhook::Ignored { action })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::event::{Conclusion, EventKind, Head, Push, WorkflowRun};
    use crate::name::RepositoryId;
    use crate::revocation::Extent;

    const SHA: &str = "3484a3fb816e0859fd6e1cea078d76385ff50625";

    fn run_body() -> Value {
        json!({
            "action": "completed",
            "workflow_run": {
                "id": 30_433_642_000_u64, "run_number": 7, "run_attempt": 2, "path": ".github/workflows/ci.yml",
                "conclusion": "success", "event": "push", "head_branch": "main", "head_sha": SHA,
                "head_repository": { "id": 11, "full_name": "acme/api" },
                "html_url": "https://github.com/acme/api/actions/runs/30433642000",
                "run_started_at": "2026-01-02T03:04:05Z", "updated_at": "2026-01-02T03:05:06Z",
                "head_commit": { "message": "what a stranger wrote" },
            },
            "repository": { "id": 11, "full_name": "acme/api", "default_branch": "main", "private": true },
            "installation": { "id": 5 },
            "sender": { "login": "octocat" },
        })
    }

    fn push_body() -> Value {
        json!({
            "ref": "refs/heads/main", "after": SHA, "created": false, "deleted": false, "forced": false,
            "commits": [{ "added": ["a"], "removed": [], "modified": ["src/dispatching.yml"] }],
            "repository": { "id": 11, "full_name": "acme/api", "default_branch": "main", "private": true },
        })
    }

    fn with(mut body: Value, pointer: &str, value: Value) -> Value {
        *body.pointer_mut(pointer).unwrap() = value;
        body
    }

    fn without(mut body: Value, parent: &str, key: &str) -> Value {
        body.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(key).unwrap();
        body
    }

    fn event(name: &str, body: &Value) -> Event {
        match parse(name, body.to_string().as_bytes()).unwrap() {
            Webhook::Event(event) => *event,
            other => panic!("{other:?}"),
        }
    }

    fn run(body: &Value) -> WorkflowRun {
        match event("workflow_run", body).kind {
            EventKind::WorkflowRun(run) => run,
            other => panic!("{other:?}"),
        }
    }

    fn push(body: &Value) -> Push {
        match event("push", body).kind {
            EventKind::Push(push) => push,
            other => panic!("{other:?}"),
        }
    }

    fn problem(event: &str, body: &str) -> String {
        parse(event, body.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn a_completed_run_is_an_event_without_anything_that_a_stranger_wrote() {
        insta::assert_snapshot!(serde_json::to_string_pretty(&event("workflow_run", &run_body())).unwrap(), @r#"
        {
          "version": 1,
          "repository": {
            "id": 11,
            "name": "acme/api",
            "default_branch": "main",
            "private": true
          },
          "installation": 5,
          "sender": "octocat",
          "kind": {
            "workflow_run": {
              "id": 30433642000,
              "attempt": 2,
              "number": 7,
              "workflow": "ci.yml",
              "conclusion": "success",
              "event": "push",
              "head_branch": "main",
              "head_sha": "3484a3fb816e0859fd6e1cea078d76385ff50625",
              "head": "same_repository",
              "actor": null,
              "url": "https://github.com/acme/api/actions/runs/30433642000",
              "started_at": "2026-01-02T03:04:05Z",
              "updated_at": "2026-01-02T03:05:06Z"
            }
          }
        }
        "#);
    }

    #[test]
    fn the_workflow_is_a_file_of_the_run_s_own_repository_or_none() {
        let cases = [
            (json!(".github/workflows/ci.yml"), Some("ci.yml")),
            (json!(".github/workflows/ci.yaml@main"), Some("ci.yaml")),
            (json!(".github/workflows/ci.yml@refs/heads/a@b.yml"), Some("ci.yml")),
            (json!("acme/api/.github/workflows/ci.yml@main"), Some("ci.yml")),
            (json!("ACME/Api/.github/workflows/ci.yml"), Some("ci.yml")),
            (json!("acme/other/.github/workflows/ci.yml@main"), None),
            (json!("evil/acme/api/.github/workflows/ci.yml"), None),
            (json!("x/.github/workflows/ci.yml"), None),
            (json!("dynamic/github-code-scanning/codeql"), None),
            (json!(".github/workflows/sub/ci.yml"), None),
            (json!("workflows/ci.yml"), None),
            (json!("ci.yml"), None),
            (json!(""), None),
            (Value::Null, None),
        ];
        for (path, workflow) in cases {
            let run = run(&with(run_body(), "/workflow_run/path", path.clone()));
            assert_eq!(run.workflow.as_ref().map(|file| file.as_str()), workflow, "{path}");
        }
        assert_eq!(run(&without(run_body(), "/workflow_run", "path")).workflow, None);
    }

    #[test]
    fn a_fork_is_recognised_by_its_id_and_never_by_its_name() {
        let cases = [
            (json!({ "id": 11, "full_name": "somebody/renamed" }), Head::SameRepository),
            (json!({ "id": 12, "full_name": "acme/api" }), Head::Fork(RepositoryId(12))),
            (json!({ "full_name": "acme/api" }), Head::Unknown),
            (Value::Null, Head::Unknown),
        ];
        for (head, expected) in cases {
            assert_eq!(run(&with(run_body(), "/workflow_run/head_repository", head.clone())).head, expected, "{head}");
        }
    }

    #[test]
    fn what_is_not_used_or_not_known_may_be_missing_or_null() {
        for key in ["conclusion", "head_branch", "event", "html_url", "run_attempt", "run_started_at", "path"] {
            let null = run(&with(run_body(), &format!("/workflow_run/{key}"), Value::Null));
            assert_eq!(null, run(&without(run_body(), "/workflow_run", key)), "{key}");
        }
        for key in ["installation", "sender"] {
            let null = event("workflow_run", &with(run_body(), &format!("/{key}"), Value::Null));
            assert_eq!(null, event("workflow_run", &without(run_body(), "", key)), "{key}");
        }
        assert_eq!(run(&with(run_body(), "/workflow_run/conclusion", json!("invented"))).conclusion, None);
        assert_eq!(run(&run_body()).conclusion, Some(Conclusion::Success));
    }

    #[test]
    fn times_are_texts_or_seconds() {
        let seconds = run(&with(run_body(), "/workflow_run/updated_at", json!(1_767_323_106)));
        assert_eq!(seconds, run(&run_body()));
        let started = run(&with(run_body(), "/workflow_run/updated_at", Value::Null));
        assert_eq!(Some(started.updated_at), started.started_at);
    }

    #[test]
    fn an_address_beyond_the_limit_is_dropped_and_not_cut() {
        assert_eq!(run(&with(run_body(), "/workflow_run/html_url", json!("x".repeat(1_024)))).url.len(), 1_024);
        assert_eq!(run(&with(run_body(), "/workflow_run/html_url", json!("x".repeat(1_025)))).url, "");
    }

    #[test]
    fn escapes_in_the_body_are_read() {
        let body = run_body().to_string().replace("\"main\"", r#""m\u0061in\/\u00e4""#);
        let Webhook::Event(event) = parse("workflow_run", body.as_bytes()).unwrap() else { panic!("ignored") };
        assert_eq!(event.repository.default_branch.as_str(), "main/ä");
    }

    #[test]
    fn other_events_and_actions_are_ignored_whatever_they_hold() {
        let cases = [
            ("workflow_run", json!({ "action": "requested" }), Some("requested")),
            ("workflow_run", json!({ "action": "in_progress", "workflow_run": 7 }), Some("in_progress")),
            ("workflow_run", json!({ "workflow_run": {} }), None),
            ("star", json!({ "action": "created" }), Some("created")),
            ("invented", json!({}), None),
            ("invented", json!({ "action": null }), None),
            ("invented", json!({ "action": "x".repeat(101) }), None),
        ];
        for (name, body, action) in cases {
            let ignored = Webhook::Ignored { action: action.map(str::to_owned) };
            assert_eq!(parse(name, body.to_string().as_bytes()), Ok(ignored), "{name} {body}");
        }
    }

    #[test]
    fn a_push_says_where_a_commit_is_and_whether_the_policy_may_have_changed() {
        let cases = [
            ("nothing of it", push_body(), false),
            ("in the root", with(push_body(), "/commits/0/modified", json!(["a", "dispatching.yml"])), true),
            ("in .github", with(push_body(), "/commits/0/added", json!([".github/dispatching.yml"])), true),
            ("removed", with(push_body(), "/commits/0/removed", json!(["dispatching.yml"])), true),
            ("forced", with(push_body(), "/forced", json!(true)), true),
            ("created", with(push_body(), "/created", json!(true)), true),
            ("deleted", with(push_body(), "/deleted", json!(true)), true),
            ("no list", with(push_body(), "/commits", Value::Null), true),
            ("an empty list", with(push_body(), "/commits", json!([])), true),
            ("a list that may be cut", with(push_body(), "/commits", Value::Array(vec![json!({}); 2_048])), true),
            ("a long list", with(push_body(), "/commits", Value::Array(vec![json!({}); 2_047])), false),
            ("null paths", with(push_body(), "/commits/0/added", Value::Null), false),
        ];
        for (name, body, touches_policy) in cases {
            let push = push(&body);
            assert_eq!(push.touches_policy, touches_policy, "{name}");
            assert_eq!(push.branch.as_ref().map(|branch| branch.as_str()), Some("main"), "{name}");
            assert_eq!(push.after.as_ref().map(|sha| sha.as_str()), Some(SHA), "{name}");
        }
    }

    #[test]
    fn a_tag_is_no_branch_and_a_deleted_branch_has_no_commit() {
        assert_eq!(push(&with(push_body(), "/ref", json!("refs/tags/main"))).branch, None);
        assert_eq!(push(&with(push_body(), "/after", json!("0".repeat(40)))).after, None);
    }

    #[test]
    fn a_body_that_cannot_be_read_says_why_in_one_line() {
        let run = run_body();
        insta::assert_snapshot!([
            parse("push", &[0x7b, 0xff]).unwrap_err().to_string(),
            problem("star", "no"),
            problem("st`\n", "{"),
            problem("workflow_run", run.to_string().trim_end_matches('}')),
            problem("push", &run.to_string()),
            problem("workflow_run", &with(run.clone(), "/workflow_run/head_sha", json!("abc")).to_string()),
            problem("workflow_run", &with(run.clone(), "/workflow_run/id", json!("1")).to_string()),
            problem("workflow_run", &with(run.clone(), "/workflow_run/updated_at", json!("today")).to_string()),
            problem("workflow_run", &with(run.clone(), "/workflow_run/event", json!("x".repeat(101))).to_string()),
            problem("workflow_run", &with(run.clone(), "/repository/full_name", json!("a/`\n")).to_string()),
            problem("workflow_run", &without(run, "", "repository").to_string()),
        ].join("\n"), @r#"
        the body is not UTF-8
        the body is not a `star` payload: expected ident at line 1 column 2
        the body is not a `st\u{60}\u{a}` payload: EOF while parsing an object at line 1 column 1
        the body is not a `workflow_run` payload: EOF while parsing an object at line 1 column 613
        the body is not a `push` payload: `ref` is missing
        the body is not a `workflow_run` payload: `workflow_run.head_sha`: `abc` is not a commit (40 lowercase hexadecimal digits)
        the body is not a `workflow_run` payload: invalid type: string "1", expected u64 at line 1 column 464
        the body is not a `workflow_run` payload: invalid value: string "today", expected a time, as RFC 3339 text or as seconds since 1970 at line 1 column 598
        the body is not a `workflow_run` payload: `workflow_run.event` is longer than 100 characters
        the body is not a `workflow_run` payload: `repository.full_name`: `a/\u{60}\u{a}` is not a repository as `owner/name`
        the body is not a `workflow_run` payload: `repository` is missing
        "#);
    }

    fn lost(name: &str, body: &Value) -> AccessLost {
        match parse(name, body.to_string().as_bytes()).unwrap() {
            Webhook::AccessLost(lost) => *lost,
            other => panic!("{other:?}"),
        }
    }

    fn access_body(action: &str) -> Value {
        json!({
            "action": action,
            "installation": { "id": 5, "account": { "login": "Acme" }, "created_at": 1_700_000_000 },
            "repositories_removed": [{ "id": 11, "full_name": "acme/api" }, { "id": 12 }, {}],
        })
    }

    #[test]
    fn a_lost_installation_is_all_of_its_account_and_a_lost_repository_is_its_id() {
        for action in ["deleted", "suspend"] {
            let lost = lost("installation", &access_body(action));
            assert_eq!((lost.installation.0, lost.account.as_str()), (5, "Acme"));
            assert_eq!(lost.extent, Extent::Installation, "{action}");
        }
        let removed = lost("installation_repositories", &access_body("removed"));
        assert_eq!(removed.extent, Extent::Repositories([11, 12].map(RepositoryId).into()));
        let nothing = without(access_body("removed"), "", "repositories_removed");
        assert_eq!(lost("installation_repositories", &nothing).extent, Extent::Repositories(Vec::new()));
    }

    #[test]
    fn a_list_of_lost_repositories_that_is_too_long_is_taken_for_all() {
        let list = |length: u64| (1..=length).map(|id| json!({ "id": id })).collect();
        for (length, all) in [(10_000, false), (10_001, true)] {
            let body = with(access_body("removed"), "/repositories_removed", Value::Array(list(length)));
            assert_eq!(lost("installation_repositories", &body).extent == Extent::Installation, all, "{length}");
        }
    }

    #[test]
    fn what_gives_access_is_ignored_and_what_cannot_be_read_takes_none() {
        for (name, action) in [
            ("installation", "created"),
            ("installation", "unsuspend"),
            ("installation", "new_permissions_accepted"),
            ("installation", "removed"),
            ("installation_repositories", "added"),
            ("installation_repositories", "deleted"),
            ("star", "deleted"),
        ] {
            let ignored = Webhook::Ignored { action: Some(action.to_owned()) };
            assert_eq!(parse(name, access_body(action).to_string().as_bytes()), Ok(ignored), "{name} {action}");
        }
        insta::assert_snapshot!([
            problem("installation", &without(access_body("deleted"), "", "installation").to_string()),
            problem("installation", &without(access_body("suspend"), "/installation", "account").to_string()),
            problem("installation", &with(access_body("suspend"), "/installation/account/login", json!("a b")).to_string()),
            problem("installation_repositories", &without(access_body("removed"), "/installation", "id").to_string()),
            problem("installation_repositories", &with(access_body("removed"), "/repositories_removed", json!(7)).to_string()),
        ].join("\n"), @r"
        the body is not a `installation` payload: `installation` is missing
        the body is not a `installation` payload: `installation.account` is missing
        the body is not a `installation` payload: `installation.account.login`: `a b` is not an account name
        the body is not a `installation_repositories` payload: `installation.id` is missing
        the body is not a `installation_repositories` payload: invalid type: integer `7`, expected a list at line 1 column 119
        ");
    }
}
