//! The filters of a rule: the same on both sides.

use super::case::{Case, Cause, GivenCommand, conclusion_words};
use crate::environment::EnvironmentDescription;
use crate::event::{CommandArgument, Conclusion, Head, PullRequest, PullRequestAction, PullRequestState, WorkflowRun};
use crate::pattern::PatternSet;
use crate::policy::{CommandPermission, CommandSource, PullRequestSource, Source, WorkflowRunSource};
use crate::ports::pull_requests::PermissionLevel;
use crate::pull_request::PullRequestRecord;
use crate::quote::{quote, quote_all};
use crate::reason::Reason;

/// What may have started a run where a rule does not say: events that only people with rights in the repository can cause,
/// or whose runs are not on the default branch. Another one must be named in `events` on both sides.
pub const SAFE_EVENTS: [&str; 9] = [
    "push",
    "merge_group",
    "schedule",
    "workflow_dispatch",
    "repository_dispatch",
    "release",
    "create",
    "deployment",
    "pull_request",
];

/// The first filter of a rule that an event does not pass. Later ones are nearer to fitting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Filter {
    Head,
    Fork,
    Event,
    Branch,
    Conclusion,
    Draft,
    Argument,
    Permission,
    Commit,
    Superseded,
}

impl Filter {
    /// The reason, where an outbound rule has the filter.
    pub(super) fn reason(self) -> Reason {
        match self {
            Self::Head => Reason::SourceHeadRepositoryUnverifiable,
            Self::Fork => Reason::SourceFromFork,
            Self::Event => Reason::SourceEventNotAllowed,
            Self::Branch => Reason::SourceBranchNotMatched,
            Self::Conclusion => Reason::SourceConclusionNotAllowed,
            Self::Draft => Reason::SourceDraftNotMatched,
            Self::Argument => Reason::ArgumentNotAccepted,
            Self::Permission => Reason::CommenterNotPermitted,
            Self::Commit => Reason::CommitNotConfirmed,
            Self::Superseded => Reason::PullRequestSuperseded,
        }
    }
}

/// What the filters of a rule are asked about.
#[derive(Debug, Clone, Copy)]
pub(super) enum Subject<'a> {
    /// The event, as it is.
    Event,
    /// An environment that the pull request has and that is to be destroyed: what it was created for counts, whatever became
    /// of the pull request since. It may want to change another branch, be a draft, or have lost its fork.
    Environment(&'a EnvironmentDescription),
}

impl<'a> Subject<'a> {
    /// What counts where an environment is destroyed: only what ends with a pull request, and what people ask for, is about the
    /// environment alone. Whatever else happens to a pull request destroys only where its rule fits the pull request.
    pub(super) fn of_destroying(case: &Case<'_>, environment: &'a EnvironmentDescription) -> Self {
        match &case.cause {
            Cause::PullRequest { pull_request, .. } if pull_request.action != PullRequestAction::Closed => Self::Event,
            Cause::PullRequest { .. } | Cause::Command(_) => Self::Environment(environment),
            Cause::Run { .. } => Self::Event,
        }
    }
}

type Misfit = Option<(Filter, String)>;

/// The filter of `rule` that the subject does not pass, and a sentence that calls the rule by `name`. `outbound` is the rule of
/// the other side where `rule` is an inbound one: what it says decides what silence means.
pub(super) fn misfit(
    case: &Case<'_>,
    rule: &Source,
    outbound: Option<&Source>,
    subject: Subject<'_>,
    name: &str,
) -> Misfit {
    match (&case.cause, rule) {
        (Cause::Run { run, .. }, Source::WorkflowRun(rule)) => {
            let outbound = match outbound {
                Some(Source::WorkflowRun(outbound)) => Some(outbound),
                _ => None,
            };
            run_misfit(case, run, rule, outbound, name)
        }
        (Cause::PullRequest { pull_request, record }, Source::PullRequest(rule)) => {
            let PullRequestSource { base, draft, forks, .. } = rule;
            pull_request_misfit(&pull_request.now, base.as_ref(), *draft, *forks, subject, name)
                .or_else(|| superseded(pull_request, *record, rule))
        }
        (Cause::Command(given), Source::Command(rule)) => {
            let CommandSource { base, draft, forks, .. } = rule;
            pull_request_misfit(given.now, base.as_ref(), *draft, *forks, subject, name)
                .or_else(|| outbound.is_none().then(|| not_taken(given, rule)).flatten())
                .or_else(|| not_permitted(given, rule, name))
                .or_else(|| not_confirmed(given, rule))
        }
        // Only rules that name the event are asked.
        _ => Some((Filter::Fork, format!("{name} is about something else"))),
    }
}

