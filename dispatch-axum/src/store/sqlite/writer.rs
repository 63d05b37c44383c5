//! The thread that writes: a transaction for all jobs that wait, a savepoint for each of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::Receiver;
use std::time::Duration;

use dispatch_core::Timestamp;
use dispatch_core::ports::store::{Claim, Commit, RecordKey, StoreError, Stored, Take, Taken, Work};
use dispatch_core::projection::{BY_NAME, EDGES, Update, ViewRow, project};
use rusqlite::{Connection, OptionalExtension, params};
use tokio::sync::oneshot::Sender;

use super::reader::{record, unavailable};

/// How many jobs one transaction holds at most: it bounds how long the first of them waits for the last.
const MAX_GROUP: usize = 512;

/// The time of a row that retention leaves.
const FOR_GOOD: i64 = i64::MAX;

/// Something to write, and where to answer.
pub(super) enum Job {
    /// A step.
    Commit(PreparedCommit, Sender<Result<(), StoreError>>),
    /// A claim.
    Claim(Claim, Sender<Result<Vec<Stored>, StoreError>>),
    /// A claim of one item.
    Take(Take, Sender<Result<Taken, StoreError>>),
    /// Anything else; it answers how much it changed.
    Change(Change, Sender<Result<usize, StoreError>>),
}

/// A change that is no step.
pub(super) type Change = Box<dyn FnOnce(&Connection) -> rusqlite::Result<usize> + Send>;

/// A step as the tables take it.
pub(super) struct PreparedCommit {
    writes: Vec<PreparedWrite>,
    facts: Vec<PreparedFact>,
}

struct PreparedWrite {
    key: RecordKey,
    text: String,
    expected: Option<u64>,
    body: String,
    work: Option<Work>,
    done: Option<i64>,
}

struct PreparedFact {
    id: String,
    time: i64,
    body: String,
    updates: Vec<Update>,
}

impl PreparedCommit {
    pub(super) fn new(commit: &Commit) -> Result<Self, StoreError> {
        let illegal = |error: serde_json::Error| StoreError::Illegal(error.to_string());
        let keys = commit.distinct_keys()?;
        let writes = commit.writes.iter().zip(keys).map(|(write, key)| {
            let body = serde_json::to_string(&write.record).map_err(illegal)?;
            Ok(PreparedWrite {
                text: key.to_string(),
                key,
                expected: write.expected,
                body,
                work: write.record.work(),
                done: write.record.done_at().map(micros),
            })
        });
        let facts = commit.facts.iter().map(|fact| {
            let body = serde_json::to_string(fact).map_err(illegal)?;
            Ok(PreparedFact { id: fact.id(), time: micros(fact.time), body, updates: project(fact) })
        });
        Ok(Self { writes: writes.collect::<Result<_, _>>()?, facts: facts.collect::<Result<_, _>>()? })
    }
}

/// Writes until nobody can ask any more.
pub(super) fn run(mut connection: Connection, jobs: &Receiver<Job>) {
    let mut durable = true;
    while let Ok(first) = jobs.recv() {
        let mut group = vec![first];
        group.extend(jobs.try_iter().take(MAX_GROUP - 1));
        metrics::histogram!("dispatch_store_group_size").record(group.len() as f64);
        // A claim that a power cut undoes only means that the work is claimed again, so that alone it need not reach the
        // disk. The next step that must, takes it along.
        let must_last = group.iter().any(|job| !matches!(job, Job::Claim(..) | Job::Take(..)));
        if durable != must_last {
            let level = if must_last { "full" } else { "normal" };
            match connection.pragma_update(None, "synchronous", level) {
                Ok(()) => durable = must_last,
                Err(error) if must_last => {
                    refuse(group, &unavailable(error));
                    continue;
                }
                Err(error) => tracing::warn!(%error, "cannot change how the store synchronises"),
            }
        }
        write_group(&mut connection, group);
    }
}

/// An answer that may be given once the transaction is on the disk.
enum Answer {
    Commit(Result<(), StoreError>, Sender<Result<(), StoreError>>),
    Claim(Result<Vec<Stored>, StoreError>, Sender<Result<Vec<Stored>, StoreError>>),
    Take(Result<Taken, StoreError>, Sender<Result<Taken, StoreError>>),
    Change(Result<usize, StoreError>, Sender<Result<usize, StoreError>>),
}

