//! The JSON Schema of `dispatching.yml`, for editors.
//!
//! It is made from the types that the file is read into, and from the constants that it is checked with, and accepts what
//! `dispatch lint` has no error about. An editor sees a value and not how it is written, and a schema compares no two values;
//! that leaves these differences, in all of which the schema takes what the parser refuses:
//!
//! - what [`UNSAID`] lists: YAML that no policy may have, keys that are there twice, two environments of one name, inputs
//!   that are too large together, and limits in another repository than `.github`;
//! - a number or a boolean that is not written as JSON would: `forks: True`, `repository_id: 0x10`, a name such as `+1`;
//! - the length of a text that is counted in bytes and has letters beyond ASCII, or is counted when its variables are filled
//!   in.
//!
//! The schema is of draft 07, which all editors know.

pub(super) mod between;
pub(super) mod kind;
mod regex;

use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::raw;

/// The codes of errors that no schema can tell of.
pub const UNSAID: [&str; 17] = [
    "duplicate_key",
    "environment_name_twice",
    "file_too_large",
    "forbidden_character",
    "limits_elsewhere",
    "not_utf8",
    "payload_too_large",
    "yaml_alias",
    "yaml_anchor",
    "yaml_complex_key",
    "yaml_directive",
    "yaml_documents",
    "yaml_merge_key",
    "yaml_syntax",
    "yaml_tag",
    "yaml_too_deep",
    "yaml_too_many_nodes",
];

/// The schema, as JSON.
#[must_use]
pub fn json_schema() -> Value {
    let mut schema = SchemaSettings::draft07().into_generator().into_root_schema_for::<raw::File>();
    schema.insert("title".to_owned(), "dispatching.yml".into());
    schema.to_value()
}
