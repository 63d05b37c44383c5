//! What the pipeline asks of a store: records with versions, facts, and read models.
//!
//! With feature `testing`, `testing::contract` is the suite that every store must pass.
//!
//! The operations are those that SQLite and DynamoDB have in common. A step is one [`Commit`]: all or nothing, at most
//! [`Commit::MAX_WRITES`] writes, each key once, each with the version that it expects.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::chain::Chain;
use crate::decide::{Edge, EdgeKey, LaneKey};
use crate::delivery::{Delivery, DeliveryKey};
use crate::dispatch::{Dispatch, DispatchKey, DispatchState};
use crate::fact::Fact;
use crate::name::{Branch, CommitSha, RepositoryId, RunId};
use crate::projection::ViewRow;

/// A durable store. An operation that returned `Ok` survives a crash.
#[async_trait]
pub trait StorePort: Send + Sync {
    /// Writes one step, and updates the read models with its facts, all or nothing.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if a record does not have the expected version; then nothing was written.
    async fn commit(&self, commit: Commit) -> Result<(), StoreError>;

    /// Reads records, in the order of the keys.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn load(&self, keys: &[RecordKey]) -> Result<Vec<Option<Stored>>, StoreError>;

    /// Takes due work and leases it: until `now + lease` nobody else gets it. Each item comes back when its lease runs
    /// out, unless a commit moves it on before. Fair: the lanes take turns, so that one with much work does not hold up the
    /// others, and within a lane what was due first comes first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn claim(&self, claim: Claim) -> Result<Vec<Stored>, StoreError>;

    /// Reads rows of a read model, newest first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn rows(&self, query: ViewQuery) -> Result<Vec<ViewRow>, StoreError>;

    /// Reads counters of a read model by name; a counter that never counted is 0.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn counters(&self, names: &[String]) -> Result<Vec<u64>, StoreError>;
}

/// Why a store did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// A record does not have the version that was expected: somebody else was faster.
    #[error("the record `{0}` has changed")]
    Conflict(RecordKey),
    /// A step that no store can do: too large, or a record in it twice. A mistake of the caller. Nothing was written.
    #[error("the step cannot be stored: {0}")]
    Illegal(String),
    /// The store cannot be reached, is full, or is broken. Nothing was written.
    #[error("the store is not available: {0}")]
    Unavailable(String),
}

/// One step: records and the facts that tell of it.
#[derive(Debug, Clone, Default)]
pub struct Commit {
    /// The records to write, each key once.
    pub writes: Vec<Write>,
    /// The facts. A fact whose id exists is not written, and not projected, again.
    pub facts: Vec<Fact>,
}

impl Commit {
    /// The most that one step may write, records and facts together (DynamoDB: 100 items in a transaction).
    pub const MAX_WRITES: usize = 100;

    /// The keys of the writes, in their order: for stores, which refuse what no store could do.
    ///
    /// # Errors
    /// [`StoreError::Illegal`]: the step is too large, or writes a record twice.
    pub fn distinct_keys(&self) -> Result<Vec<RecordKey>, StoreError> {
        let size = self.writes.len() + self.facts.len();
        if size > Self::MAX_WRITES {
            return Err(StoreError::Illegal(format!("{size} writes in one step, and it takes {}", Self::MAX_WRITES)));
        }
        let keys: Vec<_> = self.writes.iter().map(|write| write.record.key()).collect();
        let mut seen = BTreeSet::new();
        match keys.iter().find(|key| !seen.insert(*key)) {
            Some(twice) => Err(StoreError::Illegal(format!("`{twice}` is written twice in one step"))),
            None => Ok(keys),
        }
    }
}

/// A record to write.
#[derive(Debug, Clone)]
pub struct Write {
    /// The new state.
    pub record: Record,
    /// The version that must be there; None: there must be none.
    pub expected: Option<u64>,
}

/// A record as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// The state.
    pub record: Record,
    /// Its version, from 1, counted up by one with every write and every claim.
    pub version: u64,
}

/// What is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Record {
    /// An accepted webhook.
    Delivery(Box<Delivery>),
    /// A planned dispatch.
    Dispatch(Box<Dispatch>),
    /// Who was behind the two names of an edge.
    Edge(EdgeKey, Edge),
    /// The number of the newest run that a lane dispatched.
    Lane(LaneKey, u64),
    /// A commit that a signed push webhook showed at the head of a branch.
    Head(HeadKey),
    /// The chain of a run that was started here.
    Run(RunId, Chain),
}

