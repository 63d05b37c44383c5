//! Who may do what.

use dispatch_core::name::Repository;
use jiff::Timestamp;
use serde_json::json;

use crate::http::{call, emulator, jwt, send, signed, token};

#[tokio::test]
async fn a_token_reads_its_repository_and_nothing_else() {
    let emulator = emulator().await;
    let token = token(&emulator, "octo-org/api", json!({ "contents": "read" })).await;
    let own = call(&emulator, &token, "GET", "/repos/octo-org/api/contents/dispatching.yml", None).await;
    assert_eq!(own.status, 200);
    let other = call(&emulator, &token, "GET", "/repos/octo-org/web/contents/dispatching.yml", None).await;
    assert_eq!((other.status, other.message().as_str()), (404, "Not Found"));
    let dispatches = "/repos/octo-org/api/actions/workflows/cd.yml/dispatches";
    let refused = call(&emulator, &token, "POST", dispatches, Some(&json!({ "ref": "main" }))).await;
    assert_eq!((refused.status, refused.message().as_str()), (403, "Resource not accessible by integration"));
    assert_eq!(refused.header("x-accepted-github-permissions"), "actions=write");
    assert_eq!(emulator.world().runs().count(), 0);
}

#[tokio::test]
async fn every_endpoint_names_the_permission_that_it_wants() {
    let emulator = emulator().await;
    let sha = emulator.world().branch_head(&"octo-org/api".parse().unwrap(), "main").unwrap();
    let token = token(&emulator, "octo-org/api", json!({ "statuses": "read" })).await;
    let comment = "issues=write; pull_requests=write";
    let cases = [
        ("GET", "pulls/1".to_owned(), json!(null), "pull_requests=read; contents=read"),
        ("GET", "pulls?state=all".to_owned(), json!(null), "pull_requests=read"),
        ("GET", "contents/.github/workflows".to_owned(), json!(null), "contents=read"),
        ("GET", format!("contents/dispatching.yml?ref={sha}"), json!(null), "contents=read"),
        ("GET", "actions/workflows".to_owned(), json!(null), "actions=read"),
        ("GET", "actions/runs".to_owned(), json!(null), "actions=read"),
        ("GET", format!("commits/{sha}/check-runs"), json!(null), "checks=read"),
        ("GET", "check-runs/1/annotations".to_owned(), json!(null), "checks=read"),
        ("POST", "check-runs".to_owned(), json!({ "name": "n", "head_sha": sha }), "checks=write"),
        ("PATCH", "check-runs/1".to_owned(), json!({ "status": "queued" }), "checks=write"),
        ("POST", "dispatches".to_owned(), json!({ "event_type": "e" }), "contents=write"),
        ("GET", "issues/1/comments".to_owned(), json!(null), "issues=read; pull_requests=read"),
        ("POST", "issues/1/comments".to_owned(), json!({ "body": "b" }), comment),
        ("PATCH", "issues/comments/1".to_owned(), json!({ "body": "b" }), comment),
        ("POST", "issues/comments/1/reactions".to_owned(), json!({ "content": "eyes" }), comment),
    ];
    for (method, path, body, expected) in cases {
        let body = Some(body).filter(|body| !body.is_null());
        let got = call(&emulator, &token, method, &format!("/repos/octo-org/api/{path}"), body.as_ref()).await;
        let told = (got.status, got.header("x-accepted-github-permissions"));
        assert_eq!(told, (403, expected), "{method} {path}");
    }
    let mine = call(&emulator, &token, "GET", "/repos/octo-org/api/collaborators/octocat/permission", None).await;
    assert_eq!(mine.status, 200, "every token may read metadata");
    assert!(emulator.world().take_effects().is_empty());
}

#[tokio::test]
async fn a_token_that_expired_is_401() {
    let emulator = emulator().await;
    let token = token(&emulator, "octo-org/api", json!({ "metadata": "read" })).await;
    assert_eq!(call(&emulator, &token, "GET", "/repos/octo-org/api", None).await.status, 200);
    emulator.world().expire_tokens();
    let expired = call(&emulator, &token, "GET", "/repos/octo-org/api", None).await;
    assert_eq!((expired.status, expired.message().as_str()), (401, "Bad credentials"));
}

#[tokio::test]
async fn a_jwt_must_be_signed_by_the_app_and_live_at_most_ten_minutes() {
    let emulator = emulator().await;
    let now = Timestamp::now().as_second();
    let (id, client_id) = (emulator.app_id(), emulator.world().app().client_id.clone());
    let claims = |iss: serde_json::Value, exp: i64| signed(&json!({ "iat": now - 60, "exp": now + exp, "iss": iss }));
    let mut forged = claims(json!(id), 500);
    forged.replace_range(forged.len() - 8.., "AAAAAAAA");
    let cases = [
        ("the id as a number", claims(json!(id), 500), 200),
        ("the id as text", claims(json!(id.to_string()), 500), 200),
        ("the client id", claims(json!(client_id), 500), 200),
        ("another App", claims(json!(7), 500), 401),
        ("too long a life", claims(json!(id), 700), 401),
        ("expired", claims(json!(id), -1), 401),
        ("a forged signature", forged, 401),
        ("no JWT", "a.b.c".to_owned(), 401),
        ("a token where the App is wanted", "ghs_1001_a.b.c".to_owned(), 401),
    ];
    for (name, jwt, expected) in cases {
        assert_eq!(call(&emulator, &jwt, "GET", "/app", None).await.status, expected, "{name}");
    }
    let nobody = send(&emulator, "GET", "/repos/octo-org/api", &[], None).await.unwrap();
    assert_eq!((nobody.status, nobody.message().as_str()), (401, "Requires authentication"));
}

