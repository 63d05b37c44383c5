//! A pull request of `acme/cms`, people who comment on it, and two policy files that agree.

use std::collections::BTreeMap;

use dispatch_core::Timestamp;
use dispatch_core::decide::{Answers, CheckedDispatch, Identity, Plan, PolicyAnswer, PolicyFile, decide_with};
use dispatch_core::delivery::DeliveryKey;
use dispatch_core::environment::{
    Environment, EnvironmentDescription, EnvironmentKey, EnvironmentOrigin, EnvironmentState,
};
use dispatch_core::event::{
    CheckRerequest, Command, CommandArgument, Commenter, Event, EventKind, EventRepository, Head, PullRequest,
    PullRequestAction, PullRequestState,
};
use dispatch_core::guardrail::Guardrails;
use dispatch_core::name::{
    CheckId, CheckRunId, CommentId, InstallationId, Login, PullRequestNumber, Repository, RepositoryId, TeamName,
    UserId,
};
use dispatch_core::policy::{Policy, PolicyPath};
use dispatch_core::ports::github::RepositoryRef;
use dispatch_core::ports::pull_requests::{PermissionAnswer, PermissionLevel};
use dispatch_core::pull_request::{PullRequestKey, PullRequestRecord};

pub const HEAD: &str = "3484a3fb816e0859fd6e1cea078d76385ff50625";
pub const OTHER: &str = "0000000000000000000000000000000000000001";
pub const NUMBER: PullRequestNumber = PullRequestNumber(7);
pub const SOURCE: RepositoryId = RepositoryId(11);
pub const TARGET: RepositoryId = RepositoryId(22);
pub const ALICE: UserId = UserId(501);
pub const BOB: UserId = UserId(502);

pub const CMS: &str = r#"
outbound:
  - source: { command: /test-deploy }
    targets:
      - repository: cms_infrastructure
        event: deploy-ephemeral
        environment: create
        payload:
          pr_number: "{{ pr.number }}"
          branch: "{{ env.deploy }}"
          base_branch: "{{ pr.base_branch }}"
          commit_sha: "{{ pr.head_sha }}"
          sender: "{{ sender.login }}"
  - source: { command: /destroy-test }
    targets:
      - repository: cms_infrastructure
        event: destroy-ephemeral
        environment: destroy
        payload: { pr_number: "{{ pr.number }}", base_branch: "{{ env.base }}", sender: "{{ sender.login }}" }
  - source: { pull_request: [closed] }
    targets:
      - repository: cms_infrastructure
        event: pr-closed
        environment: destroy
        payload: { pr_number: "{{ pr.number }}", base_branch: "{{ env.base }}", merged: "{{ pr.merged | json }}" }
environments:
  - base: dev
    name: "pr-{{ pr.number }}"
    deploy: "{{ pr.head_branch }}"
    url: "https://pr-{{ pr.number }}-testing.example.com"
    ttl: 72h
  - base: main
    name: staging
    deploy: dev
    url: "https://staging.example.com"
"#;

pub const CMS_INFRASTRUCTURE: &str = r#"
inbound:
  - source: { repository: cms, command: /test-deploy }
    targets:
      - event: deploy-ephemeral
        accept_payload:
          pr_number: { pattern: number }
          branch: { pattern: branch }
          base_branch: { one_of: [dev, main] }
          commit_sha: { pattern: sha }
          sender: { pattern: login }
  - source: { repository: cms, command: /destroy-test }
    targets:
      - event: destroy-ephemeral
        accept_payload:
          pr_number: { pattern: number }
          base_branch: { one_of: [dev, main] }
          sender: { pattern: login }
  - source: { repository: cms, pull_request: [closed] }
    targets:
      - event: pr-closed
        accept_payload:
          pr_number: { pattern: number }
          base_branch: { one_of: [dev, main] }
          merged: { one_of: ["true", "false"] }
"#;

pub struct Setup {
    pub event: Event,
    pub source: String,
    pub target: String,
    /// How GitHub says that the pull request is.
    pub now: Option<PullRequestState>,
    pub record: PullRequestRecord,
    pub permissions: BTreeMap<Login, PermissionAnswer>,
    pub members: Vec<(TeamName, Login)>,
    pub environments: Vec<Environment>,
    pub checked: Option<CheckedDispatch>,
    pub asked: Vec<String>,
}

