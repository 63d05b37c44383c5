//! GitHub's way to the service: webhooks that are lost, late, doubled and out of order, and forgeries between them.

use std::sync::Arc;
use std::time::Duration;

use dispatch_core::testing::world::OutgoingWebhook;
use dispatch_core::webhook::WebhookSecrets;

use crate::reply::reply;
use crate::sabotage::Sabotage;
use crate::sim::{Owner, PROCESSES, Sim};

/// How long GitHub waits for an answer ("Best practices for using webhooks").
const TIME_OUT: Duration = Duration::from_secs(10);

/// Sends the webhooks that the world has made.
pub(crate) fn send(sim: &Arc<Sim>) {
    let webhooks = sim.world().take_webhooks();
    for webhook in webhooks {
        sim.observed().under_way += 1;
        sim.spawn(Owner::Outside, deliver(Arc::clone(sim), webhook));
    }
}

async fn deliver(sim: Arc<Sim>, mut webhook: OutgoingWebhook) {
    if sim.sabotage == Some(Sabotage::EditsAreCommands) && webhook.event == "issue_comment" {
        let text = String::from_utf8(webhook.body.clone()).unwrap();
        webhook.body = text.replace("\"action\":\"edited\"", "\"action\":\"created\"").into_bytes();
    }
    let late = sim.goes_wrong(sim.weather.webhook_late);
    let span = sim.draw(|random| match random.below(20) {
        0 if late => random.millis(3_600_000, 100_000_000),
        _ if late => random.millis(1_000, 900_000),
        _ => random.millis(0, 1_500),
    });
    sim.sleep(span).await;
    if sim.goes_wrong(sim.weather.webhook_twice / 3) {
        forge(&sim, &webhook).await;
    }
    let times = if sim.goes_wrong(sim.weather.webhook_twice) { 2 } else { 1 };
    for _ in 0..times {
        let status = attempt(&sim, &webhook).await;
        sim.say(|| format!("GitHub delivered {} {}: {status:?}", about(&webhook), webhook.delivery));
        // What failed comes again when the service asks for it, and not before.
        sim.world().record_delivery(webhook.clone(), status, "timed out", 0.1);
        let span = sim.draw(|random| random.millis(0, 60_000));
        sim.sleep(span).await;
    }
    sim.observed().under_way -= 1;
}

/// What a webhook is about, for the trace.
fn about(webhook: &OutgoingWebhook) -> String {
    let body: serde_json::Value = serde_json::from_slice(&webhook.body).unwrap();
    let action = webhook.action.as_deref().unwrap_or_default();
    format!("{} {action} {}", webhook.event, body["workflow_run"]["id"])
}

/// One attempt; None where nobody answered.
async fn attempt(sim: &Arc<Sim>, webhook: &OutgoingWebhook) -> Option<u16> {
    // While the secret is changed, GitHub signs with either.
    let secret = sim.draw(|random| *random.pick(&["the new secret", "the old secret"]));
    let secrets: WebhookSecrets = secret.parse().unwrap();
    let signature = secrets.sign(&webhook.body);
    if sim.goes_wrong(sim.weather.webhook_lost) {
        return None;
    }
    let first = sim.draw(|random| random.below(PROCESSES));
    let process = (0..PROCESSES).find_map(|other| sim.process((first + other) % PROCESSES))?;
    let (giver, receiver) = reply();
    process.receive(webhook.clone(), signature, giver);
    let answer = receiver.within(sim.sleep(TIME_OUT)).await;
    if sim.goes_wrong(sim.weather.webhook_lost) { None } else { answer }
}

/// Somebody who does not know the secret, and somebody who has seen a signed body.
async fn forge(sim: &Arc<Sim>, webhook: &OutgoingWebhook) {
    let secrets: WebhookSecrets = SIGNED_BY_A_STRANGER.parse().unwrap();
    let process = sim.draw(|random| random.below(PROCESSES));
    let Some(process) = sim.process(process) else { return };
    let (giver, receiver) = reply();
    process.receive(webhook.clone(), secrets.sign(&webhook.body), giver);
    if let Some(status) = receiver.within(sim.sleep(TIME_OUT)).await
        && status != 401
    {
        sim.observed().breaks(|| format!("a forged webhook was answered with {status}"));
    }
    // The same signed body under another id is another delivery, of the same event.
    let delivery = format!("{}-replayed", webhook.delivery).parse().unwrap();
    attempt(sim, &OutgoingWebhook { delivery, ..webhook.clone() }).await;
}

const SIGNED_BY_A_STRANGER: &str = "not the secret";
