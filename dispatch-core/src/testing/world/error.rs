//! Refusals, in GitHub's words.

use serde_json::{Value, json};

/// An answer of GitHub that is an error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{status}: {message}")]
pub struct ApiError {
    /// The HTTP status.
    pub status: u16,
    /// GitHub's message.
    pub message: String,
    /// Headers that say more, such as `X-Accepted-GitHub-Permissions` or `Retry-After`.
    pub headers: Vec<(String, String)>,
    /// The `errors` of a validation failure.
    pub errors: Vec<Value>,
    /// A body to answer with in place of the usual JSON; only faults have one.
    pub raw_body: Option<String>,
}

/// A test asked for something that is not in the world.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct WorldError(pub String);

impl ApiError {
    /// An error with a message alone.
    #[must_use]
    pub fn new(status: u16, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), headers: Vec::new(), errors: Vec::new(), raw_body: None }
    }

    /// What is not there and what must not be seen look alike ("Troubleshooting the REST API").
    #[must_use]
    pub fn not_found() -> Self {
        Self::new(404, "Not Found")
    }

    /// A token or a JWT that is wrong or expired.
    #[must_use]
    pub fn bad_credentials() -> Self {
        Self::new(401, "Bad credentials")
    }

    /// A missing permission. `accepted` is what would have been enough, such as `actions=write`.
    #[must_use]
    pub fn not_accessible(accepted: &str) -> Self {
        Self::new(403, "Resource not accessible by integration").with_header("X-Accepted-GitHub-Permissions", accepted)
    }

    /// What was asked is well-formed and wrong.
    #[must_use]
    pub fn unprocessable(message: impl Into<String>) -> Self {
        Self::new(422, message)
    }

    /// A field is wrong.
    #[must_use]
    pub fn validation(resource: &str, field: &str, code: &str, message: Option<&str>) -> Self {
        let mut error = json!({ "resource": resource, "field": field, "code": code });
        if let (Some(message), Value::Object(error)) = (message, &mut error) {
            error.insert("message".to_owned(), message.into());
        }
        Self { errors: vec![error], ..Self::new(422, "Validation Failed") }
    }

    /// Adds a header.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// The value of a header, without regard to the case of its name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The body that GitHub answers with.
    #[must_use]
    pub fn body(&self) -> String {
        if let Some(body) = &self.raw_body {
            return body.clone();
        }
        let mut body = json!({
            "message": self.message,
            "documentation_url": "https://docs.github.com/rest",
            "status": self.status.to_string(),
        });
        if let (false, Value::Object(body)) = (self.errors.is_empty(), &mut body) {
            body.insert("errors".to_owned(), self.errors.clone().into());
        }
        body.to_string()
    }
}
