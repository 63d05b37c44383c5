//! Pull requests, and the environments that they hold.

use super::all_pass;

const API: &str = r#"
outbound:
  - source: { pull_request: [opened, synchronize], base: [main], draft: false }
    targets:
      - repository: infra
        event: create
        environment: create
        payload: { pr: "{{ pr.number | json }}", branch: "{{ pr.head_branch }}", by: "{{ sender.login }}", url: "{{ env.url }}" }
  - source: { pull_request: [closed] }
    targets:
      - repository: infra
        event: destroy
        environment: destroy
        payload: { env: "{{ env.name }}", base: "{{ env.base }}", merged: "{{ pr.merged | json }}" }
environments:
  - { base: main, name: "pr-{{ pr.number }}", url: "https://pr-{{ pr.number }}.example.com" }
"#;
const INFRA: &str = r#"
inbound:
  - source: { repository: api, pull_request: [opened, synchronize], base: [main] }
    targets:
      - event: create
        accept_payload: { pr: { pattern: number }, branch: { pattern: branch }, by: { pattern: login }, url: {} }
  - source: { repository: api, pull_request: [closed] }
    targets:
      - { event: destroy, accept_payload: [env, base, merged] }
"#;
const FILES: [(&str, &str); 2] = [("acme/api", API), ("acme/infra", INFRA)];

#[test]
fn what_is_sent_has_its_json_type() {
    all_pass(
        &FILES,
        &["when: { repository: acme/api, pull_request: opened, number: 7, head_branch: feature/x, sender: alice },
           then: [{ repository: acme/infra, event: create,
                    payload: { pr: 7, branch: feature/x, by: alice, url: 'https://pr-{{ number }}.example.com' } }]"],
    );
}

#[test]
fn every_filter_of_a_pull_request_is_asked() {
    all_pass(
        &FILES,
        &[
            "when: { repository: acme/api, pull_request: opened, base: dev }, then: [], skipped: source_branch_not_matched",
            "when: { repository: acme/api, pull_request: opened, draft: true }, then: [], skipped: source_draft_not_matched",
            "when: { repository: acme/api, pull_request: opened, fork: true }, then: [], skipped: source_from_fork",
            "when: { repository: acme/api, pull_request: reopened }, then: [], skipped: no_rule_matched",
            "when: { repository: acme/api, pull_request: opened, head_branch: '$(id)' }, then: [],
             denied: [{ repository: acme/infra, event: create, reason: value_not_accepted }]",
        ],
    );
}

#[test]
fn what_is_destroyed_is_what_the_pull_request_holds() {
    let held = "{ repository: acme/infra, name: pr-7 }";
    all_pass(
        &FILES,
        &[
            "when: { repository: acme/api, pull_request: closed, number: 7 }, then: [],
             denied: [{ repository: acme/infra, event: destroy, reason: environment_not_held }]",
            &format!(
                "when: {{ repository: acme/api, pull_request: closed, merged: true, number: 7, environments: [{held}] }},
                 then: [{{ repository: acme/infra, event: destroy, payload: {{ env: pr-7, base: main, merged: true }} }}]"
            ),
            "when: { repository: acme/api, pull_request: closed, number: 7, base: dev,
                     environments: [{ repository: acme/infra, name: staging, base: main, held_by: [7, 8] }] },
             then: [],
             denied: [{ repository: acme/infra, event: destroy, reason: environment_still_held }]",
        ],
    );
}

#[test]
fn a_pull_request_with_several_environments_ends_all_of_them() {
    let when = "when: { repository: acme/api, pull_request: closed, environments: [
                  { repository: acme/infra, name: one }, { repository: acme/infra, name: two, base: dev }] }";
    let named = |name: &str, base: &str| {
        format!("{{ repository: acme/infra, event: destroy, payload: {{ env: {name}, base: {base}, merged: false }} }}")
    };
    all_pass(
        &FILES,
        &[
            &format!("{when}, then: [{}, {}]", named("two", "dev"), named("one", "main")),
            &format!("{when}, then: [{{ repository: acme/infra, event: destroy }}, {}]", named("one", "main")),
            &format!("{when}, then: [{{ repository: acme/infra, event: destroy }}, {}]", named("two", "dev")),
        ],
    );
}
