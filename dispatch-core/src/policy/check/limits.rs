//! What an owner allows: `limits`.

use super::super::raw::{self, Flag, List, Number};
use super::super::{AtLine, OwnerLimits};
use super::{At, Checker, Diagnostic, Text};
use crate::guardrail::Guardrails;
use crate::name::{GitRef, Owner, Repository, WorkflowFile};
use crate::pattern::{Pattern, PatternSet};

/// What a pattern of repositories must be.
pub(in crate::policy) const REPOSITORY: &str = "a repository's name, `owner/name`, or a pattern of them";
/// What a pattern of workflow files must be.
pub(in crate::policy) const WORKFLOW: &str = "a workflow file's name, or a pattern that ends in `.yml` or `.yaml`";

impl Checker<'_> {
    pub(super) fn limits(&mut self, at: &At<raw::Limits>) -> Option<OwnerLimits> {
        if !self.may_limit {
            let message = "limits count in the policy file of a repository named `.github` only";
            let problem = Diagnostic::error("limits_elsewhere", self.key_span(at.node), message, "counts for nothing");
            let help = "move it to the policy file of the owner's `.github` repository, or remove it";
            self.findings.invalid(problem.help(help));
        }
        let limits = self.written(at)?;
        Some(OwnerLimits {
            source_repositories: self.repositories(limits.source_repositories.as_ref()),
            source_workflows: self.workflow_patterns(limits.source_workflows.as_ref()),
            target_repositories: self.repositories(limits.target_repositories.as_ref()),
            command_repositories: self.repositories(limits.command_repositories.as_ref()),
            conclusions: self.limit(limits.conclusions.as_ref(), |checker, at| {
                checker.list(Some(at), "success", Self::conclusion).map(FromIterator::from_iter)
            }),
            default_branch_only: self.limit(limits.default_branch_only.as_ref(), Self::one_flag),
            forks: self.limit(limits.forks.as_ref(), Self::one_flag),
            max_targets: self.number(limits.max_targets.as_ref(), Guardrails::MAX_TARGETS),
            max_chain_depth: self.number(limits.max_chain_depth.as_ref(), Guardrails::MAX_CHAIN_DEPTH),
            max_edge_rate: self.number(limits.max_edge_rate.as_ref(), Guardrails::MAX_EDGE_RATE),
            default_ref: self
                .limit(limits.default_ref.as_ref(), |checker, at| checker.name::<GitRef>(at, "name a branch or a tag")),
        })
    }

    /// A limit, with the line of its key.
    fn limit<W, T>(&mut self, at: Option<&At<W>>, read: impl Fn(&mut Self, &At<W>) -> Option<T>) -> Option<AtLine<T>> {
        let at = at?;
        let line = self.key_span(at.node).line;
        read(self, at).map(|value| AtLine { value, line })
    }

    fn one_flag(&mut self, at: &At<Flag>) -> Option<bool> {
        self.flag(Some(at))
    }

    fn number(&mut self, at: Option<&At<Number>>, most: usize) -> Option<AtLine<usize>> {
        self.limit(at, |checker, at| {
            let number = usize::try_from(checker.written(at)?.0).ok();
            let number = number.filter(|number| (1..=most).contains(number));
            if number.is_none() {
                let message = format!("the number is not from 1 to {most}");
                let problem = checker.problem("invalid_limit", at.node, message, "out of range");
                checker.findings.invalid(problem.help(format!("write a number from 1 to {most}, or remove it")));
            }
            number
        })
    }

    /// Patterns of `owner/name`; a bare one means repositories of the owner of this file.
    fn repositories(&mut self, at: Option<&At<List<Text>>>) -> Option<AtLine<PatternSet>> {
        let owner = self.owner.map_or("*", Owner::as_str).to_owned();
        self.listed(at, "api", REPOSITORY, move |text| {
            let whole = if text.contains('/') { text.to_owned() } else { format!("{owner}/{text}") };
            let names = whole.replace(['*', '?'], "a");
            names.parse::<Repository>().is_ok().then_some(whole)
        })
    }

    fn workflow_patterns(&mut self, at: Option<&At<List<Text>>>) -> Option<AtLine<PatternSet>> {
        self.listed(at, "ci.yml", WORKFLOW, |text| {
            text.replace(['*', '?'], "a").parse::<WorkflowFile>().is_ok().then(|| text.to_owned())
        })
    }

    /// A list of patterns, each made whole; None: it is not `what`.
    fn listed(
        &mut self,
        at: Option<&At<List<Text>>>,
        example: &'static str,
        what: &'static str,
        whole: impl Fn(&str) -> Option<String>,
    ) -> Option<AtLine<PatternSet>> {
        self.limit(at, |checker, at| {
            let patterns = checker.list(Some(at), example, |checker, entry| {
                let text = checker.text(entry)?;
                let pattern = checker.pattern(entry.node, text)?;
                let whole = whole(pattern.as_str()).and_then(|whole| whole.parse::<Pattern>().ok());
                if whole.is_none() {
                    let problem = checker.problem("invalid_name", entry.node, format!("this is not {what}"), "no name");
                    checker.findings.invalid(problem.help(format!("write {what}")));
                }
                whole
            })?;
            PatternSet::new(patterns)
        })
    }
}
