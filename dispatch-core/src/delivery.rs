//! What was received, and how far it got.

use std::fmt::{self, Write as _};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::Timestamp;
use crate::event::{Event, EventKind};
use crate::fact::{Fact, FactBody, Subject};
use crate::name::{Branch, DeliveryId, PullRequestNumber, Repository, WorkflowFile};
use crate::reason::Reason;

/// The inbox key: GitHub's delivery id and the SHA-256 of the body. The signature covers the body only, so that an id
/// alone could be put on another body, and a body sent again under another id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DeliveryKey {
    /// From `X-GitHub-Delivery`. A redelivery carries the same one.
    pub id: DeliveryId,
    /// SHA-256 of the body, in lowercase hexadecimal digits.
    pub body_sha256: String,
}

impl fmt::Display for DeliveryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.id, self.body_sha256)
    }
}

/// The SHA-256 of a body, as a key has it.
pub(crate) fn body_sha256(body: &[u8]) -> String {
    Sha256::digest(body).iter().fold(String::with_capacity(64), |mut hex, byte| {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// One accepted webhook: the normalised event, never the body.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Delivery {
    /// The inbox key.
    pub key: DeliveryKey,
    /// What happened.
    pub event: Event,
    /// When it was accepted.
    pub received_at: Timestamp,
    /// How far it got.
    pub state: DeliveryState,
    /// When to look at it again; None once it is done.
    pub due: Option<Timestamp>,
    /// How often planning was tried and put back.
    pub attempts: u32,
    /// When it was given up; None while it is not.
    #[serde(default)]
    pub parked_at: Option<Timestamp>,
    /// When the operator said that it is wanted although it is old: its age counts from here.
    #[serde(default)]
    pub renewed_at: Option<Timestamp>,
    /// How many facts were written about it: the sequence number of the next one.
    pub facts: u32,
}

impl Delivery {
    /// What stands for a webhook that GitHub never sent, to be decided about like one. The id begins with `prefix`, which says
    /// what it is and tells it apart from others of the same event. None where it cannot be written as JSON, which no type here
    /// brings about, and where the prefix is no beginning of an id.
    pub(crate) fn made_here(event: Event, prefix: &str, now: Timestamp) -> Option<Self> {
        let body_sha256 = body_sha256(&serde_json::to_vec(&event).ok()?);
        let short: String = body_sha256.chars().take(16).collect();
        let id = format!("{prefix}-{short}").parse().ok()?;
        Some(Self::received(DeliveryKey { id, body_sha256 }, event, now))
    }

    /// One that is to be decided about.
    pub(crate) fn received(key: DeliveryKey, event: Event, now: Timestamp) -> Self {
        Self {
            key,
            event,
            received_at: now,
            state: DeliveryState::Received,
            due: Some(now),
            attempts: 0,
            parked_at: None,
            renewed_at: None,
            facts: 1,
        }
    }

    /// One that only tells us something.
    pub(crate) fn noted(key: DeliveryKey, event: Event, now: Timestamp) -> Self {
        Self { state: DeliveryState::Noted, due: None, ..Self::received(key, event, now) }
    }

    /// The first fact about one that is new.
    pub(crate) fn first_fact(&self) -> Fact {
        let event = self.event.clone();
        let body = match self.state {
            DeliveryState::Noted => FactBody::DeliveryNoted { event },
            _ => FactBody::DeliveryReceived { event },
        };
        Fact { subject: Subject::delivery(self.key.clone()), sequence: 0, time: self.received_at, body, happened: None }
    }

    /// What is shown of it in a list.
    #[must_use]
    pub fn summary(&self) -> DeliverySummary {
        DeliverySummary::new(&self.event, self.received_at)
    }
}

/// What is shown of a delivery in a list. Every fact about a delivery carries it, so that each of them alone can tell
/// the whole row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliverySummary {
    /// GitHub's name for the event.
    pub event: String,
    /// Where it happened.
    pub repository: Repository,
    /// The workflow, for a run that has one.
    pub workflow: Option<WorkflowFile>,
    /// The branch, where there is one: of a pull request, the one that it wants to change.
    pub branch: Option<Branch>,
    /// The pull request, where it is about one.
    #[serde(default)]
    pub pull_request: Option<PullRequestNumber>,
    /// What happened to the pull request, or the command, in one word.
    #[serde(default)]
    pub word: Option<String>,
    /// When it was accepted.
    pub received_at: Timestamp,
}

impl DeliverySummary {
    /// Summarises an event.
    #[must_use]
    pub fn new(event: &Event, received_at: Timestamp) -> Self {
        let (workflow, branch) = match &event.kind {
            EventKind::WorkflowRun(run) => (run.workflow.clone(), run.head_branch.clone()),
            EventKind::Push(push) => (None, push.branch.clone()),
            EventKind::PullRequest(pull_request) => (None, Some(pull_request.now.base_branch.clone())),
            EventKind::RunProgress(_) | EventKind::Command(_) | EventKind::CheckRerequest(_) => (None, None),
        };
        let (pull_request, word) = match &event.kind {
            EventKind::PullRequest(pull_request) => {
                (Some(pull_request.now.number), Some(pull_request.action.to_string()))
            }
            EventKind::Command(command) => (Some(command.pull_request), Some(command.name.to_string())),
            EventKind::RunProgress(run) => (None, Some(run.stage.as_str().to_owned())),
            EventKind::WorkflowRun(_) | EventKind::Push(_) | EventKind::CheckRerequest(_) => (None, None),
        };
        let repository = event.repository.name.clone();
        Self { event: event.kind.name().to_owned(), repository, workflow, branch, pull_request, word, received_at }
    }
}

/// How far a delivery got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// Durable, not decided yet.
    Received,
    /// Decided: the plan is in its fact, its dispatches are records of their own.
    Planned,
    /// Nothing to decide: the event only told us something.
    Noted,
    /// Given up. Visible until somebody acts on it.
    Parked {
        /// The stable code, where it was not an error but a decision: too old.
        #[serde(default)]
        reason: Option<Reason>,
        /// What went wrong last.
        error: String,
    },
    /// Given up, and the operator said that it is not wanted.
    Dropped,
}
