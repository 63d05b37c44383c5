//! Nesting the Router in a service of your own: your routes and ours on one port, your GitHub App, your database file.
//!
//! The example builds everything and prints where the routes are; with `--serve` it listens. Run it with any RSA key:
//!
//! ```console
//! $ GITHUB_APP_ID=1 GITHUB_APP_PRIVATE_KEY="$(openssl genrsa 2048)" GITHUB_WEBHOOK_SECRET=change-me \
//!     cargo run -p dispatch-axum --example nest_router
//! ```

#![allow(clippy::print_stdout, reason = "an example talks to its reader")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use dispatch_axum::store::SqliteStore;
use dispatch_axum::worker::{WorkerOptions, Workers};
use dispatch_axum::{Service, router};
use dispatch_core::guardrail::Guardrails;
use dispatch_core::pipeline::Pipeline;
use dispatch_core::ports::policies::BoundedPolicyMemory;
use dispatch_core::retry::RetryPolicy;
use dispatch_github::{GitHub, GitHubOptions};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let variable = |name| std::env::var(name).map_err(|_| format!("{name} is not set"));
    let folder = tempfile::tempdir()?;
    let limits = BTreeMap::from([("OWNER_ALLOWLIST".to_owned(), "acme".to_owned())]);
    let pipeline = Pipeline {
        github: Arc::new(GitHub::new(GitHubOptions {
            app_id: variable("GITHUB_APP_ID")?.parse()?,
            private_key: variable("GITHUB_APP_PRIVATE_KEY")?.into(),
            ..GitHubOptions::default()
        })?),
        store: Arc::new(SqliteStore::open(folder.path().join("dispatch.sqlite"))?),
        policies: Arc::new(BoundedPolicyMemory::new(10_000)),
        guardrails: Guardrails::from_settings(&limits)?,
        retry: RetryPolicy::default(),
        settle: Pipeline::DEFAULT_SETTLE,
        max_event_age: Pipeline::DEFAULT_MAX_EVENT_AGE,
    };
    let workers = Workers::start(pipeline.clone(), WorkerOptions::default());
    let service = Service::new(pipeline, variable("GITHUB_WEBHOOK_SECRET")?.parse()?).on_work(workers.waker());

    let app = Router::new().route("/", get(|| async { "my own service" })).nest("/dispatch", router(service));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("GitHub's webhooks go to http://{}/dispatch/webhooks/github", listener.local_addr()?);
    if std::env::args().any(|argument| argument == "--serve") {
        let app = app.into_make_service_with_connect_info::<std::net::SocketAddr>();
        axum::serve(listener, app).await?;
    }
    workers.shutdown(Duration::from_secs(10)).await;
    Ok(())
}
