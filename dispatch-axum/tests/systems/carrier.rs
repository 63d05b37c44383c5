//! One machine: a durable store, and workers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dispatch_axum::step::Telling;
use dispatch_axum::store::SqliteStore;
use dispatch_axum::worker::{WorkerOptions, Workers};
use dispatch_axum::{Service, router};
use dispatch_core::fact::Fact;
use dispatch_core::pipeline::Pipeline;
use dispatch_github::emulator::Emulator;
use rusqlite::Connection;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::house::{DEADLINE, client, pipeline};

const DATABASE: &str = "dispatch.sqlite";

/// What carries the work of a house.
pub struct Carrier {
    pub pipeline: Pipeline,
    pub webhook_url: String,
    workers: Option<Workers>,
    serving: JoinHandle<()>,
    folder: TempDir,
}

impl Carrier {
    /// How often is looked whether all is done.
    pub const LOOK_EVERY: Duration = Duration::from_millis(20);

    /// Starts to work for the App of an emulator, which delivers there from now on.
    pub async fn start(emulator: &Emulator) -> Self {
        let (github, folder) = (client(emulator), tempfile::tempdir().unwrap());
        let store = SqliteStore::open(folder.path().join(DATABASE)).unwrap();
        let pipeline = pipeline(Arc::clone(&github), Arc::new(store));
        let workers = Workers::telling(pipeline.clone(), Telling::through(github), WorkerOptions::default());
        let service = Service::new(pipeline.clone(), emulator.webhook_secret().parse().unwrap());
        let router = router(service.on_work(workers.waker()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let webhook_url = format!("http://{}/webhooks/github", listener.local_addr().unwrap());
        emulator.set_webhook_url(&webhook_url);
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        let serving = tokio::spawn(async move { axum::serve(listener, service).await.unwrap() });
        Self { pipeline, webhook_url, workers: Some(workers), serving, folder }
    }

    /// Begins nothing more, and answers with all facts.
    pub async fn end(&mut self) -> Vec<Fact> {
        self.serving.abort();
        if let Some(workers) = self.workers.take() {
            assert_eq!(workers.shutdown(DEADLINE).await, 0, "steps that did not end");
        }
        let database = Connection::open(self.folder.path().join(DATABASE)).unwrap();
        let mut facts = database.prepare("SELECT body FROM facts").unwrap();
        let facts = facts.query_map([], |row| row.get::<_, String>(0)).unwrap();
        facts.map(|fact| serde_json::from_str(&fact.unwrap()).unwrap()).collect()
    }
}
