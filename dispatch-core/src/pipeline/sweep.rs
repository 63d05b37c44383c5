//! The sweep: environments whose pull request is closed although no webhook said so, or whose time is over.
//!
//! It looks only at what is stored here, and only at what rests: where something is wanted or under way, that goes first. What
//! GitHub does not tell of a pull request - 404, 403, 301, a permission that was lost, no answer - is unknown, which is never
//! "closed". What is to go, goes through the same decision as a webhook that says that the pull request was closed. That
//! decision reads the pull request once more, whenever it is made: an hour may pass between what the sweep read and the call.
//!
//! Not all that is to go does: a side may have withdrawn its consent, or the App be gone from the target. Each try is remembered.
//! What was never tried comes first, and what was tried last comes last, so that those that stay keep no other one waiting.

mod order;

use std::time::Duration;

use serde::Serialize;

use super::Pipeline;
use crate::Timestamp;
use crate::delivery::Delivery;
use crate::environment::{Environment, EnvironmentKey, LastSweep, StepEnd};
use crate::event::{Event, EventKind, EventRepository, PullRequest, PullRequestAction, PullRequestState, Sweep};
use crate::name::PullRequestNumber;
use crate::ports::GitHubError;
use crate::ports::store::{Commit, Record, RecordKey, StoreError, Stored, Write};
use crate::pull_request::{PullRequestKey, PullRequestRecord};
use crate::retry::later;

/// How often a step is tried while others change the same records.
const MAX_CONFLICTS: usize = 5;

/// What a sweep looks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SweepOptions {
    /// `SWEEP_LIMIT`: how many may go at once, with those that are going already, whatever wanted them to.
    pub limit: usize,
    /// Only tell what would go: nothing is stored.
    pub dry_run: bool,
    /// Only those whose time is over. GitHub is asked about no other.
    pub only_expired: bool,
    /// How long after a try of which nothing came the next one may be.
    pub again_after: Duration,
}

impl SweepOptions {
    /// What `SWEEP_LIMIT` is where nobody sets it.
    pub const DEFAULT_LIMIT: usize = 10;
    /// How long a sweep that nobody asked for waits after a try of which nothing came: a day.
    pub const DEFAULT_AGAIN_AFTER: Duration = Duration::from_secs(24 * 60 * 60);
}

impl Default for SweepOptions {
    fn default() -> Self {
        let (limit, again_after) = (Self::DEFAULT_LIMIT, Self::DEFAULT_AGAIN_AFTER);
        Self { limit, dry_run: false, only_expired: false, again_after }
    }
}

/// What a sweep found and did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SweepOutcome {
    /// How many environments were looked at.
    pub looked_at: usize,
    /// Those that are to go: they will be decided about.
    pub going: Vec<Swept>,
    /// How many of them are left to their pull requests, which are open.
    pub open: usize,
    /// How many something is wanted of, or under way, or that the last sweep found and nobody has decided about yet.
    pub busy: usize,
    /// Of all that are there, how many were going before.
    pub going_before: usize,
    /// How many are left for now, because nothing came of the last try.
    pub tried: usize,
    /// Those of which GitHub did not tell how their pull request is.
    pub unknown: Vec<SweptUnknown>,
    /// How many actions were given up that had been under way for too long.
    pub overdue: usize,
    /// Whether more were to go than may at once.
    pub limited: bool,
}

/// An environment that is to go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Swept {
    /// The environment.
    pub environment: EnvironmentKey,
    /// The pull request.
    pub pull_request: PullRequestNumber,
    /// Whether its time is over. Else the pull request is closed.
    pub expired: bool,
}

/// An environment of which GitHub did not tell how its pull request is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SweptUnknown {
    /// The environment.
    pub environment: EnvironmentKey,
    /// The pull request.
    pub pull_request: PullRequestNumber,
    /// What GitHub said instead.
    pub why: String,
}

/// What GitHub said about the pull requests of an environment.
#[derive(Default)]
struct Asked {
    closed: Vec<PullRequestState>,
    open: Vec<PullRequestState>,
    unknown: Vec<(PullRequestNumber, String)>,
}

