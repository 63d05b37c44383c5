//! Whatever the bytes are, reading them ends with an answer.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use dispatch_core::event::{Event, EventKind};
use dispatch_core::webhook::{Webhook, WebhookSecrets, parse};
use proptest::prelude::*;
use proptest::test_runner::Config;
use serde_json::{Value, json};

const EVENTS: [&str; 6] = ["workflow_run", "push", "pull_request", "issue_comment", "check_run", "star"];
const ACTIONS: [&str; 7] = ["completed", "requested", "synchronize", "closed", "created", "rerequested", "edited"];

/// Everything that an event of ours has, so that each of them is in it under its own action.
fn everything(action: &str) -> Value {
    let account = json!({ "id": 7, "login": "octocat", "type": "User" });
    json!({
        "action": action,
        "workflow_run": {
            "id": 1, "run_number": 7, "run_attempt": 2, "path": ".github/workflows/ci.yml", "conclusion": "success",
            "event": "push", "head_branch": "main", "head_sha": "3484a3fb816e0859fd6e1cea078d76385ff50625",
            "head_repository": { "id": 11 }, "html_url": "https://github.com/acme/api/actions/runs/1",
            "run_started_at": "2026-01-02T03:04:05Z", "updated_at": "2026-01-02T03:05:06Z",
        },
        "pull_request": {
            "number": 7, "state": "open", "merged": false, "draft": false, "updated_at": 1_767_323_106,
            "base": { "ref": "main" }, "user": account, "labels": [{ "name": "keep" }],
            "head": { "ref": "b", "sha": "3484a3fb816e0859fd6e1cea078d76385ff50625", "repo": { "id": 12 } },
        },
        "issue": { "number": 7, "pull_request": {} },
        "comment": {
            "id": 1, "body": "/deploy 3484a3fb816e0859fd6e1cea078d76385ff50625", "user": account,
            "created_at": "2026-01-02T03:04:05Z", "performed_via_github_app": null,
        },
        "check_run": {
            "id": 1, "external_id": "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
            "app": { "slug": "dispatch" }, "check_suite": { "updated_at": "2026-01-02T03:04:05Z" },
        },
        "ref": "refs/heads/main", "after": "3484a3fb816e0859fd6e1cea078d76385ff50625", "forced": false,
        "commits": [{ "added": ["a"], "removed": [], "modified": ["dispatching.yml"] }],
        "repository": { "id": 11, "full_name": "acme/api", "default_branch": "main", "private": true },
        "installation": { "id": 5 }, "sender": account,
    })
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,20}".prop_map(Value::from),
        "[.github/workflows@a-z]{0,40}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[a-z_]{1,12}", inner, 0..3)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Every place of a value that can be replaced.
fn places(value: &Value, at: &str, places: &mut Vec<String>) {
    places.push(at.to_owned());
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| self::places(value, &format!("{at}/{key}"), places)),
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(i, value)| self::places(value, &format!("{at}/{i}"), places))
        }
        _ => {}
    }
}

proptest! {
    #![proptest_config(Config { cases: 2_000, failure_persistence: None, ..Config::default() })]

    #[test]
    fn any_bytes_get_an_answer(body in prop::collection::vec(any::<u8>(), 0..200), header in prop::collection::vec(any::<u8>(), 0..80)) {
        for event in EVENTS {
            if let Err(error) = parse(event, &body) {
                prop_assert!(!error.to_string().chars().any(char::is_control));
            }
        }
        let secrets: WebhookSecrets = "one,two".parse().unwrap();
        prop_assert!(secrets.verify(Some(&header), &body).is_err());
        prop_assert_eq!(secrets.verify(Some(secrets.sign(&body).as_bytes()), &body), Ok(0));
    }

    #[test]
    fn a_payload_with_anything_anywhere_gets_an_answer(
        action in prop::sample::select(&ACTIONS[..]),
        place in any::<prop::sample::Index>(),
        value in any_json(),
    ) {
        let mut body = everything(action);
        let mut all = Vec::new();
        places(&body, "", &mut all);
        *body.pointer_mut(place.get(&all).as_str()).unwrap() = value;
        for event in EVENTS {
            match parse(event, body.to_string().as_bytes()) {
                Ok(Webhook::Event(read)) => {
                    prop_assert_eq!(event, read.kind.name());
                    // What is kept can be stored and read back.
                    let stored = serde_json::to_string(&read).unwrap();
                    prop_assert_eq!(&*read, &serde_json::from_str(&stored).unwrap());
                    prop_assert_eq!(read.identity(), serde_json::from_str::<Event>(&stored).unwrap().identity());
                    if let EventKind::WorkflowRun(run) = &read.kind {
                        prop_assert!(run.url.chars().count() <= 1_024 && run.event.len() <= 100);
                    }
                }
                Ok(Webhook::AccessLost(lost)) => prop_assert!(false, "it takes no access away: {lost:?}"),
                Ok(Webhook::Ignored { action }) => prop_assert!(action.is_none_or(|action| action.chars().count() <= 100)),
                Err(error) => prop_assert!(!error.to_string().chars().any(char::is_control)),
            }
        }
    }
}

#[test]
fn each_event_is_read_under_its_own_name_and_action_and_no_other() {
    for action in ACTIONS {
        let body = everything(action).to_string();
        let read = EVENTS.map(|event| match parse(event, body.as_bytes()) {
            Ok(Webhook::Event(read)) => Some((read.kind.name(), read.kind.action())),
            _ => None,
        });
        let expected = EVENTS.map(|event| match (event, action) {
            ("push", _) => Some(("push", None)),
            ("workflow_run", "completed" | "requested")
            | ("pull_request", "synchronize" | "closed")
            | ("issue_comment", "created")
            | ("check_run", "rerequested") => Some((event, Some(action))),
            _ => None,
        });
        assert_eq!(read, expected, "{action}");
    }
}

#[test]
fn deep_and_long_bodies_get_an_answer() {
    let deep = "[".repeat(100_000);
    let commits = format!(r#"{{"commits":[{}{{}}]}}"#, "{},".repeat(100_000));
    let labels = format!(r#"{{"pull_request":{{"labels":[{}{{}}]}}}}"#, "{},".repeat(100_000));
    let skipped = format!(r#"{{"x":{}{},"action":"created"}}"#, "[".repeat(100_000), "]".repeat(100_000));
    for body in [deep.clone(), format!(r#"{{"action":{deep}"#), format!(r#"{{"workflow_run":{deep}"#), commits, labels]
    {
        for event in EVENTS {
            assert!(!matches!(parse(event, body.as_bytes()), Ok(Webhook::Event(_))));
        }
    }
    assert_eq!(parse("star", skipped.as_bytes()), Ok(Webhook::Ignored { action: Some("created".to_owned()) }));
}
