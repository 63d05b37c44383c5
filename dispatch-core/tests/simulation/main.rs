//! The service, its store and GitHub in one process, under a scheduler that a seed determines.
//!
//! Nothing here is real but the pipeline, the store's rules and GitHub's rules: time passes when the scheduler says so,
//! every call of a port is an await point at which another task may go on, a process may crash, or something may go wrong
//! on the way. One seed is one run, for good. A seed that breaks a promise is printed with the end of its trace:
//!
//! `SIMULATION_SEED=17 cargo test -p dispatch-core --test simulation`
//!
//! runs it again, and prints all of it. `SIMULATION_SEEDS=10000` says how many seeds are tried.
//!
//! What is promised is in [`invariants`], at each effect; in [`aftermath`], at the end; and in [`read_models`]. That a
//! broken promise is seen is shown by [`sabotage`].

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
#![allow(clippy::unreachable, reason = "tests")]
#![allow(clippy::print_stdout, clippy::disallowed_macros, reason = "a seed that breaks a promise is shown to people")]

mod aftermath;
mod agreements;
mod executor;
mod github;
mod invariants;
mod messages;
mod observed;
mod people;
mod previews;
mod random;
mod read_models;
mod reply;
mod run;
mod sabotage;
mod service;
mod side;
mod sim;
mod store;
mod weather;
mod webhooks;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::run::{Outcome, run};
use crate::sabotage::Sabotage;

/// How many seeds are tried where nobody says.
const SEEDS: u64 = 40;
/// How many seeds are tried at most to see a promise broken.
const SABOTAGED_SEEDS: u64 = 300;
/// How much of a trace is shown.
const SHOWN: usize = 120;

#[test]
fn every_promise_is_kept_whatever_breaks() {
    if let Some(seed) = number("SIMULATION_SEED") {
        let outcome = run(seed, None, true);
        println!("{}", outcome.trace.join("\n"));
        assert_eq!(outcome.broken, None, "seed {seed}");
        return;
    }
    let seeds = number("SIMULATION_SEEDS").unwrap_or(SEEDS);
    let (outcomes, failed) = run_all(seeds);
    if let Some((seed, _)) = failed.first() {
        let outcome = run(*seed, None, true);
        let from = outcome.trace.len().saturating_sub(SHOWN);
        for line in &outcome.trace[from..] {
            println!("{line}");
        }
        for (seed, broken) in &failed {
            println!("seed {seed}: {broken}");
        }
        panic!(
            "{} of {seeds} seeds break a promise. Again: SIMULATION_SEED={seed} cargo test -p dispatch-core --test simulation",
            failed.len()
        );
    }
    // A simulation in which nothing happens keeps every promise.
    println!("{seeds} seeds: {outcomes:?}");
    assert!(outcomes.effects as u64 > seeds && outcomes.crashes as u64 > seeds, "{outcomes:?}");
}

#[test]
fn one_seed_is_one_run_for_good() {
    for seed in 0..4 {
        let (one, other) = (run(seed, None, true), run(seed, None, true));
        assert!(one.trace.len() > 50, "seed {seed} has a trace of {} lines", one.trace.len());
        assert_eq!(one, other, "seed {seed}");
        assert_ne!(one.trace, run(seed + 1, None, true).trace);
    }
}

#[test]
fn a_port_that_sends_too_late_is_seen() {
    assert_seen(Sabotage::LateCalls, &["consent", "at most once"]);
}

#[test]
fn a_store_that_counts_a_fact_twice_is_seen() {
    assert_seen(Sabotage::FactsTwice, &["the counter", "every fact once"]);
}

#[test]
fn a_store_that_overwrites_what_it_does_not_expect_is_seen() {
    assert_seen(Sabotage::LostUpdates, &["at most once", "is there twice", "the truth", "have a gap", "the counter"]);
}

#[test]
fn a_store_that_forgets_what_it_has_written_is_seen() {
    assert_seen(Sabotage::Forgetful, &["nothing is lost", "at most once", "the truth", "nobody knows"]);
}

#[test]
fn an_action_that_does_not_wait_for_the_one_before_it_is_seen() {
    assert_seen(Sabotage::ActionsAtOnce, &["one action at a time"]);
}

#[test]
fn a_sweep_that_takes_what_it_does_not_know_for_closed_is_seen() {
    assert_seen(Sabotage::UnknownIsClosed, &["a sweep destroys"]);
}

#[test]
fn a_command_of_somebody_who_may_not_is_seen() {
    assert_seen(Sabotage::EverybodyMayWrite, &["permission: Given"]);
}

#[test]
fn a_comment_that_becomes_a_command_afterwards_is_seen() {
    assert_seen(Sabotage::EditsAreCommands, &["no command", "the right thing"]);
}

#[test]
fn a_second_check_or_comment_for_the_same_is_seen() {
    assert_seen(Sabotage::NothingIsFound, &["one check run", "one comment"]);
}

/// With this sabotage, some seed breaks one of these promises, and soon.
fn assert_seen(sabotage: Sabotage, promises: &[&str]) {
    let mut broken = (0..SABOTAGED_SEEDS).filter_map(|seed| run(seed, Some(sabotage), false).broken);
    let seen = broken.find(|broken| promises.iter().any(|promise| broken.contains(promise)));
    assert!(seen.is_some(), "{sabotage:?} breaks no promise");
}

/// Runs seeds from 0 on, on all processors. Answers with the sum of what happened, and the seeds that broke a promise.
#[expect(clippy::disallowed_methods, reason = "the runs share nothing: which thread runs a seed does not matter")]
fn run_all(seeds: u64) -> (Outcome, Vec<(u64, String)>) {
    let (next, sum) = (AtomicU64::new(0), Mutex::new((Outcome::default(), Vec::new())));
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds {
                        return;
                    }
                    let outcome = run(seed, None, false);
                    let mut sum = sum.lock().unwrap();
                    sum.0.steps += outcome.steps;
                    sum.0.deliveries += outcome.deliveries;
                    sum.0.dispatches += outcome.dispatches;
                    sum.0.effects += outcome.effects;
                    sum.0.crashes += outcome.crashes;
                    sum.0.unknown += outcome.unknown;
                    sum.1.extend(outcome.broken.map(|broken| (seed, broken)));
                }
            });
        }
    });
    let (outcome, mut failed) = sum.into_inner().unwrap();
    failed.sort();
    (outcome, failed)
}

#[expect(clippy::disallowed_methods, reason = "which seeds to run is said from outside")]
fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().expect("a number"))
}
