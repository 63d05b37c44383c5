//! The settings of `serve`.

use std::net::{AddrParseError, IpAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use dispatch_core::guardrail::{Setting, SettingError};
use dispatch_core::name::Login;
use dispatch_core::pipeline::{Pipeline, SweepOptions};
use dispatch_core::retry::RetryPolicy;
use dispatch_core::webhook::WebhookSecrets;
use ipnet::IpNet;
use secrecy::{ExposeSecret, SecretString};
use tracing::Level;

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
    /// The login of the App's bot, made of its slug. None: GitHub is to be asked.
    pub(crate) app_login: Option<Login>,
    pub(crate) webhook_secrets: WebhookSecrets,
    pub(crate) admin_token: Option<SecretString>,
    pub(crate) host: IpAddr,
    pub(crate) port: u16,
    pub(crate) database: PathBuf,
    pub(crate) log_level: Level,
    pub(crate) admin_networks: Vec<IpNet>,
    pub(crate) trusted_proxies: Vec<IpNet>,
    pub(crate) max_event_age: Duration,
    pub(crate) retry: RetryPolicy,
    pub(crate) settle: Duration,
    pub(crate) create_issues: bool,
    pub(crate) retention: Duration,
    /// None: never.
    pub(crate) sweep_every: Option<Duration>,
    pub(crate) sweep_limit: usize,
}

impl ServiceSettings {
    /// Checks the settings, in the order in which somebody would set them.
    ///
    /// # Errors
    /// The first wrong one.
    pub(crate) fn read(settings: &Settings) -> Result<Self, SettingError> {
        let max_event_age = age(settings)?.unwrap_or(Pipeline::DEFAULT_MAX_EVENT_AGE);
        Ok(Self {
            app: AppSettings::read(settings)?,
            app_login: app_login(settings)?,
            webhook_secrets: webhook_secrets()?,
            admin_token: admin_token()?,
            host: settings.parse("HOST", "an IP address")?.unwrap_or(IpAddr::from([127, 0, 0, 1])),
            port: settings.parse("PORT", "a port, 0 to 65535")?.unwrap_or(3000),
            database: settings.text("DATABASE_PATH").unwrap_or("dispatch.sqlite").into(),
            log_level: log_level(settings)?,
            admin_networks: networks(settings, "ADMIN_IP_ALLOWLIST")?,
            trusted_proxies: networks(settings, "TRUSTED_PROXIES")?,
            max_event_age,
            retry: retry(settings)?,
            settle: settle(settings)?,
            create_issues: settings.parse("CREATE_ISSUES", "`true` or `false`")?.unwrap_or(true),
            retention: retention(settings, max_event_age)?,
            sweep_every: sweep_every(settings)?,
            sweep_limit: match number(settings, "SWEEP_LIMIT", 1, 1_000)? {
                Some(limit) => usize::try_from(limit).unwrap_or(SweepOptions::DEFAULT_LIMIT),
                None => SweepOptions::DEFAULT_LIMIT,
            },
        })
    }
}

fn sweep_every(settings: &Settings) -> Result<Option<Duration>, SettingError> {
    let hours = number(settings, "SWEEP_INTERVAL_HOURS", 0, 8_760)?.unwrap_or(168);
    Ok((hours > 0).then(|| Duration::from_secs(u64::from(hours) * 60 * 60)))
}

fn retry(settings: &Settings) -> Result<RetryPolicy, SettingError> {
    let delay = number(settings, "DISPATCH_RETRY_BASE_DELAY_MS", 1, 60_000)?.unwrap_or(200);
    Ok(RetryPolicy {
        max_retries: number(settings, "DISPATCH_MAX_RETRIES", 0, 20)?.unwrap_or(2),
        base_delay: Duration::from_millis(delay.into()),
    })
}

