//! Issues, where failures are told.

use dispatch_core::Timestamp;
use dispatch_core::ports::github::{GitHubError, RepositoryRef};
use dispatch_core::ports::issues::IssueChange;
use http::{Method, StatusCode};
use serde::Serialize;

use crate::answer::{self, Effect};
use crate::app::{parse, unavailable};
use crate::client::{Call, GitHub};
use crate::path::{ApiPath, PER_PAGE};
use crate::permission::Permission;
use crate::transport::Answer;
use crate::wire;

/// Pages that are read at most: 1,000 open issues of our own.
const PAGES: usize = 10;
/// A page holds 100 issues, each with a text of up to 65,536 characters.
const BODY_LIMIT: usize = 32 * 1024 * 1024;
/// Characters of a title (observed).
const TITLE_LIMIT: usize = 256;
/// Characters of a text (observed).
const TEXT_LIMIT: usize = 65_536;

impl GitHub {
    pub(crate) async fn search_issues(
        &self,
        repository: &RepositoryRef,
        marker: &str,
    ) -> Result<Option<u64>, GitHubError> {
        let login = self.app.describe().await?.login.as_ref();
        let login = login.ok_or_else(|| unavailable("GitHub does not tell the App's slug"))?;
        for page in 1..=PAGES {
            let path = ApiPath::open_issues(&repository.name, login, page);
            let answer = self.call_issues(repository, Method::GET, path, None::<()>, Effect::Read, None).await?;
            let issues: Vec<wire::Issue> = parse(&answer)?;
            // Anybody can write the marker into an issue: only the App's own are its.
            let ours = |issue: &&wire::Issue| {
                let author = issue.user.as_ref().and_then(|user| user.login.as_deref());
                author.is_some_and(|author| author.eq_ignore_ascii_case(login.as_str()))
                    && issue.pull_request.is_none()
                    && issue.body.as_deref().is_some_and(|body| body.contains(marker))
            };
            if let Some(issue) = issues.iter().find(ours) {
                return Ok(Some(issue.number));
            }
            if issues.len() < PER_PAGE {
                return Ok(None);
            }
        }
        Err(unavailable("the App has more open issues there than are read"))
    }

    pub(crate) async fn open_issue(
        &self,
        repository: &RepositoryRef,
        title: &str,
        body: &str,
        not_after: Timestamp,
    ) -> Result<u64, GitHubError> {
        at_most(title, TITLE_LIMIT, "title")?;
        at_most(body, TEXT_LIMIT, "body")?;
        let path = ApiPath::issues(&repository.name);
        let issue = wire::NewIssue { title, body };
        let answer =
            self.call_issues(repository, Method::POST, path, Some(issue), Effect::Write, Some(not_after)).await?;
        match parse::<wire::Issue>(&answer) {
            Ok(issue) => Ok(issue.number),
            // It was made, and nobody knows its number.
            Err(GitHubError::Unavailable(why)) => Err(GitHubError::InDoubt(why)),
            Err(error) => Err(error),
        }
    }

    pub(crate) async fn change_issue(
        &self,
        repository: &RepositoryRef,
        number: u64,
        change: IssueChange<'_>,
    ) -> Result<(), GitHubError> {
        at_most(change.body.unwrap_or_default(), TEXT_LIMIT, "body")?;
        let state = change.open.map(|open| if open { "open" } else { "closed" });
        let update = wire::IssueUpdate { body: change.body, state };
        let path = ApiPath::issue(&repository.name, number);
        self.call_issues(repository, Method::PATCH, path, Some(update), Effect::Write, None).await.map(drop)
    }

    /// A call that must be a success.
    async fn call_issues(
        &self,
        repository: &RepositoryRef,
        method: Method,
        path: ApiPath,
        body: Option<impl Serialize>,
        effect: Effect,
        not_after: Option<Timestamp>,
    ) -> Result<Answer, GitHubError> {
        let body = body.map(|body| serde_json::to_vec(&body)).transpose();
        let call = Call {
            repository: &repository.name,
            id: Some(repository.id),
            permission: Permission::IssuesWrite,
            effect,
            method,
            path,
            body: body.map_err(|error| unavailable(&error.to_string()))?,
            known: None,
            not_after,
            limit: BODY_LIMIT,
        };
        let (_, answer) = self.call(&call).await.map_err(|error| error.into_error(&repository.name))?;
        match answer.status {
            StatusCode::OK | StatusCode::CREATED => Ok(answer),
            _ => Err(answer::failure(&answer, effect, Timestamp::now())),
        }
    }
}

/// GitHub's own limits: nothing is sent that it would refuse.
fn at_most(text: &str, characters: usize, field: &str) -> Result<(), GitHubError> {
    if text.chars().nth(characters).is_none() {
        return Ok(());
    }
    let message = format!("{field} is too long (maximum is {characters} characters)");
    Err(GitHubError::Refused { status: 422, message, permission: None })
}
