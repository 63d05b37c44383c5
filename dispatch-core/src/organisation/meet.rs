//! What two rules have in common, so that made-up events are about both of them.
//!
//! This only picks events to ask about. Whether both sides agree is what the decision says of those events.

use std::collections::BTreeSet;

use crate::decide::SAFE_EVENTS;
use crate::pattern::{Pattern, PatternSet};
use crate::policy::{
    CommandPermission, CommandSource, EnvironmentAction, InboundTarget, Policy, PullRequestSource, Source, Start,
    Target, WorkflowRunSource,
};
use crate::stand_in::sample;

/// A source whose events an outbound rule and an inbound target are both about.
pub(super) struct Meeting {
    pub(super) source: Source,
    /// Whether nothing was found although there may be something: patterns on both sides.
    pub(super) vague: bool,
}

/// The source that both sides are about. None where they are about different things.
pub(super) fn meet(ours: (&Policy, &Source, &Target), theirs: (&Source, &InboundTarget)) -> Option<Meeting> {
    let (policy, source, target) = ours;
    let (accepted, inbound) = theirs;
    let mut vague = false;
    let mut patterns = |one: Option<&PatternSet>, other: Option<&PatternSet>| {
        let (met, unsure) = meet_patterns(one, other);
        vague |= unsure;
        met
    };
    let source = match (source, accepted) {
        (Source::WorkflowRun(one), Source::WorkflowRun(other)) if one.workflow == other.workflow => {
            let mut branches = patterns(one.branches.as_ref(), other.branches.as_ref());
            // Without a ref of its own, the workflow is started at the run's branch.
            if let (None, Start::Workflow(_)) = (&target.git_ref, &target.start) {
                branches = patterns(branches.as_ref(), inbound.accept_refs.as_ref());
            }
            Source::WorkflowRun(WorkflowRunSource {
                branches,
                conclusions: meet_sets(one.conclusions.as_ref(), other.conclusions.as_ref()),
                events: meet_events(one.events.as_ref(), other.events.as_ref()),
                ..one.clone()
            })
        }
        (Source::PullRequest(one), Source::PullRequest(other)) => {
            let actions: BTreeSet<_> = one.actions.intersection(&other.actions).copied().collect();
            if actions.is_empty() {
                return None;
            }
            let base = patterns(one.base.as_ref(), other.base.as_ref());
            let base = patterns(base.as_ref(), bases(policy, target).as_ref());
            let draft = one.draft.or(other.draft);
            Source::PullRequest(PullRequestSource { actions, base, draft, ..one.clone() })
        }
        (Source::Command(one), Source::Command(other)) if one.command == other.command => {
            let base = patterns(one.base.as_ref(), other.base.as_ref());
            let base = patterns(base.as_ref(), bases(policy, target).as_ref());
            let permission = stricter(one.permission.as_ref(), other.permission.as_ref());
            let draft = one.draft.or(other.draft);
            Source::Command(CommandSource { base, draft, permission, ..one.clone() })
        }
        _ => return None,
    };
    Some(Meeting { source, vague })
}

/// What an outbound rule is about, where the target's side is not looked at: of rules for all branches, those that have an
/// environment to create.
pub(super) fn alone(policy: &Policy, source: &Source, target: &Target) -> Source {
    let bases = bases(policy, target);
    match source {
        Source::PullRequest(source) => {
            let base = meet_patterns(source.base.as_ref(), bases.as_ref()).0;
            Source::PullRequest(PullRequestSource { base, ..source.clone() })
        }
        Source::Command(source) => {
            let base = meet_patterns(source.base.as_ref(), bases.as_ref()).0;
            Source::Command(CommandSource { base, ..source.clone() })
        }
        Source::WorkflowRun(_) => source.clone(),
    }
}

/// The branches for which there is an environment to create. None: any, or it does not matter.
fn bases(policy: &Policy, target: &Target) -> Option<PatternSet> {
    if target.environment != Some(EnvironmentAction::Create) {
        return None;
    }
    let mut patterns = Vec::new();
    for rule in policy.environments() {
        patterns.extend_from_slice(rule.base.as_ref()?.patterns());
    }
    PatternSet::new(patterns)
}

/// Patterns of either set of which the other one has an example, and whether there may be such examples although none was
/// found.
fn meet_patterns(one: Option<&PatternSet>, other: Option<&PatternSet>) -> (Option<PatternSet>, bool) {
    let (one, other) = match (one, other) {
        (Some(one), Some(other)) => (one, other),
        (one, other) => return (one.or(other).cloned(), false),
    };
    let seen_by = |set: &PatternSet, by: &PatternSet| -> Vec<Pattern> {
        set.patterns().iter().filter(|pattern| by.matches(&sample(pattern))).cloned().collect()
    };
    let mut met = seen_by(one, other);
    met.extend(seen_by(other, one));
    match PatternSet::new(met) {
        Some(met) => (Some(met), false),
        None => (Some(one.clone()), one.has_wildcards() && other.has_wildcards()),
    }
}

/// What is in both sets; where that is nothing, the first one.
fn meet_sets<T: Ord + Clone>(one: Option<&BTreeSet<T>>, other: Option<&BTreeSet<T>>) -> Option<BTreeSet<T>> {
    let (Some(one), Some(other)) = (one, other) else { return one.or(other).cloned() };
    let both: BTreeSet<T> = one.intersection(other).cloned().collect();
    Some(if both.is_empty() { one.clone() } else { both })
}

/// The same of events. Who names none means those that strangers cannot cause.
fn meet_events(one: Option<&BTreeSet<String>>, other: Option<&BTreeSet<String>>) -> Option<BTreeSet<String>> {
    let safe = || SAFE_EVENTS.into_iter().map(str::to_owned).collect();
    match (one, other) {
        (None, None) => None,
        (Some(one), None) => meet_sets(Some(one), Some(&safe())),
        (None, Some(other)) => meet_sets(Some(&safe()), Some(other)),
        (Some(_), Some(_)) => meet_sets(one, other),
    }
}

/// The permission of somebody whom both sides let give the command.
fn stricter(one: Option<&CommandPermission>, other: Option<&CommandPermission>) -> Option<CommandPermission> {
    let strictness = |permission: &Option<&CommandPermission>| match permission {
        Some(CommandPermission::Author) => 0,
        None | Some(CommandPermission::Write) => 1,
        Some(CommandPermission::Team(_)) => 2,
        Some(CommandPermission::Admin) => 3,
    };
    [one, other].into_iter().max_by_key(strictness).flatten().cloned()
}
