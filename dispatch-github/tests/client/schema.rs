//! Every request that the client can send is one of GitHub's operations, with a body that its description accepts.

use std::path::PathBuf;

use dispatch_core::Timestamp;
use dispatch_core::name::PullRequestNumber;
use dispatch_core::notice::{Check, CheckConclusion, CheckStatus, Reaction};
use dispatch_core::policy::PolicyPath;
use dispatch_core::ports::github::{FileRead, FileVersion, GitHubPort};
use dispatch_core::ports::issues::{IssueChange, IssuePort};
use dispatch_core::ports::{DeliveryLogPort, NoticePort, PullRequestPort};
use dispatch_github::GitHub;
use serde_json::{Value, json};
use wiremock::{Request, ResponseTemplate};

use crate::checks;
use crate::fake::*;

/// The operations that the client uses, and no others.
const OPERATIONS: [&str; 20] = [
    "GET /repos/{owner}/{repo}/installation",
    "POST /app/installations/{installation_id}/access_tokens",
    "GET /repos/{owner}/{repo}/contents/{path}",
    "GET /repos/{owner}/{repo}/compare/{basehead}",
    "POST /repos/{owner}/{repo}/actions/workflows/{workflow_id}/dispatches",
    "GET /repos/{owner}/{repo}/actions/runs",
    "GET /repos/{owner}/{repo}/issues",
    "POST /repos/{owner}/{repo}/issues",
    "PATCH /repos/{owner}/{repo}/issues/{issue_number}",
    "POST /repos/{owner}/{repo}/dispatches",
    "GET /repos/{owner}/{repo}/pulls/{pull_number}",
    "GET /repos/{owner}/{repo}/collaborators/{username}/permission",
    "GET /repos/{owner}/{repo}/issues/{issue_number}/comments",
    "POST /repos/{owner}/{repo}/issues/{issue_number}/comments",
    "PATCH /repos/{owner}/{repo}/issues/comments/{comment_id}",
    "POST /repos/{owner}/{repo}/issues/comments/{comment_id}/reactions",
    "POST /repos/{owner}/{repo}/check-runs",
    "PATCH /repos/{owner}/{repo}/check-runs/{check_run_id}",
    "GET /app/hook/deliveries",
    "POST /app/hook/deliveries/{delivery_id}/attempts",
];

/// Not in the description that the tests have: it is of the operations that most programs use.
const UNDESCRIBED: [&str; 4] = [
    "GET /app",
    "GET /repos/acme/app/actions/workflows",
    "GET /orgs/acme/teams/releases/memberships/octocat",
    "GET /repos/acme/app/commits/0123456789abcdef0123456789abcdef01234567/check-runs",
];

/// GitHub's REST description as JSON Schema, where `DISPATCH_GITHUB_FACTS` says that it is.
#[expect(clippy::print_stderr, reason = "a skipped check says so")]
fn description() -> Option<Value> {
    let Some(directory) = std::env::var_os("DISPATCH_GITHUB_FACTS") else {
        eprintln!("SKIPPED: DISPATCH_GITHUB_FACTS is not set");
        return None;
    };
    let file = PathBuf::from(directory).join("github-rest-jsonschema.json");
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    Some(serde_json::from_str(&text).unwrap())
}

