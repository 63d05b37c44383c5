//! The first page: is it well, what has happened so far, what happened last.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Query, State};
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use dispatch_core::Timestamp;
use dispatch_core::delivery::{DeliveryKey, DeliverySummary};
use dispatch_core::ports::StoreError;
use dispatch_core::ports::store::ViewQuery;
use dispatch_core::projection::{Counter, DELIVERIES, DeliveryRow, DeliveryRowState, EVERYTHING};
use dispatch_core::reason::Reason;

use super::page::{Frame, Moment, encode, respond, unavailable};
use super::{Visitor, health};
use crate::parked;
use crate::service::Service;

const PER_PAGE: usize = 25;

/// More parked work than this is only called many.
pub(crate) const MANY: usize = 1_000;

/// Which page of a list.
#[derive(serde::Deserialize)]
pub(crate) struct Paging {
    /// The `sort` of the last row of the page before.
    pub(crate) before: Option<String>,
}

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview {
    frame: Frame,
    /// What is not as it should be, in a few words.
    notes: Vec<String>,
    totals: Vec<Total>,
    deliveries: Vec<DeliveryLine>,
    denials: Vec<Denial>,
    paged: bool,
    older: Option<String>,
}

/// One figure, and what it counts.
struct Total {
    figure: String,
    label: &'static str,
    hint: &'static str,
    tone: &'static str,
    /// Where more of it stands, below `admin`.
    page: Option<&'static str>,
}

/// How often a reason decided.
struct Denial {
    times: u64,
    reason: Reason,
}

struct DeliveryLine {
    link: String,
    repository: String,
    what: String,
    branch: Option<String>,
    received: Moment,
    state: Pill,
    reason: Option<Reason>,
    allowed: u64,
    denied: u64,
}

/// A state in one word, and its colour.
pub(crate) struct Pill {
    pub(crate) word: &'static str,
    pub(crate) tone: &'static str,
}

pub(crate) async fn show(
    visitor: Visitor,
    State(service): State<Arc<Service>>,
    Query(paging): Query<Paging>,
    uri: Uri,
) -> Response {
    let frame = Frame::new(&service, &uri, Some(&visitor));
    match read(&service, frame, paging.before, (service.clock)()).await {
        Ok(page) => respond(StatusCode::OK, &page),
        Err(error) => unavailable(&service, &uri, &visitor, &error),
    }
}

async fn read(service: &Service, frame: Frame, before: Option<String>, now: Timestamp) -> Result<Overview, StoreError> {
    let paged = before.is_some();
    // One more than is shown tells whether there are older ones.
    let limit = PER_PAGE + 1;
    let query = ViewQuery { view: DELIVERIES, partition: EVERYTHING.to_owned(), before, limit };
    let mut rows = service.pipeline.store.rows(query).await?;
    let more = rows.len() > PER_PAGE;
    rows.truncate(PER_PAGE);
    let older = rows.last().filter(|_| more).map(|row| encode(&row.sort));
    let deliveries = rows.iter().filter_map(|row| row.read().ok()).map(|row| line(row, now)).collect();
    let (totals, denials) = figures(service).await?;
    let notes = health::notes(service, now).await?;
    Ok(Overview { frame, notes, totals, deliveries, denials, paged, older })
}

/// Every counter by its name: the totals first, then the reasons.
async fn figures(service: &Service) -> Result<(Vec<Total>, Vec<Denial>), StoreError> {
    use Counter::{Allowed, Denied, DeniedFor, Received, SkippedFor, Triggered};
    let cards = [
        (Received, "events received", "runs, pull requests and commands that were decided about, or will be", "calm"),
        (Allowed, "targets allowed", "both sides had written down that they want it", "calm"),
        (Triggered, "targets started", "GitHub said that it started them", "good"),
        (Denied, "targets denied", "each with its reason, below", "quiet"),
    ];
    let mut names: Vec<_> = cards.iter().map(|(counter, ..)| counter.to_string()).collect();
    let reasons = Reason::ALL.iter().flat_map(|reason| [DeniedFor(*reason), SkippedFor(*reason)]);
    names.extend(reasons.map(|counter| counter.to_string()));

    let mut counts = service.pipeline.store.counters(&names).await?.into_iter();
    let mut sum = |of: usize| counts.by_ref().take(of).sum::<u64>();
    let total = |figure: u64, label, hint, tone, page| Total {
        figure: figure.to_string(),
        label,
        hint,
        tone: if figure == 0 { "quiet" } else { tone },
        page,
    };
    let mut totals: Vec<_> =
        cards.into_iter().map(|(_, label, hint, tone)| total(sum(1), label, hint, tone, None)).collect();
    let parked = parked::count(&*service.pipeline.store, MANY).await?;
    let hint = "refused, failed, unknown or too old: to be retried or dropped";
    let mut look = total(parked as u64, "need a look", hint, "bad", Some("parked"));
    if parked >= MANY {
        look.figure.push('+');
    }
    totals.push(look);
    let denials = Reason::ALL.iter().map(|reason| Denial { times: sum(2), reason: *reason });
    let mut denials: Vec<_> = denials.filter(|denial| denial.times > 0).collect();
    denials.sort_by_key(|denial| std::cmp::Reverse(denial.times));
    Ok((totals, denials))
}

fn line(row: DeliveryRow, now: Timestamp) -> DeliveryLine {
    let reason = match row.state {
        DeliveryRowState::Skipped(reason) => Some(reason),
        _ => None,
    };
    DeliveryLine {
        link: link(&row.key),
        repository: row.delivery.repository.to_string(),
        what: what(&row.delivery),
        branch: row.delivery.branch.map(|branch| branch.to_string()),
        received: Moment::new(row.delivery.received_at, now),
        state: pill(&row.state, row.allowed, row.denied),
        reason,
        allowed: row.allowed,
        denied: row.denied,
    }
}

/// What happened, in a few words.
fn what(delivery: &DeliverySummary) -> String {
    match (&delivery.workflow, delivery.pull_request, &delivery.word) {
        (Some(workflow), ..) => workflow.to_string(),
        (None, Some(number), Some(word)) => format!("#{number} {word}"),
        (None, _, Some(word)) => format!("{} {word}", delivery.event),
        (None, ..) => delivery.event.clone(),
    }
}

/// The address of a delivery below `admin/deliveries/`.
fn link(key: &DeliveryKey) -> String {
    encode(&key.to_string())
}

fn pill(state: &DeliveryRowState, allowed: u64, denied: u64) -> Pill {
    let (word, tone) = match state {
        DeliveryRowState::Received => ("deciding", "calm"),
        DeliveryRowState::Noted => ("noted", "quiet"),
        DeliveryRowState::Planned if allowed > 0 && denied > 0 => ("partly allowed", "warn"),
        DeliveryRowState::Planned if allowed > 0 => ("allowed", "good"),
        DeliveryRowState::Planned => ("denied", "bad"),
        DeliveryRowState::Skipped(_) => ("nothing to do", "quiet"),
        DeliveryRowState::PutBack { .. } => ("waiting", "warn"),
        DeliveryRowState::Parked { .. } => ("given up", "bad"),
        DeliveryRowState::Dropped => ("dropped", "quiet"),
    };
    Pill { word, tone }
}
