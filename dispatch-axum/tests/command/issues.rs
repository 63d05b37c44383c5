//! Failures are told in an issue of the source repository.

use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::http::request;
use super::parked::{complete_a_run, listed, refusing_service};
use super::serve::{GitHub, eventually};

/// The calls that opened or changed issues: method and path.
fn issue_calls(github: &GitHub) -> Vec<(String, String)> {
    let requests = request(github.api, "GET", "/_emulator/requests", "").1;
    let requests: Vec<Value> = serde_json::from_str(&requests).unwrap();
    let text = |request: &Value, name: &str| request[name].as_str().unwrap().to_owned();
    let calls = requests.iter().map(|request| (text(request, "method"), text(request, "path")));
    calls.filter(|(method, path)| method != "GET" && path.contains("/acme/api/issues")).collect()
}

#[test]
fn a_failure_opens_one_issue_and_repetition_opens_no_other() {
    let refusing = refusing_service(|command| command);
    let (github, home) = (&refusing.github, &refusing.home);
    complete_a_run(github);
    eventually("an issue is opened", || !issue_calls(github).is_empty());
    complete_a_run(github);
    eventually("it failed again", || listed(home.path()).len() == 2);
    thread::sleep(Duration::from_secs(1));
    // What repeats is gathered for a minute before the issue is changed.
    assert_eq!(issue_calls(github), [("POST".to_owned(), "/repos/acme/api/issues".to_owned())]);
}

#[test]
fn without_create_issues_nobody_is_told() {
    let mut refusing = refusing_service(|command| command.env("CREATE_ISSUES", "false"));
    complete_a_run(&refusing.github);
    refusing.service.wait_for(|line| line.contains("GitHub refused").then_some(()));
    // Longer than the workers' poll interval.
    thread::sleep(Duration::from_secs(1));
    assert_eq!(issue_calls(&refusing.github), []);
}
