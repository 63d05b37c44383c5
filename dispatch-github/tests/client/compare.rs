//! How a commit lies to a branch.

use dispatch_core::name::CommitSha;
use dispatch_core::ports::github::{GitHubError, GitHubPort};
use dispatch_core::ports::pull_requests::PullRequestPort;
use serde_json::json;
use wiremock::Mock;
use wiremock::ResponseTemplate;
use wiremock::matchers::any;

use crate::fake::*;

const SHA: &str = "0123456789abcdef0123456789abcdef01234567";

async fn on_branch(branch: &str, answer: ResponseTemplate) -> (Result<bool, GitHubError>, Vec<String>) {
    let fake = Fake::start().await;
    Mock::given(any()).respond_with(answer).with_priority(9).mount(&fake.server).await;
    let on = fake.github().commit_on_branch(&app_ref(), &branch.parse().unwrap(), &SHA.parse().unwrap()).await;
    let asked = fake.server.received_requests().await.unwrap().split_off(2.min(fake.log().await.len()));
    (on, asked.iter().map(|request| format!("{}?{}", request.url.path(), request.url.query().unwrap_or(""))).collect())
}

#[tokio::test]
async fn what_github_says_of_the_commit_seen_from_the_branch() {
    for (word, expected) in [("identical", true), ("behind", true), ("ahead", false), ("diverged", false)] {
        let (on, asked) = on_branch("main", ok(json!({ "status": word, "commits": [] }))).await;
        assert_eq!(on, Ok(expected), "{word}");
        assert_eq!(asked, [format!("/repos/acme/app/compare/refs%2Fheads%2Fmain...{SHA}?page=2&per_page=1")]);
    }
}

#[tokio::test]
async fn a_branch_or_a_commit_that_is_not_there_is_a_no() {
    assert_eq!(on_branch("main", status(404, "Not Found")).await.0, Ok(false));
}

#[tokio::test]
async fn an_answer_that_says_neither_is_no_answer() {
    for answer in [
        ok(json!({ "status": "sideways" })),
        ok(json!({})),
        status(500, "oops"),
        ok(json!({ "status": "behind", "padding": "x".repeat(3_000_000) })),
    ] {
        let (on, _) = on_branch("main", answer).await;
        assert!(matches!(on, Err(GitHubError::Unavailable(_))), "{on:?}");
    }
}

#[tokio::test]
async fn crafted_branch_names_reach_no_other_endpoint() {
    for branch in ["../../../user", "a/../../x", "x...y", "stranger:main", "main?x=", "a b", "~1", "a\\b"] {
        let (on, asked) = on_branch(branch, ok(json!({ "status": "behind" }))).await;
        assert_eq!((on, asked.len()), (Ok(false), 0), "{branch}");
    }
    for branch in ["release/1.0", "a#b", "a%2e%2e%2fb", "$(id)", "größe&x=y", "@"] {
        let (_, asked) = on_branch(branch, ok(json!({ "status": "behind" }))).await;
        assert!(asked[0].starts_with("/repos/acme/app/compare/refs%2Fheads%2F"), "{asked:?}");
        assert!(asked[0].ends_with(&format!("...{SHA}?page=2&per_page=1")), "{asked:?}");
    }
}

async fn merge_base(answer: ResponseTemplate) -> Result<Option<CommitSha>, GitHubError> {
    let fake = Fake::start().await;
    Mock::given(any()).respond_with(answer).with_priority(9).mount(&fake.server).await;
    let base = fake.github().merge_base(&app_ref(), &"main".parse().unwrap(), &SHA.parse().unwrap()).await;
    assert_eq!(fake.minted().await, [only("contents", "read")]);
    let asked = fake.server.received_requests().await.unwrap();
    assert_eq!(asked.last().unwrap().url.path(), format!("/repos/acme/app/compare/refs%2Fheads%2Fmain...{SHA}"));
    base
}

#[tokio::test]
async fn the_newest_common_commit_is_the_merge_base() {
    let base = "89abcdef0123456789abcdef0123456789abcdef";
    let answer = json!({ "status": "diverged", "merge_base_commit": { "sha": base, "parents": [] }, "commits": [] });
    assert_eq!(merge_base(ok(answer)).await, Ok(Some(base.parse().unwrap())));
    let unrelated = "No common ancestor between refs/heads/main and 0123456789abcdef0123456789abcdef01234567.";
    assert_eq!(merge_base(status(404, unrelated)).await, Ok(None));
    for answer in [
        ok(json!({ "status": "diverged" })),
        ok(json!({ "status": "diverged", "merge_base_commit": { "sha": "main" } })),
        status(500, "oops"),
    ] {
        let told = merge_base(answer).await;
        assert!(matches!(told, Err(GitHubError::Unavailable(_))), "{told:?}");
    }
}
