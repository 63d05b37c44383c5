//! Both policies, read as a person would read them: slowly, with nothing shared with the decision. It answers only yes
//! or no, and what is sent.

mod environments;
mod limits;
mod pull_requests;
mod runs;
mod values;

use std::collections::BTreeMap;

use dispatch_core::decide::{Identity, PolicyFile};
use dispatch_core::event::EventKind;
use dispatch_core::name::Login;
use dispatch_core::pattern::PatternSet;
use dispatch_core::policy::{EnvironmentAction, InboundRule, InboundTarget, OutboundRule, Source, Start, Target};
use serde_json::Value;

use self::pull_requests::About;
use super::worlds::World;

/// What is sent to a target.
#[derive(Debug, Clone, PartialEq)]
pub struct Sent {
    /// None for events.
    pub git_ref: Option<String>,
    pub values: BTreeMap<String, Value>,
    /// The environment's name, what is done to it, and the branch that is deployed there.
    pub environment: Option<(String, EnvironmentAction, String)>,
}

/// What happens to each target entry of the rules that fit, in the order of the file; None where it is not started. None of
/// all: the event starts nothing.
pub fn targets(world: &World) -> Option<Vec<Option<Sent>>> {
    if !operator_serves(world) || !source_policy_is_there(world) {
        return None;
    }
    let listens = match &world.event.kind {
        EventKind::WorkflowRun(run) => runs::operator_accepts(world, run),
        EventKind::PullRequest(_) => true,
        EventKind::Command(command) => pull_requests::is_given(world, command),
        _ => false,
    };
    let limits = limits::of_owner(world, &world.event.repository.name)?;
    if !listens || !limits::allow_event(world, &limits) {
        return None;
    }
    let rules = world.outbound().iter().filter(|rule| pull_requests::takes_the_argument(world, &rule.source));
    let entries: Vec<(&OutboundRule, &Target)> =
        rules.flat_map(|rule| rule.targets.iter().map(move |target| (rule, target))).collect();
    let entries: Vec<_> = entries
        .into_iter()
        .filter(|(_, target)| environments::is_swept(world, target) != Some(false))
        .filter(|(rule, target)| {
            fits(world, &rule.source, About::ThePullRequest)
                || environments::to_destroy(world, &rule.source, target).is_some()
        })
        .collect();
    if entries.is_empty() || our_own(world) {
        return None;
    }
    let mut spent = world.spent;
    let mut sent = Vec::new();
    for (position, (rule, target)) in entries.iter().enumerate() {
        let before: Vec<&Target> = entries[..position].iter().map(|(_, target)| *target).collect();
        let agreed = one(world, rule, target, &before);
        let affordable = agreed.filter(|_| spent < 100);
        spent += u32::from(affordable.is_some());
        sent.push(affordable.filter(|_| runs::proven(world)));
    }
    Some(sent)
}

/// Does a rule fit?
fn fits(world: &World, source: &Source, about: About<'_>) -> bool {
    match (&world.event.kind, source) {
        (EventKind::WorkflowRun(run), Source::WorkflowRun(rule)) => runs::fits(run, rule),
        (EventKind::PullRequest(pull_request), Source::PullRequest(rule)) => {
            pull_requests::fits(world, pull_request, rule, about)
        }
        (EventKind::Command(command), Source::Command(rule)) => {
            pull_requests::may_be_given(world, command, rule, about)
        }
        _ => false,
    }
}

/// Does the target's rule accept what the source's rule is about? Only runs depend on what the other side says.
fn accepts(world: &World, ours: &Source, theirs: &Source, about: About<'_>) -> bool {
    match (&world.event.kind, ours, theirs) {
        (EventKind::WorkflowRun(run), Source::WorkflowRun(ours), Source::WorkflowRun(theirs)) => {
            runs::accepts(world, run, ours, theirs)
        }
        _ => fits(world, theirs, about),
    }
}

