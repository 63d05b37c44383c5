//! What a story of the world tells reaches the read models once, however it gets there.

use std::time::Duration;

use dispatch_core::fact::{Fact, FactBody};
use dispatch_core::guardrail::Guardrails;
use dispatch_core::ports::store::{Commit, StorePort, ViewQuery};
use dispatch_core::projection::{
    BY_NAME, Counter, DELIVERIES, EDGES, EVERYTHING, JOURNEY, PARKED, ViewRow, journey_partition,
};
use dispatch_core::testing::world::{RepositoryOptions, RunSpec};
use dispatch_core::testing::{MemoryStore, Rehearsal, World};
use futures_util::future::join_all;

use crate::aws::table::Table;

/// The facts of so many runs that each want to start so many others: the first of these agree.
fn story(runs: usize, targets: usize, agree: usize) -> Vec<Fact> {
    let mut world = World::new("2026-01-01T00:00:00Z".parse().unwrap());
    let api = "acme/api".parse().unwrap();
    world.add_repository(&api, RepositoryOptions::default()).unwrap();
    let mut policy = "outbound:\n  - source:\n      workflow: ci.yml\n    targets:\n".to_owned();
    for n in 0..targets {
        policy.push_str(&format!("      - repository: web-{n:02}\n        workflow: cd.yml\n"));
    }
    let ci = "name: ci\non: push\njobs: {}\n";
    world.write_file(&api, "main", ".github/workflows/ci.yml", ci).unwrap();
    world.write_file(&api, "main", "dispatching.yml", &policy).unwrap();
    for n in 0..agree {
        let web = format!("acme/web-{n:02}").parse().unwrap();
        world.add_repository(&web, RepositoryOptions::default()).unwrap();
        let consent = "inbound:\n  - source:\n      repository: api\n      workflow: ci.yml\n    targets:\n      - workflow: cd.yml\n";
        world.write_file(&web, "main", "dispatching.yml", consent).unwrap();
        let cd = "on:\n  workflow_dispatch:\njobs: {}\n";
        world.write_file(&web, "main", ".github/workflows/cd.yml", cd).unwrap();
    }
    for _ in 0..runs {
        world.complete_run(&api, RunSpec::new("ci.yml", "main")).unwrap();
        world.advance(Duration::from_secs(60));
    }
    let settings = [("OWNER_ALLOWLIST", "acme"), ("DISPATCH_MAX_TARGETS_PER_RUN", "90")];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let rehearsal = Rehearsal::new(world, Guardrails::from_settings(&settings).unwrap()).unwrap();
    rehearsal.run_until_quiet().unwrap();
    rehearsal.store().facts()
}

/// What the read models show of these facts.
async fn shown(store: &impl StorePort, facts: &[Fact]) -> (Vec<ViewRow>, Vec<u64>) {
    let mut rows = Vec::new();
    let views = [(DELIVERIES, EVERYTHING), (PARKED, EVERYTHING), (EDGES, EVERYTHING), (EDGES, BY_NAME)];
    let views = views.map(|(view, partition)| (view, partition.to_owned()));
    let journeys = facts.iter().map(|fact| (JOURNEY, journey_partition(&fact.subject.delivery)));
    for (view, partition) in views.into_iter().chain(journeys) {
        rows.extend(store.rows(ViewQuery { view, partition, before: None, limit: 500 }).await.unwrap());
    }
    let names = Counter::TOTALS.map(|counter| counter.to_string());
    (rows, store.counters(&names).await.unwrap())
}

/// What the store in memory shows of them.
async fn expected(facts: &[Fact]) -> (Vec<ViewRow>, Vec<u64>) {
    let memory = MemoryStore::new();
    for fact in facts {
        memory.commit(Commit { writes: Vec::new(), facts: vec![fact.clone()] }).await.unwrap();
    }
    shown(&memory, facts).await
}

#[tokio::test]
async fn facts_are_applied_once_in_any_order_and_at_the_same_time() {
    let facts = story(2, 2, 1);
    assert!(facts.iter().any(|fact| matches!(fact.body, FactBody::DispatchRunProgressed { .. })), "a whole story");
    let store = Table::new().await.store();
    // Two who read the stream, of whom one began in the middle and the other goes backwards, and each goes twice.
    let (first, second) = facts.split_at(facts.len() / 2);
    let forwards: Vec<_> = second.iter().chain(first).chain(&facts).cloned().collect();
    let backwards: Vec<_> = forwards.iter().rev().cloned().collect();
    let applied = join_all([&forwards, &backwards].map(|facts| store.apply(facts))).await;
    assert!(applied.iter().all(Result::is_ok), "{applied:?}");
    assert_eq!(shown(&store, &facts).await, expected(&facts).await);
}

#[tokio::test]
async fn a_fact_that_changes_more_than_one_transaction_writes_is_applied_once() {
    let facts = story(1, 90, 0);
    let store = Table::new().await.store();
    let applied = join_all([&facts, &facts, &facts].map(|facts| store.apply(facts))).await;
    assert!(applied.iter().all(Result::is_ok), "{applied:?}");
    let (rows, counters) = shown(&store, &facts).await;
    assert_eq!(rows.iter().filter(|row| row.view == EDGES).count(), 180, "each edge in both places");
    assert_eq!((rows, counters), expected(&facts).await);
}
