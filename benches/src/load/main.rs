//! The load program: the real server - Router, SQLite with synchronous writes, workers, GitHub's client - against the
//! emulator, on loopback, with a bounded number of requests. `cargo run --release -p dispatch-benches --bin load`
//!
//! The server, the emulator and the route that it is compared with are processes of their own, so that the CPU time of
//! each can be told apart. Prints one Markdown table.
//!
//! `load --against PATH` compares the accepted deliveries per second with another build of this program, which makes
//! the server in every second round. It ends with exit code 1 where this build is clearly slower.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "what a program prints is its answer")]

mod against;
mod client;
mod emulator;
mod part;
mod plain;
mod scenario;
mod server;

use std::error::Error;
use std::fmt;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use client::{Load, send};
use part::Part;
use scenario::{Kind, Scenario};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// How many connections, and how many deliveries through all of them together.
const LOADS: [(usize, usize); 3] = [(1, 600), (16, 3_000), (64, 5_000)];
const PROCESSED: usize = 1_000;
const GITHUB_DELAY: Duration = Duration::from_millis(150);
const PATIENCE: Duration = Duration::from_secs(40);

fn main() -> Result<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        None => measure()?,
        Some("--against") => return against::compare(arguments.next().ok_or("which program?")?.as_ref()),
        Some("server") => server::run()?,
        Some("emulator") => emulator::run()?,
        Some("plain") => plain::run()?,
        Some(other) => return Err(format!("`{other}` is no part of this program").into()),
    }
    Ok(ExitCode::SUCCESS)
}

fn measure() -> Result<()> {
    let start = Timestamp::now();
    let mut scenario = Scenario::new(start)?;
    let mut emulator = Part::start("emulator", &serde_json::json!({ "start": start }))?;
    let database = tempfile::tempdir()?;
    let server = Part::start(
        "server",
        &serde_json::json!({ "github": emulator.ready, "database": database.path().join("load.sqlite") }),
    )?;
    let plain = Part::start("plain", &serde_json::json!({}))?;

    let mut table = Table::default();
    for (connections, deliveries) in LOADS {
        let unwanted = scenario.deliveries(Kind::NoRule, deliveries)?;
        let compared = send(plain.address()?, connections, &unwanted)?;
        server.settle()?;
        let accepted = send(server.address()?, connections, &unwanted)?;
        server.settle()?;
        table.row(format!("HMAC-only route, {connections} connections"), &compared);
        table.row(format!("accepted and durable, {connections} connections"), &accepted);
        let ratio = accepted.per_second() / compared.per_second();
        table.line(
            format!("ratio at {connections} connections"),
            format!("{:.0} % of the HMAC-only route", ratio * 100.0),
        );
    }

    let before = server.cpu()?;
    let started = Instant::now();
    send(server.address()?, 16, &scenario.deliveries(Kind::OneTarget, PROCESSED)?)?;
    emulator.wait_for_runs(PROCESSED, PATIENCE)?;
    let wall = started.elapsed();
    server.settle()?;
    let cpu = (server.cpu()? - before).as_secs_f64() * 1_000.0 / PROCESSED as f64;
    table.line(
        "one-target events, fully processed".to_owned(),
        format!("{:.0} /s", PROCESSED as f64 / wall.as_secs_f64()),
    );
    table.line("CPU of the server for each of them, GitHub calls included".to_owned(), format!("{cpu:.2} ms"));

    emulator.ask(&format!("delay {}", GITHUB_DELAY.as_millis()))?;
    let runs = emulator.runs()?;
    let wide = scenario.deliveries(Kind::ManyTargets, 1)?;
    let started = Instant::now();
    let answered = send(server.address()?, 1, &wide)?;
    emulator.wait_for_runs(runs + scenario::MANY, PATIENCE)?;
    let all_started = started.elapsed();
    let many = scenario::MANY;
    let delay = GITHUB_DELAY.as_millis();
    table.line(
        format!("{many} targets, {delay} ms for each GitHub call: the answer"),
        milliseconds(answered.percentile(50)),
    );
    table.line(format!("{many} targets, {delay} ms for each GitHub call: all started"), milliseconds(all_started));
    println!("{table}");
    Ok(())
}

#[derive(Default)]
struct Table(String);

impl Table {
    fn row(&mut self, what: String, load: &Load) {
        let (p50, p99) = (milliseconds(load.percentile(50)), milliseconds(load.percentile(99)));
        self.line(what, format!("{:.0} /s, p50 {p50}, p99 {p99}", load.per_second()));
    }

    fn line(&mut self, what: String, value: String) {
        eprintln!("{what}: {value}");
        self.0.push_str(&format!("| {what} | {value} |\n"));
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "| what | measured |\n|---|---|\n{}", self.0.trim_end())
    }
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1_000.0)
}
