//! What the items of the table say beside what the contract asks for.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use dispatch_core::Timestamp;
use dispatch_core::chain::Place;
use dispatch_core::decide::LaneKey;
use dispatch_core::dispatch::{Dispatch, DispatchState};
use dispatch_core::fact::{Fact, FactBody, Subject};
use dispatch_core::ports::store::{Claim, Commit, Queue, Record, StorePort, Stored, ViewQuery, WaitingQuery, Write};
use dispatch_core::projection::{EDGES, EVERYTHING, JOURNEY, PARKED, journey_partition};
use dispatch_core::testing::MemoryStore;

use crate::aws::table::{RETENTION, Table};
use crate::model::sample;

const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);

async fn write(store: &impl StorePort, record: Record, expected: Option<u64>) {
    store.commit(Commit { writes: vec![Write { record, expected }], facts: Vec::new() }).await.unwrap();
}

/// The `ttl` of the items whose keys begin so: None for an item that stays.
async fn ends(table: &Table, prefix: &str) -> Vec<Option<i64>> {
    let items = table.client.scan().table_name(&table.name).send().await.unwrap().items.unwrap();
    let of_kind = items.iter().filter(|item| item["pk"].as_s().unwrap().starts_with(prefix));
    of_kind.map(|item| item.get("ttl").map(|ttl| ttl.as_n().unwrap().parse().unwrap())).collect()
}

#[tokio::test]
async fn what_is_done_with_ends_and_what_waits_or_counts_stays() {
    let table = Table::new().await;
    let store = table.store();
    let waiting = Dispatch { decided_at: NOW, due: Some(NOW), ..sample(1) };
    write(&store, Record::Dispatch(Box::new(waiting.clone())), None).await;
    assert_eq!(ends(&table, "record/").await, [None], "it waits");
    let claim = Claim { queue: Queue::Dispatch, now: NOW, lease: Duration::from_secs(60), limit: 1, per_lane: 1 };
    assert_eq!(store.claim(claim).await.unwrap().len(), 1);
    let done = Dispatch { state: DispatchState::Triggered { run: None }, due: None, ..waiting };
    write(&store, Record::Dispatch(Box::new(done.clone())), Some(2)).await;
    let end = NOW.as_second() + i64::try_from(RETENTION.as_secs()).unwrap();
    assert_eq!(ends(&table, "record/").await, [Some(end)]);
    let indexed = table.client.scan().table_name(&table.name).index_name("work").send().await.unwrap();
    assert_eq!(indexed.count, 0, "what does not wait is in no index");

    let body = FactBody::DispatchFailed { error: "no answer".to_owned() };
    let subject = Subject::dispatch(done.delivery, done.key);
    let fact = Fact { subject, sequence: 0, time: NOW, body, happened: None };
    store.commit(Commit { writes: Vec::new(), facts: vec![fact.clone()] }).await.unwrap();
    store.apply(&[fact]).await.unwrap();
    assert_eq!(ends(&table, "fact/").await, [Some(end)]);
    assert_eq!(ends(&table, "row/").await, [Some(end), Some(end)]);
    assert!(ends(&table, "applied/").await[0] > Some(end), "a fact that comes late is known when it is gone itself");
    assert_eq!(ends(&table, "counter/").await, [None]);
}

/// A dispatch with the longest names that there are: a part of a sweep's event.
fn longest() -> Dispatch {
    let repository = format!("{}/{}", "o".repeat(39), "r".repeat(100));
    let workflow = format!("{}-.yml", "ü".repeat(125));
    let target: Place = serde_json::from_value(serde_json::json!({
        "repository": repository, "start": { "workflow": workflow },
    }))
    .unwrap();
    let (name, id) = ("e".repeat(100), u64::MAX);
    let event = format!("sweep:{id}:{id}:{repository}:{name}:2026-01-01T00:00:00.123456789Z:{repository}:{name}");
    let mut dispatch = sample(1);
    dispatch.key.event = serde_json::from_value(event.into()).unwrap();
    dispatch.key.target = target.clone();
    dispatch.delivery.id = "d".repeat(100).parse().unwrap();
    dispatch.source.name = repository.parse().unwrap();
    let happened = dispatch.source.happened.as_mut().unwrap();
    happened.what = Some(workflow);
    let branch = Some("ü".repeat(127).parse().unwrap());
    dispatch.source.lane = Some((LaneKey { source: target.clone(), branch, target }, 7));
    dispatch
}