fn run_misfit(
    case: &Case<'_>,
    run: &WorkflowRun,
    rule: &WorkflowRunSource,
    outbound: Option<&WorkflowRunSource>,
    name: &str,
) -> Misfit {
    if matches!(run.head, Head::Fork(_)) && !rule.forks {
        return Some((Filter::Fork, format!("the run's commit is a fork's, and {name} does not say `forks: true`")));
    }

    let event_fits = match &rule.events {
        Some(events) => events.contains(&run.event),
        None => SAFE_EVENTS.contains(&run.event.as_str()),
    };
    if !event_fits {
        let accepted = rule.events.as_ref().map_or_else(|| quote_all(SAFE_EVENTS), quote_all);
        let got = quote(&run.event);
        return Some((Filter::Event, format!("the run was started by {got}, and {name} accepts only {accepted}")));
    }

    let default_branch = &case.event.repository.default_branch;
    let branch = run.head_branch.as_ref();
    let (branch_fits, accepted) = match &rule.branches {
        Some(patterns) => {
            (branch.is_some_and(|branch| patterns.matches(branch.as_str())), quote_all(patterns.patterns()))
        }
        None if outbound.is_some_and(|rule| rule.branches.is_some()) => {
            (branch == Some(default_branch), format!("the default branch {}", quote(default_branch)))
        }
        None => (true, String::new()),
    };
    if !branch_fits {
        let got = case.branch_words();
        return Some((Filter::Branch, format!("the run was on {got}, and {name} accepts only {accepted}")));
    }

    let (conclusion_fits, accepted) = match &rule.conclusions {
        Some(conclusions) => {
            (run.conclusion.is_some_and(|conclusion| conclusions.contains(&conclusion)), quote_all(conclusions))
        }
        None if outbound.is_some_and(|rule| rule.conclusions.is_some()) => {
            (run.conclusion == Some(Conclusion::Success), quote(Conclusion::Success).to_string())
        }
        None => (true, String::new()),
    };
    if !conclusion_fits {
        let got = conclusion_words(run);
        return Some((Filter::Conclusion, format!("the run ended with {got}, and {name} accepts only {accepted}")));
    }
    None
}

fn pull_request_misfit(
    pull_request: &PullRequestState,
    base: Option<&PatternSet>,
    draft: Option<bool>,
    forks: bool,
    subject: Subject<'_>,
    name: &str,
) -> Misfit {
    if pull_request.head == Head::Unknown && matches!(subject, Subject::Event) {
        let head = quote(&pull_request.head_sha);
        let message = "GitHub does not say which repository commit";
        return Some((Filter::Head, format!("{message} {head} of the pull request is in, so it may be a fork's")));
    }
    if pull_request.head != Head::SameRepository && !forks {
        let message = format!("the pull request comes from a fork, and {name} does not say `forks: true`");
        return Some((Filter::Fork, message));
    }
    let (what, into) = match subject {
        Subject::Event => ("the pull request is", &pull_request.base_branch),
        Subject::Environment(description) => ("the environment is for pull requests", &description.base),
    };
    if let Some(patterns) = base.filter(|patterns| !patterns.matches(into.as_str())) {
        let (got, accepted) = (quote(into), quote_all(patterns.patterns()));
        return Some((Filter::Branch, format!("{what} into {got}, and {name} accepts only {accepted}")));
    }
    let draft = draft.filter(|wanted| matches!(subject, Subject::Event) && *wanted != pull_request.draft)?;
    let (got, wanted) = if draft { ("is no draft", "true") } else { ("is a draft", "false") };
    Some((Filter::Draft, format!("the pull request {got}, and {name} says `draft: {wanted}`")))
}

