//! Storing where a dispatch got to, together with what belongs to it: the facts, the run's chain, the target's ledger, and
//! what is told about failures.

use std::time::Duration;

use super::follow::ended_so;
use super::{Pipeline, environment};
use crate::Timestamp;
use crate::dispatch::{Dispatch, DispatchState, FollowedRun, Search, StartedRun, UnseenRun};
use crate::fact::{Fact, FactBody, Subject};
use crate::ledger::Ledger;
use crate::policy::Start;
use crate::ports::store::{Commit, Record, RecordKey, RunRecord, StoreError, Write};
use crate::retry::later;

/// How soon the run of a call is looked for first. GitHub usually lists a run within a second or two.
const LOOK_AFTER: Duration = Duration::from_secs(2);
/// How often a step is tried while others settle their calls of the same target.
const MAX_CONFLICTS: usize = 100;

/// Where a dispatch goes.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// To this state.
    To(DispatchState),
    /// To `Triggered`: looking found its run, and how it ended if it did. If the run turns out to be another's, it is looked
    /// for again.
    Found(Box<(StartedRun, Option<FollowedRun>)>),
    /// To `Triggered`: GitHub did it, and looking did not tell which run it is.
    Unseen(UnseenRun),
    /// Back to `Ready`: GitHub certainly did nothing, and it counts as an attempt.
    Retry {
        /// Until when it waits.
        until: Timestamp,
        /// Why.
        error: String,
    },
    /// Back to `Ready`: GitHub certainly did nothing, and it is nobody's fault.
    Wait {
        /// Until when it waits.
        until: Timestamp,
        /// Why.
        error: String,
    },
    /// To this state, which only says how far looking got, until then. Nothing happened that is a fact.
    Look {
        /// The state.
        state: DispatchState,
        /// When to look again.
        until: Timestamp,
    },
}

impl Pipeline {
    /// Stores a step. A call that is settled by it leaves its target's ledger in the same commit.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] of the dispatch: somebody else moved it.
    pub(super) async fn settle(
        &self,
        before: Dispatch,
        version: u64,
        step: Step,
        now: Timestamp,
    ) -> Result<DispatchState, StoreError> {
        let mut found_by_looking = matches!(step, Step::Found(_));
        let mut taken = Taken::new(&before, step, now);
        let mut conflict = None;
        for _ in 0..MAX_CONFLICTS {
            let record = Record::Dispatch(Box::new(taken.dispatch.clone()));
            let mut writes = vec![Write { record, expected: Some(version) }];
            if let Some(change) = taken.ledger {
                writes.extend(self.ledger_after(&before, change).await?);
            }
            writes.extend(taken.run.clone().map(|record| Write { record, expected: None }));
            writes.extend(self.report_writes(&taken.dispatch, &taken.dispatch.state, now).await?);
            writes.extend(self.notice_writes(&taken.dispatch, now).await?);
            let mut facts = taken.facts.clone();
            let run_ended = || taken.dispatch.run.as_ref().and_then(ended_so);
            if let Some(end) = environment::ends(&before.state, &taken.dispatch.state).or_else(run_ended) {
                let environment = self.environment_ends(&taken.dispatch, end, now).await?;
                writes.extend(environment.writes);
                facts.extend(environment.facts);
            }
            match self.store.commit(Commit { writes, facts }).await {
                Ok(()) => return Ok(taken.dispatch.state),
                Err(StoreError::Conflict(
                    key @ (RecordKey::Target(_) | RecordKey::Report(_) | RecordKey::Notice(_)),
                )) => conflict = Some(key),
                Err(StoreError::Conflict(key)) if environment::is_about_environments(&key) => conflict = Some(key),
                // The one that waited for its turn has been taken up.
                Err(StoreError::Conflict(RecordKey::Dispatch(key))) if key != before.key => {
                    conflict = Some(RecordKey::Dispatch(key));
                }
                Err(StoreError::Conflict(RecordKey::Run(_))) if found_by_looking => {
                    found_by_looking = false;
                    let again = Step::Look { state: before.state.clone(), until: later(now, LOOK_AFTER) };
                    taken = Taken::new(&before, again, now);
                }
                // The answer came so late that somebody who looked has taken the run for his own: his is another one, which is
                // looked for in its place. No run is said to be of two dispatches.
                Err(StoreError::Conflict(RecordKey::Run(_))) => {
                    let search = Search::new(before.state.call_began().unwrap_or(now));
                    taken = Taken::new(&before, Step::To(DispatchState::Started { search }), now);
                }
                Err(error) => return Err(error),
            }
        }
        Err(conflict.map_or_else(|| StoreError::Unavailable("never tried".to_owned()), StoreError::Conflict))
    }

    /// The ledger of the dispatch's target after its call was settled or given up.
    async fn ledger_after(
        &self,
        dispatch: &Dispatch,
        change: fn(&mut Ledger, &Dispatch),
    ) -> Result<Option<Write>, StoreError> {
        let target = &dispatch.key.target;
        let loaded = self.store.load(&[RecordKey::Target(target.clone())]).await?.into_iter().next().flatten();
        Ok(loaded.and_then(|stored| {
            let mut ledger = stored.record.ledger()?.clone();
            change(&mut ledger, dispatch);
            Some(Write { record: Record::Target(target.clone(), ledger), expected: Some(stored.version) })
        }))
    }
}

/// A step that was taken, to be stored.
struct Taken {
    dispatch: Dispatch,
    facts: Vec<Fact>,
    /// The record of the run that it started.
    run: Option<Record>,
    /// What becomes of its call in the ledger.
    ledger: Option<fn(&mut Ledger, &Dispatch)>,
}

