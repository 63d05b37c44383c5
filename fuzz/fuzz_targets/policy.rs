//! Any bytes are a policy or problems with places inside the file, and the problems can be shown.
#![no_main]

use dispatch_core::name::Owner;
use dispatch_core::policy::Policy;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let owner: Owner = "acme".parse().expect("an owner");
    let checked = Policy::check(bytes, &owner, "dispatching.yml");
    assert!(checked.policy.is_some() || checked.diagnostics.has_errors(), "no policy, and nobody says why");

    let lines =
        bytes.iter().filter(|byte| **byte == b'\n').count() + bytes.iter().filter(|byte| **byte == b'\r').count();
    for problem in &checked.diagnostics.problems {
        let span = problem.span;
        assert!(span.start <= span.end && span.end <= bytes.len(), "{problem:?} is outside of {} bytes", bytes.len());
        assert!(span.line >= 1 && span.line as usize <= lines + 1, "{problem:?} is outside of the lines");
        assert!(span.column >= 1, "{problem:?} has no column");
        assert!(!problem.message.contains('\n'), "{problem:?} has more than one line");
    }
    let shown = checked.diagnostics.render(&String::from_utf8_lossy(bytes));
    assert!(!shown.contains('\u{1b}'), "a terminal would obey the file");

    if let Some(policy) = checked.policy {
        for rule in policy.outbound() {
            assert!(rule.line as usize <= lines + 1 && rule.targets.iter().all(|target| target.line >= rule.line));
        }
        for rule in policy.inbound() {
            assert!(
                policy.inbound_from(&rule.repository).any(|found| found == rule),
                "an inbound rule cannot be found"
            );
        }
    }
});
