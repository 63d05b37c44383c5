//! `dispatch test`: tests of policies, as teams keep them beside their policy files.

mod junit;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use dispatch_core::decide::PolicyFile;
use dispatch_core::diagnostic::{Diagnostics, visible};
use dispatch_core::name::Repository;
use dispatch_core::policy_test::{Difference, Outcome, TestFile};
use serde::Serialize;

use super::policy_tree::{PolicyTree, folder_below, read_policy, shown};
use super::{Failure, write_json};

/// Arguments of `dispatch test`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The decision is the service's own, over the real policy files; what GitHub would say comes from the test.

Exit code: 0 if all tests pass, 1 if one fails, 2 if a file cannot be read or is wrong.")]
pub(crate) struct Args {
    /// Files of tests, such as dispatching.test.yml.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The folder of policy files (DIR/OWNER/REPOSITORY/dispatching.yml) [default: what each file says, else its own].
    #[arg(long, value_name = "DIR")]
    policies: Option<PathBuf>,
    /// What is printed: text for people, one JSON object, or JUnit XML.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
enum Format {
    #[default]
    Text,
    Json,
    Junit,
}

/// Runs every test of the files. What cannot be read does not hide what can.
///
/// # Errors
/// A file cannot be read or is wrong, or the output cannot be written.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let mut report = Report::default();
    for file in &args.files {
        report.suites.push(Suite::run(file, args.policies.as_deref()));
    }
    let mut out = io::stdout().lock();
    match args.format {
        Format::Text => report.write_text(&mut out)?,
        Format::Json => {
            write_json(&mut out, &report.to_json())?;
        }
        Format::Junit => write!(out, "{}", junit::write(&report.suites))?,
    }
    out.flush()?;
    let code = if report.failed() > 0 { ExitCode::from(1) } else { ExitCode::SUCCESS };
    let mut unread: Vec<Failure> = report.suites.into_iter().filter_map(|suite| suite.problem).collect();
    let last = unread.pop();
    for failure in unread {
        failure.report();
    }
    last.map_or(Ok(code), Err)
}

/// What became of the files.
#[derive(Default)]
struct Report {
    suites: Vec<Suite>,
}

/// What became of one file of tests.
#[derive(Default)]
struct Suite {
    file: String,
    tests: Vec<Tested>,
    /// What is wrong in the file itself, and its text.
    wrong: Option<(Diagnostics, String)>,
    /// The policy files with errors that tests looked at, and their texts.
    policies: Vec<(Arc<Diagnostics>, String)>,
    /// Why not all of it was run.
    problem: Option<Failure>,
}

/// What became of one test.
#[derive(Serialize)]
struct Tested {
    name: String,
    line: u32,
    passed: bool,
    #[serde(flatten)]
    outcome: Outcome,
}

impl Suite {
    fn run(file: &Path, policies: Option<&Path>) -> Self {
        let mut suite = Self { file: shown(file), ..Self::default() };
        if let Err(failure) = suite.run_tests(file, policies) {
            suite.problem = Some(failure);
        }
        suite
    }

    fn run_tests(&mut self, file: &Path, policies: Option<&Path>) -> Result<(), Failure> {
        let bytes = read_policy(file)?;
        let tests = match TestFile::read(&bytes, &self.file) {
            Ok(tests) => tests,
            Err(diagnostics) => {
                self.wrong = Some((diagnostics, String::from_utf8_lossy(&bytes).into_owned()));
                return Err(Failure::input(format_args!(
                    "`{}` has errors, so that none of its tests was run",
                    self.file
                )));
            }
        };
        let tree = match policies {
            Some(folder) => PolicyTree::open(folder)?,
            None => {
                let own = file.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
                PolicyTree::open(&folder_below(own, &tests.policies)?)?
            }
        };
        let mut folder = Folder { tree, read: BTreeMap::new(), invalid: Vec::new(), failure: None };
        for test in &tests.tests {
            let outcome = test.run(&tests.limits, |repository| folder.policy(repository));
            if let Some(failure) = folder.failure.take() {
                return Err(failure);
            }
            self.tests.push(Tested { name: test.name.clone(), line: test.line, passed: outcome.passed(), outcome });
        }
        self.policies = folder.invalid;
        Ok(())
    }

