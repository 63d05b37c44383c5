//! What was given up waits for the operator: to be tried again, or to be dropped.

use super::Pipeline;
use crate::Timestamp;
use crate::delivery::{Delivery, DeliveryState};
use crate::dispatch::{Dispatch, DispatchState};
use crate::fact::{Fact, FactBody, Subject};
use crate::ports::store::{Commit, Record, RecordKey, StoreError, Stored, Write};

/// How often it is tried while others move the same work.
const MAX_CONFLICTS: usize = 5;

/// What became of an order about parked work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParkedOutcome {
    /// It was done.
    Done,
    /// The work is not parked: it waits, or it is done with. Nothing was changed.
    NotParked,
    /// There is no such delivery or dispatch.
    NotFound,
}

impl Pipeline {
    /// Takes a parked delivery or dispatch up again: it is due now, with its attempts counted anew. A dispatch is decided
    /// again before it is called. What is too old counts as new from now on, because the operator wants it.
    ///
    /// # Errors
    /// [`StoreError`]; nothing was changed.
    pub async fn retry_parked(&self, subject: &Subject, now: Timestamp) -> Result<ParkedOutcome, StoreError> {
        self.obey(subject, Order::Retry, now).await
    }

    /// Puts a parked delivery or dispatch away: it is not wanted, or somebody took care of it.
    ///
    /// # Errors
    /// [`StoreError`]; nothing was changed.
    pub async fn drop_parked(&self, subject: &Subject, now: Timestamp) -> Result<ParkedOutcome, StoreError> {
        self.obey(subject, Order::Drop, now).await
    }

    async fn obey(&self, subject: &Subject, order: Order, now: Timestamp) -> Result<ParkedOutcome, StoreError> {
        let mut keys = vec![RecordKey::Delivery(subject.delivery.clone())];
        keys.extend(subject.dispatch.clone().map(RecordKey::Dispatch));
        let mut conflict = None;
        for _ in 0..MAX_CONFLICTS {
            let mut loaded = self.store.load(&keys).await?.into_iter();
            let delivery = match loaded.next().flatten() {
                Some(Stored { record: Record::Delivery(delivery), version }) => Some((delivery, version)),
                _ => None,
            };
            let commit = match (&subject.dispatch, loaded.next().flatten()) {
                (Some(_), Some(Stored { record: Record::Dispatch(dispatch), version })) => {
                    self.about_dispatch(*dispatch, version, delivery, order, now)
                }
                (Some(_), _) => return Ok(ParkedOutcome::NotFound),
                (None, _) => match delivery {
                    Some((delivery, version)) => self.about_delivery(*delivery, version, order, now),
                    None => return Ok(ParkedOutcome::NotFound),
                },
            };
            let Some(mut commit) = commit else { return Ok(ParkedOutcome::NotParked) };
            let moved = commit.writes.iter().find_map(|write| match &write.record {
                Record::Dispatch(dispatch) => Some(dispatch.clone()),
                _ => None,
            });
            if let Some(dispatch) = moved {
                commit.writes.extend(self.notice_writes(&dispatch, now).await?);
            }
            match self.store.commit(commit).await {
                Ok(()) => return Ok(ParkedOutcome::Done),
                Err(StoreError::Conflict(key)) => conflict = Some(key),
                Err(error) => return Err(error),
            }
        }
        Err(conflict.map_or_else(|| StoreError::Unavailable("never tried".to_owned()), StoreError::Conflict))
    }

    /// The step that obeys; None where the delivery is not parked.
    fn about_delivery(&self, mut delivery: Delivery, version: u64, order: Order, now: Timestamp) -> Option<Commit> {
        let DeliveryState::Parked { .. } = delivery.state else { return None };
        let fact = match order {
            Order::Retry => {
                self.renew(&mut delivery, now);
                delivery.reopen(now)
            }
            Order::Drop => {
                let (summary, parked_at) = (delivery.summary(), delivery.parked_at.take());
                delivery.state = DeliveryState::Dropped;
                delivery.next_fact(now, FactBody::DeliveryDropped { delivery: summary, parked_at })
            }
        };
        let write = Write { record: Record::Delivery(Box::new(delivery)), expected: Some(version) };
        Some(Commit { writes: vec![write], facts: vec![fact] })
    }

    /// The step that obeys; None where the dispatch is not parked.
    fn about_dispatch(
        &self,
        mut dispatch: Dispatch,
        version: u64,
        delivery: Option<(Box<Delivery>, u64)>,
        order: Order,
        now: Timestamp,
    ) -> Option<Commit> {
        if !dispatch.state.is_parked() {
            return None;
        }
        let parked_at = dispatch.parked_at.take();
        let mut writes = Vec::new();
        let body = match order {
            Order::Retry => {
                (dispatch.state, dispatch.due) = (DispatchState::Ready, Some(now));
                // What has waited is decided again before the call.
                (dispatch.attempts, dispatch.waits, dispatch.doubts) = (0, 1, 0);
                if let Some((mut delivery, version)) = delivery
                    && self.renew(&mut delivery, now)
                {
                    writes.push(Write { record: Record::Delivery(delivery), expected: Some(version) });
                }
                FactBody::DispatchRetried { parked_at }
            }
            Order::Drop => {
                dispatch.state = DispatchState::Dropped;
                FactBody::DispatchDropped { parked_at }
            }
        };
        let fact = dispatch.next_fact(now, body);
        writes.push(Write { record: Record::Dispatch(Box::new(dispatch)), expected: Some(version) });
        Some(Commit { writes, facts: vec![fact] })
    }

    /// Lets the age of a delivery that is too old count from now on. False where it is not too old.
    fn renew(&self, delivery: &mut Delivery, now: Timestamp) -> bool {
        let too_old = self.too_old(delivery, now).is_some();
        if too_old {
            delivery.renewed_at = Some(now);
        }
        too_old
    }
}

#[derive(Debug, Clone, Copy)]
enum Order {
    Retry,
    Drop,
}

impl Delivery {
    /// Takes a parked delivery up again, and answers with the fact that tells of it.
    pub(super) fn reopen(&mut self, now: Timestamp) -> Fact {
        (self.state, self.due, self.attempts) = (DeliveryState::Received, Some(now), 0);
        let body = FactBody::DeliveryReopened { delivery: self.summary(), parked_at: self.parked_at.take() };
        self.next_fact(now, body)
    }
}
