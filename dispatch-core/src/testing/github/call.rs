//! One call, with a token for its repository and its permission.

use super::{CUT, WorldGitHub, no_token, refusal};
use crate::Timestamp;
use crate::ports::github::{GitHubError, RepositoryRef};
use crate::testing::world::{Access, ApiError, Caller, Exchange, World};

/// What a token may do: one thing.
pub(super) type Permission = (&'static str, Access);

/// A call, but for what it does.
pub(super) struct Call<'a> {
    repository: &'a RepositoryRef,
    permission: Permission,
    method: &'static str,
    url: String,
    not_after: Option<Timestamp>,
}

impl<'a> Call<'a> {
    /// A call that changes nothing.
    pub(super) fn read(repository: &'a RepositoryRef, permission: Permission, url: String) -> Self {
        Self { repository, permission, method: "GET", url, not_after: None }
    }

    /// A call that changes something.
    pub(super) fn write(
        repository: &'a RepositoryRef,
        permission: Permission,
        method: &'static str,
        url: String,
    ) -> Self {
        Self { repository, permission, method, url, not_after: None }
    }

    /// Not later than that.
    pub(super) fn not_after(self, not_after: Timestamp) -> Self {
        Self { not_after: Some(not_after), ..self }
    }
}

impl WorldGitHub {
    /// Makes a call. The outer error is that there is no token or no time for it; the inner one is what GitHub answered, or
    /// that it did not.
    pub(super) fn call<T>(
        &self,
        call: &Call<'_>,
        act: impl FnOnce(&mut World, &str) -> Result<(u16, T), ApiError>,
    ) -> Result<Result<T, GitHubError>, GitHubError> {
        let Call { repository, permission: (permission, access), method, url, not_after } = call;
        let name = &repository.name;
        let mut world = self.world();
        let token = self
            .token(&mut world, name, Some(repository.id), permission, *access)
            .map_err(|error| no_token(error, name))?;
        if not_after.is_some_and(|not_after| world.now() > not_after) {
            return Err(GitHubError::Unavailable("the time in which the call could be sent has passed".to_owned()));
        }
        let lost = if *method == "GET" { GitHubError::Unavailable } else { GitHubError::InDoubt };
        Ok(match world.exchange(Caller::Token(&token.text), method, url, |world| act(world, &token.text)) {
            Exchange::Answered(answer) => Ok(answer),
            Exchange::Refused(error) => {
                self.forget_refused(name, permission, &error);
                Err(refusal(error, lost))
            }
            Exchange::Cut => Err(lost(CUT.to_owned())),
        })
    }
}

/// As the client does: nothing is sent that GitHub would refuse for its length.
pub(super) fn at_most(text: &str, characters: usize, field: &str) -> Result<(), GitHubError> {
    if text.chars().nth(characters).is_none() {
        return Ok(());
    }
    let message = format!("{field} is too long (maximum is {characters} characters)");
    Err(GitHubError::Refused { status: 422, message, permission: None })
}
