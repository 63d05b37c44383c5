//! The settings of `serve`.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use dispatch_axum::settings::{PipelineSettings, admin_token, networks};
use dispatch_core::guardrail::{Setting, SettingError};
use dispatch_core::webhook::WebhookSecrets;
use ipnet::IpNet;
use secrecy::{ExposeSecret, SecretString};

use super::app::{API_URL, APP_ID, AppSettings};
use super::{Group, Settings, missing, secret, setting, wrong};

/// The settings of `serve`, besides the operator's limits.
#[derive(Debug)]
pub(crate) struct Service;

impl Group for Service {
    const HEADING: &'static str = "The service";
    const SETTINGS: &'static [Setting] = &[
        APP_ID,
        setting(
            "GITHUB_APP_SLUG",
            "",
            "The App's name in URLs: what `<slug>[bot]` causes starts nothing, except along a chain; unset: GitHub is asked",
        ),
        setting("HOST", "127.0.0.1", "The IP address to listen on"),
        setting("PORT", "3000", "The port to listen on; 0 takes a free one"),
        setting("DATABASE_PATH", "dispatch.sqlite", "The SQLite database; made when it is not there"),
        API_URL,
        setting("LOG_LEVEL", "info", "error, warn, info, debug or trace"),
        setting(
            "MAX_EVENT_AGE",
            "24h",
            "How long after its end a run may still start something, such as 90m, 24h or 3d",
        ),
        setting("DISPATCH_MAX_RETRIES", "2", "How often a call that certainly had no effect is repeated, 0 to 20"),
        setting("DISPATCH_RETRY_BASE_DELAY_MS", "200", "The first delay before repeating, 1 to 60000; it doubles"),
        setting(
            "DISPATCH_SETTLE_SECONDS",
            "300",
            "How long GitHub may take to list a run that it started, 1 to 3600: only then a call in doubt counts as not done",
        ),
        setting(
            "ADMIN_IP_ALLOWLIST",
            "",
            "Addresses or networks (10.0.0.0/8) that may see /admin and /metrics, with the token; unset: any",
        ),
        setting("TRUSTED_PROXIES", "", "Addresses or networks whose X-Forwarded-For is believed; unset: none"),
        setting(
            "CREATE_ISSUES",
            "true",
            "Whether an issue in the source repository tells of what failed, true or false",
        ),
        setting(
            "RETENTION_DAYS",
            "90",
            "How long finished work is kept, at most 3650; more than MAX_EVENT_AGE and a week, so that nothing comes again",
        ),
        setting(
            "SWEEP_INTERVAL_HOURS",
            "168",
            "How often environments whose pull request was closed unnoticed are looked for, at most 8760; 0: never",
        ),
        setting(
            "SWEEP_LIMIT",
            "10",
            "How many environments may be going at once for a sweep to let more go, 1 to 1000",
        ),
    ];
}

/// What `serve` was told, checked.
#[derive(Debug)]
pub(crate) struct ServiceSettings {
    pub(crate) app: AppSettings,
    pub(crate) pipeline: PipelineSettings,
    pub(crate) webhook_secrets: WebhookSecrets,
    pub(crate) admin_token: Option<SecretString>,
    pub(crate) host: IpAddr,
    pub(crate) port: u16,
    pub(crate) database: PathBuf,
    pub(crate) admin_networks: Vec<IpNet>,
    pub(crate) trusted_proxies: Vec<IpNet>,
    /// None: never.
    pub(crate) sweep_every: Option<Duration>,
}

impl ServiceSettings {
    /// Checks the settings, in the order in which somebody would set them.
    ///
    /// # Errors
    /// The first wrong one.
    pub(crate) fn read(settings: &Settings) -> Result<Self, SettingError> {
        Ok(Self {
            app: AppSettings::read(settings)?,
            webhook_secrets: webhook_secrets()?,
            admin_token: secret("ADMIN_TOKEN")?.map(admin_token).transpose()?,
            host: settings.parse("HOST", "an IP address")?.unwrap_or(IpAddr::from([127, 0, 0, 1])),
            port: settings.parse("PORT", "a port, 0 to 65535")?.unwrap_or(3000),
            database: settings.text("DATABASE_PATH").unwrap_or("dispatch.sqlite").into(),
            admin_networks: networks(settings, "ADMIN_IP_ALLOWLIST")?,
            trusted_proxies: networks(settings, "TRUSTED_PROXIES")?,
            pipeline: PipelineSettings::read(settings)?,
            sweep_every: sweep_every(settings)?,
        })
    }
}

fn sweep_every(settings: &Settings) -> Result<Option<Duration>, SettingError> {
    let hours = settings.number("SWEEP_INTERVAL_HOURS", 0, 8_760)?.unwrap_or(168);
    Ok((hours > 0).then(|| Duration::from_secs(u64::from(hours) * 60 * 60)))
}

fn webhook_secrets() -> Result<WebhookSecrets, SettingError> {
    const NAME: &str = "GITHUB_WEBHOOK_SECRET";
    let text = secret(NAME)?.ok_or_else(|| missing(NAME, "the App's webhook secret"))?;
    text.expose_secret().parse().map_err(|error| wrong(NAME, error))
}

#[cfg(test)]
mod tests {
    use dispatch_axum::settings::api_url;

    use super::*;

    #[test]
    fn defaults_in_the_help_are_the_ones_in_force() {
        let read = |settings: Settings| format!("{:?}", PipelineSettings::read(&settings).unwrap());
        let defaults = Service::SETTINGS.iter().map(|setting| (setting.name.to_owned(), setting.default.to_owned()));
        let written: Settings = defaults.collect();
        assert_eq!(read(written.clone()), read(Settings::default()));
        assert_eq!(sweep_every(&written).unwrap(), sweep_every(&Settings::default()).unwrap());
        assert_eq!(api_url(&written).unwrap(), API_URL.default);
        assert_eq!(api_url(&Settings::default()).unwrap(), API_URL.default);
    }
}
