//! What a page reads: rows that say the same in whatever order the facts arrived.

use std::sync::LazyLock;

use dispatch_core::fact::Fact;
use dispatch_core::fact::FactBody;
use dispatch_core::ports::store::{Commit, StorePort, ViewQuery};
use dispatch_core::projection::{
    BY_NAME, Counter, DELIVERIES, DeliveryRow, EDGES, EVERYTHING, EdgeRow, JOURNEY, UsedEdge, ViewRow,
    journey_partition,
};
use dispatch_core::reason::Reason;
use dispatch_core::testing::MemoryStore;
use dispatch_core::testing::world::FaultKind;
use futures_util::FutureExt;
use proptest::prelude::*;

use crate::house::{CONTENTS, DISPATCHES, House, OUTBOUND, api};

/// Runs that went well, that waited, that were denied and that were given up.
static FACTS: LazyLock<Vec<Fact>> = LazyLock::new(|| {
    let house = House::settled();
    house.run();
    house.order("POST", DISPATCHES, FaultKind::CutAfter);
    house.run();
    house.order("GET", CONTENTS, FaultKind::status(502));
    house.run();
    house.advance(std::time::Duration::from_secs(1));
    house.work();
    house.order("GET", CONTENTS, FaultKind::status(403));
    house.run();
    house.write(&api(), "dispatching.yml", &OUTBOUND.replace("sha:", "not_accepted:"));
    house.run();
    house.write(&api(), "dispatching.yml", "outbound: []\n");
    house.run();
    house.started();
    house.store.inner.facts()
});

fn rows(store: &MemoryStore, view: &'static str, partition: String) -> Vec<ViewRow> {
    store.rows(ViewQuery { view, partition, before: None, limit: 1_000 }).now_or_never().unwrap().unwrap()
}

/// Everything that a page could read.
fn pages(facts: Vec<Fact>) -> (Vec<ViewRow>, Vec<Vec<ViewRow>>, Vec<ViewRow>, Vec<u64>) {
    let store = MemoryStore::new();
    for fact in facts {
        store.commit(Commit { writes: Vec::new(), facts: vec![fact] }).now_or_never().unwrap().unwrap();
    }
    let deliveries = rows(&store, DELIVERIES, EVERYTHING.to_owned());
    let journey = |row: &ViewRow| {
        let row: DeliveryRow = row.read().unwrap();
        rows(&store, JOURNEY, journey_partition(&row.key))
    };
    let journeys = deliveries.iter().map(journey).collect();
    let for_reasons = Reason::ALL.iter().flat_map(|reason| [Counter::DeniedFor(*reason), Counter::SkippedFor(*reason)]);
    let counters: Vec<_> = Counter::TOTALS.into_iter().chain(for_reasons).map(|counter| counter.to_string()).collect();
    let counts = store.counters(&counters).now_or_never().unwrap().unwrap();
    let edges = [EVERYTHING, BY_NAME].map(|partition| rows(&store, EDGES, partition.to_owned())).concat();
    (deliveries, journeys, edges, counts)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn facts_may_arrive_in_any_order_and_more_than_once(
        (order, repeated) in (Just(FACTS.clone()).prop_shuffle(), any::<prop::sample::Index>())
    ) {
        let mut again = order.clone();
        again.push(order[repeated.index(order.len())].clone());
        prop_assert_eq!(pages(FACTS.clone()), pages(again));
    }
}

