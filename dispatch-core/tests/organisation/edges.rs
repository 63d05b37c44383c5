//! Whether both sides agree.

use insta::assert_snapshot;

use super::*;

const API: &str = "acme/api/dispatching.yml";
const DEPLOY: &str = "acme/deploy/dispatching.yml";

/// What is found where `api` wants one thing and `deploy` accepts another one.
fn between(target: &str, accepted: &str) -> String {
    findings(&[(API, &wants(target)), (DEPLOY, &accepts(accepted))])
}

#[test]
fn what_both_sides_want_is_agreed_and_nothing_is_found() {
    let files = [
        (API, &*wants("repository: deploy, workflow: cd.yml, inputs: { sha: '{{ source.sha }}' }")),
        (DEPLOY, &*accepts("workflow: cd.yml, accept_inputs: { sha: { pattern: sha } }, accept_refs: [main]")),
    ];
    assert_eq!(findings(&files), "");
    assert_snapshot!(edges(&examine(&files)), @"acme/api -> acme/deploy cd.yml: Agreed acme/api/dispatching.yml:4 acme/deploy/dispatching.yml:4");
}

#[test]
fn each_kind_of_missing_consent_says_why_with_both_places() {
    let cd = "repository: deploy, workflow: cd.yml";
    assert_snapshot!(between(cd, "workflow: other.yml, accept_refs: [main]"), @"error[outbound_without_consent] acme/api/dispatching.yml:4: `acme/deploy` does not agree: the inbound rule accepts only `other.yml`, and not `cd.yml` | the nearest consent: acme/deploy/dispatching.yml:2");
    assert_snapshot!(between(&format!("{cd}, inputs: {{ a: b }}"), "workflow: cd.yml, accept_refs: [main]"), @"error[outbound_without_consent] acme/api/dispatching.yml:4: `acme/deploy` does not agree: the inputs `a` are not accepted: the target accepts none | the nearest consent: acme/deploy/dispatching.yml:4");
    assert_snapshot!(between(&format!("{cd}, ref: dev"), "workflow: cd.yml, accept_refs: [main]"), @"error[outbound_without_consent] acme/api/dispatching.yml:4: `acme/deploy` does not agree: the ref is `dev`, and the target accepts only `main` | the nearest consent: acme/deploy/dispatching.yml:4");
    assert_snapshot!(
        between(&format!("{cd}, inputs: {{ a: b }}"), "workflow: cd.yml, accept_inputs: { a: { one_of: [c] } }"), @"error[outbound_without_consent] acme/api/dispatching.yml:4: `acme/deploy` does not agree: `a` has the value `b`, and the target accepts only one of `c` | the nearest consent: acme/deploy/dispatching.yml:4");
    assert_snapshot!(findings(&[(API, &wants(cd)), ("acme/deploy/", "")]), @"error[outbound_without_consent] acme/api/dispatching.yml:4: `acme/deploy` does not agree: `acme/deploy` has neither `dispatching.yml` nor `.github/dispatching.yml`");
}

#[test]
fn what_only_made_up_values_decide_is_a_warning() {
    let cd = "repository: deploy, workflow: cd.yml";
    let refused = between(
        &format!("{cd}, inputs: {{ branch: '{{{{ source.head_branch }}}}' }}"),
        "workflow: cd.yml, accept_inputs: { branch: { one_of: [develop] } }, accept_refs: ['**']",
    );
    assert_snapshot!(refused, @"warning[consent_depends] acme/api/dispatching.yml:4: `acme/deploy` may not agree: `branch` has the value `x`, and the target accepts only one of `develop` | the nearest consent: acme/deploy/dispatching.yml:4");
    assert_snapshot!(between(cd, "workflow: cd.yml, accept_refs: ['release/*']"), @"");
}

