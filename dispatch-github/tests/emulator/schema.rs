//! Every answer of the emulator, against GitHub's own description of its API.

use std::collections::BTreeSet;
use std::path::Path;

use dispatch_core::testing::world::PullRequestSpec;
use serde_json::{Value, json};

use crate::http::{call, emulator, jwt, repository, token};

/// `DISPATCH_GITHUB_FACTS` is a folder with GitHub's description as JSON schemas.
fn description() -> Option<Value> {
    let Some(folder) = std::env::var_os("DISPATCH_GITHUB_FACTS") else {
        println!("skipped: DISPATCH_GITHUB_FACTS is not set, so there is no description of GitHub to check against");
        return None;
    };
    let text = std::fs::read_to_string(Path::new(&folder).join("github-rest-jsonschema.json")).unwrap();
    Some(serde_json::from_str(&text).unwrap())
}

/// Checks a body against what GitHub says about this operation and status.
fn check(description: &Value, operation: &str, status: u16, body: &Value) {
    let described = &description["operations"][operation];
    assert!(described.is_object(), "no such operation: {operation}");
    let schema = match &described["responses"][status.to_string()] {
        // A refusal that is not listed has the common shape.
        Value::Null if status >= 400 => &json!({ "$ref": "#/$defs/basic-error" }),
        Value::Null => return assert!(body.is_null(), "{operation}: {status} has no body"),
        schema => schema,
    };
    check_shape(description, schema, &format!("{operation} {status}"), body);
}

/// Checks a body against a schema of GitHub's description.
fn check_shape(description: &Value, schema: &Value, what: &str, body: &Value) {
    let mut schema = schema.clone();
    schema["$defs"] = description["$defs"].clone();
    let validator = jsonschema::draft202012::options().should_validate_formats(true).build(&schema).unwrap();
    let problems: Vec<String> =
        validator.iter_errors(body).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(problems.is_empty(), "{what}:\n{}\n{body:#}", problems.join("\n"));
}

