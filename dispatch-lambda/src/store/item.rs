//! How items look: keys, attributes and sizes.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use dispatch_core::Timestamp;
use dispatch_core::delivery::DeliveryKey;
use dispatch_core::fact::Fact;
use dispatch_core::ports::store::{Record, RecordKey, StoreError, Stored, Work, Write};
use dispatch_core::projection::ViewRow;

/// What the keys of records, facts and rows begin with.
pub(super) const RECORD: &str = "record/";
pub(super) const FACT: &str = "fact/";
pub(super) const ROW: &str = "row/";

/// The only place under a `pk` that has one.
const ONLY: &str = "-";
/// The most bytes of a record or a fact. An item of DynamoDB has 400 KiB; a row of a read model that shows a fact has longer
/// keys than the fact, which must fit, too.
const MAX_ITEM: usize = 392 * 1_024;
/// How much longer than its fact a mark stays: what delivers facts may keep them for two weeks (SQS) before it tries again.
const MARK_OUTLIVES_FACT: Duration = Duration::from_secs(15 * 24 * 60 * 60);

/// An item's attributes.
pub(super) type Item = HashMap<String, AttributeValue>;

/// An item's place in the table. DynamoDB takes 2,048 bytes of `pk` and 1,024 of `sk`, and of a key of an index; the longest
/// names that there are fit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ItemKey {
    pub(super) pk: String,
    pub(super) sk: String,
}

impl ItemKey {
    fn new(pk: impl Into<String>, sk: impl Into<String>) -> Self {
        Self { pk: pk.into(), sk: sk.into() }
    }

    pub(super) fn record(key: &RecordKey) -> Self {
        match key {
            RecordKey::Delivery(DeliveryKey { id, body_sha256 }) => Self::new(deliveries(id.as_str()), body_sha256),
            _ => Self::new(format!("{RECORD}{key}"), ONLY),
        }
    }

    pub(super) fn fact(id: &str) -> Self {
        Self::new(format!("{FACT}{id}"), ONLY)
    }

    /// Of the mark that a part of a fact was applied.
    pub(super) fn applied(id: &str, part: usize) -> Self {
        Self::new(format!("applied/{id}"), part.to_string())
    }

    pub(super) fn row(view: &str, partition: &str, sort: &str) -> Self {
        Self::new(rows(view, partition), row_sort(sort))
    }

    pub(super) fn counter(name: &str) -> Self {
        Self::new(format!("counter/{name}"), ONLY)
    }

    /// Of an item that was read.
    pub(super) fn of(item: &Item) -> Result<Self, StoreError> {
        Ok(Self { pk: text(item, "pk")?.to_owned(), sk: text(item, "sk")?.to_owned() })
    }

    pub(super) fn attributes(&self) -> Item {
        [("pk", s(&self.pk)), ("sk", s(&self.sk))].map(|(name, value)| (name.to_owned(), value)).into()
    }
}

/// The `pk` of all deliveries that came under an id.
pub(super) fn deliveries(id: &str) -> String {
    format!("{RECORD}delivery/{id}")
}

/// The `pk` of a part of a read model.
pub(super) fn rows(view: &str, partition: &str) -> String {
    format!("{ROW}{view}/{partition}")
}

/// The `sk` of a row: no key is empty, and a place may be.
pub(super) fn row_sort(sort: &str) -> String {
    format!("-{sort}")
}

