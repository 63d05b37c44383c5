//! Environments of pull requests.

use std::time::Duration;

use dispatch_core::policy::EnvironmentRule;
use dispatch_core::template::Variable;

use super::{check, problems, told, told_of};

/// A file with these environments, each in a line of its own from line 2 on.
fn environments(entries: &[&str]) -> String {
    let entries: String = entries.iter().map(|entry| format!("  - {{{entry}}}\n")).collect();
    format!("environments:\n{entries}")
}

fn environment(entry: &str) -> EnvironmentRule {
    let checked = check(environments(&[entry]).as_bytes());
    let policy = checked.policy.unwrap_or_else(|| panic!("{entry}: {:?}", checked.diagnostics));
    policy.environments()[0].clone()
}

#[test]
fn an_environment_is_what_its_entry_says() {
    let text = "base: dev, name: 'pr-{{ pr.number }}', deploy: '{{ pr.head_branch }}', \
        url: 'https://{{ env.name }}.example.com/{{ pr.head_sha }}', links: {Admin panel: 'https://a.example.com:8443'}, \
        cleanup: 'delete the stack {{ env.name }}', ttl: 72h";
    let described = environment(text);
    assert!(described.base.as_ref().unwrap().matches("dev") && !described.is_shared());
    assert_eq!(described.ttl, Some(Duration::from_secs(72 * 3_600)));
    assert_eq!(described.links["Admin panel"].as_str(), "https://a.example.com:8443");
    let value = |variable| match variable {
        Variable::EnvName => Some("pr-7".to_owned()),
        Variable::PrHeadSha => Some("0123abc".to_owned()),
        _ => None,
    };
    assert_eq!(described.url.unwrap().render(value).unwrap(), "https://pr-7.example.com/0123abc");
    assert_eq!(described.cleanup.unwrap().render(value).unwrap(), "delete the stack pr-7");
    let shared = environment("base: [main, 'release/*'], name: staging, deploy: dev");
    assert!(shared.is_shared() && shared.base.unwrap().matches("release/1"));
    assert_eq!((shared.url, shared.ttl, shared.line), (None, None, 2));
}

#[test]
fn a_time_is_from_an_hour_to_ninety_days() {
    let table = [
        ("1h", Some(3_600)),
        ("60m", Some(3_600)),
        ("90d", Some(90 * 86_400)),
        ("007d", Some(7 * 86_400)),
        ("30m", None),
        ("59m", None),
        ("91d", None),
        ("72", None),
        ("72 h", None),
        ("72H", None),
        ("1h30m", None),
        ("-1h", None),
        ("h", None),
        ("9999999d", None),
        ("99999999999999999999d", None),
        ("", None),
    ];
    for (text, expected) in table {
        let checked = check(environments(&[&format!("name: x, ttl: '{text}'")]).as_bytes());
        let ttl = checked.policy.map(|policy| policy.environments()[0].ttl.unwrap().as_secs());
        assert_eq!(ttl, expected, "{text}");
    }
}

#[test]
fn an_address_leads_where_the_file_says_whatever_branches_are_called() {
    let table = [
        ("https://example.com", true),
        ("https://pr-{{ pr.number }}-testing.example.com:8443/a?b=c#d", true),
        ("https://{{ env.name }}.example.com/{{ pr.base_branch }}", true),
        ("https://example.com/{{ env.base }}/{{ pr.head_sha }}", true),
        ("http://example.com", false),
        ("HTTPS://example.com", false),
        ("javascript:alert(1)", false),
        ("//example.com", false),
        ("https://", false),
        ("https:///x", false),
        ("https://user@example.com", false),
        ("https://example.com@evil.example", false),
        ("https://{{ pr.base_branch }}.example.com", false),
        ("https://{{ env.base }}@example.com", false),
        ("https://example.com{{ pr.base_branch }}", false),
        ("https://-a.example.com", false),
        ("https://a..example.com", false),
        ("https://a_b.example.com", false),
        ("https://example.com:", false),
        ("https://example.com:99999", false),
        ("https://example.com:+443", false),
        ("https://example.com/a b", false),
        ("https://example.com/<b>", false),
        ("https://example.com\\\\@evil.example", false),
        ("https://exämple.com", false),
        ("{{ pr.head_sha }}", false),
    ];
    for (address, expected) in table {
        for entry in [format!("name: x, url: \"{address}\""), format!("name: x, links: {{a: \"{address}\"}}")] {
            let (told, means_something) = problems(environments(&[&entry]).as_bytes());
            assert_eq!(means_something, expected, "{entry}: {told}");
        }
    }
}

