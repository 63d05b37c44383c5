//! `publisher`: facts go from the table's stream to the bus, as CloudEvents.
//!
//! They are in the stream because they were committed: nobody has to call a bus after a commit, and nobody can fail between
//! the two.

use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use dispatch_core::fact::Fact;
use serde_json::Value;

use crate::aws::reason;
use crate::event::{BatchAnswer, StreamBatch, StreamRecord};
use crate::store::DynamoStore;

/// The `source` of all events, on the bus and in the CloudEvents.
pub const SOURCE: &str = "dispatch";
/// How many events one request puts (Amazon EventBridge User Guide, "PutEvents").
const EVENTS_AT_ONCE: usize = 10;
/// How many bytes of events one request puts, and so one event has: below EventBridge's 256 KiB, which count names and times
/// too.
const BYTES_AT_ONCE: usize = 240 * 1024;
/// How many bytes an event's detail has at most.
const MAX_DETAIL: usize = BYTES_AT_ONCE - 1024;

/// Puts facts on a bus.
#[derive(Debug, Clone)]
pub struct Publisher {
    client: aws_sdk_eventbridge::Client,
    bus: String,
}

/// A fact on its way.
struct Event {
    /// Its place in the stream.
    place: String,
    size: usize,
    entry: PutEventsRequestEntry,
}

impl Publisher {
    /// Puts facts on the bus of this name.
    #[must_use]
    pub fn new(client: aws_sdk_eventbridge::Client, bus: impl Into<String>) -> Self {
        Self { client, bus: bus.into() }
    }

    /// Puts the facts of a batch on the bus, in their order. Answers the place in the stream of the first that could not be
    /// put: from there on all come again, and may be put twice.
    pub async fn publish(&self, batch: StreamBatch) -> BatchAnswer {
        let mut events = Vec::new();
        for record in batch.records {
            let place = record.dynamodb.sequence_number.clone();
            match self.event(record) {
                Ok(Some(event)) => events.push(event),
                Ok(None) => {}
                Err(error) => {
                    tracing::error!(place, %error, "a fact cannot be read");
                    return self.put(&events).await.or(Some(place)).into_iter().collect();
                }
            }
        }
        self.put(&events).await.into_iter().collect()
    }

    /// Puts events. The place of the first of a request that failed.
    async fn put(&self, events: &[Event]) -> Option<String> {
        let mut rest = events;
        while let Some(first) = rest.first() {
            let (now, later) = rest.split_at_checked(fitting(rest)).unwrap_or((rest, &[]));
            let entries = now.iter().map(|event| event.entry.clone()).collect();
            let error = match self.client.put_events().set_entries(Some(entries)).send().await {
                Ok(answer) if answer.failed_entry_count == 0 => None,
                Ok(answer) => Some(answer.entries.into_iter().flatten().find_map(|entry| entry.error_code)),
                Err(error) => Some(Some(reason(&error))),
            };
            if let Some(error) = error {
                tracing::error!(place = first.place, ?error, "facts cannot be put on the bus; they come again");
                return Some(first.place.clone());
            }
            rest = later;
        }
        None
    }

    /// The event of a change that is a new fact.
    fn event(&self, record: StreamRecord) -> Result<Option<Event>, serde_json::Error> {
        if record.event_name != "INSERT" {
            return Ok(None);
        }
        let (Some(pk), Some(body)) = (record.dynamodb.new_image.pk, record.dynamodb.new_image.body) else {
            return Ok(None);
        };
        let Some(fact) = DynamoStore::fact(&pk.text, &body.text).transpose()? else { return Ok(None) };
        let (kind, detail) = (fact.body.cloud_event_type(), detail(&fact));
        let size = SOURCE.len() + kind.len() + detail.len();
        let entry = PutEventsRequestEntry::builder().event_bus_name(&self.bus).source(SOURCE).detail_type(kind);
        Ok(Some(Event { place: record.dynamodb.sequence_number, size, entry: entry.detail(detail).build() }))
    }
}

/// The fact as a CloudEvent; without its data, where that is too large for the bus. The table has it by its id.
fn detail(fact: &Fact) -> String {
    let mut event = fact.to_cloud_event(SOURCE);
    let whole = event.to_string();
    if whole.len() < MAX_DETAIL {
        return whole;
    }
    if let Value::Object(attributes) = &mut event {
        attributes.remove("data");
        attributes.remove("datacontenttype");
    }
    event.to_string()
}

/// How many of the first events fit into one request: at least one.
fn fitting(events: &[Event]) -> usize {
    let mut bytes = 0;
    let fit = events.iter().take(EVENTS_AT_ONCE).take_while(|event| {
        bytes += event.size;
        bytes <= BYTES_AT_ONCE
    });
    fit.count().max(1)
}
