//! The parts of GitHub's payloads that are used, borrowed from the body. Every field that real payloads leave out or set
//! to null is optional; what a decision cannot do without is asked for when the event is made.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};

use crate::Timestamp;
use crate::event::{Conclusion, Event, EventKind, EventRepository, Head, Push, WorkflowRun};
use crate::name::{InstallationId, NameError, RepositoryId, RunId, WorkflowFile};
use crate::policy::PolicyPath;

/// Text of the body: borrowed, unless it has escapes.
#[derive(Deserialize)]
pub(super) struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl Text<'_> {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn into_string(self) -> String {
        self.0.into_owned()
    }
}

/// A `workflow_run` webhook.
#[derive(Deserialize)]
pub(super) struct WorkflowRunPayload<'a> {
    #[serde(borrow)]
    action: Option<Text<'a>>,
    #[serde(borrow)]
    workflow_run: Option<RunPayload<'a>>,
    #[serde(borrow)]
    repository: Option<RepositoryPayload<'a>>,
    installation: Option<Installation>,
    #[serde(borrow)]
    sender: Option<Sender<'a>>,
}

/// A `push` webhook.
#[derive(Deserialize)]
pub(super) struct PushPayload<'a> {
    #[serde(borrow, rename = "ref")]
    git_ref: Option<Text<'a>>,
    #[serde(borrow)]
    after: Option<Text<'a>>,
    created: Option<bool>,
    deleted: Option<bool>,
    forced: Option<bool>,
    commits: Option<Commits>,
    #[serde(borrow)]
    repository: Option<RepositoryPayload<'a>>,
    installation: Option<Installation>,
    #[serde(borrow)]
    sender: Option<Sender<'a>>,
}

#[derive(Deserialize)]
struct RunPayload<'a> {
    id: Option<u64>,
    run_attempt: Option<u32>,
    run_number: Option<u64>,
    #[serde(borrow)]
    path: Option<Text<'a>>,
    #[serde(borrow)]
    conclusion: Option<Text<'a>>,
    #[serde(borrow)]
    event: Option<Text<'a>>,
    #[serde(borrow)]
    head_branch: Option<Text<'a>>,
    #[serde(borrow)]
    head_sha: Option<Text<'a>>,
    head_repository: Option<HeadRepository>,
    #[serde(borrow)]
    html_url: Option<Text<'a>>,
    run_started_at: Option<Time>,
    updated_at: Option<Time>,
    #[serde(borrow)]
    actor: Option<Sender<'a>>,
}

#[derive(Deserialize)]
struct RepositoryPayload<'a> {
    id: Option<u64>,
    #[serde(borrow)]
    full_name: Option<Text<'a>>,
    #[serde(borrow)]
    default_branch: Option<Text<'a>>,
    private: Option<bool>,
}

#[derive(Deserialize)]
struct HeadRepository {
    id: Option<u64>,
}

#[derive(Deserialize)]
struct Installation {
    id: Option<u64>,
}

#[derive(Deserialize)]
pub(super) struct Sender<'a> {
    #[serde(borrow)]
    pub(super) login: Option<Text<'a>>,
}

impl WorkflowRunPayload<'_> {
    /// The one action that means something here.
    pub(super) const ACTION: &'static str = "completed";

    pub(super) fn is_completed(&self) -> bool {
        self.action.as_ref().is_some_and(|action| action.0 == Self::ACTION)
    }

    pub(super) fn into_event(self) -> Result<Event, String> {
        let repository = EventRepository::try_from(required(self.repository, "repository")?)?;
        let run = required(self.workflow_run, "workflow_run")?.into_run(&repository)?;
        Ok(event(repository, self.installation, self.sender, EventKind::WorkflowRun(run)))
    }
}

impl PushPayload<'_> {
    /// GitHub lists at most so many commits of a push ("Webhook events and payloads", `push`).
    const MAX_COMMITS: usize = 2_048;
    /// What GitHub sends as `after` when a ref was deleted.
    const NO_COMMIT: &'static str = "0000000000000000000000000000000000000000";

    pub(super) fn into_event(self) -> Result<Event, String> {
        let repository = EventRepository::try_from(required(self.repository, "repository")?)?;
        let git_ref = required(self.git_ref, "ref")?;
        let after = required(self.after, "after")?;
        let unusual = [self.created, self.deleted, self.forced].contains(&Some(true));
        // A push whose commits were all pushed before, to another branch, lists none of them.
        let all_listed = self.commits.is_some_and(|commits| (1..Self::MAX_COMMITS).contains(&commits.count));
        let push = Push {
            branch: git_ref
                .0
                .strip_prefix("refs/heads/")
                .map(|name| name.parse())
                .transpose()
                .map_err(in_field("ref"))?,
            after: if after.0 == Self::NO_COMMIT { None } else { Some(after.0.parse().map_err(in_field("after"))?) },
            touches_policy: unusual || !all_listed || self.commits.is_some_and(|commits| commits.touch_policy),
        };
        Ok(event(repository, self.installation, self.sender, EventKind::Push(push)))
    }
}

