//! What is to start, and what is to be denied.

use std::collections::BTreeMap;

use super::read::Reader;
use super::when::Values;
use super::written::{Denial, Start};
use super::{Expected, ExpectedDenial};
use crate::chain::Place;
use crate::diagnostic::{nearest, quoted};
use crate::policy;
use crate::policy::check::words;
use crate::policy::gate::NodeId;
use crate::policy::raw::{At, List, Text};
use crate::reason::Reason;

impl Reader<'_> {
    /// `values`: what `{{ ... }}` can be; None where `when` is wrong, so that what depends on it is not said twice.
    pub(super) fn then(&mut self, list: &At<List<Start>>, values: Option<&Values>) -> Option<Vec<Expected>> {
        let entries = self.checker.written(list)?;
        Some(entries.iter().filter_map(|entry| self.expected(entry, values)).collect())
    }

    pub(super) fn denied(&mut self, list: &At<List<Denial>>) -> Vec<ExpectedDenial> {
        let entries = self.checker.written(list);
        entries.into_iter().flatten().filter_map(|entry| self.expected_denial(entry)).collect()
    }

    fn expected(&mut self, at: &At<Start>, values: Option<&Values>) -> Option<Expected> {
        let start = self.checker.written(at)?;
        let place = self.place(at, start.repository.as_ref(), start.workflow.as_ref(), start.event.as_ref());
        let git_ref = start.git_ref.as_ref().and_then(|at| self.checker.name(at, "name a branch or a tag"));
        let mut sent = BTreeMap::new();
        let inputs = start.inputs.as_ref().and_then(|at| self.checker.written(at));
        for (name, value) in inputs.into_iter().flatten() {
            let Some(text) = self.checker.text(value) else { continue };
            if let Some(text) = self.filled(value.node, text, values) {
                sent.insert(name.clone(), text.into());
            }
        }
        let payload = start.payload.as_ref().and_then(|at| self.checker.written(at));
        for (name, value) in payload.into_iter().flatten() {
            let Some(scalar) = self.checker.written(value) else { continue };
            let value = match scalar.0.as_str() {
                Some(text) => self.filled(value.node, text, values).map(Into::into),
                None => Some(scalar.0.clone()),
            };
            if let Some(value) = value {
                sent.insert(name.clone(), value);
            }
        }
        let nodes = |of_workflows: bool| match of_workflows {
            true => [start.git_ref.as_ref().map(|at| at.node), start.inputs.as_ref().map(|at| at.node)],
            false => [start.payload.as_ref().map(|at| at.node), None],
        };
        match place.as_ref().map(|place| &place.start) {
            Some(policy::Start::Workflow(_)) => self.checker.misplaced(&nodes(false), "`event`", "workflow"),
            Some(policy::Start::Event(_)) => self.checker.misplaced(&nodes(true), "`workflow`", "event"),
            None => {}
        }
        let compared = start.inputs.is_some() || start.payload.is_some();
        Some(Expected { place: place?, git_ref, values: compared.then_some(sent) })
    }

    fn expected_denial(&mut self, at: &At<Denial>) -> Option<ExpectedDenial> {
        let denial = self.checker.written(at)?;
        let place = self.place(at, denial.repository.as_ref(), denial.workflow.as_ref(), denial.event.as_ref());
        let reason = self.checker.required(at, denial.reason.as_ref(), "reason");
        let reason = reason.and_then(|reason| self.reason(reason));
        Some(ExpectedDenial { place: place?, reason: reason? })
    }

    fn place<T>(
        &mut self,
        at: &At<T>,
        repository: Option<&At<Text>>,
        workflow: Option<&At<Text>>,
        event: Option<&At<Text>>,
    ) -> Option<Place> {
        let repository = self.checker.required(at, repository, "repository");
        let repository = repository.and_then(|repository| self.checker.repository(repository));
        let start = self.checker.start(at.node, workflow, event);
        Some(Place { repository: repository?, start: start? })
    }

    pub(super) fn reason(&mut self, at: &At<Text>) -> Option<Reason> {
        let code = self.checker.text(at)?;
        let reason = Reason::ALL.iter().copied().find(|reason| reason.code() == code);
        if reason.is_none() {
            let message = format!("there is no reason {}", quoted(code));
            let problem = self.checker.problem("unknown_reason", at.node, message, "no reason");
            self.checker.findings.invalid(match nearest(code, Reason::ALL.iter().map(|reason| reason.code())) {
                Some(meant) => problem.help(format!("did you mean `{meant}`?")),
                None => problem.help("`dispatch test` shows the reason of every denial that a test did not expect"),
            });
        }
        reason
    }

    /// A text with the values of `when` in the places of their names.
    fn filled(&mut self, node: NodeId, text: &str, values: Option<&Values>) -> Option<String> {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once("{{") {
            filled.push_str(before);
            let Some((name, after)) = behind.split_once("}}") else {
                self.checker.refuse("invalid_template", node, "`{{` is never closed with `}}`");
                return None;
            };
            let name = name.trim_matches([' ', '\t']);
            match values.map(|values| (values, values.get(name))) {
                Some((_, Some(value))) => filled.push_str(value),
                Some((values, None)) => {
                    self.unknown_value(node, name, values);
                    return None;
                }
                None => {}
            }
            rest = after;
        }
        filled.push_str(rest);
        Some(filled)
    }

    fn unknown_value(&mut self, node: NodeId, name: &str, values: &Values) {
        let message = format!("the event of `when` has no {}", quoted(name));
        let problem = self.checker.problem("unknown_value", node, message, "no key of `when`");
        let known = values.keys().copied();
        self.checker.findings.invalid(problem.help(match nearest(name, known.clone()) {
            Some(meant) => format!("did you mean `{{{{ {meant} }}}}`?"),
            None => format!("write the value itself, or the key of `when` that has it: one of {}", words(known)),
        }));
    }
}
