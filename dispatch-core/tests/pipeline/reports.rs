//! Failures have a home: one issue for each source repository and workflow.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dispatch_core::Timestamp;
use dispatch_core::decide::Visibility;
use dispatch_core::dispatch::{Dispatch, DispatchState, Search};
use dispatch_core::pipeline::{Pipeline, Reported};
use dispatch_core::ports::github::{GitHubError, RepositoryRef};
use dispatch_core::ports::issues::{IssueChange, IssuePort};
use dispatch_core::ports::store::{Commit, Queue, Record, StoreError, StorePort, Stored};
use dispatch_core::reason::Reason;
use dispatch_core::report::Report;
use dispatch_core::testing::world::{Fault, FaultKind, Issue, Role, RunSpec};
use dispatch_core::testing::{Rehearsal, WorldGitHub};
use futures_util::FutureExt;

use crate::house::{DISPATCHES, House, api};

const MINUTE: Duration = Duration::from_secs(60);

/// A house with failures, and GitHub to tell them to.
struct Reporting {
    house: House,
    issues: WorldGitHub,
    dispatch: Dispatch,
}

fn refused(message: &str) -> DispatchState {
    DispatchState::Refused { message: message.to_owned(), permission: None }
}

const TRIGGERED: DispatchState = DispatchState::Triggered { run: None };

/// What the world's requests about issues are called here.
fn call(request: &str) -> Option<&'static str> {
    match request.split_once(' ')? {
        ("GET", path) if path.contains("/issues") => Some("find"),
        ("POST", path) if path.contains("/issues") => Some("create"),
        ("PATCH", path) if path.contains("/issues/") => Some("update"),
        _ => None,
    }
}

impl Reporting {
    fn new() -> Self {
        let mut house = House::settled();
        house.pipeline.guardrails.create_issues = true;
        house.run();
        house.started();
        house.show();
        let records = house.store.inner.records();
        let dispatch = records.into_iter().find_map(|record| match record {
            Record::Dispatch(dispatch) => Some(*dispatch),
            _ => None,
        });
        house.requests();
        let issues = WorldGitHub::new(Arc::clone(&house.world));
        Self { house, issues, dispatch: dispatch.unwrap() }
    }

    /// A dispatch of the workflow to `web` ends like this.
    fn ends(&self, state: &DispatchState) {
        self.ends_at("octo-org/web", state);
    }

    fn ends_at(&self, target: &str, state: &DispatchState) {
        let mut dispatch = self.dispatch.clone();
        dispatch.key.target.repository = target.parse().unwrap();
        let writes = self.house.pipeline.report_writes(&dispatch, state, self.house.now()).now_or_never().unwrap();
        let commit = Commit { writes: writes.unwrap(), facts: Vec::new() };
        self.house.store.commit(commit).now_or_never().unwrap().unwrap();
    }

    fn tell_one(&self, item: Stored) -> Result<Reported, StoreError> {
        self.tell_through(&self.issues, item)
    }

    fn tell_through(&self, issues: &dyn IssuePort, item: Stored) -> Result<Reported, StoreError> {
        let Record::Report(report) = item.record else { panic!("no report") };
        self.house.pipeline.report(issues, *report, item.version, self.house.now()).now_or_never().unwrap()
    }

    /// Tells what is due now.
    fn tell(&self) -> Vec<Reported> {
        let reports =
            self.house.claim(Queue::Report).into_iter().filter(|item| matches!(item.record, Record::Report(_)));
        reports.map(|item| self.tell_one(item).unwrap()).collect()
    }

    /// The next call of this name goes wrong.
    fn order(&self, call: &str, kind: FaultKind) {
        let (method, path) = match call {
            "find" => ("GET", "/repos/*/*/issues"),
            "create" => ("POST", "/repos/*/*/issues"),
            _ => ("PATCH", "/repos/*/*/issues/*"),
        };
        self.house.order(method, path, kind);
    }

