//! Webhooks that go out, and the App's log of their deliveries.

use serde_json::Value;

use super::{Access, ApiError, World, object_id};
use crate::Timestamp;
use crate::name::{DeliveryId, InstallationId, RepositoryId};

/// A webhook to deliver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutgoingWebhook {
    /// For `X-GitHub-Delivery`.
    pub delivery: DeliveryId,
    /// For `X-GitHub-Event`.
    pub event: String,
    /// The body's `action`.
    pub action: Option<String>,
    /// The installation that it is for.
    pub installation: Option<InstallationId>,
    /// The repository that it is about.
    pub repository: Option<RepositoryId>,
    /// Whether it was delivered before. Only the log tells, never the webhook.
    pub redelivery: bool,
    /// The bytes that are signed.
    pub body: Vec<u8>,
}

/// One try to deliver a webhook.
#[derive(Debug, Clone, PartialEq)]
pub struct DeliveryRecord {
    /// The id of the try. The webhook's own id is in `webhook`.
    pub id: u64,
    /// When.
    pub delivered_at: Timestamp,
    /// How long it took, in seconds.
    pub duration: f64,
    /// The answer's status; 0 where there was none.
    pub status_code: u16,
    /// `OK`, or what was wrong.
    pub status: String,
    /// What was delivered.
    pub webhook: OutgoingWebhook,
}

/// How many deliveries the log keeps. GitHub keeps three days.
const LOG: usize = 2_000;

impl World {
    /// Takes the webhooks that wait for delivery, in order.
    pub fn take_webhooks(&mut self) -> Vec<OutgoingWebhook> {
        self.webhooks.drain(..).collect()
    }

    /// Writes a try to deliver into the log (`GET /app/hook/deliveries`). `status_code` is None where nobody answered, and
    /// `problem` then says why.
    pub fn record_delivery(
        &mut self,
        webhook: OutgoingWebhook,
        status_code: Option<u16>,
        problem: &str,
        duration: f64,
    ) -> u64 {
        let id = self.next_id();
        let status = match status_code {
            Some(200..=299) => "OK".to_owned(),
            Some(code) => format!("Invalid HTTP Response: {code}"),
            None => problem.to_owned(),
        };
        let (delivered_at, status_code) = (self.now(), status_code.unwrap_or(0));
        self.deliveries.push_back(DeliveryRecord { id, delivered_at, duration, status_code, status, webhook });
        if self.deliveries.len() > LOG {
            self.deliveries.pop_front();
        }
        id
    }

    /// The log of deliveries, newest first.
    pub fn deliveries(&self) -> impl Iterator<Item = &DeliveryRecord> {
        self.deliveries.iter().rev()
    }

    /// Orders another delivery of the same webhook, with the same delivery id
    /// (`POST /app/hook/deliveries/{delivery_id}/attempts`).
    ///
    /// # Errors
    /// 404: the log has no such try.
    pub fn redeliver(&mut self, id: u64) -> Result<(), ApiError> {
        let record = self.deliveries.iter().find(|record| record.id == id).ok_or_else(ApiError::not_found)?;
        self.webhooks.push_back(OutgoingWebhook { redelivery: true, ..record.webhook.clone() });
        Ok(())
    }

    /// Sends a webhook about a repository, if an installation that is not suspended covers it and may hear of such things.
    pub(super) fn send_about(&mut self, repository: RepositoryId, event: &str, mut body: Value) {
        let Some(installation) = self.installation_of(repository) else { return };
        let action = body.get("action").and_then(Value::as_str);
        let granted = |name: &str| installation.permissions.get(name).copied();
        let may_hear = heard_with(event, action).iter().any(|(name, wanted)| granted(name) >= Some(*wanted));
        if installation.suspended_at.is_some() || !may_hear {
            return;
        }
        let id = installation.id;
        if let Some(fields) = body.as_object_mut() {
            fields.insert("installation".to_owned(), super::json::installation_ref(id));
        }
        self.send(event, Some(id), Some(repository), &body);
    }

    pub(super) fn send(
        &mut self,
        event: &str,
        installation: Option<InstallationId>,
        repository: Option<RepositoryId>,
        body: &Value,
    ) {
        let digits = object_id("delivery", self.next_id().to_string().as_bytes());
        let Ok(delivery) = guid(&digits).parse() else { return };
        self.webhooks.push_back(OutgoingWebhook {
            delivery,
            event: event.to_owned(),
            action: body.get("action").and_then(Value::as_str).map(str::to_owned),
            installation,
            repository,
            redelivery: false,
            body: body.to_string().into_bytes(),
        });
    }
}

/// The permissions of which one is enough to hear of an event ("Webhook events and payloads").
fn heard_with(event: &str, action: Option<&str>) -> &'static [(&'static str, Access)] {
    match (event, action) {
        ("workflow_run", _) => &[("actions", Access::Read)],
        ("check_run", Some("rerequested" | "requested_action")) => &[("checks", Access::Write)],
        ("check_run", _) => &[("checks", Access::Read)],
        ("pull_request", _) => &[("pull_requests", Access::Read)],
        ("issue_comment", _) => &[("issues", Access::Read), ("pull_requests", Access::Read)],
        ("push" | "repository_dispatch", _) => &[("contents", Access::Read)],
        _ => &[("metadata", Access::Read)],
    }
}

/// 32 hexadecimal digits in the groups of a GUID.
fn guid(digits: &str) -> String {
    let mut text = String::new();
    for (position, digit) in digits.chars().take(32).enumerate() {
        if matches!(position, 8 | 12 | 16 | 20) {
            text.push('-');
        }
        text.push(digit);
    }
    text
}
