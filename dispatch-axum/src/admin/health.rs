//! What else there is to know: GitHub's limits, the webhooks that were missed, and what waits.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use dispatch_core::Timestamp;
use dispatch_core::dispatch::DispatchState;
use dispatch_core::ports::github::Budget;
use dispatch_core::ports::store::{Queue, Record, RecordKey, WaitingQuery};
use dispatch_core::ports::{StoreError, StorePort};
use dispatch_core::recovery::Recovery;

use super::Visitor;
use super::page::{Frame, Moment, respond, unavailable};
use crate::service::Service;

/// How many waiting items of each queue are shown.
const SHOWN: usize = 25;

#[derive(Template)]
#[template(path = "health.html")]
struct Health {
    frame: Frame,
    budgets: Vec<BudgetLine>,
    looked_at: Option<Moment>,
    problem: Option<String>,
    missed: Vec<MissedLine>,
    queues: Vec<QueueCard>,
}

struct BudgetLine {
    installation: String,
    state: &'static str,
    tone: &'static str,
    paused_until: Option<Moment>,
    points_left: u32,
    concurrent: u32,
    primary: Option<(u64, u64, Moment)>,
}

struct MissedLine {
    delivery: String,
    event: String,
    at: Moment,
    status: String,
    asked: Option<Moment>,
    arrived: Option<Moment>,
}

struct QueueCard {
    title: &'static str,
    empty: &'static str,
    waiting: Vec<WaitingLine>,
    more: bool,
}

struct WaitingLine {
    what: String,
    state: &'static str,
    tone: &'static str,
    due: Moment,
}

pub(crate) async fn show(visitor: Visitor, State(service): State<Arc<Service>>, uri: Uri) -> Response {
    let frame = Frame::new(&service, &uri, Some(&visitor));
    match read(&service, frame, (service.clock)()).await {
        Ok(page) => respond(StatusCode::OK, &page),
        Err(error) => unavailable(&service, &uri, &visitor, &error),
    }
}

async fn read(service: &Service, frame: Frame, now: Timestamp) -> Result<Health, StoreError> {
    let store = &*service.pipeline.store;
    let recovery = recovery(store).await?;
    let mut queues = Vec::new();
    for (queue, title, empty) in [
        (Queue::Plan, "To be decided", "Every delivery is decided about."),
        (Queue::Dispatch, "To be started, or looked for", "Everything that was allowed is done with."),
        (Queue::Report, "To be told", "Every failure is told."),
    ] {
        let mut items = store.waiting(WaitingQuery { queue, after: None, limit: SHOWN + 1 }).await?;
        let more = items.len() > SHOWN;
        items.truncate(SHOWN);
        let waiting = items.iter().filter_map(|item| waiting(&item.record, now)).collect();
        queues.push(QueueCard { title, empty, waiting, more });
    }
    let missed = recovery.missed.into_iter().map(|missed| MissedLine {
        delivery: missed.delivery.to_string(),
        event: missed.event,
        at: Moment::new(missed.at, now),
        status: missed.status,
        asked: missed.asked_at.map(|at| Moment::new(at, now)),
        arrived: missed.arrived_at.map(|at| Moment::new(at, now)),
    });
    Ok(Health {
        frame,
        budgets: service.pipeline.github.budgets().into_iter().map(|budget| budget_line(budget, now)).collect(),
        looked_at: recovery.looked_at.map(|at| Moment::new(at, now)),
        problem: recovery.error,
        missed: missed.collect(),
        queues,
    })
}

/// How far GitHub's delivery log was read, and what was missed.
async fn recovery(store: &dyn StorePort) -> Result<Recovery, StoreError> {
    let stored = store.load(&[RecordKey::Recovery]).await?.pop().flatten();
    Ok(match stored.map(|stored| stored.record) {
        Some(Record::Recovery(recovery)) => *recovery,
        _ => Recovery::default(),
    })
}

/// What the overview says about all this, in a few words; nothing where all is well.
pub(crate) async fn notes(service: &Service, now: Timestamp) -> Result<Vec<String>, StoreError> {
    let mut notes = Vec::new();
    let budgets = service.pipeline.github.budgets();
    let paused = budgets.iter().filter(|budget| is_paused(budget, now)).count();
    if paused > 0 {
        notes.push(format!(
            "GitHub's limits: {} until later",
            counted(paused, "installation waits", "installations wait")
        ));
    }
    let recovery = recovery(&*service.pipeline.store).await?;
    if recovery.error.is_some() {
        notes.push("GitHub's delivery log cannot be read".to_owned());
    }
    if !recovery.asked.is_empty() {
        notes.push(counted(
            recovery.asked.len(),
            "webhook was missed and is asked for again",
            "webhooks were missed and are asked for again",
        ));
    }
    Ok(notes)
}

fn counted(count: usize, one: &str, several: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { several })
}

pub(crate) fn is_paused(budget: &Budget, now: Timestamp) -> bool {
    budget.paused_until.is_some_and(|until| now < until)
}

fn budget_line(budget: Budget, now: Timestamp) -> BudgetLine {
    let (state, tone) = match budget.primary {
        _ if is_paused(&budget, now) => ("waits", "warn"),
        Some(primary) if primary.remaining < primary.limit / 10 && now < primary.reset => ("nearly used up", "warn"),
        _ => ("fine", "good"),
    };
    BudgetLine {
        installation: budget.installation.to_string(),
        state,
        tone,
        paused_until: budget.paused_until.filter(|until| now < *until).map(|until| Moment::new(until, now)),
        points_left: budget.points_left,
        concurrent: budget.concurrent,
        primary: budget.primary.map(|limit| (limit.remaining, limit.limit, Moment::new(limit.reset, now))),
    }
}

fn waiting(record: &Record, now: Timestamp) -> Option<WaitingLine> {
    let due = Moment::new(record.work()?.due, now);
    let (what, state, tone) = match record {
        Record::Delivery(delivery) => {
            let summary = delivery.summary();
            let workflow = summary.workflow.map_or(summary.event, |workflow| workflow.to_string());
            let (state, tone) = if delivery.attempts == 0 { ("new", "calm") } else { ("put back", "warn") };
            (format!("{} · {workflow}", summary.repository), state, tone)
        }
        Record::Dispatch(dispatch) => {
            let target = &dispatch.key.target;
            let (state, tone) = match dispatch.state {
                DispatchState::Calling { .. } => ("being called", "calm"),
                DispatchState::Started { .. } => ("run looked for", "calm"),
                DispatchState::InDoubt { .. } => ("in doubt", "warn"),
                _ if dispatch.attempts + dispatch.waits > 0 => ("put back", "warn"),
                _ => ("ready", "calm"),
            };
            (format!("{} → {} · {}", dispatch.source.name, target.repository, target.start), state, tone)
        }
        Record::Revocation(revocation) => (revocation.lost.account.to_string(), "access lost", "warn"),
        Record::Report(report) => (report.name.to_string(), "failure to tell", "calm"),
        _ => return None,
    };
    Some(WaitingLine { what, state, tone, due })
}
