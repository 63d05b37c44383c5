//! Work is read from an index, and leased on the table.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::ReturnValue;
use dispatch_core::Timestamp;
use dispatch_core::ports::store::{Claim, Queue, RecordKey, StoreError, Stored, Take, Taken};
use futures_util::future::join_all;

use super::item::{self, Item, ItemKey, n, s};
use super::{DynamoStore, unavailable};

/// How many entries of the index one request reads.
const PAGE: usize = 1_000;
/// How many pages of a range are read at most, where the work on the first ones has no place free.
const PAGES: usize = 20;
/// How many items are leased at the same time.
const LEASES_AT_ONCE: usize = 16;
/// How often the index is read anew, when others took what it showed.
const ROUNDS: usize = 5;

/// An entry of the index `work`.
struct Entry {
    key: ItemKey,
    version: u64,
    /// The time when it is due or its lease ends, as the index has it.
    time: String,
    lane: String,
}

impl Entry {
    fn of(item: &Item) -> Result<Self, StoreError> {
        let (time, lane) = (item::text(item, "wd")?.to_owned(), item::text(item, "lane")?.to_owned());
        Ok(Self { key: ItemKey::of(item)?, version: item::number(item, "v")?, time, lane })
    }

    /// The time without what it is of, to compare work that is due with work that comes back.
    fn since(&self) -> &str {
        self.time.rsplit('/').next().unwrap_or_default()
    }
}

impl DynamoStore {
    /// Leases due work; the lanes take turns.
    pub(super) async fn take_work(&self, claim: &Claim) -> Result<Vec<Stored>, StoreError> {
        let (mut claimed, mut tried) = (Vec::new(), BTreeMap::new());
        let until = later(claim.now, claim.lease);
        for _ in 0..ROUNDS {
            if claimed.len() >= claim.limit {
                break;
            }
            let mut turns = self.turns(claim, &tried).await?.into_iter();
            let mut lost = false;
            while claimed.len() < claim.limit {
                let at_once = claim.limit.saturating_sub(claimed.len()).min(LEASES_AT_ONCE);
                let next: Vec<_> = turns.by_ref().take(at_once).collect();
                if next.is_empty() {
                    break;
                }
                tried.extend(next.iter().map(|entry| (entry.key.clone(), entry.lane.clone())));
                for leased in join_all(next.iter().map(|entry| self.lease(entry, until))).await {
                    match leased {
                        Ok(Some(stored)) => claimed.push(stored),
                        Ok(None) => lost = true,
                        Err(error) if claimed.is_empty() => return Err(error),
                        // What is leased already is handed out. What is not comes with the next claim.
                        Err(error) => tracing::warn!(%error, "work could not be leased"),
                    }
                }
            }
            if !lost {
                break;
            }
        }
        Ok(claimed)
    }

    /// Leases one item, if it is due.
    pub(super) async fn take_item(&self, take: &Take) -> Result<Taken, StoreError> {
        let key = ItemKey::record(&take.key);
        for _ in 0..ROUNDS {
            let items = self.items([key.clone()].into()).await?;
            let Some(item) = items.get(&key).filter(|item| item.contains_key("wd")) else { return Ok(Taken::Nothing) };
            let (entry, since) = (Entry::of(item)?, item::time_of(item)?);
            if since > take.now {
                return Ok(Taken::NotBefore(since));
            }
            if let Some(stored) = self.lease(&entry, later(take.now, take.lease)).await? {
                return Ok(Taken::Work(Box::new(stored)));
            }
        }
        Err(StoreError::Unavailable(format!("others were faster with `{}`, again and again", take.key)))
    }

