//! The sweep: what it finds, what it leaves alone, and in which order.

use std::time::Duration;

use dispatch_core::environment::EnvironmentState::{Destroyed, Destroying, Failed, Live};
use dispatch_core::event::Conclusion;
use dispatch_core::name::{PullRequestNumber, Repository};
use dispatch_core::notice::About;
use dispatch_core::pipeline::SweepOptions;
use dispatch_core::ports::store::Record;
use dispatch_core::testing::world::{Fault, FaultKind, PullRequestSpec};

use crate::stage::{self, Stage, cms, infra};

const ONE_PULL_REQUEST: &str = "/repos/*/*/pulls/*";
const DAY: u64 = 24 * 60 * 60;

fn number(n: u64) -> PullRequestNumber {
    PullRequestNumber(n)
}

#[test]
fn a_lost_close_is_found_by_the_sweep() {
    let stage = Stage::new();
    let pull = stage.open("topic", "dev");
    stage.settle();
    stage.started();
    stage.close(pull);
    assert_eq!(stage.intercept().len(), 1, "it is lost");
    let look = stage.sweep_with(&SweepOptions { dry_run: true, ..SweepOptions::default() });
    stage.settle();
    assert_eq!((look.going.len(), stage.started()), (1, Vec::new()), "a dry run does nothing");
    assert_eq!(stage.sweep().going, look.going);
    stage.settle();
    assert_eq!(stage.started(), ["destroy.yml pr-1"]);
    assert_eq!(stage.state("pr-1"), Some(Destroyed));
    assert_eq!(stage.sweep().looked_at, 0, "what is destroyed is not looked at");
}

#[test]
fn what_github_does_not_tell_is_unknown_and_never_closed() {
    for status in [404, 403, 301, 502] {
        let stage = Stage::new();
        let pull = stage.open("topic", "dev");
        stage.settle();
        stage.close(pull);
        stage.intercept();
        let fault = Fault::once("GET", ONE_PULL_REQUEST, FaultKind::status(status)).unwrap().times(100);
        stage.0.world().faults.push(fault);
        let outcome = stage.sweep();
        stage.settle();
        assert_eq!((outcome.going.len(), outcome.unknown.len()), (0, 1), "{status}");
        assert_eq!(stage.state("pr-1"), Some(Live), "{status}");
    }
}

#[test]
fn a_renamed_repository_is_unknown() {
    let stage = Stage::new();
    let pull = stage.open("topic", "dev");
    stage.settle();
    stage.close(pull);
    stage.intercept();
    stage.0.world().rename_repository(&cms(), &"octo-org/site".parse().unwrap()).unwrap();
    stage.intercept();
    assert_eq!(stage.sweep().unknown.len(), 1);
    assert_eq!(stage.state("pr-1"), Some(Live));
}

#[test]
fn an_open_pull_request_keeps_its_environment_until_its_time_is_over_and_longer_with_the_label() {
    let stage = Stage::new();
    let pull = stage.open("topic", "dev");
    stage.settle();
    stage.started();
    assert_eq!(stage.sweep().open, 1);
    stage.advance(73 * 60 * 60);
    stage.0.world().label_pull_request(&cms(), pull, "keep").unwrap();
    stage.intercept();
    assert_eq!(stage.sweep().going, []);
    stage.0.world().unlabel_pull_request(&cms(), pull, "keep").unwrap();
    stage.intercept();
    let outcome = stage.sweep_with(&SweepOptions { only_expired: true, ..SweepOptions::default() });
    assert!(outcome.going[0].expired);
    stage.settle();
    assert_eq!(stage.started(), ["destroy.yml pr-1"]);
    // It is open still: a push makes it again.
    stage.0.world().push_to_pull_request(&cms(), pull, "octocat").unwrap();
    stage.settle();
    assert_eq!(stage.started(), ["create.yml pr-1"]);
    assert_eq!(stage.state("pr-1"), Some(Live));
}

#[test]
fn what_a_sweep_found_is_looked_at_again_right_before_it_goes() {
    // The service is stopped between the sweep and the decision.
    let stage = Stage::new();
    let pull = stage.open("topic", "dev");
    stage.settle();
    stage.close(pull);
    stage.intercept();
    stage.started();
    assert_eq!(stage.sweep().going.len(), 1);
    stage.0.world().reopen_pull_request(&cms(), pull).unwrap();
    assert_eq!(stage.intercept().len(), 1, "no rule is about that");
    stage.settle();
    assert_eq!((stage.started(), stage.state("pr-1")), (Vec::new(), Some(Live)));

    // GitHub does not show it any more.
    stage.advance(DAY);
    stage.close(pull);
    stage.intercept();
    assert_eq!(stage.sweep().going.len(), 1);
    let fault = Fault::once("GET", ONE_PULL_REQUEST, FaultKind::status(404)).unwrap().times(100);
    stage.0.world().faults.push(fault);
    stage.settle();
    assert_eq!((stage.started(), stage.state("pr-1")), (Vec::new(), Some(Live)));
}

