//! Consent to values: `accept_inputs` and `accept_payload`.

use std::collections::BTreeMap;

use super::super::gate::Content;
use super::super::raw::{self, NamesOrMap};
use super::super::{Accept, ValuePattern};
use super::template::Sent;
use super::{At, Checker, Diagnostic, Seen, Text, nearest, quoted};
use crate::template::Template;

/// The words that stand for a pattern.
pub(in crate::policy) const WORDS: [&str; 5] = ["number", "sha", "branch", "branch-any", "login"];

impl Checker<'_> {
    pub(super) fn accepts(&mut self, at: &At<NamesOrMap<raw::Accept>>, sent: Sent) -> BTreeMap<String, Accept> {
        match self.written(at) {
            None => BTreeMap::new(),
            Some(NamesOrMap::Names(names)) => self.accepted_names(names, sent),
            Some(NamesOrMap::Map(map)) => {
                let mut accepted = BTreeMap::new();
                for (name, accept) in map {
                    let named = self.value_name(name, self.key_span(accept.node), sent);
                    if let (true, Some(accept)) = (named, self.accept(accept)) {
                        accepted.insert(name.clone(), accept);
                    }
                }
                accepted
            }
        }
    }

    fn accepted_names(&mut self, names: &[At<Text>], sent: Sent) -> BTreeMap<String, Accept> {
        let mut accepted = BTreeMap::new();
        let mut seen = Seen::new();
        for entry in names {
            let Some(name) = self.text(entry) else { continue };
            if !self.value_name(name, self.span(entry.node), sent) {
                continue;
            }
            if let Some(first) = seen.insert(name, entry.node) {
                let message = format!("the {} {} is there twice", sent.one(), quoted(name));
                let problem = Diagnostic::warning("duplicate_input", self.span(entry.node), message, "again here");
                self.findings.note(problem.related(self.span(first), "first here").help("keep one of them"));
            }
            accepted.insert(name.to_owned(), Accept::any());
        }
        accepted
    }

    pub(super) fn accept(&mut self, at: &At<raw::Accept>) -> Option<Accept> {
        if let Some(Content::Text { text, .. }) = self.node(at.node).map(|node| &node.content) {
            let text = quoted(text);
            let message = format!("expected a mapping, got the text {text}");
            let problem = self.problem("wrong_type", at.node, message, "not a mapping");
            self.findings.invalid(problem.help(format!("write `{{ pattern: {} }}`", text.trim_matches('`'))));
            return None;
        }
        let accept = self.written(at)?;
        let pattern = accept.pattern.as_ref().and_then(|pattern| self.value_pattern(pattern));
        let one_of =
            self.list(accept.one_of.as_ref(), "production", |checker, entry| checker.text(entry).map(str::to_owned));
        let max_length = accept.max_length.as_ref().and_then(|at| {
            let length = usize::try_from(self.written(at)?.0).unwrap_or(usize::MAX);
            if !(1..=Template::MAX_VALUE_CHARACTERS).contains(&length) {
                let message = format!("no value has {length} characters");
                let problem = self.problem("invalid_max_length", at.node, message, "not from 1 to 1024");
                self.findings.invalid(problem.help("write a number from 1 to 1024; longer values are never sent"));
            }
            Some(length)
        });
        if let (Some(pattern), Some(list)) = (&pattern, &accept.one_of) {
            for entry in list.written.iter().flatten() {
                let Some(value) = entry.written.as_ref().filter(|value| !pattern.matches(&value.0)) else { continue };
                let message = format!("{} can never be accepted: it must be {pattern}", quoted(&value.0));
                let span = self.span(entry.node);
                let problem = Diagnostic::warning("value_never_accepted", span, message, "the pattern refuses it");
                self.findings.note(problem.help("remove it, or change `pattern`"));
            }
        }
        Some(Accept { pattern, one_of: one_of.map(FromIterator::from_iter), max_length })
    }

    fn value_pattern(&mut self, at: &At<Text>) -> Option<ValuePattern> {
        let text = self.text(at)?;
        let pattern = match text {
            "number" => ValuePattern::Number,
            "sha" => ValuePattern::Sha,
            "branch" => ValuePattern::Branch,
            "branch-any" => ValuePattern::BranchAny,
            "login" => ValuePattern::Login,
            text => ValuePattern::Glob(self.pattern(at.node, text)?),
        };
        if matches!(pattern, ValuePattern::Glob(_)) && !text.contains(['*', '?']) {
            // It can be right: a text that accepts itself.
            if let Some(meant) = nearest(text, WORDS) {
                let message = format!("{} accepts nothing but this very text", quoted(text));
                let span = self.span(at.node);
                let problem = Diagnostic::warning("literal_pattern", span, message, "neither a word nor a pattern");
                self.findings.note(problem.help(format!("did you mean `{meant}`? A text alone goes into `one_of`")));
            }
        }
        Some(pattern)
    }
}
