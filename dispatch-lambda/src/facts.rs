//! `facts`: facts that come from the bus update the read models.

use dispatch_core::ports::store::StoreError;
use serde::Deserialize;

use crate::event::{BatchAnswer, QueueBatch, QueueMessage};
use crate::store::DynamoStore;

/// Updates the read models.
#[derive(Debug, Clone)]
pub struct Facts {
    store: DynamoStore,
}

/// An event of the bus, as a rule sends it to a queue (Amazon EventBridge User Guide, "Events").
#[derive(Debug, Deserialize)]
struct BusEvent {
    detail: CloudEvent,
}

/// The part of a CloudEvent that says which fact it is. The fact itself is read from the table, where it is whole.
#[derive(Debug, Deserialize)]
struct CloudEvent {
    id: String,
}

/// Why a message comes again, and at last to the dead letters.
#[derive(Debug, thiserror::Error)]
enum FactsError {
    #[error("the message is no event of the bus: {0}")]
    Message(#[from] serde_json::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Facts {
    /// Updates the read models of a store.
    #[must_use]
    pub fn new(store: DynamoStore) -> Self {
        Self { store }
    }

    /// Applies the facts that messages name, one after the other: they often change the same sums.
    pub async fn apply(&self, batch: QueueBatch) -> BatchAnswer {
        let mut failed = Vec::new();
        for message in batch.records {
            if let Err(error) = self.one(&message).await {
                tracing::error!(message = message.message_id, %error, "the message comes again");
                failed.push(message.message_id);
            }
        }
        failed.into_iter().collect()
    }

    async fn one(&self, message: &QueueMessage) -> Result<(), FactsError> {
        let event: BusEvent = serde_json::from_str(&message.body)?;
        // One that is not there any more was deleted when its retention ended.
        if let Some(fact) = self.store.fact_of(&event.detail.id).await? {
            self.store.apply(&[fact]).await?;
        }
        Ok(())
    }
}
