//! GitHub's primary rate limit: so many requests of an installation in an hour. (Secondary limits are ordered as faults.)

use std::time::Duration;

use serde::Serialize;

use super::{ApiError, Caller, World};
use crate::Timestamp;
use crate::name::InstallationId;

/// What the `x-ratelimit-*` headers say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RateStatus {
    /// Requests in an hour.
    pub limit: u64,
    /// What is left of them.
    pub remaining: u64,
    /// What was used.
    pub used: u64,
    /// When the hour ends, in seconds since 1970.
    pub reset: i64,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    used: u64,
    reset: Timestamp,
}

const WINDOW: Duration = Duration::from_secs(3600);

impl World {
    /// How much the caller has left. The App itself, and who has no token, have their own hour that is never used up here.
    #[must_use]
    pub fn rate(&self, caller: Caller<'_>) -> RateStatus {
        let window = self.rated(caller).and_then(|installation| self.rates.get(&installation));
        let window = window.filter(|window| window.reset > self.now());
        let fresh = Window { used: 0, reset: self.window_end() };
        let Window { used, reset } = *window.unwrap_or(&fresh);
        let limit = self.requests_per_hour;
        RateStatus { limit, remaining: limit.saturating_sub(used), used, reset: reset.as_second() }
    }

    /// Counts a request.
    pub(super) fn spend(&mut self, caller: Caller<'_>) -> Result<(), ApiError> {
        let Some(installation) = self.rated(caller) else { return Ok(()) };
        let (now, end, limit) = (self.now(), self.window_end(), self.requests_per_hour);
        let window = self.rates.entry(installation).or_insert(Window { used: 0, reset: end });
        if window.reset <= now {
            *window = Window { used: 0, reset: end };
        }
        if window.used >= limit {
            let message = format!("API rate limit exceeded for installation ID {installation}.");
            return Err(ApiError::new(403, message)
                .with_header("x-ratelimit-remaining", "0")
                .with_header("x-ratelimit-reset", window.reset.as_second().to_string()));
        }
        window.used += 1;
        Ok(())
    }

    /// A 304 does not count ("Best practices for using the REST API").
    pub(super) fn refund(&mut self, caller: Caller<'_>) {
        let installation = self.rated(caller);
        if let Some(window) = installation.and_then(|installation| self.rates.get_mut(&installation)) {
            window.used = window.used.saturating_sub(1);
        }
    }

    fn rated(&self, caller: Caller<'_>) -> Option<InstallationId> {
        match caller {
            Caller::Token(token) => self.tokens.get(token).map(|token| token.installation),
            Caller::App | Caller::Nobody => None,
        }
    }

    fn window_end(&self) -> Timestamp {
        self.now().checked_add(WINDOW).unwrap_or(Timestamp::MAX)
    }
}
