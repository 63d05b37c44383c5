//! `dispatch lint --org` and `dispatch graph --org`: the same as of a folder, read from GitHub.

use std::path::Path;
use std::process::Output;

use dispatch_core::Timestamp;
use dispatch_core::testing::world::{Fault, FaultKind, RepositoryOptions};
use dispatch_github::emulator::{Emulator, EmulatorOptions, load_world};
use insta::assert_snapshot;
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::{dispatch, failure, text, write};

/// Something of each kind of finding.
const FILES: [(&str, &str); 12] = [
    (
        "acme/api/dispatching.yml",
        "\
outbound:
  - source: { workflow: ci.yml }
    targets:
      - { repository: deploy, workflow: cd.yml, inputs: { sha: '{{ source.sha }}' } }
      - { repository: deploy, workflow: gone.yml }
      - { repository: deploy, event: preview, payload: { branch: '{{ source.head_branch }}' } }
      - { repository: elsewhere, workflow: cd.yml }
      - { repository: plain, workflow: cd.yml }
inbound:
  - source: { repository: deploy, workflow: cd.yml }
    targets: [{ workflow: ci.yml, accept_refs: [main] }]
",
    ),
    ("acme/api/.github/workflows/ci.yml", "on: [push, workflow_dispatch]"),
    (
        "acme/deploy/.github/dispatching.yml",
        "\
outbound:
  - source: { workflow: cd.yml }
    targets: [{ repository: api, workflow: ci.yml }]
inbound:
  - source: { repository: api, workflow: ci.yml }
    targets:
      - { workflow: cd.yml, accept_inputs: [sha] }
      - { workflow: gone.yml }
      - { event: preview, accept_payload: { branch: { max_length: 100 } } }
",
    ),
    ("acme/deploy/.github/workflows/cd.yml", "on: {workflow_dispatch: {inputs: {other: {required: true}}}}"),
    (
        "acme/deploy/.github/workflows/preview.yml",
        "on: {repository_dispatch: {types: [preview]}}\njobs: {j: {steps: [{run: 'echo ${{ github.event.client_payload.branch }}'}]}}",
    ),
    ("acme/both/dispatching.yml", "inbound: []\n"),
    ("acme/both/.github/dispatching.yml", "inbound: 7\n"),
    ("acme/broken/dispatching.yml", "outbound:\n  - source: { worklfow: ci.yml }\n"),
    ("acme/plain/README.md", "nothing\n"),
    ("acme/plain/.github/workflows/cd.yml", "on: push"),
    ("acme/old/dispatching.yml", "outbound: 7\n"),
    ("acme/uncovered/dispatching.yml", "outbound: 7\n"),
];

/// An organisation on disk, and the same one on GitHub: `old` is archived there, and the App is not installed on `uncovered`.
struct Both {
    folder: TempDir,
    emulator: Emulator,
    _runtime: Runtime,
}

impl Both {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        FILES.iter().for_each(|(path, content)| write(folder.path(), path, content));
        let mut world = load_world(folder.path(), Timestamp::now()).unwrap();
        world.set_archived(&"acme/old".parse().unwrap(), true).unwrap();
        world.uninstall(&"acme/uncovered".parse().unwrap()).unwrap();
        for name in ["old", "uncovered"] {
            std::fs::remove_dir_all(folder.path().join("acme").join(name)).unwrap();
        }
        let runtime = Runtime::new().unwrap();
        let emulator = runtime.block_on(Emulator::start(world, EmulatorOptions::default())).unwrap();
        Self { folder, emulator, _runtime: runtime }
    }

    fn on_disk(&self, arguments: &[&str]) -> Output {
        dispatch(arguments).arg(".").current_dir(self.folder.path()).output().unwrap()
    }

    fn on_github(&self, arguments: &[&str]) -> Output {
        let mut command = dispatch(arguments);
        command.args(["--org", "acme"]).env("GITHUB_API_URL", self.emulator.api_url());
        command.env("GITHUB_APP_ID", self.emulator.app_id().to_string());
        command.env("GITHUB_APP_PRIVATE_KEY", self.emulator.private_key_pem());
        command.current_dir(Path::new("/")).output().unwrap()
    }

    fn fault(&self, path: &str, kind: FaultKind, times: u32) {
        let fault = Fault { times, ..Fault::once("GET", path, kind).unwrap() };
        self.emulator.world().faults.push(fault);
    }
}

fn json(output: &Output) -> Value {
    // Of a folder that is named `.`, every file begins with it.
    serde_json::from_str(&text(&output.stdout).replace("\"./", "\"")).unwrap()
}

