//! Steps.

use aws_sdk_dynamodb::types::{Put, TransactWriteItem};
use dispatch_core::ports::store::{Commit, StoreError};

use super::item::{self, Item};
use super::{DynamoStore, item::n};

/// The most bytes that a transaction writes (DynamoDB, "Constraints").
const MAX_STEP: usize = 4_000_000;

impl DynamoStore {
    /// Writes a step: records that have the expected versions, and facts that are not there yet.
    pub(super) async fn write_step(&self, commit: &Commit) -> Result<(), StoreError> {
        let keys = commit.distinct_keys()?;
        let (mut items, mut size) = (Vec::new(), 0_usize);
        for (write, key) in commit.writes.iter().zip(&keys) {
            let record = item::record(key, write, self.retention)?;
            size = size.saturating_add(item::size(&record));
            let put = self.put(record);
            let put = match write.expected {
                None => put.condition_expression(ABSENT),
                Some(version) => put.condition_expression("v = :v").expression_attribute_values(":v", n(version)),
            };
            items.push(write_of(put)?);
        }
        let mut ids = std::collections::BTreeSet::new();
        for fact in commit.facts.iter().filter(|fact| ids.insert(fact.id())) {
            let fact = item::fact(fact, self.retention)?;
            size = size.saturating_add(item::size(&fact));
            items.push(write_of(self.put(fact).condition_expression(ABSENT))?);
        }
        if size > MAX_STEP {
            return Err(StoreError::Illegal(format!("{size} bytes in one step, and DynamoDB takes {MAX_STEP}")));
        }
        while !items.is_empty() {
            let failed = self.transact(&items).await?;
            if failed.is_empty() {
                return Ok(());
            }
            if let Some(key) = failed.iter().find_map(|position| keys.get(*position)) {
                return Err(StoreError::Conflict(key.clone()));
            }
            // Facts that are there already: the step is written without them.
            let mut position = 0..;
            items.retain(|_| position.next().is_none_or(|position| !failed.contains(&position)));
        }
        Ok(())
    }

    /// Puts an item into the table.
    pub(super) fn put(&self, item: Item) -> aws_sdk_dynamodb::types::builders::PutBuilder {
        Put::builder().table_name(&self.table).set_item(Some(item))
    }
}

/// The condition that there is no such item.
pub(super) const ABSENT: &str = "attribute_not_exists(pk)";

pub(super) fn write_of(put: aws_sdk_dynamodb::types::builders::PutBuilder) -> Result<TransactWriteItem, StoreError> {
    let put = put.build().map_err(|error| StoreError::Illegal(error.to_string()))?;
    Ok(TransactWriteItem::builder().put(put).build())
}
