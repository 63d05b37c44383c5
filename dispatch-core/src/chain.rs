//! Where a run came from, so that loops end.
//!
//! GitHub bounds chains of `workflow_run` triggers, but not chains of dispatches by an App. So every run that was
//! started here carries its chain, by its run id, and a hop that would come back to a place in it is refused.

use serde::{Deserialize, Serialize};

use crate::event::EventIdentity;
use crate::name::Repository;
use crate::policy::Start;

/// A place where something runs: a repository and what is started there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    /// The repository.
    pub repository: Repository,
    /// The workflow, or the event.
    pub start: Start,
}

/// The way from the first event to a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chain {
    /// The event that nobody here caused.
    pub root: EventIdentity,
    /// Where the root happened, then every place that was started since, in order. Never empty.
    pub places: Vec<Place>,
}

impl Chain {
    /// The chain of something that nobody here caused.
    #[must_use]
    pub fn root(root: EventIdentity, place: Place) -> Self {
        Self { root, places: vec![place] }
    }

    /// How many dispatches led here: 0 at the root.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.places.len().saturating_sub(1)
    }

    /// Whether the chain has been at this place.
    #[must_use]
    pub fn contains(&self, place: &Place) -> bool {
        self.places.contains(place)
    }

    /// The chain of what is started at `place` by this one.
    #[must_use]
    pub fn then(&self, place: Place) -> Self {
        let mut places = self.places.clone();
        places.push(place);
        Self { root: self.root.clone(), places }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::RepositoryId;

    fn place(repository: &str, workflow: &str) -> Place {
        Place { repository: repository.parse().unwrap(), start: Start::Workflow(workflow.parse().unwrap()) }
    }

    fn root() -> EventIdentity {
        use crate::event::{Event, EventKind, EventRepository, Push};
        let repository = EventRepository {
            id: RepositoryId(1),
            name: "acme/api".parse().unwrap(),
            default_branch: "main".parse().unwrap(),
            private: false,
        };
        let kind = EventKind::Push(Push { branch: None, after: None, touches_policy: false });
        Event { version: Event::VERSION, repository, installation: None, sender: None, kind, part: None }.identity()
    }

    #[test]
    fn a_chain_knows_every_place_and_how_many_dispatches_it_has() {
        let start = Chain::root(root(), place("acme/api", "ci.yml"));
        let next = start.then(place("acme/deploy", "cd.yml"));
        assert_eq!((start.depth(), next.depth()), (0, 1));
        assert_eq!(next.root, start.root);
        assert!(next.contains(&place("ACME/Deploy", "cd.yml")), "repositories compare without case");
        assert!(next.contains(&place("acme/api", "ci.yml")), "the root counts");
        assert!(!next.contains(&place("acme/deploy", "CD.yml")), "workflow files compare with case");
        assert!(!start.contains(&place("acme/deploy", "cd.yml")), "what follows is a chain of its own");
    }
}
