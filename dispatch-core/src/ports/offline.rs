//! No GitHub.

use async_trait::async_trait;

use super::PullRequestPort;
use super::github::{FileRead, FileVersion, GitHubError, GitHubPort, RepositoryRef, RunListing};
use crate::Timestamp;
use crate::dispatch::StartedRun;
use crate::name::{Branch, CommitSha, Repository, RepositoryId};
use crate::policy::PolicyPath;
use crate::request::DispatchRequest;

/// A GitHub that is never reached: for a pipeline that is asked for nothing but what is stored.
#[derive(Debug, Clone, Copy, Default)]
pub struct Offline;

impl Offline {
    fn answer<T>() -> Result<T, GitHubError> {
        Err(GitHubError::Unavailable("nobody asks GitHub here".to_owned()))
    }
}

impl PullRequestPort for Offline {}

#[async_trait]
impl GitHubPort for Offline {
    async fn read_file(
        &self,
        _: &Repository,
        _: Option<RepositoryId>,
        _: PolicyPath,
        _: Option<&FileVersion>,
    ) -> Result<FileRead, GitHubError> {
        Self::answer()
    }

    async fn commit_on_branch(&self, _: &RepositoryRef, _: &Branch, _: &CommitSha) -> Result<bool, GitHubError> {
        Self::answer()
    }

    async fn dispatch(
        &self,
        _: &RepositoryRef,
        _: &DispatchRequest,
        _: Timestamp,
    ) -> Result<Option<StartedRun>, GitHubError> {
        Self::answer()
    }

    async fn runs_since(&self, _: &RepositoryRef, _: Timestamp) -> Result<RunListing, GitHubError> {
        Self::answer()
    }
}
