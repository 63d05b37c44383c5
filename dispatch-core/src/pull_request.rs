//! What is remembered of a pull request: what its signed webhooks said, and which environments it holds.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::environment::EnvironmentKey;
use crate::event::{PullRequest, PullRequestAction};
use crate::name::{CommitSha, PullRequestNumber, RepositoryId};

/// A pull request, by the repository that it wants to change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PullRequestKey {
    /// The repository.
    pub repository: RepositoryId,
    /// Its number there.
    pub number: PullRequestNumber,
}

/// What is remembered of a pull request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullRequestRecord {
    /// Its key.
    pub key: PullRequestKey,
    /// What happened last, by GitHub's clock.
    pub latest: Option<Latest>,
    /// The commits that webhooks showed as its head, and when each became it, by GitHub's clock. The newest last, at most
    /// [`PullRequestRecord::MAX_HEADS`].
    pub heads: Vec<SeenHead>,
    /// The environments that it holds.
    pub environments: BTreeSet<EnvironmentKey>,
    /// When the record changed last.
    pub changed_at: Timestamp,
}

/// What happened last to a pull request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latest {
    /// What.
    pub action: PullRequestAction,
    /// When, by GitHub's clock.
    pub at: Timestamp,
}

/// A commit that was the head of a pull request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenHead {
    /// The commit.
    pub sha: CommitSha,
    /// When it became the head, by GitHub's clock.
    pub since: Timestamp,
}

impl PullRequestRecord {
    /// How many heads are remembered.
    pub const MAX_HEADS: usize = 50;

    /// A pull request of which nothing is known.
    #[must_use]
    pub fn new(key: PullRequestKey, now: Timestamp) -> Self {
        Self { key, latest: None, heads: Vec::new(), environments: BTreeSet::new(), changed_at: now }
    }

    /// Remembers what a webhook said, in whatever order they arrive.
    pub fn see(&mut self, pull_request: &PullRequest, now: Timestamp) {
        let PullRequest { action, now: state, .. } = pull_request;
        let at = state.updated_at;
        if self.latest.is_none_or(|latest| latest.at <= at) {
            self.latest = Some(Latest { action: *action, at });
        }
        // Only these two say that the head became what it is; the others show a head that may be older.
        if matches!(action, PullRequestAction::Opened | PullRequestAction::Synchronize) {
            self.heads.push(SeenHead { sha: state.head_sha.clone(), since: at });
            self.heads.sort_by_key(|head| head.since);
            let too_many = self.heads.len().saturating_sub(Self::MAX_HEADS);
            self.heads.drain(..too_many);
        }
        self.changed_at = now;
    }

    /// Whether a commit was the head before that time and has been since, as far as webhooks told. A second is a tie, and a tie
    /// is a no: GitHub's times have no fractions.
    #[must_use]
    pub fn was_head_before(&self, sha: &CommitSha, time: Timestamp) -> bool {
        self.heads.last().is_some_and(|head| head.sha == *sha && head.since < time)
    }
}
