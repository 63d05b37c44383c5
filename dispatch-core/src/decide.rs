//! The decision: may this event start that, and which lines of which files say so.
//!
//! [`decide`] is one pure function over what is known so far. It answers with what it still needs to know, or with the
//! plan. Callers loop: look up, add to [`Known`], decide again; the loop ends because an answered lookup is never asked
//! again. [`decide_with`] is that loop, for callers whose lookups do not wait.
//!
//! # The order of evaluation
//!
//! The first check that fails gives the reason. An event is looked at first:
//!
//! | what is checked | reason | known from |
//! |---|---|---|
//! | the operator serves the owner, the repository and, of a run, the workflow | `source_owner_not_allowed`, `source_repo_not_allowlisted`, `source_workflow_not_allowlisted` | event, limits |
//! | it can be seen whether the commit of a run is a fork's | `source_head_repository_unverifiable` | event |
//! | the operator accepts the conclusion and the branch of a run | `source_conclusion_not_allowed`, `source_not_default_branch` | event, limits |
//! | a run has a workflow file of its own repository | `no_rule_matched` | event |
//! | an installation of the App sent the event | `app_not_installed` | event |
//! | the source's policy file can be used | `app_not_installed`, `repository_identity_changed`, `source_policy_missing`, `source_policy_invalid` | first lookups |
//! | an outbound rule names the command | `unknown_command` | source's policy |
//! | a person gave it | `commenter_not_permitted` | event |
//! | GitHub says what the person may do, and that the pull request is open | `commenter_not_permitted`, `pull_request_not_open` | lookups for commands |
//! | what the source's owner allows can be read | `source_limits_unknown` | first lookups |
//! | he allows the repository, its commands, the workflow, the conclusion, the branch and forks | `source_repo_not_allowlisted`, `source_workflow_not_allowlisted`, `source_conclusion_not_allowed`, `source_not_default_branch`, `source_from_fork` | owner's limits |
//! | an outbound rule names the workflow, or what happened to the pull request | `no_rule_matched` | source's policy |
//! | one of them fits; else the nearest says why | `source_head_repository_unverifiable`, `source_from_fork`, `source_event_not_allowed`, `source_branch_not_matched`, `source_conclusion_not_allowed`, `source_draft_not_matched`, `argument_not_accepted`, `commenter_not_permitted`, `commit_not_confirmed`, `pull_request_superseded` | source's policy, lookups |
//! | the App itself did not cause it, or it belongs to a chain | `own_event` | event, first lookups |
//!
//! Then every target of every rule that fits, in the order of the file:
//!
//! | what is checked | reason | known from |
//! |---|---|---|
//! | it is its first occurrence | `duplicate_target` | source's policy |
//! | it is not the workflow that ran | `self_dispatch_blocked` | source's policy |
//! | the operator lets it be started | `target_repo_not_allowlisted` | limits |
//! | of those that got here, it is not one too many | `max_targets_exceeded` | limits |
//! | the chain has not been there, and may go on | `loop_detected`, `chain_too_deep` | first lookups |
//! | the source's owner lets it be started, it is not one too many, and the chain not too long for him | `target_repo_not_allowlisted`, `max_targets_exceeded`, `chain_too_deep` | owner's limits |
//! | its environment is defined and free, or held by this pull request alone; where a sweep found it, GitHub says once more that it is to go | `environment_not_defined`, `pull_request_not_open`, `environment_name_taken`, `environment_not_held`, `environment_still_held`, `pull_request_superseded` | source's policy, lookups |
//! | its inputs or its payload have values, and fit into GitHub's limits | `inputs_template_error`, `payload_too_large` | event |
//! | the ref can be computed | `ref_not_accepted` | event |
//! | the source has not used the target more often within the hour than its owner allows | `edge_rate_exceeded` | owner's limits, second lookups |
//! | of another owner: what he allows can be read, and it is within that | `target_limits_unknown`, `target_limits_exceeded` | second lookups |
//! | the target's policy file can be used | `app_not_installed`, `missing_target_config`, `unreadable_target_config`, `invalid_target_config` | second lookups |
//! | **one** inbound target accepts all: source and filters, | `inbound_not_authorized` | target's policy |
//! | the ref, | `ref_not_accepted` | target's policy |
//! | the names of the inputs or properties, | `inputs_not_accepted` | target's policy |
//! | their values; else the nearest says why | `value_not_accepted` | target's policy |
//! | the repositories behind both names are those of the first time | `repository_identity_changed` | second lookups |
//! | a re-run is not older than what was dispatched | `source_run_superseded` | second lookups |
//! | the source has not used the target too often within the hour | `edge_rate_exceeded` | second lookups, limits |
//! | what is left of the root's budget covers it: the first targets that got here have it (asked only if something is allowed) | `root_budget_exceeded` | third lookup |
//! | the commit of a run has been on the branch (asked only if all else agrees; not for accepted forks, and not where GitHub names no branch) | `source_ref_unverified` | last lookup |
//!
//! A check run that somebody wants again is decided about as the event that it tells of, for its one target, after this:
//! a person who may write wants it (`commenter_not_permitted`), it is known (`no_rule_matched`), and it is not under way
//! (`already_under_way`). Whoever wants a command again must be one who may give it.
//!
//! # Commands
//!
//! GitHub is asked what the commenter may do when the command is decided about; what it does not tell is a no. A command is
//! about the newest commit only where signed webhooks showed that commit as the head before the comment was written, and none
//! since. Where that is not known, for forks, and where the rule wants more than `write`, the full commit must stand behind the
//! command.
//!
//! # What destroys
//!
//! When a pull request is closed, and by a command, a target with `environment: destroy` is about what the pull request
//! created, not about how the pull request is by now. Its rules' `base` is compared with the one that the environment was
//! created for, `draft` does not count, and a fork that was deleted since is a fork: both sides must accept forks.
//! Where the pull request created several for one target, each is decided about for itself: the plan names those that it
//! leaves to [parts](Event::part) of the event.
//!
//! # Filters that are absent
//!
//! A rule that says nothing leaves it to the operator: the default branch (any, where the operator does not enforce it), the
//! operator's conclusions, and the [events that strangers cannot cause](SAFE_EVENTS). Where the outbound rule says more,
//! an inbound rule that is silent means the default branch only, and success only.
//!
//! A rule about pull requests or commands that names no `base` and no `draft` is about all of them; one that names no
//! `permission` is about people who may write, on either side.

