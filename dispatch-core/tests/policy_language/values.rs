//! Consent to values.

use dispatch_core::policy::Accept;

use super::{check, told, told_of};

/// A file with one inbound target that accepts so. The consent starts in line 5.
fn accepting(accepts: &str) -> String {
    format!(
        "inbound:\n  - source: {{repository: api, pull_request: [opened]}}\n    targets:\n      - event: preview\n        accept_payload: {accepts}\n"
    )
}

fn accept(text: &str) -> Accept {
    let checked = check(accepting(&format!("{{a: {text}}}")).as_bytes());
    let policy = checked.policy.unwrap_or_else(|| panic!("{text}: {:?}", checked.diagnostics));
    policy.inbound()[0].targets[0].accept_inputs["a"].clone()
}

#[test]
fn a_value_is_accepted_as_the_rule_says() {
    let long_sha = "0123456789abcdef0123456789abcdef01234567";
    let table = [
        ("{}", vec!["x", "$(id)", "a b"], vec![]),
        ("{pattern: number}", vec!["1", "99999"], vec!["0", "100000", "01", "-1", "1.0", "١", "1\n", "", " 1"]),
        ("{pattern: sha}", vec!["0123abc", long_sha], vec!["012abc", "0123ABC", "0123abg", "main"]),
        ("{pattern: branch}", vec!["main", "feature/a+b@c#1"], vec!["-x", "a b", "$(id)", "a..b", "a;b", "ü"]),
        ("{pattern: branch-any}", vec!["main", "$(curl${IFS}x|sh)", "ü"], vec!["a b", "a..b", "a\nb"]),
        ("{pattern: login}", vec!["octocat", "dependabot[bot]"], vec!["a b", "-x", "a/b"]),
        ("{pattern: 'v?.*'}", vec!["v1.2"], vec!["v12", "main"]),
        ("{pattern: production}", vec!["production"], vec!["Production", "production2"]),
        ("{one_of: [opened, true, 1]}", vec!["opened", "true", "1"], vec!["closed", "Opened", "01"]),
        ("{max_length: 3}", vec!["abc", "äöü"], vec!["abcd"]),
        ("{pattern: number, one_of: [1, 2], max_length: 1}", vec!["2"], vec!["3"]),
    ];
    for (text, accepted, refused) in table {
        let accept = accept(text);
        for value in accepted {
            assert_eq!(accept.refuses(value), None, "{text} on {value:?}");
        }
        for value in refused {
            assert!(accept.refuses(value).is_some(), "{text} on {value:?}");
        }
    }
}

#[test]
fn consent_to_values_is_refused_at_the_exact_place() {
    let table: Vec<(&str, Vec<u8>)> = [
        ("text in place of consent", accepting("api_pr")),
        ("nothing in place of consent", accepting("")),
        ("a name without consent", accepting("{a: }")),
        ("text for a name", accepting("{a: number}")),
        ("a list for a name", accepting("{a: [x]}")),
        ("an unknown key", accepting("{a: {patern: number}}")),
        ("a wrong name", accepting("{'a b': {}, c: {}}")),
        ("a wrong name in a list", accepting("[a, 'b.c']")),
        ("a mapping in a list", accepting("[a: {pattern: number}]")),
        ("a pattern of exclusion", accepting("{a: {pattern: '!main'}}")),
        ("a list of patterns", accepting("{a: {pattern: [number, sha]}}")),
        ("no value to be one of", accepting("{a: {one_of: []}}")),
        ("a length in quotes", accepting("{a: {max_length: '3'}}")),
        ("a length of zero", accepting("{a: {max_length: 0}}")),
        ("a length that no value has", accepting("{a: {max_length: 1025}}")),
        // What follows leaves the rest of the file at work.
        ("a misspelt pattern", accepting("{a: {pattern: nubmer}}")),
        ("a value that the pattern refuses", accepting("{a: {pattern: number, one_of: [1, two]}}")),
        ("a property twice in a list", accepting("[a, a]")),
    ]
    .map(|(name, text)| (name, text.into_bytes()))
    .into();
    insta::assert_snapshot!(told_of(table), @"
    text in place of consent: wrong_type 5:25 api_pr
    nothing in place of consent: missing_value 5:9 accept_payload
    a name without consent: missing_value 5:26 a
    text for a name: wrong_type 5:29 number
    a list for a name: wrong_type 5:29 [x]
    an unknown key: unknown_key 5:30 patern
    a wrong name: invalid_input_name 5:26 'a b'
    a wrong name in a list: invalid_input_name 5:29 'b.c'
    a mapping in a list: wrong_type 5:26 a: {pattern: number}
    a pattern of exclusion: invalid_pattern 5:39 '!main'
    a list of patterns: wrong_type 5:39 [number, sha]
    no value to be one of: empty_list 5:38 []
    a length in quotes: wrong_type 5:42 '3'
    a length of zero: invalid_max_length 5:42 0
    a length that no value has: invalid_max_length 5:42 1025
    a misspelt pattern: literal_pattern 5:39 nubmer - and yet a policy
    a value that the pattern refuses: value_never_accepted 5:59 two - and yet a policy
    a property twice in a list: duplicate_input 5:29 a - and yet a policy
    ");
}

#[test]
fn people_read_how_to_mend_consent_to_values() {
    insta::assert_snapshot!(told(&accepting("{a: {patern: number, pattern: shaa, max_length: 9999}, b: number}")), @"
    error[unknown_key]: there is no key `patern` here
     --> dispatching.yml:5:30
      |
    5 |         accept_payload: {a: {patern: number, pattern: shaa, max_length: 9999}, b: number}
      |                              ^^^^^^ unknown key
      |
      = help: did you mean `pattern`?

    warning[literal_pattern]: `shaa` accepts nothing but this very text
     --> dispatching.yml:5:55
      |
    5 |         accept_payload: {a: {patern: number, pattern: shaa, max_length: 9999}, b: number}
      |                                                       ^^^^ neither a word nor a pattern
      |
      = help: did you mean `sha`? A text alone goes into `one_of`

    error[invalid_max_length]: no value has 9999 characters
     --> dispatching.yml:5:73
      |
    5 | pt_payload: {a: {patern: number, pattern: shaa, max_length: 9999}, b: number}
      |                                                             ^^^^ not from 1 to 1024
      |
      = help: write a number from 1 to 1024; longer values are never sent

    error[wrong_type]: expected a mapping, got the text `number`
     --> dispatching.yml:5:83
      |
    5 | : {a: {patern: number, pattern: shaa, max_length: 9999}, b: number}
      |                                                             ^^^^^^ not a mapping
      |
      = help: write `{ pattern: number }`
    ");
}
