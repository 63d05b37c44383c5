//! What the people of a source repository are told about failures: one issue for each workflow that starts something.

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::chain::Place;
use crate::name::{Repository, RepositoryId, WorkflowFile};

/// Whose failures are told in one issue.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ReportKey {
    /// The source repository.
    pub repository: RepositoryId,
    /// The workflow whose runs start something.
    pub workflow: WorkflowFile,
}

/// What is to be told, and what has been.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Its key.
    pub key: ReportKey,
    /// The repository's name.
    pub name: Repository,
    /// The issue that is open, where one was opened.
    pub issue: Option<u64>,
    /// The failure that is to be told; None: it works again, and the issue is to be closed.
    pub failure: Option<Failure>,
    /// When to go on; None: all is told.
    pub due: Option<Timestamp>,
    /// How often telling was tried and put back.
    pub attempts: u32,
}

/// What failed, in words that the source's readers may see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What was to be started.
    pub target: Place,
    /// What went wrong the last time.
    pub message: String,
    /// How often in a row.
    pub times: u32,
    /// When it failed first.
    pub first_at: Timestamp,
    /// When it failed last.
    pub last_at: Timestamp,
}
