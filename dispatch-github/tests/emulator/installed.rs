//! All repositories of an account, and the files of their workflows.

use dispatch_core::ports::github::{GitHubError, RepositoryRef};
use dispatch_core::testing::world::{Access, Fault, FaultKind, RepositoryOptions};
use dispatch_github::emulator::Emulator;
use dispatch_github::{GitHub, InstalledRepository};
use serde_json::json;

use crate::client::client;
use crate::http::{call, emulator, jwt, repository, token};

fn reference(emulator: &Emulator, name: &str) -> RepositoryRef {
    let name = repository(name);
    let id = emulator.world().repositories().find(|state| state.name == name).unwrap().id;
    RepositoryRef { id, name }
}

async fn listed(github: &GitHub, account: &str) -> Result<Vec<InstalledRepository>, GitHubError> {
    let mut pages = github.installed_repositories(&account.parse().unwrap());
    let mut all = Vec::new();
    while let Some(page) = pages.next_page().await? {
        all.extend(page);
    }
    Ok(all)
}

#[tokio::test]
async fn every_repository_of_the_installation_is_listed_by_a_token_for_metadata_alone() {
    let emulator = emulator().await;
    {
        let mut world = emulator.world();
        for number in 0..150 {
            let name = repository(&format!("octo-org/r{number:03}"));
            world
                .add_repository(&name, RepositoryOptions { installed: number % 2 == 0, ..Default::default() })
                .unwrap();
        }
        world.add_repository(&repository("other/api"), RepositoryOptions::default()).unwrap();
        (0..100).for_each(|number| {
            let name = repository(&format!("octo-org/s{number:03}"));
            world.add_repository(&name, RepositoryOptions::default()).unwrap();
        });
        world.set_archived(&repository("octo-org/api"), true).unwrap();
    }
    let all = listed(&client(&emulator), "Octo-Org").await.unwrap();
    assert_eq!(all.len(), 2 + 75 + 100);
    assert!(all.iter().all(|found| found.repository.name.owner().as_str() == "octo-org"));
    let archived: Vec<_> = all.iter().filter(|found| found.archived).collect();
    assert_eq!(archived.iter().map(|found| found.repository.name.as_str()).collect::<Vec<_>>(), ["octo-org/api"]);
    let world = emulator.world();
    let asked: Vec<_> = world.requests().iter().filter(|it| it.path == "/installation/repositories").collect();
    assert_eq!(asked.len(), 2, "two pages");
    let only = [("metadata".to_owned(), Access::Read)].into();
    assert!(asked.iter().all(|request| request.permissions.as_ref() == Some(&only)), "{asked:?}");
}

#[tokio::test]
async fn an_account_without_the_app_is_refused() {
    let emulator = emulator().await;
    let none = listed(&client(&emulator), "nobody").await.unwrap_err();
    assert!(
        matches!(&none, GitHubError::Refused { status: 404, message, .. } if message.contains("`nobody`")),
        "{none}"
    );
    emulator.world().set_suspended(&"octo-org".parse().unwrap(), true).unwrap();
    let suspended = listed(&client(&emulator), "octo-org").await.unwrap_err();
    assert!(matches!(suspended, GitHubError::Refused { status: 404, .. }), "{suspended}");
}

#[tokio::test]
async fn a_page_that_failed_is_asked_for_again() {
    let emulator = emulator().await;
    let github = client(&emulator);
    let mut pages = github.installed_repositories(&"octo-org".parse().unwrap());
    emulator.world().faults.push(Fault::once("GET", "/installation/repositories", FaultKind::status(502)).unwrap());
    assert!(matches!(pages.next_page().await, Err(GitHubError::Unavailable(_))));
    assert_eq!(pages.next_page().await.unwrap().map(|page| page.len()), Some(2));
    assert_eq!(pages.next_page().await, Ok(None));

    let mut pages = github.installed_repositories(&"octo-org".parse().unwrap());
    emulator.world().faults.push(Fault::once("GET", "/installation/repositories", FaultKind::status(401)).unwrap());
    assert_eq!(pages.next_page().await.unwrap().map(|page| page.len()), Some(2), "with a new token");
}

#[tokio::test]
async fn the_files_of_the_workflows_are_read_from_the_default_branch() {
    let emulator = emulator().await;
    let web = repository("octo-org/web");
    {
        let mut world = emulator.world();
        let long = "x".repeat(256 * 1024 + 1);
        for (path, text) in [
            (".github/workflows/long.yml", long.as_str()),
            (".github/workflows/README.md", "no workflow"),
            (".github/workflows/folder.yml/inside.yml", "on: push"),
        ] {
            world.write_file(&web, "main", path, text).unwrap();
        }
        let none = repository("octo-org/none");
        world.add_repository(&none, RepositoryOptions::default()).unwrap();
        let flat = repository("octo-org/flat");
        world.add_repository(&flat, RepositoryOptions::default()).unwrap();
        world.write_file(&flat, "main", ".github/workflows", "a file").unwrap();
    }
    let github = client(&emulator);
    let files = github.workflow_files(&reference(&emulator, "octo-org/web")).await.unwrap().unwrap();
    let files: Vec<_> = files.iter().map(|it| (it.file.as_str(), it.text.as_ref().map(Vec::len))).collect();
    let cd = crate::http::CD.len();
    let expected = [("cd.yml", Some(cd)), ("ci.yml", Some(18)), ("folder.yml", None), ("long.yml", None)];
    assert_eq!(files, expected);
    for name in ["octo-org/none", "octo-org/flat"] {
        assert_eq!(github.workflow_files(&reference(&emulator, name)).await, Ok(None), "{name}");
    }
    let only = [("contents".to_owned(), Access::Read), ("metadata".to_owned(), Access::Read)].into();
    let world = emulator.world();
    let mut reads = world.requests().iter().filter(|it| it.path.contains("/contents/"));
    assert!(reads.all(|request| request.permissions.as_ref() == Some(&only)));
}

#[tokio::test]
async fn of_many_workflows_the_first_hundred_are_read() {
    let emulator = emulator().await;
    let web = repository("octo-org/web");
    (0..105).for_each(|number| {
        let path = format!(".github/workflows/w{number:03}.yml");
        emulator.world().write_file(&web, "main", &path, "on: push").unwrap();
    });
    let files = client(&emulator).workflow_files(&reference(&emulator, "octo-org/web")).await.unwrap().unwrap();
    assert_eq!((files.len(), files.last().unwrap().file.as_str()), (100, "w097.yml"));
}

#[tokio::test]
async fn what_is_archived_can_be_read_and_not_written() {
    let emulator = emulator().await;
    emulator.world().set_archived(&repository("octo-org/web"), true).unwrap();
    let token = token(&emulator, "octo-org/web", json!({ "contents": "write" })).await;
    let path = "/repos/octo-org/web/dispatches";
    let body = json!({ "event_type": "e" });
    let got = call(&emulator, &token, "POST", path, Some(&body)).await;
    assert_eq!((got.status, got.message().as_str()), (403, "Repository was archived so is read-only."));
    let path = "/repos/octo-org/web/contents/dispatching.yml";
    assert_eq!(call(&emulator, &token, "GET", path, None).await.status, 200);
    let of_account = call(&emulator, &jwt(&emulator), "GET", "/orgs/octo-org/installation", None).await;
    assert_eq!(of_account.json()["account"]["login"], "octo-org");
}
