//! One source, one target, and everything that a test may change about them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dispatch_core::chain::{Chain, Place};
use dispatch_core::decide::{
    Answers, CommitOnBranch, Decision, Edge, EdgeKey, Identity, LaneKey, Plan, PolicyAnswer, PolicyFile, decide_with,
};
use dispatch_core::diagnostic::{Diagnostic, Diagnostics, Severity, Span};
use dispatch_core::event::{Conclusion, Event, EventIdentity, EventKind, EventRepository, Head, WorkflowRun};
use dispatch_core::guardrail::Guardrails;
use dispatch_core::name::{Branch, CommitSha, InstallationId, Login, Repository, RepositoryId, RunId, WorkflowFile};
use dispatch_core::pattern::PatternSet;
use dispatch_core::policy::{
    Accept, InboundRule, InboundTarget, OutboundRule, Policy, PolicyPath, Reruns, Source, Start, Target,
    WorkflowRunSource,
};
use dispatch_core::template::Template;

/// `ci.yml` of `acme/api` completed on `main`; it starts `cd.yml` in `acme/deploy` and sends `sha`, and that is accepted.
pub struct Setup {
    pub event: Event,
    pub settings: BTreeMap<String, String>,
    /// The source's rules. The rule is in line 2, its target in line 5.
    pub outbound: Vec<OutboundRule>,
    /// The target's rules. The rule is in line 12, its target in line 16.
    pub inbound: Vec<InboundRule>,
    /// In place of the file with `outbound`.
    pub source_answer: Option<PolicyAnswer>,
    /// In place of the file with `inbound`.
    pub target_answer: Option<PolicyAnswer>,
    pub target_private: bool,
    pub chain: Option<Chain>,
    pub edge: Option<Edge>,
    /// The newest run that the lane dispatched.
    pub newest: Option<u64>,
    /// What other events of the chain have spent of the root's budget.
    pub spent: u32,
    /// How often the source has used each target within the hour.
    pub uses: u32,
    pub commit: CommitOnBranch,
    /// The login of the App's bot.
    pub app_login: Option<Login>,
    /// What was looked up, in order.
    /// What owners allow, by their names.
    pub limits: BTreeMap<&'static str, PolicyAnswer>,
    /// Whether owners had limits before.
    pub limits_seen: bool,
    pub asked: Vec<String>,
}

pub const SHA: &str = "3484a3fb816e0859fd6e1cea078d76385ff50625";
pub const SOURCE_ID: RepositoryId = RepositoryId(11);
pub const TARGET_ID: RepositoryId = RepositoryId(22);

impl Setup {
    pub fn new() -> Self {
        let run = WorkflowRun {
            id: RunId(7_000_000_001),
            attempt: 1,
            number: 40,
            workflow: Some(file("ci.yml")),
            conclusion: Some(Conclusion::Success),
            event: "push".to_owned(),
            head_branch: Some(branch("main")),
            head_sha: SHA.parse().unwrap(),
            head: Head::SameRepository,
            actor: None,
            url: "https://github.com/acme/api/actions/runs/7000000001".to_owned(),
            started_at: None,
            updated_at: "2026-01-02T03:04:05Z".parse().unwrap(),
        };
        let event = Event {
            version: Event::VERSION,
            part: None,
            repository: EventRepository {
                id: SOURCE_ID,
                name: repository("acme/api"),
                default_branch: branch("main"),
                private: false,
            },
            installation: Some(InstallationId(5)),
            sender: None,
            kind: EventKind::WorkflowRun(run),
        };
        Self {
            event,
            settings: BTreeMap::from([("OWNER_ALLOWLIST".to_owned(), "acme,partner".to_owned())]),
            outbound: vec![outbound(2, vec![Target { inputs: inputs(&[("sha", "{{ source.sha }}")]), ..target(5) }])],
            inbound: vec![inbound(12, vec![InboundTarget { accept_inputs: accept(&["sha"]), ..accepted(16) }])],
            source_answer: None,
            target_answer: None,
            target_private: false,
            chain: None,
            edge: None,
            newest: None,
            spent: 0,
            uses: 0,
            commit: CommitOnBranch::Proven,
            app_login: Some(login("dispatch[bot]")),
            limits: BTreeMap::new(),
            limits_seen: false,
            asked: Vec::new(),
        }
    }

