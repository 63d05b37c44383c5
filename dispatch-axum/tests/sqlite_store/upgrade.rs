//! A database of an earlier release goes on with this one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dispatch_axum::store::SqliteStore;
use dispatch_core::Timestamp;
use dispatch_core::delivery::DeliveryState;
use dispatch_core::dispatch::{Dispatch, DispatchState};
use dispatch_core::name::RunId;
use dispatch_core::ports::StorePort;
use dispatch_core::ports::store::{Claim, Queue, Record, RecordKey, Stored, ViewQuery, WaitingQuery};
use dispatch_core::projection::{Counter, DELIVERIES, DeliveryRow, EVERYTHING, PARKED, ParkedRow, ViewRow};

const NOW: &str = "2026-01-10T13:30:00Z";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

/// The database of schema version 1, as a file.
fn old_database(directory: &Path) -> PathBuf {
    let path = directory.join("dispatch.sqlite");
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.pragma_update(None, "journal_mode", "wal").unwrap();
    connection.execute_batch(include_str!("schema_version_1.sql")).unwrap();
    path
}

fn keys(path: &Path) -> BTreeMap<String, (u64, Option<i64>)> {
    let connection = rusqlite::Connection::open(path).unwrap();
    let done =
        connection.query_row("SELECT count(*) FROM pragma_table_info('records') WHERE name = 'done'", [], |row| {
            row.get::<_, i64>(0)
        });
    let done = if done.unwrap() == 1 { "done" } else { "NULL" };
    let mut statement = connection.prepare(&format!("SELECT key, version, {done} FROM records")).unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?)))).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

async fn rows(store: &SqliteStore, view: &'static str) -> Vec<ViewRow> {
    store.rows(ViewQuery { view, partition: EVERYTHING.into(), before: None, limit: 100 }).await.unwrap()
}

async fn waiting(store: &SqliteStore, queue: Queue) -> Vec<Stored> {
    store.waiting(WaitingQuery { queue, after: None, limit: 100 }).await.unwrap()
}

/// Every dispatch of the database, by the name of its target.
async fn dispatches(store: &SqliteStore, path: &Path) -> BTreeMap<String, Dispatch> {
    let mut found = BTreeMap::new();
    for delivery in waiting_or_not(store, path).await {
        if let Record::Dispatch(dispatch) = delivery {
            found.insert(dispatch.key.target.repository.name().to_owned(), *dispatch);
        }
    }
    found
}

/// Every record of the database, read through the store.
async fn waiting_or_not(store: &SqliteStore, path: &Path) -> Vec<Record> {
    let connection = rusqlite::Connection::open(path).unwrap();
    let mut statement = connection.prepare("SELECT body FROM records").unwrap();
    let bodies: Vec<String> = statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
    let keys: Vec<_> = bodies.iter().map(|body| serde_json::from_str::<Record>(body).expect(body).key()).collect();
    store.load(&keys).await.unwrap().into_iter().map(|stored| stored.unwrap().record).collect()
}

#[tokio::test]
async fn a_database_of_schema_version_1_keeps_every_record_fact_row_and_counter() {
    let directory = tempfile::tempdir().unwrap();
    let path = old_database(directory.path());
    let before = keys(&path);
    let store = SqliteStore::open(&path).unwrap();
    let records = waiting_or_not(&store, &path).await;
    for key in before.keys() {
        assert!(records.iter().any(|record| record.key().to_string() == *key), "`{key}` is there and can be read");
    }
    let added: Vec<_> = records.iter().map(|r| r.key().to_string()).filter(|key| !before.contains_key(key)).collect();
    assert_eq!(added, ["target/octo-org/infra:cd.yml", "target/octo-org/stuck:cd.yml"], "the ledgers of open calls");

    assert_eq!(rows(&store, DELIVERIES).await.len(), 7);
    for row in rows(&store, DELIVERIES).await {
        row.read::<DeliveryRow>().unwrap();
    }
    let names = [Counter::Received, Counter::Noted, Counter::Triggered, Counter::InDoubt].map(|name| name.to_string());
    assert_eq!(store.counters(&names).await.unwrap(), [6, 1, 2, 1]);
    drop(store);
    let connection = rusqlite::Connection::open(&path).unwrap();
    let count = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(count("SELECT count(*) FROM facts"), 20);
    assert_eq!(
        count("SELECT count(*) FROM rows WHERE time < 1768000000000000"),
        0,
        "rows have the time of their facts"
    );
}

