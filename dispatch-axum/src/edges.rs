//! Edges between repositories that were decided about, to be listed and drawn.

use dispatch_core::Timestamp;
use dispatch_core::graph::{Arrow, Drawing, MAX_ARROWS};
use dispatch_core::ports::StoreError;
use dispatch_core::ports::store::{StorePort, ViewQuery};
use dispatch_core::projection::{EDGES, EVERYTHING, EdgeOutcome, EdgeRow, UsedEdge};

/// The edges that were used last.
#[derive(Debug, Clone, PartialEq)]
pub struct UsedEdges {
    /// At most [`MAX_ARROWS`], the one that was used last first.
    pub edges: Vec<EdgeRow>,
    /// Whether there are more.
    pub more: bool,
}

/// Reads the edges that were used last.
///
/// # Errors
/// [`StoreError::Unavailable`].
pub async fn used(store: &dyn StorePort) -> Result<UsedEdges, StoreError> {
    // One more than is shown tells whether there are others.
    let query = ViewQuery { view: EDGES, partition: EVERYTHING.to_owned(), before: None, limit: MAX_ARROWS + 1 };
    let rows = store.rows(query).await?;
    let more = rows.len() > MAX_ARROWS;
    // A row of another release, in a shape that this one does not know, is left out.
    let edges = rows.iter().take(MAX_ARROWS).filter_map(|row| row.read().ok()).collect();
    Ok(UsedEdges { edges, more })
}

impl UsedEdges {
    /// The edges as a drawing. Those that were only denied are dashed.
    #[must_use]
    pub fn drawing(&self) -> Drawing {
        let arrow = |row: &EdgeRow| {
            let UsedEdge { from, happened, to } = &row.edge;
            let label = format!("{happened} → {}", to.start);
            Arrow {
                from: from.clone(),
                to: to.repository.clone(),
                title: format!(
                    "{from} → {}: {label}: last used {}, {}; {}",
                    to.repository,
                    shown(row.last_used),
                    record(row),
                    outcome(row.outcome),
                ),
                label,
                is_dashed: is_only_denied(row),
                in_loop: false,
            }
        };
        // By name, so that a picture does not change its order with every use.
        let mut arrows: Vec<_> = self.edges.iter().map(arrow).collect();
        arrows.sort_by(|one, other| (&one.from, &one.to, &one.label).cmp(&(&other.from, &other.to, &other.label)));
        Drawing { title: "What was decided between repositories".to_owned(), arrows, ..Drawing::default() }
    }
}

/// Whether nothing was ever started by it.
pub(crate) fn is_only_denied(row: &EdgeRow) -> bool {
    row.denied > 0 && row.started == 0 && row.succeeded == 0 && row.failed == 0
}

/// How its runs ended, and how often it was denied.
pub(crate) fn record(row: &EdgeRow) -> String {
    let ended = row.succeeded.saturating_add(row.failed);
    let denied = if row.denied > 0 { format!(", denied {} times", row.denied) } else { String::new() };
    format!("{} of {ended} succeeded{denied}", row.succeeded)
}

/// What happened last.
fn outcome(outcome: EdgeOutcome) -> String {
    match outcome {
        EdgeOutcome::Denied(reason) => format!("denied: {reason}"),
        other => other.as_str().to_owned(),
    }
}

fn shown(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M UTC").to_string()
}
