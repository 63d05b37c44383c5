//! Runs that events start, what they are called, and how they end.

use dispatch_core::event::Conclusion;
use dispatch_core::testing::world::{Access, RunStatus, WorkflowState};
use serde_json::json;

use crate::{inputs, names, repository, sent, token, world};

#[test]
fn an_event_starts_every_workflow_that_listens_to_it() {
    let mut world = world();
    let web = repository("octo-org/web");
    let files = [
        ("string.yml", "on: repository_dispatch\n"),
        ("list.yml", "on: [push, repository_dispatch]\n"),
        ("any.yml", "on: { repository_dispatch: }\n"),
        ("types.yml", "on: { repository_dispatch: { types: [other, deploy] } }\n"),
        ("type.yml", "on: { repository_dispatch: { types: deploy } }\n"),
        ("other.yml", "on: { repository_dispatch: { types: [other] } }\n"),
        ("case.yml", "on: { repository_dispatch: { types: [Deploy] } }\n"),
        ("push.yml", "on: { push: { branches: [main] } }\n"),
        ("disabled.yml", "on: repository_dispatch\n"),
        ("broken.yml", "on: [repository_dispatch\n"),
        ("gone.yml", "on: repository_dispatch\n"),
    ];
    for (file, text) in files {
        world.write_file(&web, "main", &format!(".github/workflows/{file}"), text).unwrap();
    }
    world.write_file(&web, "topic", ".github/workflows/topic.yml", "on: repository_dispatch\n").unwrap();
    world.remove_file(&web, "main", ".github/workflows/gone.yml").unwrap();
    world.set_workflow_state(&web, "disabled.yml", WorkflowState::DisabledManually).unwrap();
    world.take_webhooks();

    let token = token(&mut world, "octo-org/web", "contents", Access::Write);
    world.repository_dispatch(&token, &web, "deploy", json!({ "pr": "1" })).unwrap();
    let head = world.branch_head(&web, "main").unwrap();
    let started: Vec<&str> = world.runs().map(|run| run.workflow.as_str()).collect();
    assert_eq!(started, ["any.yml", "list.yml", "string.yml", "type.yml", "types.yml"]);
    for run in world.runs() {
        assert_eq!((run.event.as_str(), run.actor.as_str()), ("repository_dispatch", "dispatch[bot]"));
        assert_eq!((run.head_branch.as_str(), &run.head_sha, run.status), ("main", &head, RunStatus::Queued));
    }
    let sent = sent(&mut world);
    assert_eq!(names(&sent)[..2], [("repository_dispatch", "deploy"), ("workflow_run", "requested")]);
    assert_eq!(sent.len(), 1 + 5);
    assert_eq!(sent[1].2["workflow_run"]["display_title"], "deploy");
    world.take_effects();
}

#[test]
fn an_event_that_nobody_listens_to_is_taken_and_starts_nothing() {
    let mut world = world();
    let web = repository("octo-org/web");
    let token = token(&mut world, "octo-org/web", "contents", Access::Write);
    world.repository_dispatch(&token, &web, "deploy", json!({})).unwrap();
    assert_eq!(world.runs().count(), 0);
    assert_eq!(names(&sent(&mut world)), [("repository_dispatch", "deploy")]);
    world.take_effects();
}

#[test]
fn a_run_is_called_what_its_workflow_says() {
    let mut world = world();
    let web = repository("octo-org/web");
    let event = "run-name: Deploy ${{ github.event.client_payload.pr }} (${{github.event.action}}) ${{ github.none }}!
on: repository_dispatch
";
    let started = "name: cd
run-name: cd of ${{ inputs.sha }}
on: { workflow_dispatch: { inputs: { sha: { required: true } } } }
";
    let nameless = "name: nameless\non: workflow_dispatch\n";
    for (file, text) in [("event.yml", event), ("started.yml", started), ("nameless.yml", nameless)] {
        world.write_file(&web, "main", &format!(".github/workflows/{file}"), text).unwrap();
    }
    let contents = token(&mut world, "octo-org/web", "contents", Access::Write);
    world.repository_dispatch(&contents, &web, "deploy", json!({ "pr": 7 })).unwrap();
    let actions = token(&mut world, "octo-org/web", "actions", Access::Write);
    world.workflow_dispatch(&actions, &web, "started.yml", "main", &inputs(&[("sha", "abc")])).unwrap();
    world.workflow_dispatch(&actions, &web, "nameless.yml", "main", &inputs(&[])).unwrap();
    let titles: Vec<&str> = world.runs().map(|run| world.run_title(run)).collect();
    assert_eq!(titles, ["Deploy 7 (deploy) !", "cd of abc", "nameless"]);
    world.take_effects();
}

#[test]
fn one_run_is_moved_and_ended_while_the_others_wait() {
    let mut world = world();
    let web = repository("octo-org/web");
    world.write_file(&web, "main", ".github/workflows/a.yml", "on: repository_dispatch\n").unwrap();
    let token = token(&mut world, "octo-org/web", "contents", Access::Write);
    for _ in 0..3 {
        world.repository_dispatch(&token, &web, "deploy", json!({})).unwrap();
    }
    let runs: Vec<_> = world.runs().map(|run| run.id).collect();
    world.take_webhooks();
    world.progress_run(runs[1]).unwrap();
    world.finish_run(runs[1], Conclusion::Failure).unwrap();
    world.finish_run(runs[2], Conclusion::Cancelled).unwrap();
    assert!(world.finish_run(runs[2], Conclusion::Success).is_err(), "it has ended");
    assert!(world.progress_run(runs[2]).is_err());
    let sent = sent(&mut world);
    let told: Vec<_> = sent
        .iter()
        .map(|(_, action, body)| (action.as_str(), body["workflow_run"]["conclusion"].as_str().unwrap_or("none")))
        .collect();
    assert_eq!(told, [("in_progress", "none"), ("completed", "failure"), ("completed", "cancelled")]);
    assert_eq!(world.progress_runs(), [runs[0]], "the first one waited");
    world.take_effects();
}

#[test]
fn the_workflows_of_the_default_branch_are_listed_with_their_state() {
    let mut world = world();
    let web = repository("octo-org/web");
    world.write_file(&web, "main", ".github/workflows/gone.yml", "on: push\n").unwrap();
    world.remove_file(&web, "main", ".github/workflows/gone.yml").unwrap();
    world.set_workflow_state(&web, "ci.yml", WorkflowState::DisabledInactivity).unwrap();
    let token = token(&mut world, "octo-org/web", "actions", Access::Read);
    let listed: Vec<_> =
        world.workflows(&token, &web).unwrap().into_iter().map(|(file, workflow)| (file, workflow.state)).collect();
    assert_eq!(listed, [("cd.yml", WorkflowState::Active), ("ci.yml", WorkflowState::DisabledInactivity)]);
    let blind = self::token(&mut world, "octo-org/web", "contents", Access::Read);
    assert_eq!(world.workflows(&blind, &web).unwrap_err().status, 403);
}
