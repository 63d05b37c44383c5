//! What the story is written on: colour on a terminal that wants it, plain text everywhere else.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

/// The widest line, so that nothing wraps by itself on a usual terminal.
const WIDTH: usize = 88;

/// The standard output.
pub(super) struct Screen {
    colour: bool,
}

/// How a word looks.
#[derive(Debug, Clone, Copy)]
pub(super) enum Style {
    Strong,
    Faint,
    Yes,
    No,
    Name,
}

impl Screen {
    /// The standard output, in colour on a terminal unless `NO_COLOR` is set.
    pub(super) fn new() -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { colour: wanted && io::stdout().is_terminal() }
    }

    /// A text in a style.
    pub(super) fn paint(&self, style: Style, text: impl Display) -> String {
        let code = match style {
            Style::Strong => "1",
            Style::Faint => "2",
            Style::Yes => "32",
            Style::No => "31",
            Style::Name => "36",
        };
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_string() }
    }

    /// One line, at once.
    pub(super) fn line(&self, text: impl Display) -> io::Result<()> {
        let mut out = io::stdout().lock();
        writeln!(out, "{text}")?;
        out.flush()
    }

    /// An act's title.
    pub(super) fn title(&self, number: usize, title: &str) -> io::Result<()> {
        self.line("")?;
        self.line(format_args!(
            "{} {}",
            self.paint(Style::Faint, format_args!("{number:>3} ")),
            self.paint(Style::Strong, title)
        ))
    }

    /// Why an act comes out as it does.
    pub(super) fn remark(&self, text: &str) -> io::Result<()> {
        wrapped(text, WIDTH - 5).iter().try_for_each(|part| {
            let part = self.paint(Style::Faint, part);
            self.line(format_args!("     {part}"))
        })
    }

    /// One line of a comment at GitHub.
    pub(super) fn quoted(&self, line: &str) -> io::Result<()> {
        let bar = self.paint(Style::Faint, "│");
        wrapped(line, WIDTH - 12).iter().try_for_each(|part| self.line(format_args!("          {bar} {part}")))
    }

    /// One line of a report that is set out already. Only one that begins at the margin is broken where it is too wide.
    pub(super) fn report(&self, line: &str) -> io::Result<()> {
        let parts = if line.starts_with(' ') { vec![line.to_owned()] } else { wrapped(line, WIDTH - 11) };
        parts.iter().try_for_each(|part| self.line(format_args!("           {part}").to_string().trim_end()))
    }

    /// A detail under a decision: a short label, and a text that may take several lines.
    pub(super) fn detail(&self, label: &str, text: &str) -> io::Result<()> {
        let mut label = label;
        for part in wrapped(text, WIDTH - 20) {
            self.line(format_args!("          {} {part}", self.paint(Style::Faint, format_args!("{label:<9}"))))?;
            label = "";
        }
        Ok(())
    }
}

/// The text in lines of at most `width` characters, broken at spaces.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::wrapped;

    #[test]
    fn long_texts_break_at_spaces() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("immeasurable", 7), ["immeasurable"]);
    }
}
