//! What the pipeline asks of a store: records with versions, facts, and read models.
//!
//! With feature `testing`, `testing::contract` is the suite that every store must pass.
//!
//! The operations are those that SQLite and DynamoDB have in common. A step is one [`Commit`]: all or nothing, at most
//! [`Commit::MAX_WRITES`] writes, each key once, each with the version that it expects.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::chain::{Chain, Place};
use crate::decide::{Edge, EdgeKey, LaneKey};
use crate::delivery::{Delivery, DeliveryKey};
use crate::dispatch::{Dispatch, DispatchKey, DispatchState};
use crate::environment::{Environment, EnvironmentKey, EnvironmentState};
use crate::event::EventIdentity;
use crate::fact::Fact;
use crate::ledger::Ledger;
use crate::name::{Branch, CheckId, CommitSha, DeliveryId, Repository, RepositoryId, RunId};
use crate::notice::{CommentAbout, CommentKey, Notice, NoticeKey};
use crate::projection::ViewRow;
use crate::proposal::ProposalRecord;
use crate::pull_request::{PullRequestKey, PullRequestRecord};
use crate::recovery::Recovery;
use crate::report::{Report, ReportKey};
use crate::revocation::Revocation;

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
    /// out, and is due since then, unless a commit moves it on before. Fair: the lanes take turns, so that one with much
    /// work does not hold up the others, and within a lane what was due first comes first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn claim(&self, claim: Claim) -> Result<Vec<Stored>, StoreError>;

    /// Takes one item of work by its key, where it is due, and leases it as a claim does: for carriers whose messages name
    /// the work. Who takes turns with whom is theirs to say.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn take(&self, take: Take) -> Result<Taken, StoreError>;

    /// Reads work that waits in a queue, claimed or not, in the order of the keys' text, without claiming it. What begins
    /// or ends to wait meanwhile may be missing.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn waiting(&self, query: WaitingQuery) -> Result<Vec<Stored>, StoreError>;

    /// Reads the deliveries that came under this id: usually one, more where other bodies came under the same id.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn deliveries(&self, id: &DeliveryId) -> Result<Vec<Stored>, StoreError>;

    /// Deletes what was done with before that time: records by [`Record::done_at`], facts and rows by their time. At most
    /// `limit` of each, the oldest first, so that a step is short. Answers how many were deleted: 0, when nothing is left.
    /// Counters stay, and so does what waits. What was parked goes too, although nobody acted on it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn retire(&self, before: Timestamp, limit: usize) -> Result<usize, StoreError>;

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
    /// A commit that a signed push webhook showed at the head of a branch, and when.
    Head(HeadKey, Timestamp),
    /// A run that was started here.
    Run(RunId, RunRecord),
    /// What is under way at a target.
    Target(Place, Ledger),
    /// What the events of a chain have spent of their root's budget.
    Root(EventIdentity, RootBudget),
    /// An accepted webhook that says that the App lost access.
    Revocation(Box<Revocation>),
    /// What is told about failures.
    Report(Box<Report>),
    /// What is shown to people at GitHub.
    Notice(Box<Notice>),
    /// A pull request whose policy file is looked at.
    Proposal(Box<ProposalRecord>),
    /// How many comments were begun in a repository lately.
    NewComments(RepositoryId, NewComments),
    /// That the policy file of a `.github` repository has held its owner's limits, and when that was first seen.
    LimitsSeen(Repository, Timestamp),
    /// What is remembered of a pull request.
    PullRequest(Box<PullRequestRecord>),
    /// An environment.
    Environment(Box<Environment>),
    /// How far GitHub's delivery log was read.
    Recovery(Box<Recovery>),
    /// Written to find out whether the store takes writes.
    Probe(Timestamp),
}

/// A run that was started here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRecord {
    /// The way that led to it.
    pub chain: Chain,
    /// The dispatch that started it.
    pub dispatch: DispatchKey,
    /// When that was recorded.
    pub at: Timestamp,
}

/// How many comments were begun in a repository within a minute, and how many refusals were shown otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewComments {
    /// When the minute began.
    pub since: Timestamp,
    /// How many, since then.
    pub count: u32,
    /// How many commands were refused by a reaction, since then.
    #[serde(default)]
    pub refusals: u32,
}

