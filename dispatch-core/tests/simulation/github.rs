//! GitHub, as the service reaches it: slow, failing in every way, and with a network in which a request that was sent
//! arrives although whoever sent it has crashed.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dispatch_core::Timestamp;
use dispatch_core::dispatch::{DispatchKey, StartedRun};
use dispatch_core::event::PullRequestState;
use dispatch_core::name::{Branch, CommitSha, Login, PullRequestNumber, Repository, RepositoryId, RunId, TeamName};
use dispatch_core::policy::PolicyPath;
use dispatch_core::ports::GitHubPort;
use dispatch_core::ports::PullRequestPort;
use dispatch_core::ports::github::{FileRead, FileVersion, GitHubError, RepositoryRef, RunListing};
use dispatch_core::ports::pull_requests::{FileAt, PermissionAnswer, PermissionLevel, WorkflowFound};
use dispatch_core::request::DispatchRequest;
use dispatch_core::testing::WorldGitHub;
use dispatch_core::testing::world::{Effect, Fault, FaultKind};
use futures_util::FutureExt;

use crate::invariants;
use crate::previews::{self, invariants::Made};
use crate::random::mix;
use crate::reply::reply;
use crate::sabotage::Sabotage;
use crate::sim::{Owner, Sim};

/// After this long, the client gives up waiting for an answer.
const TIME_OUT: Duration = Duration::from_secs(10);
/// How long a request travels at most.
const TRAVEL: Duration = Duration::from_secs(8);

/// The port of one process. `WorldGitHub` is what the process keeps in memory: its tokens.
#[derive(Clone)]
pub(crate) struct SimGitHub {
    sim: Arc<Sim>,
    pub(crate) inner: WorldGitHub,
    process: usize,
    /// The dispatch that is worked on, to know whose effect it is.
    item: Option<DispatchKey>,
}

impl SimGitHub {
    pub(crate) fn new(sim: &Arc<Sim>, process: usize) -> Self {
        let inner = WorldGitHub::new(Arc::clone(&sim.world));
        Self { sim: Arc::clone(sim), inner, process, item: None }
    }

    /// The same port, for the step of one dispatch.
    pub(crate) fn working_on(&self, dispatch: DispatchKey) -> Self {
        Self { item: Some(dispatch), ..self.clone() }
    }

    /// What was found, unless it is not to be.
    pub(crate) fn finds<T>(&self, found: Option<T>) -> Option<T> {
        found.filter(|_| self.sim.sabotage != Some(Sabotage::NothingIsFound))
    }

    /// Makes one call that changes nothing.
    pub(crate) async fn read<T>(
        &self,
        what: impl FnOnce() -> String,
        call: impl Future<Output = Result<T, GitHubError>>,
    ) -> Result<T, GitHubError> {
        travel(&self.sim).await;
        let answer = exchange(&self.sim, "**", || call.now_or_never().unwrap());
        self.sim.say(|| format!("process {} asks {}: {}", self.process, what(), outcome(&answer)));
        travel(&self.sim).await;
        answer
    }
}

#[async_trait]
impl PullRequestPort for SimGitHub {
    async fn pull_request(
        &self,
        repository: &RepositoryRef,
        number: PullRequestNumber,
    ) -> Result<Option<PullRequestState>, GitHubError> {
        let told =
            self.read(|| format!("for pull request {number}"), self.inner.pull_request(repository, number)).await;
        // A pull request is read again before each action, so that it must be unknown more than once in a row.
        let sabotaged = self.sim.sabotage == Some(Sabotage::UnknownIsClosed);
        if sabotaged && (!matches!(told, Ok(Some(_))) || self.sim.draw(|random| random.per_mille(500))) {
            let state = self.inner.pull_request(repository, number).now_or_never().unwrap()?;
            return Ok(state.map(|state| PullRequestState { open: false, ..state }));
        }
        told
    }

    async fn permission(
        &self,
        repository: &RepositoryRef,
        login: &Login,
    ) -> Result<Option<PermissionAnswer>, GitHubError> {
        let told = self.read(|| format!("what {login} may do"), self.inner.permission(repository, login)).await;
        if self.sim.sabotage == Some(Sabotage::EverybodyMayWrite) {
            return told.map(|told| told.map(|answer| PermissionAnswer { level: PermissionLevel::Write, ..answer }));
        }
        told
    }

