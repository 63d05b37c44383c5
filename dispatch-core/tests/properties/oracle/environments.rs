//! The environments of pull requests.

use dispatch_core::environment::{EnvironmentKey, EnvironmentState};
use dispatch_core::event::{EventKind, PullRequestAction, PullRequestState, Sweep};
use dispatch_core::policy::{EnvironmentAction, EnvironmentRule, OutboundRule, Source, Target};

use super::super::worlds::World;
use super::pull_requests::About;
use super::{fits, matches};

/// What is known of an environment.
#[derive(Debug)]
pub struct Environment {
    pub name: String,
    pub base: String,
    pub deploy: String,
    pub url: Option<String>,
}

/// The pull request that it is about, where it is about one.
pub fn pull_request(world: &World) -> Option<&PullRequestState> {
    match &world.event.kind {
        EventKind::PullRequest(pull_request) => Some(&pull_request.now),
        EventKind::Command(_) => world.facts.state.as_ref(),
        _ => None,
    }
}

fn sweep(world: &World) -> Option<&Sweep> {
    match &world.event.kind {
        EventKind::PullRequest(pull_request) => pull_request.sweep.as_ref(),
        _ => None,
    }
}

/// Whether the sweep means this target; None where nothing is swept.
pub fn is_swept(world: &World, target: &Target) -> Option<bool> {
    let environment = &sweep(world)?.environment;
    let there = environment.repository.as_str().to_lowercase() == target.repository.as_str().to_lowercase();
    Some(there && target.environment == Some(EnvironmentAction::Destroy))
}

/// The environment of a target. The outer None: it cannot be had. The inner: there is none in rules about runs.
pub fn of(
    world: &World,
    rule: &OutboundRule,
    target: &Target,
    action: EnvironmentAction,
) -> Option<Option<Environment>> {
    let Some(pull_request) = pull_request(world) else { return Some(None) };
    match action {
        EnvironmentAction::Create => created(world, target, pull_request).map(Some),
        EnvironmentAction::Destroy => destroyed(world, rule, target, pull_request).map(Some),
    }
}

fn created(world: &World, target: &Target, pull_request: &PullRequestState) -> Option<Environment> {
    let base = pull_request.base_branch.as_str();
    let rule = world
        .source()?
        .environments()
        .iter()
        .find(|rule| rule.base.as_ref().is_none_or(|patterns| matches(patterns, base)))?;
    let described = describe(rule, pull_request);
    let taken = world.facts.environments.iter().any(|(key, environment)| {
        is_in(key, target)
            && key.name.as_str() == described.name
            && environment.state != EnvironmentState::Destroyed
            && environment.source.id != world.event.repository.id
    });
    (pull_request.open && !taken).then_some(described)
}

fn describe(rule: &EnvironmentRule, pull_request: &PullRequestState) -> Environment {
    let (head, base) = (pull_request.head_branch.as_str(), pull_request.base_branch.as_str());
    let name = rule.name.as_str().replace("{{ pr.number }}", "7");
    let fill = |text: &str| {
        text.replace("{{ env.name }}", &name)
            .replace("{{ pr.head_branch }}", head)
            .replace("{{ pr.base_branch }}", base)
    };
    let deploy = rule.deploy.as_ref().map_or_else(|| head.to_owned(), |deploy| fill(deploy.as_str()));
    let url = rule.url.as_ref().map(|url| fill(url.as_str()));
    Environment { base: base.to_owned(), deploy, url, name }
}

/// What a rule is asked about where an environment of this base is destroyed.
pub fn about<'a>(world: &World, base: &'a str) -> About<'a> {
    match &world.event.kind {
        EventKind::PullRequest(pull_request) if pull_request.action != PullRequestAction::Closed => {
            About::ThePullRequest
        }
        _ => About::WhatItMade(base),
    }
}

/// What the pull request holds there of what the rule is about: of several the one that changed last.
pub fn to_destroy<'a>(
    world: &'a World,
    rule: &Source,
    target: &Target,
) -> Option<&'a dispatch_core::environment::Environment> {
    let pull_request = pull_request(world)?;
    let sweep = sweep(world);
    let mut found: Option<&dispatch_core::environment::Environment> = None;
    for (key, environment) in &world.facts.environments {
        let meant = match sweep {
            Some(sweep) => sweep.environment == *key,
            None => {
                let remembered = world.facts.record.as_ref().is_some_and(|record| record.environments.contains(key));
                remembered && environment.holders.contains(&pull_request.number)
            }
        };
        let ours = environment.source.id == world.event.repository.id;
        let there = environment.state != EnvironmentState::Destroyed;
        let newer = found.is_none_or(|other| environment.changed_at.to_string() > other.changed_at.to_string());
        let named = fits(world, rule, about(world, environment.description.base.as_str()));
        if meant && ours && there && newer && named && is_in(key, target) {
            found = Some(environment);
        }
    }
    found.filter(|_| target.environment == Some(EnvironmentAction::Destroy))
}

/// Does GitHub say that what a sweep found is still to go? All that hold it must be seen: closed, or without the label.
fn is_still_to_go(world: &World, sweep: &Sweep, environment: &dispatch_core::environment::Environment) -> bool {
    let asked = pull_request(world).unwrap().number;
    let all = environment.holders.iter().all(|holder| *holder == asked);
    let now = world.facts.state.as_ref().filter(|now| now.number == asked);
    match sweep.expired {
        true => all && now.is_some_and(|now| !now.keep),
        false => now.is_some_and(|now| !now.open),
    }
}

fn destroyed(
    world: &World,
    rule: &OutboundRule,
    target: &Target,
    pull_request: &PullRequestState,
) -> Option<Environment> {
    let sweep = sweep(world);
    let found = to_destroy(world, &rule.source, target);
    if found.zip(sweep).is_some_and(|(environment, sweep)| !is_still_to_go(world, sweep, environment)) {
        return None;
    }
    let environment = found?;
    let shared = environment.holders.iter().any(|holder| *holder != pull_request.number);
    let over = sweep.is_some_and(|sweep| sweep.expired);
    (!shared || over).then(|| Environment {
        name: environment.key.name.as_str().to_owned(),
        base: environment.description.base.as_str().to_owned(),
        deploy: environment.description.deploy.clone(),
        url: environment.description.url.clone(),
    })
}

fn is_in(key: &EnvironmentKey, target: &Target) -> bool {
    key.repository.as_str().to_lowercase() == target.repository.as_str().to_lowercase()
}