/// Bots are named after their App.
fn app_login(settings: &Settings) -> Result<Option<Login>, SettingError> {
    const NAME: &str = "GITHUB_APP_SLUG";
    let Some(slug) = settings.text(NAME) else { return Ok(None) };
    let expected = || wrong(NAME, format_args!("expected an App's name in URLs, got `{}`", slug.escape_debug()));
    let plain = slug.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if !plain {
        return Err(expected());
    }
    format!("{slug}[bot]").parse().map(Some).map_err(|_| expected())
}

fn settle(settings: &Settings) -> Result<Duration, SettingError> {
    let seconds = number(settings, "DISPATCH_SETTLE_SECONDS", 1, 3_600)?;
    Ok(seconds.map_or(Pipeline::DEFAULT_SETTLE, |seconds| Duration::from_secs(seconds.into())))
}

/// What could be delivered or asked for again must find that it was done already: an event counts for `MAX_EVENT_AGE`, and
/// GitHub delivers again for up to a week (three days on github.com, seven on GitHub Enterprise Server).
fn retention(settings: &Settings, max_event_age: Duration) -> Result<Duration, SettingError> {
    const NAME: &str = "RETENTION_DAYS";
    const DAY: u64 = 24 * 60 * 60;
    let days = u64::from(number(settings, NAME, 1, 3_650)?.unwrap_or(90));
    let least = (max_event_age.as_secs() + 7 * DAY) / DAY + 1;
    if days < least {
        return Err(wrong(
            NAME,
            format_args!("expected at least {least}, which is more than MAX_EVENT_AGE and a week, got `{days}`"),
        ));
    }
    Ok(Duration::from_secs(days * DAY))
}

fn webhook_secrets() -> Result<WebhookSecrets, SettingError> {
    const NAME: &str = "GITHUB_WEBHOOK_SECRET";
    let text = secret(NAME)?.ok_or_else(|| missing(NAME, "the App's webhook secret"))?;
    text.expose_secret().parse().map_err(|error| wrong(NAME, error))
}

fn admin_token() -> Result<Option<SecretString>, SettingError> {
    const NAME: &str = "ADMIN_TOKEN";
    /// A token is compared at leisure by whoever guesses: 16 characters of a random text cannot be guessed.
    const SHORTEST: usize = 16;
    let token = secret(NAME)?;
    match &token {
        Some(text) if text.expose_secret().chars().count() < SHORTEST => {
            Err(wrong(NAME, format_args!("has fewer than {SHORTEST} characters; make one with `openssl rand -hex 32`")))
        }
        _ => Ok(token),
    }
}

/// Whether a URL can only lead to this machine.
pub(crate) fn is_loopback(uri: &http::Uri) -> bool {
    let host = uri.host().unwrap_or_default();
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host.eq_ignore_ascii_case("localhost") || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn log_level(settings: &Settings) -> Result<Level, SettingError> {
    let text = settings.text("LOG_LEVEL").unwrap_or("info");
    match text.to_ascii_lowercase().as_str() {
        "error" => Ok(Level::ERROR),
        "warn" => Ok(Level::WARN),
        "info" => Ok(Level::INFO),
        "debug" => Ok(Level::DEBUG),
        "trace" => Ok(Level::TRACE),
        _ => Err(wrong(
            "LOG_LEVEL",
            format_args!("expected error, warn, info, debug or trace, got `{}`", text.escape_debug()),
        )),
    }
}

/// Networks, and addresses, which are networks of one.
fn networks(settings: &Settings, name: &str) -> Result<Vec<IpNet>, SettingError> {
    struct Network(IpNet);
    impl FromStr for Network {
        type Err = AddrParseError;

        fn from_str(text: &str) -> Result<Self, AddrParseError> {
            text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).map(Self)
        }
    }
    let networks = settings.list(name, "an address or a network, such as 192.0.2.1 or 10.0.0.0/8")?;
    Ok(networks.into_iter().map(|Network(network)| network).collect())
}

fn number(settings: &Settings, name: &str, least: u32, most: u32) -> Result<Option<u32>, SettingError> {
    let expected = format!("a number from {least} to {most}");
    match settings.parse(name, &expected)? {
        Some(number) if !(least..=most).contains(&number) => {
            Err(wrong(name, format_args!("expected {expected}, got `{number}`")))
        }
        number => Ok(number),
    }
}

