//! What must hold in every world.
//!
//! | promise | property |
//! |---|---|
//! | no dispatch without both consents | a naive oracle, written apart from the decision, says the same for every target |
//! | what an owner allows can only narrow | what is allowed within limits is allowed without them, and is the same request |
//! | a decision can be asked again | event, answers, limits and plan survive being stored as JSON, and give the same decision |
//! | every denial explains itself | code, sentence, file and line of the source's side; what is hidden reads alike |
//! | no loops | wherever policies lead, every chain ends, is nowhere twice, and spends at most its root's budget |
//! | a test of policies is about the decision itself | written from what was decided it passes, and with a start left out it fails |
//! | GitHub's limits are known before the call | a request that exists is within them, and nothing of it was cut |
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
#![allow(unreachable_pub, reason = "modules of one test program")]

mod asked;
mod chains;
mod oracle;
mod policy_tests;
mod worlds;

use std::cell::Cell;
use std::collections::BTreeMap;

use dispatch_core::decide::{Allowed, Decided, Decision, Known, PolicyFile, SourceView, Visibility, decide};
use dispatch_core::reason::Side;
use dispatch_core::request::WorkflowDispatch;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use serde::Serialize;
use serde::de::DeserializeOwned;

use self::asked::{guardrails, plan, sent};
use self::worlds::{Kind, World, world};

const CASES: u32 = 1_000;

/// Runs a property over many worlds.
fn in_every_world(property: impl Fn(World) -> Result<(), TestCaseError>) {
    for kind in [Kind::Run, Kind::PullRequest, Kind::Command] {
        in_every_world_of(kind, CASES / 2, &property);
    }
}

fn in_every_world_of(kind: Kind, cases: u32, property: impl Fn(World) -> Result<(), TestCaseError>) {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    if let Err(error) = TestRunner::new(config).run(&world(kind), property) {
        panic!("{kind:?}: {error}");
    }
}

/// Asks both, in worlds of a kind, and that neither says the same all the time.
fn agree_in_every_world_of(kind: Kind) {
    let (allowed, denied, skipped) = (Cell::new(0), Cell::new(0), Cell::new(0));
    let count = |counter: &Cell<u32>| counter.set(counter.get() + 1);
    in_every_world_of(kind, CASES, |world| {
        let plan = plan(&world);
        let said = oracle::targets(&world);
        prop_assert_eq!(plan.skipped.is_some(), said.is_none(), "skipped: {:?}", &plan.skipped);
        let said = said.unwrap_or_default();
        prop_assert_eq!(plan.decisions.len(), said.len());
        if plan.skipped.is_some() {
            count(&skipped);
        }
        for (decision, expected) in plan.decisions.iter().zip(said) {
            count(if expected.is_some() { &allowed } else { &denied });
            prop_assert_eq!(sent(decision), expected, "{:?}", decision);
        }
        Ok(())
    });
    let outcomes = (allowed.get(), denied.get(), skipped.get());
    assert!(
        outcomes.0 > CASES / 20 && outcomes.1 > CASES / 10 && outcomes.2 > CASES / 10,
        "too one-sided: {outcomes:?}"
    );
}

#[test]
fn no_run_starts_anything_unless_a_naive_reading_of_both_policies_says_so() {
    agree_in_every_world_of(Kind::Run);
}

#[test]
fn no_pull_request_starts_anything_unless_a_naive_reading_of_both_policies_says_so() {
    agree_in_every_world_of(Kind::PullRequest);
}

#[test]
fn no_command_starts_anything_unless_a_naive_reading_of_both_policies_says_so() {
    agree_in_every_world_of(Kind::Command);
}

#[test]
fn what_an_owner_allows_takes_away_and_never_adds() {
    let (kept, taken) = (Cell::new(0_usize), Cell::new(0_usize));
    in_every_world(|world| {
        let mut settings = world.settings.clone();
        settings.remove("ORG_POLICY");
        let mut free = World { settings, limits_seen: false, ..world.clone() };
        for (_, answer) in free.policies.iter_mut().filter(|(repository, _)| repository.name() == ".github") {
            answer.file = PolicyFile::Absent;
        }
        let without: BTreeMap<_, _> = plan(&free)
            .allowed()
            .map(|(decision, allowed)| {
                (decision.target.clone(), (allowed.request.values(), allowed.inbound_rule.clone()))
            })
            .collect();
        let within = plan(&world);
        // What one target does not spend of a budget, another one may; and a default is no limit.
        let more_is_left = free.spent > 90;
        let is_default = |allowed: &Allowed| allowed.request.git_ref().is_some_and(|it| it.as_str() == "release");
        for (decision, allowed) in within.allowed().filter(|(_, allowed)| !more_is_left && !is_default(allowed)) {
            let same = without.get(&decision.target);
            prop_assert_eq!(same, Some(&(allowed.request.values(), allowed.inbound_rule.clone())));
            kept.set(kept.get() + 1);
        }
        taken.set(taken.get() + without.len().saturating_sub(within.allowed().count()));
        Ok(())
    });
    assert!(kept.get() > 50 && taken.get() > 20, "{kept:?} {taken:?}");
}

