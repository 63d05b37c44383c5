//! Why something did not happen: a closed set of stable codes.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Declares the reasons once: variant, code, side, sentence, help.
macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $code:literal, $side:ident, $sentence:literal, $help:literal;)*) => {
        /// A stable code for a denial. Codes are `snake_case`, are never renamed and never reused.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[non_exhaustive]
        pub enum Reason {
            $(#[doc = $sentence] $(#[$doc])* #[serde(rename = $code)] $variant,)*
        }

        impl Reason {
            /// Every reason, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The stable code.
            #[must_use]
            pub fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// One sentence for people, without names: lower case, no full stop.
            #[must_use]
            pub fn sentence(self) -> &'static str {
                match self { $(Self::$variant => $sentence,)* }
            }

            /// What to do about it.
            #[must_use]
            pub fn help(self) -> &'static str {
                match self { $(Self::$variant => $help,)* }
            }

            /// Whose files or settings hold the cause.
            #[must_use]
            pub fn side(self) -> Side {
                match self { $(Self::$variant => Side::$side,)* }
            }
        }
    };
}

/// Which side a reason speaks about. Reasons of the target side can give away what the target does not show to everybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The repository in which something happened.
    Source,
    /// The repository in which something was to start.
    Target,
}

reasons! {
    SourceOwnerNotAllowed = "source_owner_not_allowed", Source,
        "the operator does not serve this owner",
        "ask the operator to add the owner to OWNER_ALLOWLIST";
    SourceRepoNotAllowlisted = "source_repo_not_allowlisted", Source,
        "the operator, or the owner, does not let this repository do that",
        "ask the operator to add the repository to SOURCE_REPO_ALLOWLIST, or the owner to add it to his `limits`";
    SourceWorkflowNotAllowlisted = "source_workflow_not_allowlisted", Source,
        "the operator, or the owner, does not let this workflow start anything",
        "ask the operator to add the workflow to SOURCE_WORKFLOW_ALLOWLIST, or the owner to add it to his `limits`";
    SourceHeadRepositoryUnverifiable = "source_head_repository_unverifiable", Source,
        "GitHub does not say where the run's commit came from, so it could be a fork",
        "re-run the workflow from a branch of the repository itself";
    SourceConclusionNotAllowed = "source_conclusion_not_allowed", Source,
        "the run's conclusion is not one that may start anything",
        "only conclusions in ALLOWED_SOURCE_CONCLUSIONS count; owners and rules narrow them with `conclusions`";
    SourceNotDefaultBranch = "source_not_default_branch", Source,
        "the run was not on the default branch",
        "run on the default branch, or ask the operator about ENFORCE_SOURCE_DEFAULT_BRANCH, and the owner about his `limits`";
    EventTooOld = "event_too_old", Source,
        "the event is too old to be wanted still",
        "start the work again by hand if it is still wanted, or ask the operator about MAX_EVENT_AGE";
    SourcePolicyMissing = "source_policy_missing", Source,
        "the source repository has no policy file",
        "add a dispatching.yml with an `outbound` rule to the source repository's default branch";
    SourcePolicyInvalid = "source_policy_invalid", Source,
        "the source repository's policy file has errors",
        "run `dispatch lint` on the file; nothing starts until it has no error";
    SourceLimitsUnknown = "source_limits_unknown", Source,
        "what the owner of the source repository allows cannot be read",
        "mend the policy file of the owner's `.github` repository, and install the App on it";
    NoRuleMatched = "no_rule_matched", Source,
        "no outbound rule is about this event",
        "add an `outbound` rule whose source names this workflow";
    SourceBranchNotMatched = "source_branch_not_matched", Source,
        "the branch is not one that the rule names",
        "add the branch to `branches` of the outbound rule";
    SourceEventNotAllowed = "source_event_not_allowed", Source,
        "what started the run is not an event that may start anything",
        "name the event in `events` on both sides, if you trust everybody who can cause it";
    SourceFromFork = "source_from_fork", Source,
        "the run's commit comes from a fork",
        "both sides must say `forks: true` to accept what comes from forks, and no owner may forbid it";
    SourceRefUnverified = "source_ref_unverified", Source,
        "the run's commit was not proven to be on that branch",
        "a tag can carry a branch's name; run the workflow on the branch itself";
    SourceRunSuperseded = "source_run_superseded", Source,
        "an old run was run again after a newer run had been dispatched",
        "start a new run, or say `reruns: any` on both sides";
    PullRequestSuperseded = "pull_request_superseded", Source,
        "something newer has happened to the pull request since",
        "nothing to do: the newer event counts";
    CommitNotConfirmed = "commit_not_confirmed", Source,
        "it is not certain that the command is about the newest commit",
        "give the command again with the full commit behind it: all 40 digits of the one that you looked at";
    ArgumentNotAccepted = "argument_not_accepted", Source,
        "what stands behind the command is not what it takes",
        "give the command as its rule names it: alone, or with the word that it takes; a full commit may stand behind it";
    PullRequestNotOpen = "pull_request_not_open", Source,
        "the pull request is not open",
        "open it again, or wait for nothing: what belonged to it is cleaned up by its closing";
    SourceDraftNotMatched = "source_draft_not_matched", Source,
        "whether the pull request is a draft is not what the rule wants",
        "change the pull request, or `draft` of the outbound rule";
    AlreadyUnderWay = "already_under_way", Source,
        "the same dispatch is under way",
        "wait until it has ended, then ask again";
    CommenterNotPermitted = "commenter_not_permitted", Source,
        "the commenter may not give this command",
        "ask somebody with the permission that the rule names";
    UnknownCommand = "unknown_command", Source,
        "no rule knows this command",
        "add an `outbound` rule whose source names the command";
    OwnEvent = "own_event", Source,
        "the event was caused by this App itself",
        "nothing to do: what the App causes starts nothing, except along a chain of dispatches";
    DuplicateTarget = "duplicate_target", Source,
        "the same target was already considered for this event",
        "a target counts once per event, at its first occurrence: remove the second one";
    SelfDispatchBlocked = "self_dispatch_blocked", Source,
        "a workflow cannot start itself",
        "name another workflow or another repository as the target";
    TargetRepoNotAllowlisted = "target_repo_not_allowlisted", Source,
        "the operator, or the owner, does not let anything start in this repository",
        "ask the operator to add the repository to TARGET_REPO_ALLOWLIST, or the owner to add it to his `limits`";
    MaxTargetsExceeded = "max_targets_exceeded", Source,
        "the event has more targets than the operator or the owner allows",
        "name fewer targets, or ask the operator about DISPATCH_MAX_TARGETS_PER_RUN and the owner about his `limits`";
    LoopDetected = "loop_detected", Source,
        "the chain of dispatches would come back to a place where it has been",
        "break the loop: one of its rules must go";
    ChainTooDeep = "chain_too_deep", Source,
        "the chain of dispatches is longer than the operator or the owner allows",
        "shorten the chain, or ask the operator about DISPATCH_MAX_CHAIN_DEPTH and the owner about his `limits`";
    RootBudgetExceeded = "root_budget_exceeded", Source,
        "the event at the root of the chain has started as much as one event may",
        "split the work: one event may start a limited number of dispatches over all its chain";
    EdgeRateExceeded = "edge_rate_exceeded", Source,
        "this source has started this target too often within the hour",
        "look for a loop that goes through pushes";
    InputsTemplateError = "inputs_template_error", Source,
        "an input could not be computed",
        "every variable must exist for this event and have a value of 1 to 1,024 characters without control characters";
    PayloadTooLarge = "payload_too_large", Source,
        "what would be sent is larger than GitHub accepts",
        "send fewer or shorter inputs";
    AppNotInstalled = "app_not_installed", Target,
        "the App is not installed there",
        "install the App on the repository";
    MissingTargetConfig = "missing_target_config", Target,
        "the target repository has no policy file",
        "add a dispatching.yml with an `inbound` rule to the target repository's default branch";
    InvalidTargetConfig = "invalid_target_config", Target,
        "the target repository's policy file has errors",
        "run `dispatch lint` on the target's file; it accepts nothing until it has no error";
    UnreadableTargetConfig = "unreadable_target_config", Target,
        "GitHub does not let the App read the target repository's policy file",
        "accept the permissions that the App asks for where it is installed on the target repository";
    TargetLimitsUnknown = "target_limits_unknown", Target,
        "what the owner of the target repository allows cannot be read",
        "mend the policy file of the owner's `.github` repository, and install the App on it";
    TargetLimitsExceeded = "target_limits_exceeded", Target,
        "the owner of the target repository does not allow it",
        "ask the owner of the target repository to change the `limits` of his `.github` repository";
    RepositoryIdentityChanged = "repository_identity_changed", Target,
        "another repository is now behind this name",
        "confirm the new repository with `repository_id` in the rule";
    InboundNotAuthorized = "inbound_not_authorized", Target,
        "no inbound rule of the target names this source and this target",
        "add an `inbound` rule to the target's policy file that names the source repository, its workflow and this target";
    InputsNotAccepted = "inputs_not_accepted", Target,
        "the target does not accept all of these inputs",
        "list every input in one `accept_inputs` of the target's inbound rule";
    ValueNotAccepted = "value_not_accepted", Target,
        "the target does not accept the value of an input",
        "a value that a stranger can choose must be made of A-Z a-z 0-9 . _ / @ + # = , - and not start with `-`";
    RefNotAccepted = "ref_not_accepted", Target,
        "the target does not accept to be run at this ref",
        "add the branch to `accept_refs` of the target's inbound rule, or set another `ref`";
    ConsentWithdrawn = "consent_withdrawn", Target,
        "one side withdrew its consent before the call",
        "put the rule back if the work is still wanted";
    EnvironmentNameTaken = "environment_name_taken", Target,
        "another source holds an environment of this name",
        "give the environment another name";
    EnvironmentNotDefined = "environment_not_defined", Source,
        "no environment is defined for pull requests into this branch",
        "add an entry with this `base` to `environments` of the policy file";
    EnvironmentStillHeld = "environment_still_held", Source,
        "pull requests hold the environment still, or may do so",
        "nothing to do: it is destroyed when the last of them is closed";
    EnvironmentNotHeld = "environment_not_held", Target,
        "this source holds no environment of this name",
        "create the environment first";
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_code_is_stable_text_that_is_used_once() {
        let codes: BTreeSet<&str> = Reason::ALL.iter().map(|reason| reason.code()).collect();
        assert_eq!(codes.len(), Reason::ALL.len());
        for reason in Reason::ALL {
            assert!(reason.code().bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{reason}");
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.code());
            assert_eq!(serde_json::from_value::<Reason>(reason.code().into()).unwrap(), *reason);
        }
    }

    #[test]
    fn every_reason_has_a_sentence_and_help_in_one_line_each() {
        for reason in Reason::ALL {
            for text in [reason.sentence(), reason.help()] {
                assert!(!text.is_empty() && !text.ends_with('.') && !text.contains('\n'), "{reason}: {text}");
            }
        }
    }

    #[test]
    fn the_codes_are_those_of_the_documentation() {
        let codes: Vec<_> = Reason::ALL.iter().map(|reason| format!("{:?} {reason}", reason.side())).collect();
        insta::assert_snapshot!(codes.join("\n"), @r"
        Source source_owner_not_allowed
        Source source_repo_not_allowlisted
        Source source_workflow_not_allowlisted
        Source source_head_repository_unverifiable
        Source source_conclusion_not_allowed
        Source source_not_default_branch
        Source event_too_old
        Source source_policy_missing
        Source source_policy_invalid
        Source source_limits_unknown
        Source no_rule_matched
        Source source_branch_not_matched
        Source source_event_not_allowed
        Source source_from_fork
        Source source_ref_unverified
        Source source_run_superseded
        Source pull_request_superseded
        Source commit_not_confirmed
        Source argument_not_accepted
        Source pull_request_not_open
        Source source_draft_not_matched
        Source already_under_way
        Source commenter_not_permitted
        Source unknown_command
        Source own_event
        Source duplicate_target
        Source self_dispatch_blocked
        Source target_repo_not_allowlisted
        Source max_targets_exceeded
        Source loop_detected
        Source chain_too_deep
        Source root_budget_exceeded
        Source edge_rate_exceeded
        Source inputs_template_error
        Source payload_too_large
        Target app_not_installed
        Target missing_target_config
        Target invalid_target_config
        Target unreadable_target_config
        Target target_limits_unknown
        Target target_limits_exceeded
        Target repository_identity_changed
        Target inbound_not_authorized
        Target inputs_not_accepted
        Target value_not_accepted
        Target ref_not_accepted
        Target consent_withdrawn
        Target environment_name_taken
        Source environment_not_defined
        Source environment_still_held
        Target environment_not_held
        ");
    }
}
