//! `dispatch serve` as a process that is started, killed and started again on the same database.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use dispatch_axum::store::SqliteStore;
use dispatch_core::testing::account::left_to_do;
use dispatch_github::emulator::Emulator;
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::watch;

/// Longer than the program takes to start on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where a service lives: what it is started with.
pub(crate) struct Home {
    emulator: Arc<Emulator>,
    database: PathBuf,
    // Some until it is dropped.
    folder: Option<TempDir>,
    log: PathBuf,
}

impl Home {
    /// A home for a service of the emulator's App.
    pub(crate) fn new(emulator: &Arc<Emulator>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (database, log) = (folder.path().join("dispatch.sqlite"), folder.path().join("log"));
        Self { emulator: Arc::clone(emulator), database, folder: Some(folder), log }
    }

    /// The same, with the database in another folder.
    pub(crate) fn with_database_in(mut self, folder: &Path) -> Self {
        self.database = folder.join("dispatch.sqlite");
        self
    }

    /// The database, opened once more: to look at.
    pub(crate) fn store(&self) -> SqliteStore {
        SqliteStore::open(&self.database).unwrap()
    }

    /// Waits until so many completed runs were decided about, and nothing waits any more.
    pub(crate) async fn until_quiet(&self, completed: usize, patience: Duration) {
        let (store, deadline) = (self.store(), Instant::now() + patience);
        while let Some(left) = left_to_do(&store, completed).await {
            assert!(Instant::now() < deadline, "not all is done within {patience:?}: {left}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Everything that the services of this home said.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// A subcommand, with the settings of the service.
    pub(crate) fn command(&self, name: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dispatch"));
        command.arg(name).env_clear().stdin(Stdio::null());
        command.env("GITHUB_API_URL", self.emulator.api_url());
        command.env("GITHUB_APP_ID", self.emulator.app_id().to_string());
        command.env("GITHUB_APP_SLUG", &self.emulator.world().app().slug);
        command.env("GITHUB_APP_PRIVATE_KEY", self.emulator.private_key_pem());
        command.env("GITHUB_WEBHOOK_SECRET", self.emulator.webhook_secret());
        command.env("OWNER_ALLOWLIST", "*");
        command.env("ADMIN_TOKEN", "a token that nobody needs");
        command.env("DATABASE_PATH", &self.database);
        // Any free port: one that was in use a moment ago may have been taken meanwhile.
        command.env("PORT", "0");
        command.env("DISPATCH_SETTLE_SECONDS", "1");
        command
    }

    /// Starts the service. Once it listens, webhooks go to it.
    pub(crate) fn start(&self) -> Service {
        let mut log = OpenOptions::new().create(true).append(true).open(&self.log).unwrap();
        let errors: File = log.try_clone().unwrap();
        let mut child = self.command("serve").stdout(Stdio::piped()).stderr(errors).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (listens, listening) = watch::channel(None);
        let emulator = Arc::clone(&self.emulator);
        thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                writeln!(log, "{line}").unwrap();
                if let Some(address) = address(&line) {
                    emulator.set_webhook_url(&format!("http://{address}/webhooks/github"));
                    // Who asked may have gone.
                    let _ = listens.send(Some(address));
                }
            }
        });
        Service { child, listening }
    }
}

impl Drop for Home {
    /// Keeps what a test left that failed.
    fn drop(&mut self) {
        if let Some(folder) = self.folder.take().filter(|_| thread::panicking()) {
            eprintln!("the database and the log are in {}", folder.keep().display());
        }
    }
}

/// A running service. It is killed when it is dropped.
pub(crate) struct Service {
    child: Child,
    listening: watch::Receiver<Option<SocketAddr>>,
}

impl Service {
    /// Waits until it listens.
    pub(crate) async fn address(&mut self) -> SocketAddr {
        let listening = tokio::time::timeout(PATIENCE, self.listening.wait_for(Option::is_some)).await;
        listening.expect("it listens in time").expect("it goes on until it listens").unwrap()
    }

    /// Kills it on the spot.
    pub(crate) fn kill(mut self) {
        assert_eq!(self.child.try_wait().unwrap(), None, "it ended by itself");
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Tells it to end, and waits for its end.
    pub(crate) async fn end(mut self) -> (ExitStatus, Duration) {
        let began = Instant::now();
        let told = Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).status();
        assert!(told.unwrap().success());
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return (status, began.elapsed());
            }
            assert!(began.elapsed() < PATIENCE, "it does not end");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn address(line: &str) -> Option<SocketAddr> {
    let line: Value = serde_json::from_str(line).ok()?;
    (line["message"] == "listening").then(|| line["address"].as_str().unwrap().parse().unwrap())
}
