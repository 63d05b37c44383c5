//! The check of the policy file that a pull request proposes.

use std::collections::BTreeMap;
use std::time::Duration;

use dispatch_core::name::{CheckId, CommitSha};
use dispatch_core::notice::{About, Check, CheckConclusion, CheckStatus, NoticeKey};
use dispatch_core::pipeline::{ProposalChecked, Shown};
use dispatch_core::policy::PolicyPath;
use dispatch_core::ports::github::FileRead;
use dispatch_core::ports::store::{Queue, Record, RecordKey, StorePort};
use dispatch_core::testing::world::{FaultKind, PullRequestSpec, RepositoryOptions, Role};
use futures_util::FutureExt;

use crate::house::{House, INBOUND, LEASE, api};

const BETTER: &str = "
outbound:
  - source: { workflow: ci.yml }
    targets: [{ repository: web, workflow: cd.yml }, { repository: nobody, workflow: cd.yml }]
";
const BROKEN: &str = "outbound: 7\n";
/// Who pushes to `api`.
const ALICE: &str = "octocat";

/// A branch of `api` has another file.
fn branch_with(house: &House, path: &str, text: &str) {
    let main = house.world().branch_head(&api(), "main").unwrap();
    house.world().set_branch(&api(), "feature", &main).unwrap();
    house.world().write_file(&api(), "feature", path, text).unwrap();
}

/// Alice opens a pull request from that branch.
fn open(house: &House, path: &str, text: &str, role: Role) -> u64 {
    branch_with(house, path, text);
    house.world().set_permission(&api(), ALICE, role).unwrap();
    let spec = PullRequestSpec { author: ALICE.to_owned(), ..PullRequestSpec::new("feature") };
    house.world().open_pull_request(&api(), spec).unwrap()
}

/// Plans what was delivered.
fn plan(house: &House) {
    house.deliver();
    house.world().take_requests();
    house.claim(Queue::Plan).into_iter().for_each(|item| house.step(item).unwrap());
}

/// Plans what was delivered, and then looks at what is proposed.
fn work(house: &House) -> Vec<ProposalChecked> {
    plan(house);
    house.check_proposals()
}

/// The check that is to be shown on the branch's newest commit.
fn check(house: &House) -> Option<Check> {
    let head = house.world().branch_head(&api(), "feature").unwrap();
    check_on(house, &head)
}

