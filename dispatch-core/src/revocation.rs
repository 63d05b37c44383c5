//! The App lost access: what waits there must not start any more.

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::delivery::DeliveryKey;
use crate::name::{InstallationId, Owner, RepositoryId};

/// An accepted webhook that says that the App lost access somewhere, until everything that waits there is cancelled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocation {
    /// The inbox key.
    pub key: DeliveryKey,
    /// What was lost.
    pub lost: AccessLost,
    /// When it was accepted.
    pub received_at: Timestamp,
    /// When to go on; None once everything was cancelled.
    pub due: Option<Timestamp>,
    /// How far it got: the key of the last waiting record that was looked at.
    pub after: Option<String>,
}

/// What an installation of the App does not reach any more (webhooks `installation` and `installation_repositories`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessLost {
    /// The installation.
    pub installation: InstallationId,
    /// The account that it belongs to.
    pub account: Owner,
    /// How much of it.
    pub extent: Extent,
}

/// How much access was lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Extent {
    /// The whole installation was deleted or suspended.
    Installation,
    /// These repositories were taken out of it.
    Repositories(Vec<RepositoryId>),
}
