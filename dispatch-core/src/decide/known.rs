//! What a decision asks, and the answers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::chain::{Chain, Place};
use crate::delivery::DeliveryKey;
use crate::diagnostic::{Diagnostics, visible};
use crate::environment::{Environment, EnvironmentKey};
use crate::event::{Event, EventIdentity, PullRequestState};
use crate::name::{Branch, CheckId, CommitSha, Login, PullRequestNumber, Repository, RepositoryId, RunId, TeamName};
use crate::policy::{Checked, Policy, PolicyPath};
use crate::ports::pull_requests::PermissionAnswer;
use crate::pull_request::PullRequestRecord;

/// A question to the outside.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Lookup {
    /// The policy file of a repository, on its default branch.
    Policy(Repository),
    /// Whether the policy file of this `.github` repository has held its owner's limits before.
    LimitsSeen(Repository),
    /// The chain that led to this run, if something here started it.
    Chain(RunId),
    /// Which repositories were behind the two names when this edge was first used.
    Edge(EdgeKey),
    /// The newest run that this lane has dispatched.
    Lane(LaneKey),
    /// How much of a root's budget other events of its chain have spent.
    RootSpent(EventIdentity),
    /// How often the event's repository has used this target within the hour.
    EdgeUses(Place),
    /// What is remembered of a pull request of the event's repository.
    PullRequest(PullRequestNumber),
    /// How a pull request of the event's repository is now.
    PullRequestState(PullRequestNumber),
    /// What a person may do in the event's repository.
    Permission(Login),
    /// Whether a person is an active member of a team.
    TeamMember(TeamName, Login),
    /// An environment.
    Environment(EnvironmentKey),
    /// What a check run of this App tells of.
    Check(CheckId),
    /// Whether the commit has been on the branch.
    CommitOnBranch {
        /// Where.
        repository: Repository,
        /// The branch.
        branch: Branch,
        /// The commit.
        sha: CommitSha,
    },
}

/// The answers so far. A lookup that is not in here has not been made.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Known {
    /// Policy files.
    #[serde(with = "pairs")]
    pub policies: BTreeMap<Repository, PolicyAnswer>,
    /// Whether `.github` repositories have held their owners' limits before.
    #[serde(with = "pairs")]
    pub limits_seen: BTreeMap<Repository, bool>,
    /// Chains; None: nothing here started the run.
    #[serde(with = "pairs")]
    pub chains: BTreeMap<RunId, Option<Chain>>,
    /// Edges; None: never used.
    #[serde(with = "pairs")]
    pub edges: BTreeMap<EdgeKey, Option<Edge>>,
    /// Lanes: the number of the newest run dispatched; None: none.
    #[serde(with = "pairs")]
    pub lanes: BTreeMap<LaneKey, Option<u64>>,
    /// What other events of the chain have spent of the root's budget, in dispatches.
    #[serde(with = "pairs")]
    pub root_spent: BTreeMap<EventIdentity, u32>,
    /// How often the event's repository has used the targets within the hour.
    #[serde(with = "pairs")]
    pub edge_uses: BTreeMap<Place, u32>,
    /// What is remembered of pull requests; None: nothing.
    #[serde(with = "pairs")]
    pub pull_requests: BTreeMap<PullRequestNumber, Option<PullRequestRecord>>,
    /// How pull requests are now; None: GitHub does not tell. That is never "closed".
    #[serde(with = "pairs")]
    pub pull_request_states: BTreeMap<PullRequestNumber, Option<PullRequestState>>,
    /// What people may do; None: GitHub knows no such account, or does not tell.
    #[serde(with = "pairs")]
    pub permissions: BTreeMap<Login, Option<PermissionAnswer>>,
    /// Who is a member of which team.
    #[serde(with = "pairs")]
    pub team_members: BTreeMap<(TeamName, Login), bool>,
    /// Environments; None: never created.
    #[serde(with = "pairs")]
    pub environments: BTreeMap<EnvironmentKey, Option<Environment>>,
    /// What check runs tell of; None: of nothing that is known.
    #[serde(with = "pairs")]
    pub checks: BTreeMap<CheckId, Option<CheckedDispatch>>,
    /// Whether the event's commit has been on the event's branch.
    pub commit_on_branch: Option<CommitOnBranch>,
    /// Why GitHub refused an answer that reads as a no, for those who are told of it.
    #[serde(with = "pairs")]
    pub refusals: BTreeMap<Lookup, String>,
}

