//! What an answer that is no success means: refused for good, not now, not with this token, or in doubt.

use std::time::Duration;

use dispatch_core::Timestamp;
use dispatch_core::ports::github::{GitHubError, RateLimitReset};
use http::{HeaderMap, StatusCode};

use crate::transport::{Answer, Body, NoAnswer};
use crate::wire;

/// Whether a request changes something at GitHub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    Read,
    Write,
}

/// GitHub's messages are cut here.
const MESSAGE_CHARACTERS: usize = 1_000;
/// Nobody waits longer than this for a rate limit: GitHub's own ones end within the hour.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// Classifies an answer that is no success.
///
/// | status | read | write |
/// |---|---|---|
/// | 403, 429 with `retry-after`, nothing remaining, or a secondary limit's text; any other 429 | rate-limited | rate-limited |
/// | 401 | unavailable: a fresh token was refused too | unavailable: certainly not done |
/// | 408, 1xx, 5xx, unknown ones | unavailable | in doubt |
/// | 3xx, and every other 4xx | refused | refused |
pub(crate) fn failure(answer: &Answer, effect: Effect, now: Timestamp) -> GitHubError {
    let status = answer.status;
    let message = message(answer);
    if let Some(until) = rate_limit(answer, &message, now) {
        return GitHubError::RateLimited { until, message };
    }
    match status.as_u16() {
        401 => GitHubError::Unavailable(format!("it does not accept the App's credentials ({status}): {message}")),
        300..=407 | 409..=499 => {
            GitHubError::Refused { status: status.as_u16(), message, permission: permission(&answer.headers) }
        }
        _ if status.to_string().ends_with(&message) => nothing_said(status.to_string(), effect),
        _ => nothing_said(format!("{status}: {message}"), effect),
    }
}

/// Classifies a request that was not answered.
pub(crate) fn no_answer(no_answer: NoAnswer, effect: Effect) -> GitHubError {
    match no_answer {
        NoAnswer::NotSent(error) => GitHubError::Unavailable(error),
        NoAnswer::Lost(error) => nothing_said(error, effect),
    }
}

/// When GitHub answers again, if this answer is a rate limit.
pub(crate) fn limited(answer: &Answer, now: Timestamp) -> Option<RateLimitReset> {
    let may_be = matches!(answer.status, StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS);
    if may_be { rate_limit(answer, &message(answer), now) } else { None }
}

/// Whether the App's installation was suspended: then its tokens are good for nothing.
pub(crate) fn suspended(answer: &Answer) -> bool {
    answer.status == StatusCode::FORBIDDEN && message(answer).contains("installation has been suspended")
}

/// A success whose body a read needed, and could not read.
pub(crate) fn unreadable(answer: &Answer) -> GitHubError {
    let why = match &answer.body {
        Body::Whole(_) => "cannot be understood",
        Body::Cut(_) => "is too long",
        Body::Broken(error) => error,
    };
    GitHubError::Unavailable(format!("{}, but its body: {why}", answer.status))
}

/// One line of at most `limit` characters. What could act on a terminal, a log or a reading direction is escaped.
pub(crate) fn escape(text: &str, limit: usize) -> String {
    let mut line = String::new();
    for c in text.chars().take(limit) {
        if c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
        {
            line.extend(c.escape_unicode());
        } else {
            line.push(c);
        }
    }
    match line.char_indices().nth(limit) {
        Some((end, _)) => {
            line.truncate(end);
            line
        }
        None => line,
    }
}

fn nothing_said(error: String, effect: Effect) -> GitHubError {
    match effect {
        Effect::Read => GitHubError::Unavailable(error),
        Effect::Write => GitHubError::InDoubt(error),
    }
}

/// GitHub's own message, else what its status means.
fn message(answer: &Answer) -> String {
    let own = match &answer.body {
        Body::Whole(bytes) => serde_json::from_slice::<wire::Refusal<'_>>(bytes).ok(),
        Body::Cut(_) | Body::Broken(_) => None,
    };
    match own {
        Some(refusal) => escape(&refusal.message, MESSAGE_CHARACTERS),
        None => answer.status.canonical_reason().unwrap_or("<unknown status code>").to_owned(),
    }
}

