//! Webhooks that never arrived: `dispatch recover`, and the service that asks for them by itself.

use std::process::Output;

use serde_json::Value;
use tempfile::TempDir;

use super::http::request;
use super::program::Program;
use super::serve::{GitHub, eventually, free_port, listening, serve};
use super::{dispatch, failure, text};

/// A run completes while nobody listens.
fn complete_a_run_unheard(github: &GitHub) {
    let order = r#"{"workflow_run":{"repository":"fjord-coffee/api","workflow":"ci.yml"}}"#;
    let (status, body) = request(github.api, "POST", "/_emulator/events", order);
    assert_eq!(status, 200, "{body}");
    assert_eq!(serde_json::from_str::<Value>(&body).unwrap()["status"], Value::Null, "{body}");
}

fn asked_for(github: &GitHub) -> usize {
    let requests = request(github.api, "GET", "/_emulator/requests", "").1;
    let requests: Vec<Value> = serde_json::from_str(&requests).unwrap();
    let asks = |request: &&Value| request["path"].as_str().is_some_and(|path| path.ends_with("/attempts"));
    requests.iter().filter(asks).count()
}

fn said(output: &Output) -> &str {
    assert_eq!(output.status.code(), Some(0), "{} {}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

/// Starts the service and ends it, so that there is a database.
fn make_database(github: &GitHub, port: u16, home: &TempDir) {
    let mut service = Program::start(&mut serve(github, port, home.path()));
    service.wait_for(listening);
    service.signal("TERM");
    assert_eq!(service.end().code(), Some(0));
}

#[test]
fn by_hand_it_tells_what_was_missed_and_asks_for_it_again() {
    let (port, home) = (free_port(), TempDir::new().unwrap());
    let github = GitHub::start(port);
    make_database(&github, port, &home);
    complete_a_run_unheard(&github);
    let recover = |arguments: &[&str]| {
        let mut command = dispatch(&["recover"]);
        command.args(arguments).envs(github.settings.iter().cloned()).current_dir(home.path()).output().unwrap()
    };

    for _ in 0..2 {
        let told = recover(&["--dry-run"]);
        assert!(said(&told).contains("workflow_run") && said(&told).contains("would be asked for again"));
        assert_eq!(asked_for(&github), 0, "a dry run asks for nothing");
    }
    let done = recover(&["--since", "1h"]);
    assert!(said(&done).contains("workflow_run"), "{}", said(&done));
    assert!(asked_for(&github) >= 1);

    for since in ["4d", "0s", "soon", ""] {
        let output = recover(&["--since", since]);
        let (code, line) = failure(&output);
        assert!(code == 2 && line.contains("--since"), "{since}: {line}");
    }
    let nowhere = recover(&["--database-path", "elsewhere.sqlite"]);
    assert!(failure(&nowhere).1.contains("DATABASE_PATH"));
}

#[test]
fn a_service_that_was_down_asks_for_what_it_missed_when_it_starts() {
    let (port, home) = (free_port(), TempDir::new().unwrap());
    let github = GitHub::start(port);
    make_database(&github, port, &home);
    complete_a_run_unheard(&github);
    let mut service = Program::start(&mut serve(&github, port, home.path()));
    service.wait_for(listening);
    eventually("the chain reaches its end", || {
        github.runs().iter().any(|run| run["workflow"] == "smoke.yml" && run["status"] == "completed")
    });
}
