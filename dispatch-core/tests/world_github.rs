//! The port over the world: the same answers, and the same number of requests, as a real client would have.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dispatch_core::Timestamp;
use dispatch_core::event::Head;
use dispatch_core::name::{PullRequestNumber, Repository, RepositoryId};
use dispatch_core::notice::{Check, CheckConclusion, CheckStatus, Reaction};
use dispatch_core::policy::PolicyPath;
use dispatch_core::ports::github::{FileRead, RateLimitReset, RepositoryRef};
use dispatch_core::ports::pull_requests::PermissionLevel;
use dispatch_core::ports::{GitHubError, GitHubPort, NoticePort, PullRequestPort};
use dispatch_core::request::{DispatchRequest, WorkflowDispatch};
use dispatch_core::testing::world::{Fault, FaultKind, PullRequestSpec, RepositoryOptions, Role, WorkflowState};
use dispatch_core::testing::{World, WorldGitHub};
use futures_util::FutureExt;

const DISPATCHES: &str = "/repos/*/*/actions/workflows/*/dispatches";

fn web() -> Repository {
    "octo-org/web".parse().unwrap()
}

fn github() -> (WorldGitHub, RepositoryRef) {
    let mut world = World::new("2026-01-01T00:00:00Z".parse().unwrap());
    let id = world.add_repository(&web(), RepositoryOptions::default()).unwrap();
    world.write_file(&web(), "main", "dispatching.yml", "inbound: []\n").unwrap();
    world.write_file(&web(), "main", ".github/workflows/cd.yml", "on: workflow_dispatch\njobs: {}\n").unwrap();
    (WorldGitHub::new(Arc::new(Mutex::new(world))), RepositoryRef { id, name: web() })
}

fn read(github: &WorldGitHub, path: PolicyPath, known: Option<&FileRead>) -> Result<FileRead, GitHubError> {
    let version =
        known.and_then(|read| if let FileRead::Found { version, .. } = read { version.as_ref() } else { None });
    github.read_file(&web(), None, path, version).now_or_never().unwrap()
}

fn dispatch(github: &WorldGitHub, target: &RepositoryRef) -> Result<bool, GitHubError> {
    let request = WorkflowDispatch::new("cd.yml".parse().unwrap(), "main".parse().unwrap(), BTreeMap::new()).unwrap();
    let request = DispatchRequest::Workflow(request);
    github
        .dispatch(target, &request, dispatch_core::Timestamp::MAX)
        .now_or_never()
        .unwrap()
        .map(|started| started.is_some())
}

fn order(github: &WorldGitHub, method: &str, path: &str, kind: FaultKind) {
    github.world().faults.push(Fault::once(method, path, kind).unwrap());
}

#[test]
fn a_file_is_found_with_its_repository_and_then_not_modified() {
    let (github, target) = github();
    let first = read(&github, PolicyPath::Root, None).unwrap();
    let FileRead::Found { repository, bytes, .. } = &first else { panic!("not found: {first:?}") };
    assert_eq!((repository.id, repository.private), (target.id, false));
    assert_eq!(bytes, b"inbound: []\n");
    assert_eq!(read(&github, PolicyPath::Root, Some(&first)).unwrap(), FileRead::NotModified);
    let missing = read(&github, PolicyPath::DotGithub, None).unwrap();
    assert_eq!(missing, FileRead::NoSuchFile { repository: *repository });
    let world = github.world();
    let shown = |request: &dispatch_core::testing::world::ApiRequest| (request.path.clone(), request.status);
    let about_files: Vec<_> = world.requests().iter().filter(|r| !r.is_about_credentials()).map(shown).collect();
    assert_eq!(
        about_files,
        [
            ("/repos/octo-org/web/contents/dispatching.yml".to_owned(), Some(200)),
            ("/repos/octo-org/web/contents/dispatching.yml".to_owned(), Some(304)),
            ("/repos/octo-org/web/contents/.github/dispatching.yml".to_owned(), Some(404)),
        ]
    );
    assert_eq!(world.requests().len() - about_files.len(), 2, "one installation, one token");
}

#[test]
fn who_is_not_there_is_told_from_who_is_not_installed() {
    let (github, _) = github();
    let other = github.read_file(&web(), Some(RepositoryId(7)), PolicyPath::Root, None).now_or_never().unwrap();
    assert_eq!(other, Ok(FileRead::NoSuchRepository), "another repository has the name");
    github.world().set_suspended(&web().owner(), true).unwrap();
    let (suspended, target) = (github.clone(), RepositoryRef { id: RepositoryId(7), name: web() });
    assert_eq!(
        suspended.read_file(&web(), None, PolicyPath::Root, None).now_or_never().unwrap(),
        Ok(FileRead::NotInstalled)
    );
    assert_eq!(dispatch(&github, &target), Err(GitHubError::NotInstalled(web())));
}

