//! Consent to values, not only to names.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::name::{GitRef, Login};
use crate::pattern::Pattern;
use crate::quote::{quote, quote_all};

/// Consent to the value of one input, or of one property of a payload. What is absent says nothing of its own.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Accept {
    /// What the value must look like.
    pub pattern: Option<ValuePattern>,
    /// The values, one of which it must be.
    pub one_of: Option<BTreeSet<String>>,
    /// The most characters that it may have.
    pub max_length: Option<usize>,
}

/// What a value must look like.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ValuePattern {
    /// A whole number from 1 to 99999, without leading zeros.
    Number,
    /// 7 to 40 lowercase hexadecimal digits.
    Sha,
    /// A branch's name of harmless characters.
    Branch,
    /// Any branch's name: also one that is code to a shell.
    BranchAny,
    /// An account's login.
    Login,
    /// Text that matches a pattern of the policy language.
    Glob(Pattern),
}

impl Accept {
    /// Any value. What a stranger can choose must still be made of harmless characters.
    #[must_use]
    pub fn any() -> Self {
        Self::default()
    }

    /// Whether the target takes it that a stranger's value may be code to a shell.
    #[must_use]
    pub fn takes_any_branch(&self) -> bool {
        self.pattern == Some(ValuePattern::BranchAny)
    }

    /// What a value must be and is not, as the end of "it must be"; None where it is accepted.
    #[must_use]
    pub fn refuses(&self, value: &str) -> Option<String> {
        if let Some(pattern) = self.pattern.as_ref().filter(|pattern| !pattern.matches(value)) {
            return Some(pattern.to_string());
        }
        if let Some(values) = self.one_of.as_ref().filter(|values| !values.contains(value)) {
            return Some(format!("one of {}", quote_all(values)));
        }
        let limit = self.max_length?;
        (value.chars().count() > limit).then(|| format!("at most {limit} characters long"))
    }
}

impl ValuePattern {
    /// Whether a value looks like this.
    #[must_use]
    pub fn matches(&self, value: &str) -> bool {
        match self {
            Self::Number => {
                (1..=5).contains(&value.len())
                    && !value.starts_with('0')
                    && value.bytes().all(|digit| digit.is_ascii_digit())
            }
            Self::Sha => {
                (7..=40).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f'))
            }
            Self::Branch => is_harmless(value) && is_branch(value),
            Self::BranchAny => is_branch(value),
            Self::Login => value.parse::<Login>().is_ok(),
            Self::Glob(pattern) => pattern.matches(value),
        }
    }
}

impl fmt::Display for ValuePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number => f.write_str("a number from 1 to 99999"),
            Self::Sha => f.write_str("a commit of 7 to 40 lowercase hexadecimal digits"),
            Self::Branch => f.write_str("a branch's name of letters, digits and `._/@+#=,-`, not starting with `-`"),
            Self::BranchAny => f.write_str("a branch's name"),
            Self::Login => f.write_str("an account's login"),
            Self::Glob(pattern) => write!(f, "text that matches {}", quote(pattern)),
        }
    }
}

/// Whether git and GitHub would take it as the name of a branch that can be started at: no spaces, no `..`.
pub(super) fn is_branch(value: &str) -> bool {
    !value.starts_with("refs/") && value.parse::<GitRef>().is_ok()
}

/// Whether a value can be pasted into a shell command without becoming one. `$(curl${IFS}x|sh)` is a legal branch name.
#[must_use]
pub(crate) fn is_harmless(value: &str) -> bool {
    !value.starts_with('-') && value.bytes().all(|b| b.is_ascii_alphanumeric() || b"._/@+#=,-".contains(&b))
}
