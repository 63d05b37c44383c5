//! [`GitHub`]: how it is reached, and the one way in which all calls to repositories are made.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use dispatch_core::Timestamp;
use dispatch_core::name::{Repository, RepositoryId};
use dispatch_core::policy::PolicyPath;
use dispatch_core::ports::github::{FileVersion, GitHubError, RepositoryRef};
use http::{Method, StatusCode, Uri};
use secrecy::SecretString;
use serde::Serialize;
use tokio::sync::Semaphore;

use crate::answer::{self, Effect};
use crate::app::{App, AppDescription, unavailable};
use crate::budget::{self, Budgets, Payer};
use crate::comments;
use crate::path::ApiPath;
use crate::permission::Permission;
use crate::token::{Token, Tokens};
use crate::transport::{Answer, ApiRequest, Transport};

/// GitHub as a GitHub App sees it.
///
/// Keeps connections, tokens and installations in memory, all of them bounded. Share one.
pub struct GitHub {
    pub(crate) transport: Arc<Transport>,
    pub(crate) app: Arc<App>,
    tokens: Tokens,
    pub(crate) budgets: Arc<Budgets>,
    /// Comments can be long: few are looked through at the same time.
    pub(crate) comment_searches: Arc<Semaphore>,
}

/// How to reach GitHub, and as whom.
#[derive(Debug, Clone)]
pub struct GitHubOptions {
    /// `GITHUB_API_URL`: `https://`, or `http://` on loopback. GitHub Enterprise Server's ends in `/api/v3`.
    pub api_url: String,
    /// `GITHUB_APP_ID`.
    pub app_id: u64,
    /// `GITHUB_APP_PRIVATE_KEY`: PEM, as GitHub gave it; or two of them one after the other, while one is replaced. The
    /// second is used when GitHub refuses the first.
    pub private_key: SecretString,
    /// GitHub asks for one that names the application. None: this crate's name and version.
    pub user_agent: Option<String>,
    /// How long a connection may take, TLS included.
    pub connect_timeout: Duration,
    /// How long one request and its answer may take. GitHub itself gives up after 10 seconds ("Troubleshooting the REST
    /// API"), so that a longer time than that leaves fewer calls in doubt.
    pub timeout: Duration,
    /// How many points each installation, and the App itself, may spend in any minute: 900 on GitHub.com ("Rate limits for
    /// the REST API"), where a request that reads costs 1 and one that writes costs 5. GitHub Enterprise Server has no such
    /// limit unless its administrator sets one.
    pub points_per_minute: u32,
}

impl Default for GitHubOptions {
    fn default() -> Self {
        Self {
            api_url: "https://api.github.com".to_owned(),
            app_id: 0,
            private_key: SecretString::default(),
            user_agent: None,
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(15),
            points_per_minute: budget::POINTS_PER_MINUTE,
        }
    }
}

/// Why the options are no good. Never contains the key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GitHubOptionsError {
    /// The token would travel unprotected, or the URL is none.
    #[error("the API URL must be `https://host[/path]`, or `http://` on loopback")]
    ApiUrl,
    /// Not a legal header.
    #[error("the user agent must be printable ASCII")]
    UserAgent,
    /// Not what GitHub gave.
    #[error("the App's private key must be an RSA key in PEM form, or two of them one after the other")]
    PrivateKey,
    /// The TLS library refused its own defaults.
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
    /// There is no tokio runtime to make connections in.
    #[error("GitHub's client must be made inside a tokio runtime")]
    NoRuntime,
}

impl GitHub {
    /// Checks the options. Makes no request. Call it inside a tokio runtime.
    ///
    /// # Errors
    /// [`GitHubOptionsError`].
    pub fn new(options: GitHubOptions) -> Result<Self, GitHubOptionsError> {
        let transport = Arc::new(Transport::new(&options)?);
        let budgets = Arc::new(Budgets::new(options.points_per_minute));
        let app = Arc::new(App::new(&options, Arc::clone(&transport), Arc::clone(&budgets))?);
        let comment_searches = Arc::new(Semaphore::new(comments::SEARCHES));
        Ok(Self { transport, tokens: Tokens::new(Arc::clone(&app)), app, budgets, comment_searches })
    }

