//! A plain HTTP client, a receiver of webhooks, and the little organisation that the tests are about.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use axum::routing::post;
use dispatch_core::name::Repository;
use dispatch_core::testing::World;
use dispatch_core::testing::world::RepositoryOptions;
use dispatch_github::emulator::{Emulator, EmulatorOptions};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use tokio::sync::mpsc;

pub(crate) const CD: &str = "name: deploy
on:
  workflow_dispatch:
    inputs:
      git_sha: { required: true, type: string }
jobs: {}
";

pub(crate) fn repository(name: &str) -> Repository {
    name.parse().unwrap()
}

/// `octo-org/api` and `octo-org/web`, the App installed on both.
pub(crate) fn world() -> World {
    let mut world = World::new(Timestamp::now());
    for name in ["octo-org/api", "octo-org/web"] {
        let repository = repository(name);
        world.add_repository(&repository, RepositoryOptions::default()).unwrap();
        world.write_file(&repository, "main", "dispatching.yml", "inbound: []\n").unwrap();
        world.write_file(&repository, "main", ".github/workflows/ci.yml", "on: push\njobs: {}\n").unwrap();
        world.write_file(&repository, "main", ".github/workflows/cd.yml", CD).unwrap();
    }
    world
}

pub(crate) async fn emulator() -> Emulator {
    Emulator::start(world(), EmulatorOptions::default()).await.unwrap()
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Got {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    pub(crate) fn message(&self) -> String {
        self.json()["message"].as_str().unwrap_or_default().to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// One request. The error is a connection that ended without an answer.
pub(crate) async fn send(
    emulator: &Emulator,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<&Value>,
) -> Result<Got, hyper_util::client::legacy::Error> {
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let mut request = Request::builder()
        .method(Method::from_bytes(method.as_bytes()).unwrap())
        .uri(format!("{}{path}", emulator.api_url()));
    if headers.iter().all(|(name, _)| *name != "user-agent") {
        request = request.header("user-agent", "test");
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let body = body.map(|body| body.to_string()).unwrap_or_default();
    let response = client.request(request.body(Full::from(body)).unwrap()).await?;
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Ok(Got { status: head.status.as_u16(), headers: head.headers, body })
}

/// A request with a token or a JWT.
pub(crate) async fn call(emulator: &Emulator, credential: &str, method: &str, path: &str, body: Option<&Value>) -> Got {
    send(emulator, method, path, &[("authorization", &format!("Bearer {credential}"))], body).await.unwrap()
}

/// A JWT with these claims, signed by the emulator's key.
pub(crate) fn signed(claims: &Value) -> String {
    let key = include_str!("../../src/emulator/key.pem");
    let key = EncodingKey::from_rsa_pem(key.as_bytes()).unwrap();
    jsonwebtoken::encode(&Header::new(Algorithm::RS256), claims, &key).unwrap()
}

pub(crate) fn jwt(emulator: &Emulator) -> String {
    let now = Timestamp::now().as_second();
    signed(&json!({ "iat": now - 60, "exp": now + 500, "iss": emulator.app_id() }))
}

/// A token for one repository with these permissions.
pub(crate) async fn token(emulator: &Emulator, name: &str, permissions: Value) -> String {
    let jwt = jwt(emulator);
    let installation = call(emulator, &jwt, "GET", &format!("/repos/{name}/installation"), None).await.json();
    let path = format!("/app/installations/{}/access_tokens", installation["id"]);
    let body = json!({ "repositories": [repository(name).name()], "permissions": permissions });
    let minted = call(emulator, &jwt, "POST", &path, Some(&body)).await;
    assert_eq!(minted.status, 201, "{:?}", minted.json());
    minted.json()["token"].as_str().unwrap().to_owned()
}

/// A webhook as it arrived.
#[derive(Debug)]
pub(crate) struct Arrived {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Arrived {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }
}

/// Receives webhooks and answers each with the status.
pub(crate) struct Receiver {
    pub(crate) url: String,
    arrived: mpsc::UnboundedReceiver<Arrived>,
}

impl Receiver {
    pub(crate) async fn start(status: u16) -> Self {
        let (sender, arrived) = mpsc::unbounded_channel();
        let status = StatusCode::from_u16(status).unwrap();
        let take = move |State(sender): State<Arc<mpsc::UnboundedSender<Arrived>>>, headers: HeaderMap, body: Bytes| async move {
            sender.send(Arrived { headers, body }).unwrap();
            status
        };
        let router = Router::new().route("/hook", post(take)).with_state(Arc::new(sender));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, arrived }
    }

    pub(crate) async fn next(&mut self) -> Arrived {
        tokio::time::timeout(Duration::from_secs(10), self.arrived.recv()).await.expect("a webhook in time").unwrap()
    }
}
