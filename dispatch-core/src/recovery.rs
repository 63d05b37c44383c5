//! What was looked for in GitHub's delivery log, and what was missed.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::name::DeliveryId;
use crate::ports::delivery_log::DeliveryAttempt;

/// How far the log was read, and what was asked for again. One record.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Recovery {
    /// When the log was looked at last.
    pub looked_at: Option<Timestamp>,
    /// Attempts up to here were looked at and are settled: they arrived, or are in `asked`. By GitHub's clock.
    pub reached: Option<Timestamp>,
    /// Where to go on, where a look ended before it had read all that it wanted.
    pub unread: Option<Unread>,
    /// What is missing: to be asked for again, or asked for and not arrived. At most [`Recovery::MAX_ASKED`].
    pub asked: BTreeMap<DeliveryId, Asked>,
    /// What was missed last, newest first. At most [`Recovery::MAX_MISSED`].
    pub missed: Vec<Missed>,
    /// GitHub's rate limit: no look before that.
    pub not_before: Option<Timestamp>,
    /// Why the last look did not come to its end, if it did not.
    pub error: Option<String>,
}

/// The part of the log that a look did not come to, because it is long or because GitHub did not answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unread {
    /// What to ask for the next page with.
    pub cursor: String,
    /// Where the part ends: attempts before that need not be read.
    pub floor: Timestamp,
    /// The newest attempt that was read: what is newer came since.
    pub read_from: Timestamp,
    /// Whether what was delivered is compared with what is stored.
    pub compare: bool,
}

/// A delivery that is missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// The newest attempt that is known not to have brought it.
    pub attempt: DeliveryAttempt,
    /// How often it was asked for again.
    pub times: u32,
    /// When to ask again at the earliest.
    pub next: Timestamp,
}

/// A delivery that GitHub could not deliver, or that was lost after that.
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
    /// When it was found to have arrived; None: not yet.
    #[serde(default)]
    pub arrived_at: Option<Timestamp>,
}

impl Missed {
    /// What is told of an attempt that did not bring its webhook.
    #[must_use]
    pub fn new(attempt: &DeliveryAttempt) -> Self {
        Self {
            delivery: attempt.delivery.clone(),
            event: attempt.event.clone(),
            at: attempt.delivered_at,
            status: attempt.status.clone(),
            asked_at: None,
            arrived_at: None,
        }
    }
}

impl Recovery {
    /// How many missing deliveries are remembered.
    pub const MAX_ASKED: usize = 10_000;
    /// How many missed deliveries are shown.
    pub const MAX_MISSED: usize = 50;
    /// How far GitHub's log reaches back ("Redelivering webhooks": deliveries of the past three days).
    pub const LOG_REACHES_BACK: Duration = Duration::from_secs(3 * 24 * 60 * 60);
    /// How much of what was read is read again: an attempt enters the log when it has ended, with the time at which it began.
    const OVERLAP: Duration = Duration::from_secs(10 * 60);

    /// What is older is not in the log any more.
    #[must_use]
    pub fn oldest(now: Timestamp) -> Timestamp {
        earlier(now, Self::LOG_REACHES_BACK)
    }

    /// Where reading may end: what is older is settled, or not in the log any more.
    #[must_use]
    pub fn floor(&self, now: Timestamp) -> Timestamp {
        let oldest = Self::oldest(now);
        self.reached.map_or(oldest, |reached| earlier(reached, Self::OVERLAP).max(oldest))
    }

    /// Where reading of what came since an interrupted look ends.
    #[must_use]
    pub fn floor_above(unread: &Unread) -> Timestamp {
        earlier(unread.read_from, Self::OVERLAP)
    }

    /// Notes that a delivery is missing. False, and nothing is noted, where that are too many.
    pub fn miss(&mut self, attempt: DeliveryAttempt, now: Timestamp) -> bool {
        let room = self.asked.len() < Self::MAX_ASKED;
        match self.asked.entry(attempt.delivery.clone()) {
            Entry::Occupied(mut known) => {
                if known.get().attempt.order() < attempt.order() {
                    known.get_mut().attempt = attempt;
                }
                true
            }
            Entry::Vacant(new) if room => {
                self.missed.retain(|missed| missed.delivery != attempt.delivery);
                self.missed.push(Missed::new(&attempt));
                self.missed.sort_by_key(|missed| Reverse(missed.at));
                self.missed.truncate(Self::MAX_MISSED);
                new.insert(Asked { attempt, times: 0, next: now });
                true
            }
            Entry::Vacant(_) => false,
        }
    }

    /// Notes that a delivery arrived. True if it was missing.
    pub fn arrived(&mut self, delivery: &DeliveryId, now: Timestamp) -> bool {
        for missed in self.missed.iter_mut().filter(|missed| missed.delivery == *delivery) {
            missed.arrived_at.get_or_insert(now);
        }
        self.asked.remove(delivery).is_some()
    }

