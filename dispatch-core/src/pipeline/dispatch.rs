//! Stage 3: one call to GitHub for each dispatch, at most once.

use std::time::Duration;

use super::Pipeline;
use super::environment::EnvironmentTurn;
use super::lookup::LookupError;
use super::settle::Step;
use crate::Timestamp;
use crate::decide::{Allowed, Decision, Edge, EdgeKey, Identity, Plan, Verdict};
use crate::dispatch::{Dispatch, DispatchState, Search, StartedRun};
use crate::environment::EnvironmentKey;
use crate::ledger::{Ledger, OpenCall};
use crate::ports::GitHubError;
use crate::ports::github::RepositoryRef;
use crate::ports::store::{Commit, Record, RecordKey, StoreError, Stored, Write};
use crate::reason::Reason;
use crate::request::DispatchRequest;
use crate::retry::later;

/// How long before it is sent a call may have been decided. After that, consent may have been withdrawn.
const DECISION_HOLDS_FOR: Duration = Duration::from_secs(60);
/// How much of that is left for the call itself: its token, its turn, its way.
const TIME_TO_SEND: Duration = Duration::from_secs(30);
/// After this long without an answer, the call is given up: nearly always, whoever made it has ended. Longer than a call
/// that is sent at its latest moment can take.
const CALL_ENDS_WITHIN: Duration = Duration::from_secs(120);
/// How often the begin of a call is tried while others change the same edge, lane or ledger.
const MAX_CONFLICTS: usize = 60;
/// How long a dispatch waits that found too many others at its target.
const CROWDED: Duration = Duration::from_secs(10);

impl Pipeline {
    /// Stage 3: decides again where the decision is old, commits that the call begins, calls once, and stores the answer.
    /// A call whose outcome is not known is [looked for](DispatchState::InDoubt) instead.
    ///
    /// # Errors
    /// [`StoreError`]. Before the call, nothing was stored and it comes back; after it, the dispatch comes back as
    /// `Calling` and is in doubt.
    pub async fn dispatch(
        &self,
        dispatch: Dispatch,
        version: u64,
        now: Timestamp,
    ) -> Result<DispatchState, StoreError> {
        match dispatch.state.clone() {
            DispatchState::Ready => self.dispatch_ready(dispatch, version, now).await,
            DispatchState::Calling { since } => {
                let error = format!("the call that began at {since} has no answer: it was interrupted");
                let state = DispatchState::InDoubt { search: Search::new(since), error };
                self.settle(dispatch, version, Step::To(state), now).await
            }
            DispatchState::Started { search } | DispatchState::InDoubt { search, .. } => {
                self.look(dispatch, version, search, now).await
            }
            DispatchState::Triggered { .. }
            | DispatchState::Refused { .. }
            | DispatchState::Unknown { .. }
            | DispatchState::Cancelled { .. }
            | DispatchState::Failed { .. }
            | DispatchState::Dropped => Ok(dispatch.state),
        }
    }

