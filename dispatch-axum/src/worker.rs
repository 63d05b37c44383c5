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
use dispatch_core::delivery::Delivery;
use dispatch_core::dispatch::{Dispatch, DispatchState};
use dispatch_core::notice::Notice;
use dispatch_core::pipeline::{Pipeline, Planned, ProposalChecked, Reported, Revoked, Shown};
use dispatch_core::ports::store::{Claim, Queue, Record, Stored};
use dispatch_core::ports::{IssuePort, NoticePort, StoreError};
use dispatch_core::proposal::ProposalRecord;
use dispatch_core::report::Report;
use dispatch_core::revocation::Revocation;
use futures_util::FutureExt;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinHandle;
use tracing::Instrument;

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

/// Where people are told: two ports of one client, usually.
#[derive(Clone)]
pub struct Telling {
    /// Failures are told in issues.
    pub issues: Arc<dyn IssuePort>,
    /// Check runs, comments and reactions; None: they are left.
    pub notices: Option<Arc<dyn NoticePort>>,
}

impl Telling {
    /// Tells people through a client that does both.
    pub fn through<T: IssuePort + NoticePort + 'static>(client: Arc<T>) -> Self {
        Self { issues: Arc::clone(&client) as _, notices: Some(client) }
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
        let [_, dispatches, _] = &queues;
        let worked_on = |queue: &Queue| *queue != Queue::Report || telling.is_some();
        let loops = Queue::ALL.into_iter().zip(&queues).filter(|(queue, _)| worked_on(queue)).map(|(queue, lane)| {
            let work = Work {
                pipeline: pipeline.clone(),
                telling: telling.clone(),
                stopped: stopped.clone(),
                options,
                queue,
                lane: Arc::clone(lane),
                dispatches: Arc::clone(dispatches),
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
    pipeline: Pipeline,
    telling: Option<Telling>,
    stopped: watch::Receiver<bool>,
    options: WorkerOptions,
    queue: Queue,
    lane: Arc<Lane>,
    dispatches: Arc<Lane>,
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
        match self.pipeline.store.claim(claim).await {
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
            let step = AssertUnwindSafe(work.step(item)).catch_unwind();
            if step.instrument(span.clone()).await.is_err() {
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
            let result = self.step_once(item.clone()).await;
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

    async fn step_once(&self, item: Stored) -> Result<(), StoreError> {
        let began = Instant::now();
        let (stage, result) = match item.record {
            Record::Delivery(delivery) => ("plan", self.plan(*delivery, item.version).await),
            Record::Revocation(revocation) => ("revoke", self.revoke(*revocation, item.version).await),
            Record::Dispatch(dispatch) => ("dispatch", self.dispatch(*dispatch, item.version).await),
            Record::Report(report) => ("report", self.report(*report, item.version).await),
            Record::Notice(notice) => ("show", self.show(*notice, item.version).await),
            Record::Proposal(proposal) => ("check", self.check(*proposal, item.version).await),
            other => {
                tracing::error!(key = %other.key(), "this is no work");
                return Ok(());
            }
        };
        metrics::histogram!("dispatch_stage_seconds", "stage" => stage).record(began.elapsed().as_secs_f64());
        let outcome = match &result {
            Ok(outcome) => outcome,
            Err(error @ StoreError::Conflict(_)) => {
                tracing::warn!(%error, "somebody else went on with this");
                "conflict"
            }
            Err(error) => {
                tracing::error!(%error, "the step could not be stored; it is tried again");
                "store_failed"
            }
        };
        metrics::counter!("dispatch_steps_total", "stage" => stage, "outcome" => outcome).increment(1);
        result.map(|_| ())
    }

    async fn plan(&self, delivery: Delivery, version: u64) -> Result<&'static str, StoreError> {
        Ok(match self.pipeline.plan(delivery, version, Timestamp::now()).await? {
            Planned::Done { plan, dispatches } => {
                if !dispatches.is_empty() {
                    self.dispatches.wake.notify_one();
                }
                let allowed = dispatches.len();
                match plan.skipped {
                    Some(skipped) => tracing::info!(reason = %skipped.reason, why = skipped.message, "skipped"),
                    None => tracing::info!(decisions = plan.decisions.len(), dispatches = allowed, "planned"),
                }
                "planned"
            }
            Planned::PutBack { until, error } => {
                tracing::info!(%until, error, "planning waits");
                "put_back"
            }
            Planned::Parked { error } => {
                tracing::warn!(error, "planning was given up");
                "parked"
            }
        })
    }

    async fn revoke(&self, revocation: Revocation, version: u64) -> Result<&'static str, StoreError> {
        let Revoked { cancelled, more } = self.pipeline.revoke(revocation, version, Timestamp::now()).await?;
        if cancelled > 0 {
            tracing::warn!(cancelled, "the App lost access where dispatches waited");
        }
        if more {
            self.lane.wake.notify_one();
        }
        Ok(if more { "continued" } else { "revoked" })
    }

    async fn dispatch(&self, dispatch: Dispatch, version: u64) -> Result<&'static str, StoreError> {
        Ok(match self.pipeline.dispatch(dispatch, version, Timestamp::now()).await? {
            DispatchState::Triggered { run } => {
                tracing::info!(run = run.map(|run| run.id.0), "triggered");
                "triggered"
            }
            DispatchState::Ready => {
                tracing::info!("the dispatch waits");
                "put_back"
            }
            DispatchState::Refused { message, permission } => {
                tracing::warn!(why = message, permission, "GitHub refused");
                "refused"
            }
            DispatchState::InDoubt { error, .. } => {
                tracing::warn!(error, "nobody knows yet whether GitHub did it");
                "in_doubt"
            }
            DispatchState::Started { .. } => {
                tracing::info!("triggered; the run is looked for");
                "started"
            }
            DispatchState::Unknown { error } => {
                tracing::error!(error, "nobody can tell whether GitHub did it");
                "unknown"
            }
            DispatchState::Dropped => "dropped",
            DispatchState::Cancelled { reason, message } => {
                tracing::info!(%reason, why = message, "cancelled");
                "cancelled"
            }
            DispatchState::Failed { error } => {
                tracing::warn!(error, "given up");
                "failed"
            }
            DispatchState::Calling { .. } => "calling",
        })
    }

    async fn report(&self, report: Report, version: u64) -> Result<&'static str, StoreError> {
        // Without ports nobody claims reports.
        let Some(to) = &self.telling else { return Ok("left") };
        Ok(match self.pipeline.report(&*to.issues, report, version, Timestamp::now()).await? {
            Reported::Told { issue } => {
                tracing::info!(issue, "told");
                "told"
            }
            Reported::PutBack { until, error } => {
                tracing::info!(%until, error, "telling waits");
                "put_back"
            }
            Reported::GivenUp { error } => {
                tracing::warn!(error, "GitHub does not take it");
                "given_up"
            }
        })
    }

    async fn check(&self, proposal: ProposalRecord, version: u64) -> Result<&'static str, StoreError> {
        Ok(match self.pipeline.check_proposal(proposal, version, Timestamp::now()).await? {
            ProposalChecked::Changed => {
                tracing::info!("a policy file is proposed");
                "changed"
            }
            ProposalChecked::Unchanged => {
                tracing::debug!("no policy file is proposed");
                "unchanged"
            }
            ProposalChecked::PutBack { until, error } => {
                tracing::info!(%until, error, "looking at a proposed policy file waits");
                "put_back"
            }
            ProposalChecked::GivenUp { error } => {
                tracing::warn!(error, "GitHub does not show a proposed policy file");
                "given_up"
            }
        })
    }

