//! The App, its installations and their tokens.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{ApiError, World, WorldError, object_id};
use crate::Timestamp;
use crate::name::{InstallationId, Owner, Repository, RepositoryId};

/// How much a permission allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// To look.
    Read,
    /// To look and to change.
    Write,
}

/// Permissions by GitHub's name, such as `contents`.
pub type Permissions = BTreeMap<String, Access>;

/// The App.
#[derive(Debug, Clone)]
pub struct AppIdentity {
    /// Its id.
    pub id: u64,
    /// Its client id, which a JWT may name in place of the id.
    pub client_id: String,
    /// Its name in URLs; `<slug>[bot]` is its login.
    pub slug: String,
    /// The account that it belongs to.
    pub owner: String,
    /// What an installation grants.
    pub permissions: Permissions,
}

impl Default for AppIdentity {
    fn default() -> Self {
        let write = ["actions", "checks", "contents", "issues", "pull_requests", "statuses", "workflows"];
        let mut permissions: Permissions = write.into_iter().map(|name| (name.to_owned(), Access::Write)).collect();
        permissions.insert("metadata".to_owned(), Access::Read);
        Self {
            id: 1001,
            client_id: "Iv23liDispatchWorld0".to_owned(),
            slug: "dispatch".to_owned(),
            owner: "octo-org".to_owned(),
            permissions,
        }
    }
}

impl AppIdentity {
    /// The login that it acts under.
    #[must_use]
    pub fn bot(&self) -> String {
        format!("{}[bot]", self.slug)
    }
}

/// One owner's consent to the App.
#[derive(Debug, Clone)]
pub struct Installation {
    /// Its id.
    pub id: InstallationId,
    /// Whose it is.
    pub owner: Owner,
    /// The repositories that it covers.
    pub repositories: BTreeSet<RepositoryId>,
    /// What it grants.
    pub permissions: Permissions,
    /// Since when it is suspended, if it is.
    pub suspended_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A body of `POST /app/installations/{id}/access_tokens`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct MintRequest {
    /// Names without their owner.
    #[serde(default)]
    pub repositories: Option<Vec<String>>,
    /// Ids.
    #[serde(default)]
    pub repository_ids: Option<Vec<RepositoryId>>,
    /// What the token may do; None: all that the installation may.
    #[serde(default)]
    pub permissions: Option<Permissions>,
}

/// A new token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MintedToken {
    /// The token: opaque.
    pub token: String,
    /// An hour from now.
    pub expires_at: Timestamp,
    /// What it may do.
    pub permissions: Permissions,
    /// The repositories that it was narrowed to; None: all of the installation.
    pub repositories: Option<BTreeSet<RepositoryId>>,
}

#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) installation: InstallationId,
    pub(super) repositories: Option<BTreeSet<RepositoryId>>,
    pub(super) permissions: Permissions,
    pub(super) expires_at: Timestamp,
}

impl Token {
    /// One permission of `any_of` is enough.
    fn may(&self, any_of: &[(&str, Access)]) -> Result<(), ApiError> {
        // Every token may read metadata, whether it was asked for or not.
        let has = |(name, wanted): &(&str, Access)| {
            self.permissions.get(*name).is_some_and(|access| access >= wanted)
                || (*name == "metadata" && *wanted == Access::Read)
        };
        any_of.iter().any(has).then_some(()).ok_or_else(|| ApiError::not_accessible(&accepted(any_of)))
    }
}

const TOKEN_LIFETIME: Duration = Duration::from_secs(3600);
/// "Up to 500 repositories" (REST API description).
const MAX_TOKEN_REPOSITORIES: usize = 500;

impl World {
    /// Installs the App on a repository: its owner's installation is made where there is none, and covers it from now on.
    ///
    /// # Errors
    /// There is no such repository.
    pub fn install(&mut self, repository: &Repository) -> Result<InstallationId, WorldError> {
        let id = self.repository_id(repository)?;
        let owner = repository.owner();
        let known = self.installations.values().find(|installation| installation.owner == owner).map(|known| known.id);
        let installation = known.unwrap_or_else(|| self.add_installation(owner));
        let added = self.installations.get_mut(&installation).is_some_and(|found| found.repositories.insert(id));
        match known {
            None => self.send_installation(installation, "created"),
            Some(_) if added => self.send_installation_repositories(installation, "added", id),
            Some(_) => {}
        }
        Ok(installation)
    }

