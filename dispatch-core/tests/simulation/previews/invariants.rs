//! What is promised about pull requests and their environments, at the very moment of an effect.

use std::time::Duration;

use dispatch_core::Timestamp;
use dispatch_core::dispatch::{Dispatch, DispatchKey, DispatchState};
use dispatch_core::event::EventIdentity;
use dispatch_core::name::{Repository, RunId};
use dispatch_core::ports::store::{Record, RecordKey, StorePort};
use futures_util::FutureExt;
use serde_json::Value;

use super::{Action, Previews, SHARED, TTL};
use crate::invariants::CONSENT_HOLDS_FOR;
use crate::sim::Sim;

/// A job on a runner of GitHub ends after 6 hours at the latest: nobody waits longer.
const ACTIONS_END_WITHIN: Duration = Duration::from_secs(6 * 60 * 60);

/// An event as GitHub made it.
pub(crate) struct Made {
    pub(crate) repository: Repository,
    pub(crate) event: String,
    pub(crate) payload: Value,
    pub(crate) runs: Vec<RunId>,
}

/// When the decision was made by which a call was sent: it holds for a minute, by clocks that may be wrong.
#[derive(Clone, Copy)]
struct Decided {
    from: Timestamp,
    to: Timestamp,
}

/// An event was made by a call that was sent then.
pub(crate) fn on_event(sim: &Sim, dispatch: &DispatchKey, made: Made, sent_at: Timestamp) {
    let tolerance = CONSENT_HOLDS_FOR + sim.weather.clock_error * 2;
    let decided = Decided { from: sent_at.checked_sub(tolerance).unwrap(), to: sent_at };
    let text = |name: &str| made.payload[name].as_str().unwrap_or_default().to_owned();
    let action = Action {
        dispatch: dispatch.clone(),
        creates: made.event == "env-up",
        name: text("name"),
        pull_request: text("pr").parse().unwrap_or(0),
        sha: text("sha"),
        sent_at,
        at: sim.now(),
    };
    let busy = earlier_action(sim, &action);
    let mut observed = sim.observed();
    let observed = &mut *observed;
    let effects = observed.effects.entry(dispatch.clone()).or_default();
    effects.push(made.runs.clone());
    let count = effects.len();
    let previews = observed.previews.as_mut().unwrap();
    let right_place = made.repository == previews.target
        && dispatch.target.repository == made.repository
        && dispatch.target.start.as_str() == made.event;
    let broken = if count > 1 {
        Some(format!("at most once: {dispatch} made {count} events"))
    } else if !right_place {
        Some(format!("the right thing: {dispatch} made {} in {}", made.event, made.repository))
    } else if let Some(earlier) = busy {
        Some(format!("one action at a time: {dispatch} acts on {} while {earlier}", action.name))
    } else {
        agreed(previews, decided).or_else(|| caused(previews, &dispatch.event, &made.event, &action, decided))
    };
    previews.actions.push(action);
    if let Some(broken) = broken {
        observed.breaks(|| format!("{broken}, sent at {sent_at}: {dispatch}"));
    }
}

fn agreed(previews: &Previews, Decided { from, to }: Decided) -> Option<String> {
    let agreed = previews.source_agrees.was(true, from, to) && previews.target_agrees.was(true, from, to);
    (!agreed).then(|| "consent: nobody had agreed within the minute before".to_owned())
}

/// Whether what caused it may cause it.
fn caused(
    previews: &Previews,
    identity: &EventIdentity,
    event: &str,
    action: &Action,
    decided: Decided,
) -> Option<String> {
    let Some(pull) = previews.pull_requests.get(&action.pull_request) else {
        return Some(format!("there is no pull request {}", action.pull_request));
    };
    if pull.fork && !previews.setup.forks {
        return Some("consent: nobody accepts forks".to_owned());
    }
    let own = format!("pr-{}", action.pull_request);
    if action.name != own && !(previews.setup.shared && action.name == SHARED) {
        return Some(format!("pull request {} has no environment {}", action.pull_request, action.name));
    }
    let parts: Vec<&str> = identity.as_str().splitn(5, ':').collect();
    match parts.as_slice() {
        ["pull_request", _, number, what, _] => {
            let meant = if *what == "closed" { "env-closed" } else { "env-up" };
            let right = event == meant && **number == action.pull_request.to_string() && identity_has(identity, action);
            (!right).then(|| format!("the right thing: {} made {event} of {action:?}", identity.as_str()))
        }
        ["command", _, comment] => given(previews, comment, event, action, pull.fork, decided),
        ["check_run", _, check] => {
            let pressed = previews.pressed.get(&check.parse().unwrap()).map(Vec::as_slice).unwrap_or_default();
            let may = pressed.iter().any(|who| previews.writes[who].was(true, decided.from, decided.to));
            (!may).then(|| format!("permission: {pressed:?} wanted it again"))
        }
        ["sweep", ..] => swept(previews, event, action, decided),
        other => Some(format!("nobody knows the event {other:?}")),
    }
}

