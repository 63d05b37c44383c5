//! What queues and streams hand to a function: batches, of which it answers what failed.

use serde::{Deserialize, Serialize};

/// Messages of a queue (AWS Lambda Developer Guide, "Using Lambda with Amazon SQS").
#[derive(Debug, Clone, Deserialize)]
pub struct QueueBatch {
    /// The messages.
    #[serde(rename = "Records")]
    pub records: Vec<QueueMessage>,
}

/// A message of a queue.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QueueMessage {
    /// What a failure is told by.
    pub message_id: String,
    /// What was sent.
    pub body: String,
}

/// Changes of a table (AWS Lambda Developer Guide, "Using AWS Lambda with Amazon DynamoDB").
#[derive(Debug, Clone, Deserialize)]
pub struct StreamBatch {
    /// The changes of one shard, in their order.
    #[serde(rename = "Records")]
    pub records: Vec<StreamRecord>,
}

/// A change of an item.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StreamRecord {
    /// `INSERT`, `MODIFY` or `REMOVE`.
    pub event_name: String,
    /// What changed.
    pub dynamodb: StreamChange,
}

/// What changed.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct StreamChange {
    /// Its place in the stream, and what a failure is told by.
    pub sequence_number: String,
    /// The item as it is now; nothing where it was deleted.
    #[serde(default)]
    pub new_image: Image,
}

/// An item, as far as facts need it.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Image {
    /// Its `pk`.
    pub pk: Option<Text>,
    /// Its `body`.
    pub body: Option<Text>,
}

/// A text of an item.
#[derive(Debug, Clone, Deserialize)]
pub struct Text {
    /// The text.
    #[serde(rename = "S")]
    pub text: String,
}

/// What failed of a batch, and comes again. The event source mapping must say that the function reports it
/// (`ReportBatchItemFailures`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchAnswer {
    /// Messages of a queue that failed, or the first change of a stream from which on all come again.
    pub batch_item_failures: Vec<Failed>,
}

/// Something that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Failed {
    /// A message's id, or a change's place in the stream.
    pub item_identifier: String,
}

impl FromIterator<String> for BatchAnswer {
    fn from_iter<I: IntoIterator<Item = String>>(identifiers: I) -> Self {
        let failed = identifiers.into_iter().map(|item_identifier| Failed { item_identifier });
        Self { batch_item_failures: failed.collect() }
    }
}
