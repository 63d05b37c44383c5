//! GitHub, and what happens in it: runs complete, policies change, webhooks come twice, requests go wrong.

use std::net::SocketAddr;
use std::time::Duration;

use dispatch_core::Timestamp;
use dispatch_core::name::Repository;
use dispatch_core::testing::World;
use dispatch_core::testing::account::{Expected, STARTED, STARTS, STARTS_NOTHING, add_agreement, consent_to};
use dispatch_core::testing::world::{Run, RunSpec};
use dispatch_github::emulator::{Emulator, EmulatorOptions};

use crate::{Result, weather};

/// Each owner is an installation, with rate limits of its own.
const OWNERS: usize = 20;
/// How many targets each of an owner's sources has. The targets of the last one change their minds.
const TARGETS: [usize; 6] = [1, 1, 1, 2, 3, 1];
/// How often something happens: 15 runs a second, over all owners.
const RUN_EVERY: Duration = Duration::from_millis(66);
const FAULT_EVERY: Duration = Duration::from_millis(700);
const DUPLICATE_EVERY: Duration = Duration::from_millis(500);
const CHANGE_EVERY: Duration = Duration::from_millis(800);
/// How many of the runs start something: so many in ten.
const STARTING: usize = 3;
/// What goes wrong and finds no request to do so waits. More than that would be a storm when one comes.
const MOST_FAULTS: usize = 5;

pub(crate) struct GitHub {
    emulator: Emulator,
    sources: Vec<Source>,
    expected: Expected,
    runs: Due,
    faults: Due,
    duplicates: Due,
    changes: Due,
}

struct Source {
    name: Repository,
    targets: Vec<Repository>,
    /// Whether its targets change their minds; then whether they agree at present.
    fickle: Option<bool>,
}

impl GitHub {
    pub(crate) async fn start() -> Result<Self> {
        let mut world = World::new(Timestamp::now());
        world.requests_per_hour = u64::from(u32::MAX);
        let mut sources = Vec::new();
        for owner in 0..OWNERS {
            for (number, targets) in TARGETS.into_iter().enumerate() {
                let name: Repository = format!("team-{owner}/service-{number}").parse()?;
                let targets = (0..targets).map(|target| format!("team-{owner}/deploy-{number}-{target}").parse());
                let targets = targets.collect::<std::result::Result<Vec<Repository>, _>>()?;
                add_agreement(&mut world, &name, &targets)?;
                sources.push(Source { name, targets, fickle: (number + 1 == TARGETS.len()).then_some(true) });
            }
        }
        // Dispatched runs stay queued: nothing follows from them here.
        let options = EmulatorOptions { pace: None, ..EmulatorOptions::default() };
        Ok(Self {
            emulator: Emulator::start(world, options).await?,
            sources,
            expected: Expected::default(),
            runs: Due::every(RUN_EVERY),
            faults: Due::every(FAULT_EVERY),
            duplicates: Due::every(DUPLICATE_EVERY),
            changes: Due::every(CHANGE_EVERY),
        })
    }

    pub(crate) fn emulator(&self) -> &Emulator {
        &self.emulator
    }

    pub(crate) fn deliver_to(&self, address: SocketAddr) {
        self.emulator.set_webhook_url(&format!("http://{address}/webhooks/github"));
    }

    /// Lets everything happen that is due.
    pub(crate) fn let_happen(&mut self, now: Duration) -> Result<()> {
        while let Some(number) = self.runs.next(now) {
            self.complete_run(number)?;
        }
        while let Some(number) = self.changes.next(now) {
            self.change_policy(number)?;
        }
        let mut world = self.emulator.world();
        while let Some(number) = self.faults.next(now) {
            if world.faults.len() < MOST_FAULTS {
                world.faults.push(weather::fault(number)?);
            }
        }
        while let Some(number) = self.duplicates.next(now) {
            let earlier = world.deliveries().nth(number % 50).map(|record| record.id);
            if let Some(id) = earlier {
                world.redeliver(id).map_err(|error| format!("{error:?}"))?;
            }
        }
        // Nobody looks at them here.
        world.take_requests();
        world.take_effects();
        Ok(())
    }

    /// From now on nothing goes wrong and nothing happens.
    pub(crate) fn calm_down(&self) {
        self.emulator.world().faults.clear();
    }

    pub(crate) fn expected(&self) -> &Expected {
        &self.expected
    }

    /// The runs that were started by a dispatch.
    pub(crate) fn dispatched(&self) -> Vec<Run> {
        self.emulator.world().runs().filter(|run| run.workflow == STARTED).cloned().collect()
    }

    fn complete_run(&mut self, number: usize) -> Result<()> {
        let Some(source) = self.sources.get(number % self.sources.len()) else { return Ok(()) };
        let starts = (number / self.sources.len() + number) % 10 < STARTING;
        let workflow = if starts { STARTS } else { STARTS_NOTHING };
        let run = self.emulator.world().complete_run(&source.name, RunSpec::new(workflow, "main"))?;
        self.expected.completed.insert(run);
        if starts {
            let starts = source.targets.iter().map(|target| (target.clone(), run));
            match source.fickle {
                None => self.expected.started.extend(starts),
                Some(_) => self.expected.perhaps_started.extend(starts),
            }
        }
        Ok(())
    }

    /// A fickle target changes its mind, or another one only its words.
    fn change_policy(&mut self, number: usize) -> Result<()> {
        let at = (number * 7) % self.sources.len();
        let Some(source) = self.sources.get_mut(at) else { return Ok(()) };
        let agrees = source.fickle.is_none_or(|agreed| !agreed);
        source.fickle = source.fickle.map(|_| agrees);
        let policy = if agrees { consent_to(&source.name) } else { "inbound: []\n".to_owned() };
        let mut world = self.emulator.world();
        for target in &source.targets {
            world.write_file(target, "main", "dispatching.yml", &format!("# change {number}\n{policy}"))?;
        }
        Ok(())
    }
}

/// Something that happens again and again.
struct Due {
    every: Duration,
    happened: usize,
}

impl Due {
    fn every(every: Duration) -> Self {
        Self { every, happened: 0 }
    }

    /// The number of the next time, if it is due.
    fn next(&mut self, now: Duration) -> Option<usize> {
        let number = self.happened;
        let due = now >= self.every.saturating_mul(u32::try_from(number + 1).unwrap_or(u32::MAX));
        due.then(|| {
            self.happened += 1;
            number
        })
    }
}