    /// Forgets what GitHub's log does not reach any more: nobody can ask for it. Answers how many that were.
    pub fn expire(&mut self, now: Timestamp) -> usize {
        let before = self.asked.len();
        let oldest = Self::oldest(now);
        self.asked.retain(|_, asked| asked.attempt.delivered_at >= oldest);
        before - self.asked.len()
    }

    /// What is to be asked for again now, the oldest first: it leaves the log first.
    #[must_use]
    pub fn due(&self, now: Timestamp) -> Vec<DeliveryAttempt> {
        let mut due: Vec<_> = self.asked.values().filter(|asked| asked.next <= now).collect();
        due.sort_by_key(|asked| asked.attempt.order());
        due.into_iter().map(|asked| asked.attempt.clone()).collect()
    }

    /// Notes that a delivery is asked for again.
    pub fn ask(&mut self, delivery: &DeliveryId, now: Timestamp, next: impl FnOnce(u32) -> Timestamp) {
        if let Some(asked) = self.asked.get_mut(delivery) {
            asked.times = asked.times.saturating_add(1);
            asked.next = next(asked.times);
        }
        for missed in self.missed.iter_mut().filter(|missed| missed.delivery == *delivery) {
            missed.asked_at = Some(now);
        }
    }
}

fn earlier(time: Timestamp, by: Duration) -> Timestamp {
    time.checked_sub(by).unwrap_or(Timestamp::MIN)
}

/// What the log says about each webhook of the part that was read.
#[derive(Debug, Default)]
pub(crate) struct Evidence {
    webhooks: BTreeMap<DeliveryId, Tries>,
    /// How many attempts it was made from.
    pub(crate) attempts: usize,
    /// When the newest attempt was made.
    pub(crate) newest_at: Option<Timestamp>,
}

/// The attempts to deliver one webhook.
#[derive(Debug)]
pub(crate) struct Tries {
    /// The newest of them.
    pub(crate) newest: DeliveryAttempt,
    newest_success: Option<(Timestamp, u64)>,
}

impl Evidence {
    pub(crate) fn add(&mut self, attempt: DeliveryAttempt) {
        self.attempts += 1;
        self.newest_at = self.newest_at.max(Some(attempt.delivered_at));
        let success = attempt.succeeded.then(|| attempt.order());
        match self.webhooks.entry(attempt.delivery.clone()) {
            Entry::Vacant(new) => _ = new.insert(Tries { newest: attempt, newest_success: success }),
            Entry::Occupied(mut known) => {
                let tries = known.get_mut();
                tries.newest_success = tries.newest_success.max(success);
                if tries.newest.order() < attempt.order() {
                    tries.newest = attempt;
                }
            }
        }
    }

    pub(crate) fn into_webhooks(self) -> impl Iterator<Item = Tries> {
        self.webhooks.into_values()
    }
}

impl Tries {
    pub(crate) fn succeeded(&self) -> bool {
        self.newest_success.is_some()
    }

    /// Whether a success came after that attempt.
    pub(crate) fn succeeded_after(&self, asked: &Asked) -> bool {
        self.newest_success > Some(asked.attempt.order())
    }
}

impl DeliveryAttempt {
    /// Newer attempts come later.
    fn order(&self) -> (Timestamp, u64) {
        (self.delivered_at, self.id)
    }
}

/// How to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RecoverOptions {
    /// Look back to here, at most three days. None: to where the look before came.
    pub since: Option<Timestamp>,
    /// After the store was restored from a backup: ask also for what was delivered with success, and is not stored.
    pub compare: bool,
    /// Only tell: nothing is asked for, and nothing is stored.
    pub dry_run: bool,
}

/// What a look found and did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RecoverOutcome {
    /// How many attempts of the log were looked at.
    pub looked_at: usize,
    /// What was found to be missing and was not known to be, newest first.
    pub missed: Vec<Missed>,
    /// How many deliveries were asked for again; in a dry run, how many would have been.
    pub asked: usize,
    /// How many missing deliveries were found to have arrived.
    pub arrived: usize,
    /// How many missing deliveries cannot be asked for any more: the log does not reach back to them.
    pub lost: usize,
    /// How many are still missing.
    pub missing: usize,
    /// Whether all that was to be read was read. If not, the next look goes on.
    pub complete: bool,
    /// Why the look ended early, if it did.
    pub error: Option<String>,
    /// No look before that: GitHub's rate limit.
    pub not_before: Option<Timestamp>,
    /// Whether somebody else looked at the same time: then nothing was stored.
    pub elsewhere: bool,
}
