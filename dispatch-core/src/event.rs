//! What happened in a repository, normalised: only what a decision, a template or a report can use.
//!
//! An [`Event`] is what is stored of a webhook. What a stranger can write - titles, bodies, commit messages, labels - is
//! not in it, so that no rule can pass it on.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::environment::EnvironmentKey;
use crate::name::{
    ArgumentWord, Branch, CheckId, CheckRunId, CommandName, CommentId, CommitSha, InstallationId, Login,
    PullRequestNumber, Repository, RepositoryId, RunId, UserId, WorkflowFile,
};

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
    /// Set where only a part of it is meant, which is an event of its own: a pull request has several environments that one
    /// target destroys, and this is about one of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<EnvironmentKey>,
}

impl Event {
    /// The version of the shape that this release writes.
    pub const VERSION: u32 = 1;

    /// The one environment that it is about, where it is about no more than that.
    #[must_use]
    pub fn only(&self) -> Option<&EnvironmentKey> {
        let swept = match &self.kind {
            EventKind::PullRequest(pull_request) => pull_request.sweep.as_ref().map(|sweep| &sweep.environment),
            _ => None,
        };
        self.part.as_ref().or(swept)
    }
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
    /// `workflow_run` with action `requested` or `in_progress`: it starts nothing, and tells how far a run got that was
    /// started here.
    RunProgress(RunProgress),
    /// `push`: commits arrived on a branch or a tag.
    Push(Push),
    /// `pull_request` with one of the [actions](PullRequestAction) that rules can name.
    PullRequest(PullRequest),
    /// `issue_comment` with action `created`, on a pull request, whose first line is shaped like a command.
    Command(Command),
    /// `check_run` with action `rerequested`: somebody wants a dispatch to be done again.
    CheckRerequest(CheckRerequest),
}

impl EventKind {
    /// GitHub's name for the event, as in `X-GitHub-Event`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::WorkflowRun(_) | Self::RunProgress(_) => "workflow_run",
            Self::Push(_) => "push",
            Self::PullRequest(_) => "pull_request",
            Self::Command(_) => "issue_comment",
            Self::CheckRerequest(_) => "check_run",
        }
    }

    /// The action, in GitHub's word; None for events without one.
    #[must_use]
    pub fn action(&self) -> Option<&'static str> {
        match self {
            Self::WorkflowRun(_) => Some("completed"),
            Self::RunProgress(progress) => Some(progress.stage.as_str()),
            Self::Push(_) => None,
            Self::PullRequest(pull_request) => Some(pull_request.action.as_str()),
            Self::Command(_) => Some("created"),
            Self::CheckRerequest(_) => Some("rerequested"),
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

/// A run that has not completed got so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunProgress {
    /// The run's id.
    pub id: RunId,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// How far.
    pub stage: RunStage,
    /// Whose doing the run's first attempt is.
    pub actor: Option<Login>,
    /// The run's page. At most 1,024 characters.
    pub url: String,
    /// When GitHub last changed the run.
    pub updated_at: Timestamp,
}

/// How far a run got. In the order of its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStage {
    /// It was made, and waits.
    Requested,
    /// It runs.
    InProgress,
}

impl RunStage {
    /// GitHub's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::InProgress => "in_progress",
        }
    }

    /// The stage for GitHub's word, if it is one.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Requested, Self::InProgress].into_iter().find(|stage| stage.as_str() == word)
    }
}

/// Something happened to a pull request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullRequest {
    /// What.
    pub action: PullRequestAction,
    /// How it is after that.
    pub now: PullRequestState,
    /// Set where no webhook said so: an environment is to go because its pull request is closed and no webhook told, or
    /// because its time is over.
    #[serde(default)]
    pub sweep: Option<Sweep>,
}

/// Why an environment is to go although no webhook said so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sweep {
    /// The environment.
    pub environment: EnvironmentKey,
    /// Whether its time is over. Else its pull request is closed.
    pub expired: bool,
    /// Since when the environment has been as it was found, by our own clock: a sweep that finds it as the last one did is the
    /// same event. What it wants is as old as the state of the pull request that was read.
    pub at: Timestamp,
}

impl Sweep {
    /// Of how many pull requests that hold an environment it is asked how they are. GitHub's answer costs a point of its rate
    /// limit each.
    pub const MAX_ASKED: usize = 50;
}

/// What can happen to a pull request that a rule can name. The words are GitHub's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PullRequestAction {
    /// It was opened.
    Opened,
    /// Its head moved.
    Synchronize,
    /// It was opened again.
    Reopened,
    /// It was closed, merged or not.
    Closed,
}

impl PullRequestAction {
    /// Every action, in the order of a pull request's life.
    pub const ALL: [Self; 4] = [Self::Opened, Self::Synchronize, Self::Reopened, Self::Closed];

    /// GitHub's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Synchronize => "synchronize",
            Self::Reopened => "reopened",
            Self::Closed => "closed",
        }
    }

    /// The action for GitHub's word, if it is one.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.as_str() == word)
    }
}

impl std::fmt::Display for PullRequestAction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A pull request at one time, as a webhook or the API shows it: never its title, its body or its labels' names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullRequestState {
    /// Its number.
    pub number: PullRequestNumber,
    /// Whether it is open.
    pub open: bool,
    /// Whether it was merged.
    pub merged: bool,
    /// Whether it is a draft.
    pub draft: bool,
    /// The branch that it wants to change.
    pub base_branch: Branch,
    /// The branch with the changes. A stranger can choose its name.
    pub head_branch: Branch,
    /// The newest commit of that branch.
    pub head_sha: CommitSha,
    /// Where that branch is.
    pub head: Head,
    /// Who opened it; None where the account is gone.
    pub author: Option<UserId>,
    /// Whether it has the label `keep`: its environments do not expire.
    #[serde(default)]
    pub keep: bool,
    /// When GitHub last changed it.
    pub updated_at: Timestamp,
}

