//! GitHub and the service, and what one asked of the other.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dispatch_core::Timestamp;
use dispatch_core::event::Conclusion;
use dispatch_core::guardrail::Guardrails;
use dispatch_core::name::Repository;
use dispatch_core::pipeline::Pipeline;
use dispatch_core::ports::policies::BoundedPolicyMemory;
use dispatch_core::ports::store::{Queue, StorePort, WaitingQuery};
use dispatch_core::retry::RetryPolicy;
use dispatch_core::testing::World;
use dispatch_core::testing::world::{CheckRun, Comment, PullRequestSpec, RepositoryOptions, Role, Run, RunStatus};
use dispatch_core::webhook::WebhookSecrets;
use dispatch_github::emulator::{Emulator, EmulatorOptions};
use dispatch_github::{GitHub, GitHubOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::asked::Asked;
use crate::carrier::Carrier;
use crate::policies::{File, example};
use crate::told;

/// How long something may take that takes milliseconds, on a machine that does much else.
pub const DEADLINE: Duration = Duration::from_secs(120);
/// How soon work is due that is done at once.
const AT_ONCE: Duration = Duration::from_millis(500);
/// How soon work is due that belongs to what happened, though it is not done at once.
const SOON: Duration = Duration::from_secs(8);
/// How much later the next thing happens. GitHub's times are whole seconds, and what happens in the same second has no order.
const LATER: Duration = Duration::from_secs(1);

pub const OWNER: &str = "acme";

pub struct House {
    pub emulator: Emulator,
    pub pipeline: Pipeline,
    pub webhook_url: String,
    carrier: Carrier,
    name: String,
}

impl House {
    /// The repositories of an example with the App installed, where `alice` may write and `bob` may read.
    pub async fn of(name: &str) -> Self {
        Self::over(world_of(&example(name), &[])).await
    }

    pub async fn over(world: World) -> Self {
        let name = told::name();
        let options = EmulatorOptions { pace: None, ..EmulatorOptions::default() };
        let emulator = Emulator::start(world, options).await.unwrap();
        let carrier = Carrier::start(&emulator).await;
        Self { emulator, pipeline: carrier.pipeline.clone(), webhook_url: carrier.webhook_url.clone(), carrier, name }
    }

    /// Lets something happen at GitHub, and waits until all that follows at once was done.
    pub async fn happens<T>(&self, what: impl FnOnce(&mut World) -> T) -> T {
        let happened = {
            let mut world = self.emulator.world();
            world.advance(LATER);
            what(&mut world)
        };
        self.settled().await;
        happened
    }

    /// Waits until no webhook is on its way and no work is due.
    pub async fn settled(&self) {
        self.idle(AT_ONCE).await;
    }

    /// The same, and the run of each event was looked for: that is due two seconds after the event.
    pub async fn runs_are_found(&self) {
        self.idle(SOON).await;
    }

    /// Waits until the time of the last thing that happened has come: each happens [`LATER`] than the one before.
    pub async fn time_has_come(&self) {
        let last = self.emulator.world().now();
        while Timestamp::now() < last {
            tokio::time::sleep(Carrier::LOOK_EVERY).await;
        }
    }

    async fn idle(&self, horizon: Duration) {
        let deadline = Instant::now() + DEADLINE;
        let mut before = None;
        loop {
            // Twice the same: nothing moved from the webhooks to the work, or back, between the two looks.
            let seen = self.nothing_to_do(horizon).await.then(|| self.so_far());
            if seen.is_some() && seen == before {
                return;
            }
            before = seen;
            assert!(Instant::now() < deadline, "it never ends: {:#?}", self.emulator.world().requests());
            tokio::time::sleep(Carrier::LOOK_EVERY).await;
        }
    }

    async fn nothing_to_do(&self, horizon: Duration) -> bool {
        if self.emulator.webhooks_under_way() > 0 {
            return false;
        }
        let horizon = Timestamp::now() + horizon;
        for queue in Queue::ALL {
            let query = WaitingQuery { queue, after: None, limit: 100 };
            let waiting = self.pipeline.store.waiting(query).await.unwrap();
            if waiting.iter().any(|stored| stored.record.work().is_some_and(|work| work.due <= horizon)) {
                return false;
            }
        }
        true
    }

    /// How often GitHub was asked, and told.
    fn so_far(&self) -> (u64, usize) {
        let world = self.emulator.world();
        let told = world.deliveries().next().map_or(0, |newest| newest.id);
        (told, world.requests().len())
    }

    /// Lets somebody open a pull request, from a branch of the same repository.
    pub async fn opens(&self, name: &str, author: &str, branch: &str, base: &str) -> u64 {
        let spec = PullRequestSpec { author: author.to_owned(), base: base.to_owned(), ..PullRequestSpec::new(branch) };
        self.happens(|world| world.open_pull_request(&repository(name), spec).unwrap()).await
    }

    /// Lets somebody open a pull request from a fork.
    pub async fn opens_from_fork(&self, name: &str, author: &str, base: &str) -> u64 {
        let fork = Some(repository(&format!("{author}/{name}")));
        let spec =
            PullRequestSpec { author: author.to_owned(), base: base.to_owned(), fork, ..PullRequestSpec::new("main") };
        self.happens(|world| world.open_pull_request(&repository(name), spec).unwrap()).await
    }

    /// Lets somebody push a commit to a pull request; answers with it.
    pub async fn pushes(&self, name: &str, number: u64) -> String {
        let push = |world: &mut World| world.push_to_pull_request(&repository(name), number, "alice").unwrap();
        self.happens(push).await.as_str().to_owned()
    }

    /// Lets somebody comment on a pull request or an issue; answers with the comment's id.
    pub async fn comments(&self, name: &str, number: u64, login: &str, body: &str) -> u64 {
        self.happens(|world| world.comment(&repository(name), number, login, body).unwrap()).await
    }

    /// Closes a pull request, merged or not.
    pub async fn closes(&self, name: &str, number: u64, merged: bool) {
        self.happens(|world| world.close_pull_request(&repository(name), number, merged).unwrap()).await;
    }

    /// Delivers signed bytes under any delivery id, and answers with the status.
    pub async fn delivers(&self, event: &str, delivery: &str, body: &[u8]) -> u16 {
        self.delivers_signed(event, delivery, body, self.emulator.webhook_secret()).await
    }

    /// The same, signed with any secret.
    pub async fn delivers_signed(&self, event: &str, delivery: &str, body: &[u8], secret: &str) -> u16 {
        let secrets: WebhookSecrets = secret.parse().unwrap();
        let address = self.webhook_url.strip_prefix("http://").unwrap().split('/').next().unwrap();
        let head = format!(
            "POST /webhooks/github HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nX-GitHub-Event: {event}\r\n\
             X-GitHub-Delivery: {delivery}\r\nX-Hub-Signature-256: {}\r\nContent-Length: {}\r\n\r\n",
            secrets.sign(body),
            body.len(),
        );
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(&[head.as_bytes(), body].concat()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        self.settled().await;
        String::from_utf8_lossy(&answer).split(' ').nth(1).unwrap().parse().unwrap()
    }

    /// The newest webhook of this event that GitHub delivered: its delivery id, and its body.
    pub fn newest_webhook(&self, event: &str) -> (String, Vec<u8>) {
        let world = self.emulator.world();
        let newest = &world.deliveries().find(|record| record.webhook.event == event).unwrap().webhook;
        (newest.delivery.as_str().to_owned(), newest.body.clone())
    }

    /// Moves the runs that have not ended by one step.
    pub async fn runs_go_on(&self) {
        self.runs_are_found().await;
        self.happens(World::progress_runs).await;
    }

    /// Ends the newest run of a repository.
    pub async fn run_ends(&self, name: &str, conclusion: Conclusion) {
        self.runs_are_found().await;
        self.happens(|world| {
            let of = |run: &&Run| run.repository == repository(name) && run.status != RunStatus::Completed;
            let run = world.runs().rfind(of).expect("a run that goes on").id;
            world.finish_run(run, conclusion).unwrap();
        })
        .await;
    }

    /// What GitHub was asked since the last time.
    pub fn asked(&self) -> Asked {
        let mut world = self.emulator.world();
        world.take_effects();
        Asked::new(world.take_requests())
    }

    /// The newest check run of each name on a commit.
    pub fn checks(&self, name: &str, commit: &str) -> Vec<CheckRun> {
        let world = self.emulator.world();
        let id = world.repositories().find(|state| state.name == repository(name)).unwrap().id;
        let mut newest = BTreeMap::new();
        for check in world.check_runs().filter(|check| check.repository == id && check.head_sha.as_str() == commit) {
            newest.insert(check.name.clone(), check.clone());
        }
        newest.into_values().collect()
    }

    /// One line for each check on the head of a pull request: name, status, title.
    pub fn shown_checks(&self, name: &str, number: u64) -> String {
        let head = self.head(name, number);
        let line = |check: CheckRun| {
            let state = check.conclusion.unwrap_or(check.status);
            format!("{} | {state} | {}\n", check.name, check.title.unwrap_or_default())
        };
        self.checks(name, &head).into_iter().map(line).collect()
    }

    /// The commit that a pull request would merge.
    pub fn head(&self, name: &str, number: u64) -> String {
        let world = self.emulator.world();
        let (_, pull) = world.pull_request_parts(&repository(name), number).unwrap();
        pull.head_sha.as_str().to_owned()
    }

    /// The reactions to a comment.
    pub fn reactions(&self, name: &str, comment: u64) -> Vec<String> {
        let world = self.emulator.world();
        let comment = world.known_comment(&repository(name), comment).unwrap();
        comment.reactions.iter().map(|reaction| reaction.content.clone()).collect()
    }

    /// The comments of the App on a pull request, oldest first.
    pub fn shown_comments(&self, name: &str, number: u64) -> Vec<String> {
        let world = self.emulator.world();
        let state = world.repositories().find(|state| state.name == repository(name)).unwrap();
        let ours = |comment: &&Comment| comment.issue == number && comment.author == "dispatch[bot]";
        state.comments.values().filter(ours).map(|comment| comment.body.clone()).collect()
    }

    /// Ends the test: everything that GitHub was asked has been looked at.
    pub async fn finish(self) {
        assert_eq!(self.end().await.all(), "", "asked for and not looked at");
    }

    /// Ends the test, and answers with what GitHub was asked since the last time. The facts are those of the scenario.
    pub async fn end(mut self) -> Asked {
        self.runs_are_found().await;
        told::assert_as_ever(&self.name, &self.carrier.end().await);
        let asked = self.asked();
        self.emulator.shutdown().await;
        asked
    }
}

/// A world of these files. The App is installed on all of their repositories but those of `without_app`.
pub fn world_of(files: &[File], without_app: &[&str]) -> World {
    let mut world = World::new(Timestamp::now());
    for File { repository: name, path, content } in files {
        let (installed, name) = (!without_app.contains(&name.as_str()), repository(name));
        if world.repositories().all(|state| state.name != name) {
            let options = RepositoryOptions { private: true, installed, ..RepositoryOptions::default() };
            world.add_repository(&name, options).unwrap();
            world.set_permission(&name, "alice", Role::Write).unwrap();
            world.set_permission(&name, "bob", Role::Read).unwrap();
        }
        world.write_file(&name, "main", path, content).unwrap();
    }
    world
}

/// GitHub as the App of an emulator reaches it.
pub fn client(emulator: &Emulator) -> Arc<GitHub> {
    let github = GitHub::new(GitHubOptions {
        api_url: emulator.api_url(),
        app_id: emulator.app_id(),
        private_key: emulator.private_key_pem().into(),
        ..GitHubOptions::default()
    });
    Arc::new(github.unwrap())
}

/// The stages, for the events of [`OWNER`].
pub fn pipeline(github: Arc<GitHub>, store: Arc<dyn StorePort>) -> Pipeline {
    let settings = BTreeMap::from([("OWNER_ALLOWLIST".to_owned(), OWNER.to_owned())]);
    Pipeline {
        github,
        store,
        policies: Arc::new(BoundedPolicyMemory::new(100)),
        guardrails: Guardrails::from_settings(&settings).unwrap().with_app_login("dispatch[bot]".parse().unwrap()),
        retry: RetryPolicy::default(),
        settle: Pipeline::DEFAULT_SETTLE,
        max_event_age: Pipeline::DEFAULT_MAX_EVENT_AGE,
    }
}

pub fn repository(name: &str) -> Repository {
    if name.contains('/') { name.parse().unwrap() } else { format!("{OWNER}/{name}").parse().unwrap() }
}

/// A `repository_dispatch`, as [`Asked::writes_to`] tells it.
pub fn event(event_type: &str, payload: &str) -> String {
    format!(r#"POST /dispatches {{"client_payload":{payload},"event_type":"{event_type}"}}"#)
}
