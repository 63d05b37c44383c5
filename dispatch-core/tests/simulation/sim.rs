//! What everything in a run shares: the world with its time, the store, chance, timers, and the record of what happened.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use dispatch_core::Timestamp;
use dispatch_core::ports::store::Queue;
use dispatch_core::testing::{MemoryStore, World};
use jiff::SignedDuration;

use crate::observed::Observed;
use crate::random::Random;
use crate::sabotage::Sabotage;
use crate::service::Process;
use crate::weather::Weather;

/// Whose future it is: what ends with a crash, and what goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    /// GitHub, the network, people.
    Outside,
    /// One of the service's processes.
    Process(usize),
}

/// A future that the executor carries.
pub(crate) type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// How many processes work on the one store.
pub(crate) const PROCESSES: usize = 2;

/// What all tasks of one run share.
pub(crate) struct Sim {
    pub(crate) seed: u64,
    pub(crate) weather: Weather,
    pub(crate) sabotage: Option<Sabotage>,
    pub(crate) world: Arc<Mutex<World>>,
    /// The one store of all processes. It is durable: a crash does not touch it.
    pub(crate) store: MemoryStore,
    state: Mutex<State>,
    observed: Mutex<Observed>,
}

struct State {
    random: Random,
    faults: bool,
    trace: Option<Vec<String>>,
    timers: BTreeMap<(Timestamp, u64), Waker>,
    idle: BTreeMap<Queue, Vec<Waker>>,
    rung: BTreeMap<Queue, u64>,
    sequence: u64,
    spawned: Vec<(Owner, Work)>,
    processes: [Option<Arc<Process>>; PROCESSES],
    clocks: [SignedDuration; PROCESSES],
}

impl State {
    fn rung(&self, queue: Queue) -> u64 {
        self.rung.get(&queue).copied().unwrap_or(0)
    }
}

