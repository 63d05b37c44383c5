//! The client over real HTTP and the port in memory, in the same world: they must say the same, and the same must happen.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod delivery_log;
mod events;
mod issues;
mod left;
mod notices;
mod pull_requests;
mod runs;

use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dispatch_core::Timestamp;
use dispatch_core::name::{Branch, CommitSha, Repository, RepositoryId};
use dispatch_core::policy::PolicyPath;
use dispatch_core::ports::github::{FileRead, GitHubError, GitHubPort, RateLimitReset, RepositoryRef};
use dispatch_core::ports::{DeliveryLogPort, IssuePort, NoticePort};
use dispatch_core::request::{DispatchRequest, WorkflowDispatch};
use dispatch_core::testing::WorldGitHub;
use dispatch_core::testing::world::{Fault, FaultKind, RepositoryOptions, World};
use dispatch_github::emulator::{Emulator, EmulatorOptions};
use dispatch_github::{GitHub, GitHubOptions};

use self::left::Left;

const CD: &str = "on:\n  workflow_dispatch:\n    inputs:\n      environment:\n        type: string\njobs: {}\n";

fn app() -> Repository {
    "acme/app".parse().unwrap()
}

/// `acme/app`, private, with a policy file, a workflow to dispatch, and one that cannot be; `acme/bare`, empty and public;
/// `acme/closed`, without the App.
fn world() -> World {
    world_at(Timestamp::now())
}

fn world_at(now: Timestamp) -> World {
    let mut world = World::new(now);
    let options = |private, installed| RepositoryOptions { private, installed, ..RepositoryOptions::default() };
    world.add_repository(&app(), options(true, true)).unwrap();
    world.add_repository(&"acme/bare".parse().unwrap(), options(false, true)).unwrap();
    world.add_repository(&"acme/closed".parse().unwrap(), options(false, false)).unwrap();
    world.write_file(&app(), "main", "dispatching.yml", "inbound: []\n").unwrap();
    world.write_file(&app(), "main", ".github/workflows/cd.yml", CD).unwrap();
    world.write_file(&app(), "main", ".github/workflows/ci.yml", "on: push\njobs: {}\n").unwrap();
    world.take_webhooks();
    world.take_requests();
    world
}

fn client(emulator: &Emulator) -> GitHub {
    let private_key = emulator.private_key_pem().into();
    let options =
        GitHubOptions { api_url: emulator.api_url(), app_id: emulator.app_id(), private_key, ..Default::default() };
    GitHub::new(options).unwrap()
}

async fn emulate(world: World) -> Emulator {
    Emulator::start(world, EmulatorOptions { pace: None, ..EmulatorOptions::default() }).await.unwrap()
}

