//! Pull requests: what people do with them, and what a client reads.
//!
//! A pull request is an issue with a branch, as on GitHub: its number, title, text, labels, author and times are those of
//! the [`Issue`] of the same number, and it is commented on as an issue is.

use serde_json::{Value, json};

use super::{Access, ApiError, Issue, PERSON, World, WorldError};
use crate::Timestamp;
use crate::name::{CommitSha, Repository, RepositoryId};

/// What a pull request has beyond its [`Issue`].
#[derive(Debug, Clone)]
pub struct PullRequest {
    /// Its id: another one than its issue's.
    pub id: u64,
    /// Its number, which its issue has too.
    pub number: u64,
    /// The branch that is to be merged, in the head repository.
    pub head_branch: String,
    /// The commit that is to be merged.
    pub head_sha: CommitSha,
    /// Whose repository the head is in. It stays when that repository goes.
    pub head_owner: String,
    /// The repository that the head is in: the same, or a fork. It may have been deleted since.
    pub head_repository: RepositoryId,
    /// The branch that it is to be merged into.
    pub base: String,
    /// The commit of that branch when the pull request last looked.
    pub base_sha: CommitSha,
    /// Whether it is a draft.
    pub draft: bool,
    /// The merge, and when it was made; None: it was not merged.
    pub merged: Option<(CommitSha, Timestamp)>,
}

/// A pull request that somebody opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullRequestSpec {
    /// Who opens it.
    pub author: String,
    /// Its branch. One that is not there is made, with a commit of the author.
    pub head_branch: String,
    /// The branch that it is to be merged into.
    pub base: String,
    /// Whether it is a draft.
    pub draft: bool,
    /// The fork that the branch is in. It is made where there is none of this name.
    pub fork: Option<Repository>,
    /// Its title.
    pub title: String,
    /// Its text.
    pub body: Option<String>,
}

impl PullRequestSpec {
    /// A pull request of `octocat` from a branch of the same repository into `main`.
    #[must_use]
    pub fn new(head_branch: &str) -> Self {
        Self { head_branch: head_branch.to_owned(), ..Self::default() }
    }
}

impl Default for PullRequestSpec {
    fn default() -> Self {
        Self {
            author: "octocat".to_owned(),
            head_branch: "topic".to_owned(),
            base: "main".to_owned(),
            draft: false,
            fork: None,
            title: "Change something".to_owned(),
            body: None,
        }
    }
}

impl World {
    /// Lets somebody open a pull request, and sends `pull_request` `opened`. Answers with its number.
    ///
    /// # Errors
    /// There is no such repository or base branch, head and base are the same, or such a pull request is open already.
    pub fn open_pull_request(&mut self, repository: &Repository, spec: PullRequestSpec) -> Result<u64, WorldError> {
        let id = self.repository_id(repository)?;
        let head_repository = match &spec.fork {
            Some(fork) => self.repository_id(fork).or_else(|_| self.add_fork(repository, fork))?,
            None => id,
        };
        let base_sha = self.head(id, &spec.base);
        let base_sha = base_sha.ok_or_else(|| WorldError(format!("`{repository}` has no branch `{}`", spec.base)))?;
        if head_repository == id && spec.head_branch == spec.base {
            return Err(WorldError(format!("there is nothing between `{0}` and `{0}`", spec.base)));
        }
        if self
            .open_pull_requests_of(head_repository, &spec.head_branch)
            .any(|(on, pull)| on == id && pull.base == spec.base)
        {
            return Err(WorldError(format!("a pull request for `{}` is open already", spec.head_branch)));
        }
        let head_sha = match self.head(head_repository, &spec.head_branch) {
            Some(sha) => sha,
            None => self.push_contribution(head_repository, &spec.head_branch, &spec.author)?,
        };
        self.share_commits(head_repository, id, &head_sha);
        self.note_user(&spec.author);
        let issue = self.new_issue(id, spec.author.clone(), &spec.title, spec.body.as_deref(), Vec::new());
        let number = issue.map_err(|error| WorldError(error.to_string()))?.number;
        let pull = PullRequest {
            id: self.next_id(),
            number,
            head_branch: spec.head_branch,
            head_sha,
            head_owner: self.repository_mut(head_repository)?.name.owner().as_str().to_owned(),
            head_repository,
            base: spec.base,
            base_sha,
            draft: spec.draft,
            merged: None,
        };
        self.repository_mut(id)?.pull_requests.insert(number, pull);
        self.send_pull_request(id, number, "opened", &spec.author, Value::Null);
        Ok(number)
    }

    /// Pushes a commit to the branch of a pull request. That sends `push` where the head repository has the App, and
    /// `pull_request` `synchronize` if the pull request is open.
    ///
    /// # Errors
    /// There is no such pull request, or the repository of its branch was deleted.
    pub fn push_to_pull_request(
        &mut self,
        repository: &Repository,
        number: u64,
        author: &str,
    ) -> Result<CommitSha, WorldError> {
        let (_, pull) = self.pull_request_parts(repository, number)?;
        let (head_repository, branch) = (pull.head_repository, pull.head_branch.clone());
        self.note_user(author);
        self.push_contribution(head_repository, &branch, author)
    }

