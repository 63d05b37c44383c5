//! What is done beside the work: webhooks that never arrived are looked for and asked for again, environments are swept, and
//! old work is deleted when its retention ends.
//!
//! Each chore runs once at start and then at its own pace, in small steps, and stops between two of them when the service
//! ends. What fails is logged and tried again the next time.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use dispatch_core::Timestamp;
use dispatch_core::pipeline::{Pipeline, SweepOptions, SweepOutcome};
use dispatch_core::ports::{DeliveryLogPort, StoreError, StorePort};
use dispatch_core::recovery::{RecoverOptions, RecoverOutcome};
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;

use crate::store::SqliteStore;

/// What is done, and how often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaintenanceOptions {
    /// `RETENTION_DAYS`: how long finished work is kept.
    pub retention: Duration,
    /// How often GitHub's delivery log is looked into.
    pub recover_every: Duration,
    /// The same while something is missing that was asked for again.
    pub recover_soon: Duration,
    /// `SWEEP_INTERVAL_HOURS`: how often environments whose pull request was closed unnoticed are looked for. None: never.
    pub sweep_every: Option<Duration>,
    /// How often environments whose time is over are looked for. That asks GitHub about these alone.
    pub expire_every: Duration,
    /// `SWEEP_LIMIT`: how many environments may go at once, for a sweep to let further ones go.
    pub sweep_limit: usize,
    /// How often old work is looked for.
    pub retire_every: Duration,
    /// How many records, facts and rows one step deletes at most. The store does nothing else during a step.
    pub step: usize,
    /// How long to wait between two steps, so that other writes come between them.
    pub pause: Duration,
}

impl Default for MaintenanceOptions {
    fn default() -> Self {
        Self {
            retention: Duration::from_secs(90 * 24 * 60 * 60),
            recover_every: Duration::from_secs(10 * 60),
            recover_soon: Duration::from_secs(60),
            sweep_every: Some(Duration::from_secs(7 * 24 * 60 * 60)),
            expire_every: Duration::from_secs(60 * 60),
            sweep_limit: SweepOptions::DEFAULT_LIMIT,
            retire_every: Duration::from_secs(60 * 60),
            step: 500,
            pause: Duration::from_millis(100),
        }
    }
}

/// Running chores. Dropped without [`Maintenance::shutdown`], they stop too, after the step that they are at.
#[derive(Debug)]
pub struct Maintenance {
    stop: watch::Sender<()>,
    chores: Vec<JoinHandle<()>>,
}

impl Maintenance {
    /// Starts. Must be called inside a Tokio runtime. Without a log, what never arrived is not looked for.
    #[must_use]
    pub fn start(
        pipeline: Pipeline,
        store: Arc<SqliteStore>,
        log: Option<Arc<dyn DeliveryLogPort>>,
        options: MaintenanceOptions,
    ) -> Self {
        let (stop, stopped) = watch::channel(());
        let mut chores = Vec::new();
        if let Some(log) = log {
            let (pipeline, store) = (pipeline.clone(), Arc::clone(&store));
            let recover = move || recover(pipeline.clone(), Arc::clone(&store), Arc::clone(&log), options);
            chores.push(tokio::spawn(again_and_again(stopped.clone(), recover)));
        }
        // Both count how many go already: never at the same time.
        let one_at_a_time = Arc::new(Mutex::new(()));
        let sweeps = [(options.sweep_every, false), (Some(options.expire_every), true)];
        for (every, only_expired) in sweeps.into_iter().filter_map(|(every, only)| Some((every?, only))) {
            let pipeline = pipeline.clone();
            let options = SweepOptions { limit: options.sweep_limit, only_expired, ..SweepOptions::default() };
            let turn = Arc::clone(&one_at_a_time);
            let sweep = move || sweep(pipeline.clone(), options.clone(), Arc::clone(&turn), every);
            chores.push(tokio::spawn(again_and_again(stopped.clone(), sweep)));
        }
        let pause = stopped.clone();
        let retire = move || retire(Arc::clone(&pipeline.store), options, pause.clone());
        chores.push(tokio::spawn(again_and_again(stopped, retire)));
        Self { stop, chores }
    }

    /// Begins no further step, and waits for those that are running, up to `limit`.
    pub async fn shutdown(self, limit: Duration) {
        drop(self.stop);
        let deadline = tokio::time::Instant::now() + limit;
        for mut chore in self.chores {
            if tokio::time::timeout_at(deadline, &mut chore).await.is_err() {
                chore.abort();
            }
        }
    }
}

