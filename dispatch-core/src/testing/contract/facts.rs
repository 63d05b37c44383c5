//! A fact is applied once, and the order in which facts come changes nothing.

use futures_util::future::join_all;

use super::asking::{add, count, rows};
use super::samples::{about_dispatch, delivery, received};
use super::{LEASE, NOW};
use crate::Timestamp;
use crate::decide::{Plan, Skipped};
use crate::dispatch::{FollowedRun, FollowedStage};
use crate::event::Conclusion;
use crate::fact::{Fact, FactBody};
use crate::ports::store::{Commit, StorePort};
use crate::projection::{
    BY_NAME, Counter, DELIVERIES, DeliveryRow, DeliveryRowState, EDGES, EVERYTHING, EdgeOutcome, EdgeRow, JOURNEY,
    PARKED, ParkedRow, journey_partition,
};
use crate::reason::Reason;
use crate::retry::later;

pub(super) async fn a_fact_is_applied_once(store: &impl StorePort) {
    let fact = received(&delivery("acme/api", 1, NOW));
    for _ in 0..3 {
        store.commit(Commit { writes: Vec::new(), facts: vec![fact.clone(), fact.clone()] }).await.expect("commits");
    }
    assert_eq!(count(store, Counter::Received).await, 1);
    assert_eq!(rows(store, DELIVERIES, EVERYTHING).await.len(), 1);
    let journey = rows(store, JOURNEY, &journey_partition(&fact.subject.delivery)).await;
    assert_eq!(journey.iter().map(|row| row.read().expect("a fact")).collect::<Vec<Fact>>(), [fact]);
}

pub(super) async fn facts_may_come_in_any_order<S: StorePort>(make_store: &impl AsyncFn() -> S) {
    let delivery = delivery("acme/api", 1, NOW);
    let fact = |sequence, body| Fact { sequence, body, time: later(NOW, LEASE * sequence), ..received(&delivery) };
    let summary = delivery.summary();
    let skipped =
        Skipped { reason: Reason::NoRuleMatched, message: "no rule".into(), outbound_rule: None, answer: false };
    let plan = Plan::skipped(skipped);
    let facts = [
        received(&delivery),
        fact(1, FactBody::DeliveryPutBack { delivery: summary.clone(), until: NOW, error: "busy".into() }),
        fact(2, FactBody::DeliveryPlanned { delivery: summary, plan, already_claimed: Vec::new() }),
    ];
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let store = make_store().await;
        for position in order {
            let facts = facts.get(position).cloned().into_iter().collect();
            store.commit(Commit { writes: Vec::new(), facts }).await.expect("commits");
        }
        let rows_of_deliveries = rows(&store, DELIVERIES, EVERYTHING).await;
        let states: Vec<_> =
            rows_of_deliveries.iter().map(|row| row.read::<DeliveryRow>().expect("a row").state).collect();
        assert_eq!(states, [DeliveryRowState::Skipped(Reason::NoRuleMatched)], "the last fact wins in order {order:?}");
        let journey = rows(&store, JOURNEY, &journey_partition(&delivery.key)).await;
        let mut journey: Vec<Fact> = journey.iter().map(|row| row.read().expect("a fact")).collect();
        journey.reverse();
        assert_eq!(journey, facts, "the journey reads the same in order {order:?}");
        assert_eq!(count(&store, Counter::SkippedFor(Reason::NoRuleMatched)).await, 1);
    }
}

pub(super) async fn a_fact_that_comes_twice_at_the_same_time_is_applied_once(store: &impl StorePort) {
    let facts = |n: u64| [received(&delivery("acme/api", n % 10, NOW)), received(&delivery("acme/api", 10, NOW))];
    join_all((0..50).map(|n| add(store, facts(n)))).await;
    assert_eq!(count(store, Counter::Received).await, 11);
    assert_eq!(rows(store, DELIVERIES, EVERYTHING).await.len(), 11);
}

