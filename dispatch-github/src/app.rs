//! The App itself, which signs for itself: what it may ask without an installation.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use dispatch_core::Timestamp;
use dispatch_core::name::{Login, Owner};
use dispatch_core::ports::github::GitHubError;
use http::{Method, StatusCode};
use octocrab::auth::{EncodingKey, create_jwt};
use octocrab::models::AppId;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::OnceCell;

use crate::answer::{self, Effect, escape};
use crate::budget::{Budgets, Payer};
use crate::client::{GitHubOptions, GitHubOptionsError};
use crate::path::ApiPath;
use crate::transport::{Answer, ApiRequest, Body, Transport};
use crate::wire;

/// octocrab's App tokens live for 9 minutes; one is used for less than half of that. Signing takes about a millisecond.
const APP_TOKEN_LIFETIME: Duration = Duration::from_secs(4 * 60);
/// While one key is replaced by another there are two.
const MAX_KEYS: usize = 2;

/// The App, as GitHub describes it ("Get the authenticated app").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppDescription {
    /// The account that it belongs to; None where an enterprise owns it, which has no repositories.
    pub owner: Option<Owner>,
    /// Its login, which is its slug and `[bot]`; None where GitHub does not tell the slug.
    pub login: Option<Login>,
}

/// Calls as the App.
pub(crate) struct App {
    transport: Arc<Transport>,
    budgets: Arc<Budgets>,
    id: AppId,
    keys: Vec<EncodingKey>,
    signed: Mutex<Signed>,
    description: OnceCell<AppDescription>,
}

/// The key in use, and what it signed last.
#[derive(Default)]
struct Signed {
    key: usize,
    last: Option<(Instant, SecretString)>,
}

impl App {
    pub(crate) fn new(
        options: &GitHubOptions,
        transport: Arc<Transport>,
        budgets: Arc<Budgets>,
    ) -> Result<Self, GitHubOptionsError> {
        let blocks = pem_blocks(options.private_key.expose_secret());
        if !(1..=MAX_KEYS).contains(&blocks.len()) {
            return Err(GitHubOptionsError::PrivateKey);
        }
        let keys: Result<Vec<_>, _> = blocks.iter().map(|pem| EncodingKey::from_rsa_pem(pem.as_bytes())).collect();
        let keys = keys.map_err(|_| GitHubOptionsError::PrivateKey)?;
        let id = AppId(options.app_id);
        Ok(Self { transport, budgets, id, keys, signed: Mutex::default(), description: OnceCell::new() })
    }

    /// Its id.
    pub(crate) fn id(&self) -> u64 {
        self.id.0
    }

    /// Its login, which marks what it wrote.
    pub(crate) async fn login(&self) -> Result<&Login, GitHubError> {
        let login = self.describe().await?.login.as_ref();
        login.ok_or_else(|| unavailable("GitHub does not tell the App's slug"))
    }

