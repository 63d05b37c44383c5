//! What `explain` prints, for programs and for people.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
#![allow(dead_code, unreachable_pub, reason = "the support is shared, and no test file uses all of it")]

mod support;

use dispatch_core::decide::{CommitOnBranch, Identity};
use dispatch_core::explain::{Explanation, Given, explain};
use dispatch_core::policy::{Policy, Target};
use support::*;

/// Offline: nobody knows the repositories behind the names, the App's owner, or an installation.
fn offline(change: fn(&mut Setup)) -> Explanation {
    let mut setup = Setup::new();
    setup.settings.clear();
    setup.event.installation = None;
    setup.commit = CommitOnBranch::Assumed;
    change(&mut setup);
    setup.source_answer.get_or_insert(found(Identity::Assumed, Policy::new(setup.outbound.clone(), vec![])));
    setup.target_answer.get_or_insert(found(Identity::Assumed, Policy::new(vec![], setup.inbound.clone())));
    let (event, guardrails) = (setup.event.clone(), setup.guardrails());
    explain(&event, &guardrails, &Given::default(), &mut setup)
}

fn two_targets(setup: &mut Setup) {
    setup.outbound[0].targets.push(Target { repository: repository("acme/infra"), ..target(9) });
    setup.inbound[0].targets[0].accept_inputs.clear();
    setup.outbound[0].targets[1].inputs.clear();
    setup.set("ENFORCE_SOURCE_DEFAULT_BRANCH", "false");
}

