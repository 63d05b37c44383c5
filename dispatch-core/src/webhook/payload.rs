//! The parts that the payloads of several events have, borrowed from the body. Every field that real payloads leave out or
//! set to null is optional; what a decision cannot do without is asked for when the event is made.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};

use crate::Timestamp;
use crate::event::{Event, EventKind, EventRepository, Head};
use crate::name::{InstallationId, Login, NameError, RepositoryId};

/// A payload of an event of which some actions mean something here.
pub(super) trait Payload<'a>: Deserialize<'a> {
    /// The actions without which nothing works: a body with one of them that has not the event's shape is refused.
    const REQUIRED: &'static [&'static str];
    /// The other actions that mean something: a body with one of them that has not the event's shape is ignored.
    const WELCOME: &'static [&'static str];

    fn action(&self) -> Option<&str>;

    /// The event; None where it means nothing here after all.
    fn into_event(self) -> Result<Option<Event>, String>;
}

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

/// The repository that a webhook is about.
#[derive(Deserialize)]
pub(super) struct RepositoryPayload<'a> {
    id: Option<u64>,
    #[serde(borrow)]
    full_name: Option<Text<'a>>,
    #[serde(borrow)]
    default_branch: Option<Text<'a>>,
    private: Option<bool>,
}

/// The repository that a commit is in.
#[derive(Deserialize)]
pub(super) struct HeadRepository {
    id: Option<u64>,
}

impl HeadRepository {
    /// Where a commit is that is in this repository, if GitHub says which one.
    pub(super) fn head(repository: Option<Self>, own: RepositoryId) -> Head {
        match repository.and_then(|repository| repository.id).map(RepositoryId) {
            None => Head::Unknown,
            Some(id) if id == own => Head::SameRepository,
            Some(id) => Head::Fork(id),
        }
    }
}

/// The installation of the App that a webhook is for.
#[derive(Clone, Copy, Deserialize)]
pub(super) struct Installation {
    id: Option<u64>,
}

/// An account.
#[derive(Deserialize)]
pub(super) struct Account<'a> {
    pub(super) id: Option<u64>,
    #[serde(borrow)]
    pub(super) login: Option<Text<'a>>,
    #[serde(borrow, rename = "type")]
    kind: Option<Text<'a>>,
}

impl Account<'_> {
    /// The account's login, if it is one.
    pub(super) fn login(account: Option<&Self>) -> Option<Login> {
        account.and_then(|account| account.login.as_ref()).and_then(|login| login.0.parse().ok())
    }

    /// Whether it is the account of a person, and not an App's or an organisation's.
    pub(super) fn is_user(&self) -> bool {
        self.kind.as_ref().is_some_and(|kind| kind.0 == "User")
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

/// Makes an event of what every payload has.
pub(super) fn event(
    repository: EventRepository,
    installation: Option<Installation>,
    sender: Option<&Account<'_>>,
    kind: EventKind,
) -> Event {
    Event {
        version: Event::VERSION,
        repository,
        installation: installation.and_then(|installation| installation.id).map(InstallationId),
        sender: Account::login(sender),
        kind,
        part: None,
    }
}

pub(super) fn required<T>(value: Option<T>, field: &str) -> Result<T, String> {
    value.ok_or_else(|| format!("`{field}` is missing"))
}

pub(super) fn in_field(field: &str) -> impl Fn(NameError) -> String {
    move |error| format!("`{field}`: {error}")
}

impl Text<'_> {
    pub(super) fn parse<T: std::str::FromStr<Err = NameError>>(&self, field: &str) -> Result<T, String> {
        self.0.parse().map_err(in_field(field))
    }
}

/// A point in time: real payloads have texts and seconds, for the same field.
#[derive(Clone, Copy)]
pub(super) struct Time(pub(super) Timestamp);

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
