//! What is shown to people at GitHub about the work: check runs on the source's commit, comments on the pull request, and
//! reactions to commands.
//!
//! A [`Notice`] is what is to be shown, and how far showing got. It changes with the commit of the step that it tells of; the
//! stage that shows it makes one call at a time, and never a second check run or comment where the first one may exist.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::Timestamp;
use crate::chain::Place;
use crate::delivery::DeliveryKey;
use crate::dispatch::DispatchKey;
use crate::name::{CheckId, CommentId, CommitSha, PullRequestNumber, RepositoryId, UserId};
use crate::ports::github::RepositoryRef;
use crate::retry::later;

/// Something to show at GitHub, and how far that got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// What is to be shown.
    pub about: About,
    /// GitHub's id of the check run or the comment, once it is there.
    pub shown_as: Option<u64>,
    /// Committed before it is created: from here on there may be one that is not known, and it is looked for.
    pub creating: Option<Timestamp>,
    /// When to show it; None: it is shown, or nobody can.
    pub due: Option<Timestamp>,
    /// How often in a row showing was tried and put back.
    pub attempts: u32,
    /// When what is to be shown changed last.
    pub changed_at: Timestamp,
}

/// What is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum About {
    /// A check run.
    Check(Box<Check>),
    /// A comment that is kept up to date.
    Comment(Comment),
    /// A reaction to a comment.
    Reaction {
        /// Where.
        repository: RepositoryRef,
        /// The comment.
        comment: CommentId,
        /// The reaction.
        reaction: Reaction,
    },
}

/// What a notice is found by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeKey {
    /// A check run, by its external id.
    Check(CheckId),
    /// A comment.
    Comment(CommentKey),
    /// A reaction, by the repository and the comment that it is to.
    Reaction(RepositoryId, CommentId),
}

/// A check run of this App.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// Its external id.
    pub id: CheckId,
    /// Where it is shown.
    pub repository: RepositoryRef,
    /// The commit that it is shown on.
    pub head_sha: CommitSha,
    /// Its name.
    pub name: String,
    /// The dispatch that it tells of, so that it can be done again; None for a check that tells of a policy file.
    pub origin: Option<CheckOrigin>,
    /// How far what it tells of got.
    pub status: CheckStatus,
    /// One line.
    pub title: String,
    /// Markdown, at most 65,535 characters.
    pub summary: String,
    /// Where to read on.
    pub details_url: Option<String>,
    /// What is wrong at which lines. At most 50.
    pub annotations: Vec<CheckAnnotation>,
}

/// What a check shows of what it tells of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckText {
    /// How far it got.
    pub status: CheckStatus,
    /// One line, plain text.
    pub title: String,
    /// Markdown, at most 65,535 characters.
    pub summary: String,
    /// Where to read on.
    pub details_url: Option<String>,
}

/// What a check tells of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckOrigin {
    /// The delivery whose event was decided about first.
    pub delivery: DeliveryKey,
    /// The target.
    pub target: Place,
    /// The dispatch; None where the target was denied.
    pub dispatch: Option<DispatchKey>,
}

/// How far what a check tells of got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckStatus {
    /// It waits.
    Queued,
    /// It runs.
    InProgress,
    /// It ended.
    Completed(CheckConclusion),
}

/// How a check ended. The words are GitHub's ("Create a check run"); `stale` is GitHub's own to set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the words are GitHub's own")]
pub enum CheckConclusion {
    ActionRequired,
    Cancelled,
    Failure,
    Neutral,
    Success,
    Skipped,
    TimedOut,
}

/// Something that is wrong at some lines of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckAnnotation {
    /// The file.
    pub path: String,
    /// Its first line, from 1.
    pub start_line: u32,
    /// Its last line.
    pub end_line: u32,
    /// How bad it is.
    pub level: AnnotationLevel,
    /// One line, at most 255 characters.
    pub title: String,
    /// At most 64 KiB.
    pub message: String,
}

/// How bad something is. The words are GitHub's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the words are GitHub's own")]
pub enum AnnotationLevel {
    Notice,
    Warning,
    Failure,
}

/// A comment on a pull request that is kept up to date.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comment {
    /// Its key.
    pub key: CommentKey,
    /// The repository's name.
    pub repository: RepositoryRef,
    /// Its parts, each under the key of what it tells of, shown in the order of the keys. At most
    /// [`Comment::MAX_PARTS`].
    pub parts: BTreeMap<String, CommentPart>,
}

/// A part of a comment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommentPart {
    /// The dispatch that it tells of: what becomes of an older one does not change it any more. None where nothing was
    /// started.
    pub dispatch: Option<DispatchKey>,
    /// When that was wanted, by GitHub's clock: the newest is shown.
    pub at: Timestamp,
    /// Markdown.
    pub text: String,
}

