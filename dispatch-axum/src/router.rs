//! Which path leads where.

use std::any::Any;
use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tower_http::catch_panic::CatchPanicLayer;

use crate::service::Service;
use crate::{admin, health, telemetry, webhook};

/// The routes. They work under any prefix: links in pages are relative.
///
/// | route | needs | answers |
/// |---|---|---|
/// | `POST /webhooks/github` | GitHub's signature | 202 once the delivery is durable |
/// | `GET /health` | | `{"status":"ok"}` while the process serves |
/// | `GET /ready` | | 200 while the store answers and takes writes, else 503 |
/// | `GET /version` | | name and version |
/// | `GET /metrics` | `Authorization: Bearer <admin token>` | Prometheus text |
/// | `/admin` | a login with the admin token, or the bearer | the dashboard |
///
/// Serve it with `into_make_service_with_connect_info::<SocketAddr>()`: without the peer's address an allowlist of
/// addresses lets nobody in, and all clients share one limit of login attempts. Where clients speak https to you and not to a
/// trusted proxy, say so with [`Https`](crate::Https).
pub fn router(service: Service) -> Router {
    let service = Arc::new(service);
    Router::new()
        .route("/webhooks/github", post(webhook::receive))
        .route("/health", get(health::health))
        .route("/ready", get(health::ready))
        .route("/version", get(health::version))
        .merge(admin::routes(&service))
        .layer(CatchPanicLayer::custom(after_panic))
        .layer(axum::middleware::from_fn(telemetry::measure))
        .with_state(service)
}

/// A panic is a bug, and ends one request only.
fn after_panic(panic: Box<dyn Any + Send + 'static>) -> Response {
    let message = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_default();
    tracing::error!(%message, "a request handler panicked");
    (StatusCode::INTERNAL_SERVER_ERROR, axum::Json(serde_json::json!({ "error": "internal error" }))).into_response()
}
