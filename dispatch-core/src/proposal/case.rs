//! The events that are asked about: those of a rule of the proposed file, wherever they would happen.

use super::{Direction, Proposal};
use crate::decide::{Identity, Known, PolicyFile};
use crate::event::{EventRepository, PullRequestState};
use crate::name::{Repository, RepositoryId};
use crate::policy::Source;
use crate::stand_in::{Case, Setting, StandIn};

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
        let theirs = match known.policies.get(other).map(|answer| &answer.file) {
            Some(PolicyFile::Found { policy, .. }) if !is_own => Some(&**policy),
            _ => None,
        };
        setting.cases(source, theirs)
    }
}

/// A repository of which only the name, the id and whether it is private are known.
fn elsewhere(own: &EventRepository, other: &Repository, known: &Known) -> EventRepository {
    let (id, private) = match known.policies.get(other).and_then(|answer| answer.repository) {
        Some(Identity::Verified { id, private }) => (id, private),
        Some(Identity::Assumed) | None => (RepositoryId(0), true),
    };
    EventRepository { id, name: other.clone(), default_branch: own.default_branch.clone(), private }
}
