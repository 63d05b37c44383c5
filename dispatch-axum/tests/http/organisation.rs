//! A small organisation: `acme/api` starts `cd.yml` in `acme/deploy`, which agrees, and in `acme/docs`, which does not.

use dispatch_core::name::Repository;
use dispatch_core::testing::World;
use dispatch_core::testing::world::{RepositoryOptions, RunSpec};

use crate::support::now;

/// A branch may hold what a page must not. GitHub allows `<` and `>` in names of branches.
pub(crate) const HOSTILE_BRANCH: &str = "<script>alert(1)</script>&\"'";

const API: &str = r#"
outbound:
  - source:
      workflow: ci.yml
    targets:
      - repository: deploy
        workflow: cd.yml
        ref: main
        inputs:
          git_sha: "{{ source.sha }}"
          environment: production
      - repository: docs
        workflow: cd.yml
"#;

const DEPLOY: &str = r"
inbound:
  - source:
      repository: api
      workflow: ci.yml
    targets:
      - workflow: cd.yml
        accept_inputs: [git_sha, environment]
        accept_refs: [main]
";

const CD: &str = "on:\n  workflow_dispatch:\n    inputs:\n      git_sha: {}\n      environment: {}\n";

/// The organisation, with one run that succeeded on `main` and one that ran on a hostile branch.
pub(crate) fn world() -> (World, Repository) {
    let mut world = World::new(now());
    let options = || RepositoryOptions { installed: true, ..RepositoryOptions::default() };
    let [api, deploy, docs] = ["acme/api", "acme/deploy", "acme/docs"].map(|name| name.parse::<Repository>().unwrap());
    for repository in [&api, &deploy, &docs] {
        world.add_repository(repository, options()).unwrap();
    }
    for (repository, path, text) in [
        (&api, "dispatching.yml", API),
        (&api, ".github/workflows/ci.yml", "on: push\n"),
        (&deploy, "dispatching.yml", DEPLOY),
        (&deploy, ".github/workflows/cd.yml", CD),
        (&docs, ".github/workflows/cd.yml", CD),
    ] {
        world.write_file(repository, "main", path, text).unwrap();
    }
    world.write_file(&api, HOSTILE_BRANCH, "README.md", "hello").unwrap();
    world.complete_run(&api, RunSpec::new("ci.yml", HOSTILE_BRANCH)).unwrap();
    world.complete_run(&api, RunSpec::new("ci.yml", "main")).unwrap();
    (world, api)
}