    /// Who the App is and whose. GitHub is asked once.
    ///
    /// # Errors
    /// [`GitHubError`]; never [`GitHubError::InDoubt`].
    pub async fn app(&self) -> Result<AppDescription, GitHubError> {
        self.app.describe().await.cloned()
    }

    /// Makes one call with the token for it. A token that GitHub does not take any more (401) is replaced once: whatever
    /// was asked, GitHub has not done it.
    pub(crate) async fn call(&self, call: &Call<'_>) -> Result<(Arc<Token>, Answer), CallError> {
        let (token, answer) = self.call_once(call).await?;
        if answer.status != StatusCode::UNAUTHORIZED {
            return Ok((token, answer));
        }
        self.tokens.evict(&token).await;
        let (token, answer) = self.call_once(call).await?;
        if answer.status != StatusCode::UNAUTHORIZED {
            return Ok((token, answer));
        }
        self.tokens.evict(&token).await;
        Err(CallError::GitHub(answer::failure(&answer, call.effect, Timestamp::now())))
    }

    async fn call_once(&self, call: &Call<'_>) -> Result<(Arc<Token>, Answer), CallError> {
        let token = self.tokens.token(call.repository, call.id, call.permission).await?;
        let payer = Payer::Installation(token.installation());
        let permit = self.budgets.acquire(payer, &call.method).await.map_err(CallError::GitHub)?;
        let request = ApiRequest {
            method: call.method.clone(),
            path: &call.path,
            authorization: token.authorization(),
            if_none_match: call.known.and_then(|(path, version)| token.gave(path, version)),
            body: call.body.clone(),
            limit: call.limit,
        };
        // The last look at the clock, after the token and the budget: what comes after it is the connection, where there is none yet, and the sending.
        if call.not_after.is_some_and(|latest| Timestamp::now() > latest) {
            return Err(CallError::GitHub(GitHubError::Unavailable(TOO_LATE.to_owned())));
        }
        let sent = self.transport.send(request).await;
        permit.settle(sent.as_ref().ok());
        let answer = sent.map_err(|error| CallError::GitHub(answer::no_answer(error, call.effect)))?;
        if answer::suspended(&answer) {
            self.tokens.evict(&token).await;
            return Err(CallError::NotInstalled);
        }
        Ok((token, answer))
    }

    /// Makes one call to a repository that is known to exist.
    pub(crate) async fn ask(&self, call: &Call<'_>) -> Result<Answer, GitHubError> {
        let (_, answer) = self.call(call).await.map_err(|error| error.into_error(call.repository))?;
        Ok(answer)
    }

    /// Makes one call to a repository that is known to exist, and takes nothing but a success for an answer.
    pub(crate) async fn succeed(&self, call: &Call<'_>) -> Result<Answer, GitHubError> {
        let answer = self.ask(call).await?;
        if answer.status.is_success() {
            return Ok(answer);
        }
        Err(answer::failure(&answer, call.effect, Timestamp::now()))
    }

    pub(crate) async fn evict(&self, token: &Token) {
        self.tokens.evict(token).await;
    }
}

/// Why a call was not sent any more.
const TOO_LATE: &str = "the time in which the call may be sent has passed";

/// One call to one repository.
pub(crate) struct Call<'a> {
    pub(crate) repository: &'a Repository,
    /// The repository that must be behind the name, where it is known.
    pub(crate) id: Option<RepositoryId>,
    pub(crate) permission: Permission,
    pub(crate) effect: Effect,
    pub(crate) method: Method,
    pub(crate) path: ApiPath,
    /// JSON.
    pub(crate) body: Option<Vec<u8>>,
    /// The version of a file that is known already.
    pub(crate) known: Option<(PolicyPath, &'a FileVersion)>,
    /// Nothing is sent after this time.
    pub(crate) not_after: Option<Timestamp>,
    /// How much of the answer's body is read at most.
    pub(crate) limit: usize,
}

