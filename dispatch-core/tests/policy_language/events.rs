//! Sources and targets: pull requests, commands and events.

use dispatch_core::event::PullRequestAction;
use dispatch_core::policy::{Channel, CommandPermission, EnvironmentAction, Source, Start};
use dispatch_core::template::Variable;

use super::{check, problems, told, told_of};

/// A file with one outbound rule, whose `source` and whose target's lines are given. The source is line 2, the target line 4.
pub(super) fn outbound(source: &str, target: &str) -> String {
    let target = target.replace('\n', "\n        ");
    format!("outbound:\n  - source: {{{source}}}\n    targets:\n      - repository: infra\n        {target}\n")
}

/// A file with one inbound rule. The source is line 2, the target line 4.
pub(super) fn inbound(source: &str, target: &str) -> String {
    format!("inbound:\n  - source: {{repository: api, {source}}}\n    targets:\n      - {{{target}}}\n")
}

pub(super) const PULL_REQUEST: &str = "pull_request: [opened]";
pub(super) const COMMAND: &str = "command: /deploy";
pub(super) const RUN: &str = "workflow: ci.yml";

#[test]
fn a_source_is_one_of_three_kinds() {
    let source = |text: &str| {
        let checked = check(outbound(text, "event: preview").as_bytes());
        checked.policy.unwrap_or_else(|| panic!("{text}: {:?}", checked.diagnostics)).outbound()[0].source.clone()
    };
    let Source::PullRequest(changes) =
        source("pull_request: [closed, opened], base: [main, 'release/*'], draft: false")
    else {
        panic!("not about pull requests");
    };
    assert_eq!(changes.actions, [PullRequestAction::Opened, PullRequestAction::Closed].into());
    assert!(changes.base.unwrap().matches("release/1"));
    assert_eq!((changes.draft, changes.forks), (Some(false), false));
    let Source::Command(command) = source("command: /test-deploy, permission: acme/release-managers, forks: true")
    else {
        panic!("not about a command");
    };
    assert_eq!(command.command.as_str(), "/test-deploy");
    assert_eq!(command.permission, Some(CommandPermission::Team("acme/release-managers".parse().unwrap())));
    assert_eq!((command.base, command.draft, command.forks), (None, None, true));
    let Source::Command(command) = source("command: /deploy, argument: { one_of: [eu, us] }") else {
        panic!("not about a command");
    };
    assert_eq!(command.argument.unwrap().refuses("asia").unwrap(), "one of `eu`, `us`");
    for (word, expected) in [
        ("write", CommandPermission::Write),
        ("admin", CommandPermission::Admin),
        ("author", CommandPermission::Author),
    ] {
        let text = format!("command: /x, permission: {word}, base: main");
        assert!(matches!(source(&text), Source::Command(command) if command.permission == Some(expected)), "{word}");
    }
}

#[test]
fn a_target_is_a_workflow_or_an_event() {
    let target = |source: &str, text: &str| {
        let checked = check(outbound(source, text).as_bytes());
        checked.policy.unwrap_or_else(|| panic!("{text}: {:?}", checked.diagnostics)).outbound()[0].targets[0].clone()
    };
    let event =
        target(RUN, "event: ci-is-green\npayload: {sha: '{{ source.sha }}', run: '{{ source.run_id | json }}'}");
    assert_eq!(event.start, Start::Event("ci-is-green".parse().unwrap()));
    assert_eq!(event.inputs["run"].as_str(), "{{ source.run_id | json }}");
    assert_eq!((event.environment, event.required, event.report), (None, None, None));
    let workflow = target(COMMAND, "workflow: cd.yml\nref: main\ninputs: {pr: '{{ pr.number }}'}\nrequired: true");
    assert_eq!(workflow.start, Start::Workflow("cd.yml".parse().unwrap()));
    assert_eq!(workflow.required, Some(true));
    let told = target(PULL_REQUEST, "event: x\nenvironment: destroy\nrequired: false\nreport: [check, comment]");
    assert_eq!(told.environment, Some(EnvironmentAction::Destroy));
    assert_eq!(told.report, Some([Channel::Check, Channel::Comment].into()));
    assert_eq!(target(PULL_REQUEST, "event: x\nreport: []").report, Some([].into()));
}

