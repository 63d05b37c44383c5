//! Two repositories that agree, and everything that it takes to carry an event from one to the other.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use dispatch_core::Timestamp;
use dispatch_core::decide::{Plan, Verdict};
use dispatch_core::fact::FactBody;
use dispatch_core::guardrail::Guardrails;
use dispatch_core::name::{DeliveryId, Repository, RunId};
use dispatch_core::pipeline::{
    IngressError, Pipeline, ProposalChecked, Receipt, ReceiptOutcome, Shown, WebhookRequest,
};
use dispatch_core::ports::BoundedPolicyMemory;
use dispatch_core::ports::store::{
    Claim, Commit, Queue, Record, RecordKey, StoreError, StorePort, Stored, Take, Taken, ViewQuery, WaitingQuery, Write,
};
use dispatch_core::projection::ViewRow;
use dispatch_core::retry::RetryPolicy;
use dispatch_core::testing::world::{Fault, FaultKind, OutgoingWebhook, RepositoryOptions, RunSpec};
use dispatch_core::testing::{MemoryStore, World, WorldGitHub};
use dispatch_core::webhook::WebhookSecrets;
use futures_util::FutureExt;

pub(crate) const LEASE: Duration = Duration::from_secs(60);
pub(crate) const DISPATCHES: &str = "/repos/*/*/actions/workflows/*/dispatches";
pub(crate) const CONTENTS: &str = "/repos/*/*/contents/**";
pub(crate) const TOKENS: &str = "/app/installations/*/access_tokens";

pub(crate) const OUTBOUND: &str = "\
outbound:
  - source:
      workflow: ci.yml
    targets:
      - repository: web
        workflow: cd.yml
        inputs:
          sha: '{{ source.sha }}'
";
pub(crate) const INBOUND: &str = "\
inbound:
  - source:
      repository: api
      workflow: ci.yml
    targets:
      - workflow: cd.yml
        accept_inputs: [sha]
";

/// The service and the world around it.
pub(crate) struct House {
    pub(crate) world: Arc<Mutex<World>>,
    pub(crate) store: Arc<FragileStore>,
    pub(crate) pipeline: Pipeline,
    pub(crate) secrets: WebhookSecrets,
}

pub(crate) fn api() -> Repository {
    "octo-org/api".parse().unwrap()
}

pub(crate) fn web() -> Repository {
    "octo-org/web".parse().unwrap()
}

impl House {
    /// `api` starts `cd.yml` of `web` when its `ci.yml` succeeds, and `web` agrees. No webhook was delivered yet.
    pub(crate) fn new() -> Self {
        let mut world = World::new("2026-01-01T00:00:00Z".parse().unwrap());
        for (repository, workflow, policy) in [(api(), "ci.yml", OUTBOUND), (web(), "cd.yml", INBOUND)] {
            world.add_repository(&repository, RepositoryOptions::default()).unwrap();
            let on = "on:\n  workflow_dispatch:\n    inputs:\n      sha: {}\njobs: {}\n";
            world.write_file(&repository, "main", &format!(".github/workflows/{workflow}"), on).unwrap();
            world.write_file(&repository, "main", "dispatching.yml", policy).unwrap();
        }
        let world = Arc::new(Mutex::new(world));
        let store = Arc::new(FragileStore::default());
        let settings = [("OWNER_ALLOWLIST".to_owned(), "octo-org".to_owned())].into();
        let pipeline = Pipeline {
            github: Arc::new(WorldGitHub::new(Arc::clone(&world))),
            store: Arc::clone(&store) as Arc<dyn StorePort>,
            policies: Arc::new(BoundedPolicyMemory::new(100)),
            guardrails: Guardrails::from_settings(&settings).unwrap().with_app_login("dispatch[bot]".parse().unwrap()),
            retry: RetryPolicy::default(),
            settle: Pipeline::DEFAULT_SETTLE,
            max_event_age: Pipeline::DEFAULT_MAX_EVENT_AGE,
        };
        Self { world, store, pipeline, secrets: "a secret".parse().unwrap() }
    }

