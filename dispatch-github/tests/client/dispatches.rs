//! Starting a workflow.

use std::time::Duration;

use dispatch_core::Timestamp;
use dispatch_core::dispatch::StartedRun;
use dispatch_core::name::RunId;
use dispatch_core::ports::github::{GitHubError, GitHubPort, RateLimitReset};
use serde_json::{Value, json};
use wiremock::ResponseTemplate;

use crate::fake::*;

#[tokio::test]
async fn one_repository_one_permission_one_post() {
    let fake = Fake::start().await;
    let url = "https://github.com/acme/app/actions/runs/17";
    fake.answer("POST", DISPATCHES, ok(json!({ "workflow_run_id": 17, "run_url": "x", "html_url": url }))).await;
    let started = fake.github().dispatch(&app_ref(), &cd(), Timestamp::MAX).await.unwrap();
    assert_eq!(started, Some(StartedRun { id: RunId(17), url: url.to_owned() }));

    let minted: Value = fake.requests("POST", TOKENS).await[0].body_json().unwrap();
    assert_eq!(minted, json!({ "repository_ids": [42], "permissions": { "actions": "write" } }));
    let sent: Value = fake.requests("POST", DISPATCHES).await[0].body_json().unwrap();
    assert_eq!(sent, json!({ "ref": "main", "inputs": { "environment": "production" }, "return_run_details": true }));
    assert_eq!(
        fake.log().await,
        [format!("GET {INSTALLATION}"), format!("POST {TOKENS}"), format!("POST {DISPATCHES}")]
    );
}

#[tokio::test]
async fn an_event_is_one_post_with_the_payload_as_it_is_and_names_no_run() {
    let fake = Fake::start().await;
    fake.answer_once("POST", EVENTS, ResponseTemplate::new(204)).await;
    // Whatever it says: GitHub answers 204 and nothing.
    fake.answer("POST", EVENTS, ok(json!({ "workflow_run_id": 17, "html_url": "https://github.com/x" }))).await;
    let github = fake.github();
    assert_eq!(github.dispatch(&app_ref(), &closed(), Timestamp::MAX).await, Ok(None));
    assert_eq!(github.dispatch(&app_ref(), &closed(), Timestamp::MAX).await, Ok(None));
    assert_eq!(fake.minted().await, [only("contents", "write")]);
    let sent = &fake.requests("POST", EVENTS).await[0];
    let expected = r#"{"client_payload":{"merged":true,"pr_number":"7"},"event_type":"pr-closed"}"#;
    assert_eq!(String::from_utf8_lossy(&sent.body), expected);
}

#[tokio::test]
async fn an_event_that_is_not_certainly_refused_is_in_doubt() {
    type Expected = fn(&GitHubError) -> bool;
    let in_doubt: Expected = |error| matches!(error, GitHubError::InDoubt(_));
    let refused: Expected = |error| matches!(error, GitHubError::Refused { permission: None, .. });
    let forbidden: Expected = |error| matches!(error, GitHubError::Refused { status: 403, permission: Some(wanted), .. } if wanted == "contents=write");
    let missing = status(403, "Resource not accessible by integration");
    for (answer, expected) in [
        (ResponseTemplate::new(502), in_doubt),
        (ResponseTemplate::new(404), refused),
        (status(422, "Invalid request."), refused),
        (ResponseTemplate::new(307).insert_header("location", "/elsewhere"), refused),
        (missing.insert_header("x-accepted-github-permissions", "contents=write"), forbidden),
    ] {
        let fake = Fake::start().await;
        fake.answer("POST", EVENTS, answer).await;
        let error = fake.github().dispatch(&app_ref(), &closed(), Timestamp::MAX).await.unwrap_err();
        assert!(expected(&error), "{error}");
        assert_eq!(fake.log().await.last().unwrap(), &format!("POST {EVENTS}"), "sent once, and not elsewhere");
        assert_eq!(fake.requests("POST", EVENTS).await.len(), 1);
    }
}

#[tokio::test]
async fn an_event_that_is_too_late_is_not_sent() {
    let fake = Fake::start().await;
    fake.answer("POST", EVENTS, ResponseTemplate::new(204)).await;
    let late = Timestamp::now() - Duration::from_secs(1);
    let error = fake.github().dispatch(&app_ref(), &closed(), late).await.unwrap_err();
    assert!(matches!(&error, GitHubError::Unavailable(_)), "{error}");
    assert!(fake.requests("POST", EVENTS).await.is_empty());
}

