//! Events that stand for those that a rule is about, and what is assumed of them.
//!
//! What only the future can tell is assumed in favour of the rule: who gives a command may, the commit is where it should
//! be, nothing was started before, and what is to be destroyed is there. What has to have some value - a number, a branch, a
//! login - has one of [two](StandIn::BOTH): what is not the same with both of them depends on the value.

use std::collections::{BTreeMap, BTreeSet};

use super::{Direction, Proposal};
use crate::Timestamp;
use crate::chain::Place;
use crate::decide::{Answers, CommitOnBranch, Edge, EdgeKey, Identity, Known, PolicyAnswer, PolicyFile};
use crate::dispatch::DispatchKey;
use crate::environment::{
    Environment, EnvironmentDescription, EnvironmentKey, EnvironmentOrigin, EnvironmentState, EnvironmentUse, Leaves,
};
use crate::event::{
    Command, CommandArgument, Commenter, Conclusion, Event, EventKind, EventRepository, Head, PullRequest,
    PullRequestAction, PullRequestState, WorkflowRun,
};
use crate::name::{
    ArgumentWord, Branch, CommentId, CommitSha, InstallationId, Login, PullRequestNumber, Repository, RepositoryId,
    RunId, TeamName, UserId,
};
use crate::pattern::PatternSet;
use crate::policy::{
    Accept, CommandPermission, CommandSource, EnvironmentAction, PullRequestSource, Source, ValuePattern,
    WorkflowRunSource,
};
use crate::ports::github::RepositoryRef;
use crate::ports::pull_requests::{PermissionAnswer, PermissionLevel};
use crate::pull_request::{PullRequestKey, PullRequestRecord};
use crate::quote::quote;

/// How many branches of a rule are tried. The others are like them.
const MAX_BRANCHES: usize = 4;

/// Values that stand for those that only the future can tell.
#[derive(Debug, Clone, Copy)]
pub(super) struct StandIn {
    /// The number of the pull request or of the run.
    number: u64,
    /// The branch of the pull request.
    branch: &'static str,
    /// Who does it.
    login: &'static str,
}

impl StandIn {
    /// Two that have nothing in common.
    pub(super) const BOTH: [Self; 2] = [
        Self { number: 1, branch: "feature", login: "somebody" },
        Self { number: 20_000, branch: "fix/another-one", login: "whoever-else" },
    ];

    fn user(&self) -> UserId {
        UserId(self.number)
    }

    fn pull_request(&self) -> PullRequestNumber {
        PullRequestNumber(self.number)
    }
}

/// An event that stands for others.
pub(super) struct Case {
    /// What it is, as the end of a sentence about the rule's source.
    pub(super) words: String,
    /// What was assumed of it.
    pub(super) assumed: String,
    pub(super) event: Event,
    stand_in: StandIn,
    /// The pull request that it is about.
    pull_request: Option<PullRequestState>,
    /// What who gives a command may do.
    level: PermissionLevel,
}

/// What all cases of a rule have in common.
struct Setting<'a> {
    repository: EventRepository,
    /// Whether the default branch is known.
    is_own: bool,
    head_sha: &'a CommitSha,
    at: Timestamp,
    stand_in: StandIn,
}

impl Case {
    /// The events that stand for what a rule is about.
    pub(super) fn of(
        proposal: &Proposal<'_>,
        source: &Source,
        direction: Direction,
        other: &Repository,
        known: &Known,
        stand_in: StandIn,
    ) -> Vec<Self> {
        let own = &proposal.event.repository;
        let is_own = direction == Direction::Out || *other == own.name;
        let repository = if is_own { own.clone() } else { elsewhere(own, other, known) };
        let PullRequestState { head_sha, updated_at, .. } = proposal.pull_request;
        let setting = Setting { repository, is_own, head_sha, at: *updated_at, stand_in };
        let theirs = known.policies.get(other).filter(|_| !is_own).map(|answer| &answer.file);
        match source {
            Source::WorkflowRun(source) => setting.runs(source),
            Source::PullRequest(source) => setting.pull_requests(source),
            Source::Command(source) => setting.commands(source, argument(source, theirs)),
        }
    }
}

/// What the word behind a command must be, by the rule of the side where it is given.
fn argument<'a>(source: &'a CommandSource, theirs: Option<&'a PolicyFile>) -> Option<&'a Accept> {
    let Some(PolicyFile::Found { policy, .. }) = theirs else { return source.argument.as_ref() };
    policy.outbound().iter().find_map(|rule| match &rule.source {
        Source::Command(given) if given.command == source.command => given.argument.as_ref(),
        _ => None,
    })
}

