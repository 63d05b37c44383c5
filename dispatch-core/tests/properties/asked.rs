//! The decision about a world, in the words of the oracle.

use dispatch_core::decide::{Decision, Plan, decide_with};
use dispatch_core::guardrail::Guardrails;
use dispatch_core::request::DispatchRequest;

use super::oracle;
use super::worlds::World;

pub fn plan(world: &World) -> Plan {
    decide_with(&world.event, &guardrails(world), &mut &*world)
}

pub fn guardrails(world: &World) -> Guardrails {
    let settings = Guardrails::from_settings(&world.settings).unwrap();
    Guardrails { app_login: world.app_login.clone(), ..settings }
}

/// What a decision would do, in the words of the oracle.
pub fn sent(decision: &Decision) -> Option<oracle::Sent> {
    let allowed = decision.allowed()?;
    let values = match &allowed.request {
        DispatchRequest::Workflow(request) => {
            request.inputs().iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect()
        }
        DispatchRequest::Event(request) => request.client_payload().clone(),
        other => panic!("{other:?}"),
    };
    let environment = allowed.environment.as_ref();
    Some(oracle::Sent {
        git_ref: allowed.request.git_ref().map(ToString::to_string),
        values,
        environment: environment.map(|it| (it.key.name.to_string(), it.action, it.description.deploy.clone())),
    })
}
