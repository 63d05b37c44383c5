//! The target's side: does one inbound target accept all of it.

use super::case::{Case, source_words};
use super::filter::{Filter, Subject, misfit};
use super::known::{Edge, Identity};
use crate::environment::EnvironmentUse;
use crate::name::GitRef;
use crate::policy::{
    Accept, EnvironmentAction, InboundRule, InboundTarget, Policy, Reruns, Source, Target, ValuePattern, is_harmless,
};
use crate::quote::{quote, quote_all};
use crate::reason::Reason;
use crate::request::DispatchRequest;

/// What is asked of the target's side.
pub(super) struct Consent<'a> {
    pub(super) case: &'a Case<'a>,
    /// The outbound rule's source.
    pub(super) source: &'a Source,
    /// The outbound rule's target.
    pub(super) target: &'a Target,
    pub(super) request: &'a DispatchRequest,
    /// What it does to an environment.
    pub(super) environment: Option<&'a EnvironmentUse>,
    /// The repository behind the target's name.
    pub(super) identity: Identity,
    /// The repositories behind both names, the first time.
    pub(super) edge: Option<Edge>,
    /// The newest run that this lane dispatched, for a re-run.
    pub(super) newest: Option<u64>,
}

/// Why an inbound rule is no consent.
pub(super) struct Gap {
    nearness: Nearness,
    pub(super) reason: Reason,
    pub(super) message: String,
    /// The line in the target's policy file.
    pub(super) line: Option<u32>,
}

/// How near a rule came to consent. The denial names the nearest, the first of equals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Nearness {
    Nothing,
    Workflow,
    Target(Filter),
    Filters,
    Ref,
    Inputs,
    Values,
    Identity,
}

