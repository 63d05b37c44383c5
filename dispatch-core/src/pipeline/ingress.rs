//! Stage 1: from a signed body to a durable delivery.

use super::{IngressError, Pipeline, Receipt, ReceiptOutcome, WebhookRequest};
use crate::Timestamp;
use crate::delivery::{Delivery, DeliveryKey, DeliveryState, body_sha256};
use crate::event::{CheckRerequest, Event, EventKind, RunProgress};
use crate::ports::store::{Commit, HeadKey, Record, RecordKey, StoreError, Write};
use crate::pull_request::{PullRequestKey, PullRequestRecord};
use crate::revocation::{AccessLost, Revocation};
use crate::webhook::{self, Webhook, WebhookSecrets};

/// How often a pull request is tried to be remembered while others change the same record.
const MAX_CONFLICTS: usize = 20;

impl Pipeline {
    /// Stage 1: verifies, parses, and makes the delivery durable.
    ///
    /// Nothing is looked at before the signature is right. A delivery that is known already is done once; if it had been
    /// given up, it is taken up again.
    ///
    /// # Errors
    /// [`IngressError`]; nothing was stored.
    pub async fn ingress(
        &self,
        secrets: &WebhookSecrets,
        request: WebhookRequest<'_>,
        now: Timestamp,
    ) -> Result<Receipt, IngressError> {
        let secret = secrets.verify(request.signature, request.body).map_err(|_| IngressError::Unauthorized)?;
        let name = request.event.filter(|name| !name.is_empty()).ok_or(IngressError::Header("X-GitHub-Event"))?;
        let id = request.delivery.and_then(|id| id.parse().ok()).ok_or(IngressError::Header("X-GitHub-Delivery"))?;
        let outcome = match webhook::parse(name, request.body)? {
            Webhook::Event(event) => {
                let key = DeliveryKey { id, body_sha256: body_sha256(request.body) };
                self.accept(key, *event, now).await?
            }
            Webhook::AccessLost(lost) => {
                let key = DeliveryKey { id, body_sha256: body_sha256(request.body) };
                self.accept_revocation(key, *lost, now).await?
            }
            Webhook::Ignored { action } => ReceiptOutcome::Ignored { event: name.to_owned(), action },
        };
        Ok(Receipt { secret, outcome })
    }

    async fn accept(&self, key: DeliveryKey, event: Event, now: Timestamp) -> Result<ReceiptOutcome, StoreError> {
        let outcome = match &event.kind {
            // Most runs of most repositories were not started here: nobody follows them.
            EventKind::RunProgress(RunProgress { actor, .. })
            | EventKind::CheckRerequest(CheckRerequest { app: actor, .. })
                if actor.is_none() || *actor != self.guardrails.app_login =>
            {
                let action = event.kind.action().map(str::to_owned);
                return Ok(ReceiptOutcome::Ignored { event: event.kind.name().to_owned(), action });
            }
            EventKind::WorkflowRun(_)
            | EventKind::RunProgress(_)
            | EventKind::PullRequest(_)
            | EventKind::Command(_)
            | EventKind::CheckRerequest(_) => {
                let delivery = Delivery::received(key.clone(), event, now);
                self.store_new(delivery).await?.then_some(ReceiptOutcome::Accepted(key.clone()))
            }
            EventKind::Push(_) => {
                let outdated = outdated_policy(&event).cloned();
                let new = self.store_new(Delivery::noted(key.clone(), event, now)).await?;
                if let Some(repository) = outdated {
                    self.policies.forget(&repository);
                }
                new.then_some(ReceiptOutcome::Noted(key.clone()))
            }
        };
        match outcome {
            Some(outcome) => Ok(outcome),
            None => self.reopen(key, now).await,
        }
    }

    /// Makes it durable that the App lost access: what waits there is cancelled, whatever happens to this process.
    async fn accept_revocation(
        &self,
        key: DeliveryKey,
        lost: AccessLost,
        now: Timestamp,
    ) -> Result<ReceiptOutcome, StoreError> {
        let revocation = Revocation { key: key.clone(), lost, received_at: now, due: Some(now), after: None };
        let write = Write { record: Record::Revocation(Box::new(revocation)), expected: None };
        match self.store.commit(Commit { writes: vec![write], facts: Vec::new() }).await {
            Ok(()) => Ok(ReceiptOutcome::Accepted(key)),
            Err(StoreError::Conflict(_)) => Ok(ReceiptOutcome::Known(key)),
            Err(error) => Err(error),
        }
    }

