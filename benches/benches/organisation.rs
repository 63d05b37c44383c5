//! What it costs to read and to lint all policies of an organisation.
#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use dispatch_core::guardrail::Guardrails;
use dispatch_core::name::Repository;
use dispatch_core::organisation::{Organisation, PolicyText, RepositoryFiles, widest_limits};
use dispatch_core::policy::PolicyPath;

const REPOSITORIES: usize = 1_000;

fn organisation(c: &mut Criterion) {
    let files: Vec<_> = (0..REPOSITORIES).map(file).collect();
    let guardrails = Guardrails::from_settings(&widest_limits()).unwrap();
    let loaded = load(&files);
    let examined = loaded.examine(&guardrails);
    assert_eq!((examined.edges.len(), examined.findings.len()), (3 * REPOSITORIES, 0), "everybody agrees");

    let mut group = c.benchmark_group("organisation of 1000 repositories");
    group.sample_size(10);
    group.bench_function("load", |b| b.iter(|| load(black_box(&files))));
    group.bench_function("lint, once loaded", |b| b.iter(|| black_box(&loaded).examine(&guardrails)));
    group.finish();
}

fn load(files: &[(Repository, String)]) -> Organisation {
    let mut organisation = Organisation::default();
    for (repository, text) in files {
        let policy = PolicyText::read(repository, PolicyPath::Root, text.as_bytes(), "dispatching.yml");
        let files = RepositoryFiles { folder: repository.to_string(), policy: Some(policy), workflows: None };
        organisation.add(repository.clone(), files);
    }
    organisation
}

/// Each repository starts something in the next three, and is started by the three before; the first ones begin it all.
fn file(number: usize) -> (Repository, String) {
    let mut text = format!("outbound:\n  - source:\n      workflow: build-{number}.yml\n    targets:\n");
    for next in 1..=3 {
        let target = (number + next) % REPOSITORIES;
        text.push_str(&format!(
            "      - repository: service-{target}\n        workflow: deploy.yml\n        inputs:\n          git_sha: \"{{{{ source.sha }}}}\"\n"
        ));
    }
    text.push_str("inbound:\n");
    for before in 1..=3 {
        let source = (number + REPOSITORIES - before) % REPOSITORIES;
        text.push_str(&format!(
            "  - source:\n      repository: service-{source}\n      workflow: build-{source}.yml\n    targets:\n      - workflow: deploy.yml\n        accept_inputs: {{git_sha: {{pattern: sha}}}}\n        accept_refs: [main]\n"
        ));
    }
    (format!("acme/service-{number}").parse().unwrap(), text)
}

criterion_group!(benches, organisation);
criterion_main!(benches);
