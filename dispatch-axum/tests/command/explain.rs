//! `dispatch explain`.

use std::fs;
use std::io::Write;
use std::process::{Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{dispatch, failure, text, write};

const API: &str = r#"outbound:
  - source: { workflow: ci.yml }
    targets:
      - repository: infra
        workflow: deploy.yml
        inputs: { git_sha: "{{ source.sha }}" }
      - repository: payments
        workflow: release.yml
"#;
const INFRA: &str = r"inbound:
  - source: { repository: api, workflow: ci.yml }
    targets:
      - workflow: deploy.yml
        accept_inputs: [git_sha]
        accept_refs: [main]
";

/// Three repositories: `api` starts something in both others, and one of them agrees.
fn world() -> TempDir {
    let folder = TempDir::new().unwrap();
    write(folder.path(), "acme/api/dispatching.yml", API);
    write(folder.path(), "Acme/Infra/.github/dispatching.yml", INFRA);
    write(folder.path(), "acme/payments/dispatching.yml", "inbound: []\n");
    folder
}

fn run_of(name: &str, branch: &str, conclusion: &str) -> Value {
    let (owner, short) = name.split_once('/').unwrap();
    let repository = json!({
        "id": 7, "name": short, "full_name": name, "private": true, "default_branch": "main",
        "owner": { "login": owner, "id": 1 },
    });
    json!({
        "action": "completed",
        "workflow_run": {
            "id": 30, "name": "ci", "path": ".github/workflows/ci.yml", "event": "push", "status": "completed",
            "conclusion": conclusion, "run_number": 4, "run_attempt": 1, "head_branch": branch,
            "head_sha": "6dcb09b5b57875f334f61aebed695e2e4193db5e",
            "html_url": "https://github.com/acme/api/actions/runs/30",
            "run_started_at": "2026-01-01T00:00:00Z", "created_at": "2026-01-01T00:00:00Z",
            "updated_at": "2026-01-01T00:01:00Z", "repository": repository, "head_repository": repository,
            "pull_requests": [],
        },
        "repository": repository,
        "installation": { "id": 9 },
        "sender": { "login": "octocat", "id": 2, "type": "User" },
    })
}

fn explain(world: &TempDir, event: &Value, more: &[&str]) -> Output {
    write(world.path(), "event.json", &event.to_string());
    let event = world.path().join("event.json");
    let mut command = dispatch(&["explain", "--event-name", "workflow_run"]);
    command.arg("--policies").arg(world.path()).arg("--event").arg(event).args(more).output().unwrap()
}

fn json_of(output: &Output) -> Value {
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn every_target_is_decided_in_the_order_of_the_file() {
    let answer = json_of(&explain(&world(), &run_of("acme/api", "main", "success"), &["--json"]));
    assert_eq!(answer["skipped"], Value::Null);
    assert_eq!(answer["event"]["kind"], "workflow_run");
    assert_eq!(answer["event"]["repository"], "acme/api");
    assert_eq!(answer["event"]["workflow"], "ci.yml");
    let [first, second] = &answer["decisions"].as_array().unwrap()[..] else { panic!("{answer}") };
    assert_eq!(first["target"], json!({ "repository": "acme/infra", "workflow": "deploy.yml" }));
    assert_eq!((&first["allowed"], &first["reason"]), (&json!(true), &Value::Null));
    assert_eq!(first["ref"], "main");
    assert_eq!(first["inputs"], json!({ "git_sha": "6dcb09b5b57875f334f61aebed695e2e4193db5e" }));
    assert_eq!(first["outbound_rule"], json!({ "file": "acme/api/dispatching.yml", "line": 4 }));
    assert_eq!(first["inbound_rule"]["line"], 4);
    assert_eq!((&second["allowed"], &second["reason"]), (&json!(false), &json!("inbound_not_authorized")));
    assert_eq!(second["outbound_rule"], json!({ "file": "acme/api/dispatching.yml", "line": 7 }));
    assert_eq!(second["inbound_rule"], Value::Null);
}

#[test]
fn an_event_that_starts_nothing_says_why() {
    let cases = [
        (run_of("acme/api", "feature", "success"), "source_not_default_branch"),
        (run_of("acme/api", "main", "failure"), "source_conclusion_not_allowed"),
        (run_of("acme/unknown", "main", "success"), "source_policy_missing"),
        (run_of("acme/payments", "main", "success"), "no_rule_matched"),
    ];
    for (event, reason) in cases {
        let answer = json_of(&explain(&world(), &event, &["--json"]));
        assert_eq!(answer["skipped"]["reason"], reason, "{answer}");
        assert_eq!(answer["decisions"], json!([]));
    }
}

#[test]
fn an_action_that_starts_nothing_is_a_decision_too() {
    let mut event = run_of("acme/api", "main", "success");
    event["action"] = json!("requested");
    let answer = json_of(&explain(&world(), &event, &["--json"]));
    assert_eq!(answer["skipped"]["reason"], "no_rule_matched", "{answer}");
    assert_eq!(answer["event"]["kind"], "workflow_run", "{answer}");
}

#[test]
fn limits_are_flags_and_variables_alike() {
    let (world, event) = (world(), run_of("acme/api", "main", "success"));
    let flag = json_of(&explain(&world, &event, &["--json", "--owner-allowlist", "octo-org"]));
    assert_eq!(flag["skipped"]["reason"], "source_owner_not_allowed");

    let event = world.path().join("event.json");
    let mut command = dispatch(&["explain", "--json", "--event-name", "workflow_run"]);
    command.arg("--policies").arg(world.path()).arg("--event").arg(event);
    let variable = json_of(&command.env("OWNER_ALLOWLIST", "octo-org").output().unwrap());
    assert_eq!(variable, flag);
    let empty = json_of(&command.env("OWNER_ALLOWLIST", "").output().unwrap());
    assert_eq!(empty["skipped"], Value::Null);
}

#[test]
fn the_event_can_come_from_the_standard_input() {
    let world = world();
    let mut command = dispatch(&["explain", "--json", "--event-name", "workflow_run", "--event", "-"]);
    let command = command.arg("--policies").arg(world.path()).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(run_of("acme/api", "main", "success").to_string().as_bytes()).unwrap();
    let answer = json_of(&child.wait_with_output().unwrap());
    assert_eq!(answer["decisions"].as_array().unwrap().len(), 2);
}

#[test]
fn people_read_the_decision_the_lines_and_what_was_assumed() {
    let output = explain(&world(), &run_of("acme/api", "main", "success"), &[]);
    let said = text(&output.stdout);
    for part in ["acme/infra", "acme/api/dispatching.yml:4", "inbound_not_authorized", "assume"] {
        assert!(said.contains(part), "`{part}` is not in:\n{said}");
    }
}

#[test]
fn bad_input_is_one_line_and_exit_code_2() {
    let folder = world();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    write(folder.path(), "good.json", &run_of("acme/api", "main", "success").to_string());
    write(folder.path(), "bad.json", "{");
    write(folder.path(), "other.json", "[]");
    let (root, missing) = (path("."), path("missing"));
    let cases = [
        (&root, "workflow_run", &missing, vec![], "cannot read"),
        (&missing, "workflow_run", &path("good.json"), vec![], "cannot read"),
        (&root, "workflow_run", &path("bad.json"), vec![], "bad.json"),
        (&root, "workflow_run", &path("other.json"), vec![], "other.json"),
        (&root, "workflow_walk", &path("good.json"), vec![], "workflow_walk"),
        (
            &root,
            "workflow_run",
            &path("good.json"),
            vec!["--dispatch-max-targets-per-run=0"],
            "DISPATCH_MAX_TARGETS_PER_RUN",
        ),
    ];
    for (policies, name, event, more, part) in cases {
        let mut command = dispatch(&["explain", "--policies", policies, "--event-name", name, "--event", event]);
        let output = command.args(more).output().unwrap();
        let (code, line) = failure(&output);
        assert_eq!(code, 2, "{line}");
        assert!(line.contains(part), "{line}");
    }
}

#[cfg(unix)]
#[test]
fn a_link_to_a_file_outside_is_not_followed() {
    let world = world();
    write(world.path(), "secret", "password");
    let link = world.path().join("acme/linked/dispatching.yml");
    fs::create_dir_all(link.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink(world.path().join("secret"), link).unwrap();
    let output = explain(&world, &run_of("acme/linked", "main", "success"), &[]);
    let (code, line) = failure(&output);
    assert_eq!(code, 2);
    assert!(line.contains("symbolic link") && !line.contains("password"), "{line}");
}

#[test]
fn one_repository_in_two_cases_is_refused() {
    let world = world();
    write(world.path(), "ACME/API/dispatching.yml", API);
    let output = explain(&world, &run_of("acme/api", "main", "success"), &[]);
    assert_eq!(failure(&output).0, 2);
}
