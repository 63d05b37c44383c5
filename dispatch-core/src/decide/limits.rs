//! What owners allow: the limits in the policy files of their `.github` repositories.

use std::collections::BTreeSet;

use super::case::{Case, Cause, branch_words, conclusion_words};
use super::known::{Known, Lookup, Missing, PolicyFile};
use super::plan::Denied;
use super::target::{denied, first_problem};
use crate::chain::Place;
use crate::diagnostic::visible;
use crate::event::{Conclusion, Head};
use crate::guardrail::{Guardrails, OrgPolicy};
use crate::name::{GitRef, Owner, Repository};
use crate::pattern::PatternSet;
use crate::policy::{AtLine, OwnerLimits, PolicyPath, RuleLocation};
use crate::quote::{quote, quote_all};
use crate::reason::Reason;

/// What an owner allows, and where that is written.
pub(super) struct Limits<'a> {
    limits: &'a OwnerLimits,
    repository: Repository,
    path: PolicyPath,
}

/// A limit that something is beyond, as the source's side is told of it.
pub(super) type Beyond = Option<(Reason, String)>;

/// What an owner allows; Ok(None): he says nothing of it. An error says why it cannot be known, and then nothing is allowed.
/// None: an answer is missing.
pub(super) fn of_owner<'a>(
    owner: &Owner,
    guardrails: &Guardrails,
    known: &'a Known,
    missing: &mut Missing,
) -> Option<Result<Option<Limits<'a>>, String>> {
    let repository = owner.dot_github();
    let answer = missing.or_ask(known.policies.get(&repository), || Lookup::Policy(repository.clone()));
    let seen = missing.or_ask(known.limits_seen.get(&repository), || Lookup::LimitsSeen(repository.clone()));
    let (answer, seen) = (answer?, *seen?);
    let required = guardrails.org_policy.value == OrgPolicy::Required;
    let file = |path: &PolicyPath| quote(format_args!("{repository}/{path}")).to_string();
    let unread = |problem: String| if seen || required { Err(problem) } else { Ok(None) };
    Some(match (&answer.file, answer.repository) {
        (PolicyFile::Found { path, policy }, Some(_)) => match policy.limits() {
            Some(limits) => Ok(Some(Limits { limits, repository, path: *path })),
            None if required => Err(format!("{} has no `limits`, and ORG_POLICY is required", file(path))),
            None => Ok(None),
        },
        (PolicyFile::Invalid { path, diagnostics }, _) => {
            Err(format!("{}: {}", file(path), first_problem(diagnostics)))
        }
        // GitHub answers alike where a file is gone and where a token has lost access. To lift limits, their key goes, and
        // the file stays.
        (PolicyFile::Absent, Some(_)) => {
            unread(format!("{} has no policy file, and what it allowed is not known to be lifted", quote(&repository)))
        }
        (PolicyFile::Refused(why), _) => {
            unread(format!("the policy file of {} cannot be read: {}", quote(&repository), visible(why)))
        }
        (PolicyFile::NotInstalled | PolicyFile::Absent | PolicyFile::Found { .. }, _) => {
            unread(format!("there is no repository {}, or the App is not installed on it", quote(&repository)))
        }
    })
}

/// What the target's owner allows, where it is another one than the source's.
pub(super) fn of_target<'a>(
    case: &Case<'_>,
    target: &Repository,
    known: &'a Known,
    missing: &mut Missing,
) -> Option<Result<Option<Limits<'a>>, String>> {
    if case.repository().same_owner(target) {
        return Some(Ok(None));
    }
    of_owner(&target.owner(), case.guardrails, known, missing)
}

/// Why an owner does not allow a target, as far as the target's side or the clock tells. `number`, `depth` and `uses`: see
/// [`Limits`].
pub(super) fn beyond(
    case: &Case<'_>,
    of_target: Result<Option<Limits<'_>>, String>,
    target: &Place,
    (number, depth, uses): (usize, usize, u32),
) -> Option<Denied> {
    let source = case.repository();
    let of_source = case.limits.as_ref().and_then(|limits| limits.beyond_for_use(source, target, uses));
    match (of_source, of_target) {
        (Some((reason, message)), _) => Some(denied(reason, message)),
        (None, Err(problem)) => Some(denied(Reason::TargetLimitsUnknown, problem)),
        (None, Ok(limits)) => {
            let limits = limits?;
            let beyond = limits
                .beyond_for_event(case)
                .or_else(|| limits.beyond_for_target(target, number, depth))
                .or_else(|| limits.beyond_for_use(source, target, uses));
            beyond.map(|(_, message)| denied(Reason::TargetLimitsExceeded, message))
        }
    }
}

