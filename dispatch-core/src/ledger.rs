//! What is under way at one target: the calls that are not settled, and how often each source used it within the hour.
//!
//! A call enters the ledger with the commit that it begins with, and leaves it with the commit that settles it. So whoever
//! looks for the run of a call in doubt knows every other call that a run could be of. A call that was given up, because
//! looking could not tell, stays for a while: its run may still be among those that others look at.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::dispatch::DispatchKey;
use crate::name::{GitRef, Repository};
use crate::retry::later;

/// The ledger of one target: a repository, and the workflow or the event that is started there.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Ledger {
    /// The calls that are not settled, in the order in which they began: being made, in doubt, or done without a run's id.
    pub calls: Vec<OpenCall>,
    /// How often each source repository used the target within its current hour.
    pub uses: BTreeMap<Repository, Uses>,
}

/// A call that began and is not settled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenCall {
    /// Whose call it is.
    pub dispatch: DispatchKey,
    /// Where the run was asked to run; None for an event, whose workflows run on the default branch.
    pub git_ref: Option<GitRef>,
    /// When it began: no run of it is older.
    pub since: Timestamp,
    /// Whether nobody looks for its run any more.
    #[serde(default)]
    pub given_up: bool,
}

/// How often something was used within an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Uses {
    /// When the hour began.
    pub since: Timestamp,
    /// How often, since then.
    pub count: u32,
}

impl Ledger {
    /// The most calls of one target that may be open. Further dispatches wait until some are settled.
    pub const MAX_OPEN_CALLS: usize = 50;
    const HOUR: Duration = Duration::from_secs(60 * 60);
    /// How long after its begin a call that was given up stays: longer than anybody looks back.
    const GIVEN_UP_STAYS: Duration = Duration::from_secs(4 * 60 * 60);

    /// How often a source used the target within the hour.
    #[must_use]
    pub fn uses_by(&self, source: &Repository, now: Timestamp) -> u32 {
        self.uses.get(source).filter(|uses| now < later(uses.since, Self::HOUR)).map_or(0, |uses| uses.count)
    }

    /// How many calls are open that somebody still looks for.
    #[must_use]
    pub fn open_calls(&self) -> usize {
        self.calls.iter().filter(|call| !call.given_up).count()
    }

    /// Enters a call, and counts it for its source. An earlier call of the same dispatch makes place.
    pub fn begin(&mut self, source: &Repository, call: OpenCall) {
        let now = call.since;
        self.settle(&call.dispatch);
        self.calls.retain(|call| !call.given_up || now < later(call.since, Self::GIVEN_UP_STAYS));
        self.uses.retain(|_, uses| now < later(uses.since, Self::HOUR));
        self.uses.entry(source.clone()).or_insert(Uses { since: now, count: 0 }).count += 1;
        self.calls.push(call);
    }

    /// Takes a call out that is settled.
    pub fn settle(&mut self, dispatch: &DispatchKey) {
        self.calls.retain(|call| call.dispatch != *dispatch);
    }

    /// Takes a call out that certainly did nothing: it was no use of the target.
    pub fn undo(&mut self, source: &Repository, dispatch: &DispatchKey) {
        let began = self.calls.iter().find(|call| call.dispatch == *dispatch).map(|call| call.since);
        if let Some(uses) = self.uses.get_mut(source).filter(|uses| began.is_some_and(|began| uses.since <= began)) {
            uses.count = uses.count.saturating_sub(1);
        }
        self.settle(dispatch);
    }

    /// Marks a call that nobody looks for any more.
    pub fn give_up(&mut self, dispatch: &DispatchKey) {
        self.calls.iter_mut().filter(|call| call.dispatch == *dispatch).for_each(|call| call.given_up = true);
    }
}
