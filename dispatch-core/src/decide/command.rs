//! Commands: who gave it, and what it is about.

use std::collections::BTreeSet;

use super::Stop;
use super::case::{Cause, GivenCommand};
use super::known::{Known, Lookup, Missing};
use super::plan::Skipped;
use crate::diagnostic::nearest;
use crate::event::{Command, Commenter, Event};
use crate::name::CommandName;
use crate::policy::{CommandPermission, Policy, Source};
use crate::ports::pull_requests::PermissionLevel;
use crate::pull_request::PullRequestRecord;
use crate::quote::quote;
use crate::reason::Reason;

/// What is known of a command once GitHub was asked. `by` is whose permission counts: who gave it, or who wants it again.
pub(super) fn resolve<'a>(
    event: &'a Event,
    command: &'a Command,
    by: &Commenter,
    policy: &'a Policy,
    record: Option<&'a PullRequestRecord>,
    known: &'a Known,
) -> Result<Cause<'a>, Stop> {
    let sources = || {
        policy.outbound().iter().filter_map(|rule| match &rule.source {
            Source::Command(source) => Some(source),
            _ => None,
        })
    };
    if !sources().any(|source| source.command == command.name) {
        return Err(unknown(event, command, by, sources().map(|source| &source.command), known));
    }
    if !by.person {
        let message = format!("only people give commands, and {} is none, or used an App", quote(&by.login));
        return Err(refuse(Reason::CommenterNotPermitted, message, false));
    }

    let mut missing = Missing::default();
    let number = command.pull_request;
    let now = missing.or_ask(known.pull_request_states.get(&number), || Lookup::PullRequestState(number));
    let permission = missing.or_ask(known.permissions.get(&by.login), || Lookup::Permission(by.login.clone()));
    let (mut teams, mut untold) = (BTreeSet::new(), String::new());
    for source in sources().filter(|source| source.command == command.name) {
        let Some(CommandPermission::Team(team)) = &source.permission else { continue };
        let member = (team.clone(), by.login.clone());
        let lookup = Lookup::TeamMember(team.clone(), by.login.clone());
        match missing.or_ask(known.team_members.get(&member), || lookup.clone()) {
            Some(true) => _ = teams.insert(team),
            Some(false) => untold = known.why_not_told(&lookup),
            None => {}
        }
    }
    let (Some(now), Some(permission), true) = (now, permission, missing.0.is_empty()) else {
        return Err(Stop::Need(missing));
    };

    let repository = quote(&event.repository.name);
    let Some(permission) = permission.filter(|permission| permission.user == by.id) else {
        let why = known.why_not_told(&Lookup::Permission(by.login.clone()));
        let message = format!("GitHub does not say what {} may do in {repository}{why}", quote(&by.login));
        return Err(refuse(Reason::CommenterNotPermitted, message, true));
    };
    let Some(now) = now.as_ref().filter(|now| now.number == number) else {
        let why = known.why_not_told(&Lookup::PullRequestState(number));
        let message = format!("GitHub does not show pull request {number} of {repository}{why}");
        return Err(refuse(Reason::PullRequestNotOpen, message, true));
    };
    if !now.open {
        let message = format!("pull request {number} of {repository} is not open");
        return Err(refuse(Reason::PullRequestNotOpen, message, true));
    }
    let is_author = now.author == Some(by.id);
    let level = permission.level;
    Ok(Cause::Command(GivenCommand { command, now, record, level, is_author, teams, untold }))
}

/// A policy file that cannot be used, for whoever gave a command: he is told of its errors, if he may write. Nobody else, so
/// that nobody can make the App write comments at will.
pub(super) fn unusable_policy(skipped: Skipped, by: &Commenter, known: &Known) -> Stop {
    if skipped.reason != Reason::SourcePolicyInvalid || !by.person {
        return Stop::Skip(skipped);
    }
    match may_write(by, known) {
        None => Stop::need(Lookup::Permission(by.login.clone())),
        Some(answer) => Stop::Skip(Skipped { answer, ..skipped }),
    }
}

/// Whether GitHub says that somebody may write; None where it was not asked yet.
fn may_write(by: &Commenter, known: &Known) -> Option<bool> {
    let permission = known.permissions.get(&by.login)?;
    Some(permission.is_some_and(|it| it.user == by.id && it.level >= PermissionLevel::Write))
}

/// A command that no rule knows. Who may write is told, if it is nearly one that exists: nobody else, so that nobody can make
/// the App write comments at will.
fn unknown<'a>(
    event: &Event,
    command: &Command,
    by: &Commenter,
    known_commands: impl Iterator<Item = &'a CommandName>,
    known: &Known,
) -> Stop {
    let skip = |message, answer| refuse(Reason::UnknownCommand, message, answer);
    let repository = quote(&event.repository.name);
    let message = format!("no outbound rule of {repository} names the command {}", quote(&command.name));
    let Some(meant) = nearest(command.name.as_str(), known_commands.map(CommandName::as_str)) else {
        return skip(message, false);
    };
    if !by.person {
        return skip(message, false);
    }
    match may_write(by, known) {
        None => Stop::need(Lookup::Permission(by.login.clone())),
        Some(writes) => skip(format!("{message}: did you mean {}?", quote(meant)), writes),
    }
}

pub(super) fn refuse(reason: Reason, message: String, answer: bool) -> Stop {
    Stop::Skip(Skipped { reason, message, outbound_rule: None, answer })
}
