//! What the DynamoDB store makes of answers that an emulation does not give: those of a table that many write to, and those
//! that get lost.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use dispatch_core::Timestamp;
use dispatch_core::decide::{Edge, EdgeKey};
use dispatch_core::delivery::DeliveryKey;
use dispatch_core::fact::{Fact, FactBody, Subject};
use dispatch_core::name::{InstallationId, RepositoryId};
use dispatch_core::ports::store::{Claim, Commit, Queue, Record, RecordKey, StoreError, StorePort, Stored, Write};
use dispatch_core::report::{Failure, FailureKind, Report, ReportKey};
use dispatch_core::revocation::{AccessLost, Extent, Revocation};
use dispatch_lambda::DynamoStore;
use serde_json::{Value, json};

const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);

/// A DynamoDB that gives the answers that it is told, and remembers what it was asked. Without a further answer, it gives the last
/// one.
struct Told {
    store: DynamoStore,
    heard: Arc<Mutex<Heard>>,
}

struct Heard {
    answers: VecDeque<(u16, Value)>,
    asked: Vec<(String, Value)>,
}

impl Told {
    async fn new(answers: impl IntoIterator<Item = (u16, Value)>) -> Self {
        let heard = Arc::new(Mutex::new(Heard { answers: answers.into_iter().collect(), asked: Vec::new() }));
        let router = Router::new().fallback(answer).layer(DefaultBodyLimit::disable()).with_state(Arc::clone(&heard));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static("eu-west-1"))
            .credentials_provider(Credentials::new("told", "told", None, None, "tests"))
            .endpoint_url(endpoint);
        let client = aws_sdk_dynamodb::Client::from_conf(config.build());
        Self { store: DynamoStore::new(client, "dispatch", Duration::from_secs(60)), heard }
    }

    fn asked(&self) -> Vec<(String, Value)> {
        self.heard.lock().unwrap().asked.clone()
    }

    /// The tokens of the transactions, and how many items each had.
    fn transactions(&self) -> Vec<(String, usize)> {
        let token = |body: &Value| body["ClientRequestToken"].as_str().unwrap().to_owned();
        let asked = self.asked().into_iter().filter(|(operation, _)| operation == "TransactWriteItems");
        asked.map(|(_, body)| (token(&body), body["TransactItems"].as_array().unwrap().len())).collect()
    }
}

async fn answer(State(heard): State<Arc<Mutex<Heard>>>, headers: HeaderMap, body: String) -> Response {
    let mut heard = heard.lock().unwrap();
    let operation = headers["x-amz-target"].to_str().unwrap().rsplit('.').next().unwrap().to_owned();
    heard.asked.push((operation, serde_json::from_str(&body).unwrap()));
    let (status, answer) =
        if heard.answers.len() > 1 { heard.answers.pop_front() } else { heard.answers.front().cloned() }
            .expect("an answer");
    (StatusCode::from_u16(status).unwrap(), [("content-type", "application/x-amz-json-1.0")], answer.to_string())
        .into_response()
}

fn done() -> (u16, Value) {
    (200, json!({}))
}

fn error(status: u16, name: &str) -> (u16, Value) {
    (status, json!({ "__type": format!("com.amazonaws.dynamodb.v20120810#{name}"), "message": "no" }))
}

fn cancelled<const N: usize>(reasons: [&str; N]) -> (u16, Value) {
    let (status, mut answer) = error(400, "TransactionCanceledException");
    answer["CancellationReasons"] =
        reasons.iter().map(|code| json!({ "Code": code, "Message": "too large" })).collect();
    (status, answer)
}

fn edge(name: &str) -> Record {
    let key = EdgeKey { source: "acme/api".parse().unwrap(), target: name.parse().unwrap() };
    Record::Edge(key, Edge { source: RepositoryId(1), target: RepositoryId(2) })
}

fn fact(sequence: u32) -> Fact {
    let key = DeliveryKey { id: "delivery-1".parse().unwrap(), body_sha256: "0".repeat(64) };
    let body = FactBody::DispatchFailed { error: "no answer".to_owned() };
    Fact { subject: Subject::delivery(key), sequence, time: NOW, body, happened: None }
}

/// One record and two facts.
fn step() -> Commit {
    Commit { writes: vec![Write { record: edge("acme/web"), expected: None }], facts: vec![fact(0), fact(1)] }
}

#[tokio::test]
async fn a_try_whose_answer_was_lost_does_not_stand_in_the_way_of_the_next_one() {
    let lost = error(500, "InternalServerError");
    let busy = cancelled(["None", "TransactionConflict", "None"]);
    let under_way = error(400, "TransactionInProgressException");
    let told = Told::new([lost, busy, under_way, done()]).await;
    assert_eq!(told.store.commit(step()).await, Ok(()));
    let transactions = told.transactions();
    assert_eq!(transactions.len(), 4);
    assert!(transactions.iter().all(|one| *one == transactions[0]), "DynamoDB knows it by its token: {transactions:?}");
    assert_eq!(told.store.commit(step()).await, Ok(()));
    assert_ne!(told.transactions()[4].0, transactions[0].0, "another step has another one");
}

