//! Policy files at a commit, and the workflows of a repository.

use std::time::Duration;

use dispatch_core::policy::{MAX_BYTES, PolicyPath};
use dispatch_core::ports::github::{GitHubError, GitHubPort};
use dispatch_core::ports::pull_requests::{FileAt, PullRequestPort, WorkflowFound};
use serde_json::{Value, json};
use wiremock::ResponseTemplate;

use crate::fake::*;

async fn policy_at(answer: ResponseTemplate) -> Result<Option<FileAt>, GitHubError> {
    let fake = Fake::start().await;
    fake.answer("GET", FILE, answer).await;
    let read = fake.github().policy_at(&app_ref(), PolicyPath::Root, &SHA.parse().unwrap()).await;
    assert_eq!(fake.minted().await, [only("contents", "read")]);
    assert_eq!(fake.requests("GET", FILE).await[0].url.query(), Some(format!("ref={SHA}").as_str()));
    read
}

#[tokio::test]
async fn a_policy_is_read_at_the_commit_and_at_most_one_byte_too_long() {
    let mut there = file(b"inbound: []\n");
    there["sha"] = json!("3d21ec53a331a6f037a91c368710b99387d012c1");
    let expected =
        FileAt { bytes: b"inbound: []\n".to_vec(), blob_sha: "3d21ec53a331a6f037a91c368710b99387d012c1".into() };
    assert_eq!(policy_at(ok(there)).await, Ok(Some(expected)));
    let long = policy_at(ok(file(&vec![b'#'; MAX_BYTES + 1_000]))).await.unwrap().unwrap();
    assert_eq!(long.bytes.len(), MAX_BYTES + 1);
    let huge = json!({ "type": "file", "encoding": "none", "size": 2_000_000, "content": "", "sha": "x" });
    assert_eq!(policy_at(ok(huge)).await.unwrap().unwrap().bytes.len(), MAX_BYTES + 1);
}

#[tokio::test]
async fn what_is_no_file_at_the_commit_is_none() {
    for answer in
        [status(404, "Not Found"), ok(json!([{ "type": "file" }])), ok(json!({ "type": "submodule", "size": 0 }))]
    {
        assert_eq!(policy_at(answer).await, Ok(None));
    }
    let not_yet = policy_at(status(404, &format!("No commit found for the ref {SHA}"))).await;
    assert!(matches!(&not_yet, Err(GitHubError::Unavailable(_))), "{not_yet:?}");
    for answer in [
        ResponseTemplate::new(502),
        ResponseTemplate::new(301).insert_header("location", "/elsewhere"),
        ok(json!({ "type": "file", "encoding": "base64", "size": 1, "content": "%%%" })),
    ] {
        let read = policy_at(answer).await;
        assert!(matches!(&read, Err(GitHubError::Unavailable(_) | GitHubError::Refused { .. })), "{read:?}");
    }
}

fn listed(path: &str, state: &str) -> Value {
    json!({ "id": 1, "name": "$(id)", "path": path, "state": state })
}

fn text_of(file: &str) -> String {
    format!("/repos/acme/app/contents/.github/workflows/{file}")
}

async fn workflows(fake: &Fake, listed: &[Value]) -> Result<Vec<WorkflowFound>, GitHubError> {
    fake.answer("GET", WORKFLOWS, ok(json!({ "total_count": listed.len(), "workflows": listed }))).await;
    fake.github().workflows(&app_ref()).await
}

fn found(file: &str, active: bool, text: Option<&[u8]>) -> WorkflowFound {
    WorkflowFound { file: file.parse().unwrap(), active, text: text.map(<[u8]>::to_vec) }
}

