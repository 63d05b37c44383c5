//! All functions as processes, between an emulated AWS and an emulated GitHub, and what AWS does between the functions: the
//! gateway turns requests into events, queues and the table's stream hand out batches.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aws_sdk_dynamodbstreams::types::ShardIteratorType;
use aws_sdk_eventbridge::types::Target;
use aws_sdk_sqs::types::QueueAttributeName;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dispatch_github::emulator::Emulator;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::aws;
use crate::aws::table::Table;
use crate::events::{failed, gateway_event, queue_event, stream_record};
use crate::runtime::Function;
use crate::terraform;

/// How long something may take that takes moments.
const PATIENCE: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How often queues and the stream are looked at where nothing was done: for messages that were kept back.
const POLL_EVERY: Duration = Duration::from_secs(1);
pub(crate) const ADMIN_TOKEN: &str = "a token for the tests of the functions";

/// The queues of work, and the functions that do it.
const QUEUES: [(&str, &str); 3] = [("requests", "planner"), ("targets", "dispatcher"), ("facts", "facts")];
/// How often a message is handed out before it is given up: the default of the Terraform module.
pub(crate) const MAXIMUM_RECEIVES: u32 = 5;

/// The functions, by their names.
pub(crate) struct Functions {
    functions: BTreeMap<&'static str, Function>,
    /// Told whenever one of them has done something.
    done: Notify,
    /// How often an event had no answer but an error.
    failures: AtomicUsize,
}

impl Functions {
    /// Hands an event to a function.
    pub(crate) async fn invoke(&self, function: &str, event: Value) -> Result<Value, Value> {
        let answer = self.functions[function].invoke(event).await;
        self.failures.fetch_add(usize::from(answer.is_err()), Ordering::Relaxed);
        self.done.notify_waiters();
        answer
    }

    /// Waits until something was done, or for a while.
    async fn rest(&self) {
        tokio::select! {
            () = self.done.notified() => {}
            () = tokio::time::sleep(POLL_EVERY) => {}
        }
    }
}

/// How many messages a queue has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Messages {
    pub(crate) ready: u32,
    /// They come later.
    pub(crate) kept_back: u32,
    /// Somebody is at them.
    pub(crate) handed_out: u32,
}

impl Messages {
    pub(crate) fn all(self) -> u32 {
        self.ready + self.kept_back + self.handed_out
    }
}

pub(crate) struct Deployment {
    pub(crate) table: Table,
    pub(crate) webhook_url: String,
    pub(crate) queues: BTreeMap<&'static str, String>,
    functions: Arc<Functions>,
    pub(crate) webhook_secret: String,
    carriers: BTreeMap<&'static str, JoinHandle<()>>,
}

