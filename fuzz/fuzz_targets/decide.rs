//! Whole worlds, put together from what the generators of the property tests make of the input: a naive reading of both policies says the same
//! as the decision, which asks nothing twice.
#![no_main]

use std::collections::BTreeSet;
use std::iter::repeat_with;

use dispatch_core::decide::{Decided, Known, Plan, decide};
use libfuzzer_sys::fuzz_target;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use self::properties::worlds::{Kind, World, world};
use self::properties::{asked, oracle};

#[path = "../../dispatch-core/tests/properties"]
#[allow(dead_code, unreachable_pub, reason = "the property tests need more of it")]
mod properties {
    pub mod asked;
    pub mod oracle;
    pub mod worlds;
}

fuzz_target!(|input: &[u8]| {
    let Some((kind, choices)) = input.split_first() else { return };
    let kind = [Kind::Run, Kind::PullRequest, Kind::Command][usize::from(*kind) % 3];
    let mut parts = choices.chunks(2).map(|choice| part(kind, choice)).chain(repeat_with(|| part(kind, &[0])));
    let mut next = || parts.next().expect("there is always another one");
    let (happening, source, targets, mut world) = (next(), next(), next(), next());
    world.policies = targets.policies;
    world
        .policies
        .extend(source.policies.into_iter().filter(|(repository, _)| *repository == happening.event.repository.name));
    (world.event, world.facts) = (happening.event, happening.facts);

    let plan = plan(&world);
    assert!(plan.skipped.is_none() || plan.decisions.is_empty());

    let expected = oracle::targets(&world);
    assert_eq!(plan.skipped.is_some(), expected.is_none(), "skipped: {:?}", plan.skipped);
    let sent: Vec<_> = plan.decisions.iter().map(asked::sent).collect();
    assert_eq!(sent, expected.unwrap_or_default(), "{:#?}", plan.decisions);
});

/// The world that the generators make of a choice. One choice for each part of the world that is decided about: the parts are
/// drawn independently in the property tests too.
fn part(kind: Kind, choice: &[u8]) -> World {
    let seed: Vec<u8> = choice.iter().copied().cycle().take(32).collect();
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let mut runner = TestRunner::new_with_rng(Config::default(), random);
    world(kind).new_tree(&mut runner).expect("a world").current()
}

/// The loop around `decide`, by hand: so that it can be seen that it ends, and that nothing is asked twice.
fn plan(world: &World) -> Plan {
    let (guardrails, mut known, mut asked) = (asked::guardrails(world), Known::default(), BTreeSet::new());
    for _ in 0..20 {
        let lookups = match decide(&world.event, &known, &guardrails) {
            Decided::Plan(plan) => return plan,
            Decided::Need(lookups) => lookups,
        };
        assert!(!lookups.is_empty(), "nothing is asked, and nothing is decided");
        for lookup in lookups {
            assert!(asked.insert(lookup.clone()), "{lookup:?} was asked twice");
            known.look_up(lookup, &mut &*world);
        }
    }
    panic!("the decision does not end");
}
