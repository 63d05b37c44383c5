//! What a decision costs once the policies are loaded: it must not matter how many rules are about others.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "a benchmark")]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use dispatch_core::decide::{
    Answers, CommitOnBranch, Decided, Identity, Known, PolicyAnswer, PolicyFile, decide, decide_with,
};
use dispatch_core::event::Event;
use dispatch_core::guardrail::Guardrails;
use dispatch_core::name::{Branch, CommitSha, Repository, RepositoryId};
use dispatch_core::policy::{
    Accept, InboundRule, InboundTarget, OutboundRule, Policy, PolicyPath, Reruns, Source, Start, Target,
    WorkflowRunSource,
};
use dispatch_core::template::Template;
use dispatch_core::webhook::{Webhook, parse};

fn decisions(c: &mut Criterion) {
    let event = event();
    let settings = BTreeMap::from([("OWNER_ALLOWLIST".to_owned(), "acme".to_owned())]);
    let guardrails = Guardrails::from_settings(&settings).unwrap();
    let mut group = c.benchmark_group("decide");
    // Rules of the whole organisation: so many in each of a thousand repositories, or in the one that is asked.
    for (name, targets, repositories, rules) in [
        ("1 target, 10 rules", 1, 1, 10),
        ("1 target, 1000000 rules", 1, 1_000, 1_000),
        ("25 targets, 250 rules", 25, 25, 10),
        ("25 targets, 1000000 rules", 25, 1_000, 1_000),
    ] {
        let mut files = Files::new(event.repository.id, targets, repositories, rules);
        assert_eq!(decide_with(&event, &guardrails, &mut files).allowed().count(), targets, "all are allowed");
        group.bench_function(name, |b| b.iter(|| decide_with(black_box(&event), &guardrails, &mut files)));
        // A service has the answers at hand when it decides for the last time.
        let known = files.known(&event, &guardrails);
        let name = format!("{name}, all known");
        group.bench_function(name, |b| b.iter(|| decide(black_box(&event), &known, &guardrails)));
    }
    let rules: Vec<_> = (0..100_000).map(|other| accepts(&format!("acme/other-{other}"))).collect();
    group.bench_function("for comparison: a scan of 100000 rules", |b| {
        b.iter(|| rules.iter().filter(|rule| rule.repository == black_box(&event).repository.name).count());
    });
    group.finish();
}

/// Policies in memory, as a running service holds them.
struct Files(BTreeMap<Repository, PolicyAnswer>);

impl Files {
    /// `acme/api` starts something in so many repositories. There are some more, and each has so many inbound rules.
    fn new(source_id: RepositoryId, targets: usize, repositories: usize, rules: usize) -> Self {
        let target = |number: usize| format!("acme/deploy-{number}").parse::<Repository>().unwrap();
        let outbound =
            OutboundRule { source: source(), targets: (0..targets).map(|n| sends(target(n))).collect(), line: 2 };
        let policy = Policy::new(vec![outbound], Vec::new());
        let mut files = BTreeMap::from([("acme/api".parse().unwrap(), found(source_id, policy))]);
        let others = (1..rules).map(|other| accepts(&format!("acme/other-{other}")));
        let inbound = others.chain([accepts("acme/api")]).collect();
        // All agree by the same lines: how many rules there are counts, not whether they are alike.
        let accepting = found(RepositoryId(1), Policy::new(Vec::new(), inbound));
        files.extend((0..repositories).map(|number| (target(number), accepting.clone())));
        Self(files)
    }

    /// All answers that the decision asks for.
    fn known(&mut self, event: &Event, guardrails: &Guardrails) -> Known {
        let mut known = Known::default();
        while let Decided::Need(lookups) = decide(event, &known, guardrails) {
            lookups.into_iter().for_each(|lookup| known.look_up(lookup, self));
        }
        known
    }
}

impl Answers for Files {
    fn policy(&mut self, repository: &Repository) -> PolicyAnswer {
        let nobody = PolicyAnswer { repository: None, file: PolicyFile::Absent };
        self.0.get(repository).cloned().unwrap_or(nobody)
    }

    fn commit_on_branch(&mut self, _: &Repository, _: &Branch, _: &CommitSha) -> CommitOnBranch {
        CommitOnBranch::Proven
    }
}

fn found(id: RepositoryId, policy: Policy) -> PolicyAnswer {
    PolicyAnswer {
        repository: Some(Identity::Verified { id, private: false }),
        file: PolicyFile::Found { path: PolicyPath::Root, policy: Arc::new(policy) },
    }
}

fn source() -> Source {
    Source::WorkflowRun(WorkflowRunSource {
        workflow: "ci.yml".parse().unwrap(),
        conclusions: None,
        branches: None,
        events: None,
        forks: false,
        reruns: Reruns::Latest,
    })
}

fn sends(repository: Repository) -> Target {
    Target {
        repository,
        repository_id: None,
        start: Start::Workflow("cd.yml".parse().unwrap()),
        git_ref: None,
        inputs: BTreeMap::from([("git_sha".to_owned(), Template::parse("{{ source.sha }}").unwrap())]),
        environment: None,
        required: None,
        report: None,
        line: 5,
    }
}

fn accepts(repository: &str) -> InboundRule {
    InboundRule {
        repository: repository.parse().unwrap(),
        repository_id: None,
        source: source(),
        targets: vec![InboundTarget {
            start: Start::Workflow("cd.yml".parse().unwrap()),
            accept_inputs: BTreeMap::from([("git_sha".to_owned(), Accept::any())]),
            accept_refs: None,
            line: 6,
        }],
        line: 2,
    }
}

fn event() -> Event {
    let webhook = dispatch_benches::completed_run("2026-01-02T03:04:05Z".parse().unwrap()).unwrap();
    match parse(&webhook.event, &webhook.body).unwrap() {
        Webhook::Event(event) => *event,
        other => panic!("no event: {other:?}"),
    }
}

criterion_group!(benches, decisions);
criterion_main!(benches);
