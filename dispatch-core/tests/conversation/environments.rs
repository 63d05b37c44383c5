//! Which environment a pull request may create and destroy.

use dispatch_core::environment::EnvironmentState;
use dispatch_core::event::{CommandArgument, EventKind, Head, PullRequest, PullRequestAction, Sweep};
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
fn what_destroys_asks_what_the_environment_was_created_for() {
    let closing = |filters: &str| {
        let mut setup = Setup::pull_request(PullRequestAction::Closed);
        setup.source = setup.source.replace("pull_request: [closed]", &format!("pull_request: [closed], {filters}"));
        setup.target = setup.target.replace("pull_request: [closed]", &format!("pull_request: [closed], {filters}"));
        setup
    };
    let mut retargeted = closing("base: [dev]");
    retargeted.state().base_branch = "main".parse().unwrap();
    assert_eq!(retargeted.outcome(), "source_branch_not_matched", "it created nothing for `dev`");
    retargeted.holds("pr-7", "dev");
    assert_eq!(retargeted.outcome(), "allowed");
    retargeted.environments[0].description.base = "main".parse().unwrap();
    assert_eq!(retargeted.outcome(), "source_branch_not_matched", "nor for `main`");

    let mut draft = closing("draft: false");
    draft.state().draft = true;
    assert_eq!(draft.outcome(), "source_draft_not_matched");
    draft.holds("pr-7", "dev");
    assert_eq!(draft.outcome(), "allowed");
    draft.source =
        draft.source.replace("        event: pr-closed\n        environment: destroy\n", "        event: pr-closed\n");
    draft.source = draft.source.replace("{{ env.base }}\", merged", "dev\", merged");
    assert_eq!(draft.outcome(), "source_draft_not_matched", "what does not destroy is about the pull request");
}

#[test]
fn only_what_ends_it_destroys_what_the_rule_does_not_fit() {
    let mut setup = Setup::pull_request(PullRequestAction::Synchronize);
    for policy in [&mut setup.source, &mut setup.target] {
        *policy = policy.replace("pull_request: [closed]", "pull_request: [synchronize], draft: true");
    }
    setup.holds("pr-7", "dev");
    assert_eq!(setup.outcome(), "source_draft_not_matched");
    setup.state().draft = true;
    assert_eq!(setup.outcome(), "allowed");
}

#[test]
fn what_a_deleted_fork_created_is_destroyed_where_both_sides_accept_forks() {
    let accept_forks = |setup: &mut Setup| {
        for policy in [&mut setup.source, &mut setup.target] {
            for what in ["pull_request: [closed]", "command: /destroy-test", "command: /test-deploy"] {
                *policy = policy.replace(what, &format!("{what}, forks: true"));
            }
        }
    };
    for name in ["closed", "/destroy-test"] {
        let mut setup = match name {
            "closed" => Setup::pull_request(PullRequestAction::Closed),
            command => Setup::command(command),
        };
        setup.state().head = Head::Unknown;
        if name != "closed" {
            setup.given().argument = CommandArgument::Commit(HEAD.parse().unwrap());
        }
        assert_eq!(setup.outcome(), "source_head_repository_unverifiable", "{name}: it may be anybody's");
        setup.holds("pr-7", "dev");
        assert_eq!(setup.outcome(), "source_head_repository_unverifiable", "{name}: nobody accepts forks");
        accept_forks(&mut setup);
        assert_eq!(setup.outcome(), "allowed", "{name}");
        setup.record.environments.clear();
        assert_eq!(setup.outcome(), "source_head_repository_unverifiable", "{name}: it created nothing");
    }
    let mut create = Setup::command("/test-deploy");
    accept_forks(&mut create);
    create.state().head = Head::Unknown;
    create.given().argument = CommandArgument::Commit(HEAD.parse().unwrap());
    assert_eq!(create.outcome(), "source_head_repository_unverifiable", "what creates is denied");
}

#[test]
fn a_close_that_comes_after_the_reopening_starts_nothing() {
    let mut setup = Setup::pull_request(PullRequestAction::Closed);
    setup.holds("pr-7", "dev");
    assert_eq!(setup.outcome(), "allowed");
    let mut now = setup.now.clone().unwrap();
    now.updated_at = time("13:30:00");
    let reopened = PullRequest { action: PullRequestAction::Reopened, now, sweep: None };
    setup.record.see(&reopened, time("13:30:00"));
    assert_eq!(setup.outcome(), "pull_request_superseded");
}

