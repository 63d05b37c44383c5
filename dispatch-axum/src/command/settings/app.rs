//! The settings with which a command asks GitHub as the App.

use dispatch_core::guardrail::{Setting, SettingError};
use secrecy::{ExposeSecret, SecretString};

use super::service::is_loopback;
use super::{Group, Settings, missing, secret, setting, wrong};

pub(super) const APP_ID: Setting = setting("GITHUB_APP_ID", "", "The App's id, from its settings page. Required");
pub(super) const API_URL: Setting =
    setting("GITHUB_API_URL", "https://api.github.com", "Where GitHub's API is: https, or loopback");

/// The flags of commands that only ask GitHub.
#[derive(Debug)]
pub(crate) struct App;

impl Group for App {
    const HEADING: &'static str = "The App";
    const SETTINGS: &'static [Setting] = &[APP_ID, API_URL];
}

/// Who asks, and where, checked.
#[derive(Debug, Clone)]
pub(crate) struct AppSettings {
    pub(crate) app_id: u64,
    pub(crate) private_key: SecretString,
    pub(crate) api_url: String,
}

impl AppSettings {
    /// Checks the settings, and reads the key.
    ///
    /// # Errors
    /// The first wrong one.
    pub(crate) fn read(settings: &Settings) -> Result<Self, SettingError> {
        Ok(Self {
            app_id: match settings.parse::<u64>("GITHUB_APP_ID", "an App's id, a number")? {
                Some(id) if id > 0 => id,
                Some(_) => return Err(wrong("GITHUB_APP_ID", "expected an App's id, a number, got `0`")),
                None => return Err(missing("GITHUB_APP_ID", "the App's id, from its settings page")),
            },
            private_key: private_key()?,
            api_url: api_url(settings)?,
        })
    }

    /// Whether GitHub is on this machine: an emulator.
    pub(crate) fn api_is_loopback(&self) -> bool {
        self.api_url.parse().is_ok_and(|uri| is_loopback(&uri))
    }
}

fn private_key() -> Result<SecretString, SettingError> {
    const NAME: &str = "GITHUB_APP_PRIVATE_KEY";
    let key = secret(NAME)?.ok_or_else(|| missing(NAME, "the App's private key, as PEM"))?;
    // Files of variables hold one line for each variable, so that a PEM is often written with `\n` for its line ends.
    let text = key.expose_secret();
    Ok(if text.contains('\n') { key } else { text.replace("\\n", "\n").into() })
}

fn api_url(settings: &Settings) -> Result<String, SettingError> {
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
            let read = api_url(&Settings::of(&[("GITHUB_API_URL", text)])).ok();
            assert_eq!(read.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn the_default_in_the_help_is_the_one_in_force() {
        assert_eq!(api_url(&Settings::of(&[])).ok().as_deref(), Some(API_URL.default));
    }
}