#[test]
fn the_list_of_deliveries_says_how_far_each_got() {
    let (deliveries, ..) = pages(FACTS.clone());
    let shown = deliveries.iter().map(|row| {
        let row: DeliveryRow = row.read().unwrap();
        let workflow = row.delivery.workflow.map_or("-".to_owned(), |workflow| workflow.to_string());
        format!(
            "{} {} {workflow}: {:?}, {} allowed, {} denied",
            row.delivery.event, row.delivery.repository, row.state, row.allowed, row.denied
        )
    });
    let mut shown: Vec<_> = shown.filter(|line| line.starts_with("workflow_run")).collect();
    shown.sort();
    insta::assert_snapshot!(shown.join("\n"), @r#"
    workflow_run octo-org/api ci.yml: Parked { error: "GitHub refused (403): Something went wrong" }, 0 allowed, 0 denied
    workflow_run octo-org/api ci.yml: Planned, 0 allowed, 1 denied
    workflow_run octo-org/api ci.yml: Planned, 1 allowed, 0 denied
    workflow_run octo-org/api ci.yml: Planned, 1 allowed, 0 denied
    workflow_run octo-org/api ci.yml: Planned, 1 allowed, 0 denied
    workflow_run octo-org/api ci.yml: Skipped(NoRuleMatched), 0 allowed, 0 denied
    workflow_run octo-org/web -: Planned, 0 allowed, 0 denied
    workflow_run octo-org/web -: Planned, 0 allowed, 0 denied
    workflow_run octo-org/web -: PutBack { until: 2026-01-01T00:00:03Z, error: "this App caused the run, and the dispatch that it follows from may not be recorded yet" }, 0 allowed, 0 denied
    "#);
}

#[test]
fn each_edge_says_what_became_of_it() {
    let (_, _, edges, _) = pages(FACTS.clone());
    let shown = edges.iter().map(|row| {
        let EdgeRow { edge: UsedEdge { from, happened, to }, outcome, started, succeeded, failed, denied, .. } =
            row.read().unwrap();
        format!(
            "{from} {happened} → {} {}: {outcome:?}, {started} started, {succeeded} succeeded, {failed} failed, {denied} denied",
            to.repository, to.start
        )
    });
    let shown: Vec<_> = shown.collect();
    assert_eq!(shown.len(), 2, "one edge, in two partitions");
    insta::assert_snapshot!(shown[0], @"octo-org/api ci.yml → octo-org/web cd.yml: Started, 2 started, 0 succeeded, 0 failed, 1 denied");
}

#[test]
fn counters_add_up() {
    let (.., counts) = pages(FACTS.clone());
    let totals = Counter::TOTALS.iter().zip(counts).filter(|(_, count)| *count > 0);
    let shown: Vec<_> = totals.map(|(counter, count)| format!("{counter} {count}")).collect();
    insta::assert_snapshot!(shown.join("\n"), @r#"
    received 9
    noted 6
    planned 7
    skipped 1
    plan_put_back 3
    parked 1
    allowed 3
    denied 1
    triggered 2
    in_doubt 1
    "#);
}

#[test]
fn a_fact_is_a_cloud_event() {
    let fact = FACTS.iter().rfind(|fact| matches!(fact.body, FactBody::DispatchTriggered { .. })).unwrap();
    let mut event = fact.to_cloud_event("https://dispatch.example.com");
    event["data"]["delivery"]["body_sha256"] = "[sha256]".into();
    event["data"]["delivery"]["id"] = "[id]".into();
    insta::assert_snapshot!(serde_json::to_string_pretty(&event).unwrap(), @r#"
    {
      "data": {
        "delivery": {
          "body_sha256": "[sha256]",
          "id": "[id]"
        },
        "dispatch": {
          "event": "workflow_run:5000000001:5000000031:1",
          "target": {
            "repository": "octo-org/web",
            "start": {
              "workflow": "cd.yml"
            }
          }
        },
        "fact": {
          "run": {
            "id": 5000000033,
            "url": "https://github.com/octo-org/web/actions/runs/5000000033"
          },
          "type": "dispatch_triggered"
        }
      },
      "datacontenttype": "application/json",
      "id": "dispatch/workflow_run:5000000001:5000000031:1>octo-org/web:cd.yml#0",
      "source": "https://dispatch.example.com",
      "specversion": "1.0",
      "subject": "dispatch/workflow_run:5000000001:5000000031:1>octo-org/web:cd.yml",
      "time": "2026-01-01T00:00:01Z",
      "type": "dispatch.dispatch.triggered"
    }
    "#);
}

#[test]
fn every_fact_reads_back_as_it_was_written() {
    for fact in FACTS.iter() {
        let text = serde_json::to_string(fact).unwrap();
        assert_eq!(serde_json::from_str::<Fact>(&text).unwrap(), *fact, "{text}");
    }
}
