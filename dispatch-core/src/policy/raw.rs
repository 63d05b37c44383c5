//! The file as written.
//!
//! The nodes of the gate become `serde_yaml` values, and those become the structs below, in one go. Every value is an
//! [`At`]: it remembers its node, and it takes what is wrong in it as its own, so that one bad value hides no other.

mod at;

use serde::Deserialize;

pub(crate) use self::at::{At, Flag, List, Map, NamesOrMap, Number, Text, TextOrList, Written, keys};
use super::gate::Document;

/// Declares the structs of the file: each key is optional here, and what must be there is checked later, so that what is
/// missing hides nothing.
macro_rules! written {
    ($($(#[$doc:meta])* $name:ident { $($(#[$key:meta])* $field:ident: $kind:ty,)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Deserialize)]
            #[serde(deny_unknown_fields)]
            pub(super) struct $name {
                $($(#[$key])* pub(super) $field: Option<At<$kind>>,)*
            }

            impl Written for $name {}
        )*
    };
}
pub(crate) use written;

written! {
    /// `dispatching.yml`
    File {
        outbound: List<OutboundRule>,
        inbound: List<InboundRule>,
        environments: List<Environment>,
        limits: Limits,
    }

    /// `outbound[]`
    OutboundRule {
        source: OutboundSource,
        targets: List<OutboundTarget>,
    }

    /// `outbound[].source`
    OutboundSource {
        workflow: Text,
        pull_request: List<Text>,
        command: Text,
        argument: Accept,
        conclusions: List<Text>,
        branches: List<Text>,
        events: List<Text>,
        reruns: Text,
        base: TextOrList,
        draft: Flag,
        permission: Text,
        forks: Flag,
    }

    /// `outbound[].targets[]`
    OutboundTarget {
        repository: Text,
        repository_id: Number,
        workflow: Text,
        event: Text,
        #[serde(rename = "ref")]
        git_ref: Text,
        inputs: Map<Text>,
        payload: Map<Text>,
        environment: Text,
        required: Flag,
        report: List<Text>,
    }

    /// `inbound[]`
    InboundRule {
        source: InboundSource,
        targets: List<InboundTarget>,
    }

    /// `inbound[].source`: the filters of [`OutboundSource`], and whose events they are about.
    InboundSource {
        repository: Text,
        repository_id: Number,
        workflow: Text,
        pull_request: List<Text>,
        command: Text,
        conclusions: List<Text>,
        branches: List<Text>,
        events: List<Text>,
        reruns: Text,
        base: TextOrList,
        draft: Flag,
        permission: Text,
        forks: Flag,
    }

    /// `inbound[].targets[]`
    InboundTarget {
        workflow: Text,
        event: Text,
        accept_inputs: NamesOrMap<Accept>,
        accept_payload: NamesOrMap<Accept>,
        accept_refs: List<Text>,
    }

    /// `inbound[].targets[].accept_inputs.<name>`
    Accept {
        pattern: Text,
        one_of: List<Text>,
        max_length: Number,
    }

    /// `environments[]`
    Environment {
        base: TextOrList,
        name: Text,
        deploy: Text,
        url: Text,
        links: Map<Text>,
        cleanup: Text,
        ttl: Text,
    }

    /// `limits`
    Limits {
        source_repositories: List<Text>,
        source_workflows: List<Text>,
        target_repositories: List<Text>,
        command_repositories: List<Text>,
        conclusions: List<Text>,
        default_branch_only: Flag,
        forks: Flag,
        max_targets: Number,
        max_chain_depth: Number,
        max_edge_rate: Number,
        default_ref: Text,
    }
}

/// Reads a file as it is written. None only for a document without content.
pub(crate) fn read<F: Written>(document: &Document<'_>) -> Option<At<F>> {
    serde_yaml::from_value(at::value(document, document.root()?)).ok()
}
