//! The kinds of values that stand behind the keys of the file.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use super::super::check::{accept, environment, limits, source, target, template};
use super::super::{Channel, raw};
use super::regex;
use crate::event::{Conclusion, PullRequestAction};
use crate::guardrail::Guardrails;
use crate::name::{CommandName, EnvironmentName, EventType, GitRef, NameError, Repository, TeamName, WorkflowFile};
use crate::pattern::Pattern;
use crate::request::{RepositoryDispatch, WorkflowDispatch};
use crate::template::Template;

type Generator = SchemaGenerator;

/// What a text is that the type takes.
fn expected<N: std::str::FromStr<Err = NameError>>() -> String {
    "".parse::<N>().err().map_or_else(String::new, |error| format!("Expected {}.", error.expected))
}

/// Text that cannot look like a number or a boolean.
fn text(pattern: String, otherwise: &str, examples: Value) -> Schema {
    json_schema!({ "type": "string", "pattern": pattern, "patternErrorMessage": otherwise, "examples": examples })
}

/// Text that can look like a number or a boolean without its quotes.
fn any_text(pattern: String, otherwise: &str, examples: Value) -> Schema {
    let mut schema = text(pattern, otherwise, examples);
    schema.insert("type".to_owned(), json!(["string", "number", "boolean"]));
    schema
}

/// The same, which cannot start with `-`.
fn no_negative(mut schema: Schema) -> Schema {
    schema.insert("minimum".to_owned(), json!(0));
    schema
}

/// One of some words.
fn word<'w>(words: impl IntoIterator<Item = &'w str>) -> Schema {
    json_schema!({ "type": "string", "enum": words.into_iter().collect::<Vec<_>>() })
}

/// One of some words, which an editor can offer, or something else.
fn word_or<'w>(words: impl IntoIterator<Item = &'w str>, other: Schema) -> Schema {
    json_schema!({ "anyOf": [word(words), other] })
}

/// A list with at least one entry: an empty one could never match.
fn list(entry: Schema) -> Schema {
    json_schema!({ "type": "array", "items": entry, "minItems": 1 })
}

/// A struct of the file.
pub(in crate::policy) fn of<T: JsonSchema>(generator: &mut Generator) -> Schema {
    generator.subschema_for::<T>()
}

/// A list of structs.
pub(in crate::policy) fn list_of<T: JsonSchema>(generator: &mut Generator) -> Schema {
    list(generator.subschema_for::<T>())
}

/// The rules of a side: none where all of them are commented out.
pub(in crate::policy) fn rules<T: JsonSchema>(generator: &mut Generator) -> Schema {
    json_schema!({ "type": ["array", "null"], "items": generator.subschema_for::<T>() })
}

pub(in crate::policy) fn flag(_: &mut Generator) -> Schema {
    json_schema!({ "type": "boolean" })
}

pub(in crate::policy) fn repository_id(_: &mut Generator) -> Schema {
    json_schema!({ "type": "integer", "minimum": 0, "maximum": u64::MAX, "examples": [30433642] })
}

pub(in crate::policy) fn repository(_: &mut Generator) -> Schema {
    let otherwise = expected::<Repository>() + " A bare name means the owner of this file.";
    any_text(regex::repository(), &otherwise, json!(["my-repository", "my-org/my-repository"]))
}

pub(in crate::policy) fn workflow_file(_: &mut Generator) -> Schema {
    text(regex::workflow_file(), &expected::<WorkflowFile>(), json!(["ci.yml", ".github/workflows/cd.yaml"]))
}

pub(in crate::policy) fn event_type(_: &mut Generator) -> Schema {
    any_text(regex::event_type(), &expected::<EventType>(), json!(["preview-create"]))
}

pub(in crate::policy) fn command(_: &mut Generator) -> Schema {
    text(regex::command(), &expected::<CommandName>(), json!(["/test-deploy"]))
}

pub(in crate::policy) fn git_ref(_: &mut Generator) -> Schema {
    let mut schema = any_text(regex::git_ref(), &expected::<GitRef>(), json!(["main", "refs/tags/v1"]));
    schema.insert("maxLength".to_owned(), json!(255));
    no_negative(schema)
}

pub(in crate::policy) fn actions(_: &mut Generator) -> Schema {
    list(word(PullRequestAction::ALL.map(PullRequestAction::as_str)))
}

pub(in crate::policy) fn conclusions(_: &mut Generator) -> Schema {
    list(word(Conclusion::ALL.map(Conclusion::as_str)))
}

pub(in crate::policy) fn github_events(_: &mut Generator) -> Schema {
    let mut event = text(regex::github_event(), "Expected lower case letters and `_`.", json!(["push"]));
    event.insert("type".to_owned(), json!(["string", "boolean"]));
    list(word_or(source::EVENTS, event))
}

pub(in crate::policy) fn reruns(_: &mut Generator) -> Schema {
    word(source::RERUNS)
}

pub(in crate::policy) fn permission(_: &mut Generator) -> Schema {
    word_or(source::PERMISSIONS, text(regex::team(), &expected::<TeamName>(), json!(["my-org/my-team"])))
}

pub(in crate::policy) fn permission_without_team(_: &mut Generator) -> Schema {
    word(source::PERMISSIONS)
}

pub(in crate::policy) fn environment_action(_: &mut Generator) -> Schema {
    word(target::ENVIRONMENT_ACTIONS)
}

pub(in crate::policy) fn channels(_: &mut Generator) -> Schema {
    json_schema!({ "type": "array", "items": word(Channel::ALL.map(Channel::as_str)) })
}

