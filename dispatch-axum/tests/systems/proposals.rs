//! A pull request that changes the policy file: what GitHub is asked, and what it gets to show.

use dispatch_core::testing::world::PullRequestSpec;
use serde_json::Value;

use crate::house::{House, repository, world_of};
use crate::policies::file;

const INBOUND: &str = "
inbound:
  - source: { repository: api, workflow: ci.yml }
    targets: [{ workflow: cd.yml, accept_inputs: [sha] }]
";

/// `alice` opens a pull request of `api` that has this file in the place of one without rules; `web` agrees to `cd.yml`.
async fn proposed(text: &str) -> (House, u64) {
    let files = [file("api", "dispatching.yml", "outbound: []\n"), file("web", "dispatching.yml", INBOUND)];
    let house = House::over(world_of(&files, &[])).await;
    let spec = PullRequestSpec { author: "alice".to_owned(), ..PullRequestSpec::new("better") };
    let number = house
        .happens(|world| {
            world.write_file(&repository("api"), "better", "dispatching.yml", text).unwrap();
            world.open_pull_request(&repository("api"), spec).unwrap()
        })
        .await;
    (house, number)
}

/// The bodies of requests, as they were sent.
fn bodies(writes: &[String], start: &str) -> Vec<Value> {
    let sent = writes.iter().filter_map(|write| write.strip_prefix(start));
    sent.map(|body| serde_json::from_str(body).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_check_reaches_github_as_one_check_run_with_annotations() {
    let (house, number) = proposed(
        "outbound:
  - source: { workflow: ci.yml }
    targets:
      - { repository: web, workflow: cd.yml, inputs: { sha: '{{ source.sha }}' } }
      - { repository: web, workflow: other.yml }
      - { repository: web, workflow: cd.yml, inputs: { by: '{{ source.nothing }}' } }
",
    )
    .await;
    let head = house.head("api", number);
    let asked = house.asked();
    let mut body = bodies(&asked.writes_to("api"), "POST /check-runs ").remove(0);
    assert_eq!(body["head_sha"].take(), head.as_str());
    assert_eq!(body["external_id"].take().as_str().map(str::len), Some(64));
    insta::assert_snapshot!(serde_json::to_string_pretty(&body).unwrap(), @r#"
    {
      "conclusion": "failure",
      "external_id": null,
      "head_sha": null,
      "name": "dispatch / policy",
      "output": {
        "annotations": [
          {
            "annotation_level": "failure",
            "end_line": 6,
            "message": "there is no variable `source.nothing`\nunknown variable\nhelp: the variables here are `source.sha`, `source.head_branch`, `source.run_id`, `source.run_url`, `source.repo`, `source.workflow`, `sender.login`",
            "path": "dispatching.yml",
            "start_line": 6,
            "title": "unknown_variable"
          }
        ],
        "summary": "This pull request changes the policy file. This is about `dispatching.yml` as it is in its newest commit: nothing but this check reads it before it is merged.\n\n**The file: 1 error.**\n\n### What would start from here\n\n- Line 4: runs of `ci.yml` start `cd.yml` of `acme/web`\n  - on `main`: would be allowed, `acme/web/dispatching.yml:4` agrees\n- Line 5: runs of `ci.yml` start `other.yml` of `acme/web`\n  - on `main`: **would not be allowed**: the inbound rule accepts only `cd.yml`, and not `other.yml` (`inbound_not_authorized`)\n- Line 6: runs of `ci.yml` start `cd.yml` of `acme/web`\n  - on `main`: **would not be allowed**: `cd.yml` of `acme/web` was already considered for this event (`duplicate_target`)\n\nAsked as if it were merged now, with the other side's file as it is. Who gives a command is taken to be one who may, a commit to be where it should be, and a branch of another repository to be its default branch.\n",
        "title": "1 error; 1 of 3 edges would be allowed"
      },
      "status": "completed"
    }
    "#);
    insta::assert_snapshot!(asked.all().replace(&head, "HEAD"), @"
    GET api/collaborators/alice/permission (metadata: read)
    GET api/compare/refs%2Fheads%2Fmain...HEAD (contents: read)
    GET api/contents/.github/dispatching.yml (contents: read)
    GET api/contents/dispatching.yml (contents: read)
    GET web/contents/dispatching.yml (contents: read)
    POST api/check-runs (checks: write)
    ");
    house.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_fifty_problems_are_sent_once_and_fifty_of_them() {
    let many = "      - { repository: web, workflow: cd.txt }\n".repeat(60);
    let (house, number) =
        proposed(&format!("outbound:\n  - source: {{ workflow: ci.yml }}\n    targets:\n{many}")).await;
    let head = house.head("api", number);
    let created = bodies(&house.asked().writes_to("api"), "POST /check-runs ").remove(0);
    let lines: Vec<_> =
        created["output"]["annotations"].as_array().unwrap().iter().map(|it| &it["start_line"]).collect();
    assert_eq!(lines, (4..54).collect::<Vec<_>>());

    let shown = house.checks("api", &head).remove(0);
    house.happens(|world| world.rerequest_check(&repository("api"), shown.id, "alice").unwrap()).await;
    let asked = house.asked();
    let changed = bodies(&asked.writes_to("api"), &format!("PATCH /check-runs/{} ", shown.id)).remove(0);
    assert_eq!((&changed["conclusion"], changed["output"].get("annotations")), (&"failure".into(), None));
    assert_eq!(asked.writes_to("api").len(), 1, "nothing but that");
    assert_eq!(house.checks("api", &head)[0].annotations.len(), 50);
    house.finish().await;
}
