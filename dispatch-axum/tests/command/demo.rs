//! `dispatch demo`.

use super::program::Program;
use super::{dispatch, text};

#[test]
fn the_story_comes_out_as_it_should() {
    let output = dispatch(&["demo", "--once"]).output().unwrap();
    let story = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{}\n{story}", text(&output.stderr));
    assert_eq!(text(&output.stderr), "");
    assert!(!story.contains('\x1b'), "colour without a terminal:\n{story}");
    for part in [
        "infra / deploy.yml is started",
        "smoke-tests / smoke.yml is started",
        "inbound_not_authorized",
        "inputs_not_accepted",
        "source_from_fork",
        "source_not_default_branch",
        "source_conclusion_not_allowed",
        "source_policy_missing",
        "source_policy_invalid",
        "worklfow",
        "answered 202",
        "answered 401",
        "api/dispatching.yml:6",
    ] {
        assert!(story.contains(part), "`{part}` is not in the story:\n{story}");
    }
    let widest = story.lines().map(|line| line.chars().count()).max();
    assert!(widest <= Some(100), "{widest:?}\n{story}");
}

#[test]
fn the_story_of_previews_comes_out_as_it_should() {
    let parts = ["preview-create-from-api", "preview-teardown-from-api", "live: https://", "nothing is started"];
    tells("preview", &parts);
}

#[test]
fn the_story_of_commands_comes_out_as_it_should() {
    let (given, refused) = ("a reaction to the comment: eyes", ": confused");
    tells("command", &[given, refused, "Admin panel", r#""merged":false"#, "clean up by hand"]);
}

#[test]
fn the_story_of_stacks_comes_out_as_it_should() {
    tells("stack", &["stack-apply", "stack-destroy", "pr-2", "dispatch sweep"]);
}

/// The story comes out as it should, these are parts of it, and it fits into a terminal.
fn tells(story: &str, parts: &[&str]) {
    let output = dispatch(&["demo", "--once", "--story", story]).output().unwrap();
    let told = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{}\n{told}", text(&output.stderr));
    for part in parts {
        assert!(told.contains(part), "`{part}` is not in the story:\n{told}");
    }
    let widest = told.lines().map(|line| line.chars().count()).max();
    assert!(widest <= Some(100), "{widest:?}\n{told}");
}

#[test]
fn the_dashboard_stays_until_a_signal() {
    let mut demo = Program::start(&mut dispatch(&["demo"]));
    demo.wait_for(|line| line.contains("Ctrl-C").then_some(()));
    demo.signal("INT");
    assert_eq!(demo.end().code(), Some(0), "{}", demo.errors());
}
