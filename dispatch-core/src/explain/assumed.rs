//! What is taken for true where nobody asked GitHub or the store.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::nearest::{ExplainedNearest, nearest};
use crate::Timestamp;
use crate::chain::{Chain, Place};
use crate::decide::{
    Answers, CheckedDispatch, CommitOnBranch, Edge, EdgeKey, Identity, LaneKey, PolicyAnswer, PolicyFile, Skipped,
    decide_with,
};
use crate::delivery::DeliveryKey;
use crate::environment::{Environment, EnvironmentKey};
use crate::event::{Command, Event, EventIdentity, EventKind, PullRequestState};
use crate::guardrail::Guardrails;
use crate::name::{Branch, CheckId, CommitSha, EnvironmentName, Login, PullRequestNumber, Repository, RunId, TeamName};
use crate::policy::{EnvironmentAction, OutboundRule, Policy, RuleLocation, Source};
use crate::ports::pull_requests::{PermissionAnswer, PermissionLevel};
use crate::pull_request::{PullRequestKey, PullRequestRecord, SeenHead};
use crate::quote::quote;
use crate::reason::Reason;
use crate::stand_in;
use crate::template::Variable;

/// What whoever asks knows of what only GitHub or the store could tell.
#[derive(Debug, Clone, Default)]
pub struct Given {
    /// What who gives a command, or wants a check again, may do in the event's repository. None: everything.
    pub permission: Option<PermissionLevel>,
    /// The teams that he is in. None: every one that is asked about.
    pub teams: Option<BTreeSet<TeamName>>,
    /// How the pull request of a command is. None: open, without anything special.
    pub pull_request: Option<PullRequestState>,
    /// The event that a check run tells of. None: nobody knows, and nothing can be decided.
    pub checked: Option<Box<Event>>,
    /// The target that a check run tells of. None: each one of that event.
    pub checked_target: Option<Place>,
}

/// Passes lookups on, answers what nobody knows with what is given or in favour, and keeps what was only assumed.
pub(super) struct Recorder<'a, A> {
    answers: &'a mut A,
    event: &'a Event,
    given: &'a Given,
    assumed: Vec<String>,
    /// The policies of owners' `.github` repositories that were asked for, and where they are.
    pub(super) owners: BTreeMap<Repository, (RuleLocation, Arc<Policy>)>,
    /// The event's own policy file.
    source: Option<PolicyAnswer>,
    /// The target that a check is taken to tell of.
    pub(super) wanted: Option<Place>,
}

impl<'a, A: Answers> Recorder<'a, A> {
    pub(super) fn new(answers: &'a mut A, event: &'a Event, given: &'a Given, assumed: Vec<String>) -> Self {
        let wanted = given.checked_target.clone();
        Self { answers, event, given, assumed, owners: BTreeMap::new(), source: None, wanted }
    }

    /// What was assumed, each sentence once, and what came nearest where no rule is about the event.
    pub(super) fn end(self, skipped: Option<&Skipped>) -> (Vec<String>, Option<ExplainedNearest>) {
        let nameless = skipped.filter(|skipped| skipped.outbound_rule.is_none());
        let about_rules =
            nameless.filter(|skipped| matches!(skipped.reason, Reason::NoRuleMatched | Reason::UnknownCommand));
        let nearest = about_rules.and_then(|_| nearest(self.event, self.source.as_ref()?));
        (self.assumed, nearest)
    }

    /// The targets of the event that a check tells of, where nobody knows which one of them it is.
    pub(super) fn other_targets(&mut self, guardrails: &Guardrails) -> Vec<Place> {
        let (EventKind::CheckRerequest(_), Some(event), None) =
            (&self.event.kind, &self.given.checked, &self.given.checked_target)
        else {
            return Vec::new();
        };
        let plan = decide_with(event, guardrails, self);
        let places: BTreeSet<_> = plan.decisions.into_iter().map(|decision| decision.target).collect();
        places.into_iter().collect()
    }

    /// Keeps what was assumed, once.
    fn assume(&mut self, sentence: String) {
        if !self.assumed.contains(&sentence) {
            self.assumed.push(sentence);
        }
    }

