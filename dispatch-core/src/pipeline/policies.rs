//! Reads policy files, and remembers them: an unchanged one costs no rate limit, an absent one no request.

use std::time::Duration;

use super::Pipeline;
use crate::Timestamp;
use crate::decide::{Identity, PolicyAnswer, PolicyFile};
use crate::name::{Repository, RepositoryId};
use crate::policy::{Policy, PolicyPath};
use crate::ports::github::{FileRead, FileVersion, GitHubError, RepositoryFound};
use crate::ports::policies::{RememberedFile, RememberedPolicy};
use crate::retry::later;

/// How long it is remembered where a policy file is, and that it is nowhere.
const SEARCH_AGAIN_AFTER: Duration = Duration::from_secs(10 * 60);
/// How long it is remembered that the App cannot see a repository. Shorter, because nothing tells when that changes.
const KNOCK_AGAIN_AFTER: Duration = Duration::from_secs(60);

impl Pipeline {
    /// The policy file of a repository. `id` is the repository that must be behind the name, where it is known.
    pub(super) async fn policy(
        &self,
        repository: &Repository,
        id: Option<RepositoryId>,
        now: Timestamp,
    ) -> Result<PolicyAnswer, GitHubError> {
        let remembered = self.policies.recall(repository).filter(|remembered| is_about(remembered, id));
        let Some(remembered) = remembered else { return self.search(repository, id, None, now).await };
        if !is_recent(&remembered, now) {
            return self.search(repository, id, Some(&remembered), now).await;
        }
        let Some(file) = &remembered.file else { return Ok(remembered.answer.clone()) };
        // The repository that answered before must answer now, or everything is read anew.
        let same = id.or(verified(&remembered.answer));
        match self.read(repository, same, file.path, file.version.as_ref()).await? {
            FileRead::NotModified => Ok(remembered.answer.clone()),
            FileRead::Found { repository: found, bytes, blob_sha, version } => {
                let file = NewFile { path: file.path, bytes, blob_sha, version };
                let searched_at = remembered.searched_at;
                Ok(self.remember_file(repository, found, file, Some(&remembered), searched_at))
            }
            FileRead::NoSuchFile { .. } | FileRead::NoSuchRepository | FileRead::NotInstalled => {
                self.search(repository, id, None, now).await
            }
        }
    }

    /// Looks at both places, the root first, and remembers what is there. `before` is what was found the last time.
    async fn search(
        &self,
        repository: &Repository,
        id: Option<RepositoryId>,
        mut before: Option<&RememberedPolicy>,
        now: Timestamp,
    ) -> Result<PolicyAnswer, GitHubError> {
        let mut places = PolicyPath::ALL.into_iter();
        let mut identity = None;
        while let Some(path) = places.next() {
            let there = before.filter(|policy| policy.file.as_ref().is_some_and(|file| file.path == path));
            let version = there.and_then(|policy| policy.file.as_ref()?.version.as_ref());
            let same = id.or(version.and(before).and_then(|policy| verified(&policy.answer)));
            match (self.read(repository, same, path, version).await?, there) {
                (FileRead::Found { repository: found, bytes, blob_sha, version }, _) => {
                    let file = NewFile { path, bytes, blob_sha, version };
                    return Ok(self.remember_file(repository, found, file, before, now));
                }
                (FileRead::NotModified, Some(policy)) => {
                    self.policies.remember(repository, RememberedPolicy { searched_at: now, ..policy.clone() });
                    return Ok(policy.answer.clone());
                }
                (FileRead::NotModified, None) => {
                    let problem = format!("`{repository}` answered `not modified` to a first read of {path}");
                    return Err(GitHubError::Unavailable(problem));
                }
                (FileRead::NoSuchFile { repository: found }, _) => identity = Some(verified_as(found)),
                // Another repository is behind the name than before: what was remembered is about the old one.
                (FileRead::NoSuchRepository, _) if same != id => {
                    (before, places, identity) = (None, PolicyPath::ALL.into_iter(), None);
                }
                (FileRead::NoSuchRepository, _) => {
                    return Ok(self.remember_none(repository, id, PolicyFile::Absent, now));
                }
                (FileRead::NotInstalled, _) => {
                    return Ok(self.remember_none(repository, id, PolicyFile::NotInstalled, now));
                }
            }
        }
        let answer = PolicyAnswer { repository: identity, file: PolicyFile::Absent };
        self.policies.remember(repository, RememberedPolicy { answer: answer.clone(), file: None, searched_at: now });
        Ok(answer)
    }

    async fn read(
        &self,
        repository: &Repository,
        id: Option<RepositoryId>,
        path: PolicyPath,
        known: Option<&FileVersion>,
    ) -> Result<FileRead, GitHubError> {
        match self.github.read_file(repository, id, path, known).await {
            Err(GitHubError::NotInstalled(_)) => Ok(FileRead::NotInstalled),
            answer => answer,
        }
    }

    /// Parses a file, unless the very same one was parsed before, and remembers it.
    fn remember_file(
        &self,
        repository: &Repository,
        found: RepositoryFound,
        file: NewFile,
        before: Option<&RememberedPolicy>,
        searched_at: Timestamp,
    ) -> PolicyAnswer {
        let NewFile { path, bytes, blob_sha, version } = file;
        let parsed = before.filter(|before| {
            before.file.as_ref().is_some_and(|file| file.path == path && file.blob_sha == blob_sha)
                && verified(&before.answer) == Some(found.id)
        });
        let meaning = parsed.map_or_else(|| parse(repository, path, &bytes), |before| before.answer.file.clone());
        let answer = PolicyAnswer { repository: Some(verified_as(found)), file: meaning };
        let file = Some(RememberedFile { path, version, blob_sha, size: bytes.len() });
        self.policies.remember(repository, RememberedPolicy { answer: answer.clone(), file, searched_at });
        answer
    }

    /// Remembers for a while that there is nothing to read.
    fn remember_none(
        &self,
        repository: &Repository,
        id: Option<RepositoryId>,
        file: PolicyFile,
        now: Timestamp,
    ) -> PolicyAnswer {
        let answer = PolicyAnswer { repository: None, file };
        // "Not that repository" is no answer for somebody who asks for the name alone.
        if id.is_none() {
            self.policies
                .remember(repository, RememberedPolicy { answer: answer.clone(), file: None, searched_at: now });
        }
        answer
    }
}

/// A policy file that was just read.
struct NewFile {
    path: PolicyPath,
    bytes: Vec<u8>,
    blob_sha: String,
    version: Option<FileVersion>,
}

/// Whether what is remembered may answer for the repository that must be behind the name.
fn is_about(remembered: &RememberedPolicy, id: Option<RepositoryId>) -> bool {
    id.is_none() || verified(&remembered.answer) == id
}

fn is_recent(remembered: &RememberedPolicy, now: Timestamp) -> bool {
    let seen = remembered.answer.repository.is_some();
    let lasts = if seen { SEARCH_AGAIN_AFTER } else { KNOCK_AGAIN_AFTER };
    now < later(remembered.searched_at, lasts)
}

fn verified(answer: &PolicyAnswer) -> Option<RepositoryId> {
    match answer.repository? {
        Identity::Verified { id, .. } => Some(id),
        Identity::Assumed => None,
    }
}

fn verified_as(found: RepositoryFound) -> Identity {
    Identity::Verified { id: found.id, private: found.private }
}

fn parse(repository: &Repository, path: PolicyPath, bytes: &[u8]) -> PolicyFile {
    PolicyFile::of(path, Policy::check_in(bytes, repository, &format!("{repository}/{path}")))
}
