//! What the service told of its work: its facts, which are the same whoever carries the work.

use std::cell::Cell;
use std::collections::BTreeMap;

use dispatch_core::decide::{Decision, Plan, Verdict};
use dispatch_core::delivery::DeliverySummary;
use dispatch_core::fact::{Fact, FactBody};

/// The name of a new house: that of the test, and which of its houses it is.
pub fn name() -> String {
    thread_local! {
        /// How many houses the test has had. Each test has a thread.
        static HOUSES: Cell<usize> = const { Cell::new(0) };
    }
    HOUSES.set(HOUSES.get() + 1);
    let thread = std::thread::current();
    let test = thread.name().expect("a test has a thread of its name");
    format!("{}_{}", test.replace("::", "__"), HOUSES.get())
}

/// Compares the facts of a house with those that it has in the folder `snapshots`.
pub fn assert_as_ever(house: &str, facts: &[Fact]) {
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!(house, lines(facts));
    });
}

/// One line for each fact, in alphabetical order, those that are alike counted. Nothing is said of what depends on who is
/// faster: that something waited, and that a run was found which GitHub had not named.
fn lines(facts: &[Fact]) -> String {
    let mut lines = BTreeMap::new();
    for line in facts.iter().filter_map(line) {
        *lines.entry(line).or_insert(0_usize) += 1;
    }
    lines.iter().map(|(line, times)| format!("{times} x {line}\n")).collect()
}

fn line(fact: &Fact) -> Option<String> {
    let about = match &fact.body {
        FactBody::DeliveryPutBack { .. } | FactBody::DispatchPutBack { .. } | FactBody::DispatchRunFound { .. } => {
            return None;
        }
        FactBody::DeliveryReceived { event } | FactBody::DeliveryNoted { event } => {
            summary(&DeliverySummary::new(event, fact.time))
        }
        FactBody::DeliveryPlanned { delivery, plan, .. } => format!("{}: {}", summary(delivery), decided(plan)),
        _ => match (&fact.subject.environment, &fact.subject.dispatch) {
            (Some(environment), _) => format!("{} of {}", environment.name, environment.repository),
            (None, Some(dispatch)) => format!("{} {}", dispatch.target.repository, dispatch.target.start),
            (None, None) => String::new(),
        },
    };
    let kind = fact.body.cloud_event_type().trim_start_matches("dispatch.");
    Some(format!("{kind} {about}").trim_end().to_owned())
}

fn summary(delivery: &DeliverySummary) -> String {
    let word = delivery.word.as_ref().map_or_else(String::new, |word| format!(" {word}"));
    format!("{} {}{word}", delivery.repository, delivery.event)
}

fn decided(plan: &Plan) -> String {
    let skipped = plan.skipped.iter().map(|skipped| format!("skipped, {}", skipped.reason));
    let decision = |Decision { target, verdict, .. }: &Decision| {
        let verdict = match verdict {
            Verdict::Allowed(_) => "allowed".to_owned(),
            Verdict::Denied(denied) => format!("denied, {}", denied.reason),
        };
        format!("{} {} {verdict}", target.repository, target.start)
    };
    skipped.chain(plan.decisions.iter().map(decision)).collect::<Vec<_>>().join("; ")
}
