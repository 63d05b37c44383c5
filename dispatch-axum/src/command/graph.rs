//! `dispatch graph`: who may start whom.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use dispatch_core::graph;

use super::installed::Account;
use super::policy_tree::unreadable;
use super::repository_tree::{examine, repositories};
use super::{Failure, write_json};

/// Arguments of `dispatch graph`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Edges that only one side wants, or whose other side is not in the folder, are dashed; those of a way that comes back to \
where it began are marked. `dispatch lint DIR` says why. `--org` reads all repositories that the App is installed on from \
GitHub, as `dispatch lint --org` does.

Exit code: 0, or 2 if something cannot be read.")]
pub(crate) struct Args {
    /// A folder of repositories: DIR/OWNER/REPOSITORY/dispatching.yml or .../.github/dispatching.yml.
    #[arg(required_unless_present = "org", conflicts_with = "org", value_name = "DIR")]
    folder: Option<PathBuf>,
    #[command(flatten)]
    account: Account,
    /// The language to draw in.
    #[arg(long, value_enum, default_value_t = Format::Mermaid)]
    format: Format,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Format {
    /// A flow chart that GitHub shows in Markdown.
    Mermaid,
    /// Graphviz.
    Dot,
    /// A picture for browsers and pages, of at most 500 edges.
    Svg,
    /// One JSON object.
    Json,
}

/// Draws the graph of a folder, or of an installation. A repository of an installation that cannot be read is drawn as unknown.
///
/// # Errors
/// Something of the folder cannot be read, or the output cannot be written.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let mut unread = None;
    let mut found = Vec::new();
    if let Some(folder) = &args.folder {
        folder.read_dir().map_err(|error| unreadable(folder, &error))?;
        let (of_folder, failure) = repositories(folder);
        failure.map_or(Ok(()), Err)?;
        found = of_folder;
    } else if let Some(installed) = args.account.read()? {
        unread = installed.failure();
        found = installed.found;
    }
    let examination = examine(&mut found)?;
    let mut out = io::stdout().lock();
    match args.format {
        Format::Mermaid => out.write_all(graph::mermaid(&examination).as_bytes())?,
        Format::Dot => out.write_all(graph::dot(&examination).as_bytes())?,
        Format::Svg => out.write_all(graph::svg(&examination).as_bytes())?,
        Format::Json => {
            write_json(&mut out, &graph::json(&examination))?;
        }
    }
    out.flush()?;
    unread.map_or(Ok(ExitCode::SUCCESS), Err)
}
