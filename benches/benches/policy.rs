//! What it costs to read a policy file, from bytes to a checked policy.
#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark")]

use std::fmt::Write as _;
use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use dispatch_core::name::Owner;
use dispatch_core::policy::Policy;

fn policy(c: &mut Criterion) {
    let owner: Owner = "acme".parse().unwrap();
    let mut group = c.benchmark_group("policy");
    for rules in [1, 10, 100, 1_000] {
        let file = file(rules);
        let checked = Policy::check(file.as_bytes(), &owner, "dispatching.yml");
        assert_eq!(checked.policy.unwrap().inbound().len(), rules);
        group.throughput(Throughput::Bytes(file.len() as u64));
        group.bench_with_input(BenchmarkId::new("checked, with places", rules), &file, |b, file| {
            b.iter(|| Policy::check(black_box(file.as_bytes()), &owner, "dispatching.yml"));
        });
        group.bench_with_input(BenchmarkId::new("for comparison: serde_yaml alone", rules), &file, |b, file| {
            b.iter(|| serde_yaml::from_str::<Plain>(black_box(file)).unwrap());
        });
    }
    group.finish();
}

/// The same file, as it would be read without checks and without places.
#[derive(serde::Deserialize)]
#[allow(dead_code, reason = "only its parsing is measured")]
struct Plain {
    inbound: Vec<PlainRule>,
}

#[derive(serde::Deserialize)]
#[allow(dead_code, reason = "only its parsing is measured")]
struct PlainRule {
    source: PlainSource,
    targets: Vec<PlainTarget>,
}

#[derive(serde::Deserialize)]
#[allow(dead_code, reason = "only its parsing is measured")]
struct PlainSource {
    repository: String,
    workflow: String,
    branches: Vec<String>,
}

#[derive(serde::Deserialize)]
#[allow(dead_code, reason = "only its parsing is measured")]
struct PlainTarget {
    workflow: String,
    accept_inputs: Vec<String>,
}

fn file(rules: usize) -> String {
    let mut file = String::from("inbound:\n");
    for rule in 0..rules {
        write!(
            file,
            "  - source:\n      repository: service-{rule}\n      workflow: ci.yml\n      branches: [main, \"release/*\"]\n    \
             targets:\n      - workflow: cd.yml\n        accept_inputs: [git_sha, environment]\n"
        )
        .unwrap();
    }
    file
}

criterion_group!(benches, policy);
criterion_main!(benches);