    async fn dispatch_ready(
        &self,
        mut dispatch: Dispatch,
        version: u64,
        now: Timestamp,
    ) -> Result<DispatchState, StoreError> {
        let was_put_back = dispatch.attempts > 0 || dispatch.waits > 0;
        let fresh = later(dispatch.decided_at, DECISION_HOLDS_FOR - TIME_TO_SEND);
        let mut holds = !was_put_back && dispatch.decided_at <= now && now <= fresh;
        for _ in 0..MAX_CONFLICTS {
            let places = self.places(&dispatch, now).await?;
            if let Some(step) = self.held_up(&dispatch, &places.ledger(), now) {
                return self.settle(dispatch, version, step, now).await;
            }
            if let Some(step) = places.turn.step() {
                return self.settle(dispatch, version, step, now).await;
            }
            // Since the decision another repository may have been stored behind one of the names.
            if !holds || !places.agree_with(&dispatch) {
                match self.decide_again(&dispatch, &places.turn, now).await {
                    Ok(Again::Allowed(decision)) => {
                        if environment_key(&decision) != environment_key(&dispatch.decision) {
                            // What was planned is wanted of the environment that it was planned for, and of no other one.
                            let message = "it would be about another environment by now".to_owned();
                            let reason = Reason::PullRequestSuperseded;
                            let step = Step::To(DispatchState::Cancelled { reason, message });
                            return self.settle(dispatch, version, step, now).await;
                        }
                        (dispatch.decision, dispatch.decided_at, holds) = (*decision, now, true);
                    }
                    Ok(Again::Denied { reason, message }) => {
                        let step = Step::To(DispatchState::Cancelled { reason, message });
                        return self.settle(dispatch, version, step, now).await;
                    }
                    Err(LookupError::GitHub(error)) => return self.wait_to_read(dispatch, version, &error, now).await,
                    Err(LookupError::Store(error)) => return Err(error),
                }
            }
            let Some((repository, allowed)) = callable(&dispatch) else {
                let error = "nobody verified which repository is behind the target's name".to_owned();
                return self.settle(dispatch, version, Step::To(DispatchState::Failed { error }), now).await;
            };
            let request = allowed.request.clone();
            match self.begin(&mut dispatch, version, places, &repository, &request, now).await {
                Ok(()) => {
                    let not_after = later(dispatch.decided_at, DECISION_HOLDS_FOR);
                    let answer = self.github.dispatch(&repository, &request, not_after).await;
                    let step = self.after_call(&dispatch, answer, now);
                    return self.store_answer(dispatch, version + 1, step, now).await;
                }
                Err(StoreError::Conflict(
                    RecordKey::Edge(_) | RecordKey::Lane(_) | RecordKey::Target(_) | RecordKey::Environment(_),
                )) => {}
                Err(error) => return Err(error),
            }
        }
        let error = "too many others begin a call at the same time".to_owned();
        self.settle(dispatch, version, Step::Wait { until: later(now, CROWDED), error }, now).await
    }

    /// The edge, the lane, the target's ledger and the environment of a dispatch, as they are stored.
    async fn places(&self, dispatch: &Dispatch, now: Timestamp) -> Result<Places, StoreError> {
        let mut keys = vec![RecordKey::Edge(edge_key(dispatch)), RecordKey::Target(dispatch.key.target.clone())];
        keys.extend(dispatch.source.lane.as_ref().map(|(key, _)| RecordKey::Lane(key.clone())));
        let mut loaded = self.store.load(&keys).await?.into_iter();
        let mut next = || loaded.next().flatten();
        Ok(Places { edge: next(), ledger: next(), lane: next(), turn: self.environment_turn(dispatch, now).await? })
    }

    /// What keeps a call from beginning now: too many of its target are open, or its source has used it too often.
    fn held_up(&self, dispatch: &Dispatch, ledger: &Ledger, now: Timestamp) -> Option<Step> {
        let uses = ledger.uses_by(&dispatch.source.name, now);
        if let Some(message) = self.guardrails.too_often(&dispatch.source.name, &dispatch.key.target, uses) {
            return Some(Step::To(DispatchState::Cancelled { reason: Reason::EdgeRateExceeded, message }));
        }
        let open = ledger.open_calls();
        (open >= Ledger::MAX_OPEN_CALLS).then(|| {
            let error = format!("{open} calls of this target have no settled outcome yet");
            Step::Wait { until: later(now, CROWDED * dispatch.waits.clamp(1, 30)), error }
        })
    }

    /// Commits that the call begins. From here on, GitHub may have done it.
    async fn begin(
        &self,
        dispatch: &mut Dispatch,
        version: u64,
        places: Places,
        target: &RepositoryRef,
        request: &DispatchRequest,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut calling = dispatch.clone();
        calling.state = DispatchState::Calling { since: now };
        calling.due = Some(later(now, CALL_ENDS_WITHIN));
        let expected = |stored: &Option<Stored>| stored.as_ref().map(|stored| stored.version);

        let mut ledger = places.ledger();
        let call = OpenCall {
            dispatch: dispatch.key.clone(),
            git_ref: request.git_ref().cloned(),
            since: now,
            given_up: false,
        };
        ledger.begin(&dispatch.source.name, call);
        let mut writes = vec![
            Write { record: Record::Dispatch(Box::new(calling.clone())), expected: Some(version) },
            Write { record: Record::Target(dispatch.key.target.clone(), ledger), expected: expected(&places.ledger) },
        ];
        let edge = Edge { source: dispatch.source.repository, target: target.id };
        if places.edge() != Some(edge) {
            writes.push(Write { record: Record::Edge(edge_key(dispatch), edge), expected: expected(&places.edge) });
        }
        if let Some((key, number)) = &dispatch.source.lane
            && places.lane().is_none_or(|newest| newest < *number)
        {
            let record = Record::Lane(key.clone(), *number);
            writes.push(Write { record, expected: expected(&places.lane) });
        }
        let environment = self.environment_begins(dispatch, places.turn, now);
        writes.extend(environment.writes);
        self.store.commit(Commit { writes, facts: environment.facts }).await?;
        *dispatch = calling;
        Ok(())
    }

