//! Lets the story happen, and tells it: who asked, what was decided, by which lines, and what was asked of GitHub.

use std::time::Duration;

use dispatch_core::decide::{Allowed, Decision, Denied, Skipped, Verdict};
use dispatch_core::event::{Event, EventKind};
use dispatch_core::fact::{Fact, FactBody};
use dispatch_core::name::{Owner, Repository, RunId};
use dispatch_core::policy::{Policy, PolicyPath, RuleLocation};
use dispatch_core::ports::StorePort;
use dispatch_core::reason::Reason;
use dispatch_core::request::DispatchRequest;
use dispatch_core::testing::world::{ApiRequest, DeliveryRecord};
use dispatch_github::emulator::Emulator;
use tokio::time::{Instant, sleep};

use super::journey::Journey;
use super::organisation;
use super::screen::{Screen, Style};
use super::story::{Act, Happening, Outcome};
use crate::command::Failure;

/// How long one step may take before the demonstration gives up. It takes milliseconds.
const DEADLINE: Duration = Duration::from_secs(20);
/// How often is looked whether something has happened.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Who tells the story.
pub(super) struct Narrator<'a> {
    screen: &'a Screen,
    emulator: &'a Emulator,
    store: &'a dyn StorePort,
    webhook_url: String,
    /// The run of the first act.
    first: Option<RunId>,
    /// How many requests of the service were told about.
    told: usize,
    /// What was expected and did not come.
    differences: Vec<String>,
}

impl<'a> Narrator<'a> {
    pub(super) fn new(
        screen: &'a Screen,
        emulator: &'a Emulator,
        store: &'a dyn StorePort,
        webhook_url: String,
    ) -> Self {
        Self { screen, emulator, store, webhook_url, first: None, told: 0, differences: Vec::new() }
    }

    /// Lets one act happen and tells it.
    pub(super) async fn tell(&mut self, number: usize, act: Act) -> Result<(), Failure> {
        self.screen.title(number, act.title)?;
        match act.happening {
            Happening::Run { repository, spec, outcome } => {
                let repository = organisation::repository(repository).map_err(Failure::work)?;
                let run = self.emulator.world().complete_run(&repository, *spec).map_err(Failure::work)?;
                self.first.get_or_insert(run);
                match outcome {
                    Outcome::Started(chain) => self.tell_chain(run, chain).await,
                    outcome => self.tell_run(run, outcome).await.map(drop),
                }
            }
            Happening::Redelivery => self.tell_redelivery().await,
            Happening::Forgery => self.tell_forgery().await,
        }
    }

    /// What was expected and did not come.
    pub(super) fn into_differences(self) -> Vec<String> {
        self.differences
    }

    /// Follows a run to what it starts, and on to what that starts.
    async fn tell_chain(&mut self, run: RunId, chain: &'static [(&'static str, &'static str)]) -> Result<(), Failure> {
        let mut run = run;
        for _ in chain {
            let Some(next) = self.tell_run(run, Outcome::Started(chain)).await? else { return Ok(()) };
            run = next;
        }
        self.tell_run(run, Outcome::Skipped(Reason::NoRuleMatched)).await.map(drop)
    }

    /// Tells what became of one run; answers with the run that it started.
    async fn tell_run(&mut self, run: RunId, outcome: Outcome) -> Result<Option<RunId>, Failure> {
        let store = self.store;
        let journey = until("the webhook of a run", async || Journey::of_run(store, run).await).await?;
        self.tell_event(&journey.event)?;
        let over = async || Ok(Journey::of_run(store, run).await?.filter(Journey::is_over));
        let journey = until("the end of a delivery", over).await?;
        let Some(plan) = journey.plan else { return Ok(None) };
        let mut next = None;
        if let Some(skipped) = &plan.skipped {
            self.expect(run, outcome, Outcome::Skipped(skipped.reason));
            self.tell_skipped(&journey.event, skipped)?;
        }
        for decision in &plan.decisions {
            match &decision.verdict {
                Verdict::Denied(denied) => {
                    self.expect(run, outcome, Outcome::Denied(denied.reason));
                    self.tell_denied(decision, denied)?;
                }
                Verdict::Allowed(allowed) => {
                    if !matches!(outcome, Outcome::Started(_)) {
                        self.differences.push(format!("run {run} started {}", decision.target.start));
                    }
                    let end = journey.ends.iter().find(|fact| {
                        fact.subject.dispatch.as_ref().is_some_and(|dispatch| dispatch.target == decision.target)
                    });
                    next = self.tell_allowed(decision, allowed, end)?;
                }
            }
        }
        self.tell_requests()?;
        Ok(next)
    }

