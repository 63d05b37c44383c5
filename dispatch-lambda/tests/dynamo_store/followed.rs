//! The way of a table's stream to the read models.

use async_trait::async_trait;
use aws_sdk_dynamodbstreams::types::{OperationType, ShardIteratorType};
use dispatch_core::Timestamp;
use dispatch_core::fact::Fact;
use dispatch_core::name::DeliveryId;
use dispatch_core::ports::store::{
    Claim, Commit, RecordKey, StoreError, StorePort, Stored, Take, Taken, ViewQuery, WaitingQuery,
};
use dispatch_core::projection::ViewRow;
use dispatch_lambda::DynamoStore;
use tokio::sync::{Mutex, RwLock};

use crate::aws;
use crate::aws::table::Table;

/// The store with what reads its table's stream: a step is answered when the read models have its facts.
pub(crate) struct Followed {
    pub(crate) store: DynamoStore,
    streams: aws_sdk_dynamodbstreams::Client,
    stream: String,
    /// The one part that the stream of a new table has.
    shard: String,
    /// The last entry of the stream that was applied.
    reached: Mutex<Option<String>>,
    /// Steps share it, and whoever reads the stream has it alone: between the two requests that reading takes, the emulation
    /// shows entries that a step left which was refused, under numbers that other entries get.
    quiet: RwLock<()>,
}

impl Followed {
    pub(crate) async fn new() -> Self {
        let (table, streams) = (Table::new().await, aws::streams());
        let described = streams.describe_stream().stream_arn(&table.stream).send().await.unwrap();
        let shard = described.stream_description.unwrap().shards.unwrap().remove(0).shard_id.unwrap();
        Self {
            store: table.store(),
            streams,
            stream: table.stream,
            shard,
            reached: Mutex::new(None),
            quiet: RwLock::new(()),
        }
    }

    /// Applies what the stream brings since the last time.
    pub(crate) async fn follow(&self) -> Result<(), StoreError> {
        let mut reached = self.reached.lock().await;
        loop {
            let (facts, last) = self.entries(reached.clone()).await;
            if last.is_none() {
                return Ok(());
            }
            self.store.apply(&facts).await?;
            *reached = last;
        }
    }

    /// What comes in the stream after an entry: the facts, and the last entry.
    async fn entries(&self, after: Option<String>) -> (Vec<Fact>, Option<String>) {
        let _alone = self.quiet.write().await;
        let from = match after {
            None => ShardIteratorType::TrimHorizon,
            Some(_) => ShardIteratorType::AfterSequenceNumber,
        };
        let iterator = self.streams.get_shard_iterator().stream_arn(&self.stream).shard_id(&self.shard);
        let iterator = iterator.shard_iterator_type(from).set_sequence_number(after).send().await.unwrap();
        let records = self.streams.get_records().set_shard_iterator(iterator.shard_iterator).send().await.unwrap();
        let (mut facts, mut last) = (Vec::new(), None);
        for record in records.records.unwrap_or_default() {
            let change = record.dynamodb.unwrap();
            last = change.sequence_number;
            // A fact that retention deletes is an entry, too.
            if record.event_name != Some(OperationType::Insert) {
                continue;
            }
            let image = change.new_image.unwrap();
            let text = |name: &str| image.get(name).and_then(|value| value.as_s().ok());
            let fact = text("body").and_then(|body| DynamoStore::fact(text("pk")?, body));
            facts.extend(fact.map(Result::unwrap));
        }
        (facts, last)
    }
}

#[async_trait]
impl StorePort for Followed {
    async fn commit(&self, commit: Commit) -> Result<(), StoreError> {
        let shared = self.quiet.read().await;
        self.store.commit(commit).await?;
        drop(shared);
        self.follow().await
    }

    async fn load(&self, keys: &[RecordKey]) -> Result<Vec<Option<Stored>>, StoreError> {
        self.store.load(keys).await
    }

    async fn claim(&self, claim: Claim) -> Result<Vec<Stored>, StoreError> {
        self.store.claim(claim).await
    }

    async fn take(&self, take: Take) -> Result<Taken, StoreError> {
        self.store.take(take).await
    }

    async fn waiting(&self, query: WaitingQuery) -> Result<Vec<Stored>, StoreError> {
        self.store.waiting(query).await
    }

    async fn deliveries(&self, id: &DeliveryId) -> Result<Vec<Stored>, StoreError> {
        self.store.deliveries(id).await
    }

    async fn retire(&self, before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        self.store.retire(before, limit).await
    }

    async fn rows(&self, query: ViewQuery) -> Result<Vec<ViewRow>, StoreError> {
        self.store.rows(query).await
    }

    async fn counters(&self, names: &[String]) -> Result<Vec<u64>, StoreError> {
        self.store.counters(names).await
    }
}
