//! Reading bodies, so that a flood of unsigned ones cannot stop the signed ones, nor take all memory.
//!
//! Whether a body is signed is known only when all of it is there. So what strangers can make this process hold is
//! bounded, and nobody holds a part of it for long:
//!
//! | what | bound | who makes room for others |
//! |---|---|---|
//! | connections (`dispatch serve`) | 2,048 | the one that was silent for the longest time |
//! | of them, from one address that is no trusted proxy | 256 | the same, among those of the address |
//! | a request's head, and what is read ahead of a body, for each connection | 64 KiB | a head that takes 10 seconds is cut |
//! | all bodies of up to 256 KiB | 64 MiB | the one that has been incomplete for the longest time |
//! | all larger bodies, and those that do not tell their size | 100 MiB | the same |
//! | one body | 25 MiB, 10 seconds | it is given up |
//!
//! Together at most 292 MiB, and an eighth of the bodies more while they grow. Bytes are charged as they arrive: who
//! promises much and sends nothing holds nothing. Whose body makes room is answered with 503. GitHub's are complete in no
//! time, those of a flood stall; and nearly all of GitHub's are small (a `workflow_run` has about 20 KB), for which large
//! ones never compete. What waits in the store's queue was signed, or is one of those bodies.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes, HttpBody};
use futures_util::StreamExt;
use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{Instant, timeout_at};

/// The largest body that is read, in bytes: GitHub's limit of 25 MB for a payload ("Webhook events and payloads").
pub const MAX_BODY: usize = 25 * 1024 * 1024;

/// Up to here a body is small.
const SMALL: u64 = 256 * 1024;
/// All small bodies together, in bytes.
const SMALL_BUDGET: usize = 64 * 1024 * 1024;
/// All other bodies together, in bytes.
const LARGE_BUDGET: usize = 4 * MAX_BODY;
/// How long a body may take. GitHub itself gives up a delivery after 10 seconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// The bounds, shared by all requests.
pub(crate) struct Intake {
    small: Pool,
    large: Pool,
    patience: Duration,
}

/// Bodies that share a budget of bytes.
struct Pool {
    budget: Arc<Semaphore>,
    incomplete: Mutex<Incomplete>,
}

/// The bodies that are being read, in the order in which they began.
#[derive(Default)]
struct Incomplete {
    begun: u64,
    bodies: BTreeMap<u64, Held>,
}

/// How much a body holds, and how it is told to give it up.
struct Held {
    bytes: usize,
    give_up: oneshot::Sender<()>,
}

/// A body while it is being read.
struct Reading<'a> {
    pool: &'a Pool,
    number: u64,
    given_up: oneshot::Receiver<()>,
}

impl Default for Intake {
    fn default() -> Self {
        Self::new(SMALL_BUDGET, LARGE_BUDGET, PATIENCE)
    }
}

/// A body, and what it holds of the bounds until it is dropped.
pub(crate) struct Received {
    pub(crate) bytes: Vec<u8>,
    _held: Option<OwnedSemaphorePermit>,
}

/// Why a body was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum IntakeError {
    #[error("the body is larger than {MAX_BODY} bytes")]
    TooLarge,
    #[error("the body did not arrive in time")]
    TooSlow,
    #[error("too many bodies are being read; deliver it again")]
    Busy,
    #[error("the body ended early")]
    Broken,
}

impl Intake {
    fn new(small_budget: usize, large_budget: usize, patience: Duration) -> Self {
        Self { small: Pool::new(small_budget), large: Pool::new(large_budget), patience }
    }

