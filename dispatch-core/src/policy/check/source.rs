//! What must have happened: the `source` of both sides.

use std::collections::BTreeSet;

use super::super::raw::{Flag, InboundSource, List, Number, OutboundSource};
use super::super::{Reruns, Source, WorkflowRunSource};
use super::{At, Checker, Diagnostic, Text, Written, nearest, quoted, words};
use crate::event::Conclusion;
use crate::name::{Repository, RepositoryId};

/// Events that can start a workflow, in GitHub's words ("Events that trigger workflows").
const EVENTS: [&str; 36] = [
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

/// Whose runs an inbound rule is about, and which.
pub(super) struct InboundFrom {
    pub(super) repository: Repository,
    pub(super) repository_id: Option<RepositoryId>,
    pub(super) source: Source,
}

/// The filters that exist on both sides, as written.
struct Filters<'f> {
    workflow: Option<&'f At<Text>>,
    conclusions: Option<&'f At<List<Text>>>,
    branches: Option<&'f At<List<Text>>>,
    events: Option<&'f At<List<Text>>>,
    forks: Option<&'f At<Flag>>,
    reruns: Option<&'f At<Text>>,
}

impl Checker<'_> {
    pub(super) fn outbound_source(&mut self, at: &At<OutboundSource>) -> Option<Source> {
        let source = self.written(at)?;
        let filters = Filters {
            workflow: source.workflow.as_ref(),
            conclusions: source.conclusions.as_ref(),
            branches: source.branches.as_ref(),
            events: source.events.as_ref(),
            forks: source.forks.as_ref(),
            reruns: source.reruns.as_ref(),
        };
        self.workflow_run(at, &filters)
    }

    pub(super) fn inbound_source(&mut self, at: &At<InboundSource>) -> Option<InboundFrom> {
        let source = self.written(at)?;
        let repository = self.required(at, source.repository.as_ref(), "repository");
        let repository = repository.and_then(|repository| self.repository(repository));
        let repository_id = self.repository_id(source.repository_id.as_ref());
        let filters = Filters {
            workflow: source.workflow.as_ref(),
            conclusions: source.conclusions.as_ref(),
            branches: source.branches.as_ref(),
            events: source.events.as_ref(),
            forks: source.forks.as_ref(),
            reruns: source.reruns.as_ref(),
        };
        let source = self.workflow_run(at, &filters);
        Some(InboundFrom { repository: repository?, repository_id, source: source? })
    }

    pub(super) fn repository_id(&mut self, at: Option<&At<Number>>) -> Option<RepositoryId> {
        self.written(at?).map(|number| RepositoryId(number.0))
    }

    fn workflow_run<T: Written>(&mut self, at: &At<T>, filters: &Filters<'_>) -> Option<Source> {
        let workflow = self.required(at, filters.workflow, "workflow").and_then(|workflow| self.workflow(workflow));
        let conclusions = self.list(filters.conclusions, "success", Self::conclusion);
        let branches = self.patterns(filters.branches);
        let events = self.list(filters.events, "push", Self::event);
        let forks = filters.forks.and_then(|forks| self.written(forks)).is_some_and(|forks| forks.0);
        let reruns = filters.reruns.and_then(|reruns| self.reruns(reruns)).unwrap_or_default();
        Some(Source::WorkflowRun(WorkflowRunSource {
            workflow: workflow?,
            conclusions: conclusions.map(BTreeSet::from_iter),
            branches,
            events: events.map(BTreeSet::from_iter),
            forks,
            reruns,
        }))
    }

    fn conclusion(&mut self, at: &At<Text>) -> Option<Conclusion> {
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

    fn event(&mut self, at: &At<Text>) -> Option<String> {
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
                let message = format!("expected `latest` or `any`, got {}", quoted(other));
                let problem = self.problem("invalid_reruns", at.node, message, "neither `latest` nor `any`");
                let help = "`latest` (the default): the newest run wins; `any`: an old run may start again";
                self.findings.invalid(problem.help(help));
                None
            }
        }
    }
}
