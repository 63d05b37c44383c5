//! Workflows: what their files say, and GitHub's state of them.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_yaml::Value;

use super::{Access, ApiError, World, WorldError};
use crate::Timestamp;
use crate::name::{CommitSha, Repository, RepositoryId, WorkflowFile};

/// A workflow, as GitHub remembers it.
#[derive(Debug, Clone)]
pub struct Workflow {
    /// Its id.
    pub id: u64,
    /// Its name: what the file says, or else its path.
    pub name: String,
    /// Whether it can run.
    pub state: WorkflowState,
    /// When GitHub saw it first.
    pub created_at: Timestamp,
    /// When its state last changed.
    pub updated_at: Timestamp,
    /// How many runs it had: the number of the last one.
    pub runs: u64,
}

/// Whether a workflow can run, in GitHub's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the words are GitHub's own")]
pub enum WorkflowState {
    Active,
    Deleted,
    DisabledFork,
    DisabledInactivity,
    DisabledManually,
}

/// What a workflow file says, as far as a dispatch needs it.
#[derive(Debug, Default)]
pub(super) struct WorkflowText {
    pub(super) name: Option<String>,
    pub(super) triggers: BTreeSet<String>,
    pub(super) inputs: BTreeMap<String, Input>,
    /// The title of its runs, as it is written.
    pub(super) run_name: Option<String>,
    /// The types of `repository_dispatch` that it listens to; None: every type.
    event_types: Option<BTreeSet<String>>,
}

/// A declared input.
#[derive(Debug, Default)]
pub(super) struct Input {
    pub(super) required: bool,
    pub(super) has_default: bool,
    /// The values of a `choice`.
    pub(super) options: Vec<String>,
}

impl WorkflowText {
    /// Reads a workflow file; a broken one has no trigger.
    pub(super) fn read(bytes: &[u8]) -> Self {
        let Ok(document) = serde_yaml::from_slice::<Value>(bytes) else { return Self::default() };
        let name = document.get("name").and_then(Value::as_str).map(str::to_owned);
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let (triggers, dispatch) = match document.get("on") {
            Some(Value::String(one)) => (BTreeSet::from([one.clone()]), None),
            Some(Value::Sequence(some)) => (some.iter().filter_map(text).collect(), None),
            Some(on @ Value::Mapping(some)) => {
                (some.iter().filter_map(|(name, _)| text(name)).collect(), on.get("workflow_dispatch"))
            }
            _ => (BTreeSet::new(), None),
        };
        let types = document.get("on").and_then(|on| on.get("repository_dispatch")?.get("types"));
        let event_types = types.map(|types| match types {
            Value::Sequence(types) => types.iter().filter_map(text).collect(),
            one => text(one).into_iter().collect(),
        });
        let run_name = document.get("run-name").and_then(text);
        let declared = dispatch.and_then(|dispatch| dispatch.get("inputs")).and_then(Value::as_mapping);
        let inputs = declared.into_iter().flatten().filter_map(|(name, input)| Some((text(name)?, Input::read(input))));
        Self { name, triggers, inputs: inputs.collect(), run_name, event_types }
    }

    /// Whether a `repository_dispatch` of this type starts it.
    pub(super) fn listens_to(&self, event_type: &str) -> bool {
        self.triggers.contains("repository_dispatch")
            && self.event_types.as_ref().is_none_or(|types| types.contains(event_type))
    }

    /// The title of a run: `run-name` with its `${{ … }}`, each a path into `context` such as `github.event.action`, or
    /// nothing where there is no such value. None: the workflow sets no title.
    pub(super) fn run_title(&self, context: &serde_json::Value) -> Option<String> {
        let mut rest = self.run_name.as_deref()?;
        let mut title = String::new();
        while let Some((before, (path, after))) =
            rest.split_once("${{").and_then(|(before, after)| Some((before, after.split_once("}}")?)))
        {
            let value = path.trim().split('.').try_fold(context, |value, name| value.get(name));
            title.push_str(before);
            title.push_str(&value.map_or_else(String::new, crate::request::as_text));
            rest = after;
        }
        title.push_str(rest);
        Some(title)
    }
}

