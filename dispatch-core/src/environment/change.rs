//! How an environment changes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Environment, EnvironmentOrigin, EnvironmentState, EnvironmentStep, EnvironmentUse, LastSweep};
use crate::Timestamp;
use crate::dispatch::DispatchKey;
use crate::name::PullRequestNumber;
use crate::policy::EnvironmentAction;
use crate::ports::github::RepositoryRef;
use crate::retry::later;

/// Who leaves an environment that is to be destroyed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaves {
    /// The pull request for which it is destroyed. Nobody else may hold it.
    ThePullRequest,
    /// Everybody, once it is gone: its time is over. Until then, they hold it.
    Everybody,
}

/// Why a wish is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotTaken {
    /// Another repository has the name.
    NameTaken,
    /// The pull request does not hold it.
    NotHeld,
    /// Other pull requests hold it.
    StillHeld,
    /// Something newer was wanted for the pull request before this arrived.
    Superseded,
}

/// Whether a dispatch may change an environment now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Now.
    Go,
    /// Another action is under way. It ends at that time at the latest, and usually much sooner.
    Wait {
        /// At the latest.
        until: Timestamp,
    },
    /// Never: something newer is wanted, or it is gone already.
    Superseded,
}

/// How an action on an environment ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepEnd {
    /// Its run ended well.
    Done,
    /// Its run did not end well.
    Failed,
    /// No run of it was seen, or its end was not: what is there is not known.
    Unseen,
    /// It certainly did nothing, and will not.
    NotDone,
    /// It certainly did nothing yet, and is tried again later.
    PutBack,
}

impl Environment {
    /// How long an action may be under way. A job on a runner of GitHub ends after 6 hours at the latest; after that, the
    /// next action does not wait for it any more.
    pub const ACTION_ENDS_WITHIN: Duration = Duration::from_secs(6 * 60 * 60);
    /// Of how many pull requests that are gone the newest wish is remembered.
    pub const MAX_GONE: usize = 100;

    /// The environment after a plan wished something of it: to be created or updated, or to be destroyed. `stored` is its
    /// record, where there is one. The wish may be older than one that waits: then it is taken as who holds the environment,
    /// and its dispatch will find that it was superseded.
    ///
    /// # Errors
    /// Why it is not taken; nothing changes then.
    pub fn wish(
        stored: Option<Self>,
        (source, origin): (&RepositoryRef, &EnvironmentOrigin),
        wish: &EnvironmentUse,
        leaves: Leaves,
        dispatch: &DispatchKey,
        now: Timestamp,
    ) -> Result<Self, NotTaken> {
        let step = EnvironmentStep { action: wish.action, dispatch: dispatch.clone(), at: wish.at, since: now };
        let ours = |environment: &Self| environment.source.id == source.id;
        match wish.action {
            EnvironmentAction::Create => {
                let mut environment = match stored {
                    Some(environment) if ours(&environment) => environment,
                    Some(environment) if environment.state != EnvironmentState::Destroyed => {
                        return Err(NotTaken::NameTaken);
                    }
                    other => {
                        let facts = other.map_or(0, |gone| gone.facts);
                        Self::new(source, origin, wish, facts, now)
                    }
                };
                environment.take_creation(wish, step, now)?;
                (environment.source, environment.origin) = (source.clone(), origin.clone());
                Ok(environment)
            }
            EnvironmentAction::Destroy => {
                let mut environment = stored.filter(ours).ok_or(NotTaken::NotHeld)?;
                environment.take_destruction(wish, leaves, step, now)?;
                Ok(environment)
            }
        }
    }

