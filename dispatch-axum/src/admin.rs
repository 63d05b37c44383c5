//! The dashboard, and who may see it.
//!
//! Every request passes `guard` first: the name it came by, the address it came from. Pages then ask for a [`Visitor`],
//! which only a session or the admin token makes.

mod environments;
mod graph;
mod health;
mod journey;
mod login;
mod overview;
mod page;
mod parked;
mod session;
mod token;

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use secrecy::SecretString;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::timeout::TimeoutLayer;

use crate::client::{Client, authority, is_loopback_name, without_port};
use crate::health as machines;
use crate::service::Service;
use session::Sessions;
use token::{Attempt, TokenGate};

/// The longest form, in bytes: a token or a key, and their fields' names.
const MAX_FORM: usize = 4 * 1024;
/// How long a form may take to arrive.
const FORM_WITHIN: Duration = Duration::from_secs(10);

/// What the admin token opens.
pub(crate) struct Admin {
    gate: TokenGate,
    sessions: Sessions,
}

impl Admin {
    pub(crate) fn new(token: &SecretString) -> Self {
        Self { gate: TokenGate::new(token), sessions: Sessions::new(token) }
    }
}

/// `/admin` and what is below it, and `/metrics`.
pub(crate) fn routes(service: &Arc<Service>) -> Router<Arc<Service>> {
    Router::new()
        .route("/admin", get(overview::show))
        .route("/admin/parked", get(parked::show).post(parked::act).layer(form_limits()))
        .route("/admin/environments", get(environments::show))
        .route("/admin/graph", get(graph::show))
        .route("/admin/api/graph", get(graph::api))
        .route("/admin/health", get(health::show))
        .route("/admin/deliveries/{key}", get(journey::show))
        .route("/admin/login", get(login::form).post(login::submit).layer(form_limits()))
        .route("/admin/logout", post(login::logout))
        .route("/admin/assets/{name}", get(page::asset))
        .route("/admin/", get(page::not_found))
        .route("/admin/{*rest}", get(page::not_found))
        .route("/metrics", get(metrics))
        // Not `layer`: that would guard the paths of whoever nests this, too.
        .route_layer(from_fn_with_state(Arc::clone(service), guard))
}

/// A form may be read before anybody knows whose it is, so that it must be short and soon complete.
fn form_limits() -> (TimeoutLayer, RequestBodyLimitLayer) {
    let in_time = TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, FORM_WITHIN);
    (in_time, RequestBodyLimitLayer::new(MAX_FORM))
}

async fn metrics(_: Bearer, state: State<Arc<Service>>) -> Response {
    measure(&state).await;
    machines::metrics(state).await
}

/// Figures that are looked up when somebody asks, rather than counted when something happens.
async fn measure(service: &Service) {
    let now = (service.clock)();
    for budget in service.pipeline.github.budgets() {
        let installation = budget.installation.to_string();
        let set = |name: &'static str, value: f64| {
            metrics::gauge!(name, "installation" => installation.clone()).set(value);
        };
        set("dispatch_github_points_left", budget.points_left.into());
        set("dispatch_github_requests_under_way", budget.concurrent.into());
        set("dispatch_github_paused", f64::from(u8::from(health::is_paused(&budget, now))));
        if let Some(primary) = budget.primary {
            set("dispatch_github_requests_left", primary.remaining as f64);
        }
    }
    // Where the store does not answer, the last figure stays.
    if let Ok(parked) = crate::parked::count(&*service.pipeline.store, overview::MANY).await {
        metrics::gauge!("dispatch_parked").set(parked as f64);
    }
}

