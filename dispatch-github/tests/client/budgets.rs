//! GitHub's limits: who must wait, for how long, and who goes on.

use std::time::Duration;

use dispatch_core::Timestamp;
use dispatch_core::name::{InstallationId, Repository};
use dispatch_core::policy::PolicyPath;
use dispatch_core::ports::github::{FileRead, GitHubError, GitHubPort, RateLimitReset};
use dispatch_github::{GitHub, GitHubOptions};
use serde_json::json;
use wiremock::ResponseTemplate;

use crate::fake::*;

const OTHER_FILE: &str = "/repos/acme/other/contents/dispatching.yml";

fn other() -> Repository {
    "acme/other".parse().unwrap()
}

/// `acme/app` with installation 7, `acme/other` with installation 8, and a file in each.
async fn two_installations(answer: ResponseTemplate) -> Fake {
    let fake = Fake::start().await;
    fake.install("acme/other", 43, 8).await;
    fake.answer_once("GET", FILE, answer).await;
    fake.answer("GET", FILE, ok(file(b"{}"))).await;
    fake.answer("GET", OTHER_FILE, ok(file(b"{}"))).await;
    fake.answer("POST", DISPATCHES, ResponseTemplate::new(204)).await;
    fake
}

async fn read(github: &GitHub, repository: &Repository) -> Result<FileRead, GitHubError> {
    github.read_file(repository, None, PolicyPath::Root, None).await
}

/// How long an error says to wait, in whole seconds.
fn pause(error: &GitHubError) -> Option<i64> {
    let GitHubError::RateLimited { until: RateLimitReset::At(until), .. } = error else { return None };
    Some(until.duration_since(Timestamp::now()).as_secs() + 1)
}

#[tokio::test]
async fn after_a_rate_limit_nothing_is_sent_for_the_installation_and_others_go_on() {
    let reset = (Timestamp::now().as_second() + 600).to_string();
    let spent = |answer: ResponseTemplate| {
        answer
            .insert_header("x-ratelimit-limit", "5000")
            .insert_header("x-ratelimit-remaining", "0")
            .insert_header("x-ratelimit-reset", reset.as_str())
    };
    for (case, answer, limited, seconds) in [
        ("retry-after", status(403, "wait").insert_header("retry-after", "7"), true, 7),
        ("nothing remains", spent(status(403, "API rate limit exceeded")), true, 600),
        ("a secondary limit", status(403, "You have exceeded a secondary rate limit."), true, 60),
        ("429", status(429, "slow down"), true, 60),
        ("the last request of the hour", spent(ok(file(b"{}"))), false, 600),
    ] {
        let fake = two_installations(answer).await;
        let github = fake.github();
        let first = read(&github, &app()).await;
        assert_eq!(matches!(first, Err(GitHubError::RateLimited { .. })), limited, "{case}: {first:?}");
        let sent = fake.requests("GET", FILE).await.len();

        let error = read(&github, &app()).await.unwrap_err();
        let waits = pause(&error).unwrap_or_else(|| panic!("{case}: {error:?}"));
        assert!((seconds - 2..=seconds).contains(&waits), "{case}: {waits} s");
        let later = Timestamp::now() + Duration::from_secs(60);
        assert!(pause(&github.dispatch(&app_ref(), &cd(), later).await.unwrap_err()).is_some(), "{case}");
        assert_eq!(fake.requests("GET", FILE).await.len(), sent, "{case}");
        assert!(fake.requests("POST", DISPATCHES).await.is_empty(), "{case}");

        assert!(matches!(read(&github, &other()).await, Ok(FileRead::Found { .. })), "{case}");
        let paused: Vec<(InstallationId, bool)> =
            github.budgets().iter().map(|budget| (budget.installation, budget.paused_until.is_some())).collect();
        assert_eq!(paused, [(InstallationId(7), true), (InstallationId(8), false)], "{case}");
    }
}

#[tokio::test]
async fn a_short_pause_ends_by_itself() {
    let fake = two_installations(status(429, "wait").insert_header("retry-after", "1")).await;
    let github = fake.github();
    read(&github, &app()).await.unwrap_err();
    assert!(pause(&read(&github, &app()).await.unwrap_err()).is_some());
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert!(matches!(read(&github, &app()).await, Ok(FileRead::Found { .. })));
}

#[tokio::test]
async fn the_points_of_a_minute_are_never_exceeded() {
    let fake = two_installations(ok(file(b"{}"))).await;
    // Minting costs the App 6 points for each token, reading and dispatching cost the installation 1 and 5.
    let options = GitHubOptions { api_url: fake.server.uri(), points_per_minute: 14, ..options() };
    let github = GitHub::new(options).unwrap();
    let later = Timestamp::now() + Duration::from_secs(60);
    // Reads may spend 60 % of it.
    for _ in 0..8 {
        read(&github, &app()).await.unwrap();
    }
    github.dispatch(&app_ref(), &cd(), later).await.unwrap();
    let error = read(&github, &app()).await.unwrap_err();
    let GitHubError::RateLimited { until: RateLimitReset::After(wait), .. } = error else { panic!("{error}") };
    assert!(wait > Duration::from_secs(50) && wait <= Duration::from_secs(61), "{wait:?}");
    assert!(matches!(github.dispatch(&app_ref(), &cd(), later).await, Err(GitHubError::RateLimited { .. })));
    assert_eq!(fake.requests("GET", FILE).await.len(), 8);
    assert_eq!(fake.requests("POST", DISPATCHES).await.len(), 1);
    assert_eq!(github.budgets()[0].points_left, 1);
    // The App's own are used up too: two tokens and one installation cost 11.
    let error = read(&github, &other()).await.unwrap_err();
    assert!(matches!(error, GitHubError::RateLimited { until: RateLimitReset::After(_), .. }), "{error:?}");
    assert!(fake.requests("POST", "/app/installations/8/access_tokens").await.is_empty());
}

#[tokio::test]
async fn a_limit_of_the_app_pauses_what_needs_a_new_token_and_nothing_else() {
    let fake = Fake::start().await;
    fake.answer("GET", FILE, ok(file(b"{}"))).await;
    let limited = status(429, "slow down").insert_header("retry-after", "7");
    fake.answer("GET", "/repos/acme/other/installation", limited).await;
    fake.answer("GET", "/repos/acme/third/installation", ok(json!({ "id": 7 }))).await;
    let github = fake.github();
    read(&github, &app()).await.unwrap();
    let error = read(&github, &other()).await.unwrap_err();
    assert!(matches!(error, GitHubError::RateLimited { until: RateLimitReset::After(_), .. }), "{error:?}");
    assert!(pause(&read(&github, &"acme/third".parse().unwrap()).await.unwrap_err()).is_some());
    assert!(fake.requests("GET", "/repos/acme/third/installation").await.is_empty());
    assert!(matches!(read(&github, &app()).await, Ok(FileRead::Found { .. })));
}
