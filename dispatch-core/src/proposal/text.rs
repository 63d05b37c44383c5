//! What the check of a proposed policy file says.

use std::fmt::Write as _;

use super::{Answer, Answers, Direction, MAX_ANNOTATIONS, Proposal, Verdict};
use crate::diagnostic::{Diagnostics, Severity};
use crate::policy::Source;
use crate::quote::{quote, quote_all};
use crate::reason::Reason;
use crate::report::markdown::{MAX_CODE, code, sentence};

/// Where no further edge is written: GitHub takes 65,535 characters, and an edge needs less than the rest.
const MAX_EDGES_TEXT: usize = 40_000;

/// The title, and the summary.
pub(super) fn write(
    proposal: &Proposal<'_>,
    problems: &Diagnostics,
    answers: Option<&Answers<'_>>,
) -> (String, String) {
    let Some(file) = &proposal.file else {
        let text = "This pull request removes the policy file. Once it is merged, nothing starts from here, and nothing here \
                    is started, any more.\n";
        return ("the policy file goes".to_owned(), text.to_owned());
    };
    let path = quote(file.path);
    // Writing to a String cannot fail.
    let mut text = format!(
        "This pull request changes the policy file. This is about {path} as it is in its newest commit: nothing but this \
         check reads it before it is merged.\n\n"
    );
    let count = |severity| problems.problems.iter().filter(|problem| problem.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let found = match (errors, warnings) {
        (0, 0) => "no problems".to_owned(),
        (errors, 0) => counted(errors, "error"),
        (0, warnings) => counted(warnings, "warning"),
        (errors, warnings) => format!("{}, {}", counted(errors, "error"), counted(warnings, "warning")),
    };
    let _ = write!(text, "**The file: {found}.**");
    if file.checked.policy.is_none() {
        text.push_str(" It would mean nothing until the errors are mended: nothing would start.");
    }
    text.push('\n');
    let hidden = (errors + warnings).saturating_sub(MAX_ANNOTATIONS);
    if hidden > 0 {
        let _ =
            writeln!(text, "\n{MAX_ANNOTATIONS} of them are shown at their lines, and {hidden} more are not shown.");
    }
    let title = match answers.filter(|answers| !answers.known.is_empty()) {
        None => found,
        Some(answers) => {
            write_edges(&mut text, answers);
            let allowed = answers.known.iter().filter(|answer| answer.is_allowed()).count();
            let all = answers.known.len() + answers.more;
            format!("{found}; {allowed} of {} would be allowed", counted(all, "edge"))
        }
    };
    if answers.is_none() && file.checked.policy.is_some() {
        text.push_str(
            "\nWhat would start is shown for pull requests of this repository, after a change by their author, where the author \
             may write to it.\n",
        );
    }
    (title, text)
}

fn write_edges(text: &mut String, answers: &Answers<'_>) {
    let mut left_out = answers.more;
    let parts = [(Direction::Out, "What would start from here"), (Direction::In, "What would be started here")];
    for (direction, heading) in parts {
        let mut of_it = answers.known.iter().filter(|answer| answer.edge.direction == direction).peekable();
        if of_it.peek().is_some() {
            let _ = write!(text, "\n### {heading}\n\n");
        }
        for answer in of_it {
            if text.chars().count() > MAX_EDGES_TEXT {
                left_out += 1;
            } else {
                write_edge(text, answer);
            }
        }
    }
    if left_out > 0 {
        let _ = write!(
            text,
            "\n{} more not shown: the file has more than one check can show.\n",
            counted(left_out, "edge")
        );
    }
    text.push_str(
        "\nAsked as if it were merged now, with the other side's file as it is. Who gives a command is taken to be one who may, \
         a commit to be where it should be, and a branch of another repository to be its default branch.\n",
    );
}

fn write_edge(text: &mut String, answer: &Answer<'_>) {
    let edge = &answer.edge;
    let short = |value: &dyn std::fmt::Display| code(&value.to_string(), MAX_CODE / 4);
    let what = match edge.source {
        Source::WorkflowRun(source) => format!("runs of {}", short(&source.workflow)),
        Source::PullRequest(source) => format!("pull requests that are {}", quote_all(&source.actions)),
        Source::Command(source) => format!("the command {}", short(&source.command)),
    };
    let starts = if matches!(edge.source, Source::Command(_)) { "starts" } else { "start" };
    let (start, other) = (short(&edge.target.start), short(edge.other));
    let _ = match edge.direction {
        Direction::Out => writeln!(text, "- Line {}: {what} {starts} {start} of {other}", edge.line),
        Direction::In => writeln!(text, "- Line {}: {what} of {other} {starts} {start}", edge.line),
    };
    // What is said alike of several events is said once.
    let mut said: Vec<(&Verdict, Vec<&str>)> = Vec::new();
    for (words, verdict) in &answer.verdicts {
        match said.iter_mut().find(|(other, _)| *other == verdict) {
            Some((_, all)) => all.push(words),
            None => said.push((verdict, vec![words])),
        }
    }
    for (verdict, words) in said {
        let _ = match verdict {
            Verdict::Allowed(rule) => {
                let who = rule
                    .as_ref()
                    .map_or_else(|| "both sides agree".to_owned(), |rule| format!("{} agrees", short(rule)));
                writeln!(text, "  - {}: would be allowed, {who}", words.join("; "))
            }
            Verdict::Denied(reason, message) => {
                writeln!(text, "  - {}: **would not be allowed**: {}", words.join("; "), because(*reason, message))
            }
            Verdict::Depends(assumed, reason, message) => writeln!(
                text,
                "  - {}: **depends on what is sent**; {} would not be allowed: {}",
                words.join("; "),
                sentence(assumed),
                because(*reason, message)
            ),
        };
    }
}

fn because(reason: Option<Reason>, message: &str) -> String {
    let reason = reason.map(|reason| format!(" ({})", quote(reason))).unwrap_or_default();
    format!("{}{reason}", sentence(message))
}

impl Answer<'_> {
    /// Whether everything that was asked about would be allowed.
    fn is_allowed(&self) -> bool {
        !self.verdicts.is_empty() && self.verdicts.iter().all(|(_, verdict)| matches!(verdict, Verdict::Allowed(_)))
    }
}

fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}
