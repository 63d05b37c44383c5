//! Check runs.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Access, ApiError, Effect, World, WorldError};
use crate::Timestamp;
use crate::name::{CommitSha, Repository, RepositoryId};

/// A check run on a commit.
#[derive(Debug, Clone)]
pub struct CheckRun {
    /// Its id.
    pub id: u64,
    /// Its repository.
    pub repository: RepositoryId,
    /// Its commit.
    pub head_sha: CommitSha,
    /// Its name.
    pub name: String,
    /// `queued`, `in_progress` or `completed`.
    pub status: String,
    /// How it ended.
    pub conclusion: Option<String>,
    /// The caller's own mark.
    pub external_id: Option<String>,
    /// Where its details are.
    pub details_url: Option<String>,
    /// The title of its output.
    pub title: Option<String>,
    /// The summary of its output.
    pub summary: Option<String>,
    /// The text of its output.
    pub text: Option<String>,
    /// Its annotations, in the order in which they came.
    pub annotations: Vec<Annotation>,
    /// When it started.
    pub started_at: Timestamp,
    /// When it ended.
    pub completed_at: Option<Timestamp>,
}

/// The body of a request that creates or changes a check run, as far as this world knows it.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct CheckRunChange {
    /// Its name: required to create one.
    pub name: Option<String>,
    /// Its commit: required to create one.
    pub head_sha: Option<CommitSha>,
    /// `queued`, `in_progress` or `completed`.
    pub status: Option<String>,
    /// How it ended.
    pub conclusion: Option<String>,
    /// The caller's own mark.
    pub external_id: Option<String>,
    /// Where its details are.
    pub details_url: Option<String>,
    /// What it says.
    pub output: Option<CheckOutput>,
}

/// What a check run says.
#[derive(Debug, Clone, Deserialize)]
pub struct CheckOutput {
    /// Its title.
    pub title: Option<String>,
    /// Its summary.
    pub summary: String,
    /// Its text.
    pub text: Option<String>,
    /// Its annotations: added to those that are there.
    #[serde(default)]
    pub annotations: Vec<Annotation>,
}

/// What a check run says about lines of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Annotation {
    /// The file.
    pub path: String,
    /// Its first line, from 1.
    pub start_line: u32,
    /// Its last line.
    pub end_line: u32,
    /// `notice`, `warning` or `failure`.
    pub annotation_level: String,
    /// One line.
    #[serde(default)]
    pub title: Option<String>,
    /// What is wrong.
    pub message: String,
}

/// Characters of a summary and of a text (REST API description).
const MAX_OUTPUT: usize = 65_535;
/// Annotations in one request (REST API description).
const MAX_ANNOTATIONS: usize = 50;
const LEVELS: [&str; 3] = ["notice", "warning", "failure"];
const STATUSES: [&str; 3] = ["queued", "in_progress", "completed"];
/// `stale` is GitHub's own to give.
const CONCLUSIONS: [&str; 7] =
    ["action_required", "cancelled", "failure", "neutral", "success", "skipped", "timed_out"];

impl World {
    /// Creates a check run (`POST /repos/{owner}/{repo}/check-runs`).
    ///
    /// # Errors
    /// GitHub's refusals.
    pub fn create_check_run(
        &mut self,
        token: &str,
        repository: &Repository,
        change: CheckRunChange,
    ) -> Result<CheckRun, ApiError> {
        let id = self.authorize(token, repository, &[("checks", Access::Write)])?;
        let missing = |field| ApiError::validation("CheckRun", field, "missing_field", None);
        let name = change.name.clone().ok_or_else(|| missing("name"))?;
        let head_sha = change.head_sha.clone().ok_or_else(|| missing("head_sha"))?;
        if self.commit_of(id, &head_sha).is_none() {
            return Err(ApiError::unprocessable(format!("No commit found for SHA: {head_sha}")));
        }
        let check = CheckRun {
            id: self.next_id(),
            repository: id,
            head_sha,
            name,
            status: "queued".to_owned(),
            conclusion: None,
            external_id: None,
            details_url: None,
            title: None,
            summary: None,
            text: None,
            annotations: Vec::new(),
            started_at: self.now(),
            completed_at: None,
        };
        self.store_check_run(repository, check, change)
    }

    /// Changes a check run (`PATCH /repos/{owner}/{repo}/check-runs/{check_run_id}`).
    ///
    /// # Errors
    /// GitHub's refusals.
    pub fn update_check_run(
        &mut self,
        token: &str,
        repository: &Repository,
        check: u64,
        change: CheckRunChange,
    ) -> Result<CheckRun, ApiError> {
        let id = self.authorize(token, repository, &[("checks", Access::Write)])?;
        let check = self.checks.get(&check).filter(|check| check.repository == id).cloned();
        self.store_check_run(repository, check.ok_or_else(ApiError::not_found)?, change)
    }

