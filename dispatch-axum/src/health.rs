//! Answers for machines: is it alive, is it of use, which version, which figures.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use dispatch_core::projection::Counter;
use serde_json::{Value, json};

use crate::service::Service;

/// How long the store may take to show that it is there.
const PATIENCE: Duration = Duration::from_secs(2);

/// The process serves requests. Says nothing about the store, so that a broken disk does not restart the process.
pub(crate) async fn health() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

/// The store answers, so that webhooks can be accepted.
pub(crate) async fn ready(State(service): State<Arc<Service>>) -> Response {
    let (status, word) = if store_answers(&service).await {
        (StatusCode::OK, "ready")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the store does not answer")
    };
    (status, Json(json!({ "status": word }))).into_response()
}

pub(crate) async fn version(State(service): State<Arc<Service>>) -> Json<Value> {
    Json(json!({ "name": "dispatch", "version": service.version }))
}

/// Prometheus' text format. The route is guarded like the dashboard.
pub(crate) async fn metrics(State(service): State<Arc<Service>>) -> Response {
    match &service.metrics {
        Some(handle) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], handle.render()).into_response(),
        None => (StatusCode::NOT_FOUND, Json(json!({ "error": "metrics are not recorded here" }))).into_response(),
    }
}

pub(crate) async fn store_answers(service: &Service) -> bool {
    let question = [Counter::Received.to_string()];
    let answer = tokio::time::timeout(PATIENCE, service.pipeline.store.counters(&question)).await;
    matches!(answer, Ok(Ok(_)))
}
