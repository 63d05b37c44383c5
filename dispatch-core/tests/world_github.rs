//! The port over the world: the same answers, and the same number of requests, as a real client would have.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dispatch_core::name::{Repository, RepositoryId};
use dispatch_core::policy::PolicyPath;
use dispatch_core::ports::github::{FileRead, RateLimitReset, RepositoryRef};
use dispatch_core::ports::{GitHubError, GitHubPort};
use dispatch_core::request::{DispatchRequest, WorkflowDispatch};
use dispatch_core::testing::world::{Fault, FaultKind, RepositoryOptions, WorkflowState};
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
