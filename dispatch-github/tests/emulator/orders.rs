//! What people do, ordered by `POST /_emulator/events`: what is answered, and which webhooks arrive.

use dispatch_core::testing::world::Effect;
use dispatch_github::emulator::Emulator;
use serde_json::{Value, json};

use crate::http::{Receiver, call, emulator, repository, send, token};

async fn order(emulator: &Emulator, order: Value) -> Value {
    let got = send(emulator, "POST", "/_emulator/events", &[], Some(&order)).await.unwrap();
    assert_eq!(got.status, 200, "{order}: {}", got.json());
    got.json()
}

async fn refused(emulator: &Emulator, order: Value) -> (u16, String) {
    let got = send(emulator, "POST", "/_emulator/events", &[], Some(&order)).await.unwrap();
    (got.status, got.message())
}

/// The event and the action of each webhook that arrives, so many of them.
async fn arrived(receiver: &mut Receiver, count: usize) -> Vec<String> {
    let mut events = Vec::new();
    for _ in 0..count {
        let webhook = receiver.next().await;
        let body: Value = serde_json::from_slice(&webhook.body).unwrap();
        events.push(format!("{} {}", webhook.header("x-github-event"), body["action"].as_str().unwrap_or("-")));
    }
    events
}

#[tokio::test]
async fn people_work_on_a_pull_request() {
    let emulator = emulator().await;
    let mut receiver = Receiver::start(202).await;
    emulator.set_webhook_url(&receiver.url);
    let api = "octo-org/api";
    let opened = order(&emulator, json!({ "open_pull_request": { "repository": api } })).await;
    assert_eq!((&opened["number"], &opened["status"], &opened["run"]), (&json!(1), &json!(202), &Value::Null));
    let last = json!({ "repository": api, "number": 1 });
    let with = |more: Value| {
        let mut order = last.clone();
        order.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        order
    };
    for body in [
        json!({ "push_to_pull_request": with(json!({ "author": "hubot" })) }),
        json!({ "label_pull_request": with(json!({ "label": "keep" })) }),
        json!({ "unlabel_pull_request": with(json!({ "label": "keep" })) }),
        json!({ "set_draft": with(json!({ "draft": true })) }),
        json!({ "push": { "repository": api, "branch": "dev", "files": { "dev.md": "dev" } } }),
        json!({ "retarget_pull_request": with(json!({ "base": "dev" })) }),
        json!({ "close_pull_request": last }),
        json!({ "reopen_pull_request": last }),
        json!({ "close_pull_request": with(json!({ "merged": true })) }),
    ] {
        let answer = order(&emulator, body.clone()).await;
        assert_eq!(answer["status"], 202, "{body}");
    }
    let expected = [
        ["push -", "pull_request opened"].as_slice(),
        &["push -", "pull_request synchronize"],
        &["pull_request labeled", "pull_request unlabeled", "pull_request converted_to_draft"],
        &["push -", "pull_request edited"],
        &["pull_request closed", "pull_request reopened"],
        &["push -", "pull_request closed"],
    ]
    .concat();
    assert_eq!(arrived(&mut receiver, expected.len()).await, expected, "and nothing is lost on the way");
    let fork = json!({ "open_pull_request": { "repository": api, "author": "stranger", "fork": "stranger/api" } });
    assert_eq!(order(&emulator, fork).await["number"], 2);
    assert_eq!(arrived(&mut receiver, 1).await, ["pull_request opened"]);
    let none = json!({ "close_pull_request": { "repository": api, "number": 7 } });
    assert_eq!(refused(&emulator, none).await, (422, "`octo-org/api` has no pull request 7".to_owned()));
    let unknown = json!({ "close_pull_request": { "repository": api, "number": 1, "squash": true } });
    assert_eq!(refused(&emulator, unknown).await.0, 400);
}

