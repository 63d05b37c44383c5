//! What really happened, as nobody in the service knows it: every effect on GitHub with the dispatch whose call had it.

use std::collections::{BTreeMap, BTreeSet};

use dispatch_core::Timestamp;
use dispatch_core::delivery::DeliveryKey;
use dispatch_core::dispatch::DispatchKey;
use dispatch_core::name::{RepositoryId, RunId};

use crate::agreements::Agreements;
use crate::previews::Previews;

/// What happened so far.
#[derive(Debug, Default)]
pub(crate) struct Observed {
    pub(crate) agreements: Agreements,
    /// The runs that ended, each attempt.
    pub(crate) ended: BTreeMap<(RunId, u32), Ended>,
    /// What there is about pull requests, in some seeds.
    pub(crate) previews: Option<Previews>,
    /// What each dispatch's calls did, and the runs that each call started.
    pub(crate) effects: BTreeMap<DispatchKey, Vec<Vec<RunId>>>,
    /// The runs that were started here.
    pub(crate) ours: BTreeSet<RunId>,
    /// The way to what each dispatch started: its root, and every place since.
    pub(crate) ways: BTreeMap<DispatchKey, Way>,
    /// How many runs followed from each root.
    pub(crate) followed: BTreeMap<(RunId, u32), u32>,
    /// What a sabotaged store counted a second time.
    pub(crate) counted_again: Vec<(String, u64)>,
    /// The issues that were opened; an issue's number is its position.
    pub(crate) issues: Vec<Issue>,
    /// Webhooks that were answered with 202, and whose delivery must be stored.
    pub(crate) accepted: BTreeSet<DeliveryKey>,
    /// Webhooks that are on their way, or will be.
    pub(crate) under_way: usize,
    /// How many people are not done.
    pub(crate) people_busy: usize,
    /// How often everything was swept after the faults.
    pub(crate) last_sweeps: usize,
    /// The first promise that was seen to be broken.
    pub(crate) broken: Option<String>,
}

/// A run that ended, as far as it matters whether it may start something.
#[derive(Debug, Clone)]
pub(crate) struct Ended {
    pub(crate) repository: usize,
    pub(crate) workflow: String,
    pub(crate) at: Timestamp,
    /// It succeeded, at the default branch, from the repository itself, and no stranger could have caused it.
    pub(crate) eligible: bool,
}

/// An issue that was opened.
#[derive(Debug, Clone)]
pub(crate) struct Issue {
    pub(crate) repository: RepositoryId,
    pub(crate) title: String,
    pub(crate) body: String,
    pub(crate) open: bool,
    pub(crate) opened_at: Timestamp,
}

/// How a run came about.
#[derive(Debug, Clone)]
pub(crate) struct Way {
    /// The run that nobody here started, and its attempt.
    pub(crate) root: (RunId, u32),
    /// Where it has been.
    pub(crate) spots: Vec<(usize, String)>,
}

impl Observed {
    /// Remembers the first promise that was broken.
    pub(crate) fn breaks(&mut self, promise: impl FnOnce() -> String) {
        if self.broken.is_none() {
            self.broken = Some(promise());
        }
    }
}
