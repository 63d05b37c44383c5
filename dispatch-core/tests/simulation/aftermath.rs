//! What is promised once faults stop and everything has come to rest.

use std::collections::{BTreeMap, BTreeSet};

use dispatch_core::chain::Place;
use dispatch_core::delivery::{Delivery, DeliveryKey, DeliveryState};
use dispatch_core::dispatch::{Dispatch, DispatchKey, DispatchState};
use dispatch_core::environment::Environment;
use dispatch_core::event::EventKind;
use dispatch_core::name::{DeliveryId, RunId};
use dispatch_core::policy::Start;
use dispatch_core::ports::store::{Record, StorePort};
use dispatch_core::testing::world::DeliveryRecord;
use futures_util::FutureExt;

use crate::agreements::{Agreement, WORKFLOWS};
use crate::invariants;
use crate::observed::Observed;
use crate::sim::Sim;

/// Everything that the store holds at the end.
pub(crate) struct Records {
    pub(crate) deliveries: Vec<Delivery>,
    pub(crate) dispatches: Vec<Dispatch>,
    runs: BTreeMap<RunId, DispatchKey>,
    pub(crate) environments: Vec<Environment>,
    waiting: Vec<String>,
    revocations: BTreeSet<DeliveryKey>,
}

impl Records {
    pub(crate) fn of(sim: &Sim) -> Self {
        let mut records = Self {
            deliveries: vec![],
            dispatches: vec![],
            runs: BTreeMap::new(),
            environments: vec![],
            waiting: vec![],
            revocations: BTreeSet::new(),
        };
        for record in sim.store.records() {
            if record.work().is_some() {
                records.waiting.push(record.key().to_string());
            }
            match record {
                Record::Delivery(delivery) => records.deliveries.push(*delivery),
                Record::Dispatch(dispatch) => records.dispatches.push(*dispatch),
                Record::Environment(environment) => records.environments.push(*environment),
                Record::Run(run, record) => _ = records.runs.insert(run, record.dispatch),
                Record::Revocation(revocation) => _ = records.revocations.insert(revocation.key),
                _ => {}
            }
        }
        records
    }

    /// How many dispatches are parked because looking could not tell.
    pub(crate) fn unknown(&self) -> usize {
        self.dispatches.iter().filter(|dispatch| matches!(dispatch.state, DispatchState::Unknown { .. })).count()
    }
}

/// The first promise that was not kept.
pub(crate) fn check(sim: &Sim, records: &Records) -> Result<(), String> {
    let observed = sim.observed();
    nothing_waits(records)?;
    nothing_is_lost(records, &observed)?;
    every_dispatch_tells_the_truth(records, &observed)?;
    what_is_agreed_happens(records, &observed)?;
    issues_are_few(&observed)?;
    drop(observed);
    what_failed_came_again(sim)?;
    tokens_are_narrow(sim)
}

/// Promise 2: everything is in a final state.
fn nothing_waits(records: &Records) -> Result<(), String> {
    if !records.waiting.is_empty() {
        return Err(format!("nothing waits for ever: {:?} still wait", records.waiting));
    }
    for delivery in &records.deliveries {
        if matches!(delivery.state, DeliveryState::Received) {
            return Err(format!("the delivery {} is in no final state", delivery.key));
        }
    }
    for dispatch in &records.dispatches {
        let open = matches!(
            dispatch.state,
            DispatchState::Ready
                | DispatchState::Calling { .. }
                | DispatchState::Started { .. }
                | DispatchState::InDoubt { .. }
        );
        if open {
            return Err(format!("the dispatch {} is in no final state: {:?}", dispatch.key, dispatch.state));
        }
    }
    Ok(())
}

/// Promise 2: what was answered with 202 is there.
fn nothing_is_lost(records: &Records, observed: &Observed) -> Result<(), String> {
    let known: BTreeSet<_> = records.deliveries.iter().map(|delivery| &delivery.key).collect();
    let is_lost = |key: &&DeliveryKey| !known.contains(key) && !records.revocations.contains(key);
    let lost: Vec<_> = observed.accepted.iter().filter(is_lost).collect();
    if !lost.is_empty() {
        return Err(format!("nothing is lost: {lost:?} were answered with 202"));
    }
    Ok(())
}

/// Promise 3: what is said to have been done was done, what is said not to have been done was not.
fn every_dispatch_tells_the_truth(records: &Records, observed: &Observed) -> Result<(), String> {
    let mut claimed = BTreeMap::new();
    for Dispatch { key, state, .. } in &records.dispatches {
        let effects = observed.effects.get(key).map(Vec::as_slice).unwrap_or_default();
        let lie = match state {
            DispatchState::Triggered { run } => {
                if let Some(run) = run
                    && let Some(other) = claimed.insert(run.id, key)
                {
                    return Err(format!("run {} is said to be of {key} and of {other}", run.id));
                }
                // Runs of calls that were in doubt together cannot be told apart: but each is one of theirs.
                let theirs = |run: RunId| {
                    observed.effects.iter().any(|(other, effects)| {
                        other.target == key.target && effects.iter().flatten().any(|started| *started == run)
                    })
                };
                effects.is_empty() || run.as_ref().is_some_and(|run| !theirs(run.id))
            }
            DispatchState::Refused { .. } | DispatchState::Failed { .. } | DispatchState::Cancelled { .. } => {
                !effects.is_empty()
            }
            _ => false,
        };
        if lie {
            return Err(format!("the truth: {key} is {state:?}, and what it started is {effects:?}"));
        }
    }
    for (run, dispatch) in &records.runs {
        if !observed.effects.contains_key(dispatch) {
            return Err(format!("run {run} is recorded for {dispatch}, which never started anything"));
        }
    }
    let stored: BTreeSet<_> = records.dispatches.iter().map(|dispatch| &dispatch.key).collect();
    match observed.effects.keys().find(|key| !stored.contains(key)) {
        Some(unknown) => Err(format!("{unknown} started something, and nobody knows")),
        None => Ok(()),
    }
}

