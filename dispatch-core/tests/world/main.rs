//! What the world in memory promises: GitHub's rules, GitHub's words.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod checks;
mod comments;
mod people;
mod pull_requests;
mod runs;
mod webhooks;

use std::collections::BTreeMap;
use std::time::Duration;

use dispatch_core::event::{Conclusion, EventKind, Head};
use dispatch_core::name::{InstallationId, Repository};
use dispatch_core::testing::World;
use dispatch_core::testing::world::{
    Access, Caller, CompareStatus, Contents, Exchange, MintRequest, OutgoingWebhook, RepositoryOptions, RunSpec,
    RunStatus, WorkflowState,
};
use dispatch_core::webhook::{Webhook, parse};
use serde_json::Value;

const CD: &str = "name: deploy
on:
  workflow_dispatch:
    inputs:
      git_sha: { required: true, type: string }
      environment: { type: choice, options: [staging, production], default: staging }
jobs: {}
";

fn repository(name: &str) -> Repository {
    name.parse().unwrap()
}

/// `octo-org/web` with `cd.yml`, and `octo-org/api` beside it.
fn world() -> World {
    let mut world = World::new("2026-01-01T00:00:00Z".parse().unwrap());
    for name in ["octo-org/web", "octo-org/api"] {
        world.add_repository(&repository(name), RepositoryOptions::default()).unwrap();
        world.write_file(&repository(name), "main", "dispatching.yml", "inbound: []\n").unwrap();
        world.write_file(&repository(name), "main", ".github/workflows/cd.yml", CD).unwrap();
        world.write_file(&repository(name), "main", ".github/workflows/ci.yml", "on: push\njobs: {}\n").unwrap();
    }
    world.take_webhooks();
    world
}

fn token(world: &mut World, name: &str, permission: &str, access: Access) -> String {
    let installation = world.installation(&repository(name)).unwrap().id;
    let request = MintRequest {
        repositories: Some(vec![repository(name).name().to_owned()]),
        permissions: Some([(permission.to_owned(), access)].into()),
        ..MintRequest::default()
    };
    world.mint_token(installation, request).unwrap().token
}

