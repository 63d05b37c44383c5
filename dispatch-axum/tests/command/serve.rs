//! `dispatch serve`, and `dispatch emulate` as its GitHub.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use super::http::request;
use super::program::{DEADLINE, Program};
use super::{dispatch, failure, text};

pub(crate) const DEMO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/demo");

/// The emulator with the demonstration's organisation, and the settings that it printed.
pub(crate) struct GitHub {
    program: Program,
    pub(crate) api: SocketAddr,
    pub(crate) settings: Vec<(String, String)>,
}

impl GitHub {
    pub(crate) fn start(webhook_port: u16) -> Self {
        Self::with(Path::new(DEMO), webhook_port)
    }

    /// The emulator with the organisations of a folder.
    pub(crate) fn with(world: &Path, webhook_port: u16) -> Self {
        let world = world.to_str().unwrap();
        let url = format!("http://127.0.0.1:{webhook_port}/webhooks/github");
        let mut program =
            Program::start(&mut dispatch(&["emulate", "--port", "0", "--world", world, "--webhook-url", &url]));
        let mut settings: Vec<(String, String)> = Vec::new();
        let mut open = false;
        program.wait_for(|line| {
            if let Some((name, value)) = line.strip_prefix("export ").and_then(|line| line.split_once("='")) {
                settings.push((name.to_owned(), value.to_owned()));
                open = true;
            } else if open {
                let value = &mut settings.last_mut().unwrap().1;
                value.push('\n');
                value.push_str(line);
            }
            if let Some(value) = open.then(|| settings.last_mut().unwrap()).filter(|(_, value)| value.ends_with('\'')) {
                value.1.pop();
                open = false;
            }
            line.contains("/_emulator/runs").then_some(())
        });
        let url = &settings.iter().find(|(name, _)| name == "GITHUB_API_URL").unwrap().1;
        let api = url.strip_prefix("http://").unwrap().parse().unwrap();
        Self { program, api, settings }
    }

    pub(crate) fn runs(&self) -> Vec<Value> {
        let (status, body) = request(self.api, "GET", "/_emulator/runs", "");
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }
}