    fn failed(&self) -> usize {
        self.tests.iter().filter(|test| !test.passed).count()
    }

    fn write_text(&self, out: &mut impl Write) -> io::Result<()> {
        if let Some((diagnostics, source)) = &self.wrong {
            writeln!(out, "{}\n", diagnostics.render(source).trim_end())?;
        }
        for (diagnostics, source) in &self.policies {
            writeln!(out, "{}\n", diagnostics.render(source).trim_end())?;
        }
        for test in &self.tests {
            if test.passed {
                writeln!(out, "ok {}", visible(&test.name))?;
                continue;
            }
            writeln!(out, "FAILED {} ({}:{})", visible(&test.name), self.file, test.line)?;
            for line in test.outcome.to_string().lines() {
                writeln!(out, "    {line}")?;
            }
        }
        Ok(())
    }
}

impl Report {
    fn count(&self) -> usize {
        self.suites.iter().map(|suite| suite.tests.len()).sum()
    }

    fn failed(&self) -> usize {
        self.suites.iter().map(Suite::failed).sum()
    }

    fn write_text(&self, out: &mut impl Write) -> io::Result<()> {
        for suite in &self.suites {
            if self.suites.len() > 1 {
                writeln!(out, "{}", suite.file)?;
            }
            suite.write_text(out)?;
            if self.suites.len() > 1 {
                writeln!(out)?;
            }
        }
        let (count, failed) = (self.count(), self.failed());
        let noun = if count == 1 { "test" } else { "tests" };
        writeln!(out, "{count} {noun}: {} passed, {failed} failed", count - failed)
    }

    fn to_json(&self) -> impl Serialize {
        let suite = |suite: &Suite| {
            serde_json::json!({
                "file": suite.file,
                "problems": suite.wrong.as_ref().map_or(&[][..], |(diagnostics, _)| &diagnostics.problems),
                "policies": suite.policies.iter().map(|(diagnostics, _)| diagnostics).collect::<Vec<_>>(),
                "tests": suite.tests,
            })
        };
        serde_json::json!({
            "files": self.suites.iter().map(suite).collect::<Vec<_>>(),
            "passed": self.count() - self.failed(),
            "failed": self.failed(),
        })
    }
}

/// The policy files of a folder, each read once. One that is there and cannot be read ends the tests of the file.
struct Folder {
    tree: PolicyTree,
    read: BTreeMap<Repository, PolicyFile>,
    invalid: Vec<(Arc<Diagnostics>, String)>,
    failure: Option<Failure>,
}

impl Folder {
    fn policy(&mut self, repository: &Repository) -> PolicyFile {
        if let Some(file) = self.read.get(repository) {
            return file.clone();
        }
        let file = self.look(repository).unwrap_or_else(|failure| {
            self.failure.get_or_insert(failure);
            PolicyFile::Absent
        });
        self.read.insert(repository.clone(), file.clone());
        file
    }

    fn look(&mut self, repository: &Repository) -> Result<PolicyFile, Failure> {
        let Some(source) = self.tree.policy(repository)? else { return Ok(PolicyFile::Absent) };
        let file = source.check(repository);
        if let PolicyFile::Invalid { diagnostics, .. } = &file {
            self.invalid.push((Arc::clone(diagnostics), String::from_utf8_lossy(&source.bytes).into_owned()));
        }
        Ok(file)
    }
}

/// What a difference is about, in its first line.
fn headline(difference: &Difference) -> String {
    difference.to_string().lines().next().unwrap_or_default().to_owned()
}
