//! What is shown at GitHub, through the same bad network: a request that was sent arrives although its sender has crashed.

use async_trait::async_trait;
use dispatch_core::Timestamp;
use dispatch_core::name::{CheckRunId, CommentId, PullRequestNumber};
use dispatch_core::notice::{Check, Reaction};
use dispatch_core::ports::NoticePort;
use dispatch_core::ports::github::{GitHubError, RepositoryRef};
use futures_util::FutureExt;

use crate::github::SimGitHub;

#[async_trait]
impl NoticePort for SimGitHub {
    async fn find_check(&self, check: &Check) -> Result<Option<CheckRunId>, GitHubError> {
        let what = || format!("for the check run {}", check.id);
        self.read(what, self.inner.find_check(check)).await.map(|found| self.finds(found))
    }

    async fn create_check(&self, check: &Check, not_after: Timestamp) -> Result<CheckRunId, GitHubError> {
        let (what, check) = (format!("a check run {:?} for {}", check.status, check.id), check.clone());
        self.send(what, Some(not_after), "/repos/*/*/check-runs", move |github| {
            github.create_check(&check, Timestamp::MAX).now_or_never().unwrap()
        })
        .await
    }

    async fn update_check(&self, id: CheckRunId, check: &Check, not_after: Timestamp) -> Result<(), GitHubError> {
        let (what, check) = (format!("{:?} to check run {id}", check.status), check.clone());
        self.send(what, Some(not_after), "/repos/*/*/check-runs/*", move |github| {
            github.update_check(id, &check, Timestamp::MAX).now_or_never().unwrap()
        })
        .await
    }

    async fn find_comment(
        &self,
        repository: &RepositoryRef,
        pull_request: PullRequestNumber,
        marker: &str,
    ) -> Result<Option<CommentId>, GitHubError> {
        let what = || format!("for the comment {marker}");
        self.read(what, self.inner.find_comment(repository, pull_request, marker)).await.map(|found| self.finds(found))
    }

    async fn create_comment(
        &self,
        repository: &RepositoryRef,
        pull_request: PullRequestNumber,
        body: &str,
        not_after: Timestamp,
    ) -> Result<CommentId, GitHubError> {
        let (what, repository, body) =
            (format!("a comment on pull request {pull_request}"), repository.clone(), body.to_owned());
        self.send(what, Some(not_after), "/repos/*/*/issues/*/comments", move |github| {
            github.create_comment(&repository, pull_request, &body, Timestamp::MAX).now_or_never().unwrap()
        })
        .await
    }

    async fn update_comment(
        &self,
        repository: &RepositoryRef,
        id: CommentId,
        body: &str,
        not_after: Timestamp,
    ) -> Result<(), GitHubError> {
        let (what, repository, body) = (format!("what comment {id} says"), repository.clone(), body.to_owned());
        self.send(what, Some(not_after), "/repos/*/*/issues/comments/*", move |github| {
            github.update_comment(&repository, id, &body, Timestamp::MAX).now_or_never().unwrap()
        })
        .await
    }

    async fn react(
        &self,
        repository: &RepositoryRef,
        comment: CommentId,
        reaction: Reaction,
    ) -> Result<(), GitHubError> {
        let (what, repository) = (format!("{reaction:?} to comment {comment}"), repository.clone());
        self.send(what, None, "/repos/*/*/issues/comments/*/reactions", move |github| {
            github.react(&repository, comment, reaction).now_or_never().unwrap()
        })
        .await
    }
}