#[tokio::test]
async fn a_success_is_a_success_whatever_its_body_says() {
    let run = |url: &str| Some(StartedRun { id: RunId(17), url: url.to_owned() });
    for (case, answer, expected) in [
        ("an older GitHub Enterprise Server", ResponseTemplate::new(204), None),
        ("no JSON", ResponseTemplate::new(200).set_body_string("<html>"), None),
        ("no run", ok(json!({})), None),
        ("a number that is none", ok(json!({ "workflow_run_id": -1 })), None),
        ("too long", ok(json!({ "workflow_run_id": 17, "html_url": "x".repeat(600_000) })), None),
        ("no page", ok(json!({ "workflow_run_id": 17 })), run("")),
        (
            "a page that would run as a script",
            ok(json!({ "workflow_run_id": 17, "html_url": "javascript:alert(1)" })),
            run(""),
        ),
    ] {
        let fake = Fake::start().await;
        fake.answer("POST", DISPATCHES, answer).await;
        assert_eq!(fake.github().dispatch(&app_ref(), &cd(), Timestamp::MAX).await, Ok(expected), "{case}");
    }
}

#[tokio::test]
async fn every_other_answer_has_its_class_and_is_one_post() {
    let reset: Timestamp = Timestamp::from_second(Timestamp::now().as_second() + 600).unwrap();
    let limited = |until, message: &str| GitHubError::RateLimited { until, message: message.to_owned() };
    let refused = |status, message: &str, permission: Option<&str>| GitHubError::Refused {
        status,
        message: message.to_owned(),
        permission: permission.map(str::to_owned),
    };
    let secondary = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.";
    for (answer, expected) in [
        (status(404, "Not Found"), refused(404, "Not Found", None)),
        (status(410, "Gone"), refused(410, "Gone", None)),
        (status(422, "No ref found for: x"), refused(422, "No ref found for: x", None)),
        (status(422, "a\u{1b}[31m\nb"), refused(422, "a\\u{1b}[31m\\u{a}b", None)),
        (
            status(403, "Resource not accessible by integration")
                .insert_header("x-accepted-github-permissions", "actions=write"),
            refused(403, "Resource not accessible by integration", Some("actions=write")),
        ),
        (ResponseTemplate::new(307).insert_header("location", "/elsewhere"), refused(307, "Temporary Redirect", None)),
        (
            status(403, "wait").insert_header("retry-after", "7"),
            limited(RateLimitReset::After(Duration::from_secs(7)), "wait"),
        ),
        (
            status(403, "API rate limit exceeded for installation ID 7.")
                .insert_header("x-ratelimit-remaining", "0")
                .insert_header("x-ratelimit-reset", reset.as_second().to_string()),
            limited(RateLimitReset::At(reset), "API rate limit exceeded for installation ID 7."),
        ),
        (status(403, secondary), limited(RateLimitReset::Unknown, secondary)),
        (status(429, "slow down"), limited(RateLimitReset::Unknown, "slow down")),
        (status(500, "oops"), GitHubError::InDoubt("500 Internal Server Error: oops".to_owned())),
        (status(502, "Server Error"), GitHubError::InDoubt("502 Bad Gateway: Server Error".to_owned())),
        (ResponseTemplate::new(503), GitHubError::InDoubt("503 Service Unavailable".to_owned())),
    ] {
        let fake = Fake::start().await;
        fake.answer("POST", DISPATCHES, answer).await;
        assert_eq!(fake.github().dispatch(&app_ref(), &cd(), Timestamp::MAX).await, Err(expected.clone()));
        assert_eq!(fake.requests("POST", DISPATCHES).await.len(), 1, "{expected}");
        assert!(fake.requests("POST", "/elsewhere").await.is_empty());
    }
}

#[tokio::test]
async fn no_answer_in_time_is_in_doubt() {
    let fake = Fake::start().await;
    fake.answer("POST", DISPATCHES, ResponseTemplate::new(204).set_delay(Duration::from_secs(60))).await;
    let started = fake.github_with(Duration::from_millis(300)).dispatch(&app_ref(), &cd(), Timestamp::MAX).await;
    assert_eq!(started, Err(GitHubError::InDoubt("no answer within 300ms".to_owned())));
    assert_eq!(fake.requests("POST", DISPATCHES).await.len(), 1);
}

