//! The functions, as the processes that Lambda runs, on emulations of AWS and GitHub.
//!
//! The three systems are those of one machine, word for word: their scenarios are written once, beside the carrier of one
//! machine, and GitHub must be asked the same.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
#![allow(unreachable_pub, reason = "modules of a test")]

#[path = "../aws/mod.rs"]
mod aws;
mod carrier;
mod deployment;
mod permissions;
mod runtime;

#[path = "../../../dispatch-axum/tests/systems/asked.rs"]
mod asked;
#[path = "../../../dispatch-axum/tests/systems/attacks.rs"]
mod attacks;
#[path = "../../../dispatch-axum/tests/systems/command.rs"]
mod command;
#[path = "../../../dispatch-axum/tests/systems/house.rs"]
mod house;
#[path = "../../../dispatch-axum/tests/systems/limits.rs"]
mod limits;
#[path = "../../../dispatch-axum/tests/systems/policies.rs"]
mod policies;
#[path = "../../../dispatch-axum/tests/systems/preview.rs"]
mod preview;
#[path = "../../../dispatch-axum/tests/systems/proposals.rs"]
mod proposals;
#[path = "../../../dispatch-axum/tests/systems/stack.rs"]
mod stack;

use std::process::Command;
use std::sync::Arc;

use dispatch_core::Timestamp;
use dispatch_core::guardrail::Guardrails;
use dispatch_core::name::Repository;
use dispatch_core::pipeline::{Pipeline, WebhookRequest};
use dispatch_core::ports::store::{Queue, StorePort, WaitingQuery};
use dispatch_core::ports::{BoundedPolicyMemory, Offline};
use dispatch_core::projection::Counter;
use dispatch_core::retry::RetryPolicy;
use dispatch_core::testing::World;
use dispatch_core::testing::account::{STARTED, STARTS, add_agreement};
use dispatch_core::testing::world::RunSpec;
use dispatch_core::webhook::WebhookSecrets;
use dispatch_github::emulator::{Emulator, EmulatorOptions};
use serde_json::json;

use self::deployment::{Deployment, failed, gateway_event, queue_event, until};

fn repository(name: &str) -> Repository {
    name.parse().unwrap()
}

/// `acme/api`, whose runs start a run of `acme/web`.
fn agreed() -> World {
    let mut world = World::new(Timestamp::now());
    add_agreement(&mut world, &repository("acme/api"), &[repository("acme/web")]).unwrap();
    world
}

/// A deployment, and the GitHub that it is for.
struct Stage {
    deployment: Deployment,
    emulator: Emulator,
}

impl Stage {
    async fn of(world: World) -> Self {
        let options = EmulatorOptions { pace: None, ..EmulatorOptions::default() };
        let emulator = Emulator::start(world, options).await.unwrap();
        Self { deployment: Deployment::beside(&emulator).await, emulator }
    }

    /// Lets a run complete whose completion starts another.
    fn completes(&self) {
        self.emulator.world().complete_run(&repository("acme/api"), RunSpec::new(STARTS, "main")).unwrap();
    }

    /// How many runs were started.
    fn started(&self) -> usize {
        self.emulator.world().runs().filter(|run| run.workflow == STARTED).count()
    }

    async fn counted(&self, counter: Counter) -> u64 {
        self.deployment.table.store().counters(&[counter.to_string()]).await.unwrap()[0]
    }

