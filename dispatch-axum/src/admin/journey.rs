//! One delivery: what it said, what was decided about each target and by which lines, and every step on its way.

mod details;

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use dispatch_core::Timestamp;
use dispatch_core::chain::Place;
use dispatch_core::decide::{Decision, Skipped, Verdict};
use dispatch_core::delivery::DeliveryKey;
use dispatch_core::fact::{Fact, FactBody};
use dispatch_core::ports::StoreError;
use dispatch_core::ports::store::ViewQuery;
use dispatch_core::projection::{JOURNEY, journey_partition};
use dispatch_core::reason::Reason;
use http::Uri as Address;

use self::details::{details, environment};
use super::Visitor;
use super::overview::Pill;
use super::page::{Frame, Moment, not_found, respond, unavailable};
use crate::client::is_loopback_name;
use crate::service::Service;
use crate::wording::{Step, refusal, step};

/// A plan has at most 90 targets, and each is put back a few times: more rows than this tell nothing new.
const MAX_FACTS: usize = 500;

#[derive(Template)]
#[template(path = "delivery.html")]
struct Journey {
    frame: Frame,
    id: String,
    body_sha256: String,
    about: Option<About>,
    skipped: Option<SkippedCard>,
    decisions: Vec<DecisionCard>,
    steps: Vec<Line>,
}

