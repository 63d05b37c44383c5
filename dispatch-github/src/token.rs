//! Installation and token: where the App is installed, and the token for one repository and one permission.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use dispatch_core::Timestamp;
use dispatch_core::name::{InstallationId, Repository, RepositoryId};
use dispatch_core::policy::PolicyPath;
use dispatch_core::ports::github::{FileVersion, GitHubError, RepositoryFound};
use http::{HeaderMap, Method, StatusCode};
use jiff::fmt::rfc2822;
use moka::Expiry;
use moka::future::Cache;
use moka::policy::EvictionPolicy;
use secrecy::{ExposeSecret, SecretString};

use crate::answer::{self, Effect};
use crate::app::{self, App};
use crate::client::CallError;
use crate::path::ApiPath;
use crate::permission::Permission;
use crate::transport::Answer;
use crate::wire;

/// Tokens live for an hour. One that ends this soon is not used for a new call.
const TOKEN_MARGIN: Duration = Duration::from_secs(5 * 60);
/// How long an installation is believed in. One that ended meanwhile is noticed by GitHub's 404.
const INSTALLATION_LIFETIME: Duration = Duration::from_secs(60 * 60);
/// How long it is believed that there is none: short, because people install the App and try again.
const NO_INSTALLATION_LIFETIME: Duration = Duration::from_secs(30);
/// Repositories whose token and installation are remembered; the least recently used ones are forgotten first.
const CAPACITY: u64 = 10_000;

/// The tokens in use.
pub(crate) struct Tokens {
    app: Arc<App>,
    installations: Cache<Repository, Installation>,
    tokens: Cache<TokenKey, Arc<Token>>,
}

/// Whose token, and what for. A repository's token is kept under its name with and without its id: who asks by name
/// alone takes whatever repository is behind it, who asks with an id gets that repository's token or none.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct TokenKey {
    repository: Repository,
    id: Option<RepositoryId>,
    permission: Permission,
}

/// A token for one repository and one permission.
pub(crate) struct Token {
    authorization: SecretString,
    name: Repository,
    repository: RepositoryFound,
    permission: Permission,
    installation: InstallationId,
    /// Until when it is used.
    until: Instant,
    /// What it was last told about the policy files: `ETag`s are bound to the token that they were given to.
    seen: Mutex<BTreeMap<PolicyPath, Seen>>,
}

/// What a token was told about a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Seen {
    /// It is there, in this version.
    Found(Option<FileVersion>),
    /// It is not there.
    Missing,
}

/// Where the App is installed.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Installation {
    At(InstallationId),
    Nowhere,
    /// GitHub redirects: the name is not the repository's name any more.
    Moved,
}

impl Token {
    /// The whole `Authorization` header.
    pub(crate) fn authorization(&self) -> &SecretString {
        &self.authorization
    }

    /// The repository that the token is for, as GitHub described it when it was minted.
    pub(crate) fn repository(&self) -> RepositoryFound {
        self.repository
    }

    pub(crate) fn installation(&self) -> InstallationId {
        self.installation
    }

    /// The version's `ETag`, if it was given to this token.
    pub(crate) fn gave<'a>(&self, path: PolicyPath, version: &'a FileVersion) -> Option<&'a str> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        matches!(seen.get(&path), Some(Seen::Found(Some(given))) if given == version).then_some(&version.etag)
    }

    /// Whether the token was given this file the last time.
    pub(crate) fn was_given(&self, path: PolicyPath) -> bool {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        matches!(seen.get(&path), Some(Seen::Found(_)))
    }

    /// Remembers what the token was told about a file, and says what it was told before.
    pub(crate) fn told(&self, path: PolicyPath, now: Seen) -> Option<Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).insert(path, now)
    }

    fn key(&self, id: Option<RepositoryId>) -> TokenKey {
        TokenKey { repository: self.name.clone(), id, permission: self.permission }
    }
}

impl Tokens {
    pub(crate) fn new(app: Arc<App>) -> Self {
        let installations = Cache::builder().expire_after(Lifetime);
        let tokens = Cache::builder().expire_after(Lifetime);
        Self {
            app,
            installations: installations.max_capacity(CAPACITY).eviction_policy(EvictionPolicy::lru()).build(),
            tokens: tokens.max_capacity(CAPACITY).eviction_policy(EvictionPolicy::lru()).build(),
        }
    }