/// A whole number with a unit - `s`, `m`, `h` or `d` - in seconds.
pub(crate) fn seconds(text: &str) -> Option<u64> {
    let (count, unit) = text.split_at_checked(text.len().saturating_sub(1))?;
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return None,
    };
    count.parse::<u64>().ok()?.checked_mul(unit)
}

/// At most 30 days: the keys of dispatches must outlive it.
fn age(settings: &Settings) -> Result<Option<Duration>, SettingError> {
    const NAME: &str = "MAX_EVENT_AGE";
    const MOST: u64 = 30 * 24 * 60 * 60;
    let Some(text) = settings.text(NAME) else { return Ok(None) };
    match seconds(text) {
        Some(seconds @ 1..=MOST) => Ok(Some(Duration::from_secs(seconds))),
        _ => Err(wrong(
            NAME,
            format_args!("expected a time from 1s to 30d, such as 90m, 24h or 3d, got `{}`", text.escape_debug()),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(values: &[(&str, &str)]) -> Settings {
        Settings::of(values)
    }

    #[test]
    fn times_have_a_unit_and_an_end() {
        let cases = [
            ("90m", Some(5_400)),
            ("24h", Some(86_400)),
            ("30d", Some(2_592_000)),
            ("31d", None),
            ("0s", None),
            ("24", None),
            ("h", None),
            ("1.5h", None),
            ("-1h", None),
            ("1\u{e9}", None),
            ("99999999999999999999d", None),
        ];
        for (text, expected) in cases {
            let read = age(&settings(&[("MAX_EVENT_AGE", text)])).ok().flatten();
            assert_eq!(read.map(|age| age.as_secs()), expected, "{text}");
        }
    }

    #[test]
    fn what_was_done_is_remembered_for_longer_than_it_can_come_again() {
        const DAY: u64 = 86_400;
        for (age, days, expected) in [
            (DAY, "9", Some(9)),
            (DAY, "8", None),
            (DAY - 1, "8", Some(8)),
            (30 * DAY, "37", None),
            (30 * DAY, "38", Some(38)),
            (30 * DAY, "3650", Some(3_650)),
            (30 * DAY, "3651", None),
            (1, "0", None),
        ] {
            let read = retention(&settings(&[("RETENTION_DAYS", days)]), Duration::from_secs(age)).ok();
            assert_eq!(read, expected.map(|days| Duration::from_secs(days * DAY)), "{days} days, {age} s");
        }
    }

    #[test]
    fn a_bot_is_named_after_its_app() {
        for (slug, expected) in [
            ("dispatch", Some("dispatch[bot]")),
            ("my-app-2", Some("my-app-2[bot]")),
            ("dispatch[bot]", None),
            ("my app", None),
            ("a/b", None),
        ] {
            let read = app_login(&settings(&[("GITHUB_APP_SLUG", slug)])).ok().flatten();
            assert_eq!(read.as_ref().map(Login::as_str), expected, "{slug}");
        }
    }

    #[test]
    fn defaults_in_the_help_are_the_ones_in_force() {
        let defaults: Vec<_> = Service::SETTINGS.iter().map(|setting| (setting.name, setting.default)).collect();
        let (written, unset) = (settings(&defaults), settings(&[]));
        assert_eq!(age(&written).ok(), Some(Some(Pipeline::DEFAULT_MAX_EVENT_AGE)));
        assert_eq!(log_level(&written).ok(), log_level(&unset).ok());
        assert_eq!(retry(&written).ok(), retry(&unset).ok());
        assert_eq!(settle(&written).ok(), Some(Pipeline::DEFAULT_SETTLE));
        let age = Pipeline::DEFAULT_MAX_EVENT_AGE;
        assert_eq!(retention(&written, age).ok(), retention(&unset, age).ok());
        assert_eq!(written.text("CREATE_ISSUES"), Some("true"));
    }
}
