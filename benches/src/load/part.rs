//! A part of the load program in a process of its own, spoken to in lines.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::Result;

/// Linux counts the CPU time of a process in hundredths of a second.
const TICK: Duration = Duration::from_millis(10);

pub(crate) struct Part {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    /// What the part said when it was ready.
    pub(crate) ready: Value,
}

impl Part {
    /// Starts a part of this program with its settings, and waits until it is ready.
    pub(crate) fn start(role: &str, settings: &Value) -> Result<Self> {
        Self::start_of(&std::env::current_exe()?, role, settings)
    }

    /// The same, of another build of this program.
    pub(crate) fn start_of(program: &Path, role: &str, settings: &Value) -> Result<Self> {
        let mut child = Command::new(program).arg(role).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().ok_or("the part has no output")?);
        let mut part = Self { child, input, output, ready: Value::Null };
        part.ready = serde_json::from_str(&part.ask(&settings.to_string())?)?;
        Ok(part)
    }

    /// Says a line, and reads the line that answers.
    pub(crate) fn ask(&mut self, line: &str) -> Result<String> {
        writeln!(self.input.as_mut().ok_or("the part was told to end")?, "{line}")?;
        let mut answer = String::new();
        if self.output.read_line(&mut answer)? == 0 {
            return Err("a part ended early".into());
        }
        Ok(answer.trim().to_owned())
    }

    pub(crate) fn address(&self) -> Result<SocketAddr> {
        Ok(self.ready.get("address").and_then(Value::as_str).ok_or("the part has no address")?.parse()?)
    }

    /// The CPU time that the process used, all threads, user and system.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The second field is a name in parentheses, which may hold spaces; utime and stime are the 14th and the 15th.
        let (_, fields) = stat.rsplit_once(')').ok_or("an unknown form of /proc/PID/stat")?;
        let ticks =
            fields.split_whitespace().skip(11).take(2).map(str::parse::<u32>).sum::<std::result::Result<u32, _>>()?;
        Ok(TICK * ticks)
    }

    /// Waits until the process has nothing to do any more.
    pub(crate) fn settle(&self) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(30);
        let mut before = self.cpu()?;
        while Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(300));
            let now = self.cpu()?;
            if now - before <= TICK {
                return Ok(());
            }
            before = now;
        }
        Err("a part never came to rest".into())
    }

    /// How many runs were started in the emulator.
    pub(crate) fn runs(&mut self) -> Result<usize> {
        Ok(self.ask("runs")?.parse()?)
    }

    /// Waits until so many runs were started in the emulator.
    pub(crate) fn wait_for_runs(&mut self, count: usize, patience: Duration) -> Result<()> {
        let deadline = Instant::now() + patience;
        loop {
            let runs = self.runs()?;
            if runs >= count {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(format!("{runs} of {count} runs were started").into());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // A part ends with its input.
        drop(self.input.take());
        let _ = self.child.wait();
    }
}

/// The part's side: the settings, which are the first line.
pub(crate) fn settings() -> Result<Value> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    Ok(serde_json::from_str(&line)?)
}

/// The part's side: says that it is ready, then answers lines until there are no more.
pub(crate) fn serve(ready: &Value, mut answer: impl FnMut(&str) -> String) -> Result<()> {
    println!("{ready}");
    for line in std::io::stdin().lock().lines() {
        println!("{}", answer(&line?));
    }
    Ok(())
}
