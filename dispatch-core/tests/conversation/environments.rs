//! Which environment a pull request may create and destroy.

use dispatch_core::environment::EnvironmentState;
use dispatch_core::event::{EventKind, PullRequestAction, Sweep};
use dispatch_core::name::{PullRequestNumber, RepositoryId};

use super::setup::*;

#[test]
fn another_source_holds_the_name() {
    let mut setup = Setup::command("/test-deploy");
    setup.holds("pr-7", "dev").source.id = RepositoryId(99);
    assert_eq!(setup.outcome(), "environment_name_taken");
    setup.environments[0].state = EnvironmentState::Destroyed;
    assert_eq!(setup.outcome(), "allowed", "it is gone");
    setup.environments[0].state = EnvironmentState::Live;

    let mut close = Setup::pull_request(PullRequestAction::Closed);
    close.holds("pr-7", "dev").source.id = RepositoryId(99);
    assert_eq!(close.outcome(), "environment_not_held", "nor does it destroy another's");
}

#[test]
fn closing_destroys_only_what_was_created() {
    assert_eq!(Setup::pull_request(PullRequestAction::Closed).outcome(), "environment_not_held");
    assert_eq!(Setup::command("/destroy-test").outcome(), "environment_not_held");
}

#[test]
fn a_pull_request_that_was_retargeted_destroys_what_it_created() {
    let mut setup = Setup::pull_request(PullRequestAction::Closed);
    setup.holds("pr-7", "dev");
    setup.state().base_branch = "main".parse().unwrap();
    assert!(setup.body().contains(r#""base_branch":"dev""#), "{}", setup.body());
}

#[test]
fn a_shared_environment_goes_with_the_last_who_holds_it() {
    let mut setup = Setup::pull_request(PullRequestAction::Closed);
    setup.holds("staging", "main").holders.insert(PullRequestNumber(8));
    assert_eq!(setup.outcome(), "environment_still_held");
    let denied = setup.plan().decisions[0].denied().unwrap().clone();
    assert_eq!(denied.releases.unwrap().pull_request, NUMBER, "and does not hold it any more");
    setup.environments[0].holders.remove(&PullRequestNumber(8));
    assert_eq!(setup.outcome(), "allowed");

    let mut stranger = Setup::pull_request(PullRequestAction::Closed);
    stranger.holds("staging", "main").holders = [PullRequestNumber(8)].into();
    assert_eq!(stranger.outcome(), "environment_not_held", "a close of somebody who does not hold it");
}

#[test]
fn no_environment_is_defined_for_the_branch() {
    let mut setup = Setup::command("/test-deploy");
    setup.state().base_branch = "release/1".parse().unwrap();
    assert_eq!(setup.outcome(), "environment_not_defined");
}

#[test]
fn a_sweep_only_destroys_the_environment_that_it_found() {
    let mut setup = Setup::pull_request(PullRequestAction::Closed);
    let environment = setup.holds("pr-7", "dev").key.clone();
    setup.holds("pr-7-more", "dev");
    setup.source += "  - base: never\n    name: never\n";
    setup.source = setup.source.replace(
        "  - source: { pull_request: [closed] }\n    targets:\n",
        "  - source: { pull_request: [closed] }\n    targets:\n      - { repository: cms_infrastructure, event: said-goodbye }\n",
    );
    let at = time("20:00:00");
    let EventKind::PullRequest(pull_request) = &mut setup.event.kind else { panic!("another event") };
    pull_request.sweep = Some(Sweep { environment: environment.clone(), expired: false, at });
    let plan = setup.plan();
    let used: Vec<_> = plan.allowed().map(|(_, allowed)| allowed.environment.clone().unwrap().key).collect();
    assert_eq!(used, [environment], "{plan:#?}");
    assert_eq!(plan.decisions.len(), 1, "nothing else that the rule starts");
    assert_eq!(
        setup.event.identity().as_str(),
        "sweep:11:acme/cms_infrastructure:pr-7:2026-01-02T20:00:00Z",
        "and it is an event of its own"
    );
}