impl Consent<'_> {
    /// The first inbound target that accepts all. A decision pays nothing for rules about other sources.
    pub(super) fn find<'p>(&self, policy: &'p Policy) -> Result<&'p InboundTarget, Gap> {
        let (case, start) = (self.case, &self.target.start);
        let mut nearest: Option<Gap> = None;
        let mut keep = |gap: Gap, line| {
            if nearest.as_ref().is_none_or(|nearest| gap.nearness > nearest.nearness) {
                nearest = Some(Gap { line: Some(line), ..gap });
            }
        };
        for rule in policy.inbound_about(case.repository(), case.happened()) {
            let mut named = false;
            for target in rule.targets.iter().filter(|target| target.start == *start) {
                named = true;
                match self.gap(rule, target) {
                    None => return Ok(target),
                    Some(gap) => keep(gap, target.line),
                }
            }
            if !named {
                let accepted = quote_all(rule.targets.iter().map(|target| &target.start));
                let message = format!("the inbound rule accepts only {accepted}, and not {}", quote(start));
                keep(gap(Nearness::Workflow, Reason::InboundNotAuthorized, message), rule.line);
            }
        }
        Err(nearest.unwrap_or_else(|| self.nobody_named(policy)))
    }

    /// Why there is no consent where no rule names what happened.
    fn nobody_named(&self, policy: &Policy) -> Gap {
        let (case, source) = (self.case, quote(self.case.repository()));
        let (line, message) = match policy.inbound_from(case.repository()).next() {
            Some(rule) => {
                let (named, got) = (source_words(&rule.source), case.words());
                (Some(rule.line), format!("the inbound rule names {named} of {source}, and {got}"))
            }
            None => (None, format!("no inbound rule of {} names {source}", quote(&self.target.repository))),
        };
        Gap { line, ..gap(Nearness::Nothing, Reason::InboundNotAuthorized, message) }
    }

    /// The first condition that an inbound target does not meet.
    fn gap(&self, rule: &InboundRule, target: &InboundTarget) -> Option<Gap> {
        self.filter_gap(&rule.source)
            .or_else(|| self.ref_gap(target))
            .or_else(|| self.input_gap(target))
            .or_else(|| self.value_gap(target))
            .or_else(|| self.identity_gap(rule))
            .or_else(|| self.rerun_gap(&rule.source))
    }

    fn filter_gap(&self, source: &Source) -> Option<Gap> {
        let subject = match self.environment {
            Some(used) if used.action == EnvironmentAction::Destroy => {
                Subject::of_destroying(self.case, &used.description)
            }
            _ => Subject::Event,
        };
        let (filter, message) = misfit(self.case, source, Some(self.source), subject, "the inbound rule")?;
        Some(gap(Nearness::Target(filter), Reason::InboundNotAuthorized, message))
    }

    fn ref_gap(&self, target: &InboundTarget) -> Option<Gap> {
        let accepted = target.accept_refs.as_ref()?;
        let git_ref = self.request.git_ref()?;
        if accepted.matches(branch_or_ref(git_ref)) || accepted.matches(git_ref.as_str()) {
            return None;
        }
        let message =
            format!("the ref is {}, and the target accepts only {}", quote(git_ref), quote_all(accepted.patterns()));
        Some(gap(Nearness::Filters, Reason::RefNotAccepted, message))
    }

    fn input_gap(&self, target: &InboundTarget) -> Option<Gap> {
        let sent = self.target.inputs.keys();
        let refused: Vec<_> = sent.filter(|name| !target.accept_inputs.contains_key(*name)).collect();
        if refused.is_empty() {
            return None;
        }
        let accepted = match target.accept_inputs.is_empty() {
            true => "none".to_owned(),
            false => format!("only {}", quote_all(target.accept_inputs.keys())),
        };
        let message =
            format!("the {} {} are not accepted: the target accepts {accepted}", self.what(), quote_all(refused));
        Some(gap(Nearness::Ref, Reason::InputsNotAccepted, message))
    }

    /// What is sent along, as a plural noun.
    fn what(&self) -> &'static str {
        match self.request {
            DispatchRequest::Workflow(_) => "inputs",
            DispatchRequest::Event(_) => "properties",
        }
    }

    /// The values are what the target accepts, and whatever it accepts, what a stranger can choose must not be able to become
    /// code.
    fn value_gap(&self, target: &InboundTarget) -> Option<Gap> {
        for (name, value) in self.request.values() {
            let Some(accept) = target.accept_inputs.get(&name) else { continue };
            let message = match accept.refuses(&value) {
                Some(wanted) => {
                    format!("{} has the value {}, and the target accepts only {wanted}", quote(&name), quote(&value))
                }
                None => match self.dangerous(&name, accept) {
                    Some(message) => message,
                    None => continue,
                },
            };
            return Some(gap(Nearness::Inputs, Reason::ValueNotAccepted, message));
        }
        None
    }

    /// What a stranger can choose of a value, and what is wrong with it.
    fn dangerous(&self, name: &str, accept: &Accept) -> Option<String> {
        // A login's characters are GitHub's own choice, and a bot's brackets are no code.
        if matches!(accept.pattern, Some(ValuePattern::BranchAny | ValuePattern::Login)) {
            return None;
        }
        let template = self.target.inputs.get(name)?;
        template.variables().filter(|variable| self.case.chosen_by_stranger(*variable)).find_map(|variable| {
            let value = self.case.value_of(variable, self.environment).unwrap_or_default();
            (!is_harmless(&value)).then(|| {
                format!(
                    "{} has the value {} of {}, which anybody can choose and which is not made of letters, digits and \
                     `._/@+#=,-`, or starts with `-`",
                    quote(name),
                    quote(value),
                    quote(variable),
                )
            })
        })
    }

    /// Consent attaches to the repositories, not to their names. A `repository_id` in a rule confirms the repository.
    fn identity_gap(&self, rule: &InboundRule) -> Option<Gap> {
        let changed = |message| Some(gap(Nearness::Values, Reason::RepositoryIdentityChanged, message));
        if let Identity::Verified { id, .. } = self.identity {
            let expected = self.target.repository_id.or(self.edge.map(|edge| edge.target));
            if let Some(expected) = expected.filter(|expected| *expected != id) {
                let name = quote(&self.target.repository);
                return changed(format!(
                    "{name} is now repository {id}, and the source's consent is for repository {expected}"
                ));
            }
        }
        let id = self.case.event.repository.id;
        let expected = rule.repository_id.or(self.edge.map(|edge| edge.source));
        let expected = expected.filter(|expected| *expected != id)?;
        let name = quote(self.case.repository());
        changed(format!("{name} is now repository {id}, and the target's consent is for repository {expected}"))
    }

    fn rerun_gap(&self, source: &Source) -> Option<Gap> {
        let (run, newest) = (self.case.run()?, self.newest?);
        let any = [self.source, source]
            .iter()
            .all(|source| matches!(source, Source::WorkflowRun(source) if source.reruns == Reruns::Any));
        if newest <= run.number || any {
            return None;
        }
        let (number, attempt) = (run.number, run.attempt);
        let message = format!(
            "this is attempt {attempt} of run number {number}, and run number {newest} has been dispatched since; both sides \
             would have to say `reruns: any`",
        );
        Some(gap(Nearness::Identity, Reason::SourceRunSuperseded, message))
    }
}

fn gap(nearness: Nearness, reason: Reason, message: String) -> Gap {
    Gap { nearness, reason, message, line: None }
}

/// What patterns see of a ref: the branch of `refs/heads/...`. A tag must be accepted as `refs/tags/...` where it is
/// written so: it could have the name of an accepted branch.
fn branch_or_ref(git_ref: &GitRef) -> &str {
    git_ref.as_str().strip_prefix("refs/heads/").unwrap_or(git_ref.as_str())
}
