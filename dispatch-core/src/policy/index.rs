//! Rules by what they are about, so that a decision does not pay for the others.

use std::collections::BTreeMap;

use super::Source;
use crate::event::PullRequestAction;
use crate::name::{CommandName, WorkflowFile};

/// What happened, as far as a rule's source names it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Happened<'a> {
    /// A run of this workflow completed.
    Run(&'a WorkflowFile),
    /// This happened to a pull request.
    PullRequest(PullRequestAction),
    /// Somebody gave this command.
    Command(&'a CommandName),
}

/// Positions of rules, each list in the order of the file.
#[derive(Debug, Clone, Default)]
pub(super) struct BySource {
    all: Vec<usize>,
    runs: BTreeMap<WorkflowFile, Vec<usize>>,
    pull_requests: BTreeMap<PullRequestAction, Vec<usize>>,
    commands: BTreeMap<CommandName, Vec<usize>>,
}

impl BySource {
    pub(super) fn of<'s>(sources: impl Iterator<Item = &'s Source>) -> Self {
        let mut index = Self::default();
        sources.enumerate().for_each(|(position, source)| index.add(position, source));
        index
    }

    pub(super) fn add(&mut self, position: usize, source: &Source) {
        self.all.push(position);
        match source {
            Source::WorkflowRun(source) => self.runs.entry(source.workflow.clone()).or_default().push(position),
            Source::PullRequest(source) => {
                source.actions.iter().for_each(|action| self.pull_requests.entry(*action).or_default().push(position));
            }
            Source::Command(source) => self.commands.entry(source.command.clone()).or_default().push(position),
        }
    }

    pub(super) fn all(&self) -> &[usize] {
        &self.all
    }

    /// The rules whose source names what happened, whatever their filters say.
    pub(super) fn about(&self, happened: Happened<'_>) -> &[usize] {
        let positions = match happened {
            Happened::Run(workflow) => self.runs.get(workflow),
            Happened::PullRequest(action) => self.pull_requests.get(&action),
            Happened::Command(command) => self.commands.get(command),
        };
        positions.map_or(&[], Vec::as_slice)
    }
}
