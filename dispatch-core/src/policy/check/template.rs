//! What is sent along: `inputs` and `payload`, and the templates in them.

use std::collections::BTreeMap;
use std::ops::Range;

use super::super::Source;
use super::super::gate::{Content, NodeId};
use super::super::raw::Map;
use super::{At, Checker, Diagnostic, Span, Text, nearest, quoted, words};
use crate::request::{RepositoryDispatch, WorkflowDispatch};
use crate::template::{RenderError, Template, Variable};

/// The longest name of an input or of a property, in characters.
pub(in crate::policy) const MAX_NAME: usize = 100;

/// What a value is sent as.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    /// As input of a workflow: text.
    Inputs,
    /// As property of an event's payload: JSON.
    Payload,
}

impl Sent {
    /// One of them, as a noun.
    pub(super) fn one(self) -> &'static str {
        match self {
            Self::Inputs => "input",
            Self::Payload => "property",
        }
    }
}

impl Checker<'_> {
    /// What is sent along with a target of a rule whose events are `source`.
    pub(super) fn sent(
        &mut self,
        at: &At<Map<Text>>,
        sent: Sent,
        source: Option<&Source>,
        environment: bool,
    ) -> BTreeMap<String, Template> {
        let Some(values) = self.written(at) else { return BTreeMap::new() };
        let (count, limit, code, help) = match sent {
            Sent::Inputs => {
                let help = "put several values into one input, for example as JSON";
                (values.len(), WorkflowDispatch::MAX_INPUTS, "too_many_inputs", help)
            }
            Sent::Payload => {
                let help = "leave out what the receiving workflow can look up";
                (values.len(), RepositoryDispatch::MAX_PROPERTIES, "too_many_properties", help)
            }
        };
        if count > limit {
            let what = match sent {
                Sent::Inputs => "inputs",
                Sent::Payload => "properties",
            };
            let message = format!("{count} {what}, and GitHub takes at most {limit}");
            let problem = self.problem(code, at.node, message, format!("too many {what}"));
            self.findings.invalid(problem.help(help));
        }
        let mut templates = BTreeMap::new();
        for (name, value) in values {
            let named = self.value_name(name, self.key_span(value.node), sent);
            let template = self.template(value);
            if let Some(template) = &template {
                self.sendable(value.node, template, sent, source, environment);
            }
            if let (true, Some(template)) = (named, template) {
                templates.insert(name.clone(), template);
            }
        }
        self.size(at.node, &templates, sent);
        templates
    }

    /// Refuses what is beyond GitHub's limit already by its literal text.
    fn size(&mut self, node: NodeId, templates: &BTreeMap<String, Template>, sent: Sent) {
        let literal: BTreeMap<_, _> =
            templates.iter().map(|(name, template)| (name.clone(), template.literal())).collect();
        let exceeded = match sent {
            Sent::Inputs => WorkflowDispatch::check_size(&literal),
            Sent::Payload => RepositoryDispatch::check_size(&literal),
        };
        if let Err(limit) = exceeded {
            let problem =
                self.problem("payload_too_large", node, limit.to_string(), "too large, whatever is filled in");
            self.findings.invalid(problem.help("shorten it; let the target's workflow look up what it can"));
        }
    }

    pub(super) fn value_name(&mut self, name: &str, span: Span, sent: Sent) -> bool {
        let valid = (1..=MAX_NAME).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
        if !valid {
            let message = match sent {
                Sent::Inputs => format!("{} is not the name of an input", quoted(name)),
                Sent::Payload => format!("{} is not the name of a property", quoted(name)),
            };
            let problem = Diagnostic::error("invalid_input_name", span, message, "not a name");
            let help = format!("use 1 to {MAX_NAME} letters, digits, `_` and `-`");
            self.findings.invalid(problem.help(help));
        }
        valid
    }

    pub(super) fn template(&mut self, at: &At<Text>) -> Option<Template> {
        let template = Template::parse(self.text(at)?);
        template
            .map_err(|error| {
                let span = self.inside(at.node, error.start..error.end);
                let problem = Diagnostic::error("invalid_template", span, error.problem, "not a variable");
                self.findings.invalid(problem.help("write a variable as `{{ source.sha }}`"));
            })
            .ok()
    }

    /// Reports what denies the target for every event: variables that do not exist, or not for these events, and a value
    /// that cannot be sent.
    fn sendable(&mut self, node: NodeId, template: &Template, sent: Sent, source: Option<&Source>, environment: bool) {
        if sent == Sent::Inputs && template.is_json() {
            let message = "inputs are text: `| json` goes with `payload`";
            let span = self.inside(node, 0..template.as_str().len());
            let problem = Diagnostic::error("invalid_template", span, message, "has `| json`");
            self.findings.invalid(problem.help("remove `| json`"));
        }
        let gives = |variable: Variable| source.is_none_or(|source| source.gives(variable, environment));
        for (name, bytes) in template.names() {
            let variable = Variable::from_name(name);
            if variable.is_some_and(gives) {
                continue;
            }
            // A place is looked for from the start of the text: not once for each of ten thousand.
            let enough = self.findings.are_enough();
            let span = if enough { self.span(node) } else { self.inside(node, bytes) };
            // Not invalid: at run time it denies only the target that uses it.
            self.findings.note(match (variable, source) {
                (Some(variable), Some(source)) => without_value(variable, source, span),
                _ => unknown(name, span, gives),
            });
            if enough {
                break;
            }
        }
        self.never_sent(node, template, sent);
    }

    /// Reports a value that no event can make sendable. It too denies only its own target.
    fn never_sent(&mut self, node: NodeId, template: &Template, sent: Sent) {
        let help = match template.render(|_| Some("x".to_owned())) {
            Ok(_) | Err(RenderError::UnknownVariable(_) | RenderError::NoValue(_)) => return,
            Err(RenderError::Empty) => "write a value, or remove it",
            Err(RenderError::ControlCharacter) => "write it in one line; a block (`|` or `>`) ends with a line end",
            Err(RenderError::TooLong(_)) => "shorten it, or let the target's workflow look it up",
        };
        let problem = template.render(|_| Some("x".to_owned())).err().map(|error| error.to_string());
        let message = format!("this {} can never be sent: {}", sent.one(), problem.unwrap_or_default());
        let problem = self.problem("input_never_sent", node, message, "denies this target");
        self.findings.note(problem.help(help));
    }

    /// The place of some bytes of a text. Where the file writes the text in another way (escapes, several lines), the
    /// place of the same words in it, else the whole text's.
    pub(super) fn inside(&self, id: NodeId, bytes: Range<usize>) -> Span {
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

/// A variable that does not exist.
fn unknown(name: &str, span: Span, gives: impl Fn(Variable) -> bool) -> Diagnostic {
    let known: Vec<_> = Variable::ALL.iter().copied().filter(|variable| gives(*variable)).map(Variable::name).collect();
    let help = match nearest(name, known.iter().copied()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("the variables here are {}", words(known)),
    };
    let message = format!("there is no variable {}", quoted(name));
    Diagnostic::error("unknown_variable", span, message, "unknown variable").help(help)
}

/// A variable that no event of the source has a value for.
fn without_value(variable: Variable, source: &Source, span: Span) -> Diagnostic {
    let events = match source {
        Source::WorkflowRun(_) => "a run of a workflow",
        Source::PullRequest(_) => "a change of a pull request",
        Source::Command(_) => "a command",
    };
    let instead = match (variable, source) {
        (Variable::SourceHeadBranch, Source::PullRequest(_) | Source::Command(_)) => "`pr.head_branch`",
        (Variable::PrHeadSha, Source::WorkflowRun(_)) => "`source.sha`",
        (Variable::PrHeadBranch, Source::WorkflowRun(_)) => "`source.head_branch`",
        _ => "",
    };
    let (message, help) = if source.gives(variable, true) {
        (
            format!("`{variable}` has a value only for a target with `environment`"),
            "add `environment: create` or `environment: destroy` to this target".to_owned(),
        )
    } else {
        let message = format!("`{variable}` has no value for {events}");
        let known = Variable::ALL.iter().copied().filter(|variable| source.gives(*variable, false));
        let help = match instead {
            "" => format!("the variables here are {}", words(known.map(Variable::name))),
            meant => format!("did you mean {meant}?"),
        };
        (message, help)
    };
    Diagnostic::error("variable_without_value", span, message, "has no value here").help(help)
}
