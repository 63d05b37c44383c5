//! Whatever is asked of it, it answers as the store in memory does.

use std::time::Duration;

use dispatch_core::Timestamp;
use dispatch_core::dispatch::{Dispatch, DispatchState};
use dispatch_core::fact::{Fact, FactBody, Subject};
use dispatch_core::ports::store::{
    Claim, Commit, Queue, Record, StoreError, StorePort, Stored, ViewQuery, WaitingQuery, Write,
};
use dispatch_core::projection::{BY_NAME, Counter, EDGES, EVERYTHING, JOURNEY, PARKED, journey_partition};
use dispatch_core::testing::MemoryStore;
use proptest::prelude::*;

use crate::followed::Followed;

const KEYS: u64 = 6;
const LANES: u64 = 2;
const START: Timestamp = Timestamp::constant(1_800_000_000, 0);

/// Something to ask of both stores. Numbers choose among what is there.
#[derive(Debug, Clone)]
enum Step {
    /// Writes a new dispatch, or one that is there, of which that version is expected, with facts.
    Write { again: Option<u64>, due: u64, expected: Option<u64>, facts: Vec<(u64, u32)> },
    /// Claims work.
    Claim { limit: usize, per_lane: usize },
    /// Moves claimed work on, maybe after somebody else did.
    Move { held: usize, to: u8, due: u64, facts: Vec<(u64, u32)> },
    /// Deletes what is old.
    Retire { age: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    let facts = || prop::collection::vec((0..KEYS, 0..6_u32), 0..3);
    prop_oneof![
        4 => (prop::option::weighted(0.3, 0..KEYS), 0..10_u64, prop::option::weighted(0.1, 1..4_u64), facts())
            .prop_map(|(again, due, expected, facts)| Step::Write { again, due, expected, facts }),
        3 => (0..5_usize, 1..4_usize).prop_map(|(limit, per_lane)| Step::Claim { limit, per_lane }),
        4 => (any::<usize>(), 0..4_u8, 0..30_u64, facts())
            .prop_map(|(held, to, due, facts)| Step::Move { held, to, due, facts }),
        1 => (20..90_u64).prop_map(|age| Step::Retire { age }),
    ]
}

/// Both stores, and a clock in which no two things happen at the same time.
struct Both {
    durable: Followed,
    memory: MemoryStore,
    now: Timestamp,
    held: Vec<Stored>,
    /// The number of the next new dispatch.
    next: u64,
}

impl Both {
    async fn step(&mut self, step: Step) {
        self.now += Duration::from_micros(3_000_001);
        let now = self.now;
        match step {
            Step::Write { again, due, expected, facts } => {
                let number = match again {
                    Some(again) if again < self.next => again,
                    _ => self.next,
                };
                // What is gone does not come back, so that the order in which records came is that of their keys: where
                // times are equal, the store in memory goes by the one, and DynamoDB by the other.
                let there = self.memory.load(&[Record::Dispatch(Box::new(sample(number))).key()]).await.unwrap();
                if number < self.next && there[0].is_none() {
                    return;
                }
                self.next += u64::from(number == self.next && expected.is_none());
                let dispatch =
                    Dispatch { decided_at: now, due: Some(now + Duration::from_secs(due)), ..sample(number) };
                _ = self.commit(Record::Dispatch(Box::new(dispatch)), expected, &facts).await;
            }
            Step::Claim { limit, per_lane } => {
                let claim = Claim { queue: Queue::Dispatch, now, lease: Duration::from_secs(20), limit, per_lane };
                let claimed = self.durable.claim(claim).await.unwrap();
                assert_eq!(claimed, self.memory.claim(claim).await.unwrap());
                self.held.extend(claimed);
            }
            Step::Move { held, to, due, facts } if !self.held.is_empty() => {
                let held = self.held.swap_remove(held % self.held.len());
                let Record::Dispatch(mut dispatch) = held.record else { panic!("only dispatches are claimed") };
                let later = now + Duration::from_secs(due);
                let error = "no answer".to_owned();
                (dispatch.state, dispatch.due, dispatch.parked_at) = match to {
                    0 => (DispatchState::Ready, Some(later), None),
                    1 => (DispatchState::Calling { since: now }, Some(later), None),
                    2 => (DispatchState::Triggered { run: None }, None, None),
                    _ => (DispatchState::Failed { error }, None, Some(now)),
                };
                _ = self.commit(Record::Dispatch(dispatch), Some(held.version), &facts).await;
            }
            Step::Move { .. } => {}
            Step::Retire { age } => {
                let before = now - Duration::from_secs(age);
                let retired = self.durable.retire(before, 1_000).await;
                assert_eq!(retired, self.memory.retire(before, 1_000).await);
            }
        }
    }

