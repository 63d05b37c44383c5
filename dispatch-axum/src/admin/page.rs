//! What all pages have in common: the way back to the root, the headers, the style sheet.

use std::sync::{Arc, LazyLock};

use askama::Template;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Response};
use dispatch_core::Timestamp;
use sha2::{Digest, Sha256};

use super::Visitor;
use super::session::hex;
use crate::service::Service;

const ICON: &str = include_str!("../../static/icon.svg");

/// The dashboard's own rules, and those of pictures in it: what a page brings itself, the content policy does not let count.
static STYLE: LazyLock<String> =
    LazyLock::new(|| format!("{}{}", include_str!("../../static/dashboard.css"), dispatch_core::graph::STYLE));
static STYLE_NAME: LazyLock<String> = LazyLock::new(|| hashed("dashboard", "css", &STYLE));
static ICON_NAME: LazyLock<String> = LazyLock::new(|| hashed("icon", "svg", ICON));

/// What the frame around every page shows.
pub(crate) struct Frame {
    /// The relative way from the page to the root of the router, such as `../`.
    pub(crate) root: String,
    pub(crate) style: &'static str,
    pub(crate) icon: &'static str,
    pub(crate) version: String,
    /// Somebody reads who may see the other pages.
    pub(crate) inside: bool,
    /// There is a session to end.
    pub(crate) can_leave: bool,
}

impl Frame {
    pub(crate) fn new(service: &Service, uri: &Uri, visitor: Option<&Visitor>) -> Self {
        Self {
            root: root(uri.path()),
            style: &STYLE_NAME,
            icon: &ICON_NAME,
            version: service.version.clone(),
            inside: visitor.is_some(),
            can_leave: visitor.is_some_and(|visitor| visitor.has_session),
        }
    }
}

/// Everything but letters, digits and `-._` percent-encoded, so that it can stand in a path and in a query.
pub(crate) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// The relative way from a path back to the router's root. Relative, so that it is right under every prefix, and behind
/// proxies that take a prefix off.
pub(crate) fn root(path: &str) -> String {
    match path.matches('/').count() {
        0 | 1 => "./".to_owned(),
        deep => "../".repeat(deep - 1),
    }
}

/// A point in time for people: exact, and how long ago; and for programs (RFC 3339).
pub(crate) struct Moment {
    pub(crate) exact: String,
    pub(crate) iso: String,
    pub(crate) ago: String,
}

impl Moment {
    pub(crate) fn new(time: Timestamp, now: Timestamp) -> Self {
        let exact = time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
        let iso = time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        Self { exact, iso, ago: ago(now.as_second() - time.as_second()) }
    }
}

fn ago(seconds: i64) -> String {
    match seconds {
        ..0 => format!("in {} s", -seconds),
        0..5 => "just now".to_owned(),
        5..100 => format!("{seconds} s ago"),
        100..6_000 => format!("{} min ago", seconds / 60),
        6_000..172_800 => format!("{} h ago", seconds / 3_600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}

#[derive(Template)]
#[template(path = "message.html")]
struct Message {
    frame: Frame,
    title: &'static str,
    text: &'static str,
}

/// A page that says one thing.
pub(crate) fn message(
    status: StatusCode,
    service: &Service,
    uri: &Uri,
    visitor: &Visitor,
    title: &'static str,
    text: &'static str,
) -> Response {
    respond(status, &Message { frame: Frame::new(service, uri, Some(visitor)), title, text })
}

pub(crate) fn respond(status: StatusCode, page: &impl Template) -> Response {
    match page.render() {
        Ok(text) => (status, Html(text)).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page was not rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// What is not there, told to those who may know.
pub(crate) async fn not_found(visitor: Visitor, State(service): State<Arc<Service>>, uri: Uri) -> Response {
    let text = "Nothing is kept under this address. Deliveries leave the dashboard when their retention ends.";
    message(StatusCode::NOT_FOUND, &service, &uri, &visitor, "Not found", text)
}

/// The store did not answer: a page, and a line in the log.
pub(crate) fn unavailable(
    service: &Service,
    uri: &Uri,
    visitor: &Visitor,
    error: &dispatch_core::ports::StoreError,
) -> Response {
    tracing::error!(%error, "a page could not be read from the store");
    let text = "The store does not answer. Webhooks are refused until it does, and GitHub can deliver them again.";
    message(StatusCode::SERVICE_UNAVAILABLE, service, uri, visitor, "The store does not answer", text)
}

/// The style sheet and the icon. Their names change with their content, so that they may be kept for ever.
pub(crate) async fn asset(Path(name): Path<String>) -> Response {
    let (kind, text) = if name == *STYLE_NAME {
        ("text/css; charset=utf-8", STYLE.as_str())
    } else if name == *ICON_NAME {
        ("image/svg+xml", ICON)
    } else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let headers = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "public, max-age=31536000, immutable")];
    (headers, text).into_response()
}

/// No script, nothing from elsewhere, no frame around it, nothing kept. The referrer policy is not `no-referrer`, because
/// browsers would then send `Origin: null` with our own forms.
pub(crate) fn harden(headers: &mut HeaderMap) {
    const ALWAYS: [(HeaderName, &str); 4] = [
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
        ),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    for (name, value) in ALWAYS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}

fn hashed(name: &str, extension: &str, content: &str) -> String {
    let digest = hex(&Sha256::digest(content));
    format!("{name}-{}.{extension}", digest.chars().take(16).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_back_to_the_root_is_as_long_as_the_way_from_it() {
        for (path, expected) in
            [("/admin", "./"), ("/admin/login", "../"), ("/admin/deliveries/x", "../../"), ("/admin/", "../")]
        {
            assert_eq!(root(path), expected, "{path}");
        }
    }

    #[test]
    fn times_are_told_in_the_unit_that_people_would_use() {
        for (seconds, expected) in [
            (-3, "in 3 s"),
            (0, "just now"),
            (42, "42 s ago"),
            (100, "1 min ago"),
            (6_000, "1 h ago"),
            (172_800, "2 days ago"),
        ] {
            assert_eq!(ago(seconds), expected);
        }
    }
}