    /// The issues of the source repository.
    fn issues(&self) -> Vec<Issue> {
        let world = self.house.world();
        let api = world.repositories().find(|state| state.name == api()).unwrap();
        assert!(world.repositories().all(|state| state.name == api.name || state.issues.is_empty()));
        api.issues.values().cloned().collect()
    }

    fn issue(&self) -> Issue {
        let mut issues = self.issues();
        assert_eq!(issues.len(), 1, "{issues:?}");
        issues.remove(0)
    }

    fn body(&self) -> String {
        self.issue().body.unwrap()
    }

    /// The calls about issues since the last time.
    fn calls(&self) -> Vec<&'static str> {
        self.house.requests().iter().filter_map(|request| call(request)).collect()
    }

    fn report(&self) -> Report {
        let records = self.house.store.inner.records();
        records.into_iter().find_map(|r| if let Record::Report(report) = r { Some(*report) } else { None }).unwrap()
    }
}

#[test]
fn the_first_failure_opens_an_issue_in_the_source_repository() {
    let reporting = Reporting::new();
    reporting.ends(&refused("No ref found for: release"));
    assert_eq!(reporting.tell(), [Reported::Told { issue: Some(1) }]);
    let issue = reporting.issue();
    assert!(issue.open);
    assert_eq!(issue.title, "dispatch: runs of `ci.yml` could not start what they should");
    assert!(reporting.body().contains("### `octo-org/web`: `cd.yml`"), "{}", reporting.body());
    assert!(reporting.body().contains("- What went wrong: `No ref found for: release`"), "{}", reporting.body());
    assert_eq!(reporting.calls(), ["find", "create"]);
    assert!(reporting.tell().is_empty());
}

#[test]
fn a_dispatch_that_is_done_again_from_its_check_closes_the_issue_about_its_failure() {
    let reporting = Reporting::new();
    let house = &reporting.house;
    house.order("POST", DISPATCHES, FaultKind::status(422));
    house.run();
    reporting.tell();
    assert!(reporting.issue().open, "{}", house.story());
    house.advance(MINUTE);
    house.show();
    let check = house.world().check_runs().last().unwrap().id;
    house.world().set_permission(&api(), "alice", Role::Write).unwrap();
    house.world().rerequest_check(&api(), check, "alice").unwrap();
    house.deliver();
    house.work();
    assert_eq!(house.started(), ["octo-org/web cd.yml"], "{}", house.story());
    house.advance(MINUTE);
    reporting.tell();
    assert!(!reporting.issue().open);
}

#[test]
fn repetition_updates_the_issue_and_many_at_once_are_one_update() {
    let reporting = Reporting::new();
    reporting.ends(&refused("first"));
    reporting.tell();
    for _ in 0..40 {
        reporting.ends(&refused("again"));
    }
    assert!(reporting.tell().is_empty(), "a minute gathers what fails within it");
    reporting.house.advance(MINUTE);
    assert_eq!(reporting.tell(), [Reported::Told { issue: Some(1) }]);
    assert!(reporting.body().contains("`again`") && reporting.body().contains("in a row: 41"), "{}", reporting.body());
    assert_eq!(reporting.calls(), ["find", "create", "update"]);
}

#[test]
fn the_issue_is_closed_when_it_works_again_and_opened_again_when_it_does_not() {
    let reporting = Reporting::new();
    reporting.ends(&refused("first"));
    reporting.tell();
    reporting.ends(&TRIGGERED);
    reporting.tell();
    let issue = reporting.issue();
    assert!(!issue.open && reporting.body().contains("works again"), "{}", reporting.body());
    reporting.ends(&TRIGGERED);
    assert!(reporting.tell().is_empty(), "what works is not told twice");
    reporting.ends(&refused("second"));
    reporting.tell();
    let issue = reporting.issue();
    assert!(issue.open && reporting.body().contains("`second`"), "{}", reporting.body());
}