    /// The check runs of a commit, newest first (`GET /repos/{owner}/{repo}/commits/{ref}/check-runs`). `name`: None for any.
    /// `latest`: only the newest of each name, which is GitHub's default.
    ///
    /// # Errors
    /// GitHub's refusals.
    pub fn check_runs_of(
        &self,
        token: &str,
        repository: &Repository,
        commit: &str,
        name: Option<&str>,
        latest: bool,
    ) -> Result<Vec<&CheckRun>, ApiError> {
        let id = self.authorize(token, repository, &[("checks", Access::Read)])?;
        let sha = self.revision(id, commit);
        let sha = sha.ok_or_else(|| ApiError::unprocessable(format!("No commit found for SHA: {commit}")))?;
        let mut seen = BTreeSet::new();
        let wanted = |check: &&CheckRun| {
            check.repository == id && check.head_sha == sha && name.is_none_or(|name| check.name == name)
        };
        let found = self.checks.values().rev().filter(wanted);
        Ok(found.filter(|check| !latest || seen.insert(&check.name)).collect())
    }

    /// A check run's annotations (`GET /repos/{owner}/{repo}/check-runs/{check_run_id}/annotations`).
    ///
    /// # Errors
    /// GitHub's refusals.
    pub fn annotations(&self, token: &str, repository: &Repository, check: u64) -> Result<&[Annotation], ApiError> {
        let id = self.authorize(token, repository, &[("checks", Access::Read)])?;
        let check = self.checks.get(&check).filter(|check| check.repository == id);
        check.map(|check| check.annotations.as_slice()).ok_or_else(ApiError::not_found)
    }

    /// Lets somebody press "Re-run" at a check run, which sends `check_run` `rerequested`. The check run itself stays as it is
    /// ("Rerequest a check run").
    ///
    /// # Errors
    /// There is no such repository or check run.
    pub fn rerequest_check(&mut self, repository: &Repository, check: u64, login: &str) -> Result<(), WorldError> {
        let id = self.repository_id(repository)?;
        let known = self.checks.get(&check).filter(|check| check.repository == id).cloned();
        let known = known.ok_or_else(|| WorldError(format!("`{repository}` has no check run {check}")))?;
        self.note_user(login);
        self.send_check_run(&known, "rerequested", login);
        Ok(())
    }

    /// Every check run, by id.
    pub fn check_runs(&self) -> impl Iterator<Item = &CheckRun> {
        self.checks.values()
    }

    fn store_check_run(
        &mut self,
        repository: &Repository,
        mut check: CheckRun,
        change: CheckRunChange,
    ) -> Result<CheckRun, ApiError> {
        refuse_outside_limits(&change)?;
        check.name = change.name.unwrap_or(check.name);
        check.external_id = change.external_id.or(check.external_id);
        check.details_url = change.details_url.or(check.details_url);
        check.status = change.status.unwrap_or(check.status);
        if let Some(conclusion) = change.conclusion {
            // A conclusion completes the run (REST API description).
            check.status = "completed".to_owned();
            check.conclusion = Some(conclusion);
            check.completed_at = Some(self.now());
        }
        if check.status == "completed" && check.conclusion.is_none() {
            return Err(ApiError::validation("CheckRun", "conclusion", "missing_field", None));
        }
        if let Some(output) = change.output {
            check.title = output.title.or(check.title);
            check.summary = Some(output.summary);
            check.text = output.text.or(check.text);
            check.annotations.extend(output.annotations);
        }
        self.checks.insert(check.id, check.clone());
        self.effects.push(Effect::CheckRun { repository: repository.clone(), id: check.id });
        Ok(check)
    }
}

fn refuse_outside_limits(change: &CheckRunChange) -> Result<(), ApiError> {
    let invalid = |field| Err(ApiError::validation("CheckRun", field, "invalid", None));
    if change.status.as_deref().is_some_and(|status| !STATUSES.contains(&status)) {
        return invalid("status");
    }
    if change.conclusion.as_deref().is_some_and(|conclusion| !CONCLUSIONS.contains(&conclusion)) {
        return invalid("conclusion");
    }
    let Some(output) = &change.output else { return Ok(()) };
    if output.summary.chars().count() > MAX_OUTPUT {
        return invalid("summary");
    }
    if output.text.as_ref().is_some_and(|text| text.chars().count() > MAX_OUTPUT) {
        return invalid("text");
    }
    let level = |annotation: &Annotation| LEVELS.contains(&annotation.annotation_level.as_str());
    if output.annotations.len() > MAX_ANNOTATIONS || !output.annotations.iter().all(level) {
        return invalid("annotations");
    }
    Ok(())
}