    /// The same, and the pushes so far were delivered.
    pub(crate) fn settled() -> Self {
        let house = Self::new();
        house.deliver();
        house.world().take_requests();
        house
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.world().now()
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.world().advance(by);
    }

    pub(crate) fn order(&self, method: &str, path: &str, kind: FaultKind) {
        self.world().faults.push(Fault::once(method, path, kind).unwrap());
    }

    pub(crate) fn order_times(&self, method: &str, path: &str, kind: FaultKind, times: u32) {
        self.world().faults.push(Fault::once(method, path, kind).unwrap().times(times));
    }

    pub(crate) fn write(&self, repository: &Repository, path: &str, text: &str) {
        self.world().write_file(repository, "main", path, text).unwrap();
    }

    /// A run of `ci.yml` of `api` succeeds on `main`.
    pub(crate) fn complete_run(&self) -> RunId {
        self.world().complete_run(&api(), RunSpec::new("ci.yml", "main")).unwrap()
    }

    pub(crate) fn receive(&self, webhook: &OutgoingWebhook) -> Result<Receipt, IngressError> {
        let signature = self.secrets.sign(&webhook.body);
        let request = WebhookRequest {
            signature: Some(signature.as_bytes()),
            event: Some(&webhook.event),
            delivery: Some(webhook.delivery.as_str()),
            body: &webhook.body,
        };
        self.pipeline.ingress(&self.secrets, request, self.now()).now_or_never().unwrap()
    }

    /// Delivers the webhooks that the world has sent.
    pub(crate) fn deliver(&self) -> Vec<ReceiptOutcome> {
        let webhooks = self.world().take_webhooks();
        webhooks.iter().map(|webhook| self.receive(webhook).unwrap().outcome).collect()
    }

    /// Takes what is due in a queue, in the way of a worker.
    pub(crate) fn claim(&self, queue: Queue) -> Vec<Stored> {
        let claim = Claim { queue, now: self.now(), lease: LEASE, limit: 100, per_lane: 100 };
        self.store.claim(claim).now_or_never().unwrap().unwrap()
    }

    /// Moves one item one step.
    pub(crate) fn step(&self, item: Stored) -> Result<(), StoreError> {
        self.step_at(item, self.now())
    }

    /// Moves one item one step, at what its worker's clock says.
    pub(crate) fn step_at(&self, item: Stored, now: Timestamp) -> Result<(), StoreError> {
        match item.record {
            Record::Delivery(delivery) => {
                self.pipeline.plan(*delivery, item.version, now).now_or_never().unwrap().map(|_| ())
            }
            Record::Dispatch(dispatch) => {
                self.pipeline.dispatch(*dispatch, item.version, now).now_or_never().unwrap().map(|_| ())
            }
            Record::Revocation(revocation) => {
                self.pipeline.revoke(*revocation, item.version, now).now_or_never().unwrap().map(|_| ())
            }
            other => panic!("no work: {other:?}"),
        }
    }

    /// Works on everything that is due now.
    pub(crate) fn work(&self) {
        for queue in [Queue::Plan, Queue::Dispatch] {
            self.claim(queue).into_iter().for_each(|item| self.step(item).unwrap());
        }
    }

    /// Looks at every policy file that is proposed, and answers with what became of each. Notices that are due
    /// come back when their lease ends.
    pub(crate) fn check_proposals(&self) -> Vec<ProposalChecked> {
        let proposals = self.claim(Queue::Report).into_iter().filter_map(|item| match item.record {
            Record::Proposal(proposal) => Some((*proposal, item.version)),
            _ => None,
        });
        let check =
            |(proposal, version)| self.pipeline.check_proposal(proposal, version, self.now()).now_or_never().unwrap();
        proposals.map(|item| check(item).unwrap()).collect()
    }

