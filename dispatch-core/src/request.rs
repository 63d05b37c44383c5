//! What is asked of GitHub. A request that exists is within GitHub's limits: nothing is ever cut.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::name::{GitRef, WorkflowFile};
use crate::policy::Start;

/// A request that starts something in a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DispatchRequest {
    /// `POST /repos/{owner}/{repo}/actions/workflows/{workflow_id}/dispatches`
    Workflow(WorkflowDispatch),
}

impl DispatchRequest {
    /// What the request starts.
    #[must_use]
    pub fn start(&self) -> Start {
        match self {
            Self::Workflow(request) => Start::Workflow(request.workflow.clone()),
        }
    }
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
