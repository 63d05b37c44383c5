//! Whoever waits for something is told why nothing comes of it: what may not be read, what cannot be decided, what floods.

use std::time::Duration;

use dispatch_core::fact::FactBody;
use dispatch_core::reason::Reason;
use dispatch_core::testing::world::{FaultKind, PullRequestSpec, Role};

use crate::house::{CONTENTS, House, api};
use crate::notices::{LISTENER, checks, comments, previews, reactions, settle};

const POLICIES_OF_WEB: &str = "/repos/octo-org/web/contents/**";

fn opened(house: &House) -> u64 {
    let number = house.world().open_pull_request(&api(), PullRequestSpec::new("topic")).unwrap();
    settle(house);
    house.advance(Duration::from_secs(10));
    settle(house);
    number
}

fn say(house: &House, number: u64, by: &str, text: &str) -> u64 {
    let comment = house.world().comment(&api(), number, by, text).unwrap();
    settle(house);
    comment
}

/// What the one comment of the App says.
fn comment(house: &House) -> String {
    let comments = comments(house);
    assert_eq!(comments.len(), 1, "{comments:?}\n{}", house.story());
    comments[0].body.clone()
}

/// Takes a permission away from the App.
fn without(house: &House, permission: &str) {
    let permissions = {
        let world = house.world();
        let mut permissions = world.installation(&api()).unwrap().permissions.clone();
        permissions.remove(permission).unwrap();
        permissions
    };
    house.world().set_permissions(&api().owner(), permissions).unwrap();
}

#[test]
fn a_target_whose_policy_may_not_be_read_is_denied_and_the_pull_request_is_told() {
    let house = previews(LISTENER);
    house.order_times("GET", POLICIES_OF_WEB, FaultKind::status(422), 10);
    house.world().open_pull_request(&api(), PullRequestSpec::new("topic")).unwrap();
    settle(&house);
    let story = house.story();
    assert!(story.contains("octo-org/web preview denied unreadable_target_config"), "{story}");
    assert_eq!(
        checks(&house),
        ["dispatch / octo-org/web / preview: completed neutral: the target has not agreed or does not exist"]
    );
}

#[test]
fn a_command_that_cannot_be_decided_about_in_time_is_answered() {
    let house = previews(LISTENER);
    let number = opened(&house);
    house.order_times("GET", CONTENTS, FaultKind::status(502), 1_000);
    let command = say(&house, number, "alice", "/deploy");
    let other = say(&house, number, "alice", "/lgtm");
    for _ in 0..20 {
        house.advance(Duration::from_secs(60));
        settle(&house);
    }
    assert_eq!(reactions(&house, command), ["confused"], "{}", house.story());
    assert_eq!(reactions(&house, other), Vec::<String>::new(), "no rule named it when the file was read last");
    let body = comment(&house);
    assert!(body.contains("- `/deploy` by `alice`: the command was given at"), "{body}");
}

#[test]
fn whoever_may_write_learns_that_the_policy_file_has_errors_when_he_gives_a_command() {
    let house = previews(LISTENER);
    let number = opened(&house);
    house.write(&api(), "dispatching.yml", "outbound: 7\n");
    house.deliver();
    house.world().set_permission(&api(), "mallory", Role::Read).unwrap();
    let by_stranger = say(&house, number, "mallory", "/deploy");
    assert_eq!((reactions(&house, by_stranger), comments(&house).len()), (vec![], 0), "{}", house.story());
    let by_writer = say(&house, number, "alice", "/deploy");
    assert_eq!(reactions(&house, by_writer), ["confused"]);
    assert!(comment(&house).contains("`octo-org/api/dispatching.yml`: line 1: "), "{}", comment(&house));
}