#[test]
fn the_findings_are_those_of_the_folder() {
    let both = Both::new();
    let (mut folder, mut github) =
        (json(&both.on_disk(&["lint", "--json"])), json(&both.on_github(&["lint", "--json"])));
    let codes = |answer: &Value| {
        let files = answer["files"].as_array().unwrap().iter();
        let problems = files.flat_map(|file| file["problems"].as_array().unwrap());
        problems.map(|problem| problem["code"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let found = codes(&github);
    for code in [
        "stranger_value_in_script",
        "undeclared_input",
        "workflow_not_found",
        "two_policy_files",
        "unknown_key",
        "dispatch_loop",
        "outbound_without_consent",
    ] {
        assert!(found.iter().any(|it| it == code), "{code} is not in {found:?}");
    }
    assert_eq!(github["archived_repositories"].take(), serde_json::json!(["acme/old"]));
    folder["archived_repositories"].take();
    assert_eq!(github, folder);
}

#[test]
fn the_other_formats_and_the_exit_code_are_those_of_the_folder_too() {
    let both = Both::new();
    for arguments in
        [&["lint", "--format=sarif"][..], &["lint", "--format=github"], &["graph"], &["graph", "--format=svg"]]
    {
        let (folder, github) = (both.on_disk(arguments), both.on_github(arguments));
        assert_eq!(text(&github.stdout), text(&folder.stdout).replace(" ./acme", " acme"), "{arguments:?}");
        assert_eq!(github.status.code(), folder.status.code(), "{arguments:?}");
    }
}

#[test]
fn people_are_told_how_far_it_is_and_what_is_left_out() {
    let both = Both::new();
    let output = both.on_github(&["lint"]);
    assert_eq!(output.status.code(), Some(1));
    assert_snapshot!(text(&output.stderr), @"
    acme: 5 repositories to read, 1 archived
    5 of 5 repositories read
    ");
    let summary: Vec<_> = text(&output.stdout).lines().rev().take(2).collect();
    assert_snapshot!(summary.join("\n"), @"
    not covered by the installation, so that their side is unknown: acme/elsewhere
    5 policy files checked: 11 errors, 4 warnings
    ");
    assert_eq!(text(&both.on_github(&["lint", "--quiet"]).stderr), "");
}

#[test]
fn a_repository_that_cannot_be_read_is_unknown_and_said() {
    let both = Both::new();
    both.fault("/repos/acme/deploy/contents/**", FaultKind::status(403), 100);
    let output = both.on_github(&["lint", "--quiet"]);
    let (code, line) = failure(&output);
    assert!(code == 2 && line.starts_with("dispatch: cannot read `acme/deploy`: GitHub refused (403)"), "{line}");
    let said = text(&output.stdout);
    assert!(said.contains("not read, so that its side is unknown: acme/deploy: GitHub refused (403)"), "{said}");
    assert!(said.contains("two_policy_files") && !said.contains("`acme/deploy` does not agree"), "{said}");

    let drawn = both.on_github(&["graph", "--quiet"]);
    assert_eq!(failure(&drawn).0, 2);
    assert!(text(&drawn.stdout).contains("ci.yml → cd.yml (one side unknown)"), "{}", text(&drawn.stdout));
}

#[test]
fn what_is_only_not_now_is_waited_for() {
    let both = Both::new();
    let expected = both.on_github(&["lint", "--json", "--quiet"]).stdout;
    both.fault("/installation/repositories", FaultKind::status(502), 1);
    both.fault("/repos/acme/api/contents/dispatching.yml", FaultKind::status(502), 2);
    let limited = serde_json::json!({ "rate_limited": { "retry_after": 1, "secondary": true } });
    both.fault("/repos/acme/deploy/contents/*", serde_json::from_value(limited).unwrap(), 1);
    let output = both.on_github(&["lint", "--json"]);
    assert!(text(&output.stderr).contains("GitHub's rate limit: going on in "), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), text(&expected));
}

#[test]
fn each_call_is_made_by_a_token_that_may_only_read_what_is_needed() {
    let both = Both::new();
    both.on_github(&["lint"]);
    let world = both.emulator.world();
    let permissions: std::collections::BTreeSet<String> = world
        .requests()
        .iter()
        .filter_map(|request| Some(serde_json::to_string(request.permissions.as_ref()?).unwrap()))
        .collect();
    let expected = [r#"{"contents":"read","metadata":"read"}"#, r#"{"metadata":"read"}"#];
    assert_eq!(permissions.iter().map(String::as_str).collect::<Vec<_>>(), expected);
    assert!(!world.requests().iter().any(|request| request.path.contains("/acme/old/")), "it is archived");
}

#[test]
fn wrong_use_is_one_line_and_exit_code_2() {
    let both = Both::new();
    for (arguments, part) in [
        (&["lint", "--org", "nobody"][..], "the App is not installed for `nobody`"),
        (&["lint", "--org", "no/body"], "no/body"),
        (&["graph", "--org", "acme", "."], "--org"),
        (&["lint"], "<PATH>"),
    ] {
        let mut command = dispatch(arguments);
        command.env("GITHUB_API_URL", both.emulator.api_url()).env("GITHUB_APP_ID", "1001");
        let output = command.env("GITHUB_APP_PRIVATE_KEY", both.emulator.private_key_pem()).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(text(&output.stderr).contains(part), "{}", text(&output.stderr));
    }
    let without = dispatch(&["lint", "--org", "acme"]).output().unwrap();
    let (code, line) = failure(&without);
    assert!(code == 2 && line.contains("GITHUB_APP_ID"), "{line}");
}

#[test]
fn an_account_without_repositories_is_said() {
    let runtime = Runtime::new().unwrap();
    let mut world = dispatch_core::testing::World::new(Timestamp::now());
    let only = "acme/old".parse().unwrap();
    world.add_repository(&only, RepositoryOptions::default()).unwrap();
    world.set_archived(&only, true).unwrap();
    let emulator = runtime.block_on(Emulator::start(world, EmulatorOptions::default())).unwrap();
    let both = Both { folder: TempDir::new().unwrap(), emulator, _runtime: runtime };
    let output = both.on_github(&["lint", "--quiet"]);
    assert_eq!(output.status.code(), Some(0));
    assert_snapshot!(text(&output.stdout), @"no policy file: looked for dispatching.yml and .github/dispatching.yml");
}