mod again;
mod budget;
mod case;
mod command;
mod consent;
mod drive;
mod environment;
mod filter;
mod known;
mod limits;
mod plan;
mod source;
mod target;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use self::case::{Case, Cause};
pub use self::drive::{Answers, decide_with};
pub use self::filter::SAFE_EVENTS;
use self::known::Missing;
pub use self::known::{
    CheckedDispatch, CommitOnBranch, Edge, EdgeKey, Identity, Known, LaneKey, Lookup, PolicyAnswer, PolicyFile,
};
pub use self::plan::{Allowed, Decision, Denied, Plan, Skipped, SourceView, Verdict, Visibility};
use self::source::Admitted;
pub(crate) use self::target::first_problem;
use crate::chain::Chain;
use crate::event::{Commenter, Event, EventIdentity, EventKind, Head};
use crate::guardrail::Guardrails;
use crate::reason::Reason;

/// What [`decide`] answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decided {
    /// These answers are missing. Never empty, and none of them is in [`Known`] yet. They do not depend on one another.
    Need(BTreeSet<Lookup>),
    /// All is known.
    Plan(Plan),
}

/// Decides about one event. See the module's documentation for the order of evaluation.
#[must_use]
pub fn decide(event: &Event, known: &Known, guardrails: &Guardrails) -> Decided {
    let plan = match &event.kind {
        EventKind::CheckRerequest(check) => again::about_check(event, check, known, guardrails),
        _ => about_event(event, &Wanted { root: event.identity(), again_by: None }, known, guardrails),
    };
    match plan {
        Ok(plan) => Decided::Plan(plan),
        Err(Stop::Skip(skipped)) => Decided::Plan(Plan::skipped(skipped)),
        Err(Stop::Need(missing)) => Decided::Need(missing.0),
    }
}

/// Why there is no decision about targets.
enum Stop {
    Need(Missing),
    Skip(Skipped),
}

impl Stop {
    fn need(lookup: Lookup) -> Self {
        Self::Need(Missing([lookup].into()))
    }
}

impl From<Skipped> for Stop {
    fn from(skipped: Skipped) -> Self {
        Self::Skip(skipped)
    }
}

