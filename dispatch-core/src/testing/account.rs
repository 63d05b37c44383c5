//! The account of everything that happened: what a store says of it in the end, and whether that agrees with GitHub and
//! with itself. For tests of whole services, whatever their store and however hard their life was.
//!
//! Its policies give every dispatched run the input [`BECAUSE_OF`], so that each run tells what it is for:
//! [`add_agreement`] makes such repositories.
#![expect(clippy::expect_used, clippy::panic, reason = "a suite of tests: it ends at the first broken promise")]

use std::collections::{BTreeMap, BTreeSet};

use super::world::{RepositoryOptions, Run, World, WorldError};
use crate::delivery::{Delivery, DeliveryState};
use crate::dispatch::{Dispatch, DispatchKey, DispatchState};
use crate::event::EventKind;
use crate::fact::{Fact, FactBody};
use crate::name::{Repository, RunId};
use crate::ports::store::{Queue, Record, RecordKey, StorePort, ViewQuery, WaitingQuery};
use crate::projection::{
    Counter, DELIVERIES, DeliveryRow, EVERYTHING, JOURNEY, PARKED, Update, ViewRow, journey_partition, project,
};

/// The input that names the run because of which a run was started: `{{ source.run_id }}`.
pub const BECAUSE_OF: &str = "because_of";
/// The workflow of a source whose runs start something.
pub const STARTS: &str = "ci.yml";
/// The workflow of a source whose runs start nothing.
pub const STARTS_NOTHING: &str = "lint.yml";
/// The workflow that is started.
pub const STARTED: &str = "cd.yml";
const PAGE: usize = 200;

/// Makes a source and its targets, of one owner, which agree: a run of [`STARTS`] in the source starts [`STARTED`] in
/// each target.
///
/// # Errors
/// The world refuses.
pub fn add_agreement(world: &mut World, source: &Repository, targets: &[Repository]) -> Result<(), WorldError> {
    let entries = targets.iter().map(|target| {
        let inputs = format!("{{ {BECAUSE_OF}: \"{{{{ source.run_id }}}}\" }}");
        format!("      - {{ repository: {}, workflow: {STARTED}, inputs: {inputs} }}\n", target.name())
    });
    let entries: String = entries.collect();
    let policy = format!("outbound:\n  - source: {{ workflow: {STARTS} }}\n    targets:\n{entries}");
    add(world, source, &[STARTS, STARTS_NOTHING], &policy)?;
    targets.iter().try_for_each(|target| add(world, target, &[STARTED], &consent_to(source)))
}

/// The policy file of a target that agrees to a source.
#[must_use]
pub fn consent_to(source: &Repository) -> String {
    format!(
        "inbound:\n  - source: {{ repository: {}, workflow: {STARTS} }}\n    targets:\n      \
         - {{ workflow: {STARTED}, accept_inputs: [{BECAUSE_OF}] }}\n",
        source.name()
    )
}

fn add(world: &mut World, repository: &Repository, workflows: &[&str], policy: &str) -> Result<(), WorldError> {
    world.add_repository(repository, RepositoryOptions::default())?;
    let inputs = format!("    inputs:\n      {BECAUSE_OF}: {{ type: string }}\n");
    let text = format!("on:\n  push:\n  workflow_dispatch:\n{inputs}jobs: {{}}\n");
    for workflow in workflows {
        world.write_file(repository, "main", &format!(".github/workflows/{workflow}"), &text)?;
    }
    world.write_file(repository, "main", "dispatching.yml", policy)?;
    Ok(())
}

/// A run that is to be started: in which repository, and because of which run.
pub type Start = (Repository, RunId);

/// What happened, and what it must have led to.
#[derive(Debug, Clone, Default)]
pub struct Expected {
    /// Every run that completed.
    pub completed: BTreeSet<RunId>,
    /// What had to be started because of them, once.
    pub started: BTreeSet<Start>,
    /// What may have been started, once: whether there was consent at that moment, only the service can say.
    pub perhaps_started: BTreeSet<Start>,
}

/// How the dispatches ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outcomes {
    /// So many started a run that is known.
    pub triggered: usize,
    /// Of so many nobody knows whether they did, which is told to the operator.
    pub unknown: usize,
    /// So many were denied before the call. Only what [may](Expected::perhaps_started) be started can be.
    pub cancelled: usize,
    /// So many calls were in doubt meanwhile.
    pub doubts: usize,
}