    /// The token for one repository and one permission; callers that need the same one wait for one minting.
    pub(crate) async fn token(
        &self,
        repository: &Repository,
        id: Option<RepositoryId>,
        permission: Permission,
    ) -> Result<Arc<Token>, CallError> {
        let key = TokenKey { repository: repository.clone(), id, permission };
        if let Some(token) = self.tokens.get(&key).await {
            return Ok(token);
        }
        let minted = self.tokens.try_get_with(key, self.mint(repository, id, permission)).await;
        let token = minted.map_err(|error| CallError::clone(&error))?;
        // Either way of asking finds it from now on.
        let other = token.key(if id.is_some() { None } else { Some(token.repository.id) });
        self.tokens.insert(other, Arc::clone(&token)).await;
        Ok(token)
    }

    /// Forgets a token.
    pub(crate) async fn evict(&self, token: &Token) {
        for key in [token.key(None), token.key(Some(token.repository.id))] {
            if self.tokens.get(&key).await.is_some_and(|cached| std::ptr::eq(&*cached, token)) {
                self.tokens.invalidate(&key).await;
            }
        }
    }

    async fn mint(
        &self,
        repository: &Repository,
        id: Option<RepositoryId>,
        permission: Permission,
    ) -> Result<Arc<Token>, CallError> {
        let installation = self.installation(repository).await?;
        let none = match self.mint_at(installation, repository, id, permission).await? {
            Minted::Token(token) => return Ok(token),
            none => none,
        };
        // The App was removed, and perhaps installed again, since the installation was looked up.
        self.installations.invalidate(repository).await;
        let current = self.installation(repository).await?;
        if current == installation { none } else { self.mint_at(current, repository, id, permission).await? }
            .into_token()
    }

    /// "Create an installation access token for an app".
    async fn mint_at(
        &self,
        installation: InstallationId,
        repository: &Repository,
        id: Option<RepositoryId>,
        permission: Permission,
    ) -> Result<Minted, CallError> {
        let body = wire::TokenRequest {
            repository_ids: id.map(|id| [id]),
            repositories: id.is_none().then(|| [repository.name()]),
            permissions: permission,
        };
        let body = serde_json::to_vec(&body).map_err(|error| unavailable(&error.to_string()))?;
        let answer = self.as_app(Method::POST, &ApiPath::access_tokens(installation), Some(body)).await?;
        match answer.status {
            status if status.is_success() => {}
            StatusCode::NOT_FOUND => return Ok(Minted::NoInstallation),
            _ if answer::suspended(&answer) => return Err(CallError::NotInstalled),
            _ => return not_minted(&answer, permission),
        }
        let minted = parse::<wire::InstallationToken>(&answer)?;
        let [named] = minted.repositories.as_slice() else {
            return Err(unavailable("the token that it made is not for one repository"));
        };
        let expected_name = named.full_name.parse::<Repository>().is_ok_and(|name| name == *repository);
        if !expected_name || id.is_some_and(|id| id != named.id) {
            return Err(CallError::NoSuchRepository(format!("another repository is behind the name `{repository}`")));
        }
        tracing::debug!(%repository, %installation, %permission, expires = %minted.expires_at, "minted a token");
        Ok(Minted::Token(Arc::new(Token {
            authorization: format!("Bearer {}", minted.token.expose_secret()).into(),
            name: repository.clone(),
            repository: RepositoryFound { id: named.id, private: named.private },
            permission,
            installation,
            until: Instant::now() + lifetime(minted.expires_at, &answer.headers),
            seen: Mutex::default(),
        })))
    }

    async fn installation(&self, repository: &Repository) -> Result<InstallationId, CallError> {
        let found = self.installations.try_get_with_by_ref(repository, self.look_up(repository)).await;
        match found.map_err(|error| CallError::clone(&error))? {
            Installation::At(id) => Ok(id),
            Installation::Nowhere => Err(CallError::NotInstalled),
            Installation::Moved => Err(CallError::NoSuchRepository("it has moved".to_owned())),
        }
    }

