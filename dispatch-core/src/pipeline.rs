//! The stages: one item in, one step done through the ports, out comes what was stored. Nothing here loops over work,
//! sleeps or spawns; that is the adapters' part.
//!
//! | stage | in | out, in one commit |
//! |---|---|---|
//! | [`Pipeline::ingress`] | a signed body | a [`Delivery`](crate::delivery::Delivery), or nothing |
//! | [`Pipeline::plan`] | a delivery | its plan, and a [`Dispatch`] for each allowed target that nobody claimed before |
//! | [`Pipeline::revoke`] | a [`Revocation`](crate::revocation::Revocation) | each dispatch that it cancels, then how far it got |
//! | [`Pipeline::dispatch`] | a dispatch | first that the call begins, then GitHub's answer |
//! | [`Pipeline::report`] | what is to be told about failures | that it was told |
//! | [`Pipeline::check_proposal`] | a pull request that may propose a policy file | the check that tells of it |
//! | [`Pipeline::show`] | a check run, a comment or a reaction | first that it is created, then that it is there |
//!
//! [`Pipeline::recover`] is no stage: it looks for what never came to the first one. [`Pipeline::sweep`] is none either: it looks
//! for environments whose pull request is closed although no webhook said so, or whose time is over.
//!
//! What was given up waits for the operator: [`Pipeline::retry_parked`], [`Pipeline::drop_parked`].
//!
//! Every commit carries the [facts](crate::fact) that tell of it. A commit that comes too late - the lease ran out, and
//! somebody else went on - conflicts, and changes nothing.

mod dispatch;
mod environment;
mod follow;
mod ingress;
mod look;
mod lookup;
mod notice;
mod parked;
mod plan;
mod policies;
mod proposal;
mod recover;
mod report;
mod revoke;
mod settle;
mod sweep;
mod tell;

use std::sync::Arc;
use std::time::Duration;

pub use self::parked::ParkedOutcome;
pub use self::proposal::ProposalChecked;
pub use self::revoke::Revoked;
pub use self::sweep::{SweepOptions, SweepOutcome, Swept, SweptUnknown};
use crate::Timestamp;
use crate::decide::Plan;
use crate::delivery::DeliveryKey;
use crate::dispatch::Dispatch;
use crate::guardrail::Guardrails;
use crate::ports::{GitHubPort, PolicyMemory, StoreError, StorePort};
use crate::retry::RetryPolicy;
use crate::webhook::WebhookError;

/// The stages, with the ports and the settings that they need.
#[derive(Clone)]
pub struct Pipeline {
    /// GitHub.
    pub github: Arc<dyn GitHubPort>,
    /// Where the work is kept.
    pub store: Arc<dyn StorePort>,
    /// What is remembered of policy files.
    pub policies: Arc<dyn PolicyMemory>,
    /// The operator's limits.
    pub guardrails: Guardrails,
    /// How patient to be.
    pub retry: RetryPolicy,
    /// `DISPATCH_SETTLE_SECONDS`: how long GitHub may take to list a run that it started.
    pub settle: Duration,
    /// `MAX_EVENT_AGE`: how long after its end a run may still start something.
    pub max_event_age: Duration,
}

impl Pipeline {
    /// What `MAX_EVENT_AGE` is where nobody sets it: a day.
    pub const DEFAULT_MAX_EVENT_AGE: Duration = Duration::from_secs(24 * 60 * 60);
    /// What `DISPATCH_SETTLE_SECONDS` is where nobody sets it: five minutes.
    pub const DEFAULT_SETTLE: Duration = Duration::from_secs(5 * 60);
}

/// A request to the webhook endpoint.
#[derive(Debug, Clone, Copy)]
pub struct WebhookRequest<'a> {
    /// `X-Hub-Signature-256`.
    pub signature: Option<&'a [u8]>,
    /// `X-GitHub-Event`.
    pub event: Option<&'a str>,
    /// `X-GitHub-Delivery`.
    pub delivery: Option<&'a str>,
    /// The bytes that the signature covers.
    pub body: &'a [u8],
}

/// A webhook that was answered with 202.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Which of the secrets matched.
    pub secret: usize,
    /// What became of it.
    pub outcome: ReceiptOutcome,
}

/// What became of a webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReceiptOutcome {
    /// It is durable, and will be decided about, or what it revokes will be cancelled. Also when it was known but had been
    /// given up: delivering it again is how somebody acts on it.
    Accepted(DeliveryKey),
    /// It is durable, and there is nothing to decide.
    Noted(DeliveryKey),
    /// The same delivery was accepted before.
    Known(DeliveryKey),
    /// It means nothing here, and was only counted.
    Ignored {
        /// From `X-GitHub-Event`.
        event: String,
        /// From the body.
        action: Option<String>,
    },
}

/// Why a webhook was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IngressError {
    /// 401, whatever else is wrong.
    #[error("the signature is missing or wrong")]
    Unauthorized,
    /// 400: a header is missing or malformed.
    #[error("the header `{0}` is missing or malformed")]
    Header(&'static str),
    /// 400: the body cannot be read.
    #[error(transparent)]
    Body(#[from] WebhookError),
    /// 503: nothing was accepted; GitHub shows it as failed and it can be delivered again.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What the plan stage did.
#[derive(Debug, Clone, PartialEq)]
pub enum Planned {
    /// The decision was made and stored.
    Done {
        /// The decision.
        plan: Plan,
        /// The dispatches that now wait, each stored at version 1.
        dispatches: Vec<Dispatch>,
    },
    /// It has to wait.
    PutBack {
        /// Until when.
        until: Timestamp,
        /// Why.
        error: String,
    },
    /// It was given up.
    Parked {
        /// Why.
        error: String,
    },
}

/// What the report stage did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reported {
    /// Nothing is left to tell.
    Told {
        /// The issue; None where everything worked again before an issue was opened.
        issue: Option<u64>,
    },
    /// It has to wait.
    PutBack {
        /// Until when.
        until: Timestamp,
        /// Why.
        error: String,
    },
    /// GitHub does not take it. The next failure tries again.
    GivenUp {
        /// Why.
        error: String,
    },
}

/// What showing a notice did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// It is there as it should be.
    Shown {
        /// GitHub's id of the check run or the comment; None for a reaction.
        id: Option<u64>,
    },
    /// It has to wait.
    PutBack {
        /// Until when.
        until: Timestamp,
        /// Why.
        error: String,
    },
    /// GitHub does not take it. The next change tries again.
    GivenUp {
        /// Why, with the permission that GitHub wanted.
        error: String,
    },
}
