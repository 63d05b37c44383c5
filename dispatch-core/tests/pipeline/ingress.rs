//! What is accepted, what is refused, and what is written.

use dispatch_core::name::DeliveryId;
use dispatch_core::pipeline::{IngressError, ReceiptOutcome, WebhookRequest};
use dispatch_core::ports::store::Record;
use dispatch_core::testing::world::FaultKind;
use dispatch_core::webhook::WebhookError;
use futures_util::FutureExt;

use crate::house::{CONTENTS, House, OUTBOUND, api};

fn records(house: &House) -> usize {
    house.store.inner.records().len()
}

#[test]
fn a_wrong_signature_is_unauthorized_whatever_else_is_wrong_and_writes_nothing() {
    let house = House::new();
    let signed = house.secrets.sign(b"{}");
    let other: dispatch_core::webhook::WebhookSecrets = "another secret".parse().unwrap();
    let forged = other.sign(b"{}");
    type Case<'a> = (&'a str, Option<&'a [u8]>, Option<&'a str>, Option<&'a str>, &'a [u8]);
    let cases: [Case<'_>; 6] = [
        ("no signature", None, Some("workflow_run"), Some("1"), b"{}"),
        ("no signature, no headers, no JSON", None, None, None, b"\xff\xfe"),
        ("another secret's signature", Some(forged.as_bytes()), Some("workflow_run"), Some("1"), b"{}"),
        ("the signature of another body", Some(signed.as_bytes()), Some("workflow_run"), Some("1"), b"{} "),
        ("half a signature", Some(&signed.as_bytes()[..40]), Some("push"), Some("1"), b"{}"),
        ("not even text", Some(b"\xff\xff"), None, Some("1"), b"{}"),
    ];
    for (name, signature, event, delivery, body) in cases {
        let request = WebhookRequest { signature, event, delivery, body };
        let answer = house.pipeline.ingress(&house.secrets, request, house.now()).now_or_never().unwrap();
        assert_eq!(answer, Err(IngressError::Unauthorized), "{name}");
    }
    assert_eq!(records(&house), 0);
}

#[test]
fn a_signed_request_that_says_nothing_readable_is_refused_and_writes_nothing() {
    let house = House::new();
    let send = |event, delivery, body: &[u8]| {
        let signature = house.secrets.sign(body);
        let request = WebhookRequest { signature: Some(signature.as_bytes()), event, delivery, body };
        house.pipeline.ingress(&house.secrets, request, house.now()).now_or_never().unwrap()
    };
    assert_eq!(send(None, Some("1"), b"{}"), Err(IngressError::Header("X-GitHub-Event")));
    assert_eq!(send(Some(""), Some("1"), b"{}"), Err(IngressError::Header("X-GitHub-Event")));
    assert_eq!(send(Some("push"), None, b"{}"), Err(IngressError::Header("X-GitHub-Delivery")));
    assert_eq!(send(Some("push"), Some("no/guid"), b"{}"), Err(IngressError::Header("X-GitHub-Delivery")));
    assert_eq!(send(Some("push"), Some("1"), b"\xff"), Err(IngressError::Body(WebhookError::NotUtf8)));
    for body in ["", "not JSON", "[]", "{"] {
        let answer = send(Some("workflow_run"), Some("1"), body.as_bytes());
        assert!(matches!(answer, Err(IngressError::Body(WebhookError::Malformed { .. }))), "{body}: {answer:?}");
    }
    assert_eq!(records(&house), 0);
}

#[test]
fn an_event_that_means_nothing_here_is_answered_and_not_written() {
    let house = House::new();
    let body = br#"{"action": "starred"}"#;
    let signature = house.secrets.sign(body);
    let request =
        WebhookRequest { signature: Some(signature.as_bytes()), event: Some("star"), delivery: Some("1"), body };
    let receipt = house.pipeline.ingress(&house.secrets, request, house.now()).now_or_never().unwrap().unwrap();
    assert!(matches!(receipt.outcome, ReceiptOutcome::Ignored { event, .. } if event == "star"));
    assert_eq!(records(&house), 0);
}

#[test]
fn a_delivery_that_is_known_is_done_once() {
    let house = House::settled();
    house.complete_run();
    let webhook = house.world().take_webhooks().remove(0);
    let first = house.receive(&webhook).unwrap().outcome;
    assert!(matches!(first, ReceiptOutcome::Accepted(_)), "{first:?}");
    for _ in 0..2 {
        let again = house.receive(&webhook).unwrap().outcome;
        assert!(matches!(again, ReceiptOutcome::Known(_)), "{again:?}");
        house.work();
    }
    assert_eq!(house.started(), ["octo-org/web cd.yml"]);
}

#[test]
fn another_body_under_a_known_delivery_id_is_another_delivery() {
    let house = House::settled();
    house.complete_run();
    house.complete_run();
    let webhooks = house.world().take_webhooks();
    let mut second = webhooks[1].clone();
    second.delivery = webhooks[0].delivery.clone();
    house.receive(&webhooks[0]).unwrap();
    let outcome = house.receive(&second).unwrap().outcome;
    assert!(matches!(outcome, ReceiptOutcome::Accepted(_)), "{outcome:?}");
    house.work();
    assert_eq!(house.started().len(), 2, "neither hides the other");
}

#[test]
fn a_push_is_noted_with_its_head_also_when_the_head_is_known() {
    let house = House::new();
    let webhook = house.world().take_webhooks().into_iter().find(|webhook| webhook.event == "push").unwrap();
    let mut repeated = webhook.clone();
    repeated.delivery = "another-delivery".parse::<DeliveryId>().unwrap();
    for webhook in [webhook, repeated] {
        let outcome = house.receive(&webhook).unwrap().outcome;
        assert!(matches!(outcome, ReceiptOutcome::Noted(_)), "{outcome:?}");
    }
    let heads = house.store.inner.records().iter().filter(|record| matches!(record, Record::Head(..))).count();
    assert_eq!((heads, records(&house)), (1, 3));
}

#[test]
fn a_delivery_that_was_given_up_is_taken_up_again_when_it_is_delivered_again() {
    let house = House::settled();
    house.order("GET", CONTENTS, FaultKind::status(403));
    house.complete_run();
    let webhook = house.world().take_webhooks().remove(0);
    house.receive(&webhook).unwrap();
    house.work();
    assert!(house.end_of_story().starts_with("parked"), "{}", house.story());
    let again = house.receive(&webhook).unwrap().outcome;
    assert!(matches!(again, ReceiptOutcome::Accepted(_)), "{again:?}");
    house.work();
    assert_eq!(house.started(), ["octo-org/web cd.yml"]);
}

#[test]
fn a_failing_store_accepts_nothing() {
    let house = House::settled();
    house.write(&api(), "dispatching.yml", OUTBOUND);
    house.complete_run();
    let webhook = house.world().take_webhooks().pop().unwrap();
    house.store.fail_after(0);
    assert!(matches!(house.receive(&webhook), Err(IngressError::Store(_))));
    assert!(matches!(house.receive(&webhook).unwrap().outcome, ReceiptOutcome::Accepted(_)), "it can be sent again");
}
