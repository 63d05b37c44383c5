//! The endpoints under `/_emulator`: every example of their documentation, and who may not use them.

use dispatch_core::event::EventKind;
use dispatch_core::webhook::{Webhook, WebhookSecrets, parse};
use serde_json::{Value, json};

use crate::http::{Receiver, emulator, send, token};

async fn post(emulator: &dispatch_github::emulator::Emulator, path: &str, body: &Value) -> (u16, Value) {
    let got = send(emulator, "POST", path, &[], Some(body)).await.unwrap();
    (got.status, got.json())
}

async fn get(emulator: &dispatch_github::emulator::Emulator, path: &str) -> Value {
    send(emulator, "GET", path, &[], None).await.unwrap().json()
}

#[tokio::test]
async fn a_run_completes_and_its_signed_webhook_is_answered() {
    let emulator = emulator().await;
    let mut receiver = Receiver::start(202).await;
    emulator.set_webhook_url(&receiver.url);
    let order = json!({ "workflow_run":
        { "repository": "octo-org/api", "workflow": "ci.yml", "branch": "main", "conclusion": "success" } });
    let (status, answer) = post(&emulator, "/_emulator/events", &order).await;
    assert_eq!((status, &answer["status"]), (200, &json!(202)));
    let arrived = receiver.next().await;
    assert_eq!(answer["delivery"], arrived.header("x-github-delivery"));
    assert_eq!(arrived.header("x-github-event"), "workflow_run");
    assert_eq!(arrived.header("x-github-hook-installation-target-type"), "integration");
    let secrets: WebhookSecrets = emulator.webhook_secret().parse().unwrap();
    let signature = arrived.header("x-hub-signature-256");
    assert_eq!(secrets.verify(Some(signature.as_bytes()), &arrived.body), Ok(0));
    let Webhook::Event(event) = parse("workflow_run", &arrived.body).unwrap() else { panic!("ignored") };
    let EventKind::WorkflowRun(run) = event.kind else { panic!("not a run") };
    assert_eq!(json!(run.id), answer["run"]);
    assert_eq!(get(&emulator, "/_emulator/runs").await[0]["id"], answer["run"]);

    let again = json!({ "redeliver": { "delivery": answer["delivery"] } });
    assert_eq!(post(&emulator, "/_emulator/events", &again).await.1["status"], 202);
    let second = receiver.next().await;
    assert_eq!(second.header("x-github-delivery"), arrived.header("x-github-delivery"));
    assert_eq!(second.body, arrived.body);
    let log: Vec<bool> = emulator.world().deliveries().map(|record| record.webhook.redelivery).collect();
    assert_eq!(log, [true, false], "newest first");
}

#[tokio::test]
async fn files_are_pushed_and_any_bytes_are_sent() {
    let emulator = emulator().await;
    let mut receiver = Receiver::start(401).await;
    emulator.set_webhook_url(&receiver.url);
    let push = json!({ "push": { "repository": "octo-org/api", "branch": "main",
        "files": { "dispatching.yml": "outbound: []\n", "README.md": null } } });
    assert_eq!(post(&emulator, "/_emulator/events", &push).await.1["status"], 401);
    let arrived = receiver.next().await;
    let Webhook::Event(event) = parse("push", &arrived.body).unwrap() else { panic!("ignored") };
    assert!(matches!(event.kind, EventKind::Push(push) if push.touches_policy));

    let raw = json!({ "raw": { "event": "workflow_run", "body": "{}", "delivery": "1", "signature": "sha256=00" } });
    assert_eq!(
        post(&emulator, "/_emulator/events", &raw).await.1,
        json!({ "delivery": "1", "status": 401, "run": null })
    );
    let arrived = receiver.next().await;
    assert_eq!((arrived.header("x-hub-signature-256"), &arrived.body[..]), ("sha256=00", &b"{}"[..]));
}

#[tokio::test]
async fn an_order_that_cannot_be_carried_out_says_why() {
    let emulator = emulator().await;
    let run = |workflow| json!({ "workflow_run": { "repository": "octo-org/api", "workflow": workflow } });
    let (status, answer) = post(&emulator, "/_emulator/events", &run("none.yml")).await;
    assert_eq!((status, answer["message"].as_str()), (422, Some("there is no workflow `none.yml`")));
    assert_eq!(post(&emulator, "/_emulator/events", &json!({ "earthquake": {} })).await.0, 400);
    assert_eq!(post(&emulator, "/_emulator/faults", &json!({ "kind": "cut_before" })).await.0, 400);
    let (status, answer) = post(&emulator, "/_emulator/events", &run("ci.yml")).await;
    assert_eq!((status, &answer["delivery"], &answer["status"]), (200, &Value::Null, &Value::Null), "no webhook URL");
}

#[tokio::test]
async fn faults_are_ordered_and_requests_are_listed() {
    let emulator = emulator().await;
    let token = token(&emulator, "octo-org/api", json!({ "contents": "read" })).await;
    let kinds = [
        json!({ "status": { "status": 502, "body": "<html>", "headers": { "retry-after": "5" } } }),
        json!({ "delay": { "milliseconds": 1 } }),
        json!("cut_before"),
        json!("cut_after"),
        json!({ "rate_limited": { "retry_after": 30, "reset_in": 90, "secondary": true } }),
    ];
    for kind in kinds {
        let order = json!({ "method": "GET", "path": "/repos/*/*/contents/**", "kind": kind });
        assert_eq!(post(&emulator, "/_emulator/faults", &order).await.0, 201, "{order}");
    }
    let bearer = format!("Bearer {token}");
    let mut seen = Vec::new();
    for _ in 0..6 {
        let path = "/repos/octo-org/api/contents/dispatching.yml";
        let got = send(&emulator, "GET", path, &[("authorization", &bearer)], None).await;
        seen.push(got.map(|got| got.status).ok());
    }
    assert_eq!(seen, [Some(502), Some(200), None, None, Some(429), Some(200)]);
    let requests = get(&emulator, "/_emulator/requests").await;
    let statuses: Vec<&Value> = requests.as_array().unwrap().iter().skip(2).map(|request| &request["status"]).collect();
    assert_eq!(json!(statuses), json!([502, 200, null, null, 429, 200]));
    let last = requests.as_array().unwrap().last().unwrap();
    assert_eq!(last["repositories"], json!(["octo-org/api"]));
    assert_eq!(last["permissions"], json!({ "contents": "read", "metadata": "read" }));
    assert_eq!((&last["query"], &last["body"]), (&Value::Null, &Value::Null));
    let made = &requests[1];
    assert!(made["body"].as_str().unwrap().contains(r#""permissions":{"contents":"read"}"#), "{made}");
}

#[tokio::test]
async fn a_page_from_elsewhere_has_no_way_in() {
    let emulator = emulator().await;
    let own = emulator.api_url();
    let cases = [
        (("origin", own.as_str()), 200),
        (("origin", "https://evil.example"), 403),
        (("origin", "null"), 403),
        (("host", "evil.example"), 403),
        (("host", "localhost"), 200),
    ];
    for (header, expected) in cases {
        let got = send(&emulator, "GET", "/_emulator/requests", &[header], None).await.unwrap();
        assert_eq!(got.status, expected, "{header:?}");
    }
}
