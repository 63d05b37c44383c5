//! Recovery of what never arrived: GitHub does not repeat a delivery by itself.

use std::cmp::Reverse;

use super::Pipeline;
use crate::Timestamp;
use crate::event::PullRequestAction;
use crate::name::DeliveryId;
use crate::ports::delivery_log::{DeliveryAttempt, DeliveryLogPort};
use crate::ports::github::GitHubError;
use crate::ports::store::{Commit, Record, RecordKey, StoreError, Write};
use crate::recovery::{Evidence, Missed, RecoverOptions, RecoverOutcome, Recovery, Tries, Unread};
use crate::retry::RetryPolicy;
use crate::revocation::Extent;

/// How many pages one look reads. GitHub's pages hold up to 100 attempts.
const MAX_PAGES: usize = 200;
/// How many deliveries one look asks for again.
const MAX_REQUESTS: usize = 100;

impl Pipeline {
    /// Looks once into GitHub's log of deliveries, newest first, back to where the look before came, and asks again for what
    /// has no successful attempt and is not stored. Asking for something that arrives twice does no harm.
    ///
    /// What is missing is remembered until it has arrived, or until the log does not reach it any more, and asked for again
    /// after a minute, two, four, up to an hour. That it is asked for is stored before it is: a store that cannot store does
    /// not lead to requests without end.
    ///
    /// A look is bounded. Where it ends early, the next one goes on; [`RecoverOutcome`] tells why.
    ///
    /// # Errors
    /// [`StoreError`]; what was not stored is found again by the next look.
    pub async fn recover(
        &self,
        log: &dyn DeliveryLogPort,
        options: RecoverOptions,
        now: Timestamp,
    ) -> Result<RecoverOutcome, StoreError> {
        let (recovery, version) = self.stored_recovery().await?;
        if let Some(until) = recovery.not_before.filter(|until| *until > now) {
            let error = Some(format!("GitHub's rate limit: not before {until}"));
            let missing = recovery.asked.len();
            return Ok(RecoverOutcome { error, not_before: Some(until), missing, ..RecoverOutcome::default() });
        }
        let mut look = Look::new(recovery, options, now);
        let evidence = look.read(log, self.retry).await;
        self.compare(&mut look, evidence).await?;
        let mut due = self.still_missing(&mut look).await?;
        due.truncate(if look.stopped { 0 } else { MAX_REQUESTS });
        let next = |times| self.retry.without_hurry(times, now);
        if options.dry_run {
            look.outcome.asked = due.len();
            return Ok(look.ends());
        }
        let mut promised = look.recovery.clone();
        due.iter().for_each(|attempt| promised.ask(&attempt.delivery, now, next));
        let Some(version) = self.store_recovery(&promised, version).await? else {
            (look.outcome.elsewhere, look.outcome.complete) = (true, false);
            return Ok(look.ends());
        };
        for attempt in due {
            look.ask(log, &attempt, self.retry).await;
            if look.stopped {
                break;
            }
        }
        if look.recovery != promised && self.store_recovery(&look.recovery, Some(version)).await?.is_none() {
            look.outcome.elsewhere = true;
        }
        Ok(look.ends())
    }

    async fn stored_recovery(&self) -> Result<(Recovery, Option<u64>), StoreError> {
        let stored = self.store.load(&[RecordKey::Recovery]).await?.into_iter().next().flatten();
        Ok(match stored.map(|stored| (stored.record, stored.version)) {
            Some((Record::Recovery(recovery), version)) => (*recovery, Some(version)),
            _ => (Recovery::default(), None),
        })
    }

