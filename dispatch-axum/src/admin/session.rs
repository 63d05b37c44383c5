//! Sessions without a memory: the cookie says until when it is good, signed with a key that the admin token makes.
//!
//! A session survives a restart and works in several processes. It cannot be taken back alone: another admin token ends
//! all of them.

use axum::http::{HeaderMap, header};
use dispatch_core::Timestamp;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

/// How long a session lasts: a working day.
const LIFETIME_SECONDS: i64 = 12 * 60 * 60;
const COOKIE: &str = "dispatch_session";

pub(crate) struct Sessions {
    key: Hmac<Sha256>,
}

impl Sessions {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length (RFC 2104, section 2)")]
    pub(crate) fn new(token: &SecretString) -> Self {
        Self { key: Hmac::new_from_slice(token.expose_secret().as_bytes()).expect("any key length") }
    }

    /// `Set-Cookie` for a session that begins now.
    ///
    /// There is no `Path`: the browser takes the folder of the login page, `<prefix>/admin`, as it knows the prefix. This
    /// process may not know it, where a proxy takes it off.
    pub(crate) fn begin(&self, now: Timestamp, https: bool) -> String {
        let until = now.as_second() + LIFETIME_SECONDS;
        let signature = hex(&self.mac(until).finalize().into_bytes());
        format!("{COOKIE}={until}.{signature}; Max-Age={LIFETIME_SECONDS}; {}", attributes(https))
    }

    /// `Set-Cookie` that ends the browser's session.
    pub(crate) fn end(https: bool) -> String {
        format!("{COOKIE}=; Max-Age=0; {}", attributes(https))
    }

    /// Whether the request carries a session that was begun here and has not ended.
    pub(crate) fn are_valid(&self, headers: &HeaderMap, now: Timestamp) -> bool {
        cookies(headers).any(|value| self.is_valid(value, now))
    }

    fn is_valid(&self, value: &str, now: Timestamp) -> bool {
        let Some((until, signature)) = value.split_once('.') else { return false };
        let (Ok(until), Some(signature)) = (until.parse::<i64>(), from_hex(signature)) else { return false };
        self.mac(until).verify_slice(&signature).is_ok() && now.as_second() < until
    }

    fn mac(&self, until: i64) -> Hmac<Sha256> {
        let mut mac = self.key.clone();
        mac.update(format!("dispatch admin session until {until}").as_bytes());
        mac
    }
}

fn attributes(https: bool) -> &'static str {
    if https { "HttpOnly; SameSite=Strict; Secure" } else { "HttpOnly; SameSite=Strict" }
}

fn cookies(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let lines = headers.get_all(header::COOKIE).into_iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(';')).filter_map(|cookie| cookie.trim().strip_prefix(COOKIE)?.strip_prefix('='))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|value| u8::try_from(value).ok());
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).unwrap()
    }

    fn request(cookie: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::COOKIE, cookie.parse().unwrap())])
    }

    #[test]
    fn a_session_lasts_a_working_day_and_is_good_for_one_token_only() {
        let sessions = Sessions::new(&"token".into());
        let cookie = sessions.begin(at(0), false);
        let cookie = cookie.split(';').next().unwrap();
        let headers = request(&format!("other=1; {cookie}"));
        assert!(sessions.are_valid(&headers, at(LIFETIME_SECONDS - 1)));
        assert!(!sessions.are_valid(&headers, at(LIFETIME_SECONDS)));
        assert!(!Sessions::new(&"another token".into()).are_valid(&headers, at(0)));
    }

    #[test]
    fn a_session_that_was_made_up_or_prolonged_is_none() {
        let sessions = Sessions::new(&"token".into());
        let cookie = sessions.begin(at(0), false);
        let signature = cookie.split(';').next().unwrap().split_once('.').unwrap().1;
        for value in
            ["", ".", "1.", "99999999999.00", "x.y", "99999999999.ä", "-1.aa", &format!("99999999999.{signature}")]
        {
            let Ok(line) = format!("{COOKIE}={value}").parse() else { continue };
            assert!(!sessions.are_valid(&HeaderMap::from_iter([(header::COOKIE, line)]), at(0)), "{value}");
        }
    }

    #[test]
    fn the_cookie_is_out_of_reach_of_scripts_and_other_sites() {
        let sessions = Sessions::new(&"token".into());
        assert!(sessions.begin(at(0), false).ends_with("; Max-Age=43200; HttpOnly; SameSite=Strict"));
        assert!(sessions.begin(at(0), true).ends_with("; HttpOnly; SameSite=Strict; Secure"));
        assert_eq!(Sessions::end(true), "dispatch_session=; Max-Age=0; HttpOnly; SameSite=Strict; Secure");
    }
}
