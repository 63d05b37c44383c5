//! Completed workflow runs.

use super::{all_pass, run};

const API: &str = r#"
outbound:
  - source: { workflow: ci.yml }
    targets:
      - { repository: deploy, workflow: cd.yml, inputs: { git_sha: "{{ source.sha }}", run: "{{ source.run_id }}" } }
  - source: { workflow: release.yml, branches: ["release/*"], conclusions: [success, failure], events: [issue_comment, push] }
    targets:
      - { repository: deploy, workflow: cd.yml, ref: main }
  - source: { workflow: forks.yml, forks: true }
    targets:
      - { repository: deploy, workflow: cd.yml, ref: main }
"#;
const DEPLOY: &str = "
inbound:
  - source: { repository: api, workflow: ci.yml }
    targets:
      - { workflow: cd.yml, accept_inputs: [git_sha, run], accept_refs: [main] }
  - source: { repository: api, workflow: release.yml, branches: [release/*], conclusions: [failure], events: [issue_comment] }
    targets:
      - { workflow: cd.yml, accept_refs: [main] }
  - source: { repository: api, workflow: forks.yml, forks: true }
    targets:
      - { workflow: cd.yml, accept_refs: [main] }
";
const FILES: [(&str, &str); 2] = [("acme/api", API), ("acme/deploy", DEPLOY)];

#[test]
fn what_is_left_out_is_a_success_on_the_default_branch() {
    all_pass(
        &FILES,
        &[
            "when: { repository: acme/api, workflow: ci.yml }, then: [{ repository: acme/deploy, workflow: cd.yml }]",
            "when: { repository: acme/api, workflow: ci.yml, branch: main, conclusion: success, event: push, fork: false },
             then: [{ repository: ACME/Deploy, workflow: .github/workflows/cd.yml, ref: main }]",
            "when: { repository: acme/api, workflow: ci.yml, default_branch: trunk }, then: [],
             denied: [{ repository: acme/deploy, workflow: cd.yml, reason: ref_not_accepted }]",
        ],
    );
}

#[test]
fn the_inputs_are_compared_exactly_where_they_are_given() {
    let sha = "3484a3fb816e0859fd6e1cea078d76385ff50625";
    let when = "when: { repository: acme/api, workflow: ci.yml, run_id: 30 }";
    all_pass(
        &FILES,
        &[
            &format!(
                "{when}, then: [{{ repository: acme/deploy, workflow: cd.yml, inputs: {{ git_sha: '{{{{ sha }}}}', run: 30 }} }}]"
            ),
            &format!(
                "{when}, then: [{{ repository: acme/deploy, workflow: cd.yml, inputs: {{ git_sha: '{{{{sha}}}}', run: '{{{{ run_id }}}}' }} }}]"
            ),
            &format!(
                "when: {{ repository: acme/api, workflow: ci.yml, sha: {sha} }},
                 then: [{{ repository: acme/deploy, workflow: cd.yml, inputs: {{ git_sha: {sha}, run: '1' }} }}]"
            ),
        ],
    );
}

#[test]
fn every_filter_of_a_run_is_asked() {
    all_pass(
        &FILES,
        &[
            "when: { repository: acme/api, workflow: ci.yml, branch: dev }, then: [], skipped: source_not_default_branch",
            "when: { repository: acme/api, workflow: ci.yml, conclusion: failure }, then: [], skipped: source_conclusion_not_allowed",
            "when: { repository: acme/api, workflow: ci.yml, event: issue_comment }, then: [], skipped: source_event_not_allowed",
            "when: { repository: acme/api, workflow: ci.yml, fork: true }, then: [], skipped: source_from_fork",
            "when: { repository: acme/api, workflow: other.yml }, then: [], skipped: no_rule_matched",
            "when: { repository: acme/nothing, workflow: ci.yml }, then: [], skipped: source_policy_missing",
            "when: { repository: acme/api, workflow: forks.yml, fork: true }, then: [{ repository: acme/deploy, workflow: cd.yml, inputs: {} }]",
        ],
    );
}

#[test]
fn an_old_run_that_is_run_again_starts_nothing_once_a_newer_one_has() {
    all_pass(
        &FILES,
        &[
            "when: { repository: acme/api, workflow: ci.yml, attempt: 2 }, then: [{ repository: acme/deploy, workflow: cd.yml }]",
            "when: { repository: acme/api, workflow: ci.yml, attempt: 2, newer_run: true }, then: [],
             denied: [{ repository: acme/deploy, workflow: cd.yml, reason: source_run_superseded }]",
        ],
    );
}

#[test]
fn the_operator_s_limits_are_part_of_the_file() {
    let told = run(
        &FILES,
        "
limits:
  ENFORCE_SOURCE_DEFAULT_BRANCH: false
  ALLOWED_SOURCE_CONCLUSIONS: success,failure
tests:
  - name: a failed release
    when: { repository: acme/api, workflow: release.yml, branch: release/1, conclusion: failure, event: issue_comment }
    then: [{ repository: acme/deploy, workflow: cd.yml, ref: main }]
  - name: a release that succeeded
    when: { repository: acme/api, workflow: release.yml, branch: release/1, event: issue_comment }
    then: []
    denied: [{ repository: acme/deploy, workflow: cd.yml, reason: inbound_not_authorized }]
",
    );
    assert_eq!(told, "ok a failed release\nok a release that succeeded\n");
    let told = run(
        &FILES,
        "
limits: { OWNER_ALLOWLIST: octo-org }
tests:
  - { name: nobody is served, when: { repository: acme/api, workflow: ci.yml }, then: [], skipped: source_owner_not_allowed }
",
    );
    assert_eq!(told, "ok nobody is served\n");
}

#[test]
fn a_pinned_repository_is_the_one_with_the_id() {
    let pinned = DEPLOY
        .replace("repository: api, workflow: ci.yml", "repository: api, repository_id: 1296269, workflow: ci.yml");
    let files = [("acme/api", API), ("acme/deploy", pinned.as_str())];
    all_pass(
        &files,
        &[
            "when: { repository: acme/api, repository_id: 1296269, workflow: ci.yml },
             then: [{ repository: acme/deploy, workflow: cd.yml }]",
            "when: { repository: acme/api, workflow: ci.yml }, then: [],
             denied: [{ repository: acme/deploy, workflow: cd.yml, reason: repository_identity_changed }]",
        ],
    );
}
