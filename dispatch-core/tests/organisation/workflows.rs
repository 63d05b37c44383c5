//! What the target's workflows say.

use insta::assert_snapshot;

use super::*;

/// What is found where `api` and `deploy` agree on one target, and `deploy` has this workflow as `cd.yml`.
fn with_workflow(target: &str, accepted: &str, workflow: &str) -> String {
    findings(&[
        ("acme/api/dispatching.yml", &wants(&format!("repository: deploy, {target}"))),
        ("acme/deploy/dispatching.yml", &accepts(accepted)),
        ("acme/deploy/.github/workflows/cd.yml", workflow),
    ])
}

const CD: &str = "workflow: cd.yml";
const ACCEPTED: &str = "workflow: cd.yml, accept_refs: [main]";

#[test]
fn a_workflow_that_takes_what_is_sent_is_good() {
    let workflow = "on: { workflow_dispatch: { inputs: { SHA: { required: true } } } }";
    let found = with_workflow(
        &format!("{CD}, inputs: {{ sha: '{{{{ source.sha }}}}' }}"),
        "workflow: cd.yml, accept_refs: [main], accept_inputs: { sha: { pattern: sha } }",
        workflow,
    );
    assert_eq!(found, "");
}

#[test]
fn what_the_workflow_lacks_is_found() {
    assert_snapshot!(with_workflow("workflow: cd.yaml", "workflow: cd.yaml, accept_refs: [main]", "on: push"), @"error[workflow_not_found] acme/api/dispatching.yml:4: `acme/deploy` has no workflow `cd.yaml` | accepted here: acme/deploy/dispatching.yml:4");
    assert_snapshot!(with_workflow(CD, ACCEPTED, "on: push"), @"error[workflow_not_dispatchable] acme/api/dispatching.yml:4: `cd.yml` of `acme/deploy` has no `workflow_dispatch` | this workflow: acme/deploy/.github/workflows/cd.yml:1");
    assert_snapshot!(with_workflow("event: go", "event: go", "on: { repository_dispatch: { types: [gone] } }"), @"error[nobody_listens] acme/api/dispatching.yml:4: no workflow of `acme/deploy` listens to `go` | accepted here: acme/deploy/dispatching.yml:4");
}

#[test]
fn inputs_are_compared_with_what_the_workflow_declares() {
    let workflow = "on:\n  workflow_dispatch:\n    inputs:\n      sha: { required: true }\n      why:\n";
    assert_snapshot!(with_workflow(CD, ACCEPTED, workflow), @"error[missing_required_input] acme/api/dispatching.yml:4: `cd.yml` of `acme/deploy` requires `sha` | required here: acme/deploy/.github/workflows/cd.yml:4");
    let sends = format!("{CD}, inputs: {{ sha: a, wyh: b }}");
    let accepted = "workflow: cd.yml, accept_refs: [main], accept_inputs: [sha, wyh]";
    assert_snapshot!(with_workflow(&sends, accepted, workflow), @"error[undeclared_input] acme/api/dispatching.yml:4: `cd.yml` of `acme/deploy` does not declare `wyh` | what it declares: acme/deploy/.github/workflows/cd.yml:4");
    assert_snapshot!(with_workflow(&sends, accepted, "on: workflow_dispatch"), @"error[undeclared_input] acme/api/dispatching.yml:4: `cd.yml` of `acme/deploy` does not declare `sha`, `wyh` | what it declares: acme/deploy/.github/workflows/cd.yml:1");
}

#[test]
fn a_workflow_that_cannot_be_understood_lacks_nothing() {
    for workflow in ["on: [push", "on: *x", ""] {
        assert_eq!(with_workflow(CD, ACCEPTED, workflow), "", "{workflow}");
    }
}

#[test]
fn consent_of_unknown_repositories_is_compared_with_the_workflows_too() {
    let deploy = ("acme/deploy/dispatching.yml", &*accepts(ACCEPTED));
    assert_snapshot!(findings(&[deploy, ("acme/deploy/.github/workflows/", "")]), @"error[workflow_not_found] acme/deploy/dispatching.yml:4: `acme/deploy` has no workflow `cd.yml`");
}

/// What is found where a branch's name is sent, and pasted as `expression`.
fn pasting(sent: &str, accept: &str, expression: &str) -> Vec<String> {
    codes(&[
        (
            "acme/api/dispatching.yml",
            &wants(&format!("repository: deploy, event: go, payload: {{ branch: '{sent}' }}")),
        ),
        ("acme/deploy/dispatching.yml", &accepts(&format!("event: go, accept_payload: {{ branch: {accept} }}"))),
        (
            "acme/deploy/.github/workflows/cd.yml",
            &format!("on: repository_dispatch\njobs:\n  cd:\n    steps:\n      - run: echo ${{{{ {expression} }}}}\n"),
        ),
    ])
}

#[test]
fn what_a_stranger_chooses_does_not_reach_a_script() {
    let bad = ["stranger_value_in_script"];
    let branch = "{{ source.head_branch }}";
    let harmless = "{ pattern: branch }";
    assert_eq!(pasting(branch, harmless, "github.event.client_payload.branch"), bad);
    assert_eq!(pasting("x-{{ sender.login }}", "{ max_length: 50 }", "toJSON(github.event)"), bad);
    assert_eq!(pasting(branch, harmless, "github.event.client_payload.other"), [""; 0]);
    assert_eq!(pasting(branch, harmless, "inputs.branch"), [""; 0], "an event has no inputs");
    assert_eq!(pasting(branch, "{ one_of: [main, x] }", "github.event.client_payload.branch"), [""; 0]);
    let made_up_values_are_refused = ["consent_depends", "stranger_value_in_script"];
    assert_eq!(
        pasting(branch, "{ pattern: 'fix/**' }", "github.event.client_payload.branch"),
        made_up_values_are_refused
    );
    assert_eq!(pasting("{{ source.sha }}", "{ pattern: sha }", "github.event.client_payload.branch"), [""; 0]);
}

#[test]
fn the_place_in_the_script_is_named() {
    let found = with_workflow(
        &format!("{CD}, inputs: {{ branch: '{{{{ source.head_branch }}}}' }}"),
        "workflow: cd.yml, accept_refs: [main], accept_inputs: { branch: { pattern: branch } }",
        "on: {workflow_dispatch: {inputs: {branch: }}}\njobs:\n  a:\n    steps:\n      - run: |\n          b=${{ inputs.branch }}\n",
    );
    assert_snapshot!(found, @"error[stranger_value_in_script] acme/api/dispatching.yml:4: `branch` has the value of `source.head_branch`, which a stranger can choose, and `cd.yml` of `acme/deploy` pastes it into a script | pasted here: acme/deploy/.github/workflows/cd.yml:6");
}
