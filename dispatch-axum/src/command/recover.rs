//! `dispatch recover`: looks for webhooks that never arrived, by hand.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use dispatch_axum::store::SqliteStore;
use dispatch_core::Timestamp;
use dispatch_core::diagnostic::visible;
use dispatch_core::guardrail::SettingError;
use dispatch_core::pipeline::Pipeline;
use dispatch_core::recovery::{Missed, RecoverOptions, RecoverOutcome};

use super::Failure;
use super::database::offline;
use super::settings::{Flags, Service, ServiceSettings, seconds, wrong};

/// Arguments of `dispatch recover`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The service does this by itself, at start and every ten minutes. By hand it is for looking (`--dry-run`), and for looking \
further back than the last look. The settings are those of `dispatch serve`; the service may be running.

Exit code: 0 if all was read, 1 if GitHub or the database did not let it come to its end, 2 for wrong use.")]
pub(crate) struct Args {
    /// How far back to look, such as 90m, 12h or 3d, which is as far as GitHub's log reaches [default: the last look]
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only tell what was missed: ask for nothing, and store nothing.
    #[arg(long)]
    dry_run: bool,
    /// Ask also for what GitHub says was delivered and is not in the database: after a restore from an older copy.
    #[arg(long)]
    compare: bool,
    #[command(flatten)]
    service: Flags<Service>,
}

/// Looks once.
///
/// # Errors
/// A setting is wrong, or the database cannot be used.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let settings = ServiceSettings::read(&args.service.settings()?)?;
    super::serve::refuse_the_emulators_key(&settings.app)?;
    let since = args.since.as_deref().map(back).transpose()?;
    let now = Timestamp::now();
    let options = RecoverOptions {
        since: since.map(|since| now.checked_sub(since).unwrap_or(Timestamp::MIN)),
        compare: args.compare,
        dry_run: args.dry_run,
    };
    super::runtime()?.block_on(recover(&settings, options, now))
}

async fn recover(settings: &ServiceSettings, options: RecoverOptions, now: Timestamp) -> Result<ExitCode, Failure> {
    let github = super::serve::github(&settings.app)?;
    let database = super::database::existing(&settings.database)?;
    let store = SqliteStore::open(database).map_err(|error| wrong("DATABASE_PATH", error))?;
    let pipeline = Pipeline { retry: settings.pipeline.retry, ..offline(Arc::new(store))? };
    let outcome = pipeline.recover(&github, options, now).await.map_err(Failure::work)?;
    let mut out = io::stdout().lock();
    tell(&mut out, &outcome, options.dry_run)?;
    out.flush()?;
    match (outcome.error, outcome.elsewhere, outcome.complete) {
        (Some(error), ..) => Err(Failure::work(error)),
        (None, true, _) => Err(Failure::work("the service looked at the same time; nothing was asked for: try again")),
        (None, false, false) => Err(Failure::work("the log is long: run it again to go on where it ended")),
        (None, false, true) => Ok(ExitCode::SUCCESS),
    }
}

fn tell(out: &mut impl Write, outcome: &RecoverOutcome, dry_run: bool) -> io::Result<()> {
    let RecoverOutcome { looked_at, asked, arrived, lost, missing, .. } = *outcome;
    if !outcome.missed.is_empty() {
        writeln!(out, "{:<36}  {:<23}  {:<20}  GITHUB SAID", "DELIVERY", "MISSED", "EVENT")?;
    }
    for Missed { delivery, event, at, status, .. } in &outcome.missed {
        let at = at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
        writeln!(out, "{:<36}  {at:<23}  {:<20}  {}", delivery.as_str(), visible(event), visible(status))?;
    }
    let verb = if dry_run { "would be asked for again" } else { "asked for again" };
    writeln!(out, "{looked_at} attempts looked at: {} newly missed, {asked} {verb}", outcome.missed.len())?;
    if arrived > 0 {
        writeln!(out, "{arrived} that were missed have arrived")?;
    }
    if lost > 0 {
        writeln!(out, "{lost} cannot be asked for any more: GitHub's log does not reach back to them")?;
    }
    if missing > 0 {
        writeln!(out, "{missing} still missing")?;
    }
    Ok(())
}

/// How far back.
fn back(text: &str) -> Result<Duration, SettingError> {
    const MOST: u64 = 3 * 24 * 60 * 60;
    match seconds(text) {
        Some(seconds @ 1..=MOST) => Ok(Duration::from_secs(seconds)),
        _ => Err(wrong(
            "--since",
            format_args!("expected a time from 1s to 3d, such as 90m or 12h, got `{}`", text.escape_debug()),
        )),
    }
}
