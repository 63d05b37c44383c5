//! The soak: the real service under a steady load while things go wrong, for as long as one likes.
//! `cargo run --release -p dispatch-benches --bin soak -- --minutes 10`
//!
//! `dispatch serve` is a process of its own, as anybody would run it (it is built first, unless `--dispatch` names one);
//! GitHub is the emulator, over HTTP. Meanwhile GitHub limits rates, answers with 502, is slow, and cuts connections
//! before and after it did what was asked; webhooks come twice; policies change and consent is withdrawn. In the end
//! everything that happened is accounted for, and the memory that the service used is compared with what it used at half
//! time.
//!
//! Exit code: 0 if nothing was lost, nothing was done twice, and the memory was flat; 1 otherwise. Whether memory is flat
//! is told from two minutes on: before, a process is still filling what it keeps.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "what a program prints is its answer")]

mod github;
mod measurements;
mod service;
mod weather;

use std::error::Error;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use dispatch_axum::store::SqliteStore;
use dispatch_core::testing::account::{Account, Expected, Outcomes, left_to_do};

use github::GitHub;
use measurements::Measurements;
use service::Service;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const MINUTES: f64 = 10.0;
/// Shorter than that, nobody can tell whether memory is flat.
const TOLD_FROM: Duration = Duration::from_secs(120);
/// How much more memory the service may use in the end than at half time, in percent.
const FLAT: f64 = 5.0;
/// How long what is left may take once nothing goes wrong any more.
const PATIENCE: Duration = Duration::from_secs(300);
const TICK: Duration = Duration::from_millis(5);
/// How often the service is measured.
const MEASURE_EVERY: Duration = Duration::from_secs(2);

fn main() -> Result<ExitCode> {
    let (mut minutes, mut program) = (MINUTES, None);
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        match (name.as_str(), arguments.next()) {
            ("--minutes", Some(value)) => minutes = value.parse()?,
            ("--dispatch", Some(value)) => program = Some(value.into()),
            _ => return Err("usage: soak [--minutes NUMBER] [--dispatch PATH]".into()),
        }
    }
    let program = program.map_or_else(service::build, Ok)?;
    tokio::runtime::Runtime::new()?.block_on(soak(&program, Duration::from_secs_f64(minutes * 60.0)))
}

async fn soak(program: &std::path::Path, time: Duration) -> Result<ExitCode> {
    let mut github = GitHub::start().await?;
    let folder = tempfile::tempdir()?;
    let database = folder.path().join("dispatch.sqlite");
    let mut service = Service::start(program, github.emulator(), &database)?;
    github.deliver_to(service.address()?);

    let mut measurements = Measurements::new(service.process());
    let started = Instant::now();
    let mut measured = started;
    while started.elapsed() < time {
        github.let_happen(started.elapsed())?;
        if measured.elapsed() >= MEASURE_EVERY {
            measured = Instant::now();
            measurements.measure(started.elapsed(), &github)?;
        }
        tokio::time::sleep(TICK).await;
    }
    measurements.measure(started.elapsed(), &github)?;
    github.calm_down();

    let expected = github.expected();
    let deadline = Instant::now() + PATIENCE;
    while let Some(left) = left_to_do(&SqliteStore::open(&database)?, expected.completed.len()).await {
        if Instant::now() > deadline {
            return Err(format!("not all is done after {PATIENCE:?}: {left}").into());
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    measurements.collect_answers(&github);
    let errors = service.end()?;
    let outcomes = Account::read(SqliteStore::open(&database)?).await.check(expected, &github.dispatched()).await;
    tell(time, expected, &outcomes, &measurements, &errors);
    let flat = time < TOLD_FROM || measurements.growth() <= FLAT;
    Ok(if flat { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn tell(time: Duration, expected: &Expected, outcomes: &Outcomes, measurements: &Measurements, errors: &[String]) {
    let Outcomes { triggered, unknown, cancelled, doubts } = outcomes;
    let accepted = measurements.answers();
    println!("| what | measured |\n|---|---|");
    println!("| time | {:.1} min |", time.as_secs_f64() / 60.0);
    println!("| deliveries accepted | {accepted}, {:.0} /s |", accepted as f64 / time.as_secs_f64());
    println!("| of them different runs that completed | {} |", expected.completed.len());
    println!("| dispatches: run started once | {triggered} |");
    println!("| dispatches: consent withdrawn before the call | {cancelled} |");
    println!("| calls in doubt | {doubts} |");
    println!("| dispatches: nobody can tell, parked | {unknown} |");
    println!("| the webhook's answer, p50 | {} |", milliseconds(measurements.percentile(50)));
    println!("| the webhook's answer, p99 | {} |", milliseconds(measurements.percentile(99)));
    let memory = measurements.quarters().map(|kilobytes| format!("{:.1} MB", kilobytes / 1_024.0)).join(", ");
    println!("| memory (RSS) after 1/4, 1/2, 3/4 and all of the time | {memory} |");
    println!("| growth in the second half | {:+.1} % |", measurements.growth());
    println!("| errors in the log | {} |", errors.len());
    for error in errors.iter().take(5) {
        eprintln!("{error}");
    }
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1_000.0)
}
