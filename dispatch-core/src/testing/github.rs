//! The port to GitHub over a [`World`]: what the real client does by HTTP, without the HTTP.

mod call;
mod delivery_log;
mod issues;
mod notices;
mod pull_requests;
mod runs;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use super::world::{Access, ApiError, Caller, CompareStatus, Contents, Exchange, MintRequest, World};
use crate::Timestamp;
use crate::dispatch::StartedRun;
use crate::name::{Branch, CommitSha, Repository, RepositoryId};
use crate::policy::{MAX_BYTES, PolicyPath};
use crate::ports::github::{FileRead, FileVersion, RateLimitReset, RepositoryFound, RepositoryRef, RunListing};
use crate::ports::{GitHubError, GitHubPort};
use crate::request::DispatchRequest;

/// [`GitHubPort`] over a [`World`]. Every request is in [`World::requests`] as GitHub would see it: one to find the
/// installation and one to make a token, both kept for as long as the token lives, and then the call itself.
#[derive(Debug, Clone)]
pub struct WorldGitHub {
    world: Arc<Mutex<World>>,
    tokens: Arc<Mutex<Tokens>>,
}

/// Tokens, each by the repository, the permission and the access that it was made for.
type Tokens = BTreeMap<(Repository, &'static str, Access), Token>;

/// A token for one repository and one permission, and the repository that it turned out to be for.
#[derive(Debug, Clone)]
struct Token {
    text: String,
    expires_at: Timestamp,
    found: RepositoryFound,
}

/// Why there is no token.
enum NoToken {
    /// The App is not installed there, or suspended.
    NotInstalled,
    /// Nobody answers to the name, or somebody else does.
    NoSuchRepository,
    Failed(GitHubError),
}

impl WorldGitHub {
    /// The port over a world that the test keeps a handle to.
    #[must_use]
    pub fn new(world: Arc<Mutex<World>>) -> Self {
        Self { world, tokens: Arc::default() }
    }

    /// The world.
    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tokens(&self) -> MutexGuard<'_, Tokens> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn token(
        &self,
        world: &mut World,
        repository: &Repository,
        id: Option<RepositoryId>,
        permission: &'static str,
        access: Access,
    ) -> Result<Token, NoToken> {
        let key = (repository.clone(), permission, access);
        let known = self.tokens().get(&key).filter(|token| token.expires_at > world.now()).cloned();
        let token = match known {
            Some(token) if id.is_none_or(|id| token.found.id == id) => token,
            _ => {
                let token = mint(world, repository, id, permission, access)?;
                self.tokens().insert(key, token.clone());
                token
            }
        };
        if id.is_some_and(|id| token.found.id != id) { Err(NoToken::NoSuchRepository) } else { Ok(token) }
    }

    /// Forgets a token that GitHub does not take any more, so that the next call makes another.
    fn forget_refused(&self, repository: &Repository, permission: &'static str, error: &ApiError) {
        if error.status == 401 {
            self.tokens().retain(|(name, of, _), _| name != repository || *of != permission);
        }
    }
}

