//! Issues: where failures are told to the people of a repository.

use async_trait::async_trait;

use super::github::{GitHubError, RepositoryRef};
use crate::Timestamp;

/// The issues of a repository, with a token for that repository and `issues: write`.
#[async_trait]
pub trait IssuePort: Send + Sync {
    /// The number of the open issue of this App whose body contains `marker`, if there is one.
    ///
    /// # Errors
    /// [`GitHubError`]; never [`GitHubError::InDoubt`].
    async fn find_issue(&self, repository: &RepositoryRef, marker: &str) -> Result<Option<u64>, GitHubError>;

    /// Opens an issue, with a call that is sent at `not_after` at the latest, and answers with its number. `title` has at most
    /// 256 characters, `body` at most 65,536.
    ///
    /// # Errors
    /// [`GitHubError`]. With [`GitHubError::InDoubt`] there may be one: look for it before asking again. Too late is
    /// [`GitHubError::Unavailable`].
    async fn create_issue(
        &self,
        repository: &RepositoryRef,
        title: &str,
        body: &str,
        not_after: Timestamp,
    ) -> Result<u64, GitHubError>;

    /// Changes an issue. Doing it twice is the same as once.
    ///
    /// # Errors
    /// [`GitHubError`].
    async fn update_issue(
        &self,
        repository: &RepositoryRef,
        number: u64,
        change: IssueChange<'_>,
    ) -> Result<(), GitHubError>;
}

/// What to change; None stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct IssueChange<'a> {
    /// The text, at most 65,536 characters.
    pub body: Option<&'a str>,
    /// Whether it is open.
    pub open: Option<bool>,
}