impl Answer {
    /// Answers; with the error of the whole transaction, if there is one.
    fn send(self, failed: Option<&StoreError>) {
        // Whoever asked may have gone: then nobody misses the answer.
        match self {
            Self::Commit(result, sender) => _ = sender.send(failed.map_or(result, |error| Err(error.clone()))),
            Self::Claim(result, sender) => _ = sender.send(failed.map_or(result, |error| Err(error.clone()))),
            Self::Take(result, sender) => _ = sender.send(failed.map_or(result, |error| Err(error.clone()))),
            Self::Change(result, sender) => _ = sender.send(failed.map_or(result, |error| Err(error.clone()))),
        }
    }
}

fn refuse(group: Vec<Job>, error: &StoreError) {
    for job in group {
        match job {
            Job::Commit(_, sender) => _ = sender.send(Err(error.clone())),
            Job::Claim(_, sender) => _ = sender.send(Err(error.clone())),
            Job::Take(_, sender) => _ = sender.send(Err(error.clone())),
            Job::Change(_, sender) => _ = sender.send(Err(error.clone())),
        }
    }
}

fn write_group(connection: &mut Connection, group: Vec<Job>) {
    let transaction = match connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate) {
        Ok(transaction) => transaction,
        Err(error) => return refuse(group, &unavailable(error)),
    };
    let mut counts = BTreeMap::new();
    let answers: Vec<_> = group
        .into_iter()
        .map(|job| match job {
            Job::Commit(commit, sender) => {
                Answer::Commit(in_savepoint(&transaction, |c| write_step(c, &commit, &mut counts)), sender)
            }
            Job::Claim(claim, sender) => Answer::Claim(in_savepoint(&transaction, |c| take_work(c, &claim)), sender),
            Job::Take(take, sender) => Answer::Take(in_savepoint(&transaction, |c| take_item(c, &take)), sender),
            Job::Change(change, sender) => {
                Answer::Change(in_savepoint(&transaction, |c| change(c).map_err(unavailable)), sender)
            }
        })
        .collect();
    let result = add_counts(&transaction, &counts).and_then(|()| transaction.commit());
    let failed = result.err().map(unavailable);
    if let Some(error) = &failed {
        tracing::error!(%error, "a group of steps could not be stored");
    }
    answers.into_iter().for_each(|answer| answer.send(failed.as_ref()));
}

/// Undoes what a job wrote where it failed, and nothing else.
fn in_savepoint<T>(
    connection: &Connection,
    job: impl FnOnce(&Connection) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    // A full disk makes SQLite undo the whole transaction on the spot. A savepoint would then be a transaction of its own,
    // stored although all jobs of the group are answered with an error.
    if connection.is_autocommit() {
        return Err(StoreError::Unavailable("another step of the same group could not be stored".to_owned()));
    }
    let run = |sql: &str| connection.prepare_cached(sql).and_then(|mut statement| statement.execute([]));
    run("SAVEPOINT job").map_err(unavailable)?;
    let result = job(connection);
    if result.is_err() {
        run("ROLLBACK TO job").map_err(unavailable)?;
    }
    run("RELEASE job").map_err(unavailable)?;
    result
}

pub(super) fn write_step(
    connection: &Connection,
    commit: &PreparedCommit,
    counts: &mut BTreeMap<String, u64>,
) -> Result<(), StoreError> {
    for write in &commit.writes {
        if !write_record(connection, write).map_err(unavailable)? {
            return Err(StoreError::Conflict(write.key.clone()));
        }
    }
    // Counted only when nothing can fail any more.
    let mut counted = Vec::new();
    for fact in &commit.facts {
        if add_fact(connection, fact).map_err(unavailable)? {
            for update in &fact.updates {
                apply(connection, update, fact.time, &mut counted).map_err(unavailable)?;
            }
        }
    }
    for (counter, by) in counted {
        *counts.entry(counter.clone()).or_default() += by;
    }
    Ok(())
}

