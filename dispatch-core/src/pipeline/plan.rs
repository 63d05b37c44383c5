//! Stage 2: from a delivery to its plan.

use std::time::Duration;

use super::environment::is_about_environments;
use super::follow::Followed;
use super::lookup::LookupError;
use super::tell::PlanAbout;
use super::{Pipeline, Planned};
use crate::Timestamp;
use crate::chain::Place;
use crate::decide::{Decided, Decision, Known, LaneKey, Plan, Skipped, decide};
use crate::delivery::{Delivery, DeliveryState};
use crate::dispatch::{Dispatch, DispatchKey, DispatchSource, DispatchState};
use crate::environment::EnvironmentKey;
use crate::event::{Event, EventIdentity, EventKind};
use crate::fact::{Fact, FactBody, Subject};
use crate::guardrail::Guardrails;
use crate::policy::Start;
use crate::ports::GitHubError;
use crate::ports::store::{Commit, Record, RecordKey, RootBudget, StoreError, Stored, Write};
use crate::reason::Reason;
use crate::retry::later;

/// How often a plan is tried to be stored, or made again, while other plans of the same chain or event are faster.
const MAX_TRIES: usize = 32;
/// How long a plan waits that others were faster than each time.
const AFTER_CONFLICTS: Duration = Duration::from_secs(1);
/// How many environments an event leaves to its parts at most. What is beyond that is found by the sweep.
const MAX_PARTS: usize = 10;
/// The longest time between two looks for that record.
const LONGEST_LOOK: Duration = Duration::from_secs(30);

impl Pipeline {
    /// Stage 2: reads what the decision needs, decides, and stores the plan. `version` is the delivery's version as it was
    /// claimed.
    ///
    /// What cannot be read now is never taken for absent: the delivery waits, until it is too old to be wanted. Then it is
    /// parked, without a plan; so is one whose plan is more than the store takes. A run that this App caused waits for a
    /// while for the record of the dispatch that it follows from: its webhook may have overtaken it.
    ///
    /// # Errors
    /// [`StoreError`]; nothing was stored, and the delivery comes back when its lease ends.
    pub async fn plan(&self, delivery: Delivery, version: u64, now: Timestamp) -> Result<Planned, StoreError> {
        if let Some(Skipped { reason, message, .. }) = self.too_old(&delivery, now) {
            return self.park_plan(delivery, version, Some(reason), message, now).await;
        }
        let waits = self.may_be_recorded_soon(&delivery, now);
        if waits && matches!(self.follow(&delivery, now).await?, Followed::NotRecorded) {
            return self.wait_for_record(delivery, version, now).await;
        }
        if let EventKind::RunProgress(_) = delivery.event.kind {
            // It tells how far a run got. No rule can be about it.
            return self.store_plan(delivery, version, (Plan::empty(), Known::default()), now).await;
        }
        match self.decide(&delivery, now).await {
            Ok((plan, _)) if waits && is_own(&plan) => self.wait_for_record(delivery, version, now).await,
            Ok(decided) => self.store_plan(delivery, version, decided, now).await,
            Err(LookupError::GitHub(error)) => {
                let attempts = delivery.attempts.saturating_add(1);
                match self.read_again_at(&error, attempts, now) {
                    Some(until) => self.put_plan_back(delivery, version, until, error.to_string(), now).await,
                    None => self.park_plan(delivery, version, None, error.to_string(), now).await,
                }
            }
            Err(LookupError::Store(error)) => Err(error),
        }
    }

    /// Waits for the record of the dispatch that a run of this App follows from.
    async fn wait_for_record(&self, delivery: Delivery, version: u64, now: Timestamp) -> Result<Planned, StoreError> {
        let wait = Duration::from_secs(2_u64.saturating_pow(delivery.attempts)).min(LONGEST_LOOK);
        let error = "this App caused the run, and the dispatch that it follows from may not be recorded yet";
        self.put_plan_back(delivery, version, later(now, wait), error.to_owned(), now).await
    }

