//! Pull requests, and commands on them.

use dispatch_core::event::{
    Command, CommandArgument, EventKind, Head, PullRequest, PullRequestAction, PullRequestState,
};
use dispatch_core::pattern::PatternSet;
use dispatch_core::policy::{CommandPermission, CommandSource, PullRequestSource, Source};
use dispatch_core::ports::pull_requests::PermissionLevel;

use super::super::worlds::World;
use super::matches;

/// What a rule is asked about: the pull request, or an environment that was made for this base and is to go with it.
#[derive(Debug, Clone, Copy)]
pub enum About<'a> {
    ThePullRequest,
    WhatItMade(&'a str),
}

pub fn fits(world: &World, pull_request: &PullRequest, rule: &PullRequestSource, about: About<'_>) -> bool {
    rule.actions.contains(&pull_request.action)
        && is_wanted(&pull_request.now, rule.base.as_ref(), rule.draft, rule.forks, about)
        && !is_overtaken(world, pull_request, rule)
}

/// Do the filters let this pull request count?
fn is_wanted(
    state: &PullRequestState,
    base: Option<&PatternSet>,
    draft: Option<bool>,
    forks: bool,
    about: About<'_>,
) -> bool {
    let ours = state.head == Head::SameRepository;
    let (into, seen, draft_fits) = match about {
        About::ThePullRequest => {
            let draft_fits = draft.is_none() || draft == Some(state.draft);
            (state.base_branch.as_str(), state.head != Head::Unknown, draft_fits)
        }
        About::WhatItMade(base) => (base, true, true),
    };
    (ours || forks) && seen && draft_fits && base.is_none_or(|patterns| matches(patterns, into))
}

/// Has something happened since that the rule is about too, or was it closed, or opened again?
fn is_overtaken(world: &World, pull_request: &PullRequest, rule: &PullRequestSource) -> bool {
    let Some(latest) = world.facts.record.as_ref().and_then(|record| record.latest) else { return false };
    let later = latest.at.to_string() > pull_request.now.updated_at.to_string();
    let closed = [latest.action, pull_request.action].contains(&PullRequestAction::Closed);
    later && (closed || rule.actions.contains(&latest.action))
}

/// Is it a command of a person about an open pull request, as far as GitHub tells?
pub fn is_given(world: &World, command: &Command) -> bool {
    let exists = world.outbound().iter().any(
        |rule| matches!(&rule.source, Source::Command(source) if source.command.as_str() == command.name.as_str()),
    );
    let the_same_person = world.facts.permission.is_some_and(|permission| permission.user == command.commenter.id);
    let open = world.facts.state.as_ref().is_some_and(|state| state.open && state.number == command.pull_request);
    exists && command.commenter.person && the_same_person && open
}

/// Is what stands behind the command what the source's own rule wants there?
pub fn takes_the_argument(world: &World, rule: &Source) -> bool {
    let (EventKind::Command(command), Source::Command(rule)) = (&world.event.kind, rule) else { return true };
    let word = match &command.argument {
        CommandArgument::None | CommandArgument::Commit(_) => None,
        CommandArgument::Word(word) | CommandArgument::WordAndCommit(word, _) => Some(word.as_str()),
        CommandArgument::Other => return false,
    };
    match (&rule.argument, word) {
        (None, None) => true,
        (Some(accept), Some(word)) => {
            accept.one_of.as_ref().is_none_or(|words| words.contains(word))
                && accept.max_length.is_none_or(|most| word.len() <= most)
        }
        _ => false,
    }
}

/// May the person give the command by this rule, and is it certain which commit is meant?
pub fn may_be_given(world: &World, command: &Command, rule: &CommandSource, about: About<'_>) -> bool {
    let (Some(state), Some(permission)) = (&world.facts.state, world.facts.permission) else { return false };
    let writes = permission.level == PermissionLevel::Write || permission.level == PermissionLevel::Admin;
    let permitted = match &rule.permission {
        None | Some(CommandPermission::Write) => writes,
        Some(CommandPermission::Admin) => permission.level == PermissionLevel::Admin,
        Some(CommandPermission::Author) => writes || state.author == Some(command.commenter.id),
        Some(CommandPermission::Team(_)) => writes && world.facts.is_member,
        Some(_) => false,
    };
    let certain = match &command.argument {
        CommandArgument::Commit(sha) | CommandArgument::WordAndCommit(_, sha) => {
            sha.as_str() == state.head_sha.as_str()
        }
        CommandArgument::Other => false,
        CommandArgument::None | CommandArgument::Word(_) => {
            let above_write = matches!(rule.permission, Some(CommandPermission::Admin | CommandPermission::Team(_)));
            state.head == Head::SameRepository && !above_write && was_seen_before(world, command, state)
        }
    };
    rule.command.as_str() == command.name.as_str()
        && is_wanted(state, rule.base.as_ref(), rule.draft, rule.forks, about)
        && permitted
        && certain
}

/// Did a webhook show this commit as the newest one before the comment was written, and none since?
fn was_seen_before(world: &World, command: &Command, state: &PullRequestState) -> bool {
    let heads = world.facts.record.as_ref().map(|record| record.heads.clone()).unwrap_or_default();
    heads.last().is_some_and(|newest| {
        newest.sha.as_str() == state.head_sha.as_str() && newest.since.to_string() < command.created_at.to_string()
    })
}
