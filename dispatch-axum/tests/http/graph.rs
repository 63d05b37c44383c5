//! The picture of who started whom, over the database of the service.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use dispatch_axum::store::SqliteStore;
use dispatch_axum::{Service, router};
use dispatch_core::fact::{Fact, FactBody};
use dispatch_core::guardrail::Guardrails;
use dispatch_core::pipeline::Pipeline;
use dispatch_core::ports::store::Commit;
use dispatch_core::ports::{BoundedPolicyMemory, StorePort};
use dispatch_core::retry::RetryPolicy;
use dispatch_core::testing::{World, WorldGitHub};
use serde_json::{Value, json};

use crate::organisation::world;
use crate::support::{Answer, Site, TOKEN, as_admin, get, now, secrets, send};

/// A service whose database has these facts.
async fn site(facts: Vec<Fact>) -> (Router, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(directory.path().join("dispatch.sqlite")).unwrap();
    for fact in facts {
        store.commit(Commit { writes: Vec::new(), facts: vec![fact] }).await.unwrap();
    }
    let pipeline = Pipeline {
        github: Arc::new(WorldGitHub::new(Arc::new(Mutex::new(World::new(now()))))),
        store: Arc::new(store),
        policies: Arc::new(BoundedPolicyMemory::new(10)),
        guardrails: Guardrails::from_settings(&BTreeMap::new()).unwrap(),
        retry: RetryPolicy::default(),
        settle: Pipeline::DEFAULT_SETTLE,
        max_event_age: Pipeline::DEFAULT_MAX_EVENT_AGE,
    };
    (router(Service::new(pipeline, secrets()).admin_token(TOKEN.into()).clock(now)), directory)
}

/// What a run of `acme/api` leads to: one target agrees, and one does not.
fn facts() -> Vec<Fact> {
    let site = Site::with(world().0, |service| service);
    site.rehearsal.run_until_quiet().unwrap();
    site.rehearsal.store().facts()
}

async fn page(router: &Router, path: &str) -> Answer {
    send(router, as_admin(get(path))).await
}

#[tokio::test]
async fn the_picture_and_the_table_say_the_same() {
    let (router, _directory) = site(facts()).await;
    let answer = page(&router, "/admin/graph").await;
    assert_eq!(answer.status, 200);
    for expected in [
        "<svg class=\"dispatch-graph\"",
        "acme/api → acme/deploy: ci.yml → cd.yml: last used 2026-01-02",
        "<g class=\"arrow dashed\"><title>acme/api → acme/docs: ci.yml → cd.yml: last used ",
        "0 of 0 succeeded, denied 1 times; denied: missing_target_config",
        "<td data-label=\"Runs\"><div>1 started",
        "<span class=\"muted\">missing_target_config</span>",
    ] {
        assert!(answer.body.contains(expected), "{expected} is not in {}", answer.body);
    }
    assert!(!answer.body.contains("<style") && !answer.body.contains("<script"), "the content policy forbids both");
}

#[tokio::test]
async fn programs_read_the_same() {
    let mut facts = facts();
    facts.reverse();
    let (router, _directory) = site(facts).await;
    let answer = page(&router, "/admin/api/graph").await;
    let told: Value = serde_json::from_str(&answer.body).unwrap();
    let edges = told["edges"].as_array().unwrap();
    assert_eq!((edges.len(), &told["more"]), (2, &json!(false)), "{told}");
    let to = |name: &str| edges.iter().find(|edge| edge["to"]["repository"] == name).unwrap();
    let (agreed, denied) = (to("acme/deploy"), to("acme/docs"));
    assert_eq!(agreed["happened"], json!({ "event": "workflow_run", "what": "ci.yml" }));
    assert_eq!((&agreed["started"], &agreed["only_denied"]), (&json!(1), &json!(false)));
    assert_eq!((&denied["denied"], &denied["only_denied"]), (&json!(1), &json!(true)));
    assert_eq!(denied["last_outcome"], json!({ "denied": "missing_target_config" }));
}

#[tokio::test]
async fn of_very_many_edges_the_ones_that_were_used_last_are_shown() {
    let (mut many, first) = (Vec::new(), facts());
    let decided =
        |fact: &&Fact| matches!(&fact.body, FactBody::DeliveryPlanned { plan, .. } if plan.decisions.len() > 1);
    let planned = first.iter().find(decided);
    let planned = serde_json::to_value(planned.unwrap()).unwrap().to_string();
    for number in 0..502 {
        let text = planned.replace("acme/deploy", &format!("acme/d{number}")).replace("acme/docs", "acme/none");
        let mut fact: Fact = serde_json::from_str(&text).unwrap();
        fact.sequence = number + 10;
        fact.time += std::time::Duration::from_secs(number.into());
        many.push(fact);
    }
    let (router, _directory) = site(many).await;
    let answer = page(&router, "/admin/graph").await;
    assert!(answer.body.contains("These are the 500 that were used last; there are more."), "{}", answer.body);
    assert_eq!(answer.body.matches("<g class=\"arrow").count(), 500);
    assert!(answer.body.contains("<strong>acme/d501</strong>") && !answer.body.contains("<strong>acme/d1</strong>"));
}

#[tokio::test]
async fn what_was_written_by_others_is_text() {
    // No name of GitHub's has these; a page must not rely on it.
    let evil = json!({ "event": "<b>&amp;'\"\u{202e}", "what": "<script>alert(1)</script>\u{202e}" });
    let changed = facts().into_iter().map(|fact| {
        let mut fact = serde_json::to_value(fact).unwrap();
        if let Some(delivery) = fact.pointer_mut("/body/delivery").filter(|delivery| delivery.is_object()) {
            delivery["event"] = evil["event"].clone();
            delivery["word"] = evil["what"].clone();
            delivery["workflow"] = Value::Null;
        }
        if let Some(happened) = fact.pointer_mut("/happened/1") {
            *happened = evil.clone();
        }
        serde_json::from_value(fact).unwrap()
    });
    let facts: Vec<Fact> = changed.collect();
    let (router, _directory) = site(facts).await;
    let answer = page(&router, "/admin/graph").await;
    assert_eq!(answer.status, 200);
    assert!(answer.body.contains("alert(1)"), "it is shown");
    for raw in ["<b>", "<script", "\u{202e}"] {
        assert!(!answer.body.contains(raw), "{raw} is in {}", answer.body);
    }
}

#[tokio::test]
async fn nothing_yet_is_said_and_nobody_else_may_look() {
    let (router, _directory) = site(Vec::new()).await;
    assert!(page(&router, "/admin/graph").await.body.contains("There are none yet"));
    for path in ["/admin/graph", "/admin/api/graph"] {
        assert_eq!(send(&router, get(path)).await.status, 303, "{path}");
    }
}
