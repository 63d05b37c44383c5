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

/// `acme/source` has so many workflows, each of which starts `cd.yml` in a target that agrees, and whose workflow cannot be
/// started from outside: GitHub refuses.
pub(crate) fn with_refusing_targets(count: usize) -> (World, Vec<Repository>) {
    let mut world = World::new(now());
    let mut add = |name: String| {
        let repository: Repository = format!("acme/{name}").parse().unwrap();
        let options = RepositoryOptions { installed: true, ..RepositoryOptions::default() };
        world.add_repository(&repository, options).unwrap();
        repository
    };
    let source = add("source".to_owned());
    let targets: Vec<_> = (0..count).map(|n| add(format!("target-{n}"))).collect();
    let mut policy = "outbound:\n".to_owned();
    for (n, target) in targets.iter().enumerate() {
        policy.push_str(&format!("  - source: {{ workflow: ci-{n}.yml }}\n"));
        policy.push_str(&format!("    targets: [{{ repository: target-{n}, workflow: cd.yml }}]\n"));
        let consent = format!(
            "inbound: [{{ source: {{ repository: source, workflow: ci-{n}.yml }}, targets: [{{ workflow: cd.yml }}] }}]"
        );
        world.write_file(target, "main", "dispatching.yml", &consent).unwrap();
        world.write_file(target, "main", ".github/workflows/cd.yml", "on: push\n").unwrap();
    }
    world.write_file(&source, "main", "dispatching.yml", &policy).unwrap();
    for n in 0..count {
        let path = format!(".github/workflows/ci-{n}.yml");
        world.write_file(&source, "main", &path, "on: push\n").unwrap();
        world.complete_run(&source, RunSpec::new(&format!("ci-{n}.yml"), "main")).unwrap();
    }
    (world, targets)
}
