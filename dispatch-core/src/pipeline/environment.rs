//! What plans, calls and runs write about environments, each into its own commit.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Pipeline;
use super::settle::Step;
use crate::Timestamp;
use crate::decide::{Decision, Known, Plan};
use crate::delivery::{Delivery, DeliveryKey};
use crate::dispatch::{Dispatch, DispatchKey, DispatchState};
use crate::environment::{
    Environment, EnvironmentKey, EnvironmentOrigin, EnvironmentState, EnvironmentUse, Leaves, NotTaken, StepEnd, Turn,
};
use crate::event::EventKind;
use crate::fact::{EnvironmentChange, Fact, FactBody, Subject};
use crate::name::PullRequestNumber;
use crate::ports::github::RepositoryRef;
use crate::ports::store::{Record, RecordKey, StoreError, Stored, Write};
use crate::projection::EnvironmentRow;
use crate::pull_request::{PullRequestKey, PullRequestRecord};
use crate::quote::quote;
use crate::reason::Reason;
use crate::retry::later;

/// How many environments one event changes at most. Each is a record and a fact of the plan's commit, which has a limit.
const MAX_ENVIRONMENTS: usize = 10;
/// How long a dispatch waits for its turn before it asks again. The end of the action before it wakes it up; this is for
/// where nobody does.
const ASKS_AGAIN_AFTER: Duration = Duration::from_secs(5 * 60);
/// Of how many pull requests an environment that is gone is taken from their records in the same commit. The others find out
/// when something happens to them.
const MAX_FORGETTING: usize = 20;

/// What a step writes about environments.
#[derive(Debug, Default)]
pub(super) struct EnvironmentWrites {
    /// The records.
    pub(super) writes: Vec<Write>,
    /// The facts that tell of it.
    pub(super) facts: Vec<Fact>,
}

impl EnvironmentWrites {
    fn change(
        &mut self,
        mut environment: Environment,
        expected: Option<u64>,
        change: EnvironmentChange,
        delivery: &DeliveryKey,
        now: Timestamp,
    ) {
        let row = Box::new(EnvironmentRow::new(&environment));
        let subject = Subject::environment(delivery.clone(), environment.key.clone());
        let body = FactBody::EnvironmentChanged { change, environment: row };
        self.facts.push(Fact { subject, sequence: environment.facts, time: now, body, happened: None });
        environment.facts = environment.facts.saturating_add(1);
        self.writes.push(Write { record: Record::Environment(Box::new(environment)), expected });
    }
}

/// Whether a conflict is about what [`EnvironmentWrites`] hold: then they are to be made again.
pub(super) fn is_about_environments(key: &RecordKey) -> bool {
    matches!(key, RecordKey::Environment(_) | RecordKey::PullRequest(_))
}

/// A record, and its version; None where there is none.
type Versioned<T> = (Option<T>, Option<u64>);

/// The environments that a plan is about, and its pull request, as they are stored.
#[derive(Default)]
pub(super) struct Stage {
    environments: BTreeMap<EnvironmentKey, Versioned<Environment>>,
    pull_request: Option<(PullRequestKey, Versioned<PullRequestRecord>)>,
}

impl Stage {
    /// Tells the decision what is stored, where it was made by something else. Whether it was.
    pub(super) fn correct(&self, known: &mut Known) -> bool {
        let mut corrected = false;
        for (key, (stored, _)) in &self.environments {
            corrected |= known.environments.insert(key.clone(), stored.clone()).as_ref() != Some(stored);
        }
        if let Some((key, (stored, _))) = &self.pull_request {
            corrected |= known.pull_requests.insert(key.number, stored.clone()).as_ref() != Some(stored);
        }
        corrected
    }

