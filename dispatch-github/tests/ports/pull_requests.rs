//! Pull requests, people, files at a commit, and workflows.

use dispatch_core::event::PullRequestState;
use dispatch_core::name::{CommitSha, PullRequestNumber};
use dispatch_core::policy::{MAX_BYTES, PolicyPath};
use dispatch_core::ports::github::RepositoryRef;
use dispatch_core::ports::pull_requests::WorkflowFound;
use dispatch_core::testing::world::{
    Access, FaultKind, PullRequestSpec, RepositoryOptions, Role, TeamRole, WorkflowState, World,
};

use crate::{Ports, PullRequests, all, app, fault, limited, told, without};

/// What is asked about pull requests and people.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step {
    /// How a pull request is.
    One(u64),
    /// What somebody may do.
    Permission(&'static str),
    /// Whether somebody is in a team.
    Member(&'static str, &'static str),
    /// How long the policy file is at the head of `topic`, and its blob.
    PolicyAtHead,
    /// Where `topic` left `main`.
    BaseOfHead,
    /// The workflows.
    Workflows,
}
use Step::{BaseOfHead, Member, One, Permission, PolicyAtHead, Workflows};

pub(crate) async fn ask(port: &dyn Ports, app: &RepositoryRef, head: &CommitSha, steps: &[Step]) -> String {
    let mut answers = Vec::new();
    for step in steps {
        answers.push(match *step {
            One(number) => told(port.pull_request(app, PullRequestNumber(number)).await.map(|found| {
                found.map(|found| {
                    let PullRequestState { open, merged, draft, head, keep, .. } = found;
                    let (head_branch, base) = (found.head_branch.to_string(), found.base_branch.to_string());
                    (open, merged, draft, head_branch, head, base, keep, found.author)
                })
            })),
            Permission(login) => told(port.permission(app, &login.parse().unwrap()).await),
            Member(team, login) => {
                told(port.is_team_member(app, &team.parse().unwrap(), &login.parse().unwrap()).await)
            }
            PolicyAtHead => {
                let read = port.policy_at(app, PolicyPath::Root, head).await;
                told(read.map(|file| file.map(|file| (file.bytes.len(), file.blob_sha))))
            }
            BaseOfHead => told(port.merge_base(app, &"main".parse().unwrap(), head).await),
            Workflows => told(port.workflows(app).await.map(|found| {
                let one =
                    |found: WorkflowFound| (found.file.to_string(), found.active, found.text.map(|text| text.len()));
                found.into_iter().map(one).collect::<Vec<_>>()
            })),
        });
    }
    answers.join("; ")
}

fn opened(world: &mut World) {
    world.open_pull_request(&app(), PullRequestSpec::new("topic")).unwrap();
}

fn of_a_fork(world: &mut World) {
    let fork = Some("stranger/app".parse().unwrap());
    let author = "stranger".to_owned();
    world.open_pull_request(&app(), PullRequestSpec { author, fork, ..PullRequestSpec::new("topic") }).unwrap();
}

