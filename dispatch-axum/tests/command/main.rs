#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
//! The `dispatch` command as people and scripts meet it: the real program, its output and its exit codes.

mod demo;
mod environments;
mod explain;
mod explain_kinds;
mod http;
mod installed;
mod issues;
mod lint;
mod organisation;
mod parked;
mod program;
mod recover;
mod schema;
mod serve;
mod test_policies;

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// The program, without the settings of whoever runs the tests.
fn dispatch(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dispatch"));
    command.args(arguments).env_clear().stdin(Stdio::null());
    command
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// The exit code, and what was said on the standard error, which must be one line.
fn failure(output: &Output) -> (i32, &str) {
    let line = text(&output.stderr).strip_suffix('\n').expect("a whole line");
    assert!(!line.contains('\n'), "more than one line: {line}");
    (output.status.code().unwrap(), line)
}

fn write(folder: &Path, path: &str, content: &str) {
    let file = folder.join(path);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, content).unwrap();
}