    /// Stores a plan, claims the keys of its dispatches, takes what they cost from the root's budget, and writes what is
    /// wanted of environments. Where others were faster, it decides again with what was read before.
    async fn store_plan(
        &self,
        delivery: Delivery,
        version: u64,
        (mut plan, mut known): (Plan, Known),
        now: Timestamp,
    ) -> Result<Planned, StoreError> {
        for _ in 0..MAX_TRIES {
            let mut claims = self.claims(&delivery, (&plan, &known), now).await?;
            if let Some((root, spent)) = claims.spent_by_others()
                && known.root_spent.insert(root.clone(), spent) != Some(spent)
            {
                match decide(&delivery.event, &known, &self.guardrails) {
                    Decided::Plan(again) => plan = again,
                    Decided::Need(_) => break,
                }
                continue;
            }
            let stage = self.stage(&delivery, &plan).await?;
            if stage.correct(&mut known) {
                match decide(&delivery.event, &known, &self.guardrails) {
                    Decided::Plan(again) => plan = again,
                    Decided::Need(_) => break,
                }
                continue;
            }
            stage.deny_outdated(&delivery, &mut plan, &mut claims.dispatches);
            claims.keep_budget(&mut plan, now);
            let environments = stage.writes(&delivery, &plan, &claims.dispatches, now);
            let about = PlanAbout::new(&delivery, &known);

            let Claims { dispatches, already_claimed, budget } = claims;
            let mut planned = delivery.clone();
            (planned.state, planned.due) = (DeliveryState::Planned, None);
            let body = FactBody::DeliveryPlanned { delivery: delivery.summary(), plan: plan.clone(), already_claimed };
            let mut facts = vec![planned.next_fact(now, body)];
            facts.extend(environments.facts);
            let mut writes = vec![Write { record: Record::Delivery(Box::new(planned)), expected: Some(version) }];
            let new =
                |dispatch: &Dispatch| Write { record: Record::Dispatch(Box::new(dispatch.clone())), expected: None };
            writes.extend(dispatches.iter().map(new));
            writes.extend(
                budget
                    .filter(|_| !dispatches.is_empty())
                    .map(|budget| Write { record: Record::Root(budget.root, budget.spent), expected: budget.version }),
            );
            writes.extend(environments.writes);
            let (parts, received) = self.parts(&delivery, &plan, now).await?;
            writes.extend(parts);
            facts.extend(received);
            let (followed, further) = self.follow_writes(&delivery, now).await?;
            writes.extend(followed);
            facts.extend(further);
            writes.extend(self.proposal_write(&delivery, &known, now).await?);
            let room = Commit::MAX_WRITES.saturating_sub(writes.len() + facts.len());
            writes.extend(self.plan_notices(&about, &plan, &dispatches, room, now).await?);
            match self.store.commit(Commit { writes, facts }).await {
                Ok(()) => return Ok(Planned::Done { plan, dispatches }),
                // Something else happened to the same pull request or environment.
                Err(StoreError::Conflict(key)) if is_about_environments(&key) => {}
                // Another delivery of the same event was faster, or another event of the same chain, or the same run got
                // further, or somebody is shown something, or looks at the same commit.
                Err(StoreError::Conflict(
                    RecordKey::Dispatch(_) | RecordKey::Root(_) | RecordKey::Notice(_) | RecordKey::Proposal(_),
                )) => {}
                // Another delivery of the same event has the same parts.
                Err(StoreError::Conflict(RecordKey::Delivery(key))) if key != delivery.key => {}
                // The inputs of many targets are more than some stores take: trying again would not make them less.
                Err(error @ StoreError::Illegal(_)) => {
                    return self.park_plan(delivery, version, None, error.to_string(), now).await;
                }
                Err(error) => return Err(error),
            }
        }
        let error = "other events of the same chain are planned at the same time".to_owned();
        self.put_plan_back(delivery, version, later(now, AFTER_CONFLICTS), error, now).await
    }

    /// What an event leaves to its parts: a delivery for each, where another delivery of the same event has not left it already.
    async fn parts(
        &self,
        delivery: &Delivery,
        plan: &Plan,
        now: Timestamp,
    ) -> Result<(Vec<Write>, Vec<Fact>), StoreError> {
        let part = |environment: &EnvironmentKey| {
            let event = Event { part: Some(environment.clone()), ..delivery.event.clone() };
            let part = Delivery::made_here(event, "part", now)?;
            Some(Delivery { renewed_at: delivery.renewed_at, ..part })
        };
        let parts: Vec<_> = plan.further.iter().take(MAX_PARTS).filter_map(part).collect();
        let keys: Vec<_> = parts.iter().map(|part| RecordKey::Delivery(part.key.clone())).collect();
        let stored = if keys.is_empty() { Vec::new() } else { self.store.load(&keys).await? };
        let (mut writes, mut facts) = (Vec::new(), Vec::new());
        for (part, _) in parts.into_iter().zip(stored).filter(|(_, stored)| stored.is_none()) {
            facts.push(part.first_fact());
            writes.push(Write { record: Record::Delivery(Box::new(part)), expected: None });
        }
        Ok((writes, facts))
    }

    /// What a plan would claim, as it is stored now.
    async fn claims(
        &self,
        delivery: &Delivery,
        (plan, known): (&Plan, &Known),
        now: Timestamp,
    ) -> Result<Claims, StoreError> {
        let Some(root) = plan.root() else { return Ok(Claims::default()) };
        let wanted = dispatches(delivery, &PlanAbout::new(delivery, known), plan, now);
        let mut keys = vec![RecordKey::Root(root.clone())];
        keys.extend(wanted.iter().map(|dispatch| RecordKey::Dispatch(dispatch.key.clone())));
        let mut stored = self.store.load(&keys).await?.into_iter();
        let (spent, version) = match stored.next().flatten() {
            Some(Stored { record: Record::Root(_, spent), version }) => (spent, Some(version)),
            _ => (RootBudget::default(), None),
        };
        let event = delivery.event.identity();
        let mut claims =
            Claims { budget: Some(Budget { root: root.clone(), event, spent, version }), ..Claims::default() };
        for (dispatch, stored) in wanted.into_iter().zip(stored) {
            match stored {
                None => claims.dispatches.push(dispatch),
                Some(_) => claims.already_claimed.push(dispatch.key),
            }
        }
        Ok(claims)
    }

