//! What an owner allows, read from GitHub.

use std::time::Duration;

use dispatch_core::name::Repository;
use dispatch_core::testing::world::RepositoryOptions;

use crate::house::House;

const FILE: &str = "GET /repos/octo-org/.github/contents/dispatching.yml";

fn dot_github() -> Repository {
    "octo-org/.github".parse().unwrap()
}

/// A house whose owner has written this, all pushes delivered.
fn house(limits: &str) -> House {
    let house = House::new();
    house.world().add_repository(&dot_github(), RepositoryOptions::default()).unwrap();
    house.write(&dot_github(), "dispatching.yml", limits);
    house.deliver();
    house.requests();
    house
}

/// How often the file was asked for, and what GitHub answered.
fn reads(house: &House) -> Vec<String> {
    house
        .requests()
        .into_iter()
        .filter_map(|line| line.strip_prefix(FILE).map(|status| status.trim().to_owned()))
        .collect()
}

#[test]
fn an_owner_s_limits_hold_and_cost_one_conditional_read() {
    let house = house("limits: {target_repositories: [web]}\n");
    house.run();
    assert_eq!((house.started().len(), reads(&house)), (1, vec!["200".to_owned()]));
    house.run();
    assert_eq!((house.started().len(), reads(&house)), (1, vec!["304".to_owned()]));
}

#[test]
fn a_push_that_narrows_the_limits_counts_for_the_next_event() {
    let house = house("limits: {}\n");
    house.run();
    house.write(&dot_github(), "dispatching.yml", "limits: {target_repositories: [other]}\n");
    house.run();
    assert_eq!(house.started().len(), 1);
    assert!(house.story().contains("target_repo_not_allowlisted"), "{}", house.story());
}

#[test]
fn where_there_is_no_such_repository_that_is_remembered() {
    let house = House::settled();
    house.run();
    house.requests();
    house.run();
    assert_eq!(house.started().len(), 2);
    assert!(house.requests().iter().all(|line| !line.contains("/.github/")));
}

#[test]
fn taking_the_app_off_the_limits_does_not_take_the_limits_off() {
    let house = house("limits: {}\n");
    house.run();
    assert_eq!(house.started().len(), 1);
    house.world().uninstall(&dot_github()).unwrap();
    house.deliver();
    house.advance(Duration::from_secs(11 * 60));
    house.run();
    assert_eq!(house.started().len(), 0, "{} {:?}", house.story(), house.requests());
    assert!(house.end_of_story().ends_with("skipped source_limits_unknown"), "{}", house.story());
}

#[test]
fn a_limit_that_was_withdrawn_in_the_file_is_gone() {
    let house = house("limits: {target_repositories: [other]}\n");
    house.run();
    assert_eq!(house.started().len(), 0);
    house.write(&dot_github(), "dispatching.yml", "outbound: []\n");
    house.run();
    assert_eq!(house.started().len(), 1);
}
