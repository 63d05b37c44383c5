//! What holds between the keys of a mapping: which must be there, which exclude one another, and which value goes with
//! which other one.

use schemars::Schema;
use serde_json::{Value, json};

use super::super::{Accept, Channel, CommandSource, PullRequestSource, Reruns, Source, WorkflowRunSource};
use super::regex;
use crate::event::PullRequestAction;
use crate::template::Variable;

/// Only the keys of runs have to do with runs.
const OF_RUNS: [&str; 4] = ["conclusions", "branches", "events", "reruns"];
const OF_PULL_REQUESTS: [&str; 2] = ["base", "draft"];
const OF_COMMANDS: [&str; 2] = ["permission", "argument"];

/// Keys that must be there; all other ones may be absent.
fn required(schema: &mut Schema, keys: &[&str]) {
    schema.remove("required");
    if !keys.is_empty() {
        schema.insert("required".to_owned(), json!(keys));
    }
}

/// Says more of a mapping.
fn also(schema: &mut Schema, conditions: Vec<Value>) {
    schema.insert("allOf".to_owned(), json!(conditions));
}

/// One of the keys, and not two of them.
fn one_of(schema: &mut Schema, keys: &[&str]) {
    let alternatives: Vec<_> = keys.iter().map(|key| json!({ "required": [key] })).collect();
    schema.insert("oneOf".to_owned(), json!(alternatives));
}

/// Where one key is, some others are not.
fn without<'k>(key: &str, others: impl IntoIterator<Item = &'k str>) -> Value {
    let absent: serde_json::Map<_, _> = others.into_iter().map(|other| (other.to_owned(), json!(false))).collect();
    json!({ "if": { "required": [key] }, "then": { "properties": absent } })
}

pub(in crate::policy) fn file(schema: &mut Schema) {
    required(schema, &[]);
    schema.insert("type".to_owned(), json!(["object", "null"]));
    let creates = json!({ "required": ["environment"], "properties": { "environment": { "const": "create" } } });
    let target = json!({ "required": ["targets"], "properties": { "targets": some(creates) } });
    also(
        schema,
        vec![json!({
            "if": { "required": ["outbound"], "properties": { "outbound": some(target) } },
            "then": {
                "required": ["environments"],
                "properties": { "environments": { "type": "array", "minItems": 1 } },
            },
        })],
    );
}

/// A list with such an entry.
fn some(mut entry: Value) -> Value {
    if let Some(entry) = entry.as_object_mut() {
        entry.insert("type".to_owned(), json!("object"));
    }
    json!({ "type": "array", "contains": entry })
}

fn source(schema: &mut Schema, of_commands: &[&'static str]) {
    one_of(schema, &["workflow", "pull_request", "command"]);
    let of_commands = || of_commands.iter().copied();
    also(
        schema,
        vec![
            without("workflow", OF_PULL_REQUESTS.into_iter().chain(of_commands())),
            without("pull_request", OF_RUNS.into_iter().chain(of_commands())),
            without("command", OF_RUNS),
        ],
    );
}

pub(in crate::policy) fn outbound_source(schema: &mut Schema) {
    required(schema, &[]);
    source(schema, &OF_COMMANDS);
}

pub(in crate::policy) fn inbound_source(schema: &mut Schema) {
    required(schema, &["repository"]);
    source(schema, &["permission"]);
}

pub(in crate::policy) fn outbound_target(schema: &mut Schema) {
    required(schema, &["repository"]);
    one_of(schema, &["workflow", "event"]);
    also(schema, vec![without("workflow", ["payload"]), without("event", ["ref", "inputs"])]);
}

pub(in crate::policy) fn inbound_target(schema: &mut Schema) {
    required(schema, &[]);
    one_of(schema, &["workflow", "event"]);
    also(schema, vec![without("workflow", ["accept_payload"]), without("event", ["accept_inputs", "accept_refs"])]);
}

pub(in crate::policy) fn accept(schema: &mut Schema) {
    required(schema, &[]);
}

pub(in crate::policy) fn limits(schema: &mut Schema) {
    required(schema, &[]);
}

pub(in crate::policy) fn environment(schema: &mut Schema) {
    required(schema, &["name"]);
}

pub(in crate::policy) fn inbound_rule(schema: &mut Schema) {
    required(schema, &["source", "targets"]);
}

/// Which variables have a value depends on what the rule is about.
pub(in crate::policy) fn outbound_rule(schema: &mut Schema) {
    inbound_rule(schema);
    let conditions = sources().into_iter().map(|(source, example)| {
        json!({
            "if": { "required": ["source"], "properties": { "source": source } },
            "then": { "properties": { "targets": { "items": target_of(&example) } } },
        })
    });
    also(schema, conditions.collect());
}

/// The kinds of sources: what tells one, and an example of it.
fn sources() -> Vec<(Value, Source)> {
    let run = "ci.yml".parse().ok().map(|workflow| WorkflowRunSource {
        workflow,
        conclusions: None,
        branches: None,
        events: None,
        forks: false,
        reruns: Reruns::default(),
    });
    let pull_request =
        PullRequestSource { actions: PullRequestAction::ALL.into(), base: None, draft: None, forks: false };
    let command = |argument| {
        let command = "/deploy".parse().ok()?;
        Some(CommandSource { command, argument, permission: None, base: None, draft: None, forks: false })
    };
    [
        (json!({ "required": ["workflow"] }), run.map(Source::WorkflowRun)),
        (json!({ "required": ["pull_request"] }), Some(Source::PullRequest(pull_request))),
        (json!({ "required": ["command"], "not": { "required": ["argument"] } }), command(None).map(Source::Command)),
        (json!({ "required": ["command", "argument"] }), command(Some(Accept::any())).map(Source::Command)),
    ]
    .into_iter()
    .filter_map(|(told, example)| Some((told, example?)))
    .collect()
}

/// A run has no environment, and no pull request that could be commented on. What else may be sent depends on whether the
/// target has an environment.
fn target_of(source: &Source) -> Value {
    let mut without = values(source, false);
    if matches!(source, Source::WorkflowRun(_)) {
        let told = Channel::ALL.into_iter().filter(|it| *it != Channel::Comment).map(Channel::as_str);
        if let Some(properties) = without.pointer_mut("/properties").and_then(Value::as_object_mut) {
            properties.insert("environment".to_owned(), json!(false));
            properties.insert("report".to_owned(), json!({ "items": { "enum": told.collect::<Vec<_>>() } }));
        }
        return without;
    }
    json!({ "if": { "required": ["environment"] }, "then": values(source, true), "else": without })
}

fn values(source: &Source, environment: bool) -> Value {
    let variables: Vec<_> =
        Variable::ALL.iter().copied().filter(|variable| source.gives(*variable, environment)).collect();
    let otherwise = format!(
        "Expected one line of text. The variables here are {}.",
        variables.iter().map(|variable| format!("`{{{{ {variable} }}}}`")).collect::<Vec<_>>().join(", ")
    );
    let value = |pattern| json!({ "additionalProperties": { "pattern": pattern, "patternErrorMessage": otherwise } });
    json!({
        "properties": {
            "inputs": value(regex::template(&variables)),
            "payload": value(regex::json_template(&variables)),
        },
    })
}
