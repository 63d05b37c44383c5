//! AWS as a function reaches it: by what Lambda puts into its environment.

use std::error::Error;
use std::sync::OnceLock;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_sqs::config::{BehaviorVersion, SharedHttpClient};
use aws_smithy_http_client::{Connector, tls};
use aws_smithy_runtime_api::client::http::{SharedHttpConnector, http_client_fn};
use aws_types::SdkConfig;
use aws_types::region::Region;
use dispatch_axum::settings::{Settings, missing};
use dispatch_core::guardrail::SettingError;

/// Where and as whom AWS is asked, by `AWS_REGION`, `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN` and
/// `AWS_ENDPOINT_URL` (AWS SDKs and Tools Reference Guide, "Environment variables"). Lambda sets all but the last, and the
/// credentials outlive the process. Nothing is asked over the network for it. All clients made of it share their connections.
///
/// # Errors
/// One of the first three is not set.
pub fn config(settings: &Settings) -> Result<SdkConfig, SettingError> {
    let required =
        |name| settings.text(name).map(str::to_owned).ok_or_else(|| missing(name, "set by Lambda for every function"));
    let credentials = Credentials::new(
        required("AWS_ACCESS_KEY_ID")?,
        required("AWS_SECRET_ACCESS_KEY")?,
        settings.text("AWS_SESSION_TOKEN").map(str::to_owned),
        None,
        "environment",
    );
    let mut config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(required("AWS_REGION")?))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(one_for_all());
    config.set_endpoint_url(settings.text("AWS_ENDPOINT_URL").map(str::to_owned));
    Ok(config.build())
}

/// What all clients connect by. Left to themselves, each would parse the machine's root certificates when it is made and once
/// more for its first request, and all of that before a function's first event. They have the same time-outs, so one connector
/// will do, and it is made when somebody connects.
fn one_for_all() -> SharedHttpClient {
    let connector = OnceLock::new();
    http_client_fn(move |settings, components| {
        let made = connector.get_or_init(|| {
            let mut builder = Connector::builder().connector_settings(settings.clone());
            builder.set_sleep_impl(components.sleep_impl());
            let tls = tls::Provider::rustls(tls::rustls_provider::CryptoMode::AwsLc);
            SharedHttpConnector::new(builder.tls_provider(tls).build())
        });
        made.clone()
    })
}

/// An error with all its causes.
pub(crate) fn reason(error: &dyn Error) -> String {
    let mut reason = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        reason = format!("{reason}: {cause}");
        source = cause.source();
    }
    reason
}