#[test]
fn a_commit_is_on_a_branch_when_the_branch_reaches_it() {
    let (github, target) = github();
    let (old, new, stray) = {
        let mut world = github.world();
        let old = world.branch_head(&web(), "main").unwrap();
        let new = world.write_file(&web(), "main", "a", "b").unwrap();
        let stray = world.stray_commit(&web(), &[("evil", Some(b"x"))]).unwrap();
        world.set_tag(&web(), "main", &stray).unwrap();
        (old, new, stray)
    };
    let on = |branch: &str, sha| {
        github.commit_on_branch(&target, &branch.parse().unwrap(), sha).now_or_never().unwrap().unwrap()
    };
    assert!(on("main", &old));
    assert!(on("main", &new));
    assert!(!on("main", &stray), "a tag called main does not count");
    assert!(!on("nowhere", &new));
}

#[test]
fn a_dispatch_starts_one_run_and_names_it_unless_the_server_cannot() {
    let (github, target) = github();
    assert_eq!(dispatch(&github, &target), Ok(true));
    github.world().enterprise_server = true;
    assert_eq!(dispatch(&github, &target), Ok(false));
    assert_eq!(github.world().take_dispatches().len(), 2);
    github.world().finish().unwrap();
}

#[test]
fn a_cut_leaves_a_write_in_doubt_whether_it_was_done_or_not() {
    let (github, target) = github();
    for (kind, done) in [(FaultKind::CutBefore, 0), (FaultKind::CutAfter, 1), (FaultKind::status(502), 0)] {
        order(&github, "POST", DISPATCHES, kind);
        assert!(matches!(dispatch(&github, &target), Err(GitHubError::InDoubt(_))));
        assert_eq!(github.world().take_dispatches().len(), done);
    }
    order(&github, "GET", "/repos/**", FaultKind::status(502));
    assert!(matches!(read(&github, PolicyPath::Root, None), Err(GitHubError::Unavailable(_))));
}

#[test]
fn rate_limits_are_told_with_their_end() {
    let (github, target) = github();
    let limited = |retry_after, reset_in| FaultKind::RateLimited { retry_after, reset_in, secondary: false };
    let end = github.world().now().as_second() + 90;
    let cases = [
        (limited(Some(30), None), RateLimitReset::After(Duration::from_secs(30))),
        (limited(None, Some(90)), RateLimitReset::At(jiff::Timestamp::from_second(end).unwrap())),
        (FaultKind::RateLimited { retry_after: None, reset_in: None, secondary: true }, RateLimitReset::Unknown),
    ];
    for (kind, expected) in cases {
        order(&github, "POST", DISPATCHES, kind);
        let Err(GitHubError::RateLimited { until, .. }) = dispatch(&github, &target) else { panic!("not limited") };
        assert_eq!(until, expected);
    }
    github.world().finish().unwrap();
}

#[test]
fn a_refusal_carries_githubs_words() {
    let (github, target) = github();
    github.world().set_workflow_state(&web(), "cd.yml", WorkflowState::DisabledManually).unwrap();
    let message = "Cannot trigger a 'workflow_dispatch' on a disabled workflow".to_owned();
    assert_eq!(dispatch(&github, &target), Err(GitHubError::Refused { status: 422, message, permission: None }));
}

/// What was asked of GitHub besides credentials: the method, the path, the one permission of the token, and the status.
fn asked(github: &WorldGitHub) -> Vec<(String, String, String, Option<u16>)> {
    let requests = github.world().take_requests();
    let about = |request: &dispatch_core::testing::world::ApiRequest| {
        let permissions = request.permissions.clone().unwrap_or_default();
        let mut own = permissions.into_iter().filter(|(name, _)| name != "metadata");
        let permission = own.next().map_or("metadata".to_owned(), |(name, access)| format!("{name}:{access:?}"));
        assert_eq!(own.next(), None, "one permission for each call");
        (request.method.clone(), request.path.clone(), permission, request.status)
    };
    requests.iter().filter(|request| !request.is_about_credentials()).map(about).collect()
}

