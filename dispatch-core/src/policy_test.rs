//! Tests of policies, as teams write them beside their policy files: "when this happens, exactly that starts".
//!
//! ```yaml
//! tests:
//!   - name: a green build of main deploys
//!     when: { repository: acme/api, workflow: ci.yml }
//!     then:
//!       - { repository: acme/deploy, workflow: cd.yml, inputs: { git_sha: "{{ sha }}" } }
//! ```
//!
//! The answer is the [decision](crate::decide)'s own, over the real policy files; only what GitHub and the service's store
//! would say comes from `when`. What `when` leaves out is the plain case: a success on the default branch, by a push, in the
//! repository itself, by somebody who may write.

mod difference;
mod read;
mod then;
mod when;
mod world;
mod written;

use std::collections::BTreeMap;

pub use self::difference::{Difference, Instead, Outcome, ValueDifference};
use self::when::Situation;
use crate::chain::Place;
use crate::decide::PolicyFile;
use crate::diagnostic::Diagnostics;
use crate::guardrail::Guardrails;
use crate::name::{GitRef, Repository};
use crate::reason::Reason;

/// How many tests a file may have.
pub const MAX_TESTS: usize = 1_000;

/// A file of tests, without errors.
#[derive(Debug, Clone)]
pub struct TestFile {
    /// The folder of the policy files, relative to the folder of this file; never above it. Empty: that folder itself.
    pub policies: Vec<String>,
    /// The operator's limits in force.
    pub limits: Guardrails,
    /// The tests, in the order of the file.
    pub tests: Vec<PolicyTest>,
}

impl TestFile {
    /// Reads a file of tests: at most [`MAX_BYTES`](crate::policy::MAX_BYTES). `file` is the name to use in diagnostics.
    ///
    /// # Errors
    /// Every problem of the file, each with its place.
    ///
    /// ```
    /// use dispatch_core::decide::PolicyFile;
    /// use dispatch_core::policy_test::TestFile;
    ///
    /// let text = "
    /// tests:
    ///   - name: nobody has written a policy yet
    ///     when: { repository: acme/api, workflow: ci.yml }
    ///     then: []
    ///     skipped: source_policy_missing
    /// ";
    /// let file = TestFile::read(text.as_bytes(), "dispatching.test.yml").unwrap();
    /// let outcome = file.tests[0].run(&file.limits, |_| PolicyFile::Absent);
    /// assert!(outcome.passed(), "{outcome}");
    /// ```
    pub fn read(bytes: &[u8], file: &str) -> Result<Self, Diagnostics> {
        read::read(bytes, file)
    }
}

/// One test.
#[derive(Debug, Clone)]
pub struct PolicyTest {
    /// Its name, as written: it may hold any character.
    pub name: String,
    /// 1-based line of its entry.
    pub line: u32,
    situation: Situation,
    then: Vec<Expected>,
    denied: Vec<ExpectedDenial>,
    skipped: Option<Reason>,
}

/// What is to start.
#[derive(Debug, Clone)]
struct Expected {
    place: Place,
    /// None: any.
    git_ref: Option<GitRef>,
    /// The inputs or the payload, all of them. None: any.
    values: Option<BTreeMap<String, serde_json::Value>>,
}

/// What is to be denied.
#[derive(Debug, Clone)]
struct ExpectedDenial {
    place: Place,
    reason: Reason,
}

impl PolicyTest {
    /// Runs the test. `policies` gives the policy file of a repository; it can be asked for any repository that a policy file
    /// names.
    ///
    /// Where nothing tells the operator's owners, the source's owner is served.
    #[must_use]
    pub fn run(&self, limits: &Guardrails, policies: impl FnMut(&Repository) -> PolicyFile) -> Outcome {
        let decided = world::decide(&self.situation, limits, policies);
        difference::compare(self, &decided)
    }
}
