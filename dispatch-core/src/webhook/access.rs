//! The webhooks that say that the App lost access: `installation` and `installation_repositories`.

use serde::Deserialize;
use serde::de::Deserializer;

use super::payload::{Sender, Text, each, required};
use crate::name::{InstallationId, RepositoryId};
use crate::revocation::{AccessLost, Extent};

/// An `installation` or `installation_repositories` webhook.
#[derive(Deserialize)]
pub(super) struct AccessPayload<'a> {
    #[serde(borrow)]
    action: Option<Text<'a>>,
    #[serde(borrow)]
    installation: Option<InstallationPayload<'a>>,
    repositories_removed: Option<Removed>,
}

#[derive(Deserialize)]
struct InstallationPayload<'a> {
    id: Option<u64>,
    #[serde(borrow)]
    account: Option<Sender<'a>>,
}

impl AccessPayload<'_> {
    /// What an event and its action take away: everything, or some repositories. None: nothing.
    pub(super) fn takes_away(event: &str, action: &str) -> Option<fn(Self) -> Result<AccessLost, String>> {
        match (event, action) {
            ("installation", "deleted" | "suspend") => Some(|payload| payload.lost(Extent::Installation)),
            ("installation_repositories", "removed") => Some(|mut payload| {
                let removed = payload.repositories_removed.take().unwrap_or_default();
                payload.lost(removed.extent())
            }),
            _ => None,
        }
    }

    pub(super) fn action(&self) -> &str {
        self.action.as_ref().map_or("", Text::as_str)
    }

    fn lost(self, extent: Extent) -> Result<AccessLost, String> {
        let installation = required(self.installation, "installation")?;
        let account = required(installation.account, "installation.account")?;
        Ok(AccessLost {
            installation: InstallationId(required(installation.id, "installation.id")?),
            account: required(account.login, "installation.account.login")?.parse("installation.account.login")?,
            extent,
        })
    }
}

/// The repositories that were taken out of an installation.
#[derive(Default)]
struct Removed {
    ids: Vec<RepositoryId>,
    more: bool,
}

impl Removed {
    /// The most repositories that are kept one by one.
    const MOST: usize = 10_000;

    /// A list that is too long is taken for the whole installation: what is cancelled too much is seen, what is not
    /// cancelled would run.
    fn extent(self) -> Extent {
        if self.more { Extent::Installation } else { Extent::Repositories(self.ids) }
    }
}

impl<'de> Deserialize<'de> for Removed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Repository {
            id: Option<u64>,
        }
        let mut removed = Self::default();
        each(deserializer, |repository: Repository| {
            let Some(id) = repository.id else { return };
            if removed.ids.len() < Self::MOST {
                removed.ids.push(RepositoryId(id));
            } else {
                removed.more = true;
            }
        })?;
        Ok(removed)
    }
}
