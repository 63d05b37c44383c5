//! `dispatch parked` and `dispatch backup`, beside a running service and without one.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use super::http::request;
use super::program::Program;
use super::serve::{GitHub, eventually, free_port, listening, serve};
use super::{dispatch, failure, text, write};

const CI: &str = "on: push\njobs: {}\n";
const OUTBOUND: &str =
    "outbound: [{ source: { workflow: ci.yml }, targets: [{ repository: deploy, workflow: cd.yml }] }]";
const INBOUND: &str = "inbound: [{ source: { repository: api, workflow: ci.yml }, targets: [{ workflow: cd.yml }] }]";

/// `acme/api` starts `cd.yml` of `acme/deploy`, which agrees, and whose workflow cannot be started from outside.
fn refusing_world(folder: &Path) {
    for (path, content) in [
        ("acme/api/dispatching.yml", OUTBOUND),
        ("acme/api/.github/workflows/ci.yml", CI),
        ("acme/deploy/dispatching.yml", INBOUND),
        ("acme/deploy/.github/workflows/cd.yml", CI),
    ] {
        write(folder, path, content);
    }
}

/// The service, in a world where GitHub refuses what was agreed on. All of it lives as long as this does.
pub(crate) struct Refusing {
    pub(crate) service: Program,
    pub(crate) github: GitHub,
    pub(crate) home: TempDir,
    _world: TempDir,
}

pub(crate) fn refusing_service(change: impl FnOnce(&mut Command) -> &mut Command) -> Refusing {
    let (port, world, home) = (free_port(), TempDir::new().unwrap(), TempDir::new().unwrap());
    refusing_world(world.path());
    let github = GitHub::with(world.path(), port);
    let mut service = Program::start(change(&mut serve(&github, port, home.path())));
    service.wait_for(listening);
    Refusing { service, github, home, _world: world }
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    dispatch(arguments).current_dir(folder).output().unwrap()
}

fn said(output: &Output) -> &str {
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    text(&output.stdout)
}

pub(crate) fn listed(folder: &Path) -> Vec<Value> {
    serde_json::from_str(said(&run(folder, &["parked", "list", "--json"]))).unwrap()
}

pub(crate) fn complete_a_run(github: &GitHub) {
    let order = r#"{"workflow_run":{"repository":"acme/api","workflow":"ci.yml"}}"#;
    let (status, body) = request(github.api, "POST", "/_emulator/events", order);
    assert_eq!(status, 200, "{body}");
    assert_eq!(serde_json::from_str::<Value>(&body).unwrap()["status"], 202, "{body}");
}

#[test]
fn what_github_refuses_is_listed_shown_retried_and_dropped_while_the_service_runs() {
    let refusing = refusing_service(|command| command);
    let folder = refusing.home.path();
    assert_eq!(said(&run(folder, &["parked", "list"])), "nothing is parked\n");
    complete_a_run(&refusing.github);
    eventually("the refusal is parked", || listed(folder).len() == 1);

    let first = listed(folder).remove(0);
    let id = first["id"].as_str().unwrap();
    assert_eq!(first["kind"], "refused");
    assert_eq!(first["target"], "acme/deploy · cd.yml");
    assert_eq!(first["source"], "acme/api · ci.yml · main");
    let list = run(folder, &["parked", "list"]);
    assert!(said(&list).starts_with(id) && said(&list).contains("acme/api · ci.yml · main → acme/deploy · cd.yml"));

    let shown = run(folder, &["parked", "show", id.split_at(4).0]);
    for expected in
        [id, "acme/api/dispatching.yml:1", "acme/deploy/dispatching.yml:1", "Received", "Decided", "Refused"]
    {
        assert!(said(&shown).contains(expected), "{expected} is missing in {}", said(&shown));
    }

    // The service takes it up and calls GitHub again, which refuses again: the same thing, parked later.
    let retried = run(folder, &["parked", "retry", &id.to_uppercase()]);
    assert!(said(&retried).contains("is taken up again"), "{}", said(&retried));
    eventually("it is tried and refused again", || {
        listed(folder).first().is_some_and(|again| again["id"] == id && again["parked_at"] != first["parked_at"])
    });
    assert!(said(&run(folder, &["parked", "show", id])).contains("Retried"));

    assert!(said(&run(folder, &["parked", "drop", id])).contains("is dropped"));
    assert_eq!(listed(folder), Vec::<Value>::new());
    for action in ["show", "retry", "drop"] {
        let output = run(folder, &["parked", action, id]);
        let (code, line) = failure(&output);
        assert_eq!(code, 1, "{line}");
    }
    let calls = request(refusing.github.api, "GET", "/_emulator/requests", "").1;
    assert_eq!(calls.matches("workflows/cd.yml/dispatches").count(), 2, "once at first, and once for the retry");
}

#[test]
fn without_a_database_or_with_a_wrong_id_nothing_is_done() {
    let (port, world, home) = (free_port(), TempDir::new().unwrap(), TempDir::new().unwrap());
    let folder = home.path();
    for arguments in [&["parked", "list"][..], &["parked", "show", "0123456789"], &["backup", "copy.sqlite"]] {
        let output = run(folder, arguments);
        let (code, line) = failure(&output);
        assert!(code == 2 && line.contains("DATABASE_PATH"), "{arguments:?}: {line}");
    }
    assert!(!folder.join("dispatch.sqlite").exists(), "it is not made by asking");

    refusing_world(world.path());
    let github = GitHub::with(world.path(), port);
    let mut service = Program::start(&mut serve(&github, port, folder));
    service.wait_for(listening);
    for (id, expected) in [("abc", 2), ("nothex", 2), ("a b c d", 2), ("0000", 1), ("0123456789", 1)] {
        let output = run(folder, &["parked", "retry", id]);
        let (code, line) = failure(&output);
        assert_eq!(code, expected, "{id}: {line}");
    }
    let output = run(folder, &["parked", "show", "0123456789", "--database", "elsewhere.sqlite"]);
    assert_eq!(failure(&output).0, 2, "the flag wins");
}

#[test]
fn a_copy_of_a_live_database_holds_what_was_accepted_and_overwrites_nothing() {
    let refusing = refusing_service(|command| command);
    let (github, home) = (&refusing.github, &refusing.home);
    complete_a_run(github);
    eventually("the refusal is parked", || listed(home.path()).len() == 1);

    let folder = home.path();
    said(&run(folder, &["backup", "copy.sqlite"]));
    let written = || fs::metadata(folder.join("copy.sqlite")).unwrap().modified().unwrap();
    let before = written();
    let again = run(folder, &["backup", "copy.sqlite"]);
    let (code, line) = failure(&again);
    assert!(code == 2 && line.contains("copy.sqlite"), "{line}");
    assert_eq!(written(), before);
    let copied = run(folder, &["parked", "list", "--json", "--database", "copy.sqlite"]);
    assert_eq!(serde_json::from_str::<Vec<Value>>(said(&copied)).unwrap(), listed(folder));
    assert_eq!(failure(&run(folder, &["backup", "missing/folder/copy.sqlite"])).0, 1);
}