#[test]
fn environments_are_refused_at_the_exact_place() {
    let link = |n: usize| format!("l{n}: 'https://example.com'");
    let [ten, eleven] = [10, 11].map(|count| (0..count).map(link).collect::<Vec<_>>().join(", "));
    let numbered = "name: 'pr-{{ pr.number }}'";
    let table: Vec<(&str, Vec<u8>)> = [
        ("nothing", "environments:\n".to_owned()),
        ("an empty list", "environments: []\n".to_owned()),
        ("a mapping", "environments: {dev: {name: x}}\n".to_owned()),
        ("100 of them", environments(&["name: x"; 100])),
        ("101 of them", environments(&["name: x"; 101])),
        ("no name", environments(&["base: dev"])),
        ("an unknown key", environments(&["name: x, uri: 'https://example.com'"])),
        ("a branch in a name", environments(&["name: 'pr-{{ pr.head_branch }}'"])),
        ("an environment's name in its name", environments(&["name: '{{ env.name }}'"])),
        ("a misspelt number", environments(&["name: 'pr-{{ pr.numbr }}'"])),
        ("a number as JSON", environments(&["name: '{{ pr.number | json }}'"])),
        ("a name with a space", environments(&["name: 'pr {{ pr.number }}'"])),
        ("a name with a dot in front", environments(&["name: .staging"])),
        ("a name of 101 characters", environments(&[&format!("name: {}", "x".repeat(101))])),
        (
            "a name of 101 characters for number 99999",
            environments(&[&format!("name: '{}{{{{ pr.number }}}}'", "x".repeat(96))]),
        ),
        ("an empty name", environments(&["name: ''"])),
        ("a pattern of exclusion", environments(&["name: x, base: '!main'"])),
        ("no base in the list", environments(&["name: x, base: []"])),
        ("a commit to deploy", environments(&["name: x, deploy: '{{ pr.head_sha }}'"])),
        ("a branch with a space", environments(&["name: x, deploy: 'a b'"])),
        (
            "a stranger's branch in an address",
            environments(&["name: x, url: 'https://example.com/{{ pr.head_branch }}'"]),
        ),
        ("a sender in a link", environments(&["name: x, links: {a: 'https://example.com/{{ sender.login }}'}"])),
        ("10 links", environments(&[&format!("name: x, links: {{{ten}}}")])),
        ("11 links", environments(&[&format!("name: x, links: {{{eleven}}}")])),
        (
            "a link of 51 characters",
            environments(&[&format!("name: x, links: {{{}: 'https://example.com'}}", "a".repeat(51))]),
        ),
        ("a link that reorders the text", environments(&["name: x, links: {\"a\\u202eb\": 'https://example.com'}"])),
        ("a link in a list", environments(&["name: x, links: ['https://example.com']"])),
        ("a clean-up with a line end", "environments:\n  - name: x\n    cleanup: |\n      a\n      b\n".to_owned()),
        ("a clean-up with a title", environments(&["name: x, cleanup: '{{ pr.title }}'"])),
        ("a number as time", environments(&["name: x, ttl: 72"])),
        (
            "the same name for two bases",
            environments(&[&format!("base: a, {numbered}"), "base: b, name: 'pr-{{pr.number}}'"]),
        ),
        ("the name of one pull request", environments(&[numbered, "name: pr-17"])),
        (
            "the name of one pull request first",
            environments(&["name: 7-of-7", "name: '{{ pr.number }}-of-{{ pr.number }}'"]),
        ),
        (
            "names that only look alike",
            environments(&[numbered, "name: pr-", "name: pr-017", "name: pr-x7", "name: '{{ pr.number }}'"]),
        ),
        ("a shared name for two bases", environments(&["base: main, name: staging", "base: dev, name: staging"])),
        (
            "what creates one that is not described",
            "outbound: [{source: {command: /x}, targets: [{repository: a, event: b, environment: create}]}]\n"
                .to_owned(),
        ),
        (
            "what destroys one that is not described any more",
            "outbound: [{source: {command: /x}, targets: [{repository: a, event: b, environment: destroy}]}]\n"
                .to_owned(),
        ),
    ]
    .map(|(name, text)| (name, text.into_bytes()))
    .into();
    insta::assert_snapshot!(told_of(table), @r#"
    nothing:  - and yet a policy
    an empty list:  - and yet a policy
    a mapping: wrong_type 1:15 {dev: {name: x}}
    100 of them:  - and yet a policy
    101 of them: too_many_environments 2:3 - {name: x}
    no name: missing_key 2:5 {base: dev}
    an unknown key: unknown_key 2:15 uri
    a branch in a name: variable_not_allowed 2:19 pr.head_branch
    an environment's name in its name: variable_not_allowed 2:16 env.name
    a misspelt number: variable_not_allowed 2:19 pr.numbr
    a number as JSON: invalid_template 2:12 '{{ pr.number | json }}'
    a name with a space: invalid_name 2:12 'pr {{ pr.number }}'
    a name with a dot in front: invalid_name 2:12 .staging
    a name of 101 characters: invalid_name 2:12 xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
    a name of 101 characters for number 99999: invalid_name 2:12 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx{{ pr
    an empty name: unusable_value 2:12 ''
    a pattern of exclusion: invalid_pattern 2:21 '!main'
    no base in the list: empty_list 2:21 []
    a commit to deploy: variable_not_allowed 2:27 pr.head_sha
    a branch with a space: invalid_name 2:23 'a b'
    a stranger's branch in an address: variable_not_allowed 2:44 pr.head_branch
    a sender in a link: variable_not_allowed 2:50 sender.login
    10 links:  - and yet a policy
    11 links: too_many_links 2:22 {l0: 'https://example.com', l1: 'https://example.com', l2: 'https://example.com', l3: 'https://examp
    a link of 51 characters: invalid_link_name 2:23 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
    a link that reorders the text: invalid_link_name 2:23 "a\u202eb"
    a link in a list: wrong_type 2:22 ['https://example.com']
    a clean-up with a line end: unusable_value 4:7 a
    a clean-up with a title: variable_not_allowed 2:28 pr.title
    a number as time: invalid_ttl 2:20 72
    the same name for two bases: environment_name_twice 3:21 'pr-{{pr.number}}'
    the name of one pull request: environment_name_twice 3:12 pr-17
    the name of one pull request first: environment_name_twice 3:12 '{{ pr.number }}-of-{{ pr.number }}'
    names that only look alike:  - and yet a policy
    a shared name for two bases:  - and yet a policy
    what creates one that is not described: missing_environments 1:85 create
    what destroys one that is not described any more:  - and yet a policy
    "#);
}

#[test]
fn people_read_how_to_mend_an_environment() {
    let text = "\
environments:
  - base: dev
    name: \"{{ pr.head_branch }}\"
    url: \"http://dev.example.com\"
    ttl: 30m
  - base: main
    name: \"pr-{{ pr.number }}\"
    url: \"https://{{ pr.base_branch }}.example.com\"
  - base: \"release/*\"
    name: \"pr-{{ pr.number }}\"
";
    insta::assert_snapshot!(told(text), @r#"
    error[variable_not_allowed]: an environment's name cannot have the variable `pr.head_branch`
     --> dispatching.yml:3:15
      |
    3 |     name: "{{ pr.head_branch }}"
      |               ^^^^^^^^^^^^^^ not here
      |
      = help: the variables here are `pr.number`

    error[invalid_address]: `http://dev.example.com` is not an address that starts with `https://`
     --> dispatching.yml:4:10
      |
    4 |     url: "http://dev.example.com"
      |          ^^^^^^^^^^^^^^^^^^^^^^^^ no https address
      |
      = help: write it as `https://pr-{{ pr.number }}.example.com/`

    error[invalid_ttl]: `30m` is not from an hour to 90 days
     --> dispatching.yml:5:10
      |
    5 |     ttl: 30m
      |          ^^^ not from `1h` to `90d`
      |
      = help: write minutes, hours or days, such as `90m`, `72h` or `7d`

    error[invalid_address]: a branch's name cannot be part of the host: it could lead to another one
     --> dispatching.yml:8:10
      |
    8 |     url: "https://{{ pr.base_branch }}.example.com"
      |          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ its host has a branch in it
      |
      = help: use `pr.number` or `env.name` there

    error[environment_name_twice]: two environments can have this name for the same pull request
      --> dispatching.yml:10:11
       |
    10 |     name: "pr-{{ pr.number }}"
       |           ^^^^^^^^^^^^^^^^^^^^ again here
       |
      ::: dispatching.yml:7:11
       |
     7 |     name: "pr-{{ pr.number }}"
       |           -------------------- first here
       |
       = help: give each its own name, or one entry a list as `base`
    "#);
}
