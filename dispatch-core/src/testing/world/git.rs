//! Commits, branches and tags.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{PERSON, World, WorldError, object_id};
use crate::Timestamp;
use crate::name::{CommitSha, Repository, RepositoryId};

/// A commit with all of its files.
#[derive(Debug, Clone)]
pub struct Commit {
    /// Its id.
    pub sha: CommitSha,
    /// The commits before it; none for the first one.
    pub parents: Vec<CommitSha>,
    /// Its files by path.
    pub files: BTreeMap<String, Arc<[u8]>>,
    /// Its message.
    pub message: String,
    /// Who made it.
    pub author: String,
    /// When.
    pub at: Timestamp,
}

impl Commit {
    /// The id of its tree.
    #[must_use]
    pub fn tree_sha(&self) -> String {
        object_id("tree", self.sha.as_str().as_bytes())
    }
}

/// The id of a file's content.
pub(super) fn blob_sha(bytes: &[u8]) -> String {
    object_id(&format!("blob {}", bytes.len()), bytes)
}

impl World {
    /// Pushes one commit that writes one file. A branch that is not there is made from the default branch.
    ///
    /// # Errors
    /// There is no such repository.
    pub fn write_file(
        &mut self,
        repository: &Repository,
        branch: &str,
        path: &str,
        text: &str,
    ) -> Result<CommitSha, WorldError> {
        self.push(repository, branch, &[(path, Some(text.as_bytes()))])
    }

    /// Pushes one commit that removes one file.
    ///
    /// # Errors
    /// There is no such repository.
    pub fn remove_file(&mut self, repository: &Repository, branch: &str, path: &str) -> Result<CommitSha, WorldError> {
        self.push(repository, branch, &[(path, None)])
    }

    /// Pushes one commit that writes files (and removes those without content), and sends the webhook of it.
    ///
    /// # Errors
    /// There is no such repository.
    pub fn push(
        &mut self,
        repository: &Repository,
        branch: &str,
        changes: &[(&str, Option<&[u8]>)],
    ) -> Result<CommitSha, WorldError> {
        let id = self.repository_id(repository)?;
        self.push_as(id, branch, changes, PERSON)
    }

    /// Pushes one commit of somebody. The open pull requests of the branch hear of it.
    pub(super) fn push_as(
        &mut self,
        id: RepositoryId,
        branch: &str,
        changes: &[(&str, Option<&[u8]>)],
        author: &str,
    ) -> Result<CommitSha, WorldError> {
        let from = self.head(id, branch).or_else(|| self.default_head(id));
        let (after, touched) = self.commit(id, from.as_ref(), changes, author)?;
        self.move_branch(id, branch, &after, &touched, author)?;
        Ok(after)
    }

    /// Merges a commit into a branch: one commit with two parents, and what was written on the way to the merged one since both
    /// had the same. Nothing that only the branch has removed since comes back.
    pub(super) fn merge(&mut self, id: RepositoryId, branch: &str, head: &CommitSha) -> Result<CommitSha, WorldError> {
        let base = self.head(id, branch).ok_or_else(|| WorldError(format!("there is no branch `{branch}`")))?;
        let (ours, theirs) = (self.commit_of(id, &base), self.commit_of(id, head));
        let (Some(ours), Some(theirs)) = (ours, theirs) else {
            return Err(WorldError(format!("there is no commit `{head}`")));
        };
        let (of_ours, of_theirs) = (self.history(id, &base), self.history(id, head));
        let common = of_theirs.intersection(&of_ours).max_by_key(|sha| self.history(id, sha).len());
        let common = common.and_then(|sha| self.commit_of(id, sha));
        let new = |(path, bytes): &(&String, &Arc<[u8]>)| {
            let is_as_in = |commit: &Commit| commit.files.get(*path) == Some(*bytes);
            !is_as_in(ours) && !common.is_some_and(is_as_in)
        };
        let changes: Vec<(String, Arc<[u8]>)> =
            theirs.files.iter().filter(new).map(|(path, bytes)| (path.clone(), Arc::clone(bytes))).collect();
        let changes: Vec<(&str, Option<&[u8]>)> =
            changes.iter().map(|(path, bytes)| (path.as_str(), Some(&**bytes))).collect();
        let (after, touched) = self.commit(id, Some(&base), &changes, PERSON)?;
        if let Some(merge) = self.repository_mut(id)?.commits.get_mut(&after) {
            merge.parents.push(head.clone());
        }
        self.move_branch(id, branch, &after, &touched, PERSON)?;
        Ok(after)
    }