/// Everything that the client can send.
async fn everything() -> Vec<Request> {
    let fake = Fake::start().await;
    let dot_github = "/repos/acme/app/contents/.github/dispatching.yml";
    fake.answer("GET", FILE, ok(file(b"{}")).insert_header("etag", "\"v1\"")).await;
    fake.answer("GET", dot_github, status(404, "Not Found")).await;
    fake.answer("POST", DISPATCHES, ResponseTemplate::new(204)).await;
    let known = FileVersion { etag: "\"v1\"".to_owned() };
    let by_name = fake.github();
    for (path, known) in [(PolicyPath::Root, None), (PolicyPath::Root, Some(&known)), (PolicyPath::DotGithub, None)] {
        by_name.read_file(&app(), None, path, known).await.unwrap();
    }
    let by_id = fake.github();
    assert!(matches!(by_id.read_file(&app(), Some(ID), PolicyPath::Root, None).await, Ok(FileRead::Found { .. })));
    let sha = "0123456789abcdef0123456789abcdef01234567".parse().unwrap();
    assert_eq!(by_id.commit_on_branch(&app_ref(), &"release/1.0".parse().unwrap(), &sha).await, Ok(false));
    assert_eq!(by_id.dispatch(&app_ref(), &cd(), Timestamp::MAX).await, Ok(None));
    fake.answer("GET", RUNS, ok(json!({ "total_count": 0, "workflow_runs": [] }))).await;
    by_id.runs_since(&app_ref(), Timestamp::UNIX_EPOCH).await.unwrap();
    fake.answer("GET", "/app", ok(json!({ "slug": "dispatch" }))).await;
    fake.answer("GET", ISSUES, ok(json!([]))).await;
    fake.answer("POST", ISSUES, ResponseTemplate::new(201).set_body_json(json!({ "number": 7 }))).await;
    fake.answer("PATCH", &format!("{ISSUES}/7"), ok(json!({}))).await;
    assert_eq!(by_id.find_issue(&app_ref(), "m").await, Ok(None));
    let number = by_id.create_issue(&app_ref(), "title", "text", Timestamp::MAX).await.unwrap();
    let change = IssueChange { body: Some("text"), open: Some(false) };
    by_id.update_issue(&app_ref(), number, change).await.unwrap();
    fake.answer("GET", "/app/hook/deliveries", ok(json!([]))).await;
    fake.answer("POST", "/app/hook/deliveries/17/attempts", ResponseTemplate::new(202)).await;
    by_id.attempts(Some("v1_17")).await.unwrap();
    by_id.redeliver(17).await.unwrap();
    about_pull_requests(&fake, &by_id).await;
    notices(&fake, &by_id).await;
    let requests = fake.server.received_requests().await.unwrap();
    let name = |request: &Request| format!("{} {}", request.method, request.url.path());
    for expected in UNDESCRIBED {
        assert!(requests.iter().any(|request| name(request) == expected), "{expected} was never sent");
    }
    requests.into_iter().filter(|request| !UNDESCRIBED.contains(&name(request).as_str())).collect()
}

async fn about_pull_requests(fake: &Fake, github: &GitHub) {
    fake.answer("POST", EVENTS, ResponseTemplate::new(204)).await;
    assert_eq!(github.dispatch(&app_ref(), &closed(), Timestamp::MAX).await, Ok(None));
    let octocat = "octocat".parse().unwrap();
    // Nothing else is answered: 404.
    assert_eq!(github.pull_request(&app_ref(), PullRequestNumber(7)).await, Ok(None));
    assert_eq!(github.permission(&app_ref(), &octocat).await, Ok(None));
    assert_eq!(github.is_team_member(&app_ref(), &"acme/releases".parse().unwrap(), &octocat).await, Ok(false));
    let policy = github.policy_at(&app_ref(), PolicyPath::Root, &SHA.parse().unwrap()).await;
    assert_eq!(policy.map(|file| file.map(|file| file.bytes)), Ok(Some(b"{}".to_vec())));
    let listed = json!({ "workflows": [{ "path": ".github/workflows/cd.yml", "state": "active" }] });
    fake.answer("GET", WORKFLOWS, ok(listed)).await;
    fake.answer("GET", "/repos/acme/app/contents/.github/workflows/cd.yml", ok(file(b"on: push"))).await;
    assert_eq!(github.workflows(&app_ref()).await.unwrap().len(), 1);
}