fn check_on(house: &House, head: &CommitSha) -> Option<Check> {
    match stored(house, head)? {
        Record::Notice(notice) => match notice.about {
            About::Check(check) => Some(*check),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

fn stored(house: &House, head: &CommitSha) -> Option<Record> {
    let read = house.pipeline.github.read_file(&api(), None, PolicyPath::Root, None).now_or_never().unwrap();
    let id = match read.unwrap() {
        FileRead::Found { repository, .. } | FileRead::NoSuchFile { repository } => repository.id,
        other => panic!("{other:?}"),
    };
    let key = RecordKey::Notice(NoticeKey::Check(CheckId::of_policy(id, head).unwrap()));
    let stored = house.store.load(&[key]).now_or_never().unwrap().unwrap().remove(0)?;
    Some(stored.record)
}

#[test]
fn a_writer_s_pull_request_shows_what_would_start_on_both_sides() {
    let house = House::settled();
    open(&house, "dispatching.yml", BETTER, Role::Write);
    work(&house);
    let check = check(&house).unwrap();
    assert_eq!(check.status, CheckStatus::Completed(CheckConclusion::Neutral));
    insta::assert_snapshot!(format!("{}\n\n{}", check.title, check.summary), @"
    no problems; 1 of 2 edges would be allowed

    This pull request changes the policy file. This is about `dispatching.yml` as it is in its newest commit: nothing but this check reads it before it is merged.

    **The file: no problems.**

    ### What would start from here

    - Line 4: runs of `ci.yml` start `cd.yml` of `octo-org/web`
      - on `main`: would be allowed, `octo-org/web/dispatching.yml:6` agrees
    - Line 4: runs of `ci.yml` start `cd.yml` of `octo-org/nobody`
      - on `main`: **would not be allowed**: the target has not agreed or does not exist

    Asked as if it were merged now, with the other side's file as it is. Who gives a command is taken to be one who may, a commit to be where it should be, and a branch of another repository to be its default branch.
    ");
    house.finish();
}

#[test]
fn what_an_owner_does_not_allow_is_told_before_it_is_merged() {
    let house = House::settled();
    let dot_github = "octo-org/.github".parse().unwrap();
    house.world().add_repository(&dot_github, RepositoryOptions::default()).unwrap();
    house.write(&dot_github, "dispatching.yml", "limits: {target_repositories: [other]}\n");
    open(&house, "dispatching.yml", BETTER, Role::Write);
    work(&house);
    let summary = check(&house).unwrap().summary;
    let why = "`octo-org/web` is none of those that something may start in: `octo-org/.github/dispatching.yml:1`";
    assert!(summary.contains(why), "{summary}");
}

#[test]
fn a_stranger_s_fork_is_told_of_the_file_only_and_nobody_is_asked_about_him() {
    let house = House::settled();
    let spec = PullRequestSpec {
        author: "mallory".to_owned(),
        fork: Some("mallory/api".parse().unwrap()),
        ..PullRequestSpec::new("feature")
    };
    house.world().add_fork(&api(), spec.fork.as_ref().unwrap()).unwrap();
    let fork = spec.fork.clone().unwrap();
    let main = house.world().branch_head(&fork, "main").unwrap();
    house.world().set_branch(&fork, "feature", &main).unwrap();
    let head = house.world().write_file(&fork, "feature", "dispatching.yml", BETTER).unwrap();
    house.world().open_pull_request(&api(), spec).unwrap();
    work(&house);
    let check = check_on(&house, &head).unwrap();
    assert_eq!((check.title.as_str(), check.head_sha), ("no problems", head));
    assert!(!check.summary.contains("web"), "{}", check.summary);
    let asked = house.requests();
    assert!(!asked.iter().any(|it| it.contains("collaborators") || it.contains("/web/")), "{asked:?}");
}

#[test]
fn who_may_only_read_is_told_of_the_file_only() {
    let house = House::settled();
    open(&house, "dispatching.yml", BETTER, Role::Triage);
    work(&house);
    assert_eq!(check(&house).unwrap().title, "no problems");
}

#[test]
fn somebody_who_took_over_the_author_s_login_is_not_the_author() {
    let house = House::settled();
    open(&house, "dispatching.yml", BETTER, Role::Write);
    house.world().take_over_login(ALICE);
    work(&house);
    assert_eq!(check(&house).unwrap().title, "no problems");
}

#[test]
fn a_policy_changed_in_the_pull_request_itself_decides_nothing() {
    let house = House::settled();
    let other =
        "outbound: [{ source: { pull_request: [opened] }, targets: [{ repository: web, workflow: cd.yml }] }]\n";
    open(&house, "dispatching.yml", other, Role::Admin);
    work(&house);
    assert!(check(&house).is_some());
    assert_eq!(house.end_of_story(), "planned: skipped no_rule_matched");
    house.run();
    assert_eq!(house.started(), ["octo-org/web cd.yml"], "the rule of the default branch");
}

#[test]
fn an_error_is_an_annotation_at_its_line_and_fails() {
    let house = House::settled();
    open(&house, "dispatching.yml", BROKEN, Role::Write);
    work(&house);
    let check = check(&house).unwrap();
    assert_eq!(check.status, CheckStatus::Completed(CheckConclusion::Failure));
    let places: Vec<_> = check.annotations.iter().map(|it| (it.path.as_str(), it.start_line)).collect();
    assert_eq!(places, [("dispatching.yml", 1)]);
}

#[test]
fn both_places_are_read_and_a_file_that_hides_another_is_an_error() {
    let house = House::settled();
    open(&house, ".github/dispatching.yml", BETTER, Role::Write);
    work(&house);
    let hidden = check(&house).unwrap();
    assert_eq!(hidden.status, CheckStatus::Completed(CheckConclusion::Failure));
    let problems: Vec<_> = hidden.annotations.iter().map(|it| (it.path.as_str(), it.title.as_str())).collect();
    assert_eq!(problems, [(".github/dispatching.yml", "two_policy_files")]);

    let house = House::settled();
    house.world().remove_file(&api(), "main", "dispatching.yml").unwrap();
    house.deliver();
    open(&house, ".github/dispatching.yml", BETTER, Role::Write);
    work(&house);
    assert!(check(&house).unwrap().summary.contains("This is about `.github/dispatching.yml`"));
}

#[test]
fn that_the_file_goes_is_told() {
    let house = House::settled();
    branch_with(&house, "README.md", "hello");
    house.world().remove_file(&api(), "feature", "dispatching.yml").unwrap();
    house.world().open_pull_request(&api(), PullRequestSpec::new("feature")).unwrap();
    work(&house);
    assert_eq!(check(&house).unwrap().title, "the policy file goes");
}

#[test]
fn an_old_branch_does_not_change_what_became_of_the_file_since() {
    let change = |house: &House| house.world().write_file(&api(), "main", "dispatching.yml", BETTER).map(drop);
    let remove = |house: &House| house.world().remove_file(&api(), "main", "dispatching.yml").map(drop);
    for later in [change, remove] {
        let house = House::settled();
        branch_with(&house, "README.md", "hello");
        later(&house).unwrap();
        house.world().open_pull_request(&api(), PullRequestSpec::new("feature")).unwrap();
        assert_eq!(work(&house), [ProposalChecked::Unchanged]);
        assert_eq!(check(&house), None);
    }

    let house = House::settled();
    house.world().remove_file(&api(), "main", "dispatching.yml").unwrap();
    branch_with(&house, "README.md", "hello");
    house.write(&api(), "dispatching.yml", BETTER);
    house.world().open_pull_request(&api(), PullRequestSpec::new("feature")).unwrap();
    assert_eq!(work(&house), [ProposalChecked::Unchanged], "the first file came after the branch");
    assert_eq!(check(&house), None);
}

#[test]
fn an_old_branch_that_changes_the_file_is_checked_as_it_is() {
    let house = House::settled();
    branch_with(&house, "dispatching.yml", BROKEN);
    house.write(&api(), "dispatching.yml", BETTER);
    house.world().open_pull_request(&api(), PullRequestSpec::new("feature")).unwrap();
    work(&house);
    assert_eq!(check(&house).unwrap().status, CheckStatus::Completed(CheckConclusion::Failure));
}

#[test]
fn a_commit_that_github_does_not_know_yet_is_waited_for() {
    let house = House::settled();
    open(&house, "dispatching.yml", BETTER, Role::Write);
    plan(&house);
    let body = r#"{ "message": "No commit found for the ref 3484a3fb816e0859fd6e1cea078d76385ff50625" }"#;
    let unknown = FaultKind::Status { status: 404, body: Some(body.to_owned()), headers: BTreeMap::new() };
    house.order("GET", "/repos/octo-org/api/contents/.github/dispatching.yml", unknown);
    assert!(matches!(house.check_proposals()[..], [ProposalChecked::PutBack { .. }]));
    assert_eq!(check(&house), None, "it is not taken for a commit without a file");
    house.advance(Duration::from_secs(60));
    assert_eq!(house.check_proposals(), [ProposalChecked::Changed]);
    assert!(check(&house).unwrap().title.contains("edges"));
}

#[test]
fn a_pull_request_that_leaves_the_file_alone_has_no_check() {
    let house = House::settled();
    open(&house, "README.md", "hello", Role::Write);
    assert_eq!(work(&house), [ProposalChecked::Unchanged]);
    let own = "GET /repos/octo-org/api/contents";
    let expected = [
        // To decide.
        format!("{own}/dispatching.yml 200"),
        // To look: the file in force, which has not changed, and both places.
        format!("{own}/dispatching.yml 304"),
        format!("{own}/dispatching.yml 200"),
        format!("{own}/.github/dispatching.yml 404"),
    ];
    assert_eq!(house.requests(), expected);
    assert_eq!(check(&house), None);
}

#[test]
fn a_pull_request_into_another_branch_is_not_looked_at() {
    let house = House::settled();
    let main = house.world().branch_head(&api(), "main").unwrap();
    house.world().set_branch(&api(), "develop", &main).unwrap();
    branch_with(&house, "dispatching.yml", BETTER);
    let spec = PullRequestSpec { base: "develop".to_owned(), ..PullRequestSpec::new("feature") };
    house.world().open_pull_request(&api(), spec).unwrap();
    assert_eq!(work(&house), []);
    let asked = house.requests();
    assert!(asked.len() <= 1, "only the file in force is read: {asked:?}");
    assert_eq!(check(&house), None);
}

#[test]
fn a_closed_one_is_not_looked_at() {
    let house = House::settled();
    let number = open(&house, "dispatching.yml", BETTER, Role::Write);
    house.world().take_webhooks();
    house.world().close_pull_request(&api(), number, false).unwrap();
    work(&house);
    assert_eq!(check(&house), None);
}

#[test]
fn an_owner_whom_the_operator_does_not_serve_costs_no_request() {
    let mut house = House::settled();
    let settings = [("OWNER_ALLOWLIST".to_owned(), "another".to_owned())].into();
    house.pipeline.guardrails = dispatch_core::guardrail::Guardrails::from_settings(&settings).unwrap();
    open(&house, "dispatching.yml", BETTER, Role::Write);
    work(&house);
    assert_eq!((house.requests(), check(&house)), (Vec::new(), None));
}

#[test]
fn what_cannot_be_read_holds_up_the_check_alone() {
    for (path, fault) in [
        ("/repos/octo-org/api/collaborators/octocat/permission", FaultKind::status(502)),
        ("/repos/octo-org/api/contents/.github/dispatching.yml", FaultKind::status(502)),
        ("/repos/octo-org/api/compare/**", FaultKind::status(502)),
        (
            "/repos/octo-org/web/contents/dispatching.yml",
            FaultKind::RateLimited { retry_after: Some(30), reset_in: None, secondary: false },
        ),
    ] {
        let house = House::settled();
        open(&house, "dispatching.yml", BETTER, Role::Write);
        house.order("GET", path, fault);
        assert!(matches!(work(&house)[..], [ProposalChecked::PutBack { .. }]), "{path}");
        assert_eq!(house.end_of_story(), "planned: skipped no_rule_matched", "{path}");
        assert_eq!(check(&house), None);
        house.advance(Duration::from_secs(60));
        assert_eq!(house.check_proposals(), [ProposalChecked::Changed]);
        assert!(check(&house).unwrap().title.contains("edges"));
    }
}

#[test]
fn what_cannot_be_read_for_a_day_is_given_up() {
    let house = House::settled();
    open(&house, "dispatching.yml", BETTER, Role::Write);
    house.order_times("GET", "/repos/octo-org/api/contents/.github/dispatching.yml", FaultKind::status(502), u32::MAX);
    assert!(matches!(work(&house)[..], [ProposalChecked::PutBack { .. }]));
    house.advance(Duration::from_secs(24 * 60 * 60));
    assert!(matches!(house.check_proposals()[..], [ProposalChecked::GivenUp { .. }]));
    house.advance(Duration::from_secs(24 * 60 * 60));
    assert_eq!(house.check_proposals(), []);
}

#[test]
fn a_read_that_github_refuses_is_given_up_with_its_reason() {
    let house = House::settled();
    open(&house, "dispatching.yml", BETTER, Role::Write);
    house.order("GET", "/repos/octo-org/api/contents/.github/dispatching.yml", FaultKind::status(403));
    let looked = work(&house);
    assert!(matches!(&looked[..], [ProposalChecked::GivenUp { error }] if error.contains("403")), "{looked:?}");
    assert_eq!(check(&house), None);
    assert_eq!(house.end_of_story(), "planned: skipped no_rule_matched");
}

#[test]
fn a_repository_that_cannot_be_shown_hides_its_own_edges_only() {
    let house = House::settled();
    agree(&house);
    open(&house, "dispatching.yml", BETTER, Role::Write);
    house.order("GET", "/repos/octo-org/web/contents/dispatching.yml", FaultKind::status(451));
    work(&house);
    let check = check(&house).unwrap();
    assert_eq!(check.title, "no problems; 1 of 2 edges would be allowed");
    assert!(
        check.summary.contains("of `octo-org/web`\n  - on `main`: **would not be allowed**: the target has not agreed")
    );
    assert!(!check.summary.contains("What would start is shown for"), "{}", check.summary);
}

/// `nobody` comes into being, and agrees.
fn agree(house: &House) {
    let nobody = "octo-org/nobody".parse().unwrap();
    house.world().add_repository(&nobody, RepositoryOptions::default()).unwrap();
    house.write(&nobody, "dispatching.yml", &INBOUND.replace("[sha]", "[]"));
}

/// Presses "Re-run" at the check, which is shown.
fn press_again(house: &House, login: &str) {
    let shown = house.world().check_runs().last().unwrap().id;
    house.world().rerequest_check(&api(), shown, login).unwrap();
}

#[test]
fn who_may_write_has_it_looked_at_again() {
    let house = House::settled();
    open(&house, "dispatching.yml", BETTER, Role::Write);
    work(&house);
    house.show();
    agree(&house);
    house.advance(Duration::from_secs(600));

    house.world().set_permission(&api(), "mallory", Role::Triage).unwrap();
    press_again(&house, "mallory");
    assert_eq!(work(&house), [], "who may not write is not heard");

    house.world().set_permission(&api(), "hubot", Role::Write).unwrap();
    press_again(&house, "hubot");
    assert_eq!(work(&house), [ProposalChecked::Changed]);
    assert_eq!(check(&house).unwrap().title, "no problems; 2 of 2 edges would be allowed");
    assert!(matches!(house.show()[..], [Shown::Shown { .. }]));
    assert_eq!(house.world().check_runs().count(), 1, "the same check run");
    assert_eq!(house.world().check_runs().last().unwrap().conclusion.as_deref(), Some("success"));
}

#[test]
fn a_check_that_is_wanted_again_is_shown_again_also_where_nothing_can_be_read_any_more() {
    let house = House::settled();
    open(&house, "dispatching.yml", BETTER, Role::Write);
    work(&house);
    house.show();
    let before = check(&house);
    press_again(&house, ALICE);
    house.order("GET", "/repos/octo-org/api/contents/.github/dispatching.yml", FaultKind::status(403));
    assert!(matches!(work(&house)[..], [ProposalChecked::GivenUp { .. }]));
    assert_eq!(check(&house), before);
    house.advance(LEASE);
    assert!(matches!(house.show()[..], [Shown::Shown { .. }]));
}

#[test]
fn who_opens_it_again_does_not_take_away_what_its_author_was_shown() {
    let house = House::settled();
    let number = open(&house, "dispatching.yml", BETTER, Role::Write);
    work(&house);
    let before = check(&house).unwrap();
    house.world().close_pull_request(&api(), number, false).unwrap();
    house.world().reopen_pull_request(&api(), number).unwrap();
    house.world().take_over_login(ALICE);
    work(&house);
    assert_eq!(check(&house), Some(before));
}

#[test]
fn each_new_commit_has_its_own_check() {
    let house = House::settled();
    open(&house, "dispatching.yml", BROKEN, Role::Write);
    work(&house);
    let first = check(&house).unwrap();
    house.world().write_file(&api(), "feature", "dispatching.yml", BETTER).unwrap();
    work(&house);
    let second = check(&house).unwrap();
    assert_ne!((&first.id, &first.head_sha), (&second.id, &second.head_sha));
    assert_eq!(second.status, CheckStatus::Completed(CheckConclusion::Neutral));
}

#[test]
fn a_check_that_somebody_else_stores_at_the_same_time_is_written_over() {
    let house = House::settled();
    open(&house, "dispatching.yml", BETTER, Role::Write);
    let rival = {
        let other = House::settled();
        open(&other, "dispatching.yml", BETTER, Role::Read);
        work(&other);
        let head = other.world().branch_head(&api(), "feature").unwrap();
        stored(&other, &head).unwrap()
    };
    let key = rival.key();
    house.store.beat(rival);
    work(&house);
    let shown = check(&house).unwrap();
    assert!(shown.title.contains("edges"));
    assert_eq!(key, RecordKey::Notice(NoticeKey::Check(shown.id)), "it was in the way");
}

#[test]
fn two_events_of_one_commit_that_are_planned_at_the_same_time_are_looked_at_once() {
    let house = House::settled();
    let number = open(&house, "dispatching.yml", BETTER, Role::Write);
    house.world().close_pull_request(&api(), number, false).unwrap();
    house.world().reopen_pull_request(&api(), number).unwrap();
    house.deliver();
    assert_eq!(work(&house), [ProposalChecked::Changed]);
    assert!(check(&house).unwrap().title.contains("edges"));
}
