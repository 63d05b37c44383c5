//! Comments and reactions.

use dispatch_core::name::CommentId;
use dispatch_core::notice::Reaction;
use serde::{Deserialize, Serialize};

use super::Account;

/// A comment in the answer to "List issue comments", or the answer to "Create an issue comment".
#[derive(Deserialize)]
pub(crate) struct Comment {
    pub(crate) id: CommentId,
    #[serde(default)]
    pub(crate) body: Option<String>,
    #[serde(default)]
    pub(crate) user: Option<Account>,
}

/// The body of "Create an issue comment" and of "Update an issue comment".
#[derive(Serialize)]
pub(crate) struct CommentText<'a> {
    pub(crate) body: &'a str,
}

/// The body of "Create reaction for an issue comment".
#[derive(Serialize)]
pub(crate) struct NewReaction {
    pub(crate) content: Reaction,
}