/// What the events of a chain have spent of their root's budget.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RootBudget {
    /// How many dispatches each event of the chain planned. An event that is decided about again does not count twice.
    pub spent: BTreeMap<EventIdentity, u32>,
    /// When it was spent last.
    pub at: Timestamp,
}

impl RootBudget {
    /// What was spent by all events but this one.
    #[must_use]
    pub fn spent_by_others(&self, event: &EventIdentity) -> u32 {
        self.spent.iter().filter(|(other, _)| *other != event).fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }
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
            Self::Head(key, _) => RecordKey::Head(key.clone()),
            Self::Run(id, _) => RecordKey::Run(*id),
            Self::Target(place, _) => RecordKey::Target(place.clone()),
            Self::Root(root, _) => RecordKey::Root(root.clone()),
            Self::Revocation(revocation) => RecordKey::Revocation(revocation.key.clone()),
            Self::Report(report) => RecordKey::Report(report.key.clone()),
            Self::Notice(notice) => RecordKey::Notice(notice.key()),
            Self::Proposal(proposal) => RecordKey::Proposal(proposal.check.clone()),
            Self::NewComments(repository, _) => RecordKey::NewComments(*repository),
            Self::LimitsSeen(repository, _) => RecordKey::LimitsSeen(repository.clone()),
            Self::PullRequest(record) => RecordKey::PullRequest(record.key),
            Self::Environment(environment) => RecordKey::Environment(environment.key.clone()),
            Self::Recovery(_) => RecordKey::Recovery,
            Self::Probe(_) => RecordKey::Probe,
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

