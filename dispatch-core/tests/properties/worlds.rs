//! Worlds of a few repositories, in which agreement is likely and everything else happens too.

use std::collections::BTreeMap;
use std::sync::Arc;

use dispatch_core::chain::{Chain, Place};
use dispatch_core::decide::{Answers, CommitOnBranch, Edge, EdgeKey, Identity, LaneKey, PolicyAnswer, PolicyFile};
use dispatch_core::diagnostic::Diagnostics;
use dispatch_core::event::{Conclusion, Event, EventIdentity, EventKind, EventRepository, Head, WorkflowRun};
use dispatch_core::name::{Branch, CommitSha, InstallationId, Login, Repository, RepositoryId, RunId, WorkflowFile};
use dispatch_core::pattern::PatternSet;
use dispatch_core::policy::{
    Accept, InboundRule, InboundTarget, OutboundRule, Policy, PolicyPath, Reruns, Source, Start, Target,
    WorkflowRunSource,
};
use dispatch_core::template::Template;
use proptest::option::weighted as maybe;
use proptest::prelude::*;
use proptest::sample::select;

const SHA: &str = "3484a3fb816e0859fd6e1cea078d76385ff50625";
/// The first one is the source. The id of each is its position and ten.
const REPOSITORIES: [&str; 4] = ["acme/api", "acme/deploy", "partner/infra", "acme/web"];

/// One event, and all that anybody knows.
#[derive(Debug, Clone)]
pub struct World {
    pub event: Event,
    pub settings: BTreeMap<String, String>,
    pub policies: BTreeMap<Repository, PolicyAnswer>,
    pub chain: Option<Chain>,
    /// By target.
    pub edges: BTreeMap<Repository, Edge>,
    /// In every lane.
    pub newest: Option<u64>,
    /// By the other events of the chain.
    pub spent: u32,
    /// By target repository, within the hour.
    pub uses: BTreeMap<Repository, u32>,
    pub app_login: Option<Login>,
    pub commit: CommitOnBranch,
}

impl World {
    /// The source's outbound rules.
    pub fn outbound(&self) -> &[OutboundRule] {
        self.policy(&self.event.repository.name).map_or(&[], |policy| policy.outbound())
    }

    /// A repository's inbound rules.
    pub fn inbound(&self, repository: &Repository) -> &[InboundRule] {
        self.policy(repository).map_or(&[], |policy| policy.inbound())
    }

    /// The lines of a repository's inbound rules and of their targets.
    pub fn inbound_lines(&self, repository: &Repository) -> Vec<u32> {
        let lines =
            |rule: &InboundRule| [vec![rule.line], rule.targets.iter().map(|target| target.line).collect()].concat();
        self.inbound(repository).iter().flat_map(lines).collect()
    }

    /// The policies if there were no other repository than the source.
    pub fn only_the_source(&self) -> BTreeMap<Repository, PolicyAnswer> {
        let nobody = PolicyAnswer { repository: None, file: PolicyFile::Absent };
        let only = |(name, answer): (&Repository, &PolicyAnswer)| {
            let answer = if *name == self.event.repository.name { answer.clone() } else { nobody.clone() };
            (name.clone(), answer)
        };
        self.policies.iter().map(only).collect()
    }

    fn policy(&self, repository: &Repository) -> Option<&Policy> {
        match &self.policies.get(repository)?.file {
            PolicyFile::Found { policy, .. } => Some(policy),
            _ => None,
        }
    }
}

impl Answers for &World {
    fn policy(&mut self, repository: &Repository) -> PolicyAnswer {
        self.policies[repository].clone()
    }

    fn chain(&mut self, _run: RunId) -> Option<Chain> {
        self.chain.clone()
    }

    fn edge(&mut self, edge: &EdgeKey) -> Option<Edge> {
        self.edges.get(&edge.target).copied()
    }

    fn lane(&mut self, _lane: &LaneKey) -> Option<u64> {
        self.newest
    }

    fn root_spent(&mut self, _root: &EventIdentity) -> u32 {
        self.spent
    }

    fn edge_uses(&mut self, target: &Place) -> u32 {
        self.uses.get(&target.repository).copied().unwrap_or_default()
    }

    fn commit_on_branch(&mut self, _repository: &Repository, _branch: &Branch, _sha: &CommitSha) -> CommitOnBranch {
        self.commit
    }
}

