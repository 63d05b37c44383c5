//! The environments of pull requests: `environments`.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::raw::{self, List, Map};
use super::super::{EnvironmentRule, accept};
use super::{At, Checker, Diagnostic, Text, nearest, quoted, words};
use crate::name::EnvironmentName;
use crate::quote::hidden;
use crate::template::{Template, Variable};

/// How many environments a file may describe. There is one for each base branch, or for groups of them.
pub(in crate::policy) const MAX_ENVIRONMENTS: usize = 100;
/// How many further addresses an environment may have.
pub(in crate::policy) const MAX_LINKS: usize = 10;
/// The longest name of an address, in characters.
pub(in crate::policy) const MAX_LINK_NAME: usize = 50;
/// How long an environment may be let alone: at least an hour, since a run takes its time, and at most 90 days.
pub(in crate::policy) const TTL: std::ops::RangeInclusive<u64> = 3_600..=90 * 24 * 3_600;
/// The least and the greatest number of a pull request that names are tried with.
const NUMBERS: [u32; 2] = [1, 99_999];
/// What may stand in an address and in a text.
pub(in crate::policy) const IDENTIFIERS: &[Variable] =
    &[Variable::PrNumber, Variable::PrHeadSha, Variable::PrBaseBranch, Variable::EnvName, Variable::EnvBase];
/// What may stand in the branch that is deployed.
pub(in crate::policy) const BRANCHES: &[Variable] =
    &[Variable::PrNumber, Variable::PrHeadBranch, Variable::PrBaseBranch, Variable::EnvName, Variable::EnvBase];
/// What may stand in a name.
pub(in crate::policy) const NUMBERED: &[Variable] = &[Variable::PrNumber];
/// What a time is written in, in seconds.
pub(in crate::policy) const UNITS: [(char, u64); 3] = [('m', 60), ('h', 3_600), ('d', 86_400)];

