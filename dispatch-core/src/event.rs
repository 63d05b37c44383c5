//! What happened in a repository, normalised: only what a decision, a template or a report can use.
//!
//! An [`Event`] is what is stored of a webhook. What a stranger can write - titles, bodies, commit messages, labels - is
//! not in it, so that no rule can pass it on.

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::name::{Branch, CommitSha, InstallationId, Login, Repository, RepositoryId, RunId, WorkflowFile};

/// Something that happened in one repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The version of this shape, for readers of stored events. Always [`Event::VERSION`] when made here.
    pub version: u32,
    /// Where it happened.
    pub repository: EventRepository,
    /// Whose installation of the App sent it. An event without one starts nothing.
    pub installation: Option<InstallationId>,
    /// Who caused it, where GitHub says so.
    pub sender: Option<Login>,
    /// What happened.
    pub kind: EventKind,
}

impl Event {
    /// The version of the shape that this release writes.
    pub const VERSION: u32 = 1;
}

/// The repository of an event, as the webhook describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventRepository {
    /// The id that consent attaches to.
    pub id: RepositoryId,
    /// `owner/name` at the time of the event.
    pub name: Repository,
    /// The branch whose policy file counts.
    pub default_branch: Branch,
    /// Whether strangers cannot see it.
    pub private: bool,
}

/// What happened. Grows with the events that rules can name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EventKind {
    /// `workflow_run` with action `completed`.
    WorkflowRun(WorkflowRun),
    /// `push`: commits arrived on a branch or a tag.
    Push(Push),
}

impl EventKind {
    /// GitHub's name for the event, as in `X-GitHub-Event`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::WorkflowRun(_) => "workflow_run",
            Self::Push(_) => "push",
        }
    }
}

/// A workflow run that completed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkflowRun {
    /// The run's id; the same for every attempt.
    pub id: RunId,
    /// 1 for the first attempt, counted up by re-runs.
    pub attempt: u32,
    /// The number of the run among the runs of its workflow; counted up by new runs, not by re-runs.
    pub number: u64,
    /// The workflow's file in the run's own repository. None where GitHub names none, or one of another repository:
    /// such a run matches no rule.
    pub workflow: Option<WorkflowFile>,
    /// How it ended, in GitHub's word (`success`, `failure`, ...). None when GitHub gave none.
    pub conclusion: Option<Conclusion>,
    /// What started the run, in GitHub's word (`push`, `schedule`, ...).
    pub event: String,
    /// The branch - or the tag - that the run ran at.
    pub head_branch: Option<Branch>,
    /// The commit that the run ran at.
    pub head_sha: CommitSha,
    /// Where the commit came from.
    pub head: Head,
    /// Whose doing the run's first attempt is, where GitHub says so: an App's runs are its bot's, also when somebody runs
    /// them again.
    #[serde(default)]
    pub actor: Option<Login>,
    /// The run's page (`html_url`). At most 1,024 characters; it is shown and passed on, never requested.
    pub url: String,
    /// When this attempt started.
    pub started_at: Option<Timestamp>,
    /// When GitHub last changed the run: for a completed one, its end.
    pub updated_at: Timestamp,
}

/// Where the head commit of a run lives. Forks are recognised by repository id, never by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Head {
    /// In the repository of the run itself.
    SameRepository,
    /// In a fork.
    Fork(RepositoryId),
    /// GitHub did not say, for example because the fork was deleted. Treated as the worst case.
    Unknown,
}

/// How a run ended. The words are GitHub's ("Workflow run statuses").
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the words are GitHub's own")]
pub enum Conclusion {
    ActionRequired,
    Cancelled,
    Failure,
    Neutral,
    Skipped,
    Stale,
    StartupFailure,
    Success,
    TimedOut,
}

impl Conclusion {
    /// Every conclusion, in alphabetical order.
    pub const ALL: [Self; 9] = [
        Self::ActionRequired,
        Self::Cancelled,
        Self::Failure,
        Self::Neutral,
        Self::Skipped,
        Self::Stale,
        Self::StartupFailure,
        Self::Success,
        Self::TimedOut,
    ];

    /// GitHub's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ActionRequired => "action_required",
            Self::Cancelled => "cancelled",
            Self::Failure => "failure",
            Self::Neutral => "neutral",
            Self::Skipped => "skipped",
            Self::Stale => "stale",
            Self::StartupFailure => "startup_failure",
            Self::Success => "success",
            Self::TimedOut => "timed_out",
        }
    }

    /// The conclusion for GitHub's word, if it is one.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|conclusion| conclusion.as_str() == word)
    }
}

impl std::fmt::Display for Conclusion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Commits arrived on a ref, or a ref was created.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Push {
    /// The branch, for `refs/heads/...`. None for tags: a tag proves nothing about a branch.
    pub branch: Option<Branch>,
    /// The commit that the ref now points to. None when the ref was deleted.
    pub after: Option<CommitSha>,
    /// Whether a commit of this push touches a place where a policy file may be. True also when the list of commits may
    /// be incomplete (GitHub lists at most 2,048 commits of a push) or the push was forced.
    pub touches_policy: bool,
}

/// What makes an event itself, whatever delivery brings it: taken from the signed body, never from a header.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventIdentity(Box<str>);

impl EventIdentity {
    /// The identity as text, such as `workflow_run:300029405:30433642:1`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Event {
    /// The identity of the event: for a workflow run, repository id, run id and attempt.
    #[must_use]
    pub fn identity(&self) -> EventIdentity {
        let repository = self.repository.id;
        EventIdentity(match &self.kind {
            EventKind::WorkflowRun(run) => format!("workflow_run:{repository}:{}:{}", run.id, run.attempt).into(),
            EventKind::Push(push) => format!(
                "push:{repository}:{}:{}",
                push.branch.as_ref().map_or("-", Branch::as_str),
                push.after.as_ref().map_or("-", CommitSha::as_str),
            )
            .into(),
        })
    }
}
