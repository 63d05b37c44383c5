//! GitHub, in a process of its own.

use dispatch_core::Timestamp;
use dispatch_core::testing::world::{Fault, FaultKind};
use dispatch_github::emulator::{Emulator, EmulatorOptions};
use serde_json::{Value, json};

use crate::scenario::Scenario;
use crate::{Result, part, scenario};

pub(crate) fn run() -> Result<()> {
    let start: Timestamp = part::settings()?.get("start").and_then(Value::as_str).ok_or("no start")?.parse()?;
    let world = Scenario::new(start)?.world;
    let runtime = tokio::runtime::Runtime::new()?;
    let options =
        EmulatorOptions { webhook_secret: scenario::SECRET.to_owned(), pace: None, ..EmulatorOptions::default() };
    let emulator = runtime.block_on(Emulator::start(world, options))?;
    let existing = emulator.world().runs().count();
    let ready = json!({
        "api_url": emulator.api_url(), "app_id": emulator.app_id(), "private_key": emulator.private_key_pem(),
    });
    part::serve(&ready, |line| match line.split_once(' ') {
        Some(("delay", milliseconds)) => match (milliseconds.parse(), "**".parse()) {
            (Ok(milliseconds), Ok(path)) => {
                let kind = FaultKind::Delay { milliseconds };
                emulator.world().faults.push(Fault { method: None, path, times: u32::MAX, kind });
                "ok".to_owned()
            }
            _ => "not a delay".to_owned(),
        },
        _ => (emulator.world().runs().count() - existing).to_string(),
    })
}
