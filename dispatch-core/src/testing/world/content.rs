//! Files and comparisons, as the API gives them.

use std::sync::Arc;

use super::git::blob_sha;
use super::{Access, ApiError, Commit, Effect, World, object_id};
use crate::name::{CommitSha, Repository, RepositoryId};

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Contents {
    /// What the caller knows already.
    NotModified {
        /// Its `ETag`.
        etag: String,
    },
    /// A file.
    File {
        /// Its path.
        path: String,
        /// Its bytes.
        bytes: Arc<[u8]>,
        /// The id of its content.
        blob_sha: String,
        /// Its `ETag`: bound to the token, as GitHub's are (observed).
        etag: String,
    },
    /// A folder.
    Directory {
        /// The paths of what is directly in it, each with the id and the size of a file; none for a folder.
        entries: Vec<(String, Option<(String, usize)>)>,
        /// Its `ETag`.
        etag: String,
    },
}

/// How two commits lie to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CompareStatus {
    /// The head comes after the base.
    Ahead,
    /// The head comes before the base.
    Behind,
    /// Each has commits that the other has not.
    Diverged,
    /// They are the same commit.
    Identical,
}

impl CompareStatus {
    /// GitHub's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ahead => "ahead",
            Self::Behind => "behind",
            Self::Diverged => "diverged",
            Self::Identical => "identical",
        }
    }
}

/// Two commits compared.
#[derive(Debug, Clone)]
pub struct Comparison {
    /// How the head lies to the base.
    pub status: CompareStatus,
    /// The commits of the head that the base has not, oldest first.
    pub ahead: Vec<Commit>,
    /// How many commits the base has that the head has not.
    pub behind_by: usize,
    /// The base.
    pub base: Commit,
    /// The newest commit that both have.
    pub merge_base: Commit,
}

/// A file that was written by the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The new commit.
    pub commit: CommitSha,
    /// The id of the new content.
    pub blob_sha: String,
    /// Whether the file is new.
    pub created: bool,
}

impl World {
    /// Reads a file or a folder (`GET /repos/{owner}/{repo}/contents/{path}`).
    ///
    /// # Errors
    /// GitHub's refusals.
    pub fn contents(
        &self,
        token: &str,
        repository: &Repository,
        path: &str,
        git_ref: Option<&str>,
        if_none_match: Option<&str>,
    ) -> Result<Contents, ApiError> {
        let id = self.authorize(token, repository, &[("contents", Access::Read)])?;
        let commit = self.readable_commit(id, git_ref)?;
        let known = |etag: &str| if_none_match.is_some_and(|known| known.split(',').any(|one| one.trim() == etag));
        if let Some(bytes) = commit.files.get(path) {
            let blob_sha = blob_sha(bytes);
            let etag = etag(token, &blob_sha);
            return Ok(if known(&etag) {
                Contents::NotModified { etag }
            } else {
                Contents::File { path: path.to_owned(), bytes: Arc::clone(bytes), blob_sha, etag }
            });
        }
        let etag = etag(token, commit.sha.as_str());
        match directory(commit, path) {
            entries if entries.is_empty() => Err(ApiError::not_found()),
            _ if known(&etag) => Ok(Contents::NotModified { etag }),
            entries => Ok(Contents::Directory { entries, etag }),
        }
    }

