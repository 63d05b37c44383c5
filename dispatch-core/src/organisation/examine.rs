//! The edges between repositories, and what is wrong with them.

use std::collections::{BTreeMap, BTreeSet};

use super::ask::{self, Answer, Asker};
use super::finding::{self, At, FindingKind};
use super::loops::{By, Loop, Ran, Steps};
use super::{Agreement, Edge, Examination, Finding, Organisation, RepositoryFiles, workflows};
use crate::chain::Place;
use crate::decide::Denied;
use crate::guardrail::Guardrails;
use crate::name::Repository;
use crate::policy::{InboundRule, InboundTarget, OutboundRule, Policy, RuleLocation, Source, Start, Target};
use crate::quote::{quote, quote_all};
use crate::reason::Reason;

/// How many targets of one file are examined, on either side. Each is compared with the rules of the other side.
const MAX_TARGETS: usize = 1_000;
/// How many places of a loop a message names.
const MAX_PLACES_TOLD: usize = 50;

pub(super) fn examine(organisation: &Organisation, guardrails: &Guardrails) -> Examination {
    let Some(asker) = Asker::new(&organisation.known, guardrails) else { return Examination::default() };
    let found =
        Examination { repositories: organisation.repositories.keys().cloned().collect(), ..Examination::default() };
    let mut examiner = Examiner { organisation, asker, found, consents: BTreeMap::new(), loose: BTreeSet::new() };
    for (own, files) in &organisation.repositories {
        if let Some(policy) = files.rules() {
            examiner.outbound(own, files, policy);
        }
    }
    for (own, files) in &organisation.repositories {
        if let Some(policy) = files.rules() {
            examiner.inbound(own, files, policy);
        }
    }
    examiner.loops();
    let mut found = examiner.found;
    let place = |found: &Finding| (found.repository.clone(), found.problem.span, found.problem.code.clone());
    found.findings.sort_by_cached_key(place);
    found
}

struct Examiner<'a> {
    organisation: &'a Organisation,
    asker: Asker<'a>,
    found: Examination,
    /// What is known of the lines of inbound targets, by the repository whose file has them.
    consents: BTreeMap<&'a Repository, Consents>,
    /// Inbound targets that were told of because they accept any value.
    loose: BTreeSet<(Repository, u32)>,
}

/// What outbound rules found in a file of consents.
#[derive(Default)]
struct Consents {
    /// Lines that accepted something, or that could be meant.
    met: BTreeSet<u32>,
    /// Lines whose events an earlier line accepts.
    covered: BTreeMap<u32, u32>,
}

