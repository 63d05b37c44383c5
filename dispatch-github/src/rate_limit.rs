//! What is left of GitHub's rate limit, as the last answers told it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use dispatch_core::Timestamp;
use dispatch_core::name::InstallationId;
use http::HeaderMap;

/// The primary rate limit of one installation, from the headers of its last answer ("Rate limits for the REST API").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// Whose limit it is.
    pub installation: InstallationId,
    /// Requests for each hour (`x-ratelimit-limit`).
    pub limit: u64,
    /// Requests left (`x-ratelimit-remaining`).
    pub remaining: u64,
    /// When all of them are there again (`x-ratelimit-reset`).
    pub reset: Timestamp,
}

/// The last seen limits, one for each installation.
#[derive(Debug, Default)]
pub(crate) struct RateLimits(Mutex<BTreeMap<InstallationId, RateLimit>>);

/// Installations that are remembered. Beyond it, the ones seen first by number are forgotten.
const CAPACITY: usize = 10_000;

impl RateLimits {
    pub(crate) fn record(&self, installation: InstallationId, headers: &HeaderMap) {
        let Some(seen) = read(installation, headers) else { return };
        let mut limits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        limits.insert(installation, seen);
        if limits.len() > CAPACITY {
            limits.pop_first();
        }
    }

    pub(crate) fn snapshot(&self) -> Vec<RateLimit> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().copied().collect()
    }
}

fn read(installation: InstallationId, headers: &HeaderMap) -> Option<RateLimit> {
    let number = |name| headers.get(name)?.to_str().ok()?.parse::<u64>().ok();
    let reset = i64::try_from(number("x-ratelimit-reset")?).ok()?;
    Some(RateLimit {
        installation,
        limit: number("x-ratelimit-limit")?,
        remaining: number("x-ratelimit-remaining")?,
        reset: Timestamp::from_second(reset).ok()?,
    })
}
