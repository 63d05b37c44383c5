//! A stack of its own for each pull request of `product`, made by `product_infrastructure`.

use dispatch_core::Timestamp;
use dispatch_core::event::Conclusion;
use dispatch_core::pipeline::SweepOptions;
use dispatch_core::testing::world::World;

use crate::house::{House, event, repository};

const INFRASTRUCTURE: &str = "product_infrastructure";

fn apply(number: u64, head: &str) -> String {
    event("stack-apply", &format!(r#"{{"commit_sha":"{head}","pr_number":"{number}","stack":"pr-{number}"}}"#))
}

fn destroy(number: u64) -> String {
    event("stack-destroy", &format!(r#"{{"pr_number":"{number}","stack":"pr-{number}"}}"#))
}

/// Two open pull requests with live stacks.
async fn two() -> (House, u64, u64) {
    let house = House::of("stack").await;
    let first = house.opens("product", "alice", "feature/one", "main").await;
    // Of two events under way nobody could tell which run is whose.
    house.runs_are_found().await;
    let second = house.opens("product", "alice", "feature/two", "main").await;
    assert_ne!(first, second);
    let heads = [house.head("product", first), house.head("product", second)];
    assert_eq!(house.asked().writes_to(INFRASTRUCTURE), [apply(first, &heads[0]), apply(second, &heads[1])]);
    house.run_ends(INFRASTRUCTURE, Conclusion::Success).await;
    house.run_ends(INFRASTRUCTURE, Conclusion::Success).await;
    _ = house.asked();
    (house, first, second)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_updates_and_closing_destroys_only_its_own_stack() {
    let (house, first, _) = two().await;
    let head = house.pushes("product", first).await;
    house.run_ends(INFRASTRUCTURE, Conclusion::Success).await;
    let asked = house.asked();
    assert_eq!(asked.writes_to(INFRASTRUCTURE), [apply(first, &head)]);
    insta::assert_snapshot!(asked.all(), @"
    GET product/contents/.github/dispatching.yml (contents: read)
    GET product/contents/dispatching.yml (contents: read)
    GET product_infrastructure/actions/runs (actions: read)
    GET product_infrastructure/contents/dispatching.yml (contents: read)
    PATCH product/check-runs/* (checks: write)
    PATCH product/issues/comments/* (pull_requests: write)
    POST product/check-runs (checks: write)
    POST product_infrastructure/dispatches (contents: write)
    ");
    insta::assert_snapshot!(house.shown_checks("product", first), @"dispatch / acme/product_infrastructure / stack-apply | success | live: https://pr-1-ui.preview.example.com");
    house.closes("product", first, true).await;
    assert_eq!(house.end().await.writes_to(INFRASTRUCTURE), [destroy(first)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_while_the_stack_is_made_destroys_it_afterwards() {
    let house = House::of("stack").await;
    let number = house.opens("product", "alice", "feature/one", "main").await;
    _ = house.asked();
    house.closes("product", number, false).await;
    assert_eq!(house.asked().writes_to(INFRASTRUCTURE), Vec::<String>::new(), "one action at a time");
    house.run_ends(INFRASTRUCTURE, Conclusion::Success).await;
    assert_eq!(house.end().await.writes_to(INFRASTRUCTURE), [destroy(number)]);
}

/// Closes a pull request, and the webhook of it is lost.
async fn closes_unheard(house: &House, number: u64) {
    let close = |world: &mut World| {
        world.close_pull_request(&repository("product"), number, false).unwrap();
        world.take_webhooks();
    };
    house.happens(close).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sweep_destroys_what_was_forgotten_and_leaves_the_open_one_alone() {
    let (house, first, second) = two().await;
    closes_unheard(&house, first).await;
    assert_eq!(house.asked().all(), "", "nobody heard of it");
    house.time_has_come().await;

    let dry = SweepOptions { dry_run: true, ..SweepOptions::default() };
    let would = house.pipeline.sweep(&dry, Timestamp::now()).await.unwrap();
    assert_eq!((would.going.len(), would.open), (1, 1));
    house.settled().await;
    let asked_about_both = house.asked().all();
    insta::assert_snapshot!(asked_about_both, @"
    GET product/pulls/1 (pull_requests: read)
    GET product/pulls/2 (pull_requests: read)
    ");

    let swept = house.pipeline.sweep(&SweepOptions::default(), Timestamp::now()).await.unwrap();
    assert_eq!(swept.going[0].pull_request.0, first);
    assert_eq!(swept.open, 1);
    house.settled().await;
    house.run_ends(INFRASTRUCTURE, Conclusion::Success).await;
    let asked = house.asked();
    assert_eq!(asked.writes_to(INFRASTRUCTURE), [destroy(first)]);
    insta::assert_snapshot!(asked.all(), @"
    GET product/contents/dispatching.yml (contents: read)
    GET product/pulls/1 (pull_requests: read)
    GET product/pulls/2 (pull_requests: read)
    GET product_infrastructure/actions/runs (actions: read)
    GET product_infrastructure/contents/dispatching.yml (contents: read)
    PATCH product/check-runs/* (checks: write)
    PATCH product/issues/comments/* (pull_requests: write)
    POST product/check-runs (checks: write)
    POST product_infrastructure/dispatches (contents: write)
    ");

    let again = house.pipeline.sweep(&SweepOptions::default(), Timestamp::now()).await.unwrap();
    assert_eq!((again.going.len(), again.open), (0, 1), "pull request {second} is open");
    house.settled().await;
    insta::assert_snapshot!(house.asked().all(), @"GET product/pulls/2 (pull_requests: read)");
    house.finish().await;
}
