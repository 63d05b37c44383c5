//! What happens, and what GitHub and the service's store would say of it.

use std::collections::{BTreeMap, BTreeSet};

use super::read::Reader;
use super::written::{Environment as HeldEnvironment, When};
use crate::Timestamp;
use crate::environment::{Environment, EnvironmentDescription, EnvironmentKey, EnvironmentOrigin, EnvironmentState};
use crate::event::{
    Command, Commenter, Conclusion, Event, EventKind, EventRepository, Head, PullRequest, PullRequestAction,
    PullRequestState, WorkflowRun,
};
use crate::name::{
    Branch, CommentId, CommitSha, InstallationId, Login, PullRequestNumber, RepositoryId, RunId, TeamName, UserId,
};
use crate::policy::gate::NodeId;
use crate::policy::raw::{At, Text};
use crate::ports::github::RepositoryRef;
use crate::ports::pull_requests::PermissionLevel;
use crate::webhook;

/// The values of the keys of `when`, also of those that are left out: what `{{ ... }}` can be in `then`.
pub(super) type Values = BTreeMap<&'static str, String>;

/// What happens, and what is known of it.
#[derive(Debug, Clone)]
pub(super) struct Situation {
    pub(super) event: Event,
    /// The pull request, as it is after that.
    pub(super) pull_request: Option<PullRequestState>,
    /// What who gives a command may do in the repository.
    pub(super) level: PermissionLevel,
    /// The teams that he is a member of.
    pub(super) teams: BTreeSet<TeamName>,
    /// The environments that the pull request holds.
    pub(super) environments: BTreeMap<EnvironmentKey, Environment>,
    /// Whether a newer run of the same workflow and branch has started something.
    pub(super) newer_run: bool,
    pub(super) values: Values,
}

/// When everything happens. Nothing in a test depends on the time.
pub(super) const AT: Timestamp = Timestamp::constant(1_767_225_600, 0);
/// When everything else had happened by then.
pub(super) const BEFORE: Timestamp = Timestamp::constant(1_767_222_000, 0);
/// Who causes it.
pub(super) const SENDER: UserId = UserId(1);

/// The commit of a test that names none.
const SHA: &str = "0123456789abcdef0123456789abcdef01234567";
/// The repository of a test that names no id, and a fork of it.
const REPOSITORY: u64 = 1;
const FORK: RepositoryId = RepositoryId(u64::MAX);

const SHA_HELP: &str = "write all 40 digits, in quotes where they are digits only";
const BRANCH_HELP: &str = "write the name of a branch";
const LOGIN_HELP: &str = "write a login, without `@`";

