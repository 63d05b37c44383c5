//! What people may do.

use dispatch_core::name::{Login, UserId};
use dispatch_core::ports::github::GitHubError;
use dispatch_core::ports::pull_requests::{PermissionAnswer, PermissionLevel, PullRequestPort};
use serde_json::{Value, json};
use wiremock::ResponseTemplate;

use crate::fake::*;

const PERMISSION: &str = "/repos/acme/app/collaborators/octocat/permission";
const MEMBERSHIP: &str = "/orgs/acme/teams/releases/memberships/octocat";

fn octocat() -> Login {
    "octocat".parse().unwrap()
}

async fn permission(answer: ResponseTemplate) -> Result<Option<PermissionAnswer>, GitHubError> {
    let fake = Fake::start().await;
    fake.answer("GET", PERMISSION, answer).await;
    let told = fake.github().permission(&app_ref(), &octocat()).await;
    assert_eq!(fake.minted().await, [only("metadata", "read")]);
    assert_eq!(fake.log().await.len(), 3, "nobody is followed");
    told
}

#[tokio::test]
async fn the_level_is_the_one_of_githubs_four_words() {
    let told = |level| Ok(Some(PermissionAnswer { user: UserId(583_231), level }));
    for (word, level) in [
        ("admin", PermissionLevel::Admin),
        ("write", PermissionLevel::Write),
        ("read", PermissionLevel::Read),
        ("none", PermissionLevel::None),
    ] {
        // The role may have any name; only the permission counts.
        let answer = json!({ "permission": word, "role_name": "admin", "user": { "login": "octocat", "id": 583_231 } });
        assert_eq!(permission(ok(answer)).await, told(level), "{word}");
    }
}

#[tokio::test]
async fn what_is_not_clearly_a_level_of_somebody_is_none() {
    let nobody = json!({ "permission": "admin", "user": null });
    assert_eq!(permission(ok(nobody)).await, Ok(None));
    assert_eq!(permission(status(404, "octocat is not a user")).await, Ok(None));
    for (case, answer) in [
        ("a word that nobody knows", ok(json!({ "permission": "owner", "user": { "id": 1 } }))),
        ("no word", ok(json!({ "user": { "id": 1 } }))),
        ("an id that is none", ok(json!({ "permission": "admin", "user": { "id": "1" } }))),
        ("moved", ResponseTemplate::new(301).insert_header("location", "/repositories/43")),
        ("forbidden", status(403, "Resource not accessible by integration")),
        ("server error", ResponseTemplate::new(502)),
    ] {
        let told = permission(answer).await;
        assert!(matches!(&told, Err(GitHubError::Unavailable(_) | GitHubError::Refused { .. })), "{case}: {told:?}");
    }
}

async fn member(team: &str, answer: ResponseTemplate) -> (Result<bool, GitHubError>, Vec<Value>) {
    let fake = Fake::start().await;
    fake.answer("GET", MEMBERSHIP, answer).await;
    let told = fake.github().is_team_member(&app_ref(), &team.parse().unwrap(), &octocat()).await;
    (told, fake.minted().await)
}

#[tokio::test]
async fn a_member_is_one_whose_membership_is_active() {
    for (answer, expected) in [
        (ok(json!({ "state": "active", "role": "member" })), true),
        (ok(json!({ "state": "pending", "role": "maintainer" })), false),
        (ok(json!({ "state": "ACTIVE" })), false),
        (status(404, "Not Found"), false),
    ] {
        assert_eq!(member("acme/releases", answer).await, (Ok(expected), vec![only("members", "read")]));
    }
    for answer in [
        ok(json!({ "role": "member" })),
        ResponseTemplate::new(302).insert_header("location", "/orgs/evil"),
        status(403, "Resource not accessible by integration"),
        ResponseTemplate::new(502),
    ] {
        let (told, _) = member("acme/releases", answer).await;
        assert!(matches!(&told, Err(GitHubError::Unavailable(_) | GitHubError::Refused { .. })), "{told:?}");
    }
}

#[tokio::test]
async fn nobody_is_asked_about_another_organisations_team() {
    let active = ok(json!({ "state": "active" }));
    assert_eq!(member("ACME/releases", active.clone()).await.0.map(drop), Ok(()));
    assert_eq!(member("evil/releases", active).await, (Ok(false), vec![]));
}
