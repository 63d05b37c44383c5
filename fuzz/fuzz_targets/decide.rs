//! Arbitrary rules on both sides and an arbitrary run: the decision ends, asks nothing twice, and allows nothing that is
//! not written down on both sides.
#![no_main]

use std::collections::BTreeMap;
use std::sync::Arc;

use dispatch_core::chain::{Chain, Place};
use dispatch_core::decide::{
    CommitOnBranch, Decided, Edge, Identity, Known, Lookup, Plan, PolicyAnswer, PolicyFile, decide,
};
use dispatch_core::diagnostic::Diagnostics;
use dispatch_core::event::{Conclusion, Event, EventKind, EventRepository, Head, WorkflowRun};
use dispatch_core::guardrail::Guardrails;
use dispatch_core::name::{CommitSha, InstallationId, Repository, RepositoryId, RunId};
use dispatch_core::pattern::PatternSet;
use dispatch_core::policy::{
    Accept, InboundRule, InboundTarget, OutboundRule, Policy, PolicyPath, Reruns, Source, Start, Target,
    WorkflowRunSource,
};
use dispatch_core::template::Template;
use libfuzzer_sys::fuzz_target;

const REPOSITORIES: [&str; 4] = ["acme/api", "acme/deploy", "Acme/Web", "other/api"];
const WORKFLOWS: [&str; 3] = ["ci.yml", "cd.yml", "CD.yaml"];
const BRANCHES: [&str; 4] = ["main", "release/1", "$(curl${IFS}x|sh)", "-rf"];
const PATTERNS: [&str; 4] = ["main", "release/*", "**", "*"];
const EVENTS: [&str; 4] = ["push", "issue_comment", "schedule", "dynamic"];
const INPUTS: [&str; 3] = ["git_sha", "branch", "environment"];
const TEMPLATES: [&str; 5] =
    ["{{ source.sha }}", "{{ source.head_branch }}", "production", "{{ source.title }}", "{{ source.run_url }}"];

fuzz_target!(|input: &[u8]| {
    let mut choices = Choices(input);
    let event = event(&mut choices);
    let guardrails = guardrails(&mut choices);
    let policies: BTreeMap<Repository, PolicyAnswer> =
        REPOSITORIES.map(|name| (name.parse().expect("a repository"), answer(&mut choices))).into();

    let plan = drive(&event, &guardrails, &policies, &mut choices);

    assert!(plan.skipped.is_none() || plan.decisions.is_empty());
    for decision in &plan.decisions {
        let Some(allowed) = decision.allowed() else { continue };
        let EventKind::WorkflowRun(run) = &event.kind else { panic!("only runs start something") };
        let outbound = rules(&policies, &event.repository.name);
        let inbound = rules(&policies, &decision.target.repository);
        assert!(
            outbound.outbound().iter().any(|rule| about(&rule.source, run)
                && rule.targets.iter().any(|target| target.repository == decision.target.repository
                    && target.start == decision.target.start
                    && target.line == decision.outbound_rule.line)),
            "no outbound rule says {decision:?}"
        );
        assert!(
            inbound.inbound().iter().any(|rule| rule.repository == event.repository.name
                && about(&rule.source, run)
                && rule.targets.iter().any(|target| target.start == decision.target.start
                    && target.line == allowed.inbound_rule.line
                    && allowed.request.start() == target.start)),
            "no inbound rule says {decision:?}"
        );
    }
});

