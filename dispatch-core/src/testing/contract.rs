//! What every [store](StorePort) must do, as a suite to run over each of them, on any runtime.
//!
//! - A record comes back as it was written, whatever characters its names have.
//! - A write that expects another version changes nothing: no record, no fact, no read model.
//! - A step writes each key once, and at most [`Commit::MAX_WRITES`] records and facts.
//! - A claim leases: nobody else gets the work until the lease ends, and then it comes back.
//! - Only due work of the queue is claimed, the earliest first.
//! - Lanes take turns, and none has more work at the same time than it may.
//! - A fact is applied once, and read models are the same in whatever order facts come.
//! - Rows are read newest first, page by page, none twice and none left out.
#![expect(clippy::expect_used, clippy::panic, reason = "a suite of tests: it ends at the first broken promise")]

use std::time::Duration;

use crate::Timestamp;
use crate::chain::{Chain, Place};
use crate::decide::{Allowed, Decision, Edge, EdgeKey, Identity, LaneKey, Plan, Skipped, Verdict, Visibility};
use crate::delivery::{Delivery, DeliveryKey, DeliveryState};
use crate::dispatch::{Dispatch, DispatchKey, DispatchSource, DispatchState};
use crate::event::{Conclusion, Event, EventKind, EventRepository, Head, WorkflowRun};
use crate::fact::{Fact, FactBody, Subject};
use crate::ledger::{Ledger, OpenCall};
use crate::name::{Branch, Repository, RepositoryId, RunId};
use crate::policy::{PolicyPath, RuleLocation, Start};
use crate::ports::store::{
    Claim, Commit, HeadKey, Queue, Record, RecordKey, RootBudget, RunRecord, StoreError, StorePort, Stored, ViewQuery,
    Write,
};
use crate::projection::{Counter, DELIVERIES, DeliveryRow, DeliveryRowState, EVERYTHING, JOURNEY, journey_partition};
use crate::reason::Reason;
use crate::request::{DispatchRequest, WorkflowDispatch};
use crate::retry::later;

/// Runs the suite. `make_store` makes an empty store for each part of it.
///
/// # Panics
/// The store breaks a promise; the message says which.
pub async fn store_contract<S: StorePort>(make_store: impl AsyncFn() -> S) {
    records_come_back_as_they_were_written(&make_store().await).await;
    versions_count_up_and_are_compared(&make_store().await).await;
    a_conflict_undoes_the_whole_step(&make_store().await).await;
    a_step_has_its_limits(&make_store().await).await;
    a_claim_leases_until_its_end(&make_store().await).await;
    a_commit_moves_claimed_work_on(&make_store().await).await;
    only_due_work_of_the_queue_is_claimed(&make_store().await).await;
    lanes_take_turns(&make_store().await).await;
    a_lane_has_no_more_work_at_once_than_it_may(&make_store().await).await;
    a_fact_is_applied_once(&make_store().await).await;
    facts_may_come_in_any_order(&make_store).await;
    rows_are_read_page_by_page(&make_store().await).await;
}

const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);
const LEASE: Duration = Duration::from_secs(60);

async fn records_come_back_as_they_were_written(store: &impl StorePort) {
    let odd_branch = "release/$(id)'\"\\%_@>:ü🦀";
    let branch: Branch = odd_branch.parse().expect("a branch");
    let lane = LaneKey {
        source: place("acme/api", "ci.yml"),
        branch: Some(branch.clone()),
        target: place("acme/web", "cd.yml"),
    };
    let edge = EdgeKey { source: repository("acme/api"), target: repository("acme/web") };
    let head = HeadKey { repository: RepositoryId(7), branch, sha: sha() };
    let records = [
        Record::Delivery(Box::new(delivery("acme/api", 1, NOW))),
        Record::Dispatch(Box::new(dispatch("acme/web", 1, NOW))),
        Record::Edge(edge, Edge { source: RepositoryId(7), target: RepositoryId(u64::from(u32::MAX) + 8) }),
        Record::Lane(lane, 41),
        Record::Head(head, NOW),
        Record::Run(RunId(30_433_642_000), run_record()),
        Record::Target(place("acme/web", "cd.yml"), ledger()),
        Record::Root(event("acme/api", 1).identity(), RootBudget::default()),
        Record::Recovery(Box::default()),
        Record::Probe(NOW),
    ];
    let writes = records.iter().map(|record| Write { record: record.clone(), expected: None }).collect();
    store.commit(Commit { writes, facts: Vec::new() }).await.expect("new records are written");

    let absent = RecordKey::Run(RunId(1));
    let mut keys: Vec<_> = records.iter().map(Record::key).collect();
    keys.insert(2, absent);
    let loaded = store.load(&keys).await.expect("loads");
    let mut expected: Vec<_> = records.map(|record| Some(Stored { record, version: 1 })).into();
    expected.insert(2, None);
    assert_eq!(loaded, expected, "records come back in the order of the keys, an absent one as none");
    assert_eq!(store.load(&[]).await, Ok(Vec::new()), "no keys, no records");
}

