//! The world's things as GitHub writes them: the same objects in webhooks and in answers of the API.

mod check;
mod content;
mod issue;
mod pull_request;
mod repository;
mod run;

use serde_json::{Value, json};

use super::{DeliveryRecord, Installation, World, object_id};
use crate::Timestamp;
use crate::name::InstallationId;

/// The events that the App subscribes to. Some come to every App without: `installation` and what belongs to it.
pub(super) const EVENTS: [&str; 7] =
    ["check_run", "issue_comment", "pull_request", "push", "repository", "repository_dispatch", "workflow_run"];

/// Sets fields of an object, over those that are there.
pub(super) fn with(mut object: Value, more: Value) -> Value {
    if let (Some(fields), Value::Object(more)) = (object.as_object_mut(), more) {
        fields.extend(more);
    }
    object
}

/// GitHub's short form of an installation, as in every webhook of an App.
pub(super) fn installation_ref(id: InstallationId) -> Value {
    json!({ "id": id, "node_id": node_id("IntegrationInstallation", id.0) })
}

/// GitHub's other id of a thing: opaque.
fn node_id(kind: &str, id: u64) -> String {
    format!("{kind}_{}", object_id(kind, &id.to_be_bytes()).get(..12).unwrap_or_default())
}

/// GitHub's times have whole seconds.
fn time(at: Timestamp) -> String {
    Timestamp::from_second(at.as_second()).unwrap_or(at).to_string()
}

/// An account's id, as it follows from the login.
pub(super) fn account_id(login: &str) -> u64 {
    let digits = object_id("account", login.to_ascii_lowercase().as_bytes());
    digits.get(..7).and_then(|digits| u64::from_str_radix(digits, 16).ok()).unwrap_or(1)
}

fn git_author(login: &str) -> Value {
    json!({ "name": login, "email": format!("{login}@users.noreply.github.com") })
}

impl World {
    /// An account; one whose login ends in `[bot]` is an App's.
    #[must_use]
    pub fn json_user(&self, login: &str) -> Value {
        self.account(login, if login.ends_with("[bot]") { "Bot" } else { "User" })
    }

    pub(super) fn json_owner(&self, login: &str) -> Value {
        self.account(login, "Organization")
    }

    fn account(&self, login: &str, kind: &str) -> Value {
        let id = self.user_id(login);
        let api = format!("{}/users/{}", self.api_url, login.replace('[', "%5B").replace(']', "%5D"));
        let page = match login.strip_suffix("[bot]") {
            Some(app) => format!("{}/apps/{app}", self.html_url),
            None => format!("{}/{login}", self.html_url),
        };
        json!({
            "login": login,
            "id": id,
            "node_id": node_id(kind, id),
            "avatar_url": format!("https://avatars.githubusercontent.com/u/{id}?v=4"),
            "gravatar_id": "",
            "url": api,
            "html_url": page,
            "followers_url": format!("{api}/followers"),
            "following_url": format!("{api}/following{{/other_user}}"),
            "gists_url": format!("{api}/gists{{/gist_id}}"),
            "starred_url": format!("{api}/starred{{/owner}}{{/repo}}"),
            "subscriptions_url": format!("{api}/subscriptions"),
            "organizations_url": format!("{api}/orgs"),
            "repos_url": format!("{api}/repos"),
            "events_url": format!("{api}/events{{/privacy}}"),
            "received_events_url": format!("{api}/received_events"),
            "type": kind,
            "user_view_type": "public",
            "site_admin": false,
        })
    }

    pub(super) fn json_organization(&self, login: &str) -> Value {
        let id = account_id(login);
        let api = format!("{}/orgs/{login}", self.api_url);
        json!({
            "login": login,
            "id": id,
            "node_id": node_id("Organization", id),
            "url": api,
            "repos_url": format!("{api}/repos"),
            "events_url": format!("{api}/events"),
            "hooks_url": format!("{api}/hooks"),
            "issues_url": format!("{api}/issues"),
            "members_url": format!("{api}/members{{/member}}"),
            "public_members_url": format!("{api}/public_members{{/member}}"),
            "avatar_url": format!("https://avatars.githubusercontent.com/u/{id}?v=4"),
            "description": "",
        })
    }

