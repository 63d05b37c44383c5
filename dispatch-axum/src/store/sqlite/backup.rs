//! A copy of a live database, and the mark by which a copy is known.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use dispatch_core::ports::store::StoreError;
use rusqlite::{Connection, OpenFlags};

use super::schema;

/// `PRAGMA application_id` of a copy that nobody has worked with. A database that was not copied has 0.
const RESTORED: i32 = i32::from_be_bytes(*b"copy");

/// Copies a database, also while a service works on it, into a new file that only its owner can read. What was answered
/// before it begins is in the copy; what comes meanwhile is not, and waits for nothing. The copy is on the disk when this
/// returns.
///
/// Takes as long as reading the file once, and as much room beside the new file's place as the file has content. Blocks the
/// thread.
///
/// # Errors
/// [`StoreError::Unavailable`]: the database cannot be read, or the file is there already, or cannot be written. Then there
/// is no file.
pub fn back_up(database: impl AsRef<Path>, file: impl AsRef<Path>) -> Result<(), StoreError> {
    let (database, file) = (database.as_ref(), file.as_ref());
    copy(database, file).map_err(|error| {
        let (database, file) = (database.display(), file.display());
        StoreError::Unavailable(format!("cannot copy the database `{database}` to `{file}`: {error}"))
    })
}

#[derive(Debug, thiserror::Error)]
enum BackupError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error("the file exists already")]
    Exists,
    #[error("`{}` exists: it is being written, or was left by a copy that was cut off; remove it then", .0.display())]
    Unfinished(PathBuf),
    #[error("the file's name is not UTF-8")]
    Name,
}

fn copy(database: &Path, file: &Path) -> Result<(), BackupError> {
    if file.symlink_metadata().is_ok() {
        return Err(BackupError::Exists);
    }
    // Whoever takes the file finds all of it or nothing.
    let mut unfinished = OsString::from(file);
    unfinished.push(".unfinished");
    let unfinished = PathBuf::from(unfinished);
    make_for_owner(&unfinished)?;
    let result = write(database, &unfinished).and_then(|()| Ok(std::fs::rename(&unfinished, file)?));
    if result.is_err() {
        // What cannot be removed is named by the next attempt.
        let _ = std::fs::remove_file(&unfinished);
    }
    result?;
    let directory = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok(File::open(directory)?.sync_all()?)
}

fn make_for_owner(path: &Path) -> Result<(), BackupError> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(BackupError::Unfinished(path.to_owned())),
        Err(error) => Err(error.into()),
    }
}

fn write(database: &Path, to: &Path) -> Result<(), BackupError> {
    let name = to.to_str().ok_or(BackupError::Name)?;
    // One read transaction: what is written meanwhile goes to the log beside the database.
    schema::connect_to_read(database)?.execute("VACUUM INTO ?1", [name])?;
    let copy = Connection::open_with_flags(to, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    copy.pragma_update(None, "application_id", RESTORED)?;
    copy.close().map_err(|(_, error)| error)?;
    Ok(File::open(to)?.sync_all()?)
}

/// Whether the database is a copy that nobody has worked with.
pub(super) fn is_restored(connection: &Connection) -> rusqlite::Result<bool> {
    Ok(connection.query_row("PRAGMA application_id", [], |row| row.get::<_, i32>(0))? == RESTORED)
}

/// Takes the mark away.
pub(super) fn clear_restored(connection: &Connection) -> rusqlite::Result<usize> {
    connection.pragma_update(None, "application_id", 0)?;
    Ok(0)
}
