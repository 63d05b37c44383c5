//! Functions that fail: killed, out of time, called twice at once, without what they need. Processes and signals are real,
//! messages come again and are given up by the emulation of SQS; only what takes minutes is moved in the table.

use std::time::Duration;

use dispatch_core::dispatch::DispatchState;
use dispatch_core::ports::store::Queue;
use dispatch_core::projection::Counter;
use dispatch_core::testing::world::FaultKind;

use crate::deployment::{MAXIMUM_RECEIVES, until};
use crate::events::{failed, queue_event};
use crate::permissions;
use crate::stage::Stage;

/// Longer than a lease. On AWS no message comes again before that; here they do.
const LEASE_IS_OVER: Duration = Duration::from_secs(150);
/// How long a call takes that is interrupted meanwhile, on a busy machine too.
const A_WHILE: Duration = Duration::from_secs(5);
/// How long a call takes whose end nobody waits for.
const FOR_EVER: Duration = Duration::from_secs(300);
/// How soon messages come again.
const SOON: Duration = Duration::from_secs(2);
/// The longest that SQS keeps a message back.
const QUARTER_OF_AN_HOUR: Duration = Duration::from_secs(15 * 60);

/// A stage where messages come again soon, and a run that is not listed is soon believed not to be there.
async fn quick() -> Stage {
    let stage = Stage::new().await;
    stage.deployment.set("DISPATCH_SETTLE_SECONDS", "1");
    for queue in ["requests", "targets"] {
        stage.deployment.hand_out_again_after(queue, SOON).await;
    }
    stage
}

fn takes(time: Duration) -> FaultKind {
    FaultKind::Delay { milliseconds: u64::try_from(time.as_millis()).unwrap() }
}

/// Lets a run complete whose completion starts another by a call that takes so long, and waits until that is under way.
async fn call_takes(stage: &Stage, time: Duration) {
    stage.next_call(takes(time));
    stage.completes();
    stage.it_goes_wrong().await;
}

