//! How a pull request is.

use dispatch_core::event::{Head, PullRequestState};
use dispatch_core::name::{PullRequestNumber, RepositoryId, UserId};
use dispatch_core::ports::github::{GitHubError, RateLimitReset};
use dispatch_core::ports::pull_requests::PullRequestPort;
use serde_json::{Value, json};
use std::time::Duration;
use wiremock::ResponseTemplate;

use crate::fake::*;

fn pull_request() -> Value {
    json!({
        "number": 7, "state": "open", "merged": false, "draft": true, "title": "$(id)", "body": "{{ source.sha }}",
        "user": { "login": "octocat", "id": 583_231 },
        "labels": [{ "id": 1, "name": "keep" }, { "id": 2, "name": null }],
        "base": { "ref": "main", "sha": "f".repeat(40), "repo": { "id": 42, "full_name": "acme/app" } },
        "head": { "ref": "feature/x", "sha": SHA, "repo": { "id": 42, "full_name": "acme/app" } },
        "updated_at": "2026-11-20T12:00:00Z",
    })
}

fn state() -> PullRequestState {
    PullRequestState {
        number: PullRequestNumber(7),
        open: true,
        merged: false,
        draft: true,
        base_branch: "main".parse().unwrap(),
        head_branch: "feature/x".parse().unwrap(),
        head_sha: SHA.parse().unwrap(),
        head: Head::SameRepository,
        author: Some(UserId(583_231)),
        keep: true,
        updated_at: "2026-11-20T12:00:00Z".parse().unwrap(),
    }
}

async fn read(answer: ResponseTemplate) -> Result<Option<PullRequestState>, GitHubError> {
    let fake = Fake::start().await;
    fake.answer("GET", PULL, answer).await;
    let read = fake.github().pull_request(&app_ref(), PullRequestNumber(7)).await;
    assert_eq!(fake.minted().await, [only("pull_requests", "read")]);
    let expected = [format!("GET {INSTALLATION}"), format!("POST {TOKENS}"), format!("GET {PULL}")];
    assert_eq!(fake.log().await, expected, "nothing else is asked, and nobody is followed");
    read
}

#[tokio::test]
async fn it_is_told_as_it_is_now() {
    assert_eq!(read(ok(pull_request())).await, Ok(Some(state())));
    type Change = fn(&mut Value);
    type Expected = fn(&mut PullRequestState);
    let changes: [(&str, Change, Expected); 7] = [
        ("closed", |json| json["state"] = "closed".into(), |state| state.open = false),
        ("merged", |json| json["merged"] = true.into(), |state| state.merged = true),
        ("ready", |json| json["draft"] = false.into(), |state| state.draft = false),
        ("another label", |json| json["labels"][0]["name"] = "keeper".into(), |state| state.keep = false),
        ("no author", |json| json["user"] = Value::Null, |state| state.author = None),
        ("of a fork", |json| json["head"]["repo"]["id"] = 43.into(), |state| state.head = Head::Fork(RepositoryId(43))),
        ("of a deleted fork", |json| json["head"]["repo"] = Value::Null, |state| state.head = Head::Unknown),
    ];
    for (case, change, expected) in changes {
        let (mut json, mut state) = (pull_request(), state());
        change(&mut json);
        expected(&mut state);
        assert_eq!(read(ok(json)).await, Ok(Some(state)), "{case}");
    }
}

#[tokio::test]
async fn what_does_not_tell_how_it_is_is_never_closed() {
    let moved = |code| ResponseTemplate::new(code).insert_header("location", "/repositories/43/pulls/7");
    let mut others = pull_request();
    others["base"]["repo"]["id"] = 43.into();
    for (case, answer) in [
        ("moved", moved(301)),
        ("moved for now", moved(307)),
        ("gone or hidden", status(404, "Not Found")),
        ("forbidden", status(403, "Resource not accessible by integration")),
        ("deleted", status(410, "Gone")),
        ("of another repository behind the name", ok(others)),
    ] {
        assert_eq!(read(answer).await, Ok(None), "{case}");
    }
}

#[tokio::test]
async fn an_answer_that_is_none_is_an_error() {
    type Change = fn(&mut Value);
    let changes: [(&str, Change); 7] = [
        ("a state that nobody knows", |json| json["state"] = "ajar".into()),
        ("no word about merged", |json| json["merged"] = Value::Null),
        ("another pull request", |json| json["number"] = 8.into()),
        ("no commit", |json| json["head"]["sha"] = "HEAD".into()),
        ("a branch with a line break", |json| json["head"]["ref"] = "a\nb".into()),
        ("a negative number", |json| json["base"]["repo"]["id"] = (-1).into()),
        ("a list", |json| *json = json!([])),
    ];
    for (case, change) in changes {
        let mut json = pull_request();
        change(&mut json);
        let error = read(ok(json)).await.unwrap_err();
        assert!(matches!(&error, GitHubError::Unavailable(_)), "{case}: {error}");
    }
    for (case, answer) in [
        ("a page", ResponseTemplate::new(200).set_body_string("<html>")),
        ("too long", ResponseTemplate::new(200).set_body_bytes(vec![b' '; 3_000_000])),
        ("server error", ResponseTemplate::new(502)),
    ] {
        let error = read(answer).await.unwrap_err();
        assert!(matches!(&error, GitHubError::Unavailable(_)), "{case}: {error}");
    }
    let limited = read(status(403, "wait").insert_header("retry-after", "7")).await.unwrap_err();
    let message = "wait".to_owned();
    assert_eq!(limited, GitHubError::RateLimited { until: RateLimitReset::After(Duration::from_secs(7)), message });
}

#[tokio::test]
async fn a_repository_with_another_id_behind_the_name_tells_nothing() {
    let fake = Fake::bare().await;
    fake.install("acme/app", 43, 7).await;
    assert_eq!(fake.github().pull_request(&app_ref(), PullRequestNumber(7)).await, Ok(None));
    assert!(fake.requests("GET", PULL).await.is_empty());
}

#[tokio::test]
async fn a_missing_permission_is_told_by_its_name() {
    let fake = Fake::bare().await;
    fake.answer("GET", INSTALLATION, ok(json!({ "id": 7 }))).await;
    let message = "The permissions requested are not granted to this installation.";
    fake.answer("POST", TOKENS, status(422, message)).await;
    let (message, permission) = (message.to_owned(), Some("pull_requests: read".to_owned()));
    let error = fake.github().pull_request(&app_ref(), PullRequestNumber(7)).await.unwrap_err();
    assert_eq!(error, GitHubError::Refused { status: 422, message, permission });
}
