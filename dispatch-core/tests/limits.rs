//! What owners allow: each limit narrows, none widens, and what cannot be read allows nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
#![allow(dead_code, unreachable_pub, reason = "the support is shared, and no test file uses all of it")]

mod support;

use dispatch_core::decide::{Identity, PolicyAnswer, PolicyFile, Visibility};
use dispatch_core::explain::{Given, explain};
use dispatch_core::name::RepositoryId;
use dispatch_core::policy::{InboundTarget, Policy, Target};
use support::*;

type Change = fn(&mut Setup);

/// The policy file of an owner's `.github` repository.
fn limits(owner: &str, limits: &str) -> PolicyAnswer {
    let repository = repository(&format!("{owner}/.github"));
    let text = format!("limits: {{{limits}}}\n");
    let checked = Policy::check_in(text.as_bytes(), &repository, "dispatching.yml");
    let policy = checked.policy.unwrap_or_else(|| panic!("{limits}: {:?}", checked.diagnostics));
    found(Identity::Verified { id: RepositoryId(90), private: false }, policy)
}

/// The target belongs to another owner, who agrees.
fn between_owners(setup: &mut Setup) {
    setup.target().repository = repository("partner/infra");
}

fn outcome_with(of_acme: Option<&str>, of_partner: Option<&str>, change: Change) -> String {
    let mut setup = Setup::new();
    setup.set("ENFORCE_SOURCE_DEFAULT_BRANCH", "false");
    setup.set("ALLOWED_SOURCE_CONCLUSIONS", "success,failure");
    change(&mut setup);
    for (owner, text) in [("acme", of_acme), ("partner", of_partner)] {
        if let Some(text) = text {
            setup.limits.insert(owner, limits(owner, text));
        }
    }
    setup.outcome()
}

#[test]
#[rustfmt::skip]
fn every_limit_of_the_source_s_owner_narrows() {
    let cases: &[(&str, Change, &str)] = &[
        ("", |_| (), "allowed"),
        ("source_repositories: [api]", |_| (), "allowed"),
        ("source_repositories: ['API*']", |_| (), "allowed"),
        ("source_repositories: [web]", |_| (), "source_repo_not_allowlisted"),
        ("source_workflows: ['c*.yml']", |_| (), "allowed"),
        ("source_workflows: [release.yml]", |_| (), "source_workflow_not_allowlisted"),
        ("target_repositories: [deploy]", |_| (), "allowed"),
        ("target_repositories: [web]", |_| (), "target_repo_not_allowlisted"),
        ("command_repositories: [web]", |_| (), "allowed"),
        ("conclusions: [success]", |_| (), "allowed"),
        ("conclusions: [failure]", |_| (), "source_conclusion_not_allowed"),
        ("default_branch_only: true", |_| (), "allowed"),
        ("default_branch_only: true", |s| s.run().head_branch = Some(branch("dev")), "source_not_default_branch"),
        ("default_branch_only: false", |s| s.run().head_branch = Some(branch("dev")), "allowed"),
        ("forks: false", |_| (), "allowed"),
        ("forks: false", Setup::accept_fork, "source_from_fork"),
        ("forks: true", Setup::accept_fork, "allowed"),
        ("max_targets: 1", |_| (), "allowed"),
        ("max_edge_rate: 2", |s| s.uses = 1, "allowed"),
        ("max_edge_rate: 2", |s| s.uses = 2, "edge_rate_exceeded"),
    ];
    for (text, change, expected) in cases {
        assert_eq!(outcome_with(Some(text), None, *change), *expected, "{text}");
    }
}