    /// The command that it is about, and who gave it.
    fn command(&self) -> Option<&'a Command> {
        let event = match &self.event.kind {
            EventKind::CheckRerequest(_) => self.given.checked.as_deref()?,
            _ => self.event,
        };
        match &event.kind {
            EventKind::Command(command) => Some(command),
            _ => None,
        }
    }

    /// How a pull request is: as its webhook, or whoever asks, says.
    fn state(&self, number: PullRequestNumber) -> Option<PullRequestState> {
        let event = self.given.checked.as_deref().unwrap_or(self.event);
        let said = match &event.kind {
            EventKind::PullRequest(pull_request) => Some(&pull_request.now),
            _ => self.given.pull_request.as_ref(),
        };
        match said {
            Some(now) => Some(PullRequestState { number, ..now.clone() }),
            None => PullRequestState::plain(number, event, self.command()?),
        }
    }

    /// The environments that rules would destroy, as if the pull request had created them.
    fn held(&self, number: PullRequestNumber) -> Vec<Environment> {
        let Some(PolicyAnswer { file: PolicyFile::Found { policy, .. }, .. }) = &self.source else { return Vec::new() };
        let Some(now) = self.state(number) else { return Vec::new() };
        let event = self.given.checked.as_deref().unwrap_or(self.event);
        let value = |variable| (variable == Variable::PrNumber).then(|| number.to_string());
        let rule = policy.environment_for(&now.base_branch);
        let name = rule.and_then(|rule| rule.name.render(value).ok()).unwrap_or_else(|| format!("pr-{number}"));
        let Ok(name) = name.parse::<EnvironmentName>() else { return Vec::new() };
        let is_meant = |rule: &&OutboundRule| match (&rule.source, &event.kind) {
            (Source::PullRequest(source), EventKind::PullRequest(it)) => source.actions.contains(&it.action),
            (Source::Command(source), EventKind::Command(it)) => source.command == it.name,
            _ => false,
        };
        let targets = policy.outbound().iter().filter(is_meant).flat_map(|rule| &rule.targets);
        let destroying = targets.filter(|target| target.environment == Some(EnvironmentAction::Destroy));
        let places: BTreeMap<_, _> = destroying.map(|target| (&target.repository, &target.start)).collect();
        let held = places.into_iter().filter_map(|(repository, start)| {
            let key = EnvironmentKey { repository: repository.clone(), name: name.clone() };
            let target = Place { repository: repository.clone(), start: start.clone() };
            stand_in::live(event, &now, key, &target)
        });
        held.collect()
    }

    fn own(&self) -> impl std::fmt::Display + use<'a, A> {
        quote(&self.event.repository.name)
    }
}