impl RunPayload<'_> {
    /// The longest name of an event that is kept; GitHub's are below 30 characters.
    const MAX_EVENT_LENGTH: usize = 100;
    /// The longest page address that is kept: the longest value that can be sent.
    const MAX_URL_CHARACTERS: usize = 1_024;

    fn into_run(self, repository: &EventRepository) -> Result<WorkflowRun, String> {
        let event = self.event.map(Text::into_string).unwrap_or_default();
        if event.len() > Self::MAX_EVENT_LENGTH {
            return Err(format!("`workflow_run.event` is longer than {} characters", Self::MAX_EVENT_LENGTH));
        }
        let url = self.html_url.map(Text::into_string).unwrap_or_default();
        let started_at = self.run_started_at.map(|time| time.0);
        Ok(WorkflowRun {
            id: RunId(required(self.id, "workflow_run.id")?),
            attempt: self.run_attempt.unwrap_or(1),
            number: required(self.run_number, "workflow_run.run_number")?,
            workflow: self.path.and_then(|path| WorkflowFile::from_run_path(&path.0, &repository.name)),
            conclusion: self.conclusion.and_then(|word| Conclusion::from_word(&word.0)),
            event,
            head_branch: self.head_branch.and_then(|branch| branch.0.parse().ok()),
            head_sha: required(self.head_sha, "workflow_run.head_sha")?.parse("workflow_run.head_sha")?,
            head: match self.head_repository.and_then(|head| head.id).map(RepositoryId) {
                None => Head::Unknown,
                Some(id) if id == repository.id => Head::SameRepository,
                Some(id) => Head::Fork(id),
            },
            actor: self.actor.and_then(|actor| actor.login).and_then(|login| login.0.parse().ok()),
            url: if url.chars().count() > Self::MAX_URL_CHARACTERS { String::new() } else { url },
            started_at,
            updated_at: required(self.updated_at.map(|time| time.0).or(started_at), "workflow_run.updated_at")?,
        })
    }
}

impl TryFrom<RepositoryPayload<'_>> for EventRepository {
    type Error = String;

    fn try_from(repository: RepositoryPayload<'_>) -> Result<Self, String> {
        Ok(Self {
            id: RepositoryId(required(repository.id, "repository.id")?),
            name: required(repository.full_name, "repository.full_name")?.parse("repository.full_name")?,
            default_branch: required(repository.default_branch, "repository.default_branch")?
                .parse("repository.default_branch")?,
            private: required(repository.private, "repository.private")?,
        })
    }
}

fn event(
    repository: EventRepository,
    installation: Option<Installation>,
    sender: Option<Sender<'_>>,
    kind: EventKind,
) -> Event {
    Event {
        version: Event::VERSION,
        repository,
        installation: installation.and_then(|installation| installation.id).map(InstallationId),
        sender: sender.and_then(|sender| sender.login).and_then(|login| login.0.parse().ok()),
        kind,
    }
}

pub(super) fn required<T>(value: Option<T>, field: &str) -> Result<T, String> {
    value.ok_or_else(|| format!("`{field}` is missing"))
}

fn in_field(field: &str) -> impl Fn(NameError) -> String {
    move |error| format!("`{field}`: {error}")
}

impl Text<'_> {
    pub(super) fn parse<T: std::str::FromStr<Err = NameError>>(&self, field: &str) -> Result<T, String> {
        self.0.parse().map_err(in_field(field))
    }
}

/// A point in time: real payloads have texts and seconds, for the same field.
#[derive(Clone, Copy)]
struct Time(Timestamp);

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl Visitor<'_> for Read {
            type Value = Time;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time, as RFC 3339 text or as seconds since 1970")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Time, E> {
                text.parse().map(Time).map_err(|_| E::invalid_value(serde::de::Unexpected::Str(text), &self))
            }

            fn visit_i64<E: Error>(self, seconds: i64) -> Result<Time, E> {
                let error = |_| E::invalid_value(serde::de::Unexpected::Signed(seconds), &self);
                Timestamp::from_second(seconds).map(Time).map_err(error)
            }

            fn visit_u64<E: Error>(self, seconds: u64) -> Result<Time, E> {
                self.visit_i64(i64::try_from(seconds).unwrap_or(i64::MAX))
            }
        }
        deserializer.deserialize_any(Read)
    }
}

/// What matters of a list of commits, so that the list itself is never kept.
#[derive(Clone, Copy)]
struct Commits {
    count: usize,
    touch_policy: bool,
}

impl<'de> Deserialize<'de> for Commits {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Commit {
            added: Option<Paths>,
            removed: Option<Paths>,
            modified: Option<Paths>,
        }
        let mut commits = Self { count: 0, touch_policy: false };
        each(deserializer, |commit: Commit| {
            let touches =
                [commit.added, commit.removed, commit.modified].into_iter().flatten().any(|paths| paths.policy);
            commits.count += 1;
            commits.touch_policy |= touches;
        })?;
        Ok(commits)
    }
}

/// Whether a place of a policy file is among some paths.
struct Paths {
    policy: bool,
}

impl<'de> Deserialize<'de> for Paths {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut paths = Self { policy: false };
        each(deserializer, |path: Text<'de>| {
            paths.policy |= PolicyPath::ALL.iter().any(|place| path.0 == place.as_str())
        })?;
        Ok(paths)
    }
}

/// Reads a list one by one, without keeping it.
pub(super) fn each<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
    see: impl FnMut(T),
) -> Result<(), D::Error> {
    struct Each<F, T>(F, std::marker::PhantomData<T>);
    impl<'de, T: Deserialize<'de>, F: FnMut(T)> Visitor<'de> for Each<F, T> {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list")
        }

        fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
            while let Some(element) = list.next_element()? {
                (self.0)(element);
            }
            Ok(())
        }
    }
    deserializer.deserialize_seq(Each(see, std::marker::PhantomData))
}