fn identity_has(identity: &EventIdentity, action: &Action) -> bool {
    identity.as_str().contains(&format!(":{}:", action.sha))
}

/// A command: its comment as it was written, who wrote it, and the commit that he saw.
fn given(
    previews: &Previews,
    comment: &str,
    event: &str,
    action: &Action,
    fork: bool,
    decided: Decided,
) -> Option<String> {
    let Some(given) = previews.comments.get(&comment.parse().unwrap()) else {
        return Some(format!("there is no comment {comment}"));
    };
    let mut words = given.text.lines().next().unwrap_or_default().split(' ');
    let meant = match words.next() {
        Some("/up") => "env-up",
        Some("/down") => "env-down",
        _ => return Some(format!("no command: {given:?}")),
    };
    if meant != event || given.pull_request != action.pull_request {
        return Some(format!("the right thing: {given:?} made {event} of {action:?}"));
    }
    if !previews.writes[given.by].was(true, decided.from, decided.to) {
        return Some(format!("permission: {given:?}"));
    }
    let right = match words.next() {
        Some(sha) => sha == action.sha,
        None => !fork && given.head.as_str() == action.sha,
    };
    (!right).then(|| format!("the commit: {given:?} was done with {}", action.sha))
}

/// What nobody wanted: only where every pull request that wanted it is closed, or its time is over and no label keeps it.
fn swept(previews: &Previews, event: &str, action: &Action, decided: Decided) -> Option<String> {
    if event != "env-closed" {
        return Some(format!("a sweep made {event}"));
    }
    let of_it: Vec<&Action> = previews.actions.iter().filter(|other| other.name == action.name).collect();
    let newest = of_it.last().map(|other| other.at);
    // Whoever wanted it since it was destroyed last.
    let wanted_by = of_it.rsplit(|other| !other.creates).next().unwrap_or_default();
    // Who was closed since then does not hold it any more, and may be open again for another one.
    let open = |other: &&&Action| {
        let since = other.at.min(decided.from);
        !previews.pull_requests[&other.pull_request].open.was(false, since, decided.to)
    };
    let open: Vec<u64> = wanted_by.iter().filter(open).map(|other| other.pull_request).collect();
    if open.is_empty() {
        return None;
    }
    let is_over = previews.setup.ttl && newest.is_some_and(|newest| decided.to >= newest + TTL);
    let kept = |number: &u64| !previews.pull_requests[number].kept.was(false, decided.from, decided.to);
    if is_over && !open.iter().any(kept) {
        return None;
    }
    Some(format!("a sweep destroys {} although {open:?} are open", action.name))
}

/// An earlier action on the same environment that is known not to have ended.
fn earlier_action(sim: &Sim, action: &Action) -> Option<String> {
    let earlier: Vec<Action> = {
        let observed = sim.observed();
        let of_it = |other: &&Action| other.name == action.name && other.dispatch != action.dispatch;
        observed.previews.as_ref().unwrap().actions.iter().filter(of_it).cloned().collect()
    };
    let tolerance = CONSENT_HOLDS_FOR + sim.weather.clock_error * 2;
    let waits = |other: &&Action| action.sent_at + tolerance < other.sent_at + ACTIONS_END_WITHIN;
    earlier.iter().filter(waits).find_map(|other| {
        let is_open = match stored(sim, &other.dispatch)?.state {
            DispatchState::Calling { .. } | DispatchState::Started { .. } | DispatchState::InDoubt { .. } => true,
            DispatchState::Triggered { run: Some(run) } => {
                sim.world().runs().any(|known| known.id == run.id && known.conclusion.is_none())
            }
            _ => false,
        };
        is_open.then(|| format!("{} of {} goes on", other.dispatch, other.sent_at))
    })
}

pub(crate) fn stored(sim: &Sim, key: &DispatchKey) -> Option<Dispatch> {
    let loaded = sim.store.load(&[RecordKey::Dispatch(key.clone())]).now_or_never().unwrap().unwrap();
    match loaded.into_iter().next().flatten()?.record {
        Record::Dispatch(dispatch) => Some(*dispatch),
        _ => None,
    }
}
