//! The policy file that a pull request proposes: what is wrong with it, and what would start if it were merged.
//!
//! A decision never uses such a file; only the check `dispatch / policy` does. What would start is found by the decision
//! itself: it is asked about events that a rule is about, with the proposed file on this side and the file in force on the
//! other.
//!
//! Looking is work of its own, a [`ProposalRecord`]: whatever happens to it, nothing that is to be started waits for it.

mod case;
mod record;
#[cfg(test)]
mod tests;
mod text;

use std::collections::BTreeSet;

pub use self::record::ProposalRecord;

use crate::chain::Place;
use crate::decide::{Decision, EdgeKey, Identity, Known, Lookup, PolicyAnswer, PolicyFile, SourceView, decide_with};
use crate::diagnostic::{Diagnostics, Severity, visible};
use crate::event::{Event, PullRequestState};
use crate::guardrail::Guardrails;
use crate::name::{CheckId, Repository};
use crate::notice::{AnnotationLevel, Check, CheckAnnotation, CheckConclusion, CheckStatus};
use crate::policy::{Checked, InboundRule, OutboundRule, Policy, PolicyPath, RuleLocation, Source, two_policy_files};
use crate::ports::github::RepositoryRef;
use crate::ports::pull_requests::FileAt;
use crate::reason::Reason;
use crate::stand_in::{Answered, Case, StandIn};

/// The name of the check.
pub(crate) const CHECK_NAME: &str = "dispatch / policy";
/// How many annotations GitHub takes with one call ("Create a check run").
const MAX_ANNOTATIONS: usize = 50;
/// How many edges are asked about: each may cost two reads at GitHub.
const MAX_EDGES: usize = 50;

/// What a pull request puts in the place of the policy file in force.
pub(crate) struct Proposal<'a> {
    /// What happened to the pull request.
    pub(crate) event: &'a Event,
    /// The pull request.
    pub(crate) pull_request: &'a PullRequestState,
    /// The file; None: it goes, and no other comes.
    pub(crate) file: Option<ProposedFile>,
}

/// The policy file of a pull request's newest commit.
pub(crate) struct ProposedFile {
    pub(crate) path: PolicyPath,
    pub(crate) checked: Checked,
    /// Whether there is a file in the other place too, which does not count.
    pub(crate) hides_another: bool,
}

impl ProposedFile {
    /// What counts of the files in both places, in the order of [`PolicyPath::ALL`].
    pub(crate) fn of(repository: &Repository, files: &[Option<FileAt>; 2]) -> Option<Self> {
        let hides_another = files.iter().all(Option::is_some);
        let (path, file) =
            PolicyPath::ALL.into_iter().zip(files).find_map(|(path, file)| Some((path, file.as_ref()?)))?;
        let checked = Policy::check_in(&file.bytes, repository, path.as_str());
        Some(Self { path, checked, hides_another })
    }
}

/// A rule's source and one of its targets.
struct Edge<'p> {
    direction: Direction,
    /// The other repository.
    other: &'p Repository,
    source: &'p Source,
    target: Place,
    /// In the proposed file.
    line: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Direction {
    /// Something of the other repository is started.
    Out,
    /// The other repository starts something here.
    In,
}

/// What was found out about an edge.
struct Answer<'p> {
    edge: Edge<'p>,
    /// For each event that was asked about, what it is, as the end of a sentence.
    verdicts: Vec<(String, Verdict)>,
}

/// Whether something would be started.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Verdict {
    /// Yes; the line of the other side's file that says so, where it may be seen.
    Allowed(Option<RuleLocation>),
    /// No, and why, as far as it may be seen.
    Denied(Option<Reason>, String),
    /// It depends on what is sent: this was assumed, and then the answer is no, and why.
    Depends(String, Option<Reason>, String),
}

