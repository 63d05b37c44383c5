//! The result comes back: checks on the source's commit, comments and reactions, followed through webhooks.

use std::time::Duration;

use dispatch_core::decide::Visibility;
use dispatch_core::event::Conclusion;
use dispatch_core::fact::FactBody;
use dispatch_core::notice::Notice;
use dispatch_core::pipeline::Shown;
use dispatch_core::ports::store::{Queue, Record, RecordKey};
use dispatch_core::report::check::of_dispatch;
use dispatch_core::testing::WorldGitHub;
use dispatch_core::testing::world::{Comment, FaultKind, PullRequestSpec, Role};
use futures_util::FutureExt;

use crate::house::{House, api, web};

const CREATE_CHECK: &str = "/repos/*/*/check-runs";

/// `api` wants previews of pull requests and a command, `web` agrees to both.
pub(crate) fn previews(listener: &str) -> House {
    let house = House::new();
    let outbound = "\
outbound:
  - source: { pull_request: [opened, synchronize] }
    targets:
      - repository: web
        event: preview
        payload: { pr: '{{ pr.number }}' }
  - source: { command: /deploy }
    targets:
      - repository: web
        event: deploy
        payload: { pr: '{{ pr.number }}' }
";
    let inbound = "\
inbound:
  - source: { repository: api, pull_request: [opened, synchronize] }
    targets:
      - event: preview
        accept_payload: { pr: { pattern: number } }
  - source: { repository: api, command: /deploy }
    targets:
      - event: deploy
        accept_payload: { pr: { pattern: number } }
";
    house.write(&api(), "dispatching.yml", outbound);
    house.write(&web(), "dispatching.yml", inbound);
    house.write(&web(), ".github/workflows/listen.yml", listener);
    house.world().set_permission(&api(), "alice", Role::Write).unwrap();
    house.deliver();
    house
}

pub(crate) const LISTENER: &str = "on: {repository_dispatch: {types: [preview, deploy]}}\njobs: {}\n";

/// Every check run, as `name: status conclusion: title`.
pub(crate) fn checks(house: &House) -> Vec<String> {
    let world = house.world();
    let shown = world.check_runs().map(|check| {
        let (status, title) = (&check.status, check.title.as_deref().unwrap_or_default());
        let conclusion = check.conclusion.as_deref().unwrap_or("-");
        format!("{}: {status} {conclusion}: {title}", check.name)
    });
    shown.collect()
}

pub(crate) fn summary(house: &House) -> String {
    house.world().check_runs().last().unwrap().summary.clone().unwrap()
}

/// The comments of the App.
pub(crate) fn comments(house: &House) -> Vec<Comment> {
    let world = house.world();
    let state = world.repositories().find(|state| state.name == api()).unwrap();
    state.comments.values().filter(|comment| comment.author.ends_with("[bot]")).cloned().collect()
}

pub(crate) fn reactions(house: &House, comment: u64) -> Vec<String> {
    let world = house.world();
    world.known_comment(&api(), comment).unwrap().reactions.iter().map(|it| it.content.clone()).collect()
}

/// Lets everything happen that happens without waiting: webhooks, plans, calls, and what is shown of them.
pub(crate) fn settle(house: &House) {
    house.deliver();
    house.work();
    house.show();
}

fn progressed(house: &House) -> usize {
    let facts = house.store.inner.facts();
    facts.iter().filter(|fact| matches!(fact.body, FactBody::DispatchRunProgressed { .. })).count()
}

