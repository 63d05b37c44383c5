//! GitHub's own examples: every signature, and every webhook.
//!
//! They are not part of this repository. `DISPATCH_GITHUB_FACTS` names a folder that has `signature-vectors.json` and
//! `webhooks/index.json`; without it these tests say that they were skipped.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    clippy::print_stderr,
    reason = "the files are read here"
)]

use std::path::PathBuf;

use dispatch_core::event::{Conclusion, Event, EventKind, Head, PullRequestAction, PullRequestState, RunProgress};
use dispatch_core::name::RepositoryId;
use dispatch_core::webhook::{Webhook, WebhookSecrets, parse};
use serde_json::Value;

/// The folder, if there is one to read.
fn facts() -> Option<PathBuf> {
    let folder = std::env::var_os("DISPATCH_GITHUB_FACTS").map(PathBuf::from);
    if folder.is_none() {
        eprintln!("skipped: DISPATCH_GITHUB_FACTS does not name a folder");
    }
    folder
}

fn json(path: PathBuf) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn every_signature_is_judged_as_github_says() {
    let Some(facts) = facts() else { return };
    let vectors = json(facts.join("signature-vectors.json"));
    for vector in vectors.as_array().unwrap() {
        let secrets: WebhookSecrets = vector["secret"].as_str().unwrap().parse().unwrap();
        let body = match vector["body_file"].as_str() {
            Some(file) => std::fs::read(facts.join(file)).unwrap(),
            None => vector["body_utf8"].as_str().unwrap().as_bytes().to_vec(),
        };
        let signature = vector["x_hub_signature_256"].as_str().unwrap();
        // Where the vector leaves it open (upper-case digits), it is accepted.
        let valid = vector["valid"].as_bool().unwrap_or(true);
        assert_eq!(secrets.verify(Some(signature.as_bytes()), &body).is_ok(), valid, "{}", vector["name"]);
    }
}

#[test]
fn every_webhook_is_read_or_ignored_as_it_should_be() {
    let Some(facts) = facts() else { return };
    let index = json(facts.join("webhooks/index.json"));
    let files = index["files"].as_array().unwrap();
    let (mut events, mut revocations) = (0, 0);
    for entry in files {
        let (file, name) = (entry["file"].as_str().unwrap(), entry["event"].as_str().unwrap());
        let action = entry["action"].as_str().map(str::to_owned);
        let body = std::fs::read(facts.join("webhooks").join(file)).unwrap();
        let webhook = parse(name, &body).unwrap_or_else(|error| panic!("{file}: {error}"));
        let takes_access = matches!(
            (name, action.as_deref()),
            ("installation", Some("deleted" | "suspend")) | ("installation_repositories", Some("removed"))
        );
        let read: Value = serde_json::from_slice(&body).unwrap();
        let kept = match (name, action.as_deref()) {
            ("workflow_run", Some("completed" | "requested" | "in_progress")) | ("push", None) => true,
            ("pull_request", Some(action)) => PullRequestAction::from_word(action).is_some(),
            // None of GitHub's own comments is a command of the right form, but one.
            ("issue_comment", Some("created")) => {
                read["issue"]["pull_request"].is_object() && read["comment"]["body"].as_str().unwrap().starts_with('/')
            }
            // GitHub's own check runs have no external id of ours.
            _ => false,
        };
        match webhook {
            Webhook::Event(event) if kept => {
                events += 1;
                check(&event, entry, &read);
            }
            Webhook::AccessLost(lost) if takes_access => {
                revocations += 1;
                assert_eq!(Some(lost.installation.0), read["installation"]["id"].as_u64(), "{file}");
                assert_eq!(Some(lost.account.as_str()), read["installation"]["account"]["login"].as_str(), "{file}");
            }
            Webhook::Ignored { action: ignored } if !kept && !takes_access => assert_eq!(ignored, action, "{file}"),
            other => panic!("{file}: {other:?}"),
        }
        // No body of another event is taken for one of ours.
        for event in ["workflow_run", "push", "pull_request", "issue_comment", "check_run"] {
            assert!(name == event || !matches!(parse(event, &body), Ok(Webhook::Event(_))), "{file} as {event}");
        }
        if !takes_access {
            for event in ["installation", "installation_repositories"] {
                assert!(!matches!(parse(event, &body), Ok(Webhook::AccessLost(_))), "{file} as {event}");
            }
        }
    }
    assert!(events >= 35, "only {events} of {} files are events", files.len());
    assert!(revocations >= 4, "only {revocations} of {} files take access away", files.len());
}

