//! Lets things happen at GitHub, and tells what came of them: what a person does, what a repository gets, and what is shown
//! on the pull request.

use std::collections::BTreeMap;
use std::time::Duration;

use dispatch_core::Timestamp;
use dispatch_core::pipeline::Pipeline;
use dispatch_core::ports::store::{Queue, WaitingQuery};
use dispatch_core::testing::world::{ApiRequest, CheckRun, Effect, World, WorldError};
use dispatch_github::emulator::Emulator;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::examples::repository;
use super::markdown;
use crate::command::Failure;
use crate::command::demo::screen::{Screen, Style};

/// How long one step may take before the demonstration gives up. It takes seconds.
const DEADLINE: Duration = Duration::from_secs(60);
/// How often is looked whether something has happened.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How soon work is due that belongs to what happened: the run of an event is looked for two seconds after it.
const SOON: Duration = Duration::from_secs(8);

/// Who tells a story.
pub(super) struct Teller<'a> {
    screen: &'a Screen,
    emulator: &'a Emulator,
    pub(super) pipeline: &'a Pipeline,
    acts: usize,
    /// When the last thing happened, in whole seconds.
    last: i64,
    /// What was told already.
    told: Told,
    /// The events that have to reach the target, in order: repository and type.
    expected: Vec<String>,
    /// What was expected and did not come.
    differences: Vec<String>,
}

#[derive(Default)]
struct Told {
    requests: usize,
    events: usize,
    /// What each check run and each comment showed.
    checks: BTreeMap<u64, (String, Option<String>)>,
    comments: BTreeMap<u64, String>,
}

/// What has to be shown in the end.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shows<'a> {
    /// Nothing that was not there.
    Nothing,
    /// A check on the newest commit of a pull request, with this in its title.
    Check(&'a str, u64, &'a str),
    /// A comment on a pull request, with this in it.
    Comment(&'a str, u64, &'a str),
}

impl<'a> Teller<'a> {
    pub(super) fn new(screen: &'a Screen, emulator: &'a Emulator, pipeline: &'a Pipeline) -> Self {
        let (told, expected, differences) = (Told::default(), Vec::new(), Vec::new());
        Self { screen, emulator, pipeline, acts: 0, last: 0, told, expected, differences }
    }

    /// A new act, and why it comes out as it does.
    pub(super) fn act(&mut self, title: &str, why: &str) -> Result<(), Failure> {
        self.acts += 1;
        self.screen.title(self.acts, title)?;
        Ok(self.screen.remark(why)?)
    }

    /// Lets something happen at GitHub, and says it.
    pub(super) async fn happens<T>(
        &mut self,
        line: &str,
        what: impl FnOnce(&mut World) -> Result<T, WorldError>,
    ) -> Result<T, Failure> {
        self.says(line)?;
        // GitHub's times are whole seconds, and what happens in the same second has no order.
        while self.emulator.world().now().as_second() <= self.last {
            sleep(LOOK_EVERY).await;
        }
        let mut world = self.emulator.world();
        self.last = world.now().as_second();
        what(&mut world).map_err(Failure::work)
    }

    /// Says something in between.
    pub(super) fn says(&self, line: &str) -> Result<(), Failure> {
        Ok(self.screen.line(format_args!("     {line}"))?)
    }

    /// A comment of somebody on a pull request.
    pub(super) async fn comments(&mut self, name: &str, number: u64, login: &str, body: &str) -> Result<(), Failure> {
        let on = repository(name).map_err(Failure::work)?;
        let said = self.screen.paint(Style::Strong, body);
        let line = format!("{login} comments on pull request {number}: {said}");
        self.happens(&line, |world| world.comment(&on, number, login, body)).await.map(drop)
    }

    /// Waits until these events have reached their repository, and something is shown; tells what came of it.
    pub(super) async fn comes(&mut self, events: &[(&str, &str)], shows: Shows<'_>) -> Result<(), Failure> {
        self.expected.extend(events.iter().map(|(name, event)| format!("{name} / {event}")));
        let deadline = Instant::now() + DEADLINE;
        while self.sent().len() < self.expected.len() || !self.shows(shows)? || !self.is_idle().await? {
            if Instant::now() > deadline {
                let shown = format!("{events:?} and {shows:?} did not come");
                self.differences.push(format!("act {}: {shown}, the events are {:?}", self.acts, self.sent()));
                break;
            }
            sleep(LOOK_EVERY).await;
        }
        self.tell()
    }

