//! The file as written.
//!
//! The nodes of the gate become `serde_yaml` values, and those become the structs below, in one go. Every value is an
//! [`At`]: it remembers its node, and it takes what is wrong in it as its own, so that one bad value hides no other.

mod at;

#[cfg(feature = "schema")]
use schemars::JsonSchema;
use serde::Deserialize;

pub(crate) use self::at::{At, Flag, List, Map, NamesOrMap, Number, Text, TextOrList, Written, keys};
use super::gate::Document;
#[cfg(feature = "schema")]
use super::schema::{between, kind};

/// Declares the structs of the file: each key is optional here, and what must be there is checked later, so that what is
/// missing hides nothing. `as "..."` names what makes the JSON Schema of a key's value; what is said of the key is told by
/// editors.
macro_rules! written {
    ($(
        $(#[$doc:meta])*
        $name:ident { $($(#[$key:meta])* $field:ident: $kind:ty $(as $schema:literal)?,)* }
    )*) => {
        $(
            $(#[$doc])*
            #[derive(Deserialize)]
            #[serde(deny_unknown_fields)]
            pub(super) struct $name {
                $(
                    $(#[$key])*
                    $(#[cfg_attr(feature = "schema", schemars(schema_with = $schema))])?
                    pub(super) $field: Option<At<$kind>>,
                )*
            }

            impl Written for $name {}
        )*
    };
}
pub(crate) use written;

written! {
    /// Who may be started from here, and who may start something here. Text that looks like a number, or like `true` or
    /// `false`, stays the text that it is, with and without quotes.
    #[cfg_attr(feature = "schema", derive(JsonSchema), schemars(transform = between::file))]
    File {
        /// When this happens here, start that there. What is started must agree: its repository has an `inbound` rule.
        outbound: List<OutboundRule> as "kind::rules::<OutboundRule>",
        /// When that happens there, this may be started here.
        inbound: List<InboundRule> as "kind::rules::<InboundRule>",
        /// The environments that pull requests of this repository get. The first entry whose `base` fits counts.
        environments: List<Environment> as "kind::environments",
        /// In the `.github` repository of an owner: what he allows in all of his repositories.
        limits: Limits as "kind::of::<Limits>",
    }

    /// When this happens here, start that there.
    #[cfg_attr(feature = "schema", derive(JsonSchema), schemars(transform = between::outbound_rule))]
    OutboundRule {
        /// What must happen here: `workflow`, `pull_request` or `command`, and filters.
        source: OutboundSource as "kind::of::<OutboundSource>",
        /// What is then started. A target is considered once for each event, where it comes first.
        targets: List<OutboundTarget> as "kind::list_of::<OutboundTarget>",
    }

    /// What must happen here.
    #[cfg_attr(feature = "schema", derive(JsonSchema), schemars(transform = between::outbound_source))]
    OutboundSource {
        /// A run of this workflow completed: the workflow's file, with or without `.github/workflows/`.
        workflow: Text as "kind::workflow_file",
        /// One of these happened to a pull request.
        pull_request: List<Text> as "kind::actions",
        /// Somebody wrote this word as the first line of a comment on a pull request.
        command: Text as "kind::command",
        /// What the one word behind the command must be. Absent: there must be none.
        argument: Accept as "kind::of::<Accept>",
        /// How the run must have ended. Absent: what the operator allows, which is `success` unless he says otherwise.
        conclusions: List<Text> as "kind::conclusions",
        /// The branches that the run may have been on: patterns. Absent: the default branch.
        branches: List<Text> as "kind::globs",
        /// What may have started the run, in GitHub's words. Absent: what strangers cannot cause.
        events: List<Text> as "kind::github_events",
        /// `latest` (the default): the newest run wins; `any`: an old run that is run again may start again.
        reruns: Text as "kind::reruns",
        /// The branches that the pull request may want to change: a pattern, or a list. Absent: any.
        base: TextOrList as "kind::glob_or_globs",
        /// `true`: only drafts; `false`: no drafts. Absent: either.
        draft: Flag as "kind::flag",
        /// Who may give the command: `write` (the default), `admin`, `author`, or a team as `organisation/team`.
        permission: Text as "kind::permission",
        /// Whether runs and pull requests of forks count. Absent: `false`. Both sides must say it.
        forks: Flag as "kind::flag",
    }

    /// What is started: a workflow or an event of a repository.
    #[cfg_attr(feature = "schema", derive(JsonSchema), schemars(transform = between::outbound_target))]
    OutboundTarget {
        /// Where: `owner/name`, or a bare name for a repository of this file's owner.
        repository: Text as "kind::repository",
        /// The id that the repository must have. Confirms a repository that was created again under its name.
        repository_id: Number as "kind::repository_id",
        /// Starts this workflow, by `workflow_dispatch`.
        workflow: Text as "kind::workflow_file",
        /// Starts what listens to this event, by `repository_dispatch`.
        event: Text as "kind::event_type",
        /// The branch or tag to start the workflow at. Absent: the source's branch, else the operator's default.
        #[serde(rename = "ref")]
        git_ref: Text as "kind::git_ref",
        /// The inputs of the workflow: text, in which variables such as `{{ source.sha }}` are filled in.
        inputs: Map<Text> as "kind::inputs",
        /// The payload of the event. A value that is one variable and `| json` is sent as a number or a boolean.
        payload: Map<Text> as "kind::payload",
        /// What the target does to the pull request's environment.
        environment: Text as "kind::environment_action",
        /// `true`: a denial is a failed check. `false`: nothing that becomes of it is one.
        required: Flag as "kind::flag",
        /// Where the result is told. An empty list: nowhere.
        report: List<Text> as "kind::channels",
    }

    /// When that happens there, this may be started here.
    #[cfg_attr(feature = "schema", derive(JsonSchema), schemars(transform = between::inbound_rule))]
    InboundRule {
        /// Whose events are accepted, and which: the same filters as on the other side. What both say counts.
        source: InboundSource as "kind::of::<InboundSource>",
        /// What may be started here.
        targets: List<InboundTarget> as "kind::list_of::<InboundTarget>",
    }

    /// Whose events are accepted, and which.
    #[cfg_attr(feature = "schema", derive(JsonSchema), schemars(transform = between::inbound_source))]
    InboundSource {
        /// The repository where it happens: `owner/name`, or a bare name for a repository of this file's owner.
        repository: Text as "kind::repository",
        /// The id that the repository must have. Confirms a repository that was created again under its name.
        repository_id: Number as "kind::repository_id",
        /// A run of this workflow completed: the workflow's file, with or without `.github/workflows/`.
        workflow: Text as "kind::workflow_file",
        /// One of these happened to a pull request.
        pull_request: List<Text> as "kind::actions",
        /// Somebody wrote this word as the first line of a comment on a pull request.
        command: Text as "kind::command",
        /// How the run must have ended. Absent: what the operator allows, which is `success` unless he says otherwise.
        conclusions: List<Text> as "kind::conclusions",
        /// The branches that the run may have been on: patterns. Absent: the default branch.
        branches: List<Text> as "kind::globs",
        /// What may have started the run, in GitHub's words. Absent: what strangers cannot cause.
        events: List<Text> as "kind::github_events",
        /// `latest` (the default): the newest run wins; `any`: an old run that is run again may start again.
        reruns: Text as "kind::reruns",
        /// The branches that the pull request may want to change: a pattern, or a list. Absent: any.
        base: TextOrList as "kind::glob_or_globs",
        /// `true`: only drafts; `false`: no drafts. Absent: either.
        draft: Flag as "kind::flag",
        /// Who may give the command: `write` (the default), `admin` or `author`.
        permission: Text as "kind::permission_without_team",
        /// Whether runs and pull requests of forks count. Absent: `false`. Both sides must say it.
        forks: Flag as "kind::flag",
    }

    /// What may be started here: a workflow or an event.
    #[cfg_attr(feature = "schema", derive(JsonSchema), schemars(transform = between::inbound_target))]
    InboundTarget {
        /// This workflow may be started.
        workflow: Text as "kind::workflow_file",
        /// This event may be sent.
        event: Text as "kind::event_type",
        /// The inputs that may be sent along: a list of names, or a mapping from each name to what its value must be.
        accept_inputs: NamesOrMap<Accept> as "kind::accepts",
        /// The properties of the payload that may be sent along: a list of names, or a mapping from each name to what its
        /// value must be.
        accept_payload: NamesOrMap<Accept> as "kind::accepts",
        /// The branches and tags that the workflow may be started at: patterns. Absent: any, and `dispatch lint` warns.
        accept_refs: List<Text> as "kind::globs",
    }

    /// What a value must be, all of it. `{}`: any value.
    #[cfg_attr(feature = "schema", derive(JsonSchema), schemars(transform = between::accept))]
    Accept {
        /// What it must look like: `number` (1 to 99999), `sha`, `branch`, `branch-any` (also one that is code to a shell),
        /// `login`, or a pattern with `*`, `**` and `?`.
        pattern: Text as "kind::value_pattern",
        /// The values, one of which it must be.
        one_of: List<Text> as "kind::any_values",
        /// The most characters that it may have.
        max_length: Number as "kind::max_length",
    }

    /// The environment that pull requests into some branches get.
    #[cfg_attr(feature = "schema", derive(JsonSchema), schemars(transform = between::environment))]
    Environment {
        /// The branches that the pull request wants to change: a pattern, or a list. Absent: any.
        base: TextOrList as "kind::glob_or_globs",
        /// Its name. Its only variable is `pr.number`; without it, all pull requests into `base` share the environment.
        name: Text as "kind::environment_name",
        /// The branch that is deployed there. Absent: the pull request's own.
        deploy: Text as "kind::deployed_branch",
        /// Where it can be seen.
        url: Text as "kind::address",
        /// Further addresses, by what they are.
        links: Map<Text> as "kind::links",
        /// One line that says how to clean up by hand, told when the target's run failed.
        cleanup: Text as "kind::described",
        /// How long after its last change it is destroyed, unless the pull request has the label `keep`. Absent: never.
        ttl: Text as "kind::time_to_live",
    }

    /// What the owner of the file allows in all of his repositories. Limits only narrow; of an edge between two owners, both
    /// owners' limits hold. They count in the policy file of a repository named `.github` only.
    #[cfg_attr(feature = "schema", derive(JsonSchema), schemars(transform = between::limits))]
    Limits {
        /// Whose events count: repositories, or patterns of them. A bare name means the owner of this file.
        source_repositories: List<Text> as "kind::repository_globs",
        /// The workflow files whose runs count, or patterns of them.
        source_workflows: List<Text> as "kind::workflow_globs",
        /// Where something may be started: repositories, or patterns of them.
        target_repositories: List<Text> as "kind::repository_globs",
        /// Which repositories may define commands, or patterns of them.
        command_repositories: List<Text> as "kind::repository_globs",
        /// How a run must have ended.
        conclusions: List<Text> as "kind::conclusions",
        /// `true`: only runs on the default branch count.
        default_branch_only: Flag as "kind::flag",
        /// `false`: nothing that comes from a fork counts, whatever both sides say.
        forks: Flag as "kind::flag",
        /// How many targets of one event are considered.
        max_targets: Number as "kind::max_targets",
        /// How many dispatches may follow from one another.
        max_chain_depth: Number as "kind::max_chain_depth",
        /// How often one repository may start one target within an hour.
        max_edge_rate: Number as "kind::max_edge_rate",
        /// A default, no limit: where to start a workflow when neither the target nor the run names a branch.
        default_ref: Text as "kind::git_ref",
    }
}

/// Reads a file as it is written. None only for a document without content.
pub(crate) fn read<F: Written>(document: &Document<'_>) -> Option<At<F>> {
    serde_yaml::from_value(at::value(document, document.root()?)).ok()
}
