//! People: their accounts, what they may do in a repository, and the teams that they are in.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::json::account_id;
use super::{Access, ApiError, World, WorldError};
use crate::name::{Owner, Repository};

/// An account of a person.
#[derive(Debug, Clone)]
pub(super) struct User {
    /// As it is written.
    pub(super) login: String,
    pub(super) id: u64,
}

/// A team: its organisation and its name in URLs, in lower case.
pub(super) type TeamKey = (String, String);

/// What somebody may do in a repository: GitHub's base roles, and nothing at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the words are GitHub's own")]
pub enum Role {
    None,
    Read,
    Triage,
    Write,
    Maintain,
    Admin,
}

impl Role {
    /// GitHub's word, as in `role_name`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Read => "read",
            Self::Triage => "triage",
            Self::Write => "write",
            Self::Maintain => "maintain",
            Self::Admin => "admin",
        }
    }

    /// The older four words, as in `permission`: who maintains may write, who triages may read.
    #[must_use]
    pub fn permission(self) -> &'static str {
        match self {
            Self::Triage => "read",
            Self::Maintain => "write",
            other => other.as_str(),
        }
    }
}

impl FromStr for Role {
    type Err = WorldError;

    fn from_str(text: &str) -> Result<Self, WorldError> {
        let all = [Self::None, Self::Read, Self::Triage, Self::Write, Self::Maintain, Self::Admin];
        let found = all.into_iter().find(|role| role.as_str() == text);
        found.ok_or_else(|| WorldError(format!("`{text}` is no role")))
    }
}

/// What somebody is in a team.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the words are GitHub's own")]
pub enum TeamRole {
    Member,
    Maintainer,
}

impl TeamRole {
    /// GitHub's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Maintainer => "maintainer",
        }
    }
}

impl World {
    /// Says what somebody may do in a repository, whatever gives it to them.
    ///
    /// # Errors
    /// There is no such repository.
    pub fn set_permission(&mut self, repository: &Repository, login: &str, role: Role) -> Result<(), WorldError> {
        let id = self.repository_id(repository)?;
        self.note_user(login);
        self.repository_mut(id)?.roles.insert(login.to_ascii_lowercase(), role);
        Ok(())
    }

    /// The numeric id of an account. It follows from the login, until the account is [taken over](World::take_over_login).
    #[must_use]
    pub fn user_id(&self, login: &str) -> u64 {
        self.users.get(&login.to_ascii_lowercase()).map_or_else(|| account_id(login), |user| user.id)
    }

    /// The account of a login is deleted and somebody else takes the login: it has another id from now on, and no
    /// permission and no team of the one before.
    pub fn take_over_login(&mut self, login: &str) -> u64 {
        let id = self.next_id();
        self.forget_user(login);
        self.users.insert(login.to_ascii_lowercase(), User { login: login.to_owned(), id });
        id
    }

    /// The account of a login is deleted.
    pub fn delete_user(&mut self, login: &str) {
        self.forget_user(login);
    }

    /// Adds somebody to a team, which is made where there is none.
    pub fn add_team_member(&mut self, organisation: &Owner, team: &str, login: &str, role: TeamRole) {
        self.note_user(login);
        let members = self.teams.entry(team_key(organisation.as_str(), team)).or_default();
        members.insert(login.to_ascii_lowercase(), role);
    }

    /// Takes somebody out of a team.
    pub fn remove_team_member(&mut self, organisation: &Owner, team: &str, login: &str) {
        if let Some(members) = self.teams.get_mut(&team_key(organisation.as_str(), team)) {
            members.remove(&login.to_ascii_lowercase());
        }
    }

    /// What somebody may do, with the login as it is written
    /// (`GET /repos/{owner}/{repo}/collaborators/{username}/permission`).
    ///
    /// # Errors
    /// GitHub's refusals; 404 for who has no account.
    pub fn collaborator_permission(
        &self,
        token: &str,
        repository: &Repository,
        login: &str,
    ) -> Result<(&str, Role), ApiError> {
        let state = self.repository(token, repository)?;
        let key = login.to_ascii_lowercase();
        let user = self.users.get(&key).ok_or_else(ApiError::not_found)?;
        // On a public repository outsiders get `read` (observed).
        let everybody = if state.private { Role::None } else { Role::Read };
        Ok((&user.login, state.roles.get(&key).copied().unwrap_or(everybody)))
    }

    /// What somebody is in a team (`GET /orgs/{org}/teams/{team_slug}/memberships/{username}`).
    ///
    /// # Errors
    /// GitHub's refusals; 404 for who is not in it.
    pub fn team_membership(
        &self,
        token: &str,
        organisation: &str,
        team: &str,
        login: &str,
    ) -> Result<TeamRole, ApiError> {
        self.authorize_in_organisation(token, organisation, &[("members", Access::Read)])?;
        let members = self.teams.get(&team_key(organisation, team));
        let role = members.and_then(|members| members.get(&login.to_ascii_lowercase()));
        role.copied().ok_or_else(ApiError::not_found)
    }

    /// Who does something has an account.
    pub(super) fn note_user(&mut self, login: &str) {
        let known = self.users.entry(login.to_ascii_lowercase());
        known.or_insert_with(|| User { login: login.to_owned(), id: account_id(login) });
    }

    fn forget_user(&mut self, login: &str) {
        let key = login.to_ascii_lowercase();
        self.users.remove(&key);
        self.repositories.values_mut().for_each(|state| state.roles.retain(|login, _| *login != key));
        self.teams.values_mut().for_each(|members| members.retain(|login, _| *login != key));
    }
}

fn team_key(organisation: &str, team: &str) -> TeamKey {
    (organisation.to_ascii_lowercase(), team.to_ascii_lowercase())
}