    /// Stores a delivery with its first fact, and what the event proves; false if it is known already.
    async fn store_new(&self, delivery: Delivery) -> Result<bool, StoreError> {
        let fact = delivery.first_fact();
        let record = Record::Delivery(Box::new(delivery.clone()));
        let (mut proves, mut conflict) = (true, None);
        for _ in 0..MAX_CONFLICTS {
            let mut writes = vec![Write { record: record.clone(), expected: None }];
            if proves {
                writes.extend(self.proof(&delivery).await?);
            }
            match self.store.commit(Commit { writes, facts: vec![fact.clone()] }).await {
                Ok(()) => return Ok(true),
                Err(StoreError::Conflict(RecordKey::Delivery(_))) => return Ok(false),
                // Another push had shown the same commit at the same branch: that proof stands.
                Err(StoreError::Conflict(RecordKey::Head(_))) => proves = false,
                Err(StoreError::Conflict(key @ RecordKey::PullRequest(_))) => conflict = Some(key),
                Err(error) => return Err(error),
            }
        }
        Err(conflict.map_or_else(|| StoreError::Unavailable("never tried".to_owned()), StoreError::Conflict))
    }

    /// What an event proves by its signature: a commit at the head of a branch, or how a pull request was.
    async fn proof(&self, delivery: &Delivery) -> Result<Option<Write>, StoreError> {
        let now = delivery.received_at;
        match &delivery.event.kind {
            EventKind::Push(_) => {
                let head = head(&delivery.event);
                Ok(head.map(|head| Write { record: Record::Head(head, now), expected: None }))
            }
            EventKind::PullRequest(pull_request) => {
                let key = PullRequestKey { repository: delivery.event.repository.id, number: pull_request.now.number };
                let stored = self.store.load(&[RecordKey::PullRequest(key)]).await?.into_iter().next().flatten();
                let expected = stored.as_ref().map(|stored| stored.version);
                let mut record = match stored.map(|stored| stored.record) {
                    Some(Record::PullRequest(record)) => record,
                    _ => Box::new(PullRequestRecord::new(key, now)),
                };
                record.see(pull_request, now);
                Ok(Some(Write { record: Record::PullRequest(record), expected }))
            }
            _ => Ok(None),
        }
    }

    /// A known delivery came again: if it had been given up, it is decided about after all.
    async fn reopen(&self, key: DeliveryKey, now: Timestamp) -> Result<ReceiptOutcome, StoreError> {
        let loaded = self.store.load(&[RecordKey::Delivery(key.clone())]).await?;
        let Some((Record::Delivery(mut delivery), version)) =
            loaded.into_iter().next().flatten().map(|stored| (stored.record, stored.version))
        else {
            return Ok(ReceiptOutcome::Known(key));
        };
        if !matches!(delivery.state, DeliveryState::Parked { .. }) {
            return Ok(ReceiptOutcome::Known(key));
        }
        let fact = delivery.reopen(now);
        let write = Write { record: Record::Delivery(delivery), expected: Some(version) };
        match self.store.commit(Commit { writes: vec![write], facts: vec![fact] }).await {
            Ok(()) => Ok(ReceiptOutcome::Accepted(key)),
            Err(StoreError::Conflict(_)) => Ok(ReceiptOutcome::Known(key)),
            Err(error) => Err(error),
        }
    }
}

/// What a push proves: this commit was at the head of this branch.
fn head(event: &Event) -> Option<HeadKey> {
    let EventKind::Push(push) = &event.kind else { return None };
    let (branch, sha) = (push.branch.clone()?, push.after.clone()?);
    Some(HeadKey { repository: event.repository.id, branch, sha })
}

/// The repository whose policy file may have changed by this push.
fn outdated_policy(event: &Event) -> Option<&crate::name::Repository> {
    let EventKind::Push(push) = &event.kind else { return None };
    let on_default_branch = push.branch.as_ref() == Some(&event.repository.default_branch);
    (push.touches_policy && on_default_branch).then_some(&event.repository.name)
}
