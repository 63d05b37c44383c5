//! Other people's text inside our sentences.

use std::fmt::{self, Display, Write};

/// Puts a name or a value between backticks, so that it cannot leave them, break the line, or reorder the text around
/// it: backticks, control characters and invisible formatting characters are written as `\u{..}`. What comes out is
/// safe in a log line, a terminal and a Markdown code span.
///
/// ```
/// use dispatch_core::quote::quote;
/// assert_eq!(quote("main").to_string(), "`main`");
/// assert_eq!(quote("a`b\n").to_string(), r"`a\u{60}b\u{a}`");
/// ```
pub fn quote<T: Display>(value: T) -> impl Display {
    Quote(value)
}

struct Quote<T>(T);

impl<T: Display> Display for Quote<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('`')?;
        write!(Escape(f), "{}", self.0)?;
        f.write_char('`')
    }
}

struct Escape<'a, 'f>(&'a mut fmt::Formatter<'f>);

impl Write for Escape<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars()
            .try_for_each(|c| if harmful(c) { write!(self.0, "{}", c.escape_unicode()) } else { self.0.write_char(c) })
    }
}

/// Characters that end a code span or a line, or that are not seen but change what is seen.
fn harmful(c: char) -> bool {
    c == '`' || hidden(c)
}

/// Characters that are not seen as themselves: control characters, zero-width and filler characters, line separators,
/// and the marks that reorder text (Unicode Standard Annex 9).
pub(crate) fn hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// A list of quoted values: `` `a`, `b` ``.
pub(crate) fn quote_all<T: Display>(values: impl IntoIterator<Item = T>) -> String {
    values.into_iter().map(|value| quote(value).to_string()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_never_leaves_its_backticks() {
        let cases = [
            ("plain", "`plain`"),
            ("two words", "`two words`"),
            ("näme", "`näme`"),
            ("$(id)", "`$(id)`"),
            ("`code`", r"`\u{60}code\u{60}`"),
            ("a\r\nb", r"`a\u{d}\u{a}b`"),
            ("\u{1b}[31m", r"`\u{1b}[31m`"),
            ("a\u{202e}b", r"`a\u{202e}b`"),
        ];
        for (text, quoted) in cases {
            assert_eq!(quote(text).to_string(), quoted);
        }
        assert_eq!(quote_all(["a", "b"]), "`a`, `b`");
    }
}
