//! The runs of a repository.

use dispatch_core::Timestamp;
use dispatch_core::dispatch::{FollowedRun, FollowedStage, StartedRun};
use dispatch_core::event::Conclusion;
use dispatch_core::name::RunId;
use dispatch_core::ports::github::{GitHubError, GitHubPort, ListedRun, RunListing};
use serde_json::{Value, json};
use wiremock::matchers::{method, path, query_param};
use wiremock::{Mock, ResponseTemplate};

use crate::fake::*;

/// 2026-11-20T12:00:00Z and some seconds.
fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_795_176_000 + seconds).unwrap()
}

fn run(id: u64, created_at: Timestamp) -> Value {
    json!({
        "id": id, "created_at": created_at, "html_url": format!("https://github.com/acme/app/actions/runs/{id}"),
        "path": ".github/workflows/cd.yml@main", "display_title": "deploy", "event": "workflow_dispatch", "head_branch": "main",
        "actor": { "login": "dispatch[bot]", "id": 1 }, "name": null, "pull_requests": [],
    })
}

/// Runs with these ids, one a second back from second 5,000.
fn runs(ids: impl Iterator<Item = u64>) -> Vec<Value> {
    ids.map(|id| run(id, at(id.cast_signed()))).collect()
}

async fn page(fake: &Fake, number: usize, runs: &[Value], total: Option<usize>) {
    let mut body = json!({ "workflow_runs": runs });
    if let Some(total) = total {
        body["total_count"] = total.into();
    }
    // GitHub's `link` leads elsewhere here: nobody may follow it.
    let answer = ok(body).insert_header("link", format!("<{}/elsewhere?page=2>; rel=\"next\"", fake.server.uri()));
    Mock::given(method("GET"))
        .and(path(RUNS))
        .and(query_param("page", number.to_string()))
        .and(query_param("per_page", "100"))
        .respond_with(answer)
        .mount(&fake.server)
        .await;
}

fn ids(listing: &RunListing) -> Vec<u64> {
    listing.runs.iter().map(|listed| listed.run.id.0).collect()
}

#[tokio::test]
async fn a_run_that_ended_is_told_with_how_it_ended() {
    let fake = Fake::start().await;
    let ended = |id, status: &str, conclusion: &str| {
        let mut run = run(id, at(3));
        run["status"] = json!(status);
        run["conclusion"] = json!(conclusion);
        run["run_attempt"] = json!(2);
        run["updated_at"] = json!(at(9));
        run
    };
    let runs = [ended(17, "completed", "success"), ended(16, "completed", "new word"), ended(15, "in_progress", "")];
    page(&fake, 1, &runs, Some(3)).await;
    let listing = fake.github().runs_since(&app_ref(), at(0)).await.unwrap();
    let so = |id: u64, conclusion| {
        let url = format!("https://github.com/acme/app/actions/runs/{id}");
        Some(FollowedRun { attempt: 2, stage: FollowedStage::Completed(conclusion), url, at: at(9) })
    };
    let told: Vec<_> = listing.runs.into_iter().map(|run| run.ended).collect();
    assert_eq!(told, [so(17, Some(Conclusion::Success)), so(16, None), None]);
}

#[tokio::test]
async fn a_run_is_told_with_what_recognises_it() {
    let fake = Fake::start().await;
    page(&fake, 1, &[run(17, at(3))], Some(1)).await;
    let listing = fake.github().runs_since(&app_ref(), at(0)).await.unwrap();
    let listed = ListedRun {
        title: "deploy".to_owned(),
        run: StartedRun { id: RunId(17), url: "https://github.com/acme/app/actions/runs/17".to_owned() },
        workflow: Some("cd.yml".parse().unwrap()),
        event: "workflow_dispatch".to_owned(),
        head_branch: Some("main".parse().unwrap()),
        actor: Some("dispatch[bot]".parse().unwrap()),
        created_at: at(3),
        ended: None,
    };
    assert_eq!(listing, RunListing { runs: vec![listed], complete: true });
    let minted: Value = fake.requests("POST", TOKENS).await[0].body_json().unwrap();
    assert_eq!(minted, json!({ "repository_ids": [42], "permissions": { "actions": "read" } }));
    let asked = &fake.requests("GET", RUNS).await[0];
    assert_eq!(asked.url.query(), Some("per_page=100&page=1"), "no filter");
}

