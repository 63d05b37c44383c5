//! Answers for machines: is it alive, is it of use, which version, which figures.
//!
//! `/health` is about the process: whoever restarts it goes by that. `/ready` is about the store: while webhooks cannot be
//! accepted, because it does not answer or takes no writes, it is 503.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use dispatch_core::ports::store::{Commit, Record, RecordKey, StoreError, Write};
use dispatch_core::projection::Counter;
use serde_json::{Value, json};

use crate::service::Service;

/// How long the store may take to show that it is there.
const PATIENCE: Duration = Duration::from_secs(2);

/// The process serves requests. Says nothing about the store, so that a broken disk does not restart the process.
pub(crate) async fn health() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

/// What is known of the store's writes. Reads may work where writes do not: when the disk is full.
#[derive(Debug, Default)]
pub(crate) struct Writes {
    failing: AtomicBool,
}

impl Writes {
    /// A webhook was stored, or could not be for the store's sake.
    pub(crate) fn note(&self, stored: bool) {
        // Read first: webhooks that are stored, one after another, do not fight over the line of memory.
        if self.failing.load(Ordering::Relaxed) == stored {
            self.failing.store(!stored, Ordering::Relaxed);
        }
    }

    fn failing(&self) -> bool {
        self.failing.load(Ordering::Relaxed)
    }
}

/// The store answers and takes writes, so that webhooks can be accepted. While it took the last webhook, nothing is written
/// to find that out; when it did not, a try is made, so that it is known when the cause is gone.
pub(crate) async fn ready(State(service): State<Arc<Service>>) -> Response {
    let (is_ready, problem) = if service.writes.failing() {
        (store_takes_writes(&service).await, "the store takes no writes")
    } else {
        (store_answers(&service).await, "the store does not answer")
    };
    let (status, word) = if is_ready { (StatusCode::OK, "ready") } else { (StatusCode::SERVICE_UNAVAILABLE, problem) };
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

async fn store_takes_writes(service: &Service) -> bool {
    let takes_writes = matches!(tokio::time::timeout(PATIENCE, probe(service)).await, Ok(Ok(())));
    if takes_writes {
        service.writes.note(true);
    }
    takes_writes
}

async fn probe(service: &Service) -> Result<(), StoreError> {
    let store = &service.pipeline.store;
    let there = store.load(&[RecordKey::Probe]).await?;
    let expected = there.into_iter().next().flatten().map(|stored| stored.version);
    let write = Write { record: Record::Probe((service.clock)()), expected };
    match store.commit(Commit { writes: vec![write], facts: Vec::new() }).await {
        // Somebody else tried at the same time, and it was written.
        Err(StoreError::Conflict(_)) => Ok(()),
        result => result,
    }
}
