//! What is sent, byte for byte.

use dispatch_core::event::{CommandArgument, Head, PullRequest, PullRequestAction};
use dispatch_core::name::RepositoryId;

use super::setup::*;

const API: &str = r#"
outbound:
  - source: { pull_request: [opened, synchronize, reopened] }
    targets:
      - repository: infra
        event: preview-create-from-api
        payload: { api_pr: "{{ pr.number }}", api_sha: "{{ pr.head_sha }}", trigger: "{{ pr.action }}" }
  - source: { pull_request: [closed] }
    targets:
      - repository: infra
        event: preview-teardown-from-api
        payload: { api_pr: "{{ pr.number }}", action: "{{ pr.action }}", merged: "{{ pr.merged }}" }
"#;

const INFRA: &str = r#"
inbound:
  - source: { repository: cms, pull_request: [opened, synchronize, reopened] }
    targets:
      - event: preview-create-from-api
        accept_payload:
          api_pr: { pattern: number }
          api_sha: { pattern: sha }
          trigger: { one_of: [opened, synchronize, reopened] }
  - source: { repository: cms, pull_request: [closed] }
    targets:
      - event: preview-teardown-from-api
        accept_payload:
          api_pr: { pattern: number }
          action: { one_of: [closed] }
          merged: { one_of: ["true", "false"] }
"#;

/// Another target of the first rule, and another rule that starts the same as the first.
const OTHER_TARGET: &str = "      - { repository: infra, event: another }\n";
const SAME_TARGET: &str = r#"
  - source: { pull_request: [opened] }
    targets:
      - repository: infra
        event: preview-create-from-api
"#;

fn preview(action: PullRequestAction) -> Setup {
    let mut setup = Setup::pull_request(action);
    (setup.source, setup.target) = (API.to_owned(), INFRA.to_owned());
    setup
}