    async fn is_team_member(
        &self,
        repository: &RepositoryRef,
        team: &TeamName,
        login: &Login,
    ) -> Result<bool, GitHubError> {
        self.read(|| format!("whether {login} is in {team}"), self.inner.is_team_member(repository, team, login)).await
    }

    async fn policy_at(
        &self,
        repository: &RepositoryRef,
        path: PolicyPath,
        commit: &CommitSha,
    ) -> Result<Option<FileAt>, GitHubError> {
        self.read(|| format!("for {path} at {commit}"), self.inner.policy_at(repository, path, commit)).await
    }

    async fn workflows(&self, repository: &RepositoryRef) -> Result<Vec<WorkflowFound>, GitHubError> {
        self.read(|| format!("for the workflows of {}", repository.name), self.inner.workflows(repository)).await
    }
}

#[async_trait]
impl GitHubPort for SimGitHub {
    async fn read_file(
        &self,
        repository: &Repository,
        id: Option<RepositoryId>,
        path: PolicyPath,
        known: Option<&FileVersion>,
    ) -> Result<FileRead, GitHubError> {
        let what = || format!("for {path} of {repository}");
        self.read(what, self.inner.read_file(repository, id, path, known)).await
    }

    async fn commit_on_branch(
        &self,
        repository: &RepositoryRef,
        branch: &Branch,
        sha: &CommitSha,
    ) -> Result<bool, GitHubError> {
        let what = || format!("for a commit of {}", repository.name);
        self.read(what, self.inner.commit_on_branch(repository, branch, sha)).await
    }

    async fn dispatch(
        &self,
        repository: &RepositoryRef,
        request: &DispatchRequest,
        not_after: Timestamp,
    ) -> Result<Option<StartedRun>, GitHubError> {
        let (path, what) = match request {
            DispatchRequest::Workflow(_) => ("/repos/*/*/actions/workflows/*/dispatches", "a run"),
            _ => ("/repos/*/*/dispatches", "an event"),
        };
        let (repository, request) = (repository.clone(), request.clone());
        self.send(what.to_owned(), Some(not_after), path, move |github| {
            github.dispatch(&repository, &request, Timestamp::MAX).now_or_never().unwrap()
        })
        .await
    }

    async fn runs_since(&self, repository: &RepositoryRef, since: Timestamp) -> Result<RunListing, GitHubError> {
        let what = || format!("for the runs of {} since {since}", repository.name);
        // The world's time is the true one; the process's clock may be wrong, which GitHub does not know.
        let mut listing = self.read(what, self.inner.runs_since(repository, since)).await?;
        let now = self.sim.now();
        // Each run has its own lag, in each listing the same.
        let lag = |run: u64| self.sim.weather.lag.as_secs_f64() * (mix(self.sim.seed ^ run) % 1_000) as f64 / 1_000.0;
        listing.runs.retain(|run| now >= run.created_at + Duration::from_secs_f64(lag(run.run.id.0)));
        self.sim.say(|| format!("process {} sees {} runs", self.process, listing.runs.len()));
        Ok(listing)
    }
}

