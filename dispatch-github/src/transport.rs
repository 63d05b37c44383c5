//! One request, one answer. Nothing here repeats, redirects, or caches.

use std::error::Error;
use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, IF_NONE_MATCH, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use http_body_util::BodyExt;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_timeout::TimeoutConnector;
use hyper_util::client::legacy::{self, connect::HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use octocrab::{AuthState, OctoBody, Octocrab, OctocrabBuilder};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::{Instant, timeout_at};

use crate::answer::escape;
use crate::client::{GitHubOptions, GitHubOptionsError};
use crate::path::ApiPath;

/// The version of the API whose answers are read here; the only one with `return_run_details`.
const API_VERSION: HeaderValue = HeaderValue::from_static("2022-11-28");
const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/vnd.github+json");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A connection that nobody uses is closed before GitHub closes it: a request into a closing connection is in doubt.
const IDLE: Duration = Duration::from_secs(30);
/// Enough for the 100 concurrent requests that GitHub allows.
const IDLE_CONNECTIONS: usize = 100;

/// The way to GitHub: octocrab over a connector of our own. octocrab's own would speak plain HTTP to any host, would
/// count the time in which a connection is idle into the read time-out of its next request, and would log each failure.
pub(crate) struct Transport {
    octocrab: Octocrab,
    base: String,
    user_agent: HeaderValue,
    timeout: Duration,
}

/// A request to GitHub's API.
pub(crate) struct ApiRequest<'a> {
    pub(crate) method: Method,
    pub(crate) path: &'a ApiPath,
    /// The whole `Authorization` header.
    pub(crate) authorization: &'a SecretString,
    pub(crate) if_none_match: Option<&'a str>,
    /// JSON.
    pub(crate) body: Option<Vec<u8>>,
    /// How much of the answer's body is read at most.
    pub(crate) limit: usize,
}

/// What GitHub answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Body,
}

/// The body of an answer, as far as it was read.
#[derive(Debug)]
pub(crate) enum Body {
    Whole(Vec<u8>),
    /// Its beginning: it is longer than it may be.
    Cut(Vec<u8>),
    /// It never came whole: why.
    Broken(String),
}

/// There is no answer.
#[derive(Debug)]
pub(crate) enum NoAnswer {
    /// No connection was established: certainly, nothing was sent.
    NotSent(String),
    /// Whether GitHub got the request is unknown.
    Lost(String),
}

impl Transport {
    pub(crate) fn new(options: &GitHubOptions) -> Result<Self, GitHubOptionsError> {
        let (base, https) = crate::client::check_api_url(&options.api_url)?;
        let agent = options.user_agent.as_deref().unwrap_or(concat!("dispatch-github/", env!("CARGO_PKG_VERSION")));
        let user_agent = HeaderValue::from_str(agent).map_err(|_| GitHubOptionsError::UserAgent)?;
        // octocrab starts a task of its own.
        tokio::runtime::Handle::try_current().map_err(|_| GitHubOptionsError::NoRuntime)?;
        let tls = HttpsConnectorBuilder::new()
            .with_provider_and_webpki_roots(rustls::crypto::aws_lc_rs::default_provider())
            .map_err(|error| GitHubOptionsError::Tls(error.to_string()))?;
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        let tls = if https { tls.https_only() } else { tls.https_or_http() };
        let mut connector = TimeoutConnector::new(tls.enable_http1().wrap_connector(tcp));
        connector.set_connect_timeout(Some(options.connect_timeout));
        let client: legacy::Client<_, OctoBody> = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .build(connector);
        // Without its own authentication, because octocrab's repeats a request after a 401, and without a retry layer.
        let octocrab = OctocrabBuilder::new_empty().with_service(client).with_auth(AuthState::None).build();
        let octocrab = octocrab.unwrap_or_else(|impossible| match impossible {});
        Ok(Self { octocrab, base, user_agent, timeout: options.timeout })
    }

    /// Where requests go.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// Sends once, and reads the answer.
    pub(crate) async fn send(&self, request: ApiRequest<'_>) -> Result<Answer, NoAnswer> {
        let limit = request.limit;
        let request = self.build(request).map_err(|error| NoAnswer::NotSent(chain(&error)))?;
        let deadline = Instant::now() + self.timeout;
        let late = || format!("no answer within {:?}", self.timeout);
        let response = match timeout_at(deadline, self.octocrab.send(request)).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) if never_connected(&error) => return Err(NoAnswer::NotSent(chain(&error))),
            Ok(Err(error)) => return Err(NoAnswer::Lost(chain(&error))),
            Err(_) => return Err(NoAnswer::Lost(late())),
        };
        let (parts, body) = response.into_parts();
        let body = timeout_at(deadline, read(body, limit)).await.unwrap_or_else(|_| Body::Broken(late()));
        Ok(Answer { status: parts.status, headers: parts.headers, body })
    }

    fn build(&self, request: ApiRequest<'_>) -> Result<Request<OctoBody>, http::Error> {
        let mut authorization = HeaderValue::from_str(request.authorization.expose_secret())?;
        authorization.set_sensitive(true);
        let mut builder = Request::builder()
            .method(request.method)
            .uri(format!("{}{}", self.base, request.path))
            .header(AUTHORIZATION, authorization)
            .header(ACCEPT, MEDIA_TYPE)
            .header(USER_AGENT, self.user_agent.clone())
            .header("x-github-api-version", API_VERSION);
        if let Some(etag) = request.if_none_match {
            builder = builder.header(IF_NONE_MATCH, etag);
        }
        match request.body {
            Some(json) => builder.header(CONTENT_TYPE, JSON).body(json.into()),
            None => builder.body(OctoBody::empty()),
        }
    }
}

/// Reads a body up to a limit, without ever holding more.
async fn read(mut body: impl BodyExt<Data: AsRef<[u8]>, Error: Error + 'static> + Unpin, limit: usize) -> Body {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        match frame.map(http_body::Frame::into_data) {
            Ok(Ok(data)) => {
                let room = limit - bytes.len();
                let data = data.as_ref();
                bytes.extend(data.iter().take(room));
                if data.len() > room {
                    return Body::Cut(bytes);
                }
            }
            Ok(Err(_trailers)) => {}
            Err(error) => return Body::Broken(chain(&error)),
        }
    }
    Body::Whole(bytes)
}

/// Whether the client says that there never was a connection. Everything else may have happened after the request left.
fn never_connected(error: &octocrab::Error) -> bool {
    sources(error).any(|error| error.downcast_ref::<legacy::Error>().is_some_and(legacy::Error::is_connect))
}

/// An error and what caused it, in one bounded line.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    for error in sources(error) {
        let message = error.to_string();
        // Some errors repeat what caused them.
        if !text.ends_with(&message) {
            text = if text.is_empty() { message } else { format!("{text}: {message}") };
        }
    }
    escape(&text, 300)
}

fn sources<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| (**error).source()).take(10)
}
