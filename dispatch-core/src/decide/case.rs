//! The event as the decision sees it: what all kinds of events have in common, and what each has for itself.

use std::collections::BTreeSet;

use super::limits::Limits;
use super::source::Admitted;
use crate::chain::Place;
use crate::environment::EnvironmentUse;
use crate::event::{Command, Event, EventIdentity, Head, PullRequest, PullRequestState, WorkflowRun};
use crate::guardrail::Guardrails;
use crate::name::{CommitSha, EventType, Repository, TeamName, WorkflowFile};
use crate::policy::{Happened, Source, Start};
use crate::ports::pull_requests::PermissionLevel;
use crate::pull_request::PullRequestRecord;
use crate::quote::{quote, quote_all};
use crate::template::Variable;

/// An event that the operator lets count.
pub(super) struct Case<'a> {
    pub(super) event: &'a Event,
    pub(super) cause: Cause<'a>,
    pub(super) guardrails: &'a Guardrails,
    /// What the source's owner allows, where he says it.
    pub(super) limits: Option<Limits<'a>>,
    /// Whether it is decided about once more because somebody wants it again.
    pub(super) again: bool,
    /// What the dispatches are known by that follow from it.
    pub(super) identity: &'a EventIdentity,
}

/// What happened.
pub(super) enum Cause<'a> {
    /// A workflow run completed.
    Run { run: &'a WorkflowRun, workflow: &'a WorkflowFile },
    /// Something happened to a pull request.
    PullRequest { pull_request: &'a PullRequest, record: Option<&'a PullRequestRecord> },
    /// Somebody gave a command.
    Command(GivenCommand<'a>),
}

/// A command, with what GitHub says of the pull request and of who gave it.
pub(super) struct GivenCommand<'a> {
    pub(super) command: &'a Command,
    /// The pull request, as it is now.
    pub(super) now: &'a PullRequestState,
    pub(super) record: Option<&'a PullRequestRecord>,
    /// What who gave it may do in the repository.
    pub(super) level: PermissionLevel,
    /// Whether he opened the pull request.
    pub(super) is_author: bool,
    /// The teams of the rules that he is a member of.
    pub(super) teams: BTreeSet<&'a TeamName>,
    /// Why GitHub does not tell who is in a team, as the end of a sentence; empty where it does.
    pub(super) untold: String,
}

impl GivenCommand<'_> {
    /// Whether it is certain that the command is about the pull request's newest commit, because signed webhooks showed it as
    /// the head before the command was given, and no other since.
    pub(super) fn head_is_known(&self) -> bool {
        let seen = |record: &&PullRequestRecord| record.was_head_before(&self.now.head_sha, self.command.created_at);
        self.now.head == Head::SameRepository && self.record.as_ref().is_some_and(seen)
    }

    /// The commit that was given with the command.
    pub(super) fn commit(&self) -> Option<&CommitSha> {
        self.command.argument.commit()
    }
}

