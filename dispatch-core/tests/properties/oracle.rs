//! Both policies, read as a person would read them: slowly, with nothing shared with the decision. It answers only yes
//! or no, and what is sent.

use std::collections::BTreeMap;

use dispatch_core::decide::{CommitOnBranch, Identity, PolicyFile};
use dispatch_core::event::{Conclusion, EventKind, Head, WorkflowRun};
use dispatch_core::name::Login;
use dispatch_core::pattern::PatternSet;
use dispatch_core::policy::{
    InboundRule, InboundTarget, OutboundRule, Reruns, Source, Start, Target, WorkflowRunSource,
};

use super::worlds::World;

/// The ref and the inputs, where the target is started.
pub type Sent = Option<(String, BTreeMap<String, String>)>;

/// What happens to each target entry of the rules that fit, in the order of the file. None: the event starts nothing.
pub fn targets(world: &World) -> Option<Vec<Sent>> {
    let EventKind::WorkflowRun(run) = &world.event.kind else { return None };
    if !operator_accepts(world, run) || !source_policy_is_there(world) {
        return None;
    }
    let rules: Vec<&OutboundRule> =
        world.outbound().iter().filter(|rule| outbound_fits(run, of(&rule.source))).collect();
    if rules.is_empty() || our_own(world, run) {
        return None;
    }
    let entries: Vec<(&OutboundRule, &Target)> =
        rules.iter().flat_map(|rule| rule.targets.iter().map(move |target| (*rule, target))).collect();
    let mut spent = world.spent;
    let mut sent = Vec::new();
    for (position, (rule, target)) in entries.iter().enumerate() {
        let before: Vec<&Target> = entries[..position].iter().map(|(_, target)| *target).collect();
        let agreed = one(world, run, rule, target, &before);
        let affordable = agreed.filter(|_| spent < 100);
        spent += u32::from(affordable.is_some());
        sent.push(affordable.filter(|_| proven(world, run)));
    }
    Some(sent)
}

/// Did the App cause the run, and not by a dispatch?
fn our_own(world: &World, run: &WorkflowRun) -> bool {
    let Some(app) = &world.app_login else { return false };
    let by_the_app = |login: &Login| login.as_str().to_lowercase() == app.as_str().to_lowercase();
    world.chain.is_none()
        && (run.actor.as_ref().is_some_and(by_the_app) || world.event.sender.as_ref().is_some_and(by_the_app))
}

/// Has the commit been where the run says that it was?
fn proven(world: &World, run: &WorkflowRun) -> bool {
    match (&run.head_branch, run.head) {
        (None, _) | (Some(_), Head::Fork(_)) => true,
        (Some(_), _) => world.commit != CommitOnBranch::NotProven,
    }
}

fn one(world: &World, run: &WorkflowRun, rule: &OutboundRule, target: &Target, before: &[&Target]) -> Sent {
    let is_duplicate = before.iter().any(|other| same_place(other, target));
    if is_duplicate || is_self(world, run, target) || !target_allowlisted(world, target) {
        return None;
    }
    let mut distinct: Vec<&Target> = Vec::new();
    for other in before {
        if !distinct.iter().any(|seen| same_place(seen, other)) {
            distinct.push(other);
        }
    }
    let considered =
        distinct.iter().filter(|other| !is_self(world, run, other) && target_allowlisted(world, other)).count();
    if considered >= number(world, "DISPATCH_MAX_TARGETS_PER_RUN", 25) {
        return None;
    }
    if let Some(chain) = &world.chain {
        let (been_there, name) = (&chain.places, target.repository.as_str().to_lowercase());
        if been_there
            .iter()
            .any(|place| place.repository.as_str().to_lowercase() == name && place.start == target.start)
        {
            return None;
        }
        if chain.places.len() > number(world, "DISPATCH_MAX_CHAIN_DEPTH", 8) {
            return None;
        }
    }
    let inputs = values(world, run, target)?;
    let git_ref = match (&target.git_ref, &run.head_branch) {
        (Some(git_ref), _) => git_ref.as_str().to_owned(),
        (None, Some(branch)) if branch.as_str().starts_with("pull/") || branch.as_str().starts_with('-') => {
            return None;
        }
        (None, Some(branch)) => branch.as_str().to_owned(),
        (None, None) => "main".to_owned(),
    };
    let somebody_agrees = world.inbound(&target.repository).iter().any(|inbound| {
        inbound.targets.iter().any(|accepted| agrees(world, run, rule, target, inbound, accepted, &git_ref))
    });
    let uses = world.uses.get(&target.repository).copied().unwrap_or(0);
    let seldom = (uses as usize) < number(world, "DISPATCH_MAX_EDGE_RATE", 100);
    (somebody_agrees && seldom).then_some((git_ref, inputs))
}

