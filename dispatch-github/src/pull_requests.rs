//! Pull requests, and what people may do.

use dispatch_core::Timestamp;
use dispatch_core::event::{Head, PullRequestState};
use dispatch_core::name::{Login, PullRequestNumber, RepositoryId, TeamName};
use dispatch_core::ports::github::{GitHubError, RepositoryRef};
use dispatch_core::ports::pull_requests::PermissionAnswer;
use http::StatusCode;

use crate::answer::{self, Effect};
use crate::app::{parse, unavailable};
use crate::client::{Call, CallError, GitHub};
use crate::path::ApiPath;
use crate::permission::Permission;
use crate::transport::Answer;
use crate::wire;

/// A pull request has two repositories, a hundred labels at most, and a text of up to 65,536 characters.
const BODY_LIMIT: usize = 2 * 1024 * 1024;
/// The label that keeps an environment alive.
const KEEP: &str = "keep";

impl GitHub {
    pub(crate) async fn read_pull_request(
        &self,
        repository: &RepositoryRef,
        number: PullRequestNumber,
    ) -> Result<Option<PullRequestState>, GitHubError> {
        let path = ApiPath::pull_request(&repository.name, number);
        let answer = match self.call(&Call::read(repository, Permission::PullRequestsRead, path, BODY_LIMIT)).await {
            Ok((_, answer)) => answer,
            Err(CallError::NoSuchRepository(_)) => return Ok(None),
            Err(error) => return Err(error.into_error(&repository.name)),
        };
        if answer.status == StatusCode::OK {
            let found = parse::<wire::PullRequest>(&answer)?;
            if found.number != number {
                return Err(unavailable("it answered with another pull request"));
            }
            return Ok(state(found, repository.id));
        }
        match answer::failure(&answer, Effect::Read, Timestamp::now()) {
            // It moved, it is gone, or it may not be seen: none of that says how it is.
            GitHubError::Refused { status: 300..=399 | 403 | 404 | 410, .. } => Ok(None),
            error => Err(error),
        }
    }

    pub(crate) async fn read_permission(
        &self,
        repository: &RepositoryRef,
        login: &Login,
    ) -> Result<Option<PermissionAnswer>, GitHubError> {
        let path = ApiPath::permission(&repository.name, login);
        let answer = self.ask(&Call::read(repository, Permission::MetadataRead, path, BODY_LIMIT)).await?;
        let Some(answer) = found(answer)? else { return Ok(None) };
        let wire::Collaborator { permission: level, user } = parse(&answer)?;
        Ok(user.map(|user| PermissionAnswer { user: user.id, level }))
    }

    pub(crate) async fn read_membership(
        &self,
        repository: &RepositoryRef,
        team: &TeamName,
        login: &Login,
    ) -> Result<bool, GitHubError> {
        // The installation is the owner's: it can tell nothing about other organisations.
        if *team.organisation() != repository.name.owner() {
            return Ok(false);
        }
        let path = ApiPath::membership(team, login);
        let answer = self.ask(&Call::read(repository, Permission::MembersRead, path, BODY_LIMIT)).await?;
        let Some(answer) = found(answer)? else { return Ok(false) };
        Ok(parse::<wire::Membership>(&answer)?.state == "active")
    }
}

/// The answer, if there is what was asked for: None for a 404.
fn found(answer: Answer) -> Result<Option<Answer>, GitHubError> {
    match answer.status {
        StatusCode::OK => Ok(Some(answer)),
        StatusCode::NOT_FOUND => Ok(None),
        _ => Err(answer::failure(&answer, Effect::Read, Timestamp::now())),
    }
}

/// How a pull request is. None: it is one of another repository.
fn state(found: wire::PullRequest, repository: RepositoryId) -> Option<PullRequestState> {
    let base = found.base.repo?.id;
    if base != repository {
        return None;
    }
    let head = match found.head.repo {
        Some(head) if head.id == base => Head::SameRepository,
        Some(head) => Head::Fork(head.id),
        None => Head::Unknown,
    };
    Some(PullRequestState {
        number: found.number,
        open: found.state == wire::State::Open,
        merged: found.merged,
        draft: found.draft,
        base_branch: found.base.branch,
        head_branch: found.head.branch,
        head_sha: found.head.sha,
        head,
        author: found.user.map(|user| user.id),
        keep: found.labels.iter().any(|label| label.name.as_deref() == Some(KEEP)),
        updated_at: found.updated_at,
    })
}
