//! What starts a workflow, read from its text: as much of it as explains why nothing ran.
//!
//! The text is anybody's who may write to a repository, so it is read as events, in one pass, without building a tree, and
//! no further than `on`. What this does not understand is no answer, never a wrong one.

mod contents;
mod position;

use std::collections::{BTreeMap, BTreeSet};

use saphyr_parser::{Event, Parser};
use serde::{Deserialize, Serialize};

pub use self::contents::{DeclaredInput, InScript, Sent, Workflow};
use self::position::{Open, Position};
use crate::name::{EventType, WorkflowFile};
use crate::policy::Start;
use crate::ports::pull_requests::WorkflowFound;

/// The longest text that is read, in bytes.
pub const MAX_BYTES: usize = 256 * 1024;
/// How many parts of the text are looked at.
const MAX_EVENTS: usize = 100_000;
/// How many events of one workflow are told.
const MAX_TYPES: usize = 100;
/// How many workflows GitHub lists on a page: where there are more, not all are known.
pub const MAX_WORKFLOWS: usize = 100;

/// The events that start a workflow, and for each the types that it is narrowed to; None: any.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Triggers(BTreeMap<String, Option<BTreeSet<String>>>);

/// What a target lacks, so that nothing ran although GitHub took the call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lack {
    /// No workflow of the default branch listens to the event.
    NoListener,
    /// The workflow that would run is disabled.
    Disabled(WorkflowFile),
    /// The default branch has no such workflow.
    NotOnDefaultBranch,
    /// The workflow cannot be started by `workflow_dispatch`.
    NotDispatchable,
}

impl Lack {
    /// Finds what a target lacks. None: nothing that can be told from its workflows.
    #[must_use]
    pub fn of(start: &Start, workflows: &[WorkflowFound]) -> Option<Self> {
        Self::among(start, workflows)
    }

    /// The same, of workflows in whatever form they are known.
    pub(crate) fn among<W: Listed>(start: &Start, workflows: &[W]) -> Option<Self> {
        let all = workflows.len() < MAX_WORKFLOWS;
        match start {
            Start::Workflow(file) => match workflows.iter().find(|workflow| workflow.file() == file) {
                None => all.then_some(Self::NotOnDefaultBranch),
                Some(workflow) if !workflow.is_active() => Some(Self::Disabled(file.clone())),
                Some(workflow) => (workflow.listens(start) == Some(false)).then_some(Self::NotDispatchable),
            },
            Start::Event(_) => {
                let may = |workflow: &W| workflow.listens(start) != Some(false);
                if !all || workflows.iter().any(|workflow| workflow.is_active() && may(workflow)) {
                    return None;
                }
                let listener = workflows.iter().find(|workflow| workflow.listens(start) == Some(true));
                Some(listener.map_or(Self::NoListener, |workflow| Self::Disabled(workflow.file().clone())))
            }
        }
    }

    /// One sentence, Markdown.
    #[must_use]
    pub fn sentence(&self) -> String {
        match self {
            Self::NoListener => "No workflow of the target's default branch listens to this event.".to_owned(),
            Self::Disabled(file) => format!("The target's workflow {} is disabled.", crate::quote::quote(file)),
            Self::NotOnDefaultBranch => "The target's default branch does not have this workflow.".to_owned(),
            Self::NotDispatchable => "The target's workflow has no `workflow_dispatch` trigger.".to_owned(),
        }
    }
}

/// A workflow of a list that has all of a repository, or as many as are looked at.
pub(crate) trait Listed {
    fn file(&self) -> &WorkflowFile;
    /// Whether GitHub runs it.
    fn is_active(&self) -> bool;
    /// Whether this starts it; None where its text does not tell.
    fn listens(&self, start: &Start) -> Option<bool>;
}

impl Listed for WorkflowFound {
    fn file(&self) -> &WorkflowFile {
        &self.file
    }

    fn is_active(&self) -> bool {
        self.active
    }

    fn listens(&self, start: &Start) -> Option<bool> {
        Triggers::of(self).map(|triggers| triggers.include(start))
    }
}

/// Of files alone nobody can tell whether GitHub was told to run them.
impl Listed for (&WorkflowFile, &Workflow) {
    fn file(&self) -> &WorkflowFile {
        self.0
    }

    fn is_active(&self) -> bool {
        true
    }

    fn listens(&self, start: &Start) -> Option<bool> {
        self.1.listens(start)
    }
}

impl Triggers {
    /// What starts a workflow. None where its text does not tell.
    #[must_use]
    pub fn of(workflow: &WorkflowFound) -> Option<Self> {
        Self::read(workflow.text.as_deref()?)
    }

