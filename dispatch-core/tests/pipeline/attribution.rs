//! Which run is an event's: GitHub names none.

use std::time::Duration;

use dispatch_core::dispatch::{Dispatch, DispatchState, UnseenRun};
use dispatch_core::ports::store::Record;
use dispatch_core::report::check::of_dispatch;
use dispatch_core::testing::world::{FaultKind, PullRequestSpec, RunSpec};

use crate::house::{House, api, web};

const RUNS: &str = "/repos/octo-org/web/actions/runs";
const TOGETHER: &str = "on: {repository_dispatch: {types: [preview, teardown]}}\njobs: {}\n";

/// `api` wants previews of pull requests and takes them down, `web` agrees and has these workflows.
fn previews(listeners: &[&str]) -> House {
    let house = House::new();
    let (mut outbound, mut inbound) = ("outbound:\n".to_owned(), "inbound:\n".to_owned());
    for (actions, event) in [("opened", "preview"), ("closed", "teardown")] {
        let payload = "payload: { pr: '{{ pr.number }}' }";
        outbound.push_str(&format!(
            "  - source: {{ pull_request: [{actions}] }}\n    targets: [{{ repository: web, event: {event}, {payload} }}]\n"
        ));
        let accept = "accept_payload: { pr: { pattern: number } }";
        inbound.push_str(&format!(
            "  - source: {{ repository: api, pull_request: [{actions}] }}\n    targets: [{{ event: {event}, {accept} }}]\n"
        ));
    }
    house.write(&api(), "dispatching.yml", &outbound);
    house.write(&web(), "dispatching.yml", &inbound);
    for (number, listener) in listeners.iter().enumerate() {
        house.write(&web(), &format!(".github/workflows/listen-{number}.yml"), listener);
    }
    house.deliver();
    house
}

fn open(house: &House, head: &str) -> u64 {
    let number = house.world().open_pull_request(&api(), PullRequestSpec::new(head)).unwrap();
    house.deliver();
    house.work();
    number
}

fn close(house: &House, number: u64) {
    house.world().close_pull_request(&api(), number, false).unwrap();
    house.deliver();
    house.work();
}

fn wait(house: &House, seconds: u64) {
    for _ in 0..seconds {
        house.advance(Duration::from_secs(1));
        house.work();
    }
}

fn dispatches(house: &House) -> Vec<Dispatch> {
    let dispatches = house.store.inner.records().into_iter().filter_map(|record| match record {
        Record::Dispatch(dispatch) => Some(*dispatch),
        _ => None,
    });
    dispatches.collect()
}

/// Of every dispatch of an event, what is known of its run: the event that really started it, or why it is not known.
fn found(house: &House, event: &str) -> Vec<String> {
    let world = house.world();
    let known = |dispatch: &Dispatch| match (&dispatch.state, &dispatch.unseen) {
        (DispatchState::Started { .. }, _) => "looking".to_owned(),
        (DispatchState::Triggered { run: Some(found) }, _) => {
            let run = world.runs().find(|run| run.id == found.id).unwrap();
            run.title.clone().unwrap()
        }
        (_, Some(UnseenRun::Several { runs })) => format!("one of {}", runs.len()),
        (_, Some(UnseenRun::NotObserved { .. })) => "not observed".to_owned(),
        (_, Some(UnseenRun::NotTold { .. })) => "not told".to_owned(),
        (state, None) => format!("{state:?}"),
    };
    let of_event = dispatches(house).into_iter().filter(|dispatch| dispatch.key.target.start.as_str() == event);
    of_event.map(|dispatch| known(&dispatch)).collect()
}

fn check(house: &House) -> (String, String) {
    let text = of_dispatch(&dispatches(house)[0]);
    (text.title, text.summary)
}

#[test]
fn the_run_of_another_event_is_not_taken_while_the_own_one_is_not_listed_yet() {
    let house = previews(&[TOGETHER]);
    let number = open(&house, "one");
    wait(&house, 60);
    house.world().listing_lag = Duration::from_secs(3);
    close(&house, number);
    wait(&house, 2);
    open(&house, "two");
    wait(&house, 60);
    assert_eq!(found(&house, "preview"), ["preview", "preview"]);
    assert_eq!(found(&house, "teardown"), ["teardown"]);
}

#[test]
fn an_event_without_a_listener_takes_no_run_of_another_one() {
    let own_title = "run-name: Preview\non: {repository_dispatch: {types: [teardown]}}\njobs: {}\n";
    for teardown in ["on: {repository_dispatch: {types: [teardown]}}\njobs: {}\n", own_title] {
        let house = previews(&[teardown]);
        let number = open(&house, "one");
        close(&house, number);
        wait(&house, 1_000);
        assert_eq!(found(&house, "preview"), ["not observed"], "{teardown}");
        assert_ne!(found(&house, "teardown"), ["not observed"], "{teardown}");
    }
}

const OWN_TITLE: &str = "run-name: 'A ${{ github.event.action }}'";

