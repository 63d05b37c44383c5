//! A cold start of the functions on AWS Lambda: from the start of the process to its first answer, next to the least that a
//! function can be. What Lambda does before - to fetch the image, to start its virtual machine - is the same for both, and is
//! not measured.
//!
//! A server on loopback is all that a process talks to: the Runtime API, which hands out one event (AWS Lambda Developer
//! Guide, "Using the Lambda runtime API"), and AWS Secrets Manager. The request for the secret, where a function makes one, is
//! part of the time, and so is what TLS takes to be ready, where there are root certificates; but the request itself is answered
//! at once and goes without TLS, which on AWS it does not.
//!
//! Both are built as they are deployed, in the profile `lambda`: that takes minutes. They start in turns. Among the tests, the
//! least function starts once, as it was built for them.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout, missing_docs, reason = "a benchmark")]

#[path = "../../dispatch-lambda/tests/functions/events/gateway.rs"]
mod event;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use self::event::gateway_event;

/// How often each starts.
const STARTS: usize = 200;
const PATIENCE: Duration = Duration::from_secs(60);

/// What is started.
struct Candidate {
    name: &'static str,
    binary: PathBuf,
    /// The first event, and what the answer must have.
    event: Value,
    answer: (&'static str, Value),
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    if !std::env::args().any(|argument| argument == "--bench") {
        cold_start(&hello(env!("CARGO_BIN_EXE_hello").into())).await;
        return;
    }
    let hello = hello(built("dispatch-benches", "hello"));
    let functions = functions(&built("dispatch-lambda", "dispatch-lambda"));
    let mut times = vec![Vec::with_capacity(STARTS); functions.len() + 1];
    for _ in 0..STARTS {
        for (candidate, times) in std::iter::once(&hello).chain(&functions).zip(&mut times) {
            times.push(cold_start(candidate).await);
        }
    }
    println!("| function | median | 90 of 100 within | to `hello` | binary |\n|---|---|---|---|---|");
    let mut least = None;
    for (Candidate { name, binary, .. }, mut times) in std::iter::once(&hello).chain(&functions).zip(times) {
        times.sort();
        let (median, most) = (times[STARTS / 2], times[STARTS * 9 / 10]);
        let ratio = median.as_secs_f64() / least.get_or_insert(median).as_secs_f64();
        let size = std::fs::metadata(binary).unwrap().len();
        println!("| `{name}` | {median:.1?} | {most:.1?} | {ratio:.2}x | {:.1} MB |", size as f64 / 1e6);
    }
}

fn hello(binary: PathBuf) -> Candidate {
    Candidate { name: "hello", binary, event: request("/"), answer: ("body", "hello".into()) }
}

/// Those whose first event needs nothing of AWS.
fn functions(binary: &Path) -> Vec<Candidate> {
    let of = |name, event, answer| Candidate { name, binary: binary.to_owned(), event, answer };
    let nothing_failed = || ("batchItemFailures", json!([]));
    let empty_batch = || json!({ "Records": [] });
    vec![
        of("ingress", request("/health"), ("statusCode", 200.into())),
        of("admin", request("/health"), ("statusCode", 200.into())),
        of("planner", empty_batch(), nothing_failed()),
        of("facts", empty_batch(), nothing_failed()),
        of("publisher", empty_batch(), nothing_failed()),
    ]
}

fn request(path: &str) -> Value {
    gateway_event("GET", path, &json!({ "host": "dispatch.example.com" }), None)
}

/// A binary as it is deployed. Each package is built alone, because packages that are built together share their features.
fn built(package: &str, binary: &str) -> PathBuf {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--locked", "--profile", "lambda", "--package", package, "--bin", binary]);
    let output = cargo.arg("--message-format=json-render-diagnostics").stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "{binary} cannot be built");
    let messages = output.stdout.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
    let is_it = |message: &Value| message["target"]["name"] == binary && message["executable"].is_string();
    messages.into_iter().find(is_it).unwrap()["executable"].as_str().unwrap().into()
}

/// What the server of one process hands out, and where the answer goes.
struct Desk {
    event: Mutex<Option<Value>>,
    answered: mpsc::UnboundedSender<(Instant, Value)>,
}