impl Taken {
    fn new(before: &Dispatch, step: Step, now: Timestamp) -> Self {
        let mut dispatch = before.clone();
        let ended = match &step {
            Step::Found(found) => found.1.clone(),
            _ => None,
        };
        let mut facts: Vec<_> = dispatch.take(step, now).into_iter().collect();
        // Its webhooks came before anybody knew whose run it is.
        if let Some(run) = ended.filter(|run| run.follows(dispatch.run.as_ref())) {
            dispatch.run = Some(run.clone());
            facts.push(dispatch.next_fact(now, FactBody::DispatchRunProgressed { run }));
        }
        let change: fn(&mut Ledger, &Dispatch) = match &dispatch.state {
            // What did not run in that time does not run any more.
            DispatchState::Triggered { run: None }
                if matches!(
                    (&dispatch.key.target.start, &dispatch.unseen),
                    (Start::Event(_), Some(UnseenRun::NotObserved { .. }))
                ) =>
            {
                |ledger, dispatch| ledger.settle(&dispatch.key)
            }
            DispatchState::Unknown { .. } | DispatchState::Triggered { run: None } => {
                |ledger, dispatch| ledger.give_up(&dispatch.key)
            }
            DispatchState::Ready => |ledger, dispatch| ledger.undo(&dispatch.source.name, &dispatch.key),
            _ => |ledger, dispatch| ledger.settle(&dispatch.key),
        };
        let ledger = (is_open(&before.state) && !is_open(&dispatch.state)).then_some(change);
        Self { run: started_run(&dispatch, now), facts, ledger, dispatch }
    }
}

impl Dispatch {
    /// Takes a step, and answers with the fact that tells of it.
    fn take(&mut self, step: Step, now: Timestamp) -> Option<Fact> {
        let body = match step {
            Step::To(state) => {
                let body = entered(&self.state, &state);
                self.doubts += u32::from(matches!(state, DispatchState::InDoubt { .. }));
                self.due = match &state {
                    DispatchState::Started { .. } | DispatchState::InDoubt { .. } => Some(later(now, LOOK_AFTER)),
                    _ => None,
                };
                self.parked_at = state.is_parked().then_some(now);
                self.state = state;
                body
            }
            Step::Found(found) => return self.take(Step::To(DispatchState::Triggered { run: Some(found.0) }), now),
            Step::Unseen(why) => {
                self.unseen = Some(why);
                return self.take(Step::To(DispatchState::Triggered { run: None }), now);
            }
            Step::Retry { until, error } => {
                self.attempts = self.attempts.saturating_add(1);
                (self.state, self.due) = (DispatchState::Ready, Some(until));
                Some(FactBody::DispatchPutBack { until, error })
            }
            Step::Wait { until, error } => {
                self.waits = self.waits.saturating_add(1);
                (self.state, self.due) = (DispatchState::Ready, Some(until));
                Some(FactBody::DispatchPutBack { until, error })
            }
            Step::Look { state, until } => {
                self.waits = self.waits.saturating_add(1);
                (self.state, self.due) = (state, Some(until));
                None
            }
        };
        body.map(|body| self.next_fact(now, body))
    }

    pub(super) fn next_fact(&mut self, time: Timestamp, body: FactBody) -> Fact {
        let sequence = self.facts;
        self.facts += 1;
        let subject = Subject::dispatch(self.delivery.clone(), self.key.clone());
        let happened = self.source.happened.clone().map(|happened| (self.source.name.clone(), happened));
        Fact { subject, sequence, time, body, happened }
    }
}

/// Whether a call was made, or may have been, whose outcome is not settled: such a call is in its target's ledger.
fn is_open(state: &DispatchState) -> bool {
    match state {
        DispatchState::Calling { .. } | DispatchState::Started { .. } | DispatchState::InDoubt { .. } => true,
        DispatchState::Ready
        | DispatchState::Triggered { .. }
        | DispatchState::Refused { .. }
        | DispatchState::Unknown { .. }
        | DispatchState::Cancelled { .. }
        | DispatchState::Failed { .. }
        | DispatchState::Dropped => false,
    }
}

/// The record of the run that a dispatch started, where it is known.
fn started_run(dispatch: &Dispatch, now: Timestamp) -> Option<Record> {
    let DispatchState::Triggered { run: Some(run) } = &dispatch.state else { return None };
    let chain = dispatch.decision.allowed()?.chain.clone();
    Some(Record::Run(run.id, RunRecord { chain, dispatch: dispatch.key.clone(), at: now }))
}

/// The fact that tells that a state was entered.
fn entered(before: &DispatchState, state: &DispatchState) -> Option<FactBody> {
    match (before, state.clone()) {
        // That it was started has been told.
        (DispatchState::Started { .. }, DispatchState::Triggered { run }) => {
            run.map(|run| FactBody::DispatchRunFound { run })
        }
        (_, DispatchState::Triggered { run }) => Some(FactBody::DispatchTriggered { run }),
        (_, DispatchState::Started { .. }) => Some(FactBody::DispatchTriggered { run: None }),
        (_, DispatchState::Refused { message, permission }) => Some(FactBody::DispatchRefused { message, permission }),
        (_, DispatchState::InDoubt { error, .. }) => Some(FactBody::DispatchInDoubt { error }),
        (_, DispatchState::Unknown { error }) => Some(FactBody::DispatchUnknown { error }),
        (_, DispatchState::Cancelled { reason, message }) => Some(FactBody::DispatchCancelled { reason, message }),
        (_, DispatchState::Failed { error }) => Some(FactBody::DispatchFailed { error }),
        (_, DispatchState::Ready | DispatchState::Calling { .. } | DispatchState::Dropped) => None,
    }
}
