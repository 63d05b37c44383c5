//! Workflow runs.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::{Access, ApiError, World, WorldError};
use crate::Timestamp;
use crate::event::Conclusion;
use crate::name::{CommitSha, Repository, RepositoryId, RunId, WorkflowFile};

/// A run of a workflow.
#[derive(Debug, Clone, Serialize)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// Where it runs.
    pub repository: Repository,
    /// Where it runs.
    pub repository_id: RepositoryId,
    /// The workflow's file name.
    pub workflow: String,
    /// The workflow's id.
    pub workflow_id: u64,
    /// The workflow's name.
    pub name: String,
    /// What it is called in lists (`display_title`); None: by its commit's message.
    pub title: Option<String>,
    /// Its path, as GitHub would write it.
    pub path: String,
    /// The number of the run among the runs of its workflow.
    pub number: u64,
    /// 1, and one more for every re-run.
    pub attempt: u32,
    /// What started it.
    pub event: String,
    /// How far it is.
    pub status: RunStatus,
    /// How it ended.
    pub conclusion: Option<Conclusion>,
    /// The branch or the tag that it runs at.
    pub head_branch: String,
    /// The commit that it runs at.
    pub head_sha: CommitSha,
    /// Where the commit is from; None: a repository that was deleted.
    pub head_repository: Option<RepositoryId>,
    /// Who started it.
    pub actor: String,
    /// The inputs of a `workflow_dispatch`.
    pub inputs: BTreeMap<String, String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When this attempt started.
    pub started_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the words are GitHub's own")]
pub enum RunStatus {
    Queued,
    InProgress,
    Completed,
}

impl RunStatus {
    /// GitHub's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
        }
    }
}

/// A run that ends: what [`World::complete_run`] needs to know of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunSpec {
    /// The workflow's file name.
    pub workflow: String,
    /// The branch that it ran at, or the tag.
    pub branch: String,
    /// Whether `branch` is a tag's name.
    pub tag: bool,
    /// How it ended; GitHub may not say.
    pub conclusion: Option<Conclusion>,
    /// What started it, in GitHub's word.
    pub event: String,
    /// The fork that the commit is from. It is made where there is none of this name.
    pub fork: Option<Repository>,
    /// The commit's repository was deleted: `head_repository` is null.
    pub head_repository_deleted: bool,
    /// The commit; None: the head of the branch, or a new commit in the fork.
    pub sha: Option<CommitSha>,
    /// The run that this is another attempt of. Its workflow, branch and commit stay.
    pub rerun_of: Option<RunId>,
    /// Who started it.
    pub actor: String,
    /// What the webhook's `path` says in place of the workflow's path, such as `.github/workflows/ci.yml@main`.
    pub path: Option<String>,
}

impl RunSpec {
    /// A run that a push started, and that succeeded.
    #[must_use]
    pub fn new(workflow: &str, branch: &str) -> Self {
        Self { workflow: workflow.to_owned(), branch: branch.to_owned(), ..Self::default() }
    }
}

impl Default for RunSpec {
    fn default() -> Self {
        Self {
            workflow: "ci.yml".to_owned(),
            branch: "main".to_owned(),
            tag: false,
            conclusion: Some(Conclusion::Success),
            event: "push".to_owned(),
            fork: None,
            head_repository_deleted: false,
            sha: None,
            rerun_of: None,
            actor: "octocat".to_owned(),
            path: None,
        }
    }
}

/// How long a dispatched run takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// From the dispatch until it is in progress.
    pub queued: Duration,
    /// From there until it ends.
    pub in_progress: Duration,
}

impl World {
    /// Lets a run end that nobody here started, and sends the `workflow_run` `completed` webhook of it.
    ///
    /// # Errors
    /// There is no such repository, branch, tag, workflow or run.
    pub fn complete_run(&mut self, repository: &Repository, spec: RunSpec) -> Result<RunId, WorldError> {
        let id = self.repository_id(repository)?;
        let mut run = match spec.rerun_of {
            Some(earlier) => self.next_attempt(earlier)?,
            None => self.foreign_run(repository, id, &spec)?,
        };
        run.status = RunStatus::Completed;
        run.conclusion = spec.conclusion;
        let run_id = run.id;
        self.unfinished_runs.remove(&run_id);
        self.runs.insert(run_id, run);
        self.send_workflow_run(run_id, "completed");
        Ok(run_id)
    }