    /// Closes a pull request, merged or not, and sends `pull_request` `closed`. A merge moves the base branch, which sends
    /// `push` before.
    ///
    /// # Errors
    /// There is no such pull request, or it is not open.
    pub fn close_pull_request(&mut self, repository: &Repository, number: u64, merged: bool) -> Result<(), WorldError> {
        let id = self.repository_id(repository)?;
        let (issue, pull) = self.pull_request_parts(repository, number)?;
        if !issue.open {
            return Err(WorldError(format!("pull request {number} is closed already")));
        }
        let pull = pull.clone();
        let merge = if merged { Some((self.merge(id, &pull.base, &pull.head_sha)?, self.now())) } else { None };
        if let Some(pull) = self.repository_mut(id)?.pull_requests.get_mut(&number) {
            pull.merged = merge;
        }
        self.change_issue(id, number, |issue| issue.open = false)?;
        self.send_pull_request(id, number, "closed", PERSON, Value::Null);
        Ok(())
    }

    /// Opens a closed pull request again, with what its branch has now, and sends `pull_request` `reopened`.
    ///
    /// # Errors
    /// There is no such pull request, it is open or merged, or its branch is gone.
    pub fn reopen_pull_request(&mut self, repository: &Repository, number: u64) -> Result<(), WorldError> {
        let id = self.repository_id(repository)?;
        let (issue, pull) = self.pull_request_parts(repository, number)?;
        if issue.open || pull.merged.is_some() {
            return Err(WorldError(format!("pull request {number} is open or merged")));
        }
        let (head_repository, branch) = (pull.head_repository, pull.head_branch.clone());
        let head = self.head(head_repository, &branch);
        let head = head.ok_or_else(|| WorldError(format!("the branch of pull request {number} is gone")))?;
        self.share_commits(head_repository, id, &head);
        if let Some(pull) = self.repository_mut(id)?.pull_requests.get_mut(&number) {
            pull.head_sha = head;
        }
        self.change_issue(id, number, |issue| issue.open = true)?;
        self.send_pull_request(id, number, "reopened", PERSON, Value::Null);
        Ok(())
    }

    /// Gives a pull request another base branch, and sends `pull_request` `edited`.
    ///
    /// # Errors
    /// There is no such pull request or branch.
    pub fn retarget_pull_request(
        &mut self,
        repository: &Repository,
        number: u64,
        base: &str,
    ) -> Result<(), WorldError> {
        let id = self.repository_id(repository)?;
        self.pull_request_parts(repository, number)?;
        let sha = self.branch_head(repository, base)?;
        let Some(pull) = self.repository_mut(id)?.pull_requests.get_mut(&number) else { return Ok(()) };
        let old = (std::mem::replace(&mut pull.base, base.to_owned()), std::mem::replace(&mut pull.base_sha, sha));
        self.change_issue(id, number, |_| ())?;
        let changes = json!({ "base": { "ref": { "from": old.0 }, "sha": { "from": old.1 } } });
        self.send_pull_request(id, number, "edited", PERSON, json!({ "changes": changes }));
        Ok(())
    }

    /// Makes a pull request a draft, or ready for review, and sends `converted_to_draft` or `ready_for_review`.
    ///
    /// # Errors
    /// There is no such pull request.
    pub fn set_draft(&mut self, repository: &Repository, number: u64, draft: bool) -> Result<(), WorldError> {
        let id = self.repository_id(repository)?;
        self.pull_request_parts(repository, number)?;
        if let Some(pull) = self.repository_mut(id)?.pull_requests.get_mut(&number) {
            pull.draft = draft;
        }
        self.change_issue(id, number, |_| ())?;
        let action = if draft { "converted_to_draft" } else { "ready_for_review" };
        self.send_pull_request(id, number, action, PERSON, Value::Null);
        Ok(())
    }

    /// Puts a label on a pull request, and sends `pull_request` `labeled`.
    ///
    /// # Errors
    /// There is no such pull request.
    pub fn label_pull_request(&mut self, repository: &Repository, number: u64, label: &str) -> Result<(), WorldError> {
        self.set_label(repository, number, label, true)
    }

    /// Takes a label off a pull request, and sends `pull_request` `unlabeled`.
    ///
    /// # Errors
    /// There is no such pull request.
    pub fn unlabel_pull_request(
        &mut self,
        repository: &Repository,
        number: u64,
        label: &str,
    ) -> Result<(), WorldError> {
        self.set_label(repository, number, label, false)
    }

    /// A pull request (`GET /repos/{owner}/{repo}/pulls/{pull_number}`).
    ///
    /// # Errors
    /// GitHub's refusals.
    pub fn pull_request(
        &self,
        token: &str,
        repository: &Repository,
        number: u64,
    ) -> Result<(&Issue, &PullRequest), ApiError> {
        // Documented under "Pull requests" and, with additional permissions, under "Contents".
        let id = self.authorize(token, repository, &[READ, ("contents", Access::Read)])?;
        let state = self.state(id)?;
        let parts = state.issues.get(&number).zip(state.pull_requests.get(&number));
        parts.ok_or_else(ApiError::not_found)
    }

