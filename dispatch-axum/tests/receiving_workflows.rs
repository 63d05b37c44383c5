//! The workflows of the examples that receive: their scripts are run here, with what an attacker would send.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

use serde_yaml::Value;

const PREVIEW: &str = include_str!("../../examples/preview/acme/infra/.github/workflows/preview.yml");
const EPHEMERAL: &str = include_str!("../../examples/command/acme/cms_infrastructure/.github/workflows/ephemeral.yml");
const STACK: &str = include_str!("../../examples/stack/acme/product_infrastructure/.github/workflows/stack.yml");

const CHECK: &str = "Check what was sent";
const SHA: &str = "3484a3fb816e0859fd6e1cea078d76385ff50625";

/// What nobody but an attacker sends. Each of them would leave a file, an output or a command behind if it was run.
const HOSTILE: [&str; 12] = [
    "",
    "$(touch pwned)",
    "`touch pwned`",
    "7; touch pwned",
    "7\ntouch pwned",
    "7\n::error::pwned",
    "7' || touch pwned; '",
    "\"; touch pwned; \"",
    "{{ pr.number }}",
    "${{ github.token }}",
    "--help",
    "../../pwned",
];

type Values<'a> = BTreeMap<&'a str, &'a str>;

/// The values of a step's environment, and one of them changed.
fn with<'a>(values: &Values<'a>, name: &'a str, value: &'a str) -> Values<'a> {
    let mut values = values.clone();
    assert!(values.insert(name, value).is_some(), "{name}");
    values
}

fn preview() -> Values<'static> {
    [("EVENT", "preview-create-from-api"), ("NUMBER", "7"), ("SHA", SHA)].into()
}

fn ephemeral() -> Values<'static> {
    [("EVENT", "deploy-ephemeral"), ("NUMBER", "7"), ("BASE", "dev"), ("BRANCH", "feature/x"), ("SHA", SHA)].into()
}

fn stack() -> Values<'static> {
    [("EVENT", "stack-apply"), ("NUMBER", "7"), ("SHA", SHA), ("STACK", "pr-7")].into()
}

/// The steps of a workflow's one job.
fn steps(workflow: &str) -> Vec<Value> {
    let workflow: Value = serde_yaml::from_str(workflow).unwrap();
    let jobs = workflow["jobs"].as_mapping().unwrap();
    jobs.values().flat_map(|job| job["steps"].as_sequence().unwrap().clone()).collect()
}

/// Runs a step as GitHub does, in a folder of its own. Every value that it uses must be given.
fn run(workflow: &str, step: &str, values: &Values<'_>, folder: &Path) -> Output {
    let step = steps(workflow).into_iter().find(|found| found["name"].as_str() == Some(step)).unwrap();
    let environment: Vec<(String, String)> = step["env"]
        .as_mapping()
        .into_iter()
        .flat_map(|environment| environment.keys())
        .map(|name| name.as_str().unwrap())
        .map(|name| (name.to_owned(), (*values.get(name).unwrap_or_else(|| panic!("{name}"))).to_owned()))
        .collect();
    for file in ["output", "summary"] {
        std::fs::write(folder.join(file), "").unwrap();
    }
    Command::new("bash")
        .args(["--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"].as_str().unwrap()])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("GITHUB_OUTPUT", folder.join("output"))
        .env("GITHUB_STEP_SUMMARY", folder.join("summary"))
        .env("RUNNER_TEMP", folder)
        .envs(environment)
        .current_dir(folder)
        .output()
        .unwrap()
}

/// What the checking step hands on; None: it refused. Whatever was sent, nothing of it is printed or left behind.
fn checked(workflow: &str, values: &Values<'_>) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    let output = run(workflow, CHECK, values, folder.path());
    let printed = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(!printed.contains("pwned"), "{values:?}: {printed}");
    let mut left: Vec<String> =
        folder.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    left.sort();
    assert_eq!(left, ["output", "summary"], "{values:?}");
    let handed_on = std::fs::read_to_string(folder.path().join("output")).unwrap();
    if output.status.success() {
        return Some(handed_on);
    }
    assert!(printed.starts_with("::error title=Not accepted::") && printed.lines().count() == 1, "{printed}");
    assert_eq!(handed_on, "", "{values:?}");
    None
}

#[test]
fn no_script_has_an_expression_in_it() {
    for workflow in [PREVIEW, EPHEMERAL, STACK] {
        for step in steps(workflow) {
            let script = step["run"].as_str().unwrap();
            assert!(!script.contains("${{"), "{script}");
            assert!(step.get("uses").is_none());
        }
        let workflow: Value = serde_yaml::from_str(workflow).unwrap();
        assert!(workflow["permissions"].as_mapping().unwrap().is_empty(), "no permission at all");
        assert_eq!(workflow["concurrency"]["cancel-in-progress"].as_bool(), Some(false));
    }
}

