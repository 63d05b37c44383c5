//! `dispatch lint` and `dispatch graph` over a folder of repositories.

use std::process::Output;

use insta::{assert_json_snapshot, assert_snapshot};
use serde_json::Value;
use tempfile::TempDir;

use super::{dispatch, failure, text, write};

const API: &str = "\
outbound:
  - source: { workflow: ci.yml }
    targets:
      - { repository: deploy, workflow: cd.yml, inputs: { sha: '{{ source.sha }}' } }
      - { repository: elsewhere, workflow: cd.yml }
";
const DEPLOY: &str = "\
inbound:
  - source: { repository: api, workflow: ci.yml }
    targets:
      - { workflow: cd.yml, accept_refs: [main] }
";

fn world() -> TempDir {
    let folder = TempDir::new().unwrap();
    write(folder.path(), "acme/api/dispatching.yml", API);
    write(folder.path(), "acme/deploy/.github/dispatching.yml", DEPLOY);
    write(folder.path(), "acme/deploy/.github/workflows/cd.yml", "on: workflow_dispatch");
    folder
}

fn run(folder: &TempDir, arguments: &[&str]) -> Output {
    dispatch(arguments).current_dir(folder.path()).output().unwrap()
}

#[test]
fn what_is_wrong_between_repositories_is_told_with_both_places() {
    let output = run(&world(), &["lint", "."]);
    assert_eq!(output.status.code(), Some(1));
    assert_snapshot!(text(&output.stdout), @"
    error[outbound_without_consent]: `acme/deploy` does not agree: the inputs `sha` are not accepted: the target accepts none
     --> ./acme/api/dispatching.yml:4:7
      |
    4 |       - { repository: deploy, workflow: cd.yml, inputs: { sha: '{{ source.sha }}' } }
      |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ can never be started
      |
      = note: the nearest consent: ./acme/deploy/.github/dispatching.yml:4:7
      = help: list every input in one `accept_inputs` of the target's inbound rule

    error[undeclared_input]: `cd.yml` of `acme/deploy` does not declare `sha`
     --> ./acme/api/dispatching.yml:4:7
      |
    4 |       - { repository: deploy, workflow: cd.yml, inputs: { sha: '{{ source.sha }}' } }
      |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ sent here
      |
      = note: what it declares: ./acme/deploy/.github/workflows/cd.yml:1:1
      = help: declare it in `on: workflow_dispatch: inputs:`, or do not send it

    2 policy files checked: 2 errors, no warnings
    not in the folder, so that their side is unknown: acme/elsewhere
    ");
}

#[test]
fn an_organisation_that_agrees_is_good() {
    let folder = world();
    let agreed = DEPLOY.replace("accept_refs", "accept_inputs: { sha: { pattern: sha } }, accept_refs");
    write(folder.path(), "acme/deploy/.github/dispatching.yml", &agreed);
    write(folder.path(), "acme/deploy/.github/workflows/cd.yml", "on: {workflow_dispatch: {inputs: {sha: }}}");
    let output = run(&folder, &["lint", "."]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
    assert_snapshot!(text(&output.stdout), @"
    2 policy files checked: no errors, no warnings
    not in the folder, so that their side is unknown: acme/elsewhere
    ");
}

#[test]
fn a_repository_without_any_file_agrees_to_nothing() {
    let folder = world();
    write(folder.path(), "acme/elsewhere/README.md", "");
    let output = run(&folder, &["lint", "--json", "."]);
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    let problems = answer["files"][0]["problems"].as_array().unwrap();
    assert!(
        problems.iter().any(|it| it["message"].as_str().unwrap().contains("`acme/elsewhere` has neither")),
        "{answer}"
    );
    assert_eq!(answer["unknown_repositories"], serde_json::json!([]));
}

#[test]
fn json_is_what_the_flag_json_prints() {
    let folder = world();
    let json = run(&folder, &["lint", "--format", "json", "."]);
    assert_eq!(json.stdout, run(&folder, &["lint", "--json", "."]).stdout);
    let answer: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_json_snapshot!(answer["files"][0]["problems"][0], @r#"
    {
      "code": "outbound_without_consent",
      "elsewhere": {
        "column": 7,
        "file": "./acme/deploy/.github/dispatching.yml",
        "label": "the nearest consent",
        "line": 4
      },
      "help": "list every input in one `accept_inputs` of the target's inbound rule",
      "label": "can never be started",
      "message": "`acme/deploy` does not agree: the inputs `sha` are not accepted: the target accepts none",
      "severity": "error",
      "span": {
        "column": 7,
        "end": 141,
        "line": 4,
        "start": 62
      }
    }
    "#);
    assert_eq!(answer["unknown_repositories"], serde_json::json!(["acme/elsewhere"]));
}

#[test]
fn annotations_are_one_command_each() {
    let output = run(&world(), &["lint", "--format", "github", "."]);
    assert_eq!(output.status.code(), Some(1));
    assert_snapshot!(text(&output.stdout), @"
    ::error file=acme/api/dispatching.yml,line=4,col=7,title=outbound_without_consent::`acme/deploy` does not agree: the inputs `sha` are not accepted: the target accepts none%0Athe nearest consent: ./acme/deploy/.github/dispatching.yml:4%0Ahelp: list every input in one `accept_inputs` of the target's inbound rule
    ::error file=acme/api/dispatching.yml,line=4,col=7,title=undeclared_input::`cd.yml` of `acme/deploy` does not declare `sha`%0Awhat it declares: ./acme/deploy/.github/workflows/cd.yml:1%0Ahelp: declare it in `on: workflow_dispatch: inputs:`, or do not send it
    ");
}

#[test]
fn code_scanning_reads_both_places() {
    let output = run(&world(), &["lint", "--format", "sarif", "."]);
    assert_eq!(output.status.code(), Some(1));
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["version"], "2.1.0");
    let result = &answer["runs"][0]["results"][0];
    let rule = &answer["runs"][0]["tool"]["driver"]["rules"][result["ruleIndex"].as_u64().unwrap() as usize];
    assert_eq!(rule["id"], result["ruleId"]);
    assert_eq!(result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"], "acme/api/dispatching.yml");
    let other = &result["relatedLocations"][0]["physicalLocation"];
    assert_eq!(other["artifactLocation"]["uri"], "acme/deploy/.github/dispatching.yml");
    assert_eq!(other["region"]["startLine"], 4);
}

#[test]
fn each_path_is_a_world_of_its_own() {
    let folder = TempDir::new().unwrap();
    write(folder.path(), "one/acme/api/dispatching.yml", API);
    write(folder.path(), "two/acme/api/dispatching.yml", API);
    let output = run(&folder, &["lint", "one", "two"]);
    assert_eq!(output.status.code(), Some(0));
    assert_snapshot!(text(&output.stdout), @"
    2 policy files checked: no errors, no warnings
    not in the folder, so that their side is unknown: acme/deploy, acme/elsewhere
    ");
}

#[test]
fn one_repository_in_two_cases_is_refused() {
    let folder = world();
    write(folder.path(), "ACME/API/dispatching.yml", API);
    for command in ["lint", "graph"] {
        let output = run(&folder, &[command, "."]);
        let (code, line) = failure(&output);
        assert!(code == 2 && line.contains("one repository"), "{line}");
    }
}

#[cfg(unix)]
#[test]
fn a_link_among_the_workflows_is_not_followed() {
    let folder = world();
    write(folder.path(), "secret", "on: push");
    let workflows = folder.path().join("acme/deploy/.github/workflows");
    std::fs::remove_file(workflows.join("cd.yml")).unwrap();
    std::os::unix::fs::symlink(folder.path().join("secret"), workflows.join("cd.yml")).unwrap();
    let said = run(&folder, &["lint", "."]);
    assert!(!text(&said.stdout).contains("workflow_not_dispatchable"), "{}", text(&said.stdout));
    std::fs::remove_dir_all(&workflows).unwrap();
    std::os::unix::fs::symlink(folder.path(), &workflows).unwrap();
    let output = run(&folder, &["lint", "."]);
    let (code, line) = failure(&output);
    assert!(code == 2 && line.contains("symbolic link"), "{line}");
}

#[test]
fn what_files_hold_does_not_reach_the_terminal() {
    let folder = world();
    let evil = API.replace("workflow: ci.yml", "workflow: ci.yml, branches: [\"\\e[2J\\u202e\"]");
    write(folder.path(), "acme/api/dispatching.yml", &evil);
    for arguments in [["lint", "--format=text", "."], ["lint", "--format=github", "."], ["graph", "--format=dot", "."]]
    {
        let output = run(&folder, &arguments);
        let said = text(&output.stdout);
        assert!(said.chars().all(|c| c == '\n' || !(c.is_control() || c == '\u{202e}')), "{said:?}");
    }
}

#[test]
fn a_graph_is_drawn_in_each_language() {
    let folder = world();
    let drawn = |arguments: &[&str]| {
        let output = run(&folder, &[&["graph", "."], arguments].concat());
        assert_eq!(output.status.code(), Some(0));
        text(&output.stdout).to_owned()
    };
    assert_snapshot!(drawn(&[]), @r#"
    flowchart LR
      n0["acme/api"]
      n1["acme/deploy"]
      n2["acme/elsewhere"]
      n0 -.->|"ci.yml → cd.yml (not accepted)"| n1
      n0 -.->|"ci.yml → cd.yml (one side unknown)"| n2
    "#);
    assert_eq!(drawn(&[]), drawn(&["--format", "mermaid"]));
    assert!(drawn(&["--format", "dot"]).starts_with("digraph dispatch {"));
    let svg = drawn(&["--format", "svg"]);
    assert!(svg.starts_with("<svg xmlns=") && svg.ends_with("</svg>\n") && svg.contains("not accepted"), "{svg}");
    let json: Value = serde_json::from_str(&drawn(&["--format", "json"])).unwrap();
    assert_eq!(json["edges"][0]["reason"], "inputs_not_accepted");
    assert_eq!(json["edges"][0]["inbound"], "acme/deploy/.github/dispatching.yml:4");
}

#[test]
fn a_graph_of_nothing_that_can_be_read_is_exit_code_2() {
    let folder = world();
    for path in ["missing", "acme/api/dispatching.yml"] {
        assert_eq!(failure(&run(&folder, &["graph", path])).0, 2);
    }
}

#[test]
fn the_examples_agree() {
    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples");
    for name in ["preview", "command", "stack"] {
        let output = dispatch(&["lint", &format!("{examples}/{name}")]).output().unwrap();
        let said = text(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{said}");
        assert!(said.starts_with("2 policy files checked: no errors, no warnings"), "{said}");
    }
}