#[test]
fn a_target_that_works_does_not_close_the_issue_about_another() {
    let reporting = Reporting::new();
    reporting.ends_at("octo-org/web", &refused("no"));
    reporting.ends_at("octo-org/app", &refused("neither"));
    reporting.tell();
    reporting.ends_at("octo-org/app", &TRIGGERED);
    reporting.house.advance(MINUTE);
    reporting.tell();
    let issue = reporting.issue();
    assert!(
        issue.open && reporting.body().contains("octo-org/web") && !reporting.body().contains("octo-org/app"),
        "{}",
        reporting.body()
    );
    reporting.ends_at("octo-org/web", &TRIGGERED);
    reporting.tell();
    assert!(!reporting.issue().open);
}

#[test]
fn failures_are_what_is_given_up_and_nothing_else() {
    let error = || "wrong".to_owned();
    let since = "2026-01-01T00:00:00Z".parse().unwrap();
    let failures = [
        refused("wrong"),
        DispatchState::Failed { error: error() },
        DispatchState::Unknown { error: error() },
        DispatchState::Cancelled { reason: Reason::EventTooOld, message: error() },
    ];
    for state in failures {
        let reporting = Reporting::new();
        reporting.ends(&state);
        reporting.tell();
        assert!(reporting.body().contains("`wrong`"), "{state:?}");
        assert!(state.is_parked(), "{state:?}");
    }
    let others = [
        DispatchState::Ready,
        DispatchState::Calling { since },
        DispatchState::Started { search: Search::new(since) },
        DispatchState::InDoubt { search: Search::new(since), error: error() },
        DispatchState::Cancelled { reason: Reason::ConsentWithdrawn, message: error() },
        DispatchState::Dropped,
        TRIGGERED,
    ];
    for state in others {
        let reporting = Reporting::new();
        reporting.ends(&state);
        assert!(reporting.house.claim(Queue::Report).is_empty(), "{state:?}");
    }
}

#[test]
fn what_the_source_may_not_see_is_not_told() {
    let secret = "a secret of the target";
    let mut reporting = Reporting::new();
    reporting.dispatch.decision.visibility = Visibility::Target;
    let states = [
        (refused(secret), "the target could not be started"),
        (DispatchState::Failed { error: secret.to_owned() }, "the target could not be started"),
        (DispatchState::Unknown { error: secret.to_owned() }, "nobody knows whether the target was started"),
    ];
    for (state, told) in states {
        reporting.ends(&state);
        reporting.house.advance(MINUTE);
        reporting.tell();
        let body = reporting.body();
        assert!(!body.contains(secret) && body.contains(told), "{body}");
    }
}

#[test]
fn without_create_issues_nothing_is_told() {
    let mut reporting = Reporting::new();
    reporting.house.pipeline.guardrails.create_issues = false;
    reporting.ends(&refused("wrong"));
    assert!(reporting.house.claim(Queue::Report).is_empty());
}

#[test]
fn what_works_before_anybody_was_told_is_not_told() {
    let reporting = Reporting::new();
    reporting.ends(&refused("wrong"));
    reporting.ends(&TRIGGERED);
    assert_eq!(reporting.tell(), [Reported::Told { issue: None }]);
    assert!(reporting.calls().is_empty());
}

#[test]
fn an_issue_whose_answer_was_lost_is_looked_for_minutes_later_and_no_second_is_opened() {
    for done in [true, false] {
        let reporting = Reporting::new();
        reporting.order("create", if done { FaultKind::CutAfter } else { FaultKind::CutBefore });
        reporting.ends(&refused("wrong"));
        assert!(matches!(reporting.tell()[..], [Reported::PutBack { .. }]));
        reporting.calls();
        reporting.ends(&refused("again"));
        assert!(reporting.tell().is_empty());
        reporting.house.advance(Report::OPENING_SETTLES);
        assert_eq!(reporting.tell(), [Reported::Told { issue: Some(1) }]);
        assert_eq!(reporting.calls(), if done { ["find", "update"] } else { ["find", "create"] });
        assert!(reporting.body().contains("`again`"));
    }
}

