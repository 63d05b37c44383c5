//! One request to the API, whoever carries it: faults, rate limits, and the record of it.

use serde::Serialize;

use super::{ApiError, FaultKind, Permissions, World};
use crate::Timestamp;
use crate::name::Repository;

/// Who makes a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller<'a> {
    /// Nobody: no credential.
    Nobody,
    /// The App itself, by a JWT that was checked.
    App,
    /// An installation, by its token.
    Token(&'a str),
}

/// A request that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ApiRequest {
    /// When.
    pub at: Timestamp,
    /// The method.
    pub method: String,
    /// The path, as it was in the request, without the query.
    pub path: String,
    /// `app`, `installation` or `nobody`.
    pub caller: &'static str,
    /// What the token may do; none without a token.
    pub permissions: Option<Permissions>,
    /// The repositories that the token is narrowed to; none without a token, or where it is for all of its installation.
    pub repositories: Option<Vec<Repository>>,
    /// The query, as it was in the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// The body, byte for byte. None where there was none, and where nobody said what was sent ([`World::note_content`]).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// The answer's status; none where the connection was cut.
    pub status: Option<u16>,
}

impl ApiRequest {
    /// Whether the request is about credentials: it looks for an installation, or makes a token.
    #[must_use]
    pub fn is_about_credentials(&self) -> bool {
        self.path.ends_with("/access_tokens")
            || self.path.ends_with("/installation")
            || self.path == "/app/installations"
    }
}

/// How a request ends for who made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exchange<T> {
    /// GitHub answered.
    Answered(T),
    /// GitHub refused.
    Refused(ApiError),
    /// The connection was cut: nobody knows.
    Cut,
}

impl World {
    /// Makes a request: orders what goes wrong, counts it, does it, records it. `act` answers with the status for the
    /// record. A [`FaultKind::Delay`] only moves the time here; who has a real clock waits before.
    pub fn exchange<T>(
        &mut self,
        caller: Caller<'_>,
        method: &str,
        path: &str,
        act: impl FnOnce(&mut Self) -> Result<(u16, T), ApiError>,
    ) -> Exchange<T> {
        let fault = self.take_fault(method, path);
        if let Some(delay) = fault.as_ref().and_then(FaultKind::delay) {
            self.advance(delay);
        }
        self.exchange_with(fault.as_ref(), caller, method, path, act)
    }

    /// Makes a request with the fault that was taken for it before ([`World::take_fault`]).
    pub fn exchange_with<T>(
        &mut self,
        fault: Option<&FaultKind>,
        caller: Caller<'_>,
        method: &str,
        path: &str,
        act: impl FnOnce(&mut Self) -> Result<(u16, T), ApiError>,
    ) -> Exchange<T> {
        // What the caller may is told before the request can change it.
        let at = self.requests.len();
        self.record(caller, method, path);
        let refusal = fault.and_then(|fault| fault.refusal(self));
        let exchange = match (fault, refusal) {
            (_, Some(refusal)) => Exchange::Refused(refusal),
            (Some(FaultKind::CutBefore), _) => Exchange::Cut,
            (Some(FaultKind::CutAfter), _) => {
                let _lost = self.counted(caller, path, act);
                Exchange::Cut
            }
            _ => match self.counted(caller, path, act) {
                Ok((status, answer)) => {
                    self.answered(at, status);
                    Exchange::Answered(answer)
                }
                Err(error) => Exchange::Refused(error),
            },
        };
        if let Exchange::Refused(error) = &exchange {
            self.answered(at, error.status);
        }
        exchange
    }

    /// Adds to the record of the last request what it said beyond its path. Who carries real requests knows it.
    pub fn note_content(&mut self, query: Option<&str>, body: &[u8]) {
        let Some(last) = self.requests.last_mut() else { return };
        last.query = query.map(str::to_owned);
        last.body = (!body.is_empty()).then(|| String::from_utf8_lossy(body).into_owned());
    }

    fn counted<T>(
        &mut self,
        caller: Caller<'_>,
        path: &str,
        act: impl FnOnce(&mut Self) -> Result<(u16, T), ApiError>,
    ) -> Result<(u16, T), ApiError> {
        let free = path == "/rate_limit";
        if !free {
            self.spend(caller)?;
        }
        let answer = act(self);
        if !free && matches!(answer, Ok((304, _))) {
            self.refund(caller);
        }
        answer
    }

    fn record(&mut self, caller: Caller<'_>, method: &str, path: &str) {
        let token = if let Caller::Token(token) = caller { self.tokens.get(token) } else { None };
        let names = |id| self.repositories.get(id).map(|repository| repository.name.clone());
        let request = ApiRequest {
            at: self.now(),
            method: method.to_owned(),
            path: path.to_owned(),
            caller: match caller {
                Caller::Nobody => "nobody",
                Caller::App => "app",
                Caller::Token(_) => "installation",
            },
            permissions: token.map(|token| token.permissions.clone()),
            repositories: token
                .and_then(|token| token.repositories.as_ref().map(|ids| ids.iter().filter_map(names).collect())),
            query: None,
            body: None,
            status: None,
        };
        self.requests.push(request);
    }

    fn answered(&mut self, at: usize, status: u16) {
        if let Some(request) = self.requests.get_mut(at) {
            request.status = Some(status);
        }
    }
}
