//! What happens in the demonstration, in order, and how it has to end.

use dispatch_core::event::Conclusion;
use dispatch_core::reason::Reason;
use dispatch_core::testing::world::RunSpec;

use super::organisation::STRANGER;

/// One thing that happens.
pub(super) struct Act {
    /// One line.
    pub(super) title: &'static str,
    /// What happens.
    pub(super) happening: Happening,
}

impl Act {
    /// The workflows that have to start: repository and file.
    pub(super) fn started(&self) -> &'static [(&'static str, &'static str)] {
        match self.happening {
            Happening::Run { outcome: Outcome::Started(chain), .. } => chain,
            _ => &[],
        }
    }
}

/// What happens.
pub(super) enum Happening {
    /// A run completes, and this follows.
    Run {
        /// In which repository.
        repository: &'static str,
        /// The run.
        spec: Box<RunSpec>,
        /// What has to follow.
        outcome: Outcome,
    },
    /// GitHub delivers the webhook of the first act again.
    Redelivery,
    /// Somebody who does not know the secret sends the webhook of the first act.
    Forgery,
}

/// What has to follow from a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// These workflows start, each because of the one before: repository and file.
    Started(&'static [(&'static str, &'static str)]),
    /// The one target is denied.
    Denied(Reason),
    /// No target is considered.
    Skipped(Reason),
}

/// The story.
pub(super) fn acts() -> Vec<Act> {
    let run = |workflow: &str| RunSpec { actor: "barista".to_owned(), ..RunSpec::new(workflow, "main") };
    let act = |title, repository, spec, outcome| Act {
        title,
        happening: Happening::Run { repository, spec: Box::new(spec), outcome },
    };
    vec![
        act(
            "A commit is deployed, and the deployment is tried out",
            "api",
            run("ci.yml"),
            Outcome::Started(&[("infra", "deploy.yml"), ("smoke-tests", "smoke.yml")]),
        ),
        Act { title: "GitHub delivers that first webhook once more", happening: Happening::Redelivery },
        act(
            "mobile would like payments to make a release; payments never agreed",
            "mobile",
            run("build.yml"),
            Outcome::Denied(Reason::InboundNotAuthorized),
        ),
        act(
            "web may deploy, but sends an input that infra did not agree to",
            "web",
            run("ci.yml"),
            Outcome::Denied(Reason::InputsNotAccepted),
        ),
        act(
            "A fork's main branch passes the tests",
            "api",
            RunSpec {
                fork: format!("{STRANGER}/api").parse().ok(),
                actor: STRANGER.to_owned(),
                event: "pull_request".to_owned(),
                ..run("ci.yml")
            },
            Outcome::Skipped(Reason::SourceFromFork),
        ),
        act(
            "The tests pass on a branch",
            "api",
            RunSpec { branch: "feature/latte-art".to_owned(), ..run("ci.yml") },
            Outcome::Skipped(Reason::SourceNotDefaultBranch),
        ),
        act(
            "The tests fail",
            "api",
            RunSpec { conclusion: Some(Conclusion::Failure), ..run("ci.yml") },
            Outcome::Skipped(Reason::SourceConclusionNotAllowed),
        ),
        act("docs has no policy file", "docs", run("publish.yml"), Outcome::Skipped(Reason::SourcePolicyMissing)),
        act(
            "loyalty's policy file has a mistake",
            "loyalty",
            run("ci.yml"),
            Outcome::Skipped(Reason::SourcePolicyInvalid),
        ),
        Act { title: "Somebody forges a webhook", happening: Happening::Forgery },
    ]
}
