//! What schema version 1 kept, as this release keeps it: every record is read and written anew.
//!
//! Version 1 did not look for the runs of calls in doubt, had no list of what was given up, and did not know when a head
//! was seen or which dispatch a run was of. Nothing of it is lost: calls in doubt are looked for from now on, and what was
//! given up appears in the list.

use std::collections::BTreeMap;

use dispatch_core::Timestamp;
use dispatch_core::chain::Place;
use dispatch_core::decide::Verdict;
use dispatch_core::delivery::DeliveryState;
use dispatch_core::dispatch::{Dispatch, DispatchState};
use dispatch_core::fact::Fact;
use dispatch_core::ledger::{Ledger, OpenCall};
use dispatch_core::ports::store::{Commit, Record, Write};
use dispatch_core::projection::{PARKED, Update, project};
use dispatch_core::request::DispatchRequest;
use rusqlite::{Connection, OptionalExtension};
use serde_json::{Value, json};

use super::schema::SchemaError;
use super::writer::{PreparedCommit, micros, put_row, write_step};

/// Which dispatch a run is of, and when that was decided, by the run's id.
type Started = BTreeMap<u64, (Value, Value)>;

/// Brings every record into today's shape, inside the transaction that changes the tables.
///
/// # Errors
/// A record cannot be read. Then the database stays as it is.
pub(super) fn upgrade(connection: &Connection, now: Timestamp) -> Result<(), SchemaError> {
    let started = started(connection)?;
    let mut ledgers: BTreeMap<Place, Ledger> = BTreeMap::new();
    let mut ids = connection.prepare("SELECT id FROM records ORDER BY id")?;
    let ids = ids.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<Vec<i64>>>()?;
    let mut read = connection.prepare("SELECT key, version, body FROM records WHERE id = ?1")?;
    for id in ids {
        let (key, version, body): (String, u64, String) =
            read.query_row([id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        let unreadable = |error| SchemaError::Record { key, error };
        let body: Value = serde_json::from_str(&body).map_err(unreadable.clone())?;
        let mut record: Record = serde_json::from_value(reshaped(body, &started, now)).map_err(unreadable)?;
        note_when_it_was_parked(connection, &mut record)?;
        if let Record::Dispatch(dispatch) = &record
            && let Some(call) = open_call(dispatch)
        {
            ledgers.entry(dispatch.key.target.clone()).or_default().calls.push(call);
        }
        write(connection, record, Some(version))?;
    }
    for (place, ledger) in ledgers {
        write(connection, Record::Target(place, ledger), None)?;
    }
    // Rows sort by the time of what they show.
    connection.execute("UPDATE rows SET time = CAST(substr(sort, 1, 16) AS INTEGER) WHERE time = 0", [])?;
    Ok(())
}

fn started(connection: &Connection) -> Result<Started, SchemaError> {
    let sql = "SELECT json_extract(body, '$.dispatch.state.triggered.run.id') AS run,
                      json_extract(body, '$.dispatch.key'), json_extract(body, '$.dispatch.decided_at')
               FROM records WHERE key > 'dispatch/' AND key < 'dispatch0' AND run IS NOT NULL";
    let mut statement = connection.prepare(sql)?;
    let found = statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?)))?;
    let mut started = Started::new();
    for row in found {
        let (run, key, decided_at) = row?;
        let key_of_dispatch =
            serde_json::from_str(&key).map_err(|error| SchemaError::Record { key: format!("run/{run}"), error })?;
        started.insert(run, (key_of_dispatch, Value::String(decided_at)));
    }
    Ok(started)
}

/// A record's JSON in today's shape.
fn reshaped(mut body: Value, started: &Started, now: Timestamp) -> Value {
    if let Some(head) = body.get("head").filter(|head| head.is_object()) {
        return json!({ "head": [head, now] });
    }
    if let Some([run, chain]) = body.get("run").and_then(Value::as_array).map(Vec::as_slice) {
        let place = chain.get("places").and_then(Value::as_array).and_then(|places| places.last());
        let of_chain = || (json!({ "event": chain.get("root"), "target": place }), json!(now));
        let (dispatch, at) = run.as_u64().and_then(|run| started.get(&run).cloned()).unwrap_or_else(of_chain);
        return json!({ "run": [run, { "chain": chain, "dispatch": dispatch, "at": at }] });
    }
    if let Some(dispatch) = body.get_mut("dispatch").and_then(Value::as_object_mut) {
        let decided_at = dispatch.get("decided_at").cloned();
        if let Some(doubt) = dispatch.get_mut("state").and_then(|state| state.get_mut("in_doubt"))
            && let Some(doubt) = doubt.as_object_mut()
        {
            // The call began after that: no run of it is older.
            doubt.insert("search".to_owned(), json!({ "since": decided_at, "first_at": null, "empty_since": null }));
            dispatch.insert("due".to_owned(), json!(now));
        }
    }
    body
}

/// What was given up gets its row, and the time that the row has.
fn note_when_it_was_parked(connection: &Connection, record: &mut Record) -> Result<(), SchemaError> {
    let facts = match &*record {
        Record::Dispatch(dispatch) if dispatch.state.is_parked() => {
            format!("{}#{}", record.key(), last(dispatch.facts))
        }
        Record::Delivery(delivery) if matches!(delivery.state, DeliveryState::Parked { .. }) => {
            format!("{}#{}", record.key(), last(delivery.facts))
        }
        _ => return Ok(()),
    };
    let body = connection.query_row("SELECT body FROM facts WHERE id = ?1", [&facts], |row| row.get::<_, String>(0));
    let Some(body) = body.optional()? else { return Ok(()) };
    let fact: Fact = serde_json::from_str(&body).map_err(|error| SchemaError::Record { key: facts, error })?;
    for update in project(&fact) {
        if let Update::Put(row) = update
            && row.view == PARKED
        {
            put_row(connection, &row, micros(fact.time))?;
        }
    }
    match record {
        Record::Dispatch(dispatch) => dispatch.parked_at = Some(fact.time),
        Record::Delivery(delivery) => delivery.parked_at = Some(fact.time),
        _ => {}
    }
    Ok(())
}

fn last(facts: u32) -> u32 {
    facts.saturating_sub(1)
}

/// The call of a dispatch that may be under way, or may have been done.
fn open_call(dispatch: &Dispatch) -> Option<OpenCall> {
    let since = match &dispatch.state {
        DispatchState::Calling { since } => *since,
        DispatchState::InDoubt { search, .. } => search.since,
        _ => return None,
    };
    let Verdict::Allowed(allowed) = &dispatch.decision.verdict else { return None };
    let DispatchRequest::Workflow(request) = &allowed.request else { return None };
    let (key, git_ref) = (dispatch.key.clone(), request.git_ref().clone());
    Some(OpenCall { dispatch: key, git_ref: Some(git_ref), since, given_up: false })
}

fn write(connection: &Connection, record: Record, expected: Option<u64>) -> Result<(), SchemaError> {
    let commit = Commit { writes: vec![Write { record, expected }], facts: Vec::new() };
    write_step(connection, &PreparedCommit::new(&commit)?, &mut BTreeMap::new())?;
    Ok(())
}