impl Input {
    fn read(input: &Value) -> Self {
        let options = input.get("options").and_then(Value::as_sequence);
        let is_choice = input.get("type").and_then(Value::as_str) == Some("choice");
        Self {
            required: input.get("required").and_then(Value::as_bool).unwrap_or(false),
            has_default: input.get("default").is_some_and(|default| !default.is_null()),
            options: options
                .filter(|_| is_choice)
                .into_iter()
                .flatten()
                .filter_map(|option| option.as_str().map(str::to_owned))
                .collect(),
        }
    }
}

impl World {
    /// Sets whether a workflow can run.
    ///
    /// # Errors
    /// There is no such repository or workflow.
    pub fn set_workflow_state(
        &mut self,
        repository: &Repository,
        workflow: &str,
        state: WorkflowState,
    ) -> Result<(), WorldError> {
        let id = self.repository_id(repository)?;
        let now = self.now();
        let workflow = self.repository_mut(id)?.workflows.get_mut(workflow);
        let workflow = workflow.ok_or_else(|| WorldError(format!("`{repository}` has no such workflow")))?;
        (workflow.state, workflow.updated_at) = (state, now);
        Ok(())
    }

    /// A workflow by its file name or its id (`GET /repos/{owner}/{repo}/actions/workflows/{workflow_id}`), with its file
    /// name.
    ///
    /// # Errors
    /// GitHub's refusals.
    pub fn workflow(
        &self,
        token: &str,
        repository: &Repository,
        workflow: &str,
    ) -> Result<(&str, &Workflow), ApiError> {
        let id = self.authorize(token, repository, &[("actions", Access::Read)])?;
        self.find_workflow(id, workflow)
    }

    /// The workflows on the default branch, with their file names (`GET /repos/{owner}/{repo}/actions/workflows`).
    ///
    /// # Errors
    /// GitHub's refusals.
    pub fn workflows(&self, token: &str, repository: &Repository) -> Result<Vec<(&str, &Workflow)>, ApiError> {
        let id = self.authorize(token, repository, &[("actions", Access::Read)])?;
        let commit = self.default_head(id).and_then(|head| self.commit_of(id, &head));
        let there = |file: &str| {
            commit.is_some_and(|commit| commit.files.contains_key(&format!("{}{file}", WorkflowFile::FOLDER)))
        };
        let known = self.state(id)?.workflows.iter().map(|(file, workflow)| (file.as_str(), workflow));
        Ok(known.filter(|(file, _)| there(file)).collect())
    }

    pub(super) fn find_workflow(&self, id: RepositoryId, workflow: &str) -> Result<(&str, &Workflow), ApiError> {
        let workflows = &self.state(id)?.workflows;
        let found = match workflow.parse::<u64>() {
            Ok(number) => workflows.iter().find(|(_, known)| known.id == number),
            Err(_) => workflows.get_key_value(workflow),
        };
        found.map(|(file, workflow)| (file.as_str(), workflow)).ok_or_else(ApiError::not_found)
    }

    /// What the workflow says at a commit; None where the commit does not have it.
    pub(super) fn workflow_text(&self, id: RepositoryId, file: &str, sha: &CommitSha) -> Option<WorkflowText> {
        let path = format!("{}{file}", WorkflowFile::FOLDER);
        let bytes = self.commit_of(id, sha)?.files.get(&path)?;
        Some(WorkflowText::read(bytes))
    }

    /// GitHub knows a workflow once its file was on the default branch.
    pub(super) fn note_workflows(&mut self, id: RepositoryId) {
        let Some(head) = self.default_head(id) else { return };
        let Some(commit) = self.commit_of(id, &head) else { return };
        let on_branch = |path: &String| {
            path.strip_prefix(WorkflowFile::FOLDER)
                .filter(|file| file.parse::<WorkflowFile>().is_ok())
                .map(str::to_owned)
        };
        let files: Vec<(String, WorkflowText)> = commit
            .files
            .iter()
            .filter_map(|(path, bytes)| Some((on_branch(path)?, WorkflowText::read(bytes))))
            .collect();
        for (file, text) in files {
            let name = text.name.unwrap_or_else(|| format!("{}{file}", WorkflowFile::FOLDER));
            let (new_id, now) = (self.next_id(), self.now());
            let Some(state) = self.repositories.get_mut(&id) else { return };
            let workflow = state.workflows.entry(file).or_insert_with(|| Workflow {
                id: new_id,
                name: String::new(),
                state: WorkflowState::Active,
                created_at: now,
                updated_at: now,
                runs: 0,
            });
            workflow.name = name;
        }
    }
}