impl Deployment {
    /// Deploys everything for the App of an emulator, which delivers there from now on.
    pub(crate) async fn beside(emulator: &Emulator) -> Self {
        let table = Table::new().await;
        let name = &table.name;
        let queues = make_queues(name).await;
        make_bus(name, &queues["facts"]).await;
        let webhook_secret = make_secret(name, "webhook_secret", emulator.webhook_secret()).await;
        let parts: [(&str, &[(&str, String)]); 7] = [
            ("store", &[("TABLE_NAME", name.clone())]),
            (
                "queues",
                &[("REQUESTS_QUEUE_URL", queues["requests"].clone()), ("TARGETS_QUEUE_URL", queues["targets"].clone())],
            ),
            ("bus", &[("EVENT_BUS_NAME", name.clone())]),
            ("webhook", &[("GITHUB_WEBHOOK_SECRET_ARN", webhook_secret.clone())]),
            (
                "github",
                &[(
                    "GITHUB_APP_PRIVATE_KEY_ARN",
                    make_secret(name, "app_private_key", emulator.private_key_pem()).await,
                )],
            ),
            ("administrator", &[("ADMIN_TOKEN_ARN", make_secret(name, "admin_token", ADMIN_TOKEN).await)]),
            (
                "limits",
                &[
                    ("GITHUB_API_URL", emulator.api_url()),
                    ("GITHUB_APP_ID", emulator.app_id().to_string()),
                    ("GITHUB_APP_SLUG", emulator.world().app().slug.clone()),
                    ("OWNER_ALLOWLIST", "acme".to_owned()),
                ],
            ),
        ];
        let given = terraform::environments();
        let mut functions = BTreeMap::new();
        for (function, _) in dispatch_lambda::Function::ALL {
            let mut variables = BTreeMap::from([
                ("AWS_REGION", aws::REGION.to_string()),
                // By its key the emulation knows who asks.
                ("AWS_ACCESS_KEY_ID", format!("{name}-{function}")),
                ("AWS_SECRET_ACCESS_KEY", "emulated".to_owned()),
                ("AWS_ENDPOINT_URL", aws::endpoint().to_owned()),
            ]);
            let given = parts.iter().filter(|(part, _)| given[function].iter().any(|given| given == part));
            variables.extend(given.flat_map(|(_, variables)| variables.iter().cloned()));
            functions.insert(function, Function::new(function, variables));
        }
        let functions = Arc::new(Functions { functions, done: Notify::new(), failures: AtomicUsize::new(0) });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let webhook_url = format!("http://{}/webhooks/github", listener.local_addr().unwrap());
        emulator.set_webhook_url(&webhook_url);
        let gateway = tokio::spawn(gateway(Arc::clone(&functions), listener));
        let stream = tokio::spawn(stream_to(Arc::clone(&functions), table.stream.clone()));
        let carriers = BTreeMap::from([("gateway", gateway), ("stream", stream)]);
        let mut deployment = Self { table, webhook_url, queues, functions, webhook_secret, carriers };
        QUEUES.iter().for_each(|(queue, _)| deployment.carry(queue));
        // GitHub waits ten seconds for an answer, and many functions may be starting at once.
        let health = gateway_event("GET", "/health", &json!({}), None);
        assert_eq!(deployment.invoke("ingress", health).await.unwrap()["statusCode"], 200);
        deployment
    }

    /// Hands an event to a function.
    pub(crate) async fn invoke(&self, function: &str, event: Value) -> Result<Value, Value> {
        self.functions.invoke(function, event).await
    }

    /// Asks the dashboard; answers with the status and the body.
    pub(crate) async fn admin(&self, path: &str) -> (u64, String) {
        let headers = json!({ "authorization": format!("Bearer {ADMIN_TOKEN}"), "host": "dispatch.example.com" });
        let answer = self.invoke("admin", gateway_event("GET", path, &headers, None)).await.unwrap();
        (answer["statusCode"].as_u64().unwrap(), answer["body"].as_str().unwrap_or_default().to_owned())
    }

    /// How often a function failed as a whole: it ended, or took too long, or answered with an error.
    pub(crate) fn failures(&self) -> usize {
        self.functions.failures.load(Ordering::Relaxed)
    }

    /// A function, to be changed, or to be ended.
    pub(crate) fn function(&self, name: &str) -> &Function {
        &self.functions.functions[name]
    }

    /// Sets a variable of all functions, for the processes that start from now on.
    pub(crate) fn set(&self, variable: &'static str, value: &str) {
        self.functions.functions.values().for_each(|function| function.set(variable, value));
    }

    /// Hands out what comes in a queue, as from the start.
    pub(crate) fn carry(&mut self, queue: &str) {
        let (queue, function) = QUEUES.into_iter().find(|(name, _)| *name == queue).expect("a queue of work");
        let carrier = queue_to(Arc::clone(&self.functions), self.queues[queue].clone(), function);
        self.carriers.insert(queue, tokio::spawn(carrier));
    }

    /// Hands out nothing more from there: a queue, the `stream`, or the `gateway`.
    pub(crate) async fn hold(&mut self, carrier: &str) {
        let carrier = self.carriers.remove(carrier).expect("what carries");
        carrier.abort();
        // That it was aborted is what is waited for.
        let _ = carrier.await;
    }

    /// Takes away what carries events between the functions: from now on nothing comes by itself.
    pub(crate) async fn carry_nothing(&mut self) {
        let carriers: Vec<_> = self.carriers.keys().copied().collect();
        for carrier in carriers {
            self.hold(carrier).await;
        }
    }

