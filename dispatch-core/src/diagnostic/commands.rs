//! Problems as workflow commands, which GitHub Actions shows at their lines.

use std::fmt::Write as _;

use super::{Diagnostics, Elsewhere, visible};

/// One `::error ...::` or `::warning ...::` for each problem, one on a line. What a file holds comes out [`visible`], and
/// cannot end a command or begin another one.
#[must_use]
pub fn workflow_commands(files: &[Diagnostics]) -> String {
    let mut text = String::new();
    for (file, problem) in files.iter().flat_map(|file| file.problems.iter().map(move |problem| (file, problem))) {
        let mut message = visible(&problem.message).into_owned();
        // Writing to a String cannot fail.
        if let Some(Elsewhere { file, line, label, .. }) = &problem.elsewhere {
            let _ = write!(message, "\n{}: {}:{line}", visible(label), visible(file));
        }
        if let Some(help) = &problem.help {
            let _ = write!(message, "\nhelp: {}", visible(help));
        }
        let _ = writeln!(
            text,
            "::{} file={},line={},col={},title={}::{}",
            problem.severity.as_str(),
            property(visible(file.file.strip_prefix("./").unwrap_or(&file.file)).as_ref()),
            problem.span.line,
            problem.span.column,
            property(&problem.code),
            data(&message),
        );
    }
    text
}

/// What stands behind the second `::` ("Workflow commands", `escapeData` of `@actions/core`).
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// What stands behind a `=`.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::{Diagnostic, Span};

    #[test]
    fn a_problem_is_one_command_whatever_its_texts_are() {
        let span = Span { line: 3, column: 7, ..Span::default() };
        let error = Diagnostic::error("no_good", span, "100% of `a\n::set-env::b`", "here").help("mend: it, now");
        let elsewhere = Elsewhere { file: "b/d.yml".to_owned(), line: 9, column: 1, label: "there".to_owned() };
        let warning = Diagnostic { elsewhere: Some(elsewhere), ..Diagnostic::warning("so_so", span, "m", "here") };
        let files = [Diagnostics::new("./a,b:c/d\r.yml", vec![error, warning])];
        insta::assert_snapshot!(workflow_commands(&files), @r"
        ::error file=a%2Cb%3Ac/d\u{d}.yml,line=3,col=7,title=no_good::100%25 of `a\u{a}::set-env::b`%0Ahelp: mend: it, now
        ::warning file=a%2Cb%3Ac/d\u{d}.yml,line=3,col=7,title=so_so::m%0Athere: b/d.yml:9
        ");
    }
}
