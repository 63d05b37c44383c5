//! Issues.

use async_trait::async_trait;

use super::{CUT, WorldGitHub, no_token, refusal};
use crate::Timestamp;
use crate::ports::github::{GitHubError, RepositoryRef};
use crate::ports::issues::{IssueChange, IssuePort};
use crate::testing::world::{self, Access, ApiError, Caller, Exchange, World};

#[async_trait]
impl IssuePort for WorldGitHub {
    async fn find_issue(&self, repository: &RepositoryRef, marker: &str) -> Result<Option<u64>, GitHubError> {
        let login = format!("{}[bot]", self.world().app().slug);
        let name = &repository.name;
        self.issues_call(
            repository,
            "GET",
            &format!("/repos/{name}/issues"),
            GitHubError::Unavailable,
            |world, token| {
                let mut issues = world.issues(token, name, Some(true))?.into_iter();
                let marked = issues.find(|issue| {
                    issue.author == login && issue.body.as_deref().is_some_and(|body| body.contains(marker))
                });
                Ok((200, marked.map(|issue| issue.number)))
            },
        )
    }

    async fn create_issue(
        &self,
        repository: &RepositoryRef,
        title: &str,
        body: &str,
        not_after: Timestamp,
    ) -> Result<u64, GitHubError> {
        if self.world().now() > not_after {
            return Err(GitHubError::Unavailable("the time in which the call could be sent has passed".to_owned()));
        }
        let name = &repository.name;
        self.issues_call(repository, "POST", &format!("/repos/{name}/issues"), GitHubError::InDoubt, |world, token| {
            Ok((201, world.create_issue(token, name, title, Some(body), Vec::new())?.number))
        })
    }

    async fn update_issue(
        &self,
        repository: &RepositoryRef,
        number: u64,
        change: IssueChange<'_>,
    ) -> Result<(), GitHubError> {
        let name = &repository.name;
        let url = format!("/repos/{name}/issues/{number}");
        self.issues_call(repository, "PATCH", &url, GitHubError::InDoubt, |world, token| {
            let body = change.body.map(str::to_owned);
            let change = world::IssueChange { body, open: change.open, ..world::IssueChange::default() };
            Ok((200, drop(world.update_issue(token, name, number, change)?)))
        })
    }
}

impl WorldGitHub {
    /// One call about issues. `lost` is what an answer means that says nothing.
    fn issues_call<T>(
        &self,
        repository: &RepositoryRef,
        method: &str,
        url: &str,
        lost: fn(String) -> GitHubError,
        act: impl FnOnce(&mut World, &str) -> Result<(u16, T), ApiError>,
    ) -> Result<T, GitHubError> {
        let mut world = self.world();
        let name = &repository.name;
        let token = self
            .token(&mut world, name, Some(repository.id), "issues", Access::Write)
            .map_err(|error| no_token(error, name))?;
        match world.exchange(Caller::Token(&token.text), method, url, |world| act(world, &token.text)) {
            Exchange::Answered(answer) => Ok(answer),
            Exchange::Refused(error) => {
                self.forget_refused(name, "issues", &error);
                Err(refusal(error, lost))
            }
            Exchange::Cut => Err(lost(CUT.to_owned())),
        }
    }
}
