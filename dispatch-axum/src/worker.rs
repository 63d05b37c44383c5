//! The work in the background: claims what is due, moves each item one step, many side by side.
//!
//! A queue is looked at when somebody [wakes](Workers::wake) it, when an item ends that others waited for, and at the
//! latest after [`WorkerOptions::poll_interval`]: that is how what was put back comes back. No repository gets more than
//! [`WorkerOptions::per_lane`] places, so that a slow one never holds up the rest. A step that cannot be stored is tried
//! again while its lease lasts; an item whose step panics is logged, and comes back when its lease ends.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dispatch_core::Timestamp;
use dispatch_core::pipeline::Pipeline;
use dispatch_core::ports::store::{Claim, Queue, Stored};
use dispatch_core::ports::{StoreError, StorePort};
use futures_util::FutureExt;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinHandle;

use crate::step::{Steps, Telling, span};

/// How long to wait where the store did not take a step, the first time; it doubles.
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// How much is done at once, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkerOptions {
    /// How many items of one queue are worked on at the same time. GitHub allows 100 concurrent requests.
    pub concurrency: usize,
    /// How many of them may be of one source's owner, or for one target repository.
    pub per_lane: usize,
    /// How long an item is kept from others. Longer than a step takes, since whoever loses the lease loses the step.
    pub lease: Duration,
    /// How often a queue is looked at without being woken.
    pub poll_interval: Duration,
}

impl Default for WorkerOptions {
    fn default() -> Self {
        Self {
            concurrency: 64,
            per_lane: 32,
            lease: Duration::from_secs(120),
            poll_interval: Duration::from_millis(200),
        }
    }
}

/// Running workers. Dropped without [`Workers::shutdown`], they stop claiming and finish what they have.
#[derive(Debug)]
pub struct Workers {
    queues: [Arc<Lane>; 3],
    stop: watch::Sender<bool>,
    loops: Vec<JoinHandle<()>>,
    concurrency: usize,
}

/// What a queue's loop and its items share.
#[derive(Debug)]
struct Lane {
    wake: Notify,
    places: Arc<Semaphore>,
    running: Mutex<BTreeMap<String, usize>>,
    /// Whether there may be more work than could be claimed: then the next item that ends makes room for it.
    more: AtomicBool,
}

impl Workers {
    /// Starts working on all queues. Must be called inside a Tokio runtime.
    ///
    /// What is to be told and shown to people is left: see [`Workers::telling`].
    #[must_use]
    pub fn start(pipeline: Pipeline, options: WorkerOptions) -> Self {
        Self::begin(pipeline, None, options)
    }

    /// The same, and failures are told in issues, and notices shown.
    #[must_use]
    pub fn telling(pipeline: Pipeline, to: Telling, options: WorkerOptions) -> Self {
        Self::begin(pipeline, Some(to), options)
    }

    fn begin(pipeline: Pipeline, telling: Option<Telling>, options: WorkerOptions) -> Self {
        let (stop, stopped) = watch::channel(false);
        let concurrency = options.concurrency.clamp(1, Semaphore::MAX_PERMITS.min(u32::MAX as usize));
        let options = WorkerOptions { concurrency, per_lane: options.per_lane.max(1), ..options };
        let lane = || {
            Arc::new(Lane {
                wake: Notify::new(),
                places: Arc::new(Semaphore::new(concurrency)),
                running: Mutex::default(),
                more: AtomicBool::new(false),
            })
        };
        let queues = Queue::ALL.map(|_| lane());
        let worked_on = |queue: &Queue| *queue != Queue::Report || telling.is_some();
        let wake = queues.clone();
        let steps = Steps::new(pipeline.clone(), telling.clone())
            .on_work(Arc::new(move |queue| lane_of(&wake, queue).wake.notify_one()));
        let loops = Queue::ALL.into_iter().zip(&queues).filter(|(queue, _)| worked_on(queue)).map(|(queue, lane)| {
            let work = Work {
                store: Arc::clone(&pipeline.store),
                steps: steps.clone(),
                stopped: stopped.clone(),
                options,
                queue,
                lane: Arc::clone(lane),
            };
            tokio::spawn(Arc::new(work).run())
        });
        Self { loops: loops.collect(), queues, stop, concurrency }
    }

    /// Says that there is work in a queue. Cheap, and never blocks.
    pub fn wake(&self, queue: Queue) {
        lane_of(&self.queues, queue).wake.notify_one();
    }

    /// A function that [wakes](Workers::wake), to be given to whoever makes work.
    #[must_use]
    pub fn waker(&self) -> Arc<dyn Fn(Queue) + Send + Sync> {
        let queues = self.queues.clone();
        Arc::new(move |queue| lane_of(&queues, queue).wake.notify_one())
    }

