//! Comments on pull requests, and reactions to them.

use dispatch_core::Timestamp;
use dispatch_core::name::{CommentId, PullRequestNumber};
use dispatch_core::notice::Reaction;
use dispatch_core::ports::github::{GitHubError, RepositoryRef};
use http::{HeaderMap, Method};

use crate::app::{created, parse, unavailable};
use crate::client::{Call, GitHub};
use crate::issues::{TEXT_LIMIT, at_most};
use crate::link;
use crate::path::{ApiPath, PER_PAGE};
use crate::permission::Permission;
use crate::transport::Answer;
use crate::wire;

/// How many of the newest comments are looked through.
const NEWEST: usize = 1_000;
/// How many searches go on at the same time: each holds a page in memory.
pub(crate) const SEARCHES: usize = 2;
/// A page holds 100 comments, each with a text of up to 65,536 characters.
const PAGE_LIMIT: usize = 32 * 1024 * 1024;

impl GitHub {
    pub(crate) async fn search_comments(
        &self,
        repository: &RepositoryRef,
        pull_request: PullRequestNumber,
        marker: &str,
    ) -> Result<Option<CommentId>, GitHubError> {
        let _turn = self.comment_searches.acquire().await.map_err(|error| unavailable(&error.to_string()))?;
        let login = self.app.login().await?;
        // Anybody can write the marker into a comment: only the App's own are its.
        let ours = |comment: &&wire::Comment| {
            comment.user.as_ref().is_some_and(|user| user.is(login))
                && comment.body.as_deref().is_some_and(|body| body.contains(marker))
        };
        // GitHub lists the oldest first, and the first page says which one is the last.
        let first = self.comments_page(repository, pull_request, 1).await?;
        let last = last_page(&first.headers)?;
        let mut seen = 0;
        // One page more than they fill, because the last page may be short.
        for page in (1..=last).rev().take(NEWEST / PER_PAGE + 1) {
            let comments: Vec<wire::Comment> = match page {
                1 => parse(&first)?,
                _ => parse(&self.comments_page(repository, pull_request, page).await?)?,
            };
            if let Some(comment) = comments.iter().rev().take(NEWEST.saturating_sub(seen)).find(ours) {
                return Ok(Some(comment.id));
            }
            seen = seen.saturating_add(comments.len());
        }
        Ok(None)
    }

    async fn comments_page(
        &self,
        repository: &RepositoryRef,
        pull_request: PullRequestNumber,
        page: usize,
    ) -> Result<Answer, GitHubError> {
        let path = ApiPath::comments_page(&repository.name, pull_request, page);
        self.succeed(&Call::read(repository, Permission::PullRequestsWrite, path, PAGE_LIMIT)).await
    }

    pub(crate) async fn make_comment(
        &self,
        repository: &RepositoryRef,
        pull_request: PullRequestNumber,
        body: &str,
        not_after: Timestamp,
    ) -> Result<CommentId, GitHubError> {
        at_most(body, TEXT_LIMIT, "body")?;
        let path = ApiPath::comments(&repository.name, pull_request);
        let text = wire::CommentText { body };
        let call = Call::write(repository, Permission::PullRequestsWrite, Method::POST, path, &text)?;
        Ok(created::<wire::Comment>(&self.succeed(&call.not_after(not_after)).await?)?.id)
    }

    pub(crate) async fn change_comment(
        &self,
        repository: &RepositoryRef,
        id: CommentId,
        body: &str,
        not_after: Timestamp,
    ) -> Result<(), GitHubError> {
        at_most(body, TEXT_LIMIT, "body")?;
        let path = ApiPath::comment(&repository.name, id);
        let text = wire::CommentText { body };
        let call = Call::write(repository, Permission::PullRequestsWrite, Method::PATCH, path, &text)?;
        self.succeed(&call.not_after(not_after)).await.map(drop)
    }

    pub(crate) async fn make_reaction(
        &self,
        repository: &RepositoryRef,
        comment: CommentId,
        reaction: Reaction,
    ) -> Result<(), GitHubError> {
        let path = ApiPath::reactions(&repository.name, comment);
        let reaction = wire::NewReaction { content: reaction };
        let call = Call::write(repository, Permission::PullRequestsWrite, Method::POST, path, &reaction)?;
        self.succeed(&call).await.map(drop)
    }
}

/// The number of the last page: GitHub names it on every other page, so that without it this is the last one.
fn last_page(headers: &HeaderMap) -> Result<usize, GitHubError> {
    let Some(query) = link::query(headers, "last") else { return Ok(1) };
    let page = link::parameter(query, "page").and_then(|page| page.parse().ok()).filter(|page| *page > 0);
    page.ok_or_else(|| unavailable("the last page of comments cannot be asked for"))
}
