//! What YAML can do and a policy may not, what it can mean by accident, and what is no YAML: the exact answer to each.

use dispatch_core::diagnostic::visible;
use dispatch_core::policy::Policy;

use super::check;

/// A line for every case: code, place and message of each problem, or what the file means.
fn answers(table: Vec<(&str, Vec<u8>)>) -> String {
    let lines = table.into_iter().map(|(name, bytes)| {
        let checked = check(&bytes);
        let problems = checked.diagnostics.problems.iter().take(3).map(|problem| {
            let help = problem.help.as_deref().map(|help| format!(" ({help})")).unwrap_or_default();
            let message: String = problem.message.chars().take(100).collect();
            format!("{} {}:{} {message}{help}", problem.code, problem.span.line, problem.span.column)
        });
        let more = checked.diagnostics.problems.len().saturating_sub(3);
        let told = problems
            .chain((more > 0).then(|| format!("{more} more")))
            .chain(checked.policy.as_ref().map(meaning))
            .collect::<Vec<_>>()
            .join("; ");
        format!("{name}: {}\n", visible(&told))
    });
    lines.collect()
}

/// The rules, in few words: where, what, at which ref, with which values.
fn meaning(policy: &Policy) -> String {
    let outbound = policy.outbound().iter().flat_map(|rule| &rule.targets).map(|target| {
        let cut = |text: &str| text.chars().take(24).collect::<String>();
        let values = target.inputs.iter().map(|(name, value)| format!(" {name}={:?}", cut(value.as_str())));
        format!("{}/{}{}", target.repository, target.start, values.collect::<String>())
    });
    let inbound = policy.inbound().iter().flat_map(|rule| &rule.targets).map(|target| {
        let names = target.accept_inputs.keys().map(|name| format!(" {name:?}"));
        format!("accepts {}{}", target.start, names.collect::<String>())
    });
    let rules: Vec<_> = outbound.chain(inbound).collect();
    if rules.is_empty() { "= no rules".to_owned() } else { format!("= {}", rules.join(", ")) }
}

/// A file with a rule; `source` and `target` are lines of its own.
fn rule(source: &str, target: &str) -> Vec<u8> {
    format!(
        "outbound:\n  - source:\n      workflow: ci.yml\n      {source}\n    targets:\n      - repository: web\n        workflow: cd.yml\n        {target}\n"
    )
    .into_bytes()
}

/// A rule that sends one value.
fn input(value: &str) -> Vec<u8> {
    rule("", &format!("inputs: {{a: {value}}}"))
}

/// A rule about another repository.
fn repository(name: &str) -> Vec<u8> {
    format!("outbound: [{{source: {{workflow: ci.yml}}, targets: [{{repository: {name}, workflow: cd.yml}}]}}]\n")
        .into()
}

/// An inbound rule with one target.
fn inbound(source: &str, target: &str) -> Vec<u8> {
    let source = format!("repository: api, workflow: ci.yml{source}");
    format!("inbound: [{{source: {{{source}}}, targets: [{{workflow: cd.yml, accept_refs: [main]{target}}}]}}]\n")
        .into()
}

