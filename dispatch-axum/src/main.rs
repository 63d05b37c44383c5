//! The `dispatch` command: the service, a demonstration of it, GitHub to try it against, and tools for policy files.

mod command;

use std::process::ExitCode;

fn main() -> ExitCode {
    command::run()
}
