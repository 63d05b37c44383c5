//! `schedule`: what nothing else sets off.

use std::sync::Arc;
use std::time::Duration;

use dispatch_core::Timestamp;
use dispatch_core::pipeline::{Pipeline, SweepOptions};
use dispatch_core::ports::DeliveryLogPort;
use dispatch_core::ports::store::{Queue, StoreError};
use dispatch_core::recovery::RecoverOptions;
use serde::{Deserialize, Serialize};

use crate::announce::{AnnounceError, Announcement, Announcer};
use crate::store::DynamoStore;

/// How long work has been due before it counts as forgotten: longer than a message takes that is on its way.
const OVERDUE_AFTER: Duration = Duration::from_secs(2 * 60);
/// How much of a queue is announced again at once. Messages that were only late are then there twice, which is bounded by this.
const ANNOUNCED_AT_ONCE: usize = 500;

/// The input of the schedules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "chore", rename_all = "snake_case")]
pub enum Chore {
    /// Announces again what should have been done by now: its message was lost, or whoever had it died.
    Overdue,
    /// Looks into GitHub's log of deliveries for webhooks that never arrived.
    Recover,
    /// Looks for environments whose pull request was closed unnoticed.
    Sweep,
    /// Looks for environments whose time is over.
    Expire,
}

/// Does chores.
pub struct Schedule {
    /// What asks GitHub.
    pub pipeline: Pipeline,
    /// The table.
    pub store: DynamoStore,
    /// The queues.
    pub announcer: Announcer,
    /// GitHub's log of deliveries.
    pub log: Arc<dyn DeliveryLogPort>,
    /// `SWEEP_LIMIT`.
    pub sweep_limit: usize,
}

/// Why a chore was not done. It comes again by itself.
#[derive(Debug, thiserror::Error)]
pub enum ChoreError {
    /// What the store says.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What the queues say.
    #[error(transparent)]
    Announce(#[from] AnnounceError),
}

impl Schedule {
    /// Does a chore once.
    ///
    /// # Errors
    /// [`ChoreError`]; what was done before stays done.
    pub async fn run(&self, chore: Chore) -> Result<(), ChoreError> {
        let now = Timestamp::now();
        match chore {
            Chore::Overdue => self.overdue(now).await,
            Chore::Recover => {
                let outcome = self.pipeline.recover(&*self.log, RecoverOptions::default(), now).await?;
                let (asked, arrived, lost, missing) = (outcome.asked, outcome.arrived, outcome.lost, outcome.missing);
                if asked + arrived + lost > 0 {
                    tracing::warn!(asked, arrived, lost, missing, "webhooks were missed");
                }
                if let Some(error) = outcome.error {
                    tracing::warn!(error, "GitHub's delivery log was not read to its end; it is read again");
                }
                Ok(())
            }
            Chore::Sweep => self.sweep(false, now).await,
            Chore::Expire => self.sweep(true, now).await,
        }
    }

    async fn overdue(&self, now: Timestamp) -> Result<(), ChoreError> {
        let before = now.checked_sub(OVERDUE_AFTER).unwrap_or(Timestamp::MIN);
        for queue in Queue::ALL {
            let overdue = self.store.overdue(queue, before, ANNOUNCED_AT_ONCE).await?;
            if overdue.is_empty() {
                continue;
            }
            tracing::warn!(?queue, count = overdue.len(), "work is overdue, and announced again");
            let again = overdue.into_iter().map(|key| Announcement { key, queue, due: now });
            self.announcer.announce(&again.collect::<Vec<_>>(), now).await?;
        }
        Ok(())
    }

    async fn sweep(&self, only_expired: bool, now: Timestamp) -> Result<(), ChoreError> {
        let options = SweepOptions { limit: self.sweep_limit, only_expired, ..SweepOptions::default() };
        let outcome = self.pipeline.sweep(&options, now).await?;
        let (going, unknown, overdue) = (outcome.going.len(), outcome.unknown.len(), outcome.overdue);
        if going + unknown + overdue > 0 {
            tracing::info!(going, unknown, overdue, limited = outcome.limited, "environments were swept");
        }
        Ok(())
    }
}
