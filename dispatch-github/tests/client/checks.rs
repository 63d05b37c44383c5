//! Check runs.

use dispatch_core::Timestamp;
use dispatch_core::name::CheckRunId;
use dispatch_core::notice::{AnnotationLevel, Check, CheckAnnotation, CheckConclusion, CheckStatus};
use dispatch_core::ports::github::GitHubError;
use dispatch_core::ports::notices::NoticePort;
use serde_json::{Value, json};
use wiremock::matchers::{method, path, query_param};
use wiremock::{Mock, ResponseTemplate};

use crate::fake::*;

pub(crate) fn check(status: CheckStatus) -> Check {
    Check {
        id: "ab".repeat(32).parse().unwrap(),
        repository: app_ref(),
        head_sha: SHA.parse().unwrap(),
        name: "dispatch / infra / cd.yml".to_owned(),
        origin: None,
        status,
        title: "running".to_owned(),
        summary: "**cd.yml** runs".to_owned(),
        details_url: Some("https://github.com/acme/infra/actions/runs/17".to_owned()),
        annotations: Vec::new(),
    }
}

pub(crate) fn annotation(line: u32) -> CheckAnnotation {
    CheckAnnotation {
        path: "dispatching.yml".to_owned(),
        start_line: line,
        end_line: line + 1,
        level: AnnotationLevel::Warning,
        title: "title".to_owned(),
        message: "message".to_owned(),
    }
}

fn created(id: u64) -> ResponseTemplate {
    ResponseTemplate::new(201).set_body_json(json!({ "id": id }))
}

async fn sent(fake: &Fake, verb: &str, at: &str) -> Value {
    fake.requests(verb, at).await.last().unwrap().body_json().unwrap()
}

#[tokio::test]
async fn a_check_is_made_with_one_post_and_changed_with_one_patch() {
    let fake = Fake::start().await;
    fake.answer("POST", CHECKS, created(91)).await;
    fake.answer("PATCH", CHECK, ok(json!({ "id": 91 }))).await;
    let github = fake.github();
    let output = json!({ "title": "running", "summary": "**cd.yml** runs" });
    let url = "https://github.com/acme/infra/actions/runs/17";
    for (status, word, conclusion) in [
        (CheckStatus::Queued, "queued", None),
        (CheckStatus::InProgress, "in_progress", None),
        (CheckStatus::Completed(CheckConclusion::TimedOut), "completed", Some("timed_out")),
        (CheckStatus::Completed(CheckConclusion::Neutral), "completed", Some("neutral")),
    ] {
        let check = check(status);
        assert_eq!(github.create_check(&check, Timestamp::MAX).await, Ok(CheckRunId(91)));
        github.update_check(CheckRunId(91), &check, Timestamp::MAX).await.unwrap();
        let mut changed = json!({ "status": word, "details_url": url, "output": output });
        if let Some(conclusion) = conclusion {
            changed["conclusion"] = conclusion.into();
        }
        assert_eq!(sent(&fake, "PATCH", CHECK).await, changed);
        changed["name"] = check.name.as_str().into();
        changed["head_sha"] = SHA.into();
        changed["external_id"] = check.id.as_str().into();
        assert_eq!(sent(&fake, "POST", CHECKS).await, changed);
    }
    assert_eq!(fake.minted().await, [only("checks", "write")]);
}

#[tokio::test]
async fn annotations_are_sent_once_and_the_first_fifty_of_them() {
    let fake = Fake::start().await;
    fake.answer("POST", CHECKS, created(91)).await;
    fake.answer("PATCH", CHECK, ok(json!({ "id": 91 }))).await;
    let github = fake.github();
    let annotations = (1..=51).map(annotation).collect();
    let check = Check { annotations, ..check(CheckStatus::Completed(CheckConclusion::Failure)) };
    github.create_check(&check, Timestamp::MAX).await.unwrap();
    let sent_annotations = sent(&fake, "POST", CHECKS).await["output"]["annotations"].as_array().unwrap().clone();
    assert_eq!(sent_annotations.len(), 50);
    let first = json!({
        "path": "dispatching.yml", "start_line": 1, "end_line": 2, "annotation_level": "warning", "title": "title",
        "message": "message",
    });
    assert_eq!(sent_annotations[0], first);
    github.update_check(CheckRunId(91), &check, Timestamp::MAX).await.unwrap();
    assert!(sent(&fake, "PATCH", CHECK).await["output"].get("annotations").is_none());
}

#[tokio::test]
async fn a_link_that_is_no_page_is_left_out() {
    let fake = Fake::start().await;
    fake.answer("POST", CHECKS, created(91)).await;
    let github = fake.github();
    for url in [None, Some(""), Some("javascript:alert(1)"), Some("https://x/\n")] {
        let check = Check { details_url: url.map(str::to_owned), ..check(CheckStatus::Queued) };
        github.create_check(&check, Timestamp::MAX).await.unwrap();
        assert!(sent(&fake, "POST", CHECKS).await.get("details_url").is_none(), "{url:?}");
    }
}

fn found(id: u64) -> Value {
    let check = check(CheckStatus::Queued);
    json!({
        "id": id, "name": check.name, "external_id": check.id, "head_sha": SHA, "app": { "id": 1234 },
        "status": "completed", "output": { "summary": null },
    })
}

