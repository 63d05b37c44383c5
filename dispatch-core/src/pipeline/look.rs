//! Looking for the run of a call whose outcome is not known.
//!
//! A call is not known to have started a run when its answer is missing (in doubt), or when GitHub said that it did it but
//! not which run it is. Then the target's runs are listed, unfiltered, and compared here: by our App, of the workflow,
//! started by a dispatch, at the ref, made since the call began, and not attributed to any other dispatch. With `k` open
//! calls of that target and ref and `n` such runs:
//!
//! | what is there | what it means |
//! |---|---|
//! | one of the other calls is still being made | too early: its run could be taken for ours |
//! | `n = k` | each call has its run, in the order in which both came |
//! | `n = 0` in listings that lie [`Pipeline::settle`] apart | it did not happen: a call in doubt is tried once more, and only once |
//! | anything else, over twice that time | nobody can tell: parked as unknown |
//!
//! The run of an [event](event) is looked for differently: several workflows may listen to it, or none.
//!
//! A run that ended before it was found is not waited for any more: what the list says of its end counts.
//!
//! The assumption is that GitHub lists a run within `settle` after it made it.

mod event;

use std::time::Duration;

use self::event::compare_event;
use super::Pipeline;
use super::dispatch::callable;
use super::lookup::LookupError;
use super::settle::Step;
use crate::Timestamp;
use crate::dispatch::{Dispatch, DispatchKey, DispatchState, FollowedRun, Search, StartedRun, UnseenRun};
use crate::ledger::OpenCall;
use crate::name::{Branch, GitRef};
use crate::policy::Start;
use crate::ports::github::ListedRun;
use crate::ports::store::{Record, RecordKey, StoreError};
use crate::request::DispatchRequest;
use crate::retry::later;
use crate::workflow::Lack;

/// How much earlier than the call, by our clock, its run may have been made by GitHub's: a clock that was wrong must not
/// hide a run. Runs of other calls in that time are known to be theirs.
const CLOCKS_DIFFER_BY: Duration = Duration::from_secs(60 * 60);
/// The same for an event: nothing but its name, or not even that, ties a run to its call. A clock that is wrong by more hides
/// the run, and nothing is repeated because of that.
const EVENT_CLOCKS_DIFFER_BY: Duration = Duration::from_secs(60);
/// How soon it is looked again after a listing that did not tell.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(5);

/// What a listing says about a call.
#[derive(Debug, PartialEq, Eq)]
enum Finding {
    /// This is its run, and how it ended if it did; if it is the only one for so long.
    Run(Box<(StartedRun, Option<FollowedRun>)>, Duration),
    /// There is no run that it could be, and none that another open call's could be.
    Nothing,
    /// Another call is still being made, so that a run could be its.
    TooEarly,
    /// It cannot be told from this listing.
    Unclear(String),
    /// Nor from this one, in which these could be meant.
    Several(String, Vec<StartedRun>),
}

impl Finding {
    fn run(run: ListedRun, holds: Duration) -> Self {
        Self::Run(Box::new((run.run, run.ended)), holds)
    }

    fn several(why: String, runs: impl Iterator<Item = StartedRun>) -> Self {
        Self::Several(why, runs.take(UnseenRun::MAX_SHOWN).collect())
    }
}

impl Pipeline {
    /// Looks for the run of an open call, once.
    pub(super) async fn look(
        &self,
        dispatch: Dispatch,
        version: u64,
        search: Search,
        now: Timestamp,
    ) -> Result<DispatchState, StoreError> {
        let step = match self.find_run(&dispatch, &search).await {
            Err(LookupError::Store(error)) => return Err(error),
            Ok(finding) => match self.conclude(&dispatch, search, finding, now) {
                Step::Unseen(UnseenRun::NotObserved { .. }) => {
                    Step::Unseen(UnseenRun::NotObserved { lacks: self.lack(&dispatch).await })
                }
                step => step,
            },
            Err(LookupError::GitHub(error)) => {
                match self.read_again_at(&error, dispatch.waits.saturating_add(1), now) {
                    Some(until) => Step::Look { state: dispatch.state.clone(), until },
                    None => not_told(&dispatch.state, format!("the target's runs cannot be listed: {error}")),
                }
            }
        };
        self.settle(dispatch, version, step, now).await
    }