impl Sim {
    pub(crate) fn new(seed: u64, world: World, sabotage: Option<Sabotage>, traced: bool) -> Self {
        let mut random = Random::new(seed);
        let weather = Weather::new(seed, &mut random);
        let state = State {
            random,
            faults: true,
            trace: traced.then(Vec::new),
            timers: BTreeMap::new(),
            idle: BTreeMap::new(),
            rung: BTreeMap::new(),
            sequence: 0,
            spawned: Vec::new(),
            processes: [const { None }; PROCESSES],
            clocks: [SignedDuration::ZERO; PROCESSES],
        };
        Self {
            seed,
            weather,
            sabotage,
            world: Arc::new(Mutex::new(world)),
            store: MemoryStore::new(),
            state: Mutex::new(state),
            observed: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    pub(crate) fn observed(&self) -> MutexGuard<'_, Observed> {
        self.observed.lock().unwrap()
    }

    /// The true time.
    pub(crate) fn now(&self) -> Timestamp {
        self.world().now()
    }

    /// The time that a process believes in.
    pub(crate) fn clock(&self, process: usize) -> Timestamp {
        self.now() + self.state().clocks[process]
    }

    /// Says how far a process's clock is ahead of the true time.
    pub(crate) fn set_skew(&self, process: usize, skew: SignedDuration) {
        self.state().clocks[process] = skew;
    }

    /// Draws from chance.
    pub(crate) fn draw<T>(&self, draw: impl FnOnce(&mut Random) -> T) -> T {
        draw(&mut self.state().random)
    }

    /// Whether something goes wrong now that goes wrong this many times in a thousand while there are faults.
    pub(crate) fn goes_wrong(&self, per_mille: u64) -> bool {
        let mut state = self.state();
        state.faults && state.random.per_mille(per_mille)
    }

    /// From here on nothing goes wrong any more.
    pub(crate) fn end_faults(&self) {
        let mut state = self.state();
        state.faults = false;
        state.clocks = [SignedDuration::ZERO; PROCESSES];
    }

    pub(crate) fn faults(&self) -> bool {
        self.state().faults
    }

    /// Adds a line to the trace, where there is one.
    pub(crate) fn say(&self, line: impl FnOnce() -> String) {
        if self.traced() {
            let (now, line) = (self.now(), line());
            if let Some(trace) = &mut self.state().trace {
                trace.push(format!("{now} {line}"));
            }
        }
    }

    /// Whether somebody reads the trace.
    pub(crate) fn traced(&self) -> bool {
        self.state().trace.is_some()
    }

    pub(crate) fn take_trace(&self) -> Vec<String> {
        self.state().trace.take().unwrap_or_default()
    }

    /// Begins something beside everything else.
    pub(crate) fn spawn(&self, owner: Owner, work: impl Future<Output = ()> + Send + 'static) {
        self.state().spawned.push((owner, Box::pin(work)));
    }

    pub(crate) fn take_spawned(&self) -> Vec<(Owner, Work)> {
        std::mem::take(&mut self.state().spawned)
    }

    pub(crate) fn process(&self, process: usize) -> Option<Arc<Process>> {
        self.state().processes[process].clone()
    }

    pub(crate) fn set_process(&self, id: usize, process: Option<Arc<Process>>) {
        self.state().processes[id] = process;
    }

    /// Lets others go on before this task does: an await point at which the scheduler chooses.
    pub(crate) async fn pause(&self) {
        let times = self.draw(|random| random.below(3));
        Yield(times).await;
    }

    pub(crate) fn sleep(self: &Arc<Self>, span: Duration) -> Sleep {
        Sleep { sim: Arc::clone(self), until: self.now() + span, heard: None }
    }

    /// Waits for work in a queue: until somebody rings, and not longer than this.
    pub(crate) fn idle(self: &Arc<Self>, span: Duration, heard: (Queue, u64)) -> Sleep {
        Sleep { sim: Arc::clone(self), until: self.now() + span, heard: Some(heard) }
    }

    /// How often it rang for a queue.
    pub(crate) fn rung(&self, queue: Queue) -> (Queue, u64) {
        (queue, self.state().rung(queue))
    }

    /// Says that there may be work in a queue.
    pub(crate) fn ring(&self, queue: Queue) {
        let mut state = self.state();
        *state.rung.entry(queue).or_default() += 1;
        state.idle.remove(&queue).into_iter().flatten().for_each(Waker::wake);
    }

    /// When the next timer ends.
    pub(crate) fn next_timer(&self) -> Option<Timestamp> {
        self.state().timers.keys().next().map(|(at, _)| *at)
    }

    /// Lets time pass up to there, and wakes who waited for it.
    pub(crate) fn pass_time(&self, to: Timestamp) {
        let passed = to.duration_since(self.now());
        if passed.is_positive() {
            self.world().advance(passed.unsigned_abs());
        }
        let mut state = self.state();
        let later = state.timers.split_off(&(to, u64::MAX));
        std::mem::replace(&mut state.timers, later).into_values().for_each(Waker::wake);
    }
}

/// A future that is ready at a time, or when it rings.
pub(crate) struct Sleep {
    sim: Arc<Sim>,
    until: Timestamp,
    heard: Option<(Queue, u64)>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.sim.now() >= self.until {
            return Poll::Ready(());
        }
        let mut state = self.sim.state();
        if self.heard.is_some_and(|(queue, heard)| heard < state.rung(queue)) {
            return Poll::Ready(());
        }
        state.sequence += 1;
        let key = (self.until, state.sequence);
        state.timers.insert(key, context.waker().clone());
        if let Some((queue, _)) = self.heard {
            state.idle.entry(queue).or_default().push(context.waker().clone());
        }
        Poll::Pending
    }
}

/// A future that is ready when it was asked so many times more.
struct Yield(usize);

impl Future for Yield {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.0 == 0 {
            return Poll::Ready(());
        }
        self.0 -= 1;
        context.waker().wake_by_ref();
        Poll::Pending
    }
}