impl Limits<'_> {
    /// The limit that the event is beyond, wherever it leads.
    pub(super) fn beyond_for_event(&self, case: &Case<'_>) -> Beyond {
        let (limits, source) = (self.limits, case.repository());
        self.not_listed(
            limits.source_repositories.as_ref(),
            source,
            Reason::SourceRepoNotAllowlisted,
            "may start something",
        )
        .or_else(|| match case.cause {
            Cause::Run { .. } => self.beyond_for_run(case),
            Cause::PullRequest { .. } => None,
            Cause::Command(_) => {
                let reason = Reason::SourceRepoNotAllowlisted;
                self.not_listed(limits.command_repositories.as_ref(), source, reason, "may define commands")
            }
        })
        .or_else(|| {
            let head = case.run().map(|run| run.head).or(case.pull_request().map(|pull_request| pull_request.head))?;
            let forbids = limits.forks.as_ref().filter(|forks| !forks.value && head != Head::SameRepository)?;
            let message = format!("the commits are a fork's, and {} says `forks: false`", self.at(forbids));
            Some((Reason::SourceFromFork, message))
        })
    }

    fn beyond_for_run(&self, case: &Case<'_>) -> Beyond {
        let (limits, Cause::Run { run, workflow }) = (self.limits, &case.cause) else { return None };
        let unlisted = limits.source_workflows.as_ref().filter(|list| !list.value.matches(workflow.as_str()));
        if let Some(list) = unlisted {
            let (workflow, at, patterns) = (quote(workflow), self.at(list), quote_all(list.value.patterns()));
            let message = format!("{workflow} ran, and {at} lets only runs of {patterns} start something");
            return Some((Reason::SourceWorkflowNotAllowlisted, message));
        }
        let fits = |list: &&AtLine<BTreeSet<Conclusion>>| {
            run.conclusion.is_some_and(|conclusion| list.value.contains(&conclusion))
        };
        if let Some(list) = limits.conclusions.as_ref().filter(|list| !fits(list)) {
            let (got, at, accepted) = (conclusion_words(run), self.at(list), quote_all(&list.value));
            let message = format!("the run ended with {got}, and {at} has only {accepted}");
            return Some((Reason::SourceConclusionNotAllowed, message));
        }
        let default_branch = &case.event.repository.default_branch;
        let elsewhere = run.head_branch.as_ref() != Some(default_branch);
        let only = limits.default_branch_only.as_ref().filter(|only| only.value && elsewhere)?;
        let (got, at) = (branch_words(Some(run)), self.at(only));
        let message = format!("the run was on {got}, and for {at} only the default branch counts");
        Some((Reason::SourceNotDefaultBranch, message))
    }

    /// The limit that a target is beyond. `number`: which of the event's targets it is, from 1. `depth`: which of its chain's
    /// dispatches it would be, from 1.
    pub(super) fn beyond_for_target(&self, target: &Place, number: usize, depth: usize) -> Beyond {
        let limits = self.limits;
        let reason = Reason::TargetRepoNotAllowlisted;
        let (repository, start) = (quote(&target.repository), quote(&target.start));
        self.not_listed(limits.target_repositories.as_ref(), &target.repository, reason, "something may start in")
            .or_else(|| {
                if let Some(most) = limits.max_targets.as_ref().filter(|most| number > most.value) {
                    let message = format!(
                        "{start} of {repository} is target number {number} of this event, and {} allows {}",
                        self.at(most),
                        most.value
                    );
                    return Some((Reason::MaxTargetsExceeded, message));
                }
                let most = limits.max_chain_depth.as_ref().filter(|most| depth > most.value)?;
                let message = format!(
                    "this would be dispatch number {depth} of its chain, and {} allows {}",
                    self.at(most),
                    most.value
                );
                Some((Reason::ChainTooDeep, message))
            })
    }

    /// The hourly brake: whether a source may not use a target once more.
    pub(super) fn beyond_for_use(&self, source: &Repository, target: &Place, uses: u32) -> Beyond {
        let most = self.limits.max_edge_rate.as_ref()?;
        (usize::try_from(uses).unwrap_or(usize::MAX) >= most.value).then(|| {
            let (source, start, repository) = (quote(source), quote(&target.start), quote(&target.repository));
            let (at, most) = (self.at(most), most.value);
            let message = format!(
                "{source} has started {start} of {repository} {uses} times within the hour, and {at} allows {most}"
            );
            (Reason::EdgeRateExceeded, message)
        })
    }

    /// Where to start a workflow when nothing names a branch.
    pub(super) fn default_ref(&self) -> Option<&GitRef> {
        self.limits.default_ref.as_ref().map(|git_ref| &git_ref.value)
    }

    fn not_listed(
        &self,
        list: Option<&AtLine<PatternSet>>,
        repository: &Repository,
        reason: Reason,
        what: &str,
    ) -> Beyond {
        let list = list.filter(|list| !list.value.matches_ignore_case(repository.as_str()))?;
        let (at, patterns) = (self.at(list), quote_all(list.value.patterns()));
        Some((reason, format!("{} is none of those that {what}: {at} has only {patterns}", quote(repository))))
    }

    fn at<T>(&self, limit: &AtLine<T>) -> String {
        let place = RuleLocation { repository: self.repository.clone(), path: self.path, line: limit.line };
        quote(&place).to_string()
    }
}