    /// What the target lacks, so that nothing ran. None where nothing tells; nobody waits for it.
    async fn lack(&self, dispatch: &Dispatch) -> Option<Lack> {
        let (repository, _) = callable(dispatch)?;
        let workflows = self.github.workflows(&repository).await.ok()?;
        Lack::of(&dispatch.key.target.start, &workflows)
    }

    /// Lists the target's runs, and compares.
    async fn find_run(&self, dispatch: &Dispatch, search: &Search) -> Result<Finding, LookupError> {
        let (Some((repository, allowed)), Some(app)) = (callable(dispatch), &self.guardrails.app_login) else {
            let why = "the App's login is not known here, so that its runs cannot be recognised";
            return Ok(Finding::Unclear(why.to_owned()));
        };
        let differ_by = match &allowed.request {
            DispatchRequest::Workflow(_) => CLOCKS_DIFFER_BY,
            DispatchRequest::Event(_) => EVENT_CLOCKS_DIFFER_BY,
        };
        let since = search.since.checked_sub(differ_by).unwrap_or(Timestamp::MIN);
        // Listed first: a call that is settled after that has its run in the store when the store is asked.
        let listing = self.github.runs_since(&repository, since).await?;
        if !listing.complete {
            let why = "the target has more runs than can be listed";
            return Ok(Finding::Unclear(why.to_owned()));
        }
        let ours = |run: &ListedRun| {
            run.created_at >= since && run.actor.as_ref() == Some(app) && could_be_of(run, &allowed.request)
        };
        let runs = listing.runs.into_iter().filter(ours).collect();
        let mut runs = self.not_attributed(runs).await?;
        runs.sort_by_key(|run| (run.created_at, run.run.id));
        let open = self.open_calls(dispatch, allowed.request.git_ref(), since).await?;
        Ok(match &allowed.request {
            DispatchRequest::Workflow(_) => compare(&dispatch.key, &open, runs),
            DispatchRequest::Event(_) => {
                let runs = self.of_event(&repository, &dispatch.key.target, runs, since).await?;
                compare_event(dispatch, &open, runs, self.settle)
            }
        })
    }

    /// Those of the runs that no dispatch is known to have started.
    async fn not_attributed(&self, runs: Vec<ListedRun>) -> Result<Vec<ListedRun>, StoreError> {
        let keys: Vec<_> = runs.iter().map(|run| RecordKey::Run(run.run.id)).collect();
        let known = self.store.load(&keys).await?;
        Ok(runs.into_iter().zip(known).filter(|(_, known)| known.is_none()).map(|(run, _)| run).collect())
    }

    /// The calls of a dispatch's target at the same ref since then, and whether each is still being made.
    async fn open_calls(
        &self,
        dispatch: &Dispatch,
        git_ref: Option<&GitRef>,
        since: Timestamp,
    ) -> Result<Vec<Open>, StoreError> {
        let ledger = self.store.load(&[RecordKey::Target(dispatch.key.target.clone())]).await?;
        let ledger = ledger.into_iter().next().flatten().and_then(|stored| stored.record.ledger().cloned());
        let mut calls = ledger.unwrap_or_default().calls;
        calls.retain(|call| {
            call.since >= since && call.git_ref.as_ref().map(GitRef::short_name) == git_ref.map(GitRef::short_name)
        });
        let keys: Vec<_> = calls.iter().map(|call| RecordKey::Dispatch(call.dispatch.clone())).collect();
        let dispatches = self.store.load(&keys).await?;
        let being_made = |record: &Record| matches!(record, Record::Dispatch(other) if matches!(other.state, DispatchState::Calling { .. }));
        let made = dispatches.into_iter().map(|stored| stored.is_some_and(|stored| being_made(&stored.record)));
        Ok(calls.into_iter().zip(made).map(|(call, being_made)| Open { call, being_made }).collect())
    }

