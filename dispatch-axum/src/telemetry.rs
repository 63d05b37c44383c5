//! The metrics of the HTTP surface. Labels have few values, whatever strangers send.
//!
//! | metric | labels |
//! |---|---|
//! | [`WEBHOOKS`] | `event`: GitHub's name, or `other`, or `unknown`; `outcome`: what was answered |
//! | [`SECRET_MATCHED`] | `position`: which of the secrets: 0 the whole setting, 1 the first of a list |
//! | [`REQUEST_SECONDS`] | `route`, `method`, `status` |
//! | [`LOGINS`] | `outcome`: `accepted`, `wrong`, `too_many` |

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use dispatch_core::Timestamp;
use jiff::SignedDuration;
use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};

/// Webhooks, by event and outcome.
pub const WEBHOOKS: &str = "dispatch_webhooks_total";
/// Webhooks, by the secret that their signature matched.
pub const SECRET_MATCHED: &str = "dispatch_webhook_secret_matched_total";
/// How long requests took, in seconds.
pub const REQUEST_SECONDS: &str = "dispatch_http_request_duration_seconds";
/// Attempts to use the admin token.
pub const LOGINS: &str = "dispatch_admin_logins_total";

/// From half a millisecond to the time after which GitHub gives up a delivery.
const BUCKETS: [f64; 12] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0];

const UPKEEP: Duration = Duration::from_secs(5);

/// Installs the process's recorder of metrics and describes those of the HTTP surface. Once for each process.
///
/// # Errors
/// A recorder is installed already.
pub fn install() -> Result<PrometheusHandle, BuildError> {
    let handle = PrometheusBuilder::new().set_buckets(&BUCKETS)?.install_recorder()?;
    keep_small(handle.clone());
    metrics::describe_counter!(WEBHOOKS, "Webhooks by event and outcome.");
    metrics::describe_counter!(SECRET_MATCHED, "Webhooks by the position of the secret that matched.");
    metrics::describe_histogram!(REQUEST_SECONDS, metrics::Unit::Seconds, "Duration of HTTP requests.");
    metrics::describe_counter!(LOGINS, "Attempts to use the admin token.");
    Ok(handle)
}

/// Sums up what was measured, every few seconds. Otherwise every request would be remembered until somebody reads
/// `/metrics`, and nobody has to.
fn keep_small(handle: PrometheusHandle) {
    let sum_up = move || {
        loop {
            std::thread::sleep(UPKEEP);
            handle.run_upkeep();
        }
    };
    if let Err(error) = std::thread::Builder::new().name("metrics".to_owned()).spawn(sum_up) {
        tracing::error!(%error, "measurements are not summed up until somebody reads them");
    }
}

pub(crate) fn webhook(event: Option<&str>, outcome: &'static str) {
    metrics::counter!(WEBHOOKS, "event" => known_event(event), "outcome" => outcome).increment(1);
}

/// Which of several webhook secrets are in use. Every one of a list but its first is being replaced: who does that wants to
/// know when nobody signs with it any more.
#[derive(Debug, Default)]
pub(crate) struct SecretsInUse {
    told: Mutex<BTreeMap<usize, Timestamp>>,
}

impl SecretsInUse {
    /// At most once within this time the log says that a secret is in use.
    const TELL_EVERY: SignedDuration = SignedDuration::from_hours(1);

    /// A signature was right with the secret at this position: 0 is the whole setting, 1 the first of a list.
    pub(crate) fn matched(&self, position: usize, now: Timestamp) {
        metrics::counter!(SECRET_MATCHED, "position" => position.to_string()).increment(1);
        if position > 1 && self.is_to_be_told(position, now) {
            tracing::warn!(
                position,
                "a webhook was signed with another secret than the first one of GITHUB_WEBHOOK_SECRET; keep it until \
                 this is no longer said"
            );
        }
    }

    fn is_to_be_told(&self, position: usize, now: Timestamp) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that was set back does not make it silent.
        let recently = |at: &Timestamp| now.duration_since(*at).abs() < Self::TELL_EVERY;
        let is_to_be_told = !told.get(&position).is_some_and(recently);
        if is_to_be_told {
            told.insert(position, now);
        }
        is_to_be_told
    }
}

pub(crate) fn login(outcome: &'static str) {
    metrics::counter!(LOGINS, "outcome" => outcome).increment(1);
}

/// Measures a request, by its route and never by its path.
pub(crate) async fn measure(request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = known_method(request.method());
    let route = request.extensions().get::<MatchedPath>().map_or_else(|| "other".to_owned(), |p| p.as_str().to_owned());
    let response = next.run(request).await;
    let status = response.status().as_str().to_owned();
    metrics::histogram!(REQUEST_SECONDS, "route" => route, "method" => method, "status" => status)
        .record(started.elapsed().as_secs_f64());
    response
}

fn known_method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        _ => "other",
    }
}

/// The events that an App like this one subscribes to or always gets; every other name is `other`.
fn known_event(event: Option<&str>) -> &'static str {
    const KNOWN: [&str; 14] = [
        "check_run",
        "check_suite",
        "deployment_status",
        "github_app_authorization",
        "installation",
        "installation_repositories",
        "issue_comment",
        "ping",
        "pull_request",
        "push",
        "repository",
        "repository_dispatch",
        "workflow_dispatch",
        "workflow_run",
    ];
    let Some(event) = event else { return "unknown" };
    KNOWN.into_iter().find(|known| *known == event).unwrap_or("other")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_strangers_make_up_become_one_label() {
        assert_eq!(known_event(Some("workflow_run")), "workflow_run");
        assert_eq!(known_event(Some("x-1")), "other");
        assert_eq!(known_event(None), "unknown");
        assert_eq!(known_method(&Method::from_bytes(b"BREW").unwrap()), "other");
    }

    #[test]
    fn a_secret_that_is_being_replaced_is_told_once_an_hour() {
        let in_use = SecretsInUse::default();
        let minute = |n: i64| Timestamp::constant(1_800_000_000 + n * 60, 0);
        let told: Vec<_> = (0..=130).filter(|n| in_use.is_to_be_told(2, minute(*n))).collect();
        assert_eq!(told, [0, 60, 120]);
        assert!(in_use.is_to_be_told(3, minute(130)), "each secret for itself");
        assert!(in_use.is_to_be_told(2, minute(0)), "also when the clock was set back");
    }
}
