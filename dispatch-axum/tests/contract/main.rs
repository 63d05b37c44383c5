#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
//! The policy contract, sentence by sentence, end to end: a signed webhook over real HTTP, the router, SQLite, the
//! workers, and GitHub's own record of what was started.
//!
//! One line is one case. What is expected is written as one word for each target entry, in the order of the file:
//! `infra/deploy.yml@main` is a run that GitHub started, everything else is a reason. An event that starts nothing is
//! `skipped:reason`. What takes several events is in `stories`.
//!
//! | The contract, and the attack | The test |
//! |---|---|
//! | Both sides must agree; a missing file means no rules | `both_sides_must_agree` |
//! | A bare name is the owner of its file; edges across owners | `a_bare_name_is_the_owner_of_the_file_and_no_other` |
//! | What a workflow's name and a run's path may be | `a_workflow_is_a_file_and_compares_with_case` |
//! | A run without a path, a branch or an installation | `what_a_webhook_does_not_say_starts_nothing_by_mistake` |
//! | One inbound target accepts all inputs | `all_inputs_are_accepted_by_one_inbound_target` |
//! | Variables: unknown, empty, control characters, 1,024 | `variables_have_values_or_deny_their_own_target` |
//! | Each variable reaches the run | `every_variable_arrives` |
//! | Values that strangers choose | `what_a_stranger_can_choose_cannot_become_code` |
//! | `ref`: the target's, the run's; `accept_refs`; the schema | `the_ref_is_the_targets_or_the_runs` |
//! | A run of no branch, where any branch may start something | `a_run_without_a_branch_starts_at_the_operator_s_ref` |
//! | Duplicates, itself, the cap on targets | `a_target_is_considered_once_and_never_itself` |
//! | Strict files, both places, files that cannot be read now | `a_file_is_right_or_means_nothing` |
//! | The operator's limits come before anything is fetched | `the_operators_values_are_limits_that_come_before_anything_is_fetched` |
//! | `branches`, `conclusions`, `events`: the intersection | `filters_are_on_both_sides_and_the_intersection_counts` |
//! | Forks need `forks: true` on both sides | `forks_need_both_sides` |
//! | A tag called `main` | `a_tag_called_main_proves_nothing` |
//! | A recreated name | `a_recreated_repository_is_another_one_until_a_rule_confirms_it` |
//! | An old run, run again | `an_old_run_run_again_is_superseded` |
//! | A stranger's installation | `a_strangers_installation_starts_nothing` |
//! | A redelivered webhook, a replayed body | `a_body_runs_once_however_often_it_comes` |
//! | Consent withdrawn while work waits | `consent_that_is_withdrawn_while_a_dispatch_waits_counts` |
//! | GitHub requests of one event | `an_event_costs_the_requests_that_it_needs` |
//!
//! Signatures, sizes and everything else of "bad input" is in the test program `http`, settings in `command`.

mod stage;
mod stories;

use dispatch_core::event::Conclusion;
use dispatch_core::testing::world::{Fault, FaultKind, RunSpec};

use stage::{Case, check};

/// A policy file of `acme/api` that starts these targets after `ci.yml`.
fn outbound(targets: &str) -> String {
    format!("outbound: [{{ source: {{ workflow: ci.yml }}, targets: [{targets}] }}]")
}

/// A policy file of `acme/infra` that lets `ci.yml` of `acme/api` start these targets.
fn inbound(targets: &str) -> String {
    format!("inbound: [{{ source: {{ repository: api, workflow: ci.yml }}, targets: [{targets}] }}]")
}

fn bad_gateway() -> FaultKind {
    FaultKind::Status { status: 502, body: None, headers: std::collections::BTreeMap::new() }
}

const DEPLOY: &str = "{ repository: infra, workflow: deploy.yml }";
const DEPLOYED: &str = "infra/deploy.yml@main";

/// `acme/api` and `acme/infra` with these policy files, and a run of `ci.yml` on `main` that succeeded.
fn between(name: &'static str, api: &str, infra: &str) -> Case {
    Case::new(name).file("acme/api", api).file("acme/infra", infra)
}

