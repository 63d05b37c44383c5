//! This build's server against another build's: how many deliveries each accepts in a second.
//!
//! Machines are not equally fast all the time. So both take turns on the same machine in the same minutes, every round with
//! a new process and a new database, and what counts is the median of the ratios of neighbours.

use std::path::Path;
use std::process::ExitCode;

use jiff::Timestamp;

use crate::client::send;
use crate::part::Part;
use crate::scenario::{Kind, Scenario};
use crate::{LOADS, Result};

const ROUNDS: usize = 7;
/// Deliveries before the measured ones: the policy files are read and the database has its first pages.
const WARM_UP: usize = 200;
/// Below it this build is slower, and not only unlucky.
const CLEARLY_SLOWER: f64 = 0.9;

pub(crate) fn compare(other: &Path) -> Result<ExitCode> {
    let start = Timestamp::now();
    let emulator = Part::start("emulator", &serde_json::json!({ "start": start }))?;
    let mut scenario = Scenario::new(start)?;
    let this = std::env::current_exe()?;
    println!("| connections | accepted /s, the other build | this build | this / other: median | lowest | highest |");
    println!("|---|---|---|---|---|---|");
    let mut slower = false;
    for (connections, deliveries) in LOADS {
        let (mut others, mut ours, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            let mut measure = |program| accepted(program, &emulator, &mut scenario, connections, deliveries);
            // Who goes first alternates too.
            let (before, after) = if round % 2 == 0 {
                let before = measure(other)?;
                (before, measure(&this)?)
            } else {
                let after = measure(&this)?;
                (measure(other)?, after)
            };
            eprintln!("{connections} connections: {before:.0} /s, {after:.0} /s");
            others.push(before);
            ours.push(after);
            ratios.push(after / before);
        }
        let (lowest, ratio, highest) = spread(&mut ratios);
        let (_, before, _) = spread(&mut others);
        let (_, after, _) = spread(&mut ours);
        println!("| {connections} | {before:.0} | {after:.0} | {ratio:.2} | {lowest:.2} | {highest:.2} |");
        slower |= ratio < CLEARLY_SLOWER;
    }
    Ok(ExitCode::from(u8::from(slower)))
}

/// Deliveries that a new server of this program accepts in a second, durably.
fn accepted(
    program: &Path,
    emulator: &Part,
    scenario: &mut Scenario,
    connections: usize,
    deliveries: usize,
) -> Result<f64> {
    let database = tempfile::tempdir()?;
    let settings = serde_json::json!({ "github": emulator.ready, "database": database.path().join("load.sqlite") });
    let server = Part::start_of(program, "server", &settings)?;
    send(server.address()?, connections, &scenario.deliveries(Kind::NoRule, WARM_UP)?)?;
    server.settle()?;
    let load = send(server.address()?, connections, &scenario.deliveries(Kind::NoRule, deliveries)?)?;
    Ok(load.per_second())
}

/// The lowest, the median, and the highest.
fn spread(values: &mut [f64]) -> (f64, f64, f64) {
    values.sort_unstable_by(f64::total_cmp);
    let at = |position: usize| values.get(position).copied().unwrap_or(f64::NAN);
    let last = values.len().saturating_sub(1);
    (at(0), at(last / 2), at(last))
}
