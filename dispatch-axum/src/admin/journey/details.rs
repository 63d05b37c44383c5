//! What a webhook said, as names and values.

use dispatch_core::environment::EnvironmentUse;
use dispatch_core::event::{CommandArgument, Event, EventKind, Head, PullRequestState};
use dispatch_core::explain::ExplainedEvent;
use dispatch_core::policy::EnvironmentAction;

use super::{Link, link};
use crate::service::Service;

type Details = Vec<(&'static str, String)>;

/// The details of an event, and its page at GitHub, where it has one.
pub(super) fn details(service: &Service, event: &Event) -> (Details, Option<Link>) {
    let mut details = vec![("in short", ExplainedEvent::from(event).to_string())];
    let page = match &event.kind {
        EventKind::WorkflowRun(run) => {
            details.extend(run.workflow.as_ref().map(|workflow| ("workflow", workflow.to_string())));
            details.push(("conclusion", run.conclusion.map_or_else(|| "none".to_owned(), |word| word.to_string())));
            details.extend(run.head_branch.as_ref().map(|branch| ("branch", branch.to_string())));
            details.push(("commit", run.head_sha.to_string()));
            details.extend(origin(run.head));
            details.push(("started by", run.event.clone()));
            details.push(("run", format!("{}, attempt {}", run.id, run.attempt)));
            Some(link(service, &run.url))
        }
        EventKind::RunProgress(run) => {
            details.push(("run", format!("{}, attempt {}", run.id, run.attempt)));
            details.push(("got to", run.stage.as_str().to_owned()));
            Some(link(service, &run.url))
        }
        EventKind::Push(push) => {
            details.extend(push.branch.as_ref().map(|branch| ("branch", branch.to_string())));
            details.extend(push.after.as_ref().map(|sha| ("commit", sha.to_string())));
            None
        }
        EventKind::PullRequest(pull_request) => {
            let PullRequestState { number, open, merged, draft, base_branch, head_branch, head_sha, head, .. } =
                &pull_request.now;
            details.push(("pull request", format!("{number}: {}", pull_request.action)));
            details.push(("from", head_branch.to_string()));
            details.push(("into", base_branch.to_string()));
            details.push(("commit", head_sha.to_string()));
            details.extend(origin(*head));
            let state = [(*draft, "draft"), (*open, "open"), (!*open && !*merged, "closed"), (*merged, "merged")];
            let state: Vec<_> = state.into_iter().filter_map(|(is, word)| is.then_some(word)).collect();
            details.push(("state", state.join(", ")));
            if let Some(part) = &event.part {
                details.push(("of that only", format!("environment {}", part.name)));
            }
            if let Some(sweep) = &pull_request.sweep {
                let why = if sweep.expired { "its time is over" } else { "its pull request is closed" };
                details.push(("found by the sweep", format!("environment {}: {why}", sweep.environment.name)));
            }
            None
        }
        EventKind::Command(command) => {
            details.push(("command", command.name.to_string()));
            details.extend(command.argument.word().map(|word| ("with", word.to_string())));
            details.extend(command.argument.commit().map(|commit| ("commit", commit.to_string())));
            if command.argument == CommandArgument::Other {
                details.push(("behind it", "something that no command takes".to_owned()));
            }
            details.push(("pull request", command.pull_request.to_string()));
            let commenter = &command.commenter;
            let kind = if commenter.person { "" } else { ", not a person" };
            details.push(("given by", format!("{} (account {}{kind})", commenter.login, commenter.id)));
            details.push(("given at", command.created_at.to_string()));
            None
        }
        EventKind::CheckRerequest(check) => {
            details.push(("check run", check.check_run.to_string()));
            details.push(("wanted again by", check.by.login.to_string()));
            None
        }
        _ => None,
    };
    (details, page)
}

fn origin(head: Head) -> Option<(&'static str, String)> {
    let origin = match head {
        Head::SameRepository => return None,
        Head::Fork(id) => format!("a fork (repository {id})"),
        Head::Unknown => "unknown, so treated as a fork".to_owned(),
    };
    Some(("commit from", origin))
}

/// What a target does to an environment.
pub(super) fn environment(environment: &EnvironmentUse) -> Details {
    let action = match environment.action {
        EnvironmentAction::Create => "creates or updates",
        EnvironmentAction::Destroy => "destroys",
    };
    let mut details = vec![("environment", format!("{action} {}", environment.key.name))];
    details.extend(environment.description.url.clone().map(|url| ("address", url)));
    details
}
