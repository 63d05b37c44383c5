//! A deployment, the GitHub that it is for, and an agreement: runs of `acme/api` start a run of `acme/web`.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use dispatch_core::Timestamp;
use dispatch_core::dispatch::DispatchState;
use dispatch_core::name::Repository;
use dispatch_core::ports::store::{Queue, Record, StorePort, ViewQuery, WaitingQuery};
use dispatch_core::projection::{Counter, EVERYTHING, PARKED, ViewRow};
use dispatch_core::testing::World;
use dispatch_core::testing::account::{STARTED, STARTS, add_agreement};
use dispatch_core::testing::world::{Fault, FaultKind, OutgoingWebhook, RunSpec};
use dispatch_core::webhook::WebhookSecrets;
use dispatch_github::emulator::{Emulator, EmulatorOptions};
use serde_json::{Value, json};

use crate::deployment::{Deployment, until};
use crate::events::gateway_event;

/// The call that starts a run.
const CALL: (&str, &str) = ("POST", "/repos/*/*/actions/workflows/*/dispatches");
/// What a decision reads.
const READ: (&str, &str) = ("GET", "/repos/acme/**");

pub(crate) fn repository(name: &str) -> Repository {
    name.parse().unwrap()
}

/// `acme/api`, whose runs start a run of `acme/web`, as they are from that time on.
pub(crate) fn agreed(since: Timestamp) -> World {
    let mut world = World::new(since);
    add_agreement(&mut world, &repository("acme/api"), &[repository("acme/web")]).unwrap();
    world
}

/// The webhook of a run that completes at that time and whose completion starts another. It is the hundredth of its workflow:
/// no other one of a test.
pub(crate) fn completed(at: Timestamp) -> OutgoingWebhook {
    let mut world = agreed(at);
    for _ in 0..100 {
        world.take_webhooks();
        world.complete_run(&repository("acme/api"), RunSpec::new(STARTS, "main")).unwrap();
    }
    world.take_webhooks().remove(0)
}

pub(crate) struct Stage {
    pub(crate) deployment: Deployment,
    pub(crate) emulator: Emulator,
}

impl Stage {
    pub(crate) async fn new() -> Self {
        let options = EmulatorOptions { pace: None, ..EmulatorOptions::default() };
        let emulator = Emulator::start(agreed(Timestamp::now()), options).await.unwrap();
        Self { deployment: Deployment::beside(&emulator).await, emulator }
    }

    /// Lets a run complete whose completion starts another.
    pub(crate) fn completes(&self) {
        self.emulator.world().complete_run(&repository("acme/api"), RunSpec::new(STARTS, "main")).unwrap();
    }

    /// Lets something go wrong with the next call that would start a run.
    pub(crate) fn next_call(&self, kind: FaultKind) {
        self.next(CALL, kind);
    }

    /// Lets something go wrong with the next thing that is read from a repository.
    pub(crate) fn next_read(&self, kind: FaultKind) {
        self.next(READ, kind);
    }

    fn next(&self, (method, path): (&str, &str), kind: FaultKind) {
        self.emulator.world().faults.push(Fault::once(method, path, kind).unwrap());
    }

    /// Waits until what was to go wrong did, or has begun to.
    pub(crate) async fn it_goes_wrong(&self) {
        until("it goes wrong", async || self.emulator.world().faults.iter().all(|fault| fault.times == 0)).await;
    }

    /// How many runs were started.
    pub(crate) fn started(&self) -> usize {
        self.emulator.world().runs().filter(|run| run.workflow == STARTED).count()
    }

    /// Waits until so many runs were started, and nothing is left to do for anybody.
    pub(crate) async fn starts(&self, runs: usize) {
        until("the run is started", async || self.started() == runs).await;
        self.comes_to_rest().await;
        assert_eq!(self.started(), runs, "and no second time");
    }

    /// Waits until nothing is left to decide about, to start or to look for.
    pub(crate) async fn comes_to_rest(&self) {
        until("nothing is left to do", async || {
            let at_rest = self.waits(Queue::Plan).await + self.waits(Queue::Dispatch).await == 0;
            at_rest && self.emulator.webhooks_under_way() == 0
        })
        .await;
    }

