//! One step of an item of work, whoever carries it: workers on one machine, or a queue's consumer somewhere else.
//!
//! A step is done through the pipeline and stored by it. What came of it is told in the log and counted.

use std::sync::Arc;
use std::time::Instant;

use dispatch_core::Timestamp;
use dispatch_core::delivery::Delivery;
use dispatch_core::dispatch::{Dispatch, DispatchState};
use dispatch_core::notice::Notice;
use dispatch_core::pipeline::{Pipeline, Planned, ProposalChecked, Reported, Revoked, Shown};
use dispatch_core::ports::store::{Queue, Record, Stored};
use dispatch_core::ports::{IssuePort, NoticePort, StoreError};
use dispatch_core::proposal::ProposalRecord;
use dispatch_core::report::Report;
use dispatch_core::revocation::Revocation;
use tracing::Instrument;

/// Where people are told: two ports of one client, usually.
#[derive(Clone)]
pub struct Telling {
    /// Failures are told in issues.
    pub issues: Arc<dyn IssuePort>,
    /// Check runs, comments and reactions; None: they are left.
    pub notices: Option<Arc<dyn NoticePort>>,
}

impl Telling {
    /// Tells people through a client that does both.
    pub fn through<T: IssuePort + NoticePort + 'static>(client: Arc<T>) -> Self {
        Self { issues: Arc::clone(&client) as _, notices: Some(client) }
    }
}

/// What takes steps.
#[derive(Clone)]
pub struct Steps {
    pipeline: Pipeline,
    telling: Option<Telling>,
    on_work: Arc<dyn Fn(Queue) + Send + Sync>,
}

impl Steps {
    /// Steps of a pipeline. Without somebody to tell, what is to be told and shown to people is left.
    #[must_use]
    pub fn new(pipeline: Pipeline, telling: Option<Telling>) -> Self {
        Self { pipeline, telling, on_work: Arc::new(|_| ()) }
    }

    /// Called after a step left work in a queue. Must return at once.
    #[must_use]
    pub fn on_work(mut self, wake: Arc<dyn Fn(Queue) + Send + Sync>) -> Self {
        self.on_work = wake;
        self
    }

    /// Takes one step of claimed work, and stores it.
    ///
    /// # Errors
    /// [`StoreError`]; the item comes back when its lease ends.
    pub async fn take(&self, item: Stored) -> Result<(), StoreError> {
        let span = span(&item.record);
        self.step(item).instrument(span).await
    }

    async fn step(&self, item: Stored) -> Result<(), StoreError> {
        let began = Instant::now();
        let (stage, result) = match item.record {
            Record::Delivery(delivery) => ("plan", self.plan(*delivery, item.version).await),
            Record::Revocation(revocation) => ("revoke", self.revoke(*revocation, item.version).await),
            Record::Dispatch(dispatch) => ("dispatch", self.dispatch(*dispatch, item.version).await),
            Record::Report(report) => ("report", self.report(*report, item.version).await),
            Record::Notice(notice) => ("show", self.show(*notice, item.version).await),
            Record::Proposal(proposal) => ("check", self.check(*proposal, item.version).await),
            other => {
                tracing::error!(key = %other.key(), "this is no work");
                return Ok(());
            }
        };
        metrics::histogram!("dispatch_stage_seconds", "stage" => stage).record(began.elapsed().as_secs_f64());
        let outcome = match &result {
            Ok(outcome) => outcome,
            Err(error @ StoreError::Conflict(_)) => {
                tracing::warn!(%error, "somebody else went on with this");
                "conflict"
            }
            Err(error) => {
                tracing::error!(%error, "the step could not be stored; it is tried again");
                "store_failed"
            }
        };
        metrics::counter!("dispatch_steps_total", "stage" => stage, "outcome" => outcome).increment(1);
        result.map(|_| ())
    }

