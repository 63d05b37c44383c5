//! What is sent, and whether the target accepts it.

use std::collections::BTreeMap;

use dispatch_core::event::{CommandArgument, EventKind};
use dispatch_core::policy::{Accept, InboundTarget, Start, Target, ValuePattern};
use serde_json::Value;

use super::super::worlds::World;
use super::environments::{Environment, pull_request};

/// Every variable of the language.
const VARIABLES: [&str; 20] = [
    "source.sha",
    "source.head_branch",
    "source.run_id",
    "source.run_url",
    "source.repo",
    "source.workflow",
    "pr.number",
    "pr.action",
    "pr.head_sha",
    "pr.head_branch",
    "pr.base_branch",
    "pr.merged",
    "pr.draft",
    "sender.login",
    "comment.id",
    "command.argument",
    "env.name",
    "env.base",
    "env.deploy",
    "env.url",
];

/// The value of a variable; empty where it has none.
fn value(world: &World, variable: &str, environment: Option<&Environment>) -> String {
    let run = match &world.event.kind {
        EventKind::WorkflowRun(run) => Some(run),
        _ => None,
    };
    let pull_request = pull_request(world);
    let text = match (variable, &world.event.kind) {
        ("source.sha", EventKind::WorkflowRun(run)) => Some(run.head_sha.to_string()),
        ("source.sha" | "pr.head_sha", _) => pull_request.map(|it| it.head_sha.to_string()),
        ("source.head_branch", _) => run.and_then(|run| run.head_branch.as_ref()).map(ToString::to_string),
        ("source.run_id", _) => run.map(|run| run.id.to_string()),
        ("source.run_url", _) => run.map(|run| run.url.clone()),
        ("source.repo", _) => Some(world.event.repository.name.to_string()),
        ("source.workflow", _) => run.and_then(|run| run.workflow.as_ref()).map(ToString::to_string),
        ("pr.number", _) => pull_request.map(|it| it.number.to_string()),
        ("pr.action", EventKind::PullRequest(event)) => Some(event.action.as_str().to_owned()),
        ("pr.head_branch", _) => pull_request.map(|it| it.head_branch.to_string()),
        ("pr.base_branch", _) => pull_request.map(|it| it.base_branch.to_string()),
        ("pr.merged", _) => pull_request.map(|it| it.merged.to_string()),
        ("pr.draft", _) => pull_request.map(|it| it.draft.to_string()),
        ("sender.login", EventKind::Command(command)) => Some(command.commenter.login.to_string()),
        ("sender.login", EventKind::PullRequest(pull_request)) if pull_request.sweep.is_some() => {
            world.app_login.as_ref().map(ToString::to_string)
        }
        ("sender.login", _) => world.event.sender.as_ref().map(ToString::to_string),
        ("comment.id", EventKind::Command(command)) => Some(command.comment.to_string()),
        ("command.argument", EventKind::Command(command)) => match &command.argument {
            CommandArgument::Word(word) | CommandArgument::WordAndCommit(word, _) => Some(word.to_string()),
            _ => None,
        },
        ("env.name", _) => environment.map(|it| it.name.clone()),
        ("env.base", _) => environment.map(|it| it.base.clone()),
        ("env.deploy", _) => environment.map(|it| it.deploy.clone()),
        ("env.url", _) => environment.and_then(|it| it.url.clone()),
        _ => None,
    };
    text.unwrap_or_default()
}

/// Everything that is sent; None where something has no value, or there is too much of it.
pub fn all(world: &World, target: &Target, environment: Option<&Environment>) -> Option<BTreeMap<String, Value>> {
    let is_event = matches!(target.start, Start::Event(_));
    let mut values = BTreeMap::new();
    for (name, template) in &target.inputs {
        let json = template.as_str().contains("| json");
        let mut text = template.as_str().replace(" | json", "");
        for variable in VARIABLES {
            let written = format!("{{{{ {variable} }}}}");
            let value = value(world, variable, environment);
            if text.contains(&written) && value.is_empty() {
                return None;
            }
            text = text.replace(&written, &value);
        }
        if text.is_empty() || text.contains("{{") || text.chars().count() > 1_024 {
            return None;
        }
        let value = match text.as_str() {
            "true" if json && is_event => Value::Bool(true),
            "false" if json && is_event => Value::Bool(false),
            number if json && is_event && number.chars().all(|c| c.is_ascii_digit()) => {
                Value::from(number.parse::<u64>().unwrap())
            }
            _ => Value::String(text),
        };
        values.insert(name.clone(), value);
    }
    (values.len() <= if is_event { 10 } else { 25 }).then_some(values)
}

/// Does this entry of the target's file accept every name and every value?
pub fn accepted(
    world: &World,
    target: &Target,
    entry: &InboundTarget,
    values: &BTreeMap<String, Value>,
    environment: Option<&Environment>,
) -> bool {
    values.iter().all(|(name, value)| {
        let Some(accept) = entry.accept_inputs.get(name) else { return false };
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let template = target.inputs[name].as_str();
        let chosen_by_strangers =
            ["source.head_branch", "pr.head_branch", "sender.login", "command.argument", "env.deploy"];
        let is_swept = matches!(&world.event.kind, EventKind::PullRequest(it) if it.sweep.is_some());
        let harmless = chosen_by_strangers
            .iter()
            .filter(|variable| template.contains(&format!(" {variable} ")))
            .filter(|variable| **variable != "sender.login" || !is_swept)
            .all(|variable| is_harmless(&self::value(world, variable, environment)));
        let takes_it = matches!(accept.pattern, Some(ValuePattern::BranchAny | ValuePattern::Login));
        fits(accept, &text) && (harmless || takes_it)
    })
}

fn fits(accept: &Accept, value: &str) -> bool {
    let pattern = match &accept.pattern {
        None => true,
        Some(ValuePattern::Number) => (1..100_000).any(|number: u32| number.to_string() == value),
        Some(ValuePattern::Sha) => {
            (7..=40).contains(&value.len()) && value.chars().all(|c| "0123456789abcdef".contains(c))
        }
        Some(ValuePattern::Branch) => is_branch(value) && is_harmless(value),
        Some(ValuePattern::BranchAny) => is_branch(value),
        Some(ValuePattern::Login) => {
            let name = value.strip_suffix("[bot]").unwrap_or(value);
            let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
            name.len() <= 39
                && edge(name.chars().next())
                && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
        }
        Some(ValuePattern::Glob(glob)) => match glob.as_str() {
            "**" => true,
            "v-*" => value.starts_with("v-") && !value.contains('/'),
            "*a*" => value.contains('a') && !value.contains('/'),
            other => panic!("{other}"),
        },
        Some(other) => panic!("{other:?}"),
    };
    pattern
        && accept.one_of.as_ref().is_none_or(|values| values.iter().any(|one| one == value))
        && accept.max_length.is_none_or(|most| value.chars().count() <= most)
}

/// A branch that something could be started at, as far as values of these worlds go.
fn is_branch(value: &str) -> bool {
    let commit = value.len() == 40 && value.chars().all(|c| c.is_ascii_hexdigit());
    let odd = value.chars().any(|c| " :?*[\\~^".contains(c)) || value.contains("//");
    !commit && !odd && !value.starts_with('-') && !value.starts_with("pull/") && !value.starts_with("refs/")
}

fn is_harmless(value: &str) -> bool {
    let allowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._/@+#=,-";
    !value.starts_with('-') && value.chars().all(|c| allowed.contains(c))
}