#[tokio::test]
async fn work_of_schema_version_1_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let path = old_database(directory.path());
    let store = SqliteStore::open(&path).unwrap();
    let dispatches = dispatches(&store, &path).await;
    let state = |name: &str| &dispatches[name].state;
    assert!(matches!(state("web"), DispatchState::Triggered { run: Some(_) }));
    assert!(matches!(state("legacy"), DispatchState::Triggered { run: None }));
    assert!(matches!(state("docs"), DispatchState::Ready), "put back");
    assert!(matches!(state("later"), DispatchState::Ready), "claimed");
    assert!(matches!(state("stuck"), DispatchState::Calling { .. }));
    assert!(matches!(state("infra"), DispatchState::InDoubt { .. }), "it is looked for from now on");
    assert!(matches!(state("mobile"), DispatchState::Refused { .. }));
    assert!(matches!(state("metrics"), DispatchState::Failed { .. }));
    assert!(matches!(state("gone"), DispatchState::Cancelled { .. }));

    let plans = waiting(&store, Queue::Plan).await;
    assert_eq!(plans.len(), 3, "put back, claimed, and not looked at");
    let calls: Vec<_> = waiting(&store, Queue::Dispatch).await.into_iter().map(|stored| stored.record.key()).collect();
    assert_eq!(
        calls,
        ["docs", "infra", "later", "stuck"].map(|name| RecordKey::Dispatch(dispatches[name].key.clone()))
    );
    let claim = |queue| Claim { queue, now: Timestamp::now(), lease: Duration::from_secs(60), limit: 10, per_lane: 10 };
    assert_eq!(store.claim(claim(Queue::Plan)).await.unwrap().len(), 3);
    assert_eq!(store.claim(claim(Queue::Dispatch)).await.unwrap().len(), 4);

    for name in ["infra", "stuck"] {
        let key = RecordKey::Target(dispatches[name].key.target.clone());
        let ledger = store.load(&[key]).await.unwrap().pop().flatten().unwrap().record;
        let calls = ledger.ledger().unwrap().calls.clone();
        assert_eq!(calls.len(), 1, "the call to {name} is open");
        assert_eq!(calls[0].dispatch, dispatches[name].key);
        assert!(calls[0].since <= now());
    }
    let run = store.load(&[RecordKey::Run(RunId(5_000_000_133))]).await.unwrap().pop().flatten().unwrap().record;
    let Record::Run(_, run) = run else { panic!("{run:?}") };
    assert_eq!(run.dispatch, dispatches["web"].key, "the run knows its dispatch");
}

#[tokio::test]
async fn what_schema_version_1_had_given_up_is_in_the_list_of_what_is_parked() {
    let directory = tempfile::tempdir().unwrap();
    let path = old_database(directory.path());
    let store = SqliteStore::open(&path).unwrap();
    let parked: Vec<ParkedRow> = rows(&store, PARKED).await.iter().map(|row| row.read().unwrap()).collect();
    let mut kinds: Vec<_> = parked.iter().map(|row| row.kind.as_str()).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["failed", "parked", "refused"]);
    for row in parked {
        let parked_at = match &row.subject.dispatch {
            Some(key) => {
                match store.load(&[RecordKey::Dispatch(key.clone())]).await.unwrap().pop().flatten().unwrap().record {
                    Record::Dispatch(dispatch) => dispatch.parked_at,
                    other => panic!("{other:?}"),
                }
            }
            None => {
                let key = RecordKey::Delivery(row.subject.delivery.clone());
                match store.load(&[key]).await.unwrap().pop().flatten().unwrap().record {
                    Record::Delivery(delivery) => {
                        assert!(matches!(delivery.state, DeliveryState::Parked { .. }));
                        delivery.parked_at
                    }
                    other => panic!("{other:?}"),
                }
            }
        };
        assert_eq!(parked_at, Some(row.parked_at), "so that whoever acts on it finds its row");
    }
}

#[tokio::test]
async fn retention_counts_from_when_the_earlier_release_was_done_and_keeps_what_is_kept_for_good() {
    let directory = tempfile::tempdir().unwrap();
    let path = old_database(directory.path());
    let store = SqliteStore::open(&path).unwrap();
    assert_eq!(store.retire("2026-01-10T11:00:00Z".parse().unwrap(), 1_000).await, Ok(0), "nothing is older");
    assert!(store.retire(now(), 1_000).await.unwrap() > 0);
    drop(store);
    let left = keys(&path);
    let of = |kind: &str| left.keys().filter(|key| key.starts_with(kind)).count();
    assert_eq!((of("edge/"), of("lane/"), of("target/")), (7, 7, 2), "who is behind a name is never forgotten");
    assert_eq!((of("delivery/"), of("dispatch/")), (3, 4), "what waits goes on");
    // Heads of that release have no time of their own: they are as old as the upgrade.
    assert_eq!((of("head/"), of("run/")), (1, 0));
}

#[tokio::test]
async fn a_record_that_cannot_be_read_stops_the_upgrade_and_leaves_the_database_as_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let path = old_database(directory.path());
    let connection = rusqlite::Connection::open(&path).unwrap();
    let sql = r#"UPDATE records SET body = '{"invented":7}' WHERE key LIKE 'dispatch/%docs:cd.yml'"#;
    assert_eq!(connection.execute(sql, []).unwrap(), 1);
    drop(connection);
    let before = keys(&path);
    let error = SqliteStore::open(&path).unwrap_err().to_string();
    assert!(error.contains("docs:cd.yml` cannot be read: unknown variant `invented`"), "{error}");
    assert_eq!(error.lines().count(), 1);
    assert_eq!(keys(&path), before);
}

#[tokio::test]
async fn every_earlier_version_can_be_opened_twice() {
    let directory = tempfile::tempdir().unwrap();
    let path = old_database(directory.path());
    drop(SqliteStore::open(&path).unwrap());
    let upgraded = keys(&path);
    drop(SqliteStore::open(&path).unwrap());
    assert_eq!(keys(&path), upgraded, "the second time there is nothing to do");
}
