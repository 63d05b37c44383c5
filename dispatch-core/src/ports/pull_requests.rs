//! Pull requests, the people who work on them, and what a repository's workflows are: what decisions about commands need,
//! and what explains why nothing ran.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::github::{GitHubError, RepositoryRef};
use crate::event::PullRequestState;
use crate::name::{Branch, CommitSha, Login, PullRequestNumber, TeamName, UserId, WorkflowFile};
use crate::policy::PolicyPath;

/// Reads about pull requests, each with a token for that one repository and that one permission.
///
/// By default nothing is told, as by a GitHub that is not available: what needs it waits, and is given up when it is too old.
/// That is enough where no policy file has rules about pull requests and commands.
#[async_trait]
pub trait PullRequestPort: Send + Sync {
    /// A pull request as it is now (`pull_requests: read`). None: the answer does not tell how it is (404, 403, 301, another
    /// repository behind the name). That is never "closed".
    ///
    /// # Errors
    /// [`GitHubError`]; never [`GitHubError::InDoubt`].
    async fn pull_request(
        &self,
        _repository: &RepositoryRef,
        _number: PullRequestNumber,
    ) -> Result<Option<PullRequestState>, GitHubError> {
        not_told()
    }

    /// What a person may do in a repository (`metadata: read`). None: GitHub knows no such account.
    ///
    /// # Errors
    /// [`GitHubError`]; never [`GitHubError::InDoubt`].
    async fn permission(
        &self,
        _repository: &RepositoryRef,
        _login: &Login,
    ) -> Result<Option<PermissionAnswer>, GitHubError> {
        not_told()
    }

    /// Whether a person is an active member of a team of the repository's owner (`members: read` of the organisation).
    /// `_repository` says through whose installation it is asked.
    ///
    /// # Errors
    /// [`GitHubError`]; never [`GitHubError::InDoubt`].
    async fn is_team_member(
        &self,
        _repository: &RepositoryRef,
        _team: &TeamName,
        _login: &Login,
    ) -> Result<bool, GitHubError> {
        not_told()
    }

    /// A policy file as it is at a commit (`contents: read`). None: the commit is there, and has no such file. Never the file
    /// that decisions use.
    ///
    /// # Errors
    /// [`GitHubError`]; never [`GitHubError::InDoubt`]. A commit that GitHub does not know, or does not know yet, is
    /// [`GitHubError::Unavailable`].
    async fn policy_at(
        &self,
        _repository: &RepositoryRef,
        _path: PolicyPath,
        _commit: &CommitSha,
    ) -> Result<Option<FileAt>, GitHubError> {
        not_told()
    }

    /// The newest commit that a branch and a commit have in common (`contents: read`): from there on, what leads to the commit
    /// is a change. None: they have none in common, or GitHub does not know one of them.
    ///
    /// # Errors
    /// [`GitHubError`]; never [`GitHubError::InDoubt`].
    async fn merge_base(
        &self,
        _repository: &RepositoryRef,
        _branch: &Branch,
        _commit: &CommitSha,
    ) -> Result<Option<CommitSha>, GitHubError> {
        not_told()
    }

    /// The workflows of a repository's default branch with their texts, at most 100 (`actions: read`, `contents: read`).
    ///
    /// # Errors
    /// [`GitHubError`]; never [`GitHubError::InDoubt`].
    async fn workflows(&self, _repository: &RepositoryRef) -> Result<Vec<WorkflowFound>, GitHubError> {
        not_told()
    }
}

fn not_told<T>() -> Result<T, GitHubError> {
    Err(GitHubError::Unavailable("this port tells nothing about pull requests".to_owned()))
}

/// What GitHub says, in a 404, where it does not know a commit. A file that is not there is only "Not Found".
pub const NO_SUCH_COMMIT: &str = "No commit found for the ref";

/// A file as it is at a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileAt {
    /// Its bytes: at most [`crate::policy::MAX_BYTES`] plus one.
    pub bytes: Vec<u8>,
    /// Its git blob: two files with the same one are the same.
    pub blob_sha: String,
}

/// What a person may do in a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PermissionAnswer {
    /// The account that GitHub answered about.
    pub user: UserId,
    /// What it may do.
    pub level: PermissionLevel,
}

/// GitHub's four levels ("Get repository permissions for a user": maintainers have `write`, triagers `read`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PermissionLevel {
    /// Nothing.
    None,
    /// Read.
    Read,
    /// Write.
    Write,
    /// Everything.
    Admin,
}

/// A workflow of a repository's default branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkflowFound {
    /// Its file.
    pub file: WorkflowFile,
    /// Whether GitHub runs it: not disabled by anybody.
    pub active: bool,
    /// Its text, at most 256 KiB; None where it could not be read.
    pub text: Option<Vec<u8>>,
}