#[tokio::test]
async fn a_step_is_written_without_the_facts_that_exist() {
    let told = Told::new([cancelled(["None", "ConditionalCheckFailed", "TransactionConflict"]), done()]).await;
    assert_eq!(told.store.commit(step()).await, Ok(()));
    let transactions = told.transactions();
    assert_eq!(transactions.iter().map(|(_, items)| *items).collect::<Vec<_>>(), [3, 2]);
    assert_ne!(transactions[0].0, transactions[1].0, "what is not the same has not the same token");
    let left = &told.asked()[1].1["TransactItems"][1]["Put"]["Item"]["pk"]["S"];
    assert!(left.as_str().unwrap().ends_with("#1"), "{left}");

    let told = Told::new([cancelled(["ConditionalCheckFailed", "ConditionalCheckFailed"]), done()]).await;
    let facts = Commit { writes: Vec::new(), facts: vec![fact(0), fact(0), fact(1)] };
    assert_eq!(told.store.commit(facts).await, Ok(()));
    assert_eq!(
        told.transactions().iter().map(|(_, items)| *items).collect::<Vec<_>>(),
        [2],
        "nothing is left to write"
    );
    assert_eq!(told.store.commit(Commit::default()).await, Ok(()));
    assert_eq!(told.asked().len(), 1, "a step of nothing asks for nothing");
}

#[tokio::test]
async fn a_record_that_has_changed_is_a_conflict_whatever_else_there_is() {
    for reasons in [
        ["None", "ConditionalCheckFailed", "None", "None"],
        ["TransactionConflict", "ConditionalCheckFailed", "None", "ThrottlingError"],
        ["None", "ConditionalCheckFailed", "ConditionalCheckFailed", "ConditionalCheckFailed"],
    ] {
        let told = Told::new([cancelled(reasons), done()]).await;
        let mut step = step();
        step.writes.push(Write { record: edge("acme/infra"), expected: Some(7) });
        assert_eq!(told.store.commit(step).await, Err(StoreError::Conflict(edge("acme/infra").key())), "{reasons:?}");
        assert_eq!(told.asked().len(), 1);
    }
}

#[tokio::test]
async fn others_are_waited_for_and_not_for_ever() {
    for reason in ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"] {
        let told = Told::new([cancelled(["None", reason, "None"])]).await;
        assert!(matches!(told.store.commit(step()).await, Err(StoreError::Unavailable(_))), "{reason}");
        assert!((5..=20).contains(&told.asked().len()), "{}", told.asked().len());
    }
    let told = Told::new([cancelled(["ValidationError", "None", "None"])]).await;
    assert_eq!(told.store.commit(step()).await, Err(StoreError::Illegal("too large".to_owned())));
    let told = Told::new([error(400, "ResourceNotFoundException")]).await;
    let Err(StoreError::Unavailable(message)) = told.store.commit(step()).await else { panic!("there is no table") };
    assert!(message.contains("ResourceNotFoundException"), "{message}");
}

/// A report of that many bytes.
fn report(workflow: u32, bytes: usize) -> Record {
    let workflow = format!("ci-{workflow}.yml").parse().unwrap();
    let failure = Failure {
        target: None,
        kind: FailureKind::Refused,
        message: "x".repeat(bytes),
        times: 1,
        first_at: NOW,
        last_at: NOW,
    };
    Record::Report(Box::new(Report {
        key: ReportKey { repository: RepositoryId(7), workflow },
        name: "acme/api".parse().unwrap(),
        issue: None,
        opening: None,
        failures: vec![failure],
        due: None,
        attempts: 0,
    }))
}

#[tokio::test]
async fn what_dynamodb_would_not_take_is_illegal_before_it_is_asked() {
    let told = Told::new([done()]).await;
    let step = |reports: u32, bytes| {
        let writes = (0..reports).map(|n| Write { record: report(n, bytes), expected: None });
        Commit { writes: writes.collect(), facts: Vec::new() }
    };
    let refused = |result| match result {
        Err(StoreError::Illegal(why)) => why,
        other => panic!("{other:?}"),
    };
    let why = refused(told.store.commit(step(1, 401_408)).await);
    let size = "the record `report/7/ci-0.yml` has 401";
    assert!(why.starts_with(size) && why.ends_with("bytes, and at most 401408 fit"), "{why}");
    let why = refused(told.store.commit(step(11, 380_000)).await);
    assert!(why.ends_with("bytes in one step, and DynamoDB takes 4000000"), "{why}");
    assert_eq!(told.asked().len(), 0);
    assert_eq!(told.store.commit(step(10, 380_000)).await, Ok(()));
}

