//! What was decided between repositories, and what became of it: one row for each edge.
//!
//! Facts say what to add to a row. What they add up to does not depend on their order: counts are sums, and of what happened
//! last, the latest counts.

use serde::{Deserialize, Serialize};

use super::{EVERYTHING, Update, ViewRow, sortable};
use crate::Timestamp;
use crate::chain::Place;
use crate::decide::{Plan, Verdict};
use crate::delivery::DeliverySummary;
use crate::dispatch::{FollowedRun, FollowedStage};
use crate::event::Conclusion;
use crate::fact::{Fact, FactBody};
use crate::name::Repository;
use crate::reason::Reason;

/// The view with one row for each edge that was decided about. In its partition [`EVERYTHING`], those that were used last come
/// first; in [`BY_NAME`] each has a place that stays. An edge that is not used for as long as finished work is kept is
/// forgotten.
pub const EDGES: &str = "edges";
/// The partition of [`EDGES`] in which an edge has a place that stays.
pub const BY_NAME: &str = "by_name";

/// What happened, without when and to which run or pull request.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Happened {
    /// GitHub's name for the event.
    pub event: String,
    /// The workflow, the action or the command.
    pub what: Option<String>,
}

impl From<&DeliverySummary> for Happened {
    fn from(delivery: &DeliverySummary) -> Self {
        let what = delivery.workflow.as_ref().map(ToString::to_string).or_else(|| delivery.word.clone());
        Self { event: delivery.event.clone(), what }
    }
}

impl std::fmt::Display for Happened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.event.as_str(), &self.what) {
            ("pull_request", Some(action)) => write!(f, "pull request {action}"),
            ("check_run", _) => f.write_str("check run again"),
            (_, Some(what)) => f.write_str(what),
            (event, None) => f.write_str(event),
        }
    }
}

/// An edge: what happens where, and what is then to be started.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct UsedEdge {
    /// Where something happens.
    pub from: Repository,
    /// What happens.
    pub happened: Happened,
    /// What is then to be started, and where.
    pub to: Place,
}

/// What happened last on an edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EdgeOutcome {
    /// It was allowed.
    Allowed,
    /// It was denied, because of this.
    Denied(Reason),
    /// GitHub did it, and its run has not ended.
    Started,
    /// Its run succeeded.
    Succeeded,
    /// It could not be done, or its run ended otherwise.
    Failed,
}

impl EdgeOutcome {
    /// In a word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Denied(_) => "denied",
            Self::Started => "started",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
        }
    }
}

/// Which fact was the last one: by its time; where times are equal, what became of a dispatch comes after the decision.
type Latest = (Timestamp, bool, u32, String);

/// A row of [`EDGES`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EdgeRow {
    /// The edge.
    pub edge: UsedEdge,
    /// When something was decided about it, or became of it, last.
    pub last_used: Timestamp,
    /// What that was.
    pub outcome: EdgeOutcome,
    /// How often GitHub did it.
    pub started: u64,
    /// How many runs succeeded; a run that people run again counts again.
    pub succeeded: u64,
    /// How many runs ended otherwise, and how often it could not be done at all.
    pub failed: u64,
    /// How often it was denied, before the call too.
    pub denied: u64,
    /// Which fact the last one was, and how many facts there were: for the next one.
    latest: Latest,
    facts: u64,
}

/// What a fact adds to the row of an edge.
#[derive(Debug, Clone, PartialEq)]
pub struct Tally {
    edge: UsedEdge,
    outcome: EdgeOutcome,
    latest: Latest,
    started: u64,
    succeeded: u64,
    failed: u64,
    denied: u64,
}

impl Tally {
    fn new(fact: &Fact, edge: UsedEdge, outcome: EdgeOutcome) -> Self {
        let latest = (fact.time, fact.subject.dispatch.is_some(), fact.sequence, fact.subject.to_string());
        Self { edge, outcome, latest, started: 0, succeeded: 0, failed: 0, denied: 0 }
    }

    /// The place of the row in [`BY_NAME`], where it is to be read before the fact is added.
    #[must_use]
    pub fn sort(&self) -> String {
        let UsedEdge { from, happened: Happened { event, what }, to } = &self.edge;
        let what = what.as_deref().unwrap_or_default();
        format!("{}~{event}~{what}~{}~{}", from.key(), to.repository.key(), to.start)
    }

