//! The settings with which GitHub is asked as the App.

use std::net::IpAddr;

use dispatch_core::guardrail::SettingError;
use secrecy::{ExposeSecret, SecretString};

use super::{Settings, missing, wrong};

/// `GITHUB_APP_ID`.
///
/// # Errors
/// It is not set, or no id.
pub fn app_id(settings: &Settings) -> Result<u64, SettingError> {
    match settings.parse::<u64>("GITHUB_APP_ID", "an App's id, a number")? {
        Some(id) if id > 0 => Ok(id),
        Some(_) => Err(wrong("GITHUB_APP_ID", "expected an App's id, a number, got `0`")),
        None => Err(missing("GITHUB_APP_ID", "the App's id, from its settings page")),
    }
}

/// A private key as PEM. Files of variables hold one line for each variable, so that a PEM is often written with `\n` for its
/// line ends.
#[must_use]
pub fn private_key(key: SecretString) -> SecretString {
    let text = key.expose_secret();
    if text.contains('\n') { key } else { text.replace("\\n", "\n").into() }
}

/// `ADMIN_TOKEN`, which is compared at leisure by whoever guesses: 16 characters of a random text cannot be guessed.
///
/// # Errors
/// It is shorter.
pub fn admin_token(token: SecretString) -> Result<SecretString, SettingError> {
    const SHORTEST: usize = 16;
    if token.expose_secret().chars().count() < SHORTEST {
        let problem = format_args!("has fewer than {SHORTEST} characters; make one with `openssl rand -hex 32`");
        return Err(wrong("ADMIN_TOKEN", problem));
    }
    Ok(token)
}

/// `GITHUB_API_URL`: where GitHub's API is, without a slash at its end.
///
/// # Errors
/// It is neither `https` nor on this machine, or has more than a host and a path.
pub fn api_url(settings: &Settings) -> Result<String, SettingError> {
    const NAME: &str = "GITHUB_API_URL";
    let text = settings.text(NAME).unwrap_or("https://api.github.com").trim_end_matches('/');
    let wrong_url = || {
        wrong(
            NAME,
            format_args!("expected an https URL, or an http URL of this machine, got `{}`", text.escape_debug()),
        )
    };
    let uri: http::Uri = text.parse().map_err(|_| wrong_url())?;
    let secure = uri.scheme_str() == Some("https") || (uri.scheme_str() == Some("http") && is_loopback(&uri));
    let plain = uri.query().is_none() && uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
    if secure && plain { Ok(text.to_owned()) } else { Err(wrong_url()) }
}

/// Whether a URL can only lead to this machine.
#[must_use]
pub fn is_loopback(uri: &http::Uri) -> bool {
    let host = uri.host().unwrap_or_default();
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host.eq_ignore_ascii_case("localhost") || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_api_is_reached_by_tls_or_on_this_machine() {
        let cases = [
            ("https://api.github.com", Some("https://api.github.com")),
            ("https://github.example.com/api/v3/", Some("https://github.example.com/api/v3")),
            ("http://127.0.0.1:4000", Some("http://127.0.0.1:4000")),
            ("http://[::1]:4000", Some("http://[::1]:4000")),
            ("http://localhost:4000", Some("http://localhost:4000")),
            ("http://api.github.com", None),
            ("http://127.0.0.1.example.com", None),
            ("http://127.0.0.1@example.com", None),
            ("https://user:password@example.com", None),
            ("https://example.com?token=x", None),
            ("ftp://127.0.0.1", None),
            ("api.github.com", None),
            ("/", None),
        ];
        for (text, expected) in cases {
            let read = api_url(&Settings::from_iter([("GITHUB_API_URL".to_owned(), text.to_owned())])).ok();
            assert_eq!(read.as_deref(), expected, "{text}");
        }
    }
}
