//! All repositories of an organisation at once: who may start whom, and what is wrong between them.
//!
//! A file can be right by itself and yet never start anything, because the other side does not agree. Whether both sides
//! agree is asked of the [decision](crate::decide) itself, by made-up events that both sides are about. What the made-up
//! part of an event decides is no finding, or a warning that says so: an error is what cannot work.
//!
//! Of a repository that is not among those that were added, nothing is said: its side is [unknown](Agreement::Unknown).
//!
//! ```
//! use std::collections::BTreeMap;
//! use dispatch_core::guardrail::Guardrails;
//! use dispatch_core::organisation::{Organisation, PolicyText, RepositoryFiles, widest_limits};
//! use dispatch_core::policy::PolicyPath;
//!
//! let api = "outbound: [{source: {workflow: ci.yml}, targets: [{repository: deploy, workflow: cd.yml}]}]";
//! let mut organisation = Organisation::default();
//! for (name, text) in [("acme/api", api), ("acme/deploy", "")] {
//!     let name = name.parse()?;
//!     let policy = PolicyText::read(&name, PolicyPath::Root, text.as_bytes(), "dispatching.yml");
//!     let files = RepositoryFiles { folder: name.to_string(), policy: Some(policy), workflows: None };
//!     organisation.add(name, files);
//! }
//! let examined = organisation.examine(&Guardrails::from_settings(&widest_limits())?);
//! assert_eq!(examined.findings[0].problem.code, "outbound_without_consent");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod ask;
mod examine;
mod finding;
mod loops;
mod meet;
mod workflows;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;

pub(crate) use self::examine::source_label;
pub use self::finding::{Finding, FindingKind};
use crate::chain::Place;
use crate::decide::{Identity, Known, PolicyAnswer, PolicyFile};
use crate::diagnostic::Diagnostics;
use crate::guardrail::Guardrails;
use crate::name::{Repository, WorkflowFile};
use crate::policy::{Checked, Policy, PolicyPath, RuleLocation, Source, Start};
use crate::reason::Reason;
use crate::workflow::Workflow;

/// The files of one repository that have to do with dispatches.
#[derive(Debug, Clone)]
pub struct RepositoryFiles {
    /// The folder, as it is to be shown in front of the name of a file.
    pub folder: String,
    /// The policy file that counts; None: there is none.
    pub policy: Option<PolicyText>,
    /// Its workflows: all, or the first hundred. None: they are not known.
    pub workflows: Option<BTreeMap<WorkflowFile, Workflow>>,
}

impl RepositoryFiles {
    /// The policy file, as it is to be shown.
    fn policy_file(&self) -> Option<String> {
        Some(format!("{}/{}", self.folder, self.policy.as_ref()?.path))
    }

    fn workflow_file(&self, file: &WorkflowFile) -> String {
        format!("{}/{}{file}", self.folder, WorkflowFile::FOLDER)
    }

    /// What the policy file means, where it means something.
    fn rules(&self) -> Option<&Arc<Policy>> {
        self.policy.as_ref()?.policy.as_ref()
    }
}

/// A policy file.
#[derive(Debug, Clone)]
pub struct PolicyText {
    path: PolicyPath,
    policy: Option<Arc<Policy>>,
    checked: Arc<Diagnostics>,
    text: String,
}

impl PolicyText {
    /// Reads the policy file of a repository. `file`: its name, as it is to be shown.
    #[must_use]
    pub fn read(repository: &Repository, path: PolicyPath, bytes: &[u8], file: &str) -> Self {
        let Checked { policy, diagnostics } = Policy::check_in(bytes, repository, file);
        let text = String::from_utf8_lossy(bytes).into_owned();
        Self { path, policy: policy.map(Arc::new), checked: Arc::new(diagnostics), text }
    }

    /// What is wrong with the file by itself.
    #[must_use]
    pub fn diagnostics(&self) -> &Diagnostics {
        &self.checked
    }

    fn answer(&self) -> PolicyFile {
        match &self.policy {
            Some(policy) => PolicyFile::Found { path: self.path, policy: Arc::clone(policy) },
            None => PolicyFile::Invalid { path: self.path, diagnostics: Arc::clone(&self.checked) },
        }
    }
}

/// The repositories that are looked at.
#[derive(Debug, Clone, Default)]
pub struct Organisation {
    repositories: BTreeMap<Repository, RepositoryFiles>,
    known: Known,
}

/// Who may start whom.
#[derive(Debug, Clone, PartialEq)]
pub struct Edge {
    /// Where something happens.
    pub from: Repository,
    /// What happens.
    pub source: Source,
    /// Where something is started.
    pub to: Repository,
    /// What is started.
    pub start: Start,
    /// Whether both sides want it.
    pub agreement: Agreement,
    /// Why they do not agree, where one side wants it and the other one refuses it.
    pub reason: Option<Reason>,
    /// The target's entry in the source's file.
    pub outbound: Option<RuleLocation>,
    /// The entry of the target's file that accepts it, or that came nearest.
    pub inbound: Option<RuleLocation>,
    /// Whether it is part of a way that comes back to where it began.
    pub in_loop: bool,
}

/// Whether both sides want it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Agreement {
    /// Both do.
    Agreed,
    /// Both have a rule; it depends on what is sent.
    Depends,
    /// The source wants it, and the target does not agree.
    Wanted,
    /// The target would agree, and the source does not want it.
    Consented,
    /// The other side is not known.
    Unknown,
}

impl Agreement {
    /// Whether something may be started.
    #[must_use]
    pub fn is_mutual(self) -> bool {
        matches!(self, Self::Agreed | Self::Depends)
    }
}

/// What was found out.
#[derive(Debug, Clone, Default)]
pub struct Examination {
    /// The repositories that were looked at.
    pub repositories: BTreeSet<Repository>,
    /// Repositories that rules name and that were not among them, so that their side is unknown.
    pub unknown: BTreeSet<Repository>,
    /// Who may start whom: first what is wanted, then consent that nobody uses, each in the order of the repositories' names,
    /// then of the file.
    pub edges: Vec<Edge>,
    /// What is wrong, in the order of the names, then of the file.
    pub findings: Vec<Finding>,
    /// For each set of places that lead to one another, one way around: each place leads to the next one, and the last one
    /// to the first one.
    pub loops: Vec<Vec<Place>>,
}

impl Organisation {
    /// Adds a repository.
    pub fn add(&mut self, repository: Repository, files: RepositoryFiles) {
        let file = files.policy.as_ref().map_or(PolicyFile::Absent, PolicyText::answer);
        let answer = PolicyAnswer { repository: Some(Identity::Assumed), file };
        self.known.policies.insert(repository.clone(), answer);
        self.repositories.insert(repository, files);
    }

    /// Asks about every rule's every target. What the operator forbids is not agreed.
    #[must_use]
    pub fn examine(&self, guardrails: &Guardrails) -> Examination {
        examine::examine(self, guardrails)
    }
}

/// The settings of an operator who limits nothing but the number of targets: what is then refused, the files refuse.
#[must_use]
pub fn widest_limits() -> BTreeMap<String, String> {
    let settings =
        [("OWNER_ALLOWLIST", "*"), ("ENFORCE_SOURCE_DEFAULT_BRANCH", "false"), ("ALLOWED_SOURCE_CONCLUSIONS", "*")];
    settings.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}
