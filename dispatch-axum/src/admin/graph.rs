//! Who started whom: a picture, the same as a table, and as JSON.

use std::sync::Arc;

use askama::Template;
use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use dispatch_core::Timestamp;
use dispatch_core::diagnostic::visible;
use dispatch_core::graph::MAX_ARROWS;
use dispatch_core::projection::{EdgeOutcome, EdgeRow, UsedEdge};
use serde_json::{Value, json};

use super::Visitor;
use super::overview::Pill;
use super::page::{Frame, Moment, respond, unavailable};
use crate::edges::{self, is_only_denied, record};
use crate::service::Service;

#[derive(Template)]
#[template(path = "graph.html")]
struct Graph {
    frame: Frame,
    /// SVG that is escaped already.
    picture: String,
    edges: Vec<Line>,
    most: Option<usize>,
}

struct Line {
    from: String,
    happened: String,
    to: String,
    start: String,
    last_used: Moment,
    outcome: Pill,
    /// Why it was denied, where that was last.
    reason: Option<&'static str>,
    started: u64,
    record: String,
}

pub(crate) async fn show(visitor: Visitor, State(service): State<Arc<Service>>, uri: Uri) -> Response {
    let frame = Frame::new(&service, &uri, Some(&visitor));
    let now = (service.clock)();
    match edges::used(&*service.pipeline.store).await {
        Ok(used) => {
            let page = Graph {
                frame,
                picture: used.drawing().element(),
                edges: used.edges.iter().map(|row| line(row, now)).collect(),
                most: used.more.then_some(MAX_ARROWS),
            };
            respond(StatusCode::OK, &page)
        }
        Err(error) => unavailable(&service, &uri, &visitor, &error),
    }
}

/// The same for programs.
pub(crate) async fn api(_: Visitor, State(service): State<Arc<Service>>) -> Response {
    match edges::used(&*service.pipeline.store).await {
        Ok(used) => {
            let edges: Vec<_> = used.edges.iter().map(value).collect();
            Json(json!({ "edges": edges, "more": used.more })).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "the edges could not be read from the store");
            let body = Json(json!({ "error": "the store does not answer" }));
            (StatusCode::SERVICE_UNAVAILABLE, body).into_response()
        }
    }
}

fn value(row: &EdgeRow) -> Value {
    let EdgeRow {
        edge: UsedEdge { from, happened, to }, last_used, outcome, started, succeeded, failed, denied, ..
    } = row;
    json!({
        "from": from,
        "happened": happened,
        "to": to,
        "last_used": last_used,
        "last_outcome": outcome,
        "started": started,
        "succeeded": succeeded,
        "failed": failed,
        "denied": denied,
        "only_denied": is_only_denied(row),
    })
}

fn line(row: &EdgeRow, now: Timestamp) -> Line {
    let UsedEdge { from, happened, to } = &row.edge;
    let tone = match row.outcome {
        EdgeOutcome::Allowed | EdgeOutcome::Started => "calm",
        EdgeOutcome::Succeeded => "good",
        EdgeOutcome::Denied(_) | EdgeOutcome::Failed => "bad",
    };
    Line {
        from: from.to_string(),
        happened: visible(&happened.to_string()).into_owned(),
        to: to.repository.to_string(),
        start: to.start.to_string(),
        last_used: Moment::new(row.last_used, now),
        outcome: Pill { word: row.outcome.as_str(), tone },
        reason: match row.outcome {
            EdgeOutcome::Denied(reason) => Some(reason.code()),
            _ => None,
        },
        started: row.started,
        record: record(row),
    }
}
