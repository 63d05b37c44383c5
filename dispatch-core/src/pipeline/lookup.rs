//! Decides, and looks up what the decision asks for: in the store, in memory, and last at GitHub.
//!
//! What GitHub is asked for one event, once its policy files are known and unchanged: 1 conditional read where no rule
//! matches, 0 where the source has no file, 2 conditional reads for one allowed target, and 1 comparison where no push of
//! that commit was seen. Where an owner has limits, 1 conditional read more for each owner.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt, stream};

use super::Pipeline;
use crate::Timestamp;
use crate::decide::{
    CheckedDispatch, CommitOnBranch, Decided, Known, Lookup, Plan, PolicyAnswer, PolicyFile, Skipped, decide,
};
use crate::delivery::Delivery;
use crate::event::{Event, EventKind, PullRequestState};
use crate::name::{Branch, CheckId, CommitSha, Login, PullRequestNumber, Repository, TeamName};
use crate::notice::{About, CheckOrigin, NoticeKey};
use crate::ports::github::{GitHubError, RepositoryRef};
use crate::ports::pull_requests::PermissionAnswer;
use crate::ports::store::{Commit, HeadKey, Record, RecordKey, StoreError, Stored, Write};
use crate::pull_request::PullRequestKey;
use crate::reason::Reason;
use crate::retry::later;

/// How many reads one event makes at the same time. GitHub allows 100 concurrent requests to all of an App.
const CONCURRENT_READS: usize = 16;
/// How many times one decision may ask for more. It asks for the source's file, the targets' files, edges and lanes, the
/// root's budget, and the commit; more than this is a mistake, and nothing starts because of a mistake.
const MAX_ROUNDS: usize = 16;
/// Who gives a command waits for it: after a quarter of an hour he has done something else.
const COMMAND_IS_WANTED_FOR: Duration = Duration::from_secs(15 * 60);

/// How long a run counts as under way whose end nobody told: webhooks get lost.
const FLIES_AT_MOST: Duration = Duration::from_secs(24 * 60 * 60);

/// Why there is no decision yet.
pub(super) enum LookupError {
    /// The store.
    Store(StoreError),
    /// GitHub.
    GitHub(GitHubError),
}

impl From<StoreError> for LookupError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<GitHubError> for LookupError {
    fn from(error: GitHubError) -> Self {
        Self::GitHub(error)
    }
}

/// A question that takes more than one look into the store.
enum Question {
    Policy(Repository),
    Commit(Branch, CommitSha),
    PullRequestState(PullRequestNumber),
    Permission(Login),
    TeamMember(TeamName, Login),
    Check(CheckId, Option<(CheckOrigin, CommitSha)>),
}

enum Answer {
    Policy(Repository, PolicyAnswer),
    Commit(CommitOnBranch),
    PullRequestState(PullRequestNumber, Option<PullRequestState>),
    Permission(Login, Option<PermissionAnswer>),
    TeamMember((TeamName, Login), bool),
    Check(CheckId, Option<Box<CheckedDispatch>>),
    /// GitHub refuses to tell, and says why: a no.
    Refused(Lookup, String),
}

impl Pipeline {
    /// Decides about a delivery's event, with everything that the decision asks for. Answers with what it learned, too.
    pub(super) async fn decide(&self, delivery: &Delivery, now: Timestamp) -> Result<(Plan, Known), LookupError> {
        let (event, mut known) = (&delivery.event, Known::default());
        if let Some(skipped) = self.too_old(delivery, now) {
            return Ok((Plan::skipped(skipped), known));
        }
        for _ in 0..MAX_ROUNDS {
            match decide(event, &known, &self.guardrails) {
                Decided::Plan(plan) => return Ok((plan, known)),
                Decided::Need(lookups) => self.look_up(event, lookups, &mut known, now).await?,
            }
        }
        let problem = format!("the decision was not complete after {MAX_ROUNDS} rounds of reading");
        Err(GitHubError::Unavailable(problem).into())
    }

