//! The core alone, with your own port: everything but GitHub itself is the library's.
//!
//! Here "GitHub" is a map of files, and starting a workflow prints a line. A service would put its own client here, or
//! wrap `dispatch-github` to record, to throttle or to ask somebody first. Run it:
//!
//! ```console
//! $ cargo run -p dispatch-core --features testing --example own_port
//! ```

#![allow(clippy::print_stdout, clippy::disallowed_macros, reason = "an example talks to its reader")]

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use async_trait::async_trait;
use dispatch_core::Timestamp;
use dispatch_core::dispatch::StartedRun;
use dispatch_core::guardrail::Guardrails;
use dispatch_core::name::{Branch, CommitSha, Repository, RepositoryId, RunId};
use dispatch_core::pipeline::{Pipeline, Planned, WebhookRequest};
use dispatch_core::policy::PolicyPath;
use dispatch_core::ports::PullRequestPort;
use dispatch_core::ports::github::{FileRead, FileVersion, RepositoryFound, RepositoryRef, RunListing};
use dispatch_core::ports::policies::BoundedPolicyMemory;
use dispatch_core::ports::store::{Claim, Queue, Record, StorePort};
use dispatch_core::ports::{GitHubError, GitHubPort};
use dispatch_core::request::DispatchRequest;
use dispatch_core::retry::RetryPolicy;
use dispatch_core::testing::MemoryStore;
use dispatch_core::webhook::WebhookSecrets;

/// A GitHub that is a map from repository to its id and its `dispatching.yml`.
struct Files(BTreeMap<Repository, (RepositoryId, &'static str)>);

impl PullRequestPort for Files {}

#[async_trait]
impl GitHubPort for Files {
    async fn read_file(
        &self,
        repository: &Repository,
        id: Option<RepositoryId>,
        path: PolicyPath,
        _known: Option<&FileVersion>,
    ) -> Result<FileRead, GitHubError> {
        let Some((found, text)) = self.0.get(repository).filter(|(found, _)| id.is_none_or(|id| id == *found)) else {
            return Ok(FileRead::NoSuchRepository);
        };
        let repository = RepositoryFound { id: *found, private: true };
        Ok(match path {
            PolicyPath::Root => FileRead::Found {
                repository,
                bytes: text.as_bytes().to_vec(),
                blob_sha: format!("blob-{found}"),
                version: None,
            },
            PolicyPath::DotGithub => FileRead::NoSuchFile { repository },
        })
    }

    async fn commit_on_branch(&self, _: &RepositoryRef, branch: &Branch, _: &CommitSha) -> Result<bool, GitHubError> {
        Ok(branch.as_str() == "main")
    }

    async fn dispatch(
        &self,
        repository: &RepositoryRef,
        request: &DispatchRequest,
        _not_after: Timestamp,
    ) -> Result<Option<StartedRun>, GitHubError> {
        println!("start {} in {}", request.start(), repository.name);
        let url = "https://github.com/acme/deploy/actions/runs/2".to_owned();
        Ok(Some(StartedRun { id: RunId(2), url }))
    }

    /// Only asked where a call was in doubt, or did not answer with its run.
    async fn runs_since(&self, _: &RepositoryRef, _: Timestamp) -> Result<RunListing, GitHubError> {
        Ok(RunListing { runs: Vec::new(), complete: true })
    }
}

const BODY: &[u8] = br#"{
    "action": "completed",
    "workflow_run": {
        "id": 1, "run_number": 1, "run_attempt": 1, "path": ".github/workflows/ci.yml", "conclusion": "success",
        "event": "push", "head_branch": "main", "head_sha": "3484a3fb816e0859fd6e1cea078d76385ff50625",
        "head_repository": { "id": 11 }, "html_url": "https://github.com/acme/api/actions/runs/1",
        "updated_at": "2026-01-02T03:05:06Z"
    },
    "repository": { "id": 11, "full_name": "acme/api", "default_branch": "main", "private": true },
    "installation": { "id": 5 }
}"#;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files = Files(BTreeMap::from([
        (
            "acme/api".parse()?,
            (
                RepositoryId(11),
                "outbound: [{ source: { workflow: ci.yml }, targets: [{ repository: deploy, workflow: cd.yml }] }]",
            ),
        ),
        (
            "acme/deploy".parse()?,
            (
                RepositoryId(12),
                "inbound: [{ source: { repository: api, workflow: ci.yml }, targets: [{ workflow: cd.yml }] }]",
            ),
        ),
    ]));
    let limits = BTreeMap::from([("OWNER_ALLOWLIST".to_owned(), "acme".to_owned())]);
    let store = Arc::new(MemoryStore::new());
    let pipeline = Pipeline {
        github: Arc::new(files),
        store: store.clone(),
        policies: Arc::new(BoundedPolicyMemory::new(100)),
        guardrails: Guardrails::from_settings(&limits)?,
        retry: RetryPolicy::default(),
        settle: Pipeline::DEFAULT_SETTLE,
        max_event_age: Pipeline::DEFAULT_MAX_EVENT_AGE,
    };
    let secrets: WebhookSecrets = "it's a secret".parse()?;
    let now: Timestamp = "2026-01-02T03:05:07Z".parse()?;

    // 1: a signed webhook becomes a durable delivery.
    let signature = secrets.sign(BODY);
    let request = WebhookRequest {
        signature: Some(signature.as_bytes()),
        event: Some("workflow_run"),
        delivery: Some("72d3162e-cc78-11e3-81ab-4c9367dc0958"),
        body: BODY,
    };
    block_on(pipeline.ingress(&secrets, request, now))?;

    // 2 and 3: work that is due is taken from the store and moved one step. A service does this for ever, side by side.
    for queue in [Queue::Plan, Queue::Dispatch] {
        let claim = Claim { queue, now, lease: Duration::from_secs(60), limit: 10, per_lane: 10 };
        for stored in block_on(store.claim(claim))? {
            match stored.record {
                Record::Delivery(delivery) => {
                    if let Planned::Done { plan, .. } = block_on(pipeline.plan(*delivery, stored.version, now))? {
                        for decision in plan.decisions {
                            println!("{} wants {}", decision.outbound_rule, decision.target.start);
                        }
                    }
                }
                Record::Dispatch(dispatch) => {
                    println!("{:?}", block_on(pipeline.dispatch(*dispatch, stored.version, now))?);
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// Enough for ports that never wait. A service has a runtime here.
fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return output;
        }
    }
}