    fn tell_event(&self, event: &Event) -> Result<(), Failure> {
        let EventKind::WorkflowRun(run) = &event.kind else { return Ok(()) };
        let workflow = run.workflow.as_ref().map_or("a workflow", |workflow| workflow.as_str());
        let ended = run.conclusion.map_or("ended", |conclusion| conclusion.as_str());
        let branch = run.head_branch.as_ref().map_or("no branch", |branch| branch.as_str());
        let who = event.sender.as_ref().map_or_else(String::new, |sender| format!(", by {sender}"));
        let name = self.screen.paint(Style::Name, event.repository.name.name());
        let rest = self.screen.paint(Style::Faint, format_args!("{who}, run {}", run.id));
        Ok(self.screen.line(format_args!("     {name} / {workflow}: {ended} on {branch}{rest}"))?)
    }

    fn tell_skipped(&self, event: &Event, skipped: &Skipped) -> Result<(), Failure> {
        let end_of_chain = skipped.reason == Reason::NoRuleMatched;
        let (mark, word) = if end_of_chain {
            (self.screen.paint(Style::Faint, "·"), "nothing more to start")
        } else {
            (self.screen.paint(Style::No, "✗"), "nothing started")
        };
        self.screen.line(format_args!("       {mark} {word}  {}", self.screen.paint(Style::Faint, skipped.reason)))?;
        if !end_of_chain {
            self.screen.detail("because", &skipped.message)?;
            self.tell_rule("asked", skipped.outbound_rule.as_ref())?;
        }
        if skipped.reason == Reason::SourcePolicyInvalid {
            self.tell_diagnostics(&event.repository.name)?;
        }
        Ok(())
    }

    /// The file's problems, as `dispatch lint` shows them.
    fn tell_diagnostics(&self, repository: &Repository) -> Result<(), Failure> {
        let Some(source) = organisation::file(repository.name(), PolicyPath::Root.as_str()) else { return Ok(()) };
        let owner: Owner = repository.owner();
        let checked = Policy::check(source.as_bytes(), &owner, &short_file(repository, PolicyPath::Root));
        for line in checked.diagnostics.render(source).trim_end().lines() {
            self.screen.report(line)?;
        }
        Ok(())
    }

    fn tell_denied(&self, decision: &Decision, denied: &Denied) -> Result<(), Failure> {
        let target = self.target(decision);
        let mark = self.screen.paint(Style::No, "✗");
        let reason = self.screen.paint(Style::Faint, denied.reason);
        self.screen.line(format_args!("       {mark} {target} is not started  {reason}"))?;
        self.screen.detail("because", &denied.message)?;
        self.tell_rule("asked", Some(&decision.outbound_rule))?;
        self.tell_rule("nearest", denied.inbound_rule.as_ref())
    }

    fn tell_allowed(
        &self,
        decision: &Decision,
        allowed: &Allowed,
        end: Option<&Fact>,
    ) -> Result<Option<RunId>, Failure> {
        let DispatchRequest::Workflow(request) = &allowed.request else { return Ok(None) };
        let (mark, word, run) = match end.map(|fact| &fact.body) {
            Some(FactBody::DispatchTriggered { run }) => {
                (self.screen.paint(Style::Yes, "✓"), "is started".to_owned(), run.as_ref().map(|run| run.id))
            }
            Some(other) => (self.screen.paint(Style::No, "✗"), format!("did not start: {other:?}"), None),
            None => (self.screen.paint(Style::No, "✗"), "did not start".to_owned(), None),
        };
        let target = self.target(decision);
        let at = self.screen.paint(Style::Faint, format_args!("at {}", request.git_ref()));
        self.screen.line(format_args!("       {mark} {target} {word} {at}"))?;
        self.tell_rule("asked", Some(&decision.outbound_rule))?;
        self.tell_rule("agreed", Some(&allowed.inbound_rule))?;
        for (label, (name, value)) in ["sending"].into_iter().chain(std::iter::repeat("")).zip(request.inputs()) {
            self.screen.detail(label, &format!("{name}={value}"))?;
        }
        Ok(run)
    }

    fn target(&self, decision: &Decision) -> String {
        let name = self.screen.paint(Style::Name, decision.target.repository.name());
        format!("{name} / {}", decision.target.start)
    }

