//! A durable store in one file: SQLite in WAL mode with full synchronisation.
//!
//! One thread writes, and commits in groups: whatever is waiting when a transaction begins goes into it, and is answered
//! when it is on the disk. So a thousand writers wait for one synchronisation, not for a thousand. Two threads read,
//! each with its own connection. No call blocks the async runtime: it sends a job and awaits the answer.

mod backup;
mod reader;
mod schema;
mod upgrade_1;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use async_trait::async_trait;
use dispatch_core::Timestamp;
use dispatch_core::name::DeliveryId;
use dispatch_core::ports::store::{
    Claim, Commit, RecordKey, StoreError, StorePort, Stored, Take, Taken, ViewQuery, WaitingQuery,
};
use dispatch_core::projection::ViewRow;
use tokio::sync::oneshot;

pub use self::backup::back_up;
use self::reader::Read;
use self::writer::{Change, Job, PreparedCommit};

/// How many threads read.
const READERS: usize = 2;

/// A store in one SQLite file. See the module's documentation.
#[derive(Debug)]
pub struct SqliteStore {
    // Dropped before the threads are waited for: that is how they learn that it is over.
    channels: Option<Channels>,
    threads: Vec<JoinHandle<()>>,
    path: PathBuf,
    restored: AtomicBool,
}

#[derive(Debug)]
struct Channels {
    writer: mpsc::Sender<Job>,
    reader: mpsc::Sender<Read>,
}

impl SqliteStore {
    /// Opens the file, or makes it, readable by its owner alone; brings an older schema up to date.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: it cannot be opened, is no database, or was written by a newer release.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::open_with(path.as_ref(), |_| Ok(()))
    }

    /// The same, for a process that knows that no other one works on this database: what an earlier process was at when it
    /// ended is due now, rather than when its leases end.
    ///
    /// # Errors
    /// As [`SqliteStore::open`].
    pub fn open_alone(path: impl AsRef<Path>, now: Timestamp) -> Result<Self, StoreError> {
        Self::open_with(path.as_ref(), |connection| writer::end_leases(connection, now))
    }

    fn open_with(
        path: &Path,
        prepare: impl FnOnce(&rusqlite::Connection) -> rusqlite::Result<()>,
    ) -> Result<Self, StoreError> {
        let failed = |error: &dyn std::fmt::Display| {
            StoreError::Unavailable(format!("cannot open the database `{}`: {error}", path.display()))
        };
        restrict_to_owner(path).map_err(|error| failed(&error))?;
        let mut connection = schema::connect(path).map_err(|error| failed(&error))?;
        schema::migrate(&mut connection, Timestamp::now()).map_err(|error| failed(&error))?;
        prepare(&connection).map_err(|error| failed(&error))?;
        let restored = backup::is_restored(&connection).map_err(|error| failed(&error))?.into();
        let readers = (0..READERS).map(|_| schema::connect_to_read(path)).collect::<Result<Vec<_>, _>>();
        let readers = readers.map_err(|error| failed(&error))?;

        let (writer_sender, writer_jobs) = mpsc::channel();
        let (reader_sender, reader_jobs) = mpsc::channel();
        let reader_jobs = Arc::new(Mutex::new(reader_jobs));
        let mut threads = vec![spawn("store-writer", move || writer::run(connection, &writer_jobs))?];
        for connection in readers {
            let jobs = Arc::clone(&reader_jobs);
            threads.push(spawn("store-reader", move || reader::run(&connection, &jobs))?);
        }
        let channels = Some(Channels { writer: writer_sender, reader: reader_sender });
        Ok(Self { channels, threads, path: path.to_owned(), restored })
    }

    /// Copies the database into a new file, while the work goes on: [`back_up`].
    ///
    /// # Errors
    /// As [`back_up`].
    pub async fn backup(&self, file: impl AsRef<Path>) -> Result<(), StoreError> {
        let (database, file) = (self.path.clone(), file.as_ref().to_owned());
        let copied = tokio::task::spawn_blocking(move || back_up(database, file)).await;
        copied.unwrap_or_else(|error| Err(StoreError::Unavailable(format!("the copy was not made: {error}"))))
    }

    /// Whether the database is a copy that [`back_up`] made: what was accepted after the copy is not in it, and has to be
    /// looked for. True until [`clear_restored`](Self::clear_restored).
    #[must_use]
    pub fn was_restored(&self) -> bool {
        self.restored.load(Ordering::Acquire)
    }

    /// Says that what a copy lacked was looked for.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]; then the mark stays.
    pub async fn clear_restored(&self) -> Result<(), StoreError> {
        self.change(Box::new(backup::clear_restored)).await?;
        self.restored.store(false, Ordering::Release);
        Ok(())
    }

    async fn change(&self, change: Change) -> Result<usize, StoreError> {
        self.write(|answer| Job::Change(change, answer)).await
    }

    async fn write<T>(&self, job: impl FnOnce(oneshot::Sender<Result<T, StoreError>>) -> Job) -> Result<T, StoreError> {
        let (sender, receiver) = oneshot::channel();
        let channels = self.channels.as_ref().ok_or_else(ended)?;
        channels.writer.send(job(sender)).map_err(|_| ended())?;
        receiver.await.map_err(|_| ended())?
    }

    async fn read<T>(
        &self,
        read: impl FnOnce(oneshot::Sender<Result<T, StoreError>>) -> Read,
    ) -> Result<T, StoreError> {
        let (sender, receiver) = oneshot::channel();
        let channels = self.channels.as_ref().ok_or_else(ended)?;
        channels.reader.send(read(sender)).map_err(|_| ended())?;
        receiver.await.map_err(|_| ended())?
    }
}