/// A value.
pub(super) fn s(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

/// A number.
pub(super) fn n(number: impl ToString) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

/// A record as it is to be written.
pub(super) fn record(key: &RecordKey, write: &Write, retention: Duration) -> Result<Item, StoreError> {
    let mut item = ItemKey::record(key).attributes();
    let body = serde_json::to_string(&write.record).map_err(|error| StoreError::Illegal(error.to_string()))?;
    put(&mut item, "v", n(write.expected.unwrap_or(0).saturating_add(1)));
    put(&mut item, "body", s(body));
    if let Some(Work { queue, lane, due, held }) = write.record.work() {
        put(&mut item, "wq", s(queue.as_str()));
        put(&mut item, "wd", s(if held { leased_until(due) } else { due_at(due) }));
        put(&mut item, "lane", s(lane));
        put(&mut item, "key", s(key.to_string()));
    }
    expires(&mut item, write.record.done_at(), retention);
    fits(&item, &format!("the record `{key}`"))?;
    Ok(item)
}

/// A fact as it is to be written.
pub(super) fn fact(fact: &Fact, retention: Duration) -> Result<Item, StoreError> {
    let id = fact.id();
    let mut item = ItemKey::fact(&id).attributes();
    let body = serde_json::to_string(fact).map_err(|error| StoreError::Illegal(error.to_string()))?;
    put(&mut item, "body", s(body));
    expires(&mut item, Some(fact.time), retention);
    fits(&item, &format!("the fact `{id}`"))?;
    Ok(item)
}

/// The mark that a part of a fact was applied.
pub(super) fn mark(fact: &Fact, part: usize, retention: Duration) -> Item {
    let mut item = ItemKey::applied(&fact.id(), part).attributes();
    put(&mut item, "ttl", n(seconds_after(fact.time, retention.saturating_add(MARK_OUTLIVES_FACT))));
    item
}

/// A row, or the place of one that was removed. Without a time, it is kept.
pub(super) fn row(
    key: &ItemKey,
    revision: u64,
    row: Option<&ViewRow>,
    time: Option<Timestamp>,
    retention: Duration,
) -> Item {
    let mut item = key.attributes();
    put(&mut item, "revision", n(revision));
    match row {
        Some(row) => put(&mut item, "body", s(&row.body)),
        None => put(&mut item, "gone", AttributeValue::Bool(true)),
    }
    expires(&mut item, time, retention);
    item
}

fn put(item: &mut Item, name: &str, value: AttributeValue) {
    item.insert(name.to_owned(), value);
}

fn expires(item: &mut Item, time: Option<Timestamp>, retention: Duration) {
    if let Some(time) = time {
        put(item, "at", n(time.as_microsecond()));
        put(item, "ttl", n(seconds_after(time, retention)));
    }
}

fn seconds_after(time: Timestamp, by: Duration) -> i64 {
    time.as_second().saturating_add(i64::try_from(by.as_secs()).unwrap_or(i64::MAX)).min(Timestamp::MAX.as_second())
}

/// How large an item is, as DynamoDB counts it at most: its names and its values.
pub(super) fn size(item: &Item) -> usize {
    let value = |value: &AttributeValue| match value {
        AttributeValue::S(text) | AttributeValue::N(text) => text.len() + 1,
        _ => 1,
    };
    item.iter().map(|(name, attribute)| name.len() + value(attribute)).sum()
}

fn fits(item: &Item, what: &str) -> Result<(), StoreError> {
    let size = size(item);
    if size > MAX_ITEM {
        return Err(StoreError::Illegal(format!("{what} has {size} bytes, and at most {MAX_ITEM} fit")));
    }
    Ok(())
}

/// Reads a record.
pub(super) fn stored(item: &Item) -> Result<Stored, StoreError> {
    let record: Record = serde_json::from_str(text(item, "body")?).map_err(|error| unreadable(item, &error))?;
    Ok(Stored { record, version: number(item, "v")? })
}

/// Reads a fact.
pub(super) fn written_fact(item: &Item) -> Result<Fact, StoreError> {
    serde_json::from_str(text(item, "body")?).map_err(|error| unreadable(item, &error))
}

/// Reads a row that is there; None for the place of one that was removed.
pub(super) fn view_row(item: &Item, view: &str, partition: &str) -> Result<Option<ViewRow>, StoreError> {
    if item.contains_key("gone") {
        return Ok(None);
    }
    let sort = text(item, "sk")?.strip_prefix('-').unwrap_or_default();
    Ok(Some(ViewRow {
        view: view.to_owned(),
        partition: partition.to_owned(),
        sort: sort.to_owned(),
        revision: number(item, "revision")?,
        body: text(item, "body")?.to_owned(),
    }))
}

/// A text of an item.
pub(super) fn text<'i>(item: &'i Item, name: &str) -> Result<&'i str, StoreError> {
    match item.get(name) {
        Some(AttributeValue::S(text)) => Ok(text),
        _ => Err(unreadable(item, &format_args!("it has no text `{name}`"))),
    }
}

/// A number of an item.
pub(super) fn number<T: std::str::FromStr>(item: &Item, name: &str) -> Result<T, StoreError> {
    let number = item.get(name).and_then(|value| value.as_n().ok()).and_then(|text| text.parse().ok());
    number.ok_or_else(|| unreadable(item, &format_args!("it has no number `{name}`")))
}

fn unreadable(item: &Item, error: &dyn std::fmt::Display) -> StoreError {
    let pk = item.get("pk").and_then(|value| value.as_s().ok()).map_or("", String::as_str);
    StoreError::Unavailable(format!("the item `{pk}` cannot be read: {error}"))
}

/// The place in the index `work` of what is due then and nobody is at.
pub(super) fn due_at(time: Timestamp) -> String {
    format!("due/{}", sortable(time))
}

/// The place in the index `work` of what somebody is at until then. In a range of its own, so that what is leased can be counted
/// without reading what waits.
pub(super) fn leased_until(time: Timestamp) -> String {
    format!("leased/{}", sortable(time))
}

/// Times as text that sorts as they do, the years before 0 and up to 9999 among them: microseconds, counted from a time
/// before all of them.
fn sortable(time: Timestamp) -> String {
    format!("{:019}", time.as_microsecond().saturating_add(EARLIER_THAN_ALL_TIMES))
}

/// In microseconds before 1970.
const EARLIER_THAN_ALL_TIMES: i64 = 1_000_000_000_000_000_000;

/// The time of an item's place in the index `work`.
pub(super) fn time_of(item: &Item) -> Result<Timestamp, StoreError> {
    let micros = text(item, "wd")?.rsplit('/').next().and_then(|digits| digits.parse::<i64>().ok());
    let micros = micros.and_then(|micros| micros.checked_sub(EARLIER_THAN_ALL_TIMES));
    let time = micros.and_then(|micros| Timestamp::from_microsecond(micros).ok());
    time.ok_or_else(|| unreadable(item, &"its `wd` is no time"))
}

/// Items by their keys.
pub(super) type Items = BTreeMap<ItemKey, Item>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_sort_as_text_in_all_years_that_there_are() {
        let times = [
            Timestamp::MIN,
            "-000001-01-01T00:00:00Z".parse().unwrap(),
            "1969-12-31T23:59:59.999999Z".parse().unwrap(),
            Timestamp::UNIX_EPOCH,
            "2027-01-15T08:00:00Z".parse().unwrap(),
            "2027-01-15T08:00:00.000001Z".parse().unwrap(),
            Timestamp::MAX,
        ];
        for text in [due_at, leased_until] {
            let sorted: Vec<_> = times.map(text).into();
            assert!(sorted.is_sorted_by(|one, next| one < next), "{sorted:?}");
            assert!(sorted.iter().all(|one| one.len() == sorted[0].len()));
        }
        assert!(due_at(Timestamp::MAX) < leased_until(Timestamp::MIN), "what is leased is in a range of its own");
    }
}
