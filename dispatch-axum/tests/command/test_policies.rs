//! `dispatch test`.

use std::process::Output;

use insta::assert_snapshot;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{dispatch, failure, text, write};

const API: &str = r#"outbound:
  - source: { workflow: ci.yml }
    targets:
      - { repository: deploy, workflow: cd.yml, inputs: { git_sha: "{{ source.sha }}" } }
"#;
const DEPLOY: &str = "inbound:
  - source: { repository: api, workflow: ci.yml }
    targets:
      - { workflow: cd.yml, accept_inputs: [git_sha], accept_refs: [main] }
";
const TESTS: &str = r#"tests:
  - name: a green build of main deploys
    when: { repository: acme/api, workflow: ci.yml }
    then:
      - { repository: acme/deploy, workflow: cd.yml, ref: main, inputs: { git_sha: "{{ sha }}" } }
  - name: a fork deploys nothing
    when: { repository: acme/api, workflow: ci.yml, fork: true }
    then: []
"#;
const FAILS: &str = "tests:
  - name: nothing ever starts
    when: { repository: acme/api, workflow: ci.yml }
    then: []
";

/// Two repositories, one of which starts something in the other, and tests of that.
fn world() -> TempDir {
    let folder = TempDir::new().unwrap();
    write(folder.path(), "acme/api/dispatching.yml", API);
    write(folder.path(), "acme/deploy/.github/dispatching.yml", DEPLOY);
    write(folder.path(), "dispatching.test.yml", TESTS);
    folder
}

