//! The generated parts of the README are what the code says. To write them anew:
//! `UPDATE_README=1 cargo test -p dispatch-core --test readme`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods, reason = "tests")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use dispatch_core::reason::{Reason, Side};

const END: &str = "<!-- end of the generated part -->";

fn readme() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md")
}

/// Compares the part of the README that is generated from a file, or writes it.
fn assert_generated(from: &str, wanted: &str) {
    let text = std::fs::read_to_string(readme()).unwrap();
    let begin = format!("<!-- generated from {from} -->\n");
    let (before, rest) = text.split_once(&begin).unwrap_or_else(|| panic!("the README has no {begin}"));
    let (there, after) = rest.split_once(END).unwrap();
    if there != wanted && std::env::var_os("UPDATE_README").is_some() {
        std::fs::write(readme(), format!("{before}{begin}{wanted}{END}{after}")).unwrap();
        return;
    }
    assert!(
        there == wanted,
        "run `UPDATE_README=1 cargo test -p dispatch-core --test readme`; it should be:\n{wanted}"
    );
}

/// What the documentation of `decide` says under that heading.
fn order_of_evaluation() -> String {
    let source = include_str!("../src/decide.rs");
    let documentation: Vec<_> = source
        .lines()
        .map_while(|line| line.strip_prefix("//!"))
        .map(|line| line.strip_prefix(' ').unwrap_or(line))
        .collect();
    let begin = documentation.iter().position(|line| *line == "# The order of evaluation").unwrap() + 1;
    let section = documentation.iter().skip(begin).take_while(|line| !line.starts_with("# "));
    let text = section.fold(String::new(), |text, line| text + line + "\n");
    format!("\n{}\n\n", text.trim())
}

fn reasons() -> String {
    let mut text = String::from("\n| code | side | it means | what to do |\n|---|---|---|---|\n");
    for reason in Reason::ALL {
        let side = match reason.side() {
            Side::Source => "source",
            Side::Target => "target",
        };
        let help = reason.help().replace('|', "\\|");
        writeln!(text, "| `{}` | {side} | {} | {help} |", reason.code(), reason.sentence()).unwrap();
    }
    text.push('\n');
    text
}

#[test]
fn the_generated_parts_are_what_the_code_says() {
    assert_generated("dispatch-core/src/decide.rs", &order_of_evaluation());
    assert_generated("dispatch-core/src/reason.rs", &reasons());
}

#[test]
fn every_reason_of_a_decision_stands_in_the_order_of_evaluation() {
    // The pipeline gives these, or the check that somebody wants again.
    let elsewhere = [Reason::EventTooOld, Reason::ConsentWithdrawn, Reason::AlreadyUnderWay];
    let order = order_of_evaluation();
    for reason in Reason::ALL.iter().filter(|reason| !elsewhere.contains(reason)) {
        assert!(order.contains(&format!("`{reason}`")), "{reason}");
    }
}
