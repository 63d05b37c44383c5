//! One dispatch: its key, and its state machine.
//!
//! ```text
//!             commit before the call       answer
//!   Ready ───────────────────────▶ Calling ──────▶ Triggered
//!     ▲ │                             │ ├────────▶ Started ──looking──▶ Triggered
//!     │ │ put back: rate limit,       │ ├────────▶ Refused, Failed
//!     └─┘ store or read failed        │ └────────▶ InDoubt  (or the lease ran out while Calling)
//!       └────▶ Cancelled              ▼               │ looking at the target's runs
//!                                  Ready, put back,   ├────▶ Triggered: its run is there
//!                                  only when GitHub   ├────▶ Ready, once: it is certainly not there
//!                                  certainly did      └────▶ Unknown: looking cannot tell
//!                                  nothing
//! ```
//!
//! Refused, Failed, Unknown, and what was cancelled because it is too old are [parked](DispatchState::is_parked): the
//! operator retries them (Ready) or drops them (Dropped).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::chain::Place;
use crate::decide::{Decision, LaneKey};
use crate::delivery::DeliveryKey;
use crate::event::{Conclusion, EventIdentity, RunStage};
use crate::name::{PullRequestNumber, Repository, RepositoryId, RunId};
use crate::projection::Happened;
use crate::reason::Reason;
use crate::workflow::Lack;

/// What is done at most once: (event identity, target repository, workflow or event name). Never the rule, and never the
/// delivery: two rules, or two deliveries of one event, are one dispatch.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DispatchKey {
    /// The event.
    pub event: EventIdentity,
    /// What is started.
    pub target: Place,
}

impl fmt::Display for DispatchKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}>{}:{}", self.event.as_str(), self.target.repository.key(), self.target.start)
    }
}

/// One dispatch that was planned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Dispatch {
    /// Its key, claimed when it was planned.
    pub key: DispatchKey,
    /// The delivery that it follows from.
    pub delivery: DeliveryKey,
    /// What it follows from.
    pub source: DispatchSource,
    /// What was decided; always allowed.
    pub decision: Decision,
    /// When it was decided last. No call is sent more than 60 seconds after that: an older decision is made again.
    pub decided_at: Timestamp,
    /// How far it got.
    pub state: DispatchState,
    /// When to look at it again; None once it is final.
    pub due: Option<Timestamp>,
    /// How many calls failed and certainly did nothing. Rate limits do not count.
    pub attempts: u32,
    /// How often it was put back because of a rate limit, or because what the decision needs could not be read.
    pub waits: u32,
    /// How many of its calls were in doubt. After the second, nothing is tried again.
    #[serde(default)]
    pub doubts: u32,
    /// When it was given up; None while it is not.
    #[serde(default)]
    pub parked_at: Option<Timestamp>,
    /// How far the run that it started got, as webhooks told.
    #[serde(default)]
    pub run: Option<FollowedRun>,
    /// Why its run is not known although GitHub took the call.
    #[serde(default)]
    pub unseen: Option<UnseenRun>,
    /// How many facts were written about it: the sequence number of the next one.
    pub facts: u32,
}

/// How far the run of a dispatch got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FollowedRun {
    /// The attempt: 1, counted up by re-runs.
    pub attempt: u32,
    /// How far that attempt got.
    pub stage: FollowedStage,
    /// The run's page.
    pub url: String,
    /// When GitHub said so.
    pub at: Timestamp,
}

/// How far an attempt of a run got. In the order of its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FollowedStage {
    /// It was made, and waits.
    Requested,
    /// It runs.
    InProgress,
    /// It ended, so; None where GitHub does not say how.
    Completed(Option<Conclusion>),
}

impl From<RunStage> for FollowedStage {
    fn from(stage: RunStage) -> Self {
        match stage {
            RunStage::Requested => Self::Requested,
            RunStage::InProgress => Self::InProgress,
        }
    }
}

impl FollowedRun {
    /// Whether this is news: a newer attempt, or further in the same one. Webhooks come in any order, and more than once.
    #[must_use]
    pub fn follows(&self, known: Option<&Self>) -> bool {
        let far = |run: &Self| match run.stage {
            FollowedStage::Requested => 0,
            FollowedStage::InProgress => 1,
            FollowedStage::Completed(_) => 2,
        };
        known.is_none_or(|known| (self.attempt, far(self)) > (known.attempt, far(known)))
    }
}

/// Why the run of a call that GitHub took is not known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnseenRun {
    /// None was observed.
    NotObserved {
        /// What the target lacks, where that explains it.
        lacks: Option<Lack>,
    },
    /// Several could be meant.
    Several {
        /// Some of them, at most [`UnseenRun::MAX_SHOWN`].
        runs: Vec<StartedRun>,
    },
    /// Looking did not tell whether there is one.
    NotTold {
        /// Why, with GitHub's own words where it refused.
        why: String,
    },
}

