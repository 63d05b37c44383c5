//! Pull requests, people, and what stands in files at a commit.

use async_trait::async_trait;

use super::WorldGitHub;
use super::call::Call;
use crate::event::{Head, PullRequestState};
use crate::name::{Branch, CommitSha, Login, PullRequestNumber, RepositoryId, TeamName, UserId, WorkflowFile};
use crate::policy::{MAX_BYTES, PolicyPath};
use crate::ports::PullRequestPort;
use crate::ports::github::{GitHubError, RepositoryRef};
use crate::ports::pull_requests::{FileAt, NO_SUCH_COMMIT, PermissionAnswer, PermissionLevel, WorkflowFound};
use crate::testing::world::{Access, ApiError, Comparison, Contents, Issue, PullRequest, Role, WorkflowState, World};

/// Workflows that are told at most.
const MAX_WORKFLOWS: usize = 100;
/// The longest text of a workflow that is read, in bytes.
const MAX_TEXT: usize = 256 * 1024;
/// The label that keeps an environment alive.
const KEEP: &str = "keep";

#[async_trait]
impl PullRequestPort for WorldGitHub {
    async fn pull_request(
        &self,
        repository: &RepositoryRef,
        number: PullRequestNumber,
    ) -> Result<Option<PullRequestState>, GitHubError> {
        let name = &repository.name;
        let permission = ("pull_requests", Access::Read);
        let call = Call::read(repository, permission, format!("/repos/{name}/pulls/{number}"));
        let found = self.call(&call, |world, token| {
            let (issue, pull) = world.pull_request(token, name, number.0)?;
            Ok((200, state(world, repository.id, issue, pull)?))
        });
        match found.flatten() {
            // It moved, it is gone, or it may not be seen: none of that says how it is.
            Err(GitHubError::Refused { status: 300..=399 | 403 | 404 | 410, .. }) => Ok(None),
            found => found.map(Some),
        }
    }

    async fn permission(
        &self,
        repository: &RepositoryRef,
        login: &Login,
    ) -> Result<Option<PermissionAnswer>, GitHubError> {
        let name = &repository.name;
        let url = format!("/repos/{name}/collaborators/{login}/permission");
        let answer = self.call(&Call::read(repository, ("metadata", Access::Read), url), |world, token| {
            let (login, role) = world.collaborator_permission(token, name, login.as_str())?;
            Ok((200, PermissionAnswer { user: UserId(world.user_id(login)), level: level(role) }))
        });
        found(answer?)
    }

    async fn is_team_member(
        &self,
        repository: &RepositoryRef,
        team: &TeamName,
        login: &Login,
    ) -> Result<bool, GitHubError> {
        // The installation is the owner's: it can tell nothing about other organisations.
        if *team.organisation() != repository.name.owner() {
            return Ok(false);
        }
        let (organisation, slug) = (team.organisation().as_str(), team.slug());
        let url = format!("/orgs/{organisation}/teams/{slug}/memberships/{login}");
        let answer = self.call(&Call::read(repository, ("members", Access::Read), url), |world, token| {
            Ok((200, world.team_membership(token, organisation, slug, login.as_str())?))
        });
        Ok(found(answer?)?.is_some())
    }

    async fn policy_at(
        &self,
        repository: &RepositoryRef,
        path: PolicyPath,
        commit: &CommitSha,
    ) -> Result<Option<FileAt>, GitHubError> {
        match self.file(repository, path.as_str(), Some(commit))? {
            Err(GitHubError::Refused { status: 404, message, .. }) if message.starts_with(NO_SUCH_COMMIT) => {
                Err(GitHubError::Unavailable(message))
            }
            answer => {
                let file = found(answer)?.flatten();
                Ok(file.map(|file| FileAt { bytes: file.bytes.into_iter().take(MAX_BYTES + 1).collect(), ..file }))
            }
        }
    }

    async fn merge_base(
        &self,
        repository: &RepositoryRef,
        branch: &Branch,
        commit: &CommitSha,
    ) -> Result<Option<CommitSha>, GitHubError> {
        Ok(self.compare(repository, branch, commit)?.map(|comparison| comparison.merge_base.sha))
    }

