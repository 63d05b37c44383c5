//! Work is looked at without being claimed, and deliveries are found by their id.

use std::collections::BTreeSet;
use std::time::Duration;

use super::asking::{claim, put, version, waiting};
use super::samples::{delivery, dispatch, report};
use super::{LEASE, NOW};
use crate::delivery::{Delivery, DeliveryState};
use crate::name::DeliveryId;
use crate::ports::store::{Queue, Record, StorePort, Stored, WaitingQuery};
use crate::retry::later;

pub(super) async fn waiting_work_is_read_page_by_page(store: &impl StorePort) {
    for n in 0..25 {
        let due = later(NOW, Duration::from_secs(100 - n));
        put(store, &Record::Dispatch(Box::new(dispatch("acme/web", n, due))), None).await.expect("written");
    }
    let claimed = claim(store, Queue::Dispatch, later(NOW, Duration::from_secs(90)), 5).await;
    assert_eq!(claimed.len(), 5);
    let all = waiting(store, Queue::Dispatch, 1_000).await;
    assert_eq!(all.len(), 25, "claimed or not, due or not");
    let keys: Vec<_> = all.iter().map(|stored| stored.record.key().to_string()).collect();
    assert!(keys.is_sorted(), "in the order of the keys' text");
    for page in [1, 4, 5, 24, 25] {
        assert_eq!(waiting(store, Queue::Dispatch, page).await, all, "pages of {page}");
    }
    for held in &claimed {
        assert!(all.contains(held), "with the version that the claim gave it");
        assert_eq!(version(store, &held.record.key()).await, Some(held.version), "looking does not claim");
    }
    let nothing = WaitingQuery { queue: Queue::Dispatch, after: None, limit: 0 };
    assert_eq!(store.waiting(nothing).await, Ok(Vec::new()));
}

pub(super) async fn what_is_done_with_or_in_another_queue_does_not_wait(store: &impl StorePort) {
    let mut work = dispatch("acme/web", 1, NOW);
    put(store, &Record::Dispatch(Box::new(work.clone())), None).await.expect("written");
    put(store, &Record::Delivery(Box::new(delivery("acme/api", 2, NOW))), None).await.expect("written");
    put(store, &Record::Report(Box::new(report())), None).await.expect("written");
    for queue in Queue::ALL {
        let found = waiting(store, queue, 10).await;
        assert_eq!(found.len(), 1, "{queue:?} has its own work");
        assert!(found.iter().all(|stored| stored.record.work().is_some_and(|work| work.queue == queue)));
    }
    work.due = None;
    put(store, &Record::Dispatch(Box::new(work.clone())), Some(1)).await.expect("done");
    assert_eq!(waiting(store, Queue::Dispatch, 10).await, []);
    work.due = Some(later(NOW, LEASE));
    let record = Record::Dispatch(Box::new(work));
    put(store, &record, Some(2)).await.expect("it waits again");
    assert_eq!(waiting(store, Queue::Dispatch, 10).await, [Stored { record, version: 3 }]);
}

pub(super) async fn deliveries_are_found_by_their_id(store: &impl StorePort) {
    let (id, digest) = ("72d3162e-cc78-11e3-81ab-4c9367dc0958", "ab".repeat(32));
    let of = |id: &str, body_sha256: &str, state| {
        let mut delivery = Delivery { state, ..delivery("acme/api", 1, NOW) };
        (delivery.key.id, delivery.key.body_sha256) = (id.parse().expect("a delivery id"), body_sha256.to_owned());
        Record::Delivery(Box::new(delivery))
    };
    let mine = [of(id, &digest, DeliveryState::Received), of(id, &"0".repeat(64), DeliveryState::Noted)];
    let others =
        ["72d3162e-cc78-11e3-81ab-4c9367dc095", &format!("{id}0"), "72d3162e", "72d3162f-cc78-11e3-81ab-4c9367dc0958"];
    let others = others.map(|other| of(other, &digest, DeliveryState::Received));
    for record in mine.iter().chain(&others) {
        put(store, record, None).await.expect("written");
    }
    let find = async |id: &str| {
        let id: DeliveryId = id.parse().expect("a delivery id");
        let found = store.deliveries(&id).await.expect("deliveries");
        found.into_iter().map(|stored| stored.record.key().to_string()).collect::<BTreeSet<_>>()
    };
    let keys = |records: &[Record]| records.iter().map(|record| record.key().to_string()).collect::<BTreeSet<_>>();
    assert_eq!(find(id).await, keys(&mine), "every body that came under it, and nothing else");
    assert_eq!(find("72d3162e").await, keys(&others[2..3]));
    assert_eq!(find("another").await, BTreeSet::new());
}
