//! Why, for people and programs: one event, what was decided about it, and what had to be assumed.

mod assumed;
mod nearest;

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use serde::Serialize;

pub use self::assumed::Given;
use self::assumed::Recorder;
pub use self::nearest::ExplainedNearest;
use crate::chain::Place;
use crate::decide::{Answers, Decision, Plan, Skipped, decide_with};
use crate::event::{Event, EventKind};
use crate::guardrail::{EffectiveLimit, Guardrails, Narrower, Origin, Owners};
use crate::name::{GitRef, InstallationId, Login, PullRequestNumber, Repository, RunId};
use crate::policy::{RuleLocation, Start};
use crate::quote::quote;
use crate::reason::Reason;

/// Explains one event without GitHub: the decision is the service's own, and what only GitHub, the store or the App's
/// registration could tell is `given`, or else assumed in favour of the event and listed in [`Explanation::assumed`].
///
/// `answers` needs to know policy files only; it answers with [`Assumed`](crate::decide::Identity::Assumed) identities and
/// [proofs](crate::decide::CommitOnBranch::Assumed).
#[must_use]
pub fn explain(event: &Event, guardrails: &Guardrails, given: &Given, answers: &mut impl Answers) -> Explanation {
    let mut assumed = Vec::new();
    let (mut event, mut guardrails) = (event.clone(), guardrails.clone());
    let repository = event.repository.name.clone();
    if let Owners::OfTheApp(None) = guardrails.owners.value {
        guardrails = guardrails.with_app_owner(repository.owner());
        assumed.push(format!("the App belongs to {}", quote(repository.owner())));
    }
    if event.installation.is_none() {
        event.installation = Some(InstallationId(0));
        assumed.push(format!("the App is installed on {}", quote(&repository)));
    }
    if guardrails.app_login.is_none()
        && let Some(bot) = bot(&event)
    {
        assumed.push(format!("{} is not this App", quote(bot)));
    }
    let mut recorder = Recorder::new(answers, &event, given, assumed);
    // Of what a check tells of only the event may be known: each of its targets is one that could be wanted again.
    let mut others = recorder.other_targets(&guardrails).into_iter();
    recorder.wanted = recorder.wanted.or_else(|| others.next());
    let mut plan = decide_with(&event, &guardrails, &mut recorder);
    for target in others {
        recorder.wanted = Some(target);
        plan.decisions.extend(decide_with(&event, &guardrails, &mut recorder).decisions);
    }
    for environment in std::mem::take(&mut plan.further) {
        let part = Event { part: Some(environment), ..event.clone() };
        plan.decisions.extend(decide_with(&part, &guardrails, &mut recorder).decisions);
    }
    let owners = std::mem::take(&mut recorder.owners);
    let (assumed, nearest) = recorder.end(plan.skipped.as_ref());
    let narrower = owners.values().filter_map(|(file, policy)| {
        let of_source = file.repository.same_owner(&repository);
        policy.limits().map(|limits| Narrower { limits, file, of_source })
    });
    let limits = guardrails.effective_within(&narrower.collect::<Vec<_>>());
    let mut explanation = Explanation { assumed, limits, ..Explanation::new(&event, &plan, &guardrails) };
    if let Some(skip) = &mut explanation.skipped {
        skip.nearest = nearest;
    }
    explanation
}

/// A decision, told. Serialises to a stable shape: keys are added, never renamed or removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// What happened.
    pub event: ExplainedEvent,
    /// Why no target was considered at all. Then there are no decisions.
    pub skipped: Option<ExplainedSkip>,
    /// One for each target entry of the rules that fit, in the order of the file.
    pub decisions: Vec<ExplainedDecision>,
    /// What was not known and taken for true, as sentences.
    pub assumed: Vec<String>,
    /// The operator's limits in force.
    pub limits: Vec<EffectiveLimit>,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExplainedEvent {
    /// GitHub's name for the event.
    pub kind: &'static str,
    /// Where.
    pub repository: Repository,
    /// The workflow's file name, for a run that has one.
    pub workflow: Option<String>,
    /// The branch.
    pub branch: Option<String>,
    /// The commit.
    pub sha: Option<String>,
    /// How the run ended.
    pub conclusion: Option<&'static str>,
    /// What started the run, in GitHub's word.
    pub started_by: Option<String>,
    /// The run's id.
    pub run_id: Option<RunId>,
    /// Which attempt of the run.
    pub attempt: Option<u32>,
    /// The pull request that it happened to, or that a command was given on.
    pub pull_request: Option<PullRequestNumber>,
    /// What happened to the pull request, in GitHub's word.
    pub action: Option<&'static str>,
    /// The command.
    pub command: Option<String>,
    /// Who gave the command, or wants a check run again.
    pub commenter: Option<Login>,
}

