//! Markdown that other people's text cannot get out of.

use crate::Timestamp;
use crate::quote::{hidden, quote};

/// The longest text of a code span, in characters, escapes included.
pub(crate) const MAX_CODE: usize = 700;
/// The longest address that becomes a link.
const MAX_URL: usize = 1_024;

/// A code span that nothing gets out of. Two backticks next to each other would begin another kind of span, and the
/// beginning of a comment could pass for a marker.
pub(crate) fn code(text: &str, max: usize) -> String {
    if text.trim().is_empty() {
        return "(nothing)".to_owned();
    }
    let quoted = quote(text.replace("<!--", "<!- -")).to_string();
    if quoted.chars().count() <= max {
        return quoted;
    }
    let mut cut: String = quoted.chars().take(max.saturating_sub(2)).collect();
    cut.push_str("…`");
    cut
}

/// One of our sentences, whose names and values stand in code spans: as it is, where nothing but plain prose stands outside
/// of the spans; else, as one code span.
pub(crate) fn sentence(message: &str) -> String {
    let plain = |c: char| {
        c.is_alphanumeric()
            || matches!(c, ' ' | ',' | '.' | ';' | ':' | '\'' | '(' | ')' | '-' | '_' | '=' | '/' | '?' | '%')
    };
    let spans = message.split('`').count();
    let prose = message.split('`').step_by(2);
    let harmless = spans % 2 == 1
        && !message.contains("``")
        && !message.contains("<!--")
        && !message.chars().any(hidden)
        && message.chars().count() <= MAX_CODE
        && prose.clone().all(|part| part.chars().all(plain) && !part.contains("://") && !part.contains("www."))
        && !message.trim().is_empty();
    if harmless { message.to_owned() } else { code(message, MAX_CODE) }
}

/// The address, if it can be a link's: `https`, and no character that ends a link or a line.
pub(crate) fn https(url: &str) -> Option<&str> {
    let safe = |c: char| c.is_ascii_alphanumeric() || "-._~:/?#[]@!$&'*+,;=%".contains(c);
    let host = url.strip_prefix("https://")?;
    (!host.is_empty() && url.len() <= MAX_URL && url.chars().all(safe)).then_some(url)
}

/// A link, where the address can be one; else the text alone. The text is Markdown already.
pub(crate) fn link(text: &str, url: &str) -> String {
    https(url).map_or_else(|| text.to_owned(), |url| format!("[{text}](<{url}>)"))
}

/// An address as a link to itself; else as a code span.
pub(crate) fn address(url: &str) -> String {
    link(&code(url, MAX_CODE), url)
}

/// A time.
pub(crate) fn at(time: Timestamp) -> String {
    format!("`{time:.0}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_sentences_stay_prose_and_everything_else_becomes_a_code_span() {
        let cases = [
            ("no rule of `octo-org/web` names `ci.yml`", "no rule of `octo-org/web` names `ci.yml`"),
            ("it has `1` input (`a`)", "it has `1` input (`a`)"),
            ("ask @octocat", "`ask @octocat`"),
            ("see https://evil.example", "`see https://evil.example`"),
            ("[x](y)", "`[x](y)`"),
            ("an open ` span", r"`an open \u{60} span`"),
            ("``", r"`\u{60}\u{60}`"),
            ("<img src=x>", "`<img src=x>`"),
            ("two\nlines", r"`two\u{a}lines`"),
            ("a `<!-- dispatch -->`", r"`a \u{60}<!- - dispatch -->\u{60}`"),
            (" ", "(nothing)"),
        ];
        for (message, expected) in cases {
            assert_eq!(sentence(message), expected);
        }
    }

    #[test]
    fn only_an_https_address_that_stays_inside_becomes_a_link() {
        assert_eq!(link("a", "https://github.com/x"), "[a](<https://github.com/x>)");
        for url in
            ["http://github.com", "javascript:alert(1)", "https://", "https://a/)b", "https://a/>b", "https://a b"]
        {
            assert_eq!(link("a", url), "a", "{url}");
        }
    }
}
