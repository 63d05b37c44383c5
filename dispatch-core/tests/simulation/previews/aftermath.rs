//! What is promised about environments, checks and comments once faults stop and everything has come to rest.

use std::collections::{BTreeMap, BTreeSet};

use dispatch_core::delivery::DeliveryState;
use dispatch_core::dispatch::{Dispatch, DispatchState};
use dispatch_core::environment::{Environment, EnvironmentState};
use dispatch_core::event::{Conclusion, EventKind};
use dispatch_core::name::{CheckId, PullRequestNumber};
use dispatch_core::policy::Channel;
use dispatch_core::testing::world::CheckRun;

use super::{Action, Previews};
use crate::aftermath::Records;
use crate::sim::Sim;

/// The first promise that was not kept.
pub(crate) fn check(sim: &Sim, records: &Records) -> Result<(), String> {
    checks_tell_the_truth(sim, records)?;
    let observed = sim.observed();
    let Some(previews) = &observed.previews else { return Ok(()) };
    comments_are_few(sim, previews)?;
    let mut actions: BTreeMap<&str, Vec<&Action>> = BTreeMap::new();
    for action in &previews.actions {
        actions.entry(&action.name).or_default().push(action);
    }
    let known: BTreeMap<&str, &Environment> =
        records.environments.iter().map(|environment| (environment.key.name.as_str(), environment)).collect();
    for (name, actions) in &actions {
        let Some(environment) = known.get(name) else {
            return Err(format!("the environment {name} was acted on, and nobody knows it"));
        };
        the_record_tells_the_truth(environment, actions)?;
        the_closed_is_gone(previews, records, environment, actions)?;
    }
    match known.values().find(|environment| !actions.contains_key(environment.key.name.as_str())) {
        Some(other) if other.state == EnvironmentState::Live => {
            Err(format!("the truth: {} is live, and nobody made it", other.key.name))
        }
        _ => the_open_is_there(previews, records),
    }
}

/// What is said to be there was made last, and what is said to be gone was destroyed last.
fn the_record_tells_the_truth(environment: &Environment, actions: &[&Action]) -> Result<(), String> {
    let last = actions.last().unwrap();
    let lie = match environment.state {
        EnvironmentState::Live => !last.creates,
        EnvironmentState::Destroyed => last.creates,
        EnvironmentState::Failed => false,
        // Everything has come to rest.
        EnvironmentState::Creating | EnvironmentState::Updating | EnvironmentState::Destroying => true,
    };
    if lie {
        let (name, state) = (&environment.key.name, environment.state);
        return Err(format!(
            "the truth: the environment {name} is {state}, and last there was {last:?}: {environment:?}"
        ));
    }
    Ok(())
}

/// Where all that an environment was made for is closed, it is destroyed, or somebody sees why not.
fn the_closed_is_gone(
    previews: &Previews,
    records: &Records,
    environment: &Environment,
    actions: &[&Action],
) -> Result<(), String> {
    let is_open = |number: u64| previews.pull_requests[&number].open.now();
    // Who holds it need not have made anything of it: somebody else's newer wish did.
    let is_held = environment.holders.iter().any(|holder| is_open(holder.0));
    if environment.state == EnvironmentState::Destroyed
        || is_held
        || actions.iter().any(|action| is_open(action.pull_request))
    {
        return Ok(());
    }
    let agreed = previews.source_agrees.always(true) && previews.target_agrees.always(true);
    let parked = |number| is_parked(records, number);
    if environment.state == EnvironmentState::Failed || !agreed || actions.iter().any(|it| parked(it.pull_request)) {
        return Ok(());
    }
    let (name, state) = (&environment.key.name, environment.state);
    Err(format!("what is closed is gone: {name} is {state}, for {:?}: {environment:?}", environment.holders))
}

/// Where nobody ever minded, an open pull request has its environment as it is now, or somebody sees why not.
fn the_open_is_there(previews: &Previews, records: &Records) -> Result<(), String> {
    let super::Setup { by_command, shared, ttl, forks, .. } = previews.setup;
    let agreed = previews.source_agrees.always(true) && previews.target_agrees.always(true);
    if by_command || shared || ttl || !agreed || !previews.pressed.is_empty() {
        return Ok(());
    }
    for (number, pull) in &previews.pull_requests {
        // Of what is wanted within the same second, to destroy it wins.
        if !pull.open.now() || pull.open.is_hasty() || pull.fork && !forks || is_parked(records, *number) {
            continue;
        }
        let name = format!("pr-{number}");
        let environment = records.environments.iter().find(|environment| environment.key.name.as_str() == name);
        let Some(environment) = environment else {
            return Err(format!("what is open is there: nobody knows {name}"));
        };
        let last = previews.actions.iter().rfind(|action| action.name == name);
        let is_there = environment.state == EnvironmentState::Live && last.is_some_and(|action| action.creates);
        if !is_there && environment.state != EnvironmentState::Failed {
            return Err(format!("what is open is there: {last:?} was last, and {environment:?}"));
        }
    }
    Ok(())
}

