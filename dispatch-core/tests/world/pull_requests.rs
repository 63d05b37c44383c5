//! Pull requests: what people do with them, what is sent, and what a token reads.

use dispatch_core::name::Repository;
use dispatch_core::testing::world::{Access, Contents, PullRequestSpec, RepositoryOptions};
use serde_json::{Value, json};

use crate::{names, repository, sent, token, world};

fn web() -> Repository {
    repository("octo-org/web")
}

#[test]
fn a_pull_request_is_opened_from_a_branch_and_shares_its_numbers_with_issues() {
    let mut world = world();
    let issue = world.open_issue(&web(), "octocat", "broken", "it is").unwrap();
    let number = world.open_pull_request(&web(), PullRequestSpec::new("topic")).unwrap();
    let next = world.open_issue(&web(), "octocat", "again", "it is").unwrap();
    assert_eq!((issue, number, next), (1, 2, 3));
    let sent = sent(&mut world);
    assert_eq!(names(&sent), [("push", ""), ("pull_request", "opened")]);
    let (_, _, body) = &sent[1];
    let pull = &body["pull_request"];
    let head = world.branch_head(&web(), "topic").unwrap();
    assert_eq!((&body["number"], &pull["number"]), (&json!(2), &json!(2)));
    assert_eq!((&pull["head"]["ref"], &pull["head"]["sha"]), (&json!("topic"), &json!(head)));
    assert_eq!(pull["head"]["repo"]["id"], body["repository"]["id"]);
    assert_eq!((&pull["base"]["ref"], &pull["draft"], &pull["merged"]), (&json!("main"), &json!(false), &json!(false)));
    assert!(body["installation"]["id"].is_u64());
}

#[test]
fn what_cannot_be_opened_is_refused() {
    let mut world = world();
    let spec = |head: &str, base: &str| PullRequestSpec { base: base.to_owned(), ..PullRequestSpec::new(head) };
    world.open_pull_request(&web(), spec("topic", "main")).unwrap();
    let cases = [
        (spec("topic", "none"), "`octo-org/web` has no branch `none`"),
        (spec("main", "main"), "there is nothing between `main` and `main`"),
        (spec("topic", "main"), "a pull request for `topic` is open already"),
    ];
    for (spec, expected) in cases {
        assert_eq!(world.open_pull_request(&web(), spec).unwrap_err().to_string(), expected);
    }
}

#[test]
fn every_push_to_the_branch_synchronizes_what_is_open() {
    let mut world = world();
    let number = world.open_pull_request(&web(), PullRequestSpec::new("topic")).unwrap();
    let first = world.branch_head(&web(), "topic").unwrap();
    world.take_webhooks();
    world.advance(std::time::Duration::from_secs(5));

    let second = world.push_to_pull_request(&web(), number, "hubot").unwrap();
    let third = world.write_file(&web(), "topic", "more.md", "more").unwrap();
    world.set_branch(&web(), "topic", &first).unwrap();
    let sent = sent(&mut world);
    assert_eq!(names(&sent), [("push", ""), ("pull_request", "synchronize")].repeat(3));
    let moves: Vec<_> = sent.iter().skip(1).step_by(2).map(|(_, _, body)| (&body["before"], &body["after"])).collect();
    let move_of = |before, after| (json!(before), json!(after));
    let expected = [move_of(&first, &second), move_of(&second, &third), move_of(&third, &first)];
    assert_eq!(moves, expected.iter().map(|(before, after)| (before, after)).collect::<Vec<_>>());
    assert_eq!(sent[1].2["sender"]["login"], "hubot");
    assert_eq!(sent[1].2["pull_request"]["updated_at"], "2026-01-01T00:00:05Z");

    world.close_pull_request(&web(), number, false).unwrap();
    world.take_webhooks();
    world.write_file(&web(), "topic", "later.md", "more").unwrap();
    assert_eq!(names(&self::sent(&mut world)), [("push", "")], "nothing tells a closed pull request");
    world.reopen_pull_request(&web(), number).unwrap();
    let sent = self::sent(&mut world);
    assert_eq!(names(&sent), [("pull_request", "reopened")]);
    assert_eq!(sent[0].2["pull_request"]["head"]["sha"], json!(world.branch_head(&web(), "topic").unwrap()));
}