async fn notices(fake: &Fake, github: &GitHub) {
    fake.answer("GET", CHECKS_OF, ok(json!({ "check_runs": [] }))).await;
    fake.answer("POST", CHECKS, ResponseTemplate::new(201).set_body_json(json!({ "id": 91 }))).await;
    fake.answer("PATCH", CHECK, ok(json!({}))).await;
    use CheckConclusion::{ActionRequired, Cancelled, Failure, Neutral, Skipped, Success, TimedOut};
    let ended = [ActionRequired, Cancelled, Failure, Neutral, Success, Skipped, TimedOut].map(CheckStatus::Completed);
    for status in [CheckStatus::Queued, CheckStatus::InProgress].into_iter().chain(ended) {
        let annotations = (1..=60).map(checks::annotation).collect();
        let check = Check { annotations, ..checks::check(status) };
        assert_eq!(github.find_check(&check).await, Ok(None));
        let id = github.create_check(&check, Timestamp::MAX).await.unwrap();
        github.update_check(id, &check, Timestamp::MAX).await.unwrap();
    }
    fake.answer("GET", COMMENTS, ok(json!([]))).await;
    fake.answer("POST", COMMENTS, ResponseTemplate::new(201).set_body_json(json!({ "id": 31 }))).await;
    fake.answer("PATCH", COMMENT, ok(json!({}))).await;
    fake.answer("POST", REACTIONS, ok(json!({}))).await;
    let number = PullRequestNumber(7);
    assert_eq!(github.find_comment(&app_ref(), number, "m").await, Ok(None));
    let id = github.create_comment(&app_ref(), number, "text", Timestamp::MAX).await.unwrap();
    github.update_comment(&app_ref(), id, "text", Timestamp::MAX).await.unwrap();
    for reaction in [Reaction::Eyes, Reaction::Confused] {
        github.react(&app_ref(), id, reaction).await.unwrap();
    }
}

/// Which operation a request is.
fn operation(request: &Request) -> &'static str {
    let given: Vec<&str> = request.url.path().split('/').collect();
    let fits = |operation: &&str| {
        let (method, template) = operation.split_once(' ').unwrap();
        let template: Vec<&str> = template.split('/').collect();
        // `{path}` is the one parameter that may hold slashes.
        let open = template.last() == Some(&"{path}") && given.len() >= template.len();
        request.method.as_str() == method
            && (open || template.len() == given.len())
            && template
                .iter()
                .zip(&given)
                .all(|(name, given)| name == given || name.starts_with('{') && !given.is_empty())
    };
    OPERATIONS.into_iter().find(fits).unwrap_or_else(|| panic!("{} {}", request.method, request.url))
}

#[tokio::test]
async fn every_request_is_one_of_githubs_operations() {
    let requests = everything().await;
    for expected in OPERATIONS {
        assert!(requests.iter().any(|request| operation(request) == expected), "{expected} was never sent");
    }
    let Some(description) = description() else { return };
    for request in requests {
        let name = operation(&request);
        let operation = &description["operations"][name];
        assert!(operation.is_object(), "{name} is not described");
        let queries: Vec<&str> = operation["parameters"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|p| p["in"] == "query")
            .map(|p| p["name"].as_str().unwrap())
            .collect();
        for (query, _) in request.url.query_pairs() {
            assert!(queries.contains(&&*query), "{name}: `{query}` is not described");
        }
        match &operation["request"] {
            Value::Null => assert!(request.body.is_empty(), "{name} takes no body"),
            body => {
                let mut schema = json!({ "$defs": description["$defs"] });
                schema["allOf"] = json!([body]);
                let sent: Value = request.body_json().unwrap();
                if let Err(error) = jsonschema::validate(&schema, &sent) {
                    panic!("{name}: {error}: {sent}");
                }
                // GitHub's description lets unknown properties pass; a misspelt one would do nothing.
                for property in sent.as_object().unwrap().keys() {
                    assert!(body["properties"].get(property).is_some(), "{name}: `{property}` is not described");
                }
            }
        }
    }
}
