//! What was looked for in GitHub's delivery log, and what was missed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::name::DeliveryId;

/// How far the log was read, and what was asked for again. One record.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Recovery {
    /// When the log was looked at last.
    pub looked_at: Option<Timestamp>,
    /// Attempts up to here were looked at and are settled: the next look ends there.
    pub reached: Option<Timestamp>,
    /// What was asked for again and has not arrived. Bounded.
    pub asked: BTreeMap<DeliveryId, Asked>,
    /// What was missed last, newest first. At most 50.
    pub missed: Vec<Missed>,
    /// Why the last look did not come to its end, if it did not.
    pub error: Option<String>,
}

/// A delivery that was asked for again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// How often.
    pub times: u32,
    /// When to ask again at the earliest.
    pub next: Timestamp,
}

/// A delivery that GitHub could not deliver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missed {
    /// Its id.
    pub delivery: DeliveryId,
    /// The event's name.
    pub event: String,
    /// When GitHub tried last.
    pub at: Timestamp,
    /// GitHub's words for how it ended.
    pub status: String,
    /// When it was asked for again; None: not yet.
    pub asked_at: Option<Timestamp>,
}
