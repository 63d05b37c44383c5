//! GitHub, as far as dispatching needs it: one world in memory, whose rules are GitHub's.
//!
//! Synchronous and deterministic: the caller moves time ([`World::advance`], [`World::tick`]), ids count up, and the same
//! calls give the same world. What an App's client may do goes through functions that take a token and answer with
//! GitHub's refusals word for word; what people do (push, end a run, revoke an installation) are functions without one.
//!
//! A test ends with [`World::finish`], which fails while there is an effect that the test did not take
//! ([`World::take_dispatches`], [`World::take_effects`]): nothing happens unnoticed.
//!
//! ```
//! use dispatch_core::testing::world::{RepositoryOptions, RunSpec, World};
//! use dispatch_core::name::Repository;
//!
//! let mut world = World::new("2026-01-01T00:00:00Z".parse().unwrap());
//! let api: Repository = "octo-org/api".parse().unwrap();
//! world.add_repository(&api, RepositoryOptions::default()).unwrap();
//! world.write_file(&api, "main", ".github/workflows/ci.yml", "name: ci\non: push\njobs: {}\n").unwrap();
//! world.take_webhooks(); // the push
//!
//! world.complete_run(&api, RunSpec::new("ci.yml", "main")).unwrap();
//! let webhook = world.take_webhooks().remove(0);
//! assert_eq!(webhook.event, "workflow_run");
//! world.finish().unwrap();
//! ```

mod access;
mod check;
mod comment;
mod content;
mod dispatch;
mod effect;
mod error;
mod event;
mod exchange;
mod fault;
mod git;
mod issue;
mod json;
mod person;
mod pull_request;
mod rate;
mod repository;
mod run;
mod webhook;
mod workflow;

pub use access::{Access, AppIdentity, Installation, MintRequest, MintedToken, Permissions};
pub use check::{Annotation, CheckOutput, CheckRun, CheckRunChange};
pub use comment::{Comment, Reaction};
pub use content::{CompareStatus, Comparison, Contents, Written};
pub use effect::{Effect, StartedDispatch, Unasserted};
pub use error::{ApiError, WorldError};
pub use exchange::{ApiRequest, Caller, Exchange};
pub use fault::{Fault, FaultKind};
pub use git::Commit;
pub use issue::{Issue, IssueChange};
pub use person::{Role, TeamRole};
pub use pull_request::{PullRequest, PullRequestSpec};
pub use rate::RateStatus;
pub use repository::{RepositoryOptions, RepositoryState};
pub use run::{Pace, Run, RunSpec, RunStatus};
pub use webhook::{DeliveryRecord, OutgoingWebhook};
pub use workflow::{Workflow, WorkflowState};

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use crate::Timestamp;
use crate::event::Conclusion;
use crate::name::{InstallationId, Repository, RepositoryId, RunId};

/// GitHub in memory. See the [module](self).
#[derive(Debug)]
pub struct World {
    app: AppIdentity,
    api_url: String,
    html_url: String,
    base: Timestamp,
    skew: Duration,
    ids: u64,
    repositories: BTreeMap<RepositoryId, RepositoryState>,
    names: BTreeMap<Repository, RepositoryId>,
    installations: BTreeMap<InstallationId, Installation>,
    users: BTreeMap<String, person::User>,
    teams: BTreeMap<person::TeamKey, BTreeMap<String, TeamRole>>,
    tokens: BTreeMap<String, access::Token>,
    rates: BTreeMap<InstallationId, rate::Window>,
    runs: BTreeMap<RunId, Run>,
    unfinished_runs: BTreeSet<RunId>,
    ordered_conclusions: BTreeMap<(RepositoryId, String), VecDeque<Conclusion>>,
    checks: BTreeMap<u64, CheckRun>,
    effects: Vec<Effect>,
    requests: Vec<ApiRequest>,
    webhooks: VecDeque<OutgoingWebhook>,
    deliveries: VecDeque<DeliveryRecord>,
    /// What goes wrong next. The first fault that matches a request is used up by it.
    pub faults: Vec<Fault>,
    /// Requests that each installation may make in an hour. GitHub gives 5,000 ("Rate limits for the REST API").
    pub requests_per_hour: u64,
    /// GitHub Enterprise Server: a workflow dispatch answers 204, without the run's id.
    pub enterprise_server: bool,
    /// How long a new run is missing from the list of its repository's runs. By its id it is there at once.
    pub listing_lag: Duration,
}

