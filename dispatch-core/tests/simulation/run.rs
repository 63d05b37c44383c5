//! One run: a seed, everything that follows from it, and what must be true afterwards.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use dispatch_core::ports::store::{Queue, StorePort, WaitingQuery};
use dispatch_core::testing::World;
use futures_util::FutureExt;

use crate::executor::{Executor, Stepped};
use crate::random::Random;
use crate::sabotage::Sabotage;
use crate::sim::{Owner, PROCESSES, Sim};
use crate::{aftermath, people, previews, read_models, service};

/// After this many steps, a run does not come to rest.
const MOST_STEPS: usize = 1_000_000;
/// How long after the faults everything must have come to rest: what is too old to be wanted is given up after a day.
const REST: Duration = Duration::from_secs(3 * 24 * 60 * 60);

/// What a run was like.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) steps: usize,
    pub(crate) deliveries: usize,
    pub(crate) dispatches: usize,
    pub(crate) effects: usize,
    pub(crate) crashes: usize,
    pub(crate) unknown: usize,
    /// What happened, line by line, where somebody wanted to know.
    pub(crate) trace: Vec<String>,
    /// The promise that was not kept.
    pub(crate) broken: Option<String>,
}

/// Runs a seed.
pub(crate) fn run(seed: u64, sabotage: Option<Sabotage>, traced: bool) -> Outcome {
    let (world, agreements, previews) = people::settle(&mut Random::new(seed ^ 0x5EED), sabotage);
    let sim = Arc::new(Sim::new(seed, world, sabotage, traced));
    sim.world().enterprise_server = sim.weather.enterprise_server;
    {
        let mut observed = sim.observed();
        (observed.agreements, observed.people_busy) = (agreements, 1 + usize::from(previews.is_some()));
        observed.previews = previews;
    }
    if let Some(previews) = &sim.observed().previews {
        sim.say(|| format!("{:?}", previews.setup));
        sim.spawn(Owner::Outside, previews::people::live(Arc::clone(&sim)));
    }
    sim.say(|| format!("{:?}", sim.weather));
    (0..PROCESSES).for_each(|process| service::start(&sim, process));
    sim.spawn(Owner::Outside, people::live(Arc::clone(&sim)));
    sim.spawn(Owner::Outside, people::run_workflows(Arc::clone(&sim)));
    sim.spawn(Owner::Outside, people::turn_clocks(Arc::clone(&sim)));
    let mut outcome = Outcome::default();
    let ended = catch_unwind(AssertUnwindSafe(|| carry(&sim, &mut outcome)));
    let ended = ended.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        Err(text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default())
    });
    outcome.broken = ended.err();
    outcome.trace = sim.take_trace();
    // What runs in a process has a hold on the simulation: without an end of both, no memory would be freed.
    (0..PROCESSES).for_each(|process| sim.set_process(process, None));
    drop(sim.take_spawned());
    outcome
}

fn carry(sim: &Arc<Sim>, outcome: &mut Outcome) -> Result<(), String> {
    let mut executor = Executor::new(Arc::clone(sim));
    let mut rest = None;
    while outcome.steps < MOST_STEPS {
        outcome.steps += 1;
        let stepped = executor.step();
        if let Some(broken) = sim.observed().broken.take() {
            return Err(broken);
        }
        if stepped == Stepped::Task {
            continue;
        }
        if rest.is_none() && sim.observed().people_busy == 0 {
            sim.say(|| "the faults end".to_owned());
            sim.end_faults();
            rest = Some(sim.now() + REST);
        }
        if rest.is_some() && is_quiet(sim) && !service::sweep_again(sim) {
            break;
        }
        if rest.is_some_and(|rest| sim.now() > rest) || stepped == Stepped::Nothing {
            break;
        }
    }
    if outcome.steps >= MOST_STEPS {
        return Err(format!("it does not come to rest within {MOST_STEPS} steps"));
    }
    let records = aftermath::Records::of(sim);
    outcome.crashes = executor.crashes;
    outcome.deliveries = records.deliveries.len();
    outcome.dispatches = records.dispatches.len();
    outcome.effects = sim.observed().effects.len();
    outcome.unknown = records.unknown();
    aftermath::check(sim, &records)?;
    previews::aftermath::check(sim, &records)?;
    read_models::check(sim, &records)
}

/// Whether nothing is left to do.
fn is_quiet(sim: &Sim) -> bool {
    sim.observed().under_way == 0
        && (0..PROCESSES).all(|process| sim.process(process).is_some())
        && all_runs_ended(&sim.world())
        && !Queue::ALL.into_iter().any(|queue| waits(sim, queue))
        && aftermath::what_failed_came_again(sim).is_ok()
}

fn all_runs_ended(world: &World) -> bool {
    world.runs().all(|run| run.conclusion.is_some() || !run.event.ends_with("_dispatch"))
}

fn waits(sim: &Sim, queue: Queue) -> bool {
    let waiting = sim.store.waiting(WaitingQuery { queue, after: None, limit: 1 });
    !waiting.now_or_never().unwrap().unwrap().is_empty()
}