impl SimGitHub {
    /// Makes one call that may change something: once it is sent it is on its way, whatever becomes of this process.
    pub(crate) async fn send<T: Send + 'static>(
        &self,
        what: String,
        not_after: Option<Timestamp>,
        path: &'static str,
        call: impl FnOnce(&WorldGitHub) -> Result<T, GitHubError> + Send + 'static,
    ) -> Result<T, GitHubError> {
        travel(&self.sim).await;
        let punctual = self.item.is_none() || self.sim.sabotage != Some(Sabotage::LateCalls);
        if !punctual {
            let span = self.sim.draw(|random| random.millis(0, 1_800_000));
            self.sim.sleep(span).await;
        }
        if punctual && not_after.is_some_and(|not_after| self.sim.clock(self.process) > not_after) {
            return Err(GitHubError::Unavailable("the time in which the call could be sent has passed".to_owned()));
        }
        let sent_at = self.sim.now();
        let item = self.item.as_ref().map(|dispatch| format!(" for {dispatch}")).unwrap_or_default();
        self.sim.say(|| format!("process {} SENDS {what}{item}", self.process));
        let (giver, receiver) = reply();
        let port = self.clone();
        self.sim.spawn(Owner::Outside, async move {
            port.sim.pause().await;
            if port.sim.goes_wrong(port.sim.weather.slow) {
                let way = port.sim.draw(|random| random.millis(1, TRAVEL.as_millis() as u64));
                port.sim.sleep(way).await;
            }
            let answer = port.arrive(&what, path, call, sent_at);
            travel(&port.sim).await;
            giver.give(answer);
        });
        let answer = receiver.within(self.sim.sleep(TIME_OUT)).await;
        self.sim.say(|| format!("process {} gets its answer: {}", self.process, answer.is_some()));
        answer.unwrap_or_else(|| Err(GitHubError::InDoubt("no answer came in time".to_owned())))
    }

    /// The request is at GitHub: it does it, or not, and answers, or not.
    fn arrive<T>(
        &self,
        what: &str,
        path: &str,
        call: impl FnOnce(&WorldGitHub) -> Result<T, GitHubError>,
        sent_at: Timestamp,
    ) -> Result<T, GitHubError> {
        let newest = self.sim.world().runs().next_back().map(|run| run.id);
        let mut answer = exchange(&self.sim, path, || call(&self.inner));
        let effects = self.sim.world().take_effects();
        self.sim.say(|| format!("{what} arrives: {} effects, {}", effects.len(), outcome(&answer)));
        let item = || self.item.as_ref().expect("what starts something is the call of a dispatch");
        for effect in effects {
            match effect {
                Effect::Dispatch(started) => invariants::on_effect(&self.sim, item(), started, sent_at),
                Effect::RepositoryDispatch { repository, event_type: event, client_payload: payload } => {
                    let new = |run: &RunId| newest.is_none_or(|newest| *run > newest);
                    let runs = self.sim.world().runs().rev().map(|run| run.id).take_while(new).collect();
                    let made = Made { repository, event, payload, runs };
                    previews::invariants::on_event(&self.sim, item(), made, sent_at);
                }
                _ => {}
            }
        }
        if answer.is_ok() && self.sim.goes_wrong(self.sim.weather.github / 4) {
            answer = Err(GitHubError::InDoubt("502: done, and the answer says nothing".to_owned()));
        }
        answer
    }
}

/// One exchange with GitHub, perhaps with a fault, which is used up by this exchange alone.
fn exchange<T>(sim: &Sim, path: &str, call: impl FnOnce() -> T) -> T {
    if sim.goes_wrong(sim.weather.github) {
        let fault = sim.draw(|random| match random.below(10) {
            0 | 1 => FaultKind::CutBefore,
            2 | 3 => FaultKind::CutAfter,
            4 => FaultKind::status(500),
            5 => FaultKind::status(502),
            6 => FaultKind::status(401),
            7 => FaultKind::RateLimited { retry_after: Some(random.between(1, 120)), reset_in: None, secondary: true },
            8 => {
                FaultKind::RateLimited { retry_after: None, reset_in: Some(random.between(1, 3_600)), secondary: false }
            }
            _ => FaultKind::RateLimited { retry_after: None, reset_in: None, secondary: true },
        });
        // Now and then it is not the call itself that fails, but the way to its token.
        let path = if sim.draw(|random| random.per_mille(200)) { "**" } else { path };
        let fault = Fault { method: None, path: path.parse().unwrap(), times: 1, kind: fault };
        sim.world().faults.push(fault);
    }
    let answer = call();
    sim.world().faults.clear();
    answer
}

/// A request or an answer on its way.
pub(crate) async fn travel(sim: &Arc<Sim>) {
    sim.pause().await;
    if sim.goes_wrong(sim.weather.suspended) {
        let span = sim.draw(|random| random.millis(10_000, 600_000));
        sim.sleep(span).await;
    } else if sim.goes_wrong(sim.weather.slow) {
        let span = sim.draw(|random| random.millis(1, 4_000));
        sim.sleep(span).await;
    } else {
        let span = sim.draw(|random| random.millis(0, 80));
        sim.sleep(span).await;
    }
}

fn outcome<T>(answer: &Result<T, GitHubError>) -> String {
    match answer {
        Ok(_) => "ok".to_owned(),
        Err(error) => error.to_string(),
    }
}
