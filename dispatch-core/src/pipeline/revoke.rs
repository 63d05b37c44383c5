//! The App lost access somewhere: what waits there is cancelled, before anybody calls.

use super::Pipeline;
use super::settle::Step;
use crate::Timestamp;
use crate::decide::Identity;
use crate::dispatch::{Dispatch, DispatchState};
use crate::name::{Repository, RepositoryId};
use crate::ports::store::{Commit, Queue, Record, RecordKey, StoreError, Stored, WaitingQuery, Write};
use crate::quote::quote;
use crate::reason::Reason;
use crate::revocation::{AccessLost, Extent, Revocation};

/// How many dispatches one step looks at.
const PAGE: usize = 50;
/// How often a dispatch is tried to be cancelled that others claim at the same time.
const MAX_CONFLICTS: usize = 5;

/// What a step of a revocation did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revoked {
    /// How many dispatches were cancelled.
    pub cancelled: usize,
    /// Whether more are to be looked at: it is due at once.
    pub more: bool,
}

impl Pipeline {
    /// Cancels a page of the dispatches that wait where the App lost access, on either side, and stores how far it got.
    /// `version` is the revocation's version as it was claimed.
    ///
    /// A call that began is left to its own end: nobody can take it back. Deliveries are left too: they are decided about
    /// when their turn comes, and the decision finds the App gone.
    ///
    /// # Errors
    /// [`StoreError`]; what was cancelled stays cancelled, and the page is looked at again when the lease ends.
    pub async fn revoke(
        &self,
        mut revocation: Revocation,
        version: u64,
        now: Timestamp,
    ) -> Result<Revoked, StoreError> {
        let query = WaitingQuery { queue: Queue::Dispatch, after: revocation.after.take(), limit: PAGE };
        let page = self.store.waiting(query).await?;
        revocation.after = page.last().map(|last| last.record.key().to_string());
        let more = page.len() == PAGE;
        let mut cancelled = 0;
        for Stored { record, version } in page {
            if let Record::Dispatch(dispatch) = record {
                cancelled += usize::from(self.cancel(*dispatch, version, &revocation.lost, now).await?);
            }
        }
        revocation.due = more.then_some(now);
        let write = Write { record: Record::Revocation(Box::new(revocation)), expected: Some(version) };
        self.store.commit(Commit { writes: vec![write], facts: Vec::new() }).await?;
        Ok(Revoked { cancelled, more })
    }

    /// Cancels a dispatch that waits where access was lost. False: it does not wait there, or somebody else moved it on.
    async fn cancel(
        &self,
        mut dispatch: Dispatch,
        mut version: u64,
        lost: &AccessLost,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        for _ in 0..MAX_CONFLICTS {
            let Some(repository) = lost.of(&dispatch).filter(|_| dispatch.state == DispatchState::Ready) else {
                return Ok(false);
            };
            self.policies.forget(repository);
            let step = Step::To(DispatchState::Cancelled {
                reason: Reason::ConsentWithdrawn,
                message: lost.sentence(repository),
            });
            // Whoever has claimed it loses it by this: its call cannot begin any more.
            match self.settle(dispatch.clone(), version, step, now).await {
                Ok(_) => return Ok(true),
                Err(StoreError::Conflict(key @ RecordKey::Dispatch(_))) => {
                    match self.store.load(&[key]).await?.into_iter().next().flatten() {
                        Some(Stored { record: Record::Dispatch(moved), version: newer }) => {
                            (dispatch, version) = (*moved, newer);
                        }
                        _ => return Ok(false),
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }
}

impl AccessLost {
    /// The repository of a dispatch, on either side, that the App does not reach any more.
    fn of<'a>(&self, dispatch: &'a Dispatch) -> Option<&'a Repository> {
        let target = match dispatch.decision.allowed()?.identity {
            Identity::Verified { id, .. } => Some(id),
            Identity::Assumed => None,
        };
        let sides =
            [(&dispatch.source.name, Some(dispatch.source.repository)), (&dispatch.key.target.repository, target)];
        sides.into_iter().find(|(name, id)| self.covers(name, *id)).map(|(name, _)| name)
    }

    fn covers(&self, name: &Repository, id: Option<RepositoryId>) -> bool {
        match &self.extent {
            Extent::Installation => name.owner() == self.account,
            Extent::Repositories(removed) => id.is_some_and(|id| removed.contains(&id)),
        }
    }

    fn sentence(&self, repository: &Repository) -> String {
        let (installation, account) = (self.installation, quote(&self.account));
        match self.extent {
            Extent::Installation => {
                format!("installation {installation} of {account} was deleted or suspended, with {}", quote(repository))
            }
            Extent::Repositories(_) => {
                format!("{} was taken out of installation {installation} of {account}", quote(repository))
            }
        }
    }
}
