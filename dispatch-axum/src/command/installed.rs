//! The repositories of an account that the App is installed on, read from GitHub: for the commands that otherwise read a folder.
//!
//! What holds for a folder holds here: of each file no more is kept than is looked at, and one repository that cannot be read
//! hides no other one.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use dispatch_core::Timestamp;
use dispatch_core::diagnostic::visible;
use dispatch_core::name::{Owner, Repository};
use dispatch_core::policy::PolicyPath;
use dispatch_core::ports::GitHubPort;
use dispatch_core::ports::github::{FileRead, GitHubError, RepositoryRef};
use dispatch_core::retry::RetryPolicy;
use dispatch_core::workflow::Workflow;
use dispatch_github::{GitHub, InstalledRepository, WorkflowText};
use futures_util::{StreamExt, stream};

use super::Failure;
use super::policy_tree::PolicySource;
use super::repository_tree::FoundRepository;
use super::settings::{App, AppSettings, Flags};

/// Repositories that are read at the same time.
const CONCURRENT: usize = 8;
/// How often a call is made that GitHub does not answer properly.
const TRIES: u32 = 4;
/// GitHub's limits end within the hour.
const LONGEST_WAIT: Duration = Duration::from_secs(65 * 60);
/// On what is no terminal, every so many repositories are a line.
const LINE_EVERY: usize = 25;

/// Whose repositories are read, and how.
#[derive(Debug, clap::Args)]
pub(crate) struct Account {
    /// Read all repositories of this organisation or person that the App is installed on, from GitHub.
    #[arg(long, value_name = "NAME")]
    org: Option<Owner>,
    /// With --org: say nothing of how far it is.
    #[arg(long)]
    quiet: bool,
    #[command(flatten)]
    app: Flags<App>,
}

/// What was read.
#[derive(Debug, Default)]
pub(crate) struct Installed {
    pub(crate) found: Vec<FoundRepository>,
    /// Repositories that are there and could not be read, each with the reason in one line.
    pub(crate) unread: BTreeMap<Repository, String>,
    /// Archived ones are not read: nothing starts there.
    pub(crate) archived: Vec<Repository>,
}

impl Account {
    /// Reads the repositories, where an account was named.
    ///
    /// # Errors
    /// A setting is wrong, or the repositories cannot be listed.
    pub(crate) fn read(&self) -> Result<Option<Installed>, Failure> {
        let Some(owner) = &self.org else { return Ok(None) };
        let settings = AppSettings::read(&self.app.settings()?)?;
        super::serve::refuse_the_emulators_key(&settings)?;
        let progress = Progress { quiet: self.quiet, live: io::stderr().is_terminal() };
        let read =
            super::runtime()?.block_on(async { read(&super::serve::github(&settings)?, owner, &progress).await });
        progress.end();
        read.map(Some)
    }
}

impl Installed {
    /// What could not be read, as the end of the command: exit code 2, as for a folder.
    pub(crate) fn failure(&self) -> Option<Failure> {
        let (name, why) = self.unread.first_key_value()?;
        let more = match self.unread.len() - 1 {
            0 => String::new(),
            more => format!(" (and {more} more)"),
        };
        Some(Failure::input(format_args!("cannot read `{name}`{more}: {why}")))
    }
}

async fn read(github: &GitHub, owner: &Owner, progress: &Progress) -> Result<Installed, Failure> {
    let (archived, live): (Vec<_>, Vec<_>) =
        list(github, owner, progress).await?.into_values().partition(|found| found.archived);
    let archived: Vec<_> = archived.into_iter().map(|found| found.repository.name).collect();
    progress.line(format_args!("{owner}: {} repositories to read, {} archived", live.len(), archived.len()));
    let total = live.len();
    let mut reading = stream::iter(live.into_iter().map(|InstalledRepository { repository, .. }| async move {
        let read = files(github, &repository, progress).await;
        (repository.name, read)
    }))
    .buffered(CONCURRENT);
    let mut installed = Installed { archived, ..Installed::default() };
    let mut done = 0;
    while let Some((name, read)) = reading.next().await {
        match read {
            Ok(found) => installed.found.push(found),
            Err(error) => {
                installed.unread.insert(name, visible(&error.to_string()).into_owned());
            }
        }
        done += 1;
        progress.step(done, total);
    }
    Ok(installed)
}

