//! A store in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use crate::Timestamp;
use crate::fact::Fact;
use crate::name::DeliveryId;
use crate::ports::store::{
    Claim, Commit, Record, RecordKey, StoreError, StorePort, Stored, Take, Taken, ViewQuery, WaitingQuery, Work,
};
use crate::projection::{BY_NAME, EDGES, Update, ViewRow, project};
use crate::retry::later;

/// A store that forgets everything when it is dropped. It passes the [contract](super::contract) that durable stores pass.
#[derive(Debug, Default)]
pub struct MemoryStore {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    records: BTreeMap<RecordKey, Entry>,
    facts: Vec<Fact>,
    fact_ids: BTreeSet<String>,
    rows: BTreeMap<(String, String, String), KeptRow>,
    counters: BTreeMap<String, u64>,
    positions: u64,
}

/// A row, or the place of one that was removed.
#[derive(Debug)]
struct KeptRow {
    row: Option<ViewRow>,
    revision: u64,
    time: Timestamp,
}

#[derive(Debug)]
struct Entry {
    /// The how-manieth new record it was.
    position: u64,
    stored: Stored,
    work: Option<Work>,
    leased_until: Option<Timestamp>,
}

impl Entry {
    fn lease(&mut self, until: Timestamp) -> Stored {
        self.leased_until = Some(until);
        self.stored.version += 1;
        self.stored.clone()
    }
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Every fact, in the order in which they were written.
    #[must_use]
    pub fn facts(&self) -> Vec<Fact> {
        self.lock().facts.clone()
    }

    /// Every record, in the order of the keys.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        self.lock().records.values().map(|entry| entry.stored.record.clone()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl StorePort for MemoryStore {
    async fn commit(&self, commit: Commit) -> Result<(), StoreError> {
        let keys = commit.distinct_keys()?;
        let mut inner = self.lock();
        for (key, write) in keys.iter().zip(&commit.writes) {
            if inner.records.get(key).map(|entry| entry.stored.version) != write.expected {
                return Err(StoreError::Conflict(key.clone()));
            }
        }
        for (key, write) in keys.into_iter().zip(commit.writes) {
            let (work, version) = (write.record.work(), write.expected.unwrap_or(0) + 1);
            let stored = Stored { record: write.record, version };
            let leased_until = work.as_ref().filter(|work| work.held).map(|work| work.due);
            inner.positions += 1;
            let position = inner.records.get(&key).map_or(inner.positions, |there| there.position);
            inner.records.insert(key, Entry { position, stored, work, leased_until });
        }
        commit.facts.into_iter().for_each(|fact| inner.add(fact));
        Ok(())
    }

    async fn load(&self, keys: &[RecordKey]) -> Result<Vec<Option<Stored>>, StoreError> {
        let inner = self.lock();
        Ok(keys.iter().map(|key| inner.records.get(key).map(|entry| entry.stored.clone())).collect())
    }

    async fn claim(&self, claim: Claim) -> Result<Vec<Stored>, StoreError> {
        let mut inner = self.lock();
        // For each lane: how many items are leased, and the due ones, the earliest first, and of these who came first.
        let mut lanes: BTreeMap<&str, (usize, BTreeSet<(Timestamp, u64, RecordKey)>)> = BTreeMap::new();
        for (key, entry) in &inner.records {
            let Some(work) = entry.work.as_ref().filter(|work| work.queue == claim.queue) else { continue };
            let (leased, due) = lanes.entry(&work.lane).or_default();
            // What comes back is due when its lease ends.
            let since = entry.leased_until.unwrap_or(work.due);
            match entry.leased_until {
                Some(until) if until > claim.now => *leased += 1,
                _ if since <= claim.now => _ = due.insert((since, entry.position, key.clone())),
                _ => {}
            }
        }
        // The lanes take turns: first the first item of each, then the second of each.
        let mut turns = BTreeSet::new();
        for (leased, due) in lanes.into_values() {
            let free = claim.per_lane.saturating_sub(leased);
            turns.extend(due.into_iter().take(free).enumerate());
        }
        let until = later(claim.now, claim.lease);
        let claimed = turns.into_iter().take(claim.limit);
        Ok(claimed.filter_map(|(_, (_, _, key))| Some(inner.records.get_mut(&key)?.lease(until))).collect())
    }

    async fn take(&self, take: Take) -> Result<Taken, StoreError> {
        let mut inner = self.lock();
        let Some(entry) = inner.records.get_mut(&take.key) else { return Ok(Taken::Nothing) };
        let Some(work) = &entry.work else { return Ok(Taken::Nothing) };
        let since = entry.leased_until.unwrap_or(work.due);
        if since > take.now {
            return Ok(Taken::NotBefore(since));
        }
        Ok(Taken::Work(Box::new(entry.lease(later(take.now, take.lease)))))
    }

