//! The webhook `check_run`, where somebody wants one of ours again.

use serde::Deserialize;

use super::payload::{Account, Installation, Payload, RepositoryPayload, Text, Time, event, required};
use crate::event::{CheckRerequest, Commenter, Event, EventKind, EventRepository};
use crate::name::{CheckId, CheckRunId, UserId};

/// A `check_run` webhook.
#[derive(Deserialize)]
pub(super) struct CheckRunPayload<'a> {
    #[serde(borrow)]
    action: Option<Text<'a>>,
    #[serde(borrow)]
    check_run: Option<CheckRun<'a>>,
    #[serde(borrow)]
    repository: Option<RepositoryPayload<'a>>,
    installation: Option<Installation>,
    #[serde(borrow)]
    sender: Option<Account<'a>>,
}

#[derive(Deserialize)]
struct CheckRun<'a> {
    id: Option<u64>,
    #[serde(borrow)]
    external_id: Option<Text<'a>>,
    #[serde(borrow)]
    app: Option<App<'a>>,
    check_suite: Option<CheckSuite>,
}

#[derive(Deserialize)]
struct App<'a> {
    #[serde(borrow)]
    slug: Option<Text<'a>>,
}

/// A check run has no time of its own for it: that it is wanted again resets its suite ("Rerequest a check run").
#[derive(Deserialize)]
struct CheckSuite {
    updated_at: Option<Time>,
}

impl<'a> Payload<'a> for CheckRunPayload<'a> {
    const REQUIRED: &'static [&'static str] = &[];
    const WELCOME: &'static [&'static str] = &["rerequested"];

    fn action(&self) -> Option<&str> {
        self.action.as_ref().map(Text::as_str)
    }

    fn into_event(self) -> Result<Option<Event>, String> {
        let run = required(self.check_run, "check_run")?;
        let external_id = run.external_id.and_then(|id| id.as_str().parse::<CheckId>().ok());
        let Some(external_id) = external_id else { return Ok(None) };
        let repository = EventRepository::try_from(required(self.repository, "repository")?)?;
        let sender = required(self.sender, "sender")?;
        let slug = run.app.and_then(|app| app.slug);
        let by = Commenter {
            id: UserId(required(sender.id, "sender.id")?),
            login: required(sender.login.as_ref(), "sender.login")?.parse("sender.login")?,
            person: sender.is_user(),
        };
        let kind = EventKind::CheckRerequest(CheckRerequest {
            check_run: CheckRunId(required(run.id, "check_run.id")?),
            external_id,
            app: slug.and_then(|slug| format!("{}[bot]", slug.as_str()).parse().ok()),
            by,
            requested_at: run.check_suite.and_then(|suite| suite.updated_at).map(|time| time.0),
        });
        Ok(Some(event(repository, self.installation, Some(&sender), kind)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::sample::{check_run_body, event, with, without};
    use super::super::{Webhook, parse};
    use super::*;

    fn rerequest(body: &Value) -> CheckRerequest {
        match event("check_run", body).kind {
            EventKind::CheckRerequest(rerequest) => rerequest,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_check_run_that_is_wanted_again_names_itself_its_app_and_who_wants_it() {
        insta::assert_snapshot!(serde_json::to_string_pretty(&event("check_run", &check_run_body()).kind).unwrap(), @r#"
        {
          "check_rerequest": {
            "check_run": 128620228000,
            "external_id": "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
            "app": "dispatch[bot]",
            "by": {
              "id": 21031067,
              "login": "octocat",
              "person": true
            },
            "requested_at": "2026-01-02T03:05:06Z"
          }
        }
        "#);
    }

    #[test]
    fn a_bot_that_wants_it_again_is_no_person() {
        for (kind, person) in
            [(json!("User"), true), (json!("Bot"), false), (json!("Organization"), false), (Value::Null, false)]
        {
            assert_eq!(rerequest(&with(check_run_body(), "/sender/type", kind.clone())).by.person, person, "{kind}");
        }
    }

    #[test]
    fn an_app_that_is_not_named_is_nobody() {
        for app in [Value::Null, json!({}), json!({ "slug": null }), json!({ "slug": "a b" })] {
            assert_eq!(rerequest(&with(check_run_body(), "/check_run/app", app.clone())).app, None, "{app}");
        }
    }

    #[test]
    fn without_a_suite_it_is_not_known_when() {
        assert_eq!(rerequest(&without(check_run_body(), "/check_run", "check_suite")).requested_at, None);
    }

    #[test]
    fn what_is_not_marked_by_this_app_or_cannot_be_read_is_ignored() {
        let id = check_run_body()["check_run"]["external_id"].as_str().unwrap().to_owned();
        let mut cases: Vec<_> = [
            json!(""),
            Value::Null,
            json!(7),
            json!(id.to_uppercase()),
            json!(format!("{id}0")),
            json!(id.strip_prefix(|_| true)),
        ]
        .map(|value| ("/check_run/external_id", value))
        .into();
        cases.extend([
            ("/check_run", Value::Null),
            ("/check_run/id", json!("1")),
            ("/sender", Value::Null),
            ("/sender/id", Value::Null),
            ("/repository", json!(7)),
        ]);
        for (place, value) in cases {
            let body = with(check_run_body(), place, value.clone());
            let ignored = Webhook::Ignored { action: Some("rerequested".to_owned()) };
            assert_eq!(parse("check_run", body.to_string().as_bytes()), Ok(ignored), "{place} {value}");
        }
    }

    #[test]
    fn a_check_run_that_was_made_or_ended_is_ignored() {
        for action in ["created", "completed", "requested_action"] {
            let body = with(check_run_body(), "/action", json!(action));
            let ignored = Webhook::Ignored { action: Some(action.to_owned()) };
            assert_eq!(parse("check_run", body.to_string().as_bytes()), Ok(ignored), "{action}");
        }
    }
}