#[async_trait]
impl GitHubPort for WorldGitHub {
    async fn read_file(
        &self,
        repository: &Repository,
        id: Option<RepositoryId>,
        path: PolicyPath,
        known: Option<&FileVersion>,
    ) -> Result<FileRead, GitHubError> {
        let mut world = self.world();
        let token = match self.token(&mut world, repository, id, "contents", Access::Read) {
            Ok(token) => token,
            Err(NoToken::NotInstalled) => return Ok(FileRead::NotInstalled),
            Err(NoToken::NoSuchRepository) => return Ok(FileRead::NoSuchRepository),
            Err(NoToken::Failed(error)) => return Err(error),
        };
        let url = format!("/repos/{repository}/contents/{path}");
        let etag = known.map(|version| version.etag.as_str());
        let exchange = world.exchange(Caller::Token(&token.text), "GET", &url, |world| {
            let contents = world.contents(&token.text, repository, path.as_str(), None, etag)?;
            Ok((if matches!(contents, Contents::NotModified { .. }) { 304 } else { 200 }, contents))
        });
        let found = token.found;
        match exchange {
            Exchange::Answered(Contents::NotModified { .. }) => Ok(FileRead::NotModified),
            Exchange::Answered(Contents::File { bytes, blob_sha, etag, .. }) => Ok(FileRead::Found {
                repository: found,
                bytes: bytes.iter().take(MAX_BYTES + 1).copied().collect(),
                blob_sha,
                version: Some(FileVersion { etag }),
            }),
            Exchange::Answered(Contents::Directory { .. }) => Ok(FileRead::NoSuchFile { repository: found }),
            Exchange::Refused(error) if error.status == 404 => Ok(FileRead::NoSuchFile { repository: found }),
            Exchange::Refused(error) if error.status == 301 => Ok(FileRead::NoSuchRepository),
            // The token is older than the suspension.
            Exchange::Refused(error) if error.status == 403 && error.message.contains("suspended") => {
                Ok(FileRead::NotInstalled)
            }
            Exchange::Refused(error) => {
                self.forget_refused(repository, "contents", &error);
                Err(refusal(error, GitHubError::Unavailable))
            }
            Exchange::Cut => Err(GitHubError::Unavailable(CUT.to_owned())),
        }
    }

    async fn commit_on_branch(
        &self,
        repository: &RepositoryRef,
        branch: &Branch,
        sha: &CommitSha,
    ) -> Result<bool, GitHubError> {
        let comparison = self.compare(repository, branch, sha)?;
        Ok(comparison.is_some_and(|it| matches!(it.status, CompareStatus::Behind | CompareStatus::Identical)))
    }

    async fn dispatch(
        &self,
        repository: &RepositoryRef,
        request: &DispatchRequest,
        not_after: Timestamp,
    ) -> Result<Option<StartedRun>, GitHubError> {
        let mut world = self.world();
        let name = &repository.name;
        let permission = match request {
            DispatchRequest::Workflow(_) => "actions",
            DispatchRequest::Event(_) => "contents",
        };
        let token = self
            .token(&mut world, name, Some(repository.id), permission, Access::Write)
            .map_err(|error| no_token(error, name))?;
        if world.now() > not_after {
            return Err(GitHubError::Unavailable("the time in which the call could be sent has passed".to_owned()));
        }
        let url = match request {
            DispatchRequest::Workflow(request) => {
                format!("/repos/{name}/actions/workflows/{}/dispatches", request.workflow())
            }
            DispatchRequest::Event(_) => format!("/repos/{name}/dispatches"),
        };
        let exchange = world.exchange(Caller::Token(&token.text), "POST", &url, |world| match request {
            DispatchRequest::Workflow(request) => {
                let (workflow, git_ref) = (request.workflow().as_str(), request.git_ref().as_str());
                let run = world.workflow_dispatch(&token.text, name, workflow, git_ref, request.inputs())?;
                let url = world.runs().find(|known| known.id == run).map(|run| world.run_page(run)).unwrap_or_default();
                let started = StartedRun { id: run, url };
                Ok(if world.enterprise_server { (204, None) } else { (200, Some(started)) })
            }
            DispatchRequest::Event(request) => {
                let payload = serde_json::json!(request.client_payload());
                world.repository_dispatch(&token.text, name, request.event_type().as_str(), payload)?;
                Ok((204, None))
            }
        });
        match exchange {
            Exchange::Answered(started) => Ok(started),
            Exchange::Refused(error) => {
                self.forget_refused(name, permission, &error);
                Err(refusal(error, GitHubError::InDoubt))
            }
            Exchange::Cut => Err(GitHubError::InDoubt(CUT.to_owned())),
        }
    }

    async fn runs_since(&self, repository: &RepositoryRef, since: Timestamp) -> Result<RunListing, GitHubError> {
        self.list_runs(repository, since)
    }
}

/// Items on the largest page ("Using pagination in the REST API").
const PER_PAGE: usize = 100;
const CUT: &str = "the connection was cut before an answer came";