    fn tell_rule(&self, label: &str, rule: Option<&RuleLocation>) -> Result<(), Failure> {
        let Some(rule) = rule else { return Ok(()) };
        let place = format!("{}:{}", short_file(&rule.repository, rule.path), rule.line);
        Ok(self.screen.detail(label, &place)?)
    }

    /// What the service asked of GitHub since the last time, without the errands for its credentials.
    fn tell_requests(&mut self) -> Result<(), Failure> {
        let requests = self.new_requests();
        let (writes, reads): (Vec<_>, Vec<_>) = requests.iter().partition(|request| request.method != "GET");
        if requests.is_empty() {
            self.screen.detail("GitHub", "was asked nothing")?;
        } else if writes.is_empty() {
            self.screen.detail("GitHub", &format!("{}, nothing changed", reads_of(&reads)))?;
        }
        for write in writes {
            let path = write.path.replacen(&format!("/repos/{}/", organisation::OWNER), "…/", 1);
            let status = write.status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
            self.screen.detail("GitHub", &format!("{} {path} → {status}", write.method))?;
        }
        Ok(())
    }

    fn new_requests(&mut self) -> Vec<ApiRequest> {
        let world = self.emulator.world();
        let requests = world.requests();
        let new = requests.iter().skip(self.told).filter(|request| !request.is_about_credentials()).cloned().collect();
        self.told = requests.len();
        new
    }

    async fn tell_redelivery(&mut self) -> Result<(), Failure> {
        let original = self.first_delivery()?;
        self.emulator.world().redeliver(original.id).map_err(Failure::work)?;
        let emulator = self.emulator;
        let again = until("a redelivery", async || {
            let world = emulator.world();
            let mut records = world.deliveries();
            let again = |record: &&DeliveryRecord| {
                record.webhook.redelivery && record.webhook.delivery == original.webhook.delivery
            };
            Ok(records.find(again).cloned())
        })
        .await?;
        if again.status_code != 202 {
            self.differences.push(format!("the redelivery was answered with {}", again.status_code));
        }
        let mark = self.screen.paint(Style::Faint, "·");
        let answer = again.status_code;
        self.screen.line(format_args!("       {mark} answered {answer}: it is known, and was done once"))?;
        self.tell_requests()
    }

    async fn tell_forgery(&mut self) -> Result<(), Failure> {
        let original = self.first_delivery()?;
        let status = super::forgery::post(&self.webhook_url, &original.webhook.body).await?;
        if status != 401 {
            self.differences.push(format!("the forged webhook was answered with {status}"));
        }
        let mark = self.screen.paint(Style::No, "✗");
        self.screen
            .line(format_args!("       {mark} answered {status}: the signature is wrong, nothing was written"))?;
        self.tell_requests()
    }

    /// How the webhook of the first act was delivered.
    fn first_delivery(&self) -> Result<DeliveryRecord, Failure> {
        let world = self.emulator.world();
        let run = self.first.map_or_else(String::new, |run| format!("\"id\":{run}"));
        let about = |record: &&DeliveryRecord| {
            let webhook = &record.webhook;
            webhook.event == "workflow_run"
                && webhook.action.as_deref() == Some("completed")
                && String::from_utf8_lossy(&webhook.body).contains(&run)
        };
        let found = world.deliveries().filter(about).last().cloned();
        found.ok_or_else(|| Failure::work("the emulator has forgotten the first webhook"))
    }

    fn expect(&mut self, run: RunId, expected: Outcome, got: Outcome) {
        if expected != got {
            self.differences.push(format!("run {run}: expected {expected:?}, got {got:?}"));
        }
    }
}

/// The file in its repository, without the owner, who is the same in the whole story.
fn short_file(repository: &Repository, path: PolicyPath) -> String {
    format!("{}/{path}", repository.name())
}

fn reads_of(reads: &[&ApiRequest]) -> String {
    let files = reads.iter().filter(|read| read.path.contains("/contents/")).count();
    let others = reads.len() - files;
    let counted = |count: usize, noun: &str| format!("{count} {noun}{}", if count == 1 { "" } else { "s" });
    match (files, others) {
        (files, 0) => format!("was asked for {}", counted(files, "file")),
        (files, others) => format!("was asked for {} and {}", counted(files, "file"), counted(others, "comparison")),
    }
}

/// Looks until there is something to see.
async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Result<Option<T>, Failure>) -> Result<T, Failure> {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = look().await? {
            return Ok(found);
        }
        if Instant::now() > deadline {
            return Err(Failure::work(format_args!("waited {} s for {what}", DEADLINE.as_secs())));
        }
        sleep(LOOK_EVERY).await;
    }
}
