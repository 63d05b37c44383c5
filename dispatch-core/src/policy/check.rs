//! From the file as written to the file as meant: every problem at once, each at its place.

pub(super) mod accept;
pub(super) mod environment;
pub(super) mod limits;
pub(super) mod source;
pub(super) mod target;
pub(super) mod template;

use std::collections::BTreeMap;
use std::str::FromStr;

use super::finding::Findings;
use super::gate::{self, Content, Document, Node, NodeId};
use super::raw::{self, At, Flag, List, Number, Text, TextOrList, Written};
use super::{Checked, InboundRule, OutboundRule, Policy};
use crate::diagnostic::{Diagnostic, Span, nearest, quoted};
use crate::name::{NameError, Owner, Repository, WorkflowFile};
use crate::pattern::{Pattern, PatternError, PatternSet};

/// A policy file, for what is said about it.
const POLICY: gate::Kind =
    gate::Kind { noun: "a policy", levels: 8, split: "split the rules over several repositories" };

pub(super) fn check(bytes: &[u8], owner: &Owner, may_limit: bool, file: &str) -> Checked {
    let mut findings = Findings::default();
    let policy = gate::read(bytes, POLICY, &mut findings).map(|document| {
        let written = raw::read::<raw::File>(&document);
        let mut checker = Checker { may_limit, ..Checker::new(&document, Some(owner), &mut findings) };
        written.map_or_else(Policy::default, |written| checker.file(&written))
    });
    let policy = policy.filter(|_| !findings.is_invalid());
    Checked { policy, diagnostics: findings.into_diagnostics(file) }
}

/// Checks one file. A method that gives None has reported why.
pub(crate) struct Checker<'c> {
    document: &'c Document<'c>,
    /// The owner that a bare repository name means; None: there must be none.
    owner: Option<&'c Owner>,
    /// Whether the file describes environments.
    environments: bool,
    /// Whether limits count in the repository that holds the file.
    may_limit: bool,
    pub(crate) findings: &'c mut Findings,
}

impl<'c> Checker<'c> {
    /// `owner`: the owner that a bare repository name means; None where every name must be whole.
    pub(crate) fn new(document: &'c Document<'c>, owner: Option<&'c Owner>, findings: &'c mut Findings) -> Self {
        Self { document, owner, environments: false, may_limit: false, findings }
    }
}

