//! `dispatch serve`, as anybody would run it.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use dispatch_github::emulator::Emulator;
use serde_json::Value;

use crate::Result;

/// How long it may take to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// Builds the command with the same profile as this program, and answers where it is.
pub(crate) fn build() -> Result<PathBuf> {
    let folder = std::env::current_exe()?.parent().ok_or("this program is nowhere")?.to_owned();
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "-q", "--bin", "dispatch"]).current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    if !cargo.status()?.success() {
        return Err("the command `dispatch` cannot be built".into());
    }
    Ok(folder.join("dispatch"))
}

/// The running service.
pub(crate) struct Service {
    child: Child,
    listening: Receiver<SocketAddr>,
    reader: Option<JoinHandle<Vec<String>>>,
}

impl Service {
    pub(crate) fn start(program: &Path, emulator: &Emulator, database: &Path) -> Result<Self> {
        let mut command = Command::new(program);
        command.arg("serve").env_clear().stdin(Stdio::null()).stdout(Stdio::piped());
        command.env("GITHUB_API_URL", emulator.api_url());
        command.env("GITHUB_APP_ID", emulator.app_id().to_string());
        command.env("GITHUB_APP_SLUG", &emulator.world().app().slug);
        command.env("GITHUB_APP_PRIVATE_KEY", emulator.private_key_pem());
        command.env("GITHUB_WEBHOOK_SECRET", emulator.webhook_secret());
        command.env("OWNER_ALLOWLIST", "*");
        command.env("ADMIN_TOKEN", "a token that nobody needs");
        command.env("DATABASE_PATH", database);
        command.env("PORT", "0");
        // Minutes stand for days here.
        command.env("DISPATCH_SETTLE_SECONDS", "2");
        command.env("DISPATCH_MAX_EDGE_RATE", "1000000");
        let mut child = command.spawn()?;
        let output = child.stdout.take().ok_or("it has no output")?;
        let (listens, listening) = channel();
        let reader = thread::spawn(move || read(output, &listens));
        Ok(Self { child, listening, reader: Some(reader) })
    }

    /// Where it listens, once it does.
    pub(crate) fn address(&self) -> Result<SocketAddr> {
        Ok(self.listening.recv_timeout(PATIENCE)?)
    }

    /// Its number.
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    /// Tells it to end, and answers with the errors in its log.
    pub(crate) fn end(&mut self) -> Result<Vec<String>> {
        Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).status()?;
        let status = self.child.wait()?;
        if !status.success() {
            return Err(format!("it ended with {status}").into());
        }
        let reader = self.reader.take().ok_or("it has ended before")?;
        reader.join().map_err(|_| "its log cannot be read".into())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads the log to its end, and keeps the errors.
fn read(output: ChildStdout, listens: &std::sync::mpsc::Sender<SocketAddr>) -> Vec<String> {
    let mut errors = Vec::new();
    for text in BufReader::new(output).lines().map_while(std::result::Result::ok) {
        let Ok(line) = serde_json::from_str::<Value>(&text) else { continue };
        let field = |name: &str| line.get(name).and_then(Value::as_str);
        if let (Some("listening"), Some(Ok(address))) = (field("message"), field("address").map(str::parse)) {
            // Who asked may have gone.
            let _ = listens.send(address);
        }
        if field("level") == Some("ERROR") {
            errors.push(text);
        }
    }
    errors
}
