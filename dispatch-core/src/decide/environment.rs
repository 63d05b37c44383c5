//! Which environment a target is about.

use std::collections::BTreeMap;

use super::case::{Case, Cause};
use super::known::{Known, Lookup, Missing};
use super::plan::Denied;
use super::target::{denied, deny};
use crate::Timestamp;
use crate::environment::{Environment, EnvironmentDescription, EnvironmentKey, EnvironmentState, EnvironmentUse};
use crate::event::{PullRequestState, Sweep};
use crate::name::EnvironmentName;
use crate::policy::{EnvironmentAction, EnvironmentRule, Policy, Target};
use crate::quote::quote;
use crate::reason::Reason;
use crate::template::{RenderError, Template, Variable};

/// What a target does to an environment; the outer None: an answer is missing.
pub(super) type Resolved = Option<Result<Option<EnvironmentUse>, Denied>>;

/// Whether a target is to be considered at all. Where no webhook said what happened, only what destroys that one environment
/// is.
pub(super) fn is_meant(case: &Case<'_>, target: &Target) -> bool {
    sweep(case).is_none_or(|sweep| {
        target.environment == Some(EnvironmentAction::Destroy) && target.repository == sweep.environment.repository
    })
}

/// The environment of a target.
pub(super) fn resolve(
    case: &Case<'_>,
    policy: &Policy,
    target: &Target,
    known: &Known,
    missing: &mut Missing,
) -> Resolved {
    // Only rules about pull requests have environments.
    let (Some(action), Some(pull_request)) = (target.environment, case.pull_request()) else { return Some(Ok(None)) };
    let resolved = match action {
        EnvironmentAction::Create => create(case, pull_request, policy, target, known, missing)?,
        EnvironmentAction::Destroy => destroy(case, pull_request, target, known, missing)?,
    };
    Some(resolved.map(|(key, description)| {
        Some(EnvironmentUse {
            key,
            action,
            pull_request: pull_request.number,
            description,
            keep: pull_request.keep,
            at: wanted_at(case, pull_request),
        })
    }))
}

type Found = Option<Result<(EnvironmentKey, EnvironmentDescription), Denied>>;

fn create(
    case: &Case<'_>,
    pull_request: &PullRequestState,
    policy: &Policy,
    target: &Target,
    known: &Known,
    missing: &mut Missing,
) -> Found {
    let base = &pull_request.base_branch;
    let fits = |rule: &&EnvironmentRule| rule.base.as_ref().is_none_or(|base_| base_.matches(base.as_str()));
    let Some(rule) = policy.environments().iter().find(fits) else {
        let message =
            format!("{} defines no environment for pull requests into {}", quote(case.repository()), quote(base));
        return Some(deny(Reason::EnvironmentNotDefined, message));
    };
    if !pull_request.open {
        let message = format!("pull request {} is not open, so that it gets no environment", pull_request.number);
        return Some(deny(Reason::PullRequestNotOpen, message));
    }
    let key = match name(case, rule) {
        Ok(name) => EnvironmentKey { repository: target.repository.clone(), name },
        Err(denied) => return Some(Err(denied)),
    };
    let existing = missing.or_ask(known.environments.get(&key), || Lookup::Environment(key.clone()))?.as_ref();
    let taken = existing.filter(|it| it.state != EnvironmentState::Destroyed);
    if taken.is_some_and(|environment| environment.source.id != case.event.repository.id) {
        let (name, target) = (quote(&key.name), quote(&target.repository));
        return Some(deny(
            Reason::EnvironmentNameTaken,
            format!("the environment {name} of {target} belongs to another repository"),
        ));
    }
    Some(describe(case, pull_request, rule, &key.name).map(|description| (key, description)))
}

fn name(case: &Case<'_>, rule: &EnvironmentRule) -> Result<EnvironmentName, Denied> {
    let number = |variable| (variable == Variable::PrNumber).then(|| case.value_of(variable, None)).flatten();
    let text = rule.name.render(number).map_err(|error| no_value("name", &error))?;
    text.parse().map_err(|error: crate::name::NameError| denied(Reason::InputsTemplateError, error.to_string()))
}

