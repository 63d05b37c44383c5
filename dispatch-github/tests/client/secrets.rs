//! Secrets stay where they are.

use std::io::Write;
use std::sync::{Arc, Mutex};

use dispatch_core::Timestamp;
use dispatch_core::policy::PolicyPath;
use dispatch_core::ports::github::GitHubPort;
use dispatch_github::{GitHub, GitHubOptions, GitHubOptionsError};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use wiremock::ResponseTemplate;

use crate::fake::*;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;
    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn no_secret_is_in_an_error_a_debug_form_or_a_log_line_of_any_level() {
    let log = Log::default();
    // For all threads: it also catches what the tests beside this one log. The server in GitHub's place is none of ours,
    // and prints a request that it did not expect with all of its headers.
    let ours = Targets::new().with_default(LevelFilter::TRACE).with_target("wiremock", LevelFilter::OFF);
    let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(log.clone());
    tracing_subscriber::registry().with(ours).with(lines).init();
    let fake = Fake::start().await;
    fake.answer("GET", FILE, status(401, "Bad credentials")).await;
    fake.answer("POST", DISPATCHES, ResponseTemplate::new(502)).await;
    let github = fake.github();
    let read = github.read_file(&app(), None, PolicyPath::Root, None).await.unwrap_err();
    let dispatched = github.dispatch(&app_ref(), &cd(), Timestamp::MAX).await.unwrap_err();
    let written = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let signed = fake.requests("GET", INSTALLATION).await[0].headers["authorization"].to_str().unwrap().to_owned();
    let shown = format!("{github:?} {:?} {read:?} {read} {dispatched:?} {written}", options());
    assert!(written.contains("a call to GitHub failed") && written.contains("minted a token"), "{written}");
    for secret in ["ghs_secret", "PRIVATE KEY", signed.strip_prefix("Bearer ").unwrap()] {
        assert!(!shown.contains(secret), "{secret} is in {shown}");
    }
}

#[tokio::test]
async fn wrong_options_are_error_values_that_do_not_quote_them() {
    for (options, error) in [
        (GitHubOptions { api_url: "http://api.github.com".to_owned(), ..options() }, GitHubOptionsError::ApiUrl),
        (GitHubOptions { private_key: "secret".into(), ..options() }, GitHubOptionsError::PrivateKey),
        (GitHubOptions { user_agent: Some("a\nb".to_owned()), ..options() }, GitHubOptionsError::UserAgent),
    ] {
        assert_eq!(GitHub::new(options).unwrap_err(), error);
        assert!(!error.to_string().contains("secret"));
    }
}

#[test]
fn outside_a_runtime_it_is_an_error_value_too() {
    assert_eq!(GitHub::new(options()).unwrap_err(), GitHubOptionsError::NoRuntime);
}