#[tokio::test]
async fn a_token_that_cannot_be_minted_leaves_no_dispatch_in_doubt() {
    for (case, answer, expected) in [
        (
            "a permission is missing",
            status(422, "The permissions requested are not granted to this installation."),
            GitHubError::Refused {
                status: 422,
                message: "The permissions requested are not granted to this installation.".to_owned(),
                permission: Some("actions: write".to_owned()),
            },
        ),
        ("suspended", status(403, "This installation has been suspended"), GitHubError::NotInstalled(app())),
        ("removed", status(404, "Not Found"), GitHubError::NotInstalled(app())),
        ("bad gateway", status(502, "oops"), GitHubError::Unavailable("502 Bad Gateway: oops".to_owned())),
        (
            "bad key",
            status(401, "A JSON web token could not be decoded"),
            GitHubError::Unavailable(
                "it does not accept the App's credentials (401 Unauthorized): A JSON web token could not be decoded"
                    .to_owned(),
            ),
        ),
        (
            "no token in it",
            ResponseTemplate::new(201).set_body_json(json!({ "token": "ghs_secret" })),
            GitHubError::Unavailable("201 Created, but its body: cannot be understood".to_owned()),
        ),
        (
            "a token for more than the repository",
            token("ghs_secret", Duration::from_secs(3600), &json!([])),
            GitHubError::Unavailable("the token that it made is not for one repository".to_owned()),
        ),
        (
            "another repository",
            status(422, "There is at least one repository that does not exist"),
            GitHubError::Refused {
                status: 404,
                message: "There is at least one repository that does not exist".to_owned(),
                permission: None,
            },
        ),
    ] {
        let fake = Fake::bare().await;
        fake.answer("GET", INSTALLATION, ok(json!({ "id": 7 }))).await;
        fake.answer("POST", TOKENS, answer).await;
        fake.answer("POST", DISPATCHES, ResponseTemplate::new(204)).await;
        assert_eq!(fake.github().dispatch(&app_ref(), &cd(), Timestamp::MAX).await, Err(expected), "{case}");
        assert!(fake.requests("POST", DISPATCHES).await.is_empty(), "{case}");
    }
}

#[tokio::test]
async fn a_token_that_ended_early_is_replaced_once_because_401_means_not_done() {
    let fake = Fake::start().await;
    fake.answer_token("POST", DISPATCHES, "ghs_secret_1", status(401, "Bad credentials")).await;
    fake.answer_token("POST", DISPATCHES, "ghs_secret_2", ResponseTemplate::new(204)).await;
    let github = fake.github();
    assert_eq!(github.dispatch(&app_ref(), &cd(), Timestamp::MAX).await, Ok(None));
    assert_eq!(fake.requests("POST", DISPATCHES).await.len(), 2);
    assert_eq!(github.dispatch(&app_ref(), &cd(), Timestamp::MAX).await, Ok(None));
    assert_eq!(fake.requests("POST", TOKENS).await.len(), 2);
}

#[tokio::test]
async fn a_second_401_is_certainly_not_done_and_not_tried_again() {
    let fake = Fake::start().await;
    fake.answer("POST", DISPATCHES, status(401, "Bad credentials")).await;
    let error = fake.github().dispatch(&app_ref(), &cd(), Timestamp::MAX).await.unwrap_err();
    assert!(matches!(&error, GitHubError::Unavailable(_)), "{error}");
    assert_eq!(fake.requests("POST", DISPATCHES).await.len(), 2);
}

#[tokio::test]
async fn a_call_whose_time_is_over_when_its_token_comes_is_not_sent() {
    let fake = Fake::bare().await;
    fake.answer("GET", INSTALLATION, ok(json!({ "id": 7 }))).await;
    let repository = json!([{ "id": 42, "full_name": "acme/app", "private": true }]);
    let slow = token("ghs_secret", Duration::from_secs(3600), &repository).set_delay(Duration::from_millis(600));
    fake.answer("POST", TOKENS, slow).await;
    fake.answer("POST", DISPATCHES, ResponseTemplate::new(204)).await;
    let github = fake.github();
    let soon = Timestamp::now() + Duration::from_millis(300);
    let too_late = GitHubError::Unavailable("the time in which the call may be sent has passed".to_owned());
    assert_eq!(github.dispatch(&app_ref(), &cd(), soon).await, Err(too_late));
    assert!(fake.requests("POST", DISPATCHES).await.is_empty());
    // The token came nevertheless: the next call has it at once.
    let later = Timestamp::now() + Duration::from_secs(60);
    assert_eq!(github.dispatch(&app_ref(), &cd(), later).await, Ok(None));
    assert_eq!(fake.requests("POST", TOKENS).await.len(), 1);
}

#[tokio::test]
async fn after_a_401_the_clock_is_looked_at_again() {
    let fake = Fake::start().await;
    let refused = status(401, "Bad credentials").set_delay(Duration::from_millis(600));
    fake.answer_token("POST", DISPATCHES, "ghs_secret_1", refused).await;
    fake.answer_token("POST", DISPATCHES, "ghs_secret_2", ResponseTemplate::new(204)).await;
    let soon = Timestamp::now() + Duration::from_millis(400);
    let error = fake.github().dispatch(&app_ref(), &cd(), soon).await.unwrap_err();
    assert!(matches!(&error, GitHubError::Unavailable(message) if message.contains("has passed")), "{error}");
    assert_eq!(fake.requests("POST", DISPATCHES).await.len(), 1);
}
