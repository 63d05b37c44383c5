//! Pull requests and people.

use dispatch_core::Timestamp;
use dispatch_core::name::{Branch, CommitSha, PullRequestNumber, RepositoryId, UserId};
use dispatch_core::ports::pull_requests::PermissionLevel;
use serde::Deserialize;

/// The answer to "Get a pull request".
#[derive(Deserialize)]
pub(crate) struct PullRequest {
    pub(crate) number: PullRequestNumber,
    pub(crate) state: State,
    pub(crate) merged: bool,
    #[serde(default)]
    pub(crate) draft: bool,
    pub(crate) base: End,
    pub(crate) head: End,
    /// Null where the account is gone.
    #[serde(default)]
    pub(crate) user: Option<User>,
    #[serde(default)]
    pub(crate) labels: Vec<Label>,
    pub(crate) updated_at: Timestamp,
}

/// Whether a pull request is open. Another word is no answer.
#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    Open,
    Closed,
}

/// One end of a pull request.
#[derive(Deserialize)]
pub(crate) struct End {
    #[serde(rename = "ref")]
    pub(crate) branch: Branch,
    pub(crate) sha: CommitSha,
    /// Null where the repository was deleted.
    #[serde(default)]
    pub(crate) repo: Option<Repository>,
}

/// A repository, by its id alone.
#[derive(Deserialize)]
pub(crate) struct Repository {
    pub(crate) id: RepositoryId,
}

/// A user, by its id alone.
#[derive(Deserialize)]
pub(crate) struct User {
    pub(crate) id: UserId,
}

/// A label.
#[derive(Deserialize)]
pub(crate) struct Label {
    #[serde(default)]
    pub(crate) name: Option<String>,
}

/// The answer to "Get repository permissions for a user".
#[derive(Deserialize)]
pub(crate) struct Collaborator {
    pub(crate) permission: PermissionLevel,
    #[serde(default)]
    pub(crate) user: Option<User>,
}

/// The answer to "Get team membership for a user": `active`, or `pending` while the invitation is not accepted.
#[derive(Deserialize)]
pub(crate) struct Membership {
    pub(crate) state: String,
}