    /// How often GitHub was asked to start a run.
    pub(crate) fn calls(&self) -> usize {
        self.emulator
            .world()
            .requests()
            .iter()
            .filter(|it| it.method == "POST" && it.path.ends_with("/dispatches"))
            .count()
    }

    pub(crate) async fn counted(&self, counter: Counter) -> u64 {
        self.deployment.table.store().counters(&[counter.to_string()]).await.unwrap()[0]
    }

    /// What waits in a queue of the store.
    pub(crate) async fn waits(&self, queue: Queue) -> usize {
        self.waiting(queue).await.len()
    }

    /// The states of the dispatches that wait.
    pub(crate) async fn dispatches(&self) -> Vec<DispatchState> {
        let state = |record| if let Record::Dispatch(dispatch) = record { Some(dispatch.state) } else { None };
        self.waiting(Queue::Dispatch).await.into_iter().filter_map(state).collect()
    }

    /// The message that announces the one thing that waits in a queue of the store.
    pub(crate) async fn message(&self, queue: Queue) -> Value {
        let waiting = self.waiting(queue).await;
        let [record] = &waiting[..] else { panic!("one thing waits: {waiting:?}") };
        json!({ "key": record.key(), "queue": queue })
    }

    async fn waiting(&self, queue: Queue) -> Vec<Record> {
        let query = WaitingQuery { queue, after: None, limit: 10 };
        let waiting = self.deployment.table.store().waiting(query).await.unwrap();
        waiting.into_iter().map(|stored| stored.record).collect()
    }

    /// What waits for the operator, as the dashboard lists it.
    pub(crate) async fn parked(&self) -> Vec<ViewRow> {
        let query = ViewQuery { view: PARKED, partition: EVERYTHING.to_owned(), before: None, limit: 10 };
        self.deployment.table.store().rows(query).await.unwrap()
    }

    /// The newest webhook of this event that GitHub delivered.
    pub(crate) fn newest_webhook(&self, event: &str) -> OutgoingWebhook {
        let world = self.emulator.world();
        world.deliveries().find(|record| record.webhook.event == event).unwrap().webhook.clone()
    }

    /// Delivers a webhook, signed; answers with the status.
    pub(crate) async fn delivers(&self, webhook: &OutgoingWebhook) -> Value {
        let secrets: WebhookSecrets = self.emulator.webhook_secret().parse().unwrap();
        let headers = json!({
            "content-type": "application/json",
            "x-github-event": webhook.event,
            "x-github-delivery": webhook.delivery.as_str(),
            "x-hub-signature-256": secrets.sign(&webhook.body),
        });
        let body = std::str::from_utf8(&webhook.body).unwrap();
        let event = gateway_event("POST", "/webhooks/github", &headers, Some(body));
        self.deployment.invoke("ingress", event).await.unwrap()["statusCode"].clone()
    }

    /// Lets time pass for what waits: it is due, or its lease ends, by so much earlier.
    pub(crate) async fn time_passes(&self, by: Duration) {
        let (by, table) = (i64::try_from(by.as_micros()).unwrap(), &self.deployment.table);
        let text = |text: &str| AttributeValue::S(text.to_owned());
        for queue in Queue::ALL {
            let waiting = table.client.query().table_name(&table.name).index_name("work");
            let waiting =
                waiting.key_condition_expression("wq = :wq").expression_attribute_values(":wq", text(queue.as_str()));
            for item in waiting.send().await.unwrap().items.unwrap() {
                let (state, time) = item["wd"].as_s().unwrap().split_once('/').unwrap();
                let earlier = format!("{state}/{:019}", time.parse::<i64>().unwrap() - by);
                let update = table.client.update_item().table_name(&table.name);
                let update = update.key("pk", item["pk"].clone()).key("sk", item["sk"].clone());
                let update =
                    update.update_expression("SET wd = :wd").expression_attribute_values(":wd", text(&earlier));
                update.send().await.unwrap();
            }
        }
    }
}