#[tokio::test]
async fn the_workflows_are_told_with_their_texts() {
    let fake = Fake::start().await;
    fake.answer("GET", &text_of("cd.yml"), ok(file(b"on: push\n"))).await;
    fake.answer("GET", &text_of("old.yaml"), ok(file(b"on: pull_request\n"))).await;
    let listed = [
        listed(".github/workflows/cd.yml", "active"),
        listed(".github/workflows/old.yaml", "disabled_manually"),
        listed("dynamic/pages/pages-build-deployment", "active"),
        listed("evil/app/.github/workflows/cd.yml", "active"),
        listed(".github/workflows/../../secrets.yml", "active"),
    ];
    let expected =
        vec![found("cd.yml", true, Some(b"on: push\n")), found("old.yaml", false, Some(b"on: pull_request\n"))];
    assert_eq!(workflows(&fake, &listed).await, Ok(expected));
    assert_eq!(fake.minted().await, [only("actions", "read"), only("contents", "read")]);
    assert_eq!(fake.requests("GET", WORKFLOWS).await[0].url.query(), Some("per_page=100"));
    assert_eq!(fake.log().await.len(), 6, "an installation, two tokens, a list, two texts");
}

#[tokio::test]
async fn a_text_that_cannot_be_read_is_told_as_such_and_one_that_is_not_there_is_no_workflow() {
    let fake = Fake::start().await;
    let limit = 256 * 1024;
    for (name, answer) in [
        ("limit.yml", ok(file(&vec![b'#'; limit]))),
        ("long.yml", ok(file(&vec![b'#'; limit + 1]))),
        ("huge.yml", ResponseTemplate::new(200).set_body_bytes(vec![b' '; 2_000_000])),
        ("large.yml", ok(json!({ "type": "file", "encoding": "none", "size": 2_000_000, "content": "" }))),
        ("forbidden.yml", status(403, "Resource not accessible by integration")),
        ("elsewhere.yml", status(404, "Not Found")),
        ("folder.yml", ok(json!([]))),
    ] {
        fake.answer("GET", &text_of(name), answer).await;
    }
    let names = ["limit.yml", "long.yml", "huge.yml", "large.yml", "forbidden.yml", "elsewhere.yml", "folder.yml"];
    let listed: Vec<Value> = names.iter().map(|name| listed(&format!(".github/workflows/{name}"), "active")).collect();
    let expected = vec![
        found("limit.yml", true, Some(&vec![b'#'; limit])),
        found("long.yml", true, None),
        found("huge.yml", true, None),
        found("large.yml", true, None),
        found("forbidden.yml", true, None),
    ];
    assert_eq!(workflows(&fake, &listed).await, Ok(expected));
}

#[tokio::test]
async fn what_may_be_read_later_is_an_error_and_no_gap() {
    for answer in [ResponseTemplate::new(502), status(403, "wait").insert_header("retry-after", "7")] {
        let fake = Fake::start().await;
        fake.answer("GET", &text_of("cd.yml"), answer).await;
        let told = workflows(&fake, &[listed(".github/workflows/cd.yml", "active")]).await;
        assert!(matches!(told, Err(GitHubError::Unavailable(_) | GitHubError::RateLimited { .. })), "{told:?}");
    }
    for answer in [ok(json!({})), ok(json!({ "workflows": [{}] })), ResponseTemplate::new(502)] {
        let fake = Fake::start().await;
        fake.answer("GET", WORKFLOWS, answer).await;
        let told = fake.github().workflows(&app_ref()).await;
        assert!(matches!(told, Err(GitHubError::Unavailable(_))), "{told:?}");
    }
}

#[tokio::test]
async fn no_more_than_a_hundred_texts_are_read_and_sixteen_at_a_time() {
    let fake = Fake::start().await;
    let mut all = Vec::new();
    for number in 0..120 {
        let name = format!("w{number}.yml");
        let slow = ok(file(b"on: push\n")).set_delay(Duration::from_millis(20));
        fake.answer("GET", &text_of(&name), slow).await;
        all.push(listed(&format!(".github/workflows/{name}"), "active"));
    }
    fake.answer("GET", WORKFLOWS, ok(json!({ "workflows": all }))).await;
    let github = fake.github();
    let most = std::sync::atomic::AtomicU32::new(0);
    let watch = async {
        loop {
            let now = github.budgets().iter().map(|budget| budget.concurrent).max().unwrap_or_default();
            most.fetch_max(now, std::sync::atomic::Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let app = app_ref();
    let told = tokio::select! { told = github.workflows(&app) => told, () = watch => unreachable!() };
    assert_eq!(told.unwrap().len(), 100);
    let most = most.into_inner();
    assert!((2..=16).contains(&most), "{most} at a time");
}
