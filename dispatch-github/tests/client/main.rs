//! The client against a mock of GitHub's API: every class of answer, and what is sent.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod budgets;
mod checks;
mod comments;
mod compare;
mod deliveries;
mod dispatches;
mod fake;
mod issues;
mod people;
mod pull_requests;
mod reads;
mod runs;
mod schema;
mod secrets;
mod tokens;
mod wire;
mod workflows;
