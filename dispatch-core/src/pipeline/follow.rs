//! Following the runs that were started here, by the webhooks that GitHub sends about them.
//!
//! Nobody asks GitHub how far a run got. Its webhooks come in any order and more than once: a newer attempt wins, and within
//! an attempt whatever is further. A webhook that is here before the record of its run waits for it, for a while. Where the run
//! is found later than that among others, their list says how it ended.

use std::time::Duration;

use super::Pipeline;
use crate::Timestamp;
use crate::delivery::Delivery;
use crate::dispatch::{Dispatch, FollowedRun, FollowedStage};
use crate::environment::StepEnd;
use crate::event::{Conclusion, EventKind, RunProgress, WorkflowRun};
use crate::fact::{Fact, FactBody};
use crate::name::{Login, RunId};
use crate::ports::store::{Record, RecordKey, StoreError, Write};
use crate::retry::later;

/// How long, next to twice the time that GitHub may take to list a run, the webhook of a run that this App caused waits for
/// the record of the dispatch that it follows from. A call in doubt is resolved in that time, or by nobody.
const OWN_RUN_WAITS: Duration = Duration::from_secs(5 * 60);

/// What a webhook says about a run that was started here.
pub(super) enum Followed {
    /// It is about no run of ours, or says nothing new.
    Nothing,
    /// This App caused the run, and no record of it is there yet.
    NotRecorded,
    /// A run of this dispatch got further.
    Further(Box<Further>),
}

/// A dispatch whose run got further, to be stored.
pub(super) struct Further {
    /// As it is now.
    dispatch: Dispatch,
    /// The version that was read.
    version: u64,
    /// What tells of it.
    fact: Fact,
}

impl Pipeline {
    /// What a delivery says about a run that was started here.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub(super) async fn follow(&self, delivery: &Delivery, now: Timestamp) -> Result<Followed, StoreError> {
        let Some((id, actor, run)) = told(delivery) else { return Ok(Followed::Nothing) };
        if actor.is_none() || actor != self.guardrails.app_login.as_ref() {
            return Ok(Followed::Nothing);
        }
        let recorded = self.store.load(&[RecordKey::Run(id)]).await?.into_iter().next().flatten();
        let Some(Record::Run(_, record)) = recorded.map(|stored| stored.record) else {
            return Ok(Followed::NotRecorded);
        };
        let stored = self.store.load(&[RecordKey::Dispatch(record.dispatch)]).await?.into_iter().next().flatten();
        let Some((Record::Dispatch(mut dispatch), version)) = stored.map(|stored| (stored.record, stored.version))
        else {
            return Ok(Followed::Nothing);
        };
        if !run.follows(dispatch.run.as_ref()) {
            return Ok(Followed::Nothing);
        }
        dispatch.run = Some(run.clone());
        let fact = dispatch.next_fact(now, FactBody::DispatchRunProgressed { run });
        Ok(Followed::Further(Box::new(Further { dispatch: *dispatch, version, fact })))
    }

    /// What a delivery's step writes about a run that was started here: how far it got, what ends with it, and what is told.
    /// After a conflict it is asked again.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub(super) async fn follow_writes(
        &self,
        delivery: &Delivery,
        now: Timestamp,
    ) -> Result<(Vec<Write>, Vec<Fact>), StoreError> {
        let Followed::Further(further) = self.follow(delivery, now).await? else { return Ok(Default::default()) };
        let Further { dispatch, version, fact } = *further;
        let mut writes = self.notice_writes(&dispatch, now).await?;
        let mut facts = vec![fact];
        if let Some(end) = dispatch.run.as_ref().and_then(ended_so) {
            let environment = self.environment_ends(&dispatch, end, now).await?;
            writes.extend(environment.writes);
            facts.extend(environment.facts);
        }
        writes.push(Write { record: Record::Dispatch(Box::new(dispatch)), expected: Some(version) });
        Ok((writes, facts))
    }

    /// Whether the record of a run that this App caused may still come.
    pub(super) fn may_be_recorded_soon(&self, delivery: &Delivery, now: Timestamp) -> bool {
        now < later(delivery.received_at, self.settle.saturating_mul(2).saturating_add(OWN_RUN_WAITS))
    }
}

/// How the action of a dispatch ended whose run got so far; None while it goes on.
pub(super) fn ended_so(run: &FollowedRun) -> Option<StepEnd> {
    match run.stage {
        FollowedStage::Completed(Some(Conclusion::Success)) => Some(StepEnd::Done),
        FollowedStage::Completed(_) => Some(StepEnd::Failed),
        FollowedStage::Requested | FollowedStage::InProgress => None,
    }
}

/// Which run a delivery is about, whose doing it is, and how far it got.
fn told(delivery: &Delivery) -> Option<(RunId, Option<&Login>, FollowedRun)> {
    match &delivery.event.kind {
        EventKind::RunProgress(RunProgress { id, attempt, stage, actor, url, updated_at }) => {
            let (stage, url) = (FollowedStage::from(*stage), url.clone());
            Some((*id, actor.as_ref(), FollowedRun { attempt: *attempt, stage, url, at: *updated_at }))
        }
        EventKind::WorkflowRun(WorkflowRun { id, attempt, conclusion, actor, url, updated_at, .. }) => {
            let (stage, url) = (FollowedStage::Completed(*conclusion), url.clone());
            Some((*id, actor.as_ref(), FollowedRun { attempt: *attempt, stage, url, at: *updated_at }))
        }
        _ => None,
    }
}