    /// Ends the story: compares GitHub's own record with what was expected.
    pub(super) fn end(mut self) -> Result<Vec<String>, Failure> {
        let sent = self.sent();
        let ok = sent == self.expected;
        self.screen.line("")?;
        let (style, mark) = if ok { (Style::Yes, "✓") } else { (Style::No, "✗") };
        let word = if ok { "exactly the events that both sides agreed to" } else { "other events than expected" };
        self.screen.line(format_args!("  {} GitHub's own record shows {word}:", self.screen.paint(style, mark)))?;
        for event in &sent {
            self.screen.line(format_args!("      {event}"))?;
        }
        if !ok {
            self.differences.push(format!("expected the events {:?}, GitHub has {sent:?}", self.expected));
        }
        Ok(self.differences)
    }

    /// The events that GitHub was asked for: repository and type.
    fn sent(&self) -> Vec<String> {
        let world = self.emulator.world();
        let effects = world.effects().iter().filter_map(|effect| match effect {
            Effect::RepositoryDispatch { repository, event_type, .. } => {
                Some(format!("{} / {event_type}", repository.name()))
            }
            _ => None,
        });
        effects.collect()
    }

    fn shows(&self, shows: Shows<'_>) -> Result<bool, Failure> {
        let world = self.emulator.world();
        let (Shows::Check(name, number, _) | Shows::Comment(name, number, _)) = shows else { return Ok(true) };
        let name = repository(name).map_err(Failure::work)?;
        let (_, pull) = world.pull_request_parts(&name, number).map_err(Failure::work)?;
        Ok(match shows {
            Shows::Nothing => true,
            Shows::Check(_, _, text) => world.check_runs().any(|check| {
                check.head_sha == pull.head_sha && check.title.as_ref().is_some_and(|title| title.contains(text))
            }),
            Shows::Comment(_, _, text) => own_comments(&world).any(|comment| comment.body.contains(text)),
        })
    }

    /// Whether no webhook is on its way, and no work is due.
    async fn is_idle(&self) -> Result<bool, Failure> {
        let horizon = Timestamp::now() + SOON;
        for queue in Queue::ALL {
            let query = WaitingQuery { queue, after: None, limit: 100 };
            let waiting = self.pipeline.store.waiting(query).await.map_err(Failure::work)?;
            if waiting.iter().any(|stored| stored.record.work().is_some_and(|work| work.due <= horizon)) {
                return Ok(false);
            }
        }
        Ok(self.emulator.webhooks_under_way() == 0)
    }

    /// What the service did at GitHub since the last time.
    fn tell(&mut self) -> Result<(), Failure> {
        let world = self.emulator.world();
        let new = world.requests().get(self.told.requests..).unwrap_or_default();
        let writes: Vec<_> = new.iter().filter(|it| it.method != "GET" && !it.is_about_credentials()).collect();
        for write in &writes {
            self.tell_write(write)?;
        }
        self.told.requests = world.requests().len();
        for check in world.check_runs() {
            let shown = (check.conclusion.clone().unwrap_or_else(|| check.status.clone()), check.title.clone());
            if self.told.checks.get(&check.id) != Some(&shown) {
                let repository = world.repositories().find(|state| state.id == check.repository);
                let name = repository.map(|state| state.name.name()).unwrap_or_default();
                self.tell_check(name, check, &writes)?;
                self.told.checks.insert(check.id, shown);
            }
        }
        for comment in own_comments(&world) {
            let before = self.told.comments.insert(comment.id, comment.body.clone());
            if before.as_ref() != Some(&comment.body) {
                self.tell_comment(comment.issue, &comment.body, before.as_deref())?;
            }
        }
        drop(world);
        let done = self.sent().len();
        if done == std::mem::replace(&mut self.told.events, done) {
            self.screen.line(format_args!("       {} nothing is started", self.screen.paint(Style::Faint, "·")))?;
        }
        Ok(())
    }

