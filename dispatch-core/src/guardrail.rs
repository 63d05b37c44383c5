//! The operator's limits. They are checked before anything is fetched; rules can only narrow them.

mod effective;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

pub use self::effective::EffectiveLimit;
pub(crate) use self::effective::Narrower;
use crate::event::Conclusion;
use crate::name::{GitRef, Login, Owner, Repository, WorkflowFile};
use crate::pattern::{Pattern, PatternSet};
use crate::policy::RuleLocation;
use crate::quote::{quote, quote_all};

/// A value, and where it came from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Limit<T> {
    /// The value in force.
    pub value: T,
    /// Where it was set.
    pub origin: Origin,
}

/// Where a value was set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Origin {
    /// Nowhere: the built-in value.
    Default,
    /// In this environment variable or its flag; the variable's name.
    Setting(String),
    /// In the limits of an owner.
    Owner(RuleLocation),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Setting(name) => f.write_str(name),
            Self::Owner(place) => write!(f, "{place}"),
        }
    }
}

/// The operator's limits, each knowing its origin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Guardrails {
    /// `OWNER_ALLOWLIST`: whose events count.
    pub owners: Limit<Owners>,
    /// `SOURCE_REPO_ALLOWLIST`: whose events count, as `owner/name` or `owner/*`. None allows all.
    pub source_repositories: Limit<Option<PatternSet>>,
    /// `TARGET_REPO_ALLOWLIST`: where something may be started. None allows all.
    pub target_repositories: Limit<Option<PatternSet>>,
    /// `SOURCE_WORKFLOW_ALLOWLIST`: the workflow files whose runs count. None allows all.
    pub source_workflows: Limit<Option<PatternSet>>,
    /// `ALLOWED_SOURCE_CONCLUSIONS`: how a run must have ended.
    pub conclusions: Limit<BTreeSet<Conclusion>>,
    /// `ENFORCE_SOURCE_DEFAULT_BRANCH`: whether only runs on the default branch count.
    pub default_branch_only: Limit<bool>,
    /// `DEFAULT_DISPATCH_REF`: where to start a workflow when neither the target nor the run names a branch.
    pub default_ref: Limit<GitRef>,
    /// `DISPATCH_MAX_TARGETS_PER_RUN`: how many targets of one event are considered, 1 to [`Guardrails::MAX_TARGETS`].
    pub max_targets: Limit<usize>,
    /// `DISPATCH_MAX_CHAIN_DEPTH`: how many dispatches may follow from one another, 1 to [`Guardrails::MAX_CHAIN_DEPTH`].
    pub max_chain_depth: Limit<usize>,
    /// `DISPATCH_MAX_EDGE_RATE`: how often one repository may start one target within an hour, 1 to
    /// [`Guardrails::MAX_EDGE_RATE`]: the brake for loops that no chain shows, such as those that go through pushes.
    pub max_edge_rate: Limit<usize>,
    /// `ORG_POLICY`: whether every owner must have [limits](crate::policy::OwnerLimits).
    pub org_policy: Limit<OrgPolicy>,
    /// The login of the App's bot, such as `dispatch[bot]`: what it causes starts nothing, except along a chain. None
    /// while nobody has told; see [`Guardrails::with_app_login`].
    pub app_login: Option<Login>,
    /// `CREATE_ISSUES`: whether failures are told in an issue of the source repository; see [`Guardrails::with_issues`].
    pub create_issues: bool,
}

/// Whose events count. A public App can be installed by anybody, so that everybody must be asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Owners {
    /// Nothing was set: the account that the App belongs to. While nobody has told which it is, no event counts; see
    /// [`Guardrails::with_app_owner`].
    OfTheApp(Option<Owner>),
    /// These.
    Listed(PatternSet),
    /// Everybody (`*`).
    All,
}

impl Owners {
    /// Whether the owner's events count.
    #[must_use]
    pub fn allow(&self, owner: &Owner) -> bool {
        match self {
            Self::OfTheApp(app_owner) => app_owner.as_ref() == Some(owner),
            Self::Listed(patterns) => patterns.matches_ignore_case(owner.as_str()),
            Self::All => true,
        }
    }
}

/// Whether every owner must have [limits](crate::policy::OwnerLimits).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrgPolicy {
    /// Limits that can be read count. Where they were seen before and cannot be read now, nothing is allowed.
    Optional,
    /// Nothing is allowed where there are none, or where they cannot be read.
    Required,
}

impl OrgPolicy {
    fn as_str(self) -> &'static str {
        match self {
            Self::Optional => "optional",
            Self::Required => "required",
        }
    }
}

