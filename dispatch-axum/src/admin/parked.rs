//! What was given up and waits for the operator, with a button for each way to go on.

use std::sync::Arc;

use askama::Template;
use axum::Form;
use axum::extract::{Query, State};
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use dispatch_core::Timestamp;
use dispatch_core::pipeline::ParkedOutcome;
use dispatch_core::ports::StoreError;
use dispatch_core::ports::store::Queue;

use super::overview::Paging;
use super::page::{Frame, Moment, encode, message, respond, unavailable};
use super::{SameOrigin, Visitor};
use crate::parked::{self, Parked};
use crate::service::Service;

const PER_PAGE: usize = 25;

#[derive(Template)]
#[template(path = "parked.html")]
struct ParkedList {
    frame: Frame,
    parked: Vec<Line>,
    paged: bool,
    older: Option<String>,
}

struct Line {
    id: String,
    /// The delivery's address below `admin/deliveries/`.
    link: String,
    source: Option<String>,
    target: Option<String>,
    kind: String,
    tone: &'static str,
    error: String,
    at: Moment,
    sort: String,
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

async fn read(
    service: &Service,
    frame: Frame,
    before: Option<String>,
    now: Timestamp,
) -> Result<ParkedList, StoreError> {
    let paged = before.is_some();
    let page = parked::page(&*service.pipeline.store, before, PER_PAGE).await?;
    let parked = page.parked.into_iter().map(|parked| line(parked, now)).collect();
    Ok(ParkedList { frame, parked, paged, older: page.older.as_deref().map(encode) })
}

fn line(parked: Parked, now: Timestamp) -> Line {
    let id = parked.id();
    let Parked { row, sort, source, target } = parked;
    // What came too late is nobody's fault; everything else is.
    let tone = if matches!(row.kind.as_str(), "refused" | "failed" | "unknown" | "parked") { "bad" } else { "warn" };
    Line {
        id,
        link: encode(&row.subject.delivery.to_string()),
        source,
        target,
        kind: row.kind,
        tone,
        error: row.error,
        at: Moment::new(row.parked_at, now),
        sort,
    }
}

/// What the operator wants. Without `Debug`: it holds what strangers named.
#[derive(serde::Deserialize)]
pub(crate) struct Order {
    /// The row's place in the list.
    row: String,
    action: Action,
}

#[derive(Clone, Copy, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
enum Action {
    Retry,
    Drop,
}

pub(crate) async fn act(
    _: SameOrigin,
    visitor: Visitor,
    State(service): State<Arc<Service>>,
    uri: Uri,
    Form(order): Form<Order>,
) -> Response {
    match obey(&service, &order).await {
        Ok(true) => (StatusCode::SEE_OTHER, [(header::LOCATION, "parked")]).into_response(),
        Ok(false) => {
            let text = "Somebody else was faster: it was retried, dropped, or delivered again meanwhile.";
            message(StatusCode::NOT_FOUND, &service, &uri, &visitor, "It is not parked any more", text)
        }
        Err(error) => unavailable(&service, &uri, &visitor, &error),
    }
}

/// Whether it was done.
async fn obey(service: &Service, order: &Order) -> Result<bool, StoreError> {
    let Some(parked) = parked::at(&*service.pipeline.store, &order.row).await? else { return Ok(false) };
    let (subject, now) = (&parked.row.subject, (service.clock)());
    let (outcome, word) = match order.action {
        Action::Retry => (service.pipeline.retry_parked(subject, now).await?, "retried"),
        Action::Drop => (service.pipeline.drop_parked(subject, now).await?, "dropped"),
    };
    let done = outcome == ParkedOutcome::Done;
    if done {
        tracing::info!(id = parked.id(), delivery = %subject.delivery.id, word, "the operator decided about parked work");
        let queue = if subject.dispatch.is_some() { Queue::Dispatch } else { Queue::Plan };
        (service.on_work)(queue);
    }
    Ok(done)
}