pub(crate) fn serve(github: &GitHub, port: u16, folder: &Path) -> Command {
    let mut command = dispatch(&["serve"]);
    let settings = github.settings.iter().map(|(name, value)| (name, value));
    command.envs(settings).env("PORT", port.to_string()).current_dir(folder);
    command
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

pub(crate) fn listening(line: &str) -> Option<SocketAddr> {
    let line: Value = serde_json::from_str(line).expect("every line of the log is JSON");
    (line["message"] == "listening").then(|| line["address"].as_str().unwrap().parse().unwrap())
}

pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !is_so() {
        assert!(Instant::now() < deadline, "not within the deadline: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_webhook_becomes_a_run_and_a_signal_ends_it_in_peace() {
    let (port, folder) = (free_port(), TempDir::new().unwrap());
    let github = GitHub::start(port);
    let mut service = Program::start(&mut serve(&github, port, folder.path()));
    let address = service.wait_for(listening);
    assert_eq!(request(address, "GET", "/health", ""), (200, r#"{"status":"ok"}"#.to_owned()));

    let order = r#"{"workflow_run":{"repository":"fjord-coffee/api","workflow":"ci.yml"}}"#;
    let (status, body) = request(github.api, "POST", "/_emulator/events", order);
    assert_eq!(status, 200, "{body}");
    assert_eq!(serde_json::from_str::<Value>(&body).unwrap()["status"], 202, "{body}");
    eventually("the chain reaches its end", || {
        github.runs().iter().any(|run| run["workflow"] == "smoke.yml" && run["status"] == "completed")
    });

    service.signal("TERM");
    assert_eq!(service.end().code(), Some(0), "{}", service.errors());
    assert!(folder.path().join("dispatch.sqlite").exists());
}

#[test]
fn a_token_that_was_made_is_told_to_the_operator_and_not_to_the_log() {
    let (port, folder) = (free_port(), TempDir::new().unwrap());
    let github = GitHub::start(port);
    let mut service = Program::start(&mut serve(&github, port, folder.path()));
    service.wait_for(listening);
    service.signal("INT");
    assert_eq!(service.end().code(), Some(0));
    let said = service.errors();
    let token = said.trim_end().rsplit(' ').next().unwrap();
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains("ADMIN_TOKEN") && token.len() == 64, "{said}");
}

#[test]
fn without_an_owner_allowlist_the_apps_owner_is_asked_for() {
    let (port, folder) = (free_port(), TempDir::new().unwrap());
    let github = GitHub::start(port);
    let mut service = Program::start(serve(&github, port, folder.path()).env_remove("OWNER_ALLOWLIST"));
    let owner = service.wait_for(|line| {
        let line: Value = serde_json::from_str(line).unwrap();
        line["owner"].as_str().map(str::to_owned)
    });
    assert_eq!(owner, "fjord-coffee");
}

#[test]
fn two_services_do_not_share_a_database_by_mistake() {
    let (port, folder) = (free_port(), TempDir::new().unwrap());
    let github = GitHub::start(port);
    let mut first = Program::start(&mut serve(&github, port, folder.path()));
    first.wait_for(listening);
    let second = serve(&github, 0, folder.path()).output().unwrap();
    let (code, line) = failure(&second);
    assert_eq!(code, 2);
    assert!(line.contains("DATABASE_PATH"), "{line}");
}

#[test]
fn a_wrong_setting_is_one_line_that_names_it_and_exit_code_2() {
    let github = GitHub::start(free_port());
    let folder = TempDir::new().unwrap();
    let unset = "";
    let cases = [
        ("GITHUB_APP_ID", unset),
        ("GITHUB_APP_ID", "mine"),
        ("GITHUB_APP_ID", "0"),
        ("GITHUB_APP_PRIVATE_KEY", unset),
        ("GITHUB_APP_PRIVATE_KEY", "not a key"),
        ("GITHUB_APP_PRIVATE_KEY_FILE", "missing.pem"),
        ("GITHUB_WEBHOOK_SECRET", unset),
        ("GITHUB_WEBHOOK_SECRET", "one,,two"),
        ("GITHUB_WEBHOOK_SECRET_FILE", "missing"),
        // The emulator's key is public: it is for an API on this machine only.
        ("GITHUB_API_URL", "https://api.github.com"),
        ("GITHUB_API_URL", "http://api.github.com"),
        ("HOST", "example.com"),
        ("PORT", "65536"),
        ("PORT", &github.api.port().to_string()),
        ("DATABASE_PATH", "missing/folder/dispatch.sqlite"),
        ("LOG_LEVEL", "loud"),
        ("OWNER_ALLOWLIST", "fjord-coffee,"),
        ("DISPATCH_MAX_TARGETS_PER_RUN", "91"),
        ("DISPATCH_MAX_RETRIES", "-1"),
        ("MAX_EVENT_AGE", "24"),
        ("ADMIN_TOKEN", "short"),
        ("TRUSTED_PROXIES", "10.0.0.0/33"),
        ("ADMIN_IP_ALLOWLIST", "office"),
        ("RETENTION_DAYS", "0"),
        // A delivery of yesterday can come again for a week.
        ("RETENTION_DAYS", "8"),
        ("DISPATCH_SETTLE_SECONDS", "0"),
        ("DISPATCH_MAX_EDGE_RATE", "0"),
        ("GITHUB_APP_SLUG", "my app"),
        ("CREATE_ISSUES", "perhaps"),
    ];
    for (name, value) in cases {
        let output = serve(&github, 0, folder.path()).env(name, value).output().unwrap();
        let (code, line) = failure(&output);
        assert_eq!(code, 2, "{name}={value}: {line}");
        let named = if value.starts_with("https:") { "GITHUB_APP_PRIVATE_KEY" } else { name };
        assert!(line.contains(named), "{name}={value}: {line}");
        for (secret, value) in
            github.settings.iter().filter(|(name, _)| name.contains("SECRET") || name.contains("KEY"))
        {
            assert!(!line.contains(value), "{secret} is in: {line}");
        }
    }
}

#[test]
fn secrets_come_from_files_too() {
    let (port, folder) = (free_port(), TempDir::new().unwrap());
    let github = GitHub::start(port);
    let mut command = serve(&github, port, folder.path());
    for (name, value) in &github.settings {
        if ["GITHUB_APP_PRIVATE_KEY", "GITHUB_WEBHOOK_SECRET"].contains(&name.as_str()) {
            fs::write(folder.path().join(name), format!("{value}\n")).unwrap();
            command.env_remove(name).env(format!("{name}_FILE"), name);
        }
    }
    fs::write(folder.path().join("token"), "0123456789abcdef\n").unwrap();
    let mut service = Program::start(command.env("ADMIN_TOKEN_FILE", "token"));
    service.wait_for(listening);
    service.signal("TERM");
    assert_eq!(service.end().code(), Some(0));
    assert_eq!(service.errors(), "");
}

#[test]
fn the_emulator_sends_nothing_to_other_machines() {
    let output = dispatch(&["emulate", "--port", "0", "--world", DEMO, "--webhook-url", "http://192.0.2.1/x"]).output();
    let output = output.unwrap();
    let (code, line) = failure(&output);
    assert_eq!(code, 2);
    assert!(line.contains("--webhook-url"), "{line}");
    assert_eq!(text(&output.stdout), "");
}

#[test]
fn the_emulator_needs_a_world() {
    let output = dispatch(&["emulate", "--port", "0", "--world", "missing"]).output().unwrap();
    assert_eq!(failure(&output).0, 2);
}

#[test]
fn the_emulator_ends_by_a_signal() {
    let mut github = GitHub::start(free_port());
    github.program.signal("TERM");
    assert_eq!(github.program.end().code(), Some(0));
}

#[test]
fn a_connection_on_which_nobody_ever_finishes_to_ask_is_closed() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let github = GitHub::start(port);
    let mut service = Program::start(&mut serve(&github, port, folder.path()));
    service.wait_for(|line| line.contains("\"listening\"").then_some(()));
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let silent = ["", "GET /health HTTP/1.1\r\nHost: localhost\r\nX-Slow: "].map(|start| {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        stream.write_all(start.as_bytes()).unwrap();
        stream
    });
    for mut stream in silent {
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("closed by the service");
    }
    assert_eq!(request(address, "GET", "/health", "").0, 200);
}