impl World {
    /// An empty world: no repository, no installation, and the App `dispatch` with id 1001.
    #[must_use]
    pub fn new(start: Timestamp) -> Self {
        let mut world = Self {
            app: AppIdentity::default(),
            api_url: "https://api.github.com".to_owned(),
            html_url: "https://github.com".to_owned(),
            base: start,
            skew: Duration::ZERO,
            ids: FIRST_ID,
            repositories: BTreeMap::new(),
            names: BTreeMap::new(),
            installations: BTreeMap::new(),
            users: BTreeMap::new(),
            teams: BTreeMap::new(),
            tokens: BTreeMap::new(),
            rates: BTreeMap::new(),
            runs: BTreeMap::new(),
            unfinished_runs: BTreeSet::new(),
            ordered_conclusions: BTreeMap::new(),
            checks: BTreeMap::new(),
            effects: Vec::new(),
            requests: Vec::new(),
            webhooks: VecDeque::new(),
            deliveries: VecDeque::new(),
            faults: Vec::new(),
            requests_per_hour: 5_000,
            enterprise_server: false,
            listing_lag: Duration::ZERO,
        };
        world.note_user(PERSON);
        world
    }

    /// The time in this world.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.base.checked_add(self.skew).unwrap_or(Timestamp::MAX)
    }

    /// Lets time pass. Nothing happens by itself: see [`World::progress_runs`].
    pub fn advance(&mut self, by: Duration) {
        self.skew = self.skew.saturating_add(by);
    }

    /// Follows a real clock, which never goes back here. What [`World::advance`] added stays added.
    pub fn tick(&mut self, clock: Timestamp) {
        self.base = self.base.max(clock);
    }

    /// The base of the URLs in answers and webhooks, without a slash at the end.
    #[must_use]
    pub fn api_url(&self) -> &str {
        &self.api_url
    }

    /// Sets the base of the URLs in answers and webhooks, without a slash at the end.
    pub fn set_api_url(&mut self, url: &str) {
        url.trim_end_matches('/').clone_into(&mut self.api_url);
    }

    /// The App that this world knows.
    #[must_use]
    pub fn app(&self) -> &AppIdentity {
        &self.app
    }

    /// Makes it another App. Installations that exist keep what they grant.
    pub fn set_app(&mut self, app: AppIdentity) {
        self.app = app;
    }

    /// The requests that were made, oldest first.
    #[must_use]
    pub fn requests(&self) -> &[ApiRequest] {
        &self.requests
    }

    /// The requests that were made since the last call, oldest first.
    pub fn take_requests(&mut self) -> Vec<ApiRequest> {
        std::mem::take(&mut self.requests)
    }

    /// A new id. They count up from beyond 2^32, because all ids of GitHub are 64 bits wide.
    fn next_id(&mut self) -> u64 {
        self.ids += 1;
        self.ids
    }
}

/// Who does what nobody else does.
const PERSON: &str = "octocat";
const FIRST_ID: u64 = 5_000_000_000;

/// A digest as git shows its object ids: 40 hexadecimal digits. (SHA-256, cut: nobody compares them with git's own.)
fn object_id(kind: &str, content: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    let digest = Sha256::new().chain_update(kind).chain_update([0]).chain_update(content).finalize();
    digest.iter().take(20).map(|byte| format!("{byte:02x}")).collect()
}