    pub fn set(&mut self, name: &str, value: &str) {
        self.settings.insert(name.to_owned(), value.to_owned());
    }

    pub fn run(&mut self) -> &mut WorkflowRun {
        match &mut self.event.kind {
            EventKind::WorkflowRun(run) => run,
            other => panic!("{other:?}"),
        }
    }

    /// The first target of the first outbound rule.
    pub fn target(&mut self) -> &mut Target {
        &mut self.outbound[0].targets[0]
    }

    /// The first target of the first inbound rule.
    pub fn accepted(&mut self) -> &mut InboundTarget {
        &mut self.inbound[0].targets[0]
    }

    /// The filters of the first outbound rule.
    pub fn from(&mut self) -> &mut WorkflowRunSource {
        let Source::WorkflowRun(source) = &mut self.outbound[0].source else { panic!("another source") };
        source
    }

    /// The filters of the first inbound rule.
    pub fn by(&mut self) -> &mut WorkflowRunSource {
        let Source::WorkflowRun(source) = &mut self.inbound[0].source else { panic!("another source") };
        source
    }

    /// The run is one of a fork, which both sides accept.
    pub fn accept_fork(&mut self) {
        self.run().head = Head::Fork(RepositoryId(99));
        self.from().forks = true;
        self.by().forks = true;
    }

    pub fn guardrails(&self) -> Guardrails {
        Guardrails { app_login: self.app_login.clone(), ..Guardrails::from_settings(&self.settings).unwrap() }
    }

    pub fn plan(&mut self) -> Plan {
        let (event, guardrails) = (self.event.clone(), self.guardrails());
        decide_with(&event, &guardrails, self)
    }

    /// `allowed`, or the code of the first decision, or of the whole event.
    pub fn outcome(&mut self) -> String {
        outcome(&self.plan())
    }

    /// The first decision.
    pub fn decision(&mut self) -> Decision {
        self.plan().decisions.remove(0)
    }
}

/// `allowed`, or the code of the first decision, or of the whole event.
pub fn outcome(plan: &Plan) -> String {
    match (&plan.skipped, plan.decisions.first()) {
        (Some(skipped), None) => skipped.reason.code().to_owned(),
        (None, Some(decision)) => decision.reason().map_or("allowed", |reason| reason.code()).to_owned(),
        other => panic!("neither skipped nor decided, or both: {other:?}"),
    }
}

impl Answers for Setup {
    fn policy(&mut self, repository: &Repository) -> PolicyAnswer {
        self.asked.push(format!("policy of {repository}"));
        if repository.name() == ".github" {
            let nobody = PolicyAnswer { repository: None, file: PolicyFile::Absent };
            return self.limits.get(repository.owner().as_str()).cloned().unwrap_or(nobody);
        }
        let source = *repository == self.event.repository.name;
        if let Some(answer) = if source { &self.source_answer } else { &self.target_answer } {
            return answer.clone();
        }
        // A repository that starts something in itself has both kinds of rules in one file.
        let own = self.outbound.iter().flat_map(|rule| &rule.targets).any(|target| target.repository == *repository);
        let outbound = if source { self.outbound.clone() } else { Vec::new() };
        let inbound = if !source || own { self.inbound.clone() } else { Vec::new() };
        let identity = if source {
            Identity::Verified { id: SOURCE_ID, private: self.event.repository.private }
        } else {
            Identity::Verified { id: TARGET_ID, private: self.target_private }
        };
        found(identity, Policy::new(outbound, inbound))
    }

    fn limits_seen(&mut self, _repository: &Repository) -> bool {
        self.limits_seen
    }

    fn chain(&mut self, run: RunId) -> Option<Chain> {
        self.asked.push(format!("chain of {run}"));
        self.chain.clone()
    }

    fn edge(&mut self, edge: &EdgeKey) -> Option<Edge> {
        self.asked.push(format!("edge {} > {}", edge.source, edge.target));
        self.edge
    }

    fn lane(&mut self, lane: &LaneKey) -> Option<u64> {
        self.asked.push(format!(
            "lane {} {} > {}",
            lane.source.start,
            lane.branch.as_ref().map_or("-", Branch::as_str),
            lane.target.start
        ));
        self.newest
    }

    fn root_spent(&mut self, root: &EventIdentity) -> u32 {
        self.asked.push(format!("spent by the chain of {}", root.as_str()));
        self.spent
    }

