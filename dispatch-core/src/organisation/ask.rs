//! Asks the decision whether both sides of an edge agree, by made-up events that both sides are about.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::meet::{Meeting, alone, meet};
use crate::Timestamp;
use crate::chain::Place;
use crate::decide::{Denied, Known, Plan, Verdict, decide_with};
use crate::event::EventRepository;
use crate::guardrail::Guardrails;
use crate::name::{Branch, CommitSha, Repository, RepositoryId};
use crate::policy::{OutboundRule, Policy, RuleLocation, Source, Target};
use crate::reason::Reason;
use crate::stand_in::{Answered, Case, Setting, StandIn};

/// How many inbound targets are tried for one target of an outbound rule. What follows is like them.
const MAX_CONSENTS: usize = 16;
/// How many plans are kept. The targets of one rule follow one another, and are about the same few events.
const MAX_PLANS: usize = 16;

/// Asks about the repositories whose files are known.
pub(super) struct Asker<'a> {
    known: &'a Known,
    guardrails: &'a Guardrails,
    /// Nobody knows the default branches of a folder of files.
    default_branch: Branch,
    head_sha: CommitSha,
    /// What was decided lately, by where it happens, where something is started, and what happens. One plan is about all
    /// targets of its event: without these, a rule would cost the square of its targets.
    plans: RefCell<BTreeMap<(Repository, Repository, String), Rc<Plan>>>,
}

/// What was found out about a target of an outbound rule.
pub(super) struct Answer {
    pub(super) agreement: Agreement,
    /// The lines of the target's file that accepted it for some events, or that could be meant.
    pub(super) accepting: BTreeSet<u32>,
    /// Lines of the target's file that would have accepted it, and the earlier lines that did.
    pub(super) covered: BTreeMap<u32, u32>,
}

/// Whether both sides agree.
pub(super) enum Agreement {
    /// The line of the target's file that says so.
    Agreed(RuleLocation),
    /// An earlier target, in this line, always counts instead.
    Shadowed(u32),
    /// Not for any event that was asked about.
    Denied {
        denied: Denied,
        /// Whether there can be no other event for which they agree.
        certain: bool,
    },
    /// No event was found to ask about.
    Untold,
}

/// What the decision said of one event.
enum Outcome {
    Allowed(RuleLocation),
    Shadowed(u32),
    Denied(Denied),
    Untold,
}

impl<'a> Asker<'a> {
    /// None never happens: the names that stand for others are names.
    pub(super) fn new(known: &'a Known, guardrails: &'a Guardrails) -> Option<Self> {
        let default_branch = "main".parse().ok()?;
        let head_sha = "0".repeat(40).parse().ok()?;
        Some(Self { known, guardrails, default_branch, head_sha, plans: RefCell::default() })
    }

    /// Asks about one target of a rule. `from`: whose rule it is. `theirs`: the target's policy, where there is one.
    pub(super) fn ask(
        &self,
        from: (&Repository, &Policy),
        rule: &OutboundRule,
        target: &Target,
        theirs: Option<&Policy>,
    ) -> Answer {
        let (own, policy) = from;
        let consents = theirs.into_iter().flat_map(|theirs| theirs.inbound_from(own)).flat_map(|rule| {
            let same = rule.targets.iter().filter(|accepted| accepted.start == target.start);
            same.map(move |accepted| (rule, accepted))
        });
        let mut meetings = consents.filter_map(|(inbound, accepted)| {
            let met = meet((policy, &rule.source, target), (&inbound.source, accepted))?;
            Some((inbound.repository_id, accepted.line, met))
        });

        let mut found = Found::default();
        let mut unsure = false;
        let mut meant = BTreeSet::new();
        for (id, line, Meeting { source, vague }) in meetings.by_ref().take(MAX_CONSENTS) {
            unsure |= vague;
            meant.insert(line);
            for outcome in self.outcomes(own, &source, id, target) {
                if found.take(outcome, Some(line)) {
                    break;
                }
            }
        }
        unsure |= meetings.next().is_some();
        if found.agreed.is_none() {
            // Whatever is wrong is told of the source's side: these are the lines that it is about.
            found.accepting.append(&mut meant);
            let source = alone(policy, &rule.source, target);
            self.outcomes(own, &source, None, target).for_each(|outcome| _ = found.take(outcome, None));
        }

        let Found { agreed, shadowed, nearest, mut accepting, mut covered } = found;
        covered.retain(|line, _| !accepting.contains(line));
        let agreement = match (agreed, nearest, shadowed) {
            (Some(line), ..) => Agreement::Agreed(line),
            (None, Some(denied), _) => {
                accepting.extend(denied.inbound_rule.as_ref().map(|nearest| nearest.line));
                let certain = !unsure && is_certain(&denied, &rule.source, target, theirs);
                Agreement::Denied { denied, certain }
            }
            (None, None, Some(line)) => Agreement::Shadowed(line),
            (None, None, None) => Agreement::Untold,
        };
        Answer { agreement, accepting, covered }
    }

