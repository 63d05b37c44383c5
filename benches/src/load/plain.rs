//! What the server is compared with: a route that checks the HMAC, and does nothing else.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode};
use axum::{Router, routing};
use dispatch_core::webhook::WebhookSecrets;

use crate::{Result, part, scenario};

pub(crate) fn run() -> Result<()> {
    part::settings()?;
    let runtime = tokio::runtime::Runtime::new()?;
    let secrets: Arc<WebhookSecrets> = Arc::new(scenario::SECRET.parse()?);
    let router = Router::new()
        .route("/webhooks/github", routing::post(receive))
        .layer(DefaultBodyLimit::max(25 * 1024 * 1024))
        .with_state(secrets);
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))?;
    let address = listener.local_addr()?;
    runtime.spawn(async move { axum::serve(listener, router).await });
    part::serve(&serde_json::json!({ "address": address }), |_| String::new())
}

async fn receive(State(secrets): State<Arc<WebhookSecrets>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let signature = headers.get("x-hub-signature-256").map(|value| value.as_bytes());
    match secrets.verify(signature, &body) {
        Ok(_) => StatusCode::ACCEPTED,
        Err(_) => StatusCode::UNAUTHORIZED,
    }
}