fn test(folder: &TempDir, arguments: &[&str]) -> Output {
    dispatch(&["test"]).args(arguments).current_dir(folder.path()).output().unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

#[test]
fn tests_that_pass_are_named_and_counted() {
    let output = test(&world(), &["dispatching.test.yml"]);
    assert_snapshot!(text(&output.stdout), @"
    ok a green build of main deploys
    ok a fork deploys nothing
    2 tests: 2 passed, 0 failed
    ");
    assert_eq!((code(&output), text(&output.stderr)), (0, ""));
}

#[test]
fn a_test_that_fails_shows_the_difference_and_the_lines_that_decided() {
    let world = world();
    write(world.path(), "dispatching.test.yml", FAILS);
    let output = test(&world, &["dispatching.test.yml"]);
    assert_snapshot!(text(&output.stdout), @"
    FAILED nothing ever starts (dispatching.test.yml:2)
        `cd.yml` in `acme/deploy` starts, and should not
          yes  `cd.yml` in `acme/deploy`
               `acme/api/dispatching.yml:4` and `acme/deploy/.github/dispatching.yml:4` agree
               ref       `main`
               inputs    `git_sha` = `0123456789abcdef0123456789abcdef01234567`
               outbound  acme/api/dispatching.yml:4
               inbound   acme/deploy/.github/dispatching.yml:4
    1 test: 0 passed, 1 failed
    ");
    assert_eq!((code(&output), text(&output.stderr)), (1, ""));
}

#[test]
fn several_files_are_told_one_after_the_other() {
    let world = world();
    write(world.path(), "more/other.test.yml", &format!("policies: .\n{FAILS}"));
    write(world.path(), "more/acme/api/dispatching.yml", "outbound: []\n");
    let output = test(&world, &["more/other.test.yml", "dispatching.test.yml"]);
    assert_snapshot!(text(&output.stdout), @"
    more/other.test.yml
    ok nothing ever starts

    dispatching.test.yml
    ok a green build of main deploys
    ok a fork deploys nothing

    3 tests: 3 passed, 0 failed
    ");
    assert_eq!(code(&output), 0);
}

#[test]
fn the_policies_are_where_the_file_or_the_command_line_says() {
    let world = world();
    write(world.path(), "tests/dispatching.test.yml", TESTS);
    assert_eq!(code(&test(&world, &["tests/dispatching.test.yml"])), 1, "there are none beside it");
    assert_eq!(code(&test(&world, &["tests/dispatching.test.yml", "--policies", "."])), 0);

    write(world.path(), "outer.test.yml", &format!("policies: inner/policies\n{FAILS}"));
    write(world.path(), "inner/policies/acme/api/dispatching.yml", "outbound: []\n");
    assert_eq!(code(&test(&world, &["outer.test.yml"])), 0);

    write(world.path(), "outer.test.yml", &format!("policies: nowhere\n{FAILS}"));
    let output = test(&world, &["outer.test.yml"]);
    let (code, line) = failure(&output);
    assert_eq!(code, 2);
    assert!(line.contains("nowhere"), "{line}");
}

#[test]
fn a_wrong_file_is_shown_with_its_place_and_hides_no_other() {
    let world = world();
    write(
        world.path(),
        "wrong.test.yml",
        "tests:\n  - name: x\n    when: { repository: acme/api, worklfow: ci.yml }\n",
    );
    let output = test(&world, &["missing.test.yml", "dispatching.test.yml", "wrong.test.yml"]);
    assert_eq!(code(&output), 2);
    assert_eq!(text(&output.stderr).lines().count(), 2, "{}", text(&output.stderr));
    let said = text(&output.stdout);
    for part in ["did you mean `workflow`?", "wrong.test.yml:3:35", "ok a fork deploys nothing", "2 tests: 2 passed"] {
        assert!(said.contains(part), "`{part}` is not in:\n{said}");
    }
}

#[test]
fn a_broken_policy_file_is_shown_once_and_fails_the_tests_that_look_at_it() {
    let world = world();
    write(world.path(), "acme/deploy/.github/dispatching.yml", "inbound:\n  - sorce: { workflow: x.yml }\n");
    let output = test(&world, &["dispatching.test.yml"]);
    assert_snapshot!(text(&output.stdout), @"
    error[unknown_key]: there is no key `sorce` here
     --> acme/deploy/.github/dispatching.yml:2:5
      |
    2 |   - sorce: { workflow: x.yml }
      |     ^^^^^ unknown key
      |
      = help: did you mean `source`?

    error[missing_key]: the key `source` is missing
     --> acme/deploy/.github/dispatching.yml:2:5
      |
    2 |   - sorce: { workflow: x.yml }
      |     ^^^^^^^^^^^^^^^^^^^^^^^^^^ has no `source`
      |
      = help: add `source:`

    error[missing_key]: the key `targets` is missing
     --> acme/deploy/.github/dispatching.yml:2:5
      |
    2 |   - sorce: { workflow: x.yml }
      |     ^^^^^^^^^^^^^^^^^^^^^^^^^^ has no `targets`
      |
      = help: add `targets:`

    FAILED a green build of main deploys (dispatching.test.yml:2)
        the policy file of `acme/deploy` has errors, so that it means nothing
          line 2: there is no key `sorce` here
    ok a fork deploys nothing
    2 tests: 1 passed, 1 failed
    ");
    assert_eq!(code(&output), 1);
}

#[test]
fn programs_read_json() {
    let world = world();
    write(world.path(), "fails.test.yml", FAILS);
    write(world.path(), "wrong.test.yml", "tests: 7\n");
    let output = test(&world, &["--format", "json", "dispatching.test.yml", "fails.test.yml", "wrong.test.yml"]);
    assert_eq!(code(&output), 2);
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&answer["passed"], &answer["failed"]), (&json!(2), &json!(1)));
    assert_eq!(answer["files"][0]["file"], "dispatching.test.yml");
    assert_eq!(
        answer["files"][0]["tests"][1],
        json!({ "name": "a fork deploys nothing", "line": 6, "passed": true, "differences": [] })
    );
    let difference = &answer["files"][1]["tests"][0]["differences"][0];
    assert_eq!(difference["difference"], "started");
    assert_eq!(difference["decision"]["target"], json!({ "repository": "acme/deploy", "workflow": "cd.yml" }));
    assert_eq!(difference["decision"]["outbound_rule"], json!({ "file": "acme/api/dispatching.yml", "line": 4 }));
    assert_eq!(answer["files"][2]["problems"][0]["code"], "wrong_type");
}

#[test]
fn a_ci_system_reads_junit() {
    let world = world();
    write(world.path(), "fails.test.yml", FAILS);
    write(world.path(), "wrong.test.yml", "tests: 7\n");
    let files = ["--format", "junit", "dispatching.test.yml", "fails.test.yml", "wrong.test.yml"];
    let output = test(&world, &files);
    assert_eq!(code(&output), 2);
    assert_snapshot!(text(&output.stdout), @r#"
    <?xml version="1.0" encoding="UTF-8"?>
    <testsuites tests="4" failures="1" errors="1">
      <testsuite name="dispatching.test.yml" tests="2" failures="0" errors="0">
        <testcase name="a green build of main deploys" classname="dispatching.test.yml" file="dispatching.test.yml" line="2"/>
        <testcase name="a fork deploys nothing" classname="dispatching.test.yml" file="dispatching.test.yml" line="6"/>
      </testsuite>
      <testsuite name="fails.test.yml" tests="1" failures="1" errors="0">
        <testcase name="nothing ever starts" classname="fails.test.yml" file="fails.test.yml" line="2">
          <failure message="`cd.yml` in `acme/deploy` starts, and should not">`cd.yml` in `acme/deploy` starts, and should not
      yes  `cd.yml` in `acme/deploy`
           `acme/api/dispatching.yml:4` and `acme/deploy/.github/dispatching.yml:4` agree
           ref       `main`
           inputs    `git_sha` = `0123456789abcdef0123456789abcdef01234567`
           outbound  acme/api/dispatching.yml:4
           inbound   acme/deploy/.github/dispatching.yml:4</failure>
        </testcase>
      </testsuite>
      <testsuite name="wrong.test.yml" tests="1" failures="0" errors="1">
        <testcase name="the file is read" classname="wrong.test.yml" file="wrong.test.yml">
          <error message="`wrong.test.yml` has errors, so that none of its tests was run">error[wrong_type]: expected a list, got the text `7`
     --&gt; wrong.test.yml:1:8
      |
    1 | tests: 7
      |        ^ not a list
      |
      = help: write `tests: [7]`</error>
        </testcase>
      </testsuite>
    </testsuites>
    "#);
}

#[test]
fn whatever_a_file_holds_neither_speaks_to_the_terminal_nor_breaks_the_xml() {
    let world = world();
    let name = r#"</testcase>]]> & \"\x1b[2J\u202e\uffff\0'"#;
    write(world.path(), "a&b<c>.test.yml", &FAILS.replace("nothing ever starts", &format!("\"{name}\"")));
    let output = test(&world, &["a&b<c>.test.yml"]);
    assert_eq!(code(&output), 1);
    let said = text(&output.stdout);
    assert!(said.chars().all(|c| c == '\n' || !c.is_control()) && !said.contains('\u{202e}'), "{said:?}");
    assert!(said.contains(r#"FAILED </testcase>]]> & "\u{1b}[2J\u{202e}"#), "{said}");

    let output = test(&world, &["--format", "junit", "a&b<c>.test.yml"]);
    let xml = text(&output.stdout);
    assert!(xml.chars().all(|c| c == '\n' || (!c.is_control() && !matches!(c, '\u{fffe}' | '\u{ffff}'))), "{xml:?}");
    assert_eq!(elements(xml), ["testsuites", "testsuite", "testcase", "failure"], "{xml}");
}

/// The names of the elements, in order; every tag is closed, and no quote is open at its end.
fn elements(xml: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut open = Vec::new();
    for tag in xml.split('<').skip(1) {
        let (tag, content) = tag.split_once('>').expect("a tag ends");
        assert!(!content.contains('>'), "{content}");
        assert!(tag.matches('"').count().is_multiple_of(2), "{tag}");
        let name = tag.split([' ', '/']).find(|part| !part.is_empty()).unwrap();
        if tag.starts_with('?') {
            continue;
        }
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name), "{xml}");
            continue;
        }
        names.push(name);
        if !tag.ends_with('/') {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "{open:?}");
    names
}

#[cfg(unix)]
#[test]
fn a_link_is_not_followed_to_policies() {
    let (world, elsewhere) = (world(), world());
    let link = world.path().join("linked");
    std::os::unix::fs::symlink(elsewhere.path(), &link).unwrap();
    write(world.path(), "linked.test.yml", &format!("policies: linked\n{TESTS}"));
    let output = test(&world, &["linked.test.yml"]);
    let (code, line) = failure(&output);
    assert_eq!(code, 2);
    assert!(line.contains("symbolic link"), "{line}");
}

#[test]
fn the_examples_keep_what_their_readmes_promise() {
    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples");
    for name in ["preview", "command", "stack"] {
        let file = format!("{examples}/{name}/dispatching.test.yml");
        let output = dispatch(&["test", &file]).output().unwrap();
        assert_eq!(code(&output), 0, "{}{}", text(&output.stdout), text(&output.stderr));
    }
}
