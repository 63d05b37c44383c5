//! `dispatch explain`: the decision about one event, offline: about a webhook's body, or about a stored delivery.

mod given;
mod stored;

use std::fmt::Display;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use dispatch_core::decide::{Answers, CommitOnBranch, Identity, PolicyAnswer, PolicyFile};
use dispatch_core::event::Event;
use dispatch_core::explain::{ExplainedEvent, ExplainedSkip, Explanation, Given, explain};
use dispatch_core::guardrail::Guardrails;
use dispatch_core::name::{Branch, CommitSha, Repository};
use dispatch_core::reason::Reason;
use dispatch_core::webhook::{self, Webhook};
use serde::Deserialize;

use self::given::Knowledge;
use super::database::Database;
use super::policy_tree::{PolicyTree, shown, unreadable};
use super::settings::{Flags, Limits};
use super::{Failure, write_json};

/// GitHub delivers no larger payload ("Webhook events and payloads").
const LARGEST_EVENT: u64 = 25 * 1024 * 1024;

/// The events that rules can be about, or that tell the service something, and when they start something.
const EVENTS: [(&str, &str); 5] = [
    ("workflow_run", "its action is `completed`"),
    ("pull_request", "its action is `opened`, `synchronize`, `reopened` or `closed`"),
    ("issue_comment", "its action is `created`, it is on a pull request, and its first line is a command"),
    ("check_run", "its action is `rerequested`, and the check run is one of the App's own"),
    ("push", "never"),
];

/// Arguments of `dispatch explain`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The decision is the service's own. What only GitHub or the service's database could answer is assumed in favour of the \
event, and said: that the run's commit is on its branch, for example. Some of it can be given instead. Without \
OWNER_ALLOWLIST the events of all owners count.

A stored delivery is explained as it was decided about; with --policies it is decided about again, by those files.

Exit code: 0 for any decision, 1 if there is no such delivery, 2 for bad input.")]
pub(crate) struct Args {
    /// The folder of policy files: DIR/OWNER/REPOSITORY/dispatching.yml or .../.github/dispatching.yml.
    #[arg(long, value_name = "DIR", required_unless_present = "delivery")]
    policies: Option<PathBuf>,
    /// GitHub's name of the event, as in the header X-GitHub-Event.
    #[arg(long, value_name = "NAME", required_unless_present = "delivery", conflicts_with = "delivery")]
    event_name: Option<String>,
    /// The webhook's body, as GitHub sends it; `-` reads the standard input.
    #[arg(long, value_name = "FILE", required_unless_present = "delivery", conflicts_with = "delivery")]
    event: Option<PathBuf>,
    /// A delivery that the service has accepted, by GitHub's id of it, as the dashboard shows it.
    #[arg(long, value_name = "ID")]
    delivery: Option<String>,
    #[command(flatten)]
    database: Database,
    /// How to tell it.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// The same as `--format json`.
    #[arg(long, conflicts_with = "format")]
    json: bool,
    #[command(flatten)]
    knowledge: Knowledge,
    #[command(flatten)]
    limits: Flags<Limits>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// JSON of a stable shape.
    Json,
}

