//! What people do with pull requests: they open, push, close, open again, retarget and comment, and change who may.

use std::sync::Arc;

use dispatch_core::name::CommitSha;
use dispatch_core::testing::world::{PullRequestSpec, Role};

use super::{Given, PROMOTED, Previews, Pull, STRANGER, Switch, WRITER};
use crate::sim::Sim;

/// How many pull requests are opened at most.
const MOST: usize = 5;

/// What they do, until they are done.
pub(crate) async fn live(sim: Arc<Sim>) {
    let deeds = sim.draw(|random| 5 + random.below(14));
    for deed in 0..deeds {
        let gap = sim.draw(|random| match random.below(12) {
            0 => random.millis(600_000, 10_000_000),
            1..=4 => random.millis(0, 900),
            _ => random.millis(500, 120_000),
        });
        sim.sleep(gap).await;
        let restless = with(&sim, |previews| previews.setup.restless);
        let kind = sim.draw(|random| random.below(if restless { 25 } else { 21 }));
        match kind {
            _ if deed == 0 => open(&sim),
            0..=3 => open(&sim),
            4..=7 => push(&sim),
            8..=10 => close_or_reopen(&sim),
            11 => retarget(&sim),
            12..=16 => comment(&sim),
            17 => edit(&sim),
            18 => press(&sim),
            19 => order_failure(&sim),
            20 => label(&sim),
            21 => promote(&sim),
            22 | 23 => change_minds(&sim),
            _ => install(&sim),
        }
    }
    sim.observed().people_busy -= 1;
}

fn with<T>(sim: &Sim, read: impl FnOnce(&mut Previews) -> T) -> T {
    read(sim.observed().previews.as_mut().unwrap())
}

fn pick(sim: &Sim) -> Option<u64> {
    let numbers: Vec<u64> = with(sim, |previews| previews.pull_requests.keys().copied().collect());
    (!numbers.is_empty()).then(|| sim.draw(|random| *random.pick(&numbers)))
}

fn open(sim: &Sim) {
    let (count, source) = with(sim, |previews| (previews.pull_requests.len(), previews.source.clone()));
    if count >= MOST {
        return;
    }
    let (fork, author, base) = sim.draw(|random| {
        (random.per_mille(150), *random.pick(&[WRITER, PROMOTED, STRANGER]), *random.pick(&["main", "dev"]))
    });
    let spec = PullRequestSpec {
        author: author.to_owned(),
        base: base.to_owned(),
        fork: fork.then(|| "mallory/site".parse().unwrap()),
        ..PullRequestSpec::new(&format!("topic-{count}"))
    };
    let number = sim.world().open_pull_request(&source, spec).unwrap();
    let now = sim.now();
    sim.say(|| format!("{author} opens pull request {number} into {base}, from a fork: {fork}"));
    let pull = Pull { fork, open: Switch::new(now, true), kept: Switch::new(now, false) };
    with(sim, |previews| previews.pull_requests.insert(number, pull));
}

fn push(sim: &Sim) {
    let Some(number) = pick(sim) else { return };
    let source = with(sim, |previews| previews.source.clone());
    let sha = sim.world().push_to_pull_request(&source, number, WRITER).unwrap();
    sim.say(|| format!("pull request {number} has {sha}"));
}

fn close_or_reopen(sim: &Sim) {
    let Some(number) = pick(sim) else { return };
    let source = with(sim, |previews| previews.source.clone());
    let merged = sim.draw(|random| random.per_mille(300));
    let open = {
        let mut world = sim.world();
        let open = world.pull_request_parts(&source, number).unwrap().0.open;
        let done = if open {
            world.close_pull_request(&source, number, merged)
        } else {
            world.reopen_pull_request(&source, number)
        };
        // What was merged stays so.
        if done.is_ok() { !open } else { open }
    };
    let now = sim.now();
    sim.say(|| format!("pull request {number} is open: {open}"));
    with(sim, |previews| {
        let pull = previews.pull_requests.get_mut(&number).unwrap();
        if pull.open.now() != open {
            pull.open.set(now, open);
        }
    });
}

fn retarget(sim: &Sim) {
    let Some(number) = pick(sim) else { return };
    let source = with(sim, |previews| previews.source.clone());
    let base = sim.draw(|random| *random.pick(&["main", "dev"]));
    sim.say(|| format!("pull request {number} is into {base}"));
    sim.world().retarget_pull_request(&source, number, base).unwrap();
}