    fn new(
        source: &RepositoryRef,
        origin: &EnvironmentOrigin,
        wish: &EnvironmentUse,
        facts: u32,
        now: Timestamp,
    ) -> Self {
        Self {
            key: wish.key.clone(),
            source: source.clone(),
            origin: origin.clone(),
            description: wish.description.clone(),
            holders: BTreeSet::new(),
            leaving: BTreeSet::new(),
            seen: BTreeMap::new(),
            state: EnvironmentState::Creating,
            settled: EnvironmentState::Destroyed,
            wanted: None,
            under_way: None,
            ended: None,
            swept: None,
            newest_begun: None,
            keep: wish.keep,
            created_at: now,
            changed_at: now,
            facts: facts.max(u32::try_from(now.as_second()).unwrap_or(0)),
        }
    }

    fn take_creation(&mut self, wish: &EnvironmentUse, step: EnvironmentStep, now: Timestamp) -> Result<(), NotTaken> {
        let holds = self.holders.contains(&wish.pull_request);
        // Where a wish to create and one to destroy have the same time, the environment is destroyed.
        if self.seen.get(&wish.pull_request).is_some_and(|seen| *seen > wish.at || *seen == wish.at && !holds) {
            return Err(NotTaken::Superseded);
        }
        self.holders.insert(wish.pull_request);
        self.leaving.remove(&wish.pull_request);
        self.see(wish.pull_request, wish.at);
        let outdone = match &self.wanted {
            Some(waiting) => waiting.action == EnvironmentAction::Create && waiting.at > wish.at,
            None => self.is_made_newer_than(wish.at),
        };
        if !outdone {
            // Who waits to be destroyed and is held again, is not destroyed: nobody leaves any more.
            self.wanted = Some(step);
        }
        if !self.is_being_destroyed() {
            self.leaving.clear();
        }
        self.changed_at = now;
        self.show();
        Ok(())
    }

    fn take_destruction(
        &mut self,
        wish: &EnvironmentUse,
        leaves: Leaves,
        step: EnvironmentStep,
        now: Timestamp,
    ) -> Result<(), NotTaken> {
        let number = wish.pull_request;
        if !self.concerns(number) {
            return Err(NotTaken::NotHeld);
        }
        let newer = |seen: Option<&Timestamp>| seen.is_some_and(|seen| *seen > wish.at);
        match leaves {
            Leaves::ThePullRequest => {
                if newer(self.seen.get(&number)) {
                    return Err(NotTaken::Superseded);
                }
                if self.others_hold(number) {
                    return Err(NotTaken::StillHeld);
                }
            }
            // Whoever wanted it since then, wants it for longer.
            Leaves::Everybody => {
                if self.holders.iter().any(|holder| newer(self.seen.get(holder))) {
                    return Err(NotTaken::Superseded);
                }
            }
        }
        let whose: Vec<_> = self.holders.iter().copied().chain([number]).collect();
        for number in whose {
            self.see(number, wish.at);
        }
        if leaves == Leaves::ThePullRequest {
            self.holders.clear();
            self.leaving.insert(number);
        }
        self.wanted = Some(step);
        self.changed_at = now;
        self.show();
        Ok(())
    }

    /// A pull request does not want it any more, and others do. False where nothing changes: it did not hold it, or has
    /// wanted it again since.
    pub fn release(&mut self, pull_request: PullRequestNumber, at: Timestamp) -> bool {
        if self.seen.get(&pull_request).is_some_and(|seen| *seen > at) || !self.concerns(pull_request) {
            return false;
        }
        self.holders.remove(&pull_request);
        self.leaving.remove(&pull_request);
        self.see(pull_request, at);
        true
    }

    /// Whether a dispatch may do its action now.
    #[must_use]
    pub fn turn(&self, wish: &EnvironmentUse, dispatch: &DispatchKey, now: Timestamp) -> Turn {
        if self.is_superseded(wish, dispatch) {
            return Turn::Superseded;
        }
        match &self.under_way {
            Some(step) if step.dispatch != *dispatch && now < Self::ends_by(step) => {
                Turn::Wait { until: Self::ends_by(step) }
            }
            _ => Turn::Go,
        }
    }