#[test]
#[rustfmt::skip]
fn between_two_owners_both_limits_hold() {
    let cases: &[(&str, Change, &str)] = &[
        ("", |_| (), "allowed"),
        ("source_repositories: [api]", |_| (), "target_limits_exceeded"),
        ("source_repositories: [acme/api]", |_| (), "allowed"),
        ("source_workflows: [release.yml]", |_| (), "target_limits_exceeded"),
        ("target_repositories: [infra]", |_| (), "allowed"),
        ("target_repositories: [other]", |_| (), "target_limits_exceeded"),
        ("conclusions: [failure]", |_| (), "target_limits_exceeded"),
        ("default_branch_only: true", |s| s.run().head_branch = Some(branch("dev")), "target_limits_exceeded"),
        ("forks: false", Setup::accept_fork, "target_limits_exceeded"),
        ("max_edge_rate: 2", |s| s.uses = 2, "target_limits_exceeded"),
    ];
    for (text, change, expected) in cases {
        let with = |setup: &mut Setup| { change(setup); between_owners(setup) };
        let mut setup = Setup::new();
        setup.set("ENFORCE_SOURCE_DEFAULT_BRANCH", "false");
        with(&mut setup);
        setup.limits.insert("partner", limits("partner", text));
        assert_eq!(setup.outcome(), *expected, "{text}");
    }
    assert_eq!(outcome_with(Some("target_repositories: [deploy]"), None, between_owners), "target_repo_not_allowlisted");
}

#[test]
fn of_the_targets_only_those_beyond_the_limit_are_denied_on_either_side() {
    for (owner, code) in [("acme", "max_targets_exceeded"), ("partner", "target_limits_exceeded")] {
        let mut setup = Setup::new();
        between_owners(&mut setup);
        let second =
            Target { start: dispatch_core::policy::Start::Workflow(file("other.yml")), ..setup.target().clone() };
        setup.outbound[0].targets.push(second);
        let accepted = InboundTarget {
            start: dispatch_core::policy::Start::Workflow(file("other.yml")),
            ..setup.accepted().clone()
        };
        setup.inbound[0].targets.push(accepted);
        setup.limits.insert(owner, limits(owner, "max_targets: 1"));
        let plan = setup.plan();
        let reasons: Vec<_> = plan.decisions.iter().map(|decision| decision.reason().map(|it| it.code())).collect();
        assert_eq!(reasons, [None, Some(code)], "{owner}");
    }
}

#[test]
fn a_chain_is_at_most_as_deep_as_both_owners_allow() {
    use dispatch_core::chain::{Chain, Place};
    for (owner, code) in [("acme", "chain_too_deep"), ("partner", "target_limits_exceeded")] {
        let mut setup = Setup::new();
        between_owners(&mut setup);
        let place = Place {
            repository: repository("acme/before"),
            start: dispatch_core::policy::Start::Workflow(file("first.yml")),
        };
        setup.chain = Some(Chain::root(setup.event.identity(), place.clone()).then(place));
        setup.limits.insert(owner, limits(owner, "max_chain_depth: 2"));
        assert_eq!(setup.outcome(), "allowed", "{owner}");
        setup.limits.insert(owner, limits(owner, "max_chain_depth: 1"));
        assert_eq!(setup.outcome(), code, "{owner}");
    }
}

#[test]
fn what_an_owner_allows_never_counts_for_more_than_what_the_operator_allows() {
    for (name, value, change, code) in [
        (
            "ENFORCE_SOURCE_DEFAULT_BRANCH",
            "true",
            (|s| s.run().head_branch = Some(branch("dev"))) as Change,
            "source_not_default_branch",
        ),
        ("TARGET_REPO_ALLOWLIST", "acme/web", |_| (), "target_repo_not_allowlisted"),
        ("SOURCE_REPO_ALLOWLIST", "acme/web", |_| (), "source_repo_not_allowlisted"),
        ("DISPATCH_MAX_EDGE_RATE", "1", |s| s.uses = 1, "edge_rate_exceeded"),
    ] {
        let mut setup = Setup::new();
        change(&mut setup);
        setup.set(name, value);
        let wide = "default_branch_only: false, forks: true, max_edge_rate: 1000, target_repositories: ['*'], source_repositories: ['*']";
        setup.limits.insert("acme", limits("acme", wide));
        assert_eq!(setup.outcome(), code, "{name}");
    }
}

#[test]
fn where_nothing_names_a_ref_the_owner_s_default_counts_before_the_operator_s() {
    let mut setup = Setup::new();
    setup.set("ENFORCE_SOURCE_DEFAULT_BRANCH", "false");
    setup.run().head_branch = None;
    setup.limits.insert("acme", limits("acme", "default_ref: release"));
    assert_eq!(setup.decision().git_ref().unwrap().as_str(), "release");
    setup.run().head_branch = Some(branch("main"));
    assert_eq!(setup.decision().git_ref().unwrap().as_str(), "main");
}