    /// Reads a workflow's text. None where it cannot be understood.
    #[must_use]
    pub fn read(text: &[u8]) -> Option<Self> {
        let text = str::from_utf8(text).ok().filter(|text| text.len() <= MAX_BYTES)?;
        let mut reader = Reader::default();
        let mut parser = Parser::new_from_str(text);
        for _ in 0..MAX_EVENTS {
            let Some(event) = parser.next_event() else { break };
            match reader.take(event.ok()?.0) {
                Progress::On => {}
                Progress::Done => return Some(Self(reader.found)),
                Progress::Lost => return None,
            }
        }
        None
    }

    /// Whether they are started by this.
    #[must_use]
    pub fn include(&self, start: &Start) -> bool {
        match start {
            Start::Workflow(_) => self.0.contains_key("workflow_dispatch"),
            Start::Event(event) => match self.0.get("repository_dispatch") {
                None => false,
                Some(None) => true,
                Some(Some(types)) => types.contains(event.as_str()),
            },
        }
    }

    /// The other events that start it by `repository_dispatch`; None: any, or more than are looked at.
    #[must_use]
    pub fn events_besides(&self, event: &Start) -> Option<BTreeSet<EventType>> {
        match self.0.get("repository_dispatch") {
            None => Some(BTreeSet::new()),
            Some(types) => {
                let types = types.as_ref().filter(|types| types.len() <= MAX_TYPES)?;
                let others = types.iter().filter(|other| *other != event.as_str());
                // What cannot be the name of an event starts nothing here.
                Some(others.filter_map(|other| other.parse().ok()).collect())
            }
        }
    }
}

enum Progress {
    On,
    Done,
    Lost,
}

/// Follows the events, and keeps what stands under `on`.
#[derive(Default)]
struct Reader {
    position: Position,
    found: BTreeMap<String, Option<BTreeSet<String>>>,
}

impl Reader {
    fn take(&mut self, event: Event<'_>) -> Progress {
        match event {
            Event::Scalar(text, ..) => self.scalar(&text),
            Event::SequenceStart(..) => self.start(Open::List),
            Event::MappingStart(..) => self.start(Open::Mapping(None)),
            Event::SequenceEnd | Event::MappingEnd => {
                self.position.leave();
                self.value_ended()
            }
            // What stands elsewhere is not looked up.
            Event::Alias(_) if self.position.path().first() == Some(&"on") || self.position.at_key() => Progress::Lost,
            Event::Alias(_) => self.value_ended(),
            Event::Nothing | Event::StreamStart | Event::DocumentStart(_) => Progress::On,
            // The document ended without `on`: no workflow.
            Event::DocumentEnd | Event::StreamEnd => Progress::Lost,
        }
    }

    fn start(&mut self, open: Open) -> Progress {
        let is_no_mapping = self.position.depth() == 0 && matches!(open, Open::List);
        match self.position.enter(open) {
            Some(()) if !is_no_mapping => Progress::On,
            _ => Progress::Lost,
        }
    }

    fn scalar(&mut self, text: &str) -> Progress {
        if self.position.take_key(text) {
            if let ["on", event] = self.position.path()[..] {
                let event = event.to_owned();
                self.found.entry(event).or_insert(None);
            }
            return Progress::On;
        }
        match self.position.path()[..] {
            ["on"] => _ = self.found.entry(text.to_owned()).or_insert(None),
            // Without a value, `types:` says nothing.
            ["on", event, "types"] if !text.is_empty() => {
                let event = event.to_owned();
                self.found.entry(event).or_default().get_or_insert_default().insert(text.to_owned());
            }
            _ => {}
        }
        self.value_ended()
    }

