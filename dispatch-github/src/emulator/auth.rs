//! Who asks: App JWTs, installations and their tokens, rate limits.

use std::collections::BTreeMap;

use axum::http::{HeaderMap, header};
use dispatch_core::name::InstallationId;
use dispatch_core::testing::world::{ApiError, AppIdentity, Caller, Installation, MintRequest, World};
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{Answer, Call, Credential};

/// The longest life of a JWT, in seconds ("Generating a JSON Web Token (JWT) for a GitHub App").
const MAX_JWT_AGE: i64 = 600;
/// How far clocks may differ, in seconds.
const CLOCK_DRIFT: i64 = 60;
/// "API versions"
const API_VERSIONS: [&str; 2] = ["2022-11-28", "2026-03-10"];

/// Reads `Authorization`. Whether a token is good is for the world to say; a JWT is verified here.
pub(super) fn credential(headers: &HeaderMap, app: &AppIdentity, key: &DecodingKey) -> Result<Credential, ApiError> {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(Credential::Nobody) };
    let text = value.to_str().map_err(|_| ApiError::bad_credentials())?;
    let (scheme, credential) = text.split_once(' ').ok_or_else(ApiError::bad_credentials)?;
    if !scheme.eq_ignore_ascii_case("bearer") && !scheme.eq_ignore_ascii_case("token") {
        return Err(ApiError::bad_credentials());
    }
    // A token may have dots too, but it tells its kind by its first letters.
    if credential.starts_with("ghs_") || credential.split('.').count() != 3 {
        return Ok(Credential::Token(credential.to_owned()));
    }
    verify_jwt(credential, app, key).map(|()| Credential::App)
}

/// What GitHub refuses before it looks at anything else.
pub(super) fn refused_headers(call: &Call) -> Option<ApiError> {
    if call.header("user-agent").is_none_or(str::is_empty) {
        return Some(ApiError::new(
            403,
            "Request forbidden by administrative rules. Please make sure your request has a User-Agent header.",
        ));
    }
    let version = call.header("x-github-api-version")?;
    let known = API_VERSIONS.contains(&version);
    (!known).then(|| ApiError::new(400, format!("Version {version} is not a supported version of the API.")))
}

/// The parameters of a query string.
pub(super) fn query(text: &str) -> BTreeMap<String, String> {
    let decode = |text: &str| {
        let spaced = text.replace('+', " ");
        percent_encoding::percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
    };
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).map(|(k, v)| (decode(k), decode(v))).collect()
}

/// `GET /app`
pub(super) fn app(world: &mut World, call: &Call) -> Result<Answer, ApiError> {
    call.app()?;
    Ok(Answer::json(200, &world.json_app()))
}

/// `GET /app/installations`
pub(super) fn installations(world: &mut World, call: &Call) -> Result<Answer, ApiError> {
    call.app()?;
    let all: Vec<&Installation> = world.installations().collect();
    let (page, link) = call.page(world, &all);
    Ok(Answer::list(page.iter().map(|installation| world.json_installation(installation)).collect(), link))
}

/// `GET /app/installations/{installation_id}`
pub(super) fn installation(world: &mut World, call: &Call) -> Result<Answer, ApiError> {
    call.app()?;
    let id = InstallationId(call.id("installation")?);
    let found = world.installations().find(|installation| installation.id == id).ok_or_else(ApiError::not_found)?;
    Ok(Answer::json(200, &world.json_installation(found)))
}

/// `GET /repos/{owner}/{repo}/installation`
pub(super) fn repository_installation(world: &mut World, call: &Call) -> Result<Answer, ApiError> {
    call.app()?;
    let installation = world.installation(&call.repository()?)?;
    Ok(Answer::json(200, &world.json_installation(installation)))
}

/// `GET /users/{username}/installation`, `GET /orgs/{org}/installation`
pub(super) fn account_installation(world: &mut World, call: &Call) -> Result<Answer, ApiError> {
    call.app()?;
    let installation = world.account_installation(call.part("account"))?;
    Ok(Answer::json(200, &world.json_installation(installation)))
}

/// `GET /installation/repositories`
pub(super) fn covered(world: &mut World, call: &Call) -> Result<Answer, ApiError> {
    let all = world.covered(call.token()?)?;
    let (page, link) = call.page(world, &all);
    let repositories: Vec<Value> = page.iter().map(|state| world.json_repository(state)).collect();
    let body = json!({
        "total_count": all.len(),
        "repository_selection": "selected",
        "repositories": repositories,
    });
    Ok(Answer::json(200, &body).link(link))
}

/// `POST /app/installations/{installation_id}/access_tokens`
pub(super) fn mint(world: &mut World, call: &Call) -> Result<Answer, ApiError> {
    call.app()?;
    let request = if call.body.is_empty() { MintRequest::default() } else { call.json()? };
    let minted = world.mint_token(InstallationId(call.id("installation")?), request)?;
    let mut body = json!({
        "token": minted.token,
        "expires_at": Timestamp::from_second(minted.expires_at.as_second()).unwrap_or(minted.expires_at).to_string(),
        "permissions": minted.permissions,
        "repository_selection": "selected",
    });
    if let (Some(ids), Some(body)) = (&minted.repositories, body.as_object_mut()) {
        let covered = world.repositories().filter(|state| ids.contains(&state.id));
        let repositories: Vec<Value> = covered.map(|state| world.json_repository(state)).collect();
        body.insert("repositories".to_owned(), repositories.into());
    }
    Ok(Answer::json(201, &body))
}

/// `GET /rate_limit`
pub(super) fn rate_limit(world: &mut World, call: &Call) -> Result<Answer, ApiError> {
    let rate = world.rate(Caller::Token(call.token()?));
    let core = json!({ "limit": rate.limit, "remaining": rate.remaining, "reset": rate.reset, "used": rate.used });
    let search = json!({ "limit": 30, "remaining": 30, "reset": rate.reset, "used": 0 });
    Ok(Answer::json(200, &json!({ "resources": { "core": core, "search": search }, "rate": core })))
}

#[derive(Deserialize)]
struct Claims {
    iss: Issuer,
    iat: i64,
    exp: i64,
}

/// The App's id as a number or as text, or its client id.
#[derive(Deserialize)]
#[serde(untagged)]
enum Issuer {
    Number(u64),
    Text(String),
}

/// By the machine's own clock, like the client that made it; [`World::advance`] does not age a JWT.
fn verify_jwt(jwt: &str, app: &AppIdentity, key: &DecodingKey) -> Result<(), ApiError> {
    let undecodable = || ApiError::new(401, "A JSON web token could not be decoded");
    let mut validation = Validation::new(Algorithm::RS256);
    // The claims are checked below, with GitHub's words.
    validation.validate_exp = false;
    validation.required_spec_claims.clear();
    let claims = jsonwebtoken::decode::<Claims>(jwt, key, &validation).map_err(|_| undecodable())?.claims;
    let known = match claims.iss {
        Issuer::Number(id) => id == app.id,
        Issuer::Text(text) => text == app.id.to_string() || text == app.client_id,
    };
    if !known {
        return Err(ApiError::new(401, "Integration not found"));
    }
    let now = Timestamp::now().as_second();
    if claims.iat > now + CLOCK_DRIFT {
        return Err(ApiError::new(
            401,
            "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued",
        ));
    }
    if claims.exp <= now {
        return Err(ApiError::new(
            401,
            "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the \
             assertion expires",
        ));
    }
    if claims.exp > now + MAX_JWT_AGE {
        return Err(ApiError::new(401, "'Expiration time' claim ('exp') is too far in the future"));
    }
    Ok(())
}
