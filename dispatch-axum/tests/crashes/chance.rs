//! Chance that can be repeated: the same seed gives the same choices.

use std::ops::Range;
use std::time::{Duration, SystemTime};

/// The variable that repeats a run of the tests.
const SEED: &str = "DISPATCH_CRASH_SEED";

/// A generator of numbers (SplitMix64).
#[derive(Debug, Clone)]
pub(crate) struct Chance(u64);

impl Chance {
    /// From the seed that was set, or a new one, which is printed.
    pub(crate) fn new() -> Self {
        let seed = match std::env::var(SEED) {
            Ok(seed) => seed.parse().expect("the seed is a number"),
            Err(_) => SystemTime::UNIX_EPOCH.elapsed().unwrap().as_micros() as u64,
        };
        eprintln!("{SEED}={seed}");
        Self(seed)
    }

    /// A generator of its own, so that what one part draws does not change what another one does.
    pub(crate) fn fork(&mut self) -> Self {
        Self(self.next())
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    pub(crate) fn one_of<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }

    pub(crate) fn time(&mut self, between: Range<Duration>) -> Duration {
        let span = (between.end - between.start).as_micros() as usize;
        between.start + Duration::from_micros(self.below(span) as u64)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
