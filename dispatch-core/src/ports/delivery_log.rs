//! GitHub's own log of the webhooks that it tried to deliver: where to find what never arrived.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::github::GitHubError;
use crate::Timestamp;
use crate::name::{DeliveryId, RepositoryId};

/// The App's delivery log, asked as the App itself ("REST API endpoints for GitHub App webhooks"). It reaches back three
/// days on GitHub.com.
#[async_trait]
pub trait DeliveryLogPort: Send + Sync {
    /// One page of attempts, newest first. `cursor` is what the page before answered with.
    ///
    /// # Errors
    /// [`GitHubError`]; never [`GitHubError::InDoubt`].
    async fn attempts(&self, cursor: Option<&str>) -> Result<AttemptPage, GitHubError>;

    /// Asks for another delivery of the same webhook, with the same delivery id. Asking twice delivers twice, which does no
    /// harm: a delivery is done once.
    ///
    /// # Errors
    /// [`GitHubError`].
    async fn redeliver(&self, attempt: u64) -> Result<(), GitHubError>;
}

/// A page of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptPage {
    /// The attempts, newest first.
    pub attempts: Vec<DeliveryAttempt>,
    /// What to ask for the next page with; None on the last.
    pub next: Option<String>,
}

/// One try of GitHub to deliver a webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryAttempt {
    /// The id of the attempt, to ask for another with.
    pub id: u64,
    /// The id of the webhook: what `X-GitHub-Delivery` says, the same for every attempt.
    pub delivery: DeliveryId,
    /// When.
    pub delivered_at: Timestamp,
    /// Whether it was answered with success.
    pub succeeded: bool,
    /// GitHub's words for how it ended, such as `OK` or `Invalid HTTP Response: 503`. At most 200 characters.
    pub status: String,
    /// The event's name.
    pub event: String,
    /// The event's action.
    pub action: Option<String>,
    /// The repository, for events of one.
    pub repository: Option<RepositoryId>,
}
