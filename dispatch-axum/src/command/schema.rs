//! `dispatch schema`: what editors know about `dispatching.yml`.

use std::io::{self, Write};
use std::process::ExitCode;

use dispatch_core::policy::schema::json_schema;

use super::{Failure, write_json};

/// Prints the JSON Schema of `dispatching.yml`.
///
/// # Errors
/// The output cannot be written.
pub(crate) fn run() -> Result<ExitCode, Failure> {
    let mut out = io::stdout().lock();
    write_json(&mut out, &json_schema())?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}
