//! From facts to read models. A page reads a read model by key; nothing is ever summed up in a request.
//!
//! | view | partition | one row for each | body |
//! |---|---|---|---|
//! | [`DELIVERIES`] | [`EVERYTHING`] | delivery, by the time it was accepted | [`DeliveryRow`] |
//! | [`PARKED`] | [`EVERYTHING`] | delivery or dispatch that was given up and waits for the operator | [`ParkedRow`] |
//! | [`ENVIRONMENTS`] | [`EVERYTHING`] | environment, by the time it was wanted first | [`EnvironmentRow`] |
//! | [`ENVIRONMENTS`] | [`PRESENT`] | environment that is not destroyed | [`EnvironmentRow`] |
//! | [`EDGES`] | [`EVERYTHING`] | edge between repositories, by its last use; also [`BY_NAME`] | [`EdgeRow`] |
//! | [`JOURNEY`] | [`journey_partition`] of a delivery | fact about it or its dispatches, by time | [`Fact`] |
//!
//! Next to the rows there are [`Counter`]s. Every update comes from one fact alone, so that facts may arrive in any order.

mod edges;

use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

pub use self::edges::{BY_NAME, EDGES, EdgeOutcome, EdgeRow, Happened, Tally, UsedEdge};
use crate::Timestamp;
use crate::decide::{Plan, Verdict};
use crate::delivery::{DeliveryKey, DeliverySummary};
use crate::environment::{Environment, EnvironmentKey, EnvironmentState};
use crate::fact::{Fact, FactBody, Subject};
use crate::name::{PullRequestNumber, Repository};
use crate::policy::EnvironmentAction;
use crate::reason::Reason;

/// The view with one row for each delivery, newest first. Its only partition is [`EVERYTHING`].
pub const DELIVERIES: &str = "deliveries";
/// The view with one row for each delivery or dispatch that was given up and that nobody has acted on, newest first. Its
/// only partition is [`EVERYTHING`].
pub const PARKED: &str = "parked";
/// The view with one row for each fact of a delivery's journey. Its partitions are [`journey_partition`]s.
pub const JOURNEY: &str = "journey";
/// The view with one row for each environment, newest first. Its partitions are [`EVERYTHING`] and [`PRESENT`]. A row of an
/// environment that is not destroyed is kept, however old it is.
pub const ENVIRONMENTS: &str = "environments";
/// The partition of a view that has only one.
pub const EVERYTHING: &str = "all";
/// The partition of [`ENVIRONMENTS`] with those that are not destroyed.
pub const PRESENT: &str = "present";

/// The partition of [`JOURNEY`] that holds one delivery's way, from its last fact back to its first.
#[must_use]
pub fn journey_partition(delivery: &DeliveryKey) -> String {
    delivery.to_string()
}

/// What a fact changes in the read models.
#[must_use]
pub fn project(fact: &Fact) -> Vec<Update> {
    let mut updates: Vec<_> = counts(&fact.body).into_iter().map(|(counter, by)| Update::count(counter, by)).collect();
    updates.extend(delivery_row(fact).and_then(|row| {
        let sort = format!("{}~{}", sortable(row.delivery.received_at), fact.subject.delivery);
        ViewRow::new(DELIVERIES, EVERYTHING.to_owned(), sort, u64::from(fact.sequence), &row).map(Update::Put)
    }));
    updates.extend(parked_update(fact));
    updates.extend(environment_updates(fact));
    updates.extend(edges::tallies(fact).into_iter().map(Update::Tally));
    // Where times are equal, what happened to the delivery comes before what happened to its dispatches.
    let about = u8::from(fact.subject.dispatch.is_some() || fact.subject.environment.is_some());
    let sort = format!("{}~{about}~{:010}~{}", sortable(fact.time), fact.sequence, fact.subject);
    updates.extend(ViewRow::new(JOURNEY, journey_partition(&fact.subject.delivery), sort, 0, fact).map(Update::Put));
    updates
}