#[test]
fn a_crash_after_the_issue_was_opened_opens_no_second() {
    let reporting = Reporting::new();
    reporting.ends(&refused("wrong"));
    let item = reporting.house.claim(Queue::Report).remove(0);
    reporting.house.store.fail_after(1); // That it is about to be opened is stored; its number is not.
    assert!(matches!(reporting.tell_one(item), Err(StoreError::Unavailable(_))));
    assert!(reporting.tell().is_empty());
    reporting.house.advance(Report::OPENING_SETTLES);
    assert_eq!(reporting.tell(), [Reported::Told { issue: Some(1) }]);
    assert_eq!(reporting.calls(), ["find", "create", "find", "update"]);
    assert!(reporting.issue().open);
}

#[test]
fn an_issue_that_may_have_been_opened_just_now_is_not_looked_for_at_once() {
    let reporting = Reporting::new();
    reporting.ends(&refused("wrong"));
    let item = reporting.house.claim(Queue::Report).remove(0);
    reporting.house.store.fail_after(1);
    reporting.tell_one(item).unwrap_err();
    reporting.calls();
    reporting.ends(&TRIGGERED); // This is to be told at once.
    assert!(matches!(reporting.tell()[..], [Reported::PutBack { .. }]));
    assert!(reporting.calls().is_empty(), "GitHub's lists may be late");
    reporting.house.advance(Report::OPENING_SETTLES);
    assert_eq!(reporting.tell(), [Reported::Told { issue: Some(1) }]);
    assert!(!reporting.issue().open);
}

#[test]
fn an_issue_in_doubt_is_looked_for_again_when_looking_failed() {
    let reporting = Reporting::new();
    reporting.order("create", FaultKind::CutAfter);
    reporting.ends(&refused("wrong"));
    reporting.tell();
    reporting.order("find", FaultKind::status(502));
    reporting.house.advance(Report::OPENING_SETTLES);
    assert!(matches!(reporting.tell()[..], [Reported::PutBack { .. }]));
    assert!(reporting.report().opening.is_some());
    reporting.ends(&TRIGGERED);
    reporting.house.advance(MINUTE * 60);
    assert_eq!(reporting.tell(), [Reported::Told { issue: Some(1) }]);
    assert!(!reporting.issue().open);
}

#[test]
fn an_issue_is_not_opened_by_who_was_stopped_until_others_may_have_looked_for_it() {
    let reporting = Reporting::new();
    reporting.ends(&refused("wrong"));
    let item = reporting.house.claim(Queue::Report).remove(0);
    let late = Late { issues: &reporting.issues, world: &reporting.house };
    assert!(matches!(reporting.tell_through(&late, item), Ok(Reported::PutBack { .. })));
    assert_eq!(reporting.calls(), ["find"]);
}

/// A process that is stopped for minutes right before it opens an issue.
struct Late<'a> {
    issues: &'a WorldGitHub,
    world: &'a House,
}

#[async_trait]
impl IssuePort for Late<'_> {
    async fn find_issue(&self, at: &RepositoryRef, marker: &str) -> Result<Option<u64>, GitHubError> {
        self.issues.find_issue(at, marker).await
    }

    async fn create_issue(
        &self,
        at: &RepositoryRef,
        title: &str,
        body: &str,
        not_after: Timestamp,
    ) -> Result<u64, GitHubError> {
        self.world.advance(MINUTE * 5);
        self.issues.create_issue(at, title, body, not_after).await
    }

    async fn update_issue(&self, at: &RepositoryRef, number: u64, c: IssueChange<'_>) -> Result<(), GitHubError> {
        self.issues.update_issue(at, number, c).await
    }
}

/// The issues, and what happens elsewhere right after one of the calls.
struct Meanwhile<'a> {
    issues: &'a WorldGitHub,
    after: &'static str,
    happens: &'a (dyn Fn() + Sync),
}

impl Meanwhile<'_> {
    fn called(&self, name: &'static str) {
        if name == self.after {
            (self.happens)();
        }
    }
}

