//! Repositories and their names.

use std::collections::BTreeMap;

use super::{ApiError, Comment, Commit, Issue, PullRequest, Role, Workflow, World, WorldError};
use crate::Timestamp;
use crate::name::{CommitSha, Repository, RepositoryId};

/// How a repository is made.
#[derive(Debug, Clone)]
pub struct RepositoryOptions {
    /// Whether strangers cannot see it.
    pub private: bool,
    /// Its default branch, which starts with one commit.
    pub default_branch: String,
    /// Whether the App is installed on it.
    pub installed: bool,
}

impl Default for RepositoryOptions {
    fn default() -> Self {
        Self { private: false, default_branch: "main".to_owned(), installed: true }
    }
}

/// A repository.
#[derive(Debug, Clone)]
pub struct RepositoryState {
    /// Its id.
    pub id: RepositoryId,
    /// Its name.
    pub name: Repository,
    /// Whether strangers cannot see it.
    pub private: bool,
    /// Its default branch.
    pub default_branch: String,
    /// Whether it is read-only.
    pub archived: bool,
    /// The repository that it is a fork of.
    pub fork_of: Option<RepositoryId>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Its branches.
    pub branches: BTreeMap<String, CommitSha>,
    /// Its tags.
    pub tags: BTreeMap<String, CommitSha>,
    /// Its commits.
    pub commits: BTreeMap<CommitSha, Commit>,
    /// Its workflows by file name. A workflow stays when its file goes.
    pub workflows: BTreeMap<String, Workflow>,
    /// Whether it has issues at all.
    pub has_issues: bool,
    /// Its issues by number; a pull request has one too.
    pub issues: BTreeMap<u64, Issue>,
    /// What its pull requests have beyond their issues, by number.
    pub pull_requests: BTreeMap<u64, PullRequest>,
    /// The comments of its issues by id.
    pub comments: BTreeMap<u64, Comment>,
    /// Who may do what, by login in lower case.
    pub roles: BTreeMap<String, Role>,
}

impl World {
    /// Makes a repository with one commit on its default branch.
    ///
    /// # Errors
    /// The name is taken, or is the old name of a repository that moved.
    pub fn add_repository(
        &mut self,
        repository: &Repository,
        options: RepositoryOptions,
    ) -> Result<RepositoryId, WorldError> {
        let id = self.make_repository(repository, &options, None)?;
        if options.installed {
            self.install(repository)?;
        }
        Ok(id)
    }

    /// Switches the issues of a repository on or off.
    ///
    /// # Errors
    /// There is no such repository.
    pub fn set_has_issues(&mut self, repository: &Repository, has_issues: bool) -> Result<(), WorldError> {
        let id = self.repository_id(repository)?;
        self.repository_mut(id)?.has_issues = has_issues;
        Ok(())
    }

    /// Archives a repository: it can be read and not changed. Or takes it out of the archive again.
    ///
    /// # Errors
    /// There is no such repository.
    pub fn set_archived(&mut self, repository: &Repository, archived: bool) -> Result<(), WorldError> {
        let id = self.repository_id(repository)?;
        self.repository_mut(id)?.archived = archived;
        Ok(())
    }

    /// Makes a fork. The App is not installed on it.
    ///
    /// # Errors
    /// There is no such repository, or the name is taken.
    pub fn add_fork(&mut self, of: &Repository, fork: &Repository) -> Result<RepositoryId, WorldError> {
        let parent = self.repository_id(of)?;
        let options = RepositoryOptions { installed: false, ..RepositoryOptions::default() };
        let id = self.make_repository(fork, &options, Some(parent))?;
        let original = self.repositories.get(&parent).cloned();
        if let (Some(original), Some(fork)) = (original, self.repositories.get_mut(&id)) {
            fork.private = original.private;
            fork.default_branch = original.default_branch;
            fork.branches = original.branches;
            fork.commits = original.commits;
        }
        Ok(id)
    }

    /// Gives a repository another name. The old one answers 301 until it is used again.
    ///
    /// # Errors
    /// There is no such repository, or the new name is taken.
    pub fn rename_repository(&mut self, from: &Repository, to: &Repository) -> Result<(), WorldError> {
        let id = self.repository_id(from)?;
        if self.repository_id(to).is_ok() {
            return Err(WorldError(format!("`{to}` is taken")));
        }
        self.names.insert(to.clone(), id);
        self.repository_mut(id)?.name = to.clone();
        self.send_repository(id, "renamed");
        Ok(())
    }

