//! The environments of pull requests, those that were wanted last first.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Query, State};
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use dispatch_core::Timestamp;
use dispatch_core::environment::EnvironmentState;
use dispatch_core::policy::EnvironmentAction;
use dispatch_core::ports::StoreError;
use dispatch_core::projection::EnvironmentRow;

use super::Visitor;
use super::overview::Paging;
use super::page::{Frame, Moment, encode, respond, unavailable};
use crate::environments::{self, Which};
use crate::service::Service;

const PER_PAGE: usize = 25;

#[derive(Template)]
#[template(path = "environments.html")]
struct EnvironmentList {
    frame: Frame,
    environments: Vec<Line>,
    paged: bool,
    older: Option<String>,
}

struct Line {
    name: String,
    target: String,
    source: String,
    deploy: String,
    url: Option<String>,
    state: EnvironmentState,
    tone: &'static str,
    /// What waits behind what is being done.
    next: Option<&'static str>,
    holders: String,
    changed: Moment,
    expires: Option<Moment>,
    keep: bool,
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
) -> Result<EnvironmentList, StoreError> {
    let paged = before.is_some();
    let page = environments::page(&*service.pipeline.store, Which::All, before, PER_PAGE).await?;
    let environments = page.environments.into_iter().map(|row| line(row, now)).collect();
    Ok(EnvironmentList { frame, environments, paged, older: page.older.as_deref().map(encode) })
}

fn line(row: EnvironmentRow, now: Timestamp) -> Line {
    let tone = match row.state {
        EnvironmentState::Live => "good",
        EnvironmentState::Creating | EnvironmentState::Updating | EnvironmentState::Destroying => "calm",
        EnvironmentState::Failed => "bad",
        EnvironmentState::Destroyed => "",
    };
    let next = row.wanted.map(|action| match action {
        EnvironmentAction::Create => "an update waits",
        EnvironmentAction::Destroy => "it is to be destroyed",
    });
    let named: Vec<_> = row.holders.iter().map(|number| format!("#{number}")).collect();
    let more = row.held_by.saturating_sub(named.len());
    let holders = if more > 0 { format!("{} and {more} more", named.join(", ")) } else { named.join(", ") };
    Line {
        name: row.key.name.to_string(),
        target: row.key.repository.to_string(),
        source: row.source.to_string(),
        deploy: row.deploy,
        // Only an address of the web is a link: what else a policy file says is shown as text at most.
        url: row.url.filter(|url| url.starts_with("https://")),
        state: row.state,
        tone,
        next,
        holders,
        changed: Moment::new(row.changed_at, now),
        expires: row.expires_at.map(|at| Moment::new(at, now)),
        keep: row.keep,
    }
}
