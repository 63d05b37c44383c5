//! Any files of a few repositories: what is found between them has its place in its file, and what is drawn is well-formed.
#![no_main]

use std::collections::BTreeMap;

use dispatch_core::graph;
use dispatch_core::guardrail::Guardrails;
use dispatch_core::name::Repository;
use dispatch_core::organisation::{Examination, Finding, Organisation, PolicyText, RepositoryFiles, widest_limits};
use dispatch_core::policy::PolicyPath;
use dispatch_core::workflow::Workflow;
use dispatch_fuzz::{harmless, has_line, placed_well, told_well};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

/// Stands in front of each file, with `OWNER/REPOSITORY/` and the file's name behind it on the same line.
const FILE: &str = "%%% ";
/// More say nothing new, and take time.
const MOST: usize = 8;

fuzz_target!(|text: &str| {
    let mut files: BTreeMap<Repository, BTreeMap<&str, &str>> = BTreeMap::new();
    for file in text.split(FILE).skip(1).take(MOST) {
        let (path, content) = file.split_once('\n').unwrap_or((file, ""));
        let Some((repository, name)) = path.rsplit_once('/') else { continue };
        let Ok(repository) = repository.parse() else { continue };
        files.entry(repository).or_default().insert(name, content);
    }
    let examined = examine(&files);

    for finding in &examined.findings {
        found_well(finding, &files);
    }
    drawn_well(&examined);
    assert_eq!(examine(&files).findings, examined.findings, "asked twice, answered twice");
});

fn examine(files: &BTreeMap<Repository, BTreeMap<&str, &str>>) -> Examination {
    let mut organisation = Organisation::default();
    for (name, files) in files {
        let policy = files.get("dispatching.yml").map(|text| {
            let policy = PolicyText::read(name, PolicyPath::Root, text.as_bytes(), "dispatching.yml");
            told_well(policy.diagnostics(), text.as_bytes());
            policy
        });
        let workflows = files.iter().filter_map(|(name, text)| {
            Some((name.parse().ok().filter(|_| *name != "dispatching.yml")?, Workflow::read(text.as_bytes())))
        });
        let workflows = Some(workflows.collect());
        organisation.add(name.clone(), RepositoryFiles { folder: name.to_string(), policy, workflows });
    }
    organisation.examine(&Guardrails::from_settings(&widest_limits()).expect("limits"))
}

fn found_well(finding: &Finding, files: &BTreeMap<Repository, BTreeMap<&str, &str>>) {
    placed_well(&finding.problem, files[&finding.repository]["dispatching.yml"].as_bytes());
    let Some(elsewhere) = &finding.problem.elsewhere else { return };
    let (folder, name) = elsewhere.file.split_at(elsewhere.file.rfind('/').expect("a path"));
    let repository = folder.strip_suffix("/.github/workflows").unwrap_or(folder);
    let text = files[&repository.parse::<Repository>().expect("a repository")][&name[1..]];
    assert!(has_line(elsewhere.line, text.as_bytes()), "{elsewhere:?} is outside of its file");
}

/// Whether each language has one line for each edge, and no name got out of its quotes.
fn drawn_well(examined: &Examination) {
    let (mermaid, dot) = (graph::mermaid(examined), graph::dot(examined));
    let edges = examined.edges.len();
    harmless(&mermaid);
    harmless(&dot);

    let mut lines = mermaid.lines();
    assert_eq!(lines.next(), Some("flowchart LR"));
    assert!(lines.clone().all(|line| line.starts_with("  n") && line.matches('"').count() == 2), "{mermaid}");
    assert_eq!(lines.filter(|line| line.contains("|\"")).count(), edges, "{mermaid}");

    assert!(dot.starts_with("digraph dispatch {\n") && dot.ends_with("}\n"), "{dot}");
    let labels = dot.lines().filter(|line| line.contains("[label="));
    assert!(labels.clone().all(|line| line.replace("\\\\", "").replace("\\\"", "").matches('"').count() == 2), "{dot}");
    assert_eq!(labels.filter(|line| line.trim_start().split(' ').nth(1) == Some("->")).count(), edges, "{dot}");

    let json = serde_json::to_string(&graph::json(examined)).expect("JSON");
    let read: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(read["edges"].as_array().expect("a list").len(), edges);
}
