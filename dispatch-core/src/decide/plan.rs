//! What was decided, and who may see it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Identity;
use crate::chain::{Chain, Place};
use crate::environment::{EnvironmentKey, EnvironmentUse};
use crate::name::GitRef;
use crate::policy::{Channel, RuleLocation};
use crate::quote::quote;
use crate::reason::{Reason, Side};
use crate::request::DispatchRequest;

/// What is to happen because of one event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Why no target was considered at all. Then there are no decisions.
    pub skipped: Option<Skipped>,
    /// One decision for each target entry of the matching rules, in the order of the file.
    pub decisions: Vec<Decision>,
    /// Environments that the same targets are to destroy, too. One decision is about one environment, so that each of these is
    /// decided about as a [part](crate::event::Event::part) of the event.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub further: BTreeSet<EnvironmentKey>,
}

impl Plan {
    /// The plan of an event that is about no target.
    #[must_use]
    pub fn empty() -> Self {
        Self { skipped: None, decisions: Vec::new(), further: BTreeSet::new() }
    }

    /// The plan of an event that starts nothing.
    #[must_use]
    pub fn skipped(skipped: Skipped) -> Self {
        Self { skipped: Some(skipped), ..Self::empty() }
    }

    /// The decisions that allow something.
    pub fn allowed(&self) -> impl Iterator<Item = (&Decision, &Allowed)> {
        self.decisions.iter().filter_map(|decision| decision.allowed().map(|allowed| (decision, allowed)))
    }
}

/// Why an event starts nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// The stable code.
    pub reason: Reason,
    /// A sentence with the names and values of this event.
    pub message: String,
    /// The nearest outbound rule, where there is one.
    pub outbound_rule: Option<RuleLocation>,
    /// Whether whoever gave a command is told: a person who gave one that exists, or nearly, and may be answered.
    #[serde(default)]
    pub answer: bool,
}

/// What was decided about one target entry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// What was to be started, where.
    pub target: Place,
    /// The target's entry in the source's policy file.
    pub outbound_rule: RuleLocation,
    /// Yes or no.
    pub verdict: Verdict,
    /// Who may see more than "the target has not agreed or does not exist".
    pub visibility: Visibility,
    /// Whether a merge should wait for it, as [`Target::required`](crate::policy::Target::required) says.
    #[serde(default)]
    pub required: Option<bool>,
    /// Where its result is told.
    #[serde(default)]
    pub report: BTreeSet<Channel>,
}

impl Decision {
    /// What to do, if something is to be done.
    #[must_use]
    pub fn allowed(&self) -> Option<&Allowed> {
        match &self.verdict {
            Verdict::Allowed(allowed) => Some(allowed),
            Verdict::Denied(_) => None,
        }
    }

    /// Denies an allowed target after all. What was computed of it stays to be seen.
    pub(crate) fn deny(&mut self, reason: Reason, message: String) {
        self.verdict = Verdict::Denied(Denied {
            reason,
            message,
            git_ref: self.git_ref().cloned(),
            inputs: self.inputs(),
            inbound_rule: self.inbound_rule().cloned(),
            releases: None,
        });
    }

    /// Why not, if it is denied.
    #[must_use]
    pub fn denied(&self) -> Option<&Denied> {
        match &self.verdict {
            Verdict::Allowed(_) => None,
            Verdict::Denied(denied) => Some(denied),
        }
    }