    /// Sets how long a queue keeps a message from others after it was handed out.
    pub(crate) async fn hand_out_again_after(&self, queue: &str, time: Duration) {
        let set = sqs().set_queue_attributes().queue_url(&self.queues[queue]);
        set.attributes(QueueAttributeName::VisibilityTimeout, time.as_secs().to_string()).send().await.unwrap();
    }

    /// Takes all messages out of a queue that may be handed out now, and answers what they say.
    pub(crate) async fn take_messages(&self, queue: &str) -> Vec<Value> {
        let (sqs, url) = (sqs(), &self.queues[queue]);
        let mut messages = Vec::new();
        loop {
            let received = sqs.receive_message().queue_url(url).max_number_of_messages(10).send().await.unwrap();
            let Some(received) = received.messages.filter(|received| !received.is_empty()) else { return messages };
            for message in received {
                let handle = message.receipt_handle.unwrap();
                sqs.delete_message().queue_url(url).receipt_handle(handle).send().await.unwrap();
                messages.push(serde_json::from_str(&message.body.unwrap()).unwrap());
            }
        }
    }

    /// Moves all dead letters of a queue back into it, as a redrive does.
    pub(crate) async fn redrive(&self, dead_letters: &str, queue: &str) {
        for message in self.take_messages(dead_letters).await {
            sqs().send_message().queue_url(&self.queues[queue]).message_body(message.to_string()).send().await.unwrap();
        }
    }

    /// How many messages a queue has.
    pub(crate) async fn messages(&self, queue: &str) -> Messages {
        let asked = sqs().get_queue_attributes().queue_url(&self.queues[queue]);
        let answer = asked.attribute_names(QueueAttributeName::All).send().await.unwrap();
        let attributes = answer.attributes.unwrap();
        let number = |name: QueueAttributeName| attributes[&name].parse().unwrap();
        Messages {
            ready: number(QueueAttributeName::ApproximateNumberOfMessages),
            kept_back: number(QueueAttributeName::ApproximateNumberOfMessagesDelayed),
            handed_out: number(QueueAttributeName::ApproximateNumberOfMessagesNotVisible),
        }
    }
}

impl Drop for Deployment {
    /// Ends the processes before what they talk to.
    fn drop(&mut self) {
        self.carriers.values().for_each(JoinHandle::abort);
        self.functions.functions.values().for_each(Function::end);
    }
}

/// Waits until something is so.
pub(crate) async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let waited = tokio::time::timeout(PATIENCE, async {
        while !is_so().await {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("it never happens that {what}"));
}

pub(crate) fn secrets() -> aws_sdk_secretsmanager::Client {
    aws_sdk_secretsmanager::Client::new(&aws::config())
}

fn sqs() -> aws_sdk_sqs::Client {
    aws_sdk_sqs::Client::new(&aws::config())
}

async fn make_secret(deployment: &str, name: &str, value: &str) -> String {
    let made = secrets().create_secret().name(format!("{deployment}-{name}")).secret_string(value);
    made.send().await.unwrap().arn.unwrap()
}

/// The queues of work, each with its dead letters.
async fn make_queues(deployment: &str) -> BTreeMap<&'static str, String> {
    const DEAD_LETTERS: [&str; 3] = ["requests-dlq", "targets-dlq", "facts-dlq"];
    let mut queues = BTreeMap::new();
    for ((queue, _), dead_letters) in QUEUES.into_iter().zip(DEAD_LETTERS) {
        let made = sqs().create_queue().queue_name(format!("{deployment}-{dead_letters}")).send().await.unwrap();
        let url = made.queue_url.unwrap();
        let redrive = json!({ "deadLetterTargetArn": arn(&url).await, "maxReceiveCount": MAXIMUM_RECEIVES });
        queues.insert(dead_letters, url);
        let made = sqs().create_queue().queue_name(format!("{deployment}-{queue}"));
        let made = made.attributes(QueueAttributeName::VisibilityTimeout, "10");
        let made = made.attributes(QueueAttributeName::RedrivePolicy, redrive.to_string()).send().await.unwrap();
        queues.insert(queue, made.queue_url.unwrap());
    }
    queues
}

async fn arn(queue: &str) -> String {
    let attributes = sqs().get_queue_attributes().queue_url(queue).attribute_names(QueueAttributeName::QueueArn);
    attributes.send().await.unwrap().attributes.unwrap()[&QueueAttributeName::QueueArn].clone()
}

