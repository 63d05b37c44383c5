//! What an owner allows in all of his repositories: `limits`, in the policy file of the owner's `.github` repository.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::event::Conclusion;
use crate::name::GitRef;
use crate::pattern::PatternSet;

/// What an owner allows. What is absent says nothing. Limits can only narrow what the operator and the rules allow; of an
/// edge between two owners, both owners' limits hold.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct OwnerLimits {
    /// Whose events count, as patterns of `owner/name`.
    pub source_repositories: Option<AtLine<PatternSet>>,
    /// The workflow files whose runs count.
    pub source_workflows: Option<AtLine<PatternSet>>,
    /// Where something may be started, as patterns of `owner/name`.
    pub target_repositories: Option<AtLine<PatternSet>>,
    /// Which repositories may define commands, as patterns of `owner/name`.
    pub command_repositories: Option<AtLine<PatternSet>>,
    /// How a run must have ended.
    pub conclusions: Option<AtLine<BTreeSet<Conclusion>>>,
    /// Whether only runs on the default branch count.
    pub default_branch_only: Option<AtLine<bool>>,
    /// Whether forks may start something where both sides accept them.
    pub forks: Option<AtLine<bool>>,
    /// How many targets of one event are considered.
    pub max_targets: Option<AtLine<usize>>,
    /// How many dispatches may follow from one another.
    pub max_chain_depth: Option<AtLine<usize>>,
    /// How often one repository may start one target within an hour.
    pub max_edge_rate: Option<AtLine<usize>>,
    /// Where to start a workflow when neither the target nor the run names a branch. Counts for what the owner's own
    /// repositories start.
    pub default_ref: Option<AtLine<GitRef>>,
}

/// A value, and the line that says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AtLine<T> {
    /// The value.
    pub value: T,
    /// 1-based.
    pub line: u32,
}
