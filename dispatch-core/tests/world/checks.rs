//! Check runs: who lists them, their annotations, and people who press "Re-run".

use dispatch_core::testing::World;
use dispatch_core::testing::world::{Access, Annotation, CheckOutput, CheckRunChange, PullRequestSpec};
use serde_json::json;

use crate::{names, repository, sent, token, world};

fn change(world: &World, name: &str, branch: &str) -> CheckRunChange {
    CheckRunChange {
        name: Some(name.to_owned()),
        head_sha: Some(world.branch_head(&repository("octo-org/web"), branch).unwrap()),
        external_id: Some("mark".to_owned()),
        ..CheckRunChange::default()
    }
}

fn output(summary: &str, annotations: Vec<Annotation>) -> CheckRunChange {
    let output = CheckOutput { title: Some("t".to_owned()), summary: summary.to_owned(), text: None, annotations };
    CheckRunChange { output: Some(output), ..CheckRunChange::default() }
}

fn annotation(line: u32) -> Annotation {
    Annotation {
        path: "dispatching.yml".to_owned(),
        start_line: line,
        end_line: line,
        annotation_level: "failure".to_owned(),
        title: Some("wrong".to_owned()),
        message: "it is wrong".to_owned(),
    }
}

#[test]
fn check_runs_are_listed_by_commit_and_name_newest_first() {
    let mut world = world();
    let web = repository("octo-org/web");
    world.write_file(&web, "topic", "topic.md", "topic").unwrap();
    let write = token(&mut world, "octo-org/web", "checks", Access::Write);
    let mut create = |name, branch| {
        let change = change(&world, name, branch);
        world.create_check_run(&write, &web, change).unwrap().id
    };
    let (first, other, second, elsewhere) =
        (create("a", "main"), create("b", "main"), create("a", "main"), create("a", "topic"));
    let read = token(&mut world, "octo-org/web", "checks", Access::Read);
    let list = |commit: &str, name, latest| -> Vec<u64> {
        world.check_runs_of(&read, &web, commit, name, latest).unwrap().iter().map(|check| check.id).collect()
    };
    let main = world.branch_head(&web, "main").unwrap();
    assert_eq!(list(main.as_str(), None, false), [second, other, first]);
    assert_eq!(list(main.as_str(), None, true), [second, other]);
    assert_eq!(list("main", Some("a"), false), [second, first]);
    assert_eq!(list("topic", Some("a"), false), [elsewhere]);
    assert_eq!(world.check_runs_of(&read, &web, &"0".repeat(40), None, false).unwrap_err().status, 422);
    let blind = token(&mut world, "octo-org/web", "contents", Access::Read);
    let refused = world.check_runs_of(&blind, &web, "main", None, false).unwrap_err();
    assert_eq!(refused.header("x-accepted-github-permissions"), Some("checks=read"));
    world.take_effects();
}

#[test]
fn annotations_are_appended_and_at_most_fifty_at_once() {
    let mut world = world();
    let web = repository("octo-org/web");
    let token = token(&mut world, "octo-org/web", "checks", Access::Write);
    let new = CheckRunChange { output: output("s", vec![annotation(1)]).output, ..change(&world, "a", "main") };
    let check = world.create_check_run(&token, &web, new).unwrap();
    world.update_check_run(&token, &web, check.id, output("s", (2..52).map(annotation).collect())).unwrap();
    let lines: Vec<u32> =
        world.annotations(&token, &web, check.id).unwrap().iter().map(|annotation| annotation.start_line).collect();
    assert_eq!(lines, (1..52).collect::<Vec<_>>());
    let too_many = output("s", (0..51).map(annotation).collect());
    assert_eq!(world.update_check_run(&token, &web, check.id, too_many).unwrap_err().status, 422);
    let unknown = Annotation { annotation_level: "error".to_owned(), ..annotation(1) };
    assert_eq!(world.update_check_run(&token, &web, check.id, output("s", vec![unknown])).unwrap_err().status, 422);
    assert_eq!(world.annotations(&token, &web, check.id).unwrap().len(), 51, "what is refused adds nothing");
    world.take_effects();
}

#[test]
fn a_summary_or_text_of_more_than_65535_characters_is_refused() {
    let mut world = world();
    let web = repository("octo-org/web");
    let token = token(&mut world, "octo-org/web", "checks", Access::Write);
    let new = change(&world, "a", "main");
    let check = world.create_check_run(&token, &web, new).unwrap().id;
    let (long, longest) = ("ä".repeat(65_536), "ä".repeat(65_535));
    let with_text = |text: &str| {
        let output = CheckOutput { text: Some(text.to_owned()), ..output("s", Vec::new()).output.unwrap() };
        CheckRunChange { output: Some(output), ..CheckRunChange::default() }
    };
    assert_eq!(world.update_check_run(&token, &web, check, output(&long, Vec::new())).unwrap_err().status, 422);
    assert_eq!(world.update_check_run(&token, &web, check, with_text(&long)).unwrap_err().status, 422);
    world.update_check_run(&token, &web, check, output(&longest, Vec::new())).unwrap();
    world.update_check_run(&token, &web, check, with_text(&longest)).unwrap();
    world.take_effects();
}

#[test]
fn somebody_presses_re_run_and_the_check_run_stays_as_it_is() {
    let mut world = world();
    let web = repository("octo-org/web");
    let pull = world.open_pull_request(&web, PullRequestSpec::new("topic")).unwrap();
    let token = token(&mut world, "octo-org/web", "checks", Access::Write);
    let new = CheckRunChange { conclusion: Some("neutral".to_owned()), ..change(&world, "a", "topic") };
    let check = world.create_check_run(&token, &web, new).unwrap();
    world.take_webhooks();
    world.rerequest_check(&web, check.id, "hubot").unwrap();
    let sent = sent(&mut world);
    assert_eq!(names(&sent), [("check_run", "rerequested")]);
    let body = &sent[0].2;
    let told = &body["check_run"];
    assert_eq!((&told["id"], &told["external_id"]), (&json!(check.id), &json!("mark")));
    assert_eq!((&told["status"], &told["conclusion"]), (&json!("completed"), &json!("neutral")));
    assert_eq!((&told["app"]["id"], &told["pull_requests"][0]["number"]), (&json!(world.app().id), &json!(pull)));
    assert_eq!((&body["sender"]["login"], &body["sender"]["type"]), (&json!("hubot"), &json!("User")));
    assert!(world.rerequest_check(&web, 1, "hubot").is_err());

    let mut permissions = world.app().permissions.clone();
    permissions.insert("checks".to_owned(), Access::Read);
    world.set_permissions(&web.owner(), permissions).unwrap();
    world.rerequest_check(&web, check.id, "hubot").unwrap();
    assert!(world.take_webhooks().is_empty(), "only who may write checks hears of it");
    world.take_effects();
}
