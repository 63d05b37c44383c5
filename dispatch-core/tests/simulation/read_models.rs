//! The read models, made again from the facts by the slowest means, and compared with those of the store.

use std::collections::{BTreeMap, BTreeSet};

use dispatch_core::delivery::DeliveryState;
use dispatch_core::dispatch::DispatchState;
use dispatch_core::environment::{Environment, EnvironmentState};
use dispatch_core::event::EventKind;
use dispatch_core::fact::{Fact, FactBody};
use dispatch_core::ports::store::{StorePort, ViewQuery};
use dispatch_core::projection::{
    BY_NAME, Counter, DELIVERIES, EDGES, ENVIRONMENTS, EVERYTHING, EnvironmentRow, JOURNEY, PARKED, PRESENT, ParkedRow,
    Update, ViewRow, journey_partition, project,
};
use futures_util::FutureExt;

use crate::aftermath::Records;
use crate::sim::Sim;

/// The first thing that the read models say and the facts do not, or the other way round.
pub(crate) fn check(sim: &Sim, records: &Records) -> Result<(), String> {
    let facts = sim.store.facts();
    facts_are_numbered(&facts)?;
    counters_count(sim, records, &facts)?;
    rows_follow(sim, records, &facts)?;
    edges_add_up(sim, &facts)?;
    parked_is_visible(sim, records)?;
    environments_are_visible(sim, records)
}

/// Every fact has its own id, and no subject has a gap.
fn facts_are_numbered(facts: &[Fact]) -> Result<(), String> {
    let mut numbers: BTreeMap<String, BTreeSet<u32>> = BTreeMap::new();
    for fact in facts {
        if !numbers.entry(fact.subject.to_string()).or_default().insert(fact.sequence) {
            return Err(format!("the fact {} is there twice", fact.id()));
        }
    }
    // An environment may be made anew after its retention: its numbers begin with the time.
    let first = |subject: &str, numbers: &BTreeSet<u32>| match subject.starts_with("environment/") {
        true => numbers.first().copied().unwrap_or(0),
        false => 0,
    };
    let gap = |(subject, numbers): &(&String, &BTreeSet<u32>)| {
        let first = first(subject, numbers);
        !numbers.iter().copied().eq(first..first + numbers.len() as u32)
    };
    match numbers.iter().find(gap) {
        Some((subject, numbers)) => Err(format!("the facts of {subject} have a gap: {numbers:?}")),
        None => Ok(()),
    }
}

fn counters_count(sim: &Sim, records: &Records, facts: &[Fact]) -> Result<(), String> {
    let mut expected: BTreeMap<String, u64> = BTreeMap::new();
    for update in facts.iter().flat_map(project) {
        if let Update::Count { counter, by } = update {
            *expected.entry(counter).or_default() += by;
        }
    }
    let is_noted = |kind: &EventKind| matches!(kind, EventKind::Push(_));
    let noted = records.deliveries.iter().filter(|delivery| is_noted(&delivery.event.kind)).count();
    let received = records.deliveries.len() - noted;
    let triggered = |state: &DispatchState| matches!(state, DispatchState::Triggered { .. });
    let unknown = |state: &DispatchState| matches!(state, DispatchState::Unknown { .. });
    let count = |is: &dyn Fn(&DispatchState) -> bool| records.dispatches.iter().filter(|d| is(&d.state)).count();
    // What is counted is what is there: told by the records, which know nothing of counters.
    let told = [
        (Counter::Received, received),
        (Counter::Noted, noted),
        (Counter::Triggered, count(&triggered)),
        (Counter::Unknown, count(&unknown)),
        (Counter::InDoubt, facts.iter().filter(|fact| matches!(fact.body, FactBody::DispatchInDoubt { .. })).count()),
    ];
    for (counter, expected) in told {
        let [counted] = counters(sim, &[counter.to_string()])[..] else { unreachable!() };
        if counted != expected as u64 {
            return Err(format!("the counter {counter} is {counted}, and there are {expected}"));
        }
    }
    for counter in Counter::TOTALS {
        expected.entry(counter.to_string()).or_default();
    }
    let names: Vec<String> = expected.keys().cloned().collect();
    let counted = counters(sim, &names);
    match expected.iter().zip(counted).find(|((_, expected), counted)| *expected != counted) {
        Some(((name, expected), counted)) => {
            Err(format!("every fact once: `{name}` is {counted}, and the facts make it {expected}"))
        }
        None => Ok(()),
    }
}

/// The counters as a page would read them.
fn counters(sim: &Sim, names: &[String]) -> Vec<u64> {
    let mut counted = sim.store.counters(names).now_or_never().unwrap().unwrap();
    for (name, by) in &sim.observed().counted_again {
        let position = names.iter().position(|other| other == name);
        if let Some(counter) = position.and_then(|position| counted.get_mut(position)) {
            *counter += by;
        }
    }
    counted
}

