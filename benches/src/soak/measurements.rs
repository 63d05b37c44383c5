//! What is measured of the service from outside.

use std::time::Duration;

use crate::Result;
use crate::github::GitHub;

/// What was measured.
pub(crate) struct Measurements {
    process: u32,
    /// Memory by time, in kilobytes.
    memory: Vec<(Duration, f64)>,
    /// How long the answers of accepted webhooks took.
    answers: Vec<Duration>,
    /// The last entry of GitHub's delivery log that was read.
    seen: u64,
}

impl Measurements {
    pub(crate) fn new(process: u32) -> Self {
        Self { process, memory: Vec::new(), answers: Vec::new(), seen: 0 }
    }

    /// Measures once.
    pub(crate) fn measure(&mut self, at: Duration, github: &GitHub) -> Result<()> {
        self.memory.push((at, resident(self.process)?));
        self.collect_answers(github);
        Ok(())
    }

    /// Reads what is new in GitHub's delivery log.
    pub(crate) fn collect_answers(&mut self, github: &GitHub) {
        let world = github.emulator().world();
        let new: Vec<_> = world.deliveries().take_while(|record| record.id > self.seen).collect();
        self.answers.extend(
            new.iter()
                .filter(|record| record.status_code == 202)
                .map(|record| Duration::from_secs_f64(record.duration)),
        );
        if let Some(newest) = new.first() {
            self.seen = newest.id;
        }
        self.answers.sort_unstable();
    }

    /// How many webhooks were accepted.
    pub(crate) fn answers(&self) -> usize {
        self.answers.len()
    }

    pub(crate) fn percentile(&self, percent: usize) -> Duration {
        let last = self.answers.len().saturating_sub(1);
        self.answers.get(last * percent / 100).copied().unwrap_or_default()
    }

    /// The memory after one, two, three and four quarters of the time, in kilobytes: the mean of the tenth of the time
    /// that ends there, because a single look may fall into a commit.
    pub(crate) fn quarters(&self) -> [f64; 4] {
        let end = self.memory.last().map_or(0.0, |(at, _)| at.as_secs_f64());
        [0.25, 0.5, 0.75, 1.0].map(|part| {
            let (from, to) = ((part - 0.1) * end, part * end);
            let near = self.memory.iter().filter(|(at, _)| (from..=to).contains(&at.as_secs_f64()));
            let near: Vec<f64> = near.map(|(_, kilobytes)| *kilobytes).collect();
            near.iter().sum::<f64>() / near.len() as f64
        })
    }

    /// How much more memory it used in the end than at half time, in percent.
    pub(crate) fn growth(&self) -> f64 {
        let [_, half, _, end] = self.quarters();
        (end / half - 1.0) * 100.0
    }
}

/// The memory of a process that is in use, in kilobytes.
fn resident(process: u32) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("an unknown form of /proc/PID/status")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