impl Setup {
    /// Somebody opened pull request 7, and nothing else happened.
    pub fn pull_request(action: PullRequestAction) -> Self {
        let now = state();
        let mut record =
            PullRequestRecord::new(PullRequestKey { repository: SOURCE, number: NUMBER }, time("12:00:00"));
        let opened = PullRequest { action: PullRequestAction::Opened, now: now.clone(), sweep: None };
        record.see(&opened, time("12:00:00"));
        let closed = action == PullRequestAction::Closed;
        let at = if closed { time("13:00:00") } else { now.updated_at };
        let pull_request =
            PullRequest { action, now: PullRequestState { open: !closed, updated_at: at, ..now.clone() }, sweep: None };
        record.see(&pull_request, at);
        let may = |user, level| PermissionAnswer { user, level };
        let permissions =
            [(login("alice"), may(ALICE, PermissionLevel::Write)), (login("bob"), may(BOB, PermissionLevel::Read))];
        Self {
            event: event(EventKind::PullRequest(pull_request)),
            source: CMS.to_owned(),
            target: CMS_INFRASTRUCTURE.to_owned(),
            now: Some(now),
            record,
            permissions: permissions.into(),
            members: Vec::new(),
            environments: Vec::new(),
            checked: None,
            asked: Vec::new(),
        }
    }

    /// `alice`, who may write, gave a command an hour after the pull request was opened.
    pub fn command(name: &str) -> Self {
        let command = Command {
            comment: CommentId(9001),
            pull_request: NUMBER,
            name: name.parse().unwrap(),
            argument: CommandArgument::None,
            commenter: Commenter { id: ALICE, login: login("alice"), person: true },
            created_at: time("13:00:00"),
        };
        Self { event: event(EventKind::Command(command)), ..Self::pull_request(PullRequestAction::Opened) }
    }

    /// `alice` wants a check run again that tells of a dispatch to this target.
    pub fn again(original: &Setup, target: &str, event_type: &str) -> Self {
        let check = CheckRerequest {
            check_run: CheckRunId(77),
            external_id: CheckId::of_policy(SOURCE, &HEAD.parse().unwrap()).unwrap(),
            app: Some(login("dispatch[bot]")),
            by: Commenter { id: ALICE, login: login("alice"), person: true },
            requested_at: None,
        };
        let target = dispatch_core::chain::Place {
            repository: target.parse().unwrap(),
            start: dispatch_core::policy::Start::Event(event_type.parse().unwrap()),
        };
        Self {
            checked: Some(CheckedDispatch {
                delivery: DeliveryKey { id: "first".parse().unwrap(), body_sha256: "0".repeat(64) },
                event: original.event.clone(),
                target,
                head_sha: HEAD.parse().unwrap(),
                in_flight: false,
            }),
            event: event(EventKind::CheckRerequest(check)),
            ..Self::pull_request(PullRequestAction::Opened)
        }
    }

    pub fn state(&mut self) -> &mut PullRequestState {
        match &mut self.event.kind {
            EventKind::PullRequest(pull_request) => &mut pull_request.now,
            _ => self.now.as_mut().unwrap(),
        }
    }

    pub fn given(&mut self) -> &mut Command {
        match &mut self.event.kind {
            EventKind::Command(command) => command,
            other => panic!("{other:?}"),
        }
    }

    /// Pull request 7 holds this environment, made for this base.
    pub fn holds(&mut self, name: &str, base: &str) -> &mut Environment {
        let key =
            EnvironmentKey { repository: "acme/cms_infrastructure".parse().unwrap(), name: name.parse().unwrap() };
        self.record.environments.insert(key.clone());
        self.environments.push(Environment {
            key,
            source: RepositoryRef { id: SOURCE, name: "acme/cms".parse().unwrap() },
            origin: EnvironmentOrigin { default_branch: "main".parse().unwrap(), private: false, installation: None },
            description: EnvironmentDescription {
                base: base.parse().unwrap(),
                deploy: "feature/x".to_owned(),
                url: Some(format!("https://{name}.example.com")),
                links: BTreeMap::new(),
                cleanup: None,
                ttl: None,
            },
            holders: [NUMBER].into(),
            leaving: [].into(),
            seen: [(NUMBER, time("12:30:00"))].into(),
            ended: None,
            swept: None,
            newest_begun: None,
            state: EnvironmentState::Live,
            settled: EnvironmentState::Live,
            wanted: None,
            under_way: None,
            keep: false,
            created_at: time("12:30:00"),
            changed_at: time("12:30:00"),
            facts: 0,
        });
        self.environments.last_mut().unwrap()
    }