    /// Deletes a repository. Its name is free: another one made with it gets another id.
    ///
    /// # Errors
    /// There is no such repository.
    pub fn delete_repository(&mut self, repository: &Repository) -> Result<(), WorldError> {
        let id = self.repository_id(repository)?;
        self.send_repository(id, "deleted");
        self.names.retain(|_, named| *named != id);
        self.repositories.remove(&id);
        self.installations.values_mut().for_each(|installation| {
            installation.repositories.remove(&id);
        });
        Ok(())
    }

    /// A repository as the token sees it (`GET /repos/{owner}/{repo}`).
    ///
    /// # Errors
    /// GitHub's refusals.
    pub fn repository(&self, token: &str, repository: &Repository) -> Result<&RepositoryState, ApiError> {
        let id = self.authorize(token, repository, &[("metadata", super::Access::Read)])?;
        self.state(id)
    }

    /// The repositories that a token may ask for (`GET /installation/repositories`), by id.
    ///
    /// # Errors
    /// GitHub's refusals.
    pub fn covered(&self, token: &str) -> Result<Vec<&RepositoryState>, ApiError> {
        let token = self.live_token(token)?;
        let all = self.installations.get(&token.installation).map(|installation| &installation.repositories);
        let ids = all.into_iter().flatten();
        let narrowed = ids.filter(|id| token.repositories.as_ref().is_none_or(|narrowed| narrowed.contains(id)));
        narrowed.map(|id| self.state(*id)).collect()
    }

    /// The repositories, by id.
    pub fn repositories(&self) -> impl Iterator<Item = &RepositoryState> {
        self.repositories.values()
    }

    /// The repository of a name, without regard to where it moved.
    pub(super) fn repository_id(&self, repository: &Repository) -> Result<RepositoryId, WorldError> {
        self.resolve(repository).map_err(|_| WorldError(format!("there is no repository `{repository}`")))
    }

    /// The repository of a name, as the API finds it.
    pub(super) fn resolve(&self, repository: &Repository) -> Result<RepositoryId, ApiError> {
        let id = *self.names.get(repository).ok_or_else(ApiError::not_found)?;
        if self.state(id)?.name == *repository {
            return Ok(id);
        }
        let location = format!("{}/repositories/{id}", self.api_url);
        Err(ApiError::new(301, "Moved Permanently").with_header("Location", location))
    }

    pub(super) fn state(&self, id: RepositoryId) -> Result<&RepositoryState, ApiError> {
        self.repositories.get(&id).ok_or_else(ApiError::not_found)
    }

    pub(super) fn repository_mut(&mut self, id: RepositoryId) -> Result<&mut RepositoryState, WorldError> {
        self.repositories.get_mut(&id).ok_or_else(|| WorldError(format!("there is no repository with id {id}")))
    }

    fn make_repository(
        &mut self,
        repository: &Repository,
        options: &RepositoryOptions,
        fork_of: Option<RepositoryId>,
    ) -> Result<RepositoryId, WorldError> {
        if self.repository_id(repository).is_ok() {
            return Err(WorldError(format!("`{repository}` is taken")));
        }
        let id = RepositoryId(self.next_id());
        let state = RepositoryState {
            id,
            name: repository.clone(),
            private: options.private,
            default_branch: options.default_branch.clone(),
            archived: false,
            fork_of,
            created_at: self.now(),
            branches: BTreeMap::new(),
            tags: BTreeMap::new(),
            commits: BTreeMap::new(),
            workflows: BTreeMap::new(),
            has_issues: true,
            issues: BTreeMap::new(),
            pull_requests: BTreeMap::new(),
            comments: BTreeMap::new(),
            roles: BTreeMap::new(),
        };
        // The old name of a repository that moved belongs to whoever takes it.
        self.names.retain(|name, _| name != repository);
        self.names.insert(repository.clone(), id);
        self.repositories.insert(id, state);
        let readme = format!("# {}\n", repository.name());
        let (first, _) = self.commit(id, None, &[("README.md", Some(readme.as_bytes()))], "octocat")?;
        self.repository_mut(id)?.branches.insert(options.default_branch.clone(), first);
        Ok(id)
    }
}