#[async_trait]
impl IssuePort for Meanwhile<'_> {
    async fn find_issue(&self, at: &RepositoryRef, marker: &str) -> Result<Option<u64>, GitHubError> {
        let found = self.issues.find_issue(at, marker).await;
        self.called("find");
        found
    }

    async fn create_issue(
        &self,
        at: &RepositoryRef,
        title: &str,
        body: &str,
        not_after: Timestamp,
    ) -> Result<u64, GitHubError> {
        let number = self.issues.create_issue(at, title, body, not_after).await;
        self.called("create");
        number
    }

    async fn update_issue(&self, at: &RepositoryRef, number: u64, c: IssueChange<'_>) -> Result<(), GitHubError> {
        let updated = self.issues.update_issue(at, number, c).await;
        self.called("update");
        updated
    }
}

#[test]
fn two_workers_open_one_issue() {
    let reporting = Reporting::new();
    reporting.ends(&refused("wrong"));
    let slow = reporting.house.claim(Queue::Report).remove(0);
    reporting.house.advance(MINUTE); // The first worker's lease ends.
    let quick = || _ = reporting.tell();
    let port = Meanwhile { issues: &reporting.issues, after: "find", happens: &quick };
    assert!(matches!(reporting.tell_through(&port, slow), Err(StoreError::Conflict(_))));
    assert_eq!(reporting.calls(), ["find", "find", "create"]);
    assert!(reporting.issue().open);
}

#[test]
fn what_changes_during_the_call_is_told_with_the_next_one() {
    for after in ["create", "update"] {
        let reporting = Reporting::new();
        if after == "update" {
            reporting.ends(&refused("zeroth"));
            reporting.tell();
        }
        reporting.ends(&refused("first"));
        reporting.house.advance(MINUTE);
        let item = reporting.house.claim(Queue::Report).remove(0);
        let fails_again = || reporting.ends(&refused("second"));
        let port = Meanwhile { issues: &reporting.issues, after, happens: &fails_again };
        assert_eq!(reporting.tell_through(&port, item), Ok(Reported::Told { issue: Some(1) }));
        assert!(reporting.body().contains("`first`"));
        reporting.house.advance(MINUTE);
        reporting.tell();
        assert!(reporting.body().contains("`second`"));
    }
}

#[test]
fn a_rate_limit_delays_and_repetition_does_not_hurry_it() {
    let reporting = Reporting::new();
    let limited = FaultKind::RateLimited { retry_after: Some(600), reset_in: None, secondary: true };
    reporting.order("create", limited);
    reporting.ends(&refused("wrong"));
    let expected = reporting.house.now() + jiff::SignedDuration::from_mins(10);
    assert!(matches!(reporting.tell()[..], [Reported::PutBack { until, .. }] if until == expected));
    reporting.ends(&refused("again"));
    reporting.house.advance(MINUTE * 9);
    assert!(reporting.tell().is_empty());
    reporting.house.advance(MINUTE);
    assert_eq!(reporting.tell(), [Reported::Told { issue: Some(1) }]);
}

#[test]
fn github_that_does_not_answer_is_asked_for_a_day_and_then_not_before_the_next_failure() {
    let reporting = Reporting::new();
    reporting.house.order_times("GET", "/repos/*/*/issues", FaultKind::status(503), 100);
    reporting.ends(&refused("wrong"));
    let began = reporting.house.now();
    let mut told = Vec::new();
    while reporting.report().due.is_some() {
        told.extend(reporting.tell());
        reporting.house.advance(MINUTE);
    }
    assert!(matches!(told.last(), Some(Reported::GivenUp { .. })), "{told:?}");
    let hours = reporting.house.now().duration_since(began).as_hours();
    assert!((24..=25).contains(&hours) && told.len() < 40, "{hours} hours, {} times", told.len());
    reporting.house.world().faults.clear();
    reporting.ends(&refused("again"));
    reporting.house.advance(MINUTE);
    assert_eq!(reporting.tell(), [Reported::Told { issue: Some(1) }]);
}