#[test]
fn what_a_sweep_found_is_looked_at_again_when_its_call_had_to_wait() {
    let stage = Stage::new();
    let pull = stage.open("topic", "dev");
    stage.settle();
    stage.close(pull);
    stage.intercept();
    stage.started();
    assert_eq!(stage.sweep().going.len(), 1);
    let limit = FaultKind::RateLimited { retry_after: None, reset_in: Some(30 * 60), secondary: false };
    stage.0.world().faults.push(Fault::once("POST", "/repos/octo-org/infra/actions/**", limit).unwrap());
    stage.settle();
    assert_eq!(stage.started(), [""; 0], "it waits");
    stage.0.world().reopen_pull_request(&cms(), pull).unwrap();
    stage.intercept();
    stage.advance(60 * 60);
    stage.settle();
    assert_eq!((stage.started(), stage.state("pr-1")), (Vec::new(), Some(Live)));
    assert!(stage.environment("pr-1").unwrap().concerns(number(pull)), "its close destroys it");
    stage.close(pull);
    stage.settle();
    assert_eq!(stage.started(), ["destroy.yml pr-1"]);
}

#[test]
fn a_label_that_comes_after_the_sweep_keeps_an_environment_whose_time_is_over() {
    let stage = Stage::new();
    let pull = stage.open("topic", "dev");
    stage.settle();
    stage.started();
    stage.advance(73 * 60 * 60);
    assert!(stage.sweep().going[0].expired);
    stage.0.world().label_pull_request(&cms(), pull, "keep").unwrap();
    stage.settle();
    assert_eq!((stage.started(), stage.state("pr-1")), (Vec::new(), Some(Live)));
    assert_eq!(stage.environment("pr-1").unwrap().holders, [number(pull)].into());
}

#[test]
fn a_sweep_is_as_old_as_what_github_said_and_our_clock_does_not_count() {
    let stage = Stage::new();
    let pull = stage.open("topic", "dev");
    stage.settle();
    stage.close(pull);
    stage.intercept();
    stage.started();
    let ahead = stage.0.world().now().checked_add(Duration::from_secs(5 * 60)).unwrap();
    assert_eq!(stage.0.sweep_at(&SweepOptions::default(), ahead).unwrap().going.len(), 1);
    stage.advance(5 * 60 + 1);
    stage.settle();
    assert_eq!(stage.state("pr-1"), Some(Destroyed));
    let closed = stage.environment("pr-1").unwrap().seen[&number(pull)];
    assert!(closed < ahead, "{closed}: a create of those five minutes is newer");
}

#[test]
fn a_destroy_that_failed_is_tried_again_by_the_next_sweep() {
    let stage = Stage::new();
    let pull = stage.open("topic", "dev");
    stage.settle();
    stage.started();
    stage.0.world().order_conclusion(&infra(), "destroy.yml", Conclusion::Failure).unwrap();
    stage.close(pull);
    stage.settle();
    assert_eq!((stage.started().len(), stage.state("pr-1")), (1, Some(Failed)));
    stage.0.world().order_conclusion(&infra(), "destroy.yml", Conclusion::Success).unwrap();
    assert_eq!(stage.sweep().going.len(), 1);
    stage.settle();
    assert_eq!(stage.started(), ["destroy.yml pr-1"]);
    assert_eq!(stage.state("pr-1"), Some(Destroyed));
}

#[test]
fn a_sweep_lets_no_more_go_than_it_may() {
    let stage = Stage::new();
    for n in 0..5 {
        let pull = stage.open(&format!("topic-{n}"), "dev");
        stage.settle();
        stage.close(pull);
        stage.intercept();
    }
    stage.started();
    let options = SweepOptions { limit: 2, ..SweepOptions::default() };
    let outcome = stage.sweep_with(&options);
    assert_eq!((outcome.going.len(), outcome.limited), (2, true));
    stage.settle();
    assert_eq!(stage.started().len(), 2);
}

#[test]
fn what_goes_already_counts_whatever_wanted_it_to() {
    let stage = Stage::new();
    let pulls: Vec<_> = (0..5).map(|n| stage.open(&format!("topic-{n}"), "dev")).collect();
    stage.settle();
    stage.started();
    stage.close(pulls[0]);
    stage.0.run_once().unwrap();
    assert_eq!(stage.state("pr-1"), Some(Destroying), "its run has not ended");
    pulls[1..].iter().for_each(|pull| stage.close(*pull));
    stage.intercept();
    let options = SweepOptions { limit: 2, ..SweepOptions::default() };
    let outcome = stage.sweep_with(&options);
    assert_eq!((outcome.going_before, outcome.going.len(), outcome.limited), (1, 1, true));
    // Nobody has decided about that one yet.
    let outcome = stage.sweep_with(&options);
    assert_eq!((outcome.going_before, outcome.going.len(), outcome.limited), (2, 0, true));
    stage.settle();
    assert_eq!(stage.started().len(), 2);
    let outcome = stage.sweep_with(&options);
    assert_eq!((outcome.going_before, outcome.going.len(), outcome.limited), (0, 2, true));
}

