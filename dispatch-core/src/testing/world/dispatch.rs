//! Starting something by the API, with GitHub's rules about who may start what.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::workflow::WorkflowText;
use super::{Access, ApiError, Effect, Run, RunStatus, StartedDispatch, WorkflowState, World};
use crate::name::{CommitSha, Repository, RepositoryId, RunId};
use crate::request::WorkflowDispatch;

/// GitHub's limit on the characters of a `repository_dispatch` event's name (REST API description).
const MAX_EVENT_TYPE: usize = 100;
/// GitHub's limit on the top-level properties of a `client_payload` (REST API description).
const MAX_PAYLOAD_PROPERTIES: usize = 10;
/// "The total size of the JSON payload must be less than 64KB" (REST API description).
const MAX_PAYLOAD_BYTES: usize = 65_535;

impl World {
    /// Starts a workflow (`POST /repos/{owner}/{repo}/actions/workflows/{workflow_id}/dispatches`) and sends the
    /// `workflow_run` `requested` webhook of the run.
    ///
    /// # Errors
    /// GitHub's refusals, word for word where its words are known.
    pub fn workflow_dispatch(
        &mut self,
        token: &str,
        repository: &Repository,
        workflow: &str,
        git_ref: &str,
        inputs: &BTreeMap<String, String>,
    ) -> Result<RunId, ApiError> {
        let id = self.authorize(token, repository, &[("actions", Access::Write)])?;
        let (file, known) = self.find_workflow(id, workflow)?;
        if known.state != WorkflowState::Active {
            return Err(ApiError::unprocessable("Cannot trigger a 'workflow_dispatch' on a disabled workflow"));
        }
        let file = file.to_owned();
        let (head_branch, sha) = self.dispatch_ref(id, git_ref)?;
        let text = self.workflow_text(id, &file, &sha).unwrap_or_default();
        accept_inputs(&text, inputs)?;

        let title = text.run_title(&json!({ "inputs": inputs, "github": { "event": { "inputs": inputs } } }));
        let run = self.new_run(id, &file, "workflow_dispatch", &head_branch, sha).map_err(|_| ApiError::not_found())?;
        let run_id =
            self.queue_run(Run { title: Some(title.unwrap_or(run.name.clone())), inputs: inputs.clone(), ..run });
        self.effects.push(Effect::Dispatch(StartedDispatch {
            repository: repository.clone(),
            workflow: file,
            git_ref: git_ref.to_owned(),
            inputs: inputs.clone(),
            run: run_id,
        }));
        self.send_workflow_run(run_id, "requested");
        Ok(run_id)
    }

    /// A run of the App begins to wait.
    fn queue_run(&mut self, run: Run) -> RunId {
        let id = run.id;
        self.runs.insert(id, Run { actor: self.app.bot(), status: RunStatus::Queued, ..run });
        self.unfinished_runs.insert(id);
        id
    }

    /// Makes a `repository_dispatch` event (`POST /repos/{owner}/{repo}/dispatches`) and sends its webhook. It starts every
    /// workflow of the default branch that listens to it; none has to, and no run is told in the answer.
    ///
    /// # Errors
    /// GitHub's refusals.
    pub fn repository_dispatch(
        &mut self,
        token: &str,
        repository: &Repository,
        event_type: &str,
        client_payload: Value,
    ) -> Result<(), ApiError> {
        let id = self.authorize(token, repository, &[("contents", Access::Write)])?;
        // GitHub documents these limits without the words of the refusals.
        let invalid = |message: &str| ApiError::unprocessable(format!("Invalid request.\n\n{message}"));
        if event_type.is_empty() || event_type.chars().count() > MAX_EVENT_TYPE {
            return Err(invalid("\"event_type\" must have 1 to 100 characters."));
        }
        if client_payload.as_object().is_none_or(|payload| payload.len() > MAX_PAYLOAD_PROPERTIES) {
            return Err(invalid("No more than 10 properties are allowed in \"client_payload\"."));
        }
        if client_payload.to_string().len() > MAX_PAYLOAD_BYTES {
            return Err(invalid("\"client_payload\" is too large."));
        }
        self.send_repository_dispatch(id, event_type, &client_payload);
        self.start_listeners(id, event_type, &client_payload);
        let (repository, event_type) = (repository.clone(), event_type.to_owned());
        self.effects.push(Effect::RepositoryDispatch { repository, event_type, client_payload });
        Ok(())
    }