    /// Every run, by id: those that a dispatch started and those that [`World::complete_run`] made.
    pub fn runs(&self) -> impl DoubleEndedIterator<Item = &Run> {
        self.runs.values()
    }

    /// A run (`GET /repos/{owner}/{repo}/actions/runs/{run_id}`).
    ///
    /// # Errors
    /// GitHub's refusals.
    pub fn run(&self, token: &str, repository: &Repository, run: RunId) -> Result<&Run, ApiError> {
        let id = self.authorize(token, repository, &[("actions", Access::Read)])?;
        self.runs.get(&run).filter(|run| run.repository_id == id).ok_or_else(ApiError::not_found)
    }

    /// The runs of a repository, newest first (`GET /repos/{owner}/{repo}/actions/runs`), except for those that are younger
    /// than [`World::listing_lag`].
    ///
    /// # Errors
    /// GitHub's refusals.
    pub fn repository_runs(&self, token: &str, repository: &Repository) -> Result<Vec<&Run>, ApiError> {
        let id = self.authorize(token, repository, &[("actions", Access::Read)])?;
        let listed = |run: &&Run| run.created_at.checked_add(self.listing_lag).is_ok_and(|from| from <= self.now());
        Ok(self.runs.values().rev().filter(|run| run.repository_id == id).filter(listed).collect())
    }

    /// Says how the next dispatched run of a workflow ends, which is a success otherwise. Several orders queue up.
    ///
    /// # Errors
    /// There is no such repository.
    pub fn order_conclusion(
        &mut self,
        repository: &Repository,
        workflow: &str,
        conclusion: Conclusion,
    ) -> Result<(), WorldError> {
        let key = (self.repository_id(repository)?, workflow.to_owned());
        self.ordered_conclusions.entry(key).or_default().push_back(conclusion);
        Ok(())
    }

    /// Moves every run that was dispatched and has not ended by one step (queued, in progress, completed), and sends the
    /// webhooks of it. Answers with the runs that moved.
    pub fn progress_runs(&mut self) -> Vec<RunId> {
        let runs: Vec<RunId> = self.unfinished_runs.iter().copied().collect();
        runs.iter().for_each(|run| self.progress(*run));
        runs
    }

    /// Moves one run by one step, and sends the webhook of it.
    ///
    /// # Errors
    /// There is no such run, or it has ended.
    pub fn progress_run(&mut self, run: RunId) -> Result<(), WorldError> {
        self.check_unfinished(run)?;
        self.progress(run);
        Ok(())
    }

    /// Ends one run, however far it is, and sends `workflow_run` `completed`.
    ///
    /// # Errors
    /// There is no such run, or it has ended.
    pub fn finish_run(&mut self, id: RunId, conclusion: Conclusion) -> Result<(), WorldError> {
        self.check_unfinished(id)?;
        let now = self.now();
        if let Some(run) = self.runs.get_mut(&id) {
            (run.status, run.conclusion, run.updated_at) = (RunStatus::Completed, Some(conclusion), now);
        }
        self.unfinished_runs.remove(&id);
        self.send_workflow_run(id, "completed");
        Ok(())
    }

    fn check_unfinished(&self, run: RunId) -> Result<(), WorldError> {
        let unfinished = self.unfinished_runs.contains(&run);
        unfinished.then_some(()).ok_or_else(|| WorldError(format!("there is no run {run} that has not ended")))
    }

    /// Moves the runs whose time has come at this pace.
    pub fn progress_due(&mut self, pace: Pace) {
        let due = |run: &RunId| self.due(*run, pace).is_some_and(|due| due <= self.now());
        let runs: Vec<RunId> = self.unfinished_runs.iter().copied().filter(due).collect();
        runs.into_iter().for_each(|run| self.progress(run));
    }