    /// Why a delivery's event is not wanted any more. The decision itself knows no time. The age counts from the run's end,
    /// the pull request's change or the command, or from when the operator said that it is wanted nevertheless.
    pub(super) fn too_old(&self, delivery: &Delivery, now: Timestamp) -> Option<Skipped> {
        let (what, happened_at, wanted_for) = match &delivery.event.kind {
            EventKind::WorkflowRun(run) => ("the run ended", run.updated_at, self.max_event_age),
            EventKind::PullRequest(pull_request) if pull_request.sweep.is_none() => {
                ("the pull request changed", pull_request.now.updated_at, self.max_event_age)
            }
            EventKind::Command(command) => {
                ("the command was given", command.created_at, self.max_event_age.min(COMMAND_IS_WANTED_FOR))
            }
            EventKind::PullRequest(_)
            | EventKind::Push(_)
            | EventKind::RunProgress(_)
            | EventKind::CheckRerequest(_) => {
                return None;
            }
        };
        let wanted_at = delivery.renewed_at.map_or(happened_at, |renewed| renewed.max(happened_at));
        (now > later(wanted_at, wanted_for)).then(|| {
            let hours = wanted_for.as_secs_f64() / 3_600.0;
            let message = format!("{what} at {happened_at}, and what is older than {hours} h starts nothing");
            Skipped { reason: Reason::EventTooOld, message, outbound_rule: None, answer: false }
        })
    }

    pub(super) async fn look_up(
        &self,
        event: &Event,
        lookups: BTreeSet<Lookup>,
        known: &mut Known,
        now: Timestamp,
    ) -> Result<(), LookupError> {
        let mut questions = Vec::new();
        let keys: Vec<_> = lookups.iter().filter_map(|lookup| record_key(event, lookup)).collect();
        let stored = if keys.is_empty() { Vec::new() } else { self.store.load(&keys).await? };
        let mut stored = stored.into_iter();
        for lookup in lookups {
            match lookup {
                Lookup::Policy(repository) => questions.push(Question::Policy(repository)),
                Lookup::LimitsSeen(repository) => {
                    _ = known.limits_seen.insert(repository, stored.next().flatten().is_some())
                }
                Lookup::Chain(run) => _ = known.chains.insert(run, chain(stored.next())),
                Lookup::Edge(key) => {
                    _ = known.edges.insert(key, stored.next().flatten().and_then(|stored| stored.record.edge()))
                }
                Lookup::Lane(key) => {
                    _ = known.lanes.insert(key, stored.next().flatten().and_then(|stored| stored.record.lane()))
                }
                Lookup::RootSpent(root) => {
                    let spent = match stored.next().flatten().map(|stored| stored.record) {
                        Some(Record::Root(_, budget)) => budget.spent_by_others(&event.identity()),
                        _ => 0,
                    };
                    known.root_spent.insert(root, spent);
                }
                Lookup::EdgeUses(target) => {
                    let uses = match stored.next().flatten().map(|stored| stored.record) {
                        Some(Record::Target(_, ledger)) => ledger.uses_by(&event.repository.name, now),
                        _ => 0,
                    };
                    known.edge_uses.insert(target, uses);
                }
                Lookup::PullRequest(number) => {
                    let record = match stored.next().flatten().map(|stored| stored.record) {
                        Some(Record::PullRequest(record)) => Some(*record),
                        _ => None,
                    };
                    known.pull_requests.insert(number, record);
                }
                Lookup::Environment(key) => {
                    let environment = match stored.next().flatten().map(|stored| stored.record) {
                        Some(Record::Environment(environment)) => Some(*environment),
                        _ => None,
                    };
                    known.environments.insert(key, environment);
                }
                Lookup::Check(id) => questions.push(Question::Check(id, origin(stored.next()))),
                Lookup::PullRequestState(number) => questions.push(Question::PullRequestState(number)),
                Lookup::Permission(login) => questions.push(Question::Permission(login)),
                Lookup::TeamMember(team, login) => questions.push(Question::TeamMember(team, login)),
                Lookup::CommitOnBranch { branch, sha, .. } => match stored.next().flatten() {
                    Some(_) => known.commit_on_branch = Some(CommitOnBranch::Proven),
                    None => questions.push(Question::Commit(branch, sha)),
                },
            }
        }
        // All are asked, also when one fails: what was read is remembered, and asking again costs less.
        let asked = questions.into_iter().map(|question| self.ask(event, question, now).boxed());
        let answers: Vec<_> = stream::iter(asked).buffer_unordered(CONCURRENT_READS).collect().await;
        for answer in answers {
            match answer? {
                Answer::Policy(repository, answer) => _ = known.policies.insert(repository, answer),
                Answer::Commit(answer) => known.commit_on_branch = Some(answer),
                Answer::PullRequestState(number, answer) => _ = known.pull_request_states.insert(number, answer),
                Answer::Permission(login, answer) => _ = known.permissions.insert(login, answer),
                Answer::TeamMember(member, answer) => _ = known.team_members.insert(member, answer),
                Answer::Check(id, answer) => _ = known.checks.insert(id, answer.map(|dispatch| *dispatch)),
                Answer::Refused(lookup, why) => known.refuse(lookup, why),
            }
        }
        self.remember_limits(known, now).await
    }