    /// The row with what the fact adds, as it is to be written in both partitions; and the time that the rows have. What is
    /// there in a shape that this release does not know is begun anew.
    #[must_use]
    pub fn add_to(&self, there: Option<&ViewRow>) -> (Vec<Update>, Timestamp) {
        let there: Option<EdgeRow> = there.and_then(|row| row.read().ok());
        let before = there.as_ref().map(|row| row.last_used);
        let row = match there {
            Some(row) if row.latest > self.latest => self.sum(&row, row.latest.clone(), row.outcome),
            Some(row) => self.sum(&row, self.latest.clone(), self.outcome),
            None => EdgeRow {
                edge: self.edge.clone(),
                last_used: self.latest.0,
                outcome: self.outcome,
                started: self.started,
                succeeded: self.succeeded,
                failed: self.failed,
                denied: self.denied,
                latest: self.latest.clone(),
                facts: 1,
            },
        };
        let (name, revision) = (self.sort(), row.facts);
        let by_use = |time| format!("{}~{name}", sortable(time));
        let moved = before.filter(|before| *before != row.last_used);
        let gone = moved.map(|before| Update::Remove {
            view: EDGES,
            partition: EVERYTHING.to_owned(),
            sort: by_use(before),
            revision,
        });
        let places = [(BY_NAME, name.clone()), (EVERYTHING, by_use(row.last_used))];
        let rows = places.into_iter().filter_map(|(partition, sort)| {
            ViewRow::new(EDGES, partition.to_owned(), sort, revision, &row).map(Update::Put)
        });
        (gone.into_iter().chain(rows).collect(), row.last_used)
    }

    fn sum(&self, row: &EdgeRow, latest: Latest, outcome: EdgeOutcome) -> EdgeRow {
        EdgeRow {
            edge: self.edge.clone(),
            last_used: latest.0,
            outcome,
            started: row.started.saturating_add(self.started),
            succeeded: row.succeeded.saturating_add(self.succeeded),
            failed: row.failed.saturating_add(self.failed),
            denied: row.denied.saturating_add(self.denied),
            latest,
            facts: row.facts.saturating_add(1),
        }
    }
}

/// What a fact adds to the rows of edges.
pub(super) fn tallies(fact: &Fact) -> Vec<Tally> {
    if let FactBody::DeliveryPlanned { delivery, plan, already_claimed } = &fact.body {
        let is_new = |target: &Place| !already_claimed.iter().any(|key| key.target == *target);
        return planned(fact, delivery, plan).into_iter().filter(|tally| is_new(&tally.edge.to)).collect();
    }
    let (Some(happened), Some(dispatch)) = (&fact.happened, &fact.subject.dispatch) else { return Vec::new() };
    let (from, happened) = happened.clone();
    let edge = UsedEdge { from, happened, to: dispatch.target.clone() };
    let tally = |outcome| Tally::new(fact, edge.clone(), outcome);
    let counted = match &fact.body {
        FactBody::DispatchTriggered { .. } => Some(Tally { started: 1, ..tally(EdgeOutcome::Started) }),
        FactBody::DispatchRunProgressed { run: FollowedRun { stage: FollowedStage::Completed(end), .. } } => {
            Some(match end {
                Some(Conclusion::Success) => Tally { succeeded: 1, ..tally(EdgeOutcome::Succeeded) },
                _ => Tally { failed: 1, ..tally(EdgeOutcome::Failed) },
            })
        }
        FactBody::DispatchRefused { .. } | FactBody::DispatchFailed { .. } | FactBody::DispatchUnknown { .. } => {
            Some(Tally { failed: 1, ..tally(EdgeOutcome::Failed) })
        }
        FactBody::DispatchCancelled { reason, .. } => Some(Tally { denied: 1, ..tally(EdgeOutcome::Denied(*reason)) }),
        _ => None,
    };
    counted.into_iter().collect()
}

fn planned(fact: &Fact, delivery: &DeliverySummary, plan: &Plan) -> Vec<Tally> {
    let edge =
        |target: &Place| UsedEdge { from: delivery.repository.clone(), happened: delivery.into(), to: target.clone() };
    let tally = |decision: &crate::decide::Decision| match &decision.verdict {
        Verdict::Allowed(_) => Some(Tally::new(fact, edge(&decision.target), EdgeOutcome::Allowed)),
        Verdict::Denied(denied) if denied.reason == Reason::DuplicateTarget => None,
        Verdict::Denied(denied) => {
            let outcome = EdgeOutcome::Denied(denied.reason);
            Some(Tally { denied: 1, ..Tally::new(fact, edge(&decision.target), outcome) })
        }
    };
    plan.decisions.iter().filter_map(tally).collect()
}