/// Did the App cause it, and not by a dispatch?
fn our_own(world: &World) -> bool {
    let Some(app) = &world.app_login else { return false };
    let by_the_app = |login: &Login| login.as_str().to_lowercase() == app.as_str().to_lowercase();
    let actor = match &world.event.kind {
        EventKind::WorkflowRun(run) => run.actor.as_ref(),
        _ => None,
    };
    world.chain.is_none() && (actor.is_some_and(by_the_app) || world.event.sender.as_ref().is_some_and(by_the_app))
}

fn one(world: &World, rule: &OutboundRule, target: &Target, before: &[&Target]) -> Option<Sent> {
    let is_duplicate = before.iter().any(|other| same_place(other, target));
    if is_duplicate || runs::is_self(world, target) || !target_allowlisted(world, target) {
        return None;
    }
    let mut distinct: Vec<&Target> = Vec::new();
    for other in before {
        if !distinct.iter().any(|seen| same_place(seen, other)) {
            distinct.push(other);
        }
    }
    let considered =
        distinct.iter().filter(|other| !runs::is_self(world, other) && target_allowlisted(world, other)).count();
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
    let owners =
        [&world.event.repository.name, &target.repository].map(|repository| limits::of_owner(world, repository));
    for limits in owners {
        let limits = limits?;
        if !limits::allow_event(world, &limits) || !limits::allow_target(world, &limits, target, considered + 1) {
            return None;
        }
    }
    let environment = match target.environment {
        None => None,
        Some(action) => environments::of(world, rule, target, action)?,
    };
    let about = match (&environment, target.environment) {
        (Some(environment), Some(EnvironmentAction::Destroy)) => environments::about(world, &environment.base),
        _ => About::ThePullRequest,
    };
    let values = values::all(world, target, environment.as_ref())?;
    let git_ref = match &target.start {
        Start::Workflow(_) => Some(runs::git_ref(world, target)?),
        _ => None,
    };
    let somebody_agrees = world.inbound(&target.repository).iter().any(|inbound| {
        inbound.targets.iter().any(|accepted| {
            agrees(world, (rule, target, about), inbound, accepted, git_ref.as_deref())
                && values::accepted(world, target, accepted, &values, environment.as_ref())
        })
    });
    let uses = world.uses.get(&target.repository).copied().unwrap_or(0);
    let seldom = (uses as usize) < number(world, "DISPATCH_MAX_EDGE_RATE", 100);
    let environment = environment.zip(target.environment).map(|(it, action)| (it.name, action, it.deploy));
    (somebody_agrees && seldom).then_some(Sent { git_ref, values, environment })
}

/// Does this one entry of the target's file accept it, whatever the values are?
fn agrees(
    world: &World,
    (rule, target, about): (&OutboundRule, &Target, About<'_>),
    inbound: &InboundRule,
    accepted: &InboundTarget,
    git_ref: Option<&str>,
) -> bool {
    let names_the_source =
        inbound.repository.as_str().to_lowercase() == world.event.repository.name.as_str().to_lowercase();
    let refs = accepted.accept_refs.as_ref().zip(git_ref).is_none_or(|(patterns, git_ref)| {
        matches(patterns, git_ref)
            || git_ref.strip_prefix("refs/heads/").is_some_and(|branch| matches(patterns, branch))
    });
    names_the_source
        && accepted.start == target.start
        && accepts(world, &rule.source, &inbound.source, about)
        && refs
        && same_repositories(world, target, inbound)
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

fn operator_serves(world: &World) -> bool {
    let setting = |name: &str| world.settings.get(name).map(String::as_str);
    let owner = world.event.repository.name.as_str().split('/').next().unwrap().to_lowercase();
    let owners = match setting("OWNER_ALLOWLIST") {
        None => false,
        Some("*") => true,
        Some(list) => list.split(',').any(|name| name == owner),
    };
    let sources = setting("SOURCE_REPO_ALLOWLIST").is_none_or(|list| list == "acme/*");
    owners && sources && world.event.installation.is_some()
}

fn source_policy_is_there(world: &World) -> bool {
    let answer = &world.policies[&world.event.repository.name];
    let same = matches!(answer.repository, Some(Identity::Verified { id, .. }) if id == world.event.repository.id);
    same && matches!(answer.file, PolicyFile::Found { .. })
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
