//! JUnit XML, as CI systems read it: `testsuites`, `testsuite`, `testcase`, `failure` and `error`.

use std::fmt::Write;

use dispatch_core::diagnostic::visible;

use super::{Suite, Tested, headline};

/// The whole document. A file that is wrong is a suite with one case, which is an error.
pub(super) fn write(suites: &[Suite]) -> String {
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let (mut tests, mut failures, mut errors) = (0, 0, 0);
    for suite in suites {
        let error = usize::from(suite.problem.is_some());
        (tests, failures, errors) = (tests + suite.tests.len() + error, failures + suite.failed(), errors + error);
    }
    line(&mut xml, 0, &format!("<testsuites tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\">"));
    for suite in suites {
        write_suite(&mut xml, suite);
    }
    line(&mut xml, 0, "</testsuites>");
    xml
}

fn write_suite(xml: &mut String, suite: &Suite) {
    let file = attribute(&suite.file);
    let error = usize::from(suite.problem.is_some());
    let (tests, failures) = (suite.tests.len() + error, suite.failed());
    line(xml, 1, &format!("<testsuite name=\"{file}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"{error}\">"));
    for test in &suite.tests {
        write_test(xml, &file, test);
    }
    if let Some(problem) = &suite.problem {
        line(xml, 2, &format!("<testcase name=\"the file is read\" classname=\"{file}\" file=\"{file}\">"));
        let told = suite.wrong.as_ref().map(|(diagnostics, source)| diagnostics.render(source)).unwrap_or_default();
        let message = attribute(&problem.line);
        line(xml, 3, &format!("<error message=\"{message}\">{}</error>", content(told.trim_end())));
        line(xml, 2, "</testcase>");
    }
    line(xml, 1, "</testsuite>");
}

fn write_test(xml: &mut String, file: &str, test: &Tested) {
    let (name, number) = (attribute(&test.name), test.line);
    let case = format!("<testcase name=\"{name}\" classname=\"{file}\" file=\"{file}\" line=\"{number}\"");
    if test.passed {
        line(xml, 2, &format!("{case}/>"));
        return;
    }
    line(xml, 2, &format!("{case}>"));
    let headlines: Vec<_> = test.outcome.differences.iter().map(headline).collect();
    let (message, told) = (attribute(&headlines.join("; ")), test.outcome.to_string());
    line(xml, 3, &format!("<failure message=\"{message}\">{}</failure>", content(told.trim_end())));
    line(xml, 2, "</testcase>");
}

fn line(xml: &mut String, level: usize, text: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(xml, "{:1$}{text}", "", level * 2);
}

/// The value of an attribute: one line. What is not seen as itself is escaped first, as for a terminal.
fn attribute(text: &str) -> String {
    content(&visible(text))
}

/// Text between tags, or between quotes. Characters that XML 1.0 forbids cannot be written at all, not even escaped, so that
/// they are shown as `\u{..}`.
fn content(text: &str) -> String {
    let mut escaped = String::new();
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            '\t' | '\n' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'.. => escaped.push(character),
            forbidden => escaped.extend(forbidden.escape_unicode()),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_is_written_so_that_xml_can_hold_it() {
        let cases = [
            ("plain ü €", "plain ü €"),
            ("a<b>&\"c'", "a&lt;b&gt;&amp;&quot;c&apos;"),
            ("]]>", "]]&gt;"),
            ("&amp;", "&amp;amp;"),
            ("two\nlines\tand a tab", "two\nlines\tand a tab"),
            ("\0\u{1}\u{8}\u{b}\u{1b}[2J\r", r"\u{0}\u{1}\u{8}\u{b}\u{1b}[2J\u{d}"),
            ("\u{fffe}\u{ffff}\u{fffd}\u{1f600}", "\\u{fffe}\\u{ffff}\u{fffd}\u{1f600}"),
        ];
        for (text, escaped) in cases {
            assert_eq!(content(text), escaped, "{text:?}");
        }
        assert_eq!(attribute("a\nb\t\u{202e}\u{85}\u{7f}\""), "a\\u{a}b    \\u{202e}\\u{85}\\u{7f}&quot;");
    }
}