    /// Shows every notice that is due now, and answers with what became of each.
    pub(crate) fn show(&self) -> Vec<Shown> {
        let port = WorldGitHub::new(Arc::clone(&self.world));
        let notices = self.claim(Queue::Report).into_iter().filter_map(|item| match item.record {
            Record::Notice(notice) => Some((*notice, item.version)),
            _ => None,
        });
        let show = |(notice, version)| self.pipeline.show(&port, notice, version, self.now()).now_or_never().unwrap();
        notices.map(|item| show(item).unwrap()).collect()
    }

    /// A run succeeds, its webhook is delivered, and what is due is done.
    pub(crate) fn run(&self) -> RunId {
        let run = self.complete_run();
        self.deliver();
        self.work();
        run
    }

    /// The runs that were dispatched since the last call, as `repository workflow`.
    pub(crate) fn started(&self) -> Vec<String> {
        let dispatches = self.world().take_dispatches();
        dispatches.iter().map(|dispatch| format!("{} {}", dispatch.repository, dispatch.workflow)).collect()
    }

    /// GitHub requests since the last call, without those for tokens, as `METHOD path status`.
    pub(crate) fn requests(&self) -> Vec<String> {
        let requests = self.world().take_requests();
        let shown = requests.iter().filter(|request| !request.is_about_credentials());
        shown
            .map(|request| {
                let status = request.status.map_or("cut".to_owned(), |status| status.to_string());
                format!("{} {} {status}", request.method, request.path)
            })
            .collect()
    }

    /// What happened to deliveries of runs and their dispatches, one line for each fact.
    pub(crate) fn story(&self) -> String {
        let mut story = String::new();
        for fact in self.store.inner.facts() {
            let line = match fact.body {
                FactBody::DeliveryReceived { .. } => "received".to_owned(),
                FactBody::DeliveryNoted { .. } => continue,
                FactBody::DeliveryPlanned { plan, already_claimed, .. } => {
                    let claimed = already_claimed.iter().map(|key| format!(", {} claimed already", key.target.start));
                    format!("planned: {}{}", shown(&plan), claimed.collect::<String>())
                }
                FactBody::DeliveryPutBack { until, error, .. } => format!("plan put back until {until}: {error}"),
                FactBody::DeliveryParked { error, .. } => format!("parked: {error}"),
                FactBody::DeliveryReopened { .. } => "reopened".to_owned(),
                FactBody::DispatchTriggered { run } => format!("triggered, run known: {}", run.is_some()),
                FactBody::DispatchRunFound { .. } => "its run was found".to_owned(),
                FactBody::DispatchUnknown { error } => format!("unknown: {error}"),
                FactBody::DispatchPutBack { until, error } => format!("dispatch put back until {until}: {error}"),
                FactBody::DispatchRefused { message, .. } => format!("refused: {message}"),
                FactBody::DispatchInDoubt { error } => format!("in doubt: {error}"),
                FactBody::DispatchCancelled { reason, message } => format!("cancelled: {reason}: {message}"),
                FactBody::DispatchFailed { error } => format!("failed: {error}"),
                other => format!("{other:?}"),
            };
            writeln!(story, "{line}").unwrap();
        }
        story
    }

    /// The last line of the story.
    pub(crate) fn end_of_story(&self) -> String {
        self.story().lines().last().unwrap_or_default().to_owned()
    }

    /// Fails if something was started that the test did not look at.
    pub(crate) fn finish(&self) {
        self.world().finish().unwrap();
    }
}

fn shown(plan: &Plan) -> String {
    let skipped = plan.skipped.iter().map(|skipped| format!("skipped {}", skipped.reason));
    let decided = plan.decisions.iter().map(|decision| match &decision.verdict {
        Verdict::Allowed(_) => format!("{} {} allowed", decision.target.repository, decision.target.start),
        Verdict::Denied(denied) => {
            format!("{} {} denied {}", decision.target.repository, decision.target.start, denied.reason)
        }
    });
    skipped.chain(decided).collect::<Vec<_>>().join(", ")
}