/// "Rate limits for the REST API": `retry-after` counts first, then `x-ratelimit-reset` where nothing remains.
fn rate_limit(answer: &Answer, message: &str, now: Timestamp) -> Option<RateLimitReset> {
    let status = answer.status;
    if !matches!(status, StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS) {
        return None;
    }
    let header = |name| answer.headers.get(name)?.to_str().ok()?.trim().parse::<u64>().ok();
    if let Some(seconds) = header("retry-after") {
        return Some(RateLimitReset::After(Duration::from_secs(seconds).min(LONGEST_WAIT)));
    }
    if header("x-ratelimit-remaining") == Some(0) {
        return Some(header("x-ratelimit-reset").and_then(|second| at(second, now)).unwrap_or(RateLimitReset::Unknown));
    }
    let message = message.to_ascii_lowercase();
    let secondary = ["secondary rate limit", "rate limit exceeded", "temporarily blocked", "abuse detection"];
    (status == StatusCode::TOO_MANY_REQUESTS || secondary.iter().any(|text| message.contains(text)))
        .then_some(RateLimitReset::Unknown)
}

fn at(second: u64, now: Timestamp) -> Option<RateLimitReset> {
    let reset = Timestamp::from_second(i64::try_from(second).ok()?).ok()?;
    let latest = now.checked_add(LONGEST_WAIT).ok()?;
    Some(RateLimitReset::At(reset.min(latest)))
}