fn comment(sim: &Sim) {
    let Some(number) = pick(sim) else { return };
    let source = with(sim, |previews| previews.source.clone());
    let head = sim.world().pull_request_parts(&source, number).unwrap().1.head_sha.clone();
    let other: CommitSha = "0000000000000000000000000000000000000001".parse().unwrap();
    let (by, text) = sim.draw(|random| {
        let text = match random.below(14) {
            0..=4 => "/up".to_owned(),
            5..=7 => "/down\nthank you".to_owned(),
            8 | 9 => format!("/up {head}"),
            10 => format!("/up {other}"),
            11 => format!("/down {head}"),
            12 => "/upp".to_owned(),
            _ => "please\n/up".to_owned(),
        };
        (*random.pick(&[WRITER, WRITER, WRITER, PROMOTED, STRANGER]), text)
    });
    let id = sim.world().comment(&source, number, by, &text).unwrap();
    sim.say(|| format!("{by} comments {text:?} on pull request {number}, which has {head}"));
    with(sim, |previews| previews.comments.insert(id, Given { pull_request: number, by, text, head }));
    // Some see their mistake at once.
    if sim.draw(|random| random.per_mille(150)) {
        sim.world().edit_comment(&source, id, "/up").unwrap();
    }
}

/// Changing a comment never runs anything.
fn edit(sim: &Sim) {
    let (source, comments) =
        with(sim, |previews| (previews.source.clone(), previews.comments.keys().copied().collect::<Vec<_>>()));
    if !comments.is_empty() {
        let comment = sim.draw(|random| *random.pick(&comments));
        sim.world().edit_comment(&source, comment, "/up").unwrap();
    }
}

/// Somebody wants a check run again.
fn press(sim: &Sim) {
    let source = with(sim, |previews| previews.source.clone());
    let checks: Vec<u64> = {
        let world = sim.world();
        let id = world.repositories().find(|state| state.name == source).unwrap().id;
        world.check_runs().filter(|check| check.repository == id).map(|check| check.id).collect()
    };
    if checks.is_empty() {
        return;
    }
    let (check, by) = sim.draw(|random| (*random.pick(&checks), *random.pick(&[WRITER, WRITER, PROMOTED, STRANGER])));
    sim.say(|| format!("{by} wants check run {check} again"));
    sim.world().rerequest_check(&source, check, by).unwrap();
    with(sim, |previews| previews.pressed.entry(check).or_default().push(by));
}

/// The next run of the target will fail.
fn order_failure(sim: &Sim) {
    let target = with(sim, |previews| previews.target.clone());
    let failure = dispatch_core::event::Conclusion::Failure;
    sim.world().order_conclusion(&target, "environments-0.yml", failure).unwrap();
}

/// A label keeps the environments of a pull request.
fn label(sim: &Sim) {
    let Some(number) = pick(sim) else { return };
    let source = with(sim, |previews| previews.source.clone());
    sim.world().label_pull_request(&source, number, "keep").unwrap();
    let now = sim.now();
    with(sim, |previews| previews.pull_requests.get_mut(&number).unwrap().kept.set(now, true));
}

fn promote(sim: &Sim) {
    let now = sim.now();
    let (source, writes) = with(sim, |previews| {
        let switch = previews.writes.get_mut(PROMOTED).unwrap();
        let writes = !switch.now();
        switch.set(now, writes);
        (previews.source.clone(), writes)
    });
    sim.say(|| format!("{PROMOTED} may write: {writes}"));
    sim.world().set_permission(&source, PROMOTED, if writes { Role::Write } else { Role::Read }).unwrap();
}

/// One side takes its file back, or says again what it said.
fn change_minds(sim: &Sim) {
    let (now, of_source) = (sim.now(), sim.draw(|random| random.per_mille(500)));
    let (repository, text, agrees) = with(sim, |previews| {
        let (repository, text, switch) = if of_source {
            (&previews.source, previews.setup.source_text(), &mut previews.source_agrees)
        } else {
            (&previews.target, previews.setup.target_text(), &mut previews.target_agrees)
        };
        let agrees = !switch.now();
        switch.set(now, agrees);
        (repository.clone(), text, agrees)
    });
    sim.say(|| format!("{repository} agrees: {agrees}"));
    let mut world = sim.world();
    match agrees {
        // Where the App was taken off, it comes back with the file.
        true => {
            world.install(&repository).unwrap();
            world.write_file(&repository, "main", "dispatching.yml", &text).unwrap();
        }
        false => {
            let _ = world.remove_file(&repository, "main", "dispatching.yml");
        }
    }
}

/// The App is taken off the target, or put on it again.
fn install(sim: &Sim) {
    let now = sim.now();
    let (repository, reached) = with(sim, |previews| {
        let reached = !previews.target_agrees.now();
        previews.target_agrees.set(now, reached);
        (previews.target.clone(), reached)
    });
    sim.say(|| format!("the App is installed on {repository}: {reached}"));
    let text = with(sim, |previews| previews.setup.target_text());
    let mut world = sim.world();
    if reached {
        world.install(&repository).unwrap();
        world.write_file(&repository, "main", "dispatching.yml", &text).unwrap();
    } else {
        world.uninstall(&repository).unwrap();
    }
}
