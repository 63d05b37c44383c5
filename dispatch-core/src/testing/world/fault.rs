//! What goes wrong, as data.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{ApiError, World};
use crate::pattern::Pattern;

/// An order for something to go wrong with the next requests that match.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// The method of the requests, such as `POST`; None: any.
    #[serde(default)]
    pub method: Option<String>,
    /// A pattern for their path, as it is in the request: `*` (not `/`), `**`, `?`.
    pub path: Pattern,
    /// How many requests it happens to.
    #[serde(default = "once")]
    pub times: u32,
    /// What happens.
    pub kind: FaultKind,
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum FaultKind {
    /// GitHub answers with this, and does nothing.
    Status {
        /// The HTTP status.
        status: u16,
        /// The body; None: GitHub's usual JSON.
        #[serde(default)]
        body: Option<String>,
        /// More headers.
        #[serde(default)]
        headers: BTreeMap<String, String>,
    },
    /// GitHub answers properly, this many milliseconds later.
    Delay {
        /// How long to wait before the request is looked at.
        milliseconds: u64,
    },
    /// The connection ends before GitHub did anything.
    CutBefore,
    /// The connection ends after GitHub did it, and before it answered.
    CutAfter,
    /// GitHub's rate limit, and nothing is done.
    RateLimited {
        /// Seconds, for `Retry-After`.
        #[serde(default)]
        retry_after: Option<u64>,
        /// Seconds from now, for `x-ratelimit-reset`, with 0 remaining.
        #[serde(default)]
        reset_in: Option<u64>,
        /// The words of the secondary limit rather than of the primary.
        #[serde(default)]
        secondary: bool,
    },
}

impl Fault {
    /// Once, for requests of this method and path.
    ///
    /// # Errors
    /// The path is not a pattern.
    pub fn once(method: &str, path: &str, kind: FaultKind) -> Result<Self, crate::pattern::PatternError> {
        Ok(Self { method: Some(method.to_owned()), path: path.parse()?, times: 1, kind })
    }

    /// The same, this many times.
    #[must_use]
    pub fn times(self, times: u32) -> Self {
        Self { times, ..self }
    }
}

impl FaultKind {
    /// An answer with a status and GitHub's usual body.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self::Status { status, body: None, headers: BTreeMap::new() }
    }

    /// How long to wait before the request is looked at.
    #[must_use]
    pub fn delay(&self) -> Option<Duration> {
        if let Self::Delay { milliseconds } = self { Some(Duration::from_millis(*milliseconds)) } else { None }
    }

    /// The refusal that takes the place of the answer, for the faults that are one.
    pub(super) fn refusal(&self, world: &World) -> Option<ApiError> {
        match self {
            Self::Status { status, body, headers } => Some(ApiError {
                headers: headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
                raw_body: body.clone(),
                ..ApiError::new(
                    *status,
                    body.as_deref().and_then(message).unwrap_or_else(|| status_text(*status).into()),
                )
            }),
            Self::RateLimited { retry_after, reset_in, secondary } => {
                let mut error = ApiError::new(
                    if *secondary { 429 } else { 403 },
                    if *secondary { SECONDARY } else { "API rate limit exceeded for installation." },
                );
                if let Some(seconds) = retry_after {
                    error = error.with_header("Retry-After", seconds.to_string());
                }
                if let Some(seconds) = reset_in {
                    let reset = world.now().as_second().saturating_add_unsigned(*seconds);
                    error = error
                        .with_header("x-ratelimit-remaining", "0")
                        .with_header("x-ratelimit-reset", reset.to_string());
                }
                Some(error)
            }
            Self::Delay { .. } | Self::CutBefore | Self::CutAfter => None,
        }
    }
}

impl World {
    /// Uses up the first fault that is ordered for such a request.
    pub fn take_fault(&mut self, method: &str, path: &str) -> Option<FaultKind> {
        let matches = |fault: &Fault| {
            fault.times > 0
                && fault.method.as_ref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(method))
                && fault.path.matches(path)
        };
        let fault = self.faults.iter_mut().find(|fault| matches(fault))?;
        fault.times -= 1;
        let kind = fault.kind.clone();
        self.faults.retain(|fault| fault.times > 0);
        Some(kind)
    }
}

/// The words that clients see (observed).
const SECONDARY: &str = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.";

fn status_text(status: u16) -> &'static str {
    match status {
        500 => "Server Error",
        502 => "Bad Gateway",
        503 => "Service unavailable",
        504 => "We couldn't respond to your request in time. Sorry about that.",
        404 => "Not Found",
        401 => "Bad credentials",
        _ => "Something went wrong",
    }
}

fn once() -> u32 {
    1
}

/// GitHub's message in a body.
fn message(body: &str) -> Option<String> {
    let body: serde_json::Value = serde_json::from_str(body).ok()?;
    Some(body.get("message")?.as_str()?.to_owned())
}
