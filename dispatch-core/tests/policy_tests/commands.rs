//! Commands in comments on pull requests.

use super::all_pass;

const CMS: &str = r#"
outbound:
  - source: { command: /deploy, argument: { one_of: [eu, us] } }
    targets:
      - { repository: infra, workflow: deploy.yml, inputs: { where: "{{ command.argument }}", by: "{{ sender.login }}" } }
  - source: { command: /release, permission: acme/release }
    targets:
      - { repository: infra, workflow: deploy.yml }
  - source: { command: /preview, permission: author, forks: true }
    targets:
      - { repository: infra, workflow: deploy.yml }
  - source: { command: /drop, permission: admin }
    targets:
      - { repository: infra, workflow: deploy.yml }
"#;
const INFRA: &str = r#"
inbound:
  - source: { repository: cms, command: /deploy }
    targets:
      - { workflow: deploy.yml, accept_refs: [main], accept_inputs: { where: { one_of: [eu] }, by: { pattern: login } } }
  - source: { repository: cms, command: /release }
    targets: [{ workflow: deploy.yml, accept_refs: [main] }]
  - source: { repository: cms, command: /preview, permission: author, forks: true }
    targets: [{ workflow: deploy.yml, accept_refs: [main] }]
  - source: { repository: cms, command: /drop, permission: admin }
    targets: [{ workflow: deploy.yml, accept_refs: [main] }]
"#;
const FILES: [(&str, &str); 2] = [("acme/cms", CMS), ("acme/infra", INFRA)];
const STARTS: &str = "then: [{ repository: acme/infra, workflow: deploy.yml }]";
const SHA: &str = "3484a3fb816e0859fd6e1cea078d76385ff50625";

/// Tests, each as what `when` says of a command of `acme/cms`, and what is to come of it.
fn commands(tests: &[(&str, &str)]) {
    let tests: Vec<_> =
        tests.iter().map(|(when, then)| format!("when: {{ repository: acme/cms, {when} }}, {then}")).collect();
    all_pass(&FILES, &tests.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn the_word_behind_a_command_is_read_as_in_a_comment() {
    commands(&[
        (
            "command: /deploy, argument: eu, sender: alice",
            "then: [{ repository: acme/infra, workflow: deploy.yml, inputs: { where: '{{ argument }}', by: alice } }]",
        ),
        (
            "command: /deploy, argument: us",
            "then: [], denied: [{ repository: acme/infra, workflow: deploy.yml, reason: value_not_accepted }]",
        ),
        ("command: /deploy, argument: asia", "then: [], skipped: argument_not_accepted"),
        ("command: /deploy, argument: eu us", "then: [], skipped: argument_not_accepted"),
        ("command: /deploy", "then: [], skipped: argument_not_accepted"),
        (&format!("command: /deploy, argument: eu {SHA}, head_sha: {SHA}"), STARTS),
        (&format!("command: /deploy, argument: eu {SHA}"), "then: [], skipped: commit_not_confirmed"),
    ]);
}

#[test]
fn who_may_give_a_command_is_asked() {
    let refused = "then: [], skipped: commenter_not_permitted";
    let confirmed = format!("argument: {SHA}, head_sha: {SHA}");
    commands(&[
        ("command: /deploy, argument: eu, permission: write", STARTS),
        ("command: /deploy, argument: eu, permission: read", refused),
        ("command: /deploy, argument: eu, permission: none", refused),
        ("command: /deploy, argument: eu, sender: 'helpful[bot]'", refused),
        (&format!("command: /drop, permission: admin, {confirmed}"), STARTS),
        (&format!("command: /drop, permission: write, {confirmed}"), refused),
        ("command: /drop, permission: admin", "then: [], skipped: commit_not_confirmed"),
        (&format!("command: /release, teams: [acme/release], {confirmed}"), STARTS),
        (&format!("command: /release, teams: [acme/other], {confirmed}"), refused),
        ("command: /preview, permission: read, sender: alice, author: ALICE", STARTS),
        ("command: /preview, permission: read, sender: alice, author: bob", refused),
        (
            &format!("command: /preview, permission: read, sender: alice, author: alice, fork: true, {confirmed}"),
            STARTS,
        ),
        ("command: /preview, sender: alice, author: alice, fork: true", "then: [], skipped: commit_not_confirmed"),
    ]);
}

#[test]
fn a_command_is_given_on_a_pull_request_that_is_open() {
    commands(&[
        ("command: /deploy, argument: eu, state: closed", "then: [], skipped: pull_request_not_open"),
        ("command: /deploy, argument: eu, fork: true", "then: [], skipped: source_from_fork"),
        ("command: /depoly", "then: [], skipped: unknown_command"),
    ]);
}
