//! What stands in files at a commit, and the workflows of a repository.

use dispatch_core::Timestamp;
use dispatch_core::name::{CommitSha, WorkflowFile};
use dispatch_core::policy::{MAX_BYTES, PolicyPath};
use dispatch_core::ports::github::{GitHubError, RepositoryRef};
use dispatch_core::ports::pull_requests::{FileAt, NO_SUCH_COMMIT, WorkflowFound};
use futures_util::{StreamExt, TryStreamExt, stream};
use http::StatusCode;

use crate::answer::{self, Effect};
use crate::app::parse;
use crate::client::{Call, GitHub};
use crate::path::{ApiPath, PER_PAGE};
use crate::permission::Permission;
use crate::read::{self, content, decode};
use crate::transport::Body;
use crate::wire;

/// A page holds 100 workflows of less than 1 KiB.
const LIST_LIMIT: usize = 1024 * 1024;
/// The longest text of a workflow that is read, in bytes.
const TEXT_BYTES: usize = 256 * 1024;
/// Such a text as the contents API gives it, with what is around it: see [`read::BODY_LIMIT`].
const TEXT_LIMIT: usize = 400_000;
/// Texts that are read at the same time.
pub(crate) const CONCURRENT: usize = 16;

/// What the text of a workflow is.
pub(crate) enum Text {
    Found(Vec<u8>),
    Unreadable,
    Missing,
}

impl GitHub {
    pub(crate) async fn read_at(
        &self,
        repository: &RepositoryRef,
        path: PolicyPath,
        commit: &CommitSha,
    ) -> Result<Option<FileAt>, GitHubError> {
        let path = ApiPath::contents_at(&repository.name, path, commit);
        let answer = self.ask(&Call::read(repository, Permission::ContentsRead, path, read::BODY_LIMIT)).await?;
        if answer.status != StatusCode::OK {
            return match answer::failure(&answer, Effect::Read, Timestamp::now()) {
                GitHubError::Refused { status: 404, message, .. } if message.starts_with(NO_SUCH_COMMIT) => {
                    Err(GitHubError::Unavailable(message))
                }
                GitHubError::Refused { status: 404, .. } => Ok(None),
                error => Err(error),
            };
        }
        let Some(content) = content(&answer)? else { return Ok(None) };
        let bytes = decode(&content, MAX_BYTES).ok_or_else(|| answer::unreadable(&answer))?;
        Ok(Some(FileAt { bytes, blob_sha: answer::escape(&content.sha, 64) }))
    }

    pub(crate) async fn list_workflows(&self, repository: &RepositoryRef) -> Result<Vec<WorkflowFound>, GitHubError> {
        let path = ApiPath::workflows(&repository.name);
        let answer = self.succeed(&Call::read(repository, Permission::ActionsRead, path, LIST_LIMIT)).await?;
        let listed: wire::Workflows = parse(&answer)?;
        let files = listed.workflows.into_iter().take(PER_PAGE).filter_map(|workflow| {
            let file = WorkflowFile::from_run_path(&workflow.path, &repository.name)?;
            Some((file, workflow.state == "active"))
        });
        let texts = files.map(|(file, active)| async move {
            // GitHub also lists workflows that are on other branches only: those have no text here, and run for nothing.
            Ok(match self.read_workflow(repository, &file).await? {
                Text::Found(text) => Some(WorkflowFound { file, active, text: Some(text) }),
                Text::Unreadable => Some(WorkflowFound { file, active, text: None }),
                Text::Missing => None,
            })
        });
        stream::iter(texts).buffered(CONCURRENT).try_filter_map(|found| async { Ok(found) }).try_collect().await
    }

    pub(crate) async fn read_workflow(
        &self,
        repository: &RepositoryRef,
        file: &WorkflowFile,
    ) -> Result<Text, GitHubError> {
        let path = ApiPath::workflow_file(&repository.name, file);
        let answer = self.ask(&Call::read(repository, Permission::ContentsRead, path, TEXT_LIMIT)).await?;
        if answer.status != StatusCode::OK {
            return match answer::failure(&answer, Effect::Read, Timestamp::now()) {
                GitHubError::Refused { status: 404, .. } => Ok(Text::Missing),
                GitHubError::Refused { .. } => Ok(Text::Unreadable),
                error => Err(error),
            };
        }
        if matches!(answer.body, Body::Cut(_)) {
            return Ok(Text::Unreadable);
        }
        let Some(content) = content(&answer)? else { return Ok(Text::Missing) };
        Ok(match decode(&content, TEXT_BYTES) {
            Some(text) if text.len() <= TEXT_BYTES => Text::Found(text),
            Some(_) | None => Text::Unreadable,
        })
    }
}