#[test]
fn a_preview_is_asked_for_with_identifiers_only_all_of_them_text() {
    let body = |action: &str| {
        let payload = format!(r#"{{"api_pr":"7","api_sha":"{HEAD}","trigger":"{action}"}}"#);
        format!(r#"{{"client_payload":{payload},"event_type":"preview-create-from-api"}}"#)
    };
    assert_eq!(preview(PullRequestAction::Opened).body(), body("opened"));
    assert_eq!(preview(PullRequestAction::Synchronize).body(), body("synchronize"));
    assert_eq!(preview(PullRequestAction::Reopened).body(), body("reopened"));
}

#[test]
fn a_preview_is_torn_down_when_the_pull_request_is_closed_merged_or_not() {
    let body = |merged: bool| {
        let payload = format!(r#"{{"action":"closed","api_pr":"7","merged":"{merged}"}}"#);
        format!(r#"{{"client_payload":{payload},"event_type":"preview-teardown-from-api"}}"#)
    };
    let mut setup = preview(PullRequestAction::Closed);
    assert_eq!(setup.body(), body(false));
    setup.state().merged = true;
    assert_eq!(setup.body(), body(true));
}

#[test]
fn test_deploy_deploys_the_feature_branch_of_a_pull_request_into_dev() {
    let payload = format!(
        r#"{{"base_branch":"dev","branch":"feature/x","commit_sha":"{HEAD}","pr_number":"7","sender":"alice"}}"#
    );
    let body = format!(r#"{{"client_payload":{payload},"event_type":"deploy-ephemeral"}}"#);
    assert_eq!(Setup::command("/test-deploy").body(), body);

    let plan = Setup::command("/test-deploy").plan();
    let environment = plan.allowed().next().unwrap().1.environment.clone().unwrap();
    assert_eq!(environment.key.name.as_str(), "pr-7");
    assert_eq!(environment.description.url.as_deref(), Some("https://pr-7-testing.example.com"));
}

#[test]
fn test_deploy_deploys_dev_to_staging_for_a_pull_request_into_main() {
    let mut setup = Setup::command("/test-deploy");
    setup.state().base_branch = "main".parse().unwrap();
    let payload =
        format!(r#"{{"base_branch":"main","branch":"dev","commit_sha":"{HEAD}","pr_number":"7","sender":"alice"}}"#);
    assert_eq!(setup.body(), format!(r#"{{"client_payload":{payload},"event_type":"deploy-ephemeral"}}"#));
    let environment = setup.plan().allowed().next().unwrap().1.environment.clone().unwrap();
    assert_eq!(environment.key.name.as_str(), "staging");
}

#[test]
fn destroy_test_destroys_what_the_pull_request_created() {
    let mut setup = Setup::command("/destroy-test");
    setup.holds("pr-7", "dev");
    let payload = r#"{"base_branch":"dev","pr_number":"7","sender":"alice"}"#;
    assert_eq!(setup.body(), format!(r#"{{"client_payload":{payload},"event_type":"destroy-ephemeral"}}"#));
}

#[test]
fn closing_tells_whether_it_was_merged_as_a_boolean() {
    for merged in [false, true] {
        let mut setup = Setup::pull_request(PullRequestAction::Closed);
        setup.holds("pr-7", "dev");
        setup.state().merged = merged;
        let payload = format!(r#"{{"base_branch":"dev","merged":{merged},"pr_number":"7"}}"#);
        assert_eq!(setup.body(), format!(r#"{{"client_payload":{payload},"event_type":"pr-closed"}}"#));
    }
}

#[test]
fn what_happens_to_a_pull_request_starts_what_its_rule_says_and_nothing_else() {
    // The rules of `cms` are about commands and about closing.
    assert_eq!(Setup::pull_request(PullRequestAction::Opened).outcome(), "no_rule_matched");
    assert_eq!(Setup::pull_request(PullRequestAction::Synchronize).outcome(), "no_rule_matched");
    assert_eq!(Setup::command("/lgtm").outcome(), "unknown_command");
}

#[test]
fn a_newer_event_takes_the_place_of_one_that_waits() {
    let outcome = |named: &str, newer| {
        let mut setup = preview(PullRequestAction::Opened);
        for policy in [&mut setup.source, &mut setup.target] {
            *policy = policy.replace("opened, synchronize, reopened", named);
        }
        let mut now = setup.state().clone();
        now.updated_at = time("12:00:01");
        setup.record.see(&PullRequest { action: newer, now, sweep: None }, time("12:00:02"));
        setup.outcome()
    };
    assert_eq!(outcome("opened, synchronize", PullRequestAction::Synchronize), "pull_request_superseded");
    assert_eq!(outcome("opened", PullRequestAction::Synchronize), "allowed", "the rule is not about the newer one");
    assert_eq!(outcome("opened", PullRequestAction::Closed), "pull_request_superseded", "nothing begins after the end");
}

#[test]
fn both_sides_filter_the_base_the_draft_and_the_fork() {
    let fork = |setup: &mut Setup| setup.state().head = Head::Fork(RepositoryId(99));
    let with = |from: &str, to: &str, both: bool| {
        let mut setup = preview(PullRequestAction::Opened);
        setup.source = setup.source.replace(from, to);
        if both {
            setup.target = setup.target.replace(from, to);
        }
        setup
    };
    let opened = "pull_request: [opened, synchronize, reopened]";
    let base = format!("{opened}, base: [main]");
    assert_eq!(with(opened, &base, false).outcome(), "source_branch_not_matched");
    let no_draft = format!("{opened}, draft: false");
    let mut setup = with(opened, &no_draft, false);
    assert_eq!(setup.outcome(), "allowed");
    setup.state().draft = true;
    assert_eq!(setup.outcome(), "source_draft_not_matched");

    let forks = format!("{opened}, forks: true");
    let mut nobody = preview(PullRequestAction::Opened);
    let (mut source_only, mut both) = (with(opened, &forks, false), with(opened, &forks, true));
    [&mut nobody, &mut source_only, &mut both].into_iter().for_each(fork);
    assert_eq!(nobody.outcome(), "source_from_fork");
    assert_eq!(source_only.outcome(), "inbound_not_authorized");
    assert_eq!(both.outcome(), "allowed");
    both.state().head = Head::Unknown;
    assert_eq!(both.outcome(), "source_head_repository_unverifiable", "a fork that was deleted");
}

#[test]
fn a_check_that_is_wanted_again_does_the_same_for_its_one_target() {
    let original = preview(PullRequestAction::Opened);
    let mut again = Setup::again(&original, "acme/infra", "preview-create-from-api");
    (again.source, again.target) = (API.to_owned(), INFRA.to_owned());
    assert_eq!(again.body(), preview(PullRequestAction::Opened).body());
    again.source = again.source.replacen("    targets:\n", &format!("    targets:\n{OTHER_TARGET}"), 1) + SAME_TARGET;
    assert_eq!(again.plan().decisions.len(), 1, "whatever else its rules start by now");
    let root = again.plan().root().cloned();
    assert_eq!(root, Some(again.event.identity()), "it is an event of its own");

    again.checked.as_mut().unwrap().in_flight = true;
    assert_eq!(again.outcome(), "already_under_way");
    again.checked = None;
    assert_eq!(again.outcome(), "no_rule_matched");
}

#[test]
fn a_command_with_the_newest_commit_behind_it_needs_no_other_proof() {
    let mut setup = Setup::command("/test-deploy");
    setup.record.heads.clear();
    assert_eq!(setup.outcome(), "commit_not_confirmed", "the push was never seen");
    setup.given().argument = CommandArgument::Commit(HEAD.parse().unwrap());
    assert_eq!(setup.outcome(), "allowed");
    setup.given().argument = CommandArgument::Commit(OTHER.parse().unwrap());
    assert_eq!(setup.outcome(), "commit_not_confirmed", "another commit");
}