impl Pipeline {
    /// Sweeps: looks at the environments that are there, and lets those go whose pull request is closed, or whose time is over
    /// and which no label keeps.
    ///
    /// # Errors
    /// [`StoreError`]; what was stored before stays.
    pub async fn sweep(&self, options: &SweepOptions, now: Timestamp) -> Result<SweepOutcome, StoreError> {
        let order = self.sweep_order().await?;
        let mut outcome = SweepOutcome { going_before: order.going, ..SweepOutcome::default() };
        for key in &order.keys {
            if outcome.limited {
                break;
            }
            if let Some((environment, version)) = self.environment(key).await? {
                let undecided = order.undecided.contains(key);
                self.look_at((environment, version), undecided, options, &mut outcome, now).await?;
            }
        }
        Ok(outcome)
    }

    async fn look_at(
        &self,
        (mut environment, mut version): (Environment, u64),
        undecided: bool,
        options: &SweepOptions,
        outcome: &mut SweepOutcome,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let expired = environment.expires_at().is_some_and(|at| at <= now);
        if options.only_expired && !expired {
            return Ok(());
        }
        outcome.looked_at += 1;
        if environment.overdue(now).is_some() {
            outcome.overdue += usize::from(options.dry_run || self.give_up(&environment, version, now).await?);
            return Ok(());
        }
        if undecided || environment.wanted.is_some() || environment.under_way.is_some() {
            outcome.busy += 1;
            return Ok(());
        }
        if environment.swept_in_vain().is_some_and(|swept| now < later(swept.at, options.again_after)) {
            outcome.tried += 1;
            return Ok(());
        }
        let asked = self.ask_about(&environment).await;
        let key = environment.key.clone();
        let unknown = |(pull_request, why)| SweptUnknown { environment: key.clone(), pull_request, why };
        let (is_known, kept) = (asked.unknown.is_empty(), asked.open.iter().any(|state| state.keep));
        let mut going: Vec<_> = asked.closed.into_iter().map(|state| (state, false)).collect();
        // A label may keep it: whether one does, all that hold it have to tell.
        if going.is_empty() && expired && is_known && !kept {
            // Of the one that changed last, so that nobody who holds it has wanted anything newer.
            let newest = asked.open.iter().max_by_key(|state| state.updated_at);
            going.extend(newest.cloned().map(|state| (state, true)));
        }
        outcome.unknown.extend(asked.unknown.into_iter().map(unknown));
        outcome.open += usize::from(going.is_empty() && is_known);
        for (state, expired) in going {
            if outcome.going_before + outcome.going.len() >= options.limit {
                outcome.limited = true;
                return Ok(());
            }
            let swept = Swept { environment: key.clone(), pull_request: state.number, expired };
            if options.dry_run || self.let_go(&mut environment, &mut version, state, expired, now).await? {
                outcome.going.push(swept);
            }
        }
        Ok(())
    }

    /// How the pull requests of an environment are now.
    async fn ask_about(&self, environment: &Environment) -> Asked {
        let mut asked = Asked::default();
        for (count, number) in environment.concerned().enumerate() {
            if count >= Sweep::MAX_ASKED {
                asked
                    .unknown
                    .push((number, format!("only {} pull requests are asked about at once", Sweep::MAX_ASKED)));
                break;
            }
            match self.github.pull_request(&environment.source, number).await {
                Ok(Some(state)) if state.number != number => {
                    asked.unknown.push((number, "GitHub answered about another one".to_owned()));
                }
                Ok(Some(state)) if state.open => asked.open.push(state),
                Ok(Some(state)) => asked.closed.push(state),
                Ok(None) => asked.unknown.push((number, "GitHub does not show it to this App".to_owned())),
                Err(error) => {
                    let limited = matches!(error, GitHubError::RateLimited { .. });
                    asked.unknown.push((number, error.to_string()));
                    if limited {
                        break;
                    }
                }
            }
        }
        asked
    }

