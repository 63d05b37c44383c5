//! What one event costs at GitHub, tokens aside.

use std::time::Duration;

use crate::house::{House, OUTBOUND, api, web};

const API_FILE: &str = "GET /repos/octo-org/api/contents/dispatching.yml";
const API_FILE_2: &str = "GET /repos/octo-org/api/contents/.github/dispatching.yml";
const WEB_FILE: &str = "GET /repos/octo-org/web/contents/dispatching.yml";
const DISPATCH: &str = "POST /repos/octo-org/web/actions/workflows/cd.yml/dispatches";

fn with_status(lines: &[(&str, u16)]) -> Vec<String> {
    lines.iter().map(|(line, status)| format!("{line} {status}")).collect()
}

#[test]
fn one_allowed_target_costs_two_conditional_reads_and_one_dispatch() {
    let house = House::settled();
    house.run();
    assert_eq!(house.requests(), with_status(&[(API_FILE, 200), (WEB_FILE, 200), (DISPATCH, 200)]));
    house.run();
    assert_eq!(house.requests(), with_status(&[(API_FILE, 304), (WEB_FILE, 304), (DISPATCH, 200)]));
    assert_eq!(house.started().len(), 2);
}

#[test]
fn without_a_push_of_the_commit_it_costs_one_comparison_more() {
    let house = House::new();
    house.world().take_webhooks(); // The pushes are never delivered.
    house.run();
    let requests = house.requests();
    assert_eq!(requests.iter().filter(|line| line.contains("/compare/")).count(), 1, "{requests:?}");
    assert_eq!(requests.len(), 4);
    assert_eq!(house.started().len(), 1);
}

#[test]
fn an_event_that_no_rule_is_about_costs_one_conditional_read() {
    let house = House::settled();
    house.write(&api(), "dispatching.yml", &OUTBOUND.replace("ci.yml", "other.yml"));
    house.run();
    assert_eq!(house.requests(), with_status(&[(API_FILE, 200)]));
    house.run();
    assert_eq!(house.requests(), with_status(&[(API_FILE, 304)]));
    assert!(house.end_of_story().ends_with("skipped no_rule_matched"), "{}", house.story());
}

fn without_policy() -> House {
    let house = House::settled();
    house.world().remove_file(&api(), "main", "dispatching.yml").unwrap();
    house.deliver();
    house
}

#[test]
fn a_repository_without_policy_file_costs_nothing_once_that_is_known() {
    let house = without_policy();
    house.run();
    assert_eq!(house.requests(), with_status(&[(API_FILE, 404), (API_FILE_2, 404)]));
    house.run();
    assert_eq!(house.requests(), Vec::<String>::new());
    assert!(house.end_of_story().ends_with("skipped source_policy_missing"), "{}", house.story());
}

#[test]
fn a_push_that_touches_the_place_makes_an_absent_file_be_looked_for_again() {
    let house = without_policy();
    house.run();
    house.requests();
    house.write(&api(), ".github/dispatching.yml", OUTBOUND);
    house.run();
    assert_eq!(house.requests()[..2], with_status(&[(API_FILE, 404), (API_FILE_2, 200)]));
    assert_eq!(house.started().len(), 1);
    house.run();
    assert_eq!(house.requests()[0], format!("{API_FILE_2} 304"), "where it was found is remembered");
    assert_eq!(house.started().len(), 1);
}

#[test]
fn after_ten_minutes_an_absent_file_is_looked_for_again() {
    let house = without_policy();
    house.run();
    house.requests();
    house.advance(Duration::from_secs(599));
    house.run();
    assert_eq!(house.requests(), Vec::<String>::new());
    house.advance(Duration::from_secs(1));
    house.run();
    assert_eq!(house.requests(), with_status(&[(API_FILE, 404), (API_FILE_2, 404)]));
}

#[test]
fn the_root_wins_where_both_places_hold_a_file() {
    let house = House::settled();
    house.write(&api(), ".github/dispatching.yml", "outbound: []\n");
    house.run();
    assert_eq!(house.requests()[0], format!("{API_FILE} 200"));
    assert_eq!(house.started().len(), 1);
}

#[test]
fn a_file_that_moved_is_found_at_its_new_place_without_any_push() {
    let house = House::settled();
    house.run();
    house.started();
    house.requests();
    house.world().remove_file(&api(), "main", "dispatching.yml").unwrap();
    house.write(&api(), ".github/dispatching.yml", OUTBOUND);
    house.world().take_webhooks(); // Lost on the way.
    house.run();
    let expected = with_status(&[(API_FILE, 404), (API_FILE, 404), (API_FILE_2, 200), (WEB_FILE, 304)]);
    assert_eq!(house.requests()[..4], expected);
    assert_eq!(house.started().len(), 1);
}

#[test]
fn a_changed_policy_counts_from_the_next_event_on() {
    let house = House::settled();
    house.run();
    assert_eq!(house.started().len(), 1);
    house.write(&web(), "dispatching.yml", "inbound: []\n");
    house.world().take_webhooks(); // Even when nobody tells of the push.
    house.run();
    assert!(house.end_of_story().ends_with("denied inbound_not_authorized"), "{}", house.story());
    assert_eq!(house.started().len(), 0);
}
