//! What a client of the API did to the world, until a test takes it.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::World;
use crate::name::{Repository, RunId};

/// Something that a client of the API changed.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// A workflow was started.
    Dispatch(StartedDispatch),
    /// A `repository_dispatch` event was made.
    RepositoryDispatch {
        /// Where.
        repository: Repository,
        /// The name of the event.
        event_type: String,
        /// Its payload.
        client_payload: Value,
    },
    /// An issue was created or changed.
    Issue {
        /// Where.
        repository: Repository,
        /// Its number.
        number: u64,
    },
    /// A comment was created or changed.
    Comment {
        /// Where.
        repository: Repository,
        /// Its id.
        id: u64,
    },
    /// A comment was reacted to, in another way than before.
    Reaction {
        /// Where.
        repository: Repository,
        /// The comment's id.
        comment: u64,
        /// GitHub's word, such as `eyes`.
        content: String,
    },
    /// A check run was created or changed.
    CheckRun {
        /// Where.
        repository: Repository,
        /// Its id.
        id: u64,
    },
    /// A file was written.
    File {
        /// Where.
        repository: Repository,
        /// Its path.
        path: String,
    },
}

/// A workflow that was started by `workflow_dispatch`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StartedDispatch {
    /// Where.
    pub repository: Repository,
    /// The workflow's file name.
    pub workflow: String,
    /// The ref as it was asked for.
    #[serde(rename = "ref")]
    pub git_ref: String,
    /// The inputs as they were sent.
    pub inputs: BTreeMap<String, String>,
    /// The run.
    pub run: RunId,
}

/// Effects that nobody took.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{} effects on GitHub were not expected: {}", effects.len(), shown(effects))]
pub struct Unasserted {
    /// The effects, in order.
    pub effects: Vec<Effect>,
}

impl World {
    /// Takes the workflows that were started, in order. Other effects stay.
    pub fn take_dispatches(&mut self) -> Vec<StartedDispatch> {
        let (dispatches, rest) =
            std::mem::take(&mut self.effects).into_iter().partition(|effect| matches!(effect, Effect::Dispatch(_)));
        self.effects = rest;
        let started = |effect| if let Effect::Dispatch(started) = effect { Some(started) } else { None };
        Vec::into_iter(dispatches).filter_map(started).collect()
    }

    /// The effects that were not taken, in order.
    #[must_use]
    pub fn effects(&self) -> &[Effect] {
        &self.effects
    }

    /// Takes every effect, in order.
    pub fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// Ends a test.
    ///
    /// # Errors
    /// [`Unasserted`]: there are effects that were not taken.
    pub fn finish(&mut self) -> Result<(), Unasserted> {
        let effects = self.take_effects();
        if effects.is_empty() { Ok(()) } else { Err(Unasserted { effects }) }
    }
}

fn shown(effects: &[Effect]) -> String {
    serde_json::to_string(effects).unwrap_or_default()
}