/// Why an event starts nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExplainedSkip {
    /// The stable code.
    pub reason: Reason,
    /// One sentence.
    pub message: String,
    /// The nearest outbound rule, where one is about it but for a filter.
    pub outbound_rule: Option<Line>,
    /// Where no rule is about it: the one that comes nearest, and the first thing that differs.
    pub nearest: Option<ExplainedNearest>,
}

/// What was decided about one target entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExplainedDecision {
    /// What was to be started, where.
    pub target: ExplainedTarget,
    /// Yes or no.
    pub allowed: bool,
    /// The stable code, if it is denied.
    pub reason: Option<Reason>,
    /// One sentence.
    pub message: String,
    /// The ref; None where it was never computed.
    #[serde(rename = "ref")]
    pub git_ref: Option<GitRef>,
    /// The inputs; None where they were never computed.
    pub inputs: Option<BTreeMap<String, String>>,
    /// The target's entry in the source's policy file.
    pub outbound_rule: Line,
    /// The line of the target's policy file that agreed, or that came nearest.
    pub inbound_rule: Option<Line>,
}

/// What was to be started, where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExplainedTarget {
    /// The repository.
    pub repository: Repository,
    /// What is started in it. Serialises as `workflow`, with the file's name.
    #[serde(flatten)]
    pub start: Start,
}

/// One line of one policy file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// `<owner>/<repository>/<path>`.
    pub file: String,
    /// 1-based.
    pub line: u32,
}

impl Explanation {
    /// Tells a plan that was made, with nothing assumed.
    #[must_use]
    pub fn new(event: &Event, plan: &Plan, guardrails: &Guardrails) -> Self {
        Self {
            event: event.into(),
            skipped: plan.skipped.as_ref().map(ExplainedSkip::from),
            decisions: plan.decisions.iter().map(ExplainedDecision::from).collect(),
            assumed: Vec::new(),
            limits: guardrails.effective(),
        }
    }

    /// As people read it: no colour, lines as long as they are.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, out: &mut String) -> fmt::Result {
        writeln!(out, "{}", self.event)?;
        if let Some(skip) = &self.skipped {
            writeln!(out, "\n{skip}")?;
        }
        for decision in &self.decisions {
            writeln!(out, "\n{decision}")?;
        }
        if !self.assumed.is_empty() {
            writeln!(out, "\nassumed, because only GitHub and the service's store know:")?;
            self.assumed.iter().try_for_each(|sentence| writeln!(out, "  - {sentence}"))?;
        }
        let mut set = self.limits.iter().filter(|limit| limit.origin != Origin::Default).peekable();
        if set.peek().is_some() {
            writeln!(out, "\nlimits that the operator or an owner set:")?;
            let width = self.limits.iter().map(|limit| limit.name.len()).max().unwrap_or_default();
            set.try_for_each(|limit| match &limit.origin {
                Origin::Owner(place) => writeln!(out, "  {:width$}  {}  ({place})", limit.name, limit.value),
                Origin::Default | Origin::Setting(_) => writeln!(out, "  {:width$}  {}", limit.name, limit.value),
            })?;
        }
        Ok(())
    }
}

impl fmt::Display for ExplainedEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.workflow, &self.command) {
            (Some(workflow), _) => write!(f, "{} of {}", quote(workflow), quote(&self.repository))?,
            (None, Some(command)) => write!(f, "{} in {}", quote(command), quote(&self.repository))?,
            (None, None) => write!(f, "{} in {}", quote(self.kind), quote(&self.repository))?,
        }
        if let Some(number) = self.pull_request {
            let on = if self.command.is_some() { " on" } else { ":" };
            write!(f, "{on} pull request {number}")?;
        }
        if let Some(action) = self.action {
            write!(f, " {action}")?;
        }
        if let Some(login) = &self.commenter {
            let by = if self.command.is_some() { "given" } else { "wanted again" };
            write!(f, ", {by} by {}", quote(login))?;
        }
        if let Some(run) = self.run_id {
            write!(f, ": run {run}")?;
        }
        if let Some(attempt) = self.attempt.filter(|attempt| *attempt > 1) {
            write!(f, ", attempt {attempt}")?;
        }
        if let Some(event) = self.started_by.as_ref().filter(|event| !event.is_empty()) {
            write!(f, ", started by {}", quote(event))?;
        }
        if let Some(branch) = &self.branch {
            write!(f, ", on {}", quote(branch))?;
        }
        match self.conclusion {
            Some(conclusion) => write!(f, ", ended with {}", quote(conclusion)),
            None => Ok(()),
        }
    }
}

impl fmt::Display for ExplainedSkip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "nothing starts: {}\n  {}", self.reason, self.message)?;
        if let Some(line) = &self.outbound_rule {
            write!(f, "\n  outbound  {line}")?;
        }
        if let Some(ExplainedNearest { rule, differs }) = &self.nearest {
            write!(f, "\n  nearest   {rule}\n            {differs}")?;
        }
        write!(f, "\n  help      {}", self.reason.help())
    }
}

