//! `dispatch demo`: the real service, told what happens in a little organisation on an emulated GitHub.
//!
//! Only GitHub is not real here. Webhooks are signed and travel over HTTP, the service is the one of `dispatch serve`
//! with its database in a temporary folder, and what it asks of GitHub it asks over HTTP, with tokens that the emulator
//! made and checks.

mod forgery;
mod journey;
mod narrator;
mod organisation;
mod screen;
mod story;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use dispatch_axum::store::SqliteStore;
use dispatch_axum::worker::{WorkerOptions, Workers};
use dispatch_axum::{Service, telemetry};
use dispatch_core::Timestamp;
use dispatch_core::guardrail::Guardrails;
use dispatch_core::pipeline::Pipeline;
use dispatch_core::ports::policies::BoundedPolicyMemory;
use dispatch_core::retry::RetryPolicy;
use dispatch_core::testing::world::{Pace, Run};
use dispatch_github::emulator::{Emulator, EmulatorOptions};
use dispatch_github::{GitHub, GitHubOptions};
use tempfile::TempDir;
use tokio::net::TcpListener;

use self::narrator::Narrator;
use self::screen::{Screen, Style};
use self::story::{Act, acts};
use super::Failure;
use super::server::{ConnectionLimits, Server};

/// Arguments of `dispatch demo`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit code with --once: 0 if exactly the expected runs were started, else 1.")]
pub(crate) struct Args {
    /// End after the story, and say by the exit code whether GitHub saw exactly the expected runs.
    #[arg(long)]
    once: bool,
}

/// Tells the story, and then shows the dashboard until a signal ends it.
///
/// # Errors
/// Something that was expected did not happen, or something happened that was not expected.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    super::runtime()?.block_on(demonstrate(args.once))
}

async fn demonstrate(once: bool) -> Result<ExitCode, Failure> {
    let screen = Screen::new();
    let stage = Stage::set_up().await?;
    stage.introduce(&screen)?;
    let pipeline = stage.pipeline.clone();
    let mut narrator = Narrator::new(&screen, &stage.emulator, &*pipeline.store, stage.webhook_url());
    for (number, act) in (1..).zip(acts()) {
        narrator.tell(number, act).await?;
    }
    let mut differences = narrator.into_differences();
    differences.extend(stage.compare(&screen)?);
    if !once {
        let signals = super::Signals::new()?;
        stage.invite(&screen)?;
        signals.ended().await;
    }
    stage.take_down().await;
    match differences.as_slice() {
        [] => Ok(ExitCode::SUCCESS),
        _ => Err(Failure::work(format_args!("not what was expected: {}", differences.join("; ")))),
    }
}

/// Everything that runs: GitHub, the service, and the folder of its database.
struct Stage {
    emulator: Emulator,
    pipeline: Pipeline,
    server: Server,
    token: String,
    folder: TempDir,
}

impl Stage {
    async fn set_up() -> Result<Self, Failure> {
        let world = organisation::world(Timestamp::now()).map_err(Failure::work)?;
        // Long enough to be seen, short enough to be waited for.
        let pace = Pace { queued: Duration::from_millis(100), in_progress: Duration::from_millis(200) };
        let options = EmulatorOptions { pace: Some(pace), ..EmulatorOptions::default() };
        let emulator = Emulator::start(world, options).await?;
        let github = GitHub::new(GitHubOptions {
            api_url: emulator.api_url(),
            app_id: emulator.app_id(),
            private_key: emulator.private_key_pem().into(),
            ..GitHubOptions::default()
        });
        let folder = TempDir::with_prefix("dispatch-demo-")?;
        let settings = BTreeMap::from([("OWNER_ALLOWLIST".to_owned(), organisation::OWNER.to_owned())]);
        let pipeline = Pipeline {
            github: Arc::new(github.map_err(Failure::work)?),
            store: Arc::new(SqliteStore::open(folder.path().join("demo.sqlite")).map_err(Failure::work)?),
            policies: Arc::new(BoundedPolicyMemory::new(100)),
            guardrails: Guardrails::from_settings(&settings)?,
            retry: RetryPolicy::default(),
            settle: Pipeline::DEFAULT_SETTLE,
            max_event_age: Pipeline::DEFAULT_MAX_EVENT_AGE,
        };
        let secrets = emulator.webhook_secret().parse().map_err(Failure::work)?;
        let token = super::random_token()?;
        let service = Service::new(pipeline.clone(), secrets)
            .admin_token(token.clone().into())
            .metrics(telemetry::install().map_err(Failure::work)?);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let workers = Workers::start(pipeline.clone(), WorkerOptions::default());
        let server = Server::start(listener, workers, service, ConnectionLimits::new(Vec::new()))?;
        let stage = Self { emulator, pipeline, server, token, folder };
        stage.emulator.set_webhook_url(&stage.webhook_url());
        Ok(stage)
    }

    fn webhook_url(&self) -> String {
        format!("http://{}/webhooks/github", self.server.address())
    }

    fn introduce(&self, screen: &Screen) -> Result<(), Failure> {
        screen.line("")?;
        screen.line(format_args!(
            "  {}  something starts only where both sides wrote down that they want it",
            screen.paint(Style::Strong, "dispatch")
        ))?;
        screen.line("")?;
        let service = format!("http://{}", self.server.address());
        for (name, what, why) in [
            ("the service", service.as_str(), "real: HTTP, signatures, SQLite, workers"),
            ("GitHub", &self.emulator.api_url(), "emulated, with GitHub's own rules"),
            ("policy files", "dispatch-axum/demo", "those of everybody at fjord-coffee"),
        ] {
            let why = screen.paint(Style::Faint, why);
            screen.line(format_args!("  {name:<13} {what:<24} {why}"))?;
        }
        Ok(())
    }

    /// Compares the emulator's own record with what the story should have started.
    fn compare(&self, screen: &Screen) -> Result<Vec<String>, Failure> {
        let world = self.emulator.world();
        let started: Vec<_> = world.runs().filter(|run| run.event == "workflow_dispatch").map(shown).collect();
        let expected: Vec<_> = acts().iter().flat_map(Act::started).map(|(r, w)| format!("{r} / {w}")).collect();
        let ok = started == expected;
        screen.line("")?;
        let (style, mark) = if ok { (Style::Yes, "✓") } else { (Style::No, "✗") };
        let word =
            if ok { "exactly the runs that both sides agreed to" } else { "other runs than both sides agreed to" };
        screen.line(format_args!("  {} GitHub's own record shows {word}:", screen.paint(style, mark)))?;
        for run in &started {
            screen.line(format_args!("      {run}"))?;
        }
        let difference = format!("expected the runs {expected:?}, GitHub has {started:?}");
        Ok(if ok { Vec::new() } else { vec![difference] })
    }

    fn invite(&self, screen: &Screen) -> Result<(), Failure> {
        screen.line("")?;
        screen.line(format_args!("  dashboard     http://{}/admin", self.server.address()))?;
        screen.line(format_args!("  token         {}", self.token))?;
        screen.line("  Ctrl-C        ends it, and leaves nothing behind")?;
        Ok(())
    }

    async fn take_down(self) {
        self.server.shutdown().await;
        self.emulator.shutdown().await;
        drop(self.pipeline);
        drop(self.folder);
    }
}

fn shown(run: &Run) -> String {
    format!("{} / {}", run.repository.name(), run.workflow)
}