async fn versions_count_up_and_are_compared(store: &impl StorePort) {
    let record = Record::Delivery(Box::new(delivery("acme/api", 1, NOW)));
    let key = record.key();
    put(store, &record, None).await.expect("a new record expects none");
    assert_eq!(put(store, &record, None).await, Err(StoreError::Conflict(key.clone())), "there is one already");
    assert_eq!(put(store, &record, Some(2)).await, Err(StoreError::Conflict(key.clone())), "a version too new");
    put(store, &record, Some(1)).await.expect("the right version");
    assert_eq!(put(store, &record, Some(1)).await, Err(StoreError::Conflict(key.clone())), "a version too old");
    assert_eq!(version(store, &key).await, Some(2));
    let absent = Record::Delivery(Box::new(delivery("acme/api", 2, NOW)));
    assert_eq!(put(store, &absent, Some(1)).await, Err(StoreError::Conflict(absent.key())), "there is none");
}

async fn a_conflict_undoes_the_whole_step(store: &impl StorePort) {
    let (first, second) = (delivery("acme/api", 1, NOW), delivery("acme/api", 2, NOW));
    let [first_record, second_record] = [&first, &second].map(|d| Record::Delivery(Box::new(d.clone())));
    put(store, &second_record, None).await.expect("written");
    let writes = [&first_record, &second_record].map(|record| Write { record: record.clone(), expected: None });
    let commit = Commit { writes: writes.into(), facts: vec![received(&first)] };
    assert_eq!(store.commit(commit).await, Err(StoreError::Conflict(second_record.key())));
    assert_eq!(version(store, &first_record.key()).await, None, "the write before the conflict is undone");
    assert_eq!(count(store, Counter::Received).await, 0, "the fact is not counted");
    assert_eq!(rows(store, DELIVERIES, EVERYTHING).await.len(), 0, "the fact has no row");
    // The fact was not remembered as applied either.
    store.commit(Commit { writes: Vec::new(), facts: vec![received(&first)] }).await.expect("the fact is new");
    assert_eq!(count(store, Counter::Received).await, 1);
}

async fn a_step_has_its_limits(store: &impl StorePort) {
    let write = |n| Write { record: Record::Run(RunId(n), run_record()), expected: None };
    let twice = Commit { writes: vec![write(1), write(1)], facts: Vec::new() };
    assert!(matches!(store.commit(twice).await, Err(StoreError::Illegal(_))), "a key twice in one step");
    let too_large = Commit { writes: (0..=100).map(write).collect(), facts: Vec::new() };
    assert!(matches!(store.commit(too_large).await, Err(StoreError::Illegal(_))), "101 writes in one step");
    assert_eq!(version(store, &RecordKey::Run(RunId(1))).await, None, "nothing of it was written");
    let full = Commit { writes: (0..99).map(write).collect(), facts: vec![received(&delivery("acme/api", 1, NOW))] };
    store.commit(full).await.expect("100 writes in one step");
}