    /// Reads a body whole, or not at all.
    pub(crate) async fn receive(&self, headers: &HeaderMap, body: Body) -> Result<Received, IntakeError> {
        fits(headers, &body)?;
        let is_small = body.size_hint().exact().is_some_and(|size| size <= SMALL);
        let pool = if is_small { &self.small } else { &self.large };
        let deadline = Instant::now() + self.patience;
        let mut reading = pool.begin();
        let mut stream = body.into_data_stream();
        let (mut bytes, mut held) = (Vec::new(), None::<OwnedSemaphorePermit>);
        while let Some(chunk) = reading.unless_given_up(next(&mut stream, deadline)).await?? {
            if bytes.len() + chunk.len() > MAX_BODY {
                return Err(IntakeError::TooLarge);
            }
            let more = reading.take(chunk.len(), deadline).await?;
            match &mut held {
                None => held = Some(more),
                Some(held) => held.merge(more),
            }
            if bytes.capacity() - bytes.len() < chunk.len() {
                // Not twice as much, as a vector grows by itself: what is held is what is charged, or little more.
                bytes.reserve_exact(chunk.len().max(bytes.len() / 8));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(Received { bytes, _held: held })
    }
}

impl Pool {
    fn new(budget: usize) -> Self {
        Self { budget: Arc::new(Semaphore::new(budget)), incomplete: Mutex::default() }
    }

    fn begin(&self) -> Reading<'_> {
        let (give_up, given_up) = oneshot::channel();
        let mut incomplete = self.incomplete();
        incomplete.begun += 1;
        let number = incomplete.begun;
        incomplete.bodies.insert(number, Held { bytes: 0, give_up });
        Reading { pool: self, number, given_up }
    }

    fn incomplete(&self) -> MutexGuard<'_, Incomplete> {
        // Nothing in here panics while it holds the lock.
        self.incomplete.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reading<'_> {
    /// Takes a part of the budget. Where there is not enough, others that have been incomplete for longer make room.
    async fn take(&mut self, count: usize, deadline: Instant) -> Result<OwnedSemaphorePermit, IntakeError> {
        if self.pool.budget.available_permits() < count {
            self.pool.incomplete().make_room(count, self.number);
        }
        let taken = self.unless_given_up(take(&self.pool.budget, count, deadline)).await??;
        if let Some(held) = self.pool.incomplete().bodies.get_mut(&self.number) {
            held.bytes += count;
        }
        Ok(taken)
    }

    async fn unless_given_up<T>(&mut self, wait: impl Future<Output = T>) -> Result<T, IntakeError> {
        tokio::select! {
            done = wait => Ok(done),
            _ = &mut self.given_up => Err(IntakeError::Busy),
        }
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        self.pool.incomplete().bodies.remove(&self.number);
    }
}

impl Incomplete {
    /// Tells the bodies that began before this one to give up what they hold, the oldest first, until it is enough.
    fn make_room(&mut self, count: usize, before: u64) {
        let mut free = 0;
        let older = self.bodies.range(..before).filter(|(_, held)| held.bytes > 0);
        let enough = older.take_while(|(_, held)| {
            let more = free < count;
            free += held.bytes;
            more
        });
        for number in enough.map(|(number, _)| *number).collect::<Vec<_>>() {
            if let Some(held) = self.bodies.remove(&number) {
                // Whoever has gone has given up what it held.
                let _ = held.give_up.send(());
            }
        }
    }
}

/// The next part of a body; None at its end.
async fn next(stream: &mut BodyDataStream, deadline: Instant) -> Result<Option<Bytes>, IntakeError> {
    let chunk = timeout_at(deadline, stream.next()).await.map_err(|_| IntakeError::TooSlow)?;
    chunk.transpose().map_err(|_| IntakeError::Broken)
}

/// Whether a body that tells its size tells one that will be read.
pub(crate) fn fits(headers: &HeaderMap, body: &Body) -> Result<(), IntakeError> {
    let size = declared(headers).unwrap_or(0).max(body.size_hint().lower());
    if size > MAX_BODY as u64 { Err(IntakeError::TooLarge) } else { Ok(()) }
}

async fn take(from: &Arc<Semaphore>, count: usize, deadline: Instant) -> Result<OwnedSemaphorePermit, IntakeError> {
    let count = u32::try_from(count).map_err(|_| IntakeError::TooLarge)?;
    let permit = timeout_at(deadline, Arc::clone(from).acquire_many_owned(count)).await;
    permit.ok().and_then(Result::ok).ok_or(IntakeError::Busy)
}

/// What `Content-Length` says. hyper has refused a malformed one before.
fn declared(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn never_ending() -> Body {
        Body::from_stream(futures_util::stream::pending::<Result<Vec<u8>, std::io::Error>>())
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_never_ends_is_given_up_after_ten_seconds() {
        let started = Instant::now();
        let result = Intake::default().receive(&HeaderMap::new(), never_ending()).await;
        assert_eq!(result.err(), Some(IntakeError::TooSlow));
        assert_eq!(started.elapsed(), PATIENCE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_slow_bodies_without_a_length_does_not_hold_up_a_small_one() {
        let intake = Arc::new(Intake::default());
        let flood = (0..100).map(|_| {
            let intake = Arc::clone(&intake);
            tokio::spawn(async move { intake.receive(&HeaderMap::new(), never_ending()).await.err() })
        });
        let flood: Vec<_> = flood.collect();
        tokio::task::yield_now().await;
        let started = Instant::now();
        let small = intake.receive(&HeaderMap::new(), Body::from("signed")).await.unwrap();
        assert_eq!(small.bytes, b"signed");
        assert_eq!(started.elapsed(), Duration::ZERO);
        for one in flood {
            assert!(matches!(one.await.unwrap(), Some(IntakeError::TooSlow | IntakeError::Busy)));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn small_bodies_wait_for_their_budget_and_get_it_back() {
        let intake = Arc::new(Intake::new(10, 10, PATIENCE));
        let first = intake.receive(&HeaderMap::new(), Body::from("12345678")).await.unwrap();
        let waiting = tokio::spawn({
            let intake = Arc::clone(&intake);
            async move { intake.receive(&HeaderMap::new(), Body::from("12345678")).await.is_ok() }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(first);
        assert!(waiting.await.unwrap());
    }

    #[tokio::test]
    async fn a_body_that_grows_beyond_the_limit_without_having_told_its_size_is_cut() {
        let chunks = futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>(vec![b' '; 1024 * 1024]));
        let result = Intake::default().receive(&HeaderMap::new(), Body::from_stream(chunks)).await;
        assert_eq!(result.err(), Some(IntakeError::TooLarge));
    }

    /// A body that does not tell its size, sends so many parts of 1 MiB, and stalls.
    fn stalling(parts: usize) -> Body {
        let sent = futures_util::stream::iter(0..parts).map(|_| Ok::<_, std::io::Error>(vec![b' '; 1024 * 1024]));
        Body::from_stream(sent.chain(futures_util::stream::pending()))
    }

    #[tokio::test(start_paused = true)]
    async fn large_bodies_that_stall_make_room_for_one_that_is_complete() {
        let intake = Arc::new(Intake::default());
        let mut flood = Vec::new();
        for _ in 0..40 {
            let intake = Arc::clone(&intake);
            flood.push(tokio::spawn(async move { intake.receive(&HeaderMap::new(), stalling(24)).await.err() }));
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let held = LARGE_BUDGET - intake.large.budget.available_permits();
        assert!(held > 90 * 1024 * 1024, "all places are taken: {held}");
        let started = Instant::now();
        let large = Body::from(vec![b' '; 20 * 1024 * 1024]);
        let received = intake.receive(&HeaderMap::new(), large).await.unwrap();
        assert_eq!(received.bytes.len(), 20 * 1024 * 1024);
        assert_eq!(started.elapsed(), Duration::ZERO);
        drop(received);
        for one in flood {
            assert!(matches!(one.await.unwrap(), Some(IntakeError::TooSlow | IntakeError::Busy)));
        }
        assert_eq!(intake.large.budget.available_permits(), LARGE_BUDGET, "all of it is free again");
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_than_the_budget_is_ever_held() {
        let intake = Arc::new(Intake::new(10, 4 * 1024 * 1024, PATIENCE));
        let all: Vec<_> = (0..20)
            .map(|_| {
                let intake = Arc::clone(&intake);
                tokio::spawn(async move { intake.receive(&HeaderMap::new(), stalling(3)).await.err() })
            })
            .collect();
        tokio::time::sleep(Duration::from_secs(1)).await;
        let waiting: Vec<_> = all.iter().map(|one| one.is_finished()).collect();
        assert!(waiting.iter().filter(|finished| !**finished).count() <= 3, "the others gave up what they held");
        for one in all {
            assert!(one.await.unwrap().is_some());
        }
    }

    #[tokio::test]
    async fn a_body_that_grows_is_held_in_little_more_than_its_size() {
        let parts = futures_util::stream::iter(0..800).map(|_| Ok::<_, std::io::Error>(vec![b' '; 16 * 1024]));
        let received = Intake::default().receive(&HeaderMap::new(), Body::from_stream(parts)).await.unwrap();
        assert_eq!(received.bytes.len(), 800 * 16 * 1024);
        assert!(received.bytes.capacity() <= received.bytes.len() * 9 / 8 + 16 * 1024);
    }
}
