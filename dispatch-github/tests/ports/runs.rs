//! The runs of a repository.

use std::time::Duration;

use dispatch_core::ports::github::{ListedRun, RunListing};
use dispatch_core::testing::world::{FaultKind, RunSpec, World};

use crate::{Runs, all, app, fault, limited, world_at};

/// The runs without their times and ids, which no two worlds share; equal ones are counted.
pub(crate) fn recognised(listing: RunListing) -> String {
    let mut runs: Vec<(String, usize)> = Vec::new();
    for ListedRun { workflow, event, head_branch, actor, .. } in listing.runs {
        let name = |name: Option<String>| name.unwrap_or_else(|| "none".to_owned());
        let (workflow, branch) = (name(workflow.map(|w| w.to_string())), name(head_branch.map(|b| b.to_string())));
        let run = format!("{workflow} {event} {branch} {}", name(actor.map(|actor| actor.to_string())));
        match runs.last_mut() {
            Some((last, count)) if *last == run => *count += 1,
            _ => runs.push((run, 1)),
        }
    }
    let runs: Vec<String> = runs.into_iter().map(|(run, count)| format!("{count} x {run}")).collect();
    format!("[{}], complete: {}", runs.join(", "), listing.complete)
}

#[tokio::test]
async fn the_runs_of_a_repository() {
    let told = all(&[
        ("none", |_| (), Runs(60)),
        ("a push", |w| ended(w, 1), Runs(60)),
        ("a path of another repository", |w| ended_at(w, Some("evil/app/.github/workflows/ci.yml")), Runs(60)),
        ("before the time", |w| ended_before(w, 0), Runs(60)),
        ("some before the time", |w| ended_before(w, 150), Runs(60)),
        ("more than are read", |w| ended(w, 1_001), Runs(60)),
        ("not listed yet", lagging, Runs(60)),
        ("rate limit", |w| fault(w, limited(Some(7), None, false)), Runs(60)),
        ("server error", |w| fault(w, FaultKind::status(502)), Runs(60)),
        ("cut", |w| fault(w, FaultKind::CutAfter), Runs(60)),
        ("no App any more", |w| w.uninstall(&app()).unwrap(), Runs(60)),
    ])
    .await;
    insta::assert_snapshot!(told, @r#"
    none: [], complete: true, 0 started
    a push: [1 x ci.yml push main octocat], complete: true, 0 started
    a path of another repository: [1 x none push main octocat], complete: true, 0 started
    before the time: [], complete: true, 0 started
    some before the time: [150 x ci.yml push main octocat], complete: true, 0 started
    more than are read: [1000 x ci.yml push main octocat], complete: false, 0 started
    not listed yet: [], complete: true, 0 started
    rate limit: rate-limited: After(7s), 0 started
    server error: unavailable, 0 started
    cut: unavailable, 0 started
    no App any more: the App is not installed on acme/app, 0 started
    "#);
}

fn ended(world: &mut World, runs: usize) {
    for _ in 0..runs {
        world.complete_run(&app(), RunSpec::new("ci.yml", "main")).unwrap();
    }
}

fn lagging(world: &mut World) {
    world.listing_lag = Duration::from_secs(60);
    ended(world, 1);
}

fn ended_at(world: &mut World, path: Option<&str>) {
    let path = path.map(str::to_owned);
    world.complete_run(&app(), RunSpec { path, ..RunSpec::new("ci.yml", "main") }).unwrap();
}

/// One run of ten minutes ago, and some of now.
fn ended_before(world: &mut World, runs: usize) {
    let now = world.now();
    *world = world_at(now - Duration::from_secs(600));
    ended(world, 1);
    world.tick(now);
    ended(world, runs);
}
