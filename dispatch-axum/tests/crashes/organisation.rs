//! The repositories that the crashes happen to, their runs, and what those must lead to.

use std::sync::Arc;
use std::time::Duration;

use dispatch_core::Timestamp;
use dispatch_core::name::{Repository, RunId};
use dispatch_core::testing::World;
use dispatch_core::testing::account::{Expected, STARTED, STARTS, STARTS_NOTHING, add_agreement};
use dispatch_core::testing::world::{Fault, FaultKind, Run, RunSpec};
use dispatch_github::emulator::{Emulator, EmulatorOptions};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::chance::Chance;

/// Each owner is an installation, with a rate limit of its own.
const OWNERS: usize = 6;
/// How many targets each of an owner's sources has.
const TARGETS: [usize; 3] = [1, 1, 3];
/// How many of all runs start nothing: one in so many.
const NOTHING: usize = 5;
/// A repository whose runs start something, and where.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) name: Repository,
    pub(crate) targets: Vec<Repository>,
}

/// GitHub, and the repositories in it.
pub(crate) struct Organisation {
    pub(crate) emulator: Arc<Emulator>,
    pub(crate) sources: Vec<Source>,
}

impl Organisation {
    pub(crate) async fn new() -> Self {
        let mut world = World::new(Timestamp::now());
        let mut sources = Vec::new();
        for owner in 0..OWNERS {
            for (number, targets) in TARGETS.into_iter().enumerate() {
                sources.push(add_source(&mut world, owner, number, targets));
            }
        }
        // A call takes some time, so that something can happen meanwhile. What is cut off meanwhile was not done.
        let kind = FaultKind::Delay { milliseconds: 10 };
        world
            .faults
            .push(Fault::once("POST", "/repos/*/*/actions/workflows/*/dispatches", kind).unwrap().times(u32::MAX));
        // Dispatched runs stay queued: what they would lead to is not what this is about.
        let options = EmulatorOptions { pace: None, ..EmulatorOptions::default() };
        Self { emulator: Arc::new(Emulator::start(world, options).await.unwrap()), sources }
    }

    /// Lets runs complete at a steady pace, until told to end. Answers what they must lead to.
    pub(crate) fn work(&self, pace: Duration, mut chance: Chance) -> Load {
        let (stop, stopped) = watch::channel(());
        let (emulator, sources) = (Arc::clone(&self.emulator), self.sources.clone());
        let task = tokio::spawn(async move {
            let mut expected = Expected::default();
            let mut ticks = tokio::time::interval(pace);
            while stopped.has_changed().is_ok() {
                ticks.tick().await;
                let source = chance.one_of(&sources);
                let workflow = if chance.below(NOTHING) == 0 { STARTS_NOTHING } else { STARTS };
                let run = emulator.world().complete_run(&source.name, RunSpec::new(workflow, "main")).unwrap();
                expected.completed.insert(run);
                if workflow == STARTS {
                    expected.started.extend(source.targets.iter().map(|target| (target.clone(), run)));
                }
            }
            expected
        });
        Load { stop, task }
    }

    /// The runs that were started by a dispatch, the oldest first.
    pub(crate) fn dispatched(&self) -> Vec<Run> {
        self.emulator.world().runs().filter(|run| run.workflow == STARTED).cloned().collect()
    }

    /// Something that grows with every run that is started.
    pub(crate) fn newest_dispatched(&self) -> Option<RunId> {
        self.emulator.world().runs().rev().find(|run| run.workflow == STARTED).map(|run| run.id)
    }

    /// Something that grows with every webhook that is accepted.
    pub(crate) fn newest_accepted(&self) -> Option<u64> {
        self.emulator.world().deliveries().find(|record| record.status_code == 202).map(|record| record.id)
    }
}

/// Runs that complete, until it is told to end.
pub(crate) struct Load {
    stop: watch::Sender<()>,
    task: JoinHandle<Expected>,
}

impl Load {
    pub(crate) async fn end(self) -> Expected {
        drop(self.stop);
        self.task.await.unwrap()
    }
}

fn add_source(world: &mut World, owner: usize, number: usize, targets: usize) -> Source {
    let repository = |name: String| -> Repository { format!("team-{owner}/{name}").parse().unwrap() };
    let source = repository(format!("service-{number}"));
    let targets: Vec<_> = (0..targets).map(|target| repository(format!("deploy-{number}-{target}"))).collect();
    add_agreement(world, &source, &targets).unwrap();
    Source { name: source, targets }
}
