//! The world's webhooks beside GitHub's own samples: what every sample has, the world sends too.
//!
//! The samples are not part of this repository. `DISPATCH_GITHUB_FACTS` names a folder that has `webhooks/index.json`;
//! without it these tests say that they were skipped.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    clippy::print_stderr,
    reason = "the files are read here"
)]

use std::collections::BTreeMap;
use std::path::PathBuf;

use dispatch_core::testing::World;
use dispatch_core::testing::world::{Access, CheckRunChange, PullRequestSpec};
use serde_json::Value;

use crate::{repository, token, world};

/// The paths of a body's fields, each with the kind of value that it has.
fn fields(value: &Value, at: &str, found: &mut BTreeMap<String, &'static str>) {
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(fields) => {
            for (name, value) in fields {
                self::fields(value, &format!("{at}/{name}"), found);
            }
            "object"
        }
    };
    found.insert(at.to_owned(), kind);
}

/// The fields that all samples of an event have; with the kind, where they agree about it.
fn common(samples: &[Value]) -> BTreeMap<String, Option<&'static str>> {
    let all: Vec<_> = samples
        .iter()
        .map(|sample| {
            let mut found = BTreeMap::new();
            fields(sample, "", &mut found);
            found
        })
        .collect();
    let (first, rest) = all.split_first().unwrap();
    let everywhere = first.iter().filter(|(path, _)| rest.iter().all(|other| other.contains_key(*path)));
    everywhere
        .map(|(path, kind)| (path.clone(), rest.iter().all(|other| other[path] == *kind).then_some(*kind)))
        .collect()
}

/// What a sample has because of its repository, and no repository of the world has.
fn is_of_the_sample(path: &str) -> bool {
    ["/license/", "/custom_properties/", "/milestone/", "/assignee/"].iter().any(|value| path.contains(value))
}

#[test]
fn what_every_sample_of_github_has_the_world_sends_too() {
    let Some(folder) = std::env::var_os("DISPATCH_GITHUB_FACTS").map(PathBuf::from) else {
        eprintln!("skipped: DISPATCH_GITHUB_FACTS does not name a folder");
        return;
    };
    let read = |file: PathBuf| -> Value { serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap() };
    let index = read(folder.join("webhooks/index.json"));
    let samples = |event: &str, action: Option<&str>| -> Vec<Value> {
        let files = index["files"].as_array().unwrap().iter();
        let wanted = files.filter(|entry| entry["event"] == event && entry["action"].as_str() == action);
        wanted.map(|entry| read(folder.join("webhooks").join(entry["file"].as_str().unwrap()))).collect()
    };
    let mut compared = 0;
    for webhook in everything().take_webhooks() {
        let (event, action) = (webhook.event.as_str(), webhook.action.as_deref());
        let samples = samples(event, action);
        if samples.is_empty() {
            continue;
        }
        let mut ours = BTreeMap::new();
        let body = serde_json::from_slice(&webhook.body).unwrap();
        fields(&body, "", &mut ours);
        let missing: Vec<_> = common(&samples)
            .into_iter()
            .filter(|(path, _)| !is_of_the_sample(path))
            .filter(|(path, kind)| {
                let found = ours.get(path);
                // Null stands for "none" in any field.
                let same = |found: &str, kind: &str| found == kind || found == "null" || kind == "null";
                found.is_none_or(|found| kind.is_some_and(|kind| !same(found, kind)))
            })
            .collect();
        assert!(missing.is_empty(), "{event} {action:?} of {} samples: {missing:#?}", samples.len());
        compared += 1;
    }
    assert!(compared >= EXPECTED, "only {compared} webhooks have a sample");
}

const EXPECTED: usize = 16;

/// A world in which each thing happened that the world tells about.
fn everything() -> World {
    let mut world = world();
    let web = repository("octo-org/web");
    let number = world.open_pull_request(&web, PullRequestSpec::new("topic")).unwrap();
    world.push_to_pull_request(&web, number, "octocat").unwrap();
    world.close_pull_request(&web, number, false).unwrap();
    world.reopen_pull_request(&web, number).unwrap();
    world.close_pull_request(&web, number, true).unwrap();
    let comment = world.comment(&web, number, "octocat", "/deploy").unwrap();
    world.edit_comment(&web, comment, "/destroy").unwrap();
    world.delete_comment(&web, comment).unwrap();
    let issue = world.open_issue(&web, "octocat", "t", "b").unwrap();
    world.comment(&web, issue, "octocat", "/deploy").unwrap();
    let token = |world: &mut World, permission| token(world, "octo-org/web", permission, Access::Write);
    world.write_file(&web, "main", ".github/workflows/on.yml", "on: repository_dispatch\n").unwrap();
    let contents = token(&mut world, "contents");
    world.repository_dispatch(&contents, &web, "deploy", serde_json::json!({})).unwrap();
    while !world.progress_runs().is_empty() {}
    let check = CheckRunChange {
        name: Some("dispatch".to_owned()),
        head_sha: Some(world.branch_head(&web, "main").unwrap()),
        ..CheckRunChange::default()
    };
    let checks = token(&mut world, "checks");
    let check = world.create_check_run(&checks, &web, check).unwrap().id;
    world.rerequest_check(&web, check, "octocat").unwrap();
    world
}