/// What is left to do in a store in which so many completed runs are to be decided about, if anything is.
pub async fn left_to_do(store: &impl StorePort, completed: usize) -> Option<String> {
    let accepted = store.counters(&[Counter::Received.to_string()]).await.expect("counts");
    // GitHub tells as well how far the runs got that were started.
    let told = if accepted < vec![completed as u64] { 0 } else { completions(store).await };
    if told != completed {
        return Some(format!("{told} of {completed} completed runs are known, of {accepted:?} accepted webhooks"));
    }
    for queue in Queue::ALL {
        let waiting = store.waiting(WaitingQuery { queue, after: None, limit: PAGE }).await.expect("lists");
        if let Some(first) = waiting.first() {
            return Some(format!("{} or more items wait; the first is {:#?}", waiting.len(), first.record));
        }
    }
    None
}

/// How many completed runs GitHub told of.
async fn completions(store: &impl StorePort) -> usize {
    let keys = all_rows(store, DELIVERIES, EVERYTHING.to_owned()).await;
    let keys: Vec<_> = keys.iter().map(|row| row.read::<DeliveryRow>().expect("a row of deliveries").key).collect();
    let mut count = 0;
    for keys in keys.chunks(PAGE) {
        let keys: Vec<_> = keys.iter().cloned().map(RecordKey::Delivery).collect();
        let deliveries = store.load(&keys).await.expect("loads").into_iter().flatten();
        let completed = |record: &Record| matches!(record, Record::Delivery(it) if matches!(it.event.kind, EventKind::WorkflowRun(_)));
        count += deliveries.filter(|stored| completed(&stored.record)).count();
    }
    count
}

/// All rows of a view, page by page.
async fn all_rows(store: &impl StorePort, view: &'static str, partition: String) -> Vec<ViewRow> {
    let mut rows: Vec<ViewRow> = Vec::new();
    loop {
        let before = rows.last().map(|row| row.sort.clone());
        let query = ViewQuery { view, partition: partition.clone(), before, limit: PAGE };
        let page = store.rows(query).await.expect("reads rows");
        if page.is_empty() {
            return rows;
        }
        rows.extend(page);
    }
}

/// Everything that a store says.
pub struct Account<S> {
    store: S,
    deliveries: Vec<(Delivery, Vec<Fact>)>,
    dispatches: Vec<Dispatch>,
}

impl<S: StorePort> Account<S> {
    /// Reads it.
    ///
    /// # Panics
    /// What is shown is not stored.
    pub async fn read(store: S) -> Self {
        let mut account = Self { store, deliveries: Vec::new(), dispatches: Vec::new() };
        for row in account.rows(DELIVERIES, EVERYTHING.to_owned()).await {
            let key = row.read::<DeliveryRow>().expect("a row of deliveries").key;
            let Some(Record::Delivery(delivery)) = account.load(RecordKey::Delivery(key.clone())).await else {
                panic!("the delivery `{key}` is shown and not stored");
            };
            let journey = account.rows(JOURNEY, journey_partition(&key)).await;
            let facts: Vec<Fact> = journey.iter().map(|row| row.read().expect("a fact")).collect();
            for key in facts.iter().flat_map(|fact| planned(&delivery, fact)) {
                match account.load(RecordKey::Dispatch(key.clone())).await {
                    Some(Record::Dispatch(dispatch)) => account.dispatches.push(*dispatch),
                    _ => panic!("the dispatch `{key}` was planned and is not stored"),
                }
            }
            account.deliveries.push((*delivery, facts));
        }
        account
    }

    /// Checks that nothing was lost and nothing was done twice, by the store and by the runs that GitHub has, and that
    /// records, facts and read models tell the same.
    ///
    /// # Panics
    /// They do not.
    pub async fn check(&self, expected: &Expected, dispatched: &[Run]) -> Outcomes {
        nothing_was_started_twice_or_without_a_reason(expected, dispatched);
        assert_eq!(left_to_do(&self.store, expected.completed.len()).await, None);
        self.each_completed_run_was_decided_about_once(expected);
        self.what_was_planned_is_what_was_agreed(expected);
        self.no_call_is_open().await;
        self.facts_are_numbered_without_a_gap();
        self.read_models_are_what_the_facts_make_of_them().await;
        self.each_has_its_run_or_is_explained(expected, dispatched)
    }

