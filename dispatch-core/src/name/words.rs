//! Words that people choose for what starts something, and marks of our own.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize};

use super::{NameError, Owner};

checked_text!(
    /// A command in a comment, such as `/test-deploy`. Compared byte by byte.
    CommandName, valid_command, "a command: `/`, then 1 to 50 of a-z, 0-9, `-` and `_`, starting with a letter"
);

checked_text!(
    /// A word behind a command in a comment. Nothing in it means anything to a shell.
    ArgumentWord, valid_argument, "a word behind a command: 1 to 100 of A-Z a-z 0-9 . _ / @ + # = , - that do not start with `-`"
);

checked_text!(
    /// The name of a `repository_dispatch` event. GitHub takes any text of 1 to 100 characters ("Create a repository
    /// dispatch event"); the ones that can be written here need no quoting anywhere.
    EventType, valid_event_type, "the name of an event: 1 to 100 of A-Z, a-z, 0-9, `.`, `_`, `:`, `/` and `-`"
);

checked_text!(
    /// The name of an environment, such as `pr-7`.
    EnvironmentName, valid_environment, "the name of an environment: 1 to 100 of A-Z, a-z, 0-9, `.`, `_` and `-`, not starting with `.` or `-`"
);

checked_text!(
    /// What this App writes into the `external_id` of its check runs: 64 lowercase hexadecimal digits.
    CheckId, valid_check_id, "64 lowercase hexadecimal digits"
);

/// A team of an organisation, as `organisation/team`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(into = "String")]
pub struct TeamName {
    organisation: Owner,
    slug: Arc<str>,
}

impl TeamName {
    /// The organisation that has the team.
    #[must_use]
    pub fn organisation(&self) -> &Owner {
        &self.organisation
    }

    /// The team's slug: its name as addresses have it.
    #[must_use]
    pub fn slug(&self) -> &str {
        &self.slug
    }
}

impl FromStr for TeamName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let error = || NameError::new(text, "a team as `organisation/team`");
        let (organisation, slug) = text.split_once('/').ok_or_else(error)?;
        let valid = (1..=100).contains(&slug.len())
            && slug.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_'));
        if !valid {
            return Err(error());
        }
        Ok(Self { organisation: organisation.parse().map_err(|_| error())?, slug: slug.into() })
    }
}

impl From<TeamName> for String {
    fn from(team: TeamName) -> Self {
        team.to_string()
    }
}

impl<'de> Deserialize<'de> for TeamName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for TeamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.organisation, self.slug)
    }
}

impl fmt::Debug for TeamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TeamName({self})")
    }
}

fn valid_command(text: &str) -> bool {
    text.strip_prefix('/').is_some_and(|name| {
        (1..=50).contains(&name.len())
            && name.starts_with(|first: char| first.is_ascii_lowercase())
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_'))
    })
}

fn valid_argument(text: &str) -> bool {
    (1..=100).contains(&text.len()) && crate::policy::is_harmless(text)
}

fn valid_event_type(text: &str) -> bool {
    (1..=100).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b':' | b'/' | b'-'))
}

fn valid_environment(text: &str) -> bool {
    (1..=100).contains(&text.len())
        && !text.starts_with(['.', '-'])
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

fn valid_check_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f'))
}
