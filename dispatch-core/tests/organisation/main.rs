#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
//! All repositories of an organisation at once: which edges there are, and what is wrong between them.

mod edges;
mod graphs;
mod loops;
mod pictures;
mod workflows;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use dispatch_core::guardrail::Guardrails;
use dispatch_core::name::{Repository, WorkflowFile};
use dispatch_core::organisation::{Edge, Examination, Organisation, PolicyText, RepositoryFiles, widest_limits};
use dispatch_core::policy::PolicyPath;
use dispatch_core::workflow::Workflow;

/// Examines files by their paths, such as `acme/api/dispatching.yml`. A path that ends in `/` is a repository without a policy.
fn examine(files: &[(&str, &str)]) -> Examination {
    let mut repositories: BTreeMap<Repository, RepositoryFiles> = BTreeMap::new();
    for (path, text) in files {
        let (owner, rest) = path.split_once('/').unwrap();
        let (name, file) = rest.split_once('/').unwrap();
        let repository: Repository = format!("{owner}/{name}").parse().unwrap();
        let folder = repository.to_string();
        let empty = RepositoryFiles { folder, policy: None, workflows: None };
        let files = repositories.entry(repository.clone()).or_insert(empty);
        if let Some(workflow) = file.strip_prefix(WorkflowFile::FOLDER) {
            let workflows = files.workflows.get_or_insert_default();
            if !workflow.is_empty() {
                workflows.insert(workflow.parse().unwrap(), Workflow::read(text.as_bytes()));
            }
        } else if let Some(place) = PolicyPath::ALL.into_iter().find(|place| place.as_str() == file) {
            files.policy = Some(PolicyText::read(&repository, place, text.as_bytes(), path));
        } else {
            assert_eq!(file, "", "{path}");
        }
    }
    let mut organisation = Organisation::default();
    repositories.into_iter().for_each(|(name, files)| organisation.add(name, files));
    organisation.examine(&Guardrails::from_settings(&widest_limits()).unwrap())
}

/// The findings, one on a line: code, place, message, the other place.
fn findings(files: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for found in examine(files).findings {
        let problem = &found.problem;
        let severity = format!("{:?}", problem.severity).to_lowercase();
        write!(text, "{severity}[{}] {}:{}: {}", problem.code, found.file, problem.span.line, problem.message).unwrap();
        if let Some(other) = &problem.elsewhere {
            write!(text, " | {}: {}:{}", other.label, other.file, other.line).unwrap();
        }
        text.push('\n');
    }
    text
}

/// The codes of the findings.
fn codes(files: &[(&str, &str)]) -> Vec<String> {
    examine(files).findings.iter().map(|found| found.problem.code.to_string()).collect()
}

/// The edges, one on a line.
fn edges(examination: &Examination) -> String {
    let line = |edge: &Edge| {
        let place = |place: &Option<_>| place.as_ref().map_or("-".to_owned(), ToString::to_string);
        let (outbound, inbound) = (place(&edge.outbound), place(&edge.inbound));
        let reason = edge.reason.map_or("", |reason| reason.code());
        format!("{} -> {} {}: {:?} {outbound} {inbound} {reason}", edge.from, edge.to, edge.start, edge.agreement)
    };
    examination.edges.iter().map(|edge| line(edge).trim_end().to_owned() + "\n").collect()
}

/// An outbound rule about `ci.yml`, for one target.
fn wants(target: &str) -> String {
    format!("outbound:\n  - source: {{ workflow: ci.yml }}\n    targets:\n      - {{ {target} }}\n")
}

/// An inbound rule about `ci.yml` of `api`, for one target.
fn accepts(target: &str) -> String {
    format!("inbound:\n  - source: {{ repository: api, workflow: ci.yml }}\n    targets:\n      - {{ {target} }}\n")
}

#[test]
fn no_part_of_a_file_is_a_panic() {
    let api = wants("repository: deploy, workflow: cd.yml, inputs: { a: '{{ source.head_branch }}' }");
    let deploy = accepts("workflow: cd.yml, accept_inputs: [a], accept_refs: [main]");
    let workflow =
        "on: {workflow_dispatch: {inputs: {a: {required: true}}}}\njobs: {j: {steps: [{run: '${{ inputs.a }}'}]}}";
    let whole = [
        ("acme/api/dispatching.yml", &*api),
        ("acme/deploy/dispatching.yml", &*deploy),
        ("acme/deploy/.github/workflows/cd.yml", workflow),
    ];
    for (changed, (_, text)) in whole.iter().enumerate() {
        for at in 0..=text.len() {
            for part in <[&str; 2]>::from(text.split_at(at)) {
                let mut files = whole;
                files[changed].1 = part;
                let examined = examine(&files);
                let drawn = [dispatch_core::graph::mermaid(&examined), dispatch_core::graph::dot(&examined)];
                assert!(drawn.iter().all(|drawn| drawn.len() < 1_000));
            }
        }
    }
}