#[tokio::test]
async fn people_comment_and_what_they_may_do_is_read() {
    let emulator = emulator().await;
    let mut receiver = Receiver::start(202).await;
    emulator.set_webhook_url(&receiver.url);
    let api = "octo-org/api";
    order(&emulator, json!({ "open_issue": { "repository": api, "title": "It is broken" } })).await;
    let made = json!({ "comment": { "repository": api, "number": 1, "login": "hubot", "body": "/deploy" } });
    let comment = order(&emulator, made).await["comment"].clone();
    order(&emulator, json!({ "edit_comment": { "repository": api, "comment": comment, "body": "/destroy" } })).await;
    let bots = json!({ "repository": api, "number": 1, "login": "renovate[bot]", "body": "hello", "app": "renovate" });
    order(&emulator, json!({ "comment": bots })).await;
    let comments = send(&emulator, "GET", "/_emulator/comments", &[], None).await.unwrap().json();
    assert_eq!((&comments[0]["id"], &comments[0]["body"]), (&comment, &json!("/destroy")));
    assert_eq!(comments[1]["performed_via_github_app"]["slug"], "renovate");
    order(&emulator, json!({ "delete_comment": { "repository": api, "comment": comment } })).await;
    let told = ["created", "edited", "created", "deleted"].map(|action| format!("issue_comment {action}"));
    assert_eq!(arrived(&mut receiver, 4).await, told);

    let permission = json!({ "set_permission": { "repository": api, "login": "hubot", "role": "maintain" } });
    assert_eq!(order(&emulator, permission).await["delivery"], Value::Null, "no webhook tells it");
    let member =
        json!({ "add_team_member": { "organisation": "octo-org", "team": "ops", "login": "hubot", "role": "member" } });
    order(&emulator, member).await;
    let reads = token(&emulator, api, json!({ "metadata": "read" })).await;
    let path = "/repos/octo-org/api/collaborators/hubot/permission";
    let got = call(&emulator, &reads, "GET", path, None).await.json();
    assert_eq!(
        (&got["permission"], &got["role_name"], &got["user"]["type"]),
        (&json!("write"), &json!("maintain"), &json!("User"))
    );
    let team = "/orgs/octo-org/teams/ops/memberships/hubot";
    let blind = call(&emulator, &reads, "GET", team, None).await;
    assert_eq!((blind.status, blind.header("x-accepted-github-permissions")), (403, "members=read"));
    let mut permissions = emulator.world().app().permissions.clone();
    permissions.insert("members".to_owned(), dispatch_core::testing::world::Access::Read);
    emulator.world().set_permissions(&"octo-org".parse().unwrap(), permissions).unwrap();
    let reads = token(&emulator, api, json!({ "members": "read" })).await;
    let got = call(&emulator, &reads, "GET", team, None).await.json();
    assert_eq!((&got["state"], &got["role"]), (&json!("active"), &json!("member")));
    let nobody = call(&emulator, &reads, "GET", "/orgs/octo-org/teams/ops/memberships/octocat", None).await;
    assert_eq!(nobody.status, 404);
}

#[tokio::test]
async fn an_event_starts_a_run_that_people_end_and_its_check_is_asked_for_again() {
    let options = dispatch_github::emulator::EmulatorOptions { pace: None, ..Default::default() };
    let emulator = Emulator::start(crate::http::world(), options).await.unwrap();
    let mut receiver = Receiver::start(202).await;
    emulator.set_webhook_url(&receiver.url);
    let api = repository("octo-org/api");
    let listens = "on: { repository_dispatch: { types: [deploy] } }\njobs: {}\n";
    let path = ".github/workflows/on.yml";
    order(&emulator, json!({ "push": { "repository": api, "files": { path: listens } } })).await;
    let writes = token(&emulator, "octo-org/api", json!({ "contents": "write", "checks": "write" })).await;
    let body = json!({ "event_type": "deploy", "client_payload": { "pr": "7", "merged": true } });
    let made = call(&emulator, &writes, "POST", "/repos/octo-org/api/dispatches", Some(&body)).await;
    assert_eq!(made.status, 204);
    let runs = send(&emulator, "GET", "/_emulator/runs", &[], None).await.unwrap().json();
    let told = (&runs[0]["workflow"], &runs[0]["event"], &runs[0]["title"]);
    assert_eq!(told, (&json!("on.yml"), &json!("repository_dispatch"), &json!("deploy")));
    let ended = order(&emulator, json!({ "finish_run": { "run": runs[0]["id"], "conclusion": "failure" } })).await;
    assert_eq!(ended["run"], runs[0]["id"]);
    let effects = send(&emulator, "GET", "/_emulator/effects", &[], None).await.unwrap().json();
    let payload = &effects[0]["repository_dispatch"]["client_payload"];
    assert_eq!(payload, &json!({ "pr": "7", "merged": true }));

    let head = emulator.world().branch_head(&api, "main").unwrap();
    let body = json!({ "name": "dispatch", "head_sha": head });
    let check = call(&emulator, &writes, "POST", "/repos/octo-org/api/check-runs", Some(&body)).await.json();
    let again = json!({ "repository": api, "check_run": check["id"], "login": "hubot" });
    order(&emulator, json!({ "rerequest_check": again })).await;
    let shown = send(&emulator, "GET", "/_emulator/check_runs", &[], None).await.unwrap().json();
    assert_eq!((&shown[0]["id"], &shown[0]["status"]), (&check["id"], &json!("queued")));
    let disabled = json!({ "repository": api, "workflow": "on.yml", "state": "disabled_manually" });
    order(&emulator, json!({ "set_workflow_state": disabled })).await;
    let expected = [
        "push -",
        "repository_dispatch deploy",
        "workflow_run requested",
        "workflow_run completed",
        "check_run rerequested",
    ];
    assert_eq!(arrived(&mut receiver, expected.len()).await, expected);
    assert!(matches!(
        emulator.world().take_effects()[..],
        [Effect::RepositoryDispatch { .. }, Effect::CheckRun { .. }]
    ));
}