    /// What the decision says of each event that stands for what a source is about.
    fn outcomes<'s>(
        &'s self,
        own: &'s Repository,
        source: &'s Source,
        id: Option<RepositoryId>,
        target: &'s Target,
    ) -> impl Iterator<Item = Outcome> + 's {
        let place = Place { repository: target.repository.clone(), start: target.start.clone() };
        let cases = StandIn::BOTH.into_iter().flat_map(move |stand_in| {
            let repository = EventRepository {
                id: id.unwrap_or(RepositoryId(0)),
                name: own.clone(),
                default_branch: self.default_branch.clone(),
                private: true,
            };
            let at = Timestamp::UNIX_EPOCH;
            Setting { repository, is_own: false, head_sha: &self.head_sha, at, stand_in }.cases(source, None)
        });
        cases.map(move |case| match self.plan(own, &case, &place) {
            Some(plan) => outcome(&plan, &place, target.line),
            None => Outcome::Untold,
        })
    }

    fn plan(&self, own: &Repository, case: &Case, place: &Place) -> Option<Rc<Plan>> {
        let key = (own.clone(), place.repository.clone(), case.key());
        if let Some(plan) = self.plans.borrow().get(&key) {
            return Some(Rc::clone(plan));
        }
        let proposed = self.known.policies.get(own)?;
        let mut answers = Answered { own, proposed, known: self.known, case, target: place };
        let plan = Rc::new(decide_with(&case.event, self.guardrails, &mut answers));
        let mut plans = self.plans.borrow_mut();
        if plans.len() >= MAX_PLANS {
            plans.clear();
        }
        plans.insert(key, Rc::clone(&plan));
        Some(plan)
    }
}

/// What was found so far.
#[derive(Default)]
struct Found {
    agreed: Option<RuleLocation>,
    shadowed: Option<u32>,
    nearest: Option<Denied>,
    accepting: BTreeSet<u32>,
    covered: BTreeMap<u32, u32>,
}

impl Found {
    /// Takes an outcome of events that are about the inbound target in this line. Whether no more is to be found of it.
    fn take(&mut self, outcome: Outcome, line: Option<u32>) -> bool {
        match outcome {
            Outcome::Allowed(accepted) => {
                let by = accepted.line;
                self.accepting.insert(by);
                self.covered.extend(line.filter(|line| *line != by).map(|line| (line, by)));
                self.agreed.get_or_insert(accepted);
                return line == Some(by);
            }
            Outcome::Shadowed(line) => _ = self.shadowed.get_or_insert(line),
            Outcome::Denied(denied) => _ = self.nearest.get_or_insert(denied),
            Outcome::Untold => {}
        }
        false
    }
}

fn outcome(plan: &Plan, place: &Place, line: u32) -> Outcome {
    let mut same = plan.decisions.iter().filter(|decision| decision.target == *place).peekable();
    let first = same.peek().map(|first| first.outbound_rule.line);
    let ours = same.find(|ours| ours.outbound_rule.line == line);
    match (ours.map(|decision| &decision.verdict), first) {
        (None, _) => Outcome::Untold,
        (Some(Verdict::Allowed(allowed)), _) => Outcome::Allowed(allowed.inbound_rule.clone()),
        (Some(Verdict::Denied(denied)), Some(first)) if denied.reason == Reason::DuplicateTarget => {
            Outcome::Shadowed(first)
        }
        (Some(Verdict::Denied(denied)), _) => Outcome::Denied(denied.clone()),
    }
}

/// Whether a denial does not depend on what was made up.
fn is_certain(denied: &Denied, source: &Source, target: &Target, theirs: Option<&Policy>) -> bool {
    match denied.reason {
        Reason::MissingTargetConfig | Reason::InboundNotAuthorized | Reason::InputsNotAccepted => true,
        Reason::RefNotAccepted => target.git_ref.is_some() || names_its_branches(source),
        // Of the inbound target that came nearest: a text without variables is always refused.
        Reason::ValueNotAccepted => {
            let line = denied.inbound_rule.as_ref().map(|nearest| nearest.line);
            let mut targets = theirs.into_iter().flat_map(|theirs| theirs.inbound()).flat_map(|rule| &rule.targets);
            targets.find(|accepted| Some(accepted.line) == line).is_some_and(|accepted| {
                target.inputs.iter().filter(|(_, template)| template.names().next().is_none()).any(
                    |(name, template)| {
                        accepted
                            .accept_inputs
                            .get(name)
                            .and_then(|accept| accept.refuses(&template.literal()))
                            .is_some()
                    },
                )
            })
        }
        _ => false,
    }
}

/// Whether a run's branch can be no other than one that the rule names.
fn names_its_branches(source: &Source) -> bool {
    let Source::WorkflowRun(source) = source else { return false };
    source.branches.as_ref().is_some_and(|branches| !branches.has_wildcards())
}