/// One setting that is a limit: for flags and for help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// The environment variable's name, such as `OWNER_ALLOWLIST`.
    pub name: &'static str,
    /// The text that stands for the built-in value. Empty where it is no text: all, or the App's owner.
    pub default: &'static str,
    /// What it does, for people: one line.
    pub help: &'static str,
}

const OWNERS: Setting = Setting {
    name: "OWNER_ALLOWLIST",
    default: "",
    help: "Accounts whose events count, comma-separated, with `*` patterns [default: the App's owner; `*` for everybody]",
};
const SOURCES: Setting = Setting {
    name: "SOURCE_REPO_ALLOWLIST",
    default: "",
    help: "Repositories whose events count: `owner/name` or `owner/*`, comma-separated [default: all]",
};
const TARGETS: Setting = Setting {
    name: "TARGET_REPO_ALLOWLIST",
    default: "",
    help: "Repositories in which something may be started: `owner/name` or `owner/*`, comma-separated [default: all]",
};
const WORKFLOWS: Setting = Setting {
    name: "SOURCE_WORKFLOW_ALLOWLIST",
    default: "",
    help: "Workflow files whose runs count, comma-separated, with `*` patterns [default: all]",
};
const CONCLUSIONS: Setting = Setting {
    name: "ALLOWED_SOURCE_CONCLUSIONS",
    default: "success",
    help: "How a run must have ended, comma-separated, in GitHub's words",
};
const DEFAULT_BRANCH_ONLY: Setting = Setting {
    name: "ENFORCE_SOURCE_DEFAULT_BRANCH",
    default: "true",
    help: "Whether only runs on the default branch count",
};
const DEFAULT_REF: Setting = Setting {
    name: "DEFAULT_DISPATCH_REF",
    default: "main",
    help: "Where to start a workflow when neither the target nor the run names a branch",
};
const MAX_TARGETS: Setting = Setting {
    name: "DISPATCH_MAX_TARGETS_PER_RUN",
    default: "25",
    help: "How many targets of one event are considered, 1 to 90",
};
const MAX_CHAIN_DEPTH: Setting = Setting {
    name: "DISPATCH_MAX_CHAIN_DEPTH",
    default: "8",
    help: "How many dispatches may follow from one another, 1 to 32",
};

const MAX_EDGE_RATE: Setting = Setting {
    name: "DISPATCH_MAX_EDGE_RATE",
    default: "100",
    help: "How often one repository may start one target within an hour, 1 to 1000000",
};

const ORG_POLICY: Setting = Setting {
    name: "ORG_POLICY",
    default: "optional",
    help: "`required`: nothing starts for owners whose `.github` repository has no `limits` that can be read",
};

impl Guardrails {
    /// A plan is committed in one step of at most 100 writes: one for the delivery, one for its fact, one for each target.
    pub const MAX_TARGETS: usize = 90;
    /// A chain travels with every run that it started, so that it has an end.
    pub const MAX_CHAIN_DEPTH: usize = 32;
    /// The highest `DISPATCH_MAX_EDGE_RATE`.
    pub const MAX_EDGE_RATE: usize = 1_000_000;
    /// How many dispatches may follow from one event, over all of its chain.
    pub const ROOT_BUDGET: u32 = 100;

