//! Issues.

use async_trait::async_trait;

use super::WorldGitHub;
use super::call::{Call, Permission};
use crate::Timestamp;
use crate::ports::github::{GitHubError, RepositoryRef};
use crate::ports::issues::{IssueChange, IssuePort};
use crate::testing::world::{self, Access};

const ISSUES: Permission = ("issues", Access::Write);

#[async_trait]
impl IssuePort for WorldGitHub {
    async fn find_issue(&self, repository: &RepositoryRef, marker: &str) -> Result<Option<u64>, GitHubError> {
        let login = self.world().app().bot();
        let name = &repository.name;
        let call = Call::read(repository, ISSUES, format!("/repos/{name}/issues"));
        let found = self.call(&call, |world, token| {
            let mut issues = world.issues(token, name, Some(true))?.into_iter();
            let marked = issues
                .find(|issue| issue.author == login && issue.body.as_deref().is_some_and(|body| body.contains(marker)));
            Ok((200, marked.map(|issue| issue.number)))
        });
        found.flatten()
    }

    async fn create_issue(
        &self,
        repository: &RepositoryRef,
        title: &str,
        body: &str,
        not_after: Timestamp,
    ) -> Result<u64, GitHubError> {
        let name = &repository.name;
        let call = Call::write(repository, ISSUES, "POST", format!("/repos/{name}/issues")).not_after(not_after);
        let created = self.call(&call, |world, token| {
            Ok((201, world.create_issue(token, name, title, Some(body), Vec::new())?.number))
        });
        created.flatten()
    }

    async fn update_issue(
        &self,
        repository: &RepositoryRef,
        number: u64,
        change: IssueChange<'_>,
    ) -> Result<(), GitHubError> {
        let name = &repository.name;
        let call = Call::write(repository, ISSUES, "PATCH", format!("/repos/{name}/issues/{number}"));
        let updated = self.call(&call, |world, token| {
            let body = change.body.map(str::to_owned);
            let change = world::IssueChange { body, open: change.open, ..world::IssueChange::default() };
            Ok((200, drop(world.update_issue(token, name, number, change)?)))
        });
        updated.flatten()
    }
}