/// All of them, by name. One that moves to another page meanwhile counts once.
async fn list(
    github: &GitHub,
    owner: &Owner,
    progress: &Progress,
) -> Result<BTreeMap<Repository, InstalledRepository>, Failure> {
    let mut pages = github.installed_repositories(owner);
    let mut all = BTreeMap::new();
    let mut patience = Patience::default();
    loop {
        match pages.next_page().await {
            Ok(None) => return Ok(all),
            Ok(Some(page)) => {
                all.extend(page.into_iter().map(|found| (found.repository.name.clone(), found)));
                patience = Patience::default();
            }
            Err(error @ GitHubError::Refused { .. }) => return Err(Failure::input(error)),
            Err(error) => patience.wait(error, progress).await.map_err(Failure::work)?,
        }
    }
}

async fn files(
    github: &GitHub,
    repository: &RepositoryRef,
    progress: &Progress,
) -> Result<FoundRepository, GitHubError> {
    let mut policies = Vec::new();
    for path in PolicyPath::ALL {
        let read = again(progress, async || github.read_file(&repository.name, Some(repository.id), path, None).await);
        match read.await? {
            FileRead::Found { bytes, .. } => policies.push(PolicySource { path, bytes }),
            FileRead::NoSuchFile { .. } => {}
            FileRead::NotModified | FileRead::NoSuchRepository | FileRead::NotInstalled => {
                return Err(GitHubError::NotInstalled(repository.name.clone()));
            }
        }
    }
    let workflows = again(progress, async || github.workflow_files(repository).await).await?;
    let workflows = workflows.map(|files| {
        // Of what is no regular file, and of what is too long, nothing is known, and nothing is said.
        let read = |text: Option<Vec<u8>>| text.map_or_else(Workflow::default, |text| Workflow::read(&text));
        files.into_iter().map(|WorkflowText { file, text }| (file, read(text))).collect()
    });
    Ok(FoundRepository::elsewhere(repository.name.clone(), policies, workflows))
}

/// Asks until GitHub answers, as long as waiting can help.
async fn again<T>(progress: &Progress, call: impl AsyncFn() -> Result<T, GitHubError>) -> Result<T, GitHubError> {
    let mut patience = Patience::default();
    loop {
        match call().await {
            Err(error @ (GitHubError::RateLimited { .. } | GitHubError::Unavailable(_))) => {
                patience.wait(error, progress).await?;
            }
            answered => return answered,
        }
    }
}

/// How long one call was waited for.
#[derive(Default)]
struct Patience {
    tries: u32,
    waited: Duration,
}

impl Patience {
    /// Waits as long as the error says.
    async fn wait(&mut self, error: GitHubError, progress: &Progress) -> Result<(), GitHubError> {
        let wait = match &error {
            GitHubError::RateLimited { until, .. } => {
                let now = Timestamp::now();
                let until = RetryPolicy::default().after_rate_limit(*until, 1, now);
                Duration::try_from(until.duration_since(now)).unwrap_or_default()
            }
            _ => {
                self.tries += 1;
                Duration::from_millis(500) * 2_u32.pow(self.tries.min(TRIES))
            }
        };
        self.waited += wait;
        if self.tries >= TRIES || self.waited > LONGEST_WAIT {
            return Err(error);
        }
        if let GitHubError::RateLimited { .. } = error {
            progress.line(format_args!("GitHub's rate limit: going on in {} s", wait.as_secs()));
        }
        tokio::time::sleep(wait).await;
        Ok(())
    }
}

/// How far it is, on the standard error: one line that changes on a terminal, else a line now and then.
struct Progress {
    quiet: bool,
    live: bool,
}

impl Progress {
    fn line(&self, line: std::fmt::Arguments<'_>) {
        if !self.quiet {
            let clear = if self.live { "\r\x1b[K" } else { "" };
            // Nobody has to read it.
            let _ = writeln!(io::stderr(), "{clear}{line}");
        }
    }

    fn step(&self, done: usize, total: usize) {
        if self.quiet {
            return;
        }
        if self.live {
            let _ = write!(io::stderr(), "\r\x1b[K{done} of {total} repositories read");
        } else if done.is_multiple_of(LINE_EVERY) || done == total {
            self.line(format_args!("{done} of {total} repositories read"));
        }
    }

    fn end(&self) {
        if self.live && !self.quiet {
            let _ = writeln!(io::stderr());
        }
    }
}
