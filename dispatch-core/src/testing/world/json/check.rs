//! Check runs.

use serde_json::{Value, json};

use super::super::{Annotation, CheckRun, RepositoryState, World};
use super::{node_id, time};

impl World {
    /// A check run.
    #[must_use]
    pub fn json_check_run(&self, state: &RepositoryState, check: &CheckRun) -> Value {
        let url = format!("{}/repos/{}/check-runs/{}", self.api_url, state.name, check.id);
        let page = format!("{}/{}/runs/{}", self.html_url, state.name, check.id);
        json!({
            "id": check.id,
            "node_id": node_id("CheckRun", check.id),
            "head_sha": check.head_sha,
            "external_id": check.external_id.as_deref().unwrap_or(""),
            "url": url,
            "html_url": page,
            "details_url": check.details_url.as_deref().unwrap_or(&page),
            "status": check.status,
            "conclusion": check.conclusion,
            "started_at": time(check.started_at),
            "completed_at": check.completed_at.map(time),
            "output": {
                "title": check.title,
                "summary": check.summary,
                "text": check.text,
                "annotations_count": check.annotations.len(),
                "annotations_url": format!("{url}/annotations"),
            },
            "name": check.name,
            "check_suite": { "id": suite_id(check) },
            "app": self.json_app(),
            "pull_requests": self.json_open_heads(state, check),
        })
    }

    /// An annotation of a check run.
    #[must_use]
    pub fn json_annotation(&self, state: &RepositoryState, check: u64, annotation: &Annotation) -> Value {
        let Annotation { path, start_line, end_line, annotation_level, title, message } = annotation;
        json!({
            "path": path,
            "blob_href": format!("{}/{}/blob/{check}/{path}", self.html_url, state.name),
            "start_line": start_line,
            "start_column": null,
            "end_line": end_line,
            "end_column": null,
            "annotation_level": annotation_level,
            "title": title,
            "message": message,
            "raw_details": null,
        })
    }

    /// The suite of a check run, as a webhook shows it: the App's check runs on that commit.
    pub(in super::super) fn json_check_suite(&self, state: &RepositoryState, check: &CheckRun) -> Value {
        let commit = state.commits.get(&check.head_sha);
        let branch = state.branches.iter().find(|(_, sha)| **sha == check.head_sha).map(|(branch, _)| branch);
        json!({
            "id": suite_id(check),
            "node_id": node_id("CheckSuite", suite_id(check)),
            "head_branch": branch,
            "head_sha": check.head_sha,
            "status": check.status,
            "conclusion": check.conclusion,
            "url": format!("{}/repos/{}/check-suites/{}", self.api_url, state.name, suite_id(check)),
            "before": commit.and_then(|commit| commit.parents.first()),
            "after": check.head_sha,
            "pull_requests": self.json_open_heads(state, check),
            "app": self.json_app(),
            "created_at": time(check.started_at),
            "updated_at": time(check.completed_at.unwrap_or(check.started_at)),
        })
    }

    /// The open pull requests of this repository whose head is the check run's commit. Those of forks are not told.
    fn json_open_heads(&self, state: &RepositoryState, check: &CheckRun) -> Value {
        let here = json!({
            "id": state.id,
            "url": format!("{}/repos/{}", self.api_url, state.name),
            "name": state.name.name(),
        });
        let pulls = state.pull_requests.values().filter(|pull| {
            let open = state.issues.get(&pull.number).is_some_and(|issue| issue.open);
            open && pull.head_sha == check.head_sha && pull.head_repository == state.id
        });
        let one = pulls.map(|pull| {
            json!({
                "url": format!("{}/repos/{}/pulls/{}", self.api_url, state.name, pull.number),
                "id": pull.id,
                "number": pull.number,
                "head": { "ref": pull.head_branch, "sha": pull.head_sha, "repo": here },
                "base": { "ref": pull.base, "sha": pull.base_sha, "repo": here },
            })
        });
        one.collect()
    }
}

fn suite_id(check: &CheckRun) -> u64 {
    check.id + 1
}