#[test]
fn what_goes_into_a_decision_and_what_comes_out_can_be_stored_and_asked_again() {
    fn again<T: Serialize + DeserializeOwned>(value: &T) -> T {
        serde_json::from_str(&serde_json::to_string(value).unwrap()).unwrap()
    }
    in_every_world(|world| {
        let guardrails = guardrails(&world);
        let mut known = Known::default();
        loop {
            let decided = decide(&world.event, &known, &guardrails);
            let (event, stored, limits) = (again(&world.event), again(&known), again(&guardrails));
            prop_assert_eq!(&decide(&event, &stored, &limits), &decided);
            prop_assert_eq!(&again(&decided), &decided);
            match decided {
                Decided::Plan(_) => return Ok(()),
                Decided::Need(lookups) => lookups.into_iter().for_each(|lookup| known.look_up(lookup, &mut &world)),
            }
        }
    });
}

#[test]
fn every_denial_has_a_code_a_sentence_and_a_line_of_the_source_s_file() {
    in_every_world(|world| {
        let plan = plan(&world);
        if let Some(skipped) = &plan.skipped {
            prop_assert!(is_sentence(&skipped.message), "{:?}", skipped.message);
        }
        let lines: Vec<u32> =
            world.outbound().iter().flat_map(|rule| &rule.targets).map(|target| target.line).collect();
        for decision in &plan.decisions {
            prop_assert!(is_sentence(&decision.message()), "{:?}", decision.message());
            prop_assert_eq!(&decision.outbound_rule.repository, &world.event.repository.name);
            prop_assert!(lines.contains(&decision.outbound_rule.line));
            if let Some(rule) = decision.inbound_rule() {
                prop_assert_eq!(&rule.repository, &decision.target.repository);
                prop_assert!(world.inbound_lines(&rule.repository).contains(&rule.line), "{rule}");
            }
        }
        Ok(())
    });
}

#[test]
fn what_the_source_may_not_see_does_not_change_what_it_reads() {
    let hidden_denials = Cell::new(0);
    in_every_world(|world| {
        let nobody = World { policies: world.only_the_source(), ..world.clone() };
        for (there, nowhere) in plan(&world).decisions.iter().zip(&plan(&nobody).decisions) {
            let same_owner = there.target.repository.same_owner(&world.event.repository.name);
            prop_assert!(same_owner || there.visibility == Visibility::Target);
            if !is_hidden(there) {
                continue;
            }
            hidden_denials.set(hidden_denials.get() + 1);
            let view = there.for_source();
            prop_assert_eq!(&view.message, SourceView::HIDDEN);
            prop_assert_eq!((view.reason, view.inbound_rule, view.allowed), (None, None, false));
            prop_assert_eq!(view, nowhere.for_source());
        }
        Ok(())
    });
    assert!(hidden_denials.get() > CASES / 10, "too few: {}", hidden_denials.get());
}

fn is_hidden(decision: &Decision) -> bool {
    decision.visibility == Visibility::Target && decision.reason().is_some_and(|reason| reason.side() == Side::Target)
}

/// One line, not empty, nothing that could move the cursor, and every backtick belongs to a pair.
fn is_sentence(text: &str) -> bool {
    !text.is_empty() && !text.chars().any(char::is_control) && text.matches('`').count().is_multiple_of(2)
}

proptest! {
    #![proptest_config(Config { cases: CASES, failure_persistence: None, ..Config::default() })]

    #[test]
    fn a_request_that_exists_is_within_github_s_limits_and_whole(
        inputs in prop::collection::btree_map("[a-z]{1,12}", value(), 0..32)
    ) {
        // GitHub counts the characters of the inputs as JSON.
        let entry = |(name, value): (&String, &String)| serde_json::json!({ name: value }).to_string().chars().count() - "{}".len();
        let json = "{}".len() + inputs.iter().map(entry).sum::<usize>() + inputs.len().saturating_sub(1);
        let fits = inputs.len() <= 25 && json <= 65_535;
        let request = WorkflowDispatch::new("cd.yml".parse().unwrap(), "main".parse().unwrap(), inputs.clone());
        prop_assert_eq!(request.is_ok(), fits, "{} inputs, {} characters", inputs.len(), json);
        if let Ok(request) = request {
            let body = request.body();
            let sent: BTreeMap<String, String> = serde_json::from_value(body["inputs"].clone()).unwrap();
            prop_assert_eq!(sent, inputs);
            prop_assert_eq!(&body["ref"], "main");
        }
    }
}

/// Mostly short; sometimes long enough for a few of them to be too much; with characters that JSON escapes.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => "\\PC{0,40}",
        2 => (1_000_usize..9_000).prop_map(|length| "x".repeat(length)),
        1 => (1_000_usize..9_000).prop_map(|length| "\"".repeat(length)),
        1 => (1_000_usize..9_000).prop_map(|length| "ä".repeat(length)),
    ]
}
