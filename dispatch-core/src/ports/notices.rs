//! What is shown to people at GitHub: check runs, comments, reactions.

use async_trait::async_trait;

use super::github::{GitHubError, RepositoryRef};
use crate::Timestamp;
use crate::name::{CheckRunId, CommentId, PullRequestNumber};
use crate::notice::{Check, Reaction};

/// Writes of check runs (`checks: write`), comments on pull requests (`pull_requests: write`) and reactions to them, each with
/// a token for that repository and that permission.
#[async_trait]
pub trait NoticePort: Send + Sync {
    /// The newest check run of this App on the commit that has this check's name and external id, if there is one.
    ///
    /// # Errors
    /// [`GitHubError`]; never [`GitHubError::InDoubt`].
    async fn find_check(&self, check: &Check) -> Result<Option<CheckRunId>, GitHubError>;

    /// Makes a check run, with a call that is sent at `not_after` at the latest.
    ///
    /// # Errors
    /// [`GitHubError`]. With [`GitHubError::InDoubt`] there may be one: look for it before asking again.
    async fn create_check(&self, check: &Check, not_after: Timestamp) -> Result<CheckRunId, GitHubError>;

    /// Changes a check run, with a call that is sent at `not_after` at the latest. Doing it twice is the same as once, except for
    /// annotations, which GitHub appends: they are sent with the creation only, and the first 50 of them.
    ///
    /// # Errors
    /// [`GitHubError`].
    async fn update_check(&self, id: CheckRunId, check: &Check, not_after: Timestamp) -> Result<(), GitHubError>;

    /// The comment of this App on a pull request whose body contains `marker`, if there is one among its last 1,000 comments.
    ///
    /// # Errors
    /// [`GitHubError`]; never [`GitHubError::InDoubt`].
    async fn find_comment(
        &self,
        repository: &RepositoryRef,
        pull_request: PullRequestNumber,
        marker: &str,
    ) -> Result<Option<CommentId>, GitHubError>;

    /// Writes a comment of at most 65,536 characters, with a call that is sent at `not_after` at the latest.
    ///
    /// # Errors
    /// [`GitHubError`]. With [`GitHubError::InDoubt`] there may be one: look for it before asking again.
    async fn create_comment(
        &self,
        repository: &RepositoryRef,
        pull_request: PullRequestNumber,
        body: &str,
        not_after: Timestamp,
    ) -> Result<CommentId, GitHubError>;

    /// Changes a comment, with a call that is sent at `not_after` at the latest. Doing it twice is the same as once.
    ///
    /// # Errors
    /// [`GitHubError`].
    async fn update_comment(
        &self,
        repository: &RepositoryRef,
        id: CommentId,
        body: &str,
        not_after: Timestamp,
    ) -> Result<(), GitHubError>;

    /// Reacts to a comment. Doing it twice is the same as once.
    ///
    /// # Errors
    /// [`GitHubError`].
    async fn react(
        &self,
        repository: &RepositoryRef,
        comment: CommentId,
        reaction: Reaction,
    ) -> Result<(), GitHubError>;
}