    /// What waits in a queue of the store.
    async fn waits(&self, queue: Queue) -> usize {
        self.deployment.table.store().waiting(WaitingQuery { queue, after: None, limit: 10 }).await.unwrap().len()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_completed_run_starts_another_and_the_dashboard_shows_the_way() {
    let stage = Stage::of(agreed()).await;
    stage.completes();
    until("the run is started", async || stage.started() == 1).await;
    until("the read models tell of it", async || stage.counted(Counter::Triggered).await == 1).await;
    until("nothing is left to do", async || stage.waits(Queue::Plan).await + stage.waits(Queue::Dispatch).await == 0)
        .await;
    assert_eq!(stage.started(), 1, "and no second time");
    let (status, page) = stage.deployment.admin("/admin").await;
    assert_eq!(status, 200, "{page}");
    assert!(page.contains("acme/api"), "{page}");
    let (status, graph) = stage.deployment.admin("/admin/api/graph").await;
    assert_eq!(status, 200, "{graph}");
    assert!(graph.contains("acme/web"), "{graph}");
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_come_twice_late_or_damaged_do_nothing_twice_and_hold_up_no_other() {
    let mut stage = Stage::of(agreed()).await;
    stage.completes();
    until("the run is started", async || stage.started() == 1).await;
    stage.deployment.carry_nothing().await;
    let store = stage.deployment.table.store();
    let Some(delivery) = store.rows(newest_delivery()).await.unwrap().into_iter().next() else { panic!("a delivery") };
    let key = delivery.read::<dispatch_core::projection::DeliveryRow>().unwrap().key;
    let message = json!({ "key": { "Delivery": key }, "queue": "plan" }).to_string();
    let batch = queue_event(&[("again", &message), ("damaged", "{"), ("and again", &message)]);
    let answer = stage.deployment.invoke("planner", batch).await.unwrap();
    assert_eq!(failed(&answer), ["damaged"], "{answer}");
    assert_eq!(stage.started(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn work_whose_message_was_lost_is_announced_again_when_it_is_overdue() {
    let stage = Stage::of(agreed()).await;
    // Stored five minutes ago by somebody who died before the message was sent.
    let earlier = Timestamp::now() - std::time::Duration::from_secs(300);
    let pipeline = Pipeline {
        github: Arc::new(Offline),
        store: Arc::new(stage.deployment.table.store()),
        policies: Arc::new(BoundedPolicyMemory::new(1)),
        guardrails: Guardrails::from_settings(&[("OWNER_ALLOWLIST".to_owned(), "acme".to_owned())].into()).unwrap(),
        retry: RetryPolicy::default(),
        settle: Pipeline::DEFAULT_SETTLE,
        max_event_age: Pipeline::DEFAULT_MAX_EVENT_AGE,
    };
    let webhook = {
        let mut world = agreed();
        world.take_webhooks();
        world.complete_run(&repository("acme/api"), RunSpec::new(STARTS, "main")).unwrap();
        world.take_webhooks().remove(0)
    };
    let secrets: WebhookSecrets = stage.emulator.webhook_secret().parse().unwrap();
    let signature = secrets.sign(&webhook.body);
    let request = WebhookRequest {
        signature: Some(signature.as_bytes()),
        event: Some(&webhook.event),
        delivery: Some(webhook.delivery.as_str()),
        body: &webhook.body,
    };
    pipeline.ingress(&secrets, request, earlier).await.unwrap();
    assert_eq!(stage.waits(Queue::Plan).await, 1, "nobody knows of it");
    stage.deployment.invoke("schedule", json!({ "chore": "overdue" })).await.unwrap();
    until("it is decided about", async || stage.waits(Queue::Plan).await == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_signed_with_a_secret_that_was_put_in_place_a_moment_ago_is_accepted() {
    let stage = Stage::of(agreed()).await;
    let signed_with = |secret: &str| {
        let secrets: WebhookSecrets = secret.parse().unwrap();
        let headers = json!({
            "content-type": "application/json",
            "x-github-event": "ping",
            "x-github-delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958",
            "x-hub-signature-256": secrets.sign(b"{}"),
        });
        gateway_event("POST", "/webhooks/github", &headers, Some("{}"))
    };
    let status = async |secret: &str| {
        let answer = stage.deployment.invoke("ingress", signed_with(secret)).await.unwrap();
        answer["statusCode"].as_u64().unwrap()
    };
    let newer = "another secret of thirty-two letters";
    let put = deployment::secrets().put_secret_value().secret_id(&stage.deployment.webhook_secret).secret_string(newer);
    put.send().await.unwrap();
    assert_eq!(status(newer).await, 202);
    assert_eq!(status("a secret that nobody has ever put there").await, 401);
    assert_eq!(status(newer).await, 202, "and stays in force");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_functions_ask_of_aws_is_allowed_by_their_roles() {
    let stage = Stage::of(agreed()).await;
    stage.completes();
    until("the read models tell of it", async || stage.counted(Counter::Triggered).await == 1).await;
    for page in ["/admin", "/admin/parked", "/admin/health", "/admin/graph", "/admin/environments"] {
        assert_eq!(stage.deployment.admin(page).await.0, 200, "{page}");
    }
    for chore in ["overdue", "recover", "sweep", "expire"] {
        stage.deployment.invoke("schedule", json!({ "chore": chore })).await.unwrap();
    }
    permissions::are_enough(&stage.deployment).await;
}

#[test]
fn a_function_that_does_not_exist_is_told_with_those_that_do() {
    let output = Command::new(env!("CARGO_BIN_EXE_dispatch-lambda")).arg("worker").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("ingress, planner, dispatcher, facts, admin, schedule, publisher"), "{error}");
}

fn newest_delivery() -> dispatch_core::ports::store::ViewQuery {
    use dispatch_core::projection::{DELIVERIES, EVERYTHING};
    dispatch_core::ports::store::ViewQuery {
        view: DELIVERIES,
        partition: EVERYTHING.to_owned(),
        before: None,
        limit: 1,
    }
}
