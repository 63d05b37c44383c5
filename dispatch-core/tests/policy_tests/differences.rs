//! What people read where a test fails.

use dispatch_core::decide::PolicyFile;

use super::{Files, read, run};

const API: &str = r#"outbound:
  - source: { workflow: ci.yml }
    targets:
      - { repository: deploy, workflow: cd.yml, inputs: { git_sha: "{{ source.sha }}", stage: production } }
      - { repository: infra, event: built }
"#;
const DEPLOY: &str = "inbound:
  - source: { repository: api, workflow: ci.yml }
    targets:
      - { workflow: cd.yml, accept_inputs: [git_sha, stage], accept_refs: [main] }
";
const FILES: [(&str, &str); 3] = [("acme/api", API), ("acme/deploy", DEPLOY), ("acme/infra", "inbound: []\n")];

/// What is told of one test.
fn told(files: &Files<'_>, test: &str) -> String {
    run(files, &format!("tests:\n  - {{ name: a test, {test} }}\n"))
}

#[test]
fn what_should_start_and_does_not_shows_who_denied_it() {
    insta::assert_snapshot!(told(&FILES, "when: { repository: acme/api, workflow: ci.yml }, then: [
        { repository: acme/deploy, workflow: cd.yml }, { repository: acme/infra, event: built }]"), @"
    FAILED a test
    `built` in `acme/infra` should start, and does not
      no   `built` in `acme/infra`: inbound_not_authorized
           no inbound rule of `acme/infra` names `acme/api`
           outbound  acme/api/dispatching.yml:5
           help      add an `inbound` rule to the target's policy file that names the source repository, its workflow and this target
    ");
}

#[test]
fn what_should_start_and_is_skipped_shows_why() {
    insta::assert_snapshot!(told(&FILES, "when: { repository: acme/api, workflow: ci.yml, fork: true },
        then: [{ repository: acme/deploy, workflow: cd.yml }]"), @"
    FAILED a test
    `cd.yml` in `acme/deploy` should start, and does not
      nothing starts: source_from_fork
        the run's commit is a fork's, and the outbound rule does not say `forks: true`
        outbound  acme/api/dispatching.yml:2
        help      both sides must say `forks: true` to accept what comes from forks, and no owner may forbid it
    ");
}

#[test]
fn what_no_rule_starts_is_said() {
    insta::assert_snapshot!(told(&FILES, "when: { repository: acme/api, workflow: ci.yml }, then: [
        { repository: acme/deploy, workflow: cd.yml }, { repository: acme/other, workflow: cd.yml }]"), @"
    FAILED a test
    `cd.yml` in `acme/other` should start, and does not
      no rule that fits the event is about it
    ");
}

#[test]
fn what_starts_and_should_not_is_shown_whole() {
    insta::assert_snapshot!(told(&FILES, "when: { repository: acme/api, workflow: ci.yml }, then: []"), @"
    FAILED a test
    `cd.yml` in `acme/deploy` starts, and should not
      yes  `cd.yml` in `acme/deploy`
           `acme/api/dispatching.yml:4` and `acme/deploy/dispatching.yml:4` agree
           ref       `main`
           inputs    `git_sha` = `0123456789abcdef0123456789abcdef01234567`
                     `stage` = `production`
           outbound  acme/api/dispatching.yml:4
           inbound   acme/deploy/dispatching.yml:4
    ");
}

#[test]
fn each_value_that_differs_is_shown() {
    insta::assert_snapshot!(told(&FILES, "when: { repository: acme/api, workflow: ci.yml }, then: [
        { repository: acme/deploy, workflow: cd.yml, ref: release, inputs: { git_sha: '{{ sha }}', stage: test, more: 7 } }]"), @r#"
    FAILED a test
    `cd.yml` in `acme/deploy` starts, and not as it should
      ref: expected `"release"`, and it is `"main"`
      input `more`: expected `"7"`, and there is none
      input `stage`: expected `"test"`, and it is `"production"`
      yes  `cd.yml` in `acme/deploy`
           `acme/api/dispatching.yml:4` and `acme/deploy/dispatching.yml:4` agree
           ref       `main`
           inputs    `git_sha` = `0123456789abcdef0123456789abcdef01234567`
                     `stage` = `production`
           outbound  acme/api/dispatching.yml:4
           inbound   acme/deploy/dispatching.yml:4
    "#);
    insta::assert_snapshot!(told(&FILES, "when: { repository: acme/api, workflow: ci.yml }, then: [
        { repository: acme/deploy, workflow: cd.yml, inputs: {} }]"), @r#"
    FAILED a test
    `cd.yml` in `acme/deploy` starts, and not as it should
      input `git_sha`: expected none, and it is `"0123456789abcdef0123456789abcdef01234567"`
      input `stage`: expected none, and it is `"production"`
      yes  `cd.yml` in `acme/deploy`
           `acme/api/dispatching.yml:4` and `acme/deploy/dispatching.yml:4` agree
           ref       `main`
           inputs    `git_sha` = `0123456789abcdef0123456789abcdef01234567`
                     `stage` = `production`
           outbound  acme/api/dispatching.yml:4
           inbound   acme/deploy/dispatching.yml:4
    "#);
}

#[test]
fn a_denial_for_another_reason_shows_the_reason() {
    let then = "then: [{ repository: acme/deploy, workflow: cd.yml }]";
    insta::assert_snapshot!(told(&FILES, &format!("when: {{ repository: acme/api, workflow: ci.yml }}, {then},
        denied: [{{ repository: acme/infra, event: built, reason: missing_target_config }}]")), @"
    FAILED a test
    `built` in `acme/infra` should be denied because of missing_target_config, and that is not so
      no   `built` in `acme/infra`: inbound_not_authorized
           no inbound rule of `acme/infra` names `acme/api`
           outbound  acme/api/dispatching.yml:5
           help      add an `inbound` rule to the target's policy file that names the source repository, its workflow and this target
    ");
    insta::assert_snapshot!(told(&FILES, &format!("when: {{ repository: acme/api, workflow: ci.yml }}, {then},
        denied: [{{ repository: acme/deploy, workflow: cd.yml, reason: ref_not_accepted }}]")), @"
    FAILED a test
    `cd.yml` in `acme/deploy` should be denied because of ref_not_accepted, and that is not so
      yes  `cd.yml` in `acme/deploy`
           `acme/api/dispatching.yml:4` and `acme/deploy/dispatching.yml:4` agree
           ref       `main`
           inputs    `git_sha` = `0123456789abcdef0123456789abcdef01234567`
                     `stage` = `production`
           outbound  acme/api/dispatching.yml:4
           inbound   acme/deploy/dispatching.yml:4
    ");
}

#[test]
fn an_event_that_is_skipped_for_another_reason_or_not_at_all_says_so() {
    insta::assert_snapshot!(told(&FILES, "when: { repository: acme/api, workflow: ci.yml, branch: dev }, then: [],
        skipped: source_from_fork"), @"
    FAILED a test
    nothing should be considered, because of source_from_fork, and that is not so
      nothing starts: source_not_default_branch
        the run was on `dev`, and only the default branch `main` counts
        help      run on the default branch, or ask the operator about ENFORCE_SOURCE_DEFAULT_BRANCH, and the owner about his `limits`
    ");
    insta::assert_snapshot!(told(&FILES, "when: { repository: acme/deploy, workflow: ci.yml }, then: [],
        skipped: source_policy_missing"), @"
    FAILED a test
    nothing should be considered, because of source_policy_missing, and that is not so
      nothing starts: no_rule_matched
        no outbound rule of `acme/deploy` names `ci.yml`
        help      add an `outbound` rule whose source names this workflow
    ");
}

#[test]
fn a_policy_file_with_errors_fails_every_test_that_looks_at_it() {
    let broken = [("acme/api", API), ("acme/deploy", "inbound: 7\n"), ("acme/other", "inbound: []\n")];
    insta::assert_snapshot!(run(&broken, "
tests:
  - name: it would start nothing
    when: { repository: acme/api, workflow: ci.yml }
    then: []
    denied: [{ repository: acme/deploy, workflow: cd.yml, reason: invalid_target_config }]
  - name: it is broken itself
    when: { repository: acme/deploy, workflow: ci.yml }
    then: []
    skipped: source_policy_invalid
  - name: it does not look there
    when: { repository: acme/other, workflow: ci.yml }
    then: []
"), @"
    FAILED it would start nothing
    the policy file of `acme/deploy` has errors, so that it means nothing
      line 1: expected a list, got the text `7`
    FAILED it is broken itself
    the policy file of `acme/deploy` has errors, so that it means nothing
      line 1: expected a list, got the text `7`
    ok it does not look there
    ");
}

#[test]
fn a_repository_without_a_policy_file_is_said_on_purpose() {
    insta::assert_snapshot!(told(&FILES, "when: { repository: acme/apii, workflow: ci.yml }, then: []"), @"
    FAILED a test
    there is no policy file of `acme/apii`
      where that is what is meant, write `skipped: source_policy_missing`
    ");
}

#[test]
fn programs_read_json_of_a_stable_shape() {
    let file = read(
        "
tests:
  - name: all of it is wrong
    when: { repository: acme/api, workflow: ci.yml }
    then: [{ repository: acme/deploy, workflow: cd.yml, ref: release }, { repository: acme/web, event: built }]
    denied: [{ repository: acme/infra, event: built, reason: loop_detected }]
    skipped: own_event
",
    );
    let policies = super::policies(&FILES);
    let outcome = file.tests[0].run(&file.limits, |name| policies.get(name).cloned().unwrap_or(PolicyFile::Absent));
    let json = serde_json::to_value(&outcome).unwrap();
    let kinds: Vec<_> = json["differences"].as_array().unwrap().iter().map(|it| &it["difference"]).collect();
    assert_eq!(kinds, ["not_skipped", "started_otherwise", "not_started", "not_denied"]);
    let [skipped, otherwise, not_started, not_denied] = &json["differences"].as_array().unwrap()[..] else {
        panic!("{json}")
    };
    assert_eq!(skipped["reason"], "own_event");
    assert_eq!(skipped["instead"]["decisions"].as_array().unwrap().len(), 2);
    assert_eq!(otherwise["decision"]["target"]["workflow"], "cd.yml");
    assert_eq!(otherwise["decision"]["outbound_rule"]["line"], 4);
    let value = serde_json::json!({ "what": "ref", "name": null, "expected": "release", "sent": "main" });
    assert_eq!(otherwise["values"], serde_json::json!([value]));
    assert_eq!(not_started["target"], serde_json::json!({ "repository": "acme/web", "event": "built" }));
    assert_eq!(not_started["instead"], serde_json::json!({ "skipped": null, "decisions": [] }));
    assert_eq!(not_denied["instead"]["decisions"][0]["reason"], "inbound_not_authorized");
}
