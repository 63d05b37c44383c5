//! What must have happened: the `source` of both sides.

use std::collections::BTreeSet;

use super::super::gate::NodeId;
use super::super::raw::{self, Flag, InboundSource, List, Number, OutboundSource, TextOrList};
use super::super::{CommandPermission, CommandSource, PullRequestSource, Reruns, Source, WorkflowRunSource};
use super::{At, Checker, Diagnostic, Text, nearest, quoted, words};
use crate::event::{Conclusion, PullRequestAction};
use crate::name::{CommandName, Repository, RepositoryId};

/// Events that can start a workflow, in GitHub's words ("Events that trigger workflows").
pub(in crate::policy) const EVENTS: [&str; 36] = [
    "branch_protection_rule",
    "check_run",
    "check_suite",
    "create",
    "delete",
    "deployment",
    "deployment_status",
    "discussion",
    "discussion_comment",
    "dynamic",
    "fork",
    "gollum",
    "image_version",
    "issue_comment",
    "issues",
    "label",
    "merge_group",
    "milestone",
    "page_build",
    "project",
    "project_card",
    "public",
    "pull_request",
    "pull_request_review",
    "pull_request_review_comment",
    "pull_request_target",
    "push",
    "registry_package",
    "release",
    "repository_dispatch",
    "schedule",
    "status",
    "watch",
    "workflow_call",
    "workflow_dispatch",
    "workflow_run",
];

/// The words for who may give a command.
pub(in crate::policy) const PERMISSIONS: [&str; 3] = ["write", "admin", "author"];
/// The words for which attempts count.
pub(in crate::policy) const RERUNS: [&str; 2] = ["latest", "any"];

/// Whose events an inbound rule is about, and which.
pub(super) struct InboundFrom {
    pub(super) repository: Repository,
    pub(super) repository_id: Option<RepositoryId>,
    pub(super) source: Source,
}

/// What exists on both sides, as written.
struct Filters<'f> {
    workflow: Option<&'f At<Text>>,
    pull_request: Option<&'f At<List<Text>>>,
    command: Option<&'f At<Text>>,
    argument: Option<&'f At<raw::Accept>>,
    conclusions: Option<&'f At<List<Text>>>,
    branches: Option<&'f At<List<Text>>>,
    events: Option<&'f At<List<Text>>>,
    reruns: Option<&'f At<Text>>,
    base: Option<&'f At<TextOrList>>,
    draft: Option<&'f At<Flag>>,
    permission: Option<&'f At<Text>>,
    forks: Option<&'f At<Flag>>,
}

/// The filters of either side's struct.
macro_rules! filters {
    ($source:expr) => {
        Filters {
            workflow: $source.workflow.as_ref(),
            pull_request: $source.pull_request.as_ref(),
            command: $source.command.as_ref(),
            argument: None,
            conclusions: $source.conclusions.as_ref(),
            branches: $source.branches.as_ref(),
            events: $source.events.as_ref(),
            reruns: $source.reruns.as_ref(),
            base: $source.base.as_ref(),
            draft: $source.draft.as_ref(),
            permission: $source.permission.as_ref(),
            forks: $source.forks.as_ref(),
        }
    };
}

