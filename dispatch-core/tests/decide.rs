//! What the policy contract promises, sentence by sentence, and every reason for a no.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
#![allow(dead_code, unreachable_pub, reason = "the support is shared, and no test file uses all of it")]

mod support;

use std::sync::Arc;

use dispatch_core::decide::{
    Answers, CommitOnBranch, Decided, Edge, EdgeKey, Identity, Known, LaneKey, PolicyAnswer, PolicyFile, decide,
};
use dispatch_core::event::{Conclusion, EventKind, Head, Push};
use dispatch_core::name::{Repository, RepositoryId};
use dispatch_core::policy::{InboundTarget, Policy, PolicyPath, Reruns, Start, Target};
use support::*;

type Change = fn(&mut Setup);

/// One line per case: name, what is different, the outcome.
fn check(cases: &[(&str, Change, &str)]) {
    for (name, change, expected) in cases {
        let mut setup = Setup::new();
        change(&mut setup);
        let plan = setup.plan();
        assert_eq!(outcome(&plan), *expected, "{name}: {plan:#?}");
    }
}

#[test]
#[rustfmt::skip]
fn both_sides_must_agree() {
    check(&[
        ("both do", |_| (), "allowed"),
        ("the source names no target", |s| s.outbound.clear(), "no_rule_matched"),
        ("the source names another target", |s| s.target().start = Start::Workflow(file("x.yml")), "inbound_not_authorized"),
        ("the target names nobody", |s| s.inbound.clear(), "inbound_not_authorized"),
        ("the target names another repository", |s| s.inbound[0].repository = repository("acme/web"), "inbound_not_authorized"),
        ("... of another owner", |s| s.inbound[0].repository = repository("evil/api"), "inbound_not_authorized"),
        ("... another workflow", |s| s.by().workflow = file("release.yml"), "inbound_not_authorized"),
        ("... another target", |s| s.accepted().start = Start::Workflow(file("x.yml")), "inbound_not_authorized"),
    ]);
}

#[test]
#[rustfmt::skip]
fn names_of_repositories_compare_without_case_and_workflow_files_with() {
    check(&[
        ("the target's name", |s| s.target().repository = repository("Acme/DEPLOY"), "allowed"),
        ("the source's name", |s| s.inbound[0].repository = repository("ACME/Api"), "allowed"),
        ("the workflow that ran", |s| s.run().workflow = Some(file("CI.yml")), "no_rule_matched"),
        ("the inbound source", |s| s.by().workflow = file("CI.yml"), "inbound_not_authorized"),
        ("the workflow to start", |s| s.target().start = Start::Workflow(file("CD.yml")), "inbound_not_authorized"),
    ]);
}

#[test]
#[rustfmt::skip]
fn inputs_must_all_be_listed_in_one_inbound_target() {
    fn two(s: &mut Setup) {
        s.target().inputs = inputs(&[("sha", "{{ source.sha }}"), ("run", "{{ source.run_id }}")]);
    }
    check(&[
        ("one of two is missing", two, "inputs_not_accepted"),
        ("both are listed", |s| { two(s); s.accepted().accept_inputs = accept(&["sha", "run"]) }, "allowed"),
        ("more are listed", |s| s.accepted().accept_inputs = accept(&["sha", "run", "x"]), "allowed"),
        ("half here, half there", |s| { two(s); s.inbound[0].targets.push(InboundTarget { accept_inputs: accept(&["run"]), ..accepted(20) }) }, "inputs_not_accepted"),
        ("the second target of the rule has both", |s| { two(s); s.inbound[0].targets.push(InboundTarget { accept_inputs: accept(&["run", "sha"]), ..accepted(20) }) }, "allowed"),
        ("the second rule has both", |s| { two(s); s.inbound.push(inbound(20, vec![InboundTarget { accept_inputs: accept(&["run", "sha"]), ..accepted(24) }])) }, "allowed"),
        ("names compare with case", |s| s.accepted().accept_inputs = accept(&["SHA"]), "inputs_not_accepted"),
        ("sending none needs no list", |s| { s.target().inputs.clear(); s.accepted().accept_inputs.clear() }, "allowed"),
    ]);
}

#[test]
#[rustfmt::skip]
fn a_value_that_cannot_be_sent_denies_only_its_own_target() {
    fn input(s: &mut Setup, template: &str) {
        s.target().inputs = inputs(&[("sha", template)]);
    }
    check(&[
        ("an unknown variable", |s| input(s, "{{ source.title }}"), "inputs_template_error"),
        ("no value", |s| { input(s, "{{ source.run_url }}"); s.run().url.clear() }, "inputs_template_error"),
        ("an empty value", |s| input(s, ""), "inputs_template_error"),
        ("a control character", |s| input(s, "a\nb"), "inputs_template_error"),
        ("1,025 characters", |s| input(s, &"x".repeat(1_025)), "inputs_template_error"),
        ("1,024 characters", |s| input(s, &"x".repeat(1_024)), "allowed"),
    ]);

    let mut setup = Setup::new();
    input(&mut setup, "{{ source.title }}");
    setup.outbound[0].targets.push(Target { start: Start::Workflow(file("other.yml")), ..target(9) });
    setup.inbound[0].targets.push(InboundTarget { start: Start::Workflow(file("other.yml")), ..accepted(20) });
    let codes: Vec<_> =
        setup.plan().decisions.iter().map(|decision| decision.reason().map(|reason| reason.code())).collect();
    assert_eq!(codes, [Some("inputs_template_error"), None]);
}