#[test]
fn what_github_refuses_is_given_up_until_the_next_failure() {
    for status in [403, 404, 410, 422] {
        let reporting = Reporting::new();
        reporting.order("create", FaultKind::status(status));
        reporting.ends(&refused("wrong"));
        assert!(matches!(reporting.tell()[..], [Reported::GivenUp { .. }]), "{status}");
        reporting.house.advance(MINUTE * 60 * 24);
        assert!(reporting.tell().is_empty(), "{status}");
        reporting.ends(&refused("again"));
        reporting.house.advance(MINUTE);
        assert_eq!(reporting.tell(), [Reported::Told { issue: Some(1) }], "{status}");
        assert!(reporting.issue().open);
    }
}

#[test]
fn an_issue_that_somebody_deleted_is_opened_anew_with_the_next_failure() {
    let reporting = Reporting::new();
    reporting.ends(&refused("first"));
    reporting.tell();
    // A deleted issue is not found. Here it is closed, and its text is gone.
    let repository = RepositoryRef { id: reporting.dispatch.source.repository, name: api() };
    let gone = IssueChange { body: Some(""), open: Some(false) };
    reporting.issues.update_issue(&repository, 1, gone).now_or_never().unwrap().unwrap();
    reporting.order("update", FaultKind::status(410));
    for _ in 0..2 {
        reporting.ends(&refused("again"));
        reporting.house.advance(MINUTE);
        reporting.tell();
    }
    assert_eq!(reporting.issues().len(), 2);
    assert_eq!(reporting.report().issue, Some(2));
}

#[test]
fn what_github_refuses_is_told_from_the_webhook_to_the_issue_and_closed_with_the_next_run() {
    let reporting = Reporting::new();
    reporting.house.order("POST", DISPATCHES, FaultKind::status(422));
    reporting.house.run();
    assert_eq!(reporting.tell(), [Reported::Told { issue: Some(1) }]);
    assert!(reporting.issue().open && reporting.body().contains("`octo-org/web`: `cd.yml`"));
    reporting.house.run();
    assert_eq!(reporting.house.started().len(), 1);
    reporting.tell();
    assert!(!reporting.issue().open);
}

#[test]
fn a_rehearsal_tells_failures_too() {
    let House { world, pipeline, .. } = House::settled();
    let guardrails = pipeline.guardrails.clone().with_issues(true);
    drop(pipeline);
    let rehearsal = Rehearsal::new(Arc::into_inner(world).unwrap().into_inner().unwrap(), guardrails).unwrap();
    rehearsal.world().faults.push(Fault::once("POST", DISPATCHES, FaultKind::status(422)).unwrap());
    for open in [true, false] {
        rehearsal.world().complete_run(&api(), RunSpec::new("ci.yml", "main")).unwrap();
        rehearsal.run_until_quiet().unwrap();
        let world = rehearsal.world();
        let issues: Vec<_> = world.repositories().flat_map(|state| state.issues.values()).collect();
        assert_eq!(issues.iter().map(|issue| issue.open).collect::<Vec<_>>(), [open]);
    }
}

#[test]
fn a_delivery_that_was_given_up_is_told_without_details_until_a_dispatch_works() {
    let reporting = Reporting::new();
    reporting.house.complete_run();
    reporting.house.deliver();
    reporting.house.advance(Pipeline::DEFAULT_MAX_EVENT_AGE + MINUTE);
    reporting.house.work();
    assert_eq!(reporting.tell(), [Reported::Told { issue: Some(1) }]);
    let body = reporting.body();
    assert!(body.contains("Before any target was considered"), "{body}");
    assert!(body.contains("`the event is too old to be wanted still`"), "{body}");
    reporting.house.run();
    assert_eq!(reporting.house.started().len(), 1);
    reporting.tell();
    assert!(!reporting.issue().open);
}

#[test]
fn no_issue_is_opened_for_a_workflow_that_never_started_anything() {
    let mut house = House::settled();
    house.pipeline.guardrails.create_issues = true;
    house.complete_run();
    house.deliver();
    house.advance(Pipeline::DEFAULT_MAX_EVENT_AGE + MINUTE);
    house.work();
    assert!(house.end_of_story().starts_with("parked"), "{}", house.story());
    assert!(house.claim(Queue::Report).is_empty());
}