    /// Every setting that is a limit, in the order of the documentation.
    pub const SETTINGS: &'static [Setting] = &[
        OWNERS,
        SOURCES,
        TARGETS,
        WORKFLOWS,
        CONCLUSIONS,
        DEFAULT_BRANCH_ONLY,
        DEFAULT_REF,
        MAX_TARGETS,
        MAX_CHAIN_DEPTH,
        MAX_EDGE_RATE,
        ORG_POLICY,
    ];

    /// Reads the limits from settings: name of the environment variable to value. Names that are not limits are left
    /// alone. An empty value is the same as none: the built-in one.
    ///
    /// # Errors
    /// The first wrong setting.
    ///
    /// ```
    /// use std::collections::BTreeMap;
    /// use dispatch_core::guardrail::Guardrails;
    ///
    /// let settings = BTreeMap::from([("DISPATCH_MAX_TARGETS_PER_RUN".to_owned(), "many".to_owned())]);
    /// let error = Guardrails::from_settings(&settings).unwrap_err();
    /// assert_eq!(error.to_string(), "DISPATCH_MAX_TARGETS_PER_RUN: expected a number from 1 to 90, got `many`");
    /// ```
    pub fn from_settings(settings: &BTreeMap<String, String>) -> Result<Self, SettingError> {
        let read = Settings(settings);
        Ok(Self {
            owners: read.limit(OWNERS, owners)?,
            source_repositories: read.limit(SOURCES, repositories)?,
            target_repositories: read.limit(TARGETS, repositories)?,
            source_workflows: read.limit(WORKFLOWS, workflows)?,
            conclusions: read.limit(CONCLUSIONS, conclusions)?,
            default_branch_only: read.limit(DEFAULT_BRANCH_ONLY, boolean)?,
            default_ref: read.limit(DEFAULT_REF, |text| text.parse().map_err(expected("a branch or a tag", text)))?,
            max_targets: read.limit(MAX_TARGETS, |text| number(text, Self::MAX_TARGETS))?,
            max_chain_depth: read.limit(MAX_CHAIN_DEPTH, |text| number(text, Self::MAX_CHAIN_DEPTH))?,
            max_edge_rate: read.limit(MAX_EDGE_RATE, |text| number(text, Self::MAX_EDGE_RATE))?,
            org_policy: read.limit(ORG_POLICY, org_policy)?,
            app_login: None,
            create_issues: false,
        })
    }

    /// Tells which account the App belongs to: the one whose events count where `OWNER_ALLOWLIST` is not set. Where it
    /// is set, nothing changes.
    #[must_use]
    pub fn with_app_owner(mut self, owner: Owner) -> Self {
        if let Owners::OfTheApp(app_owner) = &mut self.owners.value {
            *app_owner = Some(owner);
        }
        self
    }

    /// Tells the login of the App's bot: the App's slug, and `[bot]`.
    #[must_use]
    pub fn with_app_login(mut self, login: Login) -> Self {
        self.app_login = Some(login);
        self
    }

    /// Tells whether failures are told in issues. They are not while nobody says so.
    #[must_use]
    pub fn with_issues(mut self, create_issues: bool) -> Self {
        self.create_issues = create_issues;
        self
    }
}

/// A setting has a value that it cannot have. Prints as one line that names the setting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {problem}")]
pub struct SettingError {
    /// The environment variable's name, such as `OWNER_ALLOWLIST`.
    pub name: String,
    /// What is wrong and what would be right, in one line.
    pub problem: String,
}

struct Settings<'a>(&'a BTreeMap<String, String>);

impl Settings<'_> {
    fn limit<T>(&self, setting: Setting, read: impl Fn(&str) -> Result<T, String>) -> Result<Limit<T>, SettingError> {
        let given = self.0.get(setting.name).map(|text| text.trim()).filter(|text| !text.is_empty());
        let value = read(given.unwrap_or(setting.default))
            .map_err(|problem| SettingError { name: setting.name.to_owned(), problem })?;
        let origin = given.map_or(Origin::Default, |_| Origin::Setting(setting.name.to_owned()));
        Ok(Limit { value, origin })
    }
}

fn owners(text: &str) -> Result<Owners, String> {
    let valid = |element: &str| element.replace('*', "a").parse::<Owner>().is_ok();
    Ok(match patterns(text, "an account, `*` patterns allowed", valid)? {
        None if text.is_empty() => Owners::OfTheApp(None),
        None => Owners::All,
        Some(patterns) => Owners::Listed(patterns),
    })
}

fn repositories(text: &str) -> Result<Option<PatternSet>, String> {
    let valid = |element: &str| element.replace('*', "a").parse::<Repository>().is_ok();
    patterns(text, "`owner/name` or `owner/*`", valid)
}

fn workflows(text: &str) -> Result<Option<PatternSet>, String> {
    let valid = |element: &str| element.replace('*', "a").parse::<WorkflowFile>().is_ok();
    patterns(text, "a workflow file name ending in `.yml` or `.yaml`, `*` patterns allowed", valid)
}

/// A list of patterns; None allows all, because the list is empty or has the element `*`.
fn patterns(text: &str, what: &'static str, valid: impl Fn(&str) -> bool) -> Result<Option<PatternSet>, String> {
    let mut all = text.is_empty();
    let mut patterns = Vec::new();
    for element in elements(text) {
        match element.parse::<Pattern>() {
            _ if element == "*" => all = true,
            Ok(pattern) if valid(element) => patterns.push(pattern),
            _ => return Err(format!("expected {what}, got {}", quote(element))),
        }
    }
    Ok(PatternSet::new(patterns).filter(|_| !all))
}