async fn a_claim_leases_until_its_end(store: &impl StorePort) {
    let record = Record::Delivery(Box::new(delivery("acme/api", 1, NOW)));
    put(store, &record, None).await.expect("written");
    let claimed = claim(store, Queue::Plan, NOW, 10).await;
    assert_eq!(claimed, [Stored { record: record.clone(), version: 2 }], "a claim counts the version up");
    assert_eq!(version(store, &record.key()).await, Some(2));
    let end = later(NOW, LEASE);
    let just_before = later(NOW, LEASE - Duration::from_millis(1));
    assert_eq!(claim(store, Queue::Plan, just_before, 10).await, [], "leased to somebody else");
    let again = claim(store, Queue::Plan, end, 10).await;
    assert_eq!(again, [Stored { record: record.clone(), version: 3 }], "it comes back when its lease ends");
    let late = put(store, &record, Some(2)).await;
    assert_eq!(late, Err(StoreError::Conflict(record.key())), "who lost the lease cannot write any more");
}

async fn a_commit_moves_claimed_work_on(store: &impl StorePort) {
    let mut waiting = delivery("acme/api", 1, NOW);
    put(store, &Record::Delivery(Box::new(waiting.clone())), None).await.expect("written");
    claim(store, Queue::Plan, NOW, 10).await;
    let soon = later(NOW, Duration::from_secs(5));
    waiting.due = Some(soon);
    put(store, &Record::Delivery(Box::new(waiting.clone())), Some(2)).await.expect("put back");
    assert_eq!(claim(store, Queue::Plan, NOW, 10).await, [], "not due yet");
    assert_eq!(claim(store, Queue::Plan, soon, 10).await.len(), 1, "due before the old lease would have ended");
    waiting.due = None;
    put(store, &Record::Delivery(Box::new(waiting)), Some(4)).await.expect("done");
    let much_later = later(NOW, LEASE * 1_000);
    assert_eq!(claim(store, Queue::Plan, much_later, 10).await, [], "what is done never comes back");
}

async fn only_due_work_of_the_queue_is_claimed(store: &impl StorePort) {
    let at = |seconds| later(NOW, Duration::from_secs(seconds));
    for (n, due) in [(1, at(3)), (2, at(1)), (3, at(2)), (4, at(9))] {
        put(store, &Record::Delivery(Box::new(delivery("acme/api", n, due))), None).await.expect("written");
    }
    put(store, &Record::Dispatch(Box::new(dispatch("acme/web", 1, NOW))), None).await.expect("written");
    assert_eq!(numbers(&claim(store, Queue::Plan, at(5), 2).await), [2, 3], "the earliest first, as many as asked for");
    assert_eq!(numbers(&claim(store, Queue::Plan, at(5), 2).await), [1], "the rest that is due");
    assert_eq!(numbers(&claim(store, Queue::Dispatch, at(5), 9).await), [1], "each queue has its own work");
    assert_eq!(claim(store, Queue::Plan, at(5), 0).await, [], "nothing asked for, nothing claimed");
}

async fn lanes_take_turns(store: &impl StorePort) {
    for n in 0..20 {
        put(store, &Record::Delivery(Box::new(delivery("Flood/api", n, NOW))), None).await.expect("written");
    }
    for (n, owner) in [(100, "calm/api"), (101, "Calm/web"), (102, "other/api")] {
        let due = later(NOW, Duration::from_secs(n));
        put(store, &Record::Delivery(Box::new(delivery(owner, n, due))), None).await.expect("written");
    }
    let claimed = numbers(&claim(store, Queue::Plan, later(NOW, Duration::from_secs(200)), 5).await);
    for n in [100, 101, 102] {
        assert!(claimed.contains(&n), "a flood holds up nobody else: {n} is not among {claimed:?}");
    }
    assert_eq!(claimed.len(), 5, "what the others leave, the flood gets");
}

