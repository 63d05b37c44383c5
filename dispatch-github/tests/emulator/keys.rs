//! Two private keys of one App, while one is replaced by the other.

use dispatch_core::policy::PolicyPath;
use dispatch_core::ports::github::{FileRead, GitHubError, GitHubPort};
use dispatch_github::emulator::Emulator;
use dispatch_github::{GitHub, GitHubOptions, GitHubOptionsError};

use crate::http::{emulator, repository};

/// Made for these tests and used nowhere else.
const OTHER_KEY: &str = include_str!("../test-only-app-key.pem");
const OTHER_PUBLIC_KEY: &str = include_str!("../test-only-app-key.pub.pem");

fn github(emulator: &Emulator, private_key: &str) -> GitHub {
    let options = GitHubOptions { api_url: emulator.api_url(), app_id: emulator.app_id(), ..GitHubOptions::default() };
    GitHub::new(GitHubOptions { private_key: private_key.into(), ..options }).unwrap()
}

/// Reads a file of a repository that no token is known for yet.
async fn read(github: &GitHub, name: &str) -> Result<bool, GitHubError> {
    let read = github.read_file(&repository(name), None, PolicyPath::Root, None).await;
    read.map(|read| matches!(read, FileRead::Found { .. }))
}

/// Requests as the App, and how many of them were refused.
fn asked(emulator: &Emulator) -> (usize, usize) {
    let requests = emulator.world().take_requests();
    let refused = requests.iter().filter(|request| request.status == Some(401)).count();
    (requests.iter().filter(|request| request.is_about_credentials()).count(), refused)
}

#[tokio::test]
async fn the_second_key_is_used_when_the_first_is_refused_and_stays_in_use() {
    let emulator = emulator().await;
    let github = github(&emulator, &format!("{OTHER_KEY}\n{}", emulator.private_key_pem()));
    emulator.world().take_requests();
    assert_eq!(read(&github, "octo-org/api").await, Ok(true));
    assert_eq!(asked(&emulator), (3, 1), "one request was refused");
    assert_eq!(read(&github, "octo-org/web").await, Ok(true));
    assert_eq!(asked(&emulator), (2, 0));
}

#[tokio::test]
async fn a_key_that_is_replaced_while_the_client_runs_does_no_harm() {
    let emulator = emulator().await;
    let github = github(&emulator, &format!("{}{OTHER_KEY}", emulator.private_key_pem()));
    assert_eq!(read(&github, "octo-org/api").await, Ok(true));
    emulator.world().take_requests();
    emulator.set_app_public_key(OTHER_PUBLIC_KEY).unwrap();
    assert_eq!(read(&github, "octo-org/web").await, Ok(true));
    assert_eq!(asked(&emulator), (3, 1));
    assert_eq!(github.app().await.unwrap().login, Some("dispatch[bot]".parse().unwrap()));
    assert_eq!(asked(&emulator), (0, 0));
}

#[tokio::test]
async fn when_both_are_refused_nothing_is_available() {
    let emulator = emulator().await;
    emulator.world().take_requests();
    let github = github(&emulator, &format!("{OTHER_KEY}{OTHER_KEY}"));
    let error = read(&github, "octo-org/api").await.unwrap_err();
    assert!(matches!(&error, GitHubError::Unavailable(why) if why.contains("credentials")), "{error}");
    assert_eq!(asked(&emulator), (2, 2));
}

#[tokio::test]
async fn three_keys_are_a_mistake() {
    let options = GitHubOptions { private_key: OTHER_KEY.repeat(3).into(), ..GitHubOptions::default() };
    assert_eq!(GitHub::new(options).unwrap_err(), GitHubOptionsError::PrivateKey);
}