    /// Answers with the new version; None if somebody else was faster.
    async fn store_recovery(&self, recovery: &Recovery, version: Option<u64>) -> Result<Option<u64>, StoreError> {
        let write = Write { record: Record::Recovery(Box::new(recovery.clone())), expected: version };
        match self.store.commit(Commit { writes: vec![write], facts: Vec::new() }).await {
            Ok(()) => Ok(Some(version.unwrap_or(0) + 1)),
            Err(StoreError::Conflict(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Compares what the log says with what is stored.
    async fn compare(&self, look: &mut Look, evidence: Evidence) -> Result<(), StoreError> {
        for tries in evidence.into_webhooks() {
            match look.recovery.asked.get(&tries.newest.delivery) {
                Some(asked) if tries.succeeded_after(asked) => {
                    look.arrived(&tries.newest.delivery);
                    continue;
                }
                None if tries.succeeded() && !(look.compare && means_something(&tries.newest)) => continue,
                _ => {}
            }
            if self.is_stored(&tries.newest).await? {
                look.arrived(&tries.newest.delivery);
            } else if !look.missed(tries) {
                // What cannot be remembered is not settled: it is read again.
                look.goes_back();
            }
        }
        look.outcome.missed.sort_by_key(|missed| Reverse(missed.at));
        Ok(())
    }

    /// What is to be asked for again by this look: due, and not stored meanwhile.
    async fn still_missing(&self, look: &mut Look) -> Result<Vec<DeliveryAttempt>, StoreError> {
        look.outcome.lost += look.recovery.expire(look.now);
        let mut missing = Vec::new();
        for attempt in look.recovery.due(look.now) {
            if missing.len() == MAX_REQUESTS {
                break;
            }
            if self.is_stored(&attempt).await? {
                look.arrived(&attempt.delivery);
            } else {
                missing.push(attempt);
            }
        }
        Ok(missing)
    }

    /// Whether the delivery of an attempt is stored: under its id, and about the same. Somebody could have sent another body
    /// under an id that he knows.
    async fn is_stored(&self, attempt: &DeliveryAttempt) -> Result<bool, StoreError> {
        let stored = self.store.deliveries(&attempt.delivery).await?;
        Ok(stored.iter().any(|stored| agrees(&stored.record, attempt)))
    }
}

/// Whether a record is about what an attempt was to deliver.
fn agrees(record: &Record, attempt: &DeliveryAttempt) -> bool {
    let (event, action) = (attempt.event.as_str(), attempt.action.as_deref());
    match record {
        Record::Delivery(delivery) => {
            let kind = &delivery.event.kind;
            let same_event = event == kind.name() && action == kind.action();
            same_event && attempt.repository == Some(delivery.event.repository.id)
        }
        Record::Revocation(revocation) => match &revocation.lost.extent {
            Extent::Installation => event == "installation",
            Extent::Repositories(_) => event == "installation_repositories",
        },
        _ => false,
    }
}

/// Whether a webhook is stored whatever its body says, so that it can be found not to be.
///
/// Of a comment, of a check run that is wanted again and of a run that goes on, the log does not tell whether the body made
/// it one that is stored: most are not, and asking for those would never end. What is lost with the store that had
/// them stays lost: they are wanted for minutes, and a backup is older.
fn means_something(attempt: &DeliveryAttempt) -> bool {
    let action = attempt.action.as_deref();
    match attempt.event.as_str() {
        "push" => action.is_none(),
        "workflow_run" => action == Some("completed"),
        "pull_request" => action.and_then(PullRequestAction::from_word).is_some(),
        "installation" => matches!(action, Some("deleted" | "suspend")),
        "installation_repositories" => action == Some("removed"),
        _ => false,
    }
}

/// One look: what is known, and what came out so far.
struct Look {
    recovery: Recovery,
    options: RecoverOptions,
    compare: bool,
    now: Timestamp,
    /// How far the log had been read before.
    before: (Option<Timestamp>, Option<Unread>),
    /// Whether GitHub does not answer any more.
    stopped: bool,
    outcome: RecoverOutcome,
}

/// A stretch of the log: from a page on, back to a time.
struct Stretch {
    cursor: Option<String>,
    floor: Timestamp,
}

/// How reading a stretch ended.
enum ReadTo {
    /// All of it was read.
    End,
    /// This page was not, and GitHub did not give it, if there is an error.
    Page(Option<String>, Option<GitHubError>),
}

impl Look {
    fn new(mut recovery: Recovery, options: RecoverOptions, now: Timestamp) -> Self {
        let before = (recovery.reached, recovery.unread.clone());
        (recovery.looked_at, recovery.not_before, recovery.error) = (Some(now), None, None);
        let compare = options.compare || recovery.unread.as_ref().is_some_and(|unread| unread.compare);
        Self { recovery, options, compare, now, before, stopped: false, outcome: RecoverOutcome::default() }
    }

    /// Reads what is new, then what an interrupted look left, and notes how far it came.
    async fn read(&mut self, log: &dyn DeliveryLogPort, retry: RetryPolicy) -> Evidence {
        let (mut evidence, mut pages) = (Evidence::default(), MAX_PAGES);
        let settled = self.recovery.floor(self.now);
        let left = self
            .recovery
            .unread
            .take()
            .filter(|unread| self.options.since.is_none() && (unread.compare || !self.options.compare));
        let floor = match (&left, self.options.since) {
            (Some(unread), _) => unread.floor,
            (None, Some(since)) => since.max(Recovery::oldest(self.now)),
            (None, None) if self.compare => Recovery::oldest(self.now),
            (None, None) => settled,
        };
        let above = left.as_ref().map_or(floor, Recovery::floor_above);
        let mut to = read(log, Stretch { cursor: None, floor: above }, &mut evidence, &mut pages).await;
        if let (ReadTo::End, Some(unread)) = (&to, &left) {
            let below = Stretch { cursor: Some(unread.cursor.clone()), floor };
            to = read(log, below, &mut evidence, &mut pages).await;
        }
        if let ReadTo::Page(_, Some(error)) = &to {
            self.stops(error, retry);
        }
        let newest = [evidence.newest_at, left.as_ref().map(|unread| unread.read_from), self.recovery.reached];
        let newest = newest.into_iter().max().flatten().map(|newest| newest.min(self.now));
        (self.outcome.looked_at, self.outcome.complete) = (evidence.attempts, matches!(to, ReadTo::End));
        let from_where_it_was_left = left.is_some() || floor <= settled;
        let (reached, unread) = match (to, newest) {
            _ if !from_where_it_was_left => self.before.clone(),
            (ReadTo::End, newest) => (newest, None),
            // GitHub does not know the place any more: it is read from the top.
            (ReadTo::Page(_, Some(GitHubError::Refused { status: 400 | 404 | 422, .. })), _) => (self.before.0, None),
            (ReadTo::Page(Some(cursor), _), Some(read_from)) => {
                (self.before.0, Some(Unread { cursor, floor, read_from, compare: self.compare }))
            }
            (ReadTo::Page(..), _) => self.before.clone(),
        };
        (self.recovery.reached, self.recovery.unread) = (reached, unread);
        evidence
    }

    /// A webhook has no attempt that counts. False where no more can be remembered.
    fn missed(&mut self, tries: Tries) -> bool {
        let known = self.recovery.asked.contains_key(&tries.newest.delivery);
        let missed = Missed::new(&tries.newest);
        let remembered = self.recovery.miss(tries.newest, self.now);
        if remembered && !known {
            self.outcome.missed.push(missed);
        }
        remembered
    }

    fn arrived(&mut self, delivery: &DeliveryId) {
        self.outcome.arrived += usize::from(self.recovery.arrived(delivery, self.now));
    }

    /// What was read is not settled: it is read again.
    fn goes_back(&mut self) {
        (self.recovery.reached, self.recovery.unread) = self.before.clone();
        self.outcome.complete = false;
        self.recovery.error = Some(format!("more than {} deliveries are missing", Recovery::MAX_ASKED));
    }

    /// Asks for a delivery again.
    async fn ask(&mut self, log: &dyn DeliveryLogPort, attempt: &DeliveryAttempt, retry: RetryPolicy) {
        let answer = log.redeliver(attempt.id).await;
        match &answer {
            // The log does not know it any more, or does not deliver it again.
            Err(GitHubError::Refused { status: 400 | 404 | 410 | 422, .. }) => {
                self.recovery.asked.remove(&attempt.delivery);
                self.outcome.lost += 1;
                return;
            }
            // In doubt, it may have been asked for: that counts.
            Ok(()) | Err(GitHubError::InDoubt(_)) => {
                self.recovery.ask(&attempt.delivery, self.now, |times| retry.without_hurry(times, self.now));
                self.outcome.asked += 1;
            }
            Err(_) => {}
        }
        if let Err(error) = answer {
            self.stops(&error, retry);
        }
    }

    /// GitHub does not answer: nothing more is asked of it in this look.
    fn stops(&mut self, error: &GitHubError, retry: RetryPolicy) {
        self.stopped = true;
        if let GitHubError::RateLimited { until, .. } = error {
            self.recovery.not_before = Some(retry.after_rate_limit(*until, 1, self.now));
        }
        self.recovery.error = Some(error.to_string());
    }

    fn ends(self) -> RecoverOutcome {
        let Recovery { asked, error, not_before, .. } = self.recovery;
        RecoverOutcome { missing: asked.len(), error, not_before, ..self.outcome }
    }
}

/// Reads a stretch of the log, newest first.
async fn read(log: &dyn DeliveryLogPort, stretch: Stretch, evidence: &mut Evidence, pages: &mut usize) -> ReadTo {
    let mut cursor = stretch.cursor;
    while *pages > 0 {
        *pages -= 1;
        let page = match log.attempts(cursor.as_deref()).await {
            Ok(page) => page,
            Err(error) => return ReadTo::Page(cursor, Some(error)),
        };
        let settled = page.attempts.last().is_some_and(|oldest| oldest.delivered_at < stretch.floor);
        let wanted = page.attempts.into_iter().filter(|attempt| attempt.delivered_at >= stretch.floor);
        wanted.for_each(|attempt| evidence.add(attempt));
        match page.next {
            Some(next) if !settled => cursor = Some(next),
            _ => return ReadTo::End,
        }
    }
    ReadTo::Page(cursor, None)
}
