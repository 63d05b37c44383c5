//! What was given up and waits for the operator: to list, and to find by an id that people can type.

use dispatch_core::fact::{Fact, Subject};
use dispatch_core::ports::StoreError;
use dispatch_core::ports::store::{Record, RecordKey, StorePort, Stored, ViewQuery};
use dispatch_core::projection::{EVERYTHING, JOURNEY, PARKED, ParkedRow, ViewRow, journey_partition};
use sha2::{Digest, Sha256};

/// How many rows are read at once where all are looked at.
const BATCH: usize = 500;
/// A plan has at most 90 targets, and each is put back a few times: more facts than this tell nothing new.
const MAX_FACTS: usize = 500;

/// One thing that was given up.
#[derive(Debug, Clone, PartialEq)]
pub struct Parked {
    /// What, why, when.
    pub row: ParkedRow,
    /// Its place in the list, to page with.
    pub sort: String,
    /// What it follows from, such as `acme/api · ci.yml · main`. None where the record is gone.
    pub source: Option<String>,
    /// What was to be started, such as `acme/deploy · cd.yml`. None for a delivery that was not decided about.
    pub target: Option<String>,
}

impl Parked {
    /// How many characters of an id are shown: enough for millions of them to differ, few enough to type.
    pub const SHOWN: usize = 10;
    /// How many characters of an id must be given.
    pub const LEAST: usize = 4;

    /// The id: the first digits of a digest of what it is about, so that it stays the same. Lower-case hexadecimal.
    #[must_use]
    pub fn id(&self) -> String {
        id(&self.row.subject)
    }
}

/// A page of [`Parked`], newest first, and where the next one begins.
#[derive(Debug, Clone, PartialEq)]
pub struct ParkedPage {
    /// What is on it.
    pub parked: Vec<Parked>,
    /// What to give as `before` for the next one; None on the last.
    pub older: Option<String>,
}

/// What an id, or the beginning of one, leads to.
#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    /// This one.
    One(Box<Parked>),
    /// Nothing that is parked.
    Nothing,
    /// More than one: these begin with it, as far as they were counted.
    Several(usize),
}

/// Reads a page.
///
/// # Errors
/// [`StoreError::Unavailable`].
pub async fn page(store: &dyn StorePort, before: Option<String>, limit: usize) -> Result<ParkedPage, StoreError> {
    // One more than is shown tells whether there are older ones.
    let mut rows = rows(store, before, limit.saturating_add(1)).await?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let older = rows.last().filter(|_| more).map(|row| row.sort.clone());
    Ok(ParkedPage { parked: describe(store, rows).await?, older })
}

/// How many are parked, up to `most`.
///
/// # Errors
/// [`StoreError::Unavailable`].
pub async fn count(store: &dyn StorePort, most: usize) -> Result<usize, StoreError> {
    Ok(rows(store, None, most).await?.len())
}

/// Finds what is parked under an id or the beginning of one, whatever case it is written in.
///
/// # Errors
/// [`StoreError::Unavailable`].
pub async fn find(store: &dyn StorePort, prefix: &str) -> Result<Found, StoreError> {
    let prefix = prefix.to_ascii_lowercase();
    let (mut matching, mut before) = (Vec::new(), None);
    loop {
        let rows = rows(store, before, BATCH).await?;
        before = rows.last().filter(|_| rows.len() == BATCH).map(|row| row.sort.clone());
        let begins = |row: &ViewRow| row.read::<ParkedRow>().is_ok_and(|row| digest(&row.subject).starts_with(&prefix));
        matching.extend(rows.into_iter().filter(begins));
        if before.is_none() {
            break;
        }
    }
    let count = matching.len();
    let mut found = describe(store, matching).await?;
    Ok(match (count, found.pop()) {
        (0, _) | (_, None) => Found::Nothing,
        (1, Some(parked)) => Found::One(Box::new(parked)),
        (several, _) => Found::Several(several),
    })
}

/// Finds what is parked at a place in the list.
///
/// # Errors
/// [`StoreError::Unavailable`].
pub async fn at(store: &dyn StorePort, sort: &str) -> Result<Option<Parked>, StoreError> {
    // Nothing sorts between a text and the same with a space behind it, as no key has a control character.
    let mut rows = rows(store, Some(format!("{sort} ")), 1).await?;
    rows.retain(|row| row.sort == sort);
    Ok(describe(store, rows).await?.pop())
}

/// The facts about a delivery and its dispatches, oldest first.
///
/// # Errors
/// [`StoreError::Unavailable`].
pub async fn facts(store: &dyn StorePort, subject: &Subject) -> Result<Vec<Fact>, StoreError> {
    let partition = journey_partition(&subject.delivery);
    let rows = store.rows(ViewQuery { view: JOURNEY, partition, before: None, limit: MAX_FACTS }).await?;
    Ok(rows.iter().rev().filter_map(|row| row.read().ok()).collect())
}

/// The record that a subject is about.
#[must_use]
pub fn record_key(subject: &Subject) -> RecordKey {
    match &subject.dispatch {
        Some(dispatch) => RecordKey::Dispatch(dispatch.clone()),
        None => RecordKey::Delivery(subject.delivery.clone()),
    }
}

fn id(subject: &Subject) -> String {
    digest(subject).chars().take(Parked::SHOWN).collect()
}

fn digest(subject: &Subject) -> String {
    Sha256::digest(subject.to_string()).iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn rows(store: &dyn StorePort, before: Option<String>, limit: usize) -> Result<Vec<ViewRow>, StoreError> {
    store.rows(ViewQuery { view: PARKED, partition: EVERYTHING.to_owned(), before, limit }).await
}

async fn describe(store: &dyn StorePort, rows: Vec<ViewRow>) -> Result<Vec<Parked>, StoreError> {
    // A row of another release, in a shape that this one does not know, is left out.
    let read: Vec<(ParkedRow, String)> =
        rows.into_iter().filter_map(|row| Some((row.read().ok()?, row.sort))).collect();
    let keys: Vec<_> = read.iter().map(|(row, _)| record_key(&row.subject)).collect();
    let records = store.load(&keys).await?;
    let parked = read.into_iter().zip(records).map(|((row, sort), stored)| {
        let target = row.subject.dispatch.as_ref();
        let target = target.map(|key| format!("{} · {}", key.target.repository, key.target.start));
        Parked { source: stored.as_ref().and_then(source), row, sort, target }
    });
    Ok(parked.collect())
}

fn source(stored: &Stored) -> Option<String> {
    let parts = match &stored.record {
        Record::Delivery(delivery) => {
            let summary = delivery.summary();
            let what = summary.workflow.map_or(summary.event, |workflow| workflow.to_string());
            [Some(summary.repository.to_string()), Some(what), summary.branch.map(|branch| branch.to_string())]
        }
        Record::Dispatch(dispatch) => {
            let lane = dispatch.source.lane.as_ref().map(|(lane, _)| lane);
            let branch = lane.and_then(|lane| lane.branch.as_ref()).map(ToString::to_string);
            [Some(dispatch.source.name.to_string()), lane.map(|lane| lane.source.start.to_string()), branch]
        }
        _ => return None,
    };
    Some(parts.into_iter().flatten().collect::<Vec<_>>().join(" · "))
}