    fn move_branch(
        &mut self,
        id: RepositoryId,
        branch: &str,
        after: &CommitSha,
        touched: &[String],
        pusher: &str,
    ) -> Result<(), WorldError> {
        let before = self.repository_mut(id)?.branches.insert(branch.to_owned(), after.clone());
        self.note_workflows(id);
        self.send_push(id, &format!("refs/heads/{branch}"), before.as_ref(), Some(after), touched, pusher);
        self.synchronize(id, branch, after, pusher);
        Ok(())
    }

    /// Gives a repository what it does not have of a commit's history: it and its forks share their commits.
    pub(super) fn share_commits(&mut self, from: RepositoryId, to: RepositoryId, sha: &CommitSha) {
        if from == to {
            return;
        }
        let shared = self.history(from, sha);
        let missing: Vec<Commit> = shared
            .iter()
            .filter(|sha| self.commit_of(to, sha).is_none())
            .filter_map(|sha| self.commit_of(from, sha).cloned())
            .collect();
        if let Some(state) = self.repositories.get_mut(&to) {
            state.commits.extend(missing.into_iter().map(|commit| (commit.sha.clone(), commit)));
        }
    }

    /// Makes a branch, or moves it by force, and sends the webhook of it.
    ///
    /// # Errors
    /// There is no such repository or commit.
    pub fn set_branch(&mut self, repository: &Repository, branch: &str, sha: &CommitSha) -> Result<(), WorldError> {
        let id = self.has_commit(repository, sha)?;
        self.move_branch(id, branch, sha, &[], PERSON)
    }

    /// Deletes a branch, and sends the webhook of it. Its open pull requests are closed, as GitHub does.
    ///
    /// # Errors
    /// There is no such repository or branch.
    pub fn delete_branch(&mut self, repository: &Repository, branch: &str) -> Result<(), WorldError> {
        let before = self.branch_head(repository, branch)?;
        let id = self.repository_id(repository)?;
        self.repository_mut(id)?.branches.remove(branch);
        self.send_push(id, &format!("refs/heads/{branch}"), Some(&before), None, &[], PERSON);
        self.close_pull_requests_of(id, branch)
    }

    /// Makes a tag, or moves it, and sends the webhook of it.
    ///
    /// # Errors
    /// There is no such repository or commit.
    pub fn set_tag(&mut self, repository: &Repository, tag: &str, sha: &CommitSha) -> Result<(), WorldError> {
        let id = self.has_commit(repository, sha)?;
        let before = self.repository_mut(id)?.tags.insert(tag.to_owned(), sha.clone());
        self.send_push(id, &format!("refs/tags/{tag}"), before.as_ref(), Some(sha), &[], PERSON);
        Ok(())
    }

    /// Adds a commit that no ref points to, such as one of a fork's pull request: a repository and its forks share their
    /// commits. It follows the default branch's head.
    ///
    /// # Errors
    /// There is no such repository.
    pub fn stray_commit(
        &mut self,
        repository: &Repository,
        changes: &[(&str, Option<&[u8]>)],
    ) -> Result<CommitSha, WorldError> {
        let id = self.repository_id(repository)?;
        let from = self.default_head(id);
        Ok(self.commit(id, from.as_ref(), changes, "stranger")?.0)
    }

