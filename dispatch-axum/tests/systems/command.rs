//! Test environments of `cms`, deployed and destroyed by commands, made by `cms_infrastructure`.

use dispatch_core::event::Conclusion;
use dispatch_core::testing::world::World;

use crate::house::{House, event, repository, world_of};
use crate::policies::example;

pub const INFRASTRUCTURE: &str = "cms_infrastructure";

/// `cms` with the branch `dev` next to `main`.
pub fn cms() -> World {
    let mut world = world_of(&example("command"), &[]);
    world.write_file(&repository("cms"), "dev", "README.md", "# cms\n").unwrap();
    world
}

/// A pull request of `alice` into `dev`.
pub async fn opened() -> (House, u64) {
    let house = House::over(cms()).await;
    let number = house.opens("cms", "alice", "feature/x", "dev").await;
    _ = house.asked();
    (house, number)
}

/// The same, deployed.
async fn deployed() -> (House, u64) {
    let (house, number) = opened().await;
    house.comments("cms", number, "alice", "/test-deploy").await;
    house.run_ends(INFRASTRUCTURE, Conclusion::Success).await;
    _ = house.asked();
    (house, number)
}

pub fn deploy(number: u64, branch: &str, base: &str, head: &str) -> String {
    let payload = format!(
        r#"{{"base_branch":"{base}","branch":"{branch}","commit_sha":"{head}","pr_number":"{number}","sender":"alice"}}"#
    );
    event("deploy-ephemeral", &payload)
}

