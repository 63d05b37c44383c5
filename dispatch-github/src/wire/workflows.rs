//! Workflows.

use serde::Deserialize;

/// The answer to "List repository workflows".
#[derive(Deserialize)]
pub(crate) struct Workflows {
    pub(crate) workflows: Vec<Workflow>,
}

/// A workflow in that list.
#[derive(Deserialize)]
pub(crate) struct Workflow {
    pub(crate) path: String,
    /// `active`, or why it does not run: `disabled_manually`, `disabled_inactivity`, ...
    pub(crate) state: String,
}
