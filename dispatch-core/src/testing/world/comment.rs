//! Comments on issues and pull requests, and reactions to them.

use serde_json::{Value, json};

use super::issue::{MAX_BODY, READ, WRITE};
use super::{ApiError, Effect, World, WorldError};
use crate::Timestamp;
use crate::name::{Repository, RepositoryId};

/// A comment on an issue or a pull request.
#[derive(Debug, Clone)]
pub struct Comment {
    /// Its id.
    pub id: u64,
    /// The number of the issue or pull request.
    pub issue: u64,
    /// Its text.
    pub body: String,
    /// Who made it.
    pub author: String,
    /// The App that it was made through, by its name in URLs: by the App's bot, or by a person who uses the App.
    pub app: Option<String>,
    /// The reactions to it, oldest first.
    pub reactions: Vec<Reaction>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// A reaction to a comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reaction {
    /// Its id.
    pub id: u64,
    /// What it says, in GitHub's word, such as `eyes`.
    pub content: String,
    /// Whose it is.
    pub user: String,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Reaction {
    /// What a reaction can say (REST API description).
    pub const CONTENTS: [&str; 8] = ["+1", "-1", "laugh", "confused", "heart", "hooray", "rocket", "eyes"];
}

impl World {
    /// Lets somebody comment on an issue or a pull request, and sends `issue_comment` `created`. Answers with the comment's
    /// id. A login that ends in `[bot]` is a bot's.
    ///
    /// # Errors
    /// There is no such repository, issue or pull request.
    pub fn comment(
        &mut self,
        repository: &Repository,
        number: u64,
        login: &str,
        body: &str,
    ) -> Result<u64, WorldError> {
        self.comment_of(repository, number, login, body, None)
    }

    /// The same through an App, which `performed_via_github_app` names: a bot's comment, or one of a person who uses the App.
    ///
    /// # Errors
    /// There is no such repository, issue or pull request.
    pub fn comment_through_app(
        &mut self,
        repository: &Repository,
        number: u64,
        login: &str,
        body: &str,
        app: &str,
    ) -> Result<u64, WorldError> {
        self.comment_of(repository, number, login, body, Some(app.to_owned()))
    }

    /// Lets the author of a comment change it, and sends `issue_comment` `edited`.
    ///
    /// # Errors
    /// There is no such repository or comment.
    pub fn edit_comment(&mut self, repository: &Repository, comment: u64, body: &str) -> Result<(), WorldError> {
        let id = self.repository_id(repository)?;
        let author = self.known_comment(repository, comment)?.author.clone();
        self.change_comment(id, comment, body, &author).map_err(|error| WorldError(error.to_string()))
    }

    /// Lets the author of a comment delete it, and sends `issue_comment` `deleted`.
    ///
    /// # Errors
    /// There is no such repository or comment.
    pub fn delete_comment(&mut self, repository: &Repository, comment: u64) -> Result<(), WorldError> {
        let id = self.repository_id(repository)?;
        let gone = self.known_comment(repository, comment)?.clone();
        self.repository_mut(id)?.comments.remove(&comment);
        self.send_issue_comment(id, &gone, "deleted", &gone.author, Value::Null);
        Ok(())
    }

    /// A comment as it is, for who looks at the world from outside of GitHub.
    ///
    /// # Errors
    /// There is no such repository or comment.
    pub fn known_comment(&self, repository: &Repository, comment: u64) -> Result<&Comment, WorldError> {
        let state = self.repositories.get(&self.repository_id(repository)?);
        let found = state.and_then(|state| state.comments.get(&comment));
        found.ok_or_else(|| WorldError(format!("`{repository}` has no comment {comment}")))
    }

    /// Comments on an issue or a pull request (`POST /repos/{owner}/{repo}/issues/{issue_number}/comments`), and sends
    /// `issue_comment` `created`: the App hears itself.
    ///
    /// # Errors
    /// GitHub's refusals.
    pub fn create_comment(
        &mut self,
        token: &str,
        repository: &Repository,
        issue: u64,
        body: &str,
    ) -> Result<Comment, ApiError> {
        let id = self.authorize(token, repository, &WRITE)?;
        self.check_has_issue(id, issue)?;
        check_comment(body)?;
        let comment = self.new_comment(id, issue, body, &self.app.bot(), Some(self.app.slug.clone()))?;
        self.effects.push(Effect::Comment { repository: repository.clone(), id: comment.id });
        Ok(comment)
    }

