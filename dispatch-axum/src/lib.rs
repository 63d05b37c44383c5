//! The HTTP surface of dispatch as an axum [`Router`](axum::Router) that another service can nest: the webhook endpoint,
//! health, metrics and the dashboard. With default features off there is nothing else in here, so that other carriers
//! can reuse it.
//!
//! 1. [`Service`]: what the surface needs, put together by its embedder. [`router()`] makes routes of it.
//! 2. `webhook` accepts GitHub's webhooks; `intake` bounds what a flood of them can hold.
//! 3. `admin` is the dashboard: it reads read models by key, and never sums anything up in a request.
//! 4. [`parked`] is what was given up and waits for the operator; [`environments`] are those of pull requests; [`edges`] are who
//!    started whom; [`wording`] tells facts in words for people.
//! 5. [`settings`] reads what every carrier is told by variables.
//! 6. [`step`] takes one step of an item of work, whoever carries it.
//! 7. [`telemetry`] names the metrics; `health` answers the machines that ask.
//! 8. For one machine, with feature `sqlite`: `store` keeps the work durable, `worker` does it,
//!    `maintenance` looks after both.

mod admin;
mod client;
pub mod edges;
pub mod environments;
mod health;
mod intake;
#[cfg(feature = "sqlite")]
pub mod maintenance;
pub mod parked;
mod router;
mod service;
pub mod settings;
pub mod step;
#[cfg(feature = "sqlite")]
pub mod store;
pub mod telemetry;
mod webhook;
pub mod wording;
#[cfg(feature = "sqlite")]
pub mod worker;

pub use client::Https;
pub use intake::MAX_BODY;
pub use router::router;
pub use service::Service;