/// Waits until it is known which run the call has started, and that it was the only call.
async fn the_run_is_found_after_one_failure(stage: &Stage) {
    until("the run is found", async || stage.counted(Counter::Triggered).await == 1).await;
    stage.starts(1).await;
    assert_eq!(stage.calls(), 1);
    assert_eq!(stage.deployment.failures(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_whose_function_was_killed_before_the_answer_came_is_looked_for_and_not_repeated() {
    let stage = quick().await;
    call_takes(&stage, A_WHILE).await;
    // It does not hear the answer any more.
    stage.deployment.function("dispatcher").freeze();
    until("GitHub does it", async || stage.started() == 1).await;
    stage.time_passes(LEASE_IS_OVER).await;
    stage.deployment.function("dispatcher").kill();
    the_run_is_found_after_one_failure(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_whose_function_was_killed_before_github_did_anything_is_made_once_more() {
    let stage = quick().await;
    call_takes(&stage, FOR_EVER).await;
    assert!(matches!(stage.dispatches().await[..], [DispatchState::Calling { .. }]));
    stage.time_passes(LEASE_IS_OVER).await;
    stage.deployment.function("dispatcher").kill();
    stage.starts(1).await;
    until("the read models tell of it", async || stage.counted(Counter::Triggered).await == 1).await;
    assert_eq!(stage.deployment.failures(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_whose_function_was_killed_is_made_by_another_process() {
    let stage = quick().await;
    stage.next_read(takes(FOR_EVER));
    stage.completes();
    stage.it_goes_wrong().await;
    stage.time_passes(LEASE_IS_OVER).await;
    stage.deployment.function("planner").kill();
    stage.starts(1).await;
    assert_eq!(stage.calls(), 1);
    assert_eq!(stage.deployment.failures(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_whose_time_is_over_is_ended_and_its_call_is_looked_for() {
    let stage = quick().await;
    let dispatcher = stage.deployment.function("dispatcher");
    dispatcher.limit(4 * A_WHILE);
    call_takes(&stage, A_WHILE).await;
    dispatcher.freeze();
    dispatcher.limit(FOR_EVER);
    until("GitHub does it", async || stage.started() == 1).await;
    stage.time_passes(LEASE_IS_OVER).await;
    the_run_is_found_after_one_failure(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_comes_twice_at_the_same_time_leads_to_one_call() {
    let mut stage = quick().await;
    for queue in ["requests", "targets"] {
        stage.deployment.hold(queue).await;
    }
    stage.next_read(takes(SOON));
    stage.next_call(takes(SOON));
    stage.completes();
    for (queue, work, function) in [("requests", Queue::Plan, "planner"), ("targets", Queue::Dispatch, "dispatcher")] {
        until("work waits", async || stage.waits(work).await == 1).await;
        let event = queue_event(&[("twice", &stage.message(work).await.to_string())]);
        // Each event that comes while another is handled has a process of its own.
        let deployment = &stage.deployment;
        let answers = tokio::join!(deployment.invoke(function, event.clone()), deployment.invoke(function, event));
        assert!(failed(&answers.0.unwrap()).is_empty() && failed(&answers.1.unwrap()).is_empty());
        stage.deployment.carry(queue);
    }
    stage.starts(1).await;
    assert_eq!(stage.calls(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_always_fails_is_a_dead_letter_and_its_work_is_done_when_it_is_moved_back() {
    let stage = Stage::new().await;
    stage.deployment.hand_out_again_after("requests", Duration::from_secs(1)).await;
    permissions::to_the_table_are_taken_from(&stage.deployment, &["planner"]).await;
    stage.completes();
    until("it is a dead letter", async || stage.deployment.messages("requests-dlq").await.ready == 1).await;
    assert_eq!(stage.deployment.messages("requests").await.all(), 0);
    assert_eq!((stage.waits(Queue::Plan).await, stage.started()), (1, 0), "the work itself is not lost");

    permissions::to_the_table_are_taken_from(&stage.deployment, &[]).await;
    stage.deployment.redrive("requests-dlq", "requests").await;
    stage.starts(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_longer_than_a_message_can_is_announced_again_until_it_is_due_and_is_no_failure() {
    let mut stage = Stage::new().await;
    let hour = FaultKind::RateLimited { retry_after: Some(60 * 60), reset_in: None, secondary: true };
    stage.next_call(hour);
    stage.completes();
    stage.it_goes_wrong().await;
    until("nothing is left to do now", async || {
        let messages = stage.deployment.messages("targets").await;
        messages.kept_back > 0 && messages.all() == messages.kept_back
    })
    .await;
    stage.deployment.hold("targets").await;
    let message = stage.message(Queue::Dispatch).await.to_string();
    let before = stage.deployment.messages("targets").await.kept_back;

    // More often than a message may fail.
    for times in 1..=1 + MAXIMUM_RECEIVES {
        let answer = stage.deployment.invoke("dispatcher", queue_event(&[("early", &message)])).await.unwrap();
        assert!(failed(&answer).is_empty(), "{answer}");
        assert_eq!(stage.deployment.messages("targets").await.kept_back, before + times, "it is kept back once more");
    }
    let asked = permissions::asked_by(&stage.deployment).await;
    let delays = asked.iter().filter(|it| it.function == "dispatcher" && it.action == "sqs:SendMessage");
    let longest = delays.filter_map(|it| it.how["DelaySeconds"][0].as_u64()).max();
    assert_eq!(longest, Some(QUARTER_OF_AN_HOUR.as_secs()), "SQS takes no more");
    assert_eq!((stage.calls(), stage.started()), (1, 0), "nothing is asked before its time");

    stage.time_passes(Duration::from_secs(60 * 60)).await;
    // The process that met the limit keeps it for itself.
    stage.deployment.function("dispatcher").end();
    stage.deployment.invoke("dispatcher", queue_event(&[("due", &message)])).await.unwrap();
    assert_eq!((stage.calls(), stage.started()), (2, 1));
}
