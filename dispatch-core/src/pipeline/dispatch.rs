//! Stage 3: one call to GitHub for each dispatch, at most once.

use std::time::Duration;

use super::Pipeline;
use super::lookup::LookupError;
use crate::Timestamp;
use crate::decide::{Allowed, Decision, Edge, EdgeKey, Identity, Plan, Verdict};
use crate::dispatch::{Dispatch, DispatchState, StartedRun};
use crate::fact::{Fact, FactBody, Subject};
use crate::name::RepositoryId;
use crate::ports::GitHubError;
use crate::ports::github::RepositoryRef;
use crate::ports::store::{Commit, Record, RecordKey, RunRecord, StoreError, Stored, Write};
use crate::reason::Reason;
use crate::retry::later;

/// How long a decision holds. After that, consent may have been withdrawn.
const DECISION_HOLDS_FOR: Duration = Duration::from_secs(60);
/// After this long without an answer, the call is given up: nearly always, whoever made it has ended.
const CALL_ENDS_WITHIN: Duration = Duration::from_secs(120);
/// How often the begin of a call is tried while others change the same edge or lane.
const MAX_CONFLICTS: usize = 5;

impl Pipeline {
    /// Stage 3: decides again where the decision is old, commits that the call begins, calls once, and stores the answer.
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
        match dispatch.state {
            DispatchState::Ready => self.dispatch_ready(dispatch, version, now).await,
            DispatchState::Calling { since } => {
                let error = format!("the call that began at {since} has no answer: it was interrupted");
                self.conclude(dispatch, version, DispatchState::InDoubt { since, looked_at: None, error }, now).await
            }
            DispatchState::Triggered { .. }
            | DispatchState::Refused { .. }
            | DispatchState::InDoubt { .. }
            | DispatchState::Started { .. }
            | DispatchState::Unknown { .. }
            | DispatchState::Dropped
            | DispatchState::Cancelled { .. }
            | DispatchState::Failed { .. } => Ok(dispatch.state),
        }
    }

    async fn dispatch_ready(
        &self,
        mut dispatch: Dispatch,
        version: u64,
        now: Timestamp,
    ) -> Result<DispatchState, StoreError> {
        let was_put_back = dispatch.attempts > 0 || dispatch.waits > 0;
        let mut holds = !was_put_back && now <= later(dispatch.decided_at, DECISION_HOLDS_FOR);
        let mut conflict = None;
        for _ in 0..MAX_CONFLICTS {
            let places = self.places(&dispatch).await?;
            // Since the decision another repository may have been stored behind one of the names.
            if !holds || !places.agree_with(&dispatch) {
                match self.decide_again(&dispatch, now).await {
                    Ok(Again::Allowed(decision)) => {
                        (dispatch.decision, dispatch.decided_at, holds) = (*decision, now, true);
                    }
                    Ok(Again::Denied { reason, message }) => {
                        return self
                            .conclude(dispatch, version, DispatchState::Cancelled { reason, message }, now)
                            .await;
                    }
                    Err(LookupError::GitHub(error)) => return self.wait_to_read(dispatch, version, &error, now).await,
                    Err(LookupError::Store(error)) => return Err(error),
                }
            }
            let Some((repository, allowed)) = callable(&dispatch) else {
                let error = "nobody verified which repository is behind the target's name".to_owned();
                return self.conclude(dispatch, version, DispatchState::Failed { error }, now).await;
            };
            let request = allowed.request.clone();
            match self.begin(&mut dispatch, version, places, repository.id, now).await {
                Ok(()) => {
                    let answer = self.github.dispatch(&repository, &request, later(now, CALL_ENDS_WITHIN / 2)).await;
                    return self.store_answer(dispatch, version + 1, answer, now).await;
                }
                Err(StoreError::Conflict(key @ (RecordKey::Edge(_) | RecordKey::Lane(_)))) => conflict = Some(key),
                Err(error) => return Err(error),
            }
        }
        Err(conflict.map_or_else(|| StoreError::Unavailable("never tried".to_owned()), StoreError::Conflict))
    }

    /// The edge and the lane of a dispatch, as they are stored.
    async fn places(&self, dispatch: &Dispatch) -> Result<Places, StoreError> {
        let mut keys = vec![RecordKey::Edge(edge_key(dispatch))];
        keys.extend(dispatch.source.lane.as_ref().map(|(key, _)| RecordKey::Lane(key.clone())));
        let mut loaded = self.store.load(&keys).await?.into_iter();
        Ok(Places { edge: loaded.next().flatten(), lane: loaded.next().flatten() })
    }

    /// Commits that the call begins. From here on, GitHub may have done it.
    async fn begin(
        &self,
        dispatch: &mut Dispatch,
        version: u64,
        places: Places,
        target: RepositoryId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut calling = dispatch.clone();
        calling.state = DispatchState::Calling { since: now };
        calling.due = Some(later(now, CALL_ENDS_WITHIN));
        let mut writes = vec![Write { record: Record::Dispatch(Box::new(calling.clone())), expected: Some(version) }];
        let edge = Edge { source: dispatch.source.repository, target };
        if places.edge() != Some(edge) {
            let expected = places.edge.as_ref().map(|stored| stored.version);
            writes.push(Write { record: Record::Edge(edge_key(dispatch), edge), expected });
        }
        if let Some((key, number)) = &dispatch.source.lane
            && places.lane().is_none_or(|newest| newest < *number)
        {
            let expected = places.lane.as_ref().map(|stored| stored.version);
            writes.push(Write { record: Record::Lane(key.clone(), *number), expected });
        }
        self.store.commit(Commit { writes, facts: Vec::new() }).await?;
        *dispatch = calling;
        Ok(())
    }

    /// Stores what GitHub answered.
    async fn store_answer(
        &self,
        mut dispatch: Dispatch,
        version: u64,
        answer: Result<Option<StartedRun>, GitHubError>,
        now: Timestamp,
    ) -> Result<DispatchState, StoreError> {
        let state = match answer {
            Ok(run) => DispatchState::Triggered { run },
            Err(GitHubError::InDoubt(error)) => DispatchState::InDoubt { since: now, looked_at: None, error },
            Err(error @ (GitHubError::Unavailable(_) | GitHubError::Refused { status: 401, .. })) => {
                dispatch.attempts = dispatch.attempts.saturating_add(1);
                match self.retry.after_failure(dispatch.attempts, now) {
                    Some(until) => return self.put_back(dispatch, version, until, error.to_string(), now).await,
                    None => DispatchState::Failed { error: error.to_string() },
                }
            }
            Err(GitHubError::Refused { message, permission, .. }) => DispatchState::Refused { message, permission },
            Err(error @ GitHubError::NotInstalled(_)) => {
                DispatchState::Refused { message: error.to_string(), permission: None }
            }
            Err(error @ GitHubError::RateLimited { until, .. }) => {
                dispatch.waits = dispatch.waits.saturating_add(1);
                let until = self.retry.after_rate_limit(until, dispatch.waits, now);
                return self.put_back(dispatch, version, until, error.to_string(), now).await;
            }
        };
        match self.conclude(dispatch, version, state.clone(), now).await {
            // The call took so long that it was given up. Its answer is the truth, and nobody else has it.
            Err(StoreError::Conflict(key @ RecordKey::Dispatch(_))) => match self.given_up(&key).await? {
                Some((dispatch, version)) => self.conclude(*dispatch, version, state, now).await,
                None => Err(StoreError::Conflict(key)),
            },
            result => result,
        }
    }

    /// A dispatch whose call somebody has given up, or is about to.
    async fn given_up(&self, key: &RecordKey) -> Result<Option<(Box<Dispatch>, u64)>, StoreError> {
        let loaded = self.store.load(std::slice::from_ref(key)).await?.into_iter().next().flatten();
        Ok(loaded.and_then(|stored| match stored.record {
            Record::Dispatch(dispatch)
                if matches!(dispatch.state, DispatchState::Calling { .. } | DispatchState::InDoubt { .. }) =>
            {
                Some((dispatch, stored.version))
            }
            _ => None,
        }))
    }

    /// Decides about the dispatch's event again, with the same function.
    async fn decide_again(&self, dispatch: &Dispatch, now: Timestamp) -> Result<Again, LookupError> {
        let loaded = self.store.load(&[RecordKey::Delivery(dispatch.delivery.clone())]).await?;
        let Some(Record::Delivery(delivery)) = loaded.into_iter().next().flatten().map(|stored| stored.record) else {
            let message = "the event that it follows from is not stored any more".to_owned();
            return Ok(Again::Denied { reason: Reason::EventTooOld, message });
        };
        let (plan, _) = self.decide(&delivery, now).await?;
        Ok(again(plan, dispatch))
    }

    /// What the decision needs cannot be read: it waits until it can, and is cancelled where asking will not help.
    async fn wait_to_read(
        &self,
        mut dispatch: Dispatch,
        version: u64,
        error: &GitHubError,
        now: Timestamp,
    ) -> Result<DispatchState, StoreError> {
        dispatch.waits = dispatch.waits.saturating_add(1);
        let message = error.to_string();
        match self.read_again_at(error, dispatch.waits, now) {
            Some(until) => self.put_back(dispatch, version, until, message, now).await,
            // Who may not read any more what the consent was given in, has no consent.
            None => {
                let state = DispatchState::Cancelled { reason: Reason::ConsentWithdrawn, message };
                self.conclude(dispatch, version, state, now).await
            }
        }
    }

    async fn put_back(
        &self,
        mut dispatch: Dispatch,
        version: u64,
        until: Timestamp,
        error: String,
        now: Timestamp,
    ) -> Result<DispatchState, StoreError> {
        (dispatch.state, dispatch.due) = (DispatchState::Ready, Some(until));
        let fact = dispatch.next_fact(now, FactBody::DispatchPutBack { until, error });
        let write = Write { record: Record::Dispatch(Box::new(dispatch)), expected: Some(version) };
        self.store.commit(Commit { writes: vec![write], facts: vec![fact] }).await?;
        Ok(DispatchState::Ready)
    }

    /// Stores a final state with its fact, and for a run that was started its chain.
    async fn conclude(
        &self,
        mut dispatch: Dispatch,
        version: u64,
        state: DispatchState,
        now: Timestamp,
    ) -> Result<DispatchState, StoreError> {
        let Some(body) = final_fact(&state) else { return Ok(state) };
        let chain = match (&state, &dispatch.decision.verdict) {
            (DispatchState::Triggered { run: Some(run) }, Verdict::Allowed(allowed)) => Some(Record::Run(
                run.id,
                RunRecord { chain: allowed.chain.clone(), dispatch: dispatch.key.clone(), at: now },
            )),
            _ => None,
        };
        let fact = dispatch.next_fact(now, body);
        (dispatch.state, dispatch.due) = (state.clone(), None);
        let mut writes = vec![Write { record: Record::Dispatch(Box::new(dispatch)), expected: Some(version) }];
        writes.extend(chain.map(|record| Write { record, expected: None }));
        let mut commit = Commit { writes, facts: vec![fact] };
        let mut result = self.store.commit(commit.clone()).await;
        if let Err(StoreError::Conflict(RecordKey::Run(_))) = result {
            // The run has a chain already: GitHub named one run twice. The first chain stands.
            commit.writes.truncate(1);
            result = self.store.commit(commit).await;
        }
        result.map(|()| state)
    }
}

