//! What is done beside the work: old work is deleted when its retention ends.
//!
//! Each chore runs once at start and then at its own pace, in small steps, and stops between two of them when the service
//! ends. What fails is logged and tried again the next time.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use dispatch_core::Timestamp;
use dispatch_core::ports::{StoreError, StorePort};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What is done, and how often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaintenanceOptions {
    /// `RETENTION_DAYS`: how long finished work is kept.
    pub retention: Duration,
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
    /// Starts. Must be called inside a Tokio runtime.
    #[must_use]
    pub fn start(store: Arc<dyn StorePort>, options: MaintenanceOptions) -> Self {
        let (stop, stopped) = watch::channel(());
        let pause = stopped.clone();
        let retire = move || retire(Arc::clone(&store), options, pause.clone());
        Self { stop, chores: vec![tokio::spawn(every(options.retire_every, stopped, retire))] }
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

/// Runs a chore now and then again, until the sender of `stopped` is gone.
async fn every<F: Future<Output = ()>>(period: Duration, mut stopped: watch::Receiver<()>, chore: impl Fn() -> F) {
    loop {
        chore().await;
        if rest(period, &mut stopped).await.is_err() {
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

/// Deletes what is older than its retention, step by step, until nothing is left of it.
async fn retire(store: Arc<dyn StorePort>, options: MaintenanceOptions, mut stopped: watch::Receiver<()>) {
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
            metrics::counter!("dispatch_maintenance_failures_total", "chore" => "retire").increment(1);
            tracing::warn!(%error, deleted, "old work cannot be deleted; it is tried again");
        }
    }
}
