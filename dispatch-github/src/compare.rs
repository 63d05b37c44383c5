//! Whether a commit is on a branch, by the compare API.

use dispatch_core::Timestamp;
use dispatch_core::name::{Branch, CommitSha};
use dispatch_core::ports::github::{GitHubError, RepositoryRef};
use http::StatusCode;

use crate::answer::{self, Effect};
use crate::app::parse;
use crate::client::{Call, GitHub};
use crate::path::ApiPath;
use crate::permission::Permission;
use crate::wire::{Comparison, ComparisonStatus};

/// The answer holds at most three commits with their messages, and no files: see [`ApiPath::compare`].
const BODY_LIMIT: usize = 2 * 1024 * 1024;

impl GitHub {
    pub(crate) async fn compare(
        &self,
        repository: &RepositoryRef,
        branch: &Branch,
        sha: &CommitSha,
    ) -> Result<bool, GitHubError> {
        let Some(path) = ApiPath::compare(&repository.name, branch, sha) else { return Ok(false) };
        let answer = self.ask(&Call::read(repository, Permission::ContentsRead, path, BODY_LIMIT)).await?;
        match answer.status {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Ok(false),
            _ => return Err(answer::failure(&answer, Effect::Read, Timestamp::now())),
        }
        // Seen from the branch, a commit that is on it is behind its head, or is its head.
        match parse::<Comparison>(&answer)?.status {
            ComparisonStatus::Behind | ComparisonStatus::Identical => Ok(true),
            ComparisonStatus::Ahead | ComparisonStatus::Diverged => Ok(false),
        }
    }
}
