//! The surface over the real store, on a disk that has no room, or that takes no writes.
#![cfg(all(feature = "sqlite", target_os = "linux"))]

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use dispatch_axum::store::SqliteStore;
use dispatch_axum::{Service, router};
use dispatch_core::guardrail::Guardrails;
use dispatch_core::pipeline::Pipeline;
use dispatch_core::ports::StorePort;
use dispatch_core::ports::policies::BoundedPolicyMemory;
use dispatch_core::ports::store::{RecordKey, ViewQuery};
use dispatch_core::projection::{Counter, DELIVERIES, EVERYTHING};
use dispatch_core::retry::RetryPolicy;
use dispatch_core::testing::{World, WorldGitHub};

use crate::support::{get, now, push, secrets, send, webhook, with_header};

/// A file system of its own, until it is dropped.
struct FileSystem {
    directory: tempfile::TempDir,
}

impl FileSystem {
    /// None where this process may not mount one; then the test says so and tests nothing.
    fn new(size: &str) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let mounted = mount(&["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"], directory.path());
        if !mounted {
            // Not captured, as what is printed is.
            let skipped = b"SKIPPED: a file system cannot be mounted here; run it as root\n";
            std::io::stderr().write_all(skipped).unwrap();
            return None;
        }
        Some(Self { directory })
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn database(&self) -> PathBuf {
        self.path().join("dispatch.sqlite")
    }

    /// Writes a file until there is no room for a single byte.
    fn fill(&self) -> PathBuf {
        let path = self.path().join("filler");
        let mut filler = File::create(&path).unwrap();
        for size in [65_536, 4_096, 1] {
            while filler.write_all(&vec![0; size]).is_ok() {}
        }
        path
    }
}

impl Drop for FileSystem {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg(self.path()).status().unwrap();
        assert!(unmounted.success() || std::thread::panicking(), "nobody holds a file of it");
    }
}

fn mount(arguments: &[&str], directory: &Path) -> bool {
    let mounted = Command::new("mount").args(arguments).arg(directory).output();
    mounted.is_ok_and(|output| output.status.success())
}

fn surface(store: Arc<SqliteStore>) -> Router {
    let pipeline = Pipeline {
        github: Arc::new(WorldGitHub::new(Arc::new(Mutex::new(World::new(now()))))),
        store,
        policies: Arc::new(BoundedPolicyMemory::new(10)),
        guardrails: Guardrails::from_settings(&[("OWNER_ALLOWLIST".to_owned(), "*".to_owned())].into()).unwrap(),
        retry: RetryPolicy::default(),
        settle: Pipeline::DEFAULT_SETTLE,
        max_event_age: Pipeline::DEFAULT_MAX_EVENT_AGE,
    };
    router(Service::new(pipeline, secrets()).clock(now))
}

fn delivery(n: u32) -> Request<Body> {
    with_header(webhook("push", push(&format!("branch-{n}"))), "x-github-delivery", &format!("delivery-{n}"))
}

async fn deliveries(store: &SqliteStore) -> (usize, u64) {
    let rows = ViewQuery { view: DELIVERIES, partition: EVERYTHING.into(), before: None, limit: 10_000 };
    let counted = store.counters(&[Counter::Noted.to_string()]).await.unwrap();
    (store.rows(rows).await.unwrap().len(), counted[0])
}

#[tokio::test]
async fn a_full_disk_is_503_and_not_ready_and_when_there_is_room_again_the_service_goes_on() {
    let Some(disk) = FileSystem::new("4m") else { return };
    let store = Arc::new(SqliteStore::open(disk.database()).unwrap());
    let site = surface(Arc::clone(&store));
    for n in 0..10 {
        assert_eq!(send(&site, delivery(n)).await.status, 202);
    }
    let filler = disk.fill();
    for n in 10..40 {
        let answer = send(&site, delivery(n)).await;
        assert_eq!(answer.line(), r#"503 {"error":"the delivery could not be stored; deliver it again"}"#);
        assert_eq!(answer.header("retry-after"), "30");
    }
    assert_eq!(send(&site, get("/health")).await.status, 200, "a restart would not help");
    assert_eq!(send(&site, get("/ready")).await.line(), r#"503 {"status":"the store takes no writes"}"#);
    assert_eq!(deliveries(&store).await, (10, 10), "reads work, and nothing is half there");

    fs::remove_file(filler).unwrap();
    assert_eq!(send(&site, get("/ready")).await.line(), r#"200 {"status":"ready"}"#);
    for n in 10..40 {
        let answer = send(&site, delivery(n)).await;
        assert!(answer.body.contains("noted"), "nothing was kept of the refused one: {}", answer.line());
    }
    assert_eq!(deliveries(&store).await, (40, 40));
    drop((site, store));
    let store = SqliteStore::open(disk.database()).unwrap();
    assert_eq!(deliveries(&store).await, (40, 40), "all of it is there after a restart");
}

#[tokio::test]
async fn a_disk_that_fills_up_under_load_loses_nothing_that_was_answered_with_202() {
    let Some(disk) = FileSystem::new("2m") else { return };
    let store = Arc::new(SqliteStore::open(disk.database()).unwrap());
    let site = surface(Arc::clone(&store));
    let answers = futures_util::future::join_all((0..1_000).map(|n| send(&site, delivery(n)))).await;
    let accepted = answers.iter().filter(|answer| answer.status == 202).count();
    let refused = answers.iter().filter(|answer| answer.status == 503).count();
    assert!(accepted > 0 && refused > 0, "{accepted} accepted, {refused} refused");
    assert_eq!(accepted + refused, 1_000);
    let kept = deliveries(&store).await;
    assert_eq!(kept, (accepted, accepted as u64));
}

#[tokio::test]
async fn a_database_on_a_disk_that_takes_no_writes_is_one_clear_line() {
    let Some(disk) = FileSystem::new("4m") else { return };
    drop(SqliteStore::open(disk.database()).unwrap());
    assert!(mount(&["-o", "remount,ro"], disk.path()));
    let error = SqliteStore::open(disk.database()).unwrap_err().to_string();
    assert!(error.contains("Read-only file system"), "{error}");
    assert_eq!(error.lines().count(), 1);
}

#[tokio::test]
async fn a_store_that_takes_no_writes_while_it_answers_is_not_ready() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("dispatch.sqlite");
    let store = Arc::new(SqliteStore::open(&path).unwrap());
    let site = surface(Arc::clone(&store));
    assert_eq!(send(&site, delivery(1)).await.status, 202);
    // Somebody holds the right to write, as a stuck shell of the operator does, for longer than the store waits.
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert_eq!(send(&site, get("/ready")).await.status, 200, "nobody knows yet");
    assert_eq!(send(&site, delivery(2)).await.status, 503);
    assert_eq!(send(&site, get("/ready")).await.status, 503);
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(send(&site, delivery(2)).await.status, 202);
    assert_eq!(send(&site, get("/ready")).await.status, 200);
}

#[tokio::test]
async fn a_healthy_service_writes_nothing_to_say_that_it_is_ready() {
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::open(directory.path().join("dispatch.sqlite")).unwrap());
    let site = surface(Arc::clone(&store));
    assert_eq!(send(&site, delivery(1)).await.status, 202);
    for _ in 0..10 {
        assert_eq!(send(&site, get("/ready")).await.status, 200);
    }
    assert_eq!(store.load(&[RecordKey::Probe]).await.unwrap(), [None]);
}