/// A store that fails when it is told to: what a crash between two steps looks like from the inside.
#[derive(Default)]
pub(crate) struct FragileStore {
    pub(crate) inner: MemoryStore,
    /// How many commits still work, plus one; 0: all of them.
    failing: AtomicUsize,
    /// The most bytes that a fact may have; 0: any number.
    largest: AtomicUsize,
    /// What somebody else writes just before.
    rivals: Mutex<VecDeque<Rival>>,
}

struct Rival {
    key: RecordKey,
    /// How many commits that write this record are let through first.
    commits: usize,
    change: Box<dyn FnOnce(Option<Record>) -> Record + Send>,
}

impl FragileStore {
    /// After this many more commits, one fails.
    pub(crate) fn fail_after(&self, commits: usize) {
        self.failing.store(commits + 1, Ordering::Relaxed);
    }

    /// Facts with more bytes than that are more than it takes, as some stores have such a limit.
    pub(crate) fn takes_at_most(&self, bytes: usize) {
        self.largest.store(bytes, Ordering::Relaxed);
    }

    /// Somebody else writes this record just before the next commit that writes one of its key. Several queue up.
    pub(crate) fn beat(&self, record: Record) {
        self.beat_after(0, record.key(), move |_| record);
    }

    /// Somebody else changes this record after so many commits that write it, just before the next one that does.
    pub(crate) fn beat_after(
        &self,
        commits: usize,
        key: RecordKey,
        change: impl FnOnce(Option<Record>) -> Record + Send + 'static,
    ) {
        self.rivals.lock().unwrap().push_back(Rival { key, commits, change: Box::new(change) });
    }

    /// What the next commit is beaten by.
    fn rival_of(&self, commit: &Commit) -> Option<Rival> {
        let mut rivals = self.rivals.lock().unwrap();
        let rival = rivals.front_mut().filter(|rival| commit.writes.iter().any(|it| it.record.key() == rival.key))?;
        if rival.commits > 0 {
            rival.commits -= 1;
            return None;
        }
        rivals.pop_front()
    }
}

#[async_trait]
impl StorePort for FragileStore {
    async fn commit(&self, commit: Commit) -> Result<(), StoreError> {
        let left = self.failing.load(Ordering::Relaxed);
        if left > 0 {
            self.failing.store(left - 1, Ordering::Relaxed);
            if left == 1 {
                return Err(StoreError::Unavailable("ordered by the test".to_owned()));
            }
        }
        let largest = self.largest.load(Ordering::Relaxed);
        if largest > 0 && commit.facts.iter().any(|fact| serde_json::to_vec(fact).unwrap().len() > largest) {
            return Err(StoreError::Illegal("a fact is too large".to_owned()));
        }
        if let Some(rival) = self.rival_of(&commit) {
            let stored = self.inner.load(&[rival.key]).await?.remove(0);
            let expected = stored.as_ref().map(|stored| stored.version);
            let write = Write { record: (rival.change)(stored.map(|stored| stored.record)), expected };
            self.inner.commit(Commit { writes: vec![write], facts: Vec::new() }).await?;
        }
        self.inner.commit(commit).await
    }

    async fn load(&self, keys: &[RecordKey]) -> Result<Vec<Option<Stored>>, StoreError> {
        self.inner.load(keys).await
    }

    async fn claim(&self, claim: Claim) -> Result<Vec<Stored>, StoreError> {
        self.inner.claim(claim).await
    }

    async fn take(&self, take: Take) -> Result<Taken, StoreError> {
        self.inner.take(take).await
    }

    async fn waiting(&self, query: WaitingQuery) -> Result<Vec<Stored>, StoreError> {
        self.inner.waiting(query).await
    }

    async fn deliveries(&self, id: &DeliveryId) -> Result<Vec<Stored>, StoreError> {
        self.inner.deliveries(id).await
    }

    async fn retire(&self, before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        self.inner.retire(before, limit).await
    }

    async fn rows(&self, query: ViewQuery) -> Result<Vec<ViewRow>, StoreError> {
        self.inner.rows(query).await
    }

    async fn counters(&self, names: &[String]) -> Result<Vec<u64>, StoreError> {
        self.inner.counters(names).await
    }
}
