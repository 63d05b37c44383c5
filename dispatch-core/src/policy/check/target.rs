//! What is started, and what may be: the `targets` of both sides.

use std::collections::BTreeSet;

use super::super::gate::NodeId;
use super::super::raw;
use super::super::{Channel, EnvironmentAction, InboundTarget, Source, Start, Target};
use super::template::Sent;
use super::{At, Checker, Diagnostic, Text, nearest, quoted, words};
use crate::name::{EventType, GitRef};

/// The words for what a target does to an environment.
pub(in crate::policy) const ENVIRONMENT_ACTIONS: [&str; 2] = ["create", "destroy"];

impl Checker<'_> {
    /// A target of a rule whose events are `source`; None where the source itself is wrong, so that what depends on it is
    /// not said twice.
    pub(super) fn outbound_target(&mut self, at: &At<raw::OutboundTarget>, source: Option<&Source>) -> Option<Target> {
        let target = self.written(at)?;
        let repository = self.required(at, target.repository.as_ref(), "repository");
        let repository = repository.and_then(|repository| self.repository(repository));
        let repository_id = self.repository_id(target.repository_id.as_ref());
        let start = self.start(at.node, target.workflow.as_ref(), target.event.as_ref());
        let git_ref = target.git_ref.as_ref().and_then(|git_ref| {
            let help = "name a branch or a tag, bare or as `refs/heads/...` or `refs/tags/...`";
            self.name::<GitRef>(git_ref, help)
        });
        let environment = target.environment.as_ref().and_then(|action| self.environment_action(action, source));
        let has_environment = target.environment.is_some();
        let inputs = target.inputs.as_ref().map(|at| self.sent(at, Sent::Inputs, source, has_environment));
        let payload = target.payload.as_ref().map(|at| self.sent(at, Sent::Payload, source, has_environment));
        match &start {
            Some(Start::Workflow(_)) => self.misplaced(&[node(target.payload.as_ref())], "`event`", "workflow"),
            Some(Start::Event(_)) => {
                self.misplaced(&[node(target.git_ref.as_ref()), node(target.inputs.as_ref())], "`workflow`", "event");
            }
            None => {}
        }
        let required = self.flag(target.required.as_ref());
        let report = target.report.as_ref().and_then(|report| self.report(report, source));
        if let (Some(true), Some(report), Some(at)) = (required, &report, &target.report)
            && !report.contains(&Channel::Check)
        {
            let message = "only a check can hold up a merge, and `report` has none";
            let problem = Diagnostic::warning("required_without_check", self.span(at.node), message, "has no `check`");
            self.findings.note(problem.help("add `check`, or remove `required`"));
        }
        let line = self.span(at.node).line;
        Some(Target {
            repository: repository?,
            repository_id,
            start: start?,
            git_ref,
            inputs: inputs.or(payload).unwrap_or_default(),
            environment,
            required,
            report,
            line,
        })
    }

    pub(super) fn inbound_target(&mut self, at: &At<raw::InboundTarget>) -> Option<InboundTarget> {
        let target = self.written(at)?;
        let start = self.start(at.node, target.workflow.as_ref(), target.event.as_ref());
        let inputs = target.accept_inputs.as_ref().map(|accepts| self.accepts(accepts, Sent::Inputs));
        let payload = target.accept_payload.as_ref().map(|accepts| self.accepts(accepts, Sent::Payload));
        let accept_refs = self.patterns(target.accept_refs.as_ref());
        match &start {
            Some(Start::Workflow(_)) => {
                self.misplaced(&[node(target.accept_payload.as_ref())], "`event`", "workflow");
                if let (None, Some(file)) = (&target.accept_refs, target.workflow.as_ref()) {
                    let message = "the source may run this workflow at any branch or tag";
                    let span = self.span(file.node);
                    let problem =
                        Diagnostic::warning("inbound_without_accept_refs", span, message, "has no `accept_refs`");
                    self.findings.note(problem.help("name the branches and tags, such as `accept_refs: [main]`"));
                }
            }
            Some(Start::Event(_)) => {
                let of_workflows = [node(target.accept_inputs.as_ref()), node(target.accept_refs.as_ref())];
                self.misplaced(&of_workflows, "`workflow`", "event");
            }
            None => {}
        }
        let accept_inputs = inputs.or(payload).unwrap_or_default();
        let line = self.span(at.node).line;
        Some(InboundTarget { start: start?, accept_inputs, accept_refs, line })
    }

    /// What is started: a workflow or an event.
    pub(crate) fn start(
        &mut self,
        target: NodeId,
        workflow: Option<&At<Text>>,
        event: Option<&At<Text>>,
    ) -> Option<Start> {
        let file = workflow.and_then(|workflow| self.workflow(workflow));
        let event_type = event.and_then(|event| {
            let help = "write what the receiving workflow has in `on: repository_dispatch: types:`";
            self.name::<EventType>(event, help)
        });
        match self.only_key(target, "a target", &[("workflow", node(workflow)), ("event", node(event))])? {
            "workflow" => file.map(Start::Workflow),
            _ => event_type.map(Start::Event),
        }
    }

    fn environment_action(&mut self, at: &At<Text>, source: Option<&Source>) -> Option<EnvironmentAction> {
        if matches!(source, Some(Source::WorkflowRun(_))) {
            self.misplaced(&[Some(at.node)], "`pull_request` and `command`", "workflow");
        }
        match self.text(at)? {
            "create" => {
                if !self.environments {
                    let message = "this file has no `environments`, so that there is none to create";
                    let problem = self.problem("missing_environments", at.node, message, "creates which?");
                    self.findings
                        .invalid(problem.help("describe it: `environments: [{ name: \"pr-{{ pr.number }}\" }]`"));
                }
                Some(EnvironmentAction::Create)
            }
            "destroy" => Some(EnvironmentAction::Destroy),
            other => {
                let message = format!("expected `create` or `destroy`, got {}", quoted(other));
                let problem = self.problem("invalid_environment", at.node, message, "neither `create` nor `destroy`");
                let help = match nearest(other, ENVIRONMENT_ACTIONS) {
                    Some(meant) => format!("did you mean `{meant}`?"),
                    None => {
                        "`create` makes the pull request's environment, or updates it; `destroy` ends it".to_owned()
                    }
                };
                self.findings.invalid(problem.help(help));
                None
            }
        }
    }

    /// Where the result is told. An empty list: nowhere.
    fn report(&mut self, at: &At<raw::List<Text>>, source: Option<&Source>) -> Option<BTreeSet<Channel>> {
        let mut channels = BTreeSet::new();
        for entry in self.written(at)? {
            let Some(word) = self.text(entry) else { continue };
            let Some(channel) = Channel::ALL.into_iter().find(|channel| channel.as_str() == word) else {
                let known = Channel::ALL.map(Channel::as_str);
                let message = format!("results are not told by {}", quoted(word));
                let problem = self.problem("unknown_report", entry.node, message, "nothing that tells a result");
                self.findings.invalid(problem.help(match nearest(word, known) {
                    Some(meant) => format!("did you mean `{meant}`?"),
                    None => format!("write one of {}", words(known)),
                }));
                continue;
            };
            if channel == Channel::Comment && matches!(source, Some(Source::WorkflowRun(_))) {
                let message = "a run of a workflow has no pull request that could be commented on";
                let problem = self.problem("unknown_report", entry.node, message, "no pull request here");
                self.findings.invalid(problem.help("write `check` or `issue`"));
            }
            channels.insert(channel);
        }
        Some(channels)
    }
}

fn node<T>(at: Option<&At<T>>) -> Option<NodeId> {
    at.map(|at| at.node)
}
