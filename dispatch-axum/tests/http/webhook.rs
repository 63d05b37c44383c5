//! "Bad input, what it gets", line by line.

use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::http::{HeaderValue, Request};
use dispatch_core::ports::store::{Queue, Record};

use crate::support::{ID, Site, get, push, secrets, webhook, with_header};

fn without(mut request: Request<Body>, header: &str) -> Request<Body> {
    request.headers_mut().remove(header);
    request
}

#[tokio::test]
async fn a_signature_that_is_missing_malformed_or_wrong_is_401_whatever_else_is_wrong() {
    let wrong = format!("sha256={}", "0".repeat(64));
    let other = secrets().sign(b"another body");
    for (name, request) in [
        ("missing", without(webhook("push", push("main")), "x-hub-signature-256")),
        ("empty", with_header(webhook("push", push("main")), "x-hub-signature-256", "")),
        ("malformed", with_header(webhook("push", push("main")), "x-hub-signature-256", "sha256=xyz")),
        ("not hexadecimal", with_header(webhook("push", push("main")), "x-hub-signature-256", &"sha256=é".repeat(8))),
        ("wrong", with_header(webhook("push", push("main")), "x-hub-signature-256", &wrong)),
        ("of another body", with_header(webhook("push", push("main")), "x-hub-signature-256", &other)),
        ("wrong, not JSON", with_header(webhook("push", "{"), "x-hub-signature-256", &wrong)),
        (
            "wrong, a form",
            with_header(
                with_header(webhook("push", "a=b"), "content-type", "text/plain"),
                "x-hub-signature-256",
                &wrong,
            ),
        ),
        (
            "wrong, without event",
            with_header(without(webhook("push", push("main")), "x-github-event"), "x-hub-signature-256", &wrong),
        ),
        (
            "wrong, without delivery",
            with_header(without(webhook("push", push("main")), "x-github-delivery"), "x-hub-signature-256", &wrong),
        ),
    ] {
        let site = Site::new();
        let answer = site.send(request).await;
        assert_eq!(answer.line(), r#"401 {"error":"the signature is missing or wrong"}"#, "{name}");
        assert_eq!((site.kept(), site.woken()), (0, Vec::new()), "{name}");
    }
}

#[tokio::test]
async fn with_a_good_signature_what_else_is_wrong_is_400_and_is_named() {
    let site = Site::new();
    let mut latin = webhook("push", push("main"));
    latin.headers_mut().insert("x-github-event", HeaderValue::from_bytes(b"push\xe9").unwrap());
    for (request, expected) in [
        (without(webhook("push", push("main")), "x-github-event"), "X-GitHub-Event"),
        (latin, "X-GitHub-Event"),
        (without(webhook("push", push("main")), "x-github-delivery"), "X-GitHub-Delivery"),
        (with_header(webhook("push", push("main")), "x-github-delivery", "a b"), "X-GitHub-Delivery"),
        (webhook("push", "{"), "push"),
        (webhook("push", ""), "push"),
        (webhook("push", "[]"), "push"),
        (webhook("push", b"\xff\xfe".to_vec()), "UTF-8"),
        (
            with_header(webhook("push", "payload=%7B%7D"), "content-type", "application/x-www-form-urlencoded"),
            "set the webhook's content type",
        ),
    ] {
        let answer = site.send(request).await;
        assert_eq!(answer.status, 400, "{expected}");
        assert_eq!(answer.header("content-type"), "application/json");
        assert!(answer.body.contains(expected), "{expected}: {}", answer.body);
    }
    assert_eq!(site.kept(), 0);
}

#[tokio::test]
async fn a_body_over_25_mib_is_413_before_it_is_read_and_before_anything_else() {
    let never = Body::from_stream(futures_util::stream::pending::<Result<Vec<u8>, std::io::Error>>());
    let announced = Request::post("/webhooks/github").header("content-length", "26214401").body(never).unwrap();
    let answer = Site::new().send(announced).await;
    assert_eq!(answer.line(), r#"413 {"error":"the body is larger than 26214400 bytes"}"#);

    let chunks = futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>(vec![b' '; 1 << 20]));
    let endless = with_header(webhook("push", ""), "x-hub-signature-256", &format!("sha256={}", "0".repeat(64)));
    let answer = Site::new().send(endless.map(|_| Body::from_stream(chunks))).await;
    assert_eq!(answer.status, 413, "one that does not say how long it is");

    let answer = Site::new().send(webhook("x", vec![b' '; dispatch_axum::MAX_BODY])).await;
    assert_eq!(answer.status, 400, "exactly 25 MiB are read");
}

#[tokio::test]
async fn an_accepted_webhook_is_202_and_done_once() {
    let site = Site::new();
    let body = serde_json::to_string(ID).unwrap();
    assert_eq!(
        site.send(webhook("push", push("main"))).await.line(),
        format!(r#"202 {{"delivery":{body},"outcome":"noted"}}"#)
    );
    assert_eq!(
        site.send(webhook("push", push("main"))).await.line(),
        format!(r#"202 {{"delivery":{body},"outcome":"known"}}"#)
    );
    assert_eq!(site.kept(), 1);
}

#[tokio::test]
async fn unknown_events_and_actions_are_202_and_ignored() {
    let site = Site::new();
    for (event, body) in [
        ("ping", r#"{"zen":"Design for failure."}"#),
        ("an_event_of_next_year", r#"{"action":"invented"}"#),
        ("workflow_run", r#"{"action":"requested"}"#),
        ("<script>", "{}"),
    ] {
        assert_eq!(site.send(webhook(event, body)).await.line(), r#"202 {"outcome":"ignored"}"#, "{event}");
    }
    assert_eq!((site.kept(), site.woken()), (0, Vec::new()));
}

#[tokio::test]
async fn a_completed_run_wakes_the_planners_after_it_is_durable() {
    let (world, _) = crate::organisation::world();
    let site = Site::with(world, |service| service);
    let webhooks = site.rehearsal.world().take_webhooks();
    for outgoing in &webhooks {
        let request = with_header(
            webhook(&outgoing.event, outgoing.body.clone()),
            "x-github-delivery",
            outgoing.delivery.as_str(),
        );
        assert_eq!(site.send(request).await.status, 202, "{}", outgoing.event);
    }
    assert!(site.woken().contains(&Queue::Plan));
    let runs = webhooks.iter().filter(|webhook| webhook.event == "workflow_run");
    assert_eq!(site.woken().len(), runs.filter(|webhook| webhook.action.as_deref() == Some("completed")).count());
}

#[tokio::test]
async fn a_store_that_fails_is_503_with_a_time_to_come_back_and_tells_nothing_of_the_store() {
    let site = Site::new();
    site.break_store();
    let answer = site.send(webhook("push", push("main"))).await;
    assert_eq!(answer.line(), r#"503 {"error":"the delivery could not be stored; deliver it again"}"#);
    assert_eq!(answer.header("retry-after"), "30");
    site.mend_store();
    assert!(site.send(webhook("push", push("main"))).await.body.contains("noted"), "nothing was kept of the first try");
}

#[tokio::test]
async fn a_panic_ends_one_request_and_the_next_one_works() {
    let site = Site::new();
    site.panic_in_store();
    assert_eq!(site.send(webhook("push", push("main"))).await.line(), r#"500 {"error":"internal error"}"#);
    site.mend_store();
    assert_eq!(site.send(webhook("push", push("main"))).await.status, 202);
}

#[tokio::test]
async fn only_post_is_taken() {
    for method in ["GET", "PUT", "DELETE", "PATCH"] {
        let mut request = get("/webhooks/github");
        *request.method_mut() = method.parse().unwrap();
        let answer = Site::new().send(request).await;
        assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, "POST"), "{method}");
    }
}

#[tokio::test]
async fn replaying_a_body_under_another_delivery_id_is_another_delivery_of_the_same_event() {
    let site = Site::new();
    site.send(webhook("push", push("main"))).await;
    let replayed = site.send(with_header(webhook("push", push("main")), "x-github-delivery", "another-id")).await;
    assert_eq!(replayed.line(), r#"202 {"delivery":"another-id","outcome":"noted"}"#);
    let events: Vec<_> = site.rehearsal.store().records().iter().filter_map(identity).collect();
    assert_eq!(events.len(), 2);
    assert_eq!(events[0], events[1], "what is done at most once is the event, whatever delivery brings it");
}

fn identity(record: &dispatch_core::ports::store::Record) -> Option<dispatch_core::event::EventIdentity> {
    match record {
        dispatch_core::ports::store::Record::Delivery(delivery) => Some(delivery.event.identity()),
        _ => None,
    }
}

#[tokio::test]
async fn putting_another_body_under_a_known_delivery_id_does_not_hide_it() {
    let site = Site::new();
    site.send(webhook("push", push("main"))).await;
    let second = site.send(webhook("push", push("release"))).await;
    assert!(second.body.contains("noted"), "{}", second.body);
    assert_eq!(site.kept(), 2);
}

#[tokio::test]
async fn health_readiness_and_version_are_for_everybody() {
    let site =
        Site::with(dispatch_core::testing::World::new(crate::support::now()), |service| service.version("1.2.3"));
    assert_eq!(site.send(get("/health")).await.line(), r#"200 {"status":"ok"}"#);
    assert_eq!(site.send(get("/ready")).await.line(), r#"200 {"status":"ready"}"#);
    assert_eq!(site.send(get("/version")).await.line(), r#"200 {"name":"dispatch","version":"1.2.3"}"#);
    site.break_store();
    assert_eq!(site.send(get("/health")).await.status, 200);
    assert_eq!(site.send(get("/ready")).await.line(), r#"503 {"status":"the store does not answer"}"#);
}

#[tokio::test]
async fn after_a_webhook_that_could_not_be_stored_readiness_is_found_out_by_writing() {
    let site = Site::new();
    site.break_writes();
    assert_eq!(site.send(get("/ready")).await.status, 200, "reads work, and nobody has tried to write");
    assert_eq!(site.send(webhook("push", push("main"))).await.status, 503);
    assert_eq!(site.send(get("/ready")).await.line(), r#"503 {"status":"the store takes no writes"}"#);
    assert_eq!(site.send(get("/health")).await.status, 200);
    site.mend_store();
    assert_eq!(site.send(get("/ready")).await.line(), r#"200 {"status":"ready"}"#);
    let probes = || site.rehearsal.store().records().iter().filter(|record| matches!(record, Record::Probe(_))).count();
    assert_eq!(probes(), 1);
    assert_eq!(site.send(webhook("push", push("main"))).await.status, 202);
    site.break_writes();
    assert_eq!(site.send(get("/ready")).await.status, 200, "it was ready, and a question about that writes nothing");
}

#[tokio::test]
async fn a_webhook_that_is_malformed_or_unsigned_says_nothing_about_the_store() {
    let site = Site::new();
    site.break_writes();
    let unsigned = with_header(webhook("push", push("main")), "x-hub-signature-256", &format!("sha256={:064}", 0));
    assert_eq!(site.send(unsigned).await.status, 401);
    assert_eq!(site.send(webhook("push", "{")).await.status, 400);
    assert_eq!(site.send(get("/ready")).await.status, 200);
    assert_eq!(site.send(webhook("push", push("main"))).await.status, 503);
    assert_eq!(site.send(webhook("push", "{")).await.status, 400);
    assert_eq!(site.send(get("/ready")).await.status, 503, "what stored nothing does not say that it works again");
}

/// What was logged while this lives.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_webhook_signed_with_a_secret_that_is_being_replaced_is_accepted_and_told_once_by_its_position() {
    let log = Log::default();
    let writer = log.clone();
    let lines = tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false).finish();
    let _logging = tracing::subscriber::set_default(lines);
    let both = ["a new secret", "the webhook secret"].join(",");
    let site = Site::with_secrets(&both);
    let told = || {
        let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        assert!(!text.contains("secret\",") && !text.contains("a new secret"), "no secret is in the log: {text}");
        text.lines().filter(|line| line.contains("WARN") && line.contains("position=2")).count()
    };
    let new: dispatch_core::webhook::WebhookSecrets = "a new secret".parse().unwrap();
    let with_the_new = with_header(webhook("push", push("main")), "x-hub-signature-256", &new.sign(&push("main")));
    assert_eq!(site.send(with_the_new).await.status, 202);
    assert_eq!(told(), 0, "the first secret is the one to use");
    for _ in 0..5 {
        assert_eq!(site.send(webhook("push", push("release"))).await.status, 202);
    }
    assert_eq!(told(), 1);
}