/// What the webhook said.
struct About {
    event: &'static str,
    repository: String,
    private: bool,
    received: Moment,
    sender: Option<String>,
    details: Vec<(&'static str, String)>,
    page: Option<Link>,
}

/// An address: to follow, where it leads to GitHub; else only to read.
struct Link {
    url: String,
    safe: bool,
}

struct SkippedCard {
    reason: Reason,
    message: String,
    rule: Option<String>,
}

struct DecisionCard {
    target: String,
    start: String,
    state: Pill,
    /// None: allowed.
    denied: Option<(Reason, String)>,
    outbound_rule: String,
    inbound_rule: Option<String>,
    git_ref: Option<String>,
    inputs: Vec<(String, String)>,
    environment: Vec<(&'static str, String)>,
    /// What became of it, after it was allowed.
    outcome: Option<String>,
    run: Option<Link>,
}

/// One fact, as a line of the timeline.
struct Line {
    at: Moment,
    step: Step,
}

pub(crate) async fn show(visitor: Visitor, state: State<Arc<Service>>, Path(key): Path<String>, uri: Uri) -> Response {
    let Some(key) = parse(&key) else { return not_found(visitor, state, uri).await };
    match facts(&state, &key).await {
        Ok(facts) if facts.is_empty() => not_found(visitor, state, uri).await,
        Ok(facts) => {
            let frame = Frame::new(&state, &uri, Some(&visitor));
            respond(StatusCode::OK, &journey(&state, frame, key, &facts))
        }
        Err(error) => unavailable(&state, &uri, &visitor, &error),
    }
}

/// `<delivery id>:<sha-256 of the body>`, as [`DeliveryKey`] prints.
fn parse(text: &str) -> Option<DeliveryKey> {
    let (id, body_sha256) = text.split_once(':')?;
    let is_digest = body_sha256.len() == 64 && body_sha256.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_digest.then_some(DeliveryKey { id: id.parse().ok()?, body_sha256: body_sha256.to_owned() })
}

/// The facts about a delivery and its dispatches, oldest first.
async fn facts(service: &Service, key: &DeliveryKey) -> Result<Vec<Fact>, StoreError> {
    let query = ViewQuery { view: JOURNEY, partition: journey_partition(key), before: None, limit: MAX_FACTS };
    let rows = service.pipeline.store.rows(query).await?;
    Ok(rows.iter().rev().filter_map(|row| row.read().ok()).collect())
}

fn journey(service: &Service, frame: Frame, key: DeliveryKey, facts: &[Fact]) -> Journey {
    let now = (service.clock)();
    let plan = facts.iter().rev().find_map(|fact| match &fact.body {
        FactBody::DeliveryPlanned { plan, already_claimed, .. } => Some((plan, already_claimed)),
        _ => None,
    });
    let decisions = plan.map_or(&[][..], |(plan, _)| &plan.decisions);
    let decisions = decisions.iter().map(|decision| {
        let claimed = plan.is_some_and(|(_, claimed)| claimed.iter().any(|key| key.target == decision.target));
        decision_card(service, decision, claimed, latest_about(facts, &decision.target))
    });
    Journey {
        frame,
        id: key.id.to_string(),
        body_sha256: key.body_sha256,
        about: facts.iter().find_map(|fact| about(service, fact, now)),
        skipped: plan.and_then(|(plan, _)| plan.skipped.as_ref()).map(skipped_card),
        decisions: decisions.collect(),
        steps: facts.iter().map(|fact| Line { at: Moment::new(fact.time, now), step: step(fact) }).collect(),
    }
}

fn about(service: &Service, fact: &Fact, now: Timestamp) -> Option<About> {
    let (FactBody::DeliveryReceived { event } | FactBody::DeliveryNoted { event }) = &fact.body else { return None };
    let (details, page) = details(service, event);
    Some(About {
        event: event.kind.name(),
        repository: event.repository.name.to_string(),
        private: event.repository.private,
        received: Moment::new(fact.time, now),
        sender: event.sender.as_ref().map(ToString::to_string),
        details,
        page,
    })
}

fn skipped_card(skipped: &Skipped) -> SkippedCard {
    let rule = skipped.outbound_rule.as_ref().map(ToString::to_string);
    SkippedCard { reason: skipped.reason, message: skipped.message.clone(), rule }
}

fn decision_card(service: &Service, decision: &Decision, claimed: bool, latest: Option<&FactBody>) -> DecisionCard {
    let text = |value: &dyn ToString| value.to_string();
    let mut card = DecisionCard {
        target: text(&decision.target.repository),
        start: text(&decision.target.start),
        state: Pill { word: "allowed", tone: "calm" },
        denied: None,
        outbound_rule: text(&decision.outbound_rule),
        inbound_rule: None,
        git_ref: None,
        inputs: Vec::new(),
        environment: Vec::new(),
        outcome: None,
        run: None,
    };
    match &decision.verdict {
        Verdict::Denied(denied) => {
            card.state = Pill { word: "denied", tone: "bad" };
            card.denied = Some((denied.reason, denied.message.clone()));
            card.inbound_rule = denied.inbound_rule.as_ref().map(|rule| text(rule));
            card.git_ref = denied.git_ref.as_ref().map(|git_ref| text(git_ref));
            card.inputs = denied.inputs.clone().unwrap_or_default().into_iter().collect();
        }
        Verdict::Allowed(allowed) => {
            card.inbound_rule = Some(text(&allowed.inbound_rule));
            card.git_ref = allowed.request.git_ref().map(|git_ref| text(git_ref));
            card.inputs = allowed.request.values().into_iter().collect();
            card.environment = allowed.environment.as_deref().map(environment).unwrap_or_default();
            (card.state, card.outcome) = outcome(claimed, latest);
            if let Some(FactBody::DispatchTriggered { run: Some(run) } | FactBody::DispatchRunFound { run }) = latest {
                card.run = Some(link(service, &run.url));
            }
        }
    }
    card
}

/// What became of an allowed target.
fn outcome(claimed: bool, latest: Option<&FactBody>) -> (Pill, Option<String>) {
    let pill = |word, tone| Pill { word, tone };
    match latest {
        _ if claimed => {
            let text = "Another delivery of the same event had started it: a target is started at most once.";
            (pill("done before", "quiet"), Some(text.to_owned()))
        }
        Some(FactBody::DispatchTriggered { run: Some(_) }) => (pill("started", "good"), None),
        Some(FactBody::DispatchTriggered { run: None }) => {
            (pill("started", "good"), Some("GitHub did not say which run it is; it is looked for.".to_owned()))
        }
        Some(FactBody::DispatchRunFound { .. }) => {
            let text = "GitHub's answer was lost; its run was found among the target's runs.";
            (pill("started", "good"), Some(text.to_owned()))
        }
        Some(FactBody::DispatchPutBack { until, error }) => {
            (pill("waiting", "warn"), Some(format!("until {until}: {error}")))
        }
        Some(FactBody::DispatchRefused { message, permission }) => {
            (pill("refused", "bad"), Some(refusal(message, permission.as_deref())))
        }
        Some(FactBody::DispatchInDoubt { error }) => (
            pill("in doubt", "warn"),
            Some(format!("{error}. The target's runs are looked at; nothing is repeated blindly.")),
        ),
        Some(FactBody::DispatchUnknown { error }) => (pill("unknown", "bad"), Some(error.clone())),
        Some(FactBody::DispatchRetried { .. }) => {
            (pill("waiting", "calm"), Some("The operator wants it to be tried again.".to_owned()))
        }
        Some(FactBody::DispatchDropped { .. }) => {
            (pill("dropped", "quiet"), Some("The operator does not want it, or took care of it.".to_owned()))
        }
        Some(FactBody::DispatchCancelled { reason, message }) => {
            (pill("cancelled", "bad"), Some(format!("{reason}: {message}")))
        }
        Some(FactBody::DispatchFailed { error }) => (pill("failed", "bad"), Some(error.clone())),
        _ => (pill("allowed", "calm"), None),
    }
}

/// The last fact about the dispatch to a target.
fn latest_about<'a>(facts: &'a [Fact], target: &Place) -> Option<&'a FactBody> {
    let about_it = |fact: &&Fact| fact.subject.dispatch.as_ref().is_some_and(|dispatch| dispatch.target == *target);
    facts.iter().rev().find(about_it).map(|fact| &fact.body)
}