#[test]
fn a_missing_permission_is_told_with_its_name() {
    let of_a_team = "\
outbound:
  - source: { command: /deploy, permission: octo-org/ops }
    targets: [{ repository: web, event: deploy, payload: { pr: '{{ pr.number }}' } }]
";
    // Everybody may read who may do what, so that it takes another cause to be refused that.
    let refuse = |house: &House| {
        let headers = [("X-Accepted-GitHub-Permissions".to_owned(), "metadata=read".to_owned())].into();
        let path = "/repos/octo-org/api/collaborators/alice/permission";
        house.order("GET", path, FaultKind::Status { status: 403, body: None, headers });
    };
    type Change<'a> = &'a dyn Fn(&House);
    let cases: [(Change<'_>, Reason, &str); 3] = [
        (&|house| without(house, "pull_requests"), Reason::PullRequestNotOpen, "pull_requests: read"),
        (&refuse, Reason::CommenterNotPermitted, "metadata=read"),
        // The App was never granted this one: it is wanted for teams in rules alone.
        (&|_| (), Reason::CommenterNotPermitted, "members: read"),
    ];
    for (change, reason, permission) in cases {
        let house = previews(LISTENER);
        let number = opened(&house);
        house.write(&api(), "dispatching.yml", of_a_team);
        house.deliver();
        change(&house);
        say(&house, number, "alice", "/deploy");
        let facts = house.store.inner.facts();
        let skipped = facts.iter().rev().find_map(|fact| match &fact.body {
            FactBody::DeliveryPlanned { plan, .. } => plan.skipped.clone(),
            _ => None,
        });
        let skipped = skipped.unwrap();
        assert_eq!(skipped.reason, reason, "{permission}");
        let wanted = format!("(GitHub wants the permission {permission})");
        assert!(skipped.message.ends_with(&wanted), "{permission}: {}", skipped.message);
    }
}

#[test]
fn a_pull_request_that_closes_without_ever_having_had_an_environment_is_not_told_of_it() {
    let house = House::new();
    let outbound = "\
environments:
  - { name: 'pr-{{ pr.number }}' }
outbound:
  - source: { command: /up }
    targets: [{ repository: web, event: up, environment: create, payload: { pr: '{{ pr.number }}' } }]
  - source: { pull_request: [closed] }
    targets:
      - { repository: web, event: gone, environment: destroy, report: [check, comment], payload: { pr: '{{ pr.number }}' } }
";
    house.write(&api(), "dispatching.yml", outbound);
    house.deliver();
    let number = opened(&house);
    house.world().close_pull_request(&api(), number, true).unwrap();
    settle(&house);
    assert!(house.story().contains("octo-org/web gone denied environment_not_held"), "{}", house.story());
    assert_eq!((checks(&house), comments(&house).len()), (vec![], 0));
}

#[test]
fn a_flood_of_commands_is_answered_slowly() {
    let house = previews(LISTENER);
    let number = opened(&house);
    house.world().set_permission(&api(), "mallory", Role::Read).unwrap();
    let commands: Vec<_> = (0..50).map(|_| say(&house, number, "mallory", "/deploy")).collect();
    let answered = || commands.iter().filter(|comment| !reactions(&house, **comment).is_empty()).count();
    assert_eq!(answered(), 20);
    let of_comments = |request: &&String| request.contains("/comments") && !request.starts_with("GET");
    let requests = house.requests();
    let writes: Vec<_> = requests.iter().filter(of_comments).filter(|it| !it.contains("/reactions")).collect();
    assert_eq!(writes.len(), 1, "{writes:?}");
    for _ in 0..3 {
        house.advance(Duration::from_secs(61));
        settle(&house);
    }
    assert_eq!(answered(), 50);
    assert!(comment(&house).matches("- `/deploy`").count() > 20, "{}", comment(&house));
    let requests = house.requests();
    let edits: Vec<_> = requests.iter().filter(|request| request.starts_with("PATCH")).collect();
    assert!(edits.len() <= 3, "{edits:?}");
}

#[test]
fn a_check_that_is_wanted_again_in_vain_is_shown_again_as_it_is() {
    let house = previews(LISTENER);
    opened(&house);
    let check = house.world().check_runs().last().unwrap().id;
    house.world().set_permission(&api(), "mallory", Role::Read).unwrap();
    house.requests();
    house.world().rerequest_check(&api(), check, "mallory").unwrap();
    settle(&house);
    assert!(house.story().contains("skipped commenter_not_permitted"), "{}", house.story());
    let requests = house.requests();
    assert!(requests.contains(&format!("PATCH /repos/octo-org/api/check-runs/{check} 200")), "{requests:?}");
}
