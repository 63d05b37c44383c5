//! Events that stand for those that a rule is about, and what is assumed of them.
//!
//! What only the future can tell is assumed in favour of the rule: who gives a command may, the commit is where it should
//! be, nothing was started before, and what is to be destroyed is there. What has to have some value - a number, a branch, a
//! login - has one of [two](StandIn::BOTH): what is not the same with both of them depends on the value.

use std::collections::{BTreeMap, BTreeSet};

use crate::Timestamp;
use crate::chain::Place;
use crate::decide::{Answers, CommitOnBranch, Edge, EdgeKey, Known, PolicyAnswer, PolicyFile};
use crate::dispatch::DispatchKey;
use crate::environment::{
    Environment, EnvironmentDescription, EnvironmentKey, EnvironmentOrigin, EnvironmentState, EnvironmentUse, Leaves,
};
use crate::event::{
    Command, CommandArgument, Commenter, Conclusion, Event, EventKind, EventRepository, Head, PullRequest,
    PullRequestAction, PullRequestState, WorkflowRun,
};
use crate::name::{
    ArgumentWord, Branch, CommentId, CommitSha, InstallationId, Login, PullRequestNumber, Repository, RunId, TeamName,
    UserId,
};
use crate::pattern::{Pattern, PatternSet};
use crate::policy::{
    Accept, CommandPermission, CommandSource, EnvironmentAction, Policy, PullRequestSource, Source, ValuePattern,
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
pub(crate) struct StandIn {
    /// The number of the pull request or of the run.
    number: u64,
    /// The branch of the pull request.
    branch: &'static str,
    /// Who does it.
    login: &'static str,
}

impl StandIn {
    /// Two that have nothing in common.
    pub(crate) const BOTH: [Self; 2] = [
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
pub(crate) struct Case {
    /// What it is, as the end of a sentence about the rule's source.
    pub(crate) words: String,
    /// What was assumed of it.
    pub(crate) assumed: String,
    pub(crate) event: Event,
    stand_in: StandIn,
    /// The pull request that it is about.
    pull_request: Option<PullRequestState>,
    /// What who gives a command may do.
    level: PermissionLevel,
}

impl Case {
    /// What tells it from other cases of its repository: of those that are alike, the same is decided.
    pub(crate) fn key(&self) -> String {
        let Self { words: _, assumed: _, event, stand_in, pull_request, level } = self;
        format!("{event:?} {stand_in:?} {pull_request:?} {level:?}")
    }
}

/// What all cases of a rule have in common.
pub(crate) struct Setting<'a> {
    /// Where it happens.
    pub(crate) repository: EventRepository,
    /// Whether its default branch is known.
    pub(crate) is_own: bool,
    /// The commit that it is about.
    pub(crate) head_sha: &'a CommitSha,
    /// When it happens.
    pub(crate) at: Timestamp,
    /// What stands for the rest.
    pub(crate) stand_in: StandIn,
}

/// What the word behind a command must be, by the rule of the side where it is given. `theirs`: that side's file, where it
/// is not the file of the rule itself.
fn argument<'a>(source: &'a CommandSource, theirs: Option<&'a Policy>) -> Option<&'a Accept> {
    let Some(policy) = theirs else { return source.argument.as_ref() };
    policy.outbound().iter().find_map(|rule| match &rule.source {
        Source::Command(given) if given.command == source.command => given.argument.as_ref(),
        _ => None,
    })
}

/// A text that a pattern matches.
pub(crate) fn sample(pattern: &Pattern) -> String {
    pattern.as_str().replace("**", "x").replace(['*', '?'], "x")
}

/// A word that is accepted, where one is found without searching.
fn word(accept: &Accept) -> Option<ArgumentWord> {
    let word = match (&accept.one_of, &accept.pattern) {
        (Some(words), _) => words.first()?.clone(),
        (None, Some(ValuePattern::Number)) => "1".to_owned(),
        (None, Some(ValuePattern::Sha)) => "3484a3f".to_owned(),
        (None, Some(ValuePattern::Glob(pattern))) => sample(pattern),
        (None, _) => "main".to_owned(),
    };
    word.parse().ok()
}

impl Setting<'_> {
    /// The events that stand for what a rule is about. `theirs`: the file of the side where it happens, where it is not the
    /// file of the rule itself.
    pub(crate) fn cases(&self, source: &Source, theirs: Option<&Policy>) -> Vec<Case> {
        match source {
            Source::WorkflowRun(source) => self.runs(source),
            Source::PullRequest(source) => self.pull_requests(source),
            Source::Command(source) => self.commands(source, argument(source, theirs)),
        }
    }

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
        let mut branches = Vec::new();
        for pattern in patterns.patterns() {
            let branch = if self.is_own && pattern.matches(default.as_str()) {
                Some(default.clone())
            } else {
                sample(pattern).parse().ok()
            };
            branches.extend(branch.filter(|branch| !branches.contains(branch)));
        }
        branches.truncate(MAX_BRANCHES);
        branches
    }
}

/// What is known, and what is assumed of a case.
pub(crate) struct Answered<'a> {
    pub(crate) own: &'a Repository,
    pub(crate) proposed: &'a PolicyAnswer,
    pub(crate) known: &'a Known,
    pub(crate) case: &'a Case,
    /// What is to be started.
    pub(crate) target: &'a Place,
}

impl Answered<'_> {
    /// The environment that the pull request holds, so that there is one to destroy.
    fn held(&self) -> Option<Environment> {
        let now = self.case.pull_request.as_ref()?;
        let name = format!("pr-{}", self.case.stand_in.number).parse().ok()?;
        let key = EnvironmentKey { repository: self.target.repository.clone(), name };
        live(&self.case.event, now, key, self.target)
    }
}

/// An environment that is there, as if the pull request had created it through that target.
pub(crate) fn live(event: &Event, now: &PullRequestState, key: EnvironmentKey, target: &Place) -> Option<Environment> {
    let EventRepository { id, name, .. } = &event.repository;
    let source = RepositoryRef { id: *id, name: name.clone() };
    let description = EnvironmentDescription {
        base: now.base_branch.clone(),
        deploy: now.head_branch.to_string(),
        url: Some(format!("https://{}.example.com", key.name)),
        links: BTreeMap::new(),
        cleanup: None,
        ttl: None,
    };
    let (action, at, pull_request) = (EnvironmentAction::Create, now.updated_at, now.number);
    let wish = EnvironmentUse { key, action, pull_request, description, keep: false, at };
    let origin = EnvironmentOrigin::of(event);
    let dispatch = DispatchKey { event: event.identity(), target: target.clone() };
    let environment = Environment::wish(None, (&source, &origin), &wish, Leaves::ThePullRequest, &dispatch, at).ok()?;
    Some(Environment { state: EnvironmentState::Live, ..environment })
}

impl Answers for Answered<'_> {
    fn policy(&mut self, repository: &Repository) -> PolicyAnswer {
        let nobody = || PolicyAnswer { repository: None, file: PolicyFile::Absent };
        let answer = if repository == self.own { Some(self.proposed) } else { self.known.policies.get(repository) };
        answer.cloned().unwrap_or_else(nobody)
    }

    fn limits_seen(&mut self, repository: &Repository) -> bool {
        self.known.limits_seen.get(repository).copied().unwrap_or_default()
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
