//! What a `dispatching.yml` means, and what people read when it means nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::time::Duration;

use dispatch_core::policy::{Checked, MAX_BYTES, Policy};

fn check(text: &str) -> Checked {
    Policy::check(text.as_bytes(), &"acme".parse().unwrap(), "dispatching.yml")
}

/// What people read about a file.
fn told(text: &str) -> String {
    check(text).diagnostics.render(text)
}

#[test]
fn the_example_is_complete_and_right() {
    let text = include_str!("../examples/dispatching.yml");
    let checked = check(text);
    assert_eq!(told(text), "");
    let policy = checked.policy.unwrap();
    insta::assert_snapshot!(format!("{:?}", policy.outbound()[0]), @r#"OutboundRule { source: WorkflowRun(WorkflowRunSource { workflow: WorkflowFile(ci.yml), conclusions: Some({Success}), branches: Some(PatternSet { patterns: [Pattern(main), Pattern(release/*)] }), events: Some({"push", "workflow_dispatch"}), forks: false, reruns: Latest }), targets: [Target { repository: Repository(acme/web-deploy), repository_id: Some(RepositoryId(724712001)), start: Workflow(WorkflowFile(deploy.yml)), git_ref: Some(GitRef(main)), inputs: {"environment": Template("production"), "git_sha": Template("{{ source.sha }}"), "reason": Template("run {{ source.run_id }} of {{ source.repo }}")}, environment: None, required: None, report: None, line: 24 }, Target { repository: Repository(partner-org/notifications), repository_id: None, start: Workflow(WorkflowFile(announce.yml)), git_ref: None, inputs: {}, environment: None, required: None, report: None, line: 36 }], line: 7 }"#);
    insta::assert_snapshot!(format!("{:?}", policy.inbound()), @r#"[InboundRule { repository: Repository(acme/web), repository_id: Some(RepositoryId(724712000)), source: WorkflowRun(WorkflowRunSource { workflow: WorkflowFile(ci.yml), conclusions: Some({Success}), branches: Some(PatternSet { patterns: [Pattern(main), Pattern(release/*)] }), events: Some({"push"}), forks: false, reruns: Latest }), targets: [InboundTarget { start: Workflow(WorkflowFile(deploy.yml)), accept_inputs: {"environment": Accept { pattern: None, one_of: None, max_length: None }, "git_sha": Accept { pattern: None, one_of: None, max_length: None }, "reason": Accept { pattern: None, one_of: None, max_length: None }}, accept_refs: Some(PatternSet { patterns: [Pattern(main)] }), line: 60 }], line: 48 }]"#);
}

#[test]
#[expect(clippy::disallowed_types, clippy::disallowed_methods, reason = "how long it takes is the question")]
fn ten_thousands_of_unknown_variables_in_one_value_do_not_take_long_to_find() {
    let head = "outbound:\n  - source: {workflow: ci.yml}\n    targets:\n      - {repository: a, workflow: b.yml, inputs: {x: \"";
    let file = format!("{head}{}\"}}}}\n", "{{x}}".repeat((MAX_BYTES - 1_000) / 5));
    let started = std::time::Instant::now();
    let checked = check(&file);
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    assert_eq!(checked.diagnostics.problems.len(), 101);
}
