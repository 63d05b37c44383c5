//! From facts to read models: each fact once, in any order, one transaction for each part of it.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::types::{TransactWriteItem, Update as UpdateItem};
use dispatch_core::Timestamp;
use dispatch_core::fact::Fact;
use dispatch_core::ports::store::StoreError;
use dispatch_core::projection::{BY_NAME, EDGES, Tally, Update, ViewRow, project};

use super::DynamoStore;
use super::commit::{ABSENT, write_of};
use super::item::{self, Item, ItemKey, n};
use super::transaction::{TRIES, pause};

/// The most items that a part of a fact writes, beside its mark: 100 go into a transaction.
const PART: usize = 99;

/// The most rows that a tally writes: where the edge is found by its name, where it was last used, and where it was before.
const TALLY: usize = 3;

/// A row that a part writes.
struct Change {
    revision: u64,
    row: Option<ViewRow>,
    /// None: it is kept for good.
    time: Option<Timestamp>,
    guard: Guard,
}

/// What must be there for a row to be written.
#[derive(Clone, Copy)]
enum Guard {
    /// Nothing newer. Where there is, the row is left as it is.
    NothingNewer,
    /// What was read: that revision, or nothing. Where there is something else, it is read again.
    AsRead(Option<u64>),
}

type Changes = BTreeMap<ItemKey, Change>;

impl DynamoStore {
    /// Updates the read models with a fact.
    pub(super) async fn apply_fact(&self, fact: &Fact) -> Result<(), StoreError> {
        for (number, updates) in parts(fact).into_iter().enumerate() {
            self.apply_part(item::mark(fact, number, self.retention), &updates, fact.time).await?;
        }
        Ok(())
    }

    /// Writes a part of a fact, unless its mark is there.
    async fn apply_part(&self, mark: Item, updates: &[Update], time: Timestamp) -> Result<(), StoreError> {
        let mut stale = BTreeSet::new();
        for attempt in 0..TRIES {
            let (counts, mut changes) = self.changes(updates, time).await?;
            changes.retain(|key, _| !stale.contains(key));
            let mut items = vec![write_of(self.put(mark.clone()).condition_expression(ABSENT))?];
            for (counter, by) in &counts {
                items.push(self.count(counter, *by)?);
            }
            let rows = items.len();
            for (key, change) in &changes {
                items.push(self.put_row(key, change)?);
            }
            let failed = self.transact(&items).await?;
            // It is done; or the mark is there, so that it was done before.
            if failed.is_empty() || failed.contains(&0) {
                return Ok(());
            }
            let mut read_again = false;
            for (key, change) in failed.iter().filter_map(|position| changes.iter().nth(position.checked_sub(rows)?)) {
                match change.guard {
                    Guard::NothingNewer => _ = stale.insert(key.clone()),
                    Guard::AsRead(_) => read_again = true,
                }
            }
            if read_again {
                pause(attempt).await;
            }
        }
        Err(StoreError::Unavailable("too many others change the same rows".to_owned()))
    }

    /// What updates come to: how much is to be counted, and the rows to be written, each once.
    async fn changes(
        &self,
        updates: &[Update],
        time: Timestamp,
    ) -> Result<(BTreeMap<String, u64>, Changes), StoreError> {
        let key = |tally: &Tally| ItemKey::row(EDGES, BY_NAME, &tally.sort());
        let tallied =
            updates.iter().filter_map(|update| if let Update::Tally(tally) = update { Some(tally) } else { None });
        let there = self.items(tallied.map(key).collect()).await?;
        let (mut counts, mut changes) = (BTreeMap::new(), Changes::new());
        for update in updates {
            match update {
                Update::Count { counter, by } => {
                    let count: &mut u64 = counts.entry(counter.clone()).or_default();
                    *count = count.saturating_add(*by);
                }
                Update::Tally(tally) => {
                    let key = key(tally);
                    let read = there.get(&key);
                    let row = match (changes.get(&key), read) {
                        (Some(change), _) => change.row.clone(),
                        (None, Some(item)) => item::view_row(item, EDGES, BY_NAME)?,
                        (None, None) => None,
                    };
                    let (updates, time) = tally.add_to(row.as_ref());
                    updates.iter().for_each(|update| keep(&mut changes, update, time));
                    if let Some(change) = changes.get_mut(&key) {
                        let revision = read.map(|item| item::number(item, "revision")).transpose()?;
                        change.guard = Guard::AsRead(revision);
                    }
                }
                update => keep(&mut changes, update, time),
            }
        }
        Ok((counts, changes))
    }

    fn count(&self, counter: &str, by: u64) -> Result<TransactWriteItem, StoreError> {
        let update = UpdateItem::builder()
            .table_name(&self.table)
            .set_key(Some(ItemKey::counter(counter).attributes()))
            .update_expression("ADD #value :by")
            .expression_attribute_names("#value", "value")
            .expression_attribute_values(":by", n(by))
            .build()
            .map_err(|error| StoreError::Illegal(error.to_string()))?;
        Ok(TransactWriteItem::builder().update(update).build())
    }

    fn put_row(&self, key: &ItemKey, change: &Change) -> Result<TransactWriteItem, StoreError> {
        let put = self.put(item::row(key, change.revision, change.row.as_ref(), change.time, self.retention));
        write_of(match change.guard {
            Guard::NothingNewer => put
                .condition_expression(format!("{ABSENT} OR revision <= :revision"))
                .expression_attribute_values(":revision", n(change.revision)),
            Guard::AsRead(None) => put.condition_expression(ABSENT),
            Guard::AsRead(Some(revision)) => {
                put.condition_expression("revision = :revision").expression_attribute_values(":revision", n(revision))
            }
        })
    }
}

/// Puts or removes a row, unless a newer one is to be written in its place.
fn keep(changes: &mut Changes, update: &Update, time: Timestamp) {
    let (key, revision, row, time) = match update {
        Update::Put(row) => (row_key(row), row.revision, Some(row.clone()), Some(time)),
        Update::Keep(row) => (row_key(row), row.revision, Some(row.clone()), None),
        Update::Remove { view, partition, sort, revision } => {
            (ItemKey::row(view, partition, sort), *revision, None, Some(time))
        }
        // They are no rows, and nothing that adds up leads to another one.
        Update::Count { .. } | Update::Tally(_) => return,
    };
    if changes.get(&key).is_none_or(|there| there.revision <= revision) {
        changes.insert(key, Change { revision, row, time, guard: Guard::NothingNewer });
    }
}

fn row_key(row: &ViewRow) -> ItemKey {
    ItemKey::row(&row.view, &row.partition, &row.sort)
}

/// The updates of a fact, as many together as one transaction writes. The parts are the same whenever the fact comes, so that
/// the mark of each says what was done.
fn parts(fact: &Fact) -> Vec<Vec<Update>> {
    let (mut parts, mut size) = (vec![Vec::new()], 0);
    for update in project(fact) {
        let items = match update {
            Update::Tally(_) => TALLY,
            _ => 1,
        };
        if size + items > PART {
            parts.push(Vec::new());
            size = 0;
        }
        size += items;
        if let Some(part) = parts.last_mut() {
            part.push(update);
        }
    }
    parts
}