async fn a_lane_has_no_more_work_at_once_than_it_may(store: &impl StorePort) {
    for n in 0..6 {
        put(store, &Record::Dispatch(Box::new(dispatch("acme/web", n, NOW))), None).await.expect("written");
    }
    put(store, &Record::Dispatch(Box::new(dispatch("acme/api", 9, NOW))), None).await.expect("written");
    let ask = Claim { queue: Queue::Dispatch, now: NOW, lease: LEASE, limit: 10, per_lane: 2 };
    let first = store.claim(ask).await.expect("claims");
    assert_eq!(first.len(), 3, "two of the one repository, one of the other");
    assert_eq!(store.claim(ask).await.expect("claims"), [], "both of its places are taken");
    let Some(Stored { record: Record::Dispatch(mut done), version }) =
        first.into_iter().find(|stored| stored.record.work().is_some_and(|work| work.lane == "acme/web"))
    else {
        panic!("a dispatch to the busy repository was claimed");
    };
    done.state = DispatchState::Calling { since: NOW };
    done.due = Some(later(NOW, LEASE / 2));
    put(store, &Record::Dispatch(done.clone()), Some(version)).await.expect("a call begins");
    assert_eq!(store.claim(ask).await.expect("claims"), [], "a call that began keeps its place");
    done.due = None;
    put(store, &Record::Dispatch(done), Some(version + 1)).await.expect("done");
    assert_eq!(store.claim(ask).await.expect("claims").len(), 1, "a place is free again");
    let ended = Claim { now: later(NOW, LEASE), ..ask };
    assert_eq!(store.claim(ended).await.expect("claims").len(), 3, "an ended lease takes no place");
}

async fn a_fact_is_applied_once(store: &impl StorePort) {
    let fact = received(&delivery("acme/api", 1, NOW));
    for _ in 0..3 {
        store.commit(Commit { writes: Vec::new(), facts: vec![fact.clone(), fact.clone()] }).await.expect("commits");
    }
    assert_eq!(count(store, Counter::Received).await, 1);
    assert_eq!(rows(store, DELIVERIES, EVERYTHING).await.len(), 1);
    let journey = rows(store, JOURNEY, &journey_partition(&fact.subject.delivery)).await;
    assert_eq!(journey.iter().map(|row| row.read().expect("a fact")).collect::<Vec<Fact>>(), [fact]);
}