    /// Takes the App off a repository. The owner's installation stays.
    ///
    /// # Errors
    /// There is no such repository.
    pub fn uninstall(&mut self, repository: &Repository) -> Result<(), WorldError> {
        let id = self.repository_id(repository)?;
        let covering = self.installation_of(id).map(|installation| installation.id);
        if let Some(installation) = covering {
            if let Some(installation) = self.installations.get_mut(&installation) {
                installation.repositories.remove(&id);
            }
            self.send_installation_repositories(installation, "removed", id);
        }
        Ok(())
    }

    /// Suspends the owner's installation, or ends the suspension.
    ///
    /// # Errors
    /// The owner has no installation.
    pub fn set_suspended(&mut self, owner: &Owner, suspended: bool) -> Result<(), WorldError> {
        let now = self.now();
        let installation = self.installation_for_owner(owner)?;
        installation.suspended_at = suspended.then_some(now);
        let id = installation.id;
        self.send_installation(id, if suspended { "suspend" } else { "unsuspend" });
        Ok(())
    }

    /// Changes what the owner's installation grants. Tokens that exist keep what they have.
    ///
    /// # Errors
    /// The owner has no installation.
    pub fn set_permissions(&mut self, owner: &Owner, permissions: Permissions) -> Result<(), WorldError> {
        self.installation_for_owner(owner)?.permissions = permissions;
        Ok(())
    }

    /// Makes every token expire now.
    pub fn expire_tokens(&mut self) {
        let now = self.now();
        self.tokens.values_mut().for_each(|token| token.expires_at = token.expires_at.min(now));
    }

    /// The installations of the App (`GET /app/installations`).
    pub fn installations(&self) -> impl Iterator<Item = &Installation> {
        self.installations.values()
    }

    /// The installation that covers a repository (`GET /repos/{owner}/{repo}/installation`).
    ///
    /// # Errors
    /// 404 where the App is not installed, 301 where the repository has moved.
    pub fn installation(&self, repository: &Repository) -> Result<&Installation, ApiError> {
        let id = self.resolve(repository)?;
        self.installation_of(id).ok_or_else(ApiError::not_found)
    }

    /// The installation of an account (`GET /users/{username}/installation`, which knows organisations too).
    ///
    /// # Errors
    /// 404 where the App is not installed.
    pub fn account_installation(&self, account: &str) -> Result<&Installation, ApiError> {
        let mut all = self.installations.values();
        let found = all.find(|installation| installation.owner.as_str().eq_ignore_ascii_case(account));
        found.ok_or_else(ApiError::not_found)
    }

    /// Makes a token of an installation (`POST /app/installations/{id}/access_tokens`).
    ///
    /// # Errors
    /// 404 for an unknown installation, 403 for a suspended one, 422 for what the installation does not have.
    pub fn mint_token(&mut self, id: InstallationId, request: MintRequest) -> Result<MintedToken, ApiError> {
        let installation = self.installations.get(&id).ok_or_else(ApiError::not_found)?;
        if installation.suspended_at.is_some() {
            return Err(suspended());
        }
        let repositories = self.wanted_repositories(installation, &request)?;
        let permissions = wanted_permissions(installation, request.permissions)?;
        let expires_at = self.now().checked_add(TOKEN_LIFETIME).unwrap_or(Timestamp::MAX);
        let number = self.next_id().to_string();
        // The shape of GitHub's stateless tokens, which is to be treated as opaque: long, with dots and underscores.
        let token = format!(
            "ghs_{}_{}.{}.{}",
            self.app.id,
            object_id("header", number.as_bytes()),
            object_id("claims", number.as_bytes()).repeat(4),
            object_id("signature", number.as_bytes()).repeat(2),
        );
        let kept = Token {
            installation: id,
            repositories: repositories.clone(),
            permissions: permissions.clone(),
            expires_at,
        };
        self.tokens.insert(token.clone(), kept);
        Ok(MintedToken { token, expires_at, permissions, repositories })
    }

