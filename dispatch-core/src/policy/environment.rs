//! Environments of pull requests, as a policy file describes them.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::pattern::PatternSet;
use crate::template::Template;

/// What a target does to the environment of the pull request that it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EnvironmentAction {
    /// Creates it, or updates it where it is there.
    Create,
    /// Destroys it.
    Destroy,
}

/// The environment that pull requests into some branches get: an entry of `environments`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EnvironmentRule {
    /// The branches that the pull request wants to change. None: any.
    pub base: Option<PatternSet>,
    /// Its name. The only variable in it is `pr.number`; without it, the environment is shared.
    pub name: Template,
    /// The branch that is deployed there. None: the pull request's own.
    pub deploy: Option<Template>,
    /// Where it can be seen. Its variables are `pr.number`, `env.name` and the pull request's identifiers.
    pub url: Option<Template>,
    /// Further addresses to tell, by what they are: `Admin panel: https://...`.
    pub links: BTreeMap<String, Template>,
    /// How to clean up by hand, told when the target's run failed.
    pub cleanup: Option<Template>,
    /// How long after the last change it is destroyed, unless the pull request has the label `keep`. None: never.
    pub ttl: Option<Duration>,
    /// 1-based line of the entry.
    pub line: u32,
}

impl EnvironmentRule {
    /// Whether pull requests share it: its name has no number of theirs.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.name.variables().next().is_none()
    }
}
