//! Everything that runs: GitHub, the service, and the folder of its database.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dispatch_axum::step::Telling;
use dispatch_axum::store::SqliteStore;
use dispatch_axum::worker::{WorkerOptions, Workers};
use dispatch_axum::{Service, telemetry};
use dispatch_core::guardrail::Guardrails;
use dispatch_core::pipeline::Pipeline;
use dispatch_core::ports::policies::BoundedPolicyMemory;
use dispatch_core::retry::RetryPolicy;
use dispatch_core::testing::world::{Pace, World};
use dispatch_github::emulator::{Emulator, EmulatorOptions};
use dispatch_github::{GitHub, GitHubOptions};
use tempfile::TempDir;
use tokio::net::TcpListener;

use super::screen::{Screen, Style};
use crate::command::Failure;
use crate::command::server::{ConnectionLimits, Server};

/// What runs in a demonstration.
pub(super) struct Stage {
    pub(super) emulator: Emulator,
    pub(super) pipeline: Pipeline,
    server: Server,
    token: String,
    folder: TempDir,
}

impl Stage {
    /// GitHub with this world, and the service for the repositories of this owner, which also tells people where it is asked
    /// to: in checks, comments and issues.
    pub(super) async fn set_up(world: World, owner: &str, tells: bool) -> Result<Self, Failure> {
        // Long enough to be seen, short enough to be waited for.
        let pace = Pace { queued: Duration::from_millis(100), in_progress: Duration::from_millis(200) };
        let app = world.app().bot().parse().map_err(Failure::work)?;
        let options = EmulatorOptions { pace: Some(pace), ..EmulatorOptions::default() };
        let emulator = Emulator::start(world, options).await?;
        let github = GitHub::new(GitHubOptions {
            api_url: emulator.api_url(),
            app_id: emulator.app_id(),
            private_key: emulator.private_key_pem().into(),
            ..GitHubOptions::default()
        });
        let github = Arc::new(github.map_err(Failure::work)?);
        let folder = TempDir::with_prefix("dispatch-demo-")?;
        let settings = BTreeMap::from([("OWNER_ALLOWLIST".to_owned(), owner.to_owned())]);
        let pipeline = Pipeline {
            github: Arc::clone(&github) as _,
            store: Arc::new(SqliteStore::open(folder.path().join("demo.sqlite")).map_err(Failure::work)?),
            policies: Arc::new(BoundedPolicyMemory::new(100)),
            guardrails: Guardrails::from_settings(&settings)?.with_app_login(app),
            retry: RetryPolicy::default(),
            settle: Pipeline::DEFAULT_SETTLE,
            max_event_age: Pipeline::DEFAULT_MAX_EVENT_AGE,
        };
        let secrets = emulator.webhook_secret().parse().map_err(Failure::work)?;
        let token = crate::command::random_token()?;
        let service = Service::new(pipeline.clone(), secrets)
            .admin_token(token.clone().into())
            .metrics(telemetry::install().map_err(Failure::work)?);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let workers = if tells {
            Workers::telling(pipeline.clone(), Telling::through(github), WorkerOptions::default())
        } else {
            Workers::start(pipeline.clone(), WorkerOptions::default())
        };
        let server = Server::start(listener, workers, service, ConnectionLimits::new(Vec::new()))?;
        let stage = Self { emulator, pipeline, server, token, folder };
        stage.emulator.set_webhook_url(&stage.webhook_url());
        Ok(stage)
    }

    /// Where the service takes webhooks.
    pub(super) fn webhook_url(&self) -> String {
        format!("http://{}/webhooks/github", self.server.address())
    }

    /// Says what is shown, and where the policy files are: what, where, why.
    pub(super) fn introduce(&self, screen: &Screen, what: &str, files: (&str, &str, &str)) -> Result<(), Failure> {
        screen.line("")?;
        screen.line(format_args!("  {}  {what}", screen.paint(Style::Strong, "dispatch")))?;
        screen.line("")?;
        let service = format!("http://{}", self.server.address());
        for (name, what, why) in [
            ("the service", service.as_str(), "real: HTTP, signatures, SQLite, workers"),
            ("GitHub", &self.emulator.api_url(), "emulated, with GitHub's own rules"),
            files,
        ] {
            let why = screen.paint(Style::Faint, why);
            screen.line(format_args!("  {name:<13} {what:<24} {why}"))?;
        }
        Ok(())
    }

    /// Says where the dashboard is.
    pub(super) fn invite(&self, screen: &Screen) -> Result<(), Failure> {
        screen.line("")?;
        screen.line(format_args!("  dashboard     http://{}/admin", self.server.address()))?;
        screen.line(format_args!("  token         {}", self.token))?;
        screen.line("  Ctrl-C        ends it, and leaves nothing behind")?;
        Ok(())
    }

    pub(super) async fn take_down(self) {
        self.server.shutdown().await;
        self.emulator.shutdown().await;
        drop(self.pipeline);
        drop(self.folder);
    }
}
