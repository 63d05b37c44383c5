//! A function as Lambda runs it: for each event that is handled at the same time an environment, which is a process that asks
//! the Runtime API for its next event, and answers it there (AWS Lambda Developer Guide, "Understanding the Lambda execution
//! environment lifecycle" and "Using the Lambda runtime API").

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
use serde_json::{Value, json};
use tokio::sync::{OwnedMutexGuard, mpsc, oneshot};

/// Longer than any event takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often is looked whether a process has ended.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A function, and the environments that there are for it.
pub(crate) struct Function {
    name: &'static str,
    configuration: Mutex<Configuration>,
    environments: Mutex<Vec<Arc<Environment>>>,
}

/// What environments are made with.
#[derive(Clone)]
struct Configuration {
    variables: BTreeMap<&'static str, String>,
    /// How long an event may take.
    time_out: Duration,
}

/// A process.
struct Environment {
    process: Mutex<Child>,
    events: mpsc::UnboundedSender<Invocation>,
    /// Held while it has an event.
    turn: Arc<tokio::sync::Mutex<()>>,
}

/// An event, and where its answer goes.
struct Invocation {
    event: Value,
    deadline: SystemTime,
    answer: oneshot::Sender<Result<Value, Value>>,
}

/// The Runtime API of one process.
struct Api {
    events: tokio::sync::Mutex<mpsc::UnboundedReceiver<Invocation>>,
    waiting: Mutex<BTreeMap<String, oneshot::Sender<Result<Value, Value>>>>,
}

impl Function {
    /// The binary as this function, with these variables and those that Lambda sets. It starts when there is an event.
    pub(crate) fn new(name: &'static str, variables: BTreeMap<&'static str, String>) -> Self {
        let configuration = Mutex::new(Configuration { variables, time_out: PATIENCE });
        Self { name, configuration, environments: Mutex::default() }
    }

    /// Sets a variable of the processes that start from now on.
    pub(crate) fn set(&self, variable: &'static str, value: &str) {
        self.configuration.lock().unwrap().variables.insert(variable, value.to_owned());
    }

    /// Limits how long an event may take from now on.
    pub(crate) fn limit(&self, time_out: Duration) {
        self.configuration.lock().unwrap().time_out = time_out;
    }

    /// Hands an event to a process that has none, or to a new one, and waits for its answer; or for its error, which is
    /// Lambda's own where the process ended, or was ended because the time was over.
    pub(crate) async fn invoke(&self, event: Value) -> Result<Value, Value> {
        let configuration = self.configuration.lock().unwrap().clone();
        let (environment, _turn) = match self.idle() {
            Some(idle) => idle,
            None => self.start(&configuration.variables).await,
        };
        let error = tokio::select! {
            Some(answer) = environment.answer(event, configuration.time_out) => return answer,
            () = environment.ended() => "Runtime.ExitError",
            () = tokio::time::sleep(configuration.time_out) => "Sandbox.Timedout",
        };
        environment.end();
        self.environments.lock().unwrap().retain(|it| !Arc::ptr_eq(it, &environment));
        Err(json!({ "errorType": error }))
    }

    /// Stops the processes that have an event, as a machine that is suspended does: they do not notice.
    pub(crate) fn freeze(&self) {
        for environment in self.busy() {
            let id = environment.process.lock().unwrap().id().to_string();
            assert!(Command::new("kill").args(["-STOP", &id]).status().unwrap().success());
        }
    }

    /// Ends the processes that have an event, as SIGKILL does: nothing of them runs any more.
    pub(crate) fn kill(&self) {
        self.busy().iter().for_each(|environment| environment.end());
    }

    /// Ends all processes.
    pub(crate) fn end(&self) {
        self.environments.lock().unwrap().drain(..).for_each(|environment| environment.end());
    }

    fn idle(&self) -> Option<(Arc<Environment>, OwnedMutexGuard<()>)> {
        let environments = self.environments.lock().unwrap();
        environments.iter().find_map(|it| Some((Arc::clone(it), Arc::clone(&it.turn).try_lock_owned().ok()?)))
    }

    fn busy(&self) -> Vec<Arc<Environment>> {
        let environments = self.environments.lock().unwrap();
        let busy: Vec<_> = environments.iter().filter(|it| it.turn.try_lock().is_err()).map(Arc::clone).collect();
        assert!(!busy.is_empty(), "no process of `{}` has an event", self.name);
        busy
    }

    async fn start(&self, variables: &BTreeMap<&'static str, String>) -> (Arc<Environment>, OwnedMutexGuard<()>) {
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
            .arg(self.name)
            .env_clear()
            .envs(variables)
            .env("AWS_LAMBDA_RUNTIME_API", address.to_string())
            .env("AWS_LAMBDA_FUNCTION_NAME", self.name)
            .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let environment = Arc::new(Environment { process: Mutex::new(process), events, turn: Arc::default() });
        let turn = Arc::clone(&environment.turn).lock_owned().await;
        self.environments.lock().unwrap().push(Arc::clone(&environment));
        (environment, turn)
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        self.end();
    }
}

impl Environment {
    async fn answer(&self, event: Value, time_out: Duration) -> Option<Result<Value, Value>> {
        let (answer, answered) = oneshot::channel();
        let deadline = SystemTime::now() + time_out;
        self.events.send(Invocation { event, deadline, answer }).ok()?;
        answered.await.ok()
    }

    /// Returns when the process has ended.
    async fn ended(&self) {
        while self.process.lock().unwrap().try_wait().unwrap().is_none() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    fn end(&self) {
        let mut process = self.process.lock().unwrap();
        // It may have ended by itself.
        let _ = process.kill();
        let _ = process.wait();
    }
}

async fn next(State(api): State<Arc<Api>>) -> Response {
    // One process asks for one event at a time.
    let Some(Invocation { event, deadline, answer }) = api.events.lock().await.recv().await else {
        return StatusCode::GONE.into_response();
    };
    let since_1970 = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap();
    let id = format!("request-{}", since_1970(SystemTime::now()).as_nanos());
    api.waiting.lock().unwrap().insert(id.clone(), answer);
    let headers = [
        ("lambda-runtime-aws-request-id", id),
        ("lambda-runtime-deadline-ms", since_1970(deadline).as_millis().to_string()),
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
