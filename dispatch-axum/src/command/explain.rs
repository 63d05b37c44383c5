//! `dispatch explain`: the decision about one event, offline.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use dispatch_core::decide::{Answers, CommitOnBranch, Identity, PolicyAnswer, PolicyFile};
use dispatch_core::event::Event;
use dispatch_core::explain::{ExplainedEvent, ExplainedSkip, Explanation, explain};
use dispatch_core::guardrail::Guardrails;
use dispatch_core::name::{Branch, CommitSha, Repository};
use dispatch_core::reason::Reason;
use dispatch_core::webhook::{self, Webhook};
use serde::Deserialize;

use super::policy_tree::{PolicyTree, shown, unreadable};
use super::settings::{Flags, Limits};
use super::{Failure, write_json};

/// GitHub delivers no larger payload ("Webhook events and payloads").
const LARGEST_EVENT: u64 = 25 * 1024 * 1024;

/// The events that rules can be about, or that tell the service something.
const EVENTS: [&str; 2] = ["workflow_run", "push"];

/// Arguments of `dispatch explain`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The decision is the service's own. What only GitHub or the service's database could answer is assumed, and said: that \
the run's commit is on its branch, for example. Without OWNER_ALLOWLIST the events of all owners count.

Exit code: 0 for any decision, 2 for bad input.")]
pub(crate) struct Args {
    /// The folder of policy files: DIR/OWNER/REPOSITORY/dispatching.yml or .../.github/dispatching.yml.
    #[arg(long, value_name = "DIR")]
    policies: PathBuf,
    /// GitHub's name of the event, as in the header X-GitHub-Event.
    #[arg(long, value_name = "NAME")]
    event_name: String,
    /// The webhook's body, as GitHub sends it; `-` reads the standard input.
    #[arg(long, value_name = "FILE")]
    event: PathBuf,
    /// Print JSON of a stable shape instead of text.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    limits: Flags<Limits>,
}

/// Prints the decision.
///
/// # Errors
/// The event, a policy folder or a setting cannot be read, or the output cannot be written.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let kind = EVENTS.into_iter().find(|kind| *kind == args.event_name).ok_or_else(|| {
        let known = EVENTS.map(|kind| format!("`{kind}`")).join(", ");
        Failure::input(format_args!("--event-name: expected one of {known}, got `{}`", args.event_name.escape_debug()))
    })?;
    let settings = args.limits.settings()?;
    let guardrails = Guardrails::from_settings(settings.as_map())?;
    let tree = PolicyTree::open(&args.policies)?;
    let body = body(&args.event)?;
    let wrong = |error: &dyn Display| Failure::input(format_args!("`{}`: {error}", shown(&args.event)));
    let explanation = match webhook::parse(&args.event_name, &body).map_err(|error| wrong(&error))? {
        Webhook::Event(event) => decision(&event, &guardrails, &tree)?,
        // Not by the names of events that are taken here.
        Webhook::AccessLost(_) => ignored(kind, None, &body, &guardrails).map_err(|error| wrong(&error))?,
        Webhook::Ignored { action } => {
            ignored(kind, action.as_deref(), &body, &guardrails).map_err(|error| wrong(&error))?
        }
    };
    let mut out = io::stdout().lock();
    if args.json {
        write_json(&mut out, &explanation)?;
    } else {
        write!(out, "{}", explanation.to_text())?;
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// Decides as the pipeline does, with the folder in place of GitHub.
fn decision(event: &Event, guardrails: &Guardrails, tree: &PolicyTree) -> Result<Explanation, Failure> {
    let mut folder = Folder { tree, failure: None };
    let explanation = explain(event, guardrails, &mut folder);
    folder.failure.map_or(Ok(explanation), Err)
}

/// An action of the event that starts nothing, such as `requested`.
fn ignored(
    kind: &'static str,
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
    let action = action.unwrap_or_default().escape_debug();
    Ok(Explanation {
        event: ExplainedEvent::named(kind, payload.repository.full_name),
        skipped: Some(ExplainedSkip {
            reason: Reason::NoRuleMatched,
            message: format!(
                "a `{kind}` event starts something when its action is `completed`, and this one is `{action}`"
            ),
            outbound_rule: None,
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
