//! What becomes of what is sent to a workflow: the inputs that it declares, and the values that it pastes into scripts.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser};

use super::position::{Open, Position};
use super::{MAX_BYTES, MAX_EVENTS, Triggers};
use crate::policy::Start;

/// How many inputs of a workflow are kept. GitHub takes 25.
const MAX_INPUTS: usize = 100;
/// How many different values in scripts are kept.
const MAX_IN_SCRIPTS: usize = 100;

/// What a workflow's text tells of what is sent to it. Small, whatever the text is.
///
/// ```
/// use dispatch_core::workflow::Workflow;
///
/// let text = "on: {workflow_dispatch: {inputs: {sha: {required: true}}}}
/// jobs: {cd: {steps: [{run: 'deploy ${{ inputs.sha }}'}]}}";
/// let workflow = Workflow::read(text.as_bytes());
/// assert!(workflow.inputs().unwrap()["sha"].must_be_sent());
/// assert_eq!(workflow.in_scripts()[0].name.as_deref(), Some("sha"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Workflow {
    triggers: Option<Triggers>,
    inputs: Option<BTreeMap<String, DeclaredInput>>,
    in_scripts: Vec<InScript>,
}

/// An entry of `on.workflow_dispatch.inputs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DeclaredInput {
    /// `required: true`
    pub required: bool,
    /// Whether it has a `default`.
    pub has_default: bool,
    /// 1-based line of its name.
    pub line: u32,
}

impl DeclaredInput {
    /// Whether GitHub refuses a call that does not send it.
    #[must_use]
    pub fn must_be_sent(&self) -> bool {
        self.required && !self.has_default
    }
}

/// Something that was sent, and that an expression makes a part of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InScript {
    /// How it was sent.
    pub sent: Sent,
    /// Its name, in lower case: expressions do not know case. None: all of it.
    pub name: Option<String>,
    /// 1-based line of the expression.
    pub line: u32,
}

impl InScript {
    /// Whether it is this name.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        self.name.as_ref().is_none_or(|own| own.eq_ignore_ascii_case(name))
    }
}

/// How values reach a workflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// As inputs.
    Inputs,
    /// As the payload of an event.
    Payload,
}

impl Workflow {
    /// Reads a workflow's text. What cannot be understood is not known of it.
    #[must_use]
    pub fn read(text: &[u8]) -> Self {
        let triggers = Triggers::read(text);
        let reader = str::from_utf8(text).ok().filter(|text| text.len() <= MAX_BYTES).and_then(Reader::all);
        let (inputs, in_scripts) = reader.map(|reader| (reader.inputs, reader.in_scripts)).unwrap_or_default();
        Self { triggers, inputs, in_scripts }
    }

    /// What starts it. None where its text does not tell.
    #[must_use]
    pub fn triggers(&self) -> Option<&Triggers> {
        self.triggers.as_ref()
    }

    /// Whether this starts it. None where its text does not tell.
    #[must_use]
    pub fn listens(&self, start: &Start) -> Option<bool> {
        self.triggers().map(|triggers| triggers.include(start))
    }

    /// What may be sent with `workflow_dispatch`. None where its text does not tell.
    #[must_use]
    pub fn inputs(&self) -> Option<&BTreeMap<String, DeclaredInput>> {
        self.inputs.as_ref()
    }

    /// What expressions paste into `run:` scripts, each name once.
    #[must_use]
    pub fn in_scripts(&self) -> &[InScript] {
        &self.in_scripts
    }
}

/// Follows the whole text, in one pass.
struct Reader<'t> {
    text: &'t str,
    position: Position,
    inputs: Option<BTreeMap<String, DeclaredInput>>,
    in_scripts: Vec<InScript>,
}

impl<'t> Reader<'t> {
    /// None where the text is no workflow, or larger than one.
    fn all(text: &'t str) -> Option<Self> {
        let mut reader =
            Self { text, position: Position::default(), inputs: Some(BTreeMap::new()), in_scripts: Vec::new() };
        let mut parser = Parser::new_from_str(text);
        for _ in 0..MAX_EVENTS {
            let (event, span) = parser.next_event()?.ok()?;
            let line = u32::try_from(span.start.line()).unwrap_or(u32::MAX);
            match event {
                Event::Scalar(text, ..) => reader.scalar(&text, line),
                Event::SequenceStart(..) => reader.start(Open::List, line)?,
                Event::MappingStart(..) => reader.start(Open::Mapping(None), line)?,
                Event::SequenceEnd | Event::MappingEnd => {
                    reader.position.leave();
                    reader.position.value_ended();
                }
                Event::Alias(_) => {
                    // What stands elsewhere is not looked up.
                    if reader.position.path().first() == Some(&"on") || reader.position.at_key() {
                        reader.inputs = None;
                    }
                    reader.position.value_ended();
                }
                Event::DocumentEnd | Event::StreamEnd => return Some(reader),
                Event::Nothing | Event::StreamStart | Event::DocumentStart(_) => {}
            }
        }
        None
    }

