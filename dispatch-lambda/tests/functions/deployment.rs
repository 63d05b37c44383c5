//! All functions as processes, between an emulated AWS and an emulated GitHub, and what AWS does between the functions: the
//! gateway turns requests into events, queues and the table's stream hand out batches.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodbstreams::types::{AttributeValue, OperationType, ShardIteratorType};
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
use tokio::task::JoinSet;

use crate::aws;
use crate::aws::table::Table;
use crate::runtime::Function;

/// How long something may take that takes moments.
const PATIENCE: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How often queues and the stream are looked at where nothing was done: for messages that were kept back.
const POLL_EVERY: Duration = Duration::from_secs(1);
pub(crate) const ADMIN_TOKEN: &str = "a token for the tests of the functions";

/// The processes, by the names of their functions.
pub(crate) struct Functions {
    processes: BTreeMap<&'static str, Function>,
    /// Told whenever one of them has done something.
    done: Notify,
}

impl Functions {
    /// Hands an event to a function.
    pub(crate) async fn invoke(&self, function: &str, event: Value) -> Result<Value, Value> {
        let answer = self.processes[function].invoke(event).await;
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

pub(crate) struct Deployment {
    pub(crate) table: Table,
    pub(crate) webhook_url: String,
    pub(crate) queues: BTreeMap<&'static str, String>,
    functions: Arc<Functions>,
    pub(crate) webhook_secret: String,
    carriers: JoinSet<()>,
}

impl Deployment {
    /// Deploys everything for the App of an emulator, which delivers there from now on.
    pub(crate) async fn beside(emulator: &Emulator) -> Self {
        let table = Table::new().await;
        let name = &table.name;
        let mut queues = BTreeMap::new();
        for queue in ["requests", "targets", "facts"] {
            let made = sqs().create_queue().queue_name(format!("{name}-{queue}"));
            let made = made.attributes(QueueAttributeName::VisibilityTimeout, "10").send().await.unwrap();
            queues.insert(queue, made.queue_url.unwrap());
        }
        make_bus(name, &queues["facts"]).await;
        let mut variables = BTreeMap::from([
            ("AWS_REGION", aws::REGION.to_string()),
            ("AWS_SECRET_ACCESS_KEY", "emulated".to_owned()),
            ("AWS_ENDPOINT_URL", aws::endpoint().to_owned()),
            ("TABLE_NAME", name.clone()),
            ("REQUESTS_QUEUE_URL", queues["requests"].clone()),
            ("TARGETS_QUEUE_URL", queues["targets"].clone()),
            ("EVENT_BUS_NAME", name.clone()),
            ("GITHUB_API_URL", emulator.api_url()),
            ("GITHUB_APP_ID", emulator.app_id().to_string()),
            ("GITHUB_APP_SLUG", emulator.world().app().slug.clone()),
            ("OWNER_ALLOWLIST", "acme".to_owned()),
        ]);
        let webhook_secret = make_secret(name, "webhook_secret", emulator.webhook_secret()).await;
        variables.insert("GITHUB_WEBHOOK_SECRET_ARN", webhook_secret.clone());
        variables.insert(
            "GITHUB_APP_PRIVATE_KEY_ARN",
            make_secret(name, "app_private_key", emulator.private_key_pem()).await,
        );
        variables.insert("ADMIN_TOKEN_ARN", make_secret(name, "admin_token", ADMIN_TOKEN).await);
        let mut functions = BTreeMap::new();
        for function in ["ingress", "planner", "dispatcher", "facts", "admin", "schedule", "publisher"] {
            // By its key the emulation knows who asks.
            let mut variables = variables.clone();
            variables.insert("AWS_ACCESS_KEY_ID", format!("{name}-{function}"));
            functions.insert(function, Function::start(function, &variables).await);
        }
        let functions = Arc::new(Functions { processes: functions, done: Notify::new() });
        let mut carriers = JoinSet::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let webhook_url = format!("http://{}/webhooks/github", listener.local_addr().unwrap());
        emulator.set_webhook_url(&webhook_url);
        carriers.spawn(gateway(Arc::clone(&functions), listener));
        for (queue, function) in [("requests", "planner"), ("targets", "dispatcher"), ("facts", "facts")] {
            carriers.spawn(queue_to(Arc::clone(&functions), queues[queue].clone(), function));
        }
        carriers.spawn(stream_to(Arc::clone(&functions), table.stream.clone()));
        // GitHub waits ten seconds for an answer, and many functions may be starting at once.
        let health = gateway_event("GET", "/health", &json!({}), None);
        assert_eq!(functions.invoke("ingress", health).await.unwrap()["statusCode"], 200);
        Self { table, webhook_url, queues, functions, webhook_secret, carriers }
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

    /// Takes away what carries events between the functions: from now on nothing comes by itself.
    pub(crate) async fn carry_nothing(&mut self) {
        self.carriers.shutdown().await;
    }
}

impl Drop for Deployment {
    /// Ends the processes before what they talk to.
    fn drop(&mut self) {
        self.functions.processes.values().for_each(Function::end);
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

/// A bus whose events go to a queue.
async fn make_bus(name: &str, queue: &str) {
    let attributes = sqs().get_queue_attributes().queue_url(queue).attribute_names(QueueAttributeName::QueueArn);
    let arn = attributes.send().await.unwrap().attributes.unwrap()[&QueueAttributeName::QueueArn].clone();
    let bus = aws_sdk_eventbridge::Client::new(&aws::config());
    bus.create_event_bus().name(name).send().await.unwrap();
    let pattern = json!({ "source": ["dispatch"] }).to_string();
    bus.put_rule().event_bus_name(name).name(name).event_pattern(pattern).send().await.unwrap();
    let target = Target::builder().id("facts").arn(arn).build().unwrap();
    bus.put_targets().event_bus_name(name).rule(name).targets(target).send().await.unwrap();
}

/// A request as an HTTP API hands it on (payload format 2.0).
pub(crate) fn gateway_event(method: &str, path: &str, headers: &Value, body: Option<&str>) -> Value {
    json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": "",
        "headers": headers,
        "requestContext": {
            "accountId": "000000000000",
            "apiId": "api-id",
            "domainName": "dispatch.example.com",
            "http": { "method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "x" },
            "requestId": "id",
            "routeKey": "$default",
            "stage": "$default",
            "time": "02/Jan/2026:03:04:05 +0000",
            "timeEpoch": 1_767_323_045_000_u64,
        },
        "body": body,
        "isBase64Encoded": false,
    })
}

/// Messages as a queue hands them to a function.
pub(crate) fn queue_event(messages: &[(&str, &str)]) -> Value {
    let record = |(id, body): &(&str, &str)| {
        json!({
            "messageId": id,
            "receiptHandle": "handle",
            "body": body,
            "attributes": { "ApproximateReceiveCount": "1", "SentTimestamp": "1767323045000" },
            "messageAttributes": {},
            "md5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3",
            "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:eu-west-1:000000000000:tested",
            "awsRegion": "eu-west-1",
        })
    };
    json!({ "Records": messages.iter().map(record).collect::<Vec<_>>() })
}

/// The messages or places that an answer says have failed.
pub(crate) fn failed(answer: &Value) -> Vec<&str> {
    let failures = answer["batchItemFailures"].as_array().expect("an answer about a batch");
    failures.iter().map(|failure| failure["itemIdentifier"].as_str().unwrap()).collect()
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
        let answer = functions.invoke("ingress", event).await.unwrap();
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
        let answer = functions.invoke(function, queue_event(&texts)).await.unwrap();
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
        let answer = functions.invoke("publisher", json!({ "Records": batch })).await.unwrap();
        if failed(&answer).is_empty() {
            place = found.next_shard_iterator;
        }
    }
}

/// A change as a stream hands it to a function.
fn stream_record(record: aws_sdk_dynamodbstreams::types::Record) -> Value {
    let change = record.dynamodb.unwrap();
    let texts = |item: Option<std::collections::HashMap<String, AttributeValue>>| -> BTreeMap<String, Value> {
        let texts = item.unwrap_or_default().into_iter();
        texts.filter_map(|(name, value)| Some((name, json!({ "S": value.as_s().ok()? })))).collect()
    };
    json!({
        "eventID": "1",
        "eventName": record.event_name.as_ref().map_or("", OperationType::as_str),
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "eu-west-1",
        "dynamodb": {
            "ApproximateCreationDateTime": 1_767_323_045,
            "Keys": texts(change.keys),
            "NewImage": texts(change.new_image),
            "SequenceNumber": change.sequence_number,
            "SizeBytes": 1,
            "StreamViewType": "NEW_IMAGE",
        },
    })
}