fn inputs(inputs: &[(&str, &str)]) -> BTreeMap<String, String> {
    inputs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// What was sent since the last look: event, action and body.
fn sent(world: &mut World) -> Vec<(String, String, Value)> {
    let read = |webhook: OutgoingWebhook| {
        (webhook.event, webhook.action.unwrap_or_default(), serde_json::from_slice(&webhook.body).unwrap())
    };
    world.take_webhooks().into_iter().map(read).collect()
}

fn names(sent: &[(String, String, Value)]) -> Vec<(&str, &str)> {
    sent.iter().map(|(event, action, _)| (event.as_str(), action.as_str())).collect()
}

#[test]
fn a_dispatch_is_refused_in_githubs_words() {
    let mut world = world();
    let web = repository("octo-org/web");
    let token = token(&mut world, "octo-org/web", "actions", Access::Write);
    let good = || inputs(&[("git_sha", "abc")]);
    let many: BTreeMap<String, String> = (0..26).map(|n| (format!("i{n}"), String::new())).collect();
    let undeclared = inputs(&[("git_sha", "a"), ("foo", "b")]);
    let moon = inputs(&[("git_sha", "a"), ("environment", "moon")]);
    let commit = "a".repeat(40);
    let no_commit = format!("422: No ref found for: {commit}");
    let not_a_choice = "422: Provided value 'moon' for input 'environment' not in the list of allowed values";
    let too_much = "422: Invalid request.\n\nThe inputs are too many or too large.";
    let cases = [
        ("unknown workflow", "no.yml", "main", good(), "404: Not Found"),
        ("unknown ref", "cd.yml", "nowhere", good(), "422: No ref found for: nowhere"),
        ("a commit is no ref", "cd.yml", &commit, good(), &no_commit),
        ("no trigger", "ci.yml", "main", inputs(&[]), "422: Workflow does not have 'workflow_dispatch' trigger"),
        ("undeclared", "cd.yml", "main", undeclared, "422: Unexpected inputs provided: [\"foo\"]"),
        ("missing input", "cd.yml", "main", inputs(&[]), "422: Required input 'git_sha' not provided"),
        ("not of the choice", "cd.yml", "main", moon, not_a_choice),
        ("too many", "cd.yml", "main", many, too_much),
    ];
    for (name, workflow, git_ref, inputs, expected) in cases {
        let error = world.workflow_dispatch(&token, &web, workflow, git_ref, &inputs).unwrap_err();
        assert_eq!(error.to_string(), expected, "{name}");
    }
    world.set_workflow_state(&web, "cd.yml", WorkflowState::DisabledManually).unwrap();
    let error = world.workflow_dispatch(&token, &web, "cd.yml", "main", &good()).unwrap_err();
    assert_eq!(error.to_string(), "422: Cannot trigger a 'workflow_dispatch' on a disabled workflow");
    world.finish().unwrap();
}

#[test]
fn the_workflow_text_at_the_ref_decides_about_trigger_and_inputs() {
    let mut world = world();
    let web = repository("octo-org/web");
    world.write_file(&web, "old", ".github/workflows/cd.yml", "on: push\njobs: {}\n").unwrap();
    let token = token(&mut world, "octo-org/web", "actions", Access::Write);
    let sent = inputs(&[("git_sha", "abc")]);
    let error = world.workflow_dispatch(&token, &web, "cd.yml", "old", &sent).unwrap_err();
    assert_eq!(error.message, "Workflow does not have 'workflow_dispatch' trigger");
    world.workflow_dispatch(&token, &web, "cd.yml", "refs/heads/main", &sent).unwrap();
    assert_eq!(world.take_dispatches()[0].git_ref, "refs/heads/main");
    assert_eq!(world.runs().last().unwrap().head_branch, "main");
}

#[test]
fn a_token_reaches_its_repository_and_its_permission_and_nothing_else() {
    let mut world = world();
    let (web, api) = (repository("octo-org/web"), repository("octo-org/api"));
    let token = token(&mut world, "octo-org/web", "contents", Access::Read);
    assert!(world.contents(&token, &web, "dispatching.yml", None, None).is_ok());
    let other = world.contents(&token, &api, "dispatching.yml", None, None).unwrap_err();
    assert_eq!(other.to_string(), "404: Not Found");
    let error = world.workflow_dispatch(&token, &web, "cd.yml", "main", &inputs(&[("git_sha", "a")])).unwrap_err();
    assert_eq!(error.to_string(), "403: Resource not accessible by integration");
    assert_eq!(error.header("x-accepted-github-permissions"), Some("actions=write"));
}

#[test]
fn a_token_ends_after_an_hour_and_rests_with_its_installation() {
    let mut world = world();
    let web = repository("octo-org/web");
    let token = token(&mut world, "octo-org/web", "contents", Access::Read);
    world.set_suspended(&web.owner(), true).unwrap();
    let suspended = world.contents(&token, &web, "dispatching.yml", None, None).unwrap_err();
    assert_eq!(suspended.to_string(), "403: This installation has been suspended");
    world.set_suspended(&web.owner(), false).unwrap();
    assert!(world.contents(&token, &web, "dispatching.yml", None, None).is_ok());
    world.advance(Duration::from_secs(3600));
    let expired = world.contents(&token, &web, "dispatching.yml", None, None).unwrap_err();
    assert_eq!(expired.to_string(), "401: Bad credentials");
}

#[test]
fn minting_refuses_what_the_installation_does_not_have() {
    let mut world = world();
    let installation = world.installation(&repository("octo-org/web")).unwrap().id;
    let mut mint = |id, request| world.mint_token(id, request).unwrap_err().to_string();
    let permissions = Some([("administration".to_owned(), Access::Read)].into());
    assert_eq!(
        mint(installation, MintRequest { permissions, ..MintRequest::default() }),
        "422: The permissions requested are not granted to this installation."
    );
    let repositories = Some(vec!["other".to_owned()]);
    assert_eq!(
        mint(installation, MintRequest { repositories, ..MintRequest::default() }),
        "422: There is at least one repository that does not exist or is not accessible to the parent installation."
    );
    assert_eq!(mint(InstallationId(1), MintRequest::default()), "404: Not Found");
}

#[test]
fn an_etag_belongs_to_the_token_that_it_was_given_to() {
    let mut world = world();
    let web = repository("octo-org/web");
    let first = token(&mut world, "octo-org/web", "contents", Access::Read);
    let second = token(&mut world, "octo-org/web", "contents", Access::Read);
    let Contents::File { etag, .. } = world.contents(&first, &web, "dispatching.yml", None, None).unwrap() else {
        panic!("not a file");
    };
    let again = world.contents(&first, &web, "dispatching.yml", None, Some(&etag)).unwrap();
    assert_eq!(again, Contents::NotModified { etag: etag.clone() });
    let other = world.contents(&second, &web, "dispatching.yml", None, Some(&etag)).unwrap();
    assert!(matches!(other, Contents::File { .. }));
    world.write_file(&web, "main", "dispatching.yml", "outbound: []\n").unwrap();
    let changed = world.contents(&first, &web, "dispatching.yml", None, Some(&etag)).unwrap();
    assert!(matches!(changed, Contents::File { .. }));
}

#[test]
fn what_is_not_modified_costs_nothing_and_the_limit_holds_for_an_hour() {
    let mut world = world();
    let web = repository("octo-org/web");
    let token = token(&mut world, "octo-org/web", "contents", Access::Read);
    let caller = Caller::Token(&token);
    let full = world.rate(caller).remaining;
    let answer = world.exchange(caller, "GET", "/repos/octo-org/web/contents/dispatching.yml", |_| Ok((304, ())));
    assert_eq!(answer, Exchange::Answered(()));
    assert_eq!(world.rate(caller).remaining, full);

    world.requests_per_hour = 1;
    let read = |world: &mut World| {
        world.exchange(caller, "GET", "/repos/octo-org/web", |world| Ok((200, world.repository(&token, &web)?.id)))
    };
    assert!(matches!(read(&mut world), Exchange::Answered(_)));
    let Exchange::Refused(error) = read(&mut world) else { panic!("the limit did not hold") };
    assert_eq!((error.status, error.header("x-ratelimit-remaining")), (403, Some("0")));
    world.advance(Duration::from_secs(3600));
    assert_eq!(world.rate(caller).remaining, 1);
}

#[test]
fn a_tag_called_main_does_not_stand_in_for_the_branch() {
    let mut world = world();
    let web = repository("octo-org/web");
    let evil = world.stray_commit(&web, &[("evil", Some(b"x"))]).unwrap();
    world.set_tag(&web, "main", &evil).unwrap();
    let token = token(&mut world, "octo-org/web", "contents", Access::Read);
    let status = |base: &str| world.compare(&token, &web, base, evil.as_str()).unwrap().status;
    assert_eq!(status("main"), CompareStatus::Identical, "git takes the tag");
    assert_eq!(status("refs/heads/main"), CompareStatus::Ahead);
}

#[test]
fn a_recreated_name_has_another_id_and_a_renamed_one_answers_301() {
    let mut world = world();
    let web = repository("octo-org/web");
    let old = world.repositories().find(|state| state.name == web).unwrap().id;
    world.rename_repository(&web, &repository("octo-org/site")).unwrap();
    let moved = world.installation(&web).unwrap_err();
    assert_eq!(moved.status, 301);
    assert_eq!(moved.header("location"), Some(format!("https://api.github.com/repositories/{old}").as_str()));
    let new = world.add_repository(&web, RepositoryOptions::default()).unwrap();
    assert_ne!(new, old);
    assert!(world.installation(&web).is_ok());
}

#[test]
fn a_dispatched_run_goes_through_its_three_webhooks() {
    let mut world = world();
    let web = repository("octo-org/web");
    let token = token(&mut world, "octo-org/web", "actions", Access::Write);
    world.order_conclusion(&web, "cd.yml", Conclusion::Failure).unwrap();
    world.workflow_dispatch(&token, &web, "cd.yml", "main", &inputs(&[("git_sha", "a")])).unwrap();
    while !world.progress_runs().is_empty() {}
    let webhooks = world.take_webhooks();
    let actions: Vec<_> = webhooks.iter().map(|webhook| webhook.action.as_deref().unwrap()).collect();
    assert_eq!(actions, ["requested", "in_progress", "completed"]);
    let run = world.runs().last().unwrap();
    assert_eq!((run.status, run.conclusion), (RunStatus::Completed, Some(Conclusion::Failure)));
    assert!(world.finish().is_err(), "nobody took the dispatch");
    assert!(world.finish().is_ok(), "and it is told once");
}

#[test]
fn a_run_reads_back_from_its_webhook() {
    let mut world = world();
    let web = repository("octo-org/web");
    let first = world.complete_run(&web, RunSpec::new("ci.yml", "main")).unwrap();
    world.complete_run(&web, RunSpec { rerun_of: Some(first), ..RunSpec::default() }).unwrap();
    world.complete_run(&web, RunSpec { fork: Some(repository("stranger/web")), ..RunSpec::default() }).unwrap();
    world.complete_run(&web, RunSpec { head_repository_deleted: true, ..RunSpec::default() }).unwrap();
    let webhooks = world.take_webhooks();
    let read = |webhook: &dispatch_core::testing::world::OutgoingWebhook| {
        let Webhook::Event(event) = parse(&webhook.event, &webhook.body).unwrap() else { panic!("ignored") };
        assert!(event.installation.is_some());
        let EventKind::WorkflowRun(run) = event.kind else { panic!("not a run") };
        let head = match run.head {
            Head::SameRepository => "same",
            Head::Fork(_) => "fork",
            Head::Unknown => "unknown",
        };
        (run.attempt, run.number, head)
    };
    let seen: Vec<_> = webhooks.iter().map(read).collect();
    assert_eq!(seen, [(1, 1, "same"), (2, 1, "same"), (1, 2, "fork"), (1, 3, "unknown")]);
    assert!(webhooks[0].body.len() > 15_000, "{} bytes", webhooks[0].body.len());
}

#[test]
fn a_push_reads_back_with_its_branch_and_whether_it_touches_a_policy() {
    let mut world = world();
    let web = repository("octo-org/web");
    let policy = world.write_file(&web, "main", "dispatching.yml", "outbound: []\n").unwrap();
    world.write_file(&web, "main", "src/main.rs", "fn main() {}\n").unwrap();
    world.set_tag(&web, "v1", &policy).unwrap();
    let read = |webhook: dispatch_core::testing::world::OutgoingWebhook| {
        let Webhook::Event(event) = parse(&webhook.event, &webhook.body).unwrap() else { panic!("ignored") };
        let EventKind::Push(push) = event.kind else { panic!("not a push") };
        (push.branch.map(|branch| branch.to_string()), push.touches_policy)
    };
    let seen: Vec<_> = world.take_webhooks().into_iter().map(read).collect();
    assert_eq!(seen[..2], [(Some("main".to_owned()), true), (Some("main".to_owned()), false)]);
    assert_eq!(seen[2].0, None, "a tag proves nothing about a branch");
}

#[test]
fn nothing_is_told_about_a_repository_without_the_app() {
    let mut world = world();
    let web = repository("octo-org/web");
    world.uninstall(&web).unwrap();
    assert_eq!(world.take_webhooks().remove(0).event, "installation_repositories");
    world.complete_run(&web, RunSpec::new("ci.yml", "main")).unwrap();
    assert!(world.take_webhooks().is_empty());
    assert_eq!(world.installation(&web).unwrap_err().to_string(), "404: Not Found");
}

#[test]
fn a_redelivery_has_the_same_id_and_the_same_body() {
    let mut world = world();
    world.complete_run(&repository("octo-org/web"), RunSpec::new("ci.yml", "main")).unwrap();
    let first = world.take_webhooks().remove(0);
    let record = world.record_delivery(first.clone(), Some(503), "", 0.1);
    world.redeliver(record).unwrap();
    let second = world.take_webhooks().remove(0);
    assert_eq!((second.delivery, second.body), (first.delivery, first.body));
    assert!(second.redelivery);
    assert_eq!(world.redeliver(1).unwrap_err().status, 404);
}

#[test]
fn long_texts_are_refused_in_githubs_words() {
    let mut world = world();
    let web = repository("octo-org/web");
    let token = token(&mut world, "octo-org/web", "issues", Access::Write);
    let issue = world.create_issue(&token, &web, "title", None, Vec::new()).unwrap();
    let error = world.create_comment(&token, &web, issue.number, &"x".repeat(65_537)).unwrap_err();
    assert_eq!(error.message, "Validation Failed");
    assert_eq!(error.errors[0]["message"], "Body is too long (maximum is 65536 characters)");
    world.create_comment(&token, &web, issue.number, &"x".repeat(65_536)).unwrap();
    assert!(world.create_issue(&token, &web, &"x".repeat(257), None, Vec::new()).is_err());
    assert_eq!(world.take_effects().len(), 2);
}
