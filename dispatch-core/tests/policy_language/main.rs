//! Every problem that a policy file can have: its code, its place, and what people read.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod environments;
mod events;
mod file;
mod forms;
mod helps;
mod hostile;
mod limits;
mod values;

use dispatch_core::diagnostic::visible;
use dispatch_core::policy::{Checked, Policy};

pub(crate) fn check(bytes: &[u8]) -> Checked {
    Policy::check(bytes, &"acme".parse().unwrap(), "dispatching.yml")
}

/// `code line:column` of every problem, and whether the file still means something.
pub(crate) fn problems(bytes: &[u8]) -> (String, bool) {
    let checked = check(bytes);
    let told = checked.diagnostics.problems.iter().map(|problem| {
        let marked = bytes.get(problem.span.start..problem.span.end).unwrap_or(b"(outside of the file)");
        let marked = String::from_utf8_lossy(marked);
        let marked = marked.lines().next().unwrap_or_default();
        format!("{} {}:{} {marked}", problem.code, problem.span.line, problem.span.column)
    });
    (told.collect::<Vec<_>>().join("; "), checked.policy.is_some())
}

/// A line for every case: its problems, and whether the file still means something.
pub(crate) fn told_of(table: Vec<(&str, Vec<u8>)>) -> String {
    let lines = table.into_iter().map(|(name, bytes)| {
        let (told, means_something) = problems(&bytes);
        let end = if means_something { " - and yet a policy" } else { "" };
        let told: String = visible(&told).chars().take(120).collect();
        format!("{name}: {told}{end}\n")
    });
    lines.collect()
}

/// What people read about a file.
pub(crate) fn told(text: &str) -> String {
    check(text.as_bytes()).diagnostics.render(text)
}
