//! What one event may start over all of its chain.

use super::known::{Known, Lookup};
use super::plan::{Decision, Plan};
use crate::chain::Place;
use crate::event::EventIdentity;
use crate::guardrail::Guardrails;
use crate::name::Repository;
use crate::quote::quote;
use crate::reason::Reason;

/// Denies what the root's budget does not cover. What is left of it goes to the first allowed targets.
pub(super) fn keep_budget(mut plan: Plan, known: &Known) -> Result<Plan, Lookup> {
    let Some(root) = plan.root().cloned() else { return Ok(plan) };
    let Some(spent) = known.root_spent.get(&root) else { return Err(Lookup::RootSpent(root)) };
    let left = Guardrails::ROOT_BUDGET.saturating_sub(*spent);
    let allowed = plan.decisions.iter_mut().filter(|decision| decision.allowed().is_some());
    allowed.skip(usize::try_from(left).unwrap_or(usize::MAX)).for_each(Decision::deny_over_budget);
    Ok(plan)
}

impl Guardrails {
    /// The hourly brake: why a source may not use a target once more. It ends the loops that no chain shows, such as those
    /// that go through pushes.
    pub(crate) fn too_often(&self, source: &Repository, target: &Place, uses: u32) -> Option<String> {
        let most = self.max_edge_rate.value;
        (usize::try_from(uses).unwrap_or(usize::MAX) >= most).then(|| {
            format!(
                "{} has started {} of {} {uses} times within the hour, and DISPATCH_MAX_EDGE_RATE is {most}",
                quote(source),
                quote(&target.start),
                quote(&target.repository),
            )
        })
    }
}

impl Plan {
    /// The event at the root of the chain that the allowed dispatches belong to. None where nothing is allowed.
    #[must_use]
    pub fn root(&self) -> Option<&EventIdentity> {
        self.allowed().next().map(|(_, allowed)| &allowed.chain.root)
    }
}

impl Decision {
    /// Denies an allowed target because the root's budget is spent.
    pub(crate) fn deny_over_budget(&mut self) {
        let Some(allowed) = self.allowed() else { return };
        let message = format!(
            "the chain that began with {} has spent the {} dispatches that one event may start",
            quote(allowed.chain.root.as_str()),
            Guardrails::ROOT_BUDGET,
        );
        self.deny(Reason::RootBudgetExceeded, message);
    }
}