    /// A value is complete: the next one has another key. `on` is all that is wanted.
    fn value_ended(&mut self) -> Progress {
        let key = self.position.value_ended();
        match (self.position.depth(), key.as_deref()) {
            (0, _) => Progress::Lost,
            (1, Some("on")) => Progress::Done,
            _ => Progress::On,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(name: &str) -> Start {
        Start::Event(name.parse().unwrap())
    }

    fn dispatched() -> Start {
        Start::Workflow("cd.yml".parse().unwrap())
    }

    #[test]
    fn every_way_to_write_what_starts_a_workflow_is_understood() {
        let preview = event("preview");
        let cases = [
            ("on: repository_dispatch", true, false),
            ("on: [push, repository_dispatch]", true, false),
            ("on:\n  - push\n  - workflow_dispatch", false, true),
            ("on:\n  repository_dispatch:", true, false),
            ("on:\n  repository_dispatch: {}\n  workflow_dispatch: {inputs: {sha: {}}}", true, true),
            ("on:\n  repository_dispatch:\n    types: [other, preview]", true, false),
            ("on:\n  repository_dispatch:\n    types: preview", true, false),
            ("on:\n  repository_dispatch:\n    types:\n      - other", false, false),
            ("on:\n  repository_dispatch:\n    types:", true, false),
            ("name: x\n'on':\n  push:\n    branches: [repository_dispatch]\njobs: {}", false, false),
            ("\"on\": {push: {}, workflow_dispatch: }", false, true),
            ("env: {on: repository_dispatch}\non: push", false, false),
            ("on: push\njobs: &all {a: b}\nmore: *all", false, false),
        ];
        for (text, by_event, by_dispatch) in cases {
            let triggers = Triggers::read(text.as_bytes()).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(
                (triggers.include(&preview), triggers.include(&dispatched())),
                (by_event, by_dispatch),
                "{text}"
            );
        }
    }

    #[test]
    fn the_other_events_of_a_workflow_are_named_unless_any_starts_it() {
        let cases = [
            ("on: push", Some(vec![])),
            ("on: repository_dispatch", None),
            ("on: {repository_dispatch: {types: preview}}", Some(vec![])),
            (
                "on: {repository_dispatch: {types: [teardown, preview, 'not a name', other]}}",
                Some(vec!["other", "teardown"]),
            ),
        ];
        for (text, expected) in cases {
            let others = Triggers::read(text.as_bytes()).unwrap().events_besides(&event("preview"));
            let expected = expected.map(|names: Vec<&str>| names.iter().map(|name| name.parse().unwrap()).collect());
            assert_eq!(others, expected, "{text}");
        }
        let many = format!(
            "on: {{repository_dispatch: {{types: [{}]}}}}",
            (0..101).map(|n| format!("e{n},")).collect::<String>()
        );
        assert_eq!(Triggers::read(many.as_bytes()).unwrap().events_besides(&event("preview")), None);
    }

    #[test]
    fn what_cannot_be_understood_is_no_answer_and_costs_little() {
        let hostile = [
            String::new(),
            "jobs: {}".to_owned(),
            "[on, push]".to_owned(),
            "on: *somewhere".to_owned(),
            "a: &a [push]\non: *a".to_owned(),
            "{[on]: push}".to_owned(),
            "on: [push".to_owned(),
            "\u{0}".to_owned(),
            "{? ".repeat(20_000),
            "[".repeat(100_000),
            "a: ".repeat(50_000),
            "x".repeat(MAX_BYTES + 1),
            format!("jobs:\n{}on: push", "  - a\n".repeat(40_000)),
        ];
        for text in hostile {
            // The last one has more parts than are looked at, or fewer: either way it ends.
            let read = Triggers::read(text.as_bytes());
            assert!(read.is_none() || text.ends_with("on: push"), "{:.40}", text);
        }
        assert_eq!(Triggers::read(b"on: \xff"), None);
    }

    #[test]
    fn what_the_target_lacks_is_found_where_its_workflows_tell() {
        let found = |file: &str, active, text: Option<&str>| WorkflowFound {
            file: file.parse().unwrap(),
            active,
            text: text.map(|text| text.as_bytes().to_vec()),
        };
        let disabled = |file: &str| Some(Lack::Disabled(file.parse().unwrap()));
        let listener = "on: {repository_dispatch: {types: [preview]}}";
        let cases = [
            (
                "nothing listens",
                event("preview"),
                vec![found("ci.yml", true, Some("on: push"))],
                Some(Lack::NoListener),
            ),
            ("no workflow at all", event("preview"), vec![], Some(Lack::NoListener)),
            ("one listens", event("preview"), vec![found("a.yml", true, Some(listener))], None),
            ("to another type", event("other"), vec![found("a.yml", true, Some(listener))], Some(Lack::NoListener)),
            ("it is disabled", event("preview"), vec![found("a.yml", false, Some(listener))], disabled("a.yml")),
            ("one cannot be read", event("preview"), vec![found("a.yml", true, None)], None),
            ("it is not there", dispatched(), vec![found("a.yml", true, None)], Some(Lack::NotOnDefaultBranch)),
            ("it is disabled", dispatched(), vec![found("cd.yml", false, None)], disabled("cd.yml")),
            (
                "it has other triggers",
                dispatched(),
                vec![found("cd.yml", true, Some("on: push"))],
                Some(Lack::NotDispatchable),
            ),
            ("it is as it should be", dispatched(), vec![found("cd.yml", true, Some("on: workflow_dispatch"))], None),
        ];
        for (name, start, workflows, expected) in cases {
            assert_eq!(Lack::of(&start, &workflows), expected, "{name}");
        }
        let many = vec![found("ci.yml", true, Some("on: push")); 100];
        assert_eq!(Lack::of(&event("preview"), &many), None, "there may be more than were listed");
    }
}
