//! `dispatch schema`.

use std::fs;

use super::dispatch;

#[test]
fn the_schema_that_is_printed_is_the_file_that_the_documentation_names() {
    let output = dispatch(&["schema"]).output().unwrap();
    assert!(output.status.success());
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../dispatch-core/dispatching.schema.json");
    assert!(
        output.stdout == fs::read(path).unwrap(),
        "run `cargo run -- schema > dispatch-core/dispatching.schema.json`"
    );
}
