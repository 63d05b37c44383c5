//! Small files that have every key at least once.

/// One for each kind of source, one for what is accepted, one for environments, and one for limits.
pub(crate) const FILES: [&str; 7] = [
    r#"
outbound:
  - source: { workflow: ci.yml, conclusions: [success], branches: [main], events: [push], reruns: any, forks: true }
    targets:
      - repository: web
        repository_id: 7
        workflow: cd.yml
        ref: release
        inputs: { git_sha: "{{ source.sha }}" }
        required: true
        report: [check, issue]
"#,
    r#"
outbound:
  - source: { pull_request: [opened], base: main, draft: false, forks: false }
    targets:
      - { repository: acme/infra, event: preview, payload: { number: "{{ pr.number | json }}" }, environment: destroy }
"#,
    r#"
outbound:
  - source: { command: /deploy, permission: acme/ops, base: [main] }
    targets:
      - { repository: infra, event: preview, payload: { name: "{{ comment.id }}" }, report: [] }
"#,
    r#"
outbound:
  - source: { command: /deploy, argument: { pattern: "v*", one_of: [v1], max_length: 9 } }
    targets:
      - { repository: infra, workflow: a.yml, inputs: { to: "{{ command.argument }}" }, environment: create }
environments: [{ name: staging }]
"#,
    r#"
inbound:
  - source: { repository: api, repository_id: 7, workflow: ci.yml, branches: ["release/*"] }
    targets:
      - { workflow: cd.yml, accept_inputs: [git_sha], accept_refs: [main] }
  - source: { repository: acme/api, command: /deploy, permission: author, base: main }
    targets:
      - { event: preview, accept_payload: { number: { pattern: number }, to: {} } }
"#,
    r#"
environments:
  - base: dev
    name: pr-{{ pr.number }}
    deploy: "{{ pr.head_branch }}"
    url: https://pr-{{ pr.number }}.example.com
    links: { Admin panel: "https://{{ env.name }}.example.com" }
    cleanup: do it by hand
    ttl: 72h
"#,
    r#"
limits:
  source_repositories: [api, "web-*", acme/*]
  source_workflows: [ci.yml, "release-*.yml"]
  target_repositories: ["*", partner/deploy]
  command_repositories: [api]
  conclusions: [success]
  default_branch_only: true
  forks: false
  max_targets: 5
  max_chain_depth: 2
  max_edge_rate: 20
  default_ref: release
"#,
];
