//! What is asked of GitHub. A request that exists is within GitHub's limits: nothing is ever cut.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::name::{EventType, GitRef, WorkflowFile};
use crate::policy::Start;

/// A request that starts something in a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DispatchRequest {
    /// `POST /repos/{owner}/{repo}/actions/workflows/{workflow_id}/dispatches`
    Workflow(WorkflowDispatch),
    /// `POST /repos/{owner}/{repo}/dispatches`
    Event(RepositoryDispatch),
}

impl DispatchRequest {
    /// The branch or tag that it asks for; None for an event, whose workflows run on the default branch.
    #[must_use]
    pub fn git_ref(&self) -> Option<&GitRef> {
        match self {
            Self::Workflow(request) => Some(request.git_ref()),
            Self::Event(_) => None,
        }
    }

    /// What is sent along, as text: the inputs, or the payload's properties.
    #[must_use]
    pub fn values(&self) -> BTreeMap<String, String> {
        match self {
            Self::Workflow(request) => request.inputs.clone(),
            Self::Event(request) => {
                request.client_payload.iter().map(|(name, value)| (name.clone(), as_text(value))).collect()
            }
        }
    }

    /// What the request starts.
    #[must_use]
    pub fn start(&self) -> Start {
        match self {
            Self::Workflow(request) => Start::Workflow(request.workflow.clone()),
            Self::Event(request) => Start::Event(request.event_type.clone()),
        }
    }
}

