//! What can be wrong between repositories: stable codes.

use super::RepositoryFiles;
use crate::diagnostic::{Diagnostic, Elsewhere, Severity, Span};
use crate::name::Repository;

/// Declares the findings once: name, code, severity, sentence, help.
macro_rules! findings {
    ($($name:ident = $code:literal, $severity:ident, $sentence:literal, $help:literal;)*) => {
        $(pub(super) const $name: FindingKind = FindingKind {
            code: $code,
            severity: Severity::$severity,
            sentence: $sentence,
            help: $help,
        };)*

        impl FindingKind {
            /// Every finding, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$($name,)*];
        }
    };
}

/// Something that can be wrong between repositories. Codes are `snake_case`, are never renamed and never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FindingKind {
    /// The stable code.
    pub code: &'static str,
    /// An error will certainly never work, or is dangerous; a warning works, or may work.
    pub severity: Severity,
    /// One sentence for people, without names: lower case, no full stop.
    pub sentence: &'static str,
    /// How to mend it.
    pub help: &'static str,
}

findings! {
    OUTBOUND_WITHOUT_CONSENT = "outbound_without_consent", Error,
        "the target's policy file does not agree",
        "mend the rule, or ask the target to accept it";
    CONSENT_DEPENDS = "consent_depends", Warning,
        "whether the target agrees depends on what is sent, and made-up values were refused",
        "compare what is sent with what the target's inbound rule accepts";
    SELF_DISPATCH = "self_dispatch", Error,
        "a workflow cannot start itself",
        "name another workflow or another repository as the target";
    WORKFLOW_NOT_FOUND = "workflow_not_found", Error,
        "the target has no such workflow file",
        "name a file of the target's `.github/workflows`, as its default branch has it";
    WORKFLOW_NOT_DISPATCHABLE = "workflow_not_dispatchable", Error,
        "the target's workflow has no `workflow_dispatch` trigger",
        "add `workflow_dispatch:` to its `on:`";
    NOBODY_LISTENS = "nobody_listens", Error,
        "no workflow of the target listens to the event",
        "name the event in `on: repository_dispatch: types:` of a workflow of the target's default branch";
    UNDECLARED_INPUT = "undeclared_input", Error,
        "an input is sent that the target's workflow does not declare: GitHub refuses the call",
        "declare it in `on: workflow_dispatch: inputs:`, or do not send it";
    MISSING_REQUIRED_INPUT = "missing_required_input", Error,
        "an input that the target's workflow requires is not sent: GitHub refuses the call",
        "send it, or give it a `default` in the workflow";
    STRANGER_VALUE_IN_SCRIPT = "stranger_value_in_script", Error,
        "a value that a stranger can choose becomes a part of a script",
        "hand it to the step by `env:`, and use the variable in quotes: `\"$NAME\"`";
    UNUSED_CONSENT = "unused_consent", Warning,
        "the source has no rule that needs this consent",
        "remove it, or add the outbound rule that was meant";
    UNCONSTRAINED_INPUT = "unconstrained_input", Warning,
        "an input is accepted by its name alone, whatever its value is",
        "say what the value must be: `pattern`, `one_of` or `max_length`; `pattern: \"**\"` says any text on purpose";
    SHADOWED_TARGET = "shadowed_target", Warning,
        "an earlier rule starts the same target for the same events, so that this one never counts",
        "keep one of the two";
    TOO_MANY_TARGETS = "too_many_targets", Warning,
        "one event has more targets than an operator allows who sets no other limit",
        "name fewer targets, or ask the operator about DISPATCH_MAX_TARGETS_PER_RUN";
    DISPATCH_LOOP = "dispatch_loop", Warning,
        "what is started here comes back to where it began; the last dispatch of each round is refused",
        "break the loop: one of its rules must go";
    NOT_ALL_EXAMINED = "not_all_examined", Warning,
        "the file has more targets than are examined",
        "split the rules over several repositories";
}

/// Something that is wrong between repositories, at the place where it can be mended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The repository that holds the file.
    pub repository: Repository,
    /// The policy file, as it is to be shown.
    pub file: String,
    /// What is wrong, where, and the other side's place where there is one.
    pub problem: Diagnostic,
}

/// A line of a file, and what to say of it.
pub(super) struct At<'a> {
    pub(super) files: &'a RepositoryFiles,
    pub(super) line: u32,
    pub(super) label: &'a str,
}

impl FindingKind {
    /// Something that is wrong at a line of a policy file. None where there is no file.
    pub(super) fn at(&self, repository: &Repository, at: &At<'_>, message: String) -> Option<Finding> {
        let policy = at.files.policy.as_ref()?;
        let span = Span::of_line(&policy.text, at.line);
        let problem = Diagnostic::error(self.code, span, message, at.label).help(self.help);
        let problem = Diagnostic { severity: self.severity, ..problem };
        Some(Finding { repository: repository.clone(), file: at.files.policy_file()?, problem })
    }
}

impl Finding {
    /// The same, with a line of another policy file.
    pub(super) fn with_policy(mut self, at: &At<'_>) -> Self {
        if let (Some(policy), Some(file)) = (&at.files.policy, at.files.policy_file()) {
            let Span { line, column, .. } = Span::of_line(&policy.text, at.line);
            self.problem.elsewhere = Some(Elsewhere { file, line, column, label: at.label.to_owned() });
        }
        self
    }

    /// The same, with a line of a workflow.
    pub(super) fn with_workflow(mut self, file: String, line: u32, label: &str) -> Self {
        self.problem.elsewhere = Some(Elsewhere { file, line, column: 1, label: label.to_owned() });
        self
    }

    /// The same, with another help.
    pub(super) fn helped_by(mut self, help: &str) -> Self {
        self.problem.help = Some(help.to_owned());
        self
    }
}
