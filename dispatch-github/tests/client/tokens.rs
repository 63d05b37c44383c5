//! Who asks: one token for each repository and permission, minted once.

use std::time::Duration;

use dispatch_core::Timestamp;
use dispatch_core::name::{InstallationId, RepositoryId};
use dispatch_core::policy::PolicyPath;
use dispatch_core::ports::github::{Budget, FileRead, GitHubError, GitHubPort, PrimaryLimit};
use serde_json::{Value, json};
use wiremock::ResponseTemplate;

use crate::fake::*;

#[tokio::test]
async fn ten_concurrent_reads_mint_one_token() {
    let fake = Fake::start().await;
    fake.answer("GET", FILE, ok(file(b"{}"))).await;
    let github = fake.github();
    let app = app();
    let reads = (0..10).map(|_| github.read_file(&app, None, PolicyPath::Root, None));
    for read in futures_util::future::join_all(reads).await {
        assert!(matches!(read.unwrap(), FileRead::Found { .. }));
    }
    assert_eq!(fake.requests("GET", INSTALLATION).await.len(), 1);
    assert_eq!(fake.requests("POST", TOKENS).await.len(), 1);
    assert_eq!(fake.requests("GET", FILE).await.len(), 10);
}

#[tokio::test]
async fn ten_concurrent_reads_fail_by_one_request() {
    let fake = Fake::bare().await;
    fake.answer("GET", INSTALLATION, ResponseTemplate::new(502).set_delay(Duration::from_millis(50))).await;
    let github = fake.github();
    let app = app();
    let reads = (0..10).map(|_| github.read_file(&app, None, PolicyPath::Root, None));
    assert!(futures_util::future::join_all(reads).await.iter().all(Result::is_err));
    assert_eq!(fake.requests("GET", INSTALLATION).await.len(), 1);
}

#[tokio::test]
async fn by_name_the_token_is_for_that_name_and_says_which_repository_it_is() {
    let fake = Fake::start().await;
    fake.answer("GET", FILE, ok(file(b"{}"))).await;
    fake.answer("GET", "/repos/ACME/App/contents/dispatching.yml", ok(file(b"{}"))).await;
    let github = fake.github();
    let FileRead::Found { repository, .. } = github.read_file(&app(), None, PolicyPath::Root, None).await.unwrap()
    else {
        panic!("not found")
    };
    assert_eq!(repository, FOUND);
    let minted: Value = fake.requests("POST", TOKENS).await[0].body_json().unwrap();
    assert_eq!(minted, json!({ "repositories": ["app"], "permissions": { "contents": "read" } }));
    // Whoever knows the id, or writes the name in another case, shares it.
    github.read_file(&app(), Some(ID), PolicyPath::Root, None).await.unwrap();
    github.read_file(&"ACME/App".parse().unwrap(), None, PolicyPath::Root, None).await.unwrap();
    assert_eq!(fake.requests("POST", TOKENS).await.len(), 1);
}

#[tokio::test]
async fn each_repository_and_each_permission_has_its_own_token() {
    let fake = Fake::start().await;
    fake.install("acme/other", 43, 8).await;
    fake.answer("GET", FILE, ok(file(b"{}"))).await;
    fake.answer("GET", "/repos/acme/other/contents/dispatching.yml", ok(file(b"{}"))).await;
    fake.answer("POST", DISPATCHES, ResponseTemplate::new(204)).await;
    let github = fake.github();
    github.read_file(&app(), None, PolicyPath::Root, None).await.unwrap();
    github.read_file(&"acme/other".parse().unwrap(), None, PolicyPath::Root, None).await.unwrap();
    github.dispatch(&app_ref(), &cd(), Timestamp::MAX).await.unwrap();
    let used = |request: &wiremock::Request| request.headers["authorization"].to_str().unwrap().to_owned();
    assert_eq!(used(&fake.requests("GET", FILE).await[0]), "Bearer ghs_secret_1");
    assert_eq!(
        used(&fake.requests("GET", "/repos/acme/other/contents/dispatching.yml").await[0]),
        "Bearer ghs_secret_2"
    );
    assert_eq!(used(&fake.requests("POST", DISPATCHES).await[0]), "Bearer ghs_secret_3");
}

#[tokio::test]
async fn a_token_is_not_used_in_its_last_five_minutes() {
    for (minutes, minted) in [(60, 1), (6, 1), (4, 2), (0, 2)] {
        let fake = Fake::bare().await;
        fake.answer("GET", INSTALLATION, ok(json!({ "id": 7 }))).await;
        let lifetime = Duration::from_secs(minutes * 60);
        let repository = json!([{ "id": 42, "full_name": "acme/app", "private": true }]);
        fake.answer("POST", TOKENS, token("ghs_secret", lifetime, &repository)).await;
        fake.answer("GET", FILE, ok(file(b"{}"))).await;
        let github = fake.github();
        for _ in 0..2 {
            github.read_file(&app(), None, PolicyPath::Root, None).await.unwrap();
        }
        assert_eq!(fake.requests("POST", TOKENS).await.len(), minted, "{minutes} minutes");
    }
}

#[tokio::test]
async fn a_tokens_life_is_counted_by_githubs_clock() {
    let fake = Fake::bare().await;
    fake.answer("GET", INSTALLATION, ok(json!({ "id": 7 }))).await;
    let body = json!({
        "token": "ghs_secret", "expires_at": "2016-07-11T22:14:10Z",
        "repositories": [{ "id": 42, "full_name": "acme/app", "private": true }],
    });
    let answer = ok(body).insert_header("date", "Mon, 11 Jul 2016 21:14:10 GMT");
    fake.answer("POST", TOKENS, answer).await;
    fake.answer("GET", FILE, ok(file(b"{}"))).await;
    let github = fake.github();
    for _ in 0..2 {
        github.read_file(&app(), None, PolicyPath::Root, None).await.unwrap();
    }
    assert_eq!(fake.requests("POST", TOKENS).await.len(), 1);
}

