//! Runs of workflows.

use dispatch_core::decide::CommitOnBranch;
use dispatch_core::event::{Conclusion, EventKind, Head, WorkflowRun};
use dispatch_core::policy::{Reruns, Start, Target, WorkflowRunSource};

use super::super::worlds::World;
use super::matches;

pub fn operator_accepts(world: &World, run: &WorkflowRun) -> bool {
    let setting = |name: &str| world.settings.get(name).map(String::as_str);
    let workflows = setting("SOURCE_WORKFLOW_ALLOWLIST")
        .is_none_or(|list| run.workflow.as_ref().is_some_and(|workflow| workflow.as_str() == list));
    let conclusions = setting("ALLOWED_SOURCE_CONCLUSIONS").unwrap_or("success");
    let conclusion =
        run.conclusion.is_some_and(|conclusion| conclusions.split(',').any(|word| word == conclusion.as_str()));
    let branch = setting("ENFORCE_SOURCE_DEFAULT_BRANCH") == Some("false")
        || run.head_branch.as_ref() == Some(&world.event.repository.default_branch);
    workflows && conclusion && branch && run.head != Head::Unknown && run.workflow.is_some()
}

pub fn fits(run: &WorkflowRun, rule: &WorkflowRunSource) -> bool {
    let branch = rule
        .branches
        .as_ref()
        .is_none_or(|patterns| run.head_branch.as_ref().is_some_and(|branch| matches(patterns, branch.as_str())));
    let conclusion = rule.conclusions.as_ref().is_none_or(|list| run.conclusion.is_some_and(|c| list.contains(&c)));
    Some(&rule.workflow) == run.workflow.as_ref()
        && (rule.forks || !matches!(run.head, Head::Fork(_)))
        && event_accepted(rule, run)
        && branch
        && conclusion
}

/// Does the target's rule accept the run? Where the source's says more than the target's, silence means little.
pub fn accepts(world: &World, run: &WorkflowRun, ours: &WorkflowRunSource, theirs: &WorkflowRunSource) -> bool {
    let branch = theirs.branches.is_some()
        || ours.branches.is_none()
        || run.head_branch.as_ref() == Some(&world.event.repository.default_branch);
    let conclusion =
        theirs.conclusions.is_some() || ours.conclusions.is_none() || run.conclusion == Some(Conclusion::Success);
    let newest = world.newest.filter(|_| run.attempt > 1);
    let fresh = newest.is_none_or(|newest| newest <= run.number)
        || (theirs.reruns == Reruns::Any && ours.reruns == Reruns::Any);
    fits(run, theirs) && branch && conclusion && fresh
}

fn event_accepted(rule: &WorkflowRunSource, run: &WorkflowRun) -> bool {
    match &rule.events {
        Some(events) => events.contains(&run.event),
        None => run.event == "push" || run.event == "schedule" || run.event == "pull_request",
    }
}

/// Has the commit been where the run says that it was?
pub fn proven(world: &World) -> bool {
    match &world.event.kind {
        EventKind::WorkflowRun(WorkflowRun { head_branch: Some(_), head, .. }) if !matches!(head, Head::Fork(_)) => {
            world.commit != CommitOnBranch::NotProven
        }
        _ => true,
    }
}

/// The ref that a workflow is started at.
pub fn git_ref(world: &World, target: &Target) -> Option<String> {
    let branch = match &world.event.kind {
        EventKind::WorkflowRun(run) => run.head_branch.as_ref().map(|branch| branch.as_str()),
        _ => None,
    };
    match (&target.git_ref, branch) {
        (Some(git_ref), _) => Some(git_ref.as_str().to_owned()),
        (None, Some(branch)) if branch.starts_with("pull/") || branch.starts_with('-') => None,
        (None, Some(branch)) => Some(branch.to_owned()),
        (None, None) => {
            let limits = super::limits::of_owner(world, &world.event.repository.name)?;
            Some(limits.default_ref.map_or("main".to_owned(), |git_ref| git_ref.value.as_str().to_owned()))
        }
    }
}

/// Is the target the workflow that ran?
pub fn is_self(world: &World, target: &Target) -> bool {
    let (EventKind::WorkflowRun(run), Start::Workflow(workflow)) = (&world.event.kind, &target.start) else {
        return false;
    };
    target.repository.as_str().to_lowercase() == world.event.repository.name.as_str().to_lowercase()
        && Some(workflow) == run.workflow.as_ref()
}
