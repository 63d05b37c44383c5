//! From the file as written to the tests as meant: every problem at once, each at its place.

use std::collections::BTreeMap;
use std::str::FromStr;

use super::written::{self, Test};
use super::{MAX_TESTS, PolicyTest, TestFile};
use crate::diagnostic::{Diagnostic, Diagnostics, Span, nearest, quoted};
use crate::guardrail::{Guardrails, SettingError};
use crate::name::NameError;
use crate::policy::check::{Checker, words};
use crate::policy::finding::Findings;
use crate::policy::gate::{self, NodeId};
use crate::policy::raw::{self, At, Flag, List, Map, Number, Text};

/// A file of tests, for what is said about it.
const TESTS: gate::Kind =
    gate::Kind { noun: "a file of tests", levels: 6, split: "split the tests over several files" };
/// The longest name of a test, in characters.
const MAX_NAME: usize = 200;

pub(super) fn read(bytes: &[u8], file: &str) -> Result<TestFile, Diagnostics> {
    let mut findings = Findings::default();
    let tests = match gate::read(bytes, TESTS, &mut findings) {
        Some(document) => {
            let written = raw::read::<written::File>(&document);
            let mut reader = Reader { checker: Checker::new(&document, None, &mut findings) };
            written.and_then(|written| reader.file(&written))
        }
        None => None,
    };
    match tests {
        Some(tests) if !findings.is_invalid() => Ok(tests),
        _ => {
            if !findings.is_invalid() {
                let problem = Diagnostic::error("missing_key", Span::TOP, "the file is empty", "nothing here");
                findings.invalid(problem.help("add `tests:`"));
            }
            Err(findings.into_diagnostics(file))
        }
    }
}

/// Reads one file. A method that gives None has reported why; one that gives a value has, too, where that stands for a wrong
/// one: the file is refused then.
pub(super) struct Reader<'c> {
    pub(super) checker: Checker<'c>,
}

