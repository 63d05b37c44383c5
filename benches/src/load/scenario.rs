//! The organisation that the load is about. The same calls make the same world in every process, so that webhooks made
//! here fit the emulator's repositories.

use dispatch_core::Timestamp;
use dispatch_core::name::Repository;
use dispatch_core::testing::world::{RepositoryOptions, RunSpec, World};
use dispatch_core::webhook::WebhookSecrets;

use crate::Result;

pub(crate) const OWNER: &str = "acme";
pub(crate) const SECRET: &str = "one secret of thirty-two letters";
/// How many targets the wide run has.
pub(crate) const MANY: usize = 25;
/// How many repositories have runs.
const SOURCES: usize = 16;
/// Ids of runs that no world gives.
const FIRST_RUN: u64 = 900_000_000_000;

/// What a run leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Its workflow is in no rule, as most are.
    NoRule,
    /// One dispatch.
    OneTarget,
    /// A dispatch in each of many repositories.
    ManyTargets,
}

pub(crate) struct Scenario {
    pub(crate) world: World,
    secrets: WebhookSecrets,
    templates: Vec<(Kind, String, u64)>,
    next_run: u64,
}

impl Scenario {
    pub(crate) fn new(start: Timestamp) -> Result<Self> {
        let mut world = World::new(start);
        world.requests_per_hour = u64::from(u32::MAX);
        let sources = (0..SOURCES).map(|number| format!("service-{number}")).collect::<Vec<_>>();
        let wide = (0..MANY).map(|number| format!("target-{number}")).collect::<Vec<_>>();

        let many = wide.iter().map(|name| target(name)).collect::<String>();
        let outbound = format!("outbound:\n{}{}{}", source("ci.yml"), target("deploy"), source("wide.yml") + &many);
        for name in &sources {
            let repository = add(&mut world, name, &["ci.yml", "wide.yml", "lint.yml"])?;
            world.write_file(&repository, "main", "dispatching.yml", &outbound)?;
        }
        for name in wide.iter().map(String::as_str).chain(["deploy"]) {
            let workflow = if name == "deploy" { "ci.yml" } else { "wide.yml" };
            let rules = sources.iter().map(|source| accept(source, workflow)).collect::<String>();
            let repository = add(&mut world, name, &["cd.yml"])?;
            world.write_file(&repository, "main", "dispatching.yml", &format!("inbound:\n{rules}"))?;
        }

        let mut templates = Vec::new();
        world.take_webhooks();
        for (kind, workflow) in
            [(Kind::NoRule, "lint.yml"), (Kind::OneTarget, "ci.yml"), (Kind::ManyTargets, "wide.yml")]
        {
            for name in &sources {
                let run = world.complete_run(&repository(name)?, RunSpec::new(workflow, "main"))?;
                let webhook = world.take_webhooks().pop().ok_or("no webhook was sent")?;
                templates.push((kind, String::from_utf8(webhook.body)?, run.0));
            }
        }
        Ok(Self { world, secrets: SECRET.parse()?, templates, next_run: FIRST_RUN })
    }

    /// Signed requests, each of a run of its own.
    pub(crate) fn deliveries(&mut self, kind: Kind, count: usize) -> Result<Vec<Vec<u8>>> {
        let templates = self.templates.iter().filter(|(of, ..)| *of == kind).collect::<Vec<_>>();
        let mut requests = Vec::with_capacity(count);
        for (_, body, run) in templates.into_iter().cycle().take(count) {
            self.next_run += 1;
            let body = body.replace(&run.to_string(), &self.next_run.to_string());
            let signature = self.secrets.sign(body.as_bytes());
            requests.push(
                format!(
                    "POST /webhooks/github HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n\
                     x-github-event: workflow_run\r\nx-github-delivery: 00000000-0000-4000-8000-{:012x}\r\n\
                     x-hub-signature-256: {signature}\r\ncontent-length: {}\r\n\r\n{body}",
                    self.next_run,
                    body.len()
                )
                .into_bytes(),
            );
        }
        Ok(requests)
    }
}

fn repository(name: &str) -> Result<Repository> {
    Ok(format!("{OWNER}/{name}").parse()?)
}

fn add(world: &mut World, name: &str, workflows: &[&str]) -> Result<Repository> {
    let repository = repository(name)?;
    world.add_repository(&repository, RepositoryOptions::default())?;
    let inputs = "on:\n  push:\n  workflow_dispatch:\n    inputs:\n      git_sha: { type: string }\njobs: {}\n";
    for workflow in workflows {
        world.write_file(
            &repository,
            "main",
            &format!(".github/workflows/{workflow}"),
            &format!("name: {workflow}\n{inputs}"),
        )?;
    }
    Ok(repository)
}

fn source(workflow: &str) -> String {
    format!("  - source: {{ workflow: {workflow} }}\n    targets:\n")
}

fn target(name: &str) -> String {
    format!("      - {{ repository: {name}, workflow: cd.yml, inputs: {{ git_sha: \"{{{{ source.sha }}}}\" }} }}\n")
}

fn accept(source: &str, workflow: &str) -> String {
    format!(
        "  - source: {{ repository: {source}, workflow: {workflow} }}\n    targets:\n      \
         - {{ workflow: cd.yml, accept_inputs: [git_sha] }}\n"
    )
}