    /// When the action ended that a dispatch waited for. None where it did not wait for one.
    #[must_use]
    pub fn turn_came_at(&self, dispatch: &DispatchKey) -> Option<Timestamp> {
        let waits = self.wanted.as_ref().filter(|step| step.dispatch == *dispatch)?;
        (self.changed_at > waits.since && self.under_way.is_none()).then_some(self.changed_at)
    }

    /// The action of a dispatch begins: its turn has come. An action that has been under way for too long is given up.
    pub fn begin(&mut self, wish: &EnvironmentUse, dispatch: &DispatchKey, now: Timestamp) {
        if let Some(step) = self.under_way.take() {
            self.settled = if step.dispatch == *dispatch { self.settled } else { EnvironmentState::Failed };
        }
        self.wanted.take_if(|step| step.dispatch == *dispatch);
        self.ended = None;
        match wish.action {
            EnvironmentAction::Create => {
                (self.description, self.keep) = (wish.description.clone(), wish.keep);
                self.newest_begun = self.newest_begun.max(Some(wish.at));
            }
            // Whoever holds it now, holds what goes; whoever wants it from now on, wants another one.
            EnvironmentAction::Destroy => self.leaving.extend(&self.holders),
        }
        let dispatch = dispatch.clone();
        self.under_way = Some(EnvironmentStep { action: wish.action, dispatch, at: wish.at, since: now });
        self.changed_at = now;
        self.show();
    }

    /// The action of a dispatch ended, or will never begin. A run that people run again ends once more, and that counts
    /// while nothing else has begun. False where nothing changes: it was superseded, or given up.
    pub fn end(&mut self, dispatch: &DispatchKey, end: StepEnd, now: Timestamp) -> bool {
        let its = |step: &mut EnvironmentStep| step.dispatch == *dispatch;
        let of_a_run = matches!(end, StepEnd::Done | StepEnd::Failed);
        let ended_again = |ended: &mut Option<EnvironmentStep>| ended.take_if(|step| of_a_run && its(step));
        if let Some(step) = self.under_way.take_if(its).or_else(|| ended_again(&mut self.ended)) {
            self.settle(step, end);
        } else if end == StepEnd::PutBack || self.wanted.take_if(its).is_none() {
            return false;
        }
        self.changed_at = now;
        self.show();
        true
    }

    fn settle(&mut self, step: EnvironmentStep, end: StepEnd) {
        match (end, step.action) {
            (StepEnd::Done, EnvironmentAction::Create) => self.settled = EnvironmentState::Live,
            (StepEnd::Done, EnvironmentAction::Destroy) => {
                let leaving = std::mem::take(&mut self.leaving);
                self.holders.retain(|holder| !leaving.contains(holder));
                self.settled = EnvironmentState::Destroyed;
                // Whatever else that run does: what is gone is not there again.
                return;
            }
            (StepEnd::Failed | StepEnd::Unseen, _) => self.settled = EnvironmentState::Failed,
            (StepEnd::NotDone, _) => return,
            (StepEnd::PutBack, _) => {
                // What was wanted meanwhile is newer.
                self.wanted.get_or_insert(step);
                return;
            }
        }
        self.ended = Some(step);
    }

    /// The action under way, where it has been so for too long to be waited for.
    #[must_use]
    pub fn overdue(&self, now: Timestamp) -> Option<&EnvironmentStep> {
        self.under_way.as_ref().filter(|step| Self::ends_by(step) <= now)
    }

    /// The last sweep that wanted it to go, where nothing came of that: it has not changed since.
    #[must_use]
    pub fn swept_in_vain(&self) -> Option<&LastSweep> {
        self.swept.as_ref().filter(|swept| self.changed_at == swept.found)
    }

    /// When it is to be destroyed although pull requests hold it; None: never, or something is under way or to be done.
    #[must_use]
    pub fn expires_at(&self) -> Option<Timestamp> {
        let rests = self.wanted.is_none() && self.under_way.is_none() && self.settled != EnvironmentState::Destroyed;
        self.description.ttl.filter(|_| rests).map(|ttl| later(self.changed_at, ttl))
    }

