//! What is read by key, or in the order of keys.

use std::collections::{BTreeSet, HashMap};

use aws_sdk_dynamodb::types::KeysAndAttributes;
use dispatch_core::name::DeliveryId;
use dispatch_core::ports::store::{RecordKey, StoreError, Stored, ViewQuery, WaitingQuery};
use dispatch_core::projection::ViewRow;

use super::item::{self, Item, ItemKey, Items, s};
use super::transaction::{TRIES, pause};
use super::{DynamoStore, unavailable};

/// How many items one request reads by key (DynamoDB: 100).
const KEYS_AT_ONCE: usize = 100;
/// How many rows one request reads at least, since removed ones may be among them, and at most.
const ROWS_AT_ONCE: std::ops::RangeInclusive<usize> = 25..=500;

impl DynamoStore {
    /// Reads records by their keys, each as it is after everything that was written before. They are not of one moment, as a
    /// transaction would read them: that takes 4 MB together, which the dispatches of one plan may exceed, is refused while
    /// one of them is written, and is not promised. A step writes what it depends on, and so compares its version; it may
    /// load twice in any case.
    pub(super) async fn records(&self, keys: &[RecordKey]) -> Result<Vec<Option<Stored>>, StoreError> {
        let keys: Vec<_> = keys.iter().map(ItemKey::record).collect();
        let items = self.items(keys.iter().cloned().collect()).await?;
        keys.iter().map(|key| items.get(key).map(item::stored).transpose()).collect()
    }

    /// Reads items by their keys, those that are there.
    pub(super) async fn items(&self, keys: BTreeSet<ItemKey>) -> Result<Items, StoreError> {
        let mut left: Vec<_> = keys.iter().map(ItemKey::attributes).collect();
        let (mut found, mut tries) = (Items::new(), 0..TRIES);
        while !left.is_empty() {
            let chunk = left.split_off(left.len().saturating_sub(KEYS_AT_ONCE));
            let asked = chunk.len();
            let keys = KeysAndAttributes::builder().set_keys(Some(chunk)).consistent_read(true).build();
            let keys = keys.map_err(|error| StoreError::Unavailable(error.to_string()))?;
            let request = self.client.batch_get_item().request_items(&self.table, keys);
            let answer = request.send().await.map_err(|error| unavailable(&error))?;
            for item in answer.responses.into_iter().flat_map(HashMap::into_values).flatten() {
                found.insert(ItemKey::of(&item)?, item);
            }
            // What did not fit into the answer, or was too much for the moment.
            let unread: Vec<_> = answer.unprocessed_keys.into_iter().flat_map(HashMap::into_values).collect();
            let unread: Vec<_> = unread.into_iter().flat_map(|keys| keys.keys).collect();
            if unread.len() == asked {
                let Some(attempt) = tries.next() else {
                    return Err(StoreError::Unavailable("DynamoDB reads nothing for now".to_owned()));
                };
                pause(attempt).await;
            }
            left.extend(unread);
        }
        Ok(found)
    }

    /// Reads work that waits, in the order of the keys' text.
    pub(super) async fn work_by_key(&self, query: &WaitingQuery) -> Result<Vec<Stored>, StoreError> {
        let queue = query.queue.as_str();
        let (mut found, mut after) = (Vec::new(), query.after.clone());
        while found.len() < query.limit {
            // The index has the keys alone: what they are of is read from the table, as it is now.
            let page = query.limit.saturating_sub(found.len()).min(KEYS_AT_ONCE);
            let request = self.client.query().table_name(&self.table).index_name("work_by_key");
            let request = request.limit(i32::try_from(page).unwrap_or(i32::MAX));
            let request = request.expression_attribute_values(":queue", s(queue));
            let request = match after.take() {
                None => request.key_condition_expression("wq = :queue"),
                Some(after) => request
                    .key_condition_expression("wq = :queue AND #key > :after")
                    .expression_attribute_names("#key", "key")
                    .expression_attribute_values(":after", s(after)),
            };
            let answer = request.send().await.map_err(|error| unavailable(&error))?;
            let indexed = answer.items.unwrap_or_default();
            let keys = indexed.iter().map(ItemKey::of).collect::<Result<Vec<_>, _>>()?;
            let items = self.items(keys.iter().cloned().collect()).await?;
            for item in keys.iter().filter_map(|key| items.get(key)) {
                if item.get("wq").is_some_and(|there| *there == s(queue)) {
                    found.push(item::stored(item)?);
                }
            }
            match (answer.last_evaluated_key, indexed.last()) {
                (Some(_), Some(last)) => after = Some(item::text(last, "key")?.to_owned()),
                _ => break,
            }
        }
        Ok(found)
    }

    /// Reads the deliveries that came under an id.
    pub(super) async fn deliveries_of(&self, id: &DeliveryId) -> Result<Vec<Stored>, StoreError> {
        let (mut found, mut from) = (Vec::new(), None);
        loop {
            let request = self.client.query().table_name(&self.table).consistent_read(true);
            let request = request.key_condition_expression("pk = :pk");
            let request = request.expression_attribute_values(":pk", s(item::deliveries(id.as_str())));
            let request = request.set_exclusive_start_key(from);
            let answer = request.send().await.map_err(|error| unavailable(&error))?;
            for item in answer.items.unwrap_or_default() {
                found.push(item::stored(&item)?);
            }
            from = answer.last_evaluated_key;
            if from.is_none() {
                return Ok(found);
            }
        }
    }

    /// Reads rows of a read model, from the newest.
    pub(super) async fn rows_of(&self, query: &ViewQuery) -> Result<Vec<ViewRow>, StoreError> {
        let ViewQuery { view, partition, before, limit } = query;
        let (mut found, mut from) = (Vec::new(), None);
        while found.len() < *limit {
            let page = limit.saturating_sub(found.len()).clamp(*ROWS_AT_ONCE.start(), *ROWS_AT_ONCE.end());
            let request = self.client.query().table_name(&self.table).consistent_read(true).scan_index_forward(false);
            let request = request.limit(i32::try_from(page).unwrap_or(i32::MAX)).set_exclusive_start_key(from);
            let request = request.filter_expression("attribute_not_exists(gone)");
            let request = request.expression_attribute_values(":pk", s(item::rows(view, partition)));
            let request = match before {
                None => request.key_condition_expression("pk = :pk"),
                Some(before) => request
                    .key_condition_expression("pk = :pk AND sk < :before")
                    .expression_attribute_values(":before", s(item::row_sort(before))),
            };
            let answer = request.send().await.map_err(|error| unavailable(&error))?;
            let items: Vec<Item> = answer.items.unwrap_or_default();
            for item in items.iter().take(limit.saturating_sub(found.len())) {
                found.extend(item::view_row(item, view, partition)?);
            }
            from = answer.last_evaluated_key;
            if from.is_none() {
                break;
            }
        }
        Ok(found)
    }

    /// Reads counters.
    pub(super) async fn values(&self, names: &[String]) -> Result<Vec<u64>, StoreError> {
        let keys: Vec<_> = names.iter().map(|name| ItemKey::counter(name)).collect();
        let items = self.items(keys.iter().cloned().collect()).await?;
        keys.iter().map(|key| items.get(key).map_or(Ok(0), |item| item::number(item, "value"))).collect()
    }
}
