//! What the people of a source repository are told about failures: one issue for each workflow that starts something.
//!
//! The first failure opens the issue, or opens it again; repetition updates it; it is closed when everything that had
//! failed works again. Failures are kept target by target, so that a target that works does not close an issue about
//! another one that does not. [`issue`] is the text.
//!
//! [`check`] and [`comment`] are the texts of what is shown of a single dispatch, whether it worked or not.

pub mod check;
pub mod comment;
pub mod issue;
pub(crate) mod markdown;
mod state;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::chain::Place;
use crate::decide::Visibility;
use crate::delivery::Delivery;
use crate::dispatch::{Dispatch, DispatchState};
use crate::event::EventKind;
use crate::name::{Repository, RepositoryId, WorkflowFile};
use crate::policy::Start;
use crate::reason::Reason;
use crate::retry::later;

/// Whose failures are told in one issue.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ReportKey {
    /// The source repository.
    pub repository: RepositoryId,
    /// The workflow whose runs start something.
    pub workflow: WorkflowFile,
}

/// What is to be told, and what has been.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Its key.
    pub key: ReportKey,
    /// The repository's name.
    pub name: Repository,
    /// The issue, where one was opened. It is kept when it was closed, to be opened again.
    pub issue: Option<u64>,
    /// Committed before an issue is opened: from here on there may be one that is not known, and it is looked for.
    pub opening: Option<Timestamp>,
    /// What does not work, the latest failure last. At most [`Report::MAX_FAILURES`]. Empty: everything works again.
    pub failures: Vec<Failure>,
    /// When to go on; None: all is told.
    pub due: Option<Timestamp>,
    /// How often in a row telling was tried and put back.
    pub attempts: u32,
}

/// Something that does not work, in words that the source's readers may see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What was to be started; None where it could not even be decided what.
    pub target: Option<Place>,
    /// What kind of failure the last one was.
    pub kind: FailureKind,
    /// What went wrong the last time.
    pub message: String,
    /// How often in a row.
    pub times: u32,
    /// When it failed first.
    pub first_at: Timestamp,
    /// When it failed last.
    pub last_at: Timestamp,
}

/// What kind of failure: it says what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// GitHub said no.
    Refused,
    /// Certainly not started, after several attempts.
    Failed,
    /// Nobody knows whether it was started.
    Unknown,
    /// It waited until it was too old to be wanted.
    TooOld,
    /// It could not be decided what to start.
    Undecided,
}

/// What a dispatch or a delivery that came to its end says about a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// It did not do what it should.
    Failed {
        /// What was to be started.
        target: Option<Place>,
        /// What kind of failure.
        kind: FailureKind,
        /// What went wrong, in words that the source's readers may see.
        message: String,
    },
    /// It was started.
    Worked {
        /// What.
        target: Place,
    },
}

impl Ending {
    /// What a dispatch in this state says; None where it is not at its end, or its end is nobody's failure.
    #[must_use]
    pub fn of_dispatch(dispatch: &Dispatch, state: &DispatchState) -> Option<Self> {
        let open = dispatch.decision.visibility == Visibility::Source;
        let target = dispatch.key.target.clone();
        let (kind, message) = match state {
            DispatchState::Triggered { .. } | DispatchState::Started { .. } => return Some(Self::Worked { target }),
            DispatchState::Refused { message, permission: None } => (FailureKind::Refused, message.clone()),
            DispatchState::Refused { message, permission: Some(permission) } => {
                (FailureKind::Refused, format!("{message} (GitHub wants the permission {permission})"))
            }
            DispatchState::Failed { error } => (FailureKind::Failed, error.clone()),
            DispatchState::Unknown { error } => (FailureKind::Unknown, error.clone()),
            DispatchState::Cancelled { reason: Reason::EventTooOld, message } => (FailureKind::TooOld, message.clone()),
            DispatchState::Cancelled { .. }
            | DispatchState::Ready
            | DispatchState::Calling { .. }
            | DispatchState::InDoubt { .. }
            | DispatchState::Dropped => return None,
        };
        let message = if open { message } else { kind.hidden().to_owned() };
        Some(Self::Failed { target: Some(target), kind, message })
    }

    /// What a delivery that was given up says. What went wrong may be about a target that the source must not see, and
    /// nobody knows which, so none of it is told.
    #[must_use]
    pub fn of_parked_delivery(reason: Option<Reason>) -> Self {
        let kind = if reason == Some(Reason::EventTooOld) { FailureKind::TooOld } else { FailureKind::Undecided };
        Self::Failed { target: None, kind, message: kind.hidden().to_owned() }
    }
}