    fn start(&mut self, open: Open, line: u32) -> Option<()> {
        self.has_default(line);
        self.position.enter(open)
    }

    fn scalar(&mut self, text: &str, line: u32) {
        if self.position.take_key(text) {
            match self.position.path()[..] {
                ["on", .., "<<"] => self.inputs = None,
                ["on", "workflow_dispatch", "inputs", name] => {
                    let name = name.to_owned();
                    self.declared(name, line);
                }
                _ => {}
            }
            return;
        }
        self.has_default(line);
        match self.position.path()[..] {
            ["on", "workflow_dispatch", "inputs", name, "required"] if text.eq_ignore_ascii_case("true") => {
                let name = name.to_owned();
                self.declared(name, line).into_iter().for_each(|input| input.required = true);
            }
            ["jobs", _, "steps", "run"] => self.script(text, line),
            _ => {}
        }
        self.position.value_ended();
    }

    /// Notes a `default`, whatever its value is.
    fn has_default(&mut self, line: u32) {
        if let ["on", "workflow_dispatch", "inputs", name, "default"] = self.position.path()[..] {
            let name = name.to_owned();
            self.declared(name, line).into_iter().for_each(|input| input.has_default = true);
        }
    }

    /// The declared input of this name, from `line` on. None where inputs are not known any more.
    fn declared(&mut self, name: String, line: u32) -> Option<&mut DeclaredInput> {
        if self.inputs.as_ref().is_some_and(|inputs| inputs.len() >= MAX_INPUTS && !inputs.contains_key(&name)) {
            self.inputs = None;
        }
        let new = DeclaredInput { line, ..DeclaredInput::default() };
        Some(self.inputs.as_mut()?.entry(name).or_insert(new))
    }

    fn script(&mut self, script: &str, line: u32) {
        let mut rest = script;
        while let Some((_, behind)) = rest.split_once("${{") {
            let Some((expression, after)) = behind.split_once("}}") else { return };
            rest = after;
            for (sent, name) in paths(expression).iter().flat_map(|path| sent_by(path)) {
                let known = self.in_scripts.iter().any(|known| known.sent == sent && known.name == name);
                if !known && self.in_scripts.len() < MAX_IN_SCRIPTS {
                    let line = self.line_of(expression, line);
                    self.in_scripts.push(InScript { sent, name, line });
                }
            }
        }
    }

    /// The line of an expression: of a text that begins at `line`, the first one that has it.
    fn line_of(&self, expression: &str, line: u32) -> u32 {
        let begins = expression.lines().next().unwrap_or_default();
        let from = (line as usize).saturating_sub(1);
        let mut lines = self.text.lines().enumerate().skip(from);
        let found = lines.find(|(_, text)| text.split("${{").skip(1).any(|behind| behind.starts_with(begins)));
        found.and_then(|(at, _)| u32::try_from(at + 1).ok()).unwrap_or(line)
    }
}

/// The paths of an expression, such as `inputs.sha`, in lower case; `a['b']` is `a.b`. Texts are left out.
fn paths(expression: &str) -> Vec<String> {
    let mut paths = vec![String::new()];
    let mut characters = expression.chars();
    while let Some(character) = characters.next() {
        let Some(path) = paths.last_mut() else { break };
        match character {
            '\'' => {
                let text: String = characters.by_ref().take_while(|character| *character != '\'').collect();
                if path.ends_with('.') {
                    path.push_str(&text.to_lowercase());
                } else {
                    paths.push(String::new());
                }
            }
            '[' => path.push('.'),
            ']' | ' ' | '\t' | '\n' | '\r' => {}
            '.' | '_' | '-' | '*' => path.push(character),
            letter if letter.is_alphanumeric() => path.extend(letter.to_lowercase()),
            _ => paths.push(String::new()),
        }
    }
    paths
}