    /// "Get a repository installation for the authenticated app"
    async fn look_up(&self, repository: &Repository) -> Result<Installation, CallError> {
        let answer = self.as_app(Method::GET, &ApiPath::installation(repository), None).await?;
        if answer.status.is_success() {
            let found = parse::<wire::Installation>(&answer)?;
            return Ok(if found.suspended_at.is_some() { Installation::Nowhere } else { Installation::At(found.id) });
        }
        match answer.status {
            StatusCode::NOT_FOUND => Ok(Installation::Nowhere),
            status if status.is_redirection() => Ok(Installation::Moved),
            _ => Err(CallError::GitHub(answer::failure(&answer, Effect::Read, Timestamp::now()))),
        }
    }

    /// A call as the App itself. Minting a token changes nothing that anybody sees, so it counts as a read.
    async fn as_app(&self, method: Method, path: &ApiPath, body: Option<Vec<u8>>) -> Result<Answer, CallError> {
        self.app.call(method, path, body, Effect::Read, app::BODY_LIMIT).await.map_err(CallError::GitHub)
    }
}

/// How long what is cached stays: each value knows.
struct Lifetime;

impl Expiry<TokenKey, Arc<Token>> for Lifetime {
    fn expire_after_create(&self, _: &TokenKey, token: &Arc<Token>, now: Instant) -> Option<Duration> {
        Some(token.until.saturating_duration_since(now))
    }

    fn expire_after_update(
        &self,
        _: &TokenKey,
        token: &Arc<Token>,
        now: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(token.until.saturating_duration_since(now))
    }
}

impl Expiry<Repository, Installation> for Lifetime {
    fn expire_after_create(&self, _: &Repository, installation: &Installation, _: Instant) -> Option<Duration> {
        Some(match installation {
            Installation::At(_) => INSTALLATION_LIFETIME,
            Installation::Nowhere | Installation::Moved => NO_INSTALLATION_LIFETIME,
        })
    }
}

/// How long a token is used: counted from GitHub's own clock where it tells, because ours may be wrong.
fn lifetime(expires_at: Timestamp, headers: &HeaderMap) -> Duration {
    let date = headers.get(http::header::DATE).and_then(|date| date.to_str().ok());
    let github = date.and_then(|date| rfc2822::DateTimeParser::new().parse_timestamp(date).ok());
    let left = expires_at.duration_since(github.unwrap_or_else(Timestamp::now));
    Duration::try_from(left).unwrap_or_default().min(INSTALLATION_LIFETIME).saturating_sub(TOKEN_MARGIN)
}

/// Why GitHub made no token. Nothing that follows has happened, so that a dispatch is never in doubt because of it.
fn not_minted(answer: &Answer, permission: Permission) -> Result<Minted, CallError> {
    match answer::failure(answer, Effect::Read, Timestamp::now()) {
        GitHubError::Refused { status, message, .. } if message.contains("permission") => {
            let permission = Some(permission.to_string());
            Err(CallError::GitHub(GitHubError::Refused { status, message, permission }))
        }
        // The other thing that can be wrong with the request is its repository.
        GitHubError::Refused { status: 422, message, .. } => Ok(Minted::NotCovered(message)),
        error => Err(CallError::GitHub(error)),
    }
}

/// What came of asking for a token.
enum Minted {
    Token(Arc<Token>),
    /// There is no such installation.
    NoInstallation,
    /// The installation does not cover that repository: GitHub's message.
    NotCovered(String),
}

impl Minted {
    fn into_token(self) -> Result<Arc<Token>, CallError> {
        match self {
            Self::Token(token) => Ok(token),
            Self::NoInstallation => Err(CallError::NotInstalled),
            Self::NotCovered(message) => Err(CallError::NoSuchRepository(message)),
        }
    }
}

fn parse<'a, T: serde::Deserialize<'a>>(answer: &'a Answer) -> Result<T, CallError> {
    app::parse(answer).map_err(CallError::GitHub)
}

fn unavailable(error: &str) -> CallError {
    CallError::GitHub(app::unavailable(error))
}