#[test]
fn each_of_several_environments_is_destroyed_by_an_event_of_its_own() {
    let mut setup = Setup::pull_request(PullRequestAction::Closed);
    setup.holds("pr-7", "dev").changed_at = time("12:30:00");
    setup.holds("staging", "main").changed_at = time("12:40:00");
    let names = |setup: &mut Setup| {
        let plan = setup.plan();
        let named = plan.allowed().map(|(_, allowed)| allowed.environment.as_ref().unwrap().key.name.to_string());
        (named.collect::<Vec<_>>(), plan.further)
    };
    let [pr_7, staging] = [0, 1].map(|n| setup.environments[n].key.clone());
    assert_eq!(names(&mut setup), (vec!["staging".to_owned()], [pr_7.clone()].into()));

    // Once its dispatch is planned, a decision that is made again is about the same one, whatever changes meanwhile.
    let dispatch = dispatch_core::dispatch::DispatchKey {
        event: setup.event.identity(),
        target: setup.plan().decisions[0].target.clone(),
    };
    let (action, at) = (dispatch_core::policy::EnvironmentAction::Destroy, time("13:00:00"));
    let step = dispatch_core::environment::EnvironmentStep { action, dispatch, at, since: at };
    setup.environments[1].wanted = Some(step);
    setup.environments[0].changed_at = time("13:30:00");
    assert_eq!(names(&mut setup).0, ["staging"]);

    let whole = setup.event.identity();
    setup.event.part = Some(pr_7);
    assert_eq!(names(&mut setup), (vec!["pr-7".to_owned()], [].into()));
    assert_eq!(setup.event.identity().as_str(), format!("{}:acme/cms_infrastructure:pr-7", whole.as_str()));
    setup.record.environments.clear();
    setup.environments[0].holders.clear();
    assert_eq!(setup.outcome(), "environment_not_held", "a part is no more than the whole");
    setup.event.part = Some(staging);
    assert_eq!(names(&mut setup), (vec!["staging".to_owned()], [].into()));
}

#[test]
fn what_a_sweep_found_was_caused_by_the_app() {
    let mut setup = Setup::pull_request(PullRequestAction::Closed);
    let environment = setup.holds("pr-7", "dev").key.clone();
    for policy in [&mut setup.source, &mut setup.target] {
        *policy = policy.replace("merged: \"{{ pr.merged | json }}\"", "who: \"{{ sender.login }}\"");
        *policy = policy.replace("merged: { one_of: [\"true\", \"false\"] }", "who: { max_length: 100 }");
    }
    assert!(setup.body().contains(r#""who":"bob""#), "{}", setup.body());
    setup.event.sender = Some(login("renovate[bot]"));
    assert_eq!(setup.outcome(), "value_not_accepted", "of other Apps no login with brackets is harmless");
    let EventKind::PullRequest(pull_request) = &mut setup.event.kind else { panic!("another event") };
    pull_request.sweep = Some(Sweep { environment, expired: false, at: time("20:00:00") });
    setup.event.sender = None;
    setup.now.as_mut().unwrap().open = false;
    assert!(setup.body().contains(r#""who":"dispatch[bot]""#), "{}", setup.body());

    setup.source = setup.source.replace("{{ sender.login }}", "{{ pr.head_branch }}");
    setup.state().head_branch = "$(id)".parse().unwrap();
    assert_eq!(setup.outcome(), "value_not_accepted", "and yet a stranger chose the branch");
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
    assert_eq!(setup.outcome(), "pull_request_superseded", "GitHub says that it is open");
    setup.now.as_mut().unwrap().open = false;
    let plan = setup.plan();
    let used: Vec<_> = plan.allowed().map(|(_, allowed)| allowed.environment.clone().unwrap().key).collect();
    assert_eq!(used, [environment], "{plan:#?}");
    assert_eq!(plan.decisions.len(), 1, "nothing else that the rule starts");
    assert_eq!(
        setup.event.identity().as_str(),
        "sweep:11:7:acme/cms_infrastructure:pr-7:2026-01-02T20:00:00Z",
        "and it is an event of its own"
    );
}

#[test]
fn an_environment_whose_time_is_over_stays_until_github_tells_of_everybody_whom_it_concerns() {
    let most = u32::try_from(Sweep::MAX_ASKED).unwrap();
    for (holders, told) in [(most, "GitHub does not show pull request 8"), (most + 1, "more than 50 pull requests")] {
        let mut setup = Setup::pull_request(PullRequestAction::Closed);
        let held = setup.holds("staging", "main");
        held.holders = (0..holders).map(|n| PullRequestNumber(NUMBER.0 + u64::from(n))).collect();
        let environment = held.key.clone();
        let EventKind::PullRequest(pull_request) = &mut setup.event.kind else { panic!("another event") };
        pull_request.sweep = Some(Sweep { environment, expired: true, at: time("20:00:00") });
        let plan = setup.plan();
        let denied = plan.decisions[0].denied().unwrap();
        assert!(denied.message.starts_with(told), "{holders}: {}", denied.message);
        let asked = if holders == most { Sweep::MAX_ASKED } else { 0 };
        assert_eq!(setup.asked.len(), asked, "{holders}: all are asked, or none");
    }
}

#[test]
fn what_creates_asks_how_the_pull_request_is() {
    let mut setup = Setup::command("/test-deploy");
    setup.target = setup.target.replace("command: /test-deploy }", "command: /test-deploy, draft: false }");
    assert_eq!(setup.outcome(), "allowed");
    setup.state().draft = true;
    assert_eq!(setup.outcome(), "inbound_not_authorized");
}
