//! Settings: environment variables, each also a flag. One table makes the flags, their help and the list of variables.
//!
//! The habits are those of services that are configured by their environment: a flag wins over a variable, an empty
//! variable is an unset one, space around a value does not count. Secrets have no flag, because arguments can be seen
//! by everybody on the machine; they have a `..._FILE` variable instead.

mod app;
mod service;

use std::collections::BTreeMap;
use std::fmt::Display;
use std::marker::PhantomData;

use clap::{Arg, ArgMatches};
use dispatch_core::guardrail::{Guardrails, Setting, SettingError};
use secrecy::SecretString;

pub(crate) use app::{App, AppSettings};
pub(crate) use dispatch_axum::settings::{Settings, is_loopback, missing, seconds, wrong};
pub(crate) use service::{Service, ServiceSettings};

/// A group of settings.
pub(crate) trait Group {
    /// The heading in the help.
    const HEADING: &'static str;
    /// The settings, in the order of the help.
    const SETTINGS: &'static [Setting];
}

/// The operator's limits: what `serve` and `explain` have in common.
#[derive(Debug)]
pub(crate) struct Limits;

impl Group for Limits {
    const HEADING: &'static str = "The operator's limits";
    const SETTINGS: &'static [Setting] = Guardrails::SETTINGS;
}

/// The flags of a group, as given on the command line.
#[derive(Debug)]
pub(crate) struct Flags<G> {
    given: BTreeMap<&'static str, String>,
    group: PhantomData<G>,
}

impl<G: Group> clap::Args for Flags<G> {
    fn augment_args(command: clap::Command) -> clap::Command {
        G::SETTINGS.iter().fold(command, |command, setting| {
            let mut help = format!("{} [env: {}]", setting.help, setting.name);
            if !setting.default.is_empty() {
                help = format!("{help} [default: {}]", setting.default);
            }
            command.arg(
                Arg::new(setting.name)
                    .long(setting.name.to_ascii_lowercase().replace('_', "-"))
                    .value_name("VALUE")
                    .help(help)
                    .help_heading(G::HEADING)
                    .allow_hyphen_values(true),
            )
        })
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl<G: Group> clap::FromArgMatches for Flags<G> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = G::SETTINGS
            .iter()
            .filter_map(|setting| Some((setting.name, matches.get_one::<String>(setting.name)?.clone())))
            .collect();
        Ok(Self { given, group: PhantomData })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl<G: Group> Flags<G> {
    /// The group's settings: the flags, and the environment where there is no flag.
    ///
    /// # Errors
    /// A variable is not UTF-8.
    pub(crate) fn settings(&self) -> Result<Settings, SettingError> {
        let mut values = Vec::new();
        for setting in G::SETTINGS {
            let value = match self.given.get(setting.name) {
                Some(flag) => Some(flag.clone()),
                None => variable(setting.name)?,
            };
            values.extend(value.map(|value| (setting.name.to_owned(), value)));
        }
        Ok(values.into_iter().collect())
    }
}

/// An entry of a table of settings.
const fn setting(name: &'static str, default: &'static str, help: &'static str) -> Setting {
    Setting { name, default, help }
}

/// Reads a secret from its variable, or from the file that `NAME_FILE` names. The line end at the end of the file does
/// not belong to it.
///
/// # Errors
/// Both are set, or the file cannot be read.
pub(crate) fn secret(name: &str) -> Result<Option<SecretString>, SettingError> {
    /// Larger than any key, small enough to read whole.
    const LARGEST: u64 = 64 * 1024;
    let file_name = format!("{name}_FILE");
    let from_file = variable(&file_name)?.filter(|path| !path.is_empty());
    let value = variable(name)?.filter(|value| !value.is_empty());
    match (value, from_file) {
        (Some(_), Some(_)) => Err(wrong(name, format_args!("{file_name} is set too; set one of them"))),
        (Some(value), None) => Ok(Some(value.into())),
        (None, None) => Ok(None),
        (None, Some(path)) => {
            let cannot = |problem: &dyn Display| {
                wrong(&file_name, format_args!("cannot read `{}`: {problem}", path.escape_debug()))
            };
            let bytes = super::policy_tree::read_bounded(path.as_ref(), LARGEST).map_err(|error| cannot(&error))?;
            if bytes.len() as u64 > LARGEST {
                return Err(cannot(&"it is larger than 64 KiB"));
            }
            let text = String::from_utf8(bytes).map_err(|_| cannot(&"it is not UTF-8"))?;
            let text = text.strip_suffix('\n').unwrap_or(&text);
            let text = text.strip_suffix('\r').unwrap_or(text);
            if text.is_empty() { Err(cannot(&"it is empty")) } else { Ok(Some(text.into())) }
        }
    }
}

fn variable(name: &str) -> Result<Option<String>, SettingError> {
    std::env::var_os(name).map(|value| value.into_string().map_err(|_| wrong(name, "is not UTF-8"))).transpose()
}