    /// The repository that a token asks for, if it may do so. `any_of` are permissions of which one is enough.
    pub(super) fn authorize(
        &self,
        token: &str,
        repository: &Repository,
        any_of: &[(&str, Access)],
    ) -> Result<RepositoryId, ApiError> {
        let token = self.live_token(token)?;
        let id = self.resolve(repository)?;
        let covered = self.installations.get(&token.installation).is_some_and(|i| i.repositories.contains(&id));
        if !covered || token.repositories.as_ref().is_some_and(|narrowed| !narrowed.contains(&id)) {
            return Err(ApiError::not_found());
        }
        token.may(any_of)?;
        if self.state(id)?.archived && any_of.iter().all(|(_, access)| *access == Access::Write) {
            return Err(ApiError::new(403, "Repository was archived so is read-only."));
        }
        Ok(id)
    }

    /// Whether a token may do something in the organisation of its installation.
    pub(super) fn authorize_in_organisation(
        &self,
        token: &str,
        organisation: &str,
        any_of: &[(&str, Access)],
    ) -> Result<(), ApiError> {
        let token = self.live_token(token)?;
        let installation = self.installations.get(&token.installation);
        if installation.is_none_or(|known| !known.owner.as_str().eq_ignore_ascii_case(organisation)) {
            return Err(ApiError::not_found());
        }
        token.may(any_of)
    }

    pub(super) fn live_token(&self, token: &str) -> Result<&Token, ApiError> {
        let token = self.tokens.get(token).ok_or_else(ApiError::bad_credentials)?;
        if token.expires_at <= self.now() {
            return Err(ApiError::bad_credentials());
        }
        match self.installations.get(&token.installation) {
            None => Err(ApiError::bad_credentials()),
            Some(installation) if installation.suspended_at.is_some() => Err(suspended()),
            Some(_) => Ok(token),
        }
    }

    pub(super) fn installation_of(&self, repository: RepositoryId) -> Option<&Installation> {
        self.installations.values().find(|installation| installation.repositories.contains(&repository))
    }

    fn installation_for_owner(&mut self, owner: &Owner) -> Result<&mut Installation, WorldError> {
        let mut installations = self.installations.values_mut();
        let found = installations.find(|installation| installation.owner == *owner);
        found.ok_or_else(|| WorldError(format!("the App is not installed for `{owner}`")))
    }

    fn add_installation(&mut self, owner: Owner) -> InstallationId {
        let id = InstallationId(self.next_id());
        let installation = Installation {
            id,
            owner,
            repositories: BTreeSet::new(),
            permissions: self.app.permissions.clone(),
            suspended_at: None,
            created_at: self.now(),
        };
        self.installations.insert(id, installation);
        id
    }

    fn wanted_repositories(
        &self,
        installation: &Installation,
        request: &MintRequest,
    ) -> Result<Option<BTreeSet<RepositoryId>>, ApiError> {
        if request.repositories.is_none() && request.repository_ids.is_none() {
            return Ok(None);
        }
        let names = request.repositories.as_deref().unwrap_or_default();
        let ids = request.repository_ids.as_deref().unwrap_or_default();
        let by_name = names.iter().map(|name| {
            let repository = Repository::of(&installation.owner, name).ok()?;
            self.names.get(&repository).copied()
        });
        let wanted = by_name.chain(ids.iter().copied().map(Some));
        let covered = wanted.map(|id| id.filter(|id| installation.repositories.contains(id)));
        // GitHub documents the status; the wording is the one that its users quote.
        let covered: Option<BTreeSet<_>> = covered.collect();
        covered.filter(|repositories| repositories.len() <= MAX_TOKEN_REPOSITORIES).map(Some).ok_or_else(|| {
            ApiError::unprocessable(
                "There is at least one repository that does not exist or is not accessible to the parent installation.",
            )
        })
    }
}

fn wanted_permissions(installation: &Installation, wanted: Option<Permissions>) -> Result<Permissions, ApiError> {
    let Some(mut wanted) = wanted else { return Ok(installation.permissions.clone()) };
    let granted =
        |(name, access): (&String, &Access)| installation.permissions.get(name).is_some_and(|has| has >= access);
    if !wanted.iter().all(granted) {
        return Err(ApiError::unprocessable("The permissions requested are not granted to this installation."));
    }
    wanted.entry("metadata".to_owned()).or_insert(Access::Read);
    Ok(wanted)
}

fn suspended() -> ApiError {
    ApiError::new(403, "This installation has been suspended")
}

fn accepted(any_of: &[(&str, Access)]) -> String {
    let one = |(name, access): &(&str, Access)| match access {
        Access::Read => format!("{name}=read"),
        Access::Write => format!("{name}=write"),
    };
    any_of.iter().map(one).collect::<Vec<_>>().join("; ")
}