    /// Stores that limits were seen, before anything is decided with them: from now on, where they cannot be read, nothing
    /// is allowed.
    async fn remember_limits(&self, known: &mut Known, now: Timestamp) -> Result<(), LookupError> {
        let Known { limits_seen, policies, .. } = known;
        for (repository, seen) in limits_seen.iter_mut().filter(|(_, seen)| !**seen) {
            let has_limits = |answer: &PolicyAnswer| match &answer.file {
                PolicyFile::Found { policy, .. } => policy.limits().is_some(),
                _ => false,
            };
            if policies.get(repository).is_some_and(has_limits) {
                let write = Write { record: Record::LimitsSeen(repository.clone(), now), expected: None };
                match self.store.commit(Commit { writes: vec![write], facts: Vec::new() }).await {
                    Ok(()) | Err(StoreError::Conflict(_)) => *seen = true,
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }

    async fn ask(&self, event: &Event, question: Question, now: Timestamp) -> Result<Answer, LookupError> {
        let source = || RepositoryRef { id: event.repository.id, name: event.repository.name.clone() };
        match question {
            Question::Policy(repository) => {
                let id = (repository == event.repository.name).then_some(event.repository.id);
                let answer = match self.policy(&repository, id, now).await {
                    // Of another repository it is an answer: consent that may not be read is none.
                    Err(error @ GitHubError::Refused { .. }) if id.is_none() => {
                        let why = final_refusal(error)?;
                        PolicyAnswer { repository: None, file: PolicyFile::Refused(why) }
                    }
                    answer => answer?,
                };
                Ok(Answer::Policy(repository, answer))
            }
            Question::Commit(branch, sha) => {
                let proven = self.github.commit_on_branch(&source(), &branch, &sha).await?;
                Ok(Answer::Commit(if proven { CommitOnBranch::Proven } else { CommitOnBranch::NotProven }))
            }
            Question::PullRequestState(number) => Ok(match told(self.github.pull_request(&source(), number).await)? {
                Ok(state) => Answer::PullRequestState(number, state),
                Err(why) => Answer::Refused(Lookup::PullRequestState(number), why),
            }),
            Question::Permission(login) => Ok(match told(self.github.permission(&source(), &login).await)? {
                Ok(permission) => Answer::Permission(login, permission),
                Err(why) => Answer::Refused(Lookup::Permission(login), why),
            }),
            Question::TeamMember(team, login) => {
                Ok(match told(self.github.is_team_member(&source(), &team, &login).await)? {
                    Ok(is_member) => Answer::TeamMember((team, login), is_member),
                    Err(why) => Answer::Refused(Lookup::TeamMember(team, login), why),
                })
            }
            Question::Check(id, origin) => {
                let dispatch = match origin {
                    Some(origin) => self.checked_dispatch(origin, now).await?,
                    None => None,
                };
                Ok(Answer::Check(id, dispatch.map(Box::new)))
            }
        }
    }

    /// What a check run tells of, as it is stored.
    async fn checked_dispatch(
        &self,
        (origin, head_sha): (CheckOrigin, CommitSha),
        now: Timestamp,
    ) -> Result<Option<CheckedDispatch>, StoreError> {
        let mut keys = vec![RecordKey::Delivery(origin.delivery)];
        keys.extend(origin.dispatch.map(RecordKey::Dispatch));
        let mut loaded = self.store.load(&keys).await?.into_iter().map(|stored| stored.map(|stored| stored.record));
        let Some(Some(Record::Delivery(delivery))) = loaded.next() else { return Ok(None) };
        let in_flight = match loaded.next() {
            Some(Some(Record::Dispatch(dispatch))) => {
                dispatch.is_in_flight() && now < later(dispatch.decided_at, FLIES_AT_MOST)
            }
            _ => false,
        };
        let (delivery, event) = (delivery.key, delivery.event);
        Ok(Some(CheckedDispatch { delivery, event, target: origin.target, head_sha, in_flight }))
    }
}

/// The record that may hold the answer.
fn record_key(event: &Event, lookup: &Lookup) -> Option<RecordKey> {
    match lookup {
        Lookup::Policy(_) => None,
        Lookup::LimitsSeen(repository) => Some(RecordKey::LimitsSeen(repository.clone())),
        Lookup::Chain(run) => Some(RecordKey::Run(*run)),
        Lookup::RootSpent(root) => Some(RecordKey::Root(root.clone())),
        Lookup::EdgeUses(target) => Some(RecordKey::Target(target.clone())),
        Lookup::PullRequest(number) => {
            Some(RecordKey::PullRequest(PullRequestKey { repository: event.repository.id, number: *number }))
        }
        Lookup::Environment(key) => Some(RecordKey::Environment(key.clone())),
        Lookup::Check(id) => Some(RecordKey::Notice(NoticeKey::Check(id.clone()))),
        Lookup::PullRequestState(_) | Lookup::Permission(_) | Lookup::TeamMember(..) => None,
        Lookup::Edge(key) => Some(RecordKey::Edge(key.clone())),
        Lookup::Lane(key) => Some(RecordKey::Lane(key.clone())),
        Lookup::CommitOnBranch { branch, sha, .. } => {
            let repository = event.repository.id;
            Some(RecordKey::Head(HeadKey { repository, branch: branch.clone(), sha: sha.clone() }))
        }
    }
}

fn chain(stored: Option<Option<Stored>>) -> Option<crate::chain::Chain> {
    match stored.flatten()?.record {
        Record::Run(_, run) => Some(run.chain),
        _ => None,
    }
}

/// What the stored check tells of, and the commit that it is shown on.
fn origin(stored: Option<Option<Stored>>) -> Option<(CheckOrigin, CommitSha)> {
    match stored.flatten()?.record {
        Record::Notice(notice) => match notice.about {
            About::Check(check) => Some((check.origin?, check.head_sha)),
            About::Comment(_) | About::Reaction { .. } => None,
        },
        _ => None,
    }
}

/// A refusal tells nothing, and nothing told is a no. What may be answered later is waited for.
fn told<T>(answer: Result<T, GitHubError>) -> Result<Result<T, String>, GitHubError> {
    answer.map_or_else(|error| final_refusal(error).map(Err), |answer| Ok(Ok(answer)))
}

/// Why GitHub will not tell, however often it is asked; else the error.
fn final_refusal(error: GitHubError) -> Result<String, GitHubError> {
    match error {
        // 401 is about the App's own token or key, not about what was asked.
        GitHubError::Refused { status: 401, .. } => Err(error),
        GitHubError::Refused { .. } | GitHubError::NotInstalled(_) => Ok(error.to_string()),
        error => Err(error),
    }
}
