//! What owners allow.

use std::sync::Arc;

use dispatch_core::decide::{Identity, PolicyAnswer, PolicyFile};
use dispatch_core::diagnostic::Diagnostics;
use dispatch_core::name::{Repository, RepositoryId};
use dispatch_core::policy::{Policy, PolicyPath};
use proptest::option::weighted as maybe;
use proptest::prelude::*;
use proptest::sample::select;

/// What is known of the owner's `.github` repository: mostly nothing, sometimes limits.
pub fn owner_limits(owner: &'static str) -> impl Strategy<Value = PolicyAnswer> {
    let diagnostics = Arc::new(Diagnostics { file: "dispatching.yml".to_owned(), problems: Vec::new() });
    let there =
        |file| PolicyAnswer { repository: Some(Identity::Verified { id: RepositoryId(90), private: false }), file };
    let not_there = |file| PolicyAnswer { repository: None, file };
    prop_oneof![
        30 => limits().boxed().prop_map(move |limits| there(found(owner, &limits))),
        20 => Just(not_there(PolicyFile::Absent)),
        5 => Just(there(PolicyFile::Absent)),
        5 => Just(there(found(owner, ""))),
        2 => Just(not_there(PolicyFile::NotInstalled)),
        2 => Just(not_there(PolicyFile::Refused("403".to_owned()))),
        1 => Just(there(PolicyFile::Invalid { path: PolicyPath::DotGithub, diagnostics })),
    ]
}

fn found(owner: &str, text: &str) -> PolicyFile {
    let repository: Repository = format!("{owner}/.github").parse().unwrap();
    let checked = Policy::check_in(text.as_bytes(), &repository, "dispatching.yml");
    PolicyFile::Found { path: PolicyPath::Root, policy: Arc::new(checked.policy.unwrap()) }
}

/// The text of limits, each of which is seldom there.
pub fn limits() -> impl Strategy<Value = String> {
    let limits = (
        maybe(0.1, select(vec!["[acme/*]", "[acme/api]", "['*']", "[acme/web]"])),
        maybe(0.1, select(vec!["[ci.yml]", "['*.yml']", "[cd.yml]"])),
        maybe(0.2, select(vec!["[acme/*]", "[acme/deploy, partner/infra]", "['**/*']", "[partner/*]"])),
        maybe(0.2, select(vec!["[acme/api]", "['*/*']", "[acme/web]"])),
        maybe(0.2, select(vec!["[success]", "[success, failure]", "[failure]"])),
        maybe(0.1, any::<bool>().prop_map(|yes| if yes { "true" } else { "false" })),
        maybe(0.2, any::<bool>().prop_map(|yes| if yes { "true" } else { "false" })),
        maybe(0.2, select(vec!["1", "2", "3"])),
        maybe(0.2, select(vec!["1", "2", "3"])),
        maybe(0.2, select(vec!["1", "2", "99"])),
        maybe(0.3, Just("release")),
    );
    limits.prop_map(
        |(sources, workflows, targets, commands, conclusions, branch, forks, most, depth, rate, git_ref)| {
            let entries = [
                ("source_repositories", sources),
                ("source_workflows", workflows),
                ("target_repositories", targets),
                ("command_repositories", commands),
                ("conclusions", conclusions),
                ("default_branch_only", branch),
                ("forks", forks),
                ("max_targets", most),
                ("max_chain_depth", depth),
                ("max_edge_rate", rate),
                ("default_ref", git_ref),
            ];
            let entry = |(key, value): (&str, Option<&str>)| Some(format!("  {key}: {}\n", value?));
            let entries: String = entries.into_iter().filter_map(entry).collect();
            if entries.is_empty() { "limits: {}\n".to_owned() } else { format!("limits:\n{entries}") }
        },
    )
}
