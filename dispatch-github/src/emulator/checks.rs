//! Check runs.

use dispatch_core::testing::world::{ApiError, World};

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