/// An answer about a `.github` repository.
fn unread(file: PolicyFile) -> PolicyAnswer {
    PolicyAnswer { repository: None, file }
}

#[test]
#[rustfmt::skip]
fn what_cannot_be_read_denies_once_it_was_seen_or_where_it_is_required() {
    let there = || Some(Identity::Verified { id: RepositoryId(90), private: false });
    let answers: [(&str, PolicyAnswer, [&str; 3]); 6] = [
        ("no such repository", unread(PolicyFile::Absent), ["allowed", "denied", "denied"]),
        ("not installed", unread(PolicyFile::NotInstalled), ["allowed", "denied", "denied"]),
        ("refused", unread(PolicyFile::Refused("403".to_owned())), ["allowed", "denied", "denied"]),
        ("errors in it", PolicyAnswer { repository: there(), file: invalid() }, ["denied", "denied", "denied"]),
        ("no file", PolicyAnswer { repository: there(), file: PolicyFile::Absent }, ["allowed", "denied", "denied"]),
        ("a file without limits", found(there().unwrap(), Policy::default()), ["allowed", "allowed", "denied"]),
    ];
    for (name, answer, expected) in answers {
        for (owner, code) in [("acme", "source_limits_unknown"), ("partner", "target_limits_unknown")] {
            for ((seen, required), expected) in [(false, "optional"), (true, "optional"), (false, "required")].into_iter().zip(expected) {
                let mut setup = Setup::new();
                between_owners(&mut setup);
                setup.set("ORG_POLICY", required);
                setup.limits_seen = seen;
                for other in ["acme", "partner"] {
                    setup.limits.insert(other, limits(other, ""));
                }
                setup.limits.insert(owner, answer.clone());
                let expected = if expected == "denied" { code } else { expected };
                assert_eq!(setup.outcome(), expected, "{owner}: {name}, seen: {seen}, {required}");
            }
        }
    }
}

#[test]
fn what_the_target_s_owner_allows_is_not_told_to_the_source() {
    let mut setup = Setup::new();
    between_owners(&mut setup);
    setup.limits.insert("partner", limits("partner", "source_repositories: [secret-project]"));
    let decision = setup.decision();
    assert_eq!(decision.visibility, Visibility::Target);
    let view = decision.for_source();
    assert_eq!((view.reason, view.message.as_str()), (None, "the target has not agreed or does not exist"));
}

