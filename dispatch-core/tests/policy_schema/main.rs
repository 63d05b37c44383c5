//! The JSON Schema of `dispatching.yml` accepts what the parser accepts.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::unreachable,
    reason = "tests"
)]
#![allow(clippy::disallowed_methods, reason = "the tests use all processors, and may be told to try more")]

#[path = "../policy_files/mod.rs"]
mod policy_files;

mod mutate;
mod places;
mod tree;

use std::cell::Cell;

use dispatch_core::diagnostic::{Diagnostic, Severity};
use dispatch_core::policy::schema::{UNSAID, json_schema};
use dispatch_core::policy::{Checked, Policy};
use jsonschema::Validator;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::Value;

use self::mutate::{KEYS, PLAIN, TEXTS, change};
use self::places::FILES;
use self::policy_files::valid_file;
use self::tree::{Entries, Tree, core};

fn validator() -> Validator {
    jsonschema::draft7::new(&json_schema()).unwrap()
}

fn check(text: &str) -> Checked {
    Policy::check(text.as_bytes(), &"acme".parse().unwrap(), "dispatching.yml")
}

fn errors(checked: &Checked) -> Vec<&Diagnostic> {
    checked.diagnostics.problems.iter().filter(|problem| problem.severity == Severity::Error).collect()
}

/// What of the schema a value is against, and where.
fn refusals(validator: &Validator, tree: &Tree) -> Vec<String> {
    let value = tree.value();
    validator.iter_errors(&value).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

/// Whether an error is one that a schema cannot tell of.
fn is_unsaid(error: &Diagnostic, text: &str) -> bool {
    let marked = text.get(error.span.start..error.span.end).unwrap();
    UNSAID.contains(&error.code.as_ref()) || is_spelling(marked) || is_length(error, marked)
}

/// A number or a boolean that is not written as JSON would.
fn is_spelling(written: &str) -> bool {
    match core(written) {
        Value::Bool(flag) => flag.to_string() != written,
        Value::Number(number) => number.is_f64() || number.to_string() != written,
        _ => false,
    }
}

/// The length of a text in bytes, or with its variables filled in.
fn is_length(error: &Diagnostic, written: &str) -> bool {
    let (letters, variables) = (!written.is_ascii() || written.contains("\\U"), written.contains("{{"));
    match error.code.as_ref() {
        "invalid_name" => written.len() > 85 && (letters || variables),
        "invalid_pattern" => written.len() > 85 && letters,
        "invalid_address" => written.len() > 63 && variables,
        "unusable_value" => written.len() > 100 && variables,
        _ => false,
    }
}

/// Holds the schema against the parser. Gives whether both accept the file.
fn agree(validator: &Validator, tree: &Tree) -> Result<bool, TestCaseError> {
    let text = tree.yaml();
    prop_assert_eq!(Tree::read(&text).value(), tree.value(), "written as {}", text);
    let checked = check(&text);
    let (errors, accepted) = (errors(&checked), validator.is_valid(&tree.value()));
    if errors.is_empty() {
        prop_assert!(accepted, "only the schema refuses {}: {:#?}", text, refusals(validator, tree));
    } else if accepted {
        let untold: Vec<_> = errors.iter().filter(|error| !is_unsaid(error, &text)).collect();
        prop_assert!(untold.is_empty(), "only the parser refuses {text}: {untold:#?}");
    }
    Ok(errors.is_empty() && accepted)
}

#[test]
fn the_committed_schema_is_the_generated_one() {
    let committed: Value = serde_json::from_str(include_str!("../../dispatching.schema.json")).unwrap_or_default();
    assert!(committed == json_schema(), "run `cargo run -- schema > dispatch-core/dispatching.schema.json`");
}

#[test]
fn the_schema_is_one_of_draft_07() {
    let schema = json_schema();
    assert!(jsonschema::meta::is_valid(&schema));
    assert_eq!(schema["$schema"], "http://json-schema.org/draft-07/schema#");
}

#[test]
fn every_key_is_explained() {
    let schema = json_schema();
    let definitions = schema["definitions"].as_object().unwrap();
    for (name, definition) in definitions.iter().chain([(&"the file".to_owned(), &schema)]) {
        assert!(definition["description"].is_string(), "{name}");
        for (key, value) in definition["properties"].as_object().unwrap() {
            assert!(value["description"].is_string(), "`{key}` of {name}");
        }
    }
}

#[test]
fn every_valid_file_is_accepted() {
    let validator = validator();
    proptest!(Config { failure_persistence: None, ..Config::with_cases(500) }, |(text in valid_file())| {
        let tree = Tree::read(&text);
        prop_assert_eq!(refusals(&validator, &tree), Vec::<String>::new(), "{}", text);
        prop_assert!(agree(&validator, &tree)?);
    });
}

#[test]
fn every_text_and_every_key_is_judged_alike_at_every_place() {
    let validator = validator();
    let texts = TEXTS.iter().map(|text| Tree::quoted(text));
    let nodes: Vec<_> = texts
        .chain(PLAIN.iter().map(|text| Tree::plain(text)))
        .chain([Tree::List(Vec::new()), Tree::Map(Vec::new()), Tree::List(vec![Tree::plain("main")])])
        .collect();
    std::thread::scope(|scope| {
        for file in FILES {
            scope.spawn(|| judge_every_place(&validator, file, &nodes));
        }
    });
}

fn judge_every_place(validator: &Validator, file: &str, nodes: &[Tree]) {
    let whole = Tree::read(file);
    assert!(agree(validator, &whole).is_ok_and(|accepted| accepted), "{file}");
    for position in 0..whole.clone().nodes() {
        let judge = |change: &dyn Fn(&mut Tree)| {
            let mut tree = whole.clone();
            change(tree.node(position));
            agree(validator, &tree).unwrap_or_else(|error| panic!("{error}"));
        };
        for node in nodes {
            judge(&|place| *place = node.clone());
        }
        let entries = match whole.clone().node(position) {
            Tree::Map(entries) => entries.len(),
            _ => continue,
        };
        let change = |change: &dyn Fn(&mut Entries)| {
            judge(&|place| {
                if let Tree::Map(entries) = place {
                    change(entries);
                }
            });
        };
        for key in KEYS {
            change(&|entries| entries.push(((*key).to_owned(), Tree::plain("main"))));
            change(&|entries| entries.iter_mut().for_each(|entry| entry.0 = (*key).to_owned()));
        }
        (0..entries).for_each(|entry| change(&|entries| drop(entries.remove(entry))));
    }
}

#[test]
fn a_changed_file_is_accepted_if_and_only_if_the_parser_accepts_it() {
    let validator = validator();
    let counts = Cell::new((0_u32, 0_u32));
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(cases()) });
    let result = runner.run(&(valid_file(), prop::collection::vec(change(), 1..4)), |(text, changes)| {
        let mut tree = Tree::read(&text);
        changes.iter().for_each(|change| change.apply(&mut tree));
        let (accepted, refused) = counts.get();
        counts.set(if agree(&validator, &tree)? { (accepted + 1, refused) } else { (accepted, refused + 1) });
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    let (accepted, refused) = counts.get();
    assert!(accepted > cases() / 20 && refused > cases() / 20, "too one-sided: {accepted} accepted, {refused} refused");
}

/// How many changed files are tried: `SCHEMA_CASES`, or a number that takes seconds.
fn cases() -> u32 {
    std::env::var("SCHEMA_CASES").map_or(1_000, |cases| cases.parse().unwrap())
}