    /// Makes one call. Where GitHub refuses the key (401), it has done nothing, and the other key has its turn.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &ApiPath,
        body: Option<Vec<u8>>,
        effect: Effect,
        limit: usize,
    ) -> Result<Answer, GitHubError> {
        let (key, authorization) = self.authorization()?;
        let send = |authorization| {
            let (method, body) = (method.clone(), body.clone());
            self.send(ApiRequest { method, path, authorization, if_none_match: None, body, limit }, effect)
        };
        let answer = send(&authorization).await?;
        if answer.status != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        self.forget(key);
        let Some(other) = (0..self.keys.len()).find(|other| *other != key) else { return Ok(answer) };
        let authorization = self.sign(other)?;
        let answer = send(&authorization).await?;
        if answer.status != StatusCode::UNAUTHORIZED {
            self.change_key(other, authorization);
        }
        Ok(answer)
    }

    /// "Get the authenticated app". Asked once.
    pub(crate) async fn describe(&self) -> Result<&AppDescription, GitHubError> {
        let described = self.description.get_or_try_init(async || {
            let answer = self.call(Method::GET, &ApiPath::app(), None, Effect::Read, BODY_LIMIT).await?;
            if !answer.status.is_success() {
                return Err(answer::failure(&answer, Effect::Read, Timestamp::now()));
            }
            let app = parse::<wire::App>(&answer)?;
            let login = app.slug.and_then(|slug| format!("{slug}[bot]").parse().ok());
            Ok(AppDescription { owner: app.owner.and_then(|owner| owner.login), login })
        });
        described.await
    }

    async fn send(&self, request: ApiRequest<'_>, effect: Effect) -> Result<Answer, GitHubError> {
        let permit = self.budgets.acquire(Payer::App, &request.method).await?;
        let sent = self.transport.send(request).await;
        permit.settle(sent.as_ref().ok());
        sent.map_err(|error| answer::no_answer(error, effect))
    }

    /// The whole `Authorization` header, and the key that signed it.
    fn authorization(&self) -> Result<(usize, SecretString), GitHubError> {
        let mut signed = self.signed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, authorization)) = &signed.last
            && at.elapsed() < APP_TOKEN_LIFETIME
        {
            return Ok((signed.key, authorization.clone()));
        }
        let authorization = self.sign(signed.key)?;
        signed.last = Some((Instant::now(), authorization.clone()));
        Ok((signed.key, authorization))
    }

    fn sign(&self, key: usize) -> Result<SecretString, GitHubError> {
        let token = self.keys.get(key).and_then(|key| create_jwt(self.id, key).ok());
        let token = token.ok_or_else(|| GitHubError::Unavailable("the App's key cannot sign".to_owned()))?;
        Ok(format!("Bearer {token}").into())
    }

    /// Forgets what a key signed.
    fn forget(&self, key: usize) {
        let mut signed = self.signed.lock().unwrap_or_else(PoisonError::into_inner);
        if signed.key == key {
            signed.last = None;
        }
    }

    fn change_key(&self, key: usize, authorization: SecretString) {
        let mut signed = self.signed.lock().unwrap_or_else(PoisonError::into_inner);
        if signed.key != key {
            tracing::warn!(
                refused = signed.key + 1,
                in_use = key + 1,
                "GitHub refuses one of the App's two private keys; the other one is in use now"
            );
        }
        *signed = Signed { key, last: Some((Instant::now(), authorization)) };
    }
}

/// GitHub's answers here are a few KiB.
pub(crate) const BODY_LIMIT: usize = 256 * 1024;

/// The PEM blocks of a text, one after the other.
pub(crate) fn pem_blocks(text: &str) -> Vec<&str> {
    let begins: Vec<usize> = text.match_indices("-----BEGIN ").map(|(at, _)| at).collect();
    let ends = begins.iter().skip(1).copied().chain([text.len()]);
    begins.iter().zip(ends).filter_map(|(begin, end)| text.get(*begin..end)).collect()
}

/// Reads an answer that may hold a secret: no error quotes it.
pub(crate) fn parse<'a, T: serde::Deserialize<'a>>(answer: &'a Answer) -> Result<T, GitHubError> {
    let parsed = match &answer.body {
        Body::Whole(bytes) => serde_json::from_slice(bytes).ok(),
        Body::Cut(_) | Body::Broken(_) => None,
    };
    parsed.ok_or_else(|| answer::unreadable(answer))
}

/// Reads what GitHub says of something that it made just now. It was made also where that cannot be read.
pub(crate) fn created<'a, T: serde::Deserialize<'a>>(answer: &'a Answer) -> Result<T, GitHubError> {
    parse(answer).map_err(|error| match error {
        GitHubError::Unavailable(why) => GitHubError::InDoubt(why),
        error => error,
    })
}

pub(crate) fn unavailable(error: &str) -> GitHubError {
    GitHubError::Unavailable(escape(error, 300))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_told_apart_whatever_stands_between_them() {
        let a = "-----BEGIN RSA PRIVATE KEY-----\nA\n-----END RSA PRIVATE KEY-----";
        let b = "-----BEGIN PRIVATE KEY-----\r\nB\r\n-----END PRIVATE KEY-----\r\n";
        for (text, blocks) in [
            (String::new(), vec![]),
            ("no key".to_owned(), vec![]),
            (a.to_owned(), vec![a]),
            (format!("# old\n{a}"), vec![a]),
            (format!("{a}{b}"), vec![a, b]),
            (format!("{b}{a}"), vec![b, a]),
        ] {
            assert_eq!(pem_blocks(&text), blocks, "{text}");
        }
    }
}