/// Something newer that the same rule is about, or that ended it all; and of an end, whatever came after it: nothing happens to
/// what is closed, so that it is open again.
fn superseded(pull_request: &PullRequest, record: Option<&PullRequestRecord>, rule: &PullRequestSource) -> Misfit {
    let latest = record?.latest.filter(|latest| latest.at > pull_request.now.updated_at)?;
    let ends = |action| action == PullRequestAction::Closed;
    let counts = rule.actions.contains(&latest.action) || ends(latest.action) || ends(pull_request.action);
    counts.then(|| {
        let message = format!("the pull request was {} at {}, after this", quote(latest.action), latest.at);
        (Filter::Superseded, message)
    })
}

/// What stands behind the command must be what the source's own rule names, and nothing where it names nothing.
fn not_taken(given: &GivenCommand<'_>, rule: &CommandSource) -> Misfit {
    let command = quote(&given.command.name);
    let argument = &given.command.argument;
    let message = match (&rule.argument, argument.word()) {
        (None, None) if *argument != CommandArgument::Other => return None,
        (None, _) => format!("{command} takes nothing behind it but a full commit"),
        (Some(accept), Some(word)) => {
            let wanted = accept.refuses(word.as_str())?;
            format!("the word behind {command} must be {wanted}, and it is {}", quote(word))
        }
        (Some(_), None) => {
            format!("{command} wants one word behind it, and takes nothing else but a full commit behind that")
        }
    };
    Some((Filter::Argument, message))
}

fn not_permitted(given: &GivenCommand<'_>, rule: &CommandSource, name: &str) -> Misfit {
    let writes = given.level >= PermissionLevel::Write;
    let (permitted, wanted) = match rule.permission.as_ref().unwrap_or(&CommandPermission::Write) {
        CommandPermission::Write => (writes, "people who may write to the repository".to_owned()),
        CommandPermission::Admin => {
            (given.level >= PermissionLevel::Admin, "people who administer the repository".to_owned())
        }
        CommandPermission::Author => {
            (writes || given.is_author, "the pull request's author and people who may write".to_owned())
        }
        CommandPermission::Team(team) => {
            (writes && given.teams.contains(team), format!("members of the team {} who may write", quote(team)))
        }
    };
    (!permitted).then(|| {
        let (who, command) = (quote(&given.command.commenter.login), quote(&given.command.name));
        (Filter::Permission, format!("{name} lets {wanted} give {command}, and {who} is none of them{}", given.untold))
    })
}

fn not_confirmed(given: &GivenCommand<'_>, rule: &CommandSource) -> Misfit {
    let head = &given.now.head_sha;
    if let Some(commit) = given.commit() {
        let other = || format!("the newest commit is {}, and the command is about {}", quote(head), quote(commit));
        return (commit != head).then(|| (Filter::Commit, other()));
    }
    let command = quote(&given.command.name);
    let above_write = matches!(rule.permission, Some(CommandPermission::Admin | CommandPermission::Team(_)));
    let message = match given.now.head {
        Head::Fork(_) | Head::Unknown => {
            format!("the commits are a fork's: give {command} with the full commit {}", quote(head))
        }
        Head::SameRepository if above_write => {
            format!("only with its full commit is {command} taken: {} is the newest one", quote(head))
        }
        Head::SameRepository if given.head_is_known() => return None,
        Head::SameRepository => {
            format!("it is not certain that {} was the newest commit when {command} was given", quote(head),)
        }
    };
    Some((Filter::Commit, message))
}