#[test]
fn a_run_with_a_title_of_its_own_is_found_by_what_its_workflow_listens_to() {
    let several = "on: {repository_dispatch: {types: [preview, teardown]}}";
    for (on, seconds) in
        [("on: {repository_dispatch: {types: preview}}", 4), (several, 4), ("on: repository_dispatch", 302)]
    {
        let house = previews(&[&format!("{OWN_TITLE}\n{on}\njobs: {{}}\n"), "on: push\njobs: {}\n"]);
        open(&house, "one");
        wait(&house, seconds - 1);
        assert_eq!(found(&house, "preview"), ["looking"], "{on}");
        wait(&house, 1);
        assert_eq!(found(&house, "preview"), ["A preview"], "{on}");
    }
}

#[test]
fn a_run_with_a_title_of_its_own_is_not_taken_while_it_could_be_of_another_event_that_was_made() {
    for (on, before) in
        [("on: {repository_dispatch: {types: [preview, teardown]}}", 60), ("on: repository_dispatch", 400)]
    {
        let house = previews(&[&format!("{OWN_TITLE}\n{on}\njobs: {{}}\n")]);
        let number = open(&house, "one");
        wait(&house, before);
        house.world().listing_lag = Duration::from_secs(30);
        close(&house, number);
        wait(&house, 20);
        open(&house, "two");
        wait(&house, 1_000);
        assert_eq!(found(&house, "preview"), ["A preview", "one of 2"], "{on}");
        assert_eq!(found(&house, "teardown"), ["one of 2"], "{on}");
    }
}

#[test]
fn an_event_that_may_not_have_been_made_takes_no_run_that_another_one_may_have_started() {
    let house = previews(&[&format!("{OWN_TITLE}\non: repository_dispatch\njobs: {{}}\n")]);
    let number = open(&house, "one");
    wait(&house, 400);
    house.order("GET", RUNS, FaultKind::status(403));
    close(&house, number);
    wait(&house, 3);
    house.order("POST", "/repos/octo-org/web/dispatches", FaultKind::CutBefore);
    open(&house, "two");
    wait(&house, 1_000);
    assert_eq!(found(&house, "teardown"), ["not told"]);
    assert_eq!(found(&house, "preview")[0], "A preview");
    assert!(found(&house, "preview")[1].starts_with("Unknown"), "{:?}", found(&house, "preview"));
}

#[test]
fn a_run_whose_workflow_cannot_be_read_is_named_and_not_claimed() {
    let house = previews(&["run-name: A preview\non: &all {repository_dispatch: }\nenv: *all\njobs: {}\n"]);
    open(&house, "one");
    house.order_times("GET", "/repos/octo-org/web/contents/.github/workflows/**", FaultKind::status(403), 50);
    wait(&house, 1_000);
    assert_eq!(found(&house, "preview"), ["one of 1"]);
}

#[test]
fn a_second_listener_that_is_listed_late_is_noticed() {
    let house = previews(&[TOGETHER]);
    open(&house, "one");
    wait(&house, 2);
    assert_eq!(found(&house, "preview"), ["looking"]);
    house.write(&web(), ".github/workflows/too.yml", &format!("run-name: Too\n{TOGETHER}"));
    let first = house.world().runs().last().unwrap().clone();
    let second = RunSpec { event: first.event, actor: first.actor, ..RunSpec::new("too.yml", "main") };
    house.world().complete_run(&web(), second).unwrap();
    wait(&house, 1_000);
    assert_eq!(found(&house, "preview"), ["one of 2"]);
}

#[test]
fn runs_that_may_not_be_listed_are_not_runs_that_were_not_observed() {
    let house = previews(&[TOGETHER]);
    let (owner, mut permissions) = (web().owner(), house.world().installations().next().unwrap().permissions.clone());
    permissions.remove("actions");
    house.world().set_permissions(&owner, permissions).unwrap();
    open(&house, "topic");
    wait(&house, 60);
    assert_eq!(found(&house, "preview"), ["not told"]);
    let (title, text) = check(&house);
    assert_eq!(title, "accepted by GitHub; its run cannot be told");
    assert!(text.contains("GitHub wants the permission actions: read"), "{text}");
}

#[test]
fn a_call_whose_run_could_not_be_told_may_still_be_the_one_that_a_run_is_of() {
    let house = previews(&[TOGETHER]);
    house.order("GET", RUNS, FaultKind::status(403));
    open(&house, "one");
    wait(&house, 3);
    house.write(&web(), ".github/workflows/listen-0.yml", "on: push\njobs: {}\n");
    open(&house, "two");
    wait(&house, 1_000);
    assert_eq!(found(&house, "preview"), ["not told", "one of 1"]);
}

#[test]
fn without_the_app_s_login_no_run_is_recognised_and_the_check_says_so() {
    let mut house = previews(&[TOGETHER]);
    house.pipeline.guardrails.app_login = None;
    open(&house, "topic");
    wait(&house, 1_000);
    assert_eq!(found(&house, "preview"), ["not told"]);
    assert!(check(&house).1.contains("the App's login is not known here"), "{}", check(&house).1);
}
