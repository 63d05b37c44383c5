//! The real client against the emulator.

use std::collections::BTreeMap;

use dispatch_core::policy::PolicyPath;
use dispatch_core::ports::github::{FileRead, RepositoryRef};
use dispatch_core::ports::{GitHubError, GitHubPort};
use dispatch_core::request::{DispatchRequest, WorkflowDispatch};
use dispatch_core::testing::world::{Fault, FaultKind};
use dispatch_github::emulator::Emulator;
use dispatch_github::{GitHub, GitHubOptions};

use crate::http::{Receiver, emulator, repository};

pub(crate) fn client(emulator: &Emulator) -> GitHub {
    GitHub::new(GitHubOptions {
        api_url: emulator.api_url(),
        app_id: emulator.app_id(),
        private_key: emulator.private_key_pem().into(),
        ..GitHubOptions::default()
    })
    .unwrap()
}

fn web(emulator: &Emulator) -> RepositoryRef {
    let name = repository("octo-org/web");
    let id = emulator.world().repositories().find(|state| state.name == name).unwrap().id;
    RepositoryRef { id, name }
}

fn deploy() -> DispatchRequest {
    let inputs = BTreeMap::from([("git_sha".to_owned(), "abc".to_owned())]);
    DispatchRequest::Workflow(
        WorkflowDispatch::new("cd.yml".parse().unwrap(), "main".parse().unwrap(), inputs).unwrap(),
    )
}

#[tokio::test]
async fn a_policy_is_read_once_and_then_not_modified() {
    let emulator = emulator().await;
    let github = client(&emulator);
    let name = repository("octo-org/api");
    let first = github.read_file(&name, None, PolicyPath::Root, None).await.unwrap();
    let FileRead::Found { bytes, version, .. } = first else { panic!("not found") };
    assert_eq!(bytes, b"inbound: []\n");
    let second = github.read_file(&name, None, PolicyPath::Root, version.as_ref()).await.unwrap();
    assert_eq!(second, FileRead::NotModified);
    let missing = github.read_file(&name, None, PolicyPath::DotGithub, None).await.unwrap();
    assert!(matches!(missing, FileRead::NoSuchFile { .. }));
    let strange = github.read_file(&repository("other/api"), None, PolicyPath::Root, None).await.unwrap();
    assert_eq!(strange, FileRead::NotInstalled);
}

#[tokio::test]
async fn a_dispatch_starts_a_run_whose_webhooks_follow() {
    let emulator = emulator().await;
    let mut receiver = Receiver::start(202).await;
    emulator.set_webhook_url(&receiver.url);
    let started =
        client(&emulator).dispatch(&web(&emulator), &deploy(), dispatch_core::Timestamp::MAX).await.unwrap().unwrap();
    assert_eq!(emulator.world().take_dispatches()[0].run, started.id);
    for expected in ["requested", "in_progress", "completed"] {
        let body: serde_json::Value = serde_json::from_slice(&receiver.next().await.body).unwrap();
        assert_eq!((body["action"].as_str(), &body["workflow_run"]["id"]), (Some(expected), &started.id.0.into()));
    }
    emulator.world().finish().unwrap();
}

#[tokio::test]
async fn a_tag_called_like_the_branch_proves_nothing() {
    let emulator = emulator().await;
    let github = client(&emulator);
    let (name, target) = (repository("octo-org/web"), web(&emulator));
    let (head, stray) = {
        let mut world = emulator.world();
        let head = world.branch_head(&name, "main").unwrap();
        let stray = world.stray_commit(&name, &[("evil", Some(b"x"))]).unwrap();
        world.set_tag(&name, "main", &stray).unwrap();
        (head, stray)
    };
    let main = "main".parse().unwrap();
    assert_eq!(github.commit_on_branch(&target, &main, &head).await, Ok(true));
    assert_eq!(github.commit_on_branch(&target, &main, &stray).await, Ok(false));
}

#[tokio::test]
async fn a_cut_is_in_doubt_and_never_sent_twice() {
    for (kind, runs) in [(FaultKind::CutBefore, 0), (FaultKind::CutAfter, 1), (FaultKind::status(502), 0)] {
        let emulator = emulator().await;
        emulator.world().faults.push(Fault::once("POST", "/repos/**/dispatches", kind).unwrap());
        let error =
            client(&emulator).dispatch(&web(&emulator), &deploy(), dispatch_core::Timestamp::MAX).await.unwrap_err();
        assert!(matches!(error, GitHubError::InDoubt(_)), "{error:?}");
        let world = emulator.world();
        assert_eq!(world.runs().count(), runs);
        let posts = world.requests().iter().filter(|request| request.path.ends_with("/dispatches")).count();
        assert_eq!(posts, 1);
    }
}