#[test]
fn filters_that_have_anything_in_common_agree() {
    let cases = [
        ("branches: [main, dev]", "branches: [dev]"),
        ("branches: ['release/*']", "branches: [release/1]"),
        ("branches: [release/1]", "branches: ['release/*', main]"),
        ("branches: [a, b, c, d, e, f]", "branches: [x, y, z, f]"),
        ("conclusions: [failure, success]", "conclusions: [cancelled, failure]"),
        ("events: [push, release, schedule]", "events: [create, release]"),
        ("events: [issue_comment, schedule]", "branches: [main]"),
        ("conclusions: [success]", "repository_id: 7"),
    ];
    for (ours, theirs) in cases {
        let api = wants("repository: deploy, workflow: cd.yml").replace("ci.yml", &format!("ci.yml, {ours}"));
        let deploy = accepts("workflow: cd.yml, accept_refs: ['**']").replace("ci.yml", &format!("ci.yml, {theirs}"));
        assert_eq!(findings(&[(API, &api), (DEPLOY, &deploy)]), "", "{ours} / {theirs}");
    }
}

#[test]
fn filters_that_have_nothing_in_common_do_not_agree() {
    let cases = [
        ("branches: [main]", "branches: [dev]", "outbound_without_consent"),
        ("conclusions: [failure]", "branches: [main]", "outbound_without_consent"),
        ("events: [issue_comment]", "branches: [main]", "outbound_without_consent"),
        // There may be a branch that both patterns match.
        ("branches: ['release/*']", "branches: ['*/1']", "consent_depends"),
    ];
    for (ours, theirs, code) in cases {
        let api = wants("repository: deploy, workflow: cd.yml").replace("ci.yml", &format!("ci.yml, {ours}"));
        let deploy = accepts("workflow: cd.yml, accept_refs: ['**']").replace("ci.yml", &format!("ci.yml, {theirs}"));
        assert_eq!(codes(&[(API, &api), (DEPLOY, &deploy)]), [code], "{ours} / {theirs}");
    }
}

