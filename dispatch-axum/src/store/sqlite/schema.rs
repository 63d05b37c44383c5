//! The tables, and how older ones become these.

use std::path::Path;
use std::time::Duration;

use dispatch_core::Timestamp;
use dispatch_core::ports::store::StoreError;
use rusqlite::{Connection, OpenFlags};

use super::upgrade_1;

/// One script for each version; a database that is at version `n` needs those from position `n` on.
const MIGRATIONS: [&str; 2] = [include_str!("schema_1.sql"), include_str!("schema_2.sql")];

/// How much room the log beside the database keeps when nobody needs it, in bytes.
const LOG_KEEPS: i64 = 64 * 1024 * 1024;

/// Why a database cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum SchemaError {
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error("it has schema version {0}, and this release knows versions up to {known}", known = MIGRATIONS.len())]
    Newer(usize),
    #[error("`{key}` cannot be read: {error}")]
    Record { key: String, error: serde_json::Error },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A connection that writes.
pub(super) fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    // What was answered survives a power cut, not only a crash.
    connection.pragma_update(None, "synchronous", "full")?;
    // A copy that takes long lets the log grow; afterwards the room is given back.
    connection.pragma_update(None, "journal_size_limit", LOG_KEEPS)?;
    prepare(&connection)?;
    Ok(connection)
}

/// A connection that reads.
pub(super) fn connect_to_read(path: &Path) -> rusqlite::Result<Connection> {
    let connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    prepare(&connection)?;
    Ok(connection)
}

fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    // Another process may hold the file for a moment: a backup, or an operator's shell.
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

/// Brings the schema and what it holds up to date, all or nothing.
pub(super) fn migrate(connection: &mut Connection, now: Timestamp) -> Result<(), SchemaError> {
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let version: usize = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let missing = MIGRATIONS.get(version..).ok_or(SchemaError::Newer(version))?;
    for script in missing {
        transaction.execute_batch(script)?;
    }
    if version == 1 {
        upgrade_1::upgrade(&transaction, now)?;
    }
    transaction.pragma_update(None, "user_version", MIGRATIONS.len())?;
    transaction.commit()?;
    Ok(())
}