#[tokio::test]
async fn both_sides_must_agree() {
    let (out, accept) = (outbound(DEPLOY), inbound("{ workflow: deploy.yml }"));
    check([
        (between("both agree", &out, &accept), DEPLOYED),
        (Case::new("the target has no file").file("acme/api", &out), "missing_target_config"),
        (
            Case::new("the target does not have the App").file("acme/api", &out.replace("infra", "web")),
            "app_not_installed",
        ),
        (Case::new("the source has no file").file("acme/infra", &accept), "skipped:source_policy_missing"),
        (between("the source names no target", "inbound: []", &accept), "skipped:no_rule_matched"),
        (between("the target agrees to nothing", &out, "outbound: []"), "inbound_not_authorized"),
        (between("to another repository", &out, &accept.replace("api", "web")), "inbound_not_authorized"),
        (between("to another workflow of the source", &out, &accept.replace("ci", "cd")), "inbound_not_authorized"),
        (between("to another target", &out, &inbound("{ workflow: smoke.yml }")), "inbound_not_authorized"),
    ])
    .await;
}

#[tokio::test]
async fn a_bare_name_is_the_owner_of_the_file_and_no_other() {
    let (out, accept) =
        (outbound("{ repository: octo/infra, workflow: deploy.yml }"), inbound("{ workflow: deploy.yml }"));
    let to_octo = |name, accept: &str| Case::new(name).file("acme/api", &out).file("octo/infra", accept);
    check([
        (to_octo("`api` in octo's file is octo/api", &accept), "inbound_not_authorized"),
        (to_octo("acme/api is written out", &accept.replace("api", "acme/api")), "octo/infra/deploy.yml@main"),
        (between("names have no case", &outbound(DEPLOY), &accept.replace("api", "ACME/Api")), DEPLOYED),
    ])
    .await;
}

#[tokio::test]
async fn a_workflow_is_a_file_and_compares_with_case() {
    let (out, accept) = (outbound(DEPLOY), inbound("{ workflow: deploy.yml }"));
    let path = |name, path: &str| {
        between(name, &out, &accept).run(RunSpec { path: Some(path.to_owned()), ..RunSpec::default() })
    };
    let folder = |text: &str| text.replace("workflow: ", "workflow: .github/workflows/");
    check([
        (between("policies may name the folder", &folder(&out), &folder(&accept)), DEPLOYED),
        (between("the case counts", &out.replace("ci.yml", "CI.yml"), &accept), "skipped:no_rule_matched"),
        (between("on the target's side, too", &out, &accept.replace("deploy", "Deploy")), "inbound_not_authorized"),
        (path("a webhook may name the ref", ".github/workflows/ci.yml@main"), DEPLOYED),
        (path("and its own repository", "acme/api/.github/workflows/ci.yml@refs/heads/main"), DEPLOYED),
        (path("another repository's is none", "octo/api/.github/workflows/ci.yml@main"), "skipped:no_rule_matched"),
        (path("GitHub's own are none", "dynamic/dependabot/dependabot-updates"), "skipped:no_rule_matched"),
    ])
    .await;
}

#[tokio::test]
async fn all_inputs_are_accepted_by_one_inbound_target() {
    let send =
        |inputs: &str| outbound(&format!("{{ repository: infra, workflow: deploy.yml, inputs: {{ {inputs} }} }}"));
    let accept = |names: &str| format!("{{ workflow: deploy.yml, accept_inputs: [{names}] }}");
    let (both, one, other) = (inbound(&accept("git_sha, environment")), accept("git_sha"), accept("environment"));
    let two = send("git_sha: a, environment: b");
    check([
        (between("both are listed", &two, &both), DEPLOYED),
        (between("one is not", &two, &inbound(&one)), "inputs_not_accepted"),
        (between("none is", &two, &inbound("{ workflow: deploy.yml }")), "inputs_not_accepted"),
        (between("two targets do not add up", &two, &inbound(&format!("{one}, {other}"))), "inputs_not_accepted"),
        (
            between("a later one accepts all", &two, &inbound(&format!("{one}, {}", accept("environment, git_sha")))),
            DEPLOYED,
        ),
        (between("sending none needs none", &outbound(DEPLOY), &inbound("{ workflow: deploy.yml }")), DEPLOYED),
    ])
    .await;
}

