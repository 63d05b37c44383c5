//! Comments and reactions: people's, other bots', and the App's own.

use dispatch_core::testing::world::{Access, Effect, PullRequestSpec};
use serde_json::{Value, json};

use crate::{names, repository, sent, token, world};

#[test]
fn a_comment_is_told_with_what_it_is_on() {
    let mut world = world();
    let web = repository("octo-org/web");
    let pull = world.open_pull_request(&web, PullRequestSpec::new("topic")).unwrap();
    let issue = world.open_issue(&web, "octocat", "t", "b").unwrap();
    world.take_webhooks();
    let comment = world.comment(&web, pull, "hubot", "/test-deploy").unwrap();
    world.comment(&web, issue, "hubot", "/test-deploy").unwrap();
    let sent = sent(&mut world);
    assert_eq!(names(&sent), [("issue_comment", "created"); 2]);
    let (on_pull, on_issue) = (&sent[0].2, &sent[1].2);
    assert_eq!((&on_pull["issue"]["number"], &on_pull["comment"]["id"]), (&json!(pull), &json!(comment)));
    let link = &on_pull["issue"]["pull_request"];
    assert_eq!(link["url"], format!("https://api.github.com/repos/octo-org/web/pulls/{pull}"));
    assert!(on_issue["issue"].get("pull_request").is_none());
    for body in [on_pull, on_issue] {
        assert_eq!((&body["sender"]["login"], &body["sender"]["type"]), (&json!("hubot"), &json!("User")));
        assert_eq!(body["sender"]["id"], world.user_id("hubot"));
        assert_eq!(body["comment"]["user"]["id"], body["sender"]["id"]);
        assert_eq!(body["comment"]["performed_via_github_app"], Value::Null);
    }
    assert!(world.comment(&web, 77, "hubot", "hello").is_err(), "there is no such thing to comment on");
}

#[test]
fn a_comment_is_edited_and_deleted() {
    let mut world = world();
    let web = repository("octo-org/web");
    let pull = world.open_pull_request(&web, PullRequestSpec::new("topic")).unwrap();
    let comment = world.comment(&web, pull, "hubot", "hello").unwrap();
    world.take_webhooks();
    world.edit_comment(&web, comment, "/test-deploy").unwrap();
    world.delete_comment(&web, comment).unwrap();
    assert!(world.edit_comment(&web, comment, "again").is_err());
    let sent = sent(&mut world);
    assert_eq!(names(&sent), [("issue_comment", "edited"), ("issue_comment", "deleted")]);
    assert_eq!(sent[0].2["changes"]["body"]["from"], "hello");
    assert_eq!(
        (&sent[0].2["comment"]["body"], &sent[0].2["sender"]["login"]),
        (&json!("/test-deploy"), &json!("hubot"))
    );
}

#[test]
fn a_comment_through_an_app_says_so_whoever_makes_it() {
    let mut world = world();
    let web = repository("octo-org/web");
    let pull = world.open_pull_request(&web, PullRequestSpec::new("topic")).unwrap();
    world.take_webhooks();
    world.comment_through_app(&web, pull, "renovate[bot]", "/test-deploy", "renovate").unwrap();
    world.comment_through_app(&web, pull, "octocat", "/test-deploy", "chat-ops").unwrap();
    world.comment(&web, pull, "old-hook[bot]", "/test-deploy").unwrap();
    let sent = sent(&mut world);
    let shown: Vec<_> = sent
        .iter()
        .map(|(_, _, body)| (&body["sender"]["type"], &body["comment"]["performed_via_github_app"]["slug"]))
        .collect();
    let [bot, user, none] = [json!("Bot"), json!("User"), Value::Null];
    assert_eq!(shown, [(&bot, &json!("renovate")), (&user, &json!("chat-ops")), (&bot, &none)]);
    assert_ne!(sent[0].2["comment"]["performed_via_github_app"]["id"], world.app().id);
}

#[test]
fn the_app_hears_its_own_comments() {
    let mut world = world();
    let web = repository("octo-org/web");
    let pull = world.open_pull_request(&web, PullRequestSpec::new("topic")).unwrap();
    world.take_webhooks();
    let token = token(&mut world, "octo-org/web", "pull_requests", Access::Write);
    let comment = world.create_comment(&token, &web, pull, "first").unwrap();
    world.update_comment(&token, &web, comment.id, "second").unwrap();
    let sent = sent(&mut world);
    assert_eq!(names(&sent), [("issue_comment", "created"), ("issue_comment", "edited")]);
    for (_, _, body) in &sent {
        assert_eq!((&body["sender"]["login"], &body["sender"]["type"]), (&json!("dispatch[bot]"), &json!("Bot")));
        assert_eq!(body["comment"]["performed_via_github_app"]["id"], world.app().id);
    }
    let read = world.comments(&token, &web, pull).unwrap();
    let read: Vec<_> =
        read.iter().map(|comment| (comment.id, comment.body.as_str(), comment.author.as_str())).collect();
    assert_eq!(read, [(comment.id, "second", "dispatch[bot]")]);
    assert_eq!(world.take_effects().len(), 2);
}

#[test]
fn reactions_are_kept_and_each_counts_once() {
    let mut world = world();
    let web = repository("octo-org/web");
    let pull = world.open_pull_request(&web, PullRequestSpec::new("topic")).unwrap();
    let comment = world.comment(&web, pull, "hubot", "/test-deploy").unwrap();
    world.take_webhooks();
    let token = token(&mut world, "octo-org/web", "pull_requests", Access::Write);
    let (first, new) = world.react(&token, &web, comment, "eyes").unwrap();
    let (again, again_new) = world.react(&token, &web, comment, "eyes").unwrap();
    assert_eq!((first.clone(), new, again_new), (again, true, false));
    world.react(&token, &web, comment, "confused").unwrap();
    assert_eq!(world.react(&token, &web, comment, "shrug").unwrap_err().status, 422);
    assert_eq!(world.react(&token, &web, 1, "eyes").unwrap_err().status, 404);
    let kept = &world.known_comment(&web, comment).unwrap().reactions;
    let kept: Vec<_> = kept.iter().map(|reaction| (reaction.content.as_str(), reaction.user.as_str())).collect();
    assert_eq!(kept, [("eyes", "dispatch[bot]"), ("confused", "dispatch[bot]")]);
    let reaction = |content: &str| Effect::Reaction { repository: web.clone(), comment, content: content.to_owned() };
    assert_eq!(world.take_effects(), [reaction("eyes"), reaction("confused")]);
    assert!(world.take_webhooks().is_empty(), "GitHub has no webhook for reactions");
}

#[test]
fn comments_need_their_permission_and_something_to_be_on() {
    let mut world = world();
    let web = repository("octo-org/web");
    let pull = world.open_pull_request(&web, PullRequestSpec::new("topic")).unwrap();
    let issue = world.open_issue(&web, "octocat", "t", "b").unwrap();
    let read = token(&mut world, "octo-org/web", "pull_requests", Access::Read);
    let refused = world.create_comment(&read, &web, pull, "hello").unwrap_err();
    assert_eq!(refused.header("x-accepted-github-permissions"), Some("issues=write; pull_requests=write"));
    let write = token(&mut world, "octo-org/web", "issues", Access::Write);
    assert_eq!(world.create_comment(&write, &web, 77, "hello").unwrap_err().status, 404);
    world.set_has_issues(&web, false).unwrap();
    assert_eq!(world.create_comment(&write, &web, issue, "hello").unwrap_err().status, 410);
    assert!(world.create_comment(&write, &web, pull, "hello").is_ok(), "a pull request is not an issue in this");
    world.take_effects();
}