/// Finds the installation and makes a token for one repository and one permission.
fn mint(
    world: &mut World,
    repository: &Repository,
    id: Option<RepositoryId>,
    permission: &'static str,
    access: Access,
) -> Result<Token, NoToken> {
    let url = format!("/repos/{repository}/installation");
    let installation = match world.exchange(Caller::App, "GET", &url, |world| {
        let installation = world.installation(repository)?;
        Ok((200, (installation.id, installation.suspended_at.is_some())))
    }) {
        Exchange::Answered((id, false)) => id,
        Exchange::Answered((_, true)) => return Err(NoToken::NotInstalled),
        Exchange::Refused(error) if error.status == 404 => return Err(NoToken::NotInstalled),
        Exchange::Refused(error) => return Err(no_read(error)),
        Exchange::Cut => return Err(NoToken::Failed(GitHubError::Unavailable(CUT.to_owned()))),
    };
    let wanted = MintRequest {
        repositories: id.is_none().then(|| vec![repository.name().to_owned()]),
        repository_ids: id.map(|id| vec![id]),
        permissions: Some([(permission.to_owned(), access)].into()),
    };
    let url = format!("/app/installations/{installation}/access_tokens");
    let exchange = world.exchange(Caller::App, "POST", &url, |world| {
        let minted = world.mint_token(installation, wanted)?;
        let covered = minted.repositories.iter().flatten().next().copied();
        let found = covered.and_then(|id| world.repositories().find(|state| state.id == id));
        let found = found.map(|state| RepositoryFound { id: state.id, private: state.private });
        let found = found.ok_or_else(ApiError::not_found)?;
        Ok((201, Token { text: minted.token, expires_at: minted.expires_at, found }))
    });
    match exchange {
        Exchange::Answered(token) => Ok(token),
        // The installation does not grant it.
        Exchange::Refused(ApiError { status: 422, message, .. }) if message.contains("permission") => {
            let access = if access == Access::Write { "write" } else { "read" };
            let permission = Some(format!("{permission}: {access}"));
            Err(NoToken::Failed(GitHubError::Refused { status: 422, message, permission }))
        }
        // The installation does not have that repository: another one took the name, or it was taken away just now.
        Exchange::Refused(error) if error.status == 422 && id.is_some() => Err(NoToken::NoSuchRepository),
        Exchange::Refused(error) => Err(no_read(error)),
        Exchange::Cut => Err(NoToken::Failed(GitHubError::Unavailable(CUT.to_owned()))),
    }
}

fn no_read(error: ApiError) -> NoToken {
    match error.status {
        301 | 404 => NoToken::NoSuchRepository,
        403 if error.message.contains("suspended") => NoToken::NotInstalled,
        _ => NoToken::Failed(refusal(error, GitHubError::Unavailable)),
    }
}

fn no_token(error: NoToken, repository: &Repository) -> GitHubError {
    match error {
        NoToken::NotInstalled => GitHubError::NotInstalled(repository.clone()),
        NoToken::NoSuchRepository => {
            GitHubError::Refused { status: 404, message: "Not Found".to_owned(), permission: None }
        }
        NoToken::Failed(error) => error,
    }
}

/// Sorts a refusal. `broken` is what an answer means that says nothing: nothing was read, or something may have been done.
fn refusal(error: ApiError, broken: fn(String) -> GitHubError) -> GitHubError {
    let exhausted = error.header("x-ratelimit-remaining") == Some("0") || error.message.contains("rate limit");
    let after = error.header("retry-after").and_then(|seconds| seconds.parse().ok()).map(Duration::from_secs);
    let reset = error.header("x-ratelimit-reset").and_then(|at| at.parse().ok());
    let until = match (after, reset.and_then(|at| Timestamp::from_second(at).ok())) {
        (Some(after), _) => RateLimitReset::After(after),
        (None, Some(at)) => RateLimitReset::At(at),
        (None, None) => RateLimitReset::Unknown,
    };
    match error.status {
        429 => GitHubError::RateLimited { until, message: error.message },
        403 if exhausted || after.is_some() => GitHubError::RateLimited { until, message: error.message },
        500.. => broken(error.to_string()),
        status => GitHubError::Refused {
            status,
            permission: error.header("X-Accepted-GitHub-Permissions").map(str::to_owned),
            message: error.message,
        },
    }
}

/// GitHub's times have whole seconds.
fn whole_seconds(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}