fn permission(headers: &HeaderMap) -> Option<String> {
    let wanted = headers.get("x-accepted-github-permissions")?.to_str().ok()?;
    Some(escape(wanted, 200))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn answer(status: u16, headers: &[(&'static str, &str)], body: &str) -> Answer {
        let status = StatusCode::from_u16(status).unwrap();
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        Answer { status, headers, body: Body::Whole(body.into()) }
    }

    fn now() -> Timestamp {
        "2026-11-20T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn every_class_of_answer() {
        use Effect::{Read, Write};
        let limit = r#"{"message":"You have exceeded a secondary rate limit. Please wait a few minutes before you try again."}"#;
        let blocked = r#"{"message":"You have been temporarily blocked from content creation. Please retry your request again later."}"#;
        let gone = r#"{"message":"Not Found"}"#;
        type Row<'a> = (&'a str, u16, &'a [(&'static str, &'a str)], &'a str, Effect);
        let rows: &[Row<'_>] = &[
            ("retry-after", 403, &[("retry-after", "7")], "{}", Write),
            ("retry-after before the reset", 429, &[("retry-after", "7"), ("x-ratelimit-remaining", "0")], "", Read),
            ("absurd retry-after", 429, &[("retry-after", "18446744073709551615")], "", Read),
            ("nothing remains", 403, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1795176100")], "", Write),
            (
                "nothing remains, absurd reset",
                403,
                &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "253402300799")],
                "",
                Write,
            ),
            ("nothing remains, no reset", 429, &[("x-ratelimit-remaining", "0")], "", Write),
            ("secondary limit", 403, &[], limit, Write),
            ("content creation", 403, &[], blocked, Write),
            ("429 alone", 429, &[], "", Read),
            (
                "forbidden",
                403,
                &[("x-accepted-github-permissions", "actions=write")],
                r#"{"message":"Resource not accessible by integration"}"#,
                Write,
            ),
            ("not found", 404, &[], gone, Write),
            ("not found, nothing remaining", 404, &[("x-ratelimit-remaining", "0")], gone, Write),
            ("gone", 410, &[], "", Write),
            ("not accepted", 422, &[], r#"{"message":"No ref found for: \u001b[31mx"}"#, Write),
            ("bad token", 401, &[], r#"{"message":"Bad credentials"}"#, Write),
            ("redirect", 307, &[("location", "http://elsewhere/")], "", Write),
            ("request time-out", 408, &[], "", Write),
            ("bad gateway, write", 502, &[], "<html>", Write),
            ("bad gateway, read", 502, &[], "<html>", Read),
            ("unknown status", 799, &[], "", Write),
        ];
        let told: Vec<String> = rows
            .iter()
            .map(|(case, status, headers, body, effect)| {
                format!("{case}: {:?}", failure(&answer(*status, headers, body), *effect, now()))
            })
            .collect();
        insta::assert_snapshot!(told.join("\n"), @r#"
        retry-after: RateLimited { until: After(7s), message: "Forbidden" }
        retry-after before the reset: RateLimited { until: After(7s), message: "Too Many Requests" }
        absurd retry-after: RateLimited { until: After(86400s), message: "Too Many Requests" }
        nothing remains: RateLimited { until: At(2026-11-20T12:01:40Z), message: "Forbidden" }
        nothing remains, absurd reset: RateLimited { until: Unknown, message: "Forbidden" }
        nothing remains, no reset: RateLimited { until: Unknown, message: "Too Many Requests" }
        secondary limit: RateLimited { until: Unknown, message: "You have exceeded a secondary rate limit. Please wait a few minutes before you try again." }
        content creation: RateLimited { until: Unknown, message: "You have been temporarily blocked from content creation. Please retry your request again later." }
        429 alone: RateLimited { until: Unknown, message: "Too Many Requests" }
        forbidden: Refused { status: 403, message: "Resource not accessible by integration", permission: Some("actions=write") }
        not found: Refused { status: 404, message: "Not Found", permission: None }
        not found, nothing remaining: Refused { status: 404, message: "Not Found", permission: None }
        gone: Refused { status: 410, message: "Gone", permission: None }
        not accepted: Refused { status: 422, message: "No ref found for: \\u{1b}[31mx", permission: None }
        bad token: Unavailable("it does not accept the App's credentials (401 Unauthorized): Bad credentials")
        redirect: Refused { status: 307, message: "Temporary Redirect", permission: None }
        request time-out: InDoubt("408 Request Timeout")
        bad gateway, write: InDoubt("502 Bad Gateway")
        bad gateway, read: Unavailable("502 Bad Gateway")
        unknown status: InDoubt("799 <unknown status code>")
        "#);
    }

    #[test]
    fn messages_are_one_bounded_harmless_line() {
        assert_eq!(escape("a\nb\u{202e}c", 100), "a\\u{a}b\\u{202e}c");
        assert_eq!(escape(&"\n".repeat(100), 10).chars().count(), 10);
        assert_eq!(escape(&"ä".repeat(2_000), MESSAGE_CHARACTERS).chars().count(), 1_000);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn any_answer_has_a_class_and_only_writes_are_in_doubt(
            status in 100u16..1_000,
            headers in prop::collection::vec((
                prop::sample::select(vec!["retry-after", "x-ratelimit-remaining", "x-ratelimit-reset", "x-accepted-github-permissions"]),
                prop::collection::vec(any::<u8>().prop_filter("a legal header byte", |b| *b >= 32 && *b != 127), 0..24),
            ), 0..5),
            body in prop_oneof![
                prop::collection::vec(any::<u8>(), 0..200),
                "\\PC*".prop_map(|text| serde_json::json!({ "message": text }).to_string().into_bytes()),
            ],
            write in any::<bool>(),
        ) {
            let headers = headers.into_iter().map(|(name, value)| {
                (http::HeaderName::from_static(name), http::HeaderValue::from_bytes(&value).unwrap())
            }).collect();
            let answer = Answer { status: StatusCode::from_u16(status).unwrap(), headers, body: Body::Whole(body) };
            let effect = if write { Effect::Write } else { Effect::Read };
            match failure(&answer, effect, now()) {
                GitHubError::InDoubt(_) => prop_assert!(write && !(300..500).contains(&status) || status == 408),
                GitHubError::Refused { message, .. } => {
                    prop_assert!((300..500).contains(&status));
                    prop_assert!(message.chars().count() <= MESSAGE_CHARACTERS && !message.contains(char::is_control));
                }
                GitHubError::RateLimited { until, .. } => {
                    prop_assert!(status == 403 || status == 429);
                    if let RateLimitReset::After(wait) = until {
                        prop_assert!(wait <= LONGEST_WAIT);
                    }
                }
                GitHubError::Unavailable(_) => prop_assert!(!write || status == 401),
                GitHubError::NotInstalled(_) => prop_assert!(false, "an answer alone never says so"),
            }
        }
    }
}