impl Checker<'_> {
    pub(super) fn outbound_source(&mut self, at: &At<OutboundSource>) -> Option<Source> {
        let source = self.written(at)?;
        let filters = Filters { argument: source.argument.as_ref(), ..filters!(source) };
        self.source(at.node, &filters, Self::permission)
    }

    pub(super) fn inbound_source(&mut self, at: &At<InboundSource>) -> Option<InboundFrom> {
        let source = self.written(at)?;
        let repository = self.required(at, source.repository.as_ref(), "repository");
        let repository = repository.and_then(|repository| self.repository(repository));
        let repository_id = self.repository_id(source.repository_id.as_ref());
        let source = self.source(at.node, &filters!(source), Self::permission_without_team);
        Some(InboundFrom { repository: repository?, repository_id, source: source? })
    }

    pub(crate) fn repository_id(&mut self, at: Option<&At<Number>>) -> Option<RepositoryId> {
        self.written(at?).map(|number| RepositoryId(number.0))
    }

    /// What must have happened. Every value is looked at, also where it does not belong, so that nothing is hidden.
    fn source(
        &mut self,
        node: NodeId,
        filters: &Filters<'_>,
        permission: fn(&mut Self, &At<Text>) -> Option<CommandPermission>,
    ) -> Option<Source> {
        let workflow = filters.workflow.and_then(|workflow| self.workflow(workflow));
        let actions = self.list(filters.pull_request, "opened", Self::pull_request_action);
        let command = filters.command.and_then(|command| self.command(command));
        let argument = filters.argument.map(|argument| self.accept(argument));
        let conclusions = self.list(filters.conclusions, "success", Self::conclusion);
        let branches = self.patterns(filters.branches);
        let events = self.list(filters.events, "push", Self::event);
        let reruns = filters.reruns.and_then(|reruns| self.reruns(reruns)).unwrap_or_default();
        let base = self.pattern_or_patterns(filters.base);
        let draft = self.flag(filters.draft);
        let permission = filters.permission.and_then(|at| permission(self, at));
        let forks = self.flag(filters.forks).unwrap_or_default();

        let kinds = [
            ("workflow", filters.workflow.map(|at| at.node)),
            ("pull_request", filters.pull_request.map(|at| at.node)),
            ("command", filters.command.map(|at| at.node)),
        ];
        let kind = self.only_key(node, "a source", &kinds)?;
        let of_runs = [
            filters.conclusions.map(|at| at.node),
            filters.branches.map(|at| at.node),
            filters.events.map(|at| at.node),
            filters.reruns.map(|at| at.node),
        ];
        let of_pull_requests = [filters.base.map(|at| at.node), filters.draft.map(|at| at.node)];
        if kind == "workflow" {
            self.misplaced(&of_pull_requests, "`pull_request` and `command`", kind);
        } else {
            self.misplaced(&of_runs, "`workflow`", kind);
        }
        if kind != "command" {
            let of_commands = [filters.permission.map(|at| at.node), filters.argument.map(|at| at.node)];
            self.misplaced(&of_commands, "`command`", kind);
        }
        Some(match kind {
            "workflow" => Source::WorkflowRun(WorkflowRunSource {
                workflow: workflow?,
                conclusions: conclusions.map(BTreeSet::from_iter),
                branches,
                events: events.map(BTreeSet::from_iter),
                forks,
                reruns,
            }),
            "pull_request" => Source::PullRequest(PullRequestSource {
                actions: actions.map(BTreeSet::from_iter)?,
                base,
                draft,
                forks,
            }),
            _ => {
                // An argument that is written wrongly is no rule without one.
                let argument = argument.map_or(Some(None), |argument| argument.map(Some))?;
                Source::Command(CommandSource { command: command?, argument, permission, base, draft, forks })
            }
        })
    }

    pub(crate) fn pull_request_action(&mut self, at: &At<Text>) -> Option<PullRequestAction> {
        let word = self.text(at)?;
        let action = PullRequestAction::from_word(word);
        if action.is_none() {
            let known = PullRequestAction::ALL.map(PullRequestAction::as_str);
            let message = format!("a rule cannot be about pull requests that are {}", quoted(word));
            let problem = self.problem("unknown_action", at.node, message, "no action that a rule can name");
            self.findings.invalid(problem.help(match (word, nearest(word, known)) {
                ("merged", _) => "write `closed`: what is merged is closed, and `pr.merged` says it".to_owned(),
                (_, Some(meant)) => format!("did you mean `{meant}`?"),
                (_, None) => format!("the actions are {}", words(known)),
            }));
        }
        action
    }

    pub(crate) fn command(&mut self, at: &At<Text>) -> Option<CommandName> {
        let help = match self.text(at)? {
            text if text.starts_with('/') => "write it as people will: one word, such as `/test-deploy`".to_owned(),
            text => match format!("/{text}") {
                command if command.parse::<CommandName>().is_ok() => format!("did you mean `{command}`?"),
                _ => "a command starts with `/`, such as `/test-deploy`".to_owned(),
            },
        };
        self.name(at, &help)
    }

    fn permission(&mut self, at: &At<Text>) -> Option<CommandPermission> {
        let word = self.text(at)?;
        match word {
            "write" => return Some(CommandPermission::Write),
            "admin" => return Some(CommandPermission::Admin),
            "author" => return Some(CommandPermission::Author),
            team if team.contains('/') => {
                let help = "write a team as its address has it: `organisation/team-slug`, in lower case, without `@`";
                return self.name(at, help).map(CommandPermission::Team);
            }
            _ => {}
        }
        let message = format!("{} is no permission that can be asked for", quoted(word));
        let problem = self.problem("invalid_permission", at.node, message, "no permission");
        self.findings.invalid(problem.help(match (word, nearest(word, PERMISSIONS)) {
            ("maintain", _) => "write `write`: GitHub says it of maintainers too".to_owned(),
            (_, Some(meant)) => format!("did you mean `{meant}`?"),
            (_, None) => format!("write one of {}, or a team as `organisation/team`", words(PERMISSIONS)),
        }));
        None
    }

    /// The target cannot ask for the members of the source's teams.
    fn permission_without_team(&mut self, at: &At<Text>) -> Option<CommandPermission> {
        let permission = self.permission(at)?;
        if matches!(permission, CommandPermission::Team(_)) {
            let message = "a team can only be named by the source's own rule";
            let problem = self.problem("invalid_permission", at.node, message, "a team");
            self.findings.invalid(problem.help("write `write`, `admin` or `author`; the source's rule names the team"));
        }
        Some(permission)
    }

    pub(crate) fn conclusion(&mut self, at: &At<Text>) -> Option<Conclusion> {
        let word = self.text(at)?;
        let conclusion = Conclusion::from_word(word);
        if conclusion.is_none() {
            let known = Conclusion::ALL.map(Conclusion::as_str);
            let message = format!("{} is not how a run can end", quoted(word));
            let problem = self.problem("unknown_conclusion", at.node, message, "no conclusion of GitHub's");
            self.findings.invalid(problem.help(match nearest(word, known) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("the conclusions are {}", words(known)),
            }));
        }
        conclusion
    }

    pub(crate) fn event(&mut self, at: &At<Text>) -> Option<String> {
        let word = self.text(at)?;
        if !(1..=100).contains(&word.len()) || !word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') {
            let message = format!("{} is not the name of an event", quoted(word));
            let problem = self.problem("invalid_event", at.node, message, "not lower case letters and `_`");
            self.findings.invalid(problem.help("use GitHub's words, such as `push` or `workflow_dispatch`"));
            return None;
        }
        if !EVENTS.contains(&word) {
            // GitHub adds events, so this can be right.
            let message = format!("{} is no event that is known to start workflows", quoted(word));
            let span = self.span(at.node);
            let problem = Diagnostic::warning("unknown_event", span, message, "not a known event");
            self.findings.note(match nearest(word, EVENTS) {
                Some(meant) => problem.help(format!("did you mean `{meant}`?")),
                None => problem,
            });
        }
        Some(word.to_owned())
    }

    fn reruns(&mut self, at: &At<Text>) -> Option<Reruns> {
        match self.text(at)? {
            "latest" => Some(Reruns::Latest),
            "any" => Some(Reruns::Any),
            other => {
                let [latest, any] = RERUNS;
                let message = format!("expected `{latest}` or `{any}`, got {}", quoted(other));
                let label = format!("neither `{latest}` nor `{any}`");
                let problem = self.problem("invalid_reruns", at.node, message, label);
                let help = "`latest` (the default): the newest run wins; `any`: an old run may start again";
                self.findings.invalid(problem.help(help));
                None
            }
        }
    }
}