/// A bus whose events go to a queue.
async fn make_bus(name: &str, queue: &str) {
    let bus = aws_sdk_eventbridge::Client::new(&aws::config());
    bus.create_event_bus().name(name).send().await.unwrap();
    let pattern = json!({ "source": ["dispatch"] }).to_string();
    bus.put_rule().event_bus_name(name).name(name).event_pattern(pattern).send().await.unwrap();
    let target = Target::builder().id("facts").arn(arn(queue).await).build().unwrap();
    bus.put_targets().event_bus_name(name).rule(name).targets(target).send().await.unwrap();
}

/// What GitHub delivers to, and what hands it to `ingress`.
async fn gateway(functions: Arc<Functions>, listener: TcpListener) {
    async fn hand_on(
        State(functions): State<Arc<Functions>>,
        method: Method,
        uri: Uri,
        headers: HeaderMap,
        body: Bytes,
    ) -> (StatusCode, String) {
        let text = |value: &HeaderValue| value.to_str().unwrap_or_default().to_owned();
        let headers: BTreeMap<_, _> = headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
        let mut event = gateway_event(method.as_str(), uri.path(), &json!(headers), None);
        match std::str::from_utf8(&body) {
            Ok(text) => event["body"] = text.into(),
            Err(_) => (event["body"], event["isBase64Encoded"]) = (STANDARD.encode(&body).into(), true.into()),
        }
        let Ok(answer) = functions.invoke("ingress", event).await else {
            return (StatusCode::INTERNAL_SERVER_ERROR, String::new());
        };
        let status = u16::try_from(answer["statusCode"].as_u64().unwrap()).unwrap();
        (StatusCode::from_u16(status).unwrap(), answer["body"].as_str().unwrap_or_default().to_owned())
    }
    let router = Router::new().fallback(hand_on).layer(DefaultBodyLimit::disable()).with_state(functions);
    axum::serve(listener, router).await.unwrap();
}

/// Hands what comes in a queue to a function, and deletes what did not fail.
async fn queue_to(functions: Arc<Functions>, url: String, function: &'static str) {
    let sqs = sqs();
    loop {
        let received = sqs.receive_message().queue_url(&url).max_number_of_messages(10).send().await.unwrap();
        let messages = received.messages.unwrap_or_default();
        if messages.is_empty() {
            functions.rest().await;
            continue;
        }
        let texts: Vec<_> =
            messages.iter().map(|it| (it.message_id.as_deref().unwrap(), it.body.as_deref().unwrap())).collect();
        // Where the function failed as a whole, all of its messages come again.
        let Ok(answer) = functions.invoke(function, queue_event(&texts)).await else { continue };
        let failed = failed(&answer);
        for message in &messages {
            if !failed.contains(&message.message_id.as_deref().unwrap()) {
                let handle = message.receipt_handle.clone().unwrap();
                sqs.delete_message().queue_url(&url).receipt_handle(handle).send().await.unwrap();
            }
        }
    }
}

/// Hands what comes in the table's stream to `publisher`, again from what failed.
async fn stream_to(functions: Arc<Functions>, stream: String) {
    let streams = aws::streams();
    let described = streams.describe_stream().stream_arn(&stream).send().await.unwrap();
    let shard = described.stream_description.unwrap().shards.unwrap().remove(0).shard_id.unwrap();
    let iterator = streams.get_shard_iterator().stream_arn(&stream).shard_id(&shard);
    let iterator = iterator.shard_iterator_type(ShardIteratorType::TrimHorizon).send().await.unwrap();
    let mut place = iterator.shard_iterator;
    loop {
        let found = streams.get_records().set_shard_iterator(place.clone()).send().await.unwrap();
        let batch: Vec<_> = found.records.unwrap_or_default().into_iter().map(stream_record).collect();
        if batch.is_empty() {
            functions.rest().await;
            continue;
        }
        let answer = functions.invoke("publisher", json!({ "Records": batch })).await;
        if answer.is_ok_and(|answer| failed(&answer).is_empty()) {
            place = found.next_shard_iterator;
        }
    }
}