fn rows_follow(sim: &Sim, records: &Records, facts: &[Fact]) -> Result<(), String> {
    // The row of the highest revision wins, whatever order the facts came in; a removal is a row that is not there.
    let mut expected: BTreeMap<(String, String, String), (u64, Option<ViewRow>)> = BTreeMap::new();
    for update in facts.iter().rev().flat_map(project) {
        let (key, revision, row) = match update {
            Update::Count { .. } | Update::Tally(_) => continue,
            Update::Put(row) | Update::Keep(row) => {
                ((row.view.clone(), row.partition.clone(), row.sort.clone()), row.revision, Some(row))
            }
            Update::Remove { view, partition, sort, revision } => ((view.to_owned(), partition, sort), revision, None),
        };
        if expected.get(&key).is_none_or(|(there, _)| *there < revision) {
            expected.insert(key, (revision, row));
        }
    }
    let one = [(DELIVERIES, EVERYTHING), (PARKED, EVERYTHING), (ENVIRONMENTS, EVERYTHING), (ENVIRONMENTS, PRESENT)];
    let mut partitions: Vec<_> = one.into_iter().map(|(view, partition)| (view, partition.to_owned())).collect();
    partitions.extend(records.deliveries.iter().map(|delivery| (JOURNEY, journey_partition(&delivery.key))));
    let mut there = Vec::new();
    for (view, partition) in partitions {
        let mut page = rows(sim, view, partition);
        page.reverse();
        there.extend(page);
    }
    let mut expected: Vec<ViewRow> = expected.into_values().filter_map(|(_, row)| row).collect();
    let order = |row: &ViewRow| (row.view.clone(), row.partition.clone(), row.sort.clone());
    there.sort_by_key(order);
    expected.sort_by_key(order);
    match expected.iter().zip(&there).find(|(expected, there)| expected != there) {
        Some((expected, there)) => Err(format!("the facts make the row {expected:?}, and there is {there:?}")),
        None if expected.len() != there.len() => {
            Err(format!("the facts make {} rows, and there are {}", expected.len(), there.len()))
        }
        None => Ok(()),
    }
}

/// The rows of edges are what all facts add to them, from the last one to the first.
fn edges_add_up(sim: &Sim, facts: &[Fact]) -> Result<(), String> {
    let mut expected: BTreeMap<String, ViewRow> = BTreeMap::new();
    for update in facts.iter().rev().flat_map(project) {
        let Update::Tally(tally) = update else { continue };
        let sort = tally.sort();
        let (updates, _) = tally.add_to(expected.get(&sort));
        let rows = updates.into_iter().filter_map(|update| match update {
            Update::Put(row) if row.partition == BY_NAME => Some(row),
            _ => None,
        });
        expected.extend(rows.map(|row| (sort.clone(), row)));
    }
    let mut expected: Vec<_> = expected.into_values().map(|row| row.body).collect();
    expected.sort();
    for partition in [BY_NAME, EVERYTHING] {
        let mut there: Vec<_> = rows(sim, EDGES, partition.to_owned()).into_iter().map(|row| row.body).collect();
        there.sort();
        if there != expected {
            return Err(format!("the facts make the edges {expected:?}, and `{partition}` has {there:?}"));
        }
    }
    Ok(())
}

/// What was given up is where the operator sees it, and nothing else is.
fn parked_is_visible(sim: &Sim, records: &Records) -> Result<(), String> {
    let mut visible = BTreeSet::new();
    for row in rows(sim, PARKED, EVERYTHING.to_owned()) {
        let row: ParkedRow = row.read().map_err(|error| error.to_string())?;
        if !visible.insert(row.subject.to_string()) {
            return Err(format!("{} is parked twice", row.subject));
        }
    }
    let deliveries =
        records.deliveries.iter().filter(|delivery| matches!(delivery.state, DeliveryState::Parked { .. }));
    let dispatches = records.dispatches.iter().filter(|dispatch| dispatch.state.is_parked());
    let parked: BTreeSet<String> = deliveries
        .map(|delivery| format!("delivery/{}", delivery.key))
        .chain(dispatches.map(|dispatch| format!("dispatch/{}", dispatch.key)))
        .collect();
    if parked == visible { Ok(()) } else { Err(format!("parked is {parked:?}, and visible is {visible:?}")) }
}

/// Every environment has its row, and those that are not destroyed have another.
fn environments_are_visible(sim: &Sim, records: &Records) -> Result<(), String> {
    for (partition, is_in) in [(EVERYTHING, true), (PRESENT, false)] {
        let visible = rows(sim, ENVIRONMENTS, partition.to_owned());
        let visible: Result<Vec<EnvironmentRow>, _> = visible.iter().map(ViewRow::read).collect();
        let mut visible = visible.map_err(|error| error.to_string())?;
        visible.sort_by(|one, other| one.key.cmp(&other.key));
        let is_there = |environment: &&Environment| is_in || environment.state != EnvironmentState::Destroyed;
        let mut expected: Vec<_> = records.environments.iter().filter(is_there).map(EnvironmentRow::new).collect();
        expected.sort_by(|one, other| one.key.cmp(&other.key));
        if visible != expected {
            return Err(format!("the truth: environments are {expected:?}, and visible is {visible:?}"));
        }
    }
    Ok(())
}

fn rows(sim: &Sim, view: &'static str, partition: String) -> Vec<ViewRow> {
    let query = ViewQuery { view, partition, before: None, limit: usize::MAX };
    sim.store.rows(query).now_or_never().unwrap().unwrap()
}