/// What is asked of the port.
#[derive(Clone, Copy)]
enum Ask {
    /// Reads `dispatching.yml` of a repository.
    Read(&'static str),
    /// Reads it of `acme/app`, which must have another id than it has.
    ReadAnother,
    /// Whether the head of one branch is on another.
    OnBranch(&'static str, &'static str),
    /// Starts a workflow of `acme/app` at a ref, with an input.
    Dispatch(&'static str, &'static str, &'static str),
    /// Starts `cd.yml` when it is too late for it.
    DispatchLate,
    /// Makes an event in `acme/app`.
    Event(&'static str),
    /// The runs of `acme/app` of the last so many seconds.
    Runs(u64),
    /// One step after the other with the issues of `acme/app`.
    Issues(&'static [issues::Step]),
    /// One step after the other with the pull requests and people of `acme/app`.
    PullRequests(&'static [pull_requests::Step]),
    /// One step after the other with what `acme/app` is shown.
    Notices(&'static [notices::Step]),
    /// So many pages of the delivery log, and another delivery of the last attempt on them.
    Attempts(usize),
}
use Ask::{Attempts, Dispatch, DispatchLate, Event, Issues, Notices, OnBranch, PullRequests, Read, ReadAnother, Runs};

/// All that the client does.
trait Ports: GitHubPort + IssuePort + NoticePort + DeliveryLogPort {}
impl<T: GitHubPort + IssuePort + NoticePort + DeliveryLogPort> Ports for T {}

/// Who is asked, and what `acme/app` is there.
struct Asked<'a> {
    port: &'a dyn Ports,
    id: RepositoryId,
    heads: Vec<(String, CommitSha)>,
}

impl<'a> Asked<'a> {
    fn new(port: &'a dyn Ports, world: &World) -> Self {
        // By the one thing that a new name does not change.
        let state = world.repositories().find(|state| state.private).unwrap();
        let heads = state.branches.iter().map(|(branch, sha)| (branch.clone(), sha.clone())).collect();
        Self { port, id: state.id, heads }
    }

    /// The head of `topic`, or of `main` where there is no such branch.
    fn topic(&self) -> &CommitSha {
        let head = |branch| self.heads.iter().find(|(name, _)| name == branch).map(|(_, sha)| sha);
        head("topic").or_else(|| head("main")).unwrap()
    }

    async fn ask(&self, ask: Ask) -> String {
        let app = RepositoryRef { id: self.id, name: app() };
        match ask {
            Read(repository) => {
                told(self.port.read_file(&repository.parse().unwrap(), None, PolicyPath::Root, None).await)
            }
            ReadAnother => {
                let another = RepositoryId(self.id.0 + 1_000_000);
                told(self.port.read_file(&app.name, Some(another), PolicyPath::Root, None).await)
            }
            OnBranch(branch, of) => {
                let (_, sha) = self.heads.iter().find(|(name, _)| name == of).unwrap();
                told(self.port.commit_on_branch(&app, &branch.parse::<Branch>().unwrap(), sha).await)
            }
            Dispatch(workflow, git_ref, input) => {
                told(self.port.dispatch(&app, &request(workflow, git_ref, input), Timestamp::MAX).await)
            }
            DispatchLate => {
                let late = Timestamp::now() - Duration::from_secs(1);
                told(self.port.dispatch(&app, &request("cd.yml", "main", "environment"), late).await)
            }
            Event(name) => told(self.port.dispatch(&app, &events::request(name), Timestamp::MAX).await),
            Issues(steps) => issues::ask(self.port, &app, steps).await,
            PullRequests(steps) => pull_requests::ask(self.port, &app, self.topic(), steps).await,
            Notices(steps) => notices::ask(self.port, &app, self.topic(), steps).await,
            Attempts(pages) => delivery_log::ask(self.port, pages).await,
            Runs(seconds) => {
                let since = Timestamp::now() - Duration::from_secs(seconds);
                self.port.runs_since(&app, since).await.map_or_else(|error| told::<()>(Err(error)), runs::recognised)
            }
        }
    }
}

fn request(workflow: &str, git_ref: &str, input: &str) -> DispatchRequest {
    let inputs = [(input.to_owned(), "production".to_owned())].into();
    DispatchRequest::Workflow(
        WorkflowDispatch::new(workflow.parse().unwrap(), git_ref.parse().unwrap(), inputs).unwrap(),
    )
}

/// An answer, as far as both ports must agree on it: the words of transport errors are their own.
fn told<T: Debug>(answer: Result<T, GitHubError>) -> String {
    match answer {
        Ok(answer) => format!("{answer:?}"),
        Err(GitHubError::Unavailable(_)) => "unavailable".to_owned(),
        Err(GitHubError::InDoubt(_)) => "in doubt".to_owned(),
        Err(GitHubError::RateLimited { until: RateLimitReset::At(_), .. }) => "rate-limited until a time".to_owned(),
        Err(GitHubError::RateLimited { until, .. }) => format!("rate-limited: {until:?}"),
        Err(GitHubError::Refused { status, message, permission: Some(wanted) }) => {
            format!("GitHub refused ({status}): {message} It wants {wanted}")
        }
        Err(error) => error.to_string(),
    }
}

/// Asks the same of both, in worlds that were arranged alike; answers what both said, and what was started.
async fn both(case: &str, arrange: fn(&mut World), ask: Ask) -> String {
    let mut arranged = world();
    arrange(&mut arranged);
    let memory = WorldGitHub::new(Arc::new(Mutex::new(arranged)));
    let asked = Asked::new(&memory, &memory.world());
    let in_memory = asked.ask(ask).await;
    let left_in_memory = Left::take(&mut memory.world());
    let in_memory = format!("{in_memory}, {} started", left_in_memory.started());

    let mut arranged = world();
    arrange(&mut arranged);
    let emulator = emulate(arranged).await;
    let github = client(&emulator);
    let asked = Asked::new(&github, &emulator.world());
    let over_http = asked.ask(ask).await;
    let left_over_http = Left::take(&mut emulator.world());
    let over_http = format!("{over_http}, {} started", left_over_http.started());
    emulator.shutdown().await;

    assert_eq!(over_http, in_memory, "{case}");
    assert_eq!(left_over_http, left_in_memory, "{case}");
    format!("{case}: {over_http}")
}

fn fault(world: &mut World, kind: FaultKind) {
    for (method, path) in [
        ("GET", "/repos/acme/app/contents/**"),
        ("GET", "/repos/acme/app/compare/**"),
        ("GET", "/repos/acme/app/actions/runs"),
        ("POST", "/repos/acme/app/actions/**"),
        ("POST", "/repos/acme/app/dispatches"),
        ("GET", "/repos/acme/app/issues"),
        ("POST", "/repos/acme/app/issues"),
        ("PATCH", "/repos/acme/app/issues/*"),
        ("GET", "/repos/acme/app/pulls/*"),
        ("GET", "/repos/acme/app/collaborators/**"),
        ("GET", "/repos/acme/app/actions/workflows"),
        ("GET", "/repos/acme/app/commits/*/check-runs"),
        ("POST", "/repos/acme/app/check-runs"),
        ("PATCH", "/repos/acme/app/check-runs/*"),
        ("GET", "/repos/acme/app/issues/*/comments"),
        ("POST", "/repos/acme/app/issues/*/comments"),
        ("PATCH", "/repos/acme/app/issues/comments/*"),
        ("GET", "/app/hook/deliveries"),
        ("POST", "/app/hook/deliveries/**"),
    ] {
        world.faults.push(Fault::once(method, path, kind.clone()).unwrap());
    }
}

fn mint_fault(world: &mut World, kind: FaultKind) {
    world.faults.push(Fault::once("POST", "/app/installations/**", kind).unwrap());
}

/// A case, how the world is arranged for it, and what is asked there.
type Row = (&'static str, fn(&mut World), Ask);

async fn all(rows: &[Row]) -> String {
    let mut lines = Vec::new();
    for (case, arrange, ask) in rows {
        lines.push(both(case, *arrange, *ask).await);
    }
    lines.join("\n")
}

#[tokio::test]
async fn reading() {
    let told = all(&[
        ("another repository behind the name", |_| (), ReadAnother),
        ("no file", |_| (), Read("acme/bare")),
        ("no App", |_| (), Read("acme/closed")),
        ("no repository", |_| (), Read("acme/none")),
        ("suspended", |w| w.set_suspended(&"acme".parse().unwrap(), true).unwrap(), Read("acme/app")),
        ("renamed", |w| w.rename_repository(&app(), &"acme/new".parse().unwrap()).unwrap(), Read("acme/app")),
        ("server error", |w| fault(w, FaultKind::status(502)), Read("acme/app")),
        ("cut before", |w| fault(w, FaultKind::CutBefore), Read("acme/app")),
        ("cut after", |w| fault(w, FaultKind::CutAfter), Read("acme/app")),
        ("rate limit", |w| fault(w, limited(None, Some(60), false)), Read("acme/app")),
        ("secondary rate limit", |w| fault(w, limited(None, None, true)), Read("acme/app")),
        ("no token", |w| mint_fault(w, FaultKind::status(503)), Read("acme/app")),
        ("no token for now", |w| mint_fault(w, limited(Some(9), None, true)), Read("acme/app")),
    ])
    .await;
    insta::assert_snapshot!(told, @r#"
    another repository behind the name: NoSuchRepository, 0 started
    no file: NoSuchFile { repository: RepositoryFound { id: RepositoryId(5000000005), private: false } }, 0 started
    no App: NotInstalled, 0 started
    no repository: NotInstalled, 0 started
    suspended: NotInstalled, 0 started
    renamed: NoSuchRepository, 0 started
    server error: unavailable, 0 started
    cut before: unavailable, 0 started
    cut after: unavailable, 0 started
    rate limit: rate-limited until a time, 0 started
    secondary rate limit: rate-limited: Unknown, 0 started
    no token: unavailable, 0 started
    no token for now: rate-limited: After(9s), 0 started
    "#);
}

#[tokio::test]
async fn whether_a_commit_is_on_a_branch() {
    let told = all(&[
        ("the head", |_| (), OnBranch("main", "main")),
        ("an ancestor", branched, OnBranch("next", "main")),
        ("a descendant", branched, OnBranch("main", "next")),
        ("no such branch", |_| (), OnBranch("none", "main")),
        ("a tag of the branch's name", tagged, OnBranch("main", "next")),
        ("server error", |w| fault(w, FaultKind::status(500)), OnBranch("main", "main")),
        ("cut", |w| fault(w, FaultKind::CutBefore), OnBranch("main", "main")),
    ])
    .await;
    insta::assert_snapshot!(told, @r#"
    the head: true, 0 started
    an ancestor: true, 0 started
    a descendant: false, 0 started
    no such branch: false, 0 started
    a tag of the branch's name: false, 0 started
    server error: unavailable, 0 started
    cut: unavailable, 0 started
    "#);
}

#[tokio::test]
async fn dispatching() {
    let told = all(&[
        ("started", |_| (), Dispatch("cd.yml", "main", "environment")),
        ("started, and no run told", |w| w.enterprise_server = true, Dispatch("cd.yml", "main", "environment")),
        ("no such workflow", |_| (), Dispatch("none.yml", "main", "environment")),
        ("not to be dispatched", |_| (), Dispatch("ci.yml", "main", "environment")),
        ("no such ref", |_| (), Dispatch("cd.yml", "none", "environment")),
        ("no such input", |_| (), Dispatch("cd.yml", "main", "other")),
        ("no App any more", |w| w.uninstall(&app()).unwrap(), Dispatch("cd.yml", "main", "environment")),
        (
            "suspended",
            |w| w.set_suspended(&"acme".parse().unwrap(), true).unwrap(),
            Dispatch("cd.yml", "main", "environment"),
        ),
        ("server error", |w| fault(w, FaultKind::status(502)), Dispatch("cd.yml", "main", "environment")),
        ("cut before the effect", |w| fault(w, FaultKind::CutBefore), Dispatch("cd.yml", "main", "environment")),
        ("cut after the effect", |w| fault(w, FaultKind::CutAfter), Dispatch("cd.yml", "main", "environment")),
        ("late", |w| fault(w, FaultKind::Delay { milliseconds: 20 }), Dispatch("cd.yml", "main", "environment")),
        ("rate limit", |w| fault(w, limited(Some(7), None, false)), Dispatch("cd.yml", "main", "environment")),
        ("forbidden", |w| fault(w, FaultKind::status(403)), Dispatch("cd.yml", "main", "environment")),
        ("no token", |w| mint_fault(w, FaultKind::CutAfter), Dispatch("cd.yml", "main", "environment")),
        ("too late", |_| (), DispatchLate),
    ])
    .await;
    insta::assert_snapshot!(told, @r#"
    started: Some(StartedRun { id: RunId(5000000020), url: "https://github.com/acme/app/actions/runs/5000000020" }), 1 started
    started, and no run told: None, 1 started
    no such workflow: GitHub refused (404): Not Found, 0 started
    not to be dispatched: GitHub refused (422): Workflow does not have 'workflow_dispatch' trigger, 0 started
    no such ref: GitHub refused (422): No ref found for: none, 0 started
    no such input: GitHub refused (422): Unexpected inputs provided: ["other"], 0 started
    no App any more: the App is not installed on acme/app, 0 started
    suspended: the App is not installed on acme/app, 0 started
    server error: in doubt, 0 started
    cut before the effect: in doubt, 0 started
    cut after the effect: in doubt, 1 started
    late: Some(StartedRun { id: RunId(5000000020), url: "https://github.com/acme/app/actions/runs/5000000020" }), 1 started
    rate limit: rate-limited: After(7s), 0 started
    forbidden: GitHub refused (403): Something went wrong, 0 started
    no token: unavailable, 0 started
    too late: unavailable, 0 started
    "#);
}

fn limited(retry_after: Option<u64>, reset_in: Option<u64>, secondary: bool) -> FaultKind {
    FaultKind::RateLimited { retry_after, reset_in, secondary }
}

fn branched(world: &mut World) {
    world.write_file(&app(), "next", "new.txt", "new").unwrap();
}

fn tagged(world: &mut World) {
    branched(world);
    let stranger = world.branch_head(&app(), "next").unwrap();
    world.set_tag(&app(), "main", &stranger).unwrap();
}

#[tokio::test]
async fn a_file_comes_once_and_then_costs_no_rate_limit() {
    let emulator = emulate(world()).await;
    let github = client(&emulator);
    let FileRead::Found { repository, bytes, version, .. } =
        github.read_file(&app(), None, PolicyPath::Root, None).await.unwrap()
    else {
        panic!("not found")
    };
    assert!(repository.private);
    assert_eq!(bytes, b"inbound: []\n");
    let remaining = || github.budgets()[0].primary.unwrap().remaining;
    let before = remaining();
    for id in [None, Some(repository.id)] {
        let again = github.read_file(&app(), id, PolicyPath::Root, version.as_ref()).await.unwrap();
        assert_eq!(again, FileRead::NotModified);
    }
    assert_eq!(remaining(), before);
    // A changed file comes again.
    emulator.world().write_file(&app(), "main", "dispatching.yml", "outbound: []\n").unwrap();
    let changed = github.read_file(&app(), None, PolicyPath::Root, version.as_ref()).await.unwrap();
    assert!(matches!(changed, FileRead::Found { bytes, .. } if bytes == b"outbound: []\n"));
    emulator.shutdown().await;
}

#[tokio::test]
async fn expired_tokens_are_replaced_and_the_dispatch_happens_once() {
    let emulator = emulate(world()).await;
    let github = client(&emulator);
    let asked = Asked::new(&github, &emulator.world());
    asked.ask(Dispatch("cd.yml", "main", "environment")).await;
    emulator.world().take_dispatches();
    emulator.world().expire_tokens();
    asked.ask(Dispatch("cd.yml", "main", "environment")).await;
    assert_eq!(emulator.world().take_dispatches().len(), 1);
    emulator.shutdown().await;
}

fn without(world: &mut World, permission: &str) {
    let mut permissions = world.app().permissions.clone();
    permissions.remove(permission);
    world.set_permissions(&"acme".parse().unwrap(), permissions).unwrap();
}
