//! People: they push, change their minds, install and remove the App, and their runs end.

use std::sync::Arc;
use std::time::Duration;

use dispatch_core::Timestamp;
use dispatch_core::event::Conclusion;
use dispatch_core::name::RunId;
use dispatch_core::testing::World;
use dispatch_core::testing::world::{RepositoryOptions, RunSpec};

use crate::agreements::{Agreement, Agreements, File, History, Spot, WORKFLOWS};
use crate::observed::Ended;
use crate::previews::{self, Previews};
use crate::random::Random;
use crate::sabotage::Sabotage;
use crate::sim::{Owner, Sim};

const OWNERS: [&str; 3] = ["alpha", "beta", "gamma"];
const WORKFLOW: &str = "on:\n  workflow_dispatch:\n    inputs:\n      run: {}\njobs: {}\n";

/// A few organisations that agree about something: the world, and what they agreed on. A sabotage of previews finds some.
pub(crate) fn settle(random: &mut Random, sabotage: Option<Sabotage>) -> (World, Agreements, Option<Previews>) {
    let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let mut world = World::new(start);
    let (owners, each) = (1 + random.below(OWNERS.len()), 1 + random.below(3));
    let names = OWNERS.iter().take(owners).flat_map(|owner| (0..each).map(move |n| format!("{owner}/repository-{n}")));
    let repositories: Vec<_> = names.map(|name| name.parse().unwrap()).collect();
    let mut files = vec![File::default(); repositories.len()];
    let dense = random.per_mille(60);
    let wanted = if dense { 40 } else { 2 + random.below(7) };
    for _ in 0..wanted {
        let spot = |random: &mut Random| (random.below(files.len()), *random.pick(&WORKFLOWS));
        let agreement = Agreement { source: spot(random), target: spot(random) };
        let (source, target) = (agreement.source.0, agreement.target.0);
        let both = dense || random.per_mille(800);
        let side = random.below(3);
        if both || side == 0 {
            files[source].outbound.insert(agreement);
        }
        if both || side == 1 {
            files[target].inbound.insert(agreement);
        } else if side == 2 {
            files[source].outbound.insert(agreement);
            files[target].inbound_without_input.insert(agreement);
        }
    }
    for (repository, file) in repositories.iter().zip(&files) {
        world.add_repository(repository, RepositoryOptions::default()).unwrap();
        for workflow in WORKFLOWS {
            world.write_file(repository, "main", &format!(".github/workflows/{workflow}"), WORKFLOW).unwrap();
        }
        if let Some(text) = file.text(&repositories) {
            world.write_file(repository, "main", "dispatching.yml", &text).unwrap();
        }
    }
    let histories = files.into_iter().map(|file| History::new(start, file)).collect();
    let previews = previews::settle(&mut world, random, sabotage.is_some_and(Sabotage::needs_previews));
    (world, Agreements { repositories, histories }, previews)
}

/// What people do, until they are done.
pub(crate) async fn live(sim: Arc<Sim>) {
    let original: Vec<File> =
        sim.observed().agreements.histories.iter().map(|history| history.file().clone()).collect();
    let deeds = sim.draw(|random| 3 + random.below(12));
    // Some seeds leave the agreements alone, so that what must start can be told exactly.
    let restless = sim.draw(|random| random.per_mille(650));
    let installed = vec![true; original.len()];
    let mut people = People { original, restless, installed, suspended: Vec::new(), runs: Vec::new() };
    for _ in 0..deeds {
        let gap = sim.draw(|random| match random.below(12) {
            0 => random.millis(600_000, 20_000_000),
            1..=4 => random.millis(0, 500),
            _ => random.millis(500, 120_000),
        });
        sim.sleep(gap).await;
        match sim.draw(|random| random.below(if restless { 22 } else { 12 })) {
            0..=7 => people.end_run(&sim, RunSpec::default()),
            8 => people.end_ineligible_run(&sim),
            9 => people.end_run_again(&sim),
            10 => people.end_run(&sim, RunSpec { event: "workflow_dispatch".to_owned(), ..RunSpec::default() }),
            11 => people.order_failure(&sim),
            12..=15 => withdraw(&sim),
            16 | 17 => restore(&sim, &people.original),
            18 => spoil(&sim),
            19 => people.suspend(&sim),
            20 => people.uninstall(&sim),
            _ => sim.world().expire_tokens(),
        }
    }
    sim.observed().people_busy -= 1;
}

