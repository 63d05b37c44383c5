//! Environments of pull requests: what is wanted, and how far it got.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::dispatch::DispatchKey;
use crate::name::{Branch, EnvironmentName, PullRequestNumber, Repository};
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
    /// As it was created, or updated last.
    pub description: EnvironmentDescription,
    /// The pull requests that hold it. It is destroyed when none does.
    pub holders: BTreeSet<PullRequestNumber>,
    /// How far it got.
    pub state: EnvironmentState,
    /// What is to be done next: the newest wish. It takes the place of an older one that has not begun.
    pub wanted: Option<EnvironmentStep>,
    /// What is being done: one action at a time.
    pub under_way: Option<EnvironmentStep>,
    /// Whether the label `keep` was seen: it does not expire.
    pub keep: bool,
    /// When it was wanted first.
    pub created_at: Timestamp,
    /// When it changed last.
    pub changed_at: Timestamp,
    /// How many facts were written about it: the sequence number of the next one.
    pub facts: u32,
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
