//! That a pull request's policy file is looked at, and how far that got.

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::event::{Event, EventKind, PullRequest, PullRequestAction, PullRequestState};
use crate::name::CheckId;

/// A pull request into the default branch, which may propose a policy file: there is one for each newest commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProposalRecord {
    /// The external id of the check that tells of it.
    pub check: CheckId,
    /// What happened to the pull request.
    pub event: Event,
    /// When to look; None: somebody did, or GitHub does not let anybody.
    pub due: Option<Timestamp>,
    /// How often in a row looking was tried and put back.
    pub attempts: u32,
    /// Whether the check tells what would start, too.
    pub complete: bool,
    /// When somebody wanted it last.
    pub wanted_at: Timestamp,
}

impl ProposalRecord {
    /// What is to be looked at because of an event: a pull request that is open and would change the default branch. None:
    /// nothing.
    #[must_use]
    pub fn of(event: &Event, now: Timestamp) -> Option<Self> {
        let pull_request = proposing(event)?;
        let check = CheckId::of_policy(event.repository.id, &pull_request.head_sha)?;
        Some(Self { check, event: event.clone(), due: Some(now), attempts: 0, complete: false, wanted_at: now })
    }

    /// Looks again. Who was shown what would start is not shown less because of somebody else's event.
    pub(crate) fn again(&mut self, event: Option<&Event>, now: Timestamp) {
        if let Some(event) = event.filter(|_| !self.complete) {
            self.event = event.clone();
        }
        (self.due, self.attempts, self.wanted_at) = (Some(now), 0, now);
    }

    /// The pull request.
    pub(crate) fn pull_request(&self) -> Option<&PullRequestState> {
        proposing(&self.event)
    }
}

fn proposing(event: &Event) -> Option<&PullRequestState> {
    let EventKind::PullRequest(PullRequest { action, now, sweep: None }) = &event.kind else { return None };
    let into_force = now.base_branch == event.repository.default_branch;
    let open = now.open && *action != PullRequestAction::Closed;
    (into_force && open && event.installation.is_some()).then_some(now)
}
