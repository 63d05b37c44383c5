//! One target: what the source's side says of it, then whether the target's side agrees.

use std::collections::{BTreeMap, BTreeSet};

use super::consent::Consent;
use super::known::{EdgeKey, Identity, Known, LaneKey, Lookup, Missing, PolicyAnswer, PolicyFile};
use super::plan::{Allowed, Decision, Denied, Verdict, Visibility};
use super::source::{Case, FittingRule};
use crate::chain::{Chain, Place};
use crate::diagnostic::{Diagnostics, Severity};
use crate::name::GitRef;
use crate::policy::{Policy, PolicyPath, RuleLocation, Start, Target, WorkflowRunSource};
use crate::quote::quote;
use crate::reason::Reason;
use crate::request::{DispatchRequest, WorkflowDispatch};
use crate::template::{Template, Variable};

/// A target entry of a rule that fits.
pub(super) struct Entry<'a> {
    source: &'a WorkflowRunSource,
    target: &'a Target,
    place: Place,
    outbound_rule: RuleLocation,
    /// What would be sent, or why nothing is, as far as the source's side can tell.
    prepared: Result<Prepared, Denied>,
}

/// What would be sent.
pub(super) struct Prepared {
    pub(super) request: WorkflowDispatch,
    chain: Chain,
}