fn closed(number: u64, base: &str, merged: bool) -> String {
    event("pr-closed", &format!(r#"{{"base_branch":"{base}","merged":{merged},"pr_number":"{number}"}}"#))
}

#[tokio::test(flavor = "multi_thread")]
async fn opening_and_pushing_start_nothing() {
    let house = House::over(cms()).await;
    let number = house.opens("cms", "alice", "feature/x", "dev").await;
    house.pushes("cms", number).await;
    insta::assert_snapshot!(house.asked().all(), @"GET cms/contents/dispatching.yml (contents: read)");
    house.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn test_deploy_deploys_the_branch_of_the_pull_request() {
    let (house, number) = opened().await;
    house.comments("cms", number, "alice", "/test-deploy").await;
    house.run_ends(INFRASTRUCTURE, Conclusion::Success).await;
    let (head, asked) = (house.head("cms", number), house.asked());
    assert_eq!(asked.writes_to(INFRASTRUCTURE), [deploy(number, "feature/x", "dev", &head)]);
    insta::assert_snapshot!(asked.all(), @"
    GET /app (the App itself)
    GET cms/collaborators/alice/permission (metadata: read)
    GET cms/contents/dispatching.yml (contents: read)
    GET cms/issues/1/comments (pull_requests: write)
    GET cms/pulls/1 (pull_requests: read)
    GET cms_infrastructure/actions/runs (actions: read)
    GET cms_infrastructure/contents/dispatching.yml (contents: read)
    PATCH cms/check-runs/* (checks: write)
    PATCH cms/issues/comments/* (pull_requests: write)
    POST cms/check-runs (checks: write)
    POST cms/issues/1/comments (pull_requests: write)
    POST cms/issues/comments/*/reactions (pull_requests: write)
    POST cms_infrastructure/dispatches (contents: write)
    ");
    insta::assert_snapshot!(house.shown_checks("cms", number), @"dispatch / acme/cms_infrastructure / deploy-ephemeral | success | live: https://pr-1-testing.example.com");
    house.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_comment_tells_where_it_is_and_is_kept_up_to_date() {
    let (house, number) = opened().await;
    let command = house.comments("cms", number, "alice", "/test-deploy").await;
    assert_eq!(house.reactions("cms", command), ["eyes"]);
    house.run_ends(INFRASTRUCTURE, Conclusion::Success).await;
    let comments = house.shown_comments("cms", number);
    assert_eq!(comments.len(), 1, "{comments:#?}");
    insta::assert_snapshot!(without_ids(&comments[0]), @r"
    ### What this pull request started

    #### Environment `pr-1`: live

    [The run](<https://github.com/acme/cms_infrastructure>) succeeded: the environment is live.

    - Environment: `pr-1`
    - URL: [`https://pr-1-testing.example.com`](<https://pr-1-testing.example.com>)
    - [`Admin panel`](<https://pr-1-testing.example.com/admin>): `https://pr-1-testing.example.com/admin`
    - Deploys: `feature/x`
    - For pull requests into: `dev`
    - Destroyed after: 72 h without a change
    - Run: [`deploy-ephemeral` in `acme/cms_infrastructure`](<https://github.com/acme/cms_infrastructure>)

    <sub>This comment is kept up to date.</sub>
    ");
    house.comments("cms", number, "alice", "/test-deploy").await;
    assert_eq!(house.shown_comments("cms", number).len(), 1, "the same one");
    _ = house.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_that_fails_says_what_to_clean_up_by_hand() {
    let (house, number) = opened().await;
    house.comments("cms", number, "alice", "/test-deploy").await;
    house.run_ends(INFRASTRUCTURE, Conclusion::Failure).await;
    insta::assert_snapshot!(without_ids(&house.shown_comments("cms", number)[0]), @r"
    ### What this pull request started

    #### Environment `pr-1`: failed

    [The run](<https://github.com/acme/cms_infrastructure>) failed.

    - Environment: `pr-1`
    - URL: [`https://pr-1-testing.example.com`](<https://pr-1-testing.example.com>)
    - [`Admin panel`](<https://pr-1-testing.example.com/admin>): `https://pr-1-testing.example.com/admin`
    - Deploys: `feature/x`
    - For pull requests into: `dev`
    - Destroyed after: 72 h without a change
    - Run: [`deploy-ephemeral` in `acme/cms_infrastructure`](<https://github.com/acme/cms_infrastructure>)
    - How to clean up by hand: Run `terraform destroy` in the workspace `pr-1` of `cms_infrastructure`.

    <sub>This comment is kept up to date.</sub>
    ");
    _ = house.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_command_is_answered() {
    let (house, number) = opened().await;
    let command = house.comments("cms", number, "bob", "/test-deploy").await;
    insta::assert_snapshot!(house.asked().all(), @"
    GET /app (the App itself)
    GET cms/collaborators/bob/permission (metadata: read)
    GET cms/contents/dispatching.yml (contents: read)
    GET cms/issues/1/comments (pull_requests: write)
    GET cms/pulls/1 (pull_requests: read)
    POST cms/issues/1/comments (pull_requests: write)
    POST cms/issues/comments/*/reactions (pull_requests: write)
    ");
    assert_eq!(house.reactions("cms", command), ["confused"]);
    let comments = house.shown_comments("cms", number);
    assert_eq!(comments.len(), 1, "{comments:#?}");
    insta::assert_snapshot!(without_marker(&comments[0]), @r"
    ### Commands that were not run

    - `/test-deploy` by `bob`: the outbound rule lets people who may write to the repository give `/test-deploy`, and `bob` is none of them. What to do: ask somebody with the permission that the rule names.

    <sub>Further refusals of this day are added to this comment.</sub>
    ");
    house.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_that_a_writer_runs_again_repeats_the_dispatch_once() {
    let (house, number) = opened().await;
    house.comments("cms", number, "alice", "/test-deploy").await;
    house.run_ends(INFRASTRUCTURE, Conclusion::Failure).await;
    _ = house.asked();
    let head = house.head("cms", number);
    let check = house.checks("cms", &head)[0].id;
    let again =
        |login: &'static str| move |world: &mut World| world.rerequest_check(&repository("cms"), check, login).unwrap();
    house.happens(again("bob")).await;
    assert_eq!(house.asked().writes_to(INFRASTRUCTURE), Vec::<String>::new(), "bob may not write");
    house.happens(again("alice")).await;
    assert_eq!(house.asked().writes_to(INFRASTRUCTURE), [deploy(number, "feature/x", "dev", &head)]);
    house.happens(again("alice")).await;
    assert_eq!(house.end().await.writes_to(INFRASTRUCTURE), Vec::<String>::new(), "it is under way");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_request_into_main_deploys_dev_to_staging() {
    let house = House::over(cms()).await;
    let number = house.opens("cms", "alice", "feature/x", "main").await;
    house.comments("cms", number, "alice", "/test-deploy").await;
    let head = house.head("cms", number);
    assert_eq!(house.end().await.writes_to(INFRASTRUCTURE), [deploy(number, "dev", "main", &head)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn destroy_test_destroys_what_test_deploy_created() {
    let (house, number) = deployed().await;
    house.comments("cms", number, "alice", "/destroy-test").await;
    house.run_ends(INFRASTRUCTURE, Conclusion::Success).await;
    let payload = format!(r#"{{"base_branch":"dev","pr_number":"{number}","sender":"alice"}}"#);
    let asked = house.asked();
    assert_eq!(asked.writes_to(INFRASTRUCTURE), [event("destroy-ephemeral", &payload)]);
    insta::assert_snapshot!(asked.all(), @"
    GET cms/collaborators/alice/permission (metadata: read)
    GET cms/contents/dispatching.yml (contents: read)
    GET cms/pulls/1 (pull_requests: read)
    GET cms_infrastructure/actions/runs (actions: read)
    GET cms_infrastructure/contents/dispatching.yml (contents: read)
    PATCH cms/check-runs/* (checks: write)
    PATCH cms/issues/comments/* (pull_requests: write)
    POST cms/check-runs (checks: write)
    POST cms/issues/comments/*/reactions (pull_requests: write)
    POST cms_infrastructure/dispatches (contents: write)
    ");
    insta::assert_snapshot!(house.shown_checks("cms", number), @"
    dispatch / acme/cms_infrastructure / deploy-ephemeral | success | live: https://pr-1-testing.example.com
    dispatch / acme/cms_infrastructure / destroy-ephemeral | success | destroyed
    ");
    house.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_and_merging_destroy_it_and_say_which_by_a_boolean() {
    let close = async |merged| {
        let (house, number) = deployed().await;
        house.closes("cms", number, merged).await;
        assert_eq!(house.end().await.writes_to(INFRASTRUCTURE), [closed(number, "dev", merged)]);
    };
    tokio::join!(close(false), close(true));
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_what_was_never_deployed_starts_nothing() {
    let (house, number) = opened().await;
    house.closes("cms", number, false).await;
    insta::assert_snapshot!(house.asked().all(), @"GET cms/contents/dispatching.yml (contents: read)");
    house.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn staging_goes_with_the_last_pull_request_that_holds_it() {
    let house = House::over(cms()).await;
    let mut numbers = Vec::new();
    for branch in ["feature/x", "feature/y"] {
        let number = house.opens("cms", "alice", branch, "main").await;
        house.comments("cms", number, "alice", "/test-deploy").await;
        house.run_ends(INFRASTRUCTURE, Conclusion::Success).await;
        numbers.push(number);
    }
    assert_eq!(house.asked().writes_to(INFRASTRUCTURE).len(), 2);
    house.closes("cms", numbers[0], false).await;
    assert_eq!(house.asked().writes_to(INFRASTRUCTURE), Vec::<String>::new(), "the other one holds it");
    house.closes("cms", numbers[1], false).await;
    assert_eq!(house.end().await.writes_to(INFRASTRUCTURE), [closed(numbers[1], "main", false)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retargeted_pull_request_destroys_what_it_created() {
    let (house, number) = deployed().await;
    house.happens(|world| world.retarget_pull_request(&repository("cms"), number, "main").unwrap()).await;
    house.closes("cms", number, false).await;
    assert_eq!(house.end().await.writes_to(INFRASTRUCTURE), [closed(number, "dev", false)]);
}

/// A comment without its marker, and without ids of runs.
fn without_ids(comment: &str) -> String {
    let mut text = String::new();
    for (at, part) in without_marker(comment).split("/actions/runs/").enumerate() {
        text.push_str(if at == 0 { part } else { part.trim_start_matches(|c: char| c.is_ascii_digit()) });
    }
    text
}

fn without_marker(comment: &str) -> String {
    comment.lines().skip_while(|line| line.starts_with("<!--")).collect::<Vec<_>>().join("\n")
}