pub fn world() -> impl Strategy<Value = World> {
    let policies = (source_policy(), target_policy(1), target_policy(2), target_policy(3));
    let edges = (maybe(0.3, edge(1)), maybe(0.3, edge(2)), maybe(0.3, edge(3)));
    let commit = prop_oneof![9 => Just(CommitOnBranch::Proven), 1 => Just(CommitOnBranch::NotProven)];
    let spent = prop_oneof![6 => Just(0_u32), 1 => 97_u32..102];
    let uses = prop_oneof![6 => Just(0_u32), 1 => 0_u32..4, 1 => 98_u32..102];
    let brakes = (spent, [uses.clone(), uses.clone(), uses], maybe(0.5, Just("dispatch[bot]".parse().unwrap())));
    (event(), settings(), policies, maybe(0.2, chain()), edges, maybe(0.5, 39_u64..43), commit, brakes).prop_map(
        |(event, settings, policies, chain, edges, newest, commit, (spent, uses, app_login))| World {
            event,
            settings,
            policies: (0..)
                .zip([policies.0, policies.1, policies.2, policies.3])
                .map(|(i, p)| (repository(i), p))
                .collect(),
            chain,
            edges: (1..)
                .zip([edges.0, edges.1, edges.2])
                .filter_map(|(i, edge)| Some((repository(i), edge?)))
                .collect(),
            newest,
            spent,
            uses: (1..).zip(uses).map(|(i, uses)| (repository(i), uses)).collect(),
            app_login,
            commit,
        },
    )
}

fn event() -> impl Strategy<Value = Event> {
    let workflow = prop_oneof![30 => Just(Some("ci.yml")), 1 => Just(Some("cd.yml")), 1 => Just(None)];
    let conclusion = prop_oneof![
        16 => Just(Some(Conclusion::Success)), 3 => Just(Some(Conclusion::Failure)), 1 => Just(None)
    ];
    let branch = prop_oneof![20 => Just(Some("main")), 5 => select(vec![Some("release/1"), Some("dev"), Some("$(id)"), Some("-x"), Some("pull/1"), None])];
    let head = prop_oneof![24 => Just(Head::SameRepository), 3 => Just(Head::Fork(RepositoryId(99))), 1 => Just(Head::Unknown)];
    let started =
        prop_oneof![20 => Just("push"), 3 => select(vec!["schedule", "issue_comment", "pull_request", "watch"])];
    let url = prop_oneof![5 => Just("https://github.com/acme/api/actions/runs/7"), 1 => Just("")];
    let installation = prop_oneof![20 => Just(Some(InstallationId(5))), 1 => Just(None)];
    let causes = (caused_by(), caused_by());
    (workflow, conclusion, branch, head, started, 1_u32..3, (url, installation, any::<bool>(), causes)).prop_map(
        |(workflow, conclusion, branch, head, started, attempt, (url, installation, private, (actor, sender)))| Event {
            version: Event::VERSION,
            repository: EventRepository {
                id: id(0),
                name: repository(0),
                default_branch: "main".parse().unwrap(),
                private,
            },
            installation,
            sender,
            kind: EventKind::WorkflowRun(WorkflowRun {
                id: RunId(7),
                attempt,
                number: 40,
                workflow: workflow.map(file),
                conclusion,
                event: started.to_owned(),
                head_branch: branch.map(|name| name.parse().unwrap()),
                head_sha: SHA.parse().unwrap(),
                head,
                actor,
                url: url.to_owned(),
                started_at: None,
                updated_at: "2026-01-02T03:04:05Z".parse().unwrap(),
            }),
        },
    )
}

fn caused_by() -> impl Strategy<Value = Option<Login>> {
    prop_oneof![6 => Just(None), 6 => Just(Some("octocat")), 2 => Just(Some("dispatch[bot]")), 1 => Just(Some("Dispatch[bot]"))]
        .prop_map(|name| name.map(|name| name.parse().unwrap()))
}

