//! Environments of pull requests: to list, and to sweep.

use dispatch_core::Timestamp;
use dispatch_core::pipeline::{Pipeline, SweepOptions, SweepOutcome};
use dispatch_core::ports::StoreError;
use dispatch_core::ports::store::{StorePort, ViewQuery};
use dispatch_core::projection::{ENVIRONMENTS, EVERYTHING, EnvironmentRow, PRESENT};

/// A page of environments, those that were wanted last first, and where the next one begins.
#[derive(Debug, Clone, PartialEq)]
pub struct EnvironmentsPage {
    /// What is on it.
    pub environments: Vec<EnvironmentRow>,
    /// What to give as `before` for the next one; None on the last.
    pub older: Option<String>,
}

/// Which environments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// Those that are not destroyed.
    Present,
    /// Those that were destroyed, too, as long as they are kept.
    All,
}

/// Reads a page.
///
/// # Errors
/// [`StoreError::Unavailable`].
pub async fn page(
    store: &dyn StorePort,
    which: Which,
    before: Option<String>,
    limit: usize,
) -> Result<EnvironmentsPage, StoreError> {
    let partition = match which {
        Which::Present => PRESENT.to_owned(),
        Which::All => EVERYTHING.to_owned(),
    };
    // One more than is shown tells whether there are older ones.
    let query = ViewQuery { view: ENVIRONMENTS, partition, before, limit: limit.saturating_add(1) };
    let mut rows = store.rows(query).await?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let older = rows.last().filter(|_| more).map(|row| row.sort.clone());
    // A row of another release, in a shape that this one does not know, is left out.
    Ok(EnvironmentsPage { environments: rows.iter().filter_map(|row| row.read().ok()).collect(), older })
}

/// Sweeps from the beginning to the end, or until as many are to go as may at once.
///
/// # Errors
/// [`StoreError`]; what was stored before stays.
pub async fn sweep(pipeline: &Pipeline, mut options: SweepOptions, now: Timestamp) -> Result<SweepOutcome, StoreError> {
    let mut total = SweepOutcome::default();
    loop {
        let step = pipeline.sweep(&options, now).await?;
        options.limit = options.limit.saturating_sub(step.going.len());
        total.looked_at += step.looked_at;
        total.open += step.open;
        total.busy += step.busy;
        total.overdue += step.overdue;
        total.going.extend(step.going);
        total.unknown.extend(step.unknown);
        (total.limited, total.next) = (step.limited, step.next.clone());
        if step.limited || step.next.is_none() {
            return Ok(total);
        }
        options.after = step.next;
    }
}