impl FailureKind {
    /// What is told where the details are not the source's to see.
    #[must_use]
    pub fn hidden(self) -> &'static str {
        match self {
            Self::Refused | Self::Failed => "the target could not be started",
            Self::Unknown => "nobody knows whether the target was started",
            Self::TooOld => Reason::EventTooOld.sentence(),
            Self::Undecided => "it could not be decided what to start",
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn help(self) -> &'static str {
        match self {
            Self::Refused => {
                "correct what is named above on the target's side, then run the source workflow again, or ask the operator \
                 to retry it"
            }
            Self::Failed => "nothing was started: run the source workflow again, or ask the operator to retry it",
            Self::Unknown => {
                "look whether it was started, because it is never repeated by itself; if it was not, ask the operator to \
                 retry it"
            }
            Self::TooOld => Reason::EventTooOld.help(),
            Self::Undecided => {
                "check that the App is installed on every repository that the policy file names, then ask the operator to \
                 retry it"
            }
        }
    }
}

impl Report {
    /// How many targets are kept. Beyond it, what failed longest ago goes.
    pub const MAX_FAILURES: usize = 25;
    /// How long a repetition waits, so that many of them are told at once.
    const GATHER: Duration = Duration::from_secs(60);
    /// After an issue was opened and the answer is missing, it is not looked for sooner: GitHub's lists may be late.
    pub const OPENING_SETTLES: Duration = Duration::from_secs(3 * 60);

    /// What an ending makes of a report; None where nothing is to be written.
    ///
    /// A report begins with the first dispatch of its workflow, whether it works or not: so it is known that the workflow
    /// starts something. A delivery alone does not begin one: most workflows start nothing, and nobody misses anything.
    #[must_use]
    pub fn after(
        existing: Option<Self>,
        key: ReportKey,
        name: Repository,
        ending: Ending,
        now: Timestamp,
    ) -> Option<Self> {
        let known = existing.is_some();
        let report = existing.unwrap_or_else(|| Self {
            key,
            name: name.clone(),
            issue: None,
            opening: None,
            failures: Vec::new(),
            due: None,
            attempts: 0,
        });
        match ending {
            Ending::Failed { target: None, .. } if !known => None,
            Ending::Failed { target, kind, message } => Some(report.failed(name, target, kind, message, now)),
            Ending::Worked { .. } if !known => Some(report),
            Ending::Worked { target } => report.worked(&target, now),
        }
    }

    fn failed(
        mut self,
        name: Repository,
        target: Option<Place>,
        kind: FailureKind,
        message: String,
        now: Timestamp,
    ) -> Self {
        let message = message.chars().take(1_000).collect();
        let known = self.failures.iter().position(|failure| failure.target == target);
        let failure = match known.map(|at| self.failures.remove(at)) {
            Some(before) => Failure { kind, message, times: before.times.saturating_add(1), last_at: now, ..before },
            None => Failure { target, kind, message, times: 1, first_at: now, last_at: now },
        };
        let first = self.failures.is_empty() && known.is_none();
        self.failures.push(failure);
        let too_many = self.failures.len().saturating_sub(Self::MAX_FAILURES);
        self.failures.drain(..too_many);
        self.name = name;
        self.tell(if first { now } else { later(now, Self::GATHER) });
        self
    }

    /// A target that works is not told about any more. So is that nothing could be decided: this was.
    fn worked(mut self, target: &Place, now: Timestamp) -> Option<Self> {
        let before = self.failures.len();
        self.failures.retain(|failure| failure.target.as_ref().is_some_and(|failed| failed != target));
        if self.failures.len() == before {
            return None;
        }
        self.tell(if self.failures.is_empty() { now } else { later(now, Self::GATHER) });
        Some(self)
    }

    /// Something is to be told at that time, if nothing is to be told before. What GitHub put back stays put back.
    fn tell(&mut self, at: Timestamp) {
        self.due = Some(match self.due {
            Some(due) if self.attempts > 0 => due,
            Some(due) => due.min(at),
            None => {
                self.attempts = 0;
                at
            }
        });
    }
}

impl ReportKey {
    /// Where a dispatch's failures are told, and the repository's name; None where no workflow started it.
    #[must_use]
    pub fn of_dispatch(dispatch: &Dispatch) -> Option<(Self, Repository)> {
        let (lane, _) = dispatch.source.lane.as_ref()?;
        let Start::Workflow(workflow) = &lane.source.start else { return None };
        let key = Self { repository: dispatch.source.repository, workflow: workflow.clone() };
        Some((key, dispatch.source.name.clone()))
    }

    /// Where a delivery's failures are told, and the repository's name; None where no workflow is behind it.
    #[must_use]
    pub fn of_delivery(delivery: &Delivery) -> Option<(Self, Repository)> {
        let EventKind::WorkflowRun(run) = &delivery.event.kind else { return None };
        let repository = &delivery.event.repository;
        let key = Self { repository: repository.id, workflow: run.workflow.clone()? };
        Some((key, repository.name.clone()))
    }
}
