//! What can be wrong in a file of tests.

use dispatch_core::policy_test::{MAX_TESTS, TestFile};

use super::{read, wrong};

const TEST: &str = "{ name: a test, when: { repository: acme/api, workflow: ci.yml }, then: [] }";

/// `code line:column` of every problem.
fn problems(text: &[u8]) -> String {
    let problems = TestFile::read(text, "dispatching.test.yml").unwrap_err().problems;
    let told = problems.iter().map(|problem| format!("{} {}:{}", problem.code, problem.span.line, problem.span.column));
    told.collect::<Vec<_>>().join("; ")
}

fn with(key: &str) -> String {
    format!("tests:\n  - {{ name: a test, when: {{ repository: acme/api, {key} }}, then: [] }}\n")
}

#[test]
fn an_unknown_key_is_shown_with_what_was_meant() {
    insta::assert_snapshot!(wrong("tests:
  - name: a test
    when: { repository: acme/api, worklfow: ci.yml, brnch: main }
    thn: []
"), @"
    error[missing_key]: the key `then` is missing
     --> dispatching.test.yml:2:5
      |
    2 |   - name: a test
      |     ^^^^^^^^^^^^ has no `then`
      |
      = help: add `then:`

    error[missing_key]: `when` has one of the keys `workflow`, `pull_request`, `command`, and this one has none
     --> dispatching.test.yml:3:11
      |
    3 |     when: { repository: acme/api, worklfow: ci.yml, brnch: main }
      |           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ has none of them
      |
      = help: add one of `workflow`, `pull_request`, `command`

    error[unknown_key]: there is no key `worklfow` here
     --> dispatching.test.yml:3:35
      |
    3 |     when: { repository: acme/api, worklfow: ci.yml, brnch: main }
      |                                   ^^^^^^^^ unknown key
      |
      = help: did you mean `workflow`?

    error[unknown_key]: there is no key `brnch` here
     --> dispatching.test.yml:3:53
      |
    3 |     when: { repository: acme/api, worklfow: ci.yml, brnch: main }
      |                                                     ^^^^^ unknown key
      |
      = help: did you mean `branch`?

    error[unknown_key]: there is no key `thn` here
     --> dispatching.test.yml:4:5
      |
    4 |     thn: []
      |     ^^^ unknown key
      |
      = help: did you mean `then`?
    ");
}

#[test]
fn every_level_has_its_keys() {
    insta::assert_snapshot!([
        problems(b"test: []\n"),
        problems(b"tests: []\npolicy: x\n"),
        problems(format!("tests: [{TEST}]\nlimits: {{ MAX: 7 }}\n").as_bytes()),
        problems(b"tests:\n  - { name: x, when: { repository: a/b, workflow: ci.yml }, then: [{ repo: a/b, workflow: cd.yml }] }\n"),
        problems(b"tests:\n  - { name: x, when: { repository: a/b, workflow: ci.yml }, then: [], denied: [{ repository: a/b, event: x, why: y }] }\n"),
        problems(b"tests:\n  - { name: x, when: { repository: a/b, command: /x, environments: [{ repository: a/b, names: y }] }, then: [] }\n"),
    ].join("\n"), @"
    unknown_key 1:1; missing_key 1:1
    empty_list 1:8; unknown_key 2:1
    unknown_key 2:11
    missing_key 2:68; unknown_key 2:70
    missing_key 2:80; unknown_key 2:109
    missing_key 2:69; unknown_key 2:88
    ");
}

#[test]
fn when_is_about_one_event_and_has_its_keys_only() {
    insta::assert_snapshot!([
        problems(with("branch: main").as_bytes()),
        problems(with("workflow: ci.yml, command: /x").as_bytes()),
        problems(with("workflow: ci.yml, base: main, head_sha: x, merged: true, argument: x").as_bytes()),
        problems(with("pull_request: opened, branch: main, sha: x, permission: write").as_bytes()),
        problems(with("command: /x, conclusion: success, merged: false").as_bytes()),
    ].join("\n"), @"
    missing_key 2:27
    conflicting_keys 2:69
    misplaced_key 2:69; misplaced_key 2:81; misplaced_key 2:94; misplaced_key 2:108
    misplaced_key 2:73; misplaced_key 2:87; misplaced_key 2:95
    misplaced_key 2:64; misplaced_key 2:85
    ");
    insta::assert_snapshot!(wrong(&with("pull_request: opened, branch: main")), @"
    error[misplaced_key]: `branch` goes with `workflow`, and not with `pull_request`
     --> dispatching.test.yml:2:73
      |
    2 | a test, when: { repository: acme/api, pull_request: opened, branch: main }, then: [] }
      |                                                             ^^^^^^ goes with `workflow`
      |
      = help: write `base` or `head_branch`
    ");
}

#[test]
fn a_value_that_cannot_be_is_refused_at_its_place() {
    insta::assert_snapshot!([
        problems(with("workflow: ci.txt").as_bytes()),
        problems(with("workflow: ci.yml, conclusion: succes").as_bytes()),
        problems(with("workflow: ci.yml, sha: abc").as_bytes()),
        problems(with("workflow: ci.yml, run_id: 0, attempt: 4294967296").as_bytes()),
        problems(with("workflow: ci.yml, fork: 'true'").as_bytes()),
        problems(with("pull_request: merged").as_bytes()),
        problems(with("pull_request: [opened]").as_bytes()),
        problems(with("pull_request: opened, merged: true").as_bytes()),
        problems(with("command: deploy").as_bytes()),
        problems(with("command: /deploy, permission: maintain").as_bytes()),
        problems(with("command: /deploy, teams: [release]").as_bytes()),
        problems(with("command: /deploy, state: opne").as_bytes()),
        problems(with("command: /deploy, sender: '@alice'").as_bytes()),
        problems(with("command: /deploy, environments: [{ repository: a/b, name: '' }]").as_bytes()),
        problems(b"tests:\n  - { name: x, when: { repository: api, workflow: ci.yml }, then: [] }\n"),
    ].join("\n"), @"
    invalid_name 2:61
    unknown_conclusion 2:81
    invalid_name 2:74
    invalid_number 2:77; invalid_number 2:89
    wrong_type 2:75
    unknown_action 2:65
    wrong_type 2:65
    impossible_event 2:81
    invalid_name 2:60
    unknown_word 2:81
    invalid_name 2:77
    unknown_word 2:76
    invalid_name 2:77
    invalid_name 2:109
    invalid_name 2:36
    ");
}

#[test]
fn what_is_expected_is_checked_too() {
    let then = |then: &str| {
        problems(
            format!("tests:\n  - {{ name: x, when: {{ repository: a/b, workflow: ci.yml }}, {then} }}\n").as_bytes(),
        )
    };
    insta::assert_snapshot!([
        then("then:"),
        then("then: nothing"),
        then("then: [{ repository: a/b }]"),
        then("then: [{ repository: a/b, workflow: cd.yml, payload: {} }]"),
        then("then: [{ repository: a/b, event: x, ref: main, inputs: {} }]"),
        then("then: [{ repository: a/b, workflow: cd.yml, inputs: { x: '{{ head_sha }}' } }]"),
        then("then: [{ repository: a/b, workflow: cd.yml, inputs: { x: '{{ sha' } }]"),
        then("then: [{ repository: a/b, event: x, payload: { x: [1] } }]"),
        then("then: [], denied: [{ repository: a/b, event: x }]"),
        then("then: [], denied: [{ repository: a/b, event: x, reason: no_consent }]"),
        then("then: [], skipped: source_from_frok"),
    ].join("\n"), @"
    missing_value 2:61
    wrong_type 2:67
    missing_key 2:68
    misplaced_key 2:105
    misplaced_key 2:97; misplaced_key 2:108
    unknown_value 2:118
    invalid_template 2:118
    wrong_type 2:111
    missing_key 2:80
    unknown_reason 2:117
    unknown_reason 2:80
    ");
    insta::assert_snapshot!(wrong("tests:
  - name: x
    when: { repository: a/b, workflow: ci.yml }
    then: [{ repository: a/b, workflow: cd.yml, inputs: { x: '{{ source.sha }}', y: '{{ shaa }}' } }]
    skipped: source_from_frok
"), @"
    error[unknown_value]: the event of `when` has no `source.sha`
     --> dispatching.test.yml:4:62
      |
    4 |    then: [{ repository: a/b, workflow: cd.yml, inputs: { x: '{{ source.sha }}', y: '{{ shaa }}' } }]
      |                                                             ^^^^^^^^^^^^^^^^^^ no key of `when`
      |
      = help: write the value itself, or the key of `when` that has it: one of `attempt`, `branch`, `conclusion`, `default_branch`, `event`, `repository`, `run_id`, `sender`, `sha`, `workflow`

    error[unknown_value]: the event of `when` has no `shaa`
     --> dispatching.test.yml:4:85
      |
    4 |  a/b, workflow: cd.yml, inputs: { x: '{{ source.sha }}', y: '{{ shaa }}' } }]
      |                                                             ^^^^^^^^^^^^ no key of `when`
      |
      = help: did you mean `{{ sha }}`?

    error[unknown_reason]: there is no reason `source_from_frok`
     --> dispatching.test.yml:5:14
      |
    5 |     skipped: source_from_frok
      |              ^^^^^^^^^^^^^^^^ no reason
      |
      = help: did you mean `source_from_fork`?
    ");
}

#[test]
fn a_limit_is_checked_by_its_own_rules() {
    insta::assert_snapshot!(wrong(&format!(
        "limits:\n  DISPATCH_MAX_TARGETS_PER_RUN: many\n  allowed_source_conclusion: success\ntests: [{TEST}]\n"
    )), @"
    error[invalid_limit]: expected a number from 1 to 90, got `many`
     --> dispatching.test.yml:2:33
      |
    2 |   DISPATCH_MAX_TARGETS_PER_RUN: many
      |                                 ^^^^ here

    error[unknown_key]: there is no limit `allowed_source_conclusion`
     --> dispatching.test.yml:3:3
      |
    3 |   allowed_source_conclusion: success
      |   ^^^^^^^^^^^^^^^^^^^^^^^^^ unknown limit
      |
      = help: did you mean `ALLOWED_SOURCE_CONCLUSIONS`?
    ");
}

#[test]
fn policies_are_below_the_file() {
    let folder = |folder: &str| format!("policies: {folder:?}\ntests: [{TEST}]\n");
    for (written, names) in
        [(".", vec![]), ("./a", vec!["a"]), ("a/b/", vec!["a", "b"]), ("a..b/.c", vec!["a..b", ".c"])]
    {
        assert_eq!(read(&folder(written)).policies, names, "{written}");
    }
    assert_eq!(read(&format!("tests: [{TEST}]\n")).policies, Vec::<String>::new());
    for refused in ["", "/etc", "..", "a/../..", "a\\b", "C:/x", "../a", "\u{1}"] {
        assert!(
            problems(folder(refused).replace("\\u{1}", "\\x01").as_bytes()).starts_with("invalid_folder"),
            "{refused}"
        );
    }
}

#[test]
fn names_are_there_once_and_not_too_long() {
    let name =
        |name: &str| format!("  - {{ name: {name:?}, when: {{ repository: a/b, workflow: ci.yml }}, then: [] }}\n");
    insta::assert_snapshot!([
        problems(format!("tests:\n{}{}", name("x"), name("x")).as_bytes()),
        problems(format!("tests:\n{}", name(" ")).as_bytes()),
        problems(format!("tests:\n{}", name(&"x".repeat(201))).as_bytes()),
    ].join("\n"), @"
    duplicate_name 3:13
    invalid_name 2:13
    invalid_name 2:13
    ");
    assert_eq!(read(&format!("tests:\n{}", name(&"x".repeat(200)))).tests[0].name.len(), 200);
}

#[test]
fn a_file_has_a_bounded_number_of_tests() {
    let tests = |count: usize| {
        let entries = (0..count)
            .map(|number| format!("- {{ name: {number}, when: {{ repository: a/b, workflow: ci.yml }}, then: [] }}\n"));
        format!("tests:\n{}", entries.collect::<String>())
    };
    assert_eq!(read(&tests(MAX_TESTS)).tests.len(), MAX_TESTS);
    assert_eq!(problems(tests(MAX_TESTS + 1).as_bytes()), "too_many_tests 1002:3");
}

#[test]
fn hostile_yaml_is_refused_as_in_a_policy_file() {
    let table: [(&str, Vec<u8>); 12] = [
        ("nothing", vec![]),
        ("a comment", b"# later\n".to_vec()),
        ("a text", b"tests\n".to_vec()),
        ("an anchor", format!("tests: &all [{TEST}]\n").into_bytes()),
        ("an alias", b"tests: *all\n".to_vec()),
        ("a merge key", b"tests:\n  - { <<: x }\n".to_vec()),
        ("a tag", b"tests: !!set {}\n".to_vec()),
        ("a key twice", format!("tests: [{TEST}]\ntests: []\n").into_bytes()),
        ("two documents", format!("tests: [{TEST}]\n---\ntests: []\n").into_bytes()),
        ("a terminal escape", b"tests: \x1b[2J\n".to_vec()),
        ("deep nesting", format!("tests: {}\n", "[".repeat(1_000)).into_bytes()),
        ("too many bytes", vec![b'#'; 256 * 1024 + 1]),
    ];
    let told = table.map(|(name, bytes)| format!("{name}: {}", problems(&bytes)));
    insta::assert_snapshot!(told.join("\n"), @"
    nothing: missing_key 1:1
    a comment: missing_key 1:1
    a text: wrong_type 1:1
    an anchor: yaml_anchor 1:8
    an alias: yaml_alias 1:8
    a merge key: yaml_merge_key 2:7
    a tag: yaml_tag 1:8
    a key twice: duplicate_key 2:1; empty_list 2:8
    two documents: yaml_documents 2:1
    a terminal escape: forbidden_character 1:8
    deep nesting: yaml_too_deep 1:263
    too many bytes: file_too_large 1:1
    ");
    insta::assert_snapshot!(wrong(&format!("tests: {}", "[".repeat(20))), @"
    error[yaml_too_deep]: the file nests deeper than 16 levels
     --> dispatching.test.yml:1:23
      |
    1 | tests: [[[[[[[[[[[[[[[[[[[[
      |                       ^ one level too many
      |
      = help: a file of tests needs 6 levels
    ");
}

#[test]
fn no_bytes_make_the_reader_panic() {
    let text = format!("policies: a\nlimits: {{ OWNER_ALLOWLIST: acme }}\ntests:\n  - {TEST}\n");
    for end in 0..text.len() {
        let _ = TestFile::read(&text.as_bytes()[..end], "x");
        let _ = TestFile::read(&text.as_bytes()[end..], "x");
        let mut changed = text.clone().into_bytes();
        changed[end] = b'\xff';
        assert!(TestFile::read(&changed, "x").is_err());
    }
}
