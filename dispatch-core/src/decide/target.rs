//! One target: what the source's side says of it, then whether the target's side agrees.

use std::collections::{BTreeMap, BTreeSet};

use super::case::{Case, Cause};
use super::consent::Consent;
use super::environment;
use super::known::{EdgeKey, Identity, Known, LaneKey, Lookup, Missing, PolicyAnswer, PolicyFile};
use super::limits;
use super::plan::{Allowed, Decision, Denied, Verdict, Visibility};
use super::source::FittingRule;
use crate::chain::{Chain, Place};
use crate::diagnostic::{Diagnostics, Severity, visible};
use crate::environment::EnvironmentUse;
use crate::name::{EventType, GitRef, WorkflowFile};
use crate::policy::{Channel, Policy, PolicyPath, RuleLocation, Source, Start, Target};
use crate::quote::quote;
use crate::reason::Reason;
use crate::request::{DispatchRequest, RepositoryDispatch, WorkflowDispatch};
use crate::template::RenderError;

/// A target entry of a rule that fits.
pub(super) struct Entry<'a> {
    source: &'a Source,
    target: &'a Target,
    place: Place,
    outbound_rule: RuleLocation,
    /// Which of the event's targets that the operator lets be started it is, from 1.
    number: usize,
    /// What would be sent, or why nothing is, as far as the source's side can tell. None: an answer is missing.
    prepared: Option<Result<Prepared, Denied>>,
}

/// What would be sent.
pub(super) struct Prepared {
    pub(super) request: DispatchRequest,
    chain: Chain,
    environment: Option<EnvironmentUse>,
}

/// The source's policy and what else the source's side is prepared from.
pub(super) struct SourceSide<'a> {
    pub(super) policy: &'a Policy,
    pub(super) chain: Chain,
}

/// All target entries of the rules, in the order of the file.
pub(super) fn prepare<'a>(
    case: &Case<'_>,
    rules: Vec<FittingRule<'a>>,
    side: &SourceSide<'_>,
    known: &Known,
    missing: &mut Missing,
) -> Vec<Entry<'a>> {
    let mut seen = BTreeSet::new();
    let mut considered = 0;
    let mut entries = Vec::new();
    for FittingRule { path, rule, targets } in rules {
        for target in targets {
            let place = Place { repository: target.repository.clone(), start: target.start.clone() };
            let first = seen.insert(place.clone());
            let prepared = match guard(case, &place, first, &mut considered) {
                Ok(()) => follow(case, (&rule.source, target), (&place, considered), side, known, missing),
                Err(denied) => Some(Err(denied)),
            };
            let number = considered;
            let outbound_rule = RuleLocation { repository: case.repository().clone(), path, line: target.line };
            entries.push(Entry { source: &rule.source, target, place, outbound_rule, number, prepared });
        }
    }
    entries
}

/// The operator's limits on targets.
fn guard(case: &Case<'_>, place: &Place, first: bool, considered: &mut usize) -> Result<(), Denied> {
    let (repository, start) = (quote(&place.repository), quote(&place.start));
    if !first {
        return deny(Reason::DuplicateTarget, format!("{start} of {repository} was already considered for this event"));
    }
    if matches!(case.cause, Cause::Run { .. }) && case.place().as_ref() == Some(place) {
        return deny(Reason::SelfDispatchBlocked, format!("{start} of {repository} cannot start itself"));
    }
    let limits = case.guardrails;
    let list = limits.target_repositories.value.as_ref();
    if !list.is_none_or(|list| list.matches_ignore_case(place.repository.as_str())) {
        return deny(
            Reason::TargetRepoNotAllowlisted,
            format!("the operator lets nothing start in {repository}: TARGET_REPO_ALLOWLIST does not have it"),
        );
    }
    *considered += 1;
    let most = limits.max_targets.value;
    if *considered > most {
        return deny(
            Reason::MaxTargetsExceeded,
            format!(
                "{start} of {repository} is target number {considered} of this event, and DISPATCH_MAX_TARGETS_PER_RUN is {most}"
            ),
        );
    }
    Ok(())
}

/// The chain, the environment, the values and the ref. None: an answer is missing.
fn follow(
    case: &Case<'_>,
    (source, target): (&Source, &Target),
    (place, number): (&Place, usize),
    side: &SourceSide<'_>,
    known: &Known,
    missing: &mut Missing,
) -> Option<Result<Prepared, Denied>> {
    let chain = match go_on(case, place, &side.chain) {
        Ok(chain) => chain,
        Err(denied) => return Some(Err(denied)),
    };
    let limits = case.limits.as_ref();
    if let Some((reason, message)) = limits.and_then(|it| it.beyond_for_target(place, number, chain.depth())) {
        return Some(deny(reason, message));
    }
    let environment = match environment::resolve(case, side.policy, (source, target), known, missing)? {
        Ok(environment) => environment,
        Err(denied) => return Some(Err(denied)),
    };
    let request = match &target.start {
        Start::Workflow(workflow) => workflow_request(case, target, workflow, environment.as_ref()),
        Start::Event(event) => event_request(case, target, event, environment.as_ref()),
    };
    Some(request.map(|request| Prepared { request, chain, environment }))
}