    /// Denies what something newer has taken the place of, and what would be too much, and takes it from the dispatches.
    pub(super) fn deny_outdated(&self, delivery: &Delivery, plan: &mut Plan, dispatches: &mut Vec<Dispatch>) {
        let mut changed = Vec::new();
        dispatches.retain(|dispatch| {
            let Some(wish) = wish(dispatch) else { return true };
            let denied = if changed.contains(&wish.key) {
                let message = format!("another target of this event changes the environment {}", quote(&wish.key.name));
                Some((Reason::DuplicateTarget, message))
            } else if changed.len() >= MAX_ENVIRONMENTS {
                let message = format!("one event changes at most {MAX_ENVIRONMENTS} environments");
                Some((Reason::MaxTargetsExceeded, message))
            } else {
                let stored = self.environments.get(&wish.key).and_then(|(stored, _)| stored.clone());
                let wished = Environment::wish(
                    stored,
                    (&source(delivery), &EnvironmentOrigin::of(&delivery.event)),
                    wish,
                    leaves(delivery),
                    &dispatch.key,
                    dispatch.decided_at,
                );
                wished.err().map(|not_taken| denial(not_taken, wish))
            };
            let stays = denied.is_none();
            match denied {
                None => changed.push(wish.key.clone()),
                Some((reason, message)) => plan
                    .decisions
                    .iter_mut()
                    .filter(|decision| decision.target == dispatch.key.target && decision.allowed().is_some())
                    .for_each(|decision| decision.deny(reason, message.clone())),
            }
            stays
        });
    }

    /// What a plan with these dispatches writes.
    pub(super) fn writes(
        self,
        delivery: &Delivery,
        plan: &Plan,
        dispatches: &[Dispatch],
        now: Timestamp,
    ) -> EnvironmentWrites {
        let (mut out, mut after) = (EnvironmentWrites::default(), Vec::new());
        let mut stored = self.environments;
        for dispatch in dispatches {
            let Some(wish) = wish(dispatch) else { continue };
            let Some((before, expected)) = stored.remove(&wish.key) else { continue };
            let from = (&source(delivery), &EnvironmentOrigin::of(&delivery.event));
            let wished = Environment::wish(before, from, wish, leaves(delivery), &dispatch.key, now);
            if let Ok(environment) = wished {
                after.push((wish.key.clone(), environment.concerns(wish.pull_request)));
                out.change(environment, expected, EnvironmentChange::Wanted(wish.action), &delivery.key, now);
            }
        }
        for wish in plan.decisions.iter().filter_map(Decision::denied).filter_map(|denied| denied.releases.as_deref()) {
            let Some((Some(mut environment), expected)) = stored.remove(&wish.key) else { continue };
            if environment.source.id == delivery.event.repository.id && environment.release(wish.pull_request, wish.at)
            {
                after.push((wish.key.clone(), false));
                let change = EnvironmentChange::Released(wish.pull_request);
                out.change(environment, expected, change, &delivery.key, now);
            }
        }
        if let Some((key, (record, expected))) = self.pull_request.filter(|_| !after.is_empty()) {
            let mut record = record.unwrap_or_else(|| PullRequestRecord::new(key, now));
            for (environment, concerns) in after {
                match concerns {
                    true => record.environments.insert(environment),
                    false => record.environments.remove(&environment),
                };
            }
            record.changed_at = now;
            out.writes.push(Write { record: Record::PullRequest(Box::new(record)), expected });
        }
        out
    }
}

/// Whether a dispatch may change its environment now, and the record that says so.
pub(super) enum EnvironmentTurn {
    /// It changes none.
    None,
    /// It may.
    Go(Box<(Environment, u64)>),
    /// Not yet.
    Wait {
        /// When it asks again.
        until: Timestamp,
        /// Why.
        error: String,
    },
    /// Never: why.
    Superseded(String),
}

impl EnvironmentTurn {
    /// Where a dispatch goes that may not begin now.
    pub(super) fn step(&self) -> Option<Step> {
        match self {
            Self::None | Self::Go(_) => None,
            Self::Wait { until, error } => Some(Step::Wait { until: *until, error: error.clone() }),
            Self::Superseded(message) => {
                let (reason, message) = (Reason::PullRequestSuperseded, message.clone());
                Some(Step::To(DispatchState::Cancelled { reason, message }))
            }
        }
    }

    /// When the action ended that the dispatch waited for.
    pub(super) fn came_at(&self, dispatch: &DispatchKey) -> Option<Timestamp> {
        match self {
            Self::Go(found) => found.0.turn_came_at(dispatch),
            Self::None | Self::Wait { .. } | Self::Superseded(_) => None,
        }
    }
}

