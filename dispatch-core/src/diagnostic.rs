//! What is wrong in a file, where, and how to mend it.

mod commands;
mod sarif;

use std::borrow::Cow;
use std::ops::Range;

use annotate_snippets::{Annotation, AnnotationKind, Level, Renderer, Snippet};
use serde::{Deserialize, Serialize};

pub use self::commands::workflow_commands;
pub use self::sarif::sarif;
use crate::quote::{hidden, quote};

/// A place in a file. Line and column are 1-based; the column counts characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
    /// 1-based line of the first byte.
    pub line: u32,
    /// 1-based column of the first byte, in characters.
    pub column: u32,
}

impl Span {
    /// Where a file starts.
    pub(crate) const TOP: Self = Self { start: 0, end: 0, line: 1, column: 1 };

    /// A line of a text, from its first character that is no space. Where the text has no such line, nothing of it.
    pub(crate) fn of_line(text: &str, line: u32) -> Self {
        let mut start = 0;
        let mut rest = text;
        for _ in 1..line {
            let Some(end) = rest.find(['\n', '\r']) else { break };
            let ending = if rest.get(end..).is_some_and(|ending| ending.starts_with("\r\n")) { 2 } else { 1 };
            start += end + ending;
            rest = rest.get(end + ending..).unwrap_or_default();
        }
        let content = rest.split(['\n', '\r']).next().unwrap_or_default();
        let indent = content.len() - content.trim_start().len();
        let column = content.get(..indent).map_or(0, |indent| indent.chars().count()) + 1;
        let end = start + content.trim_end().len().max(indent);
        Self { start: start + indent, end, line, column: u32::try_from(column).unwrap_or(u32::MAX) }
    }

    /// The place of some bytes of `text`, which stands at this place. The bytes may be past its end.
    pub(crate) fn inside(self, text: &str, bytes: Range<usize>) -> Self {
        let (mut line, mut column) = (self.line, self.column);
        let mut characters = text.get(..bytes.start).unwrap_or(text).chars().peekable();
        while let Some(character) = characters.next() {
            let ends_line = character == '\n' || (character == '\r' && characters.peek() != Some(&'\n'));
            (line, column) = if ends_line { (line + 1, 1) } else { (line, column + 1) };
        }
        Self { start: self.start + bytes.start, end: self.start + bytes.end, line, column }
    }
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// It does not work until this is mended.
    Error,
    /// It works; this is probably not what was meant.
    Warning,
}

impl Severity {
    /// The word for it, as it is serialised.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One problem of a file. Texts can quote the file, in backticks and escaped by [`visible`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// A stable code in `snake_case`.
    pub code: Cow<'static, str>,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong: lower case, one line, the file's text in backticks.
    pub message: String,
    /// Where.
    pub span: Span,
    /// What to say right at the place.
    pub label: String,
    /// How to mend it, where that is known. A did-you-mean goes here.
    pub help: Option<String>,
    /// Another place that has to do with it, such as the first one of two.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub related: Option<Related>,
    /// A place in another file that has to do with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub elsewhere: Option<Elsewhere>,
}

/// A place in another file that has to do with a problem. Line and column are 1-based.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Elsewhere {
    /// The file's name, to be shown.
    pub file: String,
    /// Line.
    pub line: u32,
    /// Column, in characters.
    pub column: u32,
    /// What to say of the place.
    pub label: String,
}

/// Another place that has to do with a problem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Related {
    /// Where.
    pub span: Span,
    /// What to say right at the place.
    pub label: String,
}

impl Diagnostic {
    /// An error.
    #[must_use]
    pub fn error(code: &'static str, span: Span, message: impl Into<String>, label: impl Into<String>) -> Self {
        let (code, message, label) = (Cow::Borrowed(code), message.into(), label.into());
        Self { code, severity: Severity::Error, message, span, label, help: None, related: None, elsewhere: None }
    }

    /// A warning.
    #[must_use]
    pub fn warning(code: &'static str, span: Span, message: impl Into<String>, label: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, span, message, label) }
    }

    /// Says how to mend it.
    #[must_use]
    pub fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    /// Points at another place too.
    #[must_use]
    pub fn related(self, span: Span, label: impl Into<String>) -> Self {
        Self { related: Some(Related { span, label: label.into() }), ..self }
    }
}

/// The problems of one file, in the order of their places.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostics {
    /// The file's name, as it was given.
    pub file: String,
    /// The problems. Never empty when this is an error.
    pub problems: Vec<Diagnostic>,
}

impl Diagnostics {
    /// Puts problems in order. `file` is the name to show.
    #[must_use]
    pub fn new(file: &str, mut problems: Vec<Diagnostic>) -> Self {
        problems.sort_by_key(|problem| (problem.span, problem.code.clone()));
        Self { file: file.to_owned(), problems }
    }