/// What of the things that were sent a path is.
fn sent_by(path: &str) -> Vec<(Sent, Option<String>)> {
    if matches!(path, "github" | "github.event") {
        return vec![(Sent::Inputs, None), (Sent::Payload, None)];
    }
    let roots = [
        ("inputs", Sent::Inputs),
        ("github.event.inputs", Sent::Inputs),
        ("github.event.client_payload", Sent::Payload),
    ];
    roots
        .into_iter()
        .filter_map(|(root, sent)| {
            let rest = path.strip_prefix(root)?;
            let name = match rest.strip_prefix('.') {
                None => rest.is_empty().then_some("*")?,
                Some(names) => names.split('.').next().unwrap_or_default(),
            };
            Some((sent, (name != "*").then(|| name.to_owned())))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_scripts(script: &str) -> Vec<(Sent, Option<String>, u32)> {
        let text = format!("on: push\njobs:\n  a:\n    steps:\n      - run: |\n          echo\n          {script}\n");
        let workflow = Workflow::read(text.as_bytes());
        workflow.in_scripts.into_iter().map(|used| (used.sent, used.name, used.line)).collect()
    }

    #[test]
    fn every_way_to_paste_a_value_into_a_script_is_seen() {
        let cases = [
            ("x ${{ inputs.sha }}", Sent::Inputs, Some("sha")),
            ("x ${{ Inputs['SHA'] }}", Sent::Inputs, Some("sha")),
            ("x ${{github.event.inputs.sha}}", Sent::Inputs, Some("sha")),
            ("x ${{ format('{0} inputs.no', github.event.client_payload.a.b) }}", Sent::Payload, Some("a")),
            ("x ${{ github.event.client_payload['branch'] || 'x' }}", Sent::Payload, Some("branch")),
            ("x ${{ toJSON(github.event.client_payload) }}", Sent::Payload, None),
            ("x ${{ inputs.* }}", Sent::Inputs, None),
        ];
        for (script, sent, name) in cases {
            assert_eq!(in_scripts(script), [(sent, name.map(str::to_owned), 7)], "{script}");
        }
        assert_eq!(in_scripts("x ${{ toJSON(github.event) }}").len(), 2);
    }

    #[test]
    fn what_is_no_value_that_was_sent_is_not_told() {
        for script in
            ["$INPUT", "${{ env.X }}", "${{ 'inputs.sha' }}", "${{ inputs.sha", "inputs.sha", "${{ myinputs.a }}"]
        {
            assert_eq!(in_scripts(script), [], "{script}");
        }
        let env = "on: push\njobs: {a: {steps: [{env: {A: '${{ inputs.a }}'}, run: 'echo $A'}]}}";
        assert_eq!(Workflow::read(env.as_bytes()).in_scripts(), []);
    }

    #[test]
    fn what_must_be_sent_is_what_is_required_and_has_no_default() {
        let text = "\
on:
  workflow_dispatch:
    inputs:
      sha: { required: true }
      where:
        required: true
        default: staging
      list: { required: true, default: [] }
      why:
jobs: {}
";
        let workflow = Workflow::read(text.as_bytes());
        let inputs = workflow.inputs().unwrap();
        let told: Vec<_> =
            inputs.iter().map(|(name, input)| (name.as_str(), input.must_be_sent(), input.line)).collect();
        assert_eq!(told, [("list", false, 8), ("sha", true, 4), ("where", false, 5), ("why", false, 9)]);
        for none in ["on: workflow_dispatch", "on: [push]", "jobs: {}"] {
            assert_eq!(Workflow::read(none.as_bytes()).inputs(), Some(&BTreeMap::new()), "{none}");
        }
    }

    #[test]
    fn what_cannot_be_understood_is_not_known_and_costs_little() {
        let many: String = (0..=MAX_INPUTS).map(|n| format!("      i{n}:\n")).collect();
        let unknown = [
            "on: [push".to_owned(),
            "\u{0}".to_owned(),
            "[".repeat(100_000),
            "a: ".repeat(50_000),
            "x".repeat(MAX_BYTES + 1),
            "a: &a {b: c}\non: {workflow_dispatch: *a}".to_owned(),
            "a: &a {b: c}\non: {workflow_dispatch: {inputs: {<<: {a: }}}}".to_owned(),
            format!("on:\n  workflow_dispatch:\n    inputs:\n{many}"),
        ];
        for text in unknown {
            assert_eq!(Workflow::read(text.as_bytes()).inputs(), None, "{text:.60}");
        }
        let script: String = (0..200_000 / 20).map(|n| format!("${{{{ inputs.a{n} }}}} ")).collect();
        assert_eq!(in_scripts(&script).len(), MAX_IN_SCRIPTS);
    }
}
