//! What the check of a dispatch shows.
//!
//! Names and GitHub's own messages stand in code spans, which nothing gets out of. Links are those that GitHub gave, or
//! that the policy gives.

use super::markdown::{MAX_CODE, address, code, link, sentence};
use super::state::{State, environment, not_done, run_url};
use crate::chain::Place;
use crate::decide::{Decision, SourceView, Visibility};
use crate::dispatch::Dispatch;
use crate::environment::EnvironmentUse;
use crate::notice::{CheckStatus, CheckText};
use crate::policy::EnvironmentAction;

/// The longest title, in characters. It is one line of a list.
const MAX_TITLE: usize = 255;
/// The longest summary that GitHub takes, in characters ("Create a check run").
pub const MAX_SUMMARY: usize = 65_535;

/// The check's name: the edge.
#[must_use]
pub fn name(target: &Place) -> String {
    format!("dispatch / {} / {}", target.repository, target.start)
}

/// What is shown of a dispatch.
#[must_use]
pub fn of_dispatch(dispatch: &Dispatch) -> CheckText {
    let State { status, title, mut text } = State::of(dispatch);
    text.push_str("\n\n");
    write_decision(&mut text, &dispatch.decision);
    if let Some(environment) = environment(dispatch) {
        write_environment(&mut text, environment);
    }
    let title = match environment(dispatch) {
        Some(EnvironmentUse { action: EnvironmentAction::Create, description, .. }) if title == "live" => {
            description.url.as_ref().map_or(title.clone(), |url| format!("{title}: {url}"))
        }
        _ => title,
    };
    bounded(status, title, text, run_url(dispatch).map(str::to_owned))
}

/// What is shown of a denied decision: to the source, so no more than the source may see.
#[must_use]
pub fn of_denied(decision: &Decision) -> CheckText {
    let view = decision.for_source();
    let title = view.reason.map_or(SourceView::HIDDEN, |reason| reason.sentence()).to_owned();
    let mut text = format!("Not started: {}", sentence(&view.message));
    if let Some(reason) = view.reason {
        text.push_str(&format!("\n\nWhat to do: {}.", reason.help()));
    }
    text.push_str("\n\n");
    write_decision(&mut text, decision);
    bounded(CheckStatus::Completed(not_done(decision.required)), title, text, None)
}

fn bounded(status: CheckStatus, title: String, summary: String, details_url: Option<String>) -> CheckText {
    let title = title.chars().take(MAX_TITLE).collect();
    // Every part is bounded, so that this cuts nothing.
    CheckText { status, title, summary: summary.chars().take(MAX_SUMMARY).collect(), details_url }
}

/// Who wanted it, and who agreed.
fn write_decision(text: &mut String, decision: &Decision) {
    let item = |text: &mut String, what: &str, value: &str| text.push_str(&format!("- {what}: {value}\n"));
    let short = |value: &dyn std::fmt::Display| code(&value.to_string(), MAX_CODE);
    let target = format!("{}, {}", short(&decision.target.repository), short(&decision.target.start));
    item(text, "Target", &target);
    item(text, "Asked for by", &short(&decision.outbound_rule));
    let view = decision.for_source();
    if let Some(rule) = view.inbound_rule {
        item(text, if view.allowed { "Agreed to by" } else { "Nearest rule of the target" }, &short(rule));
    }
    if decision.visibility == Visibility::Source
        && let Some(git_ref) = decision.git_ref()
    {
        item(text, "At", &short(git_ref));
    }
    if let Some(reason) = view.reason {
        item(text, "Reason", &short(&reason));
    }
}

/// An environment, in lines of a list.
pub(super) fn write_environment(text: &mut String, environment: &EnvironmentUse) {
    let EnvironmentUse { key, description, .. } = environment;
    text.push_str(&format!("- Environment: {}\n", code(key.name.as_str(), MAX_CODE)));
    if let Some(url) = &description.url {
        text.push_str(&format!("- URL: {}\n", address(url)));
    }
    for (what, url) in description.links.iter().take(10) {
        text.push_str(&format!("- {}: {}\n", link(&code(what, 100), url), code(url, MAX_CODE)));
    }
    text.push_str(&format!("- Deploys: {}\n", code(&description.deploy, MAX_CODE)));
    text.push_str(&format!("- For pull requests into: {}\n", code(description.base.as_str(), MAX_CODE)));
    if let Some(ttl) = description.ttl.filter(|_| !environment.keep) {
        text.push_str(&format!("- Destroyed after: {} h without a change\n", ttl.as_secs() / 3_600));
    }
}