/// The loop around `decide`, by hand: so that it can be seen that it ends, and that nothing is asked twice.
fn drive(
    event: &Event,
    guardrails: &Guardrails,
    policies: &BTreeMap<Repository, PolicyAnswer>,
    choices: &mut Choices<'_>,
) -> Plan {
    let mut known = Known::default();
    for _ in 0..10 {
        let lookups = match decide(event, &known, guardrails) {
            Decided::Plan(plan) => return plan,
            Decided::Need(lookups) => lookups,
        };
        assert!(!lookups.is_empty(), "nothing is asked, and nothing is decided");
        for lookup in lookups {
            let asked = format!("{lookup:?}");
            let new = match lookup {
                Lookup::Policy(repository) => {
                    let absent = PolicyAnswer { repository: None, file: PolicyFile::Absent };
                    let answer = policies.get(&repository).cloned().unwrap_or(absent);
                    known.policies.insert(repository, answer).is_none()
                }
                Lookup::Chain(run) => {
                    let chain = choices.rarely().then(|| {
                        let place = |choices: &mut Choices<'_>| Place {
                            repository: repository(choices),
                            start: start(choices),
                        };
                        (0..choices.below(12))
                            .fold(Chain::root(event.identity(), place(choices)), |chain, _| chain.then(place(choices)))
                    });
                    known.chains.insert(run, chain).is_none()
                }
                Lookup::Edge(key) => {
                    let edge = choices.rarely().then(|| Edge { source: id(choices), target: id(choices) });
                    known.edges.insert(key, edge).is_none()
                }
                Lookup::Lane(key) => {
                    let number = choices.rarely().then(|| u64::from(choices.next()));
                    known.lanes.insert(key, number).is_none()
                }
                Lookup::CommitOnBranch { .. } => {
                    let answer = if choices.rarely() { CommitOnBranch::NotProven } else { CommitOnBranch::Proven };
                    known.commit_on_branch.replace(answer).is_none()
                }
                other => panic!("{other:?} is new: teach it to this target"),
            };
            assert!(new, "{asked} was asked twice");
        }
    }
    panic!("the decision does not end");
}

/// Reads choices off the input; a spent input chooses the first of everything.
struct Choices<'a>(&'a [u8]);

impl Choices<'_> {
    fn next(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn below(&mut self, limit: u8) -> u8 {
        self.next() % limit
    }

    fn rarely(&mut self) -> bool {
        self.below(8) == 7
    }

    fn one<'t>(&mut self, of: &[&'t str]) -> &'t str {
        of[usize::from(self.next()) % of.len()]
    }

    fn some<T>(&mut self, limit: u8, mut make: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.below(limit)).map(|_| make(self)).collect()
    }
}

fn repository(choices: &mut Choices<'_>) -> Repository {
    choices.one(&REPOSITORIES).parse().expect("a repository")
}

fn start(choices: &mut Choices<'_>) -> Start {
    match choices.one(&WORKFLOWS) {
        workflow if choices.rarely() => Start::Event(workflow.parse().expect("an event")),
        workflow => Start::Workflow(workflow.parse().expect("a workflow")),
    }
}

fn id(choices: &mut Choices<'_>) -> RepositoryId {
    RepositoryId(1 + u64::from(choices.below(2)))
}

fn event(choices: &mut Choices<'_>) -> Event {
    let repository = repository(choices);
    let run = WorkflowRun {
        id: RunId(1),
        attempt: 1 + u32::from(choices.rarely()),
        number: u64::from(choices.below(10)),
        workflow: (!choices.rarely()).then(|| choices.one(&WORKFLOWS).parse().expect("a workflow")),
        conclusion: (!choices.rarely())
            .then(|| if choices.rarely() { Conclusion::Failure } else { Conclusion::Success }),
        event: choices.one(&EVENTS).to_owned(),
        head_branch: (!choices.rarely()).then(|| choices.one(&BRANCHES).parse().expect("a branch")),
        head_sha: "3484a3fb816e0859fd6e1cea078d76385ff50625".parse::<CommitSha>().expect("a commit"),
        head: match choices.below(8) {
            6 => Head::Unknown,
            7 => Head::Fork(RepositoryId(99)),
            _ => Head::SameRepository,
        },
        actor: None,
        url: "https://github.example/run/1".to_owned(),
        started_at: None,
        updated_at: "2026-01-02T03:04:05Z".parse().expect("a time"),
    };
    Event {
        version: Event::VERSION,
        part: None,
        repository: EventRepository {
            id: id(choices),
            name: repository,
            default_branch: "main".parse().expect("a branch"),
            private: choices.rarely(),
        },
        installation: (!choices.rarely()).then_some(InstallationId(1)),
        sender: None,
        kind: EventKind::WorkflowRun(run),
    }
}

fn guardrails(choices: &mut Choices<'_>) -> Guardrails {
    let mut settings = BTreeMap::from([("OWNER_ALLOWLIST", "*")]);
    let mut may = |name, value| {
        if choices.rarely() {
            settings.insert(name, value);
        }
    };
    may("OWNER_ALLOWLIST", "acme");
    may("SOURCE_REPO_ALLOWLIST", "acme/api");
    may("TARGET_REPO_ALLOWLIST", "acme/*");
    may("SOURCE_WORKFLOW_ALLOWLIST", "ci.yml");
    may("ALLOWED_SOURCE_CONCLUSIONS", "success,failure");
    may("ENFORCE_SOURCE_DEFAULT_BRANCH", "false");
    may("DISPATCH_MAX_TARGETS_PER_RUN", "1");
    may("DISPATCH_MAX_CHAIN_DEPTH", "2");
    let settings = settings.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    Guardrails::from_settings(&settings).expect("settings")
}