#[test]
fn pull_requests_and_commands_are_asked_about_too() {
    let api = "\
outbound:
  - source: { pull_request: [opened, closed], draft: false }
    targets: [{ repository: infra, event: preview, environment: create, payload: { n: '{{ pr.number }}' } }]
  - source: { command: /deploy, argument: { one_of: [eu] }, permission: author }
    targets: [{ repository: infra, event: deploy, payload: { to: '{{ command.argument }}' } }]
environments: [{ base: dev, name: 'pr-{{ pr.number }}' }]
";
    let infra = "\
inbound:
  - source: { repository: api, pull_request: [opened] }
    targets: [{ event: preview, accept_payload: { n: { pattern: number } } }]
  - source: { repository: api, command: /deploy, permission: admin }
    targets: [{ event: deploy, accept_payload: { to: { one_of: [eu, us] } } }]
";
    let files = [(API, api), ("acme/infra/dispatching.yml", infra)];
    assert_eq!(findings(&files), "");
    assert_snapshot!(edges(&examine(&files)), @"
    acme/api -> acme/infra preview: Agreed acme/api/dispatching.yml:3 acme/infra/dispatching.yml:3
    acme/api -> acme/infra deploy: Agreed acme/api/dispatching.yml:5 acme/infra/dispatching.yml:5
    ");
    let commands_only = infra.replace("pull_request: [opened]", "pull_request: [synchronize]");
    assert_snapshot!(findings(&[(API, api), ("acme/infra/dispatching.yml", &commands_only)]), @"error[outbound_without_consent] acme/api/dispatching.yml:3: `acme/infra` does not agree: the inbound rule names pull requests that are `synchronize` of `acme/api`, and a pull request was `opened` | the nearest consent: acme/infra/dispatching.yml:2");
}

#[test]
fn consent_that_nobody_needs_is_found_and_consent_of_unknown_repositories_is_not() {
    let deploy = accepts("workflow: cd.yml, accept_refs: [main]");
    assert_snapshot!(findings(&[(DEPLOY, &deploy), ("acme/api/", "")]), @"warning[unused_consent] acme/deploy/dispatching.yml:4: no outbound rule of `acme/api` starts `cd.yml` by `ci.yml`");
    let alone = examine(&[(DEPLOY, &deploy)]);
    assert!(alone.findings.is_empty(), "{:?}", alone.findings);
    assert_eq!(alone.unknown, ["acme/api".parse().unwrap()].into());
    assert_snapshot!(edges(&alone), @"acme/api -> acme/deploy cd.yml: Unknown - acme/deploy/dispatching.yml:4");
    let twice = format!("{deploy}{}", deploy.replace("inbound:\n", ""));
    let api = wants("repository: deploy, workflow: cd.yml");
    assert_snapshot!(findings(&[(API, &api), (DEPLOY, &twice)]), @"warning[unused_consent] acme/deploy/dispatching.yml:7: an earlier rule accepts already what this one accepts from `acme/api` | the earlier one: acme/deploy/dispatching.yml:4");
}

#[test]
fn a_target_that_an_earlier_rule_has_is_shadowed() {
    let target = "repository: deploy, workflow: cd.yml";
    let api = format!("{}      - {{ {target} }}\n", wants(target));
    let deploy = accepts("workflow: cd.yml, accept_refs: [main]");
    assert_snapshot!(findings(&[(API, &api), (DEPLOY, &deploy)]), @"warning[shadowed_target] acme/api/dispatching.yml:5: `cd.yml` of `acme/deploy` is started by an earlier rule already | the earlier one: acme/api/dispatching.yml:4");
}

#[test]
fn too_many_targets_are_told_once() {
    let mut api = wants("repository: deploy, workflow: w0.yml");
    let mut deploy = accepts("workflow: w0.yml, accept_refs: [main]");
    for number in 1..30 {
        api.push_str(&format!("      - {{ repository: deploy, workflow: w{number}.yml }}\n"));
        deploy.push_str(&format!("      - {{ workflow: w{number}.yml, accept_refs: [main] }}\n"));
    }
    let found = examine(&[(API, &api), (DEPLOY, &deploy)]).findings;
    let told: Vec<_> = found.iter().map(|it| (it.problem.code.clone(), it.problem.span.line)).collect();
    assert_eq!(
        told.iter().filter(|(code, _)| *code == "too_many_targets").collect::<Vec<_>>(),
        [&("too_many_targets".into(), 29)]
    );
}

#[test]
fn a_file_with_errors_is_not_told_of_twice() {
    let api = wants("repository: deploy, workflow: cd.yml");
    assert_eq!(findings(&[(API, &api), (DEPLOY, "inbuond: []\n")]), "");
    let deploy = accepts("workflow: cd.yml, accept_refs: [main]");
    assert_eq!(findings(&[(API, "outbuond: []\n"), (DEPLOY, &deploy)]), "");
    let unknown = wants("repository: deploy, workflow: cd.yml, inputs: { a: '{{ source.shaa }}' }");
    let accepting = accepts("workflow: cd.yml, accept_refs: [main], accept_inputs: { a: { max_length: 9 } }");
    assert_eq!(findings(&[(API, &unknown), (DEPLOY, &accepting)]), "");
}

#[test]
fn a_value_that_is_accepted_by_name_alone_is_told_once_for_each_consent() {
    let sent = "inputs: { sha: '{{ source.sha }}', fixed: text }";
    let api = wants(&format!("repository: deploy, workflow: cd.yml, {sent}"));
    let deploy = accepts("workflow: cd.yml, accept_inputs: [sha, fixed], accept_refs: [main]");
    assert_snapshot!(findings(&[(API, &api), (DEPLOY, &deploy)]), @"warning[unconstrained_input] acme/deploy/dispatching.yml:4: `sha` of `acme/api` may have any value | sent here: acme/api/dispatching.yml:4");
}

#[test]
fn a_workflow_cannot_start_itself() {
    let api = wants("repository: api, workflow: ci.yml");
    assert_snapshot!(findings(&[(API, &api)]), @"error[self_dispatch] acme/api/dispatching.yml:4: `ci.yml` of `acme/api` cannot start itself");
}

#[test]
fn files_with_more_rules_than_are_examined_say_so_and_end() {
    let mut api = wants("repository: other, workflow: w.yml");
    (0..1_100).for_each(|number| api.push_str(&format!("      - {{ repository: r{number}, workflow: w.yml }}\n")));
    let examined = examine(&[(API, &api)]);
    assert_eq!(examined.findings.iter().map(|it| it.problem.code.as_ref()).collect::<Vec<_>>(), ["not_all_examined"]);
    assert_eq!(examined.edges.len(), 1_000);
}
