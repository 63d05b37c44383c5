//! `dispatch lint`: every problem of policy files, and between the repositories of a folder or an organisation.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use dispatch_core::diagnostic::{Diagnostics, Severity, sarif, workflow_commands};
use dispatch_core::name::{Owner, Repository};
use dispatch_core::organisation::Finding;
use dispatch_core::policy::{Policy, PolicyPath, two_policy_files};

use super::installed::{Account, Installed};
use super::policy_tree::{read_policy, shown, unreadable};
use super::repository_tree::{FoundRepository, examine, owner_and_name, repositories};
use super::{Failure, write_json};

/// How many names a summary has.
const MAX_NAMES: usize = 10;

/// Arguments of `dispatch lint`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The repositories of a folder are checked together: whether the other side agrees, whether the workflow is there, and \
whether it takes what is sent. Each PATH is a world of its own. `--org` reads the same files of all repositories that \
the App is installed on, from their default branches, as the App: GITHUB_APP_PRIVATE_KEY or GITHUB_APP_PRIVATE_KEY_FILE \
is its key. Archived repositories are left out; rate limits are waited for.

Exit code: 0 without errors (warnings are none), 1 with errors, 2 if something cannot be read.")]
pub(crate) struct Args {
    /// Policy files, repositories, or folders of repositories (`<owner>/<repository>/...`).
    #[arg(required_unless_present = "org", conflicts_with = "org", value_name = "PATH")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    account: Account,
    /// How to tell the problems.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// The same as `--format json`.
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// One JSON object.
    Json,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
    /// Workflow commands, which GitHub Actions shows as annotations.
    Github,
}

/// Checks every policy file of the paths. What cannot be read does not hide what can.
///
/// # Errors
/// A path cannot be read, or the output cannot be written.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let mut report = Report::default();
    let mut unread = Vec::new();
    if let Some(installed) = args.account.read()? {
        unread.extend(installed.failure());
        report.add_installed(installed)?;
    }
    for path in &args.paths {
        if let Err(failure) = report.add_path(path) {
            unread.push(failure);
        }
    }
    let mut out = io::stdout().lock();
    match if args.json { Format::Json } else { args.format } {
        Format::Text => report.write_text(&mut out)?,
        Format::Json => write_json(&mut out, &report.to_json())?,
        Format::Sarif => write_json(&mut out, &sarif(&report.diagnostics()))?,
        Format::Github => out.write_all(workflow_commands(&report.diagnostics()).as_bytes())?,
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
    /// Repositories that rules name and that are not there.
    unknown: BTreeSet<Repository>,
    /// Repositories that are there and could not be read, and why.
    unread: BTreeMap<Repository, String>,
    /// It is about what the App is installed on, not about folders.
    is_installed: bool,
    /// Repositories that are archived: their side is unknown too.
    archived: Vec<Repository>,
}

impl Report {
    fn add_path(&mut self, path: &Path) -> Result<(), Failure> {
        let metadata = path.metadata().map_err(|error| unreadable(path, &error))?;
        if metadata.is_dir() {
            return self.add_folder(path);
        }
        let bytes = read_policy(path)?;
        self.add_file(path, &bytes, owner_in(path));
        Ok(())
    }

    fn add_folder(&mut self, folder: &Path) -> Result<(), Failure> {
        let (found, failure) = repositories(folder);
        self.add_repositories(found)?;
        failure.map_or(Ok(()), Err)
    }

    fn add_installed(&mut self, installed: Installed) -> Result<(), Failure> {
        self.is_installed = true;
        self.unread.extend(installed.unread);
        self.archived.extend(installed.archived);
        self.add_repositories(installed.found)
    }

    /// Adds repositories that are one world.
    fn add_repositories(&mut self, mut found: Vec<FoundRepository>) -> Result<(), Failure> {
        let mut counting = BTreeMap::new();
        for repository in &found {
            if let (Some(name), Some(_)) = (&repository.name, &repository.policy) {
                counting.insert(name.clone(), self.files.len());
            }
            self.add_repository(repository);
        }
        let examination = examine(&mut found)?;
        for Finding { repository, problem, .. } in examination.findings {
            let file = counting.get(&repository).and_then(|position| self.files.get_mut(*position));
            file.into_iter().for_each(|(file, _)| file.problems.push(problem.clone()));
        }
        for position in counting.values() {
            let file = self.files.get_mut(*position).into_iter();
            file.for_each(|(file, _)| file.problems.sort_by_key(|problem| (problem.span, problem.code.clone())));
        }
        self.unknown.extend(examination.unknown);
        Ok(())
    }

