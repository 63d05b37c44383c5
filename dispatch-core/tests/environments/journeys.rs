//! The life of environments in the pipeline, told by pull requests.

use std::time::Duration;

use dispatch_core::environment::EnvironmentState::{Destroyed, Failed, Live};
use dispatch_core::event::Conclusion;
use dispatch_core::name::{PullRequestNumber, Repository};
use dispatch_core::pipeline::SweepOptions;
use dispatch_core::testing::world::{Fault, FaultKind, PullRequestSpec, RunSpec};

use crate::stage::{Stage, cms, infra};

const ONE_PULL_REQUEST: &str = "/repos/*/*/pulls/*";

fn number(n: u64) -> PullRequestNumber {
    PullRequestNumber(n)
}

#[test]
fn a_pull_request_creates_updates_and_destroys_its_environment() {
    let stage = Stage::new();
    let pull = stage.open("topic", "dev");
    stage.settle();
    assert_eq!(stage.started(), ["create.yml pr-1"]);
    assert_eq!(stage.state("pr-1"), Some(Live));
    stage.0.world().push_to_pull_request(&cms(), pull, "octocat").unwrap();
    stage.settle();
    assert_eq!(stage.started(), ["create.yml pr-1"]);
    stage.close(pull);
    stage.settle();
    assert_eq!(stage.started(), ["destroy.yml pr-1"]);
    assert_eq!(stage.state("pr-1"), Some(Destroyed));
}

#[test]
fn a_close_that_overtakes_its_create_ends_destroyed() {
    let stage = Stage::new();
    let pull = stage.open("topic", "dev");
    let opened = stage.intercept();
    stage.advance(2);
    stage.close(pull);
    stage.settle();
    stage.0.receive(&opened).unwrap();
    stage.settle();
    assert_eq!(stage.started(), [""; 0], "what is closed gets nothing");
    assert!(stage.state("pr-1").is_none_or(|state| state == Destroyed));
}

#[test]
fn a_retargeted_pull_request_destroys_what_it_created() {
    let stage = Stage::new();
    let pull = stage.open("topic", "dev");
    stage.settle();
    stage.started();
    stage.0.world().retarget_pull_request(&cms(), pull, "main").unwrap();
    stage.settle();
    stage.close(pull);
    stage.settle();
    assert_eq!(stage.started(), ["destroy.yml pr-1"], "not staging, which another base would have");
    assert_eq!((stage.state("pr-1"), stage.state("staging")), (Some(Destroyed), None));
}

#[test]
fn a_shared_environment_is_destroyed_when_the_last_of_two_holders_goes() {
    let stage = Stage::new();
    let (one, two) = (stage.open("one", "main"), stage.open("two", "main"));
    stage.settle();
    assert_eq!(stage.state("staging"), Some(Live));
    stage.started();
    stage.close(one);
    stage.settle();
    assert_eq!(stage.started(), [""; 0]);
    assert_eq!(stage.environment("staging").unwrap().holders, [number(two)].into());
    stage.close(two);
    stage.settle();
    assert_eq!(stage.started(), ["destroy.yml staging"]);
    assert_eq!(stage.state("staging"), Some(Destroyed));
}

#[test]
fn another_source_does_not_get_the_name() {
    let stage = Stage::with_sources(&["cms", "shop"]);
    let pull = stage.open("topic", "dev");
    stage.settle();
    stage.started();
    let before = stage.environment("pr-1").unwrap();
    let shop: Repository = "octo-org/shop".parse().unwrap();
    let theirs = {
        let spec = PullRequestSpec { base: "dev".to_owned(), ..PullRequestSpec::new("topic") };
        stage.0.world().open_pull_request(&shop, spec).unwrap()
    };
    assert_eq!(theirs, pull, "the same number in another repository");
    stage.settle();
    stage.0.world().close_pull_request(&shop, theirs, false).unwrap();
    stage.settle();
    assert_eq!(stage.started(), [""; 0]);
    assert_eq!(stage.environment("pr-1").unwrap(), before);
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
fn a_run_that_is_run_again_and_succeeds_mends_the_environment_too() {
    let stage = Stage::new();
    let run_again = |workflow: &str| {
        let mut world = stage.0.world();
        let run = world.runs().rfind(|run| run.workflow == workflow).unwrap().id;
        let actor = world.app().bot();
        let again = RunSpec { rerun_of: Some(run), actor, ..RunSpec::new(workflow, "main") };
        world.complete_run(&infra(), again).unwrap();
        drop(world);
        stage.settle();
    };
    stage.0.world().order_conclusion(&infra(), "create.yml", Conclusion::Failure).unwrap();
    let pull = stage.open("topic", "dev");
    stage.settle();
    assert_eq!(stage.state("pr-1"), Some(Failed));
    run_again("create.yml");
    assert_eq!(stage.state("pr-1"), Some(Live));
    stage.0.world().order_conclusion(&infra(), "destroy.yml", Conclusion::Failure).unwrap();
    stage.close(pull);
    stage.settle();
    assert_eq!(stage.state("pr-1"), Some(Failed));
    run_again("destroy.yml");
    assert_eq!(stage.state("pr-1"), Some(Destroyed));
    assert_eq!(stage.started(), ["create.yml pr-1", "destroy.yml pr-1"]);
    assert_eq!(stage.sweep().going, []);
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
