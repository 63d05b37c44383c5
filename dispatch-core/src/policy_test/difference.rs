//! What is not as a test says, and what happened instead.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;
use serde_json::Value;

use super::world::Decided;
use super::{Expected, PolicyTest};
use crate::chain::Place;
use crate::decide::{Allowed, Decision};
use crate::diagnostic::visible;
use crate::explain::{ExplainedDecision, ExplainedSkip, ExplainedTarget};
use crate::name::Repository;
use crate::quote::quote;
use crate::reason::Reason;
use crate::request::DispatchRequest;

/// What became of a test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// What is not as the test says, in the order of the test. Empty: it passed.
    pub differences: Vec<Difference>,
}

impl Outcome {
    /// Whether everything is as the test says.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.differences.is_empty()
    }
}

/// As people read it: nothing where the test passed, else one paragraph for each difference. What strangers wrote is escaped.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.differences.iter().try_for_each(|difference| writeln!(f, "{difference}"))
    }
}

/// Something that is not as a test says. Serialises to a stable shape: keys are added, never renamed or removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "difference", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Difference {
    /// A policy file that was looked at has errors: it means nothing, and neither would the test.
    PolicyInvalid {
        /// The repository of the file.
        repository: Repository,
        /// Its first error.
        problem: String,
    },
    /// The repository in which it happens has no policy file, and the test does not say so: most likely its name, or the
    /// folder, is not what was meant.
    PolicyMissing {
        /// The repository.
        repository: Repository,
    },
    /// The event was to start nothing for this reason.
    NotSkipped {
        /// The reason that the test expects.
        reason: Reason,
        /// What was decided.
        instead: Instead,
    },
    /// It was to start, and does not.
    NotStarted {
        /// What was to start.
        target: ExplainedTarget,
        /// What was decided.
        instead: Instead,
    },
    /// It starts, but not as it was to.
    StartedOtherwise {
        /// What starts.
        decision: ExplainedDecision,
        /// What is sent otherwise.
        values: Vec<ValueDifference>,
    },
    /// It starts, and the test does not say so.
    Started {
        /// What starts.
        decision: ExplainedDecision,
    },
    /// It was to be denied for this reason.
    NotDenied {
        /// What was to be denied.
        target: ExplainedTarget,
        /// The reason that the test expects.
        reason: Reason,
        /// What was decided.
        instead: Instead,
    },
}

/// What was decided where a test expects something else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Instead {
    /// Why no target was considered at all.
    pub skipped: Option<ExplainedSkip>,
    /// What was decided about the target; without a target, about all of them.
    pub decisions: Vec<ExplainedDecision>,
}

/// A value that is not as a test says. None: it is not there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ValueDifference {
    /// What it is, such as `ref` or `input`.
    pub what: &'static str,
    /// Its name, of an input or a property.
    pub name: Option<String>,
    /// What the test says.
    pub expected: Option<Value>,
    /// What is sent.
    pub sent: Option<Value>,
}

/// Compares what a test says with what was decided.
pub(super) fn compare(test: &PolicyTest, decided: &Decided) -> Outcome {
    let invalid = decided.invalid.iter().map(|(repository, diagnostics)| Difference::PolicyInvalid {
        repository: repository.clone(),
        problem: crate::decide::first_problem(diagnostics),
    });
    let mut differences: Vec<_> = invalid.collect();
    if !differences.is_empty() {
        return Outcome { differences };
    }
    let skipped = decided.skipped.as_ref().map(|skipped| skipped.reason);
    if skipped == Some(Reason::SourcePolicyMissing) && test.skipped.is_none() {
        let repository = test.situation.event.repository.name.clone();
        return Outcome { differences: vec![Difference::PolicyMissing { repository }] };
    }
    if let Some(reason) = test.skipped.filter(|reason| skipped != Some(*reason)) {
        differences.push(Difference::NotSkipped { reason, instead: Instead::of(decided, None) });
    }
    compare_starts(test, decided, &mut differences);
    for expected in &test.denied {
        let as_expected =
            |decision: &&Decision| decision.target == expected.place && decision.reason() == Some(expected.reason);
        if decided.decisions.iter().find(as_expected).is_none() {
            differences.push(Difference::NotDenied {
                target: expected.place.clone().into(),
                reason: expected.reason,
                instead: Instead::of(decided, Some(&expected.place)),
            });
        }
    }
    Outcome { differences }
}

