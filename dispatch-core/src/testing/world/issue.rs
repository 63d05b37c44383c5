//! Issues.

use super::{Access, ApiError, Effect, World, WorldError};
use crate::Timestamp;
use crate::name::{Repository, RepositoryId};

/// An issue.
#[derive(Debug, Clone)]
pub struct Issue {
    /// Its id.
    pub id: u64,
    /// Its number in its repository.
    pub number: u64,
    /// Its title.
    pub title: String,
    /// Its text.
    pub body: Option<String>,
    /// Its labels.
    pub labels: Vec<String>,
    /// Whether it is open.
    pub open: bool,
    /// Who made it.
    pub author: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// What to change in an issue; None leaves it.
#[derive(Debug, Clone, Default)]
pub struct IssueChange {
    /// Its title.
    pub title: Option<String>,
    /// Its text.
    pub body: Option<String>,
    /// Its labels.
    pub labels: Option<Vec<String>>,
    /// Whether it is open.
    pub open: Option<bool>,
}

/// Characters of a body (observed).
pub(super) const MAX_BODY: usize = 65_536;
/// Characters of a title (observed).
const MAX_TITLE: usize = 256;
pub(super) const READ: [(&str, Access); 2] = [("issues", Access::Read), ("pull_requests", Access::Read)];
pub(super) const WRITE: [(&str, Access); 2] = [("issues", Access::Write), ("pull_requests", Access::Write)];

impl World {
    /// Creates an issue (`POST /repos/{owner}/{repo}/issues`).
    ///
    /// # Errors
    /// GitHub's refusals.
    pub fn create_issue(
        &mut self,
        token: &str,
        repository: &Repository,
        title: &str,
        body: Option<&str>,
        labels: Vec<String>,
    ) -> Result<Issue, ApiError> {
        let id = self.authorize(token, repository, &[("issues", Access::Write)])?;
        self.check_has_issues(id)?;
        check_title(title)?;
        check_issue_body(body)?;
        let author = self.app.bot();
        let issue = self.new_issue(id, author, title, body, labels)?;
        self.effects.push(Effect::Issue { repository: repository.clone(), number: issue.number });
        Ok(issue)
    }

    /// Lets somebody open an issue. Answers with its number.
    ///
    /// # Errors
    /// There is no such repository.
    pub fn open_issue(
        &mut self,
        repository: &Repository,
        author: &str,
        title: &str,
        body: &str,
    ) -> Result<u64, WorldError> {
        let id = self.repository_id(repository)?;
        self.note_user(author);
        let issue = self.new_issue(id, author.to_owned(), title, Some(body), Vec::new());
        issue.map(|issue| issue.number).map_err(|error| WorldError(error.to_string()))
    }

    pub(super) fn new_issue(
        &mut self,
        id: RepositoryId,
        author: String,
        title: &str,
        body: Option<&str>,
        labels: Vec<String>,
    ) -> Result<Issue, ApiError> {
        let now = self.now();
        let issue = Issue {
            id: self.next_id(),
            number: self.state(id)?.issues.len() as u64 + 1,
            title: title.to_owned(),
            body: body.map(str::to_owned),
            labels,
            open: true,
            author,
            created_at: now,
            updated_at: now,
        };
        self.state_mut(id)?.issues.insert(issue.number, issue.clone());
        Ok(issue)
    }

    /// The issues of a repository, newest first (`GET /repos/{owner}/{repo}/issues`). `open`: None for all.
    ///
    /// # Errors
    /// GitHub's refusals.
    pub fn issues(&self, token: &str, repository: &Repository, open: Option<bool>) -> Result<Vec<&Issue>, ApiError> {
        let id = self.authorize(token, repository, &READ)?;
        let wanted = |issue: &&Issue| open.is_none_or(|open| issue.open == open);
        Ok(self.state(id)?.issues.values().rev().filter(wanted).collect())
    }

    /// Changes an issue (`PATCH /repos/{owner}/{repo}/issues/{issue_number}`).
    ///
    /// # Errors
    /// GitHub's refusals.
    pub fn update_issue(
        &mut self,
        token: &str,
        repository: &Repository,
        number: u64,
        change: IssueChange,
    ) -> Result<Issue, ApiError> {
        let id = self.authorize(token, repository, &WRITE)?;
        self.check_has_issue(id, number)?;
        change.title.as_deref().map_or(Ok(()), check_title)?;
        check_issue_body(change.body.as_deref())?;
        let now = self.now();
        let issue = self.state_mut(id)?.issues.get_mut(&number).ok_or_else(ApiError::not_found)?;
        issue.updated_at = now;
        issue.body = change.body.or_else(|| issue.body.take());
        if let Some(title) = change.title {
            issue.title = title;
        }
        if let Some(labels) = change.labels {
            issue.labels = labels;
        }
        if let Some(open) = change.open {
            issue.open = open;
        }
        let issue = issue.clone();
        self.effects.push(Effect::Issue { repository: repository.clone(), number });
        Ok(issue)
    }

    /// Changes an issue and its time.
    pub(super) fn change_issue(
        &mut self,
        id: RepositoryId,
        number: u64,
        change: impl FnOnce(&mut Issue),
    ) -> Result<(), WorldError> {
        let now = self.now();
        let issue = self.repository_mut(id)?.issues.get_mut(&number);
        let issue = issue.ok_or_else(|| WorldError(format!("there is no issue {number}")))?;
        change(issue);
        issue.updated_at = now;
        Ok(())
    }

    /// Whether there is such an issue to change or to comment on. A pull request stays where issues are switched off.
    pub(super) fn check_has_issue(&self, id: RepositoryId, number: u64) -> Result<(), ApiError> {
        let state = self.state(id)?;
        if !state.pull_requests.contains_key(&number) {
            self.check_has_issues(id)?;
        }
        state.issues.contains_key(&number).then_some(()).ok_or_else(ApiError::not_found)
    }

    fn check_has_issues(&self, id: RepositoryId) -> Result<(), ApiError> {
        let gone = || ApiError::new(410, "Issues has been disabled in this repository.");
        self.state(id)?.has_issues.then_some(()).ok_or_else(gone)
    }

    pub(super) fn state_mut(&mut self, id: RepositoryId) -> Result<&mut super::RepositoryState, ApiError> {
        self.repositories.get_mut(&id).ok_or_else(ApiError::not_found)
    }
}

fn check_title(title: &str) -> Result<(), ApiError> {
    match title.chars().count() {
        0 => Err(ApiError::validation("Issue", "title", "missing_field", None)),
        1..=MAX_TITLE => Ok(()),
        _ => {
            let message = "title is too long (maximum is 256 characters)";
            Err(ApiError::validation("Issue", "title", "custom", Some(message)))
        }
    }
}

fn check_issue_body(body: Option<&str>) -> Result<(), ApiError> {
    if body.is_none_or(|body| body.chars().count() <= MAX_BODY) {
        return Ok(());
    }
    let message = "body is too long (maximum is 65536 characters)";
    Err(ApiError::validation("Issue", "body", "custom", Some(message)))
}
