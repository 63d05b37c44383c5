//! Work is announced to those who do it: by messages that name it.
//!
//! A message says which record has work, and nothing else: what there is to do is in the table, where whoever gets the
//! message [takes](StorePort::take) it. So it does no harm if a message comes twice, late or for nothing, and a message that
//! never comes is made up for by the schedule, which announces again what is overdue.

use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use dispatch_core::Timestamp;
use dispatch_core::name::DeliveryId;
use dispatch_core::ports::store::{
    Claim, Commit, Queue, RecordKey, StoreError, StorePort, Stored, Take, Taken, ViewQuery, WaitingQuery, Work,
};
use dispatch_core::projection::ViewRow;
use serde::{Deserialize, Serialize};

use crate::aws::reason;

/// How many messages one request sends (Amazon SQS Developer Guide, "Amazon SQS message quotas").
const MESSAGES_AT_ONCE: usize = 10;
/// The longest that a queue keeps a message back (same place, "Delay message"). Whoever gets it too early sends it anew.
const LONGEST_DELAY: Duration = Duration::from_secs(15 * 60);

/// That there is work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    /// The record that has it.
    pub key: RecordKey,
    /// In which queue.
    pub queue: Queue,
    /// From when on.
    pub due: Timestamp,
}

impl Announcement {
    /// Of a record, where it has work that nobody is at.
    #[must_use]
    pub fn of(record: &dispatch_core::ports::store::Record) -> Option<Self> {
        let Work { queue, due, held, .. } = record.work()?;
        (!held).then(|| Self { key: record.key(), queue, due })
    }
}

/// What a message says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The record that has work.
    pub key: RecordKey,
    /// The queue of the store that it waits in.
    pub queue: Queue,
}

/// The queues that work is announced in.
#[derive(Debug, Clone)]
pub struct Announcer {
    client: aws_sdk_sqs::Client,
    requests: String,
    targets: String,
}

/// Not everything could be announced.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("work cannot be announced: {0}")]
pub struct AnnounceError(String);

impl Announcer {
    /// The queues at these URLs: of deliveries to decide about, and of dispatches to call and results to show.
    #[must_use]
    pub fn new(client: aws_sdk_sqs::Client, requests: impl Into<String>, targets: impl Into<String>) -> Self {
        Self { client, requests: requests.into(), targets: targets.into() }
    }

    /// Announces work. What is not due yet comes when it is, or in a quarter of an hour: then whoever gets it announces it
    /// again.
    ///
    /// # Errors
    /// [`AnnounceError`]; some of it may have been announced.
    pub async fn announce(&self, work: &[Announcement], now: Timestamp) -> Result<(), AnnounceError> {
        let (requests, targets): (Vec<_>, Vec<_>) = work.iter().partition(|it| it.queue == Queue::Plan);
        let (requests, targets) =
            tokio::join!(self.send(&self.requests, &requests, now), self.send(&self.targets, &targets, now));
        requests.and(targets)
    }

    async fn send(&self, url: &str, work: &[&Announcement], now: Timestamp) -> Result<(), AnnounceError> {
        for chunk in work.chunks(MESSAGES_AT_ONCE) {
            let entries: Result<Vec<_>, _> =
                chunk.iter().enumerate().map(|(number, announcement)| entry(number, announcement, now)).collect();
            let request = self.client.send_message_batch().queue_url(url).set_entries(Some(entries?));
            let answer = request.send().await.map_err(|error| AnnounceError(reason(&error)))?;
            if let Some(failed) = answer.failed.first() {
                let message = failed.message.as_deref().unwrap_or_default();
                return Err(AnnounceError(format!("{} {message}", failed.code)));
            }
        }
        Ok(())
    }
}

fn entry(
    number: usize,
    announcement: &Announcement,
    now: Timestamp,
) -> Result<SendMessageBatchRequestEntry, AnnounceError> {
    let failed = |error: &dyn std::fmt::Display| AnnounceError(error.to_string());
    let message = Message { key: announcement.key.clone(), queue: announcement.queue };
    let body = serde_json::to_string(&message).map_err(|error| failed(&error))?;
    let entry = SendMessageBatchRequestEntry::builder().id(number.to_string()).message_body(body);
    entry.delay_seconds(delay(announcement.due, now)).build().map_err(|error| failed(&error))
}

/// In whole seconds; rather too late than too early, which would cost another message.
fn delay(due: Timestamp, now: Timestamp) -> i32 {
    let wait = Duration::try_from(due.duration_since(now)).unwrap_or_default().min(LONGEST_DELAY);
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    i32::try_from(seconds).unwrap_or_default()
}

/// A store whose steps are announced. What cannot be announced is done all the same, when the schedule finds it overdue: a
/// step that is stored has succeeded.
pub struct Announcing<S> {
    store: S,
    announcer: Announcer,
}

impl<S: StorePort> Announcing<S> {
    /// Announces what a store is given to do.
    pub fn new(store: S, announcer: Announcer) -> Self {
        Self { store, announcer }
    }
}

#[async_trait]
impl<S: StorePort> StorePort for Announcing<S> {
    async fn commit(&self, commit: Commit) -> Result<(), StoreError> {
        let work: Vec<_> = commit.writes.iter().filter_map(|write| Announcement::of(&write.record)).collect();
        self.store.commit(commit).await?;
        if let Err(error) = self.announcer.announce(&work, Timestamp::now()).await {
            tracing::warn!(%error, "the schedule finds it when it is overdue");
        }
        Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_comes_when_its_work_is_due_or_in_a_quarter_of_an_hour() {
        let now: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        for (wait, expected) in [(-60_000, 0), (0, 0), (1, 1), (1_000, 1), (1_001, 2), (899_001, 900), (3_600_000, 900)]
        {
            let due = now.checked_add(jiff::SignedDuration::from_millis(wait)).unwrap();
            assert_eq!(delay(due, now), expected, "{wait} ms");
        }
        assert_eq!(delay(Timestamp::MAX, Timestamp::MIN), 900);
        assert_eq!(delay(Timestamp::MIN, Timestamp::MAX), 0);
    }
}
