//! Facts in words for people: the steps of a delivery's page, and of `dispatch parked show`.

use dispatch_core::Timestamp;
use dispatch_core::decide::Plan;
use dispatch_core::environment::StepEnd;
use dispatch_core::fact::{EnvironmentChange, Fact, FactBody};
use dispatch_core::policy::EnvironmentAction;
use dispatch_core::projection::EnvironmentRow;

/// A fact as one step that people read. Texts may hold what strangers wrote: escape them where they are shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// How good that is, in one word: `good`, `calm`, `warn`, `bad` or `quiet`.
    pub tone: &'static str,
    /// What happened, in a word or two.
    pub title: &'static str,
    /// Which target it happened to; None: to the delivery.
    pub target: Option<String>,
    /// The rest.
    pub text: Option<String>,
}

/// Says what a fact is.
#[must_use]
pub fn step(fact: &Fact) -> Step {
    let (tone, title, text) = words(&fact.body);
    let target = fact.subject.dispatch.as_ref().map(|key| format!("{} · {}", key.target.repository, key.target.start));
    Step { tone, title, target, text }
}

/// How a call that GitHub refused is told.
#[must_use]
pub fn refusal(message: &str, permission: Option<&str>) -> String {
    match permission {
        Some(permission) => format!("GitHub said: {message}. It wants the permission {permission}."),
        None => format!("GitHub said: {message}"),
    }
}

fn words(body: &FactBody) -> (&'static str, &'static str, Option<String>) {
    let some = |text: &str| Some(text.to_owned());
    match body {
        FactBody::DeliveryReceived { .. } => ("calm", "Received", some("signature right, made durable")),
        FactBody::DeliveryNoted { .. } => ("quiet", "Noted", some("nothing to decide: it only tells something")),
        FactBody::DeliveryPlanned { plan, .. } => ("calm", "Decided", Some(in_short(plan))),
        FactBody::DeliveryPutBack { until, error, .. } => ("warn", "Put back", Some(waits(*until, error))),
        FactBody::DeliveryParked { reason: Some(reason), error, .. } => {
            ("warn", "Parked", Some(format!("{reason}: {error}")))
        }
        FactBody::DeliveryParked { reason: None, error, .. } => ("bad", "Given up", some(error)),
        FactBody::DeliveryReopened { .. } => {
            ("calm", "Taken up again", some("it was delivered again, or the operator wants it"))
        }
        FactBody::DeliveryDropped { .. } => ("quiet", "Dropped", some("the operator does not want it")),
        FactBody::DispatchTriggered { run: Some(run) } => {
            ("good", "Started", Some(format!("GitHub started run {}", run.id)))
        }
        FactBody::DispatchTriggered { run: None } => {
            ("good", "Started", some("GitHub did not say which run it is; it is looked for"))
        }
        FactBody::DispatchRunFound { run } => {
            ("good", "Run found", Some(format!("run {} is the one, among the target's runs", run.id)))
        }
        FactBody::DispatchPutBack { until, error } => ("warn", "Put back", Some(waits(*until, error))),
        FactBody::DispatchRefused { message, permission } => {
            ("bad", "Refused", Some(refusal(message, permission.as_deref())))
        }
        FactBody::DispatchInDoubt { error } => {
            ("warn", "In doubt", Some(format!("{error}; the target's runs are looked at")))
        }
        FactBody::DispatchUnknown { error } => ("bad", "Unknown", some(error)),
        FactBody::DispatchRetried { .. } => ("calm", "Retried", some("the operator wants it to be tried again")),
        FactBody::DispatchDropped { .. } => {
            ("quiet", "Dropped", some("the operator does not want it, or took care of it"))
        }
        FactBody::DispatchCancelled { reason, message } => ("bad", "Cancelled", Some(format!("{reason}: {message}"))),
        FactBody::DispatchFailed { error } => ("bad", "Failed", some(error)),
        FactBody::EnvironmentChanged { change, environment } => of_environment(change, environment),
        _ => ("quiet", body.cloud_event_type(), None),
    }
}

fn of_environment(
    change: &EnvironmentChange,
    environment: &EnvironmentRow,
) -> (&'static str, &'static str, Option<String>) {
    let name = &environment.key.name;
    let (tone, title, text) = match change {
        EnvironmentChange::Wanted(EnvironmentAction::Create) => ("calm", "Wanted", format!("environment {name}")),
        EnvironmentChange::Wanted(EnvironmentAction::Destroy) => {
            ("calm", "Not wanted", format!("environment {name} is to be destroyed"))
        }
        EnvironmentChange::Released(number) => {
            ("calm", "Released", format!("environment {name} by pull request {number}; others hold it"))
        }
        EnvironmentChange::Began(EnvironmentAction::Create) => {
            ("calm", "Environment", format!("{name} is being created or updated"))
        }
        EnvironmentChange::Began(EnvironmentAction::Destroy) => {
            ("calm", "Environment", format!("{name} is being destroyed"))
        }
        EnvironmentChange::Ended(StepEnd::Done) => ("good", "Environment", format!("{name} is {}", environment.state)),
        EnvironmentChange::Ended(StepEnd::Failed) => ("bad", "Environment", format!("{name}: its run failed")),
        EnvironmentChange::Ended(StepEnd::Unseen) => {
            ("bad", "Environment", format!("{name}: no end of its run was seen"))
        }
        EnvironmentChange::Ended(StepEnd::NotDone) => ("quiet", "Environment", format!("{name}: nothing was done")),
        EnvironmentChange::Ended(StepEnd::PutBack) => ("warn", "Environment", format!("{name} waits again")),
    };
    (tone, title, Some(text))
}

fn waits(until: Timestamp, error: &str) -> String {
    format!("until {until}: {error}")
}

fn in_short(plan: &Plan) -> String {
    if let Some(skipped) = &plan.skipped {
        return format!("no target was considered: {}", skipped.reason);
    }
    let allowed = plan.allowed().count();
    format!("{allowed} allowed, {} denied", plan.decisions.len() - allowed)
}
