//! GitHub's log of the webhooks that it tried to deliver to the App.

use dispatch_core::Timestamp;
use dispatch_core::ports::delivery_log::{AttemptPage, DeliveryAttempt};
use dispatch_core::ports::github::GitHubError;
use http::{HeaderMap, Method};

use crate::answer::{self, Effect, escape};
use crate::app::{self, App, parse, unavailable};
use crate::link;
use crate::path::ApiPath;
use crate::wire;

/// A page holds 100 attempts of less than 1 KiB.
const LOG_LIMIT: usize = 1024 * 1024;
/// GitHub's are about 20 characters.
const CURSOR_LIMIT: usize = 200;
/// GitHub's words for how an attempt ended are short.
const STATUS_CHARACTERS: usize = 200;
const NAME_CHARACTERS: usize = 100;

impl App {
    pub(crate) async fn attempts(&self, cursor: Option<&str>) -> Result<AttemptPage, GitHubError> {
        let path = ApiPath::deliveries(cursor);
        let answer = self.call(Method::GET, &path, None, Effect::Read, LOG_LIMIT).await?;
        if !answer.status.is_success() {
            return Err(answer::failure(&answer, Effect::Read, Timestamp::now()));
        }
        let attempts: Vec<wire::Attempt> = parse(&answer)?;
        Ok(AttemptPage { attempts: attempts.into_iter().map(attempt).collect(), next: next(&answer.headers)? })
    }

    pub(crate) async fn redeliver(&self, attempt: u64) -> Result<(), GitHubError> {
        let path = ApiPath::delivery_attempts(attempt);
        let answer = self.call(Method::POST, &path, None, Effect::Write, app::BODY_LIMIT).await?;
        if answer.status.is_success() {
            return Ok(());
        }
        Err(answer::failure(&answer, Effect::Write, Timestamp::now()))
    }
}

fn attempt(attempt: wire::Attempt) -> DeliveryAttempt {
    let status = attempt.status.unwrap_or_default();
    let name = |name: String| escape(&name, NAME_CHARACTERS);
    DeliveryAttempt {
        id: attempt.id,
        delivery: attempt.guid,
        delivered_at: attempt.delivered_at,
        // A redirect is not followed, so that its webhook never arrived; GitHub says `OK` to what did.
        succeeded: attempt.status_code.is_some_and(|code| (200..400).contains(&code)) && status == "OK",
        status: escape(&status, STATUS_CHARACTERS),
        event: name(attempt.event.unwrap_or_default()),
        action: attempt.action.map(name),
        repository: attempt.repository_id,
    }
}

/// The cursor of the next page: the only thing that is taken from a `Link` header. A next page that cannot be asked for is
/// an error, because whoever reads must not believe that this was all.
fn next(headers: &HeaderMap) -> Result<Option<String>, GitHubError> {
    let Some(query) = link::query(headers, "next") else { return Ok(None) };
    let cursor = link::parameter(query, "cursor");
    match cursor {
        Some(cursor) if valid(&cursor) => Ok(Some(cursor)),
        _ => Err(unavailable("the next page of the delivery log cannot be asked for")),
    }
}

fn valid(cursor: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'=' | b'+' | b'/' | b':');
    (1..=CURSOR_LIMIT).contains(&cursor.len()) && cursor.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use http::header::LINK;

    use super::*;

    #[test]
    fn of_a_link_header_only_the_next_cursor_is_taken() {
        let api = "https://api.github.com/app/hook/deliveries";
        for (link, expected) in [
            (String::new(), Ok(None)),
            (format!("<{api}?per_page=100&cursor=v1_12077215967>; rel=\"next\""), Ok(Some("v1_12077215967"))),
            (format!("<{api}?cursor=v1%5F1%3D&per_page=100>; rel=\"next\""), Ok(Some("v1_1="))),
            (format!("<{api}?cursor=a>; rel=\"prev\", <{api}?cursor=b>; rel=\"next\""), Ok(Some("b"))),
            (format!("<{api}?cursor=a>; rel=\"prev\""), Ok(None)),
            ("<https://evil.example/?cursor=b>; rel=\"next\"".to_owned(), Ok(Some("b"))),
            (format!("<{api}?cursor=a%20b>; rel=\"next\""), Err(())),
            (format!("<{api}?cursor=%0d%0a>; rel=\"next\""), Err(())),
            (format!("<{api}?cursor=>; rel=\"next\""), Err(())),
            (format!("<{api}?cursor={}>; rel=\"next\"", "a".repeat(201)), Err(())),
            (format!("<{api}?page=2>; rel=\"next\""), Err(())),
            ("rel=\"next\"".to_owned(), Err(())),
        ] {
            let headers = HeaderMap::from_iter([(LINK, link.parse().unwrap())]);
            let told = next(&headers).map_err(drop);
            assert_eq!(told, expected.map(|cursor| cursor.map(str::to_owned)), "{link}");
        }
        assert_eq!(next(&HeaderMap::new()), Ok(None));
    }
}
