//! Any bytes are a policy or problems with places inside the file, and the problems can be shown.
#![no_main]

use dispatch_core::name::Owner;
use dispatch_core::policy::Policy;
use dispatch_fuzz::{has_line, told_well};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let owner: Owner = "acme".parse().expect("an owner");
    let checked = Policy::check(bytes, &owner, "dispatching.yml");
    assert!(checked.policy.is_some() || checked.diagnostics.has_errors(), "no policy, and nobody says why");
    told_well(&checked.diagnostics, bytes);

    if let Some(policy) = checked.policy {
        for rule in policy.outbound() {
            assert!(has_line(rule.line, bytes) && rule.targets.iter().all(|target| target.line >= rule.line));
        }
        for rule in policy.inbound() {
            assert!(
                policy.inbound_from(&rule.repository).any(|found| found == rule),
                "an inbound rule cannot be found"
            );
        }
    }
});