/// Prints the decision.
///
/// # Errors
/// The event, a policy folder or a setting cannot be read, or the output cannot be written.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let settings = args.limits.settings()?;
    let guardrails = Guardrails::from_settings(settings.as_map())?;
    let tree = args.policies.as_deref().map(PolicyTree::open).transpose()?;
    let explanation = match (&args.delivery, &args.event_name, &args.event, &tree) {
        (Some(id), ..) => stored::explain(id, &args.database, &args.knowledge, tree.as_ref(), &guardrails)?,
        (None, Some(name), Some(file), Some(tree)) => of_file(name, file, &args.knowledge, tree, &guardrails)?,
        // The flags require one another.
        _ => return Err(Failure::input("give --delivery, or --policies, --event-name and --event")),
    };
    let mut out = io::stdout().lock();
    match if args.json { Format::Json } else { args.format } {
        Format::Json => write_json(&mut out, &explanation)?,
        Format::Text => write!(out, "{}", explanation.to_text())?,
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// Explains a webhook's body.
fn of_file(
    name: &str,
    file: &Path,
    knowledge: &Knowledge,
    tree: &PolicyTree,
    guardrails: &Guardrails,
) -> Result<Explanation, Failure> {
    let (kind, body) = (kind(name)?, body(file)?);
    let wrong = |error: &dyn Display| Failure::input(format_args!("`{}`: {error}", shown(file)));
    Ok(match webhook::parse(name, &body).map_err(|error| wrong(&error))? {
        Webhook::Event(event) => decision(&event, guardrails, &knowledge.given(&event)?, tree)?,
        // Not by the names of events that are taken here.
        Webhook::AccessLost(_) => ignored(kind, None, &body, guardrails).map_err(|error| wrong(&error))?,
        Webhook::Ignored { action } => {
            ignored(kind, action.as_deref(), &body, guardrails).map_err(|error| wrong(&error))?
        }
    })
}

/// The event of a name that is taken here, and when it starts something.
fn kind(name: &str) -> Result<(&'static str, &'static str), Failure> {
    EVENTS.into_iter().find(|(kind, _)| *kind == name).ok_or_else(|| {
        let known = EVENTS.map(|(kind, _)| format!("`{kind}`")).join(", ");
        Failure::input(format_args!("--event-name: expected one of {known}, got `{}`", name.escape_debug()))
    })
}

/// Decides as the pipeline does, with the folder in place of GitHub.
fn decision(event: &Event, guardrails: &Guardrails, given: &Given, tree: &PolicyTree) -> Result<Explanation, Failure> {
    let mut folder = Folder { tree, failure: None };
    let explanation = explain(event, guardrails, given, &mut folder);
    folder.failure.map_or(Ok(explanation), Err)
}

/// An action of the event that starts nothing, such as `requested`.
fn ignored(
    (kind, starts_when): (&'static str, &'static str),
    action: Option<&str>,
    body: &[u8],
    guardrails: &Guardrails,
) -> Result<Explanation, serde_json::Error> {
    #[derive(Deserialize)]
    struct Payload {
        repository: Named,
    }
    #[derive(Deserialize)]
    struct Named {
        full_name: Repository,
    }
    let payload: Payload = serde_json::from_slice(body)?;
    let action = action.map(|action| format!(" with action `{}`", action.escape_debug())).unwrap_or_default();
    Ok(Explanation {
        event: ExplainedEvent::named(kind, payload.repository.full_name),
        skipped: Some(ExplainedSkip {
            reason: Reason::NoRuleMatched,
            message: format!("a `{kind}` event starts something when {starts_when}; this is one{action}"),
            outbound_rule: None,
            nearest: None,
        }),
        decisions: Vec::new(),
        assumed: Vec::new(),
        limits: guardrails.effective(),
    })
}

/// What can be known offline: the policy files. A file that is there and cannot be read ends the explanation.
struct Folder<'a> {
    tree: &'a PolicyTree,
    failure: Option<Failure>,
}

impl Answers for Folder<'_> {
    fn policy(&mut self, repository: &Repository) -> PolicyAnswer {
        let source = self.tree.policy(repository).unwrap_or_else(|failure| {
            self.failure.get_or_insert(failure);
            None
        });
        let file = source.map_or(PolicyFile::Absent, |source| source.check(repository));
        PolicyAnswer { repository: Some(Identity::Assumed), file }
    }

    fn commit_on_branch(&mut self, _: &Repository, _: &Branch, _: &CommitSha) -> CommitOnBranch {
        CommitOnBranch::Assumed
    }
}

/// The webhook's body, bounded as GitHub bounds it.
fn body(file: &Path) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    let mut read = |from: &mut dyn Read| from.take(LARGEST_EVENT + 1).read_to_end(&mut body);
    match file.to_str() {
        Some("-") => read(&mut io::stdin().lock()),
        _ => File::open(file).and_then(|mut file| read(&mut file)),
    }
    .map_err(|error| unreadable(file, &error))?;
    if body.len() as u64 > LARGEST_EVENT {
        return Err(unreadable(file, &"it is larger than 25 MiB, and GitHub sends no such event"));
    }
    Ok(body)
}