fn settings() -> impl Strategy<Value = BTreeMap<String, String>> {
    let owners =
        prop_oneof![20 => Just(Some("*")), 20 => Just(Some("acme")), 1 => Just(Some("partner")), 1 => Just(None)];
    let settings = (
        owners,
        maybe(0.1, select(vec!["acme/*", "acme/*", "acme/*", "partner/*"])),
        maybe(0.1, Just("acme/*")),
        maybe(0.1, select(vec!["ci.yml", "ci.yml", "ci.yml", "cd.yml"])),
        maybe(0.5, select(vec!["success,failure", "success,failure", "success", "failure"])),
        maybe(0.8, select(vec!["false", "false", "true"])),
        maybe(0.15, select(vec!["1", "2", "3"])),
        maybe(0.15, select(vec!["1", "2", "3"])),
        maybe(0.3, select(vec!["1", "2", "99"])),
    );
    settings.prop_map(|(owners, sources, targets, workflows, conclusions, default_branch, most, depth, rate)| {
        let values = [
            ("OWNER_ALLOWLIST", owners),
            ("SOURCE_REPO_ALLOWLIST", sources),
            ("TARGET_REPO_ALLOWLIST", targets),
            ("SOURCE_WORKFLOW_ALLOWLIST", workflows),
            ("ALLOWED_SOURCE_CONCLUSIONS", conclusions),
            ("ENFORCE_SOURCE_DEFAULT_BRANCH", default_branch),
            ("DISPATCH_MAX_TARGETS_PER_RUN", most),
            ("DISPATCH_MAX_CHAIN_DEPTH", depth),
            ("DISPATCH_MAX_EDGE_RATE", rate),
        ];
        values.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned()))).collect()
    })
}

fn source_policy() -> impl Strategy<Value = PolicyAnswer> {
    let rule = (source(), prop::collection::vec(target(), 1..4));
    let policy = (prop::collection::vec(rule, 1..4), prop::collection::vec(inbound_rule(), 0..2));
    let policy = policy.prop_map(|(rules, inbound)| {
        let mut lines = 1..;
        let mut next = || lines.next().unwrap();
        let rule = |(source, targets): (_, Vec<Target>)| OutboundRule {
            source: Source::WorkflowRun(source),
            line: next(),
            targets: targets.into_iter().map(|target| Target { line: next(), ..target }).collect(),
        };
        Policy::new(rules.into_iter().map(rule).collect(), numbered(inbound))
    });
    answer(0, policy)
}

fn target_policy(number: u64) -> impl Strategy<Value = PolicyAnswer> {
    let rules = prop::collection::vec(inbound_rule(), 0..7);
    answer(number, rules.prop_map(|rules| Policy::new(Vec::new(), numbered(rules))))
}

/// Mostly the policy, in the repository that belongs to the name.
fn answer(number: u64, policy: impl Strategy<Value = Policy>) -> impl Strategy<Value = PolicyAnswer> {
    let behind = prop_oneof![30 => Just(Some(id(number))), 1 => Just(Some(RepositoryId(77))), 1 => Just(None)];
    let diagnostics = Arc::new(Diagnostics { file: "dispatching.yml".to_owned(), problems: Vec::new() });
    let file = prop_oneof![
        30 => policy.prop_map(|policy| PolicyFile::Found { path: PolicyPath::Root, policy: Arc::new(policy) }),
        1 => Just(PolicyFile::Absent),
        1 => Just(PolicyFile::NotInstalled),
        1 => Just(PolicyFile::Invalid { path: PolicyPath::DotGithub, diagnostics }),
    ];
    (behind, file, any::<bool>()).prop_map(|(behind, file, private)| PolicyAnswer {
        repository: behind.map(|id| Identity::Verified { id, private }),
        file,
    })
}

fn source() -> impl Strategy<Value = WorkflowRunSource> {
    let workflow = prop_oneof![20 => Just("ci.yml"), 1 => Just("cd.yml")];
    let conclusions = select(vec![
        vec![Conclusion::Success],
        vec![Conclusion::Failure],
        vec![Conclusion::Success, Conclusion::Failure],
    ]);
    let branches = select(vec![&["main"][..], &["main", "release/*"], &["**"], &["*"], &["dev"]]);
    let events = select(vec![&["push"][..], &["push", "issue_comment"], &["schedule"]]);
    (workflow, maybe(0.15, conclusions), maybe(0.2, branches), maybe(0.1, events), any::<bool>(), any::<bool>())
        .prop_map(|(workflow, conclusions, branches, events, forks, any_rerun)| WorkflowRunSource {
            workflow: file(workflow),
            conclusions: conclusions.map(|list| list.into_iter().collect()),
            branches: branches.and_then(patterns),
            events: events.map(|list| list.iter().map(|word| (*word).to_owned()).collect()),
            forks,
            reruns: if any_rerun { Reruns::Any } else { Reruns::Latest },
        })
}