#[test]
fn nothing_is_shared_merged_named_or_said_elsewhere() {
    let laughs = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n";
    let table: Vec<(&str, Vec<u8>)> = vec![
        ("an anchor", b"outbound: &x []\n".to_vec()),
        ("an anchor on nothing", b"outbound: &x\n".to_vec()),
        ("an anchor on a key", b"&x outbound: []\n".to_vec()),
        ("an anchor on a value", input("&x 1")),
        ("an alias", b"outbound: *x\n".to_vec()),
        ("an alias as key", b"a: 1\n*x : []\n".to_vec()),
        ("an alias of an anchor", b"outbound: []\nx: [&a 1, *a]\n".to_vec()),
        ("an alias behind a long way", format!("{}x: *a\n", "# ü\n".repeat(300)).into()),
        ("billion laughs", laughs.into()),
        ("a merge key", b"<<: {outbound: []}\n".to_vec()),
        ("a merge key below", rule("<<: {branches: [main]}", "")),
        ("a merge key in quotes", rule("'<<': main", "")),
        ("a merge key as value", input("<<")),
        ("a tag of YAML", b"outbound: !!seq []\n".to_vec()),
        ("a tag of text", input("!!str 18.0")),
        ("a tag of bytes", input("!!binary aGk=")),
        ("a tag of nobody", input("!custom x")),
        ("a tag on a key", b"!!str outbound: []\n".to_vec()),
        ("a tag of a program", b"outbound: !ruby/object:Gem []\n".to_vec()),
        ("a tag by its address", b"outbound: !<tag:yaml.org,2002:seq> []\n".to_vec()),
        ("the tag that means none", input("! x")),
        ("two documents", b"outbound: []\n---\ninbound: []\n".to_vec()),
        ("two documents without content", b"---\n---\n".to_vec()),
        ("a document that ends", b"outbound: []\n...\n".to_vec()),
        ("text behind the end", b"outbound: []\n...\ninbound: []\n".to_vec()),
        ("a directive", b"# c\n%TAG ! x:\n---\na: b\n".to_vec()),
        ("the version of YAML", b"%YAML 1.1\n---\noutbound: []\n".to_vec()),
        ("a list as key", b"? [a]\n: b\n".to_vec()),
        ("a mapping as key", b"{a: b}: c\n".to_vec()),
        ("a key with a question mark", b"? outbound\n: []\n".to_vec()),
        ("no key at all", b": []\n".to_vec()),
        ("a key of two lines", b"? |\n  outbound\n: []\n".to_vec()),
    ];
    insta::assert_snapshot!(answers(table), @r#"
    an anchor: yaml_anchor 1:11 anchors are not allowed (remove the `&name`: a policy says everything where it counts)
    an anchor on nothing: yaml_anchor 1:11 anchors are not allowed (remove the `&name`: a policy says everything where it counts)
    an anchor on a key: yaml_anchor 1:1 anchors are not allowed (remove the `&name`: a policy says everything where it counts)
    an anchor on a value: yaml_anchor 8:21 anchors are not allowed (remove the `&name`: a policy says everything where it counts)
    an alias: yaml_alias 1:11 aliases are not allowed (write it out)
    an alias as key: yaml_alias 2:1 aliases are not allowed (write it out)
    an alias of an anchor: yaml_anchor 2:5 anchors are not allowed (remove the `&name`: a policy says everything where it counts)
    an alias behind a long way: yaml_alias 301:4 aliases are not allowed (write it out)
    billion laughs: yaml_anchor 1:4 anchors are not allowed (remove the `&name`: a policy says everything where it counts)
    a merge key: yaml_merge_key 1:1 merge keys are not allowed (write the merged keys out)
    a merge key below: yaml_merge_key 4:7 merge keys are not allowed (write the merged keys out)
    a merge key in quotes: unknown_key 4:7 there is no key `<<` here (the keys here are `workflow`, `pull_request`, `command`, `argument`, `conclusions`, `branches`, `events`, `reruns`, `base`, `draft`, `permission`, `forks`)
    a merge key as value: = acme/web/cd.yml a="<<"
    a tag of YAML: yaml_tag 1:11 tags are not allowed (remove the `!...`)
    a tag of text: yaml_tag 8:21 tags are not allowed (remove the `!...`)
    a tag of bytes: yaml_tag 8:21 tags are not allowed (remove the `!...`)
    a tag of nobody: yaml_tag 8:21 tags are not allowed (remove the `!...`)
    a tag on a key: yaml_tag 1:1 tags are not allowed (remove the `!...`)
    a tag of a program: yaml_tag 1:11 tags are not allowed (remove the `!...`)
    a tag by its address: yaml_tag 1:11 tags are not allowed (remove the `!...`)
    the tag that means none: yaml_tag 8:21 tags are not allowed (remove the `!...`)
    two documents: yaml_documents 2:1 the file holds more than one document (keep one document)
    two documents without content: yaml_documents 2:1 the file holds more than one document (keep one document)
    a document that ends: = no rules
    text behind the end: yaml_documents 3:1 the file holds more than one document (keep one document)
    a directive: yaml_directive 2:1 directives are not allowed (remove the line)
    the version of YAML: yaml_directive 1:1 directives are not allowed (remove the line)
    a list as key: yaml_complex_key 1:3 a list or a mapping cannot be a key (write the key as plain text)
    a mapping as key: yaml_complex_key 1:1 a list or a mapping cannot be a key (write the key as plain text)
    a key with a question mark: = no rules
    no key at all: unknown_key 1:1 there is no key `` here (the keys here are `outbound`, `inbound`, `environments`, `limits`)
    a key of two lines: unknown_key 2:3 there is no key `outbound\u{a}` here (did you mean `outbound`?)
    "#);
}

#[test]
fn nothing_is_said_twice() {
    let twice = |text: &str| text.as_bytes().to_vec();
    let table: Vec<(&str, Vec<u8>)> = vec![
        ("at the top", twice("outbound: []\ninbound: []\noutbound: []\n")),
        ("once in quotes", twice("outbound: []\n\"outbound\": []\n")),
        ("once by its number", twice("outbound: []\n\"outb\\u006fund\": []\n")),
        (
            "in a rule",
            twice(
                "outbound:\n  - source: {workflow: ci.yml}\n    source: {workflow: ci.yml}\n    targets: [{repository: a, workflow: b.yml}]\n",
            ),
        ),
        ("in a source", rule("workflow: x.yml", "")),
        ("in a target", rule("", "workflow: y.yml")),
        ("among inputs", rule("", "inputs: {a: 1, b: 2, a: 3}")),
        ("three times", rule("", "inputs: {a: 1, a: 2, a: 3}")),
        ("among what is accepted", inbound("", ", accept_inputs: {a: {}, a: {pattern: sha}}")),
        ("in what a value must be", inbound("", ", accept_inputs: {a: {pattern: sha, pattern: number}}")),
        ("in the list of what is accepted", inbound("", ", accept_inputs: [a, a]")),
        ("in an environment", twice("environments: [{name: a, name: b}]\n")),
        ("among links", twice("environments: [{name: a, links: {b: 'https://a', b: 'https://c'}}]\n")),
        ("as two spellings of a number", rule("", "inputs: {1: a, 1.0: b, 0x1: c}")),
    ];
    insta::assert_snapshot!(answers(table), @r#"
    at the top: duplicate_key 3:1 the key `outbound` is there twice (keep one of them)
    once in quotes: duplicate_key 2:1 the key `outbound` is there twice (keep one of them)
    once by its number: duplicate_key 2:1 the key `outbound` is there twice (keep one of them)
    in a rule: duplicate_key 3:5 the key `source` is there twice (keep one of them)
    in a source: duplicate_key 4:7 the key `workflow` is there twice (keep one of them)
    in a target: duplicate_key 8:9 the key `workflow` is there twice (keep one of them)
    among inputs: duplicate_key 8:30 the key `a` is there twice (keep one of them)
    three times: duplicate_key 8:24 the key `a` is there twice (keep one of them); duplicate_key 8:30 the key `a` is there twice (keep one of them)
    among what is accepted: duplicate_key 1:130 the key `a` is there twice (keep one of them)
    in what a value must be: duplicate_key 1:141 the key `pattern` is there twice (keep one of them)
    in the list of what is accepted: duplicate_input 1:126 the input `a` is there twice (keep one of them); = accepts cd.yml "a"
    in an environment: duplicate_key 1:26 the key `name` is there twice (keep one of them)
    among links: duplicate_key 1:50 the key `b` is there twice (keep one of them)
    as two spellings of a number: invalid_input_name 8:24 `1.0` is not the name of an input (use 1 to 100 letters, digits, `_` and `-`)
    "#);
}

#[test]
fn text_is_the_text_that_is_written() {
    let table: Vec<(&str, Vec<u8>)> = vec![
        ("a version", input("18.0")),
        ("a number in hexadecimal digits", input("0x10")),
        ("a number in octal digits", input("0o17")),
        ("zeros in front", input("007")),
        ("an exponent", input("1e3")),
        ("infinity", input(".inf")),
        ("no number", input(".nan")),
        ("a number of 23 digits", input("12345678901234567890123")),
        ("a negative zero", input("-0")),
        ("a time of YAML 1.1", input("12:30:45")),
        ("a date", input("2026-11-20")),
        ("yes", input("yes")),
        ("on", input("on")),
        ("off", input("off")),
        ("y", input("y")),
        ("True", input("True")),
        ("null as value", input("null")),
        ("Null as value", input("Null")),
        ("NULL as value", input("NULL")),
        ("nULL as value", input("nULL")),
        ("a tilde as value", input("~")),
        ("nothing as value", input("")),
        ("null in quotes", input("'null'")),
        ("on as the name of an input", rule("", "inputs: {on: 1, no: 2, y: 3, null: 4, true: 5, 0x10: 6}")),
        ("a tilde as the name of an input", rule("", "inputs: {~: 1}")),
        ("an input without a name", rule("", "inputs: {: 1}")),
        ("on as the name of an accepted input", inbound("", ", accept_inputs: [on, no, 0o17, 1e3, true]")),
        ("a number as the name of an accepted input", inbound("", ", accept_inputs: [18.0]")),
        ("on as a key", b"on: []\n".to_vec()),
        ("true as a key", b"true: []\n".to_vec()),
        ("a number as a key", b"1: []\n".to_vec()),
        ("null as a key", b"null: []\n".to_vec()),
        ("yes where a boolean belongs", rule("forks: yes", "")),
        ("on where a boolean belongs", rule("forks: on", "")),
        ("True where a boolean belongs", rule("forks: True", "")),
        ("1 where a boolean belongs", rule("forks: 1", "")),
        ("a number in hexadecimal digits where a number belongs", rule("", "repository_id: 0x10")),
        ("zeros in front where a number belongs", rule("", "repository_id: 007")),
        ("an exponent where a number belongs", rule("", "repository_id: 1e3")),
        ("a fraction where a number belongs", rule("", "repository_id: 7.0")),
        ("a plus where a number belongs", rule("", "repository_id: +7")),
        ("more than 64 bits where a number belongs", rule("", "repository_id: 18446744073709551616")),
        ("true in quotes where a boolean belongs", rule("forks: 'true'", "")),
        ("a number where an event belongs", rule("events: [1]", "")),
        ("a repository named true", repository("true")),
        ("a repository named on", repository("on")),
        ("a repository named null", repository("null")),
        ("a repository named null, in quotes", repository("\"null\"")),
        ("a repository named ~", repository("~")),
        ("a repository named ~, in quotes", repository("'~'")),
        ("a repository named 18.0", repository("18.0")),
        ("a repository named 0x10", repository("0x10")),
        ("a repository named 1e+3", repository("1e+3")),
        ("a repository named 007", repository("007")),
        ("a repository named -1", repository("-1")),
        ("a repository named .inf", repository(".inf")),
        ("a repository without a name", repository("''")),
        ("a variable without quotes", rule("", "inputs:\n          a: {{ source.sha }}")),
        ("a variable without quotes in braces", input("{{ source.sha }}")),
        ("text on two lines", input("'one\n            two'")),
        ("text on two lines, plain", rule("", "inputs:\n          a: one\n            two")),
        ("a block", rule("", "inputs:\n          a: |\n            one\n            two")),
        ("a block without its last line end", rule("", "inputs:\n          a: |-\n            one")),
        ("a folded block", rule("", "inputs:\n          a: >-\n            one\n            two")),
        ("a block as repository", b"outbound:\n  - source: {workflow: ci.yml}\n    targets:\n      - repository: |\n          web\n        workflow: cd.yml\n".to_vec()),
        ("an escaped line end", input("\"a\\nb\"")),
        ("an escaped NUL", input("\"a\\0b\"")),
        ("an escaped terminal escape", repository("\"a\\e[2J\"")),
        ("a text of 1,024 characters", input(&"x".repeat(1_024))),
        ("a text of 1,025 characters", input(&"x".repeat(1_025))),
        ("a text of 200,000 characters", repository(&"x".repeat(200_000))),
    ];
    insta::assert_snapshot!(answers(table), @r#"
    a version: = acme/web/cd.yml a="18.0"
    a number in hexadecimal digits: = acme/web/cd.yml a="0x10"
    a number in octal digits: = acme/web/cd.yml a="0o17"
    zeros in front: = acme/web/cd.yml a="007"
    an exponent: = acme/web/cd.yml a="1e3"
    infinity: = acme/web/cd.yml a=".inf"
    no number: = acme/web/cd.yml a=".nan"
    a number of 23 digits: = acme/web/cd.yml a="12345678901234567890123"
    a negative zero: = acme/web/cd.yml a="-0"
    a time of YAML 1.1: = acme/web/cd.yml a="12:30:45"
    a date: = acme/web/cd.yml a="2026-11-20"
    yes: = acme/web/cd.yml a="yes"
    on: = acme/web/cd.yml a="on"
    off: = acme/web/cd.yml a="off"
    y: = acme/web/cd.yml a="y"
    True: = acme/web/cd.yml a="True"
    null as value: missing_value 8:18 `a` has no value (write a value; put it in quotes if it is the word `null`)
    Null as value: missing_value 8:18 `a` has no value (write a value; put it in quotes if it is the word `null`)
    NULL as value: missing_value 8:18 `a` has no value (write a value; put it in quotes if it is the word `null`)
    nULL as value: = acme/web/cd.yml a="nULL"
    a tilde as value: missing_value 8:18 `a` has no value (write a value; put it in quotes if it is the word `null`)
    nothing as value: missing_value 8:18 `a` has no value (write a value; put it in quotes if it is the word `null`)
    null in quotes: = acme/web/cd.yml a="null"
    on as the name of an input: = acme/web/cd.yml 0x10="6" no="2" null="4" on="1" true="5" y="3"
    a tilde as the name of an input: invalid_input_name 8:18 `~` is not the name of an input (use 1 to 100 letters, digits, `_` and `-`)
    an input without a name: invalid_input_name 8:18 `` is not the name of an input (use 1 to 100 letters, digits, `_` and `-`)
    on as the name of an accepted input: = accepts cd.yml "0o17" "1e3" "no" "on" "true"
    a number as the name of an accepted input: invalid_input_name 1:123 `18.0` is not the name of an input (use 1 to 100 letters, digits, `_` and `-`)
    on as a key: unknown_key 1:1 there is no key `on` here (the keys here are `outbound`, `inbound`, `environments`, `limits`)
    true as a key: unknown_key 1:1 there is no key `true` here (the keys here are `outbound`, `inbound`, `environments`, `limits`)
    a number as a key: unknown_key 1:1 there is no key `1` here (the keys here are `outbound`, `inbound`, `environments`, `limits`)
    null as a key: unknown_key 1:1 there is no key `null` here (the keys here are `outbound`, `inbound`, `environments`, `limits`)
    yes where a boolean belongs: wrong_type 4:14 expected `true` or `false`, got the text `yes` (write `true` or `false`, in lower case and without quotes)
    on where a boolean belongs: wrong_type 4:14 expected `true` or `false`, got the text `on` (write `true` or `false`, in lower case and without quotes)
    True where a boolean belongs: wrong_type 4:14 expected `true` or `false`, got the text `True` (write `true` or `false`, in lower case and without quotes)
    1 where a boolean belongs: wrong_type 4:14 expected `true` or `false`, got the text `1` (write `true` or `false`, in lower case and without quotes)
    a number in hexadecimal digits where a number belongs: wrong_type 8:24 expected a number, got the text `0x10` (write a whole number in digits, without a sign and zeros in front)
    zeros in front where a number belongs: wrong_type 8:24 expected a number, got the text `007` (write a whole number in digits, without a sign and zeros in front)
    an exponent where a number belongs: wrong_type 8:24 expected a number, got the text `1e3` (write a whole number in digits, without a sign and zeros in front)
    a fraction where a number belongs: wrong_type 8:24 expected a number, got the text `7.0` (write a whole number in digits, without a sign and zeros in front)
    a plus where a number belongs: wrong_type 8:24 expected a number, got the text `+7` (write a whole number in digits, without a sign and zeros in front)
    more than 64 bits where a number belongs: wrong_type 8:24 expected a number, got the text `18446744073709551616` (write a whole number in digits, without a sign and zeros in front)
    true in quotes where a boolean belongs: wrong_type 4:14 expected `true` or `false`, got the text `true` (write `true` or `false`, in lower case and without quotes)
    a number where an event belongs: invalid_event 4:16 `1` is not the name of an event (use GitHub's words, such as `push` or `workflow_dispatch`)
    a repository named true: = acme/true/cd.yml
    a repository named on: = acme/on/cd.yml
    a repository named null: missing_value 1:52 `repository` has no value (write a value; put it in quotes if it is the word `null`)
    a repository named null, in quotes: = acme/null/cd.yml
    a repository named ~: missing_value 1:52 `repository` has no value (write a value; put it in quotes if it is the word `null`)
    a repository named ~, in quotes: invalid_name 1:64 `~` is not a repository name (write `owner/name`, or a bare name for a repository of the owner of this file)
    a repository named 18.0: = acme/18.0/cd.yml
    a repository named 0x10: = acme/0x10/cd.yml
    a repository named 1e+3: invalid_name 1:64 `1e+3` is not a repository name (write `owner/name`, or a bare name for a repository of the owner of this file)
    a repository named 007: = acme/007/cd.yml
    a repository named -1: = acme/-1/cd.yml
    a repository named .inf: = acme/.inf/cd.yml
    a repository without a name: invalid_name 1:64 `` is not a repository name (write `owner/name`, or a bare name for a repository of the owner of this file)
    a variable without quotes: yaml_complex_key 9:15 a list or a mapping cannot be a key (put a value with variables in quotes, such as `"{{ source.sha }}"`)
    a variable without quotes in braces: yaml_complex_key 8:22 a list or a mapping cannot be a key (put a value with variables in quotes, such as `"{{ source.sha }}"`)
    text on two lines: = acme/web/cd.yml a="one two"
    text on two lines, plain: = acme/web/cd.yml a="one two"
    a block: input_never_sent 10:13 this input can never be sent: the value has a control character (write it in one line; a block (`|` or `>`) ends with a line end); = acme/web/cd.yml a="one\ntwo\n"
    a block without its last line end: = acme/web/cd.yml a="one"
    a folded block: = acme/web/cd.yml a="one two"
    a block as repository: invalid_name 5:11 `web\u{a}` is not a repository name (write `owner/name`, or a bare name for a repository of the owner of this file)
    an escaped line end: input_never_sent 8:21 this input can never be sent: the value has a control character (write it in one line; a block (`|` or `>`) ends with a line end); = acme/web/cd.yml a="a\nb"
    an escaped NUL: input_never_sent 8:21 this input can never be sent: the value has a control character (write it in one line; a block (`|` or `>`) ends with a line end); = acme/web/cd.yml a="a\0b"
    an escaped terminal escape: invalid_name 1:64 `a\u{1b}[2J` is not a repository name (write `owner/name`, or a bare name for a repository of the owner of this file)
    a text of 1,024 characters: = acme/web/cd.yml a="xxxxxxxxxxxxxxxxxxxxxxxx"
    a text of 1,025 characters: input_never_sent 8:21 this input can never be sent: the value has 1025 characters, and at most 1,024 are sent (shorten it, or let the target's workflow look it up); = acme/web/cd.yml a="xxxxxxxxxxxxxxxxxxxxxxxx"
    a text of 200,000 characters: invalid_name 1:64 `xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...` is not a repos (write `owner/name`, or a bare name for a repository of the owner of this file)
    "#);
}

#[test]
fn no_bytes_are_too_strange_for_an_answer() {
    let lines = |end: &str| String::from_utf8(rule("forks: true", "x: 1")).unwrap().replace('\n', end).into_bytes();
    let table: Vec<(&str, Vec<u8>)> = vec![
        ("an empty file", Vec::new()),
        ("a comment", b"# nothing\n".to_vec()),
        ("a comment without line end", b"# nothing".to_vec()),
        ("spaces", b"   \n\n  ".to_vec()),
        ("a document start", b"---\n".to_vec()),
        ("a document start and end", b"---\n...\n".to_vec()),
        ("null", b"null\n".to_vec()),
        ("a tilde", b"~\n".to_vec()),
        ("null in quotes", b"'null'\n".to_vec()),
        ("true", b"true\n".to_vec()),
        ("a number", b"18.0\n".to_vec()),
        ("text", b"hello\n".to_vec()),
        ("a list", b"- outbound\n".to_vec()),
        ("an empty list", b"[]\n".to_vec()),
        ("JSON", br#"{"outbound": [], "x": 1}"#.to_vec()),
        ("a byte order mark", b"\xef\xbb\xbfoutbound: []\n".to_vec()),
        ("a byte order mark, and a problem", b"\xef\xbb\xbfoutbuond: []\n".to_vec()),
        ("two byte order marks", b"\xef\xbb\xbf\xef\xbb\xbfoutbound: []\n".to_vec()),
        ("a byte order mark in the middle", b"outbound: []\n\xef\xbb\xbfinbound: []\n".to_vec()),
        ("a byte order mark in a text", input("'\u{feff}'")),
        ("CRLF", lines("\r\n")),
        ("CR", lines("\r")),
        ("CR in a comment", b"# a\routbuond: []\n".to_vec()),
        ("U+0085 in a comment", "# a\u{85}outbuond: []\n".into()),
        ("U+2028 in a comment", "# a\u{2028}outbuond: []\n".into()),
        ("U+2028 in a text", input("'a\u{2028}b'")),
        ("U+2028 as line end", "outbound: []\u{2028}inbound: []\n".into()),
        ("a tab as indentation", b"outbound:\n\t- source: x\n".to_vec()),
        ("a tab as indentation of a mapping", b"outbound:\n  - source:\n\tworkflow: ci.yml\n".to_vec()),
        ("a tab behind a value", b"outbound: []\t\n".to_vec()),
        ("a tab between", b"outbound:\t[]\n".to_vec()),
        ("NUL", b"outbound: []\n# \0\n".to_vec()),
        ("NUL first", b"\0".to_vec()),
        ("a terminal escape", b"# \x1b[2J\n".to_vec()),
        ("a bell in a key", b"a\x07: []\n".to_vec()),
        ("DEL", b"# \x7f\n".to_vec()),
        ("a C1 control", "# \u{9b}\n".into()),
        ("a noncharacter", "# \u{ffff}\n".into()),
        ("invalid UTF-8", b"# \xc3\xbc\nab: \xff\n".to_vec()),
        ("a character cut at the end", b"# \xc3".to_vec()),
        ("half of a surrogate pair", b"# \xed\xa0\x80\n".to_vec()),
        ("an overlong slash", b"# \xc0\xaf\n".to_vec()),
        ("UTF-16", b"\xff\xfeo\0u\0t\0".to_vec()),
        ("not closed", b"outbound: [\n".to_vec()),
        ("a quote not closed", b"outbound: 'x\n".to_vec()),
        ("a bracket too many", b"outbound: []]\n".to_vec()),
        ("a wrong indentation", b"outbound:\n  - a\n - b\n".to_vec()),
        ("two values on a line", b"outbound: [] inbound: []\n".to_vec()),
        ("a reserved character", b"outbound: @x\n".to_vec()),
        ("a reserved backtick", b"outbound: `x`\n".to_vec()),
        ("an escape that is none", input("\"\\q\"")),
    ];
    insta::assert_snapshot!(answers(table), @r#"
    an empty file: = no rules
    a comment: = no rules
    a comment without line end: = no rules
    spaces: = no rules
    a document start: = no rules
    a document start and end: = no rules
    null: = no rules
    a tilde: = no rules
    null in quotes: wrong_type 1:1 expected a mapping, got the text `null`
    true: wrong_type 1:1 expected a mapping, got the text `true`
    a number: wrong_type 1:1 expected a mapping, got the text `18.0`
    text: wrong_type 1:1 expected a mapping, got the text `hello`
    a list: wrong_type 1:1 expected a mapping, got a list
    an empty list: wrong_type 1:1 expected a mapping, got a list
    JSON: unknown_key 1:18 there is no key `x` here (the keys here are `outbound`, `inbound`, `environments`, `limits`)
    a byte order mark: = no rules
    a byte order mark, and a problem: unknown_key 1:1 there is no key `outbuond` here (did you mean `outbound`?)
    two byte order marks: forbidden_character 1:1 the file has a character that YAML does not allow: `\u{feff}` (remove it)
    a byte order mark in the middle: forbidden_character 2:1 the file has a character that YAML does not allow: `\u{feff}` (remove it)
    a byte order mark in a text: forbidden_character 8:22 the file has a character that YAML does not allow: `\u{feff}` (remove it)
    CRLF: unknown_key 8:9 there is no key `x` here (the keys here are `repository`, `repository_id`, `workflow`, `event`, `ref`, `inputs`, `payload`, `environment`, `required`, `report`)
    CR: unknown_key 8:9 there is no key `x` here (the keys here are `repository`, `repository_id`, `workflow`, `event`, `ref`, `inputs`, `payload`, `environment`, `required`, `report`)
    CR in a comment: unknown_key 2:1 there is no key `outbuond` here (did you mean `outbound`?)
    U+0085 in a comment: = no rules
    U+2028 in a comment: = no rules
    U+2028 in a text: = acme/web/cd.yml a="a\u{2028}b"
    U+2028 as line end: yaml_syntax 1:13 this is not YAML: while parsing a block mapping, did not find expected key (the mistake can be on the line before)
    a tab as indentation: yaml_syntax 2:2 this is not YAML: tabs disallowed within this context (block indentation) (the mistake can be on the line before)
    a tab as indentation of a mapping: yaml_syntax 3:2 this is not YAML: tabs disallowed within this context (block indentation) (the mistake can be on the line before)
    a tab behind a value: = no rules
    a tab between: = no rules
    NUL: forbidden_character 2:3 the file has a character that YAML does not allow: `\u{0}` (remove it)
    NUL first: forbidden_character 1:1 the file has a character that YAML does not allow: `\u{0}` (remove it)
    a terminal escape: forbidden_character 1:3 the file has a character that YAML does not allow: `\u{1b}` (remove it)
    a bell in a key: forbidden_character 1:2 the file has a character that YAML does not allow: `\u{7}` (remove it)
    DEL: forbidden_character 1:3 the file has a character that YAML does not allow: `\u{7f}` (remove it)
    a C1 control: forbidden_character 1:3 the file has a character that YAML does not allow: `\u{9b}` (remove it)
    a noncharacter: forbidden_character 1:3 the file has a character that YAML does not allow: `\u{ffff}` (remove it)
    invalid UTF-8: not_utf8 2:5 the file is not UTF-8 (save the file as UTF-8)
    a character cut at the end: not_utf8 1:3 the file is not UTF-8 (save the file as UTF-8)
    half of a surrogate pair: not_utf8 1:3 the file is not UTF-8 (save the file as UTF-8)
    an overlong slash: not_utf8 1:3 the file is not UTF-8 (save the file as UTF-8)
    UTF-16: not_utf8 1:1 the file is not UTF-8 (save the file as UTF-8)
    not closed: yaml_syntax 2:1 this is not YAML: while parsing a node, did not find expected node content (the mistake can be on the line before)
    a quote not closed: yaml_syntax 1:11 this is not YAML: while scanning a quoted scalar, found unexpected end of stream (the mistake can be on the line before)
    a bracket too many: yaml_syntax 1:13 this is not YAML: misplaced bracket (the mistake can be on the line before)
    a wrong indentation: yaml_syntax 3:2 this is not YAML: while parsing a block mapping, did not find expected key (the mistake can be on the line before)
    two values on a line: yaml_syntax 1:14 this is not YAML: while parsing a block mapping, did not find expected key (the mistake can be on the line before)
    a reserved character: yaml_syntax 1:11 this is not YAML: unexpected character: `@' (put the text in quotes)
    a reserved backtick: yaml_syntax 1:11 this is not YAML: unexpected character: ``' (put the text in quotes)
    an escape that is none: yaml_syntax 8:21 this is not YAML: while parsing a quoted scalar, found unknown escape character (the mistake can be on the line before)
    "#);
}

#[test]
fn nothing_is_read_without_bound() {
    let nested = |depth: usize| format!("outbound: {}{}\n", "[".repeat(depth), "]".repeat(depth));
    let flow = |depth: usize| format!("outbound: {}{}\n", "{a: ".repeat(depth), "}".repeat(depth));
    let block = |depth: usize| (0..depth).map(|level| format!("{}a:\n", " ".repeat(level))).collect::<String>();
    let keys: String = (0..25_000).map(|number| format!("k{number}: 1\n")).collect();
    let comment = |bytes: usize| [b"#".repeat(bytes - 1), b"\n".to_vec()].concat();
    let table: Vec<(&str, Vec<u8>)> = vec![
        ("15 lists", nested(15).into()),
        ("16 lists", nested(16).into()),
        ("10,000 lists", nested(10_000).into()),
        ("15 mappings", flow(15).into()),
        ("16 mappings", flow(16).into()),
        ("10,000 mappings", flow(10_000).into()),
        ("16 levels of indentation", block(16).into()),
        ("17 levels of indentation", block(17).into()),
        ("500 levels of indentation", block(500).into()),
        ("lists that never close", "[".repeat(200_000).into()),
        ("mappings that never close", "{? ".repeat(21_845).into()),
        ("mappings with keys that never close", "{a: ".repeat(60_000).into()),
        ("lists of lists", "- ".repeat(32_000).into()),
        ("keys of keys", "? ".repeat(100_000).into()),
        ("60,000 values", format!("outbound: [{}]\n", "a,".repeat(60_000)).into()),
        ("60,000 values below a key that is unknown", format!("x: [{}]\n", "a,".repeat(60_000)).into()),
        ("256 KiB of keys", keys.into_bytes()),
        ("256 KiB of one key", format!("{}: 1\n", "k".repeat(200_000)).into()),
        ("256 KiB", comment(256 * 1024)),
        ("256 KiB and a byte", comment(256 * 1024 + 1)),
        ("256 KiB and a byte that are no text", vec![0xff; 256 * 1024 + 1]),
    ];
    insta::assert_snapshot!(answers(table), @r#"
    15 lists: wrong_type 1:12 expected a mapping, got a list
    16 lists: yaml_too_deep 1:26 the file nests deeper than 16 levels (a policy needs 8 levels)
    10,000 lists: yaml_too_deep 1:266 the file nests deeper than 16 levels (a policy needs 8 levels)
    15 mappings: wrong_type 1:11 expected a list, got a mapping
    16 mappings: yaml_too_deep 1:71 the file nests deeper than 16 levels (a policy needs 8 levels)
    10,000 mappings: yaml_too_deep 1:71 the file nests deeper than 16 levels (a policy needs 8 levels)
    16 levels of indentation: unknown_key 1:1 there is no key `a` here (the keys here are `outbound`, `inbound`, `environments`, `limits`)
    17 levels of indentation: yaml_too_deep 17:17 the file nests deeper than 16 levels (a policy needs 8 levels)
    500 levels of indentation: yaml_too_deep 17:17 the file nests deeper than 16 levels (a policy needs 8 levels)
    lists that never close: yaml_too_deep 1:256 the file nests deeper than 16 levels (a policy needs 8 levels)
    mappings that never close: yaml_too_deep 1:766 the file nests deeper than 16 levels (a policy needs 8 levels)
    mappings with keys that never close: yaml_too_deep 1:1021 the file nests deeper than 16 levels (a policy needs 8 levels)
    lists of lists: yaml_too_deep 1:33 the file nests deeper than 16 levels (a policy needs 8 levels)
    keys of keys: yaml_complex_key 1:3 a list or a mapping cannot be a key (write the key as plain text)
    60,000 values: yaml_too_many_nodes 1:100008 the file has more than 50000 values (split the rules over several repositories)
    60,000 values below a key that is unknown: yaml_too_many_nodes 1:100001 the file has more than 50000 values (split the rules over several repositories)
    256 KiB of keys: unknown_key 1:1 there is no key `k0` here (the keys here are `outbound`, `inbound`, `environments`, `limits`); unknown_key 2:1 there is no key `k1` here (the keys here are `outbound`, `inbound`, `environments`, `limits`); unknown_key 3:1 there is no key `k2` here (the keys here are `outbound`, `inbound`, `environments`, `limits`); 98 more
    256 KiB of one key: yaml_syntax 1:200001 this is not YAML: mapping values are not allowed in this context (the mistake can be on the line before)
    256 KiB: = no rules
    256 KiB and a byte: file_too_large 1:1 the file has 262145 bytes, and at most 262144 are read (split the rules over several repositories)
    256 KiB and a byte that are no text: file_too_large 1:1 the file has 262145 bytes, and at most 262144 are read (split the rules over several repositories)
    "#);
}