fn answer(choices: &mut Choices<'_>) -> PolicyAnswer {
    let path = PolicyPath::Root;
    let file = match choices.below(16) {
        13 => PolicyFile::Absent,
        14 => PolicyFile::NotInstalled,
        15 => {
            let diagnostics = Diagnostics { file: path.to_string(), problems: Vec::new() };
            PolicyFile::Invalid { path, diagnostics: Arc::new(diagnostics) }
        }
        _ => PolicyFile::Found { path, policy: Arc::new(policy(choices)) },
    };
    let verified = Identity::Verified { id: id(choices), private: choices.rarely() };
    PolicyAnswer { repository: (!choices.rarely()).then_some(verified), file }
}

fn policy(choices: &mut Choices<'_>) -> Policy {
    let mut line = 0;
    let mut next_line = || {
        line += 1;
        line
    };
    let outbound = choices.some(4, |choices| OutboundRule {
        source: source(choices),
        line: next_line(),
        targets: choices.some(4, |choices| Target {
            repository: repository(choices),
            repository_id: choices.rarely().then(|| id(choices)),
            start: start(choices),
            git_ref: choices.rarely().then(|| "release".parse().expect("a ref")),
            inputs: choices
                .some(3, |choices| {
                    let template = Template::parse(choices.one(&TEMPLATES)).expect("a template");
                    (choices.one(&INPUTS).to_owned(), template)
                })
                .into_iter()
                .collect(),
            environment: None,
            required: choices.rarely().then_some(true),
            report: None,
            line: next_line(),
        }),
    });
    let inbound = choices.some(4, |choices| InboundRule {
        repository: repository(choices),
        repository_id: choices.rarely().then(|| id(choices)),
        source: source(choices),
        line: next_line(),
        targets: choices.some(4, |choices| InboundTarget {
            start: start(choices),
            accept_inputs: choices
                .some(4, |choices| (choices.one(&INPUTS).to_owned(), Accept::any()))
                .into_iter()
                .collect(),
            accept_refs: choices.rarely().then(|| patterns(choices)),
            line: next_line(),
        }),
    });
    Policy::new(outbound, inbound)
}

fn source(choices: &mut Choices<'_>) -> Source {
    Source::WorkflowRun(WorkflowRunSource {
        workflow: choices.one(&WORKFLOWS).parse().expect("a workflow"),
        conclusions: choices.rarely().then(|| [Conclusion::Success, Conclusion::Failure].into()),
        branches: choices.rarely().then(|| patterns(choices)),
        events: choices.rarely().then(|| [choices.one(&EVENTS).to_owned()].into()),
        forks: choices.rarely(),
        reruns: if choices.rarely() { Reruns::Any } else { Reruns::Latest },
    })
}

fn patterns(choices: &mut Choices<'_>) -> PatternSet {
    PatternSet::new(vec![choices.one(&PATTERNS).parse().expect("a pattern")]).expect("one pattern")
}

fn rules<'a>(policies: &'a BTreeMap<Repository, PolicyAnswer>, repository: &Repository) -> &'a Policy {
    match policies.get(repository).map(|answer| &answer.file) {
        Some(PolicyFile::Found { policy, .. }) => policy,
        other => panic!("allowed without a policy: {other:?}"),
    }
}

/// Whether a source names the run's workflow, and its filters do not exclude the run.
fn about(source: &Source, run: &WorkflowRun) -> bool {
    let Source::WorkflowRun(source) = source else { panic!("a source of another kind") };
    Some(&source.workflow) == run.workflow.as_ref()
        && source.conclusions.as_ref().is_none_or(|ones| run.conclusion.is_some_and(|one| ones.contains(&one)))
        && source.events.as_ref().is_none_or(|events| events.contains(&run.event))
        && (source.forks || run.head == Head::SameRepository)
        && match (&source.branches, &run.head_branch) {
            (None, _) => true,
            (Some(branches), branch) => branch.as_ref().is_some_and(|branch| branches.matches(branch.as_str())),
        }
}
