//! The text of an issue about failures.
//!
//! Names and GitHub's own messages stand in code spans: mentions, links, HTML and fences are inert there, and nothing
//! that they contain ends the span.

use std::fmt::Write as _;

use super::markdown::{MAX_CODE, at, code};
use super::{Failure, Report};
use crate::Timestamp;
use crate::name::WorkflowFile;

/// The longest title that GitHub takes, in characters.
pub const MAX_TITLE: usize = 256;
/// The longest body that GitHub takes, in characters.
pub const MAX_BODY: usize = 65_536;

/// The issue's title.
#[must_use]
pub fn title(workflow: &WorkflowFile) -> String {
    format!("dispatch: runs of {} could not start what they should", code(workflow.as_str(), MAX_TITLE / 2))
}

/// What the issue is found by: an HTML comment, which is not shown, and which nothing that is quoted can contain.
#[must_use]
pub fn marker(workflow: &WorkflowFile) -> String {
    let mut harmless = String::new();
    for byte in workflow.as_str().bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'_' => harmless.push(char::from(byte)),
            // Writing to a String cannot fail.
            _ => _ = write!(harmless, "%{byte:02x}"),
        }
    }
    format!("<!-- dispatch: failures of {harmless} -->")
}

/// The issue's body: what fails, or that nothing does any more.
#[must_use]
pub fn body(report: &Report, now: Timestamp) -> String {
    let workflow = &report.key.workflow;
    let mut body = format!("{}\n", marker(workflow));
    let quoted = code(workflow.as_str(), MAX_CODE);
    if report.failures.is_empty() {
        let _ = writeln!(body, "What runs of {quoted} start works again, since {}.\n", at(now));
        body.push_str("This issue is opened again when something fails.\n");
        return body;
    }
    let _ = writeln!(body, "Runs of {quoted} could not start everything that they should.");
    for failure in report.failures.iter().rev() {
        write_failure(&mut body, failure);
    }
    body.push_str("\nThis issue is kept up to date, and closed when all of it works again.\n");
    body
}

fn write_failure(body: &mut String, failure: &Failure) {
    let heading = match &failure.target {
        Some(target) => {
            let place = [target.repository.to_string(), target.start.to_string()].map(|name| code(&name, MAX_CODE));
            place.join(": ")
        }
        None => "Before any target was considered".to_owned(),
    };
    // Writing to a String cannot fail.
    let _ = write!(
        body,
        "\n### {heading}\n\n- What went wrong: {}\n- How often in a row: {}\n- For the first time: {}\n- For the last time: \
         {}\n- What to do: {}\n",
        code(&failure.message, MAX_CODE),
        failure.times,
        at(failure.first_at),
        at(failure.last_at),
        failure.kind.help(),
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::RepositoryId;
    use crate::report::{FailureKind, ReportKey};

    const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);

    fn report(workflow: &str, failures: &[(&str, &str)]) -> Report {
        let failure = |(target, message): &(&str, &str)| Failure {
            target: target.split_once(' ').map(|(repository, workflow)| crate::chain::Place {
                repository: repository.parse().unwrap(),
                start: crate::policy::Start::Workflow(workflow.parse().unwrap()),
            }),
            kind: FailureKind::Refused,
            message: (*message).to_owned(),
            times: 2,
            first_at: NOW,
            last_at: NOW,
        };
        Report {
            key: ReportKey { repository: RepositoryId(1), workflow: workflow.parse().unwrap() },
            name: "octo-org/api".parse().unwrap(),
            issue: None,
            opening: None,
            failures: failures.iter().map(failure).collect(),
            due: None,
            attempts: 0,
        }
    }

    #[test]
    fn an_issue_says_what_failed_how_often_and_what_to_do() {
        let report = report("ci.yml", &[("", "it is late"), ("octo-org/web cd.yml", "No ref found for: release")]);
        assert_eq!(title(&report.key.workflow), "dispatch: runs of `ci.yml` could not start what they should");
        insta::assert_snapshot!(body(&report, NOW), @r"
        <!-- dispatch: failures of ci.yml -->
        Runs of `ci.yml` could not start everything that they should.

        ### `octo-org/web`: `cd.yml`

        - What went wrong: `No ref found for: release`
        - How often in a row: 2
        - For the first time: `2027-01-15T08:00:00Z`
        - For the last time: `2027-01-15T08:00:00Z`
        - What to do: correct what is named above on the target's side, then run the source workflow again, or ask the operator to retry it

        ### Before any target was considered

        - What went wrong: `it is late`
        - How often in a row: 2
        - For the first time: `2027-01-15T08:00:00Z`
        - For the last time: `2027-01-15T08:00:00Z`
        - What to do: correct what is named above on the target's side, then run the source workflow again, or ask the operator to retry it

        This issue is kept up to date, and closed when all of it works again.
        ");
    }

    #[test]
    fn an_issue_about_what_works_again_says_so() {
        insta::assert_snapshot!(body(&report("ci.yml", &[]), NOW), @r"
        <!-- dispatch: failures of ci.yml -->
        What runs of `ci.yml` start works again, since `2027-01-15T08:00:00Z`.

        This issue is opened again when something fails.
        ");
    }

    #[test]
    fn nothing_that_is_quoted_leaves_its_code_span() {
        let hostile = [
            "@octo-org/everybody ![x](https://x.example/y) <img src=x>",
            "`` ``` ~~~ ` @jane",
            "line\n\n# heading\r\n- [ ] task",
            "<!-- dispatch: failures of other.yml -->",
            "",
            "   ",
            "\u{202e}\u{200b}",
        ];
        for text in hostile {
            let written = body(&report("ci.yml", &[("octo-org/web cd.yml", text)]), NOW);
            let lines: Vec<_> = written.lines().filter(|line| line.starts_with("- What went wrong: ")).collect();
            assert_eq!(lines.len(), 1, "{written}");
            let span = lines[0].strip_prefix("- What went wrong: ").unwrap();
            let inside = span.strip_prefix('`').and_then(|rest| rest.strip_suffix('`'));
            assert!(
                span == "(nothing)" || inside.is_some_and(|text| !text.contains('`') && !text.is_empty()),
                "{span}"
            );
            assert_eq!(written.matches("<!--").count(), 1, "{written}");
        }
    }

    #[test]
    fn markers_of_two_workflows_are_never_one_within_the_other() {
        let names = ["ci.yml", "ci.yml.yml", "a b.yml", "a+b.yml", "a%20b.yml", "--ci.yml", "ci--.yml", "näme.yml"];
        let valid: Vec<WorkflowFile> = names.iter().filter_map(|name| name.parse().ok()).collect();
        for one in &valid {
            let marker = marker(one);
            let inside = marker.strip_prefix("<!--").unwrap().strip_suffix("-->").unwrap();
            assert!(!inside.contains("--") && !inside.contains('>') && marker.is_ascii(), "{marker}");
            let holding = valid.iter().filter(|other| super::marker(other).contains(&marker)).count();
            assert_eq!(holding, 1, "{marker}");
        }
    }

    #[test]
    fn the_largest_issue_is_within_githubs_limits() {
        let name = format!("{}.yml", "𝐀".repeat(62));
        let target = format!("octo-org/{} {name}", "a".repeat(100));
        let message = "\u{e0041}".repeat(1_000);
        let failures = vec![(target.as_str(), message.as_str()); Report::MAX_FAILURES];
        let report = report(&name, &failures);
        assert!(title(&report.key.workflow).chars().count() <= MAX_TITLE);
        assert!(body(&report, NOW).chars().count() <= MAX_BODY);
    }
}
