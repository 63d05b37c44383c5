//! The source's side: what the operator lets count, and which rules fit.

use super::case::{Case, Cause, branch_words, conclusion_words};
use super::filter::{Subject, misfit};
use super::known::{Known, Missing};
use super::limits::Limits;
use super::plan::Skipped;
use super::{Identity, PolicyAnswer, PolicyFile, Stop, environment};
use crate::event::{Command, Event, EventKind, Head, PullRequest, WorkflowRun};
use crate::guardrail::Guardrails;
use crate::name::WorkflowFile;
use crate::policy::{OutboundRule, Policy, PolicyPath, RuleLocation, Target};
use crate::quote::{quote, quote_all};
use crate::reason::Reason;

/// An event that the operator lets count, and that can cause something.
pub(super) enum Admitted<'a> {
    Run { run: &'a WorkflowRun, workflow: &'a WorkflowFile },
    PullRequest(&'a PullRequest),
    Command(&'a Command),
}

/// A rule that fits the event, for some of its targets.
pub(super) struct FittingRule<'a> {
    pub(super) path: PolicyPath,
    pub(super) rule: &'a OutboundRule,
    /// Those that it fits for. Never empty.
    pub(super) targets: Vec<&'a Target>,
}

/// The operator's limits, and what the event itself must have. Nothing is fetched for an event that does not pass.
pub(super) fn admit<'a>(event: &'a Event, guardrails: &'a Guardrails) -> Result<Admitted<'a>, Skipped> {
    admit_repository(event, guardrails)?;
    let admitted = match &event.kind {
        EventKind::WorkflowRun(run) => admit_run(event, run, guardrails)?,
        EventKind::PullRequest(pull_request) => Admitted::PullRequest(pull_request),
        EventKind::Command(command) => Admitted::Command(command),
        EventKind::Push(_) | EventKind::RunProgress(_) | EventKind::CheckRerequest(_) => {
            let what = quote(event.kind.name());
            return skip(Reason::NoRuleMatched, format!("no rule can be about such a {what} event"));
        }
    };
    if event.installation.is_none() {
        let repository = quote(&event.repository.name);
        let message = format!("the event of {repository} was not sent by an installation of the App");
        return skip(Reason::AppNotInstalled, message);
    }
    Ok(admitted)
}

/// The operator's limits on where something happens.
pub(super) fn admit_repository(event: &Event, guardrails: &Guardrails) -> Result<(), Skipped> {
    let repository = &event.repository.name;
    let owner = repository.owner();
    if !guardrails.owners.value.allow(&owner) {
        return skip(
            Reason::SourceOwnerNotAllowed,
            format!("the operator does not serve {}: OWNER_ALLOWLIST does not have it", quote(owner)),
        );
    }
    let allowed = |list: &crate::pattern::PatternSet| list.matches_ignore_case(repository.as_str());
    if !guardrails.source_repositories.value.as_ref().is_none_or(allowed) {
        return skip(
            Reason::SourceRepoNotAllowlisted,
            format!(
                "the operator does not let {} start anything: SOURCE_REPO_ALLOWLIST does not have it",
                quote(repository)
            ),
        );
    }
    Ok(())
}

fn admit_run<'a>(event: &'a Event, run: &'a WorkflowRun, guardrails: &'a Guardrails) -> Result<Admitted<'a>, Skipped> {
    let repository = &event.repository.name;
    if let Some(list) = &guardrails.source_workflows.value
        && !run.workflow.as_ref().is_some_and(|workflow| list.matches(workflow.as_str()))
    {
        let got =
            run.workflow.as_ref().map_or_else(|| "a run without a workflow file".to_owned(), |w| quote(w).to_string());
        return skip(
            Reason::SourceWorkflowNotAllowlisted,
            format!("the operator does not let {got} start anything: SOURCE_WORKFLOW_ALLOWLIST does not have it"),
        );
    }
    if run.head == Head::Unknown {
        return skip(
            Reason::SourceHeadRepositoryUnverifiable,
            format!(
                "GitHub does not say which repository commit {} of the run is in, so it may be a fork's",
                quote(&run.head_sha)
            ),
        );
    }
    if !run.conclusion.is_some_and(|conclusion| guardrails.conclusions.value.contains(&conclusion)) {
        return skip(
            Reason::SourceConclusionNotAllowed,
            format!(
                "the run ended with {}, and ALLOWED_SOURCE_CONCLUSIONS has only {}",
                conclusion_words(run),
                quote_all(&guardrails.conclusions.value),
            ),
        );
    }
    let default_branch = &event.repository.default_branch;
    if guardrails.default_branch_only.value && run.head_branch.as_ref() != Some(default_branch) {
        return skip(
            Reason::SourceNotDefaultBranch,
            format!(
                "the run was on {}, and only the default branch {} counts",
                branch_words(Some(run)),
                quote(default_branch)
            ),
        );
    }
    let Some(workflow) = &run.workflow else {
        return skip(
            Reason::NoRuleMatched,
            format!("the run has no workflow file in {}, so no rule can name it", quote(repository)),
        );
    };
    Ok(Admitted::Run { run, workflow })
}

/// The same event, within the limits of the source's owner.
pub(super) fn limited<'a>(case: Case<'a>, limits: Result<Option<Limits<'a>>, String>) -> Result<Case<'a>, Skipped> {
    // Who gives a command is told why nothing came of it.
    let answer = matches!(case.cause, Cause::Command(_));
    let skipped = |reason, message| Skipped { reason, message, outbound_rule: None, answer };
    let limits = limits.map_err(|problem| skipped(Reason::SourceLimitsUnknown, problem))?;
    match limits.as_ref().and_then(|limits| limits.beyond_for_event(&case)) {
        Some((reason, message)) => Err(skipped(reason, message)),
        None => Ok(Case { limits, ..case }),
    }
}