/// Addresses come from payloads and answers. Only those that lead to the configured GitHub by https, or to this machine
/// (where the emulator serves), may be clicked.
fn link(service: &Service, url: &str) -> Link {
    Link { url: url.to_owned(), safe: is_safe(&service.github_url, url) }
}

fn is_safe(github: &str, url: &str) -> bool {
    let (Ok(github), Ok(url)) = (github.parse::<Address>(), url.parse::<Address>()) else { return false };
    let (Some(scheme), Some(authority)) = (url.scheme_str(), url.authority()) else { return false };
    let has_user = authority.as_str().contains('@');
    let ours = scheme == "https" && Some(authority) == github.authority();
    let loopback = matches!(scheme, "http" | "https") && is_loopback_name(authority.host());
    !has_user && (ours || loopback)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_that_lead_to_github_or_to_this_machine_may_be_clicked() {
        for (url, safe) in [
            ("https://github.com/acme/api/actions/runs/1", true),
            ("https://GitHub.com/acme/api", true),
            ("http://127.0.0.1:9000/acme/api/actions/runs/1", true),
            ("http://github.com/acme", false),
            ("https://github.com.evil.example/acme", false),
            ("https://github.com@evil.example/acme", false),
            ("https://x@github.com/acme", false),
            ("https://evil.example/github.com", false),
            ("javascript:alert(1)", false),
            ("//evil.example", false),
            ("", false),
        ] {
            assert_eq!(is_safe("https://github.com", url), safe, "{url}");
        }
    }

    #[test]
    fn a_key_in_an_address_is_an_id_and_a_digest() {
        let digest = "0".repeat(64);
        assert!(parse(&format!("72d3162e-cc78-11e3-81ab-4c9367dc0958:{digest}")).is_some());
        for text in ["", ":", "x", &format!("a b:{digest}"), &format!("x:{digest}0"), &format!("x:{}", "g".repeat(64))]
        {
            assert!(parse(text).is_none(), "{text}");
        }
    }
}
