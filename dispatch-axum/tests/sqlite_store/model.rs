//! The durable store does what the store in memory does, whatever is asked of both. What is tested over the store in
//! memory, with crashes and two workers, holds for this one too.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use dispatch_axum::store::SqliteStore;
use dispatch_core::Timestamp;
use dispatch_core::dispatch::{Dispatch, DispatchState, Search};
use dispatch_core::fact::{Fact, FactBody, Subject};
use dispatch_core::ports::StorePort;
use dispatch_core::ports::store::{Claim, Commit, Queue, Record, StoreError, Stored, ViewQuery, WaitingQuery, Write};
use dispatch_core::projection::{Counter, EVERYTHING, JOURNEY, PARKED, journey_partition};
use dispatch_core::testing::MemoryStore;

const KEYS: u64 = 12;
const LANES: u64 = 3;

/// Numbers that are the same for the same seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % below
    }
}

/// Both stores, and a clock in which no two things happen at the same time.
struct Both {
    durable: SqliteStore,
    memory: MemoryStore,
    dice: Dice,
    now: Timestamp,
    held: Vec<Stored>,
}

impl Both {
    fn tick(&mut self) -> Timestamp {
        self.now += Duration::from_micros(1 + self.dice.roll(10_000_000));
        self.now
    }

    async fn commit(&self, commit: Commit) -> Result<(), StoreError> {
        let durable = self.durable.commit(commit.clone()).await;
        assert_eq!(durable, self.memory.commit(commit).await);
        durable
    }

    async fn step(&mut self) {
        let now = self.tick();
        match self.dice.roll(10) {
            0..=2 => {
                let record = self.dispatch().await;
                let expected = if self.dice.roll(8) == 0 { Some(1 + self.dice.roll(3)) } else { None };
                let facts = self.facts();
                let _ = self.commit(Commit { writes: vec![Write { record, expected }], facts }).await;
            }
            3..=4 => {
                let limit = usize::try_from(self.dice.roll(6)).unwrap();
                let per_lane = 1 + usize::try_from(self.dice.roll(4)).unwrap();
                let claim = Claim { queue: Queue::Dispatch, now, lease: Duration::from_secs(20), limit, per_lane };
                let durable = self.durable.claim(claim).await.unwrap();
                let memory = self.memory.claim(claim).await.unwrap();
                let keys = |claimed: &[Stored]| {
                    claimed.iter().map(|one| format!("{} {}", one.record.key(), one.version)).collect::<Vec<_>>()
                };
                assert_eq!(keys(&durable), keys(&memory));
                assert_eq!(durable, memory);
                self.held.extend(durable);
            }
            5..=7 if !self.held.is_empty() => {
                // Sometimes too late: then both refuse.
                let position = usize::try_from(self.dice.roll(self.held.len() as u64)).unwrap();
                let held = self.held.swap_remove(position);
                let Record::Dispatch(mut dispatch) = held.record else { panic!("only dispatches are claimed") };
                self.change(&mut dispatch);
                let write = Write { record: Record::Dispatch(dispatch), expected: Some(held.version) };
                let facts = self.facts();
                let _ = self.commit(Commit { writes: vec![write], facts }).await;
            }
            8 => {
                let facts = self.facts();
                self.commit(Commit { writes: Vec::new(), facts }).await.unwrap();
            }
            _ => {
                let before = now - Duration::from_secs(60 + self.dice.roll(60));
                let retired = self.durable.retire(before, 1_000).await;
                assert_eq!(retired, self.memory.retire(before, 1_000).await);
            }
        }
    }

    /// A new dispatch, of one of a few keys.
    async fn dispatch(&mut self) -> Record {
        let mut dispatch = sample(self.dice.roll(KEYS));
        dispatch.decided_at = self.now;
        dispatch.due = Some(self.now + Duration::from_micros(self.dice.roll(10_000_000)));
        Record::Dispatch(Box::new(dispatch))
    }

    fn change(&mut self, dispatch: &mut Dispatch) {
        let (now, later) = (self.now, self.now + Duration::from_micros(1 + self.dice.roll(30_000_000)));
        let error = "no answer".to_owned();
        (dispatch.state, dispatch.due, dispatch.parked_at) = match self.dice.roll(6) {
            0 => (DispatchState::Ready, Some(later), None),
            1 => (DispatchState::Calling { since: now }, Some(later), None),
            2 => (DispatchState::InDoubt { search: Search::new(now), error }, Some(later), None),
            3 => (DispatchState::Triggered { run: None }, None, None),
            4 => (DispatchState::Failed { error }, None, Some(now)),
            _ => (DispatchState::Dropped, None, None),
        };
    }

