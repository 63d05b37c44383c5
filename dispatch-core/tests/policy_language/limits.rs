//! What an owner allows in all of his repositories.

use dispatch_core::event::Conclusion;
use dispatch_core::policy::Policy;

use super::{check, told, told_of};

const EVERYTHING: &str = "\
limits:
  source_repositories: [api, 'web-*', partner/infra]
  source_workflows: [ci.yml, 'release-*.yml']
  target_repositories: ['*', partner/deploy]
  command_repositories: [api]
  conclusions: [success, failure]
  default_branch_only: true
  forks: false
  max_targets: 5
  max_chain_depth: 2
  max_edge_rate: 20
  default_ref: release
";

#[test]
fn limits_are_what_they_say_each_with_its_line() {
    let policy = check(EVERYTHING.as_bytes()).policy.unwrap();
    let limits = policy.limits().unwrap();
    let sources = limits.source_repositories.as_ref().unwrap();
    assert_eq!(sources.line, 2);
    for (name, listed) in [
        ("acme/api", true),
        ("Acme/Web-Shop", true),
        ("partner/infra", true),
        ("partner/api", false),
        ("acme/x", false),
    ] {
        assert_eq!(sources.value.matches_ignore_case(name), listed, "{name}");
    }
    let targets = &limits.target_repositories.as_ref().unwrap().value;
    assert!(targets.matches("acme/anything") && !targets.matches("partner/anything"), "a bare pattern is the owner's");
    let workflows = &limits.source_workflows.as_ref().unwrap().value;
    assert!(workflows.matches("release-1.yml") && !workflows.matches("nightly.yml"));
    assert!(!limits.command_repositories.as_ref().unwrap().value.matches("acme/web-shop"));
    let conclusions = limits.conclusions.as_ref().unwrap();
    assert_eq!((conclusions.value.clone(), conclusions.line), ([Conclusion::Success, Conclusion::Failure].into(), 6));
    assert!(limits.default_branch_only.as_ref().unwrap().value && !limits.forks.as_ref().unwrap().value);
    let numbers = [&limits.max_targets, &limits.max_chain_depth, &limits.max_edge_rate];
    assert_eq!(numbers.map(|number| number.as_ref().unwrap().value), [5, 2, 20]);
    assert_eq!(limits.default_ref.as_ref().unwrap().value.as_str(), "release");
}

#[test]
fn a_file_without_limits_says_nothing_of_them_and_an_empty_mapping_limits_nothing() {
    assert_eq!(check(b"outbound: []\n").policy.unwrap().limits(), None);
    assert_eq!(check(b"limits: {}\n").policy.unwrap().limits(), Some(&Default::default()));
}

#[test]
fn what_is_wrong_in_limits_is_told_at_its_place() {
    let limits = |text: &str| format!("limits:\n  {text}\n").into_bytes();
    let table = [
        ("an unknown key", limits("max_target: 5")),
        ("nothing", b"limits:\n".to_vec()),
        ("a list", b"limits: [success]\n".to_vec()),
        ("no repository", limits("source_repositories: []")),
        ("not a repository", limits("source_repositories: [a/b/c]")),
        ("spaces", limits("target_repositories: ['my repo']")),
        ("not a workflow", limits("source_workflows: [ci]")),
        ("a class", limits("source_workflows: ['[a-z].yml']")),
        ("an unknown word", limits("conclusions: [green]")),
        ("none at all", limits("max_targets: 0")),
        ("more than a step holds", limits("max_targets: 91")),
        ("too deep", limits("max_chain_depth: 33")),
        ("text", limits("max_edge_rate: 'twenty'")),
        ("a word for yes", limits("forks: yes")),
        ("no ref", limits("default_ref: 'refs/pull/1/head'")),
    ];
    insta::assert_snapshot!(told_of(table.into()), @r"
    an unknown key: unknown_key 2:3 max_target
    nothing: missing_value 1:1 limits
    a list: wrong_type 1:9 [success]
    no repository: empty_list 2:24 []
    not a repository: invalid_name 2:25 a/b/c
    spaces: invalid_name 2:25 'my repo'
    not a workflow: invalid_name 2:22 ci
    a class: invalid_pattern 2:22 '[a-z].yml'
    an unknown word: unknown_conclusion 2:17 green
    none at all: invalid_limit 2:16 0
    more than a step holds: invalid_limit 2:16 91
    too deep: invalid_limit 2:20 33
    text: wrong_type 2:18 'twenty'
    a word for yes: wrong_type 2:10 yes
    no ref: invalid_name 2:16 'refs/pull/1/head'
    ");
}

#[test]
fn elsewhere_than_in_dot_github_limits_are_an_error_because_nothing_would_come_of_them() {
    let read = |repository: &str| {
        Policy::check_in(b"limits: {forks: false}\n", &repository.parse().unwrap(), "dispatching.yml")
    };
    assert!(read("acme/.github").policy.is_some() && read("Acme/.GitHub").policy.is_some());
    let elsewhere = read("acme/api");
    assert!(elsewhere.policy.is_none());
    insta::assert_snapshot!(elsewhere.diagnostics.render("limits: {forks: false}\n"), @r"
    error[limits_elsewhere]: limits count in the policy file of a repository named `.github` only
     --> dispatching.yml:1:1
      |
    1 | limits: {forks: false}
      | ^^^^^^ counts for nothing
      |
      = help: move it to the policy file of the owner's `.github` repository, or remove it
    ");
}

#[test]
fn people_read_what_a_wrong_number_should_be() {
    insta::assert_snapshot!(told("limits:\n  max_targets: 1000\n"), @r"
    error[invalid_limit]: the number is not from 1 to 90
     --> dispatching.yml:2:16
      |
    2 |   max_targets: 1000
      |                ^^^^ out of range
      |
      = help: write a number from 1 to 90, or remove it
    ");
}