impl Reader<'_> {
    pub(super) fn when(&mut self, at: &At<When>) -> Option<Situation> {
        let when = self.checker.written(at)?;
        let name = self.checker.required(at, when.repository.as_ref(), "repository");
        let name = name.and_then(|name| self.checker.repository(name));
        let id = self.checker.repository_id(when.repository_id.as_ref()).unwrap_or(RepositoryId(REPOSITORY));
        let default_branch: Option<Branch> = self.name_or(when.default_branch.as_ref(), "main", BRANCH_HELP);
        let sender: Option<Login> = self.name_or(when.sender.as_ref(), "somebody", LOGIN_HELP);
        let kinds = [
            ("workflow", node(&when.workflow)),
            ("pull_request", node(&when.pull_request)),
            ("command", node(&when.command)),
        ];
        let kind = self.checker.only_key(at.node, "`when`", &kinds)?;
        self.misplaced_keys(when, kind);
        let repository = EventRepository { id, name: name?, default_branch: default_branch?, private: true };
        let setting = Setting { when, repository, sender: sender? };
        match kind {
            "workflow" => self.run(&setting),
            "pull_request" => self.pull_request(&setting),
            _ => self.command(&setting),
        }
    }

    /// Keys that go with another kind of event.
    fn misplaced_keys(&mut self, when: &When, kind: &str) {
        let of_runs = [
            node(&when.conclusion),
            node(&when.event),
            node(&when.branch),
            node(&when.sha),
            node(&when.run_id),
            node(&when.attempt),
            node(&when.newer_run),
        ];
        let of_both = [
            node(&when.number),
            node(&when.base),
            node(&when.head_branch),
            node(&when.head_sha),
            node(&when.draft),
            node(&when.environments),
        ];
        let of_pull_requests = [node(&when.merged)];
        let of_commands =
            [node(&when.argument), node(&when.permission), node(&when.teams), node(&when.author), node(&when.state)];
        let kinds: [(&str, &[Option<NodeId>]); 4] = [
            ("`workflow`", &of_runs),
            ("`pull_request` and `command`", &of_both),
            ("`pull_request`", &of_pull_requests),
            ("`command`", &of_commands),
        ];
        let here = format!("`{kind}`");
        for (with, nodes) in kinds.into_iter().filter(|(with, _)| !with.contains(&here)) {
            for node in nodes.iter().flatten() {
                let key = self.checker.node(*node).and_then(|node| node.key.as_ref()).map(|key| key.text.as_str());
                let help = match (key, kind) {
                    (Some("head_sha"), "workflow") => "write `sha`",
                    (Some("head_branch" | "base"), "workflow") => "write `branch`",
                    (Some("sha"), _) => "write `head_sha`",
                    (Some("branch"), _) => "write `base` or `head_branch`",
                    _ => "remove it",
                };
                self.checker.misplaced_key(*node, with, kind, help);
            }
        }
    }

    fn run(&mut self, setting: &Setting<'_>) -> Option<Situation> {
        let when = setting.when;
        let workflow = when.workflow.as_ref().and_then(|at| self.checker.workflow(at));
        let conclusion = match &when.conclusion {
            Some(at) => self.checker.conclusion(at),
            None => Some(Conclusion::Success),
        };
        let event = match &when.event {
            Some(at) => self.checker.event(at),
            None => Some("push".to_owned()),
        };
        let branch: Option<Branch> =
            self.name_or(when.branch.as_ref(), setting.repository.default_branch.as_str(), BRANCH_HELP);
        let sha: Option<CommitSha> = self.name_or(when.sha.as_ref(), SHA, SHA_HELP);
        let id = self.number_or(when.run_id.as_ref(), 1, u64::MAX);
        let attempt = self.number_or(when.attempt.as_ref(), 1, u32::MAX.into());
        let newer_run = self.flag_or(when.newer_run.as_ref(), false);
        let head = self.head(setting);
        let (workflow, conclusion, event, branch, sha) = (workflow?, conclusion?, event?, branch?, sha?);
        let values = [
            ("workflow", workflow.to_string()),
            ("conclusion", conclusion.to_string()),
            ("event", event.clone()),
            ("branch", branch.to_string()),
            ("sha", sha.to_string()),
            ("run_id", id.to_string()),
            ("attempt", attempt.to_string()),
        ];
        let run = WorkflowRun {
            id: RunId(id),
            attempt: u32::try_from(attempt).unwrap_or(u32::MAX),
            number: 1,
            workflow: Some(workflow),
            conclusion: Some(conclusion),
            event,
            head_branch: Some(branch),
            head_sha: sha,
            head,
            actor: Some(setting.sender.clone()),
            url: format!("https://github.com/{}/actions/runs/{id}", setting.repository.name),
            started_at: Some(AT),
            updated_at: AT,
        };
        Some(Situation { newer_run, ..setting.situation(EventKind::WorkflowRun(run), values) })
    }

    fn pull_request(&mut self, setting: &Setting<'_>) -> Option<Situation> {
        let when = setting.when;
        let action = when.pull_request.as_ref().and_then(|at| self.checker.pull_request_action(at));
        let merged = self.flag_or(when.merged.as_ref(), false);
        if let (true, Some(action), Some(at)) = (merged, action, &when.merged)
            && action != PullRequestAction::Closed
        {
            let message = "only a pull request that is closed can be merged";
            let problem = self.checker.problem("impossible_event", at.node, message, format!("it is {action}"));
            self.checker.findings.invalid(problem.help("write `pull_request: closed`, or remove `merged`"));
        }
        let action = action?;
        let now =
            PullRequestState { open: action != PullRequestAction::Closed, merged, ..self.pull_request_state(setting)? };
        let environments = self.environments(setting, &now);
        let kind = EventKind::PullRequest(PullRequest { action, now: now.clone(), sweep: None });
        let values = [("pull_request", action.to_string()), ("merged", merged.to_string())];
        let situation = setting.situation(kind, values.into_iter().chain(values_of(&now)));
        Some(Situation { pull_request: Some(now), environments, ..situation })
    }

    fn command(&mut self, setting: &Setting<'_>) -> Option<Situation> {
        let when = setting.when;
        let name = when.command.as_ref().and_then(|at| self.checker.command(at));
        let argument = when.argument.as_ref().and_then(|at| self.checker.text(at)).unwrap_or_default();
        let level = self.word_or(when.permission.as_ref(), &LEVELS, PermissionLevel::Write);
        let mut teams = BTreeSet::new();
        let written = when.teams.as_ref().and_then(|at| self.checker.written(at));
        for team in written.into_iter().flatten() {
            let help = "write a team as its address has it: `organisation/team-slug`, in lower case, without `@`";
            teams.extend(self.checker.name::<TeamName>(team, help));
        }
        let author: Option<Login> = self.name_or(when.author.as_ref(), "author", LOGIN_HELP);
        let open = self.word_or(when.state.as_ref(), &[("open", true), ("closed", false)], true);
        let is_author = author? == setting.sender;
        let now = self.pull_request_state(setting)?;
        let now = PullRequestState { open, author: Some(if is_author { SENDER } else { UserId(2) }), ..now };
        let environments = self.environments(setting, &now);
        let name = name?;
        // Read as a comment is, so that what is no argument for the service is none here.
        let (_, taken) = webhook::command::command(&format!("{name} {argument}"))?;
        let kind = EventKind::Command(Command {
            comment: CommentId(1),
            pull_request: now.number,
            name: name.clone(),
            argument: taken,
            commenter: Commenter {
                id: SENDER,
                login: setting.sender.clone(),
                person: !setting.sender.as_str().ends_with("[bot]"),
            },
            created_at: AT,
        });
        let values = [("command", name.to_string()), ("argument", argument.to_owned())];
        let situation = setting.situation(kind, values.into_iter().chain(values_of(&now)));
        Some(Situation { pull_request: Some(now), level, teams, environments, ..situation })
    }

    /// A pull request that is open and not merged.
    fn pull_request_state(&mut self, setting: &Setting<'_>) -> Option<PullRequestState> {
        let when = setting.when;
        let number = self.number_or(when.number.as_ref(), 1, u64::MAX);
        let base_branch = self.name_or(when.base.as_ref(), setting.repository.default_branch.as_str(), BRANCH_HELP);
        let head_branch = self.name_or(when.head_branch.as_ref(), "feature", BRANCH_HELP);
        let head_sha = self.name_or(when.head_sha.as_ref(), SHA, SHA_HELP);
        let draft = self.flag_or(when.draft.as_ref(), false);
        Some(PullRequestState {
            number: PullRequestNumber(number),
            open: true,
            merged: false,
            draft,
            base_branch: base_branch?,
            head_branch: head_branch?,
            head_sha: head_sha?,
            head: self.head(setting),
            author: Some(SENDER),
            keep: false,
            updated_at: AT,
        })
    }

    fn head(&mut self, setting: &Setting<'_>) -> Head {
        match self.flag_or(setting.when.fork.as_ref(), false) {
            true => Head::Fork(FORK),
            false => Head::SameRepository,
        }
    }

    fn word_or<T: Copy>(&mut self, at: Option<&At<Text>>, known: &[(&'static str, T)], left_out: T) -> T {
        at.and_then(|at| self.one_of(at, known)).unwrap_or(left_out)
    }

    /// The environments that the pull request holds: they are there, as an earlier event left them.
    fn environments(&mut self, setting: &Setting<'_>, now: &PullRequestState) -> BTreeMap<EnvironmentKey, Environment> {
        let list = setting.when.environments.as_ref().and_then(|at| self.checker.written(at));
        let environments = list.into_iter().flatten().filter_map(|entry| self.environment(setting, now, entry));
        environments.map(|environment| (environment.key.clone(), environment)).collect()
    }

    fn environment(
        &mut self,
        setting: &Setting<'_>,
        now: &PullRequestState,
        at: &At<HeldEnvironment>,
    ) -> Option<Environment> {
        let environment = self.checker.written(at)?;
        let repository = self.checker.required(at, environment.repository.as_ref(), "repository");
        let repository = repository.and_then(|repository| self.checker.repository(repository));
        let name = self.checker.required(at, environment.name.as_ref(), "name");
        let name = name.and_then(|name| self.checker.name(name, "write the name as the policy's `name` makes it"));
        let base = self.name_or(environment.base.as_ref(), now.base_branch.as_str(), BRANCH_HELP);
        let deploy = environment.deploy.as_ref().and_then(|at| self.checker.text(at)).map(str::to_owned);
        let url = environment.url.as_ref().and_then(|at| self.checker.text(at)).map(str::to_owned);
        let mut holders = BTreeSet::from([now.number]);
        let others = environment.held_by.as_ref().and_then(|at| self.checker.written(at));
        for other in others.into_iter().flatten() {
            holders.insert(PullRequestNumber(self.number_or(Some(other), 1, u64::MAX)));
        }
        let EventRepository { id, name: source, default_branch, .. } = setting.repository.clone();
        Some(Environment {
            key: EnvironmentKey { repository: repository?, name: name? },
            source: RepositoryRef { id, name: source },
            origin: EnvironmentOrigin { default_branch, private: true, installation: Some(INSTALLATION) },
            description: EnvironmentDescription {
                base: base?,
                deploy: deploy.unwrap_or_else(|| now.head_branch.to_string()),
                url,
                links: BTreeMap::new(),
                cleanup: None,
                ttl: None,
            },
            seen: holders.iter().map(|holder| (*holder, BEFORE)).collect(),
            holders,
            leaving: BTreeSet::new(),
            state: EnvironmentState::Live,
            settled: EnvironmentState::Live,
            wanted: None,
            under_way: None,
            ended: None,
            newest_begun: Some(BEFORE),
            swept: None,
            keep: false,
            created_at: BEFORE,
            changed_at: BEFORE,
            facts: 0,
        })
    }
}

/// GitHub's words for what a person may do in a repository.
const LEVELS: [(&str, PermissionLevel); 4] = [
    ("none", PermissionLevel::None),
    ("read", PermissionLevel::Read),
    ("write", PermissionLevel::Write),
    ("admin", PermissionLevel::Admin),
];

const INSTALLATION: InstallationId = InstallationId(1);

/// What all kinds of events have in common.
struct Setting<'w> {
    when: &'w When,
    repository: EventRepository,
    sender: Login,
}

impl Setting<'_> {
    fn situation(&self, kind: EventKind, values: impl IntoIterator<Item = (&'static str, String)>) -> Situation {
        let common = [
            ("repository", self.repository.name.to_string()),
            ("default_branch", self.repository.default_branch.to_string()),
            ("sender", self.sender.to_string()),
        ];
        Situation {
            event: Event {
                version: Event::VERSION,
                repository: self.repository.clone(),
                installation: Some(INSTALLATION),
                sender: Some(self.sender.clone()),
                kind,
                part: None,
            },
            pull_request: None,
            level: PermissionLevel::None,
            teams: BTreeSet::new(),
            environments: BTreeMap::new(),
            newer_run: false,
            values: common.into_iter().chain(values).collect(),
        }
    }
}

fn values_of(now: &PullRequestState) -> [(&'static str, String); 5] {
    [
        ("number", now.number.to_string()),
        ("base", now.base_branch.to_string()),
        ("head_branch", now.head_branch.to_string()),
        ("head_sha", now.head_sha.to_string()),
        ("draft", now.draft.to_string()),
    ]
}

fn node<T>(at: &Option<At<T>>) -> Option<NodeId> {
    at.as_ref().map(|at| at.node)
}