#[test]
fn pull_requests_and_people_are_read_with_one_permission_each() {
    let (github, web) = github();
    let number = github.world().open_pull_request(&web.name, PullRequestSpec::new("topic")).unwrap();
    github.world().set_permission(&web.name, "hubot", Role::Maintain).unwrap();
    let head = github.world().branch_head(&web.name, "topic").unwrap();
    let pull = github.pull_request(&web, PullRequestNumber(number)).now_or_never().unwrap().unwrap().unwrap();
    assert_eq!((pull.open, &pull.head_sha, pull.head), (true, &head, Head::SameRepository));
    let permission = github.permission(&web, &"hubot".parse().unwrap()).now_or_never().unwrap().unwrap().unwrap();
    assert_eq!((permission.user.0, permission.level), (github.world().user_id("hubot"), PermissionLevel::Write));
    let file = github.policy_at(&web, PolicyPath::Root, &head).now_or_never().unwrap().unwrap();
    assert_eq!(file.unwrap().bytes, b"inbound: []\n");
    let workflows = github.workflows(&web).now_or_never().unwrap().unwrap();
    assert_eq!((workflows.len(), workflows[0].active), (1, true));
    let get = |path: &str, permission: &str| {
        ("GET".to_owned(), format!("/repos/octo-org/web/{path}"), permission.to_owned(), Some(200))
    };
    assert_eq!(
        asked(&github),
        [
            get("pulls/1", "pull_requests:Read"),
            get("collaborators/hubot/permission", "metadata"),
            get("contents/dispatching.yml", "contents:Read"),
            get("actions/workflows", "actions:Read"),
            get("contents/.github/workflows/cd.yml", "contents:Read"),
        ]
    );
}

#[test]
fn what_does_not_tell_how_a_pull_request_is_does_not_make_it_closed() {
    let (github, web) = github();
    github.world().open_pull_request(&web.name, PullRequestSpec::new("topic")).unwrap();
    let read = || github.pull_request(&web, PullRequestNumber(1)).now_or_never().unwrap();
    for status in [301, 403, 404, 410] {
        order(&github, "GET", "/repos/*/*/pulls/*", FaultKind::status(status));
        assert_eq!(read(), Ok(None), "{status}");
    }
    order(&github, "GET", "/repos/*/*/pulls/*", FaultKind::status(502));
    assert!(matches!(read(), Err(GitHubError::Unavailable(_))));
    assert!(read().unwrap().is_some_and(|pull| pull.open));
}

#[test]
fn a_check_and_a_comment_are_made_once_and_found_again() {
    let (github, web) = github();
    let number = PullRequestNumber(github.world().open_pull_request(&web.name, PullRequestSpec::new("topic")).unwrap());
    let check = Check {
        id: "ab".repeat(32).parse().unwrap(),
        repository: web.clone(),
        head_sha: github.world().branch_head(&web.name, "topic").unwrap(),
        name: "dispatch / octo-org/web / cd.yml".to_owned(),
        origin: None,
        status: CheckStatus::Queued,
        title: "queued".to_owned(),
        summary: "It waits.".to_owned(),
        details_url: None,
        annotations: Vec::new(),
    };
    let never = dispatch_core::Timestamp::MAX;
    order(&github, "POST", "/repos/*/*/check-runs", FaultKind::CutAfter);
    let lost = github.create_check(&check, never).now_or_never().unwrap();
    assert!(matches!(lost, Err(GitHubError::InDoubt(_))));
    let id = github.find_check(&check).now_or_never().unwrap().unwrap().expect("it was made all the same");
    let done = Check { status: CheckStatus::Completed(CheckConclusion::Neutral), ..check };
    github.update_check(id, &done, Timestamp::MAX).now_or_never().unwrap().unwrap();
    let shown = github.world().check_runs().map(|check| (check.status.clone(), check.conclusion.clone())).next();
    assert_eq!(shown, Some(("completed".to_owned(), Some("neutral".to_owned()))));

    let comment = github.create_comment(&web, number, "a <!-- m --> b", never).now_or_never().unwrap().unwrap();
    github.world().comment(&web.name, number.0, "mallory", "<!-- m -->").unwrap();
    let found = github.find_comment(&web, number, "<!-- m -->").now_or_never().unwrap().unwrap();
    assert_eq!(found, Some(comment), "only the App's own is its");
    for _ in 0..2 {
        github.react(&web, comment, Reaction::Eyes).now_or_never().unwrap().unwrap();
    }
    assert_eq!(github.world().known_comment(&web.name, comment.0).unwrap().reactions.len(), 1);
    let late = github.create_comment(&web, number, "late", dispatch_core::Timestamp::MIN).now_or_never().unwrap();
    assert!(matches!(late, Err(GitHubError::Unavailable(_))), "nothing is sent too late");
    assert_eq!(github.world().take_effects().len(), 4);
}