/// One change of a read model. A store applies the updates of a fact exactly once, in whatever order facts arrive.
#[derive(Debug, Clone, PartialEq)]
pub enum Update {
    /// Counts a counter up.
    Count {
        /// The counter's name.
        counter: String,
        /// By how much.
        by: u64,
    },
    /// Puts a row, unless a row of a higher `revision` is there or was removed.
    Put(ViewRow),
    /// The same, and retention leaves the row, however old it is, until another takes its place or it is removed.
    Keep(ViewRow),
    /// Adds to the row of an edge: the store reads the row at [`Tally::sort`] of [`BY_NAME`], and writes what
    /// [`Tally::add_to`] makes of it in the same step.
    Tally(Tally),
    /// Removes a row, unless a row of a higher `revision` is there. What is put later with a lower one does not come back.
    Remove {
        /// The read model.
        view: &'static str,
        /// The part of it.
        partition: String,
        /// The row's place in its partition.
        sort: String,
        /// Which fact wins where several write the same row.
        revision: u64,
    },
}

impl Update {
    fn count(counter: Counter, by: u64) -> Self {
        Self::Count { counter: counter.to_string(), by }
    }
}

/// A row of a read model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewRow {
    /// The read model.
    pub view: String,
    /// The part of it.
    pub partition: String,
    /// The row's place in its partition; rows are read from the highest down.
    pub sort: String,
    /// Which fact wins where several write the same row.
    pub revision: u64,
    /// What the row shows, as JSON text: it is written once, and read as the type that the view documents.
    pub body: String,
}

impl ViewRow {
    /// None where the body cannot be written as JSON, which no type of this crate can bring about.
    fn new(view: &str, partition: String, sort: String, revision: u64, body: &impl Serialize) -> Option<Self> {
        let body = serde_json::to_string(body).ok()?;
        Some(Self { view: view.to_owned(), partition, sort, revision, body })
    }

    /// Reads the body as the type that the view documents.
    ///
    /// # Errors
    /// The row was written by another release, in a shape that this one does not know.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(&self.body)
    }
}

/// A row of [`DELIVERIES`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryRow {
    /// The inbox key; its `id` is what `X-GitHub-Delivery` said.
    pub key: DeliveryKey,
    /// What happened, where.
    pub delivery: DeliverySummary,
    /// How far it got.
    pub state: DeliveryRowState,
    /// How many targets were allowed.
    pub allowed: u64,
    /// How many targets were denied.
    pub denied: u64,
    /// When the state changed last.
    pub updated_at: Timestamp,
}

/// A row of [`PARKED`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParkedRow {
    /// What was given up.
    pub subject: Subject,
    /// Why, in one word: `refused`, `failed`, `unknown`, a reason's code, or `parked` for a delivery.
    pub kind: String,
    /// Why, in a sentence.
    pub error: String,
    /// When.
    pub parked_at: Timestamp,
}

/// A row of [`ENVIRONMENTS`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvironmentRow {
    /// What it is found by.
    pub key: EnvironmentKey,
    /// The repository whose pull requests it is for.
    pub source: Repository,
    /// How far it got.
    pub state: EnvironmentState,
    /// The pull requests that hold it, the newest [`EnvironmentRow::MAX_HOLDERS`] at most.
    pub holders: Vec<PullRequestNumber>,
    /// How many hold it.
    pub held_by: usize,
    /// The action under way.
    pub under_way: Option<EnvironmentAction>,
    /// The action that waits.
    pub wanted: Option<EnvironmentAction>,
    /// The branch that is deployed there.
    pub deploy: String,
    /// Where it can be seen.
    pub url: Option<String>,
    /// When it expires, as far as is known: a label may keep it.
    pub expires_at: Option<Timestamp>,
    /// Whether the label `keep` was seen last.
    pub keep: bool,
    /// When it was wanted first.
    pub created_at: Timestamp,
    /// When it changed last.
    pub changed_at: Timestamp,
}