/// Why an event is decided about.
struct Wanted<'a> {
    /// The event at the root of a chain that begins here.
    root: EventIdentity,
    /// Who wants it again; None the first time.
    again_by: Option<&'a Commenter>,
}

fn about_event(event: &Event, wanted: &Wanted<'_>, known: &Known, guardrails: &Guardrails) -> Result<Plan, Stop> {
    let admitted = source::admit(event, guardrails)?;

    let mut missing = Missing::default();
    let repository = &event.repository.name;
    let policy = missing.or_ask(known.policies.get(repository), || Lookup::Policy(repository.clone()));
    let chain = match &admitted {
        Admitted::Run { run, .. } => missing.or_ask(known.chains.get(&run.id), || Lookup::Chain(run.id)),
        Admitted::PullRequest(_) | Admitted::Command(_) => Some(&None),
    };
    let record = match admitted.number() {
        Some(number) => missing.or_ask(known.pull_requests.get(&number), || Lookup::PullRequest(number)),
        None => Some(&None),
    };
    let limits = limits::of_owner(&repository.owner(), guardrails, known, &mut missing);
    let (Some(policy), Some(chain), Some(record), Some(limits)) = (policy, chain, record, limits) else {
        return Err(Stop::Need(missing));
    };
    let (path, policy) = source::usable_policy(event, policy).map_err(|skipped| match &admitted {
        Admitted::Command(given) => {
            command::unusable_policy(skipped, wanted.again_by.unwrap_or(&given.commenter), known)
        }
        Admitted::Run { .. } | Admitted::PullRequest(_) => Stop::Skip(skipped),
    })?;
    let cause = match admitted {
        Admitted::Run { run, workflow } => Cause::Run { run, workflow },
        Admitted::PullRequest(pull_request) => Cause::PullRequest { pull_request, record: record.as_ref() },
        Admitted::Command(command) => {
            let by = wanted.again_by.unwrap_or(&command.commenter);
            command::resolve(event, command, by, policy, record.as_ref(), known)?
        }
    };
    let case =
        Case { event, cause, guardrails, limits: None, again: wanted.again_by.is_some(), identity: &wanted.root };
    let case = source::limited(case, limits)?;
    let rules = source::fitting_rules(&case, path, policy, known)?;
    let chain = match (chain, case.place()) {
        (Some(chain), _) => chain.clone(),
        (None, Some(place)) => {
            source::not_our_own(&case, &rules)?;
            Chain::root(wanted.root.clone(), place)
        }
        // GitHub's names of its events are names of events.
        (None, None) => return Ok(Plan::empty()),
    };

    let further = environment::further(&case, &rules, known);
    let side = target::SourceSide { policy, chain };
    let entries = target::prepare(&case, rules, &side, known, &mut missing);
    let decisions: Vec<_> = entries.into_iter().map(|entry| entry.decide(&case, known, &mut missing)).collect();
    if !missing.0.is_empty() {
        return Err(Stop::Need(missing));
    }
    let plan = Plan { skipped: None, decisions: decisions.into_iter().flatten().collect(), further };
    let plan = budget::keep_budget(plan, known).map_err(Stop::need)?;
    prove_commit(plan, &case, known).map_err(Stop::need)
}

/// The last check: a tag run carries the tag's name as its branch, so the commit must be proven to have been there.
fn prove_commit(mut plan: Plan, case: &Case<'_>, known: &Known) -> Result<Plan, Lookup> {
    if plan.allowed().next().is_none() {
        return Ok(plan);
    }
    // Of a pull request's head, the signed webhook, or GitHub's own answer, is the proof.
    let Some(run) = case.run() else { return Ok(plan) };
    let proof = match (&run.head_branch, run.head) {
        // No branch is claimed: such a run gets here only where the operator and both sides accept any branch.
        (None, _) => return Ok(plan),
        // Both sides accept forks, and the branch is the fork's.
        (Some(_), Head::Fork(_)) => return Ok(plan),
        (Some(branch), _) => known.commit_on_branch.ok_or_else(|| {
            let (repository, sha) = (case.repository().clone(), run.head_sha.clone());
            Lookup::CommitOnBranch { repository, branch: branch.clone(), sha }
        })?,
    };
    if proof == CommitOnBranch::NotProven {
        for decision in plan.decisions.iter_mut().filter(|decision| decision.allowed().is_some()) {
            decision.deny(Reason::SourceRefUnverified, source::ref_unverified(case, run));
        }
    }
    Ok(plan)
}
