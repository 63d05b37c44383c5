//! Policy files on disk: `DIR/<owner>/<repository>/{dispatching.yml,.github/dispatching.yml}`.
//!
//! The folder may come from somebody else's checkout, so symbolic links inside it are refused instead of followed, only
//! regular files are opened, and no file is read further than one byte past the largest policy file.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use dispatch_core::decide::PolicyFile;
use dispatch_core::diagnostic::visible;
use dispatch_core::name::{Owner, Repository};
use dispatch_core::policy::{self, Policy, PolicyPath};

use super::Failure;

/// The repositories of a folder, by name without case.
#[derive(Debug)]
pub(crate) struct PolicyTree {
    repositories: BTreeMap<Repository, PathBuf>,
}

/// A policy file as it is on disk.
#[derive(Debug)]
pub(crate) struct PolicySource {
    /// Which of the two places.
    pub(crate) path: PolicyPath,
    /// The file's bytes: at most [`policy::MAX_BYTES`] plus one, so that a longer file is refused as too long.
    pub(crate) bytes: Vec<u8>,
}

impl PolicyTree {
    /// Lists the repositories of a folder. Folders whose names GitHub would not give are left out.
    ///
    /// # Errors
    /// The folder cannot be listed, has a symbolic link where a folder is expected, or holds one repository twice, in
    /// different case.
    pub(crate) fn open(root: &Path) -> Result<Self, Failure> {
        let mut repositories = BTreeMap::new();
        for (owner, owner_folder) in folders(root)? {
            let Ok(owner) = owner.parse::<Owner>() else { continue };
            for (name, folder) in folders(&owner_folder)? {
                let Ok(repository) = Repository::of(&owner, &name) else { continue };
                if let Some(other) = repositories.insert(repository, folder.clone()) {
                    return Err(one_repository(&other, &folder));
                }
            }
        }
        Ok(Self { repositories })
    }

    /// The policy file that counts for a repository; None where there is no repository or no file.
    ///
    /// # Errors
    /// The file is there and cannot be read.
    pub(crate) fn policy(&self, repository: &Repository) -> Result<Option<PolicySource>, Failure> {
        match self.repositories.get(repository) {
            Some(folder) => Ok(policy_files(folder)?.into_iter().next()),
            None => Ok(None),
        }
    }
}

impl PolicySource {
    /// What the file of this repository means, or what is wrong with it.
    pub(crate) fn check(&self, repository: &Repository) -> PolicyFile {
        let path = self.path;
        PolicyFile::of(path, Policy::check_in(&self.bytes, repository, &format!("{repository}/{path}")))
    }
}

/// The policy files of one repository, the one that counts first.
///
/// # Errors
/// A file is there and cannot be read, or is no regular file.
pub(crate) fn policy_files(repository: &Path) -> Result<Vec<PolicySource>, Failure> {
    let mut files = Vec::new();
    for path in PolicyPath::ALL {
        let file = repository.join(path.as_str());
        if let Some(folder) = file.parent().filter(|folder| *folder != repository)
            && !is_folder(folder)?
        {
            continue;
        }
        match fs::symlink_metadata(&file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(unreadable(&file, &error)),
            Ok(metadata) if metadata.is_file() => files.push(PolicySource { path, bytes: read_policy(&file)? }),
            Ok(metadata) if metadata.is_symlink() => return Err(link(&file)),
            Ok(_) => return Err(unreadable(&file, &"it is not a regular file")),
        }
    }
    Ok(files)
}

/// Reads a policy file, at most [`policy::MAX_BYTES`] plus one.
///
/// # Errors
/// The file cannot be read.
pub(crate) fn read_policy(file: &Path) -> Result<Vec<u8>, Failure> {
    read_bounded(file, policy::MAX_BYTES as u64).map_err(|error| unreadable(file, &error))
}

/// Reads a file up to `largest` bytes, and one more where there is more.
///
/// # Errors
/// The file cannot be read.
pub(crate) fn read_bounded(file: &Path, largest: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(file)?.take(largest.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The folders in a folder, sorted by name. Hidden ones are left out.
///
/// # Errors
/// The folder cannot be listed, or has a symbolic link to a folder.
pub(crate) fn folders(folder: &Path) -> Result<Vec<(String, PathBuf)>, Failure> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| unreadable(folder, &error))? {
        let path = entry.map_err(|error| unreadable(folder, &error))?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()).map(str::to_owned) else { continue };
        if !name.starts_with('.') && is_folder(&path)? {
            found.push((name, path));
        }
    }
    found.sort();
    Ok(found)
}

/// A folder below another one, by the names on the way. Symbolic links on the way are refused.
///
/// # Errors
/// One of them is no folder, or a symbolic link to one.
pub(crate) fn folder_below(folder: &Path, names: &[String]) -> Result<PathBuf, Failure> {
    let mut below = folder.to_path_buf();
    for name in names {
        below.push(name);
        if !is_folder(&below)? {
            return Err(unreadable(&below, &"it is not a folder"));
        }
    }
    Ok(below)
}

/// A path for a message: one line, whatever its name is made of.
pub(crate) fn shown(path: &Path) -> String {
    visible(&path.to_string_lossy()).into_owned()
}

/// A path that was to be read and cannot be.
pub(crate) fn unreadable(path: &Path, problem: &dyn std::fmt::Display) -> Failure {
    Failure::input(format_args!("cannot read `{}`: {problem}", shown(path)))
}

/// Two folders whose names differ in case only.
pub(crate) fn one_repository(one: &Path, other: &Path) -> Failure {
    let (one, other) = (shown(one), shown(other));
    Failure::input(format_args!("`{one}` and `{other}` are one repository: GitHub's names have no case"))
}

/// Whether there is a folder.
///
/// # Errors
/// It cannot be told, or it is a symbolic link to a folder.
pub(crate) fn is_folder(path: &Path) -> Result<bool, Failure> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_symlink() && path.is_dir() => Err(link(path)),
        Ok(metadata) => Ok(metadata.is_dir()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(unreadable(path, &error)),
    }
}

fn link(path: &Path) -> Failure {
    unreadable(path, &"it is a symbolic link, and links are not followed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_speaks_neither_to_the_terminal_nor_to_the_eye() {
        let name = "a\u{1b}[2J\nb\u{202e}lmy.\u{200b}c";
        assert_eq!(shown(Path::new(name)), r"a\u{1b}[2J\u{a}b\u{202e}lmy.\u{200b}c");
    }
}
