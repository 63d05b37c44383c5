//! Environments of pull requests, to be listed.

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
