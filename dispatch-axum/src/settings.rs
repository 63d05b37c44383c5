//! Settings of the service, by the names of their variables: what every carrier reads the same way.

mod app;
mod pipeline;

use std::collections::BTreeMap;
use std::fmt::Display;
use std::net::{AddrParseError, IpAddr};
use std::str::FromStr;

use dispatch_core::guardrail::SettingError;
use ipnet::IpNet;

pub use self::app::{admin_token, api_url, app_id, is_loopback, private_key};
pub use self::pipeline::{PipelineSettings, seconds};

/// The settings that are set, by the name of their variable.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    values: BTreeMap<String, String>,
}

impl FromIterator<(String, String)> for Settings {
    /// Space around a value does not count, and an empty value is an unset one.
    fn from_iter<I: IntoIterator<Item = (String, String)>>(values: I) -> Self {
        let trimmed = values.into_iter().map(|(name, value)| (name, value.trim().to_owned()));
        Self { values: trimmed.filter(|(_, value)| !value.is_empty()).collect() }
    }
}

impl Settings {
    /// The settings as a map.
    #[must_use]
    pub fn as_map(&self) -> &BTreeMap<String, String> {
        &self.values
    }

    /// The value of a setting, where it is set.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// Reads a setting. `expected` is a noun phrase.
    ///
    /// # Errors
    /// The value is not what is expected.
    pub fn parse<T: FromStr>(&self, name: &str, expected: &str) -> Result<Option<T>, SettingError> {
        self.text(name)
            .map(|text| {
                text.parse()
                    .map_err(|_| wrong(name, format_args!("expected {expected}, got `{}`", text.escape_debug())))
            })
            .transpose()
    }

    /// Reads the parts of a comma-separated setting. `expected` is a noun phrase.
    ///
    /// # Errors
    /// One of the parts is not what is expected, or is empty.
    pub fn list<T: FromStr>(&self, name: &str, expected: &str) -> Result<Vec<T>, SettingError> {
        let part = |text: &str| {
            let error = || wrong(name, format_args!("expected {expected}, got `{}`", text.escape_debug()));
            text.parse().map_err(|_| error())
        };
        self.text(name).map_or(Ok(Vec::new()), |text| text.split(',').map(str::trim).map(part).collect())
    }

    /// Reads a whole number between two others, which are allowed, too.
    ///
    /// # Errors
    /// It is not between them, or no number.
    pub fn number(&self, name: &str, least: u32, most: u32) -> Result<Option<u32>, SettingError> {
        let expected = format!("a number from {least} to {most}");
        match self.parse(name, &expected)? {
            Some(number) if !(least..=most).contains(&number) => {
                Err(wrong(name, format_args!("expected {expected}, got `{number}`")))
            }
            number => Ok(number),
        }
    }
}

/// A setting that has to be set is not.
#[must_use]
pub fn missing(name: &str, what: &str) -> SettingError {
    wrong(name, format_args!("is not set; it is {what}"))
}

/// A setting is wrong.
#[must_use]
pub fn wrong(name: &str, problem: impl Display) -> SettingError {
    SettingError { name: name.to_owned(), problem: problem.to_string() }
}

/// Networks, and addresses, which are networks of one.
///
/// # Errors
/// One of them is neither.
pub fn networks(settings: &Settings, name: &str) -> Result<Vec<IpNet>, SettingError> {
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
