//! Patterns over names: `*` (anything but `/`), `**` (anything), `?` (one character but `/`).
//!
//! ```
//! use dispatch_core::pattern::Pattern;
//! let releases: Pattern = "release/*".parse().unwrap();
//! assert!(releases.matches("release/1.2"));
//! assert!(!releases.matches("release/1.2/hotfix"));
//! ```

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One pattern. Parsed once; a match costs at most the pattern's length times the name's, whatever the pattern.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern {
    text: String,
    tokens: Vec<Token>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Token {
    /// This character.
    Literal(char),
    /// `?`
    OneInSegment,
    /// `*`
    ManyInSegment,
    /// `**`
    Many,
}

/// A text is not a pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a pattern: {problem}", text.escape_debug())]
pub struct PatternError {
    /// The refused text, cut to its first 100 characters.
    pub text: String,
    /// What is wrong with it.
    pub problem: &'static str,
}

impl Pattern {
    /// The longest pattern, in bytes: no name of GitHub's is longer.
    pub const MAX_LENGTH: usize = 255;

    /// The pattern as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn has_wildcards(&self) -> bool {
        self.tokens.iter().any(|token| !matches!(token, Token::Literal(_)))
    }

    /// Whether the pattern matches the whole name, with case: for branches.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        self.matches_by(name, |a, b| a == b)
    }

    /// Whether the pattern matches the whole name, without (ASCII) case: for owners and repositories.
    #[must_use]
    pub fn matches_ignore_case(&self, name: &str) -> bool {
        self.matches_by(name, |a, b| a.eq_ignore_ascii_case(&b))
    }

    /// Walks the name once and keeps, for every prefix of the pattern, whether it matches what was walked so far: no
    /// backtracking, so there is no slow pattern.
    fn matches_by(&self, name: &str, same: impl Fn(char, char) -> bool) -> bool {
        let mut matched = [false; Self::MAX_LENGTH];
        let mut start = true;
        let mut left = start;
        for (cell, token) in matched.iter_mut().zip(&self.tokens) {
            left &= matches!(token, Token::ManyInSegment | Token::Many);
            *cell = left;
        }
        for character in name.chars() {
            let in_segment = character != '/';
            let (mut left_before, mut left_now) = (start, false);
            start = false;
            for (cell, token) in matched.iter_mut().zip(&self.tokens) {
                let before = *cell;
                *cell = match *token {
                    Token::Literal(literal) => left_before && same(literal, character),
                    Token::OneInSegment => left_before && in_segment,
                    Token::ManyInSegment => left_now || (before && in_segment),
                    Token::Many => left_now || before,
                };
                (left_before, left_now) = (before, *cell);
            }
        }
        self.tokens.len().checked_sub(1).map_or(start, |last| matched.get(last).copied().unwrap_or(false))
    }
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let problem = match text {
            "" => Some("it is empty"),
            _ if text.len() > Self::MAX_LENGTH => Some("it is longer than 255 bytes"),
            // Elsewhere these mean something. Taking them as letters would let a rule say more than its author meant.
            _ if text.starts_with('!') => Some("nothing can be excluded with `!`: name what is wanted"),
            _ if text.contains('[') => Some("there are no character classes, only `*`, `**` and `?`"),
            _ if text.contains('\\') => Some("nothing can be escaped with a backslash"),
            _ if text.chars().any(char::is_control) => Some("it has a control character"),
            _ if text.trim() != text => Some("it starts or ends with a space"),
            _ => None,
        };
        match problem {
            Some(problem) => Err(PatternError { text: text.chars().take(100).collect(), problem }),
            None => Ok(Self { text: text.to_owned(), tokens: tokens(text) }),
        }
    }
}

fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    for character in text.chars() {
        match (character, tokens.last_mut()) {
            ('*', Some(Token::Many)) => {}
            ('*', Some(last @ Token::ManyInSegment)) => *last = Token::Many,
            ('*', _) => tokens.push(Token::ManyInSegment),
            ('?', _) => tokens.push(Token::OneInSegment),
            (literal, _) => tokens.push(Token::Literal(literal)),
        }
    }
    tokens
}

impl TryFrom<String> for Pattern {
    type Error = PatternError;

    fn try_from(text: String) -> Result<Self, PatternError> {
        text.parse()
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.text
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pattern({})", self.text)
    }
}

/// Patterns of which one must match. Never empty.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Pattern>", into = "Vec<Pattern>")]
pub struct PatternSet {
    patterns: Vec<Pattern>,
    /// Those that match more than one name: only these are walked.
    wildcards: Vec<Pattern>,
    /// The other ones.
    names: BTreeSet<String>,
    /// The same in lower case.
    lower_case_names: BTreeSet<String>,
}

impl PatternSet {
    /// Makes a set; None if there is no pattern.
    #[must_use]
    pub fn new(patterns: Vec<Pattern>) -> Option<Self> {
        let (wildcards, plain): (Vec<_>, Vec<_>) = patterns.iter().cloned().partition(Pattern::has_wildcards);
        let names: BTreeSet<_> = plain.into_iter().map(|pattern| pattern.text).collect();
        let lower_case_names = names.iter().map(|name| name.to_ascii_lowercase()).collect();
        (!patterns.is_empty()).then_some(Self { patterns, wildcards, names, lower_case_names })
    }

    /// The patterns, in the order of the file.
    #[must_use]
    pub fn patterns(&self) -> &[Pattern] {
        &self.patterns
    }

    /// Whether a pattern matches more than one name.
    pub(crate) fn has_wildcards(&self) -> bool {
        !self.wildcards.is_empty()
    }