impl PullRequestState {
    /// The pull request of a command as it would be with nothing special about it: open, into the default branch, opened by
    /// whoever gives the command. None: never.
    #[must_use]
    pub fn plain(number: PullRequestNumber, event: &Event, command: &Command) -> Option<Self> {
        let some_commit = || "0".repeat(40).parse().ok();
        Some(Self {
            number,
            open: true,
            merged: false,
            draft: false,
            base_branch: event.repository.default_branch.clone(),
            head_branch: "topic".parse().ok()?,
            head_sha: command.argument.commit().cloned().or_else(some_commit)?,
            head: Head::SameRepository,
            author: Some(command.commenter.id),
            keep: false,
            updated_at: command.created_at,
        })
    }
}

/// A comment on a pull request that is a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// The comment.
    pub comment: CommentId,
    /// Where it was written.
    pub pull_request: PullRequestNumber,
    /// The command.
    pub name: CommandName,
    /// What follows it in the line.
    pub argument: CommandArgument,
    /// Who wrote it.
    pub commenter: Commenter,
    /// When it was written.
    pub created_at: Timestamp,
}

/// What follows a command in its line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommandArgument {
    /// Nothing.
    None,
    /// One commit, in full: the one that the command is about.
    Commit(CommitSha),
    /// A word, which is not a full commit: for rules that name an argument.
    Word(ArgumentWord),
    /// Such a word, and behind it the commit that the command is about.
    WordAndCommit(ArgumentWord, CommitSha),
    /// Something else. It is not kept: no rule can take it.
    Other,
}

impl CommandArgument {
    /// The word, where there is one.
    #[must_use]
    pub fn word(&self) -> Option<&ArgumentWord> {
        match self {
            Self::Word(word) | Self::WordAndCommit(word, _) => Some(word),
            Self::None | Self::Commit(_) | Self::Other => None,
        }
    }

    /// The commit that the command is about, where one was given.
    #[must_use]
    pub fn commit(&self) -> Option<&CommitSha> {
        match self {
            Self::Commit(commit) | Self::WordAndCommit(_, commit) => Some(commit),
            Self::None | Self::Word(_) | Self::Other => None,
        }
    }
}

/// Who wrote a comment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commenter {
    /// The account's number, which stays when the account is renamed.
    pub id: UserId,
    /// The account's login.
    pub login: Login,
    /// Whether it is a person who wrote it himself: the sender and the author of the comment are one account, of type
    /// `User`, and not through an App.
    pub person: bool,
}

/// Somebody wants a check run of this App to be done again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckRerequest {
    /// The check run.
    pub check_run: CheckRunId,
    /// What this App wrote into its `external_id`.
    pub external_id: CheckId,
    /// The bot of the App whose check run it is.
    pub app: Option<Login>,
    /// Who wants it.
    pub by: Commenter,
    /// When GitHub last changed the check run, where it says so.
    pub requested_at: Option<Timestamp>,
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
pub struct EventIdentity(Arc<str>);

impl EventIdentity {
    /// The identity as text, such as `workflow_run:300029405:30433642:1`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Event {
    /// The identity of the event: for a workflow run, repository id, run id and attempt; for a pull request, its number,
    /// action, head and time; for a command, the comment; for a check run that is wanted again, the check run. For a part of an
    /// event, that and the environment.
    #[must_use]
    pub fn identity(&self) -> EventIdentity {
        let whole = self.identity_of_the_whole();
        match &self.part {
            None => whole,
            Some(EnvironmentKey { repository, name }) => {
                EventIdentity(format!("{}:{}:{name}", whole.0, repository.key()).into())
            }
        }
    }

    fn identity_of_the_whole(&self) -> EventIdentity {
        let repository = self.repository.id;
        EventIdentity(match &self.kind {
            EventKind::WorkflowRun(run) => format!("workflow_run:{repository}:{}:{}", run.id, run.attempt).into(),
            EventKind::RunProgress(run) => {
                format!("run_progress:{repository}:{}:{}:{}", run.id, run.attempt, run.stage.as_str()).into()
            }
            EventKind::PullRequest(PullRequest { sweep: Some(sweep), now, .. }) => {
                let EnvironmentKey { repository: target, name } = &sweep.environment;
                format!("sweep:{repository}:{}:{}:{name}:{}", now.number, target.key(), sweep.at).into()
            }
            EventKind::PullRequest(PullRequest { action, now, .. }) => {
                let PullRequestState { number, head_sha, updated_at, .. } = now;
                format!("pull_request:{repository}:{number}:{action}:{head_sha}:{updated_at}").into()
            }
            EventKind::Command(command) => format!("command:{repository}:{}", command.comment).into(),
            EventKind::CheckRerequest(check) => format!("check_run:{repository}:{}", check.check_run).into(),
            EventKind::Push(push) => format!(
                "push:{repository}:{}:{}",
                push.branch.as_ref().map_or("-", Branch::as_str),
                push.after.as_ref().map_or("-", CommitSha::as_str),
            )
            .into(),
        })
    }
}
