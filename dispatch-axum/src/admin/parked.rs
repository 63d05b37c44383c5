//! What was given up and waits for the operator, with a button for each way to go on.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Query, State};
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use dispatch_core::Timestamp;
use dispatch_core::ports::StoreError;

use super::Visitor;
use super::overview::Paging;
use super::page::{Frame, Moment, encode, respond, unavailable};
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
    let Parked { row, source, target, .. } = parked;
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
    }
}
