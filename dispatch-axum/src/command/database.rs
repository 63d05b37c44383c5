//! The database of commands that work on it beside the service, or without one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use dispatch_axum::store::SqliteStore;
use dispatch_core::guardrail::Guardrails;
use dispatch_core::pipeline::Pipeline;
use dispatch_core::ports::{BoundedPolicyMemory, Offline, StorePort};
use dispatch_core::retry::RetryPolicy;

use super::Failure;
use super::policy_tree::shown;
use super::settings::wrong;

/// Which database.
#[derive(Debug, clap::Args)]
pub(crate) struct Database {
    /// The SQLite database of the service, which may be running [env: DATABASE_PATH] [default: dispatch.sqlite]
    #[arg(long = "database", value_name = "FILE")]
    path: Option<PathBuf>,
}

impl Database {
    const NAME: &'static str = "DATABASE_PATH";

    /// Where it is.
    ///
    /// # Errors
    /// There is none. It is not made: an empty one would answer that there is nothing to do.
    pub(crate) fn path(&self) -> Result<PathBuf, Failure> {
        let variable = || std::env::var_os(Self::NAME).filter(|value| !value.is_empty()).map(PathBuf::from);
        existing(&self.path.clone().or_else(variable).unwrap_or_else(|| "dispatch.sqlite".into()))
    }

    /// Opens it. SQLite lets several processes work on one database.
    ///
    /// # Errors
    /// There is none, or it cannot be opened.
    pub(crate) fn open(&self) -> Result<SqliteStore, Failure> {
        SqliteStore::open(self.path()?).map_err(|error| wrong(Self::NAME, error).into())
    }
}

/// The database at a path, if there is one.
///
/// # Errors
/// There is none.
pub(crate) fn existing(path: &Path) -> Result<PathBuf, Failure> {
    if path.is_file() {
        Ok(path.to_owned())
    } else {
        Err(wrong(Database::NAME, format_args!("there is no database `{}`", shown(path))).into())
    }
}

/// The pipeline for orders about what is stored, which ask GitHub nothing.
pub(crate) fn offline(store: Arc<dyn StorePort>) -> Result<Pipeline, Failure> {
    Ok(Pipeline {
        github: Arc::new(Offline),
        store,
        policies: Arc::new(BoundedPolicyMemory::new(1)),
        guardrails: Guardrails::from_settings(&BTreeMap::new())?,
        retry: RetryPolicy::default(),
        settle: Pipeline::DEFAULT_SETTLE,
        // Whatever the service's MAX_EVENT_AGE is: what the operator wants again counts as new.
        max_event_age: Duration::ZERO,
    })
}