/// The chain with this place at its end.
fn go_on(case: &Case<'_>, place: &Place, chain: &Chain) -> Result<Chain, Denied> {
    if chain.contains(place) {
        return deny(
            Reason::LoopDetected,
            format!(
                "the chain that led to this run has already been at {} of {}",
                quote(&place.start),
                quote(&place.repository)
            ),
        );
    }
    let (chain, most) = (chain.then(place.clone()), case.guardrails.max_chain_depth.value);
    if chain.depth() > most {
        return deny(
            Reason::ChainTooDeep,
            format!(
                "this would be dispatch number {} of its chain, and DISPATCH_MAX_CHAIN_DEPTH is {most}",
                chain.depth()
            ),
        );
    }
    Ok(chain)
}

fn workflow_request(
    case: &Case<'_>,
    target: &Target,
    workflow: &WorkflowFile,
    environment: Option<&EnvironmentUse>,
) -> Result<DispatchRequest, Denied> {
    let mut inputs = BTreeMap::new();
    for (name, template) in &target.inputs {
        let value = template.render(|variable| case.value_of(variable, environment));
        inputs.insert(name.clone(), value.map_err(|error| no_value("input", name, &error))?);
    }
    if let Err(limit) = WorkflowDispatch::check_inputs(&inputs) {
        return Err(Denied { inputs: Some(inputs), ..denied(Reason::PayloadTooLarge, limit.to_string()) });
    }
    let Some(git_ref) = git_ref(case, target) else {
        let message =
            format!("a workflow cannot be started at {}, the run's branch: name a `ref`", case.branch_words());
        return Err(Denied { inputs: Some(inputs), ..denied(Reason::RefNotAccepted, message) });
    };
    let request = WorkflowDispatch::new(workflow.clone(), git_ref, inputs);
    let request = request.map_err(|limit| denied(Reason::PayloadTooLarge, limit.to_string()))?;
    Ok(DispatchRequest::Workflow(request))
}

fn event_request(
    case: &Case<'_>,
    target: &Target,
    event: &EventType,
    environment: Option<&EnvironmentUse>,
) -> Result<DispatchRequest, Denied> {
    let mut payload = BTreeMap::new();
    for (name, template) in &target.inputs {
        let value = template.render_json(|variable| case.value_of(variable, environment));
        payload.insert(name.clone(), value.map_err(|error| no_value("property", name, &error))?);
    }
    let as_text = payload.iter().map(|(name, value)| (name.clone(), crate::request::as_text(value))).collect();
    let request = RepositoryDispatch::new(event.clone(), payload)
        .map_err(|limit| Denied { inputs: Some(as_text), ..denied(Reason::PayloadTooLarge, limit.to_string()) })?;
    Ok(DispatchRequest::Event(request))
}

fn no_value(what: &str, name: &str, error: &RenderError) -> Denied {
    denied(Reason::InputsTemplateError, format!("the {what} {} cannot be computed: {error}", quote(name)))
}

/// The target's ref, else the run's branch, else the owner's default, else the operator's. None: the branch is nothing to start at.
fn git_ref(case: &Case<'_>, target: &Target) -> Option<GitRef> {
    match (&target.git_ref, case.run().and_then(|run| run.head_branch.as_ref())) {
        (Some(git_ref), _) => Some(git_ref.clone()),
        (None, Some(branch)) => branch.as_str().parse().ok(),
        (None, None) => {
            let of_owner = case.limits.as_ref().and_then(|limits| limits.default_ref());
            Some(of_owner.unwrap_or(&case.guardrails.default_ref.value).clone())
        }
    }
}

