//! The webhook `workflow_run`: how far a run got, and how it ended.

use serde::Deserialize;

use super::payload::{Account, HeadRepository, Installation, Payload, RepositoryPayload, Text, Time, event, required};
use crate::event::{Conclusion, Event, EventKind, EventRepository, RunProgress, RunStage, WorkflowRun};
use crate::name::{RunId, WorkflowFile};

/// The longest page address that is kept: the longest value that can be sent.
const MAX_URL_CHARACTERS: usize = 1_024;

/// A `workflow_run` webhook.
#[derive(Deserialize)]
pub(super) struct WorkflowRunPayload<'a> {
    #[serde(borrow)]
    action: Option<Text<'a>>,
    #[serde(borrow)]
    workflow_run: Option<RunPayload<'a>>,
    #[serde(borrow)]
    repository: Option<RepositoryPayload<'a>>,
    installation: Option<Installation>,
    #[serde(borrow)]
    sender: Option<Account<'a>>,
}

#[derive(Deserialize)]
struct RunPayload<'a> {
    id: Option<u64>,
    run_attempt: Option<u32>,
    run_number: Option<u64>,
    #[serde(borrow)]
    path: Option<Text<'a>>,
    #[serde(borrow)]
    conclusion: Option<Text<'a>>,
    #[serde(borrow)]
    event: Option<Text<'a>>,
    #[serde(borrow)]
    head_branch: Option<Text<'a>>,
    #[serde(borrow)]
    head_sha: Option<Text<'a>>,
    head_repository: Option<HeadRepository>,
    #[serde(borrow)]
    html_url: Option<Text<'a>>,
    run_started_at: Option<Time>,
    updated_at: Option<Time>,
    #[serde(borrow)]
    actor: Option<Account<'a>>,
}

impl<'a> Payload<'a> for WorkflowRunPayload<'a> {
    const REQUIRED: &'static [&'static str] = &["completed"];
    const WELCOME: &'static [&'static str] = &["requested", "in_progress"];

    fn action(&self) -> Option<&str> {
        self.action.as_ref().map(Text::as_str)
    }

    fn into_event(self) -> Result<Option<Event>, String> {
        let stage = self.action().and_then(RunStage::from_word);
        let repository = EventRepository::try_from(required(self.repository, "repository")?)?;
        let run = required(self.workflow_run, "workflow_run")?;
        let kind = match stage {
            Some(stage) => EventKind::RunProgress(run.into_progress(stage)?),
            None => EventKind::WorkflowRun(run.into_run(&repository)?),
        };
        Ok(Some(event(repository, self.installation, self.sender.as_ref(), kind)))
    }
}

impl RunPayload<'_> {
    /// The longest name of an event that is kept; GitHub's are below 30 characters.
    const MAX_EVENT_LENGTH: usize = 100;

    fn into_run(self, repository: &EventRepository) -> Result<WorkflowRun, String> {
        let event = self.event.map(Text::into_string).unwrap_or_default();
        if event.len() > Self::MAX_EVENT_LENGTH {
            return Err(format!("`workflow_run.event` is longer than {} characters", Self::MAX_EVENT_LENGTH));
        }
        let started_at = self.run_started_at.map(|time| time.0);
        Ok(WorkflowRun {
            id: RunId(required(self.id, "workflow_run.id")?),
            attempt: self.run_attempt.unwrap_or(1),
            number: required(self.run_number, "workflow_run.run_number")?,
            workflow: self.path.and_then(|path| WorkflowFile::from_run_path(path.as_str(), &repository.name)),
            conclusion: self.conclusion.and_then(|word| Conclusion::from_word(word.as_str())),
            event,
            head_branch: self.head_branch.and_then(|branch| branch.as_str().parse().ok()),
            head_sha: required(self.head_sha, "workflow_run.head_sha")?.parse("workflow_run.head_sha")?,
            head: HeadRepository::head(self.head_repository, repository.id),
            actor: Account::login(self.actor.as_ref()),
            url: page(self.html_url),
            started_at,
            updated_at: required(self.updated_at.map(|time| time.0).or(started_at), "workflow_run.updated_at")?,
        })
    }

    fn into_progress(self, stage: RunStage) -> Result<RunProgress, String> {
        Ok(RunProgress {
            id: RunId(required(self.id, "workflow_run.id")?),
            attempt: self.run_attempt.unwrap_or(1),
            stage,
            actor: Account::login(self.actor.as_ref()),
            url: page(self.html_url),
            updated_at: required(self.updated_at, "workflow_run.updated_at")?.0,
        })
    }
}

/// The page of a run, or nothing where its address is too long.
fn page(url: Option<Text<'_>>) -> String {
    let url = url.map(Text::into_string).unwrap_or_default();
    if url.chars().count() > MAX_URL_CHARACTERS { String::new() } else { url }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::sample::{event, run_body, with, without};
    use super::super::{Webhook, parse};
    use super::*;
    use crate::event::Head;
    use crate::name::RepositoryId;

    fn run(body: &Value) -> WorkflowRun {
        match event("workflow_run", body).kind {
            EventKind::WorkflowRun(run) => run,
            other => panic!("{other:?}"),
        }
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
    fn an_event_s_name_may_have_100_characters() {
        assert_eq!(run(&with(run_body(), "/workflow_run/event", json!("x".repeat(100)))).event.len(), 100);
    }

    #[test]
    fn escapes_in_the_body_are_read() {
        let body = run_body().to_string().replace("\"main\"", r#""m\u0061in\/\u00e4""#);
        let Webhook::Event(event) = parse("workflow_run", body.as_bytes()).unwrap() else { panic!("ignored") };
        assert_eq!(event.repository.default_branch.as_str(), "main/ä");
    }

    #[test]
    fn a_run_that_goes_on_tells_how_far_it_got_and_whose_it_is() {
        for (action, stage) in [("requested", RunStage::Requested), ("in_progress", RunStage::InProgress)] {
            let body = with(run_body(), "/action", json!(action));
            let body = with(body, "/workflow_run/actor", json!({ "id": 9, "login": "dispatch[bot]", "type": "Bot" }));
            let event = event("workflow_run", &body);
            assert_eq!(event.kind.action(), Some(action));
            let EventKind::RunProgress(progress) = event.kind else { panic!("{:?}", event.kind) };
            assert_eq!((progress.stage, progress.id.0, progress.attempt), (stage, 30_433_642_000, 2));
            assert_eq!(progress.actor.unwrap().as_str(), "dispatch[bot]");
        }
    }

    #[test]
    fn a_run_that_goes_on_and_cannot_be_read_is_ignored() {
        for place in ["/repository", "/workflow_run", "/workflow_run/id", "/workflow_run/updated_at"] {
            for wrong in [Value::Null, json!("?")] {
                let body = with(with(run_body(), "/action", json!("in_progress")), place, wrong.clone());
                let ignored = Webhook::Ignored { action: Some("in_progress".to_owned()) };
                assert_eq!(parse("workflow_run", body.to_string().as_bytes()), Ok(ignored), "{place} {wrong}");
            }
        }
    }
}
