//! People: what they may do, who they are, and which teams they are in.

use dispatch_core::testing::world::{Access, MintRequest, RepositoryOptions, Role, TeamRole};

use crate::{repository, token, world};

#[test]
fn githubs_roles_read_as_its_four_permissions() {
    let mut world = world();
    let web = repository("octo-org/web");
    let token = token(&mut world, "octo-org/web", "contents", Access::Read);
    let cases = [
        (Role::Admin, "admin"),
        (Role::Maintain, "write"),
        (Role::Write, "write"),
        (Role::Triage, "read"),
        (Role::Read, "read"),
        (Role::None, "none"),
    ];
    for (role, permission) in cases {
        world.set_permission(&web, "Hubot", role).unwrap();
        let (login, got) = world.collaborator_permission(&token, &web, "hubot").unwrap();
        assert_eq!((login, got, got.permission()), ("Hubot", role, permission));
    }
}

#[test]
fn strangers_may_read_what_is_public_and_nobody_else_is_unknown() {
    let mut world = world();
    let (web, secret) = (repository("octo-org/web"), repository("octo-org/secret"));
    world.add_repository(&secret, RepositoryOptions { private: true, ..RepositoryOptions::default() }).unwrap();
    let token_web = token(&mut world, "octo-org/web", "contents", Access::Read);
    let token_secret = token(&mut world, "octo-org/secret", "contents", Access::Read);
    let unknown = world.collaborator_permission(&token_web, &web, "stranger").unwrap_err();
    assert_eq!(unknown.status, 404);
    let issue = world.open_issue(&web, "stranger", "t", "b").unwrap();
    world.comment(&web, issue, "stranger", "hello").unwrap();
    assert_eq!(world.collaborator_permission(&token_web, &web, "stranger").unwrap(), ("stranger", Role::Read));
    assert_eq!(world.collaborator_permission(&token_secret, &secret, "stranger").unwrap(), ("stranger", Role::None));
    world.delete_user("stranger");
    assert_eq!(world.collaborator_permission(&token_web, &web, "stranger").unwrap_err().status, 404);
}

#[test]
fn who_takes_over_a_login_has_another_id_and_no_right_of_the_one_before() {
    let mut world = world();
    let web = repository("octo-org/web");
    world.set_permission(&web, "hubot", Role::Admin).unwrap();
    world.add_team_member(&web.owner(), "ops", "hubot", TeamRole::Member);
    let before = world.user_id("hubot");
    assert_eq!(world.user_id("HUBOT"), before, "logins have no case");
    let after = world.take_over_login("hubot");
    assert_ne!(before, after);
    assert_eq!(world.json_user("hubot")["id"], after);
    let token = token(&mut world, "octo-org/web", "contents", Access::Read);
    assert_eq!(world.collaborator_permission(&token, &web, "hubot").unwrap().1, Role::Read);
}

#[test]
fn a_team_is_seen_where_members_may_be_read_and_nowhere_else() {
    let mut world = world();
    let web = repository("octo-org/web");
    world.add_team_member(&web.owner(), "ops", "Hubot", TeamRole::Maintainer);
    world.add_team_member(&web.owner(), "ops", "octocat", TeamRole::Member);
    let blind = token(&mut world, "octo-org/web", "contents", Access::Write);
    let refused = world.team_membership(&blind, "octo-org", "ops", "hubot").unwrap_err();
    assert_eq!((refused.status, refused.header("x-accepted-github-permissions")), (403, Some("members=read")));

    let mut permissions = world.app().permissions.clone();
    permissions.insert("members".to_owned(), Access::Read);
    world.set_permissions(&web.owner(), permissions).unwrap();
    let token = token(&mut world, "octo-org/web", "members", Access::Read);
    let role = |organisation: &str, team, login| {
        world.team_membership(&token, organisation, team, login).map_err(|error| error.status)
    };
    assert_eq!(role("octo-org", "ops", "hubot"), Ok(TeamRole::Maintainer));
    assert_eq!(role("Octo-Org", "Ops", "OctoCat"), Ok(TeamRole::Member));
    assert_eq!(role("octo-org", "ops", "stranger"), Err(404));
    assert_eq!(role("octo-org", "none", "hubot"), Err(404));
    assert_eq!(role("other-org", "ops", "hubot"), Err(404), "a token ends at its own organisation");
    world.remove_team_member(&web.owner(), "ops", "hubot");
    assert_eq!(world.team_membership(&token, "octo-org", "ops", "hubot").unwrap_err().status, 404);
    let everything = world.installation(&web).unwrap().id;
    let token = world.mint_token(everything, MintRequest::default()).unwrap().token;
    assert!(world.team_membership(&token, "octo-org", "ops", "octocat").is_ok());
}
