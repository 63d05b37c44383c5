//! `dispatch environments` and `dispatch sweep`, beside a running service and without one.

use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::http::request;
use super::program::Program;
use super::serve::{GitHub, eventually, free_port, listening, serve};
use super::{dispatch, failure, text, write};

const OUTBOUND: &str = r#"
outbound:
  - source: { pull_request: [opened] }
    targets: [{ repository: infra, workflow: create.yml, environment: create }]
  - source: { pull_request: [closed] }
    targets: [{ repository: infra, workflow: destroy.yml, environment: destroy }]
environments:
  - { name: "pr-{{ pr.number }}", url: "https://pr-{{ pr.number }}.example.com", ttl: 72h }
"#;
const INBOUND: &str = "
inbound:
  - source: { repository: api, pull_request: [opened] }
    targets: [{ workflow: create.yml }]
  - source: { repository: api, pull_request: [closed] }
    targets: [{ workflow: destroy.yml }]
";

/// A service whose pull requests get environments, its GitHub, and the folder that its database is in.
struct House {
    github: GitHub,
    port: u16,
    home: TempDir,
    _world: TempDir,
}

impl House {
    fn new() -> Self {
        let (port, world) = (free_port(), TempDir::new().unwrap());
        for (path, content) in [
            ("acme/api/dispatching.yml", OUTBOUND),
            ("acme/infra/dispatching.yml", INBOUND),
            ("acme/infra/.github/workflows/create.yml", "on: workflow_dispatch\njobs: {}\n"),
            ("acme/infra/.github/workflows/destroy.yml", "on: workflow_dispatch\njobs: {}\n"),
        ] {
            write(world.path(), path, content);
        }
        Self { github: GitHub::with(world.path(), port), port, home: TempDir::new().unwrap(), _world: world }
    }

    fn serve(&self) -> Program {
        let mut service = Program::start(&mut serve(&self.github, self.port, self.home.path()));
        service.wait_for(listening);
        service
    }

    fn order(&self, path: &str, order: &Value) {
        let (status, body) = request(self.github.api, "POST", path, &order.to_string());
        assert!((200..300).contains(&status), "{status} {body}");
    }

    fn open(&self, head: &str) {
        self.order(
            "/_emulator/events",
            &json!({ "open_pull_request": { "repository": "acme/api", "head_branch": head } }),
        );
    }

    fn close(&self, number: u64) {
        let order = json!({ "close_pull_request": { "repository": "acme/api", "number": number } });
        self.order("/_emulator/events", &order);
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let settings = self.github.settings.iter().cloned();
        dispatch(arguments).envs(settings).current_dir(self.home.path()).output().unwrap()
    }

    /// What `dispatch environments` lists, as `pr-1 live`.
    fn listed(&self, all: bool) -> Vec<String> {
        let arguments = if all { &["environments", "--json", "--all"][..] } else { &["environments", "--json"] };
        let rows: Vec<Value> = serde_json::from_str(said(&self.run(arguments))).unwrap();
        let word = |value: &Value| value.as_str().unwrap().to_owned();
        let mut rows: Vec<_> =
            rows.iter().map(|row| format!("{} {}", word(&row["key"]["name"]), word(&row["state"]))).collect();
        rows.sort();
        rows
    }
}