#[tokio::test]
async fn tokens_are_narrowed_by_name_or_by_id_and_never_widened() {
    let emulator = emulator().await;
    let jwt = jwt(&emulator);
    let api: Repository = "octo-org/api".parse().unwrap();
    let (installation, id) = {
        let world = emulator.world();
        (world.installation(&api).unwrap().id, world.repositories().find(|state| state.name == api).unwrap().id)
    };
    let path = format!("/app/installations/{installation}/access_tokens");
    let by_id = json!({ "repository_ids": [id], "permissions": { "contents": "read" } });
    let minted = call(&emulator, &jwt, "POST", &path, Some(&by_id)).await;
    assert_eq!(minted.status, 201);
    assert_eq!(minted.json()["repositories"][0]["full_name"], "octo-org/api");
    assert_eq!(minted.json()["permissions"], json!({ "contents": "read", "metadata": "read" }));
    let wider = json!({ "permissions": { "administration": "write" } });
    let refused = call(&emulator, &jwt, "POST", &path, Some(&wider)).await;
    assert_eq!(refused.status, 422);
    assert_eq!(refused.message(), "The permissions requested are not granted to this installation.");
}

#[tokio::test]
async fn what_is_not_modified_costs_nothing() {
    let emulator = emulator().await;
    let token = token(&emulator, "octo-org/api", json!({ "contents": "read" })).await;
    let path = "/repos/octo-org/api/contents/dispatching.yml";
    let first = call(&emulator, &token, "GET", path, None).await;
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str()), ("if-none-match", first.header("etag"))];
    let second = send(&emulator, "GET", path, &headers, None).await.unwrap();
    assert_eq!((second.status, second.body.len()), (304, 0));
    assert_eq!(first.header("x-ratelimit-remaining"), "4999");
    assert_eq!(second.header("x-ratelimit-remaining"), "4999");
    let rate = call(&emulator, &token, "GET", "/rate_limit", None).await.json();
    assert_eq!(rate["resources"]["core"]["remaining"], 4999);
}

#[tokio::test]
async fn a_file_comes_raw_or_in_base64_lines() {
    let emulator = emulator().await;
    let token = token(&emulator, "octo-org/api", json!({ "contents": "read" })).await;
    let path = "/repos/octo-org/api/contents/dispatching.yml";
    let json = call(&emulator, &token, "GET", path, None).await.json();
    assert_eq!(json["content"], "aW5ib3VuZDogW10K\n");
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str()), ("accept", "application/vnd.github.raw+json")];
    let raw = send(&emulator, "GET", path, &headers, None).await.unwrap();
    assert_eq!(raw.body, "inbound: []\n");
}

#[tokio::test]
async fn a_file_is_written_only_over_the_version_that_is_named() {
    let emulator = emulator().await;
    let token = token(&emulator, "octo-org/api", json!({ "contents": "write" })).await;
    let write = async |path: &str, sha: Option<&str>| {
        let body = json!({ "message": "m", "content": "aGVsbG8=", "sha": sha });
        let got = call(&emulator, &token, "PUT", &format!("/repos/octo-org/api/contents/{path}"), Some(&body)).await;
        (got.status, got.message())
    };
    let refused = |status, message: &str| (status, message.to_owned());
    assert_eq!(write("new.txt", None).await, refused(201, ""));
    assert_eq!(write("new.txt", None).await, refused(422, "Invalid request.\n\n\"sha\" wasn't supplied."));
    assert_eq!(write("new.txt", Some("x")).await, refused(409, "new.txt does not match x"));
    let workflow = "refusing to allow a GitHub App to create or update workflow `.github/workflows/x.yml` without \
                    `workflows` permission";
    assert_eq!(write(".github/workflows/x.yml", None).await, refused(403, workflow));
}

#[tokio::test]
async fn what_github_refuses_before_it_looks() {
    let emulator = emulator().await;
    let token = token(&emulator, "octo-org/api", json!({ "issues": "write" })).await;
    let bearer = format!("Bearer {token}");
    let with = |name, value| [("authorization", bearer.clone()), (name, value)];
    let cases = [
        ("GET", "/repos/octo-org/api", with("user-agent", String::new()), 403),
        ("GET", "/repos/octo-org/api", with("x-github-api-version", "2020-01-01".to_owned()), 400),
        ("GET", "/repos/octo-org/api/", with("accept", "*/*".to_owned()), 404),
        ("GET", "/nowhere", with("accept", "*/*".to_owned()), 404),
        ("DELETE", "/repos/octo-org/api", with("accept", "*/*".to_owned()), 404),
        ("POST", "/repos/octo-org/api/issues", with("accept", "*/*".to_owned()), 400),
    ];
    for (method, path, headers, expected) in cases {
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let got = send(&emulator, method, path, &headers, None).await.unwrap();
        assert_eq!(got.status, expected, "{method} {path} {headers:?}");
        assert!(!got.message().is_empty(), "an error is JSON with a message");
        assert!(!got.header("x-github-request-id").is_empty());
    }
    let shape = call(&emulator, &token, "POST", "/repos/octo-org/api/issues", Some(&json!({ "title": [] }))).await;
    assert_eq!(shape.status, 422);
}