    fn add_repository(&mut self, repository: &FoundRepository) {
        for (position, file) in repository.files.iter().enumerate() {
            let path = repository.folder.join(file.path.as_str());
            match &repository.policy {
                Some(policy) if position == 0 => {
                    let text = String::from_utf8_lossy(&file.bytes).into_owned();
                    self.files.push((policy.diagnostics().clone(), text));
                }
                _ => self.add_file(&path, &file.bytes, owner_in(&path)),
            }
            if position > 0 {
                let added = self.files.last_mut().into_iter();
                added.for_each(|(diagnostics, _)| diagnostics.problems.insert(0, two_policy_files()));
            }
        }
    }

    fn add_file(&mut self, path: &Path, bytes: &[u8], owner: Option<Owner>) {
        let Some(owner) = owner.or_else(|| SOME_OWNER.parse().ok()) else { return };
        let checked = Policy::check(bytes, &owner, &shown(path));
        self.files.push((checked.diagnostics, String::from_utf8_lossy(bytes).into_owned()));
    }

    fn count(&self, severity: Severity) -> usize {
        self.files.iter().flat_map(|(file, _)| &file.problems).filter(|problem| problem.severity == severity).count()
    }

    fn diagnostics(&self) -> Vec<Diagnostics> {
        self.files.iter().map(|(file, _)| file.clone()).collect()
    }

    fn write_text(&self, out: &mut impl Write) -> io::Result<()> {
        for (file, source) in self.files.iter().filter(|(file, _)| !file.problems.is_empty()) {
            writeln!(out, "{}\n", file.render(source).trim_end())?;
        }
        for (repository, why) in &self.unread {
            writeln!(out, "not read, so that its side is unknown: {repository}: {why}")?;
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
        )?;
        let is_archived = |name: &&Repository| self.archived.contains(name);
        let (archived, unknown): (Vec<_>, Vec<_>) = self.unknown.iter().partition(is_archived);
        let unknown = unknown.into_iter().filter(|name| !self.unread.contains_key(*name));
        let place = if self.is_installed { "covered by the installation" } else { "in the folder" };
        write_names(out, &format!("not {place}, so that their side is unknown"), &unknown.collect::<Vec<_>>())?;
        write_names(out, "archived, so that their side is unknown", &archived)
    }

    fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "files": self.files.iter().map(|(file, _)| file).collect::<Vec<_>>(),
            "errors": self.count(Severity::Error),
            "warnings": self.count(Severity::Warning),
            "unknown_repositories": self.unknown,
            "unread_repositories": self.unread,
            "archived_repositories": self.archived,
        })
    }
}

/// A line of some names, where there are any.
fn write_names(out: &mut impl Write, what: &str, all: &[&Repository]) -> io::Result<()> {
    if all.is_empty() {
        return Ok(());
    }
    let mut names: Vec<_> = all.iter().take(MAX_NAMES).map(ToString::to_string).collect();
    let more = all.len().saturating_sub(MAX_NAMES);
    names.extend((more > 0).then(|| format!("{more} more")));
    writeln!(out, "{what}: {}", names.join(", "))
}

/// The owner that a bare repository name means where the path tells none. It changes no diagnostic: bare names of one
/// file all mean the same owner, whoever that is.
const SOME_OWNER: &str = "this-owner";

/// The owner of `.../<owner>/<repository>/dispatching.yml`, as far as the path was written out.
fn owner_in(file: &Path) -> Option<Owner> {
    let folder = file.parent()?;
    let folder = if folder.ends_with(".github") { folder.parent()? } else { folder };
    Some(owner_and_name(folder)?.0)
}

fn counted(count: usize, noun: &str) -> String {
    match count {
        0 => format!("no {noun}s"),
        1 => format!("1 {noun}"),
        _ => format!("{count} {noun}s"),
    }
}
