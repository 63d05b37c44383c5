//! A world from a directory: `DIR/<owner>/<repo>/…` holds the repositories' files.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use dispatch_core::name::Repository;
use dispatch_core::testing::world::{AppIdentity, RepositoryOptions, World, WorldError};
use jiff::Timestamp;

/// The largest file that is loaded.
const MAX_FILE: u64 = 1024 * 1024;
/// The most files that are loaded, of all repositories together.
const MAX_FILES: usize = 10_000;
/// How deep folders may lie in a repository.
const MAX_DEPTH: usize = 16;

/// A directory cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A file or a folder cannot be read.
    #[error("cannot read `{}`", path.display())]
    Io {
        /// What cannot be read.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The directory is not laid out as it should be.
    #[error("`{}`: {problem}", path.display())]
    Layout {
        /// Where.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
}

/// Loads `DIR/<owner>/<repo>/…`: each repository is public, has the App installed, and has the files on its branch `main`.
/// The App belongs to the first owner. Symbolic links and `.git` are passed over; at most 10,000 files of at most 1 MiB.
///
/// # Errors
/// [`LoadError`].
pub fn load_world(directory: &Path, now: Timestamp) -> Result<World, LoadError> {
    let mut world = World::new(now);
    let mut budget = MAX_FILES;
    let owners = folders(directory)?;
    let owner = owners.first().map(|(name, _)| name.clone());
    for (owner, path) in owners {
        for (name, path) in folders(&path)? {
            let layout = |problem: String| LoadError::Layout { path: path.clone(), problem };
            let repository: Repository =
                format!("{owner}/{name}").parse().map_err(|error| layout(format!("{error}")))?;
            let mut files = Vec::new();
            collect(&path, "", MAX_DEPTH, &mut budget, &mut files)?;
            let changes: Vec<(&str, Option<&[u8]>)> =
                files.iter().map(|(path, bytes)| (path.as_str(), Some(bytes.as_slice()))).collect();
            world
                .add_repository(&repository, RepositoryOptions::default())
                .and_then(|_| world.push(&repository, "main", &changes))
                .map_err(|WorldError(problem)| layout(problem))?;
        }
    }
    if let Some(owner) = owner {
        world.set_app(AppIdentity { owner, ..AppIdentity::default() });
    }
    Ok(world)
}

/// The files under a folder, by their path in the repository.
fn collect(
    folder: &Path,
    prefix: &str,
    depth: usize,
    budget: &mut usize,
    files: &mut Vec<(String, Vec<u8>)>,
) -> Result<(), LoadError> {
    for (name, path, kind) in entries(folder)? {
        let layout = |problem: &str| LoadError::Layout { path: path.clone(), problem: problem.to_owned() };
        if name == ".git" {
            continue;
        }
        if kind.is_dir() {
            let depth = depth.checked_sub(1).ok_or_else(|| layout("folders lie too deep"))?;
            collect(&path, &format!("{prefix}{name}/"), depth, budget, files)?;
        } else if kind.is_file() {
            *budget = budget.checked_sub(1).ok_or_else(|| layout("more than 10,000 files"))?;
            let failed = |source| LoadError::Io { path: path.clone(), source };
            if fs::symlink_metadata(&path).map_err(failed)?.len() > MAX_FILE {
                return Err(layout("is larger than 1 MiB"));
            }
            files.push((format!("{prefix}{name}"), fs::read(&path).map_err(failed)?));
        }
    }
    Ok(())
}

fn folders(folder: &Path) -> Result<Vec<(String, PathBuf)>, LoadError> {
    let entries = entries(folder)?;
    Ok(entries.into_iter().filter(|(_, _, kind)| kind.is_dir()).map(|(name, path, _)| (name, path)).collect())
}

/// What is directly in a folder, by name; a symbolic link is neither a file nor a folder here.
fn entries(folder: &Path) -> Result<Vec<(String, PathBuf, fs::FileType)>, LoadError> {
    let failed = |source| LoadError::Io { path: folder.to_owned(), source };
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry
            .file_name()
            .into_string()
            .map_err(|_| LoadError::Layout { path: entry.path(), problem: "the name is not UTF-8".to_owned() })?;
        entries.push((name, entry.path(), entry.file_type().map_err(failed)?));
    }
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_becomes_repositories_and_links_do_not_lead_out() {
        let directory = tempfile::tempdir().unwrap();
        let repository = directory.path().join("octo-org/api");
        fs::create_dir_all(repository.join(".github/workflows")).unwrap();
        fs::write(repository.join("dispatching.yml"), "outbound: []\n").unwrap();
        fs::write(repository.join(".github/workflows/ci.yml"), "on: push\njobs: {}\n").unwrap();
        fs::write(directory.path().join("README.md"), "not a repository").unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink("/etc/hostname", repository.join("secret")).unwrap();

        let world = load_world(directory.path(), Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(world.app().owner, "octo-org");
        let states: Vec<_> = world.repositories().collect();
        assert_eq!(states.len(), 1);
        let head = &states[0].commits[&states[0].branches["main"]];
        let files: Vec<_> = head.files.keys().map(String::as_str).collect();
        assert_eq!(files, [".github/workflows/ci.yml", "README.md", "dispatching.yml"]);
    }

    #[test]
    fn what_cannot_be_a_repository_is_named() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir_all(directory.path().join("octo-org/a repository")).unwrap();
        let error = load_world(directory.path(), Timestamp::UNIX_EPOCH).unwrap_err().to_string();
        assert!(error.ends_with("`octo-org/a repository` is not a repository as `owner/name`"), "{error}");
        assert!(load_world(&directory.path().join("nowhere"), Timestamp::UNIX_EPOCH).is_err());
    }
}
