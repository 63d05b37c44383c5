//! What a request says, and what it is answered: the shape that every endpoint has.

use std::collections::BTreeMap;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use dispatch_core::name::Repository;
use dispatch_core::testing::world::{ApiError, World};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// An endpoint: reads a request, asks the world, answers.
pub(super) type Endpoint = fn(&mut World, &Call) -> Result<Answer, ApiError>;

/// Who makes the request.
#[derive(Debug)]
pub(super) enum Credential {
    Nobody,
    App,
    Token(String),
}

/// A request, taken apart.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) credential: Credential,
    /// The parts of the path, percent-decoded.
    pub(super) path: BTreeMap<String, String>,
    pub(super) query: BTreeMap<String, String>,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// The path as it was sent, for `Link`.
    pub(super) raw_path: String,
}

/// What is answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    content_type: &'static str,
    body: Vec<u8>,
    headers: Vec<(String, String)>,
}

const JSON: &str = "application/json; charset=utf-8";
/// Items on a page ("Using pagination in the REST API").
const PER_PAGE: usize = 30;
const MAX_PER_PAGE: usize = 100;

impl Call {
    /// The token of an installation.
    pub(super) fn token(&self) -> Result<&str, ApiError> {
        match &self.credential {
            Credential::Token(token) => Ok(token),
            Credential::App => Err(ApiError::bad_credentials()),
            Credential::Nobody => Err(ApiError::new(401, "Requires authentication")),
        }
    }

    /// Only the App itself may go on.
    pub(super) fn app(&self) -> Result<(), ApiError> {
        match self.credential {
            Credential::App => Ok(()),
            _ => Err(ApiError::new(401, "A JSON web token could not be decoded")),
        }
    }

    /// A part of the path.
    pub(super) fn part(&self, name: &str) -> &str {
        self.path.get(name).map_or("", String::as_str)
    }

    /// A part of the path that is an id.
    pub(super) fn id(&self, name: &str) -> Result<u64, ApiError> {
        self.part(name).parse().map_err(|_| ApiError::not_found())
    }

    /// The repository of the path.
    pub(super) fn repository(&self) -> Result<Repository, ApiError> {
        format!("{}/{}", self.part("owner"), self.part("repo")).parse().map_err(|_| ApiError::not_found())
    }

    /// The body. 400 where it is no JSON, 422 where it is of another shape ("Troubleshooting the REST API").
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        let body: Value =
            serde_json::from_slice(&self.body).map_err(|_| ApiError::new(400, "Problems parsing JSON"))?;
        serde_json::from_value(body).map_err(|error| ApiError::unprocessable(format!("Invalid request.\n\n{error}")))
    }

    pub(super) fn query(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str)
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Items on a page, as asked for.
    pub(super) fn per_page(&self) -> usize {
        let wanted = self.query("per_page").and_then(|wanted| wanted.parse().ok());
        wanted.unwrap_or(PER_PAGE).clamp(1, MAX_PER_PAGE)
    }

    /// The items of the page that is asked for, and the `Link` header where there is another page after it.
    pub(super) fn page<'a, T>(&self, world: &World, items: &'a [T]) -> (&'a [T], Option<String>) {
        let page: usize = self.query("page").and_then(|page| page.parse().ok()).unwrap_or(1).max(1);
        let per_page = self.per_page();
        let start = (page - 1).saturating_mul(per_page).min(items.len());
        let end = start.saturating_add(per_page).min(items.len());
        let to = |page: usize, relation| self.link(world, &[("page", page.to_string())], relation);
        let last = items.len().div_ceil(per_page);
        let link = (end < items.len()).then(|| format!("{}, {}", to(page + 1, "next"), to(last, "last")));
        (items.get(start..end).unwrap_or_default(), link)
    }

    /// A link to this request with other parameters.
    pub(super) fn link(&self, world: &World, changed: &[(&str, String)], relation: &str) -> String {
        let mut query = self.query.clone();
        query.extend(changed.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        let encode =
            |text: &str| percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string();
        let query: Vec<String> = query.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
        format!("<{}{}?{}>; rel=\"{relation}\"", world.api_url(), self.raw_path, query.join("&"))
    }
}

impl Answer {
    pub(super) fn json(status: u16, body: &Value) -> Self {
        Self { status, content_type: JSON, body: body.to_string().into_bytes(), headers: Vec::new() }
    }

    /// A page of a list.
    pub(super) fn list(items: Vec<Value>, link: Option<String>) -> Self {
        Self::json(200, &Value::Array(items)).link(link)
    }

    pub(super) fn bytes(status: u16, content_type: &'static str, body: Vec<u8>) -> Self {
        Self { status, content_type, body, headers: Vec::new() }
    }

    pub(super) fn empty(status: u16) -> Self {
        Self::bytes(status, "", Vec::new())
    }

    pub(super) fn link(self, link: Option<String>) -> Self {
        match link {
            Some(link) => self.header("Link", link),
            None => self,
        }
    }

    pub(super) fn header(mut self, name: &str, value: String) -> Self {
        self.headers.push((name.to_owned(), value));
        self
    }

    pub(super) fn response(self) -> Response<Body> {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if !self.content_type.is_empty() {
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        }
        for (name, value) in self.headers {
            if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse::<HeaderValue>()) {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }
}

impl From<ApiError> for Answer {
    fn from(error: ApiError) -> Self {
        let body = error.body().into_bytes();
        Self { status: error.status, content_type: JSON, body, headers: error.headers }
    }
}
