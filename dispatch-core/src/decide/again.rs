//! A check run of this App that somebody wants again: the same dispatch, through the same decision.

use super::command::refuse;
use super::known::{Known, Lookup, Missing};
use super::{Plan, Stop, Wanted, about_event, source};
use crate::event::{CheckRerequest, Event};
use crate::guardrail::Guardrails;
use crate::ports::pull_requests::PermissionLevel;
use crate::quote::quote;
use crate::reason::Reason;

/// Decides about what a check run tells of, for whoever wants it again: he must be a person who may write, and if it was a
/// command, who may give it.
pub(super) fn about_check(
    event: &Event,
    check: &CheckRerequest,
    known: &Known,
    guardrails: &Guardrails,
) -> Result<Plan, Stop> {
    source::admit_repository(event, guardrails)?;
    let (repository, by) = (quote(&event.repository.name), &check.by);
    if !by.person {
        let message = format!("only people ask for it again, and {} is none", quote(&by.login));
        return Err(refuse(Reason::CommenterNotPermitted, message, false));
    }
    let mut missing = Missing::default();
    let id = &check.external_id;
    let dispatch = missing.or_ask(known.checks.get(id), || Lookup::Check(id.clone()));
    let permission = missing.or_ask(known.permissions.get(&by.login), || Lookup::Permission(by.login.clone()));
    let (Some(dispatch), Some(permission)) = (dispatch, permission) else { return Err(Stop::Need(missing)) };

    let writes = permission.is_some_and(|it| it.user == by.id && it.level >= PermissionLevel::Write);
    if !writes {
        let why = known.why_not_told(&Lookup::Permission(by.login.clone()));
        let message = format!("{} may not write to {repository}{why}", quote(&by.login));
        return Err(refuse(Reason::CommenterNotPermitted, message, false));
    }
    let Some(dispatch) = dispatch.as_ref().filter(|it| it.event.repository.id == event.repository.id) else {
        let message = format!("no dispatch of {repository} is known that this check tells of");
        return Err(refuse(Reason::NoRuleMatched, message, false));
    };
    let target = &dispatch.target;
    if dispatch.in_flight {
        let message = format!("{} of {} is under way", quote(&target.start), quote(&target.repository));
        return Err(refuse(Reason::AlreadyUnderWay, message, false));
    }
    let wanted = Wanted { root: event.identity(), again_by: Some(by) };
    let mut plan = about_event(&dispatch.event, &wanted, known, guardrails)?;
    // Its own event has its parts already.
    plan.further.clear();
    plan.decisions.retain(|decision| decision.target == *target && decision.reason() != Some(Reason::DuplicateTarget));
    Ok(plan)
}