impl Checker<'_> {
    pub(super) fn environments(&mut self, list: Option<&At<List<raw::Environment>>>) -> Vec<EnvironmentRule> {
        let Some(list) = list.filter(|list| !self.is_nothing(list.node)) else { return Vec::new() };
        let Some(entries) = self.written(list) else { return Vec::new() };
        self.environments = !entries.is_empty();
        if entries.len() > MAX_ENVIRONMENTS {
            let message = format!("{} environments, and a file describes at most {MAX_ENVIRONMENTS}", entries.len());
            let problem = self.problem("too_many_environments", list.node, message, "too many environments");
            self.findings.invalid(problem.help("give one entry a pattern as `base`, such as `base: \"release/*\"`"));
            return Vec::new();
        }
        let mut rules: Vec<(EnvironmentRule, &At<Text>)> = Vec::new();
        for entry in entries {
            if let Some((rule, name)) = self.environment(entry) {
                self.named_once(&rule, name, &rules);
                rules.push((rule, name));
            }
        }
        rules.into_iter().map(|(rule, _)| rule).collect()
    }

    /// An environment, and where its name was written.
    fn environment<'f>(&mut self, at: &'f At<raw::Environment>) -> Option<(EnvironmentRule, &'f At<Text>)> {
        let entry = self.written(at)?;
        let base = self.pattern_or_patterns(entry.base.as_ref());
        let name = self.required(at, entry.name.as_ref(), "name");
        let named = name.and_then(|name| self.environment_name(name));
        let deploy = entry.deploy.as_ref().and_then(|deploy| self.deployed_branch(deploy));
        let url = entry.url.as_ref().and_then(|url| self.address(url));
        let links = entry.links.as_ref().map(|links| self.links(links)).unwrap_or_default();
        let cleanup = entry.cleanup.as_ref().and_then(|cleanup| self.described(cleanup, "a text", IDENTIFIERS));
        let ttl = entry.ttl.as_ref().and_then(|ttl| self.time_to_live(ttl));
        let line = self.span(at.node).line;
        Some((EnvironmentRule { base, name: named?, deploy, url, links, cleanup, ttl, line }, name?))
    }

    fn environment_name(&mut self, at: &At<Text>) -> Option<Template> {
        let name = self.described(at, "an environment's name", NUMBERED)?;
        for number in NUMBERS {
            let error = rendered_name(&name, number)?.parse::<EnvironmentName>().err();
            if let Some(error) = error {
                self.invalid_name(at.node, &error, "write a name such as `pr-{{ pr.number }}` or `staging`");
                return None;
            }
        }
        Some(name)
    }

    /// Two environments of one name are one environment: only where it is shared, that is what is meant.
    fn named_once(&mut self, rule: &EnvironmentRule, at: &At<Text>, others: &[(EnvironmentRule, &At<Text>)]) {
        let same = |(other, _): &&(EnvironmentRule, &At<Text>)| match (rule.is_shared(), other.is_shared()) {
            (true, true) => false,
            (false, false) => {
                NUMBERS.iter().all(|number| rendered_name(&rule.name, *number) == rendered_name(&other.name, *number))
            }
            (true, false) => is_name_of_one(&other.name, rule.name.as_str()),
            (false, true) => is_name_of_one(&rule.name, other.name.as_str()),
        };
        let Some((_, first)) = others.iter().find(same) else { return };
        let message = "two environments can have this name for the same pull request";
        let problem = self.problem("environment_name_twice", at.node, message, "again here");
        let problem = problem.related(self.span(first.node), "first here");
        self.findings.invalid(problem.help("give each its own name, or one entry a list as `base`"));
    }

    fn deployed_branch(&mut self, at: &At<Text>) -> Option<Template> {
        let branch = self.described(at, "the branch that is deployed", BRANCHES)?;
        let rendered = branch.render(|variable| Some(sample(variable, "main"))).unwrap_or_default();
        if !accept::is_branch(&rendered) {
            let message = format!("{} is not a branch", quoted(branch.as_str()));
            let problem = self.problem("invalid_name", at.node, message, "not a branch");
            self.findings.invalid(problem.help("name a branch, or write `{{ pr.head_branch }}`"));
        }
        Some(branch)
    }

    fn links(&mut self, at: &At<Map<Text>>) -> BTreeMap<String, Template> {
        let Some(links) = self.written(at) else { return BTreeMap::new() };
        if links.len() > MAX_LINKS {
            let message = format!("{} links, and an environment has at most {MAX_LINKS}", links.len());
            let problem = self.problem("too_many_links", at.node, message, "too many links");
            self.findings.invalid(problem.help("keep those that people look for"));
        }
        let mut addresses = BTreeMap::new();
        for (name, link) in links {
            let valid =
                (1..=MAX_LINK_NAME).contains(&name.chars().count()) && name.trim() == name && !name.chars().any(hidden);
            if !valid {
                let message = format!("{} cannot be shown as the name of a link", quoted(name));
                let problem = Diagnostic::error("invalid_link_name", self.key_span(link.node), message, "not a name");
                let help = format!("use 1 to {MAX_LINK_NAME} characters that can be seen, such as `Admin panel`");
                self.findings.invalid(problem.help(help));
            }
            if let Some(address) = self.address(link) {
                addresses.insert(name.clone(), address);
            }
        }
        addresses
    }

    /// An address that people open: https, at a host that no branch's name can change.
    fn address(&mut self, at: &At<Text>) -> Option<Template> {
        let address = self.described(at, "an address", IDENTIFIERS)?;
        let [plain, nested] = ["main", "release/1"]
            .map(|branch| address.render(|variable| Some(sample(variable, branch))).unwrap_or_default());
        let help = "write it as `https://pr-{{ pr.number }}.example.com/`";
        match (host(&plain), host(&nested)) {
            (Some(host), Some(other)) if host == other => {}
            (Some(_), _) => {
                let message = "a branch's name cannot be part of the host: it could lead to another one";
                let problem = self.problem("invalid_address", at.node, message, "its host has a branch in it");
                self.findings.invalid(problem.help("use `pr.number` or `env.name` there"));
            }
            _ => {
                let message = format!("{} is not an address that starts with `https://`", quoted(address.as_str()));
                let problem = self.problem("invalid_address", at.node, message, "no https address");
                self.findings.invalid(problem.help(help));
            }
        }
        Some(address)
    }

    /// A value of an environment, in which only some variables may stand. Unlike with a target, everything depends on it.
    fn described(&mut self, at: &At<Text>, what: &str, allowed: &[Variable]) -> Option<Template> {
        let template = self.template(at)?;
        if template.is_json() {
            let problem = self.problem("invalid_template", at.node, format!("{what} is text"), "has `| json`");
            self.findings.invalid(problem.help("remove `| json`"));
        }
        let mut good = true;
        for (name, bytes) in template.names() {
            if Variable::from_name(name).is_some_and(|variable| allowed.contains(&variable)) {
                continue;
            }
            good = false;
            let known = || allowed.iter().map(|variable| variable.name());
            let enough = self.findings.are_enough();
            let span = if enough { self.span(at.node) } else { self.inside(at.node, bytes) };
            let message = format!("{what} cannot have the variable {}", quoted(name));
            let problem = Diagnostic::error("variable_not_allowed", span, message, "not here");
            self.findings.invalid(problem.help(match nearest(name, known()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("the variables here are {}", words(known())),
            }));
            if enough {
                break;
            }
        }
        if !good {
            return None;
        }
        if let Err(error) = template.render(|variable| Some(sample(variable, "main"))) {
            let problem =
                self.problem("unusable_value", at.node, format!("{what} cannot be this: {error}"), "unusable");
            self.findings.invalid(problem.help("write it in one line, or remove it"));
            return None;
        }
        Some(template)
    }

    fn time_to_live(&mut self, at: &At<Text>) -> Option<Duration> {
        let text = self.text(at)?;
        let seconds = duration(text);
        if !seconds.is_some_and(|seconds| TTL.contains(&seconds)) {
            let message = match seconds {
                None => format!("{} is not a time", quoted(text)),
                Some(_) => format!("{} is not from an hour to 90 days", quoted(text)),
            };
            let problem = self.problem("invalid_ttl", at.node, message, "not from `1h` to `90d`");
            self.findings.invalid(problem.help("write minutes, hours or days, such as `90m`, `72h` or `7d`"));
        }
        seconds.map(Duration::from_secs)
    }
}

