//! `POST /webhooks/github`: from a request to an answer. What is durable is answered with 202, and nothing else is.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use dispatch_core::pipeline::{IngressError, Receipt, ReceiptOutcome, WebhookRequest};
use dispatch_core::ports::store::Queue;
use serde_json::{Value, json};

use crate::intake::{self, IntakeError};
use crate::service::Service;
use crate::telemetry;

/// Accepts a webhook. The order of the checks is a promise: size, signature, everything else.
pub(crate) async fn receive(State(service): State<Arc<Service>>, headers: HeaderMap, body: Body) -> Response {
    let event = text(&headers, "x-github-event");
    let (outcome, answer) = match accept(&service, &headers, event, body).await {
        Ok(receipt) => {
            service.secrets_in_use.matched(receipt.secret, (service.clock)());
            if matches!(receipt.outcome, ReceiptOutcome::Accepted(_)) {
                (service.on_work)(Queue::Plan);
            }
            accepted(&receipt.outcome)
        }
        Err(refusal) => refusal.answer(&headers),
    };
    // The name of the event is a stranger's until the signature was right.
    let event = if outcome == "unauthorized" { None } else { event };
    telemetry::webhook(event, outcome);
    answer
}

async fn accept(service: &Service, headers: &HeaderMap, event: Option<&str>, body: Body) -> Result<Receipt, Refusal> {
    let signature = headers.get("x-hub-signature-256").map(HeaderValue::as_bytes);
    intake::fits(headers, &body)?;
    if !signature.is_some_and(has_the_shape_of_a_signature) {
        // Not worth reading the body for: a flood of such requests holds nothing.
        return Err(IngressError::Unauthorized.into());
    }
    let received = service.intake.receive(headers, body).await?;
    let delivery = text(headers, "x-github-delivery");
    let request = WebhookRequest { signature, event, delivery, body: &received.bytes };
    let receipt = service.pipeline.ingress(&service.secrets, request, (service.clock)()).await;
    match &receipt {
        Ok(Receipt { outcome: ReceiptOutcome::Accepted(_) | ReceiptOutcome::Noted(_), .. }) => {
            service.writes.note(true)
        }
        Err(IngressError::Store(_)) => service.writes.note(false),
        // Nothing was written.
        Ok(_) | Err(_) => {}
    }
    let receipt = receipt?;
    match &receipt.outcome {
        ReceiptOutcome::Accepted(key) => tracing::info!(delivery = %key.id, event, "webhook accepted"),
        ReceiptOutcome::Noted(key) => tracing::info!(delivery = %key.id, event, "webhook noted"),
        ReceiptOutcome::Known(key) => tracing::info!(delivery = %key.id, event, "webhook known already"),
        ReceiptOutcome::Ignored { action, .. } => tracing::debug!(delivery, event, action, "webhook ignored"),
    }
    Ok(receipt)
}

/// `sha256=` and 64 digits. Whether they are the right ones is the pipeline's question.
fn has_the_shape_of_a_signature(header: &[u8]) -> bool {
    header.len() == 71 && header.starts_with(b"sha256=")
}

/// A header's value, if it is text.
fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn accepted(outcome: &ReceiptOutcome) -> (&'static str, Response) {
    let (word, body) = match outcome {
        ReceiptOutcome::Accepted(key) => ("accepted", json!({ "outcome": "accepted", "delivery": key.id })),
        ReceiptOutcome::Noted(key) => ("noted", json!({ "outcome": "noted", "delivery": key.id })),
        ReceiptOutcome::Known(key) => ("known", json!({ "outcome": "known", "delivery": key.id })),
        ReceiptOutcome::Ignored { .. } => ("ignored", json!({ "outcome": "ignored" })),
    };
    (word, answer(StatusCode::ACCEPTED, body))
}

/// Why a webhook was not accepted.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error(transparent)]
    Intake(#[from] IntakeError),
    #[error(transparent)]
    Ingress(#[from] IngressError),
}

impl Refusal {
    fn answer(&self, headers: &HeaderMap) -> (&'static str, Response) {
        let (outcome, status) = match self {
            Self::Intake(IntakeError::TooLarge) => ("too_large", StatusCode::PAYLOAD_TOO_LARGE),
            Self::Intake(IntakeError::TooSlow) => ("too_slow", StatusCode::REQUEST_TIMEOUT),
            Self::Intake(IntakeError::Broken) => ("broken", StatusCode::BAD_REQUEST),
            Self::Intake(IntakeError::Busy) => ("busy", StatusCode::SERVICE_UNAVAILABLE),
            Self::Ingress(IngressError::Unauthorized) => ("unauthorized", StatusCode::UNAUTHORIZED),
            Self::Ingress(IngressError::Header(_) | IngressError::Body(_)) => ("malformed", StatusCode::BAD_REQUEST),
            Self::Ingress(IngressError::Store(_)) => ("store_unavailable", StatusCode::SERVICE_UNAVAILABLE),
        };
        let body = match self {
            // What the store says is for the operator, not for who sends webhooks.
            Self::Ingress(IngressError::Store(error)) => {
                tracing::error!(%error, "a webhook was not accepted");
                json!({ "error": "the delivery could not be stored; deliver it again" })
            }
            Self::Ingress(IngressError::Body(_)) if is_form(headers) => {
                json!({ "error": self.to_string(), "help": "set the webhook's content type to `application/json`" })
            }
            _ => json!({ "error": self.to_string() }),
        };
        let mut answer = answer(status, body);
        if status == StatusCode::SERVICE_UNAVAILABLE {
            answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("30"));
        }
        (outcome, answer)
    }
}

fn is_form(headers: &HeaderMap) -> bool {
    text(headers, "content-type").is_some_and(|value| value.starts_with("application/x-www-form-urlencoded"))
}

fn answer(status: StatusCode, body: Value) -> Response {
    (status, Json(body)).into_response()
}