/// A word that is accepted, where one is found without searching.
fn word(accept: &Accept) -> Option<ArgumentWord> {
    let word = match (&accept.one_of, &accept.pattern) {
        (Some(words), _) => words.first()?.clone(),
        (None, Some(ValuePattern::Number)) => "1".to_owned(),
        (None, Some(ValuePattern::Sha)) => "3484a3f".to_owned(),
        (None, Some(ValuePattern::Glob(pattern))) => pattern.as_str().replace("**", "x").replace(['*', '?'], "x"),
        (None, _) => "main".to_owned(),
    };
    word.parse().ok()
}

/// A repository of which only the name, the id and whether it is private are known.
fn elsewhere(own: &EventRepository, other: &Repository, known: &Known) -> EventRepository {
    let (id, private) = match known.policies.get(other).and_then(|answer| answer.repository) {
        Some(Identity::Verified { id, private }) => (id, private),
        Some(Identity::Assumed) | None => (RepositoryId(0), true),
    };
    EventRepository { id, name: other.clone(), default_branch: own.default_branch.clone(), private }
}

impl Setting<'_> {
    fn runs(&self, source: &WorkflowRunSource) -> Vec<Case> {
        let one_of = |words: &BTreeSet<String>| words.first().cloned();
        let event = match &source.events {
            Some(events) if !events.contains("push") => one_of(events),
            _ => None,
        };
        let conclusion = match &source.conclusions {
            Some(conclusions) if !conclusions.contains(&Conclusion::Success) => conclusions.first().copied(),
            _ => Some(Conclusion::Success),
        };
        let run = |branch: &Branch| WorkflowRun {
            id: RunId(self.stand_in.number),
            attempt: 1,
            number: self.stand_in.number,
            workflow: Some(source.workflow.clone()),
            conclusion,
            event: event.clone().unwrap_or_else(|| "push".to_owned()),
            head_branch: Some(branch.clone()),
            head_sha: self.head_sha.clone(),
            head: Head::SameRepository,
            actor: None,
            url: format!("https://github.com/{}/actions/runs/{}", self.repository.name, self.stand_in.number),
            started_at: Some(self.at),
            updated_at: self.at,
        };
        let case = |branch: Branch| {
            let words = match source.branches {
                None if !self.is_own => "on its default branch".to_owned(),
                _ => format!("on {}", quote(&branch)),
            };
            let assumed = format!("the run {}", self.stand_in.number);
            let mut case = self.case((words, assumed), EventKind::WorkflowRun(run(&branch)));
            if !self.is_own {
                case.event.repository.default_branch = branch;
            }
            case
        };
        self.branches(source.branches.as_ref()).into_iter().map(case).collect()
    }

    fn pull_requests(&self, source: &PullRequestSource) -> Vec<Case> {
        let mut cases = Vec::new();
        for base in self.branches(source.base.as_ref()) {
            for action in &source.actions {
                let open = *action != PullRequestAction::Closed;
                let Some(now) = self.pull_request(base.clone(), open, source.draft) else { continue };
                let kind = EventKind::PullRequest(PullRequest { action: *action, now: now.clone(), sweep: None });
                let words = format!("{} into {}", quote(action), quote(&base));
                let case = self.case((words, self.assumed()), kind);
                cases.push(Case { pull_request: Some(now), ..case });
            }
        }
        cases
    }

    fn commands(&self, source: &CommandSource, argument: Option<&Accept>) -> Vec<Case> {
        let (level, who) = match &source.permission {
            None | Some(CommandPermission::Write) => (PermissionLevel::Write, "somebody who may write"),
            Some(CommandPermission::Admin) => (PermissionLevel::Admin, "an administrator"),
            Some(CommandPermission::Author) => (PermissionLevel::Read, "the author"),
            Some(CommandPermission::Team(_)) => (PermissionLevel::Write, "a member of the team"),
        };
        let commit = self.head_sha.clone();
        let argument = match argument.and_then(word) {
            Some(word) => CommandArgument::WordAndCommit(word, commit),
            None => CommandArgument::Commit(commit),
        };
        let case = |base: Branch| {
            let now = self.pull_request(base.clone(), true, source.draft)?;
            let kind = EventKind::Command(Command {
                comment: CommentId(1),
                pull_request: self.stand_in.pull_request(),
                name: source.command.clone(),
                argument: argument.clone(),
                commenter: Commenter {
                    id: self.stand_in.user(),
                    login: self.stand_in.login.parse().ok()?,
                    person: true,
                },
                created_at: self.at,
            });
            let words = format!("by {who}, on a pull request into {}", quote(&base));
            let case = self.case((words, self.assumed()), kind);
            Some(Case { pull_request: Some(now), level, ..case })
        };
        self.branches(source.base.as_ref()).into_iter().filter_map(case).collect()
    }

    fn pull_request(&self, base_branch: Branch, open: bool, draft: Option<bool>) -> Option<PullRequestState> {
        Some(PullRequestState {
            number: self.stand_in.pull_request(),
            open,
            merged: !open,
            draft: draft.unwrap_or(false),
            base_branch,
            head_branch: self.stand_in.branch.parse().ok()?,
            head_sha: self.head_sha.clone(),
            head: Head::SameRepository,
            author: Some(self.stand_in.user()),
            keep: false,
            updated_at: self.at,
        })
    }

    /// What is assumed of a pull request and of who does it.
    fn assumed(&self) -> String {
        let StandIn { number, branch, login } = self.stand_in;
        format!("pull request {number} from {} by {}", quote(branch), quote(login))
    }

    fn case(&self, (words, assumed): (String, String), kind: EventKind) -> Case {
        let event = Event {
            version: Event::VERSION,
            part: None,
            repository: self.repository.clone(),
            installation: Some(InstallationId(0)),
            sender: self.stand_in.login.parse().ok(),
            kind,
        };
        let stand_in = self.stand_in;
        Case { words, assumed, event, stand_in, pull_request: None, level: PermissionLevel::None }
    }

    /// Branches that a filter is about: those that it names, and one for each pattern; the default branch, where it is one.
    fn branches(&self, patterns: Option<&PatternSet>) -> Vec<Branch> {
        let default = &self.repository.default_branch;
        let Some(patterns) = patterns else { return vec![default.clone()] };
        let one_of = |pattern: &str| pattern.replace("**", "x").replace(['*', '?'], "x").parse::<Branch>().ok();
        let mut branches = Vec::new();
        for pattern in patterns.patterns() {
            let branch = if self.is_own && pattern.matches(default.as_str()) {
                Some(default.clone())
            } else {
                one_of(pattern.as_str())
            };
            branches.extend(branch.filter(|branch| !branches.contains(branch)));
        }
        branches.truncate(MAX_BRANCHES);
        branches
    }
}