    /// Writes a file on a branch (`PUT /repos/{owner}/{repo}/contents/{path}`). `known` is the id of the content that it
    /// replaces.
    ///
    /// # Errors
    /// GitHub's refusals.
    pub fn write_contents(
        &mut self,
        token: &str,
        repository: &Repository,
        path: &str,
        bytes: &[u8],
        branch: Option<&str>,
        known: Option<&str>,
    ) -> Result<Written, ApiError> {
        let id = self.authorize(token, repository, &[("contents", Access::Write)])?;
        if path.starts_with(".github/workflows/")
            && self.authorize(token, repository, &[("workflows", Access::Write)]).is_err()
        {
            let message = format!(
                "refusing to allow a GitHub App to create or update workflow `{path}` without `workflows` permission"
            );
            return Err(ApiError::new(403, message));
        }
        let branch =
            branch.map_or_else(|| self.state(id).map(|state| state.default_branch.clone()), |b| Ok(b.into()))?;
        let head = self.head(id, &branch).ok_or_else(|| ApiError::new(404, format!("Branch {branch} not found")))?;
        let old = self.commit_of(id, &head).and_then(|commit| commit.files.get(path)).map(|old| blob_sha(old));
        match (&old, known) {
            (Some(_), None) => {
                return Err(ApiError::unprocessable("Invalid request.\n\n\"sha\" wasn't supplied."));
            }
            (Some(old), Some(known)) if old != known => {
                return Err(ApiError::new(409, format!("{path} does not match {known}")));
            }
            _ => {}
        }
        let commit = self.push(repository, &branch, &[(path, Some(bytes))]).map_err(|_| ApiError::not_found())?;
        self.effects.push(Effect::File { repository: repository.clone(), path: path.to_owned() });
        Ok(Written { commit, blob_sha: blob_sha(bytes), created: old.is_none() })
    }

    /// Compares two revisions (`GET /repos/{owner}/{repo}/compare/{base}...{head}`). A bare name that is a tag and a
    /// branch means the tag, as for git; `refs/heads/...` means the branch.
    ///
    /// # Errors
    /// GitHub's refusals.
    pub fn compare(
        &self,
        token: &str,
        repository: &Repository,
        base: &str,
        head: &str,
    ) -> Result<Comparison, ApiError> {
        let id = self.authorize(token, repository, &[("contents", Access::Read)])?;
        let find = |text| self.revision(id, text).ok_or_else(ApiError::not_found);
        let (base, head) = (find(base)?, find(head)?);
        let (of_base, of_head) = (self.history(id, &base), self.history(id, &head));
        let commits = |shas: Vec<&CommitSha>| {
            let mut commits: Vec<Commit> =
                shas.into_iter().filter_map(|sha| self.commit_of(id, sha).cloned()).collect();
            // Ancestors first: a commit has more history than each of its ancestors.
            commits.sort_by_key(|commit| self.history(id, &commit.sha).len());
            commits
        };
        let ahead = commits(of_head.difference(&of_base).collect());
        let behind_by = of_base.difference(&of_head).count();
        let status = match (ahead.is_empty(), behind_by == 0) {
            (true, true) => CompareStatus::Identical,
            (false, true) => CompareStatus::Ahead,
            (true, false) => CompareStatus::Behind,
            (false, false) => CompareStatus::Diverged,
        };
        let merge_base = commits(of_head.intersection(&of_base).collect()).pop();
        Ok(Comparison {
            status,
            ahead,
            behind_by,
            base: self.commit_of(id, &base).cloned().ok_or_else(ApiError::not_found)?,
            merge_base: merge_base.ok_or_else(|| ApiError::new(404, "No common ancestor"))?,
        })
    }

    fn readable_commit(&self, id: RepositoryId, git_ref: Option<&str>) -> Result<&Commit, ApiError> {
        let sha = match git_ref {
            None => self.default_head(id),
            Some(text) => self.revision(id, text),
        };
        let missing = || match git_ref {
            Some(text) => ApiError::new(404, format!("No commit found for the ref {text}")),
            None => ApiError::new(404, "This repository is empty."),
        };
        sha.and_then(|sha| self.commit_of(id, &sha)).ok_or_else(missing)
    }
}

fn etag(token: &str, version: &str) -> String {
    format!("\"{}\"", object_id(token, version.as_bytes()))
}

fn directory(commit: &Commit, path: &str) -> Vec<(String, Option<(String, usize)>)> {
    let folder = if path.is_empty() { String::new() } else { format!("{}/", path.trim_end_matches('/')) };
    let mut entries: Vec<(String, Option<(String, usize)>)> = Vec::new();
    for (path, bytes) in &commit.files {
        let Some(rest) = path.strip_prefix(&folder) else { continue };
        match rest.split_once('/') {
            None => entries.push((path.clone(), Some((blob_sha(bytes), bytes.len())))),
            Some((name, _)) => {
                let name = format!("{folder}{name}");
                if entries.last().is_none_or(|(last, _)| *last != name) {
                    entries.push((name, None));
                }
            }
        }
    }
    entries
}
