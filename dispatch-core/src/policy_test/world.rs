//! The decision about a test, with its `when` in the place of GitHub and of the service's store.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::when::{AT, BEFORE, SENDER, Situation};
use crate::decide::{
    Answers, CommitOnBranch, Decision, Identity, LaneKey, PolicyAnswer, PolicyFile, Skipped, decide_with,
};
use crate::diagnostic::Diagnostics;
use crate::environment::{Environment, EnvironmentKey};
use crate::event::PullRequestState;
use crate::guardrail::Guardrails;
use crate::name::{Branch, CommitSha, Login, PullRequestNumber, Repository, TeamName};
use crate::ports::pull_requests::PermissionAnswer;
use crate::pull_request::{PullRequestKey, PullRequestRecord, SeenHead};

/// What was decided.
pub(super) struct Decided {
    pub(super) skipped: Option<Skipped>,
    pub(super) decisions: Vec<Decision>,
    /// The policy files that were looked at and have errors.
    pub(super) invalid: BTreeMap<Repository, Arc<Diagnostics>>,
}

/// Decides as the service does: also about the environments that it leaves to parts of the event.
pub(super) fn decide(
    situation: &Situation,
    limits: &Guardrails,
    policies: impl FnMut(&Repository) -> PolicyFile,
) -> Decided {
    let mut event = situation.event.clone();
    let limits = limits.clone().with_app_owner(event.repository.name.owner());
    let mut world = World { situation, policies, invalid: BTreeMap::new() };
    let plan = decide_with(&event, &limits, &mut world);
    let mut decisions = plan.decisions;
    for environment in plan.further {
        event.part = Some(environment);
        decisions.extend(decide_with(&event, &limits, &mut world).decisions);
    }
    Decided { skipped: plan.skipped, decisions, invalid: world.invalid }
}

struct World<'s, P> {
    situation: &'s Situation,
    policies: P,
    invalid: BTreeMap<Repository, Arc<Diagnostics>>,
}

impl<P: FnMut(&Repository) -> PolicyFile> Answers for World<'_, P> {
    fn policy(&mut self, repository: &Repository) -> PolicyAnswer {
        let file = (self.policies)(repository);
        if let PolicyFile::Invalid { diagnostics, .. } = &file {
            self.invalid.insert(repository.clone(), Arc::clone(diagnostics));
        }
        PolicyAnswer { repository: Some(Identity::Assumed), file }
    }

    fn lane(&mut self, _lane: &LaneKey) -> Option<u64> {
        self.situation.newer_run.then_some(u64::MAX)
    }

    fn pull_request(&mut self, number: PullRequestNumber) -> Option<PullRequestRecord> {
        let now = self.situation.pull_request.as_ref().filter(|now| now.number == number)?;
        let key = PullRequestKey { repository: self.situation.event.repository.id, number };
        let environments: BTreeSet<_> = self.situation.environments.keys().cloned().collect();
        // Its newest commit was the newest before a command was given.
        let heads = vec![SeenHead { sha: now.head_sha.clone(), since: BEFORE }];
        Some(PullRequestRecord { heads, environments, ..PullRequestRecord::new(key, AT) })
    }

    fn pull_request_state(&mut self, number: PullRequestNumber) -> Option<PullRequestState> {
        self.situation.pull_request.clone().filter(|now| now.number == number)
    }

    fn permission(&mut self, _login: &Login) -> Option<PermissionAnswer> {
        Some(PermissionAnswer { user: SENDER, level: self.situation.level })
    }

    fn team_member(&mut self, team: &TeamName, _login: &Login) -> bool {
        self.situation.teams.contains(team)
    }

    fn environment(&mut self, key: &EnvironmentKey) -> Option<Environment> {
        self.situation.environments.get(key).cloned()
    }

    fn commit_on_branch(&mut self, _: &Repository, _: &Branch, _: &CommitSha) -> CommitOnBranch {
        CommitOnBranch::Assumed
    }
}