fn conclusions(text: &str) -> Result<BTreeSet<Conclusion>, String> {
    let read = |word: &str| {
        let all = format!("expected a conclusion ({}), got {}", quote_all(Conclusion::ALL), quote(word));
        Conclusion::from_word(word).ok_or(all)
    };
    if elements(text).eq(["*"]) { Ok(Conclusion::ALL.into()) } else { elements(text).map(read).collect() }
}

fn boolean(text: &str) -> Result<bool, String> {
    text.to_ascii_lowercase().parse().map_err(expected("`true` or `false`", text))
}

fn org_policy(text: &str) -> Result<OrgPolicy, String> {
    let words = [OrgPolicy::Optional, OrgPolicy::Required];
    let problem = || format!("expected `optional` or `required`, got {}", quote(text));
    words.into_iter().find(|word| word.as_str() == text).ok_or_else(problem)
}

fn number(text: &str, most: usize) -> Result<usize, String> {
    let problem = || format!("expected a number from 1 to {most}, got {}", quote(text));
    text.parse().ok().filter(|number| (1..=most).contains(number)).ok_or_else(problem)
}

/// The elements between commas. An empty one stays, to be refused.
fn elements(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(move |_| !text.is_empty())
}

fn expected<E>(what: &'static str, text: &str) -> impl Fn(E) -> String {
    move |_| format!("expected {what}, got {}", quote(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(settings: &[(&str, &str)]) -> Result<Guardrails, SettingError> {
        Guardrails::from_settings(
            &settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        )
    }

    fn owner(name: &str) -> Owner {
        name.parse().unwrap()
    }

    fn table(guardrails: &Guardrails) -> String {
        let line = |limit: EffectiveLimit| format!("{} = {} ({})", limit.name, limit.value, limit.origin);
        guardrails.effective().into_iter().map(line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn without_settings_the_limits_are_narrow() {
        insta::assert_snapshot!(table(&read(&[]).unwrap()), @r"
        OWNER_ALLOWLIST = the App's owner (default)
        SOURCE_REPO_ALLOWLIST = * (default)
        TARGET_REPO_ALLOWLIST = * (default)
        SOURCE_WORKFLOW_ALLOWLIST = * (default)
        ALLOWED_SOURCE_CONCLUSIONS = success (default)
        ENFORCE_SOURCE_DEFAULT_BRANCH = true (default)
        DEFAULT_DISPATCH_REF = main (default)
        DISPATCH_MAX_TARGETS_PER_RUN = 25 (default)
        DISPATCH_MAX_CHAIN_DEPTH = 8 (default)
        DISPATCH_MAX_EDGE_RATE = 100 (default)
        ORG_POLICY = optional (default)
        ");
    }

    #[test]
    fn every_value_knows_the_setting_that_it_comes_from() {
        let guardrails = read(&[
            ("OWNER_ALLOWLIST", "acme, acme-*"),
            ("SOURCE_REPO_ALLOWLIST", "acme/*,octo-org/api"),
            ("TARGET_REPO_ALLOWLIST", "*"),
            ("SOURCE_WORKFLOW_ALLOWLIST", "ci.yml,release-*.yml"),
            ("ALLOWED_SOURCE_CONCLUSIONS", "failure, success"),
            ("ENFORCE_SOURCE_DEFAULT_BRANCH", "FALSE"),
            ("DEFAULT_DISPATCH_REF", " release "),
            ("DISPATCH_MAX_TARGETS_PER_RUN", "90"),
            ("DISPATCH_MAX_CHAIN_DEPTH", "1"),
            ("UNRELATED", "left alone"),
        ]);
        insta::assert_snapshot!(table(&guardrails.unwrap()), @r"
        OWNER_ALLOWLIST = acme,acme-* (OWNER_ALLOWLIST)
        SOURCE_REPO_ALLOWLIST = acme/*,octo-org/api (SOURCE_REPO_ALLOWLIST)
        TARGET_REPO_ALLOWLIST = * (TARGET_REPO_ALLOWLIST)
        SOURCE_WORKFLOW_ALLOWLIST = ci.yml,release-*.yml (SOURCE_WORKFLOW_ALLOWLIST)
        ALLOWED_SOURCE_CONCLUSIONS = failure,success (ALLOWED_SOURCE_CONCLUSIONS)
        ENFORCE_SOURCE_DEFAULT_BRANCH = false (ENFORCE_SOURCE_DEFAULT_BRANCH)
        DEFAULT_DISPATCH_REF = release (DEFAULT_DISPATCH_REF)
        DISPATCH_MAX_TARGETS_PER_RUN = 90 (DISPATCH_MAX_TARGETS_PER_RUN)
        DISPATCH_MAX_CHAIN_DEPTH = 1 (DISPATCH_MAX_CHAIN_DEPTH)
        DISPATCH_MAX_EDGE_RATE = 100 (default)
        ORG_POLICY = optional (default)
        ");
    }

    #[test]
    fn an_empty_value_is_no_value() {
        let empty: Vec<_> = Guardrails::SETTINGS.iter().map(|setting| (setting.name, " ")).collect();
        assert_eq!(read(&empty), read(&[]));
    }

    #[test]
    fn the_defaults_that_are_documented_are_those_in_force() {
        let values =
            |guardrails: Guardrails| guardrails.effective().into_iter().map(|limit| limit.value).collect::<Vec<_>>();
        let written: Vec<_> = Guardrails::SETTINGS.iter().map(|setting| (setting.name, setting.default)).collect();
        assert_eq!(values(read(&written).unwrap()), values(read(&[]).unwrap()));
    }

    #[test]
    fn nobody_is_served_until_the_owner_of_the_app_is_known() {
        let unknown = read(&[]).unwrap();
        assert!(!unknown.owners.value.allow(&owner("acme")));
        let known = unknown.with_app_owner(owner("Acme"));
        assert!(known.owners.value.allow(&owner("acme")));
        assert!(!known.owners.value.allow(&owner("acme2")));
    }

    #[test]
    fn a_list_of_owners_means_those_and_everybody_must_be_written() {
        let cases =
            [("acme", "ACME", true), ("acme", "acme-labs", false), ("acme*", "acme-labs", true), ("*", "evil", true)];
        for (list, name, allowed) in cases {
            let guardrails = read(&[("OWNER_ALLOWLIST", list)]).unwrap().with_app_owner(owner("evil"));
            assert_eq!(guardrails.owners.value.allow(&owner(name)), allowed, "{list} {name}");
        }
    }

    #[test]
    fn a_wrong_setting_is_one_line_that_names_it() {
        let cases = [
            ("OWNER_ALLOWLIST", "acme,"),
            ("OWNER_ALLOWLIST", "acme/api"),
            ("SOURCE_REPO_ALLOWLIST", "api"),
            ("TARGET_REPO_ALLOWLIST", "acme/api,,acme/web"),
            ("TARGET_REPO_ALLOWLIST", "a/b/c"),
            ("SOURCE_WORKFLOW_ALLOWLIST", "ci"),
            ("ALLOWED_SOURCE_CONCLUSIONS", "green"),
            ("ENFORCE_SOURCE_DEFAULT_BRANCH", "yes"),
            ("DEFAULT_DISPATCH_REF", "refs/pull/1/head"),
            ("DISPATCH_MAX_TARGETS_PER_RUN", "0"),
            ("DISPATCH_MAX_TARGETS_PER_RUN", "91"),
            ("DISPATCH_MAX_CHAIN_DEPTH", "-1\n"),
            ("ORG_POLICY", "yes"),
        ];
        let lines: Vec<_> = cases.iter().map(|case| read(&[*case]).unwrap_err().to_string()).collect();
        insta::assert_snapshot!(lines.join("\n"), @r"
        OWNER_ALLOWLIST: expected an account, `*` patterns allowed, got ``
        OWNER_ALLOWLIST: expected an account, `*` patterns allowed, got `acme/api`
        SOURCE_REPO_ALLOWLIST: expected `owner/name` or `owner/*`, got `api`
        TARGET_REPO_ALLOWLIST: expected `owner/name` or `owner/*`, got ``
        TARGET_REPO_ALLOWLIST: expected `owner/name` or `owner/*`, got `a/b/c`
        SOURCE_WORKFLOW_ALLOWLIST: expected a workflow file name ending in `.yml` or `.yaml`, `*` patterns allowed, got `ci`
        ALLOWED_SOURCE_CONCLUSIONS: expected a conclusion (`action_required`, `cancelled`, `failure`, `neutral`, `skipped`, `stale`, `startup_failure`, `success`, `timed_out`), got `green`
        ENFORCE_SOURCE_DEFAULT_BRANCH: expected `true` or `false`, got `yes`
        DEFAULT_DISPATCH_REF: expected a branch or a tag, got `refs/pull/1/head`
        DISPATCH_MAX_TARGETS_PER_RUN: expected a number from 1 to 90, got `0`
        DISPATCH_MAX_TARGETS_PER_RUN: expected a number from 1 to 90, got `91`
        DISPATCH_MAX_CHAIN_DEPTH: expected a number from 1 to 32, got `-1`
        ORG_POLICY: expected `optional` or `required`, got `yes`
        ");
    }
}