#[test]
fn the_explanation_names_the_line_of_every_limit_in_force() {
    let mut setup = Setup::new();
    between_owners(&mut setup);
    setup.set("DISPATCH_MAX_TARGETS_PER_RUN", "10");
    setup.set("ALLOWED_SOURCE_CONCLUSIONS", "success,failure");
    let of_acme =
        "source_repositories: [api], max_targets: 5, max_chain_depth: 20, conclusions: [success], forks: false";
    setup.limits.insert("acme", limits("acme", of_acme));
    setup
        .limits
        .insert("partner", limits("partner", "max_targets: 7, max_edge_rate: 3, source_repositories: ['acme/*']"));
    insta::assert_snapshot!(in_force(&mut setup), @r"
      OWNER_ALLOWLIST                acme,partner
      SOURCE_REPO_ALLOWLIST          acme/api  (acme/.github/dispatching.yml:1)
      SOURCE_REPO_ALLOWLIST          acme/*  (partner/.github/dispatching.yml:1)
      ALLOWED_SOURCE_CONCLUSIONS     success  (acme/.github/dispatching.yml:1)
      DISPATCH_MAX_TARGETS_PER_RUN   5  (acme/.github/dispatching.yml:1)
      DISPATCH_MAX_EDGE_RATE         3  (partner/.github/dispatching.yml:1)
      forks                          false  (acme/.github/dispatching.yml:1)
    ");
}

#[test]
fn each_denial_names_the_line_of_the_limit() {
    let mut told = String::new();
    for text in [
        "source_repositories: [web]",
        "source_workflows: [release.yml]",
        "conclusions: [failure]",
        "target_repositories: [web]",
        "max_edge_rate: 1",
    ] {
        let mut setup = Setup::new();
        setup.uses = 1;
        setup.limits.insert("acme", limits("acme", text));
        let plan = setup.plan();
        let message =
            plan.skipped.as_ref().map_or_else(|| plan.decisions[0].message(), |skipped| skipped.message.clone());
        told.push_str(&message);
        told.push('\n');
    }
    insta::assert_snapshot!(told, @r"
    `acme/api` is none of those that may start something: `acme/.github/dispatching.yml:1` has only `acme/web`
    `ci.yml` ran, and `acme/.github/dispatching.yml:1` lets only runs of `release.yml` start something
    the run ended with `success`, and `acme/.github/dispatching.yml:1` has only `failure`
    `acme/deploy` is none of those that something may start in: `acme/.github/dispatching.yml:1` has only `acme/web`
    `acme/api` has started `cd.yml` of `acme/deploy` 1 times within the hour, and `acme/.github/dispatching.yml:1` allows 1
    ");
}

/// The limits in force, each with where it was set.
fn in_force(setup: &mut Setup) -> String {
    let (event, guardrails) = (setup.event.clone(), setup.guardrails());
    let text = explain(&event, &guardrails, &Given::default(), setup).to_text();
    text.split("an owner set:\n").nth(1).unwrap().to_owned()
}

#[test]
fn an_owner_s_value_stands_in_the_place_of_a_wider_one_of_the_operator_and_of_no_other() {
    let operator = [
        ("SOURCE_REPO_ALLOWLIST", "acme/*"),
        ("ENFORCE_SOURCE_DEFAULT_BRANCH", "false"),
        ("DISPATCH_MAX_TARGETS_PER_RUN", "10"),
        ("DISPATCH_MAX_CHAIN_DEPTH", "8"),
        ("DISPATCH_MAX_EDGE_RATE", "50"),
    ];
    // One limit in each line.
    let owner = |default_branch_only: bool, [targets, depth, rate]: [u32; 3]| {
        [
            "source_repositories: [api]".to_owned(),
            format!("default_branch_only: {default_branch_only}"),
            format!("max_targets: {targets}"),
            format!("max_chain_depth: {depth}"),
            format!("max_edge_rate: {rate}"),
        ]
        .join(",\n  ")
    };
    let told = |default_branch_only: &str, owner: &str| {
        let mut setup = Setup::new();
        operator.iter().for_each(|(name, value)| setup.set(name, value));
        setup.set("ENFORCE_SOURCE_DEFAULT_BRANCH", default_branch_only);
        setup.limits.insert("acme", limits("acme", owner));
        in_force(&mut setup)
    };
    insta::assert_snapshot!(told("false", &owner(true, [9, 7, 49])), @"
    OWNER_ALLOWLIST                acme,partner
    SOURCE_REPO_ALLOWLIST          acme/*
    SOURCE_REPO_ALLOWLIST          acme/api  (acme/.github/dispatching.yml:1)
    ENFORCE_SOURCE_DEFAULT_BRANCH  true  (acme/.github/dispatching.yml:2)
    DISPATCH_MAX_TARGETS_PER_RUN   9  (acme/.github/dispatching.yml:3)
    DISPATCH_MAX_CHAIN_DEPTH       7  (acme/.github/dispatching.yml:4)
    DISPATCH_MAX_EDGE_RATE         49  (acme/.github/dispatching.yml:5)
    ");
    insta::assert_snapshot!(told("false", &owner(false, [10, 8, 50])), @"
    OWNER_ALLOWLIST                acme,partner
    SOURCE_REPO_ALLOWLIST          acme/*
    SOURCE_REPO_ALLOWLIST          acme/api  (acme/.github/dispatching.yml:1)
    ENFORCE_SOURCE_DEFAULT_BRANCH  false
    DISPATCH_MAX_TARGETS_PER_RUN   10
    DISPATCH_MAX_CHAIN_DEPTH       8
    DISPATCH_MAX_EDGE_RATE         50
    ");
    insta::assert_snapshot!(told("true", &owner(true, [11, 9, 51])), @"
    OWNER_ALLOWLIST                acme,partner
    SOURCE_REPO_ALLOWLIST          acme/*
    SOURCE_REPO_ALLOWLIST          acme/api  (acme/.github/dispatching.yml:1)
    ENFORCE_SOURCE_DEFAULT_BRANCH  true
    DISPATCH_MAX_TARGETS_PER_RUN   10
    DISPATCH_MAX_CHAIN_DEPTH       8
    DISPATCH_MAX_EDGE_RATE         50
    ");
}