    async fn show(&self, notice: Notice, version: u64) -> Result<&'static str, StoreError> {
        let Some(notices) = self.telling.as_ref().and_then(|to| to.notices.as_ref()) else { return Ok("left") };
        Ok(match self.pipeline.show(&**notices, notice, version, Timestamp::now()).await? {
            Shown::Shown { id } => {
                tracing::debug!(id, "shown");
                "shown"
            }
            Shown::PutBack { until, error } => {
                tracing::info!(%until, error, "showing waits");
                "put_back"
            }
            Shown::GivenUp { error } => {
                tracing::warn!(error, "GitHub does not take it");
                "given_up"
            }
        })
    }
}

impl Lane {
    fn running(&self) -> MutexGuard<'_, BTreeMap<String, usize>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Every line about one delivery carries its id.
fn span(record: &Record) -> tracing::Span {
    match record {
        Record::Delivery(delivery) => tracing::info_span!(
            "plan",
            delivery = %delivery.key.id,
            event = delivery.event.kind.name(),
            repository = %delivery.event.repository.name,
        ),
        Record::Dispatch(dispatch) => tracing::info_span!(
            "dispatch",
            delivery = %dispatch.delivery.id,
            repository = %dispatch.key.target.repository,
            start = %dispatch.key.target.start,
        ),
        Record::Report(report) => {
            tracing::info_span!("report", repository = %report.name, workflow = %report.key.workflow)
        }
        Record::Proposal(proposal) => {
            tracing::info_span!("check", repository = %proposal.event.repository.name, check = %proposal.check)
        }
        Record::Notice(notice) => {
            tracing::info_span!("show", repository = %notice.repository().name, notice = %record.key())
        }
        Record::Revocation(revocation) => tracing::info_span!(
            "revoke",
            delivery = %revocation.key.id,
            installation = %revocation.lost.installation,
            account = revocation.lost.account.as_str(),
        ),
        _ => tracing::Span::none(),
    }
}
