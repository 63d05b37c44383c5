//! Repositories, files and comparisons.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use dispatch_core::testing::world::{ApiError, Contents, RepositoryState, World};
use serde::Deserialize;

use super::answer::{Answer, Call};

/// `GET /repos/{owner}/{repo}`
pub(super) fn repository(world: &mut World, call: &Call) -> Result<Answer, ApiError> {
    let state = world.repository(call.token()?, &call.repository()?)?;
    Ok(Answer::json(200, &world.json_full_repository(state)))
}

/// `GET /repos/{owner}/{repo}/contents/{path}`
pub(super) fn read(world: &mut World, call: &Call) -> Result<Answer, ApiError> {
    let repository = call.repository()?;
    let if_none_match = call.header("if-none-match");
    let contents = world.contents(call.token()?, &repository, call.part("path"), call.query("ref"), if_none_match)?;
    let etag = match &contents {
        Contents::NotModified { etag } | Contents::File { etag, .. } | Contents::Directory { etag, .. } => etag.clone(),
    };
    let raw = call.header("accept").is_some_and(|accept| accept.contains("raw"));
    let answer = match &contents {
        Contents::NotModified { .. } => Answer::empty(304),
        Contents::File { bytes, .. } if raw => {
            Answer::bytes(200, "application/vnd.github.raw+json; charset=utf-8", bytes.to_vec())
        }
        _ => Answer::json(200, &world.json_contents(state(world, &repository)?, &contents, encoded)),
    };
    Ok(answer.header("ETag", etag))
}

#[derive(Deserialize)]
struct Write {
    #[allow(dead_code, reason = "required by GitHub, and of no use here")]
    message: String,
    content: String,
    sha: Option<String>,
    branch: Option<String>,
}

/// `PUT /repos/{owner}/{repo}/contents/{path}`
pub(super) fn write(world: &mut World, call: &Call) -> Result<Answer, ApiError> {
    let (repository, path) = (call.repository()?, call.part("path"));
    let body: Write = call.json()?;
    let unspaced: String = body.content.split_whitespace().collect();
    let bytes = STANDARD.decode(unspaced).map_err(|_| ApiError::unprocessable("content is not valid Base64"))?;
    let (branch, sha) = (body.branch.as_deref(), body.sha.as_deref());
    let written = world.write_contents(call.token()?, &repository, path, &bytes, branch, sha)?;
    let json = world.json_written(state(world, &repository)?, path, bytes.len(), &written);
    Ok(Answer::json(if written.created { 201 } else { 200 }, &json))
}

/// `GET /repos/{owner}/{repo}/compare/{basehead}`
pub(super) fn compare(world: &mut World, call: &Call) -> Result<Answer, ApiError> {
    let repository = call.repository()?;
    let basehead = call.part("basehead");
    let (base, head) = basehead.split_once("...").ok_or_else(ApiError::not_found)?;
    let comparison = world.compare(call.token()?, &repository, base, head)?;
    Ok(Answer::json(200, &world.json_comparison(state(world, &repository)?, basehead, &comparison)))
}

/// The repository of a request that was answered already.
pub(super) fn state<'a>(
    world: &'a World,
    repository: &dispatch_core::name::Repository,
) -> Result<&'a RepositoryState, ApiError> {
    world.repositories().find(|state| state.name == *repository).ok_or_else(ApiError::not_found)
}

/// Base64 in lines of 60 characters, as GitHub sends it.
fn encoded(bytes: &[u8]) -> String {
    let text = STANDARD.encode(bytes);
    let mut lines = String::with_capacity(text.len() + text.len() / 60 + 1);
    for (position, letter) in text.chars().enumerate() {
        if position > 0 && position % 60 == 0 {
            lines.push('\n');
        }
        lines.push(letter);
    }
    lines.push('\n');
    lines
}