/// The name for a pull request.
fn rendered_name(name: &Template, number: u32) -> Option<String> {
    name.render(|variable| (variable == Variable::PrNumber).then(|| number.to_string())).ok()
}

/// Whether a name with a number in it can be this text for a pull request.
fn is_name_of_one(name: &Template, text: &str) -> bool {
    let before = name.as_str().split("{{").next().unwrap_or_default();
    let Some(number) = text.strip_prefix(before) else { return false };
    let digits = number.bytes().take(10).take_while(u8::is_ascii_digit).count();
    (1..=digits)
        .filter_map(|length| number.get(..length)?.parse().ok())
        .any(|number| rendered_name(name, number).as_deref() == Some(text))
}

/// A value that a variable could have.
pub(in crate::policy) fn sample(variable: Variable, branch: &str) -> String {
    match variable {
        Variable::PrNumber => "7".to_owned(),
        Variable::PrHeadSha => "0123456789abcdef0123456789abcdef01234567".to_owned(),
        Variable::EnvName => "pr-7".to_owned(),
        _ => branch.to_owned(),
    }
}

/// The host of an https address that can be shown and opened; None for anything else.
fn host(address: &str) -> Option<&str> {
    let rest = address.strip_prefix("https://")?;
    let visible = rest.bytes().all(|b| b.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&b));
    let (host, _) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let (name, port) = host.split_once(':').unwrap_or((host, "443"));
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    let valid = visible && name.len() <= 253 && name.split('.').all(label) && is_port(port);
    valid.then_some(host)
}

/// A parser of numbers takes `+443` too.
fn is_port(text: &str) -> bool {
    text.bytes().all(|digit| digit.is_ascii_digit()) && text.parse::<u16>().is_ok_and(|port| port > 0)
}

/// Seconds of `90m`, `72h` or `7d`.
fn duration(text: &str) -> Option<u64> {
    let (number, seconds) = UNITS.into_iter().find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, seconds)))?;
    let plain = (1..=7).contains(&number.len()) && number.bytes().all(|digit| digit.is_ascii_digit());
    plain.then(|| number.parse::<u64>().ok()?.checked_mul(seconds)).flatten()
}
