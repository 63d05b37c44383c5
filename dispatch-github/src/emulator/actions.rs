//! Workflows, their runs, and what starts them.

use std::collections::BTreeMap;

use dispatch_core::name::RunId;
use dispatch_core::testing::world::{ApiError, Run, World};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::answer::{Answer, Call};
use super::contents::state;

/// `GET /repos/{owner}/{repo}/actions/workflows/{workflow_id}`
pub(super) fn workflow(world: &mut World, call: &Call) -> Result<Answer, ApiError> {
    let repository = call.repository()?;
    let (file, workflow) = world.workflow(call.token()?, &repository, call.part("workflow"))?;
    Ok(Answer::json(200, &world.json_workflow(state(world, &repository)?, file, workflow)))
}

/// `GET /repos/{owner}/{repo}/actions/workflows`
pub(super) fn workflows(world: &mut World, call: &Call) -> Result<Answer, ApiError> {
    let repository = call.repository()?;
    let found = world.workflows(call.token()?, &repository)?;
    let state = state(world, &repository)?;
    let (page, link) = call.page(world, &found);
    let page: Vec<Value> = page.iter().map(|(file, workflow)| world.json_workflow(state, file, workflow)).collect();
    Ok(Answer::json(200, &json!({ "total_count": found.len(), "workflows": page })).link(link))
}

#[derive(Deserialize)]
struct WorkflowDispatch {
    #[serde(rename = "ref")]
    git_ref: String,
    #[serde(default)]
    inputs: BTreeMap<String, String>,
    #[serde(default)]
    return_run_details: bool,
}

/// `POST /repos/{owner}/{repo}/actions/workflows/{workflow_id}/dispatches`
pub(super) fn workflow_dispatch(world: &mut World, call: &Call) -> Result<Answer, ApiError> {
    let token = call.token()?;
    let body: WorkflowDispatch = call.json()?;
    let workflow = call.part("workflow");
    let id = world.workflow_dispatch(token, &call.repository()?, workflow, &body.git_ref, &body.inputs)?;
    // From API version 2026-03-10 on the details are always there.
    let details = body.return_run_details || call.header("x-github-api-version") == Some("2026-03-10");
    let run = world.runs().find(|run| run.id == id).filter(|_| details && !world.enterprise_server);
    Ok(run.map_or_else(
        || Answer::empty(204),
        |run| {
            let (run_url, html_url) = (world.run_url(run), world.run_page(run));
            Answer::json(200, &json!({ "workflow_run_id": id, "run_url": run_url, "html_url": html_url }))
        },
    ))
}

#[derive(Deserialize)]
struct RepositoryDispatch {
    event_type: String,
    #[serde(default)]
    client_payload: Map<String, Value>,
}

/// `POST /repos/{owner}/{repo}/dispatches`
pub(super) fn repository_dispatch(world: &mut World, call: &Call) -> Result<Answer, ApiError> {
    let body: RepositoryDispatch = call.json()?;
    let payload = Value::Object(body.client_payload);
    world.repository_dispatch(call.token()?, &call.repository()?, &body.event_type, payload)?;
    Ok(Answer::empty(204))
}

/// `GET /repos/{owner}/{repo}/actions/runs`
pub(super) fn runs(world: &mut World, call: &Call) -> Result<Answer, ApiError> {
    let asked = |name: &str, value: &str| call.query(name).is_none_or(|wanted| wanted == value);
    let wanted = |run: &&Run| {
        let conclusion = run.conclusion.map_or("", |conclusion| conclusion.as_str());
        asked("branch", &run.head_branch)
            && asked("event", &run.event)
            && asked("head_sha", run.head_sha.as_str())
            && asked("actor", &run.actor)
            && (asked("status", run.status.as_str()) || asked("status", conclusion))
    };
    let found: Vec<&Run> =
        world.repository_runs(call.token()?, &call.repository()?)?.into_iter().filter(wanted).collect();
    let (page, link) = call.page(world, &found);
    let page: Vec<Value> = page.iter().map(|run| world.json_run(run)).collect();
    Ok(Answer::json(200, &json!({ "total_count": found.len(), "workflow_runs": page })).link(link))
}

/// `GET /repos/{owner}/{repo}/actions/runs/{run_id}`
pub(super) fn run(world: &mut World, call: &Call) -> Result<Answer, ApiError> {
    let run = world.run(call.token()?, &call.repository()?, RunId(call.id("run")?))?;
    Ok(Answer::json(200, &world.json_run(run)))
}
