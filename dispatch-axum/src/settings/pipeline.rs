//! The settings of the pipeline, besides the operator's limits.

use std::time::Duration;

use dispatch_core::guardrail::{Guardrails, SettingError};
use dispatch_core::name::Login;
use dispatch_core::pipeline::{Pipeline, SweepOptions};
use dispatch_core::retry::RetryPolicy;
use tracing::Level;

use super::{Settings, wrong};

/// How the pipeline works, checked.
#[derive(Debug, Clone)]
pub struct PipelineSettings {
    /// `GITHUB_APP_SLUG`: the login of the App's bot, made of its slug. None: GitHub is to be asked.
    pub app_login: Option<Login>,
    /// `LOG_LEVEL`.
    pub log_level: Level,
    /// `MAX_EVENT_AGE`: how long after its end a run may still start something.
    pub max_event_age: Duration,
    /// `DISPATCH_MAX_RETRIES` and `DISPATCH_RETRY_BASE_DELAY_MS`.
    pub retry: RetryPolicy,
    /// `DISPATCH_SETTLE_SECONDS`: how long GitHub may take to list a run that it started.
    pub settle: Duration,
    /// `CREATE_ISSUES`: whether an issue tells of what failed.
    pub create_issues: bool,
    /// `RETENTION_DAYS`: how long finished work is kept.
    pub retention: Duration,
    /// `SWEEP_LIMIT`: how many environments may be going at once for a sweep to let more go.
    pub sweep_limit: usize,
}

impl PipelineSettings {
    /// Checks the settings.
    ///
    /// # Errors
    /// The first wrong one.
    pub fn read(settings: &Settings) -> Result<Self, SettingError> {
        let max_event_age = age(settings)?.unwrap_or(Pipeline::DEFAULT_MAX_EVENT_AGE);
        Ok(Self {
            app_login: app_login(settings)?,
            log_level: log_level(settings)?,
            max_event_age,
            retry: retry(settings)?,
            settle: settle(settings)?,
            create_issues: settings.parse("CREATE_ISSUES", "`true` or `false`")?.unwrap_or(true),
            retention: retention(settings, max_event_age)?,
            sweep_limit: match settings.number("SWEEP_LIMIT", 1, 1_000)? {
                Some(limit) => usize::try_from(limit).unwrap_or(SweepOptions::DEFAULT_LIMIT),
                None => SweepOptions::DEFAULT_LIMIT,
            },
        })
    }

    /// The operator's limits, and what these settings say that belongs to them.
    #[must_use]
    pub fn limit(&self, guardrails: Guardrails) -> Guardrails {
        let guardrails = guardrails.with_issues(self.create_issues);
        match &self.app_login {
            Some(login) => guardrails.with_app_login(login.clone()),
            None => guardrails,
        }
    }
}

fn retry(settings: &Settings) -> Result<RetryPolicy, SettingError> {
    let delay = settings.number("DISPATCH_RETRY_BASE_DELAY_MS", 1, 60_000)?.unwrap_or(200);
    Ok(RetryPolicy {
        max_retries: settings.number("DISPATCH_MAX_RETRIES", 0, 20)?.unwrap_or(2),
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
    let seconds = settings.number("DISPATCH_SETTLE_SECONDS", 1, 3_600)?;
    Ok(seconds.map_or(Pipeline::DEFAULT_SETTLE, |seconds| Duration::from_secs(seconds.into())))
}

/// What could be delivered or asked for again must find that it was done already: an event counts for `MAX_EVENT_AGE`, and
/// GitHub delivers again for up to a week (three days on github.com, seven on GitHub Enterprise Server).
fn retention(settings: &Settings, max_event_age: Duration) -> Result<Duration, SettingError> {
    const NAME: &str = "RETENTION_DAYS";
    const DAY: u64 = 24 * 60 * 60;
    let days = u64::from(settings.number(NAME, 1, 3_650)?.unwrap_or(90));
    let least = (max_event_age.as_secs() + 7 * DAY) / DAY + 1;
    if days < least {
        return Err(wrong(
            NAME,
            format_args!("expected at least {least}, which is more than MAX_EVENT_AGE and a week, got `{days}`"),
        ));
    }
    Ok(Duration::from_secs(days * DAY))
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

/// A whole number with a unit - `s`, `m`, `h` or `d` - in seconds.
#[must_use]
pub fn seconds(text: &str) -> Option<u64> {
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
        values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
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
}
