//! Runs, as a repository's list shows them.

use super::{CUT, PER_PAGE, WorldGitHub, no_token, refusal, whole_seconds};
use crate::Timestamp;
use crate::dispatch::{FollowedRun, FollowedStage, StartedRun};
use crate::name::WorkflowFile;
use crate::ports::GitHubError;
use crate::ports::github::{ListedRun, RepositoryRef, RunListing};
use crate::testing::world::{Access, Caller, Exchange, Run, RunStatus, World};

/// Pages that are read at most, as the client does.
const PAGES: usize = 10;
/// The most of a title that is kept, as the client does.
const TITLE_LIMIT: usize = 200;

impl WorldGitHub {
    pub(super) fn list_runs(&self, repository: &RepositoryRef, since: Timestamp) -> Result<RunListing, GitHubError> {
        let mut world = self.world();
        let name = &repository.name;
        let token = self
            .token(&mut world, name, Some(repository.id), "actions", Access::Read)
            .map_err(|error| no_token(error, name))?;
        let url = format!("/repos/{name}/actions/runs");
        let since = whole_seconds(since);
        let mut runs = Vec::new();
        for page in 0..PAGES {
            let exchange = world.exchange(Caller::Token(&token.text), "GET", &url, |world| {
                let all = world.repository_runs(&token.text, name)?;
                let page = all.iter().skip(page * PER_PAGE).take(PER_PAGE).map(|run| listed(world, run));
                Ok((200, (all.len(), page.collect::<Vec<_>>())))
            });
            let (total, found) = match exchange {
                Exchange::Answered(answer) => answer,
                Exchange::Refused(error) => {
                    self.forget_refused(name, "actions", &error);
                    return Err(refusal(error, GitHubError::Unavailable));
                }
                Exchange::Cut => return Err(GitHubError::Unavailable(CUT.to_owned())),
            };
            let older = found.iter().any(|run| run.created_at < since);
            runs.extend(found.into_iter().filter(|run| run.created_at >= since));
            if older || (page + 1) * PER_PAGE >= total {
                return Ok(RunListing { runs, complete: true });
            }
        }
        Ok(RunListing { runs, complete: false })
    }
}

fn listed(world: &World, run: &Run) -> ListedRun {
    let ended = || FollowedRun {
        attempt: run.attempt,
        stage: FollowedStage::Completed(run.conclusion),
        url: world.run_page(run),
        at: whole_seconds(run.updated_at),
    };
    ListedRun {
        run: StartedRun { id: run.id, url: world.run_page(run) },
        workflow: WorkflowFile::from_run_path(&run.path, &run.repository),
        title: world.run_title(run).chars().take(TITLE_LIMIT).collect(),
        event: run.event.clone(),
        head_branch: run.head_branch.parse().ok(),
        actor: run.actor.parse().ok(),
        created_at: whole_seconds(run.created_at),
        ended: (run.status == RunStatus::Completed).then(ended),
    }
}
