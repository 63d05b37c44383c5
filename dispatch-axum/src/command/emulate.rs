//! `dispatch emulate`: GitHub alone, behind real HTTP, to try things against.

use std::collections::BTreeSet;
use std::error::Error;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use dispatch_core::Timestamp;
use dispatch_core::name::Owner;
use dispatch_github::emulator::{self, Emulator, EmulatorOptions};

use super::Failure;
use super::settings::{is_loopback, wrong};

/// Arguments of `dispatch emulate`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
What is printed can be pasted into a shell: the settings for `dispatch serve` as `export` lines, and the requests that \
control the emulator as comments. It listens on this machine only, and sends webhooks to this machine only.")]
pub(crate) struct Args {
    /// The port to listen on; 0 takes a free one.
    #[arg(long, value_name = "N")]
    port: u16,
    /// The folder with the repositories' files: DIR/OWNER/REPOSITORY/dispatching.yml, .github/workflows/*.yml.
    #[arg(long, value_name = "DIR")]
    world: PathBuf,
    /// Where to deliver webhooks; on this machine.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:3000/webhooks/github")]
    webhook_url: String,
}

/// Emulates until a signal ends it.
///
/// # Errors
/// The folder cannot be read, the URL is not on this machine, or the port is taken.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let on_this_machine = args.webhook_url.parse().is_ok_and(|uri: http::Uri| is_loopback(&uri));
    if !on_this_machine {
        let url = args.webhook_url.escape_debug();
        return Err(Failure::input(wrong(
            "--webhook-url",
            format_args!("expected a URL on this machine, got `{url}`"),
        )));
    }
    super::runtime()?.block_on(emulate(args))
}

async fn emulate(args: &Args) -> Result<ExitCode, Failure> {
    let world = emulator::load_world(&args.world, Timestamp::now()).map_err(|error| Failure::input(causes(&error)))?;
    let options =
        EmulatorOptions { port: args.port, webhook_url: Some(args.webhook_url.clone()), ..Default::default() };
    let emulator = Emulator::start(world, options)
        .await
        .map_err(|error| Failure::input(format_args!("--port: cannot listen on port {}: {error}", args.port)))?;
    let signals = super::Signals::new()?;
    introduce(&mut io::stdout().lock(), &emulator, &args.webhook_url)?;
    signals.ended().await;
    emulator.shutdown().await;
    Ok(ExitCode::SUCCESS)
}

/// Everything that a shell needs, and comments for people.
fn introduce(out: &mut impl Write, emulator: &Emulator, webhook_url: &str) -> io::Result<()> {
    let url = emulator.api_url();
    let (owners, first) = {
        let world = emulator.world();
        let owners: BTreeSet<_> = world.repositories().map(|repository| repository.name.owner()).collect();
        let owners = owners.iter().map(Owner::as_str).collect::<Vec<_>>().join(",");
        let with_workflow = world.repositories().find(|repository| !repository.workflows.is_empty());
        let first = with_workflow.and_then(|r| Some((r.name.to_string(), r.workflows.keys().next()?.clone())));
        (owners, first.unwrap_or_else(|| ("OWNER/REPOSITORY".to_owned(), "ci.yml".to_owned())))
    };
    let (repository, workflow) = first;
    write!(
        out,
        "\
# GitHub, emulated, at {url}
# Its webhooks go to {webhook_url}
# Paste these lines into another shell, and then run: dispatch serve

export GITHUB_API_URL='{url}'
export GITHUB_APP_ID='{app}'
export GITHUB_WEBHOOK_SECRET='{secret}'
export OWNER_ALLOWLIST='{owners}'
export GITHUB_APP_PRIVATE_KEY='{key}'

# Let something happen: a run completes, and its signed webhook is delivered
#   curl -d '{{\"workflow_run\":{{\"repository\":\"{repository}\",\"workflow\":\"{workflow}\"}}}}' {url}/_emulator/events
# Order that something goes wrong, once: the next dispatch has its effect, and its answer is lost
#   curl -d '{{\"path\":\"/repos/**/dispatches\",\"kind\":\"cut_after\"}}' {url}/_emulator/faults
# Every request that was received, and every run
#   curl {url}/_emulator/requests
#   curl {url}/_emulator/runs

# Ctrl-C ends it.
",
        app = emulator.app_id(),
        secret = emulator.webhook_secret(),
        key = emulator.private_key_pem().trim_end(),
    )?;
    out.flush()
}

/// An error with what caused it, in one line.
fn causes(error: &dyn Error) -> String {
    error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {}", causes(source)))
}
