//! What happened to the work, step by step, as CloudEvents 1.0 (CloudEvents specification, "Context Attributes").

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::decide::Plan;
use crate::delivery::{DeliveryKey, DeliverySummary};
use crate::dispatch::{DispatchKey, FollowedRun, StartedRun};
use crate::environment::{EnvironmentKey, StepEnd};
use crate::event::Event;
use crate::name::{PullRequestNumber, Repository};
use crate::policy::EnvironmentAction;
use crate::projection::{EnvironmentRow, Happened};
use crate::reason::Reason;

/// One thing that happened to a delivery, a dispatch or an environment. Facts are only ever added.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fact {
    /// What it is about.
    pub subject: Subject,
    /// The how-manieth fact about its subject, from 0; about an environment, from the
    /// [time of the first](crate::environment::Environment::facts). Subject and sequence make the fact's id, so that a fact that is
    /// written or delivered twice is recognised.
    pub sequence: u32,
    /// When.
    pub time: Timestamp,
    /// What.
    pub body: FactBody,
    /// Where what its dispatch follows from happened, and what that was; None for facts about no dispatch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub happened: Option<(Repository, Happened)>,
}

impl Fact {
    /// The fact's id: subject and sequence.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}#{}", self.subject, self.sequence)
    }

    /// The fact as a CloudEvent in its JSON form (CloudEvents 1.0, "JSON Event Format"). `source` says which system
    /// speaks, as a URI reference: `source` and `id` together are unique.
    #[must_use]
    pub fn to_cloud_event(&self, source: &str) -> serde_json::Value {
        let mut data = serde_json::json!({
            "delivery": self.subject.delivery,
            "dispatch": self.subject.dispatch,
            "fact": self.body,
        });
        if let (Some(data), Some(environment)) = (data.as_object_mut(), &self.subject.environment) {
            data.insert("environment".to_owned(), serde_json::json!(environment));
        }
        serde_json::json!({
            "specversion": "1.0",
            "id": self.id(),
            "source": source,
            "type": self.body.cloud_event_type(),
            "subject": self.subject.to_string(),
            "time": self.time,
            "datacontenttype": "application/json",
            "data": data,
        })
    }
}

/// What a fact is about. Every fact belongs to the delivery that caused it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Subject {
    /// The delivery.
    pub delivery: DeliveryKey,
    /// The dispatch, for facts about one.
    pub dispatch: Option<DispatchKey>,
    /// The environment, for facts about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<EnvironmentKey>,
}

impl Subject {
    /// The delivery itself.
    #[must_use]
    pub fn delivery(delivery: DeliveryKey) -> Self {
        Self { delivery, dispatch: None, environment: None }
    }

    /// A dispatch that follows from a delivery.
    #[must_use]
    pub fn dispatch(delivery: DeliveryKey, dispatch: DispatchKey) -> Self {
        Self { delivery, dispatch: Some(dispatch), environment: None }
    }