fn said(output: &Output) -> &str {
    assert_eq!(output.status.code(), Some(0), "{} {}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

fn outcome(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn what_pull_requests_have_is_listed_and_what_was_closed_unheard_is_swept() {
    let house = House::new();
    let mut service = house.serve();
    assert_eq!(said(&house.run(&["environments"])), "there are no environments\n");
    assert_eq!(
        said(&house.run(&["sweep"])),
        "0 environments looked at: 0 to go, 0 open, 0 busy, 0 unknown\n",
        "the service may be running"
    );
    house.open("one");
    house.open("two");
    eventually("both are live", || house.listed(false) == ["pr-1 live", "pr-2 live"]);
    let list = house.run(&["environments"]);
    let lines: Vec<_> = said(&list).lines().collect();
    assert_eq!(
        lines[0].split_whitespace().collect::<Vec<_>>(),
        ["ENVIRONMENT", "STATE", "CHANGED", "EXPIRES", "HELD", "BY"]
    );
    assert!(lines[1].starts_with("acme/infra pr-2  live ") && lines[1].ends_with("  acme/api #2"), "{}", lines[1]);
    assert!(lines[2].starts_with("acme/infra pr-1  live ") && lines[2].ends_with("  acme/api #1"), "{}", lines[2]);
    assert_eq!(lines[3..], ["", "2 environments; times are UTC"]);

    // Nobody listens when they are closed.
    service.signal("TERM");
    assert_eq!(service.end().code(), Some(0));
    (1..=2).for_each(|number| house.close(number));
    let look = house.run(&["sweep", "--dry-run"]);
    for expected in [
        "acme/infra pr-1  would be destroyed, unless others hold it: pull request #1 is closed\n",
        "acme/infra pr-2  would be destroyed, unless others hold it: pull request #2 is closed\n",
        "2 environments looked at: 2 to go, 0 open, 0 busy, 0 unknown\n",
    ] {
        assert!(said(&look).contains(expected), "{expected} is missing in {}", said(&look));
    }

    let limited = house.run(&["sweep", "--json", "--sweep-limit", "1"]);
    let (code, line) = failure(&limited);
    assert!(code == 1 && line.contains("SWEEP_LIMIT"), "{line}");
    let told = outcome(&limited);
    let expected = json!([{
        "environment": { "repository": "acme/infra", "name": "pr-1" }, "pull_request": 1, "expired": false
    }]);
    assert_eq!((&told["going"], &told["limited"], &told["going_before"]), (&expected, &json!(true), &json!(0)));
    let rest = house.run(&["sweep"]);
    assert!(said(&rest).contains("acme/infra pr-2  is to be destroyed"), "{}", said(&rest));
    assert!(said(&rest).ends_with("1 were going before, which counts for SWEEP_LIMIT\n"), "{}", said(&rest));

    let _service = house.serve();
    eventually("both are gone", || house.listed(false).is_empty());
    assert_eq!(house.listed(true), ["pr-1 destroyed", "pr-2 destroyed"]);
}

#[test]
fn what_github_does_not_tell_is_left_alone_and_makes_the_sweep_fail() {
    let house = House::new();
    let mut service = house.serve();
    house.open("one");
    eventually("it is live", || house.listed(false) == ["pr-1 live"]);
    service.signal("TERM");
    assert_eq!(service.end().code(), Some(0));
    house.close(1);
    let fault =
        json!({ "method": "GET", "path": "/repos/*/*/pulls/*", "times": 2, "kind": { "status": { "status": 404 } } });
    house.order("/_emulator/faults", &fault);
    let output = house.run(&["sweep"]);
    let (code, line) = failure(&output);
    assert!(code == 1 && line.contains("GitHub did not tell"), "{line}");
    let expected = "acme/infra pr-1  left alone: pull request #1: GitHub does not show it to this App\n\
                    1 environments looked at: 0 to go, 0 open, 0 busy, 1 unknown\n";
    assert_eq!(text(&output.stdout), expected);
    let output = house.run(&["sweep", "--json"]);
    assert_eq!(failure(&output).0, 1);
    assert_eq!((&outcome(&output)["going"], &outcome(&output)["unknown"][0]["pull_request"]), (&json!([]), &json!(1)));
}

#[test]
fn without_a_database_or_with_wrong_settings_nothing_is_done() {
    let house = House::new();
    for arguments in [&["environments"][..], &["sweep"]] {
        let output = house.run(arguments);
        let (code, line) = failure(&output);
        assert!(code == 2 && line.contains("DATABASE_PATH"), "{arguments:?}: {line}");
    }
    let output = house.run(&["sweep", "--sweep-limit", "0"]);
    let (code, line) = failure(&output);
    assert!(code == 2 && line.contains("SWEEP_LIMIT"), "{line}");
    let nobody = dispatch(&["sweep"]).current_dir(house.home.path()).output().unwrap();
    assert_eq!(failure(&nobody).0, 2, "without settings");
    assert!(!Path::new(&house.home.path().join("dispatch.sqlite")).exists(), "it is not made by asking");
}
