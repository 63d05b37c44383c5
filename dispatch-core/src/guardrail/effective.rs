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
}

/// What an owner allows, for the limits in force.
pub(crate) struct Narrower<'a> {
    /// What he allows.
    pub(crate) limits: &'a OwnerLimits,
    /// The file that says so; the line is any.
    pub(crate) file: &'a RuleLocation,
    /// Whether he owns the repository where something happens.
    pub(crate) of_source: bool,
}

impl Narrower<'_> {
    fn origin(&self, line: u32) -> Origin {
        Origin::Owner(RuleLocation { line, ..self.file.clone() })
    }

    /// Puts an owner's value in the place of the one in force, where it is narrower.
    fn narrow<T: Clone>(&self, limit: &mut Limit<T>, theirs: Option<&AtLine<T>>, is_narrower: impl Fn(&T, &T) -> bool) {
        if let Some(AtLine { value, line }) = theirs.filter(|theirs| is_narrower(&theirs.value, &limit.value)) {
            *limit = Limit { value: value.clone(), origin: self.origin(*line) };
        }
    }
}

impl Guardrails {
    /// The limits in force, narrowed by those of owners. Of lists, all must allow it, so that an owner's is one more.
    pub(crate) fn effective_within(&self, owners: &[Narrower<'_>]) -> Vec<EffectiveLimit> {
        let mut narrowed = self.clone();
        owners.iter().for_each(|owner| narrowed.narrow(owner));
        let mut rows = narrowed.effective();
        for owner in owners {
            let row = |name, list: &AtLine<PatternSet>| EffectiveLimit {
                name,
                value: comma_separated(&list.value),
                origin: owner.origin(list.line),
            };
            for (setting, list) in [
                (SOURCES, &owner.limits.source_repositories),
                (TARGETS, &owner.limits.target_repositories),
                (WORKFLOWS, &owner.limits.source_workflows),
            ] {
                let behind = rows.iter().rposition(|row| row.name == setting.name).map_or(rows.len(), |last| last + 1);
                list.iter().for_each(|list| rows.insert(behind, row(setting.name, list)));
            }
            if let Some(AtLine { value: false, line }) = owner.limits.forks {
                let (name, value) = ("forks", "false".to_owned());
                rows.push(EffectiveLimit { name, value, origin: owner.origin(line) });
            }
            rows.extend(owner.limits.command_repositories.iter().map(|list| row("command_repositories", list)));
        }
        rows
    }

    fn narrow(&mut self, owner: &Narrower<'_>) {
        let theirs = owner.limits;
        owner.narrow(&mut self.max_targets, theirs.max_targets.as_ref(), |most, now| most < now);
        owner.narrow(&mut self.max_chain_depth, theirs.max_chain_depth.as_ref(), |most, now| most < now);
        owner.narrow(&mut self.max_edge_rate, theirs.max_edge_rate.as_ref(), |most, now| most < now);
        owner.narrow(&mut self.default_branch_only, theirs.default_branch_only.as_ref(), |only, now| *only && !now);
        owner.narrow(&mut self.default_ref, theirs.default_ref.as_ref(), |_, _| owner.of_source);
        if let Some(AtLine { value, line }) = &theirs.conclusions {
            let value = &self.conclusions.value & value;
            owner.narrow(&mut self.conclusions, Some(&AtLine { value, line: *line }), |both, now| both != now);
        }
    }
}

fn comma_separated(patterns: &PatternSet) -> String {
    patterns.patterns().iter().map(Pattern::as_str).collect::<Vec<_>>().join(",")
}