/// All target entries of the rules, in the order of the file.
pub(super) fn prepare<'a>(case: &Case<'_>, rules: Vec<FittingRule<'a>>, chain: &Chain) -> Vec<Entry<'a>> {
    let mut seen = BTreeSet::new();
    let mut considered = 0;
    let mut entries = Vec::new();
    for FittingRule { path, rule, source } in rules {
        for target in &rule.targets {
            let place = Place { repository: target.repository.clone(), start: target.start.clone() };
            let first = seen.insert(place.clone());
            let prepared =
                guard(case, &place, first, &mut considered).and_then(|()| follow(case, target, &place, chain));
            let outbound_rule = RuleLocation { repository: case.repository().clone(), path, line: target.line };
            entries.push(Entry { source, target, place, outbound_rule, prepared });
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
    if *place == case.place() {
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

/// The chain, the inputs and the ref.
fn follow(case: &Case<'_>, target: &Target, place: &Place, chain: &Chain) -> Result<Prepared, Denied> {
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
    let inputs = render(case, &target.inputs)?;
    if let Err(limit) = WorkflowDispatch::check_inputs(&inputs) {
        return Err(Denied { inputs: Some(inputs), ..denied(Reason::PayloadTooLarge, limit.to_string()) });
    }
    let Some(git_ref) = git_ref(case, target) else {
        let message =
            format!("a workflow cannot be started at {}, the run's branch: name a `ref`", case.branch_words());
        return Err(Denied { inputs: Some(inputs), ..denied(Reason::RefNotAccepted, message) });
    };
    let Start::Workflow(workflow) = &target.start else {
        return deny(Reason::InboundNotAuthorized, "events are not decided about".to_owned());
    };
    let request = WorkflowDispatch::new(workflow.clone(), git_ref, inputs);
    let request = request.map_err(|limit| denied(Reason::PayloadTooLarge, limit.to_string()))?;
    Ok(Prepared { request, chain })
}

/// The target's ref, else the run's branch, else the operator's default. None: the branch is nothing to start at.
fn git_ref(case: &Case<'_>, target: &Target) -> Option<GitRef> {
    match (&target.git_ref, &case.run.head_branch) {
        (Some(git_ref), _) => Some(git_ref.clone()),
        (None, Some(branch)) => branch.as_str().parse().ok(),
        (None, None) => Some(case.guardrails.default_ref.value.clone()),
    }
}

fn render(case: &Case<'_>, inputs: &BTreeMap<String, Template>) -> Result<BTreeMap<String, String>, Denied> {
    let mut rendered = BTreeMap::new();
    for (name, template) in inputs {
        let value = template.render(|variable| value_of(case, variable)).map_err(|error| {
            denied(Reason::InputsTemplateError, format!("the input {} cannot be computed: {error}", quote(name)))
        })?;
        rendered.insert(name.clone(), value);
    }
    Ok(rendered)
}

/// The value of a variable for this event. None: it has none.
pub(super) fn value_of(case: &Case<'_>, variable: Variable) -> Option<String> {
    let run = case.run;
    match variable {
        Variable::SourceSha => Some(run.head_sha.to_string()),
        Variable::SourceHeadBranch => run.head_branch.as_ref().map(ToString::to_string),
        Variable::SourceRunId => Some(run.id.to_string()),
        Variable::SourceRunUrl => Some(run.url.clone()).filter(|url| !url.is_empty()),
        Variable::SourceRepo => Some(case.repository().to_string()),
        Variable::SourceWorkflow => Some(case.workflow.to_string()),
        _ => None,
    }
}

impl Entry<'_> {
    /// Decides, or asks for what is missing.
    pub(super) fn decide(self, case: &Case<'_>, known: &Known, missing: &mut Missing) -> Option<Decision> {
        let prepared = match self.prepared {
            Ok(prepared) => prepared,
            Err(denied) => {
                let visibility = visibility(case, &self.place, None);
                let (target, outbound_rule) = (self.place, self.outbound_rule);
                return Some(Decision {
                    target,
                    outbound_rule,
                    verdict: Verdict::Denied(denied),
                    visibility,
                    required: None,
                    report: BTreeSet::new(),
                });
            }
        };

        let repository = &self.place.repository;
        let answer = missing.or_ask(known.policies.get(repository), || Lookup::Policy(repository.clone()));
        let edge = EdgeKey { source: case.repository().clone(), target: repository.clone() };
        let edge = missing.or_ask(known.edges.get(&edge), || Lookup::Edge(edge.clone()));
        let lane = (case.run.attempt > 1).then(|| {
            let branch = case.run.head_branch.clone();
            LaneKey { source: case.place(), branch, target: self.place.clone() }
        });
        let newest = match lane {
            Some(lane) => missing.or_ask(known.lanes.get(&lane), || Lookup::Lane(lane.clone())).copied(),
            None => Some(None),
        };
        let uses = missing.or_ask(known.edge_uses.get(&self.place), || Lookup::EdgeUses(self.place.clone()));
        let (answer, edge, newest, uses) = (answer?, *edge?, newest?, *uses?);

        let verdict = usable_policy(&self.place, answer).and_then(|(identity, path, policy)| {
            let (source, target) = (self.source, self.target);
            let consent = Consent { case, source, target, request: &prepared.request, identity, edge, newest };
            let line = |line| RuleLocation { repository: repository.clone(), path, line };
            match consent.find(policy) {
                Ok(accepted) => match too_often(case, &self.place, uses) {
                    None => Ok((identity, line(accepted.line))),
                    Some(denied) => Err(Denied { inbound_rule: Some(line(accepted.line)), ..denied }),
                },
                Err(gap) => Err(Denied { inbound_rule: gap.line.map(line), ..denied(gap.reason, gap.message) }),
            }
        });
        let verdict = match verdict {
            Ok((identity, inbound_rule)) => Verdict::Allowed(Allowed {
                identity,
                request: DispatchRequest::Workflow(prepared.request),
                inbound_rule,
                chain: prepared.chain,
                environment: None,
            }),
            Err(denied) => Verdict::Denied(Denied {
                git_ref: Some(prepared.request.git_ref().clone()),
                inputs: Some(prepared.request.inputs().clone()),
                ..denied
            }),
        };
        let visibility = visibility(case, &self.place, answer.repository);
        Some(Decision {
            target: self.place,
            outbound_rule: self.outbound_rule,
            verdict,
            visibility,
            required: self.target.required,
            report: BTreeSet::new(),
        })
    }
}

/// The hourly brake: it ends the loops that no chain shows, such as those that go through pushes.
fn too_often(case: &Case<'_>, place: &Place, uses: u32) -> Option<Denied> {
    let most = case.guardrails.max_edge_rate.value;
    (usize::try_from(uses).unwrap_or(usize::MAX) >= most).then(|| {
        denied(
            Reason::EdgeRateExceeded,
            format!(
                "{} has started {} of {} {uses} times within the hour, and DISPATCH_MAX_EDGE_RATE is {most}",
                quote(case.repository()),
                quote(&place.start),
                quote(&place.repository),
            ),
        )
    })
}

fn usable_policy<'a>(place: &Place, answer: &'a PolicyAnswer) -> Result<(Identity, PolicyPath, &'a Policy), Denied> {
    let repository = quote(&place.repository);
    match (&answer.file, answer.repository) {
        (PolicyFile::NotInstalled, _) => {
            deny(Reason::AppNotInstalled, format!("the App is not installed on {repository}"))
        }
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
pub(super) fn first_problem(diagnostics: &Diagnostics) -> String {
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

fn denied(reason: Reason, message: String) -> Denied {
    Denied { reason, message, git_ref: None, inputs: None, inbound_rule: None, releases: None }
}

fn deny<T>(reason: Reason, message: String) -> Result<T, Denied> {
    Err(denied(reason, message))
}