    /// An environment that changes because of a delivery.
    #[must_use]
    pub fn environment(delivery: DeliveryKey, environment: EnvironmentKey) -> Self {
        Self { delivery, dispatch: None, environment: Some(environment) }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.environment, &self.dispatch) {
            (Some(EnvironmentKey { repository, name }), _) => write!(f, "environment/{}:{name}", repository.key()),
            (None, Some(dispatch)) => write!(f, "dispatch/{dispatch}"),
            (None, None) => write!(f, "delivery/{}", self.delivery),
        }
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum FactBody {
    /// A webhook was accepted.
    DeliveryReceived {
        /// What it said.
        event: Event,
    },
    /// A webhook was accepted that only tells us something (a push): nothing will be decided.
    DeliveryNoted {
        /// What it said.
        event: Event,
    },
    /// The decision was made. Allowed targets whose key another delivery of the same event had claimed are in
    /// `already_claimed`.
    DeliveryPlanned {
        /// What it is about.
        delivery: DeliverySummary,
        /// The decision.
        plan: Plan,
        /// Dispatches that exist already.
        already_claimed: Vec<DispatchKey>,
    },
    /// Planning has to wait.
    DeliveryPutBack {
        /// What it is about.
        delivery: DeliverySummary,
        /// Until when.
        until: Timestamp,
        /// Why.
        error: String,
    },
    /// Planning was given up.
    DeliveryParked {
        /// What it is about.
        delivery: DeliverySummary,
        /// The stable code, where it was a decision: too old.
        #[serde(default)]
        reason: Option<Reason>,
        /// What went wrong last.
        error: String,
    },
    /// A parked delivery was delivered again, or the operator wants it: it will be decided about after all.
    DeliveryReopened {
        /// What it is about.
        delivery: DeliverySummary,
        /// When it had been parked.
        #[serde(default)]
        parked_at: Option<Timestamp>,
    },
    /// The operator said that a parked delivery is not wanted.
    DeliveryDropped {
        /// What it is about.
        delivery: DeliverySummary,
        /// When it had been parked.
        parked_at: Option<Timestamp>,
    },
    /// GitHub started it.
    DispatchTriggered {
        /// The run, where GitHub said so.
        run: Option<StartedRun>,
    },
    /// The run of a dispatch was found among the target's runs.
    DispatchRunFound {
        /// The run.
        run: StartedRun,
    },
    /// The run of a dispatch got further.
    DispatchRunProgressed {
        /// How far.
        run: FollowedRun,
    },
    /// The dispatch has to wait.
    DispatchPutBack {
        /// Until when.
        until: Timestamp,
        /// Why.
        error: String,
    },
    /// GitHub refused for good.
    DispatchRefused {
        /// GitHub's own message.
        message: String,
        /// The permission that GitHub wanted.
        permission: Option<String>,
    },
    /// Nobody knows whether GitHub did it.
    DispatchInDoubt {
        /// What went wrong.
        error: String,
    },
    /// Nobody knows whether GitHub did it, and looking cannot tell.
    DispatchUnknown {
        /// Why it cannot be told.
        error: String,
    },
    /// The operator wants a parked dispatch to be tried again.
    DispatchRetried {
        /// When it had been parked.
        parked_at: Option<Timestamp>,
    },
    /// The operator said that a parked dispatch is not wanted, or was taken care of.
    DispatchDropped {
        /// When it had been parked.
        parked_at: Option<Timestamp>,
    },
    /// Decided again before the call, and denied.
    DispatchCancelled {
        /// Why.
        reason: Reason,
        /// With the names and values of this case.
        message: String,
    },
    /// Certainly not done, and given up.
    DispatchFailed {
        /// What went wrong last.
        error: String,
    },
    /// Something happened to an environment.
    EnvironmentChanged {
        /// What.
        change: EnvironmentChange,
        /// The environment after that.
        environment: Box<EnvironmentRow>,
    },
}

/// What can happen to an environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EnvironmentChange {
    /// An action is wanted.
    Wanted(EnvironmentAction),
    /// A pull request does not hold it any more, and others do.
    Released(PullRequestNumber),
    /// The action begins.
    Began(EnvironmentAction),
    /// The action of a dispatch ended, or will never begin.
    Ended(StepEnd),
}

impl FactBody {
    /// The `type` attribute of the CloudEvent: stable, never renamed.
    #[must_use]
    pub fn cloud_event_type(&self) -> &'static str {
        match self {
            Self::DeliveryReceived { .. } => "dispatch.delivery.received",
            Self::DeliveryNoted { .. } => "dispatch.delivery.noted",
            Self::DeliveryPlanned { .. } => "dispatch.delivery.planned",
            Self::DeliveryPutBack { .. } => "dispatch.delivery.put_back",
            Self::DeliveryParked { .. } => "dispatch.delivery.parked",
            Self::DeliveryReopened { .. } => "dispatch.delivery.reopened",
            Self::DeliveryDropped { .. } => "dispatch.delivery.dropped",
            Self::DispatchTriggered { .. } => "dispatch.dispatch.triggered",
            Self::DispatchRunFound { .. } => "dispatch.dispatch.run_found",
            Self::DispatchRunProgressed { .. } => "dispatch.dispatch.run_progressed",
            Self::DispatchPutBack { .. } => "dispatch.dispatch.put_back",
            Self::DispatchRefused { .. } => "dispatch.dispatch.refused",
            Self::DispatchInDoubt { .. } => "dispatch.dispatch.in_doubt",
            Self::DispatchUnknown { .. } => "dispatch.dispatch.unknown",
            Self::DispatchRetried { .. } => "dispatch.dispatch.retried",
            Self::DispatchDropped { .. } => "dispatch.dispatch.dropped",
            Self::DispatchCancelled { .. } => "dispatch.dispatch.cancelled",
            Self::DispatchFailed { .. } => "dispatch.dispatch.failed",
            Self::EnvironmentChanged { change, .. } => match change {
                EnvironmentChange::Wanted(_) => "dispatch.environment.wanted",
                EnvironmentChange::Released(_) => "dispatch.environment.released",
                EnvironmentChange::Began(_) => "dispatch.environment.began",
                EnvironmentChange::Ended(_) => "dispatch.environment.ended",
            },
        }
    }
}
