//! What whoever asks knows of what only GitHub could tell.

use std::path::PathBuf;

use dispatch_core::event::{Event, EventKind, Head, PullRequestState};
use dispatch_core::explain::Given;
use dispatch_core::name::{Branch, CommitSha, RepositoryId, TeamName};
use dispatch_core::ports::pull_requests::PermissionLevel;
use dispatch_core::webhook::{self, Webhook};

use super::{Failure, body, kind, shown};

/// Flags in the place of GitHub's answers.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "What only GitHub knows; else it is assumed in favour")]
pub(crate) struct Knowledge {
    /// What who gives the command, or wants the check again, may do in the repository.
    #[arg(long, value_enum, value_name = "LEVEL")]
    permission: Option<Level>,
    /// A team that he is in, and in no other one; more than once for several.
    #[arg(long, value_name = "ORGANISATION/TEAM")]
    team: Vec<TeamName>,
    /// The branch that the command's pull request wants to change [default: the default branch]
    #[arg(long, value_name = "BRANCH")]
    base: Option<Branch>,
    /// The branch of the command's pull request.
    #[arg(long, value_name = "BRANCH")]
    head_branch: Option<Branch>,
    /// The newest commit of the command's pull request.
    #[arg(long, value_name = "SHA")]
    head_sha: Option<CommitSha>,
    /// The command's pull request comes from a fork.
    #[arg(long)]
    fork: bool,
    /// The command's pull request is a draft.
    #[arg(long)]
    draft: bool,
    /// The command's pull request is closed.
    #[arg(long)]
    closed: bool,
    /// The body of the webhook that the check run tells of.
    #[arg(long, value_name = "FILE", requires = "checked_name")]
    checked: Option<PathBuf>,
    /// GitHub's name of the event of that webhook.
    #[arg(long, value_name = "NAME", requires = "checked")]
    checked_name: Option<String>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Level {
    None,
    Read,
    Write,
    Admin,
}

impl Knowledge {
    /// What is given for an event.
    ///
    /// # Errors
    /// The webhook that the check run tells of cannot be read, or says nothing that can be decided about.
    pub(super) fn given(&self, event: &Event) -> Result<Given, Failure> {
        let checked = self.checked_event()?;
        Ok(Given {
            permission: self.permission.map(|level| match level {
                Level::None => PermissionLevel::None,
                Level::Read => PermissionLevel::Read,
                Level::Write => PermissionLevel::Write,
                Level::Admin => PermissionLevel::Admin,
            }),
            teams: (!self.team.is_empty()).then(|| self.team.iter().cloned().collect()),
            pull_request: self.pull_request(checked.as_deref().unwrap_or(event)),
            checked,
            checked_target: None,
        })
    }

    fn checked_event(&self) -> Result<Option<Box<Event>>, Failure> {
        let (Some(file), Some(name)) = (&self.checked, &self.checked_name) else { return Ok(None) };
        kind(name)?;
        match webhook::parse(name, &body(file)?) {
            Ok(Webhook::Event(event)) => Ok(Some(event)),
            Ok(_) => Err(Failure::input(format_args!("`{}`: such an event starts nothing", shown(file)))),
            Err(error) => Err(Failure::input(format_args!("`{}`: {error}", shown(file)))),
        }
    }

    /// How the pull request of a command is, where something of it is given.
    fn pull_request(&self, event: &Event) -> Option<PullRequestState> {
        let EventKind::Command(command) = &event.kind else { return None };
        let plain = PullRequestState::plain(command.pull_request, event, command)?;
        let Self { base, head_branch, head_sha, fork, draft, closed, .. } = self;
        let now = PullRequestState {
            open: !closed,
            draft: *draft,
            base_branch: base.clone().unwrap_or_else(|| plain.base_branch.clone()),
            head_branch: head_branch.clone().unwrap_or_else(|| plain.head_branch.clone()),
            head_sha: head_sha.clone().unwrap_or_else(|| plain.head_sha.clone()),
            // Which one it is does not matter.
            head: if *fork { Head::Fork(RepositoryId(0)) } else { Head::SameRepository },
            ..plain.clone()
        };
        (now != plain).then_some(now)
    }
}
