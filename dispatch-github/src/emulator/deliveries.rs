//! Webhooks on their way, and the App's log of them.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::http::{Request, header};
use dispatch_core::testing::world::{ApiError, DeliveryRecord, OutgoingWebhook, World};
use dispatch_core::webhook::WebhookSecrets;
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::sync::{mpsc, oneshot};

use super::answer::{Answer, Call};
use super::{Shared, lock};

/// "2XX within 10 s, else the connection is terminated" ("Best practices for using webhooks").
const DEADLINE: Duration = Duration::from_secs(10);

/// A webhook to send.
#[derive(Debug)]
pub(super) struct Parcel {
    pub(super) webhook: OutgoingWebhook,
    /// What to send in place of the signature.
    pub(super) signature: Option<String>,
    /// Who waits for the status of the answer; None: nobody answered.
    pub(super) answer: Option<oneshot::Sender<Option<u16>>>,
}

/// Who carries webhooks.
#[derive(Debug)]
pub(super) struct Courier {
    client: Client<HttpConnector, Full<Bytes>>,
    secrets: WebhookSecrets,
}

impl Courier {
    pub(super) fn new(secret: &str) -> io::Result<Self> {
        let secrets = secret.parse().map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        Ok(Self { client: Client::builder(TokioExecutor::new()).build_http(), secrets })
    }

    async fn carry(&self, url: &str, app_id: u64, parcel: &Parcel) -> Result<u16, String> {
        let webhook = &parcel.webhook;
        let signature = parcel.signature.clone().unwrap_or_else(|| self.secrets.sign(&webhook.body));
        let request = Request::post(url)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::USER_AGENT, "GitHub-Hookshot/emulator")
            .header("X-GitHub-Event", &webhook.event)
            .header("X-GitHub-Delivery", webhook.delivery.as_str())
            .header("X-GitHub-Hook-ID", app_id)
            .header("X-GitHub-Hook-Installation-Target-Type", "integration")
            .header("X-GitHub-Hook-Installation-Target-ID", app_id)
            .header("X-Hub-Signature-256", signature)
            .body(Full::new(Bytes::from(webhook.body.clone())))
            .map_err(|error| error.to_string())?;
        match tokio::time::timeout(DEADLINE, self.client.request(request)).await {
            Ok(Ok(response)) => Ok(response.status().as_u16()),
            Ok(Err(_)) => Err("failed to connect to host".to_owned()),
            Err(_) => Err("timed out".to_owned()),
        }
    }
}

/// Sends webhooks, one after the other, until the emulator stops. Nothing is sent again by itself.
pub(super) async fn deliver(shared: Arc<Shared>, courier: Courier, mut parcels: mpsc::UnboundedReceiver<Parcel>) {
    while let Some(parcel) = parcels.recv().await {
        carry(&shared, &courier, parcel).await;
        shared.under_way.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn carry(shared: &Shared, courier: &Courier, parcel: Parcel) {
    let Some(url) = lock(&shared.webhook_url).clone() else { return };
    let app_id = lock(&shared.world).app().id;
    let started = Instant::now();
    let outcome = courier.carry(&url, app_id, &parcel).await;
    let duration = started.elapsed().as_secs_f64();
    let (status, problem) = match &outcome {
        Ok(status) => (Some(*status), ""),
        Err(problem) => (None, problem.as_str()),
    };
    shared.world().record_delivery(parcel.webhook, status, problem, duration);
    if let Some(answer) = parcel.answer {
        // Who asked may have gone.
        let _ = answer.send(status);
    }
}

/// `GET /app/hook/deliveries`
pub(super) fn list(world: &mut World, call: &Call) -> Result<Answer, ApiError> {
    call.app()?;
    let before = call.query("cursor").map(|cursor| cursor.parse::<u64>());
    let before = before.transpose().map_err(|_| ApiError::new(400, "Bad Request"))?;
    let wanted = |record: &&DeliveryRecord| {
        let succeeded = (200..400).contains(&record.status_code);
        before.is_none_or(|before| record.id < before)
            && match call.query("status") {
                Some("success") => succeeded,
                Some("failure") => !succeeded,
                _ => true,
            }
    };
    let found: Vec<&DeliveryRecord> = world.deliveries().filter(wanted).take(call.per_page() + 1).collect();
    let page: Vec<&&DeliveryRecord> = found.iter().take(call.per_page()).collect();
    let more = found.len() > page.len();
    let link = page.last().filter(|_| more).map(|last| call.link(world, &[("cursor", last.id.to_string())], "next"));
    Ok(Answer::list(page.iter().map(|record| world.json_delivery(record)).collect(), link))
}

/// `POST /app/hook/deliveries/{delivery_id}/attempts`
pub(super) fn attempt(world: &mut World, call: &Call) -> Result<Answer, ApiError> {
    call.app()?;
    world.redeliver(call.id("delivery")?)?;
    Ok(Answer::json(202, &serde_json::json!({})))
}