    /// The stable code, if it is denied.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        self.denied().map(|denied| denied.reason)
    }

    /// One sentence, for those who may see both sides.
    #[must_use]
    pub fn message(&self) -> String {
        match &self.verdict {
            Verdict::Allowed(allowed) => {
                format!("{} and {} agree", quote(&self.outbound_rule), quote(&allowed.inbound_rule))
            }
            Verdict::Denied(denied) => denied.message.clone(),
        }
    }

    /// The line of the target's policy file that agreed, or that came nearest.
    #[must_use]
    pub fn inbound_rule(&self) -> Option<&RuleLocation> {
        match &self.verdict {
            Verdict::Allowed(allowed) => Some(&allowed.inbound_rule),
            Verdict::Denied(denied) => denied.inbound_rule.as_ref(),
        }
    }

    /// The ref, where it was computed.
    #[must_use]
    pub fn git_ref(&self) -> Option<&GitRef> {
        match &self.verdict {
            Verdict::Allowed(Allowed { request, .. }) => request.git_ref(),
            Verdict::Denied(denied) => denied.git_ref.as_ref(),
        }
    }

    /// The inputs or the payload, where they were computed, as text.
    #[must_use]
    pub fn inputs(&self) -> Option<BTreeMap<String, String>> {
        match &self.verdict {
            Verdict::Allowed(Allowed { request, .. }) => Some(request.values()),
            Verdict::Denied(denied) => denied.inputs.clone(),
        }
    }

    /// What the source's readers may see. Where the target's side is not theirs to see, everything that the target's side
    /// could have said reads alike: no code, no line, and one sentence.
    #[must_use]
    pub fn for_source(&self) -> SourceView<'_> {
        let open = self.visibility == Visibility::Source;
        let view = |reason, message| SourceView {
            target: &self.target,
            outbound_rule: &self.outbound_rule,
            allowed: self.allowed().is_some(),
            reason,
            message,
            inbound_rule: self.inbound_rule().filter(|_| open),
        };
        match &self.verdict {
            _ if open => view(self.reason(), self.message()),
            Verdict::Allowed(_) => view(None, "both sides agree".to_owned()),
            Verdict::Denied(denied) if denied.reason.side() == Side::Target => {
                view(None, SourceView::HIDDEN.to_owned())
            }
            Verdict::Denied(denied) => view(Some(denied.reason), denied.message.clone()),
        }
    }
}

/// A decision as the source's readers may see it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SourceView<'a> {
    /// What was to be started, where.
    pub target: &'a Place,
    /// The target's entry in the source's policy file.
    pub outbound_rule: &'a RuleLocation,
    /// Yes or no.
    pub allowed: bool,
    /// The stable code, where it is denied and the code may be seen.
    pub reason: Option<Reason>,
    /// One sentence.
    pub message: String,
    /// The line of the target's policy file, where it may be seen.
    pub inbound_rule: Option<&'a RuleLocation>,
}

impl SourceView<'_> {
    /// What every hidden denial reads.
    pub const HIDDEN: &'static str = "the target has not agreed or does not exist";
}

/// Yes or no.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Both sides agree.
    Allowed(Allowed),
    /// They do not.
    Denied(Denied),
}

/// Both sides agree: what to send, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Allowed {
    /// The repository behind the target's name.
    pub identity: Identity,
    /// What to ask of GitHub.
    pub request: DispatchRequest,
    /// The inbound target's entry in the target's policy file.
    pub inbound_rule: RuleLocation,
    /// The chain that what is started will carry.
    pub chain: Chain,
    /// What it does to an environment.
    #[serde(default)]
    pub environment: Option<Box<EnvironmentUse>>,
}

/// Not to be started, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Denied {
    /// The stable code.
    pub reason: Reason,
    /// A sentence with the names and values of this case, for the operator and the target's side.
    pub message: String,
    /// The ref, where it was computed.
    pub git_ref: Option<GitRef>,
    /// The inputs, where they were computed.
    pub inputs: Option<BTreeMap<String, String>>,
    /// The line of the target's policy file that came nearest, where there is one.
    pub inbound_rule: Option<RuleLocation>,
    /// The environment that the pull request does not hold any more although nothing is to be done about it yet.
    #[serde(default)]
    pub releases: Option<Box<EnvironmentUse>>,
}

/// Whether the source's side may see what the target's side decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Visibility {
    /// The source's readers may see the details: same owner, and the target is not more private than the source.
    Source,
    /// Only the target's side and the operator.
    Target,
}
