//! The HTTP surface of dispatch as an axum [`Router`](axum::Router) that another service can nest: the webhook endpoint,
//! health, metrics and the dashboard. With default features off there is nothing else in here, so that other carriers
//! can reuse it.
//!
//! 1. [`Service`]: what the surface needs, put together by its embedder. [`router()`] makes routes of it.
//! 2. `webhook` accepts GitHub's webhooks; `intake` bounds what a flood of them can hold.
//! 3. `admin` is the dashboard: it reads read models by key, and never sums anything up in a request.
//! 4. [`telemetry`] names the metrics; `health` answers the machines that ask.
//! 5. For one machine, with feature `sqlite`: `store` keeps the work durable, `worker` does it.

mod admin;
mod client;
mod health;
mod intake;
mod router;
mod service;
#[cfg(feature = "sqlite")]
pub mod store;
pub mod telemetry;
mod webhook;
#[cfg(feature = "sqlite")]
pub mod worker;

pub use intake::MAX_BODY;
pub use router::router;
pub use service::Service;