impl<'a> Call<'a> {
    /// A call that reads, of an answer of at most `limit` bytes.
    pub(crate) fn read(repository: &'a RepositoryRef, permission: Permission, path: ApiPath, limit: usize) -> Self {
        Self {
            repository: &repository.name,
            id: Some(repository.id),
            permission,
            effect: Effect::Read,
            method: Method::GET,
            path,
            body: None,
            known: None,
            not_after: None,
            limit,
        }
    }

    /// A call that writes.
    pub(crate) fn write(
        repository: &'a RepositoryRef,
        permission: Permission,
        method: Method,
        path: ApiPath,
        body: &impl Serialize,
    ) -> Result<Self, GitHubError> {
        let body = serde_json::to_vec(body).map_err(|error| unavailable(&error.to_string()))?;
        let call = Self::read(repository, permission, path, WRITTEN_LIMIT);
        Ok(Self { effect: Effect::Write, method, body: Some(body), ..call })
    }

    /// The same call, sent at this time at the latest.
    pub(crate) fn not_after(self, latest: Timestamp) -> Self {
        Self { not_after: Some(latest), ..self }
    }
}

/// GitHub answers a write with what was written: at most a text of 65,536 characters, each of at most 6 bytes of JSON, and
/// some KiB around it.
const WRITTEN_LIMIT: usize = 512 * 1024;

/// Why a call has no answer of its own.
#[derive(Debug, Clone)]
pub(crate) enum CallError {
    /// The App is not installed on the repository.
    NotInstalled,
    /// Nobody answers to the name, or another repository does, or it moved: GitHub's message.
    NoSuchRepository(String),
    /// Everything else.
    GitHub(GitHubError),
}

impl CallError {
    /// For calls to a repository that is known to exist.
    pub(crate) fn into_error(self, repository: &Repository) -> GitHubError {
        match self {
            Self::NotInstalled => GitHubError::NotInstalled(repository.clone()),
            Self::NoSuchRepository(message) => GitHubError::Refused { status: 404, message, permission: None },
            Self::GitHub(error) => error,
        }
    }
}

impl fmt::Debug for GitHub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GitHub").field("api_url", &self.transport.base()).finish_non_exhaustive()
    }
}

/// Takes the URL of an API: its form without a trailing slash, and whether it is `https`. Anything that could carry a
/// token elsewhere or unprotected is refused: other schemes, plain HTTP beyond this machine, user names, queries.
pub(crate) fn check_api_url(text: &str) -> Result<(String, bool), GitHubOptionsError> {
    let uri: Uri = text.parse().map_err(|_| GitHubOptionsError::ApiUrl)?;
    let authority = uri.authority().ok_or(GitHubOptionsError::ApiUrl)?;
    let https = match uri.scheme_str() {
        Some("https") => true,
        Some("http") if loopback(authority.host()) => false,
        _ => return Err(GitHubOptionsError::ApiUrl),
    };
    if authority.as_str().contains('@') || authority.host().is_empty() || uri.query().is_some() || text.contains('#') {
        return Err(GitHubOptionsError::ApiUrl);
    }
    Ok((text.trim_end_matches('/').to_owned(), https))
}

fn loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_api_url_is_https_or_on_loopback() {
        for (url, accepted) in [
            ("https://api.github.com", Some(("https://api.github.com", true))),
            ("https://ghe.example.com/api/v3/", Some(("https://ghe.example.com/api/v3", true))),
            ("http://127.0.0.1:4000", Some(("http://127.0.0.1:4000", false))),
            ("http://[::1]:4000/", Some(("http://[::1]:4000", false))),
            ("http://localhost:4000", Some(("http://localhost:4000", false))),
            ("http://api.github.com", None),
            ("http://127.0.0.1.example.com", None),
            ("http://localhost.example.com", None),
            ("http://127.0.0.1@example.com", None),
            ("https://user:secret@api.github.com", None),
            ("https://api.github.com?x=1", None),
            ("https://api.github.com#x", None),
            ("ftp://api.github.com", None),
            ("api.github.com", None),
            ("/api/v3", None),
            ("", None),
        ] {
            let accepted = accepted.map(|(base, https)| (base.to_owned(), https));
            assert_eq!(check_api_url(url).ok(), accepted, "{url}");
        }
    }
}
