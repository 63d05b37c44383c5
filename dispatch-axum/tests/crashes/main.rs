#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
#![allow(clippy::print_stderr, reason = "what a test found out is told")]
//! What breaks around the real program: it is killed in the middle of its work, told to end under load, started twice,
//! and its disk is full. GitHub is the emulator, over real HTTP; the database is a file.

mod chance;
mod full_disk;
#[path = "../command/http.rs"]
mod http;
mod killed;
mod one_database;
mod organisation;
mod program;
mod told_to_end;

use std::time::{Duration, Instant};

/// Waits until something is so, and fails where that takes longer than it may.
async fn eventually(what: &str, patience: Duration, mut is_so: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + patience;
    while !is_so().await {
        assert!(Instant::now() < deadline, "not within {patience:?}: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