#[test]
fn the_json_keeps_its_shape() {
    insta::assert_snapshot!(serde_json::to_string_pretty(&offline(two_targets)).unwrap(), @r#"
    {
      "event": {
        "kind": "workflow_run",
        "repository": "acme/api",
        "workflow": "ci.yml",
        "branch": "main",
        "sha": "3484a3fb816e0859fd6e1cea078d76385ff50625",
        "conclusion": "success",
        "started_by": "push",
        "run_id": 7000000001,
        "attempt": 1,
        "pull_request": null,
        "action": null,
        "command": null,
        "commenter": null
      },
      "skipped": null,
      "decisions": [
        {
          "target": {
            "repository": "acme/deploy",
            "workflow": "cd.yml"
          },
          "allowed": false,
          "reason": "inputs_not_accepted",
          "message": "the inputs `sha` are not accepted: the target accepts none",
          "ref": "main",
          "inputs": {
            "sha": "3484a3fb816e0859fd6e1cea078d76385ff50625"
          },
          "outbound_rule": {
            "file": "acme/api/dispatching.yml",
            "line": 5
          },
          "inbound_rule": {
            "file": "acme/deploy/dispatching.yml",
            "line": 16
          }
        },
        {
          "target": {
            "repository": "acme/infra",
            "workflow": "cd.yml"
          },
          "allowed": true,
          "reason": null,
          "message": "`acme/api/dispatching.yml:9` and `acme/infra/dispatching.yml:16` agree",
          "ref": "main",
          "inputs": {},
          "outbound_rule": {
            "file": "acme/api/dispatching.yml",
            "line": 9
          },
          "inbound_rule": {
            "file": "acme/infra/dispatching.yml",
            "line": 16
          }
        }
      ],
      "assumed": [
        "the App belongs to `acme`",
        "the App is installed on `acme/api`",
        "no dispatch started run 7000000001",
        "`acme/deploy` is the repository that its name has always meant",
        "`acme/infra` is the repository that its name has always meant",
        "`acme/api` has not started `cd.yml` of `acme/deploy` within the hour",
        "`acme/api` has not started `cd.yml` of `acme/infra` within the hour",
        "nothing else was started along the chain of `workflow_run:11:7000000001:1`",
        "commit `3484a3fb816e0859fd6e1cea078d76385ff50625` has been on `main` of `acme/api`"
      ],
      "limits": [
        {
          "name": "OWNER_ALLOWLIST",
          "value": "acme",
          "origin": "default"
        },
        {
          "name": "SOURCE_REPO_ALLOWLIST",
          "value": "*",
          "origin": "default"
        },
        {
          "name": "TARGET_REPO_ALLOWLIST",
          "value": "*",
          "origin": "default"
        },
        {
          "name": "SOURCE_WORKFLOW_ALLOWLIST",
          "value": "*",
          "origin": "default"
        },
        {
          "name": "ALLOWED_SOURCE_CONCLUSIONS",
          "value": "success",
          "origin": "default"
        },
        {
          "name": "ENFORCE_SOURCE_DEFAULT_BRANCH",
          "value": "false",
          "origin": {
            "setting": "ENFORCE_SOURCE_DEFAULT_BRANCH"
          }
        },
        {
          "name": "DEFAULT_DISPATCH_REF",
          "value": "main",
          "origin": "default"
        },
        {
          "name": "DISPATCH_MAX_TARGETS_PER_RUN",
          "value": "25",
          "origin": "default"
        },
        {
          "name": "DISPATCH_MAX_CHAIN_DEPTH",
          "value": "8",
          "origin": "default"
        },
        {
          "name": "DISPATCH_MAX_EDGE_RATE",
          "value": "100",
          "origin": "default"
        },
        {
          "name": "ORG_POLICY",
          "value": "optional",
          "origin": "default"
        }
      ]
    }
    "#);
}

#[test]
fn the_json_of_an_event_that_starts_nothing_keeps_its_shape() {
    let explanation = serde_json::to_value(offline(|s| s.from().branches = patterns(&["dev"]))).unwrap();
    insta::assert_snapshot!(serde_json::to_string_pretty(&explanation["skipped"]).unwrap(), @r#"
    {
      "message": "the run was on `main`, and the outbound rule accepts only `dev`",
      "nearest": null,
      "outbound_rule": {
        "file": "acme/api/dispatching.yml",
        "line": 2
      },
      "reason": "source_branch_not_matched"
    }
    "#);
    assert_eq!(explanation["decisions"], serde_json::json!([]));
}

#[test]
fn people_read_each_decision_with_its_lines() {
    insta::assert_snapshot!(offline(two_targets).to_text(), @r"
    `ci.yml` of `acme/api`: run 7000000001, started by `push`, on `main`, ended with `success`

    no   `cd.yml` in `acme/deploy`: inputs_not_accepted
         the inputs `sha` are not accepted: the target accepts none
         ref       `main`
         inputs    `sha` = `3484a3fb816e0859fd6e1cea078d76385ff50625`
         outbound  acme/api/dispatching.yml:5
         inbound   acme/deploy/dispatching.yml:16
         help      list every input in one `accept_inputs` of the target's inbound rule

    yes  `cd.yml` in `acme/infra`
         `acme/api/dispatching.yml:9` and `acme/infra/dispatching.yml:16` agree
         ref       `main`
         outbound  acme/api/dispatching.yml:9
         inbound   acme/infra/dispatching.yml:16

    assumed, because only GitHub and the service's store know:
      - the App belongs to `acme`
      - the App is installed on `acme/api`
      - no dispatch started run 7000000001
      - `acme/deploy` is the repository that its name has always meant
      - `acme/infra` is the repository that its name has always meant
      - `acme/api` has not started `cd.yml` of `acme/deploy` within the hour
      - `acme/api` has not started `cd.yml` of `acme/infra` within the hour
      - nothing else was started along the chain of `workflow_run:11:7000000001:1`
      - commit `3484a3fb816e0859fd6e1cea078d76385ff50625` has been on `main` of `acme/api`

    limits that the operator or an owner set:
      ENFORCE_SOURCE_DEFAULT_BRANCH  false
    ");
}

#[test]
fn people_read_why_nothing_starts() {
    insta::assert_snapshot!(offline(|s| { s.run().attempt = 2; s.run().event = "issue_comment".to_owned() }).to_text(), @r"
    `ci.yml` of `acme/api`: run 7000000001, attempt 2, started by `issue_comment`, on `main`, ended with `success`

    nothing starts: source_event_not_allowed
      the run was started by `issue_comment`, and the outbound rule accepts only `push`, `merge_group`, `schedule`, `workflow_dispatch`, `repository_dispatch`, `release`, `create`, `deployment`, `pull_request`
      outbound  acme/api/dispatching.yml:2
      help      name the event in `events` on both sides, if you trust everybody who can cause it

    assumed, because only GitHub and the service's store know:
      - the App belongs to `acme`
      - the App is installed on `acme/api`
      - no dispatch started run 7000000001
    ");
}

#[test]
fn what_is_known_is_not_called_assumed() {
    let mut setup = Setup::new();
    (setup.spent, setup.uses) = (1, 1);
    let (event, guardrails) = (setup.event.clone(), setup.guardrails());
    assert_eq!(
        explain(&event, &guardrails, &Given::default(), &mut setup).assumed,
        ["no dispatch started run 7000000001"]
    );
}

#[test]
fn a_bot_is_assumed_not_to_be_the_app_only_where_nobody_knows_the_app() {
    let mut setup = Setup::new();
    setup.run().actor = Some(login("renovate[bot]"));
    let assumed = |setup: &mut Setup| {
        let (event, guardrails) = (setup.event.clone(), setup.guardrails());
        explain(&event, &guardrails, &Given::default(), setup)
            .assumed
            .contains(&"`renovate[bot]` is not this App".to_owned())
    };
    assert!(!assumed(&mut setup));
    setup.app_login = None;
    assert!(assumed(&mut setup));
}
