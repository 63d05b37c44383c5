//! Who may do what, and who is in which team.

use dispatch_core::testing::world::{ApiError, World};
use serde_json::json;

use super::answer::{Answer, Call};

/// `GET /repos/{owner}/{repo}/collaborators/{username}/permission`
pub(super) fn permission(world: &mut World, call: &Call) -> Result<Answer, ApiError> {
    let (login, role) = world.collaborator_permission(call.token()?, &call.repository()?, call.part("username"))?;
    let (permission, role_name) = (role.permission(), role.as_str());
    let mut user = world.json_user(login);
    if let Some(user) = user.as_object_mut() {
        user.insert("role_name".to_owned(), role_name.into());
    }
    Ok(Answer::json(200, &json!({ "permission": permission, "role_name": role_name, "user": user })))
}

/// `GET /orgs/{org}/teams/{team_slug}/memberships/{username}`
pub(super) fn team_membership(world: &mut World, call: &Call) -> Result<Answer, ApiError> {
    let (organisation, team, login) = (call.part("org"), call.part("team"), call.part("username"));
    let role = world.team_membership(call.token()?, organisation, team, login)?;
    let url = format!("{}/organizations/{organisation}/team/{team}/memberships/{login}", world.api_url());
    Ok(Answer::json(200, &json!({ "url": url, "role": role.as_str(), "state": "active" })))
}
