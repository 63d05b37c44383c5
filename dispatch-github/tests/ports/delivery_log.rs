//! The App's log of deliveries.

use dispatch_core::ports::delivery_log::DeliveryAttempt;
use dispatch_core::testing::world::{FaultKind, RunSpec, World};

use crate::{Attempts, Ports, all, app, fault, limited, told};

pub(crate) async fn ask(port: &dyn Ports, pages: usize) -> String {
    let mut lines = Vec::new();
    let mut cursor: Option<String> = None;
    let mut last = None;
    for _ in 0..pages {
        let page = match port.attempts(cursor.as_deref()).await {
            Ok(page) => page,
            Err(error) => return told::<()>(Err(error)),
        };
        let failed = page.attempts.iter().filter(|attempt| !attempt.succeeded).count();
        lines.push(format!("{} attempts, {failed} failed, more: {}", page.attempts.len(), page.next.is_some()));
        last = page.attempts.into_iter().last().or(last);
        cursor = page.next;
    }
    let id = last.as_ref().map_or(1, |attempt| attempt.id);
    if let Some(DeliveryAttempt { succeeded, status, event, action, repository, .. }) = last {
        let repository = repository.is_some();
        lines.push(format!("the last: {succeeded} {status} {event} {action:?}, of a repository: {repository}"));
    }
    lines.push(format!("again: {}", told(port.redeliver(id).await)));
    lines.join("; ")
}

#[tokio::test]
async fn the_log_of_deliveries() {
    let told = all(&[
        ("none", |_| (), Attempts(1)),
        ("success", |w| delivered(w, 1, Some(202)), Attempts(1)),
        ("a failure", |w| delivered(w, 1, Some(503)), Attempts(1)),
        ("a redirect, which nobody follows", |w| delivered(w, 1, Some(302)), Attempts(1)),
        ("no answer", |w| delivered(w, 1, None), Attempts(1)),
        ("a whole page", |w| delivered(w, 100, Some(202)), Attempts(1)),
        ("two pages and a bit", |w| delivered(w, 201, Some(500)), Attempts(3)),
        ("server error", |w| fault(w, FaultKind::status(502)), Attempts(1)),
        ("rate limit", |w| fault(w, limited(Some(7), None, true)), Attempts(1)),
        ("cut", |w| fault(w, FaultKind::CutBefore), Attempts(1)),
        ("server error when it is ordered", ordering_fails, Attempts(1)),
    ])
    .await;
    insta::assert_snapshot!(told, @r#"
    none: 0 attempts, 0 failed, more: false; again: GitHub refused (404): Not Found, 0 started
    success: 1 attempts, 0 failed, more: false; the last: true OK workflow_run Some("completed"), of a repository: true; again: (), 0 started
    a failure: 1 attempts, 1 failed, more: false; the last: false Invalid HTTP Response: 503 workflow_run Some("completed"), of a repository: true; again: (), 0 started
    a redirect, which nobody follows: 1 attempts, 1 failed, more: false; the last: false Invalid HTTP Response: 302 workflow_run Some("completed"), of a repository: true; again: (), 0 started
    no answer: 1 attempts, 1 failed, more: false; the last: false timed out workflow_run Some("completed"), of a repository: true; again: (), 0 started
    a whole page: 100 attempts, 0 failed, more: false; the last: true OK workflow_run Some("completed"), of a repository: true; again: (), 0 started
    two pages and a bit: 100 attempts, 100 failed, more: true; 100 attempts, 100 failed, more: true; 1 attempts, 1 failed, more: false; the last: false Invalid HTTP Response: 500 workflow_run Some("completed"), of a repository: true; again: (), 0 started
    server error: unavailable, 0 started
    rate limit: rate-limited: After(7s), 0 started
    cut: unavailable, 0 started
    server error when it is ordered: 1 attempts, 1 failed, more: false; the last: false Invalid HTTP Response: 500 workflow_run Some("completed"), of a repository: true; again: in doubt, 0 started
    "#);
}

fn delivered(world: &mut World, times: usize, status: Option<u16>) {
    world.complete_run(&app(), RunSpec::new("ci.yml", "main")).unwrap();
    let webhook = world.take_webhooks().remove(0);
    for _ in 0..times {
        world.record_delivery(webhook.clone(), status, "timed out", 0.1);
    }
}

fn ordering_fails(world: &mut World) {
    delivered(world, 1, Some(500));
    fault(world, FaultKind::status(502));
    world.faults.retain(|fault| fault.method.as_deref() == Some("POST"));
}
