//! `ingress`: webhooks, with a secret that may be replaced while the function runs.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::response::Response;
use dispatch_axum::Service;
use dispatch_core::pipeline::Pipeline;
use dispatch_core::webhook::WebhookSecrets;
use http::StatusCode;
use lambda_http::{Body, Request, service_fn};
use secrecy::ExposeSecret;
use tokio::sync::Mutex;

use crate::gateway;
use crate::secrets::{Pace, Secret};

/// The webhook endpoint over a pipeline.
pub struct Ingress {
    pipeline: Pipeline,
    secret: Secret,
    current: Mutex<Current>,
}

/// What is believed now.
struct Current {
    router: Router,
    text: String,
    pace: Pace,
}

/// The secret is not one that webhooks are signed with.
#[derive(Debug, thiserror::Error)]
#[error("the webhook secret cannot be used: {0}")]
pub struct SecretError(String);

impl Ingress {
    /// Reads the secret once.
    ///
    /// # Errors
    /// [`SecretError`].
    pub async fn new(pipeline: Pipeline, secret: Secret) -> Result<Self, SecretError> {
        let (router, text) = read(&pipeline, &secret).await?;
        Ok(Self { pipeline, secret, current: Mutex::new(Current { router, text, pace: Pace::default() }) })
    }

    /// As what [`lambda_http::run`] runs.
    pub fn handler(
        self: Arc<Self>,
    ) -> impl lambda_http::Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone {
        service_fn(move |request: Request| {
            let ingress = Arc::clone(&self);
            async move { ingress.answer(request).await }
        })
    }

    /// Answers a request. Where the signature is wrong, the secret may have been replaced: it is read again, seldom enough for
    /// strangers to cost nothing, and the request is looked at once more if it has changed.
    async fn answer(&self, request: Request) -> Result<Response, Infallible> {
        let router = self.current.lock().await.router.clone();
        let again = copy(&request);
        let response = gateway::answer(router, request).await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return Ok(response);
        }
        match self.replaced().await {
            Some(router) => gateway::answer(router, again).await,
            None => Ok(response),
        }
    }

    /// The surface with another secret, if there is one by now.
    async fn replaced(&self) -> Option<Router> {
        let mut current = self.current.lock().await;
        if !current.pace.allows() {
            return None;
        }
        match read(&self.pipeline, &self.secret).await {
            Ok((_, text)) if text == current.text => None,
            Ok((router, text)) => {
                tracing::info!("the webhook secret was replaced");
                (current.router, current.text) = (router.clone(), text);
                Some(router)
            }
            Err(error) => {
                tracing::error!(%error, "the one before stays in force");
                None
            }
        }
    }
}

async fn read(pipeline: &Pipeline, secret: &Secret) -> Result<(Router, String), SecretError> {
    let text = secret.read().await.map_err(|error| SecretError(error.to_string()))?;
    let text = text.expose_secret().to_owned();
    let secrets: WebhookSecrets = text.parse().map_err(|error| SecretError(format!("{error}")))?;
    Ok((dispatch_axum::router(Service::new(pipeline.clone(), secrets)), text))
}

fn copy(request: &Request) -> Request {
    let body = match request.body() {
        Body::Text(text) => Body::Text(text.clone()),
        Body::Binary(bytes) => Body::Binary(bytes.clone()),
        _ => Body::Empty,
    };
    let mut copy = Request::new(body);
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    *copy.extensions_mut() = request.extensions().clone();
    copy
}
