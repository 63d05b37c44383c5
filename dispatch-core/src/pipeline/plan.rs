//! Stage 2: from a delivery to its plan.

use std::collections::BTreeSet;

use super::lookup::LookupError;
use super::{Pipeline, Planned};
use crate::Timestamp;
use crate::chain::Place;
use crate::decide::{Decision, LaneKey, Plan};
use crate::delivery::{Delivery, DeliveryState};
use crate::dispatch::{Dispatch, DispatchKey, DispatchSource, DispatchState};
use crate::event::{Event, EventKind};
use crate::fact::{Fact, FactBody, Subject};
use crate::policy::Start;
use crate::ports::GitHubError;
use crate::ports::store::{Commit, Record, RecordKey, StoreError, Write};

impl Pipeline {
    /// Stage 2: reads what the decision needs, decides, and stores the plan. `version` is the delivery's version as it was
    /// claimed.
    ///
    /// What cannot be read now is never taken for absent: the delivery waits, until it is too old to be wanted.
    ///
    /// # Errors
    /// [`StoreError`]; nothing was stored, and the delivery comes back when its lease ends.
    pub async fn plan(&self, delivery: Delivery, version: u64, now: Timestamp) -> Result<Planned, StoreError> {
        match self.decide(&delivery, now).await {
            Ok((plan, _)) => self.store_plan(delivery, version, plan, now).await,
            Err(LookupError::GitHub(error)) => self.put_plan_back(delivery, version, &error, now).await,
            Err(LookupError::Store(error)) => Err(error),
        }
    }

    /// Stores a plan, and claims the keys of its dispatches.
    async fn store_plan(
        &self,
        delivery: Delivery,
        version: u64,
        plan: Plan,
        now: Timestamp,
    ) -> Result<Planned, StoreError> {
        let mut dispatches = dispatches(&delivery, &plan, now);
        let mut already_claimed = Vec::new();
        loop {
            let mut planned = delivery.clone();
            (planned.state, planned.due) = (DeliveryState::Planned, None);
            let body = FactBody::DeliveryPlanned {
                delivery: delivery.summary(),
                plan: plan.clone(),
                already_claimed: already_claimed.clone(),
            };
            let facts = vec![planned.next_fact(now, body)];
            let mut writes = vec![Write { record: Record::Delivery(Box::new(planned)), expected: Some(version) }];
            let new =
                |dispatch: &Dispatch| Write { record: Record::Dispatch(Box::new(dispatch.clone())), expected: None };
            writes.extend(dispatches.iter().map(new));
            match self.store.commit(Commit { writes, facts }).await {
                Ok(()) => return Ok(Planned::Done { plan, dispatches }),
                // Another delivery of the same event was faster. A claimed key stays claimed, so each round has fewer.
                Err(StoreError::Conflict(key @ RecordKey::Dispatch(_))) => {
                    let claimed = self.claimed(&dispatches).await?;
                    if claimed.is_empty() {
                        return Err(StoreError::Conflict(key));
                    }
                    dispatches.retain(|dispatch| !claimed.contains(&dispatch.key));
                    already_claimed.extend(claimed);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Those of the keys that are claimed already.
    async fn claimed(&self, dispatches: &[Dispatch]) -> Result<BTreeSet<DispatchKey>, StoreError> {
        let keys: Vec<_> = dispatches.iter().map(|dispatch| RecordKey::Dispatch(dispatch.key.clone())).collect();
        let loaded = self.store.load(&keys).await?;
        Ok(loaded
            .into_iter()
            .zip(dispatches)
            .filter_map(|(stored, dispatch)| stored.map(|_| dispatch.key.clone()))
            .collect())
    }

    /// Stores that planning has to wait, or that it is given up because asking again would not help.
    async fn put_plan_back(
        &self,
        mut delivery: Delivery,
        version: u64,
        error: &GitHubError,
        now: Timestamp,
    ) -> Result<Planned, StoreError> {
        let message = error.to_string();
        delivery.attempts = delivery.attempts.saturating_add(1);
        let (planned, body) = match self.read_again_at(error, delivery.attempts, now) {
            Some(until) => {
                delivery.due = Some(until);
                let body = FactBody::DeliveryPutBack { delivery: delivery.summary(), until, error: message.clone() };
                (Planned::PutBack { until, error: message }, body)
            }
            None => {
                delivery.due = None;
                delivery.state = DeliveryState::Parked { reason: None, error: message.clone() };
                delivery.parked_at = Some(now);
                let body =
                    FactBody::DeliveryParked { delivery: delivery.summary(), reason: None, error: message.clone() };
                (Planned::Parked { error: message }, body)
            }
        };
        let fact = delivery.next_fact(now, body);
        let write = Write { record: Record::Delivery(Box::new(delivery)), expected: Some(version) };
        self.store.commit(Commit { writes: vec![write], facts: vec![fact] }).await?;
        Ok(planned)
    }

    /// When to read again what could not be read; None where asking again will not help.
    pub(super) fn read_again_at(&self, error: &GitHubError, times: u32, now: Timestamp) -> Option<Timestamp> {
        match error {
            GitHubError::RateLimited { until, .. } => Some(self.retry.after_rate_limit(*until, times, now)),
            // 401 is about the App's own token or key, not about what was asked: the next call makes another token.
            GitHubError::Unavailable(_) | GitHubError::InDoubt(_) | GitHubError::Refused { status: 401, .. } => {
                Some(self.retry.after_failed_read(times, now))
            }
            GitHubError::Refused { .. } | GitHubError::NotInstalled(_) => None,
        }
    }
}

impl Delivery {
    /// The next fact about the delivery.
    pub(super) fn next_fact(&mut self, time: Timestamp, body: FactBody) -> Fact {
        let sequence = self.facts;
        self.facts += 1;
        Fact { subject: Subject { delivery: self.key.clone(), dispatch: None }, sequence, time, body }
    }
}

/// One dispatch for each allowed target.
fn dispatches(delivery: &Delivery, plan: &Plan, now: Timestamp) -> Vec<Dispatch> {
    let event = delivery.event.identity();
    let dispatch = |decision: &Decision| Dispatch {
        key: DispatchKey { event: event.clone(), target: decision.target.clone() },
        delivery: delivery.key.clone(),
        source: DispatchSource {
            repository: delivery.event.repository.id,
            name: delivery.event.repository.name.clone(),
            lane: lane(&delivery.event, &decision.target),
        },
        decision: decision.clone(),
        decided_at: now,
        state: DispatchState::Ready,
        due: Some(now),
        attempts: 0,
        waits: 0,
        doubts: 0,
        parked_at: None,
        facts: 0,
    };
    plan.allowed().map(|(decision, _)| dispatch(decision)).collect()
}

/// The lane of a run that starts something there, and the run's number in it.
fn lane(event: &Event, target: &Place) -> Option<(LaneKey, u64)> {
    let EventKind::WorkflowRun(run) = &event.kind else { return None };
    let (workflow, branch) = (run.workflow.clone()?, run.head_branch.clone());
    let source = Place { repository: event.repository.name.clone(), start: Start::Workflow(workflow) };
    Some((LaneKey { source, branch, target: target.clone() }, run.number))
}