impl Known {
    /// Takes a refusal for a no.
    pub(crate) fn refuse(&mut self, lookup: Lookup, why: String) {
        match &lookup {
            Lookup::PullRequestState(number) => _ = self.pull_request_states.insert(*number, None),
            Lookup::Permission(login) => _ = self.permissions.insert(login.clone(), None),
            Lookup::TeamMember(team, login) => _ = self.team_members.insert((team.clone(), login.clone()), false),
            _ => {}
        }
        self.refusals.insert(lookup, why);
    }

    /// Why there is no better answer, as the end of a sentence.
    pub(super) fn why_not_told(&self, lookup: &Lookup) -> String {
        self.refusals.get(lookup).map(|refusal| format!(": {}", visible(refusal))).unwrap_or_default()
    }
}

/// What a check run of this App tells of.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CheckedDispatch {
    /// The delivery of that event.
    pub delivery: DeliveryKey,
    /// The event that was decided about.
    pub event: Event,
    /// The target.
    pub target: Place,
    /// The commit that the check is shown on.
    pub head_sha: CommitSha,
    /// Whether its dispatch, or the run that it started, has not ended.
    pub in_flight: bool,
}

/// What is known of a repository's policy file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PolicyAnswer {
    /// The repository behind the name; None where nobody answers to it.
    pub repository: Option<Identity>,
    /// Its file.
    pub file: PolicyFile,
}

/// The repository behind a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Identity {
    /// GitHub said so.
    Verified {
        /// Its id.
        id: RepositoryId,
        /// Whether strangers cannot see it.
        private: bool,
    },
    /// Nobody was asked: for explanations offline. The pipeline starts nothing on an assumption.
    Assumed,
}

/// A policy file as an answer. A file that could not be read (rate limit, 5xx) is no answer: ask again later.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicyFile {
    /// A file without errors.
    Found {
        /// Where.
        path: PolicyPath,
        /// What it means.
        policy: Arc<Policy>,
    },
    /// A file with errors: it means nothing.
    Invalid {
        /// Where.
        path: PolicyPath,
        /// Its errors.
        diagnostics: Arc<Diagnostics>,
    },
    /// No file in either place, or no such repository.
    Absent,
    /// The App is not installed on the repository.
    NotInstalled,
    /// GitHub refuses to let the App read it, and says why.
    Refused(String),
}

impl PolicyFile {
    /// A file that was read there.
    #[must_use]
    pub fn of(path: PolicyPath, checked: Checked) -> Self {
        match checked.policy {
            Some(policy) => Self::Found { path, policy: Arc::new(policy) },
            None => Self::Invalid { path, diagnostics: Arc::new(checked.diagnostics) },
        }
    }
}

/// Whether the event's commit has been on its branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommitOnBranch {
    /// A signed push webhook or GitHub's comparison said so.
    Proven,
    /// It has not, or the branch is gone.
    NotProven,
    /// Nobody was asked: for explanations offline.
    Assumed,
}

/// Two repositories, one of which starts something in the other. Consent attaches to the ids behind the names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EdgeKey {
    /// Where it happens.
    pub source: Repository,
    /// Where something starts.
    pub target: Repository,
}

/// Which repositories were behind the names of an edge when it was first used, or last confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edge {
    /// The source's id.
    pub source: RepositoryId,
    /// The target's id.
    pub target: RepositoryId,
}

/// The runs of one workflow on one branch that start one target: the newest of them wins.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LaneKey {
    /// The workflow whose runs start something.
    pub source: Place,
    /// The branch that they run on; None for runs of which GitHub names none.
    pub branch: Option<Branch>,
    /// What they start.
    pub target: Place,
}

/// The lookups that are still missing, collected while the answers that are there are used.
#[derive(Debug, Default)]
pub(super) struct Missing(pub(super) BTreeSet<Lookup>);

impl Missing {
    /// The answer; if there is none, asks for it.
    pub(super) fn or_ask<T>(&mut self, answer: Option<T>, lookup: impl FnOnce() -> Lookup) -> Option<T> {
        if answer.is_none() {
            self.0.insert(lookup());
        }
        answer
    }
}

/// Maps as lists of pairs: the keys of JSON objects are text.
mod pairs {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<K, V, S>(map: &BTreeMap<K, V>, serializer: S) -> Result<S::Ok, S::Error>
    where
        K: Serialize,
        V: Serialize,
        S: Serializer,
    {
        serializer.collect_seq(map)
    }

    pub(super) fn deserialize<'de, K, V, D>(deserializer: D) -> Result<BTreeMap<K, V>, D::Error>
    where
        K: Deserialize<'de> + Ord,
        V: Deserialize<'de>,
        D: Deserializer<'de>,
    {
        Vec::deserialize(deserializer).map(BTreeMap::from_iter)
    }
}
