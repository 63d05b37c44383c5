//! `dispatch environments` and `dispatch sweep`.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use dispatch_axum::environments::{self, Which};
use dispatch_axum::store::SqliteStore;
use dispatch_core::Timestamp;
use dispatch_core::diagnostic::visible;
use dispatch_core::pipeline::{Pipeline, SweepOptions, SweepOutcome};
use dispatch_core::ports::store::StorePort;
use dispatch_core::projection::EnvironmentRow;

use super::database::{Database, offline};
use super::settings::{Flags, Service, ServiceSettings, wrong};
use super::{Failure, write_json};

/// How many are read at once.
const PAGE: usize = 200;

/// Arguments of `dispatch environments`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit code: 0 if they were listed, 1 if the database cannot be read, 2 for wrong use.")]
pub(crate) struct ListArgs {
    /// List those that were destroyed, too, as long as they are kept.
    #[arg(long)]
    all: bool,
    /// Print one JSON array instead of text.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    database: Database,
}

/// Lists environments, those that were wanted last first.
///
/// # Errors
/// The database cannot be used.
pub(crate) fn list(args: &ListArgs) -> Result<ExitCode, Failure> {
    super::runtime()?.block_on(async {
        let store = args.database.open()?;
        let which = if args.all { Which::All } else { Which::Present };
        let all = read(&store, which).await?;
        let mut out = io::stdout().lock();
        if args.json {
            write_json(&mut out, &all)?;
        } else {
            tell(&mut out, &all)?;
        }
        out.flush()?;
        Ok(ExitCode::SUCCESS)
    })
}

async fn read(store: &dyn StorePort, which: Which) -> Result<Vec<EnvironmentRow>, Failure> {
    let (mut all, mut before) = (Vec::new(), None);
    loop {
        let page = environments::page(store, which, before, PAGE).await.map_err(Failure::work)?;
        all.extend(page.environments);
        before = page.older;
        if before.is_none() {
            return Ok(all);
        }
    }
}

fn tell(out: &mut impl Write, all: &[EnvironmentRow]) -> io::Result<()> {
    if all.is_empty() {
        return writeln!(out, "there are no environments");
    }
    let width = all.iter().map(|row| name(row).chars().count()).max().unwrap_or(0).max(11);
    writeln!(out, "{:width$}  {:<10}  {:<16}  {:<16}  HELD BY", "ENVIRONMENT", "STATE", "CHANGED", "EXPIRES")?;
    for row in all {
        let holders: Vec<_> = row.holders.iter().map(|number| format!("#{number}")).collect();
        let more = if row.held_by > holders.len() { ", ..." } else { "" };
        let expires = match row.expires_at {
            Some(_) if row.keep => "kept".to_owned(),
            Some(at) => minute(at),
            None => "-".to_owned(),
        };
        writeln!(
            out,
            "{:width$}  {:<10}  {:<16}  {expires:<16}  {} {}{more}",
            name(row),
            row.state.as_str(),
            minute(row.changed_at),
            visible(row.source.as_str()),
            holders.join(", "),
        )?;
    }
    writeln!(out, "\n{} environments; times are UTC", all.len())
}

fn name(row: &EnvironmentRow) -> String {
    visible(&format!("{} {}", row.key.repository, row.key.name)).into_owned()
}

fn minute(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M").to_string()
}

/// Arguments of `dispatch sweep`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The service does this by itself, every week unless SWEEP_INTERVAL_HOURS says otherwise, and looks every hour for those whose \
time is over. What is to go is decided about like the webhook that never came, by the service, which may be running. Only \
environments that were made here are looked at; a pull request that GitHub does not show is never taken for closed. By itself \
the service tries once a day what could not go; this command tries it at once.

Exit code: 0 if all was looked at, 1 if there were more than SWEEP_LIMIT, if GitHub did not tell about some, or if the \
database did not let it come to its end, 2 for wrong use.")]
pub(crate) struct SweepArgs {
    /// Only tell what would go: store nothing.
    #[arg(long)]
    dry_run: bool,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    service: Flags<Service>,
}

/// Sweeps once.
///
/// # Errors
/// A setting is wrong, or the database cannot be used.
pub(crate) fn sweep(args: &SweepArgs) -> Result<ExitCode, Failure> {
    let settings = ServiceSettings::read(&args.service.settings()?)?;
    super::serve::refuse_the_emulators_key(&settings.app)?;
    super::runtime()?.block_on(async {
        let github = super::serve::github(&settings.app)?;
        let database = super::database::existing(&settings.database)?;
        let store = SqliteStore::open(database).map_err(|error| wrong("DATABASE_PATH", error))?;
        let pipeline = Pipeline { github: Arc::new(github), ..offline(Arc::new(store))? };
        let options = SweepOptions {
            limit: settings.pipeline.sweep_limit,
            dry_run: args.dry_run,
            // Whoever asks for it may have mended what was in the way.
            again_after: Duration::ZERO,
            ..SweepOptions::default()
        };
        let outcome = pipeline.sweep(&options, Timestamp::now()).await.map_err(Failure::work)?;
        let mut out = io::stdout().lock();
        if args.json {
            write_json(&mut out, &outcome)?;
        } else {
            report(&mut out, &outcome, args.dry_run)?;
        }
        out.flush()?;
        match (outcome.limited, outcome.unknown.is_empty()) {
            (true, _) => Err(Failure::work("there are more than SWEEP_LIMIT: run it again when these are gone")),
            (false, false) => Err(Failure::work("GitHub did not tell about some; they were left alone")),
            (false, true) => Ok(ExitCode::SUCCESS),
        }
    })
}

fn report(out: &mut impl Write, outcome: &SweepOutcome, dry_run: bool) -> io::Result<()> {
    let verb = if dry_run { "would be destroyed" } else { "is to be destroyed" };
    for swept in &outcome.going {
        let (key, number) = (&swept.environment, swept.pull_request);
        let why = if swept.expired { "its time is over" } else { "is closed" };
        let what = visible(&format!("{} {}", key.repository, key.name)).into_owned();
        match swept.expired {
            true => writeln!(out, "{what}  {verb}: {why}")?,
            false => writeln!(out, "{what}  {verb}, unless others hold it: pull request #{number} {why}")?,
        }
    }
    for unknown in &outcome.unknown {
        let key = &unknown.environment;
        let what = visible(&format!("{} {}", key.repository, key.name)).into_owned();
        writeln!(out, "{what}  left alone: pull request #{}: {}", unknown.pull_request, visible(&unknown.why))?;
    }
    let SweepOutcome { looked_at, open, busy, going_before, overdue, .. } = outcome;
    writeln!(
        out,
        "{looked_at} environments looked at: {} to go, {open} open, {busy} busy, {} unknown",
        outcome.going.len(),
        outcome.unknown.len(),
    )?;
    if *going_before > 0 {
        writeln!(out, "{going_before} were going before, which counts for SWEEP_LIMIT")?;
    }
    if *overdue > 0 {
        writeln!(out, "{overdue} actions were under way for too long and are not waited for any more")?;
    }
    Ok(())
}