impl Pipeline {
    /// The environments that a plan is about, as they are stored.
    pub(super) async fn stage(&self, delivery: &Delivery, plan: &Plan) -> Result<Stage, StoreError> {
        let allowed = plan.allowed().filter_map(|(_, allowed)| allowed.environment.as_deref());
        let released =
            plan.decisions.iter().filter_map(Decision::denied).filter_map(|denied| denied.releases.as_deref());
        let uses: BTreeMap<_, _> = allowed.chain(released).map(|wish| (wish.key.clone(), wish)).collect();
        let Some(number) = uses.values().next().map(|wish| wish.pull_request) else { return Ok(Stage::default()) };
        let pull_request = PullRequestKey { repository: delivery.event.repository.id, number };
        let mut keys = vec![RecordKey::PullRequest(pull_request)];
        keys.extend(uses.keys().cloned().map(RecordKey::Environment));
        let mut loaded = self.store.load(&keys).await?.into_iter();
        let record = match loaded.next().flatten() {
            Some(Stored { record: Record::PullRequest(record), version }) => (Some(*record), Some(version)),
            _ => (None, None),
        };
        let environments = uses.into_keys().zip(loaded).map(|(key, stored)| match stored {
            Some(Stored { record: Record::Environment(environment), version }) => {
                (key, (Some(*environment), Some(version)))
            }
            _ => (key, (None, None)),
        });
        Ok(Stage { environments: environments.collect(), pull_request: Some((pull_request, record)) })
    }

    /// Whether a dispatch may change its environment now.
    pub(super) async fn environment_turn(
        &self,
        dispatch: &Dispatch,
        now: Timestamp,
    ) -> Result<EnvironmentTurn, StoreError> {
        let Some(wish) = wish(dispatch) else { return Ok(EnvironmentTurn::None) };
        let name = quote(&wish.key.name);
        let Some((environment, version)) = self.environment(&wish.key).await? else {
            return Ok(EnvironmentTurn::Superseded(format!("nothing is known of the environment {name} any more")));
        };
        Ok(match environment.turn(wish, &dispatch.key, now) {
            Turn::Go => EnvironmentTurn::Go(Box::new((environment, version))),
            Turn::Wait { until } => EnvironmentTurn::Wait {
                until: until.min(later(now, ASKS_AGAIN_AFTER)),
                error: format!("another run changes the environment {name}, and they take turns"),
            },
            Turn::Superseded => {
                EnvironmentTurn::Superseded(format!("something newer was wanted of the environment {name}"))
            }
        })
    }

    /// What the call of a dispatch writes as it begins.
    pub(super) fn environment_begins(
        &self,
        dispatch: &Dispatch,
        turn: EnvironmentTurn,
        now: Timestamp,
    ) -> EnvironmentWrites {
        let mut out = EnvironmentWrites::default();
        if let (EnvironmentTurn::Go(found), Some(wish)) = (turn, wish(dispatch)) {
            let (mut environment, version) = *found;
            environment.begin(wish, &dispatch.key, now);
            out.change(environment, Some(version), EnvironmentChange::Began(wish.action), &dispatch.delivery, now);
        }
        out
    }

