//! The scheduler: chance chooses which task goes on, when time passes, and which process crashes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Wake, Waker};

use crate::sim::{Owner, PROCESSES, Sim, Work};
use crate::{service, webhooks};

/// The tasks of one run.
pub(crate) struct Executor {
    sim: Arc<Sim>,
    tasks: Vec<Task>,
    pub(crate) crashes: usize,
}

struct Task {
    owner: Owner,
    work: Work,
    woken: Arc<Woken>,
    waker: Waker,
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stepped {
    /// A task went on.
    Task,
    /// Nobody could go on: time passed up to the next timer.
    Time,
    /// Nobody will ever go on.
    Nothing,
}

impl Executor {
    pub(crate) fn new(sim: Arc<Sim>) -> Self {
        Self { sim, tasks: Vec::new(), crashes: 0 }
    }

    /// Lets one task go on up to its next await point, or lets time pass.
    pub(crate) fn step(&mut self) -> Stepped {
        webhooks::send(&self.sim);
        self.adopt();
        if self.sim.goes_wrong(self.sim.weather.crash) {
            let process = self.sim.draw(|random| random.below(PROCESSES));
            self.crash(process);
        }
        if self.sim.draw(|random| random.per_mille(30)) {
            let span = self.sim.draw(|random| random.millis(1, 200));
            self.sim.pass_time(self.sim.now() + span);
        }
        let runnable: Vec<usize> =
            (0..self.tasks.len()).filter(|task| self.tasks[*task].woken.0.load(Ordering::Relaxed)).collect();
        if runnable.is_empty() {
            let Some(next) = self.sim.next_timer() else { return Stepped::Nothing };
            self.sim.pass_time(next);
            return Stepped::Time;
        }
        let chosen = self.sim.draw(|random| *random.pick(&runnable));
        let task = &mut self.tasks[chosen];
        task.woken.0.store(false, Ordering::Relaxed);
        if task.work.as_mut().poll(&mut Context::from_waker(&task.waker)).is_ready() {
            self.tasks.remove(chosen);
        }
        Stepped::Task
    }

    fn adopt(&mut self) {
        for (owner, work) in self.sim.take_spawned() {
            let woken = Arc::new(Woken(AtomicBool::new(true)));
            let waker = Waker::from(Arc::clone(&woken));
            self.tasks.push(Task { owner, work, woken, waker });
        }
    }

    /// Ends a process where it stands: every one of its futures is dropped at its await point.
    fn crash(&mut self, process: usize) {
        if self.sim.process(process).is_none() {
            return;
        }
        self.crashes += 1;
        self.sim.say(|| format!("process {process} CRASHES"));
        self.sim.set_process(process, None);
        self.tasks.retain(|task| task.owner != Owner::Process(process));
        self.sim.spawn(Owner::Outside, service::restart(Arc::clone(&self.sim), process));
    }
}
