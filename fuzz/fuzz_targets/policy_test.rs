//! Any file of tests, and any policy: the tests are read or refused at places inside the file, and those that are read end,
//! the same way each time.
#![no_main]

use dispatch_core::decide::PolicyFile;
use dispatch_core::name::Repository;
use dispatch_core::policy::{Policy, PolicyPath};
use dispatch_core::policy_test::TestFile;
use dispatch_fuzz::{harmless, has_line, told_well};
use libfuzzer_sys::fuzz_target;

/// Stands between the tests and the policy, which all repositories have.
const POLICY: &str = "\n%%%\n";

fuzz_target!(|text: &str| {
    let (tests, policy) = text.split_once(POLICY).unwrap_or((text, ""));
    let file = match TestFile::read(tests.as_bytes(), "dispatching.test.yml") {
        Ok(file) => file,
        Err(diagnostics) => {
            assert!(diagnostics.has_errors(), "refused, and nobody says why");
            told_well(&diagnostics, tests.as_bytes());
            return;
        }
    };
    assert!(!file.policies.iter().any(|folder| folder == ".."), "{:?} leads out of the folder", file.policies);
    for test in file.tests.iter().take(20) {
        assert!(has_line(test.line, tests.as_bytes()));
        let outcome = test.run(&file.limits, |repository| read(repository, policy));
        let shown = outcome.to_string();
        harmless(&shown);
        assert_eq!(outcome.passed(), shown.is_empty(), "{shown}");
        let again = test.run(&file.limits, |repository| read(repository, policy));
        assert_eq!(shown, again.to_string(), "one test, two outcomes");
        serde_json::to_string(&outcome.differences).expect("JSON");
    }
});

fn read(repository: &Repository, text: &str) -> PolicyFile {
    let path = PolicyPath::Root;
    PolicyFile::of(path, Policy::check(text.as_bytes(), &repository.owner(), path.as_str()))
}