    /// Stores what no webhook said, to be decided about like one. False where somebody else was faster.
    async fn let_go(
        &self,
        environment: &mut Environment,
        version: &mut u64,
        state: PullRequestState,
        expired: bool,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let (source, origin) = (&environment.source, &environment.origin);
        let key = PullRequestKey { repository: source.id, number: state.number };
        let sweep = Sweep { environment: environment.key.clone(), expired, at: environment.changed_at };
        let pull_request = PullRequest { action: PullRequestAction::Closed, now: state, sweep: Some(sweep) };
        let event = Event {
            version: Event::VERSION,
            repository: EventRepository {
                id: source.id,
                name: source.name.clone(),
                default_branch: origin.default_branch.clone(),
                private: origin.private,
            },
            installation: origin.installation,
            sender: None,
            kind: EventKind::PullRequest(pull_request.clone()),
            part: None,
        };
        let prefix = format!("sweep-{}-{}", key.number, now.as_millisecond().unsigned_abs());
        let Some(delivery) = Delivery::made_here(event, &prefix, now) else { return Ok(false) };
        let (found, delivered) = (environment.changed_at, delivery.key.clone());
        environment.swept = Some(LastSweep { at: now, found, delivery: delivered });
        for _ in 0..MAX_CONFLICTS {
            let swept = Record::Environment(Box::new(environment.clone()));
            let mut writes = vec![
                Write { record: Record::Delivery(Box::new(delivery.clone())), expected: None },
                Write { record: swept, expected: Some(*version) },
            ];
            if !expired {
                writes.push(self.closed(key, &pull_request, now).await?);
            }
            match self.store.commit(Commit { writes, facts: vec![delivery.first_fact()] }).await {
                Ok(()) => {
                    *version += 1;
                    return Ok(true);
                }
                Err(StoreError::Conflict(RecordKey::PullRequest(_))) => {}
                Err(StoreError::Conflict(_)) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    /// Remembers that a pull request is closed, as a webhook would have: what it wanted before and comes late is not wanted.
    async fn closed(
        &self,
        key: PullRequestKey,
        pull_request: &PullRequest,
        now: Timestamp,
    ) -> Result<Write, StoreError> {
        let stored = self.store.load(&[RecordKey::PullRequest(key)]).await?.into_iter().next().flatten();
        let expected = stored.as_ref().map(|stored| stored.version);
        let mut record = match stored.map(|Stored { record, .. }| record) {
            Some(Record::PullRequest(record)) => record,
            _ => Box::new(PullRequestRecord::new(key, now)),
        };
        record.see(pull_request, now);
        Ok(Write { record: Record::PullRequest(record), expected })
    }

    /// Gives up an action whose end nobody saw. False where somebody else was faster.
    async fn give_up(&self, environment: &Environment, version: u64, now: Timestamp) -> Result<bool, StoreError> {
        let Some(step) = environment.overdue(now) else { return Ok(false) };
        let loaded = self.store.load(&[RecordKey::Dispatch(step.dispatch.clone())]).await?.into_iter().next().flatten();
        let Some(Record::Dispatch(dispatch)) = loaded.map(|stored| stored.record) else {
            // Its dispatch was deleted when its retention ended: there is nobody left to tell.
            let mut environment = environment.clone();
            environment.end(&step.dispatch.clone(), StepEnd::Unseen, now);
            let write = Write { record: Record::Environment(Box::new(environment)), expected: Some(version) };
            return committed(self.store.commit(Commit { writes: vec![write], facts: Vec::new() }).await);
        };
        let written = self.environment_ends(&dispatch, StepEnd::Unseen, now).await?;
        committed(self.store.commit(Commit { writes: written.writes, facts: written.facts }).await)
    }
}

fn committed(result: Result<(), StoreError>) -> Result<bool, StoreError> {
    match result {
        Ok(()) => Ok(true),
        Err(StoreError::Conflict(_)) => Ok(false),
        Err(error) => Err(error),
    }
}
