//! What a token may do: one thing.

use std::fmt;

use serde::ser::{Serialize, SerializeMap, Serializer};

/// The one permission of a token. Serialises as GitHub's `permissions` object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Permission {
    /// Files and comparisons of commits.
    ContentsRead,
    /// Workflow runs.
    ActionsRead,
    /// Starting workflows.
    ActionsWrite,
    /// Issues.
    IssuesWrite,
}

impl Permission {
    fn parts(self) -> (&'static str, &'static str) {
        match self {
            Self::ContentsRead => ("contents", "read"),
            Self::ActionsRead => ("actions", "read"),
            Self::ActionsWrite => ("actions", "write"),
            Self::IssuesWrite => ("issues", "write"),
        }
    }
}

impl fmt::Display for Permission {
    /// As GitHub's documentation writes it: `contents: read`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, access) = self.parts();
        write!(f, "{name}: {access}")
    }
}

impl Serialize for Permission {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (name, access) = self.parts();
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(name, access)?;
        map.end()
    }
}
