//! Drawings.

use dispatch_core::graph;
use insta::assert_snapshot;

use super::*;

/// One edge of each kind.
pub(crate) fn world() -> Examination {
    let api = "\
outbound:
  - source: { workflow: ci.yml }
    targets:
      - { repository: deploy, workflow: cd.yml }
      - { repository: deploy, workflow: other.yml }
      - { repository: elsewhere, event: told }
  - source: { command: /go }
    targets: [{ repository: deploy, event: gone }]
inbound:
  - source: { repository: deploy, workflow: cd.yml }
    targets: [{ workflow: ci.yml, accept_refs: [main] }]
";
    let deploy = "\
outbound:
  - source: { workflow: cd.yml }
    targets: [{ repository: api, workflow: ci.yml }]
inbound:
  - source: { repository: api, workflow: ci.yml }
    targets: [{ workflow: cd.yml, accept_refs: [main] }]
  - source: { repository: api, pull_request: [opened, closed] }
    targets: [{ event: preview }]
  - source: { repository: api, command: /go }
    targets: [{ event: gone }]
";
    examine(&[("acme/api/dispatching.yml", api), ("acme/deploy/dispatching.yml", deploy)])
}

#[test]
fn mermaid() {
    assert_snapshot!(graph::mermaid(&world()), @r#"
    flowchart LR
      n0["acme/api"]
      n1["acme/deploy"]
      n2["acme/elsewhere"]
      n0 ==>|"ci.yml → cd.yml (loop)"| n1
      n0 -.->|"ci.yml → other.yml (not accepted)"| n1
      n0 -.->|"ci.yml → told (one side unknown)"| n2
      n0 -->|"/go → gone"| n1
      n1 ==>|"cd.yml → ci.yml (loop)"| n0
      n0 -.->|"pull request opened, closed → preview (not used)"| n1
    "#);
}

#[test]
fn dot() {
    assert_snapshot!(graph::dot(&world()), @r#"
    digraph dispatch {
      rankdir=LR;
      node [shape=box];
      n0 [label="acme/api"];
      n1 [label="acme/deploy"];
      n2 [label="acme/elsewhere"];
      n0 -> n1 [label="ci.yml → cd.yml (loop)", color=red, penwidth=2];
      n0 -> n1 [label="ci.yml → other.yml (not accepted)", style=dashed];
      n0 -> n2 [label="ci.yml → told (one side unknown)", style=dashed];
      n0 -> n1 [label="/go → gone"];
      n1 -> n0 [label="cd.yml → ci.yml (loop)", color=red, penwidth=2];
      n0 -> n1 [label="pull request opened, closed → preview (not used)", style=dashed];
    }
    "#);
}

#[test]
fn json() {
    let graph = serde_json::to_value(graph::json(&world())).unwrap();
    assert_eq!(graph["repositories"][2], serde_json::json!({ "name": "acme/elsewhere", "known": false }));
    insta::assert_json_snapshot!(graph["edges"][0], @r#"
    {
      "agreement": "agreed",
      "from": "acme/api",
      "in_loop": true,
      "inbound": "acme/deploy/dispatching.yml:6",
      "outbound": "acme/api/dispatching.yml:4",
      "reason": null,
      "source": {
        "workflow": "ci.yml"
      },
      "start": {
        "workflow": "cd.yml"
      },
      "to": "acme/deploy"
    }
    "#);
    insta::assert_json_snapshot!(graph["loops"], @r#"
    [
      [
        {
          "repository": "acme/deploy",
          "start": {
            "workflow": "cd.yml"
          }
        },
        {
          "repository": "acme/api",
          "start": {
            "workflow": "ci.yml"
          }
        }
      ]
    ]
    "#);
}

#[test]
fn nothing_is_a_drawing_too() {
    let nothing = examine(&[("acme/api/", "")]);
    assert_eq!(graph::mermaid(&nothing), "flowchart LR\n");
    assert_eq!(graph::dot(&nothing), "digraph dispatch {\n  rankdir=LR;\n  node [shape=box];\n}\n");
}
