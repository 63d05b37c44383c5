//! `dispatch explain` of pull requests, commands, check runs that are wanted again, and stored deliveries.

use std::process::Output;

use insta::{assert_json_snapshot, assert_snapshot};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::parked::{complete_a_run, listed, refusing_service};
use super::serve::eventually;
use super::{dispatch, failure, text, write};

const SHA: &str = "6dcb09b5b57875f334f61aebed695e2e4193db5e";
const API: &str = r#"outbound:
  - source: { pull_request: [opened, synchronize] }
    targets: [{ repository: infra, event: preview, payload: { number: "{{ pr.number }}" } }]
  - source: { pull_request: [closed] }
    targets: [{ repository: infra, workflow: destroy.yml, environment: destroy }]
  - source: { command: /deploy, permission: write }
    targets: [{ repository: infra, workflow: deploy.yml, ref: main, inputs: { sha: "{{ pr.head_sha }}" } }]
environments:
  - { name: "pr-{{ pr.number }}" }
"#;
const INFRA: &str = r"inbound:
  - source: { repository: api, pull_request: [opened] }
    targets: [{ event: preview, accept_payload: [number] }]
  - source: { repository: api, pull_request: [closed] }
    targets: [{ workflow: destroy.yml }]
  - source: { repository: api, command: /deploy }
    targets: [{ workflow: deploy.yml, accept_inputs: [sha], accept_refs: [main] }]
";

fn world() -> TempDir {
    let folder = TempDir::new().unwrap();
    write(folder.path(), "acme/api/dispatching.yml", API);
    write(folder.path(), "acme/infra/dispatching.yml", INFRA);
    folder
}

