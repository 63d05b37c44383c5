//! `dispatch backup`: a copy of a live database.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use dispatch_axum::store::back_up;

use super::Failure;
use super::database::Database;
use super::policy_tree::shown;

/// Arguments of `dispatch backup`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The copy holds everything that was accepted before it began, and is on the disk when the command ends. To restore it, end \
the service, move the copy to where the database was, and remove the files beside it that end in `-wal` and `-shm`. The \
service then compares what it has with GitHub's delivery log, and asks for what came after the copy.

Exit code: 0 if the copy was made, 1 if it cannot be, 2 if there is no database, or the file exists already.")]
pub(crate) struct Args {
    /// Where to write the copy. It must not exist.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    database: Database,
}

/// Copies the database.
///
/// # Errors
/// There is none, the file exists, or it cannot be written.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let database = args.database.path()?;
    let file = shown(&args.file);
    if args.file.symlink_metadata().is_ok() {
        return Err(Failure::input(format_args!("`{file}` exists already, and is not overwritten")));
    }
    back_up(database, &args.file).map_err(Failure::work)?;
    writeln!(io::stdout(), "copied to {file}")?;
    Ok(ExitCode::SUCCESS)
}