#[test]
fn a_fork_stays_the_head_until_it_is_deleted() {
    let mut world = world();
    let fork = repository("stranger/web");
    let spec =
        PullRequestSpec { author: "stranger".to_owned(), fork: Some(fork.clone()), ..PullRequestSpec::new("main") };
    let number = world.open_pull_request(&web(), spec).unwrap();
    let head = world.push_to_pull_request(&web(), number, "stranger").unwrap();
    let sent = sent(&mut world);
    let expected = [("pull_request", "opened"), ("pull_request", "synchronize")];
    assert_eq!(names(&sent), expected, "nobody hears of a push where the App is not installed");
    let pull = &sent[1].2["pull_request"];
    assert_eq!((&pull["head"]["label"], &pull["head"]["repo"]["fork"]), (&json!("stranger:main"), &json!(true)));
    assert_ne!(pull["head"]["repo"]["id"], pull["base"]["repo"]["id"]);

    let token = token(&mut world, "octo-org/web", "contents", Access::Read);
    let read = world.contents(&token, &web(), "README.md", Some(head.as_str()), None);
    assert!(matches!(read, Ok(Contents::File { .. })), "the base repository has the fork's commit");
    world.delete_repository(&fork).unwrap();
    assert!(world.push_to_pull_request(&web(), number, "stranger").is_err());
    world.close_pull_request(&web(), number, false).unwrap();
    let sent = self::sent(&mut world);
    assert_eq!(names(&sent), [("pull_request", "closed")]);
    assert_eq!(sent[0].2["pull_request"]["head"]["repo"], Value::Null);
    assert_eq!(sent[0].2["pull_request"]["head"]["ref"], "main");
}

#[test]
fn a_merge_moves_the_base_and_a_close_does_not() {
    let mut world = world();
    let merged = world.open_pull_request(&web(), PullRequestSpec::new("topic")).unwrap();
    let closed = world.open_pull_request(&web(), PullRequestSpec::new("other")).unwrap();
    world.write_file(&web(), "topic", ".github/workflows/new.yml", "on: workflow_dispatch\n").unwrap();
    let before = world.branch_head(&web(), "main").unwrap();
    world.take_webhooks();
    world.close_pull_request(&web(), closed, false).unwrap();
    assert_eq!(world.branch_head(&web(), "main").unwrap(), before);
    world.close_pull_request(&web(), merged, true).unwrap();
    let after = world.branch_head(&web(), "main").unwrap();
    let sent = sent(&mut world);
    assert_eq!(names(&sent), [("pull_request", "closed"), ("push", ""), ("pull_request", "closed")]);
    assert_eq!(sent[0].2["pull_request"]["merged"], false);
    let pull = &sent[2].2["pull_request"];
    assert_eq!((&pull["merged"], &pull["merge_commit_sha"]), (&json!(true), &json!(after)));
    assert_eq!(pull["merged_at"], pull["closed_at"]);
    let token = token(&mut world, "octo-org/web", "actions", Access::Read);
    assert!(world.workflow(&token, &web(), "new.yml").is_ok(), "the merge brought the workflow");
    assert!(world.close_pull_request(&web(), merged, true).is_err());
    assert!(world.reopen_pull_request(&web(), merged).is_err(), "what is merged stays closed");
}

#[test]
fn a_branch_that_goes_closes_its_pull_request() {
    let mut world = world();
    let number = world.open_pull_request(&web(), PullRequestSpec::new("topic")).unwrap();
    world.take_webhooks();
    world.delete_branch(&web(), "topic").unwrap();
    assert_eq!(names(&sent(&mut world)), [("push", ""), ("pull_request", "closed")]);
    assert!(world.reopen_pull_request(&web(), number).is_err());
}

