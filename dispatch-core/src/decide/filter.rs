//! The filters of a rule: the same on both sides.

use super::source::Case;
use crate::event::{Conclusion, Head};
use crate::policy::WorkflowRunSource;
use crate::quote::{quote, quote_all};
use crate::reason::Reason;

/// What may have started a run where a rule does not say: events that only people with rights in the repository can cause,
/// or whose runs are not on the default branch. Another one must be named in `events` on both sides.
pub const SAFE_EVENTS: [&str; 9] = [
    "push",
    "merge_group",
    "schedule",
    "workflow_dispatch",
    "repository_dispatch",
    "release",
    "create",
    "deployment",
    "pull_request",
];

/// The first filter of a rule that a run does not pass. Later ones are nearer to fitting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Filter {
    Fork,
    Event,
    Branch,
    Conclusion,
}

impl Filter {
    /// The reason, where an outbound rule has the filter.
    pub(super) fn reason(self) -> Reason {
        match self {
            Self::Fork => Reason::SourceFromFork,
            Self::Event => Reason::SourceEventNotAllowed,
            Self::Branch => Reason::SourceBranchNotMatched,
            Self::Conclusion => Reason::SourceConclusionNotAllowed,
        }
    }
}

/// The filter of `rule` that the run does not pass, and a sentence that calls the rule by `name`. `outbound` is the rule of
/// the other side where `rule` is an inbound one: what it says decides what silence means.
pub(super) fn misfit(
    case: &Case<'_>,
    rule: &WorkflowRunSource,
    outbound: Option<&WorkflowRunSource>,
    name: &str,
) -> Option<(Filter, String)> {
    let run = case.run;
    if matches!(run.head, Head::Fork(_)) && !rule.forks {
        return Some((Filter::Fork, format!("the run's commit is a fork's, and {name} does not say `forks: true`")));
    }

    let event_fits = match &rule.events {
        Some(events) => events.contains(&run.event),
        None => SAFE_EVENTS.contains(&run.event.as_str()),
    };
    if !event_fits {
        let accepted = rule.events.as_ref().map_or_else(|| quote_all(SAFE_EVENTS), quote_all);
        let got = quote(&run.event);
        return Some((Filter::Event, format!("the run was started by {got}, and {name} accepts only {accepted}")));
    }

    let default_branch = &case.event.repository.default_branch;
    let branch = run.head_branch.as_ref();
    let (branch_fits, accepted) = match &rule.branches {
        Some(patterns) => {
            (branch.is_some_and(|branch| patterns.matches(branch.as_str())), quote_all(patterns.patterns()))
        }
        None if outbound.is_some_and(|rule| rule.branches.is_some()) => {
            (branch == Some(default_branch), format!("the default branch {}", quote(default_branch)))
        }
        None => (true, String::new()),
    };
    if !branch_fits {
        let got = case.branch_words();
        return Some((Filter::Branch, format!("the run was on {got}, and {name} accepts only {accepted}")));
    }

    let (conclusion_fits, accepted) = match &rule.conclusions {
        Some(conclusions) => {
            (run.conclusion.is_some_and(|conclusion| conclusions.contains(&conclusion)), quote_all(conclusions))
        }
        None if outbound.is_some_and(|rule| rule.conclusions.is_some()) => {
            (run.conclusion == Some(Conclusion::Success), quote(Conclusion::Success).to_string())
        }
        None => (true, String::new()),
    };
    if !conclusion_fits {
        let got = case.conclusion_words();
        return Some((Filter::Conclusion, format!("the run ended with {got}, and {name} accepts only {accepted}")));
    }
    None
}