fn describe(
    case: &Case<'_>,
    pull_request: &PullRequestState,
    rule: &EnvironmentRule,
    name: &EnvironmentName,
) -> Result<EnvironmentDescription, Denied> {
    let render = |what: &str, template: &Template| {
        let value = template.render(|variable| match variable {
            Variable::EnvName => Some(name.to_string()),
            Variable::EnvBase => Some(pull_request.base_branch.to_string()),
            variable => case.value_of(variable, None),
        });
        value.map_err(|error| no_value(what, &error))
    };
    let mut links = BTreeMap::new();
    for (what, link) in &rule.links {
        links.insert(what.clone(), render("link", link)?);
    }
    Ok(EnvironmentDescription {
        base: pull_request.base_branch.clone(),
        deploy: match &rule.deploy {
            Some(deploy) => render("branch", deploy)?,
            None => pull_request.head_branch.to_string(),
        },
        url: rule.url.as_ref().map(|url| render("address", url)).transpose()?,
        links,
        cleanup: rule.cleanup.as_ref().map(|cleanup| render("clean-up", cleanup)).transpose()?,
        ttl: rule.ttl,
    })
}

fn no_value(what: &str, error: &RenderError) -> Denied {
    denied(Reason::InputsTemplateError, format!("the environment's {what} cannot be computed: {error}"))
}

/// What is destroyed is what the pull request created, whatever branch it wants to change now.
fn destroy(
    case: &Case<'_>,
    pull_request: &PullRequestState,
    target: &Target,
    known: &Known,
    missing: &mut Missing,
) -> Found {
    let sweep = sweep(case);
    let candidates: Vec<_> = match sweep {
        Some(sweep) => vec![&sweep.environment],
        None => {
            let held = case.record().map(|record| &record.environments).into_iter().flatten();
            held.filter(|key| key.repository == target.repository).collect()
        }
    };
    let mut found: Option<&Environment> = None;
    let mut complete = true;
    for key in candidates {
        match missing.or_ask(known.environments.get(key), || Lookup::Environment(key.clone())) {
            None => complete = false,
            Some(Some(environment)) if is_held(case, pull_request, environment) => {
                if found.is_none_or(|other| other.changed_at < environment.changed_at) {
                    found = Some(environment);
                }
            }
            Some(_) => {}
        }
    }
    if !complete {
        return None;
    }
    let Some(environment) = found else {
        let message = format!(
            "pull request {} of {} holds no environment in {}",
            pull_request.number,
            quote(case.repository()),
            quote(&target.repository)
        );
        return Some(deny(Reason::EnvironmentNotHeld, message));
    };
    let (key, description) = (environment.key.clone(), environment.description.clone());
    let others = environment.holders.iter().filter(|holder| **holder != pull_request.number).count();
    if others > 0 && !sweep.is_some_and(|sweep| sweep.expired) {
        let message = format!("{others} other pull requests hold the environment {}", quote(&key.name));
        let releases = EnvironmentUse {
            key,
            action: EnvironmentAction::Destroy,
            pull_request: pull_request.number,
            description,
            keep: pull_request.keep,
            at: wanted_at(case, pull_request),
        };
        return Some(Err(Denied {
            releases: Some(Box::new(releases)),
            ..denied(Reason::EnvironmentStillHeld, message)
        }));
    }
    Some(Ok((key, description)))
}

/// Whether an environment is this repository's, and there to be destroyed for this pull request.
fn is_held(case: &Case<'_>, pull_request: &PullRequestState, environment: &Environment) -> bool {
    environment.source.id == case.event.repository.id
        && environment.state != EnvironmentState::Destroyed
        && (sweep(case).is_some() || environment.concerns(pull_request.number))
}

fn sweep<'a>(case: &Case<'a>) -> Option<&'a Sweep> {
    match case.cause {
        Cause::PullRequest { pull_request, .. } => pull_request.sweep.as_ref(),
        Cause::Run { .. } | Cause::Command(_) => None,
    }
}

/// When it is wanted, by GitHub's clock.
fn wanted_at(case: &Case<'_>, pull_request: &PullRequestState) -> Timestamp {
    match &case.cause {
        Cause::Command(given) => given.command.created_at,
        Cause::PullRequest { .. } | Cause::Run { .. } => sweep(case).map_or(pull_request.updated_at, |sweep| sweep.at),
    }
}