impl EnvironmentRow {
    /// How many holders are named.
    pub const MAX_HOLDERS: usize = 20;

    /// The row of an environment.
    #[must_use]
    pub fn new(environment: &Environment) -> Self {
        Self {
            key: environment.key.clone(),
            source: environment.source.name.clone(),
            state: environment.state,
            holders: environment.holders.iter().rev().take(Self::MAX_HOLDERS).copied().collect(),
            held_by: environment.holders.len(),
            under_way: environment.under_way.as_ref().map(|step| step.action),
            wanted: environment.wanted.as_ref().map(|step| step.action),
            deploy: environment.description.deploy.clone(),
            url: environment.description.url.clone(),
            expires_at: environment.expires_at(),
            keep: environment.keep,
            created_at: environment.created_at,
            changed_at: environment.changed_at,
        }
    }
}

/// How far a delivery got, in one word and what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryRowState {
    /// Durable, not decided yet.
    Received,
    /// Nothing to decide.
    Noted,
    /// Decided, target by target.
    Planned,
    /// Decided: no target was considered at all, because of this.
    Skipped(Reason),
    /// Planning waits until then.
    PutBack {
        /// Until when.
        until: Timestamp,
        /// Why.
        error: String,
    },
    /// Planning was given up.
    Parked {
        /// What went wrong last.
        error: String,
    },
    /// It was given up, and the operator said that it is not wanted.
    Dropped,
}

/// What is counted. Prints as the counter's name in the store, such as `denied` or `denied:loop_detected`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Counter {
    /// Deliveries accepted, to be decided about.
    Received,
    /// Deliveries accepted that only tell us something.
    Noted,
    /// Deliveries decided about.
    Planned,
    /// Deliveries for which no target was considered.
    Skipped,
    /// Of those: for this reason.
    SkippedFor(Reason),
    /// Times that planning had to wait.
    PlanPutBack,
    /// Deliveries given up.
    Parked,
    /// Targets allowed.
    Allowed,
    /// Targets denied.
    Denied,
    /// Of those: for this reason.
    DeniedFor(Reason),
    /// Allowed targets that another delivery of the same event had claimed.
    AlreadyClaimed,
    /// Dispatches that GitHub did.
    Triggered,
    /// Times that a dispatch had to wait.
    DispatchPutBack,
    /// Dispatches that GitHub refused.
    Refused,
    /// Dispatches of which nobody knows whether GitHub did them.
    InDoubt,
    /// Dispatches of which looking could not tell either.
    Unknown,
    /// Dispatches denied before the call.
    Cancelled,
    /// Dispatches certainly not done, and given up.
    Failed,
}

impl Counter {
    /// The counters that are not about one reason.
    pub const TOTALS: [Self; 16] = [
        Self::Received,
        Self::Noted,
        Self::Planned,
        Self::Skipped,
        Self::PlanPutBack,
        Self::Parked,
        Self::Allowed,
        Self::Denied,
        Self::AlreadyClaimed,
        Self::Triggered,
        Self::DispatchPutBack,
        Self::Refused,
        Self::InDoubt,
        Self::Unknown,
        Self::Cancelled,
        Self::Failed,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Noted => "noted",
            Self::Planned => "planned",
            Self::Skipped | Self::SkippedFor(_) => "skipped",
            Self::PlanPutBack => "plan_put_back",
            Self::Parked => "parked",
            Self::Allowed => "allowed",
            Self::Denied | Self::DeniedFor(_) => "denied",
            Self::AlreadyClaimed => "already_claimed",
            Self::Triggered => "triggered",
            Self::DispatchPutBack => "dispatch_put_back",
            Self::Refused => "refused",
            Self::InDoubt => "in_doubt",
            Self::Unknown => "unknown",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SkippedFor(reason) | Self::DeniedFor(reason) => write!(f, "{}:{reason}", self.name()),
            _ => f.write_str(self.name()),
        }
    }
}