impl Drop for SqliteStore {
    /// Waits for what was begun, so that the file is closed when this returns.
    fn drop(&mut self) {
        self.channels = None;
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the store panicked");
            }
        }
    }
}

#[async_trait]
impl StorePort for SqliteStore {
    async fn commit(&self, commit: Commit) -> Result<(), StoreError> {
        // Everything that takes time is done here, where many can do it at once.
        let prepared = PreparedCommit::new(&commit)?;
        self.write(|answer| Job::Commit(prepared, answer)).await
    }

    async fn load(&self, keys: &[RecordKey]) -> Result<Vec<Option<Stored>>, StoreError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let keys = keys.iter().map(ToString::to_string).collect();
        self.read(|answer| Read::Records(keys, answer)).await
    }

    async fn claim(&self, claim: Claim) -> Result<Vec<Stored>, StoreError> {
        self.write(|answer| Job::Claim(claim, answer)).await
    }

    async fn take(&self, take: Take) -> Result<Taken, StoreError> {
        self.write(|answer| Job::Take(take, answer)).await
    }

    async fn waiting(&self, query: WaitingQuery) -> Result<Vec<Stored>, StoreError> {
        self.read(|answer| Read::Waiting(query, answer)).await
    }

    async fn deliveries(&self, id: &DeliveryId) -> Result<Vec<Stored>, StoreError> {
        let id = id.clone();
        self.read(|answer| Read::Deliveries(id, answer)).await
    }

    async fn retire(&self, before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        self.change(Box::new(move |connection| writer::retire(connection, before, limit))).await
    }

    async fn rows(&self, query: ViewQuery) -> Result<Vec<ViewRow>, StoreError> {
        self.read(|answer| Read::Rows(query, answer)).await
    }

    async fn counters(&self, names: &[String]) -> Result<Vec<u64>, StoreError> {
        let names = names.to_vec();
        self.read(|answer| Read::Counters(names, answer)).await
    }
}

fn ended() -> StoreError {
    StoreError::Unavailable("the store has ended".to_owned())
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StoreError> {
    let spawned = std::thread::Builder::new().name(name.to_owned()).spawn(run);
    spawned.map_err(|error| StoreError::Unavailable(format!("cannot start a thread: {error}")))
}

/// Makes sure that the file is there, and that only its owner can read and write it. SQLite gives the files beside it the
/// same mode.
fn restrict_to_owner(path: &Path) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.create(true).truncate(false).read(true).write(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
        options.mode(0o600);
        options.open(path)?.set_permissions(std::fs::Permissions::from_mode(0o600))?;
        for suffix in ["-wal", "-shm"] {
            let mut beside = path.as_os_str().to_owned();
            beside.push(suffix);
            let beside = PathBuf::from(beside);
            if beside.exists() {
                std::fs::set_permissions(&beside, std::fs::Permissions::from_mode(0o600))?;
            }
        }
    }
    #[cfg(not(unix))]
    options.open(path)?;
    Ok(())
}