    async fn commit(&self, record: Record, expected: Option<u64>, facts: &[(u64, u32)]) -> Result<(), StoreError> {
        let facts = facts.iter().map(|(dispatch, sequence)| fact(*dispatch, *sequence)).collect();
        let commit = Commit { writes: vec![Write { record, expected }], facts };
        let durable = self.durable.commit(commit.clone()).await;
        assert_eq!(durable, self.memory.commit(commit).await);
        durable
    }

    async fn compare(&self) {
        let keys: Vec<_> = (0..self.next + 2).map(|n| Record::Dispatch(Box::new(sample(n))).key()).collect();
        assert_eq!(self.durable.load(&keys).await, self.memory.load(&keys).await);
        for after in [None, Some(keys[1].to_string())] {
            let query = WaitingQuery { queue: Queue::Dispatch, after, limit: 4 };
            assert_eq!(self.durable.waiting(query.clone()).await, self.memory.waiting(query).await);
        }
        let journeys = (0..KEYS).map(|n| (JOURNEY, journey_partition(&sample(n).delivery)));
        let others = [(PARKED, EVERYTHING), (EDGES, EVERYTHING), (EDGES, BY_NAME)];
        for (view, partition) in journeys.chain(others.map(|(view, partition)| (view, partition.to_owned()))) {
            let query = ViewQuery { view, partition, before: None, limit: 3 };
            let first = self.durable.rows(query.clone()).await.unwrap();
            assert_eq!(first, self.memory.rows(query.clone()).await.unwrap());
            let query = ViewQuery { before: first.last().map(|row| row.sort.clone()), ..query };
            assert_eq!(self.durable.rows(query.clone()).await, self.memory.rows(query).await);
        }
        let names = Counter::TOTALS.map(|counter| counter.to_string());
        assert_eq!(self.durable.counters(&names).await, self.memory.counters(&names).await);
    }
}

/// The fact of this number about a dispatch: the same number always says the same.
fn fact(dispatch: u64, sequence: u32) -> Fact {
    let dispatch = sample(dispatch);
    let parked_at = |sequence: u32| START + Duration::from_secs(u64::from(sequence) * 30);
    let body = match sequence % 2 {
        0 => FactBody::DispatchFailed { error: sequence.to_string() },
        _ => FactBody::DispatchRetried { parked_at: Some(parked_at(sequence - 1)) },
    };
    let happened = dispatch.source.happened.map(|happened| (dispatch.source.name, happened));
    let subject = Subject::dispatch(dispatch.delivery, dispatch.key);
    Fact { subject, sequence, time: parked_at(sequence), body, happened }
}

/// The dispatch of this number: its key, its delivery and its lane follow from it.
pub(crate) fn sample(n: u64) -> Dispatch {
    let place = |name: &str| serde_json::json!({ "repository": name, "start": { "workflow": "cd.yml" } });
    let target = place(&format!("acme/target-{}", n % LANES));
    let event = format!("workflow_run:1:{n:02}:1");
    let rule = |name: &str| serde_json::json!({ "repository": name, "path": "dispatching.yml", "line": 3 });
    let dispatch = serde_json::json!({
        "key": { "event": event, "target": target },
        "delivery": { "id": format!("delivery-{n}"), "body_sha256": format!("{n:064}") },
        "source": {
            "repository": 1, "name": "acme/api", "lane": null,
            "happened": { "event": "workflow_run", "what": "ci.yml" },
        },
        "decision": {
            "target": target, "outbound_rule": rule("acme/api"), "visibility": "source",
            "verdict": { "allowed": {
                "identity": { "verified": { "id": 2, "private": false } },
                "request": { "workflow": { "workflow": "cd.yml", "ref": "main", "inputs": {} } },
                "inbound_rule": rule("acme/target"),
                "chain": { "root": event, "places": [place("acme/api"), target] },
            } },
        },
        "decided_at": START, "state": "ready", "due": null, "attempts": 0, "waits": 0, "facts": 0,
    });
    serde_json::from_value(dispatch).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_answers_as_the_store_in_memory_does(steps in prop::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut both =
                Both { durable: Followed::new().await, memory: MemoryStore::new(), now: START, held: Vec::new(), next: 0 };
            for step in steps {
                both.step(step).await;
            }
            both.compare().await;
        });
    }
}
