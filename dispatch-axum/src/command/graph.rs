//! `dispatch graph`: who may start whom.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use dispatch_core::graph;

use super::policy_tree::unreadable;
use super::repository_tree::{examine, repositories};
use super::{Failure, write_json};

/// Arguments of `dispatch graph`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Edges that only one side wants, or whose other side is not in the folder, are dashed; those of a way that comes back to \
where it began are marked. `dispatch lint DIR` says why.

Exit code: 0, or 2 if something cannot be read.")]
pub(crate) struct Args {
    /// A folder of repositories: DIR/OWNER/REPOSITORY/dispatching.yml or .../.github/dispatching.yml.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
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

/// Draws the graph of a folder.
///
/// # Errors
/// Something of the folder cannot be read, or the output cannot be written.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    args.folder.read_dir().map_err(|error| unreadable(&args.folder, &error))?;
    let (mut found, failure) = repositories(&args.folder);
    failure.map_or(Ok(()), Err)?;
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
    Ok(ExitCode::SUCCESS)
}
