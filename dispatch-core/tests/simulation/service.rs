//! The service: processes that share nothing but the store, and work as the real workers do.

use std::sync::Arc;
use std::time::Duration;

use dispatch_core::environment::Environment;
use dispatch_core::guardrail::Guardrails;
use dispatch_core::pipeline::{IngressError, Pipeline, Receipt, ReceiptOutcome, SweepOptions, WebhookRequest};
use dispatch_core::ports::BoundedPolicyMemory;
use dispatch_core::ports::store::{Claim, Queue, Record, RecordKey, StoreError, Stored, Take, Taken, WaitingQuery};
use dispatch_core::recovery::RecoverOptions;
use dispatch_core::retry::RetryPolicy;
use dispatch_core::testing::world::OutgoingWebhook;
use dispatch_core::webhook::WebhookSecrets;

use crate::github::SimGitHub;
use crate::messages;
use crate::reply::Giver;
use crate::side::SidePorts;
use crate::sim::{Owner, Sim};
use crate::store::SimStore;

/// As in the real workers.
const LEASE: Duration = Duration::from_secs(120);
/// How soon a queue is looked at again after something was in it.
const SHORTEST_WAIT: Duration = Duration::from_millis(250);
/// How long a queue is not looked at while nothing is in it and nobody rings.
const LONGEST_WAIT: Duration = Duration::from_secs(400);
/// How long work has been due before it is announced again.
const OVERDUE_AFTER: Duration = Duration::from_secs(120);
/// How often everything is swept after the faults.
const LAST_SWEEPS: usize = 3;
/// The secrets of the service, while they are being changed: it takes both.
pub(crate) const SECRETS: &str = "the new secret,the old secret";

/// One process: what it keeps in memory is gone when it crashes.
pub(crate) struct Process {
    sim: Arc<Sim>,
    id: usize,
    github: SimGitHub,
    side: SidePorts,
    pipeline: Pipeline,
    secrets: WebhookSecrets,
}

/// Starts a process with nothing in memory.
pub(crate) fn start(sim: &Arc<Sim>, id: usize) {
    sim.say(|| format!("process {id} starts"));
    let github = SimGitHub::new(sim, id);
    let settings = [("OWNER_ALLOWLIST".to_owned(), "*".to_owned())].into();
    let pipeline = Pipeline {
        github: Arc::new(github.clone()),
        store: Arc::new(SimStore::new(sim, id)),
        policies: Arc::new(BoundedPolicyMemory::new(4)),
        guardrails: Guardrails::from_settings(&settings)
            .unwrap()
            .with_app_login("dispatch[bot]".parse().unwrap())
            .with_issues(sim.weather.issues),
        retry: RetryPolicy::default(),
        settle: Pipeline::DEFAULT_SETTLE,
        max_event_age: Pipeline::DEFAULT_MAX_EVENT_AGE,
    };
    let secrets = SECRETS.parse().unwrap();
    let process =
        Arc::new(Process { sim: Arc::clone(sim), id, github, side: SidePorts(Arc::clone(sim), id), pipeline, secrets });
    sim.set_process(id, Some(Arc::clone(&process)));
    for queue in Queue::ALL {
        if sim.weather.messages {
            sim.spawn(Owner::Process(id), Arc::clone(&process).announce_overdue(queue));
        } else {
            sim.spawn(Owner::Process(id), Arc::clone(&process).work(queue));
        }
    }
    if sim.observed().previews.is_some() {
        sim.spawn(Owner::Process(id), Arc::clone(&process).sweep_now_and_then());
    }
    sim.spawn(Owner::Process(id), process.recover());
}

