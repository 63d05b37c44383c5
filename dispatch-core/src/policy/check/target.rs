//! What is started, and what may be: the `targets` of both sides.

use std::collections::BTreeMap;
use std::ops::Range;

use super::super::gate::{Content, NodeId};
use super::super::raw::{self, Inputs, List};
use super::super::{Accept, InboundTarget, Start, Target};
use super::{At, Checker, Diagnostic, Seen, Span, Text, nearest, quoted, words};
use crate::name::GitRef;
use crate::request::WorkflowDispatch;
use crate::template::{RenderError, Template, Variable};

/// The longest name of an input, in characters.
const MAX_INPUT_NAME: usize = 100;

impl Checker<'_> {
    pub(super) fn outbound_target(&mut self, at: &At<raw::OutboundTarget>) -> Option<Target> {
        let target = self.written(at)?;
        let repository = self.required(at, target.repository.as_ref(), "repository");
        let repository = repository.and_then(|repository| self.repository(repository));
        let repository_id = self.repository_id(target.repository_id.as_ref());
        let workflow = self.required(at, target.workflow.as_ref(), "workflow");
        let workflow = workflow.and_then(|workflow| self.workflow(workflow));
        let git_ref = target.git_ref.as_ref().and_then(|git_ref| {
            let help = "name a branch or a tag, bare or as `refs/heads/...` or `refs/tags/...`";
            self.name::<GitRef>(git_ref, help)
        });
        let inputs = target.inputs.as_ref().map(|inputs| self.inputs(inputs)).unwrap_or_default();
        let line = self.span(at.node).line;
        Some(Target {
            repository: repository?,
            repository_id,
            start: Start::Workflow(workflow?),
            git_ref,
            inputs,
            environment: None,
            required: None,
            report: None,
            line,
        })
    }

    pub(super) fn inbound_target(&mut self, at: &At<raw::InboundTarget>) -> Option<InboundTarget> {
        let target = self.written(at)?;
        let workflow = self.required(at, target.workflow.as_ref(), "workflow");
        let workflow = workflow.and_then(|workflow| self.workflow(workflow));
        let accept_inputs = target.accept_inputs.as_ref().map(|names| self.accept_inputs(names)).unwrap_or_default();
        let accept_refs = self.patterns(target.accept_refs.as_ref());
        if let (None, Some(file)) = (&target.accept_refs, target.workflow.as_ref()) {
            let message = "the source may run this workflow at any branch or tag";
            let span = self.span(file.node);
            let problem = Diagnostic::warning("inbound_without_accept_refs", span, message, "has no `accept_refs`");
            self.findings.note(problem.help("name the branches and tags, such as `accept_refs: [main]`"));
        }
        let line = self.span(at.node).line;
        Some(InboundTarget { start: Start::Workflow(workflow?), accept_inputs, accept_refs, line })
    }

    fn accept_inputs(&mut self, at: &At<List<Text>>) -> BTreeMap<String, Accept> {
        let mut accepted = BTreeMap::new();
        let mut seen = Seen::new();
        for entry in self.written(at).into_iter().flatten() {
            let Some(name) = self.text(entry) else { continue };
            if !self.input_name(name, self.span(entry.node)) {
                continue;
            }
            if let Some(first) = seen.insert(name, entry.node) {
                let message = format!("the input {} is there twice", quoted(name));
                let problem = Diagnostic::warning("duplicate_input", self.span(entry.node), message, "again here");
                self.findings.note(problem.related(self.span(first), "first here").help("keep one of them"));
            }
            accepted.insert(name.to_owned(), Accept::any());
        }
        accepted
    }

    fn inputs(&mut self, at: &At<Inputs>) -> BTreeMap<String, Template> {
        let Some(inputs) = self.written(at) else { return BTreeMap::new() };
        if inputs.len() > WorkflowDispatch::MAX_INPUTS {
            let (count, limit) = (inputs.len(), WorkflowDispatch::MAX_INPUTS);
            let message = format!("{count} inputs, and GitHub takes at most {limit}");
            let problem = self.problem("too_many_inputs", at.node, message, "too many inputs");
            self.findings.invalid(problem.help("put several values into one input, for example as JSON"));
        }
        let mut templates = BTreeMap::new();
        for (name, value) in inputs {
            let key = self.node(value.node).and_then(|node| node.key.as_ref()).map(|key| key.span);
            let named = self.input_name(name, key.unwrap_or_default());
            if let (true, Some(template)) = (named, self.template(value)) {
                templates.insert(name.clone(), template);
            }
        }
        templates
    }

    fn input_name(&mut self, name: &str, span: Span) -> bool {
        let valid = (1..=MAX_INPUT_NAME).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
        if !valid {
            let message = format!("{} is not the name of an input", quoted(name));
            let problem = Diagnostic::error("invalid_input_name", span, message, "not a name");
            let help = format!("use 1 to {MAX_INPUT_NAME} letters, digits, `_` and `-`");
            self.findings.invalid(problem.help(help));
        }
        valid
    }

    fn template(&mut self, at: &At<Text>) -> Option<Template> {
        let text = self.text(at)?;
        let template = match Template::parse(text) {
            Ok(template) => template,
            Err(error) => {
                let span = self.inside(at.node, error.start..error.end);
                let problem = Diagnostic::error("invalid_template", span, error.problem, "not a variable");
                self.findings.invalid(problem.help("write a variable as `{{ source.sha }}`"));
                return None;
            }
        };
        for (name, bytes) in template.unknown() {
            let known = || Variable::ALL.iter().map(|variable| variable.name());
            let help = match nearest(name, known()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("the variables are {}", words(known())),
            };
            let message = format!("there is no variable {}", quoted(name));
            // A place is looked for from the start of the text: not once for each of ten thousand.
            let enough = self.findings.are_enough();
            let span = if enough { self.span(at.node) } else { self.inside(at.node, bytes) };
            // Not invalid: at run time it denies only the target that uses it.
            self.findings.note(Diagnostic::error("unknown_variable", span, message, "unknown variable").help(help));
            if enough {
                break;
            }
        }
        self.never_sent(at.node, &template);
        Some(template)
    }

    /// Reports a value that no event can make sendable. It too denies only its own target.
    fn never_sent(&mut self, node: NodeId, template: &Template) {
        let help = match template.render(|_| Some("x".to_owned())) {
            Ok(_) | Err(RenderError::UnknownVariable(_) | RenderError::NoValue(_)) => return,
            Err(RenderError::Empty) => "write a value, or remove the input",
            Err(RenderError::ControlCharacter) => "write it in one line; a block (`|` or `>`) ends with a line end",
            Err(RenderError::TooLong(_)) => "shorten it, or let the target's workflow look it up",
        };
        let problem = template.render(|_| Some("x".to_owned())).err().map(|error| error.to_string());
        let message = format!("this input can never be sent: {}", problem.unwrap_or_default());
        let problem = self.problem("input_never_sent", node, message, "denies this target");
        self.findings.note(problem.help(help));
    }

    /// The place of some bytes of a text. Where the file writes the text in another way (escapes, several lines), the
    /// place of the same words in it, else the whole text's.
    fn inside(&self, id: NodeId, bytes: Range<usize>) -> Span {
        let Some(node) = self.node(id) else { return Span::default() };
        let (Content::Text { text, plain }, Some(written)) =
            (&node.content, self.document.text.get(node.span.start..node.span.end))
        else {
            return node.span;
        };
        let quote = usize::from(!plain && written.starts_with(['"', '\'']));
        let as_is = written.get(quote..).is_some_and(|inner| inner.get(..text.len()) == Some(text));
        if as_is {
            return node.span.inside(written, bytes.start + quote..bytes.end + quote);
        }
        match text.get(bytes).and_then(|part| Some((written.find(part)?, part.len()))) {
            Some((at, length)) => node.span.inside(written, at..at + length),
            None => node.span,
        }
    }
}