    /// Whether a pull request holds it, or it is to be destroyed for it.
    #[must_use]
    pub fn concerns(&self, pull_request: PullRequestNumber) -> bool {
        self.holders.contains(&pull_request) || self.leaving.contains(&pull_request)
    }

    /// The pull requests that hold it, and those for which it is to be destroyed; the lowest number first.
    pub fn concerned(&self) -> impl Iterator<Item = PullRequestNumber> {
        self.holders.union(&self.leaving).copied()
    }

    /// Whether other pull requests hold it.
    #[must_use]
    pub fn others_hold(&self, pull_request: PullRequestNumber) -> bool {
        self.holders.iter().any(|holder| *holder != pull_request)
    }

    /// Whether what is wanted next, or under way, is the action of this dispatch.
    #[must_use]
    pub fn is_changed_by(&self, dispatch: &DispatchKey) -> bool {
        [&self.wanted, &self.under_way].into_iter().flatten().any(|step| step.dispatch == *dispatch)
    }

    /// Whether it is to be destroyed, or that is under way.
    #[must_use]
    pub fn is_being_destroyed(&self) -> bool {
        let destroys = |step: &Option<EnvironmentStep>| {
            step.as_ref().is_some_and(|step| step.action == EnvironmentAction::Destroy)
        };
        destroys(&self.wanted) || destroys(&self.under_way)
    }

    fn is_superseded(&self, wish: &EnvironmentUse, dispatch: &DispatchKey) -> bool {
        if self.seen.get(&wish.pull_request).is_some_and(|seen| *seen > wish.at) {
            return true;
        }
        if self.is_changed_by(dispatch) {
            return false;
        }
        match wish.action {
            _ if self.wanted.is_some() => true,
            EnvironmentAction::Create => !self.holders.contains(&wish.pull_request) || self.is_made_newer_than(wish.at),
            EnvironmentAction::Destroy => !self.holders.is_empty() || self.settled == EnvironmentState::Destroyed,
        }
    }

    /// Whether it is there, or is being made, as somebody wanted it later than that.
    fn is_made_newer_than(&self, at: Timestamp) -> bool {
        let made = match &self.under_way {
            Some(step) => step.action == EnvironmentAction::Create,
            None => self.settled != EnvironmentState::Destroyed,
        };
        made && self.newest_begun.is_some_and(|begun| begun > at)
    }

    fn see(&mut self, pull_request: PullRequestNumber, at: Timestamp) {
        let seen = self.seen.entry(pull_request).or_insert(at);
        *seen = at.max(*seen);
        let gone = |number: &PullRequestNumber| !self.holders.contains(number) && !self.leaving.contains(number);
        let mut gone: Vec<_> = self.seen.iter().filter(|(number, _)| gone(number)).map(|(n, at)| (*at, *n)).collect();
        gone.sort_unstable();
        let too_many = gone.len().saturating_sub(Self::MAX_GONE);
        for (_, number) in gone.into_iter().take(too_many) {
            self.seen.remove(&number);
        }
    }

    fn ends_by(step: &EnvironmentStep) -> Timestamp {
        later(step.since, Self::ACTION_ENDS_WITHIN)
    }

    /// Brings the state up to date with what is under way, wanted and settled.
    fn show(&mut self) {
        let is_there = self.settled != EnvironmentState::Destroyed;
        let begun = self.under_way.as_ref().map(|step| step.action);
        self.state = match (begun, self.wanted.as_ref().map(|step| step.action)) {
            (Some(EnvironmentAction::Create), _) if is_there => EnvironmentState::Updating,
            (Some(EnvironmentAction::Create), _) => EnvironmentState::Creating,
            (Some(EnvironmentAction::Destroy), _) => EnvironmentState::Destroying,
            (None, Some(EnvironmentAction::Create)) if !is_there => EnvironmentState::Creating,
            (None, _) => self.settled,
        };
    }
}
