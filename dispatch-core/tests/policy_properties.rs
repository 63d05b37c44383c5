//! What holds for every policy file, sensible or hostile.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod policy_files;

use dispatch_core::name::Owner;
use dispatch_core::policy::{Checked, Policy};
use proptest::collection::vec;
use proptest::prelude::*;

use self::policy_files::{one_of, valid_file};

fn owner() -> Owner {
    "acme".parse().unwrap()
}

/// Reads a file, and checks what is promised of every answer.
fn check(bytes: &[u8]) -> Checked {
    let checked = Policy::check(bytes, &owner(), "dispatching.yml");
    let text = String::from_utf8_lossy(bytes);
    for problem in &checked.diagnostics.problems {
        let spans = [Some(problem.span), problem.related.as_ref().map(|related| related.span)];
        for span in spans.into_iter().flatten() {
            assert!(span.start <= span.end && span.end <= bytes.len(), "{problem:?} in {text:?}");
            if let Some(before) = std::str::from_utf8(bytes).ok().and_then(|text| text.get(..span.start)) {
                assert_eq!((span.line, span.column), place_behind(before), "{problem:?} in {text:?}");
            }
        }
        assert!(!problem.message.is_empty() && !problem.message.contains('\n'), "{problem:?}");
    }
    assert!(checked.policy.is_some() || checked.diagnostics.has_errors(), "refused without a word: {text:?}");
    let shown = checked.diagnostics.render(&text);
    assert!(!shown.contains(['\u{1b}', '\u{7}', '\u{202e}', '\r']), "{shown:?}");
    checked
}

/// Line and column behind a text, said in another way than the checker does.
fn place_behind(text: &str) -> (u32, u32) {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n").replace('\r', "\n");
    let lines: Vec<&str> = text.split('\n').collect();
    (u32::try_from(lines.len()).unwrap(), u32::try_from(lines[lines.len() - 1].chars().count() + 1).unwrap())
}

/// What YAML is made of, and what it trips over.
const PIECES: &[&str] = &[
    "outbound:",
    "inbound:",
    "source:",
    "targets:",
    "environments:",
    "accept_payload:",
    "workflow: ",
    "command: /x",
    "pull_request: [",
    "name: ",
    "ttl: ",
    "ci.yml",
    "- ",
    "  ",
    "\n",
    "\r\n",
    "\r",
    "[",
    "]",
    "{",
    "}",
    ", ",
    ": ",
    "? ",
    "&a",
    "*a",
    "!t",
    "<<",
    "'",
    "\"",
    "|",
    ">",
    "#",
    "ü",
    "\u{feff}",
    "\u{202e}",
    "~",
    "{{ x }}",
    "---\n",
    "\t",
    "%",
    "@",
];

fn meaning(checked: &Checked) -> String {
    let policy = checked.policy.as_ref().unwrap_or_else(|| panic!("{:?}", checked.diagnostics));
    format!("{:?} {:?} {:?}", policy.outbound(), policy.inbound(), policy.environments())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..200)) {
        check(&bytes);
    }

    #[test]
    fn anything_that_looks_like_yaml_is_read_or_refused(parts in vec(one_of(PIECES), 0..40)) {
        check(parts.concat().as_bytes());
    }

    #[test]
    fn a_damaged_file_is_read_or_refused(text in valid_file(), at in any::<prop::sample::Index>(), with in one_of(PIECES)) {
        let positions: Vec<usize> = text.char_indices().map(|(position, _)| position).collect();
        let mut damaged = text.clone();
        damaged.insert_str(positions[at.index(positions.len())], with);
        check(damaged.as_bytes());
    }

    #[test]
    fn a_valid_file_means_the_same_whatever_ends_its_lines(text in valid_file()) {
        let checked = check(text.as_bytes());
        prop_assert_eq!(checked.diagnostics.render(&text), "");
        for text in [text.replace('\n', "\r\n"), format!("\u{feff}{text}")] {
            prop_assert_eq!(meaning(&check(text.as_bytes())), meaning(&checked));
        }
    }
}
