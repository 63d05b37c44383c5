//! The organisations of the stories: the files of `examples`, as they are.

use dispatch_core::Timestamp;
use dispatch_core::name::{NameError, Owner, Repository};
use dispatch_core::testing::world::{RepositoryOptions, Role, World, WorldError};

/// The organisation's name.
pub(super) const OWNER: &str = "acme";

/// An example.
pub(super) struct Example {
    /// Where its files are.
    pub(super) folder: &'static str,
    /// Repository, path and content of every file.
    files: &'static [(&'static str, &'static str, &'static str)],
    /// Branches next to `main`.
    branches: &'static [(&'static str, &'static str)],
}

macro_rules! files {
    ($example:literal: $($repository:literal => [$($path:literal),*],)*) => {
        &[$($((
            $repository,
            $path,
            include_str!(concat!("../../../../../examples/", $example, "/acme/", $repository, "/", $path)),
        ),)*)*]
    };
}

pub(super) const PREVIEW: Example = Example {
    folder: "examples/preview",
    files: files!["preview":
        "api" => ["dispatching.yml"],
        "infra" => ["dispatching.yml", ".github/workflows/preview.yml"],
    ],
    branches: &[],
};

pub(super) const COMMAND: Example = Example {
    folder: "examples/command",
    files: files!["command":
        "cms" => ["dispatching.yml"],
        "cms_infrastructure" => ["dispatching.yml", ".github/workflows/ephemeral.yml"],
    ],
    branches: &[("cms", "dev")],
};

pub(super) const STACK: Example = Example {
    folder: "examples/stack",
    files: files!["stack":
        "product" => ["dispatching.yml"],
        "product_infrastructure" => ["dispatching.yml", ".github/workflows/stack.yml"],
    ],
    branches: &[],
};

/// Why an organisation cannot be made.
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

impl Example {
    /// A GitHub with the example in it, the App installed on all of its repositories. `alice` may write to them, `bob` may
    /// read.
    pub(super) fn world(&self, now: Timestamp) -> Result<World, Error> {
        let mut world = World::new(now);
        let mut last = "";
        for (name, path, content) in self.files {
            let repository = repository(name)?;
            if *name != last {
                world
                    .add_repository(&repository, RepositoryOptions { private: true, ..RepositoryOptions::default() })?;
                world.set_permission(&repository, "alice", Role::Write)?;
                world.set_permission(&repository, "bob", Role::Read)?;
                last = name;
            }
            world.write_file(&repository, "main", path, content)?;
        }
        for (name, branch) in self.branches {
            world.write_file(&repository(name)?, branch, "README.md", &format!("# {name}\n"))?;
        }
        Ok(world)
    }
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
    fn every_file_of_an_example_is_in_its_story() {
        for example in [PREVIEW, COMMAND, STACK] {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(example.folder).join(OWNER);
            let mut on_disk: Vec<_> =
                files_in(&folder).iter().map(|file| file.strip_prefix(&folder).unwrap().to_owned()).collect();
            let mut embedded: Vec<_> =
                example.files.iter().map(|(repository, path, _)| Path::new(repository).join(path)).collect();
            on_disk.sort();
            embedded.sort();
            assert_eq!(embedded, on_disk);
        }
    }
}
