//! When to look again.

use std::time::Duration;

use crate::Timestamp;
use crate::ports::github::RateLimitReset;

/// How patient the pipeline is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// `DISPATCH_MAX_RETRIES`: how often something that certainly was not done is tried again. Rate limits do not count.
    pub max_retries: u32,
    /// `DISPATCH_RETRY_BASE_DELAY_MS`: the first delay; it doubles each time, up to an hour.
    pub base_delay: Duration,
}

impl RetryPolicy {
    /// The longest wait, except where GitHub itself names a later time. GitHub's primary limit resets every hour.
    const LONGEST_WAIT: Duration = Duration::from_secs(60 * 60);
    /// Reading again costs little, and what is read is waited for.
    const LONGEST_WAIT_TO_READ: Duration = Duration::from_secs(5 * 60);
    const FIRST_WAIT_WITHOUT_HURRY: Duration = Duration::from_secs(60);
    /// The first wait where GitHub does not say how long ("Best practices for using the REST API": at least a minute).
    const UNKNOWN_RATE_LIMIT: Duration = Duration::from_secs(60);
    /// No answer of GitHub, however wrong, makes work wait longer than this.
    const LATEST_RESET: Duration = Duration::from_secs(24 * 60 * 60);

    /// When to try again after `failures` failures, the last one included; None when it is enough.
    #[must_use]
    pub fn after_failure(&self, failures: u32, now: Timestamp) -> Option<Timestamp> {
        (failures <= self.max_retries).then(|| later(now, doubled(self.base_delay, failures)))
    }

    /// When to try again after `failures` failures to read what a decision needs. Without end: the event's age ends it, so
    /// that no failure of GitHub, however long, loses work that is still wanted.
    #[must_use]
    pub fn after_failed_read(&self, failures: u32, now: Timestamp) -> Timestamp {
        later(now, doubled(self.base_delay, failures).min(Self::LONGEST_WAIT_TO_READ))
    }

    /// When to try again, after `times` times, what nobody waits for: a minute, doubling, up to an hour.
    #[must_use]
    pub fn without_hurry(&self, times: u32, now: Timestamp) -> Timestamp {
        later(now, doubled(Self::FIRST_WAIT_WITHOUT_HURRY, times))
    }

    /// When to try again after GitHub's rate limit ended a call, `times` times in a row: as GitHub says; a minute,
    /// doubling, where it does not say.
    #[must_use]
    pub fn after_rate_limit(&self, reset: RateLimitReset, times: u32, now: Timestamp) -> Timestamp {
        let latest = later(now, Self::LATEST_RESET);
        match reset {
            // A time that has passed already would be asked again at once, and again.
            RateLimitReset::At(time) => time.clamp(later(now, Duration::from_secs(1)), latest),
            RateLimitReset::After(wait) => later(now, wait.clamp(Duration::from_secs(1), Self::LATEST_RESET)),
            RateLimitReset::Unknown => later(now, doubled(Self::UNKNOWN_RATE_LIMIT, times)),
        }
    }
}

impl Default for RetryPolicy {
    /// Two retries, the first after 200 milliseconds.
    fn default() -> Self {
        Self { max_retries: 2, base_delay: Duration::from_millis(200) }
    }
}

/// `base` for the first time, twice as much for the second, and so on.
fn doubled(base: Duration, times: u32) -> Duration {
    let factor = 2_u32.saturating_pow(times.saturating_sub(1));
    base.saturating_mul(factor).min(RetryPolicy::LONGEST_WAIT)
}

/// A time after another; at the end of time, the end of time.
pub(crate) fn later(time: Timestamp, by: Duration) -> Timestamp {
    time.saturating_add(jiff::SignedDuration::try_from(by).unwrap_or(jiff::SignedDuration::MAX))
        .unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);

    fn millis_from_now(time: Timestamp) -> i128 {
        time.duration_since(NOW).as_millis()
    }

    #[test]
    fn failures_wait_twice_as_long_each_time_and_then_it_is_enough() {
        let retry = RetryPolicy { max_retries: 3, base_delay: Duration::from_millis(200) };
        let waits: Vec<_> = (1..=4).map(|n| retry.after_failure(n, NOW).map(millis_from_now)).collect();
        assert_eq!(waits, [Some(200), Some(400), Some(800), None]);
    }

    #[test]
    fn failed_reads_wait_longer_each_time_up_to_five_minutes_and_are_never_enough() {
        let waits = [1, 2, 3, 12, u32::MAX].map(|n| millis_from_now(RetryPolicy::default().after_failed_read(n, NOW)));
        assert_eq!(waits, [200, 400, 800, 300_000, 300_000]);
    }

    #[test]
    fn what_nobody_waits_for_waits_a_minute_then_longer_up_to_an_hour() {
        let waits = [1, 2, 3, 6, 7, u32::MAX].map(|n| millis_from_now(RetryPolicy::default().without_hurry(n, NOW)));
        assert_eq!(waits, [60_000, 120_000, 240_000, 1_920_000, 3_600_000, 3_600_000]);
    }

    #[test]
    fn no_retries_means_that_the_first_failure_is_the_last() {
        let retry = RetryPolicy { max_retries: 0, ..RetryPolicy::default() };
        assert_eq!(retry.after_failure(1, NOW), None);
    }

    #[test]
    fn a_wait_never_grows_beyond_an_hour_however_often_it_doubles() {
        let retry = RetryPolicy { max_retries: u32::MAX, ..RetryPolicy::default() };
        assert_eq!(retry.after_failure(u32::MAX, NOW).map(millis_from_now), Some(3_600_000));
        assert_eq!(retry.after_failure(40, Timestamp::MAX), Some(Timestamp::MAX));
    }

    #[test]
    fn rate_limits_wait_as_long_as_github_says() {
        let in_seconds = |s: i64| later(NOW, Duration::from_secs(s.unsigned_abs()));
        let cases = [
            ("until the reset", RateLimitReset::At(in_seconds(90)), 1, 90_000),
            ("a reset that has passed", RateLimitReset::At(Timestamp::UNIX_EPOCH), 1, 1_000),
            ("a reset in a far future", RateLimitReset::At(Timestamp::MAX), 1, 86_400_000),
            ("retry-after", RateLimitReset::After(Duration::from_secs(7)), 5, 7_000),
            ("retry-after: 0", RateLimitReset::After(Duration::ZERO), 1, 1_000),
            ("retry-after without measure", RateLimitReset::After(Duration::MAX), 1, 86_400_000),
            ("not said, the first time", RateLimitReset::Unknown, 1, 60_000),
            ("not said, the third time in a row", RateLimitReset::Unknown, 3, 240_000),
        ];
        for (name, reset, times, expected) in cases {
            let until = RetryPolicy::default().after_rate_limit(reset, times, NOW);
            assert_eq!(millis_from_now(until), expected, "{name}");
        }
    }
}
