//! What the target's workflows say to what is sent to them.

use super::RepositoryFiles;
use super::finding::{self, At, Finding, FindingKind};
use crate::name::Repository;
use crate::policy::{InboundTarget, Policy, Start, Target, ValuePattern};
use crate::quote::{quote, quote_all};
use crate::template::{Template, Variable};
use crate::workflow::{InScript, Lack, Sent, Workflow};

/// Whether what an outbound rule starts can be started there, with these inputs. `consent`: the line that accepts it.
pub(super) fn of_outbound(
    (own, files): (&Repository, &RepositoryFiles),
    target: &Target,
    (theirs, consent): (&RepositoryFiles, Option<u32>),
    findings: &mut Vec<Finding>,
) {
    let at = |label| At { files, line: target.line, label };
    if let Some((kind, message)) = lack(&target.repository, &target.start, theirs) {
        let found = kind.at(own, &at("can never be started"), message);
        findings.extend(found.map(|found| match (&target.start, consent) {
            (Start::Workflow(file), _) if kind.code == finding::WORKFLOW_NOT_DISPATCHABLE.code => {
                found.with_workflow(theirs.workflow_file(file), 1, "this workflow")
            }
            (_, Some(line)) => found.with_policy(&At { files: theirs, line, label: "accepted here" }),
            (_, None) => found,
        }));
        return;
    }
    let Start::Workflow(file) = &target.start else { return };
    let Some(workflow) = theirs.workflows.as_ref().and_then(|workflows| workflows.get(file)) else { return };
    if workflow.listens(&target.start) != Some(true) {
        return;
    }
    let Some(declared) = workflow.inputs() else { return };
    let same = |one: &str, other: &str| one.eq_ignore_ascii_case(other);
    let of_target = format!("{} of {}", quote(file), quote(&target.repository));
    let undeclared: Vec<_> =
        target.inputs.keys().filter(|name| !declared.keys().any(|declared| same(declared, name))).collect();
    if !undeclared.is_empty() {
        let message = format!("{of_target} does not declare {}", quote_all(undeclared));
        let found = finding::UNDECLARED_INPUT.at(own, &at("sent here"), message);
        let first = declared.values().map(|input| input.line).min().unwrap_or(1);
        findings.extend(found.map(|it| it.with_workflow(theirs.workflow_file(file), first, "what it declares")));
    }
    let sent = |name: &str| target.inputs.keys().any(|sent| same(sent, name));
    let mut missing = declared.iter().filter(|(name, input)| input.must_be_sent() && !sent(name)).peekable();
    if let Some((_, first)) = missing.peek().copied() {
        let message = format!("{of_target} requires {}", quote_all(missing.map(|(name, _)| name)));
        let found = finding::MISSING_REQUIRED_INPUT.at(own, &at("does not send it"), message);
        findings.extend(found.map(|it| it.with_workflow(theirs.workflow_file(file), first.line, "required here")));
    }
}

/// Whether what an inbound rule accepts, and no known outbound rule wants, could be started.
pub(super) fn of_inbound(
    own: &Repository,
    files: &RepositoryFiles,
    target: &InboundTarget,
    findings: &mut Vec<Finding>,
) {
    if let Some((kind, message)) = lack(own, &target.start, files) {
        let at = At { files, line: target.line, label: "can never be started" };
        findings.extend(kind.at(own, &at, message));
    }
}

/// What a repository lacks, as far as its workflows are known.
fn lack(repository: &Repository, start: &Start, files: &RepositoryFiles) -> Option<(&'static FindingKind, String)> {
    let workflows: Vec<_> = files.workflows.as_ref()?.iter().collect();
    let (start_name, repository) = (quote(start), quote(repository));
    Some(match Lack::among(start, &workflows)? {
        Lack::NoListener => (&finding::NOBODY_LISTENS, format!("no workflow of {repository} listens to {start_name}")),
        Lack::NotOnDefaultBranch => {
            (&finding::WORKFLOW_NOT_FOUND, format!("{repository} has no workflow {start_name}"))
        }
        Lack::NotDispatchable => {
            (&finding::WORKFLOW_NOT_DISPATCHABLE, format!("{start_name} of {repository} has no `workflow_dispatch`"))
        }
        // Files alone do not tell.
        Lack::Disabled(_) => return None,
    })
}

/// Whether a value that a stranger can choose is pasted into a script. `accepted`: the consent that lets it in.
pub(super) fn in_scripts(
    (own, files, policy): (&Repository, &RepositoryFiles, &Policy),
    target: &Target,
    (theirs, accepted): (&RepositoryFiles, &InboundTarget),
    findings: &mut Vec<Finding>,
) {
    let (sent_as, file) = match &target.start {
        Start::Workflow(file) => (Sent::Inputs, Some(file)),
        Start::Event(_) => (Sent::Payload, None),
    };
    let runs = |workflow: &Workflow| workflow.listens(&target.start) == Some(true);
    let workflows = theirs.workflows.iter().flatten();
    for (name, workflow) in workflows.filter(|(name, it)| file.is_none_or(|file| file == *name) && runs(it)) {
        for (input, template) in &target.inputs {
            let accept = accepted.accept_inputs.get(input);
            // One of a few words, or digits: nobody chooses that freely.
            let is_harmless = accept.is_some_and(|accept| {
                accept.one_of.is_some() || matches!(accept.pattern, Some(ValuePattern::Number | ValuePattern::Sha))
            });
            let Some(variable) = chosen_by_stranger(template, policy).filter(|_| !is_harmless) else { continue };
            let pasted = |used: &&InScript| used.sent == sent_as && used.is(input);
            let Some(used) = workflow.in_scripts().iter().find(pasted) else { continue };
            let message = format!(
                "{} has the value of {}, which a stranger can choose, and {} of {} pastes it into a script",
                quote(input),
                quote(variable),
                quote(name),
                quote(&target.repository),
            );
            let at = At { files, line: target.line, label: "sent here" };
            let found = finding::STRANGER_VALUE_IN_SCRIPT.at(own, &at, message);
            findings.extend(found.map(|it| it.with_workflow(theirs.workflow_file(name), used.line, "pasted here")));
        }
    }
}

/// The first variable of a value that a stranger can choose.
fn chosen_by_stranger(template: &Template, policy: &Policy) -> Option<Variable> {
    let of_stranger = |deploy: &Option<Template>| deploy.as_ref().is_none_or(Template::chosen_by_stranger);
    template.variables().find(|variable| match variable {
        Variable::EnvDeploy => policy.environments().iter().any(|rule| of_stranger(&rule.deploy)),
        variable => variable.chosen_by_stranger(),
    })
}
