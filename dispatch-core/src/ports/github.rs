//! What the pipeline asks of GitHub.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::dispatch::{FollowedRun, StartedRun};
use crate::name::{Branch, CommitSha, InstallationId, Login, Repository, RepositoryId, WorkflowFile};
use crate::policy::PolicyPath;
use crate::ports::pull_requests::PullRequestPort;
use crate::request::DispatchRequest;

/// GitHub, with every call made by a token for that one repository and that one permission.
///
/// Implementations never repeat a call that writes: whether to repeat is decided where the dispatch's key is known.
#[async_trait]
pub trait GitHubPort: PullRequestPort {
    /// Reads one file of a repository's default branch, if it is not the version that is already known.
    ///
    /// `id` is the repository that must answer, where it is known; another one behind the name answers as
    /// [`FileRead::NoSuchRepository`].
    ///
    /// # Errors
    /// [`GitHubError`]; never [`GitHubError::InDoubt`], because a read changes nothing.
    async fn read_file(
        &self,
        repository: &Repository,
        id: Option<RepositoryId>,
        path: PolicyPath,
        known: Option<&FileVersion>,
    ) -> Result<FileRead, GitHubError>;

    /// Whether the commit is on the branch: the branch's head itself or one of its ancestors. A branch or a commit that
    /// does not exist is a no.
    ///
    /// # Errors
    /// [`GitHubError`]; never [`GitHubError::InDoubt`].
    async fn commit_on_branch(
        &self,
        repository: &RepositoryRef,
        branch: &Branch,
        sha: &CommitSha,
    ) -> Result<bool, GitHubError>;

    /// Starts something, with exactly one call that could have an effect, sent at `not_after` at the latest. Answers with
    /// the run where GitHub names it.
    ///
    /// Whoever looks for the run of a call that was cut off must be able to rely on `not_after`: an implementation looks at
    /// the clock after everything that may take long - a token, a queue - and right before it sends.
    ///
    /// # Errors
    /// [`GitHubError`]. With [`GitHubError::InDoubt`] it may have started; with every other error it has not. Too late is
    /// [`GitHubError::Unavailable`].
    async fn dispatch(
        &self,
        repository: &RepositoryRef,
        request: &DispatchRequest,
        not_after: Timestamp,
    ) -> Result<Option<StartedRun>, GitHubError>;

    /// The runs of a repository that were made in the second of `since` or later, whatever workflow they are of. Listed
    /// unfiltered: GitHub's filtered lists are known to be stale or empty for a while.
    ///
    /// A run that cannot be understood is an error rather than left out: whoever looks must be able to tell "not there"
    /// from "not read".
    ///
    /// # Errors
    /// [`GitHubError`]; never [`GitHubError::InDoubt`].
    async fn runs_since(&self, repository: &RepositoryRef, since: Timestamp) -> Result<RunListing, GitHubError>;

    /// What is left of GitHub's limits, as far as it is known here: for people and metrics.
    fn budgets(&self) -> Vec<Budget> {
        Vec::new()
    }
}

/// Runs of a repository, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunListing {
    /// The runs.
    pub runs: Vec<ListedRun>,
    /// Whether these are all of them. False where there were more than an implementation reads.
    pub complete: bool,
}

/// A run in a list: as much as it takes to recognise it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedRun {
    /// Its id and its page.
    pub run: StartedRun,
    /// Its title: for a run that an event started, the event's name, unless the workflow sets `run-name`. Its first 200
    /// characters.
    pub title: String,
    /// The workflow's file in the run's own repository, where GitHub names one.
    pub workflow: Option<WorkflowFile>,
    /// What started it, in GitHub's word.
    pub event: String,
    /// The branch or the tag that it runs at.
    pub head_branch: Option<Branch>,
    /// Whose doing its first attempt is.
    pub actor: Option<Login>,
    /// When it was made, by GitHub's clock and without the fraction of the second, which GitHub does not tell.
    pub created_at: Timestamp,
    /// How its newest attempt ended; None while it goes on.
    pub ended: Option<FollowedRun>,
}

