//! Logging in and out.

use std::sync::Arc;

use askama::Template;
use axum::Form;
use axum::extract::State;
use axum::http::request::Parts;
use axum::http::{HeaderName, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

use super::page::{Frame, respond};
use super::session::Sessions;
use super::token::Attempt;
use super::{SameOrigin, address};
use crate::client::Client;
use crate::service::Service;

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage {
    frame: Frame,
    problem: Option<&'static str>,
}

pub(crate) async fn form(State(service): State<Arc<Service>>, uri: Uri) -> Response {
    respond(StatusCode::OK, &LoginPage { frame: Frame::new(&service, &uri, None), problem: None })
}

/// Without `Debug`, so that it reaches no log.
#[derive(serde::Deserialize)]
pub(crate) struct Login {
    token: String,
}

pub(crate) async fn submit(
    _: SameOrigin,
    State(service): State<Arc<Service>>,
    parts: Parts,
    Form(login): Form<Login>,
) -> Response {
    let Some(admin) = &service.admin else { return StatusCode::FORBIDDEN.into_response() };
    let now = (service.clock)();
    let (status, problem) = match admin.gate.attempt(address(&parts), login.token.trim(), now) {
        Attempt::Accepted => return to_dashboard(admin.sessions.begin(now, is_https(&parts))),
        Attempt::Wrong => (StatusCode::UNAUTHORIZED, "That is not the token."),
        Attempt::TooMany => (StatusCode::TOO_MANY_REQUESTS, "Too many wrong tokens. Wait a minute, then try again."),
    };
    tracing::warn!(client = ?address(&parts), "a login was refused");
    let page = LoginPage { frame: Frame::new(&service, &parts.uri, None), problem: Some(problem) };
    respond(status, &page)
}

pub(crate) async fn logout(_: SameOrigin, parts: Parts) -> Response {
    to_dashboard(Sessions::end(is_https(&parts)))
}

/// Back from `/admin/login` or `/admin/logout`.
fn to_dashboard(cookie: String) -> Response {
    let headers: [(HeaderName, String); 2] = [(header::LOCATION, "../admin".to_owned()), (header::SET_COOKIE, cookie)];
    (StatusCode::SEE_OTHER, headers).into_response()
}

fn is_https(parts: &Parts) -> bool {
    parts.extensions.get::<Client>().is_some_and(|client| client.https)
}