async fn facts_may_come_in_any_order<S: StorePort>(make_store: &impl AsyncFn() -> S) {
    let delivery = delivery("acme/api", 1, NOW);
    let fact = |sequence, body| Fact { sequence, body, time: later(NOW, LEASE * sequence), ..received(&delivery) };
    let summary = delivery.summary();
    let skipped = Skipped { reason: Reason::NoRuleMatched, message: "no rule".into(), outbound_rule: None };
    let plan = Plan { skipped: Some(skipped), decisions: Vec::new() };
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

async fn rows_are_read_page_by_page(store: &impl StorePort) {
    for n in 0..7 {
        let delivery = delivery("acme/api", n, later(NOW, Duration::from_secs(n)));
        store.commit(Commit { writes: Vec::new(), facts: vec![received(&delivery)] }).await.expect("commits");
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

async fn put(store: &impl StorePort, record: &Record, expected: Option<u64>) -> Result<(), StoreError> {
    let write = Write { record: record.clone(), expected };
    store.commit(Commit { writes: vec![write], facts: Vec::new() }).await
}

async fn version(store: &impl StorePort, key: &RecordKey) -> Option<u64> {
    let loaded = store.load(std::slice::from_ref(key)).await.expect("loads");
    loaded.into_iter().next().flatten().map(|stored| stored.version)
}

async fn claim(store: &impl StorePort, queue: Queue, now: Timestamp, limit: usize) -> Vec<Stored> {
    store.claim(Claim { queue, now, lease: LEASE, limit, per_lane: 100 }).await.expect("claims")
}

async fn count(store: &impl StorePort, counter: Counter) -> u64 {
    store.counters(&[counter.to_string()]).await.expect("counters").into_iter().sum()
}

async fn rows(store: &impl StorePort, view: &'static str, partition: &str) -> Vec<crate::projection::ViewRow> {
    let query = ViewQuery { view, partition: partition.to_owned(), before: None, limit: 1_000 };
    store.rows(query).await.expect("rows")
}

/// The numbers that the records were made with, in the order in which they were claimed.
fn numbers(claimed: &[Stored]) -> Vec<u64> {
    let number = |stored: &Stored| match &stored.record {
        Record::Delivery(delivery) => delivery.key.body_sha256.parse().ok(),
        Record::Dispatch(dispatch) => dispatch.delivery.body_sha256.parse().ok(),
        _ => None,
    };
    claimed.iter().filter_map(number).collect()
}

fn repository(name: &str) -> Repository {
    name.parse().expect("a repository")
}

fn place(name: &str, workflow: &str) -> Place {
    Place { repository: repository(name), start: Start::Workflow(workflow.parse().expect("a workflow file")) }
}

fn sha() -> crate::name::CommitSha {
    "0123456789abcdef0123456789abcdef01234567".parse().expect("a commit")
}

fn event(name: &str, n: u64) -> Event {
    let run = WorkflowRun {
        id: RunId(n),
        attempt: 1,
        number: n,
        workflow: Some("ci.yml".parse().expect("a workflow file")),
        conclusion: Some(Conclusion::Success),
        event: "push".into(),
        head_branch: Some("main".parse().expect("a branch")),
        head_sha: sha(),
        head: Head::SameRepository,
        actor: None,
        url: format!("https://github.com/{name}/actions/runs/{n}"),
        started_at: None,
        updated_at: NOW,
    };
    Event {
        version: Event::VERSION,
        repository: EventRepository {
            id: RepositoryId(7),
            name: repository(name),
            default_branch: "main".parse().expect("a branch"),
            private: false,
        },
        installation: None,
        sender: None,
        kind: EventKind::WorkflowRun(run),
    }
}

fn delivery_key(n: u64) -> DeliveryKey {
    DeliveryKey { id: format!("delivery-{n}").parse().expect("a delivery id"), body_sha256: n.to_string() }
}

fn delivery(name: &str, n: u64, due: Timestamp) -> Delivery {
    Delivery {
        key: delivery_key(n),
        event: event(name, n),
        received_at: due,
        state: DeliveryState::Received,
        due: Some(due),
        attempts: 0,
        parked_at: None,
        renewed_at: None,
        facts: 1,
    }
}

fn received(delivery: &Delivery) -> Fact {
    Fact {
        subject: Subject { delivery: delivery.key.clone(), dispatch: None },
        sequence: 0,
        time: delivery.received_at,
        body: FactBody::DeliveryReceived { event: delivery.event.clone() },
    }
}

fn chain() -> Chain {
    Chain::root(event("acme/api", 1).identity(), place("acme/api", "ci.yml"))
}

fn ledger() -> Ledger {
    let mut ledger = Ledger::default();
    let dispatch = run_record().dispatch;
    let git_ref = "release/größe".parse().expect("a ref");
    ledger.begin(&repository("acme/api"), OpenCall { dispatch, git_ref, since: NOW, given_up: false });
    ledger
}

fn run_record() -> RunRecord {
    let dispatch = DispatchKey { event: event("acme/api", 1).identity(), target: place("acme/web", "cd.yml") };
    RunRecord { chain: chain(), dispatch, at: NOW }
}

fn dispatch(target: &str, n: u64, due: Timestamp) -> Dispatch {
    let target = place(target, "cd.yml");
    let rule = |name: &str| RuleLocation { repository: repository(name), path: PolicyPath::Root, line: 7 };
    let Start::Workflow(workflow) = target.start.clone();
    let inputs = [("sha".to_owned(), "0123456".to_owned())].into();
    let request = WorkflowDispatch::new(workflow, "main".parse().expect("a ref"), inputs).expect("a small request");
    let allowed = Allowed {
        identity: Identity::Verified { id: RepositoryId(8), private: true },
        request: DispatchRequest::Workflow(request),
        inbound_rule: rule(target.repository.as_str()),
        chain: chain().then(target.clone()),
    };
    let verdict = Verdict::Allowed(allowed);
    Dispatch {
        key: DispatchKey { event: event("acme/api", n).identity(), target: target.clone() },
        delivery: delivery_key(n),
        source: DispatchSource { repository: RepositoryId(7), name: repository("acme/api"), lane: None },
        decision: Decision { target, outbound_rule: rule("acme/api"), verdict, visibility: Visibility::Source },
        decided_at: due,
        state: DispatchState::Ready,
        due: Some(due),
        attempts: 0,
        waits: 0,
        doubts: 0,
        parked_at: None,
        facts: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::MemoryStore;

    #[test]
    fn the_store_in_memory_keeps_the_contract() {
        futures_util::FutureExt::now_or_never(store_contract(async || MemoryStore::new())).expect("it never waits");
    }
}
