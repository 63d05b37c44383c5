//! The settings with which a command asks GitHub as the App.

use dispatch_axum::settings::{self, api_url, app_id};
use dispatch_core::guardrail::{Setting, SettingError};
use secrecy::SecretString;

use super::{Group, Settings, is_loopback, missing, secret, setting};

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
        Ok(Self { app_id: app_id(settings)?, private_key: private_key()?, api_url: api_url(settings)? })
    }

    /// Whether GitHub is on this machine: an emulator.
    pub(crate) fn api_is_loopback(&self) -> bool {
        self.api_url.parse().is_ok_and(|uri| is_loopback(&uri))
    }
}

fn private_key() -> Result<SecretString, SettingError> {
    const NAME: &str = "GITHUB_APP_PRIVATE_KEY";
    let key = secret(NAME)?.ok_or_else(|| missing(NAME, "the App's private key, as PEM"))?;
    Ok(settings::private_key(key))
}