#[tokio::test]
async fn variables_have_values_or_deny_their_own_target() {
    let value =
        |value: &str| format!("{{ repository: infra, workflow: deploy.yml, inputs: {{ git_sha: \"{value}\" }} }}");
    let accept = inbound("{ workflow: deploy.yml, accept_inputs: [git_sha] }, { workflow: smoke.yml }");
    let with = |name, text: &str| between(name, &outbound(&value(text)), &accept);
    let beside = outbound(&format!("{}, {{ repository: infra, workflow: smoke.yml }}", value("{{ source.secret }}")));
    check([
        (with("the repository", "{{ source.repo }}").input("git_sha", "acme/api"), DEPLOYED),
        (with("the workflow", "{{ source.workflow }}").input("git_sha", "ci.yml"), DEPLOYED),
        (with("the branch", "{{ source.head_branch }}").input("git_sha", "main"), DEPLOYED),
        (with("text around it", "v-{{ source.head_branch }}.1").input("git_sha", "v-main.1"), DEPLOYED),
        (with("no such variable", "{{ source.secret }}"), "inputs_template_error"),
        (between("only its own target", &beside, &accept), "inputs_template_error infra/smoke.yml@main"),
        (with("no text at all", ""), "inputs_template_error"),
        (with("a control character", "a\\nb"), "inputs_template_error"),
        (with("1,024 characters", &"x".repeat(1_024)), DEPLOYED),
        (with("1,025 characters", &"x".repeat(1_025)), "inputs_template_error"),
    ])
    .await;
}

#[tokio::test]
async fn the_ref_is_the_targets_or_the_runs() {
    let at = |git_ref: &str| outbound(&format!("{{ repository: infra, workflow: deploy.yml, ref: {git_ref} }}"));
    let accept = inbound("{ workflow: deploy.yml }");
    let only = |refs: &str| inbound(&format!("{{ workflow: deploy.yml, accept_refs: [{refs}] }}"));
    check([
        (between("the target's", &at("release"), &accept), "infra/deploy.yml@release"),
        (between("the run's branch", &outbound(DEPLOY), &accept), DEPLOYED),
        (between("accepted by name", &at("release"), &only("main, release")), "infra/deploy.yml@release"),
        (between("accepted by pattern", &at("release"), &only("\"rel*\"")), "infra/deploy.yml@release"),
        (between("not accepted", &at("release"), &only("main")), "ref_not_accepted"),
        (between("a commit is none", &at(&"a".repeat(40)), &accept), "skipped:source_policy_invalid"),
        (between("a pull request is none", &at("pull/1/head"), &accept), "skipped:source_policy_invalid"),
        (between("other refs are none", &at("refs/pull/1/head"), &accept), "skipped:source_policy_invalid"),
    ])
    .await;
}