/// Writes a record; false if it does not have the version that is expected.
fn write_record(connection: &Connection, write: &PreparedWrite) -> rusqlite::Result<bool> {
    let (queue, lane, due, held) = match &write.work {
        Some(work) => (Some(work.queue.as_str()), Some(&work.lane), Some(micros(work.due)), work.held),
        None => (None, None, None, false),
    };
    let changed = match write.expected {
        None => connection
            .prepare_cached(
                "INSERT INTO records (key, version, body, queue, lane, due, leased, done)
                 VALUES (?1, 1, ?2, ?3, ?4, ?5, ?6, ?7)
                 ON CONFLICT (key) DO NOTHING",
            )?
            .execute(params![write.text, write.body, queue, lane, due, held, write.done])?,
        Some(version) => connection
            .prepare_cached(
                "UPDATE records SET version = version + 1, body = ?2, queue = ?3, lane = ?4, due = ?5, leased = ?6, done = ?7
                 WHERE key = ?1 AND version = ?8",
            )?
            .execute(params![write.text, write.body, queue, lane, due, held, write.done, version])?,
    };
    Ok(changed == 1)
}

/// Adds a fact; false if it is there already.
fn add_fact(connection: &Connection, fact: &PreparedFact) -> rusqlite::Result<bool> {
    let sql = "INSERT INTO facts (id, time, body) VALUES (?1, ?2, ?3) ON CONFLICT (id) DO NOTHING";
    Ok(connection.prepare_cached(sql)?.execute(params![fact.id, fact.time, fact.body])? == 1)
}

pub(super) fn put_row(connection: &Connection, row: &ViewRow, time: i64) -> rusqlite::Result<()> {
    let sql = r#"INSERT INTO rows (view, "partition", sort, revision, body, time) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT (view, "partition", sort)
                 DO UPDATE SET revision = excluded.revision, body = excluded.body, time = excluded.time
                 WHERE revision <= excluded.revision"#;
    let values = params![row.view, row.partition, row.sort, row.revision, row.body, time];
    connection.prepare_cached(sql)?.execute(values)?;
    Ok(())
}

/// Updates the read models. What is to be counted is only collected.
fn apply<'u>(
    connection: &Connection,
    update: &'u Update,
    time: i64,
    counted: &mut Vec<(&'u String, &'u u64)>,
) -> rusqlite::Result<()> {
    match update {
        Update::Count { counter, by } => counted.push((counter, by)),
        Update::Put(row) => put_row(connection, row, time)?,
        Update::Keep(row) => put_row(connection, row, FOR_GOOD)?,
        Update::Tally(tally) => {
            let there = take_row(connection, EDGES, BY_NAME, &tally.sort())?;
            let (updates, time) = tally.add_to(there.as_ref());
            for update in &updates {
                // Sums are rows, and nothing of them is counted.
                apply(connection, update, micros(time), &mut Vec::new())?;
            }
        }
        Update::Remove { view, partition, sort, revision } => {
            let (view, partition, sort) = ((*view).to_owned(), partition.clone(), sort.clone());
            let gone = ViewRow { view, partition, sort, revision: *revision, body: String::new() };
            put_row(connection, &gone, time)?;
        }
    }
    Ok(())
}

/// Reads a row that is to be written anew, so that it is not among those that were written first, where retention looks, as
/// long as it is used.
fn take_row(connection: &Connection, view: &str, partition: &str, sort: &str) -> rusqlite::Result<Option<ViewRow>> {
    let sql = r#"DELETE FROM rows WHERE view = ?1 AND "partition" = ?2 AND sort = ?3 RETURNING revision, body"#;
    let there = connection.prepare_cached(sql)?.query_row(params![view, partition, sort], |row| {
        let (view, partition, sort) = (view.to_owned(), partition.to_owned(), sort.to_owned());
        Ok(ViewRow { view, partition, sort, revision: row.get(0)?, body: row.get(1)? })
    });
    there.optional()
}

fn add_counts(connection: &Connection, counts: &BTreeMap<String, u64>) -> rusqlite::Result<()> {
    let sql = "INSERT INTO counters (name, value) VALUES (?1, ?2)
               ON CONFLICT (name) DO UPDATE SET value = value + excluded.value";
    for (counter, by) in counts {
        connection.prepare_cached(sql)?.execute(params![counter, by])?;
    }
    Ok(())
}

/// Makes due what is leased, and what somebody was at: nobody is any more.
pub(super) fn end_leases(connection: &Connection, now: Timestamp) -> rusqlite::Result<()> {
    connection.execute("UPDATE records SET due = ?1, leased = 0 WHERE leased = 1", [micros(now)]).map(|_| ())
}

