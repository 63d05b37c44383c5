//! Worlds of a few repositories, in which agreement is likely and everything else happens too.

mod events;
mod limits;
mod policies;

use std::collections::BTreeMap;

use dispatch_core::chain::{Chain, Place};
use dispatch_core::decide::{Answers, CommitOnBranch, Edge, EdgeKey, LaneKey, PolicyAnswer, PolicyFile};
use dispatch_core::environment::{Environment, EnvironmentKey};
use dispatch_core::event::{Event, EventIdentity, PullRequestState};
use dispatch_core::name::{
    Branch, CommitSha, Login, PullRequestNumber, Repository, RepositoryId, RunId, TeamName, WorkflowFile,
};
use dispatch_core::policy::{InboundRule, OutboundRule, Policy};
use dispatch_core::ports::pull_requests::PermissionAnswer;
use dispatch_core::pull_request::PullRequestRecord;
use proptest::option::weighted as maybe;
use proptest::prelude::*;
use proptest::sample::select;

use self::events::{event, facts};
use self::limits::owner_limits;
use self::policies::{source_policy, start, target_policy};

/// The first one is the source. The id of each is its position and ten.
const REPOSITORIES: [&str; 4] = ["acme/api", "acme/deploy", "partner/infra", "acme/web"];

/// One event, and all that anybody knows.
#[derive(Debug, Clone)]
pub struct World {
    pub event: Event,
    pub facts: PullRequestFacts,
    pub settings: BTreeMap<String, String>,
    pub policies: BTreeMap<Repository, PolicyAnswer>,
    /// Whether owners had limits before.
    pub limits_seen: bool,
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

/// What GitHub and the store say of a pull request and of who gave a command.
#[derive(Debug, Clone)]
pub struct PullRequestFacts {
    pub record: Option<PullRequestRecord>,
    pub state: Option<PullRequestState>,
    pub permission: Option<PermissionAnswer>,
    /// Of every team.
    pub is_member: bool,
    pub environments: BTreeMap<EnvironmentKey, Environment>,
}

impl World {
    /// The source's policy.
    pub fn source(&self) -> Option<&Policy> {
        self.policy(&self.event.repository.name)
    }

    /// The source's outbound rules.
    pub fn outbound(&self) -> &[OutboundRule] {
        self.source().map_or(&[], |policy| policy.outbound())
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
            let own = *name == self.event.repository.name || name.as_str() == "acme/.github";
            let answer = if own { answer.clone() } else { nobody.clone() };
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

    fn limits_seen(&mut self, _repository: &Repository) -> bool {
        self.limits_seen
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

    fn pull_request(&mut self, _number: PullRequestNumber) -> Option<PullRequestRecord> {
        self.facts.record.clone()
    }

    fn pull_request_state(&mut self, _number: PullRequestNumber) -> Option<PullRequestState> {
        self.facts.state.clone()
    }

    fn permission(&mut self, _login: &Login) -> Option<PermissionAnswer> {
        self.facts.permission
    }

    fn team_member(&mut self, _team: &TeamName, _login: &Login) -> bool {
        self.facts.is_member
    }

    fn environment(&mut self, key: &EnvironmentKey) -> Option<Environment> {
        self.facts.environments.get(key).cloned()
    }

    fn commit_on_branch(&mut self, _repository: &Repository, _branch: &Branch, _sha: &CommitSha) -> CommitOnBranch {
        self.commit
    }
}

/// What an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Run,
    PullRequest,
    Command,
}

/// A world in which something of the kind happens.
pub fn world(kind: Kind) -> impl Strategy<Value = World> {
    let policies = (source_policy(kind), target_policy(kind, 1), target_policy(kind, 2), target_policy(kind, 3));
    let edges = (maybe(0.3, edge(1)), maybe(0.3, edge(2)), maybe(0.3, edge(3)));
    let commit = prop_oneof![9 => Just(CommitOnBranch::Proven), 1 => Just(CommitOnBranch::NotProven)];
    let spent = prop_oneof![6 => Just(0_u32), 1 => 97_u32..102];
    let uses = prop_oneof![6 => Just(0_u32), 1 => 0_u32..4, 1 => 98_u32..102];
    let brakes = (spent, [uses.clone(), uses.clone(), uses], maybe(0.5, Just("dispatch[bot]".parse().unwrap())));
    // Only runs are caused by something that was started here.
    let chain = maybe(0.2, chain()).prop_map(move |chain| chain.filter(|_| kind == Kind::Run));
    let case = (event(kind), facts(), settings());
    let owners = (owner_limits("acme").boxed(), owner_limits("partner").boxed(), prop::bool::weighted(0.1));
    (case, (policies, owners), chain, edges, maybe(0.5, 39_u64..43), commit, brakes).prop_map(
        |((event, facts, settings), (policies, owners), chain, edges, newest, commit, (spent, uses, app_login))| {
            World {
                event,
                facts,
                settings,
                policies: (0..)
                    .zip([policies.0, policies.1, policies.2, policies.3])
                    .map(|(i, p)| (repository(i), p))
                    .chain([
                        ("acme/.github".parse().unwrap(), owners.0),
                        ("partner/.github".parse().unwrap(), owners.1),
                    ])
                    .collect(),
                limits_seen: owners.2,
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
            }
        },
    )
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
        maybe(0.1, select(vec!["required", "optional"])),
    );
    settings.prop_map(|(owners, sources, targets, workflows, conclusions, default_branch, most, depth, rate, org)| {
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
            ("ORG_POLICY", org),
        ];
        values.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned()))).collect()
    })
}

fn chain() -> impl Strategy<Value = Chain> {
    let place =
        (0_u64..4, start(Kind::Run)).prop_map(|(number, start)| Place { repository: repository(number), start });
    (event(Kind::Run), prop::collection::vec(place, 1..4))
        .prop_map(|(event, places)| Chain { root: event.identity(), places })
}

fn edge(number: u64) -> impl Strategy<Value = Edge> {
    let source = prop_oneof![8 => Just(id(0)), 1 => Just(RepositoryId(77))];
    let target = prop_oneof![8 => Just(id(number)), 1 => Just(RepositoryId(77))];
    (source, target).prop_map(|(source, target)| Edge { source, target })
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
