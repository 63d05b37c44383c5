//! The limits in force, as people and programs read them.

use serde::Serialize;

use super::{
    CONCLUSIONS, DEFAULT_BRANCH_ONLY, DEFAULT_REF, Guardrails, Limit, MAX_CHAIN_DEPTH, MAX_EDGE_RATE, MAX_TARGETS,
    ORG_POLICY, OWNERS, Origin, Owners, SOURCES, Setting, TARGETS, WORKFLOWS,
};
use crate::pattern::{Pattern, PatternSet};
use crate::policy::{AtLine, OwnerLimits, RuleLocation};

impl Guardrails {
    /// The limits in force, as people and programs read them, in the order of [`Guardrails::SETTINGS`].
    #[must_use]
    pub fn effective(&self) -> Vec<EffectiveLimit> {
        let list = |set: &Option<PatternSet>| set.as_ref().map_or_else(|| "*".to_owned(), comma_separated);
        let owners = match &self.owners.value {
            Owners::OfTheApp(None) => "the App's owner".to_owned(),
            Owners::OfTheApp(Some(owner)) => owner.to_string(),
            Owners::Listed(patterns) => comma_separated(patterns),
            Owners::All => "*".to_owned(),
        };
        let words: Vec<_> = self.conclusions.value.iter().map(|conclusion| conclusion.as_str()).collect();
        vec![
            EffectiveLimit::new(OWNERS, &self.owners, owners),
            EffectiveLimit::new(SOURCES, &self.source_repositories, list(&self.source_repositories.value)),
            EffectiveLimit::new(TARGETS, &self.target_repositories, list(&self.target_repositories.value)),
            EffectiveLimit::new(WORKFLOWS, &self.source_workflows, list(&self.source_workflows.value)),
            EffectiveLimit::new(CONCLUSIONS, &self.conclusions, words.join(",")),
            EffectiveLimit::new(
                DEFAULT_BRANCH_ONLY,
                &self.default_branch_only,
                self.default_branch_only.value.to_string(),
            ),
            EffectiveLimit::new(DEFAULT_REF, &self.default_ref, self.default_ref.value.to_string()),
            EffectiveLimit::new(MAX_TARGETS, &self.max_targets, self.max_targets.value.to_string()),
            EffectiveLimit::new(MAX_CHAIN_DEPTH, &self.max_chain_depth, self.max_chain_depth.value.to_string()),
            EffectiveLimit::new(MAX_EDGE_RATE, &self.max_edge_rate, self.max_edge_rate.value.to_string()),
            EffectiveLimit::new(ORG_POLICY, &self.org_policy, self.org_policy.value.as_str().to_owned()),
        ]
    }
}

/// A limit in force, as text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EffectiveLimit {
    /// The environment variable's name; for what only owners limit, the key.
    pub name: &'static str,
    /// The value, as it could be written in the variable; a list that allows everything is `*`.
    pub value: String,
    /// Where it was set.
    pub origin: Origin,
}

impl EffectiveLimit {
    fn new<T>(setting: Setting, limit: &Limit<T>, value: String) -> Self {
        Self { name: setting.name, value, origin: limit.origin.clone() }
    }

    fn of_owner(name: &'static str, value: String, origin: Origin) -> Self {
        Self { name, value, origin }
    }
}

/// Narrows the limits in force by those of an owner. Of lists, all must allow it, so that the owner's is one more. `place`:
/// where a line of them is. `of_source`: whether it is the owner of the repository where something happens.
pub(crate) fn narrow(
    rows: &mut Vec<EffectiveLimit>,
    limits: &OwnerLimits,
    place: impl Fn(u32) -> RuleLocation,
    of_source: bool,
) {
    let origin = |line| Origin::Owner(place(line));
    for (setting, list) in [
        (SOURCES, &limits.source_repositories),
        (TARGETS, &limits.target_repositories),
        (WORKFLOWS, &limits.source_workflows),
    ] {
        let Some(list) = list else { continue };
        let behind = rows.iter().rposition(|row| row.name == setting.name).map_or(rows.len(), |last| last + 1);
        rows.insert(behind, EffectiveLimit::of_owner(setting.name, comma_separated(&list.value), origin(list.line)));
    }
    for (setting, most) in [
        (MAX_TARGETS, &limits.max_targets),
        (MAX_CHAIN_DEPTH, &limits.max_chain_depth),
        (MAX_EDGE_RATE, &limits.max_edge_rate),
    ] {
        let Some(AtLine { value, line }) = most else { continue };
        change(
            rows,
            setting,
            |now| now.parse().is_ok_and(|now: usize| *value < now).then(|| value.to_string()),
            || origin(*line),
        );
    }
    if let Some(AtLine { value, line }) = &limits.conclusions {
        let both = |now: &str| {
            let kept: Vec<_> = now.split(',').filter(|word| value.iter().any(|fits| fits.as_str() == *word)).collect();
            Some(kept.join(",")).filter(|kept| kept != now)
        };
        change(rows, CONCLUSIONS, both, || origin(*line));
    }
    if let Some(AtLine { value: true, line }) = limits.default_branch_only {
        change(rows, DEFAULT_BRANCH_ONLY, |now| (now == "false").then(|| "true".to_owned()), || origin(line));
    }
    if let Some(AtLine { value, line }) = limits.default_ref.as_ref().filter(|_| of_source) {
        change(rows, DEFAULT_REF, |_| Some(value.to_string()), || origin(*line));
    }
    if let Some(AtLine { value: false, line }) = limits.forks {
        rows.push(EffectiveLimit::of_owner("forks", "false".to_owned(), origin(line)));
    }
    if let Some(list) = &limits.command_repositories {
        rows.push(EffectiveLimit::of_owner("command_repositories", comma_separated(&list.value), origin(list.line)));
    }
}

/// Changes the value of a setting where an owner's is narrower.
fn change(
    rows: &mut [EffectiveLimit],
    setting: Setting,
    narrower: impl Fn(&str) -> Option<String>,
    origin: impl Fn() -> Origin,
) {
    let Some(row) = rows.iter_mut().find(|row| row.name == setting.name) else { return };
    if let Some(value) = narrower(&row.value) {
        (row.value, row.origin) = (value, origin());
    }
}

fn comma_separated(patterns: &PatternSet) -> String {
    patterns.patterns().iter().map(Pattern::as_str).collect::<Vec<_>>().join(",")
}