/// Of records, rows and facts: the oldest that are older than the first value, at most as many as the second. Next to each,
/// how it finds them: rows and facts among those that were written first, so that writing them needs no further index. What
/// was written first may have changed last, so that more of them are looked at than are deleted.
pub(super) const RETIRE: [(&str, &str); 3] = [
    (
        "DELETE FROM records WHERE id IN (SELECT id FROM records WHERE done < ?1 ORDER BY done LIMIT ?2)",
        "USING COVERING INDEX done_records",
    ),
    (
        "DELETE FROM rows WHERE id IN (
             SELECT id FROM (SELECT id, time FROM rows ORDER BY id LIMIT 4 * ?2) WHERE time < ?1 ORDER BY time LIMIT ?2
         )",
        "SCAN rows",
    ),
    (
        "DELETE FROM facts WHERE position IN (
             SELECT position FROM (SELECT position, time FROM facts ORDER BY position LIMIT 4 * ?2)
             WHERE time < ?1 ORDER BY time LIMIT ?2
         )",
        "SCAN facts",
    ),
];

/// Deletes what was done with before that time, the oldest first, at most so many of each.
pub(super) fn retire(connection: &Connection, before: Timestamp, limit: usize) -> rusqlite::Result<usize> {
    let mut deleted = 0;
    for (sql, _) in RETIRE {
        deleted += connection.prepare_cached(sql)?.execute(params![micros(before), limit])?;
    }
    Ok(deleted)
}

fn take_work(connection: &Connection, claim: &Claim) -> Result<Vec<Stored>, StoreError> {
    let ids = due_work(connection, claim).map_err(unavailable)?;
    let mut claimed = Vec::with_capacity(ids.len());
    for id in ids {
        let (key, version, body) = lease(connection, id, claim.now, claim.lease).map_err(unavailable)?;
        match record(&key, &body) {
            Ok(record) => claimed.push(Stored { record, version }),
            // It stays leased, so that it does not hold up the others; it is told again when the lease ends.
            Err(error) => tracing::error!(%error, "work cannot be read"),
        }
    }
    Ok(claimed)
}

fn take_item(connection: &Connection, take: &Take) -> Result<Taken, StoreError> {
    let key = take.key.to_string();
    let found = connection
        .prepare_cached("SELECT id, due FROM records WHERE key = ?1 AND due IS NOT NULL")
        .and_then(|mut statement| statement.query_row([&key], |row| Ok((row.get(0)?, row.get(1)?))).optional())
        .map_err(unavailable)?;
    let Some((id, due)) = found else { return Ok(Taken::Nothing) };
    if due > micros(take.now) {
        let until = Timestamp::from_microsecond(due).map_err(|error| StoreError::Unavailable(error.to_string()))?;
        return Ok(Taken::NotBefore(until));
    }
    let (key, version, body) = lease(connection, id, take.now, take.lease).map_err(unavailable)?;
    Ok(Taken::Work(Box::new(Stored { record: record(&key, &body)?, version })))
}

/// Keeps an item from others for a while. Answers its key, version and body.
fn lease(
    connection: &Connection,
    id: i64,
    now: Timestamp,
    length: Duration,
) -> rusqlite::Result<(String, u64, String)> {
    let until = micros(now).saturating_add(i64::try_from(length.as_micros()).unwrap_or(i64::MAX));
    let sql =
        "UPDATE records SET version = version + 1, due = ?2, leased = 1 WHERE id = ?1 RETURNING key, version, body";
    let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    connection.prepare_cached(sql)?.query_row(params![id, until], read)
}

