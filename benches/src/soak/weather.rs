//! What goes wrong with the requests to GitHub.

use std::collections::BTreeMap;

use dispatch_core::testing::world::{Fault, FaultKind};

use crate::Result;

const CALLS: (&str, &str) = ("POST", "/repos/*/*/actions/workflows/*/dispatches");
const FILES: (&str, &str) = ("GET", "/repos/*/*/contents/**");
const RUNS: (&str, &str) = ("GET", "/repos/*/*/actions/runs");
const TOKENS: (&str, &str) = ("POST", "/app/installations/*/access_tokens");

/// The next thing to go wrong, by a number from 0 on: all of them in turn.
pub(crate) fn fault(number: usize) -> Result<Fault> {
    let limited = |retry_after, reset_in, secondary| FaultKind::RateLimited { retry_after, reset_in, secondary };
    let page = FaultKind::Status { status: 502, body: Some("<html>".to_owned()), headers: BTreeMap::new() };
    let all = [
        (FILES, FaultKind::status(502)),
        (CALLS, FaultKind::CutAfter),
        (FILES, FaultKind::CutBefore),
        (CALLS, limited(Some(2), None, true)),
        (FILES, FaultKind::Delay { milliseconds: 300 }),
        (CALLS, FaultKind::Delay { milliseconds: 500 }),
        (FILES, limited(None, Some(3), false)),
        (CALLS, page),
        (TOKENS, FaultKind::status(503)),
        (CALLS, FaultKind::CutBefore),
        (RUNS, FaultKind::status(502)),
        (CALLS, FaultKind::status(503)),
        (RUNS, FaultKind::CutBefore),
        (TOKENS, limited(Some(1), None, true)),
    ];
    let count = all.len();
    let ((method, path), kind) = all.into_iter().nth(number % count).ok_or("there is a fault for every number")?;
    Ok(Fault::once(method, path, kind)?)
}
