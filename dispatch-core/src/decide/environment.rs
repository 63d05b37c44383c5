//! Which environment a target is about.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::case::{Case, Cause};
use super::filter::{Subject, misfit};
use super::known::{Known, Lookup, Missing};
use super::plan::Denied;
use super::source::FittingRule;
use super::target::{denied, deny};
use crate::Timestamp;
use crate::chain::Place;
use crate::dispatch::DispatchKey;
use crate::environment::{Environment, EnvironmentDescription, EnvironmentKey, EnvironmentState, EnvironmentUse};
use crate::event::{PullRequestState, Sweep};
use crate::name::EnvironmentName;
use crate::policy::{EnvironmentAction, EnvironmentRule, Policy, Source, Target};
use crate::quote::quote;
use crate::reason::Reason;
use crate::template::{RenderError, Template, Variable};

/// What a target does to an environment; the outer None: an answer is missing.
pub(super) type Resolved = Option<Result<Option<EnvironmentUse>, Denied>>;

/// Whether a target is to be considered at all. Where the event is about one environment only, what destroys it is.
pub(super) fn is_meant(case: &Case<'_>, target: &Target) -> bool {
    case.event.only().is_none_or(|only| {
        target.environment == Some(EnvironmentAction::Destroy) && target.repository == only.repository
    })
}

/// The environment of a target.
pub(super) fn resolve(
    case: &Case<'_>,
    policy: &Policy,
    (source, target): (&Source, &Target),
    known: &Known,
    missing: &mut Missing,
) -> Resolved {
    // Only rules about pull requests have environments.
    let (Some(action), Some(pull_request)) = (target.environment, case.pull_request()) else { return Some(Ok(None)) };
    let resolved = match action {
        EnvironmentAction::Create => create(case, pull_request, policy, target, known, missing)?,
        EnvironmentAction::Destroy => destroy(case, pull_request, (source, target), known, missing)?,
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
    let Some(rule) = policy.environment_for(base) else {
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

/// The environments that a target may destroy for the pull request: those that it created there, whatever branch it wants to
/// change by now, for what the rule names. First comes the one that is being destroyed because of this very event and target, so
/// that a decision that is made again is about the same one; then the one that changed last. None: an answer is missing.
pub(super) fn to_destroy<'k>(
    case: &Case<'_>,
    source: &Source,
    target: &Target,
    known: &'k Known,
    missing: &mut Missing,
) -> Option<Vec<&'k Environment>> {
    let (Some(EnvironmentAction::Destroy), Some(pull_request)) = (target.environment, case.pull_request()) else {
        return Some(Vec::new());
    };
    let candidates: Vec<_> = match case.event.only() {
        Some(only) => vec![only],
        None => {
            let held = case.record().map(|record| &record.environments).into_iter().flatten();
            held.filter(|key| key.repository == target.repository).collect()
        }
    };
    let answers: Vec<_> = candidates
        .into_iter()
        .map(|key| missing.or_ask(known.environments.get(key), || Lookup::Environment(key.clone())))
        .collect();
    let mut found = Vec::new();
    for environment in answers {
        let Some(environment) = environment? else { continue };
        let subject = Subject::of_destroying(case, &environment.description);
        if is_held(case, pull_request, environment) && misfit(case, source, None, subject, "").is_none() {
            found.push(environment);
        }
    }
    let place = Place { repository: target.repository.clone(), start: target.start.clone() };
    let dispatch = DispatchKey { event: case.identity.clone(), target: place };
    found.sort_by_key(|environment| Reverse((environment.is_changed_by(&dispatch), environment.changed_at)));
    Some(found)
}

/// The environments that targets of these rules may destroy, and that none of them is decided about.
pub(super) fn further(case: &Case<'_>, rules: &[FittingRule<'_>], known: &Known) -> BTreeSet<EnvironmentKey> {
    let (mut decided, mut further) = (BTreeSet::new(), BTreeSet::new());
    if case.event.only().is_some() {
        return further;
    }
    for FittingRule { rule, targets, .. } in rules {
        for target in targets {
            // What is not known was asked for no target: it is denied, whatever it destroys.
            let found = to_destroy(case, &rule.source, target, known, &mut Missing::default()).unwrap_or_default();
            let mut keys = found.into_iter().map(|environment| environment.key.clone());
            decided.extend(keys.next());
            further.extend(keys);
        }
    }
    &further - &decided
}

/// What is destroyed is what the pull request created.
fn destroy(
    case: &Case<'_>,
    pull_request: &PullRequestState,
    (source, target): (&Source, &Target),
    known: &Known,
    missing: &mut Missing,
) -> Found {
    let sweep = sweep(case);
    let found = to_destroy(case, source, target, known, missing)?;
    let Some(environment) = found.into_iter().next() else {
        let message = format!(
            "pull request {} of {} holds no environment in {} that the rule is about",
            pull_request.number,
            quote(case.repository()),
            quote(&target.repository)
        );
        return Some(deny(Reason::EnvironmentNotHeld, message));
    };
    if let Some(sweep) = sweep
        && let Some(denied) = still_wanted(case, pull_request, sweep, environment, known, missing)?
    {
        return Some(Err(denied));
    }
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

/// Why an environment stays that a sweep found: what the sweep read may be hours old by the time that it is decided about.
/// The outer None: an answer is missing. What GitHub does not tell is never "closed", and never "no label keeps it".
fn still_wanted(
    case: &Case<'_>,
    pull_request: &PullRequestState,
    sweep: &Sweep,
    environment: &Environment,
    known: &Known,
    missing: &mut Missing,
) -> Option<Option<Denied>> {
    let name = quote(&environment.key.name);
    let numbers: BTreeSet<_> = match sweep.expired {
        true => environment.concerned().take(Sweep::MAX_ASKED + 1).chain([pull_request.number]).collect(),
        false => [pull_request.number].into(),
    };
    if numbers.len() > Sweep::MAX_ASKED {
        let message =
            format!("more than {} pull requests would have to tell that no label keeps {name}", Sweep::MAX_ASKED);
        return Some(Some(denied(Reason::EnvironmentStillHeld, message)));
    }
    let mut states = Vec::new();
    for number in numbers {
        let state = missing.or_ask(known.pull_request_states.get(&number), || Lookup::PullRequestState(number));
        states.push((number, state));
    }
    for (number, state) in states {
        let denied = match state?.as_ref().filter(|state| state.number == number) {
            None => {
                let message = format!("GitHub does not show pull request {number} of {}", quote(case.repository()));
                denied(Reason::EnvironmentStillHeld, format!("{message}, so that the environment {name} may be wanted"))
            }
            Some(state) if sweep.expired && state.keep => {
                let message =
                    format!("pull request {number} has the label `keep`, and so has the environment {name} time");
                denied(Reason::EnvironmentStillHeld, message)
            }
            Some(state) if !sweep.expired && state.open => {
                let message = format!("pull request {number}, which holds the environment {name}, is open again");
                denied(Reason::PullRequestSuperseded, message)
            }
            Some(_) => continue,
        };
        return Some(Some(denied));
    }
    Some(None)
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
        Cause::PullRequest { .. } | Cause::Run { .. } => pull_request.updated_at,
    }
}
