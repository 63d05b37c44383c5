//! GitHub's own examples of webhooks, every one. `DISPATCH_GITHUB_FACTS` says where they are.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::support::{Site, webhook};

#[derive(Deserialize)]
struct Index {
    files: Vec<Example>,
}

#[derive(Deserialize)]
struct Example {
    file: String,
    event: String,
}

/// How the examples' names begin that are more than ignored.
const ACTED_ON: [&str; 10] = [
    "push.",
    "workflow_run.completed",
    "pull_request.opened",
    "pull_request.synchronize",
    "pull_request.reopened",
    "pull_request.closed",
    // The first line is a command; those of the other comments are none, or they are on issues.
    "issue_comment.created.on-pr-member",
    "installation.deleted",
    "installation.suspend.",
    "installation_repositories.removed",
];

#[tokio::test]
async fn every_example_of_github_is_answered_with_202() {
    let Some(folder) = std::env::var_os("DISPATCH_GITHUB_FACTS").map(PathBuf::from) else {
        println!("SKIPPED: DISPATCH_GITHUB_FACTS is not set, so that GitHub's examples were not sent");
        return;
    };
    let folder = folder.join("webhooks");
    let index: Index = serde_json::from_slice(&std::fs::read(folder.join("index.json")).unwrap()).unwrap();
    let site = Site::new();
    for Example { file, event } in &index.files {
        let answer = site.send(webhook(event, std::fs::read(find(&folder, file)).unwrap())).await;
        assert_eq!(answer.status, 202, "{file}: {}", answer.body);
        let acted_on = !answer.body.contains("ignored");
        let name = file.rsplit('/').next().unwrap();
        let matters = ACTED_ON.iter().any(|start| name.starts_with(start));
        assert_eq!(acted_on, matters, "{file}: {}", answer.body);
    }
    assert!(index.files.len() > 100, "only {} examples", index.files.len());
    println!("{} examples of GitHub were answered with 202", index.files.len());
}

/// The index names a file with or without the folder of derived ones.
fn find(folder: &Path, file: &str) -> PathBuf {
    let path = folder.join(file);
    if path.exists() { path } else { folder.join("derived").join(file) }
}
