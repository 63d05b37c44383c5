//! Testing your policies with the GitHub world in memory: no network, no runtime, no clock.
//!
//! In your own repository this is a `#[test]`, and the two texts are `include_str!` of the real files. Run it:
//!
//! ```console
//! $ cargo run -p dispatch-core --features testing --example test_your_policies
//! ```

#![allow(clippy::indexing_slicing, reason = "in a test, a missing element is a failure")]

use std::collections::BTreeMap;

use dispatch_core::event::Conclusion;
use dispatch_core::guardrail::Guardrails;
use dispatch_core::name::Repository;
use dispatch_core::testing::world::{RepositoryOptions, RunSpec};
use dispatch_core::testing::{Rehearsal, World};

const API: &str = "
outbound:
  - source: { workflow: ci.yml }
    targets:
      - repository: deploy
        workflow: cd.yml
        inputs: { git_sha: '{{ source.sha }}' }
";

const DEPLOY: &str = "
inbound:
  - source: { repository: api, workflow: ci.yml }
    targets:
      - workflow: cd.yml
        accept_inputs: [git_sha]
";

const CI: &str = "on: push";

const CD: &str = "
on:
  workflow_dispatch:
    inputs: { git_sha: { required: true } }
";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (api, deploy): (Repository, Repository) = ("acme/api".parse()?, "acme/deploy".parse()?);
    let mut world = World::new("2026-01-01T09:00:00Z".parse()?);
    for (repository, workflow, text, policy) in [(&api, "ci.yml", CI, API), (&deploy, "cd.yml", CD, DEPLOY)] {
        world.add_repository(repository, RepositoryOptions::default())?;
        world.write_file(repository, "main", &format!(".github/workflows/{workflow}"), text)?;
        world.write_file(repository, "main", "dispatching.yml", policy)?;
    }
    let limits = BTreeMap::from([("OWNER_ALLOWLIST".to_owned(), "acme".to_owned())]);
    let rehearsal = Rehearsal::new(world, Guardrails::from_settings(&limits)?)?;

    // When CI fails, nothing starts.
    rehearsal
        .world()
        .complete_run(&api, RunSpec { conclusion: Some(Conclusion::Failure), ..RunSpec::new("ci.yml", "main") })?;
    let plans = rehearsal.run_until_quiet()?;
    let skipped: Vec<_> = plans.iter().filter_map(|plan| plan.skipped.as_ref()).collect();
    assert_eq!(skipped.len(), 1);
    assert_eq!(skipped[0].reason.code(), "source_conclusion_not_allowed");

    // When CI succeeds, exactly this starts.
    rehearsal.world().complete_run(&api, RunSpec::new("ci.yml", "main"))?;
    rehearsal.run_until_quiet()?;
    let started = rehearsal.world().take_dispatches();
    assert_eq!(started.len(), 1);
    assert_eq!((&started[0].repository, started[0].workflow.as_str()), (&deploy, "cd.yml"));
    assert_eq!(started[0].inputs["git_sha"], rehearsal.world().branch_head(&api, "main")?.to_string());

    // And nothing else happened on GitHub.
    rehearsal.world().finish()?;
    Ok(())
}