impl Checker<'_> {
    fn file(&mut self, file: &At<raw::File>) -> Policy {
        if matches!(self.node(file.node).map(|node| &node.content), Some(Content::Nothing)) {
            return Policy::default();
        }
        let Some(file) = self.written(file) else { return Policy::default() };
        let environments = self.environments(file.environments.as_ref());
        let outbound = self.rules(file.outbound.as_ref(), Self::outbound);
        let inbound = self.rules(file.inbound.as_ref(), Self::inbound);
        let limits = file.limits.as_ref().and_then(|limits| self.limits(limits));
        Policy::new(outbound, inbound).with_environments(environments).with_limits(limits)
    }

    /// The rules of a side. A side whose rules are all commented out has none.
    fn rules<T: Written, R>(
        &mut self,
        rules: Option<&At<List<T>>>,
        rule: fn(&mut Self, &At<T>) -> Option<R>,
    ) -> Vec<R> {
        let Some(rules) = rules.filter(|rules| !self.is_nothing(rules.node)) else { return Vec::new() };
        self.written(rules).into_iter().flatten().filter_map(|entry| rule(self, entry)).collect()
    }

    fn outbound(&mut self, entry: &At<raw::OutboundRule>) -> Option<OutboundRule> {
        let rule = self.written(entry)?;
        let source =
            self.required(entry, rule.source.as_ref(), "source").and_then(|source| self.outbound_source(source));
        let targets = self
            .targets(entry, rule.targets.as_ref(), |checker, target| checker.outbound_target(target, source.as_ref()));
        Some(OutboundRule { source: source?, targets: targets?, line: self.span(entry.node).line })
    }

    fn inbound(&mut self, entry: &At<raw::InboundRule>) -> Option<InboundRule> {
        let rule = self.written(entry)?;
        let source =
            self.required(entry, rule.source.as_ref(), "source").and_then(|source| self.inbound_source(source));
        let targets = self.targets(entry, rule.targets.as_ref(), Self::inbound_target);
        let (from, targets) = (source?, targets?);
        Some(InboundRule {
            repository: from.repository,
            repository_id: from.repository_id,
            source: from.source,
            targets,
            line: self.span(entry.node).line,
        })
    }

    /// The targets of a rule: at least one.
    fn targets<R, T: Written, C>(
        &mut self,
        rule: &At<R>,
        targets: Option<&At<List<T>>>,
        target: impl Fn(&mut Self, &At<T>) -> Option<C>,
    ) -> Option<Vec<C>> {
        let list = self.required(rule, targets, "targets")?;
        let entries = self.written(list)?;
        if entries.is_empty() {
            let problem = self.problem("empty_list", list.node, "the rule has no target", "an empty list");
            self.findings.invalid(problem.help("name at least one target, or remove the rule"));
            return None;
        }
        Some(entries.iter().filter_map(|entry| target(self, entry)).collect())
    }

    // What is common to all values.

    /// What was written at a place, if it is what belongs there.
    pub(crate) fn written<'f, T: Written>(&mut self, at: &'f At<T>) -> Option<&'f T> {
        for unknown in &at.unknown {
            self.unknown_key(*unknown, raw::keys::<T>());
        }
        let node = self.node(at.node)?;
        let got = match &node.content {
            Content::Nothing => {
                let name = node.key.as_ref().map_or_else(|| "the entry".to_owned(), |key| quoted(&key.text));
                let message = format!("{name} has no value");
                let problem = self.problem("missing_value", at.node, message, format!("expected {}", T::KIND));
                let help = match T::KIND {
                    Text::KIND => "write a value; put it in quotes if it is the word `null`",
                    _ => "write a value, or remove it",
                };
                self.findings.invalid(problem.help(help));
                return None;
            }
            _ if at.written.is_some() => return at.written.as_ref(),
            Content::Text { text, .. } => format!("the text {}", quoted(text)),
            Content::List(_) => "a list".to_owned(),
            Content::Mapping(_) => "a mapping".to_owned(),
        };
        let mut problem =
            self.problem("wrong_type", at.node, format!("expected {}, got {got}", T::KIND), format!("not {}", T::KIND));
        if let (Content::Text { text, plain }, Some(key)) = (&node.content, &node.key) {
            let (key, text) = (quoted(&key.text), quoted(text));
            let (key, text) = (key.trim_matches('`'), text.trim_matches('`'));
            match T::KIND {
                "a list" => problem = problem.help(format!("write `{key}: [{text}]`")),
                Number::KIND if !plain => problem = problem.help("remove the quotes"),
                Number::KIND => {
                    problem = problem.help("write a whole number in digits, without a sign and zeros in front")
                }
                Flag::KIND => problem = problem.help("write `true` or `false`, in lower case and without quotes"),
                _ => {}
            }
        }
        self.findings.invalid(problem);
        None
    }

    /// The value behind a key that must be there.
    pub(crate) fn required<'f, R, T>(
        &mut self,
        parent: &At<R>,
        value: Option<&'f At<T>>,
        key: &'static str,
    ) -> Option<&'f At<T>> {
        if value.is_none() {
            let message = format!("the key `{key}` is missing");
            let problem = self.problem("missing_key", parent.node, message, format!("has no `{key}`"));
            self.findings.invalid(problem.help(format!("add `{key}:`")));
        }
        value
    }

    /// Of keys that exclude one another, the one that is there.
    pub(crate) fn only_key(
        &mut self,
        parent: NodeId,
        what: &str,
        keys: &[(&'static str, Option<NodeId>)],
    ) -> Option<&'static str> {
        let names = words(keys.iter().map(|(name, _)| *name));
        let mut there = keys.iter().filter_map(|(name, value)| Some((*name, (*value)?)));
        let Some((name, value)) = there.next() else {
            let message = format!("{what} has one of the keys {names}, and this one has none");
            let problem = self.problem("missing_key", parent, message, "has none of them");
            self.findings.invalid(problem.help(format!("add one of {names}")));
            return None;
        };
        let mut only = Some(name);
        for (other, second) in there {
            only = None;
            let message = format!("{what} has one of the keys {names}, and this one has `{name}` and `{other}`");
            let problem = Diagnostic::error("conflicting_keys", self.key_span(second), message, "one too many");
            let problem = problem.related(self.key_span(value), "the other one");
            self.findings.invalid(problem.help("keep one of them, and write the other one as an entry of its own"));
        }
        only
    }

    /// Reports keys that go with another key than the one that is there.
    pub(crate) fn misplaced(&mut self, values: &[Option<NodeId>], with: &str, there: &str) {
        for value in values.iter().flatten() {
            let Some(key) = self.node(*value).and_then(|node| node.key.as_ref()) else { continue };
            let help = match (key.text.as_str(), there) {
                ("base", _) => "write `branches` for the branches that the run may have been on",
                ("branches", _) => "write `base` for the branches that the pull request may want to change",
                ("inputs", _) => "write `payload`",
                ("payload", _) => "write `inputs`",
                ("accept_inputs", _) => "write `accept_payload`",
                ("accept_payload", _) => "write `accept_inputs`",
                ("ref" | "accept_refs", _) => "remove it: an event always runs what the default branch says",
                _ => "remove it",
            };
            self.misplaced_key(*value, with, there, help);
        }
    }

    /// Reports a key that goes with another key than the one that is there. `value` is what stands behind it.
    pub(crate) fn misplaced_key(&mut self, value: NodeId, with: &str, there: &str, help: &str) {
        let Some(key) = self.node(value).and_then(|node| node.key.as_ref()) else { return };
        let message = format!("{} goes with {with}, and not with `{there}`", quoted(&key.text));
        let problem = Diagnostic::error("misplaced_key", key.span, message, format!("goes with {with}"));
        self.findings.invalid(problem.help(help));
    }

    fn unknown_key(&mut self, value: NodeId, known: &'static [&'static str]) {
        let Some(key) = self.node(value).and_then(|node| node.key.as_ref()) else { return };
        let message = format!("there is no key {} here", quoted(&key.text));
        let help = match nearest(&key.text, known.iter().copied()) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("the keys here are {}", words(known.iter().copied())),
        };
        self.findings.invalid(Diagnostic::error("unknown_key", key.span, message, "unknown key").help(help));
    }

    pub(crate) fn text<'f>(&mut self, at: &'f At<Text>) -> Option<&'f str> {
        self.written(at).map(|text| text.0.as_str())
    }

    /// A list of texts, none of them empty, each made into something.
    fn list<R>(
        &mut self,
        list: Option<&At<List<Text>>>,
        example: &'static str,
        item: impl Fn(&mut Self, &At<Text>) -> Option<R>,
    ) -> Option<Vec<R>> {
        let list = list?;
        let entries = self.written(list)?;
        Some(self.entries(list.node, entries, example, item))
    }

    /// The entries of the list at `node`.
    fn entries<R>(
        &mut self,
        node: NodeId,
        entries: &List<Text>,
        example: &'static str,
        item: impl Fn(&mut Self, &At<Text>) -> Option<R>,
    ) -> Vec<R> {
        if entries.is_empty() {
            let key = self.node(node).and_then(|node| node.key.as_ref()).map_or("", |key| &key.text);
            let message = format!("{} is empty, so that nothing could ever match", quoted(key));
            let help = format!("write what is wanted, such as `{key}: [{example}]`, or remove `{key}`");
            let problem = self.problem("empty_list", node, message, "an empty list");
            self.findings.invalid(problem.help(help));
        }
        entries.iter().filter_map(|entry| item(self, entry)).collect()
    }

    fn patterns(&mut self, list: Option<&At<List<Text>>>) -> Option<PatternSet> {
        let patterns = self.list(list, "main", |checker, entry| {
            let text = checker.text(entry)?;
            checker.pattern(entry.node, text)
        })?;
        PatternSet::new(patterns)
    }

    fn pattern_or_patterns(&mut self, at: Option<&At<TextOrList>>) -> Option<PatternSet> {
        let at = at?;
        match self.written(at)? {
            TextOrList::Text(text) => PatternSet::new(vec![self.pattern(at.node, &text.0)?]),
            TextOrList::List(list) => {
                let patterns = self.entries(at.node, list, "main", |checker, entry| {
                    let text = checker.text(entry)?;
                    checker.pattern(entry.node, text)
                });
                PatternSet::new(patterns)
            }
        }
    }

    fn pattern(&mut self, node: NodeId, text: &str) -> Option<Pattern> {
        text.parse().map_err(|error: PatternError| self.refuse("invalid_pattern", node, error.to_string())).ok()
    }

    pub(crate) fn flag(&mut self, at: Option<&At<Flag>>) -> Option<bool> {
        self.written(at?).map(|flag| flag.0)
    }

    pub(crate) fn workflow(&mut self, at: &At<Text>) -> Option<WorkflowFile> {
        let text = self.text(at)?;
        let workflow = WorkflowFile::from_policy(text);
        let help = "write the file's name, such as `ci.yml`, or `.github/workflows/ci.yml`";
        workflow.map_err(|error| self.invalid_name(at.node, &error, help)).ok()
    }

    pub(crate) fn repository(&mut self, at: &At<Text>) -> Option<Repository> {
        let text = self.text(at)?;
        let (repository, help) = match self.owner {
            Some(owner) if !text.contains('/') => (Repository::of(owner, text), OWN_NAME),
            Some(_) => (text.parse(), OWN_NAME),
            None => (text.parse(), "write `owner/name`"),
        };
        repository.map_err(|error| self.invalid_name(at.node, &error, help)).ok()
    }

    /// Any other name.
    pub(crate) fn name<N: FromStr<Err = NameError>>(&mut self, at: &At<Text>, help: &str) -> Option<N> {
        let name = self.text(at)?.parse();
        name.map_err(|error| self.invalid_name(at.node, &error, help)).ok()
    }

    pub(crate) fn invalid_name(&mut self, node: NodeId, error: &NameError, help: &str) {
        let message = format!("{} is not {}", quoted(&error.text), error.expected);
        let problem = self.problem("invalid_name", node, message, format!("not {}", error.expected));
        self.findings.invalid(problem.help(help));
    }

    pub(crate) fn refuse(&mut self, code: &'static str, node: NodeId, message: impl Into<String>) {
        let problem = self.problem(code, node, message, "here");
        self.findings.invalid(problem);
    }

    pub(crate) fn problem(
        &self,
        code: &'static str,
        node: NodeId,
        message: impl Into<String>,
        label: impl Into<String>,
    ) -> Diagnostic {
        Diagnostic::error(code, self.span(node), message, label)
    }

    pub(crate) fn node(&self, id: NodeId) -> Option<&Node> {
        self.document.node(id)
    }

    /// Where the key of a node is; else the node.
    pub(crate) fn key_span(&self, id: NodeId) -> Span {
        let key = self.node(id).and_then(|node| node.key.as_ref());
        key.map_or_else(|| self.span(id), |key| key.span)
    }

    fn is_nothing(&self, id: NodeId) -> bool {
        self.node(id).is_some_and(|node| matches!(node.content, Content::Nothing))
    }

    /// Where a node is. Where nothing is written, its key.
    pub(crate) fn span(&self, id: NodeId) -> Span {
        let Some(node) = self.node(id) else { return Span::default() };
        match (&node.content, &node.key) {
            (Content::Nothing, Some(key)) => key.span,
            _ => node.span,
        }
    }
}

/// How to name a repository in a file that has an owner.
const OWN_NAME: &str = "write `owner/name`, or a bare name for a repository of the owner of this file";

/// Words in backticks, separated by commas.
pub(crate) fn words<'w>(words: impl IntoIterator<Item = &'w str>) -> String {
    words.into_iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

/// Names by which input a list of them was written, to find the second of two.
type Seen<'s> = BTreeMap<&'s str, NodeId>;