fn target() -> impl Strategy<Value = Target> {
    let name =
        prop_oneof![1 => Just("acme/api"), 6 => Just("acme/deploy"), 4 => Just("partner/infra"), 2 => Just("ACME/Web")];
    let git_ref = select(vec!["main", "release/1", "refs/heads/main", "refs/tags/main"]);
    let value = prop_oneof![
        4 => Just("{{ source.sha }}"),
        2 => Just("v-{{ source.head_branch }}"),
        1 => select(vec!["{{ source.run_id }} of {{ source.repo }}", "{{ source.workflow }}", "{{ source.run_url }}", "x", "{{ source.title }}", ""]),
    ];
    let inputs = prop::collection::btree_map(input(), value, 0..3);
    let many = prop_oneof![20 => Just(0_usize), 1 => Just(26)];
    (name, start(), maybe(0.3, git_ref), inputs, many, maybe(0.05, select(vec![RepositoryId(77), id(1), id(2)])))
        .prop_map(|(name, start, git_ref, inputs, many, repository_id)| Target {
            repository: name.parse().unwrap(),
            repository_id,
            start,
            git_ref: git_ref.map(|text| text.parse().unwrap()),
            inputs: inputs
                .into_iter()
                .map(|(name, text)| (name.to_owned(), text))
                .chain((0..many).map(|number| (format!("n{number}"), "x")))
                .map(|(name, text)| (name, Template::parse(text).unwrap()))
                .collect(),
            environment: None,
            required: None,
            report: None,
            line: 0,
        })
}

fn inbound_rule() -> impl Strategy<Value = InboundRule> {
    let name = prop_oneof![10 => Just("acme/api"), 2 => Just("ACME/API"), 1 => Just("evil/api"), 1 => Just("acme/web")];
    let repository_id = maybe(0.1, select(vec![RepositoryId(77), id(0), id(0)]));
    (name, repository_id, source(), prop::collection::vec(inbound_target(), 1..4)).prop_map(
        |(name, repository_id, source, targets)| InboundRule {
            repository: name.parse().unwrap(),
            repository_id,
            source: Source::WorkflowRun(source),
            targets,
            line: 0,
        },
    )
}

fn inbound_target() -> impl Strategy<Value = InboundTarget> {
    let names = prop::collection::btree_set(input(), 1..4);
    let refs = select(vec![&["main"][..], &["main", "release/*"], &["refs/tags/**"], &["**"]]);
    (start(), names, maybe(0.3, refs)).prop_map(|(start, names, refs)| InboundTarget {
        start,
        accept_inputs: names.into_iter().map(|name| (name.to_owned(), Accept::any())).collect(),
        accept_refs: refs.and_then(patterns),
        line: 0,
    })
}

fn numbered(rules: Vec<InboundRule>) -> Vec<InboundRule> {
    let mut lines = 101..;
    let mut next = || lines.next().unwrap();
    let number = |mut rule: InboundRule| {
        rule.line = next();
        rule.targets.iter_mut().for_each(|target| target.line = next());
        rule
    };
    rules.into_iter().map(number).collect()
}

fn chain() -> impl Strategy<Value = Chain> {
    let place = (0_u64..4, start()).prop_map(|(number, start)| Place { repository: repository(number), start });
    (event(), prop::collection::vec(place, 1..4)).prop_map(|(event, places)| Chain { root: event.identity(), places })
}

fn edge(number: u64) -> impl Strategy<Value = Edge> {
    let source = prop_oneof![8 => Just(id(0)), 1 => Just(RepositoryId(77))];
    let target = prop_oneof![8 => Just(id(number)), 1 => Just(RepositoryId(77))];
    (source, target).prop_map(|(source, target)| Edge { source, target })
}

fn start() -> impl Strategy<Value = Start> {
    prop_oneof![10 => Just("cd.yml"), 2 => Just("ci.yml"), 2 => Just("other.yml")]
        .prop_map(|name| Start::Workflow(file(name)))
}

fn input() -> impl Strategy<Value = &'static str> {
    select(vec!["sha", "run", "environment"])
}

fn repository(number: u64) -> Repository {
    REPOSITORIES[usize::try_from(number).unwrap()].parse().unwrap()
}

fn id(number: u64) -> RepositoryId {
    RepositoryId(10 + number)
}

fn file(name: &str) -> WorkflowFile {
    name.parse().unwrap()
}

fn patterns(texts: &[&str]) -> Option<PatternSet> {
    PatternSet::new(texts.iter().map(|text| text.parse().unwrap()).collect())
}
