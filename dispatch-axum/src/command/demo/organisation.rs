//! The little organisation of the demonstration: its files are in `dispatch-axum/demo`, so that
//! `dispatch emulate --world dispatch-axum/demo` shows the same one.

use dispatch_core::Timestamp;
use dispatch_core::name::{NameError, Owner, Repository};
use dispatch_core::testing::world::{RepositoryOptions, World, WorldError};

/// The organisation's name.
pub(super) const OWNER: &str = "fjord-coffee";

/// A contributor from outside, who has a fork.
pub(super) const STRANGER: &str = "espresso-fan";

macro_rules! files {
    ($($repository:literal => [$($path:literal),*],)*) => {
        [$($((
            $repository,
            $path,
            include_str!(concat!("../../../demo/fjord-coffee/", $repository, "/", $path)),
        ),)*)*]
    };
}
/// Repository, path and content of every file.
const FILES: &[(&str, &str, &str)] = &files![
    "api" => ["dispatching.yml", ".github/workflows/ci.yml"],
    "docs" => [".github/workflows/publish.yml"],
    "infra" => ["dispatching.yml", ".github/workflows/deploy.yml"],
    "loyalty" => ["dispatching.yml", ".github/workflows/ci.yml"],
    "mobile" => ["dispatching.yml", ".github/workflows/build.yml"],
    "payments" => ["dispatching.yml", ".github/workflows/release.yml"],
    "smoke-tests" => [".github/dispatching.yml", ".github/workflows/smoke.yml"],
    "web" => ["dispatching.yml", ".github/workflows/ci.yml"],
];

/// Why the organisation cannot be made.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error(transparent)]
    Name(#[from] NameError),
    #[error(transparent)]
    World(#[from] WorldError),
}

/// One of the organisation's repositories.
pub(super) fn repository(name: &str) -> Result<Repository, NameError> {
    Repository::of(&OWNER.parse::<Owner>()?, name)
}

/// The content of one of its files on the default branch.
pub(super) fn file(repository: &str, path: &str) -> Option<&'static str> {
    FILES.iter().find(|file| (file.0, file.1) == (repository, path)).map(|file| file.2)
}

/// A GitHub with the organisation in it, and the App installed on all of its repositories.
pub(super) fn world(now: Timestamp) -> Result<World, Error> {
    let mut world = World::new(now);
    let mut last = "";
    for (name, path, content) in FILES {
        let repository = repository(name)?;
        if *name != last {
            world.add_repository(&repository, RepositoryOptions { private: true, ..RepositoryOptions::default() })?;
            last = name;
        }
        world.write_file(&repository, "main", path, content)?;
    }
    let api = repository("api")?;
    world.write_file(&api, "feature/latte-art", "src/latte.rs", "// a heart, in milk\n")?;
    Ok(world)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::*;

    fn files_in(folder: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        entries.flat_map(|path| if path.is_dir() { files_in(&path) } else { vec![path] }).collect()
    }

    #[test]
    fn every_file_of_the_folder_is_in_the_demonstration() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("demo").join(OWNER);
        let mut on_disk: Vec<_> =
            files_in(&folder).iter().map(|file| file.strip_prefix(&folder).unwrap().to_owned()).collect();
        let mut embedded: Vec<_> = FILES.iter().map(|(repository, path, _)| Path::new(repository).join(path)).collect();
        on_disk.sort();
        embedded.sort();
        assert_eq!(embedded, on_disk);
    }
}