/// Times as text that sorts as they do: microseconds since 1970, always of the same length.
fn sortable(time: Timestamp) -> String {
    format!("{:016}", time.as_microsecond().max(0))
}

fn counts(body: &FactBody) -> Vec<(Counter, u64)> {
    match body {
        FactBody::DeliveryReceived { .. } => vec![(Counter::Received, 1)],
        FactBody::DeliveryNoted { .. } => vec![(Counter::Noted, 1)],
        FactBody::DeliveryPlanned { plan, already_claimed, .. } => plan_counts(plan, already_claimed.len()),
        FactBody::DeliveryPutBack { .. } => vec![(Counter::PlanPutBack, 1)],
        FactBody::DeliveryParked { .. } => vec![(Counter::Parked, 1)],
        FactBody::DeliveryReopened { .. }
        | FactBody::DeliveryDropped { .. }
        | FactBody::DispatchRunFound { .. }
        | FactBody::DispatchRunProgressed { .. }
        | FactBody::DispatchRetried { .. }
        | FactBody::DispatchDropped { .. }
        | FactBody::EnvironmentChanged { .. } => Vec::new(),
        FactBody::DispatchTriggered { .. } => vec![(Counter::Triggered, 1)],
        FactBody::DispatchPutBack { .. } => vec![(Counter::DispatchPutBack, 1)],
        FactBody::DispatchRefused { .. } => vec![(Counter::Refused, 1)],
        FactBody::DispatchInDoubt { .. } => vec![(Counter::InDoubt, 1)],
        FactBody::DispatchUnknown { .. } => vec![(Counter::Unknown, 1)],
        FactBody::DispatchCancelled { .. } => vec![(Counter::Cancelled, 1)],
        FactBody::DispatchFailed { .. } => vec![(Counter::Failed, 1)],
    }
}

fn plan_counts(plan: &Plan, already_claimed: usize) -> Vec<(Counter, u64)> {
    let (allowed, denied) = verdicts(plan);
    let mut counts = vec![(Counter::Planned, 1)];
    if let Some(skipped) = &plan.skipped {
        counts.extend([(Counter::Skipped, 1), (Counter::SkippedFor(skipped.reason), 1)]);
    }
    let totals =
        [(Counter::Allowed, allowed), (Counter::Denied, denied), (Counter::AlreadyClaimed, already_claimed as u64)];
    counts.extend(totals.into_iter().filter(|(_, by)| *by > 0));
    counts.extend(plan.decisions.iter().filter_map(|decision| match &decision.verdict {
        Verdict::Denied(denied) => Some((Counter::DeniedFor(denied.reason), 1)),
        Verdict::Allowed(_) => None,
    }));
    counts
}

/// How many targets of a plan were allowed, and how many denied.
fn verdicts(plan: &Plan) -> (u64, u64) {
    let allowed = plan.allowed().count();
    (allowed as u64, (plan.decisions.len() - allowed) as u64)
}