/// Whether something about a pull request was given up, where the operator sees it.
fn is_parked(records: &Records, number: u64) -> bool {
    let number = PullRequestNumber(number);
    let about = |kind: &EventKind| match kind {
        EventKind::PullRequest(pull_request) => pull_request.now.number == number,
        EventKind::Command(command) => command.pull_request == number,
        _ => false,
    };
    let deliveries = records.deliveries.iter().filter(|it| matches!(it.state, DeliveryState::Parked { .. }));
    let dispatches = records.dispatches.iter().filter(|it| it.state.is_parked());
    deliveries.map(|delivery| &delivery.event.kind).any(about)
        || dispatches.filter_map(|dispatch| dispatch.source.pull_request).any(|other| other == number)
}

/// There is one check run for each dispatch that is told by one, and it says how it ended.
fn checks_tell_the_truth(sim: &Sim, records: &Records) -> Result<(), String> {
    let world = sim.world();
    let mut shown: BTreeMap<&str, &CheckRun> = BTreeMap::new();
    for check in world.check_runs() {
        let Some(id) = &check.external_id else { return Err(format!("{check:?} is nobody's")) };
        if let Some(other) = shown.insert(id, check) {
            return Err(format!("one check run: {} and {} both tell of {id}", check.id, other.id));
        }
    }
    for dispatch in records.dispatches.iter().filter(|it| it.decision.report.contains(&Channel::Check)) {
        let id = CheckId::of_dispatch(&dispatch.key).unwrap();
        let Some(check) = shown.get(id.as_str()) else {
            if was_always_seen(sim, dispatch) {
                return Err(format!("results come back: no check run tells of {}: {:?}", dispatch.key, dispatch.state));
            }
            continue;
        };
        let told = (check.status.as_str(), check.conclusion.as_deref());
        let ended = match &dispatch.state {
            DispatchState::Triggered { run: Some(run) } => {
                // The webhook may be lost for good: GitHub's delivery log has an end, too.
                let is_told = records
                    .deliveries
                    .iter()
                    .any(|it| matches!(&it.event.kind, EventKind::WorkflowRun(ended) if ended.id == run.id));
                let run = world.runs().find(|known| known.id == run.id && is_told);
                let conclusion = run.and_then(|run| run.conclusion);
                let succeeded = conclusion == Some(Conclusion::Success);
                conclusion.is_some() && (told.0 != "completed" || succeeded != (told.1 == Some("success")))
            }
            _ => told.0 != "completed" || told.1 == Some("success"),
        };
        if ended && was_always_seen(sim, dispatch) {
            let state = (&dispatch.state, &dispatch.run);
            return Err(format!("results come back: a check run says {told:?} of {}: {state:?}", dispatch.key));
        }
    }
    Ok(())
}

/// Whether the App could always see the source: else it could not show there what was to be shown, or was not told.
fn was_always_seen(sim: &Sim, dispatch: &Dispatch) -> bool {
    let observed = sim.observed();
    if observed.previews.as_ref().is_some_and(|previews| previews.source == dispatch.source.name) {
        return observed.previews.as_ref().is_some_and(|previews| previews.target_agrees.always(true));
    }
    // Of runs, the App has to see the target, too.
    observed.agreements.histories.iter().all(|history| history.always_reached())
}

/// One comment tells the results of a pull request, and one what was refused to a person on a day.
fn comments_are_few(sim: &Sim, previews: &Previews) -> Result<(), String> {
    let world = sim.world();
    let bot = world.app().bot();
    let source = world.repositories().find(|state| state.name == previews.source).unwrap();
    let mut seen = BTreeSet::new();
    for comment in source.comments.values().filter(|comment| comment.author == bot) {
        let marker = comment.body.lines().next().unwrap_or_default();
        if !marker.starts_with("<!-- dispatch:") || !seen.insert((comment.issue, marker.to_owned())) {
            return Err(format!("one comment: there are two on {} that say {marker}", comment.issue));
        }
    }
    Ok(())
}