/// What starts is exactly what the test says, in any order. One target can start more than once: for several environments of
/// a pull request.
fn compare_starts(test: &PolicyTest, decided: &Decided, differences: &mut Vec<Difference>) {
    let mut started: Vec<(&Decision, &Allowed)> =
        decided.decisions.iter().filter_map(|decision| Some((decision, decision.allowed()?))).collect();
    let mut claim = |expected: &Expected, exactly: bool| {
        let fits = |(decision, allowed): &(&Decision, &Allowed)| {
            decision.target == expected.place && (!exactly || expected.differences(allowed).is_empty())
        };
        let position = started.iter().position(fits)?;
        Some(started.remove(position))
    };
    // Those that say more choose first.
    let mut order: Vec<_> = test.then.iter().enumerate().collect();
    order.sort_by_key(|(_, expected)| expected.values.is_none());
    order.retain(|(_, expected)| claim(expected, true).is_none());
    order.sort_by_key(|(position, _)| *position);
    for (_, expected) in order {
        differences.push(match claim(expected, false) {
            Some((decision, allowed)) => {
                Difference::StartedOtherwise { decision: decision.into(), values: expected.differences(allowed) }
            }
            None => Difference::NotStarted {
                target: expected.place.clone().into(),
                instead: Instead::of(decided, Some(&expected.place)),
            },
        });
    }
    differences.extend(started.into_iter().map(|(decision, _)| Difference::Started { decision: decision.into() }));
}

impl Expected {
    /// What is sent otherwise.
    fn differences(&self, allowed: &Allowed) -> Vec<ValueDifference> {
        let mut differences = Vec::new();
        let sent_ref = allowed.request.git_ref();
        if let Some(git_ref) = self.git_ref.as_ref().filter(|git_ref| sent_ref != Some(git_ref)) {
            let text = |git_ref: &crate::name::GitRef| Value::String(git_ref.to_string());
            let (expected, sent) = (Some(text(git_ref)), sent_ref.map(text));
            differences.push(ValueDifference { what: "ref", name: None, expected, sent });
        }
        let Some(values) = &self.values else { return differences };
        let (what, sent) = match &allowed.request {
            DispatchRequest::Workflow(request) => {
                let inputs = request.inputs().iter();
                ("input", inputs.map(|(name, value)| (name.clone(), Value::String(value.clone()))).collect())
            }
            DispatchRequest::Event(request) => ("property", request.client_payload().clone()),
        };
        let names: BTreeSet<_> = values.keys().chain(sent.keys()).collect();
        for name in names {
            let (expected, sent) = (values.get(name), sent.get(name));
            if expected != sent {
                let (expected, sent) = (expected.cloned(), sent.cloned());
                differences.push(ValueDifference { what, name: Some(name.clone()), expected, sent });
            }
        }
        differences
    }
}

impl Instead {
    fn of(decided: &Decided, target: Option<&Place>) -> Self {
        let about = |decision: &&Decision| target.is_none_or(|target| decision.target == *target);
        Self {
            skipped: decided.skipped.as_ref().map(ExplainedSkip::from),
            decisions: decided.decisions.iter().filter(about).map(ExplainedDecision::from).collect(),
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PolicyInvalid { repository, problem } => {
                write!(f, "the policy file of {} has errors, so that it means nothing", quote(repository))?;
                indented(f, visible(problem))
            }
            Self::PolicyMissing { repository } => {
                write!(f, "there is no policy file of {}", quote(repository))?;
                indented(f, "where that is what is meant, write `skipped: source_policy_missing`")
            }
            Self::NotSkipped { reason, instead } => {
                write!(f, "nothing should be considered, because of {reason}, and that is not so")?;
                indented(f, instead)
            }
            Self::NotStarted { target, instead } => {
                write!(f, "{target} should start, and does not")?;
                indented(f, instead)
            }
            Self::StartedOtherwise { decision, values } => {
                write!(f, "{} starts, and not as it should", decision.target)?;
                values.iter().try_for_each(|value| indented(f, value))?;
                indented(f, decision)
            }
            Self::Started { decision } => {
                write!(f, "{} starts, and should not", decision.target)?;
                indented(f, decision)
            }
            Self::NotDenied { target, reason, instead } => {
                write!(f, "{target} should be denied because of {reason}, and that is not so")?;
                indented(f, instead)
            }
        }
    }
}

impl fmt::Display for Instead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.skipped, self.decisions.as_slice()) {
            (Some(skipped), _) => skipped.fmt(f),
            (None, []) => f.write_str("no rule that fits the event is about it"),
            (None, [first, others @ ..]) => {
                first.fmt(f)?;
                others.iter().try_for_each(|decision| write!(f, "\n{decision}"))
            }
        }
    }
}

impl fmt::Display for ValueDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what)?;
        if let Some(name) = &self.name {
            write!(f, " {}", quote(name))?;
        }
        match (&self.expected, &self.sent) {
            (Some(expected), Some(sent)) => write!(f, ": expected {}, and it is {}", quote(expected), quote(sent)),
            (Some(expected), None) => write!(f, ": expected {}, and there is none", quote(expected)),
            (None, Some(sent)) => write!(f, ": expected none, and it is {}", quote(sent)),
            (None, None) => Ok(()),
        }
    }
}

/// Writes lines of their own, each two columns further in.
fn indented(f: &mut fmt::Formatter<'_>, text: impl fmt::Display) -> fmt::Result {
    text.to_string().lines().try_for_each(|line| write!(f, "\n  {line}"))
}