    /// The pull requests of a repository, newest first (`GET /repos/{owner}/{repo}/pulls`). `open`: None for all.
    ///
    /// # Errors
    /// GitHub's refusals.
    pub fn pull_requests(
        &self,
        token: &str,
        repository: &Repository,
        open: Option<bool>,
    ) -> Result<Vec<(&Issue, &PullRequest)>, ApiError> {
        let state = self.state(self.authorize(token, repository, &[READ])?)?;
        let pulls = state.pull_requests.values().rev();
        let pulls = pulls.filter_map(|pull| Some((state.issues.get(&pull.number)?, pull)));
        Ok(pulls.filter(|(issue, _)| open.is_none_or(|open| issue.open == open)).collect())
    }

    /// A pull request as it is, for who looks at the world from outside of GitHub.
    ///
    /// # Errors
    /// There is no such pull request.
    pub fn pull_request_parts(
        &self,
        repository: &Repository,
        number: u64,
    ) -> Result<(&Issue, &PullRequest), WorldError> {
        let id = self.repository_id(repository)?;
        let state = self.repositories.get(&id);
        let parts = state.and_then(|state| state.issues.get(&number).zip(state.pull_requests.get(&number)));
        parts.ok_or_else(|| WorldError(format!("`{repository}` has no pull request {number}")))
    }

    /// Tells the open pull requests of a branch that it moved.
    pub(super) fn synchronize(&mut self, head_repository: RepositoryId, branch: &str, head: &CommitSha, sender: &str) {
        let moved: Vec<(RepositoryId, u64, CommitSha)> = self
            .open_pull_requests_of(head_repository, branch)
            .map(|(id, pull)| (id, pull.number, pull.head_sha.clone()))
            .filter(|(_, _, before)| before != head)
            .collect();
        for (id, number, before) in moved {
            self.share_commits(head_repository, id, head);
            let Some(state) = self.repositories.get_mut(&id) else { continue };
            let Some(pull) = state.pull_requests.get_mut(&number) else { continue };
            head.clone_into(&mut pull.head_sha);
            if let Some(base) = state.branches.get(&pull.base) {
                base.clone_into(&mut pull.base_sha);
            }
            // An error says that there is no such issue, and it was just found.
            let _ = self.change_issue(id, number, |_| ());
            let more = json!({ "before": before, "after": head });
            self.send_pull_request(id, number, "synchronize", sender, more);
        }
    }

    /// Closes the open pull requests of a branch that is gone.
    pub(super) fn close_pull_requests_of(
        &mut self,
        head_repository: RepositoryId,
        branch: &str,
    ) -> Result<(), WorldError> {
        let open = self.open_pull_requests_of(head_repository, branch).map(|(id, pull)| (id, pull.number));
        for (id, number) in open.collect::<Vec<_>>() {
            self.change_issue(id, number, |issue| issue.open = false)?;
            self.send_pull_request(id, number, "closed", PERSON, Value::Null);
        }
        Ok(())
    }

    fn open_pull_requests_of<'a>(
        &'a self,
        head_repository: RepositoryId,
        branch: &'a str,
    ) -> impl Iterator<Item = (RepositoryId, &'a PullRequest)> {
        self.repositories.values().flat_map(move |state| {
            let open = |pull: &&PullRequest| state.issues.get(&pull.number).is_some_and(|issue| issue.open);
            let of_branch =
                move |pull: &&PullRequest| pull.head_repository == head_repository && pull.head_branch == branch;
            state.pull_requests.values().filter(of_branch).filter(open).map(|pull| (state.id, pull))
        })
    }

    /// One commit with one new file, on a branch.
    fn push_contribution(&mut self, id: RepositoryId, branch: &str, author: &str) -> Result<CommitSha, WorldError> {
        let path = format!("contributions/{}.md", self.next_id());
        let contribution: (&str, Option<&[u8]>) = (&path, Some(b"hello\n"));
        self.push_as(id, branch, &[contribution], author)
    }

    fn set_label(&mut self, repository: &Repository, number: u64, label: &str, on: bool) -> Result<(), WorldError> {
        let id = self.repository_id(repository)?;
        self.pull_request_parts(repository, number)?;
        self.change_issue(id, number, |issue| {
            issue.labels.retain(|known| known != label);
            issue.labels.extend(on.then(|| label.to_owned()));
        })?;
        let Some(state) = self.repositories.get(&id) else { return Ok(()) };
        let more = json!({ "label": self.json_label(state, label) });
        self.send_pull_request(id, number, if on { "labeled" } else { "unlabeled" }, PERSON, more);
        Ok(())
    }
}

const READ: (&str, Access) = ("pull_requests", Access::Read);
