//! A function as Lambda runs it: a process that asks the Runtime API for its next event, and answers it there (AWS Lambda
//! Developer Guide, "Using the Lambda runtime API").

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

/// Longer than any event takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A process that serves one function.
pub(crate) struct Function {
    process: Mutex<Child>,
    events: mpsc::UnboundedSender<Invocation>,
}

/// An event, and where its answer goes.
struct Invocation {
    event: Value,
    answer: oneshot::Sender<Result<Value, Value>>,
}

/// The Runtime API of one process.
struct Api {
    events: tokio::sync::Mutex<mpsc::UnboundedReceiver<Invocation>>,
    waiting: Mutex<BTreeMap<String, oneshot::Sender<Result<Value, Value>>>>,
}

impl Function {
    /// Starts the binary as this function, with these variables and those that Lambda sets.
    pub(crate) async fn start(name: &str, variables: &BTreeMap<&str, String>) -> Self {
        let (events, received) = mpsc::unbounded_channel();
        let api = Arc::new(Api { events: tokio::sync::Mutex::new(received), waiting: Mutex::default() });
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(respond))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(fail))
            .with_state(api);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let process = Command::new(env!("CARGO_BIN_EXE_dispatch-lambda"))
            .arg(name)
            .env_clear()
            .envs(variables)
            .env("AWS_LAMBDA_RUNTIME_API", address.to_string())
            .env("AWS_LAMBDA_FUNCTION_NAME", name)
            .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self { process: Mutex::new(process), events }
    }

    /// Hands an event to the function, and waits for its answer; or for its error.
    pub(crate) async fn invoke(&self, event: Value) -> Result<Value, Value> {
        let (answer, answered) = oneshot::channel();
        self.events.send(Invocation { event, answer }).expect("the Runtime API goes on");
        tokio::time::timeout(PATIENCE, answered).await.expect("it answers in time").expect("it answers")
    }
}

impl Function {
    /// Ends the process.
    pub(crate) fn end(&self) {
        let mut process = self.process.lock().unwrap();
        // It may have ended by itself.
        let _ = process.kill();
        let _ = process.wait();
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        self.end();
    }
}

async fn next(State(api): State<Arc<Api>>) -> Response {
    // One process asks for one event at a time.
    let Some(Invocation { event, answer }) = api.events.lock().await.recv().await else {
        return StatusCode::GONE.into_response();
    };
    let id = format!("request-{}", SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos());
    let deadline = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + PATIENCE;
    api.waiting.lock().unwrap().insert(id.clone(), answer);
    let headers = [
        ("lambda-runtime-aws-request-id", id),
        ("lambda-runtime-deadline-ms", deadline.as_millis().to_string()),
        ("lambda-runtime-invoked-function-arn", "arn:aws:lambda:eu-west-1:000000000000:function:tested".to_owned()),
    ];
    (headers, Json(event)).into_response()
}

async fn respond(State(api): State<Arc<Api>>, Path(id): Path<String>, body: Bytes) -> StatusCode {
    answer(&api, &id, Ok(serde_json::from_slice(&body).unwrap_or_default()))
}

async fn fail(State(api): State<Arc<Api>>, Path(id): Path<String>, body: Bytes) -> StatusCode {
    answer(&api, &id, Err(serde_json::from_slice(&body).unwrap_or_default()))
}

fn answer(api: &Api, id: &str, with: Result<Value, Value>) -> StatusCode {
    let waiting = api.waiting.lock().unwrap().remove(id).expect("an event that was handed out");
    // Whoever asked may have gone.
    let _ = waiting.send(with);
    StatusCode::ACCEPTED
}