#[tokio::test]
async fn every_answer_is_as_github_describes_it() {
    let Some(description) = description() else { return };
    let emulator = emulator().await;
    let (jwt, all) = (
        jwt(&emulator),
        json!({ "actions": "write", "checks": "write", "contents": "write",
        "issues": "write", "pull_requests": "read", "workflows": "write", "metadata": "read" }),
    );
    let token = token(&emulator, "octo-org/web", all).await;
    let (installation, delivery, sha) = {
        let mut world = emulator.world();
        let web = repository("octo-org/web");
        let run = dispatch_core::testing::world::RunSpec::new("ci.yml", "main");
        world.complete_run(&web, run).unwrap();
        let webhook = world.take_webhooks().remove(0);
        let delivery = world.record_delivery(webhook, Some(202), "", 0.02);
        (world.installation(&web).unwrap().id, delivery, world.branch_head(&web, "main").unwrap())
    };
    let mut seen = BTreeSet::new();
    let mut expect = async |operation: &str, app: bool, path: &str, body: Option<Value>, expected: u16| {
        let method = operation.split(' ').next().unwrap();
        let credential = if app { &jwt } else { &token };
        let got = call(&emulator, credential, method, path, body.as_ref()).await;
        assert_eq!(got.status, expected, "{operation} {path}: {}", got.json());
        check(&description, operation, got.status, &got.json());
        seen.insert(operation.to_owned());
        got.json()
    };

    let web = "/repos/octo-org/web";
    let mint = "POST /app/installations/{installation_id}/access_tokens";
    let tokens = format!("/app/installations/{installation}/access_tokens");
    expect(mint, true, &tokens, Some(json!({ "repositories": ["web"] })), 201).await;
    expect(mint, true, &tokens, Some(json!({ "repositories": ["none"] })), 422).await;
    expect(mint, true, "/app/installations/1/access_tokens", None, 404).await;
    expect("GET /repos/{owner}/{repo}/installation", true, &format!("{web}/installation"), None, 200).await;
    expect("GET /repos/{owner}/{repo}/installation", true, "/repos/octo-org/none/installation", None, 404).await;
    expect("GET /app/installations", true, "/app/installations", None, 200).await;
    expect("GET /app/hook/deliveries", true, "/app/hook/deliveries?per_page=1", None, 200).await;
    let attempts = format!("/app/hook/deliveries/{delivery}/attempts");
    expect("POST /app/hook/deliveries/{delivery_id}/attempts", true, &attempts, None, 202).await;
    expect("GET /rate_limit", false, "/rate_limit", None, 200).await;

    expect("GET /repos/{owner}/{repo}", false, web, None, 200).await;
    expect("GET /repos/{owner}/{repo}", false, "/repos/octo-org/api", None, 404).await;
    let contents = "GET /repos/{owner}/{repo}/contents/{path}";
    let file = expect(contents, false, &format!("{web}/contents/dispatching.yml"), None, 200).await;
    expect(contents, false, &format!("{web}/contents/.github"), None, 200).await;
    expect(contents, false, &format!("{web}/contents/none"), None, 404).await;
    let put = "PUT /repos/{owner}/{repo}/contents/{path}";
    let new = json!({ "message": "m", "content": "aGVsbG8=" });
    expect(put, false, &format!("{web}/contents/hello.txt"), Some(new.clone()), 201).await;
    let known = json!({ "message": "m", "content": "aGVsbG8=", "sha": file["sha"] });
    expect(put, false, &format!("{web}/contents/dispatching.yml"), Some(known.clone()), 200).await;
    expect(put, false, &format!("{web}/contents/dispatching.yml"), Some(new), 422).await;
    let compare = "GET /repos/{owner}/{repo}/compare/{basehead}";
    expect(compare, false, &format!("{web}/compare/{sha}...main"), None, 200).await;
    expect(compare, false, &format!("{web}/compare/refs%2Fheads%2Fmain...{sha}"), None, 200).await;
    expect(compare, false, &format!("{web}/compare/none...main"), None, 404).await;
    let permission = "GET /repos/{owner}/{repo}/collaborators/{username}/permission";
    expect(permission, false, &format!("{web}/collaborators/octocat/permission"), None, 200).await;
    expect(permission, false, &format!("{web}/collaborators/nobody-here/permission"), None, 404).await;

    expect(
        "GET /repos/{owner}/{repo}/actions/workflows/{workflow_id}",
        false,
        &format!("{web}/actions/workflows/cd.yml"),
        None,
        200,
    )
    .await;
    let start = "POST /repos/{owner}/{repo}/actions/workflows/{workflow_id}/dispatches";
    let dispatches = format!("{web}/actions/workflows/cd.yml/dispatches");
    let body = json!({ "ref": "main", "inputs": { "git_sha": "a" }, "return_run_details": true });
    let run = expect(start, false, &dispatches, Some(body), 200).await;
    expect(start, false, &dispatches, Some(json!({ "ref": "main", "inputs": { "git_sha": "a" } })), 204).await;
    expect(start, false, &dispatches, Some(json!({ "ref": "none" })), 422).await;
    expect(
        "GET /repos/{owner}/{repo}/actions/runs",
        false,
        &format!("{web}/actions/runs?event=workflow_dispatch"),
        None,
        200,
    )
    .await;
    expect(
        "GET /repos/{owner}/{repo}/actions/runs/{run_id}",
        false,
        &format!("{web}/actions/runs/{}", run["workflow_run_id"]),
        None,
        200,
    )
    .await;
    let event = "POST /repos/{owner}/{repo}/dispatches";
    expect(event, false, &format!("{web}/dispatches"), Some(json!({ "event_type": "e", "client_payload": {} })), 204)
        .await;
    expect(event, false, &format!("{web}/dispatches"), Some(json!({ "event_type": "" })), 422).await;

    let issues = format!("{web}/issues");
    let new = json!({ "title": "t", "body": "b", "labels": ["dispatch"] });
    let issue = expect("POST /repos/{owner}/{repo}/issues", false, &issues, Some(new), 201).await;
    expect("POST /repos/{owner}/{repo}/issues", false, &issues, Some(json!({ "title": "" })), 422).await;
    expect("GET /repos/{owner}/{repo}/issues", false, &issues, None, 200).await;
    let own = format!("{issues}/{}", issue["number"]);
    let comments = "/repos/{owner}/{repo}/issues/{issue_number}/comments";
    let comment =
        expect(&format!("POST {comments}"), false, &format!("{own}/comments"), Some(json!({ "body": "b" })), 201).await;
    expect(&format!("GET {comments}"), false, &format!("{own}/comments"), None, 200).await;
    let own_comment = format!("{issues}/comments/{}", comment["id"]);
    let update_comment = "PATCH /repos/{owner}/{repo}/issues/comments/{comment_id}";
    expect(update_comment, false, &own_comment, Some(json!({ "body": "c" })), 200).await;
    expect(update_comment, false, &own_comment, Some(json!({ "body": "" })), 422).await;
    let react = "POST /repos/{owner}/{repo}/issues/comments/{comment_id}/reactions";
    let reactions = format!("{own_comment}/reactions");
    let eyes = expect(react, false, &reactions, Some(json!({ "content": "eyes" })), 201).await;
    let again = expect(react, false, &reactions, Some(json!({ "content": "eyes" })), 200).await;
    assert_eq!(eyes, again);
    expect(react, false, &reactions, Some(json!({ "content": "shrug" })), 422).await;
    let commented = expect(&format!("GET {comments}"), false, &format!("{own}/comments"), None, 200).await;
    assert_eq!(commented[0]["reactions"]["eyes"], 1);
    expect("PATCH /repos/{owner}/{repo}/issues/{issue_number}", false, &own, Some(json!({ "state": "closed" })), 200)
        .await;

    let new = json!({ "name": "dispatch", "head_sha": sha, "status": "in_progress" });
    let check =
        expect("POST /repos/{owner}/{repo}/check-runs", false, &format!("{web}/check-runs"), Some(new), 201).await;
    let done = json!({ "conclusion": "success", "output": { "title": "t", "summary": "s" } });
    let path = format!("{web}/check-runs/{}", check["id"]);
    expect("PATCH /repos/{owner}/{repo}/check-runs/{check_run_id}", false, &path, Some(done), 200).await;
    let wrong = json!({ "output": { "title": "t", "summary": "x".repeat(65_536) } });
    expect("PATCH /repos/{owner}/{repo}/check-runs/{check_run_id}", false, &path, Some(wrong), 422).await;

    let (pull, closed) = {
        let mut world = emulator.world();
        let web = repository("octo-org/web");
        let spec = PullRequestSpec { body: Some("text".to_owned()), ..PullRequestSpec::new("topic") };
        let closed = world.open_pull_request(&web, PullRequestSpec::new("closed")).unwrap();
        world.close_pull_request(&web, closed, true).unwrap();
        let pull = world.open_pull_request(&web, spec).unwrap();
        world.label_pull_request(&web, pull, "keep").unwrap();
        (pull, closed)
    };
    let (one, list) = ("GET /repos/{owner}/{repo}/pulls/{pull_number}", "GET /repos/{owner}/{repo}/pulls");
    expect(one, false, &format!("{web}/pulls/{pull}"), None, 200).await;
    expect(one, false, &format!("{web}/pulls/{closed}"), None, 200).await;
    expect(one, false, &format!("{web}/pulls/{}", issue["number"]), None, 404).await;
    let all = expect(list, false, &format!("{web}/pulls?state=all&direction=asc"), None, 200).await;
    assert_eq!(all.as_array().unwrap().len(), 2);
    let open = expect(list, false, &format!("{web}/pulls?base=main"), None, 200).await;
    assert_eq!(open[0]["number"], pull);
    expect("GET /repos/{owner}/{repo}/issues", false, &issues, None, 200).await;
    assert_eq!(seen.len(), 27, "every operation that the emulator has: {seen:#?}");
}