/// Sweeps once more after everything has come to rest, and once more when what is overdue can be given up. Whether it does.
pub(crate) fn sweep_again(sim: &Arc<Sim>) -> bool {
    {
        let mut observed = sim.observed();
        if observed.previews.is_none() || observed.last_sweeps >= LAST_SWEEPS {
            return false;
        }
        observed.last_sweeps += 1;
        observed.under_way += 1;
    }
    let sweep = async move |sim: Arc<Sim>| {
        let rests = |environment: &Environment| environment.wanted.is_none() && environment.under_way.is_none();
        let all_rest = sim.store.records().iter().all(|record| match record {
            Record::Environment(environment) => rests(environment),
            _ => true,
        });
        if !all_rest {
            sim.sleep(Environment::ACTION_ENDS_WITHIN).await;
        }
        if let Some(process) = sim.process(0) {
            process.sweep(SweepOptions { again_after: Duration::ZERO, ..SweepOptions::default() }).await;
        }
        sim.observed().under_way -= 1;
    };
    sim.spawn(Owner::Outside, sweep(Arc::clone(sim)));
    true
}

/// Somebody starts the process again after a while.
pub(crate) async fn restart(sim: Arc<Sim>, id: usize) {
    let span = sim.draw(|random| {
        let most = if random.per_mille(100) { 900_000 } else { 20_000 };
        random.millis(500, most)
    });
    sim.sleep(span).await;
    start(&sim, id);
}

impl Process {
    /// Claims what is due in a queue, for as long as the process lives.
    async fn work(self: Arc<Self>, queue: Queue) {
        let mut wait = SHORTEST_WAIT;
        loop {
            let heard = self.sim.rung(queue);
            let limit = self.sim.draw(|random| 1 + random.below(4));
            let claim = Claim { queue, now: self.sim.clock(self.id), lease: LEASE, limit, per_lane: 8 };
            let items = self.pipeline.store.claim(claim).await.unwrap_or_default();
            wait = if items.is_empty() { (wait * 2).min(LONGEST_WAIT) } else { SHORTEST_WAIT };
            for item in items {
                self.sim.spawn(Owner::Process(self.id), Arc::clone(&self).work_on(item));
            }
            self.sim.idle(wait, heard).await;
        }
    }

    /// Takes the work that a message names, and says whether the message has done its duty.
    pub(crate) fn consume(self: Arc<Self>, key: RecordKey, done: Giver<bool>) {
        let sim = Arc::clone(&self.sim);
        sim.spawn(Owner::Process(self.id), async move {
            let take = Take { key: key.clone(), now: self.sim.clock(self.id), lease: LEASE };
            done.give(match self.pipeline.store.take(take).await {
                Ok(Taken::Work(item)) => {
                    !matches!(Arc::clone(&self).step(*item).await, Err(StoreError::Unavailable(_)))
                }
                Ok(Taken::NotBefore(due)) => {
                    messages::send(&self.sim, key, due);
                    true
                }
                Ok(Taken::Nothing) => true,
                Err(_) => false,
            });
        });
    }

    /// Announces again what should have been done by now, for as long as the process lives.
    async fn announce_overdue(self: Arc<Self>, queue: Queue) {
        loop {
            let span = self.sim.draw(|random| random.millis(60_000, 400_000));
            self.sim.sleep(span).await;
            let now = self.sim.clock(self.id);
            let waiting = self.pipeline.store.waiting(WaitingQuery { queue, after: None, limit: 500 }).await;
            for stored in waiting.unwrap_or_default() {
                if stored.record.work().is_some_and(|work| work.due + OVERDUE_AFTER <= now) {
                    messages::send(&self.sim, stored.record.key(), now);
                }
            }
        }
    }

    /// Moves an item that was claimed one step.
    async fn work_on(self: Arc<Self>, item: Stored) {
        // What came of it is in the trace, and what was not stored comes back.
        let _ = self.step(item).await;
    }

