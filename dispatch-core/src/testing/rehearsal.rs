//! The whole service in memory: to test what policies do, without a runtime, a network or a clock.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::world::OutgoingWebhook;
use super::{MemoryStore, World, WorldGitHub};
use crate::Timestamp;
use crate::decide::Plan;
use crate::guardrail::Guardrails;
use crate::pipeline::{IngressError, Pipeline, Planned, SweepOptions, SweepOutcome, WebhookRequest};
use crate::ports::policies::BoundedPolicyMemory;
use crate::ports::store::{Claim, Queue, Record, StoreError, StorePort};
use crate::retry::RetryPolicy;
use crate::webhook::WebhookSecrets;

/// How much work one turn takes from a queue.
const BATCH: usize = 100;
/// Longer than a turn takes, in the world's time.
const LEASE: Duration = Duration::from_secs(60);

/// The pipeline over a [`World`] and a [`MemoryStore`]. Let things happen in the world, then [run](Self::run_until_quiet).
#[derive(Clone)]
pub struct Rehearsal {
    github: WorldGitHub,
    store: Arc<MemoryStore>,
    pipeline: Pipeline,
    secrets: WebhookSecrets,
}

/// Why a rehearsal ended early.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RehearsalError {
    /// A webhook of the world was not accepted.
    #[error("a webhook was not accepted: {0}")]
    Webhook(#[from] IngressError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The webhook secrets cannot sign.
    #[error("the webhook secrets cannot sign")]
    Secrets,
}

impl Rehearsal {
    /// The service for a world, with the operator's limits.
    ///
    /// # Errors
    /// [`RehearsalError::Secrets`], never in practice: the secret is a constant.
    pub fn new(world: World, guardrails: Guardrails) -> Result<Self, RehearsalError> {
        let bot = format!("{}[bot]", world.app().slug).parse();
        let guardrails = bot.map_or(guardrails.clone(), |bot| guardrails.with_app_login(bot));
        let github = WorldGitHub::new(Arc::new(Mutex::new(world)));
        let store = Arc::new(MemoryStore::new());
        let pipeline = Pipeline {
            github: Arc::new(github.clone()),
            store: store.clone(),
            policies: Arc::new(BoundedPolicyMemory::new(1_000)),
            guardrails,
            retry: RetryPolicy::default(),
            settle: Pipeline::DEFAULT_SETTLE,
            max_event_age: Pipeline::DEFAULT_MAX_EVENT_AGE,
        };
        let secrets = "a secret for rehearsals only".parse().map_err(|_| RehearsalError::Secrets)?;
        Ok(Self { github, store, pipeline, secrets })
    }

    /// The world, to change it or to look at it. Let go of it before running.
    pub fn world(&self) -> MutexGuard<'_, World> {
        self.github.world()
    }

    /// The store, with every fact.
    #[must_use]
    pub fn store(&self) -> &MemoryStore {
        &self.store
    }

    /// Delivers the world's webhooks, decides, calls, tells failures in issues where they are wanted, and lets the runs that were started end, until nothing is left to do
    /// at the world's time. Answers with the plans in the order in which they were made. Work that waits for a later time
    /// stays: [`World::advance`] the time and run again.
    ///
    /// # Errors
    /// [`RehearsalError`].
    pub fn run_until_quiet(&self) -> Result<Vec<Plan>, RehearsalError> {
        let mut plans = Vec::new();
        loop {
            let worked = self.work(&mut plans)?;
            let progressed = self.world().progress_runs().len();
            if worked + progressed == 0 {
                return Ok(plans);
            }
        }
    }

    /// Delivers, decides, calls and tells once, and leaves the runs that were started where they are.
    ///
    /// # Errors
    /// [`RehearsalError`].
    pub fn run_once(&self) -> Result<Vec<Plan>, RehearsalError> {
        let mut plans = Vec::new();
        self.work(&mut plans)?;
        Ok(plans)
    }

    fn work(&self, plans: &mut Vec<Plan>) -> Result<usize, RehearsalError> {
        Ok(self.deliver()? + self.plan(plans)? + self.dispatch()? + self.report()?)
    }

    /// Sweeps at the world's time. What is to go is decided about by the next run.
    ///
    /// # Errors
    /// [`RehearsalError`].
    pub fn sweep(&self, options: &SweepOptions) -> Result<SweepOutcome, RehearsalError> {
        let now = self.world().now();
        self.sweep_at(options, now)
    }

    /// The same by a clock that goes wrong.
    ///
    /// # Errors
    /// [`RehearsalError`].
    pub fn sweep_at(&self, options: &SweepOptions, now: Timestamp) -> Result<SweepOutcome, RehearsalError> {
        Ok(finish(self.pipeline.sweep(options, now))?)
    }

    fn deliver(&self) -> Result<usize, RehearsalError> {
        let webhooks = self.world().take_webhooks();
        self.receive(&webhooks)?;
        Ok(webhooks.len())
    }

    /// Receives webhooks as if the world had sent them now: late ones, or again.
    ///
    /// # Errors
    /// [`RehearsalError::Webhook`].
    pub fn receive(&self, webhooks: &[OutgoingWebhook]) -> Result<(), RehearsalError> {
        let now = self.world().now();
        for webhook in webhooks {
            let signature = self.secrets.sign(&webhook.body);
            let request = WebhookRequest {
                signature: Some(signature.as_bytes()),
                event: Some(&webhook.event),
                delivery: Some(webhook.delivery.as_str()),
                body: &webhook.body,
            };
            finish(self.pipeline.ingress(&self.secrets, request, now))?;
        }
        Ok(())
    }

    fn plan(&self, plans: &mut Vec<Plan>) -> Result<usize, RehearsalError> {
        let (due, now) = self.claim(Queue::Plan)?;
        let count = due.len();
        for (record, version) in due {
            match record {
                Record::Delivery(delivery) => {
                    if let Planned::Done { plan, .. } = finish(self.pipeline.plan(*delivery, version, now))? {
                        plans.push(plan);
                    }
                }
                Record::Revocation(revocation) => _ = finish(self.pipeline.revoke(*revocation, version, now))?,
                _ => {}
            }
        }
        Ok(count)
    }

    fn dispatch(&self) -> Result<usize, RehearsalError> {
        let (due, now) = self.claim(Queue::Dispatch)?;
        let count = due.len();
        for (record, version) in due {
            if let Record::Dispatch(dispatch) = record {
                finish(self.pipeline.dispatch(*dispatch, version, now))?;
            }
        }
        Ok(count)
    }

    fn report(&self) -> Result<usize, RehearsalError> {
        let (due, now) = self.claim(Queue::Report)?;
        let count = due.len();
        for (record, version) in due {
            if let Record::Report(report) = record {
                finish(self.pipeline.report(&self.github, *report, version, now))?;
            }
        }
        Ok(count)
    }

    fn claim(&self, queue: Queue) -> Result<(Vec<(Record, u64)>, Timestamp), RehearsalError> {
        let now = self.world().now();
        let claimed = finish(self.store.claim(Claim { queue, now, lease: LEASE, limit: BATCH, per_lane: BATCH }))?;
        Ok((claimed.into_iter().map(|stored| (stored.record, stored.version)).collect(), now))
    }
}

/// Polls a future to its end. The ports in memory are always ready: nothing here ever waits for the outside.
fn finish<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
}