#[test]
fn a_check_on_the_source_commit_goes_from_planned_over_running_to_the_conclusion_of_the_run() {
    let house = House::settled();
    house.complete_run();
    house.deliver();
    house.claim(Queue::Plan).into_iter().for_each(|item| house.step(item).unwrap());
    house.show();
    assert_eq!(checks(&house), ["dispatch / octo-org/web / cd.yml: queued -: planned"]);
    settle(&house);
    assert_eq!(checks(&house), ["dispatch / octo-org/web / cd.yml: in_progress -: started"]);
    house.world().progress_runs();
    settle(&house);
    assert_eq!(checks(&house), ["dispatch / octo-org/web / cd.yml: in_progress -: running"]);
    house.world().progress_runs();
    settle(&house);
    assert_eq!(checks(&house), ["dispatch / octo-org/web / cd.yml: completed success: succeeded"]);
    let world = house.world();
    let (run, check) = (world.runs().last().unwrap(), world.check_runs().last().unwrap());
    assert_eq!(check.details_url.as_deref(), Some(world.run_page(run).as_str()));
    let text = check.summary.clone().unwrap().replace(&run.id.to_string(), "RUN");
    insta::assert_snapshot!(text, @"
    [The run](<https://github.com/octo-org/web/actions/runs/RUN>) succeeded.

    - Target: `octo-org/web`, `cd.yml`
    - Asked for by: `octo-org/api/dispatching.yml:5`
    - Agreed to by: `octo-org/web/dispatching.yml:6`
    - At: `main`
    ");
}

#[test]
fn a_denied_target_is_a_neutral_check_and_a_failure_only_where_a_merge_must_wait_for_it() {
    for (required, expected) in [("", "neutral"), ("\n        required: true", "failure")] {
        let house = House::settled();
        let outbound = format!(
            "outbound:\n  - source:\n      workflow: ci.yml\n    targets:\n      - repository: web\n        workflow: other.yml{required}\n"
        );
        house.write(&api(), "dispatching.yml", &outbound);
        house.deliver();
        house.run();
        house.show();
        let shown = checks(&house);
        assert_eq!(shown.len(), 1);
        assert!(
            shown[0].starts_with(&format!("dispatch / octo-org/web / other.yml: completed {expected}: ")),
            "{shown:?}"
        );
    }
}

#[test]
fn a_check_whose_answer_was_lost_is_looked_for_minutes_later_and_no_second_is_created() {
    let house = House::settled();
    house.order("POST", CREATE_CHECK, FaultKind::CutAfter);
    house.run();
    assert!(matches!(house.show()[..], [Shown::PutBack { .. }]));
    house.advance(Duration::from_secs(60));
    let early = house.show();
    assert!(!early.iter().any(|shown| matches!(shown, Shown::Shown { .. })), "{early:?}");
    house.advance(Notice::CREATING_SETTLES);
    house.show();
    assert_eq!(checks(&house), ["dispatch / octo-org/web / cd.yml: in_progress -: started"]);
}

#[test]
fn what_changes_while_it_is_shown_is_shown_a_second_later() {
    let house = House::settled();
    house.run();
    for update in [false, true] {
        let item = house.claim(Queue::Report).remove(0);
        let Record::Notice(notice) = item.record else { panic!("no notice") };
        let now = house.now();
        house.store.beat_after(1, RecordKey::Notice(notice.key()), move |stored| {
            let Some(Record::Notice(mut notice)) = stored else { panic!("no notice") };
            notice.change(now);
            Record::Notice(notice)
        });
        let port = WorldGitHub::new(house.world.clone());
        let shown = house.pipeline.show(&port, *notice, item.version, now).now_or_never().unwrap();
        assert!(matches!(shown, Ok(Shown::Shown { .. })), "{update}: {shown:?}");
        assert!(house.claim(Queue::Report).is_empty());
        house.advance(Duration::from_secs(1));
    }
    assert!(matches!(house.show()[..], [Shown::Shown { .. }]));
}

#[test]
fn a_crash_after_the_check_was_created_creates_no_second() {
    let house = House::settled();
    house.run();
    let item = house.claim(Queue::Report).remove(0);
    let Record::Notice(notice) = item.record else { panic!("no notice") };
    let port = WorldGitHub::new(house.world.clone());
    house.store.fail_after(1);
    let crashed = house.pipeline.show(&port, *notice, item.version, house.now()).now_or_never().unwrap();
    assert!(crashed.is_err());
    assert_eq!(checks(&house).len(), 1, "it was created, and nobody knows");
    house.advance(Notice::CREATING_SETTLES + Duration::from_secs(1));
    assert!(matches!(house.show()[..], [Shown::Shown { id: Some(_) }]));
    assert_eq!(checks(&house).len(), 1);
}

#[test]
fn what_changes_before_it_is_shown_is_shown_once_as_it_is_at_last() {
    let house = House::settled();
    house.run();
    house.world().progress_runs();
    house.world().progress_runs();
    house.deliver();
    house.work();
    assert_eq!(house.show().len(), 1);
    assert_eq!(checks(&house), ["dispatch / octo-org/web / cd.yml: completed success: succeeded"]);
    assert!(house.show().is_empty());
}

#[test]
fn what_github_refuses_is_given_up_with_the_name_of_the_permission() {
    let house = House::settled();
    let headers = [("X-Accepted-GitHub-Permissions".to_owned(), "checks=write".to_owned())].into();
    house.order("POST", CREATE_CHECK, FaultKind::Status { status: 403, body: None, headers });
    house.run();
    let shown = house.show();
    let [Shown::GivenUp { error }] = &shown[..] else { panic!("{shown:?}") };
    assert!(error.ends_with("(GitHub wants the permission checks=write)"), "{error}");
    assert!(house.show().is_empty());
}

#[test]
fn a_rate_limit_delays_and_a_github_that_does_not_answer_is_asked_for_a_day() {
    let house = House::settled();
    let limited = FaultKind::RateLimited { retry_after: Some(600), reset_in: None, secondary: true };
    house.order("POST", CREATE_CHECK, limited);
    house.run();
    assert!(matches!(house.show()[..], [Shown::PutBack { .. }]));
    house.advance(Duration::from_secs(599));
    assert!(house.show().is_empty());
    house.advance(Duration::from_secs(1));
    assert!(matches!(house.show()[..], [Shown::Shown { .. }]));
}

#[test]
fn webhooks_in_any_order_and_more_than_once_never_show_a_completed_run_as_running() {
    let house = House::settled();
    house.run();
    house.world().progress_runs();
    house.world().progress_runs();
    let mut webhooks = house.world().take_webhooks();
    webhooks.reverse();
    for webhook in webhooks.iter().chain(&webhooks) {
        house.receive(webhook).unwrap();
        house.work();
        house.show();
        assert_eq!(checks(&house), ["dispatch / octo-org/web / cd.yml: completed success: succeeded"]);
    }
    assert_eq!(progressed(&house), 1);
}

#[test]
fn a_webhook_that_overtakes_the_record_of_its_run_waits_for_it() {
    let house = House::settled();
    house.complete_run();
    house.deliver();
    house.claim(Queue::Plan).into_iter().for_each(|item| house.step(item).unwrap());
    // The call was made, and its answer could not be stored.
    house.store.fail_after(1);
    let crashed = house.claim(Queue::Dispatch).remove(0);
    assert!(house.step(crashed).is_err());
    house.world().progress_runs();
    house.world().progress_runs();
    house.deliver();
    house.work();
    assert_eq!(progressed(&house), 0);
    for _ in 0..30 {
        house.advance(Duration::from_secs(10));
        house.work();
    }
    house.show();
    assert_eq!(checks(&house), ["dispatch / octo-org/web / cd.yml: completed success: succeeded"]);
    assert_eq!(house.started().len(), 1);
}

#[test]
fn a_run_that_fails_is_a_failed_check() {
    let house = House::settled();
    house.world().order_conclusion(&web(), "cd.yml", Conclusion::Failure).unwrap();
    house.run();
    house.world().progress_runs();
    house.world().progress_runs();
    settle(&house);
    assert_eq!(checks(&house), ["dispatch / octo-org/web / cd.yml: completed failure: failed"]);
}

#[test]
fn the_run_of_an_event_is_found_and_followed() {
    let mut house = previews(LISTENER);
    // As the operator wrote it: GitHub compares logins without case.
    house.pipeline.guardrails.app_login = "Dispatch[bot]".parse().ok();
    house.world().open_pull_request(&api(), PullRequestSpec::new("topic")).unwrap();
    settle(&house);
    assert_eq!(
        checks(&house),
        ["dispatch / octo-org/web / preview: in_progress -: accepted by GitHub; its run is looked for"]
    );
    for _ in 0..2 {
        house.advance(Duration::from_secs(2));
        settle(&house);
    }
    assert_eq!(checks(&house), ["dispatch / octo-org/web / preview: in_progress -: started"]);
    for _ in 0..3 {
        house.world().progress_runs();
        house.advance(Duration::from_secs(5));
        settle(&house);
    }
    assert_eq!(checks(&house), ["dispatch / octo-org/web / preview: completed success: succeeded"]);
}

#[test]
fn an_event_that_nobody_listens_to_is_neutral_and_says_what_the_target_lacks() {
    let house = previews("on: push\njobs: {}\n");
    house.world().open_pull_request(&api(), PullRequestSpec::new("topic")).unwrap();
    settle(&house);
    for _ in 0..80 {
        house.advance(Duration::from_secs(10));
        house.work();
    }
    house.show();
    assert_eq!(
        checks(&house),
        ["dispatch / octo-org/web / preview: completed neutral: accepted by GitHub, but no run was observed"]
    );
    let text = summary(&house);
    assert!(text.contains("No workflow of the target's default branch listens to this event."), "{text}");
}

#[test]
fn where_several_workflows_listen_no_run_is_claimed_and_each_is_named() {
    let house = previews(LISTENER);
    house.write(&web(), ".github/workflows/too.yml", LISTENER);
    house.deliver();
    house.world().open_pull_request(&api(), PullRequestSpec::new("topic")).unwrap();
    settle(&house);
    for _ in 0..100 {
        house.advance(Duration::from_secs(10));
        house.work();
    }
    house.show();
    assert_eq!(
        checks(&house),
        ["dispatch / octo-org/web / preview: completed neutral: accepted by GitHub; several runs could be meant"]
    );
    assert_eq!(summary(&house).matches("/actions/runs/").count(), 2, "{}", summary(&house));
    let dispatch = house.store.inner.records().into_iter().find_map(|record| match record {
        Record::Dispatch(dispatch) => Some(dispatch),
        _ => None,
    });
    let mut hidden = dispatch.unwrap();
    hidden.decision.visibility = Visibility::Target;
    let text = of_dispatch(&hidden).summary;
    assert!(text.contains("Several runs could be meant") && !text.contains("/runs/"), "they may be others': {text}");
}

#[test]
fn a_command_gets_eyes_at_once_and_its_result_in_one_comment_that_is_kept_up_to_date() {
    let house = previews(LISTENER);
    let number = house.world().open_pull_request(&api(), PullRequestSpec::new("topic")).unwrap();
    settle(&house);
    house.advance(Duration::from_secs(10));
    settle(&house);
    let comment = house.world().comment(&api(), number, "alice", "/deploy").unwrap();
    settle(&house);
    assert_eq!(reactions(&house, comment), ["eyes"], "{}", house.story());
    house.advance(Duration::from_secs(10));
    settle(&house);
    for _ in 0..3 {
        house.world().progress_runs();
        house.advance(Duration::from_secs(5));
        settle(&house);
    }
    let comments = comments(&house);
    assert_eq!(comments.len(), 1);
    assert!(comments[0].body.contains("#### `deploy` in `octo-org/web`: succeeded"), "{}", comments[0].body);
}

#[test]
fn who_may_not_give_a_command_is_told_why_in_one_comment_a_day_and_bots_are_told_nothing() {
    let house = previews(LISTENER);
    let number = house.world().open_pull_request(&api(), PullRequestSpec::new("topic")).unwrap();
    settle(&house);
    house.world().set_permission(&api(), "mallory", Role::Read).unwrap();
    let first = house.world().comment(&api(), number, "mallory", "/deploy").unwrap();
    settle(&house);
    house.advance(Duration::from_secs(60));
    let second = house.world().comment(&api(), number, "mallory", "/deploy").unwrap();
    settle(&house);
    let by_bot = house.world().comment(&api(), number, "other[bot]", "/deploy").unwrap();
    settle(&house);
    house.advance(Notice::GATHERS_REFUSALS);
    settle(&house);
    for comment in [first, second] {
        assert_eq!(reactions(&house, comment), ["confused"], "{}", house.story());
    }
    assert_eq!(reactions(&house, by_bot), Vec::<String>::new());
    let comments: Vec<_> = comments(&house).into_iter().filter(|comment| comment.author == "dispatch[bot]").collect();
    assert_eq!(comments.len(), 1);
    let body = &comments[0].body;
    assert_eq!(body.matches("- `/deploy`").count(), 2, "{body}");
    assert!(body.contains("`mallory`") && body.contains("What to do: "), "{body}");
}

#[test]
fn an_event_in_doubt_is_never_made_again_because_no_run_proves_nothing() {
    let house = previews(LISTENER);
    house.order("POST", "/repos/*/*/dispatches", FaultKind::CutBefore);
    house.world().open_pull_request(&api(), PullRequestSpec::new("topic")).unwrap();
    settle(&house);
    for _ in 0..100 {
        house.advance(Duration::from_secs(10));
        house.work();
    }
    house.show();
    assert_eq!(
        checks(&house),
        ["dispatch / octo-org/web / preview: completed neutral: nobody knows whether it was started"]
    );
    assert_eq!(
        house.requests().iter().filter(|request| request.starts_with("POST /repos/octo-org/web/dispatches")).count(),
        1
    );
}

#[test]
fn a_check_that_is_run_again_repeats_the_dispatch_with_a_new_check_on_the_same_commit() {
    let house = previews(LISTENER);
    house.world().open_pull_request(&api(), PullRequestSpec::new("topic")).unwrap();
    settle(&house);
    house.advance(Duration::from_secs(5));
    settle(&house);
    let check = house.world().check_runs().last().unwrap().id;
    house.world().rerequest_check(&api(), check, "alice").unwrap();
    settle(&house);
    assert_eq!(checks(&house).len(), 1, "one in flight: {}", house.story());
    for _ in 0..3 {
        house.world().progress_runs();
        house.advance(Duration::from_secs(5));
        settle(&house);
    }
    house.world().rerequest_check(&api(), check, "alice").unwrap();
    settle(&house);
    let world = house.world();
    let shown: Vec<_> = world.check_runs().map(|check| (&check.name, &check.head_sha)).collect();
    assert_eq!(shown.len(), 2);
    assert_eq!(shown[0], shown[1]);
}
