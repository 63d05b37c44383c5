//! Workflows and their runs.

use serde_json::{Value, json};

use super::super::{Commit, RepositoryState, Run, Workflow, World};
use super::{git_author, node_id, time};
use crate::name::WorkflowFile;

impl World {
    /// A workflow.
    #[must_use]
    pub fn json_workflow(&self, state: &RepositoryState, file: &str, workflow: &Workflow) -> Value {
        let page = format!("{}/{}", self.html_url, state.name);
        json!({
            "id": workflow.id,
            "node_id": node_id("Workflow", workflow.id),
            "name": workflow.name,
            "path": format!("{}{file}", WorkflowFile::FOLDER),
            "state": workflow.state,
            "created_at": time(workflow.created_at),
            "updated_at": time(workflow.updated_at),
            "url": format!("{}/repos/{}/actions/workflows/{}", self.api_url, state.name, workflow.id),
            "html_url": format!("{page}/blob/{}/{}{file}", state.default_branch, WorkflowFile::FOLDER),
            "badge_url": format!("{page}/workflows/{file}/badge.svg"),
        })
    }

    /// The URL of a run in the API.
    #[must_use]
    pub fn run_url(&self, run: &Run) -> String {
        format!("{}/repos/{}/actions/runs/{}", self.api_url, run.repository, run.id)
    }

    /// The page of a run.
    #[must_use]
    pub fn run_page(&self, run: &Run) -> String {
        format!("{}/{}/actions/runs/{}", self.html_url, run.repository, run.id)
    }

    /// What a run is called in lists.
    #[must_use]
    pub fn run_title<'a>(&'a self, run: &'a Run) -> &'a str {
        let commit = self.repositories.get(&run.repository_id).and_then(|state| state.commits.get(&run.head_sha));
        let by_commit = || commit.map_or(run.name.as_str(), |commit| commit.message.as_str());
        run.title.as_deref().unwrap_or_else(by_commit)
    }

    /// A run.
    #[must_use]
    pub fn json_run(&self, run: &Run) -> Value {
        let url = self.run_url(run);
        let suite = run.id.0 + 1;
        let repository = self.repositories.get(&run.repository_id);
        let commit = repository.and_then(|state| state.commits.get(&run.head_sha));
        let minimal = |state: Option<&RepositoryState>| state.map(|state| self.json_minimal_repository(state));
        let head_repository = run.head_repository.and_then(|id| self.repositories.get(&id));
        let actor = self.json_user(&run.actor);
        json!({
            "id": run.id,
            "name": run.name,
            "node_id": node_id("WorkflowRun", run.id.0),
            "head_branch": run.head_branch,
            "head_sha": run.head_sha,
            "path": run.path,
            "display_title": self.run_title(run),
            "run_number": run.number,
            "event": run.event,
            "status": run.status,
            "conclusion": run.conclusion,
            "workflow_id": run.workflow_id,
            "check_suite_id": suite,
            "check_suite_node_id": node_id("CheckSuite", suite),
            "url": url,
            "html_url": self.run_page(run),
            "pull_requests": [],
            "created_at": time(run.created_at),
            "updated_at": time(run.updated_at),
            "actor": actor,
            "run_attempt": run.attempt,
            "referenced_workflows": [],
            "run_started_at": time(run.started_at),
            "triggering_actor": actor,
            "jobs_url": format!("{url}/jobs"),
            "logs_url": format!("{url}/logs"),
            "check_suite_url": format!("{}/repos/{}/check-suites/{suite}", self.api_url, run.repository),
            "artifacts_url": format!("{url}/artifacts"),
            "cancel_url": format!("{url}/cancel"),
            "rerun_url": format!("{url}/rerun"),
            "previous_attempt_url": (run.attempt > 1).then(|| format!("{url}/attempts/{}", run.attempt - 1)),
            "workflow_url": format!("{}/repos/{}/actions/workflows/{}", self.api_url, run.repository, run.workflow_id),
            "head_commit": commit.map(json_head_commit),
            "repository": minimal(repository),
            "head_repository": minimal(head_repository),
        })
    }
}

fn json_head_commit(commit: &Commit) -> Value {
    json!({
        "id": commit.sha,
        "tree_id": commit.tree_sha(),
        "message": commit.message,
        "timestamp": time(commit.at),
        "author": git_author(&commit.author),
        "committer": git_author(&commit.author),
    })
}
