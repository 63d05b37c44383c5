//! Issues and their comments.

use dispatch_core::testing::world::{ApiError, Comment, Issue, IssueChange, World};
use serde::Deserialize;
use serde_json::Value;

use super::answer::{Answer, Call};
use super::contents::state;

#[derive(Deserialize)]
struct Create {
    title: String,
    body: Option<String>,
    #[serde(default)]
    labels: Vec<String>,
}

/// `POST /repos/{owner}/{repo}/issues`
pub(super) fn create(world: &mut World, call: &Call) -> Result<Answer, ApiError> {
    let repository = call.repository()?;
    let Create { title, body, labels } = call.json()?;
    let issue = world.create_issue(call.token()?, &repository, &title, body.as_deref(), labels)?;
    Ok(Answer::json(201, &world.json_issue(state(world, &repository)?, &issue)))
}

/// `GET /repos/{owner}/{repo}/issues`
pub(super) fn list(world: &mut World, call: &Call) -> Result<Answer, ApiError> {
    let repository = call.repository()?;
    let open = match call.query("state") {
        None | Some("open") => Some(true),
        Some("closed") => Some(false),
        Some(_) => None,
    };
    let labelled = |issue: &&Issue| {
        let mut wanted = call.query("labels").into_iter().flat_map(|labels| labels.split(','));
        wanted.all(|wanted| issue.labels.iter().any(|label| label == wanted))
    };
    let made = |issue: &&Issue| call.query("creator").is_none_or(|login| issue.author.eq_ignore_ascii_case(login));
    let found = world.issues(call.token()?, &repository, open)?;
    let found: Vec<&Issue> = found.into_iter().filter(labelled).filter(made).collect();
    let state = state(world, &repository)?;
    let (page, link) = call.page(world, &found);
    Ok(Answer::list(page.iter().map(|issue| world.json_issue(state, issue)).collect(), link))
}

#[derive(Deserialize)]
struct Update {
    title: Option<String>,
    body: Option<String>,
    labels: Option<Vec<String>>,
    state: Option<IssueState>,
}

#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum IssueState {
    Open,
    Closed,
}

/// `PATCH /repos/{owner}/{repo}/issues/{issue_number}`
pub(super) fn update(world: &mut World, call: &Call) -> Result<Answer, ApiError> {
    let repository = call.repository()?;
    let Update { title, body, labels, state: wanted } = call.json()?;
    let change = IssueChange { title, body, labels, open: wanted.map(|wanted| wanted == IssueState::Open) };
    let issue = world.update_issue(call.token()?, &repository, call.id("number")?, change)?;
    Ok(Answer::json(200, &world.json_issue(state(world, &repository)?, &issue)))
}

#[derive(Deserialize)]
struct Body {
    body: String,
}

/// `POST /repos/{owner}/{repo}/issues/{issue_number}/comments`
pub(super) fn comment(world: &mut World, call: &Call) -> Result<Answer, ApiError> {
    let repository = call.repository()?;
    let Body { body } = call.json()?;
    let comment = world.create_comment(call.token()?, &repository, call.id("number")?, &body)?;
    Ok(Answer::json(201, &world.json_comment(state(world, &repository)?, &comment)))
}

/// `GET /repos/{owner}/{repo}/issues/{issue_number}/comments`
pub(super) fn comments(world: &mut World, call: &Call) -> Result<Answer, ApiError> {
    let repository = call.repository()?;
    let found: Vec<&Comment> = world.comments(call.token()?, &repository, call.id("number")?)?;
    let state = state(world, &repository)?;
    let (page, link) = call.page(world, &found);
    let page: Vec<Value> = page.iter().map(|comment| world.json_comment(state, comment)).collect();
    Ok(Answer::list(page, link))
}

/// `PATCH /repos/{owner}/{repo}/issues/comments/{comment_id}`
pub(super) fn update_comment(world: &mut World, call: &Call) -> Result<Answer, ApiError> {
    let repository = call.repository()?;
    let Body { body } = call.json()?;
    let comment = world.update_comment(call.token()?, &repository, call.id("comment")?, &body)?;
    Ok(Answer::json(200, &world.json_comment(state(world, &repository)?, &comment)))
}

#[derive(Deserialize)]
struct React {
    content: String,
}

/// `POST /repos/{owner}/{repo}/issues/comments/{comment_id}/reactions`
pub(super) fn react(world: &mut World, call: &Call) -> Result<Answer, ApiError> {
    let React { content } = call.json()?;
    let (reaction, new) = world.react(call.token()?, &call.repository()?, call.id("comment")?, &content)?;
    Ok(Answer::json(if new { 201 } else { 200 }, &world.json_reaction(&reaction)))
}