impl Reader<'_> {
    fn file(&mut self, at: &At<written::File>) -> Option<TestFile> {
        let file = self.checker.written(at)?;
        let policies = file.policies.as_ref().map_or(Some(Vec::new()), |at| self.folder(at));
        let limits = self.limits(file.limits.as_ref());
        let list = self.checker.required(at, file.tests.as_ref(), "tests");
        let tests = list.and_then(|list| self.tests(list));
        Some(TestFile { policies: policies?, limits: limits?, tests: tests? })
    }

    /// A folder at or below the one of the file: tests of a stranger must not make anybody read other places.
    fn folder(&mut self, at: &At<Text>) -> Option<Vec<String>> {
        let text = self.checker.text(at)?;
        let bad = |part: &str| part == ".." || part.contains(['\\', ':']) || part.chars().any(char::is_control);
        if text.is_empty() || text.starts_with('/') || text.split('/').any(bad) {
            let message = format!("{} is not a folder at or below the one of this file", quoted(text));
            let problem = self.checker.problem("invalid_folder", at.node, message, "not below this file's folder");
            let help = "write a relative path without `..`, or give another folder with `--policies`";
            self.checker.findings.invalid(problem.help(help));
            return None;
        }
        Some(text.split('/').filter(|part| !matches!(*part, "" | ".")).map(str::to_owned).collect())
    }

    /// The operator's limits: those that are written, by the names of their variables, and else the built-in ones.
    fn limits(&mut self, at: Option<&At<Map<Text>>>) -> Option<Guardrails> {
        let names = Guardrails::SETTINGS.iter().map(|setting| setting.name);
        let mut settings = BTreeMap::new();
        let written = at.and_then(|at| self.checker.written(at));
        for (name, value) in written.into_iter().flatten() {
            if !names.clone().any(|known| known == name) {
                let message = format!("there is no limit {}", quoted(name));
                let span = self.checker.key_span(value.node);
                let problem = Diagnostic::error("unknown_key", span, message, "unknown limit");
                self.checker.findings.invalid(problem.help(match nearest_setting(name) {
                    Some(meant) => format!("did you mean `{meant}`?"),
                    None => format!("the limits are {}", words(names.clone())),
                }));
            } else if let Some(text) = self.checker.text(value) {
                let one = BTreeMap::from([(name.clone(), text.to_owned())]);
                match Guardrails::from_settings(&one) {
                    Ok(_) => settings.extend(one),
                    Err(SettingError { problem, .. }) => self.checker.refuse("invalid_limit", value.node, problem),
                }
            }
        }
        Guardrails::from_settings(&settings).ok()
    }

    fn tests(&mut self, list: &At<List<Test>>) -> Option<Vec<PolicyTest>> {
        let entries = self.checker.written(list)?;
        if entries.is_empty() {
            let problem = self.checker.problem("empty_list", list.node, "the file has no test", "an empty list");
            self.checker.findings.invalid(problem.help("write a test, or remove the file"));
        }
        if let Some(entry) = entries.get(MAX_TESTS) {
            let message = format!("the file has {} tests, and at most {MAX_TESTS} are run", entries.len());
            let problem = self.checker.problem("too_many_tests", entry.node, message, "one too many");
            self.checker.findings.invalid(problem.help("split the tests over several files"));
            return None;
        }
        let mut names = BTreeMap::new();
        Some(entries.iter().filter_map(|entry| self.test(entry, &mut names)).collect())
    }

    fn test<'f>(&mut self, at: &'f At<Test>, names: &mut BTreeMap<&'f str, NodeId>) -> Option<PolicyTest> {
        let test = self.checker.written(at)?;
        let name = self.checker.required(at, test.name.as_ref(), "name");
        let name = name.and_then(|name| self.test_name(name, names));
        let when = self.checker.required(at, test.when.as_ref(), "when");
        let situation = when.and_then(|when| self.when(when));
        let values = situation.as_ref().map(|situation| &situation.values);
        let then = self.checker.required(at, test.then.as_ref(), "then");
        let then = then.and_then(|then| self.then(then, values));
        let denied = test.denied.as_ref().map(|denied| self.denied(denied)).unwrap_or_default();
        let skipped = test.skipped.as_ref().and_then(|skipped| self.reason(skipped));
        let line = self.checker.span(at.node).line;
        Some(PolicyTest { name: name?, line, situation: situation?, then: then?, denied, skipped })
    }

    fn test_name<'f>(&mut self, at: &'f At<Text>, names: &mut BTreeMap<&'f str, NodeId>) -> Option<String> {
        let name = self.checker.text(at)?;
        if name.trim().is_empty() || name.chars().count() > MAX_NAME {
            let message = format!("the name of a test has 1 to {MAX_NAME} characters");
            self.checker.refuse("invalid_name", at.node, message);
            return None;
        }
        if let Some(first) = names.insert(name, at.node) {
            let message = format!("there are two tests with the name {}", quoted(name));
            let problem = self.checker.problem("duplicate_name", at.node, message, "again here");
            let problem = problem.related(self.checker.span(first), "first here");
            self.checker.findings.invalid(problem.help("say in the name what is special about each of them"));
        }
        Some(name.to_owned())
    }

    // What is common to all values.

    /// A name, or the one that it is where it is left out.
    pub(super) fn name_or<N: FromStr<Err = NameError>>(
        &mut self,
        at: Option<&At<Text>>,
        left_out: &str,
        help: &str,
    ) -> Option<N> {
        match at {
            Some(at) => self.checker.name(at, help),
            None => left_out.parse().ok(),
        }
    }

    pub(super) fn flag_or(&mut self, at: Option<&At<Flag>>, left_out: bool) -> bool {
        self.checker.flag(at).unwrap_or(left_out)
    }

    /// A number from 1 on.
    pub(super) fn number_or(&mut self, at: Option<&At<Number>>, left_out: u64, most: u64) -> u64 {
        let Some(at) = at else { return left_out };
        let Some(Number(number)) = self.checker.written(at) else { return left_out };
        if !(1..=most).contains(number) {
            let message = format!("expected a number from 1 to {most}, got {number}");
            self.checker.refuse("invalid_number", at.node, message);
        }
        *number
    }

    /// One of a few words.
    pub(super) fn one_of<T: Copy>(&mut self, at: &At<Text>, known: &[(&'static str, T)]) -> Option<T> {
        let word = self.checker.text(at)?;
        let found = known.iter().find(|(name, _)| *name == word).map(|(_, value)| *value);
        if found.is_none() {
            let names = known.iter().map(|(name, _)| *name);
            let message = format!("expected one of {}, got {}", words(names.clone()), quoted(word));
            let problem = self.checker.problem("unknown_word", at.node, message, "none of them");
            self.checker.findings.invalid(match nearest(word, names) {
                Some(meant) => problem.help(format!("did you mean `{meant}`?")),
                None => problem,
            });
        }
        found
    }
}

/// Settings are in capitals, and words are compared in lower case.
fn nearest_setting(name: &str) -> Option<&'static str> {
    let lower: Vec<_> = Guardrails::SETTINGS.iter().map(|setting| setting.name.to_ascii_lowercase()).collect();
    let meant = nearest(name, lower.iter().map(String::as_str))?;
    Guardrails::SETTINGS.iter().map(|setting| setting.name).find(|known| known.eq_ignore_ascii_case(meant))
}
