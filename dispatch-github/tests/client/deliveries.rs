//! The App's log of deliveries.

use dispatch_core::name::RepositoryId;
use dispatch_core::ports::DeliveryLogPort;
use dispatch_core::ports::delivery_log::{AttemptPage, DeliveryAttempt};
use dispatch_core::ports::github::GitHubError;
use serde_json::{Value, json};
use wiremock::ResponseTemplate;

use crate::fake::*;

const LOG: &str = "/app/hook/deliveries";

fn attempt(status: &str, code: Value) -> Value {
    json!({
        "id": 9_007_199_254_740_993_u64, "guid": "0b989ba4-242f-11e5-81e1-c7b6966d2516",
        "delivered_at": "2026-11-20T12:00:00Z", "redelivery": false, "duration": 0.1, "status": status,
        "status_code": code, "event": "workflow_run", "action": "completed", "installation_id": 7, "repository_id": 42,
    })
}

async fn page(attempts: Value) -> Result<AttemptPage, GitHubError> {
    let fake = Fake::bare().await;
    fake.answer("GET", LOG, ok(attempts)).await;
    fake.github().attempts(None).await
}

#[tokio::test]
async fn an_attempt_is_told_as_far_as_it_matters() {
    let told = page(json!([attempt("OK", 202.into())])).await.unwrap();
    let expected = DeliveryAttempt {
        id: 9_007_199_254_740_993,
        delivery: "0b989ba4-242f-11e5-81e1-c7b6966d2516".parse().unwrap(),
        delivered_at: "2026-11-20T12:00:00Z".parse().unwrap(),
        succeeded: true,
        status: "OK".to_owned(),
        event: "workflow_run".to_owned(),
        action: Some("completed".to_owned()),
        repository: Some(RepositoryId(42)),
    };
    assert_eq!(told, AttemptPage { attempts: vec![expected], next: None });
}

#[tokio::test]
async fn only_an_answer_of_success_is_one() {
    for (status, code, succeeded) in [
        ("OK", json!(200), true),
        ("OK", json!(202), true),
        ("Invalid HTTP Response: 302", json!(302), false),
        ("Invalid HTTP Response: 503", json!(503), false),
        ("timed out", json!(0), false),
        ("failed to connect to host", Value::Null, false),
        ("OK", Value::Null, false),
        ("", json!(200), false),
    ] {
        let told = page(json!([attempt(status, code.clone())])).await.unwrap();
        assert_eq!(told.attempts[0].succeeded, succeeded, "{status} {code}");
    }
}

#[tokio::test]
async fn what_github_writes_is_bounded_and_harmless() {
    let mut hostile = attempt(&"\u{1b}".repeat(500), json!(500));
    hostile["event"] = "e".repeat(500).into();
    hostile["action"] = Value::Null;
    hostile["repository_id"] = Value::Null;
    let told = page(json!([hostile])).await.unwrap();
    let DeliveryAttempt { status, event, action, repository, .. } = &told.attempts[0];
    assert!(status.len() <= 200 && !status.contains(char::is_control), "{status}");
    assert_eq!((event.len(), action, repository), (100, &None, &None));
    for unusable in [json!({}), json!([{ "id": 1 }]), json!([{ "id": 1, "guid": "a b", "delivered_at": "now" }])] {
        assert!(matches!(page(unusable).await, Err(GitHubError::Unavailable(_))));
    }
}

#[tokio::test]
async fn pages_are_asked_for_by_their_cursor_as_the_app_and_nowhere_else() {
    let fake = Fake::bare().await;
    let next = "<http://evil.example/app/hook/deliveries?per_page=100&cursor=v1_12077215967>; rel=\"next\"";
    fake.answer_once("GET", LOG, ok(json!([])).insert_header("link", next)).await;
    fake.answer("GET", LOG, ok(json!([]))).await;
    let github = fake.github();
    let first = github.attempts(None).await.unwrap();
    assert_eq!(first.next.as_deref(), Some("v1_12077215967"));
    assert_eq!(github.attempts(first.next.as_deref()).await.unwrap().next, None);
    github.attempts(Some("a&status=success#x")).await.unwrap();
    let asked: Vec<String> =
        fake.requests("GET", LOG).await.iter().map(|r| r.url.query().unwrap().to_owned()).collect();
    assert_eq!(
        asked,
        ["per_page=100", "per_page=100&cursor=v1_12077215967", "per_page=100&cursor=a%26status%3Dsuccess%23x"]
    );
    let signed = fake.requests("GET", LOG).await[0].headers["authorization"].to_str().unwrap().to_owned();
    assert_eq!(signed.split('.').count(), 3, "a JWT");
}

#[tokio::test]
async fn another_delivery_is_asked_for_once() {
    for (answer, expected) in [
        (ResponseTemplate::new(202).set_body_json(json!({})), "ok"),
        (status(404, "Not Found"), "GitHub refused (404): Not Found"),
        (ResponseTemplate::new(502), "GitHub may or may not have done it: 502 Bad Gateway"),
    ] {
        let fake = Fake::bare().await;
        fake.answer("POST", &format!("{LOG}/17/attempts"), answer).await;
        let asked = fake.github().redeliver(17).await;
        assert_eq!(asked.map_or_else(|error| error.to_string(), |()| "ok".to_owned()), expected);
        assert_eq!(fake.log().await.len(), 1);
    }
}