    /// When the next run moves at this pace.
    #[must_use]
    pub fn next_due(&self, pace: Pace) -> Option<Timestamp> {
        self.unfinished_runs.iter().filter_map(|run| self.due(*run, pace)).min()
    }

    fn due(&self, run: RunId, pace: Pace) -> Option<Timestamp> {
        let run = self.runs.get(&run)?;
        let wait = if run.status == RunStatus::Queued { pace.queued } else { pace.in_progress };
        run.updated_at.checked_add(wait).ok()
    }

    fn progress(&mut self, id: RunId) {
        let now = self.now();
        let Some(run) = self.runs.get_mut(&id) else { return };
        run.updated_at = now;
        let action = match run.status {
            RunStatus::Queued => {
                run.status = RunStatus::InProgress;
                run.started_at = now;
                "in_progress"
            }
            RunStatus::InProgress | RunStatus::Completed => {
                let key = (run.repository_id, run.workflow.clone());
                let ordered = self.ordered_conclusions.get_mut(&key).and_then(std::collections::VecDeque::pop_front);
                run.status = RunStatus::Completed;
                run.conclusion = Some(ordered.unwrap_or(Conclusion::Success));
                self.unfinished_runs.remove(&id);
                "completed"
            }
        };
        self.send_workflow_run(id, action);
    }

    /// A new run of a workflow that the repository has.
    pub(super) fn new_run(
        &mut self,
        id: RepositoryId,
        file: &str,
        event: &str,
        head_branch: &str,
        head_sha: CommitSha,
    ) -> Result<Run, WorldError> {
        let run_id = RunId(self.next_id());
        let now = self.now();
        let state = self.repository_mut(id)?;
        let workflow = state.workflows.get_mut(file);
        let workflow = workflow.ok_or_else(|| WorldError(format!("there is no workflow `{file}`")))?;
        workflow.runs += 1;
        Ok(Run {
            id: run_id,
            repository: state.name.clone(),
            repository_id: id,
            workflow: file.to_owned(),
            workflow_id: workflow.id,
            name: workflow.name.clone(),
            title: None,
            path: format!("{}{file}", WorkflowFile::FOLDER),
            number: workflow.runs,
            attempt: 1,
            event: event.to_owned(),
            status: RunStatus::Queued,
            conclusion: None,
            head_branch: head_branch.to_owned(),
            head_sha,
            head_repository: Some(id),
            actor: "octocat".to_owned(),
            inputs: BTreeMap::new(),
            created_at: now,
            started_at: now,
            updated_at: now,
        })
    }

    fn foreign_run(&mut self, repository: &Repository, id: RepositoryId, spec: &RunSpec) -> Result<Run, WorldError> {
        let fork = match &spec.fork {
            Some(fork) => Some(self.repository_id(fork).or_else(|_| self.add_fork(repository, fork))?),
            None => None,
        };
        let from_elsewhere = fork.is_some() || spec.head_repository_deleted;
        let sha = match &spec.sha {
            Some(sha) => sha.clone(),
            None if from_elsewhere => self.stray_commit(repository, &[("CONTRIBUTION.md", Some(b"hello\n"))])?,
            None => {
                let full = format!("{}/{}", if spec.tag { "tags" } else { "heads" }, spec.branch);
                let found = self.revision(id, &full);
                found.ok_or_else(|| WorldError(format!("`{repository}` has no `{full}`")))?
            }
        };
        let mut run = self.new_run(id, &spec.workflow, &spec.event, &spec.branch, sha)?;
        run.actor.clone_from(&spec.actor);
        if spec.head_repository_deleted {
            run.head_repository = None;
        } else if fork.is_some() {
            run.head_repository = fork;
        }
        if let Some(path) = &spec.path {
            run.path.clone_from(path);
        }
        Ok(run)
    }

    fn next_attempt(&self, earlier: RunId) -> Result<Run, WorldError> {
        let mut run =
            self.runs.get(&earlier).cloned().ok_or_else(|| WorldError(format!("there is no run {earlier}")))?;
        run.attempt += 1;
        run.started_at = self.now();
        run.updated_at = self.now();
        Ok(run)
    }
}
