//! Issues, where failures are told.

use dispatch_core::Timestamp;
use dispatch_core::ports::github::{GitHubError, RepositoryRef};
use dispatch_core::ports::issues::IssueChange;
use http::Method;

use crate::app::{created, parse, unavailable};
use crate::client::{Call, GitHub};
use crate::path::{ApiPath, PER_PAGE};
use crate::permission::Permission;
use crate::wire;

/// Pages that are read at most: 1,000 open issues of our own.
const PAGES: usize = 10;
/// A page holds 100 issues, each with a text of up to 65,536 characters.
const PAGE_LIMIT: usize = 32 * 1024 * 1024;
/// Characters of a title (observed).
const TITLE_LIMIT: usize = 256;
/// Characters of the text of an issue or a comment (observed).
pub(crate) const TEXT_LIMIT: usize = 65_536;

impl GitHub {
    pub(crate) async fn search_issues(
        &self,
        repository: &RepositoryRef,
        marker: &str,
    ) -> Result<Option<u64>, GitHubError> {
        let login = self.app.login().await?;
        for page in 1..=PAGES {
            let path = ApiPath::open_issues(&repository.name, login, page);
            let answer = self.succeed(&Call::read(repository, Permission::IssuesWrite, path, PAGE_LIMIT)).await?;
            let issues: Vec<wire::Issue> = parse(&answer)?;
            // Anybody can write the marker into an issue: only the App's own are its.
            let ours = |issue: &&wire::Issue| {
                issue.user.as_ref().is_some_and(|user| user.is(login))
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
        let call = Call::write(repository, Permission::IssuesWrite, Method::POST, path, &issue)?.not_after(not_after);
        Ok(created::<wire::Issue>(&self.succeed(&call).await?)?.number)
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
        let call = Call::write(repository, Permission::IssuesWrite, Method::PATCH, path, &update)?;
        self.succeed(&call).await.map(drop)
    }
}

/// GitHub's own limits: nothing is sent that it would refuse.
pub(crate) fn at_most(text: &str, characters: usize, field: &str) -> Result<(), GitHubError> {
    if text.chars().nth(characters).is_none() {
        return Ok(());
    }
    let message = format!("{field} is too long (maximum is {characters} characters)");
    Err(GitHubError::Refused { status: 422, message, permission: None })
}