    async fn plan(&self, delivery: Delivery, version: u64) -> Result<&'static str, StoreError> {
        Ok(match self.pipeline.plan(delivery, version, Timestamp::now()).await? {
            Planned::Done { plan, dispatches } => {
                if !dispatches.is_empty() {
                    (self.on_work)(Queue::Dispatch);
                }
                let allowed = dispatches.len();
                match plan.skipped {
                    Some(skipped) => tracing::info!(reason = %skipped.reason, why = skipped.message, "skipped"),
                    None => tracing::info!(decisions = plan.decisions.len(), dispatches = allowed, "planned"),
                }
                "planned"
            }
            Planned::PutBack { until, error } => {
                tracing::info!(%until, error, "planning waits");
                "put_back"
            }
            Planned::Parked { error } => {
                tracing::warn!(error, "planning was given up");
                "parked"
            }
        })
    }

    async fn revoke(&self, revocation: Revocation, version: u64) -> Result<&'static str, StoreError> {
        let Revoked { cancelled, more } = self.pipeline.revoke(revocation, version, Timestamp::now()).await?;
        if cancelled > 0 {
            tracing::warn!(cancelled, "the App lost access where dispatches waited");
        }
        if more {
            (self.on_work)(Queue::Plan);
        }
        Ok(if more { "continued" } else { "revoked" })
    }

    async fn dispatch(&self, dispatch: Dispatch, version: u64) -> Result<&'static str, StoreError> {
        Ok(match self.pipeline.dispatch(dispatch, version, Timestamp::now()).await? {
            DispatchState::Triggered { run } => {
                tracing::info!(run = run.map(|run| run.id.0), "triggered");
                "triggered"
            }
            DispatchState::Ready => {
                tracing::info!("the dispatch waits");
                "put_back"
            }
            DispatchState::Refused { message, permission } => {
                tracing::warn!(why = message, permission, "GitHub refused");
                "refused"
            }
            DispatchState::InDoubt { error, .. } => {
                tracing::warn!(error, "nobody knows yet whether GitHub did it");
                "in_doubt"
            }
            DispatchState::Started { .. } => {
                tracing::info!("triggered; the run is looked for");
                "started"
            }
            DispatchState::Unknown { error } => {
                tracing::error!(error, "nobody can tell whether GitHub did it");
                "unknown"
            }
            DispatchState::Dropped => "dropped",
            DispatchState::Cancelled { reason, message } => {
                tracing::info!(%reason, why = message, "cancelled");
                "cancelled"
            }
            DispatchState::Failed { error } => {
                tracing::warn!(error, "given up");
                "failed"
            }
            DispatchState::Calling { .. } => "calling",
        })
    }

    async fn report(&self, report: Report, version: u64) -> Result<&'static str, StoreError> {
        // Without ports nobody is told.
        let Some(to) = &self.telling else { return Ok("left") };
        Ok(match self.pipeline.report(&*to.issues, report, version, Timestamp::now()).await? {
            Reported::Told { issue } => {
                tracing::info!(issue, "told");
                "told"
            }
            Reported::PutBack { until, error } => {
                tracing::info!(%until, error, "telling waits");
                "put_back"
            }
            Reported::GivenUp { error } => {
                tracing::warn!(error, "GitHub does not take it");
                "given_up"
            }
        })
    }

    async fn check(&self, proposal: ProposalRecord, version: u64) -> Result<&'static str, StoreError> {
        Ok(match self.pipeline.check_proposal(proposal, version, Timestamp::now()).await? {
            ProposalChecked::Changed => {
                tracing::info!("a policy file is proposed");
                "changed"
            }
            ProposalChecked::Unchanged => {
                tracing::debug!("no policy file is proposed");
                "unchanged"
            }
            ProposalChecked::PutBack { until, error } => {
                tracing::info!(%until, error, "looking at a proposed policy file waits");
                "put_back"
            }
            ProposalChecked::GivenUp { error } => {
                tracing::warn!(error, "GitHub does not show a proposed policy file");
                "given_up"
            }
        })
    }

    async fn show(&self, notice: Notice, version: u64) -> Result<&'static str, StoreError> {
        let Some(notices) = self.telling.as_ref().and_then(|to| to.notices.as_ref()) else { return Ok("left") };
        Ok(match self.pipeline.show(&**notices, notice, version, Timestamp::now()).await? {
            Shown::Shown { id } => {
                tracing::debug!(id, "shown");
                "shown"
            }
            Shown::PutBack { until, error } => {
                tracing::info!(%until, error, "showing waits");
                "put_back"
            }
            Shown::GivenUp { error } => {
                tracing::warn!(error, "GitHub does not take it");
                "given_up"
            }
        })
    }
}

/// Every line about one delivery carries its id.
pub(crate) fn span(record: &Record) -> tracing::Span {
    match record {
        Record::Delivery(delivery) => tracing::info_span!(
            "plan",
            delivery = %delivery.key.id,
            event = delivery.event.kind.name(),
            repository = %delivery.event.repository.name,
        ),
        Record::Dispatch(dispatch) => tracing::info_span!(
            "dispatch",
            delivery = %dispatch.delivery.id,
            repository = %dispatch.key.target.repository,
            start = %dispatch.key.target.start,
        ),
        Record::Report(report) => {
            tracing::info_span!("report", repository = %report.name, workflow = %report.key.workflow)
        }
        Record::Proposal(proposal) => {
            tracing::info_span!("check", repository = %proposal.event.repository.name, check = %proposal.check)
        }
        Record::Notice(notice) => {
            tracing::info_span!("show", repository = %notice.repository().name, notice = %record.key())
        }
        Record::Revocation(revocation) => tracing::info_span!(
            "revoke",
            delivery = %revocation.key.id,
            installation = %revocation.lost.installation,
            account = revocation.lost.account.as_str(),
        ),
        _ => tracing::Span::none(),
    }
}
