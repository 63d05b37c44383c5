//! Webhooks that do not arrive, and how they are found and delivered again.

use std::time::Duration;

use dispatch_core::ports::DeliveryLogPort;
use dispatch_core::ports::delivery_log::DeliveryAttempt;
use dispatch_core::testing::world::RunSpec;
use dispatch_github::GitHub;
use dispatch_github::emulator::Emulator;

use crate::client::client;
use crate::http::{Receiver, emulator, repository};

/// The log, when it has so many attempts.
async fn log(github: &GitHub, attempts: usize) -> Vec<DeliveryAttempt> {
    for _ in 0..200 {
        let page = github.attempts(None).await.unwrap();
        if page.attempts.len() >= attempts {
            return page.attempts;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("no {attempts} attempts in time")
}

fn complete_run(emulator: &Emulator) {
    emulator.world().complete_run(&repository("octo-org/api"), RunSpec::new("ci.yml", "main")).unwrap();
}

#[tokio::test]
async fn what_nobody_received_is_in_the_log_and_is_delivered_again_when_it_is_asked_for() {
    let emulator = emulator().await;
    let github = client(&emulator);
    // Nobody listens there any more.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    emulator.set_webhook_url(&format!("http://{}/hook", listener.local_addr().unwrap()));
    drop(listener);
    complete_run(&emulator);
    let failed = log(&github, 1).await.remove(0);
    assert!(!failed.succeeded);
    assert_eq!((failed.status.as_str(), failed.event.as_str()), ("failed to connect to host", "workflow_run"));

    let mut receiver = Receiver::start(503).await;
    emulator.set_webhook_url(&receiver.url);
    github.redeliver(failed.id).await.unwrap();
    assert_eq!(receiver.next().await.header("x-github-delivery"), failed.delivery.as_str(), "the same delivery");
    let refused = log(&github, 2).await.remove(0);
    assert_eq!((refused.succeeded, refused.status.as_str()), (false, "Invalid HTTP Response: 503"));
    assert_eq!((refused.delivery, refused.id > failed.id), (failed.delivery.clone(), true));

    let mut receiver = Receiver::start(202).await;
    emulator.set_webhook_url(&receiver.url);
    github.redeliver(failed.id).await.unwrap();
    assert_eq!(receiver.next().await.header("x-github-delivery"), failed.delivery.as_str());
    let arrived = log(&github, 3).await.remove(0);
    assert_eq!((arrived.succeeded, arrived.delivery), (true, failed.delivery));
}
