//! What can be ordered to happen, as it is written.

use std::collections::BTreeMap;

use dispatch_core::event::Conclusion;
use dispatch_core::name::{CommitSha, DeliveryId, Owner, Repository, RunId};
#[allow(unused_imports, reason = "for the documentation")]
use dispatch_core::testing::world::World;
use dispatch_core::testing::world::{Role, TeamRole, WorkflowState};
use serde::{Deserialize, Serialize};

/// Something to let happen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[allow(missing_docs, reason = "the fields are those of the functions of the world")]
pub enum EventOrder {
    /// A run that nobody dispatched ends.
    WorkflowRun(RunOrder),
    /// Files are pushed.
    Push(PushOrder),
    /// [`World::open_pull_request`].
    OpenPullRequest(PullRequestOrder),
    /// [`World::push_to_pull_request`].
    PushToPullRequest {
        repository: Repository,
        number: u64,
        #[serde(default = "octocat")]
        author: String,
    },
    /// [`World::close_pull_request`].
    ClosePullRequest {
        repository: Repository,
        number: u64,
        #[serde(default)]
        merged: bool,
    },
    /// [`World::reopen_pull_request`].
    ReopenPullRequest { repository: Repository, number: u64 },
    /// [`World::retarget_pull_request`].
    RetargetPullRequest { repository: Repository, number: u64, base: String },
    /// [`World::set_draft`].
    SetDraft { repository: Repository, number: u64, draft: bool },
    /// [`World::label_pull_request`].
    LabelPullRequest { repository: Repository, number: u64, label: String },
    /// [`World::unlabel_pull_request`].
    UnlabelPullRequest { repository: Repository, number: u64, label: String },
    /// [`World::open_issue`].
    OpenIssue {
        repository: Repository,
        #[serde(default = "octocat")]
        author: String,
        title: String,
        #[serde(default)]
        body: String,
    },
    /// [`World::comment`]; with an `app`, [`World::comment_through_app`].
    Comment {
        repository: Repository,
        number: u64,
        #[serde(default = "octocat")]
        login: String,
        body: String,
        #[serde(default)]
        app: Option<String>,
    },
    /// [`World::edit_comment`].
    EditComment { repository: Repository, comment: u64, body: String },
    /// [`World::delete_comment`].
    DeleteComment { repository: Repository, comment: u64 },
    /// [`World::set_permission`].
    SetPermission { repository: Repository, login: String, role: Role },
    /// [`World::add_team_member`].
    AddTeamMember { organisation: Owner, team: String, login: String, role: TeamRole },
    /// [`World::rerequest_check`].
    RerequestCheck {
        repository: Repository,
        check_run: u64,
        #[serde(default = "octocat")]
        login: String,
    },
    /// [`World::set_workflow_state`].
    SetWorkflowState { repository: Repository, workflow: String, state: WorkflowState },
    /// [`World::finish_run`].
    FinishRun { run: RunId, conclusion: Conclusion },
    /// A webhook is delivered again.
    Redeliver(RedeliverOrder),
    /// Any bytes are delivered.
    Raw(RawOrder),
}

/// A run that ends. Only `repository` and `workflow` are required.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunOrder {
    /// Where.
    pub repository: Repository,
    /// The workflow's file name; its file must be there.
    pub workflow: String,
    /// The branch, `main` if absent; with `tag`, a tag.
    #[serde(default = "main")]
    pub branch: String,
    /// Whether `branch` is a tag's name.
    #[serde(default)]
    pub tag: bool,
    /// How it ended, `success` if absent; null: GitHub does not say.
    #[serde(default = "success")]
    pub conclusion: Option<Conclusion>,
    /// What started it, `push` if absent.
    #[serde(default = "push")]
    pub event: String,
    /// The fork that the commit is from; it is made where there is none.
    #[serde(default)]
    pub fork: Option<Repository>,
    /// Whether the repository of the commit was deleted.
    #[serde(default)]
    pub head_repository_deleted: bool,
    /// The commit, the head of the branch if absent.
    #[serde(default)]
    pub sha: Option<CommitSha>,
    /// The run that this is another attempt of.
    #[serde(default)]
    pub rerun_of: Option<RunId>,
    /// Who started it, `octocat` if absent.
    #[serde(default = "octocat")]
    pub actor: String,
    /// What the webhook says as the workflow's path, if not the path.
    #[serde(default)]
    pub path: Option<String>,
}

/// Files that are pushed in one commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PushOrder {
    /// Where.
    pub repository: Repository,
    /// The branch, `main` if absent. One that is not there is made from the default branch.
    #[serde(default = "main")]
    pub branch: String,
    /// The files and their texts; null removes a file.
    pub files: BTreeMap<String, Option<String>>,
}

/// A pull request that somebody opens. Only `repository` is required.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PullRequestOrder {
    /// Where.
    pub repository: Repository,
    /// Who opens it, `octocat` if absent.
    #[serde(default = "octocat")]
    pub author: String,
    /// Its branch, `topic` if absent. One that is not there is made.
    #[serde(default = "topic")]
    pub head_branch: String,
    /// The branch that it is to be merged into, `main` if absent.
    #[serde(default = "main")]
    pub base: String,
    /// Whether it is a draft.
    #[serde(default)]
    pub draft: bool,
    /// The fork that its branch is in; it is made where there is none.
    #[serde(default)]
    pub fork: Option<Repository>,
    /// Its title.
    #[serde(default = "title")]
    pub title: String,
    /// Its text.
    #[serde(default)]
    pub body: Option<String>,
}

/// A webhook that is delivered again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RedeliverOrder {
    /// Its id, as in `X-GitHub-Delivery`.
    pub delivery: DeliveryId,
}

/// Bytes that are delivered as they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawOrder {
    /// For `X-GitHub-Event`.
    pub event: String,
    /// For `X-GitHub-Delivery`.
    pub delivery: DeliveryId,
    /// The body.
    pub body: String,
    /// For `X-Hub-Signature-256`, the right one if absent.
    #[serde(default)]
    pub signature: Option<String>,
}

fn main() -> String {
    "main".to_owned()
}

#[allow(clippy::unnecessary_wraps, reason = "the default of an optional field")]
fn success() -> Option<Conclusion> {
    Some(Conclusion::Success)
}

fn push() -> String {
    "push".to_owned()
}

fn octocat() -> String {
    "octocat".to_owned()
}

fn topic() -> String {
    "topic".to_owned()
}

fn title() -> String {
    "Change something".to_owned()
}