    fn each_completed_run_was_decided_about_once(&self, expected: &Expected) {
        let mut decided = BTreeSet::new();
        for (delivery, _) in &self.deliveries {
            let (key, state) = (&delivery.key, (&delivery.state, delivery.due));
            match &delivery.event.kind {
                EventKind::WorkflowRun(run) => {
                    assert_eq!(state, (&DeliveryState::Planned, None), "the delivery `{key}` is not done");
                    assert!(decided.insert(run.id), "the run {} was decided about twice", run.id);
                }
                EventKind::RunProgress(_) => {
                    assert_eq!(state, (&DeliveryState::Planned, None), "the delivery `{key}` is not done");
                }
                _ => assert_eq!(state, (&DeliveryState::Noted, None), "the delivery `{key}` is not done"),
            }
        }
        assert_eq!(decided, expected.completed, "decided about, and completed");
    }

    fn what_was_planned_is_what_was_agreed(&self, expected: &Expected) {
        let planned: BTreeSet<_> = self.dispatches.iter().map(wanted).collect();
        assert_eq!(planned.len(), self.dispatches.len(), "something was planned twice");
        assert_eq!(expected.started.difference(&planned).next(), None, "was never planned");
        let agreed: BTreeSet<_> = expected.started.union(&expected.perhaps_started).cloned().collect();
        assert_eq!(planned.difference(&agreed).next(), None, "was planned without a reason");
    }

    async fn no_call_is_open(&self) {
        let targets: BTreeSet<_> = self.dispatches.iter().map(|dispatch| dispatch.key.target.clone()).collect();
        for target in targets {
            if let Some(Record::Target(place, ledger)) = self.load(RecordKey::Target(target)).await {
                assert_eq!(ledger.open_calls(), 0, "open calls of {place:?}");
            }
        }
    }

    fn facts_are_numbered_without_a_gap(&self) {
        let mut sequences: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        for fact in self.facts() {
            sequences.entry(fact.subject.to_string()).or_default().push(fact.sequence);
        }
        let deliveries = self.deliveries.iter().map(|(d, _)| (RecordKey::Delivery(d.key.clone()), d.facts));
        let dispatches = self.dispatches.iter().map(|d| (RecordKey::Dispatch(d.key.clone()), d.facts));
        for (key, facts) in deliveries.chain(dispatches) {
            let mut found = sequences.remove(&key.to_string()).unwrap_or_default();
            found.sort_unstable();
            assert_eq!(found, (0..facts).collect::<Vec<_>>(), "the facts of `{key}`");
        }
        sequences.retain(|subject, found| {
            found.sort_unstable();
            let (first, last) = (found.first().copied().unwrap_or(0), found.last().copied().unwrap_or(0));
            assert_eq!(*found, (first..=last).collect::<Vec<_>>(), "the facts of `{subject}`");
            !subject.starts_with("environment/")
        });
        assert_eq!(sequences.keys().next(), None, "there are facts about something that is not stored");
    }

    /// Counts and shows every fact once more, and compares.
    async fn read_models_are_what_the_facts_make_of_them(&self) {
        let mut counters: BTreeMap<String, u64> = BTreeMap::new();
        let mut shown: BTreeMap<(String, String), (u64, Option<ViewRow>)> = BTreeMap::new();
        for update in self.facts().flat_map(project) {
            let (place, revision, row) = match update {
                Update::Count { counter, by } => {
                    *counters.entry(counter).or_default() += by;
                    continue;
                }
                // What adds up is not what one fact says.
                Update::Tally(_) => continue,
                Update::Put(row) | Update::Keep(row) => ((row.view.clone(), row.sort.clone()), row.revision, Some(row)),
                Update::Remove { view, sort, revision, .. } => ((view.to_owned(), sort), revision, None),
            };
            let newest = shown.entry(place).or_insert((revision, row.clone()));
            if newest.0 < revision {
                *newest = (revision, row);
            }
        }
        let names: Vec<_> = Counter::TOTALS.iter().map(ToString::to_string).collect();
        let stored = self.store.counters(&names).await.expect("counts");
        for (name, stored) in names.iter().zip(stored) {
            assert_eq!(stored, counters.get(name).copied().unwrap_or(0), "the counter `{name}`");
        }
        for view in [DELIVERIES, PARKED] {
            let made = shown.values().rev().filter_map(|(_, row)| row.clone()).filter(|row| row.view == view);
            assert_eq!(self.rows(view, EVERYTHING.to_owned()).await, made.collect::<Vec<_>>(), "the view `{view}`");
        }
    }