/// Does this one entry of the target's file accept all of it?
fn agrees(
    world: &World,
    run: &WorkflowRun,
    rule: &OutboundRule,
    target: &Target,
    inbound: &InboundRule,
    accepted: &InboundTarget,
    git_ref: &str,
) -> bool {
    let (theirs, ours) = (of(&inbound.source), of(&rule.source));
    let names_the_source =
        inbound.repository.as_str().to_lowercase() == world.event.repository.name.as_str().to_lowercase();
    let names_the_workflow = Some(&theirs.workflow) == run.workflow.as_ref();
    let names_the_target = accepted.start == target.start;
    let forks = theirs.forks || !matches!(run.head, Head::Fork(_));
    let event = event_accepted(theirs, run);
    let branch = match (&theirs.branches, &ours.branches) {
        (Some(patterns), _) => run.head_branch.as_ref().is_some_and(|branch| matches(patterns, branch.as_str())),
        (None, Some(_)) => run.head_branch.as_ref() == Some(&world.event.repository.default_branch),
        (None, None) => true,
    };
    let conclusion = match (&theirs.conclusions, &ours.conclusions) {
        (Some(list), _) => run.conclusion.is_some_and(|conclusion| list.contains(&conclusion)),
        (None, Some(_)) => run.conclusion == Some(Conclusion::Success),
        (None, None) => true,
    };
    let refs = accepted.accept_refs.as_ref().is_none_or(|patterns| {
        matches(patterns, git_ref)
            || git_ref.strip_prefix("refs/heads/").is_some_and(|branch| matches(patterns, branch))
    });
    let inputs = target.inputs.keys().all(|name| accepted.accept_inputs.contains_key(name));
    let values = target.inputs.values().all(|template| {
        !template.as_str().contains("source.head_branch")
            || run.head_branch.as_ref().is_some_and(|branch| {
                !branch.as_str().starts_with('-')
                    && branch
                        .as_str()
                        .chars()
                        .all(|c| "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._/@+#=,-".contains(c))
            })
    });
    let newest = world.newest.filter(|_| run.attempt > 1);
    let fresh = newest.is_none_or(|newest| newest <= run.number)
        || (theirs.reruns == Reruns::Any && ours.reruns == Reruns::Any);
    names_the_source
        && names_the_workflow
        && names_the_target
        && forks
        && event
        && branch
        && conclusion
        && refs
        && inputs
        && values
        && same_repositories(world, target, inbound)
        && fresh
}

/// Are the repositories behind both names those that were agreed on?
fn same_repositories(world: &World, target: &Target, inbound: &InboundRule) -> bool {
    let edge = world.edges.get(&target.repository);
    let source_now = world.event.repository.id;
    let source = match (inbound.repository_id, edge) {
        (Some(id), _) => id == source_now,
        (None, Some(edge)) => edge.source == source_now,
        (None, None) => true,
    };
    let Some(Identity::Verified { id: target_now, .. }) = world.policies[&target.repository].repository else {
        return false;
    };
    let target = match (target.repository_id, edge) {
        (Some(id), _) => id == target_now,
        (None, Some(edge)) => edge.target == target_now,
        (None, None) => true,
    };
    source && target
}

