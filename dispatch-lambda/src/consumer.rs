//! `planner` and `dispatcher`: messages that name work become steps.

use std::sync::Arc;
use std::time::Duration;

use dispatch_axum::step::Steps;
use dispatch_core::Timestamp;
use dispatch_core::ports::store::{StoreError, StorePort, Take, Taken};
use futures_util::future::join_all;

use crate::announce::{AnnounceError, Announcement, Announcer, Message};
use crate::event::{BatchAnswer, QueueBatch, QueueMessage};

/// How long an item is kept from others. Longer than a function may take, since whoever loses the lease loses the step.
const LEASE: Duration = Duration::from_secs(120);

/// Takes the work that messages name, and steps with it.
#[derive(Clone)]
pub struct Consumer {
    store: Arc<dyn StorePort>,
    steps: Steps,
    announcer: Announcer,
}

/// Why a message comes again, and at last to the dead letters.
#[derive(Debug, thiserror::Error)]
enum ConsumeError {
    #[error("the message names no work: {0}")]
    Message(#[from] serde_json::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Announce(#[from] AnnounceError),
}

impl Consumer {
    /// What takes steps with work of a store, and announces again what is not due yet.
    pub fn new(store: Arc<dyn StorePort>, steps: Steps, announcer: Announcer) -> Self {
        Self { store, steps, announcer }
    }

    /// Does what the messages of a batch name, side by side. What waits is announced for later, and its message has done its
    /// duty: to wait never counts as a failure.
    pub async fn consume(&self, batch: QueueBatch) -> BatchAnswer {
        let done = join_all(batch.records.iter().map(|message| self.one(message))).await;
        let failed = batch.records.into_iter().zip(done).filter_map(|(message, done)| {
            let error = done.err()?;
            tracing::error!(message = message.message_id, %error, "the message comes again");
            Some(message.message_id)
        });
        failed.collect()
    }

    async fn one(&self, message: &QueueMessage) -> Result<(), ConsumeError> {
        let Message { key, queue } = serde_json::from_str(&message.body)?;
        let now = Timestamp::now();
        match self.store.take(Take { key: key.clone(), now, lease: LEASE }).await? {
            // Somebody else went on with it: that is announced.
            Taken::Work(item) => match self.steps.take(*item).await {
                Ok(()) | Err(StoreError::Conflict(_)) => Ok(()),
                Err(error) => Err(error.into()),
            },
            Taken::NotBefore(due) => Ok(self.announcer.announce(&[Announcement { key, queue, due }], now).await?),
            Taken::Nothing => Ok(()),
        }
    }
}