#[tokio::test]
async fn without_the_app_nothing_is_asked_and_that_is_remembered_for_a_while() {
    for answer in [status(404, "Not Found"), ok(json!({ "id": 7, "suspended_at": "2026-01-01T00:00:00Z" }))] {
        let fake = Fake::bare().await;
        fake.answer("GET", INSTALLATION, answer).await;
        let github = fake.github();
        for path in PolicyPath::ALL {
            let read = github.read_file(&app(), None, path, None).await;
            assert_eq!(read.unwrap(), FileRead::NotInstalled);
        }
        assert_eq!(fake.log().await, [format!("GET {INSTALLATION}")]);
    }
}

#[tokio::test]
async fn a_suspended_installation_is_none() {
    let fake = Fake::start().await;
    fake.answer("GET", FILE, status(403, "This installation has been suspended")).await;
    fake.answer("POST", DISPATCHES, status(403, "This installation has been suspended")).await;
    let github = fake.github();
    let read = github.read_file(&app(), None, PolicyPath::Root, None).await;
    assert_eq!(read.unwrap(), FileRead::NotInstalled);
    assert_eq!(github.dispatch(&app_ref(), &cd(), Timestamp::MAX).await, Err(GitHubError::NotInstalled(app())));
}

#[tokio::test]
async fn what_is_left_of_each_installations_rate_limit_is_known() {
    let fake = Fake::start().await;
    let limits = |remaining: &'static str| {
        status(404, "Not Found")
            .insert_header("x-ratelimit-limit", "5000")
            .insert_header("x-ratelimit-remaining", remaining)
            .insert_header("x-ratelimit-reset", "1795176100")
    };
    fake.answer_once("GET", FILE, limits("4999")).await;
    fake.answer("GET", FILE, limits("4998")).await;
    let github = fake.github();
    assert_eq!(github.budgets(), []);
    for _ in 0..2 {
        github.read_file(&app(), None, PolicyPath::Root, None).await.unwrap();
    }
    let reset = "2026-11-20T12:01:40Z".parse().unwrap();
    let expected = Budget {
        installation: InstallationId(7),
        primary: Some(PrimaryLimit { limit: 5000, remaining: 4998, reset }),
        points_left: 898,
        concurrent: 0,
        paused_until: None,
    };
    assert_eq!(github.budgets(), [expected]);
}

#[tokio::test]
async fn a_moved_name_has_no_token() {
    let fake = Fake::bare().await;
    fake.answer(
        "GET",
        INSTALLATION,
        ResponseTemplate::new(301).insert_header("location", "/repositories/42/installation"),
    )
    .await;
    let read = fake.github().read_file(&app(), None, PolicyPath::Root, None).await;
    assert_eq!(read.unwrap(), FileRead::NoSuchRepository);
    assert_eq!(fake.log().await, [format!("GET {INSTALLATION}")]);
}

#[tokio::test]
async fn an_app_that_was_installed_again_is_looked_up_again() {
    let fake = Fake::bare().await;
    fake.answer_once("GET", INSTALLATION, ok(json!({ "id": 6 }))).await;
    fake.answer("POST", "/app/installations/6/access_tokens", status(404, "Not Found")).await;
    fake.install("acme/app", 42, 7).await;
    fake.answer("GET", FILE, ok(file(b"{}"))).await;
    let read = fake.github().read_file(&app(), None, PolicyPath::Root, None).await;
    assert!(matches!(read.unwrap(), FileRead::Found { .. }));
}

#[tokio::test]
async fn a_file_that_is_still_missing_makes_a_token_by_name_ask_anew() {
    let fake = Fake::start().await;
    fake.answer("GET", FILE, status(404, "Not Found")).await;
    let github = fake.github();
    for (look, minted) in [(1, 1), (2, 1), (3, 2), (4, 2)] {
        github.read_file(&app(), None, PolicyPath::Root, None).await.unwrap();
        assert_eq!(fake.requests("POST", TOKENS).await.len(), minted, "look {look}");
    }
}

#[tokio::test]
async fn a_token_made_for_one_repository_is_no_token_for_another_of_that_name() {
    let fake = Fake::bare().await;
    fake.answer("GET", INSTALLATION, ok(json!({ "id": 7 }))).await;
    let named = |id: u64| json!([{ "id": id, "full_name": "acme/app", "private": false }]);
    fake.answer_once("POST", TOKENS, token("ghs_old", Duration::from_secs(3600), &named(42))).await;
    fake.answer("POST", TOKENS, token("ghs_new", Duration::from_secs(3600), &named(43))).await;
    fake.answer("GET", FILE, ok(file(b"{}"))).await;
    let github = fake.github();
    let found = async |id: Option<u64>| {
        let read = github.read_file(&app(), id.map(RepositoryId), PolicyPath::Root, None).await;
        match read.unwrap() {
            FileRead::Found { repository, .. } => Some(repository.id.0),
            _ => None,
        }
    };
    assert_eq!(found(None).await, Some(42));
    assert_eq!(found(Some(43)).await, Some(43), "the name was recreated");
    assert_eq!(found(None).await, Some(43), "the newest knowledge of the name counts");
}
