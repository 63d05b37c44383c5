//! The ports of the core, each method by what does it and a line in the log where it fails.

use async_trait::async_trait;
use dispatch_core::Timestamp;
use dispatch_core::dispatch::StartedRun;
use dispatch_core::event::PullRequestState;
use dispatch_core::name::{
    Branch, CheckRunId, CommentId, CommitSha, Login, PullRequestNumber, Repository, RepositoryId, TeamName,
};
use dispatch_core::notice::{Check, Reaction};
use dispatch_core::policy::PolicyPath;
use dispatch_core::ports::delivery_log::{AttemptPage, DeliveryLogPort};
use dispatch_core::ports::github::{Budget, FileRead, FileVersion, GitHubError, GitHubPort, RepositoryRef, RunListing};
use dispatch_core::ports::issues::{IssueChange, IssuePort};
use dispatch_core::ports::notices::NoticePort;
use dispatch_core::ports::pull_requests::{FileAt, PermissionAnswer, PullRequestPort, WorkflowFound};
use dispatch_core::request::DispatchRequest;

use crate::GitHub;

#[async_trait]
impl GitHubPort for GitHub {
    async fn read_file(
        &self,
        repository: &Repository,
        id: Option<RepositoryId>,
        path: PolicyPath,
        known: Option<&FileVersion>,
    ) -> Result<FileRead, GitHubError> {
        let read = self.read(repository, id, path, known).await;
        read.inspect_err(|error| tell("read_file", repository, error))
    }

    async fn commit_on_branch(
        &self,
        repository: &RepositoryRef,
        branch: &Branch,
        sha: &CommitSha,
    ) -> Result<bool, GitHubError> {
        let compared = self.is_on_branch(repository, branch, sha).await;
        compared.inspect_err(|error| tell("commit_on_branch", &repository.name, error))
    }

    async fn dispatch(
        &self,
        repository: &RepositoryRef,
        request: &DispatchRequest,
        not_after: Timestamp,
    ) -> Result<Option<StartedRun>, GitHubError> {
        let started = self.start(repository, request, not_after).await;
        started.inspect_err(|error| tell("dispatch", &repository.name, error))
    }

    async fn runs_since(&self, repository: &RepositoryRef, since: Timestamp) -> Result<RunListing, GitHubError> {
        let listed = self.list_runs(repository, since).await;
        listed.inspect_err(|error| tell("runs_since", &repository.name, error))
    }

    fn budgets(&self) -> Vec<Budget> {
        self.budgets.snapshot()
    }
}

#[async_trait]
impl IssuePort for GitHub {
    async fn find_issue(&self, repository: &RepositoryRef, marker: &str) -> Result<Option<u64>, GitHubError> {
        let found = self.search_issues(repository, marker).await;
        found.inspect_err(|error| tell("find_issue", &repository.name, error))
    }

    async fn create_issue(
        &self,
        repository: &RepositoryRef,
        title: &str,
        body: &str,
        not_after: Timestamp,
    ) -> Result<u64, GitHubError> {
        let created = self.open_issue(repository, title, body, not_after).await;
        created.inspect_err(|error| tell("create_issue", &repository.name, error))
    }

    async fn update_issue(
        &self,
        repository: &RepositoryRef,
        number: u64,
        change: IssueChange<'_>,
    ) -> Result<(), GitHubError> {
        let updated = self.change_issue(repository, number, change).await;
        updated.inspect_err(|error| tell("update_issue", &repository.name, error))
    }
}

#[async_trait]
impl PullRequestPort for GitHub {
    async fn pull_request(
        &self,
        repository: &RepositoryRef,
        number: PullRequestNumber,
    ) -> Result<Option<PullRequestState>, GitHubError> {
        let read = self.read_pull_request(repository, number).await;
        read.inspect_err(|error| tell("pull_request", &repository.name, error))
    }

    async fn permission(
        &self,
        repository: &RepositoryRef,
        login: &Login,
    ) -> Result<Option<PermissionAnswer>, GitHubError> {
        let read = self.read_permission(repository, login).await;
        read.inspect_err(|error| tell("permission", &repository.name, error))
    }