    /// Leases an item, if it is still as the index said.
    async fn lease(&self, entry: &Entry, until: Timestamp) -> Result<Option<Stored>, StoreError> {
        let request = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(entry.key.attributes()))
            .update_expression("SET wd = :until, v = :next")
            .condition_expression("v = :v AND wd = :wd")
            .expression_attribute_values(":until", s(item::leased_until(until)))
            .expression_attribute_values(":next", n(entry.version.saturating_add(1)))
            .expression_attribute_values(":v", n(entry.version))
            .expression_attribute_values(":wd", s(&entry.time))
            .return_values(ReturnValue::AllNew);
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) => {
                return match error.as_service_error() {
                    // Somebody else took it, or moves it on just now.
                    Some(
                        UpdateItemError::ConditionalCheckFailedException(_)
                        | UpdateItemError::TransactionConflictException(_),
                    ) => Ok(None),
                    _ => Err(unavailable(&error)),
                };
            }
        };
        match item::stored(&answer.attributes.unwrap_or_default()) {
            Ok(stored) => Ok(Some(stored)),
            // It stays leased, so that it does not hold up the others; it is told again when the lease ends.
            Err(error) => {
                tracing::error!(%error, "work cannot be read");
                Ok(None)
            }
        }
    }

    /// The work to try, in the order of turns: lanes take turns, and none gets more places than it has left. What was tried
    /// before takes a place, whoever has it now.
    async fn turns(&self, claim: &Claim, tried: &BTreeMap<ItemKey, String>) -> Result<Vec<Entry>, StoreError> {
        let mut leased: BTreeMap<String, usize> = BTreeMap::new();
        let mut under_way: BTreeSet<ItemKey> = tried.keys().cloned().collect();
        tried.values().for_each(|lane| *leased.entry(lane.clone()).or_default() += 1);
        let just_after = later(claim.now, Duration::from_micros(1));
        let range = (item::leased_until(just_after), item::leased_until(Timestamp::MAX));
        self.entries(claim.queue, range, usize::MAX, |entry| {
            if under_way.insert(entry.key) {
                *leased.entry(entry.lane).or_default() += 1;
            }
            false
        })
        .await?;

        let mut lanes: BTreeMap<String, BTreeMap<(String, ItemKey), Entry>> = BTreeMap::new();
        let mut takeable = 0_usize;
        for time in [item::leased_until, item::due_at] {
            let mut seen = 0_usize;
            self.entries(claim.queue, (time(Timestamp::MIN), time(claim.now)), PAGES, |entry| {
                seen += 1;
                let taken = leased.get(&entry.lane).copied().unwrap_or_default();
                if !under_way.contains(&entry.key) && taken < claim.per_lane {
                    let lane = lanes.entry(entry.lane.clone()).or_default();
                    lane.insert((entry.since().to_owned(), entry.key.clone()), entry);
                    takeable += 1;
                    // The earliest of a lane, as many as it has places.
                    if lane.len() > claim.per_lane.saturating_sub(taken) {
                        lane.pop_last();
                        takeable -= 1;
                    }
                }
                seen >= PAGE && takeable >= claim.limit
            })
            .await?;
        }
        let turns = lanes.into_values().flat_map(|lane| lane.into_iter().enumerate());
        let turns: BTreeMap<_, _> = turns.map(|(turn, (place, entry))| ((turn, place), entry)).collect();
        Ok(turns.into_values().collect())
    }

    /// What the index shows as due or leased until then, read from the table, where it may be done by now.
    pub(super) async fn overdue_work(
        &self,
        queue: Queue,
        before: Timestamp,
        limit: usize,
    ) -> Result<Vec<RecordKey>, StoreError> {
        let mut keys = BTreeSet::new();
        for time in [item::leased_until, item::due_at] {
            let mut room = limit;
            self.entries(queue, (time(Timestamp::MIN), time(before)), PAGES, |entry| {
                if room > 0 && keys.insert(entry.key) {
                    room -= 1;
                }
                room == 0
            })
            .await?;
        }
        let items = self.items(keys).await?;
        let waits = |item: &&Item| item::time_of(item).is_ok_and(|time| time <= before);
        items.values().filter(waits).map(|item| Ok(item::stored(item)?.record.key())).collect()
    }

    /// Goes through a range of the index until it is told that that is enough.
    async fn entries(
        &self,
        queue: Queue,
        (from, to): (String, String),
        pages: usize,
        mut each: impl FnMut(Entry) -> bool + Send,
    ) -> Result<(), StoreError> {
        let mut next = None;
        for _ in 0..pages {
            let request = self
                .client
                .query()
                .table_name(&self.table)
                .index_name("work")
                .key_condition_expression("wq = :queue AND wd BETWEEN :from AND :to")
                .expression_attribute_values(":queue", s(queue.as_str()))
                .expression_attribute_values(":from", s(&from))
                .expression_attribute_values(":to", s(&to))
                .limit(i32::try_from(PAGE).unwrap_or(i32::MAX))
                .set_exclusive_start_key(next);
            let answer = request.send().await.map_err(|error| unavailable(&error))?;
            let mut enough = false;
            for item in answer.items.unwrap_or_default() {
                enough = each(Entry::of(&item)?);
            }
            next = answer.last_evaluated_key;
            if enough || next.is_none() {
                break;
            }
        }
        Ok(())
    }
}

fn later(now: Timestamp, by: Duration) -> Timestamp {
    now.saturating_add(by).unwrap_or(Timestamp::MAX)
}
