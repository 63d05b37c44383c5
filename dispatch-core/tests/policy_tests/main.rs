//! Tests of policies, as teams write them: what they say of an event, what they compare, and what people read where a test
//! fails or a file is wrong.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod commands;
mod differences;
mod file;
mod pull_requests;
mod runs;

use std::collections::BTreeMap;

use dispatch_core::decide::PolicyFile;
use dispatch_core::name::Repository;
use dispatch_core::policy::{Policy, PolicyPath};
use dispatch_core::policy_test::TestFile;

/// Policy files by `owner/name`.
pub(crate) type Files<'t> = [(&'t str, &'t str)];

pub(crate) fn policies(files: &Files<'_>) -> BTreeMap<Repository, PolicyFile> {
    let parsed = files.iter().map(|(name, text)| {
        let repository: Repository = name.parse().unwrap();
        let checked = Policy::check_in(text.as_bytes(), &repository, &format!("{name}/dispatching.yml"));
        (repository, PolicyFile::of(PolicyPath::Root, checked))
    });
    parsed.collect()
}

pub(crate) fn read(text: &str) -> TestFile {
    TestFile::read(text.as_bytes(), "dispatching.test.yml")
        .unwrap_or_else(|problems| panic!("{}", problems.render(text)))
}

/// What is told of the tests of a file: `ok NAME`, or `FAILED NAME` and why.
pub(crate) fn run(files: &Files<'_>, text: &str) -> String {
    let (policies, file) = (policies(files), read(text));
    let mut told = String::new();
    for test in &file.tests {
        let outcome =
            test.run(&file.limits, |repository| policies.get(repository).cloned().unwrap_or(PolicyFile::Absent));
        match outcome.passed() {
            true => told.push_str(&format!("ok {}\n", test.name)),
            false => told.push_str(&format!("FAILED {}\n{outcome}", test.name)),
        }
    }
    told
}

/// One test for each line of `tests`, and all of them must pass.
pub(crate) fn all_pass(files: &Files<'_>, tests: &[&str]) {
    let entries = tests.iter().enumerate().map(|(number, test)| format!("  - {{ name: number {number}, {test} }}\n"));
    let text = format!("tests:\n{}", entries.collect::<String>());
    let told = run(files, &text);
    assert!(!told.contains("FAILED"), "{told}\n{text}");
}

/// What is wrong in a file, as people read it.
pub(crate) fn wrong(text: &str) -> String {
    TestFile::read(text.as_bytes(), "dispatching.test.yml").unwrap_err().render(text)
}