    /// What GitHub's answer means.
    fn after_call(&self, dispatch: &Dispatch, answer: Result<Option<StartedRun>, GitHubError>, now: Timestamp) -> Step {
        let search = Search::new(now);
        Step::To(match answer {
            Ok(Some(run)) => DispatchState::Triggered { run: Some(run) },
            Ok(None) => DispatchState::Started { search },
            Err(GitHubError::InDoubt(error)) => DispatchState::InDoubt { search, error },
            Err(error @ (GitHubError::Unavailable(_) | GitHubError::Refused { status: 401, .. })) => {
                let error = error.to_string();
                match self.retry.after_failure(dispatch.attempts.saturating_add(1), now) {
                    Some(until) => return Step::Retry { until, error },
                    None => DispatchState::Failed { error },
                }
            }
            Err(GitHubError::Refused { message, permission, .. }) => DispatchState::Refused { message, permission },
            Err(error @ GitHubError::NotInstalled(_)) => {
                DispatchState::Refused { message: error.to_string(), permission: None }
            }
            Err(ref error @ GitHubError::RateLimited { until, .. }) => {
                let until = self.retry.after_rate_limit(until, dispatch.waits.saturating_add(1), now);
                return Step::Wait { until, error: error.to_string() };
            }
        })
    }

    /// Stores what GitHub answered.
    async fn store_answer(
        &self,
        dispatch: Dispatch,
        version: u64,
        step: Step,
        now: Timestamp,
    ) -> Result<DispatchState, StoreError> {
        match self.settle(dispatch, version, step.clone(), now).await {
            // The call took so long that it was given up. Its answer is the truth, and nobody else has it.
            Err(StoreError::Conflict(key @ RecordKey::Dispatch(_))) => match self.given_up(&key, now).await? {
                Some((dispatch, version)) => self.settle(*dispatch, version, step, now).await,
                None => Err(StoreError::Conflict(key)),
            },
            result => result,
        }
    }

    /// A dispatch whose call that began then somebody has given up, or is about to.
    async fn given_up(&self, key: &RecordKey, began: Timestamp) -> Result<Option<(Box<Dispatch>, u64)>, StoreError> {
        let loaded = self.store.load(std::slice::from_ref(key)).await?.into_iter().next().flatten();
        let Some(Stored { record: Record::Dispatch(dispatch), version }) = loaded else { return Ok(None) };
        let of_this_call = dispatch.state.call_began() == Some(began);
        Ok(of_this_call.then_some((dispatch, version)))
    }

    /// Decides about the dispatch's event again, with the same function.
    ///
    /// Its age counts from when its turn came, where it had to wait for another change of the same environment: nobody has
    /// wanted anything newer since.
    async fn decide_again(
        &self,
        dispatch: &Dispatch,
        turn: &EnvironmentTurn,
        now: Timestamp,
    ) -> Result<Again, LookupError> {
        let loaded = self.store.load(&[RecordKey::Delivery(dispatch.delivery.clone())]).await?;
        let Some(Record::Delivery(mut delivery)) = loaded.into_iter().next().flatten().map(|stored| stored.record)
        else {
            let message = "the event that it follows from is not stored any more".to_owned();
            return Ok(Again::Denied { reason: Reason::EventTooOld, message });
        };
        delivery.renewed_at = delivery.renewed_at.max(turn.came_at(&dispatch.key));
        let (plan, _) = self.decide(&delivery, now).await?;
        Ok(again(plan, dispatch))
    }