impl Record {
    /// The record's key.
    #[must_use]
    pub fn key(&self) -> RecordKey {
        match self {
            Self::Delivery(delivery) => RecordKey::Delivery(delivery.key.clone()),
            Self::Dispatch(dispatch) => RecordKey::Dispatch(dispatch.key.clone()),
            Self::Edge(key, _) => RecordKey::Edge(key.clone()),
            Self::Lane(key, _) => RecordKey::Lane(key.clone()),
            Self::Head(key) => RecordKey::Head(key.clone()),
            Self::Run(id, _) => RecordKey::Run(*id),
        }
    }

    /// Who was behind the names, if the record is an edge.
    #[must_use]
    pub fn edge(&self) -> Option<Edge> {
        if let Self::Edge(_, edge) = self { Some(*edge) } else { None }
    }

    /// The number of the newest run, if the record is a lane.
    #[must_use]
    pub fn lane(&self) -> Option<u64> {
        if let Self::Lane(_, number) = self { Some(*number) } else { None }
    }

    /// The queue that the record waits in, if there is something left to do about it.
    #[must_use]
    pub fn work(&self) -> Option<Work> {
        match self {
            Self::Delivery(delivery) => {
                let lane = delivery.event.repository.name.owner().as_str().to_ascii_lowercase();
                delivery.due.map(|due| Work { queue: Queue::Plan, lane, due, held: false })
            }
            Self::Dispatch(dispatch) => {
                let lane = dispatch.key.target.repository.key();
                let held = matches!(dispatch.state, DispatchState::Calling { .. });
                dispatch.due.map(|due| Work { queue: Queue::Dispatch, lane, due, held })
            }
            Self::Edge(..) | Self::Lane(..) | Self::Head(_) | Self::Run(..) => None,
        }
    }
}

/// Where a record waits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Work {
    /// In this queue.
    pub queue: Queue,
    /// Whose work it is, in lower case: lanes take turns. The source's owner for a delivery, the target's repository for a
    /// dispatch.
    pub lane: String,
    /// From when on.
    pub due: Timestamp,
    /// Whether somebody is at it until then, as with a lease: it takes one of its lane's places.
    pub held: bool,
}

/// The key of a record. Prints as text that no other key prints as.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum RecordKey {
    /// Of an accepted webhook.
    Delivery(DeliveryKey),
    /// Of a planned dispatch.
    Dispatch(DispatchKey),
    /// Of an edge.
    Edge(EdgeKey),
    /// Of a lane.
    Lane(LaneKey),
    /// Of a commit at the head of a branch.
    Head(HeadKey),
    /// Of a run that was started here.
    Run(RunId),
}

impl fmt::Display for RecordKey {
    /// Parts that may hold any character (branches) come last.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delivery(key) => write!(f, "delivery/{key}"),
            Self::Dispatch(key) => write!(f, "dispatch/{key}"),
            Self::Edge(EdgeKey { source, target }) => write!(f, "edge/{}>{}", source.key(), target.key()),
            Self::Lane(LaneKey { source, branch, target }) => write!(
                f,
                "lane/{}:{}>{}:{}@{}",
                source.repository.key(),
                source.start,
                target.repository.key(),
                target.start,
                branch.as_ref().map_or("", Branch::as_str)
            ),
            Self::Head(HeadKey { repository, branch, sha }) => write!(f, "head/{repository}/{sha}/{branch}"),
            Self::Run(id) => write!(f, "run/{id}"),
        }
    }
}

/// A commit at the head of a branch.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct HeadKey {
    /// Where.
    pub repository: RepositoryId,
    /// The branch.
    pub branch: Branch,
    /// The commit.
    pub sha: CommitSha,
}

/// A queue of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Queue {
    /// Deliveries to decide about.
    Plan,
    /// Dispatches to call.
    Dispatch,
}

/// A request for due work.
#[derive(Debug, Clone, Copy)]
pub struct Claim {
    /// Which work.
    pub queue: Queue,
    /// The time to compare `due` with.
    pub now: Timestamp,
    /// How long the work is kept from others.
    pub lease: Duration,
    /// How many items at most.
    pub limit: usize,
    /// How many items of one lane may be leased at the same time, those of earlier claims included.
    pub per_lane: usize,
}

/// A request for rows of a read model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewQuery {
    /// The read model.
    pub view: &'static str,
    /// The part of it, such as one delivery's key.
    pub partition: String,
    /// Only rows that sort before this one: the way to page.
    pub before: Option<String>,
    /// How many rows at most.
    pub limit: usize,
}
