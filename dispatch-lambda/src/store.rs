//! A store in one DynamoDB table.
//!
//! | item | `pk` | `sk` | other attributes |
//! |---|---|---|---|
//! | record | `record/<key>` | `-` | `v`, `body`; `at`; while it waits `wq`, `wd`, `lane`, `key` |
//! | delivery, a record too | `record/delivery/<id>` | SHA-256 of the body | the same |
//! | fact | `fact/<id>` | `-` | `body`, `at` |
//! | mark of an applied fact | `applied/<id>` | the part of it | |
//! | row of a read model | `row/<view>/<partition>` | `-<sort>` | `revision`, `body` or `gone`; `at` |
//! | counter | `counter/<name>` | `-` | `value` |
//!
//! `body` is JSON. `at` is the time from which retention counts, in microseconds since 1970, and `ttl`, beside it and in a
//! mark, the time after which DynamoDB may delete the item, in seconds: where there is none, the item stays. Work is found by
//! two indexes: `work` (`wq`, `wd`) by queue and by the time when it is due or its lease ends, with `v` and `lane` included,
//! and `work_by_key` (`wq`, `key`) in the order of the keys, with keys only. The table's stream has new images; whoever
//! reads it hands the facts to [`DynamoStore::apply`].

mod apply;
mod claim;
mod commit;
mod item;
mod read;
mod retire;
mod transaction;

use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::RequestId;
use dispatch_core::Timestamp;
use dispatch_core::fact::Fact;
use dispatch_core::name::DeliveryId;
use dispatch_core::ports::store::{
    Claim, Commit, Queue, RecordKey, StoreError, StorePort, Stored, Take, Taken, ViewQuery, WaitingQuery,
};
use dispatch_core::projection::ViewRow;

use crate::aws::reason;

/// A store in one DynamoDB table, for processes without number. It makes no table: its keys, indexes, stream and `ttl` are the
/// deployment's. How long a request may take, and how often it is repeated, is the client's configuration.
///
/// Where it differs from a store on one machine:
/// - [`commit`](StorePort::commit) writes records and facts in one transaction, and no read model. These follow, when the
///   table's stream has brought the facts to [`DynamoStore::apply`].
/// - A record or a fact takes 392 KiB and a step 4 MB at most; what is larger is [`StoreError::Illegal`].
/// - Claims read an index, which follows the table after a moment. Each item is then leased on the table itself, under the
///   condition that it is as the index said, so that nobody else ever has it too. But claimers that ask at the same moment
///   do not see each other's leases, so that a lane may for once have more work than `per_lane`; and lanes take turns among
///   the first 1,000 due items of a queue, more where these have no place free.
/// - An answer that was lost leaves open what was written, as a crash does, where asking again does not tell either: then
///   it is [`StoreError::Unavailable`], and a step may have been written all the same.
#[derive(Debug, Clone)]
pub struct DynamoStore {
    client: Client,
    table: String,
    retention: Duration,
}

impl DynamoStore {
    /// A store in that table. What was done with is marked to be deleted after `retention`, which DynamoDB does within days.
    #[must_use]
    pub fn new(client: Client, table: impl Into<String>, retention: Duration) -> Self {
        Self { client, table: table.into(), retention }
    }

    /// The fact that an item of the table's stream holds, by the item's `pk` and `body`. None for an item of another kind.
    ///
    /// # Errors
    /// It was written by another release, in a shape that this one does not know.
    pub fn fact(pk: &str, body: &str) -> Option<Result<Fact, serde_json::Error>> {
        pk.starts_with(item::FACT).then(|| serde_json::from_str(body))
    }

    /// A fact by its id, if it is there.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]; also where it was written by another release, in a shape that this one does not know.
    pub async fn fact_of(&self, id: &str) -> Result<Option<Fact>, StoreError> {
        let items = self.items([item::ItemKey::fact(id)].into()).await?;
        items.values().next().map(item::written_fact).transpose()
    }

    /// The keys of work that was due or leased until then, or earlier, and that nobody is at: the earliest of each.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn overdue(&self, queue: Queue, before: Timestamp, limit: usize) -> Result<Vec<RecordKey>, StoreError> {
        self.overdue_work(queue, before, limit).await
    }

    /// Updates the read models with facts, each of them once, however often and in whatever order they come. What fails in the
    /// middle is to be repeated whole.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]; some of the facts may have been applied.
    pub async fn apply(&self, facts: &[Fact]) -> Result<(), StoreError> {
        for fact in facts {
            self.apply_fact(fact).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl StorePort for DynamoStore {
    async fn commit(&self, commit: Commit) -> Result<(), StoreError> {
        self.write_step(&commit).await
    }

    async fn load(&self, keys: &[RecordKey]) -> Result<Vec<Option<Stored>>, StoreError> {
        self.records(keys).await
    }

    async fn claim(&self, claim: Claim) -> Result<Vec<Stored>, StoreError> {
        self.take_work(&claim).await
    }

    async fn take(&self, take: Take) -> Result<Taken, StoreError> {
        self.take_item(&take).await
    }

    async fn waiting(&self, query: WaitingQuery) -> Result<Vec<Stored>, StoreError> {
        self.work_by_key(&query).await
    }

    async fn deliveries(&self, id: &DeliveryId) -> Result<Vec<Stored>, StoreError> {
        self.deliveries_of(id).await
    }

    /// Reads the whole table: for an operator and for tests, never in a request. The table's time to live does the same
    /// without being asked.
    async fn retire(&self, before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        self.delete_oldest(before, limit).await
    }

    async fn rows(&self, query: ViewQuery) -> Result<Vec<ViewRow>, StoreError> {
        self.rows_of(&query).await
    }

    async fn counters(&self, names: &[String]) -> Result<Vec<u64>, StoreError> {
        self.values(names).await
    }
}

/// The error of a request that failed: what DynamoDB says, or why nobody heard it.
fn unavailable<E: std::error::Error + 'static>(error: &SdkError<E>) -> StoreError {
    let reason = reason(error);
    StoreError::Unavailable(match error.request_id() {
        Some(id) => format!("{reason} (request {id})"),
        None => reason,
    })
}