impl<'a> Case<'a> {
    pub(super) fn repository(&self) -> &'a Repository {
        &self.event.repository.name
    }

    /// The run, where one is the cause.
    pub(super) fn run(&self) -> Option<&'a WorkflowRun> {
        match self.cause {
            Cause::Run { run, .. } => Some(run),
            Cause::PullRequest { .. } | Cause::Command(_) => None,
        }
    }

    /// The pull request, where one is concerned, as it was or is.
    pub(super) fn pull_request(&self) -> Option<&'a PullRequestState> {
        match &self.cause {
            Cause::Run { .. } => None,
            Cause::PullRequest { pull_request, .. } => Some(&pull_request.now),
            Cause::Command(command) => Some(command.now),
        }
    }

    /// What is remembered of that pull request.
    pub(super) fn record(&self) -> Option<&'a PullRequestRecord> {
        match &self.cause {
            Cause::Run { .. } => None,
            Cause::PullRequest { record, .. } => *record,
            Cause::Command(command) => command.record,
        }
    }

    /// Where it happened: the workflow that ran, or GitHub's own name of the event.
    pub(super) fn place(&self) -> Option<Place> {
        let start = match &self.cause {
            Cause::Run { workflow, .. } => Start::Workflow((*workflow).clone()),
            Cause::PullRequest { .. } | Cause::Command(_) => {
                Start::Event(self.event.kind.name().parse::<EventType>().ok()?)
            }
        };
        Some(Place { repository: self.repository().clone(), start })
    }

    /// What happened, as far as rules name it.
    pub(super) fn happened(&self) -> Happened<'_> {
        match &self.cause {
            Cause::Run { workflow, .. } => Happened::Run(workflow),
            Cause::PullRequest { pull_request, .. } => Happened::PullRequest(pull_request.action),
            Cause::Command(given) => Happened::Command(&given.command.name),
        }
    }

    /// What happened, as the end of a sentence.
    pub(super) fn words(&self) -> String {
        match &self.cause {
            Cause::Run { workflow, .. } => format!("{} ran", quote(workflow)),
            Cause::PullRequest { pull_request, .. } => format!("a pull request was {}", quote(pull_request.action)),
            Cause::Command(given) => format!("{} was given", quote(&given.command.name)),
        }
    }

    pub(super) fn branch_words(&self) -> String {
        branch_words(self.run())
    }

    /// Whether a stranger can choose the value of a variable for this event. What a sweep found was caused by this App.
    pub(super) fn chosen_by_stranger(&self, variable: Variable) -> bool {
        let own = match self.cause {
            Cause::PullRequest { pull_request, .. } => {
                pull_request.sweep.is_some() && variable == Variable::SenderLogin
            }
            Cause::Run { .. } | Cause::Command(_) => false,
        };
        variable.chosen_by_stranger() && !own
    }

    /// The value of a variable for this event. None: it has none.
    pub(super) fn value_of(&self, variable: Variable, environment: Option<&EnvironmentUse>) -> Option<String> {
        let (run, pull_request) = (self.run(), self.pull_request());
        let described = environment.map(|environment| &environment.description);
        match variable {
            Variable::SourceSha => {
                run.map(|run| &run.head_sha).or(pull_request.map(|pr| &pr.head_sha)).map(ToString::to_string)
            }
            Variable::SourceHeadBranch => run?.head_branch.as_ref().map(ToString::to_string),
            Variable::SourceRunId => run.map(|run| run.id.to_string()),
            Variable::SourceRunUrl => run.map(|run| run.url.clone()).filter(|url| !url.is_empty()),
            Variable::SourceRepo => Some(self.repository().to_string()),
            Variable::SourceWorkflow => match &self.cause {
                Cause::Run { workflow, .. } => Some(workflow.to_string()),
                Cause::PullRequest { .. } | Cause::Command(_) => None,
            },
            Variable::PrNumber => pull_request.map(|pr| pr.number.to_string()),
            Variable::PrAction => match &self.cause {
                Cause::PullRequest { pull_request, .. } => Some(pull_request.action.to_string()),
                Cause::Run { .. } | Cause::Command(_) => None,
            },
            Variable::PrHeadSha => pull_request.map(|pr| pr.head_sha.to_string()),
            Variable::PrHeadBranch => pull_request.map(|pr| pr.head_branch.to_string()),
            Variable::PrBaseBranch => pull_request.map(|pr| pr.base_branch.to_string()),
            Variable::PrMerged => pull_request.map(|pr| pr.merged.to_string()),
            Variable::PrDraft => pull_request.map(|pr| pr.draft.to_string()),
            Variable::SenderLogin => match &self.cause {
                Cause::Command(given) => Some(given.command.commenter.login.to_string()),
                Cause::PullRequest { pull_request, .. } if pull_request.sweep.is_some() => {
                    self.guardrails.app_login.as_ref().map(ToString::to_string)
                }
                Cause::Run { .. } | Cause::PullRequest { .. } => self.event.sender.as_ref().map(ToString::to_string),
            },
            Variable::CommentId => match &self.cause {
                Cause::Command(given) => Some(given.command.comment.to_string()),
                Cause::Run { .. } | Cause::PullRequest { .. } => None,
            },
            Variable::CommandArgument => match &self.cause {
                Cause::Command(given) => given.command.argument.word().map(ToString::to_string),
                Cause::Run { .. } | Cause::PullRequest { .. } => None,
            },
            Variable::EnvName => environment.map(|environment| environment.key.name.to_string()),
            Variable::EnvBase => described.map(|described| described.base.to_string()),
            Variable::EnvDeploy => described.map(|described| described.deploy.clone()),
            Variable::EnvUrl => described.and_then(|described| described.url.clone()),
        }
    }
}

impl Admitted<'_> {
    pub(super) fn number(&self) -> Option<crate::name::PullRequestNumber> {
        match self {
            Self::Run { .. } => None,
            Self::PullRequest(pull_request) => Some(pull_request.now.number),
            Self::Command(command) => Some(command.pull_request),
        }
    }
}

pub(super) fn branch_words(run: Option<&WorkflowRun>) -> String {
    let branch = run.and_then(|run| run.head_branch.as_ref());
    branch.map_or_else(|| "no branch".to_owned(), |branch| quote(branch).to_string())
}

pub(super) fn conclusion_words(run: &WorkflowRun) -> String {
    run.conclusion.map_or_else(|| "no known conclusion".to_owned(), |conclusion| quote(conclusion).to_string())
}

/// What a rule's source is about, as the object of a sentence.
pub(super) fn source_words(source: &Source) -> String {
    match source {
        Source::WorkflowRun(source) => quote(&source.workflow).to_string(),
        Source::PullRequest(source) => format!("pull requests that are {}", quote_all(&source.actions)),
        Source::Command(source) => format!("the command {}", quote(&source.command)),
    }
}
