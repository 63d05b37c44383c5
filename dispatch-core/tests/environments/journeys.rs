//! The life of environments in the pipeline, told by pull requests.

use dispatch_core::environment::EnvironmentState::{Destroyed, Failed, Live};
use dispatch_core::event::Conclusion;
use dispatch_core::name::{PullRequestNumber, Repository};
use dispatch_core::testing::world::{PullRequestSpec, RunSpec};

use crate::stage::{Stage, cms, infra};

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
fn a_command_that_waited_while_the_pull_request_was_retargeted_leaves_nothing_behind() {
    let stage = Stage::new();
    let pull = stage.open("topic", "dev");
    stage.0.run_once().unwrap();
    stage.advance(2);
    stage.0.world().comment(&cms(), pull, "octocat", "/deploy").unwrap();
    stage.0.run_once().unwrap();
    assert!(stage.environment("pr-1").unwrap().wanted.is_some(), "it waits for the first run");
    stage.advance(60);
    stage.0.world().retarget_pull_request(&cms(), pull, "main").unwrap();
    stage.settle();
    stage.advance(6 * 60);
    stage.settle();
    assert_eq!(stage.started(), ["create.yml pr-1"], "nobody asked for `staging`");
    let environment = stage.environment("pr-1").unwrap();
    assert_eq!((environment.wanted, environment.state), (None, Live));
}

#[test]
fn a_pull_request_destroys_every_environment_that_it_created() {
    for by_command in [false, true] {
        let stage = Stage::new();
        let pull = stage.open("topic", "dev");
        stage.settle();
        stage.0.world().retarget_pull_request(&cms(), pull, "main").unwrap();
        stage.0.world().push_to_pull_request(&cms(), pull, "octocat").unwrap();
        stage.settle();
        assert_eq!(stage.started(), ["create.yml pr-1", "create.yml staging"]);
        match by_command {
            true => _ = stage.0.world().comment(&cms(), pull, "octocat", "/destroy").unwrap(),
            false => stage.close(pull),
        }
        let webhooks = stage.intercept();
        for _ in 0..2 {
            stage.0.receive(&webhooks).unwrap();
        }
        stage.settle();
        let mut started = stage.started();
        started.sort();
        assert_eq!(started, ["destroy.yml pr-1", "destroy.yml staging"]);
        assert_eq!((stage.state("pr-1"), stage.state("staging")), (Some(Destroyed), Some(Destroyed)));
    }
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
