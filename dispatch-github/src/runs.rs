//! The runs of a repository, to find the one that a lost answer would have named.

use std::collections::BTreeSet;

use dispatch_core::Timestamp;
use dispatch_core::dispatch::{FollowedRun, FollowedStage, StartedRun};
use dispatch_core::event::Conclusion;
use dispatch_core::name::{Repository, WorkflowFile};
use dispatch_core::ports::github::{GitHubError, ListedRun, RepositoryRef, RunListing};

use crate::app::parse;
use crate::client::{Call, GitHub};
use crate::path::ApiPath;
use crate::permission::Permission;
use crate::wire;

/// Pages that are read at most: 1,000 runs.
const PAGES: usize = 10;
/// A page holds 100 runs of about 20 KiB, each with two repositories in it.
const BODY_LIMIT: usize = 8 * 1024 * 1024;
/// The longest name of an event that is kept; GitHub's are below 30 characters.
const EVENT_LIMIT: usize = 100;
/// The most of a run's title that is kept, in characters.
const TITLE_LIMIT: usize = 200;

impl GitHub {
    pub(crate) async fn list_runs(
        &self,
        repository: &RepositoryRef,
        since: Timestamp,
    ) -> Result<RunListing, GitHubError> {
        // GitHub's times have whole seconds.
        let since = Timestamp::from_second(since.as_second()).unwrap_or(since);
        let mut seen = BTreeSet::new();
        let mut runs = Vec::new();
        for page in 1..=PAGES {
            let found = self.runs_page(repository, page).await?;
            let last = found.workflow_runs.is_empty();
            let mut older = false;
            for run in found.workflow_runs {
                older |= run.created_at < since;
                // A run that started meanwhile pushes others to the next page, where they come again.
                if seen.insert(run.id) && run.created_at >= since {
                    runs.push(listed(run, &repository.name));
                }
            }
            let all = found.total_count.map_or(last, |total| seen.len() >= total);
            if older || all {
                return Ok(RunListing { runs, complete: true });
            }
            if last {
                // There should have been more.
                break;
            }
        }
        Ok(RunListing { runs, complete: false })
    }

    async fn runs_page(&self, repository: &RepositoryRef, page: usize) -> Result<wire::Runs, GitHubError> {
        let path = ApiPath::runs(&repository.name, page);
        parse(&self.succeed(&Call::read(repository, Permission::ActionsRead, path, BODY_LIMIT)).await?)
    }
}

/// What cannot be a name is none: a run that is not recognised is nobody's.
fn listed(run: wire::Run, own: &Repository) -> ListedRun {
    let event = run.event.unwrap_or_default();
    let url = wire::page(run.html_url.unwrap_or_default());
    let conclusion = run.conclusion.as_deref().and_then(Conclusion::from_word);
    let ended = |url: &str| FollowedRun {
        attempt: run.run_attempt.unwrap_or(1),
        stage: FollowedStage::Completed(conclusion),
        url: url.to_owned(),
        at: run.updated_at.unwrap_or(run.created_at),
    };
    ListedRun {
        ended: (run.status.as_deref() == Some("completed")).then(|| ended(&url)),
        run: StartedRun { id: run.id, url },
        workflow: run.path.and_then(|path| WorkflowFile::from_run_path(&path, own)),
        title: run.display_title.unwrap_or_default().chars().take(TITLE_LIMIT).collect(),
        event: if event.len() > EVENT_LIMIT { String::new() } else { event },
        head_branch: run.head_branch.and_then(|branch| branch.parse().ok()),
        actor: run.actor.and_then(|actor| actor.login).and_then(|login| login.parse().ok()),
        created_at: run.created_at,
    }
}