    /// The comments on an issue or a pull request, oldest first
    /// (`GET /repos/{owner}/{repo}/issues/{issue_number}/comments`).
    ///
    /// # Errors
    /// GitHub's refusals.
    pub fn comments(&self, token: &str, repository: &Repository, issue: u64) -> Result<Vec<&Comment>, ApiError> {
        let state = self.state(self.authorize(token, repository, &READ)?)?;
        if !state.issues.contains_key(&issue) {
            return Err(ApiError::not_found());
        }
        Ok(state.comments.values().filter(|comment| comment.issue == issue).collect())
    }

    /// Changes a comment (`PATCH /repos/{owner}/{repo}/issues/comments/{comment_id}`), and sends `issue_comment` `edited`.
    ///
    /// # Errors
    /// GitHub's refusals.
    pub fn update_comment(
        &mut self,
        token: &str,
        repository: &Repository,
        comment: u64,
        body: &str,
    ) -> Result<Comment, ApiError> {
        let id = self.authorize(token, repository, &WRITE)?;
        check_comment(body)?;
        self.change_comment(id, comment, body, &self.app.bot())?;
        self.effects.push(Effect::Comment { repository: repository.clone(), id: comment });
        self.state(id)?.comments.get(&comment).cloned().ok_or_else(ApiError::not_found)
    }

    /// Reacts to a comment (`POST /repos/{owner}/{repo}/issues/comments/{comment_id}/reactions`). Answers with the reaction,
    /// and whether it is new.
    ///
    /// # Errors
    /// GitHub's refusals.
    pub fn react(
        &mut self,
        token: &str,
        repository: &Repository,
        comment: u64,
        content: &str,
    ) -> Result<(Reaction, bool), ApiError> {
        let id = self.authorize(token, repository, &WRITE)?;
        let (reaction_id, created_at, user) = (self.next_id(), self.now(), self.app.bot());
        let found = self.state_mut(id)?.comments.get_mut(&comment).ok_or_else(ApiError::not_found)?;
        if !Reaction::CONTENTS.contains(&content) {
            return Err(ApiError::validation("Reaction", "content", "invalid", None));
        }
        let same = |known: &&Reaction| known.content == content && known.user == user;
        if let Some(known) = found.reactions.iter().find(same) {
            return Ok((known.clone(), false));
        }
        let reaction = Reaction { id: reaction_id, content: content.to_owned(), user, created_at };
        found.reactions.push(reaction.clone());
        let (repository, content) = (repository.clone(), content.to_owned());
        self.effects.push(Effect::Reaction { repository, comment, content });
        Ok((reaction, true))
    }

    fn comment_of(
        &mut self,
        repository: &Repository,
        number: u64,
        login: &str,
        body: &str,
        app: Option<String>,
    ) -> Result<u64, WorldError> {
        let id = self.repository_id(repository)?;
        self.note_user(login);
        self.check_has_issue(id, number).map_err(|error| WorldError(error.to_string()))?;
        let comment = self.new_comment(id, number, body, login, app);
        comment.map(|comment| comment.id).map_err(|error| WorldError(error.to_string()))
    }

    fn new_comment(
        &mut self,
        id: RepositoryId,
        issue: u64,
        body: &str,
        author: &str,
        app: Option<String>,
    ) -> Result<Comment, ApiError> {
        let now = self.now();
        let comment = Comment {
            id: self.next_id(),
            issue,
            body: body.to_owned(),
            author: author.to_owned(),
            app,
            reactions: Vec::new(),
            created_at: now,
            updated_at: now,
        };
        self.state_mut(id)?.comments.insert(comment.id, comment.clone());
        // A comment is a change of what it is on.
        self.change_issue(id, issue, |_| ()).map_err(|_| ApiError::not_found())?;
        self.send_issue_comment(id, &comment, "created", author, Value::Null);
        Ok(comment)
    }

    fn change_comment(&mut self, id: RepositoryId, comment: u64, body: &str, sender: &str) -> Result<(), ApiError> {
        let now = self.now();
        let found = self.state_mut(id)?.comments.get_mut(&comment).ok_or_else(ApiError::not_found)?;
        let old = std::mem::replace(&mut found.body, body.to_owned());
        found.updated_at = now;
        let changed = found.clone();
        let changes = json!({ "changes": { "body": { "from": old } } });
        self.send_issue_comment(id, &changed, "edited", sender, changes);
        Ok(())
    }
}

fn check_comment(body: &str) -> Result<(), ApiError> {
    let message = match body.chars().count() {
        0 => "Body cannot be blank",
        1..=MAX_BODY => return Ok(()),
        _ => "Body is too long (maximum is 65536 characters)",
    };
    Err(ApiError::validation("IssueComment", "data", "unprocessable", Some(message)))
}