fn operator_accepts(world: &World, run: &WorkflowRun) -> bool {
    let setting = |name: &str| world.settings.get(name).map(String::as_str);
    let owner = world.event.repository.name.as_str().split('/').next().unwrap().to_lowercase();
    let owners = match setting("OWNER_ALLOWLIST") {
        None => false,
        Some("*") => true,
        Some(list) => list.split(',').any(|name| name == owner),
    };
    let sources = setting("SOURCE_REPO_ALLOWLIST").is_none_or(|list| list == "acme/*");
    let workflows = setting("SOURCE_WORKFLOW_ALLOWLIST")
        .is_none_or(|list| run.workflow.as_ref().is_some_and(|workflow| workflow.as_str() == list));
    let conclusions = setting("ALLOWED_SOURCE_CONCLUSIONS").unwrap_or("success");
    let conclusion =
        run.conclusion.is_some_and(|conclusion| conclusions.split(',').any(|word| word == conclusion.as_str()));
    let branch = setting("ENFORCE_SOURCE_DEFAULT_BRANCH") == Some("false")
        || run.head_branch.as_ref() == Some(&world.event.repository.default_branch);
    let known = run.head != Head::Unknown && run.workflow.is_some() && world.event.installation.is_some();
    owners && sources && workflows && conclusion && branch && known
}

fn source_policy_is_there(world: &World) -> bool {
    let answer = &world.policies[&world.event.repository.name];
    let same = matches!(answer.repository, Some(Identity::Verified { id, .. }) if id == world.event.repository.id);
    same && matches!(answer.file, PolicyFile::Found { .. })
}

fn outbound_fits(run: &WorkflowRun, rule: &WorkflowRunSource) -> bool {
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

fn event_accepted(rule: &WorkflowRunSource, run: &WorkflowRun) -> bool {
    match &rule.events {
        Some(events) => events.contains(&run.event),
        None => run.event == "push" || run.event == "schedule" || run.event == "pull_request",
    }
}

fn is_self(world: &World, run: &WorkflowRun, target: &Target) -> bool {
    let Start::Workflow(workflow) = &target.start else { return false };
    target.repository.as_str().to_lowercase() == world.event.repository.name.as_str().to_lowercase()
        && Some(workflow) == run.workflow.as_ref()
}

fn same_place(a: &Target, b: &Target) -> bool {
    a.repository.as_str().to_lowercase() == b.repository.as_str().to_lowercase() && a.start == b.start
}

fn target_allowlisted(world: &World, target: &Target) -> bool {
    match world.settings.get("TARGET_REPO_ALLOWLIST") {
        None => true,
        Some(_) => target.repository.as_str().to_lowercase().starts_with("acme/"),
    }
}

fn number(world: &World, setting: &str, default: usize) -> usize {
    world.settings.get(setting).map_or(default, |text| text.parse().unwrap())
}

fn values(world: &World, run: &WorkflowRun, target: &Target) -> Option<BTreeMap<String, String>> {
    let mut values = BTreeMap::new();
    for (name, template) in &target.inputs {
        let mut text = template.as_str().to_owned();
        let branch = run.head_branch.as_ref().map_or("", |branch| branch.as_str());
        for (variable, value) in [
            ("source.sha", run.head_sha.as_str()),
            ("source.head_branch", branch),
            ("source.run_id", &run.id.to_string()),
            ("source.run_url", run.url.as_str()),
            ("source.repo", world.event.repository.name.as_str()),
            ("source.workflow", run.workflow.as_ref().unwrap().as_str()),
        ] {
            if text.contains(variable) && value.is_empty() {
                return None;
            }
            text = text.replace(&format!("{{{{ {variable} }}}}"), value);
        }
        if text.is_empty() || text.contains("{{") || text.chars().count() > 1_024 {
            return None;
        }
        values.insert(name.clone(), text);
    }
    (values.len() <= 25).then_some(values)
}

/// Every way of matching is tried; slow, and short enough to be believed.
fn matches(patterns: &PatternSet, name: &str) -> bool {
    fn one(pattern: &[char], name: &[char]) -> bool {
        match pattern {
            [] => name.is_empty(),
            ['*', '*', rest @ ..] => (0..=name.len()).any(|taken| one(rest, &name[taken..])),
            ['*', rest @ ..] => {
                let most = name.iter().position(|c| *c == '/').unwrap_or(name.len());
                (0..=most).any(|taken| one(rest, &name[taken..]))
            }
            [c, rest @ ..] => name.first() == Some(c) && one(rest, &name[1..]),
        }
    }
    let name: Vec<char> = name.chars().collect();
    patterns.patterns().iter().any(|pattern| one(&pattern.as_str().chars().collect::<Vec<_>>(), &name))
}

fn of(source: &Source) -> &WorkflowRunSource {
    match source {
        Source::WorkflowRun(source) => source,
        other => panic!("{other:?}"),
    }
}