impl Dispatch {
    pub(super) fn next_fact(&mut self, time: Timestamp, body: FactBody) -> Fact {
        let sequence = self.facts;
        self.facts += 1;
        let subject = Subject { delivery: self.delivery.clone(), dispatch: Some(self.key.clone()) };
        Fact { subject, sequence, time, body }
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
        Reason::EventTooOld => Again::Denied { reason, message },
        _ => Again::Denied { reason: Reason::ConsentWithdrawn, message: format!("{message} ({reason})") },
    }
}

/// The stored edge and lane of a dispatch.
struct Places {
    edge: Option<Stored>,
    lane: Option<Stored>,
}

impl Places {
    fn edge(&self) -> Option<Edge> {
        self.edge.as_ref()?.record.edge()
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

fn edge_key(dispatch: &Dispatch) -> EdgeKey {
    EdgeKey { source: dispatch.source.name.clone(), target: dispatch.key.target.repository.clone() }
}

/// Where to call, and what to send: only to a repository that GitHub itself has named.
fn callable(dispatch: &Dispatch) -> Option<(RepositoryRef, &Allowed)> {
    match &dispatch.decision.verdict {
        Verdict::Allowed(allowed) => match allowed.identity {
            Identity::Verified { id, .. } => {
                Some((RepositoryRef { id, name: dispatch.key.target.repository.clone() }, allowed))
            }
            Identity::Assumed => None,
        },
        Verdict::Denied(_) => None,
    }
}

/// The fact that tells of a final state.
fn final_fact(state: &DispatchState) -> Option<FactBody> {
    match state.clone() {
        DispatchState::Ready | DispatchState::Calling { .. } | DispatchState::Dropped => None,
        DispatchState::Started { .. } => Some(FactBody::DispatchTriggered { run: None }),
        DispatchState::Unknown { error } => Some(FactBody::DispatchUnknown { error }),
        DispatchState::Triggered { run } => Some(FactBody::DispatchTriggered { run }),
        DispatchState::Refused { message, permission } => Some(FactBody::DispatchRefused { message, permission }),
        DispatchState::InDoubt { error, .. } => Some(FactBody::DispatchInDoubt { error }),
        DispatchState::Cancelled { reason, message } => Some(FactBody::DispatchCancelled { reason, message }),
        DispatchState::Failed { error } => Some(FactBody::DispatchFailed { error }),
    }
}
