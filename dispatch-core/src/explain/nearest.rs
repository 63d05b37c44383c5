//! Which rule comes nearest to an event that no rule is about.

use serde::Serialize;

use super::Line;
use crate::decide::{PolicyAnswer, PolicyFile};
use crate::diagnostic;
use crate::event::{Event, EventKind};
use crate::organisation::source_label;
use crate::policy::{OutboundRule, RuleLocation, Source};
use crate::quote::quote;

/// The rule that comes nearest to an event that no rule is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExplainedNearest {
    /// Where it is.
    pub rule: Line,
    /// The first thing that differs, in a sentence.
    pub differs: String,
}

/// The outbound rule whose source is written most alike, else the first one about the same kind of event.
pub(super) fn nearest(event: &Event, answer: &PolicyAnswer) -> Option<ExplainedNearest> {
    let PolicyFile::Found { path, policy } = &answer.file else { return None };
    let (word, what) = match &event.kind {
        EventKind::WorkflowRun(run) => {
            let word = run.workflow.as_ref()?.to_string();
            let what = format!("the run is of {}", quote(&word));
            (word, what)
        }
        EventKind::PullRequest(pull_request) => {
            let word = pull_request.action.to_string();
            let what = format!("what happened is {}", quote(&word));
            (word, what)
        }
        EventKind::Command(command) => {
            let word = command.name.to_string();
            let what = format!("the command is {}", quote(&word));
            (word, what)
        }
        EventKind::Push(_) | EventKind::RunProgress(_) | EventKind::CheckRerequest(_) => return None,
    };
    let same_kind = |rule: &&OutboundRule| {
        matches!(
            (&rule.source, &event.kind),
            (Source::WorkflowRun(_), EventKind::WorkflowRun(_))
                | (Source::PullRequest(_), EventKind::PullRequest(_))
                | (Source::Command(_), EventKind::Command(_))
        )
    };
    let rules: Vec<_> =
        policy.outbound().iter().filter(same_kind).map(|rule| (source_label(&rule.source), rule)).collect();
    let alike = diagnostic::nearest(&word, rules.iter().map(|(label, _)| label.as_str()));
    let (label, rule) = rules.iter().find(|(label, _)| Some(label.as_str()) == alike).or_else(|| rules.first())?;
    let location = RuleLocation { repository: event.repository.name.clone(), path: *path, line: rule.line };
    Some(ExplainedNearest { rule: (&location).into(), differs: format!("it is about {}, and {what}", quote(label)) })
}
