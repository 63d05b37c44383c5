//! How bad a run is: some seeds are calm, some are stormy, each in its own way.

use std::time::Duration;

use crate::random::Random;

/// How often what goes wrong, in a thousand times that it could.
#[derive(Debug, Clone)]
pub(crate) struct Weather {
    /// A process ends, at any step of any task.
    pub(crate) crash: u64,
    /// The store fails, before or after it did what was asked.
    pub(crate) store: u64,
    /// A request to GitHub fails, in one of many ways.
    pub(crate) github: u64,
    /// A call takes seconds.
    pub(crate) slow: u64,
    /// A call takes minutes: its process was suspended.
    pub(crate) suspended: u64,
    /// An attempt to deliver a webhook fails on its way.
    pub(crate) webhook_lost: u64,
    /// A webhook takes minutes or hours.
    pub(crate) webhook_late: u64,
    /// A webhook is delivered twice.
    pub(crate) webhook_twice: u64,
    /// A process's clock jumps, when somebody looks whether it does.
    pub(crate) clock: u64,
    /// How far clocks may be off, in either direction.
    pub(crate) clock_error: Duration,
    /// How long GitHub takes at most to list a run.
    pub(crate) lag: Duration,
    /// GitHub Enterprise Server: it does not tell the run's id.
    pub(crate) enterprise_server: bool,
    /// Failures are told in issues.
    pub(crate) issues: bool,
    /// Work comes by messages; else processes look for it.
    pub(crate) messages: bool,
}

impl Weather {
    pub(crate) fn new(seed: u64, random: &mut Random) -> Self {
        let mut often = |levels: &[u64]| *random.pick(levels);
        let clock = often(&[0, 0, 0, 300]);
        Self {
            crash: often(&[0, 1, 3, 8]),
            store: often(&[0, 0, 10, 50, 150]),
            github: often(&[0, 20, 100, 250]),
            slow: often(&[0, 20, 100]),
            suspended: often(&[0, 0, 10, 40]),
            webhook_lost: often(&[0, 0, 50, 300]),
            webhook_late: often(&[0, 0, 50, 200]),
            webhook_twice: often(&[0, 50, 300]),
            clock,
            clock_error: Duration::from_secs(if clock == 0 { 0 } else { often(&[2, 15, 30]) }),
            lag: Duration::from_secs(often(&[0, 5, 60, 290])),
            enterprise_server: often(&[0, 0, 0, 1]) == 1,
            issues: often(&[0, 1]) == 1,
            messages: seed.is_multiple_of(3),
        }
    }
}