#[tokio::test]
async fn the_longest_names_that_there_are_fit() {
    let table = Table::new().await;
    let (store, memory) = (table.store(), MemoryStore::new());
    let dispatch = Dispatch { due: Some(NOW), ..longest() };
    let lane = dispatch.source.lane.clone().unwrap().0;
    let records = [Record::Dispatch(Box::new(dispatch.clone())), Record::Lane(lane, 7)];
    let subject = Subject::dispatch(dispatch.delivery.clone(), dispatch.key.clone());
    let happened = dispatch.source.happened.clone().map(|happened| (dispatch.source.name.clone(), happened));
    let fact = |sequence: u32| Fact {
        subject: subject.clone(),
        sequence,
        time: NOW + Duration::from_secs(sequence.into()),
        body: FactBody::DispatchFailed { error: sequence.to_string() },
        happened: happened.clone(),
    };
    let facts: Vec<_> = (0..3).map(fact).collect();
    let writes = records.iter().map(|record| Write { record: record.clone(), expected: None }).collect();
    let commit = Commit { writes, facts: facts.clone() };
    memory.commit(commit.clone()).await.unwrap();
    store.commit(commit).await.unwrap();
    store.apply(&facts).await.unwrap();

    let keys = records.clone().map(|record| record.key());
    let loaded = store.load(&keys).await.unwrap();
    assert_eq!(loaded, records.map(|record| Some(Stored { record, version: 1 })));
    let all = WaitingQuery { queue: Queue::Dispatch, after: None, limit: 9 };
    assert_eq!(store.waiting(all.clone()).await.unwrap().len(), 1);
    let after = WaitingQuery { after: Some(keys[0].to_string()), ..all };
    assert_eq!(store.waiting(after).await.unwrap(), []);
    let claim = Claim { queue: Queue::Dispatch, now: NOW, lease: Duration::from_secs(60), limit: 9, per_lane: 9 };
    assert_eq!(store.claim(claim).await.unwrap().len(), 1);

    let journey = journey_partition(&dispatch.delivery);
    for (view, partition) in [(JOURNEY, journey.as_str()), (PARKED, EVERYTHING), (EDGES, EVERYTHING)] {
        let query = |before| ViewQuery { view, partition: partition.to_owned(), before, limit: 2 };
        let first = store.rows(query(None)).await.unwrap();
        assert_eq!(first, memory.rows(query(None)).await.unwrap(), "{view}");
        let before = first.last().map(|row| row.sort.clone());
        assert_eq!(store.rows(query(before.clone())).await, memory.rows(query(before)).await, "{view}: page by page");
    }
    let items = table.client.scan().table_name(&table.name).send().await.unwrap().items.unwrap();
    let lengths =
        |name: &str| items.iter().filter_map(|item| item.get(name)).map(|key| key.as_s().unwrap().len()).max().unwrap();
    assert!((900..=1_024).contains(&lengths("sk")) && (900..=1_024).contains(&lengths("key")), "sort keys");
    assert!((1_000..=2_048).contains(&lengths("pk")), "partition keys");
}

#[tokio::test]
async fn an_item_that_cannot_be_read_is_named_and_holds_up_no_other_work() {
    let table = Table::new().await;
    let store = table.store();
    for n in 1..=2 {
        let dispatch = Dispatch { due: Some(NOW + Duration::from_secs(n)), ..sample(n) };
        write(&store, Record::Dispatch(Box::new(dispatch)), None).await;
    }
    let broken = Record::Dispatch(Box::new(sample(1))).key();
    let request = table.client.update_item().table_name(&table.name);
    let request =
        request.key("pk", AttributeValue::S(format!("record/{broken}"))).key("sk", AttributeValue::S("-".into()));
    let request = request.update_expression("SET body = :body");
    request.expression_attribute_values(":body", AttributeValue::S("{}".into())).send().await.unwrap();

    let error = store.load(std::slice::from_ref(&broken)).await.unwrap_err().to_string();
    assert!(error.contains(&format!("the item `record/{broken}` cannot be read")), "{error}");
    let now = NOW + Duration::from_secs(9);
    let claim = Claim { queue: Queue::Dispatch, now, lease: Duration::from_secs(60), limit: 9, per_lane: 9 };
    let claimed = store.claim(claim).await.unwrap();
    assert_eq!(
        claimed.iter().map(|one| one.record.key()).collect::<Vec<_>>(),
        [Record::Dispatch(Box::new(sample(2))).key()]
    );
}
