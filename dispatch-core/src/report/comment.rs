//! The comments on a pull request: what came of what it started, and why commands were refused.

use super::check::write_environment;
use super::markdown::{MAX_CODE, code, link, sentence};
use super::state::{State, environment, run_failed, run_url};
use crate::chain::Place;
use crate::decide::Decision;
use crate::dispatch::{Dispatch, DispatchState};
use crate::environment::EnvironmentKey;
use crate::event::Command;
use crate::notice::{CheckStatus, Comment, CommentAbout, CommentKey, CommentPart};
use crate::policy::EnvironmentAction;
use crate::reason::Reason;

/// The longest body that GitHub takes, in characters.
pub const MAX_BODY: usize = 65_536;
/// The longest part, in characters. What it is made of is bounded, so that none is longer.
const MAX_PART: usize = 12_000;
/// Room for what stands around the parts, in characters.
const AROUND: usize = 1_000;

/// What the comment is found by: an HTML comment, which is not shown, and which nothing that is quoted can contain.
#[must_use]
pub fn marker(key: &CommentKey) -> String {
    let number = key.pull_request;
    match &key.about {
        CommentAbout::Results => format!("<!-- dispatch: results of pull request {number} -->"),
        CommentAbout::Refusals { to, on } => {
            format!("<!-- dispatch: refusals on pull request {number} to {to} on {on} -->")
        }
    }
}

/// The comment's body.
#[must_use]
pub fn body(comment: &Comment) -> String {
    let (heading, ending) = match comment.key.about {
        CommentAbout::Results => ("What this pull request started", "This comment is kept up to date."),
        CommentAbout::Refusals { .. } => {
            ("Commands that were not run", "Further refusals of this day are added to this comment.")
        }
    };
    let mut body = format!("{}\n### {heading}\n", marker(&comment.key));
    let (shown, left_out) = newest(comment);
    for part in shown {
        body.push('\n');
        body.push_str(part.text.trim_end());
        body.push('\n');
    }
    if left_out > 0 {
        body.push_str(&format!("\n{left_out} older are not shown: a comment has a limited length.\n"));
    }
    body.push_str(&format!("\n<sub>{ending}</sub>\n"));
    body
}

/// As many of the newest parts as fit into a comment, in the order of their keys, and how many do not.
fn newest(comment: &Comment) -> (Vec<&CommentPart>, usize) {
    let mut newest: Vec<_> = comment.parts.iter().collect();
    newest.sort_by_key(|(_, part)| std::cmp::Reverse(part.at));
    let mut room = MAX_BODY - AROUND;
    let mut fits = |(_, part): &(&String, &CommentPart)| {
        let rest = room.checked_sub(part.text.chars().count() + "\n\n".len());
        room = rest.unwrap_or(0);
        rest.is_some()
    };
    let mut shown: Vec<_> = newest.into_iter().take_while(|part| fits(part)).collect();
    shown.sort_by_key(|(key, _)| *key);
    let left_out = comment.parts.len() - shown.len();
    (shown.into_iter().map(|(_, part)| part).collect(), left_out)
}

/// The part of the results that a dispatch, or a denial of its target, is told in: one for each environment, and one for each
/// target without one.
#[must_use]
pub fn part_key(decision: &Decision) -> String {
    let used = decision.allowed().and_then(|allowed| allowed.environment.as_deref());
    match used {
        Some(environment) => {
            let EnvironmentKey { repository, name } = &environment.key;
            format!("environment/{}:{name}", repository.key())
        }
        None => format!("target/{}:{}", decision.target.repository.key(), decision.target.start),
    }
}

