//! The forms that the language promises, whole.

use dispatch_core::policy::{EnvironmentAction, Source, Start};

use super::check;

/// The first form: existing files are read as ever.
const FIRST: &str = r#"
outbound:
  - source:
      workflow: ci.yml
    targets:
      - repository: my-target-repo          # a bare name means: the owner of this file
        workflow: cd.yml
        ref: release                        # optional: branch or tag
        inputs:                             # optional
          git_sha: "{{ source.sha }}"
          environment: production

inbound:
  - source:
      repository: my-source-repo
      workflow: ci.yml
    targets:
      - workflow: cd.yml
        accept_inputs: [git_sha, environment]
"#;

/// What goes beyond it.
const ALL: &str = r#"
outbound:
  - source:
      workflow: ci.yml
      conclusions: [success]
      branches: [main, "release/*"]
      events: [push]                        # what started the run
    targets:
      - { repository: my-target-repo, workflow: cd.yml }

  - source:
      pull_request: [opened, synchronize, reopened]
      base: [main]
    targets:
      - repository: infra
        event: preview-create-from-api      # repository_dispatch
        payload:
          api_pr: "{{ pr.number }}"
          api_sha: "{{ pr.head_sha }}"
          trigger: "{{ pr.action }}"

  - source: { pull_request: [closed] }
    targets:
      - repository: infra
        event: preview-teardown-from-api
        payload: { api_pr: "{{ pr.number }}", action: "{{ pr.action }}", merged: "{{ pr.merged }}" }

  - source:
      command: /test-deploy                 # first line of a pull request comment
      permission: write                     # default; read from GitHub, never from author_association
    targets:
      - repository: cms_infrastructure
        event: deploy-ephemeral
        environment: create                 # creates or updates this pull request's environment
        payload:
          pr_number: "{{ pr.number }}"
          branch: "{{ pr.head_branch }}"
          base_branch: "{{ pr.base_branch }}"
          commit_sha: "{{ pr.head_sha }}"
          sender: "{{ sender.login }}"

  - source: { pull_request: [closed] }
    targets:
      - repository: cms_infrastructure
        event: pr-closed
        environment: destroy
        payload: { pr_number: "{{ pr.number }}", base_branch: "{{ pr.base_branch }}", merged: "{{ pr.merged | json }}" }

environments:                               # in the repository whose pull requests get environments
  - base: dev
    name: "pr-{{ pr.number }}"              # may use pr.number, never a branch
    deploy: "{{ pr.head_branch }}"
    url: "https://pr-{{ pr.number }}-testing.example.com"
    ttl: 72h
  - base: main
    name: staging                           # no pr.number: shared
    deploy: dev
    url: "https://staging.example.com"

inbound:
  - source: { repository: api, pull_request: [opened, synchronize, reopened] }
    targets:
      - event: preview-create-from-api
        accept_payload:                     # consent on values, not only on names
          api_pr: { pattern: number }       # 1-99999
          api_sha: { pattern: sha }         # 7-40 lowercase hex digits
          trigger: { one_of: [opened, synchronize, reopened] }
  - source: { repository: my-source-repo, workflow: ci.yml, branches: [main, "release/*"] }
    targets:
      - workflow: cd.yml
        accept_refs: [main, "release/*"]    # absent: any, and lint warns
"#;

#[test]
fn a_file_of_the_first_form_means_what_it_ever_meant() {
    let checked = check(FIRST.as_bytes());
    let codes: Vec<_> = checked.diagnostics.problems.iter().map(|problem| problem.code.as_ref()).collect();
    assert_eq!(codes, ["inbound_without_accept_refs"]);
    let policy = checked.policy.unwrap();
    let target = &policy.outbound()[0].targets[0];
    assert_eq!(target.start, Start::Workflow("cd.yml".parse().unwrap()));
    assert_eq!(target.git_ref.as_ref().unwrap().as_str(), "release");
    assert_eq!((target.environment, target.required, &target.report), (None, None, &None));
    let accepted = &policy.inbound()[0].targets[0].accept_inputs;
    assert!(accepted.values().all(|accept| accept.refuses("anything; at all").is_none()));
}

#[test]
fn every_form_of_the_language_is_read_without_a_complaint() {
    let checked = check(ALL.as_bytes());
    assert_eq!(checked.diagnostics.render(ALL), "");
    let policy = checked.policy.unwrap();
    let kinds: Vec<_> = policy
        .outbound()
        .iter()
        .map(|rule| match &rule.source {
            Source::WorkflowRun(_) => "run",
            Source::PullRequest(_) => "pull request",
            Source::Command(_) => "command",
            _ => "?",
        })
        .collect();
    assert_eq!(kinds, ["run", "pull request", "pull request", "command", "pull request"]);
    let actions: Vec<_> = policy.outbound().iter().map(|rule| rule.targets[0].environment).collect();
    let expected = [None, None, None, Some(EnvironmentAction::Create), Some(EnvironmentAction::Destroy)];
    assert_eq!(actions, expected);
    assert!(policy.outbound()[4].targets[0].inputs["merged"].is_json());
    let shared: Vec<_> = policy.environments().iter().map(|environment| environment.is_shared()).collect();
    assert_eq!(shared, [false, true]);
    let accepted = &policy.inbound()[0].targets[0].accept_inputs;
    for (name, good, bad) in [("api_pr", "7", "0"), ("api_sha", "0123abc", "main"), ("trigger", "opened", "closed")] {
        assert_eq!(accepted[name].refuses(good), None, "{name}");
        assert!(accepted[name].refuses(bad).is_some(), "{name}");
    }
}

#[test]
fn what_the_readme_shows_can_be_copied() {
    let readme = include_str!("../../../README.md");
    let blocks = readme.split("```yaml\n").skip(1).filter_map(|block| block.split("```").next());
    let files: Vec<_> = blocks.filter(|block| block.starts_with("outbound:")).collect();
    assert_eq!(files.len(), 2);
    for file in files {
        assert_eq!(check(file.as_bytes()).diagnostics.render(file), "");
    }
}

#[test]
fn the_examples_have_no_problem() {
    for file in [
        include_str!("../../../examples/command/acme/cms/dispatching.yml"),
        include_str!("../../../examples/command/acme/cms_infrastructure/dispatching.yml"),
        include_str!("../../../examples/preview/acme/api/dispatching.yml"),
        include_str!("../../../examples/preview/acme/infra/dispatching.yml"),
        include_str!("../../../examples/stack/acme/product/dispatching.yml"),
        include_str!("../../../examples/stack/acme/product_infrastructure/dispatching.yml"),
    ] {
        assert_eq!(check(file.as_bytes()).diagnostics.render(file), "");
    }
}