impl Entry<'_> {
    /// Decides, or asks for what is missing.
    pub(super) fn decide(self, case: &Case<'_>, known: &Known, missing: &mut Missing) -> Option<Decision> {
        let (required, report) = (self.target.required, self.report());
        let prepared = match self.prepared? {
            Ok(prepared) => prepared,
            Err(denied) => {
                let visibility = visibility(case, &self.place, None);
                let (target, outbound_rule) = (self.place, self.outbound_rule);
                return Some(Decision {
                    target,
                    outbound_rule,
                    verdict: Verdict::Denied(denied),
                    visibility,
                    required,
                    report,
                });
            }
        };

        let repository = &self.place.repository;
        let answer = missing.or_ask(known.policies.get(repository), || Lookup::Policy(repository.clone()));
        let edge = EdgeKey { source: case.repository().clone(), target: repository.clone() };
        let edge = missing.or_ask(known.edges.get(&edge), || Lookup::Edge(edge.clone()));
        let lane = case.run().filter(|run| run.attempt > 1 || case.again).and_then(|run| {
            let branch = run.head_branch.clone();
            Some(LaneKey { source: case.place()?, branch, target: self.place.clone() })
        });
        let newest = match lane {
            Some(lane) => missing.or_ask(known.lanes.get(&lane), || Lookup::Lane(lane.clone())).copied(),
            None => Some(None),
        };
        let uses = missing.or_ask(known.edge_uses.get(&self.place), || Lookup::EdgeUses(self.place.clone()));
        let limits = limits::of_target(case, repository, known, missing);
        let (answer, edge, newest, uses, limits) = (answer?, *edge?, newest?, *uses?, limits?);

        let beyond = limits::beyond(case, limits, &self.place, (self.number, prepared.chain.depth(), uses));
        let usable = beyond.map_or_else(|| usable_policy(&self.place, answer), Err);
        let verdict = usable.and_then(|(identity, path, policy)| {
            let (source, target) = (self.source, self.target);
            let (request, environment) = (&prepared.request, prepared.environment.as_ref());
            let consent = Consent { case, source, target, request, environment, identity, edge, newest };
            let line = |line| RuleLocation { repository: repository.clone(), path, line };
            match consent.find(policy) {
                Ok(accepted) => match case.guardrails.too_often(case.repository(), &self.place, uses) {
                    None => Ok((identity, line(accepted.line))),
                    Some(message) => Err(Denied {
                        inbound_rule: Some(line(accepted.line)),
                        ..denied(Reason::EdgeRateExceeded, message)
                    }),
                },
                Err(gap) => Err(Denied { inbound_rule: gap.line.map(line), ..denied(gap.reason, gap.message) }),
            }
        });
        let verdict = match verdict {
            Ok((identity, inbound_rule)) => Verdict::Allowed(Allowed {
                identity,
                request: prepared.request,
                inbound_rule,
                chain: prepared.chain,
                environment: prepared.environment.map(Box::new),
            }),
            Err(denied) => Verdict::Denied(Denied {
                git_ref: prepared.request.git_ref().cloned(),
                inputs: Some(prepared.request.values()),
                ..denied
            }),
        };
        let visibility = visibility(case, &self.place, answer.repository);
        Some(Decision { target: self.place, outbound_rule: self.outbound_rule, verdict, visibility, required, report })
    }

    /// Where the result is told.
    fn report(&self) -> BTreeSet<Channel> {
        self.target.report.clone().unwrap_or_else(|| Channel::default_for(self.source))
    }
}

fn usable_policy<'a>(place: &Place, answer: &'a PolicyAnswer) -> Result<(Identity, PolicyPath, &'a Policy), Denied> {
    let repository = quote(&place.repository);
    match (&answer.file, answer.repository) {
        (PolicyFile::NotInstalled, _) => {
            deny(Reason::AppNotInstalled, format!("the App is not installed on {repository}"))
        }
        (PolicyFile::Refused(why), _) => deny(
            Reason::UnreadableTargetConfig,
            format!("the policy file of {repository} cannot be read: {}", visible(why)),
        ),
        (_, None) => deny(Reason::MissingTargetConfig, format!("there is no repository {repository}")),
        (PolicyFile::Absent, _) => deny(
            Reason::MissingTargetConfig,
            format!("{repository} has neither `dispatching.yml` nor `.github/dispatching.yml`"),
        ),
        (PolicyFile::Invalid { path, diagnostics }, _) => deny(
            Reason::InvalidTargetConfig,
            format!("{}: {}", quote(format_args!("{}/{path}", place.repository)), first_problem(diagnostics)),
        ),
        (PolicyFile::Found { path, policy }, Some(identity)) => Ok((identity, *path, policy)),
    }
}

/// The first error of a file, as part of a sentence.
pub(crate) fn first_problem(diagnostics: &Diagnostics) -> String {
    match diagnostics.problems.iter().find(|problem| problem.severity == Severity::Error) {
        Some(problem) => format!("line {}: {}", problem.span.line, problem.message),
        None => "the file has errors".to_owned(),
    }
}

/// Promise: the source's readers see the target's details only if both have one owner, and the target is not private
/// where the source is public. A target about which nothing is known is taken for private.
fn visibility(case: &Case<'_>, place: &Place, target: Option<Identity>) -> Visibility {
    let source = &case.event.repository;
    let target_private = match target {
        Some(Identity::Verified { private, .. }) => private,
        Some(Identity::Assumed) => false,
        None => true,
    };
    if source.name.same_owner(&place.repository) && (source.private || !target_private) {
        Visibility::Source
    } else {
        Visibility::Target
    }
}

pub(super) fn denied(reason: Reason, message: String) -> Denied {
    Denied { reason, message, git_ref: None, inputs: None, inbound_rule: None, releases: None }
}

pub(super) fn deny<T>(reason: Reason, message: String) -> Result<T, Denied> {
    Err(denied(reason, message))
}