#[tokio::test]
async fn the_newest_of_our_own_with_the_name_and_the_external_id_is_found() {
    type Change = fn(&mut Value);
    let others: [Change; 6] = [
        |check| check["app"]["id"] = 1235.into(),
        |check| check["app"] = Value::Null,
        |check| check["external_id"] = "cd".repeat(32).into(),
        |check| check["external_id"] = Value::Null,
        |check| check["name"] = "dispatch / infra / other.yml".into(),
        |check| check["head_sha"] = "f".repeat(40).into(),
    ];
    let others: Vec<Value> = others
        .into_iter()
        .map(|change| {
            let mut check = found(99);
            change(&mut check);
            check
        })
        .collect();
    for (ours, expected) in [(vec![], None), (vec![found(11), found(13), found(12)], Some(CheckRunId(13)))] {
        let fake = Fake::start().await;
        let listed = [others.clone(), ours].concat();
        fake.answer("GET", CHECKS_OF, ok(json!({ "total_count": 9, "check_runs": listed }))).await;
        assert_eq!(fake.github().find_check(&check(CheckStatus::Queued)).await, Ok(expected));
        let asked = &fake.requests("GET", CHECKS_OF).await[0];
        let query: Vec<(String, String)> = asked.url.query_pairs().into_owned().collect();
        let pairs = [
            ("check_name", "dispatch / infra / cd.yml"),
            ("app_id", "1234"),
            ("filter", "all"),
            ("per_page", "100"),
            ("page", "1"),
        ];
        assert_eq!(query, pairs.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(fake.minted().await, [only("checks", "write")]);
    }
}

#[tokio::test]
async fn not_found_is_only_said_when_everything_was_seen() {
    let fake = Fake::start().await;
    for (number, count) in [(1, 100), (2, 100), (3, 1)] {
        let mut listed = vec![found(7); count];
        if number != 2 {
            listed.iter_mut().for_each(|check| check["external_id"] = "cd".repeat(32).into());
        }
        Mock::given(method("GET"))
            .and(path(CHECKS_OF))
            .and(query_param("page", number.to_string()))
            .respond_with(ok(json!({ "check_runs": listed })))
            .mount(&fake.server)
            .await;
    }
    assert_eq!(fake.github().find_check(&check(CheckStatus::Queued)).await, Ok(Some(CheckRunId(7))));
    assert_eq!(fake.requests("GET", CHECKS_OF).await.len(), 3);
    for (answer, requests) in [
        (ok(json!({ "check_runs": vec![found(7); 100] })), 10),
        (ok(json!({ "check_runs": [{ "id": 7 }] })), 1),
        (ok(json!({})), 1),
        (ResponseTemplate::new(502), 1),
    ] {
        let fake = Fake::start().await;
        fake.answer("GET", CHECKS_OF, answer).await;
        let error = fake.github().find_check(&check(CheckStatus::Queued)).await.unwrap_err();
        assert!(matches!(&error, GitHubError::Unavailable(_)), "{error}");
        assert_eq!(fake.requests("GET", CHECKS_OF).await.len(), requests);
    }
}

#[tokio::test]
async fn a_missing_answer_is_in_doubt_and_a_refusal_is_none() {
    type Expected = fn(&GitHubError) -> bool;
    let in_doubt: Expected = |error| matches!(error, GitHubError::InDoubt(_));
    let refused: Expected = |error| matches!(error, GitHubError::Refused { permission: None, .. });
    let forbidden: Expected =
        |error| matches!(error, GitHubError::Refused { permission: Some(wanted), .. } if wanted == "checks=write");
    let missing = status(403, "Resource not accessible by integration");
    for (answer, expected) in [
        (ResponseTemplate::new(502), in_doubt),
        (ResponseTemplate::new(201).set_body_string("<html>"), in_doubt),
        (ok(json!({ "id": "91" })), in_doubt),
        (ResponseTemplate::new(301).insert_header("location", "/elsewhere"), refused),
        (missing.insert_header("x-accepted-github-permissions", "checks=write"), forbidden),
        (status(422, "No commit found for SHA"), refused),
    ] {
        let fake = Fake::start().await;
        fake.answer("POST", CHECKS, answer).await;
        let error = fake.github().create_check(&check(CheckStatus::Queued), Timestamp::MAX).await.unwrap_err();
        assert!(expected(&error), "{error}");
        assert_eq!(fake.requests("POST", CHECKS).await.len(), 1);
    }
}

#[tokio::test]
async fn what_is_too_long_or_too_late_is_not_sent() {
    let fake = Fake::start().await;
    let github = fake.github();
    let long = Check { summary: "ä".repeat(65_536), ..check(CheckStatus::Queued) };
    for refused in [
        github.create_check(&long, Timestamp::MAX).await.map(drop),
        github.update_check(CheckRunId(91), &long, Timestamp::MAX).await,
    ] {
        assert!(matches!(refused, Err(GitHubError::Refused { status: 422, .. })), "{refused:?}");
    }
    assert!(fake.log().await.is_empty());
    let late = github.create_check(&check(CheckStatus::Queued), Timestamp::UNIX_EPOCH).await;
    assert!(matches!(late, Err(GitHubError::Unavailable(_))), "{late:?}");
    assert!(fake.requests("POST", CHECKS).await.is_empty());
}
