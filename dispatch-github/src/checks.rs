//! Check runs.

use dispatch_core::Timestamp;
use dispatch_core::name::CheckRunId;
use dispatch_core::notice::Check;
use dispatch_core::ports::github::GitHubError;
use http::Method;

use crate::app::{created, parse, unavailable};
use crate::client::{Call, GitHub};
use crate::issues::at_most;
use crate::path::{ApiPath, PER_PAGE};
use crate::permission::Permission;
use crate::wire;

/// Pages that are read at most: a suite has at most 1,000 check runs of one name.
const PAGES: usize = 10;
/// A page holds 100 check runs, each with a summary of up to 65,535 characters.
const PAGE_LIMIT: usize = 32 * 1024 * 1024;
/// Characters of a summary.
const SUMMARY_LIMIT: usize = 65_535;

impl GitHub {
    pub(crate) async fn search_checks(&self, check: &Check) -> Result<Option<CheckRunId>, GitHubError> {
        let app = self.app.id();
        let ours = |found: &wire::CheckRun| {
            found.app.as_ref().is_some_and(|by| by.id == app)
                && found.external_id.as_deref() == Some(check.id.as_str())
                && found.name == check.name
                && found.head_sha == check.head_sha.as_str()
        };
        let mut newest = None;
        for page in 1..=PAGES {
            let path = ApiPath::check_runs_of(&check.repository.name, &check.head_sha, &check.name, app, page);
            let call = Call::read(&check.repository, Permission::ChecksWrite, path, PAGE_LIMIT);
            let listed: wire::CheckRuns = parse(&self.succeed(&call).await?)?;
            // Ids count up; the order of the list is not documented.
            newest = listed.check_runs.iter().filter(|found| ours(found)).map(|found| found.id).max().max(newest);
            if listed.check_runs.len() < PER_PAGE {
                return Ok(newest);
            }
        }
        Err(unavailable("the commit has more check runs of that name than are read"))
    }

    pub(crate) async fn make_check(&self, check: &Check, not_after: Timestamp) -> Result<CheckRunId, GitHubError> {
        at_most(&check.summary, SUMMARY_LIMIT, "summary")?;
        let path = ApiPath::check_runs(&check.repository.name);
        let body = wire::NewCheck::new(check);
        let call = Call::write(&check.repository, Permission::ChecksWrite, Method::POST, path, &body)?;
        let answer = self.succeed(&call.not_after(not_after)).await?;
        Ok(created::<wire::CreatedCheck>(&answer)?.id)
    }

    pub(crate) async fn change_check(
        &self,
        id: CheckRunId,
        check: &Check,
        not_after: Timestamp,
    ) -> Result<(), GitHubError> {
        at_most(&check.summary, SUMMARY_LIMIT, "summary")?;
        let path = ApiPath::check_run(&check.repository.name, id);
        let body = wire::CheckUpdate::new(check);
        let call = Call::write(&check.repository, Permission::ChecksWrite, Method::PATCH, path, &body)?;
        self.succeed(&call.not_after(not_after)).await.map(drop)
    }
}