    /// Stores that planning has to wait.
    async fn put_plan_back(
        &self,
        mut delivery: Delivery,
        version: u64,
        until: Timestamp,
        error: String,
        now: Timestamp,
    ) -> Result<Planned, StoreError> {
        delivery.attempts = delivery.attempts.saturating_add(1);
        delivery.due = Some(until);
        let body = FactBody::DeliveryPutBack { delivery: delivery.summary(), until, error: error.clone() };
        self.store_delivery(delivery, version, body, (Vec::new(), Vec::new()), now).await?;
        Ok(Planned::PutBack { until, error })
    }

    /// Stores that planning is given up: asking again would not help, or nobody wants it any more.
    async fn park_plan(
        &self,
        mut delivery: Delivery,
        version: u64,
        reason: Option<Reason>,
        error: String,
        now: Timestamp,
    ) -> Result<Planned, StoreError> {
        (delivery.due, delivery.parked_at) = (None, Some(now));
        delivery.state = DeliveryState::Parked { reason, error: error.clone() };
        let body = FactBody::DeliveryParked { delivery: delivery.summary(), reason, error: error.clone() };
        let mut told = self.report_writes_for_parked(&delivery, reason, now).await?;
        told.extend(self.parked_notices(&delivery, reason, &error, now).await?);
        // How its own run ended is told, however late.
        let (followed, facts) = self.follow_writes(&delivery, now).await?;
        told.extend(followed);
        self.store_delivery(delivery, version, body, (told, facts), now).await?;
        Ok(Planned::Parked { error })
    }

    async fn store_delivery(
        &self,
        mut delivery: Delivery,
        version: u64,
        body: FactBody,
        (told, further): (Vec<Write>, Vec<Fact>),
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut facts = vec![delivery.next_fact(now, body)];
        facts.extend(further);
        let mut writes = vec![Write { record: Record::Delivery(Box::new(delivery)), expected: Some(version) }];
        writes.extend(told);
        self.store.commit(Commit { writes, facts }).await
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
        Fact { subject: Subject::delivery(self.key.clone()), sequence, time, body, happened: None }
    }
}

/// Whether a run was denied as our own.
fn is_own(plan: &Plan) -> bool {
    plan.skipped.as_ref().is_some_and(|skipped| skipped.reason == Reason::OwnEvent)
}

/// What a plan claims.
#[derive(Default)]
struct Claims {
    /// The dispatches that nobody claimed before.
    dispatches: Vec<Dispatch>,
    /// Those that another delivery of the same event claimed.
    already_claimed: Vec<DispatchKey>,
    /// None where nothing is allowed.
    budget: Option<Budget>,
}

/// The budget of the root, as it is stored.
struct Budget {
    root: EventIdentity,
    event: EventIdentity,
    spent: RootBudget,
    version: Option<u64>,
}

impl Claims {
    fn spent_by_others(&self) -> Option<(&EventIdentity, u32)> {
        let budget = self.budget.as_ref()?;
        Some((&budget.root, budget.spent.spent_by_others(&budget.event)))
    }

    /// Counts the new dispatches for their event. The decision has kept them within what others left; only where another
    /// delivery of the same event planned other targets may they be too many together.
    fn keep_budget(&mut self, plan: &mut Plan, now: Timestamp) {
        let Some(budget) = &mut self.budget else { return };
        let own = budget.spent.spent.get(&budget.event).copied().unwrap_or(0);
        let spent = budget.spent.spent_by_others(&budget.event).saturating_add(own);
        let left = usize::try_from(Guardrails::ROOT_BUDGET.saturating_sub(spent)).unwrap_or(usize::MAX);
        for dispatch in self.dispatches.drain(left.min(self.dispatches.len())..) {
            plan.decisions
                .iter_mut()
                .filter(|decision| decision.target == dispatch.key.target)
                .for_each(Decision::deny_over_budget);
        }
        let own = own.saturating_add(u32::try_from(self.dispatches.len()).unwrap_or(u32::MAX));
        budget.spent.spent.insert(budget.event.clone(), own);
        budget.spent.at = now;
    }
}

/// One dispatch for each allowed target.
fn dispatches(delivery: &Delivery, about: &PlanAbout<'_>, plan: &Plan, now: Timestamp) -> Vec<Dispatch> {
    let event = delivery.event.identity();
    let dispatch = |decision: &Decision| Dispatch {
        key: DispatchKey { event: event.clone(), target: decision.target.clone() },
        delivery: delivery.key.clone(),
        source: DispatchSource {
            repository: delivery.event.repository.id,
            name: delivery.event.repository.name.clone(),
            lane: lane(about.event, &decision.target),
            pull_request: about.pull_request(),
            happened: Some((&delivery.summary()).into()),
        },
        decision: decision.clone(),
        decided_at: now,
        state: DispatchState::Ready,
        due: Some(now),
        attempts: 0,
        waits: 0,
        doubts: 0,
        parked_at: None,
        run: None,
        unseen: None,
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