    /// Whether a pattern matches the whole name, with case.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        self.names.contains(name) || self.wildcards.iter().any(|pattern| pattern.matches(name))
    }

    /// Whether a pattern matches the whole name, without case.
    #[must_use]
    pub fn matches_ignore_case(&self, name: &str) -> bool {
        self.lower_case_names.contains(&name.to_ascii_lowercase())
            || self.wildcards.iter().any(|pattern| pattern.matches_ignore_case(name))
    }
}

impl fmt::Debug for PatternSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PatternSet").field("patterns", &self.patterns).finish()
    }
}

impl TryFrom<Vec<Pattern>> for PatternSet {
    type Error = &'static str;

    fn try_from(patterns: Vec<Pattern>) -> Result<Self, &'static str> {
        Self::new(patterns).ok_or("there is no pattern")
    }
}

impl From<PatternSet> for Vec<Pattern> {
    fn from(set: PatternSet) -> Self {
        set.patterns
    }
}

/// The patterns in backticks, separated by commas.
impl fmt::Display for PatternSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, pattern) in self.patterns.iter().enumerate() {
            let comma = if position == 0 { "" } else { ", " };
            write!(f, "{comma}`{pattern}`")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pattern(text: &str) -> Pattern {
        text.parse().unwrap()
    }

    #[test]
    fn a_pattern_matches_whole_names() {
        let table = [
            ("main", "main", true),
            ("main", "Main", false),
            ("main", "mai", false),
            ("main", "mainline", false),
            ("main", "", false),
            ("*", "main", true),
            ("*", "", true),
            ("*", "release/1", false),
            ("**", "release/1/hotfix", true),
            ("**", "", true),
            ("release/*", "release/1.2", true),
            ("release/*", "release/", true),
            ("release/*", "release", false),
            ("release/*", "release/1/hotfix", false),
            ("release/**", "release/1/hotfix", true),
            ("release/**", "release", false),
            ("**/hotfix", "release/1/hotfix", true),
            ("**/hotfix", "hotfix", false),
            ("release/*/hotfix", "release/1/hotfix", true),
            ("release/*/hotfix", "release/1/2/hotfix", false),
            ("v?.?", "v1.2", true),
            ("v?.?", "v1.", false),
            ("a?b", "a/b", false),
            ("?", "ü", true),
            ("*-rc*", "v1-rc-rc1", true),
            ("*a**b*c", "xa/y/zbqc", true),
            ("*a**b*c", "xa/y/zb/c", false),
            ("***", "a/b", true),
            ("feature+x(1)", "feature+x(1)", true),
        ];
        for (text, name, expected) in table {
            assert_eq!(pattern(text).matches(name), expected, "`{text}` on `{name}`");
        }
    }

    #[test]
    fn owners_and_repositories_match_without_case() {
        assert!(pattern("Acme/*").matches_ignore_case("aCME/Api"));
        assert!(!pattern("acme/*").matches_ignore_case("acme-evil/api"));
        assert!(!pattern("acme/*").matches_ignore_case("acme/api/x"));
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        let too_long = "a".repeat(256);
        for text in ["", "!main", "[a-z]", "a\\*", "a\nb", " main", "main ", "\u{7f}", &too_long] {
            assert!(text.parse::<Pattern>().is_err(), "{text:?}");
        }
        insta::assert_snapshot!(
            "!release/**".parse::<Pattern>().unwrap_err(),
            @"`!release/**` is not a pattern: nothing can be excluded with `!`: name what is wanted"
        );
    }

    #[test]
    fn the_longest_pattern_matches() {
        let text = "a".repeat(Pattern::MAX_LENGTH);
        assert!(pattern(&text).matches(&text));
        assert!(!pattern(&text).matches("a"));
    }

    #[test]
    fn no_set_is_empty_and_a_set_prints_what_it_names() {
        assert_eq!(PatternSet::new(Vec::new()), None);
        assert!(serde_json::from_str::<PatternSet>("[]").is_err());
        let set: PatternSet = serde_json::from_str(r#"["main", "release/*"]"#).unwrap();
        assert_eq!(set.to_string(), "`main`, `release/*`");
        assert_eq!(serde_json::to_string(&set).unwrap(), r#"["main","release/*"]"#);
    }

    /// A second opinion that says what the tokens mean and nothing about speed.
    fn naive(pattern: &[char], name: &[char]) -> bool {
        match (pattern, name) {
            ([], _) => name.is_empty(),
            (['*', '*', rest @ ..], _) => (0..=name.len()).any(|taken| naive(rest, &name[taken..])),
            (['*', rest @ ..], _) => {
                let segment = name.iter().take_while(|c| **c != '/').count();
                (0..=segment).any(|taken| naive(rest, &name[taken..]))
            }
            (['?', rest @ ..], [c, name @ ..]) => *c != '/' && naive(rest, name),
            ([literal, rest @ ..], [c, name @ ..]) => literal == c && naive(rest, name),
            (_, []) => false,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn agrees_with_a_naive_matcher(text in "[ab/*?]{1,8}", name in "[ab/]{0,8}") {
            let (characters, name_characters): (Vec<char>, Vec<char>) = (text.chars().collect(), name.chars().collect());
            prop_assert_eq!(pattern(&text).matches(&name), naive(&characters, &name_characters));
        }

        #[test]
        fn a_pattern_without_wildcards_matches_itself_alone(text in "[a-z/.-]{1,12}", name in "[a-z/.-]{1,12}") {
            prop_assert!(pattern(&text).matches(&text));
            prop_assert_eq!(pattern(&text).matches(&name), text == name);
        }
    }
}