    /// An installation.
    #[must_use]
    pub fn json_installation(&self, installation: &Installation) -> Value {
        let id = installation.id;
        let owner = installation.owner.as_str();
        json!({
            "id": id,
            "account": self.json_owner(owner),
            "repository_selection": "selected",
            "access_tokens_url": format!("{}/app/installations/{id}/access_tokens", self.api_url),
            "repositories_url": format!("{}/installation/repositories", self.api_url),
            "html_url": format!("{}/organizations/{owner}/settings/installations/{id}", self.html_url),
            "app_id": self.app.id,
            "app_slug": self.app.slug,
            "client_id": self.app.client_id,
            "target_id": account_id(owner),
            "target_type": "Organization",
            "permissions": installation.permissions,
            "events": EVENTS,
            "created_at": time(installation.created_at),
            "updated_at": time(installation.suspended_at.unwrap_or(installation.created_at)),
            "single_file_name": null,
            "has_multiple_single_files": false,
            "single_file_paths": [],
            "suspended_by": installation.suspended_at.map(|_| self.json_user("octocat")),
            "suspended_at": installation.suspended_at.map(time),
        })
    }

    /// The App, as check runs and `GET /app` show it.
    #[must_use]
    pub fn json_app(&self) -> Value {
        let app = &self.app;
        json!({
            "id": app.id,
            "slug": app.slug,
            "client_id": app.client_id,
            "node_id": node_id("Integration", app.id),
            "owner": self.json_owner(&app.owner),
            "name": app.slug,
            "description": "",
            "external_url": "https://example.com",
            "html_url": format!("{}/apps/{}", self.html_url, app.slug),
            "created_at": "2020-01-01T00:00:00Z",
            "updated_at": "2020-01-01T00:00:00Z",
            "permissions": app.permissions,
            "events": EVENTS,
        })
    }

    /// Another App, as a comment shows it that was made through it.
    fn json_app_named(&self, slug: &str) -> Value {
        if slug == self.app.slug {
            return self.json_app();
        }
        let id = account_id(slug);
        let own = json!({
            "id": id,
            "slug": slug,
            "client_id": format!("Iv1.{id:x}"),
            "node_id": node_id("Integration", id),
            "owner": self.json_owner(slug),
            "name": slug,
            "html_url": format!("{}/apps/{slug}", self.html_url),
        });
        with(self.json_app(), own)
    }

    /// What somebody is to a repository, as GitHub labels it. No right follows from it: who may only read is a
    /// `COLLABORATOR` too, and who may write by a private membership comes as a `CONTRIBUTOR` (observed).
    fn association(&self, state: &super::RepositoryState, login: &str) -> &'static str {
        match state.roles.get(&login.to_ascii_lowercase()) {
            Some(super::Role::Read | super::Role::Triage) => "COLLABORATOR",
            Some(super::Role::Write | super::Role::Maintain) => "CONTRIBUTOR",
            Some(super::Role::Admin) => "MEMBER",
            Some(super::Role::None) | None => "NONE",
        }
    }

    /// One line of the log of deliveries.
    #[must_use]
    pub fn json_delivery(&self, record: &DeliveryRecord) -> Value {
        let webhook = &record.webhook;
        json!({
            "id": record.id,
            "guid": webhook.delivery,
            "delivered_at": time(record.delivered_at),
            "redelivery": webhook.redelivery,
            "duration": record.duration,
            "status": record.status,
            "status_code": record.status_code,
            "event": webhook.event,
            "action": webhook.action,
            "installation_id": webhook.installation,
            "repository_id": webhook.repository,
            "throttled_at": null,
        })
    }
}
