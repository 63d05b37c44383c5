//! Check runs.

use dispatch_core::testing::world::{ApiError, World};
use serde_json::{Value, json};

use super::answer::{Answer, Call};
use super::contents::state;

/// `POST /repos/{owner}/{repo}/check-runs`
pub(super) fn create(world: &mut World, call: &Call) -> Result<Answer, ApiError> {
    let repository = call.repository()?;
    let check = world.create_check_run(call.token()?, &repository, call.json()?)?;
    Ok(Answer::json(201, &world.json_check_run(state(world, &repository)?, &check)))
}

/// `PATCH /repos/{owner}/{repo}/check-runs/{check_run_id}`
pub(super) fn update(world: &mut World, call: &Call) -> Result<Answer, ApiError> {
    let repository = call.repository()?;
    let check = world.update_check_run(call.token()?, &repository, call.id("check")?, call.json()?)?;
    Ok(Answer::json(200, &world.json_check_run(state(world, &repository)?, &check)))
}

/// `GET /repos/{owner}/{repo}/commits/{ref}/check-runs`
pub(super) fn list(world: &mut World, call: &Call) -> Result<Answer, ApiError> {
    let repository = call.repository()?;
    let (name, latest) = (call.query("check_name"), call.query("filter") != Some("all"));
    let mut found = world.check_runs_of(call.token()?, &repository, call.part("commit"), name, latest)?;
    let app = world.app().id.to_string();
    // Every check run here is of the one App.
    found.retain(|check| {
        call.query("status").is_none_or(|status| status == check.status)
            && call.query("app_id").is_none_or(|id| id == app)
    });
    let state = state(world, &repository)?;
    let (page, link) = call.page(world, &found);
    let page: Vec<Value> = page.iter().map(|check| world.json_check_run(state, check)).collect();
    Ok(Answer::json(200, &json!({ "total_count": found.len(), "check_runs": page })).link(link))
}

/// `GET /repos/{owner}/{repo}/check-runs/{check_run_id}/annotations`
pub(super) fn annotations(world: &mut World, call: &Call) -> Result<Answer, ApiError> {
    let (repository, check) = (call.repository()?, call.id("check")?);
    let found = world.annotations(call.token()?, &repository, check)?;
    let state = state(world, &repository)?;
    let (page, link) = call.page(world, found);
    Ok(Answer::list(page.iter().map(|one| world.json_annotation(state, check, one)).collect(), link))
}
