//! All that the functions do, one thing after the other, so that in the end it can be said what each of them asks of AWS.

use std::time::Duration;

use dispatch_core::Timestamp;
use dispatch_core::ports::store::Queue;
use dispatch_core::projection::Counter;
use dispatch_core::testing::world::FaultKind;
use serde_json::json;

use crate::dashboard::{Browser, every_page_opens};
use crate::deployment::until;
use crate::permissions;
use crate::stage::{Stage, completed};

const HOUR: Duration = Duration::from_secs(60 * 60);

#[tokio::test(flavor = "multi_thread")]
async fn each_function_asks_for_all_that_its_role_allows_for_nothing_else_and_reads_by_key() {
    let mut stage = Stage::new().await;
    a_run_starts_another(&stage).await;
    a_webhook_that_comes_again_is_known(&stage).await;
    what_cannot_be_read_for_now_is_decided_about_later(&stage).await;
    a_call_that_was_refused_is_retried_or_dropped_by_a_button(&stage).await;
    an_event_that_is_too_old_is_decided_about_when_somebody_wants_it(&stage).await;
    work_whose_messages_were_lost_is_announced_again(&mut stage).await;
    a_webhook_that_never_arrived_is_asked_for_again(&stage).await;
    environments_are_swept(&stage).await;
    what_waits_is_cancelled_when_the_app_is_suspended(&mut stage).await;
    every_page_opens(&stage).await;
    assert_eq!(stage.deployment.failures(), 0, "no function failed");
    permissions::are_exact(&stage.deployment).await;
    reads_go_by_key(&stage).await;
}

async fn a_run_starts_another(stage: &Stage) {
    stage.completes();
    stage.starts(1).await;
    until("the read models tell of it", async || stage.counted(Counter::Triggered).await == 1).await;
}

async fn a_webhook_that_comes_again_is_known(stage: &Stage) {
    let received = stage.counted(Counter::Received).await;
    let webhook = stage.newest_webhook("workflow_run");
    assert_eq!(stage.delivers(&webhook).await, 202);
    stage.starts(1).await;
    assert_eq!(stage.counted(Counter::Received).await, received);
}

async fn what_cannot_be_read_for_now_is_decided_about_later(stage: &Stage) {
    let limit = FaultKind::RateLimited { retry_after: Some(1), reset_in: None, secondary: true };
    stage.next_read(limit);
    stage.completes();
    stage.it_goes_wrong().await;
    stage.starts(2).await;
}

async fn a_call_that_was_refused_is_retried_or_dropped_by_a_button(stage: &Stage) {
    let mut browser = Browser::inside(&stage.deployment).await;
    for (action, runs) in [("retry", 3), ("drop", 3)] {
        stage.next_call(FaultKind::status(422));
        stage.completes();
        until("it is parked", async || stage.parked().await.len() == 1).await;
        let row = stage.parked().await.remove(0).sort;
        let pressed = browser.submits("/admin/parked", &[("row", &row), ("action", action)]).await;
        assert_eq!((pressed.status, pressed.location.as_str()), (303, "parked"), "{}", pressed.page);
        stage.starts(runs).await;
        until("it is not parked any more", async || stage.parked().await.is_empty()).await;
    }
}

async fn an_event_that_is_too_old_is_decided_about_when_somebody_wants_it(stage: &Stage) {
    let (runs, earlier) = (stage.started(), Timestamp::now() - 100 * HOUR);
    assert_eq!(stage.delivers(&completed(earlier)).await, 202);
    until("it is parked", async || stage.parked().await.len() == 1).await;
    let row = stage.parked().await.remove(0).sort;
    let mut browser = Browser::inside(&stage.deployment).await;
    assert_eq!(browser.submits("/admin/parked", &[("row", &row), ("action", "retry")]).await.status, 303);
    stage.starts(runs + 1).await;
}

/// First the message for `planner` is lost, then the one for `dispatcher`.
async fn work_whose_messages_were_lost_is_announced_again(stage: &mut Stage) {
    let runs = stage.started();
    for queue in ["requests", "targets"] {
        stage.deployment.hold(queue).await;
    }
    stage.completes();
    for (queue, work) in [("requests", Queue::Plan), ("targets", Queue::Dispatch)] {
        until("work waits", async || stage.waits(work).await == 1).await;
        let (deployment, message) = (&stage.deployment, stage.message(work).await);
        let is_taken = async || deployment.take_messages(queue).await.contains(&message);
        let overdue = async || deployment.invoke("schedule", json!({ "chore": "overdue" })).await.unwrap();
        until("its message is lost", is_taken).await;
        overdue().await;
        assert!(!is_taken().await, "it is not overdue yet");
        stage.time_passes(HOUR).await;
        overdue().await;
        assert!(is_taken().await, "it is announced again");
        overdue().await;
        stage.deployment.carry(queue);
    }
    stage.starts(runs + 1).await;
}

async fn a_webhook_that_never_arrived_is_asked_for_again(stage: &Stage) {
    let runs = stage.started();
    stage.emulator.set_webhook_url("http://127.0.0.1:9/nobody");
    stage.completes();
    until("GitHub gives up", async || stage.emulator.webhooks_under_way() == 0).await;
    stage.emulator.set_webhook_url(&stage.deployment.webhook_url);
    stage.deployment.invoke("schedule", json!({ "chore": "recover" })).await.unwrap();
    stage.starts(runs + 1).await;
}

async fn environments_are_swept(stage: &Stage) {
    for chore in ["sweep", "expire"] {
        stage.deployment.invoke("schedule", json!({ "chore": chore })).await.unwrap();
    }
}

async fn what_waits_is_cancelled_when_the_app_is_suspended(stage: &mut Stage) {
    let runs = stage.started();
    stage.deployment.hold("targets").await;
    stage.completes();
    until("it is decided about", async || !stage.dispatches().await.is_empty()).await;
    stage.emulator.world().set_suspended(&"acme".parse().unwrap(), true).unwrap();
    until("it is cancelled", async || stage.dispatches().await.is_empty()).await;
    assert_eq!(stage.waits(Queue::Plan).await, 0);
    assert_eq!(stage.started(), runs);
    stage.deployment.carry("targets");
}

/// No function reads a whole table or lets DynamoDB add up: what pages show was added up when it happened.
async fn reads_go_by_key(stage: &Stage) {
    let mut queries = 0;
    for asked in permissions::asked_by(&stage.deployment).await {
        let what = format!("{}: {} on {}: {}", asked.function, asked.action, asked.resource, asked.how);
        assert_ne!(asked.action, "dynamodb:Scan", "{what}");
        assert!(asked.how["Select"].is_null(), "{what}");
        if asked.action == "dynamodb:Query" {
            let key = asked.how["KeyConditionExpression"].as_str().unwrap_or_default();
            assert!(key.starts_with("pk = ") || key.starts_with("wq = "), "{what}");
            queries += 1;
        }
    }
    assert!(queries > 0, "this shows nothing");
}