/// The checks that come before any credential, and the headers that every answer carries.
async fn guard(State(service): State<Arc<Service>>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let client = service.clients.client(&parts);
    if service.admin.is_none() {
        return refuse(StatusCode::FORBIDDEN, "no admin token is set, so that nobody may see this");
    }
    if !service.clients.knows_host(&client, &parts) {
        return refuse(StatusCode::MISDIRECTED_REQUEST, "this service is not known by that host name");
    }
    if !service.clients.lets_in(&client) {
        return refuse(StatusCode::FORBIDDEN, "this address is not in ADMIN_IP_ALLOWLIST");
    }
    parts.extensions.insert(client);
    let mut response = next.run(Request::from_parts(parts, body)).await;
    page::harden(response.headers_mut());
    response
}

fn refuse(status: StatusCode, error: &str) -> Response {
    let mut response = (status, Json(serde_json::json!({ "error": error }))).into_response();
    page::harden(response.headers_mut());
    response
}

/// Somebody who has shown the admin token, in this request or when the session began.
pub(crate) struct Visitor {
    /// There is a session to end.
    has_session: bool,
}

impl FromRequestParts<Arc<Service>> for Visitor {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, service: &Arc<Service>) -> Result<Self, Response> {
        if parts.headers.contains_key(header::AUTHORIZATION) {
            return Bearer::from_request_parts(parts, service).await.map(|_| Self { has_session: false });
        }
        let now = (service.clock)();
        let valid = service.admin.as_ref().is_some_and(|admin| admin.sessions.are_valid(&parts.headers, now));
        if valid {
            return Ok(Self { has_session: true });
        }
        let login = format!("{}admin/login", page::root(parts.uri.path()));
        Err((StatusCode::SEE_OTHER, [(header::LOCATION, login)]).into_response())
    }
}

/// Somebody who shows the admin token as `Authorization: Bearer`.
pub(crate) struct Bearer;

impl FromRequestParts<Arc<Service>> for Bearer {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, service: &Arc<Service>) -> Result<Self, Response> {
        let token = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = token.and_then(|value| value.strip_prefix("Bearer "));
        let attempt = match (token, &service.admin) {
            (Some(token), Some(admin)) => admin.gate.attempt(address(parts), token, (service.clock)()),
            _ => Attempt::Wrong,
        };
        match attempt {
            Attempt::Accepted => Ok(Self),
            Attempt::TooMany => Err(too_many()),
            Attempt::Wrong => {
                let mut response = refuse(StatusCode::UNAUTHORIZED, "the admin token is missing or wrong");
                response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
                Err(response)
            }
        }
    }
}

fn too_many() -> Response {
    let mut response = refuse(StatusCode::TOO_MANY_REQUESTS, "too many wrong tokens; wait a minute");
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("60"));
    response
}

fn address(parts: &Parts) -> Option<std::net::IpAddr> {
    parts.extensions.get::<Client>().and_then(|client| client.address)
}

/// A request that changes something and comes from one of our own pages: the browser says so, in a header that pages
/// cannot set.
pub(crate) struct SameOrigin;

impl FromRequestParts<Arc<Service>> for SameOrigin {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, service: &Arc<Service>) -> Result<Self, Response> {
        if is_same_origin(&parts.headers, authority(parts), &service.clients.hosts) {
            Ok(Self)
        } else {
            Err(refuse(StatusCode::FORBIDDEN, "the request does not come from this site"))
        }
    }
}

/// `Sec-Fetch-Site` decides where the browser sends it; then an `Origin` must still be there or ours. Without either the
/// request is refused.
fn is_same_origin(headers: &HeaderMap, authority: Option<&str>, hosts: &[String]) -> bool {
    let site = headers.get("sec-fetch-site").map(|site| site == "same-origin");
    let origin = headers.get(header::ORIGIN).map(|origin| {
        let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, authority)| authority);
        origin.is_some_and(|origin| {
            authority.is_some_and(|authority| authority.eq_ignore_ascii_case(origin))
                || hosts.iter().any(|host| host.eq_ignore_ascii_case(without_port(origin)))
                    && !is_loopback_name(without_port(origin))
        })
    });
    match (site, origin) {
        (None, None) => false,
        (site, origin) => site.unwrap_or(true) && origin.unwrap_or(true),
    }
}