#[test]
fn an_inbound_rule_names_the_same_things() {
    let file = inbound("command: /deploy, permission: admin, base: main", "event: deploy, accept_payload: [pr, sha]");
    let policy = check(file.as_bytes()).policy.unwrap();
    let rule = &policy.inbound()[0];
    assert!(matches!(&rule.source, Source::Command(command) if command.permission == Some(CommandPermission::Admin)));
    assert_eq!(rule.targets[0].start, Start::Event("deploy".parse().unwrap()));
    assert_eq!(rule.targets[0].accept_inputs.keys().collect::<Vec<_>>(), ["pr", "sha"]);
    assert_eq!(problems(file.as_bytes()).0, "", "an event has no ref that could be accepted");
}

#[test]
fn sources_and_targets_are_refused_at_the_exact_place() {
    let ten = (0..10).map(|n| format!("p{n}: x")).collect::<Vec<_>>().join(", ");
    let table: Vec<(&str, Vec<u8>)> = [
        ("no kind of source", outbound("forks: true", "event: x")),
        ("two kinds of source", outbound("workflow: ci.yml, pull_request: [opened]", "event: x")),
        ("three kinds of source", outbound("command: /x, pull_request: [opened], workflow: a.yml", "event: x")),
        ("two kinds and a wrong value", outbound("command: x, pull_request: [open]", "event: x")),
        ("no action", outbound("pull_request: []", "event: x")),
        ("an action that is no list", outbound("pull_request: opened", "event: x")),
        ("wrong actions", outbound("pull_request: [openend, merged, labeled, opened]", "event: x")),
        ("a command without slash", outbound("command: test-deploy", "event: x")),
        ("a command with arguments", outbound("command: /deploy now", "event: x")),
        ("a command in capitals", outbound("command: /Deploy", "event: x")),
        ("filters of runs", outbound("command: /x, branches: [main], conclusions: [success]", "event: x")),
        ("more filters of runs", outbound("pull_request: [opened], events: [push], reruns: any", "event: x")),
        ("filters of pull requests", outbound("workflow: ci.yml, base: [main], draft: true", "event: x")),
        ("permission without command", outbound("pull_request: [opened], permission: write", "event: x")),
        ("permission for a run", inbound("workflow: ci.yml, permission: write", "event: x")),
        ("an argument without command", outbound("pull_request: [opened], argument: {}", "event: x")),
        ("an argument on the target's side", inbound("command: /x, argument: {}", "event: x")),
        ("an argument that is a list", outbound("command: /x, argument: [eu]", "event: x")),
        ("an argument that is a word", outbound("command: /x, argument: number", "event: x")),
        ("a misspelt argument", outbound("command: /x, argument: { oneof: [eu] }", "event: x")),
        ("a misplaced filter that is wrong too", outbound("workflow: ci.yml, base: ['!x']", "event: x")),
        ("an unknown permission", outbound("command: /x, permission: maintain", "event: x")),
        ("a misspelt permission", outbound("command: /x, permission: wirte", "event: x")),
        ("a team with an at", outbound("command: /x, permission: '@acme/ops'", "event: x")),
        ("a team on the target's side", inbound("command: /x, permission: acme/ops", "event: x")),
        ("a base that is a mapping", outbound("command: /x, base: {a: b}", "event: x")),
        ("an empty base", outbound("command: /x, base: []", "event: x")),
        ("a draft in quotes", outbound("pull_request: [opened], draft: 'no'", "event: x")),
        ("no kind of target", outbound(PULL_REQUEST, "payload: {a: b}")),
        ("two kinds of target", outbound(PULL_REQUEST, "event: x\nworkflow: cd.yml")),
        ("no kind of accepted target", inbound(PULL_REQUEST, "accept_payload: [a]")),
        ("two kinds of accepted target", inbound(PULL_REQUEST, "event: x, workflow: cd.yml")),
        ("inputs for an event", outbound(PULL_REQUEST, "event: x\ninputs: {a: b}\nref: main")),
        ("a payload for a workflow", outbound(PULL_REQUEST, "workflow: cd.yml\npayload: {a: b}")),
        ("refs of an event", inbound(PULL_REQUEST, "event: x, accept_refs: [main], accept_inputs: [a]")),
        ("a payload of a workflow", inbound(PULL_REQUEST, "workflow: x.yml, accept_refs: [main], accept_payload: [a]")),
        ("an event of 101 characters", outbound(PULL_REQUEST, &format!("event: {}", "x".repeat(101)))),
        ("an event with a space", outbound(PULL_REQUEST, "event: pr closed")),
        ("11 properties", outbound(PULL_REQUEST, &format!("event: x\npayload: {{{ten}, p10: x}}"))),
        (
            "a property of 101 characters",
            outbound(PULL_REQUEST, &format!("event: x\npayload: {{{}: x}}", "a".repeat(101))),
        ),
        ("a nested payload", outbound(PULL_REQUEST, "event: x\npayload: {a: {b: c}}")),
        (
            "a payload of 65,536 bytes",
            outbound(PULL_REQUEST, &format!("event: x\npayload: {{a: {}}}", "x".repeat(65_528))),
        ),
        (
            "a payload of 65,535 bytes",
            outbound(PULL_REQUEST, &format!("event: x\npayload: {{a: {}}}", "x".repeat(65_527))),
        ),
        (
            "inputs too large",
            outbound(PULL_REQUEST, &format!("workflow: x.yml\ninputs: {{a: {}}}", "x".repeat(65_528))),
        ),
        ("JSON in inputs", outbound(PULL_REQUEST, "workflow: x.yml\ninputs: {a: '{{ pr.merged | json }}'}")),
        ("JSON with something behind it", outbound(PULL_REQUEST, "event: x\npayload: {a: '{{ pr.merged | json }}!'}")),
        ("an environment of a run", outbound(RUN, "event: x\nenvironment: destroy")),
        ("an unknown environment action", outbound(COMMAND, "event: x\nenvironment: delete")),
        ("a misspelt environment action", outbound(COMMAND, "event: x\nenvironment: destory")),
        ("required in quotes", outbound(COMMAND, "event: x\nrequired: 'true'")),
        ("an unknown report", outbound(COMMAND, "event: x\nreport: [chek, mail]")),
        ("a comment on a run", outbound(RUN, "event: x\nreport: [comment]")),
        // What follows leaves the rest of the file at work.
        ("required without check", outbound(COMMAND, "event: x\nrequired: true\nreport: [comment]")),
    ]
    .map(|(name, text)| (name, text.into_bytes()))
    .into();
    insta::assert_snapshot!(told_of(table), @"
    no kind of source: missing_key 2:13 {forks: true}
    two kinds of source: conflicting_keys 2:32 pull_request
    three kinds of source: conflicting_keys 2:14 command; conflicting_keys 2:27 pull_request
    two kinds and a wrong value: conflicting_keys 2:14 command; invalid_name 2:23 x; unknown_action 2:41 open
    no action: empty_list 2:28 []
    an action that is no list: wrong_type 2:28 opened
    wrong actions: unknown_action 2:29 openend; unknown_action 2:38 merged; unknown_action 2:46 labeled
    a command without slash: invalid_name 2:23 test-deploy
    a command with arguments: invalid_name 2:23 /deploy now
    a command in capitals: invalid_name 2:23 /Deploy
    filters of runs: misplaced_key 2:27 branches; misplaced_key 2:45 conclusions
    more filters of runs: misplaced_key 2:38 events; misplaced_key 2:54 reruns
    filters of pull requests: misplaced_key 2:32 base; misplaced_key 2:46 draft
    permission without command: misplaced_key 2:38 permission
    permission for a run: misplaced_key 2:49 permission
    an argument without command: misplaced_key 2:38 argument
    an argument on the target's side: unknown_key 2:44 argument
    an argument that is a list: wrong_type 2:37 [eu]
    an argument that is a word: wrong_type 2:37 number
    a misspelt argument: unknown_key 2:39 oneof
    a misplaced filter that is wrong too: misplaced_key 2:32 base; invalid_pattern 2:39 '!x'
    an unknown permission: invalid_permission 2:39 maintain
    a misspelt permission: invalid_permission 2:39 wirte
    a team with an at: invalid_name 2:39 '@acme/ops'
    a team on the target's side: invalid_permission 2:56 acme/ops
    a base that is a mapping: wrong_type 2:33 {a: b}
    an empty base: empty_list 2:33 []
    a draft in quotes: wrong_type 2:45 'no'
    no kind of target: missing_key 4:9 repository: infra
    two kinds of target: conflicting_keys 5:9 event
    no kind of accepted target: missing_key 4:9 {accept_payload: [a]}
    two kinds of accepted target: conflicting_keys 4:10 event
    inputs for an event: misplaced_key 6:9 inputs; misplaced_key 7:9 ref
    a payload for a workflow: misplaced_key 6:9 payload
    refs of an event: misplaced_key 4:20 accept_refs; misplaced_key 4:41 accept_inputs
    a payload of a workflow: misplaced_key 4:48 accept_payload
    an event of 101 characters: invalid_name 5:16 xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
    an event with a space: invalid_name 5:16 pr closed
    11 properties: too_many_properties 6:18 {p0: x, p1: x, p2: x, p3: x, p4: x, p5: x, p6: x, p7: x, p8: x, p9: x, p10: x}
    a property of 101 characters: invalid_input_name 6:19 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
    a nested payload: wrong_type 6:22 {b: c}
    a payload of 65,536 bytes: payload_too_large 6:18 {a: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
    a payload of 65,535 bytes: input_never_sent 6:22 xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx - and yet a policy
    inputs too large: payload_too_large 6:17 {a: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
    JSON in inputs: invalid_template 6:22 {{ pr.merged | json }}
    JSON with something behind it: invalid_template 6:23 {{ pr.merged | json }}
    an environment of a run: misplaced_key 6:9 environment
    an unknown environment action: invalid_environment 6:22 delete
    a misspelt environment action: invalid_environment 6:22 destory
    required in quotes: wrong_type 6:19 'true'
    an unknown report: unknown_report 6:18 chek; unknown_report 6:24 mail
    a comment on a run: unknown_report 6:18 comment
    required without check: required_without_check 7:17 [comment] - and yet a policy
    ");
}

#[test]
fn a_variable_without_a_value_denies_its_own_target_only() {
    let table: Vec<(&str, Vec<u8>)> = [
        ("a pull request's in a run's rule", outbound(RUN, "event: x\npayload: {a: 'ü {{ pr.number }}'}")),
        ("a comment's in a run's rule", outbound(RUN, "event: x\npayload: {a: '{{ comment.id | json }}'}")),
        ("a run's in a pull request's rule", outbound(PULL_REQUEST, "event: x\npayload: {a: '{{ source.run_id }}'}")),
        ("a run's branch in a command's rule", outbound(COMMAND, "event: x\npayload: {a: '{{ source.head_branch }}'}")),
        ("a comment's in a pull request's rule", outbound(PULL_REQUEST, "event: x\npayload: {a: '{{ comment.id }}'}")),
        ("an action in a command's rule", outbound(COMMAND, "workflow: x.yml\ninputs: {a: '{{ pr.action }}'}")),
        ("an environment's without one", outbound(COMMAND, "event: x\npayload: {a: '{{ env.name }}'}")),
        ("one that is none", outbound(COMMAND, "event: x\npayload: {a: '{{ pr.title }}', b: '{{ pr.nmber }}'}")),
    ]
    .map(|(name, text)| (name, text.into_bytes()))
    .into();
    insta::assert_snapshot!(told_of(table), @"
    a pull request's in a run's rule: variable_without_value 6:28 pr.number - and yet a policy
    a comment's in a run's rule: variable_without_value 6:26 comment.id - and yet a policy
    a run's in a pull request's rule: variable_without_value 6:26 source.run_id - and yet a policy
    a run's branch in a command's rule: variable_without_value 6:26 source.head_branch - and yet a policy
    a comment's in a pull request's rule: variable_without_value 6:26 comment.id - and yet a policy
    an action in a command's rule: variable_without_value 6:25 pr.action - and yet a policy
    an environment's without one: variable_without_value 6:26 env.name - and yet a policy
    one that is none: unknown_variable 6:26 pr.title; unknown_variable 6:47 pr.nmber - and yet a policy
    ");
}

#[test]
fn every_variable_has_a_value_where_it_is_said_to_have_one() {
    for (source, environment) in [(RUN, ""), (PULL_REQUEST, ""), (PULL_REQUEST, "environment: destroy"), (COMMAND, "")]
    {
        for variable in Variable::ALL {
            let file = outbound(source, &format!("event: x\npayload: {{a: '{{{{ {variable} }}}}'}}\n{environment}"));
            let checked = check(file.as_bytes());
            let rule = &checked.policy.as_ref().unwrap().outbound()[0];
            let gives = rule.source.gives(*variable, !environment.is_empty());
            assert_eq!(gives, checked.diagnostics.problems.is_empty(), "{variable} for {source} {environment}");
        }
    }
}

#[test]
fn people_read_how_to_mend_a_rule_about_pull_requests() {
    let text = "\
outbound:
  - source:
      pull_request: [opened, merged]
      branches: [main]
      permission: write
    targets:
      - repository: infra
        event: preview
        workflow: preview.yml
        payload:
          number: \"{{ pr.title }}\"
          run: \"{{ source.run_id }}\"
          env: \"{{ env.name }}\"
";
    insta::assert_snapshot!(told(text), @r#"
    error[unknown_action]: a rule cannot be about pull requests that are `merged`
     --> dispatching.yml:3:30
      |
    3 |       pull_request: [opened, merged]
      |                              ^^^^^^ no action that a rule can name
      |
      = help: write `closed`: what is merged is closed, and `pr.merged` says it

    error[misplaced_key]: `branches` goes with `workflow`, and not with `pull_request`
     --> dispatching.yml:4:7
      |
    4 |       branches: [main]
      |       ^^^^^^^^ goes with `workflow`
      |
      = help: write `base` for the branches that the pull request may want to change

    error[misplaced_key]: `permission` goes with `command`, and not with `pull_request`
     --> dispatching.yml:5:7
      |
    5 |       permission: write
      |       ^^^^^^^^^^ goes with `command`
      |
      = help: remove it

    error[conflicting_keys]: a target has one of the keys `workflow`, `event`, and this one has `workflow` and `event`
     --> dispatching.yml:8:9
      |
    8 |         event: preview
      |         ^^^^^ one too many
      |
     ::: dispatching.yml:9:9
      |
    9 |         workflow: preview.yml
      |         -------- the other one
      |
      = help: keep one of them, and write the other one as an entry of its own

    error[unknown_variable]: there is no variable `pr.title`
      --> dispatching.yml:11:23
       |
    11 |           number: "{{ pr.title }}"
       |                       ^^^^^^^^ unknown variable
       |
       = help: the variables here are `source.sha`, `source.repo`, `pr.number`, `pr.action`, `pr.head_sha`, `pr.head_branch`, `pr.base_branch`, `pr.merged`, `pr.draft`, `sender.login`

    error[variable_without_value]: `source.run_id` has no value for a change of a pull request
      --> dispatching.yml:12:20
       |
    12 |           run: "{{ source.run_id }}"
       |                    ^^^^^^^^^^^^^ has no value here
       |
       = help: the variables here are `source.sha`, `source.repo`, `pr.number`, `pr.action`, `pr.head_sha`, `pr.head_branch`, `pr.base_branch`, `pr.merged`, `pr.draft`, `sender.login`

    error[variable_without_value]: `env.name` has a value only for a target with `environment`
      --> dispatching.yml:13:20
       |
    13 |           env: "{{ env.name }}"
       |                    ^^^^^^^^ has no value here
       |
       = help: add `environment: create` or `environment: destroy` to this target
    "#);
}
