//! Issues: what is sent, and what an answer means.

use dispatch_core::Timestamp;
use dispatch_core::ports::github::{GitHubError, RepositoryRef};
use dispatch_core::ports::issues::{IssueChange, IssuePort};
use dispatch_github::GitHub;
use serde_json::{Value, json};
use wiremock::matchers::{method, path, query_param};
use wiremock::{Mock, ResponseTemplate};

use crate::fake::*;

async fn fake_with_app() -> Fake {
    let fake = Fake::start().await;
    fake.answer("GET", "/app", ok(json!({ "slug": "dispatch", "owner": { "login": "acme" } }))).await;
    fake
}

fn issue(number: u64, author: &str, body: Option<&str>) -> Value {
    json!({ "number": number, "user": { "login": author }, "body": body, "title": "t" })
}

async fn page(fake: &Fake, number: usize, issues: Vec<Value>) {
    Mock::given(method("GET"))
        .and(path(ISSUES))
        .and(query_param("page", number.to_string()))
        .and(query_param("creator", "dispatch[bot]"))
        .and(query_param("state", "open"))
        .respond_with(ok(issues.into()))
        .mount(&fake.server)
        .await;
}

async fn find(github: &GitHub) -> Result<Option<u64>, GitHubError> {
    github.find_issue(&app_ref(), "<!-- marker -->").await
}

#[tokio::test]
async fn only_the_apps_own_open_issue_with_the_marker_is_found() {
    let fake = fake_with_app().await;
    let text = Some("text <!-- marker --> text");
    let mut pull_request = issue(5, "dispatch[bot]", text);
    pull_request["pull_request"] = json!({ "url": "x" });
    let mut nobody = issue(4, "x", text);
    nobody["user"] = Value::Null;
    let others = vec![
        issue(9, "mallory", text),
        issue(8, "dispatch", text),
        issue(7, "dispatch[bot]", Some("another text")),
        issue(6, "dispatch[bot]", None),
        pull_request,
        nobody,
    ];
    page(&fake, 1, others.into_iter().cycle().take(100).collect()).await;
    page(&fake, 2, vec![issue(3, "Dispatch[bot]", text), issue(2, "dispatch[bot]", text)]).await;
    let github = fake.github();
    assert_eq!(find(&github).await, Ok(Some(3)));
    assert_eq!(github.find_issue(&app_ref(), "another marker").await, Ok(None));
    let minted: Value = fake.requests("POST", TOKENS).await[0].body_json().unwrap();
    assert_eq!(minted, json!({ "repository_ids": [42], "permissions": { "issues": "write" } }));
    assert_eq!(fake.requests("GET", "/app").await.len(), 1, "asked once");
}

#[tokio::test]
async fn not_found_is_only_said_when_everything_was_seen() {
    let fake = fake_with_app().await;
    for number in 1..=11 {
        page(&fake, number, vec![issue(1, "dispatch[bot]", None); 100]).await;
    }
    let error = find(&fake.github()).await.unwrap_err();
    assert!(matches!(&error, GitHubError::Unavailable(why) if why.contains("more open issues")), "{error}");
    for (app, answer) in [
        (json!({ "slug": "dispatch" }), ok(json!([{ "body": "x" }]))),
        (json!({ "slug": "dispatch" }), ok(json!({}))),
        (json!({ "slug": "dispatch" }), ResponseTemplate::new(502)),
        (json!({ "slug": null }), ok(json!([]))),
    ] {
        let fake = Fake::start().await;
        fake.answer("GET", "/app", ok(app)).await;
        fake.answer("GET", ISSUES, answer).await;
        let error = find(&fake.github()).await.unwrap_err();
        assert!(matches!(&error, GitHubError::Unavailable(_)), "{error}");
    }
}

#[tokio::test]
async fn an_issue_is_opened_with_one_post_and_changed_with_one_patch() {
    let fake = Fake::start().await;
    fake.answer("POST", ISSUES, ResponseTemplate::new(201).set_body_json(issue(7, "dispatch[bot]", None))).await;
    fake.answer("PATCH", &format!("{ISSUES}/7"), ok(issue(7, "dispatch[bot]", None))).await;
    let github = fake.github();
    assert_eq!(github.create_issue(&app_ref(), "title", "text", Timestamp::MAX).await, Ok(7));
    let sent: Value = fake.requests("POST", ISSUES).await[0].body_json().unwrap();
    assert_eq!(sent, json!({ "title": "title", "body": "text" }));
    for (change, body) in [
        (IssueChange { body: Some("text"), open: Some(true) }, json!({ "body": "text", "state": "open" })),
        (IssueChange { body: None, open: Some(false) }, json!({ "state": "closed" })),
    ] {
        github.update_issue(&app_ref(), 7, change).await.unwrap();
        let sent = fake.requests("PATCH", &format!("{ISSUES}/7")).await;
        assert_eq!(sent.last().unwrap().body_json::<Value>().unwrap(), body);
    }
}

#[tokio::test]
async fn a_missing_answer_is_in_doubt_and_a_refusal_is_none() {
    type Expected = fn(&GitHubError) -> bool;
    let in_doubt: Expected = |error| matches!(error, GitHubError::InDoubt(_));
    let refused: Expected = |error| matches!(error, GitHubError::Refused { .. });
    for (answer, expected) in [
        (ResponseTemplate::new(502), in_doubt),
        (ResponseTemplate::new(201).set_body_string("<html>"), in_doubt),
        (status(410, "Issues has been disabled in this repository."), refused),
        (status(403, "Resource not accessible by integration"), refused),
        (status(404, "Not Found"), refused),
        (status(422, "Validation Failed"), refused),
    ] {
        let fake = Fake::start().await;
        fake.answer("POST", ISSUES, answer).await;
        let error = fake.github().create_issue(&app_ref(), "title", "text", Timestamp::MAX).await.unwrap_err();
        assert!(expected(&error), "{error}");
        assert_eq!(fake.requests("POST", ISSUES).await.len(), 1);
    }
}

#[tokio::test]
async fn what_is_too_long_is_not_sent() {
    let fake = Fake::start().await;
    let github = fake.github();
    let app: RepositoryRef = app_ref();
    let long = "ä".repeat(65_537);
    let change = IssueChange { body: Some(&long), open: None };
    for refused in [
        github.create_issue(&app, &"t".repeat(257), "", Timestamp::MAX).await.map(drop),
        github.create_issue(&app, "t", &long, Timestamp::MAX).await.map(drop),
        github.update_issue(&app, 7, change).await,
    ] {
        assert!(matches!(refused, Err(GitHubError::Refused { status: 422, .. })), "{refused:?}");
    }
    assert!(fake.log().await.is_empty());
}
