//! What a token may do: one thing.

use std::fmt;

use serde::ser::{Serialize, SerializeMap, Serializer};

/// The one permission of a token. Serialises as GitHub's `permissions` object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Permission {
    /// Files and comparisons of commits.
    ContentsRead,
    /// Making events (`repository_dispatch`).
    ContentsWrite,
    /// Workflows and their runs.
    ActionsRead,
    /// Starting workflows.
    ActionsWrite,
    /// Issues.
    IssuesWrite,
    /// Pull requests.
    PullRequestsRead,
    /// Comments on pull requests, and reactions to them.
    PullRequestsWrite,
    /// Check runs.
    ChecksWrite,
    /// What a person may do in a repository.
    MetadataRead,
    /// The members of an organisation's teams: a permission of the organisation, not of a repository.
    MembersRead,
}

impl Permission {
    fn parts(self) -> (&'static str, &'static str) {
        match self {
            Self::ContentsRead => ("contents", "read"),
            Self::ContentsWrite => ("contents", "write"),
            Self::ActionsRead => ("actions", "read"),
            Self::ActionsWrite => ("actions", "write"),
            Self::IssuesWrite => ("issues", "write"),
            Self::PullRequestsRead => ("pull_requests", "read"),
            Self::PullRequestsWrite => ("pull_requests", "write"),
            Self::ChecksWrite => ("checks", "write"),
            Self::MetadataRead => ("metadata", "read"),
            Self::MembersRead => ("members", "read"),
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