impl Proposal<'_> {
    /// What must be known to say what would start: policy files and edges of others.
    pub(crate) fn lookups(&self, guardrails: &Guardrails) -> BTreeSet<Lookup> {
        let own = &self.event.repository.name;
        let edges = self.policy().into_iter().flat_map(|policy| edges(policy, own)).take(MAX_EDGES);
        let served = edges.filter(|edge| edge.direction.is_served(edge.other, guardrails));
        served
            .flat_map(|edge| {
                let (source, target) = match edge.direction {
                    Direction::Out => (own, edge.other),
                    Direction::In => (edge.other, own),
                };
                let policy = (edge.other != own).then(|| Lookup::Policy(edge.other.clone()));
                let edge = Lookup::Edge(EdgeKey { source: source.clone(), target: target.clone() });
                let owners = [source, target].map(|repository| repository.owner().dot_github());
                let limits = owners.into_iter().flat_map(|it| [Lookup::Policy(it.clone()), Lookup::LimitsSeen(it)]);
                policy.into_iter().chain([edge]).chain(limits)
            })
            .collect()
    }

    /// The check. `known`: what was looked up, for a pull request of somebody who may write; None for everybody else, who is
    /// told of the file's own problems only.
    pub(crate) fn check(&self, known: Option<&Known>, guardrails: &Guardrails) -> Option<Check> {
        let answers = known.map(|known| self.ask(known, guardrails));
        let problems = self.problems();
        let (title, summary) = text::write(self, &problems, answers.as_ref());
        let repository = &self.event.repository;
        let mut verdicts = answers.iter().flat_map(|answers| &answers.known).flat_map(|answer| &answer.verdicts);
        let conclusion = if problems.has_errors() {
            CheckConclusion::Failure
        } else if self.file.is_none()
            || !problems.problems.is_empty()
            || answers.as_ref().is_some_and(|answers| answers.more > 0)
            || !verdicts.all(|(_, verdict)| matches!(verdict, Verdict::Allowed(_)))
        {
            CheckConclusion::Neutral
        } else {
            CheckConclusion::Success
        };
        Some(Check {
            id: CheckId::of_policy(repository.id, &self.pull_request.head_sha)?,
            repository: RepositoryRef { id: repository.id, name: repository.name.clone() },
            head_sha: self.pull_request.head_sha.clone(),
            name: CHECK_NAME.to_owned(),
            origin: None,
            status: CheckStatus::Completed(conclusion),
            title,
            summary,
            details_url: None,
            annotations: annotations(&problems),
        })
    }

    fn policy(&self) -> Option<&Policy> {
        self.file.as_ref()?.checked.policy.as_ref()
    }

    /// What is wrong with the file, and with there being another one.
    fn problems(&self) -> Diagnostics {
        let Some(file) = &self.file else { return Diagnostics::new(PolicyPath::Root.as_str(), Vec::new()) };
        let mut problems = file.checked.diagnostics.problems.clone();
        if file.hides_another {
            problems.push(two_policy_files());
        }
        Diagnostics::new(file.path.as_str(), problems)
    }

    fn ask<'p>(&'p self, known: &Known, guardrails: &Guardrails) -> Answers<'p> {
        let Some((policy, file)) = self.policy().zip(self.file.as_ref()) else { return Answers::default() };
        let own = &self.event.repository;
        let identity = Identity::Verified { id: own.id, private: own.private };
        let found = PolicyFile::Found { path: file.path, policy: policy.clone().into() };
        let proposed = PolicyAnswer { repository: Some(identity), file: found };
        let mut edges = edges(policy, &own.name);
        let asked = edges.by_ref().take(MAX_EDGES);
        let asked = asked.map(|edge| self.answer(edge, &proposed, known, guardrails)).collect();
        Answers { known: asked, more: edges.count() }
    }

    fn answer<'p>(
        &self,
        edge: Edge<'p>,
        proposed: &PolicyAnswer,
        known: &Known,
        guardrails: &Guardrails,
    ) -> Answer<'p> {
        let verdicts = |stand_in| {
            let cases = Case::of(self, edge.source, edge.direction, edge.other, known, stand_in).into_iter();
            cases.map(|case| {
                let verdict = self.verdict(&edge, &case, proposed, known, guardrails);
                (case, verdict)
            })
        };
        let [one, another] = StandIn::BOTH;
        let verdicts = verdicts(one).zip(verdicts(another)).map(|((case, verdict), (other_case, other))| {
            (case.words, verdict.or_depends(case.assumed, other, other_case.assumed))
        });
        Answer { verdicts: verdicts.collect(), edge }
    }

    /// What is decided about one case of an edge.
    fn verdict(
        &self,
        edge: &Edge<'_>,
        case: &Case,
        proposed: &PolicyAnswer,
        known: &Known,
        guardrails: &Guardrails,
    ) -> Verdict {
        let own = &self.event.repository.name;
        let mut answers = Answered { own, proposed, known, case, target: &edge.target };
        let plan = decide_with(&case.event, guardrails, &mut answers);
        let mut decisions = plan.decisions.iter().filter(|decision| decision.target == edge.target);
        match (&plan.skipped, edge.direction) {
            (Some(skipped), Direction::Out) => Verdict::Denied(Some(skipped.reason), skipped.message.clone()),
            (Some(skipped), Direction::In) => {
                self.seen_from_here(edge, known, Verdict::Denied(Some(skipped.reason), skipped.message.clone()))
            }
            (None, Direction::Out) => {
                let ours = decisions.find(|decision| decision.outbound_rule.line == edge.line);
                ours.map_or_else(nothing_of_it, outwards)
            }
            (None, Direction::In) => {
                let all: Vec<_> = decisions.collect();
                let best = all.iter().find(|decision| decision.allowed().is_some()).or(all.first());
                let verdict = best.map_or_else(nothing_of_it, |decision| inwards(decision));
                self.seen_from_here(edge, known, verdict)
            }
        }
    }

    /// What the readers of this repository may see of what another repository's file says: the same as that repository's
    /// readers may see of this one's.
    fn seen_from_here(&self, edge: &Edge<'_>, known: &Known, verdict: Verdict) -> Verdict {
        let (own, other) = (&self.event.repository, edge.other);
        let other_private = match known.policies.get(other).and_then(|answer| answer.repository) {
            Some(Identity::Verified { private, .. }) => private,
            Some(Identity::Assumed) | None => *other != own.name,
        };
        match (verdict, edge.direction) {
            (verdict, _) if own.name.same_owner(other) && (own.private || !other_private) => verdict,
            (Verdict::Allowed(_), _) => Verdict::Allowed(None),
            (_, Direction::Out) => Verdict::Denied(None, SourceView::HIDDEN.to_owned()),
            (_, Direction::In) => Verdict::Denied(None, "the source has not agreed or does not exist".to_owned()),
        }
    }
}