/// Runs that were started go on, at their own pace.
pub(crate) async fn run_workflows(sim: Arc<Sim>) {
    loop {
        let span = sim.draw(|random| {
            let most = if random.per_mille(700) { 20_000 } else { 200_000 };
            random.millis(200, most)
        });
        sim.sleep(span).await;
        let moved = sim.world().progress_runs();
        if !moved.is_empty() {
            sim.say(|| format!("runs go on: {moved:?}"));
        }
    }
}

struct People {
    original: Vec<File>,
    restless: bool,
    installed: Vec<bool>,
    suspended: Vec<String>,
    runs: Vec<RunId>,
}

impl People {
    fn end_run(&mut self, sim: &Arc<Sim>, spec: RunSpec) {
        let repositories = sim.observed().agreements.repositories.clone();
        // Mostly where something follows from it.
        let agreements: Vec<Agreement> = self.original.iter().flat_map(|file| file.outbound.iter().copied()).collect();
        let (position, workflow) = sim.draw(|random| match random.below(4) {
            0 => (random.below(repositories.len()), *random.pick(&WORKFLOWS)),
            _ if agreements.is_empty() => (0, WORKFLOWS[0]),
            _ => random.pick(&agreements).source,
        });
        if self.restless && sim.draw(|random| random.per_mille(300)) {
            sim.spawn(Owner::Outside, withdraw_from(Arc::clone(sim), (position, workflow)));
        }
        let spec = RunSpec { workflow: workflow.to_owned(), ..spec };
        let eligible = spec.conclusion == Some(Conclusion::Success)
            && ["push", "workflow_dispatch"].contains(&spec.event.as_str())
            && spec.fork.is_none()
            && !spec.head_repository_deleted
            && !spec.tag;
        let run = sim.world().complete_run(&repositories[position], spec).unwrap();
        self.note(sim, run, 1, position, workflow, eligible);
    }

    /// A run that must not start anything, for one of many reasons.
    fn end_ineligible_run(&mut self, sim: &Arc<Sim>) {
        let spec = match sim.draw(|random| random.below(5)) {
            0 => RunSpec { conclusion: Some(Conclusion::Failure), ..RunSpec::default() },
            1 => RunSpec { conclusion: None, ..RunSpec::default() },
            2 => RunSpec { fork: Some("mallory/fork".parse().unwrap()), ..RunSpec::default() },
            3 => RunSpec { head_repository_deleted: true, ..RunSpec::default() },
            _ => RunSpec { event: "issue_comment".to_owned(), ..RunSpec::default() },
        };
        self.end_run(sim, spec);
    }

    /// Somebody runs an earlier run again: another attempt is another event.
    fn end_run_again(&mut self, sim: &Sim) {
        if self.runs.is_empty() {
            return;
        }
        let run = sim.draw(|random| *random.pick(&self.runs));
        let known = sim.world().runs().find(|known| known.id == run).cloned().unwrap();
        let attempts = known.attempt;
        let ended = sim.observed().ended[&(run, attempts)].clone();
        let spec = RunSpec { rerun_of: Some(run), conclusion: known.conclusion, ..RunSpec::default() };
        sim.world().complete_run(&known.repository, spec).unwrap();
        self.note(sim, run, attempts + 1, ended.repository, &ended.workflow, ended.eligible);
    }

    fn note(&mut self, sim: &Sim, run: RunId, attempt: u32, repository: usize, workflow: &str, eligible: bool) {
        sim.say(|| format!("run {run} attempt {attempt} of {workflow} of repository {repository} ends, {eligible}"));
        let ended = Ended { repository, workflow: workflow.to_owned(), at: sim.now(), eligible };
        sim.observed().ended.insert((run, attempt), ended);
        self.runs.push(run);
    }

    /// The next run that is started somewhere will fail.
    fn order_failure(&self, sim: &Sim) {
        let repositories = sim.observed().agreements.repositories.clone();
        let repository = sim.draw(|random| random.pick(&repositories).clone());
        let workflow = sim.draw(|random| *random.pick(&WORKFLOWS));
        sim.world().order_conclusion(&repository, workflow, Conclusion::Failure).unwrap();
    }

    /// An owner suspends the App, or ends the suspension.
    fn suspend(&mut self, sim: &Sim) {
        let repositories = sim.observed().agreements.repositories.clone();
        let owner = sim.draw(|random| random.pick(&repositories).owner());
        let name = owner.as_str().to_owned();
        let suspended = !self.suspended.contains(&name);
        sim.say(|| format!("{owner} suspends the App: {suspended}"));
        sim.world().set_suspended(&owner, suspended).unwrap();
        if suspended {
            self.suspended.push(name);
        } else {
            self.suspended.retain(|other| *other != name);
        }
        self.reach(sim);
    }