    /// Claims nothing more, and waits for what is running, up to `limit`. Answers how many items did not end in time;
    /// they come back when their leases end, and a call that was cut off is in doubt.
    pub async fn shutdown(self, limit: Duration) -> usize {
        // Nobody listens any more where the loops have ended already.
        let _ = self.stop.send(true);
        let deadline = tokio::time::Instant::now() + limit;
        let all = u32::try_from(self.concurrency).unwrap_or(u32::MAX);
        for handle in self.loops {
            let _ = tokio::time::timeout_at(deadline, handle).await;
        }
        let mut unfinished = 0;
        for lane in &self.queues {
            if tokio::time::timeout_at(deadline, lane.places.acquire_many(all)).await.is_err() {
                unfinished += self.concurrency.saturating_sub(lane.places.available_permits());
            }
        }
        unfinished
    }
}

fn lane_of(queues: &[Arc<Lane>; 3], queue: Queue) -> &Lane {
    let [plan, dispatch, report] = queues;
    match queue {
        Queue::Plan => plan,
        Queue::Dispatch => dispatch,
        Queue::Report => report,
    }
}

/// What one queue's loop works with.
struct Work {
    store: Arc<dyn StorePort>,
    steps: Steps,
    stopped: watch::Receiver<bool>,
    options: WorkerOptions,
    queue: Queue,
    lane: Arc<Lane>,
}

impl Work {
    async fn run(self: Arc<Self>) {
        let mut stopped = self.stopped.clone();
        loop {
            self.claim().await;
            // Ends when it is told to, and when nobody is left to tell it.
            let told = tokio::select! {
                told = stopped.wait_for(|stop| *stop) => Some(told.is_ok()),
                () = self.lane.wake.notified() => None,
                () = tokio::time::sleep(self.options.poll_interval) => None,
            };
            if told.is_some() {
                return;
            }
        }
    }

    /// Claims as much as there are free places, and begins it.
    async fn claim(self: &Arc<Self>) {
        let free = self.lane.places.available_permits();
        self.lane.more.store(free == 0, Ordering::Release);
        if free == 0 {
            return;
        }
        let Some(mut places) =
            Arc::clone(&self.lane.places).try_acquire_many_owned(u32::try_from(free).unwrap_or(1)).ok()
        else {
            return;
        };
        let claim = Claim {
            queue: self.queue,
            now: Timestamp::now(),
            lease: self.options.lease,
            limit: free,
            per_lane: self.options.per_lane,
        };
        match self.store.claim(claim).await {
            Ok(items) => {
                if items.len() == free {
                    self.lane.more.store(true, Ordering::Release);
                }
                for item in items {
                    let Some(place) = places.split(1) else { break };
                    self.begin(item, place);
                }
            }
            Err(error) => tracing::warn!(queue = ?self.queue, %error, "cannot claim work; it is tried again"),
        }
    }

    fn begin(self: &Arc<Self>, item: Stored, place: OwnedSemaphorePermit) {
        let Some(lane) = item.record.work().map(|work| work.lane) else { return };
        *self.lane.running().entry(lane.clone()).or_default() += 1;
        let work = Arc::clone(self);
        tokio::spawn(async move {
            let span = span(&item.record);
            if AssertUnwindSafe(work.step(item)).catch_unwind().await.is_err() {
                span.in_scope(|| tracing::error!("the step panicked; it is tried again when its lease ends"));
            }
            drop(place);
            work.end(&lane);
        });
    }

    /// Gives the place back. If somebody waited for it, the queue is looked at again.
    fn end(&self, lane: &str) {
        let mut running = self.lane.running();
        let was = running.get(lane).copied().unwrap_or(1);
        if was > 1 {
            running.insert(lane.to_owned(), was - 1);
        } else {
            running.remove(lane);
        }
        drop(running);
        if was >= self.options.per_lane || self.lane.more.load(Ordering::Acquire) {
            self.lane.wake.notify_one();
        }
    }

    /// Does a step, and does it again while the store cannot take it and the lease lasts. That repeats no call: a step
    /// that went as far as to call GitHub had stored before that it calls, and its version is not there any more.
    async fn step(&self, item: Stored) {
        let (mut wait, began) = (FIRST_WAIT, Instant::now());
        let mut stopped = self.stopped.clone();
        loop {
            let result = self.steps.take(item.clone()).await;
            let over = began.elapsed() + wait > self.options.lease / 2;
            if over || !matches!(result, Err(StoreError::Unavailable(_))) {
                return;
            }
            tokio::select! {
                _ = stopped.wait_for(|stop| *stop) => return,
                () = tokio::time::sleep(wait) => wait *= 2,
            }
        }
    }
}

impl Lane {
    fn running(&self) -> MutexGuard<'_, BTreeMap<String, usize>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