/// What is known, and what is assumed of a case.
pub(super) struct Answered<'a> {
    pub(super) own: &'a Repository,
    pub(super) proposed: &'a PolicyAnswer,
    pub(super) known: &'a Known,
    pub(super) case: &'a Case,
    /// What is to be started.
    pub(super) target: &'a Place,
}

impl Answered<'_> {
    /// The environment that the pull request holds, so that there is one to destroy.
    fn held(&self) -> Option<Environment> {
        let now = self.case.pull_request.as_ref()?;
        let EventRepository { id, name, .. } = &self.case.event.repository;
        let source = RepositoryRef { id: *id, name: name.clone() };
        let StandIn { number, .. } = self.case.stand_in;
        let key =
            EnvironmentKey { repository: self.target.repository.clone(), name: format!("pr-{number}").parse().ok()? };
        let description = EnvironmentDescription {
            base: now.base_branch.clone(),
            deploy: now.head_branch.to_string(),
            url: Some(format!("https://pr-{number}.example.com")),
            links: BTreeMap::new(),
            cleanup: None,
            ttl: None,
        };
        let action = EnvironmentAction::Create;
        let at = now.updated_at;
        let pull_request = self.case.stand_in.pull_request();
        let wish = EnvironmentUse { key, action, pull_request, description, keep: false, at };
        let origin = EnvironmentOrigin::of(&self.case.event);
        let dispatch = DispatchKey { event: self.case.event.identity(), target: self.target.clone() };
        let environment =
            Environment::wish(None, (&source, &origin), &wish, Leaves::ThePullRequest, &dispatch, at).ok()?;
        Some(Environment { state: EnvironmentState::Live, ..environment })
    }
}

impl Answers for Answered<'_> {
    fn policy(&mut self, repository: &Repository) -> PolicyAnswer {
        let nobody = || PolicyAnswer { repository: None, file: PolicyFile::Absent };
        let answer = if repository == self.own { Some(self.proposed) } else { self.known.policies.get(repository) };
        answer.cloned().unwrap_or_else(nobody)
    }

    fn edge(&mut self, edge: &EdgeKey) -> Option<Edge> {
        self.known.edges.get(edge).copied().flatten()
    }

    fn pull_request(&mut self, number: PullRequestNumber) -> Option<PullRequestRecord> {
        let environment = self.held()?;
        let key = PullRequestKey { repository: self.case.event.repository.id, number };
        let mut record = PullRequestRecord::new(key, environment.changed_at);
        record.environments.insert(environment.key);
        Some(record)
    }

    fn pull_request_state(&mut self, _number: PullRequestNumber) -> Option<PullRequestState> {
        self.case.pull_request.clone()
    }

    fn permission(&mut self, _login: &Login) -> Option<PermissionAnswer> {
        Some(PermissionAnswer { user: self.case.stand_in.user(), level: self.case.level })
    }

    fn team_member(&mut self, _team: &TeamName, _login: &Login) -> bool {
        true
    }

    fn environment(&mut self, key: &EnvironmentKey) -> Option<Environment> {
        self.held().filter(|held| held.key == *key)
    }

    fn commit_on_branch(&mut self, _repository: &Repository, _branch: &Branch, _sha: &CommitSha) -> CommitOnBranch {
        CommitOnBranch::Assumed
    }
}
