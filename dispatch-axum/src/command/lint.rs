//! `dispatch lint`: every problem of policy files.

use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};
use std::process::ExitCode;

use dispatch_core::diagnostic::{Diagnostics, Severity};
use dispatch_core::name::Owner;
use dispatch_core::policy::{Policy, PolicyPath, two_policy_files};
use serde::Serialize;

use super::Failure;
use super::policy_tree::{folders, policy_files, read_policy, shown, unreadable};

/// Arguments of `dispatch lint`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit code: 0 without errors (warnings are none), 1 with errors, 2 if a path cannot be read.")]
pub(crate) struct Args {
    /// Policy files, repositories, or folders of repositories (`<owner>/<repository>/...`).
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
}

/// Checks every policy file of the paths. What cannot be read does not hide what can.
///
/// # Errors
/// A path cannot be read, or the output cannot be written.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let mut report = Report::default();
    let mut unread = Vec::new();
    for path in &args.paths {
        if let Err(failure) = report.add_path(path) {
            unread.push(failure);
        }
    }
    let mut out = io::stdout().lock();
    if args.json {
        serde_json::to_writer_pretty(&mut out, &report.to_json()).map_err(io::Error::from)?;
        writeln!(out)?;
    } else {
        report.write_text(&mut out)?;
    }
    out.flush()?;
    let last = unread.pop();
    for failure in unread {
        failure.report();
    }
    match last {
        Some(failure) => Err(failure),
        None if report.count(Severity::Error) > 0 => Ok(ExitCode::from(1)),
        None => Ok(ExitCode::SUCCESS),
    }
}

/// The files that were checked.
#[derive(Default)]
struct Report {
    files: Vec<(Diagnostics, String)>,
}

impl Report {
    fn add_path(&mut self, path: &Path) -> Result<(), Failure> {
        let metadata = path.metadata().map_err(|error| unreadable(path, &error))?;
        if metadata.is_dir() {
            return self.add_folder(path, 0);
        }
        let bytes = read_policy(path)?;
        self.add_file(path, &bytes, owner_in(path));
        Ok(())
    }

    /// A folder is a repository, an owner's folder, or a tree of both: three levels.
    fn add_folder(&mut self, folder: &Path, level: usize) -> Result<(), Failure> {
        let files = policy_files(folder)?;
        if files.is_empty() && level < 2 && !folder.join(".git").exists() {
            // Every folder is looked at, also when one of them cannot be.
            let results: Vec<_> =
                folders(folder)?.into_iter().map(|(_, inner)| self.add_folder(&inner, level + 1)).collect();
            return results.into_iter().collect();
        }
        let shadowed = files.len() > 1;
        for file in files {
            let path = folder.join(file.path.as_str());
            self.add_file(&path, &file.bytes, owner_in(&path));
            if shadowed && file.path != PolicyPath::Root {
                self.files
                    .last_mut()
                    .into_iter()
                    .for_each(|(diagnostics, _)| diagnostics.problems.insert(0, two_policy_files()));
            }
        }
        Ok(())
    }

    fn add_file(&mut self, path: &Path, bytes: &[u8], owner: Option<Owner>) {
        let Some(owner) = owner.or_else(|| SOME_OWNER.parse().ok()) else { return };
        let checked = Policy::check(bytes, &owner, &shown(path));
        self.files.push((checked.diagnostics, String::from_utf8_lossy(bytes).into_owned()));
    }

    fn count(&self, severity: Severity) -> usize {
        self.files.iter().flat_map(|(file, _)| &file.problems).filter(|problem| problem.severity == severity).count()
    }

    fn write_text(&self, out: &mut impl Write) -> io::Result<()> {
        for (file, source) in self.files.iter().filter(|(file, _)| !file.problems.is_empty()) {
            writeln!(out, "{}\n", file.render(source).trim_end())?;
        }
        if self.files.is_empty() {
            return writeln!(out, "no policy file: looked for {} and {}", PolicyPath::Root, PolicyPath::DotGithub);
        }
        writeln!(
            out,
            "{} checked: {}, {}",
            counted(self.files.len(), "policy file"),
            counted(self.count(Severity::Error), "error"),
            counted(self.count(Severity::Warning), "warning"),
        )
    }

    fn to_json(&self) -> impl Serialize {
        serde_json::json!({
            "files": self.files.iter().map(|(file, _)| file).collect::<Vec<_>>(),
            "errors": self.count(Severity::Error),
            "warnings": self.count(Severity::Warning),
        })
    }
}

/// The owner that a bare repository name means where the path tells none. It changes no diagnostic: bare names of one
/// file all mean the same owner, whoever that is.
const SOME_OWNER: &str = "this-owner";

/// The owner of `.../<owner>/<repository>/dispatching.yml`, as far as the path was written out.
fn owner_in(file: &Path) -> Option<Owner> {
    let mut names: Vec<&str> = file
        .components()
        .map(|component| match component {
            Component::Normal(name) => name.to_str(),
            _ => None,
        })
        .map(Option::unwrap_or_default)
        .collect();
    names.pop();
    if names.last() == Some(&".github") {
        names.pop();
    }
    names.pop();
    names.pop()?.parse().ok()
}

fn counted(count: usize, noun: &str) -> String {
    match count {
        0 => format!("no {noun}s"),
        1 => format!("1 {noun}"),
        _ => format!("{count} {noun}s"),
    }
}