#[tokio::test]
async fn the_whole_second_counts_because_github_tells_no_fraction() {
    let fake = Fake::start().await;
    page(&fake, 1, &[run(3, at(11)), run(2, at(10)), run(1, at(9))], Some(3)).await;
    let claimed = at(10).checked_add(std::time::Duration::from_millis(900)).unwrap();
    let listing = fake.github().runs_since(&app_ref(), claimed).await.unwrap();
    assert_eq!((ids(&listing), listing.complete), (vec![3, 2], true));
}

#[tokio::test]
async fn pages_are_read_until_a_run_is_older() {
    let fake = Fake::start().await;
    page(&fake, 1, &runs((4_901..=5_000).rev()), Some(5_000)).await;
    // A run started between the two requests: 4,901 comes again.
    page(&fake, 2, &runs((4_802..=4_901).rev()), Some(5_001)).await;
    let github = fake.github();
    let listing = github.runs_since(&app_ref(), at(4_850)).await.unwrap();
    assert_eq!((ids(&listing), listing.complete), ((4_850..=5_000).rev().collect(), true));
    assert_eq!(fake.requests("GET", RUNS).await.len(), 2);
    assert!(fake.requests("GET", "/elsewhere").await.is_empty());
}

#[tokio::test]
async fn after_ten_pages_the_list_is_not_complete() {
    let fake = Fake::start().await;
    for number in 1..=11 {
        let newest = 5_001 - 100 * (number - 1);
        page(&fake, usize::try_from(number).unwrap(), &runs((newest - 100..newest).rev()), Some(5_000)).await;
    }
    let listing = fake.github().runs_since(&app_ref(), at(0)).await.unwrap();
    assert_eq!((listing.runs.len(), listing.complete), (1_000, false));
    assert_eq!(fake.requests("GET", RUNS).await.len(), 10);
}

#[tokio::test]
async fn the_end_of_a_short_list_is_known_by_its_count_or_by_an_empty_page() {
    for (total, requests, complete) in [(Some(2), 1, true), (None, 2, true), (Some(3), 2, false)] {
        let fake = Fake::start().await;
        page(&fake, 1, &[run(2, at(2)), run(1, at(1))], total).await;
        page(&fake, 2, &[], total).await;
        let listing = fake.github().runs_since(&app_ref(), at(0)).await.unwrap();
        assert_eq!((ids(&listing), listing.complete), (vec![2, 1], complete), "{total:?}");
        assert_eq!(fake.requests("GET", RUNS).await.len(), requests, "{total:?}");
    }
}

#[tokio::test]
async fn what_cannot_be_a_name_is_none_and_the_run_is_still_there() {
    let fake = Fake::start().await;
    let strange = json!({
        "id": 17, "created_at": at(1), "html_url": "javascript:alert(1)", "path": "dynamic/x", "event": "e".repeat(200),
        "head_branch": "a\u{1b}b", "display_title": "ü".repeat(201), "actor": { "login": "no login" },
    });
    let bare =
        json!({ "id": 16, "created_at": at(1), "path": null, "event": null, "head_branch": null, "actor": null });
    page(&fake, 1, &[strange, bare], Some(2)).await;
    let listing = fake.github().runs_since(&app_ref(), at(0)).await.unwrap();
    let nameless = |id| ListedRun {
        title: String::new(),
        run: StartedRun { id: RunId(id), url: String::new() },
        workflow: None,
        event: String::new(),
        head_branch: None,
        actor: None,
        created_at: at(1),
        ended: None,
    };
    let titled = ListedRun { title: "ü".repeat(200), ..nameless(17) };
    assert_eq!(listing.runs, [titled, nameless(16)]);
}

#[tokio::test]
async fn a_list_that_cannot_be_understood_is_no_list() {
    for (answer, expected) in [
        (
            ok(json!({ "total_count": 1, "workflow_runs": [{ "id": 17 }] })),
            "200 OK, but its body: cannot be understood",
        ),
        (ok(json!({})), "200 OK, but its body: cannot be understood"),
        (ResponseTemplate::new(200).set_body_bytes(vec![b' '; 9_000_000]), "200 OK, but its body: is too long"),
        (ResponseTemplate::new(502), "502 Bad Gateway"),
    ] {
        let fake = Fake::start().await;
        fake.answer("GET", RUNS, answer).await;
        let listed = fake.github().runs_since(&app_ref(), at(0)).await;
        assert_eq!(listed, Err(GitHubError::Unavailable(expected.to_owned())));
    }
    let fake = Fake::start().await;
    fake.answer("GET", RUNS, status(403, "Resource not accessible by integration")).await;
    let listed = fake.github().runs_since(&app_ref(), at(0)).await;
    assert!(matches!(listed, Err(GitHubError::Refused { status: 403, .. })), "{listed:?}");
}
