//! What is deleted when somebody asks for it.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::types::ReturnValue;
use dispatch_core::Timestamp;
use dispatch_core::ports::store::StoreError;

use super::item::{self, FACT, ItemKey, RECORD, ROW, n};
use super::{DynamoStore, unavailable};

impl DynamoStore {
    /// Deletes the oldest records, rows and facts from before that time, at most so many of each. It reads the whole table.
    pub(super) async fn delete_oldest(&self, before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let mut deleted = 0;
        for (at, key) in self.oldest(before, limit).await? {
            let request = self
                .client
                .delete_item()
                .table_name(&self.table)
                .set_key(Some(key.attributes()))
                .condition_expression("#at = :at")
                .expression_attribute_names("#at", "at")
                .expression_attribute_values(":at", n(at));
            match request.send().await {
                Ok(_) => {
                    deleted += 1;
                    self.delete_marks(&key).await?;
                }
                // It has changed, and is not that old any more.
                Err(error) if error.as_service_error().is_some_and(|e| e.is_conditional_check_failed_exception()) => {}
                Err(error) => return Err(unavailable(&error)),
            }
        }
        Ok(deleted)
    }

    /// Deletes the marks that a fact was applied, if the item was a fact.
    async fn delete_marks(&self, key: &ItemKey) -> Result<(), StoreError> {
        let Some(id) = key.pk.strip_prefix(FACT) else { return Ok(()) };
        for part in 0.. {
            let mark = ItemKey::applied(id, part).attributes();
            let request = self.client.delete_item().table_name(&self.table).set_key(Some(mark));
            let deleted =
                request.return_values(ReturnValue::AllOld).send().await.map_err(|error| unavailable(&error))?;
            if deleted.attributes.is_none() {
                break;
            }
        }
        Ok(())
    }

    /// The oldest items of each kind, and their times.
    async fn oldest(&self, before: Timestamp, limit: usize) -> Result<Vec<(i64, ItemKey)>, StoreError> {
        let mut kinds: BTreeMap<&str, BTreeSet<(i64, ItemKey)>> = BTreeMap::new();
        let mut from = None;
        loop {
            let request = self
                .client
                .scan()
                .table_name(&self.table)
                .consistent_read(true)
                .projection_expression("pk, sk, #at")
                .filter_expression("#at < :before")
                .expression_attribute_names("#at", "at")
                .expression_attribute_values(":before", n(before.as_microsecond()))
                .set_exclusive_start_key(from);
            let answer = request.send().await.map_err(|error| unavailable(&error))?;
            for item in answer.items.unwrap_or_default() {
                let key = ItemKey::of(&item)?;
                let Some(kind) = [RECORD, ROW, FACT].into_iter().find(|kind| key.pk.starts_with(kind)) else {
                    continue;
                };
                let oldest = kinds.entry(kind).or_default();
                oldest.insert((item::number(&item, "at")?, key));
                if oldest.len() > limit {
                    oldest.pop_last();
                }
            }
            from = answer.last_evaluated_key;
            if from.is_none() {
                return Ok(kinds.into_values().flatten().collect());
            }
        }
    }
}