    fn start_listeners(&mut self, id: RepositoryId, event_type: &str, payload: &Value) {
        let Some(sha) = self.default_head(id) else { return };
        let Ok(state) = self.state(id) else { return };
        let branch = state.default_branch.clone();
        let event = json!({ "action": event_type, "branch": branch, "client_payload": payload });
        let context = json!({ "github": { "event": event, "event_name": "repository_dispatch" } });
        let active = state.workflows.iter().filter(|(_, workflow)| workflow.state == WorkflowState::Active);
        let listening = active.filter_map(|(file, _)| {
            let text = self.workflow_text(id, file, &sha).filter(|text| text.listens_to(event_type))?;
            // What the event is called, unless the workflow says otherwise.
            Some((file.clone(), text.run_title(&context).unwrap_or_else(|| event_type.to_owned())))
        });
        for (file, title) in listening.collect::<Vec<_>>() {
            let Ok(run) = self.new_run(id, &file, "repository_dispatch", &branch, sha.clone()) else { continue };
            let run = self.queue_run(Run { title: Some(title), ..run });
            self.send_workflow_run(run, "requested");
        }
    }

    /// The short name and the commit of a branch or a tag; of two with the same name, the branch.
    fn dispatch_ref(&self, id: RepositoryId, git_ref: &str) -> Result<(String, CommitSha), ApiError> {
        let state = self.state(id)?;
        let branch = git_ref.strip_prefix("refs/heads/");
        let tag = git_ref.strip_prefix("refs/tags/");
        let found = match (branch, tag) {
            (Some(branch), _) => state.branches.get_key_value(branch),
            (None, Some(tag)) => state.tags.get_key_value(tag),
            (None, None) => state.branches.get_key_value(git_ref).or_else(|| state.tags.get_key_value(git_ref)),
        };
        let (name, sha) = found.ok_or_else(|| ApiError::unprocessable(format!("No ref found for: {git_ref}")))?;
        Ok((name.clone(), sha.clone()))
    }
}

fn accept_inputs(text: &WorkflowText, inputs: &BTreeMap<String, String>) -> Result<(), ApiError> {
    if !text.triggers.contains("workflow_dispatch") {
        return Err(ApiError::unprocessable("Workflow does not have 'workflow_dispatch' trigger"));
    }
    let characters = serde_json::to_string(inputs).map_or(usize::MAX, |json| json.chars().count());
    if inputs.len() > WorkflowDispatch::MAX_INPUTS || characters > WorkflowDispatch::MAX_INPUT_CHARACTERS {
        // GitHub documents the limits without the words of the refusal.
        return Err(ApiError::unprocessable("Invalid request.\n\nThe inputs are too many or too large."));
    }
    let unexpected: Vec<&String> = inputs.keys().filter(|name| !text.inputs.contains_key(*name)).collect();
    if !unexpected.is_empty() {
        let names = serde_json::to_string(&unexpected).unwrap_or_default();
        return Err(ApiError::unprocessable(format!("Unexpected inputs provided: {names}")));
    }
    for (name, input) in &text.inputs {
        match inputs.get(name) {
            None if input.required && !input.has_default => {
                return Err(ApiError::unprocessable(format!("Required input '{name}' not provided")));
            }
            Some(value) if !input.options.is_empty() && !input.options.contains(value) => {
                let message = format!("Provided value '{value}' for input '{name}' not in the list of allowed values");
                return Err(ApiError::unprocessable(message));
            }
            _ => {}
        }
    }
    Ok(())
}
