//! The threads that read.

use std::sync::mpsc::Receiver;
use std::sync::{Mutex, PoisonError};

use dispatch_core::name::DeliveryId;
use dispatch_core::ports::store::{Record, StoreError, Stored, ViewQuery, WaitingQuery};
use dispatch_core::projection::ViewRow;
use rusqlite::{Connection, OptionalExtension, params};
use tokio::sync::oneshot::Sender;

/// Something to read, and where to answer.
pub(super) enum Read {
    /// Records by their keys' text.
    Records(Vec<String>, Sender<Result<Vec<Option<Stored>>, StoreError>>),
    /// Work that waits.
    Waiting(WaitingQuery, Sender<Result<Vec<Stored>, StoreError>>),
    /// Deliveries by their id.
    Deliveries(DeliveryId, Sender<Result<Vec<Stored>, StoreError>>),
    /// Rows of a read model.
    Rows(ViewQuery, Sender<Result<Vec<ViewRow>, StoreError>>),
    /// Counters by name.
    Counters(Vec<String>, Sender<Result<Vec<u64>, StoreError>>),
}

/// Reads until nobody can ask any more.
pub(super) fn run(connection: &Connection, reads: &Mutex<Receiver<Read>>) {
    loop {
        let next = reads.lock().unwrap_or_else(PoisonError::into_inner).recv();
        // Whoever asked may have gone: then nobody misses the answer.
        match next {
            Ok(Read::Records(keys, answer)) => _ = answer.send(records(connection, &keys)),
            Ok(Read::Waiting(query, answer)) => _ = answer.send(waiting(connection, &query)),
            Ok(Read::Deliveries(id, answer)) => _ = answer.send(deliveries(connection, &id)),
            Ok(Read::Rows(query, answer)) => _ = answer.send(rows(connection, &query).map_err(unavailable)),
            Ok(Read::Counters(names, answer)) => _ = answer.send(counters(connection, &names).map_err(unavailable)),
            Err(_) => return,
        }
    }
}

/// The error of a store whose database failed.
pub(super) fn unavailable(error: rusqlite::Error) -> StoreError {
    StoreError::Unavailable(error.to_string())
}

/// Reads a record's body.
pub(super) fn record(key: &str, body: &str) -> Result<Record, StoreError> {
    serde_json::from_str(body).map_err(|error| StoreError::Unavailable(format!("`{key}` cannot be read: {error}")))
}

fn records(connection: &Connection, keys: &[String]) -> Result<Vec<Option<Stored>>, StoreError> {
    // Records of one answer are of one moment.
    let transaction = connection.unchecked_transaction().map_err(unavailable)?;
    let mut statement =
        transaction.prepare_cached("SELECT version, body FROM records WHERE key = ?1").map_err(unavailable)?;
    let mut load = |key: &String| {
        let found = statement.query_row([key], |row| Ok((row.get(0)?, row.get::<_, String>(1)?))).optional();
        let Some((version, body)) = found.map_err(unavailable)? else { return Ok(None) };
        Ok(Some(Stored { record: record(key, &body)?, version }))
    };
    keys.iter().map(&mut load).collect()
}

/// Work of a queue after a key.
const WAITING: &str = "SELECT key, version, body FROM records INDEXED BY work_by_time
    WHERE queue = ?1 AND due IS NOT NULL AND key > ?2 ORDER BY key LIMIT ?3";

fn waiting(connection: &Connection, query: &WaitingQuery) -> Result<Vec<Stored>, StoreError> {
    let after = query.after.as_deref().unwrap_or_default();
    stored(connection, WAITING, params![query.queue.as_str(), after, query.limit])
}

/// Records between two keys.
const BETWEEN: &str = "SELECT key, version, body FROM records WHERE key > ?1 AND key < ?2 ORDER BY key";

fn deliveries(connection: &Connection, id: &DeliveryId) -> Result<Vec<Stored>, StoreError> {
    // The digits of a digest sort before `;`, which follows `:`.
    stored(connection, BETWEEN, params![format!("delivery/{id}:"), format!("delivery/{id};")])
}

/// The records of a query for key, version and body.
fn stored(connection: &Connection, sql: &str, values: impl rusqlite::Params) -> Result<Vec<Stored>, StoreError> {
    let mut statement = connection.prepare_cached(sql).map_err(unavailable)?;
    let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    let found = statement.query_map(values, read).map_err(unavailable)?;
    found
        .map(|row| {
            let (key, version, body): (String, u64, String) = row.map_err(unavailable)?;
            Ok(Stored { record: record(&key, &body)?, version })
        })
        .collect()
}

/// Rows of a part of a view, from the newest; those without a body were removed.
const ROWS: &str = r#"SELECT sort, revision, body FROM rows
    WHERE view = ?1 AND "partition" = ?2 AND (?3 IS NULL OR sort < ?3) AND body <> '' ORDER BY sort DESC LIMIT ?4"#;

fn rows(connection: &Connection, query: &ViewQuery) -> rusqlite::Result<Vec<ViewRow>> {
    let mut statement = connection.prepare_cached(ROWS)?;
    let found = statement.query_map(params![query.view, query.partition, query.before, query.limit], |row| {
        Ok(ViewRow {
            view: query.view.to_owned(),
            partition: query.partition.clone(),
            sort: row.get(0)?,
            revision: row.get(1)?,
            body: row.get(2)?,
        })
    })?;
    found.collect()
}

fn counters(connection: &Connection, names: &[String]) -> rusqlite::Result<Vec<u64>> {
    let mut statement = connection.prepare_cached("SELECT value FROM counters WHERE name = ?1")?;
    let mut count = |name: &String| Ok(statement.query_row([name], |row| row.get(0)).optional()?.unwrap_or(0));
    names.iter().map(&mut count).collect()
}

#[cfg(test)]
mod tests {
    use dispatch_core::Timestamp;

    use super::super::schema;
    use super::*;

    #[test]
    fn what_is_asked_often_is_found_by_an_index_and_not_by_reading_everything() {
        let directory = tempfile::tempdir().unwrap();
        let mut connection = schema::connect(&directory.path().join("dispatch.sqlite")).unwrap();
        schema::migrate(&mut connection, Timestamp::UNIX_EPOCH).unwrap();
        let plan = |sql: &str| {
            let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let values = vec![rusqlite::types::Null; statement.parameter_count()];
            let lines = statement.query_map(rusqlite::params_from_iter(values), |row| row.get::<_, String>(3)).unwrap();
            lines.collect::<Result<Vec<_>, _>>().unwrap().join("; ")
        };
        assert!(plan(WAITING).starts_with("SEARCH records USING INDEX work_by_time (queue=?"), "{}", plan(WAITING));
        assert_eq!(plan(BETWEEN), "SEARCH records USING INDEX sqlite_autoindex_records_1 (key>? AND key<?)");
        assert_eq!(plan(ROWS), "SEARCH rows USING INDEX sqlite_autoindex_rows_1 (view=? AND partition=?)");
        for (sql, reads) in crate::store::sqlite::writer::RETIRE {
            assert!(plan(sql).contains(reads), "{sql}: {}", plan(sql));
        }
    }
}