/// Denial is the default, but not the only answer: what both sides always agreed on was dispatched, or is parked where
/// somebody sees it.
fn what_is_agreed_happens(records: &Records, observed: &Observed) -> Result<(), String> {
    let stored: BTreeMap<_, _> = records.dispatches.iter().map(|dispatch| (&dispatch.key, &dispatch.state)).collect();
    for delivery in &records.deliveries {
        let EventKind::WorkflowRun(run) = &delivery.event.kind else { continue };
        // Later attempts may be superseded, and what was started here may be at the end of its chain.
        let Some(ended) = observed.ended.get(&(run.id, 1)).filter(|_| run.attempt == 1) else { continue };
        if !ended.eligible || matches!(delivery.state, DeliveryState::Parked { .. }) {
            continue;
        }
        let source = (ended.repository, WORKFLOWS.into_iter().find(|known| *known == ended.workflow).unwrap());
        for (position, repository) in observed.agreements.repositories.iter().enumerate() {
            for workflow in WORKFLOWS {
                let agreement = Agreement { source, target: (position, workflow) };
                if agreement.source == agreement.target || !observed.agreements.always_agreed(&agreement) {
                    continue;
                }
                let start = Start::Workflow(workflow.parse().unwrap());
                let target = Place { repository: repository.clone(), start };
                let key = DispatchKey { event: delivery.event.identity(), target };
                let too_old =
                    delivery.received_at > ended.at + dispatch_core::pipeline::Pipeline::DEFAULT_MAX_EVENT_AGE;
                match stored.get(&key) {
                    Some(DispatchState::Triggered { .. }) => {}
                    Some(state) if state.is_parked() => {}
                    _ if too_old => {}
                    other => return Err(format!("{key} was agreed on all the time, and is {other:?}")),
                }
                assert_eq!(invariants::event(&key), (run.id, 1));
            }
        }
    }
    Ok(())
}

/// One issue tells of a workflow's failures, however often they were told, and whatever answer was lost.
fn issues_are_few(observed: &Observed) -> Result<(), String> {
    let mut open = BTreeSet::new();
    let twice = observed.issues.iter().find(|issue| issue.open && !open.insert((issue.repository, &issue.title)));
    twice.map_or(Ok(()), |issue| Err(format!("one issue: there are two of {:?}", issue.title)))
}

/// Promise 2: what GitHub could not deliver was asked for again until it came. Where only the answer was lost, it is stored
/// although GitHub shows it as failed. What means nothing here is not stored, and the log may have forgotten that it came.
pub(crate) fn what_failed_came_again(sim: &Sim) -> Result<(), String> {
    let world = sim.world();
    let came: BTreeSet<_> =
        world.deliveries().filter(|record| record.status == "OK").map(|record| &record.webhook.delivery).collect();
    let is_stored = |id: &DeliveryId| !sim.store.deliveries(id).now_or_never().unwrap().unwrap().is_empty();
    let matters = |record: &&DeliveryRecord| {
        let webhook = &record.webhook;
        match (webhook.event.as_str(), webhook.action.as_deref()) {
            ("push", _) | ("workflow_run", Some("completed")) => true,
            ("pull_request", Some(action)) => ["opened", "synchronize", "reopened", "closed"].contains(&action),
            _ => false,
        }
    };
    let failed = world.deliveries().filter(|record| !came.contains(&record.webhook.delivery));
    let mut failed = failed.filter(matters);
    match failed.find(|record| !is_stored(&record.webhook.delivery)) {
        Some(DeliveryRecord { delivered_at, webhook, .. }) => {
            Err(format!("nothing is lost: {} {} of {delivered_at} never came", webhook.event, webhook.delivery))
        }
        None => Ok(()),
    }
}

/// Promise 5: every token is for one repository and one permission, and touches nothing else.
fn tokens_are_narrow(sim: &Sim) -> Result<(), String> {
    let world = sim.world();
    for request in world.requests() {
        let (Some(permissions), "installation") = (&request.permissions, request.caller) else { continue };
        // What a person may do is told to whoever may see the repository at all.
        let one_permission = permissions.keys().filter(|name| *name != "metadata").count() <= 1;
        let one_repository = match request.repositories.as_deref() {
            Some([repository]) => request.path.starts_with(&format!("/repos/{repository}/")),
            _ => false,
        };
        // A repository that was taken out of the installation since is not among those of the token any more.
        let none_left = request.repositories.as_deref() == Some(&[]);
        if !one_permission || !(one_repository || none_left) {
            return Err(format!("least privilege: {request:?}"));
        }
    }
    Ok(())
}