    /// What is written about a dispatch's environment when its action ended: into the commit that says so. Nothing where it
    /// has none, or is not the one whose action is under way. Whoever commits it makes it again after a conflict
    /// [about environments](is_about_environments) or about another dispatch, which is the one that is woken up.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub(super) async fn environment_ends(
        &self,
        dispatch: &Dispatch,
        end: StepEnd,
        now: Timestamp,
    ) -> Result<EnvironmentWrites, StoreError> {
        let mut out = EnvironmentWrites::default();
        let Some(wish) = wish(dispatch) else { return Ok(out) };
        let Some((mut environment, version)) = self.environment(&wish.key).await? else { return Ok(out) };
        let leaving = environment.leaving.clone();
        if !environment.end(&dispatch.key, end, now) {
            return Ok(out);
        }
        if environment.state == EnvironmentState::Destroyed || environment.leaving.is_empty() {
            let gone = leaving.iter().filter(|number| !environment.concerns(**number)).copied();
            let gone: Vec<_> = gone.take(MAX_FORGETTING).collect();
            out.writes = self.forget_environment(&environment, &gone, now).await?;
        }
        if let Some(next) = environment.wanted.as_ref().filter(|step| step.dispatch != dispatch.key) {
            out.writes.extend(self.wake(&next.dispatch, now).await?);
        }
        out.change(environment, Some(version), EnvironmentChange::Ended(end), &dispatch.delivery, now);
        Ok(out)
    }

    /// An environment as it is stored, and its version.
    pub(super) async fn environment(&self, key: &EnvironmentKey) -> Result<Option<(Environment, u64)>, StoreError> {
        let loaded = self.store.load(&[RecordKey::Environment(key.clone())]).await?.into_iter().next().flatten();
        Ok(loaded.and_then(|Stored { record, version }| match record {
            Record::Environment(environment) => Some((*environment, version)),
            _ => None,
        }))
    }

    /// Takes an environment from the records of pull requests that do not hold it any more.
    async fn forget_environment(
        &self,
        environment: &Environment,
        numbers: &[PullRequestNumber],
        now: Timestamp,
    ) -> Result<Vec<Write>, StoreError> {
        let repository = environment.source.id;
        let keys: Vec<_> = numbers
            .iter()
            .map(|number| RecordKey::PullRequest(PullRequestKey { repository, number: *number }))
            .collect();
        let loaded = self.store.load(&keys).await?;
        let forget = |stored: Stored| match stored.record {
            Record::PullRequest(mut record) => {
                record.changed_at = now;
                let held = record.environments.remove(&environment.key);
                held.then_some(Write { record: Record::PullRequest(record), expected: Some(stored.version) })
            }
            _ => None,
        };
        Ok(loaded.into_iter().flatten().filter_map(forget).collect())
    }

    /// Makes a dispatch that waits for its turn due.
    async fn wake(&self, key: &DispatchKey, now: Timestamp) -> Result<Option<Write>, StoreError> {
        let loaded = self.store.load(&[RecordKey::Dispatch(key.clone())]).await?.into_iter().next().flatten();
        Ok(loaded.and_then(|Stored { record, version }| match record {
            Record::Dispatch(mut dispatch) if dispatch.state == DispatchState::Ready && dispatch.due > Some(now) => {
                dispatch.due = Some(now);
                Some(Write { record: Record::Dispatch(dispatch), expected: Some(version) })
            }
            _ => None,
        }))
    }
}

/// How the action of a dispatch ended that goes from one state to another. None: it goes on, or has not begun.
pub(super) fn ends(before: &DispatchState, after: &DispatchState) -> Option<StepEnd> {
    let called =
        matches!(before, DispatchState::Calling { .. } | DispatchState::Started { .. } | DispatchState::InDoubt { .. });
    match after {
        DispatchState::Ready => called.then_some(StepEnd::PutBack),
        DispatchState::Triggered { run: None } | DispatchState::Unknown { .. } => Some(StepEnd::Unseen),
        DispatchState::Refused { .. }
        | DispatchState::Cancelled { .. }
        | DispatchState::Failed { .. }
        | DispatchState::Dropped => Some(StepEnd::NotDone),
        DispatchState::Triggered { run: Some(_) }
        | DispatchState::Calling { .. }
        | DispatchState::Started { .. }
        | DispatchState::InDoubt { .. } => None,
    }
}

/// What a dispatch does to an environment.
fn wish(dispatch: &Dispatch) -> Option<&EnvironmentUse> {
    dispatch.decision.allowed()?.environment.as_deref()
}

fn source(delivery: &Delivery) -> RepositoryRef {
    let repository = &delivery.event.repository;
    RepositoryRef { id: repository.id, name: repository.name.clone() }
}

fn leaves(delivery: &Delivery) -> Leaves {
    match &delivery.event.kind {
        EventKind::PullRequest(pull_request) if pull_request.sweep.as_ref().is_some_and(|sweep| sweep.expired) => {
            Leaves::Everybody
        }
        _ => Leaves::ThePullRequest,
    }
}

fn denial(not_taken: NotTaken, wish: &EnvironmentUse) -> (Reason, String) {
    let (name, number) = (quote(&wish.key.name), wish.pull_request);
    match not_taken {
        NotTaken::NameTaken => {
            (Reason::EnvironmentNameTaken, format!("the environment {name} belongs to another repository"))
        }
        NotTaken::NotHeld => {
            (Reason::EnvironmentNotHeld, format!("pull request {number} does not hold the environment {name}"))
        }
        NotTaken::StillHeld => {
            (Reason::EnvironmentStillHeld, format!("other pull requests hold the environment {name}"))
        }
        NotTaken::Superseded => {
            let message = format!("something newer was wanted of the environment {name} for pull request {number}");
            (Reason::PullRequestSuperseded, message)
        }
    }
}
