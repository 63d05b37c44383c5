//! Pull requests.

use dispatch_core::testing::world::{ApiError, World};

use super::answer::{Answer, Call};
use super::contents::state;

/// `GET /repos/{owner}/{repo}/pulls/{pull_number}`
pub(super) fn one(world: &mut World, call: &Call) -> Result<Answer, ApiError> {
    let repository = call.repository()?;
    let (issue, pull) = world.pull_request(call.token()?, &repository, call.id("number")?)?;
    Ok(Answer::json(200, &world.json_pull_request(state(world, &repository)?, issue, pull)))
}

/// `GET /repos/{owner}/{repo}/pulls`
pub(super) fn list(world: &mut World, call: &Call) -> Result<Answer, ApiError> {
    let repository = call.repository()?;
    let open = match call.query("state") {
        None | Some("open") => Some(true),
        Some("closed") => Some(false),
        Some(_) => None,
    };
    let mut found = world.pull_requests(call.token()?, &repository, open)?;
    found.retain(|(_, pull)| {
        let head = format!("{}:{}", pull.head_owner, pull.head_branch);
        call.query("base").is_none_or(|base| base == pull.base)
            && call.query("head").is_none_or(|wanted| wanted == head)
    });
    let (by_update, ascending) = (call.query("sort") == Some("updated"), call.query("direction") == Some("asc"));
    if by_update {
        found.sort_by_key(|(issue, _)| std::cmp::Reverse(issue.updated_at));
    }
    if ascending {
        found.reverse();
    }
    let state = state(world, &repository)?;
    let (page, link) = call.page(world, &found);
    let page = page.iter().map(|(issue, pull)| world.json_simple_pull_request(state, issue, pull));
    Ok(Answer::list(page.collect(), link))
}
