//! Which run is an event's.
//!
//! GitHub takes an event also where nobody listens, and several workflows may. So its run is claimed only where one call and
//! one run are there, and still are a moment later: by then the runs of other workflows are listed too. Where none is there
//! that proves nothing, and a call in doubt is parked as unknown. What ties a run to an event:
//!
//! | its title | its workflow | the run is |
//! |---|---|---|
//! | the event's name, as GitHub has it unless `run-name` is set | any | of the event |
//! | the name of another event that was made there | any | of that one |
//! | anything else | does not listen to the event | of another one |
//! | | listens to it, and to no other one that was made meanwhile | of the event |
//! | | listens to any event | of the event, if GitHub took it, and no other run comes within `settle`: what the event itself started does |
//! | | cannot be read | maybe of the event |

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Finding, Open, Pipeline, too_many};
use crate::Timestamp;
use crate::chain::Place;
use crate::dispatch::{Dispatch, DispatchState};
use crate::name::EventType;
use crate::pipeline::lookup::LookupError;
use crate::policy::Start;
use crate::ports::github::{ListedRun, RepositoryRef};
use crate::ports::pull_requests::WorkflowFound;
use crate::ports::store::{RecordKey, StoreError, Stored};
use crate::workflow::Triggers;

/// How long a run that is surely of an event must be the only one. GitHub makes all runs of an event at once, and lists
/// them within a second or two.
const RUN_HOLDS: Duration = Duration::from_secs(2);

/// What ties a run to an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Tie {
    /// It is of the event.
    Sure,
    /// Its workflow listens to the event, and to these; None: to any.
    Listens(Option<BTreeSet<EventType>>),
    /// What its workflow listens to cannot be read.
    Unknown,
}

impl Pipeline {
    /// Those of the runs that could be of an event, and what ties each to it. `since` is the time of the oldest.
    pub(super) async fn of_event(
        &self,
        repository: &RepositoryRef,
        target: &Place,
        runs: Vec<ListedRun>,
        since: Timestamp,
    ) -> Result<Vec<(ListedRun, Tie)>, LookupError> {
        let runs = self.not_of_other_events(target, runs).await?;
        let named = |run: &ListedRun| run.title == target.start.as_str();
        // To read every workflow takes many requests, and most often the titles say it all.
        let workflows = match runs.iter().all(named) {
            true => Vec::new(),
            false => self.github.workflows(repository).await?,
        };
        let mut tied = Vec::new();
        for run in runs {
            let tie = if named(&run) { Some(Tie::Sure) } else { Tie::by_workflow(&run, &target.start, &workflows) };
            match tie {
                Some(Tie::Listens(Some(others))) if !self.are_called(target, &others, since).await? => {
                    tied.push((run, Tie::Sure));
                }
                tie => tied.extend(tie.map(|tie| (run, tie))),
            }
        }
        Ok(tied)
    }

    /// Those of the runs whose title is not the name of another event that was made there.
    async fn not_of_other_events(
        &self,
        target: &Place,
        mut runs: Vec<ListedRun>,
    ) -> Result<Vec<ListedRun>, StoreError> {
        let titles: BTreeSet<EventType> = runs.iter().filter_map(|run| run.title.parse().ok()).collect();
        let others: BTreeSet<_> = titles.into_iter().filter(|title| title.as_str() != target.start.as_str()).collect();
        // A ledger is there before the first call.
        let ledgers = self.ledgers(target, &others).await?;
        let made = others.iter().zip(ledgers).filter(|(_, ledger)| ledger.is_some());
        let made: BTreeSet<_> = made.map(|(title, _)| title.as_str()).collect();
        runs.retain(|run| !made.contains(run.title.as_str()));
        Ok(runs)
    }

    /// Whether one of the events was made since then, by a call whose run is not known.
    async fn are_called(
        &self,
        target: &Place,
        events: &BTreeSet<EventType>,
        since: Timestamp,
    ) -> Result<bool, StoreError> {
        let ledgers = self.ledgers(target, events).await?;
        let mut calls = ledgers.iter().flatten().filter_map(|stored| stored.record.ledger()).flat_map(|it| &it.calls);
        Ok(calls.any(|call| call.since >= since))
    }

    /// The ledgers of events that are made at the same repository as this one.
    async fn ledgers(&self, target: &Place, events: &BTreeSet<EventType>) -> Result<Vec<Option<Stored>>, StoreError> {
        let place = |event: &EventType| Place { start: Start::Event(event.clone()), ..target.clone() };
        self.store.load(&events.iter().map(|event| RecordKey::Target(place(event))).collect::<Vec<_>>()).await
    }
}

impl Tie {
    /// What ties a run to an event of which its title says nothing. None: its workflow does not listen to it.
    fn by_workflow(run: &ListedRun, event: &Start, workflows: &[WorkflowFound]) -> Option<Self> {
        let workflow = workflows.iter().find(|workflow| Some(&workflow.file) == run.workflow.as_ref());
        match workflow.and_then(Triggers::of) {
            None => Some(Self::Unknown),
            Some(triggers) => triggers.include(event).then(|| Self::Listens(triggers.events_besides(event))),
        }
    }
}

/// Compares the open calls of an event with the runs that could be of it and that are nobody's, the oldest first.
pub(super) fn compare_event(
    dispatch: &Dispatch,
    open: &[Open],
    runs: Vec<(ListedRun, Tie)>,
    settle: Duration,
) -> Finding {
    if runs.is_empty() {
        return Finding::Nothing;
    }
    if open.iter().any(|open| open.being_made) {
        return Finding::TooEarly;
    }
    let is_sent = !matches!(dispatch.state, DispatchState::InDoubt { .. });
    let why = match (&runs[..], open) {
        ([(run, tie)], [open]) if open.call.dispatch == dispatch.key => match tie {
            Tie::Sure => return Finding::run(run.clone(), RUN_HOLDS),
            Tie::Listens(None) if is_sent => return Finding::run(run.clone(), settle),
            Tie::Listens(None) => {
                let workflow = "the only run is of a workflow that listens to any event";
                format!("{workflow}, and nobody knows whether this one was made")
            }
            Tie::Listens(Some(_)) => "the only run could be of another event, which was made meanwhile".to_owned(),
            Tie::Unknown => "whether the workflow of the only run listens to the event cannot be told".to_owned(),
        },
        _ => too_many(runs.len(), open),
    };
    Finding::several(why, runs.into_iter().map(|(run, _)| run.run))
}