/// The row of the delivery as it is after this fact, for facts about the delivery itself.
fn delivery_row(fact: &Fact) -> Option<DeliveryRow> {
    let row = |delivery: DeliverySummary, state, (allowed, denied)| {
        let key = fact.subject.delivery.clone();
        Some(DeliveryRow { key, delivery, state, allowed, denied, updated_at: fact.time })
    };
    let open = |delivery: &DeliverySummary, state| row(delivery.clone(), state, (0, 0));
    match &fact.body {
        FactBody::DeliveryReceived { event } => {
            row(DeliverySummary::new(event, fact.time), DeliveryRowState::Received, (0, 0))
        }
        FactBody::DeliveryNoted { event } => {
            row(DeliverySummary::new(event, fact.time), DeliveryRowState::Noted, (0, 0))
        }
        FactBody::DeliveryPlanned { delivery, plan, .. } => {
            let state =
                plan.skipped.as_ref().map_or(DeliveryRowState::Planned, |s| DeliveryRowState::Skipped(s.reason));
            row(delivery.clone(), state, verdicts(plan))
        }
        FactBody::DeliveryPutBack { delivery, until, error } => {
            open(delivery, DeliveryRowState::PutBack { until: *until, error: error.clone() })
        }
        FactBody::DeliveryParked { delivery, error, .. } => {
            open(delivery, DeliveryRowState::Parked { error: error.clone() })
        }
        FactBody::DeliveryReopened { delivery, .. } => open(delivery, DeliveryRowState::Received),
        FactBody::DeliveryDropped { delivery, .. } => open(delivery, DeliveryRowState::Dropped),
        FactBody::DispatchTriggered { .. }
        | FactBody::DispatchRunFound { .. }
        | FactBody::DispatchRunProgressed { .. }
        | FactBody::DispatchUnknown { .. }
        | FactBody::DispatchRetried { .. }
        | FactBody::DispatchDropped { .. }
        | FactBody::DispatchPutBack { .. }
        | FactBody::DispatchRefused { .. }
        | FactBody::DispatchInDoubt { .. }
        | FactBody::DispatchCancelled { .. }
        | FactBody::DispatchFailed { .. }
        | FactBody::EnvironmentChanged { .. } => None,
    }
}

/// What a fact changes in [`PARKED`].
fn parked_update(fact: &Fact) -> Option<Update> {
    let park = |kind: &str, error: &str| {
        let row = ParkedRow {
            subject: fact.subject.clone(),
            kind: kind.to_owned(),
            error: error.to_owned(),
            parked_at: fact.time,
        };
        let sort = parked_sort(fact.time, &fact.subject);
        ViewRow::new(PARKED, EVERYTHING.to_owned(), sort, u64::from(fact.sequence), &row).map(Update::Put)
    };
    match &fact.body {
        FactBody::DeliveryParked { reason, error, .. } => park(reason.map_or("parked", Reason::code), error),
        FactBody::DispatchRefused { message, .. } => park("refused", message),
        FactBody::DispatchFailed { error } => park("failed", error),
        FactBody::DispatchUnknown { error } => park("unknown", error),
        FactBody::DispatchCancelled { reason: reason @ Reason::EventTooOld, message } => park(reason.code(), message),
        FactBody::DeliveryReopened { parked_at, .. }
        | FactBody::DeliveryDropped { parked_at, .. }
        | FactBody::DispatchRetried { parked_at }
        | FactBody::DispatchDropped { parked_at } => Some(Update::Remove {
            view: PARKED,
            partition: EVERYTHING.to_owned(),
            sort: parked_sort((*parked_at)?, &fact.subject),
            revision: u64::from(fact.sequence),
        }),
        _ => None,
    }
}

/// What a fact changes in [`ENVIRONMENTS`].
fn environment_updates(fact: &Fact) -> Vec<Update> {
    let FactBody::EnvironmentChanged { environment, .. } = &fact.body else { return Vec::new() };
    let EnvironmentKey { repository, name } = &environment.key;
    let sort = format!("{}~{}:{name}", sortable(environment.created_at), repository.key());
    let revision = u64::from(fact.sequence);
    let row = |partition: &str| {
        ViewRow::new(ENVIRONMENTS, partition.to_owned(), sort.clone(), revision, environment.as_ref())
    };
    let updates = if environment.state == EnvironmentState::Destroyed {
        let gone = Update::Remove { view: ENVIRONMENTS, partition: PRESENT.to_owned(), sort: sort.clone(), revision };
        [row(EVERYTHING).map(Update::Put), Some(gone)]
    } else {
        [row(EVERYTHING).map(Update::Keep), row(PRESENT).map(Update::Keep)]
    };
    updates.into_iter().flatten().collect()
}

fn parked_sort(parked_at: Timestamp, subject: &Subject) -> String {
    format!("{}~{subject}", sortable(parked_at))
}