/// The outbound rules that fit the event, in the order of the file. Never empty.
///
/// A rule fits for a target that destroys also where it would not for another one: the pull request has an environment there
/// that was created for what the rule names.
pub(super) fn fitting_rules<'a>(
    case: &Case<'_>,
    path: PolicyPath,
    policy: &'a Policy,
    known: &Known,
) -> Result<Vec<FittingRule<'a>>, Stop> {
    // Who gives a command is told why nothing came of it.
    let answer = matches!(case.cause, Cause::Command(_));
    let mut fitting = Vec::new();
    let mut nearest: Option<(super::filter::Filter, Skipped)> = None;
    let mut missing = Missing::default();
    for rule in policy.outbound_about(case.happened()) {
        let mut targets: Vec<_> = rule.targets.iter().filter(|target| environment::is_meant(case, target)).collect();
        if targets.is_empty() {
            continue;
        }
        let misfit = misfit(case, &rule.source, None, Subject::Event, "the outbound rule");
        if misfit.is_some() {
            targets.retain(|target| {
                let found = environment::to_destroy(case, &rule.source, target, known, &mut missing);
                found.is_some_and(|found| !found.is_empty())
            });
        }
        match misfit {
            Some((filter, message)) if targets.is_empty() => {
                if nearest.as_ref().is_none_or(|(other, _)| filter > *other) {
                    let repository = case.repository().clone();
                    let outbound_rule = Some(RuleLocation { repository, path, line: rule.line });
                    nearest = Some((filter, Skipped { reason: filter.reason(), message, outbound_rule, answer }));
                }
            }
            _ => fitting.push(FittingRule { path, rule, targets }),
        }
    }
    if !missing.0.is_empty() {
        return Err(Stop::Need(missing));
    }
    let skipped = match nearest {
        _ if !fitting.is_empty() => return Ok(fitting),
        Some((_, skipped)) => skipped,
        None => {
            let repository = quote(case.repository());
            let message = match (&case.cause, case.event.only()) {
                (Cause::Run { workflow, .. }, _) => {
                    format!("no outbound rule of {repository} names {}", quote(workflow))
                }
                (_, Some(only)) => {
                    let target = quote(&only.repository);
                    format!("no outbound rule of {repository} destroys what is in {target}: {}", case.words())
                }
                (_, None) => format!("no outbound rule of {repository} is about this: {}", case.words()),
            };
            Skipped { reason: Reason::NoRuleMatched, message, outbound_rule: None, answer: false }
        }
    };
    Err(Stop::Skip(skipped))
}

/// The source's policy, if its file can be used.
pub(super) fn usable_policy<'a>(event: &Event, answer: &'a PolicyAnswer) -> Result<(PolicyPath, &'a Policy), Skipped> {
    let repository = &event.repository.name;
    if let PolicyFile::NotInstalled = answer.file {
        return skip(Reason::AppNotInstalled, format!("the App is not installed on {}", quote(repository)));
    }
    if let Some(Identity::Verified { id, .. }) = answer.repository
        && id != event.repository.id
    {
        let got = event.repository.id;
        return skip(
            Reason::RepositoryIdentityChanged,
            format!("the event is of repository {got}, and {} is now the name of repository {id}", quote(repository)),
        );
    }
    match (answer.repository, &answer.file) {
        (Some(_), PolicyFile::Found { path, policy }) => Ok((*path, policy)),
        (Some(_), PolicyFile::Invalid { path, diagnostics }) => skip(
            Reason::SourcePolicyInvalid,
            format!("{}: {}", quote(format_args!("{repository}/{path}")), super::target::first_problem(diagnostics)),
        ),
        _ => skip(
            Reason::SourcePolicyMissing,
            format!("{} has neither `dispatching.yml` nor `.github/dispatching.yml`", quote(repository)),
        ),
    }
}

/// What the App itself causes starts nothing, except along a chain. `rules` are those that fit.
pub(super) fn not_our_own(case: &Case<'_>, rules: &[FittingRule<'_>]) -> Result<(), Skipped> {
    let Some(app) = &case.guardrails.app_login else { return Ok(()) };
    let actor = case.run().and_then(|run| run.actor.as_ref());
    if ![actor, case.event.sender.as_ref()].contains(&Some(app)) {
        return Ok(());
    }
    let line = |rule: &FittingRule<'_>| RuleLocation {
        repository: case.repository().clone(),
        path: rule.path,
        line: rule.rule.line,
    };
    Err(Skipped {
        reason: Reason::OwnEvent,
        message: format!("it was caused by {}, which is this App, and by no dispatch that is known", quote(app)),
        outbound_rule: rules.first().map(line),
        answer: false,
    })
}

/// Why a target is denied that would be allowed if the commit were proven to have been on the branch.
pub(super) fn ref_unverified(case: &Case<'_>, run: &WorkflowRun) -> String {
    format!(
        "commit {} was not proven to have been on {} of {}",
        quote(&run.head_sha),
        case.branch_words(),
        quote(case.repository()),
    )
}

fn skip<T>(reason: Reason, message: String) -> Result<T, Skipped> {
    Err(Skipped { reason, message, outbound_rule: None, answer: false })
}