#[tokio::test]
async fn pull_requests() {
    let told = all(&[
        ("none", |_| (), PullRequests(&[One(1)])),
        ("open", opened, PullRequests(&[One(1)])),
        (
            "a draft to keep",
            |w| {
                opened(w);
                w.set_draft(&app(), 1, true).unwrap();
                w.label_pull_request(&app(), 1, "keep").unwrap();
            },
            PullRequests(&[One(1)]),
        ),
        (
            "merged",
            |w| {
                opened(w);
                w.close_pull_request(&app(), 1, true).unwrap();
            },
            PullRequests(&[One(1)]),
        ),
        ("of a fork", of_a_fork, PullRequests(&[One(1)])),
        (
            "of a fork that is gone",
            |w| {
                of_a_fork(w);
                w.delete_repository(&"stranger/app".parse().unwrap()).unwrap();
            },
            PullRequests(&[One(1)]),
        ),
        ("an issue", |w| assert_eq!(w.open_issue(&app(), "octocat", "t", "b"), Ok(1)), PullRequests(&[One(1)])),
        (
            "renamed",
            |w| {
                opened(w);
                w.rename_repository(&app(), &"acme/new".parse().unwrap()).unwrap();
            },
            PullRequests(&[One(1)]),
        ),
        (
            "another repository behind the name",
            |w| {
                opened(w);
                w.rename_repository(&app(), &"acme/new".parse().unwrap()).unwrap();
                w.add_repository(&app(), RepositoryOptions::default()).unwrap();
            },
            PullRequests(&[One(1)]),
        ),
        ("no permission", |w| without(w, "pull_requests"), PullRequests(&[One(1)])),
        ("no App any more", |w| w.uninstall(&app()).unwrap(), PullRequests(&[One(1)])),
        ("forbidden", |w| fault(w, FaultKind::status(403)), PullRequests(&[One(1)])),
        ("server error", |w| fault(w, FaultKind::status(502)), PullRequests(&[One(1)])),
        ("cut", |w| fault(w, FaultKind::CutAfter), PullRequests(&[One(1)])),
        ("rate limit", |w| fault(w, limited(Some(7), None, false)), PullRequests(&[One(1)])),
    ])
    .await;
    insta::assert_snapshot!(told, @r#"
    none: None, 0 started
    open: Some((true, false, false, "topic", SameRepository, "main", false, Some(UserId(182180056)))), 0 started
    a draft to keep: Some((true, false, true, "topic", SameRepository, "main", true, Some(UserId(182180056)))), 0 started
    merged: Some((false, true, false, "topic", SameRepository, "main", false, Some(UserId(182180056)))), 0 started
    of a fork: Some((true, false, false, "topic", Fork(RepositoryId(5000000019)), "main", false, Some(UserId(191900239)))), 0 started
    of a fork that is gone: Some((true, false, false, "topic", Unknown, "main", false, Some(UserId(191900239)))), 0 started
    an issue: None, 0 started
    renamed: None, 0 started
    another repository behind the name: None, 0 started
    no permission: GitHub refused (422): The permissions requested are not granted to this installation. It wants pull_requests: read, 0 started
    no App any more: the App is not installed on acme/app, 0 started
    forbidden: None, 0 started
    server error: unavailable, 0 started
    cut: unavailable, 0 started
    rate limit: rate-limited: After(7s), 0 started
    "#);
}

#[tokio::test]
async fn people() {
    let told = all(&[
        ("nobody", |_| (), PullRequests(&[Permission("nobody-here")])),
        ("everybody in a private repository", |_| (), PullRequests(&[Permission("octocat")])),
        ("maintains", |w| w.set_permission(&app(), "hubot", Role::Maintain).unwrap(), HUBOT),
        ("triages", |w| w.set_permission(&app(), "hubot", Role::Triage).unwrap(), HUBOT),
        ("owns", |w| w.set_permission(&app(), "hubot", Role::Admin).unwrap(), HUBOT),
        ("server error", |w| fault(w, FaultKind::status(502)), HUBOT),
        ("forbidden", |w| fault(w, FaultKind::status(403)), HUBOT),
        ("no App any more", |w| w.uninstall(&app()).unwrap(), HUBOT),
        ("a team", in_team, TEAM),
        ("a team that may not be seen", |_| (), TEAM),
        ("of another organisation", in_team, PullRequests(&[Member("other/ops", "hubot")])),
    ])
    .await;
    insta::assert_snapshot!(told, @r#"
    nobody: None, 0 started
    everybody in a private repository: Some(PermissionAnswer { user: UserId(182180056), level: None }), 0 started
    maintains: Some(PermissionAnswer { user: UserId(133357444), level: Write }), 0 started
    triages: Some(PermissionAnswer { user: UserId(133357444), level: Read }), 0 started
    owns: Some(PermissionAnswer { user: UserId(133357444), level: Admin }), 0 started
    server error: unavailable, 0 started
    forbidden: GitHub refused (403): Something went wrong, 0 started
    no App any more: the App is not installed on acme/app, 0 started
    a team: true; false; false, 0 started
    a team that may not be seen: GitHub refused (422): The permissions requested are not granted to this installation. It wants members: read; GitHub refused (422): The permissions requested are not granted to this installation. It wants members: read; GitHub refused (422): The permissions requested are not granted to this installation. It wants members: read, 0 started
    of another organisation: false, 0 started
    "#);
}

const HUBOT: crate::Ask = PullRequests(&[Permission("hubot")]);
const TEAM: crate::Ask =
    PullRequests(&[Member("acme/ops", "hubot"), Member("acme/ops", "octocat"), Member("acme/none", "hubot")]);

fn in_team(world: &mut World) {
    let acme = "acme".parse().unwrap();
    let mut permissions = world.app().permissions.clone();
    permissions.insert("members".to_owned(), Access::Read);
    world.set_permissions(&acme, permissions).unwrap();
    world.add_team_member(&acme, "ops", "hubot", TeamRole::Maintainer);
}

#[tokio::test]
async fn files_at_a_commit_and_workflows() {
    let told = all(&[
        ("as on the default branch", opened, PullRequests(&[PolicyAtHead])),
        (
            "changed",
            |w| drop(w.write_file(&app(), "topic", "dispatching.yml", "outbound: []\n# more\n").unwrap()),
            PullRequests(&[PolicyAtHead, BaseOfHead]),
        ),
        (
            "removed",
            |w| drop(w.remove_file(&app(), "topic", "dispatching.yml").unwrap()),
            PullRequests(&[PolicyAtHead]),
        ),
        (
            "too long",
            |w| drop(w.write_file(&app(), "topic", "dispatching.yml", &"#".repeat(MAX_BYTES + 9)).unwrap()),
            PullRequests(&[PolicyAtHead]),
        ),
        (
            "an old branch",
            |w| {
                opened(w);
                w.write_file(&app(), "main", "dispatching.yml", "outbound: []\n# more\n").unwrap();
            },
            PullRequests(&[PolicyAtHead, BaseOfHead]),
        ),
        ("workflows", workflows, PullRequests(&[Workflows])),
        ("workflows not seen", |w| without(w, "actions"), PullRequests(&[Workflows])),
        ("files not seen", |w| without(w, "contents"), PullRequests(&[Workflows])),
        ("server error", |w| fault(w, FaultKind::status(502)), PullRequests(&[Workflows])),
    ])
    .await;
    insta::assert_snapshot!(told, @r#"
    as on the default branch: Some((12, "945c685a22644d018c14a054a3eb7675ca6024d4")), 0 started
    changed: Some((20, "897c758f8a4918cd1f92dbc1f663133892385c35")); Some(CommitSha(cbb683d9e0c6803d6a9fb5e18d074d7ad463b3e5)), 0 started
    removed: None, 0 started
    too long: Some((262145, "462c85816ce42e70cca9c4a0e89a483e62411a73")), 0 started
    an old branch: Some((12, "945c685a22644d018c14a054a3eb7675ca6024d4")); Some(CommitSha(cbb683d9e0c6803d6a9fb5e18d074d7ad463b3e5)), 0 started
    workflows: [("cd.yml", true, Some(86)), ("ci.yml", false, Some(18)), ("long.yml", true, None)], 0 started
    workflows not seen: GitHub refused (422): The permissions requested are not granted to this installation. It wants actions: read, 0 started
    files not seen: GitHub refused (422): The permissions requested are not granted to this installation. It wants contents: read, 0 started
    server error: unavailable, 0 started
    "#);
}

fn workflows(world: &mut World) {
    world.set_workflow_state(&app(), "ci.yml", WorkflowState::DisabledManually).unwrap();
    world.write_file(&app(), "main", ".github/workflows/long.yml", &"#".repeat(256 * 1024 + 1)).unwrap();
    world.write_file(&app(), "topic", ".github/workflows/topic.yml", "on: push\n").unwrap();
    world.write_file(&app(), "main", ".github/workflows/gone.yml", "on: push\n").unwrap();
    world.remove_file(&app(), "main", ".github/workflows/gone.yml").unwrap();
}
