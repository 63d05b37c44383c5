//! The process is told to end while it works.

use std::time::Duration;

use dispatch_core::testing::account::{Account, Expected, Outcomes};
use dispatch_core::testing::world::{Fault, FaultKind, RunSpec};

use super::chance::Chance;
use super::eventually;
use super::organisation::Organisation;
use super::program::Home;

/// How often a run completes.
const PACE: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_secs(240);
/// The promise is ten seconds; the rest is for a busy machine.
const ENDS_WITHIN: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_in_peace_under_load_and_no_call_is_in_doubt() {
    let mut chance = Chance::new();
    let organisation = Organisation::new().await;
    let home = Home::new(&organisation.emulator);

    let mut service = home.start();
    service.address().await;
    let load = organisation.work(PACE, chance.fork());
    for _ in 0..5 {
        tokio::time::sleep(chance.time(Duration::from_secs(1)..Duration::from_secs(3))).await;
        let (status, time) = service.end().await;
        assert_eq!(status.code(), Some(0));
        assert!(time < ENDS_WITHIN, "{time:?}");
        service = home.start();
        service.address().await;
    }
    let expected = load.end().await;
    home.until_quiet(expected.completed.len(), PATIENCE).await;
    let outcomes = Account::read(home.store()).await.check(&expected, &organisation.dispatched()).await;
    assert_eq!(outcomes, Outcomes { triggered: expected.started.len(), ..Outcomes::default() });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_does_not_end_in_time_is_cut_and_its_outcome_looked_for_after_the_next_start() {
    let organisation = Organisation::new().await;
    let home = Home::new(&organisation.emulator);
    let source = organisation.sources[0].clone();

    let mut service = home.start();
    service.address().await;
    let run = {
        let mut world = organisation.emulator.world();
        let slow = FaultKind::Delay { milliseconds: 30_000 };
        world.faults.insert(0, Fault::once("POST", "/repos/*/*/actions/workflows/*/dispatches", slow).unwrap());
        world.complete_run(&source.name, RunSpec::new("ci.yml", "main")).unwrap()
    };
    eventually("the call is under way", PATIENCE, async || organisation.emulator.world().faults.len() == 1).await;
    let (status, time) = service.end().await;
    assert_eq!(status.code(), Some(0));
    assert!(time < ENDS_WITHIN, "{time:?}");

    let mut service = home.start();
    service.address().await;
    let started = source.targets.into_iter().map(|target| (target, run)).collect();
    let expected = Expected { completed: [run].into(), started, ..Expected::default() };
    home.until_quiet(1, PATIENCE).await;
    let outcomes = Account::read(home.store()).await.check(&expected, &organisation.dispatched()).await;
    assert_eq!(outcomes, Outcomes { triggered: 1, doubts: 1, ..Outcomes::default() });
}