/// The work to take: lanes take turns, and none gets more places than it has left.
fn due_work(connection: &Connection, claim: &Claim) -> rusqlite::Result<Vec<i64>> {
    let (queue, now) = (claim.queue.as_str(), micros(claim.now));
    let mut by_time = connection
        .prepare_cached("SELECT lane, due, id FROM records WHERE queue = ?1 AND due <= ?2 ORDER BY due LIMIT ?3")?;
    let mut due = by_time
        .query_map(params![queue, now, claim.limit.saturating_add(1)], work)?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    if due.len() > claim.limit {
        // More than can be taken: everybody's first, not the first of whoever has most.
        due.clear();
        let mut of_lane = connection.prepare_cached(
            "SELECT lane, due, id FROM records WHERE queue = ?1 AND lane = ?2 AND due <= ?3 ORDER BY due LIMIT ?4",
        )?;
        for lane in lanes(connection, queue)? {
            let first = of_lane.query_map(params![queue, lane, now, claim.limit.min(claim.per_lane)], work)?;
            due.extend(first.collect::<rusqlite::Result<Vec<_>>>()?);
        }
    }
    let mut lanes: BTreeMap<String, BTreeSet<(i64, i64)>> = BTreeMap::new();
    for (lane, due, id) in due {
        lanes.entry(lane).or_default().insert((due, id));
    }
    let mut leased = connection
        .prepare_cached("SELECT count(*) FROM records WHERE queue = ?1 AND lane = ?2 AND leased = 1 AND due > ?3")?;
    let mut turns = BTreeSet::new();
    for (lane, due) in lanes {
        let taken: usize = leased.query_row(params![queue, lane, now], |row| row.get(0))?;
        let free = claim.per_lane.saturating_sub(taken);
        turns.extend(due.into_iter().take(free).enumerate().map(|(turn, (due, id))| (turn, due, id)));
    }
    Ok(turns.into_iter().take(claim.limit).map(|(_, _, id)| id).collect())
}

fn work(row: &rusqlite::Row<'_>) -> rusqlite::Result<(String, i64, i64)> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
}

/// The lanes that have work, found by jumping from one to the next in the index.
fn lanes(connection: &Connection, queue: &str) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare_cached(
        "WITH RECURSIVE lanes (lane) AS (
             SELECT min(lane) FROM records WHERE queue = ?1 AND due IS NOT NULL
             UNION ALL
             SELECT (SELECT min(lane) FROM records WHERE queue = ?1 AND due IS NOT NULL AND lane > lanes.lane)
             FROM lanes WHERE lanes.lane IS NOT NULL
         )
         SELECT lane FROM lanes WHERE lane IS NOT NULL",
    )?;
    let found = statement.query_map([queue], |row| row.get(0))?;
    found.collect()
}

pub(super) fn micros(time: Timestamp) -> i64 {
    time.as_microsecond()
}

#[cfg(test)]
mod tests {
    use dispatch_core::ports::store::{Record, Write};
    use tokio::sync::oneshot::{Receiver, channel};

    use super::super::schema;
    use super::*;

    fn put(run: u64, length: usize) -> (Job, Receiver<Result<(), StoreError>>) {
        let root = "x".repeat(length);
        let chain = format!(r#"{{"root":["{root}{run}",{{"spent":{{}},"at":"2026-01-01T00:00:00Z"}}]}}"#);
        let record: Record = serde_json::from_str(&chain).unwrap();
        let commit = Commit { writes: vec![Write { record, expected: None }], facts: Vec::new() };
        let (sender, receiver) = channel();
        (Job::Commit(PreparedCommit::new(&commit).unwrap(), sender), receiver)
    }

    #[test]
    fn a_disk_that_is_full_in_the_middle_of_a_group_undoes_all_of_it_and_says_so() {
        let directory = tempfile::tempdir().unwrap();
        let mut connection = schema::connect(&directory.path().join("dispatch.sqlite")).unwrap();
        schema::migrate(&mut connection, Timestamp::UNIX_EPOCH).unwrap();
        let pages: i64 = connection.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
        let _: i64 =
            connection.query_row(&format!("PRAGMA max_page_count = {}", pages + 4), [], |row| row.get(0)).unwrap();
        let (jobs, answers): (Vec<_>, Vec<_>) =
            [(1, 10), (2, 1_000_000), (3, 10)].map(|(run, length)| put(run, length)).into_iter().unzip();
        write_group(&mut connection, jobs);
        for mut answer in answers {
            assert!(matches!(answer.try_recv().unwrap(), Err(StoreError::Unavailable(_))));
        }
        let written: i64 = connection.query_row("SELECT count(*) FROM records", [], |row| row.get(0)).unwrap();
        assert_eq!(written, 0, "what was answered with an error was not written");
        let (job, mut answer) = put(4, 10);
        write_group(&mut connection, vec![job]);
        assert_eq!(answer.try_recv().unwrap(), Ok(()), "the next group is stored");
    }
}