/// Lists whose operations are not in the description, and whose items are.
#[tokio::test]
async fn every_item_of_other_lists_is_as_github_describes_it() {
    let Some(description) = description() else { return };
    let emulator = emulator().await;
    let token = token(&emulator, "octo-org/web", json!({ "actions": "read", "checks": "write" })).await;
    let sha = emulator.world().branch_head(&repository("octo-org/web"), "main").unwrap();
    let annotation = |line| {
        json!({ "path": "dispatching.yml", "start_line": line, "end_line": line,
            "annotation_level": "failure", "message": "m", "title": "t" })
    };
    let output = json!({ "title": "t", "summary": "s", "annotations": [annotation(1), annotation(2)] });
    let new = json!({ "name": "a", "head_sha": sha, "external_id": "mark", "conclusion": "neutral", "output": output });
    let mut checks = Vec::new();
    for _ in 0..3 {
        let made = call(&emulator, &token, "POST", "/repos/octo-org/web/check-runs", Some(&new)).await.json();
        checks.push(made["id"].clone());
    }
    let list = async |path: &str| call(&emulator, &token, "GET", &format!("/repos/octo-org/web/{path}"), None).await;
    let all = list(&format!("commits/{sha}/check-runs?check_name=a&filter=all&per_page=2")).await;
    assert!(all.header("link").contains("rel=\"next\""), "{}", all.header("link"));
    let all = all.json();
    assert_eq!((&all["total_count"], all["check_runs"].as_array().unwrap().len()), (&json!(3), 2));
    assert_eq!(all["check_runs"][0]["id"], checks[2]);
    let latest = list(&format!("commits/{sha}/check-runs")).await.json();
    assert_eq!(latest["total_count"], 1);
    assert_eq!(list(&format!("commits/{sha}/check-runs?app_id=1")).await.json()["total_count"], 0);
    check_shape(&description, &json!({ "$ref": "#/$defs/check-run" }), "a check run", &all["check_runs"][0]);
    let annotations = list(&format!("check-runs/{}/annotations", checks[0])).await.json();
    assert_eq!((&annotations[1]["start_line"], annotations.as_array().unwrap().len()), (&json!(2), 2));

    let workflows = list("actions/workflows").await.json();
    let files: Vec<_> = workflows["workflows"].as_array().unwrap().iter().map(|workflow| &workflow["path"]).collect();
    assert_eq!(files, [".github/workflows/cd.yml", ".github/workflows/ci.yml"]);
    check_shape(&description, &json!({ "$ref": "#/$defs/workflow" }), "a workflow", &workflows["workflows"][0]);
}
