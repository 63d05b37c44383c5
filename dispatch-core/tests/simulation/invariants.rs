//! What is promised, checked at the very moment of an effect, by rules that share nothing with the decision.

use std::time::Duration;

use dispatch_core::Timestamp;
use dispatch_core::dispatch::DispatchKey;
use dispatch_core::event::Conclusion;
use dispatch_core::guardrail::Guardrails;
use dispatch_core::name::RunId;
use dispatch_core::pipeline::Pipeline;
use dispatch_core::policy::Start;
use dispatch_core::ports::store::{Record, RecordKey, StorePort};
use dispatch_core::testing::world::StartedDispatch;
use futures_util::FutureExt;

use crate::agreements::{Agreement, INPUT, WORKFLOWS};
use crate::observed::{Ended, Observed, Way};
use crate::sim::Sim;

/// How long before a call was sent both sides may have agreed last.
pub(crate) const CONSENT_HOLDS_FOR: Duration = Duration::from_secs(60);
/// What `DISPATCH_MAX_CHAIN_DEPTH` is here.
const MAX_CHAIN_DEPTH: usize = 8;

/// Something was started by a call that was sent then.
pub(crate) fn on_effect(sim: &Sim, dispatch: &DispatchKey, started: StartedDispatch, sent_at: Timestamp) {
    let event = event(dispatch);
    let (ended, recorded) = (ended(sim, event), recorded(sim, event.0));
    let mut observed = sim.observed();
    let observed = &mut *observed;
    let effects = observed.effects.entry(dispatch.clone()).or_default();
    effects.push(vec![started.run]);
    if effects.len() > 1 {
        let runs = effects.clone();
        observed.breaks(|| format!("at most once: {dispatch} started {runs:?}"));
    }
    let right_place = started.repository == dispatch.target.repository
        && matches!(&dispatch.target.start, Start::Workflow(workflow) if workflow.as_str() == started.workflow);
    if !right_place || started.inputs.get(INPUT) != Some(&event.0.to_string()) {
        observed.breaks(|| format!("the right thing: {dispatch} started {started:?}"));
    }
    match ended {
        Some(ended) => {
            on_consent(sim, observed, dispatch, &started, &ended, sent_at);
            on_chain(observed, dispatch, event, recorded.as_ref(), &ended, &started);
        }
        None => observed.breaks(|| format!("{dispatch} follows from a run that never ended")),
    }
}

/// Promise 1: both sides agreed within the minute before the call was sent, and the run was one that may start something.
fn on_consent(
    sim: &Sim,
    observed: &mut Observed,
    dispatch: &DispatchKey,
    started: &StartedDispatch,
    ended: &Ended,
    sent_at: Timestamp,
) {
    // A clock that is wrong can make a decision look younger than it is.
    let tolerance = sim.weather.clock_error * 2;
    let from = sent_at.checked_sub(CONSENT_HOLDS_FOR + tolerance).unwrap();
    let target = observed.agreements.position(&started.repository).unwrap();
    let workflow = |file: &str| WORKFLOWS.into_iter().find(|known| *known == file).unwrap();
    let source = (ended.repository, workflow(&ended.workflow));
    let agreement = Agreement { source, target: (target, workflow(&started.workflow)) };
    if !observed.agreements.agreed(&agreement, from, sent_at) {
        observed.breaks(|| format!("consent: {dispatch} was called at {sent_at}, and nobody had agreed since {from}"));
    }
    if !ended.eligible {
        observed.breaks(|| format!("{dispatch} was called for a run that may not start anything: {ended:?}"));
    }
    if sent_at > ended.at + Pipeline::DEFAULT_MAX_EVENT_AGE + CONSENT_HOLDS_FOR + tolerance {
        observed.breaks(|| format!("{dispatch} was called at {sent_at} for a run that ended at {}", ended.at));
    }
}

/// Promise 4: no way comes back to where it has been, and every way and every root has an end.
///
/// Calls of one target that were in doubt at the same time, or that an Enterprise Server did not tell the run of, cannot
/// be told apart. So a run belongs to the dispatch that it is recorded for, which had a run of that target too.
fn on_chain(
    observed: &mut Observed,
    dispatch: &DispatchKey,
    event: (RunId, u32),
    recorded: Option<&DispatchKey>,
    ended: &Ended,
    started: &StartedDispatch,
) {
    if recorded.is_none() && observed.ours.contains(&event.0) {
        observed.breaks(|| format!("own events: {dispatch} follows from a run of ours, and nobody knows its chain"));
    }
    let before = recorded.and_then(|recorded| observed.ways.get(recorded)).cloned();
    let before = before.unwrap_or(Way { root: event, spots: vec![(ended.repository, ended.workflow.clone())] });
    let target = observed.agreements.position(&started.repository).unwrap();
    let spot = (target, started.workflow.clone());
    if before.spots.contains(&spot) {
        observed.breaks(|| format!("no loops: {before:?} came back to {spot:?}"));
    }
    if before.spots.len() > MAX_CHAIN_DEPTH {
        observed.breaks(|| format!("chains end: {before:?} went on to {spot:?}"));
    }
    let followed = observed.followed.entry(before.root).or_default();
    *followed += 1;
    let count = *followed;
    if count > Guardrails::ROOT_BUDGET {
        observed.breaks(|| format!("budget: {count} runs followed from {:?}", before.root));
    }
    let mut way = before;
    way.spots.push(spot);
    observed.ours.insert(started.run);
    observed.ways.insert(dispatch.clone(), way);
}

/// The dispatch that a run is recorded for, if it is.
fn recorded(sim: &Sim, run: RunId) -> Option<DispatchKey> {
    let loaded = sim.store.load(&[RecordKey::Run(run)]).now_or_never().unwrap().unwrap();
    match loaded.into_iter().next().flatten()?.record {
        Record::Run(_, run) => Some(run.dispatch),
        _ => None,
    }
}

/// The run and the attempt that a dispatch follows from, as its key says.
pub(crate) fn event(dispatch: &DispatchKey) -> (RunId, u32) {
    let mut parts = dispatch.event.as_str().split(':').skip(2);
    let mut number = || parts.next().unwrap().parse::<u64>().unwrap();
    (RunId(number()), u32::try_from(number()).unwrap())
}

/// How that run ended: as people let it end, or by itself, where it was started here.
fn ended(sim: &Sim, (run, attempt): (RunId, u32)) -> Option<Ended> {
    if let Some(ended) = sim.observed().ended.get(&(run, attempt)) {
        return Some(ended.clone());
    }
    let run = sim.world().runs().find(|known| known.id == run && known.attempt == attempt).cloned()?;
    let conclusion = run.conclusion?;
    let repository = sim.observed().agreements.position(&run.repository)?;
    let eligible = conclusion == Conclusion::Success && run.head_branch == "main";
    Some(Ended { repository, workflow: run.workflow, at: run.updated_at, eligible })
}
