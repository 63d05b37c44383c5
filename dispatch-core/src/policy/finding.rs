//! What was found while a file was checked.

use crate::diagnostic::{Diagnostic, Diagnostics, Span};

/// How many problems of a file are told. Who has that many mends some and looks again.
const MAX_TOLD: usize = 100;

/// The problems so far, and whether the file still means something.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    problems: Vec<Diagnostic>,
    /// The place of the first problem that is not told.
    untold: Option<Span>,
    invalid: bool,
}

impl Findings {
    /// A problem that makes the whole file mean nothing.
    pub(crate) fn invalid(&mut self, problem: Diagnostic) {
        self.invalid = true;
        self.note(problem);
    }

    /// A problem with which the file still means something: a warning, or an error that denies one target only.
    pub(crate) fn note(&mut self, problem: Diagnostic) {
        if self.problems.len() < MAX_TOLD {
            self.problems.push(problem);
        } else {
            self.untold.get_or_insert(problem.span);
        }
    }

    /// Whether no more are told: from here on, finding the exact place of a problem is work for nothing.
    pub(crate) fn are_enough(&self) -> bool {
        self.problems.len() >= MAX_TOLD
    }

    /// Whether the file means nothing.
    pub(crate) fn is_invalid(&self) -> bool {
        self.invalid
    }

    pub(crate) fn into_diagnostics(mut self, file: &str) -> Diagnostics {
        if let Some(span) = self.untold {
            let message = format!("the file has more than {MAX_TOLD} problems");
            let problem = Diagnostic::error("too_many_problems", span, message, "and from here on");
            self.problems.push(problem.help("mend the ones above and look again"));
        }
        Diagnostics::new(file, self.problems)
    }
}