    async fn waiting(&self, query: WaitingQuery) -> Result<Vec<Stored>, StoreError> {
        let inner = self.lock();
        let waits = |entry: &&Entry| entry.work.as_ref().is_some_and(|work| work.queue == query.queue);
        let waiting = inner.records.iter().filter(|(_, entry)| waits(entry));
        let mut waiting: Vec<_> = waiting.map(|(key, entry)| (key.to_string(), entry.stored.clone())).collect();
        waiting.retain(|(key, _)| query.after.as_ref().is_none_or(|after| key > after));
        waiting.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok(waiting.into_iter().map(|(_, stored)| stored).take(query.limit).collect())
    }

    async fn deliveries(&self, id: &DeliveryId) -> Result<Vec<Stored>, StoreError> {
        let inner = self.lock();
        let of_id = |stored: &&Stored| matches!(&stored.record, Record::Delivery(delivery) if delivery.key.id == *id);
        Ok(inner.records.values().map(|entry| &entry.stored).filter(of_id).cloned().collect())
    }

    async fn retire(&self, before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let mut inner = self.lock();
        let mut done: Vec<_> = inner
            .records
            .iter()
            .filter_map(|(key, entry)| Some((entry.stored.record.done_at()?, key.clone())))
            .filter(|(at, _)| *at < before)
            .collect();
        done.sort();
        let mut deleted = 0;
        for (_, key) in done.into_iter().take(limit) {
            inner.records.remove(&key);
            deleted += 1;
        }
        let mut old: Vec<_> = inner
            .rows
            .iter()
            .filter(|(_, kept)| kept.time < before)
            .map(|(key, kept)| (kept.time, key.clone()))
            .collect();
        old.sort();
        for (_, key) in old.into_iter().take(limit) {
            inner.rows.remove(&key);
            deleted += 1;
        }
        let mut times: Vec<_> = inner.facts.iter().map(|fact| fact.time).filter(|time| *time < before).collect();
        times.sort();
        times.truncate(limit);
        let (gone, kept): (Vec<_>, Vec<_>) = std::mem::take(&mut inner.facts).into_iter().partition(|fact| {
            let goes = times.binary_search(&fact.time);
            goes.map(|position| times.remove(position)).is_ok()
        });
        for fact in &gone {
            inner.fact_ids.remove(&fact.id());
        }
        inner.facts = kept;
        Ok(deleted + gone.len())
    }

    async fn rows(&self, query: ViewQuery) -> Result<Vec<ViewRow>, StoreError> {
        let inner = self.lock();
        let view = query.view.to_owned();
        let first = (view.clone(), query.partition.clone(), String::new());
        // Without a place to end before, it ends before the partition that comes next, whatever that could be.
        let end = match query.before {
            Some(before) => (view, query.partition, before),
            None => (view, query.partition + "\0", String::new()),
        };
        let rows = inner.rows.range(first..end).rev();
        Ok(rows.filter_map(|(_, kept)| kept.row.clone()).take(query.limit).collect())
    }

    async fn counters(&self, names: &[String]) -> Result<Vec<u64>, StoreError> {
        let inner = self.lock();
        Ok(names.iter().map(|name| inner.counters.get(name).copied().unwrap_or(0)).collect())
    }
}

impl Inner {
    fn add(&mut self, fact: Fact) {
        if !self.fact_ids.insert(fact.id()) {
            return;
        }
        project(&fact).into_iter().for_each(|update| self.apply(update, fact.time));
        self.facts.push(fact);
    }

    fn apply(&mut self, update: Update, time: Timestamp) {
        match update {
            Update::Count { counter, by } => *self.counters.entry(counter).or_default() += by,
            Update::Put(row) => {
                let key = (row.view.clone(), row.partition.clone(), row.sort.clone());
                self.keep(key, KeptRow { revision: row.revision, row: Some(row), time });
            }
            Update::Keep(row) => {
                let key = (row.view.clone(), row.partition.clone(), row.sort.clone());
                self.keep(key, KeptRow { revision: row.revision, row: Some(row), time: Timestamp::MAX });
            }
            Update::Tally(tally) => {
                let there = self.rows.get(&(EDGES.to_owned(), BY_NAME.to_owned(), tally.sort()));
                let (updates, time) = tally.add_to(there.and_then(|kept| kept.row.as_ref()));
                updates.into_iter().for_each(|update| self.apply(update, time));
            }
            Update::Remove { view, partition, sort, revision } => {
                self.keep((view.to_owned(), partition, sort), KeptRow { row: None, revision, time });
            }
        }
    }

    fn keep(&mut self, key: (String, String, String), row: KeptRow) {
        if self.rows.get(&key).is_none_or(|there| there.revision <= row.revision) {
            self.rows.insert(key, row);
        }
    }
}