#[test]
fn every_variable_has_its_value() {
    let mut setup = Setup::new();
    let names = ["sha", "head_branch", "run_id", "run_url", "repo", "workflow"];
    let all: Vec<_> = names.iter().map(|name| (*name, format!("<{{{{ source.{name} }}}}>"))).collect();
    setup.target().inputs = inputs(&all.iter().map(|(name, text)| (*name, text.as_str())).collect::<Vec<_>>());
    setup.accepted().accept_inputs = accept(&names);
    insta::assert_snapshot!(serde_json::to_string_pretty(&setup.decision().inputs().unwrap()).unwrap(), @r#"
    {
      "head_branch": "<main>",
      "repo": "<acme/api>",
      "run_id": "<7000000001>",
      "run_url": "<https://github.com/acme/api/actions/runs/7000000001>",
      "sha": "<3484a3fb816e0859fd6e1cea078d76385ff50625>",
      "workflow": "<ci.yml>"
    }
    "#);
}

#[test]
fn the_ref_is_the_target_s_else_the_run_s_branch_else_the_operator_s() {
    let git_ref = |change: Change| {
        let mut setup = Setup::new();
        setup.set("ENFORCE_SOURCE_DEFAULT_BRANCH", "false");
        change(&mut setup);
        setup.decision().git_ref().map(ToString::to_string)
    };
    assert_eq!(git_ref(|s| s.target().git_ref = Some("release".parse().unwrap())).as_deref(), Some("release"));
    assert_eq!(git_ref(|s| s.run().head_branch = Some(branch("feature/x"))).as_deref(), Some("feature/x"));
    assert_eq!(git_ref(|s| s.run().head_branch = None).as_deref(), Some("main"));
    assert_eq!(
        git_ref(|s| {
            s.run().head_branch = None;
            s.set("DEFAULT_DISPATCH_REF", "trunk")
        })
        .as_deref(),
        Some("trunk")
    );
    assert_eq!(git_ref(|s| s.run().head_branch = Some(branch("pull/1/head"))), None);
}

#[test]
#[rustfmt::skip]
fn the_target_s_side_may_name_the_refs() {
    fn refs(s: &mut Setup, git_ref: &str, accepted: &[&str]) {
        s.target().git_ref = Some(git_ref.parse().unwrap());
        s.accepted().accept_refs = patterns(accepted);
    }
    check(&[
        ("absent means any", |s| s.target().git_ref = Some("any/thing".parse().unwrap()), "allowed"),
        ("listed", |s| refs(s, "main", &["main"]), "allowed"),
        ("not listed", |s| refs(s, "dev", &["main"]), "ref_not_accepted"),
        ("by a pattern", |s| refs(s, "release/1", &["main", "release/*"]), "allowed"),
        ("with case", |s| refs(s, "Main", &["main"]), "ref_not_accepted"),
        ("a branch written in full", |s| refs(s, "refs/heads/main", &["main"]), "allowed"),
        ("a tag with the name of an accepted branch", |s| refs(s, "refs/tags/main", &["main"]), "ref_not_accepted"),
        ("a tag that is accepted as one", |s| refs(s, "refs/tags/v1", &["refs/tags/v*"]), "allowed"),
        ("the run's branch", |s| s.accepted().accept_refs = patterns(&["release"]), "ref_not_accepted"),
        ("a branch that is no ref", |s| { s.set("ENFORCE_SOURCE_DEFAULT_BRANCH", "false"); s.run().head_branch = Some(branch("pull/1/head")) }, "ref_not_accepted"),
    ]);
}

#[test]
#[rustfmt::skip]
fn the_operator_s_limits_come_before_everything() {
    let cases: &[(&str, Change, &str)] = &[
        ("another owner", |s| s.set("OWNER_ALLOWLIST", "octo-org"), "source_owner_not_allowed"),
        ("the App's owner is not known", |s| s.set("OWNER_ALLOWLIST", ""), "source_owner_not_allowed"),
        ("another source", |s| s.set("SOURCE_REPO_ALLOWLIST", "acme/web"), "source_repo_not_allowlisted"),
        ("another workflow", |s| s.set("SOURCE_WORKFLOW_ALLOWLIST", "cd.yml"), "source_workflow_not_allowlisted"),
        ("no workflow, and a list", |s| { s.set("SOURCE_WORKFLOW_ALLOWLIST", "*.yml"); s.run().workflow = None }, "source_workflow_not_allowlisted"),
        ("no head repository", |s| s.run().head = Head::Unknown, "source_head_repository_unverifiable"),
        ("a failed run", |s| s.run().conclusion = Some(Conclusion::Failure), "source_conclusion_not_allowed"),
        ("no conclusion", |s| s.run().conclusion = None, "source_conclusion_not_allowed"),
        ("another branch", |s| s.run().head_branch = Some(branch("dev")), "source_not_default_branch"),
        ("no branch", |s| s.run().head_branch = None, "source_not_default_branch"),
        ("a branch in another case", |s| s.run().head_branch = Some(branch("Main")), "source_not_default_branch"),
        ("no workflow file", |s| s.run().workflow = None, "no_rule_matched"),
        ("no installation", |s| s.event.installation = None, "app_not_installed"),
        ("a push", |s| s.event.kind = EventKind::Push(Push { branch: None, after: None, touches_policy: true }), "no_rule_matched"),
    ];
    check(cases);
    for (name, change, _) in cases {
        let mut setup = Setup::new();
        change(&mut setup);
        setup.plan();
        assert!(setup.asked.is_empty(), "{name}: nothing is fetched, but {:?} was", setup.asked);
    }
}

#[test]
#[rustfmt::skip]
fn of_several_causes_the_first_in_the_documented_order_is_named() {
    let all: &[(Change, &str)] = &[
        (|s| s.set("OWNER_ALLOWLIST", "octo-org"), "source_owner_not_allowed"),
        (|s| s.set("SOURCE_REPO_ALLOWLIST", "acme/web"), "source_repo_not_allowlisted"),
        (|s| s.set("SOURCE_WORKFLOW_ALLOWLIST", "cd.yml"), "source_workflow_not_allowlisted"),
        (|s| s.run().head = Head::Unknown, "source_head_repository_unverifiable"),
        (|s| s.run().conclusion = None, "source_conclusion_not_allowed"),
        (|s| s.run().head_branch = None, "source_not_default_branch"),
        (|s| s.event.installation = None, "app_not_installed"),
        (|s| s.source_answer = answer(SOURCE_ID, PolicyFile::Absent), "source_policy_missing"),
    ];
    for (position, (_, code)) in all.iter().enumerate() {
        let mut setup = Setup::new();
        all[position..].iter().for_each(|(change, _)| change(&mut setup));
        assert_eq!(setup.outcome(), *code);
    }

    let targets: &[(Change, &str)] = &[
        (|s| s.set("TARGET_REPO_ALLOWLIST", "acme/web"), "target_repo_not_allowlisted"),
        (|s| s.chain = chain(&[("acme/deploy", "cd.yml"), ("acme/api", "ci.yml")]), "loop_detected"),
        (|s| { s.set("DISPATCH_MAX_CHAIN_DEPTH", "1"); s.chain = s.chain.clone().or(chain(&[("acme/x", "x.yml"), ("acme/api", "ci.yml")])) }, "chain_too_deep"),
        (|s| s.target().inputs = inputs(&[("sha", "{{ source.title }}")]), "inputs_template_error"),
        (|s| s.target_answer = answer(TARGET_ID, PolicyFile::Absent), "missing_target_config"),
        (|s| s.by().workflow = file("x.yml"), "inbound_not_authorized"),
        (|s| s.accepted().accept_refs = patterns(&["x"]), "ref_not_accepted"),
        (|s| s.accepted().accept_inputs.clear(), "inputs_not_accepted"),
        (|s| s.edge = Some(Edge { source: SOURCE_ID, target: RepositoryId(1) }), "repository_identity_changed"),
        (|s| { s.run().attempt = 2; s.newest = Some(41) }, "source_run_superseded"),
        (|s| s.commit = CommitOnBranch::NotProven, "source_ref_unverified"),
    ];
    for (position, (_, code)) in targets.iter().enumerate() {
        let mut setup = Setup::new();
        targets[position..].iter().for_each(|(change, _)| change(&mut setup));
        assert_eq!(setup.outcome(), *code);
    }
}

#[test]
#[rustfmt::skip]
fn the_source_s_policy_file_must_be_there_and_right() {
    check(&[
        ("no file", |s| s.source_answer = answer(SOURCE_ID, PolicyFile::Absent), "source_policy_missing"),
        ("no repository", |s| s.source_answer = Some(PolicyAnswer { repository: None, file: PolicyFile::Absent }), "source_policy_missing"),
        ("errors", |s| s.source_answer = answer(SOURCE_ID, invalid()), "source_policy_invalid"),
        ("the App is not there", |s| s.source_answer = Some(PolicyAnswer { repository: None, file: PolicyFile::NotInstalled }), "app_not_installed"),
        ("an empty file", |s| s.outbound.clear(), "no_rule_matched"),
        ("about another workflow", |s| s.from().workflow = file("x.yml"), "no_rule_matched"),
        ("a recreated source", |s| s.source_answer = answer(RepositoryId(12), PolicyFile::Absent), "repository_identity_changed"),
    ]);
}

#[test]
#[rustfmt::skip]
fn the_target_s_policy_file_must_be_there_and_right() {
    check(&[
        ("no file", |s| s.target_answer = answer(TARGET_ID, PolicyFile::Absent), "missing_target_config"),
        ("no repository", |s| s.target_answer = Some(PolicyAnswer { repository: None, file: PolicyFile::Absent }), "missing_target_config"),
        ("errors", |s| s.target_answer = answer(TARGET_ID, invalid()), "invalid_target_config"),
        ("the App is not there", |s| s.target_answer = Some(PolicyAnswer { repository: None, file: PolicyFile::NotInstalled }), "app_not_installed"),
        ("a file, and nobody behind the name", |s| { let file = PolicyFile::Found { path: PolicyPath::Root, policy: Arc::new(Policy::new(vec![], s.inbound.clone())), }; s.target_answer = Some(PolicyAnswer { repository: None, file }) }, "missing_target_config"),
    ]);
}

#[test]
#[rustfmt::skip]
fn the_outbound_rule_s_filters_narrow_the_operator_s() {
    fn any_branch(s: &mut Setup) {
        s.set("ENFORCE_SOURCE_DEFAULT_BRANCH", "false");
        s.run().head_branch = Some(branch("release/1"));
    }
    fn any_conclusion(s: &mut Setup) {
        s.set("ALLOWED_SOURCE_CONCLUSIONS", "success,failure");
        s.run().conclusion = Some(Conclusion::Failure);
    }
    check(&[
        ("silent on both sides: any branch, if the operator says so", any_branch, "allowed"),
        ("silent on both sides: the operator's conclusions", any_conclusion, "allowed"),
        ("outbound names another branch", |s| s.from().branches = patterns(&["dev"]), "source_branch_not_matched"),
        ("outbound names another conclusion", |s| { any_conclusion(s); s.from().conclusions = Some([Conclusion::Success].into()) }, "source_conclusion_not_allowed"),
        ("outbound cannot widen the branches", |s| { s.from().branches = patterns(&["**"]); s.by().branches = patterns(&["**"]); s.run().head_branch = Some(branch("dev")) }, "source_not_default_branch"),
        ("outbound cannot widen the conclusions", |s| { s.from().conclusions = Some(Conclusion::ALL.into()); s.by().conclusions = Some(Conclusion::ALL.into()); s.run().conclusion = Some(Conclusion::Failure) }, "source_conclusion_not_allowed"),
        ("outbound names it, inbound is silent", |s| { any_branch(s); s.from().branches = patterns(&["release/*"]) }, "inbound_not_authorized"),
        ("outbound names the default branch, inbound is silent", |s| { s.set("ENFORCE_SOURCE_DEFAULT_BRANCH", "false"); s.from().branches = patterns(&["main"]) }, "allowed"),
        ("outbound names a failure, inbound is silent", |s| { any_conclusion(s); s.from().conclusions = Some([Conclusion::Failure].into()) }, "inbound_not_authorized"),
        ("outbound names success, inbound is silent", |s| s.from().conclusions = Some([Conclusion::Success].into()), "allowed"),
        ("outbound is silent, inbound names it", |s| { any_branch(s); s.by().branches = patterns(&["release/*"]) }, "allowed"),
        ("outbound is silent, inbound names another", |s| { any_branch(s); s.by().branches = patterns(&["main"]) }, "inbound_not_authorized"),
        ("outbound is silent, inbound names the failure", |s| { any_conclusion(s); s.by().conclusions = Some([Conclusion::Failure].into()) }, "allowed"),
        ("outbound is silent, inbound names success", |s| { any_conclusion(s); s.by().conclusions = Some([Conclusion::Success].into()) }, "inbound_not_authorized"),
        ("both name it", |s| { any_branch(s); s.from().branches = patterns(&["release/*"]); s.by().branches = patterns(&["**"]) }, "allowed"),
        ("only the outbound side names it", |s| { any_branch(s); s.from().branches = patterns(&["release/*"]); s.by().branches = patterns(&["main"]) }, "inbound_not_authorized"),
    ]);
}

#[test]
#[rustfmt::skip]
fn what_strangers_can_cause_must_be_named_on_both_sides() {
    check(&[
        ("a comment", |s| s.run().event = "issue_comment".to_owned(), "source_event_not_allowed"),
        ("GitHub did not say", |s| s.run().event.clear(), "source_event_not_allowed"),
        ("named by the outbound side only", |s| { s.run().event = "issue_comment".to_owned(); s.from().events = words(&["issue_comment"]) }, "inbound_not_authorized"),
        ("named by the inbound side only", |s| { s.run().event = "issue_comment".to_owned(); s.by().events = words(&["issue_comment"]) }, "source_event_not_allowed"),
        ("named by both", |s| { s.run().event = "issue_comment".to_owned(); s.from().events = words(&["issue_comment"]); s.by().events = words(&["issue_comment"]) }, "allowed"),
        ("a list means exactly the list", |s| s.from().events = words(&["schedule"]), "source_event_not_allowed"),
        ("on the inbound side too", |s| s.by().events = words(&["schedule"]), "inbound_not_authorized"),
    ]);
    for event in [
        "push",
        "merge_group",
        "schedule",
        "workflow_dispatch",
        "repository_dispatch",
        "release",
        "create",
        "deployment",
        "pull_request",
    ] {
        let mut setup = Setup::new();
        setup.run().event = event.to_owned();
        assert_eq!(setup.outcome(), "allowed", "{event}");
    }
    for event in ["issue_comment", "workflow_run", "pull_request_target", "dynamic", "Push", "issues", "watch"] {
        let mut setup = Setup::new();
        setup.run().event = event.to_owned();
        assert_eq!(setup.outcome(), "source_event_not_allowed", "{event}");
    }
}

#[test]
#[rustfmt::skip]
fn a_fork_s_run_needs_both_sides_whatever_its_branch_is_called() {
    check(&[
        ("nobody accepts forks", |s| s.run().head = Head::Fork(RepositoryId(99)), "source_from_fork"),
        ("only the outbound side", |s| { s.accept_fork(); s.by().forks = false }, "inbound_not_authorized"),
        ("only the inbound side", |s| { s.accept_fork(); s.from().forks = false }, "source_from_fork"),
        ("both", Setup::accept_fork, "allowed"),
        ("both, and no fork", |s| { s.accept_fork(); s.run().head = Head::SameRepository }, "allowed"),
        ("both, and nobody knows", |s| { s.accept_fork(); s.run().head = Head::Unknown }, "source_head_repository_unverifiable"),
        ("both: the branch is the fork's, and is not looked up", |s| { s.accept_fork(); s.commit = CommitOnBranch::NotProven }, "allowed"),
        ("both, on another branch", |s| { s.accept_fork(); s.run().head_branch = Some(branch("dev")) }, "source_not_default_branch"),
    ]);
}

#[test]
fn a_value_that_a_stranger_can_choose_must_be_harmless() {
    let outcome = |name: &str, template: &str| {
        let mut setup = Setup::new();
        setup.set("ENFORCE_SOURCE_DEFAULT_BRANCH", "false");
        setup.run().head_branch = Some(branch(name));
        setup.target().git_ref = Some("main".parse().unwrap());
        setup.target().inputs = inputs(&[("sha", template)]);
        setup.outcome()
    };
    let value = "{{ source.head_branch }}";
    for name in ["main", "feature/x", "a.b_c-d@e+f#g=h,i", "dependabot/npm/x-1.2.3"] {
        assert_eq!(outcome(name, value), "allowed", "{name}");
    }
    for name in [
        "$(curl${IFS}x|sh)",
        "a;b",
        "a`id`",
        "-x",
        "a b",
        "a&b",
        "ä",
        "a\"b",
        "a'b",
        "a\\b",
        "a<b",
        "a%0a",
        "a\u{202e}b",
        "a:b",
        "a!b",
    ] {
        assert_eq!(outcome(name, value), "value_not_accepted", "{name}");
        assert_eq!(outcome(name, "x-{{ source.head_branch }}"), "value_not_accepted", "{name}, not at the start");
        assert_eq!(outcome(name, "{{ source.sha }}"), "allowed", "{name}, not sent");
    }
}

#[test]
#[rustfmt::skip]
fn a_target_is_considered_once_at_its_first_occurrence() {
    check(&[
        ("itself", |s| { s.target().repository = repository("acme/API"); s.target().start = Start::Workflow(file("ci.yml")) }, "self_dispatch_blocked"),
        ("another workflow of itself", |s| s.target().repository = repository("acme/api"), "allowed"),
    ]);

    let mut setup = Setup::new();
    let first = Target { inputs: inputs(&[("no", "x")]), ..target(5) };
    let second = Target { repository: repository("ACME/deploy"), ..target(7) };
    setup.outbound =
        vec![outbound(2, vec![first.clone(), second.clone()]), outbound(9, vec![Target { line: 12, ..second }])];
    let plan = setup.plan();
    let lines: Vec<_> = plan.decisions.iter().map(|d| (d.outbound_rule.line, d.reason().unwrap().code())).collect();
    assert_eq!(lines, [(5, "inputs_not_accepted"), (7, "duplicate_target"), (12, "duplicate_target")]);
}

#[test]
fn the_cap_counts_the_targets_that_pass_the_operator_s_limits() {
    let mut setup = Setup::new();
    setup.set("DISPATCH_MAX_TARGETS_PER_RUN", "2");
    setup.set("TARGET_REPO_ALLOWLIST", "acme/*");
    let to = |name: &str, workflow: &str, line| Target {
        repository: repository(name),
        start: Start::Workflow(file(workflow)),
        ..target(line)
    };
    setup.outbound = vec![outbound(
        2,
        vec![
            to("acme/api", "ci.yml", 3),
            to("evil/deploy", "cd.yml", 4),
            to("acme/deploy", "cd.yml", 5),
            to("acme/deploy", "cd.yml", 6),
            to("acme/deploy", "a.yml", 7),
            to("acme/deploy", "b.yml", 8),
        ],
    )];
    let codes: Vec<_> =
        setup.plan().decisions.iter().map(|d| d.reason().map_or("allowed", |reason| reason.code())).collect();
    assert_eq!(
        codes,
        [
            "self_dispatch_blocked",
            "target_repo_not_allowlisted",
            "allowed",
            "duplicate_target",
            "inbound_not_authorized",
            "max_targets_exceeded",
        ]
    );
}

#[test]
#[rustfmt::skip]
fn a_chain_neither_returns_nor_goes_on_for_ever() {
    check(&[
        ("a chain that goes on", |s| s.chain = chain(&[("acme/x", "x.yml"), ("acme/api", "ci.yml")]), "allowed"),
        ("back to its root", |s| s.chain = chain(&[("acme/deploy", "cd.yml"), ("acme/api", "ci.yml")]), "loop_detected"),
        ("... in another case", |s| s.chain = chain(&[("ACME/Deploy", "cd.yml"), ("acme/api", "ci.yml")]), "loop_detected"),
        ("the same repository, another workflow", |s| s.chain = chain(&[("acme/deploy", "x.yml"), ("acme/api", "ci.yml")]), "allowed"),
        ("one hop too many", |s| { s.set("DISPATCH_MAX_CHAIN_DEPTH", "1"); s.chain = chain(&[("acme/x", "x.yml"), ("acme/api", "ci.yml")]) }, "chain_too_deep"),
        ("the last hop", |s| { s.set("DISPATCH_MAX_CHAIN_DEPTH", "2"); s.chain = chain(&[("acme/x", "x.yml"), ("acme/api", "ci.yml")]) }, "allowed"),
        ("the first hop", |s| s.set("DISPATCH_MAX_CHAIN_DEPTH", "1"), "allowed"),
    ]);
    let mut setup = Setup::new();
    let carried = setup.decision().allowed().unwrap().chain.clone();
    assert_eq!(carried.places, [place("acme/api", "ci.yml"), place("acme/deploy", "cd.yml")]);
    assert_eq!(carried.root, setup.event.identity());
}

#[test]
#[rustfmt::skip]
fn more_than_github_takes_is_not_sent() {
    fn many(s: &mut Setup, count: usize) {
        let names: Vec<_> = (0..count).map(|number| format!("input{number}")).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        s.target().inputs = inputs(&names.iter().map(|name| (*name, "x")).collect::<Vec<_>>());
        s.accepted().accept_inputs = accept(&names);
    }
    check(&[
        ("25 inputs", |s| many(s, 25), "allowed"),
        ("26 inputs", |s| many(s, 26), "payload_too_large"),
        ("a long name", |s| s.target().inputs = inputs(&[(&"x".repeat(65_536), "x")]), "payload_too_large"),
    ]);
}

#[test]
#[rustfmt::skip]
fn what_was_computed_of_a_denied_target_is_to_be_seen() {
    fn send(s: &mut Setup, start: &str, count: usize) {
        let names: Vec<_> = (0..count).map(|number| format!("value{number}")).collect();
        s.target().inputs = inputs(&names.iter().map(|name| (name.as_str(), "x")).collect::<Vec<_>>());
        s.target().start = start.parse().map_or_else(|_| Start::Event(start.parse().unwrap()), Start::Workflow);
        s.accepted().start = s.target().start.clone();
    }
    let cases: [(&str, Change, &str, usize); 4] = [
        ("too many inputs", |s| send(s, "cd.yml", 26), "payload_too_large", 26),
        ("too many properties", |s| send(s, "released", 11), "payload_too_large", 11),
        ("as many properties as GitHub takes", |s| send(s, "released", 10), "inputs_not_accepted", 10),
        ("nothing to start at", |s| { s.set("ENFORCE_SOURCE_DEFAULT_BRANCH", "false"); s.run().head_branch = Some(branch("pull/1/head")) }, "ref_not_accepted", 1),
    ];
    for (name, change, code, values) in cases {
        let mut setup = Setup::new();
        change(&mut setup);
        let decision = setup.decision();
        assert_eq!(decision.reason().unwrap().code(), code, "{name}");
        assert_eq!(decision.inputs().unwrap().len(), values, "{name}");
    }
}

#[test]
#[rustfmt::skip]
fn consent_attaches_to_the_repository_behind_the_name() {
    const OTHER: RepositoryId = RepositoryId(77);
    check(&[
        ("the first use", |s| s.edge = None, "allowed"),
        ("the same as the first time", |s| s.edge = Some(Edge { source: SOURCE_ID, target: TARGET_ID }), "allowed"),
        ("a recreated target", |s| s.edge = Some(Edge { source: SOURCE_ID, target: OTHER }), "repository_identity_changed"),
        ("... that the source confirms", |s| { s.edge = Some(Edge { source: SOURCE_ID, target: OTHER }); s.target().repository_id = Some(TARGET_ID) }, "allowed"),
        ("... where the source confirms the old one", |s| { s.edge = Some(Edge { source: SOURCE_ID, target: OTHER }); s.target().repository_id = Some(OTHER) }, "repository_identity_changed"),
        ("a recreated source", |s| s.edge = Some(Edge { source: OTHER, target: TARGET_ID }), "repository_identity_changed"),
        ("... that the target confirms", |s| { s.edge = Some(Edge { source: OTHER, target: TARGET_ID }); s.inbound[0].repository_id = Some(SOURCE_ID) }, "allowed"),
        ("... that only the source confirms", |s| { s.edge = Some(Edge { source: OTHER, target: TARGET_ID }); s.target().repository_id = Some(TARGET_ID) }, "repository_identity_changed"),
        ("both recreated, one confirmed", |s| { s.edge = Some(Edge { source: OTHER, target: OTHER }); s.target().repository_id = Some(TARGET_ID) }, "repository_identity_changed"),
        ("both recreated, both confirmed", |s| { s.edge = Some(Edge { source: OTHER, target: OTHER }); s.target().repository_id = Some(TARGET_ID); s.inbound[0].repository_id = Some(SOURCE_ID) }, "allowed"),
        ("the outbound rule wants another", |s| s.target().repository_id = Some(OTHER), "repository_identity_changed"),
        ("the inbound rule wants another", |s| s.inbound[0].repository_id = Some(OTHER), "repository_identity_changed"),
        ("... and a second rule does not", |s| { s.inbound[0].repository_id = Some(OTHER); let mut second = s.inbound[0].clone(); second.repository_id = None; s.inbound.push(second) }, "allowed"),
        ("assumed offline", |s| { s.target().repository_id = Some(OTHER); s.target_answer = Some(found(Identity::Assumed, Policy::new(vec![], s.inbound.clone()))) }, "allowed"),
    ]);
}

#[test]
#[rustfmt::skip]
fn an_old_run_that_is_run_again_does_not_win_over_a_newer_one() {
    fn again(s: &mut Setup, newest: u64) {
        s.run().attempt = 2;
        s.newest = Some(newest);
    }
    check(&[
        ("a newer run was dispatched", |s| again(s, 41), "source_run_superseded"),
        ("this one was the newest", |s| again(s, 40), "allowed"),
        ("an older one was", |s| again(s, 39), "allowed"),
        ("none was", |s| s.run().attempt = 2, "allowed"),
        ("a first attempt that is late", |s| s.newest = Some(41), "allowed"),
        ("the outbound side says any", |s| { again(s, 41); s.from().reruns = Reruns::Any }, "source_run_superseded"),
        ("the inbound side says any", |s| { again(s, 41); s.by().reruns = Reruns::Any }, "source_run_superseded"),
        ("both say any", |s| { again(s, 41); s.from().reruns = Reruns::Any; s.by().reruns = Reruns::Any }, "allowed"),
    ]);
}

#[test]
#[rustfmt::skip]
fn what_the_app_itself_caused_starts_nothing_except_along_a_chain() {
    fn by_the_app(s: &mut Setup) { s.run().actor = Some(login("dispatch[bot]")) }
    check(&[
        ("somebody else's run", |s| s.run().actor = Some(login("octocat")), "allowed"),
        ("another App's run", |s| s.run().actor = Some(login("renovate[bot]")), "allowed"),
        ("an account with the App's name", |s| s.run().actor = Some(login("dispatch")), "allowed"),
        ("the App's own run", by_the_app, "own_event"),
        ("however it is written", |s| s.run().actor = Some(login("Dispatch[bot]")), "own_event"),
        ("a run that the App sent", |s| s.event.sender = Some(login("dispatch[bot]")), "own_event"),
        ("a run of a dispatch", |s| { by_the_app(s); s.chain = chain(&[("acme/x", "a.yml"), ("acme/api", "ci.yml")]) }, "allowed"),
        ("no rule is about it", |s| { by_the_app(s); s.outbound.clear() }, "no_rule_matched"),
        ("nobody knows the App's login", |s| { by_the_app(s); s.app_login = None }, "allowed"),
    ]);
}

#[test]
#[rustfmt::skip]
fn a_source_uses_a_target_only_so_often_within_an_hour() {
    check(&[
        ("the last time", |s| s.uses = 99, "allowed"),
        ("once too often", |s| s.uses = 100, "edge_rate_exceeded"),
        ("far too often", |s| s.uses = u32::MAX, "edge_rate_exceeded"),
        ("as the operator says", |s| { s.set("DISPATCH_MAX_EDGE_RATE", "2"); s.uses = 1 }, "allowed"),
        ("once more", |s| { s.set("DISPATCH_MAX_EDGE_RATE", "2"); s.uses = 2 }, "edge_rate_exceeded"),
        ("the target's side speaks first", |s| { s.uses = 100; s.inbound.clear() }, "inbound_not_authorized"),
    ]);
}

#[test]
fn the_first_targets_have_what_is_left_of_the_root_s_budget() {
    let mut setup = Setup::new();
    let more = ["a", "b", "c"].map(|name| Target { start: Start::Workflow(file(&format!("{name}.yml"))), ..target(9) });
    let accepting = more.each_ref().map(|target| InboundTarget { start: target.start.clone(), ..accepted(20) });
    setup.outbound[0].targets.extend(more);
    setup.inbound[0].targets.extend(accepting);
    // The second target is denied for another reason, and takes nothing.
    setup.inbound[0].targets[1].accept_refs = patterns(&["release"]);
    for (spent, outcomes) in [
        (97, ["allowed", "ref_not_accepted", "allowed", "allowed"]),
        (98, ["allowed", "ref_not_accepted", "allowed", "root_budget_exceeded"]),
        (99, ["allowed", "ref_not_accepted", "root_budget_exceeded", "root_budget_exceeded"]),
        (100, ["root_budget_exceeded", "ref_not_accepted", "root_budget_exceeded", "root_budget_exceeded"]),
        (u32::MAX, ["root_budget_exceeded", "ref_not_accepted", "root_budget_exceeded", "root_budget_exceeded"]),
    ] {
        setup.spent = spent;
        let plan = setup.plan();
        let got: Vec<_> =
            plan.decisions.iter().map(|decision| decision.reason().map_or("allowed", |reason| reason.code())).collect();
        assert_eq!(got, outcomes, "{spent} are spent");
    }
    assert_eq!(setup.asked.iter().filter(|asked| asked.starts_with("commit")).count(), 3, "GitHub is asked last");
}

#[test]
#[rustfmt::skip]
fn a_tag_called_main_is_not_the_branch() {
    check(&[
        ("proven", |s| s.commit = CommitOnBranch::Proven, "allowed"),
        ("assumed offline", |s| s.commit = CommitOnBranch::Assumed, "allowed"),
        ("a tag called main", |s| s.commit = CommitOnBranch::NotProven, "source_ref_unverified"),
        ("no branch at all", |s| { s.set("ENFORCE_SOURCE_DEFAULT_BRANCH", "false"); s.run().head_branch = None }, "allowed"),
    ]);
}

#[test]
#[rustfmt::skip]
fn only_what_is_needed_is_looked_up_and_all_that_can_be_at_once() {
    let asked = |change: Change| {
        let mut setup = Setup::new();
        change(&mut setup);
        setup.plan();
        setup.asked.join("; ")
    };
    insta::assert_snapshot!(asked(|_| ()), @"policy of acme/.github; policy of acme/api; chain of 7000000001; policy of acme/deploy; edge acme/api > acme/deploy; uses of cd.yml in acme/deploy; spent by the chain of workflow_run:11:7000000001:1; commit on main of acme/api");
    insta::assert_snapshot!(asked(|s| { s.run().attempt = 2 }), @"policy of acme/.github; policy of acme/api; chain of 7000000001; policy of acme/deploy; edge acme/api > acme/deploy; lane ci.yml main > cd.yml; uses of cd.yml in acme/deploy; spent by the chain of workflow_run:11:7000000001:2; commit on main of acme/api");
    insta::assert_snapshot!(asked(|s| s.outbound.clear()), @"policy of acme/.github; policy of acme/api; chain of 7000000001");
    insta::assert_snapshot!(asked(|s| s.inbound.clear()), @"policy of acme/.github; policy of acme/api; chain of 7000000001; policy of acme/deploy; edge acme/api > acme/deploy; uses of cd.yml in acme/deploy");
    insta::assert_snapshot!(asked(Setup::accept_fork), @"policy of acme/.github; policy of acme/api; chain of 7000000001; policy of acme/deploy; edge acme/api > acme/deploy; uses of cd.yml in acme/deploy; spent by the chain of workflow_run:11:7000000001:1");

    let mut setup = Setup::new();
    setup.outbound[0]
        .targets
        .extend(["acme/a", "acme/b"].map(|name| Target { repository: repository(name), ..target(9) }));
    setup.plan();
    insta::assert_snapshot!(setup.asked.join("; "), @"policy of acme/.github; policy of acme/api; chain of 7000000001; policy of acme/a; policy of acme/b; policy of acme/deploy; edge acme/api > acme/a; edge acme/api > acme/b; edge acme/api > acme/deploy; uses of cd.yml in acme/a; uses of cd.yml in acme/b; uses of cd.yml in acme/deploy; spent by the chain of workflow_run:11:7000000001:1; commit on main of acme/api");
}

#[test]
fn an_answered_lookup_is_never_asked_again() {
    let mut setup = Setup::new();
    setup.run().attempt = 2;
    let mut known = Known::default();
    let mut seen = std::collections::BTreeSet::new();
    let (event, guardrails) = (setup.event.clone(), setup.guardrails());
    while let Decided::Need(lookups) = decide(&event, &known, &guardrails) {
        assert!(!lookups.is_empty());
        for lookup in lookups {
            assert!(seen.insert(lookup.clone()), "{lookup:?} was asked twice");
            known.look_up(lookup, &mut setup);
        }
    }
    assert_eq!(seen.len(), 10);
}

#[test]
fn what_is_known_can_be_stored_and_says_the_same_when_it_is_read() {
    let mut setup = Setup::new();
    setup.run().attempt = 2;
    (setup.newest, setup.spent, setup.uses) = (Some(39), 7, 3);
    setup.chain = chain(&[("acme/x", "x.yml"), ("acme/api", "ci.yml")]);
    setup.edge = Some(Edge { source: SOURCE_ID, target: TARGET_ID });
    let mut known = Known::default();
    let (event, guardrails) = (setup.event.clone(), setup.guardrails());
    let plan = loop {
        match decide(&event, &known, &guardrails) {
            Decided::Plan(plan) => break plan,
            Decided::Need(lookups) => lookups.into_iter().for_each(|lookup| known.look_up(lookup, &mut setup)),
        }
    };
    assert_eq!(outcome(&plan), "allowed");
    let stored = serde_json::to_string(&known).unwrap();
    let read: Known = serde_json::from_str(&stored).unwrap();
    assert_eq!(decide(&event, &read, &guardrails), Decided::Plan(plan));
    assert_eq!(serde_json::to_string(&read).unwrap(), stored);
}

/// Answers for policies alone.
struct OnlyPolicies;

impl Answers for OnlyPolicies {
    fn policy(&mut self, _: &Repository) -> PolicyAnswer {
        PolicyAnswer { repository: None, file: PolicyFile::Absent }
    }
}

#[test]
fn whoever_answers_for_policies_alone_says_that_nothing_happened_and_nobody_may_do_anything() {
    let mut answers = OnlyPolicies;
    let [source, target] = [place("acme/api", "ci.yml"), place("acme/deploy", "cd.yml")];
    let (source_name, target_name) = (source.repository.clone(), target.repository.clone());
    let edge = EdgeKey { source: source_name.clone(), target: target_name };
    let lane = LaneKey { source, branch: None, target: target.clone() };
    assert!(!answers.limits_seen(&repository("acme/.github")));
    assert_eq!((answers.edge(&edge), answers.lane(&lane)), (None, None));
    assert_eq!((answers.root_spent(&Setup::new().event.identity()), answers.edge_uses(&target)), (0, 0));
    assert!(!answers.team_member(&"acme/ops".parse().unwrap(), &login("octocat")));
    let sha = SHA.parse().unwrap();
    assert_eq!(answers.commit_on_branch(&source_name, &branch("main"), &sha), CommitOnBranch::NotProven);
}