/// Starts a process, and waits for its first answer. Each has a server of its own: what another asked for in its last moment
/// must not get the event.
async fn cold_start(candidate: &Candidate) -> Duration {
    let Candidate { name, binary, event, answer: (field, expected) } = candidate;
    let (answered, mut answers) = mpsc::unbounded_channel();
    let router = Router::new()
        .route("/2018-06-01/runtime/invocation/next", get(next))
        .route("/2018-06-01/runtime/invocation/id/response", post(answer))
        .route("/", post(secret))
        .with_state(Arc::new(Desk { event: Mutex::new(Some(event.clone())), answered }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let variables = variables(&listener.local_addr().unwrap().to_string());
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    let mut command = Command::new(binary);
    command.arg(name).env_clear().envs(variables).stdin(Stdio::null()).stdout(Stdio::null());
    let begin = Instant::now();
    let mut process = command.spawn().unwrap();
    let answered = tokio::time::timeout(PATIENCE, answers.recv()).await;
    process.kill().unwrap();
    process.wait().unwrap();
    server.abort();
    let (end, answer) = answered.unwrap().unwrap();
    assert_eq!(answer[field], *expected, "{name}: {answer}");
    end - begin
}

/// What Lambda and the deployment set.
fn variables(address: &str) -> Vec<(&'static str, String)> {
    let url = format!("http://{address}");
    let secret = |name: &str| format!("arn:aws:secretsmanager:eu-west-1:000000000000:secret:{name}");
    let mut variables = vec![
        ("AWS_LAMBDA_RUNTIME_API", address.to_owned()),
        ("AWS_ENDPOINT_URL", url.clone()),
        ("REQUESTS_QUEUE_URL", format!("{url}/requests")),
        ("TARGETS_QUEUE_URL", format!("{url}/targets")),
        ("GITHUB_WEBHOOK_SECRET_ARN", secret("text")),
        ("ADMIN_TOKEN_ARN", secret("text")),
        ("GITHUB_APP_PRIVATE_KEY_ARN", secret("key")),
    ];
    let rest = [
        ("AWS_LAMBDA_FUNCTION_NAME", "measured"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512"),
        ("AWS_REGION", "eu-west-1"),
        ("AWS_ACCESS_KEY_ID", "measured"),
        ("AWS_SECRET_ACCESS_KEY", "measured"),
        ("TABLE_NAME", "dispatch"),
        ("EVENT_BUS_NAME", "dispatch"),
        ("GITHUB_APP_ID", "1"),
        ("GITHUB_APP_SLUG", "dispatch"),
        ("OWNER_ALLOWLIST", "acme"),
        // As in the image.
        ("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt"),
    ];
    variables.extend(rest.map(|(name, value)| (name, value.to_owned())));
    variables
}

/// The event; whoever asks for another waits for ever.
async fn next(State(desk): State<Arc<Desk>>) -> Response {
    let event = desk.event.lock().unwrap().take();
    let Some(event) = event else { return std::future::pending().await };
    let headers = [
        ("lambda-runtime-aws-request-id", "id"),
        ("lambda-runtime-deadline-ms", "4102444800000"),
        ("lambda-runtime-invoked-function-arn", "arn:aws:lambda:eu-west-1:000000000000:function:measured"),
    ];
    (headers, Json(event)).into_response()
}

async fn answer(State(desk): State<Arc<Desk>>, body: Bytes) -> StatusCode {
    let end = Instant::now();
    desk.answered.send((end, serde_json::from_slice(&body).unwrap())).unwrap();
    StatusCode::ACCEPTED
}

/// `GetSecretValue`: there are two, by their kind.
async fn secret(body: Bytes) -> Json<Value> {
    let request: Value = serde_json::from_slice(&body).unwrap();
    let text = match request["SecretId"].as_str() {
        Some(arn) if arn.ends_with(":key") => include_str!("../../dispatch-github/tests/test-only-app-key.pem"),
        _ => "a secret of more than sixteen letters",
    };
    Json(json!({ "SecretString": text }))
}