impl fmt::Display for ExplainedTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {}", quote(&self.start), quote(&self.repository))
    }
}

impl fmt::Display for ExplainedDecision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.allowed { "yes" } else { "no " };
        write!(f, "{verdict}  {}", self.target)?;
        if let Some(reason) = self.reason {
            write!(f, ": {reason}")?;
        }
        write!(f, "\n     {}", self.message)?;
        if let Some(git_ref) = &self.git_ref {
            write!(f, "\n     ref       {}", quote(git_ref))?;
        }
        let mut label = "inputs";
        for (name, value) in self.inputs.iter().flatten() {
            write!(f, "\n     {label:8}  {} = {}", quote(name), quote(value))?;
            label = "";
        }
        write!(f, "\n     outbound  {}", self.outbound_rule)?;
        if let Some(line) = &self.inbound_rule {
            write!(f, "\n     inbound   {line}")?;
        }
        match self.reason {
            Some(reason) => write!(f, "\n     help      {}", reason.help()),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

impl ExplainedEvent {
    /// An event of which nothing more is known than its name and where it happened.
    #[must_use]
    pub fn named(kind: &'static str, repository: Repository) -> Self {
        Self {
            kind,
            repository,
            workflow: None,
            branch: None,
            sha: None,
            conclusion: None,
            started_by: None,
            run_id: None,
            attempt: None,
            pull_request: None,
            action: None,
            command: None,
            commenter: None,
        }
    }
}

impl From<&Event> for ExplainedEvent {
    fn from(event: &Event) -> Self {
        let mut explained = Self::named(event.kind.name(), event.repository.name.clone());
        match &event.kind {
            EventKind::WorkflowRun(run) => {
                explained.workflow = run.workflow.as_ref().map(ToString::to_string);
                explained.branch = run.head_branch.as_ref().map(ToString::to_string);
                explained.sha = Some(run.head_sha.to_string());
                explained.conclusion = run.conclusion.map(|conclusion| conclusion.as_str());
                explained.started_by = Some(run.event.clone());
                explained.run_id = Some(run.id);
                explained.attempt = Some(run.attempt);
            }
            EventKind::Push(push) => {
                explained.branch = push.branch.as_ref().map(ToString::to_string);
                explained.sha = push.after.as_ref().map(ToString::to_string);
            }
            EventKind::PullRequest(pull_request) => {
                explained.branch = Some(pull_request.now.base_branch.to_string());
                explained.sha = Some(pull_request.now.head_sha.to_string());
                explained.pull_request = Some(pull_request.now.number);
                explained.action = Some(pull_request.action.as_str());
            }
            EventKind::Command(command) => {
                explained.sha = command.argument.commit().map(ToString::to_string);
                explained.pull_request = Some(command.pull_request);
                explained.command = Some(command.name.to_string());
                explained.commenter = Some(command.commenter.login.clone());
            }
            EventKind::CheckRerequest(check) => explained.commenter = Some(check.by.login.clone()),
            EventKind::RunProgress(run) => explained.run_id = Some(run.id),
        }
        explained
    }
}

impl From<&Skipped> for ExplainedSkip {
    fn from(skipped: &Skipped) -> Self {
        let Skipped { reason, message, outbound_rule, .. } = skipped.clone();
        Self { reason, message, outbound_rule: outbound_rule.as_ref().map(Line::from), nearest: None }
    }
}

impl From<&Decision> for ExplainedDecision {
    fn from(decision: &Decision) -> Self {
        Self {
            target: decision.target.clone().into(),
            allowed: decision.allowed().is_some(),
            reason: decision.reason(),
            message: decision.message(),
            git_ref: decision.git_ref().cloned(),
            inputs: decision.inputs(),
            outbound_rule: (&decision.outbound_rule).into(),
            inbound_rule: decision.inbound_rule().map(Line::from),
        }
    }
}

impl From<Place> for ExplainedTarget {
    fn from(Place { repository, start }: Place) -> Self {
        Self { repository, start }
    }
}

impl From<&RuleLocation> for Line {
    fn from(location: &RuleLocation) -> Self {
        Self { file: format!("{}/{}", location.repository, location.path), line: location.line }
    }
}

/// The bot that caused the event, if one did.
fn bot(event: &Event) -> Option<&Login> {
    let actor = match &event.kind {
        EventKind::WorkflowRun(run) => run.actor.as_ref(),
        EventKind::RunProgress(run) => run.actor.as_ref(),
        EventKind::Push(_) | EventKind::PullRequest(_) | EventKind::Command(_) | EventKind::CheckRerequest(_) => None,
    };
    [actor, event.sender.as_ref()].into_iter().flatten().find(|login| login.as_str().ends_with("[bot]"))
}
