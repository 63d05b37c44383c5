//! The server as `dispatch serve` puts it together, in a process of its own.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use dispatch_axum::store::SqliteStore;
use dispatch_axum::worker::{WorkerOptions, Workers};
use dispatch_axum::{Service, router};
use dispatch_core::guardrail::Guardrails;
use dispatch_core::pipeline::Pipeline;
use dispatch_core::ports::policies::BoundedPolicyMemory;
use dispatch_core::retry::RetryPolicy;
use dispatch_github::{GitHub, GitHubOptions};
use serde::Deserialize;

use crate::{Result, part, scenario};

#[derive(Deserialize)]
struct Settings {
    github: GitHubSettings,
    database: PathBuf,
}

#[derive(Deserialize)]
struct GitHubSettings {
    api_url: String,
    app_id: u64,
    private_key: String,
}

pub(crate) fn run() -> Result<()> {
    let settings: Settings = serde_json::from_value(part::settings()?)?;
    let runtime = tokio::runtime::Runtime::new()?;
    let (address, _workers) = runtime.block_on(start(settings))?;
    part::serve(&serde_json::json!({ "address": address }), |_| String::new())
}

async fn start(settings: Settings) -> Result<(SocketAddr, Workers)> {
    let GitHubSettings { api_url, app_id, private_key } = settings.github;
    // The load is on the service: GitHub's budget for a minute would be all that is measured.
    let (private_key, points_per_minute) = (private_key.into(), u32::MAX);
    let options = GitHubOptions { api_url, app_id, private_key, points_per_minute, ..GitHubOptions::default() };
    let owners = BTreeMap::from([("OWNER_ALLOWLIST".to_owned(), scenario::OWNER.to_owned())]);
    let pipeline = Pipeline {
        github: Arc::new(GitHub::new(options)?),
        store: Arc::new(SqliteStore::open(&settings.database)?),
        policies: Arc::new(BoundedPolicyMemory::new(10_000)),
        guardrails: Guardrails::from_settings(&owners)?,
        retry: RetryPolicy::default(),
        settle: Pipeline::DEFAULT_SETTLE,
        max_event_age: Pipeline::DEFAULT_MAX_EVENT_AGE,
    };
    let workers = Workers::start(pipeline.clone(), WorkerOptions::default());
    let service = Service::new(pipeline, scenario::SECRET.parse()?).on_work(workers.waker());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let service = router(service).into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    Ok((address, workers))
}
