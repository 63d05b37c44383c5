//! The functions, as the processes that Lambda runs, on emulations of AWS and GitHub.
//!
//! The three systems are those of one machine, word for word: their scenarios are written once, beside the carrier of one
//! machine, GitHub must be asked the same, and the same facts be told.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
#![allow(unreachable_pub, reason = "modules of a test")]

#[path = "../aws/mod.rs"]
mod aws;
mod cargo_lambda;
mod carrier;
mod dashboard;
mod deployment;
mod events;
mod failures;
mod permissions;
mod runtime;
mod stage;
mod story;
mod terraform;

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
#[path = "../../../dispatch-axum/tests/systems/told.rs"]
mod told;

use std::process::Command;

use dispatch_core::ports::store::StorePort;
use dispatch_core::projection::Counter;
use dispatch_core::webhook::WebhookSecrets;
use serde_json::json;

use self::deployment::until;
use self::events::{failed, gateway_event, queue_event};
use self::stage::Stage;

#[tokio::test(flavor = "multi_thread")]
async fn a_completed_run_starts_another_and_the_dashboard_shows_the_way() {
    let stage = Stage::new().await;
    stage.completes();
    stage.starts(1).await;
    until("the read models tell of it", async || stage.counted(Counter::Triggered).await == 1).await;
    let (status, page) = stage.deployment.admin("/admin").await;
    assert_eq!(status, 200, "{page}");
    assert!(page.contains("acme/api"), "{page}");
    let (status, graph) = stage.deployment.admin("/admin/api/graph").await;
    assert_eq!(status, 200, "{graph}");
    assert!(graph.contains("acme/web"), "{graph}");
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_come_twice_late_or_damaged_do_nothing_twice_and_hold_up_no_other() {
    let mut stage = Stage::new().await;
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
async fn a_webhook_signed_with_a_secret_that_was_put_in_place_a_moment_ago_is_accepted() {
    let stage = Stage::new().await;
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
