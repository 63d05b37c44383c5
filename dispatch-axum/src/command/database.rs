//! The database of commands that work on it beside the service, or without one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dispatch_axum::store::SqliteStore;
use dispatch_core::Timestamp;
use dispatch_core::dispatch::StartedRun;
use dispatch_core::guardrail::Guardrails;
use dispatch_core::name::{Branch, CommitSha, Repository, RepositoryId};
use dispatch_core::pipeline::Pipeline;
use dispatch_core::policy::PolicyPath;
use dispatch_core::ports::PullRequestPort;
use dispatch_core::ports::github::{FileRead, FileVersion, RepositoryRef, RunListing};
use dispatch_core::ports::{BoundedPolicyMemory, GitHubError, GitHubPort, StorePort};
use dispatch_core::request::DispatchRequest;
use dispatch_core::retry::RetryPolicy;

use super::Failure;
use super::policy_tree::shown;
use super::settings::wrong;

/// Which database.
#[derive(Debug, clap::Args)]
pub(crate) struct Database {
    /// The SQLite database of the service, which may be running [env: DATABASE_PATH] [default: dispatch.sqlite]
    #[arg(long = "database", value_name = "FILE")]
    path: Option<PathBuf>,
}

impl Database {
    const NAME: &'static str = "DATABASE_PATH";

    /// Where it is.
    ///
    /// # Errors
    /// There is none. It is not made: an empty one would answer that there is nothing to do.
    pub(crate) fn path(&self) -> Result<PathBuf, Failure> {
        let variable = || std::env::var_os(Self::NAME).filter(|value| !value.is_empty()).map(PathBuf::from);
        existing(&self.path.clone().or_else(variable).unwrap_or_else(|| "dispatch.sqlite".into()))
    }

    /// Opens it. SQLite lets several processes work on one database.
    ///
    /// # Errors
    /// There is none, or it cannot be opened.
    pub(crate) fn open(&self) -> Result<SqliteStore, Failure> {
        SqliteStore::open(self.path()?).map_err(|error| wrong(Self::NAME, error).into())
    }
}

/// The database at a path, if there is one.
///
/// # Errors
/// There is none.
pub(crate) fn existing(path: &Path) -> Result<PathBuf, Failure> {
    if path.is_file() {
        Ok(path.to_owned())
    } else {
        Err(wrong(Database::NAME, format_args!("there is no database `{}`", shown(path))).into())
    }
}

/// The pipeline for orders about what is stored, which ask GitHub nothing.
pub(crate) fn offline(store: Arc<dyn StorePort>) -> Result<Pipeline, Failure> {
    Ok(Pipeline {
        github: Arc::new(Offline),
        store,
        policies: Arc::new(BoundedPolicyMemory::new(1)),
        guardrails: Guardrails::from_settings(&BTreeMap::new())?,
        retry: RetryPolicy::default(),
        settle: Pipeline::DEFAULT_SETTLE,
        // Whatever the service's MAX_EVENT_AGE is: what the operator wants again counts as new.
        max_event_age: Duration::ZERO,
    })
}

/// No GitHub.
struct Offline;

impl Offline {
    fn answer<T>() -> Result<T, GitHubError> {
        Err(GitHubError::Unavailable("this command does not ask GitHub".to_owned()))
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