/// What is left of GitHub's limits for one installation ("Rate limits for the REST API").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Whose limits these are.
    pub installation: InstallationId,
    /// The primary limit, as GitHub's last answer told it; None before the first answer.
    pub primary: Option<PrimaryLimit>,
    /// Points that are left of the current minute's.
    pub points_left: u32,
    /// Requests that are under way.
    pub concurrent: u32,
    /// Until when nothing is sent, because GitHub said so.
    pub paused_until: Option<Timestamp>,
}

/// GitHub's primary rate limit: requests for each hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PrimaryLimit {
    /// Requests for each hour (`x-ratelimit-limit`).
    pub limit: u64,
    /// Requests left (`x-ratelimit-remaining`).
    pub remaining: u64,
    /// When all of them are there again (`x-ratelimit-reset`).
    pub reset: Timestamp,
}

/// A repository whose id is known.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RepositoryRef {
    /// The id that the token is minted for.
    pub id: RepositoryId,
    /// The name that the request goes to.
    pub name: Repository,
}

/// A version of a file that is known already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileVersion {
    /// GitHub's `ETag`, quotes included. It is bound to the token that it was given to.
    pub etag: String,
}

/// What reading a file answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileRead {
    /// The file, in a version that was not known.
    Found {
        /// The repository that answered.
        repository: RepositoryFound,
        /// The file's bytes. At most [`crate::policy::MAX_BYTES`] plus one: a longer file is cut there, to be refused.
        bytes: Vec<u8>,
        /// The file's git blob.
        blob_sha: String,
        /// To ask with the next time, where GitHub gave one.
        version: Option<FileVersion>,
    },
    /// The known version is the current one.
    NotModified,
    /// The repository is there, the file is not.
    NoSuchFile {
        /// The repository that answered.
        repository: RepositoryFound,
    },
    /// Nobody answers to the name, or another repository does, or it moved. Redirects are not followed.
    NoSuchRepository,
    /// The App is not installed on the repository.
    NotInstalled,
}

/// The repository behind a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RepositoryFound {
    /// Its id.
    pub id: RepositoryId,
    /// Whether strangers cannot see it.
    pub private: bool,
}

/// Why GitHub did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GitHubError {
    /// Not now. Nothing was done.
    #[error("GitHub's rate limit: {message}")]
    RateLimited {
        /// When GitHub will answer again.
        until: RateLimitReset,
        /// GitHub's own message.
        message: String,
    },
    /// No, and asking again will not help. Nothing was done.
    #[error("GitHub refused ({status}): {message}{}", wanted(permission.as_deref()))]
    Refused {
        /// The HTTP status.
        status: u16,
        /// GitHub's own message, at most 1,000 characters.
        message: String,
        /// The permission that GitHub wanted (`X-Accepted-GitHub-Permissions`).
        permission: Option<String>,
    },
    /// The App is not installed there, or is suspended. Nothing was done.
    #[error("the App is not installed on {0}")]
    NotInstalled(Repository),
    /// GitHub did not answer properly, and nothing was done: a read failed, or a write was certainly not sent.
    #[error("GitHub is not available: {0}")]
    Unavailable(String),
    /// A write was sent, and its answer is missing or says nothing: it may have been done.
    #[error("GitHub may or may not have done it: {0}")]
    InDoubt(String),
}

/// The permission that is missing, as the end of a sentence.
fn wanted(permission: Option<&str>) -> String {
    permission.map(|permission| format!(" (GitHub wants the permission {permission})")).unwrap_or_default()
}

/// When a rate limit ends, as GitHub told it ("Rate limits for the REST API").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RateLimitReset {
    /// At this time (`x-ratelimit-reset`).
    At(Timestamp),
    /// After this long (`retry-after`).
    After(Duration),
    /// GitHub did not say: at least a minute.
    Unknown,
}
