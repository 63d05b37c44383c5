//! How a commit lies to a branch, by the compare API.

use dispatch_core::Timestamp;
use dispatch_core::name::{Branch, CommitSha};
use dispatch_core::ports::github::{GitHubError, RepositoryRef};
use http::StatusCode;

use crate::answer::{self, Effect};
use crate::app::{parse, unavailable};
use crate::client::{Call, GitHub};
use crate::path::ApiPath;
use crate::permission::Permission;
use crate::wire::{Comparison, ComparisonStatus};

/// The answer holds at most three commits with their messages, and no files: see [`ApiPath::compare`].
const BODY_LIMIT: usize = 2 * 1024 * 1024;

impl GitHub {
    /// Whether a commit is on a branch.
    pub(crate) async fn is_on_branch(
        &self,
        repository: &RepositoryRef,
        branch: &Branch,
        sha: &CommitSha,
    ) -> Result<bool, GitHubError> {
        let compared = self.compare(repository, branch, sha).await?;
        // Seen from the branch, a commit that is on it is behind its head, or is its head.
        Ok(compared.is_some_and(|it| matches!(it.status, ComparisonStatus::Behind | ComparisonStatus::Identical)))
    }

    /// The newest commit that a branch and a commit have in common.
    pub(crate) async fn read_merge_base(
        &self,
        repository: &RepositoryRef,
        branch: &Branch,
        sha: &CommitSha,
    ) -> Result<Option<CommitSha>, GitHubError> {
        let Some(compared) = self.compare(repository, branch, sha).await? else { return Ok(None) };
        let base = compared.merge_base_commit.ok_or_else(|| unavailable("it compared without a merge base"))?;
        Ok(Some(base.sha))
    }

    /// How a commit lies to a branch. None: they have nothing in common, or one of them is not there.
    async fn compare(
        &self,
        repository: &RepositoryRef,
        branch: &Branch,
        sha: &CommitSha,
    ) -> Result<Option<Comparison>, GitHubError> {
        let Some(path) = ApiPath::compare(&repository.name, branch, sha) else { return Ok(None) };
        let answer = self.ask(&Call::read(repository, Permission::ContentsRead, path, BODY_LIMIT)).await?;
        match answer.status {
            StatusCode::OK => parse(&answer).map(Some),
            StatusCode::NOT_FOUND => Ok(None),
            _ => Err(answer::failure(&answer, Effect::Read, Timestamp::now())),
        }
    }
}
