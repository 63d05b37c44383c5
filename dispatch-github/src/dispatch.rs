//! The one call with an effect.

use dispatch_core::Timestamp;
use dispatch_core::dispatch::StartedRun;
use dispatch_core::ports::github::{GitHubError, RepositoryRef};
use dispatch_core::request::DispatchRequest;
use http::Method;

use crate::answer::{self, Effect};
use crate::client::{Call, GitHub};
use crate::path::ApiPath;
use crate::permission::Permission;
use crate::transport::{Answer, Body};
use crate::wire::{RunDetails, page};

/// GitHub's answer is a few hundred bytes.
const BODY_LIMIT: usize = 64 * 1024;

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
            other => return Err(unsupported(other)),
        };
        let body = serde_json::to_vec(&body).map_err(|error| GitHubError::Unavailable(error.to_string()))?;
        let call = Call {
            repository: &repository.name,
            id: Some(repository.id),
            permission,
            effect: Effect::Write,
            method: Method::POST,
            path,
            body: Some(body),
            known: None,
            not_after: Some(not_after),
            limit: BODY_LIMIT,
        };
        let (_, answer) = self.call(&call).await.map_err(|error| error.into_error(&repository.name))?;
        if answer.status.is_success() {
            return Ok(started(&answer));
        }
        Err(answer::failure(&answer, Effect::Write, Timestamp::now()))
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
