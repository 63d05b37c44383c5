//! Chains of dispatches that come back to where they began.
//!
//! A run that was started by a dispatch starts what the rules about its workflow say. So a place is a workflow, and how it
//! was started: a rule that names `events` is not about all of its runs. What goes through pushes cannot be seen here.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::name::{Repository, WorkflowFile};

/// A run of a workflow that a dispatch started.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ran {
    pub(super) repository: Repository,
    pub(super) workflow: WorkflowFile,
    pub(super) by: By,
}

/// How a run was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum By {
    WorkflowDispatch,
    RepositoryDispatch,
}

impl By {
    pub(super) const ALL: [Self; 2] = [Self::WorkflowDispatch, Self::RepositoryDispatch];

    /// GitHub's name of the event.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::WorkflowDispatch => "workflow_dispatch",
            Self::RepositoryDispatch => "repository_dispatch",
        }
    }
}

/// What follows from what. Places are numbered, so that going through them compares no names.
#[derive(Default)]
pub(super) struct Steps {
    places: BTreeMap<Ran, usize>,
    /// For each place the next ones, and for each of those the numbers of the edges.
    next: BTreeMap<usize, BTreeMap<usize, Vec<usize>>>,
}

impl Steps {
    /// Adds what an edge does.
    pub(super) fn add(&mut self, from: Ran, to: Ran, edge: usize) {
        let [from, to] = [from, to].map(|place| {
            let next = self.places.len();
            *self.places.entry(place).or_insert(next)
        });
        self.next.entry(from).or_default().entry(to).or_default().push(edge);
    }

    /// For each set of places that lead to one another, the numbers of the edges of one loop, in order, and of all edges
    /// inside of the set. Linear in the number of steps.
    pub(super) fn loops(&self) -> Vec<Loop> {
        self.components().into_iter().filter_map(|places| self.loop_in(&places)).collect()
    }

    /// The sets of places that lead to one another (Kosaraju's algorithm), without recursion: a chain can be long.
    fn components(&self) -> Vec<BTreeSet<usize>> {
        let mut order = Vec::new();
        let mut seen = BTreeSet::new();
        for root in self.next.keys().copied() {
            let mut stack = vec![(root, false)];
            while let Some((place, is_left)) = stack.pop() {
                if is_left {
                    order.push(place);
                } else if seen.insert(place) {
                    stack.push((place, true));
                    stack.extend(self.after(place).map(|(next, _)| (next, false)));
                }
            }
        }
        let mut before: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (from, next) in &self.next {
            for to in next.keys() {
                before.entry(*to).or_default().push(*from);
            }
        }
        let mut components = Vec::new();
        let mut taken = BTreeSet::new();
        for root in order.into_iter().rev() {
            let mut component = BTreeSet::new();
            let mut stack = vec![root];
            while let Some(place) = stack.pop() {
                if taken.insert(place) {
                    component.insert(place);
                    stack.extend(before.get(&place).into_iter().flatten());
                }
            }
            if !component.is_empty() {
                components.push(component);
            }
        }
        components
    }

    /// The shortest loop through the first of some places that lead to one another.
    fn loop_in(&self, places: &BTreeSet<usize>) -> Option<Loop> {
        let first = *places.first()?;
        let inside = |(next, _): &(usize, &[usize])| places.contains(next);
        let mut reached_from: BTreeMap<usize, (usize, usize)> = BTreeMap::new();
        let mut queue = VecDeque::from([first]);
        while let Some(place) = queue.pop_front() {
            for (next, edges) in self.after(place).filter(inside) {
                if let Some(edge) = edges.first().filter(|_| !reached_from.contains_key(&next)) {
                    reached_from.insert(next, (place, *edge));
                    queue.push_back(next);
                }
            }
        }
        let mut round = Vec::new();
        let mut place = first;
        while let Some((before, edge)) = reached_from.remove(&place) {
            round.push(edge);
            place = before;
            if place == first {
                break;
            }
        }
        round.reverse();
        let all = places.iter().flat_map(|place| self.after(*place)).filter(inside);
        let all = all.flat_map(|(_, edges)| edges).copied().collect();
        (!round.is_empty()).then_some(Loop { round, all })
    }

    fn after(&self, place: usize) -> impl Iterator<Item = (usize, &[usize])> {
        self.next.get(&place).into_iter().flatten().map(|(next, edges)| (*next, edges.as_slice()))
    }
}

/// Edges that lead back to where they began.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Loop {
    /// One way around, in order.
    pub(super) round: Vec<usize>,
    /// All edges between its places.
    pub(super) all: BTreeSet<usize>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(number: usize) -> Ran {
        let repository = "acme/api".parse().unwrap();
        Ran { repository, workflow: format!("w{number:05}.yml").parse().unwrap(), by: By::WorkflowDispatch }
    }

    fn loops(steps: &[(usize, usize)]) -> Vec<(Vec<usize>, Vec<usize>)> {
        let mut all = Steps::default();
        steps.iter().enumerate().for_each(|(edge, (from, to))| all.add(place(*from), place(*to), edge));
        let mut found: Vec<_> =
            all.loops().into_iter().map(|found| (found.round, found.all.into_iter().collect())).collect();
        found.sort();
        found
    }

    #[test]
    fn one_loop_is_told_of_all_places_that_lead_to_one_another() {
        assert_eq!(loops(&[]), []);
        assert_eq!(loops(&[(1, 2), (2, 3), (1, 3)]), []);
        assert_eq!(loops(&[(1, 1)]), [(vec![0], vec![0])]);
        assert_eq!(loops(&[(1, 2), (2, 1), (1, 2)]), [(vec![0, 1], vec![0, 1, 2])], "two rules, one way");
        assert_eq!(loops(&[(1, 2), (2, 1), (2, 3)]), [(vec![0, 1], vec![0, 1])]);
        assert_eq!(loops(&[(1, 2), (2, 3), (3, 1), (2, 1)]), [(vec![0, 3], vec![0, 1, 2, 3])], "the shortest");
        assert_eq!(
            loops(&[(1, 2), (2, 1), (3, 4), (4, 3), (1, 3)]),
            [(vec![0, 1], vec![0, 1]), (vec![2, 3], vec![2, 3])]
        );
    }

    #[test]
    fn a_long_chain_is_no_deep_recursion() {
        let last = 9_999;
        let mut chain: Vec<_> = (0..last).map(|number| (number, number + 1)).collect();
        assert_eq!(loops(&chain), []);
        chain.push((last, 0));
        assert_eq!(loops(&chain).first().map(|(round, _)| round.len()), Some(last + 1));
    }
}