    async fn is_team_member(
        &self,
        repository: &RepositoryRef,
        team: &TeamName,
        login: &Login,
    ) -> Result<bool, GitHubError> {
        let read = self.read_membership(repository, team, login).await;
        read.inspect_err(|error| tell("is_team_member", &repository.name, error))
    }

    async fn policy_at(
        &self,
        repository: &RepositoryRef,
        path: PolicyPath,
        commit: &CommitSha,
    ) -> Result<Option<FileAt>, GitHubError> {
        let read = self.read_at(repository, path, commit).await;
        read.inspect_err(|error| tell("policy_at", &repository.name, error))
    }

    async fn merge_base(
        &self,
        repository: &RepositoryRef,
        branch: &Branch,
        commit: &CommitSha,
    ) -> Result<Option<CommitSha>, GitHubError> {
        let compared = self.read_merge_base(repository, branch, commit).await;
        compared.inspect_err(|error| tell("merge_base", &repository.name, error))
    }

    async fn workflows(&self, repository: &RepositoryRef) -> Result<Vec<WorkflowFound>, GitHubError> {
        let listed = self.list_workflows(repository).await;
        listed.inspect_err(|error| tell("workflows", &repository.name, error))
    }
}

#[async_trait]
impl NoticePort for GitHub {
    async fn find_check(&self, check: &Check) -> Result<Option<CheckRunId>, GitHubError> {
        let found = self.search_checks(check).await;
        found.inspect_err(|error| tell("find_check", &check.repository.name, error))
    }

    async fn create_check(&self, check: &Check, not_after: Timestamp) -> Result<CheckRunId, GitHubError> {
        let created = self.make_check(check, not_after).await;
        created.inspect_err(|error| tell("create_check", &check.repository.name, error))
    }

    async fn update_check(&self, id: CheckRunId, check: &Check, not_after: Timestamp) -> Result<(), GitHubError> {
        let updated = self.change_check(id, check, not_after).await;
        updated.inspect_err(|error| tell("update_check", &check.repository.name, error))
    }

    async fn find_comment(
        &self,
        repository: &RepositoryRef,
        pull_request: PullRequestNumber,
        marker: &str,
    ) -> Result<Option<CommentId>, GitHubError> {
        let found = self.search_comments(repository, pull_request, marker).await;
        found.inspect_err(|error| tell("find_comment", &repository.name, error))
    }

    async fn create_comment(
        &self,
        repository: &RepositoryRef,
        pull_request: PullRequestNumber,
        body: &str,
        not_after: Timestamp,
    ) -> Result<CommentId, GitHubError> {
        let created = self.make_comment(repository, pull_request, body, not_after).await;
        created.inspect_err(|error| tell("create_comment", &repository.name, error))
    }

    async fn update_comment(
        &self,
        repository: &RepositoryRef,
        id: CommentId,
        body: &str,
        not_after: Timestamp,
    ) -> Result<(), GitHubError> {
        let updated = self.change_comment(repository, id, body, not_after).await;
        updated.inspect_err(|error| tell("update_comment", &repository.name, error))
    }

    async fn react(
        &self,
        repository: &RepositoryRef,
        comment: CommentId,
        reaction: Reaction,
    ) -> Result<(), GitHubError> {
        let reacted = self.make_reaction(repository, comment, reaction).await;
        reacted.inspect_err(|error| tell("react", &repository.name, error))
    }
}

#[async_trait]
impl DeliveryLogPort for GitHub {
    async fn attempts(&self, cursor: Option<&str>) -> Result<AttemptPage, GitHubError> {
        let listed = self.app.attempts(cursor).await;
        listed.inspect_err(|error| tracing::warn!(operation = "attempts", %error, "a call to GitHub failed"))
    }

    async fn redeliver(&self, attempt: u64) -> Result<(), GitHubError> {
        let asked = self.app.redeliver(attempt).await;
        asked.inspect_err(|error| tracing::warn!(operation = "redeliver", attempt, %error, "a call to GitHub failed"))
    }
}

/// Logs a failed call to a repository.
fn tell(operation: &str, repository: &Repository, error: &GitHubError) {
    tracing::warn!(operation, %repository, %error, "a call to GitHub failed");
}
