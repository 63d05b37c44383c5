//! `dispatch lint`.

use std::process::Output;

use insta::assert_snapshot;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{dispatch, failure, text, write};

const GOOD: &str = "\
outbound:
  - source: { workflow: ci.yml }
    targets:
      - { repository: infra, workflow: deploy.yml }
";

fn lint(folder: &TempDir, paths: &[&str]) -> Output {
    dispatch(&["lint"]).args(paths).current_dir(folder.path()).output().unwrap()
}

#[test]
fn a_good_file_is_good() {
    let folder = TempDir::new().unwrap();
    write(folder.path(), "dispatching.yml", GOOD);
    let output = lint(&folder, &["dispatching.yml"]);
    assert_eq!(output.status.code(), Some(0));
    assert_snapshot!(text(&output.stdout), @"1 policy file checked: no errors, no warnings");
}

#[test]
fn a_problem_is_shown_at_its_place_with_help() {
    let folder = TempDir::new().unwrap();
    write(folder.path(), "acme/loyalty/dispatching.yml", &GOOD.replace("workflow: ci", "worklfow: ci"));
    let output = lint(&folder, &["."]);
    assert_eq!(output.status.code(), Some(1));
    assert_snapshot!(text(&output.stdout), @r"
    error[missing_key]: a source has one of the keys `workflow`, `pull_request`, `command`, and this one has none
     --> ./acme/loyalty/dispatching.yml:2:13
      |
    2 |   - source: { worklfow: ci.yml }
      |             ^^^^^^^^^^^^^^^^^^^^ has none of them
      |
      = help: add one of `workflow`, `pull_request`, `command`

    error[unknown_key]: there is no key `worklfow` here
     --> ./acme/loyalty/dispatching.yml:2:15
      |
    2 |   - source: { worklfow: ci.yml }
      |               ^^^^^^^^ unknown key
      |
      = help: did you mean `workflow`?

    1 policy file checked: 2 errors, no warnings
    ");
}

#[test]
fn both_places_at_once_are_an_error_of_the_one_that_does_not_count() {
    let folder = TempDir::new().unwrap();
    write(folder.path(), "dispatching.yml", GOOD);
    write(folder.path(), ".github/dispatching.yml", GOOD);
    let output = lint(&folder, &["."]);
    assert_eq!(output.status.code(), Some(1));
    assert_snapshot!(text(&output.stdout), @r"
    error[two_policy_files]: `.github/dispatching.yml` is not read: `dispatching.yml` exists too, and wins
     --> ./.github/dispatching.yml:1:1
      |
    1 | outbound:
      | ^ nothing in this file counts
      |
      = help: keep one of the two files

    2 policy files checked: 1 error, no warnings
    ");
}

#[test]
fn programs_read_json() {
    let folder = TempDir::new().unwrap();
    write(folder.path(), "a/b/dispatching.yml", GOOD);
    write(folder.path(), "a/c/dispatching.yml", "outbound: 7\n");
    let output = lint(&folder, &["--json", "a"]);
    assert_eq!(output.status.code(), Some(1));
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["errors"], 1);
    assert_eq!(answer["files"][0], json!({ "file": "a/b/dispatching.yml", "problems": [] }));
    assert_eq!(answer["files"][1]["problems"][0]["span"]["line"], 1);
}

#[test]
fn what_cannot_be_read_is_exit_code_2_and_hides_nothing() {
    let folder = TempDir::new().unwrap();
    write(folder.path(), "dispatching.yml", GOOD);
    let output = lint(&folder, &["missing.yml", "dispatching.yml"]);
    assert_eq!(failure(&output).0, 2);
    assert!(text(&output.stdout).contains("1 policy file checked"));
}

#[test]
fn nothing_to_check_is_said() {
    let output = lint(&TempDir::new().unwrap(), &["."]);
    assert_eq!(output.status.code(), Some(0));
    assert_snapshot!(text(&output.stdout), @"no policy file: looked for dispatching.yml and .github/dispatching.yml");
}
