//! Rows are read page by page.

use std::time::Duration;

use super::NOW;
use super::asking::{add, rows};
use super::samples::{delivery, dispatch, received};
use crate::fact::{Fact, FactBody, Subject};
use crate::ports::store::{StorePort, ViewQuery};
use crate::projection::{Counter, DELIVERIES, DeliveryRow, EVERYTHING, PARKED, ParkedRow};
use crate::retry::later;

pub(super) async fn rows_are_read_page_by_page(store: &impl StorePort) {
    for n in 0..7 {
        let delivery = delivery("acme/api", n, later(NOW, Duration::from_secs(n)));
        add(store, [received(&delivery)]).await;
    }
    let (mut before, mut pages) = (None, Vec::new());
    loop {
        let query = ViewQuery { view: DELIVERIES, partition: EVERYTHING.into(), before: before.clone(), limit: 3 };
        let page = store.rows(query).await.expect("rows");
        let Some(last) = page.last() else { break };
        before = Some(last.sort.clone());
        let seconds = |row: DeliveryRow| row.delivery.received_at.as_second() - NOW.as_second();
        pages.push(page.iter().map(|row| seconds(row.read().expect("a row"))).collect::<Vec<_>>());
    }
    assert_eq!(pages, [vec![6, 5, 4], vec![3, 2, 1], vec![0]], "newest first, none twice, none left out");
    assert_eq!(rows(store, DELIVERIES, "another partition").await, []);
    assert_eq!(store.counters(&["never".into(), Counter::Received.to_string()]).await, Ok(vec![0, 7]));
}

pub(super) async fn removed_rows_take_no_place_in_a_page(store: &impl StorePort) {
    let fact = |n: u64, sequence, body| {
        let dispatch = dispatch("acme/web", n, NOW);
        let subject = Subject::dispatch(dispatch.delivery, dispatch.key);
        Fact { subject, sequence, time: later(NOW, Duration::from_secs(n)), body, happened: None }
    };
    for n in 0..12 {
        add(store, [fact(n, 0, FactBody::DispatchFailed { error: n.to_string() })]).await;
    }
    // All but every fourth one is dropped.
    for n in (0..12).filter(|n| n % 4 != 0) {
        let parked_at = Some(later(NOW, Duration::from_secs(n)));
        add(store, [fact(n, 1, FactBody::DispatchDropped { parked_at })]).await;
    }
    let (mut before, mut pages) = (None, Vec::new());
    loop {
        let query = ViewQuery { view: PARKED, partition: EVERYTHING.into(), before: before.clone(), limit: 2 };
        let page = store.rows(query).await.expect("rows");
        let Some(last) = page.last() else { break };
        before = Some(last.sort.clone());
        let error = |row: &crate::projection::ViewRow| row.read::<ParkedRow>().expect("a row").error;
        pages.push(page.iter().map(error).collect::<Vec<_>>());
    }
    assert_eq!(pages, [vec!["8", "4"], vec!["0"]], "pages are full of what is there");
}
