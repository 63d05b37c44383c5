//! The metrics of the HTTP surface. Labels have few values, whatever strangers send.
//!
//! | metric | labels |
//! |---|---|
//! | [`WEBHOOKS`] | `event`: GitHub's name, or `other`, or `unknown`; `outcome`: what was answered |
//! | [`SECRET_MATCHED`] | `position`: which of the webhook secrets; watch it while one is replaced |
//! | [`REQUEST_SECONDS`] | `route`, `method`, `status` |
//! | [`LOGINS`] | `outcome`: `accepted`, `wrong`, `too_many` |

use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
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

pub(crate) fn secret_matched(position: usize) {
    metrics::counter!(SECRET_MATCHED, "position" => position.to_string()).increment(1);
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
}