fn glob() -> Schema {
    let otherwise = "Expected a name, or a pattern with `*`, `**` and `?`; nothing is excluded with `!`.";
    let mut schema = any_text(regex::glob(), otherwise, json!(["main", "release/*"]));
    schema.insert("maxLength".to_owned(), json!(Pattern::MAX_LENGTH));
    schema
}

pub(in crate::policy) fn globs(_: &mut Generator) -> Schema {
    list(glob())
}

pub(in crate::policy) fn glob_or_globs(_: &mut Generator) -> Schema {
    json_schema!({ "anyOf": [glob(), list(glob())] })
}

/// Values by name. What a value may be depends on the source: [`between`](super::between) says it.
fn values(limit: usize) -> Schema {
    json_schema!({
        "type": "object",
        "propertyNames": value_name(),
        "additionalProperties": { "type": ["string", "number", "boolean"] },
        "maxProperties": limit,
        "examples": [{ "git_sha": "{{ source.sha }}" }],
    })
}

pub(in crate::policy) fn inputs(_: &mut Generator) -> Schema {
    values(WorkflowDispatch::MAX_INPUTS)
}

pub(in crate::policy) fn payload(_: &mut Generator) -> Schema {
    values(RepositoryDispatch::MAX_PROPERTIES)
}

fn value_name() -> Schema {
    any_text(regex::value_name(template::MAX_NAME), "Expected letters, digits, `_` and `-`.", json!(["git_sha"]))
}

pub(in crate::policy) fn accepts(generator: &mut Generator) -> Schema {
    json_schema!({
        "anyOf": [
            { "type": "array", "items": value_name() },
            {
                "type": "object",
                "propertyNames": value_name(),
                "additionalProperties": generator.subschema_for::<raw::Accept>(),
            },
        ],
        "examples": [["git_sha"], { "git_sha": { "pattern": "sha" } }],
    })
}

pub(in crate::policy) fn value_pattern(_: &mut Generator) -> Schema {
    word_or(accept::WORDS, glob())
}

pub(in crate::policy) fn any_values(_: &mut Generator) -> Schema {
    list(json_schema!({ "type": ["string", "number", "boolean"] }))
}

pub(in crate::policy) fn max_length(_: &mut Generator) -> Schema {
    number(Template::MAX_VALUE_CHARACTERS)
}

pub(in crate::policy) fn environment_name(_: &mut Generator) -> Schema {
    let otherwise = expected::<EnvironmentName>() + " Its only variable is `pr.number`.";
    no_negative(any_text(regex::environment_name(), &otherwise, json!(["pr-{{ pr.number }}", "staging"])))
}

pub(in crate::policy) fn deployed_branch(_: &mut Generator) -> Schema {
    let otherwise = "Expected a branch, such as `dev` or `{{ pr.head_branch }}`.";
    no_negative(any_text(regex::deployed_branch(), otherwise, json!(["{{ pr.head_branch }}", "dev"])))
}

pub(in crate::policy) fn address(_: &mut Generator) -> Schema {
    let otherwise = "Expected an address that starts with `https://`, at a host that no branch's name can change.";
    text(regex::address(), otherwise, json!(["https://pr-{{ pr.number }}.example.com"]))
}

pub(in crate::policy) fn links(generator: &mut Generator) -> Schema {
    let otherwise = "Expected a short name of characters that can be seen.";
    json_schema!({
        "type": "object",
        "propertyNames": any_text(regex::link_name(environment::MAX_LINK_NAME), otherwise, json!(["Admin panel"])),
        "additionalProperties": address(generator),
        "maxProperties": environment::MAX_LINKS,
        "examples": [{ "Admin panel": "https://pr-{{ pr.number }}.example.com/admin" }],
    })
}

pub(in crate::policy) fn described(_: &mut Generator) -> Schema {
    let otherwise = "Expected one line; its variables are those of an address.";
    any_text(regex::described(), otherwise, json!(["terraform destroy -target pr-{{ pr.number }}"]))
}

pub(in crate::policy) fn time_to_live(_: &mut Generator) -> Schema {
    let pattern = regex::time(&environment::TTL, &environment::UNITS);
    text(pattern, "Expected a time from `1h` to `90d`, in minutes, hours or days.", json!(["72h", "7d"]))
}

pub(in crate::policy) fn environments(generator: &mut Generator) -> Schema {
    json_schema!({
        "type": ["array", "null"],
        "items": generator.subschema_for::<raw::Environment>(),
        "maxItems": environment::MAX_ENVIRONMENTS,
    })
}

pub(in crate::policy) fn repository_globs(_: &mut Generator) -> Schema {
    let otherwise = format!("Expected {}.", limits::REPOSITORY);
    list(any_text(regex::repository_glob(), &otherwise, json!(["web-*", "my-org/api"])))
}

pub(in crate::policy) fn workflow_globs(_: &mut Generator) -> Schema {
    list(text(regex::workflow_glob(), &format!("Expected {}.", limits::WORKFLOW), json!(["ci.yml", "release-*.yml"])))
}

fn number(most: usize) -> Schema {
    json_schema!({ "type": "integer", "minimum": 1, "maximum": most })
}

pub(in crate::policy) fn max_targets(_: &mut Generator) -> Schema {
    number(Guardrails::MAX_TARGETS)
}

pub(in crate::policy) fn max_chain_depth(_: &mut Generator) -> Schema {
    number(Guardrails::MAX_CHAIN_DEPTH)
}

pub(in crate::policy) fn max_edge_rate(_: &mut Generator) -> Schema {
    number(Guardrails::MAX_EDGE_RATE)
}