    /// Whether one of them is an error.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.problems.iter().any(|problem| problem.severity == Severity::Error)
    }

    /// As people read it: the line of the source, a caret, the help; plain text. `source` is the text of the file. What
    /// the file holds comes out [`visible`], so that it cannot speak to the terminal.
    #[must_use]
    pub fn render(&self, source: &str) -> String {
        self.render_by(&Renderer::plain(), source)
    }

    /// [`Diagnostics::render`] with colours for a terminal.
    #[must_use]
    pub fn render_coloured(&self, source: &str) -> String {
        self.render_by(&Renderer::styled(), source)
    }

    fn render_by(&self, renderer: &Renderer, source: &str) -> String {
        let file = visible(&self.file);
        let mut text = String::new();
        for problem in &self.problems {
            let level = match problem.severity {
                Severity::Error => Level::ERROR,
                Severity::Warning => Level::WARNING,
            };
            let main = Excerpt::of(source, problem.span);
            let title = level.primary_title(visible(&problem.message)).id(problem.code.clone());
            let mut group = title.element(main.snippet(&file, &problem.label, AnnotationKind::Primary));
            if let Some(related) = &problem.related {
                let excerpt = Excerpt::of(source, related.span);
                group = group.element(excerpt.snippet(&file, &related.label, AnnotationKind::Context));
            }
            if let Some(Elsewhere { file, line, column, label }) = &problem.elsewhere {
                let note = format!("{}: {}:{line}:{column}", visible(label), visible(file));
                group = group.element(Level::NOTE.message(note));
            }
            if let Some(help) = &problem.help {
                group = group.element(Level::HELP.message(visible(help)));
            }
            let rendered = renderer.render(&[group]);
            // The renderer counts columns in the excerpt, which is cut, and longer where something was made visible.
            let place = |column| format!("{file}:{}:{column}", problem.span.line);
            text.push_str(&rendered.replacen(&place(main.column), &place(problem.span.column), 1));
            text.push_str("\n\n");
        }
        text
    }
}

/// The characters shown before the place and behind its start, where a line is long.
const SHOWN_BEFORE: usize = 60;
const SHOWN_BEHIND: usize = 120;

/// The line of a place, cut to its surroundings and made visible, and the place in it.
struct Excerpt {
    text: String,
    start: usize,
    end: usize,
    /// 1-based, of the start.
    column: u32,
    line: u32,
}

impl Excerpt {
    fn snippet<'a>(&self, file: &'a str, label: &'a str, kind: AnnotationKind) -> Snippet<'a, Annotation<'a>> {
        let annotation = kind.span(self.start..self.end).label(visible(label));
        Snippet::source(self.text.clone()).line_start(self.line as usize).path(file).annotation(annotation)
    }

    fn of(source: &str, span: Span) -> Self {
        let (before, behind) = source.split_at_checked(span.start).unwrap_or((source, ""));
        let before = before.rsplit(['\n', '\r']).next().unwrap_or_default();
        let behind = behind.split(['\n', '\r']).next().unwrap_or_default();
        let shown = before.char_indices().rev().take(SHOWN_BEFORE).last().map_or(0, |(at, _)| at);
        let mut text = String::new();
        for character in before.get(shown..).unwrap_or_default().chars() {
            push_visible(&mut text, character);
        }
        let start = text.len();
        let mut end = start;
        let marked = span.end.saturating_sub(span.start);
        for (at, character) in behind.char_indices().take(SHOWN_BEHIND) {
            push_visible(&mut text, character);
            if at < marked {
                end = text.len();
            }
        }
        let column = text.get(..start).map_or(0, |before| before.chars().count()) + 1;
        Self { text, start, end, column: u32::try_from(column).unwrap_or(u32::MAX), line: span.line }
    }
}

/// The text with everything escaped that is not seen as itself: control characters, line ends, terminal escapes, marks
/// that change the direction of writing, characters without width.
///
/// ```
/// assert_eq!(dispatch_core::diagnostic::visible("a\u{1b}[2J\u{202e}"), r"a\u{1b}[2J\u{202e}");
/// ```
#[must_use]
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.chars().any(hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::new();
    text.chars().for_each(|character| push_visible(&mut shown, character));
    Cow::Owned(shown)
}

/// A text of the file as a message quotes it: at most 80 characters.
pub(crate) fn quoted(text: &str) -> String {
    match text.char_indices().nth(80) {
        Some((end, _)) => quote(format_args!("{}...", text.get(..end).unwrap_or_default())).to_string(),
        None => quote(text).to_string(),
    }
}

