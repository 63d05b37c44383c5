//! The two files that every user starts with, as they write them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
#![allow(dead_code, unreachable_pub, reason = "the support is shared, and no test file uses all of it")]

mod support;

use dispatch_core::decide::{Identity, PolicyAnswer};
use dispatch_core::policy::Policy;
use support::*;

const SOURCE: &str = r#"
outbound:
  - source:
      workflow: ci.yml
    targets:
      - repository: deploy
        workflow: .github/workflows/cd.yml
        ref: release
        inputs:
          git_sha: "{{ source.sha }}"
          environment: production
"#;

const TARGET: &str = r"
inbound:
  - source:
      repository: api
      workflow: ci.yml
    targets:
      - workflow: cd.yml
        accept_inputs: [git_sha, environment]
";

fn read(text: &str, owner: &str, identity: Identity) -> PolicyAnswer {
    let checked = Policy::check(text.as_bytes(), &owner.parse().unwrap(), "dispatching.yml");
    found(identity, checked.policy.unwrap_or_else(|| panic!("{}", checked.diagnostics.render(text))))
}

fn setup(source: &str, target: &str, target_owner: &str) -> Setup {
    let mut setup = Setup::new();
    setup.source_answer = Some(read(source, "acme", Identity::Verified { id: SOURCE_ID, private: false }));
    setup.target_answer = Some(read(target, target_owner, Identity::Verified { id: TARGET_ID, private: false }));
    setup
}

#[test]
fn the_first_form_starts_the_workflow_at_the_ref_with_the_inputs() {
    let decision = setup(SOURCE, TARGET, "acme").decision();
    let allowed = decision.allowed().unwrap_or_else(|| panic!("{}", decision.message()));
    insta::assert_snapshot!(serde_json::to_string_pretty(&allowed.request).unwrap(), @r#"
    {
      "workflow": {
        "workflow": "cd.yml",
        "ref": "release",
        "inputs": {
          "environment": "production",
          "git_sha": "3484a3fb816e0859fd6e1cea078d76385ff50625"
        }
      }
    }
    "#);
    insta::assert_snapshot!(decision.message(), @"`acme/api/dispatching.yml:6` and `acme/deploy/dispatching.yml:7` agree");
}

#[test]
fn a_bare_name_is_of_the_owner_of_the_file_that_holds_it_and_matches_no_other() {
    // The same two files, but the target's is `partner/deploy`, whose `api` is `partner/api`.
    let to_partner = SOURCE.replace("repository: deploy", "repository: partner/deploy");
    assert_eq!(setup(&to_partner, TARGET, "partner").outcome(), "inbound_not_authorized");
    let from_acme = TARGET.replace("repository: api", "repository: acme/api");
    assert_eq!(setup(&to_partner, &from_acme, "partner").outcome(), "allowed");
}

#[test]
fn the_filters_are_written_alike_on_both_sides() {
    let filters =
        "workflow: ci.yml\n      branches: [main, \"release/*\"]\n      conclusions: [success]\n      events: [push]";
    let (source, target) = (SOURCE.replace("workflow: ci.yml", filters), TARGET.replace("workflow: ci.yml", filters));
    assert_eq!(setup(&source, &target, "acme").outcome(), "allowed");
    assert_eq!(setup(&source, TARGET, "acme").outcome(), "allowed", "the default branch needs no consent of its own");

    let on_release = |source: &str, target: &str| {
        let mut setup = setup(source, target, "acme");
        setup.set("ENFORCE_SOURCE_DEFAULT_BRANCH", "false");
        setup.run().head_branch = Some(branch("release/1"));
        setup.outcome()
    };
    assert_eq!(on_release(&source, &target), "allowed");
    assert_eq!(on_release(&source, TARGET), "inbound_not_authorized");
}