    /// An event, a reaction, or what went wrong.
    fn tell_write(&self, write: &ApiRequest) -> Result<(), Failure> {
        let body: Value = write.body.as_deref().and_then(|body| serde_json::from_str(body).ok()).unwrap_or_default();
        let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
        let mut parts = write.path.trim_start_matches("/repos/").split('/').skip(1);
        let name = self.screen.paint(Style::Name, parts.next().unwrap_or_default());
        let yes = self.screen.paint(Style::Yes, "→");
        if !write.status.is_some_and(|status| (200..300).contains(&status)) {
            let status = write.status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
            let no = self.screen.paint(Style::No, "✗");
            self.screen.line(format_args!("       {no} {} {}: {status}", write.method, write.path))?;
        } else if write.path.ends_with("/dispatches") {
            let event = self.screen.paint(Style::Strong, text("event_type"));
            self.screen.line(format_args!("       {yes} {name} gets the event {event}"))?;
            let payload = body.get("client_payload").map(spaced).unwrap_or_default();
            self.screen.detail("payload", &payload)?;
        } else if write.path.ends_with("/reactions") {
            let face = text("content");
            self.screen.line(format_args!("       {yes} {name} shows a reaction to the comment: {face}"))?;
        }
        Ok(())
    }

    /// A check run: what it showed on the way, and what it shows now.
    fn tell_check(&self, repository: &str, check: &CheckRun, writes: &[&ApiRequest]) -> Result<(), Failure> {
        let is_about = |write: &ApiRequest, body: &Value| {
            write.path.ends_with(&format!("/check-runs/{}", check.id))
                || write.path.ends_with("/check-runs")
                    && body.get("name").and_then(Value::as_str) == Some(&check.name)
                    && body.get("head_sha").and_then(Value::as_str) == Some(check.head_sha.as_str())
        };
        let mut titles: Vec<String> = writes
            .iter()
            .filter_map(|write| Some((write, serde_json::from_str::<Value>(write.body.as_deref()?).ok()?)))
            .filter(|(write, body)| is_about(write, body))
            .filter_map(|(_, body)| body.pointer("/output/title").and_then(Value::as_str).map(str::to_owned))
            .collect();
        let last = titles.pop().or_else(|| check.title.clone()).unwrap_or_default();
        let (yes, name) = (self.screen.paint(Style::Yes, "→"), self.screen.paint(Style::Name, repository));
        self.screen.line(format_args!("       {yes} {name} shows the check {}", check.name))?;
        if !titles.is_empty() {
            self.screen.detail("first", &titles.join(", then "))?;
        }
        self.screen.detail(check.conclusion.as_deref().unwrap_or("now"), &last)?;
        Ok(())
    }

    /// A comment, and of one that was there already what is new in it.
    fn tell_comment(&self, number: u64, body: &str, before: Option<&str>) -> Result<(), Failure> {
        let before: Vec<_> = before.map(markdown::lines).unwrap_or_default();
        let is_new = before.is_empty();
        let now = markdown::lines(body);
        let new: Vec<_> = now.iter().filter(|line| !before.contains(line)).collect();
        let yes = self.screen.paint(Style::Yes, "→");
        let what = match (is_new, new.is_empty()) {
            (true, _) => "shows a comment",
            (false, false) => "shows in the same comment now",
            (false, true) => "shows the same comment, with a link to the new run",
        };
        self.screen.line(format_args!("       {yes} pull request {number} {what}"))?;
        for line in new {
            self.screen.quoted(line)?;
        }
        Ok(())
    }
}

/// The comments of the service itself.
fn own_comments(world: &World) -> impl Iterator<Item = &dispatch_core::testing::world::Comment> {
    let bot = world.app().bot();
    let all = world.repositories().flat_map(|state| state.comments.values());
    all.filter(move |comment| comment.author == bot)
}

/// JSON with a blank after each comma, so that it can be broken into lines.
fn spaced(payload: &Value) -> String {
    let Value::Object(members) = payload else { return payload.to_string() };
    let members: Vec<_> = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!("{{{}}}", members.join(", "))
}
