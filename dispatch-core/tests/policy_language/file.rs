//! A file as such, and rules about runs of workflows.

use super::{check, problems, told, told_of};

/// A file with one outbound rule: `source` and `target` are inserted as lines of their own.
fn outbound(source: &str, target: &str) -> String {
    format!(
        "outbound:\n  - source:\n      workflow: ci.yml\n      {source}\n    targets:\n      - repository: web\n        workflow: cd.yml\n        {target}\n"
    )
}

/// A file with one inbound rule.
fn inbound(source: &str, target: &str) -> String {
    format!(
        "inbound:\n  - source:\n      repository: api\n      workflow: ci.yml\n      {source}\n    targets:\n      - workflow: cd.yml\n        accept_refs: [main]\n        {target}\n"
    )
}

#[test]
fn a_file_without_rules_means_no_rules() {
    for text in [
        "",
        "\n",
        "# only a comment\n",
        "---\n",
        "~",
        "null\n",
        "{}\n",
        "outbound:\ninbound:\n",
        "outbound: []\n",
        "\u{feff}",
    ] {
        let checked = check(text.as_bytes());
        assert_eq!(checked.diagnostics.problems, [], "{text:?}");
        let policy = checked.policy.unwrap();
        assert!(policy.outbound().is_empty() && policy.inbound().is_empty(), "{text:?}");
    }
}