    /// The commit that a branch points to.
    ///
    /// # Errors
    /// There is no such repository or branch.
    pub fn branch_head(&self, repository: &Repository, branch: &str) -> Result<CommitSha, WorldError> {
        let id = self.repository_id(repository)?;
        self.head(id, branch).ok_or_else(|| WorldError(format!("`{repository}` has no branch `{branch}`")))
    }

    fn has_commit(&self, repository: &Repository, sha: &CommitSha) -> Result<RepositoryId, WorldError> {
        let id = self.repository_id(repository)?;
        let known = self.commit_of(id, sha).map(|_| id);
        known.ok_or_else(|| WorldError(format!("`{repository}` has no commit `{sha}`")))
    }

    /// Makes a commit; answers with it and the paths that it touches.
    pub(super) fn commit(
        &mut self,
        repository: RepositoryId,
        parent: Option<&CommitSha>,
        changes: &[(&str, Option<&[u8]>)],
        author: &str,
    ) -> Result<(CommitSha, Vec<String>), WorldError> {
        let number = self.next_id();
        let sha: CommitSha = object_id("commit", number.to_string().as_bytes())
            .parse()
            .map_err(|error: crate::name::NameError| WorldError(error.to_string()))?;
        let at = self.now();
        let state = self.repository_mut(repository)?;
        let parent = parent.and_then(|sha| state.commits.get(sha));
        let mut files = parent.map(|commit| commit.files.clone()).unwrap_or_default();
        for (path, content) in changes {
            match content {
                Some(bytes) => files.insert((*path).to_owned(), Arc::from(*bytes)),
                None => files.remove(*path),
            };
        }
        let touched: Vec<String> = changes.iter().map(|(path, _)| (*path).to_owned()).collect();
        let commit = Commit {
            sha: sha.clone(),
            parents: parent.map(|commit| commit.sha.clone()).into_iter().collect(),
            files,
            message: format!("Change {}", touched.join(", ")),
            author: author.to_owned(),
            at,
        };
        state.commits.insert(sha.clone(), commit);
        Ok((sha, touched))
    }

    pub(super) fn head(&self, repository: RepositoryId, branch: &str) -> Option<CommitSha> {
        self.repositories.get(&repository)?.branches.get(branch).cloned()
    }

    pub(super) fn default_head(&self, repository: RepositoryId) -> Option<CommitSha> {
        let state = self.repositories.get(&repository)?;
        state.branches.get(&state.default_branch).cloned()
    }

    pub(super) fn commit_of(&self, repository: RepositoryId, sha: &CommitSha) -> Option<&Commit> {
        self.repositories.get(&repository)?.commits.get(sha)
    }

    /// The commit that a revision names: a full or half-full ref, a tag before a branch of the same name (gitrevisions),
    /// or a commit.
    pub(super) fn revision(&self, repository: RepositoryId, text: &str) -> Option<CommitSha> {
        let state = self.repositories.get(&repository)?;
        let short = text.strip_prefix("refs/").unwrap_or(text);
        if let Some(branch) = short.strip_prefix("heads/") {
            return state.branches.get(branch).cloned();
        }
        if let Some(tag) = short.strip_prefix("tags/") {
            return state.tags.get(tag).cloned();
        }
        let named = state.tags.get(text).or_else(|| state.branches.get(text)).cloned();
        named.or_else(|| text.parse().ok().filter(|sha| state.commits.contains_key(sha)))
    }

    /// A commit and everything before it.
    pub(super) fn history(&self, repository: RepositoryId, sha: &CommitSha) -> BTreeSet<CommitSha> {
        let mut seen = BTreeSet::new();
        let mut next = vec![sha.clone()];
        while let Some(sha) = next.pop() {
            if let Some(commit) = self.commit_of(repository, &sha)
                && seen.insert(sha)
            {
                next.extend(commit.parents.iter().cloned());
            }
        }
        seen
    }
}