    /// What the decision needs cannot be read: it waits until it can, and is cancelled where asking will not help.
    async fn wait_to_read(
        &self,
        dispatch: Dispatch,
        version: u64,
        error: &GitHubError,
        now: Timestamp,
    ) -> Result<DispatchState, StoreError> {
        let message = error.to_string();
        let step = match self.read_again_at(error, dispatch.waits.saturating_add(1), now) {
            Some(until) => Step::Wait { until, error: message },
            // Who may not read any more what the consent was given in, has no consent.
            None => Step::To(DispatchState::Cancelled { reason: Reason::ConsentWithdrawn, message }),
        };
        self.settle(dispatch, version, step, now).await
    }
}

/// What deciding again says.
enum Again {
    Allowed(Box<Decision>),
    Denied { reason: Reason, message: String },
}

/// The dispatch's part of a plan that was made again.
fn again(plan: Plan, dispatch: &Dispatch) -> Again {
    let (mut reason, mut message) = match plan.skipped {
        Some(skipped) => (skipped.reason, skipped.message),
        None => (Reason::NoRuleMatched, format!("no outbound rule names `{}` any more", dispatch.key.target.start)),
    };
    let mut denied_before = false;
    for decision in plan.decisions.into_iter().filter(|decision| decision.target == dispatch.key.target) {
        match &decision.verdict {
            Verdict::Allowed(_) => return Again::Allowed(Box::new(decision)),
            // The first entry of a target is the one that counts; later ones are its duplicates.
            Verdict::Denied(denied) if !denied_before => {
                (reason, message, denied_before) = (denied.reason, denied.message.clone(), true);
            }
            Verdict::Denied(_) => {}
        }
    }
    match reason {
        Reason::EventTooOld
        | Reason::EdgeRateExceeded
        | Reason::PullRequestSuperseded
        | Reason::PullRequestNotOpen
        | Reason::CommenterNotPermitted
        | Reason::CommitNotConfirmed
        | Reason::EnvironmentStillHeld
        | Reason::EnvironmentNotHeld
        | Reason::EnvironmentNameTaken => Again::Denied { reason, message },
        _ => Again::Denied { reason: Reason::ConsentWithdrawn, message: format!("{message} ({reason})") },
    }
}

/// The stored edge, ledger and lane of a dispatch, and whether its environment lets it go.
struct Places {
    edge: Option<Stored>,
    ledger: Option<Stored>,
    lane: Option<Stored>,
    turn: EnvironmentTurn,
}

impl Places {
    fn edge(&self) -> Option<Edge> {
        self.edge.as_ref()?.record.edge()
    }

    fn ledger(&self) -> Ledger {
        self.ledger.as_ref().and_then(|stored| stored.record.ledger()).cloned().unwrap_or_default()
    }

    fn lane(&self) -> Option<u64> {
        self.lane.as_ref()?.record.lane()
    }

    /// Whether the edge was never used, or is between the same two repositories.
    fn agree_with(&self, dispatch: &Dispatch) -> bool {
        let target = callable(dispatch).map(|(repository, _)| repository.id);
        self.edge().is_none_or(|edge| edge.source == dispatch.source.repository && Some(edge.target) == target)
    }
}

fn environment_key(decision: &Decision) -> Option<&EnvironmentKey> {
    Some(&decision.allowed()?.environment.as_ref()?.key)
}

fn edge_key(dispatch: &Dispatch) -> EdgeKey {
    EdgeKey { source: dispatch.source.name.clone(), target: dispatch.key.target.repository.clone() }
}

/// Where to call, and what to send: only to a repository that GitHub itself has named.
pub(super) fn callable(dispatch: &Dispatch) -> Option<(RepositoryRef, &Allowed)> {
    let allowed = dispatch.decision.allowed()?;
    match allowed.identity {
        Identity::Verified { id, .. } => {
            Some((RepositoryRef { id, name: dispatch.key.target.repository.clone() }, allowed))
        }
        Identity::Assumed => None,
    }
}