    /// What is under way, if the record is a target's ledger.
    #[must_use]
    pub fn ledger(&self) -> Option<&Ledger> {
        if let Self::Target(_, ledger) = self { Some(ledger) } else { None }
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
            Self::Revocation(revocation) => {
                let lane = revocation.lost.account.as_str().to_ascii_lowercase();
                revocation.due.map(|due| Work { queue: Queue::Plan, lane, due, held: false })
            }
            Self::Report(report) => {
                let lane = report.name.key();
                report.due.map(|due| Work { queue: Queue::Report, lane, due, held: false })
            }
            Self::Notice(notice) => {
                let lane = notice.repository().name.key();
                notice.due.map(|due| Work { queue: Queue::Report, lane, due, held: false })
            }
            Self::Proposal(proposal) => {
                let lane = proposal.event.repository.name.key();
                proposal.due.map(|due| Work { queue: Queue::Report, lane, due, held: false })
            }
            Self::Edge(..)
            | Self::Lane(..)
            | Self::Head(..)
            | Self::Run(..)
            | Self::Target(..)
            | Self::NewComments(..)
            | Self::LimitsSeen(..)
            | Self::PullRequest(_)
            | Self::Environment(_)
            | Self::Root(..)
            | Self::Recovery(_)
            | Self::Probe(_) => None,
        }
    }

    /// When it was done with: retention counts from here. None for what waits, and for what is kept for good. What is parked
    /// waits for nobody: it counts from when it was given up, and goes with its row in [`PARKED`](crate::projection::PARKED),
    /// also where the operator never acted on it.
    #[must_use]
    pub fn done_at(&self) -> Option<Timestamp> {
        if self.work().is_some() {
            return None;
        }
        match self {
            Self::Delivery(delivery) => Some(delivery.parked_at.unwrap_or(delivery.received_at)),
            Self::Dispatch(dispatch) => Some(dispatch.parked_at.unwrap_or(dispatch.decided_at)),
            Self::Head(_, at) => Some(*at),
            Self::Run(_, run) => Some(run.at),
            Self::Root(_, budget) => Some(budget.at),
            Self::Revocation(revocation) => Some(revocation.received_at),
            Self::Notice(notice) => Some(notice.changed_at),
            Self::Proposal(proposal) => Some(proposal.wanted_at),
            Self::NewComments(_, comments) => Some(comments.since),
            Self::PullRequest(record) => record.environments.is_empty().then_some(record.changed_at),
            Self::Environment(environment) => {
                (environment.state == EnvironmentState::Destroyed).then_some(environment.changed_at)
            }
            Self::Edge(..)
            | Self::Lane(..)
            | Self::Target(..)
            | Self::Report(_)
            | Self::LimitsSeen(..)
            | Self::Recovery(_)
            | Self::Probe(_) => None,
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
    /// Of a target's ledger.
    Target(Place),
    /// Of a root's budget.
    Root(EventIdentity),
    /// Of a webhook that says that the App lost access.
    Revocation(DeliveryKey),
    /// Of what is told about failures.
    Report(ReportKey),
    /// Of what is shown to people at GitHub.
    Notice(NoticeKey),
    /// Of a pull request whose policy file is looked at: that of its check.
    Proposal(CheckId),
    /// Of how many comments were begun in a repository.
    NewComments(RepositoryId),
    /// Of whether a `.github` repository has held its owner's limits.
    LimitsSeen(Repository),
    /// Of a pull request.
    PullRequest(PullRequestKey),
    /// Of an environment.
    Environment(EnvironmentKey),
    /// Of the one record about GitHub's delivery log.
    Recovery,
    /// Of the one record that is written to try.
    Probe,
}

impl fmt::Display for RecordKey {
    /// Parts that may hold any character (branches) come last.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delivery(key) => write!(f, "delivery/{key}"),
            Self::Dispatch(key) => write!(f, "dispatch/{key}"),
            Self::LimitsSeen(repository) => write!(f, "limits/{}", repository.key()),
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
            Self::Target(place) => write!(f, "target/{}:{}", place.repository.key(), place.start),
            Self::Root(root) => write!(f, "root/{}", root.as_str()),
            Self::Revocation(key) => write!(f, "revocation/{key}"),
            Self::Report(ReportKey { repository, workflow }) => write!(f, "report/{repository}/{workflow}"),
            Self::Notice(NoticeKey::Check(id)) => write!(f, "notice/check/{id}"),
            Self::Notice(NoticeKey::Comment(CommentKey { repository, pull_request, about })) => match about {
                CommentAbout::Results => write!(f, "notice/comment/{repository}/{pull_request}"),
                CommentAbout::Refusals { to, on } => {
                    write!(f, "notice/comment/{repository}/{pull_request}/{to}/{on}")
                }
            },
            Self::Notice(NoticeKey::Reaction(repository, comment)) => {
                write!(f, "notice/reaction/{repository}/{comment}")
            }
            Self::Proposal(check) => write!(f, "proposal/{check}"),
            Self::NewComments(repository) => write!(f, "new_comments/{repository}"),
            Self::PullRequest(PullRequestKey { repository, number }) => write!(f, "pull_request/{repository}/{number}"),
            Self::Environment(EnvironmentKey { repository, name }) => {
                write!(f, "environment/{}:{name}", repository.key())
            }
            Self::Recovery => f.write_str("recovery"),
            Self::Probe => f.write_str("probe"),
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
    /// Dispatches to call, and calls whose outcome is looked for.
    Dispatch,
    /// Failures to tell, proposed policy files to look at, and notices to show.
    Report,
}

impl Queue {
    /// Every queue.
    pub const ALL: [Self; 3] = [Self::Plan, Self::Dispatch, Self::Report];

    /// The name that stores keep it by: `plan`, `dispatch` or `report`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Dispatch => "dispatch",
            Self::Report => "report",
        }
    }
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

/// A request for one item of work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Take {
    /// Which one.
    pub key: RecordKey,
    /// The time to compare `due` with.
    pub now: Timestamp,
    /// How long the work is kept from others.
    pub lease: Duration,
}

/// What there is to do about an item.
#[derive(Debug, Clone, PartialEq)]
pub enum Taken {
    /// This, and nobody else does it until the lease ends.
    Work(Box<Stored>),
    /// Nothing before this time: it is not due, or somebody is at it until then.
    NotBefore(Timestamp),
    /// Nothing: it is done with, or not there.
    Nothing,
}

/// A request for work that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingQuery {
    /// In this queue.
    pub queue: Queue,
    /// Only records whose key's text sorts after this one: the way to page.
    pub after: Option<String>,
    /// How many records at most.
    pub limit: usize,
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