fn with(mut body: Value) -> Value {
    let more = json!({
        "repository": { "id": 11, "full_name": "acme/api", "default_branch": "main", "private": true },
        "installation": { "id": 5 },
        "sender": { "id": 7, "login": "octocat", "type": "User" },
    });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

fn pull_request(action: &str) -> Value {
    let side = |branch: &str| json!({ "ref": branch, "sha": SHA, "repo": { "id": 11, "full_name": "acme/api" } });
    with(json!({
        "action": action, "number": 7,
        "pull_request": {
            "number": 7, "state": if action == "closed" { "closed" } else { "open" }, "merged": false, "draft": false,
            "base": side("main"), "head": side("topic"), "user": { "id": 7, "login": "octocat", "type": "User" },
            "labels": [], "updated_at": "2026-01-02T03:05:06Z",
        },
    }))
}

fn comment(line: &str) -> Value {
    with(json!({
        "action": "created",
        "issue": { "number": 7, "pull_request": { "url": "https://api.github.com/x" } },
        "comment": {
            "id": 42, "body": line, "created_at": "2026-01-02T03:05:06Z", "performed_via_github_app": null,
            "user": { "id": 7, "login": "octocat", "type": "User" },
        },
    }))
}

fn check_run() -> Value {
    with(json!({
        "action": "rerequested",
        "check_run": {
            "id": 128, "head_sha": SHA, "name": "a check", "status": "completed", "external_id": "0123456789abcdef".repeat(4),
            "app": { "id": 1, "slug": "dispatch" }, "check_suite": { "id": 5, "updated_at": "2026-01-02T03:05:06Z" },
        },
    }))
}

fn explain(world: &TempDir, name: &str, body: &Value, more: &[&str]) -> Output {
    write(world.path(), "event.json", &body.to_string());
    let mut command = dispatch(&["explain", "--policies", ".", "--event-name", name, "--event", "event.json"]);
    command.args(more).current_dir(world.path()).output().unwrap()
}

fn said(output: &Output) -> &str {
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    text(&output.stdout)
}

fn json_of(output: &Output) -> Value {
    serde_json::from_str(said(output)).unwrap()
}

#[test]
fn a_pull_request_is_explained() {
    let world = world();
    assert_snapshot!(said(&explain(&world, "pull_request", &pull_request("opened"), &[])), @"
    `pull_request` in `acme/api`: pull request 7 opened, on `main`

    yes  `preview` in `acme/infra`
         `acme/api/dispatching.yml:3` and `acme/infra/dispatching.yml:3` agree
         inputs    `number` = `7`
         outbound  acme/api/dispatching.yml:3
         inbound   acme/infra/dispatching.yml:3

    assumed, because only GitHub and the service's store know:
      - the App belongs to `acme`
      - `acme/infra` is the repository that its name has always meant
      - `acme/api` has not started `preview` of `acme/infra` within the hour
      - nothing else was started along the chain of `pull_request:11:7:opened:6dcb09b5b57875f334f61aebed695e2e4193db5e:2026-01-02T03:05:06Z`
    ");
    let denied = json_of(&explain(&world, "pull_request", &pull_request("synchronize"), &["--format", "json"]));
    assert_json_snapshot!(denied["event"], @r#"
    {
      "action": "synchronize",
      "attempt": null,
      "branch": "main",
      "command": null,
      "commenter": null,
      "conclusion": null,
      "kind": "pull_request",
      "pull_request": 7,
      "repository": "acme/api",
      "run_id": null,
      "sha": "6dcb09b5b57875f334f61aebed695e2e4193db5e",
      "started_by": null,
      "workflow": null
    }
    "#);
    assert_eq!(denied["decisions"][0]["allowed"], false);
    assert_eq!(denied["decisions"][0]["inbound_rule"]["line"], 2, "{denied}");
}

#[test]
fn what_a_closed_pull_request_destroys_is_assumed_to_be_there() {
    let closed = explain(&world(), "pull_request", &pull_request("closed"), &[]);
    assert_snapshot!(said(&closed), @"
    `pull_request` in `acme/api`: pull request 7 closed, on `main`

    yes  `destroy.yml` in `acme/infra`
         `acme/api/dispatching.yml:5` and `acme/infra/dispatching.yml:5` agree
         ref       `main`
         outbound  acme/api/dispatching.yml:5
         inbound   acme/infra/dispatching.yml:5

    assumed, because only GitHub and the service's store know:
      - the App belongs to `acme`
      - pull request 7 has `pr-7` in `acme/infra`
      - `acme/infra` is the repository that its name has always meant
      - `acme/api` has not started `destroy.yml` of `acme/infra` within the hour
      - nothing else was started along the chain of `pull_request:11:7:closed:6dcb09b5b57875f334f61aebed695e2e4193db5e:2026-01-02T03:05:06Z`
    ");
}

#[test]
fn where_no_rule_is_about_it_the_nearest_one_is_named_with_what_differs() {
    let world = world();
    let reopened = explain(&world, "pull_request", &pull_request("reopened"), &[]);
    assert_snapshot!(said(&reopened), @"
    `pull_request` in `acme/api`: pull request 7 reopened, on `main`

    nothing starts: no_rule_matched
      no outbound rule of `acme/api` is about this: a pull request was `reopened`
      nearest   acme/api/dispatching.yml:2
                it is about `pull request opened, synchronize`, and what happened is `reopened`
      help      add an `outbound` rule whose source names this workflow

    assumed, because only GitHub and the service's store know:
      - the App belongs to `acme`
    ");
    let mistyped = json_of(&explain(&world, "issue_comment", &comment("/deplyo"), &["--json"]));
    assert_json_snapshot!(mistyped["skipped"], @r#"
    {
      "message": "no outbound rule of `acme/api` names the command `/deplyo`: did you mean `/deploy`?",
      "nearest": {
        "differs": "it is about `/deploy`, and the command is `/deplyo`",
        "rule": {
          "file": "acme/api/dispatching.yml",
          "line": 6
        }
      },
      "outbound_rule": null,
      "reason": "unknown_command"
    }
    "#);
}

#[test]
fn a_command_is_explained_by_somebody_who_may() {
    let given = explain(&world(), "issue_comment", &comment("/deploy"), &[]);
    assert_snapshot!(said(&given), @"
    `/deploy` in `acme/api` on pull request 7, given by `octocat`

    yes  `deploy.yml` in `acme/infra`
         `acme/api/dispatching.yml:7` and `acme/infra/dispatching.yml:7` agree
         ref       `main`
         inputs    `sha` = `0000000000000000000000000000000000000000`
         outbound  acme/api/dispatching.yml:7
         inbound   acme/infra/dispatching.yml:7

    assumed, because only GitHub and the service's store know:
      - the App belongs to `acme`
      - commit `0000000000000000000000000000000000000000` was the newest of pull request 7 before the command was given
      - pull request 7 of `acme/api` is open, and wants to change `main` with `topic`
      - `octocat` may do everything in `acme/api`
      - `acme/infra` is the repository that its name has always meant
      - `acme/api` has not started `deploy.yml` of `acme/infra` within the hour
      - nothing else was started along the chain of `command:11:42`
    ");
    let event = json_of(&explain(&world(), "issue_comment", &comment("/deploy"), &["--json"]))["event"].take();
    assert_eq!(
        (&event["command"], &event["pull_request"], &event["commenter"]),
        (&json!("/deploy"), &json!(7), &json!("octocat"))
    );
}

#[test]
fn what_is_given_is_not_assumed() {
    let world = world();
    for (flags, reason) in [
        (&["--permission", "read"][..], "commenter_not_permitted"),
        (&["--closed"], "pull_request_not_open"),
        (&["--fork"], "source_from_fork"),
    ] {
        let answer = json_of(&explain(&world, "issue_comment", &comment("/deploy"), &[&["--json"], flags].concat()));
        let decided = [&answer["skipped"]["reason"], &answer["decisions"][0]["reason"]];
        assert!(decided.contains(&&json!(reason)), "{flags:?}: {answer}");
    }
    let flags = ["--json", "--permission", "write", "--head-sha", SHA];
    let answer = json_of(&explain(&world, "issue_comment", &comment("/deploy"), &flags));
    assert_eq!(answer["decisions"][0]["inputs"]["sha"], SHA);
    let assumed = answer["assumed"].to_string();
    assert!(!assumed.contains("may do everything") && !assumed.contains("is open"), "{assumed}");
}

#[test]
fn a_check_that_is_wanted_again_is_explained_by_what_it_tells_of() {
    let world = world();
    let unknown = json_of(&explain(&world, "check_run", &check_run(), &["--json"]));
    assert_eq!(unknown["skipped"]["reason"], "no_rule_matched", "{unknown}");
    write(world.path(), "first.json", &pull_request("opened").to_string());
    let checked = ["--checked", "first.json", "--checked-name", "pull_request"];
    assert_snapshot!(said(&explain(&world, "check_run", &check_run(), &checked)), @"
    `check_run` in `acme/api`, wanted again by `octocat`

    yes  `preview` in `acme/infra`
         `acme/api/dispatching.yml:3` and `acme/infra/dispatching.yml:3` agree
         inputs    `number` = `7`
         outbound  acme/api/dispatching.yml:3
         inbound   acme/infra/dispatching.yml:3

    assumed, because only GitHub and the service's store know:
      - the App belongs to `acme`
      - `acme/infra` is the repository that its name has always meant
      - `acme/api` has not started `preview` of `acme/infra` within the hour
      - nothing else was started along the chain of `pull_request:11:7:opened:6dcb09b5b57875f334f61aebed695e2e4193db5e:2026-01-02T03:05:06Z`
      - `octocat` may do everything in `acme/api`
      - the check tells of `preview` in `acme/infra`, which is not under way
      - nothing else was started along the chain of `check_run:11:128`
    ");
    let reader = [&checked[..], &["--json", "--permission", "read"]].concat();
    let denied = json_of(&explain(&world, "check_run", &check_run(), &reader));
    assert_eq!(denied["skipped"]["reason"], "commenter_not_permitted", "{denied}");
}

#[test]
fn an_event_that_starts_nothing_says_which_ones_do() {
    let world = world();
    for (name, body, part) in [
        ("pull_request", pull_request("labeled"), "with action `labeled`"),
        ("issue_comment", comment("thanks"), "its first line is a command"),
        ("check_run", with(json!({ "action": "completed" })), "its action is `rerequested`"),
    ] {
        let output = explain(&world, name, &body, &[]);
        assert!(said(&output).contains(part), "{}", said(&output));
    }
}

#[test]
fn a_stored_delivery_is_explained_as_it_was_decided_and_as_it_would_be_now() {
    let refusing = refusing_service(|command| command);
    let (github, home) = (&refusing.github, &refusing.home);
    complete_a_run(github);
    eventually("the refusal is parked", || listed(home.path()).len() == 1);
    let id = listed(home.path()).remove(0)["delivery"].as_str().unwrap().to_owned();
    let run =
        |more: &[&str]| dispatch(&["explain", "--delivery", &id]).args(more).current_dir(home.path()).output().unwrap();
    let as_decided = json_of(&run(&["--json"]));
    assert_eq!(as_decided["decisions"][0]["allowed"], true, "{as_decided}");
    assert_eq!((&as_decided["assumed"], &as_decided["limits"]), (&json!([]), &json!([])));
    assert!(said(&run(&[])).starts_with("`ci.yml` of `acme/api`: run "));

    write(home.path(), "now/acme/api/dispatching.yml", "outbound: []\n");
    let now = json_of(&run(&["--json", "--policies", "now"]));
    assert_eq!(now["skipped"]["reason"], "no_rule_matched", "{now}");

    let none = dispatch(&["explain", "--delivery", "none"]).current_dir(home.path()).output().unwrap();
    let (code, line) = failure(&none);
    assert!(code == 1 && line.contains("there is no delivery `none`"), "{line}");
    let elsewhere = dispatch(&["explain", "--delivery", &id, "--database", "none.sqlite"]).output().unwrap();
    assert_eq!(failure(&elsewhere).0, 2);
}