#[test]
fn names_are_made_of_the_number_alone() {
    assert_eq!(checked(PREVIEW, &preview()).unwrap(), "name=api-pr-7\nhost=api-pr-7.preview.example.com\n");
    assert_eq!(checked(EPHEMERAL, &ephemeral()).unwrap(), "workspace=pr-7\nhost=pr-7-testing.example.com\n");
    let staging = with(&with(&ephemeral(), "BASE", "main"), "BRANCH", "dev");
    assert_eq!(checked(EPHEMERAL, &staging).unwrap(), "workspace=staging\nhost=staging.example.com\n");
    assert_eq!(
        checked(STACK, &stack()).unwrap(),
        "database=pr-7-db\napi=pr-7-api\nui=pr-7-ui\napi_host=pr-7-api.preview.example.com\n\
         ui_host=pr-7-ui.preview.example.com\n"
    );
}

#[test]
fn what_an_attacker_would_send_is_refused_and_does_nothing() {
    for (workflow, values, names) in [
        (PREVIEW, preview(), &["NUMBER", "SHA"][..]),
        (EPHEMERAL, ephemeral(), &["NUMBER", "SHA", "BASE", "BRANCH"]),
        (STACK, stack(), &["NUMBER", "SHA", "STACK"]),
    ] {
        for name in names {
            for hostile in HOSTILE {
                // A branch may be called that: it is a file's name to nobody here.
                if *name == "BRANCH" && hostile == "../../pwned" {
                    continue;
                }
                assert_eq!(checked(workflow, &with(&values, name, hostile)), None, "{name}: {hostile}");
            }
            let long = "7".repeat(300);
            assert_eq!(checked(workflow, &with(&values, name, &long)), None, "{name}: 300 characters");
        }
        for number in ["0", "007", "-7", "7.0", "100000", "٧"] {
            assert_eq!(checked(workflow, &with(&values, "NUMBER", number)), None, "{number}");
        }
    }
    assert_eq!(checked(EPHEMERAL, &with(&ephemeral(), "BASE", "main")), None, "staging deploys `dev` alone");
    assert_eq!(checked(STACK, &with(&stack(), "STACK", "pr-8")), None, "the stack of another pull request");
}

#[test]
fn creating_twice_and_destroying_what_is_not_there_succeeds_and_prints_no_secret() {
    let preview: Values<'_> = [("NAME", "api-pr-7"), ("HOST", "api-pr-7.preview.example.com"), ("SHA", SHA)].into();
    let ephemeral: Values<'_> = [
        ("WORKSPACE", "pr-7"),
        ("HOST", "pr-7-testing.example.com"),
        ("BRANCH", "feature/x"),
        ("SHA", SHA),
        ("BASE", "dev"),
    ]
    .into();
    let stack: Values<'_> = [
        ("SHA", SHA),
        ("DATABASE", "pr-7-db"),
        ("API", "pr-7-api"),
        ("API_HOST", "pr-7-api.preview.example.com"),
        ("UI", "pr-7-ui"),
        ("UI_HOST", "pr-7-ui.preview.example.com"),
    ]
    .into();
    for (workflow, values) in [(PREVIEW, preview), (EPHEMERAL, ephemeral), (STACK, stack)] {
        let folder = tempfile::tempdir().unwrap();
        let names: Vec<String> = steps(workflow)
            .iter()
            .map(|step| step["name"].as_str().unwrap().to_owned())
            .filter(|name| name != CHECK)
            .collect();
        // In the order of the file: what creates, and then what destroys; and the other way around.
        for name in names.iter().chain(names.iter().rev()).chain(&names) {
            let output = run(workflow, name, &values, folder.path());
            let printed = String::from_utf8(output.stdout).unwrap();
            assert!(output.status.success(), "{name}: {printed}");
            let secrets: Vec<&str> = printed.lines().filter_map(|line| line.strip_prefix("::add-mask::")).collect();
            for secret in secrets {
                assert!(secret.len() >= 40, "{name}");
                assert_eq!(printed.matches(secret).count(), 1, "{name}: only where it is masked");
                let summary = std::fs::read_to_string(folder.path().join("summary")).unwrap();
                let handed_on = std::fs::read_to_string(folder.path().join("output")).unwrap();
                assert!(!summary.contains(secret) && !handed_on.contains(secret), "{name}");
            }
        }
    }
}
