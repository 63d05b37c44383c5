//! Environments of pull requests: what is wanted, and how far it got.
//!
//! An environment has one record. It knows who holds it, what is wanted next, and what is being done; everything about it
//! is decided from that record alone:
//!
//! | what happens | what it changes |
//! |---|---|
//! | a plan [wishes](Environment::wish) for it to be created | its pull request holds it; the wish waits, and takes the place of one that has not begun |
//! | a plan wishes for it to be destroyed: its last holder goes | its pull request leaves; the wish waits likewise |
//! | a pull request goes while others hold it | it is [released](Environment::release), and nothing is to be done |
//! | a dispatch asks for its [turn](Environment::turn) | nothing: it goes, waits for the action before it, or finds that something newer took its place |
//! | its call [begins](Environment::begin) | the action is under way; no other one begins |
//! | the action [ends](Environment::end) | it is there, gone, or not known; the next may begin |
//! | its run is run again, and ends again | the same, until the next has begun |
//!
//! The newest wish wins, by GitHub's clock: for each pull request the time of its newest wish is kept, and an older one that
//! comes late changes nothing. Of a wish to create and one to destroy of the same second, the second wins. Wishes of different
//! pull requests do not outdo each other: whoever is open and wants a shared environment, holds it.

mod change;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::change::{Leaves, NotTaken, StepEnd, Turn};
use crate::Timestamp;
use crate::delivery::DeliveryKey;
use crate::dispatch::DispatchKey;
use crate::event::Event;
use crate::name::{Branch, EnvironmentName, InstallationId, PullRequestNumber, Repository};
use crate::policy::EnvironmentAction;
use crate::ports::github::RepositoryRef;

/// An environment, by the repository whose workflows make it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EnvironmentKey {
    /// The repository that is asked to create it.
    pub repository: Repository,
    /// Its name.
    pub name: EnvironmentName,
}

/// What a policy file says of an environment, for one pull request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvironmentDescription {
    /// The branch that the pull request wants to change.
    pub base: Branch,
    /// The branch that is deployed there.
    pub deploy: String,
    /// Where it can be seen.
    pub url: Option<String>,
    /// Further addresses, by what they are.
    pub links: BTreeMap<String, String>,
    /// How to clean up by hand.
    pub cleanup: Option<String>,
    /// How long after the last change it is destroyed.
    pub ttl: Option<Duration>,
}

/// What a dispatch does to an environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvironmentUse {
    /// The environment.
    pub key: EnvironmentKey,
    /// What is done to it.
    pub action: EnvironmentAction,
    /// The pull request for which it is done.
    pub pull_request: PullRequestNumber,
    /// The environment as it is to be, or as it was created.
    pub description: EnvironmentDescription,
    /// Whether the pull request has the label `keep`.
    pub keep: bool,
    /// When that was wanted, by GitHub's clock: the newest wins.
    pub at: Timestamp,
}

/// An environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    /// Its key.
    pub key: EnvironmentKey,
    /// The repository whose pull requests it is for. Another one cannot have it.
    pub source: RepositoryRef,
    /// What the last webhook said about that repository.
    pub origin: EnvironmentOrigin,
    /// As it was created, or updated last.
    pub description: EnvironmentDescription,
    /// The pull requests that hold it. It is destroyed when none does.
    pub holders: BTreeSet<PullRequestNumber>,
    /// The pull requests for which it is to be destroyed, until that was done.
    #[serde(default)]
    pub leaving: BTreeSet<PullRequestNumber>,
    /// When the newest wish of each pull request was wanted, by GitHub's clock: of all that hold it or leave, and of those
    /// that are gone the newest, [`Environment::MAX_GONE`] at most.
    #[serde(default)]
    pub seen: BTreeMap<PullRequestNumber, Timestamp>,
    /// How far it got.
    pub state: EnvironmentState,
    /// What there was before the action that is under way: [`Live`](EnvironmentState::Live),
    /// [`Failed`](EnvironmentState::Failed) or [`Destroyed`](EnvironmentState::Destroyed), which is also what never was.
    pub settled: EnvironmentState,
    /// What is to be done next: the newest wish. It takes the place of an older one that has not begun.
    pub wanted: Option<EnvironmentStep>,
    /// What is being done: one action at a time.
    pub under_way: Option<EnvironmentStep>,
    /// The action that ended last, while nothing has begun since and it is not gone: its run may be run again.
    #[serde(default)]
    pub ended: Option<EnvironmentStep>,
    /// The newest wish to create it that has begun, by GitHub's clock.
    #[serde(default)]
    pub newest_begun: Option<Timestamp>,
    /// The last sweep that wanted it to go; None while none has.
    #[serde(default)]
    pub swept: Option<LastSweep>,
    /// Whether the label `keep` was seen: it does not expire.
    pub keep: bool,
    /// When it was wanted first.
    pub created_at: Timestamp,
    /// When it changed last: an action was wanted, began or ended. Its `ttl` counts from here.
    pub changed_at: Timestamp,
    /// The sequence number of the next fact about it. It begins with the time of the first in seconds, so that a record that
    /// is made anew after its retention does not use a number again.
    pub facts: u32,
}

/// What the last webhook said about the repository of an environment's pull requests: for what is found out without one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvironmentOrigin {
    /// The branch whose policy file counts.
    pub default_branch: Branch,
    /// Whether strangers cannot see the repository.
    pub private: bool,
    /// Whose installation of the App sent it.
    pub installation: Option<InstallationId>,
}

impl EnvironmentOrigin {
    /// Where an event came from.
    #[must_use]
    pub fn of(event: &Event) -> Self {
        Self {
            default_branch: event.repository.default_branch.clone(),
            private: event.repository.private,
            installation: event.installation,
        }
    }
}

/// A sweep that wanted an environment to go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastSweep {
    /// When, by our own clock.
    pub at: Timestamp,
    /// When the environment had changed last.
    pub found: Timestamp,
    /// What is decided about it.
    pub delivery: DeliveryKey,
}

/// An action on an environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvironmentStep {
    /// What.
    pub action: EnvironmentAction,
    /// The dispatch that does it.
    pub dispatch: DispatchKey,
    /// When it was wanted, by GitHub's clock.
    pub at: Timestamp,
    /// When the dispatch was planned, or began.
    pub since: Timestamp,
}

/// How far an environment got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EnvironmentState {
    /// It is wanted, and the first run has not ended.
    Creating,
    /// It is there, and a run changes it.
    Updating,
    /// It is there: the last run ended well.
    Live,
    /// The last run did not end well, or was not seen to end: what is there is not known.
    Failed,
    /// It is being destroyed.
    Destroying,
    /// It is gone.
    Destroyed,
}

impl EnvironmentState {
    /// The word for it, as it is stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Updating => "updating",
            Self::Live => "live",
            Self::Failed => "failed",
            Self::Destroying => "destroying",
            Self::Destroyed => "destroyed",
        }
    }
}

impl std::fmt::Display for EnvironmentState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