pub(super) async fn a_removed_row_does_not_come_back<S: StorePort>(make_store: &impl AsyncFn() -> S) {
    let parked_at = later(NOW, LEASE);
    let facts = [
        about_dispatch(1, parked_at, FactBody::DispatchFailed { error: "no answer".into() }),
        about_dispatch(2, later(NOW, LEASE * 2), FactBody::DispatchDropped { parked_at: Some(parked_at) }),
    ];
    for order in [[0, 1], [1, 0]] {
        let store = make_store().await;
        for position in order {
            add(&store, facts.get(position).cloned()).await;
        }
        assert_eq!(parked(&store).await, [], "what was dropped is not parked, in order {order:?}");
        assert_eq!(count(&store, Counter::Failed).await, 1, "a counter counts what happened");
        let journey = rows(&store, JOURNEY, &journey_partition(&facts[0].subject.delivery)).await;
        assert_eq!(journey.len(), 2, "the journey shows both");
        add(&store, facts.clone()).await;
        assert_eq!(parked(&store).await, [], "nor when both come again");
    }
}

pub(super) async fn what_was_given_up_again_shows_again(store: &impl StorePort) {
    let at = |n| later(NOW, LEASE * n);
    let unknown = |sequence, time| about_dispatch(sequence, time, FactBody::DispatchUnknown { error: "?".into() });
    let retried = about_dispatch(2, at(2), FactBody::DispatchRetried { parked_at: Some(at(1)) });
    add(store, [unknown(1, at(1)), retried, unknown(3, at(3))]).await;
    assert_eq!(parked(store).await, [at(3)]);
    // What follows without a moment between takes the same place.
    let retried = about_dispatch(4, at(3), FactBody::DispatchRetried { parked_at: Some(at(3)) });
    add(store, [unknown(5, at(3)), retried]).await;
    assert_eq!(parked(store).await, [at(3)], "the removal was before");
}

pub(super) async fn edges_add_up_in_any_order<S: StorePort>(make_store: &impl AsyncFn() -> S) {
    let at = |n| later(NOW, LEASE * n);
    let run = |stage, attempt| FollowedRun { attempt, stage, url: String::new(), at: NOW };
    let ended = |conclusion, attempt| FactBody::DispatchRunProgressed {
        run: run(FollowedStage::Completed(Some(conclusion)), attempt),
    };
    let facts = [
        about_dispatch(0, at(1), FactBody::DispatchTriggered { run: None }),
        about_dispatch(1, at(2), FactBody::DispatchRunProgressed { run: run(FollowedStage::InProgress, 1) }),
        about_dispatch(2, at(3), ended(Conclusion::Failure, 1)),
        about_dispatch(3, at(4), ended(Conclusion::Success, 2)),
    ];
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 3, 0, 1], [1, 3, 2, 0]] {
        let store = make_store().await;
        for position in order {
            add(&store, facts.get(position).cloned()).await;
            add(&store, facts.get(position).cloned()).await;
        }
        for partition in [EVERYTHING, BY_NAME] {
            let found = rows(&store, EDGES, partition).await;
            let [row] = found.as_slice() else { panic!("one row, in order {order:?}: {found:?}") };
            let row: EdgeRow = row.read().expect("a row");
            assert_eq!((row.started, row.succeeded, row.failed, row.denied), (1, 1, 1, 0), "in order {order:?}");
            assert_eq!((row.last_used, row.outcome), (at(4), EdgeOutcome::Succeeded), "the latest counts");
        }
        while store.retire(at(4), 1).await.expect("retires") > 0 {}
        assert_eq!(rows(&store, EDGES, EVERYTHING).await.len(), 1, "it was used since, in order {order:?}");
        while store.retire(at(5), 1).await.expect("retires") > 0 {}
        assert_eq!(rows(&store, EDGES, EVERYTHING).await, [], "what is not used is forgotten");
        assert_eq!(rows(&store, EDGES, BY_NAME).await, []);
    }
}

/// When what is parked was.
async fn parked(store: &impl StorePort) -> Vec<Timestamp> {
    let rows = rows(store, PARKED, EVERYTHING).await;
    rows.iter().map(|row| row.read::<ParkedRow>().expect("a row").parked_at).collect()
}