/// What became of a dispatch.
#[must_use]
pub fn of_dispatch(dispatch: &Dispatch) -> String {
    let State { status, title, text } = State::of(dispatch);
    let used = environment(dispatch);
    let heading = match used {
        Some(environment) => {
            let doing = match environment.action {
                EnvironmentAction::Create => "Environment",
                EnvironmentAction::Destroy => "Removal of environment",
            };
            format!("{doing} {}: {}", code(environment.key.name.as_str(), MAX_CODE), sentence(&title))
        }
        None => format!("{}: {}", place(&dispatch.key.target), sentence(&title)),
    };
    let mut part = format!("#### {heading}\n\n{text}\n\n");
    if let Some(environment) = used {
        write_environment(&mut part, environment);
    }
    if let Some(url) = run_url(dispatch) {
        part.push_str(&format!("- Run: {}\n", link(&place(&dispatch.key.target), url)));
    } else if used.is_some() {
        part.push_str(&format!("- Target: {}\n", place(&dispatch.key.target)));
    }
    let failed = matches!(status, CheckStatus::Completed(_)) && (run_failed(dispatch) || !went_well(dispatch));
    let cleanup = used.and_then(|used| used.description.cleanup.as_ref());
    if let Some(cleanup) = cleanup.filter(|_| failed) {
        part.push_str(&format!("- How to clean up by hand: {}\n", sentence(cleanup)));
    }
    part.chars().take(MAX_PART).collect()
}

/// A target that a command should have started, and that was denied.
#[must_use]
pub fn of_denied(decision: &Decision) -> String {
    let view = decision.for_source();
    let mut part = format!("#### {}: not started\n\n{}\n", place(&decision.target), sentence(&view.message));
    if let Some(reason) = view.reason {
        part.push_str(&format!("\nWhat to do: {}.\n", reason.help()));
    }
    part.chars().take(MAX_PART).collect()
}

/// A command that started nothing: what it was, and why.
#[must_use]
pub fn of_refusal(command: &Command, reason: Option<Reason>, message: &str, target: Option<&Place>) -> String {
    let mut part = format!("- {}", code(command.name.as_str(), MAX_CODE));
    if let Some(target) = target {
        part.push_str(&format!(" ({})", place(target)));
    }
    part.push_str(&format!(" by {}: {}.", code(command.commenter.login.as_str(), MAX_CODE), sentence(message)));
    if let Some(reason) = reason {
        part.push_str(&format!(" What to do: {}.", reason.help()));
    }
    part.chars().take(MAX_PART).collect()
}

fn place(target: &Place) -> String {
    format!("{} in {}", code(target.start.as_str(), MAX_CODE), code(target.repository.as_str(), MAX_CODE))
}

/// Whether nobody has to clean up because of how calling it ended.
fn went_well(dispatch: &Dispatch) -> bool {
    matches!(dispatch.state, DispatchState::Triggered { .. } | DispatchState::Cancelled { .. } | DispatchState::Dropped)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::{PullRequestNumber, RepositoryId};

    #[test]
    fn what_does_not_fit_into_a_comment_is_left_out_whole_the_oldest_first_and_counted() {
        let part = |number: i64| CommentPart {
            dispatch: None,
            at: crate::Timestamp::UNIX_EPOCH + std::time::Duration::from_secs(number.unsigned_abs()),
            text: format!("#### part {number}\n{}end of part {number}", "x".repeat(11_000)),
        };
        let parts = (1..=8).map(|number| (format!("{}", 9 - number), part(number))).collect();
        let pull_request = PullRequestNumber(7);
        let key = CommentKey { repository: RepositoryId(1), pull_request, about: CommentAbout::Results };
        let name = "octo-org/api".parse().unwrap();
        let repository = crate::ports::github::RepositoryRef { id: RepositoryId(1), name };
        let body = body(&Comment { key, repository, parts });
        assert!(body.chars().count() <= MAX_BODY);
        let ends: Vec<_> = (1..=8).filter(|number| body.contains(&format!("end of part {number}"))).collect();
        assert_eq!(ends, [4, 5, 6, 7, 8]);
        assert!(body.contains("3 older are not shown"));
    }
}