    pub fn plan(&mut self) -> Plan {
        let settings = BTreeMap::from([("OWNER_ALLOWLIST".to_owned(), "acme".to_owned())]);
        let guardrails = Guardrails::from_settings(&settings).unwrap().with_app_login(login("dispatch[bot]"));
        let event = self.event.clone();
        decide_with(&event, &guardrails, self)
    }

    /// `allowed`, or the code of the first decision, or of the whole event.
    pub fn outcome(&mut self) -> String {
        let plan = self.plan();
        match (&plan.skipped, plan.decisions.first()) {
            (Some(skipped), None) => skipped.reason.code().to_owned(),
            (None, Some(decision)) => decision.reason().map_or("allowed", |reason| reason.code()).to_owned(),
            other => panic!("neither skipped nor decided, or both: {other:?}"),
        }
    }

    /// The body of the one request that is sent, as GitHub gets it.
    pub fn body(&mut self) -> String {
        let plan = self.plan();
        let requests: Vec<_> = plan.allowed().map(|(_, allowed)| allowed.request.clone()).collect();
        match requests.as_slice() {
            [dispatch_core::request::DispatchRequest::Event(request)] => request.body().to_string(),
            other => panic!("not one event: {other:?}: {plan:#?}"),
        }
    }
}

impl Answers for Setup {
    fn policy(&mut self, repository: &Repository) -> PolicyAnswer {
        let source = *repository == self.event.repository.name;
        let (id, text) = if source { (SOURCE, &self.source) } else { (TARGET, &self.target) };
        let checked = Policy::check_in(text.as_bytes(), repository, "dispatching.yml");
        let file = PolicyFile::of(PolicyPath::Root, checked);
        PolicyAnswer { repository: Some(Identity::Verified { id, private: false }), file }
    }

    fn pull_request(&mut self, _: PullRequestNumber) -> Option<PullRequestRecord> {
        Some(self.record.clone())
    }

    fn pull_request_state(&mut self, number: PullRequestNumber) -> Option<PullRequestState> {
        self.asked.push(format!("pull request {number}"));
        self.now.clone()
    }

    fn permission(&mut self, login: &Login) -> Option<PermissionAnswer> {
        self.asked.push(format!("permission of {login}"));
        self.permissions.get(login).copied()
    }

    fn team_member(&mut self, team: &TeamName, login: &Login) -> bool {
        self.asked.push(format!("{login} in {team}"));
        self.members.contains(&(team.clone(), login.clone()))
    }

    fn environment(&mut self, key: &EnvironmentKey) -> Option<Environment> {
        self.environments.iter().find(|environment| environment.key == *key).cloned()
    }

    fn check(&mut self, _: &CheckId) -> Option<CheckedDispatch> {
        self.checked.clone()
    }
}

pub fn login(name: &str) -> Login {
    name.parse().unwrap()
}

pub fn time(of_day: &str) -> Timestamp {
    format!("2026-01-02T{of_day}Z").parse().unwrap()
}

fn state() -> PullRequestState {
    PullRequestState {
        number: NUMBER,
        open: true,
        merged: false,
        draft: false,
        base_branch: "dev".parse().unwrap(),
        head_branch: "feature/x".parse().unwrap(),
        head_sha: HEAD.parse().unwrap(),
        head: Head::SameRepository,
        author: Some(BOB),
        keep: false,
        updated_at: time("12:00:00"),
    }
}

fn event(kind: EventKind) -> Event {
    Event {
        version: Event::VERSION,
        part: None,
        repository: EventRepository {
            id: SOURCE,
            name: "acme/cms".parse().unwrap(),
            default_branch: "main".parse().unwrap(),
            private: false,
        },
        installation: Some(InstallationId(5)),
        sender: Some(login("bob")),
        kind,
    }
}