    /// What a finding means for a search that has gone on for a while.
    fn conclude(&self, dispatch: &Dispatch, mut search: Search, finding: Finding, now: Timestamp) -> Step {
        let first_at = *search.first_at.get_or_insert(now);
        let patience = self.settle.saturating_mul(2);
        let alone = search.alone.take();
        let (ends, otherwise) = match finding {
            Finding::Run(found, holds) => {
                let run = found.0.id;
                let since = alone.filter(|(id, _)| *id == run).map_or(now, |(_, since)| since);
                (search.alone, search.empty_since) = (Some((run, since)), None);
                (later(since, holds), Step::Found(found))
            }
            Finding::Nothing => {
                let empty_since = *search.empty_since.get_or_insert(now);
                let otherwise = match &dispatch.key.target.start {
                    Start::Workflow(_) => not_done(dispatch, now),
                    // Maybe nobody listens to it.
                    Start::Event(_) => not_observed(&dispatch.state, "no run of it was observed"),
                };
                (later(empty_since, self.settle), otherwise)
            }
            Finding::TooEarly => {
                let why = "other calls of the target were being made all the time".to_owned();
                (later(first_at, patience), not_told(&dispatch.state, why))
            }
            Finding::Unclear(why) => {
                search.empty_since = None;
                (later(first_at, patience), not_told(&dispatch.state, why))
            }
            Finding::Several(why, runs) => {
                search.empty_since = None;
                (later(first_at, patience), give_up(&dispatch.state, why, UnseenRun::Several { runs }))
            }
        };
        if now >= ends {
            return otherwise;
        }
        // Twice as long after the first listing each time, and not later than the last one is due.
        let waited = Duration::try_from(now.duration_since(first_at)).unwrap_or_default();
        let until = later(now, waited.max(LOOK_AGAIN_AFTER)).min(ends);
        let state = match dispatch.state.clone() {
            DispatchState::InDoubt { error, .. } => DispatchState::InDoubt { search, error },
            _ => DispatchState::Started { search },
        };
        Step::Look { state, until }
    }
}

/// Whether a run is of the kind that a request starts.
fn could_be_of(run: &ListedRun, request: &DispatchRequest) -> bool {
    match request {
        DispatchRequest::Workflow(request) => {
            run.event == "workflow_dispatch"
                && run.workflow.as_ref() == Some(request.workflow())
                && run.head_branch.as_ref().map(Branch::as_str) == Some(request.git_ref().short_name())
        }
        DispatchRequest::Event(_) => run.event == "repository_dispatch",
    }
}

/// An open call, and whether it is still being made.
struct Open {
    call: OpenCall,
    being_made: bool,
}

/// Compares the open calls of a target and ref with the runs that are nobody's, the oldest first.
fn compare(dispatch: &DispatchKey, open: &[Open], runs: Vec<ListedRun>) -> Finding {
    if runs.is_empty() {
        return Finding::Nothing;
    }
    if open.iter().any(|open| open.being_made) {
        return Finding::TooEarly;
    }
    if runs.len() != open.len() {
        return Finding::several(too_many(runs.len(), open), runs.into_iter().map(|run| run.run));
    }
    // A ledger is in the order in which the calls began.
    let position = open.iter().position(|open| open.call.dispatch == *dispatch);
    match position.and_then(|position| runs.into_iter().nth(position)) {
        Some(run) => Finding::run(run, Duration::ZERO),
        None => Finding::Unclear("its call is not in the ledger of its target".to_owned()),
    }
}

fn too_many(runs: usize, open: &[Open]) -> String {
    format!("the target has {runs} runs that could be of {} open calls: who started which cannot be told", open.len())
}

/// GitHub did not do it: it is tried once more, and only once.
fn not_done(dispatch: &Dispatch, now: Timestamp) -> Step {
    match &dispatch.state {
        DispatchState::InDoubt { error, .. } if dispatch.doubts < 2 => {
            let error = format!("{error}; the target's runs show that it did not happen, so it is tried once more");
            Step::Wait { until: now, error }
        }
        state => not_observed(state, "it was in doubt twice, and the target has no run of it"),
    }
}

/// Looking tells that there is no run.
fn not_observed(state: &DispatchState, why: &str) -> Step {
    give_up(state, why.to_owned(), UnseenRun::NotObserved { lacks: None })
}

/// Looking does not tell whether there is one.
fn not_told(state: &DispatchState, why: String) -> Step {
    give_up(state, why.clone(), UnseenRun::NotTold { why })
}

/// Looking does not help any more.
fn give_up(state: &DispatchState, why: String, unseen: UnseenRun) -> Step {
    match state {
        DispatchState::InDoubt { error, .. } => Step::To(DispatchState::Unknown { error: format!("{error}; {why}") }),
        _ => Step::Unseen(unseen),
    }
}
