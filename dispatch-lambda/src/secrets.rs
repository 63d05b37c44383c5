//! Secrets from AWS Secrets Manager, by their ARN.

use std::time::Duration;

use dispatch_axum::settings::{Settings, missing, wrong};
use dispatch_core::guardrail::SettingError;
use secrecy::SecretString;

use crate::aws::reason;

/// How often a secret is read again at most, however many wrong signatures come.
const READ_AGAIN_AFTER: Duration = Duration::from_secs(60);

/// A secret, and where it is read.
#[derive(Debug, Clone)]
pub struct Secret {
    client: aws_sdk_secretsmanager::Client,
    /// The variable that names its ARN.
    name: &'static str,
    arn: String,
}

impl Secret {
    /// The secret whose ARN this variable holds.
    ///
    /// # Errors
    /// The variable is not set, or names something else: a parameter of Systems Manager, or a secret without its ARN.
    pub fn of(
        client: aws_sdk_secretsmanager::Client,
        settings: &Settings,
        name: &'static str,
    ) -> Result<Self, SettingError> {
        const WHAT: &str = "the ARN of a secret in AWS Secrets Manager";
        let arn = settings.text(name).ok_or_else(|| missing(name, WHAT))?;
        if !(arn.starts_with("arn:") && arn.split(':').nth(2) == Some("secretsmanager")) {
            return Err(wrong(name, format_args!("is not {WHAT}")));
        }
        Ok(Self { client, name, arn: arn.to_owned() })
    }

    /// Reads its current value. The line end at its end does not belong to it.
    ///
    /// # Errors
    /// It cannot be read, has no value, or one that is no text.
    pub async fn read(&self) -> Result<SecretString, SettingError> {
        let answer = self.client.get_secret_value().secret_id(&self.arn).send().await;
        let answer = answer.map_err(|error| wrong(self.name, format_args!("cannot be read: {}", reason(&error))))?;
        let text = answer.secret_string.unwrap_or_default();
        let text = text.strip_suffix('\n').unwrap_or(&text);
        let text = text.strip_suffix('\r').unwrap_or(text);
        if text.is_empty() {
            return Err(wrong(self.name, "names a secret that has no text yet; put it there"));
        }
        Ok(text.into())
    }
}

/// When a secret may be read again.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    last: Option<tokio::time::Instant>,
}

impl Pace {
    /// Whether it may be read now, and counts as read if so.
    pub(crate) fn allows(&mut self) -> bool {
        let now = tokio::time::Instant::now();
        let allowed = self.last.is_none_or(|last| now.duration_since(last) >= READ_AGAIN_AFTER);
        if allowed {
            self.last = Some(now);
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_secretsmanager::config::{BehaviorVersion, Region};

    use super::*;

    fn secret(arn: &str) -> Result<String, String> {
        let config = aws_sdk_secretsmanager::Config::builder().behavior_version(BehaviorVersion::latest());
        let client = aws_sdk_secretsmanager::Client::from_conf(config.region(Region::from_static("eu-west-1")).build());
        let settings = [("ADMIN_TOKEN_ARN".to_owned(), arn.to_owned())].into_iter().collect();
        Secret::of(client, &settings, "ADMIN_TOKEN_ARN").map(|secret| secret.arn).map_err(|error| error.to_string())
    }

    #[test]
    fn only_an_arn_of_secrets_manager_names_a_secret() {
        let arn = "arn:aws:secretsmanager:eu-west-1:000000000000:secret:admin-token-a1b2c3";
        assert_eq!(secret(arn), Ok(arn.to_owned()));
        let refused =
            |problem: &str| Err(format!("ADMIN_TOKEN_ARN: {problem} the ARN of a secret in AWS Secrets Manager"));
        assert_eq!(secret(""), refused("is not set; it is"));
        for other in ["admin-token", "arn:aws:ssm:eu-west-1:000000000000:parameter/admin-token", "the token itself"] {
            assert_eq!(secret(other), refused("is not"));
        }
    }
}