#[test]
fn another_base_a_draft_and_labels_are_told() {
    let mut world = world();
    let number = world.open_pull_request(&web(), PullRequestSpec::new("topic")).unwrap();
    let old = world.branch_head(&web(), "main").unwrap();
    world.write_file(&web(), "dev", "dev.md", "dev").unwrap();
    world.take_webhooks();
    world.retarget_pull_request(&web(), number, "dev").unwrap();
    world.label_pull_request(&web(), number, "keep").unwrap();
    world.unlabel_pull_request(&web(), number, "keep").unwrap();
    world.set_draft(&web(), number, true).unwrap();
    world.set_draft(&web(), number, false).unwrap();
    let sent = sent(&mut world);
    let actions: Vec<&str> = sent.iter().map(|(_, action, _)| action.as_str()).collect();
    assert_eq!(actions, ["edited", "labeled", "unlabeled", "converted_to_draft", "ready_for_review"]);
    let base = json!({ "ref": { "from": "main" }, "sha": { "from": old } });
    assert_eq!((&sent[0].2["changes"]["base"], &sent[0].2["pull_request"]["base"]["ref"]), (&base, &json!("dev")));
    assert_eq!(sent[1].2["label"]["name"], "keep");
    assert_eq!(sent[1].2["pull_request"]["labels"][0]["name"], "keep");
    assert_eq!(sent[2].2["pull_request"]["labels"], json!([]));
    assert_eq!(sent[3].2["pull_request"]["draft"], true);
}

#[test]
fn a_token_reads_pull_requests_with_its_permission_only() {
    let mut world = world();
    let number = world.open_pull_request(&web(), PullRequestSpec::new("topic")).unwrap();
    let other = world.open_pull_request(&web(), PullRequestSpec::new("other")).unwrap();
    world.close_pull_request(&web(), other, false).unwrap();
    let issues = token(&mut world, "octo-org/web", "issues", Access::Write);
    let refused = world.pull_request(&issues, &web(), number).unwrap_err();
    assert_eq!(refused.to_string(), "403: Resource not accessible by integration");
    assert_eq!(refused.header("x-accepted-github-permissions"), Some("pull_requests=read; contents=read"));
    assert_eq!(world.pull_requests(&issues, &web(), None).unwrap_err().status, 403);
    let token = token(&mut world, "octo-org/web", "pull_requests", Access::Read);
    let numbers = |open| -> Vec<u64> {
        world.pull_requests(&token, &web(), open).unwrap().iter().map(|(issue, _)| issue.number).collect()
    };
    assert_eq!((numbers(Some(true)), numbers(Some(false)), numbers(None)), (vec![1], vec![2], vec![2, 1]));
    let issue = world.open_issue(&web(), "octocat", "t", "b").unwrap();
    let token = self::token(&mut world, "octo-org/web", "pull_requests", Access::Read);
    assert_eq!(world.pull_request(&token, &web(), issue).unwrap_err().status, 404, "an issue is none");
}

#[test]
fn pull_requests_are_told_with_their_permission_only() {
    let mut world = world();
    let mut permissions = world.app().permissions.clone();
    permissions.remove("pull_requests");
    world.set_permissions(&web().owner(), permissions).unwrap();
    world.open_pull_request(&web(), PullRequestSpec::new("topic")).unwrap();
    assert_eq!(names(&sent(&mut world)), [("push", "")]);
}

#[test]
fn a_repository_without_the_app_hears_nothing_of_its_pull_requests() {
    let mut world = world();
    let quiet = repository("octo-org/quiet");
    world.add_repository(&quiet, RepositoryOptions { installed: false, ..RepositoryOptions::default() }).unwrap();
    let number = world.open_pull_request(&quiet, PullRequestSpec::new("topic")).unwrap();
    world.push_to_pull_request(&quiet, number, "octocat").unwrap();
    assert!(world.take_webhooks().is_empty());
}

#[test]
fn a_merge_brings_what_was_written_on_the_branch_and_not_back_what_the_base_has_removed() {
    let mut world = world();
    world.write_file(&web(), "main", "old.txt", "old").unwrap();
    let number = world.open_pull_request(&web(), PullRequestSpec::new("topic")).unwrap();
    world.write_file(&web(), "topic", "new.txt", "new").unwrap();
    world.remove_file(&web(), "main", "old.txt").unwrap();
    world.close_pull_request(&web(), number, true).unwrap();
    let head = world.branch_head(&web(), "main").unwrap();
    let state = world.repositories().find(|state| state.name == web()).unwrap();
    let files = &state.commits[&head].files;
    assert!(files.contains_key("new.txt") && !files.contains_key("old.txt"), "{:?}", files.keys());
}
