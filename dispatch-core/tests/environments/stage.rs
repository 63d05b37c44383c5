//! `cms` has pull requests, `infra` makes environments for them.

use std::time::Duration;

use dispatch_core::environment::{Environment, EnvironmentState};
use dispatch_core::fact::FactBody;
use dispatch_core::guardrail::Guardrails;
use dispatch_core::name::Repository;
use dispatch_core::pipeline::{SweepOptions, SweepOutcome};
use dispatch_core::ports::store::Record;
use dispatch_core::testing::world::{OutgoingWebhook, PullRequestSpec, RepositoryOptions, Role};
use dispatch_core::testing::{Rehearsal, World};

pub(crate) const OUTBOUND: &str = r#"
outbound:
  - source: { pull_request: [opened, synchronize, reopened] }
    targets:
      - { repository: infra, workflow: create.yml, environment: create, inputs: { name: "{{ env.name }}" } }
  - source: { command: /deploy }
    targets:
      - { repository: infra, workflow: create.yml, environment: create, inputs: { name: "{{ env.name }}" } }
  - source: { command: /destroy }
    targets:
      - { repository: infra, workflow: destroy.yml, environment: destroy, inputs: { name: "{{ env.name }}" } }
  - source: { pull_request: [closed] }
    targets:
      - { repository: infra, workflow: destroy.yml, environment: destroy, inputs: { name: "{{ env.name }}" } }
environments:
  - { base: dev, name: "pr-{{ pr.number }}", ttl: 72h }
  - { base: main, name: staging, deploy: dev }
"#;

/// What `infra` accepts of a source.
pub(crate) fn inbound(source: &str) -> String {
    let rule = |what: &str, workflow: &str| {
        format!(
            "  - source: {{ repository: {source}, {what} }}\n    targets:\n      - {{ workflow: {workflow}, accept_inputs: [name] }}\n"
        )
    };
    [
        rule("pull_request: [opened, synchronize, reopened]", "create.yml"),
        rule("command: /deploy", "create.yml"),
        rule("command: /destroy", "destroy.yml"),
        rule("pull_request: [closed]", "destroy.yml"),
    ]
    .concat()
}

pub(crate) fn cms() -> Repository {
    "octo-org/cms".parse().unwrap()
}

pub(crate) fn infra() -> Repository {
    "octo-org/infra".parse().unwrap()
}

pub(crate) struct Stage(pub(crate) Rehearsal);

impl Stage {
    pub(crate) fn new() -> Self {
        Self::with_sources(&["cms"])
    }

    /// The same with several repositories that make environments of the same names.
    pub(crate) fn with_sources(sources: &[&str]) -> Self {
        let mut world = World::new("2026-01-01T00:00:00Z".parse().unwrap());
        for source in sources {
            let repository: Repository = format!("octo-org/{source}").parse().unwrap();
            world.add_repository(&repository, RepositoryOptions::default()).unwrap();
            world.write_file(&repository, "main", "dispatching.yml", OUTBOUND).unwrap();
            world.write_file(&repository, "dev", "README.md", "dev").unwrap();
            world.set_permission(&repository, "octocat", Role::Write).unwrap();
        }
        world.add_repository(&infra(), RepositoryOptions::default()).unwrap();
        for workflow in ["create.yml", "destroy.yml"] {
            let on = "on:\n  workflow_dispatch:\n    inputs:\n      name: {}\njobs: {}\n";
            world.write_file(&infra(), "main", &format!(".github/workflows/{workflow}"), on).unwrap();
        }
        let rules: String = sources.iter().map(|source| inbound(source)).collect();
        world.write_file(&infra(), "main", "dispatching.yml", &format!("inbound:\n{rules}")).unwrap();
        let settings = [("OWNER_ALLOWLIST".to_owned(), "octo-org".to_owned())].into();
        let stage = Self(Rehearsal::new(world, Guardrails::from_settings(&settings).unwrap()).unwrap());
        stage.settle();
        stage
    }

    /// Does all that can be done at the world's time, and goes a bit on.
    pub(crate) fn settle(&self) {
        self.0.run_until_quiet().unwrap();
        self.advance(2);
    }

    pub(crate) fn advance(&self, seconds: u64) {
        self.0.world().advance(Duration::from_secs(seconds));
    }

    pub(crate) fn open(&self, head: &str, base: &str) -> u64 {
        let spec = PullRequestSpec { base: base.to_owned(), ..PullRequestSpec::new(head) };
        self.0.world().open_pull_request(&cms(), spec).unwrap()
    }

    pub(crate) fn close(&self, number: u64) {
        self.0.world().close_pull_request(&cms(), number, false).unwrap();
    }

    /// What was sent and not delivered: taken away.
    pub(crate) fn intercept(&self) -> Vec<OutgoingWebhook> {
        self.0.world().take_webhooks()
    }

    pub(crate) fn sweep(&self) -> SweepOutcome {
        self.sweep_with(&SweepOptions::default())
    }

    pub(crate) fn sweep_with(&self, options: &SweepOptions) -> SweepOutcome {
        self.0.sweep(options).unwrap()
    }

    pub(crate) fn environment(&self, name: &str) -> Option<Environment> {
        self.0.store().records().into_iter().find_map(|record| match record {
            Record::Environment(environment) if environment.key.name.as_str() == name => Some(*environment),
            _ => None,
        })
    }

    pub(crate) fn state(&self, name: &str) -> Option<EnvironmentState> {
        self.environment(name).map(|environment| environment.state)
    }

    /// What was started since the last call, as `create.yml pr-1`.
    pub(crate) fn started(&self) -> Vec<String> {
        let dispatches = self.0.world().take_dispatches();
        dispatches.iter().map(|dispatch| format!("{} {}", dispatch.workflow, dispatch.inputs["name"])).collect()
    }

    /// Of each environment, what began and ended, in order.
    pub(crate) fn steps(&self) -> Vec<(String, dispatch_core::fact::EnvironmentChange)> {
        let facts = self.0.store().facts();
        let changes = facts.into_iter().filter_map(|fact| match fact.body {
            FactBody::EnvironmentChanged { change, environment } => Some((environment.key.name.to_string(), change)),
            _ => None,
        });
        changes.collect()
    }
}
