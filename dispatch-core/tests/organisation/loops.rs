//! Ways that come back to where they began.

use insta::assert_snapshot;

use super::*;

/// `from` starts `to` when its `w.yml` has run, and the other way around is accepted.
fn ring(names: &[&str], filter: &str) -> Vec<(String, String)> {
    let before = names.iter().cycle().skip(names.len() - 1);
    let after = names.iter().cycle().skip(1);
    let file = |((name, before), after): ((&&str, &&str), &&str)| {
        let text = format!(
            "outbound:\n  - source: {{ workflow: w.yml{filter} }}\n    targets: [{{ repository: {after}, workflow: w.yml }}]\n\
             inbound:\n  - source: {{ repository: {before}, workflow: w.yml{filter} }}\n    targets: [{{ workflow: w.yml, accept_refs: [main] }}]\n"
        );
        (format!("acme/{name}/dispatching.yml"), text)
    };
    names.iter().zip(before).zip(after).map(file).collect()
}

fn borrowed(files: &[(String, String)]) -> Vec<(&str, &str)> {
    files.iter().map(|(path, text)| (&**path, &**text)).collect()
}

#[test]
fn a_loop_is_told_with_its_whole_path() {
    let files = ring(&["a", "b", "c"], "");
    assert_snapshot!(findings(&borrowed(&files)), @"warning[dispatch_loop] acme/a/dispatching.yml:3: `w.yml` of `acme/a` leads back to itself: `w.yml` of `acme/b`, then `w.yml` of `acme/c`, then `w.yml` of `acme/a` | it is closed here: acme/c/dispatching.yml:3");
    let examined = examine(&borrowed(&files));
    assert_eq!(examined.loops[0].len(), 3);
    assert!(examined.edges.iter().all(|edge| edge.in_loop));
}

#[test]
fn a_rule_that_is_not_about_dispatched_runs_goes_no_further() {
    assert_eq!(findings(&borrowed(&ring(&["a", "b"], ", events: [push]"))), "");
    assert_eq!(codes(&borrowed(&ring(&["a", "b"], ", events: [push, workflow_dispatch]"))), ["dispatch_loop"]);
}

#[test]
fn a_loop_goes_through_the_workflows_that_listen_to_an_event() {
    let files = [
        (
            "acme/a/dispatching.yml",
            "\
outbound:
  - source: { workflow: w.yml }
    targets: [{ repository: a, event: again }]
inbound:
  - source: { repository: a, workflow: w.yml }
    targets: [{ event: again }]
",
        ),
        ("acme/a/.github/workflows/w.yml", "on: { repository_dispatch: { types: [again] } }"),
    ];
    assert_snapshot!(findings(&files), @"warning[dispatch_loop] acme/a/dispatching.yml:3: `w.yml` of `acme/a` leads back to itself: `again` of `acme/a`");
    assert_eq!(codes(&files[..1]), [""; 0], "nobody knows what listens");
}

#[test]
fn a_long_loop_is_told_in_a_message_of_bounded_length() {
    let names: Vec<_> = (0..300).map(|number| format!("r{number:03}")).collect();
    let files = ring(&names.iter().map(|name| &**name).collect::<Vec<_>>(), "");
    let examined = examine(&borrowed(&files));
    assert_eq!(examined.loops[0].len(), 300, "all of it is there for programs");
    let message = &examined.findings[0].problem.message;
    assert!(message.ends_with("then 250 more") && message.len() < 3_000, "{message}");
}