/// The candidate that was probably meant, if one is near.
pub(crate) fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    if word.len() > 64 {
        return None;
    }
    let lower = word.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&lower, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.chars().count().div_ceil(3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

fn push_visible(text: &mut String, character: char) {
    match character {
        '\t' => text.push_str("    "),
        unseen if hidden(unseen) => text.extend(unseen.escape_unicode()),
        seen => text.push(seen),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(source: &str, part: &str) -> Span {
        let start = source.find(part).unwrap();
        Span::TOP.inside(source, start..start + part.len())
    }

    fn render(source: &str, problem: Diagnostic) -> String {
        Diagnostics::new("dispatching.yml", vec![problem]).render(source)
    }

    #[test]
    fn a_problem_shows_its_line_and_both_places() {
        let source = "a: 1\nb: 2\na: 3\n";
        let again = Span { start: 10, end: 11, line: 3, column: 1 };
        let problem = Diagnostic::error("duplicate_key", again, "the key `a` is there twice", "again here")
            .related(at(source, "a"), "first here")
            .help("keep one of them");
        insta::assert_snapshot!(render(source, problem), @"
        error[duplicate_key]: the key `a` is there twice
         --> dispatching.yml:3:1
          |
        3 | a: 3
          | ^ again here
          |
         ::: dispatching.yml:1:1
          |
        1 | a: 1
          | - first here
          |
          = help: keep one of them
        ");
    }

    #[test]
    fn a_place_in_another_file_is_named() {
        let other = Elsewhere { file: "b\u{7}.yml".to_owned(), line: 3, column: 5, label: "accepted here".to_owned() };
        let problem = Diagnostic { elsewhere: Some(other), ..Diagnostic::warning("x", at("a: 1", "a"), "m", "here") };
        insta::assert_snapshot!(render("a: 1", problem.help("mend it")), @r"
        warning[x]: m
         --> dispatching.yml:1:1
          |
        1 | a: 1
          | ^ here
          |
          = note: accepted here: b\u{7}.yml:3:5
          = help: mend it
        ");
    }

    #[test]
    fn a_line_is_marked_from_its_first_to_its_last_character() {
        let text = "a\n  b c \r\n\rd";
        for (line, start, end, column) in [(1, 0, 1, 1), (2, 4, 7, 3), (3, 10, 10, 1), (4, 11, 12, 1), (9, 11, 12, 1)] {
            assert_eq!(Span::of_line(text, line), Span { start, end, line, column }, "{line}");
        }
    }

    #[test]
    fn what_a_file_holds_cannot_speak_to_the_terminal() {
        let source = "key: \"\u{1b}[2J\u{202e}nigol\u{7}\tx\" # \u{9b}31m\r\nb: 1\n";
        let problem = Diagnostic::error("x", at(source, "nigol"), "bad `\u{1b}]0;t\u{7}`", "a\nb").help("\u{200b}");
        let text = render(source, problem);
        assert!(text.chars().all(|c| c == '\n' || !hidden(c)), "{text:?}");
        insta::assert_snapshot!(text, @r#"
        error[x]: bad `\u{1b}]0;t\u{7}`
         --> dispatching.yml:1:12
          |
        1 | key: "\u{1b}[2J\u{202e}nigol\u{7}    x" # \u{9b}31m
          |                        ^^^^^ a\u{a}b
          |
          = help: \u{200b}
        "#);
    }

    #[test]
    fn a_long_line_is_shown_around_the_place() {
        let source = format!("{}HERE{}", "x".repeat(200_000), "y".repeat(200_000));
        let text = render(&source, Diagnostic::error("x", at(&source, "HERE"), "m", "l"));
        assert!(text.contains("HERE") && text.len() < 1_000, "{}", text.len());
    }

    #[test]
    fn a_place_outside_of_the_source_is_no_panic() {
        for source in ["", "ü", "a\n"] {
            for (start, end) in [(0, 0), (1, 2), (5, 9), (9, 5), (0, usize::MAX)] {
                let text = render(source, Diagnostic::error("x", Span { start, end, line: 1, column: 1 }, "m", "l"));
                assert!(text.contains("error[x]: m"), "{text}");
            }
        }
    }

    #[test]
    fn problems_come_in_the_order_of_their_places() {
        let source = "a: 1\nb: 2\n";
        let problems = ["b", "a"].map(|part| Diagnostic::warning("x", at(source, part), part, "here"));
        let sorted = Diagnostics::new("f", problems.to_vec());
        assert_eq!(sorted.problems[0].message, "a");
        assert!(!sorted.has_errors());
        insta::assert_snapshot!(serde_json::to_string(&sorted.problems[1]).unwrap(), @r#"{"code":"x","severity":"warning","message":"b","span":{"start":5,"end":6,"line":2,"column":1},"label":"here","help":null}"#);
    }

    #[test]
    fn the_nearest_word_is_found_only_when_it_is_near() {
        let words = ["workflow", "branches", "events"];
        for (word, expected) in [("branch", Some("branches")), ("Workflows", Some("workflow")), ("x", None), ("", None)]
        {
            assert_eq!(nearest(word, words), expected, "{word}");
        }
        assert_eq!(nearest(&"e".repeat(100_000), words), None);
    }
}
