//! How far a dispatch got, in words for people, and as the status of a check.

use super::markdown::{MAX_CODE, code, https, link, sentence};
use crate::decide::Visibility;
use crate::dispatch::{Dispatch, DispatchState, FollowedStage, StartedRun, UnseenRun};
use crate::environment::EnvironmentUse;
use crate::event::Conclusion;
use crate::notice::{CheckConclusion, CheckStatus};
use crate::policy::EnvironmentAction;
use crate::reason::{Reason, Side};

use super::FailureKind;

/// How far a dispatch got.
pub(super) struct State {
    pub(super) status: CheckStatus,
    /// One line, plain text.
    pub(super) title: String,
    /// Markdown, one paragraph or more.
    pub(super) text: String,
}

/// The environment that a dispatch is about.
pub(super) fn environment(dispatch: &Dispatch) -> Option<&EnvironmentUse> {
    dispatch.decision.allowed()?.environment.as_deref()
}

/// The page of the run that a dispatch started, where it can be a link.
pub(super) fn run_url(dispatch: &Dispatch) -> Option<&str> {
    let named = match &dispatch.state {
        DispatchState::Triggered { run: Some(run) } => Some(run.url.as_str()),
        _ => None,
    };
    dispatch.run.as_ref().and_then(|run| https(&run.url)).or(named.and_then(https))
}

/// Whether the last run of a dispatch ended and did not end well.
pub(super) fn run_failed(dispatch: &Dispatch) -> bool {
    let bad = |conclusion| !matches!(conclusion, Some(Conclusion::Success | Conclusion::Neutral | Conclusion::Skipped));
    matches!(&dispatch.run, Some(run) if matches!(run.stage, FollowedStage::Completed(conclusion) if bad(conclusion)))
}

impl State {
    pub(super) fn of(dispatch: &Dispatch) -> Self {
        let required = dispatch.decision.required;
        let open = dispatch.decision.visibility == Visibility::Source;
        let state = |status, title: &str, text: String| Self { status, title: title.to_owned(), text };
        let not_done = CheckStatus::Completed(not_done(required));
        let failed = |kind: FailureKind, title: &str, message: &str| {
            let what = if open { code(message, MAX_CODE) } else { kind.hidden().to_owned() };
            state(not_done, title, format!("What went wrong: {what}.\n\nWhat to do: {}.", kind.help()))
        };
        match &dispatch.state {
            DispatchState::Ready | DispatchState::Calling { .. } => {
                let text = "Both sides agree. It is started as soon as its turn comes.".to_owned();
                state(CheckStatus::Queued, "planned", text)
            }
            DispatchState::Started { .. } => {
                let text = "GitHub accepted it and did not say which run it is. The run is looked for.".to_owned();
                state(CheckStatus::InProgress, "accepted by GitHub; its run is looked for", text)
            }
            DispatchState::InDoubt { .. } => {
                let text = "GitHub's answer is missing, so that it is not known whether it was started. The target's \
                            runs are looked at; it is never repeated blindly."
                    .to_owned();
                state(CheckStatus::InProgress, "GitHub may or may not have started it", text)
            }
            DispatchState::Triggered { run: Some(_) } => Self::of_run(dispatch),
            DispatchState::Triggered { run: None } => Self::unseen(dispatch, not_done, open),
            DispatchState::Refused { message, permission } => {
                let message = match permission {
                    Some(permission) => format!("{message} (GitHub wants the permission {permission})"),
                    None => message.clone(),
                };
                failed(FailureKind::Refused, "not started: GitHub refused", &message)
            }
            DispatchState::Failed { error } => failed(FailureKind::Failed, "not started", error),
            DispatchState::Unknown { error } => {
                failed(FailureKind::Unknown, "nobody knows whether it was started", error)
            }
            DispatchState::Cancelled { reason, message } => Self::cancelled(required, open, *reason, message),
            DispatchState::Dropped => {
                let status = CheckStatus::Completed(limited(CheckConclusion::Cancelled, required));
                state(status, "given up", "The operator put it away: it is not wanted any more.".to_owned())
            }
        }
    }

    /// The run is known: how far webhooks said that it got.
    fn of_run(dispatch: &Dispatch) -> Self {
        let (what, live) = match environment(dispatch) {
            Some(EnvironmentUse { action: EnvironmentAction::Create, .. }) => (Some("the environment is"), "live"),
            Some(EnvironmentUse { action: EnvironmentAction::Destroy, .. }) => {
                (Some("the environment is"), "destroyed")
            }
            None => (None, "succeeded"),
        };
        let page = link("The run", run_url(dispatch).unwrap_or_default());
        let (status, title, text) = match dispatch.run.as_ref().map(|run| run.stage) {
            None | Some(FollowedStage::Requested) => {
                (CheckStatus::InProgress, "started".to_owned(), format!("{page} was started, and waits for its turn."))
            }
            Some(FollowedStage::InProgress) => {
                (CheckStatus::InProgress, "running".to_owned(), format!("{page} is running."))
            }
            Some(FollowedStage::Completed(conclusion)) => {
                let word = ended(conclusion);
                let title = match (conclusion, what) {
                    (Some(Conclusion::Success), _) => live.to_owned(),
                    _ => word.to_owned(),
                };
                let status = limited(check_conclusion(conclusion), dispatch.decision.required);
                let text = match (conclusion, what) {
                    (Some(Conclusion::Success), Some(what)) => format!("{page} succeeded: {what} {live}."),
                    _ => format!("{page} {word}."),
                };
                (CheckStatus::Completed(status), title, text)
            }
        };
        Self { status, title, text }
    }

