//! The whole service in memory, over repositories that may all start one another.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use dispatch_core::event::EventIdentity;
use dispatch_core::guardrail::Guardrails;
use dispatch_core::name::Repository;
use dispatch_core::ports::store::Record;
use dispatch_core::testing::world::{RepositoryOptions, RunSpec};
use dispatch_core::testing::{Rehearsal, World};
use proptest::prelude::*;

const REPOSITORIES: usize = 3;
const WORKFLOWS: usize = 3;
/// Places where something runs: each workflow of each repository.
const PLACES: usize = REPOSITORIES * WORKFLOWS;

/// Whether the place in the row starts the place in the column.
type Edges = Vec<Vec<bool>>;

fn repository(place: usize) -> Repository {
    format!("octo-org/r{}", place / WORKFLOWS).parse().unwrap()
}

fn workflow(place: usize) -> String {
    format!("w{}.yml", place % WORKFLOWS)
}

/// The policy of a repository: its rules, and that it accepts whatever anybody starts in it.
fn policy(edges: &Edges, number: usize) -> String {
    let own = number * WORKFLOWS..(number + 1) * WORKFLOWS;
    let mut text = String::new();
    let mut outbound = "outbound:\n";
    for from in own.clone() {
        let targets: Vec<usize> = (0..PLACES).filter(|to| edges[from][*to]).collect();
        if targets.is_empty() {
            continue;
        }
        write!(text, "{outbound}  - source:\n      workflow: {}\n    targets:\n", workflow(from)).unwrap();
        outbound = "";
        for to in targets {
            let name = repository(to);
            writeln!(text, "      - repository: {}\n        workflow: {}", name.name(), workflow(to)).unwrap();
        }
    }
    text.push_str("inbound:\n");
    for from in 0..PLACES {
        let source = repository(from);
        let named = format!("      repository: {}\n      workflow: {}\n", source.name(), workflow(from));
        write!(text, "  - source:\n{named}    targets:\n").unwrap();
        for to in own.clone() {
            writeln!(text, "      - workflow: {}", workflow(to)).unwrap();
        }
    }
    text
}

/// Lets runs complete at these places, and everything that follows from them. Answers with how many dispatches each of them
/// led to.
fn follow(edges: &Edges, roots: &[usize], depth: usize) -> BTreeMap<EventIdentity, usize> {
    let mut world = World::new("2026-01-01T00:00:00Z".parse().unwrap());
    for number in 0..REPOSITORIES {
        let name = repository(number * WORKFLOWS);
        world.add_repository(&name, RepositoryOptions::default()).unwrap();
        for place in number * WORKFLOWS..(number + 1) * WORKFLOWS {
            let path = format!(".github/workflows/{}", workflow(place));
            world.write_file(&name, "main", &path, "on:\n  workflow_dispatch:\njobs: {}\n").unwrap();
        }
        world.write_file(&name, "main", "dispatching.yml", &policy(edges, number)).unwrap();
    }
    for root in roots {
        world.complete_run(&repository(*root), RunSpec::new(&workflow(*root), "main")).unwrap();
    }
    let settings = [
        ("OWNER_ALLOWLIST", "octo-org".to_owned()),
        ("DISPATCH_MAX_TARGETS_PER_RUN", "90".to_owned()),
        ("DISPATCH_MAX_EDGE_RATE", "1000".to_owned()),
        ("DISPATCH_MAX_CHAIN_DEPTH", depth.to_string()),
    ];
    let settings = settings.map(|(name, value)| (name.to_owned(), value)).into();
    let rehearsal = Rehearsal::new(world, Guardrails::from_settings(&settings).unwrap()).unwrap();
    // That this comes back is half of the promise.
    rehearsal.run_until_quiet().unwrap();

    let mut planned: BTreeMap<EventIdentity, usize> = BTreeMap::new();
    let mut counted: BTreeMap<EventIdentity, usize> = BTreeMap::new();
    for record in rehearsal.store().records() {
        match record {
            Record::Dispatch(dispatch) => {
                let root = dispatch.decision.allowed().unwrap().chain.root.clone();
                *planned.entry(root).or_default() += 1;
            }
            Record::Root(root, budget) => {
                counted.insert(root, budget.spent.values().map(|count| *count as usize).sum());
            }
            Record::Run(_, run) => {
                assert!(run.chain.depth() <= depth, "{:?}", run.chain);
                let places: BTreeSet<_> = run.chain.places.iter().collect();
                assert_eq!(places.len(), run.chain.places.len(), "a chain came back: {:?}", run.chain);
            }
            _ => {}
        }
    }
    assert_eq!(planned, counted, "every dispatch is counted, once");
    assert_eq!(rehearsal.world().take_dispatches().len(), planned.values().sum::<usize>());
    planned
}

#[test]
fn where_everything_starts_everything_each_event_ends_after_a_hundred_dispatches() {
    let everything = vec![vec![true; PLACES]; PLACES];
    let started = follow(&everything, &[0, 4], 8);
    assert_eq!(started.into_values().collect::<Vec<_>>(), [100, 100]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn however_policies_start_one_another_every_chain_ends_within_its_budget(
        edges in prop::collection::vec(prop::collection::vec(prop::bool::weighted(0.25), PLACES), PLACES),
        roots in prop::collection::btree_set(0..PLACES, 1..3),
        depth in 1_usize..12,
    ) {
        let roots: Vec<usize> = roots.into_iter().collect();
        for (root, dispatches) in follow(&edges, &roots, depth) {
            prop_assert!(dispatches <= 100, "{} led to {dispatches} dispatches", root.as_str());
        }
    }
}
