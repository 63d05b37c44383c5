//! What people are told to do about a problem, and where they are told it.

use super::events::{COMMAND, PULL_REQUEST, RUN, inbound, outbound};
use super::{check, problems};

/// A line for every case: what is wrong, and what to do about it.
fn helps(table: &[(&str, String)]) -> String {
    let lines = table.iter().map(|(name, text)| {
        let problems = check(text.as_bytes()).diagnostics.problems;
        let told = problems.iter().map(|it| format!("{} ({})", it.message, it.help.as_deref().unwrap_or("-")));
        format!("{name}: {}\n", told.collect::<Vec<_>>().join("; "))
    });
    lines.collect()
}

#[test]
fn a_key_of_another_kind_of_rule_is_answered_with_the_one_that_belongs_there() {
    let table = [
        ("the base of a run", outbound("workflow: ci.yml, base: [main]", "event: x")),
        ("the branches of a pull request", outbound("pull_request: [opened], branches: [main]", "event: x")),
        ("the branches of a command", inbound("command: /x, branches: [main]", "event: x")),
        ("the conclusions of a command", outbound("command: /x, conclusions: [success]", "event: x")),
        ("the inputs of an event", outbound(PULL_REQUEST, "event: x\ninputs: {a: b}")),
        ("the ref of an event", outbound(PULL_REQUEST, "event: x\nref: main")),
        ("the payload of a workflow", outbound(PULL_REQUEST, "workflow: cd.yml\npayload: {a: b}")),
        ("the accepted inputs of an event", inbound(PULL_REQUEST, "event: x, accept_inputs: [a]")),
        ("the accepted refs of an event", inbound(PULL_REQUEST, "event: x, accept_refs: [main]")),
        (
            "the accepted payload of a workflow",
            inbound(PULL_REQUEST, "workflow: x.yml, accept_refs: [main], accept_payload: [a]"),
        ),
    ];
    insta::assert_snapshot!(helps(&table), @"
    the base of a run: `base` goes with `pull_request` and `command`, and not with `workflow` (write `branches` for the branches that the run may have been on)
    the branches of a pull request: `branches` goes with `workflow`, and not with `pull_request` (write `base` for the branches that the pull request may want to change)
    the branches of a command: `branches` goes with `workflow`, and not with `command` (write `base` for the branches that the pull request may want to change)
    the conclusions of a command: `conclusions` goes with `workflow`, and not with `command` (remove it)
    the inputs of an event: `inputs` goes with `workflow`, and not with `event` (write `payload`)
    the ref of an event: `ref` goes with `workflow`, and not with `event` (remove it: an event always runs what the default branch says)
    the payload of a workflow: `payload` goes with `event`, and not with `workflow` (write `inputs`)
    the accepted inputs of an event: `accept_inputs` goes with `workflow`, and not with `event` (write `accept_payload`)
    the accepted refs of an event: `accept_refs` goes with `workflow`, and not with `event` (remove it: an event always runs what the default branch says)
    the accepted payload of a workflow: `accept_payload` goes with `event`, and not with `workflow` (write `accept_inputs`)
    ");
}

#[test]
fn a_value_of_another_form_is_answered_with_the_form_that_belongs_there() {
    let argument = |text: &str| outbound(&format!("command: /x, argument: {{ max_length: {text} }}"), "event: x");
    let command = |text: &str| outbound(&format!("command: {text}"), "event: x");
    let table = [
        ("a word for a list", outbound("pull_request: opened", "event: x")),
        ("a word in quotes for a list", outbound("pull_request: 'opened'", "event: x")),
        ("a mapping for a list", outbound("pull_request: {a: b}", "event: x")),
        ("a number in quotes", argument("'3'")),
        ("a number in words", argument("three")),
        ("a command without its slash", command("test-deploy")),
        ("two words without a slash", command("test deploy")),
        ("a command of two words", command("/test deploy")),
        ("a command in capitals", command("/Deploy")),
    ];
    insta::assert_snapshot!(helps(&table), @"
    a word for a list: expected a list, got the text `opened` (write `pull_request: [opened]`)
    a word in quotes for a list: expected a list, got the text `opened` (write `pull_request: [opened]`)
    a mapping for a list: expected a list, got a mapping (-)
    a number in quotes: expected a number, got the text `3` (remove the quotes)
    a number in words: expected a number, got the text `three` (write a whole number in digits, without a sign and zeros in front)
    a command without its slash: `test-deploy` is not a command: `/`, then 1 to 50 of a-z, 0-9, `-` and `_`, starting with a letter (did you mean `/test-deploy`?)
    two words without a slash: `test deploy` is not a command: `/`, then 1 to 50 of a-z, 0-9, `-` and `_`, starting with a letter (a command starts with `/`, such as `/test-deploy`)
    a command of two words: `/test deploy` is not a command: `/`, then 1 to 50 of a-z, 0-9, `-` and `_`, starting with a letter (write it as people will: one word, such as `/test-deploy`)
    a command in capitals: `/Deploy` is not a command: `/`, then 1 to 50 of a-z, 0-9, `-` and `_`, starting with a letter (write it as people will: one word, such as `/test-deploy`)
    ");
}

#[test]
fn a_variable_of_another_kind_of_event_is_answered_with_the_one_that_is_meant() {
    let sends =
        |source: &str, variable: &str| outbound(source, &format!("event: x\npayload: {{a: '{{{{ {variable} }}}}'}}"));
    let table = [
        ("the branch of a run, for a pull request", sends(PULL_REQUEST, "source.head_branch")),
        ("the branch of a run, for a command", sends(COMMAND, "source.head_branch")),
        ("the branch of a pull request, for a run", sends(RUN, "pr.head_branch")),
        ("the commit of a pull request, for a run", sends(RUN, "pr.head_sha")),
        ("a number, for a run", sends(RUN, "pr.number")),
        ("an environment's name, where there is none", sends(COMMAND, "env.name")),
    ];
    insta::assert_snapshot!(helps(&table), @"
    the branch of a run, for a pull request: `source.head_branch` has no value for a change of a pull request (did you mean `pr.head_branch`?)
    the branch of a run, for a command: `source.head_branch` has no value for a command (did you mean `pr.head_branch`?)
    the branch of a pull request, for a run: `pr.head_branch` has no value for a run of a workflow (did you mean `source.head_branch`?)
    the commit of a pull request, for a run: `pr.head_sha` has no value for a run of a workflow (did you mean `source.sha`?)
    a number, for a run: `pr.number` has no value for a run of a workflow (the variables here are `source.sha`, `source.head_branch`, `source.run_id`, `source.run_url`, `source.repo`, `source.workflow`, `sender.login`)
    an environment's name, where there is none: `env.name` has a value only for a target with `environment` (add `environment: create` or `environment: destroy` to this target)
    ");
}

#[test]
fn what_is_wrong_twice_in_one_text_is_shown_at_both_places_however_it_is_written() {
    let twice = "{{ pr.titel }} {{ pr.titel }}";
    let sends = |text: &str| problems(outbound(PULL_REQUEST, &format!("event: x\npayload:\n  a: {text}")).as_bytes()).0;
    insta::assert_snapshot!([
        sends(&format!("'{twice}'")),
        sends(&format!("\"{twice}\"")),
        sends(&format!("of {twice}")),
        sends(&format!("|-\n    {twice}")),
        // Where the text is not as the file has it, both are shown where its words come first.
        sends(&format!("\"\\u00fc {twice}\"")),
    ].join("\n"), @"
    unknown_variable 7:18 pr.titel; unknown_variable 7:33 pr.titel
    unknown_variable 7:18 pr.titel; unknown_variable 7:33 pr.titel
    unknown_variable 7:20 pr.titel; unknown_variable 7:35 pr.titel
    unknown_variable 8:16 pr.titel; unknown_variable 8:31 pr.titel
    unknown_variable 7:25 pr.titel; unknown_variable 7:25 pr.titel
    ");
}