#[test]
fn a_rule_is_refused_at_the_exact_place() {
    let table: Vec<(&str, Vec<u8>)> = [
        ("an unknown key at the top", "outbuond: []\n".to_owned()),
        ("an unknown key nowhere near", outbound("schedule: daily", "secrets: {}")),
        ("a misspelt key", outbound("brnches: [main]", "input: {}")),
        ("a key of the other side", outbound("repository: api", "accept_inputs: [a]")),
        ("a missing key", "outbound:\n  - source: {}\n    targets: [{}]\n".to_owned()),
        ("a missing source", "outbound:\n  - targets: []\n".to_owned()),
        ("a rule without targets", "inbound:\n  - source: {repository: a, workflow: b.yml}\n".to_owned()),
        ("text in place of a rule", "outbound: [a]\n".to_owned()),
        ("no rule behind the dash", "outbound:\n  -\n".to_owned()),
        ("an empty list", outbound("branches: []", "")),
        ("text in place of a list", outbound("branches: main", "")),
        ("nothing in place of a list", outbound("branches:", "inputs:")),
        ("nothing in a list", outbound("branches: [main, ~]", "")),
        ("a list in place of text", outbound("reruns: [any]", "ref: {a: b}")),
        ("a pattern of exclusion", outbound("branches: [main, '!dev', 'a[b]']", "")),
        ("a wrong conclusion", outbound("conclusions: [sucess, success, green]", "")),
        ("a wrong event", outbound("events: [push, psuh, Push]", "")),
        ("a YAML 1.1 boolean", outbound("forks: yes", "")),
        ("a boolean in quotes", outbound("forks: 'true'", "")),
        ("a wrong reruns", outbound("reruns: all", "")),
        ("an id in quotes", outbound("", "repository_id: '1'")),
        ("an id below zero", outbound("", "repository_id: -1")),
        ("a commit as ref", outbound("", &format!("ref: {}", "a".repeat(40)))),
        ("a pull request as ref", outbound("", "ref: refs/pull/1/head")),
        (
            "a repository named null",
            "inbound: [{source: {repository: null, workflow: a.yml}, targets: [{workflow: b.yml, accept_refs: [x]}]}]"
                .to_owned(),
        ),
        ("a repository of three parts", outbound("", "").replace("web", "a/b/c")),
        ("a repository with a wildcard", outbound("", "").replace("web", "acme/*")),
        ("a workflow without extension", outbound("", "").replace("cd.yml", "cd")),
        ("a workflow in another folder", outbound("", "").replace("cd.yml", "../cd.yml")),
        ("a wrong name of an input", outbound("", "inputs: {'a b': 1, ok: 2, '': 3}")),
        (
            "26 inputs",
            outbound(
                "",
                &format!("inputs: {{{}}}", (0..26).map(|n| format!("i{n}: x")).collect::<Vec<_>>().join(", ")),
            ),
        ),
        ("a list as value of an input", outbound("", "inputs: {a: [1]}")),
        ("a variable never closed", outbound("", "inputs: {a: 'ü {{ source.sha'}")),
        ("a filter", outbound("", "inputs: {a: '{{ source.sha | json }}'}")),
        ("a wrong name of an accepted input", inbound("", "accept_inputs: [a, 'b c']")),
        ("a pattern of accepted refs that is empty", inbound("", "x: 1").replace("[main]", "['']")),
        // What follows leaves the rest of the file at work.
        ("an unknown variable", outbound("", "inputs: {a: 'ü {{ source.shaa }} {{ pr.number }}'}")),
        ("an unknown variable behind an escape", outbound("", "inputs: {a: \"\\u00fc {{ source.shaa }}\"}")),
        (
            "an unknown variable in a block",
            outbound("", "inputs:\n          a: >-\n            x\n            {{ sha }}"),
        ),
        ("an input that is empty", outbound("", "inputs: {a: ''}")),
        ("an input with a line end", outbound("", "inputs:\n          a: |\n            x\n")),
        ("an input twice in a list", inbound("", "accept_inputs: [a, a]")),
        ("any ref accepted", inbound("", "").replace("accept_refs: [main]", "")),
    ]
    .map(|(name, text)| (name, text.into_bytes()))
    .into();
    insta::assert_snapshot!(told_of(table), @"
    an unknown key at the top: unknown_key 1:1 outbuond
    an unknown key nowhere near: unknown_key 4:7 schedule; unknown_key 8:9 secrets
    a misspelt key: unknown_key 4:7 brnches; unknown_key 8:9 input
    a key of the other side: unknown_key 4:7 repository; unknown_key 8:9 accept_inputs
    a missing key: missing_key 2:13 {}; missing_key 3:15 {}; missing_key 3:15 {}
    a missing source: missing_key 2:5 targets: []; empty_list 2:14 []
    a rule without targets: missing_key 2:5 source: {repository: a, workflow: b.yml}
    text in place of a rule: wrong_type 1:12 a
    no rule behind the dash: missing_value 2:4 
    an empty list: empty_list 4:17 []
    text in place of a list: wrong_type 4:17 main
    nothing in place of a list: missing_value 4:7 branches; missing_value 8:9 inputs
    nothing in a list: missing_value 4:24 ~
    a list in place of text: wrong_type 4:15 [any]; wrong_type 8:14 {a: b}
    a pattern of exclusion: invalid_pattern 4:24 '!dev'; invalid_pattern 4:32 'a[b]'
    a wrong conclusion: unknown_conclusion 4:21 sucess; unknown_conclusion 4:38 green
    a wrong event: unknown_event 4:22 psuh; invalid_event 4:28 Push
    a YAML 1.1 boolean: wrong_type 4:14 yes
    a boolean in quotes: wrong_type 4:14 'true'
    a wrong reruns: invalid_reruns 4:15 all
    an id in quotes: wrong_type 8:24 '1'
    an id below zero: wrong_type 8:24 -1
    a commit as ref: invalid_name 8:14 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
    a pull request as ref: invalid_name 8:14 refs/pull/1/head
    a repository named null: missing_value 1:21 repository
    a repository of three parts: invalid_name 6:21 a/b/c
    a repository with a wildcard: invalid_name 6:21 acme/*
    a workflow without extension: invalid_name 7:19 cd
    a workflow in another folder: invalid_name 7:19 ../cd.yml
    a wrong name of an input: invalid_input_name 8:18 'a b'; invalid_input_name 8:35 ''
    26 inputs: too_many_inputs 8:17 {i0: x, i1: x, i2: x, i3: x, i4: x, i5: x, i6: x, i7: x, i8: x, i9: x, i10: x, i11: x, i12: x, i13:
    a list as value of an input: wrong_type 8:21 [1]
    a variable never closed: invalid_template 8:24 {{
    a filter: invalid_template 8:22 {{ source.sha | json }}
    a wrong name of an accepted input: invalid_input_name 9:28 'b c'
    a pattern of accepted refs that is empty: invalid_pattern 8:23 ''; unknown_key 9:9 x
    an unknown variable: unknown_variable 8:27 source.shaa; variable_without_value 8:45 pr.number - and yet a policy
    an unknown variable behind an escape: unknown_variable 8:32 source.shaa - and yet a policy
    an unknown variable in a block: unknown_variable 11:16 sha - and yet a policy
    an input that is empty: input_never_sent 8:21 '' - and yet a policy
    an input with a line end: input_never_sent 10:13 x - and yet a policy
    an input twice in a list: duplicate_input 9:28 a - and yet a policy
    any ref accepted: inbound_without_accept_refs 7:19 cd.yml - and yet a policy
    ");
}

#[test]
fn places_are_right_whatever_ends_the_lines() {
    let text = outbound("conclusions: [sucess] # ü", "inputs: {a: 'üü {{ source.shaa }}'}");
    let expected = "unknown_conclusion 4:21 sucess; unknown_variable 8:28 source.shaa";
    for text in [text.clone(), text.replace('\n', "\r\n"), text.replace('\n', "\r"), format!("\u{feff}{text}")] {
        assert_eq!(problems(text.as_bytes()).0, expected, "{text:?}");
    }
}

#[test]
fn text_stays_as_it_was_written() {
    for text in [
        "on",
        "no",
        "yes",
        "True",
        "true",
        "18.0",
        "007",
        "0x1f",
        "1e3",
        "12345678901234567890123",
        "-1",
        ".5",
        "2026-11-20",
        "'null'",
        "\"~\"",
        ".inf",
        "0o7",
        "+1",
        "1_000",
    ] {
        let checked = check(outbound("", &format!("inputs: {{a: {text}}}")).as_bytes());
        let policy = checked.policy.unwrap_or_else(|| panic!("{text}: {:?}", checked.diagnostics));
        let value = &policy.outbound()[0].targets[0].inputs["a"];
        assert_eq!(value.as_str(), text.trim_matches(['\'', '"']), "{text}");
    }
    let quoted = check(outbound("", "").replace("web", "'null'").as_bytes()).policy.unwrap();
    assert_eq!(quoted.outbound()[0].targets[0].repository.as_str(), "acme/null");
}

#[test]
fn a_bare_name_means_the_owner_of_the_file() {
    let policy = check(inbound("", "").as_bytes()).policy.unwrap();
    assert_eq!(policy.inbound()[0].repository.as_str(), "acme/api");
    assert_eq!(policy.inbound_from(&"ACME/Api".parse().unwrap()).count(), 1);
    assert_eq!(policy.inbound_from(&"other/api".parse().unwrap()).count(), 0);
    let other = check(outbound("", "").replace("web", "Other/Web").as_bytes()).policy.unwrap();
    assert_eq!(other.outbound()[0].targets[0].repository.as_str(), "Other/Web");
}

#[test]
fn lines_are_those_of_the_entries() {
    let text = "# a comment\noutbound:\n  -\n    source: {workflow: ci.yml}\n    targets:\n      - workflow: a.yml\n        repository: web\n      - {repository: web, workflow: b.yml}\n";
    let policy = check(text.as_bytes()).policy.unwrap();
    let rule = &policy.outbound()[0];
    assert_eq!((rule.line, rule.targets[0].line, rule.targets[1].line), (4, 6, 8));
}

#[test]
fn people_read_every_problem_at_once() {
    let text = "\
outbound:
  - source:
      workflow: ci
      brnches: [main]
      conclusions: [sucess]
    targets:
      - repository: web
        workflow: cd.yml
        ref: refs/pull/1/head
        inputs:
          git_sha: \"{{ source.shaa }}\"
          git_sha: \"{{ source.sha\"
inbuond: []
";
    insta::assert_snapshot!(told(text), @r#"
    error[invalid_name]: `ci` is not a workflow file name ending in `.yml` or `.yaml`
     --> dispatching.yml:3:17
      |
    3 |       workflow: ci
      |                 ^^ not a workflow file name ending in `.yml` or `.yaml`
      |
      = help: write the file's name, such as `ci.yml`, or `.github/workflows/ci.yml`

    error[unknown_key]: there is no key `brnches` here
     --> dispatching.yml:4:7
      |
    4 |       brnches: [main]
      |       ^^^^^^^ unknown key
      |
      = help: did you mean `branches`?

    error[unknown_conclusion]: `sucess` is not how a run can end
     --> dispatching.yml:5:21
      |
    5 |       conclusions: [sucess]
      |                     ^^^^^^ no conclusion of GitHub's
      |
      = help: did you mean `success`?

    error[invalid_name]: `refs/pull/1/head` is not a branch or a tag
     --> dispatching.yml:9:14
      |
    9 |         ref: refs/pull/1/head
      |              ^^^^^^^^^^^^^^^^ not a branch or a tag
      |
      = help: name a branch or a tag, bare or as `refs/heads/...` or `refs/tags/...`

    error[duplicate_key]: the key `git_sha` is there twice
      --> dispatching.yml:12:11
       |
    12 |           git_sha: "{{ source.sha"
       |           ^^^^^^^ again here
       |
      ::: dispatching.yml:11:11
       |
    11 |           git_sha: "{{ source.shaa }}"
       |           ------- first here
       |
       = help: keep one of them

    error[invalid_template]: `{{` is never closed with `}}`
      --> dispatching.yml:12:21
       |
    12 |           git_sha: "{{ source.sha"
       |                     ^^ not a variable
       |
       = help: write a variable as `{{ source.sha }}`

    error[unknown_key]: there is no key `inbuond` here
      --> dispatching.yml:13:1
       |
    13 | inbuond: []
       | ^^^^^^^ unknown key
       |
       = help: did you mean `inbound`?
    "#);
}

#[test]
fn no_file_is_told_without_end() {
    let text: String = (0..20_000).map(|number| format!("k{number}: 1\n")).collect();
    let checked = check(text.as_bytes());
    assert_eq!(checked.diagnostics.problems.len(), 101);
    assert_eq!(checked.diagnostics.problems[100].code, "too_many_problems");
}