    fn each_has_its_run_or_is_explained(&self, expected: &Expected, dispatched: &[Run]) -> Outcomes {
        let runs: BTreeMap<RunId, Start> = dispatched.iter().map(|run| (run.id, start(run))).collect();
        let started: BTreeSet<&Start> = runs.values().collect();
        let (mut claimed, mut named) = (BTreeSet::new(), BTreeSet::new());
        let mut outcomes = Outcomes::default();
        for dispatch in &self.dispatches {
            let (key, wanted) = (&dispatch.key, wanted(dispatch));
            outcomes.doubts += dispatch.doubts as usize;
            match &dispatch.state {
                DispatchState::Triggered { run: Some(run) } => {
                    assert!(started.contains(&wanted), "`{key}` says that it was started, and it was not");
                    assert!(named.insert(run.id), "two dispatches name the run {}", run.id);
                    let found = runs.get(&run.id);
                    // Which of several calls that were in doubt at one target has which of their runs, nobody can tell.
                    let same = |found: &Start| dispatch.doubts > 0 && found.0 == wanted.0;
                    assert!(found.is_some_and(|found| *found == wanted || same(found)), "`{key}` names {run:?}");
                    claimed.insert(wanted);
                    outcomes.triggered += 1;
                }
                DispatchState::Unknown { error } => {
                    assert!(!error.is_empty() && dispatch.parked_at.is_some(), "`{key}` is not told to the operator");
                    claimed.insert(wanted);
                    outcomes.unknown += 1;
                }
                DispatchState::Cancelled { .. } if expected.perhaps_started.contains(&wanted) => {
                    outcomes.cancelled += 1
                }
                state => panic!("`{key}` ended as {state:?}"),
            }
        }
        let unclaimed = runs.values().find(|start| !claimed.contains(start));
        assert_eq!(unclaimed, None, "was started, and its dispatch says that it was not");
        outcomes
    }

    fn facts(&self) -> impl Iterator<Item = &Fact> {
        self.deliveries.iter().flat_map(|(_, facts)| facts)
    }

    async fn load(&self, key: RecordKey) -> Option<Record> {
        let loaded = self.store.load(&[key]).await.expect("loads");
        loaded.into_iter().next().flatten().map(|stored| stored.record)
    }

    /// All rows of a part of a view, in the order in which it is read.
    async fn rows(&self, view: &'static str, partition: String) -> Vec<ViewRow> {
        all_rows(&self.store, view, partition).await
    }
}

fn nothing_was_started_twice_or_without_a_reason(expected: &Expected, dispatched: &[Run]) {
    let mut started = BTreeSet::new();
    for start in dispatched.iter().map(start) {
        let agreed = expected.started.contains(&start) || expected.perhaps_started.contains(&start);
        assert!(agreed, "{start:?} was started without a reason");
        assert!(started.insert(start.clone()), "{start:?} was started twice");
    }
}

/// The dispatches of a delivery that a fact says were planned.
fn planned(delivery: &Delivery, fact: &Fact) -> Vec<DispatchKey> {
    let FactBody::DeliveryPlanned { plan, already_claimed, .. } = &fact.body else { return Vec::new() };
    assert_eq!(already_claimed.len(), 0, "the event of `{}` was decided about before", delivery.key);
    let key = |target| DispatchKey { event: delivery.event.identity(), target };
    plan.allowed().map(|(decision, _)| key(decision.target.clone())).collect()
}

/// What a dispatched run was started for.
fn start(run: &Run) -> Start {
    (run.repository.clone(), because_of(run.inputs.get(BECAUSE_OF)))
}

/// What a dispatch is to start.
fn wanted(dispatch: &Dispatch) -> Start {
    let inputs = dispatch.decision.inputs();
    (dispatch.key.target.repository.clone(), because_of(inputs.as_ref().and_then(|inputs| inputs.get(BECAUSE_OF))))
}

fn because_of(input: Option<&String>) -> RunId {
    RunId(input.and_then(|id| id.parse().ok()).expect("each run is given the run because of which it is started"))
}