#[tokio::test]
async fn a_target_is_considered_once_and_never_itself() {
    let accept = inbound("{ workflow: deploy.yml }, { workflow: smoke.yml }");
    let smoke = "{ repository: infra, workflow: smoke.yml }";
    let itself = "{ repository: api, workflow: ci.yml }";
    let sibling = "{ repository: api, workflow: cd.yml }";
    let own = format!(
        "{}\n{}",
        outbound(&format!("{itself}, {sibling}")),
        inbound("{ workflow: cd.yml }, { workflow: ci.yml }")
    );
    let capped =
        |name, targets: &str| between(name, &outbound(targets), &accept).set("DISPATCH_MAX_TARGETS_PER_RUN", "1");
    let twice = format!("{DEPLOY}, {smoke}, {DEPLOY}");
    let two = format!("{DEPLOY}, {smoke}");
    let elsewhere = format!("{{ repository: octo/x, workflow: a.yml }}, {DEPLOY}, {smoke}");
    check([
        (
            between("the second is a duplicate", &outbound(&twice), &accept),
            "infra/deploy.yml@main infra/smoke.yml@main duplicate_target",
        ),
        (Case::new("not itself, but its neighbour").file("acme/api", &own), "self_dispatch_blocked api/cd.yml@main"),
        (
            capped("the cap counts neither duplicates nor itself", &format!("{itself}, {DEPLOY}, {DEPLOY}, {smoke}")),
            "self_dispatch_blocked infra/deploy.yml@main duplicate_target max_targets_exceeded",
        ),
        (
            capped(
                "the cap counts what the target refuses",
                &format!("{{ repository: infra, workflow: cd.yml }}, {smoke}"),
            ),
            "inbound_not_authorized max_targets_exceeded",
        ),
        (capped("the cap", &two), "infra/deploy.yml@main max_targets_exceeded"),
        (
            capped("counts what passes the operator's limits", &elsewhere).set("TARGET_REPO_ALLOWLIST", "acme/*"),
            "target_repo_not_allowlisted infra/deploy.yml@main max_targets_exceeded",
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_file_is_right_or_means_nothing() {
    let (out, accept) = (outbound(DEPLOY), inbound("{ workflow: deploy.yml }"));
    check([
        (between("an unknown key", &format!("{out}\nextra: 1"), &accept), "skipped:source_policy_invalid"),
        (between("a duplicate key", &format!("{out}\noutbound: []"), &accept), "skipped:source_policy_invalid"),
        (
            between("deeper, too", &out.replace("workflow: d", "workflow: d.yml, workflow: d"), &accept),
            "skipped:source_policy_invalid",
        ),
        (between("an alias", &format!("{out}\ninbound: *a"), &accept), "skipped:source_policy_invalid"),
        (between("a tag", &format!("{out}\ninbound: !!seq []"), &accept), "skipped:source_policy_invalid"),
        (between("two documents", &format!("{out}\n---\n{out}"), &accept), "skipped:source_policy_invalid"),
        (between("an anchor", &format!("{out}\ninbound: &a []"), &accept), "skipped:source_policy_invalid"),
        (between("on the target's side", &out, &accept.replace("workflow: d", "worklfow: d")), "invalid_target_config"),
        (
            between("too large", &format!("{out}\n#{}", "x".repeat(256 * 1024)), &accept),
            "skipped:source_policy_invalid",
        ),
        (
            between("a file that cannot be read now is read later", &out, &accept)
                .fault(Fault::once("GET", "/repos/acme/infra/contents/**", bad_gateway()).unwrap()),
            DEPLOYED,
        ),
        (
            between("on the source's side, too", &out, &accept)
                .fault(Fault::once("GET", "/repos/acme/api/contents/**", bad_gateway()).unwrap()),
            DEPLOYED,
        ),
        (
            Case::new("the source's other place").file("acme/infra", &accept).file_at(
                "acme/api",
                ".github/dispatching.yml",
                &out,
            ),
            DEPLOYED,
        ),
        (
            Case::new("the other place").file("acme/api", &out).file_at(
                "acme/infra",
                ".github/dispatching.yml",
                &accept,
            ),
            DEPLOYED,
        ),
        (
            between("the root wins", &out, "inbound: []").file_at("acme/infra", ".github/dispatching.yml", &accept),
            "inbound_not_authorized",
        ),
    ])
    .await;
}

#[tokio::test]
async fn the_operators_values_are_limits_that_come_before_anything_is_fetched() {
    let (out, accept) = (outbound(DEPLOY), inbound("{ workflow: deploy.yml }"));
    let agreed = |name| between(name, &out, &accept);
    let failed = RunSpec { conclusion: Some(Conclusion::Failure), ..RunSpec::default() };
    let branch = RunSpec::new("ci.yml", "release");
    check([
        (agreed("an owner").set("OWNER_ALLOWLIST", "octo").asks_nothing(), "skipped:source_owner_not_allowed"),
        (
            agreed("a repository").set("SOURCE_REPO_ALLOWLIST", "acme/web").asks_nothing(),
            "skipped:source_repo_not_allowlisted",
        ),
        (
            agreed("a workflow").set("SOURCE_WORKFLOW_ALLOWLIST", "cd.yml").asks_nothing(),
            "skipped:source_workflow_not_allowlisted",
        ),
        (agreed("a conclusion").run(failed.clone()).asks_nothing(), "skipped:source_conclusion_not_allowed"),
        (agreed("a branch").run(branch.clone()).asks_nothing(), "skipped:source_not_default_branch"),
        (
            agreed("a deleted fork")
                .run(RunSpec { head_repository_deleted: true, ..RunSpec::default() })
                .asks_nothing(),
            "skipped:source_head_repository_unverifiable",
        ),
        (agreed("a target").set("TARGET_REPO_ALLOWLIST", "acme/web"), "target_repo_not_allowlisted"),
        (
            agreed("any branch, where the operator lets it").run(branch).set("ENFORCE_SOURCE_DEFAULT_BRANCH", "false"),
            "infra/deploy.yml@release",
        ),
    ])
    .await;
}

#[tokio::test]
async fn filters_are_on_both_sides_and_the_intersection_counts() {
    let out = |filters: &str| outbound(DEPLOY).replace("workflow: ci.yml", &format!("workflow: ci.yml, {filters}"));
    let accept = |filters: &str| {
        inbound("{ workflow: deploy.yml }").replace("workflow: ci.yml", &format!("workflow: ci.yml, {filters}"))
    };
    let on = |branch: &str| RunSpec::new("ci.yml", branch);
    let any_branch = |case: Case| case.run(on("release")).set("ENFORCE_SOURCE_DEFAULT_BRANCH", "false");
    let failed = |case: Case| {
        let run = RunSpec { conclusion: Some(Conclusion::Failure), ..RunSpec::default() };
        case.run(run).set("ALLOWED_SOURCE_CONCLUSIONS", "success,failure")
    };
    let commented = |case: Case| case.run(RunSpec { event: "issue_comment".to_owned(), ..RunSpec::default() });
    let plain = inbound("{ workflow: deploy.yml }");
    let (release, failure, comment) = ("branches: [release]", "conclusions: [failure]", "events: [issue_comment]");
    check([
        (any_branch(between("a branch on both", &out(release), &accept(release))), "infra/deploy.yml@release"),
        (any_branch(between("a branch on one side", &out(release), &plain)), "inbound_not_authorized"),
        (
            any_branch(between("another branch", &out("branches: [main]"), &accept(release))),
            "skipped:source_branch_not_matched",
        ),
        (failed(between("a conclusion on both", &out(failure), &accept(failure))), DEPLOYED),
        (failed(between("a conclusion on one side", &out(failure), &plain)), "inbound_not_authorized"),
        (commented(between("an event on both", &out(comment), &accept(comment))), DEPLOYED),
        (commented(between("an event on one side", &out(comment), &plain)), "inbound_not_authorized"),
        (commented(between("an event on neither", &outbound(DEPLOY), &plain)), "skipped:source_event_not_allowed"),
    ])
    .await;
}

#[tokio::test]
async fn forks_need_both_sides() {
    let fork = |case: Case| case.run(RunSpec { fork: "stranger/api".parse().ok(), ..RunSpec::default() });
    let forks = |text: String| text.replace("workflow: ci.yml", "workflow: ci.yml, forks: true");
    let (out, accept) = (outbound(DEPLOY), inbound("{ workflow: deploy.yml }"));
    check([
        (fork(between("neither", &out, &accept)), "skipped:source_from_fork"),
        (fork(between("only the target", &out, &forks(accept.clone()))), "skipped:source_from_fork"),
        (fork(between("only the source", &forks(out.clone()), &accept)), "inbound_not_authorized"),
        (fork(between("both", &forks(out), &forks(accept))), DEPLOYED),
    ])
    .await;
}

#[tokio::test]
async fn what_a_stranger_can_choose_cannot_become_code() {
    let target =
        "{ repository: infra, workflow: deploy.yml, ref: main, inputs: { git_sha: \"{{ source.head_branch }}\" } }";
    let forks = |text: String| text.replace("workflow: ci.yml", "workflow: ci.yml, forks: true");
    let (out, accept) = (forks(outbound(target)), forks(inbound("{ workflow: deploy.yml, accept_inputs: [git_sha] }")));
    let from = |branch: &'static str| {
        let run = RunSpec { fork: "stranger/api".parse().ok(), ..RunSpec::new("ci.yml", branch) };
        between(branch, &out, &accept).run(run).set("ENFORCE_SOURCE_DEFAULT_BRANCH", "false")
    };
    check([
        (from("feature/a_b-1.2").input("git_sha", "feature/a_b-1.2"), DEPLOYED),
        (from("$(curl${IFS}x|sh)"), "value_not_accepted"),
        (from("a;b"), "value_not_accepted"),
        (from("-rf"), "value_not_accepted"),
    ])
    .await;
}