    fn edge_uses(&mut self, target: &Place) -> u32 {
        self.asked.push(format!("uses of {} in {}", target.start, target.repository));
        self.uses
    }

    fn commit_on_branch(&mut self, repository: &Repository, branch: &Branch, _sha: &CommitSha) -> CommitOnBranch {
        self.asked.push(format!("commit on {branch} of {repository}"));
        self.commit
    }
}

pub fn found(identity: Identity, policy: Policy) -> PolicyAnswer {
    PolicyAnswer {
        repository: Some(identity),
        file: PolicyFile::Found { path: PolicyPath::Root, policy: Arc::new(policy) },
    }
}

pub fn repository(name: &str) -> Repository {
    name.parse().unwrap()
}

pub fn login(name: &str) -> Login {
    name.parse().unwrap()
}

pub fn branch(name: &str) -> Branch {
    name.parse().unwrap()
}

pub fn file(name: &str) -> WorkflowFile {
    name.parse().unwrap()
}

pub fn patterns(texts: &[&str]) -> Option<PatternSet> {
    PatternSet::new(texts.iter().map(|text| text.parse().unwrap()).collect())
}

pub fn words(words: &[&str]) -> Option<BTreeSet<String>> {
    Some(words.iter().map(|word| (*word).to_owned()).collect())
}

pub fn inputs(inputs: &[(&str, &str)]) -> BTreeMap<String, Template> {
    inputs.iter().map(|(name, text)| ((*name).to_owned(), Template::parse(text).unwrap())).collect()
}

pub fn accept(names: &[&str]) -> BTreeMap<String, Accept> {
    names.iter().map(|name| ((*name).to_owned(), Accept::any())).collect()
}

pub fn ci() -> WorkflowRunSource {
    WorkflowRunSource {
        workflow: file("ci.yml"),
        conclusions: None,
        branches: None,
        events: None,
        forks: false,
        reruns: Reruns::Latest,
    }
}

pub fn outbound(line: u32, targets: Vec<Target>) -> OutboundRule {
    OutboundRule { source: Source::WorkflowRun(ci()), targets, line }
}

pub fn target(line: u32) -> Target {
    Target {
        repository: repository("acme/deploy"),
        repository_id: None,
        start: Start::Workflow(file("cd.yml")),
        git_ref: None,
        inputs: BTreeMap::new(),
        environment: None,
        required: None,
        report: None,
        line,
    }
}

pub fn inbound(line: u32, targets: Vec<InboundTarget>) -> InboundRule {
    InboundRule {
        repository: repository("acme/api"),
        repository_id: None,
        source: Source::WorkflowRun(ci()),
        targets,
        line,
    }
}

pub fn accepted(line: u32) -> InboundTarget {
    InboundTarget { start: Start::Workflow(file("cd.yml")), accept_inputs: BTreeMap::new(), accept_refs: None, line }
}

/// A file with an error in line 3.
pub fn invalid() -> PolicyFile {
    let problem = Diagnostic {
        code: "unknown_key".into(),
        severity: Severity::Error,
        message: "unknown key `inbuond`".to_owned(),
        span: Span { start: 20, end: 27, line: 3, column: 1 },
        label: "not a key".to_owned(),
        help: Some("did you mean `inbound`?".to_owned()),
        related: None,
        elsewhere: None,
    };
    let diagnostics = Diagnostics { file: "dispatching.yml".to_owned(), problems: vec![problem] };
    PolicyFile::Invalid { path: PolicyPath::DotGithub, diagnostics: Arc::new(diagnostics) }
}

pub fn answer(id: RepositoryId, file: PolicyFile) -> Option<PolicyAnswer> {
    Some(PolicyAnswer { repository: Some(Identity::Verified { id, private: false }), file })
}

pub fn place(name: &str, workflow: &str) -> Place {
    Place { repository: repository(name), start: Start::Workflow(file(workflow)) }
}

/// The chain that led through these places.
pub fn chain(places: &[(&str, &str)]) -> Option<Chain> {
    let mut places = places.iter().map(|(name, workflow)| place(name, workflow));
    let root = Chain::root(Setup::new().event.identity(), places.next().unwrap());
    Some(places.fold(root, |chain, place| chain.then(place)))
}