#[tokio::test]
async fn what_was_not_read_is_asked_for_again_and_nothing_is_asked_for_twice() {
    let item = |name: &str| {
        let record = serde_json::to_string(&edge(name)).unwrap();
        let pk = format!("record/{}", edge(name).key());
        json!({ "pk": { "S": pk }, "sk": { "S": "-" }, "v": { "N": "3" }, "body": { "S": record } })
    };
    let key = |name: &str| json!({ "pk": item(name)["pk"], "sk": item(name)["sk"] });
    let answers = [
        json!({ "Responses": {}, "UnprocessedKeys": { "dispatch": { "Keys": [key("acme/a"), key("acme/b")] } } }),
        json!({ "Responses": { "dispatch": [item("acme/b")] }, "UnprocessedKeys": { "dispatch": { "Keys": [key("acme/a")] } } }),
        json!({ "Responses": { "dispatch": [item("acme/a")] } }),
    ];
    let told = Told::new(answers.map(|answer| (200, answer))).await;
    let names = ["acme/b", "acme/a", "acme/b"];
    let loaded = told.store.load(&names.map(|name| edge(name).key())).await.unwrap();
    assert_eq!(loaded, names.map(|name| Some(Stored { record: edge(name), version: 3 })));
    let keys = |(_, body): &(String, Value)| body["RequestItems"]["dispatch"]["Keys"].as_array().unwrap().len();
    assert_eq!(told.asked().iter().map(keys).collect::<Vec<_>>(), [2, 2, 1]);
    assert!(told.asked().iter().all(|(_, body)| body["RequestItems"]["dispatch"]["ConsistentRead"] == true));

    let nothing = json!({ "UnprocessedKeys": { "dispatch": { "Keys": [key("acme/a")] } } });
    let told = Told::new([(200, nothing)]).await;
    assert!(matches!(told.store.load(&[edge("acme/a").key()]).await, Err(StoreError::Unavailable(_))));

    let told = Told::new([(200, json!({ "Responses": {} }))]).await;
    let many: Vec<RecordKey> = (0..250).map(|n| edge(&format!("acme/{n}")).key()).collect();
    assert_eq!(told.store.load(&many).await.unwrap(), vec![None; 250]);
    assert!(told.asked().iter().all(|asked| keys(asked) <= 100), "as many at once as DynamoDB takes");
}

#[tokio::test]
async fn work_that_the_index_shows_too_late_is_left_to_whoever_has_it() {
    let record = |n: u32| {
        let key = DeliveryKey { id: format!("delivery-{n}").parse().unwrap(), body_sha256: "0".repeat(64) };
        let account = "acme".parse().unwrap();
        let lost = AccessLost { installation: InstallationId(1), account, extent: Extent::Installation };
        Record::Revocation(Box::new(Revocation { key, lost, received_at: NOW, due: Some(NOW), after: None }))
    };
    let text = |text: String| json!({ "S": text });
    let item = |n: u32| {
        json!({
            "pk": text(format!("record/{}", record(n).key())), "sk": text("-".into()), "lane": text("acme".into()),
            "v": { "N": "1" }, "wd": text(format!("due/100180000000000000{n}")),
            "body": text(serde_json::to_string(&record(n)).unwrap()),
        })
    };
    let index = [json!({ "Items": [] }), json!({ "Items": [] }), json!({ "Items": [item(1), item(2), item(3)] })];
    let index = index.map(|answer| (200, answer));
    let taken = error(400, "ConditionalCheckFailedException");
    let moved_on = error(400, "TransactionConflictException");
    let leased = (200, json!({ "Attributes": item(3) }));
    // The index is read again, and is no newer.
    let answers = index.clone().into_iter().chain([taken, moved_on, leased]).chain(index);
    let told = Told::new(answers).await;
    let claim = Claim { queue: Queue::Plan, now: NOW, lease: Duration::from_secs(60), limit: 1, per_lane: 9 };
    let claimed = told.store.claim(claim).await.unwrap();
    assert_eq!(claimed, [Stored { record: record(3), version: 1 }]);
    let asked = told.asked();
    let leases: Vec<_> = asked.iter().filter(|(operation, _)| operation == "UpdateItem").collect();
    assert_eq!(leases.len(), 3, "each was tried once");
    for (_, lease) in leases {
        assert_eq!(lease["ConditionExpression"], "v = :v AND wd = :wd");
        assert_eq!(lease["ExpressionAttributeValues"][":until"]["S"], "leased/1001800000060000000");
    }
}