    /// GitHub took the call, and the run is not known.
    fn unseen(dispatch: &Dispatch, status: CheckStatus, open: bool) -> Self {
        match &dispatch.unseen {
            Some(UnseenRun::Several { runs }) => {
                let mut text =
                    "GitHub accepted it. Several runs could be meant, and none of them is claimed".to_owned();
                // Some of them are not the source's business.
                text.push_str(if open { ":\n" } else { "." });
                for (number, StartedRun { id, url }) in (1..).zip(runs.iter().filter(|_| open)) {
                    text.push_str(&format!("\n{number}. {}", link(&code(&id.to_string(), MAX_CODE), url)));
                }
                Self { status, title: "accepted by GitHub; several runs could be meant".to_owned(), text }
            }
            Some(UnseenRun::NotTold { why }) => {
                let mut text = "GitHub accepted it. Which run it started, or whether any, cannot be told".to_owned();
                text.push_str(&if open { format!(": {}.", sentence(why)) } else { ".".to_owned() });
                Self { status, title: "accepted by GitHub; its run cannot be told".to_owned(), text }
            }
            Some(UnseenRun::NotObserved { lacks: Some(lacks) }) if open => {
                let text = format!("GitHub accepted it, and no run was observed. {}", lacks.sentence());
                Self { status, title: "accepted by GitHub, but no run was observed".to_owned(), text }
            }
            Some(UnseenRun::NotObserved { .. }) | None => {
                let text = "GitHub accepted it, and no run was observed. What listens to it on the target's default \
                            branch, and whether that is disabled, is for the target's side to look at."
                    .to_owned();
                Self { status, title: "accepted by GitHub, but no run was observed".to_owned(), text }
            }
        }
    }

    /// Decided again before the call, and denied.
    fn cancelled(required: Option<bool>, open: bool, reason: Reason, message: &str) -> Self {
        let superseded = matches!(reason, Reason::PullRequestSuperseded | Reason::SourceRunSuperseded);
        let conclusion = if superseded { limited(CheckConclusion::Cancelled, required) } else { not_done(required) };
        let (title, text) = if superseded {
            (reason.sentence(), sentence(message))
        } else if open || reason.side() == Side::Source {
            (reason.sentence(), format!("{}\n\nWhat to do: {}.", sentence(message), reason.help()))
        } else {
            ("not started", FailureKind::Refused.hidden().to_owned())
        };
        Self { status: CheckStatus::Completed(conclusion), title: title.to_owned(), text }
    }
}

/// What a check says where nothing was started: it is a failure only where a merge should wait for it.
pub(super) fn not_done(required: Option<bool>) -> CheckConclusion {
    if required == Some(true) { CheckConclusion::Failure } else { CheckConclusion::Neutral }
}

/// Where a merge must not wait for it, nothing but success is told by colour.
fn limited(conclusion: CheckConclusion, required: Option<bool>) -> CheckConclusion {
    match conclusion {
        CheckConclusion::Success => conclusion,
        _ if required == Some(false) => CheckConclusion::Neutral,
        _ => conclusion,
    }
}

/// The conclusion of a check for that of a run. `stale` is GitHub's own to set on checks.
fn check_conclusion(conclusion: Option<Conclusion>) -> CheckConclusion {
    match conclusion {
        Some(Conclusion::ActionRequired) => CheckConclusion::ActionRequired,
        Some(Conclusion::Cancelled) => CheckConclusion::Cancelled,
        Some(Conclusion::Failure | Conclusion::StartupFailure) => CheckConclusion::Failure,
        Some(Conclusion::Skipped) => CheckConclusion::Skipped,
        Some(Conclusion::Success) => CheckConclusion::Success,
        Some(Conclusion::TimedOut) => CheckConclusion::TimedOut,
        Some(Conclusion::Neutral | Conclusion::Stale) | None => CheckConclusion::Neutral,
    }
}

/// How a run ended, behind "the run".
fn ended(conclusion: Option<Conclusion>) -> &'static str {
    match conclusion {
        Some(Conclusion::ActionRequired) => "waits for an approval",
        Some(Conclusion::Cancelled) => "was cancelled",
        Some(Conclusion::Failure) => "failed",
        Some(Conclusion::StartupFailure) => "could not start",
        Some(Conclusion::Skipped) => "was skipped",
        Some(Conclusion::Success) => "succeeded",
        Some(Conclusion::TimedOut) => "ran out of time",
        Some(Conclusion::Stale) => "was given up by GitHub",
        Some(Conclusion::Neutral) | None => "ended",
    }
}