impl Verdict {
    /// What is the same whatever was assumed; or that it depends on it.
    fn or_depends(self, assumed: String, other: Self, other_assumed: String) -> Self {
        match (self, other) {
            (Self::Allowed(_), Self::Denied(reason, message)) => Self::Depends(other_assumed, reason, message),
            (Self::Denied(reason, message), Self::Allowed(_)) => Self::Depends(assumed, reason, message),
            (Self::Denied(Some(Reason::ValueNotAccepted), message), Self::Denied(_, other)) if message != other => {
                Self::Depends(assumed, Some(Reason::ValueNotAccepted), message)
            }
            (verdict, _) => verdict,
        }
    }
}

/// What was found out about the edges of a file.
#[derive(Default)]
struct Answers<'p> {
    known: Vec<Answer<'p>>,
    /// How many edges were not asked about.
    more: usize,
}

impl Direction {
    /// Whether the operator lets the other repository be looked at for this.
    fn is_served(self, other: &Repository, guardrails: &Guardrails) -> bool {
        let list = match self {
            Self::Out => &guardrails.target_repositories.value,
            Self::In if !guardrails.owners.value.allow(&other.owner()) => return false,
            Self::In => &guardrails.source_repositories.value,
        };
        list.as_ref().is_none_or(|list| list.matches_ignore_case(other.as_str()))
    }
}

/// Every rule's every target, in the order of the file.
fn edges<'p>(policy: &'p Policy, own: &'p Repository) -> impl Iterator<Item = Edge<'p>> {
    let out = policy.outbound().iter().flat_map(|OutboundRule { source, targets, .. }| {
        targets.iter().map(move |target| Edge {
            direction: Direction::Out,
            other: &target.repository,
            source,
            target: Place { repository: target.repository.clone(), start: target.start.clone() },
            line: target.line,
        })
    });
    let inbound = policy.inbound().iter().flat_map(move |InboundRule { repository, source, targets, .. }| {
        targets.iter().map(move |target| Edge {
            direction: Direction::In,
            other: repository,
            source,
            target: Place { repository: own.clone(), start: target.start.clone() },
            line: target.line,
        })
    });
    out.chain(inbound)
}

fn outwards(decision: &Decision) -> Verdict {
    let SourceView { allowed, reason, message, inbound_rule, .. } = decision.for_source();
    if allowed { Verdict::Allowed(inbound_rule.cloned()) } else { Verdict::Denied(reason, message) }
}

fn inwards(decision: &Decision) -> Verdict {
    match decision.denied() {
        None => Verdict::Allowed(Some(decision.outbound_rule.clone())),
        Some(denied) => Verdict::Denied(Some(denied.reason), denied.message.clone()),
    }
}

fn nothing_of_it() -> Verdict {
    Verdict::Denied(Some(Reason::NoRuleMatched), "no outbound rule of the source starts it".to_owned())
}

/// The problems at their lines, the errors first where they are too many.
fn annotations(diagnostics: &Diagnostics) -> Vec<CheckAnnotation> {
    let mut problems: Vec<_> = diagnostics.problems.iter().collect();
    problems.sort_by_key(|problem| problem.severity);
    problems.truncate(MAX_ANNOTATIONS);
    problems.sort_by_key(|problem| problem.span);
    let annotation = |problem: &crate::diagnostic::Diagnostic| {
        let mut message = format!("{}\n{}", visible(&problem.message), visible(&problem.label));
        if let Some(help) = &problem.help {
            message.push_str(&format!("\nhelp: {}", visible(help)));
        }
        let hidden_file = problem.code == two_policy_files().code;
        let path = if hidden_file { PolicyPath::DotGithub.as_str() } else { &diagnostics.file };
        CheckAnnotation {
            path: path.to_owned(),
            start_line: problem.span.line.max(1),
            end_line: problem.span.line.max(1),
            level: match problem.severity {
                Severity::Error => AnnotationLevel::Failure,
                Severity::Warning => AnnotationLevel::Warning,
            },
            title: problem.code.to_string(),
            message: message.chars().take(MAX_MESSAGE).collect(),
        }
    };
    problems.into_iter().map(annotation).collect()
}

/// The longest message of an annotation, in characters of at most four bytes: GitHub takes 64 KiB. All annotations together
/// are one record, and must be much less than what a store takes.
const MAX_MESSAGE: usize = 1_024;