    /// Facts in any order, some of them again.
    fn facts(&mut self) -> Vec<Fact> {
        let count = self.dice.roll(3);
        (0..count)
            .map(|_| {
                let dispatch = sample(self.dice.roll(KEYS));
                // The same id always says the same.
                let sequence = u32::try_from(self.dice.roll(8)).unwrap();
                let parked_at = |sequence: u32| START + Duration::from_secs(u64::from(sequence) * 30);
                let body = match sequence % 2 {
                    0 => FactBody::DispatchFailed { error: sequence.to_string() },
                    _ => FactBody::DispatchRetried { parked_at: Some(parked_at(sequence - 1)) },
                };
                let subject = Subject::dispatch(dispatch.delivery, dispatch.key);
                let happened = dispatch.source.happened.map(|happened| (dispatch.source.name, happened));
                Fact { subject, sequence, time: parked_at(sequence), body, happened }
            })
            .collect()
    }

    async fn compare(&self) {
        let keys: Vec<_> = (0..KEYS).map(|n| Record::Dispatch(Box::new(sample(n))).key()).collect();
        assert_eq!(self.durable.load(&keys).await, self.memory.load(&keys).await);
        for after in [None, Some(keys[3].to_string()), Some("dispatch/".to_owned()), Some("e".to_owned())] {
            let query = WaitingQuery { queue: Queue::Dispatch, after, limit: 7 };
            assert_eq!(self.durable.waiting(query.clone()).await, self.memory.waiting(query).await);
        }
        let partitions = (0..KEYS).map(|n| (JOURNEY, journey_partition(&sample(n).delivery)));
        for (view, partition) in partitions.chain([(PARKED, EVERYTHING.to_owned())]) {
            let query = ViewQuery { view, partition, before: None, limit: 5 };
            let first = self.durable.rows(query.clone()).await.unwrap();
            assert_eq!(first, self.memory.rows(query.clone()).await.unwrap());
            let before = first.last().map(|row| row.sort.clone());
            let query = ViewQuery { before, ..query };
            assert_eq!(self.durable.rows(query.clone()).await, self.memory.rows(query).await);
        }
        let names = Counter::TOTALS.map(|counter| counter.to_string());
        assert_eq!(self.durable.counters(&names).await, self.memory.counters(&names).await);
    }
}

const START: Timestamp = Timestamp::constant(1_800_000_000, 0);

/// The dispatch of this number: its key, its delivery and its lane follow from it.
fn sample(n: u64) -> Dispatch {
    let place = |name: &str| serde_json::json!({ "repository": name, "start": { "workflow": "cd.yml" } });
    let target = place(&format!("acme/target-{}", n % LANES));
    let event = format!("workflow_run:1:{n}:1");
    let rule = |name: &str| serde_json::json!({ "repository": name, "path": "dispatching.yml", "line": 3 });
    let decision = serde_json::json!({
        "target": target, "outbound_rule": rule("acme/api"), "visibility": "source",
        "verdict": { "allowed": {
            "identity": { "verified": { "id": 2, "private": false } },
            "request": { "workflow": { "workflow": "cd.yml", "ref": "main", "inputs": {} } },
            "inbound_rule": rule("acme/target"),
            "chain": { "root": event, "places": [place("acme/api"), target] },
        } },
    });
    let dispatch = serde_json::json!({
        "key": { "event": event, "target": target },
        "delivery": { "id": format!("delivery-{n}"), "body_sha256": format!("{n:064}") },
        "source": { "repository": 1, "name": "acme/api", "lane": null },
        "decision": decision, "decided_at": START, "state": "ready", "due": null,
        "attempts": 0, "waits": 0, "facts": 0,
    });
    serde_json::from_value(dispatch).unwrap()
}

#[tokio::test]
async fn it_does_what_the_store_in_memory_does() {
    let directory = tempfile::tempdir().unwrap();
    for seed in 0..12 {
        let durable = SqliteStore::open(directory.path().join(format!("{seed}.sqlite"))).unwrap();
        let mut both = Both { durable, memory: MemoryStore::new(), dice: Dice(seed), now: START, held: Vec::new() };
        for step in 0..150 {
            println!("seed {seed}, step {step}");
            both.step().await;
            if step % 10 == 0 {
                both.compare().await;
            }
        }
        both.compare().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_on_one_database_never_hold_the_same_work() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("dispatch.sqlite");
    let first = Arc::new(SqliteStore::open(&path).unwrap());
    let second = Arc::new(SqliteStore::open(&path).unwrap());
    let writes = (0..90).map(|n| {
        let dispatch = Dispatch { due: Some(START), ..sample(n) };
        Write { record: Record::Dispatch(Box::new(dispatch)), expected: None }
    });
    first.commit(Commit { writes: writes.collect(), facts: Vec::new() }).await.unwrap();
    let claim = Claim { queue: Queue::Dispatch, now: START, lease: Duration::from_secs(60), limit: 4, per_lane: 99 };
    let claiming = [first, second].map(|store| {
        tokio::spawn(async move {
            let mut claimed = Vec::new();
            loop {
                let some = store.claim(claim).await.unwrap();
                if some.is_empty() {
                    return claimed;
                }
                claimed.extend(some.into_iter().map(|stored| stored.record.key()));
            }
        })
    });
    let mut all = Vec::new();
    for claimed in claiming {
        all.extend(claimed.await.unwrap());
    }
    assert_eq!(all.len(), 90);
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), 90, "nothing is held twice");
}