impl<'a> Examiner<'a> {
    fn files(&self, repository: &Repository) -> Option<&'a RepositoryFiles> {
        self.organisation.repositories.get(repository)
    }

    /// What the rules of a repository want of others.
    fn outbound(&mut self, own: &'a Repository, files: &'a RepositoryFiles, policy: &'a Policy) {
        let mut too_many = BTreeSet::new();
        let all = policy.outbound().iter().flat_map(|rule| rule.targets.iter().map(move |target| (rule, target)));
        for (position, (rule, target)) in all.enumerate() {
            if position >= MAX_TARGETS {
                self.not_all(own, files, target.line);
                break;
            }
            let wanted = Wanted { own, files, policy, rule, target };
            let denied = self.target(&wanted);
            // One finding for all targets of an event.
            if denied == Some(Reason::MaxTargetsExceeded) && too_many.insert(source_label(&rule.source)) {
                let message =
                    format!("{} has too many targets: this one is past the limit", quote(source_label(&rule.source)));
                self.find(&finding::TOO_MANY_TARGETS, &wanted, "the first one that is not started", message, |it| it);
            }
        }
    }

    /// Asks about one target. Why it is denied, if it is.
    fn target(&mut self, wanted: &Wanted<'a>) -> Option<Reason> {
        let Wanted { own, files, policy, rule, target } = *wanted;
        let Some(theirs) = self.files(&target.repository) else {
            self.found.unknown.insert(target.repository.clone());
            self.edge(wanted, Agreement::Unknown, None, None);
            return None;
        };
        let Answer { agreement, accepting, covered } =
            self.asker.ask((own, policy), rule, target, theirs.rules().map(|policy| &**policy));
        let consents = self.consents.entry(&target.repository).or_default();
        consents.met.extend(accepting);
        consents.covered.extend(covered);
        let consent = match &agreement {
            ask::Agreement::Agreed(line) => Some(line.line),
            _ => None,
        };
        workflows::of_outbound((own, files), target, (theirs, consent), &mut self.found.findings);
        match agreement {
            ask::Agreement::Agreed(line) => {
                self.agreed(wanted, theirs, line.line);
                self.edge(wanted, Agreement::Agreed, None, Some(line));
                None
            }
            ask::Agreement::Untold => {
                self.edge(wanted, Agreement::Unknown, None, None);
                None
            }
            ask::Agreement::Shadowed(earlier) => {
                let (start, to) = (quote(&target.start), quote(&target.repository));
                let message = format!("{start} of {to} is started by an earlier rule already");
                let at = At { files, line: earlier, label: "the earlier one" };
                self.find(&finding::SHADOWED_TARGET, wanted, "never counts", message, |it| it.with_policy(&at));
                Some(Reason::DuplicateTarget)
            }
            ask::Agreement::Denied { denied, certain } => {
                let reason = denied.reason;
                let agreement = if certain || !may_depend(reason) { Agreement::Wanted } else { Agreement::Depends };
                self.edge(wanted, agreement, Some(reason), denied.inbound_rule.clone());
                self.denied(wanted, theirs, &denied, certain);
                if let (Agreement::Depends, Some(nearest)) = (agreement, &denied.inbound_rule) {
                    self.agreed(wanted, theirs, nearest.line);
                }
                Some(reason)
            }
        }
    }

    /// What is wrong with a target that is denied.
    fn denied(&mut self, wanted: &Wanted<'_>, theirs: &RepositoryFiles, denied: &Denied, certain: bool) {
        let to = quote(&wanted.target.repository);
        let (kind, label, message, help) = match denied.reason {
            // Its own finding, or those of the file itself, say it.
            Reason::MaxTargetsExceeded | Reason::InvalidTargetConfig => return,
            Reason::InputsTemplateError
                if wanted.files.policy.as_ref().is_some_and(|file| file.checked.has_errors()) =>
            {
                return;
            }
            Reason::SelfDispatchBlocked => {
                let kind = &finding::SELF_DISPATCH;
                (kind, "itself", denied.message.clone(), kind.help)
            }
            _ if certain => {
                let message = format!("{to} does not agree: {}", denied.message);
                (&finding::OUTBOUND_WITHOUT_CONSENT, "can never be started", message, denied.reason.help())
            }
            _ => {
                let message = format!("{to} may not agree: {}", denied.message);
                let kind = &finding::CONSENT_DEPENDS;
                (kind, "was not started by made-up events", message, kind.help)
            }
        };
        let nearest = denied.inbound_rule.as_ref().map(|rule| At {
            files: theirs,
            line: rule.line,
            label: "the nearest consent",
        });
        self.find(kind, wanted, label, message, |found| {
            let found = found.helped_by(help);
            match &nearest {
                Some(nearest) => found.with_policy(nearest),
                None => found,
            }
        });
    }

    /// What is wrong although both sides agree, or may. `line`: the inbound target's.
    fn agreed(&mut self, wanted: &Wanted<'_>, theirs: &RepositoryFiles, line: u32) {
        let Wanted { own, files, policy, target, .. } = *wanted;
        let rules =
            theirs.rules().into_iter().flat_map(|policy| policy.inbound_from(own)).flat_map(|rule| &rule.targets);
        let Some(accepted) = rules.into_iter().find(|accepted| accepted.line == line) else { return };
        let loose = target.inputs.iter().filter(|(name, template)| {
            let any = accepted.accept_inputs.get(*name).is_some_and(|accept| *accept == crate::policy::Accept::any());
            any && template.variables().next().is_some()
        });
        let loose: Vec<_> = loose.map(|(name, _)| name).collect();
        if !loose.is_empty() {
            let message = format!("{} of {} may have any value", quote_all(loose), quote(own));
            let at = At { files: theirs, line, label: "accepts it by name" };
            let sent = At { files, line: target.line, label: "sent here" };
            // One finding for each consent, whoever uses it.
            if self.loose.insert((target.repository.clone(), line)) {
                let found = finding::UNCONSTRAINED_INPUT.at(&target.repository, &at, message);
                self.found.findings.extend(found.map(|found| found.with_policy(&sent)));
            }
        }
        workflows::in_scripts((own, files, policy), target, (theirs, accepted), &mut self.found.findings);
    }

    /// What a repository would accept that nobody wants.
    fn inbound(&mut self, own: &'a Repository, files: &'a RepositoryFiles, policy: &'a Policy) {
        let consents = self.consents.remove(own).unwrap_or_default();
        let all = policy.inbound().iter().flat_map(|rule| rule.targets.iter().map(move |target| (rule, target)));
        for (position, (rule, target)) in all.enumerate() {
            if position >= MAX_TARGETS {
                self.not_all(own, files, target.line);
                break;
            }
            if consents.met.contains(&target.line) {
                continue;
            }
            let agreement = match self.files(&rule.repository) {
                None => {
                    self.found.unknown.insert(rule.repository.clone());
                    Agreement::Unknown
                }
                // What a file with errors wants is not known.
                Some(source) if source.policy.is_some() && source.rules().is_none() => Agreement::Unknown,
                Some(_) => Agreement::Consented,
            };
            workflows::of_inbound(own, files, target, &mut self.found.findings);
            let near = consents.met.contains(&rule.line);
            if agreement == Agreement::Consented && !near {
                let covered = consents.covered.get(&target.line);
                self.unused((own, files), rule, target, covered.copied());
            }
            let path = files.policy.as_ref().map(|policy| policy.path);
            self.found.edges.push(Edge {
                from: rule.repository.clone(),
                source: rule.source.clone(),
                to: own.clone(),
                start: target.start.clone(),
                agreement,
                reason: None,
                outbound: None,
                inbound: path.map(|path| RuleLocation { repository: own.clone(), path, line: target.line }),
                in_loop: false,
            });
        }
    }

    fn unused(
        &mut self,
        (own, files): (&Repository, &RepositoryFiles),
        rule: &InboundRule,
        target: &InboundTarget,
        covered: Option<u32>,
    ) {
        let at = At { files, line: target.line, label: "nobody uses it" };
        let from = quote(&rule.repository);
        let (source, start) = (quote(source_label(&rule.source)), quote(&target.start));
        let found = match covered {
            Some(line) => {
                let message = format!("an earlier rule accepts already what this one accepts from {from}");
                let by = At { files, line, label: "the earlier one" };
                finding::UNUSED_CONSENT.at(own, &at, message).map(|found| found.with_policy(&by))
            }
            None => {
                let message = format!("no outbound rule of {from} starts {start} by {source}");
                finding::UNUSED_CONSENT.at(own, &at, message)
            }
        };
        self.found.findings.extend(found);
    }

    /// Ways that come back to where they began.
    fn loops(&mut self) {
        let mut steps = Steps::default();
        for (number, edge) in self.found.edges.iter().enumerate().filter(|(_, edge)| edge.agreement.is_mutual()) {
            let Source::WorkflowRun(source) = &edge.source else { continue };
            let counts = |by: &By| source.events.as_ref().is_none_or(|events| events.contains(by.as_str()));
            for by in By::ALL.into_iter().filter(counts) {
                let from = Ran { repository: edge.from.clone(), workflow: source.workflow.clone(), by };
                for to in self.started(&edge.to, &edge.start) {
                    steps.add(from.clone(), to, number);
                }
            }
        }
        for Loop { round, all } in steps.loops() {
            all.into_iter().for_each(|number| {
                self.found.edges.get_mut(number).into_iter().for_each(|edge| edge.in_loop = true);
            });
            let round: Vec<_> = round.iter().filter_map(|number| self.found.edges.get(*number)).collect();
            let found = self.told(&round);
            let places = round.iter().map(|edge| Place { repository: edge.to.clone(), start: edge.start.clone() });
            let places = places.collect();
            self.found.findings.extend(found);
            self.found.loops.push(places);
        }
    }

    /// The runs that follow from a start.
    fn started(&self, repository: &Repository, start: &Start) -> Vec<Ran> {
        let ran = |workflow, by| Ran { repository: repository.clone(), workflow, by };
        match start {
            Start::Workflow(file) => vec![ran(file.clone(), By::WorkflowDispatch)],
            Start::Event(_) => {
                let workflows = self.files(repository).and_then(|files| files.workflows.as_ref());
                let listening = workflows.into_iter().flatten().filter(|(_, it)| it.listens(start) == Some(true));
                listening.map(|(file, _)| ran(file.clone(), By::RepositoryDispatch)).collect()
            }
        }
    }

    fn told(&self, round: &[&Edge]) -> Option<Finding> {
        let (first, last) = (round.first()?, round.last()?);
        let at = |edge: &Edge| Some((self.files(&edge.from)?, edge.outbound.as_ref()?.line));
        let (files, line) = at(first)?;
        let begin = format!("{} of {}", quote(source_label(&first.source)), quote(&first.from));
        let mut path: Vec<_> = round
            .iter()
            .take(MAX_PLACES_TOLD)
            .map(|edge| format!("{} of {}", quote(&edge.start), quote(&edge.to)))
            .collect();
        if round.len() > MAX_PLACES_TOLD {
            path.push(format!("{} more", round.len() - MAX_PLACES_TOLD));
        }
        let message = format!("{begin} leads back to itself: {}", path.join(", then "));
        let found =
            finding::DISPATCH_LOOP.at(&first.from, &At { files, line, label: "the loop goes on here" }, message)?;
        Some(match at(last).filter(|_| round.len() > 1) {
            Some((files, line)) => found.with_policy(&At { files, line, label: "it is closed here" }),
            None => found,
        })
    }

    fn edge(
        &mut self,
        wanted: &Wanted<'_>,
        agreement: Agreement,
        reason: Option<Reason>,
        inbound: Option<RuleLocation>,
    ) {
        let Wanted { own, files, rule, target, .. } = *wanted;
        let path = files.policy.as_ref().map(|policy| policy.path);
        self.found.edges.push(Edge {
            from: own.clone(),
            source: rule.source.clone(),
            to: target.repository.clone(),
            start: target.start.clone(),
            agreement,
            reason,
            outbound: path.map(|path| RuleLocation { repository: own.clone(), path, line: target.line }),
            inbound,
            in_loop: false,
        });
    }

    fn find(
        &mut self,
        kind: &FindingKind,
        wanted: &Wanted<'_>,
        label: &str,
        message: String,
        with: impl FnOnce(Finding) -> Finding,
    ) {
        let at = At { files: wanted.files, line: wanted.target.line, label };
        self.found.findings.extend(kind.at(wanted.own, &at, message).map(with));
    }

    fn not_all(&mut self, own: &Repository, files: &RepositoryFiles, line: u32) {
        let message = format!("{} has more than {MAX_TARGETS} targets on one side", quote(own));
        let at = At { files, line, label: "not examined from here on" };
        self.found.findings.extend(finding::NOT_ALL_EXAMINED.at(own, &at, message));
    }
}

/// A target of an outbound rule, and where it stands.
struct Wanted<'a> {
    own: &'a Repository,
    files: &'a RepositoryFiles,
    policy: &'a Policy,
    rule: &'a OutboundRule,
    target: &'a Target,
}

/// Whether a denial can be the made-up event's fault.
fn may_depend(reason: Reason) -> bool {
    !matches!(
        reason,
        Reason::MissingTargetConfig
            | Reason::InvalidTargetConfig
            | Reason::SelfDispatchBlocked
            | Reason::MaxTargetsExceeded
    )
}

/// What a rule is about, in few words: a workflow, a command, or what happens to pull requests.
pub(crate) fn source_label(source: &Source) -> String {
    match source {
        Source::WorkflowRun(source) => source.workflow.to_string(),
        Source::Command(source) => source.command.to_string(),
        Source::PullRequest(source) => {
            let actions: Vec<_> = source.actions.iter().map(ToString::to_string).collect();
            format!("pull request {}", actions.join(", "))
        }
    }
}
