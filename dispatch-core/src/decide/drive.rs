//! The loop around the decision, for callers whose lookups do not wait.

use super::{
    CheckedDispatch, CommitOnBranch, Decided, Edge, EdgeKey, Known, LaneKey, Lookup, Plan, PolicyAnswer, decide,
};
use crate::chain::{Chain, Place};
use crate::environment::{Environment, EnvironmentKey};
use crate::event::{Event, EventIdentity, PullRequestState};
use crate::guardrail::Guardrails;
use crate::name::{Branch, CheckId, CommitSha, Login, PullRequestNumber, Repository, RunId, TeamName};
use crate::ports::pull_requests::PermissionAnswer;
use crate::pull_request::PullRequestRecord;

/// Where [`decide_with`] looks things up. Only policies must be answered: by default nothing was ever started before, and
/// no commit is proven to be anywhere.
pub trait Answers {
    /// The policy file of a repository, on its default branch.
    fn policy(&mut self, repository: &Repository) -> PolicyAnswer;

    /// Whether the policy file of a `.github` repository has held its owner's limits before.
    fn limits_seen(&mut self, _repository: &Repository) -> bool {
        false
    }

    /// The chain that led to a run, if something here started it.
    fn chain(&mut self, _run: RunId) -> Option<Chain> {
        None
    }

    /// Which repositories were behind two names when their edge was first used.
    fn edge(&mut self, _edge: &EdgeKey) -> Option<Edge> {
        None
    }

    /// The number of the newest run that a lane has dispatched.
    fn lane(&mut self, _lane: &LaneKey) -> Option<u64> {
        None
    }

    /// How much of a root's budget other events of its chain have spent, in dispatches.
    fn root_spent(&mut self, _root: &EventIdentity) -> u32 {
        0
    }

    /// How often the event's repository has used this target within the hour.
    fn edge_uses(&mut self, _target: &Place) -> u32 {
        0
    }

    /// What is remembered of a pull request of the event's repository.
    fn pull_request(&mut self, _number: PullRequestNumber) -> Option<PullRequestRecord> {
        None
    }

    /// How a pull request of the event's repository is now.
    fn pull_request_state(&mut self, _number: PullRequestNumber) -> Option<PullRequestState> {
        None
    }

    /// What a person may do in the event's repository.
    fn permission(&mut self, _login: &Login) -> Option<PermissionAnswer> {
        None
    }

    /// Whether a person is an active member of a team.
    fn team_member(&mut self, _team: &TeamName, _login: &Login) -> bool {
        false
    }

    /// An environment.
    fn environment(&mut self, _key: &EnvironmentKey) -> Option<Environment> {
        None
    }

    /// What a check run of this App tells of.
    fn check(&mut self, _id: &CheckId) -> Option<CheckedDispatch> {
        None
    }

    /// Whether a commit has been on a branch.
    fn commit_on_branch(&mut self, _repository: &Repository, _branch: &Branch, _sha: &CommitSha) -> CommitOnBranch {
        CommitOnBranch::NotProven
    }
}

/// Decides about one event, looking up what the decision needs and nothing else.
///
/// ```
/// use std::collections::BTreeMap;
/// use dispatch_core::decide::{Answers, Identity, PolicyAnswer, PolicyFile, decide_with};
/// use dispatch_core::guardrail::Guardrails;
/// use dispatch_core::name::Repository;
/// use dispatch_core::webhook::{Webhook, parse};
///
/// /// Nobody has written a policy file yet.
/// struct NoFiles;
///
/// impl Answers for NoFiles {
///     fn policy(&mut self, _repository: &Repository) -> PolicyAnswer {
///         PolicyAnswer { repository: Some(Identity::Assumed), file: PolicyFile::Absent }
///     }
/// }
///
/// let body = br#"{
///     "action": "completed",
///     "workflow_run": {
///         "id": 1, "run_number": 1, "path": ".github/workflows/ci.yml", "conclusion": "success", "event": "push",
///         "head_branch": "main", "head_sha": "3484a3fb816e0859fd6e1cea078d76385ff50625", "head_repository": { "id": 11 },
///         "updated_at": "2026-01-02T03:05:06Z"
///     },
///     "repository": { "id": 11, "full_name": "acme/api", "default_branch": "main", "private": false },
///     "installation": { "id": 5 }
/// }"#;
/// let Webhook::Event(event) = parse("workflow_run", body)? else { panic!("ignored") };
/// let settings = BTreeMap::from([("OWNER_ALLOWLIST".to_owned(), "acme".to_owned())]);
///
/// let plan = decide_with(&event, &Guardrails::from_settings(&settings)?, &mut NoFiles);
/// assert_eq!(plan.skipped.unwrap().reason.code(), "source_policy_missing");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn decide_with(event: &Event, guardrails: &Guardrails, answers: &mut impl Answers) -> Plan {
    let mut known = Known::default();
    loop {
        match decide(event, &known, guardrails) {
            Decided::Plan(plan) => return plan,
            Decided::Need(lookups) => lookups.into_iter().for_each(|lookup| known.look_up(lookup, answers)),
        }
    }
}

impl Known {
    /// Adds the answer to one lookup.
    pub fn look_up(&mut self, lookup: Lookup, answers: &mut impl Answers) {
        match lookup {
            Lookup::Policy(repository) => {
                let answer = answers.policy(&repository);
                self.policies.insert(repository, answer);
            }
            Lookup::LimitsSeen(repository) => {
                let seen = answers.limits_seen(&repository);
                self.limits_seen.insert(repository, seen);
            }
            Lookup::Chain(run) => {
                self.chains.insert(run, answers.chain(run));
            }
            Lookup::Edge(edge) => {
                let answer = answers.edge(&edge);
                self.edges.insert(edge, answer);
            }
            Lookup::Lane(lane) => {
                let answer = answers.lane(&lane);
                self.lanes.insert(lane, answer);
            }
            Lookup::RootSpent(root) => {
                let answer = answers.root_spent(&root);
                self.root_spent.insert(root, answer);
            }
            Lookup::EdgeUses(target) => {
                let answer = answers.edge_uses(&target);
                self.edge_uses.insert(target, answer);
            }
            Lookup::PullRequest(number) => {
                self.pull_requests.insert(number, answers.pull_request(number));
            }
            Lookup::PullRequestState(number) => {
                self.pull_request_states.insert(number, answers.pull_request_state(number));
            }
            Lookup::Permission(login) => {
                let answer = answers.permission(&login);
                self.permissions.insert(login, answer);
            }
            Lookup::TeamMember(team, login) => {
                let answer = answers.team_member(&team, &login);
                self.team_members.insert((team, login), answer);
            }
            Lookup::Environment(key) => {
                let answer = answers.environment(&key);
                self.environments.insert(key, answer);
            }
            Lookup::Check(id) => {
                let answer = answers.check(&id);
                self.checks.insert(id, answer);
            }
            Lookup::CommitOnBranch { repository, branch, sha } => {
                self.commit_on_branch = Some(answers.commit_on_branch(&repository, &branch, &sha));
            }
        }
    }
}