/// Runs a chore now, and then again after as long as it says, until the sender of `stopped` is gone.
async fn again_and_again<F: Future<Output = Duration>>(mut stopped: watch::Receiver<()>, chore: impl Fn() -> F) {
    loop {
        let pause = chore().await;
        if rest(pause, &mut stopped).await.is_err() {
            return;
        }
    }
}

/// It is over.
struct Stopped;

async fn rest(period: Duration, stopped: &mut watch::Receiver<()>) -> Result<(), Stopped> {
    tokio::select! {
        _ = stopped.changed() => Err(Stopped),
        () = tokio::time::sleep(period) => Ok(()),
    }
}

/// Looks into GitHub's delivery log once. After a restore, what it says is compared with what is stored.
async fn recover(
    pipeline: Pipeline,
    store: Arc<SqliteStore>,
    log: Arc<dyn DeliveryLogPort>,
    options: MaintenanceOptions,
) -> Duration {
    let compare = store.was_restored();
    let look = RecoverOptions { compare, ..RecoverOptions::default() };
    let outcome = match pipeline.recover(&*log, look, Timestamp::now()).await {
        Ok(outcome) => outcome,
        Err(error) => {
            failed("recover");
            tracing::warn!(%error, "what GitHub's delivery log says cannot be stored; it is read again");
            return options.recover_soon;
        }
    };
    metrics::counter!("dispatch_webhooks_missed_total").increment(outcome.missed.len() as u64);
    metrics::counter!("dispatch_webhooks_asked_again_total").increment(outcome.asked as u64);
    metrics::gauge!("dispatch_webhooks_missing").set(outcome.missing as f64);
    let RecoverOutcome { asked, arrived, lost, missing, .. } = outcome;
    if asked + arrived + lost > 0 {
        tracing::warn!(asked, arrived, lost, missing, "webhooks were missed");
    }
    if let Some(error) = outcome.error {
        failed("recover");
        tracing::warn!(error, "GitHub's delivery log was not read to its end; it is read again");
    }
    if compare && outcome.complete {
        match store.clear_restored().await {
            Ok(()) => tracing::info!("the database was restored from a copy; what came after the copy was looked for"),
            Err(error) => tracing::warn!(%error, "cannot store that what came after the copy was looked for"),
        }
    }
    if missing > 0 { options.recover_soon } else { options.recover_every }
}

/// Sweeps the environments once. What is to go, the workers decide about.
async fn sweep(pipeline: Pipeline, options: SweepOptions, turn: Arc<Mutex<()>>, every: Duration) -> Duration {
    let _mine = turn.lock().await;
    match pipeline.sweep(&options, Timestamp::now()).await {
        Ok(outcome) => {
            metrics::counter!("dispatch_environments_swept_total").increment(outcome.going.len() as u64);
            let SweepOutcome { looked_at, busy, going_before, tried, overdue, limited, .. } = outcome;
            let (going, unknown) = (outcome.going.len(), outcome.unknown.len());
            if going + unknown + overdue > 0 {
                tracing::info!(
                    looked_at,
                    going,
                    going_before,
                    unknown,
                    busy,
                    tried,
                    overdue,
                    limited,
                    "environments were swept"
                );
            }
        }
        Err(error) => {
            failed("sweep");
            tracing::warn!(%error, "environments cannot be swept; it is tried again");
        }
    }
    every
}

fn failed(chore: &'static str) {
    metrics::counter!("dispatch_maintenance_failures_total", "chore" => chore).increment(1);
}

/// Deletes what is older than its retention, step by step, until nothing is left of it.
async fn retire(store: Arc<dyn StorePort>, options: MaintenanceOptions, mut stopped: watch::Receiver<()>) -> Duration {
    let before = Timestamp::now().checked_sub(options.retention).unwrap_or(Timestamp::MIN);
    let mut deleted = 0_usize;
    let result: Result<(), StoreError> = loop {
        match store.retire(before, options.step).await {
            Ok(0) => break Ok(()),
            Ok(count) => {
                metrics::counter!("dispatch_retired_total").increment(count as u64);
                deleted += count;
            }
            Err(error) => break Err(error),
        }
        if rest(options.pause, &mut stopped).await.is_err() {
            break Ok(());
        }
    };
    match result {
        Ok(()) if deleted > 0 => tracing::info!(deleted, %before, "old work was deleted"),
        Ok(()) => {}
        Err(error) => {
            failed("retire");
            tracing::warn!(%error, deleted, "old work cannot be deleted; it is tried again");
        }
    }
    options.retire_every
}
