//! The repositories of an installation.

use dispatch_core::name::{Repository, RepositoryId};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::permission::Permission;

/// The body of "Create an installation access token for an app": all of its repositories, one permission.
#[derive(Serialize)]
pub(crate) struct AccountTokenRequest {
    pub(crate) permissions: Permission,
}

/// The answer to it. Deliberately without `Debug`.
#[derive(Deserialize)]
pub(crate) struct AccountToken {
    #[serde(deserialize_with = "super::secret")]
    pub(crate) token: SecretString,
}

/// The answer to "List repositories accessible to the app installation".
#[derive(Deserialize)]
pub(crate) struct Installed {
    pub(crate) repositories: Vec<InstalledEntry>,
}

/// A repository in that list.
#[derive(Deserialize)]
pub(crate) struct InstalledEntry {
    pub(crate) id: RepositoryId,
    pub(crate) full_name: Repository,
    #[serde(default)]
    pub(crate) archived: bool,
}

/// An entry of a folder in the answer to "Get repository content".
#[derive(Deserialize)]
pub(crate) struct Entry {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) name: String,
}
