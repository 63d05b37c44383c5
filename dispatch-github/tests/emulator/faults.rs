//! What goes wrong when it is ordered, over real sockets.

use std::time::{Duration, Instant};

use dispatch_core::testing::world::{Fault, FaultKind};
use dispatch_github::emulator::Emulator;
use serde_json::json;

use crate::http::{Got, emulator, send, token};

const PATH: &str = "/repos/octo-org/web/actions/workflows/cd.yml/dispatches";

/// One dispatch after the order for something to go wrong; how it ended, and how many runs there are.
async fn dispatch(kind: FaultKind) -> (Emulator, Option<Got>, usize) {
    let emulator = emulator().await;
    let token = token(&emulator, "octo-org/web", json!({ "actions": "write" })).await;
    emulator.world().faults.push(Fault::once("POST", "/repos/**/dispatches", kind).unwrap());
    let bearer = format!("Bearer {token}");
    let body = json!({ "ref": "main", "inputs": { "git_sha": "abc" } });
    let got = send(&emulator, "POST", PATH, &[("authorization", &bearer)], Some(&body)).await.ok();
    let runs = emulator.world().runs().count();
    (emulator, got, runs)
}

#[tokio::test]
async fn a_cut_before_the_effect_leaves_nothing() {
    let (emulator, got, runs) = dispatch(FaultKind::CutBefore).await;
    assert!(got.is_none(), "{got:?}");
    assert_eq!(runs, 0);
    assert_eq!(emulator.world().requests().last().unwrap().status, None);
}

#[tokio::test]
async fn a_cut_after_the_effect_leaves_the_run() {
    let (_emulator, got, runs) = dispatch(FaultKind::CutAfter).await;
    assert!(got.is_none(), "{got:?}");
    assert_eq!(runs, 1);
}

#[tokio::test]
async fn a_status_takes_the_place_of_the_effect() {
    let headers = [("x-odd".to_owned(), "1".to_owned())].into();
    let kind = FaultKind::Status { status: 502, body: Some("<html>".to_owned()), headers };
    let (_emulator, got, runs) = dispatch(kind).await;
    let got = got.unwrap();
    assert_eq!((got.status, &got.body[..], got.header("x-odd")), (502, &b"<html>"[..], "1"));
    assert_eq!(runs, 0);
}

#[tokio::test]
async fn a_rate_limit_tells_when_it_ends() {
    let kind = FaultKind::RateLimited { retry_after: Some(7), reset_in: None, secondary: true };
    let (_emulator, got, runs) = dispatch(kind).await;
    let got = got.unwrap();
    assert_eq!((got.status, got.header("retry-after")), (429, "7"));
    assert!(got.message().starts_with("You have exceeded a secondary rate limit."));
    assert_eq!(runs, 0);
    let kind = FaultKind::RateLimited { retry_after: None, reset_in: Some(60), secondary: false };
    let (_emulator, got, _) = dispatch(kind).await;
    let got = got.unwrap();
    assert_eq!((got.status, got.header("x-ratelimit-remaining")), (403, "0"));
    assert!(got.header("x-ratelimit-reset").parse::<i64>().unwrap() >= jiff::Timestamp::now().as_second() + 50);
}

#[tokio::test]
async fn a_delay_holds_up_the_answer_alone() {
    let started = Instant::now();
    let (_emulator, got, runs) = dispatch(FaultKind::Delay { milliseconds: 200 }).await;
    assert_eq!((got.unwrap().status, runs), (204, 1));
    assert!(started.elapsed() >= Duration::from_millis(200));
}
