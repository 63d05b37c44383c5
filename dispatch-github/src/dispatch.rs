//! The calls that start something.

use dispatch_core::Timestamp;
use dispatch_core::dispatch::StartedRun;
use dispatch_core::ports::github::{GitHubError, RepositoryRef};
use dispatch_core::request::DispatchRequest;
use http::Method;

use crate::client::{Call, GitHub};
use crate::path::ApiPath;
use crate::permission::Permission;
use crate::transport::{Answer, Body};
use crate::wire::{RunDetails, page};

impl GitHub {
    pub(crate) async fn start(
        &self,
        repository: &RepositoryRef,
        request: &DispatchRequest,
        not_after: Timestamp,
    ) -> Result<Option<StartedRun>, GitHubError> {
        let (permission, path, body) = match request {
            DispatchRequest::Workflow(request) => (
                Permission::ActionsWrite,
                ApiPath::workflow_dispatches(&repository.name, request.workflow()),
                request.body(),
            ),
            DispatchRequest::Event(request) => {
                (Permission::ContentsWrite, ApiPath::dispatches(&repository.name), request.body())
            }
            other => return Err(unsupported(other)),
        };
        let call = Call::write(repository, permission, Method::POST, path, &body)?.not_after(not_after);
        let answer = self.succeed(&call).await?;
        Ok(match request {
            DispatchRequest::Workflow(_) => started(&answer),
            // GitHub names no run: there may be any number of them, also none.
            _ => None,
        })
    }
}

/// The run, where the answer names it. GitHub has done it by now: nothing about the body can change that.
fn started(answer: &Answer) -> Option<StartedRun> {
    let Body::Whole(bytes) = &answer.body else { return None };
    let details: RunDetails = serde_json::from_slice(bytes).ok()?;
    Some(StartedRun { id: details.workflow_run_id, url: page(details.html_url) })
}

/// A kind of request that a newer core knows and this client does not.
fn unsupported(request: &DispatchRequest) -> GitHubError {
    GitHubError::Refused { status: 0, message: format!("cannot start `{}` yet", request.start()), permission: None }
}
