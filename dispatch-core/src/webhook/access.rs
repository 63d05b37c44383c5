//! The webhooks that say that the App lost access: `installation` and `installation_repositories`.

use serde::Deserialize;
use serde::de::Deserializer;

use super::payload::{Account, Text, each, required};
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
    account: Option<Account<'a>>,
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::sample::{problem, with, without};
    use super::super::{Webhook, parse};
    use super::*;

    fn lost(name: &str, body: &Value) -> AccessLost {
        match parse(name, body.to_string().as_bytes()).unwrap() {
            Webhook::AccessLost(lost) => *lost,
            other => panic!("{other:?}"),
        }
    }

    fn access_body(action: &str) -> Value {
        json!({
            "action": action,
            "installation": { "id": 5, "account": { "login": "Acme" }, "created_at": 1_700_000_000 },
            "repositories_removed": [{ "id": 11, "full_name": "acme/api" }, { "id": 12 }, {}],
        })
    }
    #[test]
    fn a_lost_installation_is_all_of_its_account_and_a_lost_repository_is_its_id() {
        for action in ["deleted", "suspend"] {
            let lost = lost("installation", &access_body(action));
            assert_eq!((lost.installation.0, lost.account.as_str()), (5, "Acme"));
            assert_eq!(lost.extent, Extent::Installation, "{action}");
        }
        let removed = lost("installation_repositories", &access_body("removed"));
        assert_eq!(removed.extent, Extent::Repositories([11, 12].map(RepositoryId).into()));
        let nothing = without(access_body("removed"), "", "repositories_removed");
        assert_eq!(lost("installation_repositories", &nothing).extent, Extent::Repositories(Vec::new()));
    }

    #[test]
    fn a_list_of_lost_repositories_that_is_too_long_is_taken_for_all() {
        let list = |length: u64| (1..=length).map(|id| json!({ "id": id })).collect();
        for (length, all) in [(10_000, false), (10_001, true)] {
            let body = with(access_body("removed"), "/repositories_removed", Value::Array(list(length)));
            assert_eq!(lost("installation_repositories", &body).extent == Extent::Installation, all, "{length}");
        }
    }

    #[test]
    fn what_gives_access_is_ignored_and_what_cannot_be_read_takes_none() {
        for (name, action) in [
            ("installation", "created"),
            ("installation", "unsuspend"),
            ("installation", "new_permissions_accepted"),
            ("installation", "removed"),
            ("installation_repositories", "added"),
            ("installation_repositories", "deleted"),
            ("star", "deleted"),
        ] {
            let ignored = Webhook::Ignored { action: Some(action.to_owned()) };
            assert_eq!(parse(name, access_body(action).to_string().as_bytes()), Ok(ignored), "{name} {action}");
        }
        insta::assert_snapshot!([
            problem("installation", &without(access_body("deleted"), "", "installation").to_string()),
            problem("installation", &without(access_body("suspend"), "/installation", "account").to_string()),
            problem("installation", &with(access_body("suspend"), "/installation/account/login", json!("a b")).to_string()),
            problem("installation_repositories", &without(access_body("removed"), "/installation", "id").to_string()),
            problem("installation_repositories", &with(access_body("removed"), "/repositories_removed", json!(7)).to_string()),
        ].join("\n"), @r"
        the body is not a `installation` payload: `installation` is missing
        the body is not a `installation` payload: `installation.account` is missing
        the body is not a `installation` payload: `installation.account.login`: `a b` is not an account name
        the body is not a `installation_repositories` payload: `installation.id` is missing
        the body is not a `installation_repositories` payload: invalid type: integer `7`, expected a list at line 1 column 119
        ");
    }
}
