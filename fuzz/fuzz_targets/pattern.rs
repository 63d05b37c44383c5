//! A pattern matches exactly what a naive matcher matches, which tries everything.
#![no_main]

use dispatch_core::pattern::Pattern;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, &str)| {
    let (text, name) = input;
    let Ok(pattern) = text.parse::<Pattern>() else { return };
    assert_eq!(pattern.as_str(), text);

    // The naive matcher takes exponential time: only short ones are compared, long ones must only come back.
    let exact = pattern.matches(name);
    let without_case = pattern.matches_ignore_case(name);
    assert!(!exact || without_case, "`{text}` matches {name:?} only with case");
    let (pattern, name): (Vec<char>, Vec<char>) = (text.chars().collect(), name.chars().collect());
    if pattern.len() <= 10 && name.len() <= 12 {
        assert_eq!(exact, matches(&pattern, &name), "{text:?} on {name:?}");
        let lower = |text: &[char]| text.iter().map(char::to_ascii_lowercase).collect::<Vec<_>>();
        assert_eq!(without_case, matches(&lower(&pattern), &lower(&name)), "{text:?} on {name:?} without case");
    }
});

fn matches(pattern: &[char], name: &[char]) -> bool {
    match pattern {
        [] => name.is_empty(),
        ['*', '*', rest @ ..] => (0..=name.len()).any(|taken| matches(rest, &name[taken..])),
        ['*', rest @ ..] => {
            (0..=name.len()).any(|taken| !name[..taken].contains(&'/') && matches(rest, &name[taken..]))
        }
        ['?', rest @ ..] => name.split_first().is_some_and(|(first, after)| *first != '/' && matches(rest, after)),
        [letter, rest @ ..] => name.split_first().is_some_and(|(first, after)| first == letter && matches(rest, after)),
    }
}
