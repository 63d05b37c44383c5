//! Copies of a live database.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use dispatch_axum::store::{SqliteStore, back_up};
use dispatch_core::name::RunId;
use dispatch_core::ports::store::{RecordKey, StorePort};
use dispatch_core::testing::contract::store_contract;

use crate::{put, record};

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_a_database_under_load_has_all_that_was_answered_before_it() {
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::open(directory.path().join("dispatch.sqlite")).unwrap());
    let (answered, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let writing = tokio::spawn({
        let (store, answered, stop) = (Arc::clone(&store), Arc::clone(&answered), Arc::clone(&stop));
        async move {
            let mut n = 0;
            while !stop.load(Ordering::SeqCst) {
                put(&store, record(n)).await.unwrap();
                n += 1;
                answered.store(n, Ordering::SeqCst);
            }
        }
    });
    for copy in 0..5 {
        let reached = answered.load(Ordering::SeqCst) + 20;
        while answered.load(Ordering::SeqCst) < reached {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        let before = answered.load(Ordering::SeqCst);
        let file = directory.path().join(format!("copy-{copy}.sqlite"));
        store.backup(&file).await.unwrap();
        let copied = SqliteStore::open(&file).unwrap();
        let keys: Vec<_> = (0..before).map(|n| RecordKey::Run(RunId(n))).collect();
        let there = copied.load(&keys).await.unwrap();
        assert!(there.iter().all(Option::is_some), "copy {copy} has what was answered before it began");
        let later: Vec<_> = (before..before + 10_000).map(|n| RecordKey::Run(RunId(n))).collect();
        let later = copied.load(&later).await.unwrap();
        let end = later.iter().position(Option::is_none).unwrap();
        assert!(later[end..].iter().all(Option::is_none), "and is of one moment");
    }
    stop.store(true, Ordering::SeqCst);
    writing.await.unwrap();
    assert!(!store.was_restored(), "the original is no copy");
}

#[tokio::test]
async fn a_copy_is_a_store_like_every_other() {
    let directory = tempfile::tempdir().unwrap();
    let original = directory.path().join("dispatch.sqlite");
    drop(SqliteStore::open(&original).unwrap());
    let number = AtomicU32::new(0);
    store_contract(async || {
        let copy = directory.path().join(format!("{}.sqlite", number.fetch_add(1, Ordering::Relaxed)));
        back_up(&original, &copy).unwrap();
        SqliteStore::open(copy).unwrap()
    })
    .await;
}

#[tokio::test]
async fn a_copy_is_known_as_one_until_somebody_says_that_what_it_lacks_was_looked_for() {
    let directory = tempfile::tempdir().unwrap();
    let (original, copy) = (directory.path().join("dispatch.sqlite"), directory.path().join("copy.sqlite"));
    let store = SqliteStore::open(&original).unwrap();
    put(&store, record(7)).await.unwrap();
    store.backup(&copy).await.unwrap();
    drop(store);
    assert!(!SqliteStore::open(&original).unwrap().was_restored());

    let restored = SqliteStore::open(&copy).unwrap();
    assert!(restored.was_restored());
    put(&restored, record(8)).await.unwrap();
    drop(restored);
    let restored = SqliteStore::open(&copy).unwrap();
    assert!(restored.was_restored(), "a restart does not take the mark away");
    restored.clear_restored().await.unwrap();
    assert!(!restored.was_restored());
    put(&restored, record(9)).await.unwrap();
    drop(restored);
    assert!(!SqliteStore::open(&copy).unwrap().was_restored());
}

#[tokio::test]
async fn a_file_that_is_there_is_not_overwritten_and_a_failed_copy_leaves_none() {
    let directory = tempfile::tempdir().unwrap();
    let original = directory.path().join("dispatch.sqlite");
    let store = SqliteStore::open(&original).unwrap();
    let file = directory.path().join("copy.sqlite");
    std::fs::write(&file, "precious").unwrap();
    let error = store.backup(&file).await.unwrap_err().to_string();
    assert!(error.ends_with("the file exists already"), "{error}");
    assert_eq!(std::fs::read(&file).unwrap(), b"precious");
    let error = store.backup(&original).await.unwrap_err().to_string();
    assert!(error.ends_with("the file exists already"), "{error}");
    let error = store.backup(directory.path().join("absent").join("copy.sqlite")).await.unwrap_err().to_string();
    assert!(error.contains("No such file"), "{error}");

    let nothing = directory.path().join("nothing.sqlite");
    assert!(back_up(&nothing, directory.path().join("of-nothing.sqlite")).is_err());
    let left: Vec<_> = std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().contains("nothing")), "{left:?}");
    assert!(!left.iter().any(|name| name.to_string_lossy().contains("unfinished")), "{left:?}");
}

#[tokio::test]
async fn of_two_copies_to_one_file_one_is_made_whole() {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(directory.path().join("dispatch.sqlite")).unwrap();
    for n in 0..200 {
        put(&store, record(n)).await.unwrap();
    }
    let file = directory.path().join("copy.sqlite");
    let (one, other) = tokio::join!(store.backup(&file), store.backup(&file));
    assert!(one.is_ok() || other.is_ok(), "{one:?} {other:?}");
    let copied = SqliteStore::open(&file).unwrap();
    let keys: Vec<_> = (0..200).map(|n| RecordKey::Run(RunId(n))).collect();
    assert!(copied.load(&keys).await.unwrap().iter().all(Option::is_some));
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_of_the_process_can_read_a_copy() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(directory.path().join("dispatch.sqlite")).unwrap();
    let file = directory.path().join("copy.sqlite");
    store.backup(&file).await.unwrap();
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
}