    /// The App is taken off a repository, or put on it again.
    fn uninstall(&mut self, sim: &Sim) {
        let repositories = sim.observed().agreements.repositories.clone();
        let position = sim.draw(|random| random.below(repositories.len()));
        let repository = &repositories[position];
        self.installed[position] = !self.installed[position];
        sim.say(|| format!("the App is installed on {repository}: {}", self.installed[position]));
        if self.installed[position] {
            sim.world().install(repository).unwrap();
        } else {
            sim.world().uninstall(repository).unwrap();
        }
        self.reach(sim);
    }

    fn reach(&self, sim: &Sim) {
        let now = sim.now();
        let agreements = &mut sim.observed().agreements;
        for (position, repository) in agreements.repositories.iter().enumerate() {
            let suspended = self.suspended.iter().any(|owner| *owner == repository.owner().as_str());
            let reached = self.installed[position] && !suspended;
            if agreements.histories[position].reached() != reached {
                agreements.histories[position].set_reached(now, reached);
            }
        }
    }
}

/// Somebody changes his mind just when something was about to follow from a run.
async fn withdraw_from(sim: Arc<Sim>, source: Spot) {
    let span = sim.draw(|random| random.millis(0, 90_000));
    sim.sleep(span).await;
    let files: Vec<File> = sim.observed().agreements.histories.iter().map(|history| history.file().clone()).collect();
    let position = sim.draw(|random| random.below(files.len()));
    let mut file = files[position].clone();
    file.outbound.retain(|agreement| agreement.source != source);
    file.inbound.retain(|agreement| agreement.source != source);
    if file != files[position] {
        set_file(&sim, position, file);
    }
}

/// One side takes one of its rules back.
fn withdraw(sim: &Sim) {
    change(sim, |random, file| {
        let outbound = random.per_mille(500);
        let rules = if outbound { &mut file.outbound } else { &mut file.inbound };
        let known: Vec<Agreement> = rules.iter().copied().collect();
        if !known.is_empty() {
            rules.remove(random.pick(&known));
        }
    });
}

/// A file says again what it said at the beginning.
fn restore(sim: &Sim, original: &[File]) {
    let position = sim.draw(|random| random.below(original.len()));
    set_file(sim, position, original[position].clone());
}

/// A file gets a mistake, or is emptied.
fn spoil(sim: &Sim) {
    change(sim, |random, file| {
        if random.per_mille(500) {
            file.broken = true;
        } else {
            *file = File::default();
        }
    });
}

fn change(sim: &Sim, change: impl FnOnce(&mut Random, &mut File)) {
    let count = sim.observed().agreements.histories.len();
    let position = sim.draw(|random| random.below(count));
    let mut file = sim.observed().agreements.histories[position].file().clone();
    sim.draw(|random| change(random, &mut file));
    set_file(sim, position, file);
}

fn set_file(sim: &Sim, position: usize, file: File) {
    let repositories = sim.observed().agreements.repositories.clone();
    let (now, repository) = (sim.now(), &repositories[position]);
    sim.say(|| format!("{repository} now says {:?}", file.text(&repositories)));
    match file.text(&repositories) {
        Some(text) => sim.world().write_file(repository, "main", "dispatching.yml", &text).unwrap(),
        None => sim.world().remove_file(repository, "main", "dispatching.yml").unwrap(),
    };
    sim.observed().agreements.histories[position].set_file(now, file);
}

/// How long people wait before they look whether a process's clock is right.
const LOOK_AT_CLOCKS: Duration = Duration::from_secs(20);

/// The clocks of the processes jump, forward and back.
pub(crate) async fn turn_clocks(sim: Arc<Sim>) {
    while sim.faults() {
        sim.sleep(LOOK_AT_CLOCKS).await;
        if sim.goes_wrong(sim.weather.clock) {
            let most = sim.weather.clock_error.as_millis() as i64;
            let (process, ahead) = sim.draw(|random| {
                (random.below(crate::sim::PROCESSES), random.between(0, 2 * most.unsigned_abs()).cast_signed() - most)
            });
            sim.say(|| format!("the clock of process {process} is {ahead} ms ahead"));
            sim.set_skew(process, jiff::SignedDuration::from_millis(ahead));
        }
    }
}