    async fn workflows(&self, repository: &RepositoryRef) -> Result<Vec<WorkflowFound>, GitHubError> {
        let name = &repository.name;
        let permission = ("actions", Access::Read);
        let call = Call::read(repository, permission, format!("/repos/{name}/actions/workflows"));
        let listed = self.call(&call, |world, token| {
            let known = world.workflows(token, name)?.into_iter().take(MAX_WORKFLOWS);
            let known = known.map(|(file, workflow)| (file.parse(), workflow.state == WorkflowState::Active));
            Ok((200, known.filter_map(|(file, active)| Some((file.ok()?, active))).collect::<Vec<_>>()))
        });
        let mut workflows = Vec::new();
        for (file, active) in listed.flatten()? {
            let file: WorkflowFile = file;
            let text = match self.file(repository, &format!("{}{file}", WorkflowFile::FOLDER), None)? {
                Ok(Some(file)) => Some(file.bytes).filter(|text| text.len() <= MAX_TEXT),
                Ok(None) | Err(GitHubError::Refused { status: 404, .. }) => continue,
                Err(GitHubError::Refused { .. }) => None,
                Err(error) => return Err(error),
            };
            workflows.push(WorkflowFound { file, active, text });
        }
        Ok(workflows)
    }
}

impl WorldGitHub {
    /// A file of the default branch, or at a commit; None: a folder has its path.
    fn file(
        &self,
        repository: &RepositoryRef,
        path: &str,
        commit: Option<&CommitSha>,
    ) -> Result<Result<Option<FileAt>, GitHubError>, GitHubError> {
        let name = &repository.name;
        let permission = ("contents", Access::Read);
        let call = Call::read(repository, permission, format!("/repos/{name}/contents/{path}"));
        self.call(&call, |world, token| {
            let contents = world.contents(token, name, path, commit.map(CommitSha::as_str), None)?;
            let Contents::File { bytes, blob_sha, .. } = contents else { return Ok((200, None)) };
            Ok((200, Some(FileAt { bytes: bytes.to_vec(), blob_sha })))
        })
    }

    /// How a commit lies to a branch; None: they have nothing in common, or one of them is not there.
    pub(super) fn compare(
        &self,
        repository: &RepositoryRef,
        branch: &Branch,
        commit: &CommitSha,
    ) -> Result<Option<Comparison>, GitHubError> {
        let name = &repository.name;
        // The full name: a tag of the same name must not stand in for the branch.
        let base = format!("refs/heads/{branch}");
        let call =
            Call::read(repository, ("contents", Access::Read), format!("/repos/{name}/compare/{base}...{commit}"));
        let compared = self.call(&call, |world, token| Ok((200, world.compare(token, name, &base, commit.as_str())?)));
        found(compared?)
    }
}

/// What was asked for: None for a 404.
fn found<T>(answer: Result<T, GitHubError>) -> Result<Option<T>, GitHubError> {
    match answer {
        Err(GitHubError::Refused { status: 404, .. }) => Ok(None),
        answer => answer.map(Some),
    }
}

fn level(role: Role) -> PermissionLevel {
    match role {
        Role::None => PermissionLevel::None,
        Role::Read | Role::Triage => PermissionLevel::Read,
        Role::Write | Role::Maintain => PermissionLevel::Write,
        Role::Admin => PermissionLevel::Admin,
    }
}

fn state(world: &World, base: RepositoryId, issue: &Issue, pull: &PullRequest) -> Result<PullRequestState, ApiError> {
    // Git takes more names for branches than people choose here.
    let unreadable = |_| ApiError::new(500, "a branch of this pull request has a name that cannot be read");
    let known = world.repositories().any(|repository| repository.id == pull.head_repository);
    Ok(PullRequestState {
        number: PullRequestNumber(pull.number),
        open: issue.open,
        merged: pull.merged.is_some(),
        draft: pull.draft,
        base_branch: pull.base.parse().map_err(unreadable)?,
        head_branch: pull.head_branch.parse().map_err(unreadable)?,
        head_sha: pull.head_sha.clone(),
        head: match known {
            false => Head::Unknown,
            true if pull.head_repository == base => Head::SameRepository,
            true => Head::Fork(pull.head_repository),
        },
        author: Some(UserId(world.user_id(&issue.author))),
        keep: issue.labels.iter().any(|label| label == KEEP),
        updated_at: super::whole_seconds(issue.updated_at),
    })
}