fn check(event: &Event, entry: &Value, body: &Value) {
    let file = entry["file"].as_str().unwrap();
    assert_eq!(event.repository.name.as_str(), entry["repository"].as_str().unwrap(), "{file}");
    assert_eq!(event.installation.is_some(), entry["has_installation"].as_bool().unwrap(), "{file}");
    match &event.kind {
        EventKind::WorkflowRun(run) => {
            let raw = &body["workflow_run"];
            assert_eq!(run.id.0, raw["id"].as_u64().unwrap(), "{file}");
            assert_eq!(run.conclusion.map(Conclusion::as_str), raw["conclusion"].as_str(), "{file}");
            assert_eq!(run.head_branch.as_ref().map(|branch| branch.as_str()), raw["head_branch"].as_str(), "{file}");
            let own = raw["path"].as_str().is_some_and(|path| path.starts_with(".github/workflows/"));
            assert_eq!(run.workflow.is_some(), own, "{file}");
            let head = match raw["head_repository"]["id"].as_u64().map(RepositoryId) {
                None => Head::Unknown,
                Some(id) if id == event.repository.id => Head::SameRepository,
                Some(id) => Head::Fork(id),
            };
            assert_eq!(run.head, head, "{file}");
        }
        EventKind::Push(push) => {
            let branch = body["ref"].as_str().unwrap().strip_prefix("refs/heads/");
            assert_eq!(push.branch.as_ref().map(|branch| branch.as_str()), branch, "{file}");
            assert_eq!(push.after.is_none(), body["deleted"].as_bool().unwrap(), "{file}");
        }
        EventKind::RunProgress(RunProgress { id, stage, actor, .. }) => {
            assert_eq!(Some(stage.as_str()), entry["action"].as_str(), "{file}");
            assert_eq!(Some(id.0), body["workflow_run"]["id"].as_u64(), "{file}");
            let login = body["workflow_run"]["actor"]["login"].as_str();
            assert_eq!(actor.as_ref().map(|actor| actor.as_str()), login, "{file}");
        }
        EventKind::PullRequest(pull_request) => {
            assert_eq!(Some(pull_request.action.as_str()), entry["action"].as_str(), "{file}");
            check_state(&pull_request.now, &body["pull_request"], event.repository.id, file);
        }
        EventKind::Command(command) => {
            assert_eq!(Some(command.comment.0), body["comment"]["id"].as_u64(), "{file}");
            assert_eq!(Some(command.pull_request.0), body["issue"]["number"].as_u64(), "{file}");
            assert_eq!(Some(command.commenter.id.0), body["sender"]["id"].as_u64(), "{file}");
            assert!(command.commenter.person, "{file}");
        }
        other => panic!("{file}: {other:?}"),
    }
}

fn check_state(state: &PullRequestState, raw: &Value, repository: RepositoryId, file: &str) {
    assert_eq!(Some(state.number.0), raw["number"].as_u64(), "{file}");
    assert_eq!(Some(if state.open { "open" } else { "closed" }), raw["state"].as_str(), "{file}");
    assert_eq!((Some(state.merged), Some(state.draft)), (raw["merged"].as_bool(), raw["draft"].as_bool()), "{file}");
    assert_eq!(Some(state.base_branch.as_str()), raw["base"]["ref"].as_str(), "{file}");
    assert_eq!(Some(state.head_branch.as_str()), raw["head"]["ref"].as_str(), "{file}");
    assert_eq!(Some(state.head_sha.as_str()), raw["head"]["sha"].as_str(), "{file}");
    let head = match raw["head"]["repo"]["id"].as_u64().map(RepositoryId) {
        None => Head::Unknown,
        Some(id) if id == repository => Head::SameRepository,
        Some(id) => Head::Fork(id),
    };
    assert_eq!(state.head, head, "{file}");
    assert_eq!(state.author.map(|author| author.0), raw["user"]["id"].as_u64(), "{file}");
    assert!(!state.keep, "{file}");
}