impl UnseenRun {
    /// How many runs are named.
    pub const MAX_SHOWN: usize = 5;
}

/// What a dispatch follows from: as much as its edge and its lane need.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DispatchSource {
    /// The repository where it happened.
    pub repository: RepositoryId,
    /// Its name then.
    pub name: Repository,
    /// The lane of a run, and the run's number in it. None where there is no branch or no workflow.
    pub lane: Option<(LaneKey, u64)>,
    /// The pull request that it is about.
    #[serde(default)]
    pub pull_request: Option<PullRequestNumber>,
    /// What happened; None for one of an earlier release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub happened: Option<Happened>,
}

/// How far a dispatch got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DispatchState {
    /// To be called when due. The first use of an edge, and the run's place in its lane, are stored with the step that
    /// leaves this state.
    Ready,
    /// Committed before the call: from here on GitHub may have done it.
    Calling {
        /// When the call began.
        since: Timestamp,
    },
    /// GitHub did it, and did not say which run it started (GitHub Enterprise Server may not): the run is looked for.
    Started {
        /// How far looking got.
        search: Search,
    },
    /// GitHub did it.
    Triggered {
        /// The run that it started; None where GitHub did not say and looking did not tell.
        run: Option<StartedRun>,
    },
    /// GitHub refused for good.
    Refused {
        /// GitHub's own message.
        message: String,
        /// The permission that GitHub wanted (`X-Accepted-GitHub-Permissions`).
        permission: Option<String>,
    },
    /// Nobody knows whether GitHub did it. The target's runs are looked at; it is never repeated blindly.
    InDoubt {
        /// How far looking got.
        search: Search,
        /// What went wrong.
        error: String,
    },
    /// Nobody knows whether GitHub did it, and looking cannot tell. The operator decides.
    Unknown {
        /// Why it cannot be told.
        error: String,
    },
    /// Decided again before the call, and denied.
    Cancelled {
        /// Why.
        reason: Reason,
        /// With the names and values of this case.
        message: String,
    },
    /// Certainly not done, and given up after too many attempts.
    Failed {
        /// What went wrong last.
        error: String,
    },
    /// Given up, and the operator said that it is not wanted, or was taken care of.
    Dropped,
}

impl Dispatch {
    /// Whether it has not ended, or the run that it started has not.
    #[must_use]
    pub fn is_in_flight(&self) -> bool {
        match self.state {
            DispatchState::Ready
            | DispatchState::Calling { .. }
            | DispatchState::Started { .. }
            | DispatchState::InDoubt { .. } => true,
            DispatchState::Triggered { run: Some(_) } => {
                !self.run.as_ref().is_some_and(|run| matches!(run.stage, FollowedStage::Completed(_)))
            }
            DispatchState::Triggered { run: None }
            | DispatchState::Refused { .. }
            | DispatchState::Unknown { .. }
            | DispatchState::Cancelled { .. }
            | DispatchState::Failed { .. }
            | DispatchState::Dropped => false,
        }
    }
}

impl DispatchState {
    /// When the call began whose answer is not known yet; None where there is no such call.
    pub(crate) fn call_began(&self) -> Option<Timestamp> {
        match self {
            Self::Calling { since } => Some(*since),
            Self::InDoubt { search, .. } => Some(search.since),
            _ => None,
        }
    }

    /// Whether it was given up and waits for the operator.
    #[must_use]
    pub fn is_parked(&self) -> bool {
        match self {
            Self::Refused { .. } | Self::Failed { .. } | Self::Unknown { .. } => true,
            Self::Cancelled { reason, .. } => *reason == Reason::EventTooOld,
            Self::Ready
            | Self::Calling { .. }
            | Self::Started { .. }
            | Self::Triggered { .. }
            | Self::InDoubt { .. }
            | Self::Dropped => false,
        }
    }
}

/// The search for the run of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Search {
    /// When the call began.
    pub since: Timestamp,
    /// When the target's runs were listed first, and did not tell.
    pub first_at: Option<Timestamp>,
    /// Since when every listing was empty: no run that could be the call's.
    pub empty_since: Option<Timestamp>,
    /// The only run that the last listing had, and since when every listing had no other.
    #[serde(default)]
    pub alone: Option<(RunId, Timestamp)>,
}

impl Search {
    /// The search for the run of a call that began then.
    #[must_use]
    pub fn new(since: Timestamp) -> Self {
        Self { since, first_at: None, empty_since: None, alone: None }
    }
}

/// A run that a dispatch started, as GitHub returned it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartedRun {
    /// The run's id.
    pub id: RunId,
    /// The run's page.
    pub url: String,
}