/// A value of a payload as text: a string as it is.
pub(crate) fn as_text(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Starts a workflow at a ref, with inputs. Inputs travel as strings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct WorkflowDispatch {
    workflow: WorkflowFile,
    #[serde(rename = "ref")]
    git_ref: GitRef,
    inputs: BTreeMap<String, String>,
}

/// A request as it was stored.
#[derive(Deserialize)]
struct Unchecked {
    workflow: WorkflowFile,
    #[serde(rename = "ref")]
    git_ref: GitRef,
    inputs: BTreeMap<String, String>,
}

impl TryFrom<Unchecked> for WorkflowDispatch {
    type Error = LimitExceeded;

    fn try_from(Unchecked { workflow, git_ref, inputs }: Unchecked) -> Result<Self, LimitExceeded> {
        Self::new(workflow, git_ref, inputs)
    }
}

impl WorkflowDispatch {
    /// GitHub's limit on the number of inputs ("Manually running a workflow").
    pub const MAX_INPUTS: usize = 25;
    /// GitHub's limit on the characters of all inputs together, as JSON.
    pub const MAX_INPUT_CHARACTERS: usize = 65_535;

    /// Makes the request.
    ///
    /// # Errors
    /// The inputs are beyond GitHub's limits.
    pub fn new(
        workflow: WorkflowFile,
        git_ref: GitRef,
        inputs: BTreeMap<String, String>,
    ) -> Result<Self, LimitExceeded> {
        Self::check_inputs(&inputs)?;
        Ok(Self { workflow, git_ref, inputs })
    }

    /// Whether GitHub would take the inputs.
    ///
    /// # Errors
    /// They are beyond GitHub's limits.
    pub fn check_inputs(inputs: &BTreeMap<String, String>) -> Result<(), LimitExceeded> {
        if inputs.len() > Self::MAX_INPUTS {
            return Err(LimitExceeded { what: "inputs", limit: Self::MAX_INPUTS, got: inputs.len() });
        }
        Self::check_size(inputs)
    }

    /// Whether the inputs are short enough, however many there are.
    ///
    /// # Errors
    /// They are not.
    pub(crate) fn check_size(inputs: &BTreeMap<String, String>) -> Result<(), LimitExceeded> {
        let characters = serde_json::to_string(inputs).map_or(usize::MAX, |json| json.chars().count());
        if characters > Self::MAX_INPUT_CHARACTERS {
            let what = "characters of inputs";
            return Err(LimitExceeded { what, limit: Self::MAX_INPUT_CHARACTERS, got: characters });
        }
        Ok(())
    }

    /// The workflow to start.
    #[must_use]
    pub fn workflow(&self) -> &WorkflowFile {
        &self.workflow
    }

    /// The branch or tag to start it at.
    #[must_use]
    pub fn git_ref(&self) -> &GitRef {
        &self.git_ref
    }

    /// The inputs, by name.
    #[must_use]
    pub fn inputs(&self) -> &BTreeMap<String, String> {
        &self.inputs
    }

    /// The body of GitHub's request ("Create a workflow dispatch event"). With `return_run_details` GitHub answers 200
    /// and the run's id; without it, or where GitHub does not know the parameter, 204 and nothing.
    #[must_use]
    pub fn body(&self) -> serde_json::Value {
        serde_json::json!({ "ref": self.git_ref, "inputs": self.inputs, "return_run_details": true })
    }
}

/// Makes an event in a repository, with a payload. Whatever workflow of the default branch listens to it runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "UncheckedEvent")]
pub struct RepositoryDispatch {
    event_type: EventType,
    client_payload: BTreeMap<String, serde_json::Value>,
}

/// An event as it was stored.
#[derive(Deserialize)]
struct UncheckedEvent {
    event_type: EventType,
    client_payload: BTreeMap<String, serde_json::Value>,
}

impl TryFrom<UncheckedEvent> for RepositoryDispatch {
    type Error = LimitExceeded;

    fn try_from(UncheckedEvent { event_type, client_payload }: UncheckedEvent) -> Result<Self, LimitExceeded> {
        Self::new(event_type, client_payload)
    }
}

impl RepositoryDispatch {
    /// GitHub's limit on the top-level properties of a payload ("Create a repository dispatch event").
    pub const MAX_PROPERTIES: usize = 10;
    /// GitHub's limit on the size of a payload, in bytes of JSON: less than 64 KB.
    pub const MAX_PAYLOAD_BYTES: usize = 65_535;

    /// Makes the request.
    ///
    /// # Errors
    /// The payload is beyond GitHub's limits.
    pub fn new(
        event_type: EventType,
        client_payload: BTreeMap<String, serde_json::Value>,
    ) -> Result<Self, LimitExceeded> {
        Self::check_payload(&client_payload)?;
        Ok(Self { event_type, client_payload })
    }

    /// Whether GitHub would take the payload.
    ///
    /// # Errors
    /// It is beyond GitHub's limits.
    pub fn check_payload(payload: &BTreeMap<String, serde_json::Value>) -> Result<(), LimitExceeded> {
        if payload.len() > Self::MAX_PROPERTIES {
            let what = "properties of the payload";
            return Err(LimitExceeded { what, limit: Self::MAX_PROPERTIES, got: payload.len() });
        }
        Self::check_size(payload)
    }

    /// Whether the payload is small enough, however many properties it has.
    ///
    /// # Errors
    /// It is not.
    pub(crate) fn check_size<V: Serialize>(payload: &BTreeMap<String, V>) -> Result<(), LimitExceeded> {
        let bytes = serde_json::to_string(payload).map_or(usize::MAX, |json| json.len());
        if bytes > Self::MAX_PAYLOAD_BYTES {
            return Err(LimitExceeded { what: "bytes of payload", limit: Self::MAX_PAYLOAD_BYTES, got: bytes });
        }
        Ok(())
    }

    /// The event's name.
    #[must_use]
    pub fn event_type(&self) -> &EventType {
        &self.event_type
    }

    /// The payload, by name.
    #[must_use]
    pub fn client_payload(&self) -> &BTreeMap<String, serde_json::Value> {
        &self.client_payload
    }

    /// The body of GitHub's request ("Create a repository dispatch event"). GitHub answers 204 and nothing.
    #[must_use]
    pub fn body(&self) -> serde_json::Value {
        serde_json::json!({ "event_type": self.event_type, "client_payload": self.client_payload })
    }
}

/// A request would be beyond a limit of GitHub.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{got} {what}, and GitHub takes at most {limit}")]
pub struct LimitExceeded {
    /// What there is too much of, as a plural noun.
    pub what: &'static str,
    /// GitHub's limit.
    pub limit: usize,
    /// What there would have been.
    pub got: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(inputs: BTreeMap<String, String>) -> Result<WorkflowDispatch, LimitExceeded> {
        WorkflowDispatch::new("cd.yml".parse().unwrap(), "main".parse().unwrap(), inputs)
    }

    fn many(count: usize) -> BTreeMap<String, String> {
        (0..count).map(|number| (format!("input{number}"), "x".to_owned())).collect()
    }

    /// Inputs that are so many characters as JSON: `{"a":"..."}` has eight around the value.
    fn long(characters: usize) -> BTreeMap<String, String> {
        [("a".to_owned(), "ä".repeat(characters - 8))].into()
    }

    #[test]
    fn the_body_is_what_github_documents() {
        let body = request([("sha".to_owned(), "\"quoted\"".to_owned())].into()).unwrap().body();
        insta::assert_snapshot!(body, @r#"{"inputs":{"sha":"\"quoted\""},"ref":"main","return_run_details":true}"#);
    }

    #[test]
    fn a_request_beyond_a_limit_does_not_come_into_being() {
        assert!(request(many(25)).is_ok());
        assert!(request(long(65_535)).is_ok());
        assert_eq!(request(many(26)).unwrap_err().to_string(), "26 inputs, and GitHub takes at most 25");
        assert_eq!(
            request(long(65_536)).unwrap_err().to_string(),
            "65536 characters of inputs, and GitHub takes at most 65535",
        );
    }

    #[test]
    fn a_stored_request_is_checked_again() {
        let stored = serde_json::to_value(request(many(25)).unwrap()).unwrap();
        assert_eq!(serde_json::from_value::<WorkflowDispatch>(stored.clone()).unwrap(), request(many(25)).unwrap());
        let mut more = stored;
        more["inputs"]["one more"] = "x".into();
        assert!(serde_json::from_value::<WorkflowDispatch>(more).is_err());
    }
}
