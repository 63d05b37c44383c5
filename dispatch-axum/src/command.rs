//! The subcommands, and how each of them ends.

mod backup;
mod database;
mod demo;
mod emulate;
mod environments;
mod explain;
mod graph;
mod installed;
mod lint;
mod parked;
mod policy_tree;
mod recover;
mod repository_tree;
mod schema;
mod serve;
mod server;
mod settings;
mod test_policies;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use dispatch_core::guardrail::SettingError;
use serde::Serialize;
use tokio::runtime::{self, Runtime};

/// Consent-based dispatch between GitHub repositories.
///
/// When something happens in repository A, something runs in repository B: if, and only if, both wrote down that they
/// want it, in a file named dispatching.yml. Start with `dispatch demo`.
#[derive(Debug, Parser)]
#[command(name = "dispatch", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the service.
    Serve(serve::Args),
    /// Show the real service at work, on an emulated GitHub with a little organisation in it.
    Demo(demo::Args),
    /// Run GitHub's emulator alone, to try the service or your own tools against.
    Emulate(emulate::Args),
    /// Work on what was given up: list it, show it, retry it, drop it.
    Parked(parked::Args),
    /// Look into GitHub's delivery log for webhooks that never arrived, and ask for them again.
    Recover(recover::Args),
    /// List the environments of pull requests.
    Environments(environments::ListArgs),
    /// Destroy environments whose pull request is closed although no webhook said so, or whose time is over.
    Sweep(environments::SweepArgs),
    /// Copy the database, also while the service works on it.
    Backup(backup::Args),
    /// Explain the decision about one event, offline and without credentials.
    Explain(explain::Args),
    /// Show every problem of policy files, and between the repositories of a folder or an organisation, with its place and how to mend it.
    Lint(lint::Args),
    /// Run tests of policies: when this happens, exactly that starts.
    Test(test_policies::Args),
    /// Print the JSON Schema of `dispatching.yml`, with which editors complete, explain and check it.
    Schema,
    /// Draw which repository of a folder or an organisation may start what in which other one.
    Graph(graph::Args),
}

/// Runs the command that was asked for.
pub(crate) fn run() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Serve(args) => serve::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Emulate(args) => emulate::run(&args),
        Command::Parked(args) => parked::run(&args),
        Command::Recover(args) => recover::run(&args),
        Command::Environments(args) => environments::list(&args),
        Command::Sweep(args) => environments::sweep(&args),
        Command::Backup(args) => backup::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Lint(args) => lint::run(&args),
        Command::Test(args) => test_policies::run(&args),
        Command::Schema => schema::run(),
        Command::Graph(args) => graph::run(&args),
    };
    result.unwrap_or_else(|failure| failure.report())
}

/// Why a command could not do its work: one line on the standard error, and an exit code.
#[derive(Debug)]
pub(crate) struct Failure {
    line: String,
    code: u8,
}

impl Failure {
    /// What was given is wrong: exit code 2.
    pub(crate) fn input(problem: impl std::fmt::Display) -> Self {
        Self { line: problem.to_string(), code: 2 }
    }

    /// It went wrong on the way: exit code 1.
    pub(crate) fn work(problem: impl std::fmt::Display) -> Self {
        Self { line: problem.to_string(), code: 1 }
    }

    fn report(self) -> ExitCode {
        // A reader that went away (`dispatch ... | head`) is no failure to talk about.
        if !self.line.is_empty() {
            let line: String = self.line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
            let _ = writeln!(io::stderr(), "dispatch: {line}");
        }
        ExitCode::from(self.code)
    }
}

impl From<SettingError> for Failure {
    fn from(error: SettingError) -> Self {
        Self::input(error)
    }
}

/// Only the output is written without saying what failed; everything that is read has its own message.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self { line: String::new(), code: 1 },
            _ => Self::work(format_args!("cannot write the output: {error}")),
        }
    }
}

/// One value as JSON for people and programs, and a line break.
fn write_json(out: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    writeln!(out)
}

/// The runtime of the commands that serve.
fn runtime() -> Result<Runtime, Failure> {
    runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::work(format_args!("cannot start: {error}")))
}

/// A token that nobody can guess: 64 hexadecimal digits.
fn random_token() -> Result<String, Failure> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| Failure::work(format_args!("no randomness: {error}")))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// SIGTERM and SIGINT (Ctrl-C), from when this is made: one that comes before anybody waits for it is not lost.
#[cfg(unix)]
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> Result<Self, Failure> {
        use tokio::signal::unix::{SignalKind, signal};
        let listen =
            |kind| signal(kind).map_err(|error| Failure::work(format_args!("cannot wait for signals: {error}")));
        Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    /// Waits for one, and answers with its name.
    async fn ended(mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// Ctrl-C, where there are no other signals.
#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> Result<Self, Failure> {
        Ok(Self)
    }

    async fn ended(self) -> &'static str {
        // Where Ctrl-C cannot be waited for, the operating system ends the process by itself.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        "Ctrl-C"
    }
}
