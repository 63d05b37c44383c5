//! A preview for each pull request of `api`, made by `infra`.

use dispatch_core::event::Conclusion;

use crate::house::{House, event, repository, world_of};
use crate::policies::example;

const CREATE: &str = "preview-create-from-api";
const TEARDOWN: &str = "preview-teardown-from-api";

fn create(number: u64, head: &str, action: &str) -> String {
    event(CREATE, &format!(r#"{{"api_pr":"{number}","api_sha":"{head}","trigger":"{action}"}}"#))
}

fn teardown(number: u64, merged: bool) -> String {
    event(TEARDOWN, &format!(r#"{{"action":"closed","api_pr":"{number}","merged":"{merged}"}}"#))
}

/// A pull request of `api` whose preview is live.
async fn live() -> (House, u64) {
    let house = House::of("preview").await;
    let number = house.opens("api", "alice", "feature/latte-art", "main").await;
    house.run_ends("infra", Conclusion::Success).await;
    _ = house.asked();
    (house, number)
}

#[tokio::test(flavor = "multi_thread")]
async fn opening_asks_for_a_preview_with_identifiers_only() {
    let house = House::of("preview").await;
    let number = house.opens("api", "alice", "feature/latte-art", "main").await;
    house.runs_are_found().await;
    let head = house.head("api", number);
    let asked = house.asked();
    assert_eq!(asked.writes_to("infra"), [create(number, &head, "opened")]);
    insta::assert_snapshot!(asked.all(), @"
    GET api/contents/.github/dispatching.yml (contents: read)
    GET api/contents/dispatching.yml (contents: read)
    GET infra/actions/runs (actions: read)
    GET infra/contents/dispatching.yml (contents: read)
    PATCH api/check-runs/* (checks: write)
    POST api/check-runs (checks: write)
    POST infra/dispatches (contents: write)
    ");
    house.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_check_shows_how_far_the_preview_is() {
    let house = House::of("preview").await;
    let number = house.opens("api", "alice", "feature/latte-art", "main").await;
    house.runs_are_found().await;
    let mut shown = vec![house.shown_checks("api", number)];
    house.runs_go_on().await;
    shown.push(house.shown_checks("api", number));
    house.runs_go_on().await;
    shown.push(house.shown_checks("api", number));
    insta::assert_snapshot!(shown.join(""), @r"
    dispatch / acme/infra / preview-create-from-api | in_progress | started
    dispatch / acme/infra / preview-create-from-api | in_progress | running
    dispatch / acme/infra / preview-create-from-api | success | live: https://api-pr-1.preview.example.com
    ");
    _ = house.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_that_fails_never_holds_up_a_merge() {
    let house = House::of("preview").await;
    let number = house.opens("api", "alice", "feature/latte-art", "main").await;
    house.run_ends("infra", Conclusion::Failure).await;
    insta::assert_snapshot!(house.shown_checks("api", number), @"dispatch / acme/infra / preview-create-from-api | neutral | failed");
    _ = house.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pushing_asks_for_the_same_preview_again_with_the_new_commit() {
    let (house, number) = live().await;
    let head = house.pushes("api", number).await;
    assert_eq!(house.end().await.writes_to("infra"), [create(number, &head, "synchronize")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_pushes_while_a_preview_is_made_only_the_newest_is_asked_for() {
    let house = House::of("preview").await;
    let number = house.opens("api", "alice", "feature/latte-art", "main").await;
    _ = house.asked();
    house.pushes("api", number).await;
    let newest = house.pushes("api", number).await;
    assert_eq!(house.asked().writes_to("infra"), Vec::<String>::new(), "one action at a time");
    house.run_ends("infra", Conclusion::Success).await;
    assert_eq!(house.end().await.writes_to("infra"), [create(number, &newest, "synchronize")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_and_merging_tear_the_preview_down() {
    let tear_down = async |merged| {
        let (house, number) = live().await;
        house.closes("api", number, merged).await;
        house.run_ends("infra", Conclusion::Success).await;
        let asked = house.asked();
        assert_eq!(asked.writes_to("infra"), [teardown(number, merged)]);
        assert!(
            house.shown_checks("api", number).contains("success | destroyed"),
            "{}",
            house.shown_checks("api", number)
        );
        house.finish().await;
        asked.all()
    };
    let (closed, merged) = tokio::join!(tear_down(false), tear_down(true));
    assert_eq!(closed, merged);
    insta::assert_snapshot!(closed, @"
    GET api/contents/dispatching.yml (contents: read)
    GET infra/actions/runs (actions: read)
    GET infra/contents/dispatching.yml (contents: read)
    PATCH api/check-runs/* (checks: write)
    POST api/check-runs (checks: write)
    POST infra/dispatches (contents: write)
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn reopening_asks_for_a_preview_again() {
    let (house, number) = live().await;
    house.closes("api", number, false).await;
    house.run_ends("infra", Conclusion::Success).await;
    _ = house.asked();
    house.happens(|world| world.reopen_pull_request(&repository("api"), number).unwrap()).await;
    let head = house.head("api", number);
    assert_eq!(house.end().await.writes_to("infra"), [create(number, &head, "reopened")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_app_is_not_installed_nothing_is_sent_and_nothing_turns_red() {
    let house = House::over(world_of(&example("preview"), &["infra"])).await;
    let number = house.opens("api", "alice", "feature/latte-art", "main").await;
    insta::assert_snapshot!(house.asked().all(), @"
    GET api/contents/.github/dispatching.yml (contents: read)
    GET api/contents/dispatching.yml (contents: read)
    POST api/check-runs (checks: write)
    ");
    insta::assert_snapshot!(house.shown_checks("api", number), @"dispatch / acme/infra / preview-create-from-api | neutral | the App is not installed there");
    house.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_app_was_taken_away_nothing_is_sent_any_more() {
    let (house, number) = live().await;
    house.happens(|world| world.uninstall(&repository("infra")).unwrap()).await;
    house.pushes("api", number).await;
    insta::assert_snapshot!(house.asked().all(), @"
    GET api/contents/.github/dispatching.yml (contents: read)
    GET api/contents/dispatching.yml (contents: read)
    GET infra/contents/dispatching.yml (contents: read)
    POST api/check-runs (checks: write)
    ");
    insta::assert_snapshot!(house.shown_checks("api", number), @"dispatch / acme/infra / preview-create-from-api | neutral | the App is not installed there");
    house.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_consent_of_infra_nothing_is_sent() {
    let mut files = example("preview");
    files.retain(|file| (file.repository.as_str(), file.path.as_str()) != ("infra", "dispatching.yml"));
    let house = House::over(world_of(&files, &[])).await;
    let number = house.opens("api", "alice", "feature/latte-art", "main").await;
    insta::assert_snapshot!(house.asked().all(), @"
    GET api/contents/.github/dispatching.yml (contents: read)
    GET api/contents/dispatching.yml (contents: read)
    GET infra/contents/.github/dispatching.yml (contents: read)
    GET infra/contents/dispatching.yml (contents: read)
    POST api/check-runs (checks: write)
    ");
    insta::assert_snapshot!(house.shown_checks("api", number), @"dispatch / acme/infra / preview-create-from-api | neutral | the target repository has no policy file");
    house.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_request_of_a_fork_gets_no_preview() {
    let house = House::of("preview").await;
    house.opens_from_fork("api", "mallory", "main").await;
    // Not even the policy of `infra` is read.
    insta::assert_snapshot!(house.asked().all(), @"
    GET api/contents/.github/dispatching.yml (contents: read)
    GET api/contents/dispatching.yml (contents: read)
    ");
    house.finish().await;
}
