//! What every target expects of what is told about files.

use dispatch_core::diagnostic::{Diagnostic, Diagnostics, Span, sarif, workflow_commands};

/// Whether every problem has its place inside the file, and can be shown.
pub fn told_well(diagnostics: &Diagnostics, bytes: &[u8]) {
    for problem in &diagnostics.problems {
        placed_well(problem, bytes);
    }
    let shown = diagnostics.render(&String::from_utf8_lossy(bytes));
    harmless(&shown);
    let files = [diagnostics.clone()];
    harmless(&workflow_commands(&files));
    let sarif = sarif(&files).to_string();
    assert!(serde_json::from_str::<serde_json::Value>(&sarif).is_ok(), "{sarif}");
}

/// Whether a problem has its place inside the file, and one line of message.
pub fn placed_well(problem: &Diagnostic, bytes: &[u8]) {
    assert!(!problem.message.is_empty() && !problem.message.chars().any(char::is_control), "{problem:?}");
    for span in [Some(problem.span), problem.related.as_ref().map(|related| related.span)].into_iter().flatten() {
        inside(span, bytes);
    }
}

fn inside(span: Span, bytes: &[u8]) {
    assert!(span.start <= span.end && span.end <= bytes.len(), "{span:?} is outside of {} bytes", bytes.len());
    assert!(has_line(span.line, bytes), "{span:?} is outside of the lines");
    assert!(span.column >= 1, "{span:?} has no column");
}

/// Whether a file has a line of this number.
pub fn has_line(line: u32, bytes: &[u8]) -> bool {
    let ends = bytes.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count();
    line >= 1 && line as usize <= ends + 1
}

/// Whether a terminal shows a text as it is: lines, and nothing that moves the cursor or reorders.
pub fn harmless(shown: &str) {
    let harmful =
        |c: char| c.is_control() && c != '\n' || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    assert!(!shown.chars().any(harmful), "{shown:?}");
}
