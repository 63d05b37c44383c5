//! Repositories on disk: a repository, an owner's folder, or a folder of owners' folders, with the files of each repository
//! that have to do with dispatches.
//!
//! What a repository holds may be anybody's: links are not followed, and of each file no more is kept than is looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

use dispatch_core::guardrail::Guardrails;
use dispatch_core::name::{Owner, Repository, WorkflowFile};
use dispatch_core::organisation::{Examination, Organisation, PolicyText, RepositoryFiles, widest_limits};
use dispatch_core::workflow::{MAX_BYTES, MAX_WORKFLOWS, Workflow};

use super::Failure;
use super::policy_tree::{
    PolicySource, folders, is_folder, one_repository, policy_files, read_bounded, shown, unreadable,
};

/// How deep repositories are: below an owner's folder, which is below the folder that was named.
const DEEPEST: usize = 2;

/// A repository in a folder.
#[derive(Debug)]
pub(crate) struct FoundRepository {
    /// Where it is.
    pub(crate) folder: PathBuf,
    /// Its name, as far as the path was written out.
    pub(crate) name: Option<Repository>,
    /// Its policy files, the one that counts first.
    pub(crate) files: Vec<PolicySource>,
    /// The one that counts, read, where the repository has a name.
    pub(crate) policy: Option<PolicyText>,
    workflows: Option<BTreeMap<WorkflowFile, Workflow>>,
    level: usize,
}

/// The repositories of a folder, and the first thing that cannot be read: it does not hide what can.
pub(crate) fn repositories(folder: &Path) -> (Vec<FoundRepository>, Option<Failure>) {
    let mut found = Vec::new();
    let failure = look_into(folder, 0, &mut found).err();
    // A folder without any of the files is a repository only where others are at its place.
    let at_deepest = found.iter().any(|it| it.level == DEEPEST && it.is_certain());
    found.retain(|it| it.is_certain() || at_deepest);
    (found, failure)
}

/// Asks about all of the repositories at once, by the limits of an operator who sets none. Those without a name are left out.
/// What is known of them goes into the question.
///
/// # Errors
/// One repository is there twice, in different case.
pub(crate) fn examine(repositories: &mut [FoundRepository]) -> Result<Examination, Failure> {
    let mut organisation = Organisation::default();
    let mut names = BTreeMap::new();
    for found in repositories {
        let Some(name) = found.name.clone() else { continue };
        if let Some(other) = names.insert(name.clone(), found.folder.clone()) {
            return Err(one_repository(&other, &found.folder));
        }
        let (policy, workflows) = (found.policy.take(), found.workflows.take());
        let folder = shown(&found.folder).trim_end_matches('/').to_owned();
        organisation.add(name, RepositoryFiles { folder, policy, workflows });
    }
    Ok(organisation.examine(&Guardrails::from_settings(&widest_limits())?))
}

impl FoundRepository {
    /// A repository whose files are not on disk. Its folder is its name.
    pub(crate) fn elsewhere(
        name: Repository,
        files: Vec<PolicySource>,
        workflows: Option<BTreeMap<WorkflowFile, Workflow>>,
    ) -> Self {
        let folder = PathBuf::from(name.as_str());
        let policy = counting(&name, &folder, &files);
        Self { folder, name: Some(name), files, policy, workflows, level: DEEPEST }
    }

    /// Whether its files show that it is one.
    fn is_certain(&self) -> bool {
        !self.files.is_empty() || self.workflows.is_some() || self.folder.join(".git").exists()
    }
}

fn look_into(folder: &Path, level: usize, found: &mut Vec<FoundRepository>) -> Result<(), Failure> {
    let files = policy_files(folder)?;
    let workflows = workflows(folder)?;
    let is_repository = !files.is_empty() || folder.join(".git").exists() || (level > 0 && workflows.is_some());
    if is_repository || level >= DEEPEST {
        let name = name_in(folder);
        let policy = name.as_ref().and_then(|name| counting(name, folder, &files));
        found.push(FoundRepository { folder: folder.to_owned(), name, files, policy, workflows, level });
        return Ok(());
    }
    // Every folder is looked at, also when one of them cannot be.
    let inner = folders(folder)?;
    let results: Vec<_> = inner.into_iter().map(|(_, inner)| look_into(&inner, level + 1, found)).collect();
    results.into_iter().collect()
}

/// The policy file that counts, read.
fn counting(name: &Repository, folder: &Path, files: &[PolicySource]) -> Option<PolicyText> {
    let PolicySource { path, bytes } = files.first()?;
    Some(PolicyText::read(name, *path, bytes, &shown(&folder.join(path.as_str()))))
}

/// The workflows of a repository; None: it has no folder for them.
fn workflows(repository: &Path) -> Result<Option<BTreeMap<WorkflowFile, Workflow>>, Failure> {
    let folder = repository.join(WorkflowFile::FOLDER);
    if !is_folder(&repository.join(".github"))? || !is_folder(&repository.join(".github/workflows"))? {
        return Ok(None);
    }
    let mut files = BTreeSet::new();
    for entry in fs::read_dir(&folder).map_err(|error| unreadable(&folder, &error))? {
        let name = entry.map_err(|error| unreadable(&folder, &error))?.file_name();
        files.extend(name.to_str().and_then(|name| name.parse::<WorkflowFile>().ok()));
        if files.len() > MAX_WORKFLOWS {
            files.pop_last();
        }
    }
    let mut workflows = BTreeMap::new();
    for file in files {
        let path = folder.join(file.as_str());
        let metadata = fs::symlink_metadata(&path).map_err(|error| unreadable(&path, &error))?;
        // Of what is no regular file nothing is known, and nothing is said.
        let workflow = if metadata.is_file() {
            Workflow::read(&read_bounded(&path, MAX_BYTES as u64).map_err(|error| unreadable(&path, &error))?)
        } else {
            Workflow::default()
        };
        workflows.insert(file, workflow);
    }
    Ok(Some(workflows))
}

/// The name of the repository in `.../<owner>/<repository>`, as far as the path was written out.
fn name_in(folder: &Path) -> Option<Repository> {
    let (owner, name) = owner_and_name(folder)?;
    Repository::of(&owner, name).ok()
}

/// The two last names of `.../<owner>/<repository>`, as far as the path was written out.
pub(crate) fn owner_and_name(folder: &Path) -> Option<(Owner, &str)> {
    let mut names = folder.components().rev().map(|component| match component {
        Component::Normal(name) => name.to_str(),
        _ => None,
    });
    let (name, owner) = (names.next()??, names.next()??);
    Some((owner.parse().ok()?, name))
}