/// What a comment is found by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CommentKey {
    /// Where.
    pub repository: RepositoryId,
    /// The pull request.
    pub pull_request: PullRequestNumber,
    /// What it tells of.
    pub about: CommentAbout,
}

/// What a comment tells of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommentAbout {
    /// The results of what the pull request started.
    Results,
    /// Why commands of a person were refused, on one day (UTC, `YYYY-MM-DD`).
    Refusals {
        /// The person.
        to: UserId,
        /// The day.
        on: String,
    },
}

/// A reaction to a command. GitHub's words: `eyes`, `confused`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reaction {
    /// It was seen, and is being done.
    Eyes,
    /// It was refused.
    Confused,
}

impl Comment {
    /// How many parts a comment has. Beyond it, the oldest goes.
    pub const MAX_PARTS: usize = 25;

    /// Puts a part in the place of an older one. False where nothing changes: a newer one is there, or the same.
    pub fn put(&mut self, key: String, part: CommentPart) -> bool {
        if self.parts.get(&key).is_some_and(|there| there.at > part.at || *there == part) {
            return false;
        }
        self.parts.insert(key, part);
        while self.parts.len() > Self::MAX_PARTS {
            let oldest = self.parts.iter().min_by_key(|(_, part)| part.at).map(|(key, _)| key.clone());
            let Some(oldest) = oldest else { break };
            self.parts.remove(&oldest);
        }
        true
    }
}

impl Check {
    /// Takes over what is to be shown now. A check that completed is never shown as running again: it stays as it is until
    /// what it tells of completes once more. False where nothing changes.
    pub fn show(&mut self, text: CheckText) -> bool {
        let CheckText { status, title, summary, details_url } = text;
        let completed = |status| matches!(status, CheckStatus::Completed(_));
        let same =
            (self.status, &self.title, &self.summary, &self.details_url) == (status, &title, &summary, &details_url);
        if same || (completed(self.status) && !completed(status)) {
            return false;
        }
        (self.status, self.title, self.summary, self.details_url) = (status, title, summary, details_url);
        true
    }
}

impl Notice {
    /// After something was created and the answer is missing, it is not looked for sooner: GitHub's lists may be late.
    pub const CREATING_SETTLES: Duration = Duration::from_secs(3 * 60);

    /// How long further refusals are gathered after the first one was shown.
    pub const GATHERS_REFUSALS: Duration = Duration::from_secs(60);

    /// What is to be shown has changed: it is due now, or when changes were gathered, unless GitHub put it back, or somebody
    /// shows it at this moment. He finds that it has changed, and shows it again.
    pub fn change(&mut self, now: Timestamp) {
        self.changed_at = now;
        let due = later(now, self.gathers());
        if self.due.is_none() {
            (self.due, self.attempts) = (Some(due), 0);
        }
    }

    /// How long changes are gathered before they are shown. Refusals are caused by anybody who may comment.
    fn gathers(&self) -> Duration {
        match &self.about {
            About::Comment(Comment { key: CommentKey { about: CommentAbout::Refusals { .. }, .. }, .. }) => {
                Self::GATHERS_REFUSALS
            }
            _ => Duration::ZERO,
        }
    }

    /// A notice that is to be shown at once.
    #[must_use]
    pub fn new(about: About, now: Timestamp) -> Self {
        Self { about, shown_as: None, creating: None, due: Some(now), attempts: 0, changed_at: now }
    }

    /// What it is found by.
    #[must_use]
    pub fn key(&self) -> NoticeKey {
        match &self.about {
            About::Check(check) => NoticeKey::Check(check.id.clone()),
            About::Comment(comment) => NoticeKey::Comment(comment.key.clone()),
            About::Reaction { repository, comment, .. } => NoticeKey::Reaction(repository.id, *comment),
        }
    }

    /// Where it is shown.
    #[must_use]
    pub fn repository(&self) -> &RepositoryRef {
        match &self.about {
            About::Check(check) => &check.repository,
            About::Comment(comment) => &comment.repository,
            About::Reaction { repository, .. } => repository,
        }
    }
}

impl CheckId {
    /// The external id of the check that tells of a dispatch, or of its denial.
    #[must_use]
    pub fn of_dispatch(key: &DispatchKey) -> Option<Self> {
        digest(&format!("dispatch/{key}"))
    }

    /// The external id of the check that tells of a policy file at a commit.
    #[must_use]
    pub fn of_policy(repository: RepositoryId, commit: &CommitSha) -> Option<Self> {
        digest(&format!("policy/{repository}/{commit}"))
    }
}

/// None for no text: a digest always has the form of an id.
fn digest(text: &str) -> Option<CheckId> {
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>().parse().ok()
}
