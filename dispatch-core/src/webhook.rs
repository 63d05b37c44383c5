//! GitHub's bytes: is the signature right, and what do they say.

mod access;
mod check_run;
pub(crate) mod command;
mod payload;
mod pull_request;
mod push;
mod run;
#[cfg(test)]
mod sample;
mod signature;

use serde::Deserialize;

use self::access::AccessPayload;
use self::check_run::CheckRunPayload;
use self::command::IssueCommentPayload;
use self::payload::{Payload, Text};
use self::pull_request::PullRequestPayload;
use self::push::PushPayload;
use self::run::WorkflowRunPayload;
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
        "workflow_run" => some_actions::<WorkflowRunPayload<'_>>(body),
        "pull_request" => some_actions::<PullRequestPayload<'_>>(body),
        "issue_comment" => some_actions::<IssueCommentPayload<'_>>(body),
        "check_run" => some_actions::<CheckRunPayload<'_>>(body),
        "push" => push(body),
        "installation" | "installation_repositories" => access(event, body),
        _ => any(body),
    };
    webhook.map_err(|problem| WebhookError::Malformed {
        event: event.chars().take(100).collect(),
        problem: problem.chars().filter(|c| !c.is_control()).take(300).collect(),
    })
}

/// A payload of an event of which only some actions mean something: of the others no shape is expected.
fn some_actions<'a, P: Payload<'a>>(body: &'a str) -> Result<Webhook, String> {
    let read = match serde_json::from_str::<P>(body) {
        Ok(payload) => match payload.action().map(str::to_owned) {
            Some(action) if P::REQUIRED.contains(&&*action) || P::WELCOME.contains(&&*action) => {
                payload.into_event().map_err(|problem| (Some(action), problem))
            }
            _ => Ok(None),
        },
        Err(error) => {
            let Webhook::Ignored { action } = any(body)? else { return Err(error.to_string()) };
            Err((action, error.to_string()))
        }
    };
    match read {
        Ok(Some(event)) => Ok(Webhook::Event(Box::new(event))),
        Ok(None) => any(body),
        Err((Some(action), _)) if !P::REQUIRED.contains(&&*action) => any(body),
        Err((_, problem)) => Err(problem),
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
    use serde_json::json;

    use super::sample::{problem, run_body, with, without};
    use super::*;

    #[test]
    fn other_events_and_actions_are_ignored_whatever_they_hold() {
        let cases = [
            ("workflow_run", json!({ "action": "requested" }), Some("requested")),
            ("workflow_run", json!({ "action": "in_progress", "workflow_run": 7 }), Some("in_progress")),
            ("workflow_run", json!({ "workflow_run": {} }), None),
            ("installation", json!({ "action": "created", "installation": 7 }), Some("created")),
            ("installation_repositories", json!({ "action": "added", "repositories_removed": 7 }), Some("added")),
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
        the body is not a `workflow_run` payload: EOF while parsing an object at line 1 column 626
        the body is not a `push` payload: `ref` is missing
        the body is not a `workflow_run` payload: `workflow_run.head_sha`: `abc` is not a commit (40 lowercase hexadecimal digits)
        the body is not a `workflow_run` payload: invalid type: string "1", expected u64 at line 1 column 477
        the body is not a `workflow_run` payload: invalid value: string "today", expected a time, as RFC 3339 text or as seconds since 1970 at line 1 column 611
        the body is not a `workflow_run` payload: `workflow_run.event` is longer than 100 characters
        the body is not a `workflow_run` payload: `repository.full_name`: `a/\u{60}\u{a}` is not a repository as `owner/name`
        the body is not a `workflow_run` payload: `repository` is missing
        "#);
    }
}