impl<A: Answers> Answers for Recorder<'_, A> {
    fn policy(&mut self, repository: &Repository) -> PolicyAnswer {
        let answer = self.answers.policy(repository);
        if *repository == self.event.repository.name {
            self.source = Some(answer.clone());
        }
        let of_owner = *repository == repository.owner().dot_github();
        if let PolicyFile::Found { path, policy } = &answer.file
            && of_owner
        {
            let place = RuleLocation { repository: repository.clone(), path: *path, line: 1 };
            self.owners.insert(repository.clone(), (place, Arc::clone(policy)));
        }
        let other = *repository != self.event.repository.name && !of_owner;
        if answer.repository == Some(Identity::Assumed) && other {
            self.assume(format!("{} is the repository that its name has always meant", quote(repository)));
        }
        answer
    }

    fn chain(&mut self, run: RunId) -> Option<Chain> {
        let chain = self.answers.chain(run);
        if chain.is_none() {
            self.assume(format!("no dispatch started run {run}"));
        }
        chain
    }

    fn edge(&mut self, edge: &EdgeKey) -> Option<Edge> {
        self.answers.edge(edge)
    }

    fn lane(&mut self, lane: &LaneKey) -> Option<u64> {
        let newest = self.answers.lane(lane);
        if newest.is_none() {
            self.assume(format!(
                "no newer run has started {} in {}",
                quote(&lane.target.start),
                quote(&lane.target.repository)
            ));
        }
        newest
    }

    fn root_spent(&mut self, root: &EventIdentity) -> u32 {
        let spent = self.answers.root_spent(root);
        if spent == 0 {
            self.assume(format!("nothing else was started along the chain of {}", quote(root.as_str())));
        }
        spent
    }

    fn edge_uses(&mut self, target: &Place) -> u32 {
        let uses = self.answers.edge_uses(target);
        if uses == 0 {
            self.assume(format!(
                "{} has not started {} of {} within the hour",
                quote(&self.event.repository.name),
                quote(&target.start),
                quote(&target.repository)
            ));
        }
        uses
    }

    fn pull_request(&mut self, number: PullRequestNumber) -> Option<PullRequestRecord> {
        if let Some(record) = self.answers.pull_request(number) {
            return Some(record);
        }
        let now = self.state(number)?;
        if self.command().is_some_and(|command| command.argument.commit().is_none()) {
            let sha = quote(&now.head_sha);
            self.assume(format!("commit {sha} was the newest of pull request {number} before the command was given"));
        }
        let mut record =
            PullRequestRecord::new(PullRequestKey { repository: self.event.repository.id, number }, now.updated_at);
        record.heads.push(SeenHead { sha: now.head_sha, since: Timestamp::MIN });
        for environment in self.held(number) {
            let EnvironmentKey { repository, name } = &environment.key;
            self.assume(format!("pull request {number} has {} in {}", quote(name), quote(repository)));
            record.environments.insert(environment.key);
        }
        Some(record)
    }

    fn pull_request_state(&mut self, number: PullRequestNumber) -> Option<PullRequestState> {
        if let Some(now) = self.answers.pull_request_state(number) {
            return Some(now);
        }
        let now = self.state(number)?;
        if self.given.pull_request.is_none() && self.command().is_some() {
            let (head, base) = (quote(&now.head_branch), quote(&now.base_branch));
            let own = self.own();
            self.assume(format!("pull request {number} of {own} is open, and wants to change {base} with {head}"));
        }
        Some(now)
    }

    fn permission(&mut self, login: &Login) -> Option<PermissionAnswer> {
        if let Some(answer) = self.answers.permission(login) {
            return Some(answer);
        }
        let again = match &self.event.kind {
            EventKind::CheckRerequest(check) => Some(&check.by),
            _ => None,
        };
        let all = again.into_iter().chain(self.command().map(|command| &command.commenter));
        let user = all.into_iter().find(|by| by.login == *login)?.id;
        let level = self.given.permission.unwrap_or(PermissionLevel::Admin);
        if self.given.permission.is_none() {
            let own = self.own();
            self.assume(format!("{} may do everything in {own}", quote(login)));
        }
        Some(PermissionAnswer { user, level })
    }

    fn team_member(&mut self, team: &TeamName, login: &Login) -> bool {
        if self.answers.team_member(team, login) {
            return true;
        }
        match &self.given.teams {
            Some(teams) => teams.contains(team),
            None => {
                self.assume(format!("{} is a member of {}", quote(login), quote(team)));
                true
            }
        }
    }

    fn environment(&mut self, key: &EnvironmentKey) -> Option<Environment> {
        let known = self.answers.environment(key);
        let number = match &self.given.checked.as_deref().unwrap_or(self.event).kind {
            EventKind::PullRequest(pull_request) => Some(pull_request.now.number),
            EventKind::Command(command) => Some(command.pull_request),
            _ => None,
        };
        known.or_else(|| self.held(number?).into_iter().find(|held| held.key == *key))
    }

    fn check(&mut self, id: &CheckId) -> Option<CheckedDispatch> {
        if let Some(checked) = self.answers.check(id) {
            return Some(checked);
        }
        let Some(event) = &self.given.checked else {
            self.assume(format!("nothing: of the event that check {} tells of nothing is known", quote(id)));
            return None;
        };
        let target = self.wanted.clone()?;
        let what = format!("{} in {}", quote(&target.start), quote(&target.repository));
        self.assume(format!("the check tells of {what}, which is not under way"));
        let delivery = DeliveryKey { id: "explained".parse().ok()?, body_sha256: "0".repeat(64) };
        let head_sha = "0".repeat(40).parse().ok()?;
        Some(CheckedDispatch { delivery, event: (**event).clone(), target, head_sha, in_flight: false })
    }

    fn commit_on_branch(&mut self, repository: &Repository, branch: &Branch, sha: &CommitSha) -> CommitOnBranch {
        let proof = self.answers.commit_on_branch(repository, branch, sha);
        if proof == CommitOnBranch::Assumed {
            self.assume(format!("commit {} has been on {} of {}", quote(sha), quote(branch), quote(repository)));
        }
        proof
    }
}
