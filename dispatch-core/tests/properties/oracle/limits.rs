//! What owners allow.

use dispatch_core::chain::Chain;
use dispatch_core::decide::PolicyFile;
use dispatch_core::event::{EventKind, Head};
use dispatch_core::name::Repository;
use dispatch_core::pattern::PatternSet;
use dispatch_core::policy::{OwnerLimits, Target};

use super::super::worlds::World;
use super::matches;

/// What the owner of a repository allows. None: that is not known, so nothing is allowed.
pub fn of_owner(world: &World, repository: &Repository) -> Option<OwnerLimits> {
    let owner = repository.as_str().split('/').next().unwrap().to_lowercase();
    let answer = &world.policies[&format!("{owner}/.github").parse().unwrap()];
    let required = world.settings.get("ORG_POLICY").map(String::as_str) == Some("required");
    match &answer.file {
        PolicyFile::Found { policy, .. } if answer.repository.is_some() => match policy.limits() {
            Some(limits) => Some(limits.clone()),
            None => (!required).then(OwnerLimits::default),
        },
        PolicyFile::Invalid { .. } => None,
        _ => (!required && !world.limits_seen).then(OwnerLimits::default),
    }
}

/// May the event start anything?
pub fn allow_event(world: &World, limits: &OwnerLimits) -> bool {
    let repository = &world.event.repository.name;
    let sources = limits.source_repositories.as_ref().is_none_or(|list| lists(&list.value, repository));
    let rest = match &world.event.kind {
        EventKind::WorkflowRun(run) => {
            let workflow = run.workflow.as_ref().unwrap().as_str();
            let default_branch = run.head_branch.as_ref() == Some(&world.event.repository.default_branch);
            limits.source_workflows.as_ref().is_none_or(|list| matches(&list.value, workflow))
                && limits
                    .conclusions
                    .as_ref()
                    .is_none_or(|list| run.conclusion.is_some_and(|it| list.value.contains(&it)))
                && (default_branch || limits.default_branch_only.as_ref().is_none_or(|only| !only.value))
                && allow_head(limits, run.head)
        }
        EventKind::PullRequest(pull_request) => allow_head(limits, pull_request.now.head),
        EventKind::Command(_) => {
            limits.command_repositories.as_ref().is_none_or(|list| lists(&list.value, repository))
                && world.facts.state.as_ref().is_none_or(|state| allow_head(limits, state.head))
        }
        _ => true,
    };
    sources && rest
}

fn allow_head(limits: &OwnerLimits, head: Head) -> bool {
    head == Head::SameRepository || limits.forks.as_ref().is_none_or(|forks| forks.value)
}

/// May this target be started? `number`: which target of the event it is, from 1.
pub fn allow_target(world: &World, limits: &OwnerLimits, target: &Target, number: usize) -> bool {
    let depth = world.chain.as_ref().map_or(1, |Chain { places, .. }| places.len());
    let uses = world.uses.get(&target.repository).copied().unwrap_or(0) as usize;
    limits.target_repositories.as_ref().is_none_or(|list| lists(&list.value, &target.repository))
        && limits.max_targets.as_ref().is_none_or(|most| number <= most.value)
        && limits.max_chain_depth.as_ref().is_none_or(|most| depth <= most.value)
        && limits.max_edge_rate.as_ref().is_none_or(|most| uses < most.value)
}

fn lists(patterns: &PatternSet, repository: &Repository) -> bool {
    matches(patterns, &repository.as_str().to_lowercase())
}
