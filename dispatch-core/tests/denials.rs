//! What a denial says, and to whom.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
#![allow(dead_code, unreachable_pub, reason = "the support is shared, and no test file uses all of it")]

mod support;

use dispatch_core::decide::{CommitOnBranch, Edge, Identity, PolicyAnswer, PolicyFile, SourceView, Visibility};
use dispatch_core::event::{Conclusion, Head};
use dispatch_core::name::RepositoryId;
use dispatch_core::policy::{Source, Start};
use support::*;

type Change = fn(&mut Setup);

#[test]
#[rustfmt::skip]
fn a_denial_names_the_nearest_line_of_both_sides() {
    let line = |change: Change| {
        let mut setup = Setup::new();
        change(&mut setup);
        let decision = setup.decision();
        let inbound = decision.inbound_rule().map_or("-".to_owned(), ToString::to_string);
        format!("{} | {} | {}", decision.outbound_rule, inbound, decision.message())
    };
    insta::assert_snapshot!([
        line(|_| ()),
        line(|s| s.inbound.clear()),
        line(|s| s.by().workflow = file("release.yml")),
        line(|s| s.accepted().start = Start::Workflow(file("x.yml"))),
        line(|s| { s.accept_fork(); s.by().forks = false }),
        line(|s| s.by().events = words(&["schedule"])),
        line(|s| s.by().branches = patterns(&["dev", "release/*"])),
        line(|s| s.by().conclusions = Some([Conclusion::Failure].into())),
        line(|s| s.accepted().accept_refs = patterns(&["release"])),
        line(|s| s.accepted().accept_inputs.clear()),
        line(|s| s.accepted().accept_inputs = accept(&["a", "b"])),
        line(|s| { s.set("ENFORCE_SOURCE_DEFAULT_BRANCH", "false"); s.run().head_branch = Some(branch("a`;b")); s.target().git_ref = Some("main".parse().unwrap()); s.target().inputs = inputs(&[("sha", "{{ source.head_branch }}")]) }),
        line(|s| s.edge = Some(Edge { source: RepositoryId(1), target: TARGET_ID })),
        line(|s| s.edge = Some(Edge { source: SOURCE_ID, target: RepositoryId(2) })),
        line(|s| { s.run().attempt = 2; s.newest = Some(41) }),
        line(|s| s.commit = CommitOnBranch::NotProven),
        line(|s| s.target_answer = answer(TARGET_ID, invalid())),
        line(|s| s.target_answer = answer(TARGET_ID, PolicyFile::Absent)),
        line(|s| s.target_answer = Some(PolicyAnswer { repository: None, file: PolicyFile::Absent })),
        line(|s| s.target_answer = answer(TARGET_ID, PolicyFile::NotInstalled)),
        line(|s| s.target().inputs = inputs(&[("sha", "{{ source.title }}")])),
        line(|s| s.chain = chain(&[("acme/deploy", "cd.yml"), ("acme/api", "ci.yml")])),
        line(|s| s.set("TARGET_REPO_ALLOWLIST", "acme/web")),
        line(|s| s.uses = 100),
        line(|s| s.spent = 100),
        // Two rules: the second came nearer.
        line(|s| { s.accepted().accept_inputs.clear(); s.inbound.insert(0, inbound(30, vec![])) }),
    ].join("\n"), @r"
    acme/api/dispatching.yml:5 | acme/deploy/dispatching.yml:16 | `acme/api/dispatching.yml:5` and `acme/deploy/dispatching.yml:16` agree
    acme/api/dispatching.yml:5 | - | no inbound rule of `acme/deploy` names `acme/api`
    acme/api/dispatching.yml:5 | acme/deploy/dispatching.yml:12 | the inbound rule names `release.yml` of `acme/api`, and `ci.yml` ran
    acme/api/dispatching.yml:5 | acme/deploy/dispatching.yml:12 | the inbound rule accepts only `x.yml`, and not `cd.yml`
    acme/api/dispatching.yml:5 | acme/deploy/dispatching.yml:16 | the run's commit is a fork's, and the inbound rule does not say `forks: true`
    acme/api/dispatching.yml:5 | acme/deploy/dispatching.yml:16 | the run was started by `push`, and the inbound rule accepts only `schedule`
    acme/api/dispatching.yml:5 | acme/deploy/dispatching.yml:16 | the run was on `main`, and the inbound rule accepts only `dev`, `release/*`
    acme/api/dispatching.yml:5 | acme/deploy/dispatching.yml:16 | the run ended with `success`, and the inbound rule accepts only `failure`
    acme/api/dispatching.yml:5 | acme/deploy/dispatching.yml:16 | the ref is `main`, and the target accepts only `release`
    acme/api/dispatching.yml:5 | acme/deploy/dispatching.yml:16 | the inputs `sha` are not accepted: the target accepts none
    acme/api/dispatching.yml:5 | acme/deploy/dispatching.yml:16 | the inputs `sha` are not accepted: the target accepts only `a`, `b`
    acme/api/dispatching.yml:5 | acme/deploy/dispatching.yml:16 | `sha` has the value `a\u{60};b` of `source.head_branch`, which anybody can choose and which is not made of letters, digits and `._/@+#=,-`, or starts with `-`
    acme/api/dispatching.yml:5 | acme/deploy/dispatching.yml:16 | `acme/api` is now repository 11, and the target's consent is for repository 1
    acme/api/dispatching.yml:5 | acme/deploy/dispatching.yml:16 | `acme/deploy` is now repository 22, and the source's consent is for repository 2
    acme/api/dispatching.yml:5 | acme/deploy/dispatching.yml:16 | this is attempt 2 of run number 40, and run number 41 has been dispatched since; both sides would have to say `reruns: any`
    acme/api/dispatching.yml:5 | acme/deploy/dispatching.yml:16 | commit `3484a3fb816e0859fd6e1cea078d76385ff50625` was not proven to have been on `main` of `acme/api`
    acme/api/dispatching.yml:5 | - | `acme/deploy/.github/dispatching.yml`: line 3: unknown key `inbuond`
    acme/api/dispatching.yml:5 | - | `acme/deploy` has neither `dispatching.yml` nor `.github/dispatching.yml`
    acme/api/dispatching.yml:5 | - | there is no repository `acme/deploy`
    acme/api/dispatching.yml:5 | - | the App is not installed on `acme/deploy`
    acme/api/dispatching.yml:5 | - | the input `sha` cannot be computed: there is no variable `source.title`
    acme/api/dispatching.yml:5 | - | the chain that led to this run has already been at `cd.yml` of `acme/deploy`
    acme/api/dispatching.yml:5 | - | the operator lets nothing start in `acme/deploy`: TARGET_REPO_ALLOWLIST does not have it
    acme/api/dispatching.yml:5 | acme/deploy/dispatching.yml:16 | `acme/api` has started `cd.yml` of `acme/deploy` 100 times within the hour, and DISPATCH_MAX_EDGE_RATE is 100
    acme/api/dispatching.yml:5 | acme/deploy/dispatching.yml:16 | the chain that began with `workflow_run:11:7000000001:1` has spent the 100 dispatches that one event may start
    acme/api/dispatching.yml:5 | acme/deploy/dispatching.yml:16 | the inputs `sha` are not accepted: the target accepts none
    ");
}

#[test]
#[rustfmt::skip]
fn an_event_that_starts_nothing_says_why() {
    let message = |change: Change| {
        let mut setup = Setup::new();
        change(&mut setup);
        let skipped = setup.plan().skipped.unwrap();
        let rule = skipped.outbound_rule.map_or("-".to_owned(), |rule| rule.to_string());
        format!("{rule} | {}: {}", skipped.reason, skipped.message)
    };
    insta::assert_snapshot!([
        message(|s| s.set("OWNER_ALLOWLIST", "octo-org")),
        message(|s| s.set("SOURCE_REPO_ALLOWLIST", "acme/web")),
        message(|s| s.set("SOURCE_WORKFLOW_ALLOWLIST", "cd.yml")),
        message(|s| s.run().head = Head::Unknown),
        message(|s| s.run().conclusion = Some(Conclusion::TimedOut)),
        message(|s| s.run().head_branch = Some(branch("feature/x"))),
        message(|s| s.run().workflow = None),
        message(|s| s.event.installation = None),
        message(|s| s.source_answer = answer(SOURCE_ID, PolicyFile::Absent)),
        message(|s| s.source_answer = answer(SOURCE_ID, invalid())),
        message(|s| s.source_answer = answer(RepositoryId(12), PolicyFile::Absent)),
        message(|s| s.outbound.clear()),
        message(|s| s.run().head = Head::Fork(RepositoryId(99))),
        message(|s| s.run().event = "issue_comment".to_owned()),
        message(|s| s.from().branches = patterns(&["dev", "release/*"])),
        message(|s| s.from().conclusions = Some([Conclusion::Failure].into())),
        message(|s| s.run().actor = Some(login("dispatch[bot]"))),
        // Two rules: the second came nearer.
        message(|s| { s.from().events = words(&["schedule"]); s.outbound.push(outbound(30, vec![target(31)])); s.outbound[1].source = { let mut near = ci(); near.branches = patterns(&["x"]); dispatch_core::policy::Source::WorkflowRun(near) } }),
    ].join("\n"), @r"
    - | source_owner_not_allowed: the operator does not serve `acme`: OWNER_ALLOWLIST does not have it
    - | source_repo_not_allowlisted: the operator does not let `acme/api` start anything: SOURCE_REPO_ALLOWLIST does not have it
    - | source_workflow_not_allowlisted: the operator does not let `ci.yml` start anything: SOURCE_WORKFLOW_ALLOWLIST does not have it
    - | source_head_repository_unverifiable: GitHub does not say which repository commit `3484a3fb816e0859fd6e1cea078d76385ff50625` of the run is in, so it may be a fork's
    - | source_conclusion_not_allowed: the run ended with `timed_out`, and ALLOWED_SOURCE_CONCLUSIONS has only `success`
    - | source_not_default_branch: the run was on `feature/x`, and only the default branch `main` counts
    - | no_rule_matched: the run has no workflow file in `acme/api`, so no rule can name it
    - | app_not_installed: the event of `acme/api` was not sent by an installation of the App
    - | source_policy_missing: `acme/api` has neither `dispatching.yml` nor `.github/dispatching.yml`
    - | source_policy_invalid: `acme/api/.github/dispatching.yml`: line 3: unknown key `inbuond`
    - | repository_identity_changed: the event is of repository 11, and `acme/api` is now the name of repository 12
    - | no_rule_matched: no outbound rule of `acme/api` names `ci.yml`
    acme/api/dispatching.yml:2 | source_from_fork: the run's commit is a fork's, and the outbound rule does not say `forks: true`
    acme/api/dispatching.yml:2 | source_event_not_allowed: the run was started by `issue_comment`, and the outbound rule accepts only `push`, `merge_group`, `schedule`, `workflow_dispatch`, `repository_dispatch`, `release`, `create`, `deployment`, `pull_request`
    acme/api/dispatching.yml:2 | source_branch_not_matched: the run was on `main`, and the outbound rule accepts only `dev`, `release/*`
    acme/api/dispatching.yml:2 | source_conclusion_not_allowed: the run ended with `success`, and the outbound rule accepts only `failure`
    acme/api/dispatching.yml:2 | own_event: it was caused by `dispatch[bot]`, which is this App, and by no dispatch that is known
    acme/api/dispatching.yml:30 | source_branch_not_matched: the run was on `main`, and the outbound rule accepts only `x`
    ");
}

#[test]
#[rustfmt::skip]
fn the_source_sees_the_target_s_side_only_with_one_owner_and_no_secret() {
    let cases: &[(&str, Change, Visibility)] = &[
        ("both public", |_| (), Visibility::Source),
        ("both private", |s| { s.event.repository.private = true; s.target_private = true }, Visibility::Source),
        ("a private source", |s| s.event.repository.private = true, Visibility::Source),
        ("a private target", |s| s.target_private = true, Visibility::Target),
        ("another owner", |s| s.target().repository = repository("partner/deploy"), Visibility::Target),
        ("nobody there", |s| s.target_answer = Some(PolicyAnswer { repository: None, file: PolicyFile::Absent }), Visibility::Target),
    ];
    for (name, change, visibility) in cases {
        let mut setup = Setup::new();
        change(&mut setup);
        assert_eq!(setup.decision().visibility, *visibility, "{name}");
    }
}

#[test]
#[rustfmt::skip]
fn what_the_source_may_not_see_reads_alike_and_its_own_mistakes_do_not() {
    let view = |change: Change| {
        let mut setup = Setup::new();
        setup.target_private = true;
        change(&mut setup);
        serde_json::to_value(setup.decision().for_source()).unwrap()
    };
    let hidden: [Change; 8] = [
        |s| s.inbound.clear(),
        |s| s.by().workflow = file("x.yml"),
        |s| s.accepted().accept_inputs.clear(),
        |s| s.accepted().accept_refs = patterns(&["x"]),
        |s| s.edge = Some(Edge { source: SOURCE_ID, target: RepositoryId(2) }),
        |s| s.target_answer = Some(PolicyAnswer { repository: None, file: PolicyFile::Absent }),
        |s| s.target_answer = Some(PolicyAnswer { repository: None, file: PolicyFile::NotInstalled }),
        |s| { s.target_answer = Some(PolicyAnswer { repository: Some(Identity::Verified { id: TARGET_ID, private: true }), file: invalid(), }) },
    ];
    for change in hidden {
        let view = view(change);
        assert_eq!(view["message"], SourceView::HIDDEN);
        assert_eq!((&view["reason"], &view["inbound_rule"]), (&serde_json::Value::Null, &serde_json::Value::Null));
        assert_eq!(view["allowed"], false);
        assert_eq!(view["outbound_rule"]["line"], 5);
    }
    assert_eq!(view(|s| s.target().inputs = inputs(&[("sha", "{{ x.y }}")]))["reason"], "inputs_template_error");
    assert_eq!(view(|s| s.commit = CommitOnBranch::NotProven)["inbound_rule"], serde_json::Value::Null);
    assert_eq!(view(|_| ())["allowed"], true);
    assert_eq!(view(|_| ())["inbound_rule"], serde_json::Value::Null);
}

#[test]
fn of_rules_that_come_equally_near_the_first_is_named() {
    let mut setup = Setup::new();
    setup.inbound.push(inbound(30, vec![accepted(34)]));
    setup.inbound.iter_mut().for_each(|rule| rule.targets[0].accept_inputs.clear());
    assert_eq!(setup.decision().inbound_rule().unwrap().line, 16);

    setup.outbound.push(outbound(40, vec![target(44)]));
    for rule in &mut setup.outbound {
        let Source::WorkflowRun(source) = &mut rule.source else { panic!("another source") };
        source.branches = patterns(&["release/*"]);
    }
    assert_eq!(setup.plan().skipped.unwrap().outbound_rule.unwrap().line, 2);
}