    /// Moves one item one step.
    async fn step(self: Arc<Self>, item: Stored) -> Result<(), StoreError> {
        let key = item.record.key();
        let (now, version) = (self.sim.clock(self.id), item.version);
        let (result, next) = match item.record {
            Record::Delivery(delivery) => {
                (self.pipeline.plan(*delivery, version, now).await.map(|_| ()), Queue::Dispatch)
            }
            Record::Dispatch(dispatch) => {
                let github = Arc::new(self.github.working_on(dispatch.key.clone()));
                let pipeline = Pipeline { github, ..self.pipeline.clone() };
                (pipeline.dispatch(*dispatch, version, now).await.map(|_| ()), Queue::Report)
            }
            Record::Report(report) => {
                (self.pipeline.report(&self.side, *report, version, now).await.map(|_| ()), Queue::Report)
            }
            Record::Notice(notice) => {
                (self.pipeline.show(&self.github, *notice, version, now).await.map(|_| ()), Queue::Report)
            }
            Record::Revocation(revocation) => {
                (self.pipeline.revoke(*revocation, version, now).await.map(|_| ()), Queue::Plan)
            }
            Record::Proposal(proposal) => {
                (self.pipeline.check_proposal(*proposal, version, now).await.map(|_| ()), Queue::Report)
            }
            other => panic!("nobody knows how to work on {}", other.key()),
        };
        if let Err(error @ StoreError::Illegal(_)) = &result {
            self.sim.observed().breaks(|| format!("a step of {key} cannot be stored: {error}"));
        }
        self.sim.say(|| format!("process {} did a step of {key}: {result:?}", self.id));
        self.sim.ring(next);
        // What is shown follows from nearly everything.
        self.sim.ring(Queue::Report);
        result
    }

    /// Sweeps, now and then.
    async fn sweep_now_and_then(self: Arc<Self>) {
        while self.sim.faults() {
            let span = self.sim.draw(|random| random.millis(600_000, 14_400_000));
            self.sim.sleep(span).await;
            // Like that of the schedule, or like one by hand, which tries again at once.
            let (limit, by_hand) = self.sim.draw(|random| (1 + random.below(10), random.per_mille(500)));
            let again_after = if by_hand { Duration::ZERO } else { SweepOptions::DEFAULT_AGAIN_AFTER };
            self.sweep(SweepOptions { limit, again_after, ..SweepOptions::default() }).await;
        }
    }

    async fn sweep(&self, options: SweepOptions) {
        let outcome = self.pipeline.sweep(&options, self.sim.clock(self.id)).await;
        self.sim.say(|| format!("process {} sweeps: {outcome:?}", self.id));
        self.sim.ring(Queue::Plan);
    }

    /// Looks for what never arrived, now and then.
    async fn recover(self: Arc<Self>) {
        loop {
            let span = self.sim.draw(|random| random.millis(60_000, 1_800_000));
            self.sim.sleep(span).await;
            let now = self.sim.clock(self.id);
            let outcome = self.pipeline.recover(&self.side, RecoverOptions::default(), now).await;
            self.sim.say(|| format!("process {} looked for what never arrived: {outcome:?}", self.id));
        }
    }

    /// Takes a webhook; the answer comes later, or never.
    pub(crate) fn receive(self: Arc<Self>, webhook: OutgoingWebhook, signature: String, answer: Giver<u16>) {
        let sim = Arc::clone(&self.sim);
        sim.spawn(Owner::Process(self.id), self.answer(webhook, signature, answer));
    }

    async fn answer(self: Arc<Self>, webhook: OutgoingWebhook, signature: String, answer: Giver<u16>) {
        let request = WebhookRequest {
            signature: Some(signature.as_bytes()),
            event: Some(&webhook.event),
            delivery: Some(webhook.delivery.as_str()),
            body: &webhook.body,
        };
        let result = self.pipeline.ingress(&self.secrets, request, self.sim.clock(self.id)).await;
        let what = format!("{} {}", webhook.event, webhook.action.as_deref().unwrap_or_default());
        self.sim.say(|| format!("process {} takes {what} {}: {result:?}", self.id, webhook.delivery));
        let status = match result {
            Ok(Receipt { outcome, .. }) => {
                if let ReceiptOutcome::Accepted(key) | ReceiptOutcome::Noted(key) | ReceiptOutcome::Known(key) = outcome
                {
                    self.sim.observed().accepted.insert(key);
                }
                self.sim.ring(Queue::Plan);
                202
            }
            Err(IngressError::Unauthorized) => 401,
            Err(IngressError::Header(_) | IngressError::Body(_)) => 400,
            Err(IngressError::Store(_)) => 503,
        };
        answer.give(status);
    }
}