/// Opens a pull request of `shop`, whose environments `infra` will not destroy.
fn open_in_shop(stage: &Stage, head: &str) {
    let spec = PullRequestSpec { base: "dev".to_owned(), ..PullRequestSpec::new(head) };
    stage.0.world().open_pull_request(&shop(), spec).unwrap();
    stage.settle();
}

fn shop() -> Repository {
    "octo-org/shop".parse().unwrap()
}

/// Environments of closed pull requests: two of `shop`, `pr-1` and `pr-2`, which `infra` does not let go any more, and `pr-3`
/// of `cms`, which is newer or older than these.
fn some_that_cannot_go(cms_is_newer: bool) -> Stage {
    let stage = Stage::with_sources(&["cms", "shop"]);
    let open_in_cms = || {
        for n in 1..=3 {
            let base = if n < 3 { "elsewhere" } else { "dev" };
            stage.open(&format!("topic-{n}"), base);
        }
        stage.settle();
    };
    stage.0.world().write_file(&cms(), "elsewhere", "README.md", "no environments").unwrap();
    if !cms_is_newer {
        open_in_cms();
    }
    open_in_shop(&stage, "one");
    open_in_shop(&stage, "two");
    if cms_is_newer {
        open_in_cms();
    }
    for pull in 1..=2 {
        stage.0.world().close_pull_request(&shop(), pull, false).unwrap();
    }
    stage.close(3);
    stage.intercept();
    let names = ["pr-1", "pr-2", "pr-3"].map(|name| stage.state(name));
    assert_eq!(names, [Some(Live); 3]);
    let consent = stage::inbound("cms");
    stage.0.world().write_file(&infra(), "main", "dispatching.yml", &format!("inbound:\n{consent}")).unwrap();
    stage.settle();
    stage.started();
    stage
}

#[test]
fn those_that_cannot_go_keep_no_other_one_waiting() {
    for cms_is_newer in [false, true] {
        let stage = some_that_cannot_go(cms_is_newer);
        let options = SweepOptions { limit: 2, ..SweepOptions::default() };
        for _ in 0..2 {
            assert_eq!(stage.sweep_with(&options).going.len(), 2);
            stage.settle();
            stage.advance(7 * DAY);
        }
        assert_eq!(stage.started(), ["destroy.yml pr-3"], "newer: {cms_is_newer}");
    }
}

#[test]
fn what_cannot_go_is_tried_once_a_day_and_told_once() {
    let stage = some_that_cannot_go(true);
    let checks = || {
        let about = |record| match record {
            Record::Notice(notice) => matches!(&notice.about, About::Check(check) if check.repository.name == shop()),
            _ => false,
        };
        stage.0.store().records().into_iter().filter(|record| about(record.clone())).count()
    };
    let before = checks();
    assert_eq!(stage.sweep().going.len(), 3);
    stage.settle();
    assert_eq!(checks(), before + 2);
    let outcome = stage.sweep();
    assert_eq!((outcome.going.len(), outcome.tried), (0, 2));
    let asked_for = SweepOptions { again_after: Duration::ZERO, ..SweepOptions::default() };
    assert_eq!(stage.sweep_with(&asked_for).going.len(), 2, "whoever asks for it may have mended it");
    stage.settle();
    stage.advance(DAY);
    assert_eq!(stage.sweep().going.len(), 2);
    stage.settle();
    assert_eq!(checks(), before + 2, "the same denial is the same check");

    let consent = ["cms", "shop"].map(stage::inbound).concat();
    stage.0.world().write_file(&infra(), "main", "dispatching.yml", &format!("inbound:\n{consent}")).unwrap();
    stage.settle();
    stage.advance(DAY);
    assert_eq!(stage.sweep().going.len(), 2);
    stage.settle();
    let mut started = stage.started();
    started.sort();
    assert_eq!(started, ["destroy.yml pr-1", "destroy.yml pr-2", "destroy.yml pr-3"]);
}

#[test]
fn an_environment_of_a_repository_that_no_rule_names_any_more_says_so() {
    let stage = Stage::new();
    let pull = stage.open("topic", "dev");
    stage.settle();
    let policy = stage::OUTBOUND.replace("repository: infra", "repository: platform");
    stage.0.world().write_file(&cms(), "main", "dispatching.yml", &policy).unwrap();
    stage.settle();
    stage.close(pull);
    stage.settle();
    assert_eq!(stage.sweep().going.len(), 1);
    let plans = stage.0.run_until_quiet().unwrap();
    let skipped = plans[0].skipped.as_ref().unwrap();
    assert_eq!(skipped.reason.code(), "no_rule_matched");
    assert!(skipped.message.contains("destroys what is in `octo-org/infra`"), "{}", skipped.message);
    assert_eq!(stage.state("pr-1"), Some(Live));
}
