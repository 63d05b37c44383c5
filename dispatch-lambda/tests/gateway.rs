//! Events in the form in which an HTTP API (payload format 2.0) sends them, through the adapter into the Router.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[path = "functions/events/gateway.rs"]
mod event;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dispatch_axum::Service;
use dispatch_core::guardrail::Guardrails;
use dispatch_core::pipeline::Pipeline;
use dispatch_core::ports::policies::BoundedPolicyMemory;
use dispatch_core::retry::RetryPolicy;
use dispatch_core::testing::world::{RepositoryOptions, RunSpec, World};
use dispatch_core::testing::{MemoryStore, WorldGitHub};
use dispatch_core::webhook::WebhookSecrets;
use lambda_http::request::LambdaRequest;
use lambda_http::{Adapter, Context, LambdaEvent, Service as _};
use serde_json::{Value, json};

use self::event::gateway_event;

const SECRET: &str = "one secret of thirty-two letters";
const TOKEN: &str = "a token of the operator";

/// A completed run of `acme/api`, as GitHub would send it.
fn completed_run() -> String {
    let mut world = World::new("2026-01-02T03:04:05Z".parse().unwrap());
    let api = "acme/api".parse().unwrap();
    world.add_repository(&api, RepositoryOptions::default()).unwrap();
    world.write_file(&api, "main", ".github/workflows/ci.yml", "name: ci\non: push\njobs: {}\n").unwrap();
    world.take_webhooks();
    world.complete_run(&api, RunSpec::new("ci.yml", "main")).unwrap();
    String::from_utf8(world.take_webhooks().remove(0).body).unwrap()
}

fn service() -> Service {
    let world = World::new("2026-01-02T03:04:05Z".parse().unwrap());
    let pipeline = Pipeline {
        github: Arc::new(WorldGitHub::new(Arc::new(Mutex::new(world)))),
        store: Arc::new(MemoryStore::default()),
        policies: Arc::new(BoundedPolicyMemory::new(10)),
        guardrails: Guardrails::from_settings(&BTreeMap::new()).unwrap(),
        retry: RetryPolicy::default(),
        settle: Pipeline::DEFAULT_SETTLE,
        max_event_age: Pipeline::DEFAULT_MAX_EVENT_AGE,
    };
    Service::new(pipeline, SECRET.parse().unwrap()).admin_token(TOKEN.into())
}

/// The answer that the gateway gets.
async fn answer(event: Value) -> Value {
    let payload: LambdaRequest = serde_json::from_value(event).unwrap();
    let mut adapter = Adapter::from(dispatch_lambda::handler(dispatch_axum::router(service())));
    let answer = adapter.call(LambdaEvent::new(payload, Context::default())).await.unwrap();
    serde_json::to_value(answer).unwrap()
}

fn webhook(body: &str, signature: &str, base64: bool) -> Value {
    let headers = json!({
        "content-type": "application/json",
        "x-github-event": "workflow_run",
        "x-github-delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958",
        "x-hub-signature-256": signature,
    });
    let sent = if base64 { STANDARD.encode(body) } else { body.to_owned() };
    let mut event = gateway_event("POST", "/webhooks/github", &headers, Some(&sent));
    event["isBase64Encoded"] = base64.into();
    event
}

#[tokio::test]
async fn a_signed_webhook_is_accepted_as_text_and_as_base64() {
    let body = completed_run();
    let signature = SECRET.parse::<WebhookSecrets>().unwrap().sign(body.as_bytes());
    for base64 in [false, true] {
        let answer = answer(webhook(&body, &signature, base64)).await;
        assert_eq!(answer["statusCode"], 202, "{answer}");
        let said: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
        assert_eq!(said["outcome"], "accepted");
    }
}

#[tokio::test]
async fn a_webhook_whose_signature_is_of_another_body_is_refused() {
    let body = completed_run();
    let signature = SECRET.parse::<WebhookSecrets>().unwrap().sign(b"another body");
    for base64 in [false, true] {
        assert_eq!(answer(webhook(&body, &signature, base64)).await["statusCode"], 401);
    }
}

#[tokio::test]
async fn health_answers_and_an_unknown_path_does_not() {
    assert_eq!(answer(gateway_event("GET", "/health", &json!({}), None)).await["statusCode"], 200);
    assert_eq!(answer(gateway_event("GET", "/nowhere", &json!({}), None)).await["statusCode"], 404);
}

#[tokio::test]
async fn whoever_logs_in_gets_a_cookie_for_https_and_is_known_by_it() {
    let headers = json!({
        "host": "dispatch.example.com",
        "origin": "https://dispatch.example.com",
        "content-type": "application/x-www-form-urlencoded",
    });
    let form = format!("token={}", TOKEN.replace(' ', "+"));
    let login = answer(gateway_event("POST", "/admin/login", &headers, Some(&form))).await;
    assert_eq!(login["statusCode"], 303, "{login}");
    let (cookie, attributes) = login["cookies"][0].as_str().unwrap().split_once("; ").unwrap();
    assert_eq!(attributes, "Max-Age=43200; HttpOnly; SameSite=Strict; Secure");
    let mut page = gateway_event("GET", "/admin", &headers, None);
    for (cookies, status) in [(json!([]), 303), (json!(["other=1", cookie]), 200)] {
        page["cookies"] = cookies;
        assert_eq!(answer(page.clone()).await["statusCode"], status);
    }
}
